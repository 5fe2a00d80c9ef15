"""A node's status as OpenMetrics, on a port of its own: who asks whom how often is nothing for strangers.

Names as Prometheus wants them; `nodes/alerts.yml` has the rules over them. No personal data: provinces, kinds, counts.
Source: OpenMetrics 1.0, prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from federation.wire.agency.node import NodeStatus, PeerState
from federation.wire.gatekeeper import REGISTRY

ProcessCollector(registry=REGISTRY)


def metrics_app(status: Callable[[], Awaitable[NodeStatus]], now: Callable[[], datetime]) -> ASGIApp:
    """The application of the port: `/metrics` and nothing else."""

    async def metrics(request: Request) -> Response:
        del request
        return Response(format_metrics(await status(), now()), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = Starlette(routes=[Route("/metrics", metrics)])
    app.router.redirect_slashes = False
    return app


def format_metrics(status: NodeStatus, now: datetime) -> bytes:
    """The status of a node and what its process counted, in OpenMetrics."""
    return bytes(generate_latest(_Whole(status, now)))  # type: ignore[no-untyped-call]


class _Whole:
    def __init__(self, status: NodeStatus, now: datetime) -> None:
        self._status, self._now = status, now

    def collect(self) -> Iterator[Metric]:
        yield from _of_log(self._status)
        yield from _of_peers(self._status.peers, self._now)
        yield from _of_home(self._status)
        yield from REGISTRY.collect()


def _of_log(status: NodeStatus) -> Iterator[Metric]:
    yield _one("log_entries", "Entries of the exchange log", status.tree_size)
    yield _one("log_quorum_met", "1 when the newest offered head has the agreed quorum", status.quorum_met)
    yield _one(
        "log_troubles",
        "Reasons not to rely on the node: a log stopped or disputed, a dead duty",
        len(status.troubles),
    )
    disputed = sum(bool(each.trouble) for each in status.witnesses)
    yield _one("log_disputed", "Witnesses that dispute the log", disputed)
    lines = [(each.name, float(each.on_newest_head)) for each in status.witnesses]
    yield _each("log_cosignatures", "1 when the witness has cosigned the newest head", "witness", lines)
    sizes = [(each.name, float(each.cosigned_size)) for each in status.witnesses]
    yield _each("log_cosigned_entries", "Entries of the newest head that the witness has cosigned", "witness", sizes)


def _of_peers(peers: Iterable[PeerState], now: datetime) -> Iterator[Metric]:
    peers = tuple(peers)

    def each(name: str, text: str, of: Callable[[PeerState], float | None]) -> Metric:
        return _each(name, text, "peer", [(peer.node, found) for peer in peers if (found := of(peer)) is not None])

    def age(peer: PeerState) -> float:
        oldest = peer.oldest_waiting_time
        return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())

    yield each("peer_reachable", "1 when the newest call to the peer was answered", lambda peer: float(peer.reachable))
    yield each(
        "peer_last_contact_timestamp_seconds",
        "When the peer was last heard of",
        lambda peer: None if peer.last_contact_time is None else peer.last_contact_time.timestamp(),
    )
    yield each("outbox_messages", "Messages that wait for a receipt", lambda peer: float(peer.waiting_count))
    yield each("outbox_oldest_seconds", "Age of the longest waiting message, 0 when none waits", age)
    yield each("outbox_expired", "Messages that expired before a receipt", lambda peer: float(peer.expired_count))
    yield each(
        "clock_offset_seconds",
        "The peer's clock less ours",
        lambda peer: None if peer.clock_offset_millis is None else peer.clock_offset_millis / 1000,
    )


def _of_home(status: NodeStatus) -> Iterator[Metric]:
    ends = [(each.name, each.end_time.timestamp()) for each in status.endings if each.name != "agreement"]
    yield _each("certificate_not_after_timestamp_seconds", "When a certificate ends", "file", ends)
    fresh = status.agreement_fresh_until.timestamp()
    yield _one("agreement_fresh_until_timestamp_seconds", "When the agreement's freshness ends", fresh)
    yield _one("agreement_version", "The version in force", status.agreement_version)
    yield _one("intake_waiting", "Requests that wait for a person", status.intake_waiting)
    yield _one("bad_rows", "Rows of the store that duties pass over or that differ from the log", status.bad_rows)
    yield _one("disk_free_bytes", "Bytes free on the disk of the home", status.disk_free_bytes)
    yield _one("disk_size_bytes", "Bytes of the disk of the home", status.disk_size_bytes)


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"bridgehead_{name}", text, value=float(value))


def _each(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(f"bridgehead_{name}", text, labels=(label,))
    for key, value in values:
        family.add_metric((key,), value)
    return family
