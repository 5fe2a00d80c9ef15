"""`bridgehead policy check` and `explain`: what a policy's author sees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from federation.protocol.policy import load_policy_book
from federation.protocol.policy.engine import request_json
from tests.cli.command_line import run
from tests.policies.case_table import ROOT, load_cases, policy_files

POLICIES = ROOT / "policies"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The policies of the repository, to be changed."""
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    return copy


def change(path: Path, find: str, put: str) -> None:
    text = path.read_text()
    assert find in text
    path.write_text(text.replace(find, put, 1))


def test_check_of_the_policies_as_they_stand_passes():
    """The repository's own policies fit the schema and every case comes out as written."""
    done = run("policy", "check", "--policies", POLICIES, "-o", "json")

    assert len(done.json["files"]) == len(list(POLICIES.glob("*.cedar*")))
    assert {found["failure"] for found in done.json["files"]} == {None}
    tables = {path.name for path in (POLICIES / "cases").iterdir()}
    assert {table["name"]: table["failures"] for table in done.json["tables"]} == {name: {} for name in tables}
    assert all(table["cases"] >= 20 for table in done.json["tables"])
    assert {each["name"]: each["findings"] for each in done.json["procedures"]} == {
        "alerts": [],
        "figures": [],
        **{f"duty/{path.parent.name}": [] for path in (ROOT / "nodes").glob("*/duty.toml")},
        **{path.stem: [] for path in (POLICIES / "procedures").glob("*.toml")},
    }


def test_check_for_a_person_counts_the_cases_of_each_table():
    """Each table with its number of cases and of failures."""
    out = run("policy", "check", "--policies", POLICIES).out

    assert "permits.toml" in out
    assert "lookups.toml" in out
    assert "FAILED" not in out


def test_check_of_a_procedure_that_cannot_end_so_fails_and_says_where(folder):
    """The stage is named, in both languages, and the exit code is 1."""
    change(
        folder / "procedures" / "dispute-mediation.toml",
        'next = ["end"]\ntier = "T"',
        'next = ["follow_up"]\ntier = "T"',
    )

    done = run("policy", "check", "--policies", folder, code=1)

    assert "dispute-mediation: stage archive · 有办理结果，但不能办结" in done.out
    assert "FAILED" in done.out


def test_check_of_a_case_that_comes_out_otherwise_fails_and_names_it(folder):
    """The failing case is named with what was expected and what came of it."""
    change(folder / "cases" / "permits.toml", 'expect = "allowed"', 'expect = "refused"')

    done = run("policy", "check", "--policies", folder, "-o", "json", code=1)

    failures = {name: text for table in done.json["tables"] for name, text in table["failures"].items()}
    assert list(failures) == ["常山公安为玉山人登记居住证"]
    assert failures["常山公安为玉山人登记居住证"].startswith("expected refused by keep-own-permits, got allowed")
    assert "常山公安为玉山人登记居住证" in run("policy", "check", "--policies", folder, code=1).out


def test_check_of_a_policy_that_does_not_fit_the_schema_fails(folder):
    """A misspelt attribute is found before anybody signs; the tables are not run with it."""
    change(folder / "permits.cedar", "principal.province", "principal.provinze")

    done = run("policy", "check", "--policies", folder, "-o", "json", code=1)

    failed = {found["name"]: found["failure"] for found in done.json["files"] if found["failure"]}
    assert "POLICY_TYPE" in failed["policies/permits.cedar"]
    assert "policies/lookups.cedar" not in failed
    assert done.json["tables"] == []


def test_check_of_policies_without_their_table_fails(folder):
    """No file of policies goes without cases."""
    (folder / "cases" / "lookups.toml").unlink()

    done = run("policy", "check", "--policies", folder, "-o", "json", code=1)

    (table,) = [found for found in done.json["tables"] if found["failures"]]
    assert (table["name"], table["cases"]) == ("lookups.toml", 0)
    assert "CASE_TABLE" in table["failures"]["-"]


def test_check_of_a_table_with_a_typo_says_where(folder):
    """A table that cannot be read fails as a whole, and says why."""
    change(folder / "cases" / "permits.toml", 'action = "permit.register"', 'action = "permit.registr"')

    done = run("policy", "check", "--policies", folder, "-o", "json", code=1)

    (table,) = [found for found in done.json["tables"] if found["failures"]]
    assert "no such action: 'permit.registr'" in table["failures"]["-"]


@pytest.mark.parametrize(
    "name", ["常山公安为玉山人登记居住证", "Changshan police register a permit for somebody from Yushan"]
)
def test_explain_of_an_allowed_case_shows_each_clause(name):
    """Either name finds the case; the clauses that are met are marked."""
    out = run("policy", "explain", name, "--policies", POLICIES).out

    assert out.startswith("允许")
    assert "[keep-own-permits]" in out
    assert "  + 该单位在签发县 | the agency sits in the issuing county" in out


def test_explain_of_a_refused_case_says_what_would_make_it_lawful():
    """A refusal comes with its remedy."""
    book = load_policy_book(policy_files())
    case = next(case for case in load_cases("lookups.toml", book) if case.expect == "refused")

    out = run("policy", "explain", case.name, "--policies", POLICIES).out

    assert out.startswith("拒绝")
    assert "\n=> " in out


def test_explain_of_a_question_in_a_file_reads_it_as_a_person_writes_it(tmp_path):
    """JSON in any order and space is a question too."""
    book = load_policy_book(policy_files())
    case = load_cases("permits.toml", book)[0]
    path = tmp_path / "question.json"
    path.write_text(json.dumps(request_json(case.request), ensure_ascii=False, indent=4))

    out = run("policy", "explain", "--file", path, "--policies", POLICIES).out

    assert out == run("policy", "explain", case.name, "--policies", POLICIES).out


@pytest.mark.parametrize(
    ("content", "reason"), [("{", "JSON_SYNTAX"), ("[]", "JSON_OBJECT"), ("{}", "JSON_MISSING_NAME")]
)
def test_explain_of_a_file_that_is_no_question_is_refused(tmp_path, content, reason):
    """What is no question is told as such."""
    path = tmp_path / "question.json"
    path.write_text(content)

    assert f"[{reason}]" in run("policy", "explain", "--file", path, "--policies", POLICIES, code=2).err


def test_explain_of_an_unknown_case_is_refused():
    """A name that no table has is told as such."""
    assert "[CASE_NAME]" in run("policy", "explain", "no such case", "--policies", POLICIES, code=2).err


@pytest.mark.parametrize("arguments", [(), ("a case", "--file", "a-file")])
def test_explain_wants_a_case_or_a_file(arguments):
    """Neither and both are wrong usage."""
    run("policy", "explain", *arguments, "--policies", POLICIES, code=2)


def test_replay_of_a_home_that_is_none_is_refused(tmp_path):
    """There is nothing to decide again without a node."""
    assert "[HOME_MISSING]" in run("policy", "replay", "--home", tmp_path, code=1).err
