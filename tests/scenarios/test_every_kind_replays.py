"""Every kind of message leaves a decision that can be made again: by its questions, or by a rule that its leaf names.

Who teaches the nodes a new kind of message adds it to `border_day` below: until then the first test here fails.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.domain.case_items import CaseItem
from federation.domain.erasure import ErasureGrounds
from federation.domain.intake import RefusalReason
from federation.domain.joint import decode_head
from federation.domain.leads import Lead
from federation.domain.lookups import FetchItem, Outcome, Selector, SelectorKind, step_up_bytes
from federation.domain.permits import PermitUrn, RevokeReason
from federation.domain.recognition import RecognitionMode
from federation.node import leads as own_leads
from federation.node import permits, permits_import, reports
from federation.node.alerts import steps as border_steps
from federation.node.corrections import steps as desk
from federation.node.corrections.lines import list_lines
from federation.node.corrections.steps import file_correction, grant
from federation.node.erasure import order_erasure
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.replies import intake_office, statement_of
from federation.node.exchange.send import send
from federation.node.features import KINDS
from federation.node.intake import desk as intake_desk
from federation.node.intake.clock import remind
from federation.node.intake.desk import list_intake
from federation.node.joint.case_sharing import DISCLOSURE, ENTRY
from federation.node.joint.ends import close_items
from federation.node.joint.records import CASE, find_head, load_held
from federation.node.joint.trace import ask_today, trace_case
from federation.node.log.decisions import DECISION
from federation.node.log.replay import Replay, replay_log
from federation.node.lookups import ask as asking
from federation.node.lookups import cases
from federation.node.lookups import fetch as fetching
from federation.node.node import Node
from federation.node.permits_sharing import SYNC
from federation.node.recognition import recognise
from federation.protocol.body import verify_disclosure
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair, parse_agency_id, parse_message_id
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, has_body, list_messages
from federation.store.records import erase_record, find_record
from federation.wire.agency.cases import TodayQuestion
from federation.wire.agency.corrections import CorrectionExtension, CorrectionFiling, CorrectionQuery
from federation.wire.agency.erasure import ErasureQuestion
from federation.wire.agency.intake import IntakeQuery, RefuseQuestion, ReleaseQuestion
from federation.wire.agency.leads import LeadStep
from federation.wire.agency.lookups import CaseQuestion, FetchQuestion, LookupQuestion
from federation.wire.agency.permits import ImportChunk, PermitImport, PermitQuery, PermitRecognition, PermitRevocation
from federation.wire.agency.reports import ReportQuestion
from federation.wire.rpc import PageQuery
from tests.node.alerts.border_desks import CHANGSHAN, YUSHAN, BorderDesks, with_desks
from tests.node.joint.desks import (
    CONTACT,
    PARTY,
    PEER,
    PEER_BODY,
    STRANGER,
    TOWN,
    WHY,
    Desks,
    with_agencies,
    with_offices,
)
from tests.node.joint.test_community_corrections import DESTINATION, ORIGIN
from tests.node.kept_decisions import list_decisions
from tests.node.rig import (
    ALLOWED,
    ANHUI,
    FUJIAN,
    HALL,
    JIANGXI,
    NODES,
    POLICE,
    START,
    YUSHAN_HALL,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    act,
    application,
    applications,
    draft,
    lead_act,
    register_key,
    running_rig,
)
from tests.scenarios.check_federation import NodeStore, check_federation
from tests.store.samples import list_held

CASE_ID, PURPOSE = "CASE-2026-0001", "lookup.criminal_investigation"
RESIDENT = application()
XINZHOU = parse_agency_id("jiangxi/361102/police")
PUCHENG = parse_agency_id("fujian/350722/service-hall")
MADE_UP = [("share-with-household",), ("reply-to-own-request",), ("rule-handle-unknown",)]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running_rig(tmp_path, NODES) as made:
        made.start_delivery()
        yield made


async def border_day(rig: Rig) -> None:
    """Every kind of message, in the order of a day; with each, what is refused of it."""
    urn = await permit_kinds(rig)
    await recognitions(rig, urn)
    await lookups(rig)
    await intake(rig)
    await report_kinds(rig)
    await corrections(rig, urn)
    await leads(rig)
    await joint_cases(rig)
    await alerts(rig)
    await tokens(rig)
    await rig.drain()
    await erasures(rig)
    await rig.drain()


async def permit_kinds(rig: Rig) -> PermitUrn:
    """permit.sync: registered, imported, revoked; and refused to those who may not."""
    node = rig[ZHEJIANG]
    answer = await permits.register(begin_errand(node, HALL, act()), RESIDENT)
    assert answer.permit is not None
    urn = answer.permit.urn
    assert not (await permits.register(begin_errand(node, HALL, act("permit.check", "F03")), RESIDENT)).decision.allowed
    assert not (await permits.show(begin_errand(node, HALL, act("permit.check", "F03")), urn)).decision.allowed
    refused_list = await permits.list_permits(
        begin_errand(node, HALL, act("permit.check", "F03")), PermitQuery(page_size=5)
    )
    assert not refused_list.decision.allowed
    refused = await permits.revoke(
        begin_errand(node, HALL, act("permit.check", "F03")), PermitRevocation(urn=urn, reason=RevokeReason.LEFT)
    )
    assert not refused.decision.allowed
    rows = [PermitImport(application=each) for each in applications()[:40] if each.residence_division == "330822"]
    for purpose in (act(), act("permit.check", "F03")):
        chunk = ImportChunk(import_id=purpose.request_id, chunk=1, rows=tuple(rows))
        assert await permits_import.import_permits(begin_errand(node, HALL, purpose), chunk)
    await rig.drain()
    return urn


async def recognitions(rig: Rig, urn: PermitUrn) -> None:
    """permit.recognition: at the window in Yushan; refused in Pucheng, where nobody knows the holder."""
    shown = PermitRecognition(urn=urn, mode=RecognitionMode.CARD, citizen_number=RESIDENT.holder.citizen_number)
    given = act("permit.recognition", "F01")
    assert (await recognise(begin_errand(rig[JIANGXI], YUSHAN_HALL, given), shown)).recognition is not None
    assert (await recognise(begin_errand(rig[FUJIAN], PUCHENG, given), shown)).recognition is None
    await rig.drain()


async def lookups(rig: Rig) -> None:
    """lookup.case, .search, .answer, .fetch, .release; refused here, refused there by policy and by rule."""
    node = rig[JIANGXI]
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    await register_key(node, YUSHAN_POLICE, "officer-1", key=f"ed25519:{public}")
    terms = CaseQuestion(
        case_id=CASE_ID, letter="玉公协〔2026〕1号", counties=frozenset({"330822"}), purposes=frozenset({PURPOSE}), days=30,
        leader="leader-1",
    )  # fmt: skip
    given = {"caller": YUSHAN_POLICE}
    assert (await cases.begin_case(begin_errand(node, act=lead_act(PURPOSE), **given), terms)).decision.allowed
    wrong = replace(terms, case_id="CASE-2026-0002")
    assert not (
        await cases.begin_case(begin_errand(node, act=lead_act(PURPOSE, "F01"), **given), wrong)
    ).decision.allowed
    selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=RESIDENT.holder.citizen_number)
    question = LookupQuestion(case_id=CASE_ID, selector=selector, provinces=(ZHEJIANG, ANHUI))
    hit, refused = (await asking.search(begin_errand(node, act=act(PURPOSE, "F03"), **given), question)).answers
    assert (hit.outcome, refused.outcome) == (Outcome.HIT, Outcome.REFUSED)
    assert hit.handle is not None

    def asks(handle: str, *fields: str) -> FetchQuestion:
        unsigned = FetchItem(
            lookup_id=parse_message_id("00000000-0000-7000-8000-000000000000"), handle=handle,
            fields=frozenset(fields), officer_key=public, officer_signature="",
        )  # fmt: skip
        signature = base64.b64encode(key.sign(step_up_bytes(unsigned))).decode()
        return FetchQuestion(
            case_id=CASE_ID, node=ZHEJIANG, handle=handle, fields=frozenset(fields), officer_key=public,
            officer_signature=signature,
        )  # fmt: skip

    released = await fetching.fetch(begin_errand(node, act=act(PURPOSE, "F03"), **given), asks(hit.handle, "status"))
    assert dict(released.fields) == {"status": "valid"}
    too_much = await fetching.fetch(begin_errand(node, act=act(PURPOSE, "F03"), **given), asks(hit.handle, "ethnicity"))
    assert too_much.outcome is Outcome.REFUSED
    await rig[ZHEJIANG].sequencer.commit(lambda tx: erase_record(tx, "lookup-handle", hit.handle or "", replica=False))
    gone = await fetching.fetch(begin_errand(node, act=act(PURPOSE, "F03"), **given), asks(hit.handle, "status"))
    assert gone.policies == ("rule-handle-unknown",)


async def intake(rig: Rig) -> None:
    """lookup.second and .refusal: police away from the border ask twice, a person answers once and refuses once."""
    node, office = rig[JIANGXI], intake_office(rig[ZHEJIANG].trust.in_force, ZHEJIANG)
    terms = CaseQuestion(
        case_id="CASE-2026-0003", letter="饶公协〔2026〕3号", counties=frozenset({"330822"}),
        purposes=frozenset({PURPOSE}), days=30, leader="leader-1",
    )  # fmt: skip
    given = {"caller": XINZHOU}
    assert (await cases.begin_case(begin_errand(node, act=lead_act(PURPOSE), **given), terms)).decision.allowed
    selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=RESIDENT.holder.citizen_number)
    question = LookupQuestion(case_id="CASE-2026-0003", selector=selector, provinces=(ZHEJIANG,))
    for _ in range(2):
        found = await asking.search(begin_errand(node, act=act(PURPOSE, "F03"), **given), question)
        assert [answer.outcome for answer in found.answers] == [Outcome.WAITING]
        await remind(begin_errand(node, XINZHOU, act(PURPOSE, "F03")), found.lookup_id)
    first, second = (await list_intake(begin_errand(rig[ZHEJIANG], office, act(PURPOSE, "F03")), IntakeQuery())).lines
    refused = RefuseQuestion(request_id=first.request_id, reason=RefusalReason.OTHER, words="案情不清")
    released = ReleaseQuestion(request_id=second.request_id)
    for caller in (POLICE, office):
        for answer in (
            await intake_desk.refuse(begin_errand(rig[ZHEJIANG], caller, act(PURPOSE, "F03")), refused),
            await intake_desk.release(begin_errand(rig[ZHEJIANG], caller, act(PURPOSE, "F03")), released),
        ):
            assert answer.decision.allowed is (caller == office)
    await rig.drain()


async def report_kinds(rig: Rig) -> None:
    """subject.request and .answer: a person's own report at the counter, and one without checking who asks."""
    for checked in (True, False):
        question = ReportQuestion(citizen_number=RESIDENT.holder.citizen_number, identity_checked=checked)
        given = act("subject.access", "F01")
        page = await reports.report(begin_errand(rig[JIANGXI], YUSHAN_HALL, given), question)
        assert page.decision.allowed is checked


