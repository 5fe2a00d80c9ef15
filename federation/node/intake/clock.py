"""The clocks of questions that a person must answer, on both sides: the reminder, the escalation, the expiry.

At the desk: escalated and flagged at three quarters of the time, then expired. At the asking side: a reminder at half
of the time or on demand, a flag at three quarters, expired after the time and the clocks' tolerance. Both sides log a
leaf `expired`, NOT_ANSWERED. All is judged again in the transaction that writes it: an answer in the last moment
counts, and two processes on one store do it once. A round reads what is due: a question is first looked at when its
reminder is, and what was answered by then is let go. A reminder is a signed statement, sent once; its request goes to
the top of the inbox. Source: Nlets second requests; clocks `lookup.urgent` and `lookup.routine`; DESIGN section 3
(asking).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final

import structlog

from federation.domain.intake import REMINDER_BODY, IntakeStatus, Reminder, escalation_due, is_due
from federation.domain.lookups import reminder_due, reply_lifetime
from federation.domain.oversight import AskedLine, RaisedFlag, raised_at, unanswered_flag
from federation.domain.retention import PROVISION
from federation.node.corrections.notices import tell_doubles
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Judgement, Received, Rows, allowed_by_rule, item_kind
from federation.node.exchange.replies import find_reply, intake_office, statement_of
from federation.node.exchange.send import (
    AWAITED,
    ENDS,
    Cause,
    Draft,
    End,
    Prepared,
    answered_by,
    let_go,
    look_later,
    prepare,
    record_message,
)
from federation.node.log.bad_rows import commit_each, looked_at
from federation.node.log.decisions import REMINDER_RULE
from federation.node.lookups import records
from federation.node.lookups.answer import FETCH, SEARCH
from federation.node.lookups.records import ENTRIES, entry_record, put_entry
from federation.node.node import InForce, Node, plain_leaf
from federation.node.oversight.flags import put_flags
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import decode_canonical, read_text, replace
from federation.protocol.ids import MessageId, NodeName, Pair, parse_message_id, truncate_to_millisecond
from federation.protocol.leaf import NOT_ANSWERED, LeafKind, Verdict, decode_leaf, encode_leaf
from federation.protocol.statement import Recipient, Statement
from federation.protocol.trust import verify_in_force
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_body, find_by_digest, find_message, find_outbox
from federation.store.records import Record, find_record, put_records
from federation.wire.agency import intake

_log = structlog.get_logger()
_DUTY: Final = "clocks"
REMINDED: Final = "lookup-second"
MAX_LOOKS: Final = 500
"""So many are looked at in one round; the others wait for the next, a few seconds later."""
_LOOKS_AT_UNDELIVERED: Final = 16
"""What was not delivered when its clock asked for an act is looked at again so often in its lifetime."""
_BY_RULE: Final = allowed_by_rule(
    REMINDER_RULE, "对已提出请求的再次催问", "A second request for an answer that is owed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A request of ours that the other side has, and has not replied to."""

    message: StoredMessage
    statement: Statement
    lookup_id: MessageId


@on(intake.SEND_REMINDER)
async def remind(errand: Errand, lookup_id: str) -> tuple[intake.Reminder, ...]:
    """Reminds all who owe an answer to a look-up, once; refuses MESSAGE_ID, LOOKUP_UNKNOWN, NOTHING_OWED."""
    node, wanted = errand.node, parse_message_id(lookup_id)
    asked = records.list_steps(node.database, errand.caller, wanted)
    if not asked:
        raise NotFoundError("LOOKUP_UNKNOWN", f"this agency asked no look-up {wanted}")
    found = (_find_pending(node, line.digest, lookup_id=wanted) for line in asked)
    pending = [each for each in found if each is not None]
    if not pending:
        raise RuleError("NOTHING_OWED", f"nobody owes an answer to look-up {wanted}; see 'bridgehead lookup history'")
    return tuple(
        intake.Reminder(node=each.message.pair.recipient, step=each.message.kind, time=time, due=each.statement.expires)
        for each, time in await _send_reminders(node, pending)
    )


def _find_pending(node: Node, digest: str, *, lookup_id: MessageId) -> Pending | None:
    """Returns the request with that digest while the other side owes a reply to it; else None."""
    message = find_by_digest(node.database, "sent", digest) if digest else None
    if message is None or not _is_pending(node.database, message):
        return None
    if not node.trust.in_force.has(message.pair.recipient):
        return None
    found = statement_of(message)
    return Pending(message=message, statement=found, lookup_id=lookup_id) if node.now() <= found.expires else None


def _is_pending(source: Source, message: StoredMessage) -> bool:
    if message.kind not in (SEARCH.name, FETCH.name):
        return False
    row = find_outbox(source, message.id)
    leaf = decode_leaf(row.receipt_leaf) if row is not None and row.receipt_leaf is not None else None
    taken = leaf is not None and leaf.verdict is Verdict.ALLOWED
    return taken and find_reply(source, message.digest) is None


