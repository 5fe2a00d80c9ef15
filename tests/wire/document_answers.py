"""Invented questions and answers about documents, for the tests of the wire."""

from __future__ import annotations

from federation.domain.documents import Chunk, Manifest
from federation.protocol.ids import NodeName
from federation.wire.agency.documents import (
    ChunkUpload,
    DocumentLine,
    DocumentList,
    DocumentPart,
    DocumentPlace,
    DocumentUpload,
    UploadStanding,
)
from tests.wire.answers import ALLOWED
from tests.wire.case_answers import TIME

RECORD = "zhejiang/01890a5d-ac96-774b-bcce-b302099a8057"
MANIFEST = Manifest(name="协议.pdf", media_type="application/pdf", size=5000, chunk_size=4096, root="ab" * 32)
UPLOAD = DocumentUpload(name="协议.pdf", media_type="application/pdf", size=5000, chunk_size=4096)
CHUNK = ChunkUpload(document="0f" * 16, number=1, data=b"data")
STANDING = UploadStanding(document="0f" * 16, salt=bytes(32), here=2, root="ab" * 32, expires=TIME)
PLACE = DocumentPlace(record=RECORD, entry="cd" * 32, item=1, from_chunk=1)
PARTS = (DocumentPart(number=1, data=b"one"), DocumentPart(number=2, data=b"two"))
PROVED = (Chunk(number=1, salt=bytes(32), data=b"one", proof=(bytes(32), b"r" * 32)),)
LIST = DocumentList(
    decision=ALLOWED,
    lines=(
        DocumentLine(record=RECORD, entry="cd" * 32, item=1, manifest=MANIFEST, author=NodeName("zhejiang"), here=1),
    ),
)
