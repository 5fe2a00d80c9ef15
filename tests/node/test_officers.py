"""Officers' keys, planted records and working days: the same for every process on one store, whatever lies in a home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.domain.clock import CALENDAR_FILE, is_working_day
from federation.node.home_store import find_home_files, open_home_store, write_home_store
from federation.node.node import Trust
from federation.node.officer_keys import Occurrence, list_administrators, withdraw_key
from federation.node.officers import find_officer_key
from federation.node.oversight.flags import is_planted, plant, remove_planted
from federation.node.serve import running_node
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.keys import Ed25519Signer, format_public_key
from federation.store.database import Database
from tests.node.rig import kit, plant_record, register_key
from tests.scenarios.provinces import ISLAND, make_federation, plant_officer_key

POLICE = parse_agency_id("zhejiang/330822/police")
OFFICER, URN, PLATE = "officer-7", "urn:permit:330822:2026:0001", "浙HI0001"
ZHEJIANG, NOW = NodeName("zhejiang"), datetime(2026, 11, 28, 8, tzinfo=UTC)

AT = Occurrence(agreement=kit().agreement, now=NOW)


def new_key() -> str:
    return format_public_key(Ed25519Signer(Ed25519PrivateKey.generate().private_bytes_raw()).public_key)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_federation(tmp_path).home("zhejiang")


@pytest.fixture
def store(home: Path) -> Iterator[Database]:
    """The store as another process on it has it open."""
    with open_home_store(home) as database:
        yield database


def test_key_that_one_process_registers_is_seen_by_the_other_at_once(home: Path, store: Database) -> None:
    """A change too, and a withdrawal; every key that was registered stays as a version."""
    assert find_officer_key(store, POLICE, OFFICER) is None
    for key in (new_key(), new_key()):
        plant_officer_key(home, POLICE, OFFICER, key=key)
        assert find_officer_key(store, POLICE, OFFICER) == key

    write_home_store(home, lambda tx: withdraw_key(tx, POLICE, OFFICER, at=AT), now=NOW)

    assert find_officer_key(store, POLICE, OFFICER) is None
    with pytest.raises(RuleError, match="OFFICER_KEY_UNKNOWN"):
        write_home_store(home, lambda tx: withdraw_key(tx, POLICE, OFFICER, at=AT), now=NOW)


async def test_running_node_and_its_operator_see_the_same(home: Path) -> None:
    """What the operator writes beside a running node counts there at once, and the node goes on writing after it."""
    async with running_node(home, island=ISLAND) as running:
        node, key = running.node, new_key()
        plant_officer_key(home, POLICE, OFFICER, key=key)
        write_home_store(home, lambda tx: plant(tx, URN, owner=ZHEJIANG), now=NOW)
        assert find_officer_key(node.database, POLICE, OFFICER) == key
        assert is_planted(node.database, URN)

        await register_key(node, POLICE, OFFICER, key=new_key())
        await plant_record(node, PLATE)

        with open_home_store(home) as other:
            assert find_officer_key(other, POLICE, OFFICER) not in (None, key)
            assert is_planted(other, PLATE)


async def test_files_of_a_home_are_taken_in_once(home: Path) -> None:
    """Then they are nothing: neither their removal, their change nor their staying alters what the store says.

    The first administrator of an office is laid there; an officer's key is not, since an administrator registers it.
    """
    key = new_key()
    for folder, name, laid in (("administrators", "admin-1", key), ("officers", OFFICER, new_key())):
        (home / folder / "330822-police").mkdir(parents=True)
        (home / folder / "330822-police" / f"{name}.pub").write_text(f"{laid}\n", encoding="ascii")
    (home / "honey.txt").write_text(f"# planted\n{URN}\n\n{PLATE}\n", encoding="utf-8")
    async with running_node(home, island=ISLAND) as running:
        assert [each.key for each in list_administrators(running.node.database, POLICE)] == [key]
        assert find_officer_key(running.node.database, POLICE, OFFICER) is None
        assert is_planted(running.node.database, URN)
    (home / "administrators" / "330822-police" / "admin-2.pub").write_text(f"{new_key()}\n", encoding="ascii")
    write_home_store(home, lambda tx: remove_planted(tx, URN, owner=ZHEJIANG), now=NOW)
    async with running_node(home, island=ISLAND) as running:
        assert [each.key for each in list_administrators(running.node.database, POLICE)] == [key]
        assert not is_planted(running.node.database, URN)
    shutil.rmtree(home / "administrators")
    (home / "honey.txt").unlink()
    async with running_node(home, island=ISLAND) as running:
        assert is_planted(running.node.database, PLATE)


def test_file_that_holds_no_key_is_not_passed_over(home: Path, store: Database) -> None:
    """A node does not start as if an office had no administrator."""
    folder = home / "administrators" / "330822-police"
    folder.mkdir(parents=True)
    (folder / f"{OFFICER}.pub").write_text("ed25519:AAAA\n", encoding="ascii")
    take_in = find_home_files(home, ZHEJIANG, at=AT)
    assert take_in is not None

    with pytest.raises(BridgeheadError):
        write_home_store(home, take_in, now=NOW)

    assert list_administrators(store, POLICE) == []


@pytest.mark.parametrize("officer", ["", "../x", "a" * 65])
def test_pseudonym_of_another_form_is_refused(store: Database, officer: str) -> None:
    """Nobody finds a key under what no officer is called."""
    with pytest.raises(MalformedError, match="OFFICER"):
        find_officer_key(store, POLICE, officer)


def test_working_days_are_those_of_the_agreement_in_force() -> None:
    """A Saturday worked for the Spring Festival is a working day by the table that the provinces signed."""
    assert is_working_day(Trust(kit().agreement, ()).in_force.calendar, date(2026, 2, 14))


def test_agreement_without_a_calendar_is_refused() -> None:
    """Nobody counts weekends in silence: such an agreement neither starts a node nor replaces one in force."""
    agreement = kit().agreement
    bare = replace(agreement, files={name: text for name, text in agreement.files.items() if name != CALENDAR_FILE})
    trust = Trust(agreement, ())

    with pytest.raises(NotFoundError, match="CALENDAR_MISSING"):
        Trust(bare, ())
    with pytest.raises(NotFoundError, match="CALENDAR_MISSING"):
        trust.replace(bare)

    assert trust.in_force.agreement is agreement