async def _send_reminders(node: Node, pending: Sequence[Pending]) -> Sequence[tuple[Pending, datetime]]:
    """Sends one reminder for each that had none; returns when each was reminded; StaleError AGREEMENT_EXPIRED."""
    in_force, now = node.trust.in_force, truncate_to_millisecond(node.now())
    verify_in_force(in_force.agreement, now)

    def make(each: Pending) -> tuple[Pending, Prepared]:
        return each, prepare(node, _draft(each, now=now, in_force=in_force))

    def record(each: Pending, message: Prepared, transaction: GroupTransaction) -> tuple[Pending, datetime]:
        sent = _find_reminder(transaction, each.message.digest)
        if sent is None:
            put_records(transaction, [_reminder_record(each, message.id, owner=node.name)])
            record_message(node, transaction, message, in_force=in_force)
        return each, sent or now

    ready = looked_at(node, _DUTY, pending, look=make, name=lambda each: f"sent {each.message.id}")
    jobs = [(f"sent {each.message.id}", partial(record, each, message)) for each, message in ready]
    reminded = await commit_each(node, _DUTY, jobs)
    for each, _ in reminded:
        node.wake_delivery(each.message.pair.recipient)
    return reminded


def _draft(pending: Pending, *, now: datetime, in_force: InForce) -> Draft:
    statement = pending.statement
    cause = Cause.of(statement, statement.sender, in_reply_to=pending.message.digest)
    to = Recipient(node=pending.message.pair.recipient)
    draft = REMINDER.draft(Reminder(lookup_id=pending.lookup_id), to=to, cause=cause, decision=_BY_RULE)
    return replace(draft, lifetime=reply_lifetime(statement.expires, now, in_force.agreement.clock_tolerance))


def _reminder_record(pending: Pending, message_id: MessageId, *, owner: NodeName) -> Record:
    return Record(
        id=pending.message.digest,
        kind=REMINDED,
        owner=owner,
        version=1,
        replica=True,
        status="sent",
        division="",
        content=message_id.encode(),
    )


def _find_reminder(source: Source, digest: str) -> datetime | None:
    record = find_record(source, REMINDED, digest, replica=True)
    sent = find_message(source, "sent", MessageId(record.content.decode())) if record is not None else None
    return sent.created if sent is not None else None


def _judge_reminder(received: Received[Reminder]) -> Judgement:
    """Puts another province's request on top, if it waits; refuses SECOND_UNASKED, SECOND_OTHER (other agency)."""
    node, statement = received.node, received.statement
    cited = statement.in_reply_to
    request = find_by_digest(node.database, "received", cited) if cited is not None else None
    if request is None or request.pair.sender != statement.sender.node:
        raise MalformedError("SECOND_UNASKED", "expected a second request that cites a request of that node to us")
    if statement_of(request).sender.agency != statement.sender.agency:
        raise RuleError("SECOND_OTHER", "the first request was another agency's")
    stored = ENTRIES.find(node.database, request.id)
    if stored is None or stored.entry.status is not IntakeStatus.WAITING or stored.entry.reminded is not None:
        return Judgement(decision=_BY_RULE)
    # an act at the desk at the same moment makes the same version and comes first: there is nothing to remind of then
    entry = replace(stored.entry, reminded=truncate_to_millisecond(node.now()))
    record = entry_record(entry, owner=node.name, replaces=stored.version)
    return Judgement(decision=_BY_RULE, rows=Rows(records=(record,), left_by=request.id))


async def keep_clocks(node: Node) -> None:
    while True:
        await asyncio.sleep(node.settings.intake_seconds)
        try:
            await check_desk(node)
            await check_pending(node)
            await tell_doubles(node)
        except BridgeheadError as error:
            _log.warning("intake.unchanged", reason=error.reason)
        except Exception:  # noqa: BLE001 - a duty that ends would let requests wait for ever
            _log.exception("intake.failed")


async def check_desk(node: Node) -> None:
    """Escalates and expires what waits at our desk; an error means that nothing was written."""
    now = node.now()
    due = ENTRIES.each_due_by(node.database, now, node.bad_rows.of(_DUTY))
    while found := await asyncio.to_thread(lambda: list(islice(due, MAX_LOOKS))):
        ids = [each.entry.request_id for each in found]
        jobs = [(f"{ENTRIES.kind} {each}", partial(_check_entry, node, each, now)) for each in ids]
        if await commit_each(node, _DUTY, jobs):
            return


