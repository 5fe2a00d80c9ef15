"""Figures at a node: reports counted over the alerts and cases that it holds, signed by it; figures that are handed in.

A report is folded record by record, with others served in between, and keeps no fold that was not there before. What
an office hands in is kept as it stands, beside what it said before, and each row is a leaf of the log. Nothing of a
report is kept: it is counted anew whenever it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar, Final, TypeVar

from federation.domain.alert import Alert, AlertState
from federation.domain.alert_kinds import read_alerts
from federation.domain.clock import china_day
from federation.domain.division import NODES, province_of
from federation.domain.duty import Duty, read_duty
from federation.domain.figures import Counts, FigureTable, read_figures
from federation.domain.figures_count import Counting, Tally, place_of_alert
from federation.domain.figures_report import (
    Delivered,
    Head,
    ReportKind,
    figures_request,
    name_of_quarter,
    period_of,
    report_of,
    sign_report,
    verify_delivered,
)
from federation.domain.figures_sample import Finding, Recheck, pick, verify_recheck
from federation.domain.functions import FUNCTIONS_FILE, SENSITIVE, FunctionRegister, parse_functions
from federation.domain.joint_state import Case
from federation.domain.procedure import Procedure, read_rules
from federation.domain.response import Period
from federation.node.duty_volunteers import activity_in
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.replies import find_delivery
from federation.node.joint.records import ALERT, CASE, Family, Held, StoredRecord, each_sent, load_held
from federation.node.log.boot import leaf_entry
from federation.node.node import Node, plain_leaf
from federation.protocol.errors import NotFoundError, RuleError
from federation.protocol.form import Digest, Item, Time, encode, replace
from federation.protocol.ids import OfficerId, format_message_id, format_time, parse_record_id, truncate_to_millisecond
from federation.protocol.leaf import LeafKind
from federation.protocol.policy import PolicyRequest
from federation.store.collection import item_collection
from federation.store.columns import blind_index
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency import figures as wire
from federation.wire.agency.figures import (
    Delivery,
    DeliveryOutcome,
    RecheckOutcome,
    RecheckQuestion,
    ReportQuery,
    SignedAnswer,
)
from federation.wire.rpc import MAX_MESSAGE_BYTES

MAX_COUNTED: Final = 20_000
"""The most alerts, and the most cases, that one report is counted from."""
_AROUND: Final = timedelta(hours=1)
"""By how much the time in a record's name and that of its raise may differ."""
_SPARE_BYTES: Final = 64 * 1024
_S = TypeVar("_S")


class StoredFigure(Item, frozen=True, kw_only=True):
    """A figure as it was handed in, by which officer and when; a later one of the same place stands beside it."""

    WHAT: ClassVar[str] = "delivered figure"

    figure: Delivered
    officer: str
    time: Time


class StoredFigures(Item, frozen=True, kw_only=True):
    """The answer to figures that were handed in: the subjects of their leaves."""

    WHAT: ClassVar[str] = "figures kept"

    digests: tuple[Digest, ...]


DELIVERED: Final = item_collection(
    StoredFigure, kind="delivered-figure", replica=True, division=lambda kept: kept.figure.place,
    id=lambda kept: f"{kept.figure.period}/{kept.figure.id}/{kept.figure.place}/{format_time(kept.time)}",
)  # fmt: skip
"""By period, figure and place, in the order of time: the newest stands."""


