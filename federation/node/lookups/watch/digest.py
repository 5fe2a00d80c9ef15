"""An officer's day at a node: who asked about whom (masked), in which case, and what came of it.

Rules kept: an officer reads their own; somebody else's is read by a leader of a case of the same office, by the
leader's own registered key; the person is masked before it leaves the node. Source: misuse control M6.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from federation.domain.lookups import Outcome
from federation.domain.lookups_case import decode_case
from federation.domain.oversight import Digest, DigestLine, digest_bytes, mask_selector
from federation.node.lookups import records
from federation.node.lookups.asking.history import outcome_of
from federation.node.lookups.watch.flags import SEARCH
from federation.node.node import CHINA, Node
from federation.node.officers import LeaderAct, verify_own_key
from federation.protocol.errors import RuleError
from federation.protocol.ids import AgencyId, NodeName
from federation.store.records import list_records


def daily_digest(node: Node, agency: AgencyId, officer: str, *, day: date) -> Digest:
    """An officer's day in China: one line a look-up, in the order of time."""
    start = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    lines: dict[str, DigestLine] = {}
    outcomes: dict[str, dict[NodeName, Outcome | None]] = {}
    for asked, person in records.list_asked(node.database, agency, since=start, until=start + timedelta(days=1)):
        if asked.officer != officer or asked.step != SEARCH:
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


def verify_reader(node: Node, act: LeaderAct, *, officer: str, day: date) -> None:
    """Returns when this officer may read that officer's day.

    Raises:
        RuleError: DIGEST_READER for somebody else than a leader of the office.
        UntrustedError: OFFICER_KEY; MalformedError: SIGNATURE_FORM.
    """
    if act.leader == officer:
        return
    if not _leads(node, act.agency, act.leader):
        raise RuleError("DIGEST_READER", "expected a leader of one of the office's cases, or the officer's own day")
    verify_own_key(node.database, act, digest_bytes(act.agency, officer, day=day, reader=act.leader))


def _leads(node: Node, agency: AgencyId, officer: str) -> bool:
    """Whether the officer is the leader of any case that the agency opened."""
    after = ""
    while True:
        found = list_records(
            node.database, records.CASE, after_id=after, limit=1000, replica=False, division=agency.county
        )
        opened = (decode_case(record.content) for record in found)
        if any(case.opened_by == agency and case.leader == officer for case in opened):
            return True
        if len(found) < 1000:
            return False
        after = found[-1].id