async def corrections(rig: Rig, urn: PermitUrn) -> None:
    """correction.request, .answer, .notice: refused here, there by rule, extended, denied; granted, and a copy is old."""
    changes = (
        {"identity_checked": False},
        {"value": RESIDENT.holder.name},
        {},
        {"field": "household_division", "value": "341022"},
    )
    lines = []
    for change in changes:
        filing = CorrectionFiling(
            urn=urn, field="holder_name", value="徐谷语", words="错了", identity_checked=True,
            citizen_number=RESIDENT.holder.citizen_number,
        )  # fmt: skip
        given = act("subject.correct", "F01")
        filed = await file_correction(begin_errand(rig[JIANGXI], YUSHAN_HALL, given), replace(filing, **change))
        lines.append(filed.correction)
    assert (lines[0], lines[1].policies) == (None, ("rule-same-value",))
    node = rig[ZHEJIANG]
    for line, step in ((lines[2], desk.extend), (lines[2], desk.deny), (lines[3], grant)):
        wanted = CorrectionExtension(correction_id=line.correction_id, words="理由", days=10)
        assert not (await step(begin_errand(node, HALL, act("permit.check", "F03")), wanted)).decision.allowed
        assert (await step(begin_errand(node, HALL, act("subject.correct", "F01")), wanted)).correction is not None
    page = await list_lines(begin_errand(node, HALL, act("permit.check", "F03")), CorrectionQuery())
    assert not page.decision.allowed


