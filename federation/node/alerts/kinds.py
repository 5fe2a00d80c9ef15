"""The kinds of alert as the agreement in force has them, for whoever raises one."""

from __future__ import annotations

from federation.domain.alert_kinds import AlertKind, AlertTable, load_kind, read_alerts
from federation.node.exchange.errand import Errand, on
from federation.wire.agency import alerts as wire
from federation.wire.agency.alerts import AlertFieldLine, AlertKindLine


@on(wire.READ_KINDS)
async def read_kinds(errand: Errand, name: str) -> tuple[AlertKindLine, ...]:
    """Reads one kind by its id or its Chinese name, or all; refuses ALERT_KIND_REFUSED, ALERT_KIND_UNKNOWN."""
    table = read_alerts(errand.in_force.agreement.files)
    named = next((kind for kind in table.kind if name == kind.zh), None)
    found = table.kind if not name else (named or load_kind(table, name),)
    return tuple(_line(table, kind) for kind in found)


def _line(table: AlertTable, kind: AlertKind) -> AlertKindLine:
    facts = (table.facts[name] for name in kind.crosses)
    return AlertKindLine(
        id=kind.id, zh=kind.zh, en=kind.en, purpose=kind.purpose, function=kind.function, colours=kind.colours,
        priority=kind.priority, expires=kind.expires, measured=kind.measured,
        crosses=tuple(AlertFieldLine(id=fact.id, zh=fact.zh, en=fact.en) for fact in facts), never=kind.never,
    )  # fmt: skip
