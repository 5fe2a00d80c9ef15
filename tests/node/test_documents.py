"""Documents at the nodes: uploaded, looked at, carried by an entry; pulled by another province through any break."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from dataclasses import dataclass, field

import pytest

from federation.domain.case_items import CaseItem, split
from federation.domain.documents import Chunk, Manifest, manifest_fields, media_type_of
from federation.node import documents, documents_pull
from federation.node.documents import file_documents, file_of, owner_of
from federation.node.documents_pull import (
    PULLS,
    HeldDocument,
    Wanted,
    find_held,
    keep_documents,
    pulled,
    serve_document,
)
from federation.node.exchange.errand import begin_errand
from federation.protocol.errors import BridgeheadError, NotFoundError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, RecordId
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.blobs import erase_blobs_of, room_taken
from federation.store.log_reader import load_entries
from federation.wire.agency.documents import ChunkUpload, DocumentPlace, DocumentUpload, UploadStanding
from tests.node.rig import HALL, JIANGXI, POLICE, ZHEJIANG, Rig, act

SIZE = 4096
ENTRY = "ab" * 32
RECORD = RecordId("zhejiang/01890a5d-ac96-774b-bcce-b302099a8057")
OWNER = MessageId("01890a5d-ac96-774b-bcce-b302099a8058")
PDF = b"%PDF-1.7\n" + hashlib.shake_128(b"a document").digest(7 * SIZE)


async def begin(
    rig: Rig, content: bytes = PDF, *, name: str = "协议.pdf", agency: AgencyId = HALL, request_id: str | None = None
) -> UploadStanding:
    """Announces a document."""
    media_type = media_type_of(name)
    errand = begin_errand(rig[agency.node], agency, act(request_id=request_id))
    asked = DocumentUpload(name=name, media_type=media_type, size=len(content), chunk_size=SIZE)
    return await documents.begin(errand, asked)


async def send(
    rig: Rig, standing: UploadStanding, content: bytes = PDF, *, agency: AgencyId = HALL, until: int | None = None
) -> UploadStanding:
    """Uploads what is not there yet, up to a chunk."""
    for number in range(standing.here, -(-len(content) // SIZE))[:until]:
        chunk = ChunkUpload(document=standing.document, number=number, data=content[number * SIZE :][:SIZE])
        standing = await documents.upload_chunk(begin_errand(rig[agency.node], agency, act()), chunk)
    return standing


async def refused(call: Awaitable[object]) -> str:
    """The reason that a call is refused for."""
    with pytest.raises(BridgeheadError) as caught:
        await call
    return caught.value.reason


def manifest_of(standing: UploadStanding, content: bytes = PDF, name: str = "协议.pdf") -> Manifest:
    return Manifest(name=name, media_type=media_type_of(name), size=len(content), chunk_size=SIZE, root=standing.root)


async def filed(rig: Rig, content: bytes = PDF, *, entry: str = ENTRY) -> Manifest:
    """A document of Zhejiang that an entry carries."""
    made = manifest_of(await send(rig, await begin(rig, content), content), content)
    await carry(rig, made, entry=entry)
    return made


async def carry(rig: Rig, made: Manifest, *, entry: str = ENTRY, agency: AgencyId = HALL) -> None:
    """Has an entry carry a document."""
    places = split([CaseItem(kind="document", fields=manifest_fields(made))], realm=rig.agreement.realm)
    await rig[ZHEJIANG].sequencer.commit(lambda tx: file_documents(tx, places, entry=entry, agency=agency))


def blob_files(rig: Rig) -> int:
    """How many files of blobs there are: both nodes of a rig have theirs in one folder."""
    return len(list((rig.folder / "blobs").glob("*")))


@dataclass
class Line:
    """Zhejiang as Jiangxi reaches it: served by the very function, cut and tampered with as a test says."""

    rig: Rig
    entry: str = ENTRY
    cut_after: list[int] = field(default_factory=list)
    tamper: int | None = None
    is_open: bool = True
    asked: list[int] = field(default_factory=list)
    sent: int = 0

    async def fetch_document(self, place: DocumentPlace) -> AsyncGenerator[Chunk, None]:
        self.asked.append(place.from_chunk)
        left = self.cut_after.pop(0) if self.cut_after else None
        async with contextlib.aclosing(serve_document(self.rig[ZHEJIANG], place, JIANGXI, find=self._find)) as chunks:
            async for chunk in chunks:
                if left == 0:
                    raise UnavailableError("PEER_DOWN", "the line was cut")
                left = None if left is None else left - 1
                self.sent += 1
                yield replace(chunk, data=bytes(len(chunk.data))) if chunk.number == self.tamper else chunk

    def _find(self) -> HeldDocument:
        held = find_held(self.rig[ZHEJIANG].database, owner_of(self.entry), 1)
        if held is None or not self.is_open:
            raise NotFoundError("DOCUMENT_NOT_OPEN", "not open")
        return held


@contextlib.asynccontextmanager
async def pulling(rig: Rig, line: Line, *, clock: bool = True) -> AsyncIterator[None]:
    """Jiangxi's duty at work; the pauses of a broken line pass at once."""
    duty = asyncio.create_task(keep_documents(rig[JIANGXI], {ZHEJIANG: line}))

    async def pass_time() -> None:
        while True:
            await asyncio.sleep(0.005)
            rig.clock.advance(seconds=1)
            rig[JIANGXI].waiters.tell(documents_pull.WANTED)

    passing = asyncio.create_task(pass_time()) if clock else None
    try:
        yield
    finally:
        for task in (duty, passing):
            if task is not None:
                task.cancel()
        await asyncio.gather(duty, *([passing] if passing else []), return_exceptions=True)


