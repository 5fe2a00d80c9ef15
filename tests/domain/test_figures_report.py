"""What a report holds for whom, its periods, the police's own figures, and two nodes' reports as one."""

from __future__ import annotations

import base64
import lzma
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from federation.domain.alert import Alert
from federation.domain.figures import Figure, Group, Source
from federation.domain.figures_report import (
    MAX_LISTED,
    Delivered,
    Head,
    Report,
    ReportKind,
    SignedReport,
    open_report,
    period_of,
    report_of,
    sign_report,
    unite_reports,
)
from federation.domain.joint_record import Record
from federation.domain.response import Hidden
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.keys import Ed25519Signer
from tests.domain.alert_ridge import LEADER, NIGHT, QIUCHUAN, Ridge
from tests.domain.test_figures_count import THERE, counting
from tests.domain.test_response import lived, seen

HERE = ("330822",)
NAMES = {"zhejiang": "330822", "jiangxi": "361123"}


def report(
    alerts: Iterable[Alert], kind: ReportKind = ReportKind.PAIR, *, node: str = "zhejiang", handed_over: bool = False,
    delivered: tuple[Delivered, ...] = (), procedure: str = "", **more: object,
) -> Report:  # fmt: skip
    head = Head(
        kind=kind, node=NodeName(node), period="2026Q2", agreement=1, procedure=procedure, own=() if handed_over else (NAMES[node],),
        leaves=handed_over,
    )  # fmt: skip
    return report_of(counting(alerts, **more), head, delivered)


def of(found: Report, name: str, group: Group) -> Figure:
    return next(each for each in found.figures if each.id == name and each.group == group)


def town(county: str = "") -> Group:
    return Group(duty_class="town", county=county)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2026Q2", datetime(2026, 3, 31, 16, tzinfo=UTC), datetime(2026, 6, 30, 16, tzinfo=UTC)),
        ("2026-12", datetime(2026, 11, 30, 16, tzinfo=UTC), datetime(2026, 12, 31, 16, tzinfo=UTC)),
        ("2025", datetime(2024, 12, 31, 16, tzinfo=UTC), datetime(2025, 12, 31, 16, tzinfo=UTC)),
        ("", datetime(2026, 9, 30, 16, tzinfo=UTC), datetime(2026, 12, 31, 16, tzinfo=UTC)),
    ],
)
def test_period(text: str, begin: datetime, end: datetime) -> None:
    """Quarters, months and years of China's calendar; without a name the running quarter; the cut is now."""
    now = datetime(2026, 12, 31, 15, 59, tzinfo=UTC)
    period, base = period_of(text, now)
    assert (period.begin, period.end, period.cut) == (begin, end, now)
    assert base.begin == begin.replace(year=begin.year - 1)


@pytest.mark.parametrize("text", ["2026Q5", "Q2", "2026-13", "2026-1", "2027Q1", "2026Q2 ", "２０２６"])
def test_period_refused(text: str) -> None:
    """A period that is none, or has not begun."""
    with pytest.raises(MalformedError, match="period"):
        period_of(text, datetime(2026, 12, 31, 15, 59, tzinfo=UTC))


def test_a_report_is_one_canonical_document() -> None:
    """It reads back as it was, and the same entries in another order make the same bytes."""
    alerts = seen(*(lived(n) for n in range(3)))
    found = report(alerts)
    assert decode(Report, encode(found)) == found
    assert encode(report(reversed(alerts))) == encode(found)


def test_each_figure_says_what_it_is() -> None:
    """Every figure has its meaning, with rule, version and headings; what was printed stands beside."""
    found = report(seen(lived(1)))
    meanings = {each.id: each for each in found.meanings}
    assert all(meanings[each.id].version == each.version for each in found.figures)
    assert all(meanings[each.id].rule_zh for each in found.figures)
    printed = {(each.id, each.value, each.computed) for each in found.printed}
    assert printed >= {("vehicle.items", "164", ""), ("border.dispute_yoy", "-27.83", "")}
    assert of(found, "village.pairs", Group(county="330822")).value == "5x4"
    assert of(found, "award.pingan_streak", Group(county="330800")).words == "十八连冠"


