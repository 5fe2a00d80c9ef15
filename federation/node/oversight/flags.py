"""Flags: raised in the transaction that writes what they are about, numbered at the desk that reads them.

No question leaves without its flag; the same flag of a look-up is one; nothing here holds a person. A desk is a police
office: its own questions' flags, and others' that met a planted record of its county: what no case has a reason to ask
for, named by a permit's URN or a plate, found by a blind index; each version stays. Source: M2, M5, M8, M11, M12.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Final

from federation.domain.lookups import Handle, Selector
from federation.domain.oversight import (
    BURST_WINDOW,
    AskedLine,
    FlagKind,
    RaisedFlag,
    ReadingKind,
    burst_flag,
    find_misuse,
    honey_flag,
    is_burst,
    raised_at,
)
from federation.domain.retention import PROVISION
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Numbered, Rows, put_rows
from federation.node.feed import Feed
from federation.node.lookups import records
from federation.node.node import InForce, Node
from federation.node.oversight.readings import note_reading
from federation.protocol.errors import NotFoundError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from federation.protocol.trust import find_agency
from federation.store.columns import blind_index
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, list_records, put_records
from federation.wire.agency.oversight import LIST_FLAGS, FlagPage, FlagQuery

FLAGGED: Final = "lookup-flagged"
PLANTED_RECORD: Final = "planted-record"
_PLANTED, _REMOVED = "planted", "removed"
_PAGE: Final = 500


def put_flags(
    transaction: GroupTransaction, raised: Iterable[RaisedFlag], *, owner: NodeName, desk: AgencyId | None = None
) -> None:
    """Stores flags at a desk, that of the asking agency unless another is named; a flag that is there is not again."""
    put_rows(transaction, Rows(numbered=flag_records(raised, owner=owner, desk=desk)), message_id=None)


def flag_records(
    raised: Iterable[RaisedFlag], *, owner: NodeName, desk: AgencyId | None = None
) -> tuple[Numbered, ...]:
    """Returns the flags as records that get the next numbers of their desk; a flag that is there gets none."""
    found: list[Numbered] = []
    for one in raised:
        at = desk or one.agency
        mark = Record(
            id=f"{at}/{one.kind}/{one.lookup_id}", kind=FLAGGED, owner=owner, version=1, replica=False,
            status="raised", division=at.county, due_date=one.time.date(), content=b"{}", kept_under=PROVISION,
        )  # fmt: skip
        record = replace(mark, id="", kind=RaisedFlag.WHAT, status=one.kind.value, content=encode(one))
        found.append(FLAGS.entry(str(at), record, mark=mark))
    return tuple(found)


@on(LIST_FLAGS)
async def list_flags(errand: Errand, query: FlagQuery) -> FlagPage:
    await note_reading(errand, step=ReadingKind.FLAGS, what=query.officer or "")

    def wanted(one: RaisedFlag) -> bool:
        return (
            query.officer in (None, one.officer)
            and query.kind in (None, one.kind)
            and query.case_id in (None, one.case_id)
        )

    page = await asyncio.to_thread(
        FLAGS.page,
        errand.node.database,
        str(errand.caller),
        limit=query.page_size,
        token=query.page_token,
        wanted=wanted,
    )
    return FlagPage(flags=page.values, next_page_token=page.next_token)


def judge_search(
    source: Source, in_force: InForce, line: AskedLine, *, agency: AgencyId, selector: Selector, step: str
) -> tuple[RaisedFlag, ...]:
    """Returns the flags that a look-up (`step`) raises before it leaves; `source` is the transaction that writes it."""
    known = records.list_recent(source, agency, line.officer, since=line.time - BURST_WINDOW, step=step)
    lines = [one for one in known if one.lookup_id != line.lookup_id]
    judged = replace(line, time=max([line.time, *(other.time for other in lines)]))
    flags = find_misuse([*lines, judged], judged.time, in_force.calendar)
    flags = tuple(flag for flag in flags if flag.lookup_id == line.lookup_id)
    if is_planted(source, selector.value):
        flags = (*flags, honey_flag(line))
    return tuple(raised_at(flag, time=line.time, agency=agency) for flag in flags)


def judge_load(transaction: GroupTransaction, in_force: InForce, line: AskedLine) -> tuple[RaisedFlag, ...]:
    """Counts a look-up for its desk and its office within the window, and returns the flags of a burst.

    A window is a slice of the clock; two counters a desk and an office, however long it lives.
    """
    window, agency = int(line.time.timestamp() // BURST_WINDOW.total_seconds()), parse_agency_id(line.agency)
    raised: list[RaisedFlag] = []
    for kind, topic in ((FlagKind.DESK_BURST, f"{agency}/{line.desk}"), (FlagKind.OFFICE_BURST, str(agency))):
        of, asked = f"lookup-burst/{topic}/window", f"lookup-burst/{topic}/asked"
        count = transaction.find_counter(asked) + 1 if transaction.find_counter(of) == window else 1
        transaction.find_counter(asked)  # a counter is read before it is set
        transaction.set_counter(of, window)
        transaction.set_counter(asked, count)
        if is_burst(kind, count, line.time, calendar=in_force.calendar):
            raised.append(raised_at(burst_flag(kind, line, asked=count), time=line.time, agency=agency))
    return tuple(raised)


def judge_hit(source: Source, handle: Handle, now: datetime) -> tuple[RaisedFlag, ...]:
    """Returns the flag that a hit raises at the answering side, when the record behind the handle is a planted one."""
    if not is_planted(source, handle.dossier):
        return ()
    line = AskedLine(
        time=now, officer=handle.officer, agency=str(handle.asker), lookup_id=handle.lookup_id, case_id=handle.case_id
    )
    return (raised_at(honey_flag(line), time=now, agency=handle.asker),)


def desk_key(desk: AgencyId) -> str:
    """Returns the key of `waiters` that is told once a flag at a desk is durable."""
    return FLAGS.key(str(desk))


def desk_for(node: Node, county: str) -> AgencyId:
    """Returns the police office of ours that is told of a hit in a county: the county's, else the province's first."""
    agreement = node.trust.in_force.agreement
    own = AgencyId(node.name, county, "police")
    if find_agency(agreement, own) is not None:
        return own
    police = sorted(str(agency) for agency in agreement.members[node.name].agencies if agency.kind == "police")
    return parse_agency_id(police[0]) if police else own


FLAGS: Final = Feed(kind=RaisedFlag.WHAT, series="flags", read=partial(decode, RaisedFlag))
"""By desk."""


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
