"""Where a log's files come from, and how they are read ahead."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from federation.audit.fetch import LogSource, feed, fetch_proven, load_cut
from federation.audit.leaves import rules_of
from federation.audit.verify_log import LogAccount, LogCheck, LogTask
from federation.protocol.errors import MalformedError, NotFoundError, UnavailableError, UntrustedError
from federation.protocol.tlog.tiles import ENTRIES, Tile
from tests.audit.provinces import JIANGXI, NOW, ZHEJIANG, Province, Provinces
from tests.protocol.tlog.published import tiles_between


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """A log as files in one directory: a mirror, or a copy that was handed over."""

    path: Path

    async def checkpoint(self) -> bytes:
        return self._read("checkpoint")

    async def load(self, tile: Tile) -> bytes:
        return self._read(str(tile))

    async def cosigned(self, origin: str) -> bytes:
        return self._read(f"{sha256(origin.encode()).hexdigest()}/checkpoint")

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError("TILE", f"expected the file {name}, got none") from error
        except OSError as error:
            raise UnavailableError("FILE", f"expected to read {name}, got {error.strerror}") from error


@pytest.fixture(scope="module")
def provinces() -> Provinces:
    found = Provinces()
    for _ in range(700):
        found.send(ZHEJIANG, JIANGXI)
    return found


@pytest.fixture
def log(provinces: Provinces) -> Province:
    provinces[ZHEJIANG].tampered.clear()
    return provinces[ZHEJIANG]


def read(provinces: Provinces, source: LogSource, size: int) -> LogAccount:
    head = provinces[ZHEJIANG].head(size)
    check = LogCheck(LogTask(node=ZHEJIANG, head=head), rules_of(provinces.agreement, NOW))
    asyncio.run(feed(source, check, size))
    return check.finish()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 700])
def test_feed_reads_logs_of_any_size_whole(provinces: Provinces, log: Province, size: int) -> None:
    """Full and partial bundles and tiles, at every border."""
    account = read(provinces, log, size)

    assert account.complete
    assert account.read == size
    assert account.findings == ()


def test_feed_from_a_directory_reads_the_same(provinces: Provinces, log: Province, tmp_path: Path) -> None:
    """A copy on disk is as good as the node."""
    for tile in tiles_between(0, 700):
        path = tmp_path / str(tile)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(asyncio.run(log.load(tile)))
    (tmp_path / "checkpoint").write_bytes(log.note())
    source = DirectorySource(tmp_path)

    assert read(provinces, source, 700).complete
    assert asyncio.run(fetch_proven(source, log.vkey, 699)).entry == log.entries[699]


def test_directory_gives_what_was_cosigned_by_the_hash_of_the_origin(log: Province, tmp_path: Path) -> None:
    """The path of C2SP tlog-witness."""
    folder = tmp_path / sha256(log.vkey.name.encode()).hexdigest()
    folder.mkdir()
    (folder / "checkpoint").write_bytes(b"note")
    source = DirectorySource(tmp_path)

    assert asyncio.run(source.cosigned(log.vkey.name)) == b"note"
    with pytest.raises(NotFoundError):
        asyncio.run(source.checkpoint())
    with pytest.raises(UnavailableError):
        asyncio.run(DirectorySource(tmp_path).load(folder_as_tile(tmp_path)))


def folder_as_tile(tmp_path: Path) -> Tile:
    tile = Tile(0, 0)
    (tmp_path / str(tile)).mkdir(parents=True)
    return tile


def test_partial_file_that_is_gone_is_cut_off_the_full_one(log: Province) -> None:
    """A log may drop partial files once the full ones exist (C2SP tlog-tiles)."""
    for level in (0, ENTRIES):
        partial = Tile(level, 1, 44)
        expected = asyncio.run(log.load(partial))
        log.tampered[str(partial)] = None

        assert asyncio.run(load_cut(log, partial)) == expected


def test_file_that_is_too_large_is_none(log: Province) -> None:
    """What no tile can be is no tile; the audit goes on."""

    class TooLarge(DirectorySource):
        async def load(self, tile: Tile) -> bytes:
            raise MalformedError("READ_SIZE", "too large")

    assert asyncio.run(load_cut(TooLarge(Path()), Tile(0, 0))) is None


def test_feed_of_a_source_that_dies_raises(provinces: Provinces, log: Province) -> None:
    """Whoever runs the audit decides what an unreachable node means."""

    class Dying:
        async def load(self, tile: Tile) -> bytes:
            if tile.index > 1:
                raise UnavailableError("READ_FAILED", "gone")
            return await log.load(tile)

    with pytest.raises(UnavailableError):
        read(provinces, Dying(), 700)  # type: ignore[arg-type]


def test_proof_of_an_entry_under_a_forged_tile_is_refused(log: Province) -> None:
    """Tiles are hints; the signed root decides."""
    log.tampered[str(Tile(0, 0))] = bytes(256 * 32)

    with pytest.raises(UntrustedError):
        asyncio.run(fetch_proven(log, log.vkey, 3))


def test_proof_of_an_entry_from_a_short_tile_is_refused(log: Province) -> None:
    """A tile has the width that was asked for."""
    log.tampered[str(Tile(0, 0))] = bytes(32)

    with pytest.raises(MalformedError):
        asyncio.run(fetch_proven(log, log.vkey, 3))
