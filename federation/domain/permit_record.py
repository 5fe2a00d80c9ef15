"""The owner's whole permit as stored bytes: every field, canonical JSON, read back strictly.

It never leaves its node: what crosses a border is a projection (`permit_item`). Source: 居住证暂行条例 article 4.
"""

from __future__ import annotations

from typing import Final

from federation.domain.permit import Holder, Permit
from federation.protocol.canonical_json import decode_canonical, encode_canonical
from federation.protocol.errors import CorruptError, MalformedError
from federation.protocol.form import from_object, to_object


def encode_permit(permit: Permit) -> bytes:
    """Encodes a permit with every field it has, the holder's beside its own; `decode_permit` gives an equal value."""
    value = to_object(permit)
    del value["holder"]
    return encode_canonical(value | to_object(permit.holder))


def decode_permit(encoded: bytes) -> Permit:
    """Decodes what `encode_permit` wrote.

    Raises:
        CorruptError: PERMIT_RECORD when the stored bytes are anything else: a human must look.
    """
    try:
        value = decode_canonical(encoded, what=Permit.WHAT)
        holder = {name: value.pop(name) for name in _HOLDER_NAMES if name in value}
        return from_object(Permit, {**value, "holder": holder})
    except MalformedError as error:
        raise CorruptError("PERMIT_RECORD", "a stored permit cannot be read back") from error


_HOLDER_NAMES: Final = Holder.__struct_encode_fields__
