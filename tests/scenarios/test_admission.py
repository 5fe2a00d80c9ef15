"""A fifth province from its application to exercises, its suspension and its expulsion, at five running nodes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from federation.cli import agreement as commands
from federation.cli import conformance
from federation.node.exchange.send import send
from federation.node.home.agreement import load_home_agreement, read_agreement_files
from federation.node.home.draft import complete_bundles, draft_agreement, publish_draft, sign_draft
from federation.node.home.setup import create_home
from federation.node.serve import Running, running_node, utc_now
from federation.node.status import standing_troubles
from federation.protocol.errors import RuleError, UntrustedError
from federation.protocol.form import encode
from federation.protocol.ids import NodeName
from federation.protocol.trust import AgreementFiles
from federation.protocol.trust.draft import decode_bundle, encode_bundle
from federation.protocol.trust.succession import EXERCISE, StandingChanges
from tests.node.rig import draft
from tests.ports import free_ports
from tests.scenarios.provinces import ALL, NODES, POLICIES, Federation, make_federation

JIANGSU, ZHEJIANG = NodeName("jiangsu"), NodeName("zhejiang")
QUICK = {"agreement_seconds": 0.05, "agreement_fetch_rounds": 2, "witness_seconds": 0.1}


def new_home(folder: Path) -> Path:
    """The home of 江苏, made from a folder as every province has one."""
    province, home = folder / "nodes-jiangsu", folder / "jiangsu"
    province.mkdir()
    for name in ("node.toml", "member.toml"):
        text = (NODES / "anhui" / name).read_text(encoding="utf-8")
        text = text.replace("anhui/34", "jiangsu/32").replace("anhui", "jiangsu").replace("安徽省", "江苏省")
        (province / name).write_text(text.replace('name = "江苏省"', 'name = "江苏省"\ncontact = "省厅值班室"', 1))
    ports = dict(zip(("peer_port", "agency_port", "read_port"), free_ports(3), strict=True))
    create_home(home, province, now=utc_now(), overrides={**QUICK, **ports})
    return home


class Provinces:
    """Four homes that are agreed, and a fifth that applies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.federation: Federation = make_federation(folder, **QUICK)
        self.newcomer = new_home(folder)
        self.version = 1

    def home(self, name: NodeName) -> Path:
        return self.newcomer if name == JIANGSU else self.federation.home(name)

    def agree(
        self, *bundles: bytes, expel: tuple[NodeName, ...] = (), into: tuple[NodeName, ...] = (), **changes: object
    ) -> Path:
        """The next version, signed by three of the four, in the home of the first, or in those named."""
        self.version += 1
        out, previous, now = self.folder / f"draft-{self.version}", read_agreement_files(self.home(ZHEJIANG)), utc_now()
        every = complete_bundles(bundles, previous, now=now, expel=expel, changes=StandingChanges(**changes))
        draft_agreement(out, every, nodes=NODES, policies=POLICIES, previous=previous, now=now)
        for name in ALL[:3]:
            sign_draft(out, self.home(name), now=now)
        publish_draft(out, [self.home(name) for name in (ZHEJIANG, *into)], now=now)
        return out


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.02)


async def test_province_is_admitted_probed_suspended_and_expelled(tmp_path: Path) -> None:
    """Each gate is one version of the agreement; the nodes follow it, and the one that is left out learns it, verified."""
    five = Provinces(tmp_path)
    application = (five.newcomer / "member-bundle.json").read_bytes()
    async with contextlib.AsyncExitStack() as stack:
        running = {
            name: await stack.enter_async_context(running_node(five.home(name), island="a test")) for name in ALL
        }
        with pytest.raises(UntrustedError) as unsigned:
            five.agree(encode_bundle(decode_bundle(application)))
        assert unsigned.value.reason == "BUNDLE_UNSIGNED"
        five.version = 1
        five.agree(application, into=(JIANGSU,))
        newcomer = await stack.enter_async_context(running_node(five.newcomer, island="a test"))
        nodes: dict[NodeName, Running] = {**running, JIANGSU: newcomer}
        agreed = load_home_agreement(five.newcomer, now=utc_now())
        found = await commands._ask_until_all(agreed, five.home(ZHEJIANG), 60)
        assert found == dict.fromkeys((*ALL, JIANGSU), True)
        member = agreed.members[JIANGSU]
        assert member.exercise_until is not None
        assert member.exercise_until > utc_now() + EXERCISE - timedelta(hours=1)
        assert member.contact == "省厅值班室"

        with pytest.raises(RuleError) as voiceless:
            sign_draft(five.folder / "draft-2", five.newcomer, now=utc_now())
        assert voiceless.value.reason == "AGREEMENT_TRIAL"

        await until(newcomer.opened.is_set)
        report = tmp_path / "jiangsu.json"
        report.write_bytes(encode(await passed(five)))
        with pytest.raises(RuleError) as early:
            five.agree(actual=dict([conformance.verify_report(report, files(five), now=utc_now())]))
        assert early.value.reason == "EXERCISE_SHORT"
        five.version = 2

        five.agree(suspend=(JIANGSU,))
        await until(lambda: all(each.node.trust.in_force.agreement.version == 3 for each in nodes.values()))
        (told,) = standing_troubles(newcomer.node)
        assert "agreement draft --lift jiangsu" in told
        message = (
            await send(
                newcomer.node, [draft(recipient=ZHEJIANG, agency="jiangsu/321022/service-hall")], rows=lambda _: None
            )
        ).value[1][0]
        five.agree(lift=(JIANGSU,))
        async with asyncio.timeout(60):
            assert await newcomer.delivery.wait_settled(message) in ("settled", "rejected")

        five.agree(expel=(JIANGSU,))
        await until(lambda: newcomer.node.trust.expelled_by == 5)
        assert newcomer.node.trust.in_force.agreement.version == 4
        (told,) = standing_troubles(newcomer.node)
        assert "agreement 5, whose signatures verify, names this node no more" in told
        with pytest.raises(UntrustedError) as refused:
            await newcomer.peers.clients[ZHEJIANG].tell_time(timeout_seconds=60)
        assert refused.value.reason == "EXPELLED"


def files(five: Provinces) -> AgreementFiles:
    return read_agreement_files(five.home(ZHEJIANG))


async def passed(five: Provinces) -> conformance.Conformance:
    """Probes until the newcomer's log has its quorum, which takes the others a moment; every probe is in the report."""
    async with asyncio.timeout(120):
        while not (found := await conformance.conform(five.home(ZHEJIANG), JIANGSU, now=utc_now)).passed:
            assert {check.name for check in found.checks if not check.passed} <= {"log", "protocol"}
    assert [check.name for check in found.checks] == list(conformance.NAMES)
    return found
