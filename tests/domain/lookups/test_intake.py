"""A question at the intake desk: how long it waits, in which order it is shown, how it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.clock import parse_clocks
from federation.domain.intake import (
    IntakeEntry,
    IntakeStatus,
    escalation_due,
    mask_person,
    place_of,
    refuse_bytes,
    release_bytes,
    verify_waiting,
)
from federation.domain.lookups import LOOKUP_CLOCKS, Urgency, reminder_due, reply_lifetime, urgency_of
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import decode, decode_canonical, encode, encode_canonical, replace
from federation.protocol.ids import format_message_id, parse_agency_id

ROOT = Path(__file__).parents[3]
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NUMBER = "361123" + "210005060017"


@pytest.fixture
def entry(now) -> IntakeEntry:
    return IntakeEntry(
        request_id=format_message_id(now, bytes(10)),
        digest="ab" * 32,
        seq=7,
        status=IntakeStatus.WAITING,
        lookup_id=format_message_id(now, bytes(9) + b"1"),
        step="lookup.search",
        asker=parse_agency_id("jiangxi/361102/police"),
        officer="officer-7",
        case_id="XZ-2026-0001",
        purpose="lookup.criminal_investigation",
        function="F03",
        urgency=Urgency.ROUTINE,
        person=NUMBER,
        fields=frozenset(),
        created=now,
        due=now + HOUR,
    )


def test_clock_table_has_the_times_of_both_urgencies():
    """Urgent is ten minutes, routine an hour; both escalate."""
    rules = parse_clocks((ROOT / "policies" / "clocks.toml").read_text(encoding="utf-8")).rules

    found = {urgency: rules[clock][-1] for urgency, clock in LOOKUP_CLOCKS.items()}
    assert {urgency: rule.amount * MINUTE for urgency, rule in found.items()} == {
        Urgency.URGENT: 10 * MINUTE,
        Urgency.ROUTINE: HOUR,
    }
    assert {rule.on_breach for rule in found.values()} == {"escalate"}


@pytest.mark.parametrize(("time", "urgency"), [(5 * MINUTE, Urgency.URGENT), (HOUR, Urgency.ROUTINE)])
def test_urgency_of_a_statement_is_read_from_its_life(now, time, urgency):
    """The side asked knows how urgent it is by how long the statement lives, beside what the agreement calls urgent."""
    assert urgency_of(now, now + time, urgent=5 * MINUTE) is urgency


def test_entry_is_kept_as_it_is(entry, now):
    """Encoded and decoded again, whatever happened to it."""
    ended = replace(
        entry, status=IntakeStatus.ANSWERED, reminded=now, escalated=now + MINUTE, answered_by="officer-1",
        act_id="a", reply_id="b", hit=False, released=frozenset({"status"}), fields=frozenset({"status", "sex"}),
    )  # fmt: skip

    for each in (entry, ended):
        assert decode(IntakeEntry, encode(each)) == each
        assert NUMBER not in repr(each)


@pytest.mark.parametrize(
    "changes", [{"status": "lost"}, {"urgency": "soon"}, {"fields": "status"}, {"asker": "police"}, {"more": "x"}]
)
def test_entry_of_another_form_is_refused(entry, changes):
    """What the store gives back is read as strictly as anything."""
    value = decode_canonical(encode(entry), what="entry")

    with pytest.raises(MalformedError):
        decode(IntakeEntry, encode_canonical({**value, **changes}))


def test_entry_waits_until_its_last_moment(entry):
    """To the millisecond; after it nobody answers."""
    assert verify_waiting(entry, entry.due) is entry
    with pytest.raises(RuleError, match="INTAKE_EXPIRED"):
        verify_waiting(entry, entry.due + timedelta(milliseconds=1))


@pytest.mark.parametrize("status", [IntakeStatus.ANSWERED, IntakeStatus.REFUSED, IntakeStatus.EXPIRED])
def test_entry_that_ended_waits_no_more(entry, now, status):
    """It ends once, and the error says how."""
    with pytest.raises(RuleError, match=f"INTAKE_{status.name}"):
        verify_waiting(replace(entry, status=status), now)


def test_second_and_escalation_come_at_half_and_three_quarters(now):
    """Or a quarter of the clock after a second request that came early."""
    due = now + HOUR

    assert reminder_due(now, due) == now + 30 * MINUTE
    assert escalation_due(now, due, None) == now + 45 * MINUTE
    assert escalation_due(now, due, now + 30 * MINUTE) == now + 45 * MINUTE
    assert escalation_due(now, due, now + 5 * MINUTE) == now + 20 * MINUTE
    assert escalation_due(now, due, now + 59 * MINUTE) == now + 45 * MINUTE


def test_inbox_shows_what_needs_a_person_most_first(entry, now):
    """Second requests and escalated ones, then urgent ones, then by time."""
    urgent = replace(entry, urgency=Urgency.URGENT, due=now + 10 * MINUTE)
    asked_again = replace(entry, reminded=now)
    escalated = replace(entry, escalated=now, due=now + 2 * HOUR)
    sooner = replace(entry, due=now + 20 * MINUTE)

    ordered = sorted([entry, sooner, escalated, urgent, asked_again], key=place_of)

    assert ordered == [asked_again, escalated, urgent, sooner, entry]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (NUMBER, "361123" + "*" * 12),
        ("urn:permit:330822:2026:000123", "urn:permit:330822:2026:******"),
        ("abc", "abc"),
        ("", ""),
    ],
)
def test_mask_person_leaves_the_place(text, masked):
    """Where the number or the record is from, and nothing of whose it is."""
    assert mask_person(text) == masked


@given(st.timedeltas(timedelta(hours=-2), timedelta(hours=2)))
def test_reply_never_outlives_its_request_but_by_the_clocks_tolerance(left):
    """Never without life, never longer than the request is waited for."""
    now = datetime(2026, 11, 23, 8, tzinfo=UTC)

    life = reply_lifetime(now + left, now, MINUTE)

    assert life == max(left, timedelta(0)) + MINUTE


def test_what_an_officer_signs_at_the_desk_is_one_act_on_one_request():
    """A signature to release does not refuse, nor release another request, other fields, or for another officer."""
    office, other = parse_agency_id("zhejiang/330112/police"), parse_agency_id("zhejiang/330822/police")
    released = {
        release_bytes(agency, officer, request_id=request, fields=fields)
        for agency in (office, other)
        for officer in ("officer-1", "officer-2")
        for request in ("r-1", "r-2")
        for fields in (frozenset[str](), frozenset({"status"}), frozenset({"status", "holder_name"}))
    }
    refused = {
        refuse_bytes(office, "officer-1", request_id=request, reason=reason, words=words)
        for request in ("r-1", "r-2")
        for reason in ("other", "too_broad")
        for words in ("a", "b")
    }
    assert (len(released), len(refused), released & refused) == (24, 8, set())
