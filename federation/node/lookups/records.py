"""Look-ups as records of the store: cases (own and told), handles given out and held, replies, and who asked what.

Nothing here holds a field of a person but what was released, sealed like every content. A question leaves the blind
index of its selector and nothing else to find the person by. Who asked is kept in three orders, by agency, by officer
and by case, each newest at the end of its range: no question reads a whole history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from federation.domain.lookups import Handle, Outcome, parse_handle
from federation.domain.lookups_case import LookupCase, decode_case
from federation.domain.registers import DossierKind, parse_dossier_urn
from federation.domain.retention import PROVISION
from federation.node.lookups.kinds import CASE_KIND
from federation.protocol.canonical_json import JsonValue, decode_canonical, encode_canonical, read_integer, read_text
from federation.protocol.form import encode
from federation.protocol.ids import (
    AgencyId,
    NodeName,
    format_time,
    parse_agency_id,
    parse_message_id,
    parse_node_name,
    parse_time,
)
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, erase_record, find_record, ids_under, list_range, list_records, put_records

CASE, HANDLE, HELD = "lookup-case", "lookup-handle", "lookup-held"
ASKED, ASKED_BY, ASKED_IN = "lookup-asked", "lookup-asked-by", "lookup-asked-in"
MAX_LINES = 10_000
"""So many lines are read at once."""
MAX_RECENT = 100
"""So many of an officer's newest lines are looked at together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One step that an officer of ours took towards one province: a question, or the opening or closing of a case.

    `serial` numbers the steps of this node as they are written. `digest` is its statement's, which a reply cites, and
    `message_id` its id; both are empty when our own side refused it. `lookup_id` is empty for a case. `desk` is the
    serial of the certificate that it came by, empty when that is not known. `kind` is that of the record that is looked
    for. `outcome` is what it came to at once (refused) or comes to with its receipt (a case); None: the reply tells.
    """

    time: datetime
    agency: AgencyId
    officer: str
    serial: int
    lookup_id: str
    case_id: str
    node: NodeName
    step: str
    digest: str = ""
    message_id: str = ""
    desk: str = ""
    kind: DossierKind = DossierKind.PERMIT
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """A step of one officer, as much of it as tells whether it goes together with the others."""

    time: datetime
    lookup_id: str
    case_id: str
    desk: str


def put_case(transaction: GroupTransaction, case: LookupCase, *, owner: NodeName) -> None:
    """Stores a version of a case of our own; versions only grow."""
    put_records(transaction, [case_record(case, owner=owner, told=False)], expect_version=case.version - 1)


def case_record(case: LookupCase, *, owner: NodeName, told: bool) -> Record:
    """A version of a case: our own, or one that another province told us."""
    return Record(
        id=f"{owner}/{case.case_id}",
        kind=CASE,
        owner=owner,
        version=case.version,
        replica=told,
        status="closed" if case.closed else "open",
        division=case.opened_by.county,
        due_date=case.closes.date(),
        content=encode(case),
        kept_under=PROVISION,
    )


def find_case(source: Source, owner: NodeName, case_id: str, *, told: bool) -> LookupCase | None:
    """The newest version of a case that an agency of the owner opened: our own, or one that we were told of."""
    record = find_record(source, CASE, f"{owner}/{case_id}", replica=told)
    return decode_case(record.content) if record is not None else None


def handle_record(handle: Handle, *, owner: NodeName) -> Record:
    """What a handle stands for, at the province that gave it out."""
    value: dict[str, JsonValue] = {
        "lookup_id": handle.lookup_id,
        "case_id": handle.case_id,
        "asker": str(handle.asker),
        "officer": handle.officer,
        "dossier": handle.dossier.id,
        "expires": format_time(handle.expires),
    }
    return _plain(HANDLE, handle.handle, owner=owner, content=encode_canonical(value))


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


def held_record(handle: str, request_digest: str, *, owner: NodeName) -> Record:
    """Remembers which search of ours a handle came of; of a handle that its owner gives twice, the first stays."""
    return _line(HELD, f"{owner}/{handle}", owner=owner, content=request_digest.encode())


def find_held(source: Source, handle: str, *, owner: NodeName) -> str | None:
    """The digest of the search of ours that a province answered with this handle."""
    record = find_record(source, HELD, f"{owner}/{handle}", replica=True)
    return record.content.decode() if record is not None else None


def put_asked(transaction: GroupTransaction, asked: Asked, *, subject: str | None, owner: NodeName) -> None:
    """Remembers a step: one line of the agency's history, of its officer's and of its case's."""
    fields: dict[str, JsonValue] = {
        "time": format_time(asked.time),
        "agency": str(asked.agency),
        "officer": asked.officer,
        "serial": asked.serial,
        "lookup_id": asked.lookup_id,
        "case_id": asked.case_id,
        "node": asked.node,
        "step": asked.step,
        "digest": asked.digest,
        "message_id": asked.message_id,
        "desk": asked.desk,
        "kind": asked.kind.value,
        "outcome": asked.outcome.value if asked.outcome is not None else "",
    }
    place = _place_of(asked)
    line = _line(ASKED, f"{asked.agency}/{place}", owner=owner, content=encode_canonical(fields))
    line = replace(line, status=asked.step, division=asked.agency.county, due_date=asked.time.date(), subject=subject)
    left = asked.step if asked.digest else ""
    recent = f"{left}\n{asked.lookup_id}\n{asked.case_id}\n{asked.desk}".encode()
    by_officer = _line(ASKED_BY, f"{asked.agency}/{asked.officer}/{place}", owner=owner, content=recent)
    in_case = _line(ASKED_IN, f"{asked.agency}/{asked.case_id}/{place}", owner=owner, content=b"")
    put_records(transaction, [line, by_officer, in_case])


