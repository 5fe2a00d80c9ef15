"""Orders to erase: both sides destroy, the receipt names the leaf, and what may not be erased is answered clearly."""

from __future__ import annotations

import asyncio
import base64
import os
import uuid
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.domain.erasure import (
    ORDER_BODY,
    RECEIPT_BODY,
    ErasureOutcome,
    OrderItem,
    ReceiptItem,
    decode_receipt_item,
    order_bytes,
)
from federation.node import erasure, permits
from federation.node.erasure import ORDER_KIND, order_erasure
from federation.node.erasure_lists import list_erasures, list_sent
from federation.node.erasure_receipts import RECEIPT_KIND
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.exchange.replies import intake_office
from federation.node.permits_sharing import PERMIT, SYNC
from federation.node.readings import read_lookup
from federation.node.retention import destroy_ended
from federation.protocol.body import Body
from federation.protocol.errors import ConflictError, MalformedError, RuleError, UntrustedError
from federation.protocol.form import encode, replace
from federation.protocol.ids import MessageId, NodeName, Pair, parse_agency_id
from federation.protocol.leaf import Leaf, LeafKind, Verdict, decode_leaf, encode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Sender
from federation.protocol.tlog.merkle import hash_leaf
from federation.store.log_reader import find_entry, find_leaf, load_entries
from federation.store.messages import StoredMessage, find_body, find_outbox, list_messages, load_body
from federation.store.records import find_record
from federation.wire.agency.erasure import ErasureQuery, ErasureQuestion, ErasureState, SentQuery
from tests.node.kept_decisions import list_decisions
from tests.node.lookups.office import public_text
from tests.node.retention.released import OUT, PURPOSE, Border, border, released
from tests.node.rig import (
    HALL,
    JIANGXI,
    POLICE,
    YUSHAN_HALL,
    YUSHAN_POLICE,
    ZHEJIANG,
    act,
    application,
    applications,
    register_key,
    running_rig,
    submission,
)  # fmt: skip

ACT = act("erasure.order", "F01")
KAIHUA_HALL = parse_agency_id("zhejiang/330824/service-hall")
WORDS = "误发 sent by mistake"


def sent(rig, sender: NodeName, recipient: NodeName, kind: str) -> list[StoredMessage]:
    found = list_messages(rig[sender].database, "sent", pair=Pair(sender, recipient), after_seq=0, limit=1000)
    return [message for message in found if message.kind == kind]


async def order(rig, message_id: str, *, at: NodeName = ZHEJIANG, caller=HALL, **changes: str):
    second = {name: changes.pop(name) for name in ("second_officer", "second_signature") if name in changes}
    question = ErasureQuestion(message_id=MessageId(message_id), words=changes.pop("words", WORDS), **second)
    acting = replace(act("erasure.order", "F01"), **changes)
    return await order_erasure(begin_errand(rig[at], caller, acting), question)


async def lines(rig, at: NodeName = ZHEJIANG):
    return (await list_erasures(begin_errand(rig[at], HALL, ACT), ErasureQuery())).lines


@pytest.fixture
async def shared(tmp_path: Path):
    """Changshan's permit of somebody from Yushan has come to Jiangxi."""
    async with running_rig(tmp_path) as rig:
        rig.start_delivery()
        answer = await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), application())
        assert answer.permit is not None
        await rig.drain()
        assert find_record(rig[JIANGXI].database, PERMIT, answer.permit.urn, replica=True) is not None
        yield rig, answer.permit.urn, sent(rig, ZHEJIANG, JIANGXI, SYNC.name)[0]


