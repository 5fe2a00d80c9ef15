"""Delivery: everything arrives once, whatever is lost, repeated or answered wrongly on the way."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import pytest

from federation.audit.report import Code
from federation.node.exchange.deliver import Delivery
from federation.node.exchange.receive import receive
from federation.node.exchange.send import send
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import ConflictError, CorruptError, MalformedError, NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, Pair
from federation.protocol.leaf import LeafKind, decode_leaf, encode_leaf
from federation.protocol.receipt import Answer, Receipt, verify_receipt
from federation.protocol.tlog.merkle import hash_leaf
from federation.protocol.tlog.note import Checkpoint, sign_checkpoint
from federation.protocol.tlog.proof import TlogProof, format_proof, parse_proof
from federation.store.log_reader import load_entries
from federation.store.messages import count_pending, find_message, find_outbox, list_messages
from federation.store.witness_state import list_forks
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG, Rig, draft, kit, received, sync_body, sync_item
from tests.scenarios.check_federation import USUAL, NodeStore, check_federation
from tests.store.samples import missing_numbers

OUT = Pair(ZHEJIANG, JIANGXI)


async def queue(rig: Rig, count: int = 1) -> list[MessageId]:
    bodies = [sync_body(sync_item(number)) for number in range(1, count + 1)]
    committed = await send(rig[ZHEJIANG], [draft(body) for body in bodies], rows=lambda _tx: None)
    return list(committed.value[1])


def delivery(rig: Rig) -> Delivery:
    parts = rig.hosts[ZHEJIANG].parts
    assert parts is not None
    return parts.delivery


async def outcomes(rig: Rig, ids: Sequence[MessageId]) -> set[str]:
    return set(await asyncio.gather(*(delivery(rig).wait_settled(message_id) for message_id in ids)))


def require_exactly_once(rig: Rig, count: int) -> None:
    """Every number has one message and one leaf at the receiver, and its receipt is kept at the sender."""
    sent = list_messages(rig[ZHEJIANG].database, "sent", pair=OUT, after_seq=0, limit=10_000)
    assert [message.seq for message in received(rig[JIANGXI])] == list(range(1, count + 1))
    assert [message.digest for message in sent] == [message.digest for message in received(rig[JIANGXI])]
    assert rig[JIANGXI].sequencer.head.size == count
    for message in sent:
        row = find_outbox(rig[ZHEJIANG].database, message.id)
        assert row is not None
        assert row.receipt_leaf is not None
        assert row.receipt_proof is not None
        receipt = Receipt(leaf=row.receipt_leaf, proof=row.receipt_proof)
        verify_receipt(receipt, statement_digest=message.digest, log_vkey=rig[JIANGXI].sequencer.vkey)
    assert count_pending(rig[ZHEJIANG].database) == {}


async def test_deliver_brings_everything_queued_and_keeps_the_receipts(rig: Rig) -> None:
    """Settled means: the receiver's receipt was verified and is kept."""
    ids = await queue(rig, 60)
    rig.start_delivery()

    assert await outcomes(rig, ids) == {"settled"}
    require_exactly_once(rig, 60)
    assert delivery(rig).last_receipt(JIANGXI) == rig.clock()


async def test_deliver_what_is_queued_later_goes_out_at_once(rig: Rig) -> None:
    """Sending wakes the lane."""
    rig.start_delivery()
    for number in range(1, 6):
        (message_id,) = (await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)).value[1]
        assert await delivery(rig).wait_settled(message_id) == "settled"
        assert len(received(rig[JIANGXI])) == number


@pytest.mark.parametrize(
    "fault",
    [{"drop_requests": 4}, {"drop_answers": 4}, {"repeat": 5}, {"reverse": True}, {"drop_answers": 3, "repeat": 2}],
)
async def test_deliver_through_a_bad_line_settles_each_message_once(rig: Rig, fault: dict[str, int]) -> None:
    """Lost requests, lost answers, repeats and other orders end in the same two logs."""
    for name, value in fault.items():
        setattr(rig.faults(ZHEJIANG, JIANGXI), name, value)
    ids = await queue(rig, 50)
    rig.start_delivery()

    assert await outcomes(rig, ids) == {"settled"}
    require_exactly_once(rig, 50)


