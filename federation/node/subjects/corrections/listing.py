"""The list of an office: the corrections that its county decides and those that it filed, overdue ones first.

An office of the issuing county sees what it may decide; any office sees what it filed itself; nobody sees more.
"""

from __future__ import annotations

from datetime import UTC, datetime

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.corrections import decide_request
from federation.domain.permits import urn_division
from federation.node.exchange.errand import Errand, record_refusal, rule
from federation.node.subjects.corrections.lines import filed_line, own_line
from federation.node.subjects.corrections.notices import list_notices
from federation.node.subjects.corrections.records import list_corrections, list_filed
from federation.protocol.errors import MalformedError
from federation.protocol.policy import decide
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
    start = _parse_start(query.page_token)
    lines = _every(errand, query)
    end = start + query.page_size
    return CorrectionPage(
        decision=ruling,
        corrections=tuple(lines[start:end]),
        notices=tuple(list_notices(node, errand.caller)) if start == 0 and not query.citizen_number else (),
        next_page_token=str(end) if end < len(lines) else "",
    )


def _every(errand: Errand, query: CorrectionQuery) -> list[CorrectionLine]:
    node, now, caller = errand.node, errand.node.now(), errand.caller
    lines: list[CorrectionLine] = []
    for correction in list_corrections(node.database, citizen_number=query.citizen_number or ""):
        to_decide = _may_decide(errand, urn_division(correction.request.urn))
        if to_decide or correction.filed_by == caller:
            lines.append(own_line(correction, owner=node.name, now=now, to_decide=to_decide))
    filed = list_filed(node.database, citizen_number=query.citizen_number or "")
    lines += [filed_line(node, each) for each in filed if each.agency == caller]
    wanted = [line for line in lines if query.everything or line.standing in _RUNNING]
    return sorted(wanted, key=_urgency)


def _may_decide(errand: Errand, county: str) -> bool:
    question = decide_request(errand.agency, errand.node.name, occasion=errand.occasion, county=county)
    return decide(errand.in_force.policies, question).allowed


def _urgency(line: CorrectionLine) -> tuple[bool, bool, datetime, str]:
    """Overdue first, then what runs, by the end of its time, then what has ended."""
    due = line.deadline.due if line.deadline is not None else _LAST
    return not line.overdue, line.standing not in _RUNNING, due, line.correction_id


def _parse_start(token: str) -> int:
    if token and not (token.isascii() and token.isdigit() and len(token) < 8):
        raise MalformedError("PAGE_TOKEN", "expected the token of the page before", field="page_token")
    return int(token or 0)
