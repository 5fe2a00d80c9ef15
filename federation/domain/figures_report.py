"""A report: its head, figures, lists for a person to look at, the counts behind its charts; and two reports as one.

Rules kept: the report is one canonical document, so that a node signs it and another one can check it. Lists name the
records of the reader's own counties alone. A report that is handed over treats every county as the other side's. Two
nodes' figures are united by their leaves; what only one of them has is named.
Source: `policies/figures.toml`, DESIGN section 5.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from federation.domain.alert import STAGES, Alert, AlertState
from federation.domain.alert_links import Offered, offers_of_link
from federation.domain.alert_rules import excuse_of
from federation.domain.clock import CHINA_TIME
from federation.domain.figures import (
    Counts,
    Definition,
    Difference,
    Figure,
    FigureTable,
    Form,
    Group,
    Heading,
    Leaf,
    Meaning,
    Source,
    count_figure,
    percent,
    unite,
)
from federation.domain.figures_count import Counting, figures_of, record_of_alert
from federation.domain.figures_hidden import hide_figures
from federation.domain.figures_sample import stamp_of
from federation.domain.lookups_case import DossierFacts, dossier_entity
from federation.domain.permits_policy import AgencyFacts, Occasion, ask
from federation.domain.response import Flag, Hidden, LeftOut, Period, flags
from federation.protocol.envelope import pre_authentication_encoding
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.form import Count, County, Digest, Item, Positive, Text, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, NodeName, format_base64, parse_base64
from federation.protocol.keys import PublicKey, Signer, verify_signature
from federation.protocol.policy import PolicyRequest, PolicyValue

MAX_LISTED: Final = 1_000
"""The most rows of each list; `more` says how many there are beyond them."""
MINUTES_SHOWN: Final = 30
_PERIOD: Final = re.compile(r"(2[0-9]{3})(?:Q([1-4])|-(0[1-9]|1[0-2]))?")


class ReportKind(StrEnum):
    QUARTER = "quarter"
    PAIR = "pair"
    COUNTY = "county"
    PROCEDURE = "procedure"
    RESPONSE = "response"
    EXERCISE = "exercise"


_OF_ALERTS: Final = frozenset(
    {Counts.ATTAIN, Counts.ALERTS, Counts.PHONE, Counts.HANDOVERS, Counts.LINKS, Counts.FALSE, Counts.LATE_SYNC,
     Counts.EXERCISES, Counts.SAMPLED, Counts.REFUTED, Counts.INTERVAL}
)  # fmt: skip
_OF_EXERCISES: Final = frozenset({Counts.ATTAIN, Counts.INTERVAL, Counts.LATE_SYNC, Counts.EXERCISES})
_OF_PROCEDURES: Final = frozenset({Counts.CLOSED, Counts.DAYS})


class Printed(Item, frozen=True, kw_only=True):
    """A number that was printed elsewhere; `computed` is what its own parts make, where it names them."""

    WHAT: ClassVar[str] = "printed figure"

    id: str
    place: County
    value: str
    words: str
    computed: str = ""


class Delivered(Item, frozen=True, kw_only=True):
    """A number that its owner handed in: never computed, its parts where the office names them."""

    WHAT: ClassVar[str] = "delivered figure"

    id: str
    place: County
    period: Text
    value: Text
    words: Text
    by: AgencyId
    numerator: Count | None = None
    denominator: Positive | None = None


def verify_delivered(table: FigureTable, each: Delivered) -> None:
    """Refuses a figure that is none of those delivered, or not this office's to deliver (FIGURE_*, FIGURES_PERIOD)."""
    definition = table.load(each.id)
    if definition.source is not Source.DELIVERED:
        raise RuleError("FIGURE_COUNTED", "该指标由系统统计或为文字，不由单位报送。 | This figure is not delivered.")
    if each.by.kind not in definition.owners:
        owners = ", ".join(definition.owners)
        raise RuleError(
            "FIGURE_OWNER", f"该指标由下列单位报送：{owners}。 | These offices deliver this figure: {owners}."
        )
    if not _PERIOD.fullmatch(each.period):
        raise MalformedError("FIGURES_PERIOD", f"expected a period such as 2026Q2, got {each.period!r:.30}")
    if each.numerator is not None and (each.denominator is None or each.numerator > each.denominator):
        raise MalformedError("FIGURE_PARTS", "expected a part with its whole, and not more than it")


