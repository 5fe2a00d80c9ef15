"""Receiving, step by step: what is taken in, what is refused, and that nothing is stored of what was not judged."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain.citizen_number import format_citizen_number, true_birth_date
from federation.domain.permit import PermitUrn
from federation.domain.permit_item import decode_permit_item, encode_permit_item
from federation.node.log import receipts
from federation.node.receive import receive
from federation.protocol.body import MAX_BODY_BYTES, Body
from federation.protocol.envelope import MAX_ENVELOPE_BYTES, parse_envelope, payload_type_of
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    CorruptError,
    MalformedError,
    StaleError,
    UnavailableError,
    UntrustedError,
)
from federation.protocol.ids import NodeName, Realm, parse_agency_id
from federation.protocol.keys import Ed25519Signer, Suite
from federation.protocol.leaf import Leaf, LeafKind, Verdict, decode_leaf
from federation.protocol.receipt import Receipt, Submission, verify_receipt
from federation.protocol.statement import AgreementRef, BodyRef, Recipient, Sender, encode_statement
from federation.protocol.trust import MessageKey
from federation.store.exchange_log import check_log, load_entries
from federation.store.messages import load_body, missing_numbers, pair_state
from federation.store.records import find_record
from tests.node.rig import (
    FUJIAN,
    JIANGXI,
    START,
    ZHEJIANG,
    Rig,
    cause,
    kit,
    received,
    sign,
    statement,
    submission,
    sync_body,
    sync_item,
)

SEALED = Ed25519Signer(bytes(range(32)))


async def take(rig: Rig, sent: Submission, *, peer: NodeName = ZHEJIANG) -> Receipt:
    return await receive(rig[JIANGXI], sent, peer=peer)


def leaves(rig: Rig) -> list[Leaf]:
    database = rig[JIANGXI].database
    return [decode_leaf(entry) for entry in load_entries(database, 0, rig[JIANGXI].sequencer.head.size)]


async def refused(rig: Rig, sent: Submission, error: type[BridgeheadError], reason: str, **names: NodeName) -> None:
    """Nothing is stored of it: no leaf, no message, no number."""
    before = rig[JIANGXI].sequencer.head
    with pytest.raises(error) as caught:
        await take(rig, sent, **names)
    assert caught.value.reason == reason
    assert rig[JIANGXI].sequencer.head == before
    assert received(rig[JIANGXI]) == []


def verified(rig: Rig, sent: Submission, receipt: Receipt) -> Leaf:
    digest = parse_envelope(sent.envelope).digest
    return verify_receipt(receipt, statement_digest=digest, log_vkey=rig[JIANGXI].sequencer.vkey).leaf


async def test_receive_stores_message_body_copy_and_leaf_and_returns_a_receipt(rig: Rig) -> None:
    """A receipt means stored and decided: leaf, message, body and copy came in one transaction."""
    sent = submission(rig)

    leaf = verified(rig, sent, await take(rig, sent))

    (message,) = received(rig[JIANGXI])
    item = decode_permit_item(sync_item(), Realm.DEMO)
    record = find_record(rig[JIANGXI].database, "permit", item.urn, replica=True)
    assert (leaf.kind, leaf.verdict, leaf.seq) == (LeafKind.RECEIVED, Verdict.ALLOWED, 1)
    assert leaf.policies == ("accept-from-owner",)
    assert message.envelope == sent.envelope
    assert load_body(rig[JIANGXI].database, message.id) == sent.body
    assert record is not None
    assert (record.owner, record.content) == (ZHEJIANG, sync_item())
    check_log(rig[JIANGXI].database)


# ---- 1 size and payload type -------------------------------------------------------------------------------------------


async def test_receive_envelope_over_its_size_refused_before_parsing(rig: Rig) -> None:
    """Over-size is refused before anything is parsed."""
    await refused(rig, Submission(envelope=b" " * (MAX_ENVELOPE_BYTES + 1)), MalformedError, "ENVELOPE_SIZE")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", payload_type_of(Suite.ED25519).replace("v1", "v2"), "application/vnd.bridgehead.statement.v1+json"],
)
async def test_receive_other_payload_type_refused(rig: Rig, kind: str) -> None:
    """Only the statement's media type in a known version and suite is read."""
    envelope = submission(rig).envelope.replace(payload_type_of(Suite.ED25519).encode(), kind.encode())
    await refused(rig, Submission(envelope=envelope, body=sync_body()), MalformedError, "ENVELOPE_TYPE")


