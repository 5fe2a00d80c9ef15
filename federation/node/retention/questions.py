"""Questions, reports, corrections and whatever ends by days: destroyed at both sides when nothing needs it any more.

A search or a fetch is needed while its case runs, since a handle leads back to it, and while an answer may still come;
a report while its clerk may turn a page, a correction while the person may go to court about it. Who received one
destroys it and tells its sender by a receipt; who sent one destroys its own by its own clock, so that a province that
is away keeps nothing alive here. The person is still told what was given: that lies in records of its own, under a
floor.
Source: PIPL articles 19 and 47, `policies/retention.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.domain.erasure import ErasureGrounds
from federation.domain.lookups_case import is_open
from federation.domain.retention import (
    CORRECTION,
    QUESTION,
    REPORT,
    DestroyOn,
    RetentionRules,
    destroyed_after,
    is_destroyed_on,
)
from federation.node.exchange.replies import statement_of
from federation.node.exchange.trust import InForce
from federation.node.intake.clock import SETTLE
from federation.node.lookups import records
from federation.node.node import Node
from federation.node.retention.rules import kinds_under, rules_of
from federation.store.exchange_log import GroupTransaction, load_head
from federation.store.messages import StoredMessage, list_held

COUNTED: Final = (QUESTION, REPORT, CORRECTION)
"""The rules under which a round counts what it destroyed; what ends by another one is counted under the first."""
_PLACE: Final = "retention/ending"
"""The counter of how many leaves at the log's beginning hold nothing more of these kinds."""
_KEEP_EVERY: Final = 1000
_PAGE: Final = 500


@dataclass(slots=True, kw_only=True)
class QuestionRound:
    """One look at what has a body and ends: what has ended, and how far nothing lives."""

    ended: list[tuple[StoredMessage, ErasureGrounds]]
    kept_place: int
    place: int


def look_for_ended(node: Node, in_force: InForce, now: datetime) -> QuestionRound:
    """Finds each message that has ended by now, and why; writes nothing."""
    rules, size = rules_of(in_force), load_head(node.database).size
    kept_place = node.database.find_counter(_PLACE)
    found, place = QuestionRound(ended=[], kept_place=kept_place, place=size), size
    for message in _list_held(node, rules, kept_place):
        grounds = _grounds(node, in_force, message, rules=rules, now=now)
        if grounds is not None:
            found.ended.append((message, grounds))
        else:
            place = min(place, message.leaf_index)
    found.place = place
    return found


async def keep_place(node: Node, found: QuestionRound) -> None:
    """Remembers now and then how far everything is gone, so that a round does not read the whole past."""
    if found.place - found.kept_place < _KEEP_EVERY:
        return

    def record(transaction: GroupTransaction) -> None:
        if transaction.find_counter(_PLACE) < found.place:
            transaction.set_counter(_PLACE, found.place)

    await node.sequencer.commit(record)


def counted_under(node: Node, message: StoredMessage) -> str:
    """The rule under which a message that has ended is counted."""
    rule_id = node.kinds[message.kind].keep
    return rule_id if rule_id in COUNTED else QUESTION


def _list_held(node: Node, rules: RetentionRules, place: int) -> Iterator[StoredMessage]:
    """The messages of each kind that ends by its case or by days."""
    after, ending = place - 1, [rule_id for rule_id in rules.rules if destroyed_after(rules, rule_id) is not None]
    kinds = frozenset[str]().union(*(kinds_under(node, rule_id) for rule_id in (QUESTION, *ending)))
    while page := list_held(node.database, kinds, after_leaf=after, limit=_PAGE):
        yield from page
        after = page[-1].leaf_index


def _grounds(
    node: Node, in_force: InForce, message: StoredMessage, *, rules: RetentionRules, now: datetime
) -> ErasureGrounds | None:
    statement = statement_of(message)
    rule_id = node.kinds[message.kind].keep
    if rule_id != QUESTION:
        kept = destroyed_after(rules, rule_id)
        return ErasureGrounds.EXPIRED if kept is not None and now >= statement.created + kept else None
    if not is_destroyed_on(rules, QUESTION, DestroyOn.CASE_AND_ANSWER_ENDED):
        return None
    if now <= statement.expires + in_force.agreement.clock_tolerance + SETTLE:
        return None
    owner = statement.sender.node
    case = records.find_case(node.database, owner, statement.case or "", told=owner != node.name)
    return ErasureGrounds.CASE_CLOSED if case is None or not is_open(case, now) else None
