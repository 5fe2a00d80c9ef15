"""A member that writes into an alert what is not its to write: for the arbiter, for others' desks, for another record."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.domain.alert import Alert
from federation.domain.clock import CHINA_TIME
from federation.domain.joint import FieldValue, Head
from federation.node.alerts import steps
from federation.node.exchange.receive import receive
from federation.node.joint.records import ALERT, CASE, Family, load_held
from federation.protocol.body import Body, open_places
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import encode, replace
from federation.protocol.ids import RecordId, format_time, parse_agency_id
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import pair_state
from tests.node.alerts.border_desks import CHANGSHAN, YUSHAN, BorderDesks, border_desks
from tests.node.rig import JIANGXI, ZHEJIANG, Pair, kit, sign, statement

PEER = parse_agency_id("jiangxi/361123/governance")
CAP = "36112390400100_20260404021545_0"
CONTENT = {"cap_id": CAP, "priority": "urgent", "division": ("330822111",), "expires": "2027-04-04T00:00:00.000Z"}


@pytest.fixture
async def border(tmp_path: Path) -> AsyncIterator[BorderDesks]:
    """An alert that Changshan raised and holds, and of which Yushan was told; Yushan's node then attacks."""
    async with border_desks(tmp_path) as made:
        await made.raises()
        made.rig.clock.advance(seconds=10)
        await made.does(CHANGSHAN, "claim")
        await made.settled()
        yield made


def head_of(border: BorderDesks, act: str, fields: dict[str, FieldValue], *, officer: str | None) -> Head:
    place = border.held(JIANGXI).record.place_for(JIANGXI)
    return Head(
        record=border.record, n=place.n, parents=place.parents, height=place.height, at=border.rig.clock(), agency=PEER,
        officer=officer, act=act, fields=fields, items=(),
    )  # fmt: skip


async def sends(
    border: BorderDesks, head: Head, family: Family[Alert] = ALERT, *, kind: str = "alert.entry", ahead: int = 100
) -> str:
    """Has Zhejiang's node receive it: the reason of its refusal, or of its being without effect; empty when it counts."""
    body = Body(type=family.media_type, salt=os.urandom(32), items=(encode(head),))
    purpose, function = border.rules.why("dispute")
    made = statement(
        border.rig, body, seq=pair_state(border.rig[JIANGXI].database, "sent", Pair(JIANGXI, ZHEJIANG)).highest + ahead,
        kind=kind, sender=Sender(node=JIANGXI, agency=PEER, officer=head.officer), recipient=Recipient(node=ZHEJIANG),
        purpose=purpose, function=function, case=head.record,
    )  # fmt: skip
    sent = Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), partial=open_places(body, (0,)))
    try:
        receipt = await receive(border.rig[ZHEJIANG], sent, peer=JIANGXI)
    except BridgeheadError as error:
        return error.reason
    if decode_leaf(receipt.leaf).verdict is not Verdict.ALLOWED:
        return "policy"
    return next((why.reason for entry, why in border.alert(ZHEJIANG).without_effect if entry.head == head), "")


def essence(alert: Alert) -> tuple[object, ...]:
    return (
        alert.state, alert.status, alert.content, alert.hold, alert.offer, alert.stamps, alert.overdue, alert.rungs,
        alert.triggered, alert.skipped, alert.ended, alert.links, alert.helpers,
    )  # fmt: skip


def written_for_the_arbiter(border: BorderDesks) -> dict[str, dict[str, FieldValue]]:
    alert = border.alert(JIANGXI)
    assert alert.hold is not None
    return {
        "receipt": {"about": alert.hold.by}, "lapse": {"about": alert.hold.by, "due": format_time(alert.hold.due)},
        "overdue": {"stage": "accepted", "due": format_time(alert.due("accepted"))},
        "trigger": {"number": 7}, "skip": {"desk": CHANGSHAN},
    }  # fmt: skip


