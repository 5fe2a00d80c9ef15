"""A question of another province put as our own policy asks for it; a no by rule as a decision."""

from __future__ import annotations

from federation.domain.lookup.asking import urgency_of
from federation.domain.lookup.case import LookupCase, is_open
from federation.domain.lookup_policy import (
    LookupOccasion,
)
from federation.node.log.decisions import refusal_rule
from federation.node.node import Node
from federation.protocol.errors import RuleError
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.protocol.statement import Statement
from federation.store.exchange_log import GroupTransaction


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


def refused_by_rule(error: RuleError) -> Decision:
    """A refusal by a rule of the look-up itself, as a decision that is logged and receipted like policy's."""
    return Decision(
        verdict=Verdict.REFUSED,
        policies=(refusal_rule(error),),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh="查询凭据无效:换人、换案或过期",
        title_en=error.message,
    )


def write_nothing(transaction: GroupTransaction) -> None:
    """A refusal leaves no rows but its leaf."""
    del transaction
