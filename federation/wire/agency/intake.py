"""The intake desk: what waits for a person (masked before it comes here), its answers, and reminders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.domain.intake import IntakeStatus, RefusalReason
from federation.domain.lookups import Urgency
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.rpc import POLICE, WRITES, A, PageQuery, Q, Rpc, Ruling


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
    read_time: datetime
    lines: tuple[IntakeLine, ...] = ()
    next_page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseQuestion:
    """Fewer fields when some are named; `signature` is over `release_bytes`: a fetch is not released without."""

    request_id: str
    fields: frozenset[str] = frozenset()
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseQuestion:
    """The reason, and the sentence that the asker reads; `signature` is over `refuse_bytes` and may be left out."""

    request_id: str
    reason: RefusalReason
    words: str
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeAnswer:
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
    node: NodeName
    step: str
    time: datetime
    due: datetime


LIST_INTAKE: Final = Rpc("IntakeService/ListIntake", IntakeQuery, IntakePage, kinds=POLICE)


def _answering(name: str, question: type[Q], answer: type[A]) -> Rpc[Q, A]:
    name = f"IntakeService/{name}"
    return Rpc(name, question, answer, kinds=POLICE, floor_seconds=WRITES)


RELEASE_INTAKE: Final = _answering("ReleaseIntake", ReleaseQuestion, IntakeRelease)
"""A fetch is not released without the officer's signature."""
REFUSE_INTAKE: Final = _answering("RefuseIntake", RefuseQuestion, IntakeAnswer)
SEND_REMINDER: Final = Rpc("IntakeService/SendReminder", str, tuple[Reminder, ...], kinds=POLICE, floor_seconds=WRITES)
