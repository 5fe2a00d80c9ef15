"""The second step: named fields of one hit, signed by the officer's own key.

The certificate alone is not enough. Source: misuse controls M1 and M3.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from federation.domain.lookup.asking import (
    FETCH_BODY,
    FetchItem,
    Outcome,
    Urgency,
    decode_answer_item,
    decode_release_item,
    encode_fetch_item,
    verify_fields,
    verify_step_up,
)
from federation.domain.lookup.case import (
    verify_open,
)
from federation.domain.lookup_policy import (
    DossierFacts,
    fetch_request,
)
from federation.node.lookups import records
from federation.node.lookups.asking.counting import Line
from federation.node.lookups.asking.question import occasion_of, send_and_wait
from federation.node.lookups.cases import Said, draft_of, own_case
from federation.node.lookups.kinds import FETCH_KIND, SEARCH_KIND
from federation.node.lookups.officers import find_officer_key
from federation.node.node import Node
from federation.node.permits.ruling import Errand, begin_errand, record_refusal, rule
from federation.protocol.errors import NotFoundError, UntrustedError
from federation.protocol.ids import (
    AgencyId,
    parse_message_id,
)
from federation.protocol.keys import format_public_key
from federation.protocol.policy import Decision
from federation.wire.identity import calling_desk
from federation.wire.lookups.values import FetchQuestion, FetchResult
from federation.wire.values import Act, Ruling


async def fetch(node: Node, question: FetchQuestion, *, home: Path, caller: AgencyId, act: Act) -> FetchResult:
    """Asks for named fields of one hit; the officer's own key signs, the certificate alone is not enough.

    Raises:
        MalformedError: LOOKUP_FIELD, HANDLE_FORM, STEP_UP_FORM.
        UntrustedError: OFFICER_KEY when the key is not the one registered for this officer, or did not sign.
        NotFoundError: CASE_UNKNOWN; RuleError: CASE_*.
    """
    errand = begin_errand(node, caller, act)
    case = verify_open(own_case(errand, question.case_id), node.now())
    searched = _search_of(errand, question.handle)
    item = FetchItem(
        lookup_id=parse_message_id(searched.lookup_id),
        handle=question.handle,
        fields=verify_fields(question.fields),
        officer_key=question.officer_key,
        officer_signature=question.officer_signature,
    )
    _verify_officer(home, errand, item)
    dossier = DossierFacts(province=question.node, kind=searched.kind.value)
    occasion = occasion_of(errand, case, step_up=True)
    request = fetch_request(errand.agency, dossier, occasion=occasion, fields=item.fields)
    ruling = rule(errand, request)
    if not ruling.decision.allowed:
        await record_refusal(errand, ruling, asked=[request])
        return _fetch_refused(ruling.decision, ruling=ruling)
    said = Said(kind=FETCH_KIND, body_type=FETCH_BODY, content=encode_fetch_item(item), urgency=Urgency.ROUTINE)
    draft = replace(draft_of(errand, question.node, said, case=case, decision=ruling.decision), asked=(request,))
    line = Line(lookup_id=item.lookup_id, case=case, selector=None, kind=searched.kind, desk=calling_desk(), home=home)
    digest, state = await send_and_wait(errand, draft, line)
    if isinstance(state, Decision):
        return _fetch_refused(state, ruling=ruling)
    content = records.find_reply(node.database, digest)
    if state is not None or content is None:
        return FetchResult(outcome=state or Outcome.EXPIRED, ruling=ruling)
    release = decode_release_item(content, errand.in_force.agreement.realm)
    return FetchResult(outcome=Outcome.HIT, ruling=ruling, fields=release.fields, expires=release.expires)


def _verify_officer(home: Path, errand: Errand, item: FetchItem) -> None:
    """The officer's own key signs each fetch: it is registered at home, by the officer's pseudonym."""
    key = verify_step_up(item)
    registered = find_officer_key(home, errand.caller, errand.act.officer)
    if registered is None or format_public_key(key) != registered:
        raise UntrustedError(
            "OFFICER_KEY",
            f"expected the key that {errand.caller} registered for officer {errand.act.officer!r:.70}; "
            "register it with 'bridgehead lookup key register'",
        )


def _search_of(errand: Errand, handle: str) -> records.Asked:
    """The search that a handle came of: nobody fetches with a handle that their own agency did not get."""
    for asked, _ in reversed(records.list_asked(errand.node.database, errand.caller)):
        content = records.find_reply(errand.node.database, asked.digest) if asked.step == SEARCH_KIND else None
        if content is not None and decode_answer_item(content).handle == handle:
            return asked
    raise NotFoundError("HANDLE_UNKNOWN", "this agency got no such handle; search first")


def _fetch_refused(decision: Decision, *, ruling: Ruling) -> FetchResult:
    return FetchResult(
        outcome=Outcome.REFUSED,
        ruling=ruling,
        policies=decision.policies,
        title_zh=decision.title_zh,
        title_en=decision.title_en,
    )
