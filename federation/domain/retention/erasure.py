"""What goes over the border when something is erased: the order, and the deletion receipt that answers it.

Rules kept: both name a message by the digest of its statement, which is in both logs already, and hold no field of a
person; a receipt carries the very leaf that the recipient logged, so that it can be looked for in that log and nowhere
else. Trusts nothing: the bytes come from another province. Sources: DESIGN section 5 (withdrawal), PIPL article 47,
transparency-log reference section 18.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.fields import checked, told
from federation.protocol.form import (
    Count,
    Digest,
    Item,
    always,
    decode,
    encode,
)
from federation.protocol.ids import MessageId, Pair
from federation.protocol.leaf import Leaf, LeafKind, decode_leaf
from federation.protocol.tlog.merkle import hash_leaf

ORDER_BODY: Final = "application/vnd.bridgehead.erasure-order.v1+json"
"""The media type of a body that holds one `OrderItem`."""
RECEIPT_BODY: Final = "application/vnd.bridgehead.erasure-receipt.v1+json"
"""The media type of a body that holds one `ReceiptItem`."""

MAX_WORDS: Final = 500
"""The most characters that say why something is to be erased."""


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


def verify_words(words: str) -> str:
    """Returns the words when they are 1 to 500 printable characters.

    Raises:
        MalformedError: ERASURE_WORDS.
    """
    if not 1 <= len(words) <= MAX_WORDS or not words.isprintable():
        raise MalformedError("ERASURE_WORDS", f"expected why in 1 to {MAX_WORDS} printable characters", field="words")
    return words


class OrderItem(Item, frozen=True, kw_only=True):
    """The order: which message, by id and statement digest (hex), and why in words (1 to 500 characters)."""

    WHAT: ClassVar[str] = "erasure order"

    message_id: MessageId
    message: Digest
    words: Annotated[str, checked(verify_words, form=f"why in 1 to {MAX_WORDS} printable characters")]

    def __repr__(self) -> str:
        """Hides the words, which may speak of a person."""
        return f"OrderItem({self.message_id})"


def encode_order_item(item: OrderItem) -> bytes:
    """Encodes an order into its one canonical form."""
    return encode(item)


def decode_order_item(encoded: bytes) -> OrderItem:
    """Decodes an order of another province.

    Raises:
        MalformedError: JSON_* and MESSAGE_ID for its form, ERASURE_WORDS.
    """
    return decode(OrderItem, encoded)


class ReceiptItem(Item, frozen=True, kw_only=True):
    """The deletion receipt: which message (statement digest, hex), what came of it, and the `erasure` leaf of it.

    `order`: the digest of the order that it answers, None when the recipient destroyed by itself what had ended.
    `entry`: the leaf's exact text, empty for what was never held. `index`: its place in the recipient's log.
    """

    WHAT: ClassVar[str] = "erasure receipt"
    REASON: ClassVar[str] = "ERASURE_OUTCOME"

    BLANK: ClassVar[frozenset[str]] = frozenset({"order"})

    message: Digest
    outcome: Annotated[ErasureOutcome, told("erased or not_held", type_reason="ERASURE_OUTCOME")]
    order: Digest | None = None
    entry: str = always("")
    index: Count = always(0)

    @property
    def leaf_digest(self) -> str | None:
        """The RFC 6962 hash (hex) of the leaf, by which it is found in the recipient's log."""
        return hash_leaf(self.entry.encode()).hex() if self.entry else None


def encode_receipt_item(item: ReceiptItem) -> bytes:
    """Encodes a deletion receipt into its one canonical form."""
    return encode(item)


def decode_receipt_item(encoded: bytes) -> ReceiptItem:
    """Decodes a deletion receipt of another province; `verify_receipt_item` says whether it proves anything.

    Raises:
        MalformedError: JSON_* for its form, ERASURE_OUTCOME, ERASURE_ENTRY for a leaf that something never held has.
    """
    item = decode(ReceiptItem, encoded)
    if bool(item.entry) is not (item.outcome is ErasureOutcome.ERASED):
        raise MalformedError("ERASURE_ENTRY", f"{item.WHAT}: expected the leaf of what was erased, and none otherwise")
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
    leaf = decode_leaf(item.entry.encode())
    found = (leaf.federation, leaf.kind, leaf.subject, leaf.pair, leaf.commitment)
    if found != (federation, LeafKind.ERASURE, item.message, pair, commitment):
        raise UntrustedError("ERASURE_LEAF", "expected the erasure leaf of the very message that the receipt names")
    return leaf
