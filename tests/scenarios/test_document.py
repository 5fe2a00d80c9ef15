"""A document of a case crosses between two running nodes over a line that is cut three times; what memory that takes.

A picture of an alert crosses by the same way, to the desk that was told and while the alert lets it.
`BRIDGEHEAD_DOCUMENT_MB=1024` sends one of 1 GiB.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from federation.cli.demo.provinces import stop_nodes
from federation.domain.case_items import CaseItem
from federation.domain.documents import CHUNK_BYTES, Manifest, manifest_fields
from federation.protocol.errors import BridgeheadError, UnavailableError
from federation.protocol.form import names_of, replace
from federation.protocol.ids import NodeName
from federation.wire.agency import alerts, cases, documents
from federation.wire.agency.alerts import AlertRaising, AlertStep
from federation.wire.agency.cases import CaseOpening, CaseStep
from federation.wire.agency.documents import ChunkUpload, DocumentPlace, DocumentUpload
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act
from tests.ports import free_ports
from tests.scenarios.provinces import ISLAND, Federation, make_federation, start_node

ZHEJIANG, JIANGXI = NodeName("zhejiang"), NodeName("jiangxi")
TOWN, PEER = "zhejiang/330822/town", "jiangxi/361123/governance"
CHUNKS = int(os.environ.get("BRIDGEHEAD_DOCUMENT_MB", "12"))
MOST_MB = 300
ALERT, DESK, NUMBER = ("alert.incident", "F12"), "330822.police", "330822219003070018"
PICTURE = b"\xff\xd8\xff" + hashlib.shake_128(b"a picture").digest(9000)
_BASE = hashlib.shake_128(b"a recording").digest(CHUNK_BYTES - 16)


def chunk_of(number: int) -> bytes:
    """One chunk of an invented document; no two are equal."""
    return (b"%PDF-1.7\n" if number == 0 else b"").ljust(8, b"\0")[:8] + number.to_bytes(8, "big") + _BASE


@dataclass
class Relay:
    """The line to a node: cut, with all that is under way, once so many bytes came from it."""

    port: int
    target: int
    cut_at: list[int]
    came: int = 0
    cuts: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    joined: set[asyncio.Future[None]] = field(default_factory=set)

    async def run(self) -> None:
        async with await asyncio.start_server(self._join, "127.0.0.1", self.port) as server:
            await server.serve_forever()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self.joined.add(task)
        try:
            there, to = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self.open |= {writer, to}
        await asyncio.gather(self._pass(reader, to, counts=False), self._pass(there, writer, counts=True))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(65_536):
                self.came += len(block) if counts else 0
                if counts and self.cut_at and self.came > self.cut_at[0]:
                    self.cut_at.pop(0)
                    self.cuts += 1
                    for each in self.open:
                        each.transport.abort()
                    self.open.clear()
                    return
                writer.write(block)
                await writer.drain()
        writer.transport.abort()


def peak_mb(pid: int) -> int:
    """The most memory that a process ever had, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


@dataclass(frozen=True)
class TwoNodes:
    """Zhejiang and Jiangxi as processes; Jiangxi looks for Zhejiang at `agreed`, where a relay is, and it is `behind`."""

    federation: Federation
    agreed: int
    behind: int

    @contextlib.asynccontextmanager
    async def line(self, *cut_at: int) -> AsyncIterator[Relay]:
        relay = Relay(self.agreed, self.behind, cut_at=list(cut_at))
        running = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            running.cancel()
            for each in relay.open:
                each.transport.abort()
            await asyncio.gather(running, *relay.joined, return_exceptions=True)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    federation = make_federation(tmp_path_factory.mktemp("two"), document_seconds=0.2, intake_seconds=0.2)
    settings = federation.home("zhejiang") / "node.toml"
    text = settings.read_text(encoding="utf-8")
    agreed, (behind,) = int(re.findall(r"peer_port = (\d+)", text)[0]), free_ports(1)
    settings.write_text(text.replace(f"peer_port = {agreed}", f"peer_port = {behind}"), encoding="utf-8")
    for node in (ZHEJIANG, JIANGXI):
        start_node(federation.made, node, island=ISLAND)
    yield TwoNodes(federation, agreed, behind)
    stop_nodes(federation.made)


