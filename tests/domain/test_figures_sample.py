"""The stamps that chance picks to be looked at again: which, by whom, and what the figures say of them."""

from __future__ import annotations

import pytest

from federation.domain.alert import Alert
from federation.domain.figures import Group
from federation.domain.figures_report import ReportKind
from federation.domain.figures_sample import Finding, Recheck, pick, stamp_of, verify_recheck
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import OfficerId, parse_agency_id
from tests.domain.alert_ridge import NIGHT
from tests.domain.test_figures_count import THERE, total
from tests.domain.test_figures_report import of, report
from tests.domain.test_response import lived, seen

KEY = bytes(16)
POLICE, TOWN = parse_agency_id("zhejiang/330822/police"), parse_agency_id("zhejiang/330822/town")


@pytest.fixture(scope="module")
def alerts() -> list[Alert]:
    return seen(*map(lived, range(120)))


def found(alert: Alert, stage: str, finding: Finding) -> tuple[str, Recheck]:
    (entry,) = stamp_of(alert, stage)
    return entry, Recheck(
        record=str(alert.first.record), entry=entry, stage=stage, finding=finding, words="", by=POLICE,
        officer=OfficerId("o-9"), time=NIGHT,
    )  # fmt: skip


def test_two_percent_are_picked_by_a_key_that_no_desk_has(alerts: list[Alert]) -> None:
    """Some of 360 stamps, the same ones whenever it is asked and in whatever order; others by another key."""
    names = [each.entry for each in pick(alerts, KEY)]
    assert 1 <= len(names) <= 20
    assert {each.entry for each in pick(reversed(alerts), KEY)} == set(names)
    assert {each.entry for each in pick(alerts, b"another key")} != set(names)
    assert not list(pick(seen(lived(1, status="Exercise")), KEY))
    assert {each.stamp.stage for each in pick(alerts, KEY)} <= {"accepted", "contacted", "arrived"}


def test_another_office_says_what_it_found(alerts: list[Alert]) -> None:
    """A stamp of the sample, by an office other than the desk's; what is not right is said in words that name nobody."""
    picked = next(pick(alerts, KEY))
    alert = next(each for each in alerts if each.first.record == picked.record)
    asked = {"by": POLICE, "finding": Finding.WRONG, "words": "监控显示无人到场"}
    assert verify_recheck(alert, picked.stamp.stage, KEY, **asked) == picked  # type: ignore[arg-type]
    assert verify_recheck(alert, picked.stamp.stage, KEY, by=POLICE, finding=Finding.CONFIRMED, words="") == picked
    for changed, reason in (
        ({"by": TOWN}, "RECHECK_OWN"),
        ({"words": " "}, "RECHECK_WORDS"),
        ({"words": "致电 13900000000"}, "TEXT_PERSONAL"),
        ({"words": "x" * 501}, "REVIEW_WORDS"),
    ):
        with pytest.raises(BridgeheadError) as caught:
            verify_recheck(alert, picked.stamp.stage, KEY, **{**asked, **changed})  # type: ignore[arg-type]
        assert caught.value.reason == reason
    for stage, key in ((picked.stamp.stage, b"a key by which it is not"), ("closed", KEY)):
        with pytest.raises(BridgeheadError) as caught:
            verify_recheck(alert, stage, key, **asked)  # type: ignore[arg-type]
        assert caught.value.reason == "RECHECK_SAMPLE"


def test_what_was_found_is_a_figure_and_changes_no_other(alerts: list[Alert]) -> None:
    """Of three sampled stamps two were looked at and one is wrong; attainment stays as it was."""
    sample = dict(found(alert, "arrived", finding) for alert, finding in zip(alerts[:2], Finding, strict=False))
    (waiting,) = stamp_of(alerts[2], "accepted")
    sample_of_all = {**sample, waiting: None}
    shares = [total(name, alerts, sample=sample_of_all) for name in ("recheck.share", "recheck.wrong")]
    assert [(each.numerator, each.denominator) for each in shares] == [(2, 3), (1, 2)]
    for name in ("response.attain.1", "response.attain.10", "late_sync.share"):
        assert total(name, alerts, sample=sample_of_all) == total(name, alerts)
    assert total("recheck.share", alerts).denominator == 0


def test_the_sample_is_listed_for_the_own_counties_alone(alerts: list[Alert]) -> None:
    """Each stamp with what was found; nothing of the other side's, nothing in a report that is handed over."""
    there = seen(lived(200, division=THERE))
    sample = dict([found(alerts[0], "arrived", Finding.DOUBTFUL), found(there[0], "arrived", Finding.WRONG)])
    every = [*alerts[:3], *there]
    (row,) = report(every, ReportKind.RESPONSE, sample=sample).sample
    assert (row.record, row.stage, row.finding, row.by) == (alerts[0].first.record, "arrived", "doubtful", str(POLICE))
    assert report(every, ReportKind.RESPONSE, handed_over=True, sample=sample).sample == ()
    assert report(every, sample=sample).sample == ()
    county = of(report(every, ReportKind.RESPONSE, sample=sample), "recheck.share", Group(county="330822"))
    assert (county.numerator, county.denominator) == (1, 1)
