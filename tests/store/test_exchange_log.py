"""The write door of the log: groups, failing jobs, idempotence, several writers, crashes, full disks."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    CorruptError,
    MalformedError,
    RuleError,
    UnavailableError,
)
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction, commit_group
from federation.store.log_reader import (
    check_log,
    covering_checkpoint,
    find_leaf,
    load_checkpoints,
    load_entries,
    load_head,
)
from federation.store.messages import count_pending, find_message, load_body, pair_state, put_message
from tests.store.samples import (
    BACK,
    JIANGXI,
    NOW,
    OUT,
    append,
    digest_of,
    entry_of,
    grow,
    message_id_of,
    message_of,
    run,
    send,
    slow_leaf,
    slow_root,
)

ROOT = Path(__file__).parents[2]


def refuse(transaction: GroupTransaction) -> int:
    """A job that writes, then finds that it may not."""
    transaction.next_seq(OUT)
    transaction.append_leaf("sent", digest_of("refused"), entry_of("refused"))
    raise RuleError("CASE_CLOSED", "expected an open case")


def test_commit_group_returns_indices_in_order_and_the_durable_head(database: Database) -> None:
    """Each job gets its own outcome; the head covers them all and its root is RFC 6962's."""
    result = commit_group(database, [append(name) for name in range(5)], now=NOW)

    assert result.outcomes == (0, 1, 2, 3, 4)
    assert result.head == load_head(database)
    assert result.head.root == slow_root([slow_leaf(entry_of(name)) for name in range(5)])
    check_log(database)


def test_commit_group_without_jobs_changes_nothing(database: Database) -> None:
    """An empty group has the head of the log and no outcomes."""
    grow(database, range(3))

    result = commit_group(database, [], now=NOW)

    assert (result.head.size, result.outcomes) == (3, ())


def test_commit_group_that_only_reads_leaves_no_checkpoint(database: Database) -> None:
    """Nothing is recorded for signing when nothing grew."""
    grow(database, range(3))

    assert run(database, lambda transaction: transaction.size) == 3
    assert [row.size for row in load_checkpoints(database, 0, 10)] == [3]


def test_append_leaf_again_returns_the_stored_index(database: Database) -> None:
    """A leaf is appended once for each (kind, subject): in the group, in a later one, and after a restart."""
    grow(database, range(3))

    result = commit_group(database, [append(1), append("new"), append("new"), append(1, "expired")], now=NOW)

    assert result.outcomes == (1, 3, 3, 4)
    assert load_head(database).size == 5
    check_log(database)


def test_append_leaf_again_after_reopening_returns_the_stored_index(
    url: str, open_store: Callable[[str], Database]
) -> None:
    """The store, not the process, remembers what was appended."""
    grow(open_store(url), range(300))

    assert run(open_store(url), append(7)) == 7


@pytest.mark.parametrize("subject", ["", "ab", "G" * 64, "A" * 64, "a" * 63 + " ", "aa " * 21 + "a"])
def test_append_leaf_with_a_subject_that_is_no_digest_is_malformed(database: Database, subject: str) -> None:
    """A subject is a digest, so that no personal data can be one."""
    with pytest.raises(MalformedError) as caught:
        run(database, lambda transaction: transaction.append_leaf("sent", subject, b"{}"))
    assert caught.value.reason == "LEAF_SUBJECT"


@pytest.mark.parametrize("entry", [b"", bytes(65_536)], ids=["empty", "too large for a bundle"])
def test_append_leaf_of_wrong_size_is_malformed(database: Database, entry: bytes) -> None:
    """An entry must fit a bundle's two-byte length."""
    with pytest.raises(MalformedError) as caught:
        run(database, lambda transaction: transaction.append_leaf("sent", digest_of(1), entry))
    assert caught.value.reason == "ENTRY_SIZE"


def test_failing_job_takes_nobody_with_it(database: Database) -> None:
    """The others are committed, in order, without a trace of what the failing job wrote."""
    result = commit_group(database, [send(1), refuse, send(2), refuse, send(3)], now=NOW)

    assert [outcome if isinstance(outcome, int) else outcome.reason for outcome in result.outcomes] == [
        1, "CASE_CLOSED", 2, "CASE_CLOSED", 3,
    ]  # fmt: skip
    assert load_head(database).size == result.head.size == 3
    assert find_leaf(database, "sent", digest_of("refused")) is None
    assert pair_state(database, "sent", OUT).count == 3
    check_log(database)


def test_failing_job_alone_leaves_nothing(database: Database) -> None:
    """What a job wrote before it raised is undone."""
    assert isinstance(commit_group(database, [refuse], now=NOW).outcomes[0], RuleError)
    assert load_head(database).size == 0
    assert run(database, send(1)) == 1


