"""The other provinces as this node reaches them: a client for each that the agreement in force names, and its clock.

A client is made when a province joins or moves, and dropped when it leaves, without a restart. Every minute each is
asked for its time, so that an idle node knows who is there; silence counts as no. The offset is theirs less ours, half
of the way taken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import structlog

from federation.node.exchange.deliver import Delivery
from federation.node.node import Contacts, Node
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import NodeName
from federation.wire.peer import PeerClient
from federation.wire.rpc import TlsFiles

_log = structlog.get_logger()

ASK_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 5.0


class Peers:
    """The clients of the other members; `clients` are those of the agreement that was followed last."""

    def __init__(self, node: Node, delivery: Delivery, *, tls: TlsFiles) -> None:
        self.clients: dict[NodeName, PeerClient] = {}
        self._node, self._delivery, self._tls = node, delivery, tls
        self._addresses: dict[NodeName, str] = {}

    async def follow(self) -> None:
        """Makes and drops clients, each with its lane, as the agreement in force names the members.

        Calls at work to one that is dropped may end; what is queued for it is `end_for_former`'s.
        """
        agreement = self._node.trust.in_force.agreement
        named = {name: member.peer_addr for name, member in agreement.members.items() if name != self._node.name}
        for name in [name for name, address in self._addresses.items() if named.get(name) != address]:
            await self._delivery.leave(name)
            await self.clients[name].close()
            del self.clients[name], self._addresses[name]
            _log.info("peer.dropped", peer=name)
        for name in sorted(named.keys() - self._addresses.keys()):
            self._addresses[name] = named[name]
            self.clients[name] = PeerClient(
                named[name],
                tls=self._tls,
                authority=partial(self._node.trust.authority, name),
                server_name=f"{name}.{agreement.federation}",
            )
            self._delivery.join(name, self.clients[name])

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self.clients.values()))


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
