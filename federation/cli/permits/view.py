"""How permits, rulings and recognitions are shown: for a clerk in lines with Chinese labels, for a program as JSON.

Rules kept: the citizen number and the day of birth are masked in both forms unless the clerk asks for all of it: first
six and last two characters tell two people apart, and neither with the year of birth gives the number away. A refusal
names the deciding policy, in both languages, what would make the request lawful, and the agreement that decided.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import TYPE_CHECKING

from federation.cli.output import JsonOut
from federation.cli.permits import words
from federation.domain.division import format_division_path
from federation.domain.permit import PermitStatus, derive_status
from federation.domain.recognition import SERVICES, Recognition

if TYPE_CHECKING:
    from federation.domain.permit_item import PermitItem
    from federation.wire.values import RecognitionLink, Ruling

CHINA = timezone(timedelta(hours=8))
_DIVISIONS = ("residence_division", "household_division", "work_division")
_COLUMNS = ("urn", "status", "holder_name", "household_division", "endorsed_until")


def china_today() -> date:
    """The day at the border, in China's one time zone."""
    return datetime.now(CHINA).date()


def mask_number(number: str) -> str:
    """Masks a citizen number: county and last two characters stay."""
    return f"{number[:6]}{'*' * (len(number) - 8)}{number[-2:]}"


def mask_day(day: date) -> str:
    """Masks a day of birth: the year stays."""
    return f"{day.year:04d}-**-**"


def permit_object(item: PermitItem, *, full: bool, today: date) -> dict[str, JsonOut]:
    """A permit as JSON: the fields that were released, by name, and as `standing` what its status means today."""
    found: dict[str, JsonOut] = {"standing": standing(item, today)}
    for name in words.FIELDS:
        value = getattr(item, name, None)
        if value is None:
            continue
        if name == "citizen_number" and not full:
            found[name] = mask_number(value)
        elif name == "birth_date" and not full:
            found[name] = mask_day(value)
        else:
            found[name] = value.isoformat() if isinstance(value, date) else value
    return found


def ruling_object(ruling: Ruling) -> dict[str, JsonOut]:
    """What policy said, as JSON."""
    return {
        "verdict": ruling.verdict.value,
        "policies": list(ruling.policies),
        "title_zh": ruling.title_zh,
        "title_en": ruling.title_en,
        "reason": ruling.reason.value,
        "agreement_version": ruling.agreement_version,
        "explanation_zh": ruling.explanation_zh.splitlines(),
        "explanation_en": ruling.explanation_en.splitlines(),
    }


def recognition_object(recognition: Recognition) -> dict[str, JsonOut]:
    """What a recognition came to, as JSON."""
    return {
        "outcome": recognition.outcome.value,
        "reason": recognition.reason.value,
        "services": [service.value for service in recognition.services],
        "counted_days": recognition.counted_days,
    }


def permit_lines(item: PermitItem, *, full: bool, today: date) -> Iterable[str]:
    """A permit for a clerk, one field a line."""
    shown = permit_object(item, full=full, today=today)
    shown["status"] = shown.pop("standing")
    for name, value in shown.items():
        yield field_line(name, value)


def field_line(name: str, value: JsonOut) -> str:
    """One field of a permit for a clerk: its Chinese label, its name, its value with what that means."""
    return _labelled(words.FIELDS[name], name, _told(name, value))


def link_object(link: RecognitionLink) -> dict[str, JsonOut]:
    """A recognition of a permit as JSON: who decided what, in which mode, when."""
    return {
        "mode": link.mode,
        "outcome": link.outcome,
        "reason": link.reason,
        "agency": str(link.agency),
        "decided_on": link.decided_on.isoformat(),
    }


def link_lines(links: Sequence[RecognitionLink]) -> Iterable[str]:
    """What the other side decided about a permit, or this side about the other's, one decision a line."""
    for link in links:
        outcome = _word(words.OUTCOMES[link.outcome], link.outcome)
        yield _labelled("互认", "recognised", f"{link.decided_on} {link.agency} {link.mode}: {outcome}")


def ruling_lines(ruling: Ruling) -> Iterable[str]:
    """A refusal for a clerk: which policy, why, and what would make it lawful."""
    version = ruling.agreement_version
    yield f"拒绝 refused: {', '.join(ruling.policies)}  (协议第 {version} 版 agreement version {version})"
    yield f"  {ruling.title_zh} | {ruling.title_en}"
    ways = list(zip(ruling.explanation_zh.splitlines(), ruling.explanation_en.splitlines(), strict=False))
    if ways:
        yield "如何才合法 what would make it lawful:"
    for chinese, english in ways:
        yield f"  - {chinese}"
        yield f"    {english}"


def recognition_lines(recognition: Recognition) -> Iterable[str]:
    """What a recognition came to, for a clerk."""
    yield _labelled("互认结果", "outcome", _word(words.OUTCOMES[recognition.outcome], recognition.outcome))
    yield _labelled("理由", "reason", _word(words.REASONS[recognition.reason], recognition.reason))
    if recognition.counted_days:
        yield _labelled("计入天数", "counted_days", str(recognition.counted_days))
    for service in recognition.services:
        yield _labelled("可办事项", "service", _word(SERVICES[service], service))


def list_lines(items: Sequence[PermitItem], *, today: date) -> Iterable[str]:
    """Permits for a clerk, one a line under a heading; nothing is cut or wrapped."""
    rows = [_row(item, today) for item in items]
    heads = [f"{words.FIELDS[name]} {name}" for name in _COLUMNS]
    widths = [max(width_of(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        yield "  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()


def standing(item: PermitItem, today: date) -> PermitStatus:
    """Where a permit stands on a day, as far as the released fields tell."""
    return derive_status(item.status, item.endorsed_until, today=today) if item.endorsed_until else item.status


def width_of(text: str) -> int:
    """How many columns a text takes on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def pad(text: str, width: int) -> str:
    """Fills a text up with spaces to a width in columns."""
    return text + " " * (width - width_of(text))


def _row(item: PermitItem, today: date) -> list[str]:
    household = item.household_division
    place = f"{household} {format_division_path(household)}".rstrip() if household else "-"
    stands = standing(item, today)
    until = item.endorsed_until.isoformat() if item.endorsed_until else "-"
    return [item.urn, _word(words.STATUSES[stands], stands), item.holder_name or "-", place, until]


def _told(name: str, value: JsonOut) -> str:
    text = str(value)
    if name in _DIVISIONS:
        return f"{text} {format_division_path(text)}".rstrip()
    tables = {"status": words.STATUSES, "sex": words.SEXES, "ground": words.GROUNDS}
    chinese = next((known for word, known in tables.get(name, {}).items() if word == text), None)
    return f"{chinese} {text}" if chinese else text


def _word(chinese: str, word: StrEnum) -> str:
    return f"{chinese} {word}"


def _labelled(chinese: str, name: str, value: str) -> str:
    return f"{pad(chinese, 14)}{pad(name, 20)}{value}"
