"""A member province that answers falsely: everything it signs is genuine, and nothing of it is taken in.

Xinzhou and Yushan asked Zhejiang, whose desk has not answered yet. Each answer here is made by hand, signed by
Zhejiang's own key, and handed to Jiangxi over Zhejiang's own connection.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from federation.domain.intake import REFUSAL_BODY, Refusal, RefusalReason
from federation.domain.lookups import (
    ANSWER_BODY,
    RELEASE_BODY,
    AnswerItem,
    Outcome,
    ReleaseItem,
    decode_fetch_item,
    decode_search_item,
)
from federation.domain.reports import REPORT_BODY, SubjectReport, encode_report
from federation.node.exchange.receive import receive
from federation.node.exchange.replies import find_reply_item, only_item, statement_of
from federation.node.reports import ANSWERED
from federation.protocol.body import Body
from federation.protocol.errors import MalformedError
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, MessageId, Pair, parse_agency_id
from federation.protocol.leaf import Leaf, Verdict, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import StoredMessage, find_body, list_messages, load_body
from tests.node.intake.border import PURPOSE, Border, border
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG, one_item_body, sign, statement

COURT = parse_agency_id("zhejiang/330822/court")
OUT = Pair(JIANGXI, ZHEJIANG)
OTHER_LOOKUP = MessageId("01a00000-0000-7000-8000-000000000000")
HANDLE = "h" * 32
SEQS = count(9_000)


def asked(found: Border, kind: str) -> StoredMessage:
    """The newest request of that kind that Jiangxi sent to Zhejiang."""
    sent = list_messages(found.asking.database, "sent", pair=OUT, after_seq=0, limit=1000)
    return next(message for message in reversed(sent) if message.kind == kind)


async def answer(found: Border, kind: str, body: Body, *, cites: StoredMessage, office: AgencyId | None = None) -> Leaf:
    """Jiangxi's leaf about an answer of Zhejiang; what is refused leaves no body behind."""
    made = statement(
        found.rig,
        body,
        seq=next(SEQS),
        kind=kind,
        sender=Sender(node=ZHEJIANG, agency=office or found.office),
        recipient=Recipient(node=JIANGXI),
        purpose=PURPOSE,
        function="F03",
        case=statement_of(cites).case,
        in_reply_to=cites.digest,
    )
    receipt = await receive(found.asking, Submission(envelope=sign(made), body=body), peer=ZHEJIANG)
    leaf = decode_leaf(receipt.leaf)
    assert (find_body(found.asking.database, made.id) is None) is (leaf.verdict is Verdict.REFUSED)
    return leaf


def hit(found: Border, lookup_id: MessageId | None = None) -> Body:
    """A hit as the answer to the newest search."""
    item = only_item(load_body(found.asking.database, asked(found, "lookup.search").id))
    lookup = lookup_id or decode_search_item(item, found.rig.agreement.realm).lookup_id
    ends = found.rig.clock() + timedelta(hours=1)
    return one_item_body(ANSWER_BODY, encode(AnswerItem(lookup_id=lookup, hit=True, handle=HANDLE, expires=ends)))


def release(found: Border, *fields: str, handle: str | None = None, lookup_id: MessageId | None = None) -> Body:
    """Some fields as the answer to the newest fetch, or to a search when there was no fetch."""
    fetch = decode_fetch_item(only_item(load_body(found.asking.database, asked(found, "lookup.fetch").id)))
    item = ReleaseItem(
        lookup_id=lookup_id or fetch.lookup_id,
        handle=handle or fetch.handle,
        fields=dict.fromkeys(fields, "330822"),
        expires=found.rig.clock() + timedelta(hours=1),
    )
    return one_item_body(RELEASE_BODY, encode(item))


