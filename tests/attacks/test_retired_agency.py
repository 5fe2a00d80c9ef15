"""An agency that the agreement no longer names, with its old certificate: every door of the agency port is shut."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from federation.node.serve import Running, running_node
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.trust import Agreement
from federation.wire.rpc import Side
from federation.wire.status import error_of_call
from federation.wire.table import RPCS
from tests.scenarios.provinces import ISLAND, Federation, make_federation
from tests.wire import calls

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


async def reasons(federation: Federation) -> dict[str, str]:
    """What each RPC of the agency port says to an empty question of an office that its line admits."""
    found: dict[str, str] = {}
    for rpc in (line for line in RPCS if Side.AGENCY in line.sides):
        office = next(each for each in OFFICES if rpc.kinds is None or each.kind in rpc.kinds)
        async with federation.client(str(office)) as client:
            channel = client._channel.current()
            make = channel.unary_stream if rpc.stream else channel.unary_unary
            call = make(rpc.path, request_serializer=None, response_deserializer=None)(b"", timeout=10)
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
        rpc.name for rpc in RPCS if rpc.kinds == {"audit"}
    }
    assert parse_agency_id("jiangxi/360000/audit") == calls.AUDITOR
