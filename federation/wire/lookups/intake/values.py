"""What a face of the node asks and answers about the intake desk, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from federation.domain.lookup.asking import Urgency
from federation.domain.lookup.intake import IntakeStatus
from federation.domain.lookup.refusal import RefusalReason
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.values import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeQuery:
    """Which requests to list: those that wait, or with `ended` all. `page_size` is 1 to 1,000."""

    ended: bool = False
    page_size: int = 100
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeLine:
    """One request at the desk, as its officers see it; `person` is masked.

    `fields` is empty for a search. `second` and `escalated` are when that happened; `answered_by` is the pseudonym of
    who ended it. `came_late`: the answer reached the other side after it had given up.
    """

    request_id: str
    status: IntakeStatus
    step: str
    asker: AgencyId
    officer: str
    case_id: str
    purpose: str
    urgency: Urgency
    person: str
    fields: frozenset[str]
    created: datetime
    due: datetime
    second: datetime | None = None
    escalated: datetime | None = None
    answered_by: str = ""
    came_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePage:
    """One page of the inbox; an empty `next_page_token` is the only sign of the end. `now` is the node's own time."""

    now: datetime
    lines: tuple[IntakeLine, ...] = ()
    next_page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseQuestion:
    """Which request is to be answered; for a fetch, fewer fields than were asked for when some are named.

    `signature`: by the officer's own key over `release_bytes`, base64 of 64 bytes; a fetch is not released without.
    """

    request_id: str
    fields: frozenset[str] = frozenset()
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseQuestion:
    """Which request is to be refused, why, and the sentence that the asker reads.

    `signature`: by the officer's own key over `refuse_bytes`, base64 of 64 bytes; may be left out.
    """

    request_id: str
    reason: RefusalReason
    words: str
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeAnswer:
    """What came of a release or a refusal: what policy said, and how the request ended; no status when policy refused.

    `hit` is told for a search that was answered, `fields` are the names of those released for a fetch.
    """

    decision: Ruling
    request_id: str
    status: IntakeStatus | None = None
    hit: bool | None = None
    fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondRequest:
    """One province that was asked a second time: when, and until when its answer is waited for."""

    node: NodeName
    step: str
    time: datetime
    due: datetime
