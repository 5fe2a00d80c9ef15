"""Every kind of message that a node takes in: the one list that receiving, resending, retention and replay read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from federation.node import leads, reports
from federation.node.corrections import steps as corrections
from federation.node.corrections.notices import NOTICE
from federation.node.erasure import ORDERED, RECEIPT
from federation.node.exchange.judge import Kind
from federation.node.intake.clock import REMINDER
from federation.node.lookups.answer import ANSWER, FETCH, REFUSAL, RELEASED, SEARCH
from federation.node.lookups.cases import CASE
from federation.node.permits_sharing import SYNC
from federation.node.recognition import RECOGNISED

_ALL: Final[tuple[Kind[Any], ...]] = (
    SYNC,
    RECOGNISED,
    CASE,
    SEARCH,
    ANSWER,
    FETCH,
    RELEASED,
    REFUSAL,
    REMINDER,
    reports.REQUEST,
    reports.ANSWERED,
    corrections.REQUEST,
    corrections.ANSWER,
    NOTICE,
    leads.LEAD,
    leads.ANSWER,
    ORDERED,
    RECEIPT,
)
KINDS: Final[Mapping[str, Kind[Any]]] = MappingProxyType({kind.name: kind for kind in _ALL})
