"""Alerts at the desks of Changshan as its node lists them, for tests of what a desk sees."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from federation.domain.alert import STAGES, AlertState
from federation.domain.alert_line import AlertLine, StageLine
from federation.domain.cap import Status
from federation.protocol.form import replace
from federation.protocol.ids import parse_agency_id, parse_node_name, parse_record_id, parse_time

NOW = parse_time("2026-04-04T02:16:22.000Z")
GOVERNANCE, TOWN, EMERGENCY = "330822.governance", "330822111.town", "330822.emergency"
LIMITS = dict(zip(STAGES, (timedelta(minutes=1), timedelta(minutes=3), timedelta(minutes=10)), strict=True))


def alert_line(number: int, ago: timedelta, made: tuple[int | None, ...] = (), **other: Any) -> AlertLine:
    """An alert raised so long before now; `made` are the seconds from T0 at which its stages were stamped."""
    raised = NOW - ago
    stages = []
    for stage, seconds in zip(STAGES, (*made, None, None, None), strict=False):
        at, limit = None if seconds is None else raised + timedelta(seconds=seconds), LIMITS[stage]
        late = raised + limit < NOW if at is None else at > raised + limit
        stages.append(StageLine(stage=stage, due=raised + limit, at=at, late=late))
    state = ([AlertState.OPEN, *STAGES])[sum(each is not None for each in made)]
    usual: dict[str, Any] = {
        "record": parse_record_id(f"zhejiang/0199e000-0000-7000-8000-{number:012d}"), "step": 1,
        "office": parse_agency_id("zhejiang/330822/governance"), "status": Status.ACTUAL, "kind": "dispute", "purpose": "alert.incident",
        "cap_id": f"330822101001EX_{raised:%Y%m%d%H%M%S}_{number % 10}", "zh": "纠纷警情", "en": "dispute", "function": "F12",
        "priority": "urgent", "areas": ("330822.circle.qiuchuan",), "area_names": ("球川圈",), "divisions": ("330822111",),
        "state": state, "raised_by": GOVERNANCE, "raised": raised, "arbiter": parse_node_name("zhejiang"),
        "expires": NOW + timedelta(hours=2), "changed": NOW, "holder": GOVERNANCE if made else "",
        "lease": NOW + timedelta(minutes=2) if made else None, "desks": (GOVERNANCE,), "stages": tuple(stages),
        "measured": True, "duty_class": "town",
    }  # fmt: skip
    return AlertLine(**(usual | other))


FIRE = alert_line(1, timedelta(seconds=79), kind="forest.fire", zh="森林火灾", en="forest fire", priority="flash",
                  area_names=("球川圈·东坑",), rung=60)  # fmt: skip
QUARREL = alert_line(2, timedelta(seconds=162), (30,), area_names=("球川–双明结对",), holder=TOWN)
HOUSE = alert_line(3, timedelta(seconds=262), (20, 100), kind="fire.structure", zh="建筑火灾", en="structure fire",
                   area_names=("芳村片",), holder=EMERGENCY, desks=(GOVERNANCE, EMERGENCY))  # fmt: skip
RISK = replace(
    alert_line(4, timedelta(hours=8), kind="forest.risk", zh="森林火险", en="forest fire risk", priority="routine",
               level="yellow", area_names=("全县",)), stages=(), issued=True,
)  # fmt: skip
BOARD = (RISK, HOUSE, QUARREL, FIRE)
