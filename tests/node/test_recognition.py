"""Recognition in both modes: decided at the window, told to the home node, judged and shown on both sides."""

from __future__ import annotations

import os
from datetime import date

import pytest

from federation.domain.permits import PermitStatus, PermitUrn, RevokeReason, urn_division
from federation.domain.recognition import (
    Confirmation,
    RecognitionItem,
    RecognitionMode,
    RecognitionOutcome,
    RecognitionReason,
    decode_recognition_item,
)
from federation.node import permits
from federation.node.corrections.notices import list_notices
from federation.node.disclosures import tell_subject
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.recognition import RECOGNISED, recognise, recognitions_of
from federation.protocol.body import Body
from federation.protocol.errors import ConflictError, MalformedError
from federation.protocol.form import encode, replace
from federation.protocol.ids import AgencyId, NodeName, Pair, Realm, parse_agency_id
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.protocol.receipt import Receipt, Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.log_reader import load_entries
from federation.store.messages import list_messages
from federation.store.records import Record, find_record, list_records
from federation.wire.agency.corrections import NoticeLine
from federation.wire.agency.permits import PermitQuery, PermitRecognition, PermitRevocation, RecognitionAnswer
from federation.wire.rpc import Act
from tests.node.rig import (
    FUJIAN,
    HALL,
    JIANGXI,
    YUSHAN_HALL,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    act,
    application,
    kit,
    later,
    sign,
    statement,
)

NUMBER = application().holder.citizen_number
CARD, TIME = RecognitionMode.CARD, RecognitionMode.TIME


@pytest.fixture
async def urn(rig: Rig) -> PermitUrn:
    """A permit of Changshan whose copy is in Yushan."""
    rig.start_delivery()
    answer = await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), application())
    assert answer.permit is not None
    await rig.drain()
    return answer.permit.urn


async def at_window(
    rig: Rig, urn: PermitUrn, mode: RecognitionMode = CARD, *, number: str = NUMBER, given: Act | None = None,
    caller: AgencyId = YUSHAN_HALL,
) -> RecognitionAnswer:  # fmt: skip
    shown = PermitRecognition(urn=urn, mode=mode, citizen_number=number)
    answer = await recognise(begin_errand(rig[JIANGXI], caller, given or act("permit.recognition", "F01")), shown)
    await rig.drain()
    return answer


def shown(rig: Rig, name: str) -> list[Record]:
    database = rig.hosts[name].node.database
    return [
        record
        for replica in (False, True)
        for record in list_records(database, "recognition", after_id="", limit=9, replica=replica)
    ]


def told(rig: Rig) -> list[LeafKind]:
    """What the home node's log says of messages from Jiangxi."""
    node = rig[ZHEJIANG]
    leaves = [decode_leaf(entry) for entry in load_entries(node.database, 0, node.sequencer.head.size)]
    return [leaf.kind for leaf in leaves if leaf.pair == Pair(JIANGXI, ZHEJIANG)]


async def test_recognise_card_opens_the_services_and_both_sides_show_it(rig: Rig, urn: PermitUrn) -> None:
    """A valid card opens all agreed services; the home node is told and keeps the link."""
    answer = await at_window(rig, urn)

    assert answer.recognition is not None
    assert answer.recognition.outcome is RecognitionOutcome.RECOGNISED_FULL
    assert len(answer.recognition.services) == 13
    assert answer.permit is not None
    assert answer.permit.citizen_number is None
    (here,), (home,) = shown(rig, JIANGXI), shown(rig, ZHEJIANG)
    assert here.content == home.content
    assert (here.replica, home.replica, home.owner) == (False, True, JIANGXI)
    item = decode_recognition_item(home.content, Realm.DEMO)
    assert (item.urn, item.mode, item.agency) == (urn, CARD, YUSHAN_HALL)
    assert told(rig) == [LeafKind.RECEIVED]


async def test_recognise_time_counts_the_days_of_residence(rig: Rig, urn: PermitUrn) -> None:
    """Residence on the other side counts; less than half a year counts in part."""
    rig.clock.advance(days=1)
    answer = await at_window(rig, urn, TIME)

    assert answer.recognition is not None
    assert answer.recognition.outcome is RecognitionOutcome.RECOGNISED_PART
    assert answer.recognition.counted_days == 1
    assert len(shown(rig, ZHEJIANG)) == 1


