"""`bridgehead lookup planted` and `keys administrator`: what the operator writes beside a node lies in its store."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.node.home_store import open_home_store
from federation.node.officer_keys import list_administrators
from federation.node.oversight.flags import is_planted
from federation.protocol.ids import parse_agency_id
from tests.cli.command_line import run
from tests.scenarios.provinces import make_federation

URN, PLATE = "urn:permit:330822:2026:0001", "浙H·I0001"
OFFICE = "zhejiang/330822/police"


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


def test_first_administrator_is_enrolled_at_the_home_and_then_nobody(home: Path) -> None:
    """By the line that `lookup key new` printed; in the place of a lost key when it is meant; for own offices alone."""
    profile = ("--home", home, "--agency", OFFICE)
    first = run("lookup", "key", "new", *profile, "--officer", "admin-1").out
    second = run("lookup", "key", "new", *profile, "--officer", "admin-2").out
    run("keys", "administrator", first, "--home", home)
    assert "[ADMINISTRATOR_EXISTS]" in run("keys", "administrator", second, "--home", home, code=1).err

    run("keys", "administrator", second, "--home", home, "--replace")

    with open_home_store(home) as store:
        assert [each.officer for each in list_administrators(store, parse_agency_id(OFFICE))] == ["admin-2"]
    assert "[OFFER_FORM]" in run("keys", "administrator", "ed25519:AAAA", "--home", home, code=2).err
    elsewhere = first.replace(OFFICE, "jiangxi/361123/police")
    assert "[AGENCY_ELSEWHERE]" in run("keys", "administrator", elsewhere, "--home", home, code=1).err
    nobody = first.replace(OFFICE, "zhejiang/330899/police")
    assert "[NOT_AN_AGENCY]" in run("keys", "administrator", nobody, "--home", home, code=1).err
    assert run("lookup", "key", "offer", *profile, "--officer", "admin-1").out == first
