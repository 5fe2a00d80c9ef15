"""Documents between provinces: served to whom an entry opened one, pulled by who wants one, chunk by chunk.

Rules kept: a chunk counts once it is proved against the manifest that the entry's author signed, and is durable; a pull
goes on behind the last such chunk after any break, so that nothing is fetched twice, and holds one chunk at a time. A
peer that sends what does not verify, or nothing, loses the stream; pauses grow to ten minutes, and progress ends them.
What may be no document is not read by anybody here. That a document left this province is a `reading` leaf.
Trusts nothing that a peer streams. Source: DESIGN sections 3 and 5.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, ClassVar, Final, Protocol

import structlog

from federation.domain.documents import SALT_BYTES, START_BYTES, Chunk, Manifest, Prover, verify_chunk, verify_start
from federation.node.documents import StoredDocument, end_uploads, file_of, look_at, room_of
from federation.node.log.boot import leaf_entry
from federation.node.node import Node, plain_leaf
from federation.protocol.errors import BridgeheadError, NotFoundError, RuleError, UnavailableError
from federation.protocol.form import Digest, Item, Positive, Time, decode, encode, encode_canonical, replace
from federation.protocol.ids import MessageId, NodeName, RecordId, between, truncate_to_millisecond
from federation.protocol.leaf import LeafKind
from federation.store.blobs import Blob, BlobFile, blobs_of, change_blob, find_blob, put_blob
from federation.store.collection import item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.documents import DocumentPlace

WANTED: Final = "documents"
"""Names in `node.waiters` the duty that pulls."""
CHUNK_SECONDS: Final = 30.0
"""How long a peer may take for the next chunk."""
PULLS_AT_ONCE: Final = 2
LOOK_EVERY: Final = 64
"""Every so many chunks it is looked again whether a document is still open to who is served."""
_LONGEST: Final = 600.0
_DUTY: Final = "documents"
_CONTEXT: Final = "bridgehead/document-served/v1"
_log = structlog.get_logger()


class Pull(Item, frozen=True, kw_only=True):
    """A document of another province that is wanted here; `next` None once it does not come, for that reason."""

    WHAT: ClassVar[str] = "pull"

    blob: str
    author: NodeName
    record: RecordId
    entry: Digest
    item: Annotated[int, between(1, 64)]
    owner: MessageId
    step: Positive
    next: Time | None = None
    tries: Annotated[int, between(0, 1_000_000)] = 0
    reason: str = ""


PULLS: Final = item_collection(
    Pull, kind="document-pull", id=lambda pull: pull.blob, replica=True, version=lambda pull: pull.step,
    due_time=lambda pull: pull.next,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A document of another province's entry; `owner` is the message that opened its manifest."""

    author: NodeName
    record: RecordId
    entry: str
    item: int
    owner: MessageId
    manifest: Manifest

    @property
    def key(self) -> str:
        """Names in `node.waiters` who waits for it."""
        return document_key(self.owner, self.item)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDocument:
    """A document whose bytes are here, some or all; `tell` writes for a person that it leaves this province."""

    blob: Blob
    stored: StoredDocument
    tell: Callable[[GroupTransaction], None] = lambda _: None


class Fetches(Protocol):
    def fetch_document(self, place: DocumentPlace) -> AsyncGenerator[Chunk, None]: ...


def document_key(owner: str, item: int) -> str:
    """Names in `node.waiters` who waits for a document."""
    return f"document/{owner}/{item}"


def find_held(source: Source, owner: str, item: int) -> HeldDocument | None:
    """The document of the thing with that number, of those that die with the owner."""
    for blob in blobs_of(source, owner):
        stored = decode(StoredDocument, blob.content)
        if stored.item == item:
            return HeldDocument(blob=blob, stored=stored)
    return None


