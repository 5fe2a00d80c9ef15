"""`bridgehead lookup key|planted`: officers' own keys, and what the node's operator keeps for look-ups.

An officer's own key (经办人本人密钥) lies beside the profile on the officer's machine (`node/home/files`); its public
part is registered by an administrator of the office (密钥管理员). Planted records (诱饵记录) lie in the node's store.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from federation.cli.options import (
    AgencyOption,
    ClientOption,
    Desk,
    Form,
    FormOption,
    HomeOption,
    NodeHome,
    Paging,
    commands_for,
    find_profile,
    now,
    read_line,
    show_in,
    show_value,
)
from federation.cli.show import say
from federation.cli.words import said
from federation.domain.lookups_case import LOOKUP_FUNCTION
from federation.domain.officers import KEY_PURPOSE, KeyStanding, offer_key, parse_offer
from federation.wire.agency import keys as wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from federation.domain.officers import OfficerKey
    from federation.store.exchange_log import GroupTransaction

command = commands_for(KEY_PURPOSE, LOOKUP_FUNCTION)
_STANDINGS: Final = {
    KeyStanding.REGISTERED: "已登记|registered",
    KeyStanding.ADMINISTERS: "管理员|administrator",
    KeyStanding.WITHDRAWN: "已注销|withdrawn",
}

_OFFICER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)

planted = typer.Typer(
    name="planted", no_args_is_help=True, help="Planted records (诱饵记录): who asks for one is flagged."
)
keys = typer.Typer(
    name="key", no_args_is_help=True, help="The officer's own key (经办人本人密钥), which signs what an officer does."
)

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
    agency: AgencyOption = None,
    officer: Annotated[str, typer.Option("--officer", help="Your pseudonym (本人化名); not with a FILE.")] = "",
    form: FormOption = Form.TEXT,
) -> None:
    """Make your own key (mode 0600), once: the profile remembers it and you; prints your offer to be registered.

    A profile that works for somebody else goes on so until the key is registered. A key in a FILE of its own is
    remembered by nobody: it is given each time, with --key and --officer.
    """
    from federation.node.home.files import (
        create_officer_key,
        create_profile_key,
        load_ed25519,
        officer_key_path,
        remember_officer,
    )
    from federation.protocol.keys import format_public_key

    if file is not None:
        show_value("public_key", format_public_key(create_officer_key(file)), form)
        say("  -> bridgehead lookup key offer --key FILE --officer NAME")
        return
    if not _OFFICER.fullmatch(officer):
        raise typer.BadParameter("--officer NAME：1 至 64 个字母、数字、- 或 _ | 1 to 64 letters, digits, - and _")
    profile = find_profile(client, home, agency)
    create_profile_key(profile.officers, officer)
    before = profile.current_officer()
    if not before:
        remember_officer(profile.officers, officer)
    own = load_ed25519(officer_key_path(profile.officers, officer))
    show_value("offer", offer_key(own, agency=profile.agency, officer=officer), form)
    if before:
        chinese = f"登记前仍以 {before} 办理；登记后写明本人：--officer {officer}"
        say(f"{chinese} | it goes on as {before} until this one is registered; then name yourself: --officer {officer}")
    say("交给本单位密钥管理员 | give this line to your office's administrator: bridgehead lookup key register OFFER")


@command(keys, "offer")
def offer_again(desk: Desk) -> None:
    """Print the offer (登记申请) of your own key once more, for the administrator of your office to register."""
    offer = offer_key(desk.own_key(), agency=desk.profile.agency, officer=desk.named_officer())
    show_value("offer", offer, desk.form)


@command(keys, "register")
def register_key(
    desk: Desk,
    offer: Annotated[str, typer.Argument(metavar="OFFER", help="The line that they gave you; - reads it.")],
    administers: Annotated[
        bool, typer.Option("--administrator", help="They administer keys, too, and ask nothing about persons.")
    ] = False,
    replaces: Annotated[
        bool, typer.Option("--replace", help="In the place of their key of now, which never counts again.")
    ] = False,
) -> None:
    """Register (登记) the key that an officer of your office offers: you administer keys, and sign with your own."""
    from federation.node.home.files import officer_key_path, remember_officer

    offered = parse_offer(read_line(offer))
    question = wire.KeyQuestion(
        officer=offered.officer, key=offered.key, proof=offered.proof, administers=administers, replaces=replaces
    )
    registered, folder = desk.call(wire.REGISTER_KEY, question), desk.profile.officers
    if registered.standing is KeyStanding.REGISTERED and officer_key_path(folder, registered.officer).is_file():
        remember_officer(folder, registered.officer)  # who works with this very profile does so from now on
    _show_key(desk, registered)


@command(keys, "withdraw")
def withdraw_key(
    desk: Desk, name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key: the pseudonym.")]
) -> None:
    """Withdraw (注销) a key of your office, for good: every province that knows it is told."""
    _show_key(desk, desk.call(wire.WITHDRAW_KEY, name))


@command(keys, "list")
def list_keys(desk: Desk, paging: Paging) -> None:
    """List (名册) the keys of your office, those of administrators and withdrawn ones included."""
    page = desk.read(wire.LIST_KEYS, wire.KeyQuery(), paging, items="keys")
    desk.show_page(page, map(_line, page.keys), items="keys", noun="keys")


def _show_key(desk: Desk, key: OfficerKey) -> None:
    desk.show(key, [_line(key)])


def _line(key: OfficerKey) -> str:
    return f"{key.officer}  {said(_STANDINGS[key.standing])}  {key.version}  {key.key}"


# ---- planted records


@planted.command("add")
def add_planted(names: NamesArgument, home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Plant records; from then on who searches for one, or hits one, is flagged."""
    from federation.node.oversight.flags import plant

    show_value("planted", str(_write_each(home, names, plant)), form)


@planted.command("remove")
def remove_planted_records(names: NamesArgument, home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """Make planted records records like any others."""
    from federation.node.oversight.flags import remove_planted

    show_value("removed", str(_write_each(home, names, remove_planted)), form)


@planted.command("list")
def list_planted_records(home: NodeHome, form: FormOption = Form.TEXT) -> None:
    """List (清单) what is planted at the node."""
    from federation.node.home_store import open_home_store
    from federation.node.oversight.flags import list_planted

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