def _check_entry(node: Node, request_id: MessageId, now: datetime, transaction: GroupTransaction) -> None:
    stored = ENTRIES.find(transaction, request_id)
    if stored is None or stored.entry.status is not IntakeStatus.WAITING:
        return
    entry = stored.entry
    if not is_due(entry, now):  # looked at too early: it is stored again with its next look
        put_entry(transaction, entry, owner=node.name, replaces=stored.version)
        return
    if now > entry.due:
        ended = replace(entry, status=IntakeStatus.EXPIRED)
        put_entry(transaction, ended, owner=node.name, replaces=stored.version)
        pair = Pair(entry.asker.node, node.name)
        _append_expired(node, transaction, digest=entry.digest, pair=pair, seq=entry.seq)
        return
    escalated = replace(entry, escalated=truncate_to_millisecond(now))
    put_entry(transaction, escalated, owner=node.name, replaces=stored.version)
    line = AskedLine(
        time=now, officer=entry.officer, agency=str(entry.asker), lookup_id=entry.lookup_id, case_id=entry.case_id
    )
    raised = raised_at(unanswered_flag(line, asked_of=node.name), time=now, agency=entry.asker)
    put_flags(transaction, [raised], owner=node.name, desk=intake_office(node.trust.in_force, node.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One question as its clock sees it now, and when it looks again: never (None) when nothing is awaited."""

    end: End
    message: StoredMessage | None
    next: datetime | None
    remind: Pending | None = None
    flag: Pending | None = None


async def check_pending(node: Node) -> None:
    """Reminds of, flags and expires what others owe us an answer to; an error means that nothing was written."""
    now = node.now()
    due = ENDS.each_due_by(node.database, now, node.bad_rows.of(_DUTY), division=AWAITED)
    looks = looked_at(node, _DUTY, due, look=partial(_look, node, now=now), name=ENDS.id)
    while found := await asyncio.to_thread(lambda: list(islice(looks, MAX_LOOKS))):
        reminded = [look.remind for look in found if look.remind is not None]
        if reminded:
            await _send_reminders(node, reminded)
        if await commit_each(node, _DUTY, [(ENDS.id(look.end), partial(_write, node, look)) for look in found]):
            return


def _look(node: Node, end: End, *, now: datetime) -> _Look:
    message = find_message(node.database, end.direction, end.message_id)
    if message is None or _has_ended(node.database, message):
        return _Look(end=end, message=message, next=None)
    statement = statement_of(message)
    last = answered_by(statement, node.trust.in_force)
    if now > last:
        return _Look(end=end, message=message, next=None)
    lookup_id = _lookup_of(node, message)
    if lookup_id is None or now > statement.expires:
        return _Look(end=end, message=message, next=last)
    if not _is_pending(node.database, message):
        again = now + (statement.expires - statement.created) / _LOOKS_AT_UNDELIVERED
        return _Look(end=end, message=message, next=min(again, last))
    pending = Pending(message=message, statement=statement, lookup_id=lookup_id)
    escalates = escalation_due(statement.created, statement.expires, None)
    wants = now >= reminder_due(statement.created, statement.expires)
    lacks = wants and _find_reminder(node.database, message.digest) is None
    is_late = now >= escalates
    return _Look(
        end=end,
        message=message,
        next=last if is_late else escalates,
        remind=pending if lacks else None,
        flag=pending if is_late else None,
    )


def _lookup_of(node: Node, message: StoredMessage) -> MessageId | None:
    """The look-up that a question of ours belongs to; None when its body was erased."""
    body = find_body(node.database, message.id)
    if body is None:
        return None
    item = decode_canonical(body.items[0], what=message.kind)
    return parse_message_id(read_text(item, "lookup_id", what=message.kind))


def _has_ended(source: Source, message: StoredMessage) -> bool:
    """True when nothing is awaited any more: replied to, refused, never delivered. One on its way has not ended."""
    row = find_outbox(source, message.id)
    if row is None or row.state in ("expired", "rejected"):
        return True
    return row.receipt_leaf is not None and not _is_pending(source, message)


def _write(node: Node, look: _Look, transaction: GroupTransaction) -> None:
    """Flags and expires what is still delivered, taken in and not replied to, as the transaction sees it."""
    message, pending = look.message, look.flag
    if pending is not None and _is_pending(transaction, pending.message):
        put_flags(transaction, [_flag_of(node, pending)], owner=node.name)
    if look.next is not None:
        look_later(transaction, look.end, look.next, node=node)
        return
    if message is not None and _is_pending(transaction, message):
        _append_expired(node, transaction, digest=message.digest, pair=message.pair, seq=message.seq)
    let_go(transaction, look.end, node=node, now=node.now())


def _flag_of(node: Node, pending: Pending) -> RaisedFlag:
    statement, now = pending.statement, node.now()
    line = AskedLine(
        time=now,
        officer=statement.sender.officer or "",
        agency=str(statement.sender.agency),
        lookup_id=pending.lookup_id,
        case_id=statement.case or "",
    )
    flag = unanswered_flag(line, asked_of=statement.recipient.node)
    return raised_at(flag, time=now, agency=statement.sender.agency)


def _append_expired(node: Node, transaction: GroupTransaction, *, digest: str, pair: Pair, seq: int) -> None:
    agreement = node.trust.in_force.agreement
    leaf = plain_leaf(agreement, LeafKind.EXPIRED, digest, now=node.now(), pair=pair, seq=seq, reason=NOT_ANSWERED)
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))


REMINDER: Final = item_kind(
    Reminder,
    name="lookup.second",
    media_type=REMINDER_BODY,
    judge=_judge_reminder,
    answers=(),
    keep=PROVISION,
    erasable_by=None,
    resend=None,
)
