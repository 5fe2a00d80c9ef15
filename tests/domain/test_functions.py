"""The register of joint functions, and the data files that go with it."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from federation.protocol.errors import MalformedError
from tests.policies.functions import parse_functions

POLICIES = Path(__file__).parents[2] / "policies"
TODAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def register():
    return parse_functions((POLICIES / "functions.toml").read_text("utf-8"))


def test_register_has_23_functions_none_official(register):
    """F01 to F23, four departments named; the names were never published."""
    assert sorted(register.functions) == [f"F{number:02d}" for number in range(1, 24)]
    assert not register.official
    assert not any(function.official for function in register.functions.values())
    departments = {function.department for function in register.functions.values()}
    assert departments == {"公安", "综治", "市监", "应急", ""}


@pytest.mark.parametrize("text", ["", "F0", "F00", "f01", "F001", "F٠١"])
def test_function_of_another_code_is_refused(text):
    """F and two ASCII digits from 01."""
    with pytest.raises(MalformedError) as caught:
        parse_functions(HEAD + ROW.replace("F01", text))
    assert caught.value.reason == "FUNCTION_CODE"


ROW = '[[function]]\ncode = "F01"\nvalid_from = 2026-01-01\nofficial = false\n'
HEAD = 'version = "1"\nofficial = false\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD + ROW + ROW, "FUNCTION_TWICE"),
        (HEAD + ROW + "valid_to = 2025-01-01\n", "FUNCTION_PERIOD"),
        (HEAD + ROW + "item_types = [1]\n", "TOML_TYPE"),
        (HEAD + ROW + "persons = []\n", "TOML_UNKNOWN_NAME"),
        (HEAD + "function = 1\n", "TOML_TYPE"),
        ("official = false\n" + ROW, "TOML_TYPE"),
    ],
)
def test_parse_functions_refuses_a_wrong_register(text, reason):
    """Each fault of the file has its own reason."""
    with pytest.raises(MalformedError) as caught:
        parse_functions(text)
    assert caught.value.reason == reason


def test_retention_rules_have_a_floor_an_event_that_destroys_or_a_time_to_answer():
    """Every row names what it keeps, how long, until what or how soon, and the instrument."""
    rules = tomllib.loads((POLICIES / "retention.toml").read_text("utf-8"))["rule"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert len({"keep_months", "destroy_on", "destroy_after_days", "within_days"} & rule.keys()) == 1
        assert rule["what"]
        assert rule["instrument"]
        assert isinstance(rule["official"], bool)
