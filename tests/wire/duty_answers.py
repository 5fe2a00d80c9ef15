"""Sample values of what is asked and answered about duty."""

import base64
from datetime import date

from federation.domain.duty import Area, AreaType, Desk, DutyClass, MobileUnit, Volunteers
from federation.domain.duty_roster import DutyAct, DutyLine, HandOver, OnDuty, OpenAlert, OwnSignature
from federation.domain.duty_volunteers import Activity, Patrol, Volunteer
from federation.protocol.ids import parse_agency_id
from federation.wire.agency import duty
from tests.wire.answers import ALLOWED, REFUSED
from tests.wire.case_answers import TIME

AGENCY, DESK, UNIT = parse_agency_id("zhejiang/330822/town"), "330822111.town", "330822.wagon.1"
SIGNATURE, DAY = base64.b64encode(b"s" * 64).decode(), date(2026, 4, 4)
ON = (OnDuty(officer="town-1", since=TIME), OnDuty(officer="town-3", since=TIME, unit=UNIT, crew=("民警",)))
ALERT = OpenAlert(
    record="zhejiang/01936000-0000-7000-8000-000000000001", cap_id="33082211100000_20260404101503_0", kind="dispute",
    state="accepted", holder=DESK, lease=TIME, overdue=("contacted",),
)  # fmt: skip
HAND_OVER = HandOver(
    desk=DESK, agency=AGENCY, outgoing="town-1", incoming="town-2", time=TIME, before="ab" * 32, alerts=(ALERT,), more=1,
    promises=("十点前回访王家坞",),
)  # fmt: skip
SIGNED = OwnSignature(
    officer="town-1", key="ed25519:" + base64.b64encode(b"k" * 32).decode(), version=1, signature=SIGNATURE
)
LINE = DutyLine(
    desk=DESK, agency=AGENCY, number=3, time=TIME, act=DutyAct.OFFER, officer="town-1", before="ab" * 32, on=ON,
    charge="town-1", hand_over=HAND_OVER, signed=(SIGNED,),
)  # fmt: skip
STANDING = duty.DeskStanding(
    desk=Desk(
        id=DESK, name="球川镇值守席", agency=AGENCY, number="111", hours="08:00-22:00", kinds=("dispute", "help"),
        deputies=("330822.governance",), falls_to="330822.governance", leader="330822.leader", phone="100-0000-0104",
    ),
    is_open=True, is_here=True, manned=1, on=ON, charge="town-1", is_unhanded=True,
)  # fmt: skip
TABLE = duty.DutyTable(
    decision=ALLOWED, county="330822", version="2026.1", is_official=True, desks=(STANDING,), neighbours=("361123",),
    areas=(
        Area(
            id="pair.qiuchuan-shuangming", name="球川–双明结对", type=AreaType.PAIR, county=("330822", "361123"), duty_class=DutyClass.REMOTE,
            arrive_minutes=30, divisions=("330822111",), desks=(DESK,), neighbours=("361123.circle.shuangming",),
            kinds=("dispute",), downstream_first=("330822",),
        ),
    ),
    units=(MobileUnit(id=UNIT, name="民情直通车", base=DESK, crew=("民警",)),),
    kind_names={"dispute": "纠纷警情"},
    volunteers=(Volunteers(id="330822.guards", name="钱江源卫士", prefix="v-", may=("report",)),),
)  # fmt: skip
ROSTER_QUERY = duty.RosterQuery(desk=DESK, at=TIME, page_size=5, page_token="t")
ROSTER = duty.RosterPage(
    decision=ALLOWED,
    standing=STANDING,
    lines=(duty.BookLine(line=LINE, digest="cd" * 32, leaf=7),),
    next_page_token="next",
)
SIGNING_ON = duty.SigningOn(desk=DESK, unit=UNIT, crew=("民警",))
OUTCOME, REFUSAL = duty.DutyOutcome(decision=ALLOWED, line=LINE), duty.DutyOutcome(decision=REFUSED)
PLAN = duty.HandOverPlan(desk=DESK, incoming="town-2", promises=("十点前回访王家坞",))
PAPER = duty.HandOverPaper(decision=ALLOWED, hand_over=HAND_OVER)
SIGNING = duty.HandOverSigning(hand_over=HAND_OVER, signature=SIGNATURE)
ENROLMENT = duty.Enrolment(group="330824.guards", consent="ab" * 32)
VOLUNTEER = duty.VolunteerOutcome(
    decision=ALLOWED,
    volunteer=Volunteer(name="v-7kq2mx", group="330824.guards", version=2, consent="ab" * 32, enrolled=DAY, left=DAY),
)
REPORT = duty.PatrolReport(group="330824.guards", day=DAY, area="tri.qixi", volunteers=("v-7kq2mx",), found=2, fixed=1)
PATROL = Patrol(
    group="330824.guards", number=3, agency=AGENCY, day=DAY, area="tri.qixi", volunteers=("v-7kq2mx",), found=2, fixed=1
)
PATROLLED = duty.PatrolOutcome(decision=ALLOWED, patrol=PATROL)
PATROL_QUERY = duty.PatrolQuery(group="330824.guards", first_day=DAY, last_day=DAY, page_size=5, page_token="t")
PATROLS = duty.PatrolPage(
    decision=ALLOWED,
    activity=Activity(roster=2700, patrols=1, found=2, fixed=1),
    lines=(PATROL,),
    next_page_token="next",
)
