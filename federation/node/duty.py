"""Duty at a node: the tables in force with who is on, the duty books of its desks, a shift handed over by two officers.

A book is kept by the node of its desk and goes nowhere; each of its rows is a leaf of the log. What a desk answers for
is its own, whoever sits there: no row of a book changes an alert, and no lease ends with a shift.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from federation.domain import duty_roster as roster
from federation.domain.alert_kinds import read_alerts
from federation.domain.duty import Area, Desk, Duty, read_duty
from federation.domain.duty_roster import DutyLine, OwnSignature, Turn, duty_request
from federation.domain.duty_volunteers import county_of
from federation.node.alerts.lists import open_alerts_of
from federation.node.exchange.errand import Errand, on
from federation.node.log.boot import leaf_entry
from federation.node.node import plain_leaf
from federation.node.officer_keys import find_key
from federation.node.officers import (
    find_officer_key,
    lost_key,
    or_logged,
    signed_by,
    verify_another_person,
    verify_own_key,
)
from federation.protocol.errors import NotFoundError, RuleError, nearest
from federation.protocol.form import Item, encode, replace
from federation.protocol.ids import format_time, truncate_to_millisecond
from federation.protocol.leaf import LeafKind
from federation.protocol.policy import PolicyRequest
from federation.store.collection import item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import find_leaf
from federation.wire.agency import duty as wire
from federation.wire.agency.duty import BookLine, DeskStanding, DutyOutcome, DutyTable, HandOverPaper, RosterPage
from federation.wire.rpc import Ruling

BOOK: Final = item_collection(
    DutyLine, kind="duty-line", id=lambda line: f"{line.desk}/{format_time(line.time)}", replica=True,
    division=lambda line: line.agency.county,
)  # fmt: skip
"""By desk, in the order of time."""


def signed_on(source: Source, desk: str, now: datetime) -> tuple[str, ...]:
    """Those who are on now at a desk of this node, without the crews of mobile units, and whose key still counts.

    A desk of another node has no book here, and nobody on.
    """
    line = newest_of(source, desk)
    here = (each.officer for each in roster.present(line, now) if not each.unit)
    return tuple(each for each in here if line and find_officer_key(source, line.agency, each) is not None)


def newest_of(source: Source, desk: str) -> DutyLine | None:
    """The row of a desk's book by which it stands."""
    return next(BOOK.each(source, under=f"{desk}/", newest_first=True), None)


def book_at(source: Source, desk: str, at: datetime) -> DutyLine | None:
    """The row of a desk's book by which it stood at a moment of the past."""
    behind = f"{desk}/{format_time(at + timedelta(milliseconds=1))}"
    return next(BOOK.each(source, under=f"{desk}/", after=behind, newest_first=True), None)


def put_leaf(transaction: GroupTransaction, errand: Errand, item: Item) -> None:
    """Appends the leaf of what was kept: its subject is the digest of the item."""
    now = truncate_to_millisecond(errand.node.now())
    leaf = plain_leaf(errand.in_force.agreement, LeafKind.DUTY, roster.digest_of(item), now=now)
    transaction.append_leaf(*leaf_entry(leaf))


def duty_of(errand: Errand) -> Duty:
    return read_duty(errand.in_force.agreement.files)


# ---- the tables


@on(wire.SHOW_DUTY)
async def show(errand: Errand, county: str) -> DutyTable:
    """The tables of a county, the caller's own unless it is named; refuses DUTY_COUNTY."""
    duty, node, county = duty_of(errand), errand.node, county or errand.caller.county
    ruling = await errand.ask(duty_request("show", errand.agency, None, home=node.name, occasion=errand.occasion))
    if not ruling.allowed:
        return DutyTable(decision=ruling)
    desks = [desk for desk in duty.desks.values() if desk.agency.county == county]
    if not desks:
        zh, en = nearest(county, {desk.agency.county for desk in duty.desks.values()})
        raise NotFoundError("DUTY_COUNTY", f"值守表中没有该县{zh} | no duty sheet of the agreement has this county{en}")
    sheet = duty.sheets[desks[0].agency.node]
    return DutyTable(
        decision=ruling, county=county, version=sheet.version, is_official=sheet.official,
        desks=tuple(_standing(errand, duty, desk) for desk in desks),
        areas=tuple(_at_present(duty, area, node.now()) for area in sheet.area if county in area.county),
        neighbours=duty.neighbours_of(county),
        units=tuple(each for each in sheet.mobile if duty.desks[each.base].agency.county == county),
        volunteers=tuple(each for each in sheet.volunteers if county_of(each) == county),
        kind_names={kind.id: kind.zh for kind in read_alerts(errand.in_force.agreement.files).kinds.values()},
    )  # fmt: skip


