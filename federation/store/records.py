"""Records of our own and replicas of others': versioned facts of any kind, sealed, found by id or exact subject.

Rules kept: versions only grow; every version of a record of our own is kept, of a replica the newest only; content and
subject are sealed together, the subject is searched through a blind index; what is in plain columns is what desks and
policies select by: status, divisions, due date. Trusts: the owner's versions. Source: DESIGN sections 5 and 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, TypeAlias, TypedDict, TypeVar, Unpack

from sqlalchemy import ARRAY, JSON, Connection, Select, String, any_, bindparam, delete, func, or_, select, update

from federation.protocol.errors import ConflictError, CorruptError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.store.columns import (
    DataKeys,
    Mark,
    blind_index,
    digest_row,
    from_millis,
    mark_of,
    note_rows,
    seal,
    to_millis,
    unseal,
)
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.prepared import NewRow, RowKey, StoredRow, change_rows, read_first, read_rows, read_value
from federation.store.tables import RECORD, RECORD_VERSION

A = TypeVar("A")
B = TypeVar("B")
Unread: TypeAlias = Callable[[str, Exception], None]
"""Is told the name of what cannot be read, and why, by who passes over it; who has none to tell is raised to."""
_CONTENT_COLUMN = "record.content"
_SUBJECT_COLUMN = "record.subject"
_BEFORE_ALL = -1
_AT_ONCE = 200
_FEW = 32
"""So many gathered rows are looked through; more are written, to be found by their index."""
_EVERY = 2**62
_CHUNK = 500  # ids in one look-up

_VERSIONS = select(
    RECORD.c.id,
    RECORD.c.version,
    RECORD.c.message_id,
    RECORD.c.leaf_index,
    RECORD.c.digest,
    RECORD.c.replica,
    RECORD.c.kind,
).where(RECORD.c.replica == bindparam("is_replica"), RECORD.c.kind == bindparam("of_kind"))
# The ids go as one value, so that the statement has one text, and a plan that looks each up in the index.
_VERSIONS_IN = _VERSIONS.where(
    RECORD.c.id.in_(select(func.json_each(bindparam("ids", type_=JSON)).table_valued("value").c.value))
)
_VERSIONS_ANY = _VERSIONS.where(RECORD.c.id == any_(bindparam("ids", type_=ARRAY(String))))
_BY_SUBJECT = (
    select(RECORD)
    .where(RECORD.c.kind == bindparam("of_kind"), RECORD.c.subject_index == bindparam("of_subject"))
    .order_by(RECORD.c.replica, RECORD.c.id)
    .limit(bindparam("most"))
)
_IN_RANGE = (
    select(RECORD)
    .where(
        RECORD.c.replica == bindparam("is_replica"),
        RECORD.c.kind == bindparam("of_kind"),
        RECORD.c.id > bindparam("after"),
        RECORD.c.id < bindparam("before"),
    )
    .limit(bindparam("most"))
)
_RANGE, _RANGE_BACK = _IN_RANGE.order_by(RECORD.c.id), _IN_RANGE.order_by(RECORD.c.id.desc())
_DUE = (
    select(RECORD)
    .where(
        RECORD.c.replica == bindparam("is_replica"),
        RECORD.c.kind == bindparam("of_kind"),
        RECORD.c.division == bindparam("of_division"),
        RECORD.c.due_date < bindparam("before"),
        RECORD.c.due_date >= bindparam("day"),
        or_(RECORD.c.due_date > bindparam("day"), RECORD.c.id > bindparam("after")),
    )
    .order_by(RECORD.c.due_date, RECORD.c.id)
    .limit(bindparam("most"))
)
_COUNT_DUE = select(func.count().label("count")).where(
    RECORD.c.replica == bindparam("is_replica"),
    RECORD.c.kind == bindparam("of_kind"),
    RECORD.c.division == bindparam("of_division"),
    RECORD.c.due_date < bindparam("before"),
)
_DUE_BY = (
    select(RECORD)
    .where(
        RECORD.c.replica == bindparam("is_replica"),
        RECORD.c.kind == bindparam("of_kind"),
        RECORD.c.division == bindparam("of_division"),
        RECORD.c.due_millis <= bindparam("by"),
        RECORD.c.due_millis >= bindparam("since"),
        or_(RECORD.c.due_millis > bindparam("since"), RECORD.c.id > bindparam("after")),
    )
    .order_by(RECORD.c.due_millis, RECORD.c.id)
    .limit(bindparam("most"))
)
_HISTORY = (
    select(RECORD_VERSION)
    .where(RECORD_VERSION.c.kind == bindparam("of_kind"), RECORD_VERSION.c.id == bindparam("of_id"))
    .order_by(RECORD_VERSION.c.version)
)
_NAMES = (RECORD.c.replica, RECORD.c.kind, RECORD.c.id, RECORD.c.due_millis)
_NEW_VALUES = tuple(column.name for column in RECORD.c if not column.primary_key)
_REPLACE = (
    update(RECORD)
    .where(
        RECORD.c.replica == bindparam("is_replica"),
        RECORD.c.kind == bindparam("of_kind"),
        RECORD.c.id == bindparam("of_id"),
    )
    .values({RECORD.c[name]: bindparam(f"new_{name}") for name in _NEW_VALUES})
)
_ERASE = delete(RECORD).where(
    RECORD.c.replica == bindparam("is_replica"),
    RECORD.c.kind == bindparam("of_kind"),
    RECORD.c.id == bindparam("of_id"),
)
_MARK = select(RECORD.c.replica, RECORD.c.kind, RECORD.c.leaf_index, RECORD.c.digest).where(
    RECORD.c.replica == bindparam("is_replica"),
    RECORD.c.kind == bindparam("of_kind"),
    RECORD.c.id == bindparam("of_id"),
)
_ERASE_HISTORY = delete(RECORD_VERSION).where(
    RECORD_VERSION.c.kind == bindparam("of_kind"), RECORD_VERSION.c.id == bindparam("of_id")
)
_CAME_OF = select(RECORD.c.replica, RECORD.c.kind, RECORD.c.id).where(RECORD.c.message_id == bindparam("of_message"))
_ERASE_VERSIONS_OF = delete(RECORD_VERSION).where(RECORD_VERSION.c.message_id == bindparam("of_message"))
_VERSION_MARKS = select(RECORD_VERSION.c.kind, RECORD_VERSION.c.leaf_index, RECORD_VERSION.c.digest)
_MARKS_OF_HISTORY = _VERSION_MARKS.where(
    RECORD_VERSION.c.kind == bindparam("of_kind"), RECORD_VERSION.c.id == bindparam("of_id")
)
_MARKS_OF_VERSIONS = _VERSION_MARKS.where(RECORD_VERSION.c.message_id == bindparam("of_message"))
_NEWEST_ONLY = ("replica", "subject_index", "due_millis", "digest")


class _Known(NamedTuple):
    """A stored record's version, the message that it came of, and its mark."""

    version: int
    message_id: str | None
    mark: Mark | None


