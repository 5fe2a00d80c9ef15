"""What the agencies' port is handed for the watch: this part's functions, bound to the node.

Every reading is noted before it is answered; whoever signs does so by their own key, and a no to them is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import TypeVar

from federation.domain.lookup.break_glass import BreakGlass, is_overdue, order_of
from federation.domain.lookup.digest import Digest
from federation.domain.lookup.reading import KeptReading, ReadingKind
from federation.domain.lookup.review import SampleItem, SampleReview
from federation.domain.lookup.watch import RaisedFlag
from federation.node.exchange.errand import Errand, begin_errand, record_refusal
from federation.node.log.decisions import rule_name
from federation.node.lookups.watch import digest, flags, glass, leaders, sample
from federation.node.lookups.watch.reading_lines import list_reading_lines, verify_inspector
from federation.node.lookups.watch.readings import note_reading
from federation.node.lookups.watch.stream import watch_desk
from federation.node.node import Node
from federation.node.officers import LeaderAct
from federation.protocol.errors import RuleError, UntrustedError
from federation.protocol.ids import AgencyId, truncate_to_millisecond
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.wire.lookups.oversight.service import OversightFunctions
from federation.wire.lookups.oversight.values import (
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
from federation.wire.values import Act, Ruling, ruling_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The watch of one node, as its agencies call it."""

    node: Node

    async def countersign(self, caller: AgencyId, act: Act, question: CountersignQuestion) -> Countersigned:
        """Lets a case reach more persons, or more look-ups."""
        signed = _signed(caller, act, question.case_id, question.signature)
        if question.bulk:
            bulk = leaders.countersign_bulk(self.node, signed)
            release = await self._or_logged(caller, act, bulk)
            return Countersigned(case_id=question.case_id, signers=release.signers, complete=release.complete)
        alone = leaders.countersign_case(self.node, signed)
        signers = await self._or_logged(caller, act, alone)
        return Countersigned(case_id=question.case_id, signers=signers, complete=True)

    async def notices(self, caller: AgencyId, act: Act, query: PageQuery) -> NoticePage:
        """The notices of the office, overdue ones first."""
        await note_reading(self.node, caller, act, step=ReadingKind.NOTICES)
        today = self.node.today()
        found = await asyncio.to_thread(glass.list_notices, self.node.database, caller)
        ordered = sorted(found, key=lambda notice: order_of(notice, today=today))
        start = int(query.page_token) if query.page_token.isdecimal() else 0
        page = tuple(self.state_of(notice) for notice in ordered[start : start + query.page_size])
        rest = start + len(page) < len(ordered)
        return NoticePage(notices=page, next_page_token=str(start + len(page)) if rest else "")

    async def review(self, caller: AgencyId, act: Act, question: ReviewQuestion) -> NoticeState:
        """Closes a notice."""
        signed = _signed(caller, act, question.case_id, question.signature)
        found = glass.review(self.node, signed, finding=question.finding, words=question.words)
        return self.state_of(await self._or_logged(caller, act, found))

    async def flags(self, caller: AgencyId, act: Act, query: FlagQuery) -> FlagPage:
        """The flags at the office's desk, newest first."""
        await note_reading(self.node, caller, act, step=ReadingKind.FLAGS, what=query.officer or "")
        before = int(query.page_token) if query.page_token.isdecimal() else None

        def wanted(one: RaisedFlag) -> bool:
            return (
                query.officer in (None, one.flag.officer)
                and query.kind in (None, one.flag.kind)
                and query.case_id in (None, one.flag.case_id)
            )

        found = await asyncio.to_thread(
            flags.list_flags, self.node.database, caller, before=before, limit=query.page_size + 1, wanted=wanted
        )
        page = found[: query.page_size]
        return FlagPage(
            flags=tuple(raised for _, raised in page),
            next_page_token=str(page[-1][0]) if len(found) > len(page) else "",
        )

    async def digest(self, caller: AgencyId, act: Act, question: DigestQuestion) -> Digest:
        """An officer's day: one's own, or that of somebody whom a leader looks after."""
        officer, day = question.officer or act.officer, question.day or self.node.today()
        reader = _signed(caller, act, "", question.signature or "")
        digest.verify_reader(self.node, reader, officer=officer, day=day)
        await note_reading(self.node, caller, act, step=ReadingKind.DIGEST, what=f"{officer} {day}")
        return await asyncio.to_thread(digest.daily_digest, self.node, caller, officer, day=day)

    async def sample(self, caller: AgencyId, act: Act, query: SampleQuery) -> SamplePage:
        """The look-ups that chance picked, oldest first."""
        await note_reading(self.node, caller, act, step=ReadingKind.SAMPLE)
        found = await asyncio.to_thread(
            sample.list_sample,
            self.node.database,
            caller,
            today=self.node.today(),
            after=query.page_token,
            limit=query.page_size + 1,
            with_reviewed=query.with_reviewed,
        )
        page = found[: query.page_size]
        return SamplePage(items=tuple(page), next_page_token=page[-1].lookup_id if len(found) > len(page) else "")

    async def review_sample(self, caller: AgencyId, act: Act, question: SampleReviewQuestion) -> SampleItem:
        """Keeps the review of one of them."""
        review = SampleReview(
            lookup_id=question.lookup_id,
            reviewer=act.officer,
            time=truncate_to_millisecond(self.node.now()),
            finding=question.finding,
            words=question.words,
        )
        signed = _signed(caller, act, "", question.signature)
        return await self._or_logged(caller, act, sample.review(self.node, signed, review))

    async def watch(self, caller: AgencyId, act: Act, after: str) -> AsyncIterator[News]:
        """What is raised at the office's desk, as it is raised."""
        await note_reading(self.node, caller, act, step=ReadingKind.WATCH, what=after)
        async for news in watch_desk(self.node, caller, after=after, state_of=self.state_of):
            yield news

    async def readings(self, caller: AgencyId, act: Act, query: ReadingQuery) -> ReadingPage:
        """Who read what, newest first: all of the province for an audit office, one case for its leader."""
        inspector = _signed(caller, act, query.case_id or "", query.signature or "")
        case = verify_inspector(self.node, inspector)
        narrowed = " ".join(word for word in (query.case_id, query.officer) if word)
        await note_reading(self.node, caller, act, step=ReadingKind.READINGS, what=narrowed)

        def wanted(reading: KeptReading) -> bool:
            return query.case_id in (None, reading.case_id) and query.officer in (None, reading.officer)

        found = await asyncio.to_thread(
            list_reading_lines,
            self.node.database,
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

    async def _or_logged(self, caller: AgencyId, act: Act, step: Awaitable[T]) -> T:
        """Takes a step that somebody signs for; a no to it is logged like a yes (misuse control M11), then told."""
        try:
            return await step
        except (RuleError, UntrustedError) as error:
            errand = begin_errand(self.node, caller, act)
            await record_refusal(errand, _refusal_of(errand, error), asked=())
            raise

    def state_of(self, notice: BreakGlass) -> NoticeState:
        """A notice, and whether its review is overdue today."""
        return NoticeState(notice=notice, overdue=is_overdue(notice, today=self.node.today()))


def oversight_functions(node: Node) -> OversightFunctions:
    """What a police office of this province may call."""
    watch = Watch(node=node)
    return OversightFunctions(
        countersign=watch.countersign,
        notices=watch.notices,
        review=watch.review,
        flags=watch.flags,
        digest=watch.digest,
        sample=watch.sample,
        review_sample=watch.review_sample,
        watch=watch.watch,
        readings=watch.readings,
    )


def _signed(caller: AgencyId, act: Act, case_id: str, signature: str) -> LeaderAct:
    return LeaderAct(agency=caller, leader=act.officer, case_id=case_id, signature=signature)


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
