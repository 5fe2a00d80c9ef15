"""The residence permit (居住证) as the law has it, its stored bytes, and its projection on the wire.

Rules kept: every step returns a new value with the next version; a step that the law does not allow is an error that
names the article; late issue is no reason to refuse. `endorsement_open` and a suspension nobody recorded are derived,
never stored: where a permit or a copy stands on a day is said by `status_on` alone, and whoever asks is answered
`shown_permit`. The whole permit never leaves its node: a `PermitItem` holds the fields this recipient may have. The
realm guard holds for every birth date and citizen number; no error shows a value.
Sources: 居住证暂行条例 (State Council decree 663), articles 2, 4, 7, 9, 10, 11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, NamedTuple, NewType

from msgspec import Struct

from federation.domain.citizen_number import Sex, age_on, verify_birth_realm, verify_citizen_number
from federation.domain.clock import add_months
from federation.domain.division import code_today
from federation.domain.ethnic_groups import EthnicGroup
from federation.protocol.errors import CorruptError, MalformedError, RuleError
from federation.protocol.form import (
    Count,
    County,
    Item,
    JsonValue,
    Positive,
    Text,
    always,
    decode,
    decode_canonical,
    encode_canonical,
    from_object,
    names_of,
    replace,
    to_object,
)
from federation.protocol.ids import Realm, checked, matching

_URN_FORM: Final = "urn:permit:[0-9]{6}:[0-9]{4}:[0-9A-Z]{1,20}"

PermitUrn = NewType(
    "PermitUrn",
    Annotated[str, matching(_URN_FORM, form="a permit such as urn:permit:330822:2026:000123", reason="PERMIT_URN")],
)
"""The federation's name of one permit: `urn:permit:<division>:<yyyy>:<serial>`. The law gives permits no number."""

GUARDIAN_AGE: Final = 16
"""Below this age a guardian or near relative applies (article 9)."""

_MONTH: Final = timedelta(days=31)
"""No month is longer."""
_PREFIX: Final = "urn:permit:"
_URN: Final = re.compile(_URN_FORM)


class PermitStatus(StrEnum):
    """`endorsement_open` is derived: never stored, nor sent to another province; `revoked` is 注销."""

    VALID = "valid"
    ENDORSEMENT_OPEN = "endorsement_open"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    REPLACED = "replaced"


class Ground(StrEnum):
    """Lawful stable job, lawful stable dwelling, continuous study (article 2)."""

    JOB = "job"
    DWELLING = "dwelling"
    STUDY = "study"


class Paper(StrEnum):
    IDENTITY_CARD = "identity_card"
    PHOTO = "photo"
    RESIDENCE_PROOF = "residence_proof"
    GROUND_PROOF = "ground_proof"
    GUARDIAN_IDENTITY = "guardian_identity"


PAPER_NAMES: Final[Mapping[Paper, tuple[str, str]]] = MappingProxyType(
    {
        Paper.IDENTITY_CARD: ("居民身份证", "the identity card"),
        Paper.PHOTO: ("相片", "a photo"),
        Paper.RESIDENCE_PROOF: ("居住地住址证明", "a proof of the address"),
        Paper.GROUND_PROOF: ("就业、住所或就读证明", "a proof of job, dwelling or study"),
        Paper.GUARDIAN_IDENTITY: ("监护人身份证明", "the guardian's identity card"),
    }
)
"""The papers as article 9 names them."""


class RevokeReason(StrEnum):
    LEFT = "left"
    HOUSEHOLD_MOVED = "household_moved"
    DECEASED = "deceased"
    FRAUD = "fraud"
    OWN_REQUEST = "own_request"


class Holder(Item, frozen=True, kw_only=True, rename={"name": "holder_name"}):
    """The person on the card: the fields that article 4 lists, and the household place that owns the identity."""

    name: str
    sex: Sex
    ethnicity: EthnicGroup
    birth_date: date
    citizen_number: str
    photo_digest: str | None = None
    household_division: str
    household_address: str


HOLDER_FIELDS: Final = dict(zip(Holder.__struct_encode_fields__, Holder.__struct_fields__, strict=True))
"""The holder's fields by their names in a permit."""
_NEVER_EMPTY: Final = (
    *(name for name, field in HOLDER_FIELDS.items() if field != "photo_digest"), "residence_division",
    "residence_address", "issuer",
)  # fmt: skip


