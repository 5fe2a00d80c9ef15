"""A home's store from outside its node, and what earlier versions kept in files; a running node sees it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from federation.domain.officers import KeyOffer, KeyStanding, OfficerKey, verify_offer
from federation.node.home.agreement import load_home_agreement
from federation.node.home.config import load_settings
from federation.node.home.files import ADMINISTRATORS, make_private_folder, write_public
from federation.node.home.keyring import load_identity, load_keyring
from federation.node.officer_keys import Occurrence, enrol_administrator, list_administrators
from federation.node.oversight.flags import plant, was_planted
from federation.protocol.errors import BridgeheadError, RuleError, UntrustedError
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


def write_administrator(home: Path, offer: KeyOffer, *, now: datetime, replaces: bool = False) -> None:
    """Enrols the administrator of an office at the home's node, which may be running.

    Refuses AGENCY_ELSEWHERE, NOT_AN_AGENCY for an office that the agreement does not name, and as `verify_offer` and
    `enrol_administrator`.
    """
    node = load_identity(home).node
    if offer.agency.node != node:
        raise RuleError("AGENCY_ELSEWHERE", f"expected an agency of {node}, got {offer.agency}")
    at = Occurrence(agreement=load_home_agreement(home, now=now), now=now)
    if find_agency(at.agreement, offer.agency) is None:
        raise UntrustedError("NOT_AN_AGENCY", f"the agreement names no agency {offer.agency}")
    verify_offer(offer)
    key = _administrator(offer.agency, offer.officer, offer.key)
    write_home_store(home, lambda tx: enrol_administrator(tx, key, at=at, replaces=replaces), now=now)


def lay_administrator(home: Path, agency: AgencyId, name: str, *, key: str) -> None:
    """Lays an administrator's public key into a home whose store is not there yet; the node enrols it as it starts."""
    path = home / ADMINISTRATORS / f"{agency.county}-{agency.kind}" / f"{name}.pub"
    make_private_folder(path.parent)
    write_public(path, f"{key}\n".encode())


def find_home_files(home: Path, node: NodeName, *, at: Occurrence) -> Callable[[GroupTransaction], int] | None:
    """Returns the job that takes in laid administrators and an earlier version's planted records; None without any.

    What the store knows stays: an office that has an administrator, a record that was removed. The job raises for a
    file without an admissible key.
    """
    keys = [_read_key(path, node) for path in sorted((home / ADMINISTRATORS).glob("*/*.pub"))]
    honey = home / HONEY_FILE
    lines = [line.strip() for line in honey.read_text(encoding="utf-8").splitlines()] if honey.is_file() else []
    planted = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))

    def take_in(transaction: GroupTransaction) -> int:
        new_keys = [key for key in keys if not list_administrators(transaction, key.agency)]
        for key in new_keys:
            enrol_administrator(transaction, key, at=at)
        new_names = [name for name in planted if not was_planted(transaction, name)]
        for name in new_names:
            plant(transaction, name, owner=node)
        return len(new_keys) + len(new_names)

    return take_in if keys or planted else None


def _read_key(path: Path, node: NodeName) -> OfficerKey:
    county, _, kind = path.parent.name.partition("-")
    return _administrator(AgencyId(node, county, kind), path.stem, path.read_text(encoding="ascii").strip())


def _administrator(agency: AgencyId, name: str, key: str) -> OfficerKey:
    return OfficerKey(agency=agency, officer=name, version=0, standing=KeyStanding.ADMINISTERS, key=key)
