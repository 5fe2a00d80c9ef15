"""Documents of joint cases and alerts: uploaded chunk by chunk, listed, and streamed to the office that reads one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from federation.domain.documents import Manifest
from federation.protocol.ids import NodeName
from federation.wire.rpc import WRITES, Rpc, Ruling


class DocumentUpload(Struct, frozen=True, kw_only=True):
    name: str
    media_type: str
    size: int
    chunk_size: int


class ChunkUpload(Struct, frozen=True, kw_only=True):
    document: str
    number: int
    data: bytes


class UploadStanding(Struct, frozen=True, kw_only=True):
    """The upload `document`: `here` chunks have come; `root` (hex) is over all of them, empty until then."""

    document: str
    salt: bytes
    here: int
    root: str
    expires: datetime


class DocumentPlace(Struct, frozen=True, kw_only=True):
    """The thing numbered `item` of an entry, from a chunk on."""

    record: str
    entry: str
    item: int
    from_chunk: int = 0


class DocumentPart(Struct, frozen=True, kw_only=True):
    number: int
    data: bytes


class DocumentLine(Struct, frozen=True, kw_only=True):
    """A document that the reader may have; `here` of its chunks are, and `reason` says why no more come."""

    record: str
    entry: str
    item: int
    manifest: Manifest
    author: NodeName
    here: int
    reason: str = ""


class DocumentList(Struct, frozen=True, kw_only=True):
    decision: Ruling
    lines: tuple[DocumentLine, ...] = ()


BEGIN_DOCUMENT: Final = Rpc("DocumentService/BeginDocument", DocumentUpload, UploadStanding, floor_seconds=WRITES)
UPLOAD_CHUNK: Final = Rpc("DocumentService/UploadChunk", ChunkUpload, UploadStanding, floor_seconds=WRITES)
LIST_DOCUMENTS: Final = Rpc("DocumentService/ListDocuments", str, DocumentList)
DOWNLOAD_DOCUMENT: Final = Rpc(
    "DocumentService/DownloadDocument", DocumentPlace, DocumentPart, floor_seconds=None, stream=True
)
