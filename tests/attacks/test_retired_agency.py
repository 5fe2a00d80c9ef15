"""An agency that the agreement no longer names, with its old certificate: every door of the agency port is shut."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from federation.node.home.certificates import revoke_client
from federation.node.home.files import REVOKED_FILE
from federation.node.serve import Running, running_node
from federation.protocol.errors import UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from federation.protocol.trust import Agreement
from federation.wire.agency.oversight import WATCH_NOTICES
from federation.wire.rpc import Rpc, Side
from federation.wire.status import error_of_call
from tests.scenarios.provinces import ISLAND, Federation, make_federation
from tests.wire import calls
from tests.wire.table import RPCS

JIANGXI = NodeName("jiangxi")
OFFICES = (calls.POLICE, calls.HALL, calls.MARKET, calls.AUDITOR)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    return make_federation(tmp_path_factory.mktemp("retired"))


@pytest.fixture
async def jiangxi(federation: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    shutil.rmtree(federation.home("jiangxi") / "heads", ignore_errors=True)  # of another store
    monkeypatch.setenv("BRIDGEHEAD_DATABASE", f"sqlite:///{tmp_path}/node.db")
    async with running_node(federation.home("jiangxi"), island=ISLAND) as running:
        yield running


def without(agreement: Agreement, *retired: object) -> Agreement:
    member = agreement.members[JIANGXI]
    left = {name: agency for name, agency in member.agencies.items() if name not in retired}
    return replace(agreement, members={**agreement.members, JIANGXI: replace(member, agencies=left)})


def asking(rpc: Rpc) -> AgencyId:
    """The first office that the line of an RPC admits."""
    return next(each for each in OFFICES if rpc.kinds is None or each.kind in rpc.kinds)


async def reasons(federation: Federation) -> dict[str, str]:
    """What each RPC of the agency port says to an empty question of an office that its line admits."""
    found: dict[str, str] = {}
    for rpc in (line for line in RPCS if Side.AGENCY in line.sides and line not in calls.AWAITED):
        office = asking(rpc)
        async with federation.client(str(office)) as client:
            channel = client._channel.current()
            make = channel.unary_stream if rpc.stream else channel.unary_unary
            call = make(rpc.path, request_serializer=None, response_deserializer=None)(b"", timeout=60)
            try:
                await (call.read() if rpc.stream else call)
                found[rpc.name] = "answered"
            except grpc.aio.AioRpcError as error:
                found[rpc.name] = error_of_call(error).reason
    return found


async def test_old_certificate_of_a_retired_agency_opens_no_rpc(federation: Federation, jiangxi: Running) -> None:
    """Every RPC of the table, the audit's lists and the retention round too; what it may do while it stands is shown."""
    before = await reasons(federation)
    assert "NOT_AN_AGENCY" not in before.values()
    assert "answered" in before.values()
    size = jiangxi.node.sequencer.head.size

    jiangxi.node.trust.replace(without(jiangxi.node.trust.in_force.agreement, *OFFICES))

    assert set((await reasons(federation)).values()) == {"NOT_AN_AGENCY"}
    assert jiangxi.node.sequencer.head.size == size


async def test_other_agencies_of_the_province_work_on(federation: Federation, jiangxi: Running) -> None:
    """Retiring one office touches no other."""
    jiangxi.node.trust.replace(without(jiangxi.node.trust.in_force.agreement, calls.AUDITOR))

    found = await reasons(federation)

    assert {name for name, reason in found.items() if reason == "NOT_AN_AGENCY"} == {
        rpc.name for rpc in RPCS if Side.AGENCY in rpc.sides and asking(rpc) == calls.AUDITOR
    }
    assert parse_agency_id("jiangxi/360000/audit") == calls.AUDITOR


@pytest.mark.parametrize("ended", ["NOT_AN_AGENCY", "CERTIFICATE_REVOKED"])
async def test_open_stream_ends_although_nothing_comes(federation: Federation, jiangxi: Running, ended: str) -> None:
    """A stream that was opened before the retirement, or the revocation, does not live on it."""
    node, revoked = jiangxi.node, federation.home("jiangxi") / "tls" / REVOKED_FILE
    before, officer = revoked.read_bytes(), calls.ACT.officer
    federation.register(officer, agency=calls.POLICE, key=federation.key(officer, agency=calls.POLICE))
    async with federation.client(str(calls.POLICE)) as client, asyncio.timeout(60):
        waiting = asyncio.ensure_future(anext(client.watch(WATCH_NOTICES, calls.ACT, "")))
        while not node.waiters._waiting:  # for what comes next
            await asyncio.sleep(0.02)
        if ended == "NOT_AN_AGENCY":
            node.trust.replace(without(node.trust.in_force.agreement, calls.POLICE))
        else:
            revoke_client(federation.home("jiangxi"), calls.POLICE)
        with pytest.raises(UntrustedError, match=ended):
            await waiting
    revoked.write_bytes(before)
