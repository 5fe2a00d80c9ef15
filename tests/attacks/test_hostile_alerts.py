"""Hostile entries of alerts: places that nobody should be shown, desks and purposes that are not theirs, acts of time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from federation.domain.case_items import Part
from federation.domain.citizen_number import format_citizen_number
from federation.domain.joint import Head
from federation.node.exchange.receive import receive
from federation.node.joint.records import ALERT, parts_of
from federation.protocol.body import Body, commit_body, open_places
from federation.protocol.form import encode, replace
from federation.protocol.ids import format_time, parse_agency_id
from federation.protocol.leaf import Leaf, Verdict, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import pair_state
from tests.node.alerts.border_desks import CHANGSHAN, YUSHAN, BorderDesks, border_desks
from tests.node.rig import JIANGXI, ZHEJIANG, Pair, kit, sign, statement

NUMBER = format_citizen_number("361123", date(2190, 3, 7), sequence=1)
OFFICE, POLICE = parse_agency_id("jiangxi/361123/governance"), parse_agency_id("jiangxi/361123/police")
PLAIN = encode(Part(item=1, field="text", value="见X"))
BAD = {
    "a citizen number": PLAIN.replace(b"X", NUMBER.encode()),
    "a telephone": PLAIN.replace(b"X", b"13812345678"),
    "a terminal code": PLAIN.replace(b"X", "\x9b2J".encode()),
    "a text turned round": PLAIN.replace(b"X", "\u202e".encode()),
    "a field that there is not": encode(Part(item=1, field="secret", value="x")),
    "no item at all": b'{"item":',
}


@pytest.fixture
async def border(tmp_path: Path) -> AsyncIterator[BorderDesks]:
    """An alert that Changshan raised and Yushan was told of; Yushan's node then attacks."""
    async with border_desks(tmp_path) as made:
        await made.raises()
        await made.settled()
        yield made


def head_of(border: BorderDesks, act: str, *items: str, **changes: object) -> Head:
    """The head of Yushan's next entry, as an honest node would write it, but for the changes."""
    place = border.held(JIANGXI).record.place_for(JIANGXI)
    head = Head(
        record=border.record, n=place.n, parents=place.parents, height=place.height, at=border.rig.clock(),
        agency=OFFICE, officer="officer-7", act=act, fields={"desk": YUSHAN}, items=items,
    )  # fmt: skip
    return replace(head, **changes)


def submitted(
    border: BorderDesks, head: Head, body: Body, *, seq: int, why: tuple[str, str] = ("alert.incident", "F12")
) -> Submission:
    """A message to Changshan's node that Yushan's key signed, with every place open."""
    seq += pair_state(border.rig[JIANGXI].database, "sent", Pair(JIANGXI, ZHEJIANG)).highest
    made = statement(
        border.rig, body, seq=seq, kind="alert.entry", recipient=Recipient(node=ZHEJIANG), case=head.record,
        sender=Sender(node=JIANGXI, agency=head.agency, officer=head.officer), purpose=why[0], function=why[1],
    )  # fmt: skip
    opened = open_places(body, tuple(range(len(body.items))))
    return Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), partial=opened)


def body_of(head: Head, *items: bytes) -> Body:
    return Body(type=ALERT.media_type, salt=os.urandom(32), items=(encode(head), *items))


async def judged(border: BorderDesks, sent: Submission) -> Leaf:
    return decode_leaf((await receive(border.rig[ZHEJIANG], sent, peer=JIANGXI)).leaf)


@pytest.mark.parametrize("item", BAD.values(), ids=BAD.keys())
async def test_place_that_nobody_should_be_shown_stays_closed_and_is_taken_in_once(
    border: BorderDesks, item: bytes
) -> None:
    """The head counts, as it does at a member that was handed it alone; said again, the entry is refused."""
    node, head = border.rig[ZHEJIANG], head_of(border, "note", "fact")
    body = body_of(head, item)
    verdicts = [(await judged(border, submitted(border, head, body, seq=seq))).verdict for seq in range(100, 104)]

    assert verdicts == [Verdict.ALLOWED, *[Verdict.REFUSED] * 3]
    name = commit_body(body).commitment
    assert name in border.alert(ZHEJIANG).named
    kept = border.held(ZHEJIANG).kept[name]
    assert parts_of(ALERT, node, node.database, kept=kept) == {}
    assert len(list(ALERT.handed.each(node.database, under=f"{name}/"))) == 1
    assert (await border.view(CHANGSHAN)).decision.allowed


@pytest.mark.parametrize(
    ("changes", "why", "policy"),
    [
        ({"agency": POLICE}, ("alert.incident", "F12"), "deny-alert-other-desk"),
        ({}, ("dispute.mediation", "F09"), "deny-alert-other-purpose"),
        ({}, ("alert.order", "F08"), "deny-alert-other-purpose"),
        ({"act": "expire", "fields": {"due": "2126-04-04T10:00:00.000Z"}}, ("alert.incident", "F12"), "deny-alert-node-act"),
        ({"officer": None}, ("alert.incident", "F12"), "deny-alert-node-act"),
        ({"fields": {"desk": "361123.emergency"}}, ("alert.incident", "F12"), "deny-alert-other-desk"),
    ],
    ids=["another office's desk", "a purpose of no alert", "another kind's", "an officer for a node", "nobody", "a desk"],
)  # fmt: skip
async def test_claim_that_is_not_theirs_is_refused_by_its_policy(
    border: BorderDesks, changes: dict[str, object], why: tuple[str, str], policy: str
) -> None:
    """Logged with the policy that said so; the alert stands as it did."""
    head = replace(head_of(border, "claim"), **changes)
    leaf = await judged(border, submitted(border, head, body_of(head), seq=200, why=why))
    assert (leaf.verdict, policy in leaf.policies) == (Verdict.REFUSED, True)
    assert border.alert(ZHEJIANG).hold is None


async def test_rung_that_another_node_writes_is_taken_in_and_has_no_effect(border: BorderDesks) -> None:
    """The ladder is the arbiter's; whoever refused the entry would never see what is built on it."""
    due = format_time(border.rig.clock())
    head = head_of(border, "escalate", officer=None, fields={"rung": 600, "due": due})
    assert (await judged(border, submitted(border, head, body_of(head), seq=300))).verdict is Verdict.ALLOWED
    assert [why.reason for _, why in border.alert(ZHEJIANG).without_effect] == ["ARBITER_ONLY"]
    assert border.alert(ZHEJIANG).rungs == frozenset()