class PermitApplication(Struct, frozen=True, kw_only=True):
    """An application; empty fields and missing papers are refused all at once (article 9)."""

    holder: Holder
    residence_division: str
    residence_address: str
    work_division: str | None = None
    issuer: str
    ground: Ground
    residence_since: date
    apply_date: date
    accept_date: date
    papers: frozenset[Paper]
    guardian: bool = False
    sealed: bool = False


class Endorsement(Item, frozen=True, kw_only=True, rename={"endorsed_on": "on"}):
    """One endorsement (签注): its day, and the full year until which the card works. `late`: the years count anew."""

    endorsed_on: date
    until: date
    late: bool


class Permit(Item, frozen=True, kw_only=True):
    """One residence permit in one version.

    `counted_from` is the day from which the years of residence count, `endorsed_until` the date of the next full year:
    through that day the card works. `sealed` permits leave their node for nobody.
    """

    WHAT: ClassVar[str] = "stored permit"

    urn: PermitUrn
    version: Count
    status: PermitStatus
    holder: Holder
    residence_division: str
    residence_address: str
    work_division: str | None = None
    issuer: str
    ground: Ground
    residence_since: date
    apply_date: date
    accept_date: date
    issue_date: date
    counted_from: date
    endorsed_until: date
    endorsements: tuple[Endorsement, ...] = always(())
    revoke_reason: RevokeReason | None = None
    ended_on: date | None = None
    replaced_by: PermitUrn | None = None
    sealed: bool = always(False)
    guardian: bool = always(False)


def format_permit_urn(division: str, year: int, *, serial: str) -> PermitUrn:
    return parse_permit_urn(f"{_PREFIX}{division}:{year:04d}:{serial}")


def parse_permit_urn(text: str) -> PermitUrn:
    """Parses `urn:permit:<six digits>:<four digits>:<1 to 20 digits and capitals>`; refuses others (PERMIT_URN)."""
    if not _URN.fullmatch(text):
        raise MalformedError("PERMIT_URN", f"expected a permit such as urn:permit:330822:2026:000123, got {text!r:.60}")
    return PermitUrn(text)


def normalise_permit_urn(text: str) -> str:
    """Brings a permit's name into its one written form; what does not begin as one stays as it is.

    `urn` and `permit` are read in any case (RFC 8141 section 3.1). The rest tells cases apart unless its namespace says
    otherwise; ours does, since a serial has capitals only. Between nodes the written form alone is taken.
    """
    is_permit = text[: len(_PREFIX)].lower() == _PREFIX
    return _PREFIX + text[len(_PREFIX) :].upper() if is_permit else text


def urn_division(urn: PermitUrn) -> str:
    """The county that issued the permit, by its name; it stays when a county is renamed later."""
    return urn[11:17]


def register_permit(application: PermitApplication, urn: PermitUrn, *, today: date) -> Permit:
    """Issues a permit in version 1; the years count from the issue day.

    Refuses PAPERS_MISSING, GUARDIAN_REQUIRED (article 9), HOUSEHOLD_NOT_LEFT, RESIDENCE_TOO_SHORT (article 2), and
    PERMIT_DATES out of order: by the first, with all of them in words.
    """
    faults = list(find_faults(application, today=today))
    if faults:
        chinese, english = zip(*(fault.message.split(" | ") for fault in faults), strict=True)
        raise RuleError(faults[0].reason, f"{'；'.join(chinese)} | {'; '.join(english)}", **faults[0].facts)
    return Permit(
        urn=urn,
        version=1,
        status=PermitStatus.VALID,
        holder=application.holder,
        residence_division=application.residence_division,
        residence_address=application.residence_address,
        work_division=application.work_division,
        issuer=application.issuer,
        ground=application.ground,
        residence_since=application.residence_since,
        apply_date=application.apply_date,
        accept_date=application.accept_date,
        issue_date=today,
        counted_from=today,
        endorsed_until=add_months(today, 12),
        sealed=application.sealed,
        guardian=application.guardian,
    )


def verify_only_one(permit: Permit, others: Iterable[Permit | PermitItem]) -> None:
    """Refuses a second permit of one person in one county while the first runs (PERMIT_HELD), which it names.

    A suspended one runs: it is restored by a late endorsement, and none is issued beside it (article 10). In another
    county the person may hold one: who moves applies there (article 2).
    """
    for other in others:
        if not isinstance(other, Permit) or other.urn == permit.urn:
            continue  # a copy is of another province's county
        if is_running(other) and _held_by(other) == _held_by(permit):
            raise RuleError(
                "PERMIT_HELD",
                f"此人在本县已有居住证 {other.urn} | the person holds {other.urn} in this county already",
                urn=other.urn,
            )


