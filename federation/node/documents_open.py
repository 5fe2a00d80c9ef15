"""Documents of joint records as they are open: to whom, listed, and streamed to an office of this province.

Rules kept: a document is open to an office as the item is that holds its manifest, all of it; to another province as
far as what it was handed of the entry says, no longer than that is kept, and while its family lets it have it
(`Sharing.served`): of a case, while an office of it takes part; of an alert, while a desk of it may see that item, so
that a picture of somebody ends with the alert. Which family is read says the purpose of who asks, since a number that
an office may not know tells it nothing. A document of another province dies here with the message that opened its
manifest. Source: DESIGN section 5.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from federation.domain.alert_policy import ALERT_PURPOSES
from federation.domain.case_items import Part
from federation.domain.documents import DOCUMENT, SALT_BYTES, manifests_in
from federation.node.alerts import steps as alert_steps
from federation.node.alerts.sharing import ALERTS_SHARED
from federation.node.documents import file_of, owner_of
from federation.node.documents_pull import PULLS, HeldDocument, Wanted, find_held, pulled
from federation.node.exchange.errand import Errand, on, streaming
from federation.node.joint import steps as case_steps
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.records import Family, Held, StoredEntry, each_sent, load_held, parts_handed, parts_of
from federation.node.joint.shared import SHARED
from federation.node.joint.sharing import Sharing
from federation.node.node import Node
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, NodeName, RecordId, parse_record_id
from federation.store.messages import has_body
from federation.wire.agency import documents as wire
from federation.wire.agency.documents import DocumentLine, DocumentList, DocumentPart, DocumentPlace
from federation.wire.rpc import Ruling

WAIT_SECONDS: Final = 20.0
"""How long a call waits for a document to come from another province before it is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The way in which an office of ours reads the records of a family by name."""

    sharing: Sharing[Any]
    readable: Callable[[Errand, str], Awaitable[tuple[Held[Any] | None, Ruling]]]


_CASES: Final = _Read(sharing=CASES_SHARED, readable=case_steps.readable)
_ALERTS: Final = _Read(sharing=ALERTS_SHARED, readable=alert_steps.readable)


def _read_for(errand: Errand) -> _Read:
    return _ALERTS if errand.act.purpose.startswith(ALERT_PURPOSES) else _CASES


def open_to_province(node: Node, place: DocumentPlace, to: NodeName) -> HeldDocument:
    """A document of an entry of ours that another province may have. Refuses DOCUMENT_NOT_OPEN, whatever it lacks."""
    record = parse_record_id(place.record)
    for sharing in SHARED:
        entry = _find_entry(sharing.family, node, record, place.entry)
        if entry is not None and entry.author == node.name:
            held = find_held(node.database, owner_of(place.entry), place.item)
            state = load_held(sharing.family, node, record).state
            parts = {} if state is None else _served(sharing, node, entry, state=state, to=to)
            if held is not None and manifests_in(entry.head.items, parts).get(place.item) == held.stored.manifest:
                tell = partial(sharing.put_served, node, state=state, kept=entry, item=place.item, to=to)
                return replace(held, tell=tell)
    raise NotFoundError("DOCUMENT_NOT_OPEN", "expected a document that was handed to this province")


def _served(sharing: Sharing[Any], node: Node, entry: StoredEntry, *, state: object, to: NodeName) -> dict[int, Part]:
    """The places of an entry of ours that a province was handed, and whose documents its family lets it have now."""
    family = sharing.family
    parts = parts_of(family, node, node.database, kept=entry)
    if len(parts) < len(entry.head.items):
        return {}
    opened = {
        at
        for sent in each_sent(family, node.database, entry.head.record, name=entry.name)
        if sent.to == to and has_body(node.database, sent.message_id)
        for at in sent.places
    }
    listed = [parts[at] for at in sorted(parts)]
    opened &= set(sharing.served(node.trust.in_force, state, entry, parts=listed, to=to))
    return {at: part for at, part in parts.items() if at in opened}


@on(wire.LIST_DOCUMENTS)
async def list_documents(errand: Errand, name: str) -> DocumentList:
    """Lists the documents of a case or an alert that the office may have, and how much of each is here."""
    read = _read_for(errand)
    held, ruling = await read.readable(errand, name)
    if held is None:
        return DocumentList(decision=ruling)
    return DocumentList(decision=ruling, lines=_lines(errand, read.sharing, held))


@streaming(wire.DOWNLOAD_DOCUMENT)
async def download(errand: Errand, place: DocumentPlace) -> AsyncIterator[DocumentPart]:
    """Streams a document from a chunk on, once all of it is here and was looked at.

    Refuses DOCUMENT_NOT_OPEN, DOCUMENT_REFUSED (it may be none); DOCUMENT_ON_ITS_WAY while it comes.
    """
    node, not_open = errand.node, NotFoundError("DOCUMENT_NOT_OPEN", "expected a document that this office may have")
    read = _read_for(errand)
    held, _ = await read.readable(errand, place.record)
    family = read.sharing.family
    entry = _find_entry(family, node, held.id, place.entry) if held is not None else None
    if held is None or entry is None:
        raise not_open
    shown = read.sharing.shown_parts(node, errand.in_force, held, kept=entry, reader=errand.caller)
    manifest = manifests_in(entry.head.items, shown).get(place.item)
    if manifest is None:
        raise not_open
    owner = owner_of(entry.name) if entry.author == node.name else _opened_by(family, node, entry, place.item)
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


def _opened_by(family: Family[Any], node: Node, entry: StoredEntry, item: int) -> MessageId | None:
    """The message that opened the root of a document."""
    for handed in family.handed.each(node.database, under=f"{entry.name}/"):
        parts = parts_handed(family, node, node.database, kept=entry, message_id=handed.message_id)
        if any(part.item == item and part.field == "root" for part in _of_documents(entry, parts)):
            return handed.message_id
    return None


def _of_documents(entry: StoredEntry, parts: Mapping[int, Part]) -> list[Part]:
    return [part for at, part in parts.items() if entry.head.items[at - 1] == DOCUMENT]


def _lines(errand: Errand, sharing: Sharing[Any], held: Held[Any]) -> tuple[DocumentLine, ...]:
    node, lines = errand.node, list[DocumentLine]()
    for entry in held.record.entries_from(0):
        kept = held.kept[entry.name]
        if DOCUMENT not in kept.head.items:
            continue
        shown = sharing.shown_parts(node, errand.in_force, held, kept=kept, reader=errand.caller)
        for item, manifest in sorted(manifests_in(kept.head.items, shown).items()):
            owner = owner_of(kept.name) if kept.author == node.name else _opened_by(held.family, node, kept, item)
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


def _find_entry(family: Family[Any], node: Node, record: RecordId, name: str) -> StoredEntry | None:
    return next((kept for kept in family.entries.by_subject(node.database, name) if kept.head.record == record), None)
