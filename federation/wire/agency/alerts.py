"""Alerts between the desks of neighbours: raised, worked against the clock, listed, followed, carried as CAP files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from federation.domain.alert import Stamp
from federation.domain.alert_kinds import Colours
from federation.domain.alert_line import AlertLine
from federation.domain.cap import CapFault, Status
from federation.domain.cap_rules import Standing
from federation.domain.case_items import CaseItem
from federation.wire.agency.cases import EntryLine, EntryPage, EntryQuery
from federation.wire.rpc import WRITES, PageQuery, Rpc, Ruling


class AlertRaising(Struct, frozen=True, kw_only=True):
    """The fields of the act `raise`; the node fills in identifier and agreement, the kind what has a default.

    What an import proposed is raised with its `id` as `manifest`.
    """

    fields: Mapping[str, str]
    items: tuple[CaseItem, ...] = ()


class AlertStep(Struct, frozen=True, kw_only=True):
    """One act about an alert, which is named by its record or the identifier of any of its messages."""

    alert: str
    name: str
    fields: Mapping[str, str] = field(default_factory=dict)
    items: tuple[CaseItem, ...] = ()


class AlertOutcome(Struct, frozen=True, kw_only=True):
    decision: Ruling
    line: AlertLine | None = None
    entry: EntryLine | None = None


class AlertOffer(Struct, frozen=True, kw_only=True):
    """An act that may be done now, or the reason why not; `to`: the record of an alert that may be the same event."""

    act: str
    zh: str
    en: str
    possible: bool
    reason: str = ""
    to: str = ""


class AlertView(Struct, frozen=True, kw_only=True):
    """An alert as it stands at this node; `later` are the stamps that do not count, `links` records.

    `kept_days`: so many days after its end what it says is destroyed; longer once it `is_evidence`.
    """

    decision: Ruling
    line: AlertLine | None = None
    texts: tuple[CaseItem, ...] = ()
    offers: tuple[AlertOffer, ...] = ()
    later: tuple[Stamp, ...] = ()
    links: tuple[str, ...] = ()
    is_evidence: bool = False
    kept_days: int | None = None


class AlertQuery(PageQuery, frozen=True, kw_only=True):
    """An exercise is listed only where it is asked for; `desk` empty: all desks of the caller."""

    status: Status = Status.ACTUAL
    open_only: bool = False
    desk: str = ""


class AlertPage(Struct, frozen=True, kw_only=True):
    decision: Ruling
    lines: tuple[AlertLine, ...] = ()
    next_page_token: str = ""


class AlertWatch(Struct, frozen=True, kw_only=True):
    """`topic`: `desk:ID`, `desk:*`, `area:ID` or `record:ID`; exercises only behind `exercise:`. `after`: a token."""

    topic: str
    after: str = ""


class AlertNews(Struct, frozen=True, kw_only=True):
    """An alert as it stands since an act; a token alone says that the stream is alive.

    Or policy's no, and nothing more.
    """

    token: str = ""
    line: AlertLine | None = None
    act: str = ""
    decision: Ruling | None = None


class AlertExport(Struct, frozen=True, kw_only=True):
    """`entry` empty: the newest message of the alert."""

    alert: str
    entry: str = ""


class CapFile(Struct, frozen=True, kw_only=True):
    """A message as CAP 1.2; empty when policy refused."""

    decision: Ruling
    content: bytes = b""


class CapUpload(Struct, frozen=True, kw_only=True):
    content: bytes
    desk: str


class CapProposal(Struct, frozen=True, kw_only=True):
    """A file as a proposal on the own desk, of which nothing is kept; `id` is empty where its faults refuse it.

    `line` is the alert that it is about, where that is here; `fields` and `items` are what would be raised.
    """

    decision: Ruling
    id: str = ""
    standing: Standing | None = None
    faults: tuple[CapFault, ...] = ()
    line: AlertLine | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    items: tuple[CaseItem, ...] = ()


class AlertFieldLine(Struct, frozen=True, kw_only=True):
    id: str
    zh: str
    en: str


class AlertKindLine(Struct, frozen=True, kw_only=True):
    """A kind of the agreement in force; `expires` in minutes, 0 where the alert says so itself."""

    id: str
    zh: str
    en: str
    purpose: str
    function: str
    colours: Colours
    priority: str
    expires: int
    measured: bool
    crosses: tuple[AlertFieldLine, ...] = ()
    never: tuple[str, ...] = ()


RAISE_ALERT: Final = Rpc("AlertService/RaiseAlert", AlertRaising, AlertOutcome, floor_seconds=WRITES)
ACT_IN_ALERT: Final = Rpc("AlertService/ActInAlert", AlertStep, AlertOutcome, floor_seconds=WRITES)
READ_ALERT: Final = Rpc("AlertService/ReadAlert", str, AlertView)
LIST_ALERTS: Final = Rpc("AlertService/ListAlerts", AlertQuery, AlertPage)
LIST_ALERT_ENTRIES: Final = Rpc("AlertService/ListAlertEntries", EntryQuery, EntryPage)
WATCH_ALERTS: Final = Rpc(
    "AlertService/WatchAlerts", AlertWatch, AlertNews,
    floor_seconds=None, stream=True, joined=True, shared=True, watched=True,
)  # fmt: skip
EXPORT_ALERT: Final = Rpc("AlertService/ExportAlert", AlertExport, CapFile)
IMPORT_CAP: Final = Rpc("AlertService/ImportCap", CapUpload, CapProposal)
READ_KINDS: Final = Rpc("AlertService/ReadKinds", str, tuple[AlertKindLine, ...])
"""The question is one kind, by its id or its Chinese name; empty for all."""