class Breach(Item, frozen=True, kw_only=True):
    """A stage that was late: `at` None where nobody came; `entered`: the stamp was entered afterwards (补录).

    `reason` is the desk's, else that for which the leader (`excused_by`) excused it.
    `transit_ms`: how long the alert was on its way to the node of the desk, where that is known.
    """

    WHAT: ClassVar[str] = "breach"

    record: str
    kind: str
    area: str
    stage: AlertState
    due: Time
    at: Time | None = None
    desk: str = ""
    reason: str = ""
    entered: bool = False
    transit_ms: Count | None = None
    excused_by: str = ""


class Sampled(Item, frozen=True, kw_only=True):
    """A stamp that chance picked to be looked at again; `finding` is empty until another office (`by`) did."""

    WHAT: ClassVar[str] = "sampled stamp"

    record: str
    entry: Digest
    stage: str
    at: Time
    desk: str
    officer: str
    finding: str = ""
    words: str = ""
    by: str = ""


class Listed(Item, frozen=True, kw_only=True):
    """Records that a person looks at: flagged, left out, or perhaps one event; `said` are its words."""

    WHAT: ClassVar[str] = "listed records"

    why: str
    records: tuple[str, ...]
    said: str = ""


class ByHour(Item, frozen=True, kw_only=True):
    """A stage in towns by the hour of China in which its alert was raised: how many count, and were in time."""

    WHAT: ClassVar[str] = "attainment by hour"

    stage: AlertState
    counted: tuple[Count, ...]
    in_time: tuple[Count, ...]


class Charts(Item, frozen=True, kw_only=True):
    """Counts of the own counties: arrivals in towns by minute, alerts by weekday and hour, by week, and a year ago.

    A minute holds what took no longer than it: the last one of a limit of ten minutes is at place nine.
    """

    WHAT: ClassVar[str] = "counts of charts"

    arrivals: tuple[Count, ...] = ()
    limit_minutes: Count = 0
    hours: tuple[Count, ...] = ()
    weeks: tuple[Count, ...] = ()
    base_weeks: tuple[Count, ...] = ()
    attained: tuple[ByHour, ...] = ()


class Report(Item, frozen=True, kw_only=True):
    """A report as its node signs it; `differences` only where it is the union of two nodes' reports."""

    WHAT: ClassVar[str] = "report"

    kind: ReportKind
    nodes: tuple[NodeName, ...]
    counties: tuple[County, ...]
    period: str
    begin: Time
    end: Time
    cut: Time
    agreement: Positive
    definitions: str
    official: bool = False
    procedure: str = ""
    joint: tuple[Heading, ...] = ()
    cross: tuple[Heading, ...] = ()
    meanings: tuple[Meaning, ...] = ()
    figures: tuple[Figure, ...] = ()
    printed: tuple[Printed, ...] = ()
    breaches: tuple[Breach, ...] = ()
    listed: tuple[Listed, ...] = ()
    sample: tuple[Sampled, ...] = ()
    more: Count = 0
    charts: Charts | None = None
    differences: tuple[Difference, ...] = ()


class Head(Item, frozen=True, kw_only=True):
    """The making of a report: `own` are the counties of the reader, none where it is handed over."""

    WHAT: ClassVar[str] = "head of a report"

    kind: ReportKind
    node: NodeName
    period: str
    agreement: Positive
    procedure: str = ""
    own: tuple[County, ...] = ()
    leaves: bool = False


# ---- periods ---


def period_of(text: str, now: datetime) -> tuple[Period, Period]:
    """A period of China's calendar by its name, and the same one of last year: 2026, 2026Q2, 2026-06.

    Without a name it is the running quarter. Refuses FIGURES_PERIOD: another name, or a time that has not begun.
    """
    today = now.astimezone(CHINA_TIME)
    found = _PERIOD.fullmatch(text or name_of_quarter(today.date()))
    if found is None:
        raise MalformedError("FIGURES_PERIOD", f"expected a period such as 2026Q2, 2026-06 or 2026, got {text!r:.30}")
    year, (first, months) = int(found[1]), _months(found[2], found[3])
    if _month(year, first) > now:
        raise MalformedError("FIGURES_PERIOD", f"expected a period that has begun, got {text!r:.30}")
    period, base = (
        Period(begin=_month(each, first), end=_month(each, first + months), cut=now) for each in (year, year - 1)
    )
    return period, base


