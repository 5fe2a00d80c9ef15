"""How an officer of this province asks the others: bound to an open case, minimal, with one honest result a province.

Own policy decides first, for each province; quotas are counted before anything leaves; each question is a signed
statement that dies with its urgency. What comes back is hit, no hit, refused (by which policy), unreachable or expired.
Source: DESIGN section 3 (asking), misuse controls M1 to M4.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

from federation.domain.lookup.asking import (
    DOSSIER_OF,
    SEARCH_BODY,
    Outcome,
    SearchItem,
    Urgency,
    decode_answer_item,
    encode_search_item,
    verify_selector,
)
from federation.domain.lookup.case import (
    verify_open,
)
from federation.domain.lookup_policy import (
    DossierFacts,
    search_request,
)
from federation.node.lookups import records
from federation.node.lookups.asking.counting import Line
from federation.node.lookups.asking.question import occasion_of, send_and_wait
from federation.node.lookups.cases import Said, draft_of, own_case
from federation.node.lookups.kinds import SEARCH_KIND
from federation.node.node import Node
from federation.node.permits.ruling import Errand, begin_errand, record_refusal, rule
from federation.protocol.ids import (
    AgencyId,
    NodeName,
    format_message_id,
)
from federation.protocol.policy import Decision
from federation.wire.identity import calling_desk
from federation.wire.lookups.values import LookupQuestion, ProvinceAnswer, SearchResult
from federation.wire.values import Act


async def search(node: Node, question: LookupQuestion, *, home: Path, caller: AgencyId, act: Act) -> SearchResult:
    """Asks one, several or all provinces whether they hold a record of one person or thing.

    Raises:
        MalformedError: as `verify_selector`.
        NotFoundError: CASE_UNKNOWN; RuleError: CASE_*, QUOTA_*.
    """
    errand = begin_errand(node, caller, act)
    verify_selector(question.selector, errand.in_force.agreement.realm)
    case = verify_open(own_case(errand, question.case_id), node.now())
    provinces = question.provinces or tuple(sorted(errand.in_force.agreement.members.keys() - {node.name}))
    for name in provinces:
        errand.in_force.member(name)
    lookup_id = format_message_id(node.now(), os.urandom(10))
    item = SearchItem(lookup_id=lookup_id, selector=question.selector, case_id=case.case_id)
    line = Line(
        lookup_id=lookup_id,
        case=case,
        selector=question.selector,
        kind=DOSSIER_OF[question.selector.kind],
        desk=calling_desk(),
        home=home,
    )
    answers = await asyncio.gather(
        *(_ask_one(errand, name, line=line, item=item, urgency=question.urgency) for name in provinces)
    )
    return SearchResult(lookup_id=lookup_id, answers=tuple(answers))


async def _ask_one(errand: Errand, name: NodeName, *, line: Line, item: SearchItem, urgency: Urgency) -> ProvinceAnswer:
    occasion = occasion_of(errand, line.case, urgency=urgency)
    dossier = DossierFacts(province=name, kind=DOSSIER_OF[item.selector.kind].value)
    request = search_request(errand.agency, dossier, occasion=occasion)
    ruling = rule(errand, request)
    if not ruling.decision.allowed:
        await record_refusal(errand, ruling, asked=[request])
        return refused_answer(name, ruling.decision)
    said = Said(kind=SEARCH_KIND, body_type=SEARCH_BODY, content=encode_search_item(item), urgency=urgency)
    draft = replace(draft_of(errand, name, said, case=line.case, decision=ruling.decision), asked=(request,))
    digest, state = await send_and_wait(errand, draft, line)
    if isinstance(state, Decision):
        return refused_answer(name, state)
    reply = records.find_reply(errand.node.database, digest)
    if state is not None or reply is None:
        return ProvinceAnswer(node=name, outcome=state or Outcome.EXPIRED)
    answer = decode_answer_item(reply)
    outcome = Outcome.HIT if answer.hit else Outcome.NO_HIT
    return ProvinceAnswer(node=name, outcome=outcome, handle=answer.handle, expires=answer.expires)


def refused_answer(name: NodeName, decision: Decision) -> ProvinceAnswer:
    """A refusal as the answer of that province."""
    return ProvinceAnswer(
        node=name,
        outcome=Outcome.REFUSED,
        policies=decision.policies,
        title_zh=decision.title_zh,
        title_en=decision.title_en,
    )
