"""How an officer of this province asks the others: bound to an open case, minimal, with one honest result a province.

Own policy decides first, for each province; quotas are counted as it is asked; each question is a signed statement
that dies with its urgency. What comes back is hit, no hit, refused (by which policy, ours or theirs), unreachable or
expired.
Source: DESIGN section 3 (asking), misuse controls M1 to M4 and M11.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from federation.domain.lookups import (
    DOSSIER_OF,
    SEARCH_BODY,
    Outcome,
    SearchItem,
    decode_answer_item,
    verify_selector,
)
from federation.domain.lookups_case import LookupCase, case_provinces
from federation.domain.lookups_policy import DossierFacts, search_request
from federation.node.exchange.errand import Errand, asked_digest, rule
from federation.node.exchange.replies import replies
from federation.node.lookups.asking.kept import Kept, KeptLine
from federation.node.lookups.asking.outcomes import refusal_of, silent_outcome, waits_until
from federation.node.lookups.asking.question import WAIT_SECONDS, Question, Said, Step, occasion_of, take_step
from federation.node.lookups.cases import find_own_case
from federation.node.lookups.kinds import SEARCH_KIND
from federation.node.node import Node
from federation.protocol.form import encode
from federation.protocol.ids import NodeName, format_message_id
from federation.protocol.policy import Decision
from federation.wire.agency.lookups import LookupQuestion, ProvinceAnswer, SearchResult


async def search(errand: Errand, question: LookupQuestion) -> SearchResult:
    """Asks provinces for a record of one person or thing: those that the case names, unless others are named.

    A repeat of the request gets the same look-up, waits again for what is still missing, and is not counted again.

    Raises:
        MalformedError: as `verify_selector`.
        ConflictError: REQUEST_ID_REUSED.
        NotFoundError: NOT_A_MEMBER for a province that the agreement does not name.
    """
    node = errand.node
    verify_selector(question.selector, errand.in_force.agreement.realm)
    case = find_own_case(errand, question.case_id)
    lookup_id = format_message_id(node.now(), os.urandom(10))
    item = SearchItem(lookup_id=lookup_id, selector=question.selector, case_id=question.case_id)
    step = Step(
        asked=asked_digest(errand, SEARCH_KIND, _question_text(question)),
        said=Said(kind=SEARCH_KIND, body_type=SEARCH_BODY, content=encode(item), urgency=question.urgency),
        lookup_id=lookup_id,
        case_id=question.case_id,
        case=case,
        about=question.selector,
        dossier=DOSSIER_OF[question.selector.kind],
    )
    occasion = occasion_of(errand, case, urgency=question.urgency)
    questions: list[Question] = []
    for name in _provinces(errand, question, case):
        errand.in_force.member(name)
        dossier = DossierFacts(province=name, kind=step.dossier.value)
        request = search_request(errand.agency, dossier, occasion=occasion)
        questions.append(Question(node=name, ruling=rule(errand, request), request=request))
    kept = await take_step(errand, step, questions)
    return await _result(node, kept, fresh=kept.lookup_id == lookup_id)


def _provinces(errand: Errand, question: LookupQuestion, case: LookupCase | None) -> Sequence[NodeName]:
    """Those asked for, else those that the case names; under an unknown case all, so that each no is told."""
    if question.provinces:
        return tuple(dict.fromkeys(question.provinces))
    named = case_provinces(case) if case is not None else frozenset(errand.in_force.agreement.members)
    return sorted(named - {errand.node.name})


def _question_text(question: LookupQuestion) -> str:
    selector = question.selector
    return f"{question.case_id} {selector.kind} {selector.value} {','.join(question.provinces)} {question.urgency}"


async def _result(node: Node, kept: Kept, *, fresh: bool) -> SearchResult:
    answers = await asyncio.gather(*(_answer(node, line, fresh=fresh) for line in kept.lines))
    return SearchResult(lookup_id=kept.lookup_id, answers=tuple(answers))


async def _answer(node: Node, line: KeptLine, *, fresh: bool) -> ProvinceAnswer:
    """What a province answered, or why it was not asked."""
    decision: Decision = line.ruling
    if decision.allowed:
        (response,) = await replies(node, [line.digest], seconds=WAIT_SECONDS, received=decision.by_desk, fresh=fresh)
        refusal = refusal_of(node, response)
        if refusal is None and response.body is not None:
            item = decode_answer_item(response.body.items[0])
            outcome = Outcome.HIT if item.hit else Outcome.NO_HIT
            return ProvinceAnswer(node=line.node, outcome=outcome, handle=item.handle, expires=item.expires)
        if refusal is None:
            return ProvinceAnswer(node=line.node, outcome=silent_outcome(response), expires=waits_until(response))
        decision = refusal
    return ProvinceAnswer(
        node=line.node,
        outcome=Outcome.REFUSED,
        policies=decision.policies,
        title_zh=decision.title_zh,
        title_en=decision.title_en,
        explanation_zh=line.ruling.explanation_zh,
        explanation_en=line.ruling.explanation_en,
    )
