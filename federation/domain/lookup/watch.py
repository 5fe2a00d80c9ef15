"""What an agency's questions show when they are looked at together: bursts off hours, one credential at two desks.

Rules kept: a pattern raises a flag and never refuses, since an officer at night may well be right; a flag names the
officer by pseudonym and the look-up by id, never a person asked about; the same lines give the same flags everywhere.
Trusts the lines. Sources: misuse controls M2 (one credential, two desks), M5 (bursts off hours), M8 (records that
nobody has a reason to ask for), M12 (review sample); working hours of 08:00 to 20:00 in China's one time zone.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from enum import StrEnum
from typing import Final

from federation.domain.rules.calendar import Calendar, is_working_day
from federation.protocol.ids import AgencyId, NodeName, format_time

CHINA: Final = timezone(timedelta(hours=8), "CST")
DAY_BEGINS, DAY_ENDS = time(8), time(20)
BURST: Final = 5
"""So many look-ups of one officer off hours within `BURST_WINDOW` are a burst."""
BURST_WINDOW: Final = timedelta(minutes=30)
DESK_WINDOW: Final = timedelta(minutes=10)
"""Nobody sits at two desks within ten minutes."""
OVERLAP: Final = timedelta(seconds=5)
"""Nobody types two questions for two cases within five seconds."""
SAMPLE_OF_10_000: Final = 200


class FlagKind(StrEnum):
    """What a flag says happened."""

    OFF_HOURS_BURST = "off_hours_burst"
    TWO_DESKS = "two_desks"
    HONEY = "honey"
    BREAK_GLASS = "break_glass"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedLine:
    """One look-up as the watch sees it; `desk` is the certificate's serial, empty when it is not known."""

    time: datetime
    officer: str
    agency: str
    lookup_id: str
    case_id: str
    desk: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Something for the duty leader to look at, in a sentence of each language; it accuses nobody."""

    kind: FlagKind
    officer: str
    lookup_id: str
    case_id: str
    sentence_zh: str
    sentence_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedFlag:
    """A flag as it was raised: when, and on a question of which agency, which may be another province's."""

    time: datetime
    agency: AgencyId
    flag: Flag


def find_misuse(lines: Sequence[AskedLine], now: datetime, calendar: Calendar) -> tuple[Flag, ...]:
    """The flags that the look-ups made at `now` raise, seen with those before them.

    Args:
        lines: what was asked, in any order; a look-up in several provinces is one look-up. Later lines are not seen.
        now: the time of the look-ups that are judged.
        calendar: the working days; in a year without a table, Saturdays and Sundays are free.
    """
    known = {(line.lookup_id, line.desk): line for line in lines if now - BURST_WINDOW < line.time <= now}
    flags: list[Flag] = []
    for line in sorted((line for line in known.values() if line.time == now), key=lambda line: line.lookup_id):
        same = [other for other in known.values() if (other.agency, other.officer) == (line.agency, line.officer)]
        flags += _find_burst(line, same, calendar)
        flags += _find_two_desks(line, same)
    return tuple(flags)


def is_off_hours(moment: datetime, calendar: Calendar) -> bool:
    """Whether offices are closed at that moment in China: before 08:00, from 20:00 on, or on a free day."""
    local = moment.astimezone(CHINA)
    return not (DAY_BEGINS <= local.time() < DAY_ENDS) or not _is_worked(local.date(), calendar)


def honey_flag(line: AskedLine) -> Flag:
    """The flag of a look-up that met a planted record: no case can name a person who does not exist."""
    return Flag(
        kind=FlagKind.HONEY,
        officer=line.officer,
        lookup_id=line.lookup_id,
        case_id=line.case_id,
        sentence_zh="查询命中了诱饵记录:没有案件会涉及此人,请核查查询来由",
        sentence_en="the look-up met a planted record, which no case has a reason to ask for; ask where it came from",
    )


def unanswered_flag(line: AskedLine, *, asked_of: NodeName) -> Flag:
    """The flag of a look-up that a person must answer and has not, at three quarters of its clock."""
    return Flag(
        kind=FlagKind.UNANSWERED,
        officer=line.officer,
        lookup_id=line.lookup_id,
        case_id=line.case_id,
        sentence_zh=f"{line.agency} 的请求在 {asked_of} 受理岗久未答复,请立即联系对方",
        sentence_en=f"what {line.agency} asked of {asked_of} still waits at the intake desk there; call them now",
    )


def is_sampled(lookup_id: str, key: bytes) -> bool:
    """Whether a look-up is one of the 2 % that a reviewer reads: the same for ever, and not to be foreseen."""
    digest = hmac.new(key, b"lookup review sample v1\n" + lookup_id.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") % 10_000 < SAMPLE_OF_10_000


def _find_burst(line: AskedLine, same: Sequence[AskedLine], calendar: Calendar) -> list[Flag]:
    asked = {other.lookup_id for other in same if is_off_hours(other.time, calendar)}
    if not is_off_hours(line.time, calendar) or len(asked) < BURST:
        return []
    minutes = BURST_WINDOW // timedelta(minutes=1)
    return [
        Flag(
            kind=FlagKind.OFF_HOURS_BURST,
            officer=line.officer,
            lookup_id=line.lookup_id,
            case_id=line.case_id,
            sentence_zh=f"非工作时间 {minutes} 分钟内查询 {len(asked)} 次,请核查是否确有警情",
            sentence_en=f"{len(asked)} look-ups off hours within {minutes} minutes; check that there was a call-out",
        )
    ]


def _find_two_desks(line: AskedLine, same: Sequence[AskedLine]) -> list[Flag]:
    """Two certificates in one name; or, when desks are unknown, two cases asked for at once."""
    others = [other for other in same if other.lookup_id != line.lookup_id]
    desks = {other.desk for other in others if other.desk and line.time - other.time < DESK_WINDOW} - {line.desk}
    at_once = {other.case_id for other in others if line.time - other.time < OVERLAP} - {line.case_id}
    if not (line.desk and desks) and not at_once:
        return []
    return [
        Flag(
            kind=FlagKind.TWO_DESKS,
            officer=line.officer,
            lookup_id=line.lookup_id,
            case_id=line.case_id,
            sentence_zh=f"同一警员账号在两处同时使用({format_time(line.time)}),请核查是否借用",
            sentence_en=f"one officer asked from two places at once at {format_time(line.time)}; was it lent?",
        )
    ]


def _is_worked(day: date, calendar: Calendar) -> bool:
    if day.year not in calendar.years:
        return day.weekday() < 5
    return is_working_day(calendar, day)
