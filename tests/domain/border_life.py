"""The deeds of an invented day as entries of its alerts: each node writes its own, the arbiter receipts, time brings what it brings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from federation.cli.demo.border_story import Deed
from federation.domain.alert import Alert, step
from federation.domain.alert_due import each_due, next_due
from federation.domain.alert_kinds import is_issued
from federation.domain.cap import Point, circle_faults, parse_point
from federation.domain.joint import Entry, Head
from federation.domain.joint_record import Finding, Fold, Record
from federation.domain.personal import find_personal
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, format_time
from tests.domain.alert_ridge import RULES

TRANSIT = timedelta(milliseconds=400)
"""From a desk's node to the arbiter's."""
START = Alert(rules=RULES)


def refusals(deed: Deed, withdrawn: Iterable[str] = ()) -> set[str]:
    """Why a node does not write a deed, as far as no state is needed to say so."""
    found = set()
    kind, level = str(deed.fields.get("kind", "")), str(deed.fields.get("level", ""))
    if level:
        try:
            is_issued(RULES.table, RULES.table.kinds[kind], level, issued_by="", document="")
        except BridgeheadError as error:
            found.add(error.reason)
    for item in deed.items:
        if any(map(find_personal, item.fields.values())):
            found.add("PERSONAL_DATA")
        if "point" in item.fields:
            found |= {fault.reason.removeprefix("CAP_") for fault in circle_faults(f"{item.fields['point']} 0")}
    return found | ({"OFFICER_KEY"} if deed.officer in withdrawn else set())


class Life:
    """One alert, lived through: `net` is what all nodes have, `delivery` how the entries reach a node that is far away."""

    def __init__(self, number: int, deeds: Iterable[Deed], nodes: dict[int, NodeName]) -> None:
        self.number, self.nodes = number, nodes
        self.net = Record(self.record_of(number))
        self.fold = Fold(self.net, start=START, step=step)
        self.delivery: list[Entry] = []
        self.points: dict[str, Point] = {}
        self._keys: dict[str, Entry] = {}
        self._alone: list[Entry] = []
        self._withheld: list[Entry] = []
        for deed in deeds:
            self._settle(deed.at)
            self._do(deed)
        self._settle(deed.at + timedelta(days=2))

    def record_of(self, number: int) -> str:
        return f"{self.nodes[number]}/01936000-0000-7000-8000-{number:012}"

    @property
    def alert(self) -> Alert:
        return self.fold.state

    def far_away(self) -> tuple[list[str], tuple[str, ...], tuple[Finding, ...]]:
        """What waits at a node for the first report, what misses there, and what is found in the end."""
        record, waited = Record(self.net.id), []
        for entry in self.delivery:
            record.add(entry)
            waited += [each.entry.head.act for each in record.pending if not record.order]
        gaps = record.gaps
        for entry in self._withheld:
            record.add(entry)
        assert {entry.name for entry in record.order} == {entry.name for entry in self.net.order}
        return waited, gaps, record.findings

    def _settle(self, until: datetime) -> None:
        """The arbiter's node writes what time brings, each at its moment."""
        while self.alert.raised is not None and not self._alone:
            moment = next_due(self.alert, node=self.alert.arbiter)
            if moment is None or moment > until:
                return
            self._time_brings(moment)

    def _time_brings(self, now: datetime) -> None:
        agency = self.alert.first.agency
        for act, fields in list(each_due(self.alert, node=self.alert.arbiter, now=now)):
            self._keep(self._entry(agency, None, act, fields, now))

    def _do(self, deed: Deed) -> None:
        if self._alone and not deed.alone:  # the links are up again
            for entry in self._alone:
                self._keep(entry)
            self._alone = []
            self._time_brings(deed.at - TRANSIT)
        agency = RULES.agency_of(deed.desk)
        assert agency is not None
        fields = {**deed.fields, **self._own_fields(deed), "desk": deed.desk}
        items = tuple(item.kind for item in deed.items for _ in item.fields)
        entry = self._entry(agency, deed.officer, deed.act, fields, deed.at + timedelta(seconds=deed.skew), items)
        self._keys[deed.key] = entry
        for item in deed.items:
            point = parse_point(item.fields.get("point", ""))
            self.points |= {} if point is None else {entry.name: point}
        if deed.alone:
            self._alone.append(entry)
            return
        self._keep(entry, withheld=deed.withheld, overtakes=deed.overtakes)
        if deed.forked:
            head = replace(entry.head, fields={**fields, "reason": "another"})
            self._keep(Entry(name=_name(head), author=entry.author, head=head))
        if entry.author != self.alert.arbiter:
            self._time_brings(deed.at + TRANSIT)

    def _own_fields(self, deed: Deed) -> dict[str, object]:
        """What the node says by itself."""
        found: dict[str, object] = {}
        if deed.about:
            found["about"] = self._keys[deed.about].name
        if deed.other:
            found["other"] = self.record_of(deed.other)
        if deed.act in ("raise", "update", "cancel"):
            found["cap_id"] = f"33082211100000_{deed.at:%Y%m%d%H%M%S}_0"
        if deed.act in ("raise", "update"):
            kind = RULES.table.kinds[str(deed.fields.get("kind") or self.alert.kind)]
            until = deed.at + timedelta(minutes=kind.expires)
            found |= {"priority": kind.priority, "expires": deed.fields.get("expires", format_time(until))}
        return found | ({"agreement": 1} if deed.act == "raise" else {})

    def _entry(self, agency, officer, act, fields, at, items=()) -> Entry:
        known = Record(self.net.id, (*self.net.order, *self._of(agency.node))) if self._alone else self.net
        place = known.place_for(agency.node)
        head = Head(
            record=self.net.id, n=place.n, parents=place.parents, height=place.height, at=at, agency=agency,
            officer=officer, act=act, fields=fields, items=items,
        )  # fmt: skip
        return Entry(name=_name(head), author=agency.node, head=head)

    def _of(self, node: NodeName) -> list[Entry]:
        return [entry for entry in self._alone if entry.author == node]

    def _keep(self, entry: Entry, *, withheld: bool = False, overtakes: bool = False) -> None:
        self.fold.add(entry)
        if withheld:
            self._withheld.append(entry)
        elif overtakes:
            self.delivery.insert(0, entry)
        else:
            self.delivery.append(entry)


def _name(head: Head) -> str:
    return sha256(
        repr((head.record, head.agency, head.n, head.act, sorted(head.fields.items()), head.at)).encode()
    ).hexdigest()