async def test_receive_payload_type_of_another_suite_refused(rig: Rig) -> None:
    """The suite is in the signed bytes: a key of one suite does not speak for another."""
    sent = submission(rig)
    envelope = sent.envelope.replace(b"suite=ed25519", b"suite=ecdsa-p256-sha256")
    await refused(rig, replace(sent, envelope=envelope), UntrustedError, "SIGNER_SUITE")


# ---- damaged envelopes -------------------------------------------------------------------------------------------------


async def test_receive_envelope_cut_anywhere_refused_and_nothing_stored(rig: Rig) -> None:
    """A truncated envelope is none, wherever it is cut."""
    sent = submission(rig)
    for length in range(len(sent.envelope)):
        with pytest.raises(MalformedError):
            await take(rig, replace(sent, envelope=sent.envelope[:length]))
    assert rig[JIANGXI].sequencer.head.size == 0


async def test_receive_envelope_with_one_bit_flipped_anywhere_refused_and_nothing_stored(rig: Rig) -> None:
    """No byte of an envelope can be changed on the way, whatever the byte is for."""
    sent = submission(rig)
    for position in range(len(sent.envelope)):
        damaged = bytearray(sent.envelope)
        damaged[position] ^= 1 << (position % 8)
        with pytest.raises((MalformedError, UntrustedError)):
            await take(rig, replace(sent, envelope=bytes(damaged)))
    assert rig[JIANGXI].sequencer.head.size == 0


async def test_receive_flipped_signature_of_a_known_message_refused(rig: Rig) -> None:
    """The first receipt goes to the same bytes only: a forged signature over a known statement gets nothing."""
    sent = submission(rig)
    await take(rig, sent)
    envelope = json.loads(sent.envelope)
    envelope["signatures"][0]["sig"] = b64encode(bytes(64)).decode()
    forged = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()

    with pytest.raises(UntrustedError) as caught:
        await take(rig, replace(sent, envelope=forged))

    assert caught.value.reason == "SIGNATURE"
    assert rig[JIANGXI].sequencer.head.size == 1


