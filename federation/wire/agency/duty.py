"""Duty: the tables of a county, the duty books of its desks, hand-overs of a shift, volunteers and their patrols."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

from msgspec import Struct, field

from federation.domain.duty import Area, Desk, MobileUnit, Volunteers
from federation.domain.duty_roster import DutyLine, HandOver, OnDuty
from federation.domain.duty_volunteers import Activity, Patrol, Volunteer
from federation.wire.rpc import WRITES, PageQuery, Rpc, Ruling


class DeskStanding(Struct, frozen=True, kw_only=True):
    """A desk and how it stands. `is_here`: it is of this node, which else knows nothing of who is on.

    `manned` counts who is on at the desk itself. `on` and `charge` are told to who may read its book only. `falls_to`
    of the desk answers while it `is_open` no more. `is_unhanded`: its last shift was not handed over (未交接).
    """

    desk: Desk
    is_open: bool
    is_here: bool
    manned: int = 0
    on: tuple[OnDuty, ...] = ()
    charge: str = ""
    is_unhanded: bool = False


class DutyTable(Struct, frozen=True, kw_only=True):
    """The tables of a county as the agreement has them; `is_official`: its province has published them.

    `kind_names` are the names (zh) of the kinds of alert by their ids.
    """

    decision: Ruling
    county: str = ""
    version: str = ""
    is_official: bool = False
    desks: tuple[DeskStanding, ...] = ()
    areas: tuple[Area, ...] = ()
    neighbours: tuple[str, ...] = ()
    units: tuple[MobileUnit, ...] = ()
    volunteers: tuple[Volunteers, ...] = ()
    kind_names: Mapping[str, str] = field(default_factory=dict)


class RosterQuery(PageQuery, frozen=True, kw_only=True):
    """The book of a desk; `at` asks for who was on at that moment, absent for now."""

    desk: str
    at: datetime | None = None


class BookLine(Struct, frozen=True, kw_only=True):
    """A row of the book, its digest, and the index of its leaf in the node's log."""

    line: DutyLine
    digest: str
    leaf: int


class RosterPage(Struct, frozen=True, kw_only=True):
    """The standing of the desk at that moment, and its book, newest first."""

    decision: Ruling
    standing: DeskStanding | None = None
    lines: tuple[BookLine, ...] = ()
    next_page_token: str = ""


class SigningOn(Struct, frozen=True, kw_only=True):
    """`unit`: with which mobile unit, of whose roles `crew` are aboard (none named: all)."""

    desk: str
    unit: str = ""
    crew: tuple[str, ...] = ()


class DutyOutcome(Struct, frozen=True, kw_only=True):
    decision: Ruling
    line: DutyLine | None = None


class HandOverPlan(Struct, frozen=True, kw_only=True):
    """`incoming`: who is to take over; empty asks for what waits for the caller's own signature."""

    desk: str
    incoming: str = ""
    promises: tuple[str, ...] = ()


class HandOverPaper(Struct, frozen=True, kw_only=True):
    """The entry as it is to be signed; absent when policy refused."""

    decision: Ruling
    hand_over: HandOver | None = None


class HandOverSigning(Struct, frozen=True, kw_only=True):
    """The entry, and the signature of one of its two officers over it (base64)."""

    hand_over: HandOver
    signature: str


class Enrolment(Struct, frozen=True, kw_only=True):
    """A new volunteer of a group, by the digest of the paper on which they agreed."""

    group: str
    consent: str


class VolunteerOutcome(Struct, frozen=True, kw_only=True):
    decision: Ruling
    volunteer: Volunteer | None = None


class PatrolReport(Struct, frozen=True, kw_only=True):
    group: str
    day: date
    area: str
    volunteers: tuple[str, ...]
    found: int = 0
    fixed: int = 0


class PatrolOutcome(Struct, frozen=True, kw_only=True):
    decision: Ruling
    patrol: Patrol | None = None


class PatrolQuery(PageQuery, frozen=True, kw_only=True):
    """The patrols of a group from one day to another, both included."""

    group: str
    first_day: date
    last_day: date


class PatrolPage(Struct, frozen=True, kw_only=True):
    """The doings of the group in all of the period, and its patrols by day."""

    decision: Ruling
    activity: Activity | None = None
    lines: tuple[Patrol, ...] = ()
    next_page_token: str = ""


SHOW_DUTY: Final = Rpc("DutyService/ShowDuty", str, DutyTable)
READ_ROSTER: Final = Rpc("DutyService/ReadRoster", RosterQuery, RosterPage)
SIGN_ON: Final = Rpc("DutyService/SignOn", SigningOn, DutyOutcome, floor_seconds=WRITES)
SIGN_OFF: Final = Rpc("DutyService/SignOff", str, DutyOutcome, floor_seconds=WRITES)
DRAFT_HAND_OVER: Final = Rpc("DutyService/DraftHandOver", HandOverPlan, HandOverPaper)
SIGN_HAND_OVER: Final = Rpc("DutyService/SignHandOver", HandOverSigning, DutyOutcome, floor_seconds=WRITES)
ENROL_VOLUNTEER: Final = Rpc("DutyService/EnrolVolunteer", Enrolment, VolunteerOutcome, floor_seconds=WRITES)
WITHDRAW_VOLUNTEER: Final = Rpc("DutyService/WithdrawVolunteer", str, VolunteerOutcome, floor_seconds=WRITES)
REPORT_PATROL: Final = Rpc("DutyService/ReportPatrol", PatrolReport, PatrolOutcome, floor_seconds=WRITES)
LIST_PATROLS: Final = Rpc("DutyService/ListPatrols", PatrolQuery, PatrolPage)