def acts(purpose: str = "dispute.mediation", function: str = "F09") -> Act:
    """What an officer does in a mediation, or for another purpose."""
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=function, officer="officer-1")


async def patient(client: AgencyClient, rpc, question, *why: str):
    """What a node answers that may be starting."""
    asked = acts(*why)
    async with asyncio.timeout(60):
        while True:
            try:
                return await client.call(rpc, asked, question)
            except UnavailableError:
                await asyncio.sleep(0.05)


async def upload(client: AgencyClient) -> Manifest:
    made = DocumentUpload(
        name="录音.pdf", media_type="application/pdf", size=CHUNKS * CHUNK_BYTES, chunk_size=CHUNK_BYTES
    )
    standing = await client.call(documents.BEGIN_DOCUMENT, acts(), made)
    for number in range(CHUNKS):
        chunk = ChunkUpload(document=standing.document, number=number, data=chunk_of(number))
        standing = await client.call(documents.UPLOAD_CHUNK, acts(), chunk, timeout_seconds=120)
    return Manifest(
        name=made.name, media_type=made.media_type, size=made.size, chunk_size=made.chunk_size, root=standing.root
    )


async def download(client: AgencyClient, place: DocumentPlace) -> str:
    """The digest of what is read, through as many calls as it takes."""
    digest = hashlib.sha256()
    async with asyncio.timeout(600):
        while place.from_chunk < CHUNKS:
            try:
                async for part in client.watch(documents.DOWNLOAD_DOCUMENT, acts(), place):
                    digest.update(part.data)
                    place = replace(place, from_chunk=part.number + 1)
            except UnavailableError:
                await asyncio.sleep(0.1)
    return digest.hexdigest()


