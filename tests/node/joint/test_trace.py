"""一案一码: how far a case is, told at any counter of any province, and nothing of a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain import joint_trace
from federation.domain.joint_trace import format_case_code, parse_case_code
from federation.domain.lookups import Outcome
from federation.node.exchange.errand import begin_errand
from federation.node.joint import trace
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, Pair
from federation.store.messages import find_body, list_messages
from federation.wire.agency.cases import TraceAnswer
from tests.node.joint.desks import CONTACT, OFFICES, PARTY, PEER, STRANGER, TOWN, WHY, Desks, desks, with_offices
from tests.node.rig import JIANGXI, ZHEJIANG, act

FORBIDS = b"""@id("keep-from-counters")
@title("x") @title_en("x") @basis("x") @clause1("x|x")
forbid (principal, action == Fed::Action::"case.trace", resource is Fed::JointCase)
when { resource.procedure == "dispute-mediation" };
"""
UNKNOWN = format_case_code("330822", 2026, 9)


async def asks(case: Desks, code: str, caller: AgencyId = STRANGER, *, request_id: str | None = None) -> TraceAnswer:
    errand = begin_errand(case.rig[caller.node], caller, act(*WHY, request_id=request_id))
    return await trace.trace_case(errand, code)


async def opened(case: Desks) -> str:
    await case.open()
    await case.does(TOWN, "add_party", PARTY, CONTACT, party="p1", side="A", role="applicant", county="330822")
    return case.case


def crossed(case: Desks) -> list[str]:
    """The kinds of message that went from Jiangxi to Zhejiang and back."""
    pairs = ((JIANGXI, "sent", Pair(JIANGXI, ZHEJIANG)), (JIANGXI, "received", Pair(ZHEJIANG, JIANGXI)))
    return [each.kind for at, way, pair in pairs
            for each in list_messages(case.rig[at].database, way, pair=pair, after_seq=0, limit=100)]  # fmt: skip


async def test_counter_of_a_province_that_takes_no_part_is_told_the_lines_and_no_party(tmp_path: Path) -> None:
    """The code names the province to ask; question and answer are signed, logged messages, and the party is in none."""
    async with desks(tmp_path) as case:
        code = await opened(case)
        told = await asks(case, code)

        assert (told.node, told.outcome) == (ZHEJIANG, Outcome.HIT)
        assert [line.zh for line in told.lines] == [f"已登记：您反映的纠纷已登记，编号{code}"]
        await case.rig.drain()
        assert crossed(case) == ["case.trace", "case.progress"]
        (answer,) = list_messages(
            case.rig[JIANGXI].database, "received", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=9
        )
        body = find_body(case.rig[JIANGXI].database, answer.id)
        assert body is not None
        assert not any(word in b"".join(body.items).decode() for word in ("林甲", "0011", "0570"))
        assert case.rig[JIANGXI].sequencer.head.size == 2


async def test_member_province_answers_from_what_it_holds(tmp_path: Path) -> None:
    """Nothing crosses for a case that is here."""
    async with desks(tmp_path) as case:
        code = await opened(case)
        await case.invites(PEER, "peer")
        before = crossed(case)

        told = await asks(case, code)

        assert (told.node, len(told.lines)) == (JIANGXI, 1)
        assert crossed(case) == before


async def test_unknown_code_and_one_that_is_told_to_nobody_answer_alike(tmp_path: Path, monkeypatch) -> None:
    """Across the border and at home: no case, and a case of which nothing may be told, are one answer."""
    async with desks(tmp_path) as case:
        code = await opened(case)
        monkeypatch.setattr(trace, "trace", lambda _: ())  # as of a procedure without lines for citizens

        said = []
        for asked, caller in ((code, STRANGER), (UNKNOWN, STRANGER), (code, TOWN), (UNKNOWN, TOWN)):
            with pytest.raises(NotFoundError) as caught:
                await asks(case, asked, caller)
            said.append((caught.value.reason, caught.value.message))
        assert len(set(said)) == 1
        assert said[0][0] == "CASE_CODE"


async def test_policy_of_the_answering_province_is_asked_of_the_case_itself(tmp_path: Path) -> None:
    """A rule that keeps one procedure from the counters is kept, and says no more than that there is nothing."""
    async with desks(tmp_path) as case:
        code = await opened(case)
        before = case.rig[ZHEJIANG].trust.in_force.agreement
        files = {**before.files, "policies/no-trace.cedar": FORBIDS}
        case.rig.put_in_force(replace(before, files=files, digest="ab" * 32))

        with pytest.raises(NotFoundError, match="anything to tell"):
            await asks(case, code)
        with pytest.raises(NotFoundError, match="anything to tell"):
            await asks(case, code, TOWN)


async def test_province_that_is_down_is_named_and_answers_the_same_request_later(tmp_path: Path, monkeypatch) -> None:
    """The counter is told who is not answering; the request, sent again, tells what came since."""
    monkeypatch.setattr(trace, "WAIT_SECONDS", 0.05)
    request = "0b2f4f9e-6c1e-4f6e-9a55-3f6f3c1f2d11"
    async with desks(tmp_path) as case:
        code = await opened(case)
        case.rig.faults(JIANGXI, ZHEJIANG).cut = True
        away = await asks(case, code, request_id=request)
        case.rig.faults(JIANGXI, ZHEJIANG).cut = False
        await case.rig.drain()
        again = await asks(case, code, request_id=request)

        assert (away.outcome, away.node, away.lines) == (Outcome.UNREACHABLE, ZHEJIANG, ())
        assert (again.outcome, len(again.lines)) == (Outcome.HIT, 1)
        assert crossed(case).count("case.trace") == 1


async def test_office_without_a_counter_is_refused_and_nothing_crosses(tmp_path: Path) -> None:
    """Its own province's policy says so, and logs it."""
    market = AgencyId(JIANGXI, "361123", "market")
    async with desks(tmp_path) as case:
        case.rig.put_in_force(with_offices(case.rig.agreement, (*OFFICES, market)))
        code = await opened(case)
        refused = await asks(case, code, market)
        assert (refused.decision.allowed, refused.lines) == (False, ())
        assert crossed(case) == []


