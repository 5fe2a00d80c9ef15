"""The rows of joint records in the store, by family, and the fold of one as this node holds it.

A family (cases, alerts) has rows of its own, so that what is said of a record of one is never taken for the other.
Rules kept: an entry's head stays when what it handed over is erased, so that the record folds for ever; the items of
one's own entries are one sealed row each, those of others the bodies of the messages that brought them; a case has one
row for each office of ours that takes part, found by its code and by the day on which something is due, so that no list
folds a case. A record is folded once, and then entry by entry while the order allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Generic, Protocol, TypeVar

from federation.domain.acts import ACTS, Act
from federation.domain.alert import Alert
from federation.domain.alert import advance as alert_advance
from federation.domain.alert import step as alert_step
from federation.domain.alert_acts import ALERT_ACTS
from federation.domain.alert_kinds import ALERTS_FILE
from federation.domain.alert_rules import read_alert_rules
from federation.domain.alert_texts import read_alert_part
from federation.domain.case_items import Part, read_part
from federation.domain.clock import CALENDAR_FILE, CLOCKS_FILE
from federation.domain.duty import DUTY
from federation.domain.joint import Entry, Head, NoEffect
from federation.domain.joint_case import advance as case_advance
from federation.domain.joint_case import step as case_step
from federation.domain.joint_mandates import GRANT
from federation.domain.joint_policy import CaseLine
from federation.domain.joint_record import Fold, Step
from federation.domain.joint_record import Record as JointRecord
from federation.domain.joint_state import Case
from federation.domain.procedure import read_rules
from federation.domain.retention import PROVISION
from federation.node.feed import Feed
from federation.node.node import Node
from federation.protocol.body import (
    Disclosure,
    Handed,
    OpenPlace,
    PartialBody,
    disclose_head,
    disclose_item,
    pack_body,
    unpack_body,
)
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import NotFoundError, UnavailableError
from federation.protocol.form import Count, Digest, Item, Positive, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, Realm, RecordId, between, record_node
from federation.protocol.statement import BodyRef, decode_statement
from federation.protocol.trust import Agreement
from federation.store.collection import Collection, item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_handed, has_body
from federation.store.records import Record, put_records

MAX_FOLDS: Final = 256
"""The folds that a node keeps in memory; others are folded again when they are asked for."""
MAX_UNOPENED: Final = 64
"""The records that one province may begin here before their opening came, and its entries in each of them."""
_Places = Annotated[tuple[Annotated[int, between(0, 64)], ...], "the open places of a body"]


class HeadProof(Item, frozen=True, kw_only=True):
    """The proof that a head is item 0 of the body of its entry; of the other items it says nothing."""

    WHAT: ClassVar[str] = "proof of a head"

    salt: Digest
    path: tuple[Digest, ...]


class StoredEntry(Item, frozen=True, kw_only=True):
    """An entry by the order of its arrival here. Head and proof outlive the items, for the fold and for an auditor.

    Of our own: `ref`, what statements say of its body, and `seat`, the encoded facts that policy read of its author
    when it was written; policy is asked again, as it stands on that day, whenever it leaves.
    """

    WHAT: ClassVar[str] = "kept entry"

    arrival: Positive
    name: Digest
    author: NodeName
    head: Head
    proof: HeadProof
    arrived: Time
    purpose: str
    function: str
    ref: BodyRef | None = None
    seat: str = ""

    @property
    def entry(self) -> Entry:
        return Entry(name=self.name, author=self.author, head=self.head)


class HandedEntry(Item, frozen=True, kw_only=True):
    """The message that brought an entry, or more places of one; it outlives them, so that what is gone is told."""

    WHAT: ClassVar[str] = "handed entry"

    name: Digest
    message_id: MessageId


class SentEntry(Item, frozen=True, kw_only=True):
    """An entry of ours as one province was handed it; `digest` is that of the statement, `places` stood open."""

    WHAT: ClassVar[str] = "sent entry"

    record: RecordId
    name: Digest
    to: NodeName
    message_id: MessageId
    digest: Digest
    places: _Places


class RefusedEntry(Item, frozen=True, kw_only=True):
    """An entry of another province that our policy did not take in; what stands on it waits."""

    WHAT: ClassVar[str] = "refused entry"

    record: RecordId
    author: NodeName
    n: Positive
    name: Digest
    act: str
    policies: tuple[str, ...]
    time: Time


class StoredRecord(Item, frozen=True, kw_only=True):
    """One record: how many entries are here, how often its row was written, when a duty looks at it next.

    `unopened_by` is the province that began it here, until its opening is here; no duty looks at it meanwhile.
    `shown`: how many entries the lists of our offices and their feeds tell of.
    """

    WHAT: ClassVar[str] = "kept record"

    record: RecordId
    entries: Count
    step: Positive
    look: Time | None = None
    procedure: str = ""
    retention: str = ""
    closed: Time | None = None
    unopened_by: str = ""
    shown: Count = 0


class RuleFiles(Item, frozen=True, kw_only=True):
    """The procedures, clocks and calendar of one version of the agreement, which cases opened under it pin."""

    WHAT: ClassVar[str] = "rules of an agreement"

    version: Positive
    files: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OwnBody:
    """The body of an entry of ours; once its items are destroyed, a partial one with nothing open but the head."""

    name: str
    body: Handed
    version: int = 1


class CaseChange(Item, frozen=True, kw_only=True):
    """That a case changed for an office; how it stands, its line says."""

    WHAT: ClassVar[str] = "case change"

    record: RecordId


CASES: Final = item_collection(
    CaseLine, kind="case", id=lambda line: f"{line.office}/{line.record}", replica=True,
    version=lambda line: line.step, division=lambda line: str(line.office), due_time=lambda line: line.due,
    subject=lambda line: line.code, status=lambda line: "closed" if line.outcome else "open", kept_under=PROVISION,
)  # fmt: skip
"""By office, in the order in which they were opened; `each_due_by` of an office's division is what is due there."""
CHANGES: Final = Feed(
    kind="case-change", series="cases", read=partial(decode, CaseChange), about=lambda change: change.record
)
"""By office, an entry for each of a case of theirs."""
RULES: Final = item_collection(
    RuleFiles, kind="case-rules", id=lambda rules: f"{rules.version:08}", replica=True, kept_under=PROVISION
)
_S = TypeVar("_S")


