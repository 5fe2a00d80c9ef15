"""An evidence bundle (证据包): all that one audit read, in one zip, so that it is done again with no node running.

In standard forms: the agreement as 'agreement export' writes it, each log as C2SP tlog-tiles with its signed heads,
what each witness cosigned last, the messages of a window with envelopes (DSSE) and receipts (.tlog-proof), a line each.
`SHA256SUMS` names every file; its own digest goes into the papers. Rules kept: what was read is recorded byte for byte,
and nothing is packed, so that nothing unpacks; a file that is not as it was is a finding; each signature is verified by
`run`, as with living nodes. Trusts nothing in the file.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, Annotated, Any, ClassVar, Final, Literal
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from federation.audit.fetch import LogSource, load_cut
from federation.audit.leaves import Window
from federation.audit.report import Code, Finding, Report, in_reading_order
from federation.audit.run import Audit, ListMessages, Options, audit_federation
from federation.domain.oversight import Mandate
from federation.protocol.body import Disclosure
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, NotFoundError, UnavailableError
from federation.protocol.form import MAX_INTEGER, Item, Time, always, decode, encode, replace
from federation.protocol.ids import FederationName, NodeName, format_base64, parse_base64, typed
from federation.protocol.receipt import Receipt
from federation.protocol.tlog.note import Checkpoint, parse_checkpoint, parse_note
from federation.protocol.tlog.tiles import ENTRIES, TILE_WIDTH, Tile, decode_bundle, format_tile_path, tile_at
from federation.protocol.tlog.witness import monitoring_path
from federation.protocol.trust import Agreement
from federation.wire.agency.audit import LoggedMessage, MessagePage, MessageQuery

SUMS: Final = "SHA256SUMS"
EVIDENCE: Final = "evidence.json"
AGREEMENT: Final = "agreement.zip"
READ_ME: Final = "VERIFY.md"
MAX_FILE_BYTES: Final = 32 * 1024 * 1024
"""The most of a file, but of messages, and of one message."""
_NOBODY: Final = NodeName("evidence")
_NONE: Final[Mapping[str, bytes]] = MappingProxyType({})
_VERIFY: Final = """\
# 怎样核验 · How to verify

    sha256sum --check SHA256SUMS
    sha256sum SHA256SUMS            # 笔录所记完整性校验值 the digest in the papers
    bridgehead audit verify --evidence THIS.zip --root FIRST-ROOT --digest DIGEST

