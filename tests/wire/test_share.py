"""A caller's share of a port: calls, streams, bytes; what is over is given back, and nobody takes from another."""

import pytest

from federation.protocol.errors import UnavailableError
from federation.wire.share import BYTES_EACH, CALLS_EACH, CALLS_KEPT, CALLS_OF_ALL, STREAMS_EACH, Shares


def test_calls_of_one_caller_end_at_their_share_and_not_at_that_of_another():
    """A place that is given back is taken again."""
    shares = Shares()
    places = [shares.enter("zhejiang", stream=False) for _ in range(CALLS_EACH)]
    with pytest.raises(UnavailableError, match="OVERLOADED"):
        shares.enter("zhejiang", stream=False)
    shares.enter("fujian", stream=False)
    places.pop().leave(None)
    shares.enter("zhejiang", stream=False)


def test_full_port_keeps_a_few_calls_for_each_caller():
    """However many callers there are, one that asks for the first time is heard."""
    shares = Shares()
    for number in range(CALLS_OF_ALL // CALLS_EACH):
        for _ in range(CALLS_EACH):
            shares.enter(f"agency {number}", stream=False)
    for _ in range(CALLS_KEPT):
        shares.enter("late", stream=False)
    with pytest.raises(UnavailableError, match="OVERLOADED"):
        shares.enter("late", stream=False)


def test_streams_are_few():
    """A stream lives as long as its connection."""
    shares = Shares()
    for _ in range(STREAMS_EACH):
        shares.enter("zhejiang", stream=True)
    with pytest.raises(UnavailableError, match="OVERLOADED"):
        shares.enter("zhejiang", stream=True)
    shares.enter("zhejiang", stream=False)


def test_bytes_are_held_until_the_call_is_over_and_one_alone_may_be_large():
    """Beyond the share an answer is not sent; after the others have left it is."""
    shares = Shares()
    first, second = (shares.enter("zhejiang", stream=False) for _ in range(2))
    first.hold(BYTES_EACH + 1)
    with pytest.raises(UnavailableError, match="OVERLOADED"):
        second.hold(1)
    first.leave(None)
    second.hold(BYTES_EACH)