@on(wire.READ_REPORT)
async def read_report(errand: Errand, query: ReportQuery) -> SignedAnswer:
    """Counts a report and signs it.

    Refuses FIGURES_MISSING, FIGURES_COUNTY, FIGURES_PERIOD, PROCEDURE_UNKNOWN, PROCEDURE_SENSITIVE, FIGURES_MANY and
    FIGURES_LARGE.
    """
    node, files = errand.node, errand.in_force.agreement.files
    table, duty, kind = read_figures(files), read_duty(files), ReportKind(query.kind)
    counties = _counties(errand, duty, kind, query.counties)
    register = parse_functions(files[FUNCTIONS_FILE].decode())
    if kind is ReportKind.PROCEDURE:
        _verify_procedure(files, register, query.procedure)
    name = query.period or name_of_quarter(node.today())
    period, base = period_of(name, node.now())
    ruling = await errand.ask(_question(errand, counties))
    if not ruling.allowed:
        return SignedAnswer(decision=ruling)
    is_exercise, of_alerts = kind is ReportKind.EXERCISE, kind is not ReportKind.PROCEDURE
    alerts, waiting, received = _NO_ALERTS if not of_alerts else await _alerts(node, [period, base][: 2 - is_exercise])
    of_cases = kind not in (ReportKind.EXERCISE, ReportKind.RESPONSE)
    cases, unopened = await _cases(node, base) if of_cases else ((), ())
    cases = tuple(case for case in cases if _may_be_counted(register, case.procedure))
    kinds = read_alerts(files).kinds
    counting = Counting(
        table=table, duty=duty, register=register, alerts=alerts, cases=cases,
        measured=lambda name: name in kinds and kinds[name].measured, counties=counties, period=period,
        base=None if is_exercise else base, status="Exercise" if is_exercise else "Actual",
        waiting=(*waiting, *unopened), received=received,
        tallies=await asyncio.to_thread(_tallies, node, duty, period),
    )  # fmt: skip
    if not query.handed_over:  # each node has a sample of its own
        counting = replace(counting, sample=await asyncio.to_thread(_sample, node, counting))
    head = Head(
        kind=kind, node=node.name, period=name, agreement=errand.in_force.agreement.version,
        own=() if query.handed_over else tuple(each for each in counties if province_of(each) == node.name),
        procedure=query.procedure, leaves=query.leaves or query.handed_over,
    )  # fmt: skip
    report = await asyncio.to_thread(report_of, counting, head, tuple(_delivered(node, table, head.period)))
    signed = sign_report(report, node.signer)
    if len(signed) > MAX_MESSAGE_BYTES - _SPARE_BYTES:
        raise RuleError("FIGURES_LARGE", "报告过长，请缩短统计期或不列所据记录。 | Ask for less, or without leaves.")
    return SignedAnswer(decision=ruling, signed=signed)


def _verify_procedure(files: Mapping[str, bytes], register: FunctionRegister, name: str) -> None:
    if not _may_be_counted(register, read_rules(files, name).procedure):
        raise RuleError("PROCEDURE_SENSITIVE", "这类案件不列入统计报告。 | No report counts cases of this kind.")


def _may_be_counted(register: FunctionRegister, procedure: Procedure) -> bool:
    """False where the register calls the data sensitive: that there is such a case, its members alone know."""
    function = register.functions.get(procedure.function)
    return function is not None and SENSITIVE not in function.data_classes


def _question(errand: Errand, counties: tuple[str, ...]) -> PolicyRequest:
    own = errand.caller.county in counties
    return figures_request("read", errand.agency, errand.node.name, occasion=errand.occasion, ownCounty=own)


