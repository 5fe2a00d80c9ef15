"""A deletion receipt is only true: after an ordered erasure no row of either side still names the person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from federation.domain.case_items import CaseItem
from federation.domain.erasure import ErasureGrounds
from federation.domain.leads import Lead
from federation.domain.recognition import RecognitionMode
from federation.domain.retention import CORRECTION, RETENTION_FILE, USE, has_floor, parse_retention
from federation.node import leads, permits, reports
from federation.node.corrections import steps as desk
from federation.node.corrections.lines import CORRECTIONS
from federation.node.corrections.steps import file_correction
from federation.node.erasure_lists import list_erasures
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.send import ENDS, put_end
from federation.node.features import KINDS
from federation.node.joint.trace import ask_today, trace_case
from federation.node.lookups.records import ENTRIES
from federation.node.node import Node, Trust
from federation.node.recognition import recognise
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, MessageId, parse_agency_id
from federation.protocol.leaf import decode_leaf
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import (
    Direction,
    StoredMessage,
    find_body,
    find_by_digest,
    find_handed,
    find_outbox,
    find_outbox_state,
)
from federation.store.records import find_record, list_versions
from federation.wire.agency.cases import TodayQuestion
from federation.wire.agency.corrections import CorrectionExtension, CorrectionFiling, CorrectionStep
from federation.wire.agency.erasure import ErasureQuery, ErasureState
from federation.wire.agency.leads import LeadStep
from federation.wire.agency.permits import PermitRecognition
from federation.wire.agency.reports import ReportQuestion
from federation.wire.rpc import COUNTERS
from tests.node.alerts.border_desks import CHANGSHAN, border_desks, with_desks
from tests.node.corrections.case import correcting, registered
from tests.node.intake.border import XINZHOU
from tests.node.intake.border import border as intake_border
from tests.node.joint.desks import PARTY, PEER, STRANGER, TOWN, WHY
from tests.node.joint.desks import desks as case_desks
from tests.node.joint.test_community_corrections import DESTINATION, ORIGIN, with_corrections
from tests.node.retention.released import PERSON, Border, released
from tests.node.retention.test_orders import order, sent
from tests.node.rig import (
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
    kit,
    running_rig,
    statement,
    without_rule,
)

PARTY_NAME = PARTY.fields["name"]
AGREED = parse_retention((Path(__file__).parents[3] / "policies" / "retention.toml").read_text())
NUMBER, NAME = PERSON.holder.citizen_number, PERSON.holder.name
OWN = frozenset({("permit", False), ("recognition", False)})
"""Records of a province's own register: no message left them."""
UNDER_A_FLOOR = frozenset({("lookup-given", False), ("lookup-asked", True)})
"""What was given of a person and who asked: kept for 36 months, for the person to be told."""


async def erase(rig: Rig, message: StoredMessage, caller: AgencyId) -> None:
    """The sender orders a record erased, and is told that it was held and is no more; all else dies at both by itself."""
    if KINDS[message.kind].erasable_by is None or caller.kind not in COUNTERS:  # only counters order
        for name, direction in ((message.pair.sender, "sent"), (message.pair.recipient, "received")):
            await rig[name].sequencer.commit(partial(_destroy, rig[name], message.digest, direction))
            if rig[name].database.is_scrub_due:
                rig[name].database.scrub()
        return
    await order(rig, message.id, at=caller.node, caller=caller)
    await rig.drain()
    page = await list_erasures(begin_errand(rig[caller.node], caller, act("erasure.order", "F01")), ErasureQuery())
    assert [(line.state, line.was_held) for line in page.lines] == [(ErasureState.RECEIPTED, True)]
    assert find_body(rig[message.pair.recipient].database, message.id) is None
    for name in (message.pair.sender, message.pair.recipient):
        if rig[name].database.is_scrub_due:  # a duty was reading just then: what it held back is for the next round
            rig[name].database.scrub()


def _destroy(node: Node, digest: str, direction: Direction, transaction: GroupTransaction) -> None:
    message = find_by_digest(transaction, direction, digest)
    assert destroy_message(node, transaction, message, grounds=ErasureGrounds.EXPIRED) is not None


