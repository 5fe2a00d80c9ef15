"""Documents of joint cases as they are open: to whom, listed, and streamed to an office of this province.

Rules kept: a document is open to an office as the item is that holds its manifest, all of it; to another province,
while an office of it takes part, as far as what it was handed of the entry says, and no longer than that is kept. A
document of another province dies here with the message that opened its manifest. Source: DESIGN section 5.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

from federation.domain.case_items import Part
from federation.domain.documents import DOCUMENT, SALT_BYTES, manifests_in
from federation.domain.joint_state import Case
from federation.node.documents import file_of, owner_of
from federation.node.documents_pull import PULLS, HeldDocument, Wanted, find_held, pulled
from federation.node.exchange.errand import Errand, on, streaming
from federation.node.joint.records import (
    CASE,
    Held,
    StoredEntry,
    each_sent,
    load_held,
    parts_handed,
    parts_of,
)
from federation.node.joint.shown import shown_parts
from federation.node.joint.steps import readable
from federation.node.node import Node
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import MessageId, NodeName, RecordId, parse_record_id
from federation.store.messages import has_body
from federation.wire.agency import documents as wire
from federation.wire.agency.documents import DocumentLine, DocumentList, DocumentPart, DocumentPlace

WAIT_SECONDS: Final = 20.0
"""How long a call waits for a document to come from another province before it is asked again."""


def open_to_province(node: Node, place: DocumentPlace, to: NodeName) -> HeldDocument:
    """A document of an entry of ours that another province may have. Refuses DOCUMENT_NOT_OPEN, whatever it lacks."""
    refused = NotFoundError("DOCUMENT_NOT_OPEN", "expected a document that was handed to this province")
    record = parse_record_id(place.record)
    entry = _find_entry(node, record, place.entry)
    if entry is None or entry.author != node.name:
        raise refused
    case = load_held(CASE, node, record).state
    if case is None or all(agency.node != to for agency in case.members):
        raise refused
    opened = {
        at
        for sent in each_sent(CASE, node.database, record, name=place.entry)
        if sent.to == to and has_body(node.database, sent.message_id)
        for at in sent.places
    }
    parts = {at: part for at, part in parts_of(CASE, node, node.database, kept=entry).items() if at in opened}
    held = find_held(node.database, owner_of(place.entry), place.item)
    if held is None or manifests_in(entry.head.items, parts).get(place.item) != held.stored.manifest:
        raise refused
    return held


@on(wire.LIST_DOCUMENTS)
async def list_documents(errand: Errand, name: str) -> DocumentList:
    """Lists the documents of a case that the office may have, and how much of each is here."""
    held, ruling = await readable(errand, name)
    if held is None:
        return DocumentList(decision=ruling)
    return DocumentList(decision=ruling, lines=_lines(errand, held))


@streaming(wire.DOWNLOAD_DOCUMENT)
async def download(errand: Errand, place: DocumentPlace) -> AsyncIterator[DocumentPart]:
    """Streams a document from a chunk on, once all of it is here and was looked at.

    Refuses DOCUMENT_NOT_OPEN, DOCUMENT_REFUSED (it may be none); DOCUMENT_ON_ITS_WAY while it comes.
    """
    node, not_open = errand.node, NotFoundError("DOCUMENT_NOT_OPEN", "expected a document that this office may have")
    held, _ = await readable(errand, place.record)
    entry = _find_entry(node, held.id, place.entry) if held is not None else None
    if held is None or entry is None:
        raise not_open
    shown = shown_parts(node, errand.in_force, held, kept=entry, reader=errand.caller)
    manifest = manifests_in(entry.head.items, shown).get(place.item)
    if manifest is None:
        raise not_open
    owner = owner_of(entry.name) if entry.author == node.name else _opened_by(node, entry, place.item)
    document = find_held(node.database, owner, place.item) if owner is not None else None
    if owner is not None and entry.author != node.name:
        wanted = Wanted(
            author=entry.author, record=held.id, entry=entry.name, item=place.item, owner=MessageId(owner),
            manifest=manifest,
        )  # fmt: skip
        document = await pulled(node, wanted, seconds=WAIT_SECONDS)
    if document is None:
        raise not_open
    file = file_of(node, document.blob.id, manifest)
    for number in range(place.from_chunk, manifest.chunks):
        data = await asyncio.to_thread(file.read, number)
        yield DocumentPart(number=number, data=data[SALT_BYTES:])


def _opened_by(node: Node, entry: StoredEntry, item: int) -> MessageId | None:
    """The message that opened the root of a document."""
    for handed in CASE.handed.each(node.database, under=f"{entry.name}/"):
        parts = parts_handed(CASE, node, node.database, kept=entry, message_id=handed.message_id)
        if any(part.item == item and part.field == "root" for part in _of_documents(entry, parts)):
            return handed.message_id
    return None


def _of_documents(entry: StoredEntry, parts: Mapping[int, Part]) -> list[Part]:
    return [part for at, part in parts.items() if entry.head.items[at - 1] == DOCUMENT]


def _lines(errand: Errand, held: Held[Case]) -> tuple[DocumentLine, ...]:
    node, lines = errand.node, list[DocumentLine]()
    for entry in held.record.entries_from(0):
        kept = held.kept[entry.name]
        if DOCUMENT not in kept.head.items:
            continue
        found = manifests_in(kept.head.items, shown_parts(node, errand.in_force, held, kept=kept, reader=errand.caller))
        for item, manifest in sorted(found.items()):
            owner = owner_of(kept.name) if kept.author == node.name else _opened_by(node, kept, item)
            document = find_held(node.database, owner, item) if owner is not None else None
            here, reason = 0, ""
            if document is not None:
                pull = PULLS.find(node.database, document.blob.id)
                here = file_of(node, document.blob.id, manifest).count()
                reason = pull.reason if pull is not None else ""
            lines.append(
                DocumentLine(
                    record=held.id, entry=kept.name, item=item, manifest=manifest, author=kept.author, here=here,
                    reason=reason,
                )
            )  # fmt: skip
    return tuple(lines)


def _find_entry(node: Node, record: RecordId, name: str) -> StoredEntry | None:
    return next((kept for kept in CASE.entries.by_subject(node.database, name) if kept.head.record == record), None)
