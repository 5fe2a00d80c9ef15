"""The leader's desk: what an office of this province reads of the watch over its look-ups, and signs for.

Every reading is noted before it is answered; whoever signs does so by their own key, and a no to them is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import date
from functools import partial
from typing import TypeVar

from federation.domain.oversight import (
    BreakGlass,
    Digest,
    KeptReading,
    RaisedFlag,
    ReadingKind,
    SampleItem,
    SampleReview,
    is_overdue,
    order_of,
)
from federation.node.exchange.errand import Errand, record_refusal
from federation.node.log.decisions import rule_name
from federation.node.lookups.watch import digest, flags, glass, leaders, sample
from federation.node.lookups.watch.reading_lines import list_reading_lines, verify_inspector
from federation.node.lookups.watch.readings import note_reading
from federation.node.lookups.watch.stream import watch_desk
from federation.node.node import Node
from federation.node.officers import LeaderAct
from federation.protocol.errors import RuleError, UntrustedError
from federation.protocol.ids import truncate_to_millisecond
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.wire.agency.oversight import (
    Countersigned,
    CountersignQuestion,
    DigestQuestion,
    FlagPage,
    FlagQuery,
    News,
    NoticePage,
    NoticeState,
    PageQuery,
    ReadingPage,
    ReadingQuery,
    ReviewQuestion,
    SamplePage,
    SampleQuery,
    SampleReviewQuestion,
)
from federation.wire.values import Ruling, ruling_of

T = TypeVar("T")


async def countersign(errand: Errand, question: CountersignQuestion) -> Countersigned:
    """Lets a case reach more persons, or more look-ups."""
    node, signed = errand.node, _signed(errand, question.case_id, question.signature)
    if question.bulk:
        release = await _or_logged(errand, leaders.countersign_bulk(node, signed))
        return Countersigned(case_id=question.case_id, signers=release.signers, complete=release.complete)
    signers = await _or_logged(errand, leaders.countersign_case(node, signed))
    return Countersigned(case_id=question.case_id, signers=signers, complete=True)


async def list_notices(errand: Errand, query: PageQuery) -> NoticePage:
    """The notices of the office, overdue ones first."""
    node = errand.node
    await note_reading(errand, step=ReadingKind.NOTICES)
    today = node.today()
    found = await asyncio.to_thread(glass.list_notices, node.database, errand.caller)
    ordered = sorted(found, key=lambda notice: order_of(notice, today=today))
    start = int(query.page_token) if query.page_token.isdecimal() else 0
    page = tuple(_state_of(notice, today) for notice in ordered[start : start + query.page_size])
    rest = start + len(page) < len(ordered)
    return NoticePage(notices=page, next_page_token=str(start + len(page)) if rest else "")


async def review_break_glass(errand: Errand, question: ReviewQuestion) -> NoticeState:
    """Closes a notice."""
    node, signed = errand.node, _signed(errand, question.case_id, question.signature)
    found = glass.review(node, signed, finding=question.finding, words=question.words)
    return _state_of(await _or_logged(errand, found), node.today())


async def list_flags(errand: Errand, query: FlagQuery) -> FlagPage:
    """The flags at the office's desk, newest first."""
    await note_reading(errand, step=ReadingKind.FLAGS, what=query.officer or "")
    before = int(query.page_token) if query.page_token.isdecimal() else None

    def wanted(one: RaisedFlag) -> bool:
        return (
            query.officer in (None, one.flag.officer)
            and query.kind in (None, one.flag.kind)
            and query.case_id in (None, one.flag.case_id)
        )

    found = await asyncio.to_thread(
        flags.list_flags, errand.node.database, errand.caller, before=before, limit=query.page_size + 1, wanted=wanted
    )
    page = found[: query.page_size]
    return FlagPage(
        flags=tuple(raised for _, raised in page),
        next_page_token=str(page[-1][0]) if len(found) > len(page) else "",
    )


