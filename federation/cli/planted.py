"""`bridgehead lookup planted`: the planted records (诱饵记录) that a node's operator keeps.

They lie in the node's store; a running node sees a change at once.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.options import Form, FormOption, show_value
from federation.cli.show import show_json, show_lines

if TYPE_CHECKING:
    from federation.store.exchange_log import GroupTransaction

planted = typer.Typer(
    name="planted", no_args_is_help=True, help="Planted records (诱饵记录): who asks for one is flagged."
)

HomeOption = Annotated[Path, typer.Option("--home", help="The node's home.")]
NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="URNs of permits or plates; - reads them, one a line.")
]


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
    show_value("planted", str(len(found)), form)


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
    show_value("removed", str(len(found)), form)


@planted.command("list")
def list_planted_records(home: HomeOption, form: FormOption = Form.TEXT) -> None:
    """List (清单) what is planted at the node."""
    from federation.node.home_store import open_home_store
    from federation.node.planted import list_planted

    with open_home_store(home) as database:
        names = sorted(list_planted(database))
    if form is Form.JSON:
        show_json({"planted": list(names)})
    else:
        show_lines(names)


def _read_names(names: list[str]) -> list[str]:
    lines = [line for name in names for line in (sys.stdin if name == "-" else (name,))]
    return [exact_name(line) for line in lines if line.strip()]


def exact_name(text: str) -> str:
    """Returns the name as records have it: a plate in its written form, the x of a citizen number as a capital."""
    from federation.domain.plate import normalise_plate

    name = text.strip()
    return name if name.startswith("urn:") else normalise_plate(name).upper()