async def test_order_destroys_the_copy_over_there_and_our_own_body(shared) -> None:
    """Both bodies die, the copy dies, our own permit stays; the receipt points at their leaf."""
    rig, urn, message = shared

    answer = await order(rig, message.id)
    assert answer.line is not None
    assert answer.line.state is ErasureState.ORDERED
    assert find_body(rig[ZHEJIANG].database, message.id) is None
    await rig.drain()

    assert find_body(rig[JIANGXI].database, message.id) is None
    assert find_record(rig[JIANGXI].database, PERMIT, urn, replica=True) is None
    assert find_record(rig[ZHEJIANG].database, PERMIT, urn, replica=False) is not None
    (line,) = await lines(rig)
    assert (line.state, line.was_held, line.receipted) == (ErasureState.RECEIPTED, True, rig.clock())
    index = find_leaf(rig[JIANGXI].database, LeafKind.ERASURE, message.digest)
    assert line.leaf_index == index is not None
    entry = load_entries(rig[JIANGXI].database, index, 1)[0]
    assert line.leaf_digest == hash_leaf(entry).hex()
    ours = find_entry(rig[ZHEJIANG].database, LeafKind.ERASURE, message.digest)
    assert ours is not None
    assert decode_leaf(ours[1]).reason == decode_leaf(entry).reason == "ERASED_ORDERED"
    assert decode_leaf(ours[1]).commitment == decode_leaf(entry).commitment


async def test_order_about_a_release_ends_the_reading(tmp_path: Path) -> None:
    """The officer reads no more what its giver had erased; the refusal says so."""
    async with released(tmp_path) as found:
        release = found.sent(ZHEJIANG, "lookup.release")[0]

        await order(found.rig, release.id, caller=POLICE)
        await found.rig.drain()

        acting = act(PURPOSE, "F03")
        step = (await read_lookup(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, acting), found.lookup_id)).steps[1]
        assert step.decision is not None
        assert step.decision.policies == ("deny-reread-expired",)
        assert (step.fields, step.erased) == ({}, found.rig.clock())
        await found.verify()


async def test_order_about_an_answer_ends_its_handle_at_the_asker(tmp_path: Path) -> None:
    """The handle that came with the answer opens nothing any more."""
    async with border(tmp_path) as found:
        await found.search()
        answer = found.sent(ZHEJIANG, "lookup.answer")[0]

        await order(found.rig, answer.id, caller=POLICE)
        await found.rig.drain()

        assert (await found.fetch()).policies == ("rule-handle-unknown",)
        await found.verify()


@pytest.mark.attack("an open search is ordered erased")
async def test_question_is_never_ordered_erased_nor_an_answer_to_one(tmp_path: Path) -> None:
    """An open police search, one that was answered, a fetch: nobody takes back what is logged of their asking."""
    async with released(tmp_path) as found:
        for kind in ("lookup.search", "lookup.fetch"):
            question = found.sent(JIANGXI, kind)[0]
            answer = await order(found.rig, question.id, at=JIANGXI, caller=YUSHAN_POLICE)
            assert answer.decision.policies == ("deny-erasure-no-record",)
            assert find_body(found.rig[ZHEJIANG].database, question.id) is not None
        await found.verify()


@pytest.mark.attack("a clerk orders another county's record erased")
async def test_record_is_ordered_erased_by_its_own_office_or_the_issuing_county(shared) -> None:
    """Police of another county, and another kind of office of this one, erase nothing; the county's police may."""
    rig, urn, message = shared
    for caller in (KAIHUA_HALL, parse_agency_id("zhejiang/330824/police")):
        answer = await order(rig, message.id, caller=caller)
        assert answer.decision.policies == ("deny-erasure-other-office",)
    assert find_record(rig[JIANGXI].database, PERMIT, urn, replica=True) is not None

    assert (await order(rig, message.id, caller=POLICE)).line is not None
    await rig.drain()
    assert find_record(rig[JIANGXI].database, PERMIT, urn, replica=True) is None


@pytest.mark.parametrize("office", ["the one that answered", "the county's"])
async def test_release_is_ordered_erased_by_its_office_or_the_county_of_its_record(tmp_path: Path, office: str) -> None:
    """No other county's; the asker, who is not told which county it is, goes by those of its own case."""
    async with released(tmp_path) as found:
        release = found.sent(ZHEJIANG, "lookup.release")[0]
        answered = intake_office(found.rig[ZHEJIANG].trust.in_force, ZHEJIANG)
        assert answered.county != POLICE.county
        refused = await order(found.rig, release.id, caller=parse_agency_id("zhejiang/330824/police"))
        assert refused.decision.policies == ("deny-erasure-other-office",)

        ordered = await order(found.rig, release.id, caller=answered if office == "the one that answered" else HALL)
        assert ordered.line is not None
        await found.rig.drain()
        assert find_body(found.rig[JIANGXI].database, release.id) is None
        await found.verify()


