"""The steps of an agency with its own county's permits: register, endorse, suspend, restore, revoke, show, list.

The caller is the certificate's agency; our policy decides; the domain rule decides; then one transaction takes the new
version and the messages. A no of policy is returned and logged; a step that the law does not allow raises. The same
`request_id` gives the same answer, whatever happened in between.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from itertools import takewhile
from typing import Final

from msgspec.structs import asdict

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.permits import (
    Permit,
    PermitApplication,
    PermitItem,
    PermitStatus,
    PermitUrn,
    endorse_permit,
    format_permit_urn,
    register_permit,
    restore_permit,
    revoke_permit,
    shown_permit,
    stored_as,
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
    decode_stored,
    draft_sharing,
    draw_urn,
    find_outdated,
    find_own_permit,
    list_doubles,
    load_own_version,
    write_own_permits,
)
from federation.node.recognition import copy_time, recognitions_of, unknown_facts
from federation.protocol.errors import NotFoundError
from federation.protocol.form import Count, Item, replace, to_object
from federation.protocol.policy import PolicyRequest
from federation.store.collection import open_token, seal_token
from federation.store.columns import blind_index
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_by_subject, find_record, list_records
from federation.wire.agency import permits as wire
from federation.wire.agency.permits import PermitAnswer, PermitPage, PermitQuery, PermitReading, PermitRevocation
from federation.wire.rpc import Ruling

MAX_PAGE = 1000
MAX_LOOKED_AT: Final = 10_000
"""So many records one page is looked for in."""
_AT_ONCE: Final = 200


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
    today = node.today()
    verify_citizen_number(application.holder.citizen_number, errand.in_force.agreement.realm, today=today)
    trial = register_permit(
        application, format_permit_urn(application.residence_division, today.year, serial="0"), today=today
    )
    ruling = await errand.ask(_change_question(errand, PermitChange.REGISTER, trial))
    if not ruling.allowed:
        return PermitAnswer(decision=ruling)
    urn = draw_urn(node.database, application.residence_division, today.year)
    return await _write(errand, replace(trial, urn=urn), before=0, ruling=ruling, asked=asked)


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
    """Shows the fields of a permit or copy that policy releases to this agency; refuses as `_ask`."""
    source = errand.node.database
    record = find_record(source, PERMIT, urn, replica=False) or find_record(source, PERMIT, urn, replica=True)
    realm, today = errand.in_force.agreement.realm, errand.node.today()
    permit = decode_stored(record, realm) if record is not None else None
    question = _read_question(errand, _facts(permit, today)) if permit is not None else None
    ruling = await _ask(errand, urn, question, _read_question(errand, unknown_facts(urn)))
    if record is None or permit is None or not ruling.allowed:
        return PermitReading(decision=ruling)
    links = recognitions_of(errand.node, urn, realm)
    return PermitReading(
        decision=ruling,
        permit=shown_permit(permit, ruling.fields, today=today),
        recognitions=links,
        outdated_by=find_outdated(source, record),
        doubles=list_doubles(source, urn),
        copy_time=copy_time(source, record),
    )


@on(wire.LIST_PERMITS)
async def list_permits(errand: Errand, query: PermitQuery) -> PermitPage:
    """Lists the permits and copies that policy releases, the others left out without a trace; refuses PAGE_TOKEN.

    Refused as a whole when the agency may not even read its own county's permits for that purpose.
    """
    size, keys = min(query.page_size, MAX_PAGE), errand.node.database.keys
    name = f"{PERMIT}/{errand.caller}/{errand.act.purpose}/{query.residence_division}/{query.status}/{query.begins}"
    if query.citizen_number is not None:
        name = f"{name}/{blind_index(keys, PERMIT, query.citizen_number).hex()}"
    place = open_token(keys, name, query.page_token) if query.page_token else ""
    readable, place = await asyncio.to_thread(_readable, errand, query, place, size=size)
    own = PermitFacts(issuing_division=errand.caller.county, household_division=None, status=PermitStatus.VALID)
    ruling = readable[0][0] if readable else await errand.ask(_read_question(errand, own))
    if not ruling.allowed:
        return PermitPage(decision=ruling)
    return PermitPage(
        decision=ruling,
        permits=tuple(item for _, item in readable),
        next_page_token=seal_token(keys, name, place) if place else "",
    )


def _readable(
    errand: Errand, query: PermitQuery, place: str, *, size: int
) -> tuple[Sequence[tuple[Ruling, PermitItem]], str]:
    """The items that the caller may read behind a place, and the place to go on behind; empty at the end.

    After `MAX_LOOKED_AT` records it stops, whatever was found: a page of an office that may read little stays cheap.
    """
    rulings: dict[PolicyRequest, Ruling] = {}
    found: list[tuple[Ruling, PermitItem]] = []
    last, today, realm = "", errand.node.today(), errand.in_force.agreement.realm
    each = _each_record if query.citizen_number is None else _each_of_person
    for looked_at, record in enumerate(each(errand.node.database, query, place, today=today)):
        permit = decode_stored(record, realm)
        question = _read_question(errand, _facts(permit, today))
        ruling = rulings.get(question) or rulings.setdefault(question, errand.rule(question))
        if not _is_asked(query, permit, ruling, today=today):
            continue
        if looked_at == MAX_LOOKED_AT or (ruling.allowed and len(found) == size):
            return found, last
        if ruling.allowed:
            found.append((ruling, shown_permit(permit, ruling.fields, today=today)))
        if ruling.allowed or looked_at == MAX_LOOKED_AT - 1:
            last = f"copy:{record.id}" if record.replica else record.id
    return found, ""


def _is_asked(query: PermitQuery, permit: Permit | PermitItem, ruling: Ruling, *, today: date) -> bool:
    """False where a person is asked for, and the number is not released with the permit, or it stands otherwise."""
    if query.citizen_number is None:
        return True
    return "citizen_number" in ruling.fields and query.status in (None, _facts(permit, today).status)


def _each_of_person(source: Source, query: PermitQuery, place: str, *, today: date) -> Iterator[Record]:
    """The permits and copies of one person behind a place, own ones first."""
    del today
    behind = place.startswith("copy:"), place.removeprefix("copy:")
    for record in find_by_subject(source, PERMIT, query.citizen_number or ""):
        fits = record.id.startswith(query.begins) and query.residence_division in (None, record.division)
        if (record.replica, record.id) > behind and fits:
            yield record


def _each_record(source: Source, query: PermitQuery, place: str, *, today: date) -> Iterator[Record]:
    """Our own permits, then the copies, that fit the filters on that day, read as they are asked for."""
    stored = stored_as(query.status, today) if query.status is not None else None
    for is_copy in (False, True):
        if place.startswith("copy:") > is_copy:
            continue
        after = max(query.begins, place.removeprefix("copy:") if place.startswith("copy:") is is_copy else "")
        while records := list_records(
            source,
            PERMIT,
            after_id=after,
            limit=_AT_ONCE,
            replica=is_copy,
            division=query.residence_division,
            stored=stored,
        ):
            found = list(takewhile(lambda record: record.id.startswith(query.begins), records))
            yield from found
            if len(found) < len(records):
                break
            after = records[-1].id


async def _step(
    errand: Errand, urn: PermitUrn, change: PermitChange, *, step: Callable[[Permit], Permit], what: str = ""
) -> PermitAnswer:
    asked = errand.asked(change, f"{urn} {what}")
    if (known := errand.remembered(asked, PermitMade)) is not None:
        return _repeated_answer(errand, change, known.answer)
    before = find_own_permit(errand.node.database, urn)
    question = _change_question(errand, change, before) if before is not None else None
    by_name = change_request(change, errand.agency, permit=unknown_facts(urn), occasion=errand.occasion)
    ruling = await _ask(errand, urn, question, by_name)
    if before is None or not ruling.allowed:
        return PermitAnswer(decision=ruling)
    return await _write(errand, step(before), before=before.version, ruling=ruling, asked=asked)


async def _ask(errand: Errand, urn: PermitUrn, question: PolicyRequest | None, by_name: PolicyRequest) -> Ruling:
    """Asks policy about a permit (None: there is none here) so that a no does not tell whether it is here.

    What is refused is refused on the permit's name alone, if that is refused; a refusal is logged. Raises NotFoundError
    PERMIT_UNKNOWN to who would read it if there were one.
    """
    if question is not None and (ruling := errand.rule(question)).allowed:
        return ruling
    ruling = await errand.ask(by_name)
    if not ruling.allowed:
        return ruling
    if question is None:
        raise NotFoundError("PERMIT_UNKNOWN", f"this node holds no permit {urn}; its issuing county may")
    return await errand.ask(question)


async def _write(errand: Errand, permit: Permit, *, before: int, ruling: Ruling, asked: str) -> PermitAnswer:
    """Writes a new version together with the messages that bring it to the entitled provinces."""

    def write(transaction: GroupTransaction) -> PermitMade:
        write_own_permits(transaction, [permit], node=errand.node, before=before)
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
    item = shown_permit(permit, reading.fields, today=errand.node.today()) if reading.allowed else None
    return PermitAnswer(decision=ruling, permit=item)


def application_text(application: PermitApplication) -> str:
    fields = asdict(application) | {"papers": sorted(application.papers), "holder": to_object(application.holder)}
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, default=str)


def _facts(permit: Permit | PermitItem, today: date) -> PermitFacts:
    return permit_facts(permit, today=today) if isinstance(permit, Permit) else item_facts(permit, today=today)


def _read_question(errand: Errand, facts: PermitFacts) -> PolicyRequest:
    return read_request(errand.agency, facts, occasion=errand.occasion)
