"""The things that a joint case grants: look-ups under it, each a look-up case like any other, and tokens of leaves.

Each node writes it from its own fold and closes it by its own fold: no message says it. What is closed stays closed,
whatever a later fold makes of the grant; and whoever asks or answers looks at the fold once more, so that the end holds
from the entry on that brought it. A token's row is found by its digest, and goes when it may say yes on no day more.
Source: DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from federation.domain.joint import Head
from federation.domain.joint_mandates import mandates
from federation.domain.joint_sight import numbers_in
from federation.domain.joint_state import Case
from federation.domain.leave import LeaveToken, living_token
from federation.domain.lookups_case import (
    LOOKUP_FUNCTION,
    LookupCase,
    case_provinces,
    case_request,
    close_case,
    is_joint_code,
    is_open,
    letter_name,
)
from federation.node.joint.records import CASE, CASES, load_held, parts_of
from federation.node.lookups import records
from federation.node.node import Node, agency_facts
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, parse_record_id
from federation.protocol.policy import decide
from federation.protocol.trust import find_agency
from federation.store.collection import item_collection
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, put_records

TOKENS: Final = item_collection(
    LeaveToken, kind="leave-token", id=lambda token: token.token, replica=True, version=lambda token: token.step
)
"""The tokens that live, by their digests."""


def letters_of(head: Head, *, purpose: str) -> tuple[tuple[str, str], ...]:
    """The letters that an entry uses, each as its name and the case that it is for: one letter, one case of each kind.

    By its number it is no letter of a look-up case either; as a paper it is told by its digest.
    """
    said = head.fields
    if head.act == "fill_letter":
        number = letter_name(str(said["number"]))
        return (number, "joint"), (f"{purpose}/{number}", head.record)
    if head.act == "attach_paper" and said["paper_kind"] == "letter":
        return ((f"{purpose}/{said['manifest']}", head.record),)
    return ()


def put_mandates(node: Node, transaction: GroupTransaction, case: Case | None, *, offices: Iterable[AgencyId]) -> None:
    """Opens the look-up cases that a joint case grants, as far as policy allows, and closes those that it ended.

    `offices` are those that ever granted any.
    """
    if case is None or not is_joint_code(case.code):
        return
    granted = mandates(case)
    for office in offices:
        mandate, announced = granted.get(office), office.node != node.name
        kind = records.ANNOUNCED_CASES if announced else records.OWN_CASES
        known = records.find_case(transaction, office, case.code, announced=announced)
        if known is None and mandate is not None and is_open(mandate, node.now()) and _allowed(node, mandate):
            kind.put(transaction, mandate, owner=office.node)
        elif known is not None and not known.closed and known != mandate:
            closed = close_case(known, mandate.closes if mandate is not None and mandate.closed else node.now())
            kind.put(transaction, closed, owner=office.node)
            put_records(transaction, [records.closed_record(closed, owner=office.node)])


def _allowed(node: Node, mandate: LookupCase) -> bool:
    """Policy's word on a look-up case of that office, as if it were opened by letter."""
    in_force, office = node.trust.in_force, mandate.opened_by
    named = case_provinces(mandate)
    asked = named - {node.name} if office.node == node.name else named & {node.name}
    if find_agency(in_force.agreement, office) is None or not asked:
        return False
    facts, occasion = agency_facts(in_force, office), in_force.occasion(min(mandate.purposes), LOOKUP_FUNCTION)
    return all(
        decide(
            in_force.policies, case_request(facts, name, occasion=occasion, purposes=mandate.purposes)
        ).allowed
        for name in asked
    )  # fmt: skip


def as_it_stands(node: Node, case: LookupCase) -> LookupCase:
    """A look-up case of a joint case as that has it at this moment: closed where the fold does not hold it open."""
    if case.closed:
        return case
    for record in {parse_record_id(line.record) for line in CASES.by_subject(node.database, case.case_id)}:
        joint = load_held(CASE, node, record).state
        if joint is not None and mandates(joint).get(case.opened_by) == case:
            return case
    return close_case(case, node.now())


def token_rows(node: Node, transaction: GroupTransaction, case: Case | None, *, step: int) -> Iterator[Record]:
    """The row of a case's living token where it changed; those of its tokens that live no more are erased."""
    issued = () if case is None else case.done.get("issue_token", ())
    if case is None or not issued:
        return
    living = living_token(case, step=step, person="")
    for each in issued:
        if living is None or each.head.fields["token"] != living.token:
            TOKENS.erase(transaction, str(each.head.fields["token"]))
    known = None if living is None else TOKENS.find(transaction, living.token)
    if living is None or (known is not None and replace(known, step=step, person="") == living):
        return
    filed = (found.entry.name for found in case.done.get("file_application", ()))
    rows = (row for name in filed for row in CASE.entries.by_subject(transaction, name) if row.author == node.name)
    numbers = (
        each for row in rows for each in numbers_in(parts_of(CASE, node, transaction, kept=row).values()).values()
    )
    yield TOKENS.record(replace(living, person=known.person if known else next(numbers, "")), owner=node.name)