@pytest.mark.attack("a member orders past its own policy")
async def test_order_of_a_hostile_office_is_refused_by_the_recipient_too(shared) -> None:
    """A member that skips its own policy erases nothing over there: each side asks who sent the record."""
    rig, urn, message = shared
    item = OrderItem(message_id=message.id, message=message.digest, words=WORDS)
    body = Body(type=ORDER_BODY, salt=os.urandom(32), items=(encode(item),))
    for seq, office in enumerate((KAIHUA_HALL, parse_agency_id("zhejiang/330822/court")), 900):
        made = submission(
            rig, body, seq=seq, kind=ORDER_KIND, purpose="erasure.order",
            sender=Sender(node=ZHEJIANG, agency=office),
        )  # fmt: skip
        leaf = decode_leaf((await receive(rig[JIANGXI], made, peer=ZHEJIANG)).leaf)
        assert leaf.verdict is Verdict.REFUSED
        assert "deny-erasure-other-office" in leaf.policies
    assert find_record(rig[JIANGXI].database, PERMIT, urn, replica=True) is not None


@pytest.mark.attack("one clerk empties the store")
async def test_orders_beyond_so_many_a_day_need_a_second_persons_key(shared, monkeypatch) -> None:
    """The office's day is counted, whoever orders; neither oneself, nor one's own key under another name, is a second."""
    rig, _, _ = shared
    monkeypatch.setattr(erasure, "ORDERS_ALONE", 2)
    mine, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    for name, key in (("officer-1", mine), ("officer-9", second), ("officer-2", mine)):
        await register_key(rig[ZHEJIANG], HALL, name, key=public_text(key))
    for nth in (1, 2, 3):
        await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), application(nth=nth))
    messages = sent(rig, ZHEJIANG, JIANGXI, SYNC.name)
    for message, officer in zip(messages, ("officer-1", "officer-2"), strict=False):
        assert (await order(rig, message.id, officer=officer)).line is not None

    await rig.drain()

    def signed(name: str, key: Ed25519PrivateKey, **changes: str) -> dict[str, str]:
        facts = {"officer": "officer-1", "words": WORDS, **changes}
        text = order_bytes(HALL, messages[2].id, **facts)
        return {"second_officer": name, "second_signature": base64.b64encode(key.sign(text)).decode()}

    for second_person, reason in (
        ({}, "ERASURE_SECOND"),
        (signed("officer-1", mine), "SAME_PERSON"),
        (signed("officer-2", mine), "SAME_PERSON"),
        (signed("officer-9", mine), "OFFICER_KEY"),
        (signed("officer-9", second, words="another reason"), "OFFICER_KEY"),
        (signed("nobody", second), "OFFICER_KEY"),
    ):
        size = rig[ZHEJIANG].sequencer.head.size
        with pytest.raises((RuleError, UntrustedError), match=reason):
            await order(rig, messages[2].id, **second_person)
        assert rig[ZHEJIANG].sequencer.head.size == size + 1  # the no is logged
    assert find_body(rig[ZHEJIANG].database, messages[2].id) is not None

    assert (await order(rig, messages[2].id, **signed("officer-9", second))).line is not None
    rig.clock.advance(days=1)
    assert (await order(rig, messages[3].id)).line is not None


async def test_office_sees_what_it_may_order_and_its_countys_orders(shared) -> None:
    """Another county's messages and orders are listed to nobody else but an audit office."""
    rig, _, message = shared
    await order(rig, message.id)
    for caller, seen in ((HALL, True), (POLICE, True), (KAIHUA_HALL, False)):
        listed = await list_sent(begin_errand(rig[ZHEJIANG], caller, ACT), SentQuery(recipient=JIANGXI))
        assert [each.message_id for each in listed.messages] == [message.id] * (seen and caller == HALL)
        page = await list_erasures(begin_errand(rig[ZHEJIANG], caller, ACT), ErasureQuery())
        assert len(page.lines) == seen
    auditor = parse_agency_id("zhejiang/330000/audit")
    assert len((await list_erasures(begin_errand(rig[ZHEJIANG], auditor, ACT), ErasureQuery())).lines) == 1


