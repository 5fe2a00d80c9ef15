"""The figure of vehicle and licence business across the border (跨省车管办件量), counted from the cases themselves.

Rules kept: an application counts once, out and in together; a repeat of it within 30 days counts no more; what was
refused or withdrawn stands beside the figure, never in it. The press gives one number (164) without a definition: it
stands apart.
Source: the outcomes of `policies/procedures/vehicle-business.toml`; the definition is a proposal of the federation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from federation.domain.clock import china_day
from federation.domain.joint_state import Case
from federation.protocol.ids import NodeName

COUNTED: Final = frozenset({"issued", "forwarded"})
REPEAT_DAYS: Final = timedelta(days=30)
REPORTED: Final = 164
"""The number that the press reported for one county and no stated period (报道数): never added to ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleFigures:
    """Items done where counter and home office lie in two provinces. `directions`: from the counter's to the home's."""

    items: int
    types: Mapping[str, int]
    directions: Mapping[tuple[NodeName, NodeName], int]
    applicants: Mapping[str, int]
    repeats: int
    refused: int
    withdrawn: int
    prechecks: int


def count_vehicle_items(cases: Iterable[Case], *, since: date) -> VehicleFigures:
    """Counts the cases of vehicle business that were closed from a day on; of others nothing is counted."""
    closed = {_record_of(case): case for case in cases if _closed_on(case) is not None and _is_across(case)}
    in_time = [case for case in closed.values() if (_closed_on(case) or date.min) >= since]
    done = [case for case in in_time if case.outcome in COUNTED]
    once = [case for case in done if not _is_repeat(case, closed)]
    return VehicleFigures(
        items=len(once),
        types=Counter(_said(case, "type") for case in once),
        directions=Counter((case.home, home) for case in once for home in _homes(case) if case.home is not None),
        applicants=Counter(_said(case, "applicant") or "unsaid" for case in once),
        repeats=len(done) - len(once),
        refused=sum(case.outcome in ("not_accepted", "not_registered") for case in in_time),
        withdrawn=sum(case.outcome == "withdrawn" for case in in_time),
        prechecks=sum(len(case.done.get("answer_precheck", ())) for case in in_time),
    )


def _record_of(case: Case) -> str:
    opened = case.last("open")
    return "" if opened is None else opened.head.record


def _is_across(case: Case) -> bool:
    return case.procedure.name == "vehicle-business" and bool(_homes(case))


def _homes(case: Case) -> set[NodeName]:
    """The provinces of the home office, unless it is the counter's own."""
    return {agency.node for agency, roles in case.members.items() if "home" in roles} - {case.home}


def _closed_on(case: Case) -> date | None:
    closed = case.last("close")
    return None if closed is None else china_day(closed.head.at)


def _is_repeat(case: Case, closed: Mapping[str, Case]) -> bool:
    """True where it repeats an application that counts, for the same plate and type, within 30 days of its end."""
    earlier = closed.get(_said(case, "repeat_of"))
    if earlier is None or earlier is case or earlier.outcome not in COUNTED:
        return False
    first, second = _closed_on(earlier), _closed_on(case)
    same = _said(earlier, "type") == _said(case, "type")
    return same and first is not None and second is not None and timedelta() <= second - first <= REPEAT_DAYS


def _said(case: Case, field: str) -> str:
    taken = case.last("take_papers")
    return "" if taken is None else str(taken.head.fields.get(field, ""))
