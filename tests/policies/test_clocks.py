"""Each row of the clock table is read by code or by a procedure, or says that it is planned; nothing is both."""

import ast
import tomllib
from pathlib import Path

import pytest

from federation.domain.clock import ClockTable, load_rule, parse_clocks

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "policies"
CODE = sorted((ROOT / "federation").rglob("*.py"))
PROCEDURES = sorted((POLICIES / "procedures").glob("*.toml"))


def clocks_in_code(source: str) -> set[str]:
    """The rows that a module names: the texts of what it calls `..._CLOCK` or `..._CLOCKS`."""
    named = set()
    for node in ast.walk(ast.parse(source)):
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if (
            isinstance(target, ast.Name)
            and target.id.rpartition("_")[2] in {"CLOCK", "CLOCKS"}
            and node.value is not None
        ):
            named |= {part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)}
    return {name for name in named if isinstance(name, str) and "." in name}


def clocks_in_procedure(value: object) -> set[str]:
    """Every `clock = "..."` of a procedure file, at whatever depth."""
    if isinstance(value, dict):
        own = {value["clock"]} if isinstance(value.get("clock"), str) else set()
        return own.union(*map(clocks_in_procedure, value.values()))
    return set().union(*map(clocks_in_procedure, value)) if isinstance(value, list) else set()


def read_rows() -> set[str]:
    in_code = set().union(*(clocks_in_code(path.read_text("utf-8")) for path in CODE))
    return in_code.union(*(clocks_in_procedure(tomllib.loads(path.read_text("utf-8"))) for path in PROCEDURES))


def findings(table: ClockTable, read: set[str]) -> list[str]:
    """What is wrong: a reader without a row, a row without a reader, a planned row that is read."""
    newest = {name: versions[-1] for name, versions in table.rules.items()}
    return sorted(
        [f"{name}: read, and no row of the table" for name in read - newest.keys()]
        + [f"{name}: planned, and read: take the mark away" for name in read & newest.keys() if newest[name].planned]
        + [f"{name}: read by nothing: planned = true" for name in newest.keys() - read if not newest[name].planned]
    )


@pytest.fixture(scope="module")
def table():
    return parse_clocks((POLICIES / "clocks.toml").read_text("utf-8"))


def test_each_row_is_read_or_planned(table):
    """The signed table says of each deadline whether anything measures it."""
    assert findings(table, read_rows()) == []


def test_a_row_that_nothing_reads_and_a_planned_one_that_is_read_are_found(table):
    """The test above finds each of the three faults."""
    read = read_rows()
    assert findings(table, read - {"share.correct"}) == ["share.correct: read by nothing: planned = true"]
    planned = next(name for name, versions in table.rules.items() if versions[-1].planned)
    assert findings(table, read | {planned}) == [f"{planned}: planned, and read: take the mark away"]
    assert findings(table, read | {"no.such"}) == ["no.such: read, and no row of the table"]


def test_readers_are_found_in_code_and_in_procedures():
    """A name in code counts where it is called a clock; an action of the same name does not."""
    source = 'LEAD_CLOCK: Final = "a.b"\nLOOKUP_CLOCKS = X({U: "c.d"})\nACTION = "e.f"\nCLOCK = "g.h"\n'
    assert clocks_in_code(source) == {"a.b", "c.d", "g.h"}
    assert clocks_in_procedure({"stage": [{"deadline": [{"clock": "a.b"}]}, {"deadline": {"clock": "c.d"}}]}) == {
        "a.b",
        "c.d",
    }


def test_what_a_person_reads_of_a_row_stands_in_both_languages(table):
    """No screen shows the name of a row alone."""
    read = [versions[-1] for name, versions in table.rules.items() if not versions[-1].planned]
    assert [rule.clock_id for rule in read if not rule.zh or not rule.en] == []


def test_rows_say_how_far_they_were_read(table):
    """Law names its instrument, what was read its article where it has one; a programme rule is no law."""
    for rule in (versions[-1] for versions in table.rules.values()):
        assert rule.instrument
        assert rule.text_state
        assert (rule.verified == "programme") == (rule.text_state == "no law"), rule.clock_id
    cyber = [table.rules[f"cyber.report.{who}"][-1] for who in ("cii", "central", "other")]
    assert {rule.verified for rule in cyber} == {"unread"}


def test_a_row_that_was_read_stays_beside_its_successor(table):
    """A deadline that runs finds the version that made it."""
    first, second = table.rules["police.handover"]
    assert (first.version, first.starts_on, second.version, second.starts_on) == (
        1,
        "case.received",
        2,
        "case.found_foreign",
    )
    assert load_rule(table, "police.handover", on=second.effective_from) == second