async def test_office_sees_what_was_sent_to_a_province_that_was_expelled(shared) -> None:
    """What left is still named; a stranger is not."""
    rig, _, message = shared
    errand = begin_errand(rig[ZHEJIANG], HALL, ACT)
    before = rig.expel(JIANGXI, at=ZHEJIANG)
    try:
        listed = await list_sent(begin_errand(rig[ZHEJIANG], HALL, ACT), SentQuery(recipient=JIANGXI))
        with pytest.raises(UntrustedError) as refusal:
            await list_sent(errand, SentQuery(recipient=NodeName("hunan")))
    finally:
        rig.put_in_force(before, ZHEJIANG)

    assert [each.message_id for each in listed.messages] == [message.id]
    assert refusal.value.reason == "NOT_A_MEMBER"


async def test_order_for_what_may_not_be_erased_gets_a_clear_answer(tmp_path: Path) -> None:
    """Not ours, already erased, a record of provision: each says what it is; unknown is as what is another office's."""
    async with released(tmp_path) as found:
        rig, release = found.rig, found.sent(ZHEJIANG, "lookup.release")[0]
        case = found.sent(JIANGXI, "lookup.case")[0]

        not_ours = await order(rig, release.id, at=JIANGXI, caller=YUSHAN_HALL)
        assert not_ours.decision.policies == ("deny-erasure-not-the-sender",)
        floor = await order(rig, case.id, at=JIANGXI, caller=YUSHAN_POLICE)
        assert floor.decision.policies == ("deny-erasure-no-record", "deny-erasure-under-floor")
        elsewhere = await order(rig, release.id, caller=parse_agency_id("zhejiang/330822/police"), function="F03")
        assert not elsewhere.decision.allowed
        unknown = await order(rig, "00000000-0000-7000-8000-000000000000")
        assert unknown.decision.policies == ("deny-erasure-other-office",)
        with pytest.raises(MalformedError, match="ERASURE_WORDS"):
            await order(rig, release.id, words="x\n")
        office = intake_office(rig[ZHEJIANG].trust.in_force, ZHEJIANG)
        assert (await order(rig, release.id, caller=office)).line is not None
        with pytest.raises(ConflictError, match="ERASURE_DONE"):
            await order(rig, release.id, caller=office)
        assert find_body(rig[JIANGXI].database, case.id) is not None
        asked = {one.request.action for kept in list_decisions(rig[JIANGXI].database) for one in kept.asked}
        assert "erasure.order" in asked
        await found.verify()


async def test_order_repeated_under_its_request_id_gets_the_first_answer(shared) -> None:
    """Whoever lost the answer asks again: the same order, what became of it since, nothing sent or logged twice."""
    rig, _, message = shared
    request_id = str(uuid.uuid4())
    first = await order(rig, message.id, request_id=request_id)

    again = await order(rig, message.id, request_id=request_id)
    await rig.drain()
    later = await order(rig, message.id, request_id=request_id)

    assert again == first
    assert later.decision == first.decision
    assert later.line is not None
    assert first.line is not None
    assert (later.line.order_digest, later.line.state) == (first.line.order_digest, ErasureState.RECEIPTED)
    assert len(sent(rig, ZHEJIANG, JIANGXI, ORDER_KIND)) == 1


async def test_orders_at_once_under_one_request_id_are_one(shared) -> None:
    """Two tries of one click: one of them orders, the other is told of it."""
    rig, _, message = shared
    request_id = str(uuid.uuid4())

    first, other = await asyncio.gather(*(order(rig, message.id, request_id=request_id) for _ in range(2)))

    assert first == other
    assert len(sent(rig, ZHEJIANG, JIANGXI, ORDER_KIND)) == 1


