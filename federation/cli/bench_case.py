"""The time it takes to order and fold a joint case, from the set of its entries and entry by entry.

Three provinces keep the case: one opens it and invites the others, then all write, two entries each before they hear of
the others'. Heads alone are made, as the fold reads nothing else; signatures and stores are measured with the exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from time import perf_counter
from typing import Final

from federation.cli.bench import Figure
from federation.domain.joint import Entry, FieldValue, Head
from federation.domain.joint_case import fold, step
from federation.domain.joint_record import Fold, Record
from federation.domain.joint_state import Case
from federation.domain.procedure import Rules, read_rules
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, NodeName, RecordId, format_message_id

_Fields = dict[str, FieldValue]
_PROCEDURE: Final = "dispute-mediation"
_OURS: Final = AgencyId(NodeName("zhejiang"), "330822", "town")
_THEIRS: Final = (
    AgencyId(NodeName("jiangxi"), "361123", "governance"),
    AgencyId(NodeName("anhui"), "341003", "governance"),
)
_OPENED: Final = datetime(2026, 11, 23, 1, tzinfo=UTC)
_RUNS: Final = 5


def measure_folds(policies: Mapping[str, bytes], sizes: Sequence[int]) -> Sequence[Figure]:
    """The fastest of some runs for each number of entries; procedure and clocks are of the files given."""
    rules = read_rules(policies, _PROCEDURE)
    found = []
    for size in sizes:
        entries = make_entries(size)
        runs: Mapping[str, Callable[[], object]] = {
            "从集合排序|ordered from a set": partial(Record, entries[0].head.record, entries[::-1]),
            "按序折叠|folded in order": partial(fold, rules, entries),
            "从集合排序并折叠|ordered and folded from a set": partial(fold_set, rules, entries[::-1]),
            "随到随折叠|folded as they come": partial(fold_each, rules, entries),
        }
        of = f"{size:,} 条记录的案件|case of {size:,} entries"
        found += [Figure(of=of, what=what, value=_fastest(run), unit="ms") for what, run in runs.items()]
    return found


def make_entries(size: int) -> tuple[Entry, ...]:
    """The entries of a case in their order, all with effect."""
    record = RecordId(f"{_OURS.node}/{format_message_id(_OPENED, bytes(10))}")
    opening: _Fields = {
        "procedure": _PROCEDURE, "agreement": 1, "role": "town", "division": "330822", "stage": "registration",
        "source": "walk_in",
    }  # fmt: skip
    held = {office.node: Record(record) for office in (_OURS, *_THEIRS)}
    invitations: list[_Fields] = [{"agency": str(office), "role": "peer"} for office in _THEIRS]
    acts: list[tuple[AgencyId, str, _Fields]] = [
        (_OURS, "open", opening),
        *((_OURS, "invite", fields) for fields in invitations),
        *((office, "join", {}) for office in _THEIRS),
    ]
    made: list[Entry] = []
    for office, act, fields in acts[:size]:
        made.append(_write(held[office.node], office, act, fields))
        for each in held.values():
            each.add(made[-1])
    while len(made) < size:
        apart = [_write(held[office.node], office, "note", {}) for office in (_OURS, *_THEIRS) for _ in range(2)]
        for each in held.values():
            for entry in apart:
                each.add(entry)
        made += apart
    return Record(record, made[:size]).order


def fold_set(rules: Rules, entries: Sequence[Entry]) -> Case:
    return Fold(Record(entries[0].head.record, entries), start=Case(rules=rules), step=step).state


def fold_each(rules: Rules, entries: Sequence[Entry]) -> Case:
    """The case after each entry has come by itself, in the order in which they stand."""
    kept = Fold(Record(entries[0].head.record), start=Case(rules=rules), step=step)
    for entry in entries:
        kept.add(entry)
        case = kept.state
    return case


def _write(record: Record, office: AgencyId, act: str, fields: _Fields) -> Entry:
    place = record.place_for(office.node)
    head = Head(
        record=record.id, n=place.n, parents=place.parents, height=place.height,
        at=_OPENED + timedelta(minutes=place.height), agency=office, officer="o-1", act=act, fields=fields,
        items=(),
    )  # fmt: skip
    entry = Entry(name=sha256(encode(head)).hexdigest(), author=office.node, head=head)
    record.add(entry)
    return entry


def _fastest(run: Callable[[], object]) -> float:
    return min(_times(run)) * 1000


def _times(run: Callable[[], object]) -> Iterator[float]:
    for _ in range(_RUNS):
        start = perf_counter()
        run()
        yield perf_counter() - start
