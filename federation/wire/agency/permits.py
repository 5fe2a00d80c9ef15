"""Permits: the steps of their life, reading and listing them, recognising another province's, importing a register."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, TypeAlias

from msgspec import Struct

from federation.domain.permits import PermitApplication, PermitItem, PermitStatus, PermitUrn, RevokeReason
from federation.domain.recognition import Confirmation, Recognition, RecognitionMode, RecognitionOutcome
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import AgencyId
from federation.wire.pb import declare
from federation.wire.rpc import IMPORTS, WRITES, PageQuery, Rpc, Ruling

declare(PermitApplication, flat={"holder": {"name": "holder_name"}})


class RecognitionLink(Struct, frozen=True, kw_only=True):
    """One recognition of a permit, as both sides hold it: who decided what, in which mode, when. It names no person."""

    mode: RecognitionMode
    outcome: RecognitionOutcome
    reason: str
    agency: AgencyId
    decided_on: date
    confirmation: Confirmation


class PermitAnswer(Struct, frozen=True, kw_only=True):
    decision: Ruling
    permit: PermitItem | None = None


class PermitReading(PermitAnswer, frozen=True, kw_only=True):
    """A permit with its recognitions; `outdated_by`: the version that the owner of this outdated copy has.

    `doubles`: permits of other provinces that the holder was found to have; `copy_time`: when the owner said this copy.
    """

    recognitions: tuple[RecognitionLink, ...] = ()
    outdated_by: int = 0
    doubles: tuple[PermitUrn, ...] = ()
    copy_time: datetime | None = None


class PermitRevocation(Struct, frozen=True, kw_only=True):
    urn: PermitUrn
    reason: RevokeReason


class PermitRecognition(Struct, frozen=True, kw_only=True):
    urn: PermitUrn
    mode: RecognitionMode
    citizen_number: str

    def __repr__(self) -> str:
        """Hides the person, so that a log line or a traceback names nobody."""
        return f"PermitRecognition({self.urn}, {self.mode})"


class RecognitionAnswer(Struct, frozen=True, kw_only=True):
    decision: Ruling
    recognition: Recognition | None = None
    permit: PermitItem | None = None
    copy_time: datetime | None = None
    confirmation: Confirmation | None = None


class PermitQuery(PageQuery, frozen=True, kw_only=True):
    """A filter; by a number it finds only what releases that number to the caller. `begins`: as a name does."""

    residence_division: str | None = None
    status: PermitStatus | None = None
    citizen_number: str | None = None
    begins: str = ""

    def __repr__(self) -> str:
        """Hides the person."""
        return f"PermitQuery({self.residence_division}, {self.status})"


class PermitPage(Struct, frozen=True, kw_only=True):
    decision: Ruling
    permits: tuple[PermitItem, ...] = ()
    next_page_token: str = ""


class PermitImport(Struct, frozen=True, kw_only=True):
    """One permit of an older register; without a day of issue it is issued today, without a name it gets one."""

    application: PermitApplication
    issue_date: date | None = None
    urn: PermitUrn | None = None


class ImportChunk(Struct, frozen=True, kw_only=True):
    """A part of an import, 1 to 1,000 rows; `import_id` (a UUID) and `chunk` (from 1) are the idempotency key."""

    import_id: str
    chunk: int
    rows: tuple[PermitImport, ...]


ImportedRow: TypeAlias = PermitUrn | Ruling | BridgeheadError
"""What one row came to: stored under this name, refused by policy, or not to be judged."""


def _step(name: str) -> Rpc[PermitUrn, PermitAnswer]:
    return Rpc(f"PermitService/{name}", PermitUrn, PermitAnswer, floor_seconds=WRITES)


REGISTER_PERMIT: Final = Rpc("PermitService/RegisterPermit", PermitApplication, PermitAnswer, floor_seconds=WRITES)
ENDORSE_PERMIT: Final = _step("EndorsePermit")
SUSPEND_PERMIT: Final = _step("SuspendPermit")
RESTORE_PERMIT: Final = _step("RestorePermit")
REVOKE_PERMIT: Final = Rpc("PermitService/RevokePermit", PermitRevocation, PermitAnswer, floor_seconds=WRITES)
RECOGNISE_PERMIT: Final = Rpc(
    "PermitService/RecognisePermit", PermitRecognition, RecognitionAnswer, floor_seconds=WRITES
)
GET_PERMIT: Final = Rpc("PermitService/GetPermit", PermitUrn, PermitReading)
LIST_PERMITS: Final = Rpc("PermitService/ListPermits", PermitQuery, PermitPage)
IMPORT_PERMITS: Final = Rpc(
    "PermitService/ImportPermits",
    ImportChunk,
    tuple[ImportedRow, ...],
    floor_seconds=IMPORTS,
    counted=lambda chunk: len(chunk.rows),
)
