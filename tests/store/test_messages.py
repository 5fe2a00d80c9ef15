"""Messages and bodies."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from federation.protocol.body import Body
from federation.protocol.errors import ConflictError, CorruptError, MalformedError, NotFoundError
from federation.protocol.form import replace
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction, commit_group
from federation.store.log_reader import find_leaf
from federation.store.messages import (
    PairState,
    erase_body,
    find_by_digest,
    find_by_leaf,
    find_by_seq,
    find_message,
    list_messages,
    load_body,
    pair_state,
    put_body,
    put_message,
)
from tests.store.samples import (
    BACK,
    NOW,
    OUT,
    append,
    body_of,
    digest_of,
    entry_of,
    message_id_of,
    message_of,
    missing_numbers,
    run,
    send,
)


def test_put_message_comes_back_equal_by_every_name(database: Database) -> None:
    """Id, number, leaf and digest lead to the same message, byte for byte."""
    message = replace(message_of(1, seq=1), reply=b"reply \x00\xff")

    def job(transaction: GroupTransaction) -> None:
        transaction.append_leaf("sent", message.digest, entry_of(1))
        put_message(transaction, message)

    run(database, job)

    assert find_message(database, "sent", message.id) == message
    assert find_by_seq(database, "sent", OUT, seq=1) == message
    assert find_by_leaf(database, "sent", 0) == message
    assert find_by_digest(database, "sent", message.digest) == message


def test_find_message_that_is_not_there_is_none(database: Database) -> None:
    """Other ids, directions, numbers, pairs and digests are nothing."""
    run(database, send(1))

    assert find_message(database, "received", message_id_of(1)) is None
    assert find_message(database, "sent", message_id_of(2)) is None
    assert find_by_seq(database, "sent", BACK, seq=1) is None
    assert find_by_leaf(database, "received", 0) is None
    assert find_by_digest(database, "sent", digest_of(2)) is None
    assert find_by_digest(database, "received", digest_of(1)) is None
    with pytest.raises(MalformedError):
        find_by_digest(database, "sent", "no digest")


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (message_of(1, seq=1), "MESSAGE_ID_REUSED"),
        (message_of(1, seq=2), "MESSAGE_ID_REUSED"),
        (message_of(2, seq=1), "SEQUENCE_REUSED"),
    ],
    ids=["the same again", "same id, other number", "other id, same number"],
)
def test_put_message_under_a_used_name_is_a_conflict(database: Database, second, reason: str) -> None:
    """An id and a number name one message for ever; the others of the group are not touched."""
    run(database, lambda tx: put_message(tx, message_of(1, seq=1)))

    outcomes = commit_group(database, [lambda tx: put_message(tx, second), append("bystander")], now=NOW).outcomes

    assert isinstance(outcomes[0], ConflictError)
    assert outcomes[0].reason == reason
    assert find_leaf(database, "sent", digest_of("bystander")) == outcomes[1] == 0
    assert pair_state(database, "sent", OUT) == PairState(1, 1)
    assert find_message(database, "sent", message_id_of(1)) == message_of(1, seq=1)


def test_put_message_same_names_other_direction_is_another_message(database: Database) -> None:
    """What was sent and what was received are numbered apart."""
    run(database, lambda tx: put_message(tx, message_of(1, seq=1)))
    run(database, lambda tx: put_message(tx, message_of(1, seq=1, direction="received")))
    run(database, lambda tx: put_message(tx, message_of(2, seq=1, direction="received", pair=BACK)))

    assert find_message(database, "received", message_id_of(1)).direction == "received"


def test_pair_state_tells_that_there_are_gaps(database: Database) -> None:
    """Messages may come in any order; how many there are stands beside the highest number."""
    received = (9, 1, 2, 5)
    for seq in received:
        run(database, lambda tx, seq=seq: put_message(tx, message_of(seq, seq=seq, direction="received")))

    assert pair_state(database, "received", OUT) == PairState(4, 9)
    assert missing_numbers(database, "received", pair=OUT) == [3, 4, 6, 7, 8]
    assert missing_numbers(database, "received", pair=BACK) == []


def test_list_messages_gives_pages_in_order(database: Database) -> None:
    """An auditor reads a pair's messages page by page."""
    commit_group(database, [send(number) for number in range(1, 8)], now=NOW)

    first = list_messages(database, "sent", pair=OUT, after_seq=0, limit=3)
    rest = list_messages(database, "sent", pair=OUT, after_seq=first[-1].seq, limit=100)

    assert [message.seq for message in first + rest] == list(range(1, 8))
    assert list_messages(database, "sent", pair=BACK, after_seq=0, limit=3) == []


def test_load_body_gives_salt_and_items(database: Database) -> None:
    """A body comes back equal, large items and empty ones included."""
    body = Body(type="text/plain; charset=utf-8", salt=bytes(32), items=(b"", bytes(70_000), "浙江".encode()))
    run(database, lambda tx: put_body(tx, message_id_of(1), body))

    assert load_body(database, message_id_of(1)) == body


def test_put_body_twice_is_a_conflict(database: Database) -> None:
    """A body is stored once."""
    run(database, send(1))

    with pytest.raises(ConflictError) as caught:
        run(database, lambda tx: put_body(tx, message_id_of(1), body_of(2)))
    assert caught.value.reason == "MESSAGE_ID_REUSED"
    assert load_body(database, message_id_of(1)) == body_of(1)


def test_erase_body_destroys_salt_and_items_only(database: Database) -> None:
    """After an erasure the message and its leaf stay; the body is gone, and erasing again finds nothing."""
    run(database, send(1))

    assert run(database, lambda tx: erase_body(tx, message_id_of(1))) is True
    assert run(database, lambda tx: erase_body(tx, message_id_of(1))) is False

    with pytest.raises(NotFoundError) as caught:
        load_body(database, message_id_of(1))
    assert caught.value.reason == "BODY"
    assert find_message(database, "sent", message_id_of(1)) is not None
    assert find_leaf(database, "sent", digest_of(1)) == 0


def test_load_body_moved_to_another_message_is_corrupt(database: Database) -> None:
    """One who can write to the store can not pass one person's body off as another's."""
    commit_group(database, [send(1), send(2)], now=NOW)
    with database.writing() as connection:
        swap = "UPDATE message_body SET content = (SELECT content FROM message_body WHERE message_id = :a) WHERE message_id = :b"
        connection.execute(text(swap), {"a": message_id_of(1), "b": message_id_of(2)})

    with pytest.raises(CorruptError) as caught:
        load_body(database, message_id_of(2))
    assert caught.value.reason == "SEALED_VALUE"


def test_list_messages_of_some_kinds_leaves_the_others_out(database: Database) -> None:
    """Those named, with their numbers as they are; none named means all."""

    def job(transaction: GroupTransaction) -> None:
        for seq, kind in enumerate(("permit.sync", "lookup.search", "permit.sync", "lookup.fetch"), start=1):
            put_message(transaction, replace(message_of(seq, seq=seq), kind=kind, leaf_index=seq))

    run(database, job)

    kinds = ("lookup.fetch", "lookup.search")
    found = list_messages(database, "sent", pair=OUT, after_seq=1, limit=9, kinds=kinds)
    assert [(each.seq, each.kind) for each in found] == [(2, "lookup.search"), (4, "lookup.fetch")]
    assert len(list_messages(database, "sent", pair=OUT, after_seq=1, limit=9)) == 3
