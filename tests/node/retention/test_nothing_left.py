"""A deletion receipt is only true: after an ordered erasure no row of either side still names the person."""

from __future__ import annotations

from pathlib import Path

from federation.node.lookups.intake.entries import list_entries
from federation.node.retention.orders import list_erasures
from federation.node.subjects.corrections.records import list_corrections
from federation.protocol.ids import AgencyId
from federation.store.messages import find_body
from federation.wire.retention.values import ErasureQuery, ErasureState
from tests.node.lookups.intake_border import XINZHOU
from tests.node.lookups.intake_border import border as intake_border
from tests.node.retention.test_orders import order, sent
from tests.node.rig import JIANGXI, YUSHAN_HALL, ZHEJIANG, Rig, act
from tests.node.subjects.corrections.case import registered


async def erase(rig: Rig, kind: str, caller: AgencyId) -> None:
    """Jiangxi orders its message of that kind erased, and Zhejiang's receipt says that it held it and does no more."""
    (message,) = sent(rig, JIANGXI, ZHEJIANG, kind)
    await order(rig, message.id, at=JIANGXI, caller=caller)
    await rig.drain()
    page = await list_erasures(rig[JIANGXI], ErasureQuery(), caller=caller, act=act("erasure.order", "F01"))
    assert [(line.state, line.was_held) for line in page.lines] == [(ErasureState.RECEIPTED, True)]
    assert find_body(rig[ZHEJIANG].database, message.id) is None


async def test_correction_request_that_is_erased_names_nobody(tmp_path: Path, monkeypatch) -> None:
    """The owner's correction and the filing office's line of it held number, new name and words."""
    async with registered(tmp_path, monkeypatch) as case:
        await case.file()
        await case.rig.drain()

        await erase(case.rig, "correction.request", YUSHAN_HALL)

        assert list(list_corrections(case.rig[ZHEJIANG].database, citizen_number="")) == []
        assert await case.lines(YUSHAN_HALL, everything=True) == ()


async def test_search_that_waits_and_is_erased_names_nobody(tmp_path: Path) -> None:
    """The entry at the desk held the whole number, and could still be answered."""
    async with intake_border(tmp_path) as found:
        await found.search()

        await erase(found.rig, "lookup.search", XINZHOU)

        number = found.person.holder.citizen_number
        assert all(kept.entry.person != number for kept in list_entries(found.rig[ZHEJIANG].database))
        assert await found.inbox() == ()
