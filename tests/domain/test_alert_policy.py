"""Where an office stands in an alert, what of a kind crosses, and what policy says of both."""

import re

import pytest

from federation.domain.alert_acts import ALERT_ACTS
from federation.domain.alert_policy import (
    AlertSeat,
    AlertStanding,
    act_request,
    crosses,
    read_request,
    reader_seat,
    seat_of,
    see_request,
    standing_of,
)
from federation.domain.case_items import CLASSES
from federation.domain.joint import Head
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.protocol.form import decode, encode
from federation.protocol.ids import Realm, parse_agency_id
from federation.protocol.policy import decide, load_policy_book
from tests.domain.alert_ridge import AGENCIES, CHANGSHAN, EMERGENCY, FILES, LEADER, PUCHENG, QIUCHUAN, RULES, YUSHAN, Z
from tests.domain.alert_ridge import Ridge as Alerts

BOOK = load_policy_book({path: text for path, text in FILES.items() if "/duty/" not in path})
TOLD = frozenset({QIUCHUAN, CHANGSHAN, YUSHAN, LEADER})
POLICE = "330822.police"
S = AlertStanding


def facts(desk, *functions):
    return AgencyFacts(id=parse_agency_id(AGENCIES[desk]), functions=frozenset(functions))


def occasion(kind="dispute"):
    purpose, function = RULES.why(kind)
    return Occasion(purpose=purpose, function=function, realm=Realm.DEMO, node_realm=Realm.DEMO)


def is_allowed(desk, head, alert, *, off=()):
    seat = seat_of(alert, head, notified=TOLD, off=off)
    kind = str(head.fields.get("kind", "")) or alert.kind
    return decide(BOOK, act_request(facts(desk), seat, head.act, home=Z, occasion=occasion(kind))).allowed


def standing(alert, desk, *, off=(), notified=TOLD):
    return standing_of(alert, parse_agency_id(AGENCIES[desk]), {desk}, notified=notified, off=off)


def test_standing_follows_the_desk_and_ends_with_it():
    """The raiser, the holder, who is told and who is not; a desk that is off the sheet is a former one."""
    ridge = Alerts()
    ridge.raises()
    alert = ridge.agreed()
    assert standing(alert, QIUCHUAN) is S.RAISER
    assert standing(alert, LEADER) is S.RAISER
    assert standing(alert, YUSHAN) is S.NOTIFIED
    assert standing(alert, PUCHENG) is S.STRANGER
    claim = ridge.later(5).does(YUSHAN, "claim")
    ridge.receipts(claim)
    ridge.meet()
    alert = ridge.agreed()
    assert standing(alert, YUSHAN) is S.HOLDER
    assert standing(alert, YUSHAN, off=(YUSHAN,)) is S.FORMER
    assert standing(alert, PUCHENG, off=(PUCHENG,)) is S.STRANGER
    ridge.later(5).does(YUSHAN, "hand_over", to=PUCHENG)
    assert standing(ridge.agreed(), PUCHENG) is S.NOTIFIED
    release = ridge.later(5).does(YUSHAN, "release", reason="busy here")
    ridge.receipts(release)
    assert standing(ridge.agreed(), YUSHAN, notified=()) is S.NOTIFIED


def test_desk_that_takes_the_kind_raises_and_holds_whatever_functions_its_office_has():
    """Police, who hold no F12 and no F21 otherwise, raise and claim the kinds of their desks; no other kind."""
    for kind, may in (("help.missing", True), ("forest.poaching", True), ("forest.fire", False), ("no.such", False)):
        ridge = Alerts()
        raised = ridge.raises(POLICE, kind=kind)
        nothing = ridge.at(Z).__class__(rules=RULES)
        assert is_allowed(POLICE, raised.head, nothing) is may
        assert seat_of(nothing, raised.head, notified=TOLD).desk_fits is may
    ridge = Alerts()
    ridge.raises(POLICE, kind="help.missing")
    claim = ridge.does(YUSHAN, "claim").head
    assert is_allowed(YUSHAN, claim, ridge.at(Z))
    assert not is_allowed(YUSHAN, claim, ridge.at(Z), off=(YUSHAN,))
    assert not is_allowed(EMERGENCY, ridge.does(EMERGENCY, "claim").head, ridge.at(Z))