def wanted(made: Manifest) -> Wanted:
    return Wanted(author=ZHEJIANG, record=RECORD, entry=ENTRY, item=1, owner=OWNER, manifest=made)


def read_all(rig: Rig, node: NodeName, held: HeldDocument) -> bytes:
    with file_of(rig[node], held.blob.id, held.stored.manifest).open() as content:
        return content.read()


async def test_an_upload_goes_on_after_a_break_and_is_carried_once(rig: Rig) -> None:
    """The same request id tells how far it is; the whole has a root, and one entry of that office carries it."""
    request_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    first = await send(rig, await begin(rig, request_id=request_id), until=3)
    again = await begin(rig, request_id=request_id)
    assert (
        (first.document, first.here, first.root) == (again.document, 3, "") == (again.document, again.here, again.root)
    )

    whole = await send(rig, again)
    assert whole.here == 8
    made = manifest_of(whole)
    for agency, changed in (
        (POLICE, made),
        (HALL, replace(made, size=made.size - 1)),
        (HALL, replace(made, root="0" * 64)),
    ):
        assert await refused(carry(rig, changed, agency=agency)) == "DOCUMENT_UNKNOWN"
    await carry(rig, made)
    assert await refused(carry(rig, made, entry="cd" * 32)) == "DOCUMENT_UNKNOWN"
    held = find_held(rig[ZHEJIANG].database, owner_of(ENTRY), 1)
    assert held is not None
    assert read_all(rig, ZHEJIANG, held) == PDF


async def test_chunks_of_another_office_or_out_of_turn_are_refused(rig: Rig) -> None:
    """An upload is its office's; a chunk has its length and its turn."""
    standing = await begin(rig)
    node = rig[ZHEJIANG]

    def upload(agency: AgencyId, number: int, data: bytes) -> Awaitable[UploadStanding]:
        chunk = ChunkUpload(document=standing.document, number=number, data=data)
        return documents.upload_chunk(begin_errand(node, agency, act()), chunk)

    assert await refused(upload(POLICE, 0, PDF[:SIZE])) == "DOCUMENT_UNKNOWN"
    assert await refused(upload(HALL, 0, PDF[:10])) == "DOCUMENT_CHUNK"
    assert await refused(upload(HALL, 1, PDF[SIZE : 2 * SIZE])) == "BLOB_ORDER"
    assert await refused(upload(HALL, 8, b"x")) == "DOCUMENT_CHUNK"


