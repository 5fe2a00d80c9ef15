"""What the watch over look-ups keeps: flags, the planted records, each officer's day, the sample for review.

A flag is written in the transaction that writes what raised it, so that no question leaves without it. Nothing here
holds a person's name or number. `<home>/honey.txt` has one URN of a record or one plate a line;
`<home>/calendar.toml` is the calendar of working days. Source: misuse controls M2, M5, M8, M11, M12.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from federation.domain.lookup.asking import Selector
from federation.domain.lookup.handle import Handle
from federation.domain.lookup.watch import (
    BURST_WINDOW,
    AskedLine,
    DigestLine,
    Flag,
    FlagKind,
    find_misuse,
    format_digest,
    honey_flag,
    is_sampled,
)
from federation.domain.rules.calendar import Calendar, parse_calendar
from federation.node.lookups import records
from federation.node.node import CHINA, Node
from federation.protocol.canonical_json import decode_canonical, encode_canonical, read_text
from federation.protocol.ids import AgencyId, NodeName, format_time, parse_time
from federation.store.crypto_column import blind_index
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, list_records, put_records

FLAG = "lookup-flag"
SEARCH = "lookup.search"


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedFlag:
    """A flag as it was raised: when, and on a question of which agency, which may be another province's."""

    time: datetime
    agency: AgencyId
    flag: Flag


def put_flags(transaction: GroupTransaction, raised: Iterable[RaisedFlag], *, owner: NodeName) -> None:
    """Stores flags; the same flag of the same look-up is one."""
    put_records(transaction, [_to_record(one, owner) for one in raised])


def list_flags(source: Source, agency: AgencyId) -> Sequence[Flag]:
    """The flags on an agency's questions, by kind, oldest first within each."""
    prefix = f"{agency}/"
    found = list_records(source, FLAG, after_id=prefix, limit=records.MAX_LINES, replica=False)
    return [_read_flag(record.content) for record in found if record.id.startswith(prefix)]


def judge_search(
    source: Source, home: Path, line: AskedLine, *, agency: AgencyId, selector: Selector
) -> tuple[RaisedFlag, ...]:
    """The flags that a look-up raises at the asking side, before it leaves.

    Args:
        source: the transaction that writes the look-up, so that two at the same moment see each other.
        home: where the planted records and the calendar lie.
        line: the look-up; of two that are written out of the order of their times, the later written is judged.
        agency: whose look-ups it is seen with.
        selector: what it asks for.
    """
    known = records.list_asked(source, agency, since=line.time - BURST_WINDOW)
    lines = [_line_of(asked) for asked, _ in known if asked.step == SEARCH and asked.lookup_id != line.lookup_id]
    judged = replace(line, time=max([line.time, *(other.time for other in lines)]))
    flags = find_misuse([*lines, judged], judged.time, find_calendar(home))
    flags = tuple(flag for flag in flags if flag.lookup_id == line.lookup_id)
    if selector.value in load_honey(home):
        flags = (*flags, honey_flag(line))
    return tuple(RaisedFlag(time=line.time, agency=agency, flag=flag) for flag in flags)


def judge_hit(home: Path, handle: Handle, now: datetime) -> tuple[RaisedFlag, ...]:
    """The flag that a hit raises at the answering side, when the record behind the handle is a planted one."""
    if handle.dossier.id not in load_honey(home):
        return ()
    line = AskedLine(
        time=now, officer=handle.officer, agency=str(handle.asker), lookup_id=handle.lookup_id, case_id=handle.case_id
    )
    return (RaisedFlag(time=now, agency=handle.asker, flag=honey_flag(line)),)


def list_honey_hits(node: Node, home: Path) -> tuple[Flag, ...]:
    """The flags of every hit on a planted record of ours: a handle is kept with each hit, so that none is missed.

    A record that is declared planted afterwards counts from its first hit on.
    """
    found = (one for handle in records.list_handles(node.database) for one in judge_hit(home, handle, handle.expires))
    return tuple(sorted((one.flag for one in found), key=lambda flag: flag.lookup_id))


def daily_digest(node: Node, agency: AgencyId, officer: str, *, day: date) -> tuple[str, str]:
    """An officer's day in China, in Chinese and English: look-up, case, provinces, time; never about whom."""
    start = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    lines: dict[str, DigestLine] = {}
    for asked, _ in records.list_asked(node.database, agency, since=start):
        if asked.officer != officer or asked.step != SEARCH or asked.time.astimezone(CHINA).date() != day:
            continue
        before = lines.get(asked.lookup_id)
        lines[asked.lookup_id] = DigestLine(
            lookup_id=asked.lookup_id,
            case_id=asked.case_id,
            nodes=(*before.nodes, asked.node) if before is not None else (asked.node,),
            time=before.time if before is not None else asked.time,
        )
    return format_digest(lines.values(), day)


def review_sample(node: Node, agency: AgencyId) -> tuple[str, ...]:
    """The look-ups of an agency that a reviewer reads: 2 %, by this node's own key, which no officer foresees."""
    key = blind_index(node.database.keys, "lookup.review", "sample")
    asked = {line.lookup_id for line, _ in records.list_asked(node.database, agency)}
    return tuple(sorted(lookup_id for lookup_id in asked if is_sampled(lookup_id, key)))


def load_honey(home: Path) -> frozenset[str]:
    """What the planted records are found by; empty when this home has none."""
    path = home / "honey.txt"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return frozenset(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def find_calendar(home: Path) -> Calendar | None:
    """The working days of this home, None when it has no table.

    Raises:
        MalformedError: as `parse_calendar`.
    """
    path = home / "calendar.toml"
    return parse_calendar(path.read_text(encoding="utf-8")) if path.is_file() else None


def _line_of(asked: records.Asked) -> AskedLine:
    return AskedLine(
        time=asked.time,
        officer=asked.officer,
        agency=str(asked.agency),
        lookup_id=asked.lookup_id,
        case_id=asked.case_id,
        desk=asked.desk,
    )


def _to_record(raised: RaisedFlag, owner: NodeName) -> Record:
    flag = raised.flag
    content = encode_canonical(
        {
            "time": format_time(raised.time),
            "kind": str(flag.kind),
            "officer": flag.officer,
            "lookup_id": flag.lookup_id,
            "sentence_zh": flag.sentence_zh,
            "sentence_en": flag.sentence_en,
        }
    )
    return Record(
        id=f"{raised.agency}/{flag.kind}/{flag.lookup_id}",
        kind=FLAG,
        owner=owner,
        version=1,
        replica=False,
        status=str(flag.kind),
        division=raised.agency.county,
        due_date=raised.time.date(),
        content=content,
    )


def _read_flag(content: bytes) -> Flag:
    value = decode_canonical(content, what=FLAG)
    parse_time(read_text(value, "time", what=FLAG))
    return Flag(
        kind=FlagKind(read_text(value, "kind", what=FLAG)),
        officer=read_text(value, "officer", what=FLAG),
        lookup_id=read_text(value, "lookup_id", what=FLAG),
        sentence_zh=read_text(value, "sentence_zh", what=FLAG),
        sentence_en=read_text(value, "sentence_en", what=FLAG),
    )
