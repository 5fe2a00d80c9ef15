"""A question that a person must answer: how it waits at the intake desk of the side asked, and how it may end.

Rules kept: a question waits until its own deadline and no longer; it ends once, answered, refused or expired; a second
request and an escalation shorten nothing. No `repr` shows the person. Trusts nothing it decodes.
Sources: 公安机关办理刑事案件程序规定 article 347 (one intake a force); Nlets second requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from federation.domain.lookup.asking import Urgency
from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_integer,
    read_text,
)
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import AgencyId, MessageId, format_time, parse_agency_id, parse_message_id, parse_time

_ENTRY: Final = "intake entry"
_SHOWN: Final = 6
_Choice = TypeVar("_Choice", bound=StrEnum)


def release_bytes(agency: AgencyId, officer: str, *, request_id: str, fields: frozenset[str]) -> bytes:
    """The exact bytes that an officer's own key signs to release; `fields` as named, empty for all that was asked."""
    names: list[JsonValue] = [*sorted(fields)]
    return encode_canonical(
        {
            "step": "lookup.release",
            "agency": str(agency),
            "officer": officer,
            "request_id": request_id,
            "fields": names,
        }
    )


def refuse_bytes(agency: AgencyId, officer: str, *, request_id: str, reason: str, words: str) -> bytes:
    """The exact bytes that an officer's own key signs to refuse."""
    return encode_canonical(
        {
            "step": "lookup.refuse",
            "agency": str(agency),
            "officer": officer,
            "request_id": request_id,
            "reason": reason,
            "words": words,
        }
    )


class IntakeStatus(StrEnum):
    """Where a question at the desk is: it waits, or how it ended."""

    WAITING = "waiting"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeEntry:
    """One question at the desk. `request_id`, `digest` and `seq` are those of its statement, `due` is where that ends.

    `person` is what was asked by, a number or the record behind the handle, masked at the end. `answered_by` ended it,
    and `act_id` the id of that act, both empty until then; `reply_id` is the message that carried the answer; `hit` is
    what a search was told, `released` names the fields that a fetch was given.
    """

    request_id: MessageId
    digest: str
    seq: int
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
    created: datetime
    due: datetime
    second: datetime | None = None
    escalated: datetime | None = None
    answered_by: str = ""
    act_id: str = ""
    reply_id: str = ""
    hit: bool | None = None
    released: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """Hides the person."""
        return f"IntakeEntry({self.request_id}, {self.status})"


def verify_waiting(entry: IntakeEntry, now: datetime) -> IntakeEntry:
    """Returns the entry when it still waits and its time is not over.

    Raises:
        RuleError: INTAKE_ANSWERED, INTAKE_REFUSED or INTAKE_EXPIRED.
    """
    ended = IntakeStatus.EXPIRED if entry.status is IntakeStatus.WAITING and now > entry.due else entry.status
    if ended is IntakeStatus.WAITING:
        return entry
    by = f" by {entry.answered_by}" if entry.answered_by else f" at {format_time(entry.due)}"
    raise RuleError(f"INTAKE_{ended.name}", f"expected a request that waits; {entry.request_id} was {ended}{by}")


def second_due(created: datetime, due: datetime) -> datetime:
    """When the asking side asks a second time by itself: at half of the clock."""
    return created + (due - created) / 2


def escalation_due(created: datetime, due: datetime, second: datetime | None) -> datetime:
    """When an unanswered question is escalated: at three quarters of the clock, or a quarter after a second request."""
    quarter = (due - created) / 4
    return min(due - quarter, second + quarter) if second is not None else due - quarter


def time_left(entry: IntakeEntry, now: datetime) -> timedelta:
    """How long the desk still has; never below zero."""
    return max(entry.due - now, timedelta(0))


def in_order(entries: list[IntakeEntry]) -> list[IntakeEntry]:
    """Orders a desk's inbox: second requests and escalated ones, then urgent ones, each by the time left.

    What has ended comes last, newest first.
    """
    waiting = [entry for entry in entries if entry.status is IntakeStatus.WAITING]
    ended = [entry for entry in entries if entry.status is not IntakeStatus.WAITING]
    waiting.sort(key=lambda entry: (_is_calm(entry), entry.urgency is not Urgency.URGENT, entry.due, entry.request_id))
    ended.sort(key=lambda entry: (entry.created, entry.request_id), reverse=True)
    return [*waiting, *ended]


