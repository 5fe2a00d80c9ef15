"""Forms: one spelling for each value, a fault named without the value, and nothing shown of a person."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.protocol.form import (
    Count,
    Digest,
    Item,
    Positive,
    Row,
    Text,
    Time,
    always,
    decode,
    encode,
    from_object,
    load_toml,
    parse_toml,
    replace,
    to_object,
)
from federation.protocol.ids import AgencyId, MessageId, NodeName, checked, typed
from federation.protocol.unseen import find_unseen
from tests.seen import SEEN

ID = MessageId("0193587f-0a00-7000-8000-000000000000")
POLICE = AgencyId(NodeName("zhejiang"), "330822", "police")
NOON = datetime(2026, 11, 23, 12, 0, 0, 5000, tzinfo=UTC)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Paper(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "paper"
    REASON: ClassVar[str] = "PAPER_FORM"

    digest: Digest
    pages: Positive = always(1)


class Letter(Item, frozen=True, kw_only=True, rename={"sender": "from"}):
    WHAT: ClassVar[str] = "letter"
    REASON: ClassVar[str] = "LETTER_FORM"

    id: MessageId
    sender: AgencyId
    person: Text
    time: Time
    day: date | None = None
    colour: Colour | None = None
    names: frozenset[str] | None = None
    words: Annotated[str, checked(str.isprintable, form="printable", reason="LETTER_WORDS")] = always("")
    papers: tuple[Paper, ...] = ()
    count: Count | None = None


SMALL = Letter(id=ID, sender=POLICE, person="徐谷雨", time=NOON)
FULL = replace(
    SMALL, day=date(2026, 2, 28), colour=Colour.BLUE, names=frozenset({"b", "a"}), words="“好” \\", count=0,
    papers=(Paper(digest="ab" * 32), Paper(digest="cd" * 32, pages=7)),
)  # fmt: skip
SPELT = (
    b'{"from":"zhejiang/330822/police","id":"0193587f-0a00-7000-8000-000000000000","person":"\xe5\xbe\x90\xe8\xb0\xb7'
    b'\xe9\x9b\xa8","time":"2026-11-23T12:00:00.005Z","words":""}'
)


def refused(encoded, kind=Letter):
    with pytest.raises(MalformedError) as caught:
        decode(kind, encoded)
    return caught.value


def test_item_has_one_spelling():
    """Names sorted, the absent left out, times with three digits; what is always written stands there."""
    assert encode(SMALL) == SPELT
    assert decode(Letter, SPELT) == SMALL


def test_time_of_another_zone_is_written_in_utc():
    """The same moment is the same bytes."""
    assert encode(replace(SMALL, time=NOON.astimezone(timezone(timedelta(hours=8))))) == SPELT


@given(
    st.builds(
        Letter,
        id=st.just(ID),
        sender=st.just(POLICE),
        person=st.text(SEEN, min_size=1, max_size=200),
        time=st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)),
        day=st.none() | st.dates(),
        colour=st.none() | st.sampled_from(Colour),
        names=st.none() | st.frozensets(st.text(SEEN, max_size=5), max_size=4),
        words=st.text(st.characters(codec="utf-8")).filter(lambda text: text.isprintable() and find_unseen(text) is None),
        papers=st.lists(st.builds(Paper, digest=st.just("0" * 64), pages=st.integers(1, 2**53 - 1)), max_size=3).map(tuple),
        count=st.none() | st.integers(0, 2**53 - 1),
    )
)  # fmt: skip
def test_item_of_any_values_comes_back_as_it_was(letter):
    """Whatever is written is read, and written again in the same way."""
    assert decode(Letter, encode(letter)) == letter


@pytest.mark.parametrize(
    ("old", "new", "reason", "field"),
    [
        (b'"id":', b'"ib":', "JSON_MISSING_NAME", "id"),
        (b'"words":""', b'"words":"","zz":1', "JSON_UNKNOWN_NAME", None),
        (b'"words":""', b'"words":"","words":""', "JSON_DUPLICATE_NAME", None),
        (b'"words":""', b'"words": ""', "JSON_NOT_CANONICAL", None),
        (b',"words":""', b"", "JSON_MISSING_NAME", "words"),
        (b'"words":""', b'"words":"\\n"', "LETTER_WORDS", "words"),
        (b"police", b"police\\n", "AGENCY_ID", "from"),
        (b"7000-8000", b"4000-8000", "MESSAGE_ID", "id"),
        (b"12:00:00.005Z", b"12:00:00.5Z", "TIME", "time"),
        (b"12:00:00.005Z", b"20:00:00.005+08:00", "TIME", "time"),
        (b"12:00:00.005Z", b"24:00:00.005Z", "TIME", "time"),
        (b'"time"', b'"count":-1,"time"', "JSON_NOT_CANONICAL", None),
        (b'{"from"', b'{"count":-1,"from"', "JSON_TYPE", "count"),
        (b'{"from"', b'{"colour":"green","from"', "LETTER_FORM", "colour"),
        (b'{"from"', b'{"colour":null,"from"', "JSON_TYPE", "colour"),
        (b'{"from"', b'{"day":"2026-02-29","from"', "LETTER_FORM", "day"),
        (b'"person"', b'"names":["b","a"],"person"', "JSON_TYPE", "names"),
        (b'"person"', b'"names":["a","a"],"person"', "JSON_TYPE", "names"),
        (b'"person"', b'"papers":[],"person"', "JSON_TYPE", "papers"),
        (b'"person"', b'"papers":[{"digest":"x","pages":1}],"person"', "JSON_DIGEST", "digest"),
        (b'"person"', b'"papers":[{"digest":"' + b"0" * 64 + b'","pages":0}],"person"', "PAPER_FORM", "pages"),
        (b'"person"', b'"papers":[7],"person"', "JSON_TYPE", "papers"),
        (SPELT, b"[]", "JSON_OBJECT", None),
        (b'"words":""', b'"words":"\\ud800"', "JSON_UTF8", None),
    ],
)
def test_other_bytes_are_refused_by_name(old, new, reason, field):
    """The reason says what kind of fault it is, and the field where, so that the sender can mend it."""
    spoilt = SPELT.replace(old, new, 1)
    assert spoilt != SPELT
    error = refused(spoilt)

    assert (error.reason, error.facts.get("field")) == (reason, field)


@pytest.mark.parametrize("place", ["id", "from", "person", "time", "words", "day", "colour", "names", "count"])
def test_no_error_shows_a_value(place):
    """What stands in the wrong place may be a person's: the error names the place and the form only."""
    secret = "361123219003070012"
    value = [secret, "1"] if place == "names" else f"\n{secret}\n"
    spoilt = {
        "from": str(POLICE),
        "id": ID,
        "person": "x",
        "time": "2026-11-23T12:00:00.005Z",
        "words": "",
        place: value,
    }
    error = refused(spelt(spoilt))

    assert secret not in f"{error} {error.facts} {error.__cause__} {error.__context__}"


