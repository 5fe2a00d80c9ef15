"""The fold of a joint case: what holds of any entries whatever, and what is offered."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import federation.domain.joint_case as page
import federation.domain.joint_clocks as clocks
from federation.domain.acts import ACTS, COMMON
from federation.domain.joint import NoEffect
from federation.domain.joint_case import advance, fold, step
from federation.domain.joint_offers import REASONS, offered
from federation.domain.joint_state import Case, Grown, GrownMap
from federation.protocol.form import replace
from federation.protocol.ids import format_time
from tests.domain.case_builder import MONDAY, RECORD, CaseBuilder, digest
from tests.domain.test_dispute_mediation import (
    DESKS,
    MEDIATORS,
    RULES,
    TEXT,
    agree,
    archive,
    assign,
    choose,
    confirmation,
    investigate,
    invite,
    register,
)


def straight():
    """The entries of a case from its opening to its close, with a withdrawn route, ties and clocks on the way."""
    case = CaseBuilder(RULES, DESKS)
    case.does(
        "town",
        "open",
        procedure="dispute-mediation",
        agreement=1,
        role="town",
        division="330822",
        stage="registration",
        source="court",
        received=format_time(MONDAY),
    )
    register(case)
    proposed = assign(case)
    tie = case.does("peer_body", "declare_tie", who=MEDIATORS[1], tie="clan", items=("tie",))
    case.does("town", "accept_tie", about=tie.name, on_behalf="p1")
    case.does("peer", "accept_tie", about=tie.name, on_behalf="p2")
    choose(case, proposed)
    investigate(case)
    agree(case)
    confirmation(case)
    for desk, party in (("town", "p1"), ("peer", "p2")):
        case.does(desk, "apply_confirmation", court=str(case.desks["court"]), on_behalf=party)
    case.does("court", "accept_application", number="1号", filed="2026-12-13")
    case.does("court", "decide_confirmation", result="confirmed", number="1号")
    case.does("town", "move", to="performance")
    case.day(30).does("village", "record_payment", obligation="o1", sum=300_000, day="2027-01-15")
    case.does("village", "record_performance", obligation="o1", day="2027-01-15")
    case.does("village", "move", to="follow_up")
    archive(case, "settled_confirmed")
    return case


CASE = straight()
ENTRIES = CASE.entries
VALUES = {
    "word": ("p1", "p2", "o1", "town", "peer", "body", "acceptance", "mediation", "agreement", "withdrawn", "x"),
    "clock": tuple(CASE.case.clocks),
    "purpose": ("lookup.identity_check",),
    "text": ("x",),
    "number": (0, 1, 2**53 - 1),
    "fen": (0, 300_000, 2**53 - 1),
    "day": ("2026-12-13", "0001-01-01", "9999-12-31"),
    "past": ("2026-12-13", "0001-01-01", "9999-12-31"),
    "time": (format_time(MONDAY), *(format_time(each.due) for each in CASE.case.clocks.values() if each.due)),
    "digest": (TEXT, digest("other")),
    "entry": tuple(entry.name for entry in ENTRIES),
    "record": (RECORD,),
    "agency": tuple(DESKS.values()),
    "officer": MEDIATORS,
    "division": ("330822",),
    "code": ("1" * 17,),
    "cut": ("zhejiang:1",),
}


@st.composite
def strange(draw):
    """An entry of the right form, by anybody, with any act and any values of its types."""
    act = draw(st.sampled_from([*ACTS.values(), ACTS["move"], ACTS["close"]]))
    chosen = [field for field in (*act.fields, *COMMON) if field.required or draw(st.booleans())]
    fields = {}
    for field in chosen:
        values = tuple(field.words) or VALUES[field.type]
        if field.name in ("to", "from", "stage"):
            values = tuple(RULES.procedure.stages)
        if field.name == "outcome":
            values = tuple(end.id for end in RULES.procedure.outcome)
        one = draw(st.sampled_from(sorted(values, key=str)))
        fields[field.name] = (one,) if field.is_list else one
    of = draw(st.sampled_from(ENTRIES))
    at = draw(st.sampled_from([MONDAY, MONDAY + timedelta(days=90), MONDAY.replace(year=1), MONDAY.replace(year=9999)]))
    officer = draw(st.sampled_from([None, "o-1", "m-1"]))
    head = replace(of.head, act=act.name, fields=fields, at=at, officer=officer, items=())
    return replace(of, name=digest(draw(st.integers())), head=head)


@st.composite
def histories(draw):
    """The straight case with entries left out, repeated, moved, and strange ones between them."""
    entries = list(ENTRIES[: draw(st.integers(1, len(ENTRIES)))])
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(entries)))
        entries.insert(at, draw(st.one_of(strange(), st.sampled_from(ENTRIES))))
    for _ in range(draw(st.integers(0, min(2, len(entries))))):
        entries.pop(draw(st.integers(0, len(entries) - 1)))
    return entries


@settings(max_examples=200, deadline=None)
@given(histories())
def test_no_entry_stops_the_fold_and_every_stage_was_entered_by_its_conditions(entries):
    """Never raises; each entry has effect or stays visible with a reason in words; a stage is reached by `enter` alone."""
    case = Case(rules=RULES)
    for entry in entries:
        found = advance(case, entry)
        if isinstance(found, NoEffect):
            assert found.reason in REASONS
            after = step(case, entry)
            assert after.without_effect == (*case.without_effect, (entry, found))
            assert replace(after, without_effect=case.without_effect) == case
        else:
            after = found
            assert after.at == case.at + 1
            if case.closed:
                assert ACTS[entry.head.act].when_closed
                assert (after.stage, after.outcome, after.members) == (case.stage, case.outcome, case.members)
            if after.stage != case.stage:
                assert entry.head.act in ("open", "move")
                before = after if entry.head.act == "open" else replace(case, moment=entry.head.at)
                assert not before.missing(RULES.procedure.stages[after.stage].enter)
        case = after
    assert case == fold(RULES, entries)
    assert sum(map(len, case.done.values())) + len(case.without_effect) == len(entries)


@settings(max_examples=100, deadline=None)
@given(histories(), st.sampled_from(sorted(DESKS)))
def test_what_is_offered_is_judged_as_an_entry_is(entries, desk):
    """A way that is offered has effect when it is gone; one that is not has the reason that was shown."""
    case = fold(RULES, entries)
    builder = CaseBuilder(RULES, DESKS)
    builder.case, builder.entries = case, list(entries)
    builder.now = max((entry.head.at for entry in entries), default=builder.now)
    agency = builder.desks[desk]
    for offer in offered(case, agency, "o-9", now=builder.now):
        if offer.act in ("move", "close"):
            field = "to" if offer.act == "move" else "outcome"
            found = advance(case, builder.make(desk, offer.act, officer="o-9", reason="x", **{field: offer.to}))
            assert offer.open == isinstance(found, Case), (offer, found)
            assert offer.open or offer.refused == found
        elif not ACTS[offer.act].of_party:
            entry = builder.make(desk, offer.act, officer="o-9", **filled(ACTS[offer.act]))
            assert offer.open or isinstance(advance(case, entry), NoEffect)


def filled(act):
    required = [field for field in act.fields if field.required]
    values = {field.name: min(map(str, field.words)) if field.words else VALUES[field.type][0] for field in required}
    return {field.name: (values[field.name],) if field.is_list else values[field.name] for field in required}


def test_the_straight_case_had_no_entry_without_effect():
    """Or the histories above would be of a case that goes nowhere."""
    assert CASE.case.closed
    assert not CASE.case.without_effect


def test_every_reason_has_its_words():
    """A reason that somebody meets is said in both languages."""
    said = set()
    for module in (page, clocks):
        said |= set(re.findall(r'reason="([A-Z_]+)"', Path(module.__file__).read_text("utf-8")))
    assert said <= REASONS.keys()


def test_what_grows_is_as_if_it_were_copied():
    """Every length stays what it was, whatever came after it, and whatever went on from it another way."""
    grown, mapped, before = Grown(), GrownMap(), []
    for number in range(400):
        before.append((grown, mapped))
        grown.plus("aside"), mapped.plus(number, "aside")  # as an act that is tried and not written
        grown, mapped = grown.plus(number), mapped.plus(number % 300, number)
    for length, (longer, named) in enumerate(before):
        expected, values = tuple(range(length)), {number % 300: number for number in range(length)}
        assert (longer, tuple(longer), len(longer)) == (expected, expected, length)
        assert (named, list(named.items()), len(named)) == (values, list(values.items()), len(values))
    assert (grown[0], grown[200], grown[-1], grown[-3:], 299 in mapped, 300 in mapped) == (
        0, 200, 399, (397, 398, 399), True, False,
    )  # fmt: skip
    assert grown != (*range(399), 0)
    assert grown != list(range(400))
    with pytest.raises(IndexError):
        grown[400]
    with pytest.raises(KeyError):
        mapped[300]


def test_an_entry_that_the_record_bars_is_without_effect():
    """What the record says of an entry outweighs the state."""
    [opening] = ENTRIES[:1]
    case = step(Case(rules=RULES), opening, "forked")
    assert not case.stage
    assert case.without_effect == ((opening, NoEffect(reason="forked")),)


@pytest.fixture
def opened():
    case = CaseBuilder(RULES, DESKS)
    case.does(
        "town", "open", procedure="dispute-mediation", agreement=1, role="town", division="330822", stage="registration"
    )
    return case


def test_a_case_is_opened_once_in_an_entry_stage_by_a_role_of_its_side(opened):
    """Also the first entry is judged."""
    said = {"procedure": "dispute-mediation", "agreement": 1, "role": "town", "division": "330822"}
    opened.cannot("town", "open", "OPENED_ALREADY", **said)
    fresh = CaseBuilder(RULES, DESKS)
    fresh.cannot("town", "note", "NOT_OPENED")
    fresh.cannot("town", "open", "NO_ENTRY_STAGE", **said, stage="mediation")
    fresh.cannot("town", "open", "CONDITION_MISSING", "source_named", **said, stage="screening")
    fresh.cannot("court", "open", "ROLE_NOT_THEIRS", **said, stage="registration")
    fresh.cannot("town", "open", "CODE_ELSEWHERE", **said, stage="registration", code="36112320260000010")
    fresh.does("town", "open", **said, stage="screening", source="patrol", code="33082220260000014")


def test_an_entry_of_a_long_case_copies_nothing_of_it(opened):
    """What one more entry makes anew is bounded, however many came before: the rest is the same objects."""
    shared = 0
    for _ in range(700):
        before = opened.case
        opened.does("town", "note", items=("note",))
        if "note" in before.done:
            shared += before.done["note"]._blocks is opened.case.done["note"]._blocks
            shared += before.named._old is opened.case.named._old
    assert shared > 2 * 690


def test_members_are_invited_by_the_lead_or_their_own_side(opened):
    """Nobody joins uninvited, in a role that is not theirs, or for the other side."""
    opened.cannot("peer", "note", "NOT_A_MEMBER")
    opened.cannot("town", "invite", "ROLE_NOT_THEIRS", agency=DESKS["peer"], role="court")
    opened.cannot("town", "invite", "ROLE_OF_OTHER_SIDE", agency=DESKS["police"], role="peer")
    opened.cannot("peer", "join", "NOT_A_MEMBER")
    invite(opened, "peer", "peer")
    opened.cannot("peer", "invite", "NOT_THEIRS_TO_INVITE", agency=DESKS["court"], role="court")
    invite(opened, "peer_court", "court", by="peer")
    opened.cannot("town", "invite", "DONE_ALREADY", agency=DESKS["peer"], role="peer")
    opened.cannot("town", "leave", "LEAD_STAYS", cut=("zhejiang:3",))
    opened.cannot("peer", "hand_over", "LEAD_ONLY", agency=DESKS["peer"], cut=("jiangxi:9",))
    opened.does("peer_court", "leave", cut=("jiangxi:4",))
    opened.cannot("peer_court", "note", "NOT_A_MEMBER")


def test_a_role_does_what_is_its_own(opened):
    """`by` narrows an act; a party's acts want the party."""
    invite(opened, "peer", "peer")
    opened.cannot("peer", "register", "ROLE_NOT_HERE", tags=("joint_mediate",), division="361123", line="B")
    opened.cannot("town", "withdraw", "ACT_FORM", "on_behalf")
    opened.cannot("town", "withdraw", "PARTY_UNKNOWN", on_behalf="p9")
    opened.cannot("town", "dance", "ACT_UNKNOWN")
    opened.cannot("town", "hear", "ACT_NOT_HERE", parties=("p1",), form="place")


