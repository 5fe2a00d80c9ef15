"""`bridgehead lookup key|planted`: what officers and the node's operator keep for look-ups.

An officer's own key (民警本人密钥) stays on the officer's machine: Ed25519, PKCS #8 in PEM, mode
0600, never overwritten and never printed (misuse control M1). Planted records (诱饵记录) lie in
the node's store, like the public keys.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from federation.cli.options import Form, FormOption, NodeHome, now, show_in, show_value
from federation.cli.show import say
from federation.node.home.files import read_file, read_secret, write_secret
from federation.protocol.errors import MalformedError
from federation.protocol.ids import format_base64
from federation.protocol.keys import Ed25519Signer, PublicKey, Suite, admit_public_key, parse_public_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from federation.protocol.ids import AgencyId
    from federation.store.exchange_log import GroupTransaction

_SUITE_PREFIX: Final = f"{Suite.ED25519}:"

planted = typer.Typer(
    name="planted", no_args_is_help=True, help="Planted records (诱饵记录): who asks for one is flagged."
)
keys = typer.Typer(name="key", no_args_is_help=True, help="The officer's own key (民警本人密钥), which signs fetches.")

AgencyOption = Annotated[str, typer.Option("--agency", help="Such as zhejiang/330822/police.")]
OfficerOption = Annotated[str, typer.Option("--officer", help="The officer's pseudonym.")]
NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="URNs of permits or plates; - reads them, one a line.")
]
KeyOption = Annotated[Path, typer.Option("--key", help="The file of your own key (本人密钥).")]


def create_officer_key(path: Path) -> PublicKey:
    """Makes a new key in a file of mode 0600 and returns its public part (KEY_EXISTS)."""
    key = Ed25519PrivateKey.generate()
    write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return PublicKey(Suite.ED25519, key.public_key().public_bytes_raw())


def load_officer_key(path: Path) -> Ed25519Signer:
    """Loads the private key of an officer (KEY_MISSING, KEY_FILE_MODE, PRIVATE_KEY)."""
    expected = f"expected an unencrypted Ed25519 key, PKCS #8 in PEM, in {path}"
    try:
        key = load_pem_private_key(read_secret(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("PRIVATE_KEY", expected, file=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedError("PRIVATE_KEY", expected, file=str(path))
    return Ed25519Signer(key.private_bytes_raw())


def find_public_key(text: str) -> PublicKey:
    """The public key that is given as `ed25519:<base64>`, as a file that holds that line, or as a private key's file.

    Raises MalformedError PRIVATE_KEY, KEY_*, BASE64; NotFoundError FILE_MISSING; as `admit_public_key`.
    """
    if text.startswith(_SUITE_PREFIX):
        return admit_public_key(parse_public_key(text))
    content = read_file(Path(text))
    if content.startswith(_SUITE_PREFIX.encode("ascii")):
        return admit_public_key(parse_public_key(content.decode("ascii", errors="replace").strip()))
    return load_officer_key(Path(text)).public_key


def sign(key: Path, signed: bytes) -> str:
    return format_base64(load_officer_key(key).sign(signed))


@keys.command("new")
def new_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key is to lie.")],
    form: FormOption = Form.TEXT,
) -> None:
    """Make an officer's own key (mode 0600); prints the public key, which the node's operator registers."""
    from federation.protocol.keys import format_public_key

    show_value("public_key", format_public_key(create_officer_key(file)), form)
    say("请节点管理员登记 | next, the node's operator: bridgehead lookup key register")


@keys.command("register")
def register_key(
    key: Annotated[str, typer.Argument(metavar="KEYFILE|PUBLIC", help="ed25519:<base64>, or a file with the key.")],
    home: NodeHome,
    agency: AgencyOption,
    officer: OfficerOption,
    form: FormOption = Form.TEXT,
) -> None:
    """Register (登记) an officer's public key at the node; a running node takes it up by itself."""
    from federation.node.home_store import write_home_store
    from federation.node.officers import register_officer_key
    from federation.protocol.keys import format_public_key

    office, public = _own_agency(home, agency), format_public_key(find_public_key(key))
    write_home_store(home, lambda tx: register_officer_key(tx, office, officer, key=public), now=now())
    show_value("public_key", public, form)


@keys.command("withdraw")
def withdraw_key(home: NodeHome, agency: AgencyOption, officer: OfficerOption, form: FormOption = Form.TEXT) -> None:
    """Withdraw (注销) an officer's key: it signs nothing more at this node."""
    from federation.node.home_store import write_home_store
    from federation.node.officers import withdraw_officer_key

    office = _own_agency(home, agency)
    write_home_store(home, lambda tx: withdraw_officer_key(tx, office, officer), now=now())
    show_value("withdrawn", officer, form)


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