@given(garbage=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_parse_of_garbage_never_leaks_another_error(garbage: bytes) -> None:
    """What is no envelope gets an error of the house."""
    with pytest.raises(MalformedError):
        parse_envelope(garbage)


# ---- 2 seen before -----------------------------------------------------------------------------------------------------


async def test_receive_again_returns_the_same_receipt_byte_for_byte(rig: Rig) -> None:
    """A receipt for a duplicate is the first one's receipt, never a new promise; the log does not grow."""
    sent = submission(rig)
    first = await take(rig, sent)
    await take(rig, submission(rig, seq=2))

    assert await take(rig, sent) == first
    assert await take(rig, replace(sent, body=None)) == first
    assert rig[JIANGXI].sequencer.head.size == 2


async def test_receive_again_after_expiry_key_retirement_and_restart_returns_the_same_receipt(rig: Rig) -> None:
    """What was receipted stays receipted for ever."""
    sent = submission(rig)
    first = await take(rig, sent)
    rig.clock.advance(days=30)
    assert await take(rig, sent) == first

    member = rig.agreement.members[ZHEJIANG]
    retired = replace(member, message_keys=(MessageKey(key=SEALED.public_key, valid_from=START),))
    rig.put_in_force(replace(rig.agreement, version=2, members={**rig.agreement.members, ZHEJIANG: retired}))
    assert await take(rig, sent) == first

    await rig.hosts[JIANGXI].close()
    rig.hosts[JIANGXI].open()
    assert await take(rig, sent) == first


async def test_receive_twice_at_once_gives_one_leaf_and_one_receipt(rig: Rig) -> None:
    """Two copies of a message that race each other end as one."""
    sent = submission(rig)

    answers = await asyncio.gather(*(take(rig, sent) for _ in range(20)))

    assert set(answers) == {answers[0]}
    assert rig[JIANGXI].sequencer.head.size == 1
    assert len(received(rig[JIANGXI])) == 1


async def test_receive_again_beside_a_failing_job_returns_the_same_receipt(rig: Rig) -> None:
    """A group that had to be committed in parts gives no receipt under a later head than a repeat would get."""
    known = submission(rig)
    await take(rig, known)
    reused = Submission(envelope=sign(statement(rig, known.body, seq=1)), body=known.body)
    sent = [submission(rig, seq=seq) for seq in range(2, 12)]

    answers = await asyncio.gather(
        *(take(rig, each) for each in (*sent[:5], reused, *sent[5:])), return_exceptions=True
    )

    assert isinstance(answers.pop(5), ConflictError)
    assert [await take(rig, each) for each in sent] == answers


async def test_receive_same_id_with_other_bytes_refused_with_one_discrepancy(rig: Rig) -> None:
    """One id, two messages: refused, and recorded once however often it is tried."""
    sent = submission(rig)
    await take(rig, sent)
    body = sync_body(sync_item(2))
    other = submission(rig, body, seq=2, id=received(rig[JIANGXI])[0].id)

    for _ in range(3):
        with pytest.raises(ConflictError) as caught:
            await take(rig, other)
        assert caught.value.reason == "MESSAGE_ID_REUSED"

    first, discrepancy = leaves(rig)
    assert first.kind is LeafKind.RECEIVED
    assert (discrepancy.kind, discrepancy.reason) == (LeafKind.DISCREPANCY, "MESSAGE_ID_REUSED")
    assert discrepancy.subject == parse_envelope(other.envelope).digest
    assert len(received(rig[JIANGXI])) == 1


async def test_receive_same_number_with_another_id_refused_with_one_discrepancy(rig: Rig) -> None:
    """Two messages of one number: the sender contradicts itself."""
    await take(rig, submission(rig))

    for _ in range(2):
        with pytest.raises(ConflictError) as caught:
            await take(rig, submission(rig, sync_body(sync_item(9))))
        assert caught.value.reason == "SEQUENCE_REUSED"

    assert [leaf.kind for leaf in leaves(rig)].count(LeafKind.DISCREPANCY) == 2
    item = decode_permit_item(sync_item(9), Realm.DEMO)
    record = find_record(rig[JIANGXI].database, "permit", item.urn, replica=True)
    assert record is not None
    assert record.version == 1


async def test_receive_gap_in_the_numbers_is_taken_and_shown(rig: Rig) -> None:
    """Messages arrive in any order; what is missing is known, and the audit would tell."""
    await take(rig, submission(rig, seq=5))
    await take(rig, submission(rig, seq=2))

    database, pair = rig[JIANGXI].database, received(rig[JIANGXI])[0].pair
    assert missing_numbers(database, "received", pair=pair, limit=10) == [1, 3, 4]
    state = pair_state(database, "received", pair)
    assert (state.count, state.highest) == (2, 5)


# ---- 3 signature -------------------------------------------------------------------------------------------------------


async def test_receive_signed_by_another_provinces_key_refused(rig: Rig) -> None:
    """A key speaks for its own node only."""
    body = sync_body()
    envelope = sign(statement(rig, body), kit().keyrings[FUJIAN].message)
    await refused(rig, Submission(envelope=envelope, body=body), UntrustedError, "SIGNER_UNKNOWN")


async def test_receive_signed_by_a_stranger_refused(rig: Rig) -> None:
    """A key that the agreement does not name signs nothing."""
    body = sync_body()
    await refused(
        rig, Submission(envelope=sign(statement(rig, body), SEALED), body=body), UntrustedError, "SIGNER_UNKNOWN"
    )


@pytest.mark.parametrize(
    ("from_seconds", "until_seconds", "accepted"),
    [(-10, None, True), (0, None, True), (1, None, False), (-10, 1, True), (-10, 0, False)],
)
async def test_receive_by_a_key_within_its_time_only(
    rig: Rig, from_seconds: int, until_seconds: int | None, accepted: bool
) -> None:
    """From `valid_from` (inclusive) until `valid_until` (exclusive), by our clock."""
    member, now = rig.agreement.members[ZHEJIANG], rig.clock()
    key = MessageKey(
        key=kit().keyrings[ZHEJIANG].message.public_key,
        valid_from=now + timedelta(seconds=from_seconds),
        valid_until=None if until_seconds is None else now + timedelta(seconds=until_seconds),
    )
    members = {**rig.agreement.members, ZHEJIANG: replace(member, message_keys=(key,))}
    rig.put_in_force(replace(rig.agreement, members=members), JIANGXI)
    sent = submission(rig)

    if accepted:
        verified(rig, sent, await take(rig, sent))
    else:
        await refused(rig, sent, UntrustedError, "SIGNER_UNKNOWN")


# ---- 4 decode ----------------------------------------------------------------------------------------------------------


def _encoded(rig: Rig, change: Callable[[str], str]) -> Submission:
    body = sync_body()
    text = encode_statement(statement(rig, body)).decode()
    changed = change(text)
    assert changed != text
    return Submission(envelope=sign(changed.encode()), body=body)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:-1] + ',"zz":1}', "JSON_UNKNOWN_NAME"),
        (lambda text: text[:-1] + ',"v":1}', "JSON_DUPLICATE_NAME"),
        (lambda text: text.replace('"seq":1', '"seq":1.0'), "JSON_FLOAT"),
        (lambda text: text.replace('"seq":1', '"seq":1e0'), "JSON_FLOAT"),
        (lambda text: text.replace('"seq":1', '"seq":NaN'), "JSON_FLOAT"),
        (lambda text: text.replace('"seq":1', '"seq":0'), "STATEMENT_FIELD"),
        (lambda text: text.replace('"seq":1', '"seq":9007199254740993'), "JSON_NUMBER"),
        (lambda text: text.replace('"v":1', '"v":2'), "STATEMENT_VERSION"),
        (lambda text: text.replace('"realm":"demo",', ""), "JSON_MISSING_NAME"),
        (lambda text: text.replace('"realm":"demo"', '"realm":"test"'), "STATEMENT_FIELD"),
        (lambda text: text.replace(",", ", ", 1), "JSON_NOT_CANONICAL"),
        (lambda text: text + "\n", "JSON_NOT_CANONICAL"),
    ],
)
async def test_receive_signed_bytes_that_are_no_statement_refused(
    rig: Rig, change: Callable[[str], str], reason: str
) -> None:
    """Even under a good signature: unknown and duplicate names, floats, other spellings are refused."""
    await refused(rig, _encoded(rig, change), MalformedError, reason)


