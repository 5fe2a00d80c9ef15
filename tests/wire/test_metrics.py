"""The metrics as OpenMetrics' own parser reads them; on a port of their own; every rule of an alert is over one of them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from federation.wire.gatekeeper import count_message
from federation.wire.metrics import format_metrics, metrics_app
from federation.wire.read_http import serve_http
from federation.wire.rpc import Side
from federation.wire.rpc_connections import RpcConnections
from tests.wire.answers import STATUS

NOW = datetime(2026, 11, 1, 10, tzinfo=UTC)
ALERTS = Path(__file__).resolve().parents[2] / "nodes" / "alerts.yml"
NAMES = {
    "log_entries", "log_cosignatures", "log_disputed", "outbox_messages", "outbox_oldest_seconds", "messages",
    "certificate_not_after_timestamp_seconds", "agreement_fresh_until_timestamp_seconds", "intake_waiting",
    "clock_offset_seconds", "bad_rows",
}  # fmt: skip


def families() -> dict:
    text = format_metrics(STATUS, NOW).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(name: str) -> dict:
    return {tuple(sample.labels.values()): sample.value for sample in families()[f"bridgehead_{name}"].samples}


def test_metrics_are_valid_open_metrics_and_complete():
    """The strict parser takes all of it; each name that an operator was promised is there, and the process's own."""
    count_message("zhejiang", "permit.sync", "allowed")
    found = families()

    assert {f"bridgehead_{name}" for name in NAMES} <= found.keys()
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds"} <= found.keys()


def test_metrics_say_what_the_status_says():
    """Ages count from now; what was never measured has no sample."""
    assert values("log_entries") == {(): 12.0}
    assert values("log_cosignatures") == {("jiangxi",): 1.0, ("zhejiang",): 0.0}
    assert values("log_disputed") == {(): 1.0}
    assert values("outbox_messages") == {("zhejiang",): 2.0, ("fujian",): 0.0}
    assert values("outbox_oldest_seconds") == {("zhejiang",): 7199.877, ("fujian",): 0.0}
    assert values("clock_offset_seconds") == {("zhejiang",): -0.04}
    assert values("intake_waiting") == {(): 4.0}
    assert values("bad_rows") == {(): 2.0}
    ends = datetime(2027, 1, 30, tzinfo=UTC).timestamp()
    assert values("certificate_not_after_timestamp_seconds") == {("tls/peer.crt",): ends}


def test_alert_rules_are_over_metrics_that_exist():
    """A rule over a name that nobody serves would be silent for ever."""
    expressions = re.findall(r"expr: (.*)", ALERTS.read_text("utf-8"))
    RpcConnections({7101: Side.PEER}, each=128)  # as a node makes one
    named = {name.removesuffix("_total") for each in expressions for name in re.findall(r"bridgehead_\w+", each)}

    assert len(expressions) >= 9
    assert named <= families().keys()


async def test_port_serves_metrics_and_nothing_else():
    """It says itself what it is, and it is no second read side."""

    async def status():
        return STATUS

    def ask(path: str) -> tuple[int, str, bytes]:
        connection = HTTPConnection("127.0.0.1", running.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.headers["content-type"], answer.read()
        finally:
            connection.close()

    running = await serve_http(metrics_app(status, lambda: NOW), host="127.0.0.1", port=0)
    try:
        code, kind, body = await asyncio.to_thread(ask, "/metrics")
        others = [(await asyncio.to_thread(ask, path))[0] for path in ("/checkpoint", "/healthz", "/metrics/", "/")]
    finally:
        await running.stop()

    assert (code, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    assert others == [404, 404, 404, 404]