def test_a_breach_says_how_long_the_alert_was_on_its_way() -> None:
    """Beside what was late stands the way to the node of the desk; nothing where it is not known."""
    ridges = [lived(1, (70, 80, 400)), lived(2, (75, 80, 400))]
    received = {ridges[0].record: NIGHT + timedelta(seconds=12)}
    found = report(seen(*ridges), received=received)
    assert [(each.record, each.transit_ms) for each in found.breaches] == [
        (ridges[0].record, 12_000), (ridges[1].record, None)
    ]  # fmt: skip


def test_a_breach_says_who_excused_it() -> None:
    """The leader's post and cause stand beside the late stage, which counts among those with a cause, and as late."""
    ridges = [lived(1, (20, 80, 700)), lived(2, (20, 80, 700))]
    ridges[0].later(60).does(LEADER, "excuse", stage="arrived", why="danger")
    found = report(seen(*ridges))
    assert [(each.excused_by, each.reason) for each in found.breaches] == [(LEADER, "danger"), ("", "")]
    arrived = of(found, "response.attain.10", town("330822"))
    assert (arrived.numerator, arrived.denominator, arrived.excused) == (0, 2, 1)


def test_who_closed_without_stamps_is_listed_with_the_leader() -> None:
    """The list names the leader's post over the desk."""
    ridge = lived(1, (20,))
    ridge.later(60).does(QIUCHUAN, "close", result="handled", by_phone="yes", reason="双方电话和解")
    (row,) = [each for each in report(seen(ridge)).listed if each.why == "closed_unstamped"]
    assert (row.records, row.said) == ((ridge.record,), LEADER)


def test_kinds_of_reports() -> None:
    """A report of the response has its figures alone, one of an exercise only what was exercised."""
    alerts = seen(lived(1), lived(2, status="Exercise"))
    response = {each.id for each in report(alerts, ReportKind.RESPONSE).figures}
    assert response >= {"response.attain.10", "phone.share", "exercise.n"}
    assert not response & {"vehicle.items", "border.crime_order_yoy", "village.pairs"}
    exercise = report(alerts, ReportKind.EXERCISE, status="Exercise")
    assert {each.id for each in exercise.figures} == {
        "response.attain.1", "response.attain.3", "response.attain.10", "response.interval.contact",
        "response.interval.arrive", "late_sync.share", "exercise.n",
    }  # fmt: skip
    assert of(exercise, "response.attain.10", town("330822")).denominator == 1
    procedure = report((), ReportKind.PROCEDURE, procedure="wage-claim")
    assert {each.id for each in procedure.figures} == {"procedure.closed", "procedure.days", "court.resolved"}


def test_an_exercise_day_changes_nothing_of_the_real_day() -> None:
    """Beside an exercise day the report of the real one is the same but for the number of exercises."""
    real, drill = (
        seen(*(lived(n, (20, 80, 700)) for n in range(3))),
        seen(*(lived(n, status="Exercise") for n in (7, 8))),
    )
    both, alone = report([*real, *drill]), report(real)
    assert [each for each in both.figures if each.id != "exercise.n"] == [
        each for each in alone.figures if each.id != "exercise.n"
    ]
    assert (both.breaches, both.listed, both.charts) == (alone.breaches, alone.listed, alone.charts)
    records = {str(each.first.record) for each in drill}
    assert not records & {each.record for each in both.breaches}


def test_breaches() -> None:
    """Each late stage with its due time, its desk and reason, by time; those of a neighbour are not listed."""
    late, never = lived(1, (70, 200, 700)), lived(2, (20, 80))
    found = report(seen(late, never, lived(3, (70,), division=THERE), lived(4)))
    assert [(each.record, each.stage.value, each.at is None) for each in found.breaches] == [
        (late.record, "accepted", False), (late.record, "contacted", False), (late.record, "arrived", False),
        (never.record, "arrived", True),
    ]  # fmt: skip
    assert {each.desk for each in found.breaches} == {"330822111.town"}


