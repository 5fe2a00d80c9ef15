"""An act of an office of ours in a joint record: one entry, written once, in the transaction that answers the call.

It stands on all that this node holds. What the record as it stands does not allow is not written at all; what a
concurrent act of another province made void stays visible without effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import ClassVar, Final, Generic

from federation.domain.acts import COMMON, Act, Field
from federation.domain.case_items import Places
from federation.domain.joint import Entry, FieldValue, NoEffect
from federation.node.documents import file_documents
from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import Rows, follow
from federation.node.exchange.replies import delivered
from federation.node.exchange.send import Sent
from federation.node.joint.entries import Settled, note_settled, put_settled, settle_moved, settled_with
from federation.node.joint.records import Held, SentEntry, StoredEntry, each_sent, load_held
from federation.node.joint.sharing import S, Sharing
from federation.node.joint.writing import Said, Written, head_of, written
from federation.node.node import Node
from federation.node.officers import or_logged
from federation.protocol.errors import MalformedError, RuleError, UnavailableError, nearest
from federation.protocol.form import Digest, Item, encode, replace
from federation.protocol.ids import RecordId, parse_record_id, record_node
from federation.protocol.policy import PolicyRequest
from federation.protocol.trust import verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.store.records import put_records
from federation.wire.rpc import Ruling

LIST_SIGN: Final = ","
"""Between the values of a list in a field that is given as text."""
_TRIES: Final = 16
"""So often an act is made anew of a record that moved while it was written."""
_NUMBERS: Final = frozenset({"number", "fen"})


class EntryWritten(Item, frozen=True, kw_only=True):
    """The answer to an act: the record, and the name of the entry."""

    WHAT: ClassVar[str] = "entry written"

    record: RecordId
    name: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing(Generic[S]):
    """An act: `about` names what it is about in the request, `again` is what policy is asked when it is repeated.

    `asked` are the fields as they were given, by which a repeat is known whatever the node filled in since.
    `fill` completes what is said once policy let it and it is no repeat; `verify` refuses what the state before it does
    not allow; `look` may refuse it by policy once more; `finish` makes of it, in the transaction, the entry that is
    written, and `beside` writes what else belongs to it.
    """

    sharing: Sharing[S]
    held: Held[S]
    state: S
    said: Said
    about: str
    again: PolicyRequest
    asked: Mapping[str, FieldValue]
    verify: Callable[[S, Entry], None]
    fill: Callable[[Said], Awaitable[Said]] | None = None
    look: Callable[[Entry], Awaitable[Ruling | None]] | None = None
    finish: Callable[[GroupTransaction, Written], Written] | None = None
    beside: Callable[[GroupTransaction], None] = lambda _: None


async def write_entry(errand: Errand, doing: Doing[S]) -> tuple[Ruling, EntryWritten | None]:
    """Writes one entry, once; policy's no has none. One that others came before is made anew of the record with them.

    Refuses as `verify`, CASE_MOVED (send it again), AGREEMENT_EXPIRED, and as `Record.place_for`.
    """
    for _ in range(_TRIES):
        try:
            return await _write_entry(errand, doing)
        except UnavailableError as error:
            if error.reason != "CASE_MOVED" or not doing.held.kept:
                raise
        held = load_held(doing.sharing.family, errand.node, doing.held.id)
        doing = replace(doing, held=held, state=doing.state if held.state is None else held.state)
    raise UnavailableError("CASE_MOVED", "other entries came at this moment; send it again")


async def _write_entry(errand: Errand, doing: Doing[S]) -> tuple[Ruling, EntryWritten | None]:
    node, said, sharing = errand.node, doing.said, doing.sharing
    verify_in_force(errand.in_force.agreement, node.now())
    bound = errand.asked(f"{sharing.family.name}.{said.act}", encode(_asked(doing)).decode())
    known = errand.remembered(bound, EntryWritten)
    if known is not None:
        return errand.rule(doing.again), known.answer
    head = head_of(node, doing.held, said)
    seat = sharing.seat(errand.in_force, doing.state, head, occasion=errand.occasion)
    home = record_node(doing.held.id)
    ruling = await errand.ask(sharing.question(errand.agency, seat, said.act, home=home, occasion=errand.occasion))
    if not ruling.allowed:
        return ruling, None
    if doing.fill is not None:
        doing = replace(doing, said=await doing.fill(said))
    entry = _entry(errand, doing, seat)
    doing.verify(doing.state, entry.kept.entry)
    if doing.look is not None and (refused := await doing.look(entry.kept.entry)) is not None:
        return refused, None
    is_whole = doing.finish is None
    settled = settled_with(sharing, node, doing.held, kept=entry.kept, body=entry.body) if is_whole else None
    writing = asyncio.ensure_future(errand.once(bound, EntryWritten, partial(_put, errand, doing, entry, settled)))
    if settled is not None:  # also when who asked has gone meanwhile
        writing.add_done_callback(partial(_note_written, sharing, node, entry.kept, settled))
    return ruling, await or_logged(errand, asyncio.shield(writing))


async def write_more(errand: Errand, doing: Doing[S]) -> EntryWritten:
    """Writes another entry of a call whose answer is remembered already, that policy and `verify` let it. As above."""
    node, sharing = errand.node, doing.sharing
    seat = sharing.seat(errand.in_force, doing.state, head_of(node, doing.held, doing.said), occasion=errand.occasion)
    entry = _entry(errand, doing, seat)
    doing.verify(doing.state, entry.kept.entry)
    return (await node.sequencer.commit(partial(_put, errand, doing, entry, None))).value


def _entry(errand: Errand, doing: Doing[S], seat: Item) -> Written:
    head, why = head_of(errand.node, doing.held, doing.said), (errand.act.purpose, errand.act.function)
    return written(errand.node, doing.held, head, places=doing.said.places, seat=encode(seat).decode(), why=why)


async def handed_on(node: Node, sharing: Sharing[S], answer: EntryWritten, *, seconds: float) -> Sequence[SentEntry]:
    """Hands an entry on, waits at most so long for the others to have it, and returns what was sent of it."""
    record = parse_record_id(answer.record)
    await follow(node, Rows(then=partial(settle_moved, sharing, record=record)))
    sent = list(each_sent(sharing.family, node.database, record, name=answer.name))
    await delivered(node, [Sent(id=each.message_id, digest=each.digest) for each in sent], seconds=seconds)
    return sent


class _Asked(Item, frozen=True, kw_only=True):
    """The content of a request, by which a repeat is told from another one."""

    case: str
    act: str
    fields: dict[str, str]
    items: tuple[str, ...]


def _asked(doing: Doing[S]) -> _Asked:
    said = doing.said
    fields = {name: text_of(value) for name, value in doing.asked.items()}
    return _Asked(case=doing.about, act=said.act, fields=fields, items=_hexed(said.places))


def _hexed(places: Places) -> tuple[str, ...]:
    return tuple(item.hex() for item in places.items)


def _note_written(
    sharing: Sharing[S], node: Node, kept: StoredEntry, settled: Settled[S], writing: asyncio.Future[EntryWritten]
) -> None:
    if not writing.cancelled() and writing.exception() is None and writing.result().name == kept.name:
        note_settled(sharing, node, kept=kept, settled=settled)


def _put(
    errand: Errand, doing: Doing[S], entry: Written, settled: Settled[S] | None, transaction: GroupTransaction
) -> EntryWritten:
    """Writes the entry in the transaction that remembers the answer (CASE_MOVED)."""
    entry = entry if doing.finish is None else doing.finish(transaction, entry)
    if not put_settled(doing.sharing, errand.node, transaction, entry=entry, settled=settled):
        raise UnavailableError("CASE_MOVED", "another entry came at this moment; send it again")
    put_records(transaction, doing.sharing.rows_with(transaction, entry.kept, replica=False))
    doing.beside(transaction)
    file_documents(transaction, doing.said.places, entry=entry.kept.name, agency=doing.said.agency)
    return EntryWritten(record=doing.held.id, name=entry.kept.name)


def refusal(
    reason: str, found: NoEffect, words: Mapping[str, tuple[str, str]], *, lacks: Sequence[tuple[str, str]] = ()
) -> RuleError:
    """The error that says in words why an act would be without effect, and what is missing for it."""
    zh, en = words.get(found.reason, ("", ""))
    chinese, english = "；".join(each for each, _ in lacks), "; ".join(each for _, each in lacks)
    return RuleError(
        reason,
        f"{zh}{'：' if lacks else ''}{chinese} | {en} ({found.reason}){': ' if lacks else ''}{english}",
        why=found.reason,
    )


def read_fields(acts: Mapping[str, Act], act: str, given: Mapping[str, str], *, today: date) -> dict[str, FieldValue]:
    """The fields of an act as its table types them; a day of what happened is no day to come. Refuses CASE_FIELD."""
    if act not in acts:
        zh, en = nearest(act, acts)
        raise RuleError("CASE_ACT", f"没有这一办理动作{zh} | there is no such act{en}", why="ACT_UNKNOWN")
    types = {field.name: field for field in (*COMMON, *acts[act].fields)}
    found: dict[str, FieldValue] = {}
    for name, text in given.items():
        field = types.get(name)
        if field is None:
            raise MalformedError("CASE_FIELD", f"{act}: expected one of {', '.join(types)}, got {name!r}", field=name)
        if field.type in _NUMBERS and not (text.isascii() and text.isdigit() and len(text) < 16):
            raise MalformedError("CASE_FIELD", f"{act}: expected {name!r} to be a plain number", field=name)
        value = tuple(text.split(LIST_SIGN)) if field.is_list else int(text) if field.type in _NUMBERS else text
        if not field.takes(value) or (field.type == "past" and text > today.isoformat()):
            raise MalformedError("CASE_FIELD", f"{act}: expected {name!r} to be {_form_of(field)}", field=name)
        found[name] = value
    return found


FORMS: Final = {
    "agency": "an agency: province/county/kind",
    "alert": "a kind of alert: bridgehead alert kinds",
    "area": "an area of a duty sheet: bridgehead duty show",
    "cap_id": "the number of an alert, as alert list shows it",
    "clock": "a clock of the case, as case due shows it",
    "code": "a code of 17 digits",
    "cut": "a province and how many of its entries, such as jiangxi:12",
    "day": "a day: YYYY-MM-DD",
    "desk": "a desk of a duty sheet: bridgehead duty show",
    "digest": "a paper of the case by its file's name, or 64 digits",
    "division": "a division: six digits, or nine of a township",
    "entry": "an entry, as case history shows it",
    "officer": "an officer: province/county/kind#pseudonym",
    "past": "a day that has come: YYYY-MM-DD",
    "purpose": "a registered purpose: bridgehead function list",
    "record": "a record, as case list or alert list shows it",
    "text": "a text that is not empty",
    "time": "a time: 2026-11-30T01:00:00.000Z",
    "word": "a word of lower-case letters",
}
"""The form of each type of a field that is written as text, as a person at a desk knows it."""


def _form_of(field: Field) -> str:
    return f"one of {', '.join(sorted(field.words))}" if field.words else FORMS[field.type]


def text_of(value: FieldValue) -> str:
    """A value of a field as a text; a list has commas between its values."""
    return LIST_SIGN.join(value) if isinstance(value, tuple) else str(value)
