"""Entries of joint cases between provinces: one body for all members, each handed the places that it may see.

Taking in: the head is whole and its author's, each open place is of the class that the head says, the office may act in
the case as far as this node can tell; then the entry is kept, however late it came, and the fold says what it does.
Handing on: `settle` gives every province that takes part each entry of ours, in the order in which we wrote them, with
the places open that policy and the procedure give its offices; who joined later is given all of them then, and who may
see more than before is handed the same entry again (`case.disclosure`). No node hands on what another one wrote.
Source: DESIGN sections 3 and 5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final

import structlog

from federation.domain.acts import ACTS
from federation.domain.case_items import AT_HOME, read_part
from federation.domain.joint import Entry, Head, read_entry
from federation.domain.joint_mandates import GRANT
from federation.domain.joint_policy import Standing, act_request, seat_of, shown_by
from federation.domain.joint_state import Case
from federation.domain.retention import CIVIL
from federation.node.exchange.erase import sent_by_it
from federation.node.exchange.judge import Judgement, Kind, Received, Rows, refused_by_rule
from federation.node.exchange.resend import Missed
from federation.node.exchange.send import Cause, Draft, Sent, prepare, record_message
from federation.node.joint.ends import end_items, items_end
from federation.node.joint.given import given_records
from federation.node.joint.lists import offices, settled_rows
from federation.node.joint.mandates import letters_of, put_mandates
from federation.node.joint.records import (
    CHANGES,
    DISCLOSURE_KIND,
    ENTRIES,
    HANDED,
    RECORDS,
    REFUSED,
    SENT,
    HandedEntry,
    Held,
    Moment,
    RefusedEntry,
    SentEntry,
    StoredEntry,
    StoredRecord,
    each_sent,
    find_own_body,
    find_rules,
    is_due_now,
    keep_next,
    load_held,
    next_arrival,
    parts_of,
    proof_of,
    rules_to_keep,
    verify_waiting_room,
)
from federation.node.joint.sight import own_parts, visible
from federation.node.joint.writing import ENTRY_TYPE, Written, each_due, put_written, write_due
from federation.node.log.bad_rows import ends_round
from federation.node.lookups.cases import letter_rows
from federation.node.node import InForce, Node, agency_facts
from federation.protocol.body import Body, Handed, OpenPlace, PartialBody, open_places
from federation.protocol.errors import BridgeheadError, MalformedError, RuleError, StaleError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, RecordId, parse_record_id, record_node, truncate_to_millisecond
from federation.protocol.policy import Decision, PolicyRequest, decide, join_decisions
from federation.protocol.statement import Recipient, Sender
from federation.protocol.trust import find_agency, verify_in_force
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, put_records

MAX_TOLD: Final = 32
"""So many refused entries of one author in a record are told to our offices; of the others the log has the leaves."""
_TRIES: Final = 64
"""So often a record that moved while it was looked at is looked at again; the duty does the rest."""
_DUTY: Final = "cases"
_log = structlog.get_logger()


# ---- taking in -----------------------------------------------------------------------------------------------------


def _judge_entry(received: Received[bytes]) -> Judgement:
    """Takes in an entry, or more places of one, of a case in which its author may act; whatever waits is kept too.

    Refuses as `read_entry`, `read_part`, `_verify_form`, `_verify_places`, `Record.verify_room`, `verify_waiting_room`;
    ENTRY_SENDER; by rule ENTRY_KNOWN, LETTER_USED; CASE_RULES while nobody here knows the rules.
    """
    node, statement, body = received.node, received.statement, received.body
    if statement.body is None or not isinstance(body, PartialBody):
        raise MalformedError("ENTRY_ITEMS", "expected an entry as some places of its body")
    entry = read_entry(received.items[0], name=statement.body.commitment, author=statement.sender.node)
    head, record = entry.head, parse_record_id(entry.head.record)
    if (head.agency, head.officer, record) != (statement.sender.agency, statement.sender.officer, statement.case):
        raise MalformedError("ENTRY_SENDER", "expected the office, officer and case of the statement in the head")
    _verify_form(head, made=statement.created + received.in_force.agreement.clock_tolerance)
    held = load_held(node, record)
    before = _case_before(node, held, entry)
    _verify_places(received, body, head, case=held.case or before)
    _verify_new(node, held.kept.get(entry.name), body)
    held.record.verify_room(entry)
    verify_waiting_room(node, held, entry)
    seat = seat_of(before, head, occasion=received.occasion)
    asked = act_request(received.sender, seat, head.act, home=record_node(record), occasion=received.occasion)
    if not received.judge(asked).decision.allowed and _is_asked(held, entry):
        standing = Standing.INVITED if head.act in ("join", "decline") else Standing.MEMBER
        seat = replace(seat, standing=standing, kind_fits=True, recused=False)
        asked = act_request(received.sender, seat, head.act, home=record_node(record), occasion=received.occasion)
    kept = StoredEntry(
        arrival=1, name=entry.name, author=entry.author, head=head, proof=proof_of(body),
        arrived=truncate_to_millisecond(node.now()),
        purpose=statement.purpose, function=statement.function,
    )  # fmt: skip
    try:
        _letter_rows(node.database, kept)
    except RuleError as error:
        return _with_notice(node, held, entry, refused_by_rule(error, asked))
    handed = HANDED.record(HandedEntry(name=entry.name, message_id=statement.id), owner=entry.author)
    arrival = _Arrival(received.in_force, kept, settled_with(node, held, kept))
    judged = received.judge(
        asked,
        rows=Rows(
            records=(handed,),
            updates=partial(arrival.put, node),
            wakes=(case_key(record),),
            then=arrival.follow,
        ),
    )
    return _with_notice(node, held, entry, judged)


def _with_notice(node: Node, held: Held, entry: Entry, judged: Judgement) -> Judgement:
    """The judgement with the row by which our offices are told of a refusal, while those of its author are few."""
    shown = islice(REFUSED.each(node.database, under=f"{held.id}/{entry.author}/"), MAX_TOLD)
    if not held.kept or sum(1 for _ in shown) == MAX_TOLD:
        return judged
    refused = RefusedEntry(
        record=held.id, author=entry.author, n=entry.head.n, name=entry.name, act=entry.head.act,
        policies=judged.decision.policies, time=truncate_to_millisecond(node.now()),
    )  # fmt: skip
    return replace(judged, refused=Rows(records=(REFUSED.record(refused, owner=entry.author),)))


def _letter_rows(source: Source, kept: StoredEntry) -> tuple[Record, ...]:
    letters = letters_of(kept.head, purpose=kept.purpose)
    return letter_rows(source, letters, kept.head.agency, replica=True)


def _verify_form(head: Head, *, made: datetime) -> None:
    """Verifies that a head holds what its act may hold, and happened before the statement about it was made.

    Raises UnavailableError ENTRY_ACT, StaleError ENTRY_AHEAD: both may come right; MalformedError ENTRY_FORM.
    """
    act = ACTS.get(head.act)
    if act is None:
        raise UnavailableError("ENTRY_ACT", f"this node knows no act {head.act}: it may be one of a newer program")
    if (wrong := act.fault(head.fields, head.items)) is not None:
        raise MalformedError("ENTRY_FORM", f"{head.act}: expected fields and classes of the act's table", field=wrong)
    if head.at > made:
        raise StaleError("ENTRY_AHEAD", f"the entry happened at {head.at.isoformat()}, after it was sent")


def _verify_places(received: Received[bytes], body: PartialBody, head: Head, *, case: Case | None) -> None:
    """Verifies each open place, and that nothing stands open that leaves its province for nobody or for no role here.

    Raises MalformedError ENTRY_ITEMS, ENTRY_BEYOND.
    """
    if len(body.places) != 1 + len(head.items):
        raise MalformedError("ENTRY_ITEMS", f"expected {len(head.items)} items as the head says, got others")
    realm = received.in_force.agreement.realm
    home = record_node(parse_record_id(head.record)) == received.node.name
    for kind, place in zip(head.items, body.places[1:], strict=True):
        if isinstance(place, OpenPlace):
            part = read_part(place.item, kind, realm=realm)
            known = case is None or part.field in case.procedure.seen_by_any(kind, "A" if home else "B")
            if kind in AT_HOME or not known:
                sentence = f"expected {kind}.{part.field} closed: no office of this province is given it"
                raise MalformedError("ENTRY_BEYOND", sentence, field=kind)


def _verify_new(node: Node, kept: StoredEntry | None, body: PartialBody) -> None:
    """Refuses an entry that is here (`kept`), with nothing open that is not open already (ENTRY_KNOWN)."""
    if kept is not None and set(body.opened) <= {0, *parts_of(node, node.database, kept)}:
        raise RuleError("ENTRY_KNOWN", "expected an entry, or places of one, that this node does not have yet")


def _case_before(node: Node, held: Held, entry: Entry) -> Case | None:
    """The case before an entry; None when nobody can tell yet who takes part, since entries before it are not here.

    Raises:
        UnavailableError: CASE_RULES, for an opening under rules that this node has not.
    """
    if entry.head.height == 0:
        rules = find_rules(node, node.database, entry.head)
        if rules is None:
            raise UnavailableError("CASE_RULES", "the procedure, clocks or calendar that the case pins are not here")
        return Case(rules=rules)
    return None if held.record.lacks(entry) else held.case


def _is_asked(held: Held, entry: Entry) -> bool:
    """True for an office that opened the case, or was invited, by what its entry stands on.

    Such an entry is taken in whatever came of that since (an invitation made void, a removal, a recusal): the fold says
    that it has no effect, and who refused it would never see what others build on it.
    """
    office = entry.head.agency
    asking = [
        kept.name
        for kept in held.kept.values()
        if (kept.head.act == "open" and kept.head.agency == office)
        or (kept.head.act == "invite" and kept.head.fields.get("agency") == str(office))
    ]
    return held.record.stands_on(entry, asking)


@dataclass(slots=True)
class _Arrival:
    """An entry on its way in; `is_settled` is what its transaction did, which may run again: the last time counts.

    An opening brings the rules that it pins, since another version may be in force when it is folded next.
    """

    in_force: InForce
    kept: StoredEntry
    settled: Settled | None
    is_settled: bool = False

    def put(self, node: Node, source: GroupTransaction) -> tuple[Record, ...]:
        """The rows of an entry that was not here yet, and of its record; none for one that is."""
        kept, settled = self.kept, self.settled
        row = next_arrival(source, kept)
        kept = self.kept = replace(kept, arrival=row.entries)
        placed = ENTRIES.record(kept, owner=kept.author)
        self.is_settled = settled is not None and row.entries == settled.now.entries
        if settled is not None and self.is_settled:  # no other came: it is as new as it was then
            return (placed, *settled_rows(node, source, settled.now, row=row), *_letter_rows(source, kept))
        if any(known.name == kept.name for known in ENTRIES.by_subject(source, kept.name)):
            return ()
        agreement, pinned = self.in_force.agreement, kept.head.fields.get("agreement")
        opens = kept.head.height == 0 and pinned == agreement.version
        rules = rules_to_keep(node, agreement, source) if opens else ()
        return (placed, RECORDS.record(row, owner=node.name), *_letter_rows(source, kept), *rules)

    async def follow(self, node: Node) -> None:
        if self.settled is not None and self.is_settled:
            keep_next(node, self.kept)
            _tell(node, self.settled.now)
        else:
            await settle_moved(node, parse_record_id(self.kept.head.record))


def case_key(record: RecordId) -> str:
    """Names in `node.waiters` whoever waits for a case to move."""
    return f"case/{record}"


# ---- handing on ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owed:
    """An entry of ours for one province, with the places that it may see; `again` when it had some of them before."""

    kept: StoredEntry
    to: NodeName
    places: tuple[int, ...]
    body: Handed
    asked: tuple[PolicyRequest, ...]
    decision: Decision
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A record as one more entry leaves it, with nothing else to do: what is owed of that entry, if it is ours."""

    now: Moment
    seen: object
    owed: tuple[_Owed, ...] = ()


