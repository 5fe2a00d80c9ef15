"""Around every RPC: one log line without a word of the request, and counts by method and code."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from federation.protocol.errors import NotFoundError, UnavailableError
from federation.wire.gatekeeper import REGISTRY
from tests.wire.answers import SUBMISSION
from tests.wire.house import ZHEJIANG, House

SUBMIT = "/federation.v1.ExchangeService/Submit"


def _count(code: str) -> float:
    return REGISTRY.get_sample_value("bridgehead_rpc_total", {"method": SUBMIT, "side": "peer", "code": code}) or 0.0


async def told(lines: list, event: str, count: int) -> list:
    """The lines of that event, once there are so many: an answer leaves before its line is written."""
    async with asyncio.timeout(60):
        while len(found := [line for line in lines if line["event"] == event]) < count:
            await asyncio.sleep(0.01)
    return found


async def test_each_rpc_writes_one_line_and_counts_once(house: House):
    """Who, what, how long, how it ended; nothing of what was sent."""
    before = _count("OK")
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    with capture_logs() as lines:
        async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
            await client.submit([SUBMISSION], timeout_seconds=60)

        (line,) = await told(lines, "rpc.finished", 1)
    assert (line["method"], line["caller"], line["code"], line["side"]) == (SUBMIT, "zhejiang", "OK", "peer")
    assert line["duration_ms"] > 0
    assert 0 < line["deadline_left_ms"] <= 60_000
    assert "payload" not in str(lines)
    assert _count("OK") == before + 1


async def test_poll_is_logged_when_it_fails_only(house: House):
    """What a clock asks would fill the log of an idle node."""
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    with capture_logs() as lines:
        async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
            await client.fetch_agreement(timeout_seconds=60)
            await client.tell_time(timeout_seconds=60)
            house.functions.failure = NotFoundError("SOME_REASON", "no such thing")
            with pytest.raises(NotFoundError):
                await client.tell_time(timeout_seconds=60)

        finished = [(line["log_level"], line["code"]) for line in await told(lines, "rpc.finished", 3)]
    assert finished == [("debug", "OK"), ("debug", "OK"), ("info", "NOT_FOUND")]


async def test_failed_rpc_writes_its_code_and_reason(house: House):
    """The operator sees the reason that the caller got."""
    house.functions.failure = NotFoundError("SOME_REASON", "no such thing")
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    with capture_logs() as lines:
        async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
            with pytest.raises(NotFoundError):
                await client.submit([SUBMISSION], timeout_seconds=60)

        (line,) = await told(lines, "rpc.finished", 1)
    assert (line["code"], line["reason"]) == ("NOT_FOUND", "SOME_REASON")


async def test_unknown_exception_is_logged_with_the_id_that_the_caller_got(house: House):
    """The id joins the caller's report to the operator's trace."""
    house.functions.failure = RuntimeError("the cause")
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    with capture_logs() as lines:
        async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
            with pytest.raises(UnavailableError) as caught:
                await client.submit([SUBMISSION], timeout_seconds=60)

        (failed,) = await told(lines, "rpc.failed", 1)
    assert failed["error_id"] == caught.value.facts["error_id"]
    assert isinstance(failed["exc_info"], RuntimeError)


async def test_status_that_a_handler_sets_itself_is_what_is_logged(house: House):
    """The health service ends a call with a status of its own: the line says which."""
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    with capture_logs() as lines:
        async with house.peer_port() as server, house.raw_channel(server.port, issued) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                request = health_pb2.HealthCheckRequest(service="nobody")
                await health_pb2_grpc.HealthStub(channel).Check(request, timeout=60)

        assert [line["code"] for line in await told(lines, "rpc.finished", 1)] == ["NOT_FOUND"]
