"""An invented day at the nodes of four provinces: their desks do it, time passes, and the figures are its answers."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

from federation.cli.demo.border_day import begin_of
from federation.cli.demo.border_plants import LEAST_PLANTED, border_day
from federation.cli.demo.border_replay import Question, Replay
from federation.cli.demo.border_story import Deed
from federation.domain.alert import Alert, AlertState
from federation.domain.clock import china_day
from federation.domain.response import Period, attain
from federation.node.alerts import steps
from federation.node.joint.records import ALERT, load_held
from federation.protocol.ids import NodeName, parse_record_id
from federation.wire.agency.alerts import AlertOutcome, AlertRaising
from tests.node.alerts.border_desks import BorderDesks, border_desks
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, ZHEJIANG

NODES = (ZHEJIANG, JIANGXI, FUJIAN, ANHUI)
ALERTS, SEED = 10, 3
TURNED = {"LINK_STATUS", "CASE_FIELD", "ALERT_RAISED_ALREADY"}
"""A link with a real alert, an update that changes the status, another first report."""


async def at_desk(border: BorderDesks, deed: Deed, kind: str, question: Question) -> AlertOutcome:
    """An officer asks the own node at the moment of the deed."""
    border.rig.clock.time = max(deed.at, border.rig.clock.time)
    errand = border.errand(deed.desk, kind=kind, officer=deed.officer)
    if isinstance(question, AlertRaising):
        return await steps.raise_alert(errand, question)
    return await steps.act_in_alert(errand, question)


async def test_border_day_at_four_nodes(tmp_path: Path) -> None:
    """Each node that is told of an alert has it as the others have, and 1-3-10 is as the answers say."""
    async with border_desks(tmp_path, NODES) as border:
        day = border_day(SEED, day=china_day(border.rig.clock()) + timedelta(days=1), rules=border.rules, count=ALERTS)

        replay = Replay(call=lambda deed, kind, question: at_desk(border, deed, kind, question))
        await replay.do_all(day.deeds)
        assert replay.refused == {}
        alerts = [await agreed(border, parse_record_id(record)) for record in replay.records.values()]

    begin = begin_of(day.day)
    period = Period(begin=begin, end=begin + timedelta(days=1), cut=begin + timedelta(days=3))
    for name, expected in day.attained.items():
        stage, _, duty_class = name.partition(" ")
        mine = [alert for alert in alerts if bool(alert.areas) == (duty_class == "remote")]
        found = attain(mine, AlertState(stage), period, measured=lambda kind: border.rules.table.kinds[kind].measured)
        assert (len(found.alerts), found.in_time, found.excused) == (
            expected.alerts,
            expected.in_time,
            expected.excused,
        )
    assert Counter(alert.state for alert in alerts).keys() <= {AlertState.CLOSED, AlertState.CANCELLED}


async def test_what_a_node_refuses(tmp_path: Path) -> None:
    """A colour on a quarrel, personal data, a place the wrong way round, an arrival before contact, a drill made real."""
    async with border_desks(tmp_path, NODES) as border:
        start = china_day(border.rig.clock()) + timedelta(days=1)
        day = border_day(SEED, day=start, rules=border.rules, count=LEAST_PLANTED)
        expected = {
            "colour": ("attempt", "LEVEL_NONE"), "personal": ("attempt", "TEXT_PERSONAL"),
            "swapped": ("attempt", "CASE_ITEM_FIELD"), "early_arrival": ("stamp.70", "STAMP_OUT_OF_ORDER"),
            "turned_real": ("turn", ""),
        }  # fmt: skip
        chosen = {name: day.planted[name][: 3 if name == "turned_real" else 1] for name in expected}
        numbers = {number for rows in chosen.values() for (number,) in rows}
        numbers |= {deed.other for deed in day.deeds if deed.number in numbers and deed.other}
        replay = Replay(call=lambda deed, kind, question: at_desk(border, deed, kind, question))
        await replay.do_all(deed for deed in day.deeds if deed.number in numbers)

    for name, (key, reason) in expected.items():
        for (number,) in chosen[name]:
            assert replay.refused.pop((number, key)) in ({reason} if reason else TURNED)
            assert number in replay.records  # and it went on
    assert replay.refused == {}


async def agreed(border: BorderDesks, record: str) -> Alert:
    border.record = parse_record_id(record)
    await border.settled()
    found = {name: load_held(ALERT, border.rig[NodeName(name)], border.record).state for name in NODES}
    told = [alert for alert in found.values() if alert is not None and alert.raised is not None]
    assert all(alert == told[0] for alert in told)
    return told[0]
