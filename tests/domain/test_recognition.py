"""Mutual recognition: both modes, every reason, and what the source node is told."""

import json
from datetime import date

import pytest

from federation.domain.permits import PERMIT_FIELDS, PermitStatus, parse_permit_urn, project_permit
from federation.domain.recognition import (
    Entitlement,
    Recognition,
    RecognitionItem,
    RecognitionMode,
    RecognitionOutcome,
    RecognitionReason,
    RecognitionRules,
    decide_recognition,
    decode_recognition_item,
)
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import encode, encode_canonical, replace
from federation.protocol.ids import Realm, parse_agency_id

CARD, TIME = RecognitionMode.CARD, RecognitionMode.TIME
ALL = RecognitionRules(modes=frozenset(RecognitionMode), services=frozenset(Entitlement))
EDUCATION = replace(ALL, services=frozenset({Entitlement.EDUCATION}))


@pytest.fixture
def item(permit):
    """Issued and counted from 2025-08-12, endorsed until 2026-08-12."""
    return project_permit(permit, frozenset(PERMIT_FIELDS))


def decided(item, mode, today, rules=ALL):
    found = decide_recognition(item, mode, rules=rules, today=date.fromisoformat(today))
    return found.outcome.value, found.reason.value


def test_services_are_the_thirteen_of_the_law():
    """Six services of article 12, seven conveniences of article 13."""
    assert sorted(service.split(".")[0] for service in Entitlement) == ["convenience"] * 7 + ["service"] * 6


@pytest.mark.parametrize("today", ["2025-08-12", "2026-08-01", "2026-08-12"])
def test_card_mode_grants_every_service_of_a_valid_permit(item, today):
    """Valid, or in its endorsement month: the card is accepted as it stands."""
    found = decide_recognition(item, CARD, rules=ALL, today=date.fromisoformat(today))
    assert (found.outcome, found.reason) == (RecognitionOutcome.RECOGNISED_FULL, RecognitionReason.CARD_VALID)
    assert set(found.services) == set(Entitlement)


def test_card_mode_grants_only_the_listed_services(item):
    """An agreement that lists some services recognises in part."""
    found = decide_recognition(item, CARD, rules=EDUCATION, today=date(2026, 1, 1))
    assert (found.outcome, found.services) == (RecognitionOutcome.RECOGNISED_PART, (Entitlement.EDUCATION,))


@pytest.mark.parametrize(
    ("status", "today", "reason"),
    [
        (PermitStatus.VALID, "2026-08-13", "permit_suspended"),
        (PermitStatus.SUSPENDED, "2026-08-13", "permit_suspended"),
        (PermitStatus.REVOKED, "2026-01-01", "permit_revoked"),
        (PermitStatus.REPLACED, "2026-01-01", "permit_replaced"),
        (PermitStatus.VALID, "2025-08-11", "not_yet_issued"),
    ],
)
def test_card_mode_refuses_a_permit_that_does_not_work(item, status, today, reason):
    """Late, ended or not yet issued: refused, with the reason."""
    assert decided(replace(item, status=status), CARD, today) == ("refused", reason)


def test_card_mode_without_services_in_the_agreement_is_refused(item):
    """Nothing listed, nothing granted."""
    rules = replace(ALL, services=frozenset())
    assert decided(item, CARD, "2026-01-01", rules) == ("refused", "no_services_agreed")


@pytest.mark.parametrize(("mode", "other"), [(CARD, TIME), (TIME, CARD)])
def test_mode_outside_the_agreement_is_refused(item, mode, other):
    """The agreement chooses `card`, `time` or both."""
    rules = replace(ALL, modes=frozenset({other}))
    assert decided(item, mode, "2026-01-01", rules) == ("refused", "mode_not_agreed")


@pytest.mark.parametrize(
    ("today", "outcome", "reason", "days"),
    [
        ("2025-08-12", "refused", "no_time", 0),
        ("2025-08-13", "recognised_part", "time_credited", 1),
        ("2026-02-11", "recognised_part", "time_credited", 183),
        ("2026-02-12", "recognised_full", "half_year_reached", 184),
    ],
)
def test_time_mode_counts_toward_the_half_year(item, today, outcome, reason, days):
    """Article 2: half a year to the day; less is credited."""
    found = decide_recognition(item, TIME, rules=ALL, today=date.fromisoformat(today))
    assert (found.outcome, found.reason, found.counted_days) == (outcome, reason, days)
    assert found.services == ()


