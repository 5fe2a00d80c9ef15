"""A hostile member at the documents of a case: what it serves, what it asks for; and an office that fills its node."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from federation.domain.case_items import CaseItem
from federation.domain.documents import Chunk, Manifest, Prover, hash_chunk, manifest_fields
from federation.domain.joint_record import Place
from federation.protocol.errors import BridgeheadError, NotFoundError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import RecordId
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.receipt import Receipt
from federation.protocol.tlog.merkle import merkle_root
from federation.wire.agency import cases, documents
from federation.wire.agency.cases import CaseOpening, CaseStep
from federation.wire.agency.documents import ChunkUpload, DocumentLine, DocumentPlace, DocumentUpload
from federation.wire.client import AgencyClient
from federation.wire.limits import STREAMS_EACH
from federation.wire.peer import FETCH_AGREEMENT, FETCH_DOCUMENT
from federation.wire.rpc import Act
from tests.attacks.hostage import Attacked, attacked_node
from tests.attacks.hostile_member import OFFICE, WHY, HostileMember
from tests.attacks.table import MOST_MB, Measure

TOWN, OTHER = "jiangxi/361123/town", "jiangxi/361123/governance"
SIZE = 4096
MIB = 1024 * 1024
SECONDS = 60


def acts() -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose=WHY[0], function=WHY[1], officer="officer-1")


@dataclass
class Document:
    """A document of the hostile member: its bytes in chunks, and a manifest that is true of them."""

    name: str
    chunks: tuple[bytes, ...]
    manifest: Manifest = field(init=False)

    def __post_init__(self) -> None:
        salted = [hash_chunk(self.salt(number), data) for number, data in enumerate(self.chunks)]
        self.prover = Prover(salted)
        self.manifest = Manifest(
            name=self.name, media_type="application/pdf", size=sum(map(len, self.chunks)), chunk_size=len(self.chunks[0]),
            root=merkle_root(salted).hex(),
        )  # fmt: skip

    @staticmethod
    def salt(number: int) -> bytes:
        return number.to_bytes(32)

    def chunk(self, number: int) -> Chunk:
        return Chunk(
            number=number, salt=self.salt(number), data=self.chunks[number], proof=self.prover.prove(number)
        )  # fmt: skip


def made(name: str, count: int = 4) -> Document:
    noise = hashlib.shake_128(name.encode()).digest(count * SIZE)
    chunks = [noise[number * SIZE :][:SIZE] for number in range(count)]
    return Document(name, (b"%PDF-1.7\n" + chunks[0][9:], *chunks[1:]))


@dataclass
class Attack:
    """The node, the hostile member, and the case of Yushan's town in which it takes part."""

    node: Attacked
    member: HostileMember
    record: RecordId
    own: DocumentPlace
    """A document of the town that is open to the member."""
    place: Place

    async def files(self, manifest: Manifest) -> DocumentPlace:
        """The member files a document under that manifest, whatever is true of it."""
        item = CaseItem(kind="document", fields=manifest_fields(manifest))
        sent, name = self.member.entry(self.record, self.place, "add_document", item)
        (answer,) = await self.member.sends(sent)
        assert isinstance(answer, Receipt), answer
        assert decode_leaf(answer.leaf).verdict is Verdict.ALLOWED
        self.place = Place(n=self.place.n + 1, parents=frozenset({name}), height=self.place.height + 1)
        return DocumentPlace(record=self.record, entry=name, item=1)

    @asynccontextmanager
    async def town(self, office: str = TOWN):
        async with self.node.client(office) as client:
            yield client

    async def line(self, place: DocumentPlace) -> DocumentLine:
        async with self.town() as town:
            found = await town.call(documents.LIST_DOCUMENTS, acts(), self.record)
        return next(line for line in found.lines if line.entry == place.entry)

    async def until(self, holds) -> None:
        async with asyncio.timeout(SECONDS):
            while not await holds():
                await asyncio.sleep(0.05)


async def read(town: AgencyClient, place: DocumentPlace) -> bytes:
    return b"".join([part.data async for part in town.watch(documents.DOWNLOAD_DOCUMENT, acts(), place)])


async def upload(town: AgencyClient, chunks: Sequence[bytes], *, begin: int = 0, document: str = "") -> str:
    for number in range(begin, len(chunks)):
        chunk = ChunkUpload(document=document, number=number, data=chunks[number])
        standing = await town.call(documents.UPLOAD_CHUNK, acts(), chunk, timeout_seconds=60)
    return standing.root