class ReadPart(Protocol):
    def __call__(self, encoded: bytes, kind: str, *, realm: Realm) -> Part | None: ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Family(Generic[_S]):
    """The records of one sort: what one is before its opening, the step of its fold, and where the rows are.

    `start` reads the rules that an opening pins out of the files of an agreement; it raises NotFoundError without them.
    `read` reads one place of an entry by its class and realm: None where it stays closed, whatever stands in it.
    """

    name: str
    acts: Mapping[str, Act]
    start: Callable[[Mapping[str, bytes], Head], _S]
    step: Step[_S]
    advance: Callable[[_S, Entry], _S | NoEffect]
    read: ReadPart
    entries: Collection[StoredEntry]
    handed: Collection[HandedEntry]
    sent: Collection[SentEntry]
    """Of one entry in the order in which its messages went, so that nobody reads those of the whole record for it."""
    refused: Collection[RefusedEntry]
    records: Collection[StoredRecord]
    own: Collection[OwnBody]

    @property
    def duty(self) -> str:
        """The name of the duty that settles its records, in the log and among bad rows."""
        return f"{self.name}s"

    @property
    def media_type(self) -> str:
        """The type of the body of an entry."""
        return f"application/vnd.bridgehead.{self.name}-entry.v1+json"

    @property
    def entry_kind(self) -> str:
        """The kind of a message that hands over an entry."""
        return f"{self.name}.entry"

    @property
    def disclosure_kind(self) -> str:
        """The kind of a message that hands over more places of an entry."""
        return f"{self.name}.disclosure"

    @property
    def document_step(self) -> str:
        """The step of a person's report that says that a document was fetched."""
        return f"{self.name}.document"


