"""A home restored from a backup as a whole, and peers that are silent, busy and hostile when it starts: it signs nothing.

Real processes. What the others cosigned since the backup is known to them alone; each of them is kept from saying so.
"""

from __future__ import annotations

import asyncio
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.cli.demo.provinces import stop_nodes, stop_process, wait_ready
from federation.protocol.ids import NodeName
from tests.cli.command_line import run
from tests.held_port import drip, held_port, saying, silent
from tests.scenarios.provinces import Federation, make_federation, start_node

ZHEJIANG, JIANGXI, FUJIAN, ANHUI = (NodeName(name) for name in ("zhejiang", "jiangxi", "fujian", "anhui"))
POISON = b"zhejiang\n1\nroot\n\n" + b"".join(b"\xe2\x80\x94 stranger AAAAAAAA\n" for _ in range(65))


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    made = make_federation(tmp_path)
    yield made
    stop_nodes(made.made)


def status(federation: Federation) -> dict:
    return run("node", "status", "-o", "json", "--home", federation.home("zhejiang"), code=None).json["nodes"][0]


def health(federation: Federation) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{read_url(federation, ZHEJIANG)}/healthz", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def read_port(federation: Federation, node: NodeName) -> int:
    return federation.homes[node].settings.read_port


def read_url(federation: Federation, node: NodeName) -> str:
    return f"http://127.0.0.1:{read_port(federation, node)}"


async def until(found: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(found):
            await asyncio.sleep(0.05)


async def test_restored_home_is_blinded_by_nobody(federation: Federation) -> None:
    """Jiangxi answers one byte at a time: it starts by the word of the two others, and stops when it is told to.

    Set back, with Anhui silent, Jiangxi's port busy, Fujian's answer poison: held. They are back: it is refuted.
    """
    made, home = federation.made, federation.home("zhejiang")
    honest = [ZHEJIANG, FUJIAN, ANHUI]
    with held_port(read_port(federation, JIANGXI), drip):
        for node in honest:
            start_node(made, node)
        await asyncio.to_thread(wait_ready, made, honest)
        await until(lambda: list((home / "heads").glob("*.witnessed")))
        stop_process(made.processes[ZHEJIANG])
        assert made.processes[ZHEJIANG].returncode == 0
    shutil.copytree(home, home.with_name("backup"), symlinks=True)
    start_node(made, ZHEJIANG)
    await asyncio.to_thread(wait_ready, made, [ZHEJIANG])
    await until(lambda: status(federation)["quorum_met"] and status(federation)["tree_size"] > 2)
    stop_nodes(made)
    shutil.rmtree(home)
    shutil.copytree(home.with_name("backup"), home, symlinks=True)

    jiangxi, fujian = (read_port(federation, node) for node in (JIANGXI, FUJIAN))
    with held_port(jiangxi, silent), held_port(fujian, saying(POISON)):
        start_node(made, ZHEJIANG)
        await until(lambda: (status(federation).get("troubles") or [""])[0].count("fujian cannot be read"))
        found = await asyncio.to_thread(status, federation)
        assert "nothing is signed yet: 0 of 2 witnesses" in found["troubles"][0]
        assert found["tree_size"] == 2
        code, told = health(federation)
        assert (code, "0 of 2 witnesses" in told) == (503, True)

    for node in (JIANGXI, FUJIAN, ANHUI):
        start_node(made, node)
    await until(lambda: "LOG_ROLLED_BACK" in status(federation)["troubles"][0])
    assert (await asyncio.to_thread(status, federation))["tree_size"] == 2
    assert health(federation)[0] == 503
    assert list((home / "heads").glob("*.disputed"))
