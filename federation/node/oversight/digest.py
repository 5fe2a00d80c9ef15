"""An officer's day at a node: one's own, or read by a leader of the office with their own key (misuse control M6)."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta

from federation.domain.lookups import Outcome
from federation.domain.oversight import Digest, DigestLine, ReadingKind, digest_bytes, mask_selector
from federation.node.exchange.errand import Errand, on
from federation.node.lookups import records
from federation.node.lookups.answer import SEARCH
from federation.node.lookups.ask import outcome_of
from federation.node.node import CHINA, Node
from federation.node.officers import signed_by, verify_own_key
from federation.node.oversight.readings import note_reading
from federation.protocol.errors import RuleError
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.agency.oversight import GET_DAILY_DIGEST, DigestQuestion


@on(GET_DAILY_DIGEST)
async def get_digest(errand: Errand, question: DigestQuestion) -> Digest:
    """Returns one's own day, or that of whom one leads; refuses DIGEST_READER, OFFICER_KEY, SIGNATURE_FORM."""
    node, reader = errand.node, errand.act.officer
    officer, day = question.officer or reader, question.day or node.today()
    if reader != officer:
        if not _leads(node, errand.caller, reader):
            raise RuleError("DIGEST_READER", "expected a leader of one of the office's cases, or the officer's own day")
        signed = digest_bytes(errand.caller, officer, day=day, reader=reader)
        verify_own_key(node.database, signed_by(errand, question.signature or ""), signed)
    await note_reading(errand, step=ReadingKind.DIGEST, what=f"{officer} {day}")
    return await asyncio.to_thread(daily_digest, node, errand.caller, officer, day=day)


def daily_digest(node: Node, agency: AgencyId, officer: str, *, day: date) -> Digest:
    """Returns an officer's day in China: one line a look-up, in the order of time."""
    start = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    lines: dict[str, DigestLine] = {}
    outcomes: dict[str, dict[NodeName, Outcome | None]] = {}
    for asked, person in records.list_asked(node.database, agency, since=start, until=start + timedelta(days=1)):
        if asked.officer != officer or asked.step != SEARCH.name:
            continue
        found = outcomes.setdefault(asked.lookup_id, {})
        found[asked.node] = outcome_of(node, asked)
        lines.setdefault(
            asked.lookup_id,
            DigestLine(
                lookup_id=asked.lookup_id,
                case_id=asked.case_id,
                time=asked.time,
                person=mask_selector(person or ""),
                outcomes=found,
            ),
        )
    return Digest(officer=officer, day=day, lines=tuple(lines.values()))


def _leads(node: Node, agency: AgencyId, officer: str) -> bool:
    return bool(records.OWN_CASES.by_subject(node.database, f"{agency}/{officer}"))
