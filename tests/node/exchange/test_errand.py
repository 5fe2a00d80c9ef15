"""An act of an agency is done once: who repeats it gets its first answer, who reuses its id gets none."""

from __future__ import annotations

import asyncio

import pytest

from federation.node.exchange.errand import Errand, begin_errand
from federation.protocol.errors import ConflictError, RuleError
from federation.protocol.form import Item, replace
from federation.store.records import Record, list_records, put_records
from tests.node.rig import HALL, POLICE, ZHEJIANG, Rig, act

KIND = "test-row"


class Made(Item, frozen=True, kw_only=True):
    """What the act came to."""

    row: str


def errand_of(rig: Rig, *, caller=HALL, given=None) -> Errand:
    return begin_errand(rig[ZHEJIANG], caller, given or act())


async def make(errand: Errand, row: str, *, what: str = "the same") -> str:
    """Writes a row of that name, once a request."""

    def write(transaction) -> Made:
        record = Record(
            id=row, kind=KIND, owner=ZHEJIANG, version=1, replica=False, status="", division="", content=b""
        )
        put_records(transaction, [record], expect_version=0)
        return Made(row=row)

    return (await errand.once(errand.asked("test", what), Made, write)).row


def rows(rig: Rig) -> list[str]:
    return [record.id for record in list_records(rig[ZHEJIANG].database, KIND, after_id="", limit=9, replica=False)]


async def test_repeat_gets_the_first_answer_and_writes_nothing(rig: Rig) -> None:
    """Also when the second call would have made something else."""
    given = act()
    first = await make(errand_of(rig, given=given), "one")

    assert await make(errand_of(rig, given=given), "two") == first == "one"
    assert rows(rig) == ["one"]
    asked = errand_of(rig, given=given).asked("test", "the same")
    known = errand_of(rig, given=given).remembered(asked, Made)
    assert known is not None
    assert (known.answer.row, known.version) == ("one", 1)


async def test_of_two_repeats_at_once_one_writes_and_both_get_its_answer(rig: Rig) -> None:
    """In one group of the writer, too."""
    given = act()
    calls = [make(errand_of(rig, given=given), name) for name in ("one", "two", "three")]
    answers = await asyncio.gather(*calls)

    assert len(set(answers)) == 1
    assert rows(rig) == [answers[0]]


async def test_id_is_bound_to_its_caller_and_to_what_was_asked(rig: Rig) -> None:
    """Another office, another content or another purpose under the id is told so, and nothing is written."""
    given = act()
    await make(errand_of(rig, given=given), "one")

    for other, what in (
        (errand_of(rig, caller=POLICE, given=given), "the same"),
        (errand_of(rig, given=given), "something else"),
        (errand_of(rig, given=replace(given, purpose="permit.check")), "the same"),
    ):
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            other.remembered(other.asked("test", what), Made)
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await make(other, "two", what=what)
    assert rows(rig) == ["one"]


async def test_act_that_fails_is_not_remembered(rig: Rig) -> None:
    """What the rows refuse is not done; the same request may succeed later."""
    given = act()
    errand = errand_of(rig, given=given)

    def fail(transaction) -> Made:
        raise RuleError("NOT_NOW", "expected another day")

    with pytest.raises(RuleError, match="NOT_NOW"):
        await errand.once(errand.asked("test", "the same"), Made, fail)

    assert await make(errand, "one") == "one"
