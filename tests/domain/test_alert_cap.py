"""Tests of an alert as CAP messages and of a message as what may be raised."""

from __future__ import annotations

from datetime import timedelta

import pytest

from federation.domain.alert_cap import CapWords, message_of, messages_of, raising_of, source_of
from federation.domain.cap import MsgType, Status
from federation.domain.cap_import import import_cap
from federation.domain.cap_xml import export_cap
from federation.domain.case_items import CaseItem, split
from federation.domain.joint import Entry
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import FederationName, Realm, format_time
from tests.domain.alert_ridge import CHANGSHAN, EMERGENCY, NIGHT, RULES, YUSHAN, Ridge
from tests.domain.cap_message import FIRE

TABLE = RULES.table
WORDS = CapWords(
    table=TABLE, federation=FederationName("border.example"), office="常山县社会治理中心",
    area_names={"pair.qiuchuan-shuangming": "球川–双明结对"},
)  # fmt: skip
FACT = CaseItem(kind="fact", fields={"text": "两村因界路堆石争执"})
PLACE = CaseItem(kind="place", fields={"village": "球川镇界路", "point": "28.712345,118.5"})


def messages(ridge: Ridge) -> tuple[Entry, ...]:
    return messages_of(ridge.agreed())


@pytest.mark.parametrize("kind", [kind.id for kind in TABLE.kind])
def test_every_kind_leaves_as_a_file_that_comes_back_as_what_was_raised(kind):
    """Schema, profile and table of kinds have nothing against it, and what it proposes is what it said."""
    ridge, desk = (
        Ridge(),
        next(desk for desk in RULES.duty.desks if RULES.may_raise(desk, kind) and desk.startswith("33")),
    )
    ridge.raises(
        desk, kind=kind, area=("pair.qiuchuan-shuangming",), expires=format_time(NIGHT + timedelta(minutes=10))
    )
    (raised,) = messages(ridge)
    message = message_of(ridge.agreed(), raised, (FACT, PLACE), words=WORDS)

    found = import_cap(export_cap(message, table=TABLE), table=TABLE)
    assert found.message == message
    assert not found.refusals
    fields, items = raising_of(message, TABLE)
    assert fields == {
        "status": "Actual", "kind": kind, "origin": "cap", "priority": "flash", "division": "330822111",
        "expires": format_time(NIGHT + timedelta(minutes=10)), "source": source_of(message),
    }  # fmt: skip
    assert items == (FACT, PLACE)


def test_update_and_cancel_name_every_message_before_them():
    """Under the sender that raised it, though another desk updated it; a cancel says why and has no block."""
    ridge = Ridge()
    raised = ridge.raises(CHANGSHAN)
    claim = ridge.later(5).does(YUSHAN, "claim")
    ridge.receipts(claim)
    ridge.meet()
    updated = ridge.later(60).does(YUSHAN, "update", about=raised.name, **ridge.content(priority="urgent"))
    ridge.meet()
    ridge.later(60).does(CHANGSHAN, "cancel", cap_id=ridge.content()["cap_id"], why="false_alarm")
    alert = ridge.agreed()

    first, second, last = (message_of(alert, each, (FACT,), words=WORDS) for each in messages_of(alert))
    assert [each.msg_type for each in (first, second, last)] == [MsgType.ALERT, MsgType.UPDATE, MsgType.CANCEL]
    assert {each.sender for each in (first, second, last)} == {"330822.governance@zhejiang.border.example"}
    assert second.references == (first.named,)
    assert last.references == (first.named, second.named)
    assert (last.info, last.note) == (None, "误报")
    for each in (first, second, last):
        assert import_cap(export_cap(each, table=TABLE), table=TABLE).message == each
    assert [entry.name for entry in messages_of(alert)][1] == updated.name


def test_entry_that_is_no_message_is_refused():
    """A claim is no message; nor is what had no effect."""
    ridge = Ridge()
    ridge.raises(CHANGSHAN)
    claim = ridge.does(CHANGSHAN, "claim")
    void = ridge.does(EMERGENCY, "cancel", cap_id=ridge.content()["cap_id"], why="other")
    for entry in (claim, void):
        with pytest.raises(NotFoundError, match="CAP_NO_MESSAGE"):
            message_of(ridge.agreed(), entry, (), words=WORDS)


