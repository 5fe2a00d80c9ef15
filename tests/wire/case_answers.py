"""Sample values of what is asked and answered about joint cases."""

from datetime import UTC, date, datetime

from federation.domain.case_figures import Figure
from federation.domain.case_items import CaseItem
from federation.domain.joint_policy import CaseLine, Standing
from federation.domain.lookups import Outcome
from federation.protocol.ids import NodeName, parse_agency_id
from federation.wire.agency import cases
from tests.wire.answers import ALLOWED, REFUSED

TIME = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
OFFICE, LEAD = parse_agency_id("jiangxi/361123/governance"), parse_agency_id("zhejiang/330822/governance")
RECORD, CODE = "zhejiang/01936000-0000-7000-8000-000000000001", "33082220260000016"
FACT = CaseItem(kind="fact", fields={"text": "界路堆石", "agreed": "both"})
OPENING = cases.CaseOpening(
    procedure="dispute-mediation", role="centre", division="330822", fields={"source": "walk_in"}, items=(FACT,)
)
STEP = cases.CaseStep(case=CODE, name="add_fact", fields={"fact": "f1", "agreed": "both"}, items=(FACT,))
LINE = CaseLine(
    record=RECORD, office=OFFICE, step=3, code=CODE, procedure="dispute-mediation", title_zh="矛盾纠纷联调",
    title_en="Dispute mediation", stage="mediation", stage_zh="调解", stage_en="Mediation", tier="J",
    standing=Standing.MEMBER, roles=("peer",), lead=LEAD, opened=TIME, changed=TIME, clock="dispute.mediate", due=TIME,
    late=True, outcome="", waiting=2,
)  # fmt: skip
ENTRY = cases.EntryLine(
    name="ab" * 32, author=NodeName("zhejiang"), n=4, act="add_fact", act_zh="登记事实", act_en="file a fact",
    agency=LEAD, officer="officer-7", at=TIME, arrived=TIME, fields={"fact": "f1"},
    items=(FACT, CaseItem(kind="contact", fields={}, closed=2)), without_effect="CONDITION_MISSING",
    missing=("both_heard",),
    deliveries=(
        cases.CaseDelivery(
            node=NodeName("jiangxi"), state=cases.DeliveryState.REFUSED, policies=("deny-case-recused",)
        ),
    ),
)  # fmt: skip
OUTCOME = cases.CaseOutcome(decision=ALLOWED, line=LINE, entry=ENTRY)
VIEW = cases.CaseView(
    decision=ALLOWED,
    line=LINE,
    members=(
        cases.CaseMember(agency=OFFICE, roles=("peer",), roles_zh="对方单位", roles_en="counterpart", invited=True),
    ),
    clocks=(
        cases.CaseClock(
            key="dispute.mediate", started=TIME, due=None, late=False, floor=True, on_breach="escalate",
            source="人民调解法", verified="law_read", zh="受理告知", en="acceptance",
        ),
    ),
    offers=(
        cases.CaseOffer(
            act="move", zh="转入下一环节", en="go on to a stage", possible=False, reason="CONDITION_MISSING",
            missing=(cases.CaseMissing(name="both_heard", zh="双方均已听取", en="both were heard", rule="[P]"),),
            fields=("to:word!",), to="agreement",
        ),
    ),
    notices=(cases.CaseNotice(zh="等待浙江的第3条记录", en="waiting for entry 3 of zhejiang"),),
    trace=(cases.TraceLine(time=TIME, zh="调解中", en="In mediation"),),
    stages=(
        cases.CaseStage(
            id="mediation", zh="调解", en="Mediation", who=("mediator",), who_zh="调解员", who_en="mediator",
            tier="T-J", next=("agreement", "end"), entered=TIME,
        ),
    ),
    tasks=(
        cases.CaseTask(
            name="t1", owner=OFFICE, by=LEAD, given=TIME, due="2027-01-15", late=True, state="accept_task",
            state_zh="认领任务", state_en="accept a task", changed=TIME, asked="cd" * 32, offers=("report_result",),
        ),
    ),
)  # fmt: skip
PAGE = cases.EntryPage(decision=ALLOWED, lines=(ENTRY,), next_page_token="9")
CASES = cases.CasePage(decision=ALLOWED, lines=(LINE,), next_page_token="next")
DUE = cases.DuePage(decision=ALLOWED, lines=(LINE,), more=True)
FIGURES = cases.CaseFigures(
    decision=ALLOWED,
    lines=(Figure(name="items", zh="办件量", en="items", value="1", entries=("ab" * 32,)),),
)
TRACE = cases.TraceAnswer(
    decision=REFUSED, node=NodeName("zhejiang"), outcome=Outcome.UNREACHABLE, policies=("rule-quota-traces",)
)
TODAY = cases.TodayAnswer(
    decision=REFUSED, authorised=False, day=date(2026, 11, 24), home=parse_agency_id("fujian/350723/corrections"),
    home_name="光泽县社区矫正管理局", home_phone="100-0000-1303", outcome=Outcome.HIT, policies=("rule-quota-today",),
)  # fmt: skip
NEWS = (cases.CaseNews(token="c2VhbGVk", line=LINE), cases.CaseNews(decision=REFUSED))
LISTS = cases.ProcedureLists(
    names=("dispute-mediation",), title_zh="矛盾纠纷联调", title_en="Dispute mediation", purpose="dispute.mediation",
    function="F09", source="人民调解法", official=False,
    lines=(cases.ProcedureLine(list="duty", who="centre", zh="受理", en="accepts"),),
)  # fmt: skip
