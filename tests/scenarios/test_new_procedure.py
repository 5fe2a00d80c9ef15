"""A province adds a procedure with a file, a case table and a draft of the agreement, and no code: on real processes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.cli.demo.provinces import stop_nodes, wait_ready, write_federation_file
from federation.domain.procedure import CLASS_FIELDS
from federation.protocol.ids import NodeName
from tests.cli.command_line import Done, run
from tests.scenarios.provinces import ALL, ISLAND, NODES, POLICIES, Federation, make_federation, start_node

NAME = "path-upkeep"
ADDED = Path(__file__).parent / "path_upkeep"
FILES = {
    ADDED / f"{NAME}.toml": f"procedures/{NAME}.toml",
    ADDED / "cases.toml": f"cases/{NAME}.toml",
}
"""What the province writes: of a hundred lines or so, none is code."""
TOWN, PEER = "zhejiang/330822/town", "jiangxi/361123/town"
PARTS = {"near": TOWN, "far": PEER}
PATIENCE_SECONDS = 60.0


@pytest.fixture
def homes(tmp_path: Path) -> Federation:
    return make_federation(tmp_path / "homes", agreement_seconds=0.1)


@pytest.fixture
def federation(homes: Federation, tmp_path: Path) -> Iterator[Federation]:
    """Zhejiang and Jiangxi as processes, with an officer of each town who has a registered key."""
    made, nodes = homes, [NodeName(name) for name in ALL[:2]]
    try:
        for town in PARTS.values():
            at = ("--home", made.home(town.partition("/")[0]), "--agency", town)
            offer = run("lookup", "key", "new", "--officer", "admin-1", *at).out.strip()
            run("keys", "administrator", offer, *at[:2])
        for node in nodes:
            start_node(made.made, node, island=ISLAND)
        wait_ready(made.made, nodes)
        write_federation_file(made.made)
        for town in PARTS.values():
            at = ("--home", tmp_path / "homes", "--agency", town)
            officer = f"clerk-{town[:2]}"  # who has one name in both offices verifies nothing that was done under it
            offer = run("lookup", "key", "new", "--officer", officer, *at).out.strip()
            run("lookup", "key", "register", offer, "--officer", "admin-1", *at)
        yield made
    finally:
        stop_nodes(made.made)


def ask(federation: Federation, town: str, *words: object, code: int | None = 0) -> Done:
    return run("case", *words, "--home", federation.made.folder, "--agency", town, "-o", "json", code=code)


def wait_for(federation: Federation, town: str, *words: object, until: str) -> None:
    """Asks until the answer holds a text."""
    end = time.monotonic() + PATIENCE_SECONDS
    while until not in (said := ask(federation, town, *words, code=None)).out:
        assert time.monotonic() < end, said


def policies_with(folder: Path, **changes: str) -> Path:
    """A copy of the policies with the new files in it, and these texts of the procedure changed."""
    shutil.copytree(POLICIES, folder)
    for source, place in FILES.items():
        text = source.read_text(encoding="utf-8")
        for old, new in changes.items():
            text = text.replace(old, new)
        (folder / place).write_text(text, encoding="utf-8")
    return folder


def adopt(federation: Federation, policies: Path, out: Path) -> None:
    """Drafts the next agreement, has three of four sign it, and puts it in force."""
    homes = [federation.home(name) for name in ALL]
    run("agreement", "draft", "--out", out, "--nodes", NODES, "--policies", policies, "--after", homes[0])
    assert NAME in run("agreement", "diff", out, "--home", homes[0]).out
    for home in homes[:3]:
        run("agreement", "sign", out, "--home", home)
    run("agreement", "publish", out, *(word for home in homes for word in ("--home", home)))


def test_procedure_is_added_by_two_files_and_an_agreement_and_worked_to_its_end(
    federation: Federation, tmp_path: Path
) -> None:
    """No node is started anew and no code is written: a case is opened, worked by both sides, verified and closed."""
    opening = ("open", NAME, "--role", "town", "--division", "330822")
    assert ask(federation, TOWN, *opening, code=2).error["reason"] == "PROCEDURE_UNKNOWN"

    adopt(federation, policies_with(tmp_path / "policies"), tmp_path / "draft")
    for town in (TOWN, PEER):
        wait_for(federation, town, "lists", until=NAME)
    code = ask(federation, TOWN, *opening).json["line"]["code"]

    def does(town: str, act: str, **fields: str) -> None:
        said = [word for name, value in fields.items() for word in ("--set", f"{name}={value}")]
        done = ask(federation, town, "act", code, act, *said).json
        assert done["entry"]["without_effect"] == "", done

    ask(federation, TOWN, "invite", code, PEER, "peer")
    wait_for(federation, PEER, "list", until=code)
    ask(federation, PEER, "join", code)
    does(TOWN, "register", tags="joint_build", kind="path", division="330822", line="on_the_line")
    refused = ask(federation, TOWN, "act", code, "move", "--set", "to=work", code=1)
    assert "due_set" in refused.error["message"]
    for part, owner in PARTS.items():
        does(TOWN, "record_item", task=part, owner=owner, due="2100-01-15")
    does(TOWN, "move", to="work")
    for part, owner in PARTS.items():
        wait_for(federation, owner, "show", code, until='"stage": "work"')
        does(owner, "accept_task", task=part)
        does(owner, "report_result", task=part, manifest="a" * 64)
    does(TOWN, "move", to="check")
    assert ask(federation, TOWN, "act", code, "verify", "--set", "task=near", code=1).error["reason"] == "CASE_ACT"
    does(TOWN, "verify", task="far")
    wait_for(federation, PEER, "show", code, until='"stage": "check"')
    does(PEER, "verify", task="near")
    ask(federation, TOWN, "close", code, "mended")

    wait_for(federation, PEER, "show", code, until='"outcome": "mended"')
    shown = ask(federation, PEER, "show", code).json
    assert shown["notices"] == []


def test_file_that_could_not_be_worked_is_refused_before_anybody_signs(homes: Federation, tmp_path: Path) -> None:
    """A condition that no act of the procedure makes true stops the draft, and says where."""
    policies = policies_with(tmp_path / "policies", **{'acts = ["verify", "return_task"]': 'acts = ["return_task"]'})
    command = ("agreement", "draft", "--out", tmp_path / "draft", "--nodes", NODES, "--policies", policies)

    refused = run(*command, "--after", homes.home(ALL[0]), "-o", "json", code=1)

    assert refused.error["reason"] == "POLICY_CHECK"
    assert "every_item_verified" in refused.error["message"]


def test_what_a_further_procedure_costs() -> None:
    """Two files of text, at most 120 lines together; its classes are those that there are."""
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES)

    assert lines <= 120
    assert {"resolution", "place", "document"} <= CLASS_FIELDS.keys()
