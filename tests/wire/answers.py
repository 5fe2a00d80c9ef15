"""Sample values of what is asked and answered over the wire: who acts, permits, look-ups, reports, corrections."""

from datetime import UTC, date, datetime

from federation.domain.citizen_number import Sex
from federation.domain.clock import Deadline, Verified
from federation.domain.leads import HandedLead, Lead, LeadAnswer
from federation.domain.lookups import Outcome
from federation.domain.permits import Ground, Holder, Paper, PermitApplication, PermitItem, PermitStatus, PermitUrn
from federation.domain.recognition import Entitlement, Recognition, RecognitionOutcome, RecognitionReason
from federation.domain.reports import ReportLine
from federation.protocol.body import Body, Disclosure
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, NodeName, parse_agency_id
from federation.protocol.leaf import Verdict
from federation.protocol.policy.book import Decision, Grounds
from federation.protocol.receipt import Receipt, Submission
from federation.protocol.trust.agreement import AgreementFiles
from federation.wire.agency.audit import LoggedMessage, MessagePage
from federation.wire.agency.corrections import (
    CorrectionLine,
    CorrectionOutcome,
    CorrectionPage,
    CorrectionStanding,
    NoticeLine,
)
from federation.wire.agency.leads import LeadLine, LeadOutcome, LeadPage, LeadStanding
from federation.wire.agency.lookups import CaseAnswer, FetchResult, LookupLine, LookupPage, ProvinceAnswer, SearchResult
from federation.wire.agency.node import EndingLine, NodeStatus, PeerState, WitnessLine
from federation.wire.agency.reports import ProvinceReport, ReportPage
from federation.wire.peer import NodeTime, PairDigest
from federation.wire.rpc import Act, ruling_of

URN = PermitUrn("urn:permit:330822:2226:000123")
CITIZEN_NUMBER = "361123219003070011"
ACT = Act(request_id="6f0c4a1e-1f3b-4a55-9a38-0c8f7f6b1d2a", purpose="permit.sync", function="F01", officer="officer-7")
BODY = Body(type="application/vnd.bridgehead.permit+json", salt=b"s" * 32, items=(b'{"urn":"x"}', b"{}"))
SUBMISSION = Submission(envelope=b'{"payload":""}', body=BODY)
RECEIPT = Receipt(leaf=b'{"kind":"received"}', proof=b"c2sp.org/tlog-proof@v1\nindex 0\n")
FILES = AgreementFiles(
    roots=(b"root 1", b"root 2"),
    timestamp=b"timestamp",
    snapshot=b"snapshot",
    targets=b"targets",
    files={"members.json": b"{}", "policies/permit.cedar": b"permit(principal,action,resource);"},
)
DIGEST = PairDigest(count=3, root=b"r" * 32, highest=7)
ALLOWED = ruling_of(
    Decision(
        verdict=Verdict.ALLOWED,
        policies=("permit-register",),
        fields=frozenset({"urn", "holder_name"}),
        reason=Grounds.PERMITTED,
        title_zh="登记居住证",
        title_en="Register a permit",
    ),
    agreement_version=3,
)
REFUSED = ruling_of(
    Decision(
        verdict=Verdict.REFUSED,
        policies=("default-deny",),
        fields=frozenset(),
        reason=Grounds.DEFAULT_DENY,
        title_zh="没有规则允许此事",
        title_en="No policy allows this",
    ),
    agreement_version=3,
    explanation_zh="本县公安机关才可登记",
    explanation_en="Only the police of the county may register",
)
APPLICATION = PermitApplication(
    holder=Holder(
        name="测试甲",
        sex=Sex.MALE,
        ethnicity="汉",
        birth_date=date(2190, 3, 7),
        citizen_number=CITIZEN_NUMBER,
        photo_digest="ab" * 32,
        household_division="361123",
        household_address="冰溪镇1号",
    ),
    residence_division="330822",
    residence_address="球川镇2号",
    work_division="330822",
    issuer="常山县公安局",
    ground=Ground.JOB,
    residence_since=date(2225, 1, 2),
    apply_date=date(2226, 3, 1),
    accept_date=date(2226, 3, 2),
    papers=frozenset(Paper) - {Paper.GUARDIAN_IDENTITY},
    sealed=True,
)
ITEM = PermitItem(
    urn=URN,
    version=2,
    status=PermitStatus.SUSPENDED,
    residence_division="330822",
    issuer="常山县公安局",
    residence_address="球川镇2号",
    household_division="361123",
    household_address="冰溪镇1号",
    holder_name="测试甲",
    sex=Sex.FEMALE,
    ethnicity="畲",
    birth_date=date(2190, 3, 7),
    citizen_number=CITIZEN_NUMBER,
    photo_digest="cd" * 32,
    ground=Ground.STUDY,
    residence_since=date(2225, 1, 2),
    issue_date=date(2226, 3, 10),
    counted_from=date(2226, 3, 10),
    endorsed_until=date(2227, 3, 10),
    work_division="330822",
)
BARE_ITEM = PermitItem(urn=URN, version=1, status=PermitStatus.VALID, residence_division="330822")
RECOGNITION = Recognition(
    outcome=RecognitionOutcome.RECOGNISED_PART,
    reason=RecognitionReason.SERVICES_LIMITED,
    services=(Entitlement.EDUCATION, Entitlement.HEALTH),
    counted_days=12,
)
STATUS = NodeStatus(
    node=NodeName("jiangxi"),
    federation="bridgehead.example",
    realm="demo",
    software_version="0.1.0",
    agreement_version=3,
    agreement_digest="ab" * 32,
    agreement_freshness="fresh",
    agreement_expires=datetime(2027, 1, 1, tzinfo=UTC),
    tree_size=12,
    checkpoint=b"jiangxi.bridgehead.example/exchange/2026\n12\n",
    peers=(
        PeerState(
            node=NodeName("zhejiang"),
            reachable=True,
            waiting_count=2,
            oldest_waiting_time=datetime(2026, 11, 1, 8, 0, 0, 123000, tzinfo=UTC),
            last_receipt_time=datetime(2026, 11, 1, 9, tzinfo=UTC),
            cosigned_size=10,
            clock_offset_millis=-40,
            last_contact_time=datetime(2026, 11, 1, 9, 1, tzinfo=UTC),
            expired_count=3,
        ),
        PeerState(node=NodeName("fujian"), reachable=False),
    ),
    warnings=("fujian does not answer",),
    witnesses=(
        WitnessLine(
            name="jiangxi",
            cosigned_size=12,
            cosigned_time=datetime(2026, 11, 1, 9, 1, tzinfo=UTC),
            on_newest_head=True,
        ),
        WitnessLine(name="zhejiang", trouble="zhejiang disputes this log"),
    ),
    agreement_fresh_until=datetime(2026, 12, 1, tzinfo=UTC),
    disk_free_bytes=5 << 30,
    disk_size_bytes=9 << 30,
    bad_rows=2,
    endings=(
        EndingLine(name="tls/peer.crt", end_time=datetime(2027, 1, 30, tzinfo=UTC), renewed_by="bridgehead keys renew"),
    ),
    intake_waiting=4,
)
TIME = NodeTime(time=datetime(2026, 11, 1, 9, 1, 2, 345000, tzinfo=UTC))
MESSAGES = MessagePage(
    messages=(
        LoggedMessage(seq=1, envelope=b"one", log_index=4, receipt=RECEIPT),
        LoggedMessage(
            seq=2,
            envelope=b"two",
            log_index=5,
            head=Disclosure(index=0, item=b"head", salt=b"s" * 32, proof=(b"p" * 32, b"q" * 32)),
        ),
    ),
    next_after_seq=2,
)

