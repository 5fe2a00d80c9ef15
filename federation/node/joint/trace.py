"""Two questions to the province that a code names: how far its case is (一案一码), and the yes or no of a token.

Each is a message like any other, and its answer another; neither tells anything of a person. A province that takes part
in a case answers its own counters from what it holds. A code that nobody has, and one whose case is told to nobody, are
the same answer; so are the tokens that say no, each found by one read and judged by one question, whatever it lacks.
Who asks is counted on both sides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from federation.domain.division import province_of
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
from federation.domain.leave import (
    CHECKS_A_DAY,
    TODAY_BASIS,
    TokenAnswer,
    TokenCheck,
    TokenQuestion,
    check_request,
    today_request,
)
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.domain.retention import TODAY, TRACE
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Counted, Judgement, Kind, Received, Rows, item_kind
from federation.node.exchange.replies import outcome_of, replies, reply_draft, take_reply
from federation.node.exchange.send import Prepared, prepare, record_message
from federation.node.joint.given import CHECKED
from federation.node.joint.mandates import TOKENS
from federation.node.joint.records import CASE, CASES, load_held
from federation.node.joint.shown import trace
from federation.node.node import InForce, Node
from federation.node.officers import or_logged
from federation.protocol.errors import NotFoundError, RuleError
from federation.protocol.form import Digest, Item, decode, replace
from federation.protocol.ids import AgencyId, parse_record_id, record_node, truncate_to_millisecond
from federation.protocol.policy import PolicyRequest, decide
from federation.protocol.statement import Recipient
from federation.protocol.trust import find_agency, verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.cases import ASK_TODAY, TRACE_CASE, TodayAnswer, TodayQuestion, TraceAnswer

WAIT_SECONDS: Final = 8.0
"""How long the counter's call waits for the other province."""
LIFETIME: Final = timedelta(minutes=10)
"""A question that did not leave by then has nobody at the counter any more."""
_BASIS: Final = "政府信息公开条例第五条"


class _Asked(Item, frozen=True, kw_only=True):
    """The question that was sent; None where this province answered by itself."""

    WHAT: ClassVar[str] = "counter asked"

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
    counted = _counted(node, f"case-traces/{errand.caller}")
    question = await _ask_once(errand, errand.asked(QUESTION.name, code), ready, counted=counted)
    if not question or home is None:
        return TraceAnswer(decision=ruling, lines=_found(lines), node=node.name)
    (response,) = await replies(node, [question], seconds=WAIT_SECONDS)
    answer = TraceAnswer(decision=ruling, node=home, outcome=outcome_of(response), policies=response.refused)
    if response.body is None:
        return answer
    return replace(answer, lines=_found(decode_progress(response.body.items[0]).lines))


@on(ASK_TODAY)
async def ask_today(errand: Errand, question: TodayQuestion) -> TodayAnswer:
    """Asks the office that issued a token whether its bearer is authorised today; without its answer there is none.

    Refuses TOKEN_HOME for a county without such an office, QUOTA_TODAY, AGREEMENT_EXPIRED.
    """
    node, in_force = errand.node, errand.in_force
    home = province_of(question.county) or node.name
    asked = check_request(errand.agency, home, occasion=errand.occasion)
    ruling = await errand.ask(asked)
    if not ruling.allowed:
        return TodayAnswer(decision=ruling)
    office = AgencyId(home, question.county, "corrections")
    named = find_agency(in_force.agreement, office)
    if named is None:
        raise NotFoundError("TOKEN_HOME", f"the agreement names no office of corrections in {question.county}")
    verify_in_force(in_force.agreement, node.now())
    draft = TOKEN.draft(
        TokenQuestion(token=question.token), to=Recipient(node=home, agency=office), cause=errand.cause(TODAY_BASIS),
        decision=ruling, asked=(asked,),
    )  # fmt: skip
    ready, counted = prepare(node, replace(draft, lifetime=LIFETIME)), _checks(node, f"token-checks/{errand.caller}")
    digest = await _ask_once(errand, errand.asked(TOKEN.name, question.token), ready, counted=counted)
    (response,) = await replies(node, [digest], seconds=WAIT_SECONDS)
    answer = TodayAnswer(
        decision=ruling, home=office, home_name=named.name, home_phone=named.phone, outcome=outcome_of(response),
        policies=response.refused,
    )  # fmt: skip
    if response.body is None:
        return answer
    item = decode(TokenAnswer, response.body.items[0])
    return replace(answer, authorised=item.authorised, day=item.day)


