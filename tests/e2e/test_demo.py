"""The demo as a newcomer runs it, and what it leaves behind checked with other people's tools."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
import uuid
from datetime import date
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.signer import SSlibKey

from federation.cli.demo.provinces import profile_of
from federation.cli.demo.synthetic import _GIVEN
from federation.cli.show import china_today
from federation.cli.words import HAN, halves
from federation.node.home.agreement import load_home_agreement
from federation.node.serve import utc_now
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.tlog.note import parse_checkpoint, parse_note
from federation.wire.agency.audit import LIST_MESSAGES, Direction, MessageQuery
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act
from tests.cli.command_line import run
from tests.cli.test_one_language import foreign
from tests.e2e.page_blocks import sections_of
from tests.forked import write_program
from tests.protocol.tlog.published import tiles_between
from tests.vectors.goverify_build import go_verifier, run_go_verifier

REPOSITORY = Path(__file__).parents[2]
RECORDS = 240
CHINESE_TOO = ("CAP", "gRPC", "firm")
ODD = "桥头堡 a?b%20c#d"
"""A path is no URL: with a ? in it, four provinces once shared one store."""


def bridgehead(*args: str, **options) -> subprocess.CompletedProcess[str]:
    """Runs the command as the README has it."""
    command = [sys.executable, "-m", "federation.cli.main", *args]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=600, stdin=subprocess.DEVNULL,
        **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo that was left running: its summary, its `federation.json`, its folder."""
    folder = tmp_path_factory.mktemp("demo") / ODD
    done = bridgehead("demo", "--home", str(folder), "--records", str(RECORDS), "--keep", "-o", "json")
    try:
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout) | {"story": done.stderr}
        yield summary, json.loads((folder / "federation.json").read_bytes()), folder
    finally:
        bridgehead("demo", "stop", "--home", str(folder))


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def mirror(read_url: str, folder: Path) -> int:
    """Copies a node's published log into files, as any reader may; returns its size."""
    note = fetch(f"{read_url}/checkpoint")
    size = parse_checkpoint(parse_note(note).text).size
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_bytes(note)
    for tile in tiles_between(0, size):
        path = folder / str(tile)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fetch(f"{read_url}/{tile}"))
    return size


OF_COMMANDS = {"11", "20", "21"}
"""The steps that show what an ordinary command shows."""
OF_TABLE = re.compile("单位 asker|xinzhou-0061|^ *bridgehead ")
GIVEN = re.compile(
    rf"[\u4e00-\u9fff](?:{'|'.join(_GIVEN)})|常山县示例[\w（）]+|（2126）浙\w+|colour [红黑白灰蓝]|浙H·I[0-9]+"
)
"""People, firms, a court's number, a colour, plates: data in either language."""


def test_demo_is_told_in_one_language_at_a_time(demo):
    """Each line is a pair, or a Chinese one above its English; each step has a title and what people gain by it."""
    story = GIVEN.sub("", demo[0]["story"].replace(str(demo[2]), ""))
    steps = re.split(r"\n(?=[0-9]+\. )", story)[1:]
    mixed = []
    for step in steps:
        number, (title, *lines) = step.partition(".")[0], step.splitlines()
        told = lines[:2] if number in OF_COMMANDS else [line for line in lines if not OF_TABLE.search(line)]
        for line in (title.partition(". ")[2], *told):
            chinese, english = halves(line) or (line, line)
            if line is not chinese:
                mixed += [*foreign("zh", chinese, CHINESE_TOO), *foreign("en", english)]
            elif foreign("zh", line, CHINESE_TOO) and foreign("en", line):
                mixed.append(line)

    assert mixed == []
    assert [step.splitlines()[1:4:2] for step in steps[:-1] if not HAN.search(step.splitlines()[1])] == []
    assert len(steps) == 23


def test_demo_keeps_registers_and_looks_them_up(demo):
    """The seeds of all four provinces are kept; a plate and a USCC are hits, and what a case needs is released."""
    summary, _, _ = demo

    assert summary["registers"] == {
        "kept": 192,
        "answers": {"plate": "hit", "other_plate": "no_hit", "uscc": "hit"},
        "released": {
            "vehicle": ["colour", "keeper", "plate_class", "status"],
            "enterprise": ["legal_representative", "name", "status"],
        },
    }


def test_demo_works_joint_cases_of_two_provinces_to_their_end(demo):
    """Wages paid in full and a licence issued: each sees what it may, a clerk is told what is missing, a citizen how far."""
    wage, vehicle = (demo[0]["joint_cases"][name] for name in ("wage", "vehicle"))

    assert (wage["outcome"], vehicle["outcome"]) == ("paid_full", "issued")
    assert (wage["notices"], vehicle["notices"]) == (0, 0)
    assert wage["entries"] > 40
    assert wage["seen"] == {"labour": ["amount", "basis", "kind", "period"], "peer": ["amount", "kind"]}
    assert wage["missing"] == ["verification_answered", "payer_named"]
    assert wage["trace"][0].startswith("已登记")
    assert [wage["trace"][-1], vehicle["trace"][-1]] == ["已办结：全额支付", "已办结：已核发"]
    days = [date.fromisoformat(found) for found in re.findall("[0-9]{4}-[0-9]{2}-[0-9]{2}", "".join(wage["trace"]))]
    assert [(day - china_today()).days for day in days] == [15, 30, 20]
    assert not any("-前" in line or "至-" in line for line in (*wage["trace"], *vehicle["trace"]))


