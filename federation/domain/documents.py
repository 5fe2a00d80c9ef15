"""Documents of joint cases: the manifest that an entry carries, chunks proved against it, and what may be one at all.

Rules kept: a manifest names the RFC 6962 root over the salted chunks, so that each chunk is proved by itself as it
comes, and says nothing of the bytes once their salt is destroyed; every chunk but the last has the size that it
states. A document is of a listed kind, and its bytes must be of that kind, whatever it is called: programs are none,
and an archive is looked into, one archive deep: it holds no program, nothing encrypted and nothing that cannot be
looked into. What hides within a document of a listed kind (a script in a PDF) is not found.
Trusts nothing of a manifest, a chunk or a document. Sources: RFC 6962 2.1, RFC 2104, APPNOTE.TXT 4.3 (zip), IANA media
types, GB/T 33190 (OFD).
"""

from __future__ import annotations

import codecs
import hmac
import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Annotated, ClassVar, Final

from msgspec import Struct

from federation.domain.case_items import Part
from federation.domain.citizen_number import names_by_number
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Digest, Item, from_object
from federation.protocol.ids import between, matching
from federation.protocol.tlog.merkle import hash_leaf, inclusion_proof, level_reader, verify_inclusion

MAX_BYTES: Final = 2 * 1024 * 1024 * 1024
"""The largest document: 2 GiB."""
CHUNK_BYTES: Final = 1024 * 1024
"""The size of a chunk, and the most that one may have."""
MIN_CHUNK_BYTES: Final = 4096
MAX_CHUNKS: Final = 4096
"""So few that all their hashes are little to hold for whoever proves or verifies one."""
SALT_BYTES: Final = 32
START_BYTES: Final = 512
"""By so many bytes at its beginning a kind of file is told."""
MAX_MEMBERS: Final = 10_000
_CONTEXT: Final = b"bridgehead/document-salt/v1"
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,14}", re.ASCII)
_PROOF: Final = 12  # of a document of as many chunks as may be
_TEXT_BLOCK: Final = 64 * 1024
_TAIL_BYTES: Final = 65_557  # of a zip: the end record with the longest comment, and the locator before it
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAX_DIRECTORY_BYTES: Final = 4 * 1024 * 1024
_MAX_NESTED_BYTES: Final = 32 * 1024 * 1024  # of all the archives within one, each of which is read as a whole


class MediaType(Struct, frozen=True, kw_only=True):
    """A kind of document: how its name ends, and what its bytes begin with at a place; text begins with anything."""

    zh: str
    endings: tuple[str, ...]
    starts: tuple[tuple[int, bytes], ...] = ()
    archive: bool = False


