"""Collections: values kept as records, found again, listed page by page while others write, found when due."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.protocol.errors import ConflictError, MalformedError
from federation.protocol.form import replace
from federation.store.collection import Collection, page_behind
from federation.store.database import Database, open_database
from federation.store.records import erase_records_of, list_versions
from tests.store.samples import KEYS, SECRET_NUMBER, ZHEJIANG, run

DAY = date(2026, 11, 23)


@dataclass(frozen=True)
class Note:
    """Something about a person, due on a day while it is open."""

    name: str
    words: str = ""
    version: int = 1
    number: str = SECRET_NUMBER
    due: date | None = None


def collection(**changes) -> Collection[Note]:
    made = Collection(
        kind="note",
        encode=lambda note: f"{note.version}\n{note.due or ''}\n{note.words}".encode(),
        decode=lambda record: Note(
            name=record.id, words=record.content.decode().split("\n", 2)[2], version=record.version,
            number=record.subject or "", due=record.due_date,
        ),
        id=lambda note: note.name,
        replica=False,
        version=lambda note: note.version,
        due=lambda note: note.due,
        subject=lambda note: note.number,
    )  # fmt: skip
    return replace(made, **changes)


NOTES, REPLICAS = collection(), collection(replica=True)


def put(database: Database, *notes: Note, into: Collection[Note] = NOTES) -> list[bool]:
    return run(database, lambda tx: [into.put(tx, note, owner=ZHEJIANG) for note in notes])


def names(notes) -> list[str]:
    return [note.name for note in notes]


@pytest.mark.parametrize("into", [NOTES, REPLICAS], ids=["own", "replica"])
def test_put_comes_back_equal_by_id_and_by_subject(database: Database, into: Collection[Note]) -> None:
    """The newest version, whole; nothing under another name or about another person."""
    note = Note("a", "words", due=DAY)
    assert put(database, note, into=into) == [True]

    assert into.find(database, "a") == note
    assert into.find(database, "b") is None
    assert into.by_subject(database, SECRET_NUMBER) == [note]
    assert into.by_subject(database, "330822212603070012") == []
    assert run(database, lambda tx: into.erase(tx, "a")) is True
    assert into.find(database, "a") is None


def test_two_steps_on_one_value_are_a_conflict_and_an_older_replica_is_passed_over(database: Database) -> None:
    """Of our own, who comes second learns it; of another's, the newest stays whatever the order of arrival."""
    put(database, Note("a"))
    put(database, Note("a", version=2))
    with pytest.raises(ConflictError, match="VERSION_CONFLICT"):
        put(database, Note("a", version=2))
    assert [record.version for record in list_versions(database, "note", "a")] == [1, 2]

    assert put(database, Note("a", version=7), into=REPLICAS) == [True]
    assert put(database, Note("a", version=6), into=REPLICAS) == [False]
    assert REPLICAS.find(database, "a") == Note("a", version=7)


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_go_through_all_of_a_prefix_while_others_are_written(database: Database, newest_first: bool) -> None:
    """What is written meanwhile, in front or behind, makes no value come twice and none be passed over."""
    put(database, *(Note(f"x/{number:02}") for number in range(10, 50, 10)), Note("w/1"), Note("y/1"))
    seen: list[str] = []
    token = ""
    for written in ("x/09", "x/99", "x/25"):
        page = NOTES.page(database, limit=2, token=token, under="x/", newest_first=newest_first)
        seen += names(page.values)
        token = page.next_token
        put(database, Note(written))
        if not token:
            break

    assert [name for name in seen if not name.endswith(("5", "9"))] == sorted(
        ["x/10", "x/20", "x/30", "x/40"], reverse=newest_first
    )
    assert len(seen) == len(set(seen))


def test_page_gives_wanted_values_only_and_no_token_at_the_end(database: Database) -> None:
    """A page is full while there are wanted ones; an empty token alone is the end."""
    put(database, *(Note(f"{number:03}", "wanted" if number % 7 == 0 else "") for number in range(30)))

    def wanted(note: Note) -> bool:
        return note.words == "wanted"

    first = NOTES.page(database, limit=3, wanted=wanted)
    second = NOTES.page(database, limit=3, token=first.next_token, wanted=wanted)

    assert names(first.values) == ["000", "007", "014"]
    assert names(second.values) == ["021", "028"]
    assert second.next_token == ""
    assert NOTES.page(database, limit=5, wanted=wanted).next_token == ""


