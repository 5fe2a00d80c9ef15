"""Fetching a log: where its files come from, and how they are read ahead of the verification, in order and bounded.

Rules kept: at most a fixed number of files is in flight and in memory; a partial file that is gone is cut off the full
one, as C2SP tlog-tiles asks of clients. Trusts nothing that it fetches: `verify_log` judges it.
Source: C2SP tlog-tiles, C2SP tlog-witness (what a witness cosigned last).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from federation.audit.verify_log import LogCheck
from federation.protocol.errors import MalformedError, NotFoundError, UnavailableError
from federation.protocol.tlog.tiles import ENTRIES, TILE_WIDTH, Tile, cut_bundle, cut_tile, tile_at

READ_AHEAD = 16
"""Bundles that are fetched at once."""


class LogSource(Protocol):
    """Where the published files of one node come from: its HTTP read side, or a directory."""

    async def checkpoint(self) -> bytes:
        """Fetches the signed head.

        Raises:
            NotFoundError: there is none. UnavailableError: the node cannot be reached.
        """
        ...

    async def load(self, tile: Tile) -> bytes:
        """Fetches a tile or a bundle.

        Raises:
            NotFoundError: there is none of that width. UnavailableError: the node cannot be reached.
        """
        ...

    async def cosigned(self, origin: str) -> bytes:
        """Fetches the checkpoint of another log that this node cosigned last.

        Raises:
            NotFoundError: it never cosigned one. UnavailableError: the node cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """A log as files in one directory: a mirror, or a copy that was handed over."""

    path: Path

    async def checkpoint(self) -> bytes:
        """Reads `checkpoint`."""
        return self._read("checkpoint")

    async def load(self, tile: Tile) -> bytes:
        """Reads `tile/...`."""
        return self._read(str(tile))

    async def cosigned(self, origin: str) -> bytes:
        """Reads `<hex SHA-256 of the origin>/checkpoint`."""
        return self._read(f"{sha256(origin.encode()).hexdigest()}/checkpoint")

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError("TILE", f"expected the file {name}, got none") from error
        except OSError as error:
            raise UnavailableError("FILE", f"expected to read {name}, got {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Chunk:
    bundle: Tile
    entries: bytes | None
    hashes: bytes | None


async def load_cut(source: LogSource, tile: Tile) -> bytes | None:
    """Loads a tile or bundle in the width asked for, off the full one where the partial one is gone; None: no such.

    Raises:
        UnavailableError: the node cannot be reached.
    """
    try:
        return await source.load(tile)
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
    """Feeds a log of that size to its check; stops at the first bundle that is missing or malformed.

    Raises:
        UnavailableError: the node cannot be reached.
    """
    async with aclosing(_read_ahead(source, size, tiles=tiles)) as chunks:
        async for chunk in chunks:
            if chunk.entries is None:
                check.miss_bundle()
                return
            try:
                done = check.append_bundle(chunk.entries, chunk.bundle.width)
            except MalformedError:
                return  # noted by the check
            if check.size == size:
                done += check.last_tiles()
            for tile, expected in done if tiles else ():
                got = chunk.hashes if tile.level == 0 else await load_cut(source, tile)
                check.check_tile(tile, expected=expected, got=got)
            on_read(check.size)


async def _read_ahead(source: LogSource, size: int, *, tiles: bool) -> AsyncGenerator[_Chunk, None]:
    waiting: deque[asyncio.Task[_Chunk]] = deque()
    bundles = _bundles(size)
    try:
        for bundle in bundles:
            waiting.append(asyncio.create_task(_fetch(source, bundle, tiles=tiles)))
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


async def _fetch(source: LogSource, bundle: Tile, *, tiles: bool) -> _Chunk:
    wanted = [load_cut(source, bundle)]
    if tiles:
        wanted.append(load_cut(source, Tile(0, bundle.index, bundle.width)))
    entries, *hashes = await asyncio.gather(*wanted)
    return _Chunk(bundle, entries, hashes[0] if hashes else None)
