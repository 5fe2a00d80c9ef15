"""What a person is told: which agency asked about them, when, for what, which fields it got, and what still waits.

Rules kept: newest first; an entry of a running investigation is held back, counted, and shown by itself from the end of
its case on; a line names the agency and never the officer, the case or another person. Trusts its own province's
entries; what another province answers is decoded strictly, and is that province's word.
Sources: PIPL articles 18, 20, 44, 45 (个人信息保护法); Estonia's data tracker for what a line holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Final

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.lookup.case import LookupCase
from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_integer,
    read_text,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, NodeName, Realm, format_time, parse_agency_id, parse_time
from federation.protocol.leaf import Verdict

REQUEST_BODY: Final = "application/vnd.bridgehead.subject-request.v1+json"
"""The media type of a body that holds one `SubjectRequest`."""
REPORT_BODY: Final = "application/vnd.bridgehead.subject-answer.v1+json"
"""The media type of a body that holds one province's `SubjectReport`."""

MAX_REPORT_LINES: Final = 2000
"""The most lines that one province answers with; older ones are counted."""

DEFERRED_PURPOSE: Final = "lookup.criminal_investigation"
"""The purpose whose entries wait for the end of their case."""

_CHINA: Final = timezone(timedelta(hours=8))
_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "lookup.criminal_investigation": ("公安机关侦查刑事案件", "the police investigated a crime"),
        "lookup.missing_person": ("公安机关查找失踪人员", "the police looked for a missing person"),
        "lookup.identity_check": ("公安机关核实身份", "the police checked an identity"),
    }
)
_REQUEST: Final = "subject request"
_REPORT: Final = "subject report"
_ENTRY: Final = "look-up given"
_MAX_TEXT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One step of a look-up about a person, as the province that was asked keeps it; the officer is not in it.

    `fields`: the names of those handed over, or asked for when it was refused; empty for a search. `deferred_until`:
    when the case was to end, for a criminal investigation.
    """

    time: datetime
    asker: AgencyId
    purpose: str
    function: str
    basis: str
    case_id: str
    step: str
    verdict: Verdict
    fields: frozenset[str]
    deferred_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine:
    """One step, as the person is told of it. `given_by`: the province that holds the record."""

    time: datetime
    given_by: NodeName
    asker: AgencyId
    purpose: str
    function: str
    basis: str
    step: str
    verdict: Verdict
    fields: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectReport:
    """What may be told now, newest first; `next_shown` is the day when the first withheld entry will be shown."""

    lines: tuple[ReportLine, ...] = ()
    withheld_count: int = 0
    next_shown: date | None = None
    older_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRequest:
    """Whose report is asked for, and whether the clerk has checked that it is the person who asks."""

    citizen_number: str
    identity_checked: bool

    def __repr__(self) -> str:
        """Hides the person."""
        return f"SubjectRequest(identity_checked={self.identity_checked})"


def purpose_words(purpose: str) -> tuple[str, str]:
    """A purpose in plain Chinese and English words; one without words is shown as it is."""
    return _WORDS.get(purpose, (purpose, purpose))


def shown_from(entry: Given, cases: Mapping[tuple[NodeName, str], LookupCase]) -> datetime | None:
    """From when on the person is told; None when at once. A case that was closed early ends the wait early."""
    if entry.deferred_until is None:
        return None
    case = cases.get((entry.asker.node, entry.case_id))
    return entry.deferred_until if case is None else min(case.closes, entry.deferred_until)


def build_report(
    entries: Iterable[Given], *, given_by: NodeName, now: datetime, cases: Mapping[tuple[NodeName, str], LookupCase]
) -> SubjectReport:
    """Builds what this province tells a person now.

    Args:
        entries: All about that one person, in any order; what came after `now` is left out.
        given_by: This province.
        now: Aware, UTC.
        cases: The newest version known of each case, by the asking province and its number.
    """
    waits = [(entry, shown_from(entry, cases)) for entry in entries if entry.time <= now]
    withheld = [shown for _, shown in waits if shown is not None and shown > now]
    told = [entry for entry, shown in waits if shown is None or shown <= now]
    lines = _newest_first(_line(entry, given_by) for entry in told)
    return SubjectReport(
        lines=lines[:MAX_REPORT_LINES],
        withheld_count=len(withheld),
        next_shown=min(withheld).astimezone(_CHINA).date() if withheld else None,
        older_count=max(0, len(lines) - MAX_REPORT_LINES),
    )


def merge_reports(reports: Iterable[SubjectReport]) -> SubjectReport:
    """Joins what several provinces tell of one person, newest first."""
    parts = tuple(reports)
    days = [part.next_shown for part in parts if part.next_shown is not None]
    return SubjectReport(
        lines=_newest_first(line for part in parts for line in part.lines),
        withheld_count=sum(part.withheld_count for part in parts),
        next_shown=min(days, default=None),
        older_count=sum(part.older_count for part in parts),
    )


def encode_given(entry: Given) -> bytes:
    """Encodes an entry into its one canonical form."""
    value = _step_value(entry) | {"case_id": entry.case_id}
    if entry.deferred_until is not None:
        value["deferred_until"] = format_time(entry.deferred_until)
    return encode_canonical(value)


def decode_given(encoded: bytes) -> Given:
    """Decodes an entry of this province.

    Raises:
        MalformedError: JSON_*, AGENCY_ID and TIME.
    """
    value = decode_canonical(encoded, what=_ENTRY)
    expect_names({**value, "deferred_until": None}, Given.__slots__, what=_ENTRY)
    deferred = parse_time(read_text(value, "deferred_until", what=_ENTRY)) if "deferred_until" in value else None
    return Given(
        time=parse_time(_text(value, "time")),
        asker=parse_agency_id(_text(value, "asker")),
        purpose=_text(value, "purpose"),
        function=_text(value, "function"),
        basis=_text(value, "basis"),
        case_id=_text(value, "case_id"),
        step=_text(value, "step"),
        verdict=_verdict(value),
        fields=_names(value),
        deferred_until=deferred,
    )


def encode_subject_request(request: SubjectRequest) -> bytes:
    """Encodes a person's request into its one canonical form."""
    return encode_canonical({"citizen_number": request.citizen_number, "identity_checked": request.identity_checked})


