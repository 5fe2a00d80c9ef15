"""Planted records: what no case has a reason to ask for, so that who asks for it is flagged.

Named by a permit's URN or a plate, found by a blind index; each version stays. Source: misuse control M8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from federation.protocol.errors import NotFoundError
from federation.protocol.ids import NodeName
from federation.store.columns import blind_index
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, list_records, put_records

PLANTED_RECORD: Final = "planted-record"
_PLANTED, _REMOVED = "planted", "removed"
_PAGE: Final = 500


def plant(transaction: GroupTransaction, name: str, *, owner: NodeName) -> None:
    """Plants the record of that name; once more is no harm."""
    if not is_planted(transaction, name):
        _put(transaction, name, status=_PLANTED, owner=owner)


def remove_planted(transaction: GroupTransaction, name: str, *, owner: NodeName) -> None:
    """Makes the record of that name one like any other. Raises NotFoundError: PLANTED_UNKNOWN."""
    if not is_planted(transaction, name):
        raise NotFoundError("PLANTED_UNKNOWN", "expected the name of a planted record")
    _put(transaction, name, status=_REMOVED, owner=owner)


def is_planted(source: Source, name: str) -> bool:
    """True when the record of that name is planted: one row read by its key."""
    known = _find(source, name)
    return known is not None and known.status == _PLANTED


def was_planted(source: Source, name: str) -> bool:
    """True when it was ever planted, one that was removed since included."""
    return _find(source, name) is not None


def list_planted(source: Source) -> Iterator[str]:
    after = ""
    while found := list_records(source, PLANTED_RECORD, after_id=after, limit=_PAGE, replica=False, status=_PLANTED):
        yield from (record.content.decode() for record in found)
        after = found[-1].id


def _find(source: Source, name: str) -> Record | None:
    return find_record(source, PLANTED_RECORD, _record_id(source, name), replica=False)


def _record_id(source: Source, name: str) -> str:
    return blind_index(source.keys, PLANTED_RECORD, name).hex()


def _put(transaction: GroupTransaction, name: str, *, status: str, owner: NodeName) -> None:
    known = _find(transaction, name)
    stored = known.version if known is not None else 0
    record = Record(
        id=_record_id(transaction, name),
        kind=PLANTED_RECORD,
        owner=owner,
        version=stored + 1,
        replica=False,
        status=status,
        division="",
        content=name.encode(),
    )
    put_records(transaction, [record], expect_version=stored)
