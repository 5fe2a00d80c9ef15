"""A case table by itself: what came of a case is told in one sentence, and what is no table is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.domain.cases.table import AnswerBy, find_failure, parse_cases
from federation.protocol.errors import MalformedError, NotFoundError
from federation.protocol.leaf import Verdict
from federation.protocol.policy import load_policy_book
from tests.policies.case_table import ROOT, load_cases, policy_files

BOOK = load_policy_book(policy_files())
CASES = load_cases("permits.toml", frozenset(BOOK.policies))


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


def test_table_of_an_unknown_name_is_refused():
    """A file that nobody knows how to read is not skipped."""
    with pytest.raises(NotFoundError) as caught:
        parse_cases("", frozenset(), name="permit.toml")

    assert caught.value.reason == "CASE_TABLE"


def test_name_that_stands_twice_is_refused():
    """A case is found by its name."""
    text = (ROOT / "policies" / "cases" / "permits.toml").read_text()
    assert CASES[1].name in text

    with pytest.raises(MalformedError) as caught:
        parse_cases(text.replace(CASES[1].name, CASES[0].name, 1), frozenset(BOOK.policies), name="permits.toml")

    assert caught.value.reason == "CASE_TWICE"