async def leads(rig: Rig) -> None:
    """police.lead, .answer: accepted and declined; handing over, answering and reading refused under another purpose."""
    yushan = rig[JIANGXI]
    lead = Lead(
        offence="盗窃", county="330822", place="示例路9号", time=START, found=START, facts="发现电缆", notice="ab" * 32
    )
    for reason in (None, "属铁路公安管辖"):
        handed = await own_leads.hand_over(begin_errand(yushan, YUSHAN_POLICE, act("police.handover", "F05")), lead)
        step = LeadStep(lead_id=handed.line.handed.lead_id, accepted=reason is None, reason=reason)
        for purpose, allowed in ((act("permit.check", "F03"), False), (act("police.handover", "F05"), True)):
            answered = await own_leads.answer(begin_errand(rig[ZHEJIANG], POLICE, purpose), step)
            assert answered.decision.allowed is allowed
    wrong = begin_errand(yushan, YUSHAN_POLICE, act("permit.check", "F03"))
    assert not (await own_leads.hand_over(wrong, lead)).decision.allowed
    wrong = begin_errand(yushan, YUSHAN_POLICE, act("permit.check", "F03"))
    assert not (await own_leads.list_leads(wrong, PageQuery())).decision.allowed


async def joint_cases(rig: Rig) -> None:
    """case.entry, .disclosure, .trace, .progress: opened, joined, shown more; a stranger gets nothing but the trace."""
    rig.put_in_force(with_offices(rig.agreement))
    case = Desks(rig)
    await case.open()
    await case.does(TOWN, "add_party", PARTY, CONTACT, party="p1", side="A", role="applicant", county="330822")
    await case.invites(PEER, "peer")
    await case.invites(PEER_BODY, "mediator")
    for wrong in (await case.view(STRANGER), await case.tries(STRANGER, "note")):
        assert not wrong.decision.allowed
    counter = begin_errand(rig[FUJIAN], PUCHENG, act(*WHY))
    assert (await trace_case(counter, case.case)).lines


