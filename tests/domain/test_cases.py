"""A case table by itself: what came of a case is told in one sentence, and what is no table is refused."""

from __future__ import annotations

import pytest

from federation.domain.cases import AnswerBy, find_failure, parse_cases
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.leaf import Verdict
from federation.protocol.policy import EntityRef, load_policy_book
from tests.policies.case_table import ROOT, load_cases, policy_files

BOOK = load_policy_book(policy_files())
CASES = load_cases("permits.toml", BOOK)


def test_case_that_comes_out_as_written_has_no_failure():
    """As expected: nothing to tell."""
    assert find_failure(BOOK, CASES[0]) is None


def test_case_with_another_verdict_tells_what_was_expected_and_what_came():
    """Both verdicts and both sets of policies are named."""
    case = replace(CASES[0], expect=Verdict.REFUSED, by=("default-deny",))

    assert find_failure(BOOK, case) == "expected refused by default-deny, got allowed by keep-own-permits"


def test_case_with_other_fields_tells_both():
    """The fields count too, where the author gave them."""
    case = next(case for case in CASES if case.fields)

    told = find_failure(BOOK, replace(case, fields=frozenset({"status"})))

    assert told == f"expected the fields status, got {', '.join(sorted(case.fields))}"
    assert find_failure(BOOK, replace(case, fields=None)) is None


def test_case_that_waits_for_another_answerer_tells_both():
    """Who answers counts too, where the author said so."""
    told = find_failure(BOOK, replace(CASES[0], answer=AnswerBy.DESK))

    assert told == "expected the answer desk, got automatic"
    assert find_failure(BOOK, replace(CASES[0], answer=AnswerBy.NODE)) is None


SCHEMA = b"""
namespace Fed {
  entity Zone;
  entity Province;
  entity County in [Province, Zone];
  entity Agency in [County] { province: Province, county: County, kind: String, functions: Set<String> };
  entity Alert { originCounty: County, level: String };
  action "alert.publish" appliesTo { principal: [Agency], resource: [Alert], context: { urgent?: Bool } };
}
"""
POLICY = """
@id("publish-alert") @title("县级单位发布预警") @title_en("A county office publishes an alert") @basis("突发事件应对法")
@clause1("预警来自本县|the alert is the county's own")
permit (principal is Fed::Agency, action == Fed::Action::"alert.publish", resource is Fed::Alert)
when { resource.originCounty == principal.county };
""".encode()
TABLE = """
[[agency]]
id = "jiangxi/361123/police"
functions = ["F01"]

[[case]]
name = "玉山公安发布本县预警"
name_en = "Yushan police publish an alert of their county"
who = "jiangxi/361123/police"
action = "alert.publish"
resource = { origin = "361123", level = "red" }
context = {}
expect = "allowed"
by = ["publish-alert"]
"""


def test_new_kind_of_policy_needs_a_table_and_no_code():
    """Whatever the schema says can be asked can stand in a case."""
    book = load_policy_book({"policies/schema.cedarschema": SCHEMA, "policies/alerts.cedar": POLICY})
    neighbour = TABLE.replace('origin = "361123"', 'origin = "330822"')

    (case,) = parse_cases(TABLE, book)
    (other,) = parse_cases(neighbour, book)

    assert case.request.resource.ref == EntityRef("Alert", "alert")
    assert find_failure(book, case) is None
    assert find_failure(book, other) == "expected allowed by publish-alert, got refused by default-deny"


def test_schema_that_the_tables_cannot_speak_of_is_refused():
    """An action on two kinds of record would leave open which one a case means."""
    schema = SCHEMA.replace(b"resource: [Alert]", b"resource: [Alert, County]")
    book = load_policy_book({"policies/schema.cedarschema": schema, "policies/alerts.cedar": POLICY})

    with pytest.raises(MalformedError) as caught:
        parse_cases(TABLE, book)

    assert caught.value.reason == "POLICY_SCHEMA"
    assert "alert.publish" in caught.value.message


def test_name_that_stands_twice_is_refused():
    """A case is found by its name."""
    text = (ROOT / "policies" / "cases" / "permits.toml").read_text()
    assert CASES[1].name in text

    with pytest.raises(MalformedError) as caught:
        parse_cases(text.replace(CASES[1].name, CASES[0].name, 1), BOOK)

    assert caught.value.reason == "CASE_TWICE"