async def test_order_resent_since_is_told_by_its_last_statement(shared) -> None:
    """The first statement expired on its way: the repeat shows the order that took its place, with its first day."""
    rig, _, message = shared
    request_id = str(uuid.uuid4())
    rig.faults(ZHEJIANG, JIANGXI).cut = True
    first = await order(rig, message.id, request_id=request_id)
    rig.clock.advance(days=4)
    rig[ZHEJIANG].wake_delivery(JIANGXI)
    await rig.drain()
    await rig.restore(ZHEJIANG, JIANGXI)
    await destroy_ended(rig[ZHEJIANG])
    await rig.drain()

    again = await order(rig, message.id, request_id=request_id)

    assert first.line is not None
    assert again.line is not None
    assert (again.line.state, again.line.ordered) == (ErasureState.RECEIPTED, first.line.ordered)
    assert again.line.order_digest != first.line.order_digest


async def test_order_of_something_else_under_the_same_request_id_is_a_conflict(shared) -> None:
    """Other words, another message or another office under one id is another request."""
    rig, _, message = shared
    request_id = str(uuid.uuid4())
    await order(rig, message.id, request_id=request_id)

    for changes in ({"words": "another reason"}, {"caller": POLICE}):
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await order(rig, message.id, request_id=request_id, **changes)
    with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
        await order(rig, "00000000-0000-7000-8000-000000000000", request_id=request_id)


async def test_order_for_what_is_still_queued_withdraws_it(tmp_path: Path) -> None:
    """It never leaves: an `expired` leaf says so; the recipient answers that it held nothing."""
    async with running_rig(tmp_path) as rig:
        rig.faults(ZHEJIANG, JIANGXI).cut = True
        rig.start_delivery()
        await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), application())
        message = sent(rig, ZHEJIANG, JIANGXI, SYNC.name)[0]

        await order(rig, message.id)
        rig.faults(ZHEJIANG, JIANGXI).cut = False
        await rig.drain()

        row = find_outbox(rig[ZHEJIANG].database, message.id)
        assert row is not None
        assert row.state == "expired"
        expired = find_entry(rig[ZHEJIANG].database, LeafKind.EXPIRED, message.digest)
        assert expired is not None
        assert decode_leaf(expired[1]).reason == "WITHDRAWN"
        (line,) = await lines(rig)
        assert (line.state, line.was_held, line.leaf_index) == (ErasureState.RECEIPTED, False, None)
        await Border(rig, tmp_path, None).verify()


async def test_message_that_comes_after_its_order_is_destroyed_at_once(tmp_path: Path) -> None:
    """A call that was under way when the order overtook it: the message is received, logged, and erased with it."""
    async with running_rig(tmp_path) as rig:
        await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), application())
        message = sent(rig, ZHEJIANG, JIANGXI, SYNC.name)[0]
        late = Submission(envelope=message.envelope, body=load_body(rig[ZHEJIANG].database, message.id))
        await order(rig, message.id)
        rig.start_delivery()
        await rig.drain()

        receipt = await receive(rig[JIANGXI], late, peer=ZHEJIANG)

        assert decode_leaf(receipt.leaf).kind is LeafKind.RECEIVED
        assert find_body(rig[JIANGXI].database, message.id) is None
        assert find_leaf(rig[JIANGXI].database, LeafKind.ERASURE, message.digest) is not None
        assert await receive(rig[JIANGXI], late, peer=ZHEJIANG) == receipt


async def test_orders_are_listed_newest_first_page_by_page_while_others_come(tmp_path: Path) -> None:
    """No order is shown twice or passed over; a token says nothing and opens this list alone."""
    async with running_rig(tmp_path) as rig:
        people = [each for each in applications() if each.residence_division == "330822" and not each.sealed]
        for person in [each for each in people if each.holder.household_division[:2] == "36"][:5]:
            await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), person)
        *messages, last = sent(rig, ZHEJIANG, JIANGXI, "permit.sync")
        assert len(messages) > 1
        for message in messages:
            rig.clock.advance(seconds=1)
            await order(rig, message.id)

        first = await list_erasures(begin_errand(rig[ZHEJIANG], HALL, ACT), ErasureQuery(page_size=1))
        rig.clock.advance(seconds=1)
        await order(rig, last.id)
        query = ErasureQuery(page_size=9, page_token=first.next_page_token)
        second = await list_erasures(begin_errand(rig[ZHEJIANG], HALL, ACT), query)

        found = [line.message_id for line in (*first.lines, *second.lines)]
        assert found == [message.id for message in reversed(messages)]
        assert second.next_page_token == ""
        for token in ("2", first.next_page_token[:-4], "A" * 60):
            with pytest.raises(MalformedError, match="PAGE_TOKEN"):
                await list_erasures(begin_errand(rig[ZHEJIANG], HALL, ACT), ErasureQuery(page_token=token))


