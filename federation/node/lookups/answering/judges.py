"""The kinds of message of a look-up: body type and judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from federation.domain.lookup.asking import (
    ANSWER_BODY,
    FETCH_BODY,
    RELEASE_BODY,
    SEARCH_BODY,
)
from federation.domain.lookup.refusal import REFUSAL_BODY, SECOND_BODY
from federation.node.exchange.judge import Incoming, Judgement
from federation.node.exchange.trust import InForce
from federation.node.lookups.answering.fetch import judge_fetch
from federation.node.lookups.answering.search import judge_search
from federation.node.lookups.answering.told import judge_answer, judge_case, judge_refusal, judge_release
from federation.node.lookups.intake.second import judge_second
from federation.node.lookups.kinds import (
    ANSWER_KIND,
    CASE_BODY,
    CASE_KIND,
    FETCH_KIND,
    REFUSAL_KIND,
    RELEASE_KIND,
    SEARCH_KIND,
    SECOND_KIND,
)
from federation.node.node import Node

ANSWERING: Mapping[str, tuple[str, Callable[[Node, Incoming, InForce], Judgement]]] = {
    CASE_KIND: (CASE_BODY, judge_case),
    SEARCH_KIND: (SEARCH_BODY, judge_search),
    ANSWER_KIND: (ANSWER_BODY, judge_answer),
    FETCH_KIND: (FETCH_BODY, judge_fetch),
    RELEASE_KIND: (RELEASE_BODY, judge_release),
    REFUSAL_KIND: (REFUSAL_BODY, judge_refusal),
    SECOND_KIND: (SECOND_BODY, judge_second),
}
"""The kinds of message of a look-up: body type and judge."""