def test_the_tier_rises_with_a_reason_and_the_lower_clock_goes_on(opened):
    """A case that was raised keeps the clock it had; the stage's own tier is its least."""
    register(opened)
    assert opened.case.tier == "T"
    clock = opened.case.clocks["dispute.accept"]
    opened.cannot("town", "lower", "TIER_NOT_SO", tier="T", reason_="x")
    opened.does("town", "raise", tier="J", reason="涉及两省")
    assert opened.case.tier == "J"
    assert opened.case.clocks["dispute.accept"] == clock
    assert (clock.tier, clock.runs) == ("V", True)
    opened.does("town", "lower", tier="C", reason="已具备条件")


def test_a_clock_is_extended_and_rests_as_its_row_says(opened):
    """What the table does not allow has no effect."""
    register(opened)
    opened.cannot("town", "extend", "EXTENSION_NOT_ALLOWED", clock="dispute.accept", by=3, reason_="x")
    opened.cannot("town", "suspend", "CLOCK_DOES_NOT_REST", clock="dispute.accept", why="appraisal")
    opened.cannot("town", "suspend", "CLOCK_NOT_RUNNING", clock="dispute.mediate", why="appraisal")
    choose(opened, assign(opened))
    investigate(opened)
    due = opened.case.clocks["dispute.mediate"].due
    opened.does("town", "suspend", clock="dispute.mediate", why="appraisal")
    assert opened.case.clocks["dispute.mediate"].due is None
    opened.cannot(None, "overdue", "CLOCK_NOT_OVER", clock="dispute.mediate", due=format_time(due), at=due)
    opened.day(7).does("town", "resume", clock="dispute.mediate")
    assert opened.case.clocks["dispute.mediate"].due == due + timedelta(days=7)
    opened.cannot("town", "resume", "CLOCK_NOT_RESTING", clock="dispute.mediate")
    opened.does("town", "extend", clock="dispute.mediate", by=30, reason="双方同意")
    opened.cannot("town", "extend", "EXTENSION_USED", clock="dispute.mediate", by=1, reason_="x")


