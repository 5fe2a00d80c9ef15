"""Look-ups as records of the store: cases (own and told), handles given out, replies that came, and who asked what.

Nothing here holds a field of a person but what was released, sealed like every content. A question leaves the blind
index of its selector, by which different persons are counted, and nothing else to find it by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from federation.domain.dossiers.dossier import DossierKind, parse_dossier_urn
from federation.domain.lookup.case import LookupCase, decode_case, encode_case
from federation.domain.lookup.handle import Handle, parse_handle
from federation.protocol.canonical_json import JsonValue, decode_canonical, encode_canonical, read_text
from federation.protocol.ids import (
    AgencyId,
    MessageId,
    NodeName,
    format_time,
    parse_agency_id,
    parse_message_id,
    parse_node_name,
    parse_time,
)
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_body
from federation.store.records import Record, find_record, list_records, put_records

CASE, HANDLE, REPLY, ASKED = "lookup-case", "lookup-handle", "lookup-reply", "lookup-asked"
MAX_LINES = 10_000
"""So many lines are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question that an officer of ours asked of one province: `digest` is its statement's, which a reply cites.

    `desk` is the serial of the certificate that it came by, empty when that is not known. `kind` is that of the record
    that is looked for.
    """

    time: datetime
    agency: AgencyId
    officer: str
    lookup_id: str
    case_id: str
    node: NodeName
    step: str
    digest: str
    desk: str = ""
    kind: DossierKind = DossierKind.PERMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """That a request of ours, named by its digest, was replied to by a message, whose body holds the reply.

    `ends`: until when what it tells may be kept, None when it tells nothing of a person.
    `erased`: when it was destroyed.
    """

    request: str
    message_id: MessageId
    ends: datetime | None = None
    erased: datetime | None = None


def put_case(transaction: GroupTransaction, case: LookupCase, *, owner: NodeName, told: bool) -> None:
    """Stores a version of a case: our own, or one that another province told us; versions only grow."""
    record = Record(
        id=f"{owner}/{case.case_id}",
        kind=CASE,
        owner=owner,
        version=case.version,
        replica=told,
        status="closed" if case.closed else "open",
        division=case.opened_by.county,
        due_date=case.closes.date(),
        content=encode_case(case),
    )
    put_records(transaction, [record], expect_version=None if told else case.version - 1)


def find_case(source: Source, owner: NodeName, case_id: str, *, told: bool) -> LookupCase | None:
    """The newest version of a case that an agency of the owner opened: our own, or one that we were told of."""
    record = find_record(source, CASE, f"{owner}/{case_id}", replica=told)
    return decode_case(record.content) if record is not None else None


def put_handle(transaction: GroupTransaction, handle: Handle, *, owner: NodeName) -> None:
    """Keeps what a handle stands for, at the province that gave it out."""
    value: dict[str, JsonValue] = {
        "lookup_id": handle.lookup_id,
        "case_id": handle.case_id,
        "asker": str(handle.asker),
        "officer": handle.officer,
        "dossier": handle.dossier.id,
        "expires": format_time(handle.expires),
    }
    put_records(transaction, [_plain(HANDLE, handle.handle, owner=owner, content=encode_canonical(value))])


def find_handle(source: Source, text: str) -> Handle | None:
    """What a handle stands for, at the province that gave it out."""
    record = find_record(source, HANDLE, parse_handle(text), replica=False)
    return _read_handle(record) if record is not None else None


def list_handles(source: Source) -> Sequence[Handle]:
    """Every handle that this province gave out, dead ones too, in no order that says anything."""
    handles: list[Handle] = []
    after = ""
    while True:
        found = list_records(source, HANDLE, after_id=after, limit=MAX_LINES, replica=False)
        handles += [_read_handle(record) for record in found]
        if len(found) < MAX_LINES:
            return handles
        after = found[-1].id


def put_reply(transaction: GroupTransaction, reply: Reply, *, owner: NodeName) -> None:
    """Keeps which message replied to one of our requests, by the digest of that request; later, that it was erased."""
    fields: dict[str, JsonValue] = {"message": reply.message_id}
    if reply.ends is not None:
        fields["ends"] = format_time(reply.ends)
    if reply.erased is not None:
        fields["erased"] = format_time(reply.erased)
    living = reply.ends is not None and reply.erased is None
    record = Record(
        id=reply.request,
        kind=REPLY,
        owner=owner,
        version=1 if reply.erased is None else 2,
        replica=True,
        status="came" if reply.erased is None else "erased",
        division="",
        due_date=reply.ends.date() if living and reply.ends is not None else None,
        content=encode_canonical(fields),
    )
    put_records(transaction, [record])


def find_reply(source: Source, request_digest: str) -> bytes | None:
    """What replied to one of our requests; None until it has come, and once it was erased.

    It lies in the body of the message that brought it and nowhere else, so that it dies with it.
    """
    reply = find_reply_line(source, request_digest)
    body = find_body(source, reply.message_id) if reply is not None else None
    return body.items[0] if body is not None else None


def find_reply_line(source: Source, request_digest: str) -> Reply | None:
    """That a reply to one of our requests has come, by which message, and what became of it."""
    record = find_record(source, REPLY, request_digest, replica=True)
    return _read_reply(record) if record is not None else None


def list_ending_replies(source: Source) -> Sequence[Reply]:
    """The replies that tell something of a person and are not erased yet, whenever they end."""
    replies: list[Reply] = []
    after = ""
    while True:
        found = list_records(
            source, REPLY, after_id=after, limit=MAX_LINES, replica=True, division="", due_before=date.max
        )
        replies += [_read_reply(record) for record in found]
        if len(found) < MAX_LINES:
            return replies
        after = found[-1].id


def put_asked(transaction: GroupTransaction, asked: Asked, *, subject: str | None, owner: NodeName) -> None:
    """Remembers that an officer asked: what quotas count and the history shows."""
    fields: Mapping[str, JsonValue] = {
        "time": format_time(asked.time),
        "agency": str(asked.agency),
        "officer": asked.officer,
        "lookup_id": asked.lookup_id,
        "case_id": asked.case_id,
        "node": asked.node,
        "step": asked.step,
        "digest": asked.digest,
        "desk": asked.desk,
        "kind": asked.kind.value,
    }
    record = Record(
        id=f"{asked.agency}/{format_time(asked.time)}/{asked.lookup_id}/{asked.node}",
        kind=ASKED,
        owner=owner,
        version=1,
        replica=False,
        status=asked.step,
        division=asked.agency.county,
        due_date=asked.time.date(),
        subject=subject,
        content=encode_canonical(fields),
    )
    put_records(transaction, [record])


def list_asked(
    source: Source, agency: AgencyId, *, since: datetime | None = None
) -> Sequence[tuple[Asked, str | None]]:
    """What the officers of an agency asked, from `since` on, in the order of time, each with the person asked about."""
    prefix = f"{agency}/"
    after = prefix + format_time(since) if since is not None else prefix
    lines: list[tuple[Asked, str | None]] = []
    while True:
        found = list_records(source, ASKED, after_id=after, limit=MAX_LINES, replica=False)
        ours = [record for record in found if record.id.startswith(prefix)]
        lines += [(_read_asked(record.content), record.subject) for record in ours]
        if len(ours) < MAX_LINES:
            return lines
        after = ours[-1].id


def _read_handle(record: Record) -> Handle:
    value = decode_canonical(record.content, what=HANDLE)
    return Handle(
        handle=record.id,
        lookup_id=parse_message_id(read_text(value, "lookup_id", what=HANDLE)),
        case_id=read_text(value, "case_id", what=HANDLE),
        asker=parse_agency_id(read_text(value, "asker", what=HANDLE)),
        officer=read_text(value, "officer", what=HANDLE),
        dossier=parse_dossier_urn(read_text(value, "dossier", what=HANDLE)),
        expires=parse_time(read_text(value, "expires", what=HANDLE)),
    )


def _read_reply(record: Record) -> Reply:
    value = decode_canonical(record.content, what=REPLY)
    return Reply(
        request=record.id,
        message_id=parse_message_id(read_text(value, "message", what=REPLY)),
        ends=parse_time(read_text(value, "ends", what=REPLY)) if "ends" in value else None,
        erased=parse_time(read_text(value, "erased", what=REPLY)) if "erased" in value else None,
    )


def _read_asked(content: bytes) -> Asked:
    value = decode_canonical(content, what=ASKED)
    return Asked(
        time=parse_time(read_text(value, "time", what=ASKED)),
        agency=parse_agency_id(read_text(value, "agency", what=ASKED)),
        officer=read_text(value, "officer", what=ASKED),
        lookup_id=read_text(value, "lookup_id", what=ASKED),
        case_id=read_text(value, "case_id", what=ASKED),
        node=parse_node_name(read_text(value, "node", what=ASKED)),
        step=read_text(value, "step", what=ASKED),
        digest=read_text(value, "digest", what=ASKED),
        desk=read_text(value, "desk", what=ASKED),
        kind=DossierKind(read_text(value, "kind", what=ASKED)),
    )


def _plain(kind: str, key: str, *, owner: NodeName, content: bytes) -> Record:
    return Record(
        id=key, kind=kind, owner=owner, version=1, replica=False, status="given", division="", content=content
    )