async def _ask_once(errand: Errand, asked: str, ready: Prepared | None, *, counted: Counted) -> str:
    """Counts the question, and sends it where another province is asked; returns its digest, empty where none is."""
    node, known = errand.node, errand.remembered(asked, _Asked)

    def write(transaction: GroupTransaction) -> _Asked:
        if transaction.count_up(counted.name) > counted.most:
            raise _too_many(counted)
        if ready is None:
            return _Asked()
        return _Asked(question=record_message(node, transaction, ready, in_force=errand.in_force))

    done = known.answer if known is not None else await or_logged(errand, errand.once(asked, _Asked, write))
    if known is None and ready is not None:
        node.wake_delivery(ready.draft.recipient.node)
    return done.question or ""


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


def _checks(node: Node, of: str) -> Counted:
    return Counted(f"{of}/{node.today()}", CHECKS_A_DAY, reason="QUOTA_TODAY")


def _too_many(counted: Counted) -> RuleError:
    return RuleError(counted.reason, f"expected at most {counted.most} such questions of one office a day")


def _verify_room(node: Node, counted: Counted) -> None:
    if node.database.find_counter(counted.name) >= counted.most:
        raise _too_many(counted)


def _judge_question(received: Received[CaseQuestion]) -> Judgement:
    """Answers for the cases that were opened in this province (QUOTA_TRACES)."""
    node, sender, occasion = received.node, received.sender, received.occasion
    judged = received.judge(trace_request(sender, home=node.name, occasion=occasion))
    if not judged.decision.allowed:
        return judged
    counted = _counted(node, f"case-traced/{sender.id}")
    _verify_room(node, counted)
    code = received.item.code
    is_ours = home_of(code) in (None, node.name)  # of the others we would hand on another's word
    lines, asked = _find_lines(node, received.in_force, code, by=sender, occasion=occasion) if is_ours else ((), ())
    reply = reply_draft(received, PROGRESS, CaseProgress(lines=lines), decision=judged.decision)
    return replace(judged, rows=Rows(drafts=(reply,), counted=(counted,)), asked_of_records=asked)


def _judge_token(received: Received[TokenQuestion]) -> Judgement:
    """Answers yes or no by the row of the token, if there is one, and keeps for its person who asked.

    Refuses QUOTA_TODAY, TOKEN_HOME.
    """
    node, sender, statement = received.node, received.sender, received.statement
    judged = received.judge(check_request(sender, node.name, occasion=received.occasion))
    if not judged.decision.allowed:
        return judged
    office = statement.recipient.agency
    if office is None:  # one that is named is an office of ours
        raise RuleError("TOKEN_HOME", "expected the question to name the office of this province that issued the token")
    counted, token = _checks(node, f"token-checked/{sender.id}"), TOKENS.find(node.database, received.item.token)
    _verify_room(node, counted)
    asked = today_request(sender, token, office=office, today=node.today(), occasion=received.occasion)
    yes = decide(received.in_force.policies, asked).allowed
    answer = TokenAnswer(authorised=yes, day=node.today())
    check = TokenCheck(
        message_id=statement.id, time=truncate_to_millisecond(node.now()), asker=sender.id, authorised=yes,
        person="" if token is None else token.person,
    )  # fmt: skip
    rows = Rows(
        records=(CHECKED.record(check, owner=node.name),), counted=(counted,),
        drafts=(reply_draft(received, TOLD_TODAY, answer, decision=judged.decision),),
    )  # fmt: skip
    return replace(judged, rows=rows, asked_of_records=(asked,))


QUESTION: Final[Kind[CaseQuestion]] = item_kind(
    CaseQuestion, name="case.trace", media_type="application/vnd.bridgehead.case-trace.v1+json", judge=_judge_question,
    answers=(), keep=TRACE, erasable_by=None, resend=None,
)  # fmt: skip
PROGRESS: Final[Kind[CaseProgress]] = item_kind(
    CaseProgress, name="case.progress", media_type="application/vnd.bridgehead.case-progress.v1+json", judge=take_reply,
    read=lambda content, _: decode_progress(content), answers=(QUESTION.name,), keep=TRACE, erasable_by=None,
    resend=None,
)  # fmt: skip
TOKEN: Final[Kind[TokenQuestion]] = item_kind(
    TokenQuestion, name="corrections.today", media_type="application/vnd.bridgehead.corrections-today.v1+json",
    judge=_judge_token, answers=(), keep=TODAY, erasable_by=None, resend=None,
)  # fmt: skip
TOLD_TODAY: Final[Kind[TokenAnswer]] = item_kind(
    TokenAnswer, name="corrections.today.answer",
    media_type="application/vnd.bridgehead.corrections-today-answer.v1+json", judge=take_reply, answers=(TOKEN.name,),
    keep=TODAY, erasable_by=None, resend=None,
)  # fmt: skip
