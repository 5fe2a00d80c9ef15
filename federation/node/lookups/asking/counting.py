"""What was asked before: the counts that quotas are held against, and what is odd beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from federation.domain.dossiers.dossier import DossierKind
from federation.domain.lookup.asking import (
    Selector,
)
from federation.domain.lookup.case import LookupCase
from federation.domain.lookup.misuse import LookupCounts, Quotas, verify_quota
from federation.domain.lookup.watch import AskedLine, RaisedFlag
from federation.node.lookups import records
from federation.node.lookups.kinds import SEARCH_KIND
from federation.node.lookups.watch.flags import judge_search
from federation.node.lookups.watch.leaders import is_bulk, is_countersigned
from federation.node.node import CHINA
from federation.node.permits.ruling import Errand
from federation.protocol.ids import (
    truncate_to_millisecond,
)
from federation.store.database import Source

QUOTAS = Quotas()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What is remembered of a question: look-up, case, about whom (sealed), which kind of record, which desk."""

    lookup_id: str
    case: LookupCase
    selector: Selector | None
    kind: DossierKind
    desk: str
    home: Path


def count(source: Source, errand: Errand, line: Line, *, selector: Selector) -> None:
    """Counts what was asked before, in the transaction that asks: no two at the same moment share the last place.

    Different persons of a case are told apart by what is sealed with each line. A look-up that was let in for one
    province is let in for all.
    """
    asked = records.list_asked(source, errand.caller, since=line.case.opens - timedelta(days=1))
    searches = [(before, subject) for before, subject in asked if before.step == SEARCH_KIND]
    if any(before.lookup_id == line.lookup_id for before, _ in searches):
        return
    today = errand.node.today()
    lookups_today = {
        before.lookup_id
        for before, _ in searches
        if before.officer == errand.act.officer and before.time.astimezone(CHINA).date() == today
    }
    in_case = [(before, subject) for before, subject in searches if before.case_id == line.case.case_id]
    counts = LookupCounts(
        officer_today=len(lookups_today) + 1,
        case_total=len({before.lookup_id for before, _ in in_case}) + 1,
        case_persons=len({subject for _, subject in in_case} | {selector.value}),
    )
    case_id, officer = line.case.case_id, errand.act.officer
    verify_quota(
        counts,
        QUOTAS,
        countersigned=is_countersigned(source, errand.caller, case_id, officer=officer),
        bulk=counts.case_total > QUOTAS.per_case and is_bulk(source, errand.caller, case_id, officer=officer),
    )


def flags_of(source: Source, asked: records.Asked, line: Line, *, selector: Selector) -> tuple[RaisedFlag, ...]:
    """What is odd about a search beside those before it."""
    watched = AskedLine(
        time=truncate_to_millisecond(asked.time),
        officer=asked.officer,
        agency=str(asked.agency),
        lookup_id=asked.lookup_id,
        case_id=asked.case_id,
        desk=asked.desk,
    )
    return judge_search(source, line.home, watched, agency=asked.agency, selector=selector)
