"""Retention: what has ended is destroyed at both sides, each time with its leaf; records past their floor are purged.

A release ends with its time or its case, whichever is first: the asker destroys it and tells the giver, which destroys
its own. A handle ends the same way at the giver. A search or fetch is kept while its case runs or an answer may come; a
report while a page may be turned; a correction while it may go to court. The recipient destroys and sends a receipt;
the sender goes by its own clock, so that a province that is away keeps nothing alive here. Lines of what was given or
asked are kept as long as the agreement says and no day longer; an earlier purge is refused. A round reads what is due
by now, and what belongs to a case closed since, a few hundred at a time: with nothing due it reads no row, whatever
lives. Source: misuse control M9; PIPL articles 19 and 47; `policies/retention.toml`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import Final

import structlog
from msgspec.structs import asdict

from federation.domain.erasure import ErasureGrounds
from federation.domain.lookups import Handle
from federation.domain.retention import (
    CORRECTION,
    PROVISION,
    RELEASE,
    REPORT,
    USE,
    destroyed_after,
    floor_passed_before,
    verify_floor_passed,
)
from federation.node.corrections.lines import LINES, erase_opened
from federation.node.disclosures import DISCLOSED
from federation.node.ends import find_end, grounds_of
from federation.node.erasure_receipts import owe_receipt, send_receipts
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.resend import resend_missed
from federation.node.exchange.send import ENDS, End, look_later
from federation.node.intake.clock import check_pending
from federation.node.joint.given import GIVEN
from federation.node.log.bad_rows import Job, commit_each, looked_at
from federation.node.lookups.answer import RELEASED
from federation.node.lookups.records import ASKED, CASES_CLOSED, HANDLES, QUESTIONS, Asked, erase_asked, find_case
from federation.node.node import InForce, Node, plain_leaf
from federation.node.reports import ASKED as REPORTS_ASKED
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import decode
from federation.protocol.ids import format_message_id, format_time
from federation.protocol.leaf import LeafKind, encode_leaf
from federation.protocol.trust import verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_message
from federation.store.records import each_due_by, each_in_range, erase_record, ids_under
from federation.wire.agency.erasure import RetentionRound

_log = structlog.get_logger()
DUTY: Final = "retention"
_AT_ONCE: Final = 256
"""So many are read before they are destroyed: what ends in one moment may be more than the memory holds."""
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

    Receipts leave once it is off the disk. Refuses AGREEMENT_EXPIRED: none may be sent, and nothing is destroyed then.
    """
    in_force, now, unread = node.trust.in_force, node.now(), node.bad_rows.of(DUTY)
    verify_in_force(in_force.agreement, now)
    await check_pending(node)  # a question ends here once its clock has let go of it
    closed = await asyncio.to_thread(lambda: list(CASES_CLOSED.each_readable(node.database, unread)))
    counts = await _end_messages(node, in_force, closed, now=now)
    handles = await _end_handles(node, closed, now=now)
    await _do_each(node, [(case, partial(CASES_CLOSED.erase, value_id=case)) for case in closed])
    await _end_questions(node, now=now)
    corrections = await _forget_opened(node, in_force, now)
    await resend_missed(node, in_force=in_force)
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
    if left := await asyncio.to_thread(node.database.body_keys.destroy_leftovers, node.database):
        _log.info("retention.keys_left_over", count=left)
    if node.database.is_scrub_due:
        await asyncio.to_thread(node.database.scrub)
    await send_receipts(node)
    return done


async def purge(node: Node, *, before: datetime) -> int:
    """Deletes the lines of what was given and asked before then; returns how many. Refuses RETENTION_FLOOR."""
    for rule_id in (PROVISION, USE):
        verify_floor_passed(node.trust.in_force.retention, rule_id, before, now=node.now())
    old = await asyncio.to_thread(lambda: list(_disclosures_before(node, before)))
    asked = await asyncio.to_thread(lambda: list(_asked_before(node, before)))
    jobs: list[_Named] = [(each, partial(erase_record, kind=DISCLOSED, record_id=each, replica=False)) for each in old]
    given = await asyncio.to_thread(lambda: list(GIVEN.each_due_by(node.database, before, node.bad_rows.of(DUTY))))
    jobs += [(GIVEN.id(each), partial(GIVEN.erase, value_id=GIVEN.id(each))) for each in given]
    jobs += [(line.place, partial(erase_asked, asked=line)) for line in asked]
    return await _do_each(node, jobs)


