"""Entries of joint records between provinces: one body for all members, each handed the places that it may see.

`settle` gives every province that takes part each entry of ours, in the order in which we wrote them, with the places
open that policy and the family's rules give its offices; who joined later is given all of them then, and who may see
more than before is handed the same entry again (`case.disclosure`). No node hands on what another one wrote.
Source: DESIGN sections 3 and 5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, Generic

import structlog

from federation.domain.joint import Entry, NoEffect
from federation.domain.joint_mandates import GRANT
from federation.node.exchange.resend import Missed
from federation.node.exchange.send import Cause, Draft, Sent, prepare, record_message
from federation.node.joint.ends import end_items, items_end
from federation.node.joint.records import (
    Family,
    Held,
    Moment,
    SentEntry,
    StoredEntry,
    StoredRecord,
    each_sent,
    find_own_body,
    find_start,
    is_due_now,
    keep_next,
    load_held,
)
from federation.node.joint.sharing import S, Sharing
from federation.node.joint.sight import own_parts
from federation.node.joint.writing import NO_PLACES, Said, Written, head_of, put_written, written
from federation.node.log.bad_rows import ends_round
from federation.node.node import InForce, Node, agency_facts
from federation.protocol.body import Body, Handed, open_places
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import encode, replace
from federation.protocol.ids import NodeName, RecordId, parse_record_id, record_node
from federation.protocol.policy import Decision, PolicyRequest, decide, join_decisions
from federation.protocol.statement import Recipient, Sender
from federation.protocol.trust import find_agency, verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, put_records

_TRIES: Final = 64
"""So often a record that moved while it was looked at is looked at again; the duty does the rest."""
_LEAST_PAUSE: Final = 0.1
"""A record that cannot be settled is not looked at more often."""
_log = structlog.get_logger()


def record_key(record: RecordId) -> str:
    """Names in `node.waiters` whoever waits for a record to move."""
    return f"record/{record}"


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
class Settled(Generic[S]):
    """A record as one more entry leaves it, with nothing else to do: what is owed of that entry, if it is ours."""

    now: Moment[S]
    seen: object
    owed: tuple[_Owed, ...] = ()


def settled_with(
    sharing: Sharing[S], node: Node, held: Held[S], *, kept: StoredEntry, body: Body | None = None
) -> Settled[S] | None:
    """Returns what is written with an entry so that it leaves the record settled; `body` is that of an entry of ours.

    None where more than this entry is to be looked at, which `settle` does once it is durable: it does not merely
    follow, others may see more of those before it, it grants look-ups, time brings an entry, or the record ends or has
    ended.
    """
    in_force = node.trust.in_force
    now = held.with_next(kept.entry, lambda opening: find_start(held.family, node, node.database, opening=opening))
    if now is None or now.state is None or sharing.is_over(now.state):
        return None
    seen = _seen_now(sharing, in_force, now.state)
    if held.kept and (held.handed != (len(held.own), seen) or seen != _seen_now(sharing, in_force, held.state)):
        return None
    if held.granted or kept.head.act == GRANT or next(sharing.due(node, now.state), None) is not None:
        return None
    others = sorted(sharing.provinces(node, in_force, now.state)) if body is not None else ()
    handing = _Handing(sharing=sharing, in_force=in_force, state=now.state)
    owed = (_owed_to(handing, kept, to, given=None, find_body=lambda: body) for to in others)
    return Settled(now=now, seen=seen, owed=tuple(each for each in owed if each is not None))


async def settle_moved(sharing: Sharing[S], node: Node, record: RecordId) -> None:
    """Settles a record unless the entry that moved it left it settled."""
    row = sharing.family.records.find(node.database, record)
    if row is not None and is_due_now(row):
        await settle(sharing, node, record)


async def settle(sharing: Sharing[S], node: Node, record: RecordId) -> None:
    """Writes what time brings, hands on what is owed to others, and writes what our own offices see in their lists.

    A duty does it again for each record whose row says so, so that a crash before it delays and loses nothing.
    Refuses AGREEMENT_EXPIRED.
    """
    in_force, family = node.trust.in_force, sharing.family
    verify_in_force(in_force.agreement, node.now())
    for _ in range(_TRIES):
        row = family.records.find(node.database, record)
        held = load_held(family, node, record)
        if row is not None and row.unopened_by:
            return
        if row is None or row.entries != len(held.kept):
            continue
        brought = _write_due(sharing, node, held)
        seen, number = _seen_now(sharing, in_force, held.state), len(held.own)
        if brought is not None:
            await node.sequencer.commit(partial(_put_brought, family, node, brought))
            continue
        looked = tuple(_unlooked(held, seen))
        ahead = _Ahead(now=held.moment, owed=tuple(owed(sharing, node, held, seen=seen)), looked=looked)
        if (await node.sequencer.commit(partial(_hand_on, sharing, node, held, row, ahead))).value:
            held.handed = number, seen
            break
    else:
        return
    for name in {each.to for each in ahead.owed}:
        node.wake_delivery(name)
    tell(sharing, node, held.moment)


def _write_due(sharing: Sharing[S], node: Node, held: Held[S]) -> Written | None:
    """The next entry that time brings and that is ours to write; None when there is none."""
    state = held.state
    author = None if state is None else sharing.author(node, state)
    if state is None or author is None:
        return None
    for act, fields in sharing.due(node, state):
        said = Said(agency=author.agency, officer=None, act=act, fields=fields)
        head = head_of(node, held, said)
        found = held.family.advance(state, Entry(name="0" * 64, author=node.name, head=head))
        if not isinstance(found, NoEffect):
            return written(node, held, head, places=NO_PLACES, seat=encode(author.seat).decode(), why=author.why)
    return None


def _put_brought(family: Family[S], node: Node, entry: Written, transaction: GroupTransaction) -> None:
    row = put_written(family, node, transaction, entry=entry)
    if row is not None:
        family.records.put(transaction, row, owner=node.name)


def put_settled(
    sharing: Sharing[S], node: Node, transaction: GroupTransaction, *, entry: Written, settled: Settled[S] | None
) -> bool:
    """Stores an entry of ours with all that is left to do, or leaves that to `settle`; False when the record moved."""
    row = put_written(sharing.family, node, transaction, entry=entry)
    if row is None:
        return False
    if settled is None or settled.now.state is None:
        sharing.family.records.put(transaction, row, owner=node.name)
        return True
    state = settled.now.state
    for each in settled.owed:
        ready = prepare(node, _draft(sharing, node, state, each))
        record_message(node, transaction, ready, in_force=node.trust.in_force)
    sharing.put_handed(node, transaction, state, entries=[(entry.kept, entry.body)])
    put_records(transaction, list(settled_rows(sharing, node, transaction, now=settled.now, row=row)))
    return True


def note_settled(sharing: Sharing[S], node: Node, *, kept: StoredEntry, settled: Settled[S]) -> None:
    """Has the messages of an entry of ours that is durable now go on their way, and remembers that they do."""
    opens, family = kept.head.height == 0, sharing.family
    held = load_held(family, node, parse_record_id(kept.head.record)) if opens else keep_next(family, node, kept)
    if held is not None and (opens or held.handed == (kept.head.n - 1, settled.seen)):
        held.handed = kept.head.n, settled.seen
    for each in settled.owed:
        node.wake_delivery(each.to)
    tell(sharing, node, settled.now)


def tell(sharing: Sharing[S], node: Node, now: Moment[S]) -> None:
    """Wakes whoever waits for a record to move, and whoever watches those of an office that takes part in it."""
    for key in (record_key(now.id), *sharing.wakes(node, now)):
        node.waiters.tell(key)


def settled_rows(
    sharing: Sharing[S], node: Node, transaction: GroupTransaction, *, now: Moment[S], row: StoredRecord
) -> Iterator[Record]:
    """The row that replaces that of the record once all is handed on, the lines of our offices, and news of them."""
    settled = replace(row, step=row.step + 1, look=None)
    if now.state is not None:
        settled = replace(sharing.settled(node, settled, now), shown=row.entries)
        ends = items_end(node.trust.in_force, settled)
        if ends is not None and (row.closed is None or node.now() < ends):  # who hears of the close late ends it, too
            settled = replace(settled, look=ends)
    yield sharing.family.records.record(settled, owner=node.name)
    yield from sharing.lines(node, transaction, now, row=row, step=settled.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ahead(Generic[S]):
    """The things to write of a record as of one moment: others fold it on while the writer is at work."""

    now: Moment[S]
    owed: tuple[_Owed, ...]
    looked: tuple[StoredEntry, ...]


def _hand_on(
    sharing: Sharing[S], node: Node, held: Held[S], row: StoredRecord, ahead: _Ahead[S], transaction: GroupTransaction
) -> bool:
    """Writes messages and lists unless the record, or what was handed on of it, moved meanwhile."""
    in_force, now, family = node.trust.in_force, ahead.now, sharing.family
    stored = family.records.find(transaction, held.id)
    if stored is None or stored.step != row.step:
        return False
    ends = items_end(in_force, row)
    if ends is not None and node.now() >= ends and end_items(node, transaction, held):
        held.handed = (0, None)  # their heads are owed again
        return False
    if now.state is not None:
        for each in ahead.owed:
            record_message(node, transaction, prepare(node, _draft(sharing, node, now.state, each)), in_force=in_force)
        with_items = ((kept, find_own_body(family, transaction, kept.name)) for kept in ahead.looked if kept.head.items)
        sharing.put_handed(node, transaction, now.state, entries=with_items)
    put_records(transaction, list(settled_rows(sharing, node, transaction, now=now, row=row)))
    if now.state is not None:
        sharing.put_settled(node, transaction, held, state=now.state)
    return True


def _seen_now(sharing: Sharing[S], in_force: InForce, state: S | None) -> object:
    """All that decides which places of an entry a province is handed, beside the entry."""
    return (in_force, None if state is None else sharing.shown_by(state))


def _unlooked(held: Held[S], seen: object) -> list[StoredEntry]:
    """The entries of ours that were not handed on while `seen` was the same; without it, all."""
    handed, before = held.handed
    return held.own[handed if seen is not None and before == seen else 0 :]


def owed(sharing: Sharing[S], node: Node, held: Held[S], *, seen: object = None) -> Iterator[_Owed]:
    """The entries of ours that each province which takes part has not been handed yet.

    Those that were handed on while `seen` was the same are not looked at; without it, all are.
    """
    in_force, family = node.trust.in_force, sharing.family
    state, own = held.state, _unlooked(held, seen)
    if state is None or not own:
        return
    given: dict[tuple[str, NodeName], set[int]] = {}
    for kept in own:
        for sent in each_sent(family, node.database, held.id, name=kept.name):
            given.setdefault((sent.name, sent.to), set()).update(sent.places)
    part = sharing.provinces(node, in_force, state)
    handing = _Handing(sharing=sharing, in_force=in_force, state=state)
    left = sharing.left(in_force, held, part)
    for to in sorted(part | left.keys()):
        for kept in own if to in part else [kept for kept in own if kept.name in left[to]]:
            body = partial(find_own_body, family, node.database, kept.name)
            before = given.get((kept.name, to))
            if (each := _owed_to(handing, kept, to, given=before, find_body=body)) is not None:
                yield each


@dataclass(frozen=True, slots=True, kw_only=True)
class _Handing(Generic[S]):
    """The state and the rules by which entries are handed on."""

    sharing: Sharing[S]
    in_force: InForce
    state: S


def _owed_to(
    handing: _Handing[S],
    kept: StoredEntry,
    to: NodeName,
    *,
    given: set[int] | None,
    find_body: Callable[[], Handed | None],
) -> _Owed | None:
    if given is not None and len(given) == 1 + len(kept.head.items):
        return None
    sharing, in_force, body = handing.sharing, handing.in_force, find_body()
    if body is None or not kept.seat or find_agency(in_force.agreement, kept.head.agency) is None:
        return None
    places, seen = {0}, list[PolicyRequest]()
    if isinstance(body, Body):
        parts = own_parts(in_force, kept, body)
        opened, seen = sharing.opened(in_force, handing.state, kept, parts=parts, to=to)
        places |= opened
    if given is not None and places <= given:
        return None
    occasion = in_force.occasion(kept.purpose, kept.function)
    author, home = agency_facts(in_force, kept.head.agency), record_node(parse_record_id(kept.head.record))
    acts = sharing.question(author, kept.seat, kept.head.act, home=home, occasion=occasion)
    asked = (acts, *dict.fromkeys(seen))
    decision = join_decisions([decide(in_force.policies, question) for question in asked])
    if not decision.allowed:
        return None  # the policy of today lets it out no more: what stands on it waits at the other side
    return _Owed(
        kept=kept, to=to, places=tuple(sorted(places)), body=body, asked=asked, decision=decision,
        again=given is not None,
    )  # fmt: skip


def _draft(sharing: Sharing[S], node: Node, state: S, owed: _Owed) -> Draft:
    kept, body, family = owed.kept, owed.body, sharing.family
    head = kept.head
    handed = open_places(body, owed.places) if isinstance(body, Body) else body
    cause = Cause(
        sender=Sender(node=node.name, agency=head.agency, officer=head.officer),
        purpose=kept.purpose, function=kept.function, case=head.record, basis=sharing.basis(state),
    )  # fmt: skip
    return Draft(
        kind=family.disclosure_kind if owed.again else family.entry_kind, recipient=Recipient(node=owed.to),
        cause=cause, body=handed, decision=owed.decision, asked=owed.asked,
        rows=partial(_sent_rows, family, node, owed), ref=kept.ref,
    )  # fmt: skip


def _sent_rows(family: Family[S], node: Node, owed: _Owed, sent: Sent) -> tuple[Record, ...]:
    sent_entry = SentEntry(
        record=owed.kept.head.record, name=owed.kept.name, to=owed.to, message_id=sent.id, digest=sent.digest,
        places=owed.places,
    )  # fmt: skip
    return (family.sent.record(sent_entry, owner=node.name),)


def resent(family: Family[S], missed: Missed) -> Draft | None:
    """The same places of the same entry under a new statement, which the record of what was sent names from then on."""
    record = missed.statement.case or ""
    name = missed.statement.body.commitment if missed.statement.body is not None else ""
    sent = family.sent.find(missed.source, f"{record}/{name}/{missed.message.id}")
    if sent is None:
        return None
    family.sent.erase(missed.source, family.sent.id(sent))
    now_sent = family.sent
    return missed.again(
        rows=lambda now: (now_sent.record(replace(sent, message_id=now.id, digest=now.digest), owner=missed.node.name),)
    )


async def keep_settled(sharing: Sharing[S], node: Node) -> None:
    """Settles each record whose moment has come, for as long as the node runs: every now and then, or to the second."""
    duty, version = sharing.family.duty, 0
    while not node.waiters.ended:
        await node.waiters.wait(*sharing.look_keys, seconds=_until_next(sharing, node))
        try:
            newest = node.trust.in_force.agreement.version
            await settle_due(sharing, node, is_new=newest != version)
            version = newest
        except BridgeheadError as error:
            _log.warning(f"{duty}.unsettled", reason=error.reason)
        except Exception:  # noqa: BLE001 - a duty that ends would leave clocks unwritten and members unserved
            _log.exception(f"{duty}.failed")


def _until_next(sharing: Sharing[S], node: Node) -> float:
    """The seconds until a duty looks again: at most until the next moment, where a family keeps time to the second."""
    pause = node.settings.intake_seconds
    if not sharing.look_keys:
        return pause
    family, now = sharing.family, node.now()
    soon = family.records.each_due_by(node.database, now + timedelta(seconds=pause), node.bad_rows.of(family.duty))
    row = next(soon, None)
    if row is None or row.look is None:
        return pause
    return min(pause, max((row.look - now).total_seconds(), _LEAST_PAUSE))


async def settle_due(sharing: Sharing[S], node: Node, *, is_new: bool = False) -> None:
    """Settles each record whose moment has come; one that cannot be is told and left for the next round.

    `is_new`: the agreement came into force since the last round, and moves some by itself.

    Raises what keeps all of them from it: AGREEMENT_EXPIRED, UnavailableError, LOG_STOPPED.
    """
    verify_in_force(node.trust.in_force.agreement, node.now())
    family = sharing.family
    unread = node.bad_rows.of(family.duty)
    due = await asyncio.to_thread(lambda: list(family.records.each_due_by(node.database, node.now(), unread)))
    moved = await asyncio.to_thread(lambda: list(sharing.moved(node))) if is_new else ()
    for record in dict.fromkeys((*(row.record for row in due), *moved)):
        try:
            await settle(sharing, node, record)
        except Exception as error:
            if ends_round(node, error):
                raise
            node.bad_rows.note(family.duty, record, error)
