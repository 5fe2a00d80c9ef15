"""One decision out of several."""

from __future__ import annotations

from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds, join_decisions

ALLOWED = Decision(
    verdict=Verdict.ALLOWED,
    policies=("share-with-household",),
    fields=frozenset({"status"}),
    reason=Grounds.PERMITTED,
    title_zh="可",
    title_en="yes",
)


def test_join_decisions_refuses_when_any_is_refused():
    """One no outweighs every yes; the deciding policies are those that said no."""
    refused = Decision(
        verdict=Verdict.REFUSED,
        policies=("deny-minor",),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh="否",
        title_en="no",
    )

    joined = join_decisions([ALLOWED, refused, ALLOWED])

    assert (joined.verdict, joined.policies, joined.title_en) == (Verdict.REFUSED, ("deny-minor",), "no")
    assert join_decisions([ALLOWED, ALLOWED]).policies == ("share-with-household",)
    assert join_decisions([]).verdict is Verdict.REFUSED
