"""Sample values of what is asked and answered about alerts."""

from federation.domain.alert import AlertState, Stamp
from federation.domain.alert_kinds import Colours
from federation.domain.alert_line import AlertLine, StageLine
from federation.domain.cap import CapFault, Status
from federation.domain.cap_rules import Standing
from federation.domain.case_items import CaseItem
from federation.protocol.ids import NodeName, parse_agency_id
from federation.wire.agency import alerts
from tests.wire.answers import ALLOWED, REFUSED
from tests.wire.case_answers import ENTRY, TIME

RECORD, CAP_ID = "zhejiang/01936000-0000-7000-8000-000000000001", "33082241600100_20260404101503_0"
DESK, OTHER = "330822.governance.duty", "361123.governance.duty"
FACT = CaseItem(kind="fact", fields={"text": "界路两车追尾"})
FIELDS = {
    "status": "Actual",
    "kind": "traffic.accident",
    "desk": DESK,
    "division": "330822",
    "area": "330822.road.g320",
}
RAISING = alerts.AlertRaising(fields=FIELDS, items=(FACT,))
STEP = alerts.AlertStep(alert=CAP_ID, name="hand_over", fields={"desk": DESK, "to": OTHER}, items=(FACT,))
LINE = AlertLine(
    record=RECORD, office=parse_agency_id("jiangxi/361123/governance"), step=3, cap_id=CAP_ID, status=Status.ACTUAL,
    kind="traffic.accident", zh="伤亡交通事故", en="Accident with casualties",
    purpose="alert.incident", function="F12", priority="urgent", level="", issued=False,
    areas=("330822.road.g320",), area_names=("G320 界段",), divisions=("330822",), state=AlertState.ACCEPTED,
    raised_by=DESK, raised=TIME, arbiter=NodeName("zhejiang"), expires=TIME, changed=TIME, holder=OTHER, local=True,
    lease=TIME, helpers=(DESK,), offer_to=DESK, offer_until=TIME, desks=(OTHER,), rings=(OTHER,), rung=60,
    stages=(
        StageLine(stage=AlertState.ACCEPTED, due=TIME, at=TIME, made=True, officer="officer-7", desk=OTHER),
        StageLine(stage=AlertState.CONTACTED, due=TIME, late=True, late_reason="road"),
    ),
    clock_doubtful=True, skew_seconds=92, links=1, waiting=2, measured=True, duty_class="town",
)  # fmt: skip
OUTCOME = alerts.AlertOutcome(decision=ALLOWED, line=LINE, entry=ENTRY)
VIEW = alerts.AlertView(
    decision=ALLOWED,
    line=LINE,
    texts=(FACT, CaseItem(kind="contact", fields={}, closed=2)),
    offers=(alerts.AlertOffer(act="claim", zh="签收", en="claim", possible=False, reason="HELD_BY_OTHER"),),
    later=(
        Stamp(
            stage=AlertState.ACCEPTED, desk=DESK, officer="officer-9", at=TIME, made=TIME, device="pad-1",
            late_reason="link", early=True,
        ),
    ),
    links=("jiangxi/01936000-0000-7000-8000-000000000002",), is_evidence=True, kept_days=1096,
)  # fmt: skip
QUERY = alerts.AlertQuery(page_size=5, page_token="t", status=Status.EXERCISE, open_only=True, desk=DESK)
PAGE = alerts.AlertPage(decision=ALLOWED, lines=(LINE,), next_page_token="next")
WATCH = alerts.AlertWatch(topic="exercise:desk:*", after="c2VhbGVk")
NEWS = (
    alerts.AlertNews(token="c2VhbGVk"),
    alerts.AlertNews(token="c2VhbGVl", line=LINE, act="claim"),
    alerts.AlertNews(decision=REFUSED),
)
EXPORT = alerts.AlertExport(alert=RECORD, entry="ab" * 32)
FILE = alerts.CapFile(decision=ALLOWED, content=b"<alert/>")
UPLOAD = alerts.CapUpload(content=b"<alert/>", desk=DESK)
PROPOSAL = alerts.CapProposal(
    decision=ALLOWED,
    id="cap-1",
    standing=Standing.NEW,
    faults=(CapFault(reason="CAP_DATUM", field="polygon", zh="坐标系未注明", en="no datum", warning=True),),
    line=LINE,
    fields=FIELDS,
    items=(FACT,),
)
KINDS = (
    alerts.AlertKindLine(
        id="dispute", zh="纠纷警情", en="dispute", purpose="alert.incident", function="F12", colours=Colours.NONE,
        priority="routine", expires=240, measured=True,
        crosses=(alerts.AlertFieldLine(id="place", zh="地点", en="place"),), never=("姓名 | names",),
    ),
)  # fmt: skip
