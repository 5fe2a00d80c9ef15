"""Sealed columns and blind indexes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import CorruptError, MalformedError
from federation.store.columns import DataKeys, blind_index, seal, unseal
from tests.store.samples import KEYS


@given(plaintext=st.binary(max_size=200), row_key=st.text(max_size=20))
def test_seal_any_bytes_opens_to_the_same(plaintext: bytes, row_key: str) -> None:
    """What was sealed for a column and row opens there, and does not show."""
    sealed = seal(KEYS, "record.content", plaintext, row_key=row_key)

    assert unseal(KEYS, "record.content", sealed, row_key=row_key) == plaintext
    assert len(plaintext) < 4 or plaintext not in sealed


@pytest.mark.parametrize(("column", "row_key"), [("record.content", "2"), ("message.reply", "1")])
def test_unseal_moved_value_is_corrupt(column: str, row_key: str) -> None:
    """A value opens in no other row and no other column."""
    sealed = seal(KEYS, "record.content", b"content", row_key="1")

    with pytest.raises(CorruptError) as caught:
        unseal(KEYS, column, sealed, row_key=row_key)
    assert caught.value.reason == "SEALED_VALUE"


def test_unseal_any_flipped_bit_is_corrupt() -> None:
    """No bit of version, key id, nonce, ciphertext or tag can change."""
    sealed = seal(KEYS, "record.content", b"content", row_key="1")

    for position in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(CorruptError):
            unseal(KEYS, "record.content", bytes(changed), row_key="1")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01\x00\x01", b"\x01\x00\x01" + bytes(27)])
def test_unseal_short_value_is_corrupt(sealed: bytes) -> None:
    """A value too short to be one is refused like a changed one."""
    with pytest.raises(CorruptError):
        unseal(KEYS, "record.content", sealed, row_key="1")


def test_seal_twice_differs() -> None:
    """Equal values do not look equal."""
    assert seal(KEYS, "record.content", b"x", row_key="1") != seal(KEYS, "record.content", b"x", row_key="1")


def test_unseal_after_rotation_opens_with_older_key() -> None:
    """A value names its key, so an old one opens while the key is kept, and not after."""
    sealed = seal(KEYS, "record.content", b"content", row_key="1")
    rotated = DataKeys(key_id=2, key=b"n" * 32, index_key=KEYS.index_key, older={1: KEYS.key})
    forgotten = DataKeys(key_id=2, key=b"n" * 32, index_key=KEYS.index_key)

    assert unseal(rotated, "record.content", sealed, row_key="1") == b"content"
    assert seal(rotated, "record.content", b"content", row_key="1")[1:3] == b"\x00\x02"
    with pytest.raises(CorruptError):
        unseal(forgotten, "record.content", sealed, row_key="1")


def test_blind_index_depends_on_key_column_and_value() -> None:
    """Equal values in one column are equal, and nothing else is."""
    other = DataKeys(key_id=1, key=KEYS.key, index_key=b"o" * 32)
    index = blind_index(KEYS, "record.subject", "a")

    assert len(index) == 16
    assert index == blind_index(KEYS, "record.subject", "a")
    assert len({index, blind_index(KEYS, "record.subject", "b"), blind_index(KEYS, "x.y", "a")}) == 3
    assert index != blind_index(other, "record.subject", "a")


@pytest.mark.parametrize(
    "wrong",
    [{"key": b"short"}, {"index_key": b"short"}, {"key_id": 65536}, {"key_id": -1}, {"older": {2: b"short"}}],
    ids=["key", "index key", "id too large", "negative id", "older key"],
)
def test_data_keys_of_wrong_form_are_refused(wrong: dict) -> None:
    """Keys are 32 bytes, ids two bytes."""
    with pytest.raises(MalformedError) as caught:
        DataKeys(**{"key_id": 1, "key": b"k" * 32, "index_key": b"i" * 32, **wrong})
    assert caught.value.reason == "DATA_KEYS"


def test_data_keys_printed_show_no_key() -> None:
    """A key in a log line would be a key lost."""
    assert repr(DataKeys(key_id=7, key=b"k" * 32, index_key=b"i" * 32, older={1: b"o" * 32})) == "DataKeys(key_id=7)"