def spelt(value):
    import json

    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_no_repr_shows_a_value():
    """A log line or a traceback names nobody."""
    assert repr(FULL) == "Letter(...)"
    assert "徐谷雨" not in f"{FULL} {[FULL]}"


def test_items_are_values():
    """Equal contents are equal and hash alike, and a copy with a change leaves the first as it was."""
    assert len({FULL, decode(Letter, encode(FULL)), replace(FULL, count=1)}) == 2
    assert FULL.count == 0


class Stretch(Row, frozen=True, kw_only=True):
    id: str
    days: tuple[date, ...] = ()
    kind: Colour
    months: Count = 3
    open: bool


class Sheet(Row, frozen=True, kw_only=True):
    version: str
    stretch: tuple[Stretch, ...] = ()


TOML = 'version = "1"\n[[stretch]]\nid = "a"\nkind = "red"\nopen = true\ndays = [2026-01-01]\n'


def test_row_is_read_with_its_types():
    """Dates are dates, words are enumerations, and what is absent has its default."""
    sheet = load_toml(Sheet, parse_toml(TOML, what="sheet"), what="sheet")

    row = Stretch(id="a", days=(date(2026, 1, 1),), kind=Colour.RED, months=3, open=True)
    assert sheet == Sheet(version="1", stretch=(row,))


