"""Joint cases of several provinces: opened, worked, read, and asked for by their code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from federation.domain.case_figures import Figure
from federation.domain.case_items import CaseItem
from federation.domain.joint_policy import CaseLine
from federation.domain.joint_trace import TraceLine
from federation.domain.lookups import Outcome
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.rpc import WRITES, PageQuery, PageSize, Rpc, Ruling


class CaseOpening(Struct, frozen=True, kw_only=True):
    procedure: str
    role: str
    division: str
    fields: Mapping[str, str] = field(default_factory=dict)
    items: tuple[CaseItem, ...] = ()


class CaseStep(Struct, frozen=True, kw_only=True):
    """One act in a case, which is named by its code or its record; lists have commas between their values."""

    case: str
    name: str
    fields: Mapping[str, str] = field(default_factory=dict)
    items: tuple[CaseItem, ...] = ()


class DeliveryState(StrEnum):
    """The way of an entry to one province; `refused` by its policy, `undelivered` in its time."""

    RECEIVED = "received"
    REFUSED = "refused"
    WAITING = "waiting"
    UNDELIVERED = "undelivered"


class CaseDelivery(Struct, frozen=True, kw_only=True):
    node: NodeName
    state: DeliveryState
    policies: tuple[str, ...] = ()


class EntryLine(Struct, frozen=True, kw_only=True):
    """One entry as an office may see it; `without_effect` is the reason why it changed nothing."""

    name: str
    author: NodeName
    n: int
    act: str
    act_zh: str
    act_en: str
    agency: AgencyId
    officer: str | None
    at: datetime
    arrived: datetime
    fields: Mapping[str, str]
    items: tuple[CaseItem, ...] = ()
    without_effect: str = ""
    missing: tuple[str, ...] = ()
    deliveries: tuple[CaseDelivery, ...] = ()


class CaseOutcome(Struct, frozen=True, kw_only=True):
    decision: Ruling
    line: CaseLine | None = None
    entry: EntryLine | None = None


class CaseMember(Struct, frozen=True, kw_only=True):
    agency: AgencyId
    roles: tuple[str, ...]
    roles_zh: str
    roles_en: str
    invited: bool = False


class CaseClock(Struct, frozen=True, kw_only=True):
    """A clock that runs; `floor`: a least time, which holds the stage until it is over."""

    key: str
    started: datetime
    due: datetime | None
    late: bool
    floor: bool
    on_breach: str
    source: str
    verified: str
    zh: str = ""
    en: str = ""


class CaseMissing(Struct, frozen=True, kw_only=True):
    name: str
    zh: str
    en: str
    rule: str


class CaseOffer(Struct, frozen=True, kw_only=True):
    """An act that may be done now, or why not; `to` is the stage or the end of a `move` or a `close`."""

    act: str
    zh: str
    en: str
    possible: bool
    reason: str = ""
    missing: tuple[CaseMissing, ...] = ()
    fields: tuple[str, ...] = ()
    to: str = ""


class CaseNotice(Struct, frozen=True, kw_only=True):
    zh: str
    en: str


class CaseStage(Struct, frozen=True, kw_only=True):
    """A stage of the procedure in order; `entered` and `left` are when the case last did so."""

    id: str
    zh: str
    en: str
    who: tuple[str, ...]
    who_zh: str
    who_en: str
    tier: str
    next: tuple[str, ...]
    entered: datetime | None = None
    left: datetime | None = None


class CaseTask(Struct, frozen=True, kw_only=True):
    """A task of a case: `state` is the act that it stands at, `open` once given; `offers`: what its reader may do.

    `asked` is the entry that asks for more time, until more is granted.
    """

    name: str
    owner: AgencyId
    by: AgencyId
    given: datetime
    due: str
    late: bool
    state: str
    state_zh: str
    state_en: str
    changed: datetime
    asked: str = ""
    offers: tuple[str, ...] = ()


class CaseView(Struct, frozen=True, kw_only=True):
    """A case as it stands at this node, and what its reader may do."""

    decision: Ruling
    line: CaseLine | None = None
    members: tuple[CaseMember, ...] = ()
    clocks: tuple[CaseClock, ...] = ()
    offers: tuple[CaseOffer, ...] = ()
    notices: tuple[CaseNotice, ...] = ()
    trace: tuple[TraceLine, ...] = ()
    stages: tuple[CaseStage, ...] = ()
    tasks: tuple[CaseTask, ...] = ()


class EntryQuery(PageQuery, frozen=True, kw_only=True):
    case: str


class EntryPage(Struct, frozen=True, kw_only=True):
    decision: Ruling
    lines: tuple[EntryLine, ...] = ()
    next_page_token: str = ""


class CasePage(Struct, frozen=True, kw_only=True):
    decision: Ruling
    lines: tuple[CaseLine, ...] = ()
    next_page_token: str = ""


class DueQuery(Struct, frozen=True, kw_only=True):
    before: datetime
    page_size: PageSize = 100


class DuePage(Struct, frozen=True, kw_only=True):
    decision: Ruling
    lines: tuple[CaseLine, ...] = ()
    more: bool = False


class TraceAnswer(Struct, frozen=True, kw_only=True):
    """The lines of a case; `node` is who told them or was asked, `outcome` what came of it, `policies` its refusal."""

    decision: Ruling
    lines: tuple[TraceLine, ...] = ()
    node: NodeName | None = None
    outcome: Outcome = Outcome.HIT
    policies: tuple[str, ...] = ()


class TodayQuestion(Struct, frozen=True, kw_only=True):
    """A token of a leave, by the county that issued it and its digest: itself it stays at the desk."""

    county: str
    token: str


class TodayAnswer(Struct, frozen=True, kw_only=True):
    """The yes or no of a day, and whom to call; without an answer `authorised` is None, which is not a no."""

    decision: Ruling
    authorised: bool | None = None
    day: date | None = None
    home: AgencyId | None = None
    home_name: str = ""
    home_phone: str = ""
    outcome: Outcome = Outcome.HIT
    policies: tuple[str, ...] = ()


class CaseNews(Struct, frozen=True, kw_only=True):
    """A case as it stands since it changed; `token` is its place in the stream, empty for one that was open before.

    Or policy's no, and nothing more.
    """

    token: str = ""
    line: CaseLine | None = None
    decision: Ruling | None = None


class ProcedureLine(Struct, frozen=True, kw_only=True):
    """One line of the list `duty`, `task`, `guarantee`, `stage` or `role`."""

    list: str
    who: str
    zh: str
    en: str


class ProcedureLists(Struct, frozen=True, kw_only=True):
    names: tuple[str, ...]
    title_zh: str = ""
    title_en: str = ""
    purpose: str = ""
    function: str = ""
    source: str = ""
    official: bool = False
    lines: tuple[ProcedureLine, ...] = ()


class FigureQuery(Struct, frozen=True, kw_only=True):
    """The cases of one procedure that were closed from a moment on."""

    procedure: str
    since: datetime


class CaseFigures(Struct, frozen=True, kw_only=True):
    decision: Ruling
    lines: tuple[Figure, ...] = ()


OPEN_CASE: Final = Rpc("CaseService/OpenJointCase", CaseOpening, CaseOutcome, floor_seconds=WRITES)
ACT_IN_CASE: Final = Rpc("CaseService/ActInCase", CaseStep, CaseOutcome, floor_seconds=WRITES)
READ_CASE: Final = Rpc("CaseService/ReadCase", str, CaseView)
LIST_ENTRIES: Final = Rpc("CaseService/ListEntries", EntryQuery, EntryPage)
LIST_CASES: Final = Rpc("CaseService/ListCases", PageQuery, CasePage)
LIST_DUE_CASES: Final = Rpc("CaseService/ListDueCases", DueQuery, DuePage)
TRACE_CASE: Final = Rpc("CaseService/TraceCase", str, TraceAnswer, floor_seconds=WRITES)
ASK_TODAY: Final = Rpc("CaseService/AskToday", TodayQuestion, TodayAnswer, floor_seconds=WRITES)
COUNT_CASES: Final = Rpc("CaseService/CountCases", FigureQuery, CaseFigures)
WATCH_CASES: Final = Rpc("CaseService/WatchCases", str, CaseNews, floor_seconds=None, stream=True)
"""The question is the token to go on behind, empty for a first call."""
READ_PROCEDURE: Final = Rpc("CaseService/ReadProcedure", str, ProcedureLists)
