"""Taking in entries of joint records: the head is whole and its author's, and the office may act in the record.

Rules kept: each open place is of the class that the head says, and given to somebody here; an entry is kept however
late it came, and the fold says what it does; what an author's node may pile up has a limit. Source: DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final, Generic

from federation.domain.case_items import AT_HOME
from federation.domain.joint import Entry, Head, read_entry
from federation.node.exchange.erase import sent_by_it
from federation.node.exchange.judge import Judgement, Kind, Received, Rows, refused_by_rule
from federation.node.joint.entries import Settled, record_key, resent, settle_moved, settled_rows, settled_with, tell
from federation.node.joint.records import (
    Family,
    HandedEntry,
    Held,
    RefusedEntry,
    StoredEntry,
    find_start,
    keep_next,
    load_held,
    next_arrival,
    opened_of,
    proof_of,
    rules_to_keep,
    verify_waiting_room,
)
from federation.node.joint.sharing import S, Sharing
from federation.node.node import InForce, Node
from federation.protocol.body import OpenPlace, PartialBody
from federation.protocol.errors import MalformedError, RuleError, StaleError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import parse_record_id, record_node, truncate_to_millisecond
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record

MAX_TOLD: Final = 32
"""So many refused entries of one author in a record are told to our offices; of the others the log has the leaves."""


def judge_entry(sharing: Sharing[S], received: Received[bytes]) -> Judgement:
    """Takes in an entry, or more places of one, of a record in which its author may act; whatever waits is kept too.

    Refuses as `read_entry`, `read_part`, `_verify_form`, `_verify_places`, `Record.verify_room`, `verify_waiting_room`;
    ENTRY_SENDER; by rule ENTRY_KNOWN and as `Sharing.rows_with`; CASE_RULES while nobody here knows the rules.
    """
    family = sharing.family
    node, statement, body = received.node, received.statement, received.body
    if statement.body is None or not isinstance(body, PartialBody):
        raise MalformedError("ENTRY_ITEMS", "expected an entry as some places of its body")
    entry = read_entry(received.items[0], name=statement.body.commitment, author=statement.sender.node)
    head, record = entry.head, parse_record_id(entry.head.record)
    if (head.agency, head.officer, record) != (statement.sender.agency, statement.sender.officer, statement.case):
        raise MalformedError("ENTRY_SENDER", "expected the office, officer and case of the statement in the head")
    _verify_form(family, head, made=statement.created + received.in_force.agreement.clock_tolerance)
    held = load_held(family, node, record)
    before = _state_before(node, held, entry)
    _verify_places(sharing, received, body, head, state=held.state or before)
    _verify_new(node, held, entry, body)
    held.record.verify_room(entry)
    verify_waiting_room(node, held, entry)
    home, occasion = record_node(record), received.occasion
    seat = sharing.seat(received.in_force, before, head, occasion=occasion)
    asked = sharing.question(received.sender, seat, head.act, home=home, occasion=occasion)
    if not received.judge(asked).decision.allowed:
        counted = sharing.asked(held, entry, seat=seat)
        if counted is not None:
            asked = sharing.question(received.sender, counted, head.act, home=home, occasion=occasion)
    kept = StoredEntry(
        arrival=1, name=entry.name, author=entry.author, head=head, proof=proof_of(body),
        arrived=truncate_to_millisecond(node.now()),
        purpose=statement.purpose, function=statement.function,
    )  # fmt: skip
    try:
        sharing.rows_with(node.database, kept)
    except RuleError as error:
        return _with_notice(node, held, entry, refused_by_rule(error, asked))
    handed = family.handed.record(HandedEntry(name=entry.name, message_id=statement.id), owner=entry.author)
    arrival = _Arrival(sharing, received.in_force, kept, settled_with(sharing, node, held, kept=kept))
    judged = received.judge(
        asked,
        rows=Rows(
            records=(handed,),
            updates=partial(arrival.put, node),
            wakes=(record_key(record),),
            then=arrival.follow,
        ),
    )
    return _with_notice(node, held, entry, judged)


def _with_notice(node: Node, held: Held[S], entry: Entry, judged: Judgement) -> Judgement:
    """The judgement with the row by which our offices are told of a refusal, while those of its author are few."""
    shown = islice(held.family.refused.each(node.database, under=f"{held.id}/{entry.author}/"), MAX_TOLD)
    if not held.kept or sum(1 for _ in shown) == MAX_TOLD:
        return judged
    refused = RefusedEntry(
        record=held.id, author=entry.author, n=entry.head.n, name=entry.name, act=entry.head.act,
        policies=judged.decision.policies, time=truncate_to_millisecond(node.now()),
    )  # fmt: skip
    return replace(judged, refused=Rows(records=(held.family.refused.record(refused, owner=entry.author),)))


def _verify_form(family: Family[S], head: Head, *, made: datetime) -> None:
    """Verifies that a head holds what its act may hold, and happened before the statement about it was made.

    Raises UnavailableError ENTRY_ACT, StaleError ENTRY_AHEAD: both may come right; MalformedError ENTRY_FORM.
    """
    act = family.acts.get(head.act)
    if act is None:
        raise UnavailableError("ENTRY_ACT", f"this node knows no act {head.act}: it may be one of a newer program")
    if (wrong := act.fault(head.fields, head.items)) is not None:
        raise MalformedError("ENTRY_FORM", f"{head.act}: expected fields and classes of the act's table", field=wrong)
    if head.at > made:
        raise StaleError("ENTRY_AHEAD", f"the entry happened at {head.at.isoformat()}, after it was sent")


def _verify_places(
    sharing: Sharing[S], received: Received[bytes], body: PartialBody, head: Head, *, state: S | None
) -> None:
    """Verifies each open place, and that nothing stands open that leaves its province for nobody or for no role here.

    Raises MalformedError ENTRY_ITEMS, ENTRY_BEYOND.
    """
    if len(body.places) != 1 + len(head.items):
        raise MalformedError("ENTRY_ITEMS", f"expected {len(head.items)} items as the head says, got others")
    realm = received.in_force.agreement.realm
    home = record_node(parse_record_id(head.record)) == received.node.name
    for kind, place in zip(head.items, body.places[1:], strict=True):
        if isinstance(place, OpenPlace):
            part = sharing.family.read(place.item, kind, realm=realm)
            if part is None:
                continue
            if kind in AT_HOME or not sharing.may_stand_open(state, kind, part, at_home=home):
                sentence = f"expected {kind}.{part.field} closed: no office of this province is given it"
                raise MalformedError("ENTRY_BEYOND", sentence, field=kind)


def _verify_new(node: Node, held: Held[S], entry: Entry, body: PartialBody) -> None:
    """Refuses an entry that is here, with nothing open that is not open already (ENTRY_KNOWN)."""
    kept = held.kept.get(entry.name)
    if kept is not None and set(body.opened) <= {0, *opened_of(held.family, node.database, kept)}:
        raise RuleError("ENTRY_KNOWN", "expected an entry, or places of one, that this node does not have yet")


def _state_before(node: Node, held: Held[S], entry: Entry) -> S | None:
    """The state before an entry; None when nobody can tell yet who takes part, since entries before it are not here.

    Raises:
        UnavailableError: CASE_RULES, for an opening under rules that this node has not.
    """
    if entry.head.height == 0:
        start = find_start(held.family, node, node.database, opening=entry.head)
        if start is None:
            raise UnavailableError("CASE_RULES", "the rules, clocks or calendar that the record pins are not here")
        return start
    return None if held.record.lacks(entry) else held.state


@dataclass(slots=True)
class _Arrival(Generic[S]):
    """An entry on its way in; `is_settled` is what its transaction did, which may run again: the last time counts.

    An opening brings the rules that it pins, since another version may be in force when it is folded next.
    """

    sharing: Sharing[S]
    in_force: InForce
    kept: StoredEntry
    settled: Settled[S] | None
    is_settled: bool = False

    def put(self, node: Node, source: GroupTransaction) -> tuple[Record, ...]:
        """The rows of an entry that was not here yet, and of its record; none for one that is."""
        kept, settled, sharing = self.kept, self.settled, self.sharing
        family = sharing.family
        row = next_arrival(family, source, kept)
        kept = self.kept = replace(kept, arrival=row.entries)
        placed = family.entries.record(kept, owner=kept.author)
        agreement, pinned = self.in_force.agreement, kept.head.fields.get("agreement")
        opens = kept.head.height == 0 and pinned == agreement.version
        rules = rules_to_keep(node, agreement, source) if opens else ()
        self.is_settled = settled is not None and row.entries == settled.now.entries
        if settled is not None and self.is_settled:  # no other came: it is as new as it was then
            rows = settled_rows(sharing, node, source, now=settled.now, row=row)
            return (placed, *rows, *sharing.rows_with(source, kept), *rules)
        if any(known.name == kept.name for known in family.entries.by_subject(source, kept.name)):
            return ()
        return (placed, family.records.record(row, owner=node.name), *sharing.rows_with(source, kept), *rules)

    async def follow(self, node: Node) -> None:
        if self.settled is not None and self.is_settled:
            keep_next(self.sharing.family, node, self.kept)
            tell(self.sharing, node, self.settled.now)
        else:
            await settle_moved(self.sharing, node, parse_record_id(self.kept.head.record))


def _is_exercise(sharing: Sharing[S], received: Received[bytes]) -> bool:
    statement = received.statement
    name = "" if statement.body is None else statement.body.commitment
    head = read_entry(received.items[0], name=name, author=statement.sender.node).head
    return sharing.is_exercise(load_held(sharing.family, received.node, parse_record_id(head.record)).state, head)


def entry_kinds(sharing: Sharing[S], *, keep: str) -> Iterator[Kind[bytes]]:
    """The kinds of message that hand over an entry, and more places of one; `keep` is their row of retention."""
    family = sharing.family
    for name in (family.entry_kind, family.disclosure_kind):
        yield Kind(
            name=name, media_type=family.media_type, encode=bytes, decode=lambda content, _: content, many=True,
            partial=True, judge=partial(judge_entry, sharing), answers=(), keep=keep, erasable_by=sent_by_it,
            resend=partial(resent, family), is_exercise=partial(_is_exercise, sharing),
        )  # fmt: skip