def destroy_handle(node: Node, transaction: GroupTransaction, handle: str, *, grounds: ErasureGrounds) -> bool:
    """Destroys what a handle of ours stood for, with a leaf about the handle's digest; False when it was gone."""
    if not HANDLES.erase(transaction, handle):
        return False
    agreement = node.trust.in_force.agreement
    leaf = plain_leaf(agreement, LeafKind.ERASURE, handle_digest(handle), now=node.now(), reason=grounds.value)
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    return True


def handle_digest(handle: str) -> str:
    """The subject (hex) of the `erasure` leaf of a handle: 24 random bytes behind it, so that nobody guesses it."""
    return hashlib.sha256(_HANDLE_CONTEXT + handle.encode()).hexdigest()


_Named = tuple[str, Job[bool]]


async def _end_messages(node: Node, in_force: InForce, closed: Sequence[str], *, now: datetime) -> Counter[str]:
    """Destroys what has ended of the messages that are due, and puts off the rest; counts what it destroyed by kind."""
    counts: Counter[str] = Counter()
    ends = chain(ENDS.each_due_by(node.database, now, node.bad_rows.of(DUTY)), _each_of_closed(node, closed, now=now))
    while chunk := await asyncio.to_thread(lambda: list(islice(ends, _AT_ONCE))):
        ended, later = await asyncio.to_thread(_look, node, in_force, chunk, now=now)
        counts += await _destroy_messages(node, ended)
        await _do_each(node, [(ENDS.id(end), partial(_put_off, node, end, time)) for end, time in later])
    return counts


def _each_of_closed(node: Node, closed: Sequence[str], *, now: datetime) -> Iterator[End]:
    """The ends of a closed case that are not due by themselves; what is awaited ends with its answer."""
    for case in closed:
        ends = ENDS.by_subject(node.database, case, unread=node.bad_rows.of(DUTY))
        yield from (end for end in ends if end.time > now and not end.awaited)


_Ended = list[tuple[StoredMessage, ErasureGrounds]]
_Later = list[tuple[End, datetime | None]]


def _look(node: Node, in_force: InForce, ends: Sequence[End], *, now: datetime) -> tuple[_Ended, _Later]:
    """Finds the messages that have ended and why, and when to look at the others (None: never); writes nothing."""
    ended: _Ended = []
    later: _Later = []

    def look(end: End) -> tuple[End, StoredMessage | None, ErasureGrounds | datetime | None]:
        message = find_message(node.database, end.direction, end.message_id)
        return end, message, find_end(node, in_force, message, now=now) if message is not None else None

    for end, message, judged in looked_at(node, DUTY, ends, look=look, name=ENDS.id):
        if message is not None and isinstance(judged, ErasureGrounds):
            ended.append((message, judged))
        elif not isinstance(judged, datetime) or judged > end.time:
            later.append((end, judged if isinstance(judged, datetime) else None))
    return ended, later


async def _end_handles(node: Node, closed: Sequence[str], *, now: datetime) -> int:
    unread = node.bad_rows.of(DUTY)
    of_closed = chain.from_iterable(HANDLES.by_subject(node.database, case, unread=unread) for case in closed)
    handles = chain(HANDLES.each_due_by(node.database, now, unread), of_closed)

    def look(handle: Handle) -> tuple[Handle, ErasureGrounds | None]:
        case = find_case(node.database, handle.asker, handle.case_id, announced=True)
        return handle, grounds_of(handle.expires, case, now)

    looks, done = looked_at(node, DUTY, handles, look=look, name=_handle_row), 0
    while chunk := await asyncio.to_thread(lambda: list(islice(looks, _AT_ONCE))):
        ended = [(each, grounds) for each, grounds in chunk if grounds is not None]
        jobs = [(_handle_row(each), partial(_destroy_handle, node, each.handle, grounds)) for each, grounds in ended]
        done += await _do_each(node, jobs)
    return done


