"""What an agreement must keep of the one before, when a province leaves and when it comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.trust import MessageKey, message_keys_at, past_keys, withheld
from federation.protocol.trust.draft import draft_files
from federation.protocol.trust.members import FormerMember, Membership, RetiredLog, decode_members, encode_members
from federation.protocol.trust.succession import (
    EXERCISE,
    KEPT,
    StandingChanges,
    former_after,
    retire_member,
    verify_succession,
)
from tests.protocol.trust.four import (
    ANHUI,
    FEDERATION,
    FUJIAN,
    JIANGXI,
    NODES,
    NOW,
    POLICIES,
    TERMS,
    ZHEJIANG,
    Plan,
    build,
    bundle,
    load,
    member,
    signer,
)

MEMBERS = {node: member(node) for node in NODES}
THREE = {node: MEMBERS[node] for node in NODES if node != FUJIAN}
FORMER = retire_member(MEMBERS[FUJIAN], last_agreement=1, now=NOW)
FOUR_STAND = Membership(members=MEMBERS, former={})
THREE_STAND = Membership(members=THREE, former={FUJIAN: FORMER})
NEW_KEY = MessageKey(key=signer(FUJIAN, "next").public_key, valid_from=NOW)


def verify(after: Membership, before: Membership, *, version: int = 1, later: timedelta = timedelta(0)) -> None:
    verify_succession(after, before, last_agreement=version, now=NOW + later)


def three(former: FormerMember) -> Membership:
    return Membership(members=THREE, former={FUJIAN: former})


def test_expelled_stays_as_former_member_and_comes_back_with_its_keys() -> None:
    """Out, for five years and a version more, and in again: nothing that it signed loses its key."""
    assert former_after(FOUR_STAND, frozenset(THREE), last_agreement=1, now=NOW) == {FUJIAN: FORMER}
    verify(THREE_STAND, FOUR_STAND)
    verify(THREE_STAND, THREE_STAND, version=2, later=timedelta(days=1000))
    verify(FOUR_STAND, THREE_STAND, version=2)
    with_new = replace(MEMBERS[FUJIAN], message_keys=(*MEMBERS[FUJIAN].message_keys, NEW_KEY))
    verify(Membership(members={**MEMBERS, FUJIAN: with_new}, former={}), THREE_STAND, version=2)


def test_former_member_may_be_dropped_when_its_time_is_over() -> None:
    """As long as a message key, and no longer."""
    later = KEPT + timedelta(days=1)

    verify(Membership(members=THREE, former={}), THREE_STAND, version=2, later=later)
    assert former_after(THREE_STAND, frozenset(THREE), last_agreement=2, now=NOW + later) == {}


@pytest.mark.parametrize(
    ("after", "before"),
    [
        (Membership(members=THREE, former={}), FOUR_STAND),
        (Membership(members=THREE, former={}), THREE_STAND),
        (three(replace(FORMER, message_keys=(NEW_KEY,))), FOUR_STAND),
        (three(replace(FORMER, message_keys=(*FORMER.message_keys, NEW_KEY))), THREE_STAND),
        (three(replace(FORMER, log_vkey=MEMBERS[ANHUI].log_vkey)), FOUR_STAND),
        (three(replace(FORMER, last_agreement=7)), FOUR_STAND),
        (three(replace(FORMER, last_agreement=7)), THREE_STAND),
        (three(replace(FORMER, ended=NOW - KEPT)), FOUR_STAND),
        (three(replace(FORMER, ended=NOW + timedelta(days=2))), FOUR_STAND),
        (THREE_STAND, Membership(members=THREE, former={})),
    ],
    ids=[
        "expelled and dropped", "dropped later", "other keys", "a key added later", "another log", "another end",
        "an end that moves", "an end long ago", "an end to come", "one who never was a member",
    ],
)  # fmt: skip
def test_draft_that_bends_a_former_member_refused(after: Membership, before: Membership) -> None:
    """Neither the author of a draft nor three of four may rewrite whose signature an old message bears."""
    with pytest.raises(RuleError) as refusal:
        verify(after, before)

    assert refusal.value.reason == "FORMER_MEMBER_DROPPED"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"message_keys": (NEW_KEY,)}, "MESSAGE_KEY_DROPPED"),
        ({"log_vkey": MEMBERS[FUJIAN].log_vkey.replace("2026", "2027")}, "LOG_DROPPED"),
    ],
)
def test_admission_again_without_the_old_keys_refused(changes: dict, reason: str) -> None:
    """Whoever comes back answers for what it signed before."""
    back = Membership(members={**MEMBERS, FUJIAN: replace(MEMBERS[FUJIAN], **changes)}, former={})

    with pytest.raises(RuleError) as refusal:
        verify(back, THREE_STAND, version=2)

    assert refusal.value.reason == reason


@pytest.mark.parametrize("change", [{"signed": 6}, {"size": 4}, {"vouched": ""}, {"root": "b" * 64}])
def test_draft_that_states_anew_where_a_log_ended_is_refused(change: dict) -> None:
    """What three of four signed about a retired log stays: how far it had signed, and whose word that is."""
    log = RetiredLog(vkey="old+1+A", size=5, signed=9, root="a" * 64, retired=NOW, vouched="who")
    before, after, same = (
        Membership(members={**MEMBERS, FUJIAN: replace(MEMBERS[FUJIAN], retired_logs=(each,))}, former={})
        for each in (log, replace(log, **change), log)
    )

    verify(same, before)
    with pytest.raises(RuleError, match="LOG_DROPPED"):
        verify(after, before)


def agreement_of_three(former: FormerMember = FORMER, *, version: int = 2):
    bundles = tuple(bundle(node) for node in THREE)
    files = draft_files(bundles, terms=TERMS, policies=POLICIES, former={former.node: former})
    signers = tuple((node, "agreement") for node in (ZHEJIANG, JIANGXI, ANHUI))
    return load(build(Plan(bundles=bundles, files=files, version=version, signers=signers)))


def test_past_of_a_former_member_verifies_and_nothing_later() -> None:
    """Its keys count for what cites an agreement that it took part in; to receive from it, there are none."""
    agreement = agreement_of_three()
    keys = tuple(entry.key for entry in FORMER.message_keys)

    assert past_keys(agreement, FUJIAN, NOW, cited=1) == keys
    assert past_keys(agreement, FUJIAN, NOW, cited=2) == ()
    assert past_keys(agreement, FUJIAN, NOW - timedelta(days=2), cited=1) == ()
    assert message_keys_at(agreement, FUJIAN, NOW) == ()
    assert past_keys(agreement, ZHEJIANG, NOW, cited=2) == message_keys_at(agreement, ZHEJIANG, NOW) != ()


def test_former_member_that_ends_with_this_version_refused() -> None:
    """Who takes part is listed among the members."""
    with pytest.raises(MalformedError) as refusal:
        agreement_of_three(version=1)

    assert refusal.value.reason == "AGREEMENT_MEMBERS"


def test_key_of_a_former_member_used_elsewhere_refused() -> None:
    """One key speaks for one province, for ever."""
    taken = replace(FORMER, message_keys=MEMBERS[ZHEJIANG].message_keys)

    with pytest.raises(UntrustedError) as refusal:
        agreement_of_three(taken)

    assert refusal.value.reason == "AGREEMENT_KEY"


def test_members_file_keeps_former_members() -> None:
    """Encoding and decoding are inverse; a member is not a former one."""
    assert decode_members(encode_members(THREE_STAND), federation=FEDERATION) == THREE_STAND
    twice = encode_members(Membership(members=MEMBERS, former={FUJIAN: FORMER}))

    with pytest.raises(MalformedError) as refusal:
        decode_members(twice, federation=FEDERATION)

    assert refusal.value.reason == "AGREEMENT_MEMBERS"


DAY, REPORT = timedelta(days=1), "ab" * 32
NEW = replace(MEMBERS[FUJIAN], exercise_until=NOW + EXERCISE)
NEW_STANDS = Membership(members={**THREE, FUJIAN: NEW}, former={})


def with_new(**changes: object) -> Membership:
    return Membership(members={**THREE, FUJIAN: replace(NEW, **changes)}, former={})


def test_new_member_begins_with_exercises_and_becomes_actual_after_its_day_by_a_report() -> None:
    """Thirty days from the draft, a week of which may go by until it is signed; then all, with a report's digest."""
    strangers = Membership(members=THREE, former={})
    member = StandingChanges().of(MEMBERS[FUJIAN], None, now=NOW)
    assert member == NEW
    verify(NEW_STANDS, strangers, later=6 * DAY)
    verify(NEW_STANDS, NEW_STANDS, later=40 * DAY)
    actual = StandingChanges(actual={FUJIAN: REPORT}).of(MEMBERS[FUJIAN], NEW, now=NOW)
    assert (actual.exercise_until, actual.conformance) == (None, REPORT)
    verify(with_new(exercise_until=None, conformance=REPORT), NEW_STANDS, later=EXERCISE)
    verify(with_new(exercise_until=NOW + 2 * EXERCISE), NEW_STANDS)


