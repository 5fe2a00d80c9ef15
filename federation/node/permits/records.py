"""Permits as records of the store and back: the owner's whole versions, the copies, and which request made what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation.domain.permits import (
    Permit,
    PermitItem,
    PermitUrn,
    decode_permit,
    encode_permit,
    format_permit_urn,
    parse_permit_urn,
)
from federation.protocol.canonical_json import decode_canonical, encode_canonical, read_integer, read_text
from federation.protocol.errors import ConflictError, CorruptError
from federation.protocol.ids import NodeName
from federation.store.collection import open_token, seal_token
from federation.store.database import Database, Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, list_records, list_versions, next_serial, put_records
from federation.wire.agency.permits import PermitQuery

PERMIT = "permit"
REQUEST = "request"
RECOGNITION = "recognition"
OUTDATED = "copy-outdated"
SERIAL_DIGITS = 6


def put_own_permits(transaction: GroupTransaction, permits: Sequence[Permit], *, owner: NodeName, before: int) -> None:
    """Writes versions of own permits; `before` is the version that the change started from, 0 for new ones.

    Raises:
        ConflictError: VERSION_CONFLICT when somebody else changed it meanwhile: read it again, then repeat.
    """
    put_records(transaction, [_own_record(permit, owner=owner) for permit in permits], expect_version=before)


def copy_record(item: PermitItem, content: bytes, *, owner: NodeName) -> Record:
    """The record of a copy: the very bytes that came, under the owner's name."""
    return Record(
        id=item.urn,
        kind=PERMIT,
        owner=owner,
        version=item.version,
        replica=True,
        status=item.status.value,
        division=item.residence_division,
        household_division=item.household_division,
        due_date=item.endorsed_until,
        sealed=False,
        subject=item.citizen_number,
        content=content,
    )


def find_own_permit(database: Database, urn: PermitUrn) -> Permit | None:
    """The newest version of a permit that this node issued."""
    record = find_record(database, PERMIT, urn, replica=False)
    return decode_permit(record.content) if record is not None else None


def load_own_version(database: Database, urn: PermitUrn, version: int) -> Permit:
    """One version of a permit that must be there.

    Raises:
        CorruptError: PERMIT_RECORD when it is not.
    """
    for record in list_versions(database, PERMIT, urn):
        if record.version == version:
            return decode_permit(record.content)
    raise CorruptError("PERMIT_RECORD", f"expected version {version} of {urn}, which answered a request")


def find_permit_record(database: Database, urn: PermitUrn) -> Record | None:
    """The record of a permit: this node's own, or else its copy."""
    return find_record(database, PERMIT, urn, replica=False) or find_record(database, PERMIT, urn, replica=True)


def find_outdated(source: Source, record: Record) -> int:
    """The version that the owner has, when it said that this copy is older and it is; 0 for any other record."""
    notice = find_record(source, OUTDATED, record.id, replica=True) if record.replica else None
    return notice.version if notice is not None and notice.version > record.version else 0


def list_permit_records(database: Database, query: PermitQuery, *, limit: int) -> Sequence[Record]:
    """Own permits first, then copies, each by name, after the page token.

    Raises:
        MalformedError: PAGE_TOKEN for a token that no list of permits gave.
    """
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


def page_token(database: Database, record: Record) -> str:
    """The token of the page after this record, which the caller may not be allowed to know of."""
    return seal_token(database.keys, PERMIT, f"copy:{record.id}" if record.replica else record.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a request came to: the permit version that it made. `asked` is the digest (hex) of what was asked."""

    asked: str
    urn: PermitUrn
    version: int


def put_request(transaction: GroupTransaction, request_id: str, done: Done, *, owner: NodeName) -> None:
    """Remembers which permit version a request made, in the same transaction.

    Raises:
        ConflictError: VERSION_CONFLICT when the same request is being answered at this moment.
    """
    content = encode_canonical({"asked": done.asked, "urn": done.urn, "version": done.version})
    put_request_answer(transaction, request_id, content, owner=owner)


def find_request(database: Database, request_id: str, *, asked: str) -> Done | None:
    """What a request came to before, or None when it is new.

    Raises:
        ConflictError: REQUEST_ID_REUSED when something else was asked under the same id.
    """
    answer = find_request_answer(database, request_id)
    if answer is None:
        return None
    value = decode_canonical(answer, what="request")
    if value.get("asked") != asked:
        raise ConflictError("REQUEST_ID_REUSED", f"request {request_id} asked for something else before")
    urn = parse_permit_urn(read_text(value, "urn", what="request"))
    return Done(asked=asked, urn=urn, version=read_integer(value, "version", what="request"))


def put_request_answer(
    transaction: GroupTransaction, key: str, answer: bytes, *, owner: NodeName, before: int = 0
) -> None:
    """Remembers what a request came to, under its idempotency key.

    `before` is the version of the answer that this one goes on from, 0 for the first.

    Raises:
        ConflictError: VERSION_CONFLICT when the same request is being answered at this moment.
    """
    record = Record(
        id=key, kind=REQUEST, owner=owner, version=before + 1, replica=False, status="done", division="", content=answer
    )
    put_records(transaction, [record], expect_version=before)


def find_request_answer(source: Source, key: str) -> bytes | None:
    """What a request came to before, or None when it is new."""
    record = find_request_record(source, key)
    return record.content if record is not None else None


def find_request_record(source: Source, key: str) -> Record | None:
    """The record of what a request came to before, with its version; None when it is new."""
    return find_record(source, REQUEST, key, replica=False)


def take_urn(transaction: GroupTransaction, division: str, year: int) -> PermitUrn:
    """Takes the next name of a county's permits of a year; names that an import brought along are passed over."""
    while True:
        serial = next_serial(transaction, f"permit/{division}/{year}")
        urn = format_permit_urn(division, year, serial=f"{serial:0{SERIAL_DIGITS}d}")
        if find_record(transaction, PERMIT, urn, replica=False) is None:
            return urn


def _own_record(permit: Permit, *, owner: NodeName) -> Record:
    return Record(
        id=permit.urn,
        kind=PERMIT,
        owner=owner,
        version=permit.version,
        replica=False,
        status=permit.status.value,
        division=permit.residence_division,
        household_division=permit.holder.household_division,
        due_date=permit.endorsed_until,
        sealed=permit.sealed,
        subject=permit.holder.citizen_number,
        content=encode_permit(permit),
    )