def test_token_says_nothing_and_opens_for_its_own_list_alone(database: Database) -> None:
    """No id shows in it; another list's, a changed one and any text are refused."""
    put(database, *(Note(f"secret/{number}") for number in range(5)))
    token = NOTES.page(database, limit=2, under="secret/").next_token

    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"secret" not in sealed
    assert names(NOTES.page(database, limit=9, under="secret/", token=token).values) == [
        "secret/2", "secret/3", "secret/4",
    ]  # fmt: skip
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    for wrong in (flipped, token[:-4], "2", "secret/1", "%%%", "日本", "A" * 400):
        with pytest.raises(MalformedError, match="PAGE_TOKEN"):
            NOTES.page(database, limit=2, under="secret/", token=wrong)
    for other in (
        {"under": ""}, {"under": "secret/", "newest_first": True},
    ):  # fmt: skip
        with pytest.raises(MalformedError, match="PAGE_TOKEN"):
            NOTES.page(database, limit=2, token=token, **other)
    with pytest.raises(MalformedError, match="PAGE_TOKEN"):
        collection(kind="other").page(database, limit=2, under="secret/", token=token)


def test_due_values_come_by_day_and_those_without_a_day_do_not(database: Database) -> None:
    """The earliest first, each once, over pages of them; that day itself is not before it."""
    days = [DAY + timedelta(days=number // 150) for number in range(450)]
    put(database, *(Note(f"{449 - number:03}", due=day) for number, day in enumerate(days)), Note("none"))

    found = list(NOTES.each_due(database, before=DAY + timedelta(days=2)))

    assert [note.due for note in found] == days[:300]
    assert len(set(names(found))) == 300
    assert list(NOTES.each_due(database, before=DAY)) == []
    assert list(NOTES.each_due(database, before=date.max, division="330822")) == []


def test_page_of_a_list_ordered_in_memory_goes_on_behind_the_last_shown() -> None:
    """Though what was shown has gone and others have come in front."""

    def page(*words: str, token: str = "", name: str = "words"):
        return page_behind(
            KEYS, name, lambda after: ((word, word) for word in sorted(words) if word > after), limit=2, token=token
        )

    first = page("b", "d", "f", "h")
    second = page("a", "d", "e", "f", "h", token=first.next_token)

    assert (first.values, second.values) == (("b", "d"), ("e", "f"))
    assert page("b", "d").next_token == ""
    assert page("h", token=second.next_token).values == ("h",)
    with pytest.raises(MalformedError, match="PAGE_TOKEN"):
        page("h", token=second.next_token, name="others")


def test_values_of_a_division_and_no_others(database: Database) -> None:
    """By id, through more than one read."""
    of = collection(division=lambda note: note.words)
    run(
        database,
        lambda tx: [of.put(tx, Note(f"{number:03}", str(number % 2)), owner=ZHEJIANG) for number in range(450)],
    )

    assert names(of.each_in(database, "1")) == [f"{number:03}" for number in range(1, 450, 2)]


def test_values_die_with_their_message_unless_a_rule_keeps_them(database: Database) -> None:
    """As every record does."""
    kept = collection(kind="kept", kept_under="provision")

    def receive(transaction) -> None:
        with transaction.carrying("m-1"):
            NOTES.put(transaction, Note("a"), owner=ZHEJIANG)
            kept.put(transaction, Note("a"), owner=ZHEJIANG)

    run(database, receive)
    run(database, lambda tx: erase_records_of(tx, "m-1"))

    assert NOTES.find(database, "a") is None
    assert kept.find(database, "a") == Note("a")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ids=st.sets(st.text("ab/01", min_size=1, max_size=4), max_size=30),
    limit=st.integers(1, 7),
    under=st.sampled_from(["", "a", "a/"]),
    newest_first=st.booleans(),
)
def test_pages_together_are_the_whole_list(ids: set[str], limit: int, under: str, newest_first: bool) -> None:
    """For any ids, prefix, order and size of a page."""
    database = open_database("sqlite://", keys=KEYS)
    put(database, *map(Note, ids), Note("~"))
    seen: list[str] = []
    token = ""
    while True:
        page = NOTES.page(database, limit=limit, token=token, under=under, newest_first=newest_first)
        seen += names(page.values)
        token = page.next_token
        if not token:
            break

    expected = {name for name in {*ids, "~"} if name.startswith(under) and name > under}
    assert seen == sorted(expected, reverse=newest_first)
    assert names(NOTES.each(database, under=under, newest_first=newest_first)) == seen
    database.close()
