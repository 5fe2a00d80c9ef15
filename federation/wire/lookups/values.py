"""What a face of the node asks and answers about look-ups and a person's report, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType

from federation.domain.lookup.asking import Outcome, Selector, Urgency
from federation.domain.lookup.report import ReportLine
from federation.domain.retention.watermark import Watermark
from federation.protocol.ids import NodeName
from federation.wire.values import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseQuestion:
    """A case to open: its number, the cooperation letter, where and what for it may ask, for how many days (1 to 90).

    `leader` is the pseudonym of the leader who answers for it. A case BREAK-GLASS-... has neither letter nor days.
    """

    case_id: str
    counties: frozenset[str]
    purposes: frozenset[str]
    leader: str
    letter: str = ""
    days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseAnswer:
    """The outcome of opening or closing a case; no time of closing when policy refused."""

    decision: Ruling
    case_id: str
    closes: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupQuestion:
    """Whom to ask for, under which case; no provinces means those that the case names."""

    case_id: str
    selector: Selector
    provinces: tuple[NodeName, ...] = ()
    urgency: Urgency = Urgency.ROUTINE

    def __repr__(self) -> str:
        """Hides the person, so that a log line or a traceback names nobody."""
        return f"LookupQuestion({self.case_id}, {self.urgency})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvinceAnswer:
    """What one province answered to a search: a handle for a hit, the deciding policies for a refusal, no field.

    The explanations say what would make it lawful, when our own side refused.
    """

    node: NodeName
    outcome: Outcome
    handle: str | None = None
    expires: datetime | None = None
    policies: tuple[str, ...] = ()
    title_zh: str = ""
    title_en: str = ""
    explanation_zh: str = ""
    explanation_en: str = ""

    def __repr__(self) -> str:
        """Hides the handle, which opens the record behind it."""
        return f"ProvinceAnswer({self.node}, {self.outcome})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A search, and one answer for each province that was asked."""

    lookup_id: str
    answers: tuple[ProvinceAnswer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchQuestion:
    """Which fields of one hit are wanted, signed by the officer's own key.

    `officer_key` (32 bytes) and `officer_signature` (64 bytes) are base64, Ed25519; the signature is over
    `step_up_bytes` of the same handle, fields and key.
    """

    case_id: str
    node: NodeName
    handle: str
    fields: frozenset[str]
    officer_key: str
    officer_signature: str

    def __repr__(self) -> str:
        """Hides the handle, which opens the record behind it."""
        return f"FetchQuestion({self.case_id}, {self.node}, {sorted(self.fields)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """The released fields of one hit, and until when they may be shown; none unless the outcome is a hit.

    `decision` is what the own node said, None when it could not be judged; `policies` and the titles are the answering
    node's.
    """

    outcome: Outcome
    decision: Ruling | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    expires: datetime | None = None
    policies: tuple[str, ...] = ()
    title_zh: str = ""
    title_en: str = ""
    watermark: Watermark | None = None

    def __repr__(self) -> str:
        """Hides the person: the names of the fields only."""
        return f"FetchResult({self.outcome}, {sorted(self.fields)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupQuery:
    """Which steps to list: of one case, of one officer. `page_size` is 1 to 1,000; `page_token` is empty at first."""

    case_id: str | None = None
    officer: str | None = None
    page_size: int = 100
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupLine:
    """One step of a look-up as this node logged it, newest first in a list; no outcome while the answer is awaited.

    `step` is the kind of the statement, such as `lookup.search`; `lookup_id` is empty for `lookup.case`.
    """

    lookup_id: str
    time: datetime
    case_id: str
    node: NodeName
    step: str
    officer: str = ""
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupPage:
    """One page of look-ups; an empty `next_page_token` is the only sign of the end."""

    lines: tuple[LookupLine, ...] = ()
    next_page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuestion:
    """Whose report is asked for. `identity_checked`: the clerk has checked that it is the person who asks.

    `page_size` is 1 to 1,000; `page_token` is empty for the first page, which asks every province.
    """

    citizen_number: str
    identity_checked: bool
    page_size: int = 100
    page_token: str = ""

    def __repr__(self) -> str:
        """Hides the person."""
        return f"ReportQuestion(identity_checked={self.identity_checked})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvinceReport:
    """Whether a province has answered (hit), and how much it holds back or has that is older than its answer."""

    node: NodeName
    outcome: Outcome
    withheld_count: int = 0
    older_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """One page of a person's report, newest first; all counts are of the whole report.

    `next_shown` is the day when the first withheld entry will be shown. An empty `next_page_token` is the only sign of
    the end.
    """

    decision: Ruling
    lines: tuple[ReportLine, ...] = ()
    withheld_count: int = 0
    next_shown: date | None = None
    provinces: tuple[ProvinceReport, ...] = ()
    next_page_token: str = ""
