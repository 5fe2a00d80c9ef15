"""The features of a node in one list: the kinds of message that it takes in, and the steps of its own agencies.

A feature's module holds its kinds as values, and its steps marked `on` their RPC. Receiving, resending, retention and
replay read `KINDS`; the port of the agencies answers by `STEPS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from federation.node import (
    documents,
    documents_open,
    duty,
    duty_volunteers,
    erasure,
    erasure_lists,
    erasure_receipts,
    figures,
    leads,
    officer_keys,
    permits,
    permits_import,
    permits_sharing,
    recognition,
    registers,
    reports,
)
from federation.node import readings as readings_again
from federation.node.alerts import cap as alert_files
from federation.node.alerts import sharing as alert_sharing
from federation.node.alerts import steps as alert_steps
from federation.node.corrections import lines, notices, steps
from federation.node.exchange import errand
from federation.node.exchange.judge import Kind
from federation.node.intake import clock, desk
from federation.node.joint import case_sharing
from federation.node.joint import steps as case_steps
from federation.node.joint import trace as case_trace
from federation.node.lookups import answer, ask, cases, fetch
from federation.node.oversight import break_glass, digest, flags, glass_review, leaders, readings, sample

FEATURES: Final = (
    permits, permits_import, permits_sharing, recognition, registers,
    cases, ask, answer, fetch, readings_again, desk, clock,
    leaders, break_glass, glass_review, flags, digest, sample, readings,
    reports, steps, lines, notices,
    leads, duty, duty_volunteers,
    case_sharing, case_steps, case_trace, documents, documents_open,
    alert_files, alert_sharing, alert_steps,
    figures,
    officer_keys,
    erasure, erasure_lists, erasure_receipts,
)  # fmt: skip
KINDS: Final[Mapping[str, Kind[Any]]] = MappingProxyType(
    {kind.name: kind for feature in FEATURES for kind in vars(feature).values() if isinstance(kind, Kind)}
)
RENEWED: Final = frozenset(kind.name for kind in KINDS.values() if kind.resend is not None)
"""The kinds that are said anew when they expired on their way."""
STEPS: Final = tuple(errand.STEPS)