def test_demo_tells_a_border_day(demo):
    """A fire handed over beside its exercise, a cut line with one leader, a shift signed over, a file, a report: each as it is to be."""
    border = demo[0]["border"]
    fire, cut = border["fire"], border["cut"]

    assert fire["made"] == ["accepted", "contacted", "arrived"]
    assert fire["by"] == ["330822.emergency", "330822.emergency", "361123.emergency", ""]  # the flame is not out yet
    assert (fire["refused"], fire["shown"], fire["measured"]) == ("LINK_STATUS", 1, [True, False])
    assert cut["local"] is True
    assert {cut["holds"], cut["helps"]} == {"330822.governance", "361123.governance"}
    assert border["shift"] == {"open": 1, "charge": "changshan-night", "state": "closed"}
    assert (border["file"]["kind"], border["file"]["status"]) == ("forest.fire", "Test")
    assert {"alert.n", "handover.n", "exercise.n"} <= set(border["report"]["figures"])
    assert border["report"]["differ"] == []


def test_demo_ends_verified_and_says_so(demo):
    """All four logs verified, every permit imported, the refusal names its policy."""
    summary, federation, _ = demo

    assert summary["verified"] is True
    assert summary["imported"] == RECORDS
    assert summary["refused_by"] == "deny-recognise-unrelated"
    assert summary["lookup"] == {
        "answers": {"anhui": "refused", "fujian": "no_hit", "zhejiang": "hit"},
        "released": ["holder_name", "status"],
        "refused": {
            "no_case": "deny-lookup-county-outside-case, deny-lookup-no-case, deny-lookup-purpose-outside-case",
            "other_purpose": "deny-lookup-purpose-outside-case", "other_county": "no_hit",
            "other_key": "rule-officer-key", "closed_case": "deny-lookup-no-case",
        },
    }  # fmt: skip
    assert summary["desk"] == {"at_once": "waiting", "released": "hit", "refused": "refused"}
    assert summary["person"] == {"break_glass": "justified", "lines": [4, 11], "withheld": [6, 0]}
    assert {node["node"] for node in federation["nodes"]} == {"zhejiang", "jiangxi", "fujian", "anhui"}
    for node in federation["nodes"]:
        assert set(node) == {
            "node", "agency_addr", "peer_addr", "read_url", "origin", "log_vkey", "witness_vkey", "home", "pid",
        }  # fmt: skip


def test_demo_goes_on_with_the_joint_case_that_the_readme_types(demo):
    """Every line of the section ends well at the two desks, and what is missing is said where it says so."""
    _, _, folder = demo
    section = (REPOSITORY / "README.md").read_text(encoding="utf-8").partition("\n## A joint case\n")[2]
    desks = {
        name: shlex.join(["--home", str(folder), "--agency", re.search(f'{name}="[^"]*--agency ([^"]+)"', section)[1]])
        for name in ("P", "L")
    }
    opening, *lines = section.partition("```\n")[2].partition("```")[0].splitlines()
    for name, words in desks.items():
        opening, *lines = (line.replace(f"${name}", words) for line in (opening, *lines))

    code = run(*shlex.split(opening)[1:]).out.split()[0]
    said = [run(*shlex.split(line.replace("CODE", code))[1:]).out for line in lines]

    offers = next(out for line, out in zip(lines, said, strict=True) if line.startswith("bridgehead case act CODE --"))
    assert "check_duplicates" in offers.partition("尚不能办")[0]
    assert "已查重并逐一处理" in offers.partition("尚不能办")[2]
    assert "核实诉求 verify a claim" in said[-3]
    assert "正在向用工地核实工资台账" in said[-1]


def test_demo_keeps_each_store_in_its_own_home_whatever_the_folder_is_named(demo):
    """Each province has a store of its own, nobody else may open it, and nothing lies beside the folder."""
    _, federation, folder = demo

    assert [path.name for path in folder.parent.iterdir()] == [ODD]
    for node in federation["nodes"]:
        home = folder / node["node"]
        assert home.stat().st_mode & 0o777 == 0o700
        for name in ("node.db", "node.db-wal", "node.toml", "node.log"):
            assert (home / name).stat().st_mode & 0o777 == 0o600, name


def test_demo_decides_every_decision_again(demo):
    """Nothing in the four logs is without inputs or comes out otherwise, and every rule that decided has its name."""
    replay = demo[0]["replay"]

    assert (replay["whole"], replay["differing"], replay["without_inputs"]) == (True, 0, 0)
    assert replay["reproduced"] + sum(replay["by_rule"].values()) == replay["decisions"] > 20
    assert replay["by_rule"]["reply-to-own-request"] >= 3