def test_only_the_time_itself_is_written_and_once(opened):
    """`overdue` and `escalate` are for the very due time, by the node of the lead."""
    register(opened)
    due = opened.case.clocks["dispute.accept"].due
    opened.cannot(None, "escalate", "CLOCK_NOT_OVER", clock="dispute.accept", due=format_time(due))
    opened.cannot(
        None,
        "overdue",
        "CLOCK_NOT_OVER",
        clock="dispute.accept",
        due=format_time(due + timedelta(days=1)),
        at=due + timedelta(days=2),
    )
    opened.does(None, "overdue", clock="dispute.accept", due=format_time(due), at=due)
    opened.does(None, "escalate", clock="dispute.accept", due=format_time(due), at=due)
    opened.cannot(None, "floor_over", "CLOCK_NOT_OVER", clock="dispute.accept", due=format_time(due), at=due)
    opened.does("town", "accept")
    opened.cannot(None, "escalate", "CLOCK_NOT_RUNNING", clock="dispute.accept", due=format_time(due), at=due)


def test_offers_say_what_is_missing(opened):
    """A stage's own acts, its ways and their conditions, with the rule of each."""
    offers = {(offer.act, offer.to): offer for offer in offered(opened.case, opened.desks["town"], "o-1", now=MONDAY)}
    assert offers["register", ""].open
    assert offers["merge_accept", ""].refused.reason == "NOTHING_TO_ANSWER"
    assert "parties_named" in offers["move", "acceptance"].refused.missing
    assert offers["withdraw", ""].refused.reason == "PARTY_UNKNOWN"
    assert offers["close", "withdrawn"].refused.missing == ("withdrawal_recorded",)
    stranger = offered(opened.case, opened.desks["court"], "o-1", now=MONDAY)
    assert {offer.refused.reason for offer in stranger} <= {"NOT_A_MEMBER", "NOT_INVITED", "PARTY_UNKNOWN", "LEAD_ONLY"}


