"""Mutual recognition of residence permits (居住证双向互认): what a permit of the other side is worth here.

Two modes, and the agreement says which are in force. `card`: the other side's valid permit opens the listed
services as it stands. `time`: residence registered on the other side counts toward the half-year of article 2.
Recognition is a pure function of the replica, the day, the mode and the agreed rules; it never edits the replica.
Rules kept: a refusal is a value with a reason; what the home node did not send is an error (ask for it), not a
refusal. Sources: 居住证暂行条例 articles 2, 7, 10, 12, 13; the recognition states of the programme.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.permit import PermitStatus, PermitUrn, derive_status, parse_permit_urn, urn_division
from federation.domain.permit_item import PermitItem
from federation.domain.rules.calendar import add_months
from federation.protocol.canonical_json import decode_canonical, encode_canonical, expect_names, read_text
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import AgencyId, Realm, parse_agency_id


class RecognitionMode(StrEnum):
    """What is recognised: the card as it stands, or the time of residence behind it."""

    CARD = "card"
    TIME = "time"


class RecognitionOutcome(StrEnum):
    """What came of it."""

    RECOGNISED_FULL = "recognised_full"
    RECOGNISED_PART = "recognised_part"
    REFUSED = "refused"


class RecognitionReason(StrEnum):
    """Why it came to that."""

    CARD_VALID = "card_valid"
    SERVICES_LIMITED = "services_limited"
    HALF_YEAR_REACHED = "half_year_reached"
    TIME_CREDITED = "time_credited"
    MODE_NOT_AGREED = "mode_not_agreed"
    NO_SERVICES_AGREED = "no_services_agreed"
    NOT_YET_ISSUED = "not_yet_issued"
    NO_TIME = "no_time"
    PERMIT_SUSPENDED = "permit_suspended"
    PERMIT_REVOKED = "permit_revoked"
    PERMIT_REPLACED = "permit_replaced"


class Entitlement(StrEnum):
    """The six services of article 12 and the seven conveniences of article 13."""

    EDUCATION = "service.education"
    EMPLOYMENT = "service.employment"
    HEALTH = "service.health"
    CULTURE = "service.culture"
    LEGAL_AID = "service.legal_aid"
    OTHER_SERVICE = "service.other"
    EXIT_ENTRY = "convenience.exit_entry"
    IDENTITY_CARD = "convenience.identity_card"
    VEHICLE_REGISTRATION = "convenience.vehicle_registration"
    DRIVING_LICENCE = "convenience.driving_licence"
    VOCATIONAL = "convenience.vocational"
    BIRTH_SERVICE = "convenience.birth_service"
    OTHER_CONVENIENCE = "convenience.other"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionRules:
    """What the agreement grants. `suspended_counts`: whether days of a running suspension count in `time` mode."""

    modes: frozenset[RecognitionMode]
    services: frozenset[Entitlement]
    suspended_counts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """What was decided, why, which services it opens (`card`), and how many days of residence it counts (`time`)."""

    outcome: RecognitionOutcome
    reason: RecognitionReason
    services: tuple[Entitlement, ...] = ()
    counted_days: int = 0


def decide_recognition(item: PermitItem, mode: RecognitionMode, *, rules: RecognitionRules, today: date) -> Recognition:
    """Decides what a replica of the other side's permit is worth on a day.

    Raises:
        RuleError: RECOGNITION_FIELDS_MISSING, naming every field that the home node has to send first.
    """
    if mode not in rules.modes:
        return _refused(RecognitionReason.MODE_NOT_AGREED)
    ended = _ENDED.get(item.status)
    if ended is not None:
        return _refused(ended)
    issue_date, endorsed_until, counted_from = _needed(item, mode)
    if issue_date > today:
        return _refused(RecognitionReason.NOT_YET_ISSUED)
    standing = derive_status(item.status, endorsed_until, today=today)
    if mode is RecognitionMode.CARD:
        return _recognise_card(standing, rules)
    end = today
    if standing is PermitStatus.SUSPENDED and not rules.suspended_counts:
        end = min(today, endorsed_until)
    return _recognise_time(counted_from, end)


def _recognise_card(standing: PermitStatus, rules: RecognitionRules) -> Recognition:
    if standing is PermitStatus.SUSPENDED:
        return _refused(RecognitionReason.PERMIT_SUSPENDED)
    if not rules.services:
        return _refused(RecognitionReason.NO_SERVICES_AGREED)
    full = rules.services == frozenset(Entitlement)
    return Recognition(
        outcome=RecognitionOutcome.RECOGNISED_FULL if full else RecognitionOutcome.RECOGNISED_PART,
        reason=RecognitionReason.CARD_VALID if full else RecognitionReason.SERVICES_LIMITED,
        services=tuple(sorted(rules.services)),
    )


def _recognise_time(counted_from: date, end: date) -> Recognition:
    days = (end - counted_from).days
    if days <= 0:
        return _refused(RecognitionReason.NO_TIME)
    full = add_months(counted_from, 6) <= end
    return Recognition(
        outcome=RecognitionOutcome.RECOGNISED_FULL if full else RecognitionOutcome.RECOGNISED_PART,
        reason=RecognitionReason.HALF_YEAR_REACHED if full else RecognitionReason.TIME_CREDITED,
        counted_days=days,
    )


def _needed(item: PermitItem, mode: RecognitionMode) -> tuple[date, date, date]:
    time = mode is RecognitionMode.TIME
    fields = {
        "issuer": item.issuer,
        "issue_date": item.issue_date,
        "endorsed_until": item.endorsed_until,
        "ground": item.ground if time else "",
        "counted_from": item.counted_from if time else "",
    }
    missing = ", ".join(name for name, value in fields.items() if value is None)
    if item.issue_date is None or item.endorsed_until is None or missing:
        raise RuleError(
            "RECOGNITION_FIELDS_MISSING", f"mode {mode}: the home node has to send {missing} first", missing=missing
        )
    return item.issue_date, item.endorsed_until, item.counted_from or item.issue_date


def _refused(reason: RecognitionReason) -> Recognition:
    return Recognition(outcome=RecognitionOutcome.REFUSED, reason=reason)


_ENDED: Final = {
    PermitStatus.REVOKED: RecognitionReason.PERMIT_REVOKED,
    PermitStatus.REPLACED: RecognitionReason.PERMIT_REPLACED,
}


class RecognitionStep(StrEnum):
    """How far one recognition has come at the window."""

    RECEIVED = "received"
    IDENTITY_CHECKED = "identity_checked"
    ASKED_HOME = "asked_home"
    WAITING_HOME = "waiting_home"
    ANSWERED = "answered"
    CONDITIONS_CHECKED = "conditions_checked"
    REFUSED = "refused"
    RECOGNISED_FULL = "recognised_full"
    RECOGNISED_PART = "recognised_part"
    ISSUED = "issued"
    LINKED = "linked"
    REMINDER_SET = "reminder_set"


_RECOGNISED: Final = frozenset({RecognitionStep.ISSUED, RecognitionStep.LINKED})

NEXT_STEPS: Final[Mapping[RecognitionStep, frozenset[RecognitionStep]]] = MappingProxyType(
    {
        RecognitionStep.RECEIVED: frozenset({RecognitionStep.IDENTITY_CHECKED}),
        RecognitionStep.IDENTITY_CHECKED: frozenset({RecognitionStep.ASKED_HOME}),
        RecognitionStep.ASKED_HOME: frozenset({RecognitionStep.ANSWERED, RecognitionStep.WAITING_HOME}),
        RecognitionStep.WAITING_HOME: frozenset({RecognitionStep.ANSWERED}),
        RecognitionStep.ANSWERED: frozenset({RecognitionStep.CONDITIONS_CHECKED}),
        RecognitionStep.CONDITIONS_CHECKED: frozenset(
            {RecognitionStep.REFUSED, RecognitionStep.RECOGNISED_FULL, RecognitionStep.RECOGNISED_PART}
        ),
        RecognitionStep.REFUSED: frozenset(),
        RecognitionStep.RECOGNISED_FULL: _RECOGNISED,
        RecognitionStep.RECOGNISED_PART: _RECOGNISED,
        RecognitionStep.ISSUED: frozenset({RecognitionStep.LINKED}),
        RecognitionStep.LINKED: frozenset({RecognitionStep.REMINDER_SET}),
        RecognitionStep.REMINDER_SET: frozenset(),
    }
)
"""Which step may follow which; an own permit is issued in `time` mode only."""


def verify_next_step(current: RecognitionStep, following: RecognitionStep, *, mode: RecognitionMode) -> RecognitionStep:
    """Returns the following step when it may be taken now.

    Raises:
        RuleError: RECOGNITION_STEP.
    """
    allowed = NEXT_STEPS[current]
    if mode is RecognitionMode.CARD:
        allowed -= {RecognitionStep.ISSUED}
    if following not in allowed:
        expected = ", ".join(sorted(allowed)) or "no further step"
        raise RuleError("RECOGNITION_STEP", f"after {current} expected {expected}, got {following}")
    return following


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionItem:
    """What the source node is told, keyed on holder, issuing county and issue date: both sides show the link."""

    urn: PermitUrn
    citizen_number: str
    issue_date: date
    mode: RecognitionMode
    outcome: RecognitionOutcome
    reason: RecognitionReason
    agency: AgencyId
    decided_on: date

    @property
    def issuing_division(self) -> str:
        """The county that issued the permit; it is part of the permit's name and so cannot contradict it."""
        return urn_division(self.urn)

    def __repr__(self) -> str:
        """Hides the person, so that a log line or a traceback names nobody."""
        return f"RecognitionItem({self.urn}, {self.mode}, {self.outcome})"


