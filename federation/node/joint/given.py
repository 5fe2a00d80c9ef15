"""Items of cases and alerts that are about a person: which office was given them, when and by what, for their report.

Rules kept: written by the author's node, in the transaction that hands them on or lets an office see them; one row for
each office, person and occasion, found by the blind index of the number; never who the officer was. An office of
another province is named once a message to its node holds what the signed record gives it. A row outlives the items.
Source: PIPL articles 23, 45 and 55.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Final

from federation.domain.alert import Alert
from federation.domain.case_items import Part
from federation.domain.documents import DOCUMENT
from federation.domain.joint_sight import handed_to, numbers_in, people_in
from federation.domain.joint_state import Case
from federation.domain.leave import TokenCheck
from federation.domain.reports import DEFERRED_JOINT, Disclosure
from federation.domain.retention import PROVISION
from federation.node.joint.records import ALERT, CASE, Family, StoredEntry, each_sent, parts_of
from federation.node.joint.sight import visible
from federation.node.node import Node
from federation.protocol.form import Digest, Item, Positive, Time
from federation.protocol.ids import AgencyId, NodeName, RecordId, truncate_to_millisecond
from federation.protocol.leaf import Verdict
from federation.store.collection import item_collection
from federation.store.database import Source
from federation.store.records import Record

_LONGEST: Final = timedelta(days=90)
"""So long a letter between police forces, or a pursuit, holds a line back, unless it is closed before."""
_MAX_BASIS: Final = 200


class Given(Item, frozen=True, kw_only=True):
    """The places of an entry, `fields` by name, that one office was given of what is about one person."""

    WHAT: ClassVar[str] = "item given"

    record: RecordId
    name: Digest
    office: AgencyId
    n: Positive
    person: str
    time: Time
    step: str
    purpose: str
    function: str
    basis: str
    places: tuple[int, ...]
    fields: tuple[str, ...]

    @property
    def disclosure(self) -> Disclosure:
        """The line of the person's report."""
        waits = self.purpose in DEFERRED_JOINT
        return Disclosure(
            time=self.time, asker=self.office, purpose=self.purpose, function=self.function, basis=self.basis,
            case_id=self.record, step=self.step, verdict=Verdict.ALLOWED, fields=frozenset(self.fields),
            deferred_until=self.time + _LONGEST if waits else None,
        )  # fmt: skip