def test_what_is_listed() -> None:
    """What is left out, what may be one event, and what is flagged, by records of the own counties."""
    cancelled, one, two = Ridge(1), lived(2), lived(3)
    cancelled.raises()
    cancelled.later(30).does("330822111.town", "cancel", cap_id="33082211100000_20260404021545_0", why="false_alarm")
    found = report(seen(cancelled, one, two))
    why = {each.why: each.records for each in found.listed}
    assert why["cancelled"] == (cancelled.record,)
    assert found.more == 0
    assert len(found.listed) <= MAX_LISTED


def test_a_crash_called_in_on_both_sides() -> None:
    """Not linked, both count and the pair is listed; linked from both sides it counts once and is a duplicate."""
    pair = ("pair.qiuchuan-shuangming",)
    one, two = lived(1, area=pair), Ridge(2)
    two.record = two.record.replace("zhejiang", "jiangxi")
    two.nodes = {name: Record(two.record) for name in two.nodes}
    two.later(60).raises(desk="361123.governance", division=THERE, area=pair)
    found = report(seen(one, two))
    assert {each.why: each.records for each in found.listed}["same_event"] == (one.record, two.record)
    one.does("330822111.town", "link", other=two.record, status="Actual")
    two.does("361123.governance", "link", other=one.record, status="Actual")
    linked = report(seen(one, two))
    assert "same_event" not in {each.why for each in linked.listed}
    assert of(linked, "alert.n", Group(county="330822")).value == "1"
    assert of(report(seen(one, two), handed_over=True), "links.n", Group(county="361123")).why == Hidden.SMALL


def test_charts_count_the_own_side() -> None:
    """Arrivals by minute beside the limit, hours of China's week, weeks of the period: of the own counties alone."""
    found = report(seen(lived(1), lived(2, (20, 80, 700)), lived(3, division=THERE))).charts
    assert found is not None
    assert (found.arrivals[6], found.arrivals[11], sum(found.arrivals), found.limit_minutes) == (1, 1, 2, 10)
    assert (found.hours[5 * 24 + 2], sum(found.hours)) == (2, 2)  # Saturday, 02:15 in China
    assert (sum(found.weeks), sum(found.base_weeks)) == (2, 0)
    assert report(seen(lived(1)), handed_over=True).charts is None


def test_attainment_by_hour_is_of_the_own_towns() -> None:
    """By the hour of China in which an alert was raised; a late one is counted there, and not in time."""
    charts = report(seen(lived(1), lived(2, (20, 80, 700)), lived(3, division=THERE))).charts
    assert charts is not None
    found = {each.stage.value: (each.in_time[2], each.counted[2], sum(each.counted)) for each in charts.attained}
    assert found == {"accepted": (2, 2, 2), "contacted": (2, 2, 2), "arrived": (1, 2, 2)}


def test_delivered_figures_stay_as_they_are() -> None:
    """A police figure is shown as it was handed in, by whom; its own parts stand beside it and correct nothing."""
    police = parse_agency_id("zhejiang/330822/police")
    handed = (
        Delivered(id="crime.incidents_yoy", place="330822", period="2026Q2", value="-31.43", words="自开通以来", by=police),
        Delivered(
            id="wagon.rate", place="330822", period="2026Q2", value="89.85", words="449件办结389件", by=police,
            numerator=389, denominator=449,
        ),
        Delivered(id="crime.filed_yoy", place="330881", period="2026Q2", value="-1", words="别县", by=police),
    )  # fmt: skip
    found = report((), delivered=handed)
    shown = of(found, "crime.incidents_yoy", Group(county="330822"))
    assert (shown.source, shown.value, shown.words, shown.by) == (
        Source.DELIVERED, "-31.43", "自开通以来", "zhejiang/330822/police"
    )  # fmt: skip
    wagon = of(found, "wagon.rate", Group(county="330822"))
    assert (wagon.value, wagon.computed) == ("89.85", "86.64")
    assert "crime.filed_yoy" not in {each.id for each in found.figures}


# ---- two nodes ---


def both(alerts: list[Alert], missed: list[Alert]) -> tuple[Report, Report]:
    return report(alerts, handed_over=True), report(missed, node="jiangxi", handed_over=True)


