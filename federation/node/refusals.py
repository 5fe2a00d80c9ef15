"""The refusals that nobody judged, told by one leaf a minute for each caller; `Refusals` counts them.

Each refusal is a leaf for ever, so whoever asks for what is not allowed could fill the log. A caller that was refused
too often within a minute is turned away, not judged and not logged one by one; what is honest among it may be sent
again a minute later. The counts are of one process, and told before it stops.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from federation.node.node import Node, plain_leaf
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import JsonValue, encode_canonical
from federation.protocol.ids import format_time, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, Verdict, encode_leaf
from federation.store.exchange_log import GroupTransaction

_log = structlog.get_logger()

TELL_SECONDS: Final = 60.0
RULE: Final = "rule-refused-too-often"


async def keep_refusal_digests(node: Node) -> None:
    while True:
        await asyncio.sleep(TELL_SECONDS)
        await tell_or_wait(node)


async def tell_or_wait(node: Node) -> None:
    """Tells what was turned away; what cannot be logged now is counted on."""
    try:
        await tell_refusals(node)
    except BridgeheadError as error:
        _log.warning("refusals.untold", reason=error.reason)
    except Exception:  # noqa: BLE001 - a duty that ends would leave refusals untold for ever
        _log.exception("refusals.failed")


async def tell_refusals(node: Node) -> None:
    """Appends one `refused` leaf for each caller who was turned away, with their number, all or none."""
    agreement, now, untold = node.trust.in_force.agreement, truncate_to_millisecond(node.now()), node.refusals.untold()
    if not untold:
        return
    leaves: list[Leaf] = []
    for caller, count in sorted(untold.items()):
        named: dict[str, JsonValue] = {"caller": caller, "count": count, "until": format_time(now)}
        subject, reason = hashlib.sha256(encode_canonical(named)).hexdigest(), f"REFUSED_TOO_OFTEN {count}"
        said = {"verdict": Verdict.REFUSED, "policies": (RULE,), "reason": reason}
        leaves.append(plain_leaf(agreement, LeafKind.REFUSED, subject, now=now, **said))
    await node.sequencer.commit(partial(_append, leaves=leaves))
    node.refusals.take_off(untold)
    _log.warning("refusals.told", callers=untold)


def _append(transaction: GroupTransaction, *, leaves: Sequence[Leaf]) -> None:
    for leaf in leaves:
        transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
