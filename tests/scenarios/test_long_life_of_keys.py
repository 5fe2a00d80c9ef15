"""Five agreements, two rotations, a province that was away during two: an audit of everything since the first day passes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from federation.cli.demo.provinces import write_federation_file
from federation.node.exchange.send import send
from federation.node.home import rotation
from federation.node.home.agreement import read_agreement_files
from federation.node.home.draft import complete_bundles, draft_agreement, publish_draft, sign_draft
from federation.node.home.keyring import Office, load_keyring
from federation.node.home.setup import BUNDLE_FILE, write_bundle
from federation.node.log.check import check_home
from federation.node.serve import Running, running_node
from federation.protocol.envelope import parse_envelope
from federation.protocol.ids import NodeName, Pair
from federation.store.messages import count_pending, list_messages
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, ZHEJIANG, draft
from tests.scenarios.provinces import ISLAND, NODES, POLICIES, REPOSITORY, Federation, make_federation


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Life:
    """A federation whose nodes come and go, and the agreements that it made."""

    federation: Federation
    folder: Path
    running: dict[NodeName, Running] = field(default_factory=dict)
    version: int = 1

    @contextlib.asynccontextmanager
    async def up(self, *names: NodeName) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for name in names:
                node = await stack.enter_async_context(running_node(self.federation.home(name), island=ISLAND))
                self.running[name] = node
                stack.callback(self.running.pop, name)
            yield

    async def until(self, *, version: int | None = None) -> None:
        """Waits until nothing is queued, and all that run are under that version."""
        async with asyncio.timeout(120):
            for running in self.running.values():
                await running.opened.wait()
                while running.node.trust.in_force.agreement.version < (version or 0):
                    await asyncio.sleep(0.05)
            while version is None and any(count_pending(each.node.database) for each in self.running.values()):
                await asyncio.sleep(0.05)

    async def agree(self, *changed: NodeName, expel: Collection[NodeName] = ()) -> None:
        """The next agreement with the bundles of those who changed, signed by three, fetched by the others."""
        self.version += 1
        first, out = self.federation.home("zhejiang"), self.folder / f"draft-{self.version}"
        previous = read_agreement_files(first)
        given = [(self.federation.home(n) / BUNDLE_FILE).read_bytes() for n in changed]
        bundles = complete_bundles(given, previous, now=now(), expel=expel)
        draft_agreement(out, bundles, nodes=NODES, policies=POLICIES, previous=previous, now=now())
        for name in (ZHEJIANG, JIANGXI, FUJIAN):
            sign_draft(out, self.federation.home(name), now=now())
        publish_draft(out, [self.federation.home(n) for n in (ZHEJIANG, JIANGXI, FUJIAN)], now=now())
        await self.until(version=self.version)

    async def exchange(self, *recipients: NodeName) -> None:
        node = self.running[ZHEJIANG].node
        await send(node, [draft(recipient=name) for name in recipients], rows=lambda _tx: None)
        await self.until()

    def signers(self) -> list[str]:
        database = self.running[ZHEJIANG].node.database
        found = list_messages(database, "sent", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=99)
        return [parse_envelope(each.envelope).signatures[0].keyid for each in found]


async def audit(life: Life) -> dict:
    """What an auditor's own process says of the federation, by its newest agreement."""
    write_federation_file(life.federation.made)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "federation.cli.main", "audit", "verify", "--home", str(life.folder), "-o", "json",
        cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert out, err.decode()
    return json.loads(out) | {"exit": process.returncode}


async def test_everything_since_the_first_day_verifies(tmp_path: Path) -> None:
    """Three keys signed, two are destroyed, and each message verifies under the fifth agreement."""
    life = Life(make_federation(tmp_path, agreement_fetch_rounds=2), tmp_path)
    zhejiang, jiangxi = life.federation.home("zhejiang"), life.federation.home("jiangxi")
    keys = [load_keyring(zhejiang).message.public_key]
    async with life.up(ZHEJIANG, JIANGXI, FUJIAN):
        async with life.up(ANHUI):
            await life.exchange(JIANGXI, ANHUI)  # under 1
        keys.append(rotation.begin(zhejiang, Office.MESSAGE, now=now()))
        rotation.begin(jiangxi, Office.AGREEMENT, now=now())
        await life.agree(ZHEJIANG, JIANGXI)  # 2, without Anhui
        await life.exchange(JIANGXI)
        rotation.finish(zhejiang, Office.MESSAGE, now=now())
        rotation.finish(jiangxi, Office.AGREEMENT, now=now())
        await life.agree(ZHEJIANG)  # 3, without Anhui
        await life.exchange(JIANGXI)
        async with life.up(ANHUI):
            await life.until(version=3)
            keys.append(rotation.begin(zhejiang, Office.MESSAGE, now=now()))
            await life.agree(ZHEJIANG)  # 4
            await life.exchange(JIANGXI, ANHUI)
            rotation.finish(zhejiang, Office.MESSAGE, now=now())
            await life.agree(ZHEJIANG)  # 5
            await life.exchange(JIANGXI, ANHUI)

            signers, report = life.signers(), await audit(life)

    assert signers == [keys[n].key_id for n in (0, 1, 1, 2, 2)]
    errors = [each for each in report["findings"] if each.get("severity") == "error"]
    assert errors == []
    assert (report["exit"], report["agreement"]) == (0, 5)


def findings(report: dict, severity: str) -> set[tuple[str, str]]:
    return {(each["code"], each["node"]) for each in report["findings"] if each["severity"] == severity}


async def test_everything_verifies_while_a_province_is_expelled_and_once_it_is_back(tmp_path: Path) -> None:
    """Out by the second agreement, in again by the fourth: its messages, and ours to it, never lose their keys."""
    life = Life(make_federation(tmp_path, agreement_fetch_rounds=2), tmp_path)
    anhui = life.federation.home("anhui")
    async with life.up(ZHEJIANG, JIANGXI, FUJIAN):
        async with life.up(ANHUI):
            await life.exchange(JIANGXI, ANHUI)  # under 1
            node = life.running[ANHUI].node
            office = str(min(node.trust.in_force.member(ANHUI).agencies))
            await send(node, [draft(recipient=ZHEJIANG, agency=office)], rows=lambda _tx: None)
            await life.until()
        await life.agree(expel=[ANHUI])  # 2
        await life.exchange(JIANGXI)
        without, rows = await audit(life), check_home(life.federation.home("zhejiang"))
        await life.agree()  # 3
        write_bundle(anhui, now=now())
        await life.agree(ANHUI)  # 4
        publish_draft(tmp_path / "draft-4", [anhui], now=now())
        (anhui / BUNDLE_FILE).unlink()
        async with life.up(ANHUI):
            assert (anhui / BUNDLE_FILE).exists()  # a start writes it, by the settings of that moment
            await life.exchange(JIANGXI, ANHUI)
            again = await audit(life)

    assert (findings(without, "error"), without["exit"], without["agreement"]) == (set(), 0, 2)
    assert ("FORMER_MEMBER", "zhejiang") in findings(without, "warning")
    pairs = {each["pair"]: each for each in without["pairs"]}
    assert (pairs["zhejiang>anhui"]["sent"], pairs["zhejiang>anhui"]["receipts"]) == (1, 1)
    assert rows.findings == ()
    assert (findings(again, "error"), again["exit"], again["agreement"]) == (set(), 0, 4)
    assert ("FORMER_MEMBER", "zhejiang") not in findings(again, "warning")
