"""A round of each duty costs what is due, not what lives: counted in the steps of the database, not in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from federation.node.exchange.errand import begin_errand
from federation.node.intake.clock import check_desk, check_pending, remind
from federation.node.lookups import records
from federation.node.lookups.records import list_steps
from federation.node.node import Node
from federation.node.retention import destroy_ended
from federation.protocol.errors import RuleError
from tests.node.intake import border as asking
from tests.node.retention.released import PURPOSE, released
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG, act

MORE = 12


class Steps:
    """Steps of SQLite's virtual machine, all connections together: a row more that is read is several more."""

    count = 0

    def __call__(self) -> int:
        self.count += 1
        return 0


@contextmanager
def counted(node: Node) -> Iterator[Steps]:
    steps = Steps()
    kept = (node.database._reader, node.database._writer)
    engines = [each.engine for each in kept]

    def watch(connection, *_) -> None:
        connection.set_progress_handler(steps, 1)

    for each in kept:
        each.give_back()
        event.listen(each.engine, "checkout", watch)
    try:
        yield steps
    finally:
        for each in kept:
            each.give_back()
        for engine in engines:
            event.remove(engine, "checkout", watch)
            with engine.connect() as connection:
                connection.connection.dbapi_connection.set_progress_handler(None, 0)


async def steps_of(duty: Callable[[Node], Awaitable[object]], node: Node) -> int:
    with counted(node) as steps:
        await duty(node)
    return steps.count


@pytest.mark.parametrize("duty", [destroy_ended, check_pending, check_desk])
async def test_round_with_nothing_due_costs_the_same_however_many_look_ups_live(tmp_path: Path, duty) -> None:
    """At who asked and at who answered: cases, questions, answers, handles and lines of the history all live."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        nodes = [found.rig[JIANGXI], found.rig[ZHEJIANG]]
        for node in nodes:
            await destroy_ended(node)
        few = [await steps_of(duty, node) for node in nodes]
        for _ in range(MORE):
            await found.search()
            await found.fetch()
        await found.rig.drain()
        for node in nodes:
            await destroy_ended(node)

        many = [await steps_of(duty, node) for node in nodes]

        assert min(few) > 0
        assert many == few


async def test_round_costs_more_once_something_is_due(tmp_path: Path) -> None:
    """What the test above counts would show a row that is read."""
    async with released(tmp_path) as found:
        node = found.rig[JIANGXI]
        await destroy_ended(node)
        quiet = await steps_of(destroy_ended, node)
        await found.search()

        assert await steps_of(destroy_ended, node) > quiet


async def test_steps_of_a_look_up_are_read_without_the_office_s_history(tmp_path: Path, monkeypatch) -> None:
    """Whatever an office asks, what came of one look-up costs what that one has; and of it, no more than is shown."""
    async with released(tmp_path) as found:
        lookup_id, node = found.lookup_id, found.rig[JIANGXI]

        async def read(at: Node) -> None:
            assert [asked.step for asked in list_steps(at.database, YUSHAN_POLICE, lookup_id)] == [
                "lookup.search", "lookup.fetch",
            ]  # fmt: skip

        async def remind_all(at: Node) -> None:
            with pytest.raises(RuleError, match="NOTHING_OWED"):
                await remind(begin_errand(at, YUSHAN_POLICE, act(PURPOSE, "F03")), lookup_id)

        few = [await steps_of(step, node) for step in (read, remind_all)]
        for _ in range(MORE):
            await found.search()
            await found.fetch()

        many = [await steps_of(step, node) for step in (read, remind_all)]
        assert max(after - before for before, after in zip(few, many, strict=True)) < MORE  # a row is several steps

        monkeypatch.setattr(records, "MAX_STEPS", 1)
        assert [asked.step for asked in list_steps(node.database, YUSHAN_POLICE, lookup_id)] == ["lookup.search"]


async def test_clocks_with_nothing_due_read_no_question_that_waits_for_a_person(tmp_path: Path) -> None:
    """At the desk and at who waits for it; the clock of each comes up by itself."""
    async with asking.border(tmp_path) as found:
        await found.search()
        few = [await steps_of(check_desk, found.answering), await steps_of(check_pending, found.asking)]
        for _ in range(MORE):
            await found.search()

        many = [await steps_of(check_desk, found.answering), await steps_of(check_pending, found.asking)]

        assert many == few
        found.rig.clock.advance(minutes=31)
        assert await steps_of(check_pending, found.asking) > few[1]
        await found.rig.drain()
        assert all(line.reminded for line in await found.inbox())
