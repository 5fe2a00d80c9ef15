"""Explains a decision clause by clause, and what would make the request lawful, in Chinese and English.

Rules kept: the explanation never decides anything, the decision stands in it unchanged. Every clause is asked by itself
under the same schema; a clause that errors counts as not met. Nothing but the policies' own sentences is told, so an
explanation repeats no personal data. Source: DESIGN section 3 (a refusal names its reason), PIPL article 24.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from federation.protocol.form import replace
from federation.protocol.policy import cedar
from federation.protocol.policy.book import Decision, Grounds, PolicyBook, decide
from federation.protocol.policy.engine import PolicyRequest, policy_set
from federation.protocol.policy.text import Effect, PolicyText

_REMEMBERED: Final = 512
"""Explanations remembered: a bulk import refused row by row asks the same thing thousands of times."""


class ClauseFinding(Struct, frozen=True, kw_only=True):
    """One clause: `met` as written (an `unless` is met when its sentence is untrue), and its sentence."""

    met: bool
    unless: bool
    zh: str
    en: str


class PolicyFinding(Struct, frozen=True, kw_only=True):
    """One policy of the action. `applies`: all clauses met. `beyond`: fields asked for that it does not release."""

    id: str
    effect: Effect
    applies: bool
    title_zh: str
    title_en: str
    basis: str
    clauses: tuple[ClauseFinding, ...]
    beyond: tuple[str, ...]


class Explanation(Struct, frozen=True, kw_only=True):
    """The decision, every permit of the action (nearest first), the forbids that apply, and the remedy of a refusal."""

    decision: Decision
    permits: tuple[PolicyFinding, ...]
    forbids: tuple[PolicyFinding, ...]
    remedy_zh: tuple[str, ...]
    remedy_en: tuple[str, ...]


def explain(book: PolicyBook, request: PolicyRequest) -> Explanation:
    """Explains the decision of a request; equal requests get equal explanations, remembered as decisions are."""
    return _explain(book, request)


@lru_cache(maxsize=_REMEMBERED)
def _explain(book: PolicyBook, request: PolicyRequest) -> Explanation:
    decision = decide(book, request)
    findings = _findings(book, request)
    permits = sorted((found for found in findings if found.effect is Effect.PERMIT), key=_distance)
    forbids = tuple(found for found in findings if found.effect is Effect.FORBID and found.applies)
    remedy = () if decision.allowed else tuple(_remedy(decision, permits, forbids))
    return Explanation(
        decision=decision,
        permits=tuple(permits),
        forbids=forbids,
        remedy_zh=tuple(zh for zh, _ in remedy),
        remedy_en=tuple(en for _, en in remedy),
    )


def format_explanation(explanation: Explanation) -> str:
    """Formats verdict, forbids, permits by clause (`+` met, `-` not) and remedy, each line Chinese, a bar, English."""
    decision = explanation.decision
    verdict = ("允许", "allowed") if decision.allowed else ("拒绝", "refused")
    lines = [f"{verdict[0]}：{decision.title_zh} | {verdict[1]}: {decision.title_en} [{', '.join(decision.policies)}]"]
    if decision.by_desk:
        lines.append("由受理岗人工答复 | a person at the intake desk answers")
    for finding in (*explanation.forbids, *explanation.permits):
        kind = ("禁止", "forbid") if finding.effect is Effect.FORBID else ("许可", "permit")
        lines.append(f"{kind[0]}：{finding.title_zh} | {kind[1]}: {finding.title_en} [{finding.id}; {finding.basis}]")
        lines += [_format_clause(clause) for clause in finding.clauses]
    remedy = zip(explanation.remedy_zh, explanation.remedy_en, strict=True)
    return "\n".join([*lines, *(f"=> {zh} | {en}" for zh, en in remedy)])


def _format_clause(clause: ClauseFinding) -> str:
    sign, zh, en = "+" if clause.met else "-", "除非 ", "unless "
    return f"  {sign} {zh * clause.unless}{clause.zh} | {en * clause.unless}{clause.en}"


def _findings(book: PolicyBook, request: PolicyRequest) -> tuple[PolicyFinding, ...]:
    policies = [book.policies[name] for name in book.engine.policies_of(request)]
    probes = {name: probe for policy in policies for name, probe in _probes(policy)}
    met = frozenset(book.engine.ask_of(request, policy_set(probes)).policies)
    asked = dict(request.context).get("fields")
    wanted = asked if isinstance(asked, frozenset) else frozenset[str]()
    return tuple(_finding(policy, met, wanted) for policy in policies if _probe_name(policy, 0) in met)


def _probes(policy: PolicyText) -> Iterable[tuple[str, cedar.pst.Template]]:
    """The policy's scope by itself, then each clause by itself: permits only, so the engine names all that hold."""
    scope = replace(policy.tree, effect="permit", clauses=(), annotations={})
    yield _probe_name(policy, 0), scope
    for number, clause in enumerate(policy.tree.clauses, start=1):
        yield _probe_name(policy, number), replace(scope, clauses=(clause,))


def _probe_name(policy: PolicyText, number: int) -> str:
    return f"{policy.id}#{number}"


def _finding(policy: PolicyText, met: frozenset[str], wanted: frozenset[str]) -> PolicyFinding:
    clauses = tuple(
        ClauseFinding(met=_probe_name(policy, number) in met, unless=sentence.unless, zh=sentence.zh, en=sentence.en)
        for number, sentence in enumerate(policy.sentences, start=1)
    )
    return PolicyFinding(
        id=policy.id,
        effect=policy.effect,
        applies=all(clause.met for clause in clauses),
        title_zh=policy.title_zh,
        title_en=policy.title_en,
        basis=policy.basis,
        clauses=clauses,
        beyond=tuple(sorted(wanted - policy.fields)) if policy.effect is Effect.PERMIT else (),
    )


def _distance(finding: PolicyFinding) -> int:
    return sum(not clause.met for clause in finding.clauses)


def _remedy(
    decision: Decision, permits: list[PolicyFinding], forbids: tuple[PolicyFinding, ...]
) -> Iterable[tuple[str, str]]:
    """One line for each forbid that applies, then one for each of the nearest permits: any one of these will do."""
    if decision.reason is Grounds.POLICY_ERROR:
        yield (
            "请联系本省节点管理员：请求不符合约定的格式，或规则文本有误",
            "Ask your node's operator: the request is not of the agreed form, or a policy is broken",
        )
        return
    for forbid in forbids:
        ways = [_say(clause, true=clause.unless) for clause in forbid.clauses]
        yield "或".join(zh for zh, _ in ways), ", or ".join(en for _, en in ways)
    if not permits:
        yield "没有规则涉及此类主体的此项操作", "No policy speaks of this action for such a principal"
    for permit in permits:
        if not permit.applies and _distance(permit) == _distance(permits[0]):
            steps = _steps(permit)
            yield (
                f"依“{permit.title_zh}”，{'；'.join(zh for zh, _ in steps)}",
                f"by '{permit.title_en}', {'; '.join(en for _, en in steps)}",
            )


def _steps(permit: PolicyFinding) -> list[tuple[str, str]]:
    steps = [_say(clause, true=not clause.unless) for clause in permit.clauses if not clause.met]
    if permit.beyond:
        steps.append((f"不索取：{'、'.join(permit.beyond)}", f"do not ask for: {', '.join(permit.beyond)}"))
    return steps


def _say(clause: ClauseFinding, *, true: bool) -> tuple[str, str]:
    return (
        (f"须：{clause.zh}", f"must be so: {clause.en}")
        if true
        else (f"不得：{clause.zh}", f"must not be: {clause.en}")
    )