def test_exercise_says_so_and_long_places_are_cut():
    """Its headline begins with the mark; forty characters are all it has, and the kind is never cut off."""
    ridge = Ridge()
    ridge.raises(CHANGSHAN, status="Exercise", area=("pair.qiuchuan-shuangming",))
    (raised,) = messages(ridge)
    far = CaseItem(kind="place", fields={"village": "界" * 200})
    message = message_of(ridge.agreed(), raised, (far,), words=WORDS)

    assert message.status is Status.EXERCISE
    wording = message.info.wordings[0]
    assert wording.headline.startswith("【演练】界")
    assert wording.headline.endswith("纠纷警情特急")
    assert len(wording.headline) == 40
    assert wording.description == "纠纷警情"
    assert import_cap(export_cap(message, table=TABLE)).message == message


def test_facts_that_the_kind_does_not_let_cross_stay_at_home():
    """The table of kinds says what leaves; a stranger's file is asked for no more."""
    ridge = Ridge()
    ridge.raises(CHANGSHAN)
    (raised,) = messages(ridge)
    details = CaseItem(kind="detail", fields={"violence": "yes", "injured": "2"})
    message = message_of(ridge.agreed(), raised, (FACT, details), words=WORDS)

    assert message.info.parameter("violence") == "yes"
    assert message.info.parameter("injured") == ""
    _, items = raising_of(message, TABLE)
    assert [item.fields for item in items if item.kind == "detail"] == [{"violence": "yes"}]


def test_colour_and_its_issuer_cross_with_their_document():
    """What is relayed keeps who issued it; by its id again on the way in."""
    ridge = Ridge()
    ridge.raises(
        EMERGENCY, kind="forest.risk", level="yellow", issued_by="330822 常山县人民政府", document="常政〔2026〕4号"
    )
    (raised,) = messages(ridge)
    message = message_of(ridge.agreed(), raised, (FACT,), words=WORDS)

    assert import_cap(export_cap(message, table=TABLE), table=TABLE).message == message
    assert message.info.parameter("level") == "黄"
    assert message.info.wordings[0].headline.endswith("森林火险预警黄色")
    fields, _ = raising_of(message, TABLE)
    assert (fields["level"], fields["issued_by"], fields["document"]) == (
        "yellow",
        "330822 常山县人民政府",
        "常政〔2026〕4号",
    )


def test_source_is_that_of_the_name_and_nothing_else():
    """Another sending of the same name has it, too; the same number of another sender has not."""
    assert source_of(FIRE) == source_of(replace(FIRE, sent=FIRE.sent + timedelta(hours=1), note="改"))
    assert len({source_of(FIRE), source_of(replace(FIRE, sender="x")), source_of(replace(FIRE, identifier="x"))}) == 3


def test_message_without_a_block_proposes_nothing():
    """A stranger's Cancel or Ack raises no alert."""
    ridge = Ridge()
    ridge.raises(CHANGSHAN)
    (raised,) = messages(ridge)
    message = message_of(ridge.agreed(), raised, (FACT,), words=WORDS)
    assert raising_of(replace(message, info=None), TABLE) == ({}, ())


def test_strangers_file_proposes_what_our_forms_take():
    """The telephone among the words of a contact, the centre of a circle, every text in the form of its item."""
    fields, items = raising_of(FIRE, TABLE)
    assert {item.kind: item.fields for item in items} == {
        "fact": {"text": "山脊见明火，风向东南，正向玉山一侧蔓延。\n请玉山县派员到山脊线接应。"},
        "place": {"village": "球川圈东坑", "point": "28.92,118.43"},
        "contact": {"phone": "0570-0000001"},
        "detail": {"compartment": "东坑12林班"},
    }
    assert split(items, realm=Realm.DEMO).classes == ("fact", "place", "place", "contact", "detail")
    assert (fields["kind"], fields["division"], fields["priority"]) == ("forest.fire", "330822", "flash")
