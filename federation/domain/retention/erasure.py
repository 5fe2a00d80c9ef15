"""What goes over the border when something is erased: the order, and the deletion receipt that answers it.

Rules kept: both name a message by the digest of its statement, which is in both logs already, and hold no field of a
person; a receipt carries the very leaf that the recipient logged, so that it can be looked for in that log and nowhere
else. Trusts nothing: the bytes come from another province. Sources: DESIGN section 5 (withdrawal), PIPL article 47,
transparency-log reference section 18.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from federation.protocol.canonical_json import (
    decode_canonical,
    encode_canonical,
    expect_names,
    read_digest,
    read_integer,
    read_text,
)
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import MessageId, Pair, parse_message_id
from federation.protocol.leaf import Leaf, LeafKind, decode_leaf
from federation.protocol.tlog.merkle import hash_leaf

ORDER_BODY: Final = "application/vnd.bridgehead.erasure-order.v1+json"
"""The media type of a body that holds one `OrderItem`."""
RECEIPT_BODY: Final = "application/vnd.bridgehead.erasure-receipt.v1+json"
"""The media type of a body that holds one `ReceiptItem`."""

MAX_WORDS: Final = 500
"""The most characters that say why something is to be erased."""
_NO_INDEX: Final = 0


class ErasureGrounds(StrEnum):
    """Why something was destroyed, as the `erasure` leaf says it: a code, never words."""

    EXPIRED = "ERASED_EXPIRED"
    CASE_CLOSED = "ERASED_CASE_CLOSED"
    ORDERED = "ERASED_ORDERED"
    RECEIPTED = "ERASED_RECEIPTED"


class ErasureOutcome(StrEnum):
    """What the recipient answers: it destroyed the body (now or before), or it never held it."""

    ERASED = "erased"
    NOT_HELD = "not_held"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderItem:
    """The order: which message, by id and statement digest (hex), and why in words (1 to 500 characters)."""

    message_id: MessageId
    message: str
    words: str

    def __repr__(self) -> str:
        """Hides the words, which may speak of a person."""
        return f"OrderItem({self.message_id})"


def encode_order_item(item: OrderItem) -> bytes:
    """Encodes an order into its one canonical form."""
    return encode_canonical({"message_id": item.message_id, "message": item.message, "words": item.words})


def decode_order_item(encoded: bytes) -> OrderItem:
    """Decodes an order of another province.

    Raises:
        MalformedError: JSON_* and MESSAGE_ID for its form, ERASURE_WORDS.
    """
    what = "erasure order"
    value = decode_canonical(encoded, what=what)
    expect_names(value, OrderItem.__slots__, what=what)
    return OrderItem(
        message_id=parse_message_id(read_text(value, "message_id", what=what)),
        message=read_digest(value, "message", what=what),
        words=verify_words(read_text(value, "words", what=what)),
    )


def verify_words(words: str) -> str:
    """Returns the words when they are 1 to 500 printable characters.

    Raises:
        MalformedError: ERASURE_WORDS.
    """
    if not 1 <= len(words) <= MAX_WORDS or not words.isprintable():
        raise MalformedError("ERASURE_WORDS", f"expected why in 1 to {MAX_WORDS} printable characters", field="words")
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptItem:
    """The deletion receipt: which message (statement digest, hex), what came of it, and the `erasure` leaf of it.

    `order`: the digest of the order that it answers, None when the recipient destroyed by itself what had ended.
    `entry`: the leaf's exact bytes, empty for what was never held. `index`: its place in the recipient's log.
    """

    message: str
    outcome: ErasureOutcome
    order: str | None = None
    entry: bytes = b""
    index: int = _NO_INDEX

    @property
    def leaf_digest(self) -> str | None:
        """The RFC 6962 hash (hex) of the leaf, by which it is found in the recipient's log."""
        return hash_leaf(self.entry).hex() if self.entry else None


def encode_receipt_item(item: ReceiptItem) -> bytes:
    """Encodes a deletion receipt into its one canonical form."""
    return encode_canonical(
        {
            "message": item.message,
            "outcome": item.outcome.value,
            "order": item.order or "",
            "entry": item.entry.decode(),
            "index": item.index,
        }
    )


def decode_receipt_item(encoded: bytes) -> ReceiptItem:
    """Decodes a deletion receipt of another province; `verify_receipt_item` says whether it proves anything.

    Raises:
        MalformedError: JSON_* for its form, ERASURE_OUTCOME, ERASURE_ENTRY for a leaf that something never held has.
    """
    what = "erasure receipt"
    value = decode_canonical(encoded, what=what)
    expect_names(value, ReceiptItem.__slots__, what=what)
    outcome = next((word for word in ErasureOutcome if word.value == value["outcome"]), None)
    if outcome is None:
        raise MalformedError("ERASURE_OUTCOME", f"{what}: expected erased or not_held")
    item = ReceiptItem(
        message=read_digest(value, "message", what=what),
        outcome=outcome,
        order=read_digest(value, "order", what=what) if value["order"] else None,
        entry=read_text(value, "entry", what=what).encode(),
        index=read_integer(value, "index", what=what),
    )
    if bool(item.entry) is not (outcome is ErasureOutcome.ERASED):
        raise MalformedError("ERASURE_ENTRY", f"{what}: expected the leaf of what was erased, and none otherwise")
    return item


def verify_receipt_item(item: ReceiptItem, *, federation: str, pair: Pair, commitment: str | None) -> Leaf | None:
    """Returns the leaf that a receipt carries when it is about that very message of that pair; None when none is due.

    Whether it stands in the recipient's log is an auditor's to see, by `index` and `leaf_digest`.

    Raises:
        MalformedError: as `decode_leaf`.
        UntrustedError: ERASURE_LEAF when the leaf is about something else.
    """
    if item.outcome is ErasureOutcome.NOT_HELD:
        return None
    leaf = decode_leaf(item.entry)
    found = (leaf.federation, leaf.kind, leaf.subject, leaf.pair, leaf.commitment)
    if found != (federation, LeafKind.ERASURE, item.message, pair, commitment):
        raise UntrustedError("ERASURE_LEAF", "expected the erasure leaf of the very message that the receipt names")
    return leaf
