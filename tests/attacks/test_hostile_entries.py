"""Hostile entries of joint cases: partial bodies that lie, heads that lie, and what an office must not be shown."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from federation.domain.case_items import Part
from federation.domain.citizen_number import format_citizen_number
from federation.domain.joint import Head
from federation.node.exchange.receive import receive
from federation.node.joint import entries
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.records import CASE, MAX_UNOPENED
from federation.node.joint.shown import MAX_NOTICES
from federation.node.joint.taking import MAX_TOLD
from federation.protocol.body import Body, OpenPlace, PartialBody, commit_body, open_places, pack_body
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import encode, replace
from federation.protocol.ids import AgencyId, RecordId
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import has_body, pair_state
from federation.wire.agency.cases import DeliveryState
from tests.node.joint.desks import PARTY, PEER, STRANGER, TOWN, WHY, Desks, desks
from tests.node.rig import JIANGXI, ZHEJIANG, Pair, kit, sign, statement

NUMBER = format_citizen_number("361123", date(2190, 3, 7), sequence=1)
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
    return Body(type=CASE.media_type, salt=os.urandom(32), items=(encode(head), *map(encode, parts)))


def submitted(
    case: Desks, body: Body, partial: PartialBody | None, *, head: Head, seq: int = 0, office: AgencyId = PEER
) -> Submission:
    """A message to Changshan's node that Yushan's key signed."""
    seq = seq or pair_state(case.rig[JIANGXI].database, "sent", Pair(JIANGXI, ZHEJIANG)).highest + 100
    made = statement(
        case.rig, body, seq=seq, kind="case.entry", sender=Sender(node=JIANGXI, agency=office, officer=head.officer),
        recipient=Recipient(node=ZHEJIANG), purpose=WHY[0], function=WHY[1], case=head.record,
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
        ({"items": ("party",)}, "ENTRY_FORM"),
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


BANK = Part(item=1, field="bank", value="icbc")


@pytest.mark.parametrize(
    ("changes", "parts", "reason"),
    [
        ({"fields": {"secret": "x"}, "items": ()}, (), "ENTRY_FORM"),
        ({"fields": {"reason": 7}, "items": ()}, (), "ENTRY_FORM"),
        ({"act": "remind", "fields": {}, "items": ()}, (), "ENTRY_FORM"),
        ({"act": "add_claim", "fields": {"claim": "c1", "party": "p1"}, "items": ("place",)}, (SECRET,), "ENTRY_FORM"),
        ({"act": "conjure", "items": ()}, (), "ENTRY_ACT"),
        ({}, (SECRET,), "ENTRY_BEYOND"),
        (
            {"act": "add_claim", "fields": {"claim": "c1", "party": "p1"}, "items": ("account",)},
            (BANK,),
            "ENTRY_BEYOND",
        ),
        ({"fields": {f"f{number}": "字" * 300 for number in range(9)}, "items": ()}, (), "HEAD_SIZE"),
    ],
    ids=[
        "a field",
        "a form",
        "a field missing",
        "a class",
        "an act",
        "a note",
        "a class of nobody here",
        "a giant head",
    ],
)
async def test_entry_beyond_the_tables_is_kept_nowhere(
    case: Desks, changes: dict[str, object], parts: tuple[Part, ...], reason: str
) -> None:
    """No field beyond the acts' table, no class beyond the act's, nothing open that no office here is ever given."""
    head = head_of(case, **changes)
    body = body_of(head, *parts)

    before = len(list(CASE.entries.each(case.rig[ZHEJIANG].database)))
    assert (
        await refused(case, submitted(case, body, open_places(body, tuple(range(1 + len(parts)))), head=head)) == reason
    )
    assert len(list(CASE.entries.each(case.rig[ZHEJIANG].database))) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"reason":"x"', '"reason":"石\u202e头"'.encode()),
        (b'"reason":"x"', b'"reason":"\\u0000"'),
        (b'"reason":"x"', b'"reason":"\xff"'),
        (b'"height":', b'"height":1e9,"x":'),
        (b'"height":', b'"height":20001,"x":'),
        (b'"n":', b'"n":5001,"m":'),
        (b'"parents":[', b'"parents":[' + b",".join(b'"%064x"' % number for number in range(1, 18)) + b","),
    ],
    ids=["turned", "NUL", "no UTF-8", "no number", "too high", "too many", "17 parents"],
)
async def test_head_of_other_bytes_is_refused(case: Desks, old: bytes, new: bytes) -> None:
    """What cannot be seen, is no text, or is beyond what a record may have, is no head."""
    head = head_of(case, items=(), fields={"reason": "x"})
    encoded = encode(head)
    assert old in encoded
    body = Body(type=CASE.media_type, salt=os.urandom(32), items=(encoded.replace(old, new, 1),))

    assert await refused(case, submitted(case, body, open_places(body, (0,)), head=head))


async def test_entry_dated_ahead_waits_and_one_dated_back_has_no_effect(case: Desks) -> None:
    """Nobody moves a clock, or an end of retention, by writing another time than that of what they stand on."""
    node = case.rig[ZHEJIANG]
    ahead = head_of(case, items=(), at=case.rig.clock() + timedelta(days=1))
    body = body_of(ahead)
    assert await refused(case, submitted(case, body, open_places(body, (0,)), head=ahead)) == "ENTRY_AHEAD"

    back = head_of(case, items=(), at=case.rig.clock() - timedelta(days=400))
    body = body_of(back)
    receipt = await receive(node, submitted(case, body, open_places(body, (0,)), head=back), peer=JIANGXI)
    assert decode_leaf(receipt.leaf).verdict is Verdict.ALLOWED
    folded = case.held(ZHEJIANG).state
    assert folded is not None
    assert [(entry.head, said.reason) for entry, said in folded.without_effect] == [(back, "DATED_BEFORE")]


async def test_entry_said_again_leaves_nothing_but_the_refusal(case: Desks) -> None:
    """Under new statements without end: a leaf each, within what a member may be refused in a minute."""
    node, head = case.rig[ZHEJIANG], head_of(case, items=())
    body = body_of(head)
    verdicts = []
    for seq in range(400, 404):
        sent = submitted(case, body, open_places(body, (0,)), head=head, seq=seq)
        verdicts.append(decode_leaf((await receive(node, sent, peer=JIANGXI)).leaf).verdict)

    assert verdicts == [Verdict.ALLOWED, *[Verdict.REFUSED] * 3]
    handed = list(CASE.handed.each(node.database, under=f"{commit_body(body).commitment}/"))
    assert (len(handed), [has_body(node.database, each.message_id) for each in handed]) == (1, [True])


async def test_records_that_nobody_opened_are_few(case: Desks) -> None:
    """Entries of cases of which the opening never comes: so many a province, then the sender is asked to come again."""
    node = case.rig[ZHEJIANG]
    for number in range(MAX_UNOPENED + 2):
        record = RecordId(f"jiangxi/0193587f-0a00-7000-8000-{number:012x}")
        head = head_of(case, record=record, items=(), parents=frozenset({f"{number:064x}"}))
        body = body_of(head)
        sent = submitted(case, body, open_places(body, (0,)), head=head, seq=500 + number)
        if number < MAX_UNOPENED:
            await receive(node, sent, peer=JIANGXI)
        else:
            assert await refused(case, sent) == "RECORD_WAITING"
    assert len(list(CASE.records.each(node.database))) == 1 + MAX_UNOPENED
    assert not [record for record, held in node.folds.items() if not held.kept]
    await entries.settle_due(CASES_SHARED, node)
    assert (await case.does(TOWN, "note")).act == "note"


async def test_flood_of_refusals_and_gaps_leaves_a_case_readable(case: Desks) -> None:
    """Of the refused entries of one province few are told; a number far ahead is one of a bounded list of notices."""
    node = case.rig[ZHEJIANG]
    for number in range(MAX_TOLD + 8):
        head = head_of(case, agency=STRANGER, items=(), fields={"reason": f"{number}"})
        body = body_of(head)
        sent = submitted(case, body, open_places(body, (0,)), head=head, seq=600 + number, office=STRANGER)
        assert decode_leaf((await receive(node, sent, peer=JIANGXI)).leaf).verdict is Verdict.REFUSED
    far = head_of(case, items=(), n=5000, parents=frozenset({"ab" * 32}))
    body = body_of(far)
    await receive(node, submitted(case, body, open_places(body, (0,)), head=far, seq=700), peer=JIANGXI)

    assert len(list(CASE.refused.each(node.database, under=f"{case.record}/"))) == MAX_TOLD
    notices = (await case.view(TOWN)).notices
    assert len(notices) == MAX_NOTICES + 1
    assert "more" in notices[-1].en


async def test_officer_who_writes_what_no_province_could_take_in_is_told_so(case: Desks) -> None:
    """A person's number in a head, a head too large: nothing is written, or our own line would end at the others."""
    for text in (f"见{NUMBER}", "字" * 301):
        with pytest.raises(BridgeheadError) as caught:
            await case.tries(TOWN, "note", reason=text)
        assert caught.value.reason in ("HEAD_NAMES_PERSON", "CASE_FIELD", "HEAD_FIELDS", "JSON_TYPE"), caught.value
    assert (await case.does(TOWN, "note")).deliveries[0].state is DeliveryState.RECEIVED


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
    salts = [own.body.salt for own in CASE.own.each(case.rig[ZHEJIANG].database) if isinstance(own.body, Body)]
    assert salts
    for sent in carried:
        handed = pack_body(sent.partial)
        assert b"0570-5012345" not in handed
        assert not any(salt in handed for salt in salts)
        assert sent.body is None
