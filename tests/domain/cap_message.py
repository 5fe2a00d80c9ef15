"""A message that our profile lets out, and its file, for the tests of CAP."""

from datetime import timedelta
from pathlib import Path

from federation.domain.alert_kinds import Category, Certainty, Response, Severity, Urgency, parse_alerts
from federation.domain.cap import (
    KIND_CODE,
    RESTRICTION,
    Area,
    Block,
    CapMessage,
    MsgType,
    Named,
    Reference,
    Resource,
    Scope,
    Status,
    Wording,
)
from federation.domain.cap_xml import export_cap
from federation.domain.clock import CHINA_TIME
from federation.protocol.form import replace
from federation.protocol.ids import parse_time

TABLE = parse_alerts((Path(__file__).parents[2] / "policies" / "alerts.toml").read_text("utf-8"))
SENT = parse_time("2026-04-04T02:16:22.000Z").astimezone(CHINA_TIME)
SENDER = "330822.governance@zhejiang.bridgehead.example"
IDENTIFIER = "33082290200100_20260404101622_0"
RING = "28.9,118.4 28.95,118.4 28.95,118.5 28.9,118.4"
CHINESE = Wording(
    language="zh-CN",
    event="森林火灾",
    sender_name="常山县社会治安综合治理中心",
    headline="球川圈·东坑森林火灾特急",
    description="山脊见明火，风向东南，正向玉山一侧蔓延。",
    instruction="请玉山县派员到山脊线接应。",
    areas=("球川圈东坑",),
    resources=("现场示意图",),
)
FIRE = CapMessage(
    identifier=IDENTIFIER,
    sender=SENDER,
    sent=SENT,
    status=Status.ACTUAL,
    msg_type=MsgType.ALERT,
    scope=Scope.RESTRICTED,
    restriction=RESTRICTION,
    info=Block(
        categories=(Category.FIRE,),
        responses=(Response.AVOID, Response.EVACUATE),
        urgency=Urgency.IMMEDIATE,
        severity=Severity.SEVERE,
        certainty=Certainty.OBSERVED,
        event_codes=(Named(name=KIND_CODE, value="forest.fire"),),
        expires=SENT + timedelta(hours=24),
        contact="值守席位 0570-0000001",
        parameters=(
            Named(name="priority", value="特急"),
            Named(name="datum", value="WGS84"),
            Named(name="compartment", value="东坑12林班"),
        ),
        resources=(Resource(mime_type="image/png", size=1024, digest="ab" * 20),),
        areas=(
            Area(polygons=(RING,), circles=("28.92,118.43 1.5",), geocodes=(Named(name="GB/T 2260", value="330822"),)),
        ),
        wordings=(CHINESE,),
    ),
)
ENGLISH = Wording(
    language="en", event="Forest fire", sender_name="Changshan governance centre", headline="Forest fire at Dongkeng", description="Open flame on the ridge.",
    areas=("Dongkeng",), resources=("sketch",),
)  # fmt: skip
CANCEL = replace(
    FIRE,
    identifier="33082290200100_20260404104500_0",
    sent=SENT + timedelta(seconds=1718),
    msg_type=MsgType.CANCEL,
    note="误报，已核实为烧荒。",
    references=(Reference(sender=SENDER, identifier=IDENTIFIER, sent=SENT),),
    info=None,
)


def altered(old, new, message=FIRE):
    """The file of a message with one thing changed in its text."""
    text = export_cap(message).decode()
    assert old in text, old
    return text.replace(old, new, 1).encode()
