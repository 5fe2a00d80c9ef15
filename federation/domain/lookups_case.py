"""The case that a look-up is bound to, and how much one officer and one case may ask.

Nobody is looked up without an open case; it has a term of at most 90 days, is never extended, and closes for good.
What is counted includes the look-up being decided; the leader's countersignature lifts the number of persons, two
persons' signatures the number of look-ups, nobody the limit above; who signs has not asked in the case. Sources:
公安机关办理刑事案件程序规定 (办案协作); misuse controls M2, M4 and M9.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from msgspec import Struct

from federation.domain.division import province_of
from federation.domain.permits_policy import AgencyFacts, FunctionCode, Occasion, ask, county_ref
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Count, Item, JsonValue, Time, decode, encode_canonical, replace
from federation.protocol.ids import AgencyId, NodeName, matching, truncate_to_millisecond
from federation.protocol.policy.engine import Attributes, Entity, EntityRef, PolicyRequest, PolicyValue

CASE_BODY: Final = "application/vnd.bridgehead.lookup-case.v1+json"
MAX_CASE_DAYS: Final = 90
BREAK_GLASS_PREFIX: Final = "BREAK-GLASS-"
"""How the number of a case begins that has no cooperation letter."""
NO_LETTER: Final = "BREAK-GLASS"
"""What stands in the place of the letter's number in such a case, and in no other."""
BREAK_GLASS_TIME: Final = timedelta(hours=2)
"""The longest term of such a case; the answering side holds the asker to it."""
MAX_NAMES: Final = 50
_KNOWN_CASES: Final = 1024
"""Decoded cases kept: every search and every fetch reads its own again, on both sides."""
_CASE_ID_FORM: Final = "[A-Z0-9][A-Z0-9-]{3,39}"
_JOINT_CODE: Final = re.compile(r"[0-9]{17}", re.ASCII)
_AS_ON_PAPER: Final = str.maketrans(
    "\u3014\u3015\u3010\u3011[]\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "()()()-------"
)
_CASE_ID: Final = re.compile(_CASE_ID_FORM, re.ASCII)
_COUNTY: Final = re.compile(r"[0-9]{6}", re.ASCII)
_PURPOSE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,62}", re.ASCII)
_PSEUDONYM: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
CaseId = Annotated[str, matching(_CASE_ID_FORM, form="a case such as 'YS-2026-0042'", reason="CASE_ID")]


class CaseTerms(Struct, frozen=True, kw_only=True):
    """The terms of a new case: `letter` is the cooperation letter's number, `days` its term."""

    letter: str = ""
    counties: frozenset[str]
    purposes: frozenset[str]
    days: int = 0
    leader: str


class LookupCase(Item, frozen=True, kw_only=True):
    """One case in one version: 1 as opened, 2 as closed. It runs from `opens` on and before `closes`."""

    WHAT: ClassVar[str] = "look-up case"

    case_id: CaseId
    opened_by: AgencyId
    letter: str
    counties: frozenset[str]
    purposes: frozenset[str]
    opens: Time
    closes: Time
    closed: bool
    leader: str
    version: Count


def open_case(case_id: str, terms: CaseTerms, *, opened_by: AgencyId, now: datetime) -> LookupCase:
    """Opens a case that runs from now on; refuses CASE_ID, and CASE_* for a term, county or text it may not have."""
    if not 1 <= terms.days <= MAX_CASE_DAYS:
        raise RuleError("CASE_TERM", f"expected a term of 1 to {MAX_CASE_DAYS} days, got {terms.days}")
    opens = truncate_to_millisecond(now)
    case = LookupCase(
        case_id=parse_case_id(case_id),
        opened_by=opened_by,
        letter=terms.letter,
        counties=terms.counties,
        purposes=terms.purposes,
        opens=opens,
        closes=opens + timedelta(days=terms.days),
        closed=False,
        leader=terms.leader,
        version=1,
    )
    _verify_forms(case)
    case_provinces(case)
    return case


def close_case(case: LookupCase, now: datetime) -> LookupCase:
    """Closes a case now, or when its term ended if that was first; refuses a closed one (CASE_CLOSED)."""
    if case.closed:
        raise RuleError("CASE_CLOSED", f"case {case.case_id} is closed already; open a new case")
    end = max(case.opens, min(case.closes, truncate_to_millisecond(now)))
    return replace(case, closed=True, closes=end, version=case.version + 1)


