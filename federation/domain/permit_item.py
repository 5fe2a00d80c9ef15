"""The permit on the wire: one strict JSON item with exactly the fields that this recipient may have.

Rules kept: flat snake_case names; `urn`, `version`, `status` and `residence_division` are always there, every other field
only when it was projected; an unknown or repeated name, another type, a null, or bytes that are not canonical are refused
as a whole; the realm guard holds for every birth date and citizen number. No message of an error shows a value.
Trusts nothing: the bytes come from another province. Sources: 居住证暂行条例 article 4 (the fields of the card) and article 7
(sharing between regions); canonical form as in `protocol.canonical_json`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

from federation.domain.citizen_number import Sex, parse_citizen_number, verify_birth_realm
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
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_HEX64: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_STATUSES: Final = {
    str(status): status for status in PermitStatus if status is not PermitStatus.ENDORSEMENT_OPEN
}
_SEXES: Final = {str(sex): sex for sex in Sex}
_GROUNDS: Final = {str(ground): ground for ground in Ground}

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


def encode_permit_item(item: PermitItem) -> bytes:
    """Encodes an item into its one canonical form; what is None is left out."""
    value: dict[str, JsonValue] = {}
    for name in PERMIT_FIELDS:
        field: str | int | date | None = getattr(item, name)
        if field is not None:
            value[name] = field.isoformat() if isinstance(field, date) else field
    return encode_canonical(value)


def decode_permit_item(encoded: bytes, realm: Realm) -> PermitItem:
    """Decodes an item that came from another province.

    Raises:
        MalformedError: ITEM_TOO_LONG; JSON_* for the form; PERMIT_FIELD for an unknown or missing name; PERMIT_URN;
            PERMIT_VALUE when a field holds something else than its form; CITIZEN_NUMBER_* and REAL_NUMBER_IN_DEMO.
    """
    if len(encoded) > MAX_ITEM_BYTES:
        raise MalformedError("ITEM_TOO_LONG", f"{_WHAT}: expected at most {MAX_ITEM_BYTES} bytes, got {len(encoded)}")
    value = decode_canonical(encoded, what=_WHAT)
    if not value.keys() <= _KNOWN:
        raise MalformedError("PERMIT_FIELD", f"{_WHAT}: did not expect the name {min(value.keys() - _KNOWN)!r:.60}")
    if not value.keys() >= ALWAYS_FIELDS:
        raise MalformedError("PERMIT_FIELD", f"{_WHAT}: expected the name {min(ALWAYS_FIELDS - value.keys())!r}")
    item = PermitItem(
        urn=parse_permit_urn(_text(value["urn"], "urn")),
        version=_version(value["version"]),
        status=_choice(value["status"], "status", _STATUSES),
        residence_division=_division(value["residence_division"], "residence_division"),
        issuer=_optional(value, "issuer", _text),
        residence_address=_optional(value, "residence_address", _text),
        household_division=_optional(value, "household_division", _division),
        household_address=_optional(value, "household_address", _text),
        holder_name=_optional(value, "holder_name", _text),
        sex=_optional(value, "sex", _sex),
        ethnicity=_optional(value, "ethnicity", _text),
        birth_date=_optional(value, "birth_date", _date),
        citizen_number=_optional(value, "citizen_number", _text),
        photo_digest=_optional(value, "photo_digest", _digest),
        ground=_optional(value, "ground", _ground),
        residence_since=_optional(value, "residence_since", _date),
        issue_date=_optional(value, "issue_date", _date),
        counted_from=_optional(value, "counted_from", _date),
        endorsed_until=_optional(value, "endorsed_until", _date),
        work_division=_optional(value, "work_division", _division),
    )
    _verify_realm(item, realm)
    return item
