"""The families of joint records that are shared, by the kind of a message."""

from __future__ import annotations

from typing import Any, Final

from federation.node.alerts.sharing import ALERTS_SHARED
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.entries import settle
from federation.node.joint.records import load_held
from federation.node.joint.sharing import Sharing
from federation.node.node import Node
from federation.protocol.statement import Statement

SHARED: Final[tuple[Sharing[Any], ...]] = (CASES_SHARED, ALERTS_SHARED)


async def settle_anew(node: Node, statement: Statement) -> None:
    """Settles the record of which one of our messages handed over an entry, since a head of it may be owed again."""
    for sharing in SHARED:
        family = sharing.family
        if statement.kind in (family.entry_kind, family.disclosure_kind):
            record = family.records.find(node.database, statement.case or "")
            if record is not None:
                load_held(family, node, record.record).handed = (0, None)
                await settle(sharing, node, record.record)