def test_job_that_fails_only_in_company_succeeds_alone(database: Database) -> None:
    """A job at odds with another one of its group is judged again alone, against what was committed."""

    def only_first(transaction: GroupTransaction) -> int:
        if transaction.size not in (0, 1):
            raise RuleError("TOO_LATE", "expected to be second at most")
        return append("picky")(transaction)

    def fails_beside_others(transaction: GroupTransaction) -> int:
        if transaction.size == 2:
            raise RuleError("CROWDED", "expected other company")
        return append("shy")(transaction)

    result = commit_group(database, [only_first, append("a"), fails_beside_others], now=NOW)

    assert result.outcomes[:2] == (0, 1)
    assert isinstance(result.outcomes[2], RuleError)
    assert result.head.size == 2


def test_two_jobs_with_one_number_only_one_wins(database: Database) -> None:
    """A pair's number used twice in one group is a conflict of the second message only."""
    jobs = [lambda tx, n=n: put_message(tx, message_of(n, seq=1)) for n in (1, 2)]

    first, second = commit_group(database, [*jobs, append("bystander")], now=NOW).outcomes[:2]

    assert sorted(type(outcome) for outcome in (first, second) if outcome is not None) == [ConflictError]
    assert find_leaf(database, "sent", digest_of("bystander")) == 0


def test_unexpected_exception_in_a_job_is_its_own_failure(database: Database) -> None:
    """What a reader raises over a damaged row keeps no neighbour from being written, and its own writes are undone."""

    def broken(transaction: GroupTransaction) -> int:
        append("x")(transaction)
        raise ZeroDivisionError

    _, failed = commit_group(database, [append("y"), broken], now=NOW).outcomes
    assert isinstance(failed, CorruptError)
    assert failed.reason == "JOB_FAILED"
    assert isinstance(failed.__cause__, ZeroDivisionError)
    assert load_head(database).size == 1
    grow(database, range(2))
    check_log(database)


def test_next_seq_is_contiguous_for_each_pair(database: Database) -> None:
    """Numbers start at 1 for each ordered pair, and a failed group gives its numbers back."""
    numbers = [run(database, lambda tx: (tx.next_seq(OUT), tx.next_seq(OUT), tx.next_seq(BACK))) for _ in range(2)]
    commit_group(database, [refuse], now=NOW)

    assert numbers == [(1, 2, 1), (3, 4, 2)]
    assert run(database, lambda tx: tx.next_seq(OUT)) == 5


def test_checkpoint_is_recorded_once_a_group(database: Database) -> None:
    """What will be signed is written with what it covers, so that a restarted node signs the same."""
    for names in (range(3), range(3, 4), range(4, 300)):
        grow(database, names)

    assert [row.size for row in load_checkpoints(database, 0, 10)] == [3, 4, 300]
    assert [row.size for row in load_checkpoints(database, 3, 1)] == [4]
    assert [covering_checkpoint(database, index).size for index in (0, 2, 3, 4, 299)] == [3, 3, 4, 300, 300]
    assert covering_checkpoint(database, 0).time == NOW
    assert covering_checkpoint(database, 3).root == slow_root([slow_leaf(entry_of(name)) for name in range(4)])


def test_transaction_reads_its_own_writes(database: Database) -> None:
    """A job sees what earlier jobs of its group wrote, before anything is committed."""

    def look(transaction: GroupTransaction) -> tuple[bool, int, int | None]:
        found = find_message(transaction, "sent", message_id_of(1))
        return (
            found is not None,
            pair_state(transaction, "sent", OUT).count,
            find_leaf(transaction, "sent", digest_of(1)),
        )

    outcomes = commit_group(database, [look, send(1), look], now=NOW).outcomes

    assert outcomes[0] == (False, 0, None)
    assert outcomes[2] == (True, 1, 0)


def test_four_threads_do_not_fork_the_log(database: Database) -> None:
    """Four threads appending at once: each index once, the root right (SQLite's default BEGIN gave duplicates)."""
    outcomes: list[int] = []

    def work(name: int) -> None:
        for group in range(15):
            outcomes.extend(commit_group(database, [append((name, group, job)) for job in range(4)], now=NOW).outcomes)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == list(range(240))
    check_log(database)


def test_two_databases_on_one_store_take_turns(url: str, open_store: Callable[[str], Database]) -> None:
    """What a process remembers of the tree is dropped when another one wrote in between."""
    first, second = open_store(url), open_store(url)

    for number in range(1, 40, 2):
        assert run(first, send(number)) == number
        assert run(second, send(number + 1)) == number + 1

    assert load_head(first) == load_head(second)
    check_log(first)