@pytest.mark.parametrize(("counts", "days"), [(False, 365), (True, 395)])
def test_time_mode_suspended_interval_is_a_switch_of_the_agreement(item, counts, days):
    """Whether the days after a missed endorsement count is not settled by law: the agreement says."""
    rules = replace(ALL, suspended_counts=counts)
    assert decide_recognition(item, TIME, rules=rules, today=date(2026, 9, 11)).counted_days == days


def test_time_mode_refuses_an_ended_permit(item):
    """A revoked permit counts for nothing."""
    assert decided(replace(item, status=PermitStatus.REVOKED), TIME, "2026-01-01") == ("refused", "permit_revoked")


@pytest.mark.parametrize(
    ("mode", "left_out", "missing"),
    [
        (CARD, ["issue_date", "endorsed_until", "issuer"], "issuer, issue_date, endorsed_until"),
        (TIME, ["ground", "counted_from"], "ground, counted_from"),
    ],
)
def test_fields_that_home_did_not_send_are_an_error_and_no_refusal(item, mode, left_out, missing):
    """The citizen is not refused for what the other node withheld."""
    with pytest.raises(RuleError) as caught:
        decided(replace(item, **dict.fromkeys(left_out)), mode, "2026-01-01")
    assert caught.value.reason == "RECOGNITION_FIELDS_MISSING"
    assert caught.value.facts["missing"] == missing


def test_card_mode_does_not_need_the_fields_of_time_mode(item):
    """Each mode asks for its own fields only."""
    lean = replace(item, ground=None, counted_from=None, citizen_number=None, holder_name=None)
    assert isinstance(decide_recognition(lean, CARD, rules=ALL, today=date(2026, 1, 1)), Recognition)


@pytest.fixture
def told():
    return RecognitionItem(
        urn=parse_permit_urn("urn:permit:361123:2025:000123"),
        citizen_number="361123219003070012",
        issuing_division="361123",
        issue_date=date(2025, 8, 12),
        mode=CARD,
        outcome=RecognitionOutcome.RECOGNISED_PART,
        reason=RecognitionReason.SERVICES_LIMITED,
        agency=parse_agency_id("zhejiang/330822/police"),
        decided_on=date(2026, 11, 23),
    )


def test_recognition_item_decodes_to_itself(told):
    """The link survives the wire; the item's text names nobody."""
    assert decode_recognition_item(encode(told), Realm.DEMO) == told
    assert told.citizen_number not in repr(told)


@pytest.mark.parametrize(
    ("name", "wrong", "reason"),
    [
        ("mode", "both", "RECOGNITION_VALUE"),
        ("outcome", "maybe", "RECOGNITION_VALUE"),
        ("reason", "felt_like_it", "RECOGNITION_VALUE"),
        ("issue_date", "20250812", "RECOGNITION_VALUE"),
        ("decided_on", "2026-11-31", "RECOGNITION_VALUE"),
        ("issuing_division", "330822", "RECOGNITION_VALUE"),
        ("urn", "urn:permit:x", "PERMIT_URN"),
        ("agency", "330822/police", "AGENCY_ID"),
        ("citizen_number", "361123219003070013", "CITIZEN_NUMBER_CHECKSUM"),
        ("citizen_number", 1, "JSON_TYPE"),
        ("officer", "x", "JSON_UNKNOWN_NAME"),
        ("mode", None, "JSON_TYPE"),
    ],
)
def test_recognition_item_with_a_wrong_value_is_refused(told, name, wrong, reason):
    """Each field has one form, and the issuing county cannot contradict the permit's name."""
    value = json.loads(encode(told)) | {name: wrong}
    with pytest.raises(MalformedError) as caught:
        decode_recognition_item(encode_canonical(value), Realm.DEMO)
    assert caught.value.reason == reason


def test_recognition_item_without_a_name_is_refused(told):
    """All nine names are needed."""
    value = json.loads(encode(told))
    del value["agency"]
    with pytest.raises(MalformedError) as caught:
        decode_recognition_item(encode_canonical(value), Realm.DEMO)
    assert caught.value.reason == "JSON_MISSING_NAME"