def settled_with(node: Node, held: Held, kept: StoredEntry, *, body: Body | None = None) -> Settled | None:
    """Returns what is written with an entry so that it leaves the record settled; `body` is that of an entry of ours.

    None where more than this entry is to be looked at, which `settle` does once it is durable: it does not merely
    follow, others may see more than before, it grants look-ups, time brings an entry, or the case ends or has ended.
    """
    in_force, now = node.trust.in_force, held.with_next(kept.entry)
    if now is None or now.case is None or now.case.outcome is not None:
        return None
    seen = _seen_now(in_force, held.case)
    if held.handed != (len(held.own), seen) or seen != _seen_now(in_force, now.case):
        return None
    if held.granted or kept.head.act == GRANT or next(each_due(node, now.case), None) is not None:
        return None
    others = sorted(_others(node, in_force, now.case)) if body is not None else ()
    owed = (_owed_to(in_force, now.case, kept, to, None, lambda: body) for to in others)
    return Settled(now=now, seen=seen, owed=tuple(each for each in owed if each is not None))


async def settle_moved(node: Node, record: RecordId) -> None:
    """Settles a record unless the entry that moved it left it settled."""
    row = RECORDS.find(node.database, record)
    if row is not None and is_due_now(row):
        await settle(node, record)


async def settle(node: Node, record: RecordId) -> None:
    """Writes what time brings, hands on what is owed to others, and writes what our own offices see in their lists.

    A duty does it again for each record whose row says so, so that a crash before it delays and loses nothing.
    Refuses AGREEMENT_EXPIRED.
    """
    in_force = node.trust.in_force
    verify_in_force(in_force.agreement, node.now())
    for _ in range(_TRIES):
        row = RECORDS.find(node.database, record)
        held = load_held(node, record)
        if row is not None and row.unopened_by:
            return
        if row is None or row.entries != len(held.kept):
            continue
        brought, seen, number = write_due(node, held), _seen_now(in_force, held.case), len(held.own)
        if brought is not None:
            await node.sequencer.commit(partial(_put_brought, node, brought))
            continue
        looked = tuple(_unlooked(held, seen))
        ahead = _Ahead(now=held.moment, owed=tuple(owed(node, in_force, held, seen=seen)), looked=looked)
        if (await node.sequencer.commit(partial(_hand_on, node, held, row, ahead))).value:
            held.handed = number, seen
            break
    else:
        return
    for name in {each.to for each in ahead.owed}:
        node.wake_delivery(name)
    _tell(node, held.moment)