async def _set_up(attacked: Attacked) -> Attack:
    member = HostileMember(attacked)
    async with attacked.client(TOWN) as town:
        opening = CaseOpening(
            procedure="dispute-mediation", role="town", division="361123",
            fields={"stage": "registration", "source": "walk_in"},
        )  # fmt: skip
        opened = await town.call(cases.OPEN_CASE, acts(), opening, timeout_seconds=60)
        assert opened.line is not None, opened.decision
        record = RecordId(opened.line.record)
        chunks = [b"%PDF-1.7\n".ljust(MIB, b"0"), *[bytes(MIB)] * 7]
        asked = DocumentUpload(name="录音.pdf", media_type="application/pdf", size=8 * MIB, chunk_size=MIB)
        standing = await town.call(documents.BEGIN_DOCUMENT, acts(), asked)
        root = await upload(town, chunks, document=standing.document)
        manifest = Manifest(
            name=asked.name, media_type=asked.media_type, size=asked.size, chunk_size=MIB, root=root
        )  # fmt: skip
        item = CaseItem(kind="document", fields=manifest_fields(manifest))
        added = await town.call(
            cases.ACT_IN_CASE, acts(), CaseStep(case=record, name="add_document", items=(item,)), timeout_seconds=60
        )
        invited = await town.call(
            cases.ACT_IN_CASE, acts(),
            CaseStep(case=record, name="invite", fields={"agency": str(OFFICE), "role": "peer"}), timeout_seconds=60,
        )  # fmt: skip
    place = Place(n=1, parents=frozenset({invited.entry.name}), height=3)
    sent, name = member.entry(record, place, "join")
    (answer,) = await member.sends(sent)
    assert isinstance(answer, Receipt), answer
    return Attack(
        attacked, member, record, DocumentPlace(record=record, entry=added.entry.name, item=1),
        Place(n=2, parents=frozenset({name}), height=4),
    )  # fmt: skip


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    settings = {
        "document_seconds": 0.1,
        "documents_gib_an_office": 1,
        "documents_gib_a_province": 3,
        "documents_gib": 8,
        "slow_reader_seconds": 1,
    }
    with attacked_node(tmp_path_factory.mktemp("documents"), **settings) as made_node:
        yield asyncio.run(_set_up(made_node))


@pytest.mark.attack("chunks that are none of the document", held_by="each is proved under the signed root")
async def test_wrong_chunks_are_not_taken_in(attack: Attack, memory: Measure) -> None:
    """Another byte, another place, another salt, and one too large: none is kept; the office is told why none comes."""
    true = made("证据.pdf")
    place = await attack.files(true.manifest)
    wrong = [
        replace(true.chunk(0), data=bytes(SIZE)), true.chunk(1), replace(true.chunk(0), salt=bytes(31)),
        replace(true.chunk(0), data=bytes(4 * MIB)), replace(true.chunk(0), proof=(bytes(32),) * 4096),
    ]  # fmt: skip

    async def serve(_: DocumentPlace) -> AsyncGenerator[Chunk, None]:
        yield wrong[len(attack.member.asked) % len(wrong)]

    attack.member.serve = serve
    attack.member.asked.clear()
    with memory(attack.node.pid) as growth:
        async with attack.member.serving(), attack.town() as town:
            reading = asyncio.create_task(read(town, place))

            async def tried() -> bool:
                return len(attack.member.asked) >= 3 and bool((await attack.line(place)).reason)

            await attack.until(tried)
            assert (await attack.line(place)).here == 0
            reading.cancel()
            with suppress(asyncio.CancelledError, BridgeheadError):
                await reading
    assert growth.mb < MOST_MB


@pytest.mark.attack("a stream of chunks without an end", held_by="no more are read than the manifest names")
async def test_endless_stream_ends_with_the_document(attack: Attack, memory: Measure) -> None:
    """What is true of it is read; behind the last chunk the stream is closed, whatever follows."""
    true, closed = made("合同.pdf"), asyncio.Event()
    place = await attack.files(true.manifest)

    async def serve(asked: DocumentPlace) -> AsyncGenerator[Chunk, None]:
        try:
            for number in range(asked.from_chunk, 4):
                yield true.chunk(number)
            while True:
                yield replace(true.chunk(3), data=bytes(MIB))
        finally:
            if asked.entry == place.entry:
                closed.set()

    attack.member.serve = serve
    with memory(attack.node.pid) as growth:
        async with attack.member.serving(), attack.town() as town:
            assert await read(town, place) == b"".join(true.chunks)
            async with asyncio.timeout(SECONDS):
                await closed.wait()
    assert growth.mb < MOST_MB


