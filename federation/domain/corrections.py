"""Corrections of a person's record: what crosses the border, how one runs at the owner's desk, what policy is asked.

Rules kept: the issuing county owns the permit and corrects it; the identity on the household place's word only; none
is granted that could not have been issued. Answers carry their whole deadline and have versions that only grow, so
that they may arrive in any order; what is overdue stays open; a notice carries no value. No question to policy and no
error shows a person or a value. Trusts nothing of another province.
Sources: PIPL articles 46, 50; 居住证暂行条例 articles 2, 9, 10, 11; 政务数据共享条例 (one owner per record).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, get_type_hints

from federation.domain.citizen_number import Sex, true_birth_date, verify_birth_realm, verify_citizen_number
from federation.domain.clock import Calendar, ClockRule, Deadline, add_months, extend_deadline
from federation.domain.division import code_today
from federation.domain.ethnic_groups import GROUP_NUMBERS, EthnicGroup
from federation.domain.lookups_case import DossierFacts, dossier_entity
from federation.domain.permits import (
    HOLDER_FIELDS,
    Ground,
    Holder,
    Permit,
    PermitUrn,
    is_running,
    permit_object,
    permit_of,
)
from federation.domain.permits_policy import AgencyFacts, FunctionCode, Occasion, ask
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Count, Item, Positive, Time, always, decode, replace
from federation.protocol.ids import AgencyId, NodeName, Realm, checked, matching, truncate_to_millisecond
from federation.protocol.policy.engine import PolicyRequest

REQUEST_BODY: Final = "application/vnd.bridgehead.correction-request.v1+json"
ANSWER_BODY: Final = "application/vnd.bridgehead.correction-answer.v1+json"
NOTICE_BODY: Final = "application/vnd.bridgehead.correction-notice.v1+json"

MAX_WORDS: Final = 500
MAX_PAPERS: Final = 8

_ID_FORM: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ID: Final = re.compile(_ID_FORM, re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class CorrectionState(StrEnum):
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
        return f"CorrectionRequest({self.correction_id}, {self.field})"


def _may_be_said(text: str) -> bool:
    return len(text) <= MAX_WORDS and text.isprintable()


class CorrectionAnswer(Item, frozen=True, kw_only=True):
    """The owner's answer; `version` 1 opens it, each step adds one; `permit_version` is 0 unless granted."""

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
    """A copy of a permit below `version` is outdated, or a `field` that the request which is cited gave you.

    Or: the holder of your permit `urn` was found to have another province's permit, `other`, which works as well.
    """

    WHAT: ClassVar[str] = "correction notice"

    time: Time
    urn: PermitUrn | None = None
    version: Positive = 0
    field: Annotated[str, matching("[a-z_]{1,40}", form="the name of a field")] = ""
    other: PermitUrn | None = None


def verify_correction_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise MalformedError("CORRECTION_ID", f"expected a UUID in lower case, got {text!r:.60}")
    return text


def verify_words(text: str, *, empty: bool = False) -> str:
    """Returns 1 to 500 printable characters; refuses others (CORRECTION_WORDS)."""
    if not (empty or text.strip()) or len(text) > MAX_WORDS or not text.isprintable():
        raise MalformedError("CORRECTION_WORDS", f"expected 1 to {MAX_WORDS} printable characters", field="words")
    return text


def verify_correction_request(request: CorrectionRequest, realm: Realm) -> CorrectionRequest:
    """Returns a request of the right form; refuses CORRECTION_ID, _WORDS, _PAPERS, and as `verify_wanted`."""
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


def decode_correction_notice(encoded: bytes) -> CorrectionNotice:
    """Decodes a notice of the owner; refuses another form (JSON_*, TIME, PERMIT_URN)."""
    notice = decode(CorrectionNotice, encoded)
    about = {"urn", "other"} if notice.other is not None else {"urn", "version"}
    wanted = {"field"} if notice.urn is None else about
    for name in ("urn", "version", "field", "other"):
        if name in wanted and not getattr(notice, name):
            raise MalformedError("JSON_MISSING_NAME", f"{notice.WHAT}: expected the name {name!r}", field=name)
        if name not in wanted and getattr(notice, name):
            raise MalformedError("JSON_UNKNOWN_NAME", f"{notice.WHAT}: did not expect the name {name!r}")
    return notice


# ---- which field, on whose word

IDENTITY_FIELDS: Final = frozenset(HOLDER_FIELDS) - {"photo_digest"}
"""What the household place owns: corrected on its word only."""

RECORD_FIELDS: Final = frozenset({"residence_address", "work_division", "ground", "residence_since"})
"""What the issuing county found out itself."""

