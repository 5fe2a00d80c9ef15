"""Receiving, step by step, beyond the statement: repeats, bodies, decisions, and that a receipt means stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from federation.domain.citizen_number import format_citizen_number, true_birth_date
from federation.domain.permits import PermitUrn, decode_permit_item
from federation.node.log import sequence
from federation.protocol.body import MAX_BODY_BYTES, Body
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    CorruptError,
    MalformedError,
    UnavailableError,
    UntrustedError,
)
from federation.protocol.form import encode, replace
from federation.protocol.ids import Realm
from federation.protocol.leaf import Leaf, LeafKind, Verdict, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import BodyRef
from federation.protocol.trust import MessageKey
from federation.store.log_reader import check_log, load_entries
from federation.store.messages import load_body, pair_state
from federation.store.records import find_record
from tests.node.exchange.receiving import SEALED, refused, take, verified
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
from tests.store.samples import missing_numbers


def leaves(rig: Rig) -> list[Leaf]:
    database = rig[JIANGXI].database
    return [decode_leaf(entry) for entry in load_entries(database, 0, rig[JIANGXI].sequencer.head.size)]


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
    assert missing_numbers(database, "received", pair=pair) == [1, 3, 4]
    state = pair_state(database, "received", pair)
    assert (state.count, state.highest) == (2, 5)


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
    return encode(replace(item, urn=urn, household_division=division))


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
    sent = submission(rig, sync_body(encode(replace(item, birth_date=None, citizen_number=real))))

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
    body = sync_body(encode(stolen))
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
    monkeypatch.setattr(sequence, "inclusion_proof", lambda *_names: (bytes(32),))

    with pytest.raises(CorruptError) as caught:
        await take(rig, submission(rig))

    assert caught.value.reason == "RECEIPT_INVALID"
