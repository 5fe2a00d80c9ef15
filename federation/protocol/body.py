"""The body: the items that a statement hands over, and the salted commitment that the statement makes to them.

Rules kept: sizes are checked before anything is hashed; the commitment is the RFC 6962 root over `salt_i || item_i`,
`salt_i = HMAC-SHA256(salt, "bridgehead/item-salt/v1" || u64 i)`. So one item can be disclosed and proved without the
others, and once the 32-byte salt is destroyed nobody can guess at the items from the commitment that stays. A partial
body opens some places under the same commitment, the first always: it tells how many items there are, their bytes in
all and the closed ones' salted hashes, and never holds the body's own salt, from which closed items could be guessed.
Trusts nothing of a received body or disclosure; a `BodyRef` is trusted when its statement is verified.
Source: RFC 6962 2.1, RFC 2104, DESIGN section 4.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from msgspec import Struct

from federation.protocol.errors import CorruptError, MalformedError, UntrustedError
from federation.protocol.statement import BodyRef
from federation.protocol.tlog.merkle import hash_leaf, inclusion_proof, level_reader, merkle_root, verify_inclusion

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_ITEMS = 10_000
SALT_BYTES = 32
_ITEM_SALT_CONTEXT = b"bridgehead/item-salt/v1"
_MAX_TYPE_CHARACTERS = 200
_BLOCK_BYTES = 64  # of SHA-256, which HMAC pads its key to
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))  # RFC 2104 2
_LENGTH_BYTES = 4
_CLOSED, _OPEN = b"\x00", b"\x01"


class Body(Struct, frozen=True, kw_only=True):
    """Items in order, their media type, and the one random 32-byte salt that lives and dies with them."""

    type: str
    salt: bytes
    items: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OpenPlace:
    """An item that stands open in a partial body, with its own salt, which tells nothing of the others."""

    salt: bytes
    item: bytes


Place: TypeAlias = OpenPlace | bytes
"""One place of a partial body: open, or the salted leaf hash (32 bytes) of an item that stays closed."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PartialBody:
    """A body of which some places stand open, the first always. It never holds the body's own salt."""

    type: str
    places: tuple[Place, ...]

    @property
    def items(self) -> tuple[bytes, ...]:
        """The open items, in order."""
        return tuple(place.item for place in self.places if isinstance(place, OpenPlace))

    @property
    def opened(self) -> tuple[int, ...]:
        """The numbers of the open places, in order."""
        return tuple(at for at, place in enumerate(self.places) if isinstance(place, OpenPlace))


Handed: TypeAlias = Body | PartialBody
"""What a message hands over: all of a body, or some places of it."""


class Disclosure(Struct, frozen=True, kw_only=True):
    """One item opened: its place, its bytes, its own salt, and the audit path to the commitment."""

    index: int
    item: bytes
    salt: bytes
    proof: tuple[bytes, ...]


def commit_body(body: Body) -> BodyRef:
    """Returns what a statement says of a body; refuses one over the limits (BODY_EMPTY, ITEMS, SIZE, SALT, TYPE)."""
    size_bytes = _require_limits(body)
    return BodyRef(
        type=body.type, items=len(body.items), size_bytes=size_bytes, commitment=merkle_root(_leaf_hashes(body)).hex()
    )


def verify_body(body: Body, ref: BodyRef) -> Body:
    """Returns the body that a statement committed to; refuses another (BODY_TYPE, ITEMS, SIZE, COMMITMENT)."""
    size_bytes = _require_limits(body)
    if body.type != ref.type:
        raise UntrustedError("BODY_TYPE", f"expected a body of type {ref.type!r:.80}, got {body.type!r:.80}")
    if len(body.items) != ref.items:
        raise UntrustedError("BODY_ITEMS", f"expected {ref.items} items as stated, got {len(body.items)}")
    if size_bytes != ref.size_bytes:
        raise UntrustedError("BODY_SIZE", f"expected items of {ref.size_bytes} bytes as stated, got {size_bytes}")
    if merkle_root(_leaf_hashes(body)).hex() != ref.commitment:
        raise UntrustedError("BODY_COMMITMENT", "expected the items and the salt that the statement committed to")
    return body


