"""The items of an entry, field by field: a closed table, each field a place of its own."""

from datetime import date

import pytest

from federation.domain.case_items import AT_HOME, CLASSES, MAX_PLACES, CaseItem, Part, join, read_part, split
from federation.domain.citizen_number import format_citizen_number
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.form import encode
from federation.protocol.ids import Realm

NUMBER = format_citizen_number("361123", date(2190, 3, 7), sequence=1)
LIVING = format_citizen_number("110105", date(1949, 12, 31), sequence=2)
PARTY = CaseItem(kind="party", fields={"tag": "p1", "side": "A", "name": "林甲", "number": NUMBER, "last4": "0011"})
FACT = CaseItem(kind="fact", fields={"text": "界路堆石,双方各执一词", "agreed": "both", "day": "2126-11-20"})


def refused(call, *args, **kwargs):
    with pytest.raises(BridgeheadError) as caught:
        call(*args, **kwargs)
    return caught.value.reason


def test_items_are_split_field_by_field_and_joined_again():
    """Each field is a place of its own, in the order of the table; all of them open are the items again."""
    places = split([PARTY, FACT], realm=Realm.DEMO)

    assert places.classes == ("party",) * 5 + ("fact",) * 3
    assert places.fields == ("tag", "side", "name", "number", "last4", "text", "agreed", "day")
    parts = {
        at: read_part(item, kind, realm=Realm.DEMO)
        for at, (kind, item) in enumerate(zip(places.classes, places.items, strict=True), start=1)
    }
    assert join(places.classes, parts) == (PARTY, FACT)


def test_items_with_closed_fields_show_what_is_open_and_count_the_rest():
    """A member is shown its fields, and how many of a class it was not given: nothing of which ones."""
    places = split([PARTY, FACT], realm=Realm.DEMO)
    name = read_part(places.items[2], "party", realm=Realm.DEMO)

    assert join(places.classes, {3: name}) == (
        CaseItem(kind="party", fields={"name": "林甲"}),
        CaseItem(kind="party", fields={}, closed=4),
        CaseItem(kind="fact", fields={}, closed=3),
    )


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (CaseItem(kind="rumour", fields={"text": "x"}), "CASE_ITEM_CLASS"),
        (CaseItem(kind="fact", fields={"who": "x"}), "CASE_ITEM_FIELD"),
        (CaseItem(kind="fact", fields={}), "CASE_ITEM_FIELD"),
        (CaseItem(kind="fact", fields={"day": "2126-13-01"}), "CASE_ITEM_FIELD"),
        (CaseItem(kind="claim", fields={"amount": "12.50"}), "CASE_ITEM_FIELD"),
        (CaseItem(kind="place", fields={"side": "C"}), "CASE_ITEM_FIELD"),
        (CaseItem(kind="fact", fields={"text": f"由{NUMBER}所说"}), "CASE_ITEM_NAMES_PERSON"),
        (CaseItem(kind="fact", fields={"text": "石\u202e头"}), "TEXT_UNSEEN"),
        (
            CaseItem(kind="party", fields={"number": NUMBER[:-1] + ("2" if NUMBER[-1] != "2" else "3")}),
            "CITIZEN_NUMBER_CHECKSUM",
        ),
        (CaseItem(kind="party", fields={"number": LIVING}), "REAL_NUMBER_IN_DEMO"),
    ],
    ids=["class", "field", "no field", "day", "sum", "side", "number in a text", "unseen", "check", "a living one"],
)
def test_item_beyond_the_table_is_refused(item, reason):
    """The table is closed, each field has one form, and a person's number stands in the field that is for it."""
    assert refused(split, [item], realm=Realm.DEMO) == reason


def test_places_of_another_node_are_read_as_strictly():
    """What another node writes is judged by the same table."""
    wrong = [(Part(item=1, field="name", value="x"), "fact"), (Part(item=1, field="name", value="x"), "rumour")]

    for part, kind in wrong:
        assert refused(read_part, encode(part), kind, realm=Realm.DEMO).startswith("CASE_ITEM_")
    assert refused(read_part, b'{"field":"name"}', "party", realm=Realm.DEMO) == "JSON_MISSING_NAME"
    own = encode(Part(item=1, field="number", value=NUMBER))
    assert read_part(own, "party", realm=Realm.DEMO).value == NUMBER
    assert refused(read_part, own, "party", realm=Realm.LIVE) == "CITIZEN_NUMBER_FUTURE"


def test_more_places_than_an_entry_may_have_are_refused():
    """An entry is bounded: more is another entry."""
    many = [CaseItem(kind="fact", fields={"text": "x"})] * (MAX_PLACES + 1)

    assert len(split(many[1:], realm=Realm.DEMO).items) == MAX_PLACES
    with pytest.raises(MalformedError) as caught:
        split(many, realm=Realm.DEMO)
    assert caught.value.reason == "CASE_ITEM_MANY"


def test_classes_that_stay_at_home_are_of_the_table():
    """Notes, who told, and injuries: named once, known to the table."""
    assert CLASSES.keys() > AT_HOME