def _is_calm(entry: IntakeEntry) -> bool:
    return entry.second is None and entry.escalated is None


def mask_person(text: str) -> str:
    """What was asked by, with the serial of a permit, or all of a number but its place, hidden."""
    prefix, colon, value = text.rpartition(":")
    shown = 0 if colon else _SHOWN
    return f"{prefix}{colon}{value[:shown]}{'*' * (len(value) - shown)}"


def encode_intake(entry: IntakeEntry) -> bytes:
    """Encodes an entry into its one canonical form, to be sealed."""
    value: dict[str, JsonValue] = {
        "request_id": entry.request_id,
        "digest": entry.digest,
        "seq": entry.seq,
        "status": entry.status.value,
        "lookup_id": entry.lookup_id,
        "step": entry.step,
        "asker": str(entry.asker),
        "officer": entry.officer,
        "case_id": entry.case_id,
        "purpose": entry.purpose,
        "function": entry.function,
        "urgency": entry.urgency.value,
        "person": entry.person,
        "fields": sorted(entry.fields),
        "created": format_time(entry.created),
        "due": format_time(entry.due),
        "second": _optional_time(entry.second),
        "escalated": _optional_time(entry.escalated),
        "answered_by": entry.answered_by,
        "act_id": entry.act_id,
        "reply_id": entry.reply_id,
        "released": sorted(entry.released),
        **({"hit": entry.hit} if entry.hit is not None else {}),
    }
    return encode_canonical(value)


def decode_intake(encoded: bytes) -> IntakeEntry:
    """Decodes an entry of our own store.

    Raises:
        MalformedError: JSON_*, MESSAGE_ID, AGENCY_ID, TIME, INTAKE_FORM.
    """
    value = decode_canonical(encoded, what=_ENTRY)
    expect_names(value, [name for name in IntakeEntry.__slots__ if name != "hit"], ["hit"], what=_ENTRY)
    return IntakeEntry(
        request_id=parse_message_id(read_text(value, "request_id", what=_ENTRY)),
        digest=read_text(value, "digest", what=_ENTRY),
        seq=read_integer(value, "seq", what=_ENTRY),
        status=_read_choice(value, "status", IntakeStatus),
        lookup_id=parse_message_id(read_text(value, "lookup_id", what=_ENTRY)),
        step=read_text(value, "step", what=_ENTRY),
        asker=parse_agency_id(read_text(value, "asker", what=_ENTRY)),
        officer=read_text(value, "officer", what=_ENTRY),
        case_id=read_text(value, "case_id", what=_ENTRY),
        purpose=read_text(value, "purpose", what=_ENTRY),
        function=read_text(value, "function", what=_ENTRY),
        urgency=_read_choice(value, "urgency", Urgency),
        person=read_text(value, "person", what=_ENTRY),
        fields=_read_fields(value, "fields"),
        created=parse_time(read_text(value, "created", what=_ENTRY)),
        due=parse_time(read_text(value, "due", what=_ENTRY)),
        second=_read_time(value, "second"),
        escalated=_read_time(value, "escalated"),
        answered_by=read_text(value, "answered_by", what=_ENTRY),
        act_id=read_text(value, "act_id", what=_ENTRY),
        reply_id=read_text(value, "reply_id", what=_ENTRY),
        hit=_read_hit(value),
        released=_read_fields(value, "released"),
    )


def _optional_time(time: datetime | None) -> str:
    return format_time(time) if time is not None else ""


def _read_time(value: Mapping[str, JsonValue], name: str) -> datetime | None:
    text = read_text(value, name, what=_ENTRY)
    return parse_time(text) if text else None


def _read_choice(value: Mapping[str, JsonValue], name: str, choices: type[_Choice]) -> _Choice:
    text = read_text(value, name, what=_ENTRY)
    found = next((choice for choice in choices if choice.value == text), None)
    if found is None:
        raise MalformedError("INTAKE_FORM", f"{_ENTRY}: expected {name!r} to be one of {', '.join(choices)}")
    return found


def _read_hit(value: Mapping[str, JsonValue]) -> bool | None:
    found = value.get("hit")
    return found if isinstance(found, bool) else None


def _read_fields(value: Mapping[str, JsonValue], name: str) -> frozenset[str]:
    found = value[name]
    texts = [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
    if texts != found:
        raise MalformedError("INTAKE_FORM", f"{_ENTRY}: expected {name!r} to be a list of names")
    return frozenset(texts)
