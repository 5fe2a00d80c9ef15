"""What two provinces did while the line between them was cut: letters and resolutions, at two nodes, folded alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from federation.domain.joint_state import Case
from federation.node.joint import shown
from tests.node.joint.desks import PEER, TOWN, Desks, desks, digest
from tests.node.joint.test_entries import same
from tests.node.joint.test_mandates import carried_out
from tests.node.rig import JIANGXI, POLICE, YUSHAN_POLICE, ZHEJIANG


@contextmanager
def apart(case: Desks) -> Iterator[None]:
    ways = case.rig.faults(ZHEJIANG, JIANGXI), case.rig.faults(JIANGXI, ZHEJIANG)
    for way in ways:
        way.cut = True
    yield
    for way in ways:
        way.cut = False


def traced(case: Desks) -> list[str]:
    return [line.zh for line in shown.trace(case.held(JIANGXI))]


async def test_result_of_a_letter_and_the_coming_over_are_both_kept_and_the_person_is_told_when_they_may_be(
    tmp_path: Path,
) -> None:
    """The assisting force answers while the asking one takes over: one end at both, no entry lost, nothing told early."""
    async with desks(tmp_path, wait=0.05) as found:
        case = await carried_out(found)
        with apart(case):
            filed = await case.does(POLICE, "file_result", result="done", beyond="no", identity="match")
            await case.does(YUSHAN_POLICE, "come_over", why="办案民警已到达")
            await case.does(YUSHAN_POLICE, "close", outcome="taken_over")
        await case.settled()
        folded: Case = same(case)
        assert folded.outcome == "taken_over"
        assert filed.name in case.held(JIANGXI).kept
        assert filed.name in {*folded.named, *(entry.name for entry, _ in folded.without_effect)}

        assert traced(case) == ["有1项办理情况依法暂缓告知"]
        answered = await carried_out(found, number=8, paper="letter 8")
        assert (await answered.view(POLICE)).notices == ()
        await answered.does(POLICE, "file_result", result="done", beyond="yes", identity="match")
        assert "相应责任由协作地承担" in (await answered.view(POLICE)).notices[0].zh
        await answered.does(POLICE, "move", to="answered")
        await answered.settled()
        assert traced(answered) == ["有1项办理情况依法暂缓告知"]
        await answered.does(YUSHAN_POLICE, "allow_telling")
        assert traced(answered) == ["已应办案协作函，核查了您的身份和年龄"]


async def test_two_texts_that_were_signed_apart_are_no_minutes_until_one_is_issued_again(tmp_path: Path) -> None:
    """Each side signs its own text while the line is cut: both signatures stand, and neither text is the minutes."""
    async with desks(tmp_path, wait=0.05) as found:
        case = Desks(found.rig, why=("meeting.resolution", "F23"))
        await case.open(PEER, procedure="joint-meeting", role="chair", division="361123", fields={})
        await case.does(PEER, "call", day="2100-12-16", form="place")
        await case.does(PEER, "invite", agency=str(TOWN), role="member")
        await case.settled()
        await case.does(TOWN, "join")
        await case.settled()
        await case.does(PEER, "move", to="agenda")
        await case.does(PEER, "propose_item", item="patrol")
        await case.does(PEER, "move", to="held")
        await case.does(PEER, "record_presence", present=f"{PEER},{TOWN}")
        await case.does(PEER, "record_item", task="t1", owner=str(TOWN), due="2100-12-31")
        await case.does(PEER, "move", to="minutes")
        await case.does(PEER, "issue_minutes", minutes=digest("one"))
        await case.settled()
        with apart(case):
            await case.does(PEER, "sign_minutes", minutes=digest("one"))
            await case.does(TOWN, "sign_minutes", minutes=digest("other"))
        await case.settled()
        assert same(case).missing(("minutes_signed_by_all",))
        await case.does(PEER, "issue_minutes", minutes=digest("again"))
        await case.settled()
        for office in (PEER, TOWN):
            await case.does(office, "sign_minutes", minutes=digest("again"))
            await case.settled()
        assert not same(case).missing(("minutes_signed_by_all",))