def decode_subject_request(encoded: bytes, realm: Realm) -> SubjectRequest:
    """Decodes a person's request that another province passes on.

    Raises:
        MalformedError: JSON_* for its form; CITIZEN_NUMBER_* and REAL_NUMBER_IN_DEMO for the number.
    """
    value = decode_canonical(encoded, what=_REQUEST)
    expect_names(value, SubjectRequest.__slots__, what=_REQUEST)
    checked = value["identity_checked"]
    if not isinstance(checked, bool):
        raise MalformedError("JSON_TYPE", f"{_REQUEST}: expected 'identity_checked' to be true or false")
    number = read_text(value, "citizen_number", what=_REQUEST)
    return SubjectRequest(citizen_number=verify_citizen_number(number, realm), identity_checked=checked)


def encode_report(report: SubjectReport) -> bytes:
    """Encodes one province's report into its one canonical form."""
    value: dict[str, JsonValue] = {
        "lines": [_step_value(line) for line in report.lines],
        "withheld_count": report.withheld_count,
        "older_count": report.older_count,
    }
    if report.next_shown is not None:
        value["next_shown"] = report.next_shown.isoformat()
    return encode_canonical(value)


def decode_report(encoded: bytes, *, given_by: NodeName) -> SubjectReport:
    """Decodes what another province tells of a person.

    Raises:
        MalformedError: JSON_*, AGENCY_ID and TIME for its form; REPORT_SIZE for too many lines; REPORT_DATE when a day
            is missing, of another form, or told with nothing withheld.
    """
    value = decode_canonical(encoded, what=_REPORT)
    withheld = read_integer(value, "withheld_count", what=_REPORT)
    names = SubjectReport.__slots__ if withheld else ("lines", "withheld_count", "older_count")
    expect_names(value, names, what=_REPORT)
    found = value["lines"]
    if not isinstance(found, list):
        raise MalformedError("JSON_TYPE", f"{_REPORT}: expected 'lines' to be a list", field="lines")
    if len(found) > MAX_REPORT_LINES:
        raise MalformedError("REPORT_SIZE", f"expected at most {MAX_REPORT_LINES} lines, got {len(found)}")
    return SubjectReport(
        lines=tuple(_read_line(line, given_by) for line in found),
        withheld_count=withheld,
        next_shown=_read_day(read_text(value, "next_shown", what=_REPORT)) if withheld else None,
        older_count=read_integer(value, "older_count", what=_REPORT),
    )


