"""The second step: named fields of one hit, signed by the key that is registered here for this officer.

Who has another key, or a handle that this agency did not get, is refused by rule, logged. Source: M1, M3, M11.
"""

from __future__ import annotations

import os
from datetime import datetime

from federation.domain.lookups import (
    DOSSIER_OF,
    FetchItem,
    Outcome,
    SearchItem,
    Urgency,
    decode_search_item,
    parse_handle,
    verify_fields,
    verify_step_up,
)
from federation.domain.lookups_case import DossierFacts, fetch_request, lookup_occasion
from federation.domain.registers import DossierKind
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.replies import only_item, replies, statement_of
from federation.node.lookups import records
from federation.node.lookups.answer import FETCH
from federation.node.lookups.ask import (
    WAIT_SECONDS,
    Asking,
    Step,
    StepTaken,
    find_own_case,
    for_case,
    silent_outcome,
    take_step,
    waits_until,
)
from federation.node.lookups.records import refusal_of, rule_refusal
from federation.node.officer_keys import tell_key
from federation.node.officers import find_officer_key
from federation.node.readings import read_release
from federation.protocol.errors import NotFoundError, RuleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, NodeName, format_message_id
from federation.protocol.keys import format_public_key
from federation.protocol.policy import Decision
from federation.store.messages import find_by_digest, load_body, load_message
from federation.wire.agency import lookups as wire
from federation.wire.agency.lookups import FetchQuestion, FetchResult
from federation.wire.rpc import Ruling


@on(wire.FETCH)
async def fetch(errand: Errand, question: FetchQuestion) -> FetchResult:
    """Asks for named fields of one hit; a repeat of the request gets the same fetch.

    Refuses LOOKUP_FIELD, HANDLE_FORM, BASE64, STEP_UP_FORM, REQUEST_ID_REUSED, NOT_A_MEMBER.
    """
    errand.in_force.member(question.node)
    case = find_own_case(errand, question.case_id)
    errand = for_case(errand, case)
    search_item = _find_search(errand, question.node, parse_handle(question.handle))
    lookup_id = format_message_id(errand.node.now(), os.urandom(10)) if search_item is None else search_item.lookup_id
    about = search_item.selector if search_item is not None else None
    item = FetchItem(
        lookup_id=lookup_id,
        handle=question.handle,
        fields=verify_fields(question.fields),
        officer_key=question.officer_key,
        officer_signature=question.officer_signature,
    )
    what = f"{question.case_id} {question.node} {item.handle} {','.join(sorted(item.fields))} {item.officer_key}"
    step = Step(
        asked=errand.asked(FETCH.name, what),
        kind=FETCH,
        item=item,
        urgency=Urgency.ROUTINE,
        lookup_id=lookup_id,
        case_id=question.case_id,
        case=case,
        about=about,
        dossier=DOSSIER_OF[about.kind] if about is not None else DossierKind.PERMIT,
        fields=item.fields,
    )
    asking = _rule_fetch(errand, step, item, name=question.node)
    if asking.allowed and errand.remembered(step.asked, StepTaken) is None:
        await tell_key(errand, question.node)
    taken = await take_step(errand, step, [asking])
    line = taken.lines[0]
    if not line.ruling.allowed:
        return _not_released(line.ruling, ruling=line.ruling)
    (response,) = await replies(errand.node, [line.digest], seconds=WAIT_SECONDS, received=line.ruling.by_desk)
    refusal = refusal_of(errand.node, response)
    if refusal is not None:
        return _not_released(refusal, ruling=line.ruling)
    if response.body is None:
        return FetchResult(
            outcome=silent_outcome(response),
            decision=line.ruling,
            expires=waits_until(response),
            lookup_id=taken.lookup_id,
        )
    return await _read(errand, taken, ends=response.reply.ends if response.reply is not None else None)


def _find_search(errand: Errand, name: NodeName, handle: str) -> SearchItem | None:
    """The search that a handle came of: nobody fetches with a handle that their own agency did not get."""
    database = errand.node.database
    digest = records.find_held(database, handle, owner=name)
    message = find_by_digest(database, "sent", digest) if digest is not None else None
    if message is None or statement_of(message).sender.agency != errand.caller:
        return None
    try:
        return decode_search_item(only_item(load_body(database, message.id)), errand.in_force.agreement.realm)
    except NotFoundError:  # the search was erased: nothing may be fetched by it any more
        return None


def _rule_fetch(errand: Errand, step: Step, item: FetchItem, *, name: NodeName) -> Asking:
    """Rules a fetch: who asks, then whether they may, then for what; the first refusal ends it."""
    try:
        _verify_officer(errand, item)
    except RuleError as error:
        return Asking(node=name, ruling=rule_refusal(errand, error), request=None)
    occasion = lookup_occasion(errand.occasion, step.case, asker=errand.caller, now=errand.node.now())
    dossier = DossierFacts(province=name, kind=step.dossier.value)
    request = fetch_request(errand.agency, dossier, occasion=replace(occasion, step_up=True), fields=item.fields)
    ruling = errand.rule(request, to=name)
    if ruling.allowed and step.about is None:
        unknown = RuleError("HANDLE_UNKNOWN", f"this agency got no such handle of {name}; search first")
        return Asking(node=name, ruling=rule_refusal(errand, unknown), request=None)
    return Asking(node=name, ruling=ruling, request=request)


def _verify_officer(errand: Errand, item: FetchItem) -> None:
    registered = find_officer_key(errand.node.database, errand.caller, errand.act.officer)
    try:
        signed_by = format_public_key(verify_step_up(item))
    except UntrustedError as error:
        raise RuleError("OFFICER_KEY", f"expected the officer's own signature: {error.message}") from error
    if signed_by != registered:
        raise RuleError(
            "OFFICER_KEY",
            f"expected the key that {errand.caller} registered for officer {errand.act.officer!r:.70}; "
            "offer it with 'bridgehead lookup key offer'",
        )


async def _read(errand: Errand, taken: StepTaken, *, ends: datetime | None) -> FetchResult:
    """Returns what was released, under a watermark; a repeat of the request reads it again, and is judged as such."""
    line = taken.lines[0]
    message = load_message(errand.node.database, "sent", MessageId(line.message_id))
    read = await read_release(errand, message, lookup_id=taken.lookup_id)
    if read.watermark is None:
        await errand.refuse(read.ruling, asked=[read.request])
        return _not_released(read.ruling, ruling=read.ruling)
    return FetchResult(
        outcome=Outcome.HIT, decision=line.ruling, fields=read.fields, expires=ends, watermark=read.watermark
    )


def _not_released(decision: Decision, *, ruling: Ruling) -> FetchResult:
    return FetchResult(
        outcome=Outcome.REFUSED,
        decision=ruling,
        policies=decision.policies,
        title_zh=decision.title_zh,
        title_en=decision.title_en,
    )