async def test_correction_request_that_is_erased_names_nobody(tmp_path: Path, monkeypatch) -> None:
    """The owner's correction and the filing office's line of it held number, new name and words."""
    async with registered(tmp_path, monkeypatch) as case:
        line = (await case.file()).correction
        await case.rig.drain()

        await erase(case.rig, *sent(case.rig, JIANGXI, ZHEJIANG, "correction.request"), YUSHAN_HALL)

        assert list(CORRECTIONS.each(case.rig[ZHEJIANG].database)) == []
        assert await case.lines(YUSHAN_HALL, everything=True) == ()
        step = CorrectionStep(correction_id=line.correction_id, words="与户口簿不符")
        with pytest.raises(NotFoundError, match="CORRECTION_UNKNOWN"):
            await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)
        with pytest.raises(NotFoundError, match="CORRECTION_UNKNOWN"):
            await case.file(request_id=line.correction_id)


async def test_search_that_waits_and_is_erased_names_nobody(tmp_path: Path) -> None:
    """The entry at the desk held the whole number, and could still be answered."""
    async with intake_border(tmp_path) as found:
        await found.search()
        request_id = await found.waiting()

        await erase(found.rig, *sent(found.rig, JIANGXI, ZHEJIANG, "lookup.search"), XINZHOU)

        number = found.person.holder.citizen_number
        assert all(kept.entry.person != number for kept in ENTRIES.each(found.rig[ZHEJIANG].database))
        assert await found.inbox() == ()
        with pytest.raises(NotFoundError, match="INTAKE_UNKNOWN"):
            await found.release(request_id)


async def test_answer_to_a_correction_that_was_erased_meanwhile_is_refused(tmp_path: Path, monkeypatch) -> None:
    """The request had come to its end here: nothing of its answer is kept, and both sides go on."""
    async with registered(tmp_path, monkeypatch) as case:
        line = (await case.file()).correction
        await case.rig.drain()
        (message,) = sent(case.rig, JIANGXI, ZHEJIANG, "correction.request")
        case.rig.faults(JIANGXI, ZHEJIANG).cut = True
        node = case.rig[JIANGXI]
        await node.sequencer.commit(partial(_destroy, node, message.digest, "sent"))
        step = CorrectionStep(correction_id=line.correction_id, words="与户口簿不符")
        await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)
        answer = sent(case.rig, ZHEJIANG, JIANGXI, "correction.answer")[-1]
        await settled(case.rig[ZHEJIANG].database, answer.id)

        row = find_outbox(case.rig[ZHEJIANG].database, answer.id)
        assert row is not None
        assert row.receipt_leaf is not None
        assert decode_leaf(row.receipt_leaf).policies == ("rule-correction-erased",)
        assert find_body(case.rig[JIANGXI].database, answer.id) is None
        case.rig.faults(JIANGXI, ZHEJIANG).cut = False
        await Border(case.rig, tmp_path, None).verify()


@dataclass(frozen=True)
class Flow:
    """One message: what leads to it, who sends it to whom, and words of it that must be nowhere after its erasure.

    `kept`: what else may still hold them, because another message brought it or our own side made it.
    """

    kind: str
    drive: Callable[[Path], AbstractAsyncContextManager[Rig]]
    sender: AgencyId
    words: tuple[str, ...]
    kept: frozenset[tuple[str, bool]] = frozenset()
    bodies: frozenset[str] = frozenset()


@asynccontextmanager
async def shared(folder: Path) -> AsyncIterator[Rig]:
    """A permit of somebody from Yushan went to Jiangxi."""
    async with running_rig(folder) as rig:
        rig.start_delivery()
        answer = await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), RESIDENT)
        await rig.drain()
        presented = PermitRecognition(
            urn=answer.permit.urn, mode=RecognitionMode.CARD, citizen_number=RESIDENT.holder.citizen_number
        )
        told = act("permit.recognition", "F01")
        assert (await recognise(begin_errand(rig[JIANGXI], YUSHAN_HALL, told), presented)).recognition is not None
        await rig.drain()
        yield rig