def _counties(errand: Errand, duty: Duty, kind: ReportKind, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The counties of a report: those asked for, else all of the province; another province's only in a pair."""
    known = {desk.agency.county for desk in duty.desks.values()}
    home = {each for each in known if province_of(each) == errand.node.name}
    wanted = {ReportKind.PAIR: 2, ReportKind.COUNTY: 1}.get(kind)
    found = tuple(dict.fromkeys(asked)) or tuple(sorted(home))
    is_here = set(found) <= known and bool(set(found) & home) if kind is ReportKind.PAIR else set(found) <= home
    if not found or not is_here or (wanted is not None and len(found) != wanted):
        raise NotFoundError(
            "FIGURES_COUNTY",
            "须是本省值守表中的县；毗邻两县须有一县属本省。 | "
            "Expected counties of the own province with a desk, or a pair with one of them.",
        )
    return found


_Alerts = tuple[tuple[Alert, ...], tuple[str, ...], Mapping[str, datetime]]
_NO_ALERTS: Final[_Alerts] = ((), (), {})


async def _alerts(node: Node, periods: list[Period]) -> _Alerts:
    """The alerts of some periods, the records of which the opening, or its rules, is not here yet, and `_received`."""
    found: list[Alert] = []
    waiting: list[str] = []
    received: dict[str, datetime] = {}
    async for held in _folded(ALERT, node, _rows_of(node, periods)):
        if held.state is None or held.state.raised is None:
            waiting.append(held.id)
            continue
        found.append(held.state)
        if (at := _received(node, held, held.state, name=held.state.raised.name)) is not None:
            received[held.id] = at
    return tuple(found), tuple(waiting), received


def _received(node: Node, held: Held[Alert], alert: Alert, *, name: str) -> datetime | None:
    """Returns when the node of the desk that accepted an alert had its raise: by its own clock, or by its receipt.

    None where nobody accepted it, and at a node that is neither of the two.
    """
    accepted = alert.stamps.get(AlertState.ACCEPTED)
    agency = None if accepted is None else alert.rules.agency_of(accepted.desk)
    if agency is None:
        return None
    if agency.node == alert.arbiter:
        return alert.dispatched
    if agency.node == node.name:
        return held.kept[name].arrived
    sent = (each for each in each_sent(ALERT, node.database, held.id, name=name) if each.to == agency.node)
    return min((at for each in sent if (at := find_delivery(node, each.message_id).leafed) is not None), default=None)


def _rows_of(node: Node, periods: list[Period]) -> Iterator[StoredRecord]:
    """The rows of alerts by the time in their names, of every province."""
    for name in NODES:
        for period in periods:
            moments = (period.begin - _AROUND, period.end + _AROUND)
            first, last = (f"{name}/{format_message_id(moment, bytes(10))}" for moment in moments)
            for row in ALERT.records.each(node.database, under=f"{name}/", after=first):
                if row.record > last:
                    break
                yield row


async def _cases(node: Node, base: Period) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """The cases that are open, or were closed since the period of last year began, and those that wait as alerts do."""
    rows = (row for row in CASE.records.each(node.database) if row.closed is None or row.closed >= base.begin)
    folded = [(held.id, held.state) async for held in _folded(CASE, node, rows)]
    found = tuple(state for _, state in folded if state is not None)
    return found, tuple(record for record, state in folded if state is None)


async def _folded(family: Family[_S], node: Node, rows: Iterator[StoredRecord]) -> AsyncIterator[Held[_S]]:
    """Each record as this node holds it, others served in between. Refuses FIGURES_MANY."""
    for number, row in enumerate(rows):
        if number >= MAX_COUNTED:
            raise RuleError("FIGURES_MANY", f"expected at most {MAX_COUNTED} records to be counted at once")
        key = (family.name, row.record)
        is_hot = key in node.folds
        held = load_held(family, node, row.record)
        if not is_hot:
            node.folds.pop(key, None)
        yield held
        await asyncio.sleep(0)


def _tallies(node: Node, duty: Duty, period: Period) -> Mapping[Counts, tuple[Tally, ...]]:
    """The counties' own numbers of volunteers, patrols and problems, from what is kept here."""
    first, last = china_day(period.begin), min(china_day(period.end - timedelta(days=1)), china_day(period.cut))
    found: dict[Counts, list[Tally]] = {Counts.VOLUNTEERS: [], Counts.PATROLS: [], Counts.PROBLEMS: []}
    for group in duty.volunteers.values():
        county = group.id[:6]
        if province_of(county) != node.name:
            continue
        did = activity_in(node.database, group.id, first=first, last=last)
        for what, part, whole in (
            (Counts.VOLUNTEERS, did.roster, did.roster),
            (Counts.PATROLS, did.patrols, did.patrols),
            (Counts.PROBLEMS, did.fixed, did.found),
        ):
            found[what].append(Tally(county=county, part=part, whole=whole))
    return {what: tuple(tallies) for what, tallies in found.items()}


# ---- looked at again ---


RECHECKS: Final = item_collection(
    Recheck, kind="stamp-recheck", replica=True, id=lambda found: f"{found.record}/{found.entry}"
)


def _sample(node: Node, counting: Counting) -> Mapping[str, Recheck | None]:
    """The stamps of the own province that chance picked, with what was found of each."""
    own = (alert for alert in counting.alerts if province_of(counting.county_of(alert)) == node.name)
    picked = pick(own, _sample_key(node))
    return {each.entry: RECHECKS.find(node.database, f"{each.record}/{each.entry}") for each in picked}


def _sample_key(node: Node) -> bytes:
    return blind_index(node.database.keys, "alert.recheck", "sample")


@on(wire.RECHECK_STAMP)
async def recheck(errand: Errand, asked: RecheckQuestion) -> RecheckOutcome:
    """Keeps what an office found of a stamp of the sample. Refuses as `verify_recheck`, RECHECK_DONE, RECORD_ID."""
    node, record = errand.node, parse_record_id(asked.alert)
    ruling = await errand.ask(figures_request("recheck", errand.agency, node.name, occasion=errand.occasion))
    if not ruling.allowed:
        return RecheckOutcome(decision=ruling)
    alert, finding = load_held(ALERT, node, record).state, Finding(asked.finding)
    if alert is None or alert.raised is None or province_of(place_of_alert(alert)) != node.name:
        raise NotFoundError("RECHECK_SAMPLE", "该时点不在抽查之列。 | The stamp is not in the sample.")
    picked = verify_recheck(
        alert, asked.stage, _sample_key(node), by=errand.caller, finding=finding, words=asked.words
    )  # fmt: skip
    request = errand.asked("figures.recheck", f"{record} {picked.entry} {finding} {asked.words}")
    known = errand.remembered(request, Recheck)
    now, agreement = truncate_to_millisecond(node.now()), errand.in_force.agreement

    def write(transaction: GroupTransaction) -> Recheck:
        found = Recheck(
            record=record, entry=picked.entry, stage=asked.stage, finding=finding, words=asked.words.strip(),
            by=errand.caller, officer=OfficerId(errand.act.officer), time=now,
        )  # fmt: skip
        if RECHECKS.find(transaction, RECHECKS.id(found)) is not None:
            raise RuleError("RECHECK_DONE", "该时点已复核。 | The stamp was looked at again before.")
        RECHECKS.put(transaction, found, owner=node.name)
        digest = sha256(encode(found)).hexdigest()
        transaction.append_leaf(*leaf_entry(plain_leaf(agreement, LeafKind.FIGURE, digest, now=now)))
        return found

    kept = known.answer if known is not None else await errand.once(request, Recheck, write)
    return RecheckOutcome(decision=ruling, entry=kept.entry)


# ---- handed in ---


@on(wire.DELIVER_FIGURES)
async def deliver(errand: Errand, delivery: Delivery) -> DeliveryOutcome:
    """Keeps figures as their owner hands them in, all or none. Refuses as `verify_delivered`."""
    node, table = errand.node, read_figures(errand.in_force.agreement.files)
    figures = tuple(
        Delivered(
            id=row.id, place=row.place, period=row.period, value=row.value, words=row.words, by=errand.caller,
            numerator=row.numerator, denominator=row.denominator,
        )
        for row in delivery.figures
    )  # fmt: skip
    for place in sorted({each.place for each in figures}):
        question = figures_request("deliver", errand.agency, node.name, county=place, occasion=errand.occasion)
        ruling = await errand.ask(question)
        if not ruling.allowed:
            return DeliveryOutcome(decision=ruling)
    for each in figures:
        verify_delivered(table, each)
    asked = errand.asked("figures.deliver", b"\n".join(map(encode, figures)).decode())
    known = errand.remembered(asked, StoredFigures)
    now, agreement = truncate_to_millisecond(node.now()), errand.in_force.agreement

    def write(transaction: GroupTransaction) -> StoredFigures:
        digests = []
        for each in figures:
            kept = StoredFigure(figure=each, officer=errand.act.officer, time=now)
            digests.append(sha256(encode(kept)).hexdigest())
            DELIVERED.put(transaction, kept, owner=node.name)
            transaction.append_leaf(*leaf_entry(plain_leaf(agreement, LeafKind.FIGURE, digests[-1], now=now)))
        return StoredFigures(digests=tuple(digests))

    answer = known.answer if known is not None else await errand.once(asked, StoredFigures, write)
    return DeliveryOutcome(decision=ruling, digests=answer.digests)


def _delivered(node: Node, table: FigureTable, period: str) -> Iterator[Delivered]:
    """The newest of each figure and place that was handed in for a period, as far as the table still has it."""
    newest: dict[tuple[str, str], Delivered] = {}
    for kept in DELIVERED.each(node.database, under=f"{period}/"):
        newest[kept.figure.id, kept.figure.place] = kept.figure
    known = {each.id for each in table.figure}
    return (each for each in newest.values() if each.id in known)
