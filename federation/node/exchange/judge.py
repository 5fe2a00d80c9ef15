"""A message as it is put before policy, and what policy and the domain say of it. Between `receive` and the kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from federation.protocol.body import Body
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Statement
from federation.store.exchange_log import GroupTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message whose signature, sender, freshness and body have been verified; `digest` is what a reply cites."""

    statement: Statement
    body: Body
    digest: str


def _nothing() -> None:
    """Most messages have nobody waiting for them."""


def _no_rows(transaction: GroupTransaction) -> None:
    """Most refusals leave nothing but their leaf."""
    del transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What our incoming policy says of a message, the rows it writes if that is yes, whom to tell when durable.

    `refused` writes the rows of a no: a person may later ask who was turned away. `asked` are the questions that were
    put to policy, which together make the decision; `asked_of_records` are those about single records, whose answers
    show in the reply only. All are kept beside the leaf.
    """

    decision: Decision
    apply: Callable[[GroupTransaction], object]
    refused: Callable[[GroupTransaction], object] = _no_rows
    after: Callable[[], object] = _nothing
    asked: tuple[PolicyRequest, ...] = ()
    asked_of_records: tuple[PolicyRequest, ...] = ()

    def write(self, transaction: GroupTransaction) -> None:
        """Writes the rows of the verdict."""
        (self.apply if self.decision.allowed else self.refused)(transaction)