async def test_what_may_be_no_document_is_destroyed(rig: Rig) -> None:
    """A program under a document's name at its first chunk, one within an archive with the last."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "word " * 2000)
        archive.writestr("b.txt", b"MZ\x90\x00")
    for content, name in ((b"MZ" + PDF, "协议.pdf"), (packed.getvalue(), "材料.zip")):
        standing = await begin(rig, content, name=name)
        assert await refused(send(rig, standing, content)) == "DOCUMENT_PROGRAM"
        assert await refused(send(rig, standing, content)) == "DOCUMENT_UNKNOWN"
    assert room_taken(rig[ZHEJIANG].database, str(HALL)).all == 0
    assert blob_files(rig) == 0


async def test_what_no_entry_carries_ends_after_a_day(rig: Rig) -> None:
    """Half an upload, or a whole one, goes with its room; one that an entry carries stays."""
    await filed(rig)
    await send(rig, await begin(rig), until=2)
    await send(rig, await begin(rig))

    assert await documents.end_uploads(rig[ZHEJIANG]) == 0
    rig.clock.advance(days=1, seconds=1)
    assert await documents.end_uploads(rig[ZHEJIANG]) == 2
    assert blob_files(rig) == 1
    assert await documents.end_uploads(rig[ZHEJIANG]) == 0


async def test_the_room_of_an_office_is_bounded(rig: Rig) -> None:
    """Room is taken when a document is announced, by the size that is said."""
    gib = 1024**3
    for _ in range(10):
        errand = begin_errand(rig[ZHEJIANG], HALL, act())
        asked = DocumentUpload(name="a.pdf", media_type="application/pdf", size=2 * gib, chunk_size=1024 * 1024)
        await documents.begin(errand, asked)
    assert await refused(begin(rig)) == "BLOBS_FULL"
    await begin(rig, agency=POLICE)


async def test_a_document_is_pulled_through_a_line_that_breaks_three_times(rig: Rig) -> None:
    """Each time it goes on behind the last chunk that is here: none is sent twice. That it left is one leaf."""
    made = await filed(rig)
    line = Line(rig, cut_after=[2, 1, 3])
    async with pulling(rig, line):
        held = await pulled(rig[JIANGXI], wanted(made), seconds=30)

    assert read_all(rig, JIANGXI, held) == PDF
    assert (line.asked, line.sent) == ([0, 2, 3, 6], made.chunks)
    assert PULLS.find(rig[JIANGXI].database, held.blob.id) is None
    node = rig[ZHEJIANG]
    leaves = [decode_leaf(entry) for entry in load_entries(node.database, 0, node.sequencer.head.size)]
    assert [leaf.kind for leaf in leaves].count(LeafKind.READING) == 1


async def test_a_chunk_that_was_tampered_with_is_never_kept(rig: Rig) -> None:
    """The pull says why it does not come on, and goes on once the peer sends what its entry said."""
    made = await filed(rig)
    line = Line(rig, tamper=4)
    async with pulling(rig, line):
        assert await refused(pulled(rig[JIANGXI], wanted(made), seconds=0.5)) == "DOCUMENT_ON_ITS_WAY"
        held = find_held(rig[JIANGXI].database, OWNER, 1)
        assert held is not None
        assert file_of(rig[JIANGXI], held.blob.id, made).count() == 4
        pull = PULLS.find(rig[JIANGXI].database, held.blob.id)
        assert pull is not None
        assert pull.reason == "INCLUSION"
        line.tamper = None
        held = await pulled(rig[JIANGXI], wanted(made), seconds=30)
    assert read_all(rig, JIANGXI, held) == PDF


async def test_a_document_that_is_not_open_is_not_pulled(rig: Rig) -> None:
    """The no of the other side ends the pull; who asks again tries again."""
    made = await filed(rig)
    line = Line(rig, is_open=False)
    async with pulling(rig, line, clock=False):
        assert await refused(pulled(rig[JIANGXI], wanted(made), seconds=30)) == "DOCUMENT_REFUSED"
        assert line.asked == [0]
        line.is_open = True
        await pulled(rig[JIANGXI], wanted(made), seconds=30)


async def test_what_may_be_no_document_is_read_by_nobody_here(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that looks at nothing hands a program on: the first chunk is refused here, for good."""
    monkeypatch.setattr(documents, "verify_start", lambda *_: None)
    monkeypatch.setattr(documents, "verify_content", lambda *_: None)
    made = await filed(rig, b"MZ" + PDF)
    async with pulling(rig, Line(rig), clock=False):
        assert await refused(pulled(rig[JIANGXI], wanted(made), seconds=30)) == "DOCUMENT_REFUSED"
    held = find_held(rig[JIANGXI].database, OWNER, 1)
    assert held is not None
    assert file_of(rig[JIANGXI], held.blob.id, made).count() == 0


async def test_a_pulled_document_dies_with_the_message_that_opened_it(rig: Rig) -> None:
    """Key and file go with the message, also while it is pulled; so does that it is wanted."""
    made = await filed(rig)
    line = Line(rig, cut_after=[3])
    async with pulling(rig, line, clock=False):
        assert await refused(pulled(rig[JIANGXI], wanted(made), seconds=0.3)) == "DOCUMENT_ON_ITS_WAY"
        assert blob_files(rig) == 2
        await rig[JIANGXI].sequencer.commit(lambda tx: erase_blobs_of(tx, OWNER))
        assert blob_files(rig) == 1
    await rig[ZHEJIANG].sequencer.commit(lambda tx: erase_blobs_of(tx, owner_of(ENTRY)))
    assert blob_files(rig) == 0
    assert find_held(rig[ZHEJIANG].database, owner_of(ENTRY), 1) is None


async def test_a_write_that_is_at_work_leaves_no_file_behind(rig: Rig) -> None:
    """Whoever writes a chunk of a document that was erased meanwhile leaves nothing on the disk."""
    standing = await send(rig, await begin(rig), until=1)
    made = replace(manifest_of(standing), root="0" * 64)
    file = file_of(rig[ZHEJIANG], standing.document, made)
    await rig[ZHEJIANG].sequencer.commit(lambda tx: documents.end_upload(tx, standing.document))

    for number in (0, 1):
        with pytest.raises(NotFoundError):
            file.append(number, bytes(32 + SIZE), bytes(32))
    assert blob_files(rig) == 0
