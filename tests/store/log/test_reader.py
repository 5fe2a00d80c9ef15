"""Proofs, tiles, bundles, and the check of the whole log."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import text

from federation.protocol.errors import CorruptError, MalformedError, NotFoundError
from federation.protocol.tlog.merkle import verify_consistency, verify_inclusion
from federation.protocol.tlog.tiles import decode_bundle
from federation.store.database import Database, open_database
from federation.store.log_reader import (
    check_log,
    check_log_sample,
    consistency_proof,
    covering_checkpoint,
    find_leaf,
    inclusion_proof,
    load_entries,
    load_entry_bundle,
    load_head,
    load_root,
    load_tile,
)
from tests.store.samples import KEYS, digest_of, entry_of, grow, slow_leaf, slow_root


@pytest.fixture(scope="module")
def large() -> Database:
    """A log of 66,000 leaves: a full tile of level 1, and proofs that leave memory."""
    database = open_database("sqlite://", keys=KEYS)
    for start in range(0, 66_000, 2_000):
        grow(database, range(start, start + 2_000))
    yield database
    database.close()


def test_tiles_of_a_large_log_are_hashes_of_the_level_below(large: Database) -> None:
    """Hash i of tile n at level l is the root over its 256^l leaves (C2SP tlog-tiles)."""
    hashes = [slow_leaf(entry_of(name)) for name in range(66_000)]
    roots = [slow_root(hashes[at : at + 256]) for at in range(0, 65_536, 256)]

    assert load_tile(large, 0, 3, width=256) == b"".join(hashes[768:1024])
    assert load_tile(large, 0, 257, width=208) == b"".join(hashes[65_792:66_000])
    assert load_tile(large, 1, 0, width=256) == b"".join(roots)
    assert load_tile(large, 1, 1, width=1) == slow_root(hashes[65_536:65_792])
    assert load_tile(large, 2, 0, width=1) == slow_root(roots)
    assert load_head(large).root == load_root(large, 66_000) == slow_root(hashes)


@pytest.mark.parametrize(
    ("index", "size"),
    [(index, 66_000) for index in (0, 255, 256, 40_000, 65_535, 65_536, 65_999)]
    + [(index, 65_999) for index in (0, 255, 256, 40_000, 65_535, 65_536, 65_998)],
)
def test_inclusion_proof_of_a_large_log_verifies(large: Database, index: int, size: int) -> None:
    """Old leaves are proved from tiles, recent ones from memory, under any size that was."""
    proof = inclusion_proof(large, index, size)

    verify_inclusion(slow_leaf(entry_of(index)), index, size=size, proof=proof, root=load_root(large, size))


@pytest.mark.parametrize("old", [0, 1, 255, 256, 40_000, 65_536, 66_000])
def test_consistency_proof_of_a_large_log_verifies(large: Database, old: int) -> None:
    """Every earlier size is a prefix."""
    proof = consistency_proof(large, old, 66_000)

    roots = {"old_root": load_root(large, old), "new_root": load_root(large, 66_000)}
    verify_consistency(old, 66_000, proof=proof, **roots)


def test_check_log_of_a_large_log_finds_nothing_wrong(large: Database) -> None:
    """The whole tree, computed again from the entries."""
    check_log(large)


def test_proofs_are_the_same_with_and_without_memory(url: str, open_store: Callable[[str], Database]) -> None:
    """A restarted node gives the same proofs from its store that it gave from memory."""
    warm = open_store(url)
    for start in range(0, 1500, 300):
        grow(warm, range(start, start + 300))
    cold = open_store(url)

    for index in range(0, 1500, 37):
        assert inclusion_proof(cold, index, 1500) == inclusion_proof(warm, index, 1500)
        assert consistency_proof(cold, index, 1500) == consistency_proof(warm, index, 1500)


@pytest.mark.parametrize(
    ("level", "n", "width"),
    [(0, 0, 0), (0, 0, 257), (0, 1, 45), (0, 2, 1), (1, 0, 2), (2, 0, 1), (64, 0, 1), (-2, 0, 1), (0, -1, 1)],
)
def test_load_tile_beyond_the_log_is_not_found(database: Database, level: int, n: int, width: int) -> None:
    """A tile exists as far as the log does, and an empty one never."""
    grow(database, range(300))

    with pytest.raises(NotFoundError) as caught:
        load_tile(database, level, n, width=width)
    assert caught.value.reason == "TILE"


def test_load_tile_narrower_is_a_prefix(database: Database) -> None:
    """Every width that ever was can be served, of the full tile too."""
    grow(database, range(300))

    assert load_tile(database, 0, 0, width=10) == load_tile(database, 0, 0, width=256)[:320]
    assert load_tile(database, 0, 1, width=10) == load_tile(database, 0, 1, width=44)[:320]
    assert len(load_tile(database, 1, 0, width=1)) == 32


def test_load_entry_bundle_gives_the_entries(database: Database) -> None:
    """Full and partial bundles hold the exact entries; beyond the log there is none."""
    grow(database, range(300))

    assert decode_bundle(load_entry_bundle(database, 0, 256), 256) == tuple(map(entry_of, range(256)))
    assert decode_bundle(load_entry_bundle(database, 1, 44), 44) == tuple(map(entry_of, range(256, 300)))
    assert decode_bundle(load_entry_bundle(database, 0, 1), 1) == (entry_of(0),)
    with pytest.raises(NotFoundError):
        load_entry_bundle(database, 1, 45)


@pytest.mark.parametrize(("start", "count"), [(0, 301), (300, 1), (-1, 1), (0, -1), (5000, 2)])
def test_load_entries_beyond_the_log_is_not_found(database: Database, start: int, count: int) -> None:
    """A range is given whole or not at all."""
    grow(database, range(300))

    with pytest.raises(NotFoundError) as caught:
        load_entries(database, start, count)
    assert caught.value.reason == "LOG_RANGE"


def test_proofs_beyond_the_log_are_refused(database: Database) -> None:
    """No proof for a size that was never reached."""
    grow(database, range(10))

    with pytest.raises(MalformedError):
        inclusion_proof(database, 10, 10)
    with pytest.raises(MalformedError):
        consistency_proof(database, 5, 4)
    with pytest.raises(NotFoundError):
        inclusion_proof(database, 3, 17)
    with pytest.raises(NotFoundError):
        consistency_proof(database, 3, 17)
    with pytest.raises(NotFoundError):
        covering_checkpoint(database, 10)
    with pytest.raises(NotFoundError):
        covering_checkpoint(database, -1)


def test_find_leaf_by_kind_and_subject(database: Database) -> None:
    """Both names count; an unknown one is None."""
    grow(database, range(10))

    assert find_leaf(database, "sent", digest_of(7)) == 7
    assert find_leaf(database, "received", digest_of(7)) is None
    assert find_leaf(database, "sent", digest_of("other")) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE log_leaf SET entry = :blob WHERE leaf_index = 100", "LOG_TILE"),
        ("UPDATE log_leaf SET entry = :blob WHERE leaf_index = 290", "LOG_CHECKPOINT"),
        ("DELETE FROM log_leaf WHERE leaf_index = 100", "LOG_ENTRY"),
        ("UPDATE log_leaf SET leaf_index = 300 WHERE leaf_index = 299", "LOG_ENTRY"),
        ("UPDATE log_tile SET hashes = :blob", "LOG_TILE"),
        ("UPDATE log_tile SET root = :blob", "LOG_TILE"),
        ("DELETE FROM log_tile", "LOG_TILE"),
        ("UPDATE log_checkpoint SET root = :blob", "LOG_CHECKPOINT"),
        ("DELETE FROM log_checkpoint", "LOG_CHECKPOINT"),
        ("UPDATE log_head SET root = :blob", "LOG_HEAD"),
        ("UPDATE log_head SET edge = :blob", "LOG_HEAD"),
        ("DELETE FROM log_head", "LOG_HEAD"),
    ],
)
def test_check_log_of_a_changed_store_is_corrupt(database: Database, change: str, reason: str) -> None:
    """Whatever is changed, lost or put back elsewhere, the check finds it; the cheap one but recorded checkpoints."""
    grow(database, range(300))
    signed = load_head(database)
    check_log_sample(database, size=signed.size, root=signed.root)
    with database.writing() as connection:
        parameters = {"blob": bytes(32)} if ":blob" in change else {}
        connection.execute(text(change), parameters)

    with pytest.raises(CorruptError) as caught:
        check_log(database)
    assert caught.value.reason == reason
    if "log_checkpoint" not in change:
        with pytest.raises(CorruptError):
            check_log_sample(database, size=signed.size, root=signed.root)


def test_check_log_of_a_shortened_head_is_corrupt(database: Database) -> None:
    """Entries beyond the head are the trace of a head that went back."""
    grow(database, range(3))
    first = load_head(database)
    grow(database, range(3, 5))
    with database.writing() as connection:
        values = {"size": first.size, "root": first.root, "edge": first.edge}
        connection.execute(text("UPDATE log_head SET size = :size, root = :root, edge = :edge"), values)

    with pytest.raises(CorruptError) as caught:
        check_log(database)
    assert caught.value.reason == "LOG_ENTRY"


class LogMachine(RuleBasedStateMachine):
    """Any sequence of groups and restarts, compared with the recursive definition over the same entries."""

    def __init__(self) -> None:
        super().__init__()
        self.database = open_database("sqlite://", keys=KEYS)
        self.hashes: list[bytes] = []

    def teardown(self) -> None:
        self.database.close()

    @rule(count=st.one_of(st.integers(1, 9), st.sampled_from([127, 255, 256, 257])))
    def append_group(self, count: int) -> None:
        start = len(self.hashes)
        grow(self.database, range(start, start + count))
        self.hashes += [slow_leaf(entry_of(name)) for name in range(start, start + count)]

    @rule()
    def forget_memory(self) -> None:
        from federation.store.database import RecentNodes

        self.database.recent, self.database.tree, self.database.epoch = RecentNodes(), None, -1

    @precondition(lambda self: self.hashes)
    @rule(choice=st.data())
    def prove(self, choice: st.DataObject) -> None:
        size = choice.draw(st.integers(1, len(self.hashes)))
        index = choice.draw(st.integers(0, size - 1))
        root = slow_root(self.hashes[:size])
        proof = inclusion_proof(self.database, index, size)
        verify_inclusion(self.hashes[index], index, size=size, proof=proof, root=root)
        joined = consistency_proof(self.database, index, size)
        old_root = slow_root(self.hashes[:index])
        verify_consistency(index, size, old_root=old_root, new_root=root, proof=joined)

    @precondition(lambda self: self.hashes)
    @rule(choice=st.data())
    def read_tile(self, choice: st.DataObject) -> None:
        n = choice.draw(st.integers(0, (len(self.hashes) - 1) // 256))
        most = min(256, len(self.hashes) - n * 256)
        width = choice.draw(st.integers(1, most))
        assert load_tile(self.database, 0, n, width=width) == b"".join(self.hashes[n * 256 : n * 256 + width])
        with pytest.raises(NotFoundError):
            load_tile(self.database, 0, n, width=most + 1)

    @invariant()
    def root_is_right(self) -> None:
        head = load_head(self.database)
        assert (head.size, head.root) == (len(self.hashes), slow_root(self.hashes))

    @invariant()
    def log_checks(self) -> None:
        check_log(self.database)


LogMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
TestLogMachine = LogMachine.TestCase
