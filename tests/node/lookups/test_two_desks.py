"""One officer's name at two desks: certificates tell desks apart, and nobody sits at two within ten minutes."""

from __future__ import annotations

from pathlib import Path

from federation.domain.oversight import FlagKind
from tests.node.lookups.office import NUMBERS, office


async def test_search_from_a_second_desk_within_ten_minutes_is_flagged(tmp_path: Path) -> None:
    """One credential lent to a colleague: the second desk's first question is flagged, in the same case."""
    async with office(tmp_path) as found:
        await found.open()
        await found.search(NUMBERS[0], desk="a1")
        found.rig.clock.advance(minutes=9)
        await found.search(NUMBERS[1], desk="b2")
        assert found.flags() == [FlagKind.TWO_DESKS]


async def test_search_from_one_desk_or_after_a_walk_or_by_two_officers_is_not(tmp_path: Path) -> None:
    """The same certificate, another one after ten minutes, or another officer at the other desk."""
    async with office(tmp_path) as found:
        await found.open()
        await found.search(NUMBERS[0], desk="a1")
        found.rig.clock.advance(minutes=1)
        await found.search(NUMBERS[1], desk="a1")
        await found.search(NUMBERS[2], officer="officer-2", desk="b2")
        found.rig.clock.advance(minutes=11)
        await found.search(NUMBERS[3], desk="b2")
        assert found.flags() == []
