"""Sending: one transaction for rows, message, leaf and queue; numbers without a gap, whatever fails."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from federation.node.exchange.send import send
from federation.protocol.envelope import parse_envelope, verify_envelope
from federation.protocol.errors import BridgeheadError, MalformedError, RuleError, StaleError
from federation.protocol.form import replace
from federation.protocol.ids import Pair
from federation.protocol.leaf import LeafKind, Verdict, decode_leaf
from federation.protocol.statement import decode_statement
from federation.protocol.trust import message_keys_at
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import check_log, load_entries
from federation.store.messages import count_pending, find_message, find_outbox, list_messages, load_body, pair_state
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG, Rig, cause, draft, sync_body

OUT = Pair(ZHEJIANG, JIANGXI)


def sent_numbers(rig: Rig, pair: Pair = OUT) -> list[int]:
    found = list_messages(rig[ZHEJIANG].database, "sent", pair=pair, after_seq=0, limit=1000)
    return [message.seq for message in found]


async def test_send_writes_rows_message_body_leaf_and_queue_together(rig: Rig) -> None:
    """The bytes that are signed are those that are logged, kept and queued."""
    node, body = rig[ZHEJIANG], sync_body()

    committed = await send(node, [draft(body)], rows=lambda tx: tx.count_up("rows"))

    rows, (message_id,) = committed.value
    message = find_message(node.database, "sent", message_id)
    assert message is not None
    envelope = parse_envelope(message.envelope)
    statement = decode_statement(verify_envelope(envelope, message_keys_at(rig.agreement, ZHEJIANG, rig.clock())))
    leaf = decode_leaf(load_entries(node.database, message.leaf_index, 1)[0])
    assert rows == 1
    assert (leaf.kind, leaf.subject, leaf.seq, leaf.pair) == (LeafKind.SENT, envelope.digest, 1, OUT)
    assert (leaf.verdict, leaf.policies) == (Verdict.ALLOWED, ("share-with-household",))
    assert leaf.signatures == envelope.signatures_digest
    assert statement.body is not None
    assert leaf.commitment == statement.body.commitment
    assert statement.expires - statement.created == rig.agreement.statement_lifetime
    assert load_body(node.database, message_id) == body
    row = find_outbox(node.database, message_id)
    assert row is not None
    assert (row.peer, row.seq, row.state, row.expires) == (JIANGXI, 1, "pending", statement.expires)
    assert node.sequencer.head.size == 1
    assert committed.head.size == 1


async def test_send_carries_no_personal_data_in_statement_or_leaf(rig: Rig) -> None:
    """Statement and leaf speak of a person by a salted commitment only."""
    node = rig[ZHEJIANG]
    body = sync_body()
    await send(node, [draft(body)], rows=lambda _tx: None)

    (message,) = list_messages(node.database, "sent", pair=OUT, after_seq=0, limit=10)
    spoken = parse_envelope(message.envelope).payload + load_entries(node.database, 0, 1)[0]
    item = body.items[0].decode()
    for name in ("citizen_number", "holder_name", "urn"):
        value = item.split(f'"{name}":"')[1].split('"')[0]
        assert value.encode() not in spoken


async def test_send_numbers_each_pair_from_one_without_gap(four: Rig) -> None:
    """Each ordered pair has its own numbers."""
    node = four[ZHEJIANG]
    await asyncio.gather(
        *(send(node, [draft(recipient=to)], rows=lambda _tx: None) for to in (JIANGXI, FUJIAN) for _ in range(20))
    )

    assert sent_numbers(four) == sent_numbers(four, Pair(ZHEJIANG, FUJIAN)) == list(range(1, 21))
    assert count_pending(node.database) == {JIANGXI: 20, FUJIAN: 20}
    check_log(node.database)


async def test_send_that_fails_takes_no_number_and_leaves_nothing(rig: Rig) -> None:
    """A job that fails in a group gives its numbers back; the others of the group keep theirs contiguous."""
    node = rig[ZHEJIANG]

    def refuse(transaction: GroupTransaction) -> None:
        transaction.count_up("rows")
        raise RuleError("CASE_CLOSED", "expected an open case")

    def fine(_transaction: GroupTransaction) -> None:
        return None

    outcomes = await asyncio.gather(
        *(send(node, [draft(), draft()], rows=refuse if turn % 3 == 0 else fine) for turn in range(30)),
        return_exceptions=True,
    )

    failed = [outcome for outcome in outcomes if isinstance(outcome, RuleError)]
    assert len(failed) == 10
    assert sent_numbers(rig) == list(range(1, 41))
    state = pair_state(node.database, "sent", OUT)
    assert (state.count, state.highest, node.sequencer.head.size) == (40, 40, 40)
    assert node.database.find_counter("rows") == 0
    check_log(node.database)


async def test_send_statement_too_large_leaves_nothing(rig: Rig) -> None:
    """What cannot be written down is not sent: the rows about it are undone too."""
    node = rig[ZHEJIANG]
    too_long = replace(draft(), cause=cause(basis="条" * 6000))

    with pytest.raises(MalformedError):
        await send(node, [too_long], rows=lambda tx: tx.count_up("rows"))
    await send(node, [draft()], rows=lambda tx: tx.count_up("rows"))

    assert sent_numbers(rig) == [1]
    assert node.database.find_counter("rows") == 1


async def test_send_under_an_expired_agreement_refused_but_rows_alone_are_written(rig: Rig) -> None:
    """Nothing new is said under an agreement that is over; a province's own records are its own."""
    over = replace(rig.agreement, expires_time=rig.clock() - timedelta(seconds=1))
    rig.put_in_force(over, ZHEJIANG)

    with pytest.raises(StaleError) as caught:
        await send(rig[ZHEJIANG], [draft()], rows=lambda tx: tx.count_up("rows"))
    await send(rig[ZHEJIANG], [], rows=lambda tx: tx.count_up("rows"))

    assert caught.value.reason == "AGREEMENT_EXPIRED"
    assert sent_numbers(rig) == []
    assert rig[ZHEJIANG].database.find_counter("rows") == 1


