"""Dossiers: our records that a question may find, with facts for policy, fields to release, and the persons to be told.

Three kinds of record, one view of them: nothing else of the answering side asks which kind it is. A record whose person
holds a sealed permit of ours is as sealed as that permit, and a child's vehicle is as closed as the child's permit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from federation.domain.citizen_number import age_on
from federation.domain.lookups import Selector, SelectorKind, release_fields
from federation.domain.lookups_policy import DossierFacts
from federation.domain.permits import Permit, decode_permit, parse_permit_urn, project_permit
from federation.domain.permits_policy import CHILD_AGE
from federation.domain.registers import (
    DOSSIER_FIELDS,
    REPRESENTATIVE_FIELDS,
    DossierKind,
    DossierRef,
    Enterprise,
    Vehicle,
    enterprise_texts,
    is_citizen_number,
    vehicle_texts,
)
from federation.node.node import Node
from federation.node.permits_sharing import PERMIT, find_own_permit
from federation.node.registers import ENTERPRISES, VEHICLES, Registered, find_registered, list_registered
from federation.protocol.ids import NodeName
from federation.store.records import find_by_subject


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDossier:
    """One record of ours that a question found: `division` keeps it, `texts` are its fields.

    `person` is the citizen number of whom it tells, None when it tells of nobody. `person_fields` are the fields that
    tell of that person; None when the record as a whole does.
    """

    ref: DossierRef
    division: str
    sealed: bool
    born: date | None
    texts: Mapping[str, str]
    person: str | None
    person_fields: frozenset[str] | None = None

    def __repr__(self) -> str:
        """Hides the person and every field."""
        return f"FoundDossier({self.ref.kind}, {self.division})"

    def subject(self, fields: frozenset[str]) -> str | None:
        """The citizen number of the person who is told that these fields were asked for; None when nobody is."""
        told = self.person_fields is None or bool(fields & self.person_fields)
        return self.person if told else None

    def release(self, fields: frozenset[str]) -> Mapping[str, str]:
        """The named fields as text; what the record does not have is left out, what was not named, too."""
        return MappingProxyType({name: text for name, text in self.texts.items() if name in fields})


def find_own(node: Node, selector: Selector) -> list[FoundDossier]:
    """Our own records that a question names, newest permit first; copies of other provinces answer no look-up."""
    if selector.kind is SelectorKind.PLATE:
        return [_of_vehicle(node, kept) for kept in list_registered(node.database, VEHICLES, selector.value)]
    if selector.kind is SelectorKind.USCC:
        return [_of_enterprise(node, kept) for kept in list_registered(node.database, ENTERPRISES, selector.value)]
    if selector.kind is SelectorKind.PERMIT:
        found = find_own_permit(node.database, parse_permit_urn(selector.value))
        return [_of_permit(found)] if found is not None else []
    permits = sorted(_permits_of(node, selector.value), key=lambda permit: permit.issue_date, reverse=True)
    return [_of_permit(permit) for permit in permits]


def find_dossier(node: Node, ref: DossierRef) -> FoundDossier | None:
    """The record of ours that a handle stands for, as it is now; None when it is no longer here."""
    if ref.kind is DossierKind.VEHICLE:
        vehicle = find_registered(node.database, VEHICLES, ref.id)
        return _of_vehicle(node, vehicle) if vehicle is not None else None
    if ref.kind is DossierKind.ENTERPRISE:
        enterprise = find_registered(node.database, ENTERPRISES, ref.id)
        return _of_enterprise(node, enterprise) if enterprise is not None else None
    permit = find_own_permit(node.database, parse_permit_urn(ref.id))
    return _of_permit(permit) if permit is not None else None


def dossier_of(province: NodeName, found: FoundDossier, today: date) -> DossierFacts:
    """Facts of a record that was found, for policy."""
    return DossierFacts(
        province=province,
        kind=found.ref.kind.value,
        issuing_division=found.division,
        sealed=found.sealed,
        minor=found.born is not None and age_on(found.born, today) < CHILD_AGE,
    )


def _of_permit(permit: Permit) -> FoundDossier:
    fields = DOSSIER_FIELDS[DossierKind.PERMIT]
    return FoundDossier(
        ref=DossierRef(kind=DossierKind.PERMIT, id=permit.urn),
        division=permit.residence_division,
        sealed=permit.sealed,
        born=permit.holder.birth_date,
        texts=release_fields(project_permit(permit, fields), fields),
        person=permit.holder.citizen_number,
    )


def _of_vehicle(node: Node, kept: Registered[Vehicle]) -> FoundDossier:
    vehicle = kept.facts
    person = vehicle.keeper if is_citizen_number(vehicle.keeper) else None
    return FoundDossier(
        ref=DossierRef(kind=DossierKind.VEHICLE, id=kept.id),
        division=vehicle.registered_division,
        sealed=vehicle.sealed or _is_sealed(node, person),
        born=_born(person),
        texts=vehicle_texts(vehicle),
        person=person,
    )


def _of_enterprise(node: Node, kept: Registered[Enterprise]) -> FoundDossier:
    enterprise = kept.facts
    return FoundDossier(
        ref=DossierRef(kind=DossierKind.ENTERPRISE, id=kept.id),
        division=enterprise.division,
        sealed=_is_sealed(node, enterprise.representative_number),
        born=_born(enterprise.representative_number),
        texts=enterprise_texts(enterprise),
        person=enterprise.representative_number,
        person_fields=REPRESENTATIVE_FIELDS,
    )


def _permits_of(node: Node, citizen_number: str) -> list[Permit]:
    stored = find_by_subject(node.database, PERMIT, citizen_number)
    return [decode_permit(record.content) for record in stored if not record.replica]


def _is_sealed(node: Node, person: str | None) -> bool:
    return person is not None and any(permit.sealed for permit in _permits_of(node, person))


def _born(person: str | None) -> date | None:
    return None if person is None else date(int(person[6:10]), int(person[10:12]), int(person[12:14]))
