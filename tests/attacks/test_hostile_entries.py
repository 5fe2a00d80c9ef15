"""Hostile entries of joint cases: partial bodies that lie, heads that lie, and what an office must not be shown."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.domain.case_items import Part
from federation.domain.joint import Head
from federation.node.exchange.receive import receive
from federation.node.joint.records import OWN
from federation.node.joint.writing import ENTRY_TYPE
from federation.protocol.body import Body, OpenPlace, PartialBody, open_places, pack_body
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import encode, replace
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import pair_state
from tests.node.joint.desks import PARTY, PEER, STRANGER, TOWN, WHY, Desks, desks
from tests.node.rig import JIANGXI, ZHEJIANG, Pair, kit, sign, statement

SECRET = Part(item=1, field="text", value="双方认可")


@pytest.fixture
async def case(tmp_path: Path) -> AsyncIterator[Desks]:
    """A case that Changshan leads and Yushan takes part in; Yushan's node then attacks."""
    async with desks(tmp_path) as made:
        await made.open()
        await made.invites(PEER, "peer")
        yield made


def head_of(case: Desks, **changes: object) -> Head:
    """The head of Yushan's next entry, as an honest node would write it, but for the changes."""
    place = case.held(JIANGXI).record.place_for(JIANGXI)
    head = Head(
        record=case.record, n=place.n, parents=place.parents, height=place.height, at=case.rig.clock(), agency=PEER,
        officer="officer-7", act="note", fields={}, items=("note",),
    )  # fmt: skip
    return replace(head, **changes)


def body_of(head: Head, *parts: Part) -> Body:
    return Body(type=ENTRY_TYPE, salt=os.urandom(32), items=(encode(head), *map(encode, parts)))


def submitted(case: Desks, body: Body, partial: PartialBody | None, *, head: Head, **changes: object) -> Submission:
    """A message to Changshan's node that Yushan's key signed."""
    seq = pair_state(case.rig[JIANGXI].database, "sent", Pair(JIANGXI, ZHEJIANG)).highest + 100
    made = statement(
        case.rig, body, seq=seq, kind="case.entry", sender=Sender(node=JIANGXI, agency=PEER, officer=head.officer),
        recipient=Recipient(node=ZHEJIANG), purpose=WHY[0], function=WHY[1], case=head.record, **changes,
    )  # fmt: skip
    return Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), partial=partial)


async def refused(case: Desks, sent: Submission) -> str:
    size = case.rig[ZHEJIANG].sequencer.head.size
    with pytest.raises(BridgeheadError) as caught:
        await receive(case.rig[ZHEJIANG], sent, peer=JIANGXI)
    assert case.rig[ZHEJIANG].sequencer.head.size == size
    return caught.value.reason


async def test_entry_with_its_head_closed_is_refused(case: Desks) -> None:
    """Nobody takes in an entry of which it is not said who did what."""
    head = head_of(case)
    body = body_of(head, SECRET)
    honest = open_places(body, (0, 1))
    (hash_of_head,) = open_places(replace(body, items=body.items[::-1]), (0,)).places[1:]
    assert isinstance(hash_of_head, bytes)
    closed = replace(honest, places=(hash_of_head, honest.places[1]))

    assert await refused(case, submitted(case, body, closed, head=head)) == "BODY_HEAD_CLOSED"


async def test_entry_that_is_handed_over_whole_is_refused(case: Desks) -> None:
    """With the body's own salt whoever it leaks to could guess at what is closed to them."""
    head = head_of(case)
    body = body_of(head, SECRET)
    whole = replace(submitted(case, body, None, head=head), body=body)

    assert await refused(case, whole) == "BODY_PARTIAL"


