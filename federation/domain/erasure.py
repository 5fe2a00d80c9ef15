"""Erasure: the order over the border and its deletion receipt, what policy is asked, and the watermark of a reading.

Order and receipt name a message by its statement's digest and hold no field of a person; a receipt carries the leaf
that the recipient logged. A watermark's code is an HMAC of the node's own key: nobody makes one up. Trusts no other
province. Sources: DESIGN section 5; PIPL articles 19, 47; 网络数据安全管理条例 article 12; M9; RFC 2104; Crockford's
base 32.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from msgspec import Struct

from federation.domain.lookups_case import DossierFacts, dossier_entity, step_bytes
from federation.domain.permits_policy import AgencyFacts, FunctionCode, Occasion, ask
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.form import Count, Digest, Item, always, decode
from federation.protocol.ids import AgencyId, MessageId, NodeName, Pair, checked, format_time, typed
from federation.protocol.leaf import Leaf, LeafKind, decode_leaf
from federation.protocol.policy.engine import PolicyRequest
from federation.protocol.receipt import Receipt, verify_logged
from federation.protocol.tlog.merkle import hash_leaf
from federation.protocol.tlog.note import Vkey

ORDER_BODY: Final = "application/vnd.bridgehead.erasure-order.v1+json"
RECEIPT_BODY: Final = "application/vnd.bridgehead.erasure-receipt.v1+json"
MAX_WORDS: Final = 500


class ErasureGrounds(StrEnum):
    """The reason in the `erasure` leaf: a code, never words."""

    EXPIRED = "ERASED_EXPIRED"
    CASE_CLOSED = "ERASED_CASE_CLOSED"
    ORDERED = "ERASED_ORDERED"
    RECEIPTED = "ERASED_RECEIPTED"


class ErasureOutcome(StrEnum):
    """The recipient destroyed the body (now or before), or never held it."""

    ERASED = "erased"
    NOT_HELD = "not_held"


def verify_words(words: str) -> str:
    """Returns 1 to 500 printable characters; refuses others (ERASURE_WORDS)."""
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
        return f"OrderItem({self.message_id})"


class ReceiptItem(Item, frozen=True, kw_only=True):
    """A receipt of erasure; without `order` nobody ordered it. `entry`, `index`, `proof`: the `erasure` leaf."""

    WHAT: ClassVar[str] = "erasure receipt"
    REASON: ClassVar[str] = "ERASURE_OUTCOME"
    BLANK: ClassVar[frozenset[str]] = frozenset({"order"})

    message: Digest
    outcome: Annotated[ErasureOutcome, typed("erased or not_held", type_reason="ERASURE_OUTCOME")]
    order: Digest | None = None
    entry: str = always("")
    index: Count = always(0)
    proof: str = always("")

    @property
    def leaf_digest(self) -> str | None:
        return hash_leaf(self.entry.encode()).hex() if self.entry else None


def decode_receipt_item(encoded: bytes) -> ReceiptItem:
    """Decodes a deletion receipt, which proves nothing yet; refuses another form (ERASURE_OUTCOME, ERASURE_ENTRY)."""
    item = decode(ReceiptItem, encoded)
    held = item.outcome is ErasureOutcome.ERASED
    if bool(item.entry) is not held or bool(item.proof) is not held:
        raise MalformedError("ERASURE_ENTRY", f"{item.WHAT}: expected the leaf of what was erased, and none otherwise")
    return item


def verify_receipt_item(
    item: ReceiptItem, *, federation: str, pair: Pair, commitment: str | None, log_vkey: Vkey
) -> Leaf | None:
    """Returns a receipt's leaf, which stands in the log of who destroyed; None when none is due.

    Refuses a leaf about anything else (ERASURE_LEAF), and one that is not in that log: RECEIPT_PROOF,
    RECEIPT_CHECKPOINT, RECEIPT_INCLUSION.
    """
    if item.outcome is ErasureOutcome.NOT_HELD:
        return None
    leaf = decode_leaf(item.entry.encode())
    found = (leaf.federation, leaf.kind, leaf.subject, leaf.pair, leaf.commitment)
    if found != (federation, LeafKind.ERASURE, item.message, pair, commitment):
        raise UntrustedError("ERASURE_LEAF", "expected the erasure leaf of the very message that the receipt names")
    index, _ = verify_logged(Receipt(leaf=item.entry.encode(), proof=item.proof.encode()), log_vkey)
    if index != item.index:
        raise UntrustedError("ERASURE_LEAF", f"expected the leaf at {item.index}, its proof is of {index}")
    return leaf


# ---- what policy is asked

ERASURE_PURPOSE: Final = "erasure.order"
ERASURE_FUNCTION: Final = FunctionCode("F01")
ERASURE_BASIS: Final = "个人信息保护法第四十七条"
RELEASE_KIND: Final = "release"
MESSAGE_KIND: Final = "message"
ENTRY_KIND: Final = "entry"


class ReadingFacts(Struct, frozen=True, kw_only=True):
    """`case_open`: in its term; `release_live`: neither expired nor erased; `same_officer`: who fetched it reads."""

    case_open: bool
    release_live: bool
    same_officer: bool


class OrderFacts(Struct, frozen=True, kw_only=True):
    """The facts of an order, as the deciding node finds them.

    by_sender: the ordering province sent it. under_floor: it is a record of provision, which is kept longer.
    own_office: the ordering office sent it, or issued what it holds. hands_over: it handed over a record, and is no
    question or answer. is_entry: that record is an entry of a joint case.
    """

    by_sender: bool
    under_floor: bool
    own_office: bool
    hands_over: bool
    is_entry: bool


def reading_request(
    agency: AgencyFacts, province: NodeName, *, occasion: Occasion, facts: ReadingFacts
) -> PolicyRequest:
    """Asks whether the agency may read again what that province released to one of its officers."""
    return ask(
        "lookup.read",
        agency,
        dossier_entity(DossierFacts(province=province, kind=RELEASE_KIND)),
        occasion=occasion,
        caseOpen=facts.case_open,
        releaseLive=facts.release_live,
        sameOfficer=facts.same_officer,
    )


def order_request(agency: AgencyFacts, province: NodeName, *, occasion: Occasion, facts: OrderFacts) -> PolicyRequest:
    """Asks whether the agency may order that province to erase what a message handed over to it."""
    resource = dossier_entity(DossierFacts(province=province, kind=ENTRY_KIND if facts.is_entry else MESSAGE_KIND))
    return ask(
        "erasure.order",
        agency,
        resource,
        occasion=occasion,
        bySender=facts.by_sender,
        underFloor=facts.under_floor,
        ownOffice=facts.own_office,
        handsOver=facts.hands_over,
    )


ORDERS_ALONE: Final = 10
"""So many orders of one office a day need one key; for each one more a second person signs, too."""


def order_bytes(agency: AgencyId, message_id: MessageId, *, officer: str, words: str) -> bytes:
    """The bytes that the second person signs: that this officer orders that message erased for that reason."""
    return step_bytes("erasure.order", agency, message_id=message_id, officer=officer, words=words)


# ---- watermarks

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}", re.ASCII)
_MISREAD: Final = str.maketrans("OIL", "011")
_CHARACTERS: Final = 12
_BITS: Final = 5
_MAC_BYTES: Final = 8
_GROUP: Final = 4


class Watermark(Struct, frozen=True, kw_only=True):
    """The mark over released fields wherever they are shown: office, officer's pseudonym, time and code."""

    agency: AgencyId
    officer: str
    time: datetime
    code: str