def name_of_quarter(day: date) -> str:
    return f"{day.year}Q{(day.month + 2) // 3}"


def _months(quarter: str | None, month: str | None) -> tuple[int, int]:
    """The first month, and how many there are."""
    if quarter:
        return 3 * int(quarter) - 2, 3
    return (int(month), 1) if month else (1, 12)


def _month(year: int, month: int) -> datetime:
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=CHINA_TIME).astimezone(UTC)


# ---- one node's report ---


def report_of(counting: Counting, head: Head, delivered: Iterable[Delivered] = ()) -> Report:
    """The report that a reader of `head.own` counties may see."""
    table = counting.table
    chosen = [each for each in table.figure if _belongs(each, head)]
    if head.kind is ReportKind.PROCEDURE:
        kept = tuple(case for case in counting.cases if case.procedure.name == head.procedure)
        counting = replace(counting, cases=kept)
    counted = [figure for each in chosen for figure in figures_of(counting, each)]
    handed = [_handed_in(table, each) for each in delivered if _is_here(each.place, counting.counties)]
    texts = [figure for each in chosen if each.source is Source.TEXT for figure in _texts(each, counting.counties)]
    figures = hide_figures([*counted, *handed, *texts], own=head.own)
    figures = figures if head.leaves else tuple(replace(each, leaves=(), base_leaves=()) for each in figures)
    rank = {each.id: place for place, each in enumerate(chosen)}
    own = replace(counting, counties=tuple(each for each in counting.counties if each in head.own))
    breaches, listed = _breaches(own), _listed(own, counting)
    sample = _sample(own) if head.kind is ReportKind.RESPONSE else ()
    return Report(
        kind=head.kind, nodes=(head.node,), counties=counting.counties, period=head.period,
        begin=counting.period.begin, end=counting.period.end, cut=counting.period.cut, agreement=head.agreement,
        definitions=table.version, official=table.official, procedure=head.procedure, joint=table.joint,
        cross=table.cross, meanings=tuple(each.meaning for each in chosen),
        figures=tuple(sorted((each for each in figures if each.id in rank), key=lambda each: rank[each.id])),
        printed=tuple(_printed(chosen, counting.counties)), breaches=breaches[:MAX_LISTED],
        listed=listed[:MAX_LISTED], sample=sample[:MAX_LISTED],
        more=sum(max(0, len(rows) - MAX_LISTED) for rows in (breaches, listed, sample)),
        charts=_charts(own) if own.counties and head.kind is not ReportKind.PROCEDURE else None,
    )  # fmt: skip


def _belongs(definition: Definition, head: Head) -> bool:
    match head.kind:
        case ReportKind.RESPONSE:
            return definition.count in _OF_ALERTS
        case ReportKind.EXERCISE:
            return definition.count in _OF_EXERCISES
        case ReportKind.PROCEDURE:
            return definition.procedure == head.procedure != "" or (
                definition.count in _OF_PROCEDURES and not definition.procedure
            )
        case _:
            return True


def _is_here(place: str, counties: Collection[str]) -> bool:
    """True for a county of the report, and for its prefecture."""
    return place in counties or (place.endswith("00") and any(each.startswith(place[:4]) for each in counties))


def _texts(definition: Definition, counties: Collection[str]) -> Iterator[Figure]:
    for each in definition.published:
        if _is_here(each.place, counties):
            yield Figure(
                id=definition.id, version=definition.version, source=Source.TEXT, form=Form.TEXT,
                group=Group(county=each.place), value=each.value, words=each.words,
            )  # fmt: skip


def _printed(chosen: Iterable[Definition], counties: Collection[str]) -> Iterator[Printed]:
    for each in chosen:
        for row in each.published if each.source is not Source.TEXT else ():
            if _is_here(row.place, counties):
                yield Printed(
                    id=each.id, place=row.place, value=row.value, words=row.words, computed=row.computed or ""
                )  # fmt: skip


