"""Every minute each of the other provinces is asked for its time, so that an idle node knows who is there.

Silence counts as no. The offset is theirs less ours, half of the way taken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

import structlog

from federation.node.node import Contacts
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import NodeName

_log = structlog.get_logger()

ASK_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 5.0


class TellsTime(Protocol):
    async def tell_time(self, *, timeout_seconds: float) -> datetime:
        """Asks the other province for its time."""
        ...


async def measure(contacts: Contacts, peer: NodeName, client: TellsTime) -> None:
    """Asks it for its time; whatever goes wrong is its silence."""
    asked = contacts.now()
    try:
        theirs = await client.tell_time(timeout_seconds=ANSWER_SECONDS)
    except BridgeheadError as error:
        contacts.failed(peer, error)
        return
    contacts.answered(peer, offset=theirs - (asked + (contacts.now() - asked) / 2))


async def keep_contact(contacts: Contacts, peers: Mapping[NodeName, TellsTime]) -> None:
    """Asks all of them at start and every minute, for as long as the node runs."""
    while True:
        try:
            await asyncio.gather(*(measure(contacts, name, client) for name, client in peers.items()))
        except Exception:  # noqa: BLE001 - a duty that ends would show what was last known for ever
            _log.exception("contact.failed")
        await asyncio.sleep(ASK_SECONDS)
