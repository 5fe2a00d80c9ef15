"""Mutual recognition of residence permits (居住证双向互认): what a permit of the other side is worth here.

The agreement says which modes are in force. `card`: the valid permit opens the listed services. `time`: residence on
the other side counts toward the half-year of article 2. A pure function of replica, day, mode and rules. A refusal is
a value with a reason; what the home node did not send is an error (ask for it). Sources: 居住证暂行条例 articles 2, 7,
10, 12, 13; the recognition states of the programme.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import ClassVar, Final

from msgspec import Struct

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.clock import add_months
from federation.domain.permits import PermitItem, PermitStatus, PermitUrn, status_on, urn_division
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Item, decode
from federation.protocol.ids import AgencyId, Realm


class RecognitionMode(StrEnum):
    """The card as it stands is recognised, or the time of residence behind it."""

    CARD = "card"
    TIME = "time"


class RecognitionOutcome(StrEnum):
    RECOGNISED_FULL = "recognised_full"
    RECOGNISED_PART = "recognised_part"
    REFUSED = "refused"


class Confirmation(StrEnum):
    """The word of a permit's owner about an outcome that it was told: none yet, the same, or that it has another."""

    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"


class RecognitionReason(StrEnum):
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


class RecognitionRules(Struct, frozen=True, kw_only=True):
    """The agreement's grant. With `suspended_counts`, days of a running suspension count in `time` mode."""

    modes: frozenset[RecognitionMode]
    services: frozenset[Entitlement]
    suspended_counts: bool = False


class Recognition(Struct, frozen=True, kw_only=True):
    """A decision with its reason, the services it opens (`card`) and the days of residence it counts (`time`)."""

    outcome: RecognitionOutcome
    reason: RecognitionReason
    services: tuple[Entitlement, ...] = ()
    counted_days: int = 0


def decide_recognition(item: PermitItem, mode: RecognitionMode, *, rules: RecognitionRules, today: date) -> Recognition:
    """Decides what the other side's permit is worth on a day; RECOGNITION_FIELDS_MISSING names what is not sent yet."""
    if mode not in rules.modes:
        return _refused(RecognitionReason.MODE_NOT_AGREED)
    ended = _ENDED.get(item.status)
    if ended is not None:
        return _refused(ended)
    issue_date, endorsed_until, counted_from = _needed(item, mode)
    if issue_date > today:
        return _refused(RecognitionReason.NOT_YET_ISSUED)
    standing = status_on(item, today)
    if mode is RecognitionMode.CARD:
        return _recognise_card(standing, rules)
    end = today
    if standing is PermitStatus.SUSPENDED and not rules.suspended_counts:
        end = min(today, endorsed_until)
    return _recognise_time(counted_from, end)


def agreed_rules(modes: Iterable[str]) -> RecognitionRules:
    """The rules of an agreement with these modes: it grants all that articles 12 and 13 list, as a whole."""
    return RecognitionRules(modes=frozenset(map(RecognitionMode, modes)), services=frozenset(Entitlement))


def differs_from(notified: RecognitionItem, item: PermitItem, *, rules: RecognitionRules, today: date) -> bool:
    """Returns whether a permit as it is now would be refused where it was recognised, or the other way round.

    What cannot be decided by what is known of it does not differ.
    """
    try:
        found = decide_recognition(item, notified.mode, rules=rules, today=today)
    except RuleError:
        return False
    return (found.outcome is RecognitionOutcome.REFUSED) is not (notified.outcome is RecognitionOutcome.REFUSED)


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


class RecognitionItem(Item, frozen=True, kw_only=True):
    """The notice to the source node, by holder, issuing county (as in the permit's name) and issue date."""

    WHAT: ClassVar[str] = "recognition item"
    REASON: ClassVar[str] = "RECOGNITION_VALUE"

    urn: PermitUrn
    citizen_number: str
    issuing_division: str
    issue_date: date
    mode: RecognitionMode
    outcome: RecognitionOutcome
    reason: RecognitionReason
    agency: AgencyId
    decided_on: date

    def __repr__(self) -> str:
        return f"RecognitionItem({self.urn}, {self.mode}, {self.outcome})"


def decode_recognition_item(encoded: bytes, realm: Realm) -> RecognitionItem:
    """Decodes another province's item; refuses JSON_*, PERMIT_URN, RECOGNITION_VALUE, as its number."""
    item = decode(RecognitionItem, encoded)
    if item.issuing_division != urn_division(item.urn):
        raise MalformedError("RECOGNITION_VALUE", f"{item.WHAT}: expected the issuing county of {item.urn}")
    verify_citizen_number(item.citizen_number, realm)
    return item
