"""The node itself: its state and that of its peers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from federation.protocol.ids import NodeName
from federation.wire.rpc import Nothing, Rpc


class PeerState(Struct, frozen=True, kw_only=True):
    """One other province, as a node sees it; times and the clock offset are None when never measured."""

    node: NodeName
    reachable: bool
    waiting_count: int = 0
    oldest_waiting_time: datetime | None = None
    last_receipt_time: datetime | None = None
    cosigned_size: int = 0
    clock_offset_millis: int | None = None
    last_contact_time: datetime | None = None
    expired_count: int = 0


class WitnessLine(Struct, frozen=True, kw_only=True):
    """One witness of the node's log: the newest head that it cosigned since the start, or why it refuses."""

    name: str
    cosigned_size: int = 0
    cosigned_time: datetime | None = None
    trouble: str = ""
    on_newest_head: bool = False


class EndingLine(Struct, frozen=True, kw_only=True):
    """One thing that ends by the calendar: a certificate below the home, or the agreement."""

    name: str
    end_time: datetime
    renewed_by: str


class NodeStatus(Struct, frozen=True, kw_only=True):
    node: NodeName
    federation: str
    realm: str
    software_version: str
    agreement_version: int
    agreement_digest: str
    agreement_freshness: str
    agreement_expires: datetime
    tree_size: int
    checkpoint: bytes = b""
    peers: tuple[PeerState, ...] = ()
    warnings: tuple[str, ...] = ()
    witnesses: tuple[WitnessLine, ...] = ()
    quorum_met: bool = False
    troubles: tuple[str, ...] = ()
    agreement_fresh_until: datetime
    disk_free_bytes: int = 0
    disk_size_bytes: int = 0
    endings: tuple[EndingLine, ...] = ()
    intake_waiting: int = 0
    bad_rows: int = 0


GET_STATUS: Final = Rpc(
    "NodeService/GetStatus", Nothing, NodeStatus, unsigned="the state of the node, of no person and no officer"
)