def is_open(case: LookupCase, now: datetime) -> bool:
    return not case.closed and case.opens <= now < case.closes


def lookup_occasion(
    occasion: Occasion,
    case: LookupCase | None,
    *,
    asker: AgencyId,
    now: datetime,
    division: str | None = None,
    urgency: str = "routine",
) -> LookupOccasion:
    """Returns the occasion with what a node knows of the asker's case, open for the agency that opened it alone."""
    own = case if case is not None and case.opened_by == asker else None
    counties = {asker.county} if division is None else {asker.county, division}
    return LookupOccasion(
        purpose=occasion.purpose,
        function=occasion.function,
        realm=occasion.realm,
        node_realm=occasion.node_realm,
        case_open=own is not None and is_open(own, now),
        purpose_in_case=own is not None and occasion.purpose in own.purposes,
        county_in_case=own is not None and counties <= own.counties,
        urgency=urgency,
    )


def verify_case_follows(known: LookupCase | None, received: LookupCase) -> LookupCase:
    """Returns a version that may follow: opened, then closed, nothing else changed, or the same; else CASE_STEP."""
    if known is None:
        if received.version != 1 or received.closed:
            raise RuleError("CASE_STEP", f"case {received.case_id}: expected it to be opened first")
        return received
    closing = replace(known, closed=True, closes=received.closes, version=known.version + 1)
    closes_known = not known.closed and received == closing and received.closes <= known.closes
    if received != known and not closes_known:
        raise RuleError("CASE_STEP", f"case {received.case_id}: expected it closed and otherwise as it was opened")
    return received


def case_provinces(case: LookupCase) -> frozenset[NodeName]:
    """Returns the nodes to tell and ask: those of the case's counties; refuses CASE_COUNTY_UNKNOWN."""
    found = {county: province_of(county) for county in case.counties}
    unknown = sorted(county for county, node in found.items() if node is None)
    if unknown:
        raise RuleError("CASE_COUNTY_UNKNOWN", f"expected a county of a member province, got {unknown[0]}")
    return frozenset(node for node in found.values() if node is not None)


def parse_case_id(text: str) -> str:
    if not _CASE_ID.fullmatch(text):
        raise MalformedError("CASE_ID", f"expected a case such as 'YS-2026-0042', got {text!r:.60}")
    return text


def is_joint_code(case_id: str) -> bool:
    """True for the code of a joint case: no look-up case that is opened by letter has such a number."""
    return bool(_JOINT_CODE.fullmatch(case_id))


def is_break_glass(case_id: str) -> bool:
    return case_id.startswith(BREAK_GLASS_PREFIX)


@lru_cache(maxsize=_KNOWN_CASES)
def decode_case(encoded: bytes) -> LookupCase:
    """Decodes a case of another province; refuses JSON_*, AGENCY_ID, TIME, and CASE_* as `open_case`."""
    case = decode(LookupCase, encoded)
    _verify_forms(case)
    _verify_term(case)
    return case


def _verify_forms(case: LookupCase) -> None:
    if not 1 <= len(case.letter) <= 100 or not case.letter.isprintable():
        raise MalformedError("CASE_LETTER", "expected the letter's number, 1 to 100 printable characters")
    if is_break_glass(case.case_id) != (case.letter == NO_LETTER):
        raise MalformedError("CASE_LETTER", f"expected {NO_LETTER} in a case {BREAK_GLASS_PREFIX}... and in no other")
    _verify_names(case.counties, _COUNTY, "CASE_COUNTY", "counties of six digits")
    _verify_names(case.purposes, _PURPOSE, "CASE_PURPOSE", "purposes such as lookup.missing_person")
    if not _PSEUDONYM.fullmatch(case.leader):
        raise MalformedError("CASE_LEADER", "expected the leader's pseudonym, 1 to 64 letters, digits, - and _")


def _verify_names(names: frozenset[str], form: re.Pattern[str], reason: str, said: str) -> None:
    if not 1 <= len(names) <= MAX_NAMES or not all(form.fullmatch(name) for name in names):
        raise MalformedError(reason, f"expected 1 to {MAX_NAMES} {said}")


