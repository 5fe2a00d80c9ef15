"""The outbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from federation.protocol.errors import ConflictError
from federation.protocol.receipt import Receipt
from federation.store import messages
from federation.store.database import Database
from federation.store.exchange_log import commit_group
from federation.store.messages import (
    count_expired,
    count_pending,
    each_queued,
    expire_outbox,
    find_outbox,
    find_outbox_state,
    load_pending,
    oldest_pending,
    put_outbox,
    reject_outbox,
    settle_outbox,
)
from federation.store.tables import MESSAGE_BODY
from tests.store.samples import FUJIAN, JIANGXI, NOW, OUT, body_of, digest_of, message_id_of, message_of, run, send

RECEIPT = Receipt(leaf=b"leaf", proof=b"proof")


@pytest.fixture
def five(database: Database) -> Database:
    """Five messages waiting for jiangxi."""
    commit_group(database, [send(number) for number in range(1, 6)], now=NOW)
    return database


def pending(database: Database, **limits: int) -> list[int]:
    """The numbers that are waiting for jiangxi."""
    limits = {"after_seq": 0, "limit": 100, "max_bytes": 1_000_000, **limits}
    return [message.seq for message in load_pending(database, JIANGXI, **limits)]


def test_load_pending_gives_all_that_delivery_needs(five: Database) -> None:
    """Envelope, digest, body and expiry, in the order of the numbers."""
    found = load_pending(five, JIANGXI, after_seq=1, limit=1, max_bytes=1_000_000)[0]

    assert (found.id, found.seq, found.digest) == (message_id_of(2), 2, digest_of(2))
    assert (found.envelope, found.body) == (b"envelope 2", body_of(2))
    assert found.expires == NOW + timedelta(hours=1)


def test_load_pending_keeps_to_its_limits(five: Database) -> None:
    """By number, by count and by bytes; the first always comes, or a large one would block the queue."""
    assert pending(five) == [1, 2, 3, 4, 5]
    assert pending(five, after_seq=3) == [4, 5]
    assert pending(five, limit=2) == [1, 2]
    assert pending(five, max_bytes=1) == [1]
    assert pending(five, max_bytes=350) == [1, 2]
    assert load_pending(five, FUJIAN, after_seq=0, limit=9, max_bytes=9) == []


def test_load_pending_of_a_message_without_body(database: Database) -> None:
    """A statement alone is delivered too."""
    from federation.store.messages import put_message

    run(database, lambda tx: put_message(tx, message_of(1, seq=1)))
    run(database, lambda tx: put_outbox(tx, message_id=message_id_of(1), peer=JIANGXI, seq=1, expires=NOW))

    assert load_pending(database, JIANGXI, after_seq=0, limit=9, max_bytes=9)[0].body is None


def test_settle_takes_off_the_queue_and_keeps_the_receipt(five: Database) -> None:
    """A receipted message is settled with its receipt, and listed as such."""
    run(five, lambda tx: settle_outbox(tx, [(message_id_of(2), RECEIPT), (message_id_of(4), RECEIPT)]))

    row = find_outbox(five, message_id_of(2))
    assert (row.state, row.receipt_leaf, row.receipt_proof, row.peer, row.seq) == (
        "settled",
        b"leaf",
        b"proof",
        JIANGXI,
        2,
    )
    assert pending(five) == [1, 3, 5]
    assert count_pending(five) == {JIANGXI: 3}


def test_settle_nothing_changes_nothing(five: Database) -> None:
    """An empty list is no write."""
    run(five, lambda tx: settle_outbox(tx, []))

    assert count_pending(five) == {JIANGXI: 5}


def test_a_receipt_is_never_overwritten(five: Database) -> None:
    """Settled is final: no other receipt, no rejection, no expiry comes after it."""
    message_id = message_id_of(1)
    run(five, lambda tx: settle_outbox(tx, [(message_id, RECEIPT)]))
    run(five, lambda tx: settle_outbox(tx, [(message_id, Receipt(leaf=b"other", proof=b"other"))]))
    run(five, lambda tx: reject_outbox(tx, message_id, "LATE"))
    run(five, lambda tx: expire_outbox(tx, message_id))

    row = find_outbox(five, message_id)
    assert (row.state, row.receipt_leaf, row.last_error) == ("settled", b"leaf", None)


def test_a_receipt_after_expiry_still_settles(five: Database) -> None:
    """The peer had it in time; only its answer was late. A rejected message stays rejected."""
    run(five, lambda tx: expire_outbox(tx, message_id_of(1)))
    run(five, lambda tx: reject_outbox(tx, message_id_of(2), "BODY_COMMITMENT"))
    run(five, lambda tx: settle_outbox(tx, [(message_id_of(1), RECEIPT), (message_id_of(2), RECEIPT)]))

    assert find_outbox_state(five, message_id_of(1)) == "settled"
    rejected = find_outbox(five, message_id_of(2))
    assert (rejected.state, rejected.last_error, rejected.receipt_leaf) == ("rejected", "BODY_COMMITMENT", None)


def test_put_and_settle_in_one_group(database: Database) -> None:
    """A row that was queued in the same transaction can be settled in it."""
    jobs = [send(1), lambda tx: settle_outbox(tx, [(message_id_of(1), RECEIPT)]), send(2)]

    commit_group(database, jobs, now=NOW)

    assert find_outbox_state(database, message_id_of(1)) == "settled"
    assert find_outbox_state(database, message_id_of(2)) == "pending"


def test_put_outbox_twice_is_a_conflict(five: Database) -> None:
    """A message is queued once."""
    with pytest.raises(ConflictError) as caught:
        run(five, lambda tx: put_outbox(tx, message_id=message_id_of(1), peer=FUJIAN, seq=1, expires=NOW))
    assert caught.value.reason == "MESSAGE_ID_REUSED"
    assert find_outbox(five, message_id_of(1)).peer == JIANGXI


def test_find_outbox_of_an_unknown_message_is_none(five: Database) -> None:
    """Nothing was queued under that id."""
    assert find_outbox(five, message_id_of(99)) is None
    assert find_outbox_state(five, message_id_of(99)) is None
    assert OUT.recipient in count_pending(five)


def test_age_and_expiries_of_the_queue_are_read_by_peer(five: Database) -> None:
    """The longest waiting one counts, not the newest; what has expired waits no more and is counted by itself."""
    assert (oldest_pending(five), count_expired(five)) == ({JIANGXI: NOW + timedelta(milliseconds=1)}, {})

    run(five, lambda tx: [expire_outbox(tx, message_id_of(number)) for number in range(1, 6)])

    assert (oldest_pending(five), count_expired(five)) == ({}, {JIANGXI: 5})


def test_each_queued_goes_peer_by_peer_behind_what_cannot_be_done(five: Database, monkeypatch) -> None:
    """In the order of the numbers, a page at a time, each once; of peers that are not asked for, nothing."""
    monkeypatch.setattr(messages, "_AT_ONCE", 2)
    run(five, lambda tx: put_outbox(tx, message_id=message_id_of(9), peer=FUJIAN, seq=1, expires=NOW))
    run(five, lambda tx: expire_outbox(tx, message_id_of(3), state="missed"))

    assert list(each_queued(five, "pending", to=lambda _: True)) == [message_id_of(n) for n in (9, 1, 2, 4, 5)]
    assert list(each_queued(five, "pending", to=lambda peer: peer == FUJIAN)) == [message_id_of(9)]
    assert list(each_queued(five, "missed", to=lambda _: True)) == [message_id_of(3)]
    assert list(each_queued(five, "unheard", to=lambda _: True)) == []


def test_message_with_a_damaged_body_comes_with_its_fault(five: Database) -> None:
    """It is not sent, and those behind it come as ever."""
    with five.writing() as connection:
        connection.execute(
            update(MESSAGE_BODY).where(MESSAGE_BODY.c.message_id == message_id_of(2)).values(content=b"x")
        )

    found = load_pending(five, JIANGXI, after_seq=0, limit=9, max_bytes=1_000_000)

    assert [bool(each.fault) for each in found] == [False, True, False, False, False]