async def test_receive_statement_over_its_size_refused(rig: Rig) -> None:
    """8 KiB is the most of a statement."""
    sent = Submission(envelope=sign(b"{" + b" " * 8300 + b"}"))
    await refused(rig, sent, MalformedError, "STATEMENT_SIZE")


# ---- 5 parties ---------------------------------------------------------------------------------------------------------


async def test_receive_sender_other_than_the_tls_peer_refused(rig: Rig) -> None:
    """A message is taken from its sender only: Fujian cannot hand in what Zhejiang signed."""
    await refused(rig, submission(rig), UntrustedError, "SIGNER_UNKNOWN", peer=FUJIAN)


async def test_receive_statement_in_another_nodes_name_refused(rig: Rig) -> None:
    """Fujian's key under a statement that speaks for Zhejiang."""
    body = sync_body()
    sent = Submission(envelope=sign(statement(rig, body), kit().keyrings[FUJIAN].message), body=body)
    await refused(rig, sent, UntrustedError, "SENDER_NOT_PEER", peer=FUJIAN)


async def test_receive_addressed_to_another_node_refused(rig: Rig) -> None:
    """What Zhejiang sent to Fujian is nothing to Jiangxi."""
    await refused(rig, submission(rig, recipient=Recipient(node=FUJIAN)), UntrustedError, "NOT_FOR_US")


@pytest.mark.parametrize("changes", [{"federation": "other.example"}, {"realm": Realm.LIVE}])
async def test_receive_of_another_federation_or_realm_refused(rig: Rig, changes: dict[str, str]) -> None:
    """Demo data can never enter a live node, nor the other way round."""
    await refused(rig, submission(rig, **changes), UntrustedError, "OTHER_REALM")