async def test_a_document_crosses_a_line_that_is_cut_three_times(two: TwoNodes) -> None:
    """It arrives whole, no chunk of it twice, and neither node holds more than a few chunks of it."""
    federation = two.federation
    async with (
        two.line(*(CHUNKS * CHUNK_BYTES * part // 4 for part in (1, 2, 3))) as relay,
        federation.client(TOWN) as town,
        federation.client(PEER) as peer,
    ):
        opening = CaseOpening(
            procedure="dispute-mediation", role="town", division="330822",
            fields={"stage": "registration", "source": "walk_in"},
        )  # fmt: skip
        opened = await patient(town, cases.OPEN_CASE, opening)
        code, record = opened.line.code, opened.line.record
        invited = CaseStep(case=code, name="invite", fields={"agency": PEER, "role": "peer"})
        assert (await patient(town, cases.ACT_IN_CASE, invited)).decision.allowed
        while not (await patient(peer, cases.ACT_IN_CASE, CaseStep(case=record, name="join"))).decision.allowed:
            await asyncio.sleep(0.1)
        before = {node: peak_mb(federation.made.processes[node].pid) for node in (ZHEJIANG, JIANGXI)}

        made = await upload(town)
        item = CaseItem(kind="document", fields=manifest_fields(made))
        added = await town.call(cases.ACT_IN_CASE, acts(), CaseStep(case=code, name="add_document", items=(item,)))
        place = DocumentPlace(record=record, entry=added.entry.name, item=1)
        await listed(peer, place, 1)
        relay.came = 0
        whole = hashlib.sha256()
        for number in range(CHUNKS):
            whole.update(chunk_of(number))
        started = asyncio.get_running_loop().time()
        assert await download(peer, place) == whole.hexdigest()
        seconds = asyncio.get_running_loop().time() - started

        peaks = {node: peak_mb(federation.made.processes[node].pid) for node in (ZHEJIANG, JIANGXI)}
        print(f"document of {CHUNKS} MiB in {seconds:.1f} s, {relay.cuts} cuts, {relay.came >> 20} MiB came")
        print(f"peak memory, before and after, MiB: {before} {peaks}")
        assert relay.cuts == 3
        assert relay.came < CHUNKS * CHUNK_BYTES * 1.1 + 8 * CHUNK_BYTES
        assert max(peaks.values()) < MOST_MB


async def picture(client: AgencyClient, **raising: str) -> DocumentPlace:
    """Raises an alert about who is missing, and files a picture with it."""
    fields = {
        "desk": DESK,
        "kind": "help.missing",
        "area": "330822.circle.qiuchuan",
        "division": "330822111",
        **raising,
    }
    items = (CaseItem(kind="person", fields={"name": "林甲", "sex": "f", "number": NUMBER}),)
    raised = await patient(client, alerts.RAISE_ALERT, AlertRaising(fields=fields, items=items), *ALERT)
    assert raised.line is not None, raised.decision
    made = DocumentUpload(name="林甲.jpg", media_type="image/jpeg", size=len(PICTURE), chunk_size=4096)
    upload = await client.call(documents.BEGIN_DOCUMENT, acts(*ALERT), made)
    for number in range(-(-len(PICTURE) // 4096)):
        chunk = ChunkUpload(document=upload.document, number=number, data=PICTURE[number * 4096 :][:4096])
        upload = await client.call(documents.UPLOAD_CHUNK, acts(*ALERT), chunk)
    manifest = Manifest(**{name: getattr(made, name) for name in names_of(made)}, root=upload.root)
    item = CaseItem(kind="document", fields=manifest_fields(manifest))
    step = AlertStep(alert=raised.line.record, name="note", fields={"desk": DESK}, items=(item,))
    noted = await client.call(alerts.ACT_IN_ALERT, acts(*ALERT), step)
    return DocumentPlace(record=str(raised.line.record), entry=noted.entry.name, item=1)


async def listed(client: AgencyClient, place: DocumentPlace, count: int, *why: str) -> None:
    """Waits until an office has the record and finds so many documents in it."""
    async with asyncio.timeout(60):
        while True:
            found = await patient(client, documents.LIST_DOCUMENTS, place.record, *why)
            if found.decision.allowed and len(found.lines) == count:
                return
            await asyncio.sleep(0.05)


async def read(client: AgencyClient, place: DocumentPlace) -> bytes:
    return b"".join([part.data async for part in client.watch(documents.DOWNLOAD_DOCUMENT, acts(*ALERT), place)])


async def refused(client: AgencyClient, place: DocumentPlace) -> str:
    with pytest.raises(BridgeheadError) as caught:
        await read(client, place)
    return caught.value.reason


async def test_a_picture_is_pulled_by_the_desk_that_was_told_and_no_longer_than_the_alert(two: TwoNodes) -> None:
    """A desk that was not told, an exercise, an alert that ended, and no consent are refused."""
    federation = two.federation
    async with (
        two.line(),
        federation.client("zhejiang/330822/police") as police,
        federation.client(PEER) as peer,
        federation.client("jiangxi/361123/emergency") as untold,
    ):
        agreed = {"ticked": "both_sides,family_consent"}
        place, drill = await picture(police, **agreed), await picture(police, **agreed, status="Exercise")
        withheld = await picture(police, ticked="both_sides")
        for each, count in ((place, 1), (drill, 0), (withheld, 0)):
            await listed(peer, each, count, *ALERT)
        assert await read(peer, place) == PICTURE
        assert [await refused(peer, each) for each in (drill, withheld)] == ["DOCUMENT_NOT_OPEN"] * 2
        assert not (await untold.call(documents.LIST_DOCUMENTS, acts(*ALERT), place.record)).decision.allowed
        assert await refused(untold, place) == "DOCUMENT_NOT_OPEN"

        ending = AlertStep(alert=place.record, name="cancel", fields={"desk": DESK, "why": "lifted"})
        assert (await police.call(alerts.ACT_IN_ALERT, acts(*ALERT), ending)).decision.allowed
        await listed(peer, place, 0, *ALERT)
        assert await refused(peer, place) == "DOCUMENT_NOT_OPEN"
