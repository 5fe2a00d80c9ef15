"""What a face of the node asks and answers, as plain values.

Between the servicers, the functions that they are handed, and the clients. Values of the protocol and the domain are
used as they are; here stand only those that no lower floor has.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from federation.domain.permit import PermitApplication, PermitStatus, PermitUrn
from federation.domain.permit_item import PermitItem
from federation.domain.recognition import Recognition, RecognitionMode, RecognitionOutcome
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.policy.book import Decision
from federation.protocol.receipt import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """A certificate (PEM, leaf first) and its ECDSA P-256 key (PEM). Replacing the files needs no restart."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProfile:
    """How an agency reaches its node: `host:port`, its certificate, the node's CA, the name in the node's certificate.

    `server_name` is `<node>.<federation>`; None takes the host of the address.
    """

    address: str
    tls: TlsFiles
    authority: Path
    server_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who acts within the agency, and what for; `request_id` is the idempotency key, a UUID."""

    request_id: str
    purpose: str
    function: str
    officer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling(Decision):
    """A decision, under which agreement it was made; the explanations are empty unless policy refused."""

    agreement_version: int
    explanation_zh: str = ""
    explanation_en: str = ""


def ruling_of(
    decision: Decision, *, agreement_version: int, explanation_zh: str = "", explanation_en: str = ""
) -> Ruling:
    """A decision as a ruling under that version of the agreement."""
    return Ruling(
        **{each.name: getattr(decision, each.name) for each in fields(Decision)},
        agreement_version=agreement_version,
        explanation_zh=explanation_zh,
        explanation_en=explanation_en,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionLink:
    """One recognition of a permit, as both sides hold it: who decided what, in which mode, when. It names no person."""

    mode: RecognitionMode
    outcome: RecognitionOutcome
    reason: str
    agency: AgencyId
    decided_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitAnswer:
    """The outcome of a step with one permit; no permit when policy refused. `recognitions` come with a reading only.

    `outdated_by` comes with the reading of a copy that its owner said is outdated: the version that the owner has.
    """

    decision: Ruling
    permit: PermitItem | None = None
    recognitions: tuple[RecognitionLink, ...] = ()
    outdated_by: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitRecognition:
    """Which permit is to be recognised, how, and the citizen number of the person at the counter."""

    urn: PermitUrn
    mode: RecognitionMode
    citizen_number: str

    def __repr__(self) -> str:
        """Hides the person, so that a log line or a traceback names nobody."""
        return f"PermitRecognition({self.urn}, {self.mode})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionAnswer:
    """The outcome of a recognition; only the ruling when policy refused."""

    decision: Ruling
    recognition: Recognition | None = None
    permit: PermitItem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitQuery:
    """Which permits to list. `page_size` is 1 to 1,000; `page_token` is empty for the first page."""

    residence_division: str | None = None
    status: PermitStatus | None = None
    page_size: int = 100
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitPage:
    """One page of permits; an empty `next_page_token` is the only sign of the end."""

    decision: Ruling
    permits: tuple[PermitItem, ...] = ()
    next_page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitImport:
    """One permit of an older register; without a day of issue it is issued today, without a name it gets one."""

    application: PermitApplication
    issue_date: date | None = None
    urn: PermitUrn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportChunk:
    """A part of an import, 1 to 1,000 rows; `import_id` (a UUID) and `chunk` (from 1) are the idempotency key."""

    import_id: str
    chunk: int
    rows: tuple[PermitImport, ...]


ImportedRow: TypeAlias = PermitUrn | Ruling | BridgeheadError
"""What one row came to: stored under this name, refused by policy, or not to be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDigest:
    """A range of one ordered pair as a node logged it; `highest` is 0 when nothing was."""

    count: int
    root: bytes
    highest: int


class Direction(StrEnum):
    """Which way messages went, seen from this node."""

    SENT = "sent"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageQuery:
    """Which messages to list: those with one peer, after a sequence number. `page_size` is 1 to 256."""

    direction: Direction
    peer: NodeName
    after_seq: int = 0
    page_size: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMessage:
    """One message as this node logged it: the envelope verbatim, the index of its leaf, the receipt if any."""

    seq: int
    envelope: bytes
    log_index: int
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """One page of messages; without `next_after_seq` it is the last."""

    messages: tuple[LoggedMessage, ...]
    next_after_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerState:
    """One other province, as a node sees it; times and the clock offset are None when never measured."""

    node: NodeName
    reachable: bool
    waiting_count: int = 0
    oldest_waiting_time: datetime | None = None
    last_receipt_time: datetime | None = None
    cosigned_size: int = 0
    clock_offset_millis: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """The state of a node; `checkpoint` is empty before the first, `warnings` when all is well."""

    node: NodeName
    federation: str
    realm: str
    software_version: str
    agreement_version: int
    agreement_digest: str
    agreement_freshness: str
    agreement_expire_time: datetime
    tree_size: int
    checkpoint: bytes = b""
    peers: tuple[PeerState, ...] = ()
    warnings: tuple[str, ...] = ()
