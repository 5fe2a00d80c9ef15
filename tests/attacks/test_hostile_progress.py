"""A province that answers falsely how far a case is, and one that gives its case another province's code (一案一码)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from federation.domain.joint_trace import format_case_code
from federation.domain.lookups import Outcome
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.exchange.replies import intake_office
from federation.node.joint import trace
from federation.node.joint.records import CASES
from federation.node.joint.trace import PROGRESS
from federation.protocol.errors import BridgeheadError, NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, Pair, parse_agency_id
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import list_messages
from federation.wire.agency.cases import TraceAnswer
from tests.node.joint.desks import STRANGER, VILLAGE, WHY, Desks, desks
from tests.node.rig import JIANGXI, ZHEJIANG, act, kit, one_item_body, sign, statement

CODE = format_case_code("361123", 2026, 1)
REQUEST = "0b2f4f9e-6c1e-4f6e-9a55-3f6f3c1f2d12"
HONEST = '{"lines":[{"en":"Registered","time":"2026-11-01T00:00:00.000Z","zh":"已登记"}]}'
COURT = parse_agency_id("jiangxi/361123/court")
SEQS = count(9_000)


async def asks(case: Desks) -> TraceAnswer:
    errand = begin_errand(case.rig[ZHEJIANG], VILLAGE, act(*WHY, request_id=REQUEST))
    return await trace.trace_case(errand, CODE)


@pytest.fixture
async def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desks]:
    """A counter of Changshan has asked Jiangxi, whose honest part hears nothing of it."""
    monkeypatch.setattr(trace, "WAIT_SECONDS", 0.05)
    async with desks(tmp_path) as made:
        made.rig.faults(ZHEJIANG, JIANGXI).cut = True
        assert (await asks(made)).outcome is Outcome.UNREACHABLE
        yield made


async def answers(case: Desks, item: str, *, office: AgencyId | None = None, cites: str = "") -> Verdict:
    """What Changshan's node says to an answer that Jiangxi's key signed."""
    asked = list_messages(case.rig[ZHEJIANG].database, "sent", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=9)[0]
    body = one_item_body(PROGRESS.media_type, item.encode())
    sender = Sender(node=JIANGXI, agency=office or intake_office(case.rig[ZHEJIANG].trust.in_force, JIANGXI))
    made = statement(
        case.rig, body, seq=next(SEQS), kind=PROGRESS.name, sender=sender, recipient=Recipient(node=ZHEJIANG),
        purpose=WHY[0], function=WHY[1], in_reply_to=cites or asked.digest,
    )  # fmt: skip
    sent = Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), body=body)
    return decode_leaf((await receive(case.rig[ZHEJIANG], sent, peer=JIANGXI)).leaf).verdict


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (HONEST.replace("已登记", "林甲 36112321900307001X"), "TRACE_NAMES_PERSON"),
        (HONEST.replace("已登记", "已\\u001b[2J"), "TEXT_UNSEEN"),
        (HONEST.replace('{"lines"', '{"applicant":"林甲","lines"'), "JSON_UNKNOWN_NAME"),
        ('{"lines":[' + ",".join([HONEST[10:-2]] * 201) + "]}", "JSON_TYPE"),
    ],
)
async def test_answer_that_holds_more_than_lines_is_not_taken_in(case: Desks, item: str, reason: str) -> None:
    """A person's number, what would write to a terminal, another field, more lines than are read: nothing is kept."""
    size = case.rig[ZHEJIANG].sequencer.head.size
    with pytest.raises(BridgeheadError) as caught:
        await answers(case, item)
    assert caught.value.reason == reason
    assert case.rig[ZHEJIANG].sequencer.head.size == size
    assert (await asks(case)).outcome is Outcome.UNREACHABLE


async def test_answer_of_another_office_a_second_one_and_one_that_nobody_asked_for(case: Desks) -> None:
    """Refused, logged, and without effect on what the counter is told."""
    assert await answers(case, HONEST, office=COURT) is Verdict.REFUSED
    with pytest.raises(BridgeheadError, match="REPLY_UNASKED"):
        await answers(case, HONEST, cites="ab" * 32)
    assert await answers(case, HONEST) is Verdict.ALLOWED
    assert await answers(case, HONEST.replace("已登记", "已办结")) is Verdict.REFUSED
    assert [line.zh for line in (await asks(case)).lines] == ["已登记"]


async def test_case_that_bears_another_provinces_code_is_not_found_by_it(case: Desks) -> None:
    """Whatever a row of ours says: a code leads to a case of the province that its digits name, or to none."""
    await case.open()
    line = replace(next(CASES.each(case.rig[ZHEJIANG].database)), code=CODE, step=99)
    for node in (ZHEJIANG, JIANGXI):
        await case.rig[node].sequencer.commit(partial(CASES.put, value=line, owner=node))

    assert (await trace.trace_case(begin_errand(case.rig[ZHEJIANG], VILLAGE, act(*WHY)), CODE)).lines == ()
    with pytest.raises(NotFoundError, match="CASE_CODE"):
        await trace.trace_case(begin_errand(case.rig[JIANGXI], STRANGER, act(*WHY)), CODE)