async def alerts(rig: Rig) -> None:
    """alert.entry, .disclosure: told to the neighbour, claimed there; once the family agrees the name follows."""
    rig.put_in_force(with_desks(rig.agreement))
    border, kind = BorderDesks(rig), "help.missing"
    person = CaseItem(kind="person", fields={"name": "林走失", "sex": "female"})
    await border.raises(CHANGSHAN, CaseItem(kind="fact", fields={"text": "老人走失"}), person, kind=kind)
    await border.does(YUSHAN, "claim", kind=kind)
    ticked = {"ticked": "both_sides,family_consent"}
    assert (await border.does(CHANGSHAN, "update", kind=kind, **ticked)).decision.allowed
    stranger = parse_agency_id("jiangxi/361102/police")
    assert not (
        await border_steps.read_alert(begin_errand(rig[JIANGXI], stranger, act(*WHY)), border.record)
    ).decision.allowed


async def tokens(rig: Rig) -> None:
    """corrections.today, .answer: a token that nobody has is a no; police are refused before anything is sent."""
    rig.put_in_force(with_agencies(rig.agreement, (ORIGIN, DESTINATION), ("F13",)))
    question = TodayQuestion(county="330822", token="ab" * 32)
    for office, allowed in ((YUSHAN_POLICE, False), (DESTINATION, True)):
        answer = await ask_today(begin_errand(rig[JIANGXI], office, act("corrections.today", "F13")), question)
        assert (answer.decision.allowed, answer.authorised) == (allowed, False if allowed else None)


async def erasures(rig: Rig) -> None:
    """erasure.order, .receipt: the newest copy of a permit that went to Anhui is destroyed; refused under another purpose."""
    sent = list_messages(rig[ZHEJIANG].database, "sent", pair=Pair(ZHEJIANG, ANHUI), after_seq=0, limit=1000)
    newest = [message for message in sent if message.kind == SYNC.name][-1]
    question = ErasureQuestion(message_id=newest.id, words="发错了")
    for given, allowed in ((act("permit.check", "F03"), False), (act("erasure.order", "F01"), True)):
        answer = await order_erasure(begin_errand(rig[ZHEJIANG], HALL, given), question)
        assert answer.decision.allowed is allowed


def decided_again(rig: Rig, name: NodeName) -> Replay:
    book = rig[name].trust.in_force.policies
    return replay_log(rig[name].database, lambda _version, _digest: book)


def kinds(rig: Rig, direction: str) -> set[str]:
    found: set[str] = set()
    for name in NODES:
        for other in NODES:
            pair = Pair(name, other) if direction == "sent" else Pair(other, name)
            messages = list_messages(rig[name].database, direction, pair=pair, after_seq=0, limit=10_000)
            found |= {message.kind for message in messages}
    return found


async def test_every_kind_of_message_leaves_a_decision_that_can_be_made_again(rig: Rig) -> None:
    """Sent and received, allowed and refused: nothing without inputs, nothing otherwise, each rule by its name."""
    await border_day(rig)

    for direction in ("sent", "received"):
        assert kinds(rig, direction) == set(KINDS), (
            "a kind of message that border_day does not drive, or that no node takes in"
        )
    rules = Counter[str]()
    for name in NODES:
        found = decided_again(rig, name)
        assert found.without_inputs == (), f"{name}: {found.without_inputs}"
        assert found.differing == (), f"{name}: {found.differing}"
        assert found.reproduced + sum(found.by_rule.values()) == found.decisions
        rules.update(found.by_rule)
    assert rules == {
        "officer-key-told": 2, "reply-to-own-request": 17, "rule-handle-unknown": 1, "rule-same-value": 1, "second-request": 4,
    }  # fmt: skip


