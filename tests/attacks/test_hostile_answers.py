"""A member province that answers falsely: everything it signs is genuine, and nothing of it is taken in.

Xinzhou and Yushan asked Zhejiang, whose desk has not answered yet. Each answer here is made by hand, signed by
Zhejiang's own key, and handed to Jiangxi over Zhejiang's own connection.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from federation.domain.erasure import ErasureGrounds
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
from federation.node import reports
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.exchange.replies import find_reply_item, only_item, statement_of
from federation.node.lookups.records import QUESTIONS
from federation.node.reports import ANSWERED
from federation.node.retention import destroy_ended
from federation.protocol.body import Body
from federation.protocol.errors import MalformedError, UnavailableError
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, MessageId, Pair, parse_agency_id
from federation.protocol.leaf import Leaf, Verdict, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import StoredMessage, find_body, list_messages, load_body
from federation.wire.agency.reports import ReportQuestion
from tests.node.intake.border import PURPOSE, Border, border
from tests.node.retention.released import NUMBER
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, one_item_body, sign, statement

COURT = parse_agency_id("zhejiang/330822/court")
OUT = Pair(JIANGXI, ZHEJIANG)
OTHER_LOOKUP = MessageId("01a00000-0000-7000-8000-000000000000")
HANDLE = "h" * 32
SEQS = count(9_000)


def asked(found: Border, kind: str, *, at: int = -1) -> StoredMessage:
    """A request of that kind that Jiangxi sent to Zhejiang, the newest unless another is wanted."""
    sent = list_messages(found.asking.database, "sent", pair=OUT, after_seq=0, limit=1000)
    return [message for message in sent if message.kind == kind][at]


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


async def destroy(found: Border, question: StoredMessage) -> None:
    """Destroys the body of a question of Jiangxi's, as a receipt of the other side might."""
    node = found.asking
    await node.sequencer.commit(lambda tx: destroy_message(node, tx, question, grounds=ErasureGrounds.RECEIPTED))


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
            await answer(found, "lookup.answer", hit(found, OTHER_LOOKUP), cites=asked(found, "lookup.search", at=0))
        assert outcome(found, fetch) is None


async def test_more_fields_than_were_asked_for_are_refused_and_not_kept(tmp_path: Path) -> None:
    """The side that exceeds a request hands over nothing: the refusal is signed and logged."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)

        leaf = await answer(found, "lookup.release", release(found, "household_division", "ethnicity"), cites=fetch)

        assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("rule-reply-beyond",))
        assert outcome(found, fetch) is None


async def test_more_fields_are_refused_though_the_question_was_destroyed_first(tmp_path: Path) -> None:
    """What was asked stays beside the question itself: whoever has its body destroyed widens nothing."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)
        wide, asked_for = release(found, "household_division", "ethnicity"), release(found, "household_division")
        await destroy(found, fetch)

        leaf = await answer(found, "lookup.release", wide, cites=fetch)
        assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("rule-reply-beyond",))

        leaf = await answer(found, "lookup.release", asked_for, cites=fetch)
        assert leaf.verdict is Verdict.ALLOWED
        (spent,) = (each for each in QUESTIONS.each(found.asking.database) if each.digest == fetch.digest)
        assert (spent.answered, spent.handle, spent.fields) == (True, "", frozenset())


async def test_answer_to_what_nothing_says_was_asked_is_refused(tmp_path: Path) -> None:
    """Without the record of what was asked nothing is taken in, neither a hit nor fields; the no is logged."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)
        search = asked(found, "lookup.search", at=0)
        fields, handle = release(found, "household_division"), hit(found)
        for question in (fetch, search):
            await destroy(found, question)
            await found.asking.sequencer.commit(partial(QUESTIONS.erase, value_id=question.digest))

        for kind, body, cites in (("lookup.release", fields, fetch), ("lookup.answer", handle, search)):
            leaf = await answer(found, kind, body, cites=cites)
            assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("rule-reply-question-gone",))
        assert outcome(found, fetch) is None


async def test_what_was_asked_goes_once_no_reply_is_taken_any_more(tmp_path: Path) -> None:
    """Expired, it is of no use to anybody."""
    async with border(tmp_path) as found:
        await waiting_fetch(found)
        assert list(QUESTIONS.each(found.asking.database))
        found.rig.clock.advance(days=2)
        await destroy_ended(found.asking)
        assert list(QUESTIONS.each(found.asking.database)) == []


async def test_two_answers_at_one_moment_leave_one(tmp_path: Path) -> None:
    """Both were judged before either was kept: one is taken in, the other refused when it is sent again."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)
        body = release(found, "household_division")
        came = await asyncio.gather(
            *(answer(found, "lookup.release", body, cites=fetch) for _ in range(2)), return_exceptions=True
        )
        leaves = [each for each in came if isinstance(each, Leaf)]
        assert all(isinstance(each, Leaf | UnavailableError) for each in came)
        assert [leaf.verdict for leaf in leaves].count(Verdict.ALLOWED) == 1
        assert all(leaf.policies == ("rule-reply-twice",) for leaf in leaves if leaf.verdict is Verdict.REFUSED)
        again = await answer(found, "lookup.release", body, cites=fetch)
        assert (again.verdict, again.policies) == (Verdict.REFUSED, ("rule-reply-twice",))


async def test_answer_by_an_office_that_is_no_police_is_refused(tmp_path: Path) -> None:
    """A court of the province asked does not answer what its intake desk owes."""
    async with border(tmp_path) as found:
        fetch = await waiting_fetch(found)

        leaf = await answer(found, "lookup.release", release(found, "household_division"), cites=fetch, office=COURT)

        assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("rule-reply-office",))
        assert outcome(found, fetch) is None


async def test_report_of_an_office_that_is_no_police_is_refused(tmp_path: Path, monkeypatch) -> None:
    """What a person is told of a province comes from the office that answers for it."""
    monkeypatch.setattr(reports, "WAIT_SECONDS", 0.0)
    async with border(tmp_path) as found:
        found.rig.faults(JIANGXI, ZHEJIANG).cut = True
        errand = begin_errand(found.asking, YUSHAN_POLICE, act("subject.access", "F01"))
        await reports.report(errand, ReportQuestion(citizen_number=NUMBER, identity_checked=True))
        request = asked(found, reports.REQUEST.name)
        empty = one_item_body(REPORT_BODY, encode_report(SubjectReport()))

        leaf = await answer(found, ANSWERED.name, empty, cites=request, office=COURT)
        assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("rule-reply-office",))
        assert (await answer(found, ANSWERED.name, empty, cites=request)).verdict is Verdict.ALLOWED


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