@pytest.mark.attack("a manifest that lies about root and size", held_by="room for each province")
async def test_document_that_claims_too_much_takes_no_more_than_the_room_of_its_province(attack: Attack) -> None:
    """One that is said to have 2 GiB gives no chunk; a second has no room; both say so, and a small one still comes."""
    lying = [replace(made(f"大件{number}.pdf").manifest, size=2 << 30, chunk_size=MIB) for number in range(2)]
    true = made("小件.pdf")
    places = [await attack.files(each) for each in lying]
    small = await attack.files(true.manifest)

    async def serve(asked: DocumentPlace) -> AsyncGenerator[Chunk, None]:
        for number in range(asked.from_chunk, 4):
            yield true.chunk(number)

    attack.member.serve = serve
    async with attack.member.serving(), attack.town() as town:
        reading = asyncio.create_task(read(town, places[0]))

        async def refused() -> bool:
            return bool((await attack.line(places[0])).reason)

        await attack.until(refused)
        with pytest.raises(UnavailableError, match="BLOBS_FULL"):
            await read(town, places[1])
        assert await read(town, small) == b"".join(true.chunks)
        reading.cancel()
        with suppress(asyncio.CancelledError, BridgeheadError):
            await reading


@pytest.mark.attack("streams that drip, and connections that are cut", held_by="few pulls of a peer, each goes on")
async def test_dripping_streams_hold_two_pulls_and_cut_ones_go_on(attack: Attack, memory: Measure) -> None:
    """Of five documents that never come two are pulled at a time; one that comes a chunk a connection comes whole."""
    cut, begun = made("笔录.pdf"), 0
    dripping = [await attack.files(made(f"滴{number}.pdf").manifest) for number in range(5)]
    whole = await attack.files(cut.manifest)

    async def one_each(asked: DocumentPlace) -> AsyncGenerator[Chunk, None]:
        yield cut.chunk(asked.from_chunk)

    attack.member.serve = one_each
    attack.member.asked.clear()
    with memory(attack.node.pid) as growth:
        async with attack.member.serving(), attack.town() as town:
            assert await read(town, whole) == b"".join(cut.chunks)
            starts = [asked.from_chunk for asked in attack.member.asked if asked.entry == whole.entry]
            assert starts == [0, 1, 2, 3]

            async def drip(_: DocumentPlace) -> AsyncGenerator[Chunk, None]:
                nonlocal begun
                begun += 1
                await asyncio.Event().wait()
                yield cut.chunk(0)

            attack.member.serve = drip
            reading = [asyncio.create_task(read(town, place)) for place in dripping]

            async def wanted() -> bool:
                return begun == 2

            await attack.until(wanted)
            assert attack.node.health() == 200
            assert begun == 2
            for each in reading:
                each.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
    assert growth.mb < MOST_MB


@pytest.mark.attack(
    "pulls of documents that are not open, and 100 that are not read", held_by="a share for each caller"
)
async def test_member_pulls_what_is_open_to_it_and_no_more_at_once(attack: Attack, memory: Measure) -> None:
    """Another thing, its own entry, another case: one no for all; unread streams hold its own share."""
    member, own = attack.member, attack.own
    client = member.client()
    foreign = await attack.files(made("己件.pdf").manifest)
    for place in (
        replace(own, item=2), replace(own, entry="0" * 64), foreign,
        replace(own, record=RecordId(f"{own.record[:-1]}{'1' if own.record.endswith('0') else '0'}")),
    ):  # fmt: skip
        with pytest.raises(BridgeheadError) as caught:
            _ = [chunk async for chunk in client.fetch_document(place)]
        assert caught.value.reason == "DOCUMENT_NOT_OPEN", place
    numbers = [chunk.number async for chunk in client.fetch_document(own)]
    assert numbers == list(range(8))
    with pytest.raises(NotFoundError, match="DOCUMENT_NOT_OPEN"):
        _ = [chunk async for chunk in client.fetch_document(replace(own, item=64))]
    await client.close()

    question = FETCH_DOCUMENT.encode_question(None, own).SerializeToString()
    with ExitStack() as opened, memory(attack.node.pid) as growth:
        streams: list[int] = []
        for _ in range(4):
            slow = opened.enter_context(attack.node.member(window=0))
            streams = [slow.ask(FETCH_DOCUMENT.path, question) for _ in range(25)]
        while len(slow.ended) < len(streams) - STREAMS_EACH:
            slow.read_frame()
        with attack.node.member("fujian") as other:
            assert other.answers(FETCH_AGREEMENT.path)
    assert growth.mb < MOST_MB


