"""What of ours a question may find, and what policy may know of it."""

from __future__ import annotations

from datetime import date

from federation.domain.citizen_number import age_on
from federation.domain.lookup.asking import (
    Selector,
    SelectorKind,
)
from federation.domain.lookup_policy import (
    DossierFacts,
)
from federation.domain.permit import Permit, parse_permit_urn
from federation.domain.permit_policy import CHILD_AGE
from federation.domain.permit_record import decode_permit
from federation.node.node import Node
from federation.node.permits.records import PERMIT, find_own_permit
from federation.protocol.ids import NodeName
from federation.store.records import find_by_subject


def find_own(node: Node, selector: Selector) -> list[Permit]:
    """Our own permits of one person, newest first; copies of other provinces answer no look-up."""
    if selector.kind is SelectorKind.PERMIT:
        found = find_own_permit(node.database, parse_permit_urn(selector.value))
        return [found] if found is not None else []
    stored = find_by_subject(node.database, PERMIT, selector.value)
    permits = [decode_permit(record.content) for record in stored if not record.replica]
    return sorted(permits, key=lambda permit: permit.issue_date, reverse=True)


def dossier_of(province: NodeName, permit: Permit, today: date) -> DossierFacts:
    """What policy may know of a record that was found."""
    return DossierFacts(
        province=province,
        issuing_division=permit.residence_division,
        sealed=permit.sealed,
        minor=age_on(permit.holder.birth_date, today) < CHILD_AGE,
    )