@asynccontextmanager
async def looked_up(folder: Path) -> AsyncIterator[Rig]:
    """Found, and two fields fetched."""
    async with released(folder) as found:
        yield found.rig


@asynccontextmanager
async def waiting(folder: Path) -> AsyncIterator[Rig]:
    """At the desk, and asked for a second time."""
    async with intake_border(folder) as found:
        await found.search()
        (line,) = await found.history()
        found.rig.clock.advance(minutes=20)
        await found.remind(line.lookup_id)
        yield found.rig


@asynccontextmanager
async def reported(folder: Path) -> AsyncIterator[Rig]:
    """A person asked for their report."""
    async with running_rig(folder, NODES) as rig:
        rig.start_delivery()
        await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), PERSON)
        question = ReportQuestion(citizen_number=NUMBER, identity_checked=True)
        await reports.report(begin_errand(rig[JIANGXI], YUSHAN_HALL, act("subject.access", "F01")), question)
        await rig.drain()
        yield rig


@asynccontextmanager
async def corrected(folder: Path) -> AsyncIterator[Rig]:
    """Filed for a person at the other side, then extended, denied, and a second one granted."""
    async with running_rig(folder) as rig:
        rig.start_delivery()
        answer = await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), PERSON)
        filing = CorrectionFiling(
            urn=answer.permit.urn, field="ethnicity", value="塔塔尔", words=SAID, citizen_number=NUMBER,
            identity_checked=True, papers=("ab" * 32,),
        )  # fmt: skip
        opened = await file_correction(begin_errand(rig[JIANGXI], YUSHAN_HALL, correcting()), filing)
        step = CorrectionExtension(correction_id=opened.correction.correction_id, words=ANSWERED, days=5)
        await desk.extend(begin_errand(rig[ZHEJIANG], HALL, correcting()), step)
        await rig.drain()
        yield rig


@asynccontextmanager
async def handed_over(folder: Path) -> AsyncIterator[Rig]:
    """A lead that Yushan found in Changshan, declined there."""
    async with running_rig(folder) as rig:
        rig.start_delivery()
        lead = Lead(
            offence="盗窃", county="330822", place=PLACE, time=START, found=START, facts=FACTS, notice="ab" * 32
        )  # fmt: skip
        given = act("police.handover", "F05")
        handed = (await leads.hand_over(begin_errand(rig[JIANGXI], YUSHAN_POLICE, given), lead)).line.handed
        step = LeadStep(lead_id=handed.lead_id, accepted=False, reason=ANSWERED)
        await leads.answer(begin_errand(rig[ZHEJIANG], POLICE, act("police.handover", "F05")), step)
        await rig.drain()
        yield rig


PLACE, FACTS = "示例镇示例路9号", "车内发现成捆的电缆"
LINAN = parse_agency_id("zhejiang/330112/police")
"""The office that answers for its province."""
RESIDENT, SAID, ANSWERED = application(), "户口簿上如此", "等待户籍地答复"
RESIDENT_WORDS = (RESIDENT.holder.citizen_number, RESIDENT.holder.name)
FLOWS = [
    Flow(
        "permit.sync", shared, HALL, RESIDENT_WORDS,
        kept=frozenset({("recognition", True)}), bodies=frozenset({"permit.recognition"}),
    ),
    Flow(
        "permit.recognition", shared, YUSHAN_HALL, RESIDENT_WORDS,
        kept=frozenset({("permit", True)}), bodies=frozenset({"permit.sync"}),
    ),
    Flow("lookup.search", looked_up, YUSHAN_POLICE, (NUMBER, "urn:bridgehead:permit"), bodies=frozenset()),
    Flow("lookup.search", waiting, XINZHOU, (RESIDENT.holder.citizen_number,),
         kept=frozenset({("permit", True)}), bodies=frozenset({"permit.sync"})),
    Flow("lookup.fetch", looked_up, YUSHAN_POLICE, ("officer_signature",)),
    Flow("lookup.answer", looked_up, POLICE, ("handle",), kept=frozenset({("lookup-handle", False)}),
         bodies=frozenset({"lookup.fetch", "lookup.release"})),
    Flow("lookup.release", looked_up, POLICE, (NAME,)),
    Flow("subject.request", reported, YUSHAN_HALL, (NUMBER,)),
    Flow("subject.answer", reported, LINAN, ("withheld_count",)),
    Flow("correction.request", corrected, YUSHAN_HALL, (NUMBER, SAID, "塔塔尔")),
    Flow("correction.answer", corrected, HALL, (ANSWERED,), kept=frozenset({("correction", False)})),
    Flow("police.lead", handed_over, YUSHAN_POLICE, (PLACE, FACTS)),
    Flow("police.lead.answer", handed_over, POLICE, (ANSWERED,)),
]  # fmt: skip


@asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[Rig]:
    """A joint case of which the counterpart is shown a party's name and county."""
    async with case_desks(folder) as case:
        await case.open()
        await case.invites(PEER, "peer")
        await case.does(TOWN, "add_party", PARTY, party="p1", side="A", role="applicant", county="330822")
        await case.settled()
        yield case.rig


@asynccontextmanager
async def traced(folder: Path) -> AsyncIterator[Rig]:
    """A counter of Jiangxi asks how far a case of Zhejiang is."""
    async with case_desks(folder) as case:
        await case.open()
        await trace_case(begin_errand(case.rig[JIANGXI], STRANGER, act(*WHY)), case.case)
        await case.settled()
        yield case.rig


ALERTED = "山脊小屋旁有人呼救"


@asynccontextmanager
async def alerted(folder: Path) -> AsyncIterator[Rig]:
    """An alert of which the neighbour's desk is told the text."""
    async with border_desks(folder) as border:
        await border.raises(CHANGSHAN, CaseItem(kind="fact", fields={"text": ALERTED}))
        await border.settled()
        yield border.rig


@asynccontextmanager
async def checked(folder: Path) -> AsyncIterator[Rig]:
    """The corrections office of Yushan asks about a token that nobody has."""
    async with case_desks(folder) as case:
        case.rig.put_in_force(with_corrections(with_desks(case.rig.agreement)))
        errand = begin_errand(case.rig[JIANGXI], DESTINATION, act("corrections.today", "F13"))
        assert (await ask_today(errand, TodayQuestion(county="330822", token=TOKEN))).authorised is False
        await case.rig.drain()
        yield case.rig


TOKEN = "ab" * 32
FLOWS.append(Flow("corrections.today", checked, DESTINATION, (TOKEN,)))
FLOWS.append(Flow("corrections.today.answer", checked, ORIGIN, ('"authorised":false,"day"',)))
REGISTERED = "您反映的纠纷已登记，编号3308222026"
FLOWS.append(Flow("case.trace", traced, STRANGER, ('{"code":"3308222026',)))
FLOWS.append(Flow("case.progress", traced, LINAN, (REGISTERED,)))
FLOWS.append(Flow("case.entry", joined, TOWN, (PARTY_NAME,), kept=frozenset({("case-own", True)})))
RAISER = parse_agency_id("zhejiang/330822/governance")
FLOWS.append(Flow("alert.entry", alerted, RAISER, (ALERTED,), kept=frozenset({("alert-own", True)})))


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: f"{flow.kind}-{flow.drive.__name__}")
async def test_erased_message_leaves_no_row_no_body_and_no_byte(tmp_path: Path, flow: Flow) -> None:
    """Of either store: what it held is in no record and no body, and the sealed bytes are off the disk."""
    async with flow.drive(tmp_path) as rig:
        other = JIANGXI if flow.sender.node == ZHEJIANG else ZHEJIANG
        message = sent(rig, flow.sender.node, other, flow.kind)[-1]
        before = {name: naming(rig[name].database, flow) for name in (ZHEJIANG, JIANGXI)}
        assert before[other], "the words are nowhere before: the test shows nothing"

        await erase(rig, message, flow.sender)

        for name in (ZHEJIANG, JIANGXI):
            assert sorted(naming(rig[name].database, flow)) == []
            traces = before[name].values()
            stored = b"".join(path.read_bytes() for path in tmp_path.glob(f"{name}.db*"))
            assert not any(trace[3:] in stored for trace in traces)


