"""Claims and stamps while the own node is away: kept in a local file, verified whole, handed in once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from federation.node.home.certificates import client_folder
from federation.protocol.ids import parse_agency_id
from tests.cli.command_line import ServedNodes, run
from tests.ports import free_ports

CENTRE, DESK = "zhejiang/330822/governance", "330822.governance"
NUMBER = "330822101001EX_20260404101503_0"


class Away:
    """A desk whose node is not reached: a copy of its profile with an address where nobody listens."""

    def __init__(self, nodes: ServedNodes, folder: Path) -> None:
        nodes.key(CENTRE, "clerk")
        office = parse_agency_id(CENTRE)
        shutil.copytree(client_folder(nodes.federation.home(office.node), office), folder)
        self.profile = folder / "profile.toml"
        lines = self.profile.read_text("utf-8").splitlines()
        moved = [
            f'agency_addr = "127.0.0.1:{free_ports(1)[0]}"' if line.startswith("agency_addr") else line
            for line in lines
        ]
        self.profile.write_text("\n".join(moved), "utf-8")

    def ask(self, *arguments, code=0):
        return run("alert", *arguments, "--client", self.profile, "--officer", "clerk", code=code)


@pytest.fixture
def away(nodes, tmp_path):
    return Away(nodes, tmp_path / "away")


@pytest.fixture
def kept(away, tmp_path):
    """A file with a claim and two stamps."""
    path = tmp_path / "local.jsonl"
    away.ask("claim", NUMBER, "--desk", DESK, "--offline", path)
    away.ask("stamp", NUMBER, "contacted", "--desk", DESK, "--offline", path)
    away.ask("stamp", NUMBER, "已到场", "--desk", DESK, "--late", "road", "--offline", path)
    return path


def test_claim_and_stamps_are_kept_while_the_node_is_away(away, kept):
    """In a file that only its owner reads, one signed line each; what is next is said in both languages."""
    assert kept.stat().st_mode & 0o777 == 0o600
    stamps = [json.loads(line)["stamp"] for line in kept.read_text("utf-8").splitlines()]
    assert [(each["act"], each["alert"], each["fields"].get("stage")) for each in stamps] == [
        ("claim", NUMBER, None), ("stamp", NUMBER, "contacted"), ("stamp", NUMBER, "arrived"),
    ]  # fmt: skip
    assert stamps[2]["fields"] == {"desk": DESK, "stage": "arrived", "late": "road"}
    said = away.ask("stamp", NUMBER, "contacted", "--desk", DESK, "--offline", kept)
    assert "节点无法到达，已签名存入" in said.out
    assert f"bridgehead alert hand-in {kept}" in said.out
    shown = away.ask("claim", NUMBER, "--desk", DESK, "--offline", kept, "-o", "json").json
    assert shown == {"kept_in": str(kept), "n": 5}


def test_without_a_file_the_node_must_be_reached(away, tmp_path):
    """Nothing is kept that nobody asked to keep; and a file wants the desk by name, and no person in its texts."""
    away.ask("claim", NUMBER, "--desk", DESK, code=3)
    path = tmp_path / "local.jsonl"
    assert "--desk" in away.ask("claim", NUMBER, "--offline", path, code=2).err
    named = away.ask("stamp", NUMBER, "arrived", "--desk", DESK, "--offline", path, "--reason", "13900001234", code=1)
    assert "TEXT_PERSONAL" in named.err
    assert not path.exists()


def test_file_stays_open_while_the_node_is_away(away, kept):
    """Handing in what cannot be handed in closes nothing: more may be kept."""
    before = kept.read_bytes()
    away.ask("hand-in", kept, code=3)
    assert kept.read_bytes() == before
    away.ask("stamp", NUMBER, "arrived", "--desk", DESK, "--offline", kept)


def test_tampered_file_is_refused_whole(nodes, kept):
    """One letter, or two lines changed about: nothing of it is handed in, and nothing is written to it."""
    lines = kept.read_bytes().splitlines(keepends=True)
    for content, reason in (
        (kept.read_bytes().replace(b"contacted", b"arrived"), "ISLAND_SIGNATURE"),
        (b"".join([lines[1], lines[0], lines[2]]), "ISLAND_CHAIN"),
        (b"".join([lines[0], lines[2]]), "ISLAND_CHAIN"),
        (b"# my notes\n", "ISLAND_FORM"),
        (b"my notes", "ISLAND_FORM"),
        (b"", "ISLAND_EMPTY"),
    ):
        kept.write_bytes(content)
        refused = nodes.ask(CENTRE, "alert", "hand-in", kept, "-o", "json", code=1)
        assert refused.error["reason"] == reason
        assert refused.error["next"]
        assert kept.read_bytes() == content


def test_file_of_another_officer_takes_nothing_of_mine(nodes, away, kept):
    """Each keeps an own file, and hands it in."""
    nodes.key(CENTRE, "second")
    assert (
        nodes.ask(CENTRE, "alert", "hand-in", kept, "--officer", "second", "-o", "json", code=1).error["reason"]
        == "ISLAND_SIGNATURE"
    )
    other = Path(away.profile).parent / "officers" / "second.key"
    shutil.copy(nodes.key(CENTRE, "second"), other)
    before = kept.read_bytes()
    run(
        "alert",
        "claim",
        NUMBER,
        "--desk",
        DESK,
        "--offline",
        kept,
        "--client",
        away.profile,
        "--officer",
        "second",
        code=1,
    )
    assert kept.read_bytes() == before


def test_line_that_was_cut_off_makes_room(away, kept):
    """The next one takes its place; those before it stay."""
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-20])
    assert away.ask("claim", NUMBER, "--desk", DESK, "--offline", kept, "-o", "json").json["n"] == 3
