"""Documents of joint records at the office that files one: announced, uploaded chunk by chunk, carried by an entry.

Rules kept: room is taken when a document is announced, and given back when it ends; what no entry carries ends after a
day; chunks come in order and each is durable before it counts, so that an upload goes on after any break; with the last
one the bytes are looked at, and what may be no document is destroyed. An entry of the office that uploaded a document
carries it, once: from then on it dies with the items of that entry. Source: DESIGN section 5.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import ClassVar, Final

from federation.domain.case_items import Part, Places
from federation.domain.documents import (
    DOCUMENT,
    FIELDS,
    SALT_BYTES,
    START_BYTES,
    Manifest,
    chunk_salt,
    hash_chunk,
    read_manifest,
    verify_content,
    verify_start,
)
from federation.node.exchange.errand import Errand, on
from federation.node.node import Node
from federation.protocol.errors import CorruptError, MalformedError, NotFoundError, RuleError, UnavailableError
from federation.protocol.form import Count, Item, Text, decode, encode, replace
from federation.protocol.ids import AgencyId
from federation.protocol.tlog.merkle import merkle_root
from federation.store.blobs import (
    Blob,
    BlobFile,
    Room,
    blobs_of_nobody,
    change_blob,
    each_blob,
    erase_blob,
    find_blob,
    has_blob,
    put_blob,
    stray_files,
)
from federation.store.collection import item_collection
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction
from federation.store.row_check import RowFinding
from federation.wire.agency import documents as wire
from federation.wire.agency.documents import ChunkUpload, DocumentUpload, UploadStanding

UPLOAD_TIME: Final = timedelta(days=1)
"""How long a document is kept that no entry carries."""
GIB: Final = 1024**3
_NO_ROOT: Final = "0" * 64
_AT_ONCE: Final = 64
_looking = threading.Lock()  # one document at a time is looked at: it takes as much memory as an archive within one


class StoredDocument(Item, frozen=True, kw_only=True):
    """The description beside the chunks; `salt` (hex) where it was uploaded, `item` of the entry once one carries it.

    The root is of zeros until all chunks of an upload are here; `looked` once the bytes of a pulled one were looked at.
    """

    WHAT: ClassVar[str] = "stored document"

    manifest: Manifest
    agency: AgencyId | None = None
    salt: str = ""
    item: Count = 0
    looked: Count = 0


class Upload(Item, frozen=True, kw_only=True):
    """A document that is whole and that no entry carries yet, found by its root."""

    WHAT: ClassVar[str] = "upload"

    root: Text
    document: Text


class DocumentBegun(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "document begun"

    document: Text


UPLOADS: Final = item_collection(Upload, kind="document-upload", id=lambda upload: upload.root, replica=True)


@on(wire.BEGIN_DOCUMENT)
async def begin(errand: Errand, asked: DocumentUpload) -> UploadStanding:
    """Announces a document and takes room for it; a repeat says how far it is.

    Refuses DOCUMENT_MANIFEST, DOCUMENT_TYPE, DOCUMENT_PROGRAM, BLOBS_FULL; DOCUMENT_UNKNOWN when it ended since.
    """
    node = errand.node
    manifest = read_manifest({
        "name": asked.name, "media_type": asked.media_type, "size": str(asked.size),
        "chunk_size": str(asked.chunk_size), "root": _NO_ROOT,
    })  # fmt: skip
    if manifest is None:
        raise MalformedError("DOCUMENT_MANIFEST", "expected name, kind and sizes")
    bound = errand.asked("document.begin", encode(manifest).decode())
    stored = StoredDocument(manifest=manifest, agency=errand.caller, salt=os.urandom(SALT_BYTES).hex())
    new = Blob(
        id=os.urandom(16).hex(), owner="", charged=str(errand.caller), size_bytes=asked.size, begun=node.now(),
        content=encode(stored),
    )  # fmt: skip

    def write(transaction: GroupTransaction) -> DocumentBegun:
        put_blob(transaction, new, room=room_of(node, each=node.settings.documents_gib_an_office))
        return DocumentBegun(document=new.id)

    known = errand.remembered(bound, DocumentBegun)
    begun = known.answer if known is not None else await errand.once(bound, DocumentBegun, write)
    blob, stored = _upload_of(errand, begun.document)
    here = await asyncio.to_thread(file_of(node, blob.id, stored.manifest).mend)
    return _standing(blob, stored, here=here)


@on(wire.UPLOAD_CHUNK)
async def upload_chunk(errand: Errand, chunk: ChunkUpload) -> UploadStanding:
    """Takes the next chunk; with the last one the bytes are looked at.

    Refuses DOCUMENT_UNKNOWN, DOCUMENT_CHUNK, BLOB_ORDER, STORE_FULL; DOCUMENT_TYPE, DOCUMENT_PROGRAM and
    DOCUMENT_ARCHIVE, after which the upload is gone.
    """
    node = errand.node
    blob, stored = _upload_of(errand, chunk.document)
    manifest = stored.manifest
    if len(chunk.data) != (length := manifest.length(chunk.number)):
        raise MalformedError("DOCUMENT_CHUNK", f"expected a chunk of {length} bytes, got {len(chunk.data)}")
    file = file_of(node, blob.id, manifest)
    try:
        if chunk.number == 0:
            verify_start(manifest.media_type, chunk.data[:START_BYTES])
        here = await asyncio.to_thread(_take, file, stored, chunk)
        if here == manifest.chunks and manifest.root == _NO_ROOT:
            stored = await _finish(node, blob, file, stored)
    except RuleError:
        await node.sequencer.commit(partial(end_upload, blob_id=blob.id))
        raise
    return _standing(blob, stored, here=here)


def file_documents(transaction: GroupTransaction, places: Places, *, entry: str, agency: AgencyId) -> None:
    """Has an entry of that name carry the documents whose manifests it holds.

    Refuses DOCUMENT_MANIFEST where a field of one is missing, DOCUMENT_UNKNOWN where its bytes are not here, whole,
    uploaded by that office and carried by no other entry.
    """
    parts = [decode(Part, item) for item in places.items]
    for number in sorted({part.item for kind, part in zip(places.classes, parts, strict=True) if kind == DOCUMENT}):
        fields = {part.field: part.value for part in parts if part.item == number}
        manifest = read_manifest(fields)
        if manifest is None:
            raise MalformedError("DOCUMENT_MANIFEST", f"expected the fields {', '.join(FIELDS)}", field=DOCUMENT)
        upload = UPLOADS.find(transaction, manifest.root)
        blob = find_blob(transaction, upload.document) if upload is not None else None
        stored = decode(StoredDocument, blob.content) if blob is not None else None
        if blob is None or stored is None or (stored.agency, stored.manifest) != (agency, manifest):
            raise RuleError("DOCUMENT_UNKNOWN", "expected a document that this office has uploaded and not filed yet")
        UPLOADS.erase(transaction, manifest.root)
        filed = replace(stored, item=number)
        change_blob(transaction, replace(blob, owner=owner_of(entry), content=encode(filed)))


def owner_of(entry: str) -> str:
    """Returns what the documents of an entry of ours die with."""
    return f"entry/{entry}"


def room_of(node: Node, *, each: int) -> Room:
    return Room(each=each * GIB, all=node.settings.documents_gib * GIB)


def file_of(node: Node, blob_id: str, manifest: Manifest) -> BlobFile:
    """The chunks of a document, the salt of each before it (BLOB)."""
    return _file_of(node.database, blob_id, manifest)


def _file_of(database: Database, blob_id: str, manifest: Manifest) -> BlobFile:
    return BlobFile(database, blob_id, size=manifest.size, chunk_size=manifest.chunk_size, beside=SALT_BYTES)


async def look_at(file: BlobFile, media_type: str) -> None:
    """Looks at the bytes of a whole document; refuses as `verify_content`."""

    def look() -> None:
        with _looking, file.open() as content:
            verify_content(media_type, content)

    await asyncio.to_thread(look)


def end_upload(transaction: GroupTransaction, blob_id: str) -> bool:
    """Destroys a document that no entry carries; False when one does by now, or it is gone."""
    blob = find_blob(transaction, blob_id)
    if blob is None or blob.owner:
        return False
    UPLOADS.erase(transaction, decode(StoredDocument, blob.content).manifest.root)
    return erase_blob(transaction, blob_id)


async def end_uploads(node: Node) -> int:
    """Destroys what no entry carries after its time; returns how many."""
    old = await asyncio.to_thread(
        lambda: blobs_of_nobody(node.database, before=node.now() - UPLOAD_TIME, limit=_AT_ONCE)
    )
    if not old:
        return 0
    return (await node.sequencer.commit(partial(_end_all, old))).value


def find_faults(database: Database) -> Iterator[RowFinding]:
    """Yields what of the documents is not as it was written: a row, its key, a whole document's file, a file of none.

    Every byte of what is whole is read. Of one that is still on its way the file is looked at when it is whole.
    """
    for blob_id in each_blob(database):
        try:
            fault = _fault_of(database, blob_id)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - a column of another type makes a reader raise anything
            is_key = isinstance(error, CorruptError) and error.reason == "BODY_KEY_MISSING"
            fault = ("missing", "body-key") if is_key else ("changed", "blob")
        if fault is not None and has_blob(database, blob_id):  # erased meanwhile, it is none
            yield RowFinding(*fault, blob_id)
    for key_id in stray_files(database):
        yield RowFinding("extra", "blob-file", str(key_id))


def _fault_of(database: Database, blob_id: str) -> tuple[str, str] | None:
    blob = find_blob(database, blob_id)
    stored = decode(StoredDocument, blob.content) if blob is not None else None
    if stored is None or stored.manifest.root == _NO_ROOT or not (stored.salt or stored.looked):
        return None
    file, manifest = _file_of(database, blob_id, stored.manifest), stored.manifest
    if not file.count():
        return "missing", "blob-file"
    hashes = file.hashes()
    try:
        leaves = (file.read(number) for number in range(manifest.chunks))
        same = all(hash_chunk(leaf[:SALT_BYTES], leaf[SALT_BYTES:]) == hashes[at] for at, leaf in enumerate(leaves))
    except (CorruptError, NotFoundError, IndexError):
        same = False
    return None if same and merkle_root(hashes).hex() == manifest.root else ("changed", "blob-file")


def _end_all(ids: Sequence[str], transaction: GroupTransaction) -> int:
    return sum(end_upload(transaction, blob_id) for blob_id in ids)


def _take(file: BlobFile, stored: StoredDocument, chunk: ChunkUpload) -> int:
    salt = chunk_salt(bytes.fromhex(stored.salt), chunk.number)
    return file.append(chunk.number, salt + chunk.data, hash_chunk(salt, chunk.data))


async def _finish(node: Node, blob: Blob, file: BlobFile, stored: StoredDocument) -> StoredDocument:
    await look_at(file, stored.manifest.media_type)
    root = merkle_root(await asyncio.to_thread(file.hashes)).hex()
    whole = replace(stored, manifest=replace(stored.manifest, root=root))

    def write(transaction: GroupTransaction) -> None:
        now = find_blob(transaction, blob.id)
        if now is not None and not now.owner:
            change_blob(transaction, replace(now, content=encode(whole)))
            UPLOADS.put(transaction, Upload(root=root, document=blob.id), owner=node.name)

    await node.sequencer.commit(write)
    return whole


def _upload_of(errand: Errand, document: str) -> tuple[Blob, StoredDocument]:
    """An upload of the caller's office that no entry carries (DOCUMENT_UNKNOWN)."""
    blob = find_blob(errand.node.database, document)
    stored = decode(StoredDocument, blob.content) if blob is not None and not blob.owner else None
    if blob is None or stored is None or stored.agency != errand.caller:
        raise NotFoundError("DOCUMENT_UNKNOWN", "this office uploads no such document, or it ended: begin again")
    return blob, stored


def _standing(blob: Blob, stored: StoredDocument, *, here: int) -> UploadStanding:
    root = "" if stored.manifest.root == _NO_ROOT else stored.manifest.root
    return UploadStanding(
        document=blob.id, salt=bytes.fromhex(stored.salt), here=here, root=root, expires=blob.begun + UPLOAD_TIME
    )
