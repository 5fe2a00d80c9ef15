"""One damaged row among many: whoever can write to the database file spoils one, and waits for a duty to stop."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from federation.domain.erasure import ErasureGrounds
from federation.node.ends import find_end
from federation.node.erasure import ORDER_KIND, order_erasure
from federation.node.exchange.errand import begin_errand
from federation.node.intake.clock import check_desk, check_pending
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.entries import settle_due
from federation.node.joint.records import CASE, load_held
from federation.node.log.bad_rows import LINES_A_MINUTE, BadRows
from federation.node.lookups.records import HANDLES
from federation.node.node import Node
from federation.node.retention import destroy_ended
from federation.protocol.errors import CorruptError
from federation.protocol.ids import parse_record_id
from federation.store.messages import count_expired, count_pending, find_body, find_outbox_state, oldest_pending
from federation.wire.agency.erasure import ErasureQuestion
from tests.node.exchange.test_deliver import outcomes, queue
from tests.node.exchange.test_resend import expire
from tests.node.intake import border as asking
from tests.node.joint.desks import desks
from tests.node.lookups.office import office
from tests.node.oversight.test_leader_desk import names, watch
from tests.node.oversight.test_oversight import put, raised
from tests.node.retention.released import released
from tests.node.rig import JIANGXI, POLICE, ZHEJIANG, Rig, act, running_rig

pytestmark = pytest.mark.attack("one damaged row among many", held_by="a duty tells it, passes over it and goes on")
DAMAGE = ("content = x'00'", "content = 7", "due_date = 'no day'", "owner = CAST(x'ff' AS TEXT)")
"""Sealed bytes cut short, a value of another type, one that no column takes, one that no reader decodes."""


def spoil(rig: Rig, node: str, change: str) -> None:
    """What an administrator of the machine does with any tool, in the real file."""
    with closing(sqlite3.connect(rig.hosts[node].path)) as connection:
        assert connection.execute(change).rowcount == 1, change
        connection.commit()


def first_of(kind: str) -> str:
    return f"kind = '{kind}' AND id = (SELECT min(id) FROM record WHERE kind = '{kind}')"


def told(node: Node, duty: str) -> list[str]:
    return [row for of, row in node.bad_rows._met if of == duty]


@pytest.mark.parametrize("damage", DAMAGE)
async def test_round_of_retention_ends_the_others(tmp_path: Path, damage: str) -> None:
    """The handle that cannot be read stays, named; the one behind it is destroyed."""
    async with released(tmp_path) as found:
        await found.search()
        node = found.rig[ZHEJIANG]
        kept = list(HANDLES.each(node.database))
        spoil(found.rig, ZHEJIANG, f"UPDATE record SET {damage} WHERE {first_of('lookup-handle')}")
        found.rig.clock.advance(hours=24, seconds=1)

        with capture_logs() as lines:
            done = await destroy_ended(node)
            again = await destroy_ended(node)

        assert (len(kept), done.handles, again.handles) == (2, 1, 0)
        assert len(told(node, "retention")) == node.bad_rows.count() == 1
        assert [line["duty"] for line in lines if line["event"] == "row.passed_over"] == ["retention"]


@pytest.mark.parametrize("damage", ["envelope = x'00'", "envelope = 7", "created_millis = 'x'"])
async def test_message_that_cannot_be_read_keeps_no_other_alive(tmp_path: Path, damage: str) -> None:
    """At the asker, which destroys what came: the answer in front is damaged, the release behind it dies."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        answer, release = found.sent(ZHEJIANG, "lookup.answer")[0], found.sent(ZHEJIANG, "lookup.release")[0]
        spoil(found.rig, JIANGXI, f"UPDATE message SET {damage} WHERE direction = 'received' AND id = '{answer.id}'")
        found.rig.clock.advance(hours=24, seconds=1)

        done = await destroy_ended(found.rig[JIANGXI])
        await found.rig.drain()

        assert (done.answers, done.releases) == (0, 1)
        assert find_body(found.rig[JIANGXI].database, release.id) is None
        assert find_body(found.rig[ZHEJIANG].database, release.id) is None  # its receipt left, too
        assert told(found.rig[JIANGXI], "retention")


async def test_body_that_the_giver_cannot_read_ends_with_its_case(tmp_path: Path) -> None:
    """Until when it was given stands in the body; told, and destroyed when nobody may hold it any more."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        node, release = found.rig[ZHEJIANG], found.sent(ZHEJIANG, "lookup.release")[0]
        spoil(found.rig, ZHEJIANG, f"UPDATE message_body SET content = x'00' WHERE message_id = '{release.id}'")

        until = find_end(node, node.trust.in_force, release, now=found.rig.clock())
        assert not isinstance(until, ErasureGrounds)
        assert until is not None
        assert told(node, "retention") == [f"sent {release.id}"]

        found.rig.clock.advance(hours=24, seconds=1)
        await destroy_ended(found.rig[JIANGXI])  # the asker's receipt comes before the case has ended
        await destroy_ended(node)
        await found.close_case()
        await found.rig.drain()
        await destroy_ended(node)

        assert find_outbox_state(node.database, release.id) == "settled"
        with closing(sqlite3.connect(found.rig.hosts[ZHEJIANG].path)) as connection:
            left = connection.execute("SELECT count(*) FROM message_body WHERE message_id = ?", (release.id,))
            assert left.fetchone() == (0,)


async def test_what_cannot_be_said_anew_keeps_nothing_else_unsaid(tmp_path: Path) -> None:
    """The first order's body is damaged: the second is said anew, and the round comes to its end."""
    async with released(tmp_path) as found:
        await found.search()
        await found.fetch()
        await found.rig.drain()
        node = found.rig[ZHEJIANG]
        releases = found.sent(ZHEJIANG, "lookup.release")
        found.rig.faults(ZHEJIANG, JIANGXI).cut = True
        for each in releases:
            await order_erasure(
                begin_errand(node, POLICE, act("erasure.order", "F01")),
                ErasureQuestion(message_id=each.id, words="误发 in error"),
            )
        await expire(found.rig, ZHEJIANG, JIANGXI)
        await found.rig.restore(ZHEJIANG, JIANGXI)
        first, second = found.sent(ZHEJIANG, ORDER_KIND)
        spoil(found.rig, ZHEJIANG, f"UPDATE message_body SET content = x'00' WHERE message_id = '{first.id}'")

        await destroy_ended(node)
        await found.rig.drain()

        assert [find_outbox_state(node.database, each.id) for each in (first, second)] == ["missed", "expired"]
        assert len(found.sent(ZHEJIANG, ORDER_KIND)) == 3
        assert find_body(found.rig[JIANGXI].database, releases[1].id) is None
        assert told(node, "resend") == [f"sent {first.id}"]


