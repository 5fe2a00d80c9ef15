"""Records of look-ups: cases (own and announced), handles issued and held, who asked what, the intake desk's entries.

Nothing here holds a field of a person; an entry at the desk names whom it is about, sealed, while it waits. A question
leaves the blind index of its selector and nothing else to find the person by. Who asked is kept in three orders, by
agency, by officer and by case, each newest at the end of its range: no question reads a whole history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, Final

from federation.domain.intake import IntakeEntry, IntakeStatus, mask_person
from federation.domain.lookups import Handle, Outcome
from federation.domain.lookups_case import LookupCase, decode_case
from federation.domain.registers import DossierKind, parse_dossier_urn
from federation.domain.retention import PROVISION
from federation.protocol.errors import ConflictError
from federation.protocol.form import Item, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, format_time, parse_time
from federation.store.collection import Collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, erase_record, find_record, ids_under, list_range, list_records, put_records

CASE, HELD = "lookup-case", "lookup-held"
ASKED, ASKED_BY, ASKED_IN = "lookup-asked", "lookup-asked-by", "lookup-asked-in"
MAX_LINES: Final = 10_000
"""So many lines are read at once."""
MAX_RECENT: Final = 100
"""So many of an officer's newest lines are looked at together."""


def _case_id(case: LookupCase) -> str:
    return f"{case.opened_by.node}/{case.case_id}"


OWN_CASES: Final[Collection[LookupCase]] = Collection(
    kind=CASE,
    encode=encode,
    decode=lambda record: decode_case(record.content),
    id=_case_id,
    replica=False,
    version=lambda case: case.version,
    status=lambda case: "closed" if case.closed else "open",
    division=lambda case: case.opened_by.county,
    due=lambda case: case.closes.date(),
    kept_under=PROVISION,
)
"""The cases of our own agencies; their versions only grow."""
TOLD_CASES: Final[Collection[LookupCase]] = replace(OWN_CASES, replica=True)
"""The cases that other provinces told us of."""


CASES_CLOSED: Final[Collection[str]] = Collection(
    kind="lookup-case-closed",
    encode=lambda _: b"",
    decode=lambda record: record.id,
    id=lambda case: case,
    replica=True,
    kept_under=PROVISION,
)
"""The cases, own and told, that were closed since retention looked last, each with the node of its agency."""


def closed_record(case: LookupCase, *, owner: NodeName) -> Record:
    """That a case was closed, for retention to destroy what came of it."""
    return CASES_CLOSED.record(_case_id(case), owner=owner)


def find_case(source: Source, owner: NodeName, case_id: str, *, told: bool) -> LookupCase | None:
    """The newest version of a case that an agency of the owner opened: our own, or one that we were told of."""
    return (TOLD_CASES if told else OWN_CASES).find(source, f"{owner}/{case_id}")