def test_two_processes_do_not_fork_the_log(url: str, open_store: Callable[[str], Database], tmp_path: Path) -> None:
    """Two node processes on one store: contiguous indices and the right root."""
    database = open_store(url)
    children = [_spawn("append", url, str(tmp_path), name, "40") for name in ("a", "b")]
    for child in children:
        assert child.wait(timeout=120) == 0, child.stderr.read()
        child.stdout.close()
        child.stderr.close()

    assert load_head(database).size == 2 * 40 * 7
    check_log(database)
    subjects = {find_leaf(database, "sent", digest_of((name, 39, 6))) for name in ("a", "b")}
    assert None not in subjects


@pytest.mark.parametrize(("step", "size"), [("before-rows", 300), ("before-commit", 300), ("after-commit", 600)])
def test_killed_process_leaves_a_whole_log(
    url: str, open_store: Callable[[str], Database], tmp_path: Path, step: str, size: int
) -> None:
    """SIGKILL at each step: the group is there with all its rows, or not at all, and the log goes on."""
    child = _spawn("crash", url, str(tmp_path), step)
    output, _ = child.communicate(timeout=120)
    assert (child.returncode, output) == (-signal.SIGKILL, b"started\n")

    database = open_store(url)

    assert load_head(database).size == size
    check_log(database)
    assert pair_state(database, "sent", OUT).highest == size
    assert count_pending(database) == {JIANGXI: size}
    assert load_body(database, message_id_of(size)).items[1] == b"second"
    assert run(database, send(1000)) == size + 1
    check_log(database)


def test_failure_after_commit_is_noticed_by_the_next_group(database: Database) -> None:
    """When the process learns nothing of its own commit, the row's epoch tells it."""

    def fail(step: str) -> None:
        if step == "after-commit":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        commit_group(database, [append(1)], now=NOW, crash_point=fail)

    assert commit_group(database, [append(1), append(2)], now=NOW).outcomes == (0, 1)
    check_log(database)


def test_full_disk_is_unavailable_and_loses_nothing(sqlite_path: Path, open_store: Callable[[str], Database]) -> None:
    """SQLITE_FULL for real: the group fails whole, what was committed stays, and it goes on when there is room."""
    database = open_store(f"sqlite:///{sqlite_path}")
    for number in range(1, 11):
        run(database, send(number))
    _limit_pages(database, 3)

    with pytest.raises(UnavailableError) as caught:
        commit_group(database, [send(number) for number in range(11, 2000)], now=NOW)

    assert caught.value.reason == "STORE_FULL"
    assert load_head(database).size == 10
    check_log(database)
    _limit_pages(database, 1_000_000)
    assert run(database, send(11)) == 11
    check_log(database)


def test_log_restored_under_a_running_process_stops_it(database: Database) -> None:
    """A store that went back in time is not written to."""
    grow(database, range(3))
    with database.writing() as connection:
        connection.execute(text("UPDATE log_head SET epoch = 0, size = 0"))

    with pytest.raises(CorruptError) as caught:
        grow(database, range(5))
    assert caught.value.reason == "LOG_HEAD"


def test_head_of_another_tree_stops_the_writer(url: str, open_store: Callable[[str], Database]) -> None:
    """On opening, the edge of the head must be what entries and tiles give."""
    grow(open_store(url), range(3))
    database = open_store(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE log_leaf SET entry = :entry WHERE leaf_index = 1"), {"entry": b"{}"})

    with pytest.raises(CorruptError) as caught:
        grow(database, range(3, 5))
    assert caught.value.reason == "LOG_EDGE"


def test_entries_come_back_byte_for_byte(database: Database) -> None:
    """What was logged is what is read, from memory and from the store."""
    grow(database, range(2000))

    assert load_entries(database, 0, 3) == [entry_of(name) for name in range(3)]
    assert load_entries(database, 1990, 10) == [entry_of(name) for name in range(1990, 2000)]
    assert load_entries(database, 5, 0) == []


def test_outcome_errors_are_of_our_tree(database: Database) -> None:
    """Whatever a job's rows collide with, its outcome is an error that a caller can act on."""
    run(database, send(1))

    outcomes = commit_group(database, [send(1), send(2)], now=NOW).outcomes

    assert isinstance(outcomes[0], ConflictError)
    assert isinstance(outcomes[0], BridgeheadError)
    assert outcomes[0].reason == "MESSAGE_ID_REUSED"
    assert outcomes[1] == 2


def _spawn(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.store.writer_process", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _limit_pages(database: Database, spare: int) -> None:
    """Lets the writer's connection grow the file by that many pages only."""
    with database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + spare}")
