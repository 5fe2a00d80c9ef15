"""What may not stand in the texts of an alert, what of a stranger's stays closed, and how long items live."""

import pytest

from federation.domain.alert_texts import HIDDEN, kept_under, read_alert_part, shown_fields, verify_texts
from federation.domain.case_items import CaseItem, Part
from federation.domain.personal import find_personal
from federation.protocol.errors import MalformedError
from federation.protocol.form import encode, replace
from federation.protocol.ids import Realm
from tests.domain.alert_ridge import QIUCHUAN, YUSHAN, Ridge

NUMBER = "330822221001010018"
PHONE, PLATE, ACCOUNT = "13812345678", "浙H·I0001", "6222021234567890123"
PERSONAL = [("citizen_number", NUMBER), ("phone", PHONE), ("plate", PLATE), ("account", ACCOUNT)]


@pytest.mark.parametrize(("name", "text"), PERSONAL)
@pytest.mark.parametrize(("kind", "field"), [("fact", "text"), ("place", "village"), ("document", "name"),
                                             ("detail", "clothing"), ("person", "address")])  # fmt: skip
def test_personal_data_in_a_text_is_refused_by_the_name_of_its_pattern(name, text, kind, field):
    """Whatever the class of the text; the number itself is never said."""
    assert find_personal(text) == (name,)
    with pytest.raises(MalformedError) as caught:
        verify_texts([CaseItem(kind=kind, fields={field: f"联系{text}尽快"})], {}, act="raise")
    assert (caught.value.reason, caught.value.facts.get("field")) == ("TEXT_PERSONAL", field)
    assert text not in caught.value.message


def test_fields_that_are_for_it_hold_it():
    """The number and telephone of a person, a desk's telephone, the plate of a pursuit, a digest of digits."""
    items = [
        CaseItem(kind="person", fields={"number": NUMBER, "phone": PHONE}),
        CaseItem(kind="contact", fields={"phone": "0570-5012345"}),
        CaseItem(kind="detail", fields={"plate": PLATE, "digest": "1" * 64}),
        CaseItem(kind="fact", fields={"text": "球川镇东坑起火，三人被困"}),
    ]
    verify_texts(items, {"issued_by": "330822 常山县人民政府", "manifest": "1" * 64}, act="raise")


def test_contact_is_a_desks_telephone_and_nobodys_own():
    """A mobile number is refused at the own node, and stays closed of another one's."""
    with pytest.raises(MalformedError, match="TEXT_PERSONAL"):
        verify_texts([CaseItem(kind="contact", fields={"phone": PHONE})], {}, act="raise")
    for phone, is_open in ((PHONE, False), ("0570-5012345", True)):
        part = Part(item=1, field="phone", value=phone)
        assert (read_alert_part(encode(part), "contact", realm=Realm.DEMO) is not None) is is_open


def test_texts_of_heads_are_read_too():
    """A reason with a telephone number in it is refused at the own node, and hidden where another one sent it."""
    with pytest.raises(MalformedError):
        verify_texts([], {"desk": YUSHAN, "reason": f"请打{PHONE}"}, act="release")
    ridge = Ridge()
    ridge.raises()
    ridge.receipts(ridge.later(3).does(YUSHAN, "claim"))
    ridge.meet()
    given = ridge.later(5).does(YUSHAN, "release", reason=f"请打{PHONE}")
    assert shown_fields(given.head) == {"desk": YUSHAN, "reason": HIDDEN}
    assert ridge.refusal(given) == ""
    plain = ridge.later(5).does(QIUCHUAN, "claim")
    assert shown_fields(plain.head) == plain.head.fields


@pytest.mark.parametrize(("name", "text"), PERSONAL)
def test_of_a_strangers_entry_that_field_alone_stays_closed(name, text):
    """The place is read as closed; so is one of a wrong form; one without personal data is open."""
    assert name
    for kind, field in (("fact", "text"), ("detail", "need")):
        assert read_alert_part(encode(Part(item=1, field=field, value=f"见{text}")), kind, realm=Realm.DEMO) is None
    good = Part(item=1, field="plate", value=PLATE)
    assert read_alert_part(encode(good), "detail", realm=Realm.DEMO) == good
    for kind, field in (("detail", "violence"), ("detail", "no_such"), ("no_such", "text")):
        wrong = Part(item=1, field=field, value="perhaps")
        assert read_alert_part(encode(wrong), kind, realm=Realm.DEMO) is None
    assert read_alert_part(b"{", "fact", realm=Realm.DEMO) is None
    for unseen in ("\x9b2J", "\u202e", "\u200b"):
        encoded = encode(Part(item=1, field="text", value="见X")).decode().replace("X", unseen).encode()
        assert read_alert_part(encoded, "fact", realm=Realm.DEMO) is None


def test_items_end_with_the_work_where_somebody_is_named_and_later_elsewhere():
    """Who is named is gone at the close, all else a month later, evidence of an assessment after three years."""
    ridge = Ridge()
    raised = ridge.raises()
    alert = ridge.agreed()
    assert kept_under(alert) == "alert"
    named = replace(raised, head=replace(raised.head, items=("fact", "person")))
    done = alert.named[raised.name]
    assert (
        kept_under(replace(alert, named=type(alert.named)().plus(raised.name, done._replace(entry=named))))
        == "emergency"
    )
    strange = ridge.later(5).does(YUSHAN, "keep_as_evidence", document="评估〔2126〕3号")
    assert ridge.refusal(strange) == "NOT_RAISER"
    ridge.later(5).does(QIUCHUAN, "cancel", cap_id=str(raised.head.fields["cap_id"]), why="lifted")
    ridge.meet()
    ridge.later(5).does(QIUCHUAN, "keep_as_evidence", document="评估〔2126〕3号")
    assert kept_under(ridge.agreed()) == "alert.evidence"