async def test_order_whose_receipt_does_not_come_is_overdue(shared) -> None:
    """After the days that the agreement gives, the list says so."""
    rig, _, message = shared
    rig.faults(ZHEJIANG, JIANGXI).cut = True
    await order(rig, message.id)
    rig.clock.advance(days=3)
    assert (await lines(rig))[0].state is ErasureState.ORDERED

    rig.clock.advance(seconds=1)

    assert (await lines(rig))[0].state is ErasureState.OVERDUE


async def test_order_repeated_by_a_lost_answer_is_obeyed_once(shared) -> None:
    """The same order comes twice: one leaf, one receipt."""
    rig, _, message = shared
    rig.faults(ZHEJIANG, JIANGXI).drop_answers = 1
    rig.faults(JIANGXI, ZHEJIANG).repeat = 1

    await order(rig, message.id)
    await rig.drain()

    assert len(sent(rig, JIANGXI, ZHEJIANG, RECEIPT_KIND)) == 1
    assert (await lines(rig))[0].state is ErasureState.RECEIPTED


async def test_order_by_a_province_that_did_not_send_it_is_refused_there(tmp_path: Path) -> None:
    """Zhejiang can not have erased what Jiangxi sent: a refusal, logged and receipted like any other."""
    async with released(tmp_path) as found:
        question = found.sent(JIANGXI, "lookup.search")[0]
        item = OrderItem(message_id=question.id, message=question.digest, words=WORDS)
        body = Body(type=ORDER_BODY, salt=os.urandom(32), items=(encode(item),))
        forged = submission(found.rig, body, seq=1000, kind=ORDER_KIND, purpose="erasure.order")

        receipt = await receive(found.rig[JIANGXI], forged, peer=ZHEJIANG)

        leaf = decode_leaf(receipt.leaf)
        assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("deny-erasure-not-the-sender",))
        assert find_body(found.rig[JIANGXI].database, question.id) is not None


async def test_receipt_about_something_else_is_refused(tmp_path: Path) -> None:
    """A receipt must be about a message of ours to that node, and carry the leaf of that very message."""
    async with released(tmp_path) as found:
        rig, question = found.rig, found.sent(JIANGXI, "lookup.search")[0]
        other = Leaf(
            federation=rig.agreement.federation, realm=rig.agreement.realm, kind=LeafKind.ERASURE,
            subject=question.digest, pair=OUT, seq=question.seq, agreement_version=1, time=rig.clock(),
        )  # fmt: skip

        async def take(item: ReceiptItem, cites: str):
            body = Body(type=RECEIPT_BODY, salt=os.urandom(32), items=(encode(item),))
            names = {"kind": RECEIPT_KIND, "purpose": "erasure.order", "in_reply_to": cites}
            return await receive(rig[JIANGXI], submission(rig, body, seq=1000, **names), peer=ZHEJIANG)

        unknown = ReceiptItem(message="ab" * 32, outcome=ErasureOutcome.NOT_HELD)
        wrong = ReceiptItem(
            message=question.digest,
            outcome=ErasureOutcome.ERASED,
            entry=encode_leaf(other).decode(),
            index=1,
            proof="none",
        )
        assert decode_receipt_item(encode(wrong)) == wrong
        with pytest.raises(MalformedError, match="RECEIPT_UNASKED"):
            await take(unknown, "ab" * 32)
        with pytest.raises(MalformedError, match="RECEIPT_UNASKED"):
            await take(replace(wrong, order="cd" * 32), "cd" * 32)
        with pytest.raises(UntrustedError, match="ERASURE_LEAF"):  # it lacks the commitment of that very body
            await take(wrong, question.digest)
        assert load_body(rig[JIANGXI].database, question.id)