def test_an_exercise_is_judged_as_a_real_alert():
    """The same acts of the same desks have the same answers."""
    for status in ("Actual", "Exercise", "Test"):
        ridge = Alerts()
        ridge.raises(status=status)
        assert seat_of(ridge.at(Z), ridge.does(YUSHAN, "claim").head, notified=TOLD).status == status
        assert is_allowed(YUSHAN, ridge.does(YUSHAN, "claim").head, ridge.at(Z))
        assert not is_allowed(EMERGENCY, ridge.does(EMERGENCY, "claim").head, ridge.at(Z))


def test_time_is_kept_by_the_node_that_raised_and_by_the_holders():
    """Another node's receipt is refused; a node writes nothing else, and no officer writes it."""
    ridge = Alerts()
    raised = ridge.raises()
    receipt = ridge.does(QIUCHUAN, "receipt", by=Z, about=raised.name).head
    alert = ridge.at(Z)
    assert is_allowed(QIUCHUAN, receipt, alert)
    other = {**{name: getattr(receipt, name) for name in receipt.__struct_fields__}}
    assert not is_allowed(YUSHAN, Head(**{**other, "agency": parse_agency_id(AGENCIES[YUSHAN])}), alert)
    assert not is_allowed(QIUCHUAN, Head(**{**other, "officer": "o-1", "fields": {"desk": QIUCHUAN}}), alert)
    assert not is_allowed(QIUCHUAN, Head(**{**other, "act": "close"}), alert)


def test_what_comes_before_its_alert_is_taken_in():
    """A cancel without its alert waits; its seat says so and nothing of a kind."""
    ridge = Alerts()
    raised = ridge.raises()
    cancel = ridge.does(QIUCHUAN, "cancel", cap_id=str(raised.head.fields["cap_id"]), why="lifted").head
    seat = seat_of(None, cancel, notified=())
    assert (seat.standing, seat.kind) == (S.WAITING, "")
    assert decode(AlertSeat, encode(seat)) == seat
    assert decide(BOOK, act_request(facts(QIUCHUAN), seat, "cancel", home=Z, occasion=occasion())).allowed


KINDS = RULES.table.kinds


@pytest.mark.parametrize(
    ("kind", "item_class", "field", "ticked", "may"),
    [
        ("dispute", "fact", "text", (), True),
        ("dispute", "fact", "source", (), False),
        ("dispute", "contact", "phone", (), True),
        ("dispute", "contact", "address", (), False),
        ("dispute", "place", "point", (), True),
        ("dispute", "person", "name", (), False),
        ("dispute", "person", "name", ("family_consent",), False),
        ("dispute", "detail", "violence", (), True),
        ("dispute", "detail", "plate", (), False),
        ("fraud.telecom", "place", "village", (), False),
        ("fraud.telecom", "detail", "account_last_four", (), True),
        ("crime.pursuit", "detail", "plate", (), True),
        ("crime.pursuit", "person", "name", ("family_consent",), False),
        ("help.missing", "person", "name", (), False),
        ("help.missing", "person", "name", ("family_consent",), True),
        ("help.missing", "person", "number", ("family_consent",), False),
        ("help.missing", "document", "root", (), False),
        ("help.missing", "document", "root", ("family_consent",), True),
        ("perimeter.event", "document", "root", (), False),
        ("forest.fire", "document", "root", (), True),
        ("forest.fire", "health", "text", (), False),
        ("forest.fire", "no_such", "text", (), False),
    ],
)
def test_what_of_a_kind_crosses(kind, item_class, field, ticked, may):
    """Persons where the family agreed and the kind is one of persons, the facts of the kind, and no other."""
    assert crosses(KINDS[kind], item_class, field, ticked=ticked) is may