CASE_OPENED = CaseAnswer(decision=ALLOWED, case_id="A3611-0042", closes=datetime(2027, 1, 1, 8, tzinfo=UTC))
CASE_REFUSED = CaseAnswer(decision=REFUSED, case_id="A3611-0042")
SEARCHED = SearchResult(
    lookup_id=ACT.request_id,
    answers=(
        ProvinceAnswer(
            node=NodeName("zhejiang"),
            outcome=Outcome.HIT,
            handle="h4nDle",
            expires=datetime(2026, 12, 1, 8, tzinfo=UTC),
            policies=("search-by-border-police",),
            title_zh="查询",
            title_en="Search",
        ),
        ProvinceAnswer(node=NodeName("fujian"), outcome=Outcome.UNREACHABLE),
    ),
)
FETCHED = FetchResult(
    decision=ALLOWED,
    outcome=Outcome.HIT,
    fields={"holder_name": "测试甲", "sex": "female"},
    expires=datetime(2026, 12, 1, 8, tzinfo=UTC),
    policies=("fetch-identity",),
    title_zh="取回身份字段",
    title_en="Fetch identity fields",
)
LOOKUPS = LookupPage(
    lines=(
        LookupLine(
            lookup_id=ACT.request_id,
            time=datetime(2026, 11, 30, 8, tzinfo=UTC),
            case_id="A3611-0042",
            node=NodeName("zhejiang"),
            step="lookup.fetch",
            officer="officer-7",
        ),
        LookupLine(
            lookup_id=ACT.request_id,
            time=datetime(2026, 11, 30, 7, tzinfo=UTC),
            case_id="A3611-0042",
            node=NodeName("zhejiang"),
            step="lookup.search",
            outcome=Outcome.HIT,
        ),
    ),
    next_page_token="next",
)