def _line(entry: Given, given_by: NodeName) -> ReportLine:
    return ReportLine(
        time=entry.time,
        given_by=given_by,
        asker=entry.asker,
        purpose=entry.purpose,
        function=entry.function,
        basis=entry.basis,
        step=entry.step,
        verdict=entry.verdict,
        fields=entry.fields,
    )


def _newest_first(lines: Iterable[ReportLine]) -> tuple[ReportLine, ...]:
    return tuple(sorted(lines, key=lambda line: (line.time, line.given_by, line.step), reverse=True))


def _step_value(step: Given | ReportLine) -> dict[str, JsonValue]:
    return {
        "time": format_time(step.time),
        "asker": str(step.asker),
        "purpose": step.purpose,
        "function": step.function,
        "basis": step.basis,
        "step": step.step,
        "verdict": step.verdict.value,
        "fields": sorted(step.fields),
    }


def _read_line(value: JsonValue, given_by: NodeName) -> ReportLine:
    if not isinstance(value, dict):
        raise MalformedError("JSON_TYPE", f"{_REPORT}: expected every line to be an object", field="lines")
    expect_names({**value, "given_by": None}, ReportLine.__slots__, what=_REPORT)
    return ReportLine(
        time=parse_time(_text(value, "time")),
        given_by=given_by,
        asker=parse_agency_id(_text(value, "asker")),
        purpose=_text(value, "purpose"),
        function=_text(value, "function"),
        basis=_text(value, "basis"),
        step=_text(value, "step"),
        verdict=_verdict(value),
        fields=_names(value),
    )


def _text(value: Mapping[str, JsonValue], name: str) -> str:
    found = read_text(value, name, what=_REPORT)
    if len(found) > _MAX_TEXT or not found.isprintable():
        raise MalformedError("JSON_TYPE", f"{_REPORT}: expected {name!r} to be up to {_MAX_TEXT} printable characters")
    return found


def _verdict(value: Mapping[str, JsonValue]) -> Verdict:
    found = next((word for word in Verdict if word.value == value["verdict"]), None)
    if found is None:
        raise MalformedError("JSON_TYPE", f"{_REPORT}: expected 'verdict' to be allowed or refused", field="verdict")
    return found


def _names(value: Mapping[str, JsonValue]) -> frozenset[str]:
    found: JsonValue = value["fields"]
    items: Sequence[JsonValue] = found if isinstance(found, list) else ()
    texts = [text for text in items if isinstance(text, str) and len(text) <= _MAX_TEXT and text.isprintable()]
    if texts != found or texts != sorted(set(texts)):
        raise MalformedError("JSON_TYPE", f"{_REPORT}: expected 'fields' to be a sorted list of different names")
    return frozenset(texts)


def _read_day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise MalformedError("REPORT_DATE", "expected a day such as 2026-01-01", field="next_shown") from error
    if day.isoformat() != text:
        raise MalformedError("REPORT_DATE", "expected a day such as 2026-01-01", field="next_shown")
    return day