def _family(
    name: str,
    acts: Mapping[str, Act],
    *,
    start: Callable[[Mapping[str, bytes], Head], _S],
    step: Step[_S],
    advance: Callable[[_S, Entry], _S | NoEffect],
    read: ReadPart = read_part,
) -> Family[_S]:
    return Family(
        name=name,
        acts=acts,
        start=start,
        step=step,
        advance=advance,
        read=read,
        entries=item_collection(
            StoredEntry, kind=f"{name}-entry", id=lambda kept: f"{kept.head.record}/{kept.arrival:06}", replica=True,
            subject=lambda kept: kept.name, kept_under=PROVISION,
        ),
        handed=item_collection(
            HandedEntry, kind=f"{name}-handed", id=lambda kept: f"{kept.name}/{kept.message_id}", replica=True,
            kept_under=PROVISION,
        ),
        sent=item_collection(
            SentEntry, kind=f"{name}-sent", id=lambda sent: f"{sent.record}/{sent.name}/{sent.message_id}",
            replica=True, kept_under=PROVISION,
        ),
        refused=item_collection(
            RefusedEntry, kind=f"{name}-refused", replica=True, kept_under=PROVISION,
            id=lambda kept: f"{kept.record}/{kept.author}/{kept.n:06}/{kept.name}",
        ),
        records=item_collection(
            StoredRecord, kind=f"{name}-record", id=lambda kept: kept.record, replica=True, kept_under=PROVISION,
            version=lambda kept: kept.step, due_time=lambda kept: kept.look, division=lambda kept: kept.unopened_by,
        ),
        own=Collection(
            kind=f"{name}-own", encode=lambda own: pack_body(own.body), id=lambda own: own.name, replica=True,
            decode=lambda record: OwnBody(
                name=record.id, body=unpack_body(record.content), version=record.version
            ),
            version=lambda own: own.version,
        ),
    )  # fmt: skip


CASE: Final = _family(
    "case", ACTS, step=case_step, advance=case_advance,
    start=lambda files, opening: Case(rules=read_rules(files, str(opening.fields.get("procedure", "")))),
)  # fmt: skip
ALERT: Final = _family(
    "alert", ALERT_ACTS, step=alert_step, advance=alert_advance, read=read_alert_part,
    start=lambda files, _: Alert(rules=read_alert_rules(files)),
)  # fmt: skip
FAMILIES: Final[Mapping[str, Family[Any]]] = MappingProxyType({each.name: each for each in (CASE, ALERT)})


def family_of(kind: str) -> Family[Any] | None:
    """The family of what a message of that kind hands over; None for one that is about no joint record."""
    return next((each for each in FAMILIES.values() if kind in (each.entry_kind, each.disclosure_kind)), None)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Moment(Generic[_S]):
    """A record at one moment: `entries` are here, of which `waiting` wait, and `act` is that of the one that came last.

    `changed` is the newest time that any says. It is all that the rows of a settled record say, and no entry that
    comes later changes it.
    """

    id: RecordId
    entries: int
    state: _S | None
    changed: datetime | None
    waiting: int = 0
    act: str = ""


@dataclass(slots=True, kw_only=True, repr=False)
class Held(Generic[_S]):
    """A record as this node holds it: its entries by name, their order, and the state that they make.

    `own` are the entries of this node by number, `changed` is the newest moment of any, `granted` are the offices that
    ever granted look-ups. `handed`: so many of `own` were handed on by what decided it then, which is the second of it.
    """

    family: Family[_S]
    record: JointRecord
    node: NodeName
    kept: dict[str, StoredEntry] = field(default_factory=dict)
    own: list[StoredEntry] = field(default_factory=list)
    changed: datetime | None = None
    act: str = ""
    granted: set[AgencyId] = field(default_factory=set)
    handed: tuple[int, object] = (0, None)
    fold: Fold[_S] | None = None

    @property
    def id(self) -> RecordId:
        return self.record.id

    @property
    def state(self) -> _S | None:
        """The case, or the alert; None while the opening, or the rules that it pins, are not here."""
        return None if self.fold is None else self.fold.state

    @property
    def moment(self) -> Moment[_S]:
        return Moment(
            id=self.id,
            entries=len(self.kept),
            state=self.state,
            changed=self.changed,
            act=self.act,
            waiting=len(self.record.pending),
        )

    def with_next(self, entry: Entry, find: Callable[[Head], _S | None]) -> Moment[_S] | None:
        """The record with an entry that is not here; None where that takes more than to fold this one.

        `find` looks for the start with the rules that an opening pins.
        """
        head = entry.head
        opens = not self.kept and (head.height, head.n, entry.author) == (0, 1, record_node(self.id))
        state = find(head) if opens else self.state
        if state is None or not (opens or self.record.is_followed_by(entry)):
            return None
        changed = max(self.changed or head.at, head.at)
        after = self.family.step(state, entry, None)
        return Moment(id=self.id, entries=len(self.kept) + 1, state=after, changed=changed, act=entry.head.act)

    def take(self, new: Iterator[StoredEntry], find: Callable[[Head], _S | None]) -> None:
        """Adds entries that came since; `find` looks for the start with the rules that an opening pins."""
        for kept in new:
            self.kept[kept.name] = kept
            self.changed, self.act = max(self.changed or kept.head.at, kept.head.at), kept.head.act
            if kept.author == self.node:
                self.own.append(kept)
            if kept.head.act == GRANT:
                self.granted.add(kept.head.agency)
            (self.fold or self.record).add(kept.entry, stored=True)
        opening = next(self.record.entries_from(0), None)
        start = find(opening.head) if self.fold is None and opening is not None else None
        if start is not None:
            self.fold = Fold(self.record, start=start, step=self.family.step)


