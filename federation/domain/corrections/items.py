"""What crosses a border about a correction: the request to the owner, the owner's answers, the notice to the others.

Rules kept: one canonical JSON item each, read strictly; an answer carries the whole deadline with the rule and the
calendar that made it; answers have versions that only grow, so that they may arrive in any order; a notice carries no
value.
Trusts nothing: the bytes come from another province. Source: PIPL article 46, DESIGN section 5 (correction).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.corrections.fields import verify_wanted
from federation.domain.permit import PermitUrn
from federation.domain.rules.clock import Deadline
from federation.protocol.errors import MalformedError
from federation.protocol.fields import checked, matching
from federation.protocol.form import (
    Count,
    Item,
    Positive,
    Time,
    always,
    decode,
    encode,
)
from federation.protocol.ids import Realm

REQUEST_BODY: Final = "application/vnd.bridgehead.correction-request.v1+json"
"""The media type of a body that holds one `CorrectionRequest`."""
ANSWER_BODY: Final = "application/vnd.bridgehead.correction-answer.v1+json"
"""The media type of a body that holds one `CorrectionAnswer`."""
NOTICE_BODY: Final = "application/vnd.bridgehead.correction-notice.v1+json"
"""The media type of a body that holds one `CorrectionNotice`."""

MAX_WORDS: Final = 500
"""The most characters that anybody may say about a correction."""
MAX_PAPERS: Final = 8

_ID_FORM: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ID: Final = re.compile(_ID_FORM, re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class CorrectionState(StrEnum):
    """Where a correction stands at the owner."""

    OPEN = "open"
    GRANTED = "granted"
    DENIED = "denied"


class CorrectionRequest(Item, frozen=True, kw_only=True):
    """Somebody's "my record is wrong": which permit, which field, what it should say, why; `papers` are SHA-256 (hex).

    `correction_id` is a UUID. `citizen_number` is the holder's as the record has it. `identity_checked` is the clerk's
    word, signed by the filing province.
    """

    WHAT: ClassVar[str] = "correction request"

    correction_id: str
    urn: PermitUrn
    field: str
    value: str
    words: str
    papers: tuple[str, ...] = always(())
    citizen_number: str
    identity_checked: bool

    def __repr__(self) -> str:
        """Hides the person."""
        return f"CorrectionRequest({self.correction_id}, {self.field})"


def _may_be_said(text: str) -> bool:
    return len(text) <= MAX_WORDS and text.isprintable()


class CorrectionAnswer(Item, frozen=True, kw_only=True):
    """What the owner says of a correction at `time`; `version` 1 opens it, each further step adds one.

    `permit_version` is the version of the permit that has the corrected field, 0 unless granted.
    """

    WHAT: ClassVar[str] = "correction answer"

    correction_id: Annotated[str, matching(_ID_FORM, form="a UUID in lower case", reason="CORRECTION_ID")]
    version: Positive
    state: CorrectionState
    time: Time
    deadline: Deadline
    words: Annotated[
        str, checked(_may_be_said, form=f"up to {MAX_WORDS} printable characters", reason="CORRECTION_WORDS")
    ] = always("")
    permit_version: Count = always(0)


class CorrectionNotice(Item, frozen=True, kw_only=True):
    """What you hold of this is outdated: a copy of a permit below `version`, or a field that a look-up gave you.

    Either `urn` and `version` are given, or `field`, and then the statement cites the request that it was given to.
    """

    WHAT: ClassVar[str] = "correction notice"

    time: Time
    urn: PermitUrn | None = None
    version: Positive = 0
    field: Annotated[str, matching("[a-z_]{1,40}", form="the name of a field")] = ""


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


def encode_correction_request(request: CorrectionRequest) -> bytes:
    """Encodes a request into its one canonical form."""
    return encode(request)


def decode_correction_request(encoded: bytes) -> CorrectionRequest:
    """Decodes a request that another province files; `verify_correction_request` judges what it says.

    Raises:
        MalformedError: JSON_* and PERMIT_URN.
    """
    return decode(CorrectionRequest, encoded)


def encode_correction_answer(answer: CorrectionAnswer) -> bytes:
    """Encodes an answer into its one canonical form."""
    return encode(answer)


def decode_correction_answer(encoded: bytes) -> CorrectionAnswer:
    """Decodes what the owner says of a correction of ours.

    Raises:
        MalformedError: JSON_*, TIME, CORRECTION_ID, CORRECTION_WORDS.
    """
    return decode(CorrectionAnswer, encoded)


def encode_correction_notice(notice: CorrectionNotice) -> bytes:
    """Encodes a notice into its one canonical form; what it does not speak of is left out."""
    return encode(notice)


def decode_correction_notice(encoded: bytes) -> CorrectionNotice:
    """Decodes a notice of the owner.

    Raises:
        MalformedError: JSON_*, TIME, PERMIT_URN.
    """
    notice = decode(CorrectionNotice, encoded)
    wanted = {"field"} if notice.urn is None else {"urn", "version"}
    for name in ("urn", "version", "field"):
        if name in wanted and not getattr(notice, name):
            raise MalformedError("JSON_MISSING_NAME", f"{notice.WHAT}: expected the name {name!r}", field=name)
        if name not in wanted and getattr(notice, name):
            raise MalformedError("JSON_UNKNOWN_NAME", f"{notice.WHAT}: did not expect the name {name!r}")
    return notice
