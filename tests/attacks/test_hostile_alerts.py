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


async def test_place_that_nobody_should_be_shown_stays_closed_and_is_taken_in_once(border: BorderDesks) -> None:
    """The head counts, as it does at a member that was handed it alone; said again, the entry is refused."""
    node = border.rig[ZHEJIANG]
    for number, (what, item) in enumerate(BAD.items(), start=1):
        await border.raises()
        await border.settled()
        head = head_of(border, "note", "fact")
        body = body_of(head, item)
        sent = [submitted(border, head, body, seq=1000 * number + again) for again in range(3)]
        verdicts = [(await judged(border, each)).verdict for each in sent]

        assert (what, verdicts) == (what, [Verdict.ALLOWED, *[Verdict.REFUSED] * 2])
        name = commit_body(body).commitment
        assert name in border.alert(ZHEJIANG).named
        kept = border.held(ZHEJIANG).kept[name]
        assert parts_of(ALERT, node, node.database, kept=kept) == {}
        assert len(list(ALERT.handed.each(node.database, under=f"{name}/"))) == 1
        assert (await border.view(CHANGSHAN)).decision.allowed


async def test_claim_that_is_not_theirs_is_refused_by_its_policy(border: BorderDesks) -> None:
    """Logged with the policy that said so; the alert stands as it did."""
    usual, expire = ("alert.incident", "F12"), {"act": "expire", "fields": {"due": format_time(border.rig.clock())}}
    for number, (what, changes, why, policy) in enumerate(
        (
            ("another office's desk", {"agency": POLICE}, usual, "deny-alert-other-desk"),
            ("a purpose of no alert", {}, ("dispute.mediation", "F09"), "deny-alert-other-purpose"),
            ("another kind's", {}, ("alert.order", "F08"), "deny-alert-other-purpose"),
            ("an officer for a node", expire, usual, "deny-alert-node-act"),
            ("nobody", {"officer": None}, usual, "deny-alert-node-act"),
            ("a desk", {"fields": {"desk": "361123.emergency"}}, usual, "deny-alert-other-desk"),
        )
    ):
        head = replace(head_of(border, "claim"), **changes)
        leaf = await judged(border, submitted(border, head, body_of(head), seq=200 + number, why=why))
        assert (what, leaf.verdict, policy in leaf.policies) == (what, Verdict.REFUSED, True)
    assert border.alert(ZHEJIANG).hold is None


async def test_rung_that_another_node_writes_is_taken_in_and_has_no_effect(border: BorderDesks) -> None:
    """The ladder is the arbiter's; whoever refused the entry would never see what is built on it."""
    due = format_time(border.rig.clock())
    head = head_of(border, "escalate", officer=None, fields={"rung": 600, "due": due})
    assert (await judged(border, submitted(border, head, body_of(head), seq=300))).verdict is Verdict.ALLOWED
    assert [why.reason for _, why in border.alert(ZHEJIANG).without_effect] == ["ARBITER_ONLY"]
    assert border.alert(ZHEJIANG).rungs == frozenset()
