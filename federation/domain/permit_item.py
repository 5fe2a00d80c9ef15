"""The permit on the wire: one strict JSON item with exactly the fields that this recipient may have.

Rules kept: flat snake_case names; `urn`, `version`, `status` and `residence_division` are always there, every other
field only when it was projected; an unknown or repeated name, another type, a null, or bytes that are not canonical
are refused as a whole; the realm guard holds for every birth date and citizen number. No message of an error shows
a value. Trusts nothing: the bytes come from another province. Sources: 居住证暂行条例 article 4 (the fields of the
card) and article 7 (sharing between regions); canonical form as in `protocol.canonical_json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

from federation.domain.citizen_number import Sex, verify_birth_realm, verify_citizen_number
from federation.domain.permit import Ground, Permit, PermitStatus, PermitUrn, parse_permit_urn
from federation.protocol.canonical_json import JsonValue, decode_canonical, encode_canonical
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm

ALWAYS_FIELDS: Final = frozenset({"urn", "version", "status", "residence_division"})
"""What every item holds: without these no replica can be kept."""

PERMIT_FIELDS: Final = (
    "urn", "version", "status", "residence_division",
    "issuer", "residence_address", "household_division", "household_address", "holder_name", "sex", "ethnicity",
    "birth_date", "citizen_number", "photo_digest", "ground", "residence_since", "issue_date", "counted_from",
    "endorsed_until", "work_division",
)  # fmt: skip
"""Every field that a permit item may hold."""

MAX_ITEM_BYTES: Final = 4096
"""An item is refused before parsing when it is longer."""

_MAX_TEXT: Final = 200
_WHAT: Final = "permit item"
_KNOWN: Final = frozenset(PERMIT_FIELDS)
_DATE_FIELDS: Final = ("birth_date", "residence_since", "issue_date", "counted_from", "endorsed_until")
_TEXT_FIELDS: Final = tuple(sorted(_KNOWN - {"version", *_DATE_FIELDS}))
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_HEX64: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_STATUSES: Final = {str(status): status for status in PermitStatus if status is not PermitStatus.ENDORSEMENT_OPEN}
_SEXES: Final = {str(sex): sex for sex in Sex}
_GROUNDS: Final = {str(ground): ground for ground in Ground}


def _plain_pattern() -> re.Pattern[str]:
    """The one spelling of an item without escapes: names sorted, each once, every value in its form."""
    text, day, county = r'[^"\\\x00-\x1f\x7f]{1,200}', "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{6}"
    forms = {
        **dict.fromkeys(_TEXT_FIELDS, text),
        **dict.fromkeys(_DATE_FIELDS, day),
        **dict.fromkeys(("residence_division", "household_division", "work_division"), county),
        "citizen_number": "[0-9]{17}[0-9X]",
        "photo_digest": "[0-9a-f]{64}",
        "urn": "urn:permit:[0-9]{6}:[0-9]{4}:[0-9A-Z]{1,20}",
        "sex": "|".join(_SEXES),
        "ground": "|".join(_GROUNDS),
        "status": "|".join(_STATUSES),
    }
    before = "".join(
        f'"{name}":"(?P<{name}>{forms[name]})",'
        if name in ALWAYS_FIELDS
        else f'(?:"{name}":"(?P<{name}>{forms[name]})",)?'
        for name in sorted(forms)
        if name < "version"
    )
    version = '"version":(?P<version>[1-9][0-9]{0,14})'
    return re.compile(f'\\{{{before}{version}(?:,"work_division":"(?P<work_division>{county})")?\\}}')


_PLAIN: Final = _plain_pattern()

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitItem:
    """A projection of one permit version; a field that was not projected, or that the permit lacks, is None."""

    urn: PermitUrn
    version: int
    status: PermitStatus
    residence_division: str
    issuer: str | None = None
    residence_address: str | None = None
    household_division: str | None = None
    household_address: str | None = None
    holder_name: str | None = None
    sex: Sex | None = None
    ethnicity: str | None = None
    birth_date: date | None = None
    citizen_number: str | None = None
    photo_digest: str | None = None
    ground: Ground | None = None
    residence_since: date | None = None
    issue_date: date | None = None
    counted_from: date | None = None
    endorsed_until: date | None = None
    work_division: str | None = None

    def __repr__(self) -> str:
        """Hides the person, so that a log line or a traceback names nobody."""
        return f"PermitItem({self.urn}, version={self.version})"


def project_permit(permit: Permit, fields: frozenset[str]) -> PermitItem:
    """Projects a permit onto the given fields; the four that are always there need not be named.

    Raises:
        MalformedError: PERMIT_FIELD when a name is none of `PERMIT_FIELDS`.
    """
    if not fields <= _KNOWN:
        raise MalformedError("PERMIT_FIELD", f"no such field of a permit: {min(fields - _KNOWN)!r:.60}")
    holder = permit.holder
    return PermitItem(
        urn=permit.urn,
        version=permit.version,
        status=permit.status,
        residence_division=permit.residence_division,
        issuer=permit.issuer if "issuer" in fields else None,
        residence_address=permit.residence_address if "residence_address" in fields else None,
        household_division=holder.household_division if "household_division" in fields else None,
        household_address=holder.household_address if "household_address" in fields else None,
        holder_name=holder.name if "holder_name" in fields else None,
        sex=holder.sex if "sex" in fields else None,
        ethnicity=holder.ethnicity if "ethnicity" in fields else None,
        birth_date=holder.birth_date if "birth_date" in fields else None,
        citizen_number=holder.citizen_number if "citizen_number" in fields else None,
        photo_digest=holder.photo_digest if "photo_digest" in fields else None,
        ground=permit.ground if "ground" in fields else None,
        residence_since=permit.residence_since if "residence_since" in fields else None,
        issue_date=permit.issue_date if "issue_date" in fields else None,
        counted_from=permit.counted_from if "counted_from" in fields else None,
        endorsed_until=permit.endorsed_until if "endorsed_until" in fields else None,
        work_division=permit.work_division if "work_division" in fields else None,
    )


def keep_fields(item: PermitItem, fields: frozenset[str]) -> PermitItem:
    """Drops every field of a copy that is not among the given ones; the four that are always there stay."""
    kept = {name: getattr(item, name) for name in PERMIT_FIELDS if name in fields or name in ALWAYS_FIELDS}
    return PermitItem(**kept)


def encode_permit_item(item: PermitItem) -> bytes:
    """Encodes an item into its one canonical form; what is None is left out."""
    value: dict[str, JsonValue] = {"version": item.version}
    for name in _TEXT_FIELDS:
        text: str | None = getattr(item, name)
        if text is not None:
            value[name] = text
    for name in _DATE_FIELDS:
        day: date | None = getattr(item, name)
        if day is not None:
            value[name] = day.isoformat()
    return encode_canonical(value)


def decode_permit_item(encoded: bytes, realm: Realm) -> PermitItem:
    """Decodes an item that came from another province.

    Raises:
        MalformedError: ITEM_TOO_LONG; JSON_* for the form; PERMIT_FIELD for an unknown or missing name; PERMIT_URN;
            PERMIT_VALUE when a field holds something else than its form; CITIZEN_NUMBER_* and REAL_NUMBER_IN_DEMO.
    """
    if len(encoded) > MAX_ITEM_BYTES:
        raise MalformedError("ITEM_TOO_LONG", f"{_WHAT}: expected at most {MAX_ITEM_BYTES} bytes, got {len(encoded)}")
    item = _find_plain_item(encoded) or _decode_any_item(encoded)
    if item.birth_date is not None:
        verify_birth_realm(item.birth_date, realm)
    if item.citizen_number is not None:
        verify_citizen_number(item.citizen_number, realm)
    return item


def _find_plain_item(encoded: bytes) -> PermitItem | None:
    """Finds the item in bytes of the plain spelling, a third of the work of the general way; None is no refusal yet.

    An item without escapes has exactly one canonical spelling, so one pattern decides form, order and repetition. What
    it does not match goes the general way, which takes it after all or names the fault.
    """
    try:
        match = _PLAIN.fullmatch(encoded.decode())
        if match is None:
            return None
        text = match.group
        born, since, issued = text("birth_date"), text("residence_since"), text("issue_date")
        counted, until = text("counted_from"), text("endorsed_until")
        sex, ground = text("sex"), text("ground")
        return PermitItem(
            urn=PermitUrn(text("urn")),
            version=int(text("version")),
            status=_STATUSES[text("status")],
            residence_division=text("residence_division"),
            issuer=text("issuer"),
            residence_address=text("residence_address"),
            household_division=text("household_division"),
            household_address=text("household_address"),
            holder_name=text("holder_name"),
            sex=_SEXES[sex] if sex else None,
            ethnicity=text("ethnicity"),
            birth_date=date.fromisoformat(born) if born else None,
            citizen_number=text("citizen_number"),
            photo_digest=text("photo_digest"),
            ground=_GROUNDS[ground] if ground else None,
            residence_since=date.fromisoformat(since) if since else None,
            issue_date=date.fromisoformat(issued) if issued else None,
            counted_from=date.fromisoformat(counted) if counted else None,
            endorsed_until=date.fromisoformat(until) if until else None,
            work_division=text("work_division"),
        )
    except ValueError:
        return None


def _decode_any_item(encoded: bytes) -> PermitItem:
    value = decode_canonical(encoded, what=_WHAT)
    _verify_names(value)
    get = value.get
    return PermitItem(
        urn=parse_permit_urn(_required(_text(get("urn"), "urn"), "urn")),
        version=_version(get("version")),
        status=_required(_choice(get("status"), "status", _STATUSES), "status"),
        residence_division=_required(_division(get("residence_division"), "residence_division"), "residence_division"),
        issuer=_text(get("issuer"), "issuer"),
        residence_address=_text(get("residence_address"), "residence_address"),
        household_division=_division(get("household_division"), "household_division"),
        household_address=_text(get("household_address"), "household_address"),
        holder_name=_text(get("holder_name"), "holder_name"),
        sex=_choice(get("sex"), "sex", _SEXES),
        ethnicity=_text(get("ethnicity"), "ethnicity"),
        birth_date=_date(get("birth_date"), "birth_date"),
        citizen_number=_text(get("citizen_number"), "citizen_number"),
        photo_digest=_digest(get("photo_digest"), "photo_digest"),
        ground=_choice(get("ground"), "ground", _GROUNDS),
        residence_since=_date(get("residence_since"), "residence_since"),
        issue_date=_date(get("issue_date"), "issue_date"),
        counted_from=_date(get("counted_from"), "counted_from"),
        endorsed_until=_date(get("endorsed_until"), "endorsed_until"),
        work_division=_division(get("work_division"), "work_division"),
    )


def _verify_names(value: Mapping[str, JsonValue]) -> None:
    names = value.keys()
    if not names <= _KNOWN:
        raise MalformedError("PERMIT_FIELD", f"{_WHAT}: did not expect the name {min(names - _KNOWN)!r:.60}")
    if not names >= ALWAYS_FIELDS:
        raise MalformedError("PERMIT_FIELD", f"{_WHAT}: expected the name {min(ALWAYS_FIELDS - names)!r}")
    if None in value.values():
        raise MalformedError("PERMIT_VALUE", f"{_WHAT}: expected an absent name to be left out, got null")


def _required(value: _Value | None, name: str) -> _Value:
    if value is None:
        raise _wrong(name, "a value")
    return value


def _version(value: JsonValue) -> int:
    if type(value) is not int or value < 1:
        raise _wrong("version", "an integer from 1 on")
    return value


def _text(value: JsonValue, name: str) -> str | None:
    if value is None:
        return None
    if type(value) is not str or not 0 < len(value) <= _MAX_TEXT or _CONTROL.search(value):
        raise _wrong(name, f"1 to {_MAX_TEXT} characters without control characters")
    return value


def _division(value: JsonValue, name: str) -> str | None:
    if value is None:
        return None
    if type(value) is not str or len(value) != 6 or not value.isascii() or not value.isdigit():
        raise _wrong(name, "six digits")
    return value


def _date(value: JsonValue, name: str) -> date | None:
    if value is None:
        return None
    try:
        # Python takes 20260101 and 2026-W01-1, too: the length and the hyphens leave one form only.
        if type(value) is not str or len(value) != 10 or value[4] != "-" or value[7] != "-":
            raise _wrong(name, "a date such as 2026-01-01")
        return date.fromisoformat(value)
    except ValueError as error:
        raise _wrong(name, "a date such as 2026-01-01") from error


def _digest(value: JsonValue, name: str) -> str | None:
    if value is None:
        return None
    if type(value) is not str or not _HEX64.fullmatch(value):
        raise _wrong(name, "64 lower-case hex digits")
    return value


def _choice(value: JsonValue, name: str, choices: Mapping[str, _Value]) -> _Value | None:
    if value is None:
        return None
    found = choices.get(value) if type(value) is str else None
    if found is None:
        raise _wrong(name, f"one of {', '.join(choices)}")
    return found


def _wrong(name: str, expected: str) -> MalformedError:
    return MalformedError("PERMIT_VALUE", f"{_WHAT}: expected {name!r} to be {expected}", field=name)
