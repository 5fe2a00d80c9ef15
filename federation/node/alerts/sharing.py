"""Alerts as one family of joint records: the kinds of their messages, and the rules by which they are shared.

Rules kept: every province with a desk that is told has the record, from T0 on; what time brings is written by the
arbiter's node, by the holder's while that one does not answer. An entry of a desk that the pinned sheets know is taken
in whatever became of the desk since: the fold says what it does, and who refused it would never see what others build
on it. Source: DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import chain, product
from typing import Final

from federation.domain.alert import Alert
from federation.domain.alert_due import each_due
from federation.domain.alert_policy import (
    DETAIL,
    PLATE,
    AlertSeat,
    AlertStanding,
    act_request,
    crosses,
    reader_seat,
    seat_of,
    see_request,
)
from federation.domain.alert_rules import AgreedAlerts
from federation.domain.alert_texts import kept_under, names_person, shown_fields
from federation.domain.alert_told import offices_of, provinces_of, told_of
from federation.domain.cap import Status
from federation.domain.case_items import AT_HOME, Part
from federation.domain.duty import read_duty
from federation.domain.joint import Entry, FieldValue, Head
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.domain.retention import ALERT as KEPT
from federation.node.alerts.lists import CHANGES, NAMES, AlertName, alert_look, alert_rows, each_open
from federation.node.duty import newest_of, signed_on
from federation.node.joint.given import Handing, given_in_alert
from federation.node.joint.records import ALERT, Held, Moment, StoredEntry, StoredRecord, find_own_body
from federation.node.joint.sharing import Author, Sharing
from federation.node.joint.sight import own_parts
from federation.node.joint.taking import entry_kinds
from federation.node.node import InForce, Node, agency_facts
from federation.protocol.body import Body, Handed
from federation.protocol.errors import UnavailableError
from federation.protocol.form import Item, decode, replace
from federation.protocol.ids import AgencyId, NodeName, RecordId, parse_record_id, record_node
from federation.protocol.policy import PolicyRequest, decide
from federation.protocol.trust import find_agency
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, put_records

_MAX_BASIS: Final = 200
_DRILLS: Final = frozenset({Status.EXERCISE.value, Status.TEST.value})
AWAY_LOOK: Final = timedelta(seconds=15)
"""The node of a holder looks again after that time whether the arbiter answers."""


LOOK: Final = "alerts-look"
"""Told in `node.waiters` when the moment of the next look at an alert may have moved."""


class AlertSharing(Sharing[Alert]):
    family = ALERT
    look_keys = (LOOK,)

    def shown_fields(self, head: Head) -> Mapping[str, FieldValue]:
        """As they are written, but for a text with personal data."""
        return shown_fields(head)

    def is_over(self, state: Alert) -> bool:
        return state.ended is not None

    def is_exercise(self, state: Alert | None, head: Head) -> bool:
        if head.height == 0:
            return head.fields.get("status") in _DRILLS
        if state is None or state.raised is None:
            raise UnavailableError("RECORD_NOT_OPENED", "the entry that opened the alert is not here yet")
        return is_drill(state)

    def seat(self, in_force: InForce, state: Alert | None, head: Head, *, occasion: Occasion) -> AlertSeat:
        del occasion
        if state is None:
            return seat_of(None, head, notified=())
        return seat_of(state, head, notified=told_of(state).desks, off=off_duty(in_force, state))

    def asked(self, held: Held[Alert], entry: Entry, *, seat: Item) -> AlertSeat | None:
        """Returns the seat of a desk that the pinned sheets know, or of a node that shares the record."""
        state = held.state
        if not isinstance(seat, AlertSeat) or state is None or state.raised is None:
            return None
        if seat.by_node:
            shares = entry.author in provinces_of(state, told_of(state).desks)
            return replace(seat, standing=AlertStanding.HOLDER) if shares else None
        desk = str(entry.head.fields.get("desk", ""))
        fits = state.rules.may_hold(desk, state.kind) or state.rules.deputised(desk, state.kind)
        return replace(seat, standing=AlertStanding.NOTIFIED, desk_fits=True) if fits and seat.of_desk else None

    def question(
        self, agency: AgencyFacts, seat: Item | str, act: str, *, home: NodeName, occasion: Occasion
    ) -> PolicyRequest:
        read = seat if isinstance(seat, AlertSeat) else decode(AlertSeat, str(seat).encode())
        return act_request(agency, read, act, home=home, occasion=occasion)

    def may_stand_open(self, state: Alert | None, kind: str, part: Part, *, at_home: bool) -> bool:
        """Returns True: each reader is asked for, and a head that was refused would hold back what stands on it."""
        del state, kind, part, at_home
        return True

    def provinces(self, node: Node, in_force: InForce, state: Alert) -> set[NodeName]:
        others = provinces_of(state, told_of(state).desks) - {node.name}
        return {
            name for name in others if in_force.exchanges(node.name, name) or (in_force.has(name) and is_drill(state))
        }

    def left(self, in_force: InForce, held: Held[Alert], part: set[NodeName]) -> Mapping[NodeName, set[str]]:
        del in_force, held, part
        return {}

    def opened(
        self, in_force: InForce, state: Alert, kept: StoredEntry, *, parts: Sequence[Part], to: NodeName
    ) -> tuple[set[int], list[PolicyRequest]]:
        places, asked = set[int](), list[PolicyRequest]()
        desks = told_of(state).desks
        for agency, own in sorted(offices_of(state, desks).items(), key=lambda each: str(each[0])):
            if agency.node == to and find_agency(in_force.agreement, agency) is not None:
                opened, said = visible(in_force, state, agency, kept=kept, parts=parts, desks=own)
                places |= opened
                asked += said
        return places, asked

    def served(
        self, in_force: InForce, state: Alert, kept: StoredEntry, *, parts: Sequence[Part], to: NodeName
    ) -> Collection[int]:
        """Returns those that its desks may see as the alert stands now: a picture no more once it has ended."""
        return self.opened(in_force, state, kept, parts=parts, to=to)[0]

    def seen(
        self, in_force: InForce, state: Alert, kept: StoredEntry, *, parts: Sequence[Part | None], reader: AgencyId
    ) -> Collection[int]:
        desks = state.rules.desks_of(reader) if isinstance(state.rules, AgreedAlerts) else frozenset[str]()
        return visible(in_force, state, reader, kept=kept, parts=parts, desks=desks)[0]

    def shown_by(self, state: Alert) -> object:
        """Returns all that `reader_seat`, `crosses` and the choice of provinces read of an alert."""
        holder = "" if state.hold is None else state.hold.desk
        authors = frozenset(done.entry.author for done in state.named.values())
        return (told_of(state).desks, holder, state.helpers, state.said.get("ticked", ()), authors)

    def moved(self, node: Node) -> Iterator[RecordId]:
        """Returns the alerts that a desk holds which the sheets in force have no more."""
        agreement = node.trust.in_force.agreement
        duty = read_duty(agreement.files)
        for office, status in product(agreement.members[node.name].agencies, Status):
            for line in each_open(node.database, office, status=status):
                if line.holder and duty.agency_of(line.holder) is None:
                    yield line.record

    def due(self, node: Node, state: Alert) -> Iterator[tuple[str, Mapping[str, FieldValue]]]:
        in_force = node.trust.in_force
        return chain(
            _skips(node, state),
            each_due(
                state, node=node.name, now=node.now(), arbiter_away=is_arbiter_away(node, state),
                off=dict.fromkeys(off_duty(in_force, state), in_force.agreement.version),
            ),
        )  # fmt: skip

    def author(self, node: Node, state: Alert) -> Author | None:
        if state.raised is None:
            return None
        hold, why = state.hold, state.rules.why(state.kind)
        if state.arbiter == node.name:
            agency, standing = state.first.agency, AlertStanding.RAISER
        elif hold is not None and hold.agency.node == node.name:
            agency, standing = hold.agency, AlertStanding.HOLDER
        else:
            return None
        seat = AlertSeat(
            standing=standing, kind=state.kind, status=state.status, purpose=why[0], function=why[1], of_desk=True,
            by_node=True,
        )  # fmt: skip
        return Author(agency=agency, seat=seat, why=why)

    def basis(self, state: Alert) -> str:
        kind = state.rules.table.kinds.get(state.kind) if isinstance(state.rules, AgreedAlerts) else None
        return "" if kind is None else "；".join(law.text for law in kind.law)[:_MAX_BASIS]

    def settled(self, node: Node, row: StoredRecord, now: Moment[Alert]) -> StoredRecord:
        state = now.state
        if state is None or state.raised is None:
            return row
        look = alert_look(node, state, is_away=is_arbiter_away(node, state))
        if state.hold is not None and state.hold.agency.node == node.name != state.arbiter:
            look = min(look or _later(node), _later(node))
        ended = state.ended
        return replace(
            row, look=look, procedure=state.kind, retention=KEPT if ended is None else kept_under(state),
            closed=None if ended is None else ended.at,
        )  # fmt: skip

    def lines(
        self, node: Node, transaction: GroupTransaction, now: Moment[Alert], *, row: StoredRecord, step: int
    ) -> Iterator[Record]:
        yield from alert_rows(node, transaction, now, row=row, step=step)

    def wakes(self, node: Node, now: Moment[Alert]) -> Iterable[str]:
        del node
        is_known = now.state is not None and now.state.raised is not None
        return (CHANGES.key(now.state.status), LOOK) if is_known and now.state is not None else (LOOK,)

    def rows_with(self, source: Source, kept: StoredEntry, *, replica: bool = True) -> tuple[Record, ...]:
        """Returns the names by which its message is found: its own, and that of the file which it was raised from."""
        del source, replica
        names = (kept.head.fields.get(field) for field in ("cap_id", "source"))
        found = (
            AlertName(cap_id=name, record=kept.head.record, name=kept.name, author=kept.author)
            for name in names if isinstance(name, str)
        )  # fmt: skip
        return tuple(NAMES.record(each, owner=kept.author) for each in found)

    def put_handed(
        self,
        node: Node,
        transaction: GroupTransaction,
        state: Alert,
        *,
        entries: Iterable[tuple[StoredEntry, Handed | None]],
    ) -> None:
        """Writes which offices were given what is about a person, of entries of ours that hold anything yet."""
        for kept, body in entries if names_person(state) else ():
            if isinstance(body, Body) and kept.head.items:
                parts = own_parts(node.trust.in_force, kept, body)
                handing = Handing(family=ALERT, kept=kept, parts=parts, basis=self.basis(state))
                self._put_given(node, transaction, state, handing=handing)

    def put_served(
        self, node: Node, transaction: GroupTransaction, *, state: Alert, kept: StoredEntry, item: int, to: NodeName
    ) -> None:
        """Writes which offices of the province may see a document of an alert that names a person."""
        body = find_own_body(ALERT, transaction, kept.name)
        if names_person(state) and isinstance(body, Body):
            parts = own_parts(node.trust.in_force, kept, body)
            handing = Handing(family=ALERT, kept=kept, parts=parts, basis=self.basis(state), served=item, to=to)
            self._put_given(node, transaction, state, handing=handing)

    def _put_given(self, node: Node, transaction: GroupTransaction, state: Alert, *, handing: Handing) -> None:
        in_force, kept, parts = node.trust.in_force, handing.kept, handing.parts
        seen = [
            (office, visible(in_force, state, office, kept=kept, parts=parts, desks=desks)[0])
            for office, desks in offices_of(state, told_of(state).desks).items()
        ]
        put_records(transaction, list(given_in_alert(node, transaction, state, handing=handing, seen=seen)))


def is_drill(alert: Alert) -> bool:
    """True for an exercise or a test, which a province that was admitted just now takes part in, too."""
    return alert.status in _DRILLS


def is_arbiter_away(node: Node, alert: Alert) -> bool:
    """True while the node that raised an alert does not answer this one."""
    return alert.raised is not None and alert.arbiter != node.name and node.contacts.of(alert.arbiter).is_silent


def visible(
    in_force: InForce,
    alert: Alert,
    agency: AgencyId,
    *,
    kept: StoredEntry,
    parts: Sequence[Part | None],
    desks: Collection[str],
) -> tuple[set[int], list[PolicyRequest]]:
    """The places of an entry that an office with these desks may see, and the questions that said yes to it."""
    if alert.raised is None or not isinstance(alert.rules, AgreedAlerts):
        return set(), []
    kind = alert.rules.table.kinds.get(alert.kind)
    if kind is None:
        return set(), []
    seat = reader_seat(alert, agency, desks, notified=told_of(alert).desks, off=off_duty(in_force, alert))
    said = alert.said.get("ticked", ())
    stands = partial(
        crosses, kind, ticked=said if isinstance(said, tuple) else (), status=alert.status,
        is_over=alert.ended is not None,
    )  # fmt: skip
    facts, occasion = agency_facts(in_force, agency), in_force.occasion(kept.purpose, kept.function)
    home = record_node(parse_record_id(kept.head.record))

    @cache
    def asks(item_class: str, is_crossing: bool) -> PolicyRequest:  # noqa: FBT001 - a key of the cache
        return see_request(facts, seat, item_class, crosses=is_crossing, home=home, occasion=occasion)

    @cache
    def allows(question: PolicyRequest) -> bool:
        return decide(in_force.policies, question).allowed

    places, yes = set[int](), list[PolicyRequest]()
    for at, (item_class, part) in enumerate(zip(kept.head.items, parts, strict=True), start=1):
        if part is None or item_class in AT_HOME:
            continue
        is_plate = (item_class, part.field) == (DETAIL, PLATE)
        question = asks(PLATE if is_plate else item_class, stands(item_class, part.field))
        if allows(question):
            places.add(at)
            yes.append(question)
    return places, yes


def off_duty(in_force: InForce, alert: Alert) -> frozenset[str]:
    """The desks that an alert is told to and that the sheets in force have no more."""
    duty = read_duty(in_force.agreement.files)
    return frozenset(desk for desk in told_of(alert).desks if duty.agency_of(desk) is None)


def _later(node: Node) -> datetime:
    return node.now() + AWAY_LOOK


def _skips(node: Node, alert: Alert) -> Iterator[tuple[str, Mapping[str, FieldValue]]]:
    """The desks of this node that keep a book, should ring, and have nobody on."""
    if alert.raised is None or alert.arbiter != node.name or alert.hold is not None:
        return
    for desk in told_of(alert).ringing(alert):
        agency = alert.rules.agency_of(desk)
        if agency is None or agency.node != node.name or newest_of(node.database, desk) is None:
            continue
        if not signed_on(node.database, desk, node.now()):
            yield "skip", {"desk": desk}


ALERTS_SHARED: Final = AlertSharing()
ENTRY, DISCLOSURE = entry_kinds(ALERTS_SHARED, keep=KEPT)
