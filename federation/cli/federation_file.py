"""`federation.json`: where the nodes of one federation are reached, which agreement holds, and whose profiles are here.

It says *where*, never *whom to trust*: every key comes from the agreement, which is verified from its pinned root.
A relative path counts from the file's own folder, or from the working folder when there is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from federation.protocol.errors import MalformedError, NotFoundError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id, parse_node_name

if TYPE_CHECKING:
    from federation.protocol.trust import Agreement

FEDERATION_FILE = "federation.json"
_DIGEST_LENGTH = 64

HomeOption = Annotated[Path, typer.Option("--home", help="Folder with federation.json in it.")]
FederationOption = Annotated[Path | None, typer.Option("--federation", help="The federation.json itself.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationFile:
    """What the file says. `root` is the pinned first root: a file, or the hex SHA-256 of its bytes."""

    path: Path
    agreement: Path
    root: str
    read_urls: Mapping[NodeName, str]
    profiles: Mapping[AgencyId, Path]


class _Agreement(msgspec.Struct):
    path: str
    root: str


class _Node(msgspec.Struct):
    node: str
    read_url: str


class _Client(msgspec.Struct):
    agency: str
    profile: str | None = None


class _File(msgspec.Struct):
    """What is read of the file; other programs find more in it."""

    agreement: _Agreement
    nodes: list[_Node]
    clients: list[_Client]


def load_federation_file(path: Path) -> FederationFile:
    """Loads a `federation.json` (FEDERATION_FILE, NODE_NAME, AGENCY_ID)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotFoundError("FEDERATION_FILE", f"expected {path}: a running 'bridgehead demo' writes one") from error
    try:
        found = msgspec.json.decode(content, type=_File)
    except msgspec.ValidationError as error:
        raise MalformedError("FEDERATION_FILE", f"{path}: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedError("FEDERATION_FILE", f"{path}: expected JSON") from error
    return FederationFile(
        path=path,
        agreement=_resolve(path, found.agreement.path),
        root=found.agreement.root,
        read_urls={parse_node_name(each.node): each.read_url for each in found.nodes},
        profiles={
            parse_agency_id(each.agency): _resolve(path, each.profile)
            for each in found.clients
            if each.profile is not None
        },
    )


def load_federation_agreement(file: FederationFile, now: datetime) -> Agreement:
    """Loads the agreement that the file points to, verified from the pinned root (AGREEMENT_ROOT)."""
    from federation.node.home.agreement import read_agreement_files, read_repository
    from federation.protocol.trust import load_agreement

    folder = file.agreement
    files = read_repository(folder) if (folder / "metadata").is_dir() else read_agreement_files(folder)
    return load_agreement(files, trusted_root=_pinned_root(file, files.roots), now=now, previous=None)


def _pinned_root(file: FederationFile, roots: tuple[bytes, ...]) -> bytes:
    path = _resolve(file.path, file.root)
    if path.is_file():
        return path.read_bytes()
    if len(file.root) != _DIGEST_LENGTH:
        raise NotFoundError("AGREEMENT_ROOT", f"expected the pinned root {path}, or its SHA-256 in hex")
    if not roots or sha256(roots[0]).hexdigest() != file.root:
        raise UntrustedError("AGREEMENT_ROOT", f"expected a first root with the SHA-256 {file.root:.16}")
    return roots[0]


def _resolve(file: Path, text: str) -> Path:
    beside = file.parent / text
    return beside if beside.exists() else Path(text)
