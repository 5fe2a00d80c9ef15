"""The policies of the provinces, in Cedar, as verified values. Start reading at `book.decide`."""

from federation.protocol.policy.book import (
    Decision,
    Grounds,
    PolicyBook,
    decide,
    decide_afresh,
    join_decisions,
    load_policy_book,
)
from federation.protocol.policy.engine import Attributes, Entity, EntityRef, PolicyRequest, PolicyValue
from federation.protocol.policy.explain import ClauseFinding, Explanation, PolicyFinding, explain, format_explanation
from federation.protocol.policy.text import Effect, PolicyText, Sentence
from federation.protocol.policy.vocabulary import ActionShape, Shape, read_vocabulary

__all__ = [
    "ActionShape", "Attributes", "ClauseFinding", "Decision", "Effect", "Entity", "EntityRef", "Explanation", "Grounds",
    "PolicyBook", "PolicyFinding", "PolicyRequest", "PolicyText", "PolicyValue", "Sentence", "Shape", "decide",
    "decide_afresh", "explain", "format_explanation", "join_decisions", "load_policy_book", "read_vocabulary",
]  # fmt: skip
