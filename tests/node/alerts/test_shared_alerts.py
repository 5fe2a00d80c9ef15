"""Alerts of two provinces at their nodes: raised, claimed by one desk, stamped, handed over, ended, the same on both."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.alert import AlertState
from federation.protocol.errors import RuleError
from tests.node.alerts.border_desks import CHANGSHAN, YUSHAN, BorderDesks, border_desks
from tests.node.rig import JIANGXI, ZHEJIANG


def same(border: BorderDesks) -> None:
    one, other = border.alert(ZHEJIANG), border.alert(JIANGXI)
    assert one == other


async def test_alert_is_on_the_neighbours_board_and_one_desk_has_it(tmp_path: Path) -> None:
    """Raised here, seen there silently; the neighbour claims, is receipted, and stamps; both fold the same."""
    async with border_desks(tmp_path) as border:
        raised = await border.raises()
        assert raised.decision.allowed, raised.decision
        assert raised.line is not None
        assert raised.line.rings
        claimed = await border.does(YUSHAN, "claim")
        assert claimed.line is not None, claimed.decision
        assert (claimed.line.holder, claimed.line.local) == (YUSHAN, False)
        with pytest.raises(RuleError) as caught:
            await border.does(CHANGSHAN, "claim")
        assert caught.value.facts["why"] == "HELD_BY_OTHER"
        await border.does(YUSHAN, "stamp", stage="contacted")
        await border.does(YUSHAN, "stamp", stage="arrived")
        await border.does(YUSHAN, "close", result="handled")
        await border.settled()
        same(border)
        assert border.alert(ZHEJIANG).state is AlertState.CLOSED
