"""The 2 % of look-ups that somebody else reads: picked in the transaction that asks, by this node's own key.

Rules kept: no officer foresees which; what was picked stays so and shows until it is reviewed; who reviewed what is
kept as a version of it. The person is masked. Source: misuse control M7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from federation.domain.oversight import (
    AskedLine,
    SampleItem,
    SampleReview,
    decode_sample_review,
    due_of,
    encode_sample_review,
    is_sampled,
    mask_selector,
    review_sample,
    sample_review_bytes,
)
from federation.node.exchange.errand import Errand
from federation.node.node import Node
from federation.node.officers import LeaderAct, verify_another_person, verify_own_key
from federation.protocol.canonical_json import decode_canonical, encode_canonical, read_text
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import AgencyId, NodeName, format_time, parse_time
from federation.store.crypto_column import blind_index
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, ids_under, list_range, put_records

SAMPLE = "lookup-sample"
_AT_ONCE = 200


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
    put_records(transaction, [_to_record(item, errand.caller, version=1)])
    return True


def list_sample(
    source: Source, agency: AgencyId, *, today: date, after: str, limit: int, with_reviewed: bool
) -> Sequence[SampleItem]:
    """The sample of an agency behind the look-up `after`, oldest first, at most `limit`."""
    ids = ids_under(f"{agency}/")
    ids = replace(ids, after=f"{agency}/{after}")
    items: list[SampleItem] = []
    while len(items) < limit and (found := list_range(source, SAMPLE, ids, limit=_AT_ONCE, replica=False)):
        wanted = [record for record in found if with_reviewed or record.status == "waiting"]
        items += [_read_item(record.content, today) for record in wanted]
        ids = replace(ids, after=found[-1].id)
    return items[:limit]


async def review(node: Node, act: LeaderAct, review: SampleReview) -> SampleItem:
    """Keeps the review of a look-up of the sample by another officer of the same agency.

    Raises:
        NotFoundError: REVIEW_UNKNOWN for what is no part of the sample.
        RuleError: REVIEW_SELF, REVIEW_DONE, REVIEW_WORDS_MISSING, SAME_PERSON.
        UntrustedError: OFFICER_KEY; MalformedError: SIGNATURE_FORM, REVIEW_WORDS.
    """
    name = f"{act.agency}/{review.lookup_id}"

    def write(transaction: GroupTransaction) -> SampleItem:
        record = find_record(transaction, SAMPLE, name, replica=False)
        if record is None:
            raise NotFoundError("REVIEW_UNKNOWN", "expected a look-up of this office that is in the sample")
        item = _read_item(record.content, node.today())
        reviewed = replace(item, review=review_sample(item, review), overdue=False)
        verify_another_person(transaction, act, [item.officer])
        put_records(transaction, [_to_record(reviewed, act.agency, version=2)], expect_version=1)
        return reviewed

    signed = sample_review_bytes(act.agency, review.lookup_id, finding=review.finding, words=review.words)
    verify_own_key(node.database, act, signed)
    return (await node.sequencer.commit(write)).value


def _to_record(item: SampleItem, agency: AgencyId, *, version: int) -> Record:
    content = encode_canonical(
        {
            "lookup_id": item.lookup_id,
            "case_id": item.case_id,
            "officer": item.officer,
            "time": format_time(item.time),
            "purpose": item.purpose,
            "person": item.person,
            "due": item.due.isoformat(),
            "review": encode_sample_review(item.review).decode() if item.review is not None else "",
        }
    )
    return Record(
        id=f"{agency}/{item.lookup_id}",
        kind=SAMPLE,
        owner=NodeName(agency.node),
        version=version,
        replica=False,
        status="waiting" if item.review is None else "reviewed",
        division=agency.county,
        due_date=item.due,
        content=content,
    )


def _read_item(content: bytes, today: date) -> SampleItem:
    value = decode_canonical(content, what=SAMPLE)
    due, review_text = date.fromisoformat(read_text(value, "due", what=SAMPLE)), read_text(value, "review", what=SAMPLE)
    return SampleItem(
        lookup_id=read_text(value, "lookup_id", what=SAMPLE),
        case_id=read_text(value, "case_id", what=SAMPLE),
        officer=read_text(value, "officer", what=SAMPLE),
        time=parse_time(read_text(value, "time", what=SAMPLE)),
        purpose=read_text(value, "purpose", what=SAMPLE),
        person=read_text(value, "person", what=SAMPLE),
        due=due,
        overdue=not review_text and today > due,
        review=decode_sample_review(review_text.encode()) if review_text else None,
    )
