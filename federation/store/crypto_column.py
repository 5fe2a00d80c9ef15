"""Sealed columns and blind indexes: how a personal field is stored, and how it is still found exactly.

Rules kept: a sealed value opens only in the column and row it was written for (both are authenticated beside it); each
value names its key, so that keys can be rotated without rewriting rows; what must be destroyable for good has a random
key of its own, kept apart from it, so that no copy of the value opens once that key is gone; every blind index has a
key of its own, derived from one index key, and is never made over a field with few possible values.
Trusts: the keys it is given. An attacker who can write to the store can delete or restore sealed values, never make,
change or move one; one who can read it learns equality of indexed values only.
Source: NIST SP 800-38D (AES-GCM, 96-bit random nonces: at most 2^32 values a key), RFC 2104 (HMAC).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from federation.protocol.errors import CorruptError, MalformedError

VERSION = 1
"""First byte of each sealed value: AES-256-GCM with a 12-byte nonce."""

OWN_KEY_VERSION = 2
"""First byte of each value sealed under a key of its own: AES-256-GCM with a 12-byte nonce, no key id."""

INDEX_BYTES = 16
"""Length of a blind index: half a SHA-256, enough against chance, too little to be an oracle of more than equality."""

_HEADER = 3  # version byte and a two-byte key id
_NONCE = 12
_TAG = 16
_MAX_KEY_ID = 0xFFFF
_KEY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKeys:
    """The keys of one store: the one that seals now, older ones that still open, and the one behind all indexes.

    `key` and each of `older` are 32 bytes, named by an id from 0 to 65535. Printing one shows the ids only.

    Raises:
        MalformedError: DATA_KEYS for a key of another length or an id out of range.
    """

    key_id: int
    key: bytes = field(repr=False)
    index_key: bytes = field(repr=False)
    older: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    _ciphers: dict[int, AESGCM] = field(init=False, repr=False, compare=False, default_factory=dict)
    _index_keys: dict[str, bytes] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the keys once, so that sealing need not."""
        if len(self.index_key) != 32:
            raise MalformedError("DATA_KEYS", f"expected an index key of 32 bytes, got {len(self.index_key)}")
        for key_id, key in {**self.older, self.key_id: self.key}.items():
            if not 0 <= key_id <= _MAX_KEY_ID or len(key) != 32:
                raise MalformedError("DATA_KEYS", f"expected 32 bytes under an id of two bytes, got {len(key)}")
            self._ciphers[key_id] = AESGCM(key)


def seal(keys: DataKeys, column: str, plaintext: bytes, *, row_key: str) -> bytes:
    """Seals a value for one column (`table.column`) of one row; each call gives other bytes."""
    nonce = os.urandom(_NONCE)
    sealed = keys._ciphers[keys.key_id].encrypt(nonce, plaintext, _bound_to(column, row_key))  # noqa: SLF001  # this module is the class
    return VERSION.to_bytes(1) + keys.key_id.to_bytes(2) + nonce + sealed


def unseal(keys: DataKeys, column: str, sealed: bytes, *, row_key: str) -> bytes:
    """Opens what `seal` gave for the same column and row.

    Raises:
        CorruptError: SEALED_VALUE when it was changed, moved from another row, or its key is not among ours.
    """
    cipher = keys._ciphers.get(int.from_bytes(sealed[1:_HEADER]))  # noqa: SLF001  # this module is the class
    if len(sealed) < _HEADER + _NONCE + _TAG or sealed[0] != VERSION or cipher is None:
        raise CorruptError("SEALED_VALUE", f"expected a value of {column} sealed with a key of ours", column=column)
    try:
        return cipher.decrypt(
            sealed[_HEADER : _HEADER + _NONCE], sealed[_HEADER + _NONCE :], _bound_to(column, row_key)
        )
    except InvalidTag as error:
        raise CorruptError("SEALED_VALUE", f"a value of {column} was changed or moved", column=column) from error


def seal_apart(column: str, plaintext: bytes, *, row_key: str) -> tuple[bytes, bytes]:
    """Seals a value for one column of one row under a random key of its own.

    Returns:
        The sealed value, and its key (32 bytes): whoever seals and stores that key apart can destroy the value with it.
    """
    random = os.urandom(_KEY + _NONCE)
    key, nonce = random[:_KEY], random[_KEY:]
    sealed = AESGCM(key).encrypt(nonce, plaintext, _bound_to(column, row_key))
    return OWN_KEY_VERSION.to_bytes(1) + nonce + sealed, key


def unseal_apart(key: bytes, column: str, sealed: bytes, *, row_key: str) -> bytes:
    """Opens what `seal_apart` gave for the same column and row, with the key that it gave.

    Raises:
        CorruptError: SEALED_VALUE when it was changed, moved from another row, or the key is another's.
    """
    if len(sealed) < 1 + _NONCE + _TAG or not has_own_key(sealed) or len(key) != _KEY:
        raise CorruptError("SEALED_VALUE", f"expected a value of {column} sealed under its own key", column=column)
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _bound_to(column, row_key))
    except InvalidTag as error:
        raise CorruptError("SEALED_VALUE", f"a value of {column} was changed or moved", column=column) from error


def has_own_key(sealed: bytes) -> bool:
    """Whether a value was sealed by `seal_apart`; else it is of `seal`."""
    return sealed[:1] == OWN_KEY_VERSION.to_bytes(1)


def blind_index(keys: DataKeys, column: str, normalised: str) -> bytes:
    """Computes the 16 bytes under which an exact, already normalised value of that column is found again."""
    column_key = keys._index_keys.get(column)  # noqa: SLF001  # this module is the class
    if column_key is None:
        column_key = hmac.digest(keys.index_key, column.encode(), "sha256")
        keys._index_keys[column] = column_key  # noqa: SLF001
    return hmac.digest(column_key, normalised.encode(), "sha256")[:INDEX_BYTES]


def _bound_to(column: str, row_key: str) -> bytes:
    """The authenticated data: column names hold no NUL, so no two (column, row) pairs give the same bytes."""
    return f"{column}\0{row_key}".encode()
