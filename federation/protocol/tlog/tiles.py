"""Tiles: the published files of a log, 256 hashes or 256 entries each, and the arithmetic between nodes and files.

Rules kept: a full tile holds 256 hashes (8,192 bytes), a partial one a prefix of them; a partial tile is never hashed
upwards; an empty tile does not exist; a path is accepted only in the form it would be written; an entry has at most
65,535 bytes. A narrower tile is a prefix of a wider one, so every width that ever was can be cut on request.
Trusts nothing: bytes of a tile are hashes until a proof says so.
Source: C2SP tlog-tiles.md, C2SP/C2SP at 5ba5ee830903e91240fc6f9f3a7a9293d49e69c9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from federation.protocol.errors import CorruptError, MalformedError, NotFoundError
from federation.protocol.ids import HASH_SIZE, MAX_DECIMAL
from federation.protocol.tlog.merkle import HashReader, Node, hash_children

TILE_WIDTH = 256
TILE_HEIGHT = 8
MAX_ENTRY_BYTES = 0xFFFF
_MAX_LEVEL = 63
_LENGTH_BYTES = 2
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


class Tile(Struct, frozen=True, order=True):
    """One file: hashes of `level`, or entries where the level is `ENTRIES`; `width` of 256 is a full one."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __str__(self) -> str:
        return format_tile_path(self)


ENTRIES = -1
"""The level of an entry bundle, which has the path element `entries`."""

LoadTile: TypeAlias = Callable[[Tile], bytes]
"""Returns the bytes of a tile; raises `NotFoundError` when there is none of that width."""