NOT_BY_REQUEST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "urn": "the permit's name stays for ever",
        "version": "it counts the changes of the record",
        "status": "it follows from endorsing, suspending, restoring and revoking (article 10)",
        "residence_division": "a permit of another county is another permit (article 8)",
        "issuer": "it is the office that issued the card",
        "photo_digest": "another photo needs another card (article 11)",
        "issue_date": "it is the day on which the card was issued (article 9)",
        "counted_from": "it follows from the day of issue or of the late endorsement (article 10)",
        "endorsed_until": "it follows from the endorsements (article 10)",
    }
)
"""What nobody may correct by request, and why."""

_DATES: Final = frozenset({"birth_date", "residence_since"})
_DIVISIONS: Final = frozenset({"household_division", "work_division"})
_ONE_OF: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"sex": tuple(Sex), "ground": tuple(Ground)}
    | {
        name: tuple(GROUP_NUMBERS)
        for name, kind in get_type_hints(Holder, include_extras=True).items()
        if kind == EthnicGroup
    }
)
_MAX_TEXT: Final = 200
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DIVISION: Final = re.compile(r"[0-9]{6}", re.ASCII)


def verify_wanted(field: str, value: str, realm: Realm) -> str:
    """Returns a value of the field's form; refuses FIELD_NOT_CORRECTABLE, CORRECTION_FIELD, CORRECTION_VALUE."""
    if field in NOT_BY_REQUEST:
        raise RuleError("FIELD_NOT_CORRECTABLE", f"{field} is not corrected by request: {NOT_BY_REQUEST[field]}")
    if field not in IDENTITY_FIELDS | RECORD_FIELDS:
        known = ", ".join(sorted(IDENTITY_FIELDS | RECORD_FIELDS))
        raise MalformedError("CORRECTION_FIELD", f"expected one of {known}, got {field!r:.60}", field="field")
    if not 0 < len(value) <= _MAX_TEXT or _CONTROL.search(value) or value != value.strip():
        raise _wrong(field, f"1 to {_MAX_TEXT} characters without control characters or spaces around them")
    if field == "citizen_number":
        return verify_citizen_number(value, realm)
    if field in _DIVISIONS and not _DIVISION.fullmatch(value):
        raise _wrong(field, "six digits")
    if value not in _ONE_OF.get(field, (value,)):
        raise _wrong(field, f"one of {', '.join(_ONE_OF[field])}")
    if field in _DATES:
        day = _read_day(field, value)
        if field == "birth_date":
            verify_birth_realm(day, realm)
    return value


def verify_proven(field: str, *, household_division: str, filed_in: str, papers: int) -> None:
    """Refuses an identity field filed outside the household county without papers (IDENTITY_UNPROVEN)."""
    if field not in IDENTITY_FIELDS or papers or code_today(filed_in) == code_today(household_division):
        return
    raise RuleError(
        "IDENTITY_UNPROVEN",
        f"the household place owns {field}: file it in the household county, or name a paper by its digest",
    )


def value_of(permit: Permit, field: str) -> str | None:
    """Returns what stands in a field that may be corrected, as text; None when it is empty."""
    found = permit_object(permit).get(field)
    return str(found) if found is not None else None


def amend_permit(permit: Permit, field: str, value: str, *, realm: Realm) -> Permit:
    """Returns the next version with one field corrected.

    Refuses as `verify_wanted`; PERMIT_ENDED, SAME_VALUE, HOUSEHOLD_NOT_LEFT and RESIDENCE_TOO_SHORT (article 2),
    PERMIT_DATES for a birth after the application, NUMBER_DISAGREES with birth date or sex.
    """
    verify_wanted(field, value, realm)
    if not is_running(permit):
        raise RuleError("PERMIT_ENDED", f"the permit is {permit.status}: no further step is possible")
    if value_of(permit, field) == value:
        raise RuleError("SAME_VALUE", f"the record says so already: nothing to correct in {field}")
    amended = permit_of({**permit_object(permit), field: value, "version": permit.version + 1})
    _verify_lawful(amended, field)
    return amended


def _verify_lawful(permit: Permit, field: str) -> None:
    holder, number = permit.holder, permit.holder.citizen_number
    if field == "household_division" and code_today(holder.household_division) == code_today(permit.residence_division):
        raise RuleError("HOUSEHOLD_NOT_LEFT", "article 2: expected a household outside the county of residence")
    if field == "residence_since" and add_months(permit.residence_since, 6) > permit.accept_date:
        raise RuleError("RESIDENCE_TOO_SHORT", "article 2: expected half a year of residence at acceptance")
    if true_birth_date(holder.birth_date) > permit.apply_date:
        raise RuleError("PERMIT_DATES", "expected a birth before the application")
    if field == "birth_date" and number[6:14] != holder.birth_date.isoformat().replace("-", ""):
        raise RuleError("NUMBER_DISAGREES", "expected the birth date of the citizen number; correct the number first")
    if field == "sex" and holder.sex is not (Sex.MALE if int(number[16]) % 2 else Sex.FEMALE):
        raise RuleError("NUMBER_DISAGREES", "expected the sex of the citizen number; correct the number first")


