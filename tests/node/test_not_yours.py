"""What is not there and what is another office's get one answer, and leave one trace, whichever RPC is asked."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.documents import CHUNK_BYTES
from federation.domain.intake import RefusalReason
from federation.domain.leave import TODAY_FUNCTION, TODAY_PURPOSE, LeaveToken
from federation.domain.lookups import FetchItem, Selector, SelectorKind, step_up_bytes
from federation.domain.lookups_case import countersign_bytes
from federation.domain.officers import KeyStanding, OfficerKey
from federation.domain.oversight import (
    Finding,
    SampleFinding,
    SampleItem,
    digest_bytes,
    readings_bytes,
    review_bytes,
    sample_review_bytes,
)
from federation.domain.permits import RevokeReason
from federation.domain.recognition import RecognitionMode
from federation.node import duty_volunteers, features, leads, permits
from federation.node.alerts import steps as alert_steps
from federation.node.corrections.steps import file_correction
from federation.node.documents import begin
from federation.node.exchange.errand import STEPS, begin_errand
from federation.node.joint.mandates import TOKENS
from federation.node.lookups.cases import begin_case
from federation.node.officer_keys import Occurrence, enrol_administrator
from federation.node.oversight.sample import SAMPLE, Sampled
from federation.node.registers import register_enterprises, register_vehicles
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from federation.protocol.leaf import decode_leaf
from federation.store.log_reader import load_entries
from federation.wire import peer
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
    lookups,
    node,
    oversight,
    registers,
    reports,
)
from federation.wire.agency import leads as lead_rpcs
from federation.wire.agency import permits as permit_rpcs
from federation.wire.rpc import Rpc
from tests.node.intake.border import NO_LOOKUP, PURPOSE, XINZHOU, Border, border, case_of
from tests.node.joint.desks import TOWN, Desks, with_agencies
from tests.node.joint.desks import WHY as CASE_WHY
from tests.node.joint.test_community_corrections import DESTINATION, ORIGIN
from tests.node.lookups.office import public_text
from tests.node.register_samples import ENTERPRISE, VEHICLE
from tests.node.retention.test_orders import sent
from tests.node.rig import HALL, JIANGXI, POLICE, YUSHAN_HALL, YUSHAN_POLICE, ZHEJIANG, act, lead_act, register_key
from tests.node.test_leads import HANDOVER, LEAD
from tests.wire.calls import AWAITED
from tests.wire.table import RPCS

GUANGFENG, KAIHUA = parse_agency_id("jiangxi/361103/police"), parse_agency_id("zhejiang/330824/service-hall")
KAIHUA_POLICE, KAIHUA_MARKET = parse_agency_id("zhejiang/330824/police"), parse_agency_id("zhejiang/330824/market")
MARKET = parse_agency_id("zhejiang/330822/market")
CASE_ID, GLASS = case_of(YUSHAN_POLICE), "BREAK-GLASS-2026-001"
FORESTRY, CHANGSHAN = parse_agency_id("zhejiang/330824/forestry"), parse_agency_id("zhejiang/330822/emergency")
DUTY, ALERT = ("alert.duty", "F19"), ("alert.incident", "F12")
GOVERNANCE = parse_agency_id("zhejiang/330822/governance")
F07, F16 = ("vehicle.administration", "F07"), ("enterprise.administration", "F16")
BESIDE = parse_agency_id("jiangxi/361103/corrections")
NO_ID, WORDS = "00000000-0000-7000-8000-000000000000", "核对无误"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

NAMES_NOTHING = dict.fromkeys((alerts.LIST_ALERTS, alerts.RAISE_ALERT, alerts.WATCH_ALERTS, audit.LIST_MESSAGES, cases.LIST_CASES, cases.LIST_DUE_CASES, cases.COUNT_CASES, cases.OPEN_CASE, cases.WATCH_CASES, corrections.LIST_CORRECTIONS, documents.BEGIN_DOCUMENT, erasure.LIST_ERASURES, erasure.LIST_SENT, erasure.RUN_RETENTION, intake.LIST_INTAKE, keys.LIST_KEYS, keys.REGISTER_KEY, lead_rpcs.HAND_OVER_LEAD, lead_rpcs.LIST_LEADS, node.GET_STATUS, oversight.LIST_NOTICES, oversight.LIST_SAMPLE, oversight.WATCH_NOTICES, peer.DIGEST_RANGE, peer.FETCH_AGREEMENT, peer.SUBMIT, peer.TELL_TIME, permit_rpcs.LIST_PERMITS, permit_rpcs.REGISTER_PERMIT, permit_rpcs.IMPORT_PERMITS, reports.GET_REPORT), "it names no row of an office, lists what the caller has, or pages behind a sealed token") | {
    lookups.TRACE_READING: "an audit office reads the whole province",
    registers.REGISTER_VEHICLES: "a thing is kept once in a province: that it is elsewhere is said, and logged",
    registers.REGISTER_ENTERPRISES: "as vehicles",
    cases.TRACE_CASE: "who has the code of a case is told how far it is, and neither who nor what",
    alerts.IMPORT_CAP: "a file that the caller has; a desk of another office is policy's to refuse",
    alerts.READ_KINDS: "what the provinces agreed on",
    figures.READ_REPORT: "it names counties, which every office may know",
    figures.RECHECK_STAMP: "an alert that is none, or not in the sample, is RECHECK_SAMPLE (tests/node/test_figures.py)",
    figures.DELIVER_FIGURES: "it names figures and counties of the agreement",
    cases.READ_PROCEDURE: "what the provinces agreed on",
    documents.DOWNLOAD_DOCUMENT: "a stream: DOCUMENT_NOT_OPEN, whatever it lacks (tests/node/joint/test_documents.py)",
    peer.FETCH_DOCUMENT: "a stream, too",
    **dict.fromkeys(
        (duty.SHOW_DUTY, duty.READ_ROSTER, duty.SIGN_ON, duty.SIGN_OFF, duty.DRAFT_HAND_OVER, duty.SIGN_HAND_OVER,
         duty.ENROL_VOLUNTEER, duty.REPORT_PATROL, duty.LIST_PATROLS),
        "desks and groups of volunteers stand in the agreement, which every office may read",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Named:
    """A question about a thing by its name: whose it is, who else asks, and a name of that form that nothing has."""

    ask: Callable[[str, AgencyId], Any]
    real: str
    unknown: str
    owner: AgencyId
    other: AgencyId
    why: tuple[str, str]
    officer: str = "officer-1"


@dataclass
class World:
    """One border with a thing of each kind."""

    found: Border
    key: Ed25519PrivateKey
    names: dict[str, str]

    def sign(self, content: bytes) -> str:
        return base64.b64encode(self.key.sign(content)).decode()

    async def outcome(self, rpc: Rpc[Any, Any], row: Named, name: str, caller: AgencyId) -> tuple[str, list[Any]]:
        """What the caller is told, and the leaves that it leaves, times and names masked."""
        at = self.found.rig[NodeName(caller.node)]
        size = at.sequencer.head.size
        officer = "officer-2" if (caller, row.officer) == (row.other, "officer-1") else row.officer
        errand = begin_errand(at, caller, act(*row.why, officer=officer))
        try:
            told = repr(await dict(STEPS)[rpc](errand, row.ask(name, caller)))
        except BridgeheadError as error:
            told = f"{type(error).__name__} {error.reason} {error.message}"
        await self.found.rig.drain()
        leaves = map(decode_leaf, load_entries(at.database, size, at.sequencer.head.size - size))
        return _ID.sub("UUID", told.replace(name, "NAME")), [(leaf.kind, leaf.policies, leaf.reason) for leaf in leaves]


async def world(found: Border) -> World:
    rig, key = found.rig, Ed25519PrivateKey.generate()
    for office in (YUSHAN_POLICE, GUANGFENG):
        await register_key(rig[JIANGXI], office, "leader-1", key=public_text(key))
        own = OfficerKey(
            agency=office, officer="keeper-1", version=0, standing=KeyStanding.ADMINISTERS,
            key=public_text(Ed25519PrivateKey.generate()),
        )  # fmt: skip
        at = Occurrence(agreement=rig.agreement, now=rig.clock())
        await rig[JIANGXI].sequencer.commit(lambda tx, own=own, at=at: enrol_administrator(tx, own, at=at))
    await register_vehicles(begin_errand(rig[ZHEJIANG], POLICE, act(*F07)), [VEHICLE])
    await register_enterprises(begin_errand(rig[ZHEJIANG], MARKET, act(*F16)), [ENTERPRISE])
    (permit,) = (await permits.list_permits(
        begin_errand(rig[ZHEJIANG], HALL, act()), permit_rpcs.PermitQuery(page_size=10)
    )).permits  # fmt: skip
    await register_key(rig[JIANGXI], GUANGFENG, "officer-2", key=public_text(found.key))
    other = lookups.CaseQuestion(
        case_id=case_of(GUANGFENG), letter="广公协〔2126〕1号", counties=frozenset({"330822"}),
        purposes=frozenset({PURPOSE}), days=30, leader="leader-1",
    )  # fmt: skip
    await begin_case(begin_errand(rig[JIANGXI], GUANGFENG, lead_act(PURPOSE)), other)
    hit = await found.search(caller=YUSHAN_POLICE)
    await found.fetch(hit.handle or "", "holder_name", caller=YUSHAN_POLICE)
    await found.search(caller=XINZHOU)
    asked = await found.history(caller=YUSHAN_POLICE)
    line = next(each for each in asked if each.step == "lookup.search")
    item = SampleItem(
        lookup_id=line.lookup_id, case_id=CASE_ID, officer="officer-1", time=line.time, purpose=PURPOSE, person="**",
        due=line.time.date(), overdue=False,
    )  # fmt: skip
    sampled = Sampled(agency=YUSHAN_POLICE, item=item)
    if not SAMPLE.has(rig[JIANGXI].database, SAMPLE.id(sampled)):  # the node may have drawn it itself
        await rig[JIANGXI].sequencer.commit(lambda tx: SAMPLE.put(tx, sampled, owner=JIANGXI))
    glass = lookups.CaseQuestion(
        case_id=GLASS, counties=frozenset({"330822"}), purposes=frozenset({PURPOSE}), leader="leader-1"
    )
    broken = await begin_case(begin_errand(rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03")), glass)
    assert broken.decision.allowed
    lead = await leads.hand_over(begin_errand(rig[JIANGXI], YUSHAN_POLICE, act(*HANDOVER)), LEAD)
    assert lead.line is not None
    filing = corrections.CorrectionFiling(
        urn=permit.urn, field="holder_name", value="徐谷语", words="户口簿上是语言的语",
        citizen_number=found.person.holder.citizen_number, identity_checked=True,
    )  # fmt: skip
    errand = begin_errand(rig[JIANGXI], YUSHAN_HALL, act("subject.correct", "F01"))
    filed = await file_correction(errand, filing)
    assert filed.correction is not None
    joint = Desks(rig)
    await joint.open()
    token = LeaveToken(
        token="ab" * 32, step=1, home=ORIGIN, counties=("361123",), weekdays=(), first=date.min, last=date.max,
        person=found.person.holder.citizen_number,
    )  # fmt: skip
    await rig[ZHEJIANG].sequencer.commit(lambda tx: TOKENS.put(tx, token, owner=ZHEJIANG))
    upload = documents.DocumentUpload(name="协议.txt", media_type="text/plain", size=2, chunk_size=CHUNK_BYTES)
    begun = await begin(begin_errand(rig[ZHEJIANG], TOWN, act(*CASE_WHY)), upload)
    enrolment = duty.Enrolment(group="330824.guards", consent="ab" * 32)
    enrolled = await duty_volunteers.enrol(begin_errand(rig[ZHEJIANG], FORESTRY, act(*DUTY)), enrolment)
    assert enrolled.volunteer is not None
    raising = alerts.AlertRaising(fields={"desk": "330822.governance", "kind": "dispute"})
    raised = await alert_steps.raise_alert(begin_errand(rig[ZHEJIANG], GOVERNANCE, act(*ALERT)), raising)
    assert raised.line is not None
    await rig.drain()
    return World(found, key, {
        "alert": raised.line.record,
        "volunteer": enrolled.volunteer.name,
        "document": begun.document, "token": token.token,
        "case": joint.case, "permit": permit.urn, "lookup": line.lookup_id, "handle": hit.handle or "", "lead": lead.line.handed.lead_id,
        "correction": filed.correction.correction_id, "request": await found.waiting(),
        "message": sent(rig, ZHEJIANG, JIANGXI, "permit.sync")[0].id,
    })  # fmt: skip


def about_permits(made: World) -> dict[Rpc[Any, Any], Named]:
    somebody = VEHICLE.keeper
    here = Named(
        ask=lambda urn, _: urn, real=made.names["permit"], unknown="urn:permit:330822:2026:0777", owner=HALL,
        other=KAIHUA, why=("permit.administration", "F02"),
    )  # fmt: skip
    filing = corrections.CorrectionFiling(
        urn=made.names["permit"], field="holder_name", value="徐谷语", words="户口簿上是语言的语",
        citizen_number=made.found.person.holder.citizen_number, identity_checked=True,
    )  # fmt: skip
    steps = (permit_rpcs.GET_PERMIT, permit_rpcs.ENDORSE_PERMIT, permit_rpcs.SUSPEND_PERMIT, permit_rpcs.RESTORE_PERMIT)
    correcting = replace(
        here, real=made.names["correction"], unknown=NO_ID, why=("subject.correct", "F01"),
        ask=lambda name, _: corrections.CorrectionExtension(correction_id=name, words="尚须核对", days=1),
    )  # fmt: skip
    step = replace(correcting, ask=lambda name, _: corrections.CorrectionStep(correction_id=name, words="不予更正"))
    return dict.fromkeys(steps, here) | {
        permit_rpcs.REVOKE_PERMIT: replace(
            here, ask=lambda urn, _: permit_rpcs.PermitRevocation(urn=urn, reason=RevokeReason.LEFT)
        ),
        permit_rpcs.RECOGNISE_PERMIT: replace(
            here, owner=YUSHAN_HALL, other=parse_agency_id("jiangxi/361103/service-hall"),
            why=("permit.recognition", "F01"), ask=lambda urn, caller: permit_rpcs.PermitRecognition(
                urn=urn, mode=RecognitionMode.CARD, citizen_number=somebody
                if caller != YUSHAN_HALL else made.found.person.holder.citizen_number,
            ),
        ),
        corrections.FILE_CORRECTION: replace(
            here, why=("subject.correct", "F01"), ask=lambda urn, caller: replace(
                filing, urn=urn, citizen_number=somebody if caller != HALL else filing.citizen_number
            ),
        ),
        corrections.EXTEND_CORRECTION: correcting,
        corrections.DENY_CORRECTION: step,
        corrections.GRANT_CORRECTION: step,
        registers.GET_VEHICLE: replace(
            here, real=VEHICLE.plate, unknown="浙H·I0099", owner=POLICE, other=KAIHUA_POLICE,
            why=F07,
        ),
        registers.GET_ENTERPRISE: replace(
            here, real=ENTERPRISE.uscc, unknown=synthetic_uscc("330822", 8).value, owner=MARKET, other=KAIHUA_MARKET,
            why=F16,
        ),
        erasure.ORDER_ERASURE: replace(
            here, real=made.names["message"], unknown=NO_ID, why=("erasure.order", "F01"),
            ask=lambda name, _: erasure.ErasureQuestion(message_id=name, words="错发"),
        ),
        duty.WITHDRAW_VOLUNTEER: replace(
            here, real=made.names["volunteer"], unknown="v-222222", owner=FORESTRY, other=CHANGSHAN, why=DUTY,
        ),
        lead_rpcs.ANSWER_LEAD: replace(
            here, real=made.names["lead"], unknown=NO_ID, owner=POLICE, other=KAIHUA_POLICE, why=HANDOVER,
            ask=lambda name, _: lead_rpcs.LeadStep(lead_id=name, accepted=True),
        ),
    }  # fmt: skip


def about_look_ups(made: World) -> dict[Rpc[Any, Any], Named]:
    asked = Named(
        ask=lambda name, _: name, real=made.names["lookup"], unknown=NO_ID, owner=YUSHAN_POLICE, other=GUANGFENG,
        why=(PURPOSE, "F03"),
    )  # fmt: skip
    case = replace(asked, real=CASE_ID, unknown="CASE-2026-0777-361123")
    number, today = made.found.person.holder.citizen_number, made.found.asking.today()
    desk = replace(asked, real=made.names["request"], owner=made.found.office, other=POLICE)
    return {
        lookups.READ_LOOKUP: asked,
        intake.SEND_REMINDER: asked,
        oversight.RECORD_REVIEW: replace(
            asked, officer="leader-1", ask=lambda name, caller: oversight.SampleReviewQuestion(
                lookup_id=name, finding=SampleFinding.LAWFUL, words=WORDS,
                signature=made.sign(sample_review_bytes(caller, name, finding=SampleFinding.LAWFUL, words=WORDS)),
            ),
        ),
        intake.RELEASE_INTAKE: replace(desk, ask=lambda name, _: intake.ReleaseQuestion(request_id=name)),
        intake.REFUSE_INTAKE: replace(
            desk, ask=lambda name, _: intake.RefuseQuestion(
                request_id=name, reason=RefusalReason.CASE_UNCLEAR, words=WORDS
            ),
        ),
        lookups.SEARCH: replace(
            case, ask=lambda name, _: lookups.LookupQuestion(
                case_id=name, selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=number), provinces=(ZHEJIANG,)
            ),
        ),
        lookups.FETCH: replace(
            asked, real=made.names["handle"], unknown="A" * len(made.names["handle"]),
            ask=lambda name, caller: fetch_question(made, name, caller),
        ),
        lookups.LIST_LOOKUPS: replace(case, ask=lambda name, _: lookups.LookupQuery(case_id=name)),
        lookups.CLOSE_CASE: replace(case, officer="leader-1"),
        oversight.COUNTERSIGN_CASE: replace(
            case, officer="leader-1", ask=lambda name, caller: oversight.CountersignQuestion(
                case_id=name, signature=made.sign(countersign_bytes(name, caller))
            ),
        ),
        oversight.REVIEW_BREAK_GLASS: replace(
            case, real=GLASS, unknown="BREAK-GLASS-2026-777", officer="leader-1",
            ask=lambda name, caller: oversight.ReviewQuestion(
                case_id=name, finding=Finding.JUSTIFIED, words=WORDS,
                signature=made.sign(review_bytes(name, caller, finding=Finding.JUSTIFIED, words=WORDS)),
            ),
        ),
        oversight.LIST_READINGS: replace(
            case, officer="leader-1", ask=lambda name, caller: oversight.ReadingQuery(
                case_id=name, signature=made.sign(readings_bytes(caller, name, reader="leader-1"))
            ),
        ),
        oversight.LIST_FLAGS: replace(case, real=GLASS, ask=lambda name, _: oversight.FlagQuery(case_id=name)),
        oversight.GET_DAILY_DIGEST: replace(
            case, real="officer-1", unknown="officer-777", officer="leader-1",
            ask=lambda name, caller: oversight.DigestQuestion(
                officer=name, day=today, signature=made.sign(
                    digest_bytes(caller, name, day=today, reader="leader-1")
                ),
            ),
        ),
        keys.WITHDRAW_KEY: replace(case, real="officer-1", unknown="officer-777", officer="keeper-1"),
        lookups.OPEN_CASE: replace(
            case, officer="leader-1", ask=lambda name, caller: lookups.CaseQuestion(
                case_id=name, letter=f"公协 {caller} {name}", counties=frozenset({"330822"}),
                purposes=frozenset({PURPOSE}), days=30, leader="leader-1",
            ),
        ),
    }  # fmt: skip


def about_alerts(made: World) -> dict[Rpc[Any, Any], Named]:
    here = Named(
        ask=lambda name, _: name, real=made.names["alert"], unknown=f"zhejiang/{NO_ID}", owner=GOVERNANCE,
        other=parse_agency_id("zhejiang/330824/governance"), why=ALERT,
    )  # fmt: skip
    note = {"desk": "330822.governance"}
    return {
        alerts.READ_ALERT: here,
        alerts.EXPORT_ALERT: replace(here, ask=lambda name, _: alerts.AlertExport(alert=name)),
        alerts.LIST_ALERT_ENTRIES: replace(here, ask=lambda name, _: cases.EntryQuery(case=name)),
        alerts.ACT_IN_ALERT: replace(here, ask=lambda name, _: alerts.AlertStep(alert=name, name="note", fields=note)),
    }


def about_joint_cases(made: World) -> dict[Rpc[Any, Any], Named]:
    here = Named(
        ask=lambda name, _: name, real=made.names["case"], unknown="33082220260007776", owner=TOWN,
        other=parse_agency_id("zhejiang/330824/town"), why=CASE_WHY,
    )  # fmt: skip
    return {
        cases.READ_CASE: here,
        cases.LIST_ENTRIES: replace(here, ask=lambda name, _: cases.EntryQuery(case=name)),
        documents.LIST_DOCUMENTS: here,
        documents.UPLOAD_CHUNK: replace(
            here,
            real=made.names["document"],
            unknown="0" * 32,
            ask=lambda name, _: documents.ChunkUpload(document=name, number=0, data=b"ok"),
        ),
        cases.ASK_TODAY: replace(
            here,
            real=made.names["token"],
            unknown="cd" * 32,
            owner=DESTINATION,
            other=BESIDE,
            why=(TODAY_PURPOSE, TODAY_FUNCTION),
            ask=lambda name, _: cases.TodayQuestion(county="330822", token=name),
        ),
        cases.ACT_IN_CASE: replace(here, ask=lambda name, _: cases.CaseStep(case=name, name="note")),
    }


def fetch_question(made: World, handle: str, caller: AgencyId) -> lookups.FetchQuestion:
    """In the caller's own case, signed by the key that is registered for its officer."""
    fields, key = frozenset({"holder_name"}), made.found.key
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    item = FetchItem(lookup_id=NO_LOOKUP, handle=handle, fields=fields, officer_key=public, officer_signature="")
    return lookups.FetchQuestion(
        case_id=case_of(caller), node=ZHEJIANG, handle=handle, fields=fields, officer_key=public,
        officer_signature=base64.b64encode(key.sign(step_up_bytes(item))).decode(),
    )  # fmt: skip


async def test_what_is_not_there_and_what_is_another_offices_are_told_alike(tmp_path: Path) -> None:
    """For every RPC that names a thing; whose it is, is told apart, so that no row is of nothing."""
    assert features.KINDS
    async with border(tmp_path) as found:
        found.rig.put_in_force(with_agencies(found.rig.agreement, (ORIGIN, DESTINATION, BESIDE), ("F13",)))
        made = await world(found)
        table = about_permits(made) | about_look_ups(made) | about_joint_cases(made) | about_alerts(made)
        assert {rpc.name for rpc in table} | {rpc.name for rpc in NAMES_NOTHING} == {
            rpc.name for rpc in RPCS if rpc not in AWAITED
        }
        assert not table.keys() & NAMES_NOTHING.keys()

        differing = {}
        for rpc, row in table.items():
            theirs = [await made.outcome(rpc, row, name, row.other) for name in (row.real, row.unknown)]
            if theirs[0] != theirs[1]:
                differing[rpc.name] = theirs
        assert differing == {}

        alike = {}
        for rpc, row in table.items():
            own = [await made.outcome(rpc, row, name, row.owner) for name in (row.real, row.unknown)]
            if own[0] == own[1]:
                alike[rpc.name] = own[0]
        assert alike == {}
