"""Alerts for tests: four nodes on a ridge, each with the entries that reached it; `meet` is the link coming back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from federation.domain.alert import Alert, step
from federation.domain.alert_rules import read_alert_rules
from federation.domain.joint import Entry, Head
from federation.domain.joint_record import Fold, Record
from federation.node.home.draft import read_duty_sheets
from federation.node.home.files import read_policies
from federation.protocol.ids import NodeName, format_time, parse_agency_id

NIGHT = datetime(2026, 4, 3, 18, 15, tzinfo=UTC)
Z, J, F, A = (NodeName(name) for name in ("zhejiang", "jiangxi", "fujian", "anhui"))
QIUCHUAN, CHANGSHAN, LEADER = "330822111.town", "330822.governance", "330822.leader"
EMERGENCY, POLICE = "330822.emergency", "330822.police"
YUSHAN, PUCHENG, XIUNING = "361123.governance", "350722.governance", "341022.governance"
ROOT = Path(__file__).parents[2]
FILES = read_policies(ROOT / "policies") | read_duty_sheets(ROOT / "nodes")
RULES = read_alert_rules(FILES)
AGENCIES = {desk: str(RULES.agency_of(desk)) for desk in (*RULES.duty.desks, LEADER)}


class Ridge:
    """Four nodes, each with the entries of one record that reached it."""

    def __init__(self, number: int = 1) -> None:
        self.now = NIGHT
        self.record = f"zhejiang/01936000-0000-7000-8000-0000000{number:05}"
        self.nodes = {name: Record(self.record) for name in (Z, J, F, A)}

    def later(self, seconds: float) -> Ridge:
        self.now += timedelta(seconds=seconds)
        return self

    def does(
        self,
        desk: str,
        act: str,
        *,
        by: NodeName | None = None,
        agency: str = "",
        officer: str = "o-1",
        **fields: str | int | tuple[str, ...],
    ) -> Entry:
        """A desk acts at its own node, or a node by itself (`by`), standing on what it has."""
        node = by or NodeName(AGENCIES[desk].partition("/")[0])
        place = self.nodes[node].place_for(node)
        said = dict(fields)
        if by is None or act == "skip":
            said["desk"] = desk
        head = Head(
            record=self.record, n=place.n, parents=place.parents, height=place.height, at=self.now,
            agency=parse_agency_id(agency or AGENCIES[desk]), officer=None if by else officer, act=act, fields=said, items=(),
        )  # fmt: skip
        name = sha256(repr((self.record, node, head.n, act, sorted(said.items()), self.now)).encode()).hexdigest()
        entry = Entry(name=name, author=node, head=head)
        self.nodes[node].add(entry)
        return entry

    def raises(self, desk: str = QIUCHUAN, **fields: str | int | tuple[str, ...]) -> Entry:
        content = {"status": "Actual", "kind": "dispute", "agreement": 1, **self.content(), **fields}
        raised = self.does(desk, "raise", **content)
        self.meet()
        return raised

    def content(self, **fields: str | int | tuple[str, ...]) -> dict[str, str | int | tuple[str, ...]]:
        stamp = (self.now + timedelta(hours=8)).strftime("%Y%m%d%H%M%S")
        said = {"cap_id": f"33082211100000_{stamp}_0", "priority": "flash", "division": ("330822111",)}
        return {**said, "expires": format_time(self.now + timedelta(hours=24)), **fields}

    def receipts(self, entry: Entry) -> Entry:
        """The arbiter's node has an entry of another node, and says so."""
        self.nodes[Z].add(entry)
        return self.does(QIUCHUAN, "receipt", by=Z, about=entry.name)

    def meet(self, *names: NodeName) -> None:
        """The links between these nodes, or all, are up: each has what any of them had."""
        nodes = [self.nodes[name] for name in names or self.nodes]
        for entry in [entry for node in nodes for entry in (*node.order, *(each.entry for each in node.pending))]:
            for node in nodes:
                node.add(entry)

    def at(self, node: NodeName) -> Alert:
        record = self.nodes[node]
        return Fold(record, start=Alert(rules=RULES), step=step).state

    def agreed(self) -> Alert:
        """The alert that all four see."""
        self.meet()
        first, *others = [self.at(node) for node in self.nodes]
        assert all(other == first for other in others)
        return first

    def refusal(self, entry: Entry) -> str:
        found = {each.name: why.reason for each, why in self.agreed().without_effect}
        return found.get(entry.name, "")