def reading_text(*, agency: AgencyId, officer: str, time: datetime, request_digest: str) -> str:
    """The words of one reading that the code is made over: who read what came of which request, to the millisecond."""
    return "\n".join((str(agency), officer, format_time(time), request_digest))


def format_code(mac: bytes) -> str:
    """Formats the first 60 bits of an HMAC as a code such as `7Q2M-X9TR-04KD`; needs 8 bytes (WATERMARK_CODE)."""
    if len(mac) < _MAC_BYTES:
        raise MalformedError("WATERMARK_CODE", f"expected at least {_MAC_BYTES} bytes, got {len(mac)}")
    number = int.from_bytes(mac[:_MAC_BYTES]) >> (8 * _MAC_BYTES - _BITS * _CHARACTERS)
    text = "".join(_ALPHABET[number >> (_BITS * at) & 31] for at in reversed(range(_CHARACTERS)))
    return "-".join(text[at : at + _GROUP] for at in range(0, _CHARACTERS, _GROUP))


def parse_code(text: str) -> str:
    """Parses a code as read off a photo: small letters, spaces, O, I, L for 0, 1, 1; else WATERMARK_CODE."""
    letters = re.sub(r"[\s-]", "", text).upper().translate(_MISREAD)
    code = "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
    if not _CODE.fullmatch(code):
        raise MalformedError("WATERMARK_CODE", f"expected a code such as 7Q2M-X9TR-04KD, got {text!r:.40}")
    return code