`logs/*/`: C2SP tlog-tiles; `checkpoint`: C2SP signed-note; `envelope`: DSSE; `proof`: C2SP tlog-proof; `agreement.zip`:
TUF. 密钥及其有效期 keys, and when each was valid: `targets/members.json`.
"""


class Evidence(Item, frozen=True, kw_only=True):
    """The contents in short; `listed` are the nodes that listed messages, `silent` those that gave no answer."""

    WHAT: ClassVar[str] = EVIDENCE

    v: Annotated[Literal[1], typed("1", reason="EVIDENCE_FORM")] = always(1)
    federation: FederationName
    made: Time
    window: Window | None = None
    mandates: tuple[Mandate, ...] = ()
    listed: frozenset[NodeName]
    silent: dict[NodeName, str]


class EvidenceWriter:
    """Records what an audit reads into a new file; `close` ends it, whether or not it was finished."""

    def __init__(self, path: Path) -> None:
        """Begins a file of mode 0600 that is not there yet (FILE_EXISTS)."""
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError as error:
            raise ConflictError("FILE_EXISTS", f"{path} is there already") from error
        self._refused: list[BridgeheadError] = []
        self._zip = ZipFile(path, "w", ZIP_STORED)
        self._sums: dict[str, str] = {}
        self._last: dict[str, bytes] = {}
        self._messages: dict[str, IO[bytes]] = {}

    def record(self, audit: Audit) -> Audit:
        """The same audit, of which everything that it reads is recorded."""
        sources = {node: _RecordedLog(self, f"logs/{node}", source) for node, source in audit.sources.items()}
        listers = {node: self._record_messages(node, listed) for node, listed in audit.listers.items()}
        return replace(audit, sources=sources, listers=listers)

    def _record_messages(self, node: NodeName, list_messages: ListMessages) -> ListMessages:
        async def listed(query: MessageQuery) -> MessagePage:
            try:
                page = await list_messages(query)
            except BridgeheadError as error:
                self._refused.append(error)
                raise
            name = _messages_file(node, query)
            file = self._messages.setdefault(name, TemporaryFile())  # noqa: SIM115 - closed with the bundle
            file.write(b"".join(map(_line, page.messages)))
            return page

        return listed

    def put(self, name: str, content: bytes) -> None:
        """Writes a file once; a tile that is read again is the same."""
        if name not in self._sums:
            self._sums[name] = sha256(content).hexdigest()
            self._zip.writestr(ZipInfo(name), content)

    def keep(self, name: str, content: bytes) -> None:
        """Writes, in the end, what was kept last under that name."""
        self._last[name] = content

    def finish(self, evidence: Evidence, agreement: bytes) -> str:
        """Writes the rest and returns the digest of the bundle, in hex; raises what a node said that did not list."""
        if self._refused:
            raise self._refused[0]
        for name, file in self._messages.items():
            digest, size = sha256(), file.tell()
            file.seek(0)
            info = ZipInfo(name)
            info.file_size = size
            with self._zip.open(info, "w") as member:
                while block := file.read(MAX_FILE_BYTES):
                    digest.update(block)
                    member.write(block)
            self._sums[name] = digest.hexdigest()
        rest = {**self._last, EVIDENCE: encode(evidence), AGREEMENT: agreement, READ_ME: _VERIFY.encode()}
        for name, content in rest.items():
            self.put(name, content)
        sums = _sums_text(self._sums)
        self._zip.writestr(ZipInfo(SUMS), sums)
        return sha256(sums).hexdigest()

    def close(self) -> None:
        for file in self._messages.values():
            file.close()
        self._zip.close()


@dataclass(frozen=True, slots=True)
class _RecordedLog:
    _writer: EvidenceWriter
    _folder: str
    _source: LogSource

    async def checkpoint(self) -> bytes:
        note = await self._source.checkpoint()
        self._writer.put(f"{self._folder}/first-checkpoint", note)
        self._writer.keep(f"{self._folder}/checkpoint", note)
        return note

    async def load(self, tile: Tile) -> bytes:
        blob = await self._source.load(tile)
        self._writer.put(f"{self._folder}/{format_tile_path(tile)}", blob)
        return blob

    async def cosigned(self, origin: str) -> bytes:
        note = await self._source.cosigned(origin)
        self._writer.keep(f"{self._folder}/witness/{monitoring_path(origin)}", note)
        return note


@dataclass(slots=True)
class EvidenceFile:
    """A bundle as it lies there; whatever is not as it was written is a finding, and the rest is read all the same."""

    path: Path
    _files: dict[str, tuple[int, int]]
    findings: list[Finding] = field(default_factory=list)

    def verify_files(self, expected: str | None = None) -> str:
        """Compares every file with SHA256SUMS, and that with the digest in the papers; returns the digest it has."""
        found = {name: self._digest(name) for name in self._files if name != SUMS}
        sums = self.read(SUMS) if SUMS in self._files else b""
        lines = (line.partition("  ")[::2] for line in sums.decode(errors="replace").splitlines())
        said = {name: digest for digest, name in lines}
        for name in sorted(name for name in found.keys() | said.keys() if found.get(name) != said.get(name)):
            what = (
                "没有这个文件|is not there" if name not in found else "不是导出时的文件|is not the file of the export"
            )
            self._add(name, what)
        digest = sha256(sums).hexdigest()
        if sums != _sums_text(said):
            self._add(SUMS, "不是导出时的样式|is not in the form of the export")
        if expected not in (None, digest):
            self._add(SUMS, f"完整性校验值是 {digest}|its digest is {digest}, another than that in the papers")
        return digest

    def contents(self) -> Evidence:
        """Says what the bundle is; refuses FILE_MISSING, JSON_* and as `decode`."""
        return decode(Evidence, self.read(EVIDENCE))

    async def audit(self, agreement: Agreement, *, remembered: Mapping[str, bytes] = _NONE) -> Report:
        """Audits what lies in the bundle, at the moment of its export; see `run`."""
        said = self.contents()
        again = Audit(
            agreement=agreement,
            sources={node: _StoredLog(self, f"logs/{node}", said.silent.get(node)) for node in agreement.members},
            listers={node: self._messages(node) for node in sorted(said.listed) if node in agreement.members},
            remembered=remembered,
            options=Options(window=said.window, mandates=said.mandates),
            now=lambda: said.made,
        )
        for node in sorted(said.listed - {NodeName(each.agency.node) for each in said.mandates}):
            self._add(EVIDENCE, f"有 {node} 的消息，却没有授权|has messages of {node}, and no mandate for them")
        if said.window and said.window.narrowed > any(each.narrowed for each in said.mandates):
            self._add(EVIDENCE, "所称的限定没有授权写明|says that less was to be listed, which no mandate does")
        report = (await audit_federation(again)).report
        return replace(report, findings=in_reading_order((*self.findings, *report.findings)))

    def read(self, name: str) -> bytes:
        """Reads a file whole (FILE_MISSING; FILE_SIZE above 32 MiB)."""
        if name not in self._files:
            raise NotFoundError("FILE_MISSING", f"expected a file {name}")
        start, size = self._files[name]
        if size > MAX_FILE_BYTES:
            raise MalformedError("FILE_SIZE", f"expected at most {MAX_FILE_BYTES} bytes of {name}")
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(size)

    def each_listed(self, prefix: str) -> Iterator[LoggedMessage]:
        """Yields the messages of the files whose names begin so; a line that is no message is a finding."""
        for name in sorted(self._files):
            if name.startswith(prefix):
                yield from self._each_message(name)

    def each_head(self, agreement: Agreement) -> Iterator[tuple[NodeName, Checkpoint]]:
        """Yields the last head of each log that was read (NOTE, CHECKPOINT)."""
        for node in agreement.members:
            if (name := f"logs/{node}/checkpoint") in self._files:
                yield node, parse_checkpoint(parse_note(self.read(name)).text)

    async def each_entry(self, node: NodeName, agreement: Agreement) -> AsyncIterator[bytes]:
        """Yields the entries of one log, as far as they are there (BUNDLE)."""
        source, size = _StoredLog(self, f"logs/{node}", None), dict(self.each_head(agreement))[node].size
        for index in range(-(-size // TILE_WIDTH)):
            tile = tile_at(size, ENTRIES, index)
            blob = await load_cut(source, tile)
            for entry in () if blob is None else decode_bundle(blob, tile.width):
                yield entry

    def _messages(self, node: NodeName) -> ListMessages:
        """Lists what a node listed, page by page; a line that is no message is a finding."""
        reading: dict[str, Iterator[LoggedMessage]] = {}

        async def listed(query: MessageQuery) -> MessagePage:
            name = _messages_file(node, query)
            left = reading.setdefault(name, self._each_message(name))
            page = tuple(message for _, message in zip(range(query.page_size), left, strict=False))
            more = len(page) == query.page_size
            return MessagePage(messages=page, next_after_seq=page[-1].seq if more else None)

        return listed

    def _add(self, name: str, sentence: str) -> None:
        """Adds a finding about a file."""
        folder, _, rest = name.partition("/")
        node = NodeName(rest.partition("/")[0]) if folder in ("logs", "messages") else _NOBODY
        pair = " | ".join(f"{name:.200} {half}" for half in sentence.split("|"))
        self.findings.append(Finding(code=Code.EVIDENCE_CHANGED, node=node, index=None, sentence=pair))

    def _each_message(self, name: str) -> Iterator[LoggedMessage]:
        start, left = self._files.get(name, (0, 0))
        with self.path.open("rb") as file:
            file.seek(start)
            number = 0
            while left:
                line = file.readline(min(left, MAX_FILE_BYTES))
                left, number = left - len(line), number + 1
                try:
                    yield _message(line)
                except MalformedError:
                    self._add(name, f"第 {number} 行不是消息|holds no message on line {number}")
                if not line:
                    return

    def _digest(self, name: str) -> str:
        start, left = self._files[name]
        digest = sha256()
        with self.path.open("rb") as file:
            file.seek(start)
            while block := file.read(min(left, MAX_FILE_BYTES)):
                digest.update(block)
                left -= len(block)
        return digest.hexdigest()


def open_evidence(path: Path) -> EvidenceFile:
    """Opens a bundle, verifying only that it is one: files unpacked, each once (FILE_MISSING, EVIDENCE_FORM)."""
    files: dict[str, tuple[int, int]] = {}
    try:
        size = path.stat().st_size
        with ZipFile(path) as packed, path.open("rb") as file:
            for info in packed.infolist():
                file.seek(info.header_offset + 26)
                name_size, extra_size = (int.from_bytes(file.read(2), "little") for _ in range(2))
                start = info.header_offset + 30 + name_size + extra_size
                is_plain = info.compress_type == ZIP_STORED and info.filename not in files
                if not is_plain or start + info.file_size > size or info.file_size != info.compress_size:
                    raise MalformedError("EVIDENCE_FORM", f"{path}: expected {info.filename!r:.100} unpacked, once")
                files[info.filename] = start, info.file_size
    except FileNotFoundError as error:
        raise NotFoundError("FILE_MISSING", f"expected a file {path}") from error
    except (BadZipFile, OSError, NotImplementedError, UnicodeDecodeError) as error:
        raise MalformedError("EVIDENCE_FORM", f"{path}: expected a zip of 'audit export'") from error
    if sum(held for _, held in files.values()) > size:
        raise MalformedError("EVIDENCE_FORM", f"{path}: expected files that lie apart")
    return EvidenceFile(path, files)


@dataclass(slots=True)
class _StoredLog:
    """A log in a bundle: its first head is the one that was published first, and then always the last."""

    _file: EvidenceFile
    _folder: str
    _silent: str | None
    _asked: bool = False

    async def checkpoint(self) -> bytes:
        if self._silent is not None:
            raise UnavailableError("READ_FAILED", self._silent)
        first, self._asked = not self._asked, True
        return self._file.read(f"{self._folder}/{'first-checkpoint' if first else 'checkpoint'}")

    async def load(self, tile: Tile) -> bytes:
        return self._file.read(f"{self._folder}/{format_tile_path(tile)}")

    async def cosigned(self, origin: str) -> bytes:
        return self._file.read(f"{self._folder}/witness/{monitoring_path(origin)}")


def _sums_text(sums: Mapping[str, str]) -> bytes:
    """The text that `sha256sum --check` reads."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()


