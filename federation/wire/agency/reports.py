"""A person's report: who asked about them. The realm of the number is the node's to check."""

from __future__ import annotations

from datetime import date
from typing import Final

from msgspec import Struct

from federation.domain.lookups import Outcome
from federation.domain.reports import ReportLine
from federation.protocol.ids import NodeName
from federation.wire.rpc import COUNTERS, WRITES, PageQuery, Rpc, Ruling


class ReportQuestion(PageQuery, frozen=True, kw_only=True):
    """The first page asks every province; `identity_checked`: the clerk has checked that it is the person."""

    citizen_number: str
    identity_checked: bool

    def __repr__(self) -> str:
        """Hides the person."""
        return f"ReportQuestion(identity_checked={self.identity_checked})"


class ProvinceReport(Struct, frozen=True, kw_only=True):
    """The state of one province's answer (hit when it came), and how much it holds back or has that is older."""

    node: NodeName
    outcome: Outcome
    withheld_count: int = 0
    older_count: int = 0


class ReportPage(Struct, frozen=True, kw_only=True):
    """Newest first; counts are of the whole report; `next_shown` is when the first withheld entry will be shown."""

    decision: Ruling
    lines: tuple[ReportLine, ...] = ()
    withheld_count: int = 0
    next_shown: date | None = None
    provinces: tuple[ProvinceReport, ...] = ()
    next_page_token: str = ""


GET_REPORT: Final = Rpc("SubjectService/GetReport", ReportQuestion, ReportPage, kinds=COUNTERS, floor_seconds=WRITES)