async def get_digest(errand: Errand, question: DigestQuestion) -> Digest:
    """An officer's day: one's own, or that of somebody whom a leader looks after."""
    node = errand.node
    officer, day = question.officer or errand.act.officer, question.day or node.today()
    reader = _signed(errand, "", question.signature or "")
    digest.verify_reader(node, reader, officer=officer, day=day)
    await note_reading(errand, step=ReadingKind.DIGEST, what=f"{officer} {day}")
    return await asyncio.to_thread(digest.daily_digest, node, errand.caller, officer, day=day)


async def list_sample(errand: Errand, query: SampleQuery) -> SamplePage:
    """The look-ups that chance picked, oldest first."""
    node = errand.node
    await note_reading(errand, step=ReadingKind.SAMPLE)
    found = await asyncio.to_thread(
        sample.list_sample,
        node.database,
        errand.caller,
        today=node.today(),
        after=query.page_token,
        limit=query.page_size + 1,
        with_reviewed=query.with_reviewed,
    )
    page = found[: query.page_size]
    return SamplePage(items=tuple(page), next_page_token=page[-1].lookup_id if len(found) > len(page) else "")


async def record_review(errand: Errand, question: SampleReviewQuestion) -> SampleItem:
    """Keeps the review of one of them."""
    node = errand.node
    review = SampleReview(
        lookup_id=question.lookup_id,
        reviewer=errand.act.officer,
        time=truncate_to_millisecond(node.now()),
        finding=question.finding,
        words=question.words,
    )
    signed = _signed(errand, "", question.signature)
    return await _or_logged(errand, sample.review(node, signed, review))


async def watch_notices(errand: Errand, after: str) -> AsyncIterator[News]:
    """What is raised at the office's desk, as it is raised."""
    node = errand.node
    await note_reading(errand, step=ReadingKind.WATCH, what=after)
    state_of = partial(_state_now, node)
    async for news in watch_desk(node, errand.caller, after=after, state_of=state_of):
        yield news


async def list_readings(errand: Errand, query: ReadingQuery) -> ReadingPage:
    """Who read what, newest first: all of the province for an audit office, one case for its leader."""
    node = errand.node
    inspector = _signed(errand, query.case_id or "", query.signature or "")
    case = verify_inspector(node, inspector)
    narrowed = " ".join(word for word in (query.case_id, query.officer) if word)
    await note_reading(errand, step=ReadingKind.READINGS, what=narrowed)

    def wanted(reading: KeptReading) -> bool:
        return query.case_id in (None, reading.case_id) and query.officer in (None, reading.officer)

    found = await asyncio.to_thread(
        list_reading_lines,
        node.database,
        case=case,
        before=query.page_token,
        limit=query.page_size + 1,
        wanted=wanted,
    )
    page = found[: query.page_size]
    return ReadingPage(
        readings=tuple(reading for _, reading in page),
        next_page_token=page[-1][0] if len(found) > len(page) else "",
    )


async def _or_logged(errand: Errand, step: Awaitable[T]) -> T:
    """Takes a step that somebody signs for; a no to it is logged like a yes (misuse control M11), then told."""
    try:
        return await step
    except (RuleError, UntrustedError) as error:
        await record_refusal(errand, _refusal_of(errand, error), asked=())
        raise


def _state_of(notice: BreakGlass, today: date) -> NoticeState:
    return NoticeState(notice=notice, overdue=is_overdue(notice, today=today))


def _state_now(node: Node, notice: BreakGlass) -> NoticeState:
    return _state_of(notice, node.today())


def _signed(errand: Errand, case_id: str, signature: str) -> LeaderAct:
    return LeaderAct(agency=errand.caller, leader=errand.act.officer, case_id=case_id, signature=signature)


def _refusal_of(errand: Errand, error: RuleError | UntrustedError) -> Ruling:
    """A no of the watch's own rules, as the log has it; the error tells the words."""
    decision = Decision(
        verdict=Verdict.REFUSED,
        policies=(rule_name(error.reason),),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh="",
        title_en=error.message,
    )
    return ruling_of(decision, agreement_version=errand.in_force.agreement.version)