async def test_person_is_told_which_offices_may_read_the_copy_and_which_recognised_it(rig: Rig, urn: PermitUrn) -> None:
    """Their county's two counters, by what policy opens to each, and the window; Yushan's node adds nothing of it."""
    await at_window(rig, urn)

    told = tell_subject(rig[ZHEJIANG], NUMBER, now=rig.clock()).lines

    assert {(line.asker, line.step, line.purpose) for line in told} == {
        (YUSHAN_POLICE, "permit.sync", "permit.sharing"),
        (YUSHAN_HALL, "permit.sync", "permit.sharing"),
        (YUSHAN_HALL, "permit.recognition", "permit.recognition"),
    }
    of_police = next(line.fields for line in told if line.asker == YUSHAN_POLICE)
    assert "residence_address" in of_police
    assert {"photo_digest", "ethnicity"}.isdisjoint(of_police)
    assert tell_subject(rig[JIANGXI], NUMBER, now=rig.clock()).lines == ()


async def test_person_whose_permit_is_sealed_by_law_is_told_of_no_office(rig: Rig) -> None:
    """No copy went out, so nobody elsewhere may read one; nor is anybody else told of a permit that is not theirs."""
    rig.start_delivery()
    sealed = application(sealed=True)
    await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), sealed)
    await rig.drain()

    assert tell_subject(rig[ZHEJIANG], sealed.holder.citizen_number, now=rig.clock()).lines == ()
    assert tell_subject(rig[ZHEJIANG], application(nth=1).holder.citizen_number, now=rig.clock()).lines == ()


async def test_permit_is_found_by_its_holders_number_where_that_number_is_released(rig: Rig, urn: PermitUrn) -> None:
    """The issuing county and the police of the household find it; an office that is not given the number never does."""

    async def found(name: NodeName, caller: AgencyId, purpose: tuple[str, str], **asked) -> list[PermitUrn]:
        query = PermitQuery(**{"citizen_number": NUMBER, **asked})
        page = await permits.list_permits(begin_errand(rig[name], caller, act(*purpose)), query)
        assert page.decision.allowed
        return [item.urn for item in page.permits]

    own, check, service = (), ("permit.check", "F03"), ("permit.service", "F01")
    assert await found(ZHEJIANG, HALL, own) == [urn]
    assert await found(JIANGXI, YUSHAN_POLICE, check) == [urn]
    assert await found(JIANGXI, YUSHAN_HALL, service, citizen_number=None) == [urn]
    assert await found(JIANGXI, YUSHAN_HALL, service) == []
    assert await found(ZHEJIANG, HALL, own, citizen_number=application(nth=1).holder.citizen_number) == []
    assert await found(ZHEJIANG, HALL, own, status=PermitStatus.REVOKED) == []
    assert await found(ZHEJIANG, HALL, own, residence_division="330824") == []
    assert NUMBER not in repr(PermitQuery(citizen_number=NUMBER))


async def test_recognise_in_both_modes_keeps_both_links(rig: Rig, urn: PermitUrn) -> None:
    """One link for each permit, mode and agency."""
    await at_window(rig, urn, CARD)
    await at_window(rig, urn, TIME)
    await at_window(rig, urn, CARD, caller=YUSHAN_POLICE)

    assert len(shown(rig, ZHEJIANG)) == len(shown(rig, JIANGXI)) == 3


async def test_recognise_revoked_card_is_refused_by_the_rule_and_told_home(rig: Rig, urn: PermitUrn) -> None:
    """A refusal at the window is an outcome too: both sides show it."""
    await permits.revoke(begin_errand(rig[ZHEJIANG], HALL, act()), PermitRevocation(urn=urn, reason=RevokeReason.LEFT))
    await rig.drain()

    answer = await at_window(rig, urn)

    assert answer.recognition is not None
    assert answer.recognition.reason is RecognitionReason.PERMIT_REVOKED
    (home,) = shown(rig, ZHEJIANG)
    assert home.status == RecognitionOutcome.REFUSED


async def test_recognition_by_a_copy_is_provisional_until_its_owner_confirms(rig: Rig, urn: PermitUrn) -> None:
    """The window hears when its owner said the copy; with the line down it is provisional, with its word confirmed."""
    rig.faults(JIANGXI, ZHEJIANG).cut = True
    card = PermitRecognition(urn=urn, mode=CARD, citizen_number=NUMBER)
    errand = begin_errand(rig[JIANGXI], YUSHAN_HALL, act("permit.recognition", "F01"))
    answer = await recognise(errand, card)
    assert (answer.confirmation, answer.copy_time) == (Confirmation.PROVISIONAL, rig.clock())
    assert await confirmed(rig, urn) == [Confirmation.PROVISIONAL]

    rig.faults(JIANGXI, ZHEJIANG).cut = False
    await rig.drain()
    assert await confirmed(rig, urn) == [Confirmation.CONFIRMED]
    assert (await recognise(errand, card)).confirmation is Confirmation.CONFIRMED
    assert differing(rig) == []


