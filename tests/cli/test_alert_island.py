"""Claims and stamps while the own node is away: kept in a local file, verified whole, handed in once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from federation.node.home.files import client_folder
from federation.protocol.ids import AgencyId, parse_agency_id
from tests.cli.command_line import ServedNodes, run
from tests.ports import free_ports

CENTRE, DESK, ACROSS = "zhejiang/330822/governance", "330822.governance", "jiangxi/361123/governance"
NUMBER = "330822101001EX_20260404101503_0"


class Away:
    """A desk whose node is not reached: a copy of its profile with an address where nobody listens."""

    def __init__(self, nodes: ServedNodes, folder: Path, office: AgencyId | None = None) -> None:
        if office is None:
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

    def ask(self, *arguments, officer="clerk", code=0):
        return run("alert", *arguments, "--client", self.profile, "--officer", officer, code=code)


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
    for act in (["claim", NUMBER, "--desk", DESK], ["list"]):
        alone = away.ask(*act, "-o", "json", code=3).error
        assert "alert stamp --offline FILE" in alone["next"][-1]
    elsewhere = run("permit", "list", "--client", away.profile, "--officer", "clerk", "-o", "json", code=3).error
    assert "--offline" not in str(elsewhere["next"])
    path = tmp_path / "local.jsonl"
    assert "--desk" in away.ask("claim", NUMBER, "--offline", path, code=2).err
    named = away.ask("stamp", NUMBER, "arrived", "--desk", DESK, "--offline", path, "--reason", "13900001234", code=2)
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


def test_file_is_handed_in_once_however_often(nodes, away, tmp_path):
    """What was claimed and stamped meanwhile counts by when it was made, and says so; a repeat does nothing twice."""
    where = ("--area", "330822.circle.qiuchuan", "--division", "330822111", "--fact", "界桩争议", "-o", "json")
    number = nodes.ask(CENTRE, "alert", "raise", "dispute", "--desk", DESK, *where).json["line"]["cap_id"]
    path = tmp_path / "local.jsonl"
    away.ask("claim", number, "--desk", DESK, "--offline", path)
    for stage in ("contacted", "arrived"):
        away.ask("stamp", number, stage, "--desk", DESK, "--offline", path)
    done = nodes.ask(CENTRE, "alert", "hand-in", path, "-o", "json").json["lines"]
    assert [each["outcome"]["entry"]["without_effect"] for each in done] == ["", "", ""]
    line = nodes.ask(CENTRE, "alert", "show", number, "-o", "json").json["line"]
    assert (line["state"], line["holder"]) == ("arrived", DESK)
    assert [(stage["at"], stage["made"], stage["late"]) for stage in line["stages"]] == [
        (each["made"], True, False) for each in done
    ]
    entries = nodes.ask(CENTRE, "alert", "history", number, "-o", "json").json["lines"]
    again = nodes.ask(CENTRE, "alert", "hand-in", path, "-o", "json").json["lines"]
    assert [each["outcome"]["entry"]["name"] for each in again] == [each["outcome"]["entry"]["name"] for each in done]
    assert nodes.ask(CENTRE, "alert", "history", number, "-o", "json").json["lines"] == entries
    assert "补录" in nodes.ask(CENTRE, "alert", "hand-in", path).out
    closed = away.ask("claim", number, "--desk", DESK, "--offline", path, "-o", "json", code=1).error
    assert closed["reason"] == "ISLAND_CLOSED"


def test_lines_of_an_alert_that_is_not_here_wait_for_it_with_a_reason_of_their_own(nodes, tmp_path):
    """Right after an outage, an alert may come behind who handles it: nothing is lost, and the file is taken later."""
    where = ("--desk", DESK, "--area", "330822.circle.qiuchuan", "--division", "330822111", "--fact", "界桩争议")
    raised = nodes.ask(CENTRE, "alert", "raise", "dispute", *where, "-o", "json").json["line"]
    office, desk, path = "anhui/341022/governance", "341022.governance", tmp_path / "local.jsonl"
    nodes.key(office, "clerk")
    away = Away(nodes, tmp_path / "huangshan", office=parse_agency_id(office))
    for act in (["claim", raised["cap_id"]], ["stamp", raised["cap_id"], "contacted"]):
        away.ask(*act, "--desk", desk, "--offline", path)

    early = nodes.ask(office, "alert", "hand-in", path, code=1)
    assert early.out.count("节点尚未收到该警情") == 2
    assert early.out.count("[ALERT_NOT_HERE]") == 2
    assert "hand the file in again: it is done once" in early.err
    nodes.ask(CENTRE, "alert", "update", raised["cap_id"], "--division", "341022", "--division", "330822111")
    nodes.delivered(CENTRE)
    lines = nodes.ask(office, "alert", "hand-in", path, "-o", "json").json["lines"]
    assert [line["outcome"]["entry"]["without_effect"] for line in lines] == ["", ""]


def test_wrong_number_of_an_alert_is_refused_with_what_to_do_next(nodes):
    """One that is not there and one that is not the desk's look alike; who may act is said, and where to look."""
    for act in (["stamp", NUMBER, "contacted"], ["show", NUMBER], ["history", NUMBER], ["export", NUMBER]):
        refused = nodes.ask(CENTRE, "alert", *act, code=1)
        assert "default-deny" in refused.out
        assert "  -> 只由收到通报的席位办理，核对编号" in refused.err
        assert "bridgehead alert list --ended" in refused.err