def _handed_in(table: FigureTable, each: Delivered) -> Figure:
    """As it was handed in; the share of its own parts stands beside it, and changes nothing."""
    definition = table.load(each.id)
    parts = each.numerator is not None and each.denominator is not None
    computed = percent(each.numerator or 0, each.denominator or 1, digits=2) if parts else ""
    return Figure(
        id=each.id, version=definition.version, source=Source.DELIVERED, form=definition.form,
        group=Group(county=each.place), value=each.value, words=each.words, by=str(each.by), computed=computed,
    )  # fmt: skip


def _breaches(counting: Counting) -> tuple[Breach, ...]:
    """Every stage that was late, or has no stamp, of the alerts that count in it, by the time when it was due."""
    found = [
        _breach(counting, alert, stage)
        for stage in STAGES
        for alert in counting.attained[stage].alerts
        if not alert.attained(stage)
    ]
    return tuple(sorted(found, key=lambda each: (each.due, each.record, each.stage)))


def _breach(counting: Counting, alert: Alert, stage: AlertState) -> Breach:
    stamp = alert.stamps.get(stage)
    holder = stamp.desk if stamp is not None else next(iter(sorted(alert.held)), "")
    excuse = excuse_of(alert, stage)
    named = "" if stamp is None else stamp.late_reason
    return Breach(
        record=record_of_alert(alert), kind=alert.kind, area=counting.group_of(alert).area, stage=stage,
        due=alert.due(stage), at=None if stamp is None else stamp.measured, desk=holder,
        reason=named or ("" if excuse is None else str(excuse.fields["why"])),
        entered=stamp is not None and stamp.made is not None, transit_ms=counting.transit_of(alert),
        excused_by="" if excuse is None else str(excuse.fields["desk"]),
    )  # fmt: skip


def _sample(counting: Counting) -> tuple[Sampled, ...]:
    """Every stamp of the sample that counts, by record and time."""
    found: list[Sampled] = []
    for stage in STAGES:
        for alert in counting.attained[stage].alerts:
            for entry in (each for each in stamp_of(alert, stage) if each in counting.sample):
                stamp, of = alert.stamps[stage], counting.sample[entry]
                said = {} if of is None else {"finding": of.finding.value, "words": of.words, "by": str(of.by)}
                found.append(
                    Sampled(
                        record=record_of_alert(alert), entry=entry, stage=stage, at=stamp.measured, desk=stamp.desk,
                        officer=stamp.officer, **said,
                    )
                )  # fmt: skip
    return tuple(sorted(found, key=lambda each: (each.record, each.at)))


def _leader_of_close(counting: Counting, alert: Alert) -> str:
    """The post of the leader over the desk that closed an alert; empty where it is not closed, or nobody leads it."""
    closed = () if alert.ended is None else (alert.named[alert.ended.by].head.fields.get("desk"),)
    desks = (counting.duty.desks.get(str(desk)) for desk in closed)
    return next((desk.leader for desk in desks if desk is not None), "")


def _listed(own: Counting, all_of: Counting) -> tuple[Listed, ...]:
    """The flags, the pairs that may be one event of both sides, and those left out of 1-3-10, with the reason.

    A pair has one alert of the own counties at least.
    """
    here = own.raised_in(own.period)
    mine, sides = set(map(record_of_alert, here)), all_of.raised_in(all_of.period)
    arbiters = {record_of_alert(alert): alert.arbiter for alert in sides}
    leaders = {record_of_alert(alert): _leader_of_close(own, alert) for alert in here}
    flagged = [
        Listed(
            why=each.flag.value, records=each.records,
            said=leaders[each.records[0]] if each.flag is Flag.CLOSED_UNSTAMPED else each.officer,
        )
        for each in flags(here)
    ]  # fmt: skip
    offers = [
        Listed(why=each.why.value, records=(each.one, each.other), said=f"{each.seconds} s")
        for each in offers_of_link(sides)
        if {each.one, each.other} & mine
        and (each.why is Offered.RAISED_AGAIN or arbiters[each.one] != arbiters[each.other])
    ]
    left: dict[str, set[str]] = {}
    for stage in STAGES:
        for reason, records in own.attained[stage].left_out.items():
            if reason in (LeftOut.CANCELLED, LeftOut.DUPLICATE, LeftOut.CLOCK_DOUBTFUL):
                left.setdefault(reason.value, set()).update(records)
    out = [Listed(why=reason, records=tuple(sorted(records))) for reason, records in sorted(left.items()) if records]
    out += [Listed(why="waiting", records=tuple(sorted(own.waiting)))] if own.waiting else []
    return (*out, *sorted(offers, key=lambda each: each.records), *flagged)