async def waiting_fetch(found: Border) -> StoredMessage:
    """Yushan's fetch of an address, which waits for a person at Zhejiang's desk."""
    await found.search()  # Xinzhou's, which waits as well
    first = await found.search(caller=YUSHAN_POLICE)
    assert first.handle is not None
    assert (await found.fetch(first.handle, "household_division", "residence_address")).outcome is Outcome.WAITING
    return asked(found, "lookup.fetch")


def outcome(found: Border, request: StoredMessage) -> bytes | None:
    """What the officer reads as the reply to a request."""
    return find_reply_item(found.asking.database, request.digest)


async def test_answer_of_another_kind_than_the_question_is_not_taken_in(tmp_path: Path) -> None:
    """A search is answered by hit or no hit, a fetch by fields, a case by neither: the officer's page stays readable."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)
        search, case = asked(found, "lookup.search"), asked(found, "lookup.case")
        report = one_item_body(REPORT_BODY, encode_report(SubjectReport()))
        refusal = encode(Refusal(lookup_id=OTHER_LOOKUP, reason=RefusalReason.OTHER, words="不予答复"))

        for kind, body, cites in (
            ("lookup.release", release(found, "household_division"), search),
            ("lookup.answer", hit(found), fetch),
            ("lookup.answer", hit(found), case),
            (ANSWERED.name, report, fetch),
            ("lookup.refusal", one_item_body(REFUSAL_BODY, refusal), case),
        ):
            with pytest.raises(MalformedError) as caught:
                await answer(found, kind, body, cites=cites)
            assert caught.value.reason == "REPLY_UNASKED"

        assert outcome(found, fetch) is None
        assert len(await found.history(caller=statement_of(fetch).sender.agency)) == 2


async def test_answer_about_another_lookup_is_not_taken_in(tmp_path: Path) -> None:
    """What is told must belong to the very look-up, and to the very handle, that the statement cites."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)
        for body in (
            release(found, "household_division", lookup_id=OTHER_LOOKUP),
            release(found, "household_division", handle=HANDLE),
        ):
            with pytest.raises(MalformedError) as caught:
                await answer(found, "lookup.release", body, cites=fetch)
            assert caught.value.reason == "REPLY_UNASKED"
        with pytest.raises(MalformedError):
            await answer(found, "lookup.answer", hit(found, OTHER_LOOKUP), cites=asked(found, "lookup.search"))
        assert outcome(found, fetch) is None


async def test_more_fields_than_were_asked_for_are_refused_and_not_kept(tmp_path: Path) -> None:
    """The side that exceeds a request hands over nothing: the refusal is signed and logged."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)

        leaf = await answer(found, "lookup.release", release(found, "household_division", "ethnicity"), cites=fetch)

        assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("rule-reply-beyond",))
        assert outcome(found, fetch) is None


async def test_answer_by_an_office_that_is_no_police_is_refused(tmp_path: Path) -> None:
    """A court of the province asked does not answer what its intake desk owes."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)

        leaf = await answer(found, "lookup.release", release(found, "household_division"), cites=fetch, office=COURT)

        assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("rule-reply-office",))
        assert outcome(found, fetch) is None


async def test_second_answer_to_one_request_is_refused_and_not_kept(tmp_path: Path) -> None:
    """The first answer stands; a later one, of whatever kind, changes nothing and leaves no body that nobody ends."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)
        first = release(found, "household_division")
        assert (await answer(found, "lookup.release", first, cites=fetch)).verdict is Verdict.ALLOWED

        fetched = decode_fetch_item(only_item(load_body(found.asking.database, fetch.id)))
        refusal = Refusal(lookup_id=fetched.lookup_id, reason=RefusalReason.OTHER, words="不予答复")
        for kind, body in (
            ("lookup.release", release(found, "household_division")),
            ("lookup.refusal", one_item_body(REFUSAL_BODY, encode(refusal))),
        ):
            leaf = await answer(found, kind, body, cites=fetch)
            assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("rule-reply-twice",))

        assert outcome(found, fetch) == only_item(first)
