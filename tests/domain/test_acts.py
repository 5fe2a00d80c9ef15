"""The vocabularies of joint cases: what an act takes, and that conditions stand on acts that exist."""

import pytest

from federation.domain.acts import ACTS, EVERYWHERE, TYPES, read_fields
from federation.domain.conditions import CONDITIONS

DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("act", "fields", "wrong"),
    [
        ("hear", {"parties": ("p1",), "form": "place"}, None),
        ("hear", {"parties": "p1", "form": "place"}, "parties"),
        ("hear", {"parties": ("p1",), "form": "street"}, "form"),
        ("hear", {"form": "place"}, "parties"),
        ("hear", {"parties": ("p1",), "form": "place", "weather": "fine"}, "weather"),
        ("record_payment", {"obligation": "o1", "sum": 5, "day": "2027-01-20"}, None),
        ("record_payment", {"obligation": "o1", "sum": "5", "day": "2027-01-20"}, "sum"),
        ("record_payment", {"obligation": "o1", "sum": 5, "day": "2027-02-30"}, "day"),
        ("record_payment", {"obligation": "o1", "sum": 5, "day": "20270220"}, "day"),
        ("choose_mediator", {"about": DIGEST, "on_behalf": "p1"}, None),
        ("choose_mediator", {"about": DIGEST}, "on_behalf"),
        ("name_owner", {"agency": "zhejiang/330822/town"}, None),
        ("name_owner", {"agency": "zhejiang/town"}, "agency"),
        ("declare_tie", {"who": "zhejiang/330822/court#o-1", "tie": "kin"}, None),
        ("declare_tie", {"who": "zhejiang/330822/court", "tie": "kin"}, "who"),
        ("open", {"procedure": "a", "agreement": 1, "role": "town", "division": "33082", "code": "1" * 17}, "division"),
        ("open", {"procedure": "a", "agreement": 1, "role": "town", "division": "330822101203"}, None),
        ("merge_offer", {"other": "zhejiang/01936000-0000-7000-8000-000000000001"}, None),
        ("overdue", {"clock": "agreement.due:o1", "due": "2027-01-20T16:00:00.000Z"}, None),
        ("overdue", {"clock": "agreement.due:o1", "due": "2027-01-20"}, "due"),
    ],
)
def test_an_act_takes_its_own_fields_and_no_others(act, fields, wrong):
    """The first field that is missing, unknown or of another form is named."""
    assert ACTS[act].fault(fields, ()) == wrong


def test_an_act_carries_its_own_classes_only():
    """A note is carried by a note."""
    assert ACTS["note"].fault({}, ("note",)) is None
    assert ACTS["join"].fault({}, ("note",)) == "note"


def test_every_field_has_a_type():
    """A type that the table of types does not know would take nothing."""
    written = {field.type for act in ACTS.values() for field in act.fields}
    assert written <= {*TYPES, "number", "fen"}
    [sides] = read_fields("side:A|B!")
    assert (sides.required, sides.words) == (True, {"A", "B"})


def test_conditions_stand_on_acts_that_exist():
    """A misspelt act would make a condition that cannot hold."""
    known = {act for condition in CONDITIONS.values() for acts in condition.fact.acts for act in acts}
    assert known <= ACTS.keys()
    assert ACTS.keys() >= EVERYWHERE
    assert all(condition.zh and condition.en and condition.rule for condition in CONDITIONS.values())
    assert all(act.zh and act.en and act.freed_by <= ACTS.keys() for act in ACTS.values())
