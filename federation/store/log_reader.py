"""Reading the log: head, entries, tiles, proofs, checkpoints, and the check of the whole.

Rules kept: what is asked beyond the committed size does not exist; partial tiles are cut from rows, never stored; a
proof is built from nodes in memory when its leaf is recent, else from full tiles, at most two a tree level of tiles.
Trusts: the store's rows, except in `check_log`, which trusts nothing and computes the tree again from the entries, and
in `check_log_sample`, which does so where it is cheap.
Source: C2SP tlog-tiles, RFC 6962 2.1.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from federation.protocol.errors import CorruptError, MalformedError, NotFoundError
from federation.protocol.tlog import merkle
from federation.protocol.tlog.merkle import CompactRange, Node
from federation.protocol.tlog.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    encode_bundle,
    tile_exists,
    tile_hash_reader,
)
from federation.store.columns import from_millis
from federation.store.database import Database, GrowingTree, Head, Source
from federation.store.prepared import read_first, read_rows, read_value
from federation.store.tables import LOG_CHECKPOINT, LOG_HEAD, LOG_LEAF, LOG_TILE

_CHUNK = 4096
_SAMPLED_TILES = 4
_DIGEST_HEX = 64

_HEAD = select(LOG_HEAD.c.epoch, LOG_HEAD.c.size, LOG_HEAD.c.root, LOG_HEAD.c.edge).where(LOG_HEAD.c.id == 1)
_LOCKED_HEAD = _HEAD.with_for_update()
_LEAF = select(LOG_LEAF.c.leaf_index).where(
    LOG_LEAF.c.subject == bindparam("subject"), LOG_LEAF.c.kind == bindparam("kind")
)
_NAMED = select(LOG_LEAF.c.leaf_index, LOG_LEAF.c.entry).where(
    LOG_LEAF.c.subject == bindparam("subject"), LOG_LEAF.c.kind == bindparam("kind")
)
_ENTRIES = (
    select(LOG_LEAF.c.entry)
    .where(LOG_LEAF.c.leaf_index >= bindparam("start"), LOG_LEAF.c.leaf_index < bindparam("end"))
    .order_by(LOG_LEAF.c.leaf_index)
)
_TILE_ROOTS = (
    select(LOG_TILE.c.root)
    .where(LOG_TILE.c.level == bindparam("level"), LOG_TILE.c.n >= bindparam("start"), LOG_TILE.c.n < bindparam("end"))
    .order_by(LOG_TILE.c.n)
)
_TILE = select(LOG_TILE.c.hashes).where(LOG_TILE.c.level == bindparam("level"), LOG_TILE.c.n == bindparam("n"))
_CHECKPOINTS = select(LOG_CHECKPOINT.c.size, LOG_CHECKPOINT.c.root, LOG_CHECKPOINT.c.time_millis)
_AFTER = (
    _CHECKPOINTS.where(LOG_CHECKPOINT.c.size > bindparam("after"))
    .order_by(LOG_CHECKPOINT.c.size)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRow:
    size: int
    root: bytes
    time: datetime


def load_head(database: Source) -> Head:
    """The head as last committed. Raises CorruptError: LOG_HEAD when the store has none."""
    with database.reading() as connection:
        return read_head(connection)[1]


def read_head(connection: Connection, *, lock: bool = False) -> tuple[int, Head]:
    """Reads (epoch, head); with `lock`, waits for and keeps out every other writer until the transaction ends."""
    row = read_first(connection, _LOCKED_HEAD if lock else _HEAD)
    if row is None:
        raise CorruptError("LOG_HEAD", "the store has no head of the log")
    return row["epoch"], Head(size=row["size"], root=row["root"], edge=row["edge"])


def find_leaf(database: Source, kind: str, subject: str) -> int | None:
    """The index of the leaf of that kind about that subject, None when nothing was logged (LEAF_SUBJECT)."""
    with database.reading() as connection:
        return read_leaf(connection, kind, encode_subject(subject))


def find_entry(database: Source, kind: str, subject: str) -> tuple[int, bytes] | None:
    """The index and the entry of the leaf of that kind about that subject, None when nothing was logged.

    Raises MalformedError: LEAF_SUBJECT when the subject is not 64 lower-case hex digits.
    """
    with database.reading() as connection:
        row = read_first(connection, _NAMED, {"kind": kind, "subject": encode_subject(subject)})
    return None if row is None else (row["leaf_index"], row["entry"])


def read_leaf(connection: Connection, kind: str, subject: bytes) -> int | None:
    index: int | None = read_value(connection, _LEAF, {"kind": kind, "subject": subject})
    return index


def encode_subject(subject: str) -> bytes:
    """The 32 bytes of a subject, which halve its index. Raises MalformedError LEAF_SUBJECT."""
    try:
        blob = bytes.fromhex(subject)
    except ValueError as error:
        raise MalformedError("LEAF_SUBJECT", f"expected a digest in hex, got {subject!r:.70}") from error
    if len(subject) != _DIGEST_HEX or blob.hex() != subject:
        raise MalformedError("LEAF_SUBJECT", f"expected 64 lower-case hex digits, got {subject!r:.70}")
    return blob


def load_entries(database: Database, start: int, count: int) -> list[bytes]:
    """The entries from `start` on, exactly `count` of them, byte for byte as logged (LOG_RANGE, LOG_ENTRY)."""
    recent = [database.recent.find_entry(index) for index in range(start, start + min(count, TILE_WIDTH))]
    if start >= 0 and len(recent) == count and all(recent):
        return [entry for entry in recent if entry is not None]
    with database.reading() as connection:
        size = read_head(connection)[1].size
        if min(start, count) < 0 or start + count > size:
            raise NotFoundError("LOG_RANGE", f"expected a range below {size}, got {count} from {start}", size=size)
        return _read_entries(connection, start, start + count)


def inclusion_proof(database: Database, index: int, size: int) -> tuple[bytes, ...]:
    """Builds the audit path of a leaf in the tree of an earlier or the present size (LEAF_INDEX, TILE)."""
    return merkle.inclusion_proof(index, size, _NodeReader(database, size))


def consistency_proof(database: Database, old: int, new: int) -> tuple[bytes, ...]:
    """Builds the proof that the log of size `old` is a prefix of that of size `new` (TREE_SIZE, TILE)."""
    return merkle.consistency_proof(old, new, _NodeReader(database, new))


def load_root(database: Database, size: int) -> bytes:
    """Computes the root that the log had at that size. Raises NotFoundError: TILE when the log is not that long."""
    return merkle.root_at(size, _NodeReader(database, size))


def covering_checkpoint(database: Source, index: int) -> CheckpointRow:
    """The first recorded checkpoint that covers a leaf: the one its receipt was given under (LOG_RANGE)."""
    rows = load_checkpoints(database, index, 1)
    if index < 0 or not rows:
        raise NotFoundError("LOG_RANGE", f"expected a leaf of the log, got index {index}")
    return rows[0]


def load_checkpoints(database: Source, after_size: int, limit: int) -> list[CheckpointRow]:
    with database.reading() as connection:
        return _read_checkpoints(connection, after_size, limit)


def load_tile(database: Database, level: int, n: int, *, width: int) -> bytes:
    """The bytes of a tile, full (width 256) or cut to any width that the log has reached. Raises NotFoundError TILE."""
    with database.reading() as connection:
        _require_tile(connection, Tile(level, n, width))
        return _read_tile(connection, Tile(level, n, width))


def load_entry_bundle(database: Database, n: int, width: int) -> bytes:
    """The bytes of an entry bundle, full (width 256) or of any width that the log has reached (TILE)."""
    with database.reading() as connection:
        _require_tile(connection, Tile(ENTRIES, n, width))
        return encode_bundle(_read_entries(connection, n * TILE_WIDTH, n * TILE_WIDTH + width))


def load_tree(connection: Connection, head: Head) -> GrowingTree:
    """Loads what a writer needs to go on from a head: its edge, and the open tiles from entries and tile roots.

    Raises CorruptError: LOG_EDGE when edge, root, entries and tiles do not belong to one tree.
    """
    tree = GrowingTree(_decode_edge(head), [])
    level = 0
    while level == 0 or head.size >> (TILE_HEIGHT * level):
        full, width = divmod(head.size >> (TILE_HEIGHT * level), TILE_WIDTH)
        tree.open_tiles.append(_split(_read_tile(connection, Tile(level, full, width))) if width else [])
        level += 1
    tree.require_agreement()
    return tree


def check_log(database: Database) -> None:
    """Reads every entry again and computes the whole tree: head, edge, tiles and recorded checkpoints must agree.

    About 2 s a million leaves; memory does not grow with the log. Raises CorruptError: LOG_EDGE, LOG_ENTRY, LOG_TILE,
    LOG_CHECKPOINT or LOG_HEAD for the first thing that does not.
    """
    with database.reading() as connection:
        head = read_head(connection)[1]
        checkpoints = _every_checkpoint(connection, head.size)
        expected = next(checkpoints, None)
        tree = GrowingTree()
        for entry in _every_entry(connection, head.size):
            tree.append(entry)
            if expected is not None and expected.size == tree.size:
                if expected.root != tree.edge.root():
                    raise CorruptError("LOG_CHECKPOINT", f"the recorded root of size {tree.size} is another")
                expected = next(checkpoints, None)
            if tree.size % TILE_WIDTH == 0:
                _check_tiles(connection, tree)
        _check_rest(connection, tree, head)


def check_log_sample(database: Database, *, size: int, root: bytes) -> None:
    """Reads the right edge again, and some full tiles at places nobody can foresee; that head was signed before.

    Raises CorruptError: LOG_HEAD when the stored head is before it or another one, LOG_EDGE, LOG_ENTRY, LOG_TILE.
    """
    with database.reading() as connection:
        head = read_head(connection)[1]
        if head.size < size or (head.size == size and head.root != root):
            raise CorruptError("LOG_HEAD", f"the stored head of size {head.size} is not that of {size} that was signed")
        load_tree(connection, head)
        full = range(head.size // TILE_WIDTH)
        for n in random.sample(full, min(_SAMPLED_TILES, len(full))):
            entries = _read_entries(connection, n * TILE_WIDTH, (n + 1) * TILE_WIDTH)
            if b"".join(map(merkle.hash_leaf, entries)) != _read_tile(connection, Tile(0, n)):
                raise CorruptError("LOG_TILE", f"the tile of level 0 index {n} is not what entries give")


class _NodeReader:
    __slots__ = ("_database", "_size")

    def __init__(self, database: Database, size: int) -> None:
        self._database = database
        self._size = size

    def __call__(self, nodes: Sequence[Node]) -> Sequence[bytes]:
        found = {node: self._database.recent.find(node) for node in nodes}
        missing = [node for node, node_hash in found.items() if node_hash is None]
        if missing:
            found.update(zip(missing, self._read(missing), strict=True))
        return [node_hash for node_hash in map(found.get, nodes) if node_hash is not None]

    def _read(self, nodes: Sequence[Node]) -> Sequence[bytes]:
        with self._database.reading() as connection:
            size = read_head(connection)[1].size
            if self._size > size:
                raise NotFoundError("TILE", f"expected a size up to {size}, got {self._size}", size=size)
            return tile_hash_reader(self._size, lambda tile: _read_tile(connection, tile))(nodes)


def _require_tile(connection: Connection, tile: Tile) -> None:
    known = ENTRIES <= tile.level < 64 and tile.index >= 0 and 1 <= tile.width <= TILE_WIDTH
    if not known or not tile_exists(tile, read_head(connection)[1].size):
        raise NotFoundError("TILE", f"the log has no tile of level {tile.level} index {tile.index} width {tile.width}")


def _read_tile(connection: Connection, tile: Tile) -> bytes:
    if tile.width == TILE_WIDTH:
        hashes: bytes | None = read_value(connection, _TILE, {"level": tile.level, "n": tile.index})
        if hashes is None:
            raise CorruptError("LOG_TILE", f"the full tile of level {tile.level} index {tile.index} is missing")
        return hashes
    start = tile.index * TILE_WIDTH
    end = start + tile.width
    if tile.level == 0:
        return b"".join(map(merkle.hash_leaf, _read_entries(connection, start, end)))
    names = {"level": tile.level - 1, "start": start, "end": end}
    roots = [row["root"] for row in read_rows(connection, _TILE_ROOTS, names)]
    if len(roots) != tile.width:
        raise CorruptError("LOG_TILE", f"expected {tile.width} tiles of level {tile.level - 1}, got {len(roots)}")
    return b"".join(roots)


def _read_entries(connection: Connection, start: int, end: int) -> list[bytes]:
    entries = [row["entry"] for row in read_rows(connection, _ENTRIES, {"start": start, "end": end})]
    if len(entries) != end - start:
        raise CorruptError("LOG_ENTRY", f"expected entries {start} to {end - 1}, got {len(entries)} of them")
    return entries


def _split(blob: bytes) -> list[bytes]:
    return [blob[at : at + 32] for at in range(0, len(blob), 32)]


def _decode_edge(head: Head) -> CompactRange:
    try:
        edge = CompactRange.decode(head.size, head.edge)
    except MalformedError as error:
        raise CorruptError("LOG_EDGE", f"the stored edge is not of size {head.size}") from error
    if edge.root() != head.root:
        raise CorruptError("LOG_EDGE", f"the stored edge does not lead to the root of size {head.size}")
    return edge


def _read_checkpoints(connection: Connection, after: int, limit: int) -> list[CheckpointRow]:
    rows = read_rows(connection, _AFTER, {"after": after, "most": limit})
    return [CheckpointRow(size=row["size"], root=row["root"], time=from_millis(row["time_millis"])) for row in rows]


def _every_entry(connection: Connection, size: int) -> Iterator[bytes]:
    for start in range(0, size, _CHUNK):
        yield from _read_entries(connection, start, min(start + _CHUNK, size))


def _every_checkpoint(connection: Connection, size: int) -> Iterator[CheckpointRow]:
    """The recorded checkpoints up to a size, a page at a time; above it, another process may be committing."""
    after = 0
    while after < size:
        rows = _read_checkpoints(connection, after, _CHUNK)
        yield from rows
        if len(rows) < _CHUNK:
            return
        after = rows[-1].size


def _check_tiles(connection: Connection, tree: GrowingTree) -> None:
    """Compares the tiles that were just completed with the stored ones, and forgets them."""
    for tile in tree.full_tiles:
        row = connection.execute(
            select(LOG_TILE.c.root, LOG_TILE.c.hashes).where(LOG_TILE.c.level == tile.level, LOG_TILE.c.n == tile.n)
        ).first()
        if row is None or row.root != tile.root or row.hashes != tile.hashes:
            raise CorruptError("LOG_TILE", f"the tile of level {tile.level} index {tile.n} is not what entries give")
    tree.full_tiles.clear()
    tree.completed.clear()


def _check_rest(connection: Connection, tree: GrowingTree, head: Head) -> None:
    if tree.head() != head:
        raise CorruptError("LOG_HEAD", f"the stored head of size {head.size} is not what the entries give")
    tree.require_agreement()
    if not head.size:
        return
    recorded = connection.execute(_CHECKPOINTS.where(LOG_CHECKPOINT.c.size == head.size)).first()
    if recorded is None or recorded.root != head.root:
        raise CorruptError("LOG_CHECKPOINT", f"the head of size {head.size} was not recorded for signing")
    _require_nothing_above(connection, head.size)


def _require_nothing_above(connection: Connection, size: int) -> None:
    """Rows beyond the head would be the trace of a half-written group."""
    current = read_head(connection)[1].size
    beyond: Select[Any] = select(func.count()).select_from(LOG_LEAF).where(LOG_LEAF.c.leaf_index >= current)
    if connection.execute(beyond).scalar() and read_head(connection)[1].size == current:
        raise CorruptError("LOG_ENTRY", f"expected no entry beyond the head of size {size}")
