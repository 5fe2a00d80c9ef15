"""Whoever is told no is told what to do next, for every reason that a person at a command can do something about."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.cli.next_step import NEXT_STEPS, exit_code, find_next_steps, find_refusal_steps
from federation.cli.words import halves
from federation.protocol import errors
from federation.protocol.policy.book import load_policy_book
from federation.protocol.policy.explain import explain
from tests.cli.parts import load_parts
from tests.policies.case_table import load_cases, policy_files

load_parts()
PACKAGE = Path(errors.__file__).parents[1]
SUBJECTS = (
    "cli/",
    "node/log/",
    "node/exchange/replies",
    "lookup",
    "intake",
    "oversight",
    "domain/reports",
    "node/home/",
)
"""Files whose path names one of these raise what a person at a command is told."""
FLOORS = ("cli", "node", "domain")
BY_CLASS = frozenset({"UnavailableError", "CorruptError"})
"""What these say next is the same for all reasons: try again, or stop and call."""
SAID_BY_ANOTHER_NODE = frozenset(
    {
        "BODY_ITEMS", "CASE_OTHER", "CASE_STEP", "CASE_VERSION", "COSIGN_REFUSED", "JSON_MISSING_NAME", "JSON_UNKNOWN_NAME",
        "LOOKUP_VALUE", "REPLY_BEYOND", "REPLY_OFFICE", "REPLY_QUESTION_GONE", "REPLY_TOO_LATE", "REPLY_TWICE", "REPLY_UNASKED", "REPORT_DATE",
        "REPORT_SIZE", "SECOND_UNASKED",
    }
)  # fmt: skip
"""Of messages between nodes: no person at a command can change them."""
STORED_OTHERWISE = frozenset({"BREAK_GLASS_FORM", "DECISION_FORM", "INTAKE_FORM", "READING_KIND", "REVIEW_FORM"})
"""What is stored or signed is not of its form: nothing that is known to work can be advised."""
TELLS_ITSELF = ("DEMO_", "BENCH_", "SYNTHETIC_NODE")
"""The demo and the bench say in their own sentence what to do."""


def raised() -> Iterator[tuple[str, str]]:
    """Every reason that stands in a call of an error class or in a form, with the file that gives it."""
    classes = {error.__name__ for error in errors.BridgeheadError.__subclasses__()} - BY_CLASS
    for floor in FLOORS:
        for path in sorted((PACKAGE / floor).rglob("*.py")):
            if not any(subject in str(path.relative_to(PACKAGE)) for subject in SUBJECTS):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                said = None
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes:
                    said = node.args[0] if node.args else None
                elif (
                    isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "REASON"
                ):
                    said = node.value
                if isinstance(said, ast.Constant):
                    yield str(said.value), str(path.relative_to(PACKAGE))


def test_every_reason_that_a_person_can_act_on_has_its_next_step() -> None:
    """A new reason gets its line, or is named above as one that nobody at a command can change."""
    excused = SAID_BY_ANOTHER_NODE | STORED_OTHERWISE
    missing = {
        reason: path
        for reason, path in raised()
        if reason not in NEXT_STEPS and reason not in excused and not reason.startswith(TELLS_ITSELF)
    }

    assert missing == {}


def test_excused_reasons_are_still_raised_and_have_no_step() -> None:
    """The list above does not outlive what it excuses."""
    known = {reason for reason, _ in raised()}

    assert known >= SAID_BY_ANOTHER_NODE | STORED_OTHERWISE
    assert not (SAID_BY_ANOTHER_NODE | STORED_OTHERWISE) & NEXT_STEPS.keys()


def test_next_steps_stand_in_the_order_of_their_reasons() -> None:
    """So that two who add one find the same place; each file for itself."""
    for path in sorted((PACKAGE / "cli").glob("*.py")):
        for table in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            keys = (
                [each.value for each in table.keys if isinstance(each, ast.Constant)]
                if isinstance(table, ast.Dict)
                else []
            )
            if NEXT_STEPS.keys() & keys:
                assert keys == sorted(keys), path.name


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("case_id", "CASE_ID"),
        ("act.officer", "OFFICER"),
        ("request_id", "INTAKE_UNKNOWN"),
        ("rows[3].note", "FIELD_RULE"),
    ],
)
def test_field_that_is_not_of_its_form_has_the_step_of_that_field(field: str, reason: str) -> None:
    """A clerk is shown how a case number is written, not a pattern alone."""
    error = errors.MalformedError("FIELD_RULE", "does not match regex pattern", field=field)

    assert find_next_steps(error) == (NEXT_STEPS[reason],)


def test_every_no_of_policy_says_who_may_do_it_and_what_to_do_next() -> None:
    """Over every case that the provinces wrote down, and every policy: by the rule, or by what the no itself names."""
    book = load_policy_book(policy_files())
    tables = (path.name for path in sorted((PACKAGE.parent / "policies/cases").glob("*.toml")))
    refused = [case for table in tables for case in load_cases(table, book) if case.expect.value == "refused"]
    assert any("default-deny" in case.by for case in refused)
    for case in refused:
        explanation = explain(book, case.request)
        assert explanation.remedy_zh, case.name
        assert len(explanation.remedy_zh) == len(explanation.remedy_en), case.name
    for policies in [*((each,) for each in book.policies), *(case.by for case in refused), ("policy-error",), ()]:
        assert all(map(halves, find_refusal_steps(policies)))
        assert find_refusal_steps(policies), policies


def test_no_of_a_rule_keeps_the_step_of_that_rule() -> None:
    """The general step stands in for none that is known."""
    assert find_refusal_steps(["rule-case-unknown"]) == (NEXT_STEPS["CASE_UNKNOWN"],)
    assert find_refusal_steps(["default-deny"]) == (NEXT_STEPS["DEFAULT_DENY"],)
    for held in ("deny-function-not-held", "deny-case-function-not-held"):
        assert find_refusal_steps([held, "deny-corrections-lead"]) == (NEXT_STEPS["FUNCTION_NOT_HELD"],)
    unrelated = find_refusal_steps(["deny-recognise-unrelated", "deny-recognise-home"])
    assert unrelated == (NEXT_STEPS["DENY_RECOGNISE_UNRELATED"],)
    assert find_refusal_steps(["deny-alert-plate"]) == (NEXT_STEPS["POLICY_REFUSED"],)


def test_reason_has_one_step_whichever_parts_are_loaded() -> None:
    """A part that said another one would say it to all others' users; an option stands there as the one that was used."""
    owners: dict[str, list[str]] = {}
    for path in sorted((PACKAGE / "cli").glob("*.py")):
        for table in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            keys = (
                {each.value for each in table.keys if isinstance(each, ast.Constant)}
                if isinstance(table, ast.Dict)
                else set()
            )
            for reason in NEXT_STEPS.keys() & keys:
                owners.setdefault(reason, []).append(path.name)
    assert {reason: files for reason, files in owners.items() if len(files) != 1} == {}
    error = errors.ConflictError("FILE_EXISTS", "x is there already", option="--to")
    assert find_next_steps(error) == ("换一处：--to | name another one: --to",)


@pytest.mark.parametrize("reason", ["HOME_MISSING", "AGREEMENT_MISSING", "AGREEMENT_FORM", "STORE_MISSING"])
@pytest.mark.parametrize("form", ["{} {}", "{}={}"])
def test_folder_that_is_not_there_is_a_slip_of_who_typed(tmp_path: Path, reason: str, form: str) -> None:
    """Usage for every command, those that judge a file among them; a folder that is there and lacks it is an answer."""
    error = errors.NotFoundError(reason, "expected a node's home")
    for option in ("--home", "--agreement", "--policies", "--from"):
        for folder, code in ((tmp_path / "typo", 2), (tmp_path, 1)):
            assert exit_code(error, ["node", "check", *form.format(option, folder).split()]) == code
    assert exit_code(error, ["audit", "verify", "--root", "typo"]) == 1
