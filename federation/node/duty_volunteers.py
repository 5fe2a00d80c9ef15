"""Volunteers of the node's own counties: enrolled under a pseudonym that is made here, their patrols kept and counted.

Who a volunteer is stays on paper in their county; nothing of this goes to another province.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from datetime import date
from typing import Final, TypeVar

from federation.domain.clock import china_day
from federation.domain.duty import Volunteers
from federation.domain.duty_volunteers import (
    LETTERS,
    Activity,
    Patrol,
    Volunteer,
    activity_of,
    leave,
    load_group,
    verify_patrol,
    volunteers_request,
)
from federation.node.duty import duty_of, put_leaf
from federation.node.exchange.errand import Errand, on
from federation.protocol.errors import NotFoundError
from federation.protocol.form import Item
from federation.store.collection import Collection, item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency import duty as wire
from federation.wire.agency.duty import PatrolOutcome, PatrolPage, VolunteerOutcome
from federation.wire.rpc import Ruling

VOLUNTEERS: Final = item_collection(
    Volunteer, kind="volunteer", id=lambda each: f"{each.group}/{each.name}", replica=False,
    version=lambda each: each.version, division=lambda each: each.group[:6],
)  # fmt: skip
PATROLS: Final = item_collection(
    Patrol, kind="patrol", id=lambda each: f"{each.group}/{each.day}/{each.number:08}", replica=True,
    division=lambda each: each.group[:6],
)  # fmt: skip
"""By group, in the order of their days."""
T = TypeVar("T", bound=Item)


@on(wire.ENROL_VOLUNTEER)
async def enrol(errand: Errand, question: wire.Enrolment) -> VolunteerOutcome:
    """Enrols a volunteer with the paper of their consent, under a new pseudonym. Refuses VOLUNTEER_GROUP."""
    ruling = await _ask(errand)
    if not ruling.allowed:
        return VolunteerOutcome(decision=ruling)
    group, today = _group(errand, question.group), _today(errand)
    names = [group.prefix + "".join(secrets.choice(LETTERS) for _ in range(6)) for _ in range(8)]

    def write(transaction: GroupTransaction) -> Volunteer:
        name = next(each for each in names if not VOLUNTEERS.has(transaction, f"{group.id}/{each}"))
        return Volunteer(name=name, group=group.id, version=1, consent=question.consent, enrolled=today)

    asked = errand.asked("duty.enrol", f"{group.id} {question.consent}")
    return VolunteerOutcome(decision=ruling, volunteer=await _keep(errand, asked, VOLUNTEERS, Volunteer, write=write))


@on(wire.WITHDRAW_VOLUNTEER)
async def withdraw(errand: Errand, name: str) -> VolunteerOutcome:
    """Takes a volunteer off the roster who withdrew their consent. Refuses VOLUNTEER_UNKNOWN, VOLUNTEER_LEFT."""
    ruling = await _ask(errand)
    if not ruling.allowed:
        return VolunteerOutcome(decision=ruling)
    groups = [each.id for each in duty_of(errand).volunteers.values() if each.id[:6] == errand.caller.county]
    today = _today(errand)

    def write(transaction: GroupTransaction) -> Volunteer:
        found = [VOLUNTEERS.find(transaction, f"{group}/{name}") for group in groups]
        known = next((each for each in found if each is not None), None)
        if known is None:
            raise NotFoundError("VOLUNTEER_UNKNOWN", "本县没有这位志愿者。 | The county has no such volunteer.")
        return leave(known, today)

    asked = errand.asked("duty.withdraw", name)
    return VolunteerOutcome(decision=ruling, volunteer=await _keep(errand, asked, VOLUNTEERS, Volunteer, write=write))


@on(wire.REPORT_PATROL)
async def report_patrol(errand: Errand, report: wire.PatrolReport) -> PatrolOutcome:
    """Keeps a patrol of a group of the county, once. Refuses VOLUNTEER_GROUP, and as `verify_patrol`."""
    ruling = await _ask(errand)
    if not ruling.allowed:
        return PatrolOutcome(decision=ruling)
    duty, group = duty_of(errand), _group(errand, report.group)

    def write(transaction: GroupTransaction) -> Patrol:
        count, left = f"patrols/{group.id}", f"patrols/{group.id}/{report.area}/unmended"
        unmended = transaction.find_counter(left)
        patrol = Patrol(
            group=group.id, number=transaction.find_counter(count) + 1, agency=errand.caller, day=report.day,
            area=report.area, volunteers=report.volunteers, found=report.found, fixed=report.fixed,
        )  # fmt: skip
        members = [VOLUNTEERS.find(transaction, f"{group.id}/{name}") for name in patrol.volunteers]
        verify_patrol(duty, patrol, members=members, unmended=unmended, today=_today(errand))
        transaction.set_counter(left, unmended + patrol.found - patrol.fixed)
        transaction.set_counter(count, patrol.number)
        return patrol

    asked = errand.asked("duty.patrol", repr(report))
    return PatrolOutcome(decision=ruling, patrol=await _keep(errand, asked, PATROLS, Patrol, write=write))


@on(wire.LIST_PATROLS)
async def list_patrols(errand: Errand, query: wire.PatrolQuery) -> PatrolPage:
    """The patrols of a group of the county in a period, and what they come to. Refuses VOLUNTEER_GROUP, PAGE_TOKEN."""
    ruling = await _ask(errand)
    if not ruling.allowed:
        return PatrolPage(decision=ruling)
    source, group = errand.node.database, _group(errand, query.group)
    first, last = query.first_day, query.last_day
    page = PATROLS.page(
        source, limit=query.page_size, token=query.page_token, under=f"{group.id}/",
        wanted=lambda patrol: first <= patrol.day <= last,
    )  # fmt: skip
    return PatrolPage(
        decision=ruling, activity=await asyncio.to_thread(activity_in, source, group.id, first=first, last=last),
        lines=page.values, next_page_token=page.next_token,
    )  # fmt: skip


def each_patrol(source: Source, group: str, *, first: date, last: date) -> Iterator[Patrol]:
    """The patrols of a group from one day to another, both included, by day."""
    for patrol in PATROLS.each(source, under=f"{group}/", after=f"{group}/{first}"):
        if patrol.day > last:
            return
        yield patrol


def activity_in(source: Source, group: str, *, first: date, last: date) -> Activity:
    """The doings of a group from one day to another, both included, and its roster on the last day."""
    volunteers = VOLUNTEERS.each(source, under=f"{group}/")
    return activity_of(volunteers, each_patrol(source, group, first=first, last=last), last_day=last)


async def _ask(errand: Errand) -> Ruling:
    county = errand.caller.county
    return await errand.ask(volunteers_request(errand.agency, county, home=errand.node.name, occasion=errand.occasion))


def _group(errand: Errand, name: str) -> Volunteers:
    return load_group(duty_of(errand), name, errand.caller.county)


def _today(errand: Errand) -> date:
    return china_day(errand.node.now())


async def _keep(
    errand: Errand, asked: str, collection: Collection[T], kind: type[T], *, write: Callable[[GroupTransaction], T]
) -> T:
    """Makes a value, keeps it and appends its leaf, once."""
    if (known := errand.remembered(asked, kind)) is not None:
        return known.answer

    def job(transaction: GroupTransaction) -> T:
        made = write(transaction)
        collection.put(transaction, made, owner=errand.node.name)
        put_leaf(transaction, errand, made)
        return made

    return await errand.once(asked, kind, job)