async def test_send_goes_on_with_the_next_number_after_a_restart(rig: Rig) -> None:
    """Numbers are the store's, not the process's."""
    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    await rig.hosts[ZHEJIANG].close()
    rig.hosts[ZHEJIANG].open()

    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)

    assert sent_numbers(rig) == [1, 2]


@pytest.mark.parametrize("step", ["before-rows", "before-commit"])
async def test_send_that_died_before_its_commit_left_no_trace(rig: Rig, step: str) -> None:
    """What was not durable never was: the number is used by the next message."""
    rig.hosts[ZHEJIANG].die_at = step
    with pytest.raises(BridgeheadError):
        await send(rig[ZHEJIANG], [draft()], rows=lambda tx: tx.count_up("rows"))
    await rig.hosts[ZHEJIANG].crash()
    rig.hosts[ZHEJIANG].open()

    assert sent_numbers(rig) == []
    await send(rig[ZHEJIANG], [draft()], rows=lambda tx: tx.count_up("rows"))
    assert sent_numbers(rig) == [1]
    check_log(rig[ZHEJIANG].database)


@pytest.mark.parametrize("step", ["after-commit", "after-sign"])
async def test_send_that_died_after_its_commit_is_sent_after_the_restart(rig: Rig, step: str) -> None:
    """What was durable goes out, although nobody was told."""
    rig.hosts[ZHEJIANG].die_at = step
    with pytest.raises(BridgeheadError):
        await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    await rig.hosts[ZHEJIANG].crash()
    rig.hosts[ZHEJIANG].open()

    assert sent_numbers(rig) == [1]
    assert count_pending(rig[ZHEJIANG].database) == {JIANGXI: 1}