def load_held(family: Family[_S], node: Node, record: RecordId) -> Held[_S]:
    """The record as it is in the store now."""
    folds, source, key = node.folds, node.database, (family.name, record)
    held: Held[_S] = folds.pop(key) if key in folds else Held(family=family, record=JointRecord(record), node=node.name)
    new = family.entries.each(source, under=f"{record}/", after=f"{record}/{len(held.kept):06}")
    held.take(new, lambda opening: find_start(family, node, source, opening=opening))
    if held.kept:  # whoever names records that are not here drives out none that are
        folds[key] = held
    while len(folds) > MAX_FOLDS:
        del folds[next(iter(folds))]
    return held


def keep_next(family: Family[_S], node: Node, kept: StoredEntry) -> Held[_S] | None:
    """The fold in memory with an entry that is durable now, which is not read again; None when there is none."""
    held: Held[_S] | None = node.folds.get((family.name, kept.head.record))
    if held is not None and held.state is not None and kept.arrival == len(held.kept) + 1:
        held.take(iter((kept,)), lambda _: None)
    return held if held is not None and kept.name in held.kept else None


def find_start(family: Family[_S], node: Node, source: Source, *, opening: Head) -> _S | None:
    """The state before an opening, by the rules that it pins: of the agreement's version under which it was written.

    None when they are not here; those of an earlier version are then looked for (`upkeep.take_rules`).
    """
    in_force = node.trust.in_force
    version = opening.fields.get("agreement")
    if not isinstance(version, int):
        return None
    files: Mapping[str, bytes] = in_force.agreement.files
    if version != in_force.agreement.version:
        kept = RULES.find(source, f"{version:08}")
        if kept is None:
            if version < in_force.agreement.version:
                node.rules_wanted.add(version)
            return None
        files = {path: text.encode() for path, text in kept.files.items()}
    try:
        return family.start(files, opening)
    except NotFoundError:
        return None


def proof_of(handed: Handed) -> HeadProof:
    """The proof of the head, from all or some places of the body of an entry."""
    opened = disclose_head(handed) if isinstance(handed, PartialBody) else disclose_item(handed, 0)
    return HeadProof(salt=opened.salt.hex(), path=tuple(each.hex() for each in opened.proof))


def find_head(source: Source, message: StoredMessage) -> Disclosure | None:
    """The head of the entry that a message handed over, also once its items are destroyed; None for another message.

    A row that cannot be read is passed over: `node check` names it.
    """
    statement = decode_statement(parse_envelope(message.envelope).payload)
    family, body = family_of(statement.kind), statement.body
    if family is None or body is None:
        return None
    found = family.entries.by_subject(source, body.commitment, unread=lambda *_: None)
    if not found:
        return None
    kept, proof = found[0], found[0].proof
    return Disclosure(
        index=0, item=encode(kept.head), salt=bytes.fromhex(proof.salt), proof=tuple(map(bytes.fromhex, proof.path))
    )


def is_gone(family: Family[_S], source: Source, kept: StoredEntry) -> bool:
    """True when something that came of an entry of another province was destroyed here."""
    return any(not has_body(source, each.message_id) for each in family.handed.each(source, under=f"{kept.name}/"))


def each_sent(family: Family[_S], source: Source, record: str, *, name: str) -> Iterator[SentEntry]:
    """The messages that handed over one entry of ours, oldest first."""
    return family.sent.each(source, under=f"{record}/{name}/")