def parse_tile_path(path: str) -> Tile:
    """Parses `tile/<L>/<N>[.p/<W>]`, `<L>` a level or `entries`; refuses another form (TILE_PATH)."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise MalformedError("TILE_PATH", f"expected a path such as 'tile/0/x001/067.p/12', got {path!r:.80}")
    level = ENTRIES if match["level"] == "entries" else int(match["level"])
    index = match["index"].replace("x", "").replace("/", "")
    if len(index) > len(str(MAX_DECIMAL)) + 2:
        raise MalformedError("TILE_PATH", f"expected a tile index below 2^63, got {index[:40]}")
    tile = Tile(level, int(index), int(match["width"] or TILE_WIDTH))
    if format_tile_path(tile) != path:
        raise MalformedError("TILE_PATH", f"expected {format_tile_path(tile)!r:.80}, got {path!r:.80}")
    return tile


def format_tile_path(tile: Tile) -> str:
    """Formats a path: index 1,234,067 is `x001/x234/067`, a partial tile ends in `.p/<width>` (TILE_PATH)."""
    if not (ENTRIES <= tile.level <= _MAX_LEVEL and 0 <= tile.index <= MAX_DECIMAL and 1 <= tile.width <= TILE_WIDTH):
        raise MalformedError("TILE_PATH", f"expected level, index and width of a tile, got {tile!r:.80}")
    level = "entries" if tile.level == ENTRIES else str(tile.level)
    digits = str(tile.index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    index = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"tile/{level}/{index}" + (f".p/{tile.width}" if tile.width < TILE_WIDTH else "")


def level_shape(size: int, level: int) -> tuple[int, int]:
    """Returns (number of full tiles, width of the partial tile or 0) of one level of a log of that size."""
    return divmod(size >> (TILE_HEIGHT * max(level, 0)), TILE_WIDTH)


def tile_at(size: int, level: int, index: int) -> Tile:
    """Returns the widest form of a tile that a log of that size has; NotFoundError TILE when there is none yet."""
    full, partial = level_shape(size, level)
    if index < full:
        return Tile(level, index)
    if index > full or not partial:
        raise NotFoundError("TILE", f"expected a tile of a log of size {size}, got level {level} index {index}")
    return Tile(level, index, partial)


def tile_exists(tile: Tile, size: int) -> bool:
    """Returns whether a log of that size can serve the tile, full or cut to that width."""
    return tile.index * TILE_WIDTH + tile.width <= size >> (TILE_HEIGHT * max(tile.level, 0))


def cut_tile(blob: bytes, width: int) -> bytes:
    """Cuts the partial tile of that width off a wider one; refuses one that is narrower (TILE_BYTES)."""
    if not 1 <= width <= TILE_WIDTH or len(blob) < width * HASH_SIZE:
        raise MalformedError("TILE_BYTES", f"expected a tile of at least {width} hashes, got {len(blob)} bytes")
    return blob[: width * HASH_SIZE]


def decode_tile(blob: bytes, width: int) -> tuple[bytes, ...]:
    """Decodes a tile into its hashes; refuses another width (TILE_BYTES)."""
    if len(blob) != width * HASH_SIZE:
        raise MalformedError("TILE_BYTES", f"expected a tile of {width * HASH_SIZE} bytes, got {len(blob)}")
    return tuple(blob[at : at + HASH_SIZE] for at in range(0, len(blob), HASH_SIZE))


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Encodes entries, each behind a big-endian u16 length; refuses one over 65,535 bytes (ENTRY_SIZE)."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise MalformedError("ENTRY_SIZE", f"expected an entry of at most 65535 bytes, got {len(entry)}")
        parts += (len(entry).to_bytes(_LENGTH_BYTES), entry)
    return b"".join(parts)


def decode_bundle(blob: bytes, width: int) -> tuple[bytes, ...]:
    """Decodes a bundle of exactly that many entries; refuses others (BUNDLE)."""
    entries = tuple(_entries(blob))
    if len(entries) != width:
        raise MalformedError("BUNDLE", f"expected {width} entries, got {len(entries)}")
    return entries


def cut_bundle(blob: bytes, width: int) -> bytes:
    """Cuts the partial bundle of that width off a wider one; refuses one that is narrower (BUNDLE)."""
    entries = tuple(_entries(blob))
    if not 1 <= width <= len(entries):
        raise MalformedError("BUNDLE", f"expected a bundle of at least {width} entries, got {len(entries)}")
    return encode_bundle(entries[:width])


def tile_of_node(node: Node) -> tuple[int, int, int, int]:
    """Locates a node: (tile level, tile index, first hash in the tile, number of hashes under the node)."""
    level, index = node
    tile_level, height = divmod(level, TILE_HEIGHT)
    first = index << height
    return tile_level, first // TILE_WIDTH, first % TILE_WIDTH, 1 << height


def node_from_tile(node: Node, hashes: Sequence[bytes]) -> bytes:
    """Computes a node's hash from those of its tile; refuses a tile too narrow to hold it (TILE_BYTES)."""
    _, _, first, count = tile_of_node(node)
    if first + count > len(hashes):
        raise MalformedError("TILE_BYTES", f"expected a tile of at least {first + count} hashes, got {len(hashes)}")
    row = list(hashes[first : first + count])
    while len(row) > 1:
        row = [hash_children(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def tile_hash_reader(size: int, load: LoadTile) -> HashReader:
    """Makes a reader of nodes out of a loader of tiles, each asked for once a call, widest first (TILE_BYTES)."""

    def read(nodes: Sequence[Node]) -> list[bytes]:
        loaded: dict[tuple[int, int], tuple[bytes, ...]] = {}
        for level, index in {tile_of_node(node)[:2] for node in nodes}:
            loaded[level, index] = _load(tile_at(size, level, index), load)
        return [node_from_tile(node, loaded[tile_of_node(node)[:2]]) for node in nodes]

    return read


def _load(tile: Tile, load: LoadTile) -> tuple[bytes, ...]:
    try:
        blob = load(tile)
    except NotFoundError:
        if tile.width == TILE_WIDTH:
            raise
        tile = Tile(tile.level, tile.index)
        blob = load(tile)
    try:
        return decode_tile(blob, tile.width)
    except MalformedError as error:
        raise CorruptError("TILE_BYTES", f"expected {tile} of {tile.width} hashes, got {len(blob)} bytes") from error


def _entries(blob: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(blob):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(blob[at:start])
        if at > len(blob) or start > len(blob):
            raise MalformedError("BUNDLE", f"expected a whole entry at byte {start}, got the end of the bundle")
        yield blob[start:at]
