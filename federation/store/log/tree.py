"""The growing tree of the log in memory: its right edge, its open tiles, and the nodes that receipts ask for.

Rules kept: the edge (incremental) and the open tiles (from stored rows) are two computations of one tree, and must
agree whenever they are loaded; nothing here is durable, so a copy is grown and takes the place of the old one only
after its group is committed.
Trusts nothing that is loaded before `require_agreement`. Source: RFC 6962 2.1, C2SP tlog-tiles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from federation.protocol.errors import CorruptError
from federation.protocol.tlog.merkle import CompactRange, Node, hash_leaf
from federation.protocol.tlog.tiles import TILE_HEIGHT, TILE_WIDTH

RECENT_NODES = 1024
"""Nodes kept of each level: every receipt of the last 1,024 leaves is proved without a read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The log as committed: its size, root, and right edge (`CompactRange.encode`)."""

    size: int
    root: bytes
    edge: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FullTile:
    """256 hashes of a level, and the hash above them."""

    level: int
    n: int
    root: bytes
    hashes: bytes


class RecentNodes:
    """A bounded map of committed nodes and entries. Written by the one writer, read by any thread."""

    __slots__ = ("_entries", "_levels")

    def __init__(self) -> None:
        self._levels: list[dict[int, bytes]] = [{} for _ in range(64)]
        self._entries: dict[int, bytes] = {}

    def find_entry(self, index: int) -> bytes | None:
        """The entry at that index, or None when it is too old or was written by another process."""
        return self._entries.get(index)

    def remember_entries(self, start: int, entries: Iterable[bytes]) -> None:
        """Adds committed entries; the oldest make room."""
        for index, entry in enumerate(entries, start):
            self._entries[index] = entry
            if len(self._entries) > RECENT_NODES:
                del self._entries[next(iter(self._entries))]

    def find(self, node: Node) -> bytes | None:
        """The node's hash, or None when it is too old or was written by another process."""
        return self._levels[node[0]].get(node[1])

    def remember(self, nodes: Iterable[tuple[int, int, bytes]]) -> None:
        """Adds nodes of committed leaves; the oldest of a level makes room."""
        for level, index, node_hash in nodes:
            row = self._levels[level]
            row[index] = node_hash
            if len(row) > RECENT_NODES:
                del row[next(iter(row))]


@dataclass(slots=True)
class GrowingTree:
    """The right edge and the open tile of each level; `completed` and `full_tiles` are what grew since the copy."""

    edge: CompactRange = field(default_factory=CompactRange)
    open_tiles: list[list[bytes]] = field(default_factory=lambda: [[]])
    completed: list[tuple[int, int, bytes]] = field(default_factory=list)
    full_tiles: list[FullTile] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self.edge.size

    def copy(self) -> GrowingTree:
        """An independent copy without anything new in it."""
        return GrowingTree(self.edge.copy(), [row.copy() for row in self.open_tiles])

    def append(self, entry: bytes) -> int:
        """Appends one entry and returns its index."""
        index = self.edge.size
        nodes = self.edge.append(hash_leaf(entry))
        self.completed += nodes
        self.open_tiles[0].append(nodes[0][2])
        for level, position, node_hash in nodes[TILE_HEIGHT::TILE_HEIGHT]:
            self._close_tile(level // TILE_HEIGHT, position, node_hash)
        return index

    def head(self) -> Head:
        """The head of the tree as it is now."""
        return Head(size=self.edge.size, root=self.edge.root(), edge=self.edge.encode())

    def edge_nodes(self) -> list[tuple[int, int, bytes]]:
        """The nodes of the right edge, largest first."""
        size = self.edge.size
        levels = [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]
        return [(level, (size >> level) - 1, node) for level, node in zip(levels, self.edge.hashes, strict=True)]

    def require_agreement(self) -> None:
        """Compares the edge with the one that the open tiles give.

        Raises:
            CorruptError: LOG_EDGE when they are not of the same tree.
        """
        hashes: list[bytes] = []
        for row in reversed(self.open_tiles):
            edge = CompactRange()
            for node_hash in row:
                edge.append(node_hash)
            hashes += edge.hashes
        if tuple(hashes) != self.edge.hashes:
            raise CorruptError("LOG_EDGE", f"stored entries and tiles do not lead to the head of size {self.size}")

    def _close_tile(self, level: int, position: int, root: bytes) -> None:
        """Moves the full tile below `level` out, and its root into the open tile of `level`."""
        below = self.open_tiles[level - 1]
        if len(below) != TILE_WIDTH:
            raise CorruptError("LOG_TILE", f"expected {TILE_WIDTH} hashes in an open tile, got {len(below)}")
        self.full_tiles.append(FullTile(level=level - 1, n=position, root=root, hashes=b"".join(below)))
        below.clear()
        if len(self.open_tiles) == level:
            self.open_tiles.append([])
        self.open_tiles[level].append(root)
