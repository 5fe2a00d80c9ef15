"""The figures of a kind of joint case, counted from the cases themselves: how many ended how, and in how many days.

Rules kept: every number names the entries that it counts, so that who holds them counts again; what was refused or
withdrawn stands beside what was done, never in it. Of vehicle business (跨省车管办件量) an application counts once, out
and in together, and a repeat of it within 30 days no more; the press gives one number (164) without a definition: it
stands apart, and counts nothing.
Source: the outcomes of each procedure; the definitions are a proposal of the federation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from math import ceil
from statistics import fmean, median
from typing import Final

from msgspec import Struct

from federation.domain.clock import china_day
from federation.domain.conditions import CONDITIONS
from federation.domain.joint_state import Case, Done
from federation.protocol.ids import NodeName

VEHICLES: Final = "vehicle-business"
TARGET_CLOCK: Final = "item.mean"
"""The target beside which the days of an item stand: they run from its acceptance, not from its first paper."""
COUNTED: Final = frozenset({"issued", "forwarded"})
REPEAT_DAYS: Final = timedelta(days=30)
REPORTED: Final = 164
"""The number that the press reported for one county and no stated period (报道数): never added to ours."""


class Figure(Struct, frozen=True, kw_only=True):
    """A number in words, and the names of the entries that it counts: of cases, the entry that closed each."""

    name: str
    zh: str
    en: str
    value: str
    entries: tuple[str, ...] = ()


def count_cases(cases: Iterable[Case], *, since: date) -> tuple[Figure, ...]:
    """Counts the cases of one procedure that were closed from a day on, in whatever order they come."""
    closed = {record_of(case): case for case in cases if closed_on(case) is not None}
    found = [case for _, case in sorted(closed.items()) if (closed_on(case) or date.min) >= since]
    if not found:
        return ()
    procedure = found[0].procedure
    ends = ((end, [case for case in found if case.outcome == end.id]) for end in procedure.outcome)
    beyond = [case for case in found if CONDITIONS["beyond_letter"].holds(case)]
    late = [case for case in found if any(clock.late for clock in case.clocks.values())]
    return (
        *(count_vehicles(found, closed) if procedure.name == VEHICLES else ()),
        _figure("closed", "办结", "closed", found),
        *(_figure(f"end.{end.id}", end.zh, end.en, ended) for end, ended in ends if ended),
        _figure("late", "曾逾期", "a time was over", late),
        *([_figure("beyond", "超出协作范围", "beyond the letter", beyond)] if "file_result" in procedure.acts else ()),
        *_days(found),
    )


def _figure(name: str, zh: str, en: str, cases: Sequence[Case], *, value: str = "") -> Figure:
    entries = tuple(closed.entry.name for closed in (case.last("close") for case in cases) if closed is not None)
    return Figure(name=name, zh=zh, en=en, value=value or str(len(cases)), entries=entries)


def _days(cases: Sequence[Case]) -> Iterator[Figure]:
    """Mean, median and p95 of the days of the cases that took any."""
    spent = sorted((days, record_of(case)) for case in cases if (days := spent_on(case)) is not None)
    of = {record_of(case): case for case in cases}
    counted, length = [of[record] for _, record in spent], [each for each, _ in spent]
    if not length:
        return
    for name, zh, en, value in (
        ("mean", "平均", "mean", fmean(length)),
        ("median", "中位", "median", median(length)),
        ("p95", "九成五不超过", "p95", length[ceil(len(length) * 0.95) - 1]),
    ):
        yield _figure(f"days.{name}", f"办理天数（{zh}）", f"days ({en})", counted, value=f"{value:.1f}")


def spent_on(case: Case) -> float | None:
    """The days from the opening to the close; of an item with a target, as long as its target ran."""
    target, opened, closed = case.clocks.get(TARGET_CLOCK), case.last("open"), case.last("close")
    if TARGET_CLOCK in {timed.clock for stage in case.procedure.stage for timed in stage.deadline}:
        ran = None if target is None or target.stopped is None else target.stopped - target.started - target.rested
    else:
        ran = None if opened is None or closed is None else closed.head.at - opened.head.at
    return None if ran is None else ran / timedelta(days=1)


# ---- vehicle and licence business -----------------------------------------------------------------------------------


def count_vehicles(found: Sequence[Case], closed: Mapping[str, Case]) -> Iterator[Figure]:
    """Items done where counter and home office lie in two provinces; what came to nothing stands in the ends."""
    across = [case for case in found if _homes(case)]
    done = [case for case in across if case.outcome in COUNTED]
    items = [case for case in done if not _is_repeat(case, closed)]
    repeats = [case for case in done if _is_repeat(case, closed)]
    yield _figure("items", "跨省车驾管办件量", "items done across the border", items)
    for name, zh, word in (("type", "业务", "type"), ("applicant", "申请人", "applicant")):
        for said in sorted({_said(case, word) or "unsaid" for case in items}):
            yield _figure(
                f"{name}.{said}", f"其中{zh}", f"of {name}",
                [case for case in items if (_said(case, word) or "unsaid") == said],
            )  # fmt: skip
    ways = {(str(case.home), str(home)): case for case in items for home in _homes(case)}
    for counter, home in sorted(ways):
        there = [case for case in items if str(case.home) == counter and home in _homes(case)]
        yield _figure(f"direction.{counter}.{home}", "其中受理地至登记地", "from counter to home office", there)
    yield _figure("repeats", "三十日内重复，不计入", "repeats within 30 days, not counted", repeats)
    answers: list[Done] = [each for case in across for each in case.done.get("answer_precheck", ())]
    yield Figure(
        name="prechecks", zh="预核查答复", en="checks beforehand that were answered", value=str(len(answers)),
        entries=tuple(each.entry.name for each in answers),
    )  # fmt: skip
    yield Figure(name="reported", zh="报道数（定义不明）", en="reported by the press, undefined", value=str(REPORTED))


def _homes(case: Case) -> set[NodeName]:
    """The provinces of the home office, unless it is the counter's own."""
    return {agency.node for agency, roles in case.members.items() if "home" in roles} - {case.home}


def record_of(case: Case) -> str:
    opened = case.last("open")
    return "" if opened is None else opened.head.record


def closed_on(case: Case) -> date | None:
    closed = case.last("close")
    return None if closed is None else china_day(closed.head.at)


def _is_repeat(case: Case, closed: Mapping[str, Case]) -> bool:
    """True where it repeats an application that counts, of the same type, within 30 days of its end."""
    earlier = closed.get(_said(case, "repeat_of"))
    if earlier is None or earlier is case or earlier.outcome not in COUNTED:
        return False
    first, second = closed_on(earlier), closed_on(case)
    same = _said(earlier, "type") == _said(case, "type")
    return same and first is not None and second is not None and timedelta() <= second - first <= REPEAT_DAYS


def _said(case: Case, field: str) -> str:
    taken = case.last("take_papers")
    return "" if taken is None else str(taken.head.fields.get(field, ""))