def end_items(node: Node, transaction: GroupTransaction) -> int:
    """Destroys what joint cases handed over, as retention does at their end; returns of how many messages."""
    held = list_held(transaction, [ENTRY.name, DISCLOSURE.name])
    for message in held:
        assert destroy_message(node, transaction, message, grounds=ErasureGrounds.EXPIRED) is not None
    for kept in list(CASE.entries.each(transaction)):
        close_items(CASE, node, transaction, name=kept.name, grounds=ErasureGrounds.EXPIRED)
    return len(held)


async def test_joint_record_is_verified_folded_and_replayed_once_its_items_are_destroyed(rig: Rig) -> None:
    """Of every entry the auditor is shown the head with its proof, as before: no body of it is left in any store."""
    await joint_cases(rig)
    await rig.drain()
    kept = [NodeStore(name, host.node.database, host.keyring.log) for name, host in rig.hosts.items()]
    messages = [each for store in kept for each in case_messages(store)]
    heads = [find_head(store.database, each) for store in kept for each in case_messages(store)]
    (record,) = {row.record for store in kept for row in CASE.records.each(store.database)}
    before = {name: load_held(CASE, rig[name], record).state for name in (ZHEJIANG, JIANGXI)}

    ended = [(await rig[name].sequencer.commit(partial(end_items, rig[name]))).value for name in NODES]
    assert sum(ended) == len(messages) > 0

    assert not any(has_body(store.database, each.id) for store in kept for each in case_messages(store))
    assert [find_head(store.database, each) for store in kept for each in case_messages(store)] == heads
    for each, head in zip(messages, heads, strict=True):
        body = statement_of(each).body
        assert body is not None
        assert head is not None
        assert decode_head(verify_disclosure(head, body)).record == record
    await check_federation(kept, rig.agreement, now=rig.clock())
    for name in NODES:
        rig[name].folds.clear()
        assert decided_again(rig, name).is_whole
    assert {name: load_held(CASE, rig[name], record).state for name in (ZHEJIANG, JIANGXI)} == before


def case_messages(store: NodeStore) -> list[StoredMessage]:
    """What a node sent and received of joint cases."""
    pairs = [("sent", Pair(store.name, other)) for other in NODES] + [
        ("received", Pair(other, store.name)) for other in NODES
    ]
    found = (list_messages(store.database, direction, pair=pair, after_seq=0, limit=1000) for direction, pair in pairs)
    return [message for page in found for message in page if message.kind in (ENTRY.name, DISCLOSURE.name)]


async def test_bulk_keeps_its_questions_small(rig: Rig) -> None:
    """A message of hundreds of permits keeps each different question once, in few bytes."""
    node = rig[ZHEJIANG]
    rows = [PermitImport(application=each) for each in applications() if each.residence_division == "330822"]
    chunk = ImportChunk(import_id="import-1", chunk=1, rows=tuple(rows))

    await permits_import.import_permits(begin_errand(node, HALL, act()), chunk)

    kept = {decision.subject: decision for decision in list_decisions(node.database)}
    sent = list_messages(node.database, "sent", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=10)
    assert len(rows) > 100
    for message in sent:
        record = find_record(node.database, DECISION, message.digest, replica=True)
        assert record is not None
        assert 1 < len(kept[message.digest].asked) == len(set(kept[message.digest].asked))
        assert len(record.content) < 4096
    assert decided_again(rig, ZHEJIANG).reproduced == len(sent)


async def test_decision_without_its_inputs_or_with_a_rule_that_does_not_hold_is_told(rig: Rig) -> None:
    """What cannot be decided again is never passed over: made-up grounds are without inputs."""
    made_up = [replace(draft(), decision=replace(ALLOWED, policies=policies)) for policies in MADE_UP]
    for each in made_up:
        await send(rig[ZHEJIANG], [each], rows=lambda _transaction: None)

    found = decided_again(rig, ZHEJIANG)

    assert [leaf.policies for leaf in found.without_inputs] == MADE_UP
    assert (found.is_whole, found.reproduced, dict(found.by_rule)) == (False, 0, {})
