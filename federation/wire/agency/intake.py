"""The intake desk: what waits for a person (masked before it comes here), its answers, and reminders."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from federation.domain.intake import IntakeStatus, RefusalReason
from federation.domain.lookups import Urgency
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.rpc import POLICE, WRITES, A, PageQuery, Q, Rpc, Ruling


class IntakeQuery(PageQuery, frozen=True, kw_only=True):
    """A list of requests: those that wait, or with `ended` all."""

    ended: bool = False


class IntakeLine(Struct, frozen=True, kw_only=True):
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


class IntakePage(Struct, frozen=True, kw_only=True):
    read_time: datetime
    lines: tuple[IntakeLine, ...] = ()
    next_page_token: str = ""


class ReleaseQuestion(Struct, frozen=True, kw_only=True):
    """Fewer fields when some are named; `signature` is over `release_bytes`: a fetch is not released without."""

    request_id: str
    fields: frozenset[str] = frozenset()
    signature: str | None = None


class RefuseQuestion(Struct, frozen=True, kw_only=True):
    """The reason, and the sentence that the asker reads; `signature` is over `refuse_bytes` and may be left out."""

    request_id: str
    reason: RefusalReason
    words: str
    signature: str | None = None


class IntakeAnswer(Struct, frozen=True, kw_only=True):
    decision: Ruling
    request_id: str
    status: IntakeStatus | None = None


class IntakeRelease(IntakeAnswer, frozen=True, kw_only=True):
    """The answer to a release: `hit` for a search that was answered, the names of the `fields` released for a fetch."""

    hit: bool | None = None
    fields: frozenset[str] = frozenset()


class Reminder(Struct, frozen=True, kw_only=True):
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
