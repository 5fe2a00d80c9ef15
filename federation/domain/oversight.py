"""The look-ups watched: flags, the sample that is reviewed, break-glass, an officer's own day, and who read what.

A pattern raises a flag and never refuses; a flag names the officer by pseudonym and never a person asked about. Nobody
reviews what they asked. The leader reviews a broken glass on the next working day; until then the agency breaks none,
and one found unjustified ends its case. In a year without a table a due day comes sooner. Sources: misuse controls M2,
M5-M8, M10, M12; 公安机关办理刑事案件程序规定 article 350; working hours 08:00-20:00.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import asdict

from federation.domain.clock import CHINA_TIME, Calendar, add_working_days, china_day, is_working_day
from federation.domain.lookups import Outcome
from federation.domain.lookups_case import (
    BREAK_GLASS_PREFIX,
    BREAK_GLASS_TIME,
    NO_LETTER,
    CaseTerms,
    DossierFacts,
    LookupCase,
    dossier_entity,
    is_break_glass,
    open_case,
    step_bytes,
)
from federation.domain.permits_policy import AgencyFacts, Occasion, ask
from federation.protocol.errors import CorruptError, MalformedError, RuleError
from federation.protocol.form import Item, Text, Time, always, decode, encode, replace
from federation.protocol.ids import AgencyId, NodeName, OfficerId, format_time
from federation.protocol.policy import PolicyRequest

DAY_BEGINS, DAY_ENDS = time(8), time(20)
BURST: Final = 5
"""So many look-ups of one officer off hours within `BURST_WINDOW` are a burst."""
BURST_WINDOW: Final = timedelta(minutes=30)
DESK_BURST, OFFICE_BURST = 60, 120
"""So many look-ups of one certificate, or of one office, within `BURST_WINDOW` are a burst, whoever asked them."""
OFF_HOURS_SHARE: Final = 4
"""Off hours a fourth of them is one."""
DESK_WINDOW: Final = timedelta(minutes=10)
OVERLAP: Final = timedelta(seconds=5)
"""Nobody types two questions for two cases within five seconds."""
SAMPLE_OF_10_000: Final = 200


class FlagKind(StrEnum):
    OFF_HOURS_BURST = "off_hours_burst"
    TWO_DESKS = "two_desks"
    HONEY = "honey"
    BREAK_GLASS = "break_glass"
    UNANSWERED = "unanswered"
    DESK_BURST = "desk_burst"
    OFFICE_BURST = "office_burst"
    KEY_CHANGED = "key_changed"


class AskedLine(Struct, frozen=True, kw_only=True):
    """One look-up as the watch sees it; `desk` is the certificate's serial, empty when it is not known."""

    time: datetime
    officer: str
    agency: str
    lookup_id: str
    case_id: str
    desk: str = ""


class Flag(Item, frozen=True, kw_only=True):
    """Something for the duty leader to look at, in a sentence of each language; it accuses nobody."""

    kind: FlagKind
    officer: str
    lookup_id: str
    case_id: str
    sentence_zh: str
    sentence_en: str


class RaisedFlag(Flag, frozen=True, kw_only=True):
    """A flag as it was raised: when, and on a question of which agency, which may be another province's."""

    WHAT: ClassVar[str] = "lookup-flag"

    time: Time
    agency: AgencyId


def raised_at(flag: Flag, *, time: datetime, agency: AgencyId) -> RaisedFlag:
    return RaisedFlag(time=time, agency=agency, **asdict(flag))


def find_misuse(lines: Sequence[AskedLine], now: datetime, calendar: Calendar) -> tuple[Flag, ...]:
    """Returns the flags that the look-ups at `now` raise, seen with those before; one in several provinces is one."""
    known = {(line.lookup_id, line.desk): line for line in lines if now - BURST_WINDOW < line.time <= now}
    flags: list[Flag] = []
    for line in sorted((line for line in known.values() if line.time == now), key=lambda line: line.lookup_id):
        same = [other for other in known.values() if (other.agency, other.officer) == (line.agency, line.officer)]
        flags += _find_burst(line, same, calendar)
        flags += _find_two_desks(line, same)
    return tuple(flags)


