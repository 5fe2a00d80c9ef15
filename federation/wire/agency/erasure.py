"""Orders to erase and their receipts, and the rounds of retention (DESIGN section 5, PIPL article 47)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from federation.protocol.ids import MessageId, NodeName
from federation.wire.rpc import WRITES, Nothing, PageQuery, PageSize, Rpc, Ruling


class ErasureState(StrEnum):
    ORDERED = "ordered"
    RECEIPTED = "receipted"
    OVERDUE = "overdue"


class ErasureQuestion(Struct, frozen=True, kw_only=True):
    """An order; beyond what one person may give in a day, a second one signs `order_bytes` of the same (base64)."""

    message_id: MessageId
    words: str
    second_officer: str | None = None
    second_signature: str | None = None


class ErasureLine(Struct, frozen=True, kw_only=True):
    """One order, and its deletion receipt once it came; `leaf_index` and `leaf_digest` find the recipient's leaf."""

    message_id: MessageId
    message_digest: str
    kind: str
    recipient: NodeName
    state: ErasureState
    ordered: datetime
    due: datetime
    order_digest: str
    receipted: datetime | None = None
    was_held: bool = False
    leaf_index: int | None = None
    leaf_digest: str | None = None


class ErasureAnswer(Struct, frozen=True, kw_only=True):
    decision: Ruling
    line: ErasureLine | None = None


class SentQuery(Struct, frozen=True, kw_only=True):
    """A list of what the office may order erased of what was sent, above `after_seq`; a page is 1 to 1,000."""

    recipient: NodeName
    after_seq: int = 0
    page_size: PageSize = 100


class SentMessage(Struct, frozen=True, kw_only=True):
    """One message that this province sent; `is_held`: what it handed over is still here."""

    message_id: MessageId
    seq: int
    kind: str
    created: datetime
    is_held: bool


class SentPage(Struct, frozen=True, kw_only=True):
    messages: tuple[SentMessage, ...] = ()
    next_after_seq: int | None = None


class ErasureQuery(PageQuery, frozen=True, kw_only=True):
    """A list of the orders of the caller's county, of all for an audit office."""


class ErasurePage(Struct, frozen=True, kw_only=True):
    lines: tuple[ErasureLine, ...] = ()
    next_page_token: str = ""


class RetentionRound(Struct, frozen=True, kw_only=True):
    """The counts of one round.

    `questions`: searches, fetches and what else ends by days, sent or received; `reports`: requests for reports of
    persons and their answers; `corrections`: requests, answers, notices, and those that the own desk opened.
    """

    releases: int = 0
    answers: int = 0
    handles: int = 0
    purged: int = 0
    questions: int = 0
    reports: int = 0
    corrections: int = 0


ORDER_ERASURE: Final = Rpc("ErasureService/OrderErasure", ErasureQuestion, ErasureAnswer, floor_seconds=WRITES)
LIST_SENT: Final = Rpc("ErasureService/ListSent", SentQuery, SentPage)
LIST_ERASURES: Final = Rpc("ErasureService/ListErasures", ErasureQuery, ErasurePage)
RUN_RETENTION: Final = Rpc(
    "ErasureService/RunRetention",
    Nothing,
    RetentionRound,
    floor_seconds=WRITES,
    unsigned="destroys what has ended by the table of retention, whoever asks, and shows counts alone",
)