def _read_day(field: str, value: str) -> date:
    with suppress(ValueError):
        day = date.fromisoformat(value)
        if day.isoformat() == value:
            return day
    raise _wrong(field, "a day such as 2026-01-01")


def _wrong(field: str, expected: str) -> MalformedError:
    return MalformedError("CORRECTION_VALUE", f"expected {field} to be {expected}", field="value")


# ---- at the owner's desk

DECIDING_OFFICES: Final = ("service-hall", "police")
CLOCK: Final = "share.correct"
"""The clock of a correction: from its reception to its answer."""

ANSWER_CLOCK: Final = "subject.answer"
"""The clock of every request of a person: no extension outlasts it."""


class Correction(Item, frozen=True, kw_only=True):
    """A request, who filed it, where it stands; `cited` is the digest of its statement, empty when filed here."""

    WHAT: ClassVar[str] = "stored correction"

    request: CorrectionRequest
    filed_by: AgencyId
    cited: str
    standing: CorrectionAnswer


def verify_admissible(request: CorrectionRequest, permit: Permit | None, *, filed_by: AgencyId, realm: Realm) -> Permit:
    """Returns the permit; one that is absent, another's or sealed is PERMIT_UNKNOWN. Else as `amend_permit`."""
    if permit is None or permit.holder.citizen_number != request.citizen_number:
        raise RuleError("PERMIT_UNKNOWN", "this province issued no such permit to that person")
    amend_permit(permit, request.field, request.value, realm=realm)
    verify_proven(
        request.field,
        household_division=permit.holder.household_division,
        filed_in=filed_by.county,
        papers=len(request.papers),
    )
    return permit


def open_correction(
    request: CorrectionRequest, *, filed_by: AgencyId, cited: str, deadline: Deadline, now: datetime
) -> Correction:
    """Opens a correction; the deadline counts from the day of its reception."""
    standing = CorrectionAnswer(
        correction_id=request.correction_id,
        version=1,
        state=CorrectionState.OPEN,
        time=truncate_to_millisecond(now),
        deadline=deadline,
    )
    return Correction(request=request, filed_by=filed_by, cited=cited, standing=standing)


def extend_correction(
    correction: Correction, rule: ClockRule, *, by: int, calendar: Calendar, words: str, now: datetime
) -> Correction:
    """Takes more time, once, in time, and tells why; refuses CORRECTION_ENDED, and as `extend_deadline`."""
    verify_open(correction)
    deadline = extend_deadline(correction.standing.deadline, rule, by=by, asked=now, calendar=calendar)
    return _next(correction, replace(correction.standing, deadline=deadline, words=verify_words(words)), now)


def verify_answered_in_time(correction: Correction, answer_by: Deadline) -> Correction:
    """Returns a correction that ends within the person's own deadline; refuses others (EXTENSION_PAST_ANSWER)."""
    if correction.standing.deadline.due > answer_by.due:
        raise RuleError(
            "EXTENSION_PAST_ANSWER",
            f"the person is answered by {answer_by.last_day} ({answer_by.clock_id}): expected fewer days",
        )
    return correction


def grant_correction(correction: Correction, *, permit_version: int, words: str, now: datetime) -> Correction:
    """Grants it: the permit has the corrected field from that version on. Refuses CORRECTION_ENDED."""
    verify_open(correction)
    standing = replace(
        correction.standing,
        state=CorrectionState.GRANTED,
        words=verify_words(words, empty=True),
        permit_version=permit_version,
    )
    return _next(correction, standing, now)


def deny_correction(correction: Correction, *, words: str, now: datetime) -> Correction:
    """Denies it, with reasons (article 50). Refuses CORRECTION_ENDED and as `verify_words`."""
    verify_open(correction)
    standing = replace(correction.standing, state=CorrectionState.DENIED, words=verify_words(words))
    return _next(correction, standing, now)


def verify_open(correction: Correction) -> Correction:
    """Returns a correction that has not been granted or denied; refuses others (CORRECTION_ENDED)."""
    state = correction.standing.state
    if state is not CorrectionState.OPEN:
        raise RuleError("CORRECTION_ENDED", f"the correction was {state} already; a new request may be filed")
    return correction


def holds_record(office: AgencyId, county: str) -> bool:
    """True for an office that may decide about the permits of a county: of that county, by any of its codes."""
    return office.kind in DECIDING_OFFICES and code_today(office.county) == code_today(county)