def _messages_file(node: NodeName, query: MessageQuery) -> str:
    return f"messages/{node}/{query.direction.value}-{query.peer}.jsonl"


def _line(message: LoggedMessage) -> bytes:
    value: dict[str, Any] = {
        "seq": message.seq, "log_index": message.log_index, "envelope": _text(message.envelope),
    }  # fmt: skip
    if message.receipt is not None:
        value["receipt"] = {"leaf": _text(message.receipt.leaf), "proof": _text(message.receipt.proof)}
    if (head := message.head) is not None:
        proof = [format_base64(each) for each in head.proof]
        salt, item = format_base64(head.salt), format_base64(head.item)
        value["head"] = {"index": head.index, "item": item, "salt": salt, "proof": proof}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _message(line: bytes) -> LoggedMessage:
    """Reads a line, written as `_line` writes it and in no other way (MalformedError EVIDENCE_FORM)."""
    message = None
    with suppress(KeyError, TypeError, ValueError, AttributeError, MalformedError):
        value = json.loads(line)
        message = LoggedMessage(
            seq=value["seq"],
            log_index=value["log_index"],
            envelope=_bytes(value["envelope"]),
            receipt=Receipt(**{name: _bytes(text) for name, text in value["receipt"].items()})
            if "receipt" in value
            else None,
            head=_head(value["head"]) if "head" in value else None,
        )
    numbers = (message.seq, message.log_index) if message is not None else ()
    if message is None or not all(type(n) is int and 0 <= n <= MAX_INTEGER for n in numbers) or _line(message) != line:
        raise MalformedError("EVIDENCE_FORM", "expected a message as 'audit export' writes it")
    return message


def _head(value: dict[str, Any]) -> Disclosure:
    item, salt, *proof = (parse_base64(text, "head") for text in (value["item"], value["salt"], *value["proof"]))
    return Disclosure(index=value["index"], item=item, salt=salt, proof=tuple(proof))


def _text(blob: bytes) -> str:
    """Bytes as text in JSON, whatever they are, so that they come back the same."""
    return blob.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