async def test_receive_from_an_agency_that_the_agreement_does_not_name_refused(rig: Rig) -> None:
    """Only agencies of the agreement speak."""
    unknown = Sender(node=ZHEJIANG, agency=parse_agency_id("zhejiang/330822/tourism"))
    await refused(rig, submission(rig, sender=unknown), UntrustedError, "NOT_AN_AGENCY")


async def test_receive_to_an_agency_that_the_agreement_does_not_name_refused(rig: Rig) -> None:
    """And only they are spoken to."""
    unknown = Recipient(node=JIANGXI, agency=parse_agency_id("jiangxi/361123/tourism"))
    await refused(rig, submission(rig, recipient=unknown), UntrustedError, "NOT_AN_AGENCY")


async def test_receive_under_a_newer_agreement_than_we_know_is_put_off(rig: Rig) -> None:
    """We cannot judge under what we have not read yet: the sender tries again."""
    newer = AgreementRef(version=rig.agreement.version + 1, digest="ab" * 32)
    await refused(rig, submission(rig, agreement=newer), StaleError, "AGREEMENT_BEHIND")


async def test_receive_under_another_text_of_our_version_refused(rig: Rig) -> None:
    """One version number stands for one text."""
    other = AgreementRef(version=rig.agreement.version, digest="ab" * 32)
    await refused(rig, submission(rig, agreement=other), UntrustedError, "AGREEMENT_OTHER")


async def test_receive_under_an_older_agreement_is_judged_under_ours(rig: Rig) -> None:
    """What was on its way when the agreement changed is judged by the receiver's version, which the leaf names."""
    sent = submission(rig)
    rig.put_in_force(replace(rig.agreement, version=5, digest="cd" * 32), JIANGXI)

    assert verified(rig, sent, await take(rig, sent)).agreement_version == 5


# ---- 6 fresh -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late_seconds", "accepted"), [(60.0, True), (60.001, False)])
async def test_receive_up_to_the_tolerance_after_expiry(rig: Rig, late_seconds: float, accepted: bool) -> None:
    """Skew up to the clock tolerance never halts the exchange."""
    sent = submission(rig)
    rig.clock.time += rig.agreement.statement_lifetime + timedelta(seconds=late_seconds)
    rig.put_in_force(replace(rig.agreement, fresh_until_time=rig.clock() + timedelta(days=1)))

    if accepted:
        verified(rig, sent, await take(rig, sent))
    else:
        await refused(rig, sent, StaleError, "STATEMENT_EXPIRED")


@pytest.mark.parametrize(("ahead_seconds", "accepted"), [(60.0, True), (60.001, False)])
async def test_receive_from_the_future_up_to_the_tolerance(rig: Rig, ahead_seconds: float, accepted: bool) -> None:
    """A clock that runs ahead by less than the tolerance is not held against the sender."""
    created = rig.clock() + timedelta(seconds=ahead_seconds)
    sent = submission(rig, created=created, expires=created + timedelta(hours=1))

    if accepted:
        verified(rig, sent, await take(rig, sent))
    else:
        await refused(rig, sent, StaleError, "STATEMENT_FROM_FUTURE")


@pytest.mark.parametrize("life", [timedelta(days=3, milliseconds=1), timedelta(0), timedelta(seconds=-1)])
async def test_receive_with_a_life_outside_the_agreement_refused(rig: Rig, life: timedelta) -> None:
    """Nobody signs for longer than the agreement lets a statement live, and none ends before it begins."""
    sent = submission(rig, expires=rig.clock() + life)
    await refused(rig, sent, StaleError, "STATEMENT_LIFETIME")


async def test_receive_under_a_lapsed_agreement_goes_on_and_under_an_expired_one_does_not(rig: Rig) -> None:
    """Freshness that lapsed only warns; after the grace nothing new is accepted."""
    lapsed = replace(rig.agreement, fresh_until_time=rig.clock() - timedelta(hours=1))
    rig.put_in_force(lapsed, JIANGXI)
    sent = submission(rig)
    verified(rig, sent, await take(rig, sent))

    rig.put_in_force(replace(lapsed, lapse_grace=timedelta(minutes=1)), JIANGXI)
    with pytest.raises(StaleError) as caught:
        await take(rig, submission(rig, seq=2))
    assert caught.value.reason == "AGREEMENT_EXPIRED"