async def _end_questions(node: Node, *, now: datetime) -> None:
    """Erases what was asked once no reply to it is taken in any more."""
    over = QUESTIONS.each_due_by(node.database, now, node.bad_rows.of(DUTY))
    while chunk := await asyncio.to_thread(lambda: list(islice(over, _AT_ONCE))):
        digests = [question.digest or "" for question in chunk]
        await _do_each(node, [(digest, partial(QUESTIONS.erase, value_id=digest)) for digest in digests])


def _destroy_handle(node: Node, handle: str, grounds: ErasureGrounds, transaction: GroupTransaction) -> bool:
    return destroy_handle(node, transaction, handle, grounds=grounds)


async def _destroy_messages(node: Node, ended: list[tuple[StoredMessage, ErasureGrounds]]) -> Counter[str]:
    """Destroys messages, and owes a receipt to the senders of those that came; counts them by kind."""
    counts: Counter[str] = Counter()
    for kind in sorted({message.kind for message, _ in ended}):
        of_kind = [each for each in ended if each[0].kind == kind]
        counts[kind] = await _do_each(node, [(each[0].id, partial(_destroy, node, *each)) for each in of_kind])
    return counts


def _under(node: Node, counts: Counter[str], rule_id: str) -> int:
    return sum(count for name, count in counts.items() if node.kinds[name].keep == rule_id)


def _destroy(node: Node, message: StoredMessage, grounds: ErasureGrounds, transaction: GroupTransaction) -> bool:
    before = transaction.size
    destroyed = destroy_message(node, transaction, message, grounds=grounds)
    if destroyed is None or destroyed.index < before:
        return False  # another process of this node was here first
    if message.direction == "received":
        owe_receipt(node, transaction, message)
    return True


def _put_off(node: Node, end: End, time: datetime | None, transaction: GroupTransaction) -> bool:
    if time is None:
        return ENDS.erase(transaction, ENDS.id(end))
    look_later(transaction, end, time, node=node)
    return True


async def _forget_opened(node: Node, in_force: InForce, now: datetime) -> int:
    """Forgets the reports asked for and the corrections opened here that have ended; counts the corrections."""
    unread = node.bad_rows.of(DUTY)
    report_kept = destroyed_after(in_force.retention, REPORT)
    if report_kept is not None:
        end = now - report_kept
        until = format_message_id(end + timedelta(milliseconds=1), bytes(10))
        old = await asyncio.to_thread(
            lambda: [
                each.report_id or ""
                for each in REPORTS_ASKED.each_readable(node.database, unread, before=until)
                if each.time <= end
            ]
        )
        await _do_each(node, [(report_id, partial(REPORTS_ASKED.erase, value_id=report_id)) for report_id in old])
    correction_kept = destroyed_after(in_force.retention, CORRECTION)
    if correction_kept is None:
        return 0
    before = format_time(now - correction_kept + timedelta(milliseconds=1))
    lines = await asyncio.to_thread(lambda: list(LINES.each_readable(node.database, unread, before=before)))
    return await _do_each(node, [(LINES.id(line), partial(erase_opened, line=line)) for line in lines])


async def _do_each(node: Node, jobs: Sequence[_Named]) -> int:
    """Returns how many of the jobs did something."""
    return sum(await commit_each(node, DUTY, jobs))


def _handle_row(handle: Handle) -> str:
    """The name of a handle in the log, which must not tell it."""
    return f"{HANDLES.kind} {handle_digest(handle.handle)}"


def _asked_before(node: Node, before: datetime) -> Iterator[Asked]:
    """The steps that this province's officers took before then, in every agency, cases included."""
    lines = each_due_by(node.database, ASKED, before, replica=True, unread=node.bad_rows.of(DUTY))
    found = looked_at(node, DUTY, lines, look=lambda line: decode(Asked, line.content), name=lambda line: line.id)
    return (asked for asked in found if asked.time < before)


def _disclosures_before(node: Node, before: datetime) -> Iterator[str]:
    """Lines of what was given: their ids begin with their time."""
    ids, unread = ids_under("", before=format_time(before)), node.bad_rows.of(DUTY)
    return (record.id for record in each_in_range(node.database, DISCLOSED, ids, replica=False, unread=unread))
