"""What a shell is told of when the tab key is pressed: offices of the folder, permits and cases of the own profile."""

from __future__ import annotations

import pytest

from federation.cli import completion
from tests.cli.command_line import ACROSS_HALL, ACROSS_POLICE, HALL, POLICE, run

TOWN, PEER = "zhejiang/330822/town", "jiangxi/361123/town"


@pytest.fixture
def completed(nodes, monkeypatch):
    """Returns what bash is offered for the last word of a line."""
    monkeypatch.setattr(completion, "SECONDS", 60.0)

    def complete(*words: str, home=nodes.folder) -> set[str]:
        first = words.index("--agency")
        line = ["bridgehead", *words[:first], "--home", str(home), *words[first:]]
        monkeypatch.setenv("_BRIDGEHEAD_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(line))
        monkeypatch.setenv("COMP_CWORD", str(len(line) - 1))
        done = run(code=None)
        monkeypatch.delenv("_BRIDGEHEAD_COMPLETE")
        assert done.err == ""
        return set(done.out.split())

    return complete


def test_offices_of_the_folder_are_offered_by_what_was_typed(nodes, completed):
    """Those that begin as typed, and no others; a folder that is no federation has none, and nothing is said of it."""
    assert completed("permit", "list", "--agency", "zhejiang/330822/pol") == {POLICE}
    assert {HALL, POLICE} <= completed("permit", "list", "--agency", "zhejiang/330822/")
    assert completed("permit", "list", "--agency", "zhejiang/330822/", home=nodes.folder / "nowhere") == set()


def test_permits_are_those_that_the_office_may_list(nodes, completed):
    """Its own county's to a hall; to an office that may list none, and to one without a key, nothing."""
    nodes.key(HALL, "clerk")
    nodes.ask(HALL, "permit", "register", "--synthetic", "--seed", "77", "-o", "json")
    listed = {item["urn"] for item in nodes.ask(HALL, "permit", "list", "-o", "json").json["permits"]}
    offered = completed("permit", "show", "--agency", HALL, "urn:permit:330822")

    assert offered
    assert offered <= listed
    assert completed("permit", "show", "--agency", HALL, "urn:permit:999999") == set()
    assert completed("permit", "show", "--agency", "jiangxi/361123/court", "urn:permit:330822") == set()


def test_permits_behind_the_first_page_are_found_by_what_was_typed(nodes, completed, monkeypatch):
    """The node looks for names that begin so: the last of the office is offered though one alone is offered at once."""
    monkeypatch.setattr(completion, "MOST", 1)
    for seed in ("7801", "7802", "7803"):
        nodes.ask(HALL, "permit", "register", "--synthetic", "--seed", seed)
    urns = sorted(item["urn"] for item in nodes.ask(HALL, "permit", "list", "--all", "-o", "json").json["permits"])

    assert completed("permit", "show", "--agency", HALL, urns[-1][:-1]) == {urns[-1]}
    assert completed("permit", "show", "--agency", HALL, urns[0][:-1]) == {urns[0]}
    assert completed("permit", "show", "--agency", HALL, f"{urns[-1]}0") == set()


def test_cases_are_those_of_the_office(nodes, completed):
    """A joint case by its code, to who has a part in it, and to nobody else."""
    opened = nodes.ask(
        TOWN, "case", "open", "dispute-mediation", "--role", "town", "--division", "330822",
        "--set", "stage=registration", "--set", "source=walk_in", "-o", "json",
    )  # fmt: skip
    code = opened.json["line"]["code"]
    nodes.key(PEER, "clerk")

    assert code in completed("case", "show", "--agency", TOWN, code[:6])
    assert completed("case", "show", "--agency", PEER, code[:6]) == set()


def test_cases_of_look_ups_are_the_open_ones_of_the_office(nodes, completed):
    """For --case, and for the case to close; one that is closed is offered no more, and another office has none."""
    for name in ("CS-2026-9701", "CS-2026-9702"):
        nodes.ask(
            ACROSS_POLICE, "lookup", "case", "open", name, "--letter", f"玉公协字{name}号", "--county", "330822",
            "--officer", "leader-1",
        )  # fmt: skip
    asked = ("lookup", "search", "urn:x", "--agency", ACROSS_POLICE, "--officer", "leader-1", "--case")
    assert completed(*asked, "CS-2026-97") == {"CS-2026-9701", "CS-2026-9702"}

    nodes.ask(ACROSS_POLICE, "lookup", "case", "close", "CS-2026-9701", "--officer", "leader-1")

    assert completed(*asked, "CS-2026-97") == {"CS-2026-9702"}
    closing = ("lookup", "case", "close", "--agency", ACROSS_POLICE, "--officer", "leader-1")
    assert completed(*closing, "CS-2026-97") == {"CS-2026-9702"}
    nodes.key(ACROSS_HALL, "clerk")
    assert completed("lookup", "search", "urn:x", "--agency", ACROSS_HALL, "--case", "CS-2026-97") == set()
