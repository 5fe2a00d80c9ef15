"""The permit on the wire: one strict JSON item with exactly the fields that this recipient may have.

Rules kept: flat snake_case names; `urn`, `version`, `status` and `residence_division` are always there, every other
field only when it was projected; an unknown or repeated name, another type, a null, or bytes that are not canonical
are refused as a whole; the realm guard holds for every birth date and citizen number. No message of an error shows
a value. Trusts nothing: the bytes come from another province. Sources: 居住证暂行条例 article 4 (the fields of the
card) and article 7 (sharing between regions); canonical form as in `protocol.canonical_json`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar, Final

from federation.domain.citizen_number import Sex, verify_birth_realm, verify_citizen_number
from federation.domain.permit import Ground, Permit, PermitStatus, PermitUrn
from federation.protocol.errors import MalformedError
from federation.protocol.fields import checked, matching
from federation.protocol.form import County, Item, Positive, Text, decode, encode
from federation.protocol.ids import Realm

ALWAYS_FIELDS: Final = frozenset({"urn", "version", "status", "residence_division"})
"""What every item holds: without these no replica can be kept."""

MAX_ITEM_BYTES: Final = 4096
"""An item is refused before parsing when it is longer."""

_STORED: Final = tuple(status for status in PermitStatus if status is not PermitStatus.ENDORSEMENT_OPEN)


class PermitItem(Item, frozen=True, kw_only=True):
    """A projection of one permit version; a field that was not projected, or that the permit lacks, is None."""

    WHAT: ClassVar[str] = "permit item"
    REASON: ClassVar[str] = "PERMIT_VALUE"
    TYPE_REASON: ClassVar[str] = "PERMIT_VALUE"
    MISSING_REASON: ClassVar[str] = "PERMIT_FIELD"
    UNKNOWN_REASON: ClassVar[str] = "PERMIT_FIELD"

    urn: PermitUrn
    version: Positive
    status: Annotated[PermitStatus, checked(_STORED.__contains__, form=f"one of {', '.join(_STORED)}")]
    residence_division: County
    issuer: Text | None = None
    residence_address: Text | None = None
    household_division: County | None = None
    household_address: Text | None = None
    holder_name: Text | None = None
    sex: Sex | None = None
    ethnicity: Text | None = None
    birth_date: date | None = None
    citizen_number: Text | None = None
    photo_digest: Annotated[str, matching("[0-9a-f]{64}", form="64 lower-case hex digits")] | None = None
    ground: Ground | None = None
    residence_since: date | None = None
    issue_date: date | None = None
    counted_from: date | None = None
    endorsed_until: date | None = None
    work_division: County | None = None

    def __repr__(self) -> str:
        """Hides the person, so that a log line or a traceback names nobody."""
        return f"PermitItem({self.urn}, version={self.version})"


PERMIT_FIELDS: Final = PermitItem.__struct_fields__
"""Every field that a permit item may hold."""

_KNOWN: Final = frozenset(PERMIT_FIELDS)
_HOLDER_FIELDS: Final = {
    "holder_name": "name",
    **{name: name for name in (
        "sex", "ethnicity", "birth_date", "citizen_number", "photo_digest", "household_division", "household_address",
    )},
}  # fmt: skip


def project_permit(permit: Permit, fields: frozenset[str]) -> PermitItem:
    """Projects a permit onto the given fields; the four that are always there need not be named.

    Raises:
        MalformedError: PERMIT_FIELD when a name is none of `PERMIT_FIELDS`.
    """
    if not fields <= _KNOWN:
        raise MalformedError("PERMIT_FIELD", f"no such field of a permit: {min(fields - _KNOWN)!r:.60}")
    holder = permit.holder
    found: dict[str, Any] = {
        name: getattr(holder, _HOLDER_FIELDS[name]) if name in _HOLDER_FIELDS else getattr(permit, name)
        for name in fields | ALWAYS_FIELDS
    }
    return PermitItem(**found)


def keep_fields(item: PermitItem, fields: frozenset[str]) -> PermitItem:
    """Drops every field of a copy that is not among the given ones; the four that are always there stay."""
    kept = {name: getattr(item, name) for name in PERMIT_FIELDS if name in fields or name in ALWAYS_FIELDS}
    return PermitItem(**kept)


def encode_permit_item(item: PermitItem) -> bytes:
    """Encodes an item into its one canonical form; what is None is left out."""
    return encode(item)


def decode_permit_item(encoded: bytes, realm: Realm) -> PermitItem:
    """Decodes an item that came from another province.

    Raises:
        MalformedError: ITEM_TOO_LONG; JSON_* for the form; PERMIT_FIELD for an unknown or missing name; PERMIT_URN;
            PERMIT_VALUE when a field holds something else than its form; CITIZEN_NUMBER_* and REAL_NUMBER_IN_DEMO.
    """
    if len(encoded) > MAX_ITEM_BYTES:
        raise MalformedError(
            "ITEM_TOO_LONG", f"permit item: expected at most {MAX_ITEM_BYTES} bytes, got {len(encoded)}"
        )
    item = decode(PermitItem, encoded)
    if item.birth_date is not None:
        verify_birth_realm(item.birth_date, realm)
    if item.citizen_number is not None:
        verify_citizen_number(item.citizen_number, realm)
    return item
