"""`bridgehead function list`: a clerk sees what works under each function, and what is only planned."""

import shutil

from tests.cli.command_line import run
from tests.policies.case_table import ROOT

POLICIES = ROOT / "policies"


def listed(folder):
    done = run("function", "list", "--policies", folder, "-o", "json")
    return {one["function"]["code"]: one for one in done.json["functions"]}


def test_list_tells_messages_procedures_and_what_is_planned(tmp_path):
    """A look-up works; a petition is planned until its procedure file is there."""
    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder)
    before = listed(folder)
    assert "lookup.search" in before["F03"]["kinds"]
    assert (before["F14"]["kinds"], before["F14"]["procedures"]) == ([], [])
    assert before["F14"]["planned"] == ["petition-joint"]
    assert before["F13"]["held_by"] == ["procuratorate", "justice-office", "corrections", "detention"]

    made = (
        (folder / "procedures" / "wage-claim.toml")
        .read_text()
        .replace('name = "wage-claim"', 'name = "petition-joint"')
    )
    (folder / "procedures" / "petition-joint.toml").write_text(made.replace("wage.claim", "petition.joint"))

    after = listed(folder)["F14"]
    assert (after["procedures"], after["planned"]) == (["petition-joint"], [])
    purposes = run("function", "list", "--policies", folder, "-o", "json").json["purposes"]
    assert {"lookup.missing_person", "alert.forest_fire", "petition.joint"} <= {each["purpose"] for each in purposes}


def test_list_in_words_has_chinese_beside_english():
    """Each function says its department, name, basis and holders."""
    lines = run("function", "list", "--policies", POLICIES).out.splitlines()
    assert "F13  司法行政  跨省社区矫正 | justice: community corrections across the border" in lines
    assert any(line.strip().startswith("规划中 planned") for line in lines)


def test_list_without_the_register_is_refused(tmp_path):
    """Another folder is no register with nothing in it."""
    (tmp_path / "a.toml").write_text("")
    done = run("function", "list", "--policies", tmp_path, code=1)
    assert "[FUNCTIONS_MISSING]" in done.err


def test_kinds_tell_who_acts_for_an_office_and_what_it_may_hold():
    """Mediators act for a mediation body; a detention house holds corrections alone."""
    shown = {one["kind"]: one for one in run("function", "kinds", "--policies", POLICIES, "-o", "json").json}
    assert shown["mediation-body"]["officers"] == "人民调解员"
    assert shown["detention"]["functions"] == ["F13"]
    assert any(
        line.startswith("arbitration ") for line in run("function", "kinds", "--policies", POLICIES).out.splitlines()
    )