def _put_brought(node: Node, entry: Written, transaction: GroupTransaction) -> None:
    row = put_written(node, transaction, entry)
    if row is not None:
        RECORDS.put(transaction, row, owner=node.name)


def put_settled(node: Node, transaction: GroupTransaction, entry: Written, *, settled: Settled | None) -> bool:
    """Stores an entry of ours with all that is left to do, or leaves that to `settle`; False when the record moved."""
    row = put_written(node, transaction, entry)
    if row is None:
        return False
    if settled is None:
        RECORDS.put(transaction, row, owner=node.name)
        return True
    for each in settled.owed:
        ready = prepare(node, _draft(node, settled.now.case, each))
        record_message(node, transaction, ready, in_force=node.trust.in_force)
    _put_given(node, transaction, settled.now.case, [(entry.kept, entry.body)])
    put_records(transaction, list(settled_rows(node, transaction, settled.now, row=row)))
    return True


def note_settled(node: Node, kept: StoredEntry, settled: Settled) -> None:
    """Has the messages of an entry of ours that is durable now go on their way, and remembers that they do."""
    held = keep_next(node, kept)
    if held is not None and held.handed == (kept.head.n - 1, settled.seen):
        held.handed = kept.head.n, settled.seen
    for each in settled.owed:
        node.wake_delivery(each.to)
    _tell(node, settled.now)


