"""Look-ups to protobuf and back: equal values; absent stays absent; a word nobody knows is malformed."""

from dataclasses import replace

import pytest

from federation.domain.lookup.asking import Outcome, Selector, SelectorKind, Urgency
from federation.protocol.errors import MalformedError
from federation.v1 import lookup_service_pb2
from federation.wire.lookups import convert
from federation.wire.lookups.values import FetchResult, LookupPage, LookupQuery, LookupQuestion, SearchResult
from tests.wire.answers import ACT, CASE_OPENED, CASE_REFUSED, CITIZEN_NUMBER, FETCHED, LOOKUPS, SEARCHED, URN

QUESTION = LookupQuestion(
    case_id="A3611-0042", selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=CITIZEN_NUMBER)
)


def _again(message):
    return type(message).FromString(message.SerializeToString())


@pytest.mark.parametrize("answer", [CASE_OPENED, CASE_REFUSED], ids=["opened", "refused"])
def test_case_answer_reads_back_equal(answer):
    """A refused case has no time of closing."""
    response = convert.case_answer_to_pb(lookup_service_pb2.CloseCaseResponse, answer)
    assert convert.case_answer_from_pb(_again(response)) == answer


@pytest.mark.parametrize("urgency", Urgency)
@pytest.mark.parametrize(
    "selector", [QUESTION.selector, Selector(kind=SelectorKind.PERMIT, value=URN)], ids=["number", "permit"]
)
def test_search_question_reads_back_equal(urgency, selector):
    """No provinces stay none: it is the node that knows who all are."""
    question = replace(QUESTION, urgency=urgency, selector=selector)
    assert convert.lookup_question_from_pb(_again(convert.lookup_question_to_pb(ACT, question))) == question


@pytest.mark.parametrize("outcome", Outcome)
def test_search_result_reads_back_equal(outcome):
    """Each outcome survives, with and without a handle, and what would make it lawful."""
    first, *others = (replace(answer, outcome=outcome) for answer in SEARCHED.answers)
    answers = (replace(first, explanation_zh="案件在办", explanation_en="the case is open"), *others)
    result = SearchResult(lookup_id=SEARCHED.lookup_id, answers=answers)
    assert convert.search_result_from_pb(_again(convert.search_result_to_pb(result))) == result


@pytest.mark.parametrize("result", [FETCHED, FetchResult(outcome=Outcome.UNREACHABLE)], ids=["released", "nothing"])
def test_fetch_result_reads_back_equal(result):
    """What was not judged has no ruling, what was not released no field."""
    assert convert.fetch_result_from_pb(_again(convert.fetch_result_to_pb(result))) == result


@pytest.mark.parametrize("page", [LOOKUPS, LookupPage()], ids=["lines", "empty"])
def test_lookup_page_reads_back_equal(page):
    """A step whose answer is awaited has no outcome."""
    assert convert.lookup_page_from_pb(_again(convert.lookup_page_to_pb(page))) == page


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (7, 7), (5000, 1000)])
def test_lookup_query_has_a_page_size_within_bounds(asked, given):
    """Nothing means 100, and above 1,000 counts as 1,000."""
    request = convert.lookup_query_to_pb(ACT, LookupQuery(page_size=asked))
    assert convert.lookup_query_from_pb(_again(request)) == LookupQuery(page_size=given)


@pytest.mark.parametrize("query", [LookupQuery(officer="officer-7"), LookupQuery(case_id="A3611-0042")])
def test_lookup_query_reads_back_what_it_is_narrowed_to(query):
    """One officer or one case; absent narrows nothing."""
    assert convert.lookup_query_from_pb(_again(convert.lookup_query_to_pb(ACT, query))) == query


def test_unknown_words_are_malformed():
    """A word of a newer version is refused, never guessed."""
    request = convert.lookup_question_to_pb(ACT, QUESTION)
    request.urgency = 99
    with pytest.raises(MalformedError, match="ENUM_VALUE"):
        convert.lookup_question_from_pb(request)
    response = convert.search_result_to_pb(SEARCHED)
    response.answers[0].outcome = 99
    with pytest.raises(MalformedError, match="ENUM_VALUE"):
        convert.search_result_from_pb(response)