async def test_codes_cannot_be_counted_through(tmp_path: Path, monkeypatch) -> None:
    """An office is stopped at its own node; where its node lets it on, the answering one stops it by rule."""
    monkeypatch.setattr(trace, "TRACES_A_DAY", 2)
    async with desks(tmp_path) as case:
        code = await opened(case)
        for _ in range(2):
            await asks(case, code)
        with pytest.raises(BridgeheadError) as caught:
            await asks(case, code)
        assert caught.value.reason == "QUOTA_TRACES"
        counted = trace._counted
        monkeypatch.setattr(
            trace, "_counted", lambda node, of: replace(counted(node, of), most=9 if node.name == JIANGXI else 2)
        )
        refused = await asks(case, code)
        assert (refused.outcome, refused.policies, refused.lines) == (Outcome.REFUSED, ("rule-quota-traces",), ())


@pytest.mark.parametrize("code", ["33082220260000019", "330822202600000", "3308222026000000X"])
def test_mistyped_code_is_told_at_once(code: str) -> None:
    """The last digit fits the others; nobody is asked."""
    with pytest.raises(MalformedError, match="17 digits"):
        parse_case_code(code)
    assert parse_case_code(format_case_code("330822", 2026, 1)) == "33082220260000014"


def test_answer_that_names_a_person_is_not_taken_in() -> None:
    """A line of another province holds no citizen number, whoever wrote its procedure."""
    line = '{"en":"x","time":"2026-11-01T00:00:00.000Z","zh":"11010122000101001X"}'
    with pytest.raises(MalformedError) as caught:
        joint_trace.decode_progress(f'{{"lines":[{line}]}}'.encode())
    assert caught.value.reason == "TRACE_NAMES_PERSON"