class _KeptHandle(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "lookup-handle"

    lookup_id: MessageId
    case_id: str
    asker: AgencyId
    officer: str
    dossier: str
    expires: Time


def _write_handle(handle: Handle) -> bytes:
    return encode(
        _KeptHandle(
            lookup_id=handle.lookup_id,
            case_id=handle.case_id,
            asker=handle.asker,
            officer=handle.officer,
            dossier=handle.dossier.id,
            expires=handle.expires,
        )
    )


def _read_handle(record: Record) -> Handle:
    kept = decode(_KeptHandle, record.content)
    return Handle(
        handle=record.id,
        lookup_id=kept.lookup_id,
        case_id=kept.case_id,
        asker=kept.asker,
        officer=kept.officer,
        dossier=parse_dossier_urn(kept.dossier),
        expires=kept.expires,
    )


HANDLES: Final[Collection[Handle]] = Collection(
    kind="lookup-handle",
    encode=_write_handle,
    decode=_read_handle,
    id=lambda handle: handle.handle,
    replica=False,
    status=lambda _: "given",
    due=lambda handle: handle.expires.date(),
    subject=lambda handle: f"{handle.asker.node}/{handle.case_id}",
)
"""What each handle stands for that this province gave out, dead ones too; found by its case."""


def held_record(handle: str, request_digest: str, *, owner: NodeName) -> Record:
    """Remembers which search of ours a handle came of; of a handle that its owner gives twice, the first stays."""
    return _line(HELD, f"{owner}/{handle}", owner=owner, content=request_digest.encode())


def find_held(source: Source, handle: str, *, owner: NodeName) -> str | None:
    """The digest of the search of ours that a province answered with this handle."""
    record = find_record(source, HELD, f"{owner}/{handle}", replica=True)
    return record.content.decode() if record is not None else None


class Asked(Item, frozen=True, kw_only=True):
    """One step that an officer of ours took towards one province: a question, or the opening or closing of a case.

    `serial` numbers the steps of this node as they are written. `digest` is its statement's, which a reply cites, and
    `message_id` its id; both are empty when our own side refused it. `lookup_id` is empty for a case. `desk` is the
    serial of the certificate that it came by, empty when that is not known. `kind` is that of the record that is looked
    for. `outcome` is what it came to at once (refused) or comes to with its receipt (a case); None: the reply tells.
    """

    WHAT: ClassVar[str] = ASKED
    BLANK: ClassVar[frozenset[str]] = frozenset({"outcome"})

    time: Time
    agency: AgencyId
    officer: str
    serial: int
    lookup_id: str
    case_id: str
    node: NodeName
    step: str
    digest: str
    message_id: str
    desk: str
    kind: DossierKind
    outcome: Outcome | None = None

    @property
    def place(self) -> str:
        """Its place in every order: by its time, then as they were written."""
        return f"{format_time(self.time)}/{self.serial:012d}/{self.node}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """A step of one officer, as much of it as tells whether it goes together with the others."""

    time: datetime
    lookup_id: str
    case_id: str
    desk: str


def put_asked(transaction: GroupTransaction, asked: Asked, *, subject: str | None, owner: NodeName) -> None:
    """Remembers a step: one line of the agency's history, of its officer's and of its case's."""
    line = _line(ASKED, f"{asked.agency}/{asked.place}", owner=owner, content=encode(asked))
    line = replace(line, status=asked.step, division=asked.agency.county, due_date=asked.time.date(), subject=subject)
    left = asked.step if asked.digest else ""
    recent = f"{left}\n{asked.lookup_id}\n{asked.case_id}\n{asked.desk}".encode()
    by_officer = _line(ASKED_BY, f"{asked.agency}/{asked.officer}/{asked.place}", owner=owner, content=recent)
    in_case = _line(ASKED_IN, f"{asked.agency}/{asked.case_id}/{asked.place}", owner=owner, content=b"")
    put_records(transaction, [line, by_officer, in_case])


def list_asked(
    source: Source, agency: AgencyId, *, since: datetime | None = None, until: datetime | None = None
) -> Sequence[tuple[Asked, str | None]]:
    """Lists what an agency's officers asked from `since` on and before `until`, by time, each with the person.

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
        read = ((decode(Asked, record.content), record.subject) for record in found)
        lines += [(asked, subject) for asked, subject in read if asked.lookup_id]
        ids = replace(ids, after=found[-1].id)
    return lines


def list_asked_before(source: Source, before: datetime) -> Sequence[Asked]:
    """Lists what this province's officers asked before that moment, of any agency, cases opened and closed included."""
    lines: list[Asked] = []
    after, day = "", before.date() + timedelta(days=1)
    while found := list_records(source, ASKED, after_id=after, limit=MAX_LINES, replica=True, due_before=day):
        lines += [decode(Asked, record.content) for record in found]
        after = found[-1].id
    return [asked for asked in lines if asked.time < before]


def erase_asked(transaction: GroupTransaction, asked: Asked) -> bool:
    """Deletes the three lines of a step; says whether there were any."""
    erase_record(transaction, ASKED_BY, f"{asked.agency}/{asked.officer}/{asked.place}", replica=True)
    erase_record(transaction, ASKED_IN, f"{asked.agency}/{asked.case_id}/{asked.place}", replica=True)
    return erase_record(transaction, ASKED, f"{asked.agency}/{asked.place}", replica=True)


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
) -> Sequence[Asked]:
    """The steps of an agency, newest first, of one case or one officer only where given.

    `before` is the place behind which the page begins, empty for the first one. A place is the same in every order, so
    that a page stays where it was while new steps come.
    """
    kind, prefix = ASKED, f"{agency}/"
    if officer is not None:
        kind, prefix = ASKED_BY, f"{agency}/{officer}/"
    elif case_id is not None:
        kind, prefix = ASKED_IN, f"{agency}/{case_id}/"
    ids = ids_under(prefix, newest_first=True, before=before)
    lines: list[Asked] = []
    while len(lines) < limit and (found := list_range(source, kind, ids, limit=limit, replica=True)):
        for record in found:
            whole = f"{agency}/{record.id.removeprefix(prefix)}"
            line = record if kind == ASKED else find_record(source, ASKED, whole, replica=True)
            asked = decode(Asked, line.content) if line is not None else None  # None: erased at this moment
            if asked is not None and case_id in (None, asked.case_id):
                lines.append(asked)
        ids = replace(ids, before=found[-1].id)
    return lines[:limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry of the intake desk as it is stored now; `version` is what the next one replaces."""

    entry: IntakeEntry
    version: int


ENTRIES: Final[Collection[StoredEntry]] = Collection(
    kind="lookup-intake",
    encode=lambda stored: encode(stored.entry),
    decode=lambda record: StoredEntry(entry=decode(IntakeEntry, record.content), version=record.version),
    id=lambda stored: stored.entry.request_id,
    replica=True,
    version=lambda stored: stored.version,
    status=lambda stored: stored.entry.status.value,
    due=lambda stored: stored.entry.due.date() if stored.entry.status is IntakeStatus.WAITING else None,
)
"""What waits or waited at the desk: one entry a request, under the id of the request's own message.

In one row, as replicas are: no older version keeps whom it was about. Due while it waits.
"""


def entry_record(entry: IntakeEntry, *, owner: NodeName, replaces: int = 0) -> Record:
    """An entry in the place of that version.

    It dies with its request while it waits; once it has ended it is a record of provision that names nobody.
    """
    waits = entry.status is IntakeStatus.WAITING
    kept = entry if waits else replace(entry, person=mask_person(entry.person))
    record = ENTRIES.record(StoredEntry(entry=kept, version=replaces + 1), owner=owner)
    return replace(record, kept_under="" if waits else PROVISION)


def put_entry(transaction: GroupTransaction, entry: IntakeEntry, *, owner: NodeName, replaces: int) -> None:
    """Stores an entry in the place of that version.

    Raises:
        ConflictError: VERSION_CONFLICT when another act came first.
    """
    now = ENTRIES.find(transaction, entry.request_id)
    if now is None or now.version != replaces:
        raise ConflictError("VERSION_CONFLICT", f"another act on request {entry.request_id} came first")
    with transaction.carrying(entry.request_id):
        put_records(transaction, [entry_record(entry, owner=owner, replaces=replaces)])


def list_waiting(source: Source) -> list[IntakeEntry]:
    """The entries that wait, by id, which is the order of asking."""
    waiting = (stored.entry for stored in ENTRIES.each_due(source, before=date.max))
    return sorted(waiting, key=lambda entry: entry.request_id)


def _line(kind: str, key: str, *, owner: NodeName, content: bytes) -> Record:
    """A line that is written once: kept as replicas are, in one row, since there is never a second version."""
    return Record(id=key, kind=kind, owner=owner, version=1, replica=True, status="kept", division="", content=content)
