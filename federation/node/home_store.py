"""A home's store from outside its node, and what earlier versions kept in files; a running node sees it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from federation.node.home.agreement import load_home_agreement
from federation.node.home.config import load_settings
from federation.node.home.files import OFFICERS, make_private_folder, write_public
from federation.node.home.keyring import load_keyring
from federation.node.officer_keys import Occurrence, register_officer_key
from federation.node.officers import is_known_officer
from federation.node.planted import plant, was_planted
from federation.protocol.errors import BridgeheadError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.trust import find_agency
from federation.store.database import Database, open_database
from federation.store.exchange_log import GroupTransaction, commit_group

HONEY_FILE: Final = "honey.txt"
T = TypeVar("T")


@contextmanager
def open_home_store(home: Path) -> Iterator[Database]:
    """Opens the store of a home whose node may be running."""
    database = open_database(load_settings(home).database, keys=load_keyring(home).columns, folder=home)
    try:
        yield database
    finally:
        database.close()


def write_home_store(home: Path, job: Callable[[GroupTransaction], T], *, now: datetime) -> T:
    """Runs one job in a transaction of a home's store; returns what it returned once that is durable."""
    with open_home_store(home) as database:
        (outcome,) = commit_group(database, [job], now=now).outcomes
    if isinstance(outcome, BridgeheadError):
        raise outcome
    return outcome


def write_officer_key(  # whose key, where and when
    home: Path, agency: AgencyId, officer: str, *, key: str, now: datetime, changes: bool = False
) -> None:
    """Registers an officer's key at the home's node, which may be running.

    Refuses NOT_AN_AGENCY for an office that the agreement does not name, and as `register_officer_key`.
    """
    at = Occurrence(agreement=load_home_agreement(home, now=now), now=now)
    if find_agency(at.agreement, agency) is None:
        raise UntrustedError("NOT_AN_AGENCY", f"the agreement names no agency {agency}")
    write_home_store(
        home, lambda tx: register_officer_key(tx, agency, officer, key=key, at=at, changes=changes), now=now
    )


def offer_officer_key(home: Path, agency: AgencyId, officer: str, *, key: str) -> None:
    """Lays an officer's public key into a home whose store is not there yet; the node takes it in when it starts."""
    path = home / OFFICERS / f"{agency.county}-{agency.kind}" / f"{officer}.pub"
    make_private_folder(path.parent)
    write_public(path, f"{key}\n".encode())


def find_home_files(home: Path, node: NodeName, *, at: Occurrence) -> Callable[[GroupTransaction], int] | None:
    """Returns the job that takes in an earlier version's officers' keys and planted records; None without such files.

    What the store knows, withdrawn or removed included, stays. The job raises for a file without an admissible key.
    """
    keys = [_read_key(path, node) for path in sorted((home / OFFICERS).glob("*/*.pub"))]
    honey = home / HONEY_FILE
    lines = [line.strip() for line in honey.read_text(encoding="utf-8").splitlines()] if honey.is_file() else []
    planted = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))

    def take_in(transaction: GroupTransaction) -> int:
        new_keys = [found for found in keys if not is_known_officer(transaction, *found[:2])]
        for agency, officer, key in new_keys:
            register_officer_key(transaction, agency, officer, key=key, at=at)
        new_names = [name for name in planted if not was_planted(transaction, name)]
        for name in new_names:
            plant(transaction, name, owner=node)
        return len(new_keys) + len(new_names)

    return take_in if keys or planted else None


def _read_key(path: Path, node: NodeName) -> tuple[AgencyId, str, str]:
    county, _, kind = path.parent.name.partition("-")
    return AgencyId(node, county, kind), path.stem, path.read_text(encoding="ascii").strip()
