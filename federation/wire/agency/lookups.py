"""Look-ups: cases, searches, fetches (which leave with the officer's own signature only), and reading them again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec import Struct, field

from federation.domain.erasure import Watermark
from federation.domain.lookups import Outcome, Selector, Urgency
from federation.domain.lookups_case import CaseTerms
from federation.protocol.ids import NodeName
from federation.wire.rpc import AUDIT, POLICE, WRITES, PageQuery, Rpc, Ruling


class CaseQuestion(CaseTerms, frozen=True, kw_only=True):
    """A case to open: its number, the cooperation letter, where and what for it may ask, for how many days (1 to 90).

    `leader` is the pseudonym of the leader who answers for it. A case BREAK-GLASS-... has neither letter nor days.
    """

    case_id: str


class CaseAnswer(Struct, frozen=True, kw_only=True):
    decision: Ruling
    case_id: str
    closes: datetime | None = None


class LookupQuestion(Struct, frozen=True, kw_only=True):
    """One question under a case; no provinces means those that the case names."""

    case_id: str
    selector: Selector
    provinces: tuple[NodeName, ...] = ()
    urgency: Urgency = Urgency.ROUTINE

    def __repr__(self) -> str:
        """Hides the person, so that a log line or a traceback names nobody."""
        return f"LookupQuestion({self.case_id}, {self.urgency})"


class ProvinceAnswer(Struct, frozen=True, kw_only=True):
    """A handle for a hit, the deciding policies for a refusal, no field; explanations when our own side refused."""

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


class SearchResult(Struct, frozen=True, kw_only=True):
    lookup_id: str
    answers: tuple[ProvinceAnswer, ...] = ()


class FetchQuestion(Struct, frozen=True, kw_only=True):
    """Key (32 bytes) and signature (64, over `step_up_bytes`) of the officer are base64, Ed25519."""

    case_id: str
    node: NodeName
    handle: str
    fields: frozenset[str]
    officer_key: str
    officer_signature: str

    def __repr__(self) -> str:
        """Hides the handle, which opens the record behind it."""
        return f"FetchQuestion({self.case_id}, {self.node}, {sorted(self.fields)})"


class FetchResult(Struct, frozen=True, kw_only=True):
    """The released fields of one hit, and until when they may be shown; none unless the outcome is a hit.

    `decision` is what the own node said, None when it could not be judged; `policies` and the titles are the answering
    node's; `lookup_id` is where a later answer is read, empty when none is waited for.
    """

    outcome: Outcome
    decision: Ruling | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    expires: datetime | None = None
    policies: tuple[str, ...] = ()
    title_zh: str = ""
    title_en: str = ""
    watermark: Watermark | None = None
    lookup_id: str = ""

    def __repr__(self) -> str:
        """Hides the person: the names of the fields only."""
        return f"FetchResult({self.outcome}, {sorted(self.fields)})"


class LookupQuery(PageQuery, frozen=True, kw_only=True):
    case_id: str | None = None
    officer: str | None = None


class LookupLine(Struct, frozen=True, kw_only=True):
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


class LookupPage(Struct, frozen=True, kw_only=True):
    lines: tuple[LookupLine, ...] = ()
    next_page_token: str = ""


class ReadStep(Struct, frozen=True, kw_only=True):
    """One province's answer to one step; no outcome while it is awaited.

    `handle` lives, and belongs to the reader. `decision` is what policy said of reading a release again; only then are
    there fields, under their watermark. `policies` and the titles are those of the province that refused.
    """

    node: NodeName
    step: str
    asked: datetime
    outcome: Outcome | None = None
    handle: str | None = None
    expires: datetime | None = None
    erased: datetime | None = None
    decision: Ruling | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    watermark: Watermark | None = None
    policies: tuple[str, ...] = ()
    title_zh: str = ""
    title_en: str = ""

    def __repr__(self) -> str:
        """Hides the person and the handle: the names of the fields only."""
        return f"ReadStep({self.node}, {self.step}, {self.outcome}, {sorted(self.fields)})"


class LookupResult(Struct, frozen=True, kw_only=True):
    lookup_id: str
    case_id: str
    steps: tuple[ReadStep, ...]


class TracedReading(Struct, frozen=True, kw_only=True):
    """The reading that a watermark's code stands for; it names no person read about."""

    watermark: Watermark
    lookup_id: str
    case_id: str
    node: NodeName
    fields: frozenset[str]
    fetch_digest: str


OPEN_CASE: Final = Rpc("LookupService/OpenCase", CaseQuestion, CaseAnswer, kinds=POLICE, floor_seconds=WRITES)
CLOSE_CASE: Final = Rpc("LookupService/CloseCase", str, CaseAnswer, kinds=POLICE, floor_seconds=WRITES)
SEARCH: Final = Rpc("LookupService/Search", LookupQuestion, SearchResult, kinds=POLICE, floor_seconds=WRITES)
FETCH: Final = Rpc("LookupService/Fetch", FetchQuestion, FetchResult, kinds=POLICE, floor_seconds=WRITES)
LIST_LOOKUPS: Final = Rpc("LookupService/ListLookups", LookupQuery, LookupPage, kinds=POLICE)
READ_LOOKUP: Final = Rpc("ReadingService/ReadLookup", str, LookupResult, kinds=POLICE, floor_seconds=WRITES)
TRACE_READING: Final = Rpc("ReadingService/TraceReading", str, TracedReading, kinds=AUDIT)
"""The question is the code of a watermark."""
