"""Cases for tests: entries are made one by one, as desks would make them, and folded at once."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from federation.domain.joint import Entry, Head
from federation.domain.joint_case import step
from federation.domain.joint_state import Case
from federation.domain.procedure import Rules, read_rules
from federation.protocol.ids import parse_agency_id

ROOT = Path(__file__).parents[2]
FILES = {
    f"policies/{path.relative_to(ROOT / 'policies').as_posix()}": path.read_bytes()
    for path in sorted((ROOT / "policies").rglob("*"))
    if path.is_file()
}
MONDAY = datetime(2026, 11, 23, 1, tzinfo=UTC)
"""09:00 on a working Monday in China."""
RECORD = "zhejiang/01936000-0000-7000-8000-000000000001"


def digest(text):
    return sha256(str(text).encode()).hexdigest()


def rules_of(name, files=FILES):
    return read_rules(files, name)


class CaseBuilder:
    """A case and its entries. `desk` names agencies by short words; `day` moves the clock on."""

    def __init__(self, rules: Rules, desks: dict[str, str], record: str = RECORD):
        self.rules, self.record, self.now = rules, record, MONDAY
        self.desks = {word: parse_agency_id(agency) for word, agency in desks.items()}
        self.entries: list[Entry] = []
        self.case = Case(rules=rules)

    def make(self, desk, act, *, officer="o-1", items=(), at=None, **fields):
        """The next entry of a desk, not yet folded. A desk that is None is the node of the lead, by itself."""
        agency = self.case.lead if desk is None else self.desks[desk]
        number = len(self.entries)
        head = Head(
            record=self.record,
            n=1 + sum(entry.author == agency.node for entry in self.entries),
            parents=frozenset({self.entries[-1].name}) if self.entries else frozenset(),
            height=number,
            at=at or self.now,
            agency=agency,
            officer=None if desk is None else officer,
            act=act,
            fields={name.rstrip("_"): value for name, value in fields.items()},
            items=tuple(items),
        )
        return Entry(
            name=digest((self.record, number, head.act, head.agency, sorted(map(str, head.fields.items())))),
            author=agency.node,
            head=head,
        )

    def add(self, entry):
        self.entries.append(entry)
        self.case = step(self.case, entry)
        return entry

    def does(self, desk, act, **fields):
        """The desk does it, and it has effect."""
        entry = self.add(self.make(desk, act, **fields))
        assert not self.case.without_effect or self.case.without_effect[-1][0] is not entry, self.why()
        return entry

    def cannot(self, desk, act, reason, *missing, **fields):
        """The desk does it, and it is without effect for that reason, and visible with it."""
        entry = self.add(self.make(desk, act, **fields))
        assert self.case.without_effect, f"{act} had effect"
        found, why = self.case.without_effect[-1]
        assert found is entry, f"{act} had effect"
        assert why.reason == reason, self.why()
        assert set(missing) <= set(why.missing), self.why()
        return entry

    def why(self):
        entry, why = self.case.without_effect[-1]
        return f"{entry.head.act}: {why.reason} {' '.join(why.missing)}"

    def day(self, days):
        self.now += timedelta(days=days)
        return self
