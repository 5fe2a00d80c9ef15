"""Contact with the others: silence is a no, either side's call counts, and a clock is measured on the way."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from federation.node.exchange.peers import keep_contact, measure
from federation.node.node import Contact, Contacts
from federation.protocol.errors import BridgeheadError, MalformedError, UnavailableError, UntrustedError
from tests.node.rig import FUJIAN, JIANGXI, START, Clock


class Peer:
    """Another province whose clock is off, or that is not there; each answer takes two seconds."""

    def __init__(self, clock: Clock, *, ahead: float = 0.0, error: BridgeheadError | None = None) -> None:
        self.clock, self.ahead, self.error, self.asked = clock, ahead, error, asyncio.Event()

    async def tell_time(self, *, timeout_seconds: float) -> datetime:
        self.asked.set()
        if self.error is not None:
            raise self.error
        told = self.clock.advance(seconds=1) + timedelta(seconds=self.ahead)
        self.clock.advance(seconds=1)
        return told


def test_province_that_was_never_reached_is_not_there() -> None:
    """What was never started is not reached."""
    assert Contacts(Clock()).of(JIANGXI) == Contact(time=None, is_answering=False, offset=None)


def test_call_of_the_other_side_is_contact_but_no_answer() -> None:
    """It is alive; whether it can be called is another question."""
    contacts = Contacts(Clock())
    contacts.heard(JIANGXI)

    assert (contacts.of(JIANGXI).time, contacts.of(JIANGXI).is_answering) == (START, False)


def test_province_that_calls_us_is_not_silent() -> None:
    """A call that failed before says nothing about it any more; one that fails afterwards does."""
    contacts = Contacts(Clock())
    error = UnavailableError("PEER_DOWN", "nobody listens")
    contacts.failed(JIANGXI, error)
    assert contacts.of(JIANGXI).is_silent
    contacts.heard(JIANGXI)
    assert not contacts.of(JIANGXI).is_silent
    contacts.failed(JIANGXI, error)
    assert contacts.of(JIANGXI).is_silent


@pytest.mark.parametrize("ahead", [0.0, 90.0, -3600.0])
async def test_offset_is_theirs_less_ours_without_the_way(ahead: float) -> None:
    """One second there and one back are no difference of clocks."""
    clock = Clock()
    contacts = Contacts(clock)

    await measure(contacts, JIANGXI, Peer(clock, ahead=ahead))

    assert contacts.of(JIANGXI) == Contact(
        time=START + timedelta(seconds=2), is_answering=True, offset=timedelta(seconds=ahead)
    )


@pytest.mark.parametrize("error", [UnavailableError, UntrustedError])
async def test_province_that_falls_silent_keeps_the_time_of_its_last_word(error: type[BridgeheadError]) -> None:
    """The age of the last contact is what an operator looks at."""
    clock = Clock()
    contacts = Contacts(clock)
    await measure(contacts, JIANGXI, Peer(clock, ahead=5))
    clock.advance(hours=1)

    await measure(contacts, JIANGXI, Peer(clock, error=error("GONE", "nobody there")))

    found = contacts.of(JIANGXI)
    assert (found.time, found.is_answering) == (START + timedelta(seconds=2), False)
    assert found.offset == timedelta(seconds=5)


async def test_no_is_an_answer() -> None:
    """A refusal for what was asked shows that somebody is there."""
    contacts = Contacts(Clock())
    await measure(contacts, JIANGXI, Peer(Clock(), error=MalformedError("X", "y")))

    assert contacts.of(JIANGXI).is_answering


async def test_all_are_asked_at_start() -> None:
    """Nobody waits for the first minute to be over, and one that is silent holds up nobody."""
    clock = Clock()
    gone, there = Peer(clock, error=UnavailableError("GONE", "x")), Peer(clock)
    contacts = Contacts(clock)
    duty = asyncio.create_task(keep_contact(contacts, {FUJIAN: gone, JIANGXI: there}))
    await asyncio.gather(gone.asked.wait(), there.asked.wait())
    while not contacts.of(JIANGXI).is_answering:
        await asyncio.sleep(0)
    duty.cancel()

    assert not contacts.of(FUJIAN).is_answering