_ZIP: Final = ((0, b"PK\x03\x04"),)
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT: Final = "application/vnd.oasis.opendocument."
MEDIA_TYPES: Final[Mapping[str, MediaType]] = MappingProxyType({
    "application/pdf": MediaType(zh="PDF 文件", endings=("pdf",), starts=((0, b"%PDF-"),)),
    "application/ofd": MediaType(zh="OFD 版式文件", endings=("ofd",), starts=_ZIP, archive=True),
    "image/jpeg": MediaType(zh="照片", endings=("jpg", "jpeg"), starts=((0, b"\xff\xd8\xff"),)),
    "image/png": MediaType(zh="图片", endings=("png",), starts=((0, b"\x89PNG\r\n\x1a\n"),)),
    "image/tiff": MediaType(zh="扫描件", endings=("tif", "tiff"), starts=((0, b"II*\x00"), (0, b"MM\x00*"))),
    "text/plain": MediaType(zh="文本", endings=("txt",)),
    "text/csv": MediaType(zh="表格文本", endings=("csv",)),
    "audio/mpeg": MediaType(
        zh="录音", endings=("mp3",), starts=((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2"))
    ),
    "audio/mp4": MediaType(zh="录音", endings=("m4a",), starts=((4, b"ftyp"),)),
    "audio/wav": MediaType(zh="录音", endings=("wav",), starts=((8, b"WAVEfmt "),)),
    "video/mp4": MediaType(zh="录像", endings=("mp4",), starts=((4, b"ftyp"),)),
    f"{_OFFICE}wordprocessingml.document": MediaType(zh="文字文稿", endings=("docx",), starts=_ZIP, archive=True),
    f"{_OFFICE}spreadsheetml.sheet": MediaType(zh="表格", endings=("xlsx",), starts=_ZIP, archive=True),
    f"{_OFFICE}presentationml.presentation": MediaType(zh="演示文稿", endings=("pptx",), starts=_ZIP, archive=True),
    f"{_OPEN_DOCUMENT}text": MediaType(zh="文字文稿", endings=("odt",), starts=_ZIP, archive=True),
    f"{_OPEN_DOCUMENT}spreadsheet": MediaType(zh="表格", endings=("ods",), starts=_ZIP, archive=True),
    "application/zip": MediaType(zh="压缩包", endings=("zip",), starts=_ZIP, archive=True),
})  # fmt: skip
"""The media types that a document may have."""
_BY_ENDING: Final = {ending: name for name, kind in MEDIA_TYPES.items() for ending in kind.endings}

_PROGRAM_STARTS: Final = (
    b"MZ", b"\x7fELF", b"#!", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe", b"dex\n", b"\x00asm", b"!<arch>\n", b"L\x00\x00\x00\x01\x14\x02\x00",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
)  # fmt: skip
"""What programs begin with; the last is the older office file, which an installer is, too, and which macros lie in."""
_ARCHIVE_STARTS: Final = (
    b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"MSCF",
)  # fmt: skip
_PROGRAMS: Final = (
    "apk app bat class cmd com cpl deb dll dmg docm dylib elf exe hta img inf iso jar js jse lnk mjs msi msp ocx pif "
    "pl pptm ps1 py pyc rb reg rpm scf scr sh so svg swf sys url vb vbe vbs vhd wasm ws wsf wsh xlam xll xlsm"
)
_ARCHIVES: Final = "7z ace arj bz2 cab gz lz lzh lzma rar tar tgz xz z zst"
_PROGRAM_ENDINGS: Final = frozenset(_PROGRAMS.split())
_ARCHIVE_ENDINGS: Final = frozenset(_ARCHIVES.split())


class Manifest(Item, frozen=True, kw_only=True):
    """The manifest of a document; `root` (hex) is over its salted chunks, each of `chunk_size` but the last."""

    WHAT: ClassVar[str] = "manifest"
    REASON: ClassVar[str] = "DOCUMENT_MANIFEST"
    TYPE_REASON: ClassVar[str] = "DOCUMENT_MANIFEST"

    name: Annotated[str, matching(r"[^\x00-\x1f\x7f/\\:*?\"<>|]{1,120}", form="a file's name of 1 to 120 characters")]
    media_type: str
    size: Annotated[int, between(1, MAX_BYTES)]
    chunk_size: Annotated[int, between(MIN_CHUNK_BYTES, CHUNK_BYTES)]
    root: Digest

    @property
    def chunks(self) -> int:
        return -(-self.size // self.chunk_size)

    def length(self, number: int) -> int:
        """The bytes of that chunk, counted from 0. Refuses DOCUMENT_CHUNK."""
        if not 0 <= number < self.chunks:
            raise MalformedError("DOCUMENT_CHUNK", f"expected a chunk below {self.chunks}, got {number}")
        return min(self.chunk_size, self.size - number * self.chunk_size)


DOCUMENT: Final = "document"
"""The class of items that are manifests."""
FIELDS: Final = ("name", "media_type", "size", "chunk_size", "root")
"""The fields of an item of the class `document`; where one is closed, so is the document."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Chunk:
    """One chunk with its own salt and the audit path to the root of its manifest."""

    number: int
    salt: bytes
    data: bytes
    proof: tuple[bytes, ...]


def verify_manifest(manifest: Manifest) -> Manifest:
    """Returns a manifest of a document that may be one. Refuses DOCUMENT_MANIFEST, DOCUMENT_TYPE, DOCUMENT_PROGRAM."""
    if manifest.chunk_size & (manifest.chunk_size - 1):
        raise MalformedError("DOCUMENT_MANIFEST", "expected chunks of a power of two bytes", field="chunk_size")
    if manifest.chunks > MAX_CHUNKS:
        raise MalformedError("DOCUMENT_MANIFEST", f"expected at most {MAX_CHUNKS} chunks", field="chunk_size")
    if names_by_number(manifest.name):
        raise MalformedError("DOCUMENT_MANIFEST", "expected no person's number in a name", field="name")
    kind = _kind(manifest.media_type)
    if _ending(manifest.name) not in kind.endings:
        _refuse_ending(manifest.name)
        endings = " or ".join(f".{each}" for each in kind.endings)
        raise RuleError("DOCUMENT_TYPE", f"expected a name that ends in {endings}", media_type=manifest.media_type)
    return manifest


def read_manifest(fields: Mapping[str, str]) -> Manifest | None:
    """The manifest in the open fields of an item, None where one is closed. Refuses as `verify_manifest`."""
    if any(name not in fields for name in FIELDS):
        return None
    found: dict[str, str | int] = {name: fields[name] for name in FIELDS}
    for name in ("size", "chunk_size"):
        if not _NUMBER.fullmatch(fields[name]):
            raise MalformedError("DOCUMENT_MANIFEST", f"expected {name!r} to be a plain number", field=name)
        found[name] = int(fields[name])
    return verify_manifest(from_object(Manifest, found))


def manifests_in(classes: Sequence[str], parts: Mapping[int, Part]) -> dict[int, Manifest]:
    """The manifests in the open places of an entry, by the number of the thing; what may be none is left out."""
    fields: dict[int, dict[str, str]] = {}
    for at, kind in enumerate(classes, start=1):
        if kind == DOCUMENT and (part := parts.get(at)) is not None:
            fields.setdefault(part.item, {})[part.field] = part.value
    found: dict[int, Manifest] = {}
    for number, values in fields.items():
        with suppress(MalformedError, RuleError):
            if (manifest := read_manifest(values)) is not None:
                found[number] = manifest
    return found


def manifest_fields(manifest: Manifest) -> dict[str, str]:
    """The fields of the item that an entry carries."""
    return {name: str(getattr(manifest, name)) for name in FIELDS}


def media_type_of(name: str) -> str:
    """The media type that a file's name stands for. Refuses DOCUMENT_PROGRAM, DOCUMENT_TYPE."""
    found = _BY_ENDING.get(_ending(name))
    if found is None:
        _refuse_ending(name)
        raise RuleError("DOCUMENT_TYPE", f"expected a file of one of these kinds: {', '.join(sorted(_BY_ENDING))}")
    return found


def chunk_salt(salt: bytes, number: int) -> bytes:
    """The salt of one chunk, which tells nothing of the others."""
    return hmac.digest(salt, _CONTEXT + number.to_bytes(8), "sha256")


def hash_chunk(salt: bytes, data: bytes) -> bytes:
    """The leaf hash of a chunk under its own salt."""
    return hash_leaf(salt + data)


class Prover:
    """Proves the chunks of one document, whose leaf hashes it is given."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self._size = len(hashes)
        self._read = level_reader(hashes)

    def prove(self, number: int) -> tuple[bytes, ...]:
        return inclusion_proof(number, self._size, self._read)


def verify_chunk(chunk: Chunk, manifest: Manifest) -> bytes:
    """Returns the leaf hash of a chunk that stands at its place in the document. Refuses DOCUMENT_CHUNK, INCLUSION."""
    if len(chunk.salt) != SALT_BYTES or len(chunk.proof) > _PROOF:
        raise MalformedError("DOCUMENT_CHUNK", f"expected a salt of {SALT_BYTES} bytes and a proof of {_PROOF} at most")
    if len(chunk.data) != (length := manifest.length(chunk.number)):
        raise MalformedError("DOCUMENT_CHUNK", f"expected a chunk of {length} bytes, got {len(chunk.data)}")
    leaf_hash = hash_chunk(chunk.salt, chunk.data)
    root = bytes.fromhex(manifest.root)
    verify_inclusion(leaf_hash, chunk.number, size=manifest.chunks, proof=chunk.proof, root=root)
    return leaf_hash


def verify_start(media_type: str, start: bytes) -> None:
    """Verifies that a document begins as its kind does (`START_BYTES`). Refuses DOCUMENT_PROGRAM, DOCUMENT_TYPE."""
    if start.startswith(_PROGRAM_STARTS):
        raise RuleError("DOCUMENT_PROGRAM", "expected a document, got a program", media_type=media_type)
    starts = _kind(media_type).starts
    if starts and not any(start.startswith(begins, at) for at, begins in starts):
        raise RuleError("DOCUMENT_TYPE", f"the bytes are not of the kind {media_type}", media_type=media_type)


def verify_content(media_type: str, content: IO[bytes]) -> None:
    """Verifies a whole document by its bytes. Refuses DOCUMENT_PROGRAM, DOCUMENT_TYPE, DOCUMENT_ARCHIVE."""
    content.seek(0)
    verify_start(media_type, content.read(START_BYTES))
    kind = _kind(media_type)
    if kind.archive:
        _verify_archive(content, nested=False)
    elif not kind.starts:
        content.seek(0)
        _verify_text(content)


def _kind(media_type: str) -> MediaType:
    kind = MEDIA_TYPES.get(media_type)
    if kind is None:
        raise RuleError("DOCUMENT_TYPE", f"expected one of {', '.join(MEDIA_TYPES)}, got {media_type!r:.80}")
    return kind


def _ending(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return ending.lower() if stem else ""


def _refuse_ending(name: str) -> None:
    if _ending(name) in _PROGRAM_ENDINGS:
        raise RuleError("DOCUMENT_PROGRAM", "expected a document, got the name of a program")


def _verify_text(content: IO[bytes]) -> None:
    """Text is UTF-8 without a NUL."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        while block := content.read(_TEXT_BLOCK):
            if b"\x00" in block:
                raise RuleError("DOCUMENT_TYPE", "expected text, got bytes that are none")
            decode(block)
        decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise RuleError("DOCUMENT_TYPE", "expected a text in UTF-8: save it so") from error


def _verify_archive(content: IO[bytes], *, nested: bool) -> None:
    _verify_directory(content)
    left = 0 if nested else _MAX_NESTED_BYTES
    try:
        with zipfile.ZipFile(content) as archive:
            members = sorted(archive.infolist(), key=lambda member: member.header_offset)
            if not members or len(members) > MAX_MEMBERS or members[0].header_offset:
                raise RuleError("DOCUMENT_ARCHIVE", f"expected an archive of 1 to {MAX_MEMBERS} files")
            for member in members:
                if _verify_member(archive, member):
                    left -= member.file_size
                    _verify_nested(archive, member, left=left)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, RuntimeError, zlib.error) as error:
        raise RuleError("DOCUMENT_ARCHIVE", "expected an archive that can be looked into") from error


def _verify_directory(content: IO[bytes]) -> None:
    """Bounds what reading the list of members takes; an archive of the 64-bit form is refused."""
    size = content.seek(0, 2)
    content.seek(max(0, size - _TAIL_BYTES))
    tail = content.read(_TAIL_BYTES)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        raise RuleError("DOCUMENT_ARCHIVE", "expected a zip archive of the plain form")
    if int.from_bytes(tail[end + 12 : end + 16], "little") > _MAX_DIRECTORY_BYTES:
        raise RuleError("DOCUMENT_ARCHIVE", "expected an archive with a shorter list of files")
    content.seek(0)


def _verify_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Verifies one file of an archive by its name and its beginning; True for one that is an archive itself."""
    ending = _ending(member.filename.rpartition("/")[2])
    if ending in _PROGRAM_ENDINGS:
        raise RuleError("DOCUMENT_PROGRAM", "expected an archive without programs, scripts and macros")
    if member.flag_bits & 1 or member.compress_type not in _METHODS:  # others take memory as the archive says
        raise RuleError("DOCUMENT_ARCHIVE", "expected an archive that is deflated or stored, and not encrypted")
    if member.is_dir():
        return False
    with archive.open(member) as opened:
        start = opened.read(START_BYTES)
    if start.startswith(_PROGRAM_STARTS):
        raise RuleError("DOCUMENT_PROGRAM", "expected an archive without programs, scripts and macros")
    if ending in _ARCHIVE_ENDINGS or start.startswith(_ARCHIVE_STARTS) or start[257:262] == b"ustar":
        raise RuleError("DOCUMENT_ARCHIVE", "expected no archive of another kind within")
    return start.startswith(b"PK\x03\x04")


def _verify_nested(archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, left: int) -> None:
    if left < 0:
        raise RuleError("DOCUMENT_ARCHIVE", "expected archives one deep, and those within of 32 MiB together")
    with archive.open(member) as opened:
        _verify_archive(io.BytesIO(opened.read(_MAX_NESTED_BYTES)), nested=True)
