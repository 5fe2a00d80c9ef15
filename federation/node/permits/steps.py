"""What an agency does with its own county's permits: register, endorse, suspend, restore, revoke, show, list.

Every step: the caller is the certificate's agency; our policy decides; the domain rule decides; then one transaction
takes the new version and the messages to every entitled province. A refusal by policy is returned and logged; a step
that the law does not allow raises. The same `request_id` gives the same answer, whatever happened in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.permits import (
    Permit,
    PermitApplication,
    PermitStatus,
    PermitUrn,
    decode_permit,
    decode_permit_item,
    endorse_permit,
    format_permit_urn,
    keep_fields,
    project_permit,
    register_permit,
    restore_permit,
    revoke_permit,
    suspend_permit,
)
from federation.domain.permits_policy import (
    PermitChange,
    PermitFacts,
    change_request,
    item_facts,
    permit_facts,
    read_request,
)
from federation.node.exchange.errand import Errand, asked_digest, record_refusal, rule
from federation.node.exchange.send import send
from federation.node.permits.recognition import recognitions_of
from federation.node.permits.records import (
    Done,
    find_outdated,
    find_own_permit,
    find_permit_record,
    find_request,
    list_permit_records,
    load_own_version,
    page_token,
    put_own_permits,
    put_request,
    take_urn,
)
from federation.node.permits.sharing import draft_sharing
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace, to_object
from federation.protocol.policy import PolicyRequest
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record
from federation.wire.agency.permits import PermitAnswer, PermitPage, PermitQuery, PermitReading, PermitRevocation
from federation.wire.values import Ruling

MAX_PAGE = 1000


async def register(errand: Errand, application: PermitApplication) -> PermitAnswer:
    """Issues a permit and brings it to every entitled province.

    Raises:
        ConflictError: REQUEST_ID_REUSED when the id came with another application before.
        MalformedError: the reasons of the citizen number and its realm.
        RuleError: what the law does not allow (`register_permit`).
        UnavailableError: nothing was written; the same request may be sent again.
    """
    node = errand.node
    asked = asked_digest(errand, PermitChange.REGISTER, _application_text(application))
    if (done := find_request(node.database, errand.act.request_id, asked=asked)) is not None:
        return _done_before(errand, PermitChange.REGISTER, done)
    verify_citizen_number(application.holder.citizen_number, errand.in_force.agreement.realm)
    today = node.today()
    trial = register_permit(
        application, format_permit_urn(application.residence_division, today.year, serial="0"), today=today
    )
    request = _change_request(errand, PermitChange.REGISTER, trial)
    ruling = rule(errand, request)
    if not ruling.allowed:
        await record_refusal(errand, ruling, asked=[request])
        return PermitAnswer(decision=ruling)
    taken = await node.sequencer.commit(lambda tx: take_urn(tx, application.residence_division, today.year))
    return await _write(errand, replace(trial, urn=taken.value), before=0, ruling=ruling, asked=asked)


async def endorse(errand: Errand, urn: PermitUrn) -> PermitAnswer:
    """Endorses (签注) a permit in the month before its full year (article 10)."""
    return await _step(errand, urn, PermitChange.ENDORSE, step=partial(endorse_permit, today=errand.node.today()))


async def suspend(errand: Errand, urn: PermitUrn) -> PermitAnswer:
    """Records that a permit stopped working because its endorsement is late (article 10)."""
    return await _step(errand, urn, PermitChange.SUSPEND, step=partial(suspend_permit, today=errand.node.today()))


async def restore(errand: Errand, urn: PermitUrn) -> PermitAnswer:
    """Restores a suspended permit by a late endorsement; the years count anew (article 10)."""
    return await _step(errand, urn, PermitChange.RESTORE, step=partial(restore_permit, today=errand.node.today()))


async def revoke(errand: Errand, revocation: PermitRevocation) -> PermitAnswer:
    """Revokes (注销) a permit for good."""
    step = partial(revoke_permit, reason=revocation.reason, today=errand.node.today())
    return await _step(errand, revocation.urn, PermitChange.REVOKE, step=step, what=revocation.reason)


async def show(errand: Errand, urn: PermitUrn) -> PermitReading:
    """Shows the fields of an own permit or a copy that policy releases to this agency for this purpose.

    Raises:
        NotFoundError: PERMIT_UNKNOWN when this node holds neither.
    """
    node = errand.node
    record = find_permit_record(node.database, urn)
    if record is None:
        raise NotFoundError("PERMIT_UNKNOWN", f"this node holds no permit {urn}; its issuing county may")
    request, answer = _view(errand, record)
    if not answer.decision.allowed:
        await record_refusal(errand, answer.decision, asked=[request])
        return PermitReading(decision=answer.decision)
    links = recognitions_of(node.database, urn, errand.in_force.agreement.realm)
    return PermitReading(
        decision=answer.decision,
        permit=answer.permit,
        recognitions=links,
        outdated_by=find_outdated(node.database, record),
    )


async def list_permits(errand: Errand, query: PermitQuery) -> PermitPage:
    """Lists the permits and copies that policy lets this agency read, each with the fields it may have.

    What policy does not release is left out without a trace. Refused as a whole when the agency may not even read its
    own county's permits for that purpose.
    """
    size = min(query.page_size, MAX_PAGE)
    records = list_permit_records(errand.node.database, query, limit=size)
    answers = [_view(errand, record)[1] for record in records]
    readable = [answer for answer in answers if answer.permit is not None]
    own = PermitFacts(issuing_division=errand.caller.county, household_division=None, status=PermitStatus.VALID)
    request = _read_request(errand, own)
    ruling = readable[0].decision if readable else rule(errand, request)
    if not ruling.allowed:
        await record_refusal(errand, ruling, asked=[request])
        return PermitPage(decision=ruling)
    return PermitPage(
        decision=ruling,
        permits=tuple(answer.permit for answer in readable if answer.permit is not None),
        next_page_token=page_token(errand.node.database, records[-1]) if len(records) == size else "",
    )


async def _step(
    errand: Errand, urn: PermitUrn, change: PermitChange, *, step: Callable[[Permit], Permit], what: str = ""
) -> PermitAnswer:
    database = errand.node.database
    asked = asked_digest(errand, change, f"{urn} {what}")
    if (done := find_request(database, errand.act.request_id, asked=asked)) is not None:
        return _done_before(errand, change, done)
    before = find_own_permit(database, urn)
    if before is None:
        raise NotFoundError("PERMIT_UNKNOWN", f"this node issued no permit {urn}; only its owner can change it")
    request = _change_request(errand, change, before)
    ruling = rule(errand, request)
    if not ruling.allowed:
        await record_refusal(errand, ruling, asked=[request])
        return PermitAnswer(decision=ruling)
    return await _write(errand, step(before), before=before.version, ruling=ruling, asked=asked)


async def _write(errand: Errand, permit: Permit, *, before: int, ruling: Ruling, asked: str) -> PermitAnswer:
    """Writes a new version together with the messages that bring it to the entitled provinces."""
    node, act = errand.node, errand.act
    done = Done(asked=asked, urn=permit.urn, version=permit.version)

    def rows(transaction: GroupTransaction) -> None:
        put_request(transaction, act.request_id, done, owner=node.name)
        put_own_permits(transaction, [permit], owner=node.name, before=before)

    drafts = draft_sharing(errand, [permit])
    await send(node, drafts, rows=rows)
    return _answer(errand, permit, ruling=ruling)


def _done_before(errand: Errand, change: PermitChange, done: Done) -> PermitAnswer:
    """The answer of a repeat: the version that the request made, whatever became of the permit since."""
    permit = load_own_version(errand.node.database, done.urn, done.version)
    ruling = rule(errand, _change_request(errand, change, permit))
    return _answer(errand, permit, ruling=ruling) if ruling.allowed else PermitAnswer(decision=ruling)


def _change_request(errand: Errand, change: PermitChange, permit: Permit) -> PolicyRequest:
    facts = permit_facts(permit, today=errand.node.today())
    return change_request(change, errand.agency, permit=facts, occasion=errand.occasion)


def _answer(errand: Errand, permit: Permit, *, ruling: Ruling) -> PermitAnswer:
    """What the agency that made a change may see of it: the fields that policy lets it read for the same purpose."""
    reading = rule(errand, _read_request(errand, permit_facts(permit, today=errand.node.today())))
    item = project_permit(permit, reading.fields) if reading.allowed else None
    return PermitAnswer(decision=ruling, permit=item)


def _application_text(application: PermitApplication) -> str:
    """All that an application says, in one order: for comparing only."""
    fields = asdict(application) | {"papers": sorted(application.papers), "holder": to_object(application.holder)}
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, default=str)


def _view(errand: Errand, record: Record) -> tuple[PolicyRequest, PermitAnswer]:
    """What was asked of policy about a record, and what the caller may see of it."""
    today = errand.node.today()
    if record.replica:
        copy = decode_permit_item(record.content, errand.in_force.agreement.realm)
        request = _read_request(errand, item_facts(copy, today=today))
        ruling = rule(errand, request)
        item = keep_fields(copy, ruling.fields)
    else:
        permit = decode_permit(record.content)
        request = _read_request(errand, permit_facts(permit, today=today))
        ruling = rule(errand, request)
        item = project_permit(permit, ruling.fields)
    return request, PermitAnswer(decision=ruling, permit=item if ruling.allowed else None)


def _read_request(errand: Errand, facts: PermitFacts) -> PolicyRequest:
    return read_request(errand.agency, facts, occasion=errand.occasion)