def _tell(node: Node, now: Moment) -> None:
    """Wakes whoever waits for a case to move, and whoever watches those of an office that takes part in it."""
    node.waiters.tell(case_key(now.id))
    for office in offices(node, now.case) if now.case is not None else ():
        node.waiters.tell(CHANGES.key(str(office)))


def _put_given(
    node: Node, transaction: GroupTransaction, case: Case | None, entries: Iterable[tuple[StoredEntry, Handed | None]]
) -> None:
    """Writes which offices were given what is about a person, of entries of ours that hold anything yet."""
    for kept, body in entries:
        if case is not None and isinstance(body, Body):
            parts = own_parts(node.trust.in_force, kept, body)
            put_records(transaction, list(given_records(node, transaction, case, kept=kept, parts=parts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ahead:
    """The things to write of a record as of one moment: others fold it on while the writer is at work."""

    now: Moment
    owed: tuple[_Owed, ...]
    looked: tuple[StoredEntry, ...]


def _hand_on(node: Node, held: Held, row: StoredRecord, ahead: _Ahead, transaction: GroupTransaction) -> bool:
    """Writes messages and lists unless the record, or what was handed on of it, moved meanwhile."""
    in_force, now = node.trust.in_force, ahead.now
    stored = RECORDS.find(transaction, held.id)
    if stored is None or stored.step != row.step:
        return False
    ends = items_end(in_force, row)
    if ends is not None and node.now() >= ends and end_items(node, transaction, held):
        held.handed = (0, None)  # their heads are owed again
        return False
    for each in ahead.owed:
        record_message(node, transaction, prepare(node, _draft(node, now.case, each)), in_force=in_force)
    with_items = ((kept, find_own_body(transaction, kept.name)) for kept in ahead.looked if kept.head.items)
    _put_given(node, transaction, now.case, with_items)
    put_records(transaction, list(settled_rows(node, transaction, now, row=row)))
    put_mandates(node, transaction, now.case, offices=tuple(held.granted))
    return True


def _seen_now(in_force: InForce, case: Case | None) -> object:
    """All that decides which places of an entry a province is handed, beside the entry."""
    return (in_force, None if case is None else shown_by(case))


def _unlooked(held: Held, seen: object) -> list[StoredEntry]:
    """The entries of ours that were not handed on while `seen` was the same; without it, all."""
    handed, before = held.handed
    return held.own[handed if seen is not None and before == seen else 0 :]


def owed(node: Node, in_force: InForce, held: Held, *, seen: object = None) -> Iterator[_Owed]:
    """The entries of ours that each province which takes part has not been handed yet.

    Those that were handed on while `seen` was the same are not looked at; without it, all are.
    """
    case, own = held.case, _unlooked(held, seen)
    if case is None or not own:
        return
    given: dict[tuple[str, NodeName], set[int]] = {}
    for kept in own:
        for sent in each_sent(node.database, held.id, kept.name):
            given.setdefault((sent.name, sent.to), set()).update(sent.places)
    part, acted = _others(node, in_force, case), {found.entry.author for every in case.done.values() for found in every}
    removed = {_node_named(found.head) for found in case.done.get("remove", ())}
    gone = {name: _heads_for(held, case, name) for name in (acted | removed) - part - {node.name} if in_force.has(name)}
    for to in sorted(part | gone.keys()):
        for kept in own if to in part else [kept for kept in own if kept.name in gone[to]]:
            body = partial(find_own_body, node.database, kept.name)
            if (each := _owed_to(in_force, case, kept, to, given.get((kept.name, to)), body)) is not None:
                yield each


def _others(node: Node, in_force: InForce, case: Case) -> set[NodeName]:
    """The other provinces of which an office takes part, or is asked to."""
    named = {agency.node for agency in (*case.members, *case.invited)}
    return {name for name in named - {node.name} if in_force.has(name)}


def _node_named(head: Head) -> NodeName:
    return NodeName(str(head.fields["agency"]).partition("/")[0])


def _heads_for(held: Held, case: Case, gone: NodeName) -> set[str]:
    """The entries of which a province that takes part no more is handed the heads.

    Those up to its removal; and up to the invitation of a province that came later, to which nobody else may hand what
    this one wrote.
    """
    removed = [found for found in case.done.get("remove", ()) if _node_named(found.head) == gone]
    left = [found for found in case.done.get("leave", ()) if found.head.agency.node == gone]
    since = max((found.at for found in (*removed, *left)), default=-1)
    invited = [found for found in case.done.get("invite", ()) if found.at > since and _node_named(found.head) != gone]
    return held.record.up_to(found.entry.name for found in (*removed, *invited))


def _owed_to(
    in_force: InForce,
    case: Case,
    kept: StoredEntry,
    to: NodeName,
    given: set[int] | None,
    find_body: Callable[[], Handed | None],
) -> _Owed | None:
    if given is not None and len(given) == 1 + len(kept.head.items):
        return None
    body = find_body()
    if body is None or kept.seat is None or find_agency(in_force.agreement, kept.head.agency) is None:
        return None
    places, seen = _open_to(in_force, case, kept, body, to)
    if given is not None and set(places) <= given:
        return None
    occasion = in_force.occasion(kept.purpose, kept.function)
    author, home = agency_facts(in_force, kept.head.agency), record_node(parse_record_id(kept.head.record))
    asked = (act_request(author, kept.seat, kept.head.act, home=home, occasion=occasion), *seen)
    decision = join_decisions([decide(in_force.policies, question) for question in asked])
    if not decision.allowed:
        return None  # the policy of today lets it out no more: what stands on it waits at the other side
    return _Owed(
        kept=kept, to=to, places=places, body=body, asked=asked, decision=decision, again=given is not None
    )  # fmt: skip


def _open_to(
    in_force: InForce, case: Case, kept: StoredEntry, body: Handed, to: NodeName
) -> tuple[tuple[int, ...], tuple[PolicyRequest, ...]]:
    """The places of an entry that the offices of a province may see, and the questions that said yes to it."""
    if not isinstance(body, Body):
        return (0,), ()
    parts = own_parts(in_force, kept, body)
    places, asked = {0}, list[PolicyRequest]()
    for agency in sorted(case.members, key=str):
        if agency.node == to and find_agency(in_force.agreement, agency) is not None:
            opened, said = visible(in_force, case, agency, kept=kept, parts=parts)
            places |= opened
            asked += said
    return tuple(sorted(places)), tuple(dict.fromkeys(asked))


def _draft(node: Node, case: Case | None, owed: _Owed) -> Draft:
    kept, body = owed.kept, owed.body
    head = kept.head
    handed = open_places(body, owed.places) if isinstance(body, Body) else body
    cause = Cause(
        sender=Sender(node=node.name, agency=head.agency, officer=head.officer),
        purpose=kept.purpose, function=kept.function, case=head.record,
        basis="" if case is None else case.procedure.source,
    )  # fmt: skip
    return Draft(
        kind=(DISCLOSURE if owed.again else ENTRY).name, recipient=Recipient(node=owed.to), cause=cause, body=handed,
        decision=owed.decision, asked=owed.asked, rows=partial(_sent_rows, node, owed), ref=kept.ref,
    )  # fmt: skip


def _sent_rows(node: Node, owed: _Owed, sent: Sent) -> tuple[Record, ...]:
    sent_entry = SentEntry(
        record=owed.kept.head.record, name=owed.kept.name, to=owed.to, message_id=sent.id, digest=sent.digest,
        places=owed.places,
    )  # fmt: skip
    return (SENT.record(sent_entry, owner=node.name),)


def _resent(missed: Missed) -> Draft | None:
    """The same places of the same entry under a new statement, which the record of what was sent names from then on."""
    record = missed.statement.case or ""
    name = missed.statement.body.commitment if missed.statement.body is not None else ""
    sent = SENT.find(missed.source, f"{record}/{name}/{missed.message.id}")
    if sent is None:
        return None
    SENT.erase(missed.source, SENT.id(sent))
    return missed.again(
        rows=lambda now: (SENT.record(replace(sent, message_id=now.id, digest=now.digest), owner=missed.node.name),)
    )


async def keep_cases(node: Node) -> None:
    """Settles, every now and then, each record whose moment has come, for as long as the node runs."""
    while True:
        await asyncio.sleep(node.settings.intake_seconds)
        try:
            await settle_due(node)
        except BridgeheadError as error:
            _log.warning("cases.unsettled", reason=error.reason)
        except Exception:  # noqa: BLE001 - a duty that ends would leave clocks unwritten and members unserved
            _log.exception("cases.failed")


async def settle_due(node: Node) -> None:
    """Settles each record whose moment has come; one that cannot be is told and left for the next round.

    Raises what keeps all of them from it: AGREEMENT_EXPIRED, UnavailableError, LOG_STOPPED.
    """
    verify_in_force(node.trust.in_force.agreement, node.now())
    unread = node.bad_rows.of(_DUTY)
    due = await asyncio.to_thread(lambda: list(RECORDS.each_due_by(node.database, node.now(), unread)))
    for row in due:
        try:
            await settle(node, row.record)
        except Exception as error:
            if ends_round(node, error):
                raise
            node.bad_rows.note(_DUTY, row.record, error)


ENTRY: Final = Kind(
    name="case.entry", media_type=ENTRY_TYPE, encode=bytes, decode=lambda content, _: content, many=True, partial=True,
    judge=_judge_entry, answers=(), keep=CIVIL, erasable_by=sent_by_it, resend=_resent,
)  # fmt: skip
DISCLOSURE: Final = Kind(
    name=DISCLOSURE_KIND, media_type=ENTRY_TYPE, encode=bytes, decode=lambda content, _: content, many=True,
    partial=True, judge=_judge_entry, answers=(), keep=CIVIL, erasable_by=sent_by_it, resend=_resent,
)  # fmt: skip