def _verify_term(case: LookupCase) -> None:
    if case.version != (2 if case.closed else 1):
        raise MalformedError("CASE_VERSION", f"expected version 1 as opened or 2 as closed, got {case.version}")
    days = case.closes - case.opens
    if days > timedelta(days=MAX_CASE_DAYS) or days < timedelta(0) or (not days and not case.closed):
        raise RuleError(
            "CASE_TERM", f"expected case {case.case_id} to end after it begins, within {MAX_CASE_DAYS} days"
        )
    if is_break_glass(case.case_id) and days > BREAK_GLASS_TIME:
        raise RuleError("CASE_TERM", f"expected {case.case_id}, which has no letter, to end within {BREAK_GLASS_TIME}")


# ---- limits


class Quotas(Struct, frozen=True, kw_only=True):
    """Limits of look-ups, persons and cases; `per_case_bulk` holds where two persons signed, and for everybody."""

    per_officer_day: int = 50
    per_desk_day: int = 200
    per_office_day: int = 1000
    cases_per_office_day: int = 20
    per_case: int = 30
    persons_per_case: int = 10
    per_case_bulk: int = 300


class LookupCounts(Struct, frozen=True, kw_only=True):
    """The counts with this look-up included: by the officer today, in the case, different persons in the case.

    And by the desk (a certificate) and the office today, whoever sat there.
    """

    officer_today: int
    case_total: int
    case_persons: int
    desk_today: int = 0
    office_today: int = 0


class BulkRelease(Struct, frozen=True, kw_only=True):
    """The signers, in order, of more look-ups in a case than its quota; complete with two persons."""

    case_id: str
    agency: AgencyId
    signers: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return len(self.signers) == 2


def verify_quota(counts: LookupCounts, quotas: Quotas, *, countersigned: bool, bulk: bool = False) -> None:
    """Refuses one look-up too many, itself counted (QUOTA_ + OFFICER, DESK, OFFICE, CASE_LIMIT, CASE, PERSONS)."""
    if counts.officer_today > quotas.per_officer_day:
        raise RuleError(
            "QUOTA_OFFICER",
            f"expected at most {quotas.per_officer_day} look-ups of one officer a day, this is number "
            f"{counts.officer_today}; go on tomorrow, or another officer of the case asks",
        )
    if counts.desk_today > quotas.per_desk_day:
        raise RuleError(
            "QUOTA_DESK",
            f"expected at most {quotas.per_desk_day} look-ups of one certificate a day, this is number "
            f"{counts.desk_today}; go on tomorrow",
        )
    if counts.office_today > quotas.per_office_day:
        raise RuleError(
            "QUOTA_OFFICE",
            f"expected at most {quotas.per_office_day} look-ups of one office a day, this is number "
            f"{counts.office_today}; go on tomorrow",
        )
    if counts.case_total > quotas.per_case_bulk:
        raise RuleError(
            "QUOTA_CASE_LIMIT",
            f"expected at most {quotas.per_case_bulk} look-ups in one case whoever signs, this is number "
            f"{counts.case_total}; close the case and open another one under a new cooperation letter",
        )
    if counts.case_total > quotas.per_case and not bulk:
        raise RuleError(
            "QUOTA_CASE",
            f"expected at most {quotas.per_case} look-ups in one case, this is number {counts.case_total}; two persons "
            "sign for more: the case leader and a second officer, neither of whom asks in the case",
        )
    if counts.case_persons > quotas.persons_per_case and not (countersigned or bulk):
        raise RuleError(
            "QUOTA_PERSONS",
            f"expected at most {quotas.persons_per_case} persons in one case, this is number {counts.case_persons}; "
            "ask the case leader to countersign",
        )


def verify_case_quota(opened_today: int, quotas: Quotas) -> None:
    """Refuses one case of an office too many on one day, itself counted (QUOTA_CASES)."""
    if opened_today > quotas.cases_per_office_day:
        raise RuleError(
            "QUOTA_CASES",
            f"expected at most {quotas.cases_per_office_day} cases of one office a day, this is number {opened_today}",
        )


