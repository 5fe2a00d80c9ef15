"""What came of one question of ours, in the words of a look-up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from federation.domain.intake import REFUSAL_BODY, Refusal, refusal_titles
from federation.domain.lookups import Outcome
from federation.node.exchange.replies import Response
from federation.node.log.decisions import refusal_rule
from federation.node.lookups.asking.refusals import rule_titles
from federation.node.node import Node
from federation.protocol.errors import RuleError
from federation.protocol.form import decode
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds


def refusal_of(node: Node, response: Response) -> Decision | None:
    """Who refused and why: the other side's policy or rule, its desk in a reply, or its node; None when nobody did."""
    if response.body is not None and response.body.type == REFUSAL_BODY:
        return _desk_decision(decode(Refusal, response.body.items[0]))
    if response.refused:
        return _decision_of(node, response.refused)
    return _rejection(response.rejected) if response.rejected else None


def silent_outcome(response: Response) -> Outcome:
    """What it is when there is neither reply nor refusal: expired, waiting for a person who has it, or out of reach."""
    if response.expired:
        return Outcome.EXPIRED
    return Outcome.WAITING if response.received else Outcome.UNREACHABLE


def waits_until(response: Response) -> datetime | None:
    """Until when the other side's desk may answer; None when nothing is waited for there."""
    return response.due if silent_outcome(response) is Outcome.WAITING else None


def _desk_decision(refusal: Refusal) -> Decision:
    """A refusal by a person at the other side's desk: the reason, and that person's own words."""
    title_zh, title_en = refusal_titles(refusal)
    return Decision(
        verdict=Verdict.REFUSED,
        policies=(f"desk-{refusal.reason.value.replace('_', '-')}",),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=title_zh,
        title_en=title_en,
    )


def _decision_of(node: Node, policies: Sequence[str]) -> Decision:
    """The other side's refusal in our words: its leaf names the policies or the rule, and we hold their text."""
    book = node.trust.in_force.policies.policies
    policy_titles = {name: (book[name].title_zh, book[name].title_en) for name in policies if name in book}
    titles = [found for name in policies if (found := policy_titles.get(name) or rule_titles(name)) is not None]
    return Decision(
        verdict=Verdict.REFUSED,
        policies=tuple(policies),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=";".join(title_zh for title_zh, _ in titles),
        title_en="; ".join(title_en for _, title_en in titles),
    )


def _rejection(reason: str) -> Decision:
    """A statement that the other side can never judge is refused too, and nobody waits for it."""
    return Decision(
        verdict=Verdict.REFUSED,
        policies=(refusal_rule(RuleError(reason, "the other node could not judge it")),),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh="对方节点无法受理这条消息",
        title_en=f"The other node could not judge this message: {reason}",
    )
