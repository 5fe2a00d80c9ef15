"""一案一码 at any counter of any province: how far the case of a code is, in lines that tell nothing of a person.

A province that takes part answers its own counters from what it holds. Else the province that opened the case is asked,
which the code names: a message like any other, and its answer another. A code that nobody has, and one whose case is
told to nobody, are the same answer. Who asks is counted on both sides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from federation.domain.joint_policy import trace_request
from federation.domain.joint_trace import (
    MAX_LINES,
    TRACES_A_DAY,
    CaseProgress,
    CaseQuestion,
    TraceLine,
    decode_progress,
    home_of,
    parse_case_code,
)
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.domain.retention import TRACE
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Counted, Judgement, Kind, Received, Rows, item_kind
from federation.node.exchange.replies import outcome_of, replies, reply_draft, take_reply
from federation.node.exchange.send import Prepared, prepare, record_message
from federation.node.joint.records import CASE, CASES, load_held
from federation.node.joint.shown import trace
from federation.node.node import InForce, Node
from federation.node.officers import or_logged
from federation.protocol.errors import NotFoundError, RuleError
from federation.protocol.form import Digest, Item, encode, replace
from federation.protocol.ids import parse_record_id, record_node
from federation.protocol.policy import PolicyRequest, decide
from federation.protocol.statement import Recipient
from federation.protocol.trust import verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.cases import TRACE_CASE, TraceAnswer

WAIT_SECONDS: Final = 8.0
"""How long the counter's call waits for the other province."""
LIFETIME: Final = timedelta(minutes=10)
"""A question that did not leave by then has nobody at the counter any more."""
_BASIS: Final = "政府信息公开条例第五条"


class _Traced(Item, frozen=True, kw_only=True):
    """The question that was sent; None where this province answered by itself."""

    WHAT: ClassVar[str] = "case traced"

    question: Digest | None = None


@on(TRACE_CASE)
async def trace_case(errand: Errand, code: str) -> TraceAnswer:
    """Tells how far the case of a code is.

    Refuses CASE_CODE for a code that was mistyped and where there is nothing to tell, QUOTA_TRACES, AGREEMENT_EXPIRED.
    """
    node, in_force, home = errand.node, errand.in_force, home_of(parse_case_code(code))
    asked = trace_request(errand.agency, home=home or node.name, occasion=errand.occasion)
    ruling = await errand.ask(asked)
    if not ruling.allowed:
        return TraceAnswer(decision=ruling)
    lines, _ = _find_lines(node, in_force, code, by=errand.agency, occasion=errand.occasion)
    ready = None
    if not lines and home is not None and home != node.name and in_force.has(home):
        verify_in_force(in_force.agreement, node.now())
        cause, to = errand.cause(_BASIS), Recipient(node=home)
        draft = QUESTION.draft(CaseQuestion(code=code), to=to, cause=cause, decision=ruling, asked=(asked,))
        ready = prepare(node, replace(draft, lifetime=LIFETIME))
    question = await _ask_once(errand, code, ready)
    if question is None or home is None:
        return TraceAnswer(decision=ruling, lines=_found(lines), node=node.name)
    (response,) = await replies(node, [question], seconds=WAIT_SECONDS)
    answer = TraceAnswer(decision=ruling, node=home, outcome=outcome_of(response), policies=response.refused)
    if response.body is None:
        return answer
    return replace(answer, lines=_found(decode_progress(response.body.items[0]).lines))


async def _ask_once(errand: Errand, code: str, ready: Prepared | None) -> str | None:
    """Counts the question, and sends it where another province is asked; returns its digest."""
    node, asked = errand.node, errand.asked(QUESTION.name, code)
    known = errand.remembered(asked, _Traced)

    def write(transaction: GroupTransaction) -> _Traced:
        counted = _counted(node, f"case-traces/{errand.caller}")
        if transaction.count_up(counted.name) > counted.most:
            raise _too_many()
        if ready is None:
            return _Traced()
        return _Traced(question=record_message(node, transaction, ready, in_force=errand.in_force))

    done = known.answer if known is not None else await or_logged(errand, errand.once(asked, _Traced, write))
    if known is None and ready is not None:
        node.wake_delivery(ready.draft.recipient.node)
    return done.question


def _found(lines: tuple[TraceLine, ...]) -> tuple[TraceLine, ...]:
    if not lines:
        raise NotFoundError("CASE_CODE", "no province has anything to tell of a case of that code")
    return lines


def _find_lines(
    node: Node, in_force: InForce, code: str, *, by: AgencyFacts, occasion: Occasion
) -> tuple[tuple[TraceLine, ...], tuple[PolicyRequest, ...]]:
    """The lines of a case that this node holds, and what policy was asked of it.

    A code stands for a case of the province that its digits name: another one that bears it is not found by it.
    """
    opener = home_of(code) or node.name
    records = sorted({parse_record_id(line.record) for line in CASES.by_subject(node.database, code)})
    held = next((load_held(CASE, node, record) for record in records if record_node(record) == opener), None)
    if held is None or held.state is None:
        return (), ()
    asked = trace_request(by, home=record_node(held.id), procedure=held.state.procedure.name, occasion=occasion)
    return (trace(held)[-MAX_LINES:] if decide(in_force.policies, asked).allowed else ()), (asked,)


def _counted(node: Node, of: str) -> Counted:
    return Counted(f"{of}/{node.today()}", TRACES_A_DAY, reason="QUOTA_TRACES")


def _too_many() -> RuleError:
    return RuleError("QUOTA_TRACES", f"expected at most {TRACES_A_DAY} codes to be asked for by one office a day")


def _judge_question(received: Received[CaseQuestion]) -> Judgement:
    """Answers for the cases that were opened in this province (QUOTA_TRACES)."""
    node, sender, occasion = received.node, received.sender, received.occasion
    judged = received.judge(trace_request(sender, home=node.name, occasion=occasion))
    if not judged.decision.allowed:
        return judged
    counted = _counted(node, f"case-traced/{sender.id}")
    if node.database.find_counter(counted.name) >= counted.most:
        raise _too_many()
    code = received.item.code
    is_ours = home_of(code) in (None, node.name)  # of the others we would hand on another's word
    lines, asked = _find_lines(node, received.in_force, code, by=sender, occasion=occasion) if is_ours else ((), ())
    reply = reply_draft(received, PROGRESS, CaseProgress(lines=lines), decision=judged.decision)
    return replace(judged, rows=Rows(drafts=(reply,), counted=(counted,)), asked_of_records=asked)


QUESTION: Final[Kind[CaseQuestion]] = item_kind(
    CaseQuestion, name="case.trace", media_type="application/vnd.bridgehead.case-trace.v1+json", judge=_judge_question,
    answers=(), keep=TRACE, erasable_by=None, resend=None,
)  # fmt: skip
PROGRESS: Final[Kind[CaseProgress]] = Kind(
    name="case.progress", media_type="application/vnd.bridgehead.case-progress.v1+json", encode=encode,
    decode=lambda content, _: decode_progress(content), many=False, partial=False, judge=take_reply,
    answers=(QUESTION.name,), keep=TRACE, erasable_by=None, resend=None,
)  # fmt: skip
