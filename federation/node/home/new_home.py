"""Making the home of a new node in one step: settings, keys, certificates, profiles of its agencies.

Rules kept: nothing that exists is overwritten; a crash on the way leaves a home that is refused, to be removed and made
again, never one with half of its keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from federation.node.home.config import NodeSettings, load_settings
from federation.node.home.keyring import create_keyring
from federation.node.home.member_sheet import MemberSheet, agency_ids, load_member_sheet
from federation.node.home.secret_files import make_private_folder, read_file, write_public
from federation.node.home.tls_files import create_tls, write_profiles
from federation.protocol.errors import RuleError
from federation.protocol.ids import parse_node_name

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def create_home(home: Path, folder: Path, *, now: datetime, hosts: Sequence[str] = ()) -> MemberSheet:
    """Creates a node's home out of `nodes/<province>` with its `node.toml` and `member.toml`.

    A `node.toml` that lies in the home already stays. `hosts` are the names and addresses in the node's certificates
    beside `<node>.<federation>` and loopback.

    Raises:
        ConflictError: HOME_EXISTS when the home has keys already.
        RuleError: MEMBER_ELSEWHERE when settings and member sheet are of different nodes.
        MalformedError, NotFoundError: for settings or a sheet of another form, or none.
    """
    sheet = load_member_sheet(folder / "member.toml")
    make_private_folder(home)
    if not (home / "node.toml").exists():
        write_public(home / "node.toml", read_file(folder / "node.toml"))
    settings = load_settings(home)
    if settings.node != sheet.node:
        raise RuleError("MEMBER_ELSEWHERE", f"expected the member sheet of {settings.node}, got that of {sheet.node}")
    create_keyring(home, settings.federation, node=parse_node_name(settings.node), now=now)
    create_tls(home, agency_ids(sheet), hosts=(*LOOPBACK, *hosts), now=now)
    write_profiles_from(home, settings)
    return sheet


def write_profiles_from(home: Path, settings: NodeSettings) -> tuple[Path, ...]:
    """Writes every agency's connection profile with the addresses of the settings."""
    return write_profiles(
        home,
        agency_addr=f"{settings.host}:{settings.agency_port}",
        read_url=f"http://{settings.host}:{settings.read_port}",
    )
