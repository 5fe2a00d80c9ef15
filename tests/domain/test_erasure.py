"""Orders and deletion receipts: their one form, and what a receipt proves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.erasure import (
    ErasureGrounds,
    ErasureOutcome,
    OrderItem,
    ReceiptItem,
    decode_receipt_item,
    verify_receipt_item,
)
from federation.protocol.errors import BridgeheadError, MalformedError, UntrustedError
from federation.protocol.form import decode, encode, encode_canonical, replace
from federation.protocol.ids import MessageId, NodeName, Pair, Realm
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.protocol.tlog.merkle import hash_leaf
from tests.protocol.test_receipt import VKEY, issue
from tests.seen import SEEN

PAIR = Pair(NodeName("zhejiang"), NodeName("jiangxi"))
LEAF = Leaf(
    federation="bridgehead.example",
    realm=Realm.DEMO,
    kind=LeafKind.ERASURE,
    subject="ab" * 32,
    time=datetime(2026, 11, 23, 8, tzinfo=UTC),
    agreement_version=1,
    pair=PAIR,
    seq=4,
    commitment="cd" * 32,
    reason=ErasureGrounds.ORDERED.value,
)
ORDER = OrderItem(message_id=MessageId("01a2076b-4400-7eef-826a-f437f3342294"), message="ab" * 32, words="误发")
RECEIPT = ReceiptItem(
    message="ab" * 32,
    outcome=ErasureOutcome.ERASED,
    order="ef" * 32,
    entry=encode_leaf(LEAF).decode(),
    index=7,
    proof=issue(LEAF, index=7).proof.decode(),
)
NEVER = ReceiptItem(message="ab" * 32, outcome=ErasureOutcome.NOT_HELD, order="ef" * 32)
KNOWN = {"federation": "bridgehead.example", "pair": PAIR, "commitment": "cd" * 32, "log_vkey": VKEY}


@given(st.text(SEEN.filter(lambda sign: sign.isprintable() and sign != " "), min_size=1, max_size=500))
def test_order_item_survives_its_encoding_and_its_repr_hides_the_words(words: str) -> None:
    """Any printable words; they may speak of a person, so that no log line shows them."""
    item = replace(ORDER, words=words)

    assert decode(OrderItem, encode(item)) == item
    assert repr(item) == f"OrderItem({ORDER.message_id})"


@pytest.mark.parametrize("words", ["", "x" * 501, "two\nlines", "\u3000"])
def test_order_item_with_other_words_is_malformed(words: str) -> None:
    """Why, in 1 to 500 printable characters."""
    with pytest.raises(MalformedError, match="ERASURE_WORDS"):
        decode(OrderItem, encode(replace(ORDER, words=words)))


@pytest.mark.parametrize("item", [RECEIPT, replace(RECEIPT, order=None), NEVER], ids=["order", "own", "never held"])
def test_receipt_item_survives_its_encoding(item: ReceiptItem) -> None:
    """With its leaf, without an order, without a leaf."""
    assert decode_receipt_item(encode(item)) == item


def test_receipt_item_names_its_leaf_by_its_hash() -> None:
    """An auditor finds the leaf in the log by the hash that the tree is made of."""
    assert RECEIPT.leaf_digest == hash_leaf(encode_leaf(LEAF)).hex()
    assert NEVER.leaf_digest is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"outcome": "lost"}, "ERASURE_OUTCOME"),
        ({"entry": ""}, "ERASURE_ENTRY"),
        ({"outcome": "not_held"}, "ERASURE_ENTRY"),
        ({"message": "ab"}, None),
        ({"more": 1}, None),
    ],
)
def test_receipt_item_of_another_form_is_malformed(changes, reason) -> None:
    """What was erased has a leaf, what was never held has none."""
    value = {
        "message": RECEIPT.message, "outcome": "erased", "order": "", "entry": RECEIPT.entry, "index": 7,
        "proof": RECEIPT.proof, **changes,
    }  # fmt: skip

    with pytest.raises(MalformedError) as caught:
        decode_receipt_item(encode_canonical(value))
    assert reason is None or caught.value.reason == reason


def test_verify_receipt_item_returns_the_leaf_of_that_very_message() -> None:
    """The leaf says which message, of which pair, with which body."""
    assert verify_receipt_item(RECEIPT, **KNOWN) == LEAF
    assert verify_receipt_item(NEVER, **KNOWN) is None


@pytest.mark.parametrize(
    "leaf",
    [
        replace(LEAF, subject="12" * 32),
        replace(LEAF, kind=LeafKind.EXPIRED),
        replace(LEAF, pair=Pair(PAIR.recipient, PAIR.sender)),
        replace(LEAF, commitment="12" * 32),
        replace(LEAF, federation="other.example"),
    ],
    ids=["other message", "no erasure", "other way", "other body", "other federation"],
)
def test_verify_receipt_item_with_another_leaf_is_untrusted(leaf: Leaf) -> None:
    """A receipt that shows another leaf proves nothing."""
    with pytest.raises(UntrustedError, match="ERASURE_LEAF"):
        verify_receipt_item(replace(RECEIPT, entry=encode_leaf(leaf).decode()), **KNOWN)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"proof": issue(LEAF, index=3).proof.decode()}, "ERASURE_LEAF"),
        ({"proof": issue(replace(LEAF, seq=5), index=7).proof.decode()}, "RECEIPT_INCLUSION"),
        ({"proof": "none"}, "RECEIPT_PROOF"),
    ],
    ids=["another place", "another leaf", "no proof"],
)
def test_verify_receipt_item_whose_leaf_is_not_in_the_log_proves_nothing(changes, reason: str) -> None:
    """The leaf must stand at that very place of the log of who destroyed."""
    with pytest.raises(BridgeheadError, match=reason):
        verify_receipt_item(replace(RECEIPT, **changes), **KNOWN)
