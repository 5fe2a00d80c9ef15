"""One officer's name at two desks: certificates tell desks apart, and nobody sits at two within ten minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from federation.domain.lookup.watch import FlagKind
from federation.wire import identity
from tests.node.lookups.office import NUMBERS, office
from tests.node.rig import START, YUSHAN_POLICE


@contextmanager
def desk(serial: str) -> Iterator[None]:
    """A call that came by the certificate of that serial."""
    caller = identity.Caller(
        identity=YUSHAN_POLICE, node=YUSHAN_POLICE.node, serial=serial, not_before=START, not_after=START
    )
    identity.enter_call(caller)
    yield


async def test_search_from_a_second_desk_within_ten_minutes_is_flagged(tmp_path: Path) -> None:
    """One credential lent to a colleague: the second desk's first question is flagged, in the same case."""
    async with office(tmp_path) as found:
        await found.open()
        with desk("a1"):
            await found.search(NUMBERS[0])
        found.rig.clock.advance(minutes=9)
        with desk("b2"):
            await found.search(NUMBERS[1])
        assert found.flags() == [FlagKind.TWO_DESKS]


async def test_search_from_one_desk_or_after_a_walk_or_by_two_officers_is_not(tmp_path: Path) -> None:
    """The same certificate, another one after ten minutes, or another officer at the other desk."""
    async with office(tmp_path) as found:
        await found.open()
        with desk("a1"):
            await found.search(NUMBERS[0])
            found.rig.clock.advance(minutes=1)
            await found.search(NUMBERS[1])
        with desk("b2"):
            await found.search(NUMBERS[2], officer="officer-2")
            found.rig.clock.advance(minutes=11)
            await found.search(NUMBERS[3])
        assert found.flags() == []
