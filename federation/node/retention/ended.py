"""What has ended is destroyed: releases and answers at the asker, handles at the giver, records past their floor.

A release ends with its time or with its case, whichever is first; the asker destroys it and tells the giver, which
destroys its own copy. A handle ends the same way, and so do questions, reports and corrections (`questions`). Lines of
what was given or asked are kept as long as the agreement says and no day longer; a purge before that is refused by
rule. Every destruction of what crossed the border has its leaf.
Source: domain reference section 4 and misuse control M9; PIPL articles 19 and 47.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from itertools import takewhile
from typing import Final

import structlog

from federation.domain.erasure import ErasureGrounds
from federation.domain.lookups import Handle
from federation.domain.lookups_case import LookupCase, is_open
from federation.domain.retention import (
    CORRECTION,
    PROVISION,
    REPORT,
    USE,
    destroyed_after,
    floor_passed_before,
    verify_floor_passed,
)
from federation.node.corrections.lines import LINES, Line, erase_opened
from federation.node.disclosures import DISCLOSED
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.replies import list_ending_replies
from federation.node.exchange.resend import resend_expired
from federation.node.exchange.trust import InForce
from federation.node.lookups import records
from federation.node.lookups.answer import RELEASED
from federation.node.node import Node
from federation.node.retention.destroy import destroy_handle
from federation.node.retention.questions import COUNTED, counted_under, keep_place, look_for_ended
from federation.node.retention.receipts import record_own_receipt
from federation.node.retention.rules import rules_of
from federation.node.subjects.report import ASKED, list_asked_before
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import format_time
from federation.protocol.statement import decode_statement
from federation.protocol.trust import verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_message
from federation.store.records import erase_record, list_records
from federation.wire.agency.erasure import RetentionRound

_log = structlog.get_logger()

_BATCH: Final = 64
"""So many things are destroyed in one transaction: a long one would hold up the writer."""


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
    """Destroys all that has ended by the node's clock now, and brings it off the disk.

    Raises:
        StaleError: AGREEMENT_EXPIRED: under a lapsed agreement no receipt may be sent, so that nothing is destroyed
            without one; what has expired is not read again meanwhile.
        UnavailableError: the store cannot take it now; what is left is destroyed by the next round.
    """
    in_force, now = node.trust.in_force, node.now()
    verify_in_force(in_force.agreement, now)
    replies = await asyncio.to_thread(lambda: list(_ended_replies(node, now)))
    releases = await _destroy_received(node, [each for each in replies if each[0].kind == RELEASED.name], in_force)
    answers = await _destroy_received(node, [each for each in replies if each[0].kind != RELEASED.name], in_force)
    dead = await asyncio.to_thread(lambda: list(_dead_handles(node, now)))
    handles = await _in_batches(node, [partial(_destroy_handle, node, handle, why) for handle, why in dead])
    questions, reports, corrections = await _destroy_ending(node, in_force, now)
    await resend_expired(node, in_force=in_force)
    purged = await purge(node, before=floor_passed_before(rules_of(in_force), PROVISION, now))
    done = RetentionRound(
        releases=releases,
        answers=answers,
        handles=handles,
        purged=purged,
        questions=questions,
        reports=reports,
        corrections=corrections,
    )
    if done != RetentionRound():
        _log.info("retention.done", **asdict(done))
    if node.database.is_scrub_due:
        await asyncio.to_thread(node.database.scrub)
    return done


async def purge(node: Node, *, before: datetime) -> int:
    """Deletes the lines of what was given and asked before that moment, and returns how many.

    Raises:
        RuleError: RETENTION_FLOOR when some of it must be kept longer.
    """
    rules = rules_of(node.trust.in_force)
    for rule_id in (PROVISION, USE):
        verify_floor_passed(rules, rule_id, before, now=node.now())
    given = await asyncio.to_thread(lambda: list(_lines_given(node, before)))
    asked = await asyncio.to_thread(records.list_asked_before, node.database, before)
    jobs = [partial(_purge_given, line_id) for line_id in given] + [partial(_purge_asked, line) for line in asked]
    return await _in_batches(node, jobs)


def _ended_replies(node: Node, now: datetime) -> Iterator[tuple[StoredMessage, ErasureGrounds]]:
    """Each reply that tells something of a person and has ended: the message that brought it, and why."""
    for reply in list_ending_replies(node.database):
        message = find_message(node.database, "received", reply.message_id)
        if message is None or reply.ends is None:
            continue
        case_id = decode_statement(parse_envelope(message.envelope).payload).case or ""
        case = records.find_case(node.database, node.name, case_id, told=False)
        grounds = _grounds(reply.ends, case, now)
        if grounds is not None:
            yield message, grounds


def _dead_handles(node: Node, now: datetime) -> Iterator[tuple[str, ErasureGrounds]]:
    """Each handle of ours that has ended, and why."""
    for handle in records.HANDLES.each(node.database):
        grounds = _grounds(handle.expires, _told_case(node, handle), now)
        if grounds is not None:
            yield handle.handle, grounds


def _told_case(node: Node, handle: Handle) -> LookupCase | None:
    return records.find_case(node.database, handle.asker.node, handle.case_id, told=True)


def _grounds(ends: datetime, case: LookupCase | None, now: datetime) -> ErasureGrounds | None:
    if case is None or not is_open(case, now):
        return ErasureGrounds.CASE_CLOSED
    return ErasureGrounds.EXPIRED if now >= ends else None


async def _destroy_received(node: Node, ended: list[tuple[StoredMessage, ErasureGrounds]], in_force: InForce) -> int:
    done = await _in_batches(node, [partial(_destroy_one, node, in_force, *each) for each in ended])
    for peer in {message.pair.sender for message, _ in ended}:
        node.wake_delivery(peer)
    return done


def _destroy_one(
    node: Node, in_force: InForce, message: StoredMessage, grounds: ErasureGrounds, transaction: GroupTransaction
) -> bool:
    before = transaction.size
    destroyed = destroy_message(node, transaction, message, grounds=grounds)
    if destroyed is None or destroyed.index < before:
        return False  # another process of this node was here first
    record_own_receipt(node, transaction, message, destroyed=destroyed, in_force=in_force)
    return True


async def _destroy_ending(node: Node, in_force: InForce, now: datetime) -> tuple[int, ...]:
    """Destroys questions, parts of reports and corrections that have ended; who received one tells its sender."""
    rules = rules_of(in_force)
    report_kept, correction_kept = destroyed_after(rules, REPORT), destroyed_after(rules, CORRECTION)
    if report_kept is not None:
        asked = await asyncio.to_thread(list_asked_before, node, now - report_kept)
        await _in_batches(node, [partial(_forget_report, report_id) for report_id in asked])
    found = await asyncio.to_thread(look_for_ended, node, in_force, now)
    counts: dict[str, int] = {}
    for rule_id in COUNTED:
        ended = [each for each in found.ended if counted_under(node, each[0]) == rule_id]
        received = [each for each in ended if each[0].direction == "received"]
        own = [partial(_destroy_own, node, *each) for each in ended if each[0].direction == "sent"]
        counts[rule_id] = await _destroy_received(node, received, in_force) + await _in_batches(node, own)
    await keep_place(node, found)
    if correction_kept is not None:
        opened = await asyncio.to_thread(_opened_before, node, now - correction_kept)
        counts[CORRECTION] += await _in_batches(node, [partial(_forget_correction, line) for line in opened])
    return tuple(counts[rule_id] for rule_id in COUNTED)


def _opened_before(node: Node, before: datetime) -> list[Line]:
    """What our offices filed up to that moment, with their own desk or elsewhere."""
    return list(takewhile(lambda line: line.time <= format_time(before), LINES.each(node.database)))


def _forget_correction(line: Line, transaction: GroupTransaction) -> bool:
    return erase_opened(transaction, line)


def _destroy_own(node: Node, message: StoredMessage, grounds: ErasureGrounds, transaction: GroupTransaction) -> bool:
    before = transaction.size
    destroyed = destroy_message(node, transaction, message, grounds=grounds)
    return destroyed is not None and destroyed.index >= before


def _forget_report(report_id: str, transaction: GroupTransaction) -> bool:
    return ASKED.erase(transaction, report_id)


def _destroy_handle(node: Node, handle: str, grounds: ErasureGrounds, transaction: GroupTransaction) -> bool:
    return destroy_handle(node, transaction, handle, grounds=grounds)


def _purge_given(line_id: str, transaction: GroupTransaction) -> bool:
    return erase_record(transaction, DISCLOSED, line_id, replica=False)


def _purge_asked(asked: records.Asked, transaction: GroupTransaction) -> bool:
    return records.erase_asked(transaction, asked)


async def _in_batches(node: Node, jobs: Sequence[Callable[[GroupTransaction], bool]]) -> int:
    done = 0
    for start in range(0, len(jobs), _BATCH):
        done += (await node.sequencer.commit(partial(_do_all, jobs[start : start + _BATCH]))).value
    return done


def _do_all(jobs: Sequence[Callable[[GroupTransaction], bool]], transaction: GroupTransaction) -> int:
    return sum(job(transaction) for job in jobs)


def _lines_given(node: Node, before: datetime) -> Iterator[str]:
    """Lines of what was given: their ids begin with their time."""
    after, end = "", format_time(before)
    while found := list_records(node.database, DISCLOSED, after_id=after, limit=_BATCH, replica=False):
        old = [record.id for record in found if record.id < end]
        yield from old
        if len(old) < len(found):
            return
        after = found[-1].id