async def test_clocks_go_on_at_both_sides(tmp_path: Path) -> None:
    """A question whose body, and a desk's entry which, cannot be read: the others are reminded of and escalated."""
    async with asking.border(tmp_path) as found:
        for _ in range(2):
            await found.search()
        spoil(found.rig, ZHEJIANG, f"UPDATE record SET content = x'00' WHERE {first_of('lookup-intake')}")
        in_first = "SELECT min(id) FROM message WHERE kind = 'lookup.search'"
        spoil(found.rig, JIANGXI, f"UPDATE message_body SET content = x'00' WHERE message_id = ({in_first})")
        found.rig.clock.advance(minutes=31)

        await check_pending(found.asking)
        found.rig.clock.advance(minutes=15)
        await check_desk(found.answering)

        assert [len(told(node, "clocks")) for node in (found.asking, found.answering)] == [1, 1]
        with closing(sqlite3.connect(found.rig.hosts[JIANGXI].path)) as connection:
            assert connection.execute("SELECT count(*) FROM record WHERE kind = 'lookup-second'").fetchone() == (1,)


async def test_stream_of_notices_goes_on_behind_it(tmp_path: Path) -> None:
    """The number that is missing shows it; what came after it is told."""
    async with office(tmp_path) as found:
        await put(found, *(raised(found, number) for number in range(3)))
        spoil(found.rig, JIANGXI, f"UPDATE record SET content = x'00' WHERE {first_of('lookup-flag')}")
        async with watch(found, "0") as stream:
            assert [names(await anext(stream)) for _ in range(2)] == ["l-1", "l-2"]
        assert len(told(found.rig[JIANGXI], "watch")) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "message SET digest = CAST(x'ff' AS TEXT) WHERE seq = 1 AND direction = 'sent'",
        "message SET digest = x'ff' WHERE seq = 1 AND direction = 'sent'",
        "outbox SET message_id = CAST(x'ff' AS TEXT) WHERE seq = 1",
        "outbox SET peer = CAST(x'ff' AS TEXT) WHERE seq = 1",
        "outbox SET seq = 'x' WHERE seq = 1",
        "outbox SET expires_millis = 'x' WHERE seq = 1",
    ],
)
async def test_row_of_the_queue_that_is_no_text_stalls_no_lane(tmp_path: Path, damage: str) -> None:
    """What stands behind it arrives, what is queued later, too; the status is told and counts it."""
    async with running_rig(tmp_path) as rig:
        ids = await queue(rig, 3)
        spoil(rig, ZHEJIANG, f"UPDATE {damage}")
        rig.start_delivery()

        assert await outcomes(rig, ids[1:]) == {"settled"}
        assert await outcomes(rig, await queue(rig)) == {"settled"}
        count_expired(rig[ZHEJIANG].database)
        assert sum(count_pending(rig[ZHEJIANG].database).values()) == 1
        assert oldest_pending(rig[ZHEJIANG].database).keys() <= {JIANGXI, "\\xff"}
        if "digest" in damage:
            assert told(rig[ZHEJIANG], "delivery") == [f"sent {ids[0]}"]


def test_many_damaged_rows_fill_neither_log_nor_memory() -> None:
    """A few lines a minute for a duty, a bounded number remembered, and no warning once they are mended."""
    now = 0.0
    rows = BadRows(clock=lambda: now)
    with capture_logs() as lines:
        for number in range(5000):
            rows.of("retention")(f"row {number}", CorruptError("SEALED_VALUE", "expected another"))
    assert len(lines) == LINES_A_MINUTE
    assert rows.count() == 1000

    now = 25 * 3600.0
    assert rows.count() == 0


async def test_round_of_joint_cases_goes_on_behind_one_that_cannot_be_settled(tmp_path: Path) -> None:
    """The case with the damaged entry is named; the clock of the one behind it is written."""
    async with desks(tmp_path) as case:
        for _ in range(2):
            await case.open()
        node = case.rig[ZHEJIANG]
        first, second = sorted(parse_record_id(each.line.record) for each in case.outcomes if each.line is not None)
        case.rig.clock.advance(days=8)
        spoil(case.rig, ZHEJIANG, f"UPDATE record SET content = x'00' WHERE {first_of('case-entry')}")
        node.folds.clear()
        await settle_due(CASES_SHARED, node)
        assert told(node, "cases") == [first]
        assert "overdue" in [kept.head.act for kept in load_held(CASE, node, second).kept.values()]
