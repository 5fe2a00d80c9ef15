"""The register of joint functions, and the data files that go with it."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from federation.domain.functions import parse_functions, verify_office
from federation.node.features import KINDS
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import parse_agency_id

POLICIES = Path(__file__).parents[2] / "policies"
TODAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def register():
    return parse_functions((POLICIES / "functions.toml").read_text("utf-8"))


def test_register_has_the_23_functions_and_three_of_ours_none_official(register):
    """F01 to F23 of the programme, F24 to F26 proposed; six departments, of which four were named, and audit."""
    assert sorted(register.functions) == [f"F{number:02d}" for number in range(1, 27)]
    assert not register.official
    assert not any(function.official for function in register.functions.values())
    departments = {function.department for function in register.functions.values()}
    assert departments == {"公安", "综治", "市监", "应急", "司法行政", "生态环境", "审计"}


def test_every_function_has_a_name_and_a_basis_that_carries(register):
    """None is without; wages do not stand on a county's own platform, ecology is no matter of emergencies."""
    assert all(one.name and one.name_en and one.legal_basis for one in register.functions.values())
    assert "第三十八条" not in register.functions["F11"].legal_basis
    assert register.functions["F21"].department == "生态环境"
    assert (register.functions["F13"].department, *holders(register, "F13")) == (
        "司法行政", "procuratorate", "justice-office", "corrections", "detention",
    )  # fmt: skip


def test_every_kind_of_message_belongs_to_a_function(register):
    """What crosses a border does so under a registered function; entries of joint cases under that of their procedure."""
    named = {name for function in register.functions.values() for name in function.item_types}
    assert {kind for kind in KINDS if not kind.startswith("case.")} <= named


def test_a_procedure_file_stands_in_the_row_of_its_function(register):
    """What is there is listed under the function that it names, so that `function list` shows it."""
    for path in (POLICIES / "procedures").glob("*.toml"):
        table = tomllib.loads(path.read_text("utf-8"))
        assert table["name"] in register.functions[table["function"]].procedures


def test_the_kinds_of_a_procedures_roles_may_hold_its_function(register):
    """Who is given a part is of a kind that may hold the function; its retention is agreed; it costs 250 lines at most."""
    rules = {rule["id"] for rule in tomllib.loads((POLICIES / "retention.toml").read_text("utf-8"))["rule"]}
    for path in (POLICIES / "procedures").glob("*.toml"):
        table = tomllib.loads(path.read_text("utf-8"))
        kinds = {kind for role in table["role"] for kind in role["kinds"]}
        assert kinds <= set(holders(register, table["function"])), path.name
        assert table["retention"] in rules, path.name
        lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
        assert len(lines) <= 250, path.name


def holders(register, code):
    return [name for name, kind in register.agency_kinds.items() if code in kind.functions]


@pytest.mark.parametrize(
    ("agency", "functions", "reason"),
    [
        ("zhejiang/330822/labour", {"F11"}, None),
        ("zhejiang/330822/labour", set(), None),
        ("zhejiang/330822/labour", {"F11", "F13"}, "AGENCY_FUNCTIONS"),
        ("zhejiang/330822/wizard", set(), "AGENCY_KIND"),
    ],
)
def test_office_is_of_a_registered_kind_and_holds_functions_of_it(register, agency, functions, reason):
    """A kind is added in one place, the register; nobody names another, or takes what its kind may not hold."""
    if reason is None:
        verify_office(register, parse_agency_id(agency), functions)
        return
    with pytest.raises(RuleError) as caught:
        verify_office(register, parse_agency_id(agency), functions)
    assert caught.value.reason == reason


@pytest.mark.parametrize("text", ["", "F0", "F00", "f01", "F001", "F٠١"])
def test_function_of_another_code_is_refused(text):
    """F and two ASCII digits from 01."""
    with pytest.raises(MalformedError) as caught:
        parse_functions(HEAD + ROW.replace("F01", text))
    assert caught.value.reason == "FUNCTION_CODE"


ROW = '[[function]]\ncode = "F01"\nvalid_from = 2026-01-01\nofficial = false\n'
HEAD = 'version = "1"\nofficial = false\n'
KIND = '{ id = "a", name = "b", name_en = "c", officers = "d", functions = ["F01"] },'
OFFICE = f"agency_kind = [{KIND}]\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD + ROW + ROW, "FUNCTION_TWICE"),
        (HEAD + ROW + "valid_to = 2025-01-01\n", "FUNCTION_PERIOD"),
        (HEAD + ROW + "item_types = [1]\n", "TOML_TYPE"),
        (HEAD + OFFICE.replace("F01", "F02") + ROW, "FUNCTION_UNKNOWN"),
        (HEAD + OFFICE.replace("]\n", f"{KIND}]\n") + ROW, "AGENCY_KIND_TWICE"),
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