async def test_deliver_first_call_fails_while_the_second_succeeds_leaves_nothing_behind(rig: Rig) -> None:
    """What a failed call carried is tried again, although a later call brought what was behind it."""
    line = rig.faults(ZHEJIANG, JIANGXI)
    line.drop_requests = 1
    ids = await queue(rig, 32)
    rig.start_delivery()

    assert await outcomes(rig, ids) == {"settled"}
    assert [len(call) for call in line.carried[:2]] == [16, 16]
    require_exactly_once(rig, 32)


async def test_deliver_to_a_dead_peer_backs_off_with_one_call_at_a_time_and_resumes(rig: Rig) -> None:
    """A peer that is down is not hammered; when it is back everything goes out, from the oldest on."""
    line = rig.faults(ZHEJIANG, JIANGXI)
    line.cut = True
    ids = await queue(rig, 60)
    rig.start_delivery()
    while len(line.carried) < 6:
        delivery(rig).wake(JIANGXI)
        await asyncio.sleep(0)
    assert not delivery(rig).contacts.of(JIANGXI).is_answering
    assert "PEER_CUT" in (delivery(rig).last_error(JIANGXI) or "")
    oldest = line.carried[0][0]
    assert all(call[0] == oldest for call in line.carried[2:])

    line.cut = False

    assert await outcomes(rig, ids) == {"settled"}
    assert delivery(rig).contacts.of(JIANGXI).is_answering
    assert delivery(rig).last_error(JIANGXI) is None
    require_exactly_once(rig, 60)


async def test_deliver_resumes_after_a_restart_of_the_sender(rig: Rig) -> None:
    """What was queued before goes first; what was receipted but not settled gets the same receipt."""
    rig.faults(ZHEJIANG, JIANGXI).drop_answers = 1000
    ids = await queue(rig, 50)
    rig.start_delivery()
    while len(received(rig[JIANGXI])) < 16:
        await asyncio.sleep(0)
    await rig.hosts[ZHEJIANG].crash()
    rig.faults(ZHEJIANG, JIANGXI).drop_answers = 0

    rig.hosts[ZHEJIANG].open()
    rig.hosts[ZHEJIANG].start_delivery()

    assert await outcomes(rig, ids) == {"settled"}
    require_exactly_once(rig, 50)


async def test_deliver_resumes_after_a_crash_of_the_receiver(rig: Rig) -> None:
    """The receiver dies with its answers unsent: it has each message once when it is back."""
    ids = await queue(rig, 50)
    rig.hosts[JIANGXI].die_at = "after-commit"
    rig.start_delivery()
    while rig.hosts[JIANGXI].alive:
        await asyncio.sleep(0)
    await rig.hosts[JIANGXI].crash()
    rig.hosts[JIANGXI].open()

    assert await outcomes(rig, ids) == {"settled"}
    require_exactly_once(rig, 50)


# ---- what does not arrive ----------------------------------------------------------------------------------------------


async def test_deliver_message_that_expired_leaves_the_queue_with_a_leaf(rig: Rig) -> None:
    """Too old to send: logged as expired, told to who waits, never sent."""
    (message_id,) = await queue(rig)
    rig.clock.advance(days=3, seconds=1)
    rig.start_delivery()

    assert await delivery(rig).wait_settled(message_id) == "expired"

    message = find_message(rig[ZHEJIANG].database, "sent", message_id)
    assert message is not None
    leaf = decode_leaf(load_entries(rig[ZHEJIANG].database, 1, 1)[0])
    assert (leaf.kind, leaf.subject, leaf.seq, leaf.pair) == (LeafKind.EXPIRED, message.digest, 1, OUT)
    assert rig.faults(ZHEJIANG, JIANGXI).carried == []
    assert count_pending(rig[ZHEJIANG].database) == {}