def verify_opener(case: LookupCase, officer: str) -> None:
    """Refuses to open a case with a letter in another's name than the leader's, who signs what they open."""
    if not is_break_glass(case.case_id) and officer != case.leader:
        raise RuleError(
            "CASE_OPENER", f"expected the leader {case.leader} to open case {case.case_id}, by their own key"
        )


def verify_closer(case: LookupCase, officer: str, *, glass_by: str | None) -> None:
    """Refuses to close a case for anybody but its leader, or the officer who broke the glass for it."""
    if officer not in (case.leader, glass_by):
        raise RuleError("CASE_CLOSER", f"expected the leader {case.leader} of case {case.case_id} to close it")


def letter_name(letter: str) -> str:
    """A letter's number as it is told from another: without spaces, width, case, kinds of brackets and dashes.

    So one letter is one case, however it was copied from the paper.
    """
    return "".join(unicodedata.normalize("NFKC", letter).split()).casefold().translate(_AS_ON_PAPER)


def step_bytes(step: str, agency: AgencyId, **facts: JsonValue) -> bytes:
    """The exact bytes that an officer's own key signs for a step: its name, the agency, and the facts by name."""
    return encode_canonical({"step": step, "agency": str(agency), **facts})


def countersign_bytes(case_id: str, agency: AgencyId) -> bytes:
    return step_bytes("lookup.countersign", agency, case_id=case_id)


def bulk_bytes(case_id: str, agency: AgencyId) -> bytes:
    return step_bytes("lookup.countersign.bulk", agency, case_id=case_id)


def sign_bulk(case: LookupCase, known: BulkRelease | None, signer: str, *, askers: Collection[str]) -> BulkRelease:
    """Adds a signer: leader and second officer, in either order, neither of whom asked; refuses others (BULK_*)."""
    if signer in askers:
        raise RuleError("COUNTERSIGN_SELF", f"expected somebody who did not ask in case {case.case_id} themselves")
    if known is None:
        return BulkRelease(case_id=case.case_id, agency=case.opened_by, signers=(signer,))
    if signer in known.signers:
        raise RuleError(
            "BULK_SECOND_PERSON",
            f"{signer} has signed for {case.case_id} already"
            + ("" if known.complete else "; it waits for a second person"),
        )
    if known.complete:
        raise RuleError("BULK_SIGNED", f"two persons have signed for {case.case_id} already")
    if case.leader not in (*known.signers, signer):
        raise RuleError("BULK_LEADER", f"expected the leader of case {case.case_id} to be one of the two")
    return replace(known, signers=(*known.signers, signer))


def verify_countersigner(case: LookupCase, signer: str, *, askers: Collection[str]) -> None:
    """Refuses anybody but the case's leader (COUNTERSIGN_LEADER), and one who asked in it (COUNTERSIGN_SELF)."""
    if signer != case.leader:
        raise RuleError("COUNTERSIGN_LEADER", f"expected the leader of case {case.case_id} to countersign")
    if signer in askers:
        raise RuleError("COUNTERSIGN_SELF", "expected a second person: the leader asked in this case themselves")


LOOKUP_FUNCTION: Final = FunctionCode("F03")
"""The joint function of every look-up, as the policy `deny-lookup-function` has it."""
OF_CASE: Final = "lookup.of_case"
"""What a desk says that names no purpose: that of the case, where it has only one."""
SUBJECT_PURPOSE: Final = "subject.access"
SUBJECT_FUNCTION: Final = FunctionCode("F01")
SUBJECT_BASIS: Final = "个人信息保护法第四十五条"
DISCLOSURE_KIND: Final = "given"
_DOSSIER: Final = EntityRef("Dossier", "dossier")


class LookupPurpose(StrEnum):
    CRIMINAL_INVESTIGATION = "lookup.criminal_investigation"
    MISSING_PERSON = "lookup.missing_person"
    IDENTITY_CHECK = "lookup.identity_check"


LOOKUP_BASIS: Final[Mapping[LookupPurpose, str]] = MappingProxyType(
    {
        LookupPurpose.CRIMINAL_INVESTIGATION: "公安机关办理刑事案件程序规定第三百五十三条",
        LookupPurpose.MISSING_PERSON: "人民警察法第二十一条",
        LookupPurpose.IDENTITY_CHECK: "居民身份证法第十五条",
    }
)
_POLICE_BASIS: Final = "人民警察法第六条"