def verify_answer_follows(known: CorrectionAnswer | None, answer: CorrectionAnswer) -> CorrectionAnswer:
    """Returns an answer that may stand beside the newest one known, in whatever order the two arrive.

    A version counts the steps: opened, perhaps extended once, ended; an end is the last. Else CORRECTION_STEP.
    """
    ended = answer.state is not CorrectionState.OPEN
    steps = 1 + (answer.deadline.extended_by > 0) + ended
    if answer.version != steps or (answer.permit_version > 0) is not (answer.state is CorrectionState.GRANTED):
        raise RuleError("CORRECTION_STEP", f"expected version {steps} of a correction that has come so far")
    if known is None or answer == known:
        return answer
    older, newer = (answer, known) if answer.version < known.version else (known, answer)
    if older.version == newer.version or older.state is not CorrectionState.OPEN:
        raise RuleError("CORRECTION_STEP", f"expected what was said before, {known.state}, to stand")
    return answer


def is_overdue(standing: CorrectionAnswer, now: datetime) -> bool:
    return standing.state is CorrectionState.OPEN and now >= standing.deadline.due


def _next(correction: Correction, standing: CorrectionAnswer, now: datetime) -> Correction:
    following = replace(standing, version=correction.standing.version + 1, time=truncate_to_millisecond(now))
    return replace(correction, standing=following)


# ---- what policy is asked

CORRECTION_PURPOSE: Final = "subject.correct"
CORRECTION_FUNCTION: Final = FunctionCode("F01")
CORRECTION_BASIS: Final = "个人信息保护法第四十六条"
CORRECTION_KIND: Final = "correction"


def file_request(
    agency: AgencyFacts, province: NodeName, *, occasion: Occasion, identity_checked: bool
) -> PolicyRequest:
    """Asks whether the agency may file a correction with that province for a person. Asked by both provinces."""
    dossier = DossierFacts(province=province, kind=CORRECTION_KIND)
    return ask(
        "correction.request", agency, dossier_entity(dossier), occasion=occasion, identityChecked=identity_checked
    )


def decide_request(agency: AgencyFacts, province: NodeName, *, occasion: Occasion, county: str) -> PolicyRequest:
    """Asks whether the agency may extend, grant or deny corrections of permits that this county issued."""
    dossier = DossierFacts(province=province, kind=CORRECTION_KIND, issuing_division=county)
    return ask("correction.decide", agency, dossier_entity(dossier), occasion=occasion)


def notice_request(agency: AgencyFacts, owner: NodeName, *, occasion: Occasion) -> PolicyRequest:
    """Asks whether the agency may say that copies of that province's permits are outdated, or what it found twice."""
    dossier = DossierFacts(province=owner, kind=CORRECTION_KIND)
    return ask("correction.notice", agency, dossier_entity(dossier), occasion=occasion)


# ---- the rules in words

_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "rule-permit-unknown": (
            "本省没有向此人签发过该居住证",
            "this province issued no such permit to that person",
        ),
        "rule-identity-unproven": (
            "身份信息归户籍地：请在户籍县申请，或附材料摘要",
            "the household place owns the identity: file it in the household county, or name a paper by its digest",
        ),
        "rule-field-not-correctable": ("该项不能申请更正", "this field is not corrected by request"),
        "rule-same-value": ("记录已是所申请的内容", "the record says so already"),
        "rule-permit-ended": ("居住证已注销或已换发", "the permit was revoked or replaced"),
        "rule-household-not-left": ("户籍地不能是居住县", "the household is outside the county of residence"),
        "rule-residence-too-short": ("受理时居住未满半年", "half a year of residence was not reached at acceptance"),
        "rule-permit-dates": ("日期先后不符", "the days are out of order"),
        "rule-number-disagrees": (
            "与公民身份号码不符：请先更正号码",
            "the citizen number says otherwise: correct the number first",
        ),
        "rule-correction-id-used": ("申请编号已用于另一申请", "the id was used for another correction"),
        "rule-correction-office": (
            "只有签发县的服务大厅或公安机关可以答复更正、通知已更正",
            "only the issuing county's service hall or police answer a correction, or tell of one",
        ),
        "rule-correction-step": (
            "答复与先前的答复不符：每一步一个版本，办结后不再改变",
            "the answer contradicts the one before: each step is one version, and an end is final",
        ),
        "rule-correction-erased": ("所答复的更正申请已删除", "the correction that this answers was erased"),
        "rule-calendar-year-missing": ("日历缺少所需年份", "the calendar has no table for a year that is needed"),
    }
)


def rule_words(name: str) -> tuple[str, str] | None:
    return _WORDS.get(name)
