"""The policies of the provinces, in Cedar, as verified values. Start reading at `book.decide`.

What explains a decision is loaded by its own name: a command that decides nothing needs the words alone.
"""

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
from federation.protocol.policy.text import Effect, PolicyText, Sentence

__all__ = [
    "Attributes", "Decision", "Effect", "Entity", "EntityRef", "Grounds", "PolicyBook", "PolicyRequest", "PolicyText",
    "PolicyValue", "Sentence", "decide", "decide_afresh", "join_decisions", "load_policy_book",
]  # fmt: skip
