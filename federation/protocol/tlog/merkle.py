"""The Merkle tree of an exchange log: hashes, the growing right edge, proofs and their verifiers.

Rules kept: a hash is SHA-256 with the prefixes of RFC 6962 (0x00 leaf, 0x01 node), 32 bytes or refused; proofs are
*built* by the recursive definitions and *checked* by the iterative verifiers, so neither repeats the other's mistake;
from size 0 only an empty proof verifies (C2SP tlog-witness), where RFC 9162 is silent.
Trusts nothing it verifies; a `HashReader` is trusted to be the caller's own tree.
Source: RFC 6962 2.1, RFC 9162 2.1.3.2 (inclusion) and 2.1.4.2 (consistency).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import TypeAlias

from federation.protocol.errors import CorruptError, MalformedError, UntrustedError
from federation.protocol.ids import HASH_SIZE, MAX_DECIMAL, require_hash

EMPTY_ROOT = sha256(b"").digest()

Node: TypeAlias = tuple[int, int]
"""A complete subtree as (level, index): it covers the leaves from `index << level` to `(index + 1) << level`."""

HashReader: TypeAlias = Callable[[Sequence[Node]], Sequence[bytes]]
_Range: TypeAlias = tuple[int, int]  # leaves from the first to before the second


def hash_leaf(entry: bytes) -> bytes:
    """Hashes one log entry: SHA-256 of 0x00 and the entry (RFC 6962 2.1)."""
    return sha256(b"\x00" + entry).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """Hashes two child nodes: SHA-256 of 0x01, left and right (RFC 6962 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def merkle_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Computes the root over leaf hashes; `EMPTY_ROOT` for none (RFC 6962 2.1)."""
    edge = CompactRange()
    for leaf_hash in leaf_hashes:
        edge.append(leaf_hash)
    return edge.root()


class CompactRange:
    """The right edge of a growing tree: a hash for each set bit of the size, largest first. Not thread-safe."""

    __slots__ = ("_hashes", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._hashes: list[bytes] = []

    @property
    def size(self) -> int:
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(self._hashes)

    def append(self, leaf_hash: bytes) -> list[tuple[int, int, bytes]]:
        """Appends a leaf hash (HASH_SIZE) and returns the nodes it completes as (level, index, hash), leaf first."""
        if len(leaf_hash) != HASH_SIZE:
            require_hash(leaf_hash, "a leaf hash")
        index = self._size
        hashes = self._hashes
        completed = [(0, index, leaf_hash)]
        self._size = index + 1
        level = 0
        while index & 1:
            leaf_hash = sha256(b"\x01" + hashes.pop() + leaf_hash).digest()
            index >>= 1
            level += 1
            completed.append((level, index, leaf_hash))
        hashes.append(leaf_hash)
        return completed

    def root(self) -> bytes:
        return _fold(self._hashes) if self._hashes else EMPTY_ROOT

    def copy(self) -> CompactRange:
        other = CompactRange()
        other._size = self._size
        other._hashes = self._hashes.copy()
        return other

    def encode(self) -> bytes:
        """Encodes the hashes one after the other; the size is kept beside it by the caller."""
        return b"".join(self._hashes)

    @classmethod
    def decode(cls, size: int, blob: bytes) -> CompactRange:
        """Decodes what `encode` gave for a tree of that size; refuses others (TREE_SIZE, RIGHT_EDGE)."""
        if not 0 <= size <= MAX_DECIMAL:
            raise MalformedError("TREE_SIZE", f"expected a size between 0 and 2^63 - 1, got {size}")
        if len(blob) != size.bit_count() * HASH_SIZE:
            expected = size.bit_count() * HASH_SIZE
            raise MalformedError("RIGHT_EDGE", f"expected {expected} bytes for size {size}, got {len(blob)}")
        edge = cls()
        edge._size = size
        edge._hashes = [blob[at : at + HASH_SIZE] for at in range(0, len(blob), HASH_SIZE)]
        return edge


def level_reader(leaf_hashes: Sequence[bytes]) -> HashReader:
    """Returns the reader of a tree whose leaf hashes are all in memory."""
    levels = [list(leaf_hashes)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([hash_children(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])

    def read(nodes: Sequence[Node]) -> list[bytes]:
        return [levels[level][index] for level, index in nodes]

    return read


def inclusion_proof(index: int, size: int, read: HashReader) -> tuple[bytes, ...]:
    """Builds a leaf's audit path, its sibling first (RFC 6962 2.1.1); refuses LEAF_INDEX, TREE_READER."""
    _require_leaf(index, size)
    ranges: list[_Range] = []
    low, high = 0, size
    while high - low > 1:
        split = low + _split(high - low)
        if index < split:
            ranges.append((split, high))
            high = split
        else:
            ranges.append((low, split))
            low = split
    return _read_ranges(ranges[::-1], read)


def consistency_proof(old_size: int, new_size: int, read: HashReader) -> tuple[bytes, ...]:
    """Builds the proof that one tree is a prefix of another (RFC 6962 2.1.2); empty from 0 and for equal sizes."""
    _require_order(old_size, new_size)
    if old_size == 0:
        return ()
    ranges: list[_Range] = []
    low, high, whole = 0, new_size, True
    while old_size != high:
        split = low + _split(high - low)
        if old_size <= split:
            ranges.append((split, high))
            high = split
        else:
            ranges.append((low, split))
            low, whole = split, False
    if not whole:
        ranges.append((low, high))
    return _read_ranges(ranges[::-1], read)


def root_at(size: int, read: HashReader) -> bytes:
    """Computes the root that the tree had at that size; refuses TREE_SIZE, TREE_READER."""
    _require_order(size, size)
    return _read_ranges([(0, size)], read)[0] if size else EMPTY_ROOT


def verify_inclusion(leaf_hash: bytes, index: int, *, size: int, proof: Sequence[bytes], root: bytes) -> bytes:
    """Returns the root when the leaf stands at that index under it (RFC 9162 2.1.3.2); refuses INCLUSION."""
    _require_leaf(index, size)
    _require_hashes((leaf_hash, root, *proof))
    first, last = index, size - 1
    computed = leaf_hash
    for sibling in proof:
        if last == 0:
            raise UntrustedError("INCLUSION", f"expected a shorter proof of leaf {index} in {size}, got {len(proof)}")
        if first & 1 or first == last:
            computed = hash_children(sibling, computed)
            first, last = _skip_missing_levels(first, last)
        else:
            computed = hash_children(computed, sibling)
        first >>= 1
        last >>= 1
    if last or computed != root:
        raise UntrustedError("INCLUSION", f"expected a proof of leaf {index} in {size} that leads to the root")
    return root


def verify_consistency(
    old_size: int, new_size: int, *, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bytes:
    """Returns the new root when the old tree is a prefix (RFC 9162 2.1.4.2); refuses CONSISTENCY, TREE_SIZE.

    From size 0 the proof must be empty and the old root `EMPTY_ROOT`; for equal sizes the roots must be equal.
    """
    _require_order(old_size, new_size)
    _require_hashes((old_root, new_root, *proof))
    if old_size in (0, new_size):
        joined = not proof and _joined_without_proof(old_size, new_size, old_root, new_root)
    else:
        joined = _joined_by_proof(old_size, new_size, old_root, proof) == new_root
    if not joined:
        raise UntrustedError("CONSISTENCY", f"expected a proof that joins size {old_size} to size {new_size}")
    return new_root


def _joined_without_proof(old_size: int, new_size: int, old_root: bytes, new_root: bytes) -> bool:
    if old_size == 0 and old_root != EMPTY_ROOT:
        return False
    return old_size != new_size or old_root == new_root


def _joined_by_proof(old_size: int, new_size: int, old_root: bytes, proof: Sequence[bytes]) -> bytes | None:
    """Computes the new root, or None when the path does not fit or leads to another old root."""
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path or not proof:
        return None
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first >>= 1
        last >>= 1
    old = new = path[0]
    for node in islice(path, 1, None):
        if last == 0:
            return None
        if first & 1 or first == last:
            old, new = hash_children(node, old), hash_children(node, new)
            first, last = _skip_missing_levels(first, last)
        else:
            new = hash_children(new, node)
        first >>= 1
        last >>= 1
    return new if last == 0 and old == old_root else None


def _skip_missing_levels(first: int, last: int) -> _Range:
    """Climbs past the levels where an even node on the right edge has no sibling."""
    while first and not first & 1:
        first >>= 1
        last >>= 1
    return first, last


def _split(width: int) -> int:
    """The largest power of two below the width: where RFC 6962 divides a tree of more than one leaf."""
    return 1 << ((width - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = hash_children(left, root)
    return root


def _complete_nodes(low: int, high: int) -> list[Node]:
    """The complete subtrees that make up leaves `low` to before `high`, where RFC 6962 has such a subtree."""
    nodes: list[Node] = []
    while low < high:
        level = (high - low).bit_length() - 1
        nodes.append((level, low >> level))
        low += 1 << level
    return nodes


def _read_ranges(ranges: Sequence[_Range], read: HashReader) -> tuple[bytes, ...]:
    """Reads all nodes at once and folds them, one hash a range."""
    groups = [_complete_nodes(low, high) for low, high in ranges]
    wanted = [node for group in groups for node in group]
    hashes = read(wanted) if wanted else ()
    if len(hashes) != len(wanted) or any(len(blob) != HASH_SIZE for blob in hashes):
        raise CorruptError("TREE_READER", f"expected {len(wanted)} hashes of 32 bytes, got {len(hashes)} in all")
    remaining = iter(hashes)
    return tuple(_fold(list(islice(remaining, len(group)))) for group in groups)


def _require_leaf(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise MalformedError("LEAF_INDEX", f"expected an index below the size {size}, got {index}")


def _require_order(old_size: int, new_size: int) -> None:
    if not 0 <= old_size <= new_size:
        raise MalformedError("TREE_SIZE", f"expected an old size from 0 to {new_size}, got {old_size}")


def _require_hashes(hashes: Iterable[bytes]) -> None:
    for blob in hashes:
        require_hash(blob, "a tree hash")
