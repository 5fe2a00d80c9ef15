"""Contact with the other provinces: when each was last heard of, by a call of either side, and how its clock differs.

Every minute each is asked for its time, so that an idle node knows who is there; silence counts as no. Times are of our
own clock; the offset is theirs less ours, half of the way taken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from federation.protocol.errors import BridgeheadError, UnavailableError, UntrustedError
from federation.protocol.ids import NodeName

_log = structlog.get_logger()

ASK_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 5.0


class TellsTime(Protocol):
    async def tell_time(self, *, timeout_seconds: float) -> datetime:
        """Asks the other province for its time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One other province; `is_answering`: our newest call to it was answered."""

    time: datetime | None = None
    is_answering: bool = False
    offset: timedelta | None = None


class Contacts:
    """The contact with each of the others since the start."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._known: dict[NodeName, Contact] = {}

    def of(self, peer: NodeName) -> Contact:
        return self._known.get(peer, Contact())

    def heard(self, peer: NodeName) -> None:
        """Notes a call of that province."""
        known = self.of(peer)
        self._known[peer] = Contact(time=self._now(), is_answering=known.is_answering, offset=known.offset)

    def answered(self, peer: NodeName, *, offset: timedelta | None = None) -> None:
        """Notes that a call to it was answered, and the offset where it was measured."""
        newest = self.of(peer).offset if offset is None else offset
        self._known[peer] = Contact(time=self._now(), is_answering=True, offset=newest)

    def failed(self, peer: NodeName, error: BridgeheadError) -> None:
        """Notes how a call to it ended; an answer that was no is an answer."""
        if not isinstance(error, (UnavailableError, UntrustedError)):
            self.answered(peer)
            return
        known = self.of(peer)
        self._known[peer] = Contact(time=known.time, is_answering=False, offset=known.offset)

    async def measure(self, peer: NodeName, client: TellsTime) -> None:
        """Asks it for its time; whatever goes wrong is its silence."""
        asked = self._now()
        try:
            theirs = await client.tell_time(timeout_seconds=ANSWER_SECONDS)
        except BridgeheadError as error:
            self.failed(peer, error)
            return
        self.answered(peer, offset=theirs - (asked + (self._now() - asked) / 2))


async def keep_contact(contacts: Contacts, peers: Mapping[NodeName, TellsTime]) -> None:
    """Asks all of them at start and every minute, for as long as the node runs."""
    while True:
        try:
            await asyncio.gather(*(contacts.measure(name, client) for name, client in peers.items()))
        except Exception:  # noqa: BLE001 - a duty that ends would show what was last known for ever
            _log.exception("contact.failed")
        await asyncio.sleep(ASK_SECONDS)
