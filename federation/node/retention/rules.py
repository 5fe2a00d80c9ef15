"""The retention table of the agreement in force, as this node applies it."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final

from federation.domain.rules.retention import PROVISION, RETENTION_FILE, RetentionRules, kept_until, parse_retention
from federation.node.exchange.trust import InForce
from federation.node.lookups.kinds import CASE_KIND
from federation.protocol.errors import NotFoundError
from federation.store.messages import StoredMessage

ORDER_KIND: Final = "erasure.order"
RECEIPT_KIND: Final = "erasure.receipt"
FLOOR_KINDS: Final = frozenset({CASE_KIND, ORDER_KIND, RECEIPT_KIND})
"""The kinds of message that are records of provision themselves: on what ground it was given, that it was erased."""


def rules_of(in_force: InForce) -> RetentionRules:
    """The table that the agreement carries.

    Raises:
        NotFoundError: RETENTION_RULE when it carries none; MalformedError: as `parse_retention`.
    """
    text = in_force.agreement.files.get(RETENTION_FILE)
    if text is None:
        raise NotFoundError("RETENTION_RULE", f"the agreement carries no {RETENTION_FILE}")
    return _parse(text)


def is_under_floor(in_force: InForce, message: StoredMessage, *, now: datetime) -> bool:
    """Whether a message is a record of provision that must still be kept."""
    return message.kind in FLOOR_KINDS and now < kept_until(rules_of(in_force), PROVISION, message.created)


@lru_cache(maxsize=4)
def _parse(text: bytes) -> RetentionRules:
    return parse_retention(text.decode())