def want(node: Node, transaction: GroupTransaction, wanted: Wanted) -> None:
    """Takes room for a document of another province, and has the duty pull it now (BLOBS_FULL)."""
    known = find_held(transaction, wanted.owner, wanted.item)
    blob_id = known.blob.id if known is not None else os.urandom(16).hex()
    if known is None:
        blob = Blob(
            id=blob_id, owner=wanted.owner, charged=wanted.author, size_bytes=wanted.manifest.size, begun=node.now(),
            content=encode(StoredDocument(manifest=wanted.manifest, item=wanted.item)),
        )  # fmt: skip
        put_blob(transaction, blob, room=room_of(node, each=node.settings.documents_gib_a_province))
    tried = PULLS.find(transaction, blob_id)
    pull = Pull(
        blob=blob_id, author=wanted.author, record=wanted.record, entry=wanted.entry, item=wanted.item,
        owner=wanted.owner, step=tried.step + 1 if tried is not None else 1, next=truncate_to_millisecond(node.now()),
    )  # fmt: skip
    with transaction.carrying(wanted.owner):
        PULLS.put(transaction, pull, owner=node.name)


async def pulled(node: Node, wanted: Wanted, *, seconds: float) -> HeldDocument:
    """Has a document pulled unless it is here, and waits for it (DOCUMENT_ON_ITS_WAY, DOCUMENT_REFUSED)."""

    def come() -> HeldDocument | None:
        found = find_held(node.database, wanted.owner, wanted.item)
        if found is None or found.stored.looked:
            return found
        pull = PULLS.find(node.database, found.blob.id)
        if pull is not None and pull.next is None:
            raise RuleError("DOCUMENT_REFUSED", f"the document does not come: {pull.reason}", why=pull.reason)
        return None

    known = find_held(node.database, wanted.owner, wanted.item)
    if known is None or not known.stored.looked:
        await node.sequencer.commit(partial(want, node, wanted=wanted))
        node.waiters.tell(WANTED)
    found = await node.waiters.until(come, wanted.key, seconds=seconds)
    if found is None:
        raise UnavailableError("DOCUMENT_ON_ITS_WAY", "the document is on its way from the other province; ask again")
    return found


async def serve_document(
    node: Node, place: DocumentPlace, to: NodeName, *, find: Callable[[], HeldDocument]
) -> AsyncGenerator[Chunk, None]:
    """Streams a document to a province from a chunk on; `find` is asked again now and then, and refuses."""
    held = find()
    manifest = held.stored.manifest
    file = file_of(node, held.blob.id, manifest)
    await node.sequencer.commit(partial(_note_served, node, held, to))
    prover = Prover(await asyncio.to_thread(file.hashes))
    for number in range(place.from_chunk, manifest.chunks):
        if number % LOOK_EVERY == LOOK_EVERY - 1:
            find()
        leaf = await asyncio.to_thread(file.read, number)
        yield Chunk(number=number, salt=leaf[:SALT_BYTES], data=leaf[SALT_BYTES:], proof=prover.prove(number))


def _note_served(node: Node, held: HeldDocument, to: NodeName, transaction: GroupTransaction) -> None:
    """Appends the leaf of a document that goes to a province, once, and tells who it is about."""
    held.tell(transaction)
    named = {"type": _CONTEXT, "root": held.stored.manifest.root, "to": str(to)}
    subject = hashlib.sha256(encode_canonical(named)).hexdigest()
    leaf = plain_leaf(node.trust.in_force.agreement, LeafKind.READING, subject, now=node.now())
    transaction.append_leaf(*leaf_entry(leaf))


async def keep_documents(node: Node, peers: Mapping[NodeName, Fetches]) -> None:
    """Pulls what is wanted, and ends what was uploaded and not filed, for as long as the node runs."""
    pulling: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            try:
                await end_uploads(node)
                due = await asyncio.to_thread(_due, node)
                pulling = {name: task for name, task in pulling.items() if not task.done()}
                for pull in due:
                    name = f"{pull.author}/{pull.blob}"
                    of_peer = sum(each.startswith(f"{pull.author}/") for each in pulling)
                    if name not in pulling and of_peer < PULLS_AT_ONCE:
                        pulling[name] = group.create_task(_pull(node, peers.get(pull.author), pull))
            except BridgeheadError as error:
                _log.warning("documents.unfinished", reason=error.reason)
            except Exception:  # noqa: BLE001 - a duty that ends would leave what is wanted where it is
                _log.exception("documents.failed")
            await node.waiters.wait(WANTED, seconds=node.settings.document_seconds)