def test_two_nodes_that_hold_the_same() -> None:
    """The union is what each counted, and nothing differs."""
    alerts = seen(*(lived(n) for n in range(25)), *(lived(n, (20, 80, 700), division=THERE) for n in range(30, 40)))
    one, other = both(alerts, alerts)
    found = unite_reports(one, other)
    assert found.differences == ()
    assert found.nodes == ("zhejiang", "jiangxi")
    figure = of(found, "response.attain.1", town())
    assert (figure.numerator, figure.denominator, figure.value) == (35, 35, "100.0")


def test_a_node_that_misses_three_entries() -> None:
    """The figures differ; the union counts all, and the reconciliation names the raise and stamps of the one missing."""
    alerts = seen(*(lived(n) for n in range(25)), *(lived(n, division=THERE) for n in range(30, 36)))
    one, other = both(alerts, alerts[1:])
    for found in (unite_reports(one, other), unite_reports(other, one)):
        assert of(found, "response.attain.10", town()).denominator == 31
        names = {name for each in found.differences for name in (*each.only_one, *each.only_other)}
        done = alerts[0].named.values()
        assert names == {each.entry.name for each in done if each.head.act in ("raise", "claim", "stamp")}
        assert "response.attain.10" in {each.id for each in found.differences}


def test_small_numbers_stay_hidden_in_the_union() -> None:
    """Three alerts of a county are told neither by its cell nor by the total, in one report or in the union."""
    alerts = seen(*(lived(n) for n in range(25)), *(lived(n, division=THERE) for n in range(30, 33)))
    one, other = both(alerts, alerts)
    for found in (one, other, unite_reports(one, other)):
        assert of(found, "alert.n", Group(county="361123")).why == Hidden.SMALL
        assert of(found, "alert.n", Group()).why == Hidden.BESIDE or of(found, "alert.n", Group(county="330822")).why
        assert of(found, "response.attain.10", town("361123")).leaves == ()


@pytest.mark.parametrize("change", [{"period": "2026Q1"}, {"counties": HERE}, {"definitions": "2026.2"}])
def test_reports_that_are_not_of_one_thing(change: dict[str, object]) -> None:
    """Another period, other counties or definitions: never united."""
    one, other = both(seen(lived(1)), seen(lived(1)))
    with pytest.raises(MalformedError, match="period"):
        unite_reports(one, replace(other, **change))


def test_the_cut_of_a_union_is_the_later_one() -> None:
    """Two nodes count at two moments."""
    one, other = both([], [])
    later = replace(other, cut=other.cut + timedelta(hours=1))
    assert unite_reports(one, later).cut == later.cut
    assert later.cut > NIGHT


# ---- signed ---

SIGNER = Ed25519Signer(b"\x07" * 32)
KEYS = {NodeName("zhejiang"): (SIGNER.public_key,)}


def test_signed_report() -> None:
    """The bytes that were signed come back; another key, another node or another signature is refused."""
    found = report(seen(lived(1)))
    signed = sign_report(found, SIGNER)
    assert open_report(signed, KEYS) == found
    item = decode(SignedReport, signed)
    other = sign_report(found, Ed25519Signer(b"\x08" * 32))
    forged = encode(replace(item, signature=decode(SignedReport, other).signature))
    for wrong, keys in ((signed, {}), (other, KEYS), (forged, KEYS), (signed, {NodeName("jiangxi"): KEYS["zhejiang"]})):
        with pytest.raises(UntrustedError):
            open_report(wrong, keys)


@pytest.mark.parametrize(
    "packed",
    [b"", b"no xz", lzma.compress(b"{}")[:-4], lzma.compress(b"{}") + b"more", lzma.compress(bytes(33 * 2**20))],
    ids=["nothing", "other bytes", "cut off", "more behind", "too large"],
)
def test_packed_report_refused(packed: bytes) -> None:
    """What does not unpack, or unpacks to more than a report may be, is refused before it is read."""
    item = SignedReport(content=base64.b64encode(packed).decode(), key="0" * 64, signature="")
    with pytest.raises(MalformedError, match="report"):
        open_report(encode(item), KEYS)