def open_places(body: Body, places: Collection[int]) -> PartialBody:
    """Opens these places of a body, 0 among them, and closes all others (BODY_HEAD_CLOSED, LEAF_INDEX, as `commit`)."""
    _require_limits(body)
    if beyond := sorted(place for place in places if not 0 <= place < len(body.items)):
        raise MalformedError("LEAF_INDEX", f"expected a place below {len(body.items)}, got {beyond[0]}")
    hashes = _leaf_hashes(body)
    made = PartialBody(
        type=body.type,
        places=tuple(
            OpenPlace(salt=_item_salt(body.salt, at), item=item) if at in places else hashes[at]
            for at, item in enumerate(body.items)
        ),
    )
    _require_partial_limits(made)
    return made


def verify_partial(partial: PartialBody, ref: BodyRef) -> PartialBody:
    """Returns a partial body that a statement committed to, each place as it was committed to.

    Refuses BODY_HEAD_CLOSED (its first item tells what the others are), BODY_PLACE, and as `verify_body`.
    """
    size_bytes = _require_partial_limits(partial)
    if partial.type != ref.type:
        raise UntrustedError("BODY_TYPE", f"expected a body of type {ref.type!r:.80}, got {partial.type!r:.80}")
    if len(partial.places) != ref.items:
        raise UntrustedError("BODY_ITEMS", f"expected {ref.items} items as stated, got {len(partial.places)}")
    is_whole = all(isinstance(place, OpenPlace) for place in partial.places)
    if size_bytes > ref.size_bytes or (is_whole and size_bytes != ref.size_bytes):
        raise UntrustedError("BODY_SIZE", f"expected open items within {ref.size_bytes} bytes, got {size_bytes}")
    hashes = [
        place if isinstance(place, bytes) else hash_leaf(place.salt + place.item)  # RFC 6962 2.1: 0x00 goes before
        for place in partial.places
    ]
    if merkle_root(hashes).hex() != ref.commitment:
        raise UntrustedError("BODY_COMMITMENT", "expected the items and salts that the statement committed to")
    return partial


def pack_body(body: Handed) -> bytes:
    """A body as one value, as it is kept: type, salt and items, each behind its length (u32); no salt when partial."""
    kept: Iterable[bytes] = body.items
    if isinstance(body, PartialBody):
        kept = (
            _CLOSED + place if isinstance(place, bytes) else _OPEN + place.salt + place.item for place in body.places
        )
    parts: list[bytes] = []
    for part in (body.type.encode(), b"" if isinstance(body, PartialBody) else body.salt, *kept):
        parts += (len(part).to_bytes(_LENGTH_BYTES), part)
    return b"".join(parts)


def unpack_body(packed: bytes) -> Handed:
    """The body that `pack_body` wrote. Raises CorruptError BODY_FORM for anything else."""
    parts: list[bytes] = []
    at = 0
    while at < len(packed):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(packed[at:start])
        parts.append(packed[start:at])
    if len(parts) < 2 or at != len(packed):
        raise CorruptError("BODY_FORM", "expected a stored body, got one that is cut short")
    kind, salt, *kept = parts
    if salt:
        return Body(type=kind.decode(), salt=salt, items=tuple(kept))
    places: list[Place] = []
    for part in kept:
        opened = part[:1] == _OPEN
        salted = OpenPlace(salt=part[1 : 1 + SALT_BYTES], item=part[1 + SALT_BYTES :])
        places.append(salted if opened else part[1:])
    return PartialBody(type=kind.decode(), places=tuple(places))


def disclose_item(body: Body, index: int) -> Disclosure:
    """Opens one item, which says nothing about the others; refuses an index that the body has not (LEAF_INDEX)."""
    _require_limits(body)
    proof = inclusion_proof(index, len(body.items), level_reader(_leaf_hashes(body)))
    return Disclosure(index=index, item=body.items[index], salt=_item_salt(body.salt, index), proof=proof)