def _due(node: Node) -> list[Pull]:
    return list(PULLS.each_due_by(node.database, node.now(), node.bad_rows.of(_DUTY)))


async def _pull(node: Node, peer: Fetches | None, pull: Pull) -> None:
    """Pulls one document as far as it comes, and writes down when to go on, or that it is here."""
    before = after = 0
    failure: BridgeheadError | None = None
    try:
        blob = find_blob(node.database, pull.blob)
        if blob is None:
            return
        stored = decode(StoredDocument, blob.content)
        file = file_of(node, blob.id, stored.manifest)
        before = await asyncio.to_thread(file.mend)
        try:
            await _fetch(node, peer, pull, stored, file)
        finally:
            after = file.count()
        await look_at(file, stored.manifest.media_type)
    except BridgeheadError as error:
        failure = error
    except Exception:  # noqa: BLE001 - told, and tried again
        _log.exception("documents.failed", peer=pull.author)
        failure = UnavailableError("INTERNAL", "this node could not take the document in")
    try:
        await node.sequencer.commit(partial(_note, node, pull, failure, after - before))
    except BridgeheadError as error:
        _log.warning("documents.unfinished", reason=error.reason)
    node.waiters.tell(document_key(pull.owner, pull.item))
    node.waiters.tell(WANTED)


async def _fetch(node: Node, peer: Fetches | None, pull: Pull, stored: StoredDocument, file: BlobFile) -> None:
    """Takes chunks in as they come, each verified. Raises as `verify_chunk`; DOCUMENT_CUT when they end early."""
    manifest, number = stored.manifest, file.count()
    if number == manifest.chunks:
        return
    if peer is None:
        raise UnavailableError("PEER_DOWN", f"{pull.author} is no member of the agreement in force")
    place = DocumentPlace(record=pull.record, entry=pull.entry, item=pull.item, from_chunk=number)
    async with aclosing(peer.fetch_document(place)) as chunks:
        while number < manifest.chunks:
            try:
                async with asyncio.timeout(CHUNK_SECONDS):
                    chunk = await anext(chunks)
            except (TimeoutError, StopAsyncIteration) as error:
                raise UnavailableError("DOCUMENT_CUT", f"{pull.author} sent no more than {number} chunks") from error
            number = await asyncio.to_thread(_take, file, stored, chunk, number)
            node.waiters.tell(document_key(pull.owner, pull.item))


def _take(file: BlobFile, stored: StoredDocument, chunk: Chunk, number: int) -> int:
    if chunk.number != number:
        raise UnavailableError("DOCUMENT_CHUNK", f"expected chunk {number}, got {chunk.number}")
    leaf_hash = verify_chunk(chunk, stored.manifest)
    if number == 0:
        verify_start(stored.manifest.media_type, chunk.data[:START_BYTES])
    return file.append(number, chunk.salt + chunk.data, leaf_hash)


def _note(node: Node, pull: Pull, failure: BridgeheadError | None, came: int, transaction: GroupTransaction) -> None:
    """Writes down what came of a pull; nothing when the document was erased meanwhile."""
    blob, now = find_blob(transaction, pull.blob), PULLS.find(transaction, pull.blob)
    if blob is None or now is None:
        return
    if failure is None:
        stored = decode(StoredDocument, blob.content)
        change_blob(transaction, replace(blob, content=encode(replace(stored, looked=1))))
        PULLS.erase(transaction, pull.blob)
        return
    tries = 0 if came else now.tries + 1
    ended = isinstance(failure, RuleError | NotFoundError)
    put_off = replace(
        now, step=now.step + 1, tries=tries, reason=failure.reason,
        next=None if ended else _later(node.now(), tries),
    )  # fmt: skip
    with transaction.carrying(pull.owner):
        PULLS.put(transaction, put_off, owner=node.name)


def _later(now: datetime, tries: int) -> datetime:
    return truncate_to_millisecond(now) + timedelta(seconds=min(_LONGEST, 0.5 * 2 ** min(tries, 12)))