@pytest.mark.parametrize(
    ("after", "before", "later", "reason"),
    [
        (FOUR_STAND, Membership(members=THREE, former={}), timedelta(0), "EXERCISE_SHORT"),
        (with_new(exercise_until=NOW + DAY), Membership(members=THREE, former={}), timedelta(0), "EXERCISE_SHORT"),
        (NEW_STANDS, Membership(members=THREE, former={}), 8 * DAY, "EXERCISE_SHORT"),
        (with_new(exercise_until=None, conformance=REPORT), NEW_STANDS, EXERCISE - DAY, "EXERCISE_SHORT"),
        (with_new(exercise_until=NOW + DAY), NEW_STANDS, timedelta(0), "EXERCISE_SHORT"),
        (with_new(exercise_until=None), NEW_STANDS, EXERCISE, "CONFORMANCE_MISSING"),
        (FOUR_STAND, three(replace(FORMER, exercise_until=NOW + EXERCISE)), DAY, "EXERCISE_SHORT"),
    ],
    ids=["at once", "too short", "drafted long ago", "before its day", "shortened", "no report", "expelled in between"],
)
def test_more_than_exercises_before_time_or_without_a_report_refused(
    after: Membership, before: Membership, later: timedelta, reason: str
) -> None:
    """Nobody signs it, whoever drafted it; expelling and admitting again is no way around."""
    with pytest.raises(RuleError) as refusal:
        verify(after, before, later=later)
    assert refusal.value.reason == reason