@pytest.mark.parametrize(
    ("kind", "item_class", "field", "is_over", "status", "may"),
    [
        ("help.missing", "document", "root", True, "Actual", False),
        ("help.missing", "person", "name", True, "Actual", False),
        ("help.missing", "person", "name", False, "Exercise", True),
        ("help.missing", "document", "root", False, "Exercise", False),
        ("help.missing", "document", "root", False, "Test", False),
        ("forest.fire", "document", "root", True, "Actual", True),
        ("forest.fire", "document", "root", False, "Exercise", False),
        ("forest.fire", "fact", "text", True, "Exercise", True),
    ],
)
def test_a_picture_ends_with_its_alert_and_no_document_of_an_exercise_crosses(
    kind, item_class, field, is_over, status, may
):
    """Who was missing is named no more once the alert is over; a paper of an incident outlives its close."""
    found = crosses(KINDS[kind], item_class, field, ticked=("family_consent",), status=status, is_over=is_over)
    assert found is may


def test_only_one_kind_ever_crosses_who_somebody_is():
    """Whatever is ticked, names cross for who is missing alone, and numbers, telephones and addresses never."""
    open_fields = {
        (kind.id, field) for kind in KINDS.values() for field in CLASSES["person"]
        if crosses(kind, "person", field, ticked=("family_consent",))
    }  # fmt: skip
    assert open_fields == {("help.missing", "name"), ("help.missing", "sex")}


def test_policy_shows_what_crosses_to_who_has_part_and_a_plate_to_police():
    """Each alone is refused: a stranger, a former desk, a field that does not cross, a plate to others."""
    ridge = Alerts()
    ridge.raises(POLICE, kind="crime.pursuit")
    alert = ridge.at(Z)
    told = {POLICE, "361123.police", CHANGSHAN}

    def is_shown(desk, item_class, *, may=True, off=()):
        seat = reader_seat(alert, parse_agency_id(AGENCIES[desk]), {desk}, notified=told, off=off)
        asked = see_request(facts(desk), seat, item_class, crosses=may, home=Z, occasion=occasion("crime.pursuit"))
        return decide(BOOK, asked).allowed

    assert is_shown("361123.police", "plate")
    assert is_shown(CHANGSHAN, "fact")
    assert not is_shown(CHANGSHAN, "plate")
    assert not is_shown("361123.police", "person", may=False)
    assert not is_shown("361123.police", "fact", off=("361123.police",))
    assert not is_shown(PUCHENG, "fact")


@pytest.mark.parametrize("where", [*AlertStanding])
def test_who_has_part_reads_and_nobody_else(where):
    """A former desk reads nothing more, so that its stream ends."""
    asked = read_request(facts(YUSHAN), where, home=Z, occasion=occasion())
    assert decide(BOOK, asked).allowed is (where in {S.RAISER, S.HOLDER, S.HELPER, S.NOTIFIED})


def test_acts_of_nodes_are_those_of_the_vocabulary():
    """The list in the policy is the one of the acts."""
    said = re.search(r"byNode ==\s+\[([^]]+)\]", FILES["policies/alerts.cedar"].decode())
    assert said is not None
    assert set(re.findall(r'"(\w+)"', said[1])) == {name for name, act in ALERT_ACTS.items() if act.by_node}


def test_every_fact_of_the_table_is_a_field_of_an_item_and_has_its_purpose():
    """What a kind crosses can be written, and its purpose is one of alerts and of one function."""
    assert {fact.id for fact in RULES.table.field} == CLASSES["detail"].keys()
    whys = {RULES.why(kind) for kind in KINDS}
    assert len({purpose for purpose, _ in whys}) == len(whys)
    assert all(purpose.startswith("alert.") for purpose, _ in whys)


def test_leaders_post_belongs_to_its_office():
    """The desks of an office are those of the sheet and the posts of leaders that it acts for."""
    assert RULES.desks_of(parse_agency_id(AGENCIES[CHANGSHAN])) == {CHANGSHAN, LEADER}
