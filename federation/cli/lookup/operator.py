"""What a node's operator keeps for its look-ups: the officers' own keys, and the planted records (诱饵记录).

Both lie in the node's store; a running node sees a change at once.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.output import Form, FormOption, say, show_json, show_one

if TYPE_CHECKING:
    from federation.protocol.ids import AgencyId
    from federation.store.exchange_log import GroupTransaction

keys = typer.Typer(name="key", no_args_is_help=True, help="The officer's own key (民警本人密钥), which signs fetches.")
planted = typer.Typer(
    name="planted", no_args_is_help=True, help="Planted records (诱饵记录): who asks for one is flagged."
)

HomeOption = Annotated[Path, typer.Option("--home", help="The node's home.")]
AgencyOption = Annotated[str, typer.Option("--agency", help="Such as zhejiang/330822/police.")]
OfficerOption = Annotated[str, typer.Option("--officer", help="The officer's pseudonym.")]
NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="URNs of permits or plates; - reads them, one a line.")
]


@keys.command("new")
def new_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key is to lie.")],
    form: FormOption = Form.TEXT,
) -> None:
    """Make an officer's own key (mode 0600); prints the public key, which the node's operator registers."""
    from federation.cli.lookup.officer_key import create_officer_key
    from federation.protocol.keys import format_public_key

    show_one("public_key", format_public_key(create_officer_key(file)), form)
    say("请节点管理员登记 | next, the node's operator: bridgehead lookup key register")


@keys.command("register")
def register_key(
    key: Annotated[str, typer.Argument(metavar="KEYFILE|PUBLIC", help="ed25519:<base64>, or a file with the key.")],
    home: HomeOption,
    agency: AgencyOption,
    officer: OfficerOption,
    form: FormOption = Form.TEXT,
) -> None:
    """Register (登记) an officer's public key at the node; a running node takes it up by itself."""
    from federation.cli.lookup.officer_key import find_public_key
    from federation.node.home_store import write_home_store
    from federation.node.officers import register_officer_key
    from federation.protocol.keys import format_public_key

    office, public = _own_agency(home, agency), format_public_key(find_public_key(key))
    write_home_store(home, lambda tx: register_officer_key(tx, office, officer, key=public), now=datetime.now(UTC))
    show_one("public_key", public, form)


@keys.command("withdraw")
def withdraw_key(home: HomeOption, agency: AgencyOption, officer: OfficerOption, form: FormOption = Form.TEXT) -> None:
    """Withdraw (注销) an officer's key: it signs nothing more at this node."""
    from federation.node.home_store import write_home_store
    from federation.node.officers import withdraw_officer_key

    office = _own_agency(home, agency)
    write_home_store(home, lambda tx: withdraw_officer_key(tx, office, officer), now=datetime.now(UTC))
    show_one("withdrawn", officer, form)


@planted.command("add")
def add_planted(names: NamesArgument, home: HomeOption, form: FormOption = Form.TEXT) -> None:
    """Plant records; from then on who searches for one, or hits one, is flagged."""
    from federation.node.home.keyring import load_identity
    from federation.node.home_store import write_home_store
    from federation.node.planted import plant

    found, owner = _read_names(names), load_identity(home).node

    def job(transaction: GroupTransaction) -> None:
        for name in found:
            plant(transaction, name, owner=owner)

    write_home_store(home, job, now=datetime.now(UTC))
    show_one("planted", str(len(found)), form)


@planted.command("remove")
def remove_planted_records(names: NamesArgument, home: HomeOption, form: FormOption = Form.TEXT) -> None:
    """Make planted records records like any others."""
    from federation.node.home.keyring import load_identity
    from federation.node.home_store import write_home_store
    from federation.node.planted import remove_planted

    found, owner = _read_names(names), load_identity(home).node

    def job(transaction: GroupTransaction) -> None:
        for name in found:
            remove_planted(transaction, name, owner=owner)

    write_home_store(home, job, now=datetime.now(UTC))
    show_one("removed", str(len(found)), form)


@planted.command("list")
def list_planted_records(home: HomeOption, form: FormOption = Form.TEXT) -> None:
    """List (清单) what is planted at the node."""
    from federation.node.home_store import open_home_store
    from federation.node.planted import list_planted

    with open_home_store(home) as database:
        names = sorted(list_planted(database))
    if form is Form.JSON:
        show_json({"planted": list(names)})
        return
    for name in names:
        print(name)


def _own_agency(home: Path, agency: str) -> AgencyId:
    """Raises RuleError: AGENCY_ELSEWHERE when the agency is another node's."""
    from federation.node.home.keyring import load_identity
    from federation.protocol.errors import RuleError
    from federation.protocol.ids import parse_agency_id

    office, node = parse_agency_id(agency), load_identity(home).node
    if office.node != node:
        raise RuleError("AGENCY_ELSEWHERE", f"expected an agency of {node}, got {office}")
    return office


def _read_names(names: list[str]) -> list[str]:
    lines = [line for name in names for line in (sys.stdin if name == "-" else (name,))]
    return [exact_name(line) for line in lines if line.strip()]


def exact_name(text: str) -> str:
    """Returns the name as records have it: a plate in its written form, the x of a citizen number as a capital."""
    from federation.domain.dossiers.plate import normalise_plate

    name = text.strip()
    return name if name.startswith("urn:") else normalise_plate(name).upper()
