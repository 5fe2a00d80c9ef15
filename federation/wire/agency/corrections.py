"""Corrections of a person's record: filed anywhere, decided by the owner."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from federation.domain.clock import Deadline
from federation.domain.permits import PermitUrn
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.rpc import COUNTERS, WRITES, PageQuery, Q, Rpc, Ruling


class CorrectionStanding(StrEnum):
    """The status of a correction, seen from here.

    `waiting`: the owner has not answered yet. `refused`: its policy or a rule did not admit it. `undelivered`: it could
    not be judged there, or was not delivered in its time.
    """

    WAITING = "waiting"
    OPEN = "open"
    GRANTED = "granted"
    DENIED = "denied"
    REFUSED = "refused"
    UNDELIVERED = "undelivered"


class CorrectionFiling(Struct, frozen=True, kw_only=True):
    """A correction filed for a person: `citizen_number` as the record has it, `papers` as SHA-256 (hex)."""

    urn: PermitUrn
    field: str
    value: str
    words: str
    papers: tuple[str, ...] = ()
    citizen_number: str
    identity_checked: bool

    def __repr__(self) -> str:
        return f"CorrectionFiling({self.urn}, {self.field})"


class CorrectionStep(Struct, frozen=True, kw_only=True):
    correction_id: str
    words: str = ""


class CorrectionExtension(CorrectionStep, frozen=True, kw_only=True):
    days: int


class CorrectionLine(Struct, frozen=True, kw_only=True):
    """One correction: what was asked, by which office, where it stands, until when.

    `to_decide`: the caller's desk may decide it. `deadline` is None as long as the owner has not opened it. `answer`
    and `answer_time` are the owner's newest words. `policies` and the titles say what refused it. `permit_version` is
    the version with the corrected field, 0 unless granted.
    """

    correction_id: str
    urn: PermitUrn
    field: str
    value: str
    words: str
    papers: tuple[str, ...] = ()
    citizen_number: str
    filed_by: AgencyId
    filed_time: datetime
    owner: NodeName
    standing: CorrectionStanding
    to_decide: bool = False
    overdue: bool = False
    deadline: Deadline | None = None
    answer: str = ""
    answer_time: datetime | None = None
    permit_version: int = 0
    policies: tuple[str, ...] = ()
    title_zh: str = ""
    title_en: str = ""

    def __repr__(self) -> str:
        return f"CorrectionLine({self.correction_id}, {self.field}, {self.standing})"


class CorrectionOutcome(Struct, frozen=True, kw_only=True):
    decision: Ruling
    correction: CorrectionLine | None = None


class CorrectionQuery(PageQuery, frozen=True, kw_only=True):
    """A list of corrections: those that wait, or `everything`; of one person when a number is given."""

    everything: bool = False
    citizen_number: str | None = None

    def __repr__(self) -> str:
        return f"CorrectionQuery(everything={self.everything})"


class NoticeLine(Struct, frozen=True, kw_only=True):
    """The owner says that something held here is outdated: a copy below a version, or a field that a look-up gave.

    Or somebody found that the holder of `urn` has `other` as well; or what the caller's window decided about `urn` on
    `decided_on` is otherwise by the version that its owner has now.
    """

    time: datetime
    owner: NodeName
    urn: PermitUrn | None = None
    version: int = 0
    field: str = ""
    case_id: str = ""
    other: PermitUrn | None = None
    decided_on: date | None = None


class CorrectionPage(Struct, frozen=True, kw_only=True):
    decision: Ruling
    corrections: tuple[CorrectionLine, ...] = ()
    notices: tuple[NoticeLine, ...] = ()
    next_page_token: str = ""


def _changing(name: str, question: type[Q]) -> Rpc[Q, CorrectionOutcome]:
    return Rpc(f"CorrectionService/{name}", question, CorrectionOutcome, kinds=COUNTERS, floor_seconds=WRITES)


FILE_CORRECTION: Final = _changing("FileCorrection", CorrectionFiling)
LIST_CORRECTIONS: Final = Rpc("CorrectionService/ListCorrections", CorrectionQuery, CorrectionPage, kinds=COUNTERS)
GRANT_CORRECTION: Final = _changing("GrantCorrection", CorrectionStep)
DENY_CORRECTION: Final = _changing("DenyCorrection", CorrectionStep)
EXTEND_CORRECTION: Final = _changing("ExtendCorrection", CorrectionExtension)
