"""An application for a permit, read from plain texts: options of a command, a row of a file. One reader for all.

Rules kept: every wrong field is told at once, by name and with what was expected, never with the value; English names
or their Chinese ones; dates as 2026-01-05 or 2026/1/5. What the citizen number already says (day of birth, sex) may be
left out. Form only: what the law and the realm say is the node's to judge, or that of `judge_locally`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from federation.cli.permits import words
from federation.domain.citizen_number import Sex, parse_citizen_number
from federation.domain.division import find_division
from federation.domain.permit import (
    Ground,
    Holder,
    Paper,
    PermitApplication,
    PermitUrn,
    format_permit_urn,
    parse_permit_urn,
    register_permit,
)
from federation.protocol.errors import MalformedError

if TYPE_CHECKING:
    from federation.protocol.ids import Realm
    from federation.wire.values import PermitImport

APPLICATION_FIELDS: Final = (
    "holder_name", "sex", "ethnicity", "birth_date", "citizen_number", "photo_digest", "household_division",
    "household_address", "residence_division", "residence_address", "work_division", "issuer", "ground",
    "residence_since", "apply_date", "accept_date", "papers", "guardian", "sealed",
)  # fmt: skip
IMPORT_FIELDS: Final = (*APPLICATION_FIELDS, "issue_date", "urn")
"""What a row of an import may hold; the last two are of a permit that was issued before."""

OPTIONAL_FIELDS: Final = frozenset(
    {"sex", "birth_date", "photo_digest", "work_division", "guardian", "sealed", "issue_date", "urn"}
)
"""What may be left out."""

_NAMES: Final = {words.FIELDS[name]: name for name in IMPORT_FIELDS} | {name: name for name in IMPORT_FIELDS}
_DAY = re.compile(r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})", re.ASCII)
_NUMBER = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_DIVISION = re.compile(r"[0-9]{6}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BETWEEN_PAPERS = re.compile(r"[;,|、;,\s]+")
_YES: Final = frozenset({"true", "yes", "1", "是", "y"})
_NO: Final = frozenset({"false", "no", "0", "否", "n", ""})
_NO_DAY: Final = date(1, 1, 1)

_Word = TypeVar("_Word", bound=StrEnum)
_Instead = TypeVar("_Instead")


def field_of(name: str) -> str | None:
    """The field that a column name, English or Chinese, stands for; None when it is none."""
    return _NAMES.get(name.strip().strip("\ufeff"))


def parse_application(texts: Mapping[str, str]) -> PermitApplication:
    """Parses an application from texts by field name; a field that is absent is the empty text.

    Raises:
        MalformedError: APPLICATION naming every field that is missing or of another form.
    """
    reading = _Reading(texts)
    application = reading.application()
    reading.finish()
    return application


def parse_import(texts: Mapping[str, str]) -> PermitImport:
    """Parses a row of an import: an application, and the day of issue and name of a permit that was issued before.

    Raises:
        MalformedError: APPLICATION naming every field that is missing or of another form.
    """
    from federation.wire.values import PermitImport

    reading = _Reading(texts)
    row = PermitImport(
        application=reading.application(),
        issue_date=reading.day("issue_date") if texts.get("issue_date") else None,
        urn=reading.urn(),
    )
    reading.finish()
    return row


def judge_locally(row: PermitImport, *, realm: Realm, today: date) -> None:
    """Judges a row as its node would, as far as that needs no node: citizen number, realm, and the law.

    Raises:
        MalformedError, RuleError: as `parse_citizen_number` and `register_permit`.
    """
    application, issued = row.application, row.issue_date or today
    parse_citizen_number(application.holder.citizen_number, realm, today=today)
    if issued > today:
        raise MalformedError("ISSUE_DATE", f"expected a day of issue up to {today}, got {issued}")
    urn = row.urn or format_permit_urn(application.residence_division, issued.year, serial="0")
    register_permit(application, urn, today=issued)


def find_doubts(application: PermitApplication) -> Iterator[str]:
    """Finds what a person should look at; none of it is wrong for certain."""
    holder = application.holder
    divisions = {
        "household_division": holder.household_division,
        "residence_division": application.residence_division,
        "work_division": application.work_division,
    }
    for name, code in divisions.items():
        if code is not None and find_division(code) is None:
            yield f"{name} {code}: {words.FIELDS[name]}不在已知的边界县之列 | not one of the border counties known here"
    if holder.birth_date.isoformat().replace("-", "") != holder.citizen_number[6:14]:
        yield "birth_date: 出生日期与号码不符,请核对 | not the one in the citizen number"
    if (int(holder.citizen_number[16]) % 2 == 1) is not (holder.sex is Sex.MALE):
        yield "sex: 性别与号码不符,请核对 | not the one in the citizen number"


@dataclass
class _Reading:
    """One reading of one row: what was wrong so far is kept, and told at the end."""

    texts: Mapping[str, str]
    problems: dict[str, str] = field(default_factory=dict)

    def application(self) -> PermitApplication:
        number = self._number()
        return PermitApplication(
            holder=Holder(
                name=self._text("holder_name", longest=100),
                sex=self._sex(number),
                ethnicity=self._text("ethnicity", longest=30),
                birth_date=self._birth_date(number),
                citizen_number=number,
                photo_digest=self._digest(),
                household_division=self._division("household_division"),
                household_address=self._text("household_address", longest=200),
            ),
            residence_division=self._division("residence_division"),
            residence_address=self._text("residence_address", longest=200),
            work_division=self._division("work_division") if self._given("work_division") else None,
            issuer=self._text("issuer", longest=100),
            ground=self._word("ground", words.GROUNDS) or Ground.JOB,
            residence_since=self.day("residence_since"),
            apply_date=self.day("apply_date"),
            accept_date=self.day("accept_date"),
            papers=self._papers(),
            guardian=self._yes("guardian"),
            sealed=self._yes("sealed"),
        )

    def day(self, name: str) -> date:
        """A day, or any day when it is none and that was noted."""
        match = _DAY.fullmatch(self._given(name))
        if match is None:
            return self._wrong(name, "a day such as 2026-01-05", _NO_DAY)
        try:
            return date(int(match[1]), int(match[3]), int(match[4]))
        except ValueError:
            return self._wrong(name, "a day of the calendar", _NO_DAY)

    def urn(self) -> PermitUrn | None:
        """The name of a permit that was issued before."""
        text = self._given("urn")
        try:
            return parse_permit_urn(text) if text else None
        except MalformedError:
            return self._wrong("urn", "a permit such as urn:permit:330822:2026:000123", None)

    def finish(self) -> None:
        """Tells all that was wrong.

        Raises:
            MalformedError: APPLICATION.
        """
        if self.problems:
            told = "; ".join(f"{name} ({words.FIELDS[name]}): {what}" for name, what in self.problems.items())
            raise MalformedError("APPLICATION", told, field=", ".join(self.problems))

    def _given(self, name: str) -> str:
        return self.texts.get(name, "").strip()

    def _text(self, name: str, *, longest: int) -> str:
        text = self._given(name)
        if not 0 < len(text) <= longest or _CONTROL.search(text):
            return self._wrong(name, f"1 to {longest} characters", "")
        return text

    def _number(self) -> str:
        text = self._given("citizen_number").upper()
        if not _NUMBER.fullmatch(text):
            return self._wrong("citizen_number", "17 digits and a digit or X", "")
        return text

    def _division(self, name: str) -> str:
        text = self._given(name)
        return text if _DIVISION.fullmatch(text) else self._wrong(name, "six digits", "")

    def _digest(self) -> str | None:
        text = self._given("photo_digest").lower()
        if not text or _DIGEST.fullmatch(text):
            return text or None
        return self._wrong("photo_digest", "a SHA-256 in 64 hex digits", None)

    def _birth_date(self, number: str) -> date:
        if self._given("birth_date") or not number:
            return self.day("birth_date")
        try:
            return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
        except ValueError:
            return self._wrong("citizen_number", "a possible day of birth in it", _NO_DAY)

    def _sex(self, number: str) -> Sex:
        if self._given("sex") or not number:
            return self._word("sex", words.SEXES) or Sex.MALE
        return Sex.MALE if int(number[16]) % 2 else Sex.FEMALE

    def _word(self, name: str, known: Mapping[_Word, str]) -> _Word | None:
        text = self._given(name)
        found = next((word for word, chinese in known.items() if text in {word.value, chinese}), None)
        if found is None:
            return self._wrong(name, f"one of {', '.join(known)}", None)
        return found

    def _papers(self) -> frozenset[Paper]:
        found = set()
        for text in filter(None, _BETWEEN_PAPERS.split(self._given("papers"))):
            paper = next((paper for paper, chinese in words.PAPERS.items() if text in {paper.value, chinese}), None)
            if paper is None:
                return self._wrong("papers", f"some of {', '.join(Paper)}", frozenset[Paper]())
            found.add(paper)
        return frozenset(found)

    def _yes(self, name: str) -> bool:
        text = self._given(name).lower()
        return text in _YES or (text not in _NO and self._wrong(name, "true or false", False))

    def _wrong(self, name: str, expected: str, instead: _Instead) -> _Instead:
        self.problems.setdefault(name, f"expected {expected}" if self._given(name) else "missing")
        return instead
