"""The deeds of an invented day, done at the desks of a federation: each at its own node, by the calls that a desk has.

Rules kept: a deed that no node would write is tried, too, and the reason of the refusal is kept; nothing is made up
that a node says by itself. What only a broken node can do is done as if it were not broken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from federation.cli.demo.border_story import Deed
from federation.protocol.errors import BridgeheadError
from federation.wire.agency.alerts import AlertOutcome, AlertRaising, AlertStep

Question: TypeAlias = AlertRaising | AlertStep
Call: TypeAlias = Callable[[Deed, str, Question], Awaitable[AlertOutcome]]
"""Asks the node of a deed's desk, for the purpose of that kind of alert."""


@dataclass(kw_only=True)
class Replay:
    """The day as far as it is done: each alert by its record, each deed by its entry, or why it was refused."""

    call: Call
    records: dict[int, str] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    entries: dict[tuple[int, str], str] = field(default_factory=dict)
    refused: dict[tuple[int, str], str] = field(default_factory=dict)

    async def do_all(self, deeds: Iterable[Deed]) -> None:
        for deed in deeds:
            await self.do(deed)

    async def do(self, deed: Deed) -> None:
        """Does one deed; a refusal is kept, and stops nothing."""
        place = (deed.number, deed.key)
        kind = self.kinds.setdefault(deed.number, str(deed.fields.get("kind", "")))
        try:
            outcome = await self.call(deed, kind, self._question(deed))
        except BridgeheadError as error:
            self.refused[place] = str(error.facts.get("why", error.reason))
            return
        if outcome.line is None or outcome.entry is None:
            self.refused[place] = outcome.decision.reason
            return
        self.entries[place] = outcome.entry.name
        if deed.number not in self.records:
            self.records[deed.number] = outcome.line.record

    def _question(self, deed: Deed) -> Question:
        fields = {
            name: ",".join(value) if isinstance(value, tuple) else str(value) for name, value in deed.fields.items()
        }
        fields["desk"] = deed.desk
        if deed.about:
            fields["about"] = self.entries.get((deed.number, deed.about), "")
        if deed.other:
            fields["other"] = self.records.get(deed.other, "")
        if deed.act == "raise" and deed.number not in self.records:
            return AlertRaising(fields=fields, items=deed.items)
        return AlertStep(alert=self.records.get(deed.number, ""), name=deed.act, fields=fields, items=deed.items)
