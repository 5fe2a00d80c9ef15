"""The messages that the exchange log names by digest, for an auditor."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Struct

from federation.protocol.body import Disclosure
from federation.protocol.ids import NodeName
from federation.protocol.receipt import Receipt
from federation.wire.rpc import INSPECTORS, Rpc, page_size


class Direction(StrEnum):
    SENT = "sent"
    RECEIVED = "received"


class MessageQuery(Struct, frozen=True, kw_only=True):
    """A list of messages with one peer, after a sequence number, those of a mandate alone. `page_size` is 1 to 256."""

    direction: Direction
    peer: NodeName
    after_seq: int = 0
    page_size: Annotated[int, page_size(256)] = 100
    mandate: bytes = b""


class LoggedMessage(Struct, frozen=True, kw_only=True):
    """A message as a node logged it; `head` is the head of an entry of a joint record, which names no person."""

    seq: int
    envelope: bytes
    log_index: int
    receipt: Receipt | None = None
    head: Disclosure | None = None


class MessagePage(Struct, frozen=True, kw_only=True):
    messages: tuple[LoggedMessage, ...]
    next_after_seq: int | None = None


NO_PERSON: Final = "an auditor's program reads statements, and of bodies the heads of entries: neither names a person"
LIST_MESSAGES: Final = Rpc("AuditService/ListMessages", MessageQuery, MessagePage, kinds=INSPECTORS, unsigned=NO_PERSON)
