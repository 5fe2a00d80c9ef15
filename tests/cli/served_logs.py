"""Four provinces whose logs are served over real HTTP on loopback, with a signed agreement and a federation file."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from federation.node.home.agreement import write_repository
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace
from federation.protocol.tlog.tiles import Tile
from federation.protocol.tlog.witness import Status, WitnessAnswer
from federation.protocol.trust.metadata import root_digest
from federation.wire.read_http import ReadFunctions, RunningHttp, read_app, serve_http
from tests.audit.provinces import Province, Provinces
from tests.protocol.trust import four

STARTED = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)


class ServedLogs:
    """Serves each province's read side from a thread of its own."""

    def __init__(self) -> None:
        self.provinces = Provinces(*four.NODES, start=STARTED)
        self.ports: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._running: list[RunningHttp] = []
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._call(self._start())

    def close(self) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def write(self, folder: Path) -> Path:
        """Writes the agreement and the federation file; returns the file's path."""
        files = four.build(four.Plan(bundles=tuple(self._bundle(node) for node in four.NODES), now=STARTED))
        write_repository(folder / "agreement", files)
        path = folder / "federation.json"
        nodes = [{"node": node, "read_url": f"http://127.0.0.1:{port}"} for node, port in self.ports.items()]
        agreement = {"path": "agreement", "version": 1, "root": root_digest(files.roots[0])}
        value = {"federation": four.FEDERATION, "realm": "demo", "agreement": agreement, "nodes": nodes, "clients": []}
        path.write_text(json.dumps(value))
        return path

    def _bundle(self, node: str) -> four.Bundle:
        province = self.provinces[node].member()
        member = replace(
            four.member(node),
            read_url=f"http://127.0.0.1:{self.ports[node]}",
            log_vkey=province.log_vkey,
            witness_vkey=province.witness_vkey,
            message_keys=province.message_keys,
        )
        return replace(four.bundle(node), member=member)

    async def _start(self) -> None:
        for node, province in self.provinces.nodes.items():
            running = await serve_http(read_app(_Reads(province).functions()), host="127.0.0.1", port=0)
            self._running.append(running)
            self.ports[node] = running.port

    async def _stop(self) -> None:
        await asyncio.gather(*(running.stop() for running in self._running))

    def _call(self, work) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)


@dataclass(frozen=True)
class _Reads:
    province: Province

    def functions(self) -> ReadFunctions:
        return ReadFunctions(
            checkpoint=self.province.checkpoint,
            tile=self.tile,
            add_checkpoint=self.add_checkpoint,
            cosigned=self.cosigned,
            health=self.health,
        )

    async def tile(self, tile: Tile) -> bytes:
        return await self.province.load(tile)

    async def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        return WitnessAnswer(status=Status.UNKNOWN_LOG, body=b"")

    async def cosigned(self, origin_hash: str) -> bytes:
        for origin, note in self.province.others.items():
            if sha256(origin.encode()).hexdigest() == origin_hash:
                return note
        raise NotFoundError("NEVER_COSIGNED", "none")

    async def health(self) -> str | None:
        return None
