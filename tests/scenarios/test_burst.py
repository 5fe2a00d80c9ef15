"""Three thousand messages between two whole nodes, over real TLS, while the receiver is killed twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

from federation.node.home.agreement import load_home_agreement
from federation.node.serve import utc_now
from federation.store.messages import missing_numbers, pair_state
from tests.node.rig import sync_item
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.node_process import JIANGXI, OUT, ROWS, ZHEJIANG
from tests.scenarios.provinces import REPOSITORY, Federation, make_federation

COUNT = 3_000
"""Some hundred calls and a few dozen groups: the receiver dies in the midst of both."""


def start(federation: Federation, command: str, name: str, step: str, nth: int) -> subprocess.Popen[str]:
    items = " ".join(b64encode(sync_item(number)).decode() for number in range(1, 30))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.scenarios.node_process", command, str(federation.home(name)), step, str(nth)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "SCENARIO_ITEMS": items},
    )  # fmt: skip


async def said(process: subprocess.Popen[str], word: str) -> None:
    line = await asyncio.to_thread(process.stdout.readline)
    assert line == f"{word}\n"


async def end(process: subprocess.Popen[str]) -> int:
    process.stdin.close()
    code = await asyncio.to_thread(process.wait, 60)
    process.stdout.close()
    return code


async def test_burst_with_the_receiver_killed_twice_arrives_exactly_once(tmp_path: Path) -> None:
    """Every message stands once on both sides, with its receipt, and both logs verify against each other."""
    federation = make_federation(tmp_path, delivery_pause_seconds=0.2)
    receiver = start(federation, "serve", "jiangxi", "after-commit", 4)
    await said(receiver, "ready")
    sender = start(federation, "burst", "zhejiang", "never", COUNT)
    try:
        await said(sender, "ready")
        assert await asyncio.to_thread(receiver.wait, 60) == -signal.SIGKILL
        await end(receiver)
        receiver = start(federation, "serve", "jiangxi", "before-commit", 5)
        assert await asyncio.to_thread(receiver.wait, 60) == -signal.SIGKILL
        await end(receiver)
        receiver = start(federation, "serve", "jiangxi", "never", 1)
        await said(receiver, "ready")
        await said(sender, "done")
        assert await end(sender) == 0
        assert await end(receiver) == 0
    finally:
        for process in (sender, receiver):
            process.kill()

    homes = {name: federation.home(name) for name in (ZHEJIANG, JIANGXI)}
    with kept_homes(homes) as kept:
        here, there = (each.database for each in kept)
        assert pair_state(here, "sent", OUT) == pair_state(there, "received", OUT)
        assert pair_state(there, "received", OUT).count == COUNT
        assert missing_numbers(there, "received", pair=OUT, limit=1) == []
        assert here.find_counter(ROWS) == COUNT
        agreement = load_home_agreement(homes[ZHEJIANG], now=utc_now())
        report = await check_federation(kept, agreement, now=utc_now())
    (line,) = [line for line in report.pairs if line.sent]
    assert (line.sent, line.received, line.receipts) == (COUNT, COUNT, COUNT)