def _at_present(duty: Duty, area: Area, at: datetime) -> Area:
    """The area with the class and minutes of the running quarter."""
    terms = duty.terms_of(area, at)
    return replace(area, duty_class=terms.duty_class, arrive_minutes=terms.arrive_minutes)


def _standing(errand: Errand, duty: Duty, desk: Desk, then: datetime | None = None) -> DeskStanding:
    """Returns how a desk stands now, or stood then; names are for who may read its book."""
    source, at = errand.node.database, then or errand.node.now()
    is_here = desk.agency.node == errand.node.name
    line = (book_at(source, desk.id, then) if then else newest_of(source, desk.id)) if is_here else None
    may_read = is_here and errand.rule(_question(errand, duty, desk, "read")).allowed
    on_duty = roster.present(line, at)
    return DeskStanding(
        desk=desk, is_open=desk.is_open(at), is_here=is_here, manned=sum(not each.unit for each in on_duty),
        on=on_duty if may_read else (), charge=line.charge if line and may_read else "",
        is_unhanded=roster.is_unhanded(line, at),
    )  # fmt: skip


@on(wire.READ_ROSTER)
async def read_roster(errand: Errand, query: wire.RosterQuery) -> RosterPage:
    """The book of a desk, newest first, and who was on at a moment. Refuses DUTY_DESK, PAGE_TOKEN."""
    source, (duty, desk, ruling) = errand.node.database, await _open(errand, query.desk, "read")
    if not ruling.allowed:
        return RosterPage(decision=ruling)
    page = BOOK.page(source, limit=query.page_size, token=query.page_token, under=f"{desk.id}/", newest_first=True)
    lines = ((line, roster.digest_of(line)) for line in page.values)
    return RosterPage(
        decision=ruling, standing=_standing(errand, duty, desk, query.at),
        lines=tuple(
            BookLine(line=line, digest=digest, leaf=find_leaf(source, LeafKind.DUTY, digest) or 0)
            for line, digest in lines
        ), next_page_token=page.next_token,
    )  # fmt: skip


async def _open(errand: Errand, name: str, action: str) -> tuple[Duty, Desk, Ruling]:
    """A desk, and policy's word on what the caller wants of it; refuses DUTY_DESK."""
    duty = duty_of(errand)
    desk = duty.desks.get(name)
    if desk is None:
        zh, en = nearest(name, duty.desks)
        raise NotFoundError("DUTY_DESK", f"值守表中没有该席位{zh} | no duty sheet of the agreement has this desk{en}")
    return duty, desk, await errand.ask(_question(errand, duty, desk, action))


def _question(errand: Errand, duty: Duty, desk: Desk, action: str) -> PolicyRequest:
    is_leader = desk.leader != "" and duty.agency_of(desk.leader) == errand.caller
    return duty_request(
        action, errand.agency, desk, home=errand.node.name, occasion=errand.occasion, is_leader=is_leader
    )


# ---- the book


@on(wire.SIGN_ON)
async def sign_on(errand: Errand, question: wire.SigningOn) -> DutyOutcome:
    """Signs the officer on to a desk of their office, once. Refuses DUTY_DESK, and as `duty_roster.sign_on`."""
    duty, desk, ruling = await _open(errand, question.desk, "act")
    what = f"{question.unit} {' '.join(question.crew)}"
    write = partial(roster.sign_on, duty, unit=question.unit, crew=question.crew)
    return await _turn(errand, desk, ruling, lambda _, turn: write(turn), what=f"on {desk.id} {what}")


@on(wire.SIGN_OFF)
async def sign_off(errand: Errand, name: str) -> DutyOutcome:
    """Signs the officer off, once. Refuses DUTY_DESK, and as `duty_roster.sign_off`."""
    _, desk, ruling = await _open(errand, name, "act")

    def write(transaction: GroupTransaction, turn: Turn) -> DutyLine:
        return roster.sign_off(turn, nothing_open=not open_alerts_of(transaction, desk.agency, desk.id))

    return await _turn(errand, desk, ruling, write, what=f"off {desk.id}")


