"""What crosses a border about a correction: the request to the owner, the owner's answers, the notice to the others.

Rules kept: one canonical JSON item each, read strictly; an answer carries the whole deadline with the rule and the
calendar that made it; answers have versions that only grow, so that they may arrive in any order; a notice carries no
value.
Trusts nothing: the bytes come from another province. Source: PIPL article 46, DESIGN section 5 (correction).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.corrections.fields import verify_wanted
from federation.domain.permit import PermitUrn, parse_permit_urn
from federation.domain.rules.clock import Deadline, Verified
from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_integer,
    read_object,
    read_text,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm, format_time, parse_time

REQUEST_BODY: Final = "application/vnd.bridgehead.correction-request.v1+json"
"""The media type of a body that holds one `CorrectionRequest`."""
ANSWER_BODY: Final = "application/vnd.bridgehead.correction-answer.v1+json"
"""The media type of a body that holds one `CorrectionAnswer`."""
NOTICE_BODY: Final = "application/vnd.bridgehead.correction-notice.v1+json"
"""The media type of a body that holds one `CorrectionNotice`."""

MAX_WORDS: Final = 500
"""The most characters that anybody may say about a correction."""
MAX_PAPERS: Final = 8

_REQUEST: Final = "correction request"
_ANSWER: Final = "correction answer"
_NOTICE: Final = "correction notice"
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class CorrectionState(StrEnum):
    """Where a correction stands at the owner."""

    OPEN = "open"
    GRANTED = "granted"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionRequest:
    """Somebody's "my record is wrong": which permit, which field, what it should say, why; `papers` are SHA-256 (hex).

    `correction_id` is a UUID. `citizen_number` is the holder's as the record has it. `identity_checked` is the clerk's
    word, signed by the filing province.
    """

    correction_id: str
    urn: PermitUrn
    field: str
    value: str
    words: str
    papers: tuple[str, ...] = ()
    citizen_number: str
    identity_checked: bool

    def __repr__(self) -> str:
        """Hides the person."""
        return f"CorrectionRequest({self.correction_id}, {self.field})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionAnswer:
    """What the owner says of a correction at `time`; `version` 1 opens it, each further step adds one.

    `permit_version` is the version of the permit that has the corrected field, 0 unless granted.
    """

    correction_id: str
    version: int
    state: CorrectionState
    time: datetime
    deadline: Deadline
    words: str = ""
    permit_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionNotice:
    """What you hold of this is outdated: a copy of a permit below `version`, or a field that a look-up gave you.

    Either `urn` and `version` are given, or `field`, and then the statement cites the request that it was given to.
    """

    time: datetime
    urn: PermitUrn | None = None
    version: int = 0
    field: str = ""


def verify_correction_id(text: str) -> str:
    """Returns the name of a correction when it is a UUID in lower case.

    Raises:
        MalformedError: CORRECTION_ID.
    """
    if not _ID.fullmatch(text):
        raise MalformedError("CORRECTION_ID", f"expected a UUID in lower case, got {text!r:.60}")
    return text


def verify_words(text: str, *, empty: bool = False) -> str:
    """Returns what somebody said about a correction when it is of the form: 1 to 500 printable characters.

    Raises:
        MalformedError: CORRECTION_WORDS.
    """
    if not (empty or text.strip()) or len(text) > MAX_WORDS or not text.isprintable():
        raise MalformedError("CORRECTION_WORDS", f"expected 1 to {MAX_WORDS} printable characters", field="words")
    return text


def verify_correction_request(request: CorrectionRequest, realm: Realm) -> CorrectionRequest:
    """Returns the request when everything in it is of its form and its field may be corrected by request.

    Raises:
        MalformedError: CORRECTION_ID, CORRECTION_WORDS, CORRECTION_PAPERS; as `verify_wanted` and of the number.
        RuleError: as `verify_wanted`.
    """
    verify_correction_id(request.correction_id)
    verify_words(request.words)
    verify_citizen_number(request.citizen_number, realm)
    papers = request.papers
    if len(papers) > MAX_PAPERS or list(papers) != sorted(set(papers)) or not all(map(_DIGEST.fullmatch, papers)):
        raise MalformedError(
            "CORRECTION_PAPERS",
            f"expected at most {MAX_PAPERS} different SHA-256 digests in order, 64 lower-case hex digits each",
            field="papers",
        )
    verify_wanted(request.field, request.value, realm)
    return request


def request_value(request: CorrectionRequest) -> dict[str, JsonValue]:
    """The request as JSON."""
    return {
        "correction_id": request.correction_id,
        "urn": request.urn,
        "field": request.field,
        "value": request.value,
        "words": request.words,
        "papers": list(request.papers),
        "citizen_number": request.citizen_number,
        "identity_checked": request.identity_checked,
    }


def read_request(value: Mapping[str, JsonValue]) -> CorrectionRequest:
    """Reads what `request_value` made; its content is not judged here.

    Raises:
        MalformedError: JSON_* and PERMIT_URN.
    """
    expect_names(value, CorrectionRequest.__slots__, what=_REQUEST)
    checked, papers = value["identity_checked"], value["papers"]
    if not isinstance(checked, bool):
        raise MalformedError("JSON_TYPE", f"{_REQUEST}: expected 'identity_checked' to be true or false")
    if not isinstance(papers, list):
        raise MalformedError("JSON_TYPE", f"{_REQUEST}: expected 'papers' to be a list")
    texts = tuple(text for text in papers if isinstance(text, str))
    if len(texts) != len(papers):
        raise MalformedError("JSON_TYPE", f"{_REQUEST}: expected every paper to be a string")
    return CorrectionRequest(
        correction_id=read_text(value, "correction_id", what=_REQUEST),
        urn=parse_permit_urn(read_text(value, "urn", what=_REQUEST)),
        field=read_text(value, "field", what=_REQUEST),
        value=read_text(value, "value", what=_REQUEST),
        words=read_text(value, "words", what=_REQUEST),
        papers=texts,
        citizen_number=read_text(value, "citizen_number", what=_REQUEST),
        identity_checked=checked,
    )


def encode_correction_request(request: CorrectionRequest) -> bytes:
    """Encodes a request into its one canonical form."""
    return encode_canonical(request_value(request))


def decode_correction_request(encoded: bytes) -> CorrectionRequest:
    """Decodes a request that another province files; `verify_correction_request` judges what it says.

    Raises:
        MalformedError: JSON_* and PERMIT_URN.
    """
    return read_request(decode_canonical(encoded, what=_REQUEST))


def answer_value(answer: CorrectionAnswer) -> dict[str, JsonValue]:
    """The answer as JSON."""
    return {
        "correction_id": answer.correction_id,
        "version": answer.version,
        "state": answer.state.value,
        "time": format_time(answer.time),
        "deadline": _deadline_value(answer.deadline),
        "words": answer.words,
        "permit_version": answer.permit_version,
    }


def read_answer(value: Mapping[str, JsonValue]) -> CorrectionAnswer:
    """Reads what `answer_value` made.

    Raises:
        MalformedError: JSON_*, TIME, CORRECTION_ID, CORRECTION_WORDS.
    """
    expect_names(value, CorrectionAnswer.__slots__, what=_ANSWER)
    state = value["state"]
    if state not in tuple(CorrectionState):
        raise MalformedError("JSON_TYPE", f"{_ANSWER}: expected 'state' to be open, granted or denied", field="state")
    return CorrectionAnswer(
        correction_id=verify_correction_id(read_text(value, "correction_id", what=_ANSWER)),
        version=_positive(value, "version"),
        state=CorrectionState(str(state)),
        time=parse_time(read_text(value, "time", what=_ANSWER)),
        deadline=_read_deadline(read_object(value, "deadline", what=_ANSWER)),
        words=verify_words(read_text(value, "words", what=_ANSWER), empty=True),
        permit_version=read_integer(value, "permit_version", what=_ANSWER),
    )


def encode_correction_answer(answer: CorrectionAnswer) -> bytes:
    """Encodes an answer into its one canonical form."""
    return encode_canonical(answer_value(answer))


def decode_correction_answer(encoded: bytes) -> CorrectionAnswer:
    """Decodes what the owner says of a correction of ours.

    Raises:
        MalformedError: as `read_answer`.
    """
    return read_answer(decode_canonical(encoded, what=_ANSWER))


def encode_correction_notice(notice: CorrectionNotice) -> bytes:
    """Encodes a notice into its one canonical form; what it does not speak of is left out."""
    value: dict[str, JsonValue] = {"time": format_time(notice.time)}
    if notice.urn is not None:
        value |= {"urn": notice.urn, "version": notice.version}
    else:
        value["field"] = notice.field
    return encode_canonical(value)


def decode_correction_notice(encoded: bytes) -> CorrectionNotice:
    """Decodes a notice of the owner.

    Raises:
        MalformedError: JSON_*, TIME, PERMIT_URN.
    """
    value = decode_canonical(encoded, what=_NOTICE)
    time = parse_time(read_text(value, "time", what=_NOTICE))
    if "urn" in value:
        expect_names(value, ("time", "urn", "version"), what=_NOTICE)
        urn = parse_permit_urn(read_text(value, "urn", what=_NOTICE))
        return CorrectionNotice(time=time, urn=urn, version=_positive(value, "version"))
    expect_names(value, ("time", "field"), what=_NOTICE)
    field = read_text(value, "field", what=_NOTICE)
    if not re.fullmatch(r"[a-z_]{1,40}", field, re.ASCII):
        raise MalformedError("JSON_TYPE", f"{_NOTICE}: expected 'field' to be the name of a field", field="field")
    return CorrectionNotice(time=time, field=field)


def _deadline_value(deadline: Deadline) -> dict[str, JsonValue]:
    return {
        "clock_id": deadline.clock_id,
        "rule_version": deadline.rule_version,
        "calendar_version": deadline.calendar_version,
        "started": format_time(deadline.started),
        "due": format_time(deadline.due),
        "last_day": deadline.last_day.isoformat() if deadline.last_day is not None else "",
        "extended_by": deadline.extended_by,
        "official": deadline.official,
        "verified": deadline.verified.value,
    }


def _read_deadline(value: Mapping[str, JsonValue]) -> Deadline:
    expect_names(value, Deadline.__slots__, what=_ANSWER)
    official, verified, day = value["official"], value["verified"], read_text(value, "last_day", what=_ANSWER)
    if not isinstance(official, bool) or verified not in tuple(Verified):
        raise MalformedError("JSON_TYPE", f"{_ANSWER}: expected a deadline that says how sure it is")
    return Deadline(
        clock_id=read_text(value, "clock_id", what=_ANSWER),
        rule_version=read_integer(value, "rule_version", what=_ANSWER),
        calendar_version=read_text(value, "calendar_version", what=_ANSWER),
        started=parse_time(read_text(value, "started", what=_ANSWER)),
        due=parse_time(read_text(value, "due", what=_ANSWER)),
        last_day=_read_day(day) if day else None,
        extended_by=read_integer(value, "extended_by", what=_ANSWER),
        official=official,
        verified=Verified(str(verified)),
    )


def _read_day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise MalformedError("JSON_TYPE", f"{_ANSWER}: expected 'last_day' to be a day", field="last_day") from error
    if day.isoformat() != text:
        raise MalformedError("JSON_TYPE", f"{_ANSWER}: expected 'last_day' to be a day", field="last_day")
    return day


def _positive(value: Mapping[str, JsonValue], name: str) -> int:
    found = read_integer(value, name, what=_ANSWER)
    if found < 1:
        raise MalformedError("JSON_TYPE", f"{_ANSWER}: expected {name!r} to be 1 or more", field=name)
    return found
