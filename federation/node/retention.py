"""Retention: what has ended is destroyed at both sides, each time with its leaf; records past their floor are purged.

A release ends with its time or its case, whichever is first: the asker destroys it and tells the giver, which destroys
its own. A handle ends the same way at the giver. A search or fetch is kept while its case runs or an answer may come; a
report while a page may be turned; a correction while it may go to court. The recipient destroys and sends a receipt;
the sender goes by its own clock, so that a province that is away keeps nothing alive here. Lines of what was given or
asked are kept as long as the agreement says and no day longer; an earlier purge is refused. A round reads what is due
by its day, and what belongs to a case closed since. Source: misuse control M9; PIPL articles 19 and 47;
`policies/retention.toml`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Final

import structlog

from federation.domain.erasure import ErasureGrounds
from federation.domain.lookups_case import LookupCase, is_open
from federation.domain.retention import (
    CORRECTION,
    PROVISION,
    QUESTION,
    RELEASE,
    REPORT,
    USE,
    destroyed_after,
    floor_passed_before,
    verify_floor_passed,
)
from federation.node.corrections.lines import LINES, erase_opened
from federation.node.disclosures import DISCLOSED
from federation.node.erasure import record_own_receipt
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.replies import find_reply, statement_of
from federation.node.exchange.resend import resend_expired
from federation.node.exchange.send import ENDS, End, look_later
from federation.node.intake.clock import SETTLE
from federation.node.lookups.answer import RELEASED
from federation.node.lookups.records import CASES_CLOSED, HANDLES, erase_asked, find_case, list_asked_before
from federation.node.node import InForce, Node
from federation.node.reports import ASKED
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import format_time, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.protocol.trust import verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_message
from federation.store.records import erase_record, list_records
from federation.wire.agency.erasure import RetentionRound

_log = structlog.get_logger()
_BATCH: Final = 64
"""So many things are destroyed in one transaction: a long one would hold up the writer."""
_HANDLE_CONTEXT: Final = b"bridgehead/erased-handle/v1\0"


async def keep_retention(node: Node) -> None:
    """Looks every now and then for what has ended, for as long as the node runs."""
    while True:
        await asyncio.sleep(node.settings.retention_seconds)
        try:
            await destroy_ended(node)
        except BridgeheadError as error:
            _log.warning("retention.unfinished", reason=error.reason)
        except Exception:  # noqa: BLE001 - a duty that ends would keep for ever what must be destroyed
            _log.exception("retention.failed")


async def destroy_ended(node: Node) -> RetentionRound:
    """Destroys all that has ended by now, off the disk too; what an UnavailableError left, the next round does.

    Refuses AGREEMENT_EXPIRED: no receipt may be sent, and nothing is destroyed without one.
    """
    in_force, now = node.trust.in_force, node.now()
    verify_in_force(in_force.agreement, now)
    found = await asyncio.to_thread(_look, node, in_force, now)
    counts = await _destroy_messages(node, found.ended, in_force)
    handles = await _in_batches(node, [partial(_destroy_handle, node, *each) for each in found.handles])
    await _in_batches(node, [partial(_put_off, node, end, day) for end, day in found.later])
    await _in_batches(node, [partial(CASES_CLOSED.erase, value_id=closed) for closed in found.closed])
    corrections = await _forget_opened(node, in_force, now)
    await resend_expired(node, in_force=in_force)
    purged = await purge(node, before=floor_passed_before(in_force.retention, PROVISION, now))
    done = RetentionRound(
        releases=counts[RELEASED.name],
        answers=_under(node, counts, RELEASE) - counts[RELEASED.name],
        handles=handles,
        purged=purged,
        questions=counts.total() - sum(_under(node, counts, rule_id) for rule_id in (RELEASE, REPORT, CORRECTION)),
        reports=_under(node, counts, REPORT),
        corrections=_under(node, counts, CORRECTION) + corrections,
    )
    if done != RetentionRound():
        _log.info("retention.done", **asdict(done))
    if node.database.is_scrub_due:
        await asyncio.to_thread(node.database.scrub)
    return done


async def purge(node: Node, *, before: datetime) -> int:
    """Deletes the lines of what was given and asked before then; returns how many. Refuses RETENTION_FLOOR."""
    for rule_id in (PROVISION, USE):
        verify_floor_passed(node.trust.in_force.retention, rule_id, before, now=node.now())
    old = await asyncio.to_thread(lambda: list(_disclosures_before(node, before)))
    asked = await asyncio.to_thread(list_asked_before, node.database, before)
    jobs: list[_Job] = [partial(erase_record, kind=DISCLOSED, record_id=line_id, replica=False) for line_id in old]
    jobs += [partial(erase_asked, asked=line) for line in asked]
    return await _in_batches(node, jobs)


def destroy_handle(node: Node, transaction: GroupTransaction, handle: str, *, grounds: ErasureGrounds) -> bool:
    """Destroys what a handle of ours stood for, with a leaf about the handle's digest; False when it was gone."""
    if not HANDLES.erase(transaction, handle):
        return False
    agreement = node.trust.in_force.agreement
    leaf = Leaf(
        federation=agreement.federation,
        realm=agreement.realm,
        kind=LeafKind.ERASURE,
        subject=handle_digest(handle),
        reason=grounds.value,
        agreement_version=agreement.version,
        time=truncate_to_millisecond(node.now()),
    )
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    return True


