"""Keeping the agreement current without a restart; a freshness key re-signs when half of the time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from socket import SOCK_STREAM
from urllib.parse import urlsplit

import structlog

from federation.node.exchange.former import end_for_former
from federation.node.exchange.peers import Peers
from federation.node.home.agreement import (
    file_marks,
    install_agreement,
    load_home_agreement,
    pinned_root,
    read_agreement_files,
    refresh,
    verify_earlier,
)
from federation.node.home.keyring import load_keyring
from federation.node.joint.records import keep_rules
from federation.node.log.boot import agreement_leaf, leaf_entry
from federation.node.node import Node
from federation.protocol.errors import BridgeheadError, ConflictError, StaleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.trust import Agreement
from federation.protocol.trust.agreement import AgreementFiles, load_agreement
from federation.protocol.trust.witnesses import log_witnesses
from federation.wire.limits import source_of
from federation.wire.peer import PeerClient

_log = structlog.get_logger()

REFRESH_AHEAD = timedelta(hours=12)
"""How long before the freshness ends a node re-signs it."""
FETCH_SECONDS = 5.0
SOURCES_SECONDS = 300.0
ADDRESSES_EACH = 4
"""So many addresses one name of the agreement stands for, whatever who answers for the name says."""


async def keep_agreement(node: Node, home: Path, peers: Peers) -> None:
    """Looks at home every few seconds and at the peers now and then; who joins or leaves by it is followed at once."""
    rounds, taken = 0, None
    while True:
        await asyncio.sleep(node.settings.agreement_seconds)
        rounds += 1
        found = await asyncio.to_thread(file_marks, home)
        if found != taken and await _or_logged(take_from_home(node, home)):
            taken = found  # an idle node looks at its files, and verifies again what has changed
        await _or_logged(take_rules(node, home, peers.clients))
        if rounds % node.settings.agreement_fetch_rounds == 0:
            await take_from_peers(node, home, peers.clients)
            await _or_logged(_refresh_ahead(node, home))
        await _or_logged(peers.follow())
        await _or_logged(end_for_former(node))


async def _or_logged(step: Awaitable[object], **facts: str) -> bool:
    """Takes a step of a round and returns whether it was done; what it raises ends neither the round nor the duty."""
    try:
        await step
    except BridgeheadError as error:
        _log.warning("agreement.unchanged", reason=error.reason, **facts)
        return False
    except Exception:  # noqa: BLE001 - a duty that ends would leave this node under an old agreement for ever
        _log.exception("agreement.failed", **facts)
        return False
    return True


async def take_from_home(node: Node, home: Path) -> None:
    found = await asyncio.to_thread(load_home_agreement, home, now=node.now())
    await _put_in_force(node, home, found)


async def take_from_peers(node: Node, home: Path, peers: Mapping[NodeName, PeerClient]) -> None:
    """Asks every peer for its newest version; one that verifies and is newer is installed and put in force."""
    for name, peer in peers.items():
        await _or_logged(_take_from_peer(node, home, name, peer), peer=name)


async def _take_from_peer(node: Node, home: Path, name: NodeName, peer: PeerClient) -> None:
    try:
        files = await peer.fetch_agreement(node.trust.in_force.agreement.version, timeout_seconds=FETCH_SECONDS)
        own = await asyncio.to_thread(read_agreement_files, home)
        if not files.targets:  # the version in force here, of which only the freshness may be newer
            files = replace(files, targets=own.targets, files=own.files)
        if files == own or await asyncio.to_thread(_is_expelled_by, node, home, files):
            return
        found = await asyncio.to_thread(install_agreement, home, files, now=node.now(), verify=node.trust.verify)
    except BridgeheadError as error:
        _log.debug("agreement.passed_over", peer=name, reason=error.reason)
        return
    await _put_in_force(node, home, found)


def _is_expelled_by(node: Node, home: Path, files: AgreementFiles) -> bool:
    """True for a newer version that does not name this node, signed as all that it followed; nothing is put in force.

    What is expired, too: who was away for long learns of it. Refuses as `load_agreement`.
    """
    found = load_agreement(files, trusted_root=pinned_root(home), now=node.now(), previous=None)
    if node.name in found.members or found.version <= node.trust.in_force.agreement.version:
        return False
    if node.trust.expelled_by is None:
        _log.critical("agreement.expelled", version=found.version)
    node.trust.expelled_by = found.version
    return True


async def take_rules(node: Node, home: Path, peers: Mapping[NodeName, PeerClient]) -> None:
    """Looks for the rules that joint cases pin and that are not here: in this home, then at every peer.

    A node that joined later, or worked no case while a version was in force, has them so. What nobody hands out is
    wanted again when its case is.
    """
    wanted = set(node.rules_wanted)
    node.rules_wanted.difference_update(wanted)
    for version in sorted(wanted):
        found = await _find_earlier(node, home, peers, version)
        if found is not None:
            await node.sequencer.commit(partial(keep_rules, node, found))
            _log.info("agreement.rules_taken", version=version)


async def _find_earlier(node: Node, home: Path, peers: Mapping[NodeName, PeerClient], version: int) -> Agreement | None:
    sources: list[Callable[[], Awaitable[AgreementFiles]]] = [
        partial(asyncio.to_thread, read_agreement_files, home, version=version),
        *(partial(peer.fetch_agreement, version=version, timeout_seconds=FETCH_SECONDS) for peer in peers.values()),
    ]
    for source in sources:
        try:
            return await asyncio.to_thread(verify_earlier, home, await source(), version=version, now=node.now())
        except BridgeheadError as error:
            _log.debug("agreement.rules_passed_over", version=version, reason=error.reason)
        except Exception:  # noqa: BLE001 - an answer that breaks the reading must not keep the next one from being asked
            _log.exception("agreement.rules_unread", version=version)
    return None


async def _refresh_ahead(node: Node, home: Path) -> None:
    agreement = node.trust.in_force.agreement
    if agreement.fresh_until_time - node.now() > REFRESH_AHEAD:
        return
    keyring = await asyncio.to_thread(load_keyring, home)
    if keyring.freshness is None:
        return
    await _put_in_force(node, home, await asyncio.to_thread(refresh, home, keyring, node.now()))


async def _put_in_force(node: Node, home: Path, found: Agreement) -> None:
    current = node.trust.in_force.agreement
    if _stamp(found) == _stamp(current):
        return
    _verify_newer(found, current)
    if node.name not in found.members:
        node.trust.expelled_by = found.version
        return
    node.trust.verify(found)
    node.keys.replace(await asyncio.to_thread(load_keyring, home))  # a version may name the successor of our own key
    node.trust.replace(found)
    _log.info("agreement.replaced", version=found.version, root_version=found.root_version)
    kind, subject, entry = leaf_entry(agreement_leaf(found, now=node.now()))
    await node.sequencer.commit(lambda tx: tx.append_leaf(kind, subject, entry))


def _verify_newer(found: Agreement, current: Agreement) -> None:
    """Refuses what a disk that was set back would bring: AGREEMENT_ROLLBACK, AGREEMENT_CONFLICT."""
    older = found.root_version < current.root_version or found.version < current.version
    same_keys = found.freshness_keys == current.freshness_keys
    if older or (same_keys and found.timestamp_version < current.timestamp_version):
        raise StaleError(
            "AGREEMENT_ROLLBACK", f"expected version {current.version} or later at home, got {found.version}"
        )
    if found.version == current.version and found.digest != current.digest:
        raise ConflictError("AGREEMENT_CONFLICT", f"expected the known file of version {current.version}")


def _stamp(agreement: Agreement) -> tuple[int, int, int, str]:
    return agreement.root_version, agreement.version, agreement.timestamp_version, agreement.digest


async def keep_sources(node: Node, named: set[str]) -> None:
    """Keeps the addresses of the members and witnesses that the agreement names, for as long as the node runs."""
    while True:
        await _or_logged(_find_sources(node, named))
        await asyncio.sleep(SOURCES_SECONDS)


async def _find_sources(node: Node, named: set[str]) -> None:
    agreement, loop = node.trust.in_force.agreement, asyncio.get_running_loop()
    urls = {url for name in agreement.members for url in (witness.url for witness in log_witnesses(agreement, name))}
    urls |= {f"//{member.peer_addr}" for member in agreement.members.values()}
    found: set[str] = set()
    for host in {urlsplit(url).hostname or "" for url in urls}:
        with suppress(OSError, UnicodeError):
            async with asyncio.timeout(FETCH_SECONDS):
                answers = await loop.getaddrinfo(host, None, type=SOCK_STREAM)
            found |= {source_of(str(address[0])) for *_, address in answers[:ADDRESSES_EACH]}
    named.clear()
    named |= found
