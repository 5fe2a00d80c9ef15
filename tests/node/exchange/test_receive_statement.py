"""Receiving, what is judged by envelope and statement alone: size, form, signature, parties, agreement, time."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.protocol.envelope import MAX_ENVELOPE_BYTES, parse_envelope, payload_type_of
from federation.protocol.errors import MalformedError, StaleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import Realm, parse_agency_id
from federation.protocol.keys import Suite
from federation.protocol.receipt import Submission
from federation.protocol.statement import AgreementRef, Recipient, Sender, encode_statement
from federation.protocol.trust import MessageKey
from tests.node.exchange.receiving import SEALED, refused, take, verified
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG, Rig, kit, sign, statement, submission, sync_body

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
