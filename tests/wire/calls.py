"""One call of every RPC: who may make it, what is asked, what the function behind it answers."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from federation.domain.intake import RefusalReason
from federation.domain.lookups import Selector, SelectorKind, Urgency
from federation.domain.officers import KeyStanding, OfficerKey
from federation.domain.oversight import Finding, FlagKind, SampleFinding
from federation.domain.permits import PermitStatus, PermitUrn, RevokeReason
from federation.domain.recognition import Confirmation, RecognitionMode, RecognitionOutcome
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, Pair, parse_agency_id
from federation.wire.agency import (
    alerts,
    audit,
    cases,
    corrections,
    documents,
    duty,
    erasure,
    figures,
    intake,
    keys,
    leads,
    lookups,
    node,
    oversight,
    permits,
    registers,
    reports,
)
from federation.wire.gatekeeper import Binding
from federation.wire.peer import (
    DIGEST_RANGE,
    FETCH_AGREEMENT,
    FETCH_DOCUMENT,
    SUBMIT,
    TELL_TIME,
    AgreementQuery,
    RangeQuestion,
)
from federation.wire.rpc import Nothing, PageQuery, Rpc, Side
from tests.wire import (
    alert_answers,
    answers,
    case_answers,
    document_answers,
    duty_answers,
    erasure_answers,
    intake_answers,
    oversight_answers,
    register_samples,
)
from tests.wire.answers import ACT, ALLOWED, APPLICATION, BARE_ITEM, CITIZEN_NUMBER, ITEM, REFUSED, URN

ZHEJIANG = NodeName("zhejiang")
POLICE, HALL = parse_agency_id("jiangxi/361123/police"), parse_agency_id("jiangxi/361123/service-hall")
MARKET, AUDITOR = parse_agency_id("jiangxi/361123/market"), parse_agency_id("jiangxi/360000/audit")
CASE_ID, GLASS = "A3611-0042", "BREAK-GLASS-2026-001"
LOOKUP_ID = "01a2076b-4400-7291-b85e-b162f6ac09ad"
AWAITED: frozenset[Rpc[Any, Any]] = frozenset()
"""Lines that no node answers yet: METHOD_NOT_OFFERED. A line whose step is there does not stand here."""
SIGNATURE = base64.b64encode(b"s" * 64).decode()

RECOGNISE = permits.PermitRecognition(urn=URN, mode=RecognitionMode.TIME, citizen_number=CITIZEN_NUMBER)
CASE = lookups.CaseQuestion(
    case_id=CASE_ID,
    letter="赣公协〔2026〕7号",
    counties=frozenset({"330822", "330881"}),
    purposes=frozenset({"lookup.criminal_investigation"}),
    days=30,
    leader="leader-1",
)
SEARCH = lookups.LookupQuestion(
    case_id=CASE_ID,
    selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=CITIZEN_NUMBER),
    provinces=(ZHEJIANG,),
    urgency=Urgency.URGENT,
)
FETCH = lookups.FetchQuestion(
    case_id=CASE_ID,
    node=ZHEJIANG,
    handle="h4nDle_-" * 4,
    fields=frozenset({"holder_name", "sex"}),
    officer_key=base64.b64encode(b"k" * 32).decode(),
    officer_signature=SIGNATURE,
)
LOOKUP_QUERY = lookups.LookupQuery(case_id=CASE_ID, page_size=5, page_token="t")
RELEASE = intake.ReleaseQuestion(
    request_id=LOOKUP_ID, fields=frozenset({"citizen_number", "work_division"}), signature=SIGNATURE
)
REFUSE = intake.RefuseQuestion(
    request_id=LOOKUP_ID, reason=RefusalReason.TOO_BROAD, words="请缩小范围", signature=SIGNATURE
)
INTAKE_QUERY = intake.IntakeQuery(ended=True, page_size=5, page_token="3")
COUNTERSIGN = oversight.CountersignQuestion(case_id=CASE_ID, signature=SIGNATURE, bulk=True)
PAGE = PageQuery(page_size=5, page_token="t")
REVIEW = oversight.ReviewQuestion(case_id=GLASS, finding=Finding.UNJUSTIFIED, signature=SIGNATURE, words="无警情记录")
FLAG_QUERY = oversight.FlagQuery(officer="officer-7", kind=FlagKind.HONEY, case_id=CASE_ID, page_size=5, page_token="t")
DIGEST_QUESTION = oversight.DigestQuestion(officer="officer-7", day=date(2026, 11, 23), signature=SIGNATURE)
SAMPLE_QUERY = oversight.SampleQuery(with_reviewed=True, page_size=5, page_token="t")
SAMPLE_REVIEW = oversight.SampleReviewQuestion(
    lookup_id=ACT.request_id, finding=SampleFinding.DOUBTFUL, words="协作函上没有此人", signature=SIGNATURE
)
READING_QUERY = oversight.ReadingQuery(
    case_id=CASE_ID, officer="officer-7", signature=SIGNATURE, page_size=5, page_token="t"
)
FILING = corrections.CorrectionFiling(
    urn=URN,
    field="holder_name",
    value="徐谷语",
    words="户口簿上是语言的语",
    papers=("ab" * 32,),
    citizen_number=CITIZEN_NUMBER,
    identity_checked=True,
)
STEP = corrections.CorrectionStep(correction_id=ACT.request_id, words="理由")
EXTENSION = corrections.CorrectionExtension(correction_id=ACT.request_id, words="理由", days=10)
CORRECTION_QUERY = corrections.CorrectionQuery(
    everything=True, citizen_number=CITIZEN_NUMBER, page_size=5, page_token="t"
)
LEAD_STEP = leads.LeadStep(lead_id=erasure_answers.MESSAGE_ID, accepted=False, reason="属铁路公安管辖")
ERASURE = erasure.ErasureQuestion(
    message_id=erasure_answers.MESSAGE_ID, words="错误发送 sent by mistake", second_officer="officer-9",
    second_signature=SIGNATURE,
)  # fmt: skip
ERASURE_QUERY = erasure.ErasureQuery(page_size=5, page_token="t")
MESSAGE_QUERY = audit.MessageQuery(direction=audit.Direction.SENT, peer=ZHEJIANG, after_seq=3, page_size=9)
READING = permits.PermitReading(
    decision=ALLOWED,
    permit=ITEM,
    recognitions=(
        permits.RecognitionLink(
            mode=RecognitionMode.TIME,
            outcome=RecognitionOutcome.RECOGNISED_PART,
            reason="time_credited",
            agency=POLICE,
            decided_on=date(2026, 11, 1),
            confirmation=Confirmation.CONTRADICTED,
        ),
    ),
    outdated_by=4,
    doubles=(PermitUrn("urn:permit:361123:2026:000007"),),
    copy_time=datetime(2026, 11, 1, 8, tzinfo=UTC),
)
CHUNK = permits.ImportChunk(
    import_id=ACT.request_id,
    chunk=2,
    rows=(
        permits.PermitImport(application=APPLICATION, urn=URN),
        permits.PermitImport(application=replace(APPLICATION, work_division=None, sealed=False)),
    ),
)


KEY_OFFERED = keys.KeyQuestion(
    officer="officer-7", key=f"ed25519:{base64.b64encode(bytes(32)).decode()}", proof=base64.b64encode(bytes(64)).decode(),
    administers=True, replaces=True,
)  # fmt: skip
OWN_KEY = OfficerKey(
    agency=POLICE, officer="officer-7", version=2, standing=KeyStanding.ADMINISTERS, key=KEY_OFFERED.key
)


@dataclass(frozen=True)
class Call:
    """One call; a list of news is what a stream answers."""

    rpc: Rpc[Any, Any]
    caller: AgencyId | NodeName
    question: object
    answer: object


CALLS = (
    Call(node.GET_STATUS, POLICE, Nothing(), answers.STATUS),
    Call(FETCH_AGREEMENT, POLICE, AgreementQuery(known_version=2, version=1), answers.FILES),
    Call(permits.REGISTER_PERMIT, POLICE, APPLICATION, permits.PermitAnswer(decision=ALLOWED, permit=ITEM)),
    Call(permits.ENDORSE_PERMIT, POLICE, URN, permits.PermitAnswer(decision=REFUSED)),
    Call(permits.SUSPEND_PERMIT, HALL, URN, permits.PermitAnswer(decision=REFUSED)),
    Call(permits.RESTORE_PERMIT, HALL, URN, permits.PermitAnswer(decision=ALLOWED, permit=BARE_ITEM)),
    Call(
        permits.REVOKE_PERMIT,
        HALL,
        permits.PermitRevocation(urn=URN, reason=RevokeReason.LEFT),
        permits.PermitAnswer(decision=ALLOWED, permit=BARE_ITEM),
    ),
    Call(
        permits.RECOGNISE_PERMIT,
        HALL,
        RECOGNISE,
        permits.RecognitionAnswer(
            decision=ALLOWED,
            recognition=answers.RECOGNITION,
            permit=BARE_ITEM,
            copy_time=datetime(2026, 11, 1, 8, tzinfo=UTC),
            confirmation=Confirmation.PROVISIONAL,
        ),
    ),
    Call(permits.GET_PERMIT, HALL, URN, READING),
    Call(
        permits.LIST_PERMITS,
        HALL,
        permits.PermitQuery(
            residence_division="330822",
            status=PermitStatus.VALID,
            citizen_number="361123219003070012",
            page_size=5,
            page_token="t",
        ),
        permits.PermitPage(decision=ALLOWED, permits=(ITEM, BARE_ITEM), next_page_token="next"),
    ),
    Call(permits.IMPORT_PERMITS, HALL, CHUNK, (URN, REFUSED)),
    Call(registers.REGISTER_VEHICLES, POLICE, (register_samples.VEHICLE,), (register_samples.KEPT,)),
    Call(registers.GET_VEHICLE, POLICE, register_samples.VEHICLE.plate, register_samples.READING),
    Call(
        registers.REGISTER_ENTERPRISES,
        MARKET,
        (register_samples.ENTERPRISE, register_samples.ENTERPRISE),
        register_samples.ROWS[:2],
    ),
    Call(registers.GET_ENTERPRISE, MARKET, register_samples.ENTERPRISE.uscc, register_samples.READING),
    Call(lookups.OPEN_CASE, POLICE, CASE, answers.CASE_OPENED),
    Call(lookups.CLOSE_CASE, POLICE, CASE_ID, answers.CASE_REFUSED),
    Call(lookups.SEARCH, POLICE, SEARCH, answers.SEARCHED),
    Call(lookups.FETCH, POLICE, FETCH, answers.FETCHED),
    Call(lookups.LIST_LOOKUPS, POLICE, LOOKUP_QUERY, answers.LOOKUPS),
    Call(lookups.READ_LOOKUP, POLICE, erasure_answers.LOOKUP_ID, erasure_answers.RESULT),
    Call(lookups.TRACE_READING, AUDITOR, "7q2m x9tr 04kd", erasure_answers.TRACED),
    Call(intake.LIST_INTAKE, POLICE, INTAKE_QUERY, intake_answers.INBOX),
    Call(intake.RELEASE_INTAKE, POLICE, RELEASE, intake_answers.INTAKE_RELEASED),
    Call(intake.REFUSE_INTAKE, POLICE, REFUSE, intake_answers.INTAKE_REFUSED),
    Call(intake.SEND_REMINDER, POLICE, LOOKUP_ID, intake_answers.REMINDERS),
    Call(oversight.COUNTERSIGN_CASE, POLICE, COUNTERSIGN, oversight_answers.COUNTERSIGNED),
    Call(oversight.LIST_NOTICES, POLICE, PAGE, oversight_answers.NOTICES),
    Call(oversight.REVIEW_BREAK_GLASS, POLICE, REVIEW, oversight_answers.NOTICE),
    Call(oversight.LIST_FLAGS, POLICE, FLAG_QUERY, oversight_answers.FLAGS),
    Call(oversight.GET_DAILY_DIGEST, POLICE, DIGEST_QUESTION, oversight_answers.DIGEST_OF_DAY),
    Call(oversight.LIST_SAMPLE, POLICE, SAMPLE_QUERY, oversight_answers.SAMPLE),
    Call(oversight.RECORD_REVIEW, POLICE, SAMPLE_REVIEW, oversight_answers.REVIEWED),
    Call(oversight.LIST_READINGS, AUDITOR, READING_QUERY, oversight_answers.READINGS),
    Call(keys.REGISTER_KEY, POLICE, KEY_OFFERED, OWN_KEY),
    Call(keys.WITHDRAW_KEY, POLICE, "officer-7", replace(OWN_KEY, standing=KeyStanding.WITHDRAWN)),
    Call(keys.LIST_KEYS, POLICE, keys.KeyQuery(page_size=5, page_token="t"), keys.KeyPage(keys=(OWN_KEY,))),
    Call(oversight.WATCH_NOTICES, POLICE, "7", oversight_answers.NEWS),
    Call(
        reports.GET_REPORT,
        HALL,
        reports.ReportQuestion(citizen_number=CITIZEN_NUMBER, identity_checked=True, page_size=5, page_token="t"),
        answers.REPORT,
    ),
    Call(corrections.FILE_CORRECTION, HALL, FILING, answers.CORRECTION_FILED),
    Call(corrections.LIST_CORRECTIONS, HALL, CORRECTION_QUERY, answers.CORRECTIONS),
    Call(corrections.GRANT_CORRECTION, HALL, STEP, answers.CORRECTION_STEP),
    Call(corrections.DENY_CORRECTION, POLICE, STEP, answers.CORRECTION_STEP),
    Call(corrections.EXTEND_CORRECTION, POLICE, EXTENSION, answers.CORRECTION_STEP),
    Call(leads.HAND_OVER_LEAD, POLICE, answers.LEAD, answers.LEAD_HANDED_OVER),
    Call(leads.ANSWER_LEAD, POLICE, LEAD_STEP, answers.LeadOutcome(decision=answers.REFUSED)),
    Call(leads.LIST_LEADS, POLICE, PAGE, answers.LEADS),
    Call(duty.SHOW_DUTY, POLICE, "330822", duty_answers.TABLE),
    Call(duty.READ_ROSTER, POLICE, duty_answers.ROSTER_QUERY, duty_answers.ROSTER),
    Call(duty.SIGN_ON, POLICE, duty_answers.SIGNING_ON, duty_answers.OUTCOME),
    Call(duty.SIGN_OFF, POLICE, duty_answers.DESK, duty_answers.REFUSAL),
    Call(duty.DRAFT_HAND_OVER, POLICE, duty_answers.PLAN, duty_answers.PAPER),
    Call(duty.SIGN_HAND_OVER, POLICE, duty_answers.SIGNING, duty_answers.OUTCOME),
    Call(duty.ENROL_VOLUNTEER, POLICE, duty_answers.ENROLMENT, duty_answers.VOLUNTEER),
    Call(duty.WITHDRAW_VOLUNTEER, POLICE, "v-7kq2mx", duty_answers.VOLUNTEER),
    Call(duty.REPORT_PATROL, POLICE, duty_answers.REPORT, duty_answers.PATROLLED),
    Call(
        figures.READ_REPORT,
        POLICE,
        figures.ReportQuery(kind="pair", period="2026Q2", counties=("361123", "330822"), leaves=True),
        figures.SignedAnswer(decision=ALLOWED, signed=b"{}"),
    ),
    Call(
        figures.RECHECK_STAMP,
        POLICE,
        figures.RecheckQuestion(
            alert="zhejiang/01936000-0000-7000-8000-000000000001", stage="arrived", finding="wrong", words="无"
        ),
        figures.RecheckOutcome(decision=ALLOWED, entry="5" * 64),
    ),
    Call(
        figures.DELIVER_FIGURES,
        POLICE,
        figures.Delivery(
            figures=(
                figures.FigureRow(
                    id="crime.incidents_yoy", place="361123", period="2026Q2", value="-31.43", words="口径"
                ),
                figures.FigureRow(
                    id="wagon.rate",
                    place="361123",
                    period="2026Q2",
                    value="89.85",
                    words="办结",
                    numerator=389,
                    denominator=449,
                ),
            )
        ),
        figures.DeliveryOutcome(decision=ALLOWED, digests=("ab" * 32,)),
    ),
    Call(duty.LIST_PATROLS, POLICE, duty_answers.PATROL_QUERY, duty_answers.PATROLS),
    Call(cases.OPEN_CASE, POLICE, case_answers.OPENING, case_answers.OUTCOME),
    Call(cases.ACT_IN_CASE, POLICE, case_answers.STEP, cases.CaseOutcome(decision=REFUSED)),
    Call(cases.READ_CASE, POLICE, case_answers.CODE, case_answers.VIEW),
    Call(
        cases.LIST_ENTRIES,
        POLICE,
        cases.EntryQuery(case=case_answers.CODE, page_size=5, page_token="t"),
        case_answers.PAGE,
    ),
    Call(cases.LIST_CASES, POLICE, PAGE, case_answers.CASES),
    Call(cases.LIST_DUE_CASES, POLICE, cases.DueQuery(before=case_answers.TIME, page_size=5), case_answers.DUE),
    Call(cases.TRACE_CASE, HALL, case_answers.CODE, case_answers.TRACE),
    Call(cases.ASK_TODAY, HALL, cases.TodayQuestion(county="350723", token="ab" * 32), case_answers.TODAY),
    Call(
        cases.COUNT_CASES,
        POLICE,
        cases.FigureQuery(procedure="vehicle-business", since=case_answers.TIME),
        case_answers.FIGURES,
    ),
    Call(cases.WATCH_CASES, HALL, "c2VhbGVk", case_answers.NEWS),
    Call(cases.READ_PROCEDURE, HALL, "dispute-mediation", case_answers.LISTS),
    Call(alerts.RAISE_ALERT, HALL, alert_answers.RAISING, alert_answers.OUTCOME),
    Call(alerts.ACT_IN_ALERT, POLICE, alert_answers.STEP, alerts.AlertOutcome(decision=REFUSED)),
    Call(alerts.READ_ALERT, POLICE, alert_answers.CAP_ID, alert_answers.VIEW),
    Call(alerts.LIST_ALERTS, POLICE, alert_answers.QUERY, alert_answers.PAGE),
    Call(alerts.LIST_ALERT_ENTRIES, POLICE, cases.EntryQuery(case=alert_answers.CAP_ID), case_answers.PAGE),
    Call(alerts.WATCH_ALERTS, POLICE, alert_answers.WATCH, alert_answers.NEWS),
    Call(alerts.EXPORT_ALERT, POLICE, alert_answers.EXPORT, alert_answers.FILE),
    Call(alerts.IMPORT_CAP, POLICE, alert_answers.UPLOAD, alert_answers.PROPOSAL),
    Call(alerts.READ_KINDS, HALL, "纠纷警情", alert_answers.KINDS),
    Call(documents.BEGIN_DOCUMENT, POLICE, document_answers.UPLOAD, document_answers.STANDING),
    Call(documents.UPLOAD_CHUNK, POLICE, document_answers.CHUNK, document_answers.STANDING),
    Call(documents.LIST_DOCUMENTS, POLICE, case_answers.CODE, document_answers.LIST),
    Call(documents.DOWNLOAD_DOCUMENT, POLICE, document_answers.PLACE, document_answers.PARTS),
    Call(erasure.ORDER_ERASURE, HALL, ERASURE, erasure_answers.ORDERED),
    Call(
        erasure.LIST_SENT,
        HALL,
        erasure.SentQuery(recipient=ZHEJIANG, after_seq=3, page_size=5),
        erasure_answers.SENT,
    ),
    Call(erasure.LIST_ERASURES, HALL, ERASURE_QUERY, erasure_answers.ERASURES),
    Call(erasure.RUN_RETENTION, AUDITOR, Nothing(), erasure_answers.ROUND),
    Call(audit.LIST_MESSAGES, AUDITOR, MESSAGE_QUERY, answers.MESSAGES),
    Call(SUBMIT, ZHEJIANG, (answers.SUBMISSION,), (answers.RECEIPT,)),
    Call(TELL_TIME, ZHEJIANG, Nothing(), answers.TIME),
    Call(FETCH_DOCUMENT, ZHEJIANG, document_answers.PLACE, document_answers.PROVED),
    Call(
        DIGEST_RANGE,
        ZHEJIANG,
        RangeQuestion(pair=Pair(ZHEJIANG, NodeName("jiangxi")), from_seq=1, to_seq=5),
        answers.DIGEST,
    ),
)


@dataclass
class Functions:
    """Answers every RPC as `CALLS` says, and notes what it was called with; `failure` is raised by each instead."""

    calls: list[tuple] = field(default_factory=list)
    failure: BaseException | None = None
    replaced: dict[str, Any] = field(default_factory=dict)

    def bindings(self, side: Side) -> tuple[Binding, ...]:
        """Every RPC of one port."""
        return tuple(self._bind(call) for call in CALLS if side in call.rpc.sides)

    def _bind(self, call: Call) -> Binding:
        async def answer(caller, act, question):
            self._note(caller, act, question)
            if call.rpc.name in self.replaced:
                return await self.replaced[call.rpc.name](caller, act, question)
            return _submitted(question) if call.rpc is SUBMIT else call.answer

        async def stream(caller, act, question):
            self._note(caller, act, question)
            if call.rpc.name in self.replaced:
                async for each in self.replaced[call.rpc.name](caller, act, question):
                    yield each
            else:
                for found in (call.answer[:2], call.answer[2:]) if call.rpc.joined else call.answer:
                    yield found

        return Binding(call.rpc, stream if call.rpc.stream else answer)

    def _note(self, caller, act, question) -> None:
        self.calls.append((caller.identity, act, question))
        if self.failure is not None:
            raise self.failure


def _submitted(submissions) -> tuple:
    """A receipt for each that has a body."""
    return tuple(
        answers.RECEIPT if each.body is not None else NotFoundError("NO_BODY", "none", seq=3) for each in submissions
    )
