"""The residence permit, article by article of decree 663."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.domain.clock import add_months
from federation.domain.permits import (
    Paper,
    PermitStatus,
    RevokeReason,
    endorse_permit,
    endorsement_opens,
    find_faults_in,
    format_permit_urn,
    next_full_year,
    normalise_permit_urn,
    parse_permit_urn,
    register_permit,
    restore_permit,
    revoke_permit,
    status_on,
    suspend_permit,
    urn_division,
)
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import replace

URN = format_permit_urn("330822", 2025, serial="000123")
ISSUED = date(2025, 8, 12)


STEPS = {
    "endorse": lambda permit, today: endorse_permit(permit, today=today),
    "suspend": lambda permit, today: suspend_permit(permit, today=today),
    "restore": lambda permit, today: restore_permit(permit, today=today),
}


def refusal(step):
    """The reason with which a step is refused."""
    with pytest.raises(RuleError) as caught:
        step()
    return caught.value


def test_register_permit_counts_from_the_issue_day(application):
    """Version 1, valid, endorsed until the first full year."""
    permit = register_permit(application, URN, today=ISSUED)
    assert (permit.version, permit.status, permit.holder) == (1, PermitStatus.VALID, application.holder)
    assert (permit.issue_date, permit.counted_from, permit.endorsed_until) == (ISSUED, ISSUED, date(2026, 8, 12))


def test_register_permit_half_year_is_counted_to_acceptance(application):
    """Article 2: half a year to the day is enough, one day less is not."""
    enough = replace(application, residence_since=date(2025, 2, 4))
    short = replace(application, residence_since=date(2025, 2, 5))
    assert register_permit(enough, URN, today=ISSUED).version == 1
    error = refusal(lambda: register_permit(short, URN, today=ISSUED))
    assert (error.reason, "article 2" in error.message) == ("RESIDENCE_TOO_SHORT", True)


def test_register_permit_with_the_household_there_is_refused(application):
    """Article 2: who never left the household place needs no permit."""
    holder = replace(application.holder, household_division="330822")
    error = refusal(lambda: register_permit(replace(application, holder=holder), URN, today=ISSUED))
    assert error.reason == "HOUSEHOLD_NOT_LEFT"


def test_register_permit_tells_all_missing_papers_at_once(application):
    """Article 9: one answer names everything, papers and empty fields alike."""
    holder = replace(application.holder, name="", household_address="")
    poor = replace(application, holder=holder, papers=frozenset({Paper.IDENTITY_CARD}), residence_address="")
    error = refusal(lambda: register_permit(poor, URN, today=ISSUED))
    assert error.reason == "PAPERS_MISSING"
    assert str(error.facts["missing"]).split(", ") == [
        "ground_proof", "photo", "residence_proof", "holder_name", "household_address", "residence_address",
    ]  # fmt: skip
    chinese, english = error.message.split(" | ")
    assert "还缺就业、住所或就读证明、相片、居住地住址证明、" in chinese
    assert "a proof of job, dwelling or study, a photo, a proof of the address, " in english


def test_find_faults_in_a_part_judges_by_what_is_there_alone():
    """Each rule by its own fields: an absent one is no fault, and hides none of the others."""
    late = {"residence_since": date(2025, 8, 1), "apply_date": date(2026, 1, 2), "accept_date": date(2026, 1, 1)}
    child = {"birth_date": date(2215, 1, 1), "guardian": False, "apply_date": date(2026, 1, 1)}
    same = {"household_division": "330822", "residence_division": "330822"}

    def found(given):
        return [fault.reason for fault in find_faults_in(given, today=ISSUED)]

    assert found(late | child | same) == [
        "GUARDIAN_REQUIRED", "HOUSEHOLD_NOT_LEFT", "RESIDENCE_TOO_SHORT", "PERMIT_DATES",
    ]  # fmt: skip
    assert found({"papers": frozenset(), "guardian": False}) == ["PAPERS_MISSING"]
    assert [found({name: value}) for name, value in (late | child | same).items()] == [[]] * 7
    assert found({}) == []


def test_register_permit_tells_all_that_the_law_does_not_allow_at_once(application):
    """Papers, half a year and the order of the days, in both languages; nobody comes back for each."""
    poor = replace(
        application, papers=frozenset({Paper.PHOTO}), residence_since=date(2025, 8, 1), apply_date=date(2026, 1, 1)
    )
    error = refusal(lambda: register_permit(poor, URN, today=ISSUED))
    chinese, english = error.message.split(" | ")
    assert (error.reason, chinese.count("；"), english.count("; ")) == ("PAPERS_MISSING", 2, 2)
    assert "居住不满半年" in chinese
    assert "in this order" in english


@pytest.mark.parametrize(("born", "guardian", "reason"), [
    (date(2209, 8, 2), False, "GUARDIAN_REQUIRED"),
    (date(2209, 8, 1), False, None),
    (date(2209, 8, 2), True, None),
    (date(2140, 1, 1), True, None),
])  # fmt: skip
def test_register_permit_under_16_needs_a_guardian(application, born, guardian, reason):
    """Article 9: below 16 at the application a guardian applies; for older people one may."""
    papers = frozenset(Paper) if guardian else application.papers
    holder = replace(application.holder, birth_date=born)
    child = replace(application, holder=holder, guardian=guardian, papers=papers)
    if reason:
        assert refusal(lambda: register_permit(child, URN, today=ISSUED)).reason == reason
    else:
        assert register_permit(child, URN, today=ISSUED).guardian is guardian


def test_register_permit_by_guardian_needs_both_identities(application):
    """Article 9: whoever applies for another shows an identity card, too."""
    error = refusal(lambda: register_permit(replace(application, guardian=True), URN, today=ISSUED))
    assert error.facts["missing"] == "guardian_identity"


@pytest.mark.parametrize(
    "changes",
    [{"accept_date": date(2025, 8, 13)}, {"apply_date": date(2025, 8, 5)}],
)
def test_register_permit_with_days_out_of_order_is_refused(application, changes):
    """Nothing is accepted before it was applied for, nor issued before it was accepted."""
    assert refusal(lambda: register_permit(replace(application, **changes), URN, today=ISSUED)).reason == "PERMIT_DATES"


def test_register_permit_after_the_15_days_still_issues(application):
    """Article 9 binds the authority: a late card is late, and the citizen gets it."""
    assert register_permit(application, URN, today=date(2025, 9, 30)).issue_date == date(2025, 9, 30)


@pytest.mark.parametrize(
    ("today", "standing"),
    [
        ("2025-08-12", PermitStatus.VALID),
        ("2026-07-11", PermitStatus.VALID),
        ("2026-07-12", PermitStatus.ENDORSEMENT_OPEN),
        ("2026-08-12", PermitStatus.ENDORSEMENT_OPEN),
        ("2026-08-13", PermitStatus.SUSPENDED),
    ],
)
def test_status_on_is_derived_from_the_dates(permit, today, standing):
    """Article 10: open in the month before the full year, suspended after it."""
    assert status_on(permit, date.fromisoformat(today)) is standing


def test_endorse_permit_in_its_month_adds_a_year(permit):
    """Article 10: the next full year counts from the first day, not from the endorsement."""
    once = endorse_permit(permit, today=date(2026, 7, 12))
    twice = endorse_permit(once, today=date(2027, 8, 12))
    assert (once.version, once.endorsed_until) == (2, date(2027, 8, 12))
    assert (twice.version, twice.endorsed_until, len(twice.endorsements)) == (3, date(2028, 8, 12), 2)
    assert twice.counted_from == permit.counted_from


@pytest.mark.parametrize(
    ("today", "reason"), [("2026-07-11", "ENDORSEMENT_TOO_EARLY"), ("2026-08-13", "ENDORSEMENT_LATE")]
)
def test_endorse_permit_outside_its_month_is_refused(permit, today, reason):
    """Article 10: neither before the last month nor after the full year."""
    error = refusal(lambda: endorse_permit(permit, today=date.fromisoformat(today)))
    assert (error.reason, "article 10" in error.message) == (reason, True)


def test_endorse_permit_twice_in_one_month_is_refused(permit):
    """One endorsement a year."""
    once = endorse_permit(permit, today=date(2026, 8, 1))
    assert refusal(lambda: endorse_permit(once, today=date(2026, 8, 2))).reason == "ENDORSEMENT_TOO_EARLY"


def test_suspend_permit_when_late_then_restore_counts_anew(permit):
    """Article 10: a late endorsement restores the card, and the years count from that day."""
    suspended = suspend_permit(permit, today=date(2026, 8, 13))
    restored = restore_permit(suspended, today=date(2026, 10, 5))
    assert (suspended.version, suspended.status) == (2, PermitStatus.SUSPENDED)
    assert (restored.version, restored.status) == (3, PermitStatus.VALID)
    assert (restored.counted_from, restored.endorsed_until) == (date(2026, 10, 5), date(2027, 10, 5))
    assert restored.endorsements[-1].late


def test_suspend_permit_in_time_is_refused(permit):
    """Nobody is suspended on the full-year day itself."""
    assert refusal(lambda: suspend_permit(permit, today=date(2026, 8, 12))).reason == "ENDORSEMENT_NOT_LATE"


def test_suspend_permit_twice_is_refused(permit):
    """A suspension is recorded once."""
    suspended = suspend_permit(permit, today=date(2026, 9, 1))
    assert refusal(lambda: suspend_permit(suspended, today=date(2026, 9, 2))).reason == "PERMIT_SUSPENDED"


def test_restore_permit_does_not_need_a_recorded_suspension(permit):
    """Late is late, whether or not somebody wrote it down; a permit in time has nothing to restore."""
    assert restore_permit(permit, today=date(2026, 9, 1)).version == 2
    assert refusal(lambda: restore_permit(permit, today=date(2026, 8, 12))).reason == "PERMIT_NOT_SUSPENDED"


def test_ended_permit_takes_no_further_step(permit):
    """Revoked (注销) and replaced permits stay as they are."""
    revoked = revoke_permit(permit, RevokeReason.LEFT, today=date(2026, 1, 5))
    replaced = replace(permit, status=PermitStatus.REPLACED)
    assert (revoked.status, revoked.revoke_reason, revoked.ended_on) == ("revoked", "left", date(2026, 1, 5))
    for ended in (revoked, replaced):
        assert status_on(ended, date(2030, 1, 1)) is ended.status
        for step in (
            lambda ended=ended: endorse_permit(ended, today=date(2026, 7, 20)),
            lambda ended=ended: suspend_permit(ended, today=date(2026, 9, 1)),
            lambda ended=ended: restore_permit(ended, today=date(2026, 9, 1)),
            lambda ended=ended: revoke_permit(ended, RevokeReason.FRAUD, today=date(2026, 9, 1)),
        ):
            assert refusal(step).reason == "PERMIT_ENDED"


def test_permit_is_frozen_and_hides_its_holder(permit):
    """A permit is a value, and its text names nobody."""
    with pytest.raises(AttributeError):
        permit.version = 2
    assert permit.holder.name not in repr(permit)
    assert permit.holder.citizen_number not in repr(permit)


def test_next_full_year_does_not_drift_from_the_leap_day():
    """Issued on 29 February, full on 28 February of common years, and on the 29th again."""
    first = date(2024, 2, 29)
    years = [add_months(first, 12)]
    while len(years) < 4:
        years.append(next_full_year(first, years[-1]))
    assert years == [date(2025, 2, 28), date(2026, 2, 28), date(2027, 2, 28), date(2028, 2, 29)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 420))))
def test_versions_only_grow_by_one_at_every_step(permit, steps):
    """Whatever happens in whatever order: a step gives the next version, or is refused and changes nothing."""
    today = ISSUED
    for name, days in steps:
        today += timedelta(days=days)
        try:
            following = STEPS[name](permit, today)
        except RuleError:
            continue
        assert following.version == permit.version + 1
        assert following.endorsed_until >= permit.endorsed_until
        assert endorsement_opens(following.endorsed_until) < following.endorsed_until
        permit = following


@given(
    division=st.from_regex(r"[0-9]{6}", fullmatch=True),
    year=st.integers(0, 9999),
    serial=st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=20),
)
def test_permit_urn_parses_what_it_formats(division, year, serial):
    """The issuing county stays readable in the name."""
    urn = format_permit_urn(division, year, serial=serial)
    assert parse_permit_urn(urn) == urn
    assert urn_division(urn) == division
    assert {normalise_permit_urn(each) for each in (urn, urn.upper(), urn.lower(), urn.title())} == {urn}


@pytest.mark.parametrize(
    "text", ["浙H·I0001", "urn:isbn:x", "", " urn:permit:330822:2026:1a", "urn-permit:330822:2026:1a"]
)
def test_normalise_permit_urn_leaves_other_names_alone(text):
    """A plate, a code, another namespace: no letter of it is changed."""
    assert normalise_permit_urn(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "urn:permit:330822:2026:", "urn:permit:33082:2026:0001", "urn:permit:330822:26:000001", "URN:permit:330822:2026:1",
        "urn:permit:330822:2026:00a1", "urn:permit:330822:2026:00 1", "urn:permit:330822:2026:00:1", "urn:permit:330822:2026:１",
        "urn:permit:33O822:2026:1", "urn:permit:330822-2026:1", "urn:permit:330822:2026-1", "urn:permit:330822:2026:" + "1" * 21,
        "urn:permit:330822:2026:1\n",
    ],
)  # fmt: skip
def test_parse_permit_urn_refuses_other_forms(text):
    """One written form only."""
    with pytest.raises(MalformedError) as caught:
        parse_permit_urn(text)
    assert caught.value.reason == "PERMIT_URN"
