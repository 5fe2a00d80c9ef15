"""The retention table of the agreement in force, as this node applies it to the kinds of message."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from federation.domain.retention import (
    PROVISION,
    RETENTION_FILE,
    RetentionRules,
    find_rule,
    has_floor,
    kept_until,
    parse_retention,
)
from federation.node.exchange.judge import Kind
from federation.node.exchange.trust import InForce
from federation.node.node import Node
from federation.protocol.errors import NotFoundError
from federation.store.messages import StoredMessage

ORDER_KIND: Final = "erasure.order"
RECEIPT_KIND: Final = "erasure.receipt"


def rules_of(in_force: InForce) -> RetentionRules:
    """The table that the agreement carries.

    Raises:
        NotFoundError: RETENTION_RULE when it carries none; MalformedError: as `parse_retention`.
    """
    text = in_force.agreement.files.get(RETENTION_FILE)
    if text is None:
        raise NotFoundError("RETENTION_RULE", f"the agreement carries no {RETENTION_FILE}")
    return _parse(text)


def verify_kept(kinds: Iterable[Kind[Any]], rules: RetentionRules) -> None:
    """Checks that each kind of message ends, or is kept, by a rule that the provinces agreed on.

    Raises:
        NotFoundError: RETENTION_RULE for a kind without one.
    """
    for kind in kinds:
        find_rule(rules, kind.keep)


def kinds_under(node: Node, rule_id: str) -> frozenset[str]:
    """The kinds of message that stand under a rule."""
    return frozenset(name for name, kind in node.kinds.items() if kind.keep == rule_id)


def is_under_floor(node: Node, in_force: InForce, message: StoredMessage) -> bool:
    """Whether a message is a record of provision that must still be kept; so is one of a kind that is not known."""
    kind, rules = node.kinds.get(message.kind), rules_of(in_force)
    rule_id = kind.keep if kind is not None else PROVISION
    return has_floor(rules, rule_id) and node.now() < kept_until(rules, rule_id, message.created)


@lru_cache(maxsize=4)
def _parse(text: bytes) -> RetentionRules:
    return parse_retention(text.decode())
