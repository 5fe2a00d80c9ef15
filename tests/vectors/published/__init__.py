"""Test vectors that others published, as figures: see `README.md` for their source, version and licence."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_FOLDER = Path(__file__).parent


class SignatureCase(NamedTuple):
    """One signature under one key; `key` is raw for Ed25519, SubjectPublicKeyInfo for ECDSA."""

    number: int
    key: bytes
    message: bytes
    signature: bytes
    valid: bool


class InclusionCase(NamedTuple):
    """One audit path of an RFC 6962 tree."""

    number: int
    index: int
    size: int
    root: bytes
    leaf_hash: bytes
    proof: list[bytes]
    valid: bool


class ConsistencyCase(NamedTuple):
    """One proof that a tree extends another."""

    number: int
    old_size: int
    new_size: int
    old_root: bytes
    new_root: bytes
    proof: list[bytes]
    valid: bool


def load_signatures(name: str) -> Iterator[SignatureCase]:
    """Every Wycheproof case of `ed25519` or `ecdsa_p256_sha256`."""
    for key, cases in _load(name):
        for number, message, signature, valid in cases:
            yield SignatureCase(
                number, bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature), valid == 1
            )


def load_inclusion() -> list[InclusionCase]:
    """Every inclusion case of transparency-dev/merkle."""
    return [
        InclusionCase(number, index, size, _hash(root), _hash(leaf), [_hash(each) for each in proof], valid == 1)
        for number, index, size, root, leaf, proof, valid in _load("merkle_inclusion")
    ]


def load_consistency() -> list[ConsistencyCase]:
    """Every consistency case of transparency-dev/merkle."""
    return [
        ConsistencyCase(number, old, new, _hash(first), _hash(second), [_hash(each) for each in proof], valid == 1)
        for number, old, new, first, second, proof, valid in _load("merkle_consistency")
    ]


def _load(name: str) -> Any:
    return json.loads((_FOLDER / f"{name}.json").read_text(encoding="ascii"))


def _hash(value: str) -> bytes:
    """The bytes as published; the vectors' placeholders `don't care N` are widened to a hash, which we insist on."""
    blob = bytes.fromhex(value)
    return blob.ljust(32, b".") if blob.startswith(b"don't care") else blob