def is_running(permit: Permit | PermitItem) -> bool:
    """Returns whether a permit is neither revoked nor replaced; a suspended one may be restored."""
    return permit.status not in {PermitStatus.REVOKED, PermitStatus.REPLACED}


def _held_by(permit: Permit) -> tuple[str, str]:
    return permit.holder.citizen_number, code_today(permit.residence_division)


def endorse_permit(permit: Permit, *, today: date) -> Permit:
    """Endorses (签注) for the next year; refuses ENDORSEMENT_TOO_EARLY, ENDORSEMENT_LATE, PERMIT_ENDED."""
    standing = status_on(permit, today)
    if standing is PermitStatus.VALID:
        opens = endorsement_opens(permit.endorsed_until)
        raise RuleError("ENDORSEMENT_TOO_EARLY", f"article 10: expected a day from {opens} on, got {today}")
    if standing is PermitStatus.SUSPENDED:
        raise RuleError("ENDORSEMENT_LATE", "article 10: the full year is over; a late endorsement restores the permit")
    _verify_running(permit)
    until = next_full_year(permit.counted_from, permit.endorsed_until)
    endorsement = Endorsement(endorsed_on=today, until=until, late=False)
    return replace(
        permit, version=permit.version + 1, endorsed_until=until, endorsements=(*permit.endorsements, endorsement)
    )


def suspend_permit(permit: Permit, *, today: date) -> Permit:
    """Records that the full year passed unendorsed; refuses ENDORSEMENT_NOT_LATE, PERMIT_SUSPENDED, PERMIT_ENDED."""
    _verify_running(permit)
    if permit.status is PermitStatus.SUSPENDED:
        raise RuleError("PERMIT_SUSPENDED", "article 10: the permit is suspended already")
    if today <= permit.endorsed_until:
        raise RuleError("ENDORSEMENT_NOT_LATE", f"article 10: endorsed until {permit.endorsed_until}, got {today}")
    return replace(permit, version=permit.version + 1, status=PermitStatus.SUSPENDED)


def restore_permit(permit: Permit, *, today: date) -> Permit:
    """Restores by a late endorsement, the years count anew; refuses PERMIT_NOT_SUSPENDED, PERMIT_ENDED."""
    _verify_running(permit)
    if status_on(permit, today) is not PermitStatus.SUSPENDED:
        raise RuleError("PERMIT_NOT_SUSPENDED", "article 10: only a suspended permit is restored")
    until = add_months(today, 12)
    return replace(
        permit,
        version=permit.version + 1,
        status=PermitStatus.VALID,
        counted_from=today,
        endorsed_until=until,
        endorsements=(*permit.endorsements, Endorsement(endorsed_on=today, until=until, late=True)),
    )


def revoke_permit(permit: Permit, reason: RevokeReason, *, today: date) -> Permit:
    """Revokes (注销) a permit for good; refuses one that was revoked or replaced (PERMIT_ENDED)."""
    _verify_running(permit)
    return replace(
        permit, version=permit.version + 1, status=PermitStatus.REVOKED, revoke_reason=reason, ended_on=today
    )


def status_on(permit: Permit | PermitItem, today: date) -> PermitStatus:
    """Returns where a permit or copy stands on a day (article 10): open in the last month, suspended after the year.

    A copy that does not say until when it is endorsed stands as its owner wrote it.
    """
    if permit.status is not PermitStatus.VALID or permit.endorsed_until is None:
        return permit.status
    if today > permit.endorsed_until:
        return PermitStatus.SUSPENDED
    if permit.endorsed_until - today > _MONTH:
        return PermitStatus.VALID
    return PermitStatus.ENDORSEMENT_OPEN if today >= endorsement_opens(permit.endorsed_until) else PermitStatus.VALID


def works_on(permit: Permit | PermitItem, today: date) -> bool:
    """Returns whether the card works on that day: endorsed, and neither suspended nor ended."""
    return status_on(permit, today) in {PermitStatus.VALID, PermitStatus.ENDORSEMENT_OPEN}


class StoredAs(NamedTuple):
    """Permits that are stored in that status, and, where days are given, endorsed from `since` to before `before`.

    With `since` alone, also those of which it is not known until when they are endorsed.
    """

    status: PermitStatus
    since: date | None = None
    before: date | None = None


