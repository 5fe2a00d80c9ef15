"""A thousand messages between two whole nodes, over real TLS, while the receiver is killed twice."""

from __future__ import annotations

import signal
from pathlib import Path

from federation.node.home.agreement import load_home_agreement
from federation.node.serve import utc_now
from federation.protocol.ids import NodeName
from federation.store.messages import pair_state
from tests.node.rig import sync_item
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.node_process import JIANGXI, OUT, ROWS, ZHEJIANG, NodeProcess, Order, start_process
from tests.scenarios.provinces import Federation, make_federation
from tests.store.samples import missing_numbers

COUNT = 1_000
"""Dozens of calls and of groups: the receiver dies in the midst of both."""


def start(federation: Federation, command: str, name: NodeName, step: str, nth: int) -> NodeProcess:
    items = tuple(sync_item(number) for number in range(1, 30))
    return start_process(Order(command=command, home=federation.home(name), step=step, nth=nth, items=items))


async def test_burst_with_the_receiver_killed_twice_arrives_exactly_once(tmp_path: Path) -> None:
    """Every message stands once on both sides, with its receipt, and both logs verify against each other."""
    federation = make_federation(tmp_path, delivery_pause_seconds=0.2)
    receiver = start(federation, "serve", JIANGXI, "after-commit", 4)
    await receiver.said("ready")
    sender = start(federation, "burst", ZHEJIANG, "never", COUNT)
    await sender.said("ready")
    assert await receiver.ended() == -signal.SIGKILL
    receiver = start(federation, "serve", JIANGXI, "before-commit", 5)
    assert await receiver.ended() == -signal.SIGKILL
    receiver = start(federation, "serve", JIANGXI, "never", 1)
    await receiver.said("ready")
    await sender.said("done")
    assert await sender.finish() == 0
    assert await receiver.finish() == 0

    homes = {name: federation.home(name) for name in (ZHEJIANG, JIANGXI)}
    with kept_homes(homes) as kept:
        here, there = (each.database for each in kept)
        assert pair_state(here, "sent", OUT) == pair_state(there, "received", OUT)
        assert pair_state(there, "received", OUT).count == COUNT
        assert missing_numbers(there, "received", pair=OUT) == []
        assert here.find_counter(ROWS) == COUNT
        agreement = load_home_agreement(homes[ZHEJIANG], now=utc_now())
        report = await check_federation(kept, agreement, now=utc_now())
    (line,) = [line for line in report.pairs if line.sent]
    assert (line.sent, line.received, line.receipts) == (COUNT, COUNT, COUNT)
