"""`bridgehead lookup planted` and `key withdraw`: what the operator writes beside a node lies in its store."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.node.home_store import open_home_store
from federation.node.officers import find_officer_key
from federation.node.planted import is_planted
from federation.protocol.ids import parse_agency_id
from tests.cli.command_line import run
from tests.scenarios.provinces import make_federation

URN, PLATE = "urn:permit:330822:2026:0001", "浙H·I0001"
OFFICE = ("--agency", "zhejiang/330822/police", "--officer", "officer-7")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_federation(tmp_path).home("zhejiang")


def test_planted_records_are_added_listed_and_removed(home: Path) -> None:
    """A plate is planted however it is written; the list says what is planted, and nothing else does."""
    assert run("lookup", "planted", "add", URN, "浙hi0001", "--home", home, "-o", "json").json == {"planted": "2"}
    assert run("lookup", "planted", "list", "--home", home, "-o", "json").json == {"planted": [URN, PLATE]}
    with open_home_store(home) as store:
        assert is_planted(store, PLATE)

    run("lookup", "planted", "remove", PLATE, "--home", home)

    assert run("lookup", "planted", "list", "--home", home).out.split() == [URN]
    assert "[PLANTED_UNKNOWN]" in run("lookup", "planted", "remove", PLATE, "--home", home, code=1).err


def test_withdrawn_key_is_nobodys(home: Path, tmp_path: Path) -> None:
    """It is registered, withdrawn once, and then unknown; another node's agency is registered there."""
    run("lookup", "key", "new", tmp_path / "own.pem")
    run("lookup", "key", "register", tmp_path / "own.pem", "--home", home, *OFFICE)
    run("lookup", "key", "withdraw", "--home", home, *OFFICE)

    with open_home_store(home) as store:
        assert find_officer_key(store, parse_agency_id(OFFICE[1]), "officer-7") is None
    assert "[OFFICER_KEY_UNKNOWN]" in run("lookup", "key", "withdraw", "--home", home, *OFFICE, code=1).err
    elsewhere = ("--agency", "jiangxi/361123/police", "--officer", "officer-7")
    assert "[AGENCY_ELSEWHERE]" in run("lookup", "key", "withdraw", "--home", home, *elsewhere, code=1).err
