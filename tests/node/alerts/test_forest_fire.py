"""A forest fire passes each bound of the agreed table to the very number: one entry a trigger, on the leader's list too."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from federation.domain.alert import Alert
from federation.node.alerts import steps
from federation.protocol.ids import format_time
from federation.wire.agency.alerts import AlertQuery
from tests.node.alerts.border_desks import EMERGENCY, LEADER, YUSHAN_EMERGENCY, BorderDesks, border_desks
from tests.node.rig import JIANGXI, ZHEJIANG

FIRE = "forest.fire"
DAY = timedelta(hours=24)


def triggers(alert: Alert) -> list[int]:
    """The numbers that entries with effect say, in their order."""
    told = sorted(alert.named.values(), key=lambda done: done.at)
    return [int(str(done.head.fields["number"])) for done in told if done.head.act == "trigger"]


async def passes(border: BorderDesks, **said: str) -> list[int]:
    """The fire grows to these numbers; the triggers told so far."""
    await border.does(EMERGENCY, "update", kind=FIRE, **said)
    await border.settled()
    return triggers(border.alert(ZHEJIANG))


async def test_fire_that_grows_and_burns_for_a_day(tmp_path: Path) -> None:
    """Two dead and 99.9999 ha tell nobody; three, 100 ha and a whole day tell the province, each once, at both nodes."""
    async with border_desks(tmp_path) as border:
        begun = border.rig.clock()
        await border.raises(
            EMERGENCY,
            kind=FIRE,
            dead="2",
            area_m2="999999",
            expires=format_time(begun + 3 * DAY),
            ticked="province_line",
        )
        await border.settled()
        assert triggers(border.alert(ZHEJIANG)) == []
        await border.does(EMERGENCY, "claim", kind=FIRE)
        assert await passes(border, dead="3") == [3]
        assert await passes(border, area_m2="1000000") == [3, 2]
        assert await passes(border, area_m2="2000000", dead="4") == [3, 2]
        assert await passes(border, ticked="province_line,dangerous") == [3, 2, 7]

        border.rig.clock.time = begun + DAY - timedelta(milliseconds=1)
        await border.settled()
        assert triggers(border.alert(ZHEJIANG)) == [3, 2, 7]
        border.rig.clock.advance(milliseconds=1)
        await border.settled()
        assert triggers(border.alert(ZHEJIANG)) == triggers(border.alert(JIANGXI)) == [3, 2, 7, 5]

        for desk in (LEADER, YUSHAN_EMERGENCY):
            errand = border.errand(desk, kind=FIRE)
            page = await steps.list_alerts(errand, AlertQuery())
            assert border.record in {line.record for line in page.lines}