_WHAT: Final = "recognition item"
_NAMES: Final = frozenset(
    {"urn", "citizen_number", "issuing_division", "issue_date", "mode", "outcome", "reason", "agency", "decided_on"}
)


def encode_recognition_item(item: RecognitionItem) -> bytes:
    """Encodes an item into its one canonical form."""
    return encode_canonical(
        {
            "urn": item.urn,
            "citizen_number": item.citizen_number,
            "issuing_division": item.issuing_division,
            "issue_date": item.issue_date.isoformat(),
            "mode": item.mode,
            "outcome": item.outcome,
            "reason": item.reason,
            "agency": str(item.agency),
            "decided_on": item.decided_on.isoformat(),
        }
    )


def decode_recognition_item(encoded: bytes, realm: Realm) -> RecognitionItem:
    """Decodes an item that came from another province.

    Raises:
        MalformedError: JSON_* for the form; PERMIT_URN; AGENCY_ID; RECOGNITION_VALUE for a date, an issuing county that
            is not that of the permit, or a word outside the lists; CITIZEN_NUMBER_* and REAL_NUMBER_IN_DEMO.
    """
    value = decode_canonical(encoded, what=_WHAT)
    expect_names(value, _NAMES, what=_WHAT)
    text = {name: read_text(value, name, what=_WHAT) for name in _NAMES}
    urn = parse_permit_urn(text["urn"])
    if text["issuing_division"] != urn_division(urn):
        raise MalformedError("RECOGNITION_VALUE", f"{_WHAT}: expected the issuing county of {urn}")
    verify_citizen_number(text["citizen_number"], realm)
    try:
        return RecognitionItem(
            urn=urn,
            citizen_number=text["citizen_number"],
            issue_date=_parse_date(text["issue_date"]),
            mode=RecognitionMode(text["mode"]),
            outcome=RecognitionOutcome(text["outcome"]),
            reason=RecognitionReason(text["reason"]),
            agency=parse_agency_id(text["agency"]),
            decided_on=_parse_date(text["decided_on"]),
        )
    except ValueError as error:
        raise MalformedError("RECOGNITION_VALUE", f"{_WHAT}: a word or date is of another form") from error


def _parse_date(text: str) -> date:
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise MalformedError("RECOGNITION_VALUE", f"{_WHAT}: expected a date such as 2026-01-01")
    return day
