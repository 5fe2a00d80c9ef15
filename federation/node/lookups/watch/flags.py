"""What the watch flagged: raised in the transaction that writes what it is about, numbered at the desk that reads it.

Rules kept: no question leaves without its flag; the same flag of the same look-up is one; nothing here holds a person's
name or number. A desk is a police office: its own questions' flags come to it, and those of other provinces' questions
that met a planted record of its county.
Source: misuse controls M2, M5, M8, M11, M12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from federation.domain.lookups import Handle, Selector
from federation.domain.oversight import BURST_WINDOW, AskedLine, Flag, FlagKind, RaisedFlag, find_misuse, honey_flag
from federation.domain.retention import PROVISION
from federation.node.exchange.judge import Numbered, Rows, put_rows
from federation.node.exchange.trust import InForce
from federation.node.lookups import records
from federation.node.node import Node
from federation.node.planted import is_planted
from federation.protocol.canonical_json import decode_canonical, encode_canonical, read_text
from federation.protocol.ids import AgencyId, NodeName, format_time, parse_agency_id, parse_time
from federation.protocol.trust import find_agency
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, ids_under, last_serial, list_range

FLAG, FLAGGED = "lookup-flag", "lookup-flagged"
SEARCH = "lookup.search"
_AT_ONCE = 200
_PAGE = 50
"""So many flags lie in memory for one stream."""


def put_flags(
    transaction: GroupTransaction, raised: Iterable[RaisedFlag], *, owner: NodeName, desk: AgencyId | None = None
) -> None:
    """Stores flags at a desk, that of the asking agency unless another is named; a flag that is there is not again."""
    put_rows(transaction, Rows(numbered=flag_records(raised, owner=owner, desk=desk)), message_id=None)


def flag_records(
    raised: Iterable[RaisedFlag], *, owner: NodeName, desk: AgencyId | None = None
) -> tuple[Numbered, ...]:
    """The flags as records that get the next numbers of their desk; a flag that is there gets none."""
    found: list[Numbered] = []
    for one in raised:
        at = desk or one.agency
        mark = Record(
            id=f"{at}/{one.flag.kind}/{one.flag.lookup_id}", kind=FLAGGED, owner=owner, version=1, replica=False,
            status="raised", division=at.county, due_date=one.time.date(), content=b"{}", kept_under=PROVISION,
        )  # fmt: skip
        found.append(Numbered(series=_series(at), mark=mark, record=_to_record(one, at, owner=owner)))
    return tuple(found)


def count_flags(source: Source, desk: AgencyId) -> int:
    """How many flags were ever raised at a desk; the newest has that number."""
    return last_serial(source, _series(desk))


def list_after(source: Source, desk: AgencyId, number: int) -> Sequence[tuple[int, RaisedFlag]]:
    """The flags that were raised at a desk after that number, with theirs, oldest first, one page of them."""
    ids = replace(ids_under(f"{desk}/"), after=_flag_id(desk, number))
    found = list_range(source, FLAG, ids, limit=_PAGE, replica=False)
    return [(_number_of(record), _read_flag(record.content)) for record in found]


def list_flags(
    source: Source,
    desk: AgencyId,
    *,
    before: int | None = None,
    limit: int = records.MAX_LINES,
    wanted: Callable[[RaisedFlag], bool] = lambda _: True,
) -> Sequence[tuple[int, RaisedFlag]]:
    """The wanted flags of a desk with their numbers, newest first, at most `limit`, of numbers below `before`."""
    ids = ids_under(f"{desk}/", newest_first=True, before=f"{before:012}" if before is not None else "")
    listed: list[tuple[int, RaisedFlag]] = []
    while len(listed) < limit and (found := list_range(source, FLAG, ids, limit=_AT_ONCE, replica=False)):
        numbered = [(_number_of(record), _read_flag(record.content)) for record in found]
        listed += [one for one in numbered if wanted(one[1])]
        ids = replace(ids, before=found[-1].id)
    return listed[:limit]


def judge_search(
    source: Source, in_force: InForce, line: AskedLine, *, agency: AgencyId, selector: Selector
) -> tuple[RaisedFlag, ...]:
    """The flags that a look-up raises at the asking side, before it leaves.

    Args:
        source: the transaction that writes the look-up, so that two at the same moment see each other.
        in_force: by whose calendar the working days are told.
        line: the look-up; of two that are written out of the order of their times, the later written is judged.
        agency: whose look-ups it is seen with.
        selector: what it asks for.
    """
    known = records.list_recent(source, agency, line.officer, since=line.time - BURST_WINDOW, step=SEARCH)
    lines = [
        replace(line, time=one.time, lookup_id=one.lookup_id, case_id=one.case_id, desk=one.desk)
        for one in known
        if one.lookup_id != line.lookup_id
    ]
    judged = replace(line, time=max([line.time, *(other.time for other in lines)]))
    flags = find_misuse([*lines, judged], judged.time, in_force.calendar)
    flags = tuple(flag for flag in flags if flag.lookup_id == line.lookup_id)
    if is_planted(source, selector.value):
        flags = (*flags, honey_flag(line))
    return tuple(RaisedFlag(time=line.time, agency=agency, flag=flag) for flag in flags)


def judge_hit(source: Source, handle: Handle, now: datetime) -> tuple[RaisedFlag, ...]:
    """The flag that a hit raises at the answering side, when the record behind the handle is a planted one."""
    if not is_planted(source, handle.dossier.id):
        return ()
    line = AskedLine(
        time=now, officer=handle.officer, agency=str(handle.asker), lookup_id=handle.lookup_id, case_id=handle.case_id
    )
    return (RaisedFlag(time=now, agency=handle.asker, flag=honey_flag(line)),)


def desk_for(node: Node, county: str) -> AgencyId:
    """The police office of ours that is told of a hit in that county: the county's own, else the province's first."""
    agreement = node.trust.in_force.agreement
    own = AgencyId(node.name, county, "police")
    if find_agency(agreement, own) is not None:
        return own
    police = sorted(str(agency) for agency in agreement.members[node.name].agencies if agency.kind == "police")
    return parse_agency_id(police[0]) if police else own


def _series(desk: AgencyId) -> str:
    return f"flags/{desk}"


def _flag_id(desk: AgencyId, serial: int) -> str:
    return f"{desk}/{serial:012}"


def _number_of(record: Record) -> int:
    return int(record.id.rpartition("/")[2])


def _to_record(raised: RaisedFlag, desk: AgencyId, *, owner: NodeName) -> Record:
    flag = raised.flag
    content = encode_canonical(
        {
            "time": format_time(raised.time),
            "agency": str(raised.agency),
            "kind": str(flag.kind),
            "officer": flag.officer,
            "lookup_id": flag.lookup_id,
            "case_id": flag.case_id,
            "sentence_zh": flag.sentence_zh,
            "sentence_en": flag.sentence_en,
        }
    )
    return Record(
        id=f"{desk}/",
        kind=FLAG,
        owner=owner,
        version=1,
        replica=False,
        status=str(flag.kind),
        division=desk.county,
        due_date=raised.time.date(),
        content=content,
        kept_under=PROVISION,
    )


def _read_flag(content: bytes) -> RaisedFlag:
    value = decode_canonical(content, what=FLAG)
    flag = Flag(
        kind=FlagKind(read_text(value, "kind", what=FLAG)),
        officer=read_text(value, "officer", what=FLAG),
        lookup_id=read_text(value, "lookup_id", what=FLAG),
        case_id=read_text(value, "case_id", what=FLAG),
        sentence_zh=read_text(value, "sentence_zh", what=FLAG),
        sentence_en=read_text(value, "sentence_en", what=FLAG),
    )
    return RaisedFlag(
        time=parse_time(read_text(value, "time", what=FLAG)),
        agency=parse_agency_id(read_text(value, "agency", what=FLAG)),
        flag=flag,
    )
