"""Questions at the intake desk as records of the store: one a request, under the id of the request's own message.

What is asked and about whom is sealed; status and day stand in plain columns. An entry is written in the transaction
that receives its request, so that a repeat of the request makes no second line. It is one row, as replicas are: when it
has ended, whom it was about is masked, and no older version keeps the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from federation.domain.intake import IntakeEntry, IntakeStatus, mask_person
from federation.domain.lookups import urgency_of
from federation.domain.retention import PROVISION
from federation.node.exchange.judge import Received, open_received
from federation.node.exchange.trust import InForce
from federation.node.node import Node
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import ConflictError, NotFoundError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import MessageId, NodeName
from federation.protocol.statement import decode_statement
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_by_digest, find_message, load_body
from federation.store.records import Record, find_record, list_records, put_records

INTAKE = "lookup-intake"
MAX_ENTRIES = 10_000
"""So many entries are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEntry:
    """An entry as it is stored now; `version` is what the next one replaces."""

    entry: IntakeEntry
    version: int


def entry_of(received: Received[Any], *, lookup_id: MessageId, person: str, fields: frozenset[str]) -> IntakeEntry:
    """A question that begins to wait: until its own statement ends."""
    statement = received.statement
    return IntakeEntry(
        request_id=statement.id,
        digest=received.digest,
        seq=statement.seq,
        status=IntakeStatus.WAITING,
        lookup_id=lookup_id,
        step=statement.kind,
        asker=statement.sender.agency,
        officer=statement.sender.officer or "",
        case_id=statement.case or "",
        purpose=statement.purpose,
        function=statement.function,
        urgency=urgency_of(statement.created, statement.expires),
        person=person,
        fields=fields,
        created=statement.created,
        due=statement.expires,
    )


def put_entry(transaction: GroupTransaction, entry: IntakeEntry, *, owner: NodeName, replaces: int = 0) -> None:
    """Stores an entry in the place of that version; 0 when it is new. One that has ended no longer names the person.

    It dies with its request while it waits; once it has ended it is a record of provision that tells of nobody.

    Raises:
        ConflictError: VERSION_CONFLICT when another act came first.
    """
    if replaces:
        now = find_entry(transaction, entry.request_id)
        if now is None or now.version != replaces:
            raise ConflictError("VERSION_CONFLICT", f"another act on request {entry.request_id} came first")
    with transaction.carrying(entry.request_id):
        put_records(transaction, [entry_record(entry, owner=owner, replaces=replaces)])


def entry_record(entry: IntakeEntry, *, owner: NodeName, replaces: int = 0) -> Record:
    """An entry in the place of that version; one that has ended no longer names the person."""
    waits = entry.status is IntakeStatus.WAITING
    if not waits:
        entry = replace(entry, person=mask_person(entry.person))
    return Record(
        id=entry.request_id,
        kind=INTAKE,
        owner=owner,
        version=replaces + 1,
        replica=True,
        status=entry.status.value,
        division=entry.asker.county,
        due_date=entry.due.date(),
        content=encode(entry),
        kept_under="" if waits else PROVISION,
    )


def find_entry(source: Source, request_id: str) -> KeptEntry | None:
    """The entry of a request as it is now."""
    record = find_record(source, INTAKE, request_id, replica=True)
    return KeptEntry(entry=decode(IntakeEntry, record.content), version=record.version) if record is not None else None


def load_entry(source: Source, request_id: str) -> KeptEntry:
    """The entry of a request as it is now.

    Raises:
        NotFoundError: INTAKE_UNKNOWN.
    """
    kept = find_entry(source, request_id)
    if kept is None:
        raise NotFoundError("INTAKE_UNKNOWN", f"no request {request_id!r:.50} waits or waited at this desk")
    return kept


def find_entry_of(source: Source, digest: str) -> KeptEntry | None:
    """The entry of the request with that digest; None when it was never at the desk."""
    message = find_by_digest(source, "received", digest)
    return find_entry(source, message.id) if message is not None else None


def list_entries(source: Source, status: IntakeStatus | None = None) -> Sequence[KeptEntry]:
    """The entries of one status, or of every one, by id, which is the order of asking."""
    found: list[KeptEntry] = []
    after = ""
    while True:
        page = list_records(
            source, INTAKE, after_id=after, limit=MAX_ENTRIES, replica=True, status=status.value if status else None
        )
        found += [KeptEntry(entry=decode(IntakeEntry, record.content), version=record.version) for record in page]
        if len(page) < MAX_ENTRIES:
            return found
        after = page[-1].id


def load_received(node: Node, in_force: InForce, entry: IntakeEntry) -> Received[Any]:
    """The request itself, as it was received.

    Raises:
        NotFoundError: BODY when its body was erased, INTAKE_UNKNOWN when the store does not have the message.
    """
    message = find_message(node.database, "received", entry.request_id)
    if message is None:
        raise NotFoundError("INTAKE_UNKNOWN", f"the message of request {entry.request_id} is not in the store")
    statement = decode_statement(parse_envelope(message.envelope).payload)
    body = load_body(node.database, message.id)
    return open_received(node, statement, body, digest=message.digest, in_force=in_force)
