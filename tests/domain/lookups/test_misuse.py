"""The limits on asking: how many look-ups, and about how many persons."""

import pytest

from federation.domain.lookups_case import (
    BulkRelease,
    LookupCounts,
    Quotas,
    bulk_bytes,
    countersign_bytes,
    sign_bulk,
    verify_countersigner,
    verify_quota,
)
from federation.protocol.errors import RuleError
from federation.protocol.form import replace

FULL = LookupCounts(officer_today=50, case_total=30, case_persons=10)


def test_quota_that_is_just_full_is_taken():
    """The last look-up within every limit goes through without a countersignature."""
    verify_quota(FULL, Quotas(), countersigned=False)


@pytest.mark.parametrize(
    ("count", "reason", "advice"),
    [
        ({"officer_today": 51}, "QUOTA_OFFICER", "tomorrow"),
        ({"case_total": 31}, "QUOTA_CASE", "two persons"),
        ({"case_total": 301}, "QUOTA_CASE_LIMIT", "open another one"),
        ({"case_persons": 11}, "QUOTA_PERSONS", "countersign"),
    ],
)
def test_quota_that_is_exceeded_is_refused_with_advice(count, reason, advice):
    """One more than the limit is refused, and the message says what to do."""
    with pytest.raises(RuleError, match=advice) as caught:
        verify_quota(replace(FULL, **count), Quotas(), countersigned=False)
    assert caught.value.reason == reason


def test_countersignature_lifts_the_number_of_persons():
    """The leader may let a case reach further persons."""
    verify_quota(replace(FULL, case_persons=25), Quotas(), countersigned=True)


@pytest.mark.parametrize("count", [{"officer_today": 51}, {"case_total": 31}])
def test_countersignature_lifts_nothing_else(count):
    """Neither the officer's day nor the case's total."""
    with pytest.raises(RuleError):
        verify_quota(replace(FULL, **count), Quotas(), countersigned=True)


def test_quotas_of_an_agreement_replace_the_usual_ones():
    """Every limit can be narrower."""
    with pytest.raises(RuleError) as caught:
        verify_quota(FULL, Quotas(persons_per_case=3), countersigned=False)
    assert caught.value.reason == "QUOTA_PERSONS"


def test_countersigner_is_the_leader_who_did_not_ask(case):
    """The leader of the case lets it reach further persons."""
    verify_countersigner(case, "officer-7", askers={"officer-8"})


@pytest.mark.parametrize(
    ("signer", "askers", "reason"),
    [("officer-8", set(), "COUNTERSIGN_LEADER"), ("officer-7", {"officer-7"}, "COUNTERSIGN_SELF")],
)
def test_countersigner_who_leads_not_or_asked_is_refused(case, signer, askers, reason):
    """Two persons: neither another officer nor a leader who asked themselves."""
    with pytest.raises(RuleError) as caught:
        verify_countersigner(case, signer, askers=askers)
    assert caught.value.reason == reason


def test_countersign_bytes_are_of_one_case(case):
    """A signature for one case is of no use for another."""
    assert countersign_bytes(case.case_id, case.opened_by) != countersign_bytes("YS-2026-0043", case.opened_by)
    assert bulk_bytes(case.case_id, case.opened_by) != countersign_bytes(case.case_id, case.opened_by)


@pytest.mark.parametrize(
    ("count", "bulk", "reason"),
    [
        ({"case_total": 30, "case_persons": 30}, True, None),
        ({"case_total": 31}, True, None),
        ({"case_total": 300, "case_persons": 300}, True, None),
        ({"case_total": 301}, True, "QUOTA_CASE_LIMIT"),
        ({"case_total": 31}, False, "QUOTA_CASE"),
        ({"officer_today": 51}, True, "QUOTA_OFFICER"),
    ],
)
def test_bulk_lifts_the_case_and_neither_the_officer_nor_the_limit_above(count, bulk, reason):
    """Two persons' signatures reach to 300 look-ups, which is the end for everybody."""
    counts = replace(FULL, **count)
    if reason is None:
        verify_quota(counts, Quotas(), countersigned=False, bulk=bulk)
        return
    with pytest.raises(RuleError) as caught:
        verify_quota(counts, Quotas(), countersigned=True, bulk=bulk)
    assert caught.value.reason == reason


@pytest.mark.parametrize("order", [("officer-7", "officer-9"), ("officer-9", "officer-7")])
def test_bulk_is_signed_by_the_leader_and_a_second_person_in_either_order(case, order):
    """The first signature stands waiting until the second comes."""
    waiting = sign_bulk(case, None, order[0], askers={"officer-8"})
    assert not waiting.complete
    both = sign_bulk(case, waiting, order[1], askers={"officer-8"})
    assert both.complete
    assert both.signers == order


@pytest.mark.parametrize(
    ("signed", "signer", "askers", "reason"),
    [
        ((), "officer-7", {"officer-7"}, "COUNTERSIGN_SELF"),
        (("officer-7",), "officer-8", {"officer-8"}, "COUNTERSIGN_SELF"),
        (("officer-7",), "officer-7", set(), "BULK_SECOND_PERSON"),
        (("officer-9",), "officer-10", set(), "BULK_LEADER"),
        (("officer-7", "officer-9"), "officer-10", set(), "BULK_SIGNED"),
    ],
)
def test_bulk_by_one_person_or_without_the_leader_or_by_one_who_asked_is_refused(case, signed, signer, askers, reason):
    """Two different persons, one of them the leader, neither of whom asks in the case."""
    known = BulkRelease(case_id=case.case_id, agency=case.opened_by, signers=signed) if signed else None
    with pytest.raises(RuleError) as caught:
        sign_bulk(case, known, signer, askers=askers)
    assert caught.value.reason == reason