_Name: TypeAlias = tuple[bool, str, str]  # replica, kind, id: the primary key


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One version of a record (ours) or of a replica (another node's).

    `subject` is the exact search key, already normalised, such as a citizen number; it and `content` are stored sealed.
    `sealed` says that the law seals the whole record, which is for policies to heed.
    `due_time` is the moment at which a duty of the node looks at it next, None for never.
    `kept_under` is the rule of retention by which it stays when the message dies in whose transaction it is written;
    without one it dies with that message, and so does each later version that our own side makes of it.
    """

    id: str
    kind: str
    owner: NodeName
    version: int
    replica: bool
    status: str
    division: str
    household_division: str | None = None
    due_date: date | None = None
    due_time: datetime | None = None
    sealed: bool = False
    subject: str | None = None
    content: bytes
    kept_under: str = ""


class RecordFilter(TypedDict, total=False):
    """A filter by exact division or status, and by a due date before that day. None narrows nothing.

    `stored`: any of several statuses, each with the first due date, no due date being later than any, and the day
    before which it is.
    """

    division: str | None
    status: str | None
    due_before: date | None
    stored: Sequence[tuple[str, date | None, date | None]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRange:
    """The ids above `after` and below `before`, neither included, in byte order or, newest first, against it."""

    after: str
    before: str
    newest_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRange:
    before: date
    day: date = date.min
    after: str = ""


def ids_under(prefix: str, *, newest_first: bool = False, before: str = "") -> IdRange:
    """The ids that begin with a prefix of ASCII and go on, those below prefix and `before` only, if it is given."""
    return IdRange(after=prefix, before=prefix + (before or "\x7f"), newest_first=newest_first)


def put_records(transaction: GroupTransaction, records: Sequence[Record], *, expect_version: int | None = None) -> int:
    """Stores new versions in bulk and returns how many were new; versions that are not newer are skipped silently.

    Several versions of one record come oldest first. `expect_version` is the one of our own that must be stored now (0:
    none yet); raises ConflictError VERSION_CONFLICT when another is, or the new one is not newer.
    """
    if not transaction.careful and (first := [record for record in records if record.version == 1]):
        # First versions are written unseen; should one be there already, the group is run again carefully.
        _write(transaction, first, {(record.replica, record.kind, record.id): record for record in first}, {})
        later = [record for record in records if record.version != 1]
        return len(first) + (put_records(transaction, later, expect_version=expect_version) if later else 0)
    names = {(record.replica, record.kind, record.id) for record in records}
    with transaction.reading_rows(RECORD, names.__contains__) as connection:
        stored = _read_versions(connection, records)
    versions = {name: known.version for name, known in stored.items()}
    newest: dict[_Name, Record] = {}
    accepted: list[Record] = []
    for record in records:
        name = (record.replica, record.kind, record.id)
        version = versions.get(name, 0)
        if expect_version is not None and not record.replica:
            _require_version(record, version, expect_version)
        if record.version > version:
            versions[name] = record.version
            newest[name] = record
            accepted.append(record)
    _write(transaction, accepted, newest, stored)
    return len(accepted)


def find_record(source: Source, kind: str, record_id: str, *, replica: bool) -> Record | None:
    """The newest version of a record of ours or of a replica, None when there is none (SEALED_VALUE)."""
    row = source.find_row(RECORD, replica, kind, record_id)
    return None if row is None else _from_row(row, source.keys, replica=replica)


def find_origin(source: Source, kind: str, record_id: str, *, replica: bool) -> str | None:
    """The id of the message that the newest version of a record came of; None for our own, or where there is none."""
    row = source.find_row(RECORD, replica, kind, record_id)
    return None if row is None else row["message_id"]


def find_version(source: Source, kind: str, record_id: str, *, replica: bool) -> int:
    """The newest version of a record, 0 when there is none; also of one whose content can not be read."""
    row = source.find_row(RECORD, replica, kind, record_id)
    return 0 if row is None else int(row["version"])


def find_by_subject(
    source: Source, kind: str, subject: str, *, limit: int | None = None, unread: Unread | None = None
) -> list[Record]:
    """The records and replicas of a kind about exactly that subject, ours first, then by id (SEALED_VALUE).

    What cannot be read is told to `unread`, where it is given, and passed over.
    """
    index = blind_index(source.keys, _SUBJECT_COLUMN, subject)
    names = {"of_kind": kind, "of_subject": index, "most": _EVERY if limit is None else limit}
    known = source.gathered_rows(RECORD, lambda key: key[1] == kind)
    is_few = len(known) <= _FEW
    gathered = [row for row in known if row["subject_index"] == index] if is_few else []
    reading = (lambda: source.reading_rows(RECORD, lambda _: False)) if is_few else source.reading
    rows = _load_page(reading, _BY_SUBJECT, names, unread)
    if gathered:
        rows = sorted((*rows, *gathered), key=lambda row: (row["replica"], str(row["id"])))[:limit]
    return [record for record in _each_record(rows, source, unread=unread) if record.subject == subject]


def list_records(
    source: Source, kind: str, *, after_id: str, limit: int, replica: bool, **where: Unpack[RecordFilter]
) -> list[Record]:
    """A page of records of a kind, by id in byte order, with ids above `after_id`, at most `limit` (SEALED_VALUE)."""
    conditions = [RECORD.c.replica == replica, RECORD.c.kind == kind, RECORD.c.id > after_id]
    if (division := where.get("division")) is not None:
        conditions.append(RECORD.c.division == division)
    if (status := where.get("status")) is not None:
        conditions.append(RECORD.c.status == status)
    if (due_before := where.get("due_before")) is not None:
        conditions.append(RECORD.c.due_date < due_before)
    if (stored := where.get("stored")) is not None:
        alternatives = []
        for status, since, before in stored:
            found, day = RECORD.c.status == status, RECORD.c.due_date
            if before is not None:
                found &= day < before
            if since is not None:
                found &= day >= since if before is not None else (day >= since) | day.is_(None)
            alternatives.append(found)
        conditions.append(or_(*alternatives))
    statement = select(RECORD).where(*conditions).order_by(RECORD.c.id).limit(limit)
    with source.reading() as connection:
        rows = connection.execute(statement).mappings().all()
    return [_from_row(row, source.keys, replica=replica) for row in rows]


def passing_over(
    values: Iterable[A], read: Callable[[A], B], *, name: Callable[[A], str], unread: Unread | None
) -> Iterator[B]:
    """Reads each; what cannot be read is told to `unread` and passed over, or raised without one. UnavailableError."""
    for value in values:
        try:
            found = read(value)
        except UnavailableError:  # of the store, not of the row
            raise
        except Exception as error:
            if unread is None:
                raise
            unread(name(value), error)
        else:
            yield found


def list_range(source: Source, kind: str, ids: IdRange, *, limit: int, replica: bool) -> list[Record]:
    """The records of a kind in a range of ids, in its order, by primary key, at most `limit` (SEALED_VALUE)."""
    return list(_each_record(_rows_in(source, kind, ids, limit=limit, replica=replica), source, unread=None))


def each_in_range(
    source: Source, kind: str, ids: IdRange, *, replica: bool, at_once: int = 200, unread: Unread | None = None
) -> Iterator[Record]:
    """The records of a kind in a range of ids, in its order, read `at_once` as they are asked for; `passing_over`."""
    while rows := _rows_in(source, kind, ids, limit=at_once, replica=replica, unread=unread):
        yield from _each_record(rows, source, unread=unread)
        last = rows[-1]["id"]
        ids = replace(ids, before=last) if ids.newest_first else replace(ids, after=last)


def _rows_in(
    source: Source, kind: str, ids: IdRange, *, limit: int, replica: bool, unread: Unread | None = None
) -> Sequence[StoredRow]:
    names = {"is_replica": replica, "of_kind": kind, "after": ids.after, "before": ids.before, "most": limit}

    def is_listed(key: RowKey) -> bool:
        return key[:2] == (replica, kind) and ids.after < str(key[2]) < ids.before

    gathered = source.gathered_rows(RECORD, is_listed)
    statement = _RANGE_BACK if ids.newest_first else _RANGE
    stored = _load_page(lambda: source.reading_rows(RECORD, lambda _: False), statement, names, unread)
    if not gathered:
        return stored
    # Text compares by code points, which is the byte order of the columns.
    return sorted((*stored, *gathered), key=lambda row: str(row["id"]), reverse=ids.newest_first)[:limit]


def _load_page(
    reading: Callable[[], AbstractContextManager[Connection]],
    statement: Select[Any],
    names: NewRow,
    unread: Unread | None,
) -> Sequence[StoredRow]:
    """A page of rows; where a column of one cannot even be loaded, and it is to be passed over, their names alone."""
    try:
        with reading() as connection:
            return read_rows(connection, statement, names)
    except UnavailableError:
        raise
    except Exception:
        if unread is None:
            raise
    with reading() as connection:
        return connection.execute(statement.with_only_columns(*_NAMES), names).mappings().all()


def _each_record(rows: Sequence[StoredRow], source: Source, *, unread: Unread | None) -> Iterator[Record]:
    def read(row: StoredRow) -> Record | None:
        whole = row if "content" in row else source.find_row(RECORD, row["replica"], row["kind"], row["id"])
        return None if whole is None else _from_row(whole, source.keys, replica=row["replica"])

    found = passing_over(rows, read, name=lambda row: f"{row['kind']} {row['id']}", unread=unread)
    return (record for record in found if record is not None)


def list_due(source: Source, kind: str, days: DueRange, *, division: str, limit: int, replica: bool) -> list[Record]:
    """The records of a kind and division due in a range of days, earliest first, at most `limit` (SEALED_VALUE)."""
    names = {
        "is_replica": replica, "of_kind": kind, "of_division": division, "before": days.before, "day": days.day,
        "after": days.after, "most": limit,
    }  # fmt: skip
    with source.reading() as connection:
        rows = read_rows(connection, _DUE, names)
    return [_from_row(row, source.keys, replica=replica) for row in rows]


def count_due(source: Source, kind: str, before: date, *, division: str = "", replica: bool) -> int:
    names = {"is_replica": replica, "of_kind": kind, "of_division": division, "before": before}
    with source.reading() as connection:
        return int(read_value(connection, _COUNT_DUE, names))


def each_due_by(
    source: Source, kind: str, by: datetime, *, division: str = "", replica: bool, unread: Unread | None = None
) -> Iterator[Record]:
    """The records of a kind and division whose `due_time` has come by then, earliest first, read as asked for.

    What cannot be read is told to `unread` and passed over; without one it raises as `find_record`.
    """
    names = {"is_replica": replica, "of_kind": kind, "of_division": division, "by": to_millis(by), "most": _AT_ONCE}
    since, after = _BEFORE_ALL, ""
    while True:
        rows = _load_page(source.reading, _DUE_BY, {**names, "since": since, "after": after}, unread)
        yield from _each_record(rows, source, unread=unread)
        if len(rows) < _AT_ONCE:
            return
        since, after = rows[-1]["due_millis"], rows[-1]["id"]


def list_versions(source: Source, kind: str, record_id: str) -> list[Record]:
    """Every version of a record of our own, oldest first; empty for replicas and unknown ids (SEALED_VALUE)."""
    with source.reading_rows(RECORD_VERSION, lambda key: key[:2] == (kind, record_id)) as connection:
        rows = read_rows(connection, _HISTORY, {"of_kind": kind, "of_id": record_id})
    return [_from_row(row, source.keys, replica=False) for row in rows]


def erase_record(transaction: GroupTransaction, kind: str, record_id: str, *, replica: bool) -> bool:
    """Deletes a record with its history, or a replica; says whether there was one."""
    names = {"of_kind": kind, "of_id": record_id}
    with transaction.reading() as connection:
        row = read_first(connection, _MARK, {**names, "is_replica": replica})
        if row is None:
            return False
        change_rows(connection, _ERASE, [{**names, "is_replica": replica}])
        rows = [row]
        if not replica:
            rows += read_rows(connection, _MARKS_OF_HISTORY, names)
            change_rows(connection, _ERASE_HISTORY, [names])
    note_rows(transaction, added=[], removed=_marks_of(rows))
    transaction.note_erased()
    return True


def erase_records_of(transaction: GroupTransaction, message_id: str) -> int:
    """Deletes every record that the message left and nothing newer has replaced, history included; returns how many."""
    with transaction.reading() as connection:
        names = {"of_message": message_id}
        versions = read_rows(connection, _MARKS_OF_VERSIONS, names)
        if versions:
            change_rows(connection, _ERASE_VERSIONS_OF, [names])
            note_rows(transaction, added=[], removed=_marks_of(versions))
            transaction.note_erased()
        left = read_rows(connection, _CAME_OF, names)
    for row in left:
        erase_record(transaction, row["kind"], row["id"], replica=row["replica"])
    return len(left)


def next_serial(transaction: GroupTransaction, name: str) -> int:
    """Takes the next number of a named series: 1, 2, 3 ... A group that fails gives its numbers back."""
    return transaction.count_up(f"serial/{name}")


def last_serial(source: Source, name: str) -> int:
    return source.find_counter(f"serial/{name}")


def _read_versions(connection: Connection, records: Sequence[Record]) -> dict[_Name, _Known]:
    ids: dict[tuple[bool, str], list[str]] = {}
    for record in records:
        ids.setdefault((record.replica, record.kind), []).append(record.id)
    statement = _VERSIONS_ANY if connection.dialect.name == "postgresql" else _VERSIONS_IN
    stored: dict[_Name, _Known] = {}
    for (replica, kind), wanted in ids.items():
        for start in range(0, len(wanted), _CHUNK):
            names = {"is_replica": replica, "of_kind": kind, "ids": wanted[start : start + _CHUNK]}
            for row in read_rows(connection, statement, names):
                stored[replica, kind, row["id"]] = _Known(row["version"], row["message_id"], mark_of(row))
    return stored


def _require_version(record: Record, stored: int, expected: int) -> None:
    if stored != expected or record.version <= stored:
        raise ConflictError(
            "VERSION_CONFLICT",
            f"expected version {expected} to be stored and a newer one to come, got {stored} and {record.version}",
            stored=stored,
        )


def _write(
    transaction: GroupTransaction,
    accepted: Sequence[Record],
    newest: dict[_Name, Record],
    known: Mapping[_Name, _Known],
) -> None:
    """Hands rows to the transaction; `known` are those there, with the message they came of, which ours keep."""
    replaced: list[tuple[RowKey, NewRow]] = []
    added: list[Mark] = []
    removed: list[Mark] = []
    for record in accepted:
        name = (record.replica, record.kind, record.id)
        before = known.get(name)
        came_of = None if record.kept_under else transaction.message_id or (before.message_id if before else None)
        row = _to_row(record, transaction.keys, message_id=came_of, leaf_index=max(0, transaction.size - 1))
        if not record.replica:
            history = {key: value for key, value in row.items() if key not in _NEWEST_ONLY}
            history["digest"] = digest_row(transaction.keys, history)
            transaction.insert_row(RECORD_VERSION, (record.kind, record.id, record.version), history)
            added += _marks_of([history])
        if newest[name] is not record:
            continue
        added += _marks_of([row])
        if before is None:
            transaction.insert_row(RECORD, name, row)
            continue
        replaced.append((name, _to_replacement(row)))
        if before.mark is not None:
            removed.append(before.mark)
    note_rows(transaction, added=added, removed=removed)
    if replaced:
        transaction.change_rows(_REPLACE, RECORD, replaced)


def _marks_of(rows: Iterable[StoredRow]) -> list[Mark]:
    return [mark for row in rows if (mark := mark_of(row)) is not None]


def _row_key(kind: str, record_id: str, version: int) -> str:
    """Binds sealed content to its version: an older one can not be put back in its place."""
    return f"{kind}/{record_id}/{version}"


def _to_row(record: Record, keys: DataKeys, *, message_id: str | None, leaf_index: int) -> NewRow:
    subject = (record.subject or "").encode()
    plaintext = len(subject).to_bytes(2) + subject + record.content
    row = {
        "replica": record.replica,
        "kind": record.kind,
        "id": record.id,
        "owner": record.owner,
        "version": record.version,
        "status": record.status,
        "division": record.division,
        "household_division": record.household_division,
        "due_date": record.due_date,
        "sealed": record.sealed,
        "subject_index": None if record.subject is None else blind_index(keys, _SUBJECT_COLUMN, record.subject),
        "content": seal(keys, _CONTENT_COLUMN, plaintext, row_key=_row_key(record.kind, record.id, record.version)),
        "message_id": message_id,
        "due_millis": None if record.due_time is None else to_millis(record.due_time),
        "leaf_index": leaf_index,
    }
    return {**row, "digest": digest_row(keys, row)}


def _to_replacement(row: NewRow) -> NewRow:
    values = {f"new_{name}": row[name] for name in _NEW_VALUES}
    return {"is_replica": row["replica"], "of_kind": row["kind"], "of_id": row["id"], **values}


def _from_row(row: StoredRow, keys: DataKeys, *, replica: bool) -> Record:
    due = row.get("due_millis")  # an older version is never due
    plaintext = unseal(keys, _CONTENT_COLUMN, row["content"], row_key=_row_key(row["kind"], row["id"], row["version"]))
    start = 2 + int.from_bytes(plaintext[:2])
    if len(plaintext) < start:
        raise CorruptError("RECORD_FORM", f"the stored content of a {row['kind']} is cut short")
    return Record(
        id=row["id"],
        kind=row["kind"],
        owner=NodeName(row["owner"]),
        version=row["version"],
        replica=replica,
        status=row["status"],
        division=row["division"],
        household_division=row["household_division"],
        due_date=row["due_date"],
        due_time=None if due is None else from_millis(due),
        sealed=row["sealed"],
        subject=plaintext[2:start].decode() or None,
        content=plaintext[start:],
    )
