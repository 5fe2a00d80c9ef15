"""Keeping the agreement current: what was installed at home or published at a peer comes into force without a restart.

Any one member keeps the federation fresh: a node that holds a freshness key re-signs when half of the time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import structlog

from federation.node.home.agreement_files import install_agreement, load_home_agreement, refresh
from federation.node.home.keyring import load_keyring
from federation.node.log.boot import agreement_leaf, leaf_entry
from federation.node.node import Node
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import NodeName
from federation.protocol.trust import Agreement, AgreementFiles

_log = structlog.get_logger()

REFRESH_AHEAD = timedelta(hours=12)
"""How long before the freshness ends a node re-signs it."""
FETCH_SECONDS = 5.0


class AgreementSource(Protocol):
    """A peer that the newest agreement can be fetched from."""

    async def fetch_agreement(self, known_version: int = 0, *, timeout_seconds: float) -> AgreementFiles:
        """Reads the peer's newest agreement, unverified."""
        ...


async def keep_agreement(node: Node, home: Path, peers: Mapping[NodeName, AgreementSource]) -> None:
    """Looks at home every few seconds and at the peers now and then, for as long as the node runs."""
    rounds = 0
    while True:
        await asyncio.sleep(node.settings.agreement_seconds)
        rounds += 1
        try:
            await take_from_home(node, home)
            if rounds % node.settings.agreement_fetch_rounds == 0:
                await take_from_peers(node, home, peers)
                await _refresh_ahead(node, home)
        except BridgeheadError as error:
            _log.warning("agreement.unchanged", reason=error.reason)


async def take_from_home(node: Node, home: Path) -> None:
    """Puts in force what `bridgehead agreement publish` installed in the home."""
    found = await asyncio.to_thread(load_home_agreement, home, now=node.now())
    await _put_in_force(node, found)


async def take_from_peers(node: Node, home: Path, peers: Mapping[NodeName, AgreementSource]) -> None:
    """Asks every peer for its newest version; one that verifies and is newer is installed and put in force."""
    for name, peer in peers.items():
        try:
            files = await peer.fetch_agreement(timeout_seconds=FETCH_SECONDS)
            found = await asyncio.to_thread(install_agreement, home, files, now=node.now())
        except BridgeheadError as error:
            _log.debug("agreement.refused", peer=name, reason=error.reason)
            continue
        await _put_in_force(node, found)


async def _refresh_ahead(node: Node, home: Path) -> None:
    agreement = node.trust.in_force.agreement
    if agreement.fresh_until_time - node.now() > REFRESH_AHEAD:
        return
    keyring = await asyncio.to_thread(load_keyring, home)
    if keyring.freshness is None:
        return
    await _put_in_force(node, await asyncio.to_thread(refresh, home, keyring, node.now()))


async def _put_in_force(node: Node, found: Agreement) -> None:
    current = node.trust.in_force.agreement
    if (found.version, found.timestamp_version) == (current.version, current.timestamp_version):
        return
    node.trust.replace(found)
    _log.info("agreement.replaced", version=found.version, root_version=found.root_version)
    kind, subject, entry = leaf_entry(agreement_leaf(found, now=node.now()))
    await node.sequencer.commit(lambda tx: tx.append_leaf(kind, subject, entry))