async def test_deliver_message_that_expires_at_this_moment_is_still_sent(rig: Rig) -> None:
    """A statement lives through the moment that it names."""
    (message_id,) = await queue(rig)
    rig.clock.advance(days=3)
    rig.put_in_force(replace(rig.agreement, fresh_until_time=rig.clock() + timedelta(days=1)))
    rig.start_delivery()

    assert await delivery(rig).wait_settled(message_id) == "settled"


async def test_deliver_receipt_that_comes_after_expiry_still_settles(rig: Rig) -> None:
    """The message expired at the sender while the receiver had it: its receipt is worth more than our clock."""
    line = rig.faults(ZHEJIANG, JIANGXI)
    line.hold = asyncio.Event()
    ids = await queue(rig)
    rig.start_delivery()
    while not line.carried:
        await asyncio.sleep(0)
    rig.clock.advance(days=3, seconds=30)
    rig.put_in_force(replace(rig.agreement, fresh_until_time=rig.clock() + timedelta(days=1)))
    line.hold.set()

    assert await outcomes(rig, ids) == {"settled"}


async def test_deliver_one_message_that_is_put_off_does_not_hold_up_the_others(rig: Rig) -> None:
    """What the receiver cannot judge yet waits by itself; a later try brings it."""
    waiting = replace(rig.agreement, version=rig.agreement.version + 1, digest="ab" * 32)
    rig.put_in_force(waiting, ZHEJIANG)
    (ahead,) = await queue(rig)
    rig.put_in_force(rig.agreement, ZHEJIANG)
    others = await queue(rig, 20)
    rig.start_delivery()

    assert await outcomes(rig, others) == {"settled"}
    assert "AGREEMENT_BEHIND" in (delivery(rig).last_error(JIANGXI) or "")
    assert delivery(rig).contacts.of(JIANGXI).is_answering
    assert missing_numbers(rig[JIANGXI].database, "received", pair=OUT) == [1]

    rig.put_in_force(waiting, JIANGXI)

    assert await delivery(rig).wait_settled(ahead) == "settled"
    require_exactly_once(rig, 21)


@pytest.mark.parametrize(
    "error", [MalformedError("MESSAGE_KIND", "no such kind"), ConflictError("SEQUENCE_REUSED", "x")]
)
async def test_deliver_message_that_can_never_be_judged_is_rejected_and_the_others_settle(
    rig: Rig, error: MalformedError | ConflictError
) -> None:
    """Rejected is a state that a human sees, with the reason."""

    def refuse_first(answers: Sequence[Answer]) -> Sequence[Answer]:
        return [error if isinstance(a, Receipt) and decode_leaf(a.leaf).seq == 1 else a for a in answers]

    rig.faults(ZHEJIANG, JIANGXI).alter = refuse_first
    first, *others = await queue(rig, 10)
    rig.start_delivery()

    assert await delivery(rig).wait_settled(first) == "rejected"
    assert await outcomes(rig, others) == {"settled"}
    row = find_outbox(rig[ZHEJIANG].database, first)
    assert row is not None
    assert (row.state, row.last_error) == ("rejected", error.reason)
    assert error.reason in (delivery(rig).last_error(JIANGXI) or "")
    size = rig[ZHEJIANG].sequencer.head.size
    (leaf,) = [
        leaf
        for leaf in map(decode_leaf, load_entries(rig[ZHEJIANG].database, 0, size))
        if leaf.kind is LeafKind.DISCREPANCY
    ]
    assert (leaf.reason, leaf.seq, leaf.pair) == (error.reason, 1, OUT)


async def test_deliver_rejection_with_a_reason_that_is_none_still_lets_the_others_settle(rig: Rig) -> None:
    """What the other side calls its reason goes into our log in a known form only."""
    error = MalformedError("x" * 5000, "a peer that means to break our leaf")
    rig.faults(ZHEJIANG, JIANGXI).alter = lambda answers: [error, *answers[1:]]
    first, *others = await queue(rig, 4)
    rig.start_delivery()

    assert await delivery(rig).wait_settled(first) == "rejected"
    assert await outcomes(rig, others) == {"settled"}
    row = find_outbox(rig[ZHEJIANG].database, first)
    assert row is not None
    assert row.last_error == "REASON_MALFORMED"


