"""The steps of an agency with its own county's permits: register, endorse, suspend, restore, revoke, show, list.

The caller is the certificate's agency; our policy decides; the domain rule decides; then one transaction takes the new
version and the messages. A no of policy is returned and logged; a step that the law does not allow raises. The same
`request_id` gives the same answer, whatever happened in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
from federation.node.exchange.errand import Errand, on
from federation.node.permits_sharing import (
    PERMIT,
    draft_sharing,
    find_outdated,
    find_own_permit,
    load_own_version,
    put_own_permits,
    take_urn,
)
from federation.node.recognition import recognitions_of
from federation.protocol.errors import NotFoundError
from federation.protocol.form import Count, Item, replace, to_object
from federation.protocol.policy import PolicyRequest
from federation.store.collection import open_token, seal_token
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, list_records
from federation.wire.agency import permits as wire
from federation.wire.agency.permits import PermitAnswer, PermitPage, PermitQuery, PermitReading, PermitRevocation
from federation.wire.rpc import Ruling

MAX_PAGE = 1000


class PermitMade(Item, frozen=True, kw_only=True):
    urn: PermitUrn
    version: Count


@on(wire.REGISTER_PERMIT)
async def register(errand: Errand, application: PermitApplication) -> PermitAnswer:
    """Issues a permit and brings it to every entitled province. Refuses REQUEST_ID_REUSED and as `register_permit`."""
    node = errand.node
    asked = errand.asked(PermitChange.REGISTER, application_text(application))
    if (known := errand.remembered(asked, PermitMade)) is not None:
        return _repeated_answer(errand, PermitChange.REGISTER, known.answer)
    verify_citizen_number(application.holder.citizen_number, errand.in_force.agreement.realm)
    today = node.today()
    trial = register_permit(
        application, format_permit_urn(application.residence_division, today.year, serial="0"), today=today
    )
    ruling = await errand.ask(_change_question(errand, PermitChange.REGISTER, trial))
    if not ruling.allowed:
        return PermitAnswer(decision=ruling)
    taken = await node.sequencer.commit(lambda tx: take_urn(tx, application.residence_division, today.year))
    return await _write(errand, replace(trial, urn=taken.value), before=0, ruling=ruling, asked=asked)


@on(wire.ENDORSE_PERMIT)
async def endorse(errand: Errand, urn: PermitUrn) -> PermitAnswer:
    """Endorses (签注) a permit in the month before its full year (article 10)."""
    return await _step(errand, urn, PermitChange.ENDORSE, step=partial(endorse_permit, today=errand.node.today()))


@on(wire.SUSPEND_PERMIT)
async def suspend(errand: Errand, urn: PermitUrn) -> PermitAnswer:
    """Records that a permit stopped working because its endorsement is late (article 10)."""
    return await _step(errand, urn, PermitChange.SUSPEND, step=partial(suspend_permit, today=errand.node.today()))


@on(wire.RESTORE_PERMIT)
async def restore(errand: Errand, urn: PermitUrn) -> PermitAnswer:
    """Restores a suspended permit by a late endorsement; the years count anew (article 10)."""
    return await _step(errand, urn, PermitChange.RESTORE, step=partial(restore_permit, today=errand.node.today()))


@on(wire.REVOKE_PERMIT)
async def revoke(errand: Errand, revocation: PermitRevocation) -> PermitAnswer:
    step = partial(revoke_permit, reason=revocation.reason, today=errand.node.today())
    return await _step(errand, revocation.urn, PermitChange.REVOKE, step=step, what=revocation.reason)


@on(wire.GET_PERMIT)
async def show(errand: Errand, urn: PermitUrn) -> PermitReading:
    """Shows the fields of a permit or copy that policy releases to this agency. Refuses PERMIT_UNKNOWN."""
    node = errand.node
    own = find_record(node.database, PERMIT, urn, replica=False)
    record = own or find_record(node.database, PERMIT, urn, replica=True)
    if record is None:
        raise NotFoundError("PERMIT_UNKNOWN", f"this node holds no permit {urn}; its issuing county may")
    question, answer = _view(errand, record)
    if not answer.decision.allowed:
        await errand.refuse(answer.decision, asked=[question])
        return PermitReading(decision=answer.decision)
    links = recognitions_of(node.database, urn, errand.in_force.agreement.realm)
    return PermitReading(
        decision=answer.decision,
        permit=answer.permit,
        recognitions=links,
        outdated_by=find_outdated(node.database, record),
    )


@on(wire.LIST_PERMITS)
async def list_permits(errand: Errand, query: PermitQuery) -> PermitPage:
    """Lists the permits and copies that policy releases, the others left out without a trace.

    Refused as a whole when the agency may not even read its own county's permits for that purpose.
    """
    size = min(query.page_size, MAX_PAGE)
    records = _list_records(errand.node.database, query, limit=size)
    answers = [_view(errand, record)[1] for record in records]
    readable = [answer for answer in answers if answer.permit is not None]
    own = PermitFacts(issuing_division=errand.caller.county, household_division=None, status=PermitStatus.VALID)
    ruling = readable[0].decision if readable else await errand.ask(_read_question(errand, own))
    if not ruling.allowed:
        return PermitPage(decision=ruling)
    return PermitPage(
        decision=ruling,
        permits=tuple(answer.permit for answer in readable if answer.permit is not None),
        next_page_token=_page_token(errand.node.database, records[-1]) if len(records) == size else "",
    )


async def _step(
    errand: Errand, urn: PermitUrn, change: PermitChange, *, step: Callable[[Permit], Permit], what: str = ""
) -> PermitAnswer:
    asked = errand.asked(change, f"{urn} {what}")
    if (known := errand.remembered(asked, PermitMade)) is not None:
        return _repeated_answer(errand, change, known.answer)
    before = find_own_permit(errand.node.database, urn)
    if before is None:
        raise NotFoundError("PERMIT_UNKNOWN", f"this node issued no permit {urn}; only its owner can change it")
    ruling = await errand.ask(_change_question(errand, change, before))
    if not ruling.allowed:
        return PermitAnswer(decision=ruling)
    return await _write(errand, step(before), before=before.version, ruling=ruling, asked=asked)


async def _write(errand: Errand, permit: Permit, *, before: int, ruling: Ruling, asked: str) -> PermitAnswer:
    """Writes a new version together with the messages that bring it to the entitled provinces."""

    def write(transaction: GroupTransaction) -> PermitMade:
        put_own_permits(transaction, [permit], owner=errand.node.name, before=before)
        return PermitMade(urn=permit.urn, version=permit.version)

    made = await errand.once(asked, PermitMade, write, drafts=draft_sharing(errand, [permit]))
    return _answer(errand, load_own_version(errand.node.database, made.urn, made.version), ruling=ruling)


def _repeated_answer(errand: Errand, change: PermitChange, made: PermitMade) -> PermitAnswer:
    """The answer of a repeat: the version that the request made, whatever became of the permit since."""
    permit = load_own_version(errand.node.database, made.urn, made.version)
    ruling = errand.rule(_change_question(errand, change, permit))
    return _answer(errand, permit, ruling=ruling) if ruling.allowed else PermitAnswer(decision=ruling)


def _change_question(errand: Errand, change: PermitChange, permit: Permit) -> PolicyRequest:
    facts = permit_facts(permit, today=errand.node.today())
    return change_request(change, errand.agency, permit=facts, occasion=errand.occasion)


def _answer(errand: Errand, permit: Permit, *, ruling: Ruling) -> PermitAnswer:
    """Returns the fields of a changed permit that policy lets the agency read for the same purpose."""
    reading = errand.rule(_read_question(errand, permit_facts(permit, today=errand.node.today())))
    item = project_permit(permit, reading.fields) if reading.allowed else None
    return PermitAnswer(decision=ruling, permit=item)


def application_text(application: PermitApplication) -> str:
    fields = asdict(application) | {"papers": sorted(application.papers), "holder": to_object(application.holder)}
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, default=str)


def _view(errand: Errand, record: Record) -> tuple[PolicyRequest, PermitAnswer]:
    """Returns the question put to policy about a record, and the fields that the caller may see."""
    today = errand.node.today()
    if record.replica:
        copy = decode_permit_item(record.content, errand.in_force.agreement.realm)
        question = _read_question(errand, item_facts(copy, today=today))
        ruling = errand.rule(question)
        item = keep_fields(copy, ruling.fields)
    else:
        permit = decode_permit(record.content)
        question = _read_question(errand, permit_facts(permit, today=today))
        ruling = errand.rule(question)
        item = project_permit(permit, ruling.fields)
    return question, PermitAnswer(decision=ruling, permit=item if ruling.allowed else None)


def _read_question(errand: Errand, facts: PermitFacts) -> PolicyRequest:
    return read_request(errand.agency, facts, occasion=errand.occasion)


def _list_records(database: Database, query: PermitQuery, *, limit: int) -> Sequence[Record]:
    token = open_token(database.keys, PERMIT, query.page_token) if query.page_token else ""
    replica = token.startswith("copy:")
    found: list[Record] = []
    for is_copy in (False, True):
        if is_copy < replica:
            continue
        after = token.removeprefix("copy:") if is_copy == replica else ""
        found.extend(
            list_records(
                database,
                PERMIT,
                after_id=after,
                limit=limit - len(found),
                replica=is_copy,
                division=query.residence_division,
                status=query.status.value if query.status else None,
            )
        )
        if len(found) == limit:
            break
    return found


def _page_token(database: Database, record: Record) -> str:
    """The token of the page after this record, which the caller may not be allowed to know of."""
    return seal_token(database.keys, PERMIT, f"copy:{record.id}" if record.replica else record.id)