def purpose_in(case: LookupCase | None, purpose: str) -> str:
    """The purpose that counts: as it was named; else the case's only one, else the usual one, which policy judges."""
    if purpose != OF_CASE:
        return purpose
    only = tuple(case.purposes) if case is not None else ()
    return only[0] if len(only) == 1 else LookupPurpose.CRIMINAL_INVESTIGATION.value


def basis_of(purpose: str) -> str:
    """Returns the article that a look-up cites; of an unknown purpose, the police's duty as such."""
    known = {str(word): basis for word, basis in LOOKUP_BASIS.items()}
    return known.get(purpose, _POLICE_BASIS)


class DossierFacts(Struct, frozen=True, kw_only=True):
    """The attributes that policy may read of a record; the county (six digits) and those below only once it is found.

    `minor` means under 14 today; `sealed` records answer no look-up; the asking province leaves both as they are.
    """

    province: NodeName
    kind: str = "permit"
    issuing_division: str | None = None
    sealed: bool = False
    minor: bool = False


class LookupOccasion(Occasion, frozen=True, kw_only=True):
    """An occasion, and what the deciding node found out about the case: open, of that purpose, naming every county.

    `step_up`: the officer's own key signed this fetch, verified. `urgency` is `urgent` or `routine`.
    """

    case_open: bool
    purpose_in_case: bool
    county_in_case: bool
    step_up: bool = False
    urgency: str = "routine"


def case_request(
    agency: AgencyFacts, province: NodeName, *, occasion: Occasion, purposes: frozenset[str]
) -> PolicyRequest:
    """Asks whether the agency may open or close a case that allows these purposes with that province."""
    return ask(
        "lookup.case", agency, dossier_entity(DossierFacts(province=province)), occasion=occasion, purposes=purposes
    )


def search_request(agency: AgencyFacts, dossier: DossierFacts, *, occasion: LookupOccasion) -> PolicyRequest:
    """Asks whether the agency may learn of a record. Asked without the record first; refused then is no hit."""
    return ask("lookup.search", agency, dossier_entity(dossier), occasion=occasion, **_case_facts(occasion))


def fetch_request(
    agency: AgencyFacts, dossier: DossierFacts, *, occasion: LookupOccasion, fields: frozenset[str]
) -> PolicyRequest:
    """Asks whether the agency may have these fields of its hit: all or none, one field too many refuses all."""
    facts = {**_case_facts(occasion), "stepUp": occasion.step_up, "fields": fields}
    return ask("lookup.fetch", agency, dossier_entity(dossier), occasion=occasion, **facts)


def answer_request(
    agency: AgencyFacts, dossier: DossierFacts, *, occasion: Occasion, intake: bool, in_time: bool
) -> PolicyRequest:
    """Asks whether the agency may answer at the desk. `intake`: for its province; `in_time`: time is left."""
    return ask("lookup.answer", agency, dossier_entity(dossier), occasion=occasion, intake=intake, inTime=in_time)


def report_request(
    agency: AgencyFacts, dossier: DossierFacts, *, occasion: Occasion, identity_checked: bool
) -> PolicyRequest:
    """Asks whether the agency may have a person's own report (PIPL 20, 45). `identity_checked`: the clerk signed it."""
    return ask("subject.report", agency, dossier_entity(dossier), occasion=occasion, identityChecked=identity_checked)


def _case_facts(occasion: LookupOccasion) -> Mapping[str, PolicyValue]:
    return {
        "caseOpen": occasion.case_open,
        "purposeInCase": occasion.purpose_in_case,
        "countyInCase": occasion.county_in_case,
        "urgency": str(occasion.urgency),
    }


def dossier_entity(dossier: DossierFacts) -> Entity:
    """The record as policy sees it: never its own name, nor whom it is about."""
    division = dossier.issuing_division
    issuing: Attributes = () if division is None else (("issuingCounty", county_ref(division)),)
    return Entity(
        _DOSSIER,
        (
            ("province", EntityRef("Province", dossier.province)),
            ("kind", dossier.kind),
            *issuing,
            ("sealed", dossier.sealed),
            ("minor", dossier.minor),
        ),
    )
