"""Posts of one source and minute: counted, given back with time, and never more buckets than agreed."""

from __future__ import annotations

from federation.wire.post_limit import MAX_SOURCES, PostLimit, source_of


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
