"""Corrections end: message, rows and the own desk's correction go after the term that the provinces agreed on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from federation.node.corrections.lines import CORRECTIONS
from federation.node.retention import destroy_ended
from federation.protocol.form import replace
from federation.store.messages import find_body
from tests.node.corrections.case import registered
from tests.node.retention.released import Border
from tests.node.retention.test_orders import sent
from tests.node.rig import HALL, JIANGXI, YUSHAN_HALL, ZHEJIANG


async def test_corrections_end_three_years_after_they_were_filed(tmp_path: Path, monkeypatch) -> None:
    """Filed across the border, answered, and filed at the own desk: each goes on its day and not before."""
    async with registered(tmp_path, monkeypatch) as case:
        fresh = case.rig.agreement.fresh_until_time + timedelta(days=1200)
        case.rig.put_in_force(replace(case.rig.agreement, fresh_until_time=fresh, expires_time=fresh))
        await case.file()
        await case.file(HALL, value="徐谷宇", papers=("ab" * 32,))
        await case.rig.drain()
        messages = [
            *sent(case.rig, JIANGXI, ZHEJIANG, "correction.request"),
            *sent(case.rig, ZHEJIANG, JIANGXI, "correction.answer"),
        ]
        case.rig.clock.advance(days=1096, seconds=-1)
        for at in (ZHEJIANG, JIANGXI):
            assert (await destroy_ended(case.rig[at])).corrections == 0
        await case.rig.drain()

        case.rig.clock.advance(seconds=2)
        ended = [(await destroy_ended(case.rig[at])).corrections for at in (ZHEJIANG, JIANGXI)]
        await case.rig.drain()

        assert ended[0] == 3  # request, own answer, the one of the own desk
        assert list(CORRECTIONS.each(case.rig[ZHEJIANG].database)) == []
        assert await case.lines(YUSHAN_HALL, everything=True) == ()
        for message in messages:
            assert {find_body(case.rig[at].database, message.id) for at in (ZHEJIANG, JIANGXI)} == {None}
        await Border(case.rig, tmp_path, None).verify()