async def _turn(
    errand: Errand,
    desk: Desk,
    ruling: Ruling,
    write: Callable[[GroupTransaction, Turn], DutyLine],
    *,
    what: str,
) -> DutyOutcome:
    """Writes the next row of a book with its leaf, once, after the newest row that is there then."""
    if not ruling.allowed:
        return DutyOutcome(decision=ruling)
    asked = errand.asked("duty", what)
    if (known := errand.remembered(asked, DutyLine)) is not None:
        return DutyOutcome(decision=ruling, line=known.answer)

    def put(transaction: GroupTransaction) -> DutyLine:
        line = write(transaction, _turn_at(transaction, errand, desk))
        BOOK.put(transaction, line, owner=errand.node.name)
        put_leaf(transaction, errand, line)
        return line

    return DutyOutcome(decision=ruling, line=await errand.once(asked, DutyLine, put))


def _turn_at(source: Source, errand: Errand, desk: Desk) -> Turn:
    now, before = truncate_to_millisecond(errand.node.now()), newest_of(source, desk.id)
    return Turn(desk=desk, before=before, officer=errand.act.officer, at=now)


# ---- handing over a shift


@on(wire.DRAFT_HAND_OVER)
async def draft(errand: Errand, plan: wire.HandOverPlan) -> HandOverPaper:
    """The entry to sign: what waits for the caller, or a new one to the officer who is named.

    Refuses DUTY_DESK, HAND_OVER_NONE, and as `duty_roster.draft_hand_over`.
    """
    _, desk, ruling = await _open(errand, plan.desk, "act")
    if not ruling.allowed:
        return HandOverPaper(decision=ruling)
    source, officer = errand.node.database, errand.act.officer
    turn = _turn_at(source, errand, desk)
    if not plan.incoming and turn.offered is not None and turn.offered.incoming == officer:
        return HandOverPaper(decision=ruling, hand_over=turn.offered)
    alone = not plan.incoming and turn.charge != "" and lost_key(source, desk.agency, turn.charge)
    if not plan.incoming and not alone:
        raise RuleError("HAND_OVER_NONE", roster.NONE_WAITS)
    entry = roster.draft_hand_over(
        turn,
        incoming=plan.incoming or officer,
        alerts=open_alerts_of(source, desk.agency, desk.id),
        promises=plan.promises,
    )
    return HandOverPaper(decision=ruling, hand_over=entry)


@on(wire.SIGN_HAND_OVER)
async def sign_hand_over(errand: Errand, signing: wire.HandOverSigning) -> DutyOutcome:
    """Takes one of the two signatures over an entry: the first offers it, the second takes over.

    Where the key of who answers for the desk was withdrawn, the incoming officer's alone takes over. Each no is logged.
    Refuses DUTY_DESK, OFFICER_KEY, SAME_PERSON, HAND_OVER_OTHER for who is neither of the two, HAND_OVER_CHANGED, and
    as `duty_roster`.
    """
    entry = signing.hand_over
    _, desk, ruling = await _open(errand, entry.desk, "act")

    def write(transaction: GroupTransaction, turn: Turn) -> DutyLine:
        return _signed(transaction, errand, turn, signing)

    turned = _turn(errand, desk, ruling, write, what=f"hand over {encode(entry).decode()}")
    return await or_logged(errand, turned)


def _signed(source: Source, errand: Errand, turn: Turn, signing: wire.HandOverSigning) -> DutyLine:
    entry, officer = signing.hand_over, errand.act.officer
    if officer not in {entry.outgoing, entry.incoming}:
        raise RuleError(
            "HAND_OVER_OTHER", "交接单须由交班人、接班人本人签名。 | Only its two officers sign a hand-over."
        )
    act = signed_by(errand, signing.signature)
    verify_own_key(source, act, roster.hand_over_bytes(entry))
    verify_another_person(source, act, (entry.outgoing, entry.incoming))
    key = find_key(source, errand.caller, officer, pinned=False)
    if key is None:
        raise NotFoundError("OFFICER_KEY", "no key is registered for the officer")
    own = OwnSignature(officer=officer, key=key.key, version=key.version, signature=signing.signature)
    alone = turn.offered != entry and lost_key(source, turn.desk.agency, turn.charge)
    if officer == entry.outgoing or alone:
        roster.verify_draft(turn, entry, alerts=open_alerts_of(source, turn.desk.agency, turn.desk.id))
    if officer == entry.outgoing:
        return roster.offer(turn, entry, own)
    return roster.take_over(turn, entry, own, alone=alone)
