"""Fetching a log: where its files come from, how they are read ahead of the verification, and one proven entry of it.

At most a fixed number of files is in flight; a partial file that is gone is cut off the full one, as C2SP tlog-tiles
asks of clients. Trusts nothing that it fetches: `verify_log` judges it. Source: C2SP tlog-tiles, C2SP tlog-witness.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Protocol

from federation.audit.verify_log import LogCheck
from federation.protocol.errors import CorruptError, MalformedError, NotFoundError
from federation.protocol.ids import HASH_SIZE
from federation.protocol.tlog.merkle import Node, hash_leaf, inclusion_proof, verify_inclusion
from federation.protocol.tlog.note import Checkpoint, Vkey, verify_checkpoint
from federation.protocol.tlog.tiles import (
    ENTRIES,
    TILE_WIDTH,
    Tile,
    cut_bundle,
    cut_tile,
    decode_bundle,
    tile_at,
    tile_hash_reader,
    tile_of_node,
)

READ_AHEAD = 16


class LogSource(Protocol):
    """Reads the published files of one node: from its HTTP read side, or from a directory."""

    async def checkpoint(self) -> bytes:
        """Fetches the signed head; NotFoundError, MalformedError when too large, UnavailableError."""

    async def load(self, tile: Tile) -> bytes:
        """Fetches a tile or a bundle; NotFoundError when there is none of that width, else as `checkpoint`."""

    async def cosigned(self, origin: str) -> bytes:
        """Fetches the checkpoint of another log that this node cosigned last; raises as `checkpoint`."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    width: int
    files: Mapping[int, bytes | None]


async def load_cut(source: LogSource, tile: Tile) -> bytes | None:
    """Loads a tile or bundle, off the full one where the partial one is gone; None: no such. UnavailableError."""
    try:
        return await source.load(tile)
    except MalformedError:
        return None  # larger than any such file can be
    except NotFoundError:
        if tile.width == TILE_WIDTH:
            return None
    try:
        whole = await source.load(Tile(tile.level, tile.index))
        return (cut_bundle if tile.level == ENTRIES else cut_tile)(whole, tile.width)
    except (NotFoundError, MalformedError):
        return None


async def feed(
    source: LogSource,
    check: LogCheck,
    size: int,
    *,
    tiles: bool = True,
    on_read: Callable[[int], None] = lambda _n: None,
) -> None:
    """Feeds a log of that size to its check until a bundle is missing or malformed; raises UnavailableError.

    A check that reads no leaves gets the log's own hashes of them, and no entry is loaded.
    """
    levels = ([ENTRIES] if check.reads_leaves else []) + ([0] if tiles or not check.reads_leaves else [])
    append = check.append_bundle if check.reads_leaves else check.append_hashes
    async with aclosing(_read_ahead(source, size, levels)) as chunks:
        async for chunk in chunks:
            files = chunk.files
            if (first := files[levels[0]]) is None:
                if check.reads_leaves:
                    await _feed_as_far(source, check, chunk)
                check.miss_bundle()
                return
            try:
                done = append(first, chunk.width)
            except MalformedError:
                return  # noted by the check
            if check.size == size:
                done += check.last_tiles()
            for tile, expected in done if tiles else ():
                got = files[0] if tile.level == 0 else await load_cut(source, tile)
                check.check_tile(tile, expected=expected, got=got)
            on_read(check.size)


async def _feed_as_far(source: LogSource, check: LogCheck, chunk: _Chunk) -> None:
    """Feeds a bundle that is not given up to its first entry that is missing: narrower ones are asked for."""
    index, given, missing = check.size // TILE_WIDTH, b"", chunk.width
    low = 0
    while low + 1 < missing:
        width = (low + missing) // 2
        try:
            given, low = await source.load(Tile(ENTRIES, index, width)), width
        except (MalformedError, NotFoundError):
            missing = width
    if low:
        with suppress(MalformedError):  # noted by the check
            check.append_bundle(given, low)


async def _read_ahead(source: LogSource, size: int, levels: Sequence[int]) -> AsyncGenerator[_Chunk, None]:
    waiting: deque[asyncio.Task[_Chunk]] = deque()
    bundles = _bundles(size)
    try:
        for bundle in bundles:
            waiting.append(asyncio.create_task(_fetch(source, bundle, levels)))
            if len(waiting) == READ_AHEAD:
                yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _bundles(size: int) -> Iterator[Tile]:
    return (tile_at(size, ENTRIES, index) for index in range(-(-size // TILE_WIDTH)))


async def _fetch(source: LogSource, bundle: Tile, levels: Sequence[int]) -> _Chunk:
    files = await asyncio.gather(*(load_cut(source, Tile(level, bundle.index, bundle.width)) for level in levels))
    return _Chunk(bundle.width, dict(zip(levels, files, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEntry:
    """An entry that stands at `index` of a log, under a head that the log signed; `note` is that head, verbatim."""

    index: int
    entry: bytes
    hashes: tuple[bytes, ...]
    note: bytes


async def fetch_head(source: LogSource, log: Vkey) -> tuple[bytes, Checkpoint]:
    """Fetches a log's signed head and verifies the log's line on it; raises as `verify_checkpoint` and the source."""
    note = await source.checkpoint()
    return note, verify_checkpoint(note, log)


async def fetch_proven(source: LogSource, log: Vkey, index: int) -> ProvenEntry:
    """Fetches one entry with its proof, built from the log's tiles, and verifies both.

    Refuses LEAF_INDEX beyond the head, TILE that is not served, BUNDLE, TILE_BYTES, INCLUSION, and as `fetch_head`.
    """
    note, head = await fetch_head(source, log)
    if not 0 <= index < head.size:
        raise NotFoundError("LEAF_INDEX", f"expected an index below the log's size {head.size}, got {index}")
    bundle = tile_at(head.size, ENTRIES, index // TILE_WIDTH)
    entry = decode_bundle(await _require(source, bundle), bundle.width)[index % TILE_WIDTH]
    tiles = {tile: await _require(source, tile) for tile in _tiles_of_proof(index, head.size)}
    try:
        hashes = inclusion_proof(index, head.size, tile_hash_reader(head.size, tiles.__getitem__))
    except CorruptError as error:
        raise MalformedError("TILE_BYTES", error.message) from error
    verify_inclusion(hash_leaf(entry), index, size=head.size, proof=hashes, root=head.root)
    return ProvenEntry(index=index, entry=entry, hashes=hashes, note=note)


def _tiles_of_proof(index: int, size: int) -> frozenset[Tile]:
    """Returns the tiles that a leaf's proof is built from: the proof is built once with hashes that do not matter."""
    wanted: list[Tile] = []

    def note_tiles(nodes: Sequence[Node]) -> list[bytes]:
        wanted.extend(tile_at(size, *tile_of_node(node)[:2]) for node in nodes)
        return [bytes(HASH_SIZE)] * len(nodes)

    inclusion_proof(index, size, note_tiles)
    return frozenset(wanted)


async def _require(source: LogSource, tile: Tile) -> bytes:
    blob = await load_cut(source, tile)
    if blob is None:
        raise NotFoundError("TILE", f"expected {tile}, which the log's head promises, got none")
    return blob