def test_line_that_the_node_refuses_keeps_none_of_the_others_back(nodes, away, tmp_path):
    """Each has its own end; the exit code says that not all were taken."""
    where = ("--area", "330822.circle.qiuchuan", "--division", "330822111", "--fact", "界桩争议", "-o", "json")
    number = nodes.ask(CENTRE, "alert", "raise", "dispute", "--desk", DESK, *where).json["line"]["cap_id"]
    path = tmp_path / "local.jsonl"
    away.ask("stamp", NUMBER, "contacted", "--desk", DESK, "--offline", path)
    away.ask("claim", number, "--desk", DESK, "--offline", path)
    done = nodes.ask(CENTRE, "alert", "hand-in", path, code=1).out.splitlines()
    assert done[0].endswith("[ALERT_NOT_HERE]")
    assert done[1].endswith("签收：已记录 | claim: recorded")


def test_late_claim_of_what_the_desk_across_holds_helps(nodes, away, tmp_path):
    """The desk across answers for the alert; whoever claimed it out of its reach helps, and is told who leads."""
    where = (
        "--area",
        "330822.circle.qiuchuan",
        "--division",
        "330822111",
        "--division",
        "361123108",
        "--fact",
        "界桩争议",
    )
    number = nodes.ask(CENTRE, "alert", "raise", "dispute", "--desk", DESK, *where, "-o", "json").json["line"]["cap_id"]
    path = tmp_path / "local.jsonl"
    away.ask("claim", number, "--desk", DESK, "--offline", path)
    nodes.ask(ACROSS, "alert", "claim", number, "--desk", "361123.governance")
    outcome = nodes.ask(CENTRE, "alert", "hand-in", path, "-o", "json").json["lines"][0]["outcome"]
    assert (outcome["line"]["holder"], outcome["line"]["helpers"]) == ("361123.governance", [DESK])


def test_stamps_of_an_officer_whose_key_was_withdrawn(nodes, tmp_path):
    """Made before or not, they are taken from nobody from then on: not under that key, not handed in by a colleague."""
    office = parse_agency_id("zhejiang/330824/governance")
    who, home = ("--home", nodes.folder, "--agency", office), nodes.federation.home(office.node)
    run("keys", "administrator", run("lookup", "key", "new", *who, "--officer", "admin-1").out, "--home", home)
    for officer in ("leaves", "stays"):
        offer = run("lookup", "key", "new", *who, "--officer", officer).out
        run("lookup", "key", "register", offer, *who, "--officer", "admin-1")
    away, path = Away(nodes, tmp_path / "away", office=office), tmp_path / "local.jsonl"
    away.ask("stamp", NUMBER, "contacted", "--desk", "330824.governance", "--offline", path, officer="leaves")
    run("lookup", "key", "withdraw", "leaves", *who, "--officer", "admin-1")

    colleague = run("alert", "hand-in", path, *who, "--officer", "stays", "-o", "json", code=1)
    assert colleague.error["reason"] == "ISLAND_SIGNATURE"
    late = run("alert", "hand-in", path, *who, "--officer", "leaves", "-o", "json", code=1)
    assert "OFFICER_KEY_WITHDRAWN" in late.out + late.err
