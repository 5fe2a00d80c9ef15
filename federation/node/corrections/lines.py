"""Corrections as a node keeps them and an office sees them: where each stands, and until when.

What names a person is in sealed columns; an answer is kept as a replica, so that the newest stays in any order of
arrival. An office of the issuing county sees what it may decide; any office sees what it filed itself, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from heapq import nsmallest
from itertools import chain
from operator import itemgetter
from typing import Final

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.clock import ClockRule, Deadline
from federation.domain.corrections import (
    CLOCK,
    Correction,
    CorrectionAnswer,
    CorrectionRequest,
    CorrectionState,
    decide_request,
    is_overdue,
    rule_words,
)
from federation.domain.permits import urn_division
from federation.node.corrections.notices import list_notices
from federation.node.exchange.errand import Errand, on
from federation.node.node import InForce, Node
from federation.protocol.errors import NotFoundError, RuleError
from federation.protocol.form import Count, Digest, Item, Time, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, format_time
from federation.protocol.leaf import Leaf, Verdict, decode_leaf
from federation.protocol.policy import decide
from federation.store.collection import Collection, item_collection, page_behind
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_outbox
from federation.store.records import Record
from federation.wire.agency import corrections as wire
from federation.wire.agency.corrections import CorrectionLine, CorrectionPage, CorrectionQuery, CorrectionStanding

_RUNNING = frozenset({CorrectionStanding.WAITING, CorrectionStanding.OPEN})
_LAST = datetime.max.replace(tzinfo=UTC)
_ENDED, _FILED = "ended/", "~filed"
"""Where the places of what has ended begin, and which of those stands behind every county."""


class Filed(Item, frozen=True, kw_only=True):
    """A request that an office of ours filed with another province: `digest` is its statement's, which answers cite.

    `resent`: how often it expired on its way, and another statement took its place.
    """

    WHAT = "correction-filed"

    request: CorrectionRequest
    agency: AgencyId
    time: Time
    owner: NodeName
    message_id: MessageId
    digest: Digest
    resent: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """That an office of ours filed a correction, with its own desk or elsewhere."""

    time: str
    agency: str
    correction_id: str


CORRECTIONS: Final[Collection[Correction]] = item_collection(
    Correction,
    kind="correction",
    id=lambda correction: correction.request.correction_id,
    replica=False,
    version=lambda correction: correction.standing.version,
    status=lambda correction: correction.standing.state.value,
    division=lambda correction: urn_division(correction.request.urn),
    due=lambda correction: (
        correction.standing.deadline.last_day if correction.standing.state is CorrectionState.OPEN else None
    ),
    subject=lambda correction: correction.request.citizen_number,
)
"""Those that this province decides; due while they run."""
ANSWERS: Final[Collection[CorrectionAnswer]] = item_collection(
    CorrectionAnswer,
    kind="correction",
    id=lambda answer: answer.correction_id,
    replica=True,
    version=lambda answer: answer.version,
    status=lambda answer: answer.state.value,
)
"""The newest that the owner said of each that we filed there."""
FILED: Final[Collection[Filed]] = item_collection(
    Filed,
    kind="correction-filed",
    id=lambda filed: filed.request.correction_id,
    replica=False,
    version=lambda filed: 1 + filed.resent,
    status=lambda _: "filed",
    division=lambda filed: filed.agency.county,
    subject=lambda filed: filed.request.citizen_number,
)
LINES: Final[Collection[Line]] = Collection(
    kind="correction-line",
    encode=lambda _: b"",
    decode=lambda record: Line(
        time=record.id.partition("/")[0], agency=record.subject or "", correction_id=record.id.rpartition("/")[2]
    ),
    id=lambda line: f"{line.time}/{line.correction_id}",
    replica=True,
    subject=lambda line: line.agency,
)


def put_correction(transaction: GroupTransaction, correction: Correction, *, owner: NodeName) -> None:
    """Stores the next version of a correction of our own; ConflictError VERSION_CONFLICT when somebody was faster."""
    CORRECTIONS.put(transaction, correction, owner=owner)
    if correction.standing.version == 1 and correction.filed_by.node == owner:
        opened = format_time(correction.standing.deadline.started)
        line = Line(time=opened, agency=str(correction.filed_by), correction_id=correction.request.correction_id)
        LINES.put(transaction, line, owner=owner)


def filed_records(filed: Filed, *, owner: NodeName) -> tuple[Record, Record]:
    """Returns what an office of ours filed with another province, and the line of it."""
    line = Line(time=format_time(filed.time), agency=str(filed.agency), correction_id=filed.request.correction_id)
    return FILED.record(filed, owner=owner), LINES.record(line, owner=owner)


def erase_opened(transaction: GroupTransaction, line: Line) -> bool:
    """Deletes a correction that was opened at our own desk, with its line; says whether there was one."""
    LINES.erase(transaction, LINES.id(line))
    return CORRECTIONS.erase(transaction, line.correction_id)


def running_rule(in_force: InForce, deadline: Deadline) -> ClockRule:
    """The rule that made a running deadline, in its own version; NotFoundError CLOCK_UNKNOWN when it is gone."""
    for rule in in_force.clocks.rules.get(deadline.clock_id, ()):
        if rule.version == deadline.rule_version:
            return rule
    raise NotFoundError("CLOCK_UNKNOWN", f"no clock {deadline.clock_id} version {deadline.rule_version} is agreed")


@on(wire.LIST_CORRECTIONS)
async def list_lines(errand: Errand, query: CorrectionQuery) -> CorrectionPage:
    """Lists corrections for an office, overdue first; refuses CITIZEN_NUMBER_*, REAL_NUMBER_IN_DEMO, PAGE_TOKEN."""
    node = errand.node
    if query.citizen_number:
        verify_citizen_number(query.citizen_number, errand.in_force.agreement.realm)
    question = decide_request(errand.agency, node.name, occasion=errand.occasion, county=errand.caller.county)
    ruling = await errand.ask(question)
    if not ruling.allowed:
        return CorrectionPage(decision=ruling)
    name = f"corrections/{errand.caller}/{query.citizen_number}/{query.everything}"
    listed = partial(_listed, errand, query)
    page = page_behind(node.database.keys, name, listed, limit=query.page_size, token=query.page_token)
    return CorrectionPage(
        decision=ruling,
        corrections=page.values,
        notices=() if query.page_token or query.citizen_number else tuple(list_notices(node, errand.caller)),
        next_page_token=page.next_token,
    )


def _listed(errand: Errand, query: CorrectionQuery, place: str) -> Iterator[tuple[str, CorrectionLine]]:
    """Corrections that run, by the end of their time; behind them, if asked for, the ended, by county and id."""
    if not place.startswith(_ENDED):
        running = ((_urgency(line), line) for line in _running(errand, query))
        yield from nsmallest(query.page_size + 1, (each for each in running if each[0] > place), key=itemgetter(0))
    if query.everything and not query.citizen_number:
        yield from _ended(errand, place.removeprefix(_ENDED) if place.startswith(_ENDED) else "")


def _running(errand: Errand, query: CorrectionQuery) -> Iterator[CorrectionLine]:
    """Corrections that run, found by due day and by who filed; of one person the ended too, if asked for."""
    source, number = errand.node.database, query.citizen_number
    own: Iterable[Correction]
    if number:
        own, filed = CORRECTIONS.by_subject(source, number), FILED.by_subject(source, number)
    else:
        due = (CORRECTIONS.each_due(source, before=date.max, division=county) for county in _counties(errand))
        opened, filed = _filed_here(errand)
        own = {each.request.correction_id: each for each in chain(chain.from_iterable(due), opened)}.values()
    for line in chain(_own_lines(errand, own), _filed_lines(errand, filed)):
        if line.standing in _RUNNING or (number and query.everything):
            yield line


def _ended(errand: Errand, place: str) -> Iterator[tuple[str, CorrectionLine]]:
    """The ended corrections behind `<county>/<id>`; behind all counties, those that the office filed with others."""
    source, counties = errand.node.database, _counties(errand)
    county, _, after = place.partition("/")
    for each in [one for one in counties if one >= county]:
        found = CORRECTIONS.each_in(source, each, after=after if each == county else "")
        yield from (
            (f"{_ENDED}{each}/{line.correction_id}", line)
            for line in _own_lines(errand, found)
            if line.standing not in _RUNNING
        )
    opened, filed = _filed_here(errand)
    elsewhere = (each for each in opened if urn_division(each.request.urn) not in counties)
    lines = chain(_own_lines(errand, elsewhere), _filed_lines(errand, filed))
    for line in sorted((one for one in lines if one.standing not in _RUNNING), key=lambda one: one.correction_id):
        if county != _FILED or line.correction_id > after:
            yield f"{_ENDED}{_FILED}/{line.correction_id}", line


def _own_lines(errand: Errand, found: Iterable[Correction]) -> Iterator[CorrectionLine]:
    for correction in found:
        to_decide = _may_decide(errand, urn_division(correction.request.urn))
        if to_decide or correction.filed_by == errand.caller:
            yield own_line(correction, owner=errand.node.name, now=errand.node.now(), to_decide=to_decide)


def _filed_lines(errand: Errand, found: Iterable[Filed]) -> Iterator[CorrectionLine]:
    return (filed_line(errand.node, filed) for filed in found if filed.agency == errand.caller)


def _filed_here(errand: Errand) -> tuple[list[Correction], list[Filed]]:
    """The corrections that the office filed itself, with its own province and with others, while they are kept."""
    source = errand.node.database
    names = [line.correction_id for line in LINES.by_subject(source, str(errand.caller))]
    opened = [CORRECTIONS.find(source, name) for name in names]
    filed = [FILED.find(source, name) for name in names]
    return [one for one in opened if one is not None], [one for one in filed if one is not None]


def _counties(errand: Errand) -> list[str]:
    """The counties of this province of which the office may decide."""
    offices = errand.in_force.member(errand.node.name).agencies
    return sorted(county for county in {office.county for office in offices} if _may_decide(errand, county))


def _may_decide(errand: Errand, county: str) -> bool:
    question = decide_request(errand.agency, errand.node.name, occasion=errand.occasion, county=county)
    return decide(errand.in_force.policies, question).allowed


def _urgency(line: CorrectionLine) -> str:
    """Overdue first, then what runs, by the end of its time, then what has ended."""
    due = line.deadline.due if line.deadline is not None else _LAST
    return f"{not line.overdue:d}{line.standing not in _RUNNING:d}/{format_time(due)}/{line.correction_id}"


def own_line(correction: Correction, *, owner: NodeName, now: datetime, to_decide: bool) -> CorrectionLine:
    """A correction of our own; `to_decide` when the desk that looks may decide it."""
    answer = correction.standing
    line = _asked(correction.request, filed_by=correction.filed_by, time=answer.deadline.started, owner=owner)
    return replace(_answered(line, answer, now), to_decide=to_decide)


def verify_filed_once(source: Source, node: Node, request: CorrectionRequest) -> None:
    """Refuses what an office of ours has filed already and which still runs (CORRECTION_FILED), with its number."""
    number, wanted = request.citizen_number, (request.urn, request.field, request.value)
    opened = (each for each in CORRECTIONS.by_subject(source, number) if each.filed_by.node == node.name)
    own = (each.request for each in opened if each.standing.state is CorrectionState.OPEN)
    filed = (each.request for each in FILED.by_subject(source, number) if filed_line(node, each).standing in _RUNNING)
    for each in chain(own, filed):
        if (each.urn, each.field, each.value) == wanted:
            raise RuleError("CORRECTION_FILED", f"the same was filed as {each.correction_id}, and runs")


def filed_line(node: Node, filed: Filed) -> CorrectionLine:
    line = _asked(filed.request, filed_by=filed.agency, time=filed.time, owner=filed.owner)
    answer = ANSWERS.find(node.database, filed.request.correction_id)
    if answer is not None:
        return _answered(line, answer, node.now())
    row = find_outbox(node.database, filed.message_id)
    if row is None or row.state == "rejected":
        return replace(line, standing=CorrectionStanding.UNDELIVERED)
    leaf = decode_leaf(row.receipt_leaf) if row.receipt_leaf is not None else None
    if leaf is None:
        return line
    return _refused(node, line, leaf) if leaf.verdict is Verdict.REFUSED else _receipted(node, line, leaf)


def _refused(node: Node, line: CorrectionLine, leaf: Leaf) -> CorrectionLine:
    policies = node.trust.in_force.policies.policies
    words = [
        (policies[name].title_zh, policies[name].title_en) if name in policies else rule_words(name) or (name, name)
        for name in leaf.policies
    ]
    return replace(
        line,
        standing=CorrectionStanding.REFUSED,
        policies=leaf.policies,
        title_zh="；".join(zh for zh, _ in words),
        title_en="; ".join(en for _, en in words),
    )


def _receipted(node: Node, line: CorrectionLine, leaf: Leaf) -> CorrectionLine:
    """The owner has opened it, though its answer is not here: the clock runs from the time of its receipt."""
    try:
        deadline = node.trust.in_force.start_clock(CLOCK, leaf.time)
    except RuleError:
        return line
    return replace(line, standing=CorrectionStanding.OPEN, deadline=deadline, overdue=node.now() >= deadline.due)


def _asked(request: CorrectionRequest, *, filed_by: AgencyId, time: datetime, owner: NodeName) -> CorrectionLine:
    return CorrectionLine(
        correction_id=request.correction_id,
        urn=request.urn,
        field=request.field,
        value=request.value,
        words=request.words,
        papers=request.papers,
        citizen_number=request.citizen_number,
        filed_by=filed_by,
        filed_time=time,
        owner=owner,
        standing=CorrectionStanding.WAITING,
    )


def _answered(line: CorrectionLine, answer: CorrectionAnswer, now: datetime) -> CorrectionLine:
    return replace(
        line,
        standing=CorrectionStanding(answer.state.value),
        overdue=is_overdue(answer, now),
        deadline=answer.deadline,
        answer=answer.words,
        answer_time=answer.time,
        permit_version=answer.permit_version,
    )
