"""`bridgehead lookup key|planted`: what officers and the node's operator keep for look-ups.

An officer's own key (民警本人密钥) stays on the officer's machine, beside the profile (`node/home/files`).
Planted records (诱饵记录) lie in the node's store, like the public keys.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from federation.cli.options import AgencyOption as WhoseOption
from federation.cli.options import (
    ClientOption,
    Form,
    FormOption,
    HomeOption,
    NodeHome,
    find_profile,
    now,
    show_in,
    show_value,
)
from federation.cli.show import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from federation.protocol.ids import AgencyId
    from federation.protocol.keys import PublicKey
    from federation.store.exchange_log import GroupTransaction

_OFFICER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)

planted = typer.Typer(
    name="planted", no_args_is_help=True, help="Planted records (诱饵记录): who asks for one is flagged."
)
keys = typer.Typer(
    name="key", no_args_is_help=True, help="The officer's own key (民警本人密钥), which signs what an officer does."
)

AgencyOption = Annotated[str, typer.Option("--agency", help="Such as zhejiang/330822/police.")]
OfficerOption = Annotated[str, typer.Option("--officer", help="The officer's pseudonym.")]
NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="URNs of permits or plates; - reads them, one a line.")
]


@keys.command("new")
def new_key(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where the private key is to lie; beside the profile.")
    ] = None,
    client: ClientOption = None,
    home: HomeOption = Path(".demo"),
    agency: WhoseOption = None,
    officer: Annotated[str, typer.Option("--officer", help="Your pseudonym (本人化名); not with a FILE.")] = "",
    form: FormOption = Form.TEXT,
) -> None:
    """Make your own key (mode 0600), once: the profile remembers it and you; prints the public key, to be registered.

    A key in a FILE of its own is remembered by nobody: it is given each time, with --key and --officer.
    """
    from federation.node.home.files import create_officer_key, create_profile_key
    from federation.protocol.keys import format_public_key

    who = ""
    if file is None:
        if not _OFFICER.fullmatch(officer):
            raise typer.BadParameter("--officer NAME：1 至 64 个字母、数字、- 或 _ | 1 to 64 letters, digits, - and _")
        profile = find_profile(client, home, agency)
        made, who = create_profile_key(profile.officers, officer), f" --agency {profile.agency} --officer {officer}"
    else:
        made = create_officer_key(file)
    public = format_public_key(made)
    show_value("public_key", public, form)
    say(f"请节点管理员登记 | next, the node's operator: bridgehead lookup key register {public} --home HOME{who}")


@keys.command("register")
def register_key(
    home: NodeHome,
    agency: AgencyOption,
    officer: OfficerOption,
    key: Annotated[
        str, typer.Argument(metavar="KEYFILE|PUBLIC", help="ed25519:<base64>, or its file; that beside the profile.")
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="In the place of the key that is registered now; everybody is told.")
    ] = False,
    form: FormOption = Form.TEXT,
) -> None:
    """Register (登记) an officer's public key at the node; a running node takes it up by itself."""
    from federation.node.home.certificates import client_folder
    from federation.node.home.files import OFFICERS, officer_key_path
    from federation.node.home.setup import require_agency
    from federation.node.home_store import write_officer_key
    from federation.protocol.keys import format_public_key

    office = require_agency(home, _own_agency(home, agency), now=now())
    beside = officer_key_path(client_folder(home, office) / OFFICERS, officer)
    public = format_public_key(find_public_key(key or str(beside)))
    write_officer_key(home, office, officer, key=public, now=now(), changes=replace)
    show_value("public_key", public, form)


@keys.command("withdraw")
def withdraw_key(home: NodeHome, agency: AgencyOption, officer: OfficerOption, form: FormOption = Form.TEXT) -> None:
    """Withdraw (注销) an officer's key: it signs nothing more at this node."""
    from federation.node.home.agreement import load_home_agreement
    from federation.node.home_store import write_home_store
    from federation.node.officer_keys import Occurrence, withdraw_officer_key

    office = _own_agency(home, agency)
    at = Occurrence(agreement=load_home_agreement(home, now=now()), now=now())
    write_home_store(home, lambda tx: withdraw_officer_key(tx, office, officer, at=at), now=at.now)
    show_value("withdrawn", officer, form)


def find_public_key(text: str) -> PublicKey:
    """The public key that is given as `ed25519:<base64>`, as a file that holds that line, or as a private key's file.

    Raises MalformedError PRIVATE_KEY, KEY_*, BASE64; NotFoundError FILE_MISSING; as `admit_public_key`.
    """
    from federation.node.home.files import load_ed25519, read_file
    from federation.protocol.keys import Suite, admit_public_key, parse_public_key

    prefix = f"{Suite.ED25519}:"
    if text.startswith(prefix):
        return admit_public_key(parse_public_key(text))
    content = read_file(Path(text))
    if content.startswith(prefix.encode("ascii")):
        return admit_public_key(parse_public_key(content.decode("ascii", errors="replace").strip()))
    return load_ed25519(Path(text)).public_key


def _own_agency(home: Path, agency: str) -> AgencyId:
    """Raises RuleError: AGENCY_ELSEWHERE when the agency is another node's."""
    from federation.node.home.keyring import load_identity
    from federation.protocol.errors import RuleError
    from federation.protocol.ids import parse_agency_id

    office, node = parse_agency_id(agency), load_identity(home).node
    if office.node != node:
        raise RuleError("AGENCY_ELSEWHERE", f"expected an agency of {node}, got {office}")
    return office


# ---- planted records


@planted.command("add")
def add_planted(names: NamesArgument, home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Plant records; from then on who searches for one, or hits one, is flagged."""
    from federation.node.planted import plant

    show_value("planted", str(_write_each(home, names, plant)), form)


@planted.command("remove")
def remove_planted_records(names: NamesArgument, home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Make planted records records like any others."""
    from federation.node.planted import remove_planted

    show_value("removed", str(_write_each(home, names, remove_planted)), form)


@planted.command("list")
def list_planted_records(home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """List (清单) what is planted at the node."""
    from federation.node.home_store import open_home_store
    from federation.node.planted import list_planted

    with open_home_store(home) as database:
        names = sorted(list_planted(database))
    show_in(form, {"planted": names}, names)


def _write_each(home: Path, names: list[str], write: Callable[..., None]) -> int:
    """Plants or removes every name in one transaction: how many they are."""
    from federation.node.home.keyring import load_identity
    from federation.node.home_store import write_home_store

    lines = [line for name in names for line in (sys.stdin if name == "-" else (name,))]
    from federation.cli.lookups import exact_name

    found, owner = [exact_name(line) for line in lines if line.strip()], load_identity(home).node

    def job(transaction: GroupTransaction) -> None:
        for name in found:
            write(transaction, name, owner=owner)

    write_home_store(home, job, now=now())
    return len(found)
