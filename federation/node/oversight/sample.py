"""The 2 % of look-ups that somebody else reads, picked by the node's key, not to be foreseen (misuse control M7)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final

from federation.domain.oversight import (
    AskedLine,
    ReadingKind,
    SampleItem,
    SampleReview,
    due_of,
    is_sampled,
    mask_selector,
    review_sample,
    sample_review_bytes,
)
from federation.node.exchange.errand import Errand, on
from federation.node.node import Node
from federation.node.officers import LeaderAct, or_logged, signed_by, verify_another_person, verify_own_key
from federation.node.oversight.readings import note_reading
from federation.protocol.errors import NotFoundError
from federation.protocol.form import Item, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, parse_agency_id, truncate_to_millisecond
from federation.store.collection import Collection
from federation.store.columns import blind_index
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record
from federation.wire.agency.oversight import LIST_SAMPLE, RECORD_REVIEW, SamplePage, SampleQuery, SampleReviewQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A look-up of an agency that chance picked."""

    agency: AgencyId
    item: SampleItem

    def as_of(self, today: date) -> SampleItem:
        return replace(self.item, overdue=self.item.review is None and today > self.item.due)


class _Content(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "lookup-sample"

    lookup_id: str
    case_id: str
    officer: str
    time: Time
    purpose: str
    person: str
    due: date
    review: str


_SHARED: Final = tuple(name for name in _Content.__struct_fields__ if name != "review")


def _encode(kept: Sampled) -> bytes:
    review = encode(kept.item.review).decode() if kept.item.review is not None else ""
    return encode(_Content(review=review, **{name: getattr(kept.item, name) for name in _SHARED}))


def _decode(record: Record) -> Sampled:
    content = decode(_Content, record.content)
    review = decode(SampleReview, content.review.encode()) if content.review else None
    item = SampleItem(overdue=False, review=review, **{name: getattr(content, name) for name in _SHARED})
    return Sampled(agency=parse_agency_id(record.id.rpartition("/")[0]), item=item)


SAMPLE: Final[Collection[Sampled]] = Collection(
    kind=_Content.WHAT,
    encode=_encode,
    decode=_decode,
    id=lambda kept: f"{kept.agency}/{kept.item.lookup_id}",
    replica=False,
    version=lambda kept: 1 if kept.item.review is None else 2,
    status=lambda kept: "waiting" if kept.item.review is None else "reviewed",
    division=lambda kept: kept.agency.county,
    due=lambda kept: kept.item.due,
)


def pick(transaction: GroupTransaction, errand: Errand, line: AskedLine, *, about: str) -> bool:
    """Puts a look-up into the sample when chance picks it; says whether it did."""
    key = blind_index(transaction.keys, "lookup.review", "sample")
    if not is_sampled(line.lookup_id, key):
        return False
    item = SampleItem(
        lookup_id=line.lookup_id,
        case_id=line.case_id,
        officer=line.officer,
        time=line.time,
        purpose=errand.act.purpose,
        person=mask_selector(about),
        due=due_of(line.time, errand.in_force.calendar),
        overdue=False,
    )
    return SAMPLE.put(transaction, Sampled(agency=errand.caller, item=item), owner=errand.node.name)


@on(LIST_SAMPLE)
async def list_sample(errand: Errand, query: SampleQuery) -> SamplePage:
    """Returns the look-ups of the office that chance picked, oldest first."""
    await note_reading(errand, step=ReadingKind.SAMPLE)
    page = await asyncio.to_thread(
        SAMPLE.page,
        errand.node.database,
        limit=query.page_size,
        token=query.page_token,
        under=f"{errand.caller}/",
        wanted=lambda kept: query.with_reviewed or kept.item.review is None,
    )
    items = tuple(kept.as_of(errand.node.today()) for kept in page.values)
    return SamplePage(items=items, next_page_token=page.next_token)


@on(RECORD_REVIEW)
async def record_review(errand: Errand, question: SampleReviewQuestion) -> SampleItem:
    """Keeps the review of a look-up of the sample by another officer of the same agency.

    Refuses REVIEW_UNKNOWN, as `review_sample`, SAME_PERSON, OFFICER_KEY, SIGNATURE_FORM.
    """
    review = SampleReview(
        lookup_id=question.lookup_id,
        reviewer=errand.act.officer,
        time=truncate_to_millisecond(errand.node.now()),
        finding=question.finding,
        words=question.words,
    )
    return await or_logged(errand, _review(errand.node, signed_by(errand, question.signature), review))


async def _review(node: Node, act: LeaderAct, review: SampleReview) -> SampleItem:
    def write(transaction: GroupTransaction) -> SampleItem:
        kept = SAMPLE.find(transaction, f"{act.agency}/{review.lookup_id}")
        if kept is None:
            raise NotFoundError("REVIEW_UNKNOWN", "expected a look-up of this office that is in the sample")
        reviewed = replace(kept.item, review=review_sample(kept.item, review))
        verify_another_person(transaction, act, [kept.item.officer])
        SAMPLE.put(transaction, replace(kept, item=reviewed), owner=node.name)
        return reviewed

    signed = sample_review_bytes(act.agency, review.lookup_id, finding=review.finding, words=review.words)
    verify_own_key(node.database, act, signed)
    return (await node.sequencer.commit(write)).value