def handle_digest(handle: str) -> str:
    """The subject (hex) of the `erasure` leaf of a handle: 24 random bytes behind it, so that nobody guesses it."""
    return hashlib.sha256(_HANDLE_CONTEXT + handle.encode()).hexdigest()


_Job = Callable[[GroupTransaction], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """The finding of one round: messages and handles that have ended, and why; what comes later; cases done with."""

    ended: list[tuple[StoredMessage, ErasureGrounds]]
    handles: list[tuple[str, ErasureGrounds]]
    later: list[tuple[End, date | None]]
    closed: list[str]


def _look(node: Node, in_force: InForce, now: datetime) -> _Round:
    """Looks at what is due by now and at what belongs to a case closed since; writes nothing."""
    source, before = node.database, now.date() + timedelta(days=1)
    closed = list(CASES_CLOSED.each(source))
    ends = {ENDS.id(end): end for end in ENDS.each_due(source, before=before)}
    handles = {handle.handle: handle for handle in HANDLES.each_due(source, before=before)}
    for case in closed:
        ends |= {ENDS.id(end): end for end in ENDS.by_subject(source, case)}
        handles |= {handle.handle: handle for handle in HANDLES.by_subject(source, case)}
    found = _Round(ended=[], handles=[], later=[], closed=closed)
    for end in ends.values():
        message = find_message(source, end.direction, end.message_id)
        judged = _judge(node, in_force, message, now=now) if message is not None else None
        if message is not None and isinstance(judged, ErasureGrounds):
            found.ended.append((message, judged))
        elif not isinstance(judged, date):
            found.later.append((end, None))
        elif judged > end.day:
            found.later.append((end, judged))
    for handle in handles.values():
        announced = find_case(source, handle.asker.node, handle.case_id, announced=True)
        grounds = _grounds(handle.expires, announced, now)
        if grounds is not None:
            found.handles.append((handle.handle, grounds))
    return found


def _judge(node: Node, in_force: InForce, message: StoredMessage, *, now: datetime) -> ErasureGrounds | date | None:
    """Returns why a message has ended; else the day of the next look, None when no day and no case will end it."""
    statement, keep = statement_of(message), node.kinds[message.kind].keep
    lifetime = destroyed_after(in_force.retention, keep)
    if lifetime is not None:
        ends = statement.created + lifetime
        return ErasureGrounds.EXPIRED if now >= ends else ends.date()
    if keep == RELEASE:
        reply = find_reply(node.database, statement.in_reply_to or "")
        if reply is None or reply.ends is None or reply.message_id != message.id:
            return None
        case = find_case(node.database, node.name, statement.case or "", announced=False)
        return _grounds(reply.ends, case, now) or reply.ends.date()
    if keep != QUESTION:
        return None
    answered_by = statement.expires + in_force.agreement.clock_tolerance + SETTLE
    if now <= answered_by:
        return answered_by.date()
    owner = statement.sender.node
    case = find_case(node.database, owner, statement.case or "", announced=owner != node.name)
    return case.closes.date() if case is not None and is_open(case, now) else ErasureGrounds.CASE_CLOSED


def _grounds(ends: datetime, case: LookupCase | None, now: datetime) -> ErasureGrounds | None:
    if case is None or not is_open(case, now):
        return ErasureGrounds.CASE_CLOSED
    return ErasureGrounds.EXPIRED if now >= ends else None


def _destroy_handle(node: Node, handle: str, grounds: ErasureGrounds, transaction: GroupTransaction) -> bool:
    return destroy_handle(node, transaction, handle, grounds=grounds)


async def _destroy_messages(
    node: Node, ended: list[tuple[StoredMessage, ErasureGrounds]], in_force: InForce
) -> Counter[str]:
    """Destroys messages and tells the senders of those that came; counts them by kind."""
    counts: Counter[str] = Counter()
    for kind in sorted({message.kind for message, _ in ended}):
        jobs = [partial(_destroy, node, in_force, *each) for each in ended if each[0].kind == kind]
        counts[kind] = await _in_batches(node, jobs)
    for peer in {message.pair.sender for message, _ in ended if message.direction == "received"}:
        node.wake_delivery(peer)
    return counts


def _under(node: Node, counts: Counter[str], rule_id: str) -> int:
    return sum(count for name, count in counts.items() if node.kinds[name].keep == rule_id)


def _destroy(
    node: Node, in_force: InForce, message: StoredMessage, grounds: ErasureGrounds, transaction: GroupTransaction
) -> bool:
    before = transaction.size
    destroyed = destroy_message(node, transaction, message, grounds=grounds)
    if destroyed is None or destroyed.index < before:
        return False  # another process of this node was here first
    if message.direction == "received":
        record_own_receipt(node, transaction, message, destroyed=destroyed, in_force=in_force)
    return True


def _put_off(node: Node, end: End, day: date | None, transaction: GroupTransaction) -> bool:
    if day is None or ENDS.find(transaction, ENDS.id(end)) is None:
        return ENDS.erase(transaction, ENDS.id(end))
    look_later(transaction, end, day, node=node)
    return True


async def _forget_opened(node: Node, in_force: InForce, now: datetime) -> int:
    """Forgets the reports asked for and the corrections opened here that have ended; counts the corrections."""
    report_kept = destroyed_after(in_force.retention, REPORT)
    if report_kept is not None:
        end = now - report_kept
        old = await asyncio.to_thread(
            lambda: [each.report_id or "" for each in takewhile(lambda one: one.time <= end, ASKED.each(node.database))]
        )
        await _in_batches(node, [partial(ASKED.erase, value_id=report_id) for report_id in old])
    correction_kept = destroyed_after(in_force.retention, CORRECTION)
    if correction_kept is None:
        return 0
    until = format_time(now - correction_kept)
    lines = await asyncio.to_thread(lambda: list(takewhile(lambda line: line.time <= until, LINES.each(node.database))))
    return await _in_batches(node, [partial(erase_opened, line=line) for line in lines])


async def _in_batches(node: Node, jobs: Sequence[_Job]) -> int:
    done = 0
    for start in range(0, len(jobs), _BATCH):
        done += (await node.sequencer.commit(partial(_do_all, jobs[start : start + _BATCH]))).value
    return done


def _do_all(jobs: Sequence[_Job], transaction: GroupTransaction) -> int:
    return sum(job(transaction) for job in jobs)


def _disclosures_before(node: Node, before: datetime) -> Iterator[str]:
    """Lines of what was given: their ids begin with their time."""
    after, end = "", format_time(before)
    while found := list_records(node.database, DISCLOSED, after_id=after, limit=_BATCH, replica=False):
        old = [record.id for record in found if record.id < end]
        yield from old
        if len(old) < len(found):
            return
        after = found[-1].id