def keep_rules(node: Node, agreement: Agreement, transaction: GroupTransaction) -> None:
    """Stores the files of a version that the cases which were opened under it pin, unless they are here."""
    put_records(transaction, rules_to_keep(node, agreement, transaction))


def rules_to_keep(node: Node, agreement: Agreement, source: Source) -> tuple[Record, ...]:
    """As `keep_rules`, as records."""
    if RULES.has(source, f"{agreement.version:08}"):
        return ()
    wanted = ("policies/procedures/", CLOCKS_FILE, CALENDAR_FILE, ALERTS_FILE, DUTY)
    files = {path: file.decode() for path, file in agreement.files.items() if path.startswith(wanted)}
    return (RULES.record(RuleFiles(version=agreement.version, files=files), owner=node.name),)


def next_arrival(family: Family[_S], source: Source, kept: StoredEntry) -> StoredRecord:
    """The row of a record with one more entry, which a duty settles at once where the record was opened."""
    known, opens = family.records.find(source, kept.head.record), kept.head.height == 0
    if known is None:
        by = "" if opens else kept.author
        return StoredRecord(record=kept.head.record, entries=1, step=1, look=_NOW, unopened_by=by)
    by = "" if opens else known.unopened_by
    return replace(known, entries=known.entries + 1, step=known.step + 1, look=_NOW, unopened_by=by)


def verify_waiting_room(node: Node, held: Held[_S], entry: Entry) -> None:
    """Refuses an entry of a record whose opening is not here once its author has many such (RECORD_WAITING)."""
    if entry.head.height == 0 or held.fold is not None or entry.name in held.kept:
        return
    if next(held.record.entries_from(0), None) is not None:
        return
    bad = node.bad_rows.of(held.family.duty)
    begun = held.family.records.each_due_by(node.database, _NOW, bad, division=entry.author)
    own = sum(kept.author == entry.author for kept in held.kept.values())
    if own >= MAX_UNOPENED or (not held.kept and sum(1 for _ in islice(begun, MAX_UNOPENED)) == MAX_UNOPENED):
        raise UnavailableError("RECORD_WAITING", "expected the opening of this record first; send it again then")


_NOW: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""A moment that has come: what is to be looked at without waiting."""


def is_due_now(row: StoredRecord) -> bool:
    """True when an entry came that did not leave the record settled."""
    return row.look == _NOW


def find_own_body(family: Family[_S], source: Source, name: str) -> Handed | None:
    """The body of an entry of ours."""
    own = family.own.find(source, name)
    return None if own is None else own.body


def parts_of(family: Family[_S], node: Node, source: Source, *, kept: StoredEntry) -> dict[int, Part]:
    """The places of an entry that stand open here, by number, from all that was handed over of it."""
    if kept.author == node.name:
        own = family.own.find(source, kept.name)
        return _parts_in(family, node, kept, body=own.body if own is not None else None)
    found: dict[int, Part] = {}
    for handed in family.handed.each(source, under=f"{kept.name}/"):
        found |= parts_handed(family, node, source, kept=kept, message_id=handed.message_id)
    return found


def parts_handed(
    family: Family[_S], node: Node, source: Source, *, kept: StoredEntry, message_id: MessageId
) -> dict[int, Part]:
    """The places of an entry that one message opened here."""
    return _parts_in(family, node, kept, body=find_handed(source, message_id))


def opened_of(family: Family[_S], source: Source, kept: StoredEntry) -> set[int]:
    """The places of another province's entry that were opened here, those that are kept closed among them."""
    bodies = [find_handed(source, each.message_id) for each in family.handed.each(source, under=f"{kept.name}/")]
    return {at for body in bodies if body is not None for at, _ in _open_items(body)}


def _parts_in(family: Family[_S], node: Node, kept: StoredEntry, *, body: Handed | None) -> dict[int, Part]:
    realm = node.trust.in_force.agreement.realm
    opened = _open_items(body) if body is not None else ()
    read = ((at, family.read(item, kept.head.items[at - 1], realm=realm)) for at, item in opened if at > 0)
    return {at: part for at, part in read if part is not None}


def _open_items(body: Handed) -> Iterator[tuple[int, bytes]]:
    if isinstance(body, PartialBody):
        yield from ((at, place.item) for at, place in enumerate(body.places) if isinstance(place, OpenPlace))
    else:
        yield from enumerate(body.items)
