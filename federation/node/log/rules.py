"""Decisions that no question to policy stands behind: a rule of the exchange itself made them, and the leaf names it.

Rules kept: each has a name of its own, so that whoever decides the log again counts it under that name and passes over
nothing. A rule lets in only what a question of ours asked for; every other rule can only refuse (`rule-...`, by the
reason of the error). Source: DESIGN sections 3 (asking) and 8.
"""

from __future__ import annotations

import re
from typing import Final

from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import RuleError
from federation.protocol.leaf import Leaf, LeafKind, Verdict
from federation.protocol.statement import Statement, decode_statement
from federation.store.database import Source
from federation.store.exchange_log import find_leaf
from federation.store.messages import Direction, StoredMessage, find_by_digest, find_by_leaf

REPLY_RULE: Final = "reply-to-own-request"
"""What answers a request of ours is taken in: it was our own policy that let the request out."""
OWN_ERASURE_RULE: Final = "receipt-of-own-erasure"
"""The giver is told that what it handed over has ended and was destroyed: nobody has to ask for that."""

SECOND_RULE: Final = "second-request"
"""What asks once more for the answer to a request that was let out before, and taken in by the other side."""

_REFUSAL: Final = re.compile(r"rule-[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


def refusal_rule(error: RuleError) -> str:
    """The name of the rule that refused, as a leaf has it."""
    return rule_name(error.reason)


def rule_name(reason: str) -> str:
    """The name of the rule with that reason: `rule-handle-expired` for HANDLE_EXPIRED."""
    return f"rule-{reason.lower().replace('_', '-')}"


def find_rule(source: Source, index: int, leaf: Leaf) -> str | None:
    """The name of the rule that made the decision of a leaf, if one did and if it holds when looked at again.

    A reply must cite a request that this node sent to that very node, a second request one that went the same way as
    itself; the receipt of an erasure must cite what this log says was erased; a rule's own refusal must be a refusal.
    """
    if len(leaf.policies) != 1:
        return None
    (name,) = leaf.policies
    if name == REPLY_RULE:
        return name if leaf.verdict is Verdict.ALLOWED and _is_reply(source, index, leaf) else None
    if name == OWN_ERASURE_RULE:
        return name if leaf.kind is LeafKind.SENT and _is_own_erasure(source, index) else None
    if name == SECOND_RULE:
        return name if leaf.verdict is Verdict.ALLOWED and _is_second(source, index, leaf) else None
    return name if leaf.kind is LeafKind.REFUSED and _REFUSAL.fullmatch(name) else None


def find_answered(source: Source, index: int) -> StoredMessage | None:
    """The request of another province that our message with the leaf at that index answers; None for any other."""
    statement = _statement_at(source, "sent", index)
    if statement is None or statement.in_reply_to is None:
        return None
    request = find_by_digest(source, "received", statement.in_reply_to)
    return request if request is not None and request.pair.sender == statement.recipient.node else None


def _is_reply(source: Source, index: int, leaf: Leaf) -> bool:
    statement = _statement_at(source, "received", index)
    if statement is None or statement.in_reply_to is None:
        return False
    request = find_by_digest(source, "sent", statement.in_reply_to)
    return request is not None and request.pair.recipient == statement.sender.node and leaf.pair == statement.pair


def _is_own_erasure(source: Source, index: int) -> bool:
    statement, received = _statement_at(source, "sent", index), find_answered(source, index)
    if statement is None or received is None:
        return False
    return find_leaf(source, LeafKind.ERASURE, received.digest) is not None


def _is_second(source: Source, index: int, leaf: Leaf) -> bool:
    direction: Direction = "sent" if leaf.kind is LeafKind.SENT else "received"
    statement = _statement_at(source, direction, index)
    if statement is None or statement.in_reply_to is None:
        return False
    request = find_by_digest(source, direction, statement.in_reply_to)
    return request is not None and request.pair == statement.pair == leaf.pair


def _statement_at(source: Source, direction: Direction, index: int) -> Statement | None:
    message = find_by_leaf(source, direction, index)
    return decode_statement(parse_envelope(message.envelope).payload) if message is not None else None
