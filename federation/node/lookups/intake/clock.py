"""The clocks of questions that a person must answer, on both sides: the second request, the escalation, the expiry.

At the desk: what waits at three quarters of its time is escalated and flagged; what nobody answered in its time has
expired. At the asking side: a second request goes out at half of the time, the asking office is flagged at three
quarters, and what found no answer in its time, and in the clocks' tolerance, has expired. Both sides log that with a
leaf `expired` of the reason NOT_ANSWERED. Everything is judged again in the transaction that writes it, so that an
answer in the last moment counts, and two processes on one store do it once.
Source: Nlets-like clocks `lookup.urgent` and `lookup.routine`; DESIGN section 3 (asking).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from federation.domain.intake import IntakeEntry, IntakeStatus, escalation_due, second_due
from federation.domain.oversight import AskedLine, RaisedFlag, raised_at, unanswered_flag
from federation.node.exchange.replies import find_reply, intake_office, statement_of
from federation.node.lookups.intake.entries import KeptEntry, find_entry, list_entries, put_entry
from federation.node.lookups.intake.second import Owed, find_second, is_owed, lookup_of, send_seconds
from federation.node.lookups.kinds import FETCH_KIND, SEARCH_KIND
from federation.node.node import Node
from federation.node.oversight.flags import put_flags
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, NodeName, Pair, truncate_to_millisecond
from federation.protocol.leaf import NOT_ANSWERED, Leaf, LeafKind, Verdict, decode_leaf, encode_leaf
from federation.protocol.statement import Statement
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, list_messages, pair_state
from federation.store.outbox import find_outbox

_log = structlog.get_logger()

SETTLE: Final = timedelta(seconds=5)
"""What was judged in its last moment is written before its request is given up."""
MAX_SCANNED: Final = 10_000
KEEP_EVERY: Final = 1000


@dataclass(slots=True)
class AskedWatch:
    """The questions of ours that are not ended yet, by digest, and how far the sent messages of each pair were read.

    `kept_seq` is how far a node that starts again need not look: below it every question has ended.
    """

    open: dict[str, StoredMessage] = field(default_factory=dict)
    after_seq: dict[NodeName, int] = field(default_factory=dict)
    kept_seq: dict[NodeName, int] = field(default_factory=dict)


async def keep_clocks(node: Node) -> None:
    """Looks at the clocks every few seconds, for as long as the node runs."""
    watch = AskedWatch()
    while True:
        await asyncio.sleep(node.settings.intake_seconds)
        try:
            await tend_desk(node)
            await tend_asked(node, watch)
        except BridgeheadError as error:
            _log.warning("intake.unchanged", reason=error.reason)
        except Exception:  # noqa: BLE001 - a duty that ends would let requests wait for ever
            _log.exception("intake.failed")


async def tend_desk(node: Node) -> None:
    """Escalates and expires what waits at our desk.

    Raises:
        BridgeheadError: the store cannot take it now; nothing was written.
    """
    now = node.now()
    found = await asyncio.to_thread(list_entries, node.database, IntakeStatus.WAITING)
    ids = [kept.entry.request_id for kept in found if _is_due(kept.entry, now)]
    if not ids:
        return

    def record(transaction: GroupTransaction) -> None:
        for request_id in ids:
            kept = find_entry(transaction, request_id)
            if kept is not None and kept.entry.status is IntakeStatus.WAITING:
                _tend_entry(node, transaction, kept, now=now)

    await node.sequencer.commit(record)


async def tend_asked(node: Node, watch: AskedWatch) -> None:
    """Asks again, flags and expires what other provinces owe us an answer to.

    Raises:
        BridgeheadError: the store cannot take it now; nothing was written.
    """
    await asyncio.to_thread(_look, node, watch)
    now, tolerance = node.now(), node.trust.in_force.agreement.clock_tolerance
    again: list[Owed] = []
    flagged: list[Owed] = []
    ended: list[StoredMessage] = []
    for message in watch.open.values():
        statement = statement_of(message)
        lookup_id = lookup_of(node, message)
        if now > statement.expires + tolerance + SETTLE:
            ended.append(message)
        elif lookup_id is not None and now <= statement.expires:
            owed = Owed(message=message, statement=statement, lookup_id=lookup_id)
            if now >= second_due(statement.created, statement.expires) and not _is_asked_again(node, message):
                again.append(owed)
            if now >= escalation_due(statement.created, statement.expires, None):
                flagged.append(owed)
    if again:
        await send_seconds(node, again)
    if flagged or ended:
        await node.sequencer.commit(lambda tx: _write(node, tx, flagged, ended))
    for message in ended:
        watch.open.pop(message.digest, None)
    await _keep_place(node, watch)


def _is_due(entry: IntakeEntry, now: datetime) -> bool:
    escalates = entry.escalated is None and now >= escalation_due(entry.created, entry.due, entry.second)
    return escalates or now > entry.due


def _tend_entry(node: Node, transaction: GroupTransaction, kept: KeptEntry, *, now: datetime) -> None:
    entry = kept.entry
    if not _is_due(entry, now):
        return
    if now > entry.due:
        ended = replace(entry, status=IntakeStatus.EXPIRED)
        put_entry(transaction, ended, owner=node.name, replaces=kept.version)
        pair = Pair(entry.asker.node, node.name)
        _append_expired(node, transaction, digest=entry.digest, pair=pair, seq=entry.seq)
        return
    escalated = replace(entry, escalated=truncate_to_millisecond(now))
    put_entry(transaction, escalated, owner=node.name, replaces=kept.version)
    line = AskedLine(
        time=now, officer=entry.officer, agency=str(entry.asker), lookup_id=entry.lookup_id, case_id=entry.case_id
    )
    raised = raised_at(unanswered_flag(line, asked_of=node.name), time=now, agency=entry.asker)
    put_flags(transaction, [raised], owner=node.name, desk=intake_office(node.trust.in_force, node.name))


def _look(node: Node, watch: AskedWatch) -> None:
    """Takes in what was asked since, and forgets what has ended; nothing is written."""
    for peer in node.trust.in_force.agreement.members.keys() - {node.name}:
        pair = Pair(node.name, peer)
        if peer not in watch.after_seq:
            watch.after_seq[peer] = watch.kept_seq[peer] = node.database.find_counter(_place(peer))
        highest, after = pair_state(node.database, "sent", pair).highest, watch.after_seq[peer]
        if highest <= after:
            continue
        found = list_messages(
            node.database, "sent", pair=pair, after_seq=after, limit=MAX_SCANNED, kinds=(SEARCH_KIND, FETCH_KIND)
        )
        watch.open.update({message.digest: message for message in found})
        watch.after_seq[peer] = found[-1].seq if len(found) == MAX_SCANNED else highest
    for message in list(watch.open.values()):
        if _has_ended(node, message):
            del watch.open[message.digest]


async def _keep_place(node: Node, watch: AskedWatch) -> None:
    """Remembers now and then how far every question has ended, so that a start does not read the whole past."""
    first: dict[NodeName, int] = {}
    for message in watch.open.values():
        first[message.pair.recipient] = min(message.seq, first.get(message.pair.recipient, message.seq))
    places = {peer: first.get(peer, after + 1) - 1 for peer, after in watch.after_seq.items()}
    moved = {peer: place for peer, place in places.items() if place - watch.kept_seq[peer] >= KEEP_EVERY}

    def record(transaction: GroupTransaction) -> None:
        for peer, place in moved.items():
            if transaction.find_counter(_place(peer)) < place:
                transaction.set_counter(_place(peer), place)

    if moved:
        await node.sequencer.commit(record)
        watch.kept_seq.update(moved)


def _place(peer: NodeName) -> str:
    return f"asked-clock/{peer}"


def _has_ended(node: Node, message: StoredMessage) -> bool:
    """Whether nothing is waited for any more: replied to, refused, never delivered. One on its way has not ended."""
    row = find_outbox(node.database, message.id)
    if row is None or row.state in ("expired", "rejected"):
        return True
    return row.receipt_leaf is not None and not is_owed(node, message)


def _is_asked_again(node: Node, message: StoredMessage) -> bool:
    return not is_owed(node, message) or find_second(node.database, message.digest) is not None


def _write(node: Node, transaction: GroupTransaction, flagged: Sequence[Owed], ended: Sequence[StoredMessage]) -> None:
    for owed in flagged:
        if _still_owed(transaction, owed.message):
            put_flags(transaction, [_flag_of(node, owed.statement, owed.lookup_id)], owner=node.name)
    for message in ended:
        if _still_owed(transaction, message):
            _append_expired(node, transaction, digest=message.digest, pair=message.pair, seq=message.seq)


def _still_owed(transaction: GroupTransaction, message: StoredMessage) -> bool:
    """Delivered, taken in, and not replied to, as the transaction sees it."""
    row = find_outbox(transaction, message.id)
    if row is None or row.receipt_leaf is None or decode_leaf(row.receipt_leaf).verdict is not Verdict.ALLOWED:
        return False
    return find_reply(transaction, message.digest) is None


def _flag_of(node: Node, statement: Statement, lookup_id: MessageId) -> RaisedFlag:
    asker, now = statement.sender.agency, node.now()
    line = AskedLine(
        time=now,
        officer=statement.sender.officer or "",
        agency=str(asker),
        lookup_id=lookup_id,
        case_id=statement.case or "",
    )
    return raised_at(unanswered_flag(line, asked_of=statement.recipient.node), time=now, agency=asker)


def _append_expired(node: Node, transaction: GroupTransaction, *, digest: str, pair: Pair, seq: int) -> None:
    agreement = node.trust.in_force.agreement
    leaf = Leaf(
        federation=agreement.federation,
        realm=agreement.realm,
        kind=LeafKind.EXPIRED,
        subject=digest,
        pair=pair,
        seq=seq,
        reason=NOT_ANSWERED,
        agreement_version=agreement.version,
        time=truncate_to_millisecond(node.now()),
    )
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
