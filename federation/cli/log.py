"""`bridgehead log`: one log's head, one entry, and the proof of it, read over HTTP and verified before it is printed.

What is printed is for other people's tools: a C2SP checkpoint, a C2SP `.tlog-proof`, a leaf in JSON.
Exit codes: 0 verified and printed, 1 not verified or not there, 3 the node could not be reached.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from federation.cli.federation_file import (
    FederationOption,
    HomeOption,
    find_federation_file,
    load_federation_agreement,
    load_federation_file,
)
from federation.cli.options import Form, FormOption, command, run_loop
from federation.cli.show import show_json
from federation.protocol.errors import NotFoundError

if TYPE_CHECKING:
    from federation.audit.fetch import LogSource, ProvenEntry
    from federation.protocol.tlog.checkpoint import Checkpoint
    from federation.protocol.tlog.note import Vkey

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Read one exchange log: its head, an entry, a proof.")

NodeOption = Annotated[str | None, typer.Option("--node", help="The node whose log it is.")]
UrlOption = Annotated[str | None, typer.Option("--read-url", help="Where the log is read, e.g. http://127.0.0.1:7103.")]
VkeyOption = Annotated[str | None, typer.Option("--vkey", help="The log's key [default: as the agreement has it].")]
IndexArgument = Annotated[int, typer.Argument(min=0, help="The entry's index in the log, from 0.")]


@dataclass(frozen=True, slots=True)
class Log:
    """Where a log is read, and the key that signs its heads."""

    read_url: str
    vkey: Vkey


@app.callback()
def log() -> None:
    """Read one exchange log: its head, an entry, a proof."""


def find_log(
    *,
    node: NodeOption = None,
    read_url: UrlOption = None,
    vkey: VkeyOption = None,
    home: HomeOption = Path(".demo"),
    federation: FederationOption = None,
) -> Log:
    """The log that the options name: its address may come from anywhere, its key from options or agreement.

    Raises:
        typer.BadParameter: when they name none; NotFoundError: LOG_UNKNOWN.
        BridgeheadError: as `load_federation_agreement` and `parse_vkey`.
    """
    from federation.protocol.tlog.note import parse_vkey

    if read_url is not None and vkey is not None:
        return Log(read_url, parse_vkey(vkey))
    if node is None and read_url is None:
        raise typer.BadParameter("name the log by --node, or by --read-url and --vkey")
    known = load_federation_file(find_federation_file(home, federation))
    agreement = load_federation_agreement(known, datetime.now(UTC))
    for name, member in agreement.members.items():
        url = known.read_urls.get(name, member.read_url)
        if name == node or (node is None and url == read_url):
            return Log(read_url or url, parse_vkey(vkey or member.log_vkey))
    raise NotFoundError("LOG_UNKNOWN", f"the agreement names no log of {node or read_url}")


@command(app, "checkpoint", found=find_log)
def checkpoint(found: Log, output: FormOption = Form.TEXT) -> None:
    """Print the log's signed head, verbatim, after its signature verified."""
    from federation.audit.fetch import fetch_head

    note, head = _read(found, lambda source: fetch_head(source, found.vkey))
    if output is Form.JSON:
        show_json({**_head_object(head), "checkpoint": note.decode()})
    else:
        sys.stdout.write(note.decode())


@command(app, "proof", found=find_log)
def proof(found: Log, index: IndexArgument, output: FormOption = Form.TEXT) -> None:
    """Print the .tlog-proof of an entry: built from the log's tiles, and verified."""
    from federation.protocol.tlog.proof import TlogProof, format_proof

    proven = _read_entry(found, index)
    blob = format_proof(TlogProof(index=proven.index, hashes=proven.hashes, checkpoint=proven.note))
    if output is Form.JSON:
        show_json({"index": proven.index, "proof": blob.decode()})
    else:
        sys.stdout.write(blob.decode())


@command(app, "leaf", found=find_log)
def leaf(
    found: Log,
    index: IndexArgument,
    raw: Annotated[bool, typer.Option("--raw", help="The exact bytes that are hashed, without a line feed.")] = False,
    output: FormOption = Form.JSON,
) -> None:
    """Print an entry, after its proof verified: a leaf is JSON by itself."""
    del output
    from federation.protocol.leaf import decode_leaf

    entry = _read_entry(found, index).entry
    decode_leaf(entry)
    if raw:
        sys.stdout.write(entry.decode())
    else:
        show_json(json.loads(entry))


def _read_entry(found: Log, index: int) -> ProvenEntry:
    from federation.audit.fetch import fetch_proven

    return _read(found, lambda source: fetch_proven(source, found.vkey, index))


def _read(found: Log, ask: Callable[[LogSource], Awaitable[T]]) -> T:
    from federation.wire.read_client import ReadClient

    async def reading() -> T:
        client = ReadClient(found.read_url)
        try:
            return await ask(client)
        finally:
            client.close()

    return run_loop(reading())


def _head_object(head: Checkpoint) -> dict[str, str | int]:
    return {"origin": head.origin, "size": head.size, "root": head.root.hex()}