# ---- 7 body ------------------------------------------------------------------------------------------------------------


async def test_receive_without_the_body_that_is_stated_refused(rig: Rig) -> None:
    """A statement about a body comes with it."""
    await refused(rig, replace(submission(rig), body=None), MalformedError, "BODY_MISSING")


async def test_receive_with_a_body_that_is_not_stated_refused(rig: Rig) -> None:
    """Nothing comes along unsigned."""
    sent = Submission(envelope=sign(statement(rig)), body=sync_body())
    await refused(rig, sent, MalformedError, "BODY_UNEXPECTED")


@pytest.mark.parametrize(
    "change",
    [
        lambda body: replace(body, items=(sync_item(2),)),
        lambda body: replace(body, items=(body.items[0][:-1] + b" ",)),
        lambda body: replace(body, items=(*body.items, body.items[0])),
        lambda body: replace(body, salt=bytes(32)),
        lambda body: replace(body, type="text/plain"),
    ],
    ids=["other item", "other byte", "one more", "other salt", "other type"],
)
async def test_receive_with_another_body_than_stated_refused(rig: Rig, change: Callable[[Body], Body]) -> None:
    """The statement commits to items, their order, their type and the salt."""
    sent = submission(rig)
    with pytest.raises(UntrustedError):
        await take(rig, replace(sent, body=change(sent.body)))
    assert rig[JIANGXI].sequencer.head.size == 0


async def test_receive_body_over_its_size_refused(rig: Rig) -> None:
    """4 MiB is the most of a body, whatever the statement says."""
    ref = BodyRef(type=sync_body().type, items=1, size_bytes=MAX_BODY_BYTES + 1, commitment="ab" * 32)
    sent = Submission(
        envelope=sign(replace(statement(rig), body=ref)),
        body=sync_body(bytes(MAX_BODY_BYTES + 1)),
    )
    await refused(rig, sent, MalformedError, "BODY_SIZE")


async def test_receive_body_with_a_short_salt_refused(rig: Rig) -> None:
    """Without 32 random bytes the items could be guessed from the commitment."""
    sent = submission(rig)
    await refused(rig, replace(sent, body=replace(sent.body, salt=b"short")), MalformedError, "BODY_SALT")


# ---- 8 decide ----------------------------------------------------------------------------------------------------------


async def test_receive_what_policy_refuses_is_receipted_and_keeps_no_data(rig: Rig) -> None:
    """A refusal is an answer: signed, logged, naming the policy; neither body nor rows are stored."""
    sent = submission(rig, purpose="permit.check", function="F03")

    leaf = verified(rig, sent, await take(rig, sent))

    (message,) = received(rig[JIANGXI])
    assert (leaf.kind, leaf.verdict) == (LeafKind.REFUSED, Verdict.REFUSED)
    assert leaf.policies
    assert "accept-from-owner" not in leaf.policies
    assert leaf.agreement_version == rig.agreement.version
    assert message.verdict == "refused"
    with pytest.raises(BridgeheadError):
        load_body(rig[JIANGXI].database, message.id)
    item = decode_permit_item(sync_item(), Realm.DEMO)
    assert find_record(rig[JIANGXI].database, "permit", item.urn, replica=True) is None
    assert await take(rig, sent) == await take(rig, sent)


async def test_receive_permits_that_do_not_concern_us_refused_as_a_whole(rig: Rig) -> None:
    """One item of an unrelated person refuses the message; the deciding policy is named."""
    sent = submission(rig, sync_body(sync_item(), _of_household("340102")))

    leaf = verified(rig, sent, await take(rig, sent))

    assert leaf.verdict is Verdict.REFUSED
    assert "deny-accept-unrelated" in leaf.policies
    item = decode_permit_item(sync_item(), Realm.DEMO)
    assert find_record(rig[JIANGXI].database, "permit", item.urn, replica=True) is None


def _of_household(division: str) -> bytes:
    item = decode_permit_item(sync_item(), Realm.DEMO)
    urn = PermitUrn(item.urn[:-1] + ("X" if item.urn[-1] != "X" else "Y"))
    return encode_permit_item(replace(item, urn=urn, household_division=division))