def test_what_answers_something_is_offered_when_there_is_something_to_answer(opened):
    """A tie to decide on, a clock that rests, a proposal to choose from: nothing of it, and no offer of it."""
    case = opened

    def may(desk, officer="o-9"):
        return {offer.act for offer in offered(case.case, case.desks[desk], officer, now=case.now) if offer.open}

    nothing = {"accept_tie", "decide_recusal", "resume", "suspend", "merge_accept", "join", "hand_over", "decline_task"}
    assert not may("town") & nothing
    register(case)
    proposed = assign(case)
    assert {"choose_mediator", "replace_mediator", "hand_over"} <= may("town") | may("body")
    case.cannot("town", "choose_mediator", "CITES_NOTHING", about=case.entries[0].name, on_behalf="p1")
    tie = case.does("peer_body", "declare_tie", who=MEDIATORS[1], tie="clan", items=("tie",))
    assert {"accept_tie", "decide_recusal"} <= may("town")
    assert "decide_recusal" in may("peer_body")
    assert "decide_recusal" not in may("peer_body", "m-2") | may("peer")
    case.does("town", "decide_recusal", about=tie.name, result="stays")
    assert not may("town") & {"accept_tie", "decide_recusal"}
    choose(case, proposed)
    investigate(case)
    assert "suspend" in may("body")
    assert "resume" not in may("body")
    case.does("body", "suspend", clock="dispute.mediate", why="appraisal")
    assert "resume" in may("body")
    assert "sign" not in may("body")
