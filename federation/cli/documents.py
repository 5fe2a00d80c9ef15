"""`bridgehead case document`: documents of a joint case (材料): added, listed, fetched; and how, for any joint record.

A file goes to the office's own node chunk by chunk; run again after a break, it goes on where it stopped. The root that
the officer files is computed here, over what was read here. What another province filed is pulled by the own node once
somebody asks for it, and a file that was cut off is gone on with.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from federation.cli.cases import USUAL, CodeArgument, do_act
from federation.cli.next_step import NEXT_STEPS
from federation.cli.options import Desk, command, now, paper_digest
from federation.cli.show import CHINA, say
from federation.cli.tree import small
from federation.cli.words import said
from federation.domain.case_items import CaseItem
from federation.domain.documents import (
    CHUNK_BYTES,
    DOCUMENT,
    Manifest,
    chunk_salt,
    hash_chunk,
    manifest_fields,
    media_type_of,
    verify_start,
)
from federation.protocol.errors import ConflictError, NotFoundError, UnavailableError, UntrustedError
from federation.protocol.form import names_of, replace
from federation.protocol.tlog.merkle import CompactRange
from federation.wire.agency import documents as wire
from federation.wire.agency.documents import ChunkUpload, DocumentLine, DocumentPlace, DocumentUpload, UploadStanding

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient
    from federation.wire.rpc import Act

app = typer.Typer(name="document", no_args_is_help=True, help="Documents of a case (材料): add, list, get.")
TRIES: Final = 5
"""So often in a row it is tried again without a chunk coming through."""
_PAUSE_SECONDS: Final = 1.0
NEXT_STEPS.update({
    "BLOBS_FULL": "办结旧案或请管理员调大 documents_gib | let old cases end, or have documents_gib raised",
    "BLOB_ORDER": "重新运行同一命令 | run the same command again",
    "DOCUMENT_ARCHIVE": "改用普通 zip，不加密，不套压缩包 | take a plain zip: not encrypted, no archive within",
    "DOCUMENT_MANIFEST": "改文件名：不含证件号码和 / \\ : | rename the file: no person's number, no / \\ :",
    "DOCUMENT_NOT_OPEN": "查看可取材料：document list | see which may be had: document list CODE",
    "DOCUMENT_ON_ITS_WAY": "稍候重新运行，从断点继续 | run it again shortly: it goes on where it stopped",
    "DOCUMENT_PROGRAM": "去掉程序、脚本和宏后再提交 | take programs, scripts and macros out",
    "DOCUMENT_REFUSED": "请提交方重新提交 | ask the office that filed it to file it anew",
    "DOCUMENT_ROOT": "重新运行；再现则报告管理员 | run it again; if it stays, tell the node's operator",
    "DOCUMENT_TYPE": "另存为 PDF、OFD、图片或 docx | save it as PDF, OFD, a picture or docx",
    "DOCUMENT_UNKNOWN": "已提交过或已过一天 | it was filed already, or is older than a day: document list CODE",
})  # fmt: skip


@command(app, "add", usual=USUAL)
def add(
    desk: Desk,
    code: CodeArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PDF, OFD, picture, recording, office file or zip.")],
    chunk: Annotated[int, typer.Option("--chunk", min=4096, max=CHUNK_BYTES, hidden=True)] = CHUNK_BYTES,
) -> None:
    """Add (提交材料) a file to a case; the same command goes on after a break."""
    do_act(desk, code, "add_document", filed=(upload(desk, code, file, chunk),))


@command(app, "list", usual=USUAL)
def list_(desk: Desk, code: CodeArgument) -> None:
    """List (材料清单) the documents of a case that your office may have."""
    show_documents(desk, code)


EntryArgument = Annotated[str, typer.Argument(metavar="ENTRY", help="The entry, as the list shows it."), small]
ItemOption = Annotated[int, typer.Option("--item", min=1, max=64, help="Which of its documents.")]
ToOption = Annotated[Path, typer.Option("--to", help="The folder to write it to.")]


@command(app, "get", usual=USUAL)
def get(desk: Desk, code: CodeArgument, entry: EntryArgument, item: ItemOption = 1, to: ToOption = Path()) -> None:
    """Fetch (取回材料) a document of a case; the same command goes on after a break."""
    fetch(desk, code, entry, item, to=to)


def upload(desk: Desk, record: str, file: Path, chunk: int = CHUNK_BYTES) -> CaseItem:
    """Brings a file to the own node, and returns the item that an act about the record carries it by."""
    digest = paper_digest(file)
    made = DocumentUpload(
        name=file.name, media_type=media_type_of(file.name), size=file.stat().st_size, chunk_size=chunk
    )
    with file.open("rb") as content:
        verify_start(made.media_type, content.read(chunk))
        name = f"{desk.profile.agency}/{record}/{digest}/{file.name}/{now().astimezone(CHINA):%Y-%m-%d}/{chunk}"
        act = replace(desk.act(), request_id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)))
        root = desk.ask(lambda client: _until_done(lambda: _upload(client, act, made, content)))
    manifest = Manifest(**{each: getattr(made, each) for each in names_of(made)}, root=root)
    return CaseItem(kind=DOCUMENT, fields=manifest_fields(manifest))


def show_documents(desk: Desk, record: str) -> None:
    """Lists the documents of a record that the office may have."""
    found = desk.call(wire.LIST_DOCUMENTS, record, changes=False)
    desk.show(found, (text for line in found.lines for text in document_lines(line)))


def fetch(desk: Desk, record: str, entry: str, item: int, *, to: Path) -> None:
    """Writes a document into a folder. Refuses DOCUMENT_NOT_OPEN, FILE_EXISTS."""
    found = desk.call(wire.LIST_DOCUMENTS, record, changes=False)
    if not found.decision.allowed:
        desk.refuse(found.decision)
        return
    lines = [line for line in found.lines if line.entry.startswith(entry) and line.item == item]
    if len(lines) != 1:
        raise NotFoundError("DOCUMENT_NOT_OPEN", f"expected one document of entry {entry!r:.70}, got {len(lines)}")
    target = to / lines[0].manifest.name
    if target.exists():
        raise ConflictError("FILE_EXISTS", f"{target} is there already", option="--to")
    part = target.with_name(f"{target.name}.{lines[0].manifest.root[:16]}.part")
    desk.ask(lambda client: _until_done(lambda: _download(client, desk.act(), lines[0], part)), changes=False)
    part.rename(target)
    desk.show(lines[0], (str(target),), data={"file": str(target)})


def document_lines(line: DocumentLine) -> Iterator[str]:
    made = line.manifest
    state = said("已在本省|here") if line.here == made.chunks else f"{line.here}/{made.chunks} {said('块|chunks')}"
    why = f"  ({line.reason})" if line.reason else ""
    yield f"{line.entry[:16]}  {line.item}  {made.name}  {made.size} {said('字节|bytes')}  {line.author}  {state}{why}"
    yield f"  {made.media_type}  {made.root}"


async def _until_done(go_on: Callable[[], Awaitable[tuple[int, str]]]) -> str:
    """Goes on after each break, until all is through or no chunk came through for some tries; returns the root."""
    before, tries = -1, 0
    while True:
        try:
            return (await go_on())[1]
        except _CutError as cut:
            tries = 0 if cut.chunks > before else tries + 1
            before = max(before, cut.chunks)
            if tries >= TRIES:
                raise cut.error from None
            say(f"中断，继续 | cut off after {cut.chunks} chunks, going on: {cut.error.reason}")
            await asyncio.sleep(_PAUSE_SECONDS)


class _CutError(Exception):
    """A break, and how many chunks were through; never leaves this module."""

    def __init__(self, error: UnavailableError, chunks: int) -> None:
        super().__init__(error)
        self.error, self.chunks = error, chunks


async def _upload(client: AgencyClient, act: Act, made: DocumentUpload, content: IO[bytes]) -> tuple[int, str]:
    """Sends what is not there yet, and returns the root that was computed here (DOCUMENT_ROOT)."""
    here, tree = 0, CompactRange()
    try:
        standing = await client.call(wire.BEGIN_DOCUMENT, act, made)
        here = standing.here
        content.seek(0)
        for number in range(-(-made.size // made.chunk_size)):
            data = content.read(made.chunk_size)
            tree.append(hash_chunk(chunk_salt(standing.salt, number), data))
            if number >= standing.here or (not standing.root and _is_last(made, number)):
                standing = await _send(client, act, ChunkUpload(document=standing.document, number=number, data=data))
                here = standing.here
    except UnavailableError as error:
        raise _CutError(error, here) from error
    if standing.root != (root := tree.root().hex()):
        raise UntrustedError("DOCUMENT_ROOT", "the node has other bytes than this file: did it change meanwhile?")
    return here, root


def _is_last(made: DocumentUpload, number: int) -> bool:
    return (number + 1) * made.chunk_size >= made.size


async def _send(client: AgencyClient, act: Act, chunk: ChunkUpload) -> UploadStanding:
    return await client.call(wire.UPLOAD_CHUNK, replace(act, request_id=str(uuid.uuid4())), chunk)


async def _download(client: AgencyClient, act: Act, line: DocumentLine, part: Path) -> tuple[int, str]:
    """Writes what is not there yet behind what is."""
    file, number = _reopen(part, line.manifest.chunk_size)
    place = DocumentPlace(record=line.record, entry=line.entry, item=line.item, from_chunk=number)
    try:
        with file:
            async with aclosing(client.watch(wire.DOWNLOAD_DOCUMENT, act, place)) as parts:
                async for each in parts:
                    file.write(each.data)
                    number += 1
    except UnavailableError as error:
        raise _CutError(error, number) from error
    if number != line.manifest.chunks:
        raise _CutError(UnavailableError("DOCUMENT_CUT", "the stream ended early"), number)
    return number, line.manifest.root


def _reopen(part: Path, chunk_size: int) -> tuple[IO[bytes], int]:
    """Opens what is there of a file behind its last whole chunk, and counts these; nobody else reads it."""
    part.touch(mode=0o600)
    file = part.open("r+b")
    number = part.stat().st_size // chunk_size
    file.seek(number * chunk_size)
    file.truncate()
    return file, number
