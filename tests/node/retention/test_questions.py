"""Questions and reports name a person: neither side holds them when nothing needs them, and every log verifies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.lookups import Outcome
from federation.node import reports as subject
from federation.node.disclosures import tell_subject
from federation.node.erasure_receipts import RECEIPT_KIND
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.send import ENDS
from federation.node.lookups.ask import outcome_of
from federation.node.lookups.records import CASES_CLOSED, list_steps
from federation.node.readings import read_lookup
from federation.node.retention import destroy_ended
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.collection import seal_token
from federation.store.log_reader import find_entry
from federation.store.messages import StoredMessage, find_body, find_message, find_outbox, list_messages, load_body
from federation.wire.agency.erasure import RetentionRound
from federation.wire.agency.reports import ReportQuestion
from tests.node.retention.released import CASE, NUMBER, PURPOSE, Border, border, released
from tests.node.rig import FUJIAN, JIANGXI, NODES, YUSHAN_HALL, YUSHAN_POLICE, ZHEJIANG, act

CLERK = {"caller": YUSHAN_HALL, "act": act("subject.access", "F01")}
QUESTION = ReportQuestion(citizen_number=NUMBER, identity_checked=True, page_size=1)


def questions(found: Border) -> list[StoredMessage]:
    return [*found.sent(JIANGXI, "lookup.search"), *found.sent(JIANGXI, "lookup.fetch")]


def stay_in_force(found: Border) -> None:
    """The provinces have signed again for half a year: these tests outlast the agreement."""
    fresh = found.rig.agreement.fresh_until_time + timedelta(days=180)
    found.rig.put_in_force(replace(found.rig.agreement, fresh_until_time=fresh, expires_time=fresh))


def held_at(found: Border, messages: Sequence[StoredMessage], at: NodeName) -> list[str]:
    return [message.kind for message in messages if find_body(found.rig[at].database, message.id) is not None]


def reason_at(found: Border, message: StoredMessage, at: NodeName) -> str | None:
    entry = find_entry(found.rig[at].database, LeafKind.ERASURE, message.digest)
    return decode_leaf(entry[1]).reason if entry is not None else None


def stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("*.db*"))


async def test_questions_of_a_closed_case_die_on_both_sides(tmp_path: Path) -> None:
    """Body, salt and key go at the province asked, whose receipt names its leaf, and at the asker; logs verify."""
    async with released(tmp_path) as found:
        await found.close_case()
        await found.rig.drain()
        found.rig.clock.advance(hours=2)
        bodies = [load_body(found.rig[at].database, each.id) for each in questions(found) for at in (JIANGXI, ZHEJIANG)]
        held_before = len(found.sent(ZHEJIANG, RECEIPT_KIND))

        answered = await destroy_ended(found.rig[ZHEJIANG])
        await found.rig.drain()
        asked = await destroy_ended(found.rig[JIANGXI])
        await found.rig.drain()

        assert (answered.questions, asked.questions) == (2, 0)  # the receipts came first
        assert held_at(found, questions(found), ZHEJIANG) == held_at(found, questions(found), JIANGXI) == []
        assert {reason_at(found, each, ZHEJIANG) for each in questions(found)} == {"ERASED_CASE_CLOSED"}
        assert {reason_at(found, each, JIANGXI) for each in questions(found)} == {"ERASED_RECEIPTED"}
        assert len(found.sent(ZHEJIANG, RECEIPT_KIND)) - held_before == 2
        await found.verify()
        assert not any(part in stored(tmp_path) for body in bodies for part in (body.salt, *body.items))


@pytest.mark.parametrize("waited", ["open case", "answer"])
async def test_questions_that_are_needed_stay(tmp_path: Path, waited: str) -> None:
    """While the case runs a handle leads back to its search; while an answer may come the question is weighed again."""
    async with released(tmp_path) as found:
        if waited == "open case":
            found.rig.clock.advance(hours=30)
        else:
            await found.close_case()
            await found.rig.drain()

        for at in (ZHEJIANG, JIANGXI):
            assert (await destroy_ended(found.rig[at])).questions == 0
            await found.rig.drain()

        for at in (ZHEJIANG, JIANGXI):
            assert held_at(found, questions(found), at) == ["lookup.search", "lookup.fetch"]


async def test_questions_end_with_the_term_of_their_case_though_nobody_closes_it(tmp_path: Path) -> None:
    """A case over its term is as good as closed, at both sides by their own clocks."""
    async with released(tmp_path) as found:
        stay_in_force(found)
        found.rig.clock.advance(days=30, seconds=1)

        assert (await destroy_ended(found.rig[JIANGXI])).questions == 2
        assert (await destroy_ended(found.rig[ZHEJIANG])).questions == 2
        await found.rig.drain()

        assert {reason_at(found, each, JIANGXI) for each in questions(found)} == {"ERASED_CASE_CLOSED"}
        assert (await destroy_ended(found.rig[JIANGXI])) == RetentionRound()


async def test_question_to_a_province_that_is_away_dies_at_the_asker(tmp_path: Path) -> None:
    """Its receipt can not come: the asker destroys its own copy, and the other side does when it is back."""
    async with released(tmp_path) as found:
        await found.close_case()
        await found.rig.drain()
        found.rig.clock.advance(hours=2)
        found.rig.faults(JIANGXI, ZHEJIANG).cut = found.rig.faults(ZHEJIANG, JIANGXI).cut = True

        assert (await destroy_ended(found.rig[JIANGXI])).questions == 2
        assert held_at(found, questions(found), ZHEJIANG) == ["lookup.search", "lookup.fetch"]
        found.rig.faults(JIANGXI, ZHEJIANG).cut = found.rig.faults(ZHEJIANG, JIANGXI).cut = False
        await destroy_ended(found.rig[ZHEJIANG])

        await found.verify()
        assert held_at(found, questions(found), ZHEJIANG) == []


async def test_history_result_and_report_tell_the_same_after_the_questions_died(tmp_path: Path) -> None:
    """What came of each step, and what the person is told, does not lie in the questions."""
    async with released(tmp_path) as found:
        node = found.rig[JIANGXI]
        await found.close_case()
        await found.rig.drain()
        found.rig.clock.advance(hours=2)
        for at in (ZHEJIANG, JIANGXI):
            await destroy_ended(found.rig[at])
            await found.rig.drain()

        lines = list_steps(node.database, YUSHAN_POLICE, found.lookup_id)
        assert [outcome_of(node, line) for line in lines] == [Outcome.HIT, Outcome.HIT]
        result = await read_lookup(begin_errand(node, YUSHAN_POLICE, act(PURPOSE, "F03")), found.lookup_id)
        assert [step.erased is not None for step in result.steps] == [True, True]
        assert len(tell_subject(found.rig[ZHEJIANG], NUMBER, now=found.rig.clock()).lines) == 2


async def test_repeat_of_an_erased_question_gets_its_first_receipt(tmp_path: Path) -> None:
    """It comes again from the line: the same receipt, no body, no second answer."""
    async with released(tmp_path) as found:
        search = found.sent(JIANGXI, "lookup.search")[0]
        carried = [
            each for call in found.rig.faults(JIANGXI, ZHEJIANG).carried for each in call
            if each.envelope == search.envelope
        ]  # fmt: skip
        await found.close_case()
        await found.rig.drain()
        found.rig.clock.advance(hours=2)
        await destroy_ended(found.rig[ZHEJIANG])
        first = find_outbox(found.rig[JIANGXI].database, search.id)

        answers = await found.rig.links[JIANGXI, ZHEJIANG].submit(carried[:1], timeout_seconds=60)

        assert first is not None
        assert (answers[0].leaf, answers[0].proof) == (first.receipt_leaf, first.receipt_proof)
        assert find_body(found.rig[ZHEJIANG].database, search.id) is None


async def test_report_dies_a_week_after_it_was_asked_for_everywhere(tmp_path: Path) -> None:
    """Requests, answers and the line that names the person go at all four; a later page asks to ask again."""
    async with released(tmp_path) as found:
        stay_in_force(found)
        node = found.rig[JIANGXI]
        await subject.report(begin_errand(node, **CLERK), QUESTION)
        await found.rig.drain()
        (asked,) = subject.ASKED.each(node.database)
        token = seal_token(node.database.keys, f"{subject.ASKED.kind}/{YUSHAN_HALL}", f"{asked.report_id}.")
        later = replace(QUESTION, page_token=token)
        found.rig.clock.advance(days=7, seconds=-1)
        for at in NODES:
            assert (await destroy_ended(found.rig[at])).reports == 0
        await found.rig.drain()
        parts = [each for at in NODES for each in report_parts(found, at)]
        bodies = [load_body(found.rig[each.pair.sender].database, each.id) for each in parts]
        assert len(parts) == 6
        assert {each.outcome for each in (await subject.report(begin_errand(node, **CLERK), later)).provinces} == {
            Outcome.HIT
        }

        found.rig.clock.advance(seconds=2)
        with pytest.raises(NotFoundError, match="REPORT_UNKNOWN"):
            await subject.report(begin_errand(node, **CLERK), later)
        rounds = [await destroy_ended(found.rig[at]) for at in NODES]

        await found.rig.drain()
        assert all(each.reports for each in rounds)  # who sent destroys its own, or has the receipt already
        for message in parts:
            for at in (message.pair.sender, message.pair.recipient):
                assert find_body(found.rig[at].database, message.id) is None
                assert reason_at(found, message, at) is not None
        assert list(subject.ASKED.each(node.database)) == []
        await found.verify()
        assert not any(part in stored(tmp_path) for body in bodies for part in (body.salt, *body.items))


def report_parts(found: Border, sender: NodeName) -> list[StoredMessage]:
    """What that province sent for a report: requests, or its answer."""
    pairs = [Pair(sender, other) for other in NODES if other != sender]
    return [each for pair in pairs for each in list_messages(
        found.rig[sender].database, "sent", pair=pair, after_seq=0, limit=99,
        kinds=(subject.REQUEST.name, subject.ANSWERED.name),
    )]  # fmt: skip


async def test_request_of_a_report_that_never_left_is_destroyed_alone(tmp_path: Path, monkeypatch) -> None:
    """A province that was away never had it: no receipt is due, and nothing stays."""
    monkeypatch.setattr(subject, "WAIT_SECONDS", 0.2)
    async with border(tmp_path) as found:
        stay_in_force(found)
        found.rig.faults(JIANGXI, FUJIAN).cut = True
        await subject.report(begin_errand(found.rig[JIANGXI], **CLERK), QUESTION)
        found.rig.clock.advance(days=8)

        await destroy_ended(found.rig[JIANGXI])

        assert [find_body(found.rig[JIANGXI].database, each.id) for each in report_parts(found, JIANGXI)] == [None] * 3


async def test_round_reads_what_is_due_and_what_belongs_to_a_closed_case(tmp_path: Path) -> None:
    """What lives is not looked at before its time; a case that is closed brings its own forward, and is then done with."""
    async with released(tmp_path) as found:
        node, clock = found.rig[JIANGXI], found.rig.clock

        def due() -> set[str]:
            ends = ENDS.each_due_by(node.database, clock(), node.bad_rows.of("test"))
            messages = (find_message(node.database, end.direction, end.message_id) for end in ends)
            return {message.kind for message in messages if message is not None}

        assert due() == {"lookup.answer", "lookup.release"}
        await destroy_ended(node)
        assert due() == set()  # an answer ends at its time; a question is the clocks' until nothing is awaited
        clock.advance(hours=3)
        await destroy_ended(node)
        assert due() == set()
        clock.advance(hours=21)
        assert due() == {"lookup.answer", "lookup.release"}

        await found.close_case()
        assert list(CASES_CLOSED.each(node.database)) == [f"{JIANGXI}/{CASE}"]
        await destroy_ended(node)
        assert list(CASES_CLOSED.each(node.database)) == []
        assert (due(), list(ENDS.each(node.database, under="received/"))) == (set(), [])