async def test_deliver_rejected_message_does_not_fail_the_audit_for_ever(rig: Rig) -> None:
    """Our log says that it was rejected: the audit warns, and does not call it outstanding."""

    class Other:
        """A receiver of an older version, which does not know the kind of the message."""

        async def submit(self, submissions, *, timeout_seconds: float) -> Sequence[Answer]:
            return [MalformedError("MESSAGE_KIND", "no such kind") for _ in submissions]

    await queue(rig, 2)
    delivery(rig).start({JIANGXI: Other()}, renewed=())
    await rig.drain()
    await delivery(rig).close()

    now = rig.clock.advance(days=30)
    kept = [NodeStore(name, host.node.database, host.keyring.log) for name, host in rig.hosts.items()]
    allowed = {*USUAL, Code.DISCREPANCY_LOGGED}
    report = await check_federation(kept, rig.agreement, now=now, settled=False, allowed=allowed)
    assert [finding.code for finding in report.findings].count(Code.DISCREPANCY_LOGGED) == 2


@pytest.mark.parametrize(
    "wrong", [lambda answers: answers[:-1], lambda answers: [*answers, answers[-1]], lambda _a: []]
)
async def test_deliver_answers_of_another_count_settle_nothing(rig: Rig, wrong) -> None:
    """Which answer belongs to which message is not guessed; later good answers settle all."""
    line = rig.faults(ZHEJIANG, JIANGXI)
    line.alter = wrong
    ids = await queue(rig, 8)
    rig.start_delivery()
    while len(line.carried) < 6:
        await asyncio.sleep(0)
    assert count_pending(rig[ZHEJIANG].database) == {JIANGXI: 8}
    assert "ANSWER_COUNT" in (delivery(rig).last_error(JIANGXI) or "")

    line.alter = None

    assert await outcomes(rig, ids) == {"settled"}
    require_exactly_once(rig, 8)


async def test_deliver_one_message_that_breaks_every_call_is_found_and_put_aside(rig: Rig) -> None:
    """A call that cannot be read is halved until the message at fault is alone; the others arrive."""
    line = rig.faults(ZHEJIANG, JIANGXI)
    ids = await queue(rig, 40)
    poison = find_message(rig[ZHEJIANG].database, "sent", ids[17])
    assert poison is not None

    def break_call(answers: Sequence[Answer]) -> Sequence[Answer]:
        if any(isinstance(a, Receipt) and decode_leaf(a.leaf).subject == poison.digest for a in answers):
            raise CorruptError("UNREADABLE", "the peer choked on the request")
        return answers

    line.alter = break_call
    rig.start_delivery()

    assert await outcomes(rig, [each for each in ids if each != ids[17]]) == {"settled"}
    assert count_pending(rig[ZHEJIANG].database) == {JIANGXI: 1}
    line.alter = None
    assert await delivery(rig).wait_settled(ids[17]) == "settled"


async def test_deliver_message_whose_body_can_not_be_read_waits_alone_until_it_expires(rig: Rig) -> None:
    """Its key is gone: it is told, never sent without its body, and the others arrive."""
    ids = await queue(rig, 3)
    with closing(sqlite3.connect(rig.hosts[ZHEJIANG].path)) as connection:
        (key_id,) = connection.execute("SELECT key_id FROM message_body WHERE message_id = ?", (ids[0],)).fetchone()
    rig[ZHEJIANG].database.body_keys.destroy([key_id])
    rig.start_delivery()

    assert await outcomes(rig, ids[1:]) == {"settled"}
    assert "BODY_KEY_MISSING" in (delivery(rig).last_error(JIANGXI) or "")
    assert missing_numbers(rig[JIANGXI].database, "received", pair=OUT) == [1]

    rig.clock.advance(days=3, seconds=1)
    assert await delivery(rig).wait_settled(ids[0]) == "expired"


