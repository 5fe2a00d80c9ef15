"""Flags: raised in the transaction that writes what they are about, numbered at the desk that reads them.

No question leaves without its flag; the same flag of a look-up is one; nothing here holds a person. A desk is a police
office: its own questions' flags, and others' that met a planted record of its county. Source: M2, M5, M8, M11, M12.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
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
from federation.node.lookups import records
from federation.node.node import InForce, Node
from federation.node.oversight.feed import Feed
from federation.node.oversight.readings import note_reading
from federation.node.planted import is_planted
from federation.protocol.form import decode, encode
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from federation.protocol.trust import find_agency
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record
from federation.wire.agency.oversight import LIST_FLAGS, FlagPage, FlagQuery

FLAGGED: Final = "lookup-flagged"


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
    if not is_planted(source, handle.dossier.id):
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
