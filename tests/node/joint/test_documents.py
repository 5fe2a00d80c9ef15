"""Documents of a case between two nodes: who is given one, until when, and that it is gone with what carried it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from federation.domain.case_items import CaseItem
from federation.domain.documents import Chunk, Manifest, manifest_fields
from federation.domain.erasure import ErasureGrounds
from federation.node import documents, documents_open
from federation.node.documents_open import open_to_province
from federation.node.documents_pull import keep_documents, serve_document
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.errand import begin_errand
from federation.node.joint.ends import close_items
from federation.node.joint.records import CASE
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName
from federation.store.messages import load_message
from federation.wire.agency.cases import EntryLine
from federation.wire.agency.documents import ChunkUpload, DocumentPlace, DocumentUpload
from tests.node.joint.desks import COURT, PEER, STRANGER, TOWN, WHY, Desks, desks
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG, act

SIZE = 4096
PDF = b"%PDF-1.7\n" + hashlib.shake_128(b"an agreement").digest(3 * SIZE)


@dataclass
class Line:
    """A node as another reaches it: what its port answers."""

    case: Desks
    of: NodeName
    to: NodeName

    async def fetch_document(self, place: DocumentPlace) -> AsyncGenerator[Chunk, None]:
        node = self.case.rig[self.of]
        find = partial(open_to_province, node, place, self.to)
        async with contextlib.aclosing(serve_document(node, place, self.to, find=find)) as chunks:
            async for chunk in chunks:
                yield chunk


@contextlib.asynccontextmanager
async def filed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Desks, EntryLine]]:
    """A case of Changshan and Yushan, with a document that Changshan has filed; both nodes pull."""
    monkeypatch.setattr(documents_open, "WAIT_SECONDS", 20.0)
    async with desks(folder) as case:
        await case.open()
        await case.invites(PEER, "peer")
        made = await upload(case, TOWN)
        entry = await case.does(TOWN, "add_document", item_of(made))
        await case.settled()
        pairs = ((JIANGXI, ZHEJIANG), (ZHEJIANG, JIANGXI))
        duties = [asyncio.create_task(keep_documents(case.rig[to], {of: Line(case, of, to)})) for to, of in pairs]
        try:
            yield case, entry
        finally:
            for duty in duties:
                duty.cancel()
            await asyncio.gather(*duties, return_exceptions=True)


def item_of(made: Manifest) -> CaseItem:
    return CaseItem(kind="document", fields=manifest_fields(made))


async def upload(case: Desks, agency: AgencyId) -> Manifest:
    """Uploads a document to the office's own node."""
    node = case.rig[agency.node]
    asked = DocumentUpload(name="协议.pdf", media_type="application/pdf", size=len(PDF), chunk_size=SIZE)
    standing = await documents.begin(begin_errand(node, agency, act(*WHY)), asked)
    for number in range(-(-len(PDF) // SIZE)):
        chunk = ChunkUpload(document=standing.document, number=number, data=PDF[number * SIZE :][:SIZE])
        standing = await documents.upload_chunk(begin_errand(node, agency, act(*WHY)), chunk)
    return Manifest(name=asked.name, media_type=asked.media_type, size=asked.size, chunk_size=SIZE, root=standing.root)


async def read(case: Desks, agency: AgencyId, entry: EntryLine, *, from_chunk: int = 0, item: int = 1) -> bytes:
    """The document as an office downloads it."""
    errand = begin_errand(case.rig[agency.node], agency, act(*WHY))
    place = DocumentPlace(record=case.record, entry=entry.name, item=item, from_chunk=from_chunk)
    return b"".join([part.data async for part in documents_open.download(errand, place)])


async def refused(case: Desks, agency: AgencyId, entry: EntryLine, **how: int) -> str:
    with pytest.raises(BridgeheadError) as caught:
        await read(case, agency, entry, **how)
    return caught.value.reason


async def lines_of(case: Desks, agency: AgencyId) -> list[tuple[str, int]]:
    errand = begin_errand(case.rig[agency.node], agency, act(*WHY))
    found = await documents_open.list_documents(errand, case.case)
    return [(line.manifest.name, line.here) for line in found.lines]


def files(case: Desks) -> int:
    """How many files of documents both nodes have."""
    return len(list((case.rig.folder / "blobs").glob("*")))


async def test_a_member_of_the_other_province_reads_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is pulled when an office asks, listed with how much is here, and read from any chunk on."""
    async with filed(tmp_path, monkeypatch) as (case, entry):
        assert await read(case, TOWN, entry) == PDF
        assert await lines_of(case, PEER) == [("协议.pdf", 0)]
        assert await read(case, PEER, entry) == PDF
        assert await lines_of(case, PEER) == [("协议.pdf", 4)] == await lines_of(case, TOWN)
        assert await read(case, PEER, entry, from_chunk=3) == PDF[3 * SIZE :]
        assert files(case) == 2


async def test_a_document_is_for_who_is_given_its_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger, a thing that is none, another province, and a member whose role sees no document get nothing."""
    async with filed(tmp_path, monkeypatch) as (case, entry):
        place = DocumentPlace(record=case.record, entry=entry.name, item=1)
        assert await refused(case, STRANGER, entry) == "DOCUMENT_NOT_OPEN"
        assert await refused(case, COURT, entry) == "DOCUMENT_NOT_OPEN"
        assert await refused(case, PEER, entry, item=2) == "DOCUMENT_NOT_OPEN"
        assert open_to_province(case.rig[ZHEJIANG], place, JIANGXI).stored.item == 1
        for wrong, to in (
            (place, FUJIAN),
            (replace(place, item=2), JIANGXI),
            (replace(place, entry="0" * 64), JIANGXI),
        ):
            with pytest.raises(BridgeheadError) as caught:
                open_to_province(case.rig[ZHEJIANG], wrong, to)
            assert caught.value.reason == "DOCUMENT_NOT_OPEN"
        await case.invites(STRANGER, "village")
        assert await refused(case, STRANGER, entry) == "DOCUMENT_NOT_OPEN"
        assert await lines_of(case, STRANGER) == []


async def test_a_member_that_was_removed_is_served_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had not pulled it does not get, though its part of the entry is still with it."""
    async with filed(tmp_path, monkeypatch) as (case, entry):
        await case.does(TOWN, "remove", agency=str(PEER), reason="不再需要")
        await case.settled()
        place = DocumentPlace(record=case.record, entry=entry.name, item=1)
        with pytest.raises(BridgeheadError) as caught:
            open_to_province(case.rig[ZHEJIANG], place, JIANGXI)
        assert caught.value.reason == "DOCUMENT_NOT_OPEN"
        assert await refused(case, PEER, entry) in ("DOCUMENT_NOT_OPEN", "DOCUMENT_REFUSED")


async def test_a_document_is_gone_with_what_carried_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The member's copy with the message that opened it, the author's with the items of its entry; the files, too."""
    async with filed(tmp_path, monkeypatch) as (case, entry):
        await read(case, PEER, entry)
        there, here = case.rig[JIANGXI], case.rig[ZHEJIANG]
        (handed,) = CASE.handed.each(there.database, under=f"{entry.name}/")
        message = load_message(there.database, "received", handed.message_id)
        await there.sequencer.commit(lambda tx: destroy_message(there, tx, message, grounds=ErasureGrounds.ORDERED))
        assert files(case) == 1
        assert await lines_of(case, PEER) == []
        assert await refused(case, PEER, entry) == "DOCUMENT_NOT_OPEN"

        await here.sequencer.commit(
            lambda tx: close_items(CASE, here, tx, name=entry.name, grounds=ErasureGrounds.EXPIRED)
        )
        assert files(case) == 0
        assert await refused(case, TOWN, entry) == "DOCUMENT_NOT_OPEN"


async def test_an_entry_carries_what_its_office_uploaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest of another office's, or filed before, or of bytes that are not here, is not written."""
    async with filed(tmp_path, monkeypatch) as (case, _):
        other = await upload(case, COURT)
        for made in (other, replace(other, root="ab" * 32)):
            with pytest.raises(BridgeheadError) as caught:
                await case.tries(TOWN, "add_document", item_of(made))
            assert caught.value.reason == "DOCUMENT_UNKNOWN"
        assert len([line for line in await case.entries(TOWN) if line.act == "add_document"]) == 1