async def test_deliver_expired_message_whose_envelope_is_damaged_does_not_hold_up_the_others(rig: Rig) -> None:
    """No leaf can be written about it: it stays queued, told; the others expire, and what is new arrives."""
    ids = await queue(rig, 3)
    with closing(sqlite3.connect(rig.hosts[ZHEJIANG].path)) as connection:
        connection.execute("UPDATE message SET envelope = x'00' WHERE id = ?", (ids[0],))
        connection.commit()
    rig.clock.advance(days=3, seconds=1)
    new = await queue(rig)
    rig.start_delivery()

    assert await outcomes(rig, ids[1:]) == {"expired"}
    assert await outcomes(rig, new) == {"settled"}
    assert "envelope" in (delivery(rig).last_error(JIANGXI) or "")
    assert count_pending(rig[ZHEJIANG].database) == {JIANGXI: 1}


# ---- receipts that are none --------------------------------------------------------------------------------------------


def _other_log(rig: Rig, receipt: Receipt) -> Receipt:
    """The same leaf in a log of Fujian's."""
    log = kit().keyrings[FUJIAN].log
    head = Checkpoint(origin=log.vkey.name, size=1, root=hash_leaf(receipt.leaf))
    note = sign_checkpoint(head, log.vkey, sign=log.sign)
    return Receipt(leaf=receipt.leaf, proof=format_proof(TlogProof(index=0, hashes=(), checkpoint=note)))


def _self_signed(rig: Rig, receipt: Receipt, **changes) -> Receipt:
    """A log of Jiangxi's own that holds one leaf, changed."""
    log = kit().keyrings[JIANGXI].log
    leaf = encode_leaf(replace(decode_leaf(receipt.leaf), **changes))
    head = Checkpoint(origin=log.vkey.name, size=1, root=hash_leaf(leaf))
    note = sign_checkpoint(head, log.vkey, sign=log.sign)
    return Receipt(leaf=leaf, proof=format_proof(TlogProof(index=0, hashes=(), checkpoint=note)))


def _unsigned(_rig: Rig, receipt: Receipt) -> Receipt:
    proof = parse_proof(receipt.proof)
    text, _, line = proof.checkpoint.rpartition(b" ")
    broken = text + b" " + line[:8] + b"A" * (len(line) - 10) + line[-2:]
    return replace(receipt, proof=receipt.proof.replace(proof.checkpoint, broken))


