"""A question of another province put as our own policy asks for it."""

from __future__ import annotations

from federation.domain.lookups import urgency_of
from federation.domain.lookups_case import LookupCase, is_open
from federation.domain.lookups_policy import (
    LookupOccasion,
)
from federation.node.node import Node
from federation.protocol.statement import Statement


def occasion_of(
    statement: Statement, *, case: LookupCase | None, counties: frozenset[str], node: Node, step_up: bool = False
) -> LookupOccasion:
    """What this node knows of a request's case, put as policy asks for it.

    An unknown case is not open, and a case is open for the agency that opened it alone: another office of its province
    that cites it is not one whose questions its leader answers for.
    """
    agreement = node.trust.in_force.agreement
    if case is not None and case.opened_by != statement.sender.agency:
        case = None
    return LookupOccasion(
        purpose=statement.purpose,
        function=statement.function,
        realm=statement.realm,
        node_realm=agreement.realm,
        case_open=case is not None and is_open(case, node.now()),
        purpose_in_case=case is not None and statement.purpose in case.purposes,
        county_in_case=case is not None and counties <= case.counties,
        step_up=step_up,
        urgency=urgency_of(statement.created, statement.expires),
    )