async def test_permit_revoked_behind_a_dead_line_contradicts_the_window_and_is_told(rig: Rig, urn: PermitUrn) -> None:
    """What was decided by a copy that was no longer true is refused by its owner, and the clerk's office is told."""
    for one, other in ((ZHEJIANG, JIANGXI), (JIANGXI, ZHEJIANG)):
        rig.faults(one, other).cut = True
    await permits.revoke(begin_errand(rig[ZHEJIANG], HALL, act()), PermitRevocation(urn=urn, reason=RevokeReason.LEFT))
    card = PermitRecognition(urn=urn, mode=CARD, citizen_number=NUMBER)
    answer = await recognise(begin_errand(rig[JIANGXI], YUSHAN_HALL, act("permit.recognition", "F01")), card)
    assert answer.recognition is not None
    assert answer.recognition.outcome is RecognitionOutcome.RECOGNISED_FULL
    assert answer.confirmation is Confirmation.PROVISIONAL

    for one, other in ((ZHEJIANG, JIANGXI), (JIANGXI, ZHEJIANG)):
        rig.faults(one, other).cut = False
    await rig.drain()

    assert await confirmed(rig, urn) == [Confirmation.CONTRADICTED]
    assert shown(rig, ZHEJIANG) == []
    (line,) = differing(rig)
    assert (line.urn, line.version, line.decided_on, line.owner) == (urn, 2, rig[JIANGXI].today(), ZHEJIANG)
    assert [line for line in list_notices(rig[JIANGXI], YUSHAN_POLICE) if line.decided_on] == []


async def test_version_that_leaves_the_outcome_as_it_was_is_no_notice(rig: Rig, urn: PermitUrn) -> None:
    """An endorsement changes the permit and not what it was worth at the window."""
    await at_window(rig, urn)
    later(rig, days=340)
    await permits.endorse(begin_errand(rig[ZHEJIANG], HALL, act()), urn)
    await rig.drain()

    assert differing(rig) == []
    assert await confirmed(rig, urn) == [Confirmation.CONFIRMED]


async def confirmed(rig: Rig, urn: PermitUrn) -> list[Confirmation]:
    """What the window's office sees beside its outcomes."""
    errand = begin_errand(rig[JIANGXI], YUSHAN_HALL, act("permit.recognition", "F01"))
    return [link.confirmation for link in recognitions_of(errand.node, urn, Realm.DEMO)]


def differing(rig: Rig) -> list[NoticeLine]:
    return [line for line in list_notices(rig[JIANGXI], YUSHAN_HALL) if line.decided_on is not None]


async def test_recognise_mode_that_is_not_agreed_refused_by_own_policy(rig: Rig, urn: PermitUrn) -> None:
    """The agreement says which modes are in force; the home node hears nothing."""
    rig.put_in_force(replace(rig.agreement, recognition_modes=frozenset({"time"})))

    answer = await at_window(rig, urn, CARD)

    assert answer.recognition is None
    assert answer.decision.policies == ("deny-mode-not-agreed",)
    assert shown(rig, ZHEJIANG) == shown(rig, JIANGXI) == []
    assert told(rig) == []


async def test_recognise_by_an_agency_away_from_the_border_refused(rig: Rig, urn: PermitUrn) -> None:
    """Own policy decides first; the refusal is logged here."""
    court = parse_agency_id("jiangxi/361123/court")
    size = rig[JIANGXI].sequencer.head.size

    answer = await at_window(rig, urn, caller=court)

    assert not answer.decision.allowed
    assert rig[JIANGXI].sequencer.head.size == size + 1
    assert told(rig) == []


@pytest.mark.attack("numbers tried at the desk that recognises")
async def test_recognise_anothers_permit_and_one_that_never_came_are_one_logged_no(rig: Rig, urn: PermitUrn) -> None:
    """Whether such a permit exists, and whose it is, is not for this desk to know: policy refuses on the name alone."""
    size = rig[JIANGXI].sequencer.head.size
    other = await at_window(rig, urn, number=application(minor=True).holder.citizen_number)
    nobodys = await at_window(rig, PermitUrn("urn:permit:330822:2026:000999"))

    assert other == nobodys
    assert other.decision.policies == ("deny-recognise-unrelated",)
    assert (other.recognition, other.permit) == (None, None)
    assert shown(rig, JIANGXI) == []
    assert rig[JIANGXI].sequencer.head.size == size + 2


async def test_recognise_again_with_the_same_id_tells_home_once(rig: Rig, urn: PermitUrn) -> None:
    """A clerk whose answer was lost asks again: the same answer, no second message."""
    asked = act("permit.recognition", "F01")

    first = await at_window(rig, urn, given=asked)

    assert await at_window(rig, urn, given=asked) == first
    assert told(rig) == [LeafKind.RECEIVED]
    with pytest.raises(ConflictError) as caught:
        await at_window(rig, urn, TIME, given=asked)
    assert caught.value.reason == "REQUEST_ID_REUSED"


# ---- the home node judges what it is told ------------------------------------------------------------------------------