HOSTILE = {
    "other log": (_other_log, "RECEIPT_CHECKPOINT"),
    "unsigned": (_unsigned, "RECEIPT_CHECKPOINT"),
    "other leaf": (lambda rig, receipt: _self_signed(rig, receipt, subject="ab" * 32), "RECEIPT_SUBJECT"),
    "sent leaf": (lambda rig, receipt: _self_signed(rig, receipt, kind=LeafKind.SENT), "RECEIPT_KIND"),
    "wrong number": (lambda rig, receipt: _self_signed(rig, receipt, seq=77), "RECEIPT_SEQUENCE"),
    "changed leaf": (
        lambda _rig, r: replace(r, leaf=r.leaf.replace(b'"policies":["a', b'"policies":["b')),
        "RECEIPT_INC",
    ),
    "no leaf": (lambda _rig, receipt: replace(receipt, leaf=b"{}"), "RECEIPT_LEAF"),
    "no proof": (lambda _rig, receipt: replace(receipt, proof=b"hello"), "RECEIPT_PROOF"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_deliver_receipt_that_does_not_verify_settles_nothing(rig: Rig, name: str) -> None:
    """The message stays queued, whatever is wrong with the receipt, until a good one comes; the others settle."""
    spoil, reason = HOSTILE[name]
    line = rig.faults(ZHEJIANG, JIANGXI)
    line.alter = lambda answers: [
        spoil(rig, a) if isinstance(a, Receipt) and decode_leaf(a.leaf).seq == 1 else a for a in answers
    ]
    first, *others = await queue(rig, 3)
    rig.start_delivery()

    assert await outcomes(rig, others) == {"settled"}
    assert reason in (delivery(rig).last_error(JIANGXI) or "")
    row = find_outbox(rig[ZHEJIANG].database, first)
    assert row is not None
    assert (row.state, row.receipt_leaf) == ("pending", None)

    line.alter = None

    assert await delivery(rig).wait_settled(first) == "settled"
    require_exactly_once(rig, 3)


async def test_deliver_two_heads_of_one_size_are_kept_as_proof_of_a_fork(rig: Rig) -> None:
    """A log that signs two heads of one size is caught by its own receipts; the second head is kept."""
    rig.start_delivery()
    (first,) = await queue(rig)
    assert await delivery(rig).wait_settled(first) == "settled"
    line = rig.faults(ZHEJIANG, JIANGXI)
    line.alter = lambda answers: [_self_signed(rig, answer) for answer in answers]
    await queue(rig)
    while "LOG_FORKED" not in (delivery(rig).last_error(JIANGXI) or ""):
        await asyncio.sleep(0)

    (kept,) = list_forks(rig[ZHEJIANG].database, rig[JIANGXI].sequencer.vkey.name)
    assert kept.size == 1
    assert count_pending(rig[ZHEJIANG].database) == {JIANGXI: 1}


# ---- who waits ---------------------------------------------------------------------------------------------------------


async def test_wait_settled_of_a_settled_message_returns_at_once(rig: Rig) -> None:
    """The store knows, also after a restart."""
    rig.start_delivery()
    ids = await queue(rig)
    await outcomes(rig, ids)

    assert await outcomes(rig, ids) == {"settled"}


async def test_wait_settled_of_an_unknown_message_is_not_found(rig: Rig) -> None:
    """Waiting for what was never queued would never end."""
    with pytest.raises(NotFoundError) as caught:
        await delivery(rig).wait_settled(MessageId("01a2076b-4400-7b53-a303-0b51f21b540d"))
    assert caught.value.reason == "MESSAGE_UNKNOWN"


async def test_wait_settled_given_up_by_one_still_answers_the_others(rig: Rig) -> None:
    """Who stops waiting takes the answer from nobody else, nor from who asks again."""
    (message_id,) = await queue(rig)
    waiting = [asyncio.create_task(delivery(rig).wait_settled(message_id)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    rig.start_delivery()

    assert await asyncio.gather(*waiting[1:]) == ["settled", "settled"]
    assert await delivery(rig).wait_settled(message_id) == "settled"


async def test_close_waits_for_the_call_in_flight_and_settles_it(rig: Rig) -> None:
    """A stopping node still takes the receipts that are on their way."""
    line = rig.faults(ZHEJIANG, JIANGXI)
    line.hold = asyncio.Event()
    (message_id,) = await queue(rig)
    rig.start_delivery()
    while not line.carried:
        await asyncio.sleep(0)
    closing = asyncio.create_task(delivery(rig).close())
    await asyncio.sleep(0)
    line.hold.set()
    await closing

    row = find_outbox(rig[ZHEJIANG].database, message_id)
    assert row is not None
    assert row.state == "settled"


async def test_deliver_statement_cites_the_newest_known_head_of_the_peer(rig: Rig) -> None:
    """`peer_checkpoint` is a not-before bound: once a receipt came, the next statement names its checkpoint."""
    rig.start_delivery()
    first = await queue(rig)
    await outcomes(rig, first)
    known = rig[ZHEJIANG].heads.digest(JIANGXI)
    second = await queue(rig)
    await outcomes(rig, second)

    leaves = [decode_leaf(entry) for entry in load_entries(rig[ZHEJIANG].database, 0, 2)]
    assert known is not None
    assert leaves[0].peer_checkpoint is None
    assert leaves[1].peer_checkpoint == known


async def test_receive_answer_of_the_other_side_is_the_same_for_every_try(rig: Rig) -> None:
    """The receipt that is kept is the one that the receiver gives again, byte for byte."""
    rig.start_delivery()
    (message_id,) = await queue(rig)
    await outcomes(rig, [message_id])
    sent = rig.faults(ZHEJIANG, JIANGXI).carried[0][0]
    row = find_outbox(rig[ZHEJIANG].database, message_id)
    assert row is not None

    again = await receive(rig[JIANGXI], sent, peer=ZHEJIANG)

    assert (again.leaf, again.proof) == (row.receipt_leaf, row.receipt_proof)
    assert parse_envelope(sent.envelope).digest == decode_leaf(again.leaf).subject
