"""What this node cosigned last for other logs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import pytest

from federation.protocol.errors import ConflictError
from federation.protocol.form import replace
from federation.protocol.tlog.witness import WitnessState
from federation.store.database import Database
from federation.store.witness_state import MAX_FORKS, advance_witness_state, find_witness_state, keep_fork, list_forks
from tests.store.samples import NOW

ORIGIN = "jiangxi.example/log/2126"
FIRST = WitnessState(size=5, root=b"a" * 32, cosign_time=NOW)
SECOND = WitnessState(size=9, root=b"b" * 32, cosign_time=NOW + timedelta(seconds=1))


def test_advance_from_nothing_and_on(database: Database) -> None:
    """The first state, then the next, each with the checkpoint that was cosigned."""
    assert find_witness_state(database, ORIGIN) is None
    advance_witness_state(database, ORIGIN, last=None, state=FIRST, note=b"note 5")
    found = find_witness_state(database, ORIGIN)
    assert (found.size, found.root, found.cosign_time, found.note) == (5, b"a" * 32, NOW, b"note 5")

    advance_witness_state(database, ORIGIN, last=found, state=SECOND, note=b"note 9")
    assert find_witness_state(database, ORIGIN).size == 9
    assert find_witness_state(database, "other.example/log") is None


def test_advance_on_a_state_that_moved_is_a_race(database: Database) -> None:
    """A decision on an old state is not written."""
    advance_witness_state(database, ORIGIN, last=None, state=FIRST, note=b"5")
    advance_witness_state(database, ORIGIN, last=FIRST, state=SECOND, note=b"9")

    for last in (None, FIRST, replace(SECOND, root=b"x" * 32)):
        with pytest.raises(ConflictError) as caught:
            advance_witness_state(database, ORIGIN, last=last, state=replace(SECOND, size=12), note=b"12")
        assert caught.value.reason == "WITNESS_RACE"
    assert find_witness_state(database, ORIGIN).note == b"9"


@pytest.mark.parametrize(
    "state",
    [replace(FIRST, size=4), replace(FIRST, root=b"x" * 32), replace(FIRST, cosign_time=NOW - timedelta(seconds=1))],
    ids=["smaller", "another root of the same size", "earlier"],
)
def test_advance_backwards_is_refused(database: Database, state: WitnessState) -> None:
    """No decision, however it came about, takes a witness back."""
    advance_witness_state(database, ORIGIN, last=None, state=FIRST, note=b"5")

    with pytest.raises(ConflictError) as caught:
        advance_witness_state(database, ORIGIN, last=FIRST, state=state, note=b"x")
    assert caught.value.reason == "WITNESS_BACK"


def test_advance_from_two_threads_only_one_wins(database: Database) -> None:
    """Two requests that were decided on one state: one is cosigned."""
    advance_witness_state(database, ORIGIN, last=None, state=FIRST, note=b"5")
    outcomes: list[str] = []

    def work(root: bytes) -> None:
        try:
            advance_witness_state(database, ORIGIN, last=FIRST, state=replace(SECOND, root=root), note=root)
            outcomes.append("moved")
        except ConflictError as error:
            outcomes.append(error.reason)

    threads = [threading.Thread(target=work, args=(bytes([at]) * 32,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["WITNESS_RACE"] * 3 + ["moved"]


def test_state_survives_reopening(url: str, open_store: Callable[[str], Database]) -> None:
    """It was durable before the answer left."""
    advance_witness_state(open_store(url), ORIGIN, last=None, state=FIRST, note=b"5")

    assert find_witness_state(open_store(url), ORIGIN).size == 5


def test_find_by_origin_hash(database: Database) -> None:
    """The published path names the origin by its SHA-256."""
    advance_witness_state(database, ORIGIN, last=None, state=FIRST, note=b"5")

    assert find_witness_state(database, ORIGIN, origin_hash=sha256(ORIGIN.encode()).hexdigest()) is not None
    assert find_witness_state(database, ORIGIN, origin_hash="0" * 64) is None


def test_forks_are_kept_once_a_size_and_sixteen_a_log(database: Database) -> None:
    """Proof of misbehaviour is never overwritten, never doubled, and cannot be made to grow."""
    assert keep_fork(database, ORIGIN, size=5, notes=(b"one", b"two"), now=NOW)
    assert not keep_fork(database, ORIGIN, size=5, notes=(b"one", b"three"), now=NOW + timedelta(seconds=1))
    for size in range(6, 40):
        keep_fork(database, ORIGIN, size=size, notes=(b"one", b"two"), now=NOW)

    kept = list_forks(database, ORIGIN)
    assert [row.size for row in kept] == list(range(5, 5 + MAX_FORKS))
    assert (kept[0].notes, kept[0].time) == ((b"one", b"two"), NOW)
    assert list_forks(database, "other.example/log") == []