def disclose_head(partial: PartialBody) -> Disclosure:
    """Opens the first item of a partial body, which always stands open, and nothing else of it."""
    _require_partial_limits(partial)
    head, *_ = partial.places
    assert isinstance(head, OpenPlace)
    hashes = [each if isinstance(each, bytes) else hash_leaf(each.salt + each.item) for each in partial.places]
    proof = inclusion_proof(0, len(hashes), level_reader(hashes))
    return Disclosure(index=0, item=head.item, salt=head.salt, proof=proof)


def verify_disclosure(disclosure: Disclosure, ref: BodyRef) -> bytes:
    """Returns an item that stands at its place in the body committed to; refuses BODY_SALT, BODY_SIZE, INCLUSION."""
    if len(disclosure.salt) != SALT_BYTES:
        raise MalformedError("BODY_SALT", f"expected an item salt of {SALT_BYTES} bytes, got {len(disclosure.salt)}")
    if len(disclosure.item) > min(ref.size_bytes, MAX_BODY_BYTES):
        raise MalformedError("BODY_SIZE", f"expected an item within {ref.size_bytes} bytes, got {len(disclosure.item)}")
    try:
        root = bytes.fromhex(ref.commitment)
    except ValueError as error:
        raise MalformedError("BODY_COMMITMENT", "expected the commitment as 64 hex digits") from error
    leaf_hash = hash_leaf(disclosure.salt + disclosure.item)
    verify_inclusion(leaf_hash, disclosure.index, size=ref.items, proof=disclosure.proof, root=root)
    return disclosure.item


def _require_limits(body: Body) -> int:
    if not body.items:
        raise MalformedError("BODY_EMPTY", "expected a body of at least one item: a statement without one has no body")
    if len(body.items) > MAX_ITEMS:
        raise MalformedError("BODY_ITEMS", f"expected at most {MAX_ITEMS} items, got {len(body.items)}")
    size_bytes = sum(map(len, body.items))
    if size_bytes > MAX_BODY_BYTES:
        raise MalformedError("BODY_SIZE", f"expected items of at most {MAX_BODY_BYTES} bytes, got {size_bytes}")
    if len(body.salt) != SALT_BYTES:
        raise MalformedError("BODY_SALT", f"expected a salt of {SALT_BYTES} bytes, got {len(body.salt)}")
    if not 1 <= len(body.type) <= _MAX_TYPE_CHARACTERS or not body.type.isprintable():
        raise MalformedError("BODY_TYPE", f"expected a type of 1 to {_MAX_TYPE_CHARACTERS} printable characters")
    return size_bytes


def _require_partial_limits(partial: PartialBody) -> int:
    opened = [place for place in partial.places if isinstance(place, OpenPlace)]
    if not partial.places or not isinstance(partial.places[0], OpenPlace):
        raise MalformedError("BODY_HEAD_CLOSED", "expected the first item of a partial body to stand open")
    for place in partial.places:
        salted = place.salt if isinstance(place, OpenPlace) else place
        if len(salted) != SALT_BYTES:
            raise MalformedError("BODY_PLACE", f"expected a salt or a hash of {SALT_BYTES} bytes, got {len(salted)}")
    if len(partial.places) > MAX_ITEMS:
        raise MalformedError("BODY_ITEMS", f"expected at most {MAX_ITEMS} items, got {len(partial.places)}")
    return _require_limits(Body(type=partial.type, salt=opened[0].salt, items=tuple(place.item for place in opened)))


def _item_salt(salt: bytes, index: int) -> bytes:
    return hmac.digest(salt, _ITEM_SALT_CONTEXT + index.to_bytes(8), "sha256")


def _leaf_hashes(body: Body) -> list[bytes]:
    """As `hash_leaf(_item_salt(salt, index) + item)`, in half the time: HMAC's padded keys are made once."""
    digest = sha256
    key = body.salt.ljust(_BLOCK_BYTES, b"\x00")
    inner = key.translate(_INNER_PAD) + _ITEM_SALT_CONTEXT
    outer = key.translate(_OUTER_PAD)
    return [
        digest(b"\x00" + digest(outer + digest(inner + index.to_bytes(8)).digest()).digest() + item).digest()
        for index, item in enumerate(body.items)
    ]