def test_every_kind_is_erased_above_or_kept_under_a_floor() -> None:
    """Who adds a kind adds what it leaves, or the rule by which it stays.

    A notice holds nothing of a person, and a disclosure is an entry again.
    """
    under = {name for name, kind in KINDS.items() if has_floor(AGREED, kind.keep)}
    assert {flow.kind for flow in FLOWS} | under == set(KINDS) - {
        "correction.notice",
        "case.disclosure",
        "alert.disclosure",
    }


_BODIES = text(
    "SELECT DISTINCT b.message_id, m.kind, b.content FROM message_body b JOIN message m ON m.id = b.message_id"
    " WHERE m.pair IN ('zhejiang>jiangxi', 'jiangxi>zhejiang')"
)


def naming(database: Database, flow: Flow) -> dict[str, bytes]:
    """Every row, and body between the two, that holds one of the words, by its name, with its sealed bytes."""
    found: dict[str, bytes] = {}
    words = [word.encode() for word in flow.words]
    allowed = OWN | UNDER_A_FLOOR | flow.kept
    with database.reading() as connection:
        rows = connection.execute(text("SELECT replica, kind, id, content FROM record")).all()
        versions = connection.execute(text("SELECT kind, id, version, content FROM record_version")).all()
        bodies = connection.execute(_BODIES).all()
    for replica, kind, record_id, content in rows:
        record = find_record(database, kind, record_id, replica=bool(replica))
        plain = (record.subject or "").encode() + record.content + record_id.encode()
        if (kind, bool(replica)) not in allowed and any(word in plain for word in words):
            found[f"{kind}/{record_id}"] = content
    for kind, record_id, version, content in versions:
        plain = b"".join(
            (each.subject or "").encode() + each.content
            for each in list_versions(database, kind, record_id)
            if each.version == version
        )
        if (kind, False) not in allowed and any(word in plain for word in words):
            found[f"{kind}/{record_id}/{version}"] = content
    for message_id, kind, content in bodies:
        body = find_handed(database, MessageId(message_id))
        if kind not in flow.bodies and any(word in item for item in body.items for word in words):
            found[f"{kind}/{message_id}"] = content
    return found


async def settled(database: Database, message_id: MessageId) -> None:
    """Waits until a message has left the queue."""
    async with asyncio.timeout(60):
        while find_outbox_state(database, message_id) == "pending":
            await asyncio.sleep(0.001)


def test_kind_without_a_rule_of_retention_does_not_start() -> None:
    """Silence would be to keep it for ever: no rule named, or one that the provinces did not agree on."""
    kinds, agreement = KINDS.values(), kit().agreement
    rules = without_rule(agreement.files[RETENTION_FILE].decode(), CORRECTION).encode()
    altered = replace(agreement, files={**agreement.files, RETENTION_FILE: rules})
    Trust(agreement, kinds)
    with pytest.raises(NotFoundError, match="RETENTION_RULE"):
        Trust(agreement, [*kinds, replace(KINDS["permit.sync"], name="case.note", keep="")])
    with pytest.raises(NotFoundError, match="RETENTION_RULE"):
        Trust(altered, kinds)


async def test_message_that_began_under_rules_without_its_kind_is_not_kept(tmp_path: Path) -> None:
    """It is refused whole, row and number undone: without a day nothing would ever end it; with its rule it goes."""
    async with running_rig(tmp_path) as rig:
        node = rig[ZHEJIANG]
        begun = node.trust.in_force
        older = replace(begun, retention=replace(AGREED, rules={USE: AGREED.rules[USE]}))
        told = statement(rig, kind=reports.REQUEST.name)

        with pytest.raises(NotFoundError, match="RETENTION_RULE"):
            await node.sequencer.commit(lambda tx: put_end(node, tx, told, direction="sent", in_force=older))
        assert list(ENDS.each(node.database)) == []

        await node.sequencer.commit(lambda tx: put_end(node, tx, told, direction="sent", in_force=begun))
        assert [end.message_id for end in ENDS.each(node.database)] == [told.id]
