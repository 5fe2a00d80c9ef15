"""Verifies joint records by the heads of their entries and the logs of those who wrote them. Pure.

An author has one line of entries, of true heights, each of which cites the one before; and it stands on whatever its
own log says that it held: who cites old entries to have an act judged by an older state shows it by the order and the
times of its own leaves.
Trusts that each head was opened under the commitment of a verified statement. Source: DESIGN section 5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from federation.audit.column import MessageColumn, pack_digest, pack_time
from federation.audit.report import Code, Finding, Findings
from federation.audit.verify_log import LogAccount
from federation.domain.joint import Entry
from federation.domain.joint_record import FindingKind, Record
from federation.protocol.ids import NodeName, Pair, RecordId

MADE_WITHIN: Final = timedelta(minutes=1)
"""The time within which an entry is handed over once it was made; both moments are by the author's own clock."""
_MARGIN_MS: Final = MADE_WITHIN // timedelta(milliseconds=1)
_CODES: Final[Mapping[FindingKind, tuple[Code, str]]] = MappingProxyType(
    {
        FindingKind.FORK: (Code.RECORD_FORKED, "it wrote two entries of that number"),
        FindingKind.OLD_PARENTS: (Code.RECORD_OLD_PARENTS, "it does not cite its author's own entry before it"),
        FindingKind.HEIGHT: (Code.RECORD_HEIGHT, "its height is not 1 more than its highest parent's"),
        FindingKind.BEYOND_CUT: (Code.RECORD_BEYOND_CUT, "it did not know of the entry that cut its author before it"),
    }
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The place and the time at which one log has an entry."""

    index: int
    time_ms: int


def verify_records(entries: Iterable[Entry], accounts: Mapping[NodeName, LogAccount]) -> tuple[Finding, ...]:
    """Verifies each record that the entries make; only a log that was read whole says what its node held."""
    records: dict[RecordId, dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        records[entry.head.record][entry.name] = entry
    names = {pack_digest(name): name for found in records.values() for name in found}
    logs = {
        node: (_find(account.sent, names), _find(account.decided, names))
        for node, account in accounts.items()
        if account.complete
    }
    found: list[Finding] = []
    for record_id, held in records.items():
        record = Record(record_id, held.values())
        for node in {entry.author for entry in held.values()}:
            findings = Findings(node)
            sent, received = logs.get(node, ({}, {}))
            _add_findings(findings, record, node, sent)
            _add_uncited(findings, record, node, sent=sent, received=received)
            found += findings.all()
    return tuple(found)


def _find(columns: Mapping[Pair, MessageColumn], names: Mapping[bytes, str]) -> dict[str, _Seen]:
    """The first place of each entry among the messages of a log that were not refused."""
    found: dict[str, _Seen] = {}
    for column in columns.values():
        for message in column.in_order():
            name = names.get(message.commitment)
            if name is not None and not message.refused:
                first = found.get(name)
                if first is None or message.log_index < first.index:
                    found[name] = _Seen(message.log_index, message.time_ms)
    return found


def _add_findings(findings: Findings, record: Record, node: NodeName, sent: Mapping[str, _Seen]) -> None:
    for each in record.findings:
        if each.author == node:
            code, sentence = _CODES[each.kind]
            index = min((sent[name].index for name in each.names if name in sent), default=None)
            findings.add(code, f"{record.id}: entry {each.n} of {node}: {sentence}", index=index)


def _add_uncited(
    findings: Findings, record: Record, node: NodeName, *, sent: Mapping[str, _Seen], received: Mapping[str, _Seen]
) -> None:
    """Tells of each entry that its author made while its log held another one that it does not stand on."""
    usable = sorted(_usable(record, node, received), key=lambda each: each[1].index)
    stood_on, ahead = set[str](), 0
    waiting: list[tuple[Entry, _Seen]] = []
    for entry, new in record.line_of(node):
        stood_on |= new
        made = sent.get(entry.name)
        if made is None:
            continue
        while ahead < len(usable) and usable[ahead][1].index < made.index:
            waiting.append(usable[ahead])
            ahead += 1
        waiting = [each for each in waiting if each[0].name not in stood_on]
        for other, seen in [each for each in waiting if each[1].time_ms + _MARGIN_MS < made.time_ms]:
            stood_on.add(other.name)  # it is told once
            sentence = (
                f"{record.id}: entry {entry.head.n} of {node} does not stand on entry {other.head.n} of {other.author},"
            )
            if seen.time_ms + _MARGIN_MS < pack_time(entry.head.at):
                findings.add(Code.RECORD_UNCITED, f"{sentence} which its log had before it was made", index=made.index)
            else:
                later = f"{sentence} which its log had before it was handed over, long after it says that it was made"
                findings.add(Code.RECORD_DATED_BACK, later, index=made.index)


def _usable(record: Record, node: NodeName, received: Mapping[str, _Seen]) -> Iterator[tuple[Entry, _Seen]]:
    """The entries of others that a node could cite, and since when: ancestors there, nobody who forked."""
    forked = {each.author for each in record.findings if each.kind is FindingKind.FORK}
    since: dict[str, _Seen | None] = {}
    for entry in record.order:
        own = entry.author == node
        here = [since[parent] for parent in entry.head.parents] + ([] if own else [received.get(entry.name)])
        known = [each for each in here if each is not None]
        latest = _Seen(max((each.index for each in known), default=0), max((each.time_ms for each in known), default=0))
        since[entry.name] = latest if len(known) == len(here) else None
        if not own and len(known) == len(here) and entry.author not in forked and entry.name not in record.barred:
            yield entry, latest