@pytest.mark.parametrize("act", ["receipt", "lapse", "overdue", "trigger", "skip"])
async def test_what_the_arbiters_node_alone_writes(border: BorderDesks, act: str) -> None:
    """No receipt, lapse, rung or end that another node makes up moves the alert."""
    before = essence(border.alert(ZHEJIANG))
    fields = written_for_the_arbiter(border)[act]
    assert await sends(border, head_of(border, act, fields, officer=None)) in ("ARBITER_ONLY", "policy")
    assert essence(border.alert(ZHEJIANG)) == before


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        ("claim", {"desk": CHANGSHAN}),
        ("stamp", {"desk": CHANGSHAN, "stage": "arrived", "reason": "x"}),
        ("release", {"desk": CHANGSHAN, "reason": "x"}),
        ("close", {"desk": CHANGSHAN, "result": "handled", "by_phone": "yes", "reason": "x"}),
        ("stamp", {"desk": YUSHAN, "stage": "contacted"}),
        ("stamp", {"desk": YUSHAN, "stage": "contacted", "made": "2026-04-04T00:00:00.000Z", "device": "pad"}),
        ("hand_over", {"desk": YUSHAN, "to": YUSHAN}),
        ("cancel", {"desk": YUSHAN, "cap_id": CAP, "why": "false_alarm"}),
        ("close", {"desk": YUSHAN, "result": "handled", "by_phone": "yes", "reason": "x"}),
        ("claim", {"desk": YUSHAN}),
        ("raise", {"desk": YUSHAN, "status": "Exercise", "kind": "dispute", "agreement": 1, **CONTENT}),
        ("link", {"desk": YUSHAN, "other": "jiangxi/0193587f-0a00-7000-8000-000000000001", "status": "Exercise"}),
        ("move", {"to": "close"}),
        ("note", {"desk": YUSHAN, "holder": YUSHAN}),
    ],
)
async def test_what_is_another_desks_or_nobodys(border: BorderDesks, act: str, fields: dict[str, FieldValue]) -> None:
    """In the name of the holder's desk, or as if it held or had raised it: nothing moves, and the holder goes on."""
    before = essence(border.alert(ZHEJIANG))
    assert await sends(border, head_of(border, act, fields, officer="officer-7"))
    assert essence(border.alert(ZHEJIANG)) == before
    stamped = await border.does(CHANGSHAN, "stamp", stage="contacted")
    assert stamped.entry is not None
    assert stamped.entry.without_effect == ""


async def test_entry_of_another_family(border: BorderDesks) -> None:
    """An alert's entry is no case's: under the other's kind or media type it is refused, and a case's act is none here."""
    head = head_of(border, "note", {"desk": YUSHAN}, officer="officer-7")
    size = border.rig[ZHEJIANG].sequencer.head.size
    for family, kind in ((CASE, "alert.entry"), (ALERT, "case.entry"), (CASE, "case.entry")):
        assert await sends(border, head, family, kind=kind) not in ("", "policy")
    assert border.rig[ZHEJIANG].sequencer.head.size == size
    assert list(CASE.records.each(border.rig[ZHEJIANG].database)) == []
    assert await sends(border, replace(head, at=border.rig.clock())) == ""


async def test_name_of_another_desks_message_names_nothing(border: BorderDesks) -> None:
    """A record that carries the identifier of an alert of ours is not found by it: an officer never acts on the wrong one."""
    ours = border.alert(ZHEJIANG).said["cap_id"]
    said = {"status": "Actual", "kind": "dispute", "desk": YUSHAN, "agreement": 1, "ticked": ("both_sides",)}
    first = head_of(border, "raise", {**CONTENT, **said, "cap_id": ours}, officer="officer-7")
    for number in range(8):  # any of them would be found first
        name = RecordId(f"jiangxi/01936000-0000-7000-8000-00000000007{number}")
        raised = replace(first, record=name, n=1, parents=frozenset(), height=0)
        assert await sends(border, raised, ahead=100 + number) == ""
        assert load_held(ALERT, border.rig[ZHEJIANG], name).state is not None

    view = await steps.read_alert(border.errand(CHANGSHAN), str(ours))
    assert view.line is not None
    assert view.line.record == border.record


async def test_names_of_a_desk_are_used_up_by_nobody_else(border: BorderDesks) -> None:
    """A record that carries the next identifier of a desk of ours takes it from nobody."""
    unit = str(border.alert(ZHEJIANG).said["cap_id"])[:14]
    coming = f"{unit}_{border.rig.clock().astimezone(CHINA_TIME):%Y%m%d%H%M%S}_0"
    said = {"status": "Actual", "kind": "dispute", "desk": YUSHAN, "agreement": 1, "ticked": ("both_sides",)}
    first = head_of(border, "raise", {**CONTENT, **said, "cap_id": coming}, officer="officer-7")
    name = RecordId("jiangxi/01936000-0000-7000-8000-000000000079")
    assert await sends(border, replace(first, record=name, n=1, parents=frozenset(), height=0)) == ""

    raised = await border.raises()

    assert raised.line is not None
    assert raised.line.cap_id == coming
