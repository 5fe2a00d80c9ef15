"""Corrections as an office sees them: its desk's and those it filed, each with where it stands and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from federation.domain.corrections import Correction, CorrectionAnswer, CorrectionRequest, is_overdue, rule_words
from federation.node.node import Node
from federation.node.subjects.corrections.clock import start_clock
from federation.node.subjects.corrections.records import ANSWERS, Filed
from federation.protocol.errors import RuleError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.leaf import Leaf, Verdict, decode_leaf
from federation.store.outbox import find_outbox
from federation.wire.agency.corrections import CorrectionLine, CorrectionStanding


def own_line(correction: Correction, *, owner: NodeName, now: datetime, to_decide: bool) -> CorrectionLine:
    """A correction of our own; `to_decide` when the desk that looks may decide it."""
    answer = correction.standing
    line = _asked(correction.request, filed_by=correction.filed_by, time=answer.deadline.started, owner=owner)
    return replace(_answered(line, answer, now), to_decide=to_decide)


def filed_line(node: Node, filed: Filed) -> CorrectionLine:
    """A correction that an office of ours filed with another province."""
    line = _asked(filed.request, filed_by=filed.agency, time=filed.time, owner=filed.owner)
    answer = ANSWERS.find(node.database, filed.request.correction_id)
    if answer is not None:
        return _answered(line, answer, node.now())
    row = find_outbox(node.database, filed.message_id)
    if row is None or row.state in ("rejected", "expired"):
        return replace(line, standing=CorrectionStanding.UNDELIVERED)
    leaf = decode_leaf(row.receipt_leaf) if row.receipt_leaf is not None else None
    if leaf is None:
        return line
    return _refused(node, line, leaf) if leaf.verdict is Verdict.REFUSED else _receipted(node, line, leaf)


def _refused(node: Node, line: CorrectionLine, leaf: Leaf) -> CorrectionLine:
    """The owner did not admit it: its receipt names the policies or the rule."""
    words = [_words(node, name) for name in leaf.policies]
    return replace(
        line,
        standing=CorrectionStanding.REFUSED,
        policies=leaf.policies,
        title_zh=";".join(zh for zh, _ in words),
        title_en="; ".join(en for _, en in words),
    )


def _receipted(node: Node, line: CorrectionLine, leaf: Leaf) -> CorrectionLine:
    """The owner has opened it, though its answer is not here: the clock runs from the time of its receipt."""
    try:
        deadline = start_clock(node.trust.in_force, leaf.time)
    except RuleError:
        return line
    return replace(line, standing=CorrectionStanding.OPEN, deadline=deadline, overdue=node.now() >= deadline.due)


def _asked(request: CorrectionRequest, *, filed_by: AgencyId, time: datetime, owner: NodeName) -> CorrectionLine:
    return CorrectionLine(
        correction_id=request.correction_id,
        urn=request.urn,
        field=request.field,
        value=request.value,
        words=request.words,
        papers=request.papers,
        citizen_number=request.citizen_number,
        filed_by=filed_by,
        filed_time=time,
        owner=owner,
        standing=CorrectionStanding.WAITING,
    )


def _answered(line: CorrectionLine, answer: CorrectionAnswer, now: datetime) -> CorrectionLine:
    return replace(
        line,
        standing=CorrectionStanding(answer.state.value),
        overdue=is_overdue(answer, now),
        deadline=answer.deadline,
        answer=answer.words,
        answer_time=answer.time,
        permit_version=answer.permit_version,
    )


def _words(node: Node, name: str) -> tuple[str, str]:
    """A deciding policy or rule of the other side in our words: our agreement holds the text of the policies."""
    policy = node.trust.in_force.policies.policies.get(name)
    return (policy.title_zh, policy.title_en) if policy is not None else rule_words(name) or (name, name)
