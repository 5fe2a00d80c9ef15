"""What one caller may take: a share of the port, given back, and posts a minute; nobody takes from another."""

import pytest

from federation.protocol.errors import UnavailableError
from federation.wire.limits import (
    BYTES_EACH,
    CALLS_EACH,
    CALLS_KEPT,
    CALLS_OF_ALL,
    MAX_SOURCES,
    STREAMS_EACH,
    WATCHES_EACH,
    PostLimit,
    Shares,
    source_of,
)


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


def test_screens_that_follow_alerts_are_counted_apart():
    """They take no call from their office, and end at a number of their own; a full port has no room for more."""
    shares = Shares()
    places = [shares.enter("changshan", stream=True, watch=True) for _ in range(WATCHES_EACH)]
    with pytest.raises(UnavailableError, match="OVERLOADED"):
        shares.enter("changshan", stream=True, watch=True)
    for _ in range(STREAMS_EACH):
        shares.enter("changshan", stream=True)
    for _ in range(CALLS_EACH - STREAMS_EACH):
        shares.enter("changshan", stream=False)
    with pytest.raises(UnavailableError, match="OVERLOADED"):
        shares.enter("changshan", stream=False)
    places.pop().leave(None)
    shares.enter("changshan", stream=True, watch=True)
    for number in range(CALLS_OF_ALL // WATCHES_EACH + 1):
        for _ in range(CALLS_KEPT):
            shares.enter(f"office {number}", stream=True, watch=True)


def test_bytes_are_held_until_the_call_is_over_and_one_alone_may_be_large():
    """Beyond the share an answer is not sent; after the others have left it is."""
    shares = Shares()
    first, second = (shares.enter("zhejiang", stream=False) for _ in range(2))
    first.hold(BYTES_EACH + 1)
    with pytest.raises(UnavailableError, match="OVERLOADED"):
        second.hold(1)
    first.leave(None)
    second.hold(BYTES_EACH)


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_source_that_posts_too_much_waits_and_others_do_not() -> None:
    """One address cannot take the turns of another; its own come back with time."""
    clock = Clock()
    limit = PostLimit(60, clock=clock)
    assert [limit.allows("192.0.2.1") for _ in range(61)] == [True] * 60 + [False]
    assert limit.allows("192.0.2.2")

    clock.time = 1.0
    assert [limit.allows("192.0.2.1") for _ in range(2)] == [True, False]


def test_addresses_of_one_ipv6_network_are_one_source() -> None:
    """A /64 is one customer's: its addresses are without number."""
    limit = PostLimit(1, clock=Clock())
    assert limit.allows("2001:db8::1")
    assert not limit.allows("2001:db8::2")
    assert limit.allows("2001:db8:0:1::1")


def test_ipv4_address_is_its_own_source_over_ipv6() -> None:
    """Where a port takes both, the addresses of IPv4 are not one network of IPv6."""
    assert source_of("::ffff:192.0.2.1") == source_of("192.0.2.1") != source_of("::ffff:192.0.2.2")


def test_buckets_do_not_grow_with_the_sources() -> None:
    """Memory does not follow whoever comes from everywhere."""
    limit = PostLimit(1, clock=Clock())
    for number in range(MAX_SOURCES + 10):
        limit.allows(f"source-{number}")
    assert len(limit._buckets) == MAX_SOURCES
