"""The list of an office: the corrections that its county decides and those that it filed, overdue ones first.

An office of the issuing county sees what it may decide; any office sees what it filed itself; nobody sees more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.corrections import Correction, decide_request
from federation.domain.permits import urn_division
from federation.node.exchange.errand import Errand, record_refusal, rule
from federation.node.subjects.corrections.lines import filed_line, own_line
from federation.node.subjects.corrections.notices import list_notices
from federation.node.subjects.corrections.records import CORRECTIONS, FILED, LINES, Filed
from federation.protocol.ids import format_time
from federation.protocol.policy import decide
from federation.store.collection import page_of
from federation.wire.agency.corrections import CorrectionLine, CorrectionPage, CorrectionQuery, CorrectionStanding

_RUNNING = frozenset({CorrectionStanding.WAITING, CorrectionStanding.OPEN})
_LAST = datetime.max.replace(tzinfo=UTC)


async def list_lines(errand: Errand, query: CorrectionQuery) -> CorrectionPage:
    """Lists corrections for an office; refused as a whole when it may not even decide for its own county.

    Raises:
        MalformedError: CITIZEN_NUMBER_* and REAL_NUMBER_IN_DEMO; PAGE_TOKEN.
    """
    node = errand.node
    if query.citizen_number:
        verify_citizen_number(query.citizen_number, errand.in_force.agreement.realm)
    question = decide_request(errand.agency, node.name, occasion=errand.occasion, county=errand.caller.county)
    ruling = rule(errand, question)
    if not ruling.allowed:
        await record_refusal(errand, ruling, asked=[question])
        return CorrectionPage(decision=ruling)
    lines = _listed(errand, query)
    name = f"corrections/{errand.caller}/{query.citizen_number}/{query.everything}"
    page = page_of(node.database.keys, name, lines, place=_urgency, limit=query.page_size, token=query.page_token)
    return CorrectionPage(
        decision=ruling,
        corrections=page.values,
        notices=() if query.page_token or query.citizen_number else tuple(list_notices(node, errand.caller)),
        next_page_token=page.next_token,
    )


def _listed(errand: Errand, query: CorrectionQuery) -> list[CorrectionLine]:
    node, now, caller = errand.node, errand.node.now(), errand.caller
    lines: list[CorrectionLine] = []
    for correction in _own(errand, query):
        to_decide = _may_decide(errand, urn_division(correction.request.urn))
        if to_decide or correction.filed_by == caller:
            lines.append(own_line(correction, owner=node.name, now=now, to_decide=to_decide))
    lines += [filed_line(node, filed) for filed in _filed(errand, query) if filed.agency == caller]
    return [line for line in lines if query.everything or line.standing in _RUNNING]


def _own(errand: Errand, query: CorrectionQuery) -> Iterable[Correction]:
    """The corrections of our own about that person; else those that the office may decide, and those it filed."""
    source = errand.node.database
    if query.citizen_number:
        return CORRECTIONS.by_subject(source, query.citizen_number)
    offices = errand.in_force.member(errand.node.name).agencies
    counties = [county for county in {office.county for office in offices} if _may_decide(errand, county)]
    found = [
        correction
        for county in counties
        for correction in (
            CORRECTIONS.each_in(source, county)
            if query.everything
            else CORRECTIONS.each_due(source, before=date.max, division=county)
        )
    ]
    filed = (CORRECTIONS.find(source, line.correction_id) for line in LINES.by_subject(source, str(errand.caller)))
    return {each.request.correction_id: each for each in (*found, *filed) if each is not None}.values()


def _filed(errand: Errand, query: CorrectionQuery) -> Iterable[Filed]:
    source = errand.node.database
    if query.citizen_number:
        return FILED.by_subject(source, query.citizen_number)
    found = (FILED.find(source, line.correction_id) for line in LINES.by_subject(source, str(errand.caller)))
    return (filed for filed in found if filed is not None)


def _may_decide(errand: Errand, county: str) -> bool:
    question = decide_request(errand.agency, errand.node.name, occasion=errand.occasion, county=county)
    return decide(errand.in_force.policies, question).allowed


def _urgency(line: CorrectionLine) -> str:
    """Overdue first, then what runs, by the end of its time, then what has ended."""
    due = line.deadline.due if line.deadline is not None else _LAST
    return f"{not line.overdue:d}{line.standing not in _RUNNING:d}/{format_time(due)}/{line.correction_id}"
