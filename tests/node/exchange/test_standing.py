"""What passes between members of which one is suspended, or was admitted for exercises alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.cap import Status
from federation.node.alerts.lists import each_open
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.exchange.send import send
from federation.node.leads import hand_over
from federation.node.status import standing_troubles, standing_warnings
from federation.protocol.errors import RuleError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.trust import Agreement
from federation.store.messages import count_pending
from tests.node.alerts.border_desks import CHANGSHAN, YUSHAN, border_desks
from tests.node.rig import JIANGXI, START, YUSHAN_POLICE, ZHEJIANG, Rig, act, draft, received, running_rig, submission
from tests.node.test_leads import HANDOVER, LEAD


def limited(agreement: Agreement, node: NodeName = JIANGXI, **limits: object) -> Agreement:
    """The next version, in which a member exchanges less than all, or all again; a majority of those that do witnesses."""
    members = {**agreement.members, node: replace(agreement.members[node], **limits)}
    files = {path: content for path, content in agreement.files.items() if not path.startswith("tlog-policy/")}
    return replace(agreement, version=agreement.version + 1, digest="cd" * 32, members=members, files=files)


async def sent(rig: Rig) -> str:
    return (await send(rig[ZHEJIANG], [draft()], rows=lambda _: None)).value[1][0]


async def test_messages_wait_out_a_suspension_and_arrive_once(tmp_path: Path) -> None:
    """Nothing leaves for a suspended member or is taken in from it; lifted, each message is there, once and in order."""
    async with running_rig(tmp_path) as rig:
        suspended = limited(rig.agreement, suspended_since=START)
        before = submission(rig, seq=900)
        receipt = await receive(rig[JIANGXI], before, peer=ZHEJIANG)
        rig.put_in_force(suspended)
        rig.start_delivery()
        first, second = [await sent(rig), await sent(rig)]
        delivery = rig.hosts[ZHEJIANG].parts.delivery
        while delivery.last_error(JIANGXI) is None:
            await rig[ZHEJIANG].waiters.wait("nobody", seconds=0.01)

        assert count_pending(rig[ZHEJIANG].database) == {JIANGXI: 2}
        assert "MEMBER_SUSPENDED" in str(delivery.last_error(JIANGXI))
        assert rig.faults(ZHEJIANG, JIANGXI).carried == []
        assert await receive(rig[JIANGXI], before, peer=ZHEJIANG) == receipt
        with pytest.raises(UnavailableError) as refused:
            await receive(rig[JIANGXI], submission(rig, seq=901), peer=ZHEJIANG)
        assert refused.value.reason == "MEMBER_SUSPENDED"
        assert len(received(rig[JIANGXI])) == 1

        rig.put_in_force(replace(limited(suspended, suspended_since=None), version=suspended.version + 1))
        await rig.drain()

        arrived = [message.id for message in received(rig[JIANGXI])]
        assert {first, second} <= set(arrived)
        assert len(arrived) == len(set(arrived))


async def test_suspended_and_in_exercises_is_said_by_the_status(tmp_path: Path) -> None:
    """Of itself it is a trouble, of another a warning; each says what to do next or when."""
    async with running_rig(tmp_path) as rig:
        assert [*standing_troubles(rig[JIANGXI]), *standing_warnings(rig[ZHEJIANG])] == []
        rig.put_in_force(limited(rig.agreement, suspended_since=START, exercise_until=START + timedelta(days=30)))

        (own,) = standing_troubles(rig[JIANGXI])
        assert "agreement draft --lift jiangxi" in own
        assert not list(standing_troubles(rig[ZHEJIANG]))
        exercise, suspension = standing_warnings(rig[ZHEJIANG])
        assert "2026-12-23" in exercise
        assert "jiangxi is suspended since" in suspension


@pytest.mark.parametrize("reason", ["MEMBER_SUSPENDED", "EXERCISE_ONLY"])
async def test_question_to_a_member_that_does_not_exchange_all_is_refused_at_the_desk(
    tmp_path: Path, reason: str
) -> None:
    """Who asks is told at once, by a rule that is logged; nothing is queued."""
    limits = {"suspended_since": START} if reason == "MEMBER_SUSPENDED" else {"exercise_until": START}
    async with running_rig(tmp_path) as rig:
        rig.put_in_force(limited(rig.agreement, ZHEJIANG, **limits))

        outcome = await hand_over(begin_errand(rig[JIANGXI], YUSHAN_POLICE, act(*HANDOVER)), LEAD)

        assert outcome.decision.policies == (f"rule-{reason.lower().replace('_', '-')}",)
        assert not outcome.decision.allowed
        assert count_pending(rig[JIANGXI].database) == {}


async def test_exercises_alone_pass_until_all_is_agreed_on(tmp_path: Path) -> None:
    """A drill is taken in on both sides; a real alert is neither raised there nor told there, and what is sent is refused."""
    async with border_desks(tmp_path) as border:
        rig = border.rig
        whole = rig.hosts[ZHEJIANG].trust.in_force.agreement
        rig.put_in_force(limited(whole, exercise_until=START + timedelta(days=30)))

        await border.raises(CHANGSHAN, status="Exercise")
        await border.settled()
        assert border.alert(JIANGXI).status == Status.EXERCISE
        await border.does(YUSHAN, "claim")
        await border.settled()
        assert border.alert(ZHEJIANG).hold is not None

        await border.raises(CHANGSHAN)
        await border.settled()
        offices = whole.members[JIANGXI].agencies
        assert [line for office in offices for line in each_open(rig[JIANGXI].database, office)] == []
        with pytest.raises(RuleError) as refused:
            await border.raises(YUSHAN, area="361123.circle.shuangming", division="361123108")
        assert refused.value.reason == "EXERCISE_ONLY"

        made = (await send(rig[ZHEJIANG], [draft()], rows=lambda _: None)).value[1][0]
        await rig.drain()
        (taken,) = [each for each in received(rig[JIANGXI]) if each.id == made]
        assert taken.verdict == "refused"

        rig.put_in_force(replace(whole, version=whole.version + 2))
        await border.raises(CHANGSHAN)
        await border.settled()
        assert border.alert(JIANGXI).status == Status.ACTUAL