def message(rig: Rig, urn: PermitUrn, *, seq: int = 1, agency: AgencyId = YUSHAN_HALL, **changes) -> Submission:
    """A recognition as Jiangxi would tell it, but for the changes."""
    sender = changes.pop("sender", Sender(node=agency.node, agency=agency))
    node = sender.node
    purpose = changes.pop("purpose", "permit.recognition")
    item = RecognitionItem(
        urn=urn, citizen_number=NUMBER, issuing_division=urn_division(urn), issue_date=date(2026, 11, 23), mode=CARD,
        outcome=RecognitionOutcome.RECOGNISED_FULL, reason=RecognitionReason.CARD_VALID, agency=agency,
        decided_on=date(2026, 11, 23),
    )  # fmt: skip
    items = (encode(replace(item, **changes)),)
    body = Body(type=RECOGNISED.media_type, salt=os.urandom(32), items=items)
    made = statement(
        rig, body, seq=seq, kind=RECOGNISED.name, sender=sender, recipient=Recipient(node=ZHEJIANG), purpose=purpose
    )
    return Submission(envelope=sign(made, kit().keyrings[node].message), body=body)


async def test_home_refuses_recognition_by_a_province_unrelated_to_the_holder(four: Rig) -> None:
    """Fujian has nothing to do with a person of Yushan: refused, receipted, nothing kept."""
    answer = await permits.register(begin_errand(four[ZHEJIANG], HALL, act()), application())
    assert answer.permit is not None
    fujian = parse_agency_id("fujian/350782/police")

    receipt = await receive(four[ZHEJIANG], message(four, answer.permit.urn, agency=fujian), peer=FUJIAN)

    assert isinstance(receipt, Receipt)
    leaf = decode_leaf(receipt.leaf)
    assert (leaf.kind, leaf.policies) == (LeafKind.REFUSED, ("deny-recognise-unrelated",))
    assert shown(four, ZHEJIANG) == []


async def test_home_refuses_recognition_for_another_purpose(rig: Rig, urn: PermitUrn) -> None:
    """The home node's own policy decides as well, not only the window's."""
    receipt = await receive(rig[ZHEJIANG], message(rig, urn, purpose="permit.service"), peer=JIANGXI)

    assert decode_leaf(receipt.leaf).kind is LeafKind.REFUSED
    assert shown(rig, ZHEJIANG) == []


@pytest.mark.attack("numbers tried by a province that recognises")
@pytest.mark.parametrize("who", ["unknown permit", "other holder", "sealed"])
async def test_home_says_one_logged_no_whatever_is_the_matter(rig: Rig, urn: PermitUrn, who: str) -> None:
    """Whether the permit exists, whose it is and whether it is sealed is told to nobody: one no, signed and logged."""
    made = message(rig, urn, citizen_number=application(minor=True).holder.citizen_number)
    if who == "unknown permit":
        made = message(rig, PermitUrn("urn:permit:330822:2026:000999"))
    elif who == "sealed":
        kept = application(sealed=True, nth=1)
        answer = await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), kept)
        assert answer.permit is not None
        made = message(rig, answer.permit.urn, citizen_number=kept.holder.citizen_number)

    leaf = decode_leaf((await receive(rig[ZHEJIANG], made, peer=JIANGXI)).leaf)

    assert (leaf.kind, leaf.policies) == (LeafKind.REFUSED, ("deny-recognise-unrelated",))
    assert shown(rig, ZHEJIANG) == []


async def test_home_refuses_recognition_in_another_agencys_name(rig: Rig, urn: PermitUrn) -> None:
    """Who recognised is who signed for it."""
    wrong = message(rig, urn, sender=Sender(node=JIANGXI, agency=YUSHAN_POLICE))

    with pytest.raises(MalformedError) as caught:
        await receive(rig[ZHEJIANG], wrong, peer=JIANGXI)

    assert caught.value.reason == "RECOGNITION_AGENCY"


async def test_recognition_of_a_changed_permit_a_day_later_replaces_the_link(rig: Rig, urn: PermitUrn) -> None:
    """The link shows the newest outcome on both sides."""
    await at_window(rig, urn)
    rig.clock.advance(days=1)
    await permits.revoke(begin_errand(rig[ZHEJIANG], HALL, act()), PermitRevocation(urn=urn, reason=RevokeReason.LEFT))
    await rig.drain()
    await at_window(rig, urn)

    (here,), (home,) = shown(rig, JIANGXI), shown(rig, ZHEJIANG)
    assert here.status == home.status == RecognitionOutcome.REFUSED
    record = find_record(rig[JIANGXI].database, "permit", urn, replica=True)
    assert record is not None
    assert record.version == 2
    sent = list_messages(rig[JIANGXI].database, "sent", pair=Pair(JIANGXI, ZHEJIANG), after_seq=0, limit=9)
    assert [each.seq for each in sent] == [1, 2]