GIVEN: Final = item_collection(
    Given, kind="case-given", id=lambda given: f"{given.record}/{given.name}/{given.office}/{given.n:06}", replica=True,
    subject=lambda given: given.person, due_time=lambda given: given.time, kept_under=PROVISION,
)  # fmt: skip
CHECKED: Final = item_collection(
    TokenCheck, kind="token-check", id=lambda check: check.message_id, replica=True,
    subject=lambda check: check.person or None,
)  # fmt: skip
"""That tokens of leaves of ours were asked about; each dies with its question, since days of use are no track."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """An entry of ours as it was handed on: the law it stood on, and the fields by item that an office got later.

    `served` is the number of its document that goes `to` a province now, 0 for none.
    """

    family: Family[Any]
    kept: StoredEntry
    parts: Sequence[Part]
    basis: str
    later: Callable[[AgencyId], Mapping[int, frozenset[str]]] = lambda _: {}
    served: int = 0
    to: NodeName | None = None


def given_in_case(
    node: Node, source: Source, case: Case, *, kept: StoredEntry, parts: Sequence[Part]
) -> Iterator[Record]:
    """The rows that are still missing of one entry of ours, once its messages stand in this transaction."""
    people = people_in(kept.head, parts, _numbers(node, source, case)) if parts else {}
    in_force = node.trust.in_force
    handing = Handing(
        family=CASE, kept=kept, parts=parts, basis=case.procedure.source, later=partial(handed_to, case, kept.name)
    )
    seen = ((office, visible(in_force, case, office, kept=kept, parts=parts)[0]) for office in case.members)
    yield from _given(node, source, handing, people=people, seen=seen)


def given_in_alert(
    node: Node,
    source: Source,
    alert: Alert,
    *,
    handing: Handing,
    seen: Iterable[tuple[AgencyId, set[int]]],
) -> Iterator[Record]:
    """As `given_in_case`; all of an alert is about each person whom an entry of ours names, with a number.

    `seen` are the places that each office which was told of it may see.
    """
    kept, parts = handing.kept, handing.parts
    named = [done.entry.name for done in alert.named.values() if "person" in done.entry.head.items]
    rows = [row for name in named for row in ALERT.entries.by_subject(source, name) if row.author == node.name]
    numbers = {each for row in rows for each in numbers_in(parts_of(ALERT, node, source, kept=row).values()).values()}
    people = {number: set(range(1, len(parts) + 1)) for number in numbers} | people_in(kept.head, parts, {})
    yield from _given(node, source, handing, people=people, seen=seen)


def _given(
    node: Node,
    source: Source,
    handing: Handing,
    *,
    people: Mapping[str, set[int]],
    seen: Iterable[tuple[AgencyId, set[int]]],
) -> Iterator[Record]:
    kept, family = handing.kept, handing.family
    for office, places in sorted(seen, key=str) if people else ():
        if office == kept.head.agency or (handing.served and office.node != handing.to):
            continue
        had, at_first = _had(node, source, handing, office=office, places=places)
        known = list(GIVEN.each(source, under=f"{kept.head.record}/{kept.name}/{office}/"))
        number, known = len(known), [each for each in known if _is_served(each, family) == bool(handing.served)]
        for person, about in people.items():
            before = {at for each in known if each.person == person for at in each.places}
            if new := sorted(had & about - before):
                number += 1
                step = _step(handing, office, new, had=bool(before), is_apart=at_first.isdisjoint(new))
                row = _row(node, handing, office=office, n=number, about=(person, new), step=step)
                yield GIVEN.record(row, owner=node.name)


def _is_served(row: Given, family: Family[Any]) -> bool:
    return row.step == family.document_step


def _step(handing: Handing, office: AgencyId, places: Sequence[int], *, had: bool, is_apart: bool) -> str:
    """The step of the report: a document was fetched, the entry was handed on, or more of it later.

    `had`: the office was given other places of it before. `is_apart`: none of these went with the first message.
    """
    family, parts = handing.family, handing.parts
    if handing.served:
        return family.document_step
    is_more = had or is_apart
    if family is CASE:  # an office that joined late is handed the entry, and not more of it
        later = handing.later(office)
        is_more = had or any(parts[at - 1].field in later.get(parts[at - 1].item, ()) for at in places)
    return family.disclosure_kind if is_more else family.entry_kind


def _had(
    node: Node, source: Source, handing: Handing, *, office: AgencyId, places: set[int]
) -> tuple[set[int], set[int]]:
    """The places of an entry, or of its one document that is served, that an office had by now, and had at first."""
    kept, parts = handing.kept, handing.parts
    if handing.served:
        documents = enumerate(zip(kept.head.items, parts, strict=True), start=1)
        places = places & {at for at, (kind, part) in documents if kind == DOCUMENT and part.item == handing.served}
    if office.node == node.name:
        return places, places
    sent = [each for each in each_sent(handing.family, source, kept.head.record, name=kept.name)
            if each.to == office.node]  # fmt: skip
    return places & {at for each in sent for at in each.places}, set(sent[0].places) if sent else set()


def _row(node: Node, handing: Handing, *, office: AgencyId, n: int, about: tuple[str, list[int]], step: str) -> Given:
    kept, parts, (person, places) = handing.kept, handing.parts, about
    return Given(
        record=kept.head.record, name=kept.name, office=office, n=n, person=person,
        time=truncate_to_millisecond(node.now()), step=step,
        purpose=kept.purpose, function=kept.function, basis=handing.basis[:_MAX_BASIS], places=tuple(places),
        fields=tuple(sorted({f"{kept.head.items[at - 1]}.{parts[at - 1].field}" for at in places})),
    )  # fmt: skip


def _numbers(node: Node, source: Source, case: Case) -> Mapping[str, str]:
    """The citizen numbers of the parties, by tag, as far as this node holds them."""
    found: dict[str, str] = {}
    for entered in (*case.done.get("add_party", ()), *case.done.get("amend_party", ())):  # what came last counts
        for kept in CASE.entries.by_subject(source, entered.entry.name):
            numbers = numbers_in(parts_of(CASE, node, source, kept=kept).values())
            found |= {str(kept.head.fields["party"]): number for number in list(numbers.values())[:1]}
    return found
