"""Which field of a permit may be corrected by request, on whose word, and what the corrected permit is.

Rules kept: the issuing county owns the permit and corrects it; what the household place owns, the identity, is
corrected only on its word: filed at an office of the household county, or with a paper's digest. Status and the days
that the steps of the law set are changed by those steps only. A correction keeps what the law asks of a permit, so
that none is granted that could not have been issued. No message of an error shows a value of the record.
Sources: PIPL article 46 (个人信息保护法); 居住证暂行条例 articles 2, 9, 10, 11; owner by field: domain reference 2.13.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from federation.domain.calendar import add_months
from federation.domain.citizen_number import Sex, true_birth_date, verify_birth_realm, verify_citizen_number
from federation.domain.division import find_division
from federation.domain.permits import Ground, Permit, PermitStatus, permit_object, permit_of
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import Realm

IDENTITY_FIELDS: Final = frozenset(
    {"holder_name", "sex", "ethnicity", "birth_date", "citizen_number", "household_division", "household_address"}
)
"""What the household place owns: corrected on its word only."""

RECORD_FIELDS: Final = frozenset({"residence_address", "work_division", "ground", "residence_since"})
"""What the issuing county found out itself."""

NOT_BY_REQUEST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "urn": "the permit's name stays for ever",
        "version": "it counts the changes of the record",
        "status": "it follows from endorsing, suspending, restoring and revoking (article 10)",
        "residence_division": "a permit of another county is another permit (article 8)",
        "issuer": "it is the office that issued the card",
        "photo_digest": "another photo needs another card (article 11)",
        "issue_date": "it is the day on which the card was issued (article 9)",
        "counted_from": "it follows from the day of issue or of the late endorsement (article 10)",
        "endorsed_until": "it follows from the endorsements (article 10)",
    }
)
"""What nobody may correct by request, and why."""

_DATES: Final = frozenset({"birth_date", "residence_since"})
_DIVISIONS: Final = frozenset({"household_division", "work_division"})
_MAX_TEXT: Final = 200
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DIVISION: Final = re.compile(r"[0-9]{6}", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def verify_wanted(field: str, value: str, realm: Realm) -> str:
    """Returns a value of the field's form; refuses FIELD_NOT_CORRECTABLE, CORRECTION_FIELD, CORRECTION_VALUE."""
    if field in NOT_BY_REQUEST:
        raise RuleError("FIELD_NOT_CORRECTABLE", f"{field} is not corrected by request: {NOT_BY_REQUEST[field]}")
    if field not in IDENTITY_FIELDS | RECORD_FIELDS:
        known = ", ".join(sorted(IDENTITY_FIELDS | RECORD_FIELDS))
        raise MalformedError("CORRECTION_FIELD", f"expected one of {known}, got {field!r:.60}", field="field")
    if not 0 < len(value) <= _MAX_TEXT or _CONTROL.search(value) or value != value.strip():
        raise _wrong(field, f"1 to {_MAX_TEXT} characters without control characters or spaces around them")
    if field == "citizen_number":
        return verify_citizen_number(value, realm)
    if field in _DIVISIONS and not _DIVISION.fullmatch(value):
        raise _wrong(field, "six digits")
    if field == "sex" and value not in tuple(Sex):
        raise _wrong(field, f"one of {', '.join(Sex)}")
    if field == "ground" and value not in tuple(Ground):
        raise _wrong(field, f"one of {', '.join(Ground)}")
    if field in _DATES:
        day = _read_day(field, value)
        if field == "birth_date":
            verify_birth_realm(day, realm)
    return value


def verify_proven(field: str, *, household_division: str, filed_in: str, papers: int) -> None:
    """Checks that the household place has spoken where it owns the field.

    Args:
        field: The field to correct.
        household_division: The household county on the permit.
        filed_in: The county of the office that filed the request.
        papers: How many papers it names by their digests.

    Raises:
        RuleError: IDENTITY_UNPROVEN.
    """
    if field not in IDENTITY_FIELDS or papers or _today(filed_in) == _today(household_division):
        return
    raise RuleError(
        "IDENTITY_UNPROVEN",
        f"the household place owns {field}: file it in the household county, or name a paper by its digest",
    )


def value_of(permit: Permit, field: str) -> str | None:
    """What stands in a field that may be corrected, as text; None when it is empty."""
    found = permit_object(permit).get(field)
    return str(found) if found is not None else None


def amend_permit(permit: Permit, field: str, value: str, *, realm: Realm) -> Permit:
    """The next version of the permit, with one field corrected.

    Raises:
        MalformedError, RuleError: as `verify_wanted`; RuleError SAME_VALUE when it stands there already, PERMIT_ENDED,
            HOUSEHOLD_NOT_LEFT and RESIDENCE_TOO_SHORT (article 2), PERMIT_DATES for a birth after the application,
            NUMBER_DISAGREES when birth date or sex are not those of the citizen number.
    """
    verify_wanted(field, value, realm)
    if permit.status in {PermitStatus.REVOKED, PermitStatus.REPLACED}:
        raise RuleError("PERMIT_ENDED", f"the permit is {permit.status}: no further step is possible")
    if value_of(permit, field) == value:
        raise RuleError("SAME_VALUE", f"the record says so already: nothing to correct in {field}")
    amended = permit_of({**permit_object(permit), field: value, "version": permit.version + 1})
    _verify_lawful(amended, field)
    return amended


def _verify_lawful(permit: Permit, field: str) -> None:
    holder, number = permit.holder, permit.holder.citizen_number
    if field == "household_division" and _today(holder.household_division) == _today(permit.residence_division):
        raise RuleError("HOUSEHOLD_NOT_LEFT", "article 2: expected a household outside the county of residence")
    if field == "residence_since" and add_months(permit.residence_since, 6) > permit.accept_date:
        raise RuleError("RESIDENCE_TOO_SHORT", "article 2: expected half a year of residence at acceptance")
    if true_birth_date(holder.birth_date) > permit.apply_date:
        raise RuleError("PERMIT_DATES", "expected a birth before the application")
    if field == "birth_date" and number[6:14] != holder.birth_date.isoformat().replace("-", ""):
        raise RuleError("NUMBER_DISAGREES", "expected the birth date of the citizen number; correct the number first")
    if field == "sex" and holder.sex is not (Sex.MALE if int(number[16]) % 2 else Sex.FEMALE):
        raise RuleError("NUMBER_DISAGREES", "expected the sex of the citizen number; correct the number first")


def _today(code: str) -> str:
    division = find_division(code)
    return division.today if division else code


def _read_day(field: str, value: str) -> date:
    try:
        if _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError as error:
        raise _wrong(field, "a day such as 2026-01-01") from error
    raise _wrong(field, "a day such as 2026-01-01")


def _wrong(field: str, expected: str) -> MalformedError:
    return MalformedError("CORRECTION_VALUE", f"expected {field} to be {expected}", field="value")
