"""The second step: named fields of one hit, signed by the officer's own key.

The certificate alone is not enough: the key is the one registered at the node for this officer. Who has another key, or
a handle that this agency did not get, is refused by rule, which is logged like a refusal by policy.
Source: misuse controls M1, M3 and M11.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime

from federation.domain.lookups import (
    DOSSIER_OF,
    FETCH_BODY,
    FetchItem,
    Outcome,
    Selector,
    Urgency,
    decode_search_item,
    parse_handle,
    verify_fields,
    verify_step_up,
)
from federation.domain.lookups_policy import DossierFacts, fetch_request
from federation.domain.registers import DossierKind
from federation.node.exchange.errand import Errand, asked_digest, record_refusal, rule
from federation.node.exchange.replies import only_item, replies
from federation.node.lookups import records
from federation.node.lookups.asking.kept import Kept
from federation.node.lookups.asking.outcomes import refusal_of, silent_outcome, waits_until
from federation.node.lookups.asking.question import WAIT_SECONDS, Question, Said, Step, occasion_of, take_step
from federation.node.lookups.asking.refusals import rule_refusal
from federation.node.lookups.cases import find_own_case
from federation.node.lookups.kinds import FETCH_KIND
from federation.node.officers import find_officer_key
from federation.node.retention.release import read_release
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import NotFoundError, RuleError, UntrustedError
from federation.protocol.form import encode
from federation.protocol.ids import MessageId, NodeName, format_message_id
from federation.protocol.keys import format_public_key
from federation.protocol.policy import Decision
from federation.protocol.statement import decode_statement
from federation.store.messages import find_by_digest, load_body, load_message
from federation.wire.agency.lookups import FetchQuestion, FetchResult
from federation.wire.values import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """The search of this agency that a handle came of."""

    lookup_id: MessageId
    about: Selector


async def fetch(errand: Errand, question: FetchQuestion) -> FetchResult:
    """Asks for named fields of one hit; a repeat of the request gets the same fetch.

    Raises:
        MalformedError: LOOKUP_FIELD, HANDLE_FORM, BASE64, STEP_UP_FORM.
        ConflictError: REQUEST_ID_REUSED.
        NotFoundError: NOT_A_MEMBER for a province that the agreement does not name.
    """
    errand.in_force.member(question.node)
    held = _find_held(errand, question.node, parse_handle(question.handle))
    case = find_own_case(errand, question.case_id)
    item = FetchItem(
        lookup_id=held.lookup_id if held is not None else format_message_id(errand.node.now(), os.urandom(10)),
        handle=question.handle,
        fields=verify_fields(question.fields),
        officer_key=question.officer_key,
        officer_signature=question.officer_signature,
    )
    what = f"{question.case_id} {question.node} {item.handle} {','.join(sorted(item.fields))} {item.officer_key}"
    step = Step(
        asked=asked_digest(errand, FETCH_KIND, what),
        said=Said(kind=FETCH_KIND, body_type=FETCH_BODY, content=encode(item), urgency=Urgency.ROUTINE),
        lookup_id=item.lookup_id,
        case_id=question.case_id,
        case=case,
        about=held.about if held is not None else None,
        dossier=DOSSIER_OF[held.about.kind] if held is not None else DossierKind.PERMIT,
        fields=item.fields,
    )
    ruled = _rule_fetch(errand, question.node, item, step=step, held=held is not None)
    return await _result(errand, await take_step(errand, step, [ruled]))


def _rule_fetch(errand: Errand, name: NodeName, item: FetchItem, *, step: Step, held: bool) -> Question:
    """Who asks, then whether they may, then for what: the first no ends it."""
    try:
        _verify_officer(errand, item)
    except RuleError as error:
        return Question(node=name, ruling=rule_refusal(errand, error), request=None)
    occasion = occasion_of(errand, step.case, step_up=True)
    dossier = DossierFacts(province=name, kind=step.dossier.value)
    request = fetch_request(errand.agency, dossier, occasion=occasion, fields=item.fields)
    ruling = rule(errand, request)
    if ruling.allowed and not held:
        unknown = RuleError("HANDLE_UNKNOWN", f"this agency got no such handle of {name}; search first")
        return Question(node=name, ruling=rule_refusal(errand, unknown), request=None)
    return Question(node=name, ruling=ruling, request=request)


def _verify_officer(errand: Errand, item: FetchItem) -> None:
    """The officer's own key signs each fetch: it is registered at the node, by the officer's pseudonym."""
    registered = find_officer_key(errand.node.database, errand.caller, errand.act.officer)
    try:
        signed_by = format_public_key(verify_step_up(item))
    except UntrustedError as error:
        raise RuleError("OFFICER_KEY", f"expected the officer's own signature: {error.message}") from error
    if signed_by != registered:
        raise RuleError(
            "OFFICER_KEY",
            f"expected the key that {errand.caller} registered for officer {errand.act.officer!r:.70}; "
            "register it with 'bridgehead lookup key register'",
        )


def _find_held(errand: Errand, name: NodeName, handle: str) -> _Held | None:
    """The search that a handle came of: nobody fetches with a handle that their own agency did not get."""
    database = errand.node.database
    digest = records.find_held(database, handle, owner=name)
    message = find_by_digest(database, "sent", digest) if digest is not None else None
    if message is None:
        return None
    statement = decode_statement(parse_envelope(message.envelope).payload)
    if statement.sender.agency != errand.caller:
        return None
    try:
        item = decode_search_item(only_item(load_body(database, message.id)), errand.in_force.agreement.realm)
    except NotFoundError:  # the search was erased: nothing may be fetched by it any more
        return None
    return _Held(lookup_id=item.lookup_id, about=item.selector)


async def _result(errand: Errand, kept: Kept) -> FetchResult:
    node, line = errand.node, kept.lines[0]
    if not line.ruling.allowed:
        return _refused(line.ruling, ruling=line.ruling)
    by_desk = line.ruling.by_desk
    (response,) = await replies(node, [line.digest], seconds=WAIT_SECONDS, received=by_desk)
    refusal = refusal_of(node, response)
    if refusal is not None:
        return _refused(refusal, ruling=line.ruling)
    if response.body is None:
        return FetchResult(outcome=silent_outcome(response), decision=line.ruling, expires=waits_until(response))
    return await _read(errand, kept, ends=response.reply.ends if response.reply is not None else None)


async def _read(errand: Errand, kept: Kept, *, ends: datetime | None) -> FetchResult:
    """What was released, under a watermark; a repeat of the request reads it again, and is judged as such."""
    line = kept.lines[0]
    message = load_message(errand.node.database, "sent", MessageId(line.message_id))
    read = await read_release(errand, message, lookup_id=kept.lookup_id)
    if read.watermark is None:
        await record_refusal(errand, read.ruling, asked=[read.request])
        return _refused(read.ruling, ruling=read.ruling)
    return FetchResult(
        outcome=Outcome.HIT, decision=line.ruling, fields=read.fields, expires=ends, watermark=read.watermark
    )


def _refused(decision: Decision, *, ruling: Ruling) -> FetchResult:
    return FetchResult(
        outcome=Outcome.REFUSED,
        decision=ruling,
        policies=decision.policies,
        title_zh=decision.title_zh,
        title_en=decision.title_en,
    )