def is_burst(kind: FlagKind, asked: int, moment: datetime, *, calendar: Calendar) -> bool:
    """True for the very look-up that makes a burst of a desk's or an office's, so that a window has one flag."""
    most = DESK_BURST if kind is FlagKind.DESK_BURST else OFFICE_BURST
    return asked == (most // OFF_HOURS_SHARE if is_off_hours(moment, calendar) else most)


def burst_flag(kind: FlagKind, line: AskedLine, *, asked: int) -> Flag:
    """The flag of a look-up with which a desk or an office has asked so often in a short time, by whatever officers."""
    minutes = BURST_WINDOW // timedelta(minutes=1)
    zh, en = ("同一证书", "one certificate") if kind is FlagKind.DESK_BURST else ("同一单位", "one office")
    return _flag(
        kind,
        line,
        f"{zh} {minutes} 分钟内查询 {asked} 次，请核查是否确有需要",
        f"{asked} look-ups of {en} within {minutes} minutes, whoever asked; check what they were for",
    )


def is_off_hours(moment: datetime, calendar: Calendar) -> bool:
    """True when offices are closed at that moment in China: before 08:00, from 20:00 on, or on a free day."""
    local = moment.astimezone(CHINA_TIME)
    return not (DAY_BEGINS <= local.time() < DAY_ENDS) or not _is_worked(local.date(), calendar)


def _flag(kind: FlagKind, line: AskedLine, zh: str, en: str) -> Flag:
    return Flag(
        kind=kind, officer=line.officer, lookup_id=line.lookup_id, case_id=line.case_id, sentence_zh=zh, sentence_en=en
    )


def honey_flag(line: AskedLine) -> Flag:
    """The flag of a look-up that met a planted record: no case can name a person who does not exist."""
    return _flag(
        FlagKind.HONEY,
        line,
        "查询命中了诱饵记录：没有案件会涉及此人，请核查查询来由",
        "the look-up met a planted record, which no case has a reason to ask for; ask where it came from",
    )


def unanswered_flag(line: AskedLine, *, asked_of: NodeName) -> Flag:
    """The flag of a look-up that a person must answer and has not, at three quarters of its clock."""
    return _flag(
        FlagKind.UNANSWERED,
        line,
        f"{line.agency} 的请求在 {asked_of} 受理岗久未答复，请立即联系对方",
        f"what {line.agency} asked of {asked_of} still waits at the intake desk there; call them now",
    )


def is_sampled(name: str, key: bytes) -> bool:
    """True when what has that name is one of the 2 % that somebody reads: the same for ever, and not to be foreseen.

    Each sort of things has a key of its own.
    """
    digest = hmac.new(key, b"lookup review sample v1\n" + name.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") % 10_000 < SAMPLE_OF_10_000


def _find_burst(line: AskedLine, same: Sequence[AskedLine], calendar: Calendar) -> list[Flag]:
    asked = {other.lookup_id for other in same if is_off_hours(other.time, calendar)}
    if not is_off_hours(line.time, calendar) or len(asked) < BURST:
        return []
    minutes = BURST_WINDOW // timedelta(minutes=1)
    return [
        _flag(
            FlagKind.OFF_HOURS_BURST,
            line,
            f"非工作时间 {minutes} 分钟内查询 {len(asked)} 次，请核查是否确有警情",
            f"{len(asked)} look-ups off hours within {minutes} minutes; check that there was a call-out",
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
        _flag(
            FlagKind.TWO_DESKS,
            line,
            f"同一警员账号在两处同时使用（{format_time(line.time)}），请核查是否借用",
            f"one officer asked from two places at once at {format_time(line.time)}; was it lent?",
        )
    ]


def _working_day_after(day: date, calendar: Calendar, *, count: int, otherwise: timedelta) -> date:
    try:
        return add_working_days(calendar, day, count=count)
    except RuleError:  # a year without a table
        return day + otherwise


def _is_worked(day: date, calendar: Calendar) -> bool:
    if day.year not in calendar.years:
        return day.weekday() < 5
    return is_working_day(calendar, day)


# ---- the sample

REVIEW_DAYS: Final = 5
MAX_WORDS: Final = 500


class SampleFinding(StrEnum):
    LAWFUL = "lawful"
    DOUBTFUL = "doubtful"


class SampleReview(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "sample review"
    REASON: ClassVar[str] = "REVIEW_FORM"

    lookup_id: str
    reviewer: str
    time: Time
    finding: SampleFinding
    words: str


class SampleItem(Struct, frozen=True, kw_only=True):
    """One look-up that chance picked; `due` is its last day of review, `overdue` past that, `person` is masked."""

    lookup_id: str
    case_id: str
    officer: str
    time: datetime
    purpose: str
    person: str
    due: date
    overdue: bool
    review: SampleReview | None = None


def due_of(asked: datetime, calendar: Calendar) -> date:
    return _working_day_after(china_day(asked), calendar, count=REVIEW_DAYS, otherwise=timedelta(days=7))


def verify_words(words: str) -> str:
    """Returns a reviewer's words, without the space around; refuses over 500 or not printable (REVIEW_WORDS)."""
    text = words.strip()
    if len(text) > MAX_WORDS or not text.isprintable():
        raise MalformedError("REVIEW_WORDS", f"expected at most {MAX_WORDS} printable characters on one line")
    return text


def review_sample(item: SampleItem, review: SampleReview) -> SampleReview:
    """Returns a review that may stand; refuses REVIEW_SELF, REVIEW_DONE, REVIEW_WORDS_MISSING, REVIEW_WORDS."""
    if review.reviewer == item.officer:
        raise RuleError("REVIEW_SELF", "expected another officer to review it than the one who asked")
    if item.review is not None:
        raise RuleError("REVIEW_DONE", f"{item.review.reviewer} found it {item.review.finding} already")
    if not verify_words(review.words):
        raise RuleError("REVIEW_WORDS_MISSING", "expected the reviewer's words: what was checked, and against what")
    return review


def sample_review_bytes(agency: AgencyId, lookup_id: str, *, finding: SampleFinding, words: str) -> bytes:
    return step_bytes("lookup.sample.review", agency, lookup_id=lookup_id, finding=finding, words=words)


# ---- break-glass


class Finding(StrEnum):
    OPEN = "open"
    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


class BreakGlass(Item, frozen=True, kw_only=True):
    """One breaking of the glass; the review is due by the end of `due`, `words` are the leader's with the finding."""

    WHAT: ClassVar[str] = "break-glass notice"
    REASON: ClassVar[str] = "BREAK_GLASS_FORM"

    case_id: str
    agency: AgencyId
    officer: str
    leader: str
    opened: Time
    due: date
    finding: Finding = always(Finding.OPEN)
    words: str = always("")


def open_break_glass(case_id: str, terms: CaseTerms, *, opened_by: AgencyId, now: datetime) -> LookupCase:
    """Opens a case of two hours without letter; refuses BREAK_GLASS_NUMBER, BREAK_GLASS_TERMS, and as `open_case`."""
    if not is_break_glass(case_id):
        raise RuleError("BREAK_GLASS_NUMBER", f"expected a number that begins with {BREAK_GLASS_PREFIX}")
    if terms.letter or terms.days:
        raise RuleError("BREAK_GLASS_TERMS", f"expected neither a letter nor a term of days in {case_id}")
    case = open_case(case_id, replace(terms, letter=NO_LETTER, days=1), opened_by=opened_by, now=now)
    return replace(case, closes=case.opens + BREAK_GLASS_TIME)


def notice_of(case: LookupCase, officer: str, *, calendar: Calendar) -> BreakGlass:
    """Returns what the duty leader is noticed of at once; refuses the officer as leader (BREAK_GLASS_LEADER)."""
    if case.leader == officer:
        raise RuleError("BREAK_GLASS_LEADER", "expected another leader than the officer who breaks the glass")
    return BreakGlass(
        case_id=case.case_id,
        agency=case.opened_by,
        officer=officer,
        leader=case.leader,
        opened=case.opens,
        due=_working_day_after(china_day(case.opens), calendar, count=1, otherwise=timedelta(days=1)),
    )


def verify_break_glass_allowed(notices: Iterable[BreakGlass]) -> None:
    """Refuses while one of the agency's waits for its review (BREAK_GLASS_UNREVIEWED)."""
    waiting = sorted(notice.case_id for notice in notices if notice.finding is Finding.OPEN)
    if waiting:
        raise RuleError(
            "BREAK_GLASS_UNREVIEWED",
            f"expected {waiting[0]} to be reviewed before the next one; its leader reviews it, or the case is opened "
            "with a cooperation letter",
        )


def is_overdue(notice: BreakGlass, *, today: date) -> bool:
    return notice.finding is Finding.OPEN and today > notice.due


def review_break_glass(notice: BreakGlass, reviewer: str, *, finding: Finding, words: str = "") -> BreakGlass:
    """Closes a notice with its leader's finding; refuses BREAK_GLASS_REVIEWER, REVIEWED, FINDING, WORDS."""
    if reviewer != notice.leader:
        raise RuleError("BREAK_GLASS_REVIEWER", f"expected the leader named in {notice.case_id} to review it")
    if notice.finding is not Finding.OPEN:
        raise RuleError("BREAK_GLASS_REVIEWED", f"{notice.case_id} was found {notice.finding} already")
    if finding is Finding.OPEN:
        raise RuleError("BREAK_GLASS_FINDING", "expected the finding justified or unjustified")
    if finding is Finding.UNJUSTIFIED and not words.strip():
        raise RuleError("BREAK_GLASS_WORDS", "expected the reviewer's words: what was unjustified, and what follows")
    return replace(notice, finding=finding, words=verify_words(words))


def review_bytes(case_id: str, agency: AgencyId, *, finding: Finding, words: str = "") -> bytes:
    return step_bytes("lookup.break_glass.review", agency, case_id=case_id, finding=finding, words=words)


def break_glass_flag(notice: BreakGlass) -> Flag:
    return Flag(
        kind=FlagKind.BREAK_GLASS,
        officer=notice.officer,
        lookup_id=notice.case_id,
        case_id=notice.case_id,
        sentence_zh=f"无协作函紧急查询 {notice.case_id}，值班领导须于 {notice.due} 前审查",
        sentence_en=f"glass broken for {notice.case_id} without a letter; its leader reviews it by {notice.due}",
    )


# ---- the digest

_LONG: Final = 12


class DigestLine(Struct, frozen=True, kw_only=True):
    """One look-up of the day; `person` is masked, an outcome is None while the answer is awaited."""

    lookup_id: str
    case_id: str
    time: datetime
    person: str
    outcomes: Mapping[NodeName, Outcome | None]


class Digest(Struct, frozen=True, kw_only=True):
    officer: str
    day: date
    lines: tuple[DigestLine, ...] = ()


def mask_selector(value: str) -> str:
    """Keeps the first six and last two of a long number, or all but the serial of a name such as a permit's."""
    head, colon, serial = value.rpartition(":")
    if colon:
        return f"{head}:{_mask(serial, first=0, last=2)}"
    return _mask(value, first=6, last=2) if len(value) >= _LONG else _mask(value, first=2, last=1)


def digest_bytes(agency: AgencyId, officer: str, *, day: date, reader: str) -> bytes:
    return step_bytes("lookup.digest", agency, officer=officer, day=day.isoformat(), reader=reader)


def _mask(text: str, *, first: int, last: int) -> str:
    if len(text) <= first + last:
        return "*" * max(len(text), 1)
    return f"{text[:first]}{'*' * (len(text) - first - last)}{text[-last:]}"


# ---- readings

AUDIT_OFFICE: Final = "audit"


class ReadingKind(StrEnum):
    RELEASED = "released"
    NOTICES = "notices"
    FLAGS = "flags"
    DIGEST = "digest"
    SAMPLE = "sample"
    WATCH = "watch"
    READINGS = "readings"
    KEYS = "keys"
    MESSAGES = "messages"


class StoredReading(Item, frozen=True, kw_only=True):
    """One reading; `about` is what a list was narrowed to; the last four are of released fields only."""

    WHAT: ClassVar[str] = "stored reading"
    REASON: ClassVar[str] = "READING_KIND"

    time: Time
    agency: AgencyId
    officer: str
    kind: ReadingKind
    about: str = always("")
    lookup_id: str = always("")
    case_id: str = always("")
    node: str = always("")
    fields: frozenset[str] = always(frozenset())


def decode_reading(encoded: bytes) -> StoredReading:
    """Decodes a reading of our own store; another kind is corrupt (CorruptError READING_KIND)."""
    try:
        return decode(StoredReading, encoded)
    except MalformedError as error:
        if error.reason == StoredReading.REASON:
            raise CorruptError(error.reason, error.message) from error
        raise


# ---- the mandate

MANDATE_TIME: Final = timedelta(days=30)
PERSONS: Final = 2


class Mandate(Item, frozen=True, kw_only=True):
    """A mandate (取证授权): two persons of one office, by a document, read what falls into its window, for 30 days.

    An empty `case_id`, `officer` or `function` narrows nothing. `keys` are those of both, for a stranger who
    verifies the signatures and finds the keys in the log. Source: 监察法 article 44, 审计法 article 34.
    """

    WHAT: ClassVar[str] = "mandate"

    agency: AgencyId
    document: Text
    start: Time
    end: Time
    made: Time
    first: OfficerId
    second: OfficerId
    case_id: str = always("")
    officer: str = always("")
    function: str = always("")
    signatures: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def narrowed(self) -> bool:
        return bool(self.case_id or self.officer or self.function)

    def covers(self, time: datetime, *, case_id: str | None, officer: str | None, function: str | None = None) -> bool:
        named = ((self.case_id, case_id), (self.officer, officer), (self.function, function))
        return self.start <= time < self.end and all(wanted in ("", found) for wanted, found in named)


def mandate_bytes(mandate: Mandate) -> bytes:
    """The bytes that both persons sign: all of it but the signatures and their keys."""
    unsigned = replace(mandate, signatures=(), keys=())
    return step_bytes("oversight.mandate", mandate.agency, text=encode(unsigned).decode())


def verify_mandate(mandate: Mandate, agency: AgencyId, *, now: datetime) -> None:
    """Refuses a mandate of another office, of one person, out of its 30 days, or with no time in it (MANDATE)."""
    faults = {
        f"expected a mandate of {agency}, got one of {mandate.agency}": mandate.agency != agency,
        "expected two persons in the mandate": mandate.first == mandate.second,
        "expected both persons to have signed the mandate": len(mandate.signatures) != PERSONS,
        "expected the mandate to begin before it ends": mandate.start >= mandate.end,
        "expected a mandate of the last 30 days": not mandate.made <= now < mandate.made + MANDATE_TIME,
    }
    for sentence, is_so in faults.items():
        if is_so:
            raise RuleError("MANDATE", sentence)


def inspection_request(
    agency: AgencyFacts, province: NodeName, *, occasion: Occasion, mandate: Mandate | None
) -> PolicyRequest:
    """Asks whether the agency may read what that province's node exchanged, and who read what there."""
    return ask(
        "exchange.inspect",
        agency,
        dossier_entity(DossierFacts(province=province, kind="exchange")),
        occasion=occasion,
        mandate=mandate is not None,
        narrowed=mandate is not None and mandate.narrowed,
    )


def readings_bytes(agency: AgencyId, case_id: str, *, reader: str) -> bytes:
    return step_bytes("lookup.readings", agency, case_id=case_id, reader=reader)
