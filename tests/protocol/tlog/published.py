"""What a log publishes when it grows: which tiles and bundles a mirror must write."""

from __future__ import annotations

from collections.abc import Iterator

from federation.protocol.tlog.tiles import ENTRIES, Tile, level_shape


def tiles_between(old_size: int, new_size: int) -> Iterator[Tile]:
    """Lists the tiles and bundles to publish when a log grows, each in its form at the new size."""
    level = ENTRIES
    while (shape := level_shape(new_size, level)) != (0, 0):
        old_shape = level_shape(old_size, level)
        full, partial = shape
        yield from (Tile(level, index) for index in range(old_shape[0], full))
        if partial and old_shape != shape:
            yield Tile(level, full, partial)
        level += 1