@pytest.mark.parametrize(
    ("old", "new", "reason", "field"),
    [
        ('version = "1"', "", "TOML_TYPE", "version"),
        ('version = "1"', "version = 1", "TOML_TYPE", "version"),
        ('id = "a"', 'id = "a"\nname = "b"', "TOML_UNKNOWN_NAME", None),
        ('kind = "red"', 'kind = "green"', "TOML_CHOICE", "kind"),
        ("open = true", "open = 1", "TOML_TYPE", "open"),
        ("2026-01-01", '"2026-01-01"', "TOML_TYPE", "days"),
        ("open = true", "open = true\nmonths = -1", "TOML_TYPE", "months"),
        ("[[stretch]]", "[stretch]", "TOML_TYPE", "stretch"),
        ('id = "a"', "id = ", "TOML_SYNTAX", None),
    ],
)
def test_other_rows_are_refused_by_name(old, new, reason, field):
    """A file of the agreement that says something else than it should is refused as a whole."""
    with pytest.raises(MalformedError) as caught:
        load_toml(Sheet, parse_toml(TOML.replace(old, new, 1), what="sheet"), what="sheet")

    assert (caught.value.reason, caught.value.facts.get("field")) == (reason, field)


class Shelf(Item, frozen=True, kw_only=True):
    BLANK: ClassVar[frozenset[str]] = frozenset({"until"})

    until: Time | None = None
    papers: Mapping[AgencyId, Paper]


def test_blank_is_written_and_read_as_none():
    """Where there is no time an empty text stands; a null, or nothing at all, is another spelling and refused."""
    empty = b'{"papers":{},"until":""}'
    assert encode(Shelf(papers={})) == empty
    assert decode(Shelf, empty) == Shelf(papers={})
    assert decode(Shelf, encode(Shelf(papers={}, until=NOON))).until == NOON
    assert refused(b'{"papers":{},"until":null}', Shelf).reason == "JSON_TYPE"
    assert refused(b'{"papers":{}}', Shelf).reason == "JSON_MISSING_NAME"


def test_names_of_a_mapping_are_values_of_their_type():
    """An agency is read where it stands as a name, too; items within are refused as items are."""
    shelf = Shelf(papers={POLICE: Paper(digest="ab" * 32)})
    assert decode(Shelf, encode(shelf)) == shelf
    assert refused(encode(shelf).replace(b"330822", b"1"), Shelf).reason == "AGENCY_ID"
    assert refused(encode(shelf).replace(b'"pages":1', b'"pages":0'), Shelf).reason == "PAPER_FORM"


def test_object_of_an_item_stands_in_another():
    """The object says what the bytes say, and is read by the same rules."""
    assert from_object(Letter, to_object(FULL)) == FULL
    with pytest.raises(MalformedError, match="JSON_UNKNOWN_NAME"):
        from_object(Letter, to_object(FULL) | {"zz": 1})


def test_default_is_empty_or_always_written():
    """Whether a default stands there is never open: a class that leaves it so is refused when it is first used."""

    class Loose(Item, frozen=True, kw_only=True):
        days: frozenset[str] = frozenset({"a"})

    with pytest.raises(TypeError, match=r"Loose\.days"):
        decode(Loose, b"{}")


def test_reasons_of_a_type_may_be_its_own():
    """A field says by which reason a value of another type is refused."""

    class Ids(Item, frozen=True, kw_only=True):
        ids: Annotated[tuple[str, ...], typed("a list of ids", type_reason="IDS")] = ()

    assert refused(b'{"ids":7}', Ids).reason == "IDS"
    assert refused(b'{"ids":[]}', Ids).reason == "IDS"
    assert decode(Ids, b"{}") == Ids()