@pytest.mark.attack(
    "streams of a member that keeps its connection and reads nothing",
    held_by="who takes nothing for a minute is hung up on (wire/gatekeeper)",
)
async def test_member_that_reads_nothing_of_its_streams_is_hung_up_on(attack: Attack, memory: Measure) -> None:
    """Another connection of it reads meanwhile; then all its places are free. Here it is a second, not a minute."""
    client = attack.member.client()
    question = FETCH_DOCUMENT.encode_question(None, attack.own).SerializeToString()
    with memory(attack.node.pid) as growth, attack.node.member(window=0) as idle:
        streams = [idle.ask(FETCH_DOCUMENT.path, question) for _ in range(STREAMS_EACH - 1)]
        numbers = [chunk.number async for chunk in client.fetch_document(attack.own)]
        with suppress(ConnectionError):
            while True:
                idle.read_frame()
        assert not idle.ended & set(streams)
        attack.node.until_logged('"event": "stream.unread"')
        assert attack.node.log.read_text(encoding="utf-8").count("stream.unread") <= len(streams)
    await asyncio.gather(*(anext(client.fetch_document(attack.own)) for _ in range(STREAMS_EACH)))
    await client.close()
    assert numbers == list(range(8))
    assert growth.mb < MOST_MB


@pytest.mark.attack("300 half uploads of an office", held_by="room is taken when an upload is announced")
async def test_half_uploads_take_the_room_of_their_office_alone(attack: Attack, memory: Measure) -> None:
    """Beyond its room the office is told to wait; another office uploads meanwhile; nothing lies on the disk."""
    asked = DocumentUpload(name="半.pdf", media_type="application/pdf", size=64 * MIB, chunk_size=MIB)
    full = 0
    with memory(attack.node.pid) as growth:
        async with attack.town() as town, attack.town(OTHER) as other:
            for _ in range(300):
                try:
                    await town.call(documents.BEGIN_DOCUMENT, acts(), asked)
                except UnavailableError as error:
                    full += error.reason == "BLOBS_FULL"
            assert full >= 284
            standing = await other.call(documents.BEGIN_DOCUMENT, acts(), replace(asked, size=MIB))
            assert await upload(other, [b"%PDF-1.7\n".ljust(MIB, b"0")], document=standing.document)
    assert growth.mb < MOST_MB
    files = (attack.node.federation.home("jiangxi") / "blobs").glob("*")
    assert sum(file.stat().st_size for file in files) < 64 * MIB


@pytest.mark.attack("a disk that is full in the middle of a document", held_by="a chunk counts once it is durable")
async def test_disk_that_fills_refuses_the_chunk_and_takes_it_later(attack: Attack) -> None:
    """The office is told that the store is full; the node goes on; with room again the upload goes on where it was."""
    chunks = [b"%PDF-1.7\n".ljust(MIB, b"0"), *(bytes([number]) * MIB for number in range(1, 24))]
    asked = DocumentUpload(name="满.pdf", media_type="application/pdf", size=24 * MIB, chunk_size=MIB)
    _, hard = resource.prlimit(attack.node.pid, resource.RLIMIT_FSIZE)
    async with attack.town(OTHER) as office:
        standing = await office.call(documents.BEGIN_DOCUMENT, acts(), asked)
        resource.prlimit(attack.node.pid, resource.RLIMIT_FSIZE, (16 * MIB, hard))  # no file grows beyond it
        try:
            with pytest.raises(UnavailableError, match="STORE_FULL"):
                await upload(office, chunks, document=standing.document)
            assert attack.node.health() == 200
        finally:
            resource.prlimit(attack.node.pid, resource.RLIMIT_FSIZE, (hard, hard))
        first = ChunkUpload(document=standing.document, number=0, data=chunks[0])
        begin = (await office.call(documents.UPLOAD_CHUNK, acts(), first)).here
        assert begin == 15
        assert await upload(office, chunks, begin=begin, document=standing.document)