def stored_as(standing: PermitStatus, today: date) -> tuple[StoredAs, ...]:
    """Returns how the permits that stand so on a day are stored: `status_on` the other way round, for a list."""
    opens_later = add_months(today, 1)  # the first day of the full year whose month has not begun
    while endorsement_opens(opens_later) <= today:
        opens_later += timedelta(days=1)
    valid = PermitStatus.VALID
    return {
        PermitStatus.VALID: (StoredAs(valid, since=opens_later),),
        PermitStatus.ENDORSEMENT_OPEN: (StoredAs(valid, since=today, before=opens_later),),
        PermitStatus.SUSPENDED: (StoredAs(PermitStatus.SUSPENDED), StoredAs(valid, before=today)),
    }.get(standing, (StoredAs(standing),))


def endorsement_opens(endorsed_until: date) -> date:
    """The first day of the month before the full year, in which the endorsement is done (article 10)."""
    return add_months(endorsed_until, -1)


def next_full_year(counted_from: date, endorsed_until: date) -> date:
    """The full year after `endorsed_until`, counted from the first day so that 29 February does not drift."""
    return add_months(counted_from, 12 * (endorsed_until.year - counted_from.year + 1))


def _verify_running(permit: Permit) -> None:
    if not is_running(permit):
        raise RuleError("PERMIT_ENDED", f"the permit is {permit.status}: no further step is possible")


def find_faults(application: PermitApplication, *, today: date) -> Iterator[RuleError]:
    """Finds all that the law does not allow of an application, in words."""
    own = application.holder
    holder = {name: getattr(own, field) for name, field in HOLDER_FIELDS.items()}
    rest = {each: getattr(application, each) for each in names_of(application) if each != "holder"}
    yield from find_faults_in(holder | rest, today=today)


def find_faults_in(given: Mapping[str, Any], *, today: date) -> Iterator[RuleError]:
    """Finds the same in so much of an application as is there: fields by name; nothing is judged by an absent one."""
    there = given.keys()
    needed = set(Paper) if given.get("guardian") else set(Paper) - {Paper.GUARDIAN_IDENTITY}
    papers = sorted(needed - given["papers"]) if {"papers", "guardian"} <= there else []
    empty = [name for name in _NEVER_EMPTY if name in there and not given[name]]
    if papers or empty:
        zh, en = zip(*[PAPER_NAMES[each] for each in papers], *((name, name) for name in empty), strict=True)
        sentence = f"第九条：还缺{'、'.join(zh)} | article 9: these are still missing: {', '.join(en)}"
        yield RuleError("PAPERS_MISSING", sentence, missing=", ".join([*papers, *empty]))
    is_alone = {"birth_date", "apply_date", "guardian"} <= there and not given["guardian"]
    if is_alone and age_on(given["birth_date"], given["apply_date"]) < GUARDIAN_AGE:
        sentence = "第九条：未满16周岁，由监护人或近亲属代办 | article 9: under 16 a guardian or relative applies"
        yield RuleError("GUARDIAN_REQUIRED", sentence)
    household = given.get("household_division")
    if household is not None and household == given.get("residence_division"):
        sentence = "第二条：户籍地应在居住县以外 | article 2: expected a household outside the county of residence"
        yield RuleError("HOUSEHOLD_NOT_LEFT", sentence)
    day = given.get("accept_date")
    if day is not None and "residence_since" in there and add_months(given["residence_since"], 6) > day:
        sentence = f"第二条：至受理日{day}居住不满半年 | article 2: expected half a year of residence on {day}"
        yield RuleError("RESIDENCE_TOO_SHORT", sentence)
    if day is not None and "apply_date" in there and not given["apply_date"] <= day <= today:
        sentence = "申请、受理、签发日期应依次 | expected application, acceptance and issue in this order"
        yield RuleError("PERMIT_DATES", sentence)


# ---- the stored permit


def permit_object(permit: Permit) -> dict[str, JsonValue]:
    """The permit as stored: every field it has, those of its holder beside its own."""
    value = to_object(permit)
    del value["holder"]
    return value | to_object(permit.holder)


def permit_of(value: Mapping[str, JsonValue]) -> Permit:
    """Returns the permit that `permit_object` gave; refuses as `from_object`."""
    holder = {name: value[name] for name in Holder.__struct_encode_fields__ if name in value}
    return from_object(Permit, {"holder": holder} | {name: value[name] for name in value if name not in holder})