def test_demo_logs_verify_with_go_sumdb(demo, tmp_path):
    """Go's sumdb/note opens each checkpoint, sumdb/tlog recomputes each root from all entries."""
    program = go_verifier(tmp_path)
    for node in demo[1]["nodes"]:
        folder = tmp_path / node["node"]
        size = mirror(node["read_url"], folder)

        done = run_go_verifier(program, "log", node["log_vkey"], folder)

        assert done.returncode == 0, done.stdout + done.stderr
        assert str(size) in done.stdout
        bundle = next(folder.glob("tile/entries/**/000*"))
        path = bundle if bundle.is_file() else next(bundle.rglob("*"))
        blob = bytearray(path.read_bytes())
        blob[40] ^= 1
        path.write_bytes(blob)
        assert run_go_verifier(program, "log", node["log_vkey"], folder).returncode != 0


def test_demo_logs_verify_with_tlog_scales(demo, tmp_path):
    """tlog-scales finds the last leaf of each log included under its checkpoint."""
    for node in demo[1]["nodes"]:
        size = mirror(node["read_url"], tmp_path / node["node"])
        program = Path(sys.executable).with_name("tlog-tiles")
        command = [str(program), "get-leaf", "-c", str(tmp_path / node["node"]), str(size - 1)]

        done = subprocess.run(command, capture_output=True, check=False, timeout=600)

        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["federation"] == demo[1]["federation"]


def test_demo_envelopes_verify_with_securesystemslib(demo):
    """Every envelope that Zhejiang sent to Jiangxi verifies with a library that knows nothing of us."""
    _, _, folder = demo
    agreement = load_home_agreement(folder / "zhejiang", now=utc_now())
    (entry,) = agreement.members[NodeName("zhejiang")].message_keys
    key = SSlibKey(entry.key.key_id, "ed25519", "ed25519", {"public": entry.key.key.hex()})

    envelopes = asyncio.run(read_envelopes(folder))

    assert len(envelopes) > 1
    for encoded in envelopes:
        envelope = OtherEnvelope.from_dict(json.loads(encoded))
        assert list(envelope.verify([key], 1)) == [entry.key.key_id]
        assert json.loads(envelope.payload)["to"]["node"] == "jiangxi"


async def read_envelopes(folder: Path) -> list[bytes]:
    client = AgencyClient(profile_of(folder, parse_agency_id("zhejiang/330000/audit")))
    act = Act(request_id=str(uuid.uuid4()), purpose="audit.exchange", function="F01", officer="auditor")
    try:
        query = MessageQuery(direction=Direction.SENT, peer=NodeName("jiangxi"), page_size=200)
        page = await client.call(LIST_MESSAGES, act, query)
        return [message.envelope for message in page.messages]
    finally:
        await client.close()


def test_demo_in_a_folder_where_one_runs_is_refused(demo):
    """A second demo does not tread on the first."""
    done = bridgehead("demo", "run", "--home", str(demo[2]), "--records", "8")

    assert done.returncode == 1
    assert "demo stop" in done.stderr


SHOWN = {
    "HANDLE": ("lookup search", r"handle:([A-Za-z0-9_-]{32})"),
    "CODE": ("case open", r"\b([0-9]{17})\b"),
    "NUMBER": ("alert raise", r"number: (\S+)"),
}
"""What stands for something that an earlier line printed: which line that is, and how it is found there."""
ANSWERS = {
    "lookup search": "命中 hit", "lookup fetch": "stolen", "case history": "open the case", "case trace": "已登记",
    "alert history": "首报 raise",
}  # fmt: skip


def test_lines_of_the_readme_do_what_it_says_as_printed(demo, tmp_path):
    """Each line that follows the demo, in the order of the page, by the shell, in a fresh home: all end with 0."""
    (tmp_path / ".demo").symlink_to(demo[2])
    commands = tmp_path / "bin"
    commands.mkdir()
    write_program(commands / "bridgehead")  # what a command costs to begin is none of this
    kept = {name: text for name, text in os.environ.items() if not name.startswith("BRIDGEHEAD_")}
    path = f"{commands}:{os.environ['PATH']}"
    env = {**kept, "HOME": str(tmp_path), "PATH": path, "PYTHONPATH": str(REPOSITORY)}
    sections, known = sections_of("README.md"), dict[str, str]()

    assert sum(len(section.lines) for section in sections) > 25
    for section in sections:
        for line in section.lines:
            written = re.sub(r"\b(HANDLE|CODE|NUMBER)\b", lambda found: known[found[1]], line)
            script = "\n".join(("set -euo pipefail", *section.settings, written))
            done = subprocess.run(
                ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == 0, (written, done.stdout, done.stderr)
            for name, (words, form) in SHOWN.items():
                if line.startswith(f"bridgehead {words}"):
                    known[name] = re.search(form, done.stdout)[1]
            for words, expected in ANSWERS.items():
                if line.startswith(f"bridgehead {words}"):
                    assert expected in done.stdout, line


def test_both_readmes_have_the_same_lines():
    """Who reads Chinese types what who reads English types."""
    assert sections_of("README.md") == sections_of("README.zh-CN.md")
