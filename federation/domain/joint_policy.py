"""The questions about joint cases that policy is asked, built from what the fold of a case says.

Rules kept: no question names a case, a person or an officer, so equal acts are equal questions. The answers are in
`policies/cases.cedar`, the vocabulary in `policies/schema.cedarschema`; both change together.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from federation.domain.joint import Head
from federation.domain.joint_case import LEAD
from federation.domain.joint_sight import SIGHT_ACTS, Sight, stages_that_open
from federation.domain.joint_state import Case
from federation.domain.permits_policy import AgencyFacts, Occasion, ask
from federation.protocol.form import Count, Item, Positive, Time, always
from federation.protocol.ids import AgencyId, NodeName, RecordId
from federation.protocol.policy.engine import Entity, EntityRef, PolicyRequest


class Standing(StrEnum):
    """The standing of an office in a case; `waiting` where entries before it are not here, so that nobody can tell."""

    MEMBER = "member"
    INVITED = "invited"
    FORMER = "former"
    STRANGER = "stranger"
    WAITING = "waiting"


class Seat(Item, frozen=True, kw_only=True):
    """The facts of who acts in a case that policy reads, as they stand before the act."""

    WHAT: ClassVar[str] = "seat"

    standing: Standing
    role: str = ""
    stage: str = ""
    procedure: str = ""
    kind_fits: bool = always(True)
    of_procedure: bool = always(True)
    recused: bool = always(False)


class CaseLine(Item, frozen=True, kw_only=True):
    """A case as one office of ours has it in its lists: heads only, nothing of a person."""

    WHAT: ClassVar[str] = "case line"

    record: RecordId
    office: AgencyId
    step: Positive
    code: str
    procedure: str
    title_zh: str
    title_en: str
    stage: str
    stage_zh: str
    stage_en: str
    tier: str
    standing: Standing
    roles: tuple[str, ...]
    lead: AgencyId
    opened: Time
    changed: Time
    clock: str = ""
    due: Time | None = None
    late: bool = always(False)
    outcome: str = ""
    waiting: Count = 0


def seat_of(case: Case | None, head: Head, *, occasion: Occasion) -> Seat:
    """Returns the seat of the office that acts; `case` is None while entries before the act are not here."""
    if case is None:
        return Seat(standing=Standing.WAITING)
    agency = head.agency
    procedure, officer = case.procedure, f"{head.agency}#{head.officer or ''}"
    standing = standing_of(case, agency)
    roles = case.roles(agency) or case.invited.get(agency, frozenset())
    if head.act == "open":
        roles = frozenset({str(head.fields.get("role", ""))})
    named = sorted(roles - {LEAD}) or sorted(roles)
    known = [procedure.roles[role] for role in named if role in procedure.roles]
    return Seat(
        standing=standing,
        role=named[0] if named else "",
        stage=case.stage,
        procedure=procedure.name,
        of_procedure=(occasion.purpose, occasion.function) == (procedure.purpose, procedure.function),
        kind_fits=bool(known) and all(agency.kind in role.kinds for role in known),
        recused=any(tie.barred and tie.who == officer for tie in case.ties),
    )


def standing_of(case: Case, agency: AgencyId) -> Standing:
    if agency in case.members:
        return Standing.MEMBER
    if agency in case.invited:
        return Standing.INVITED
    return Standing.FORMER if agency in case.acted else Standing.STRANGER


def act_request(agency: AgencyFacts, seat: Seat, act: str, *, home: NodeName, occasion: Occasion) -> PolicyRequest:
    """Asks whether the office may do this act at all; what the stage allows is the fold's to say."""
    return ask(
        "case.act",
        agency,
        _case_entity(home, seat.procedure),
        occasion=occasion,
        act=act,
        role=seat.role,
        stage=seat.stage,
        standing=seat.standing.value,
        kindFits=seat.kind_fits,
        ofProcedure=seat.of_procedure,
        recused=seat.recused,
    )


def see_request(agency: AgencyFacts, case: Case, item_class: str, *, occasion: Occasion, sight: Sight) -> PolicyRequest:
    """Asks whether an office may be shown items of a class; which fields of them, the procedure says."""
    roles = sorted(case.roles(agency.id) - {LEAD}) or sorted(case.roles(agency.id))
    return ask(
        "case.see",
        agency,
        _case_entity(case.home or agency.id.node, case.procedure.name),
        occasion=occasion,
        itemClass=item_class,
        role=roles[0] if roles else "",
        standing=standing_of(case, agency.id).value,
        inTable=sight.at_once,
        handedLater=sight.later,
        minor=sight.minor,
        guardianAgreed=sight.guardian_agreed,
        sealed=sight.sealed,
    )


def shown_by(case: Case) -> object:
    """The part of a case that decides who is shown what: while it is the same, nobody is owed more of an entry.

    It holds all that `see_request` and the choice of provinces read of a case.
    """
    handed = (len(case.done.get(act, ())) for act in ("remove", *SIGHT_ACTS))
    return case.members, case.invited, stages_that_open(case), *handed


def read_request(
    agency: AgencyFacts, standing: Standing, *, home: NodeName, procedure: str, occasion: Occasion
) -> PolicyRequest:
    """Asks whether an office may read a case, or list those that it is part of (`standing` MEMBER)."""
    return ask("case.read", agency, _case_entity(home, procedure), occasion=occasion, standing=standing.value)


def trace_request(agency: AgencyFacts, *, home: NodeName, procedure: str = "", occasion: Occasion) -> PolicyRequest:
    """Asks whether an office may tell who has the code of a case how far it is; of the case that was found, too."""
    return ask("case.trace", agency, _case_entity(home, procedure), occasion=occasion)


def _case_entity(home: NodeName, procedure: str) -> Entity:
    return Entity(EntityRef("JointCase", "case"), (("province", EntityRef("Province", home)), ("procedure", procedure)))