def encode_permit(permit: Permit) -> bytes:
    return encode_canonical(permit_object(permit))


def decode_permit(encoded: bytes) -> Permit:
    """Decodes a stored permit; anything else is corrupt (CorruptError PERMIT_RECORD)."""
    try:
        return permit_of(decode_canonical(encoded, what=Permit.WHAT))
    except MalformedError as error:
        raise CorruptError("PERMIT_RECORD", "a stored permit cannot be read back") from error


# ---- the permit on the wire

ALWAYS_FIELDS: Final = frozenset({"urn", "version", "status", "residence_division"})
"""What every item holds: without these no replica can be kept."""

MAX_ITEM_BYTES: Final = 4096

_STORED: Final = tuple(status for status in PermitStatus if status is not PermitStatus.ENDORSEMENT_OPEN)


class PermitItem(Item, frozen=True, kw_only=True):
    """A projection of one permit version; a field that was not projected, or that the permit lacks, is None."""

    WHAT: ClassVar[str] = "permit item"
    REASON: ClassVar[str] = "PERMIT_VALUE"
    TYPE_REASON: ClassVar[str] = "PERMIT_VALUE"
    MISSING_REASON: ClassVar[str] = "PERMIT_FIELD"
    UNKNOWN_REASON: ClassVar[str] = "PERMIT_FIELD"

    urn: PermitUrn
    version: Positive
    status: Annotated[PermitStatus, checked(_STORED.__contains__, form=f"one of {', '.join(_STORED)}")]
    residence_division: County
    issuer: Text | None = None
    residence_address: Text | None = None
    household_division: County | None = None
    household_address: Text | None = None
    holder_name: Text | None = None
    sex: Sex | None = None
    ethnicity: Text | None = None
    birth_date: date | None = None
    citizen_number: Text | None = None
    photo_digest: Annotated[str, matching("[0-9a-f]{64}", form="64 lower-case hex digits")] | None = None
    ground: Ground | None = None
    residence_since: date | None = None
    issue_date: date | None = None
    counted_from: date | None = None
    endorsed_until: date | None = None
    work_division: County | None = None

    def __repr__(self) -> str:
        return f"PermitItem({self.urn}, version={self.version})"


PERMIT_FIELDS: Final = PermitItem.__struct_fields__

_KNOWN: Final = frozenset(PERMIT_FIELDS)


def project_permit(permit: Permit, fields: frozenset[str]) -> PermitItem:
    """Projects a permit onto the fields and the four always there; refuses an unknown name (PERMIT_FIELD)."""
    if not fields <= _KNOWN:
        raise MalformedError("PERMIT_FIELD", f"no such field of a permit: {min(fields - _KNOWN)!r:.60}")
    holder = permit.holder
    found: dict[str, Any] = {
        name: getattr(holder, HOLDER_FIELDS[name]) if name in HOLDER_FIELDS else getattr(permit, name)
        for name in fields | ALWAYS_FIELDS
    }
    return PermitItem(**found)


def shown_permit(permit: Permit | PermitItem, fields: frozenset[str], *, today: date) -> PermitItem:
    """Returns the released fields of a permit or copy with its status of the day: what anybody who asks is answered."""
    kept = project_permit(permit, fields) if isinstance(permit, Permit) else keep_fields(permit, fields)
    return replace(kept, status=status_on(permit, today))


def keep_fields(item: PermitItem, fields: frozenset[str]) -> PermitItem:
    """Drops every field of a copy that is not among the given ones; the four that are always there stay."""
    kept = {name: getattr(item, name) for name in PERMIT_FIELDS if name in fields or name in ALWAYS_FIELDS}
    return PermitItem(**kept)


def decode_permit_item(encoded: bytes, realm: Realm) -> PermitItem:
    """Decodes another province's item; refuses ITEM_TOO_LONG, JSON_*, PERMIT_*, and numbers of another realm."""
    if len(encoded) > MAX_ITEM_BYTES:
        raise MalformedError(
            "ITEM_TOO_LONG", f"permit item: expected at most {MAX_ITEM_BYTES} bytes, got {len(encoded)}"
        )
    item = decode(PermitItem, encoded)
    if item.birth_date is not None:
        verify_birth_realm(item.birth_date, realm)
    if item.citizen_number is not None:
        verify_citizen_number(item.citizen_number, realm)
    return item