def list_asked(
    source: Source, agency: AgencyId, *, since: datetime | None = None, until: datetime | None = None
) -> Sequence[tuple[Asked, str | None]]:
    """What an agency's officers asked, from `since` on and before `until`, by time, each with the person asked about.

    Searches and fetches, those that our own side refused too; the opening and closing of cases asks nothing.
    """
    prefix = f"{agency}/"
    ids = ids_under(prefix)
    if since is not None:
        ids = replace(ids, after=prefix + format_time(since))
    if until is not None:
        ids = replace(ids, before=prefix + format_time(until))
    lines: list[tuple[Asked, str | None]] = []
    while found := list_range(source, ASKED, ids, limit=MAX_LINES, replica=True):
        lines += [(_read_asked(record.content), record.subject) for record in found if record.status != CASE_KIND]
        ids = replace(ids, after=found[-1].id)
    return lines


def list_asked_before(source: Source, before: datetime) -> Sequence[Asked]:
    """What this province's officers asked before that moment, of whatever agency, cases opened and closed included."""
    lines: list[Asked] = []
    after = ""
    while found := list_records(
        source, ASKED, after_id=after, limit=MAX_LINES, replica=True, due_before=before.date() + timedelta(days=1)
    ):
        lines += [_read_asked(record.content) for record in found]
        after = found[-1].id
    return [asked for asked in lines if asked.time < before]


def erase_asked(transaction: GroupTransaction, asked: Asked) -> bool:
    """Deletes the three lines of a step; says whether there were any."""
    end = _place_of(asked)
    erase_record(transaction, ASKED_BY, f"{asked.agency}/{asked.officer}/{end}", replica=True)
    erase_record(transaction, ASKED_IN, f"{asked.agency}/{asked.case_id}/{end}", replica=True)
    return erase_record(transaction, ASKED, f"{asked.agency}/{end}", replica=True)


def list_recent(source: Source, agency: AgencyId, officer: str, *, since: datetime, step: str) -> Sequence[Recent]:
    """The newest such steps of one officer that left this province, from `since` on, newest first.

    Among the newest `MAX_RECENT` steps, whatever they are.
    """
    prefix = f"{agency}/{officer}/"
    ids = replace(ids_under(prefix, newest_first=True), after=prefix + format_time(since))
    found = list_range(source, ASKED_BY, ids, limit=MAX_RECENT, replica=True)
    steps = ((record.id.removeprefix(prefix), record.content.decode().split("\n")) for record in found)
    return [
        Recent(time=parse_time(place.partition("/")[0]), lookup_id=lookup_id, case_id=case_id, desk=desk)
        for place, (left, lookup_id, case_id, desk) in steps
        if left == step
    ]


def list_history(
    source: Source, agency: AgencyId, *, case_id: str | None, officer: str | None, before: str, limit: int
) -> Sequence[tuple[str, Asked]]:
    """The steps of an agency, newest first, of one case or one officer only where given, each with its place.

    `before` is the place behind which the page begins, empty for the first one. A place is the same in every order, so
    that a page stays where it was while new steps come.
    """
    kind, prefix = ASKED, f"{agency}/"
    if officer is not None:
        kind, prefix = ASKED_BY, f"{agency}/{officer}/"
    elif case_id is not None:
        kind, prefix = ASKED_IN, f"{agency}/{case_id}/"
    ids = ids_under(prefix, newest_first=True, before=before)
    lines: list[tuple[str, Asked]] = []
    while len(lines) < limit and (found := list_range(source, kind, ids, limit=limit, replica=True)):
        for record in found:
            place = record.id.removeprefix(prefix)
            line = record if kind == ASKED else find_record(source, ASKED, f"{agency}/{place}", replica=True)
            asked = _read_asked(line.content) if line is not None else None  # None: erased at this moment
            if asked is not None and case_id in (None, asked.case_id):
                lines.append((place, asked))
        ids = replace(ids, before=found[-1].id)
    return lines[:limit]


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


def _place_of(asked: Asked) -> str:
    """Where a step stands in every order: by its time, then as they were written."""
    return f"{format_time(asked.time)}/{asked.serial:012d}/{asked.node}"


def _read_asked(content: bytes) -> Asked:
    value = decode_canonical(content, what=ASKED)
    return Asked(
        time=parse_time(read_text(value, "time", what=ASKED)),
        agency=parse_agency_id(read_text(value, "agency", what=ASKED)),
        officer=read_text(value, "officer", what=ASKED),
        serial=read_integer(value, "serial", what=ASKED),
        lookup_id=read_text(value, "lookup_id", what=ASKED),
        case_id=read_text(value, "case_id", what=ASKED),
        node=parse_node_name(read_text(value, "node", what=ASKED)),
        step=read_text(value, "step", what=ASKED),
        digest=read_text(value, "digest", what=ASKED),
        message_id=read_text(value, "message_id", what=ASKED),
        desk=read_text(value, "desk", what=ASKED),
        kind=DossierKind(read_text(value, "kind", what=ASKED)),
        outcome=Outcome(outcome) if (outcome := read_text(value, "outcome", what=ASKED)) else None,
    )


def _plain(kind: str, key: str, *, owner: NodeName, content: bytes) -> Record:
    return Record(
        id=key, kind=kind, owner=owner, version=1, replica=False, status="given", division="", content=content
    )


def _line(kind: str, key: str, *, owner: NodeName, content: bytes) -> Record:
    """A line that is written once: kept as replicas are, in one row, since there is never a second version."""
    return Record(id=key, kind=kind, owner=owner, version=1, replica=True, status="kept", division="", content=content)