def test_member_says_nothing_of_its_own_standing() -> None:
    """A bundle that calls itself actual, or no more suspended, changes nothing; three of four do."""
    suspended = replace(NEW, suspended_since=NOW)
    itself = replace(MEMBERS[FUJIAN], exercise_until=None, suspended_since=None, conformance=REPORT)

    assert StandingChanges().of(itself, suspended, now=NOW + DAY) == suspended
    assert StandingChanges(suspend=[FUJIAN]).of(itself, suspended, now=NOW + DAY) == suspended
    assert StandingChanges(lift=[FUJIAN]).of(itself, suspended, now=NOW + DAY) == NEW


def test_withheld_between_members() -> None:
    """A suspension of one of two outweighs exercises; between the others all passes."""
    agreement = load(build(Plan()))
    limited = replace(agreement.members[FUJIAN], exercise_until=NOW)
    exercises = replace(agreement, members={**agreement.members, FUJIAN: limited})
    both = replace(exercises, members={**exercises.members, ANHUI: replace(MEMBERS[ANHUI], suspended_since=NOW)})

    assert withheld(agreement, ZHEJIANG, FUJIAN) == ""
    assert withheld(exercises, ZHEJIANG, FUJIAN) == "EXERCISE_ONLY"
    assert withheld(exercises, ZHEJIANG, JIANGXI) == ""
    assert withheld(both, FUJIAN, ANHUI) == "MEMBER_SUSPENDED"
