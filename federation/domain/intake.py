"""A question that a person must answer: how it waits at the desk of the side asked, how it may end, and the refusal.

It waits until its own deadline and ends once, answered, refused or expired; a reminder and an escalation shorten
nothing. A refusal tells no field of a person, nor whether there is a record. No `repr` shows the person. Trusts
nothing it decodes. Sources: 公安机关办理刑事案件程序规定 article 347 (one intake a force); Nlets second requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from federation.domain.lookups import Urgency
from federation.domain.lookups_case import step_bytes
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Count, Item, Time, always
from federation.protocol.ids import AgencyId, MessageId, checked, format_time

_SHOWN: Final = 6


def release_bytes(agency: AgencyId, officer: str, *, request_id: str, fields: frozenset[str]) -> bytes:
    """Returns what an officer signs to release; `fields` as named, empty for all that was asked."""
    return step_bytes("lookup.release", agency, officer=officer, request_id=request_id, fields=sorted(fields))


def refuse_bytes(agency: AgencyId, officer: str, *, request_id: str, reason: str, words: str) -> bytes:
    return step_bytes("lookup.refuse", agency, officer=officer, request_id=request_id, reason=reason, words=words)


class IntakeStatus(StrEnum):
    WAITING = "waiting"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"


class IntakeEntry(Item, frozen=True, kw_only=True, rename={"reminded": "second"}):
    """One question at the desk, with its statement's `request_id`, `digest` and `seq`, until `due`.

    `person` is a number or the record behind the handle, masked at the end. Of the end: `answered_by`, the act's id,
    `reply_id` of the answer; `hit` is what a search was told, `released` the fields that a fetch was given.
    """

    WHAT: ClassVar[str] = "intake entry"
    REASON: ClassVar[str] = "INTAKE_FORM"
    BLANK: ClassVar[frozenset[str]] = frozenset({"reminded", "escalated"})

    request_id: MessageId
    digest: str
    seq: Count
    status: IntakeStatus
    lookup_id: MessageId
    step: str
    asker: AgencyId
    officer: str
    case_id: str
    purpose: str
    function: str
    urgency: Urgency
    person: str
    fields: frozenset[str]
    created: Time
    due: Time
    reminded: Time | None = None
    escalated: Time | None = None
    answered_by: str = always("")
    act_id: str = always("")
    reply_id: str = always("")
    hit: bool | None = None
    released: frozenset[str] = always(frozenset())

    def __repr__(self) -> str:
        return f"IntakeEntry({self.request_id}, {self.status})"


def verify_waiting(entry: IntakeEntry, now: datetime) -> IntakeEntry:
    """Returns an entry that still waits in time; refuses INTAKE_ANSWERED, INTAKE_REFUSED, INTAKE_EXPIRED."""
    ended = IntakeStatus.EXPIRED if entry.status is IntakeStatus.WAITING and now > entry.due else entry.status
    if ended is IntakeStatus.WAITING:
        return entry
    by = f" by {entry.answered_by}" if entry.answered_by else f" at {format_time(entry.due)}"
    raise RuleError(f"INTAKE_{ended.name}", f"expected a request that waits; {entry.request_id} was {ended}{by}")


def escalation_due(created: datetime, due: datetime, second: datetime | None) -> datetime:
    """Returns when to escalate: at three quarters of the clock, or a quarter after a second request."""
    quarter = (due - created) / 4
    return min(due - quarter, second + quarter) if second is not None else due - quarter


def is_due(entry: IntakeEntry, now: datetime) -> bool:
    """True when its clock asks for an act: it is to be escalated, or has ended unanswered."""
    escalates = entry.escalated is None and now >= escalation_due(entry.created, entry.due, entry.reminded)
    return escalates or now > entry.due


def next_look(entry: IntakeEntry) -> datetime | None:
    """Returns when its clock asks for the next act, never later; None for one that has ended."""
    if entry.status is not IntakeStatus.WAITING:
        return None
    return entry.due if entry.escalated is not None else escalation_due(entry.created, entry.due, entry.reminded)


def place_of(entry: IntakeEntry) -> str:
    """The place in an inbox of what waits: reminded and escalated first, then urgent, each by the time left."""
    quiet, routine = _is_quiet(entry), entry.urgency is not Urgency.URGENT
    return f"{quiet:d}{routine:d}/{format_time(entry.due)}/{entry.request_id}"


def _is_quiet(entry: IntakeEntry) -> bool:
    return entry.reminded is None and entry.escalated is None


def mask_person(text: str) -> str:
    """Returns what was asked by, with the serial of a permit, or all of a number but its place, hidden."""
    prefix, colon, value = text.rpartition(":")
    shown = 0 if colon else _SHOWN
    return f"{prefix}{colon}{value[:shown]}{'*' * (len(value) - shown)}"


# ---- refusals and second requests

REFUSAL_BODY: Final = "application/vnd.bridgehead.lookup-refusal.v1+json"
REMINDER_BODY: Final = "application/vnd.bridgehead.lookup-second.v1+json"
_MAX_WORDS: Final = 200


class RefusalReason(StrEnum):
    NOT_COMPETENT = "not_competent"
    CASE_UNCLEAR = "case_unclear"
    TOO_BROAD = "too_broad"
    OTHER = "other"


REASON_WORDS: Final[Mapping[RefusalReason, tuple[str, str]]] = MappingProxyType(
    {
        RefusalReason.NOT_COMPETENT: ("本省不具管辖", "this province is not competent"),
        RefusalReason.CASE_UNCLEAR: ("案情或用途不清", "the case or the purpose is unclear"),
        RefusalReason.TOO_BROAD: ("索取超出所需", "more is asked for than the case needs"),
        RefusalReason.OTHER: ("其他原因", "another reason"),
    }
)


def _is_words(text: str) -> bool:
    return parse_words(text) == text


class Refusal(Item, frozen=True, kw_only=True):
    """The desk's refusal of a field: a reason, and one sentence of the person who refused."""

    WHAT: ClassVar[str] = "look-up refusal"
    REASON: ClassVar[str] = "REFUSAL_REASON"

    lookup_id: MessageId
    reason: RefusalReason
    words: Annotated[str, checked(_is_words, form="one sentence of 1 to 200 characters", reason="REFUSAL_WORDS")]


class Reminder(Item, frozen=True, kw_only=True):
    """Asks once more; which request it repeats is what its statement cites."""

    WHAT: ClassVar[str] = "second request"

    lookup_id: MessageId


def parse_reason(text: str) -> RefusalReason:
    """Parses the reason of a refusal; refuses another word (REFUSAL_REASON)."""
    found = next((reason for reason in RefusalReason if reason.value == text), None)
    if found is None:
        raise MalformedError("REFUSAL_REASON", f"expected one of {', '.join(RefusalReason)}, got {text!r:.60}")
    return found


def parse_words(text: str) -> str:
    """Parses a refusal's sentence, without the space around: 1 to 200 printable characters (REFUSAL_WORDS)."""
    words = text.strip()
    if not 0 < len(words) <= _MAX_WORDS or not words.isprintable():
        raise MalformedError("REFUSAL_WORDS", f"expected one sentence of 1 to {_MAX_WORDS} printable characters")
    return words


def refusal_titles(refusal: Refusal) -> tuple[str, str]:
    """A refusal in one Chinese and one English sentence, each with the desk's own words."""
    zh, en = REASON_WORDS[refusal.reason]
    return f"对方受理岗拒绝：{zh}。{refusal.words}", f"refused at the other side's desk: {en}. {refusal.words}"
