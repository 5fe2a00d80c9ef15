"""The owner's whole permit as stored bytes: every field, canonical JSON, read back strictly.

It never leaves its node: what crosses a border is a projection (`permit_item`). Source: 居住证暂行条例 article 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from federation.domain.citizen_number import Sex
from federation.domain.permit import (
    Endorsement,
    Ground,
    Holder,
    Permit,
    PermitStatus,
    RevokeReason,
    parse_permit_urn,
)
from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    read_integer,
    read_optional_text,
    read_text,
)
from federation.protocol.errors import CorruptError, MalformedError

_WHAT = "stored permit"


def encode_permit(permit: Permit) -> bytes:
    """Encodes a permit with every field it has; `decode_permit` gives an equal value back."""
    holder = permit.holder
    value: dict[str, JsonValue] = {
        "urn": permit.urn,
        "version": permit.version,
        "status": permit.status,
        "holder_name": holder.name,
        "sex": holder.sex,
        "ethnicity": holder.ethnicity,
        "birth_date": holder.birth_date.isoformat(),
        "citizen_number": holder.citizen_number,
        "household_division": holder.household_division,
        "household_address": holder.household_address,
        "residence_division": permit.residence_division,
        "residence_address": permit.residence_address,
        "issuer": permit.issuer,
        "ground": permit.ground,
        "residence_since": permit.residence_since.isoformat(),
        "apply_date": permit.apply_date.isoformat(),
        "accept_date": permit.accept_date.isoformat(),
        "issue_date": permit.issue_date.isoformat(),
        "counted_from": permit.counted_from.isoformat(),
        "endorsed_until": permit.endorsed_until.isoformat(),
        "endorsements": [
            {"on": entry.endorsed_on.isoformat(), "until": entry.until.isoformat(), "late": entry.late}
            for entry in permit.endorsements
        ],
        "sealed": permit.sealed,
        "guardian": permit.guardian,
    }
    optional: dict[str, str | None] = {
        "photo_digest": holder.photo_digest,
        "work_division": permit.work_division,
        "revoke_reason": permit.revoke_reason,
        "ended_on": permit.ended_on.isoformat() if permit.ended_on else None,
        "replaced_by": permit.replaced_by,
    }
    value.update((name, text) for name, text in optional.items() if text is not None)
    return encode_canonical(value)


def decode_permit(encoded: bytes) -> Permit:
    """Decodes what `encode_permit` wrote.

    Raises:
        CorruptError: PERMIT_RECORD when the stored bytes are anything else: a human must look.
    """
    try:
        return _read_permit(decode_canonical(encoded, what=_WHAT))
    except (MalformedError, ValueError) as error:
        raise CorruptError("PERMIT_RECORD", "a stored permit cannot be read back") from error


def _read_permit(value: Mapping[str, JsonValue]) -> Permit:
    reason, ended_on = _optional(value, "revoke_reason"), _optional(value, "ended_on")
    replaced_by = _optional(value, "replaced_by")
    return Permit(
        urn=parse_permit_urn(_text(value, "urn")),
        version=read_integer(value, "version", what=_WHAT),
        status=PermitStatus(_text(value, "status")),
        holder=_read_holder(value),
        residence_division=_text(value, "residence_division"),
        residence_address=_text(value, "residence_address"),
        work_division=_optional(value, "work_division"),
        issuer=_text(value, "issuer"),
        ground=Ground(_text(value, "ground")),
        residence_since=_day(value, "residence_since"),
        apply_date=_day(value, "apply_date"),
        accept_date=_day(value, "accept_date"),
        issue_date=_day(value, "issue_date"),
        counted_from=_day(value, "counted_from"),
        endorsed_until=_day(value, "endorsed_until"),
        endorsements=_read_endorsements(value.get("endorsements")),
        revoke_reason=RevokeReason(reason) if reason is not None else None,
        ended_on=date.fromisoformat(ended_on) if ended_on is not None else None,
        replaced_by=parse_permit_urn(replaced_by) if replaced_by is not None else None,
        sealed=value.get("sealed") is True,
        guardian=value.get("guardian") is True,
    )


def _read_holder(value: Mapping[str, JsonValue]) -> Holder:
    return Holder(
        name=_text(value, "holder_name"),
        sex=Sex(_text(value, "sex")),
        ethnicity=_text(value, "ethnicity"),
        birth_date=_day(value, "birth_date"),
        citizen_number=_text(value, "citizen_number"),
        photo_digest=_optional(value, "photo_digest"),
        household_division=_text(value, "household_division"),
        household_address=_text(value, "household_address"),
    )


def _read_endorsements(entries: JsonValue) -> tuple[Endorsement, ...]:
    if not isinstance(entries, list):
        raise MalformedError("JSON_TYPE", f"{_WHAT}: expected a list of endorsements")
    found = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise MalformedError("JSON_TYPE", f"{_WHAT}: expected each endorsement to be an object")
        found.append(
            Endorsement(endorsed_on=_day(entry, "on"), until=_day(entry, "until"), late=entry.get("late") is True)
        )
    return tuple(found)


def _text(value: Mapping[str, JsonValue], name: str) -> str:
    return read_text(value, name, what=_WHAT)


def _optional(value: Mapping[str, JsonValue], name: str) -> str | None:
    return read_optional_text(value, name, what=_WHAT)


def _day(value: Mapping[str, JsonValue], name: str) -> date:
    return date.fromisoformat(_text(value, name))
