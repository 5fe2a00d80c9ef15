"""Taking in a county's older register, up to 1,000 permits a call, each judged by itself, in one transaction a chunk.

The same chunk again gives the same answer and writes nothing twice; a row whose permit is here as it says is told as
standing, whatever request brings it, so that a mended file may be imported again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.permits import Permit, PermitUrn, register_permit, urn_division, verify_only_one
from federation.domain.permits_policy import PermitChange, change_request, permit_facts
from federation.node.exchange.errand import Errand, on
from federation.node.permits import application_text
from federation.node.permits_sharing import (
    PERMIT,
    AnyPermit,
    draft_sharing,
    draw_urn,
    find_of_person,
    write_own_permits,
)
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, RuleError
from federation.protocol.form import Count, Digest, Item, replace
from federation.protocol.policy import PolicyRequest
from federation.store.exchange_log import GroupTransaction
from federation.store.records import find_record
from federation.wire.agency.permits import IMPORT_PERMITS, ImportChunk, ImportedRow, PermitImport
from federation.wire.rpc import Ruling

_STEPS: Final = (
    "version", "status", "counted_from", "endorsed_until", "endorsements", "revoke_reason", "ended_on", "replaced_by",
)  # fmt: skip
"""The fields of a permit that the steps of its life change, and no row says."""


class _StoredRow(Item, frozen=True, kw_only=True):
    position: Count
    urn: PermitUrn
    content: Digest


class ImportedPermits(Item, frozen=True, kw_only=True):
    """The remembered answer to a chunk: the names of the stored permits, by position and digest of their rows."""

    rows: tuple[_StoredRow, ...] = ()


@on(IMPORT_PERMITS)
async def import_permits(errand: Errand, chunk: ImportChunk) -> tuple[ImportedRow, ...]:
    """Imports one chunk; for each row, in order, the permit's name, the ruling against it, or the error.

    Refuses REQUEST_ID_REUSED when it came from another office, or with other rows in the place of those that were
    stored; a row that was not stored may come mended. After an UnavailableError nothing was written.
    """
    asked, key = errand.asked(PermitChange.IMPORT, ""), f"{chunk.import_id}/{chunk.chunk}"
    known = errand.remembered(asked, ImportedPermits, key=key)
    stored = _verify_same(known.answer, chunk) if known is not None else ()
    answer: dict[int, ImportedRow] = {row.position: row.urn for row in stored}
    accepted = await _judge_rows(errand, chunk.rows, answer)
    if accepted:
        permits = list(accepted.values())
        made = tuple(
            _StoredRow(position=position, urn=permit.urn, content=_digest_at(chunk.rows, position))
            for position, permit in accepted.items()
        )

        def write(transaction: GroupTransaction) -> ImportedPermits:
            write_own_permits(transaction, permits, node=errand.node, before=0)
            return ImportedPermits(rows=(*stored, *made))

        drafts = draft_sharing(errand, permits)
        try:
            done = await errand.once(asked, ImportedPermits, write, drafts=drafts, key=key, after=known)
        except RuleError as error:  # one of these persons was registered since the rows were judged
            raise ConflictError("VERSION_CONFLICT", f"{error.message}; send the chunk again") from error
        answer.update((row.position, row.urn) for row in _verify_same(done, chunk))
    overtaken = not accepted and errand.remembered(asked, ImportedPermits, key=key) != known
    if overtaken or len(answer) < len(chunk.rows):  # what this chunk stored itself must not stand in its way
        raise ConflictError("VERSION_CONFLICT", "the same chunk was answered at this moment; send it again")
    return tuple(answer[position] for position in range(len(chunk.rows)))


def _verify_same(done: ImportedPermits, chunk: ImportChunk) -> tuple[_StoredRow, ...]:
    if any(_digest_at(chunk.rows, row.position) != row.content for row in done.rows):
        raise ConflictError("REQUEST_ID_REUSED", f"chunk {chunk.chunk} of this import came with other rows before")
    return done.rows


def _digest_at(rows: Sequence[PermitImport], position: int) -> str:
    if position >= len(rows):
        return ""
    row = rows[position]
    return hashlib.sha256(f"{application_text(row.application)} {row.issue_date} {row.urn}".encode()).hexdigest()


async def _judge_rows(
    errand: Errand, rows: Sequence[PermitImport], answer: dict[int, ImportedRow]
) -> dict[int, Permit]:
    """Adds to `answer` what needs no writing, and returns the permits to write by their position."""
    today = errand.node.today()
    agency, occasion = errand.agency, errand.occasion
    waiting = {position: row for position, row in enumerate(rows) if position not in answer}
    accepted: dict[int, Permit] = {}
    refused: tuple[PolicyRequest, Ruling] | None = None
    names: set[PermitUrn] = set()
    by_person: dict[str, list[AnyPermit]] = {}
    node, database = errand.node, errand.node.database
    for position, row in waiting.items():
        try:
            permit = _permit_of(errand, row, today=today)
            if permit.urn in names:
                raise ConflictError("PERMIT_TWICE", f"the permit {permit.urn} stands twice in this chunk")
        except BridgeheadError as error:
            answer[position] = error
            continue
        facts = permit_facts(permit, today=today)
        request = change_request(PermitChange.IMPORT, agency, permit=facts, occasion=occasion)
        ruling = errand.rule(request)
        if not ruling.allowed:
            answer[position] = ruling
            refused = (request, ruling)
            continue
        number = permit.holder.citizen_number
        same = by_person.get(number) or by_person.setdefault(number, find_of_person(database, number, node=node))
        try:
            _verify_new(errand, permit, row, same)
            verify_only_one(permit, same)
        except (ConflictError, RuleError) as error:
            answer[position] = error
            continue
        names.add(permit.urn)
        same.append(permit)
        accepted[position] = permit
    if refused is not None:
        request, ruling = refused
        await errand.refuse(ruling, asked=[request])
    return accepted


def _permit_of(errand: Errand, row: PermitImport, *, today: date) -> Permit:
    application, issued = row.application, row.issue_date or today
    verify_citizen_number(application.holder.citizen_number, errand.in_force.agreement.realm, today=today)
    if issued > today:
        raise MalformedError("ISSUE_DATE", f"expected a day of issue up to {today}, got {issued}")
    urn = row.urn
    if urn is None:
        urn = draw_urn(errand.node.database, application.residence_division, issued.year)
    elif urn_division(urn) != application.residence_division:
        raise MalformedError("PERMIT_URN", f"expected a permit of {application.residence_division}, got {urn}")
    return register_permit(application, urn, today=issued)


def _verify_new(errand: Errand, permit: Permit, row: PermitImport, same: Iterable[AnyPermit]) -> None:
    """Refuses a row whose permit is here already (ROW_STANDS), or another one of its name (PERMIT_EXISTS)."""
    for found in same:
        if isinstance(found, Permit) and _is_as_it_says(found, permit, row):
            raise ConflictError("ROW_STANDS", f"原已有 {found.urn} | {found.urn} stands as the row says", urn=found.urn)
    if find_record(errand.node.database, PERMIT, permit.urn, replica=False) is not None:
        raise ConflictError("PERMIT_EXISTS", f"this node holds a permit {permit.urn} already")


def _is_as_it_says(found: Permit, permit: Permit, row: PermitImport) -> bool:
    """True when a permit here is what the row would make, whatever step of its life it has taken since."""
    said = {name: getattr(found, name) for name in _STEPS}
    if row.urn is None:
        said["urn"] = found.urn
    if row.issue_date is None:
        said["issue_date"] = found.issue_date
    return replace(permit, **said) == found