REPORT = ReportPage(
    decision=ALLOWED,
    lines=(
        ReportLine(
            time=datetime(2026, 3, 2, 2, 0, tzinfo=UTC),
            given_by=NodeName("zhejiang"),
            asker=parse_agency_id("jiangxi/361123/police"),
            asker_name="玉山县公安局",
            purpose="lookup.identity_check",
            function="F03",
            basis="居民身份证法第十五条",
            step="lookup.fetch",
            verdict=Verdict.REFUSED,
            fields=frozenset({"holder_name", "status"}),
        ),
    ),
    withheld_count=2,
    next_shown=date(2026, 4, 1),
    provinces=(ProvinceReport(node=NodeName("zhejiang"), outcome=Outcome.HIT, withheld_count=2, older_count=1),),
    next_page_token="next",
)


CORRECTION = CorrectionLine(
    correction_id=ACT.request_id,
    urn=URN,
    field="holder_name",
    value="徐谷语",
    words="户口簿上是语言的语",
    papers=("ab" * 32,),
    citizen_number="361123219003070012",
    filed_by=parse_agency_id("jiangxi/361123/service-hall"),
    filed_time=datetime(2026, 11, 23, 8, tzinfo=UTC),
    owner=NodeName("zhejiang"),
    standing=CorrectionStanding.OPEN,
    to_decide=True,
    overdue=True,
    deadline=Deadline(
        clock_id="share.correct",
        rule_version=1,
        calendar_version="2026.1",
        started=datetime(2026, 11, 23, 8, tzinfo=UTC),
        due=datetime(2026, 12, 7, 16, tzinfo=UTC),
        last_day=date(2026, 12, 7),
        extended_by=10,
        official=True,
        verified=Verified.UNREAD,
    ),
    answer="等待户籍地答复",
    answer_time=datetime(2026, 11, 24, 8, tzinfo=UTC),
    permit_version=3,
    policies=("rule-same-value",),
    title_zh="记录已是所申请的内容",
    title_en="the record says so already",
)
CORRECTION_WAITING = replace(
    CORRECTION,
    standing=CorrectionStanding.WAITING,
    to_decide=False,
    overdue=False,
    deadline=None,
    answer="",
    answer_time=None,
    permit_version=0,
    policies=(),
    title_zh="",
    title_en="",
)
CORRECTION_FILED = CorrectionOutcome(decision=ALLOWED, correction=CORRECTION_WAITING)
CORRECTION_STEP = CorrectionOutcome(decision=REFUSED)
CORRECTIONS = CorrectionPage(
    decision=ALLOWED,
    corrections=(CORRECTION, CORRECTION_WAITING),
    notices=(
        NoticeLine(time=datetime(2026, 12, 1, 8, tzinfo=UTC), owner=NodeName("zhejiang"), urn=URN, version=3),
        NoticeLine(
            time=datetime(2026, 12, 1, 8, tzinfo=UTC),
            owner=NodeName("zhejiang"),
            field="holder_name",
            case_id="A3611-0042",
        ),
        NoticeLine(
            time=datetime(2026, 12, 1, 8, tzinfo=UTC),
            owner=NodeName("jiangxi"),
            urn=URN,
            other=PermitUrn("urn:permit:361123:2026:000007"),
        ),
        NoticeLine(
            time=datetime(2026, 12, 1, 8, tzinfo=UTC),
            owner=NodeName("zhejiang"),
            urn=URN,
            version=2,
            decided_on=date(2026, 11, 30),
        ),
    ),
    next_page_token="next",
)


LEAD = Lead(
    offence="盗窃",
    county="330822",
    place="示例镇示例路9号",
    time=datetime(2026, 11, 22, 8, tzinfo=UTC),
    found=datetime(2026, 11, 23, 7, tzinfo=UTC),
    facts="一辆蓝色货车内发现成捆的电缆",
    measure="已扣押电缆",
    notice="ab" * 32,
    papers=frozenset({"cd" * 32, "ef" * 32}),
)
LEAD_LINE = LeadLine(
    handed=HandedLead(
        lead_id=MessageId("0193587f-0a00-7000-8000-000000000000"),
        lead=LEAD,
        finder=parse_agency_id("jiangxi/361123/police"),
        force=parse_agency_id("zhejiang/330822/police"),
        office=parse_agency_id("zhejiang/330822/police"),
        created=datetime(2026, 11, 23, 8, tzinfo=UTC),
        deadline=replace(CORRECTION.deadline, clock_id="police.handover", last_day=None),
        digest="12" * 32,
    ),
    standing=LeadStanding.DECLINED,
    overdue=True,
    answer=LeadAnswer(
        lead_id=MessageId("0193587f-0a00-7000-8000-000000000000"),
        accepted=False,
        reason="属铁路公安管辖",
        time=datetime(2026, 11, 24, 8, tzinfo=UTC),
    ),
    policies=("rule-lead-time",),
)
LEAD_HANDED_OVER = LeadOutcome(decision=ALLOWED, line=replace(LEAD_LINE, standing=LeadStanding.WAITING, answer=None))
LEADS = LeadPage(decision=ALLOWED, lines=(LEAD_LINE,), next_page_token="next")