def _charts(counting: Counting) -> Charts:
    arrived = counting.attained[AlertState.ARRIVED]
    towns = [
        (alert, time)
        for alert, time in zip(arrived.alerts, arrived.times, strict=True)
        if time is not None and counting.group_of(alert).duty_class == "town"
    ]
    minutes = [min(MINUTES_SHOWN, max(0, -(-time // timedelta(minutes=1)) - 1)) for _, time in towns]
    limit = (towns[0][0].due(AlertState.ARRIVED) - towns[0][0].dispatched) // timedelta(minutes=1) if towns else 0
    now = [alert.dispatched.astimezone(CHINA_TIME) for alert in counting.raised_in(counting.period)]
    places = [each.weekday() * 24 + each.hour for each in now]
    return Charts(
        arrivals=tuple(minutes.count(each) for each in range(MINUTES_SHOWN + 1)), limit_minutes=limit,
        hours=tuple(places.count(each) for each in range(7 * 24)), weeks=_weeks(counting, counting.period),
        base_weeks=() if counting.base is None else _weeks(counting, counting.base),
        attained=tuple(_by_hour(counting, stage) for stage in STAGES),
    )  # fmt: skip


def _by_hour(counting: Counting, stage: AlertState) -> ByHour:
    towns = [alert for alert in counting.attained[stage].alerts if counting.group_of(alert).duty_class == "town"]
    hours = [alert.dispatched.astimezone(CHINA_TIME).hour for alert in towns]
    in_time = [hour for alert, hour in zip(towns, hours, strict=True) if alert.attained(stage)]
    return ByHour(
        stage=stage, counted=tuple(map(hours.count, range(24))), in_time=tuple(map(in_time.count, range(24)))
    )  # fmt: skip


def _weeks(counting: Counting, period: Period) -> tuple[int, ...]:
    week = timedelta(weeks=1)
    found = [(alert.dispatched - period.begin) // week for alert in counting.raised_in(period)]
    return tuple(found.count(each) for each in range(-((period.begin - period.end) // week)))


# ---- policy and signature ---

REPORT_PURPOSE: Final = "figures.report"
REPORT_FUNCTION: Final = "F23"
MAX_REPORT_BYTES: Final = 32 * 1024 * 1024
_MAX_MEMORY_BYTES: Final = 64 * 1024 * 1024
_TYPE: Final = "application/vnd.bridgehead.report.v1+json;suite="


def figures_request(
    action: str, agency: AgencyFacts, province: NodeName, *, county: str | None = None, occasion: Occasion,
    **facts: PolicyValue,
) -> PolicyRequest:  # fmt: skip
    """Asks whether an agency may `read` a report at its node, `deliver` figures of a county, or `recheck` stamps."""
    dossier = dossier_entity(DossierFacts(province=province, kind="figures", issuing_division=county))
    return ask(f"figures.{action}", agency, dossier, occasion=occasion, **facts)


class SignedReport(Item, frozen=True, kw_only=True):
    """A report's exact bytes, packed (xz) since names recur in it, and the node's signature over the bytes themselves.

    The signature is made under a payload type of its own, so that it is none of a statement.
    """

    WHAT: ClassVar[str] = "signed report"

    content: str
    key: Digest
    signature: str


def sign_report(report: Report, signer: Signer) -> bytes:
    content, key = encode(report), signer.public_key
    signature = signer.sign(pre_authentication_encoding(_TYPE + key.suite.value, content))
    packed = lzma.compress(content, preset=0)
    return encode(
        SignedReport(content=format_base64(packed), key=key.key_id, signature=format_base64(signature))
    )  # fmt: skip


def read_report(signed: bytes) -> tuple[SignedReport, bytes]:
    """Returns a signed report and its exact bytes, nothing verified; refuses JSON_*, BASE64, REPORT_PACKED."""
    item = decode(SignedReport, signed)
    unpack = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY_BYTES)
    try:
        content = unpack.decompress(parse_base64(item.content, "a report"), max_length=MAX_REPORT_BYTES)
    except lzma.LZMAError as error:
        raise MalformedError("REPORT_PACKED", "expected a packed report") from error
    if not unpack.eof or unpack.unused_data:
        raise MalformedError("REPORT_PACKED", f"expected a report of at most {MAX_REPORT_BYTES} bytes, and no more")
    return item, content


def open_report(signed: bytes, keys: Mapping[NodeName, Sequence[PublicKey]]) -> Report:
    """Returns the report when a key of the node that it names signed it; refuses SIGNER_UNKNOWN, SIGNATURE, JSON_*."""
    item, content = read_report(signed)
    report = decode(Report, content)
    known = [key for node in report.nodes[:1] for key in keys.get(node, ()) if key.key_id == item.key]
    if len(report.nodes) != 1 or not known:
        raise UntrustedError("SIGNER_UNKNOWN", f"expected a key of {', '.join(report.nodes)}, got {item.key:.16}")
    message = pre_authentication_encoding(_TYPE + known[0].suite.value, content)
    verify_signature(known[0], message, parse_base64(item.signature, "a signature"))
    return report


# ---- two nodes' reports ---


def unite_reports(one: Report, other: Report) -> Report:
    """The report of two nodes over the same counties, from the union of their leaves, with what only one has.

    Kinds and areas are left out: their leaves are not handed over. What one node hid stays hidden, and both sides read
    the union. Refuses reports of other periods, counties or definitions (FIGURES_DIFFER).
    """
    heads = [(each.kind, each.counties, each.period, each.definitions, each.procedure) for each in (one, other)]
    if heads[0] != heads[1]:
        raise MalformedError("FIGURES_DIFFER", "expected two reports of one kind, period, counties and definitions")
    pairs = {figure.key: figure for figure in other.figures}
    meanings = {each.id: each for each in one.meanings}
    figures: list[Figure] = []
    differences: list[Difference] = []
    for figure in one.figures:
        twin = pairs.get(figure.key)
        if twin is None or figure.group.area or figure.group.kind:
            continue
        if not figure.group.county or _is_hidden(figure) or _is_hidden(twin) or figure.source is not Source.OWN:
            figures.append(figure if _is_hidden(figure) or not _is_hidden(twin) else twin)
            continue
        united, difference = unite(meanings[figure.id], figure, twin)
        figures.append(united)
        differences += [difference] if difference is not None else []
    known = {figure.key for figure in one.figures}
    figures += [each for each in other.figures if each.key not in known and each.source is Source.DELIVERED]
    totals = tuple(_total(meanings, figures, each) for each in figures)
    return replace(
        one, nodes=(*one.nodes, *other.nodes), cut=max(one.cut, other.cut), breaches=(), listed=(), sample=(), more=0,
        charts=None,
        figures=hide_figures(totals, own=()), differences=tuple(differences),
    )  # fmt: skip


def _is_hidden(figure: Figure) -> bool:
    return figure.why in tuple(Hidden)


def _total(meanings: Mapping[str, Meaning], figures: Sequence[Figure], figure: Figure) -> Figure:
    """A figure over all counties, from the leaves of each; as it stands where one of them is hidden, or has none."""
    group = figure.group
    parts = [
        each
        for each in figures
        if (each.id, each.group.duty_class) == (figure.id, group.duty_class) and each.group.county
    ]
    if group.county or not parts or any(_is_hidden(each) for each in parts) or figure.source is not Source.OWN:
        return figure
    leaves: list[Leaf] = [leaf for each in parts for leaf in each.leaves]
    past = [leaf for each in parts for leaf in each.base_leaves]
    compared = all(each.base is not None for each in parts)
    total = count_figure(meanings[figure.id], group, leaves, base=past if compared else None)
    return replace(total, excused=None, late=None)
