"""One decision out of several: what a message of many items comes to, and what its leaf says.

Rules kept: one no is a no for all; every deciding policy is named; nothing decided is refused. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from federation.protocol.leaf import Verdict
from federation.protocol.policy.book import Decision, Grounds


def join_decisions(decisions: Sequence[Decision]) -> Decision:
    """One decision for a message of several items: refused if any item is, naming every deciding policy."""
    refused = [decision for decision in decisions if not decision.allowed]
    deciding = refused or list(decisions)
    return Decision(
        verdict=Verdict.REFUSED if refused or not decisions else Verdict.ALLOWED,
        policies=tuple(sorted({name for decision in deciding for name in decision.policies})),
        fields=frozenset().union(*(decision.fields for decision in deciding)) if deciding else frozenset(),
        reason=deciding[0].reason if deciding else Grounds.DEFAULT_DENY,
        title_zh=";".join(dict.fromkeys(decision.title_zh for decision in deciding)),
        title_en="; ".join(dict.fromkeys(decision.title_en for decision in deciding)),
    )