async def test_receive_under_a_policy_that_errors_is_refused_with_policy_error(rig: Rig) -> None:
    """A policy that cannot be evaluated allows nothing, whatever the others say."""
    files = dict(rig.agreement.files)
    text = files["policies/permits.cedar"].decode()
    text += (
        '\n@id("allow-that-overflows")\n@title("甲")\n@title_en("A")\n@basis("甲")\n@clause1("甲|a")\n'
        'permit (principal is Fed::Agency, action == Fed::Action::"permit.accept", resource is Fed::Permit)\n'
        "when { 9223372036854775807 + 1 > 0 };\n"
    )
    files["policies/permits.cedar"] = text.encode()
    rig.put_in_force(replace(rig.agreement, files=files, digest="ef" * 32, version=2), JIANGXI)
    sent = submission(rig)

    leaf = verified(rig, sent, await take(rig, sent))

    assert (leaf.verdict, leaf.policies) == (Verdict.REFUSED, ("policy-error",))


async def test_receive_real_looking_citizen_number_in_the_demo_realm_refused(rig: Rig) -> None:
    """Demo nodes take invented people only: the birth year tells them apart."""
    item = decode_permit_item(sync_item(), Realm.DEMO)
    real = format_citizen_number("361123", true_birth_date(item.birth_date), sequence=1)
    sent = submission(rig, sync_body(encode_permit_item(replace(item, birth_date=None, citizen_number=real))))

    with pytest.raises(MalformedError) as caught:
        await take(rig, sent)

    assert caught.value.reason == "REAL_NUMBER_IN_DEMO"
    assert real not in str(caught.value)
    assert rig[JIANGXI].sequencer.head.size == 0


async def test_receive_kind_that_nobody_knows_refused(rig: Rig) -> None:
    """A message that this node cannot read is not judged."""
    await refused(rig, submission(rig, kind="permit.gossip"), UnavailableError, "MESSAGE_KIND")


async def test_receive_body_of_another_type_than_its_kind_refused(rig: Rig) -> None:
    """Each kind of message has its one type of body."""
    body = Body(type="text/plain", salt=bytes(32), items=(b"hello",))
    await refused(rig, submission(rig, body), MalformedError, "BODY_TYPE")


async def test_receive_copy_under_the_name_of_another_provinces_permit_refused(rig: Rig) -> None:
    """Nobody writes over another's permits by naming a county of his own beside the other's permit name."""
    item = decode_permit_item(sync_item(), Realm.DEMO)
    await take(rig, submission(rig))
    stolen = replace(item, residence_division="350782", version=99, holder_name="别人")
    body = sync_body(encode_permit_item(stolen))
    fujian = cause("fujian/350782/police").sender
    envelope = sign(statement(rig, body, sender=fujian), kit().keyrings[FUJIAN].message)

    with pytest.raises(MalformedError) as caught:
        await take(rig, Submission(envelope=envelope, body=body), peer=FUJIAN)

    assert caught.value.reason == "PERMIT_OWNER"
    record = find_record(rig[JIANGXI].database, "permit", item.urn, replica=True)
    assert record is not None
    assert (record.owner, record.version) == (ZHEJIANG, 1)


async def test_receive_older_version_after_a_newer_keeps_the_newer(rig: Rig) -> None:
    """Versions only grow, in whatever order messages come; both messages are receipted."""
    for seq, version in ((2, 7), (1, 3)):
        await take(rig, submission(rig, sync_body(sync_item(version)), seq=seq))

    item = decode_permit_item(sync_item(), Realm.DEMO)
    record = find_record(rig[JIANGXI].database, "permit", item.urn, replica=True)
    assert record is not None
    assert record.version == 7
    assert [leaf.kind for leaf in leaves(rig)] == [LeafKind.RECEIVED] * 2


# ---- 10 our own receipt ------------------------------------------------------------------------------------------------


async def test_receive_when_our_own_receipt_does_not_verify_is_corrupt(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node never hands out a receipt that it could not verify itself."""
    monkeypatch.setattr(receipts, "inclusion_proof", lambda *_names: (bytes(32),))

    with pytest.raises(CorruptError) as caught:
        await take(rig, submission(rig))

    assert caught.value.reason == "RECEIPT_INVALID"