async def test_entry_with_more_open_bytes_than_stated_is_refused(case: Desks) -> None:
    """The statement says how many bytes there are in all; what stands open is within them, and what it committed to."""
    head = head_of(case)
    body = body_of(head, SECRET)
    partial = open_places(body, (0, 1))
    longer = replace(partial, places=(partial.places[0], OpenPlace(salt=bytes(32), item=b"x" * 10_000)))
    other = replace(partial, places=(partial.places[0], OpenPlace(salt=bytes(32), item=encode(SECRET))))

    assert await refused(case, submitted(case, body, longer, head=head)) == "BODY_SIZE"
    assert await refused(case, submitted(case, body, other, head=head)) == "BODY_COMMITMENT"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"items": ()}, "ENTRY_ITEMS"),
        ({"items": ("party",)}, "CASE_ITEM_FIELD"),
        ({"agency": TOWN}, "ENTRY_AUTHOR"),
        ({"agency": STRANGER}, "ENTRY_SENDER"),
        ({"height": 0, "parents": frozenset(), "n": 1}, "ENTRY_OPENING"),
    ],
    ids=[
        "an item more than its head says",
        "another class",
        "another province's office",
        "another office",
        "an opening",
    ],
)
async def test_entry_whose_head_lies_is_refused(case: Desks, changes: dict[str, object], reason: str) -> None:
    """A head is its author's, says what its items are, and opens nothing that is open."""
    head = head_of(case, **changes)
    body = body_of(head, SECRET)

    assert await refused(case, submitted(case, body, open_places(body, (0, 1)), head=head)) == reason


async def test_two_entries_of_one_number_are_both_evidence(case: Desks) -> None:
    """A node that says one thing to one and another thing to another is named at whoever meets both."""
    one, two = head_of(case, items=()), head_of(case, items=(), fields={"reason": "另一说法"})
    for seq, head in ((200, one), (201, two)):
        body = body_of(head)
        made = statement(
            case.rig, body, seq=seq, kind="case.entry", recipient=Recipient(node=ZHEJIANG), purpose=WHY[0],
            function=WHY[1], sender=Sender(node=JIANGXI, agency=PEER, officer=head.officer), case=head.record,
        )  # fmt: skip
        sent = Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), partial=open_places(body, (0,)))
        receipt = await receive(case.rig[ZHEJIANG], sent, peer=JIANGXI)
        assert decode_leaf(receipt.leaf).verdict is Verdict.ALLOWED

    (finding,) = case.held(ZHEJIANG).record.findings
    assert (finding.author, finding.n, finding.kind.value) == (JIANGXI, one.n, "fork")
    assert any("fork" in notice.en for notice in (await case.view(TOWN)).notices)


async def test_office_that_was_never_asked_writes_nothing(case: Desks) -> None:
    """An office of a member province that takes no part is refused by policy, logged, and named to both sides."""
    head = head_of(case, agency=STRANGER, items=())
    body = body_of(head)
    made = statement(
        case.rig, body, seq=300, kind="case.entry", recipient=Recipient(node=ZHEJIANG), purpose=WHY[0],
        function=WHY[1], sender=Sender(node=JIANGXI, agency=STRANGER, officer=head.officer), case=head.record,
    )  # fmt: skip
    sent = Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), partial=open_places(body, (0,)))
    receipt = await receive(case.rig[ZHEJIANG], sent, peer=JIANGXI)

    assert decode_leaf(receipt.leaf).verdict is Verdict.REFUSED
    assert any("refused entry" in notice.en for notice in (await case.view(TOWN)).notices)


async def test_closed_fields_never_cross_the_wire(case: Desks) -> None:
    """Of all that went to Yushan no byte holds the name of a field's value that its role may not see, nor the salt."""
    secret = replace(PARTY, fields={**PARTY.fields, "name": "林甲", "role": "applicant"})
    contact = replace(PARTY, kind="contact", fields={"phone": "0570-5012345"})
    await case.does(TOWN, "add_party", secret, contact, party="p1", side="A", role="applicant", county="330822")
    await case.settled()

    carried = [
        sent for batch in case.rig.faults(ZHEJIANG, JIANGXI).carried for sent in batch if sent.partial is not None
    ]
    assert carried
    salts = [own.body.salt for own in OWN.each(case.rig[ZHEJIANG].database) if isinstance(own.body, Body)]
    assert salts
    for sent in carried:
        handed = pack_body(sent.partial)
        assert b"0570-5012345" not in handed
        assert not any(salt in handed for salt in salts)
        assert sent.body is None
