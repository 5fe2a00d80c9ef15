"""A member that sends deletion receipts of what nobody ordered erased and what has not ended destroys nothing of ours."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.domain.erasure import RECEIPT_BODY, ErasureGrounds, ErasureOutcome, ReceiptItem, decode_receipt_item
from federation.node import permits
from federation.node.erasure_receipts import RECEIPT_KIND
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.exchange.replies import statement_of
from federation.node.permits_sharing import SYNC
from federation.node.retention import destroy_ended
from federation.protocol.body import Body
from federation.protocol.errors import BridgeheadError, UntrustedError
from federation.protocol.form import encode, replace
from federation.protocol.ids import Pair, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, Verdict, decode_leaf, encode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.log_reader import find_leaf
from federation.store.messages import StoredMessage, find_body, list_messages, load_body
from tests.node.retention.released import Border, released
from tests.node.rig import HALL, JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, application, kit, sign, statement


@pytest.fixture
async def found(tmp_path: Path) -> AsyncIterator[Border]:
    async with released(tmp_path) as border:
        await border.rig.drain()
        yield border


async def deceive(border: Border, message: StoredMessage, item: ReceiptItem, *, seq: int = 9000) -> Verdict | None:
    """Jiangxi sends Zhejiang a receipt about a message of Zhejiang's, which it signs as any message."""
    rig = border.rig
    body = Body(type=RECEIPT_BODY, salt=os.urandom(32), items=(encode(item),))
    made = statement(
        rig, body, seq=seq, kind=RECEIPT_KIND, purpose="erasure.order", in_reply_to=message.digest,
        sender=Sender(node=JIANGXI, agency=YUSHAN_POLICE), recipient=Recipient(node=ZHEJIANG),
    )  # fmt: skip
    submission = Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), body=body)
    return decode_leaf((await receive(rig[ZHEJIANG], submission, peer=JIANGXI)).leaf).verdict


async def logged(border: Border, message: StoredMessage) -> ReceiptItem:
    """A receipt with everything in order: Jiangxi does log the erasure, and says nothing of what it keeps."""
    rig, ours = border.rig, border.rig[JIANGXI]
    body = load_body(border.rig[ZHEJIANG].database, message.id)
    assert body is not None

    sent = statement_of(message)
    leaf = Leaf(
        federation=rig.agreement.federation, realm=rig.agreement.realm, kind=LeafKind.ERASURE, subject=message.digest,
        pair=message.pair, seq=message.seq, commitment=sent.body.commitment if sent.body else None,
        reason=ErasureGrounds.EXPIRED.value, agreement_version=rig.agreement.version,
        time=truncate_to_millisecond(rig.clock()),
    )  # fmt: skip
    index = (
        await ours.sequencer.commit(lambda tx: tx.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf)))
    ).value
    proved = ours.sequencer.prove(index)
    return ReceiptItem(
        message=message.digest, outcome=ErasureOutcome.ERASED, entry=proved.leaf.decode(), index=index,
        proof=proved.proof.decode(),
    )  # fmt: skip


async def test_receipt_before_the_end_destroys_nothing_until_our_own_clock_says_so(found: Border) -> None:
    """A true leaf in its log, a day too early: taken in, and our copy stays until its end has come here."""
    database, release = found.rig[ZHEJIANG].database, found.sent(ZHEJIANG, "lookup.release")[0]

    assert await deceive(found, release, await logged(found, release)) is Verdict.ALLOWED

    await destroy_ended(found.rig[ZHEJIANG])
    assert find_body(database, release.id) is not None
    assert find_leaf(database, LeafKind.ERASURE, release.digest) is None

    found.rig.clock.advance(hours=24, seconds=1)
    await destroy_ended(found.rig[ZHEJIANG])
    assert find_body(database, release.id) is None


async def test_receipt_of_what_has_no_end_is_refused_and_the_copy_stays(found: Border) -> None:
    """A shared permit ends by an order alone: the refusal is logged, receipted, and names the rule."""
    await permits.register(begin_errand(found.rig[ZHEJIANG], HALL, act()), application())
    await found.rig.drain()
    (shared,) = sent(found, SYNC.name)

    assert await deceive(found, shared, await logged(found, shared)) is Verdict.REFUSED
    assert find_body(found.rig[ZHEJIANG].database, shared.id) is not None


async def test_receipt_about_a_record_of_provision_is_refused(found: Border) -> None:
    """What is kept for 36 months is touched by nobody, even where the other side did destroy it."""
    case = sent(found, "lookup.release")[0]
    kinds = found.rig[ZHEJIANG].kinds
    floored = replace(kinds["lookup.release"], keep="provision")
    object.__setattr__(found.rig[ZHEJIANG], "kinds", {**kinds, "lookup.release": floored})
    item = await logged(found, case)
    found.rig.clock.advance(hours=25)

    assert await deceive(found, case, item) is Verdict.REFUSED
    assert find_body(found.rig[ZHEJIANG].database, case.id) is not None


@pytest.mark.parametrize("forgery", ["no proof", "another log", "never logged", "another place", "not held"])
async def test_receipt_that_proves_nothing_destroys_nothing(found: Border, forgery: str) -> None:
    """After the end too: the leaf must stand in the log of who says so, at that place."""
    database, release = found.rig[ZHEJIANG].database, found.sent(ZHEJIANG, "lookup.release")[0]
    item = await logged(found, release)
    boot = found.rig[ZHEJIANG].sequencer.prove(0)
    forged = {
        "no proof": replace(item, proof="c2sp.org/tlog-proof@v1\n"),
        "another log": replace(item, proof=boot.proof.decode()),
        "never logged": replace(item, entry=item.entry.replace("ERASED_EXPIRED", "ERASED_ORDERED")),
        "another place": replace(item, index=item.index + 1),
        "not held": ReceiptItem(message=release.digest, outcome=ErasureOutcome.NOT_HELD),
    }[forgery]
    assert decode_receipt_item(encode(forged)) == forged
    if forgery == "not held":
        assert await deceive(found, release, forged) is Verdict.REFUSED
    else:
        found.rig.clock.advance(hours=25)
        with pytest.raises(BridgeheadError) as caught:
            await deceive(found, release, forged)
        assert isinstance(caught.value, UntrustedError) or caught.value.reason == "RECEIPT_PROOF"
    assert find_body(database, release.id) is not None
    assert find_leaf(database, LeafKind.ERASURE, release.digest) is None


async def test_true_receipt_after_the_end_is_taken_and_both_sides_have_the_leaf(found: Border) -> None:
    """The honest way still works: the asker destroys, proves it, and the giver follows."""
    release = found.sent(ZHEJIANG, "lookup.release")[0]
    found.rig.clock.advance(hours=24, seconds=1)
    await destroy_ended(found.rig[JIANGXI])
    await found.rig.drain()

    for name in (ZHEJIANG, JIANGXI):
        assert find_body(found.rig[name].database, release.id) is None
        assert find_leaf(found.rig[name].database, LeafKind.ERASURE, release.digest) is not None
    await found.verify()


def sent(border: Border, kind: str) -> list[StoredMessage]:
    pair = Pair(ZHEJIANG, JIANGXI)
    found = list_messages(border.rig[ZHEJIANG].database, "sent", pair=pair, after_seq=0, limit=99)
    return [message for message in found if message.kind == kind]
