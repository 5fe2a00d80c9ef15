"""The intake desk: what waits for a person, its answers, and reminding others of theirs.

A person is masked before it comes here, and a sentence is the domain's to judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.domain.intake import IntakeStatus, RefusalReason
from federation.domain.lookups import Urgency
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.rpc import POLICE, WRITES, A, OwnKey, PageQuery, Q, Rpc, Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeQuery(PageQuery):
    """A list of requests: those that wait, or with `ended` all."""

    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeLine:
    """One request at the desk, as its officers see it; `person` is masked.

    `fields` is empty for a search. `reminded` and `escalated` are when that happened; `answered_by` is the pseudonym of
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
    reminded: datetime | None = None
    escalated: datetime | None = None
    answered_by: str = ""
    came_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePage:
    """One page of the inbox, read at the node's own time."""

    read_time: datetime
    lines: tuple[IntakeLine, ...] = ()
    next_page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseQuestion:
    """The release of one request; for a fetch, fewer fields than were asked for when some are named.

    `signature`: by the officer's own key over `release_bytes`, base64 of 64 bytes; a fetch is not released without.
    """

    request_id: str
    fields: frozenset[str] = frozenset()
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseQuestion:
    """The refusal of one request: why, and the sentence that the asker reads.

    `signature`: by the officer's own key over `refuse_bytes`, base64 of 64 bytes; may be left out.
    """

    request_id: str
    reason: RefusalReason
    words: str
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeAnswer:
    """The answer to an act at the desk: policy's decision, and how the request ended; no status when policy refused."""

    decision: Ruling
    request_id: str
    status: IntakeStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeRelease(IntakeAnswer):
    """The answer to a release: `hit` for a search that was answered, the names of the `fields` released for a fetch."""

    hit: bool | None = None
    fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """One province that was reminded of a question: when, and until when its answer is waited for."""

    node: NodeName
    step: str
    time: datetime
    due: datetime


LIST_INTAKE: Final = Rpc("IntakeService/ListIntake", IntakeQuery, IntakePage, kinds=POLICE)


def _answering(name: str, question: type[Q], answer: type[A]) -> Rpc[Q, A]:
    name = f"IntakeService/{name}"
    return Rpc(name, question, answer, kinds=POLICE, floor_seconds=WRITES, signed=OwnKey.SOMETIMES)


RELEASE_INTAKE: Final = _answering("ReleaseIntake", ReleaseQuestion, IntakeRelease)
"""A fetch is not released without the officer's signature."""
REFUSE_INTAKE: Final = _answering("RefuseIntake", RefuseQuestion, IntakeAnswer)
SEND_REMINDER: Final = Rpc("IntakeService/SendReminder", str, tuple[Reminder, ...], kinds=POLICE, floor_seconds=WRITES)
"""The question is the id of the look-up."""
