"""Figures at a node: who reads a report, what it is counted from, its signature, and what an office hands in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from federation.domain import oversight
from federation.domain.figures import Figure, Group, Source
from federation.domain.figures_report import Report, open_report, unite_reports
from federation.domain.joint_record import Record
from federation.node import figures
from federation.node.exchange.errand import begin_errand
from federation.node.joint.records import ALERT, CASE, HeadProof, StoredEntry, StoredRecord
from federation.node.node import Node
from federation.protocol.errors import MalformedError, NotFoundError, RuleError, UntrustedError
from federation.protocol.form import encode, replace
from federation.protocol.ids import AgencyId, NodeName, format_message_id, parse_agency_id
from federation.protocol.keys import PublicKey
from federation.protocol.leaf import LeafKind
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import find_leaf
from federation.wire.agency import figures as wire
from federation.wire.agency.figures import (
    Delivery,
    DeliveryOutcome,
    FigureRow,
    RecheckOutcome,
    RecheckQuestion,
    ReportQuery,
)
from tests.domain.alert_ridge import NIGHT, QIUCHUAN, Ridge
from tests.node.alerts.border_desks import CHANGSHAN, YUSHAN, border_desks
from tests.node.rig import JIANGXI, POLICE, YUSHAN_POLICE, ZHEJIANG, Rig, act, running_rig

CENTRE = parse_agency_id("zhejiang/330822/governance")
KAIHUA = parse_agency_id("zhejiang/330824/governance")
TOWN = parse_agency_id("zhejiang/330822/town")
WHY = ("figures.report", "F23")
PAIR = ReportQuery(kind="pair", period="2026Q2", counties=("330822", "361123"))
HERE = Group(duty_class="town", county="330822")
DELIVERED = FigureRow(id="crime.incidents_yoy", place="330822", period="2026Q2", value="-31.43", words="自开通以来")


class Told(Ridge):
    """An alert whose record is named by the time when it was raised, as a node names it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.record = f"zhejiang/{format_message_id(NIGHT, number.to_bytes(10))}"
        self.nodes = {name: Record(self.record) for name in self.nodes}


def raised(number: int, at: float = 400, **more: str | tuple[str, ...]) -> Told:
    ridge = Told(number)
    ridge.raises(**more)
    for seconds, name, fields in (
        (20, "claim", {}), (60, "stamp", {"stage": "contacted"}), (at - 80, "stamp", {"stage": "arrived"})
    ):  # fmt: skip
        ridge.later(seconds).does(QIUCHUAN, name, **fields)
    ridge.meet()
    return ridge


async def hold(node: Node, ridge: Told) -> None:
    """Puts the entries of an alert into a node's store, as if they had come."""
    proof = HeadProof(salt="0" * 64, path=())

    def put(transaction: GroupTransaction) -> None:
        order = list(ridge.nodes[ZHEJIANG].order)
        for place, entry in enumerate(order, start=1):
            stored = StoredEntry(
                arrival=place, name=entry.name, author=entry.author, head=entry.head, proof=proof,
                arrived=entry.head.at, purpose="alert.duty", function="F12",
            )  # fmt: skip
            ALERT.entries.put(transaction, stored, owner=entry.author)
        row = StoredRecord(record=ridge.record, entries=len(order), step=1)
        ALERT.records.put(transaction, row, owner=ZHEJIANG)

    await node.sequencer.commit(put)


async def ask(
    node: Node, query: ReportQuery, caller: AgencyId = CENTRE, why: tuple[str, str] = WHY
) -> wire.SignedAnswer:
    return await figures.read_report(begin_errand(node, caller, act(*why)), query)


async def hand_in(node: Node, *rows: FigureRow, caller: AgencyId = POLICE) -> DeliveryOutcome:
    return await figures.deliver(begin_errand(node, caller, act(*WHY)), Delivery(figures=rows))


def keys_of(rig: Rig) -> dict[NodeName, tuple[PublicKey, ...]]:
    return {name: (rig[name].signer.public_key,) for name in rig.hosts}


async def report(rig: Rig, query: ReportQuery = PAIR, node: NodeName = ZHEJIANG, caller: AgencyId = CENTRE) -> Report:
    answer = await ask(rig[node], query, caller)
    assert answer.decision.allowed
    return open_report(answer.signed, keys_of(rig))


def of(found: Report, name: str, group: Group) -> Figure:
    return next(each for each in found.figures if each.id == name and each.group == group)


@asynccontextmanager
async def running(folder: Path, *names: NodeName) -> AsyncIterator[Rig]:
    async with running_rig(folder, names=names or (ZHEJIANG,)) as rig:
        yield rig


async def test_report_is_counted_from_what_the_node_holds_and_signed(tmp_path: Path) -> None:
    """Three alerts of the quarter count, an exercise counts as one; under another node's name it is refused."""
    async with running(tmp_path) as rig:
        for number in (1, 2, 3):
            await hold(rig[ZHEJIANG], raised(number, 700 if number == 3 else 400))
        await hold(rig[ZHEJIANG], raised(4, status="Exercise"))
        found = await report(rig)
        arrived = of(found, "response.attain.10", HERE)
        assert (arrived.numerator, arrived.denominator) == (2, 3)
        assert of(found, "exercise.n", Group(county="330822")).value == "1"
        assert [each.stage for each in found.breaches] == ["arrived"]
        assert not rig[ZHEJIANG].folds  # none was there before
        exercise = await report(rig, ReportQuery(kind="exercise", period="2026Q2", counties=("330822",)))
        assert of(exercise, "response.attain.10", HERE).denominator == 1
        later = await report(rig, ReportQuery(kind="county", period="2026Q3", counties=("330822",)))
        assert of(later, "alert.n", Group(county="330822")).value == "0"

        signed = (await ask(rig[ZHEJIANG], PAIR)).signed
        with pytest.raises(UntrustedError):
            open_report(signed, {JIANGXI: keys_of(rig)[ZHEJIANG]})


async def test_two_nodes_give_their_own_and_differ_by_named_entries(tmp_path: Path) -> None:
    """Each node signs what it holds; a neighbour's small number is hidden from each, and its leaves are not there."""
    async with running(tmp_path, ZHEJIANG, JIANGXI) as rig:
        alerts = [raised(number) for number in range(1, 11)]
        for each in alerts:
            await hold(rig[ZHEJIANG], each)
        for each in alerts[3:]:
            await hold(rig[JIANGXI], each)
        query = replace(PAIR, handed_over=True)
        yushan = parse_agency_id("jiangxi/361123/governance")
        one, other = await report(rig, query), await report(rig, query, JIANGXI, yushan)
        found = unite_reports(one, other)
        assert of(found, "response.attain.10", HERE).denominator == 10
        missed = [entry for ridge in alerts[:3] for entry in ridge.nodes[ZHEJIANG].order]
        named = {name for each in found.differences for name in (*each.only_one, *each.only_other)}
        assert named == {entry.name for entry in missed if entry.head.act in ("raise", "claim", "stamp")}
        for each_of in (one, other, found):
            assert of(each_of, "response.attain.10", replace(HERE, county="361123")).why == "small"
            assert of(each_of, "response.attain.10", replace(HERE, county="")).why == "beside"


async def test_who_reads(tmp_path: Path) -> None:
    """The centre of a county reads what is about it, an audit office the whole province; others get a logged no."""
    audit = parse_agency_id("zhejiang/330000/audit")
    async with running(tmp_path) as rig:
        node, quarter = rig[ZHEJIANG], ReportQuery(kind="quarter", period="2026Q2")
        assert (await ask(node, quarter)).decision.allowed
        assert (await ask(node, quarter, audit)).decision.allowed
        for caller, query, why in ((KAIHUA, PAIR, WHY), (TOWN, PAIR, WHY), (CENTRE, PAIR, ("alert.duty", "F12"))):
            answer = await ask(node, query, caller, why)
            assert not answer.decision.allowed
            assert answer.signed == b""


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (replace(PAIR, counties=("330822",)), "FIGURES_COUNTY"),
        (replace(PAIR, counties=("330822", "361199")), "FIGURES_COUNTY"),
        (replace(PAIR, counties=("361123", "361130")), "FIGURES_COUNTY"),
        (ReportQuery(kind="county", counties=("361123",)), "FIGURES_COUNTY"),
        (ReportQuery(kind="quarter", period="2030Q1"), "FIGURES_PERIOD"),
        (ReportQuery(kind="procedure", procedure="people-score"), "PROCEDURE_UNKNOWN"),
    ],
)
async def test_what_is_no_report(tmp_path: Path, query: ReportQuery, reason: str) -> None:
    """Counties without a desk or of another province alone, a period that has not begun, a procedure of nobody."""
    async with running(tmp_path) as rig:
        with pytest.raises((NotFoundError, MalformedError)) as caught:
            await ask(rig[ZHEJIANG], query)
        assert caught.value.reason == reason


async def test_delivered_figures(tmp_path: Path) -> None:
    """A police figure is a leaf of the log and stands in its period as it was written; a later one takes its place."""
    async with running(tmp_path) as rig:
        node = rig[ZHEJIANG]
        outcome = await hand_in(node, DELIVERED)
        assert [find_leaf(node.database, LeafKind.FIGURE, digest) is not None for digest in outcome.digests] == [True]
        rig.clock.advance(minutes=1)
        await hand_in(node, replace(DELIVERED, value="-30.1"))
        found = await report(rig)
        shown = of(found, "crime.incidents_yoy", Group(county="330822"))
        assert (shown.source, shown.value, shown.words, shown.by) == (
            Source.DELIVERED, "-30.1", "自开通以来", str(POLICE)
        )  # fmt: skip
        assert shown.numerator is None
        other = await report(rig, replace(PAIR, period="2026Q3"))
        assert "crime.incidents_yoy" not in {each.id for each in other.figures}


async def test_what_is_not_delivered(tmp_path: Path) -> None:
    """Another county's figure is refused by policy; one that is counted, or another office's, by its definition."""
    async with running(tmp_path) as rig:
        node = rig[ZHEJIANG]
        assert not (await hand_in(node, replace(DELIVERED, place="330824"))).decision.allowed
        for row, caller, reason in (
            (replace(DELIVERED, id="alert.n"), POLICE, "FIGURE_COUNTED"),
            (DELIVERED, CENTRE, "FIGURE_OWNER"),
            (replace(DELIVERED, numerator=5), POLICE, "FIGURE_PARTS"),
            (replace(DELIVERED, numerator=5, denominator=4), POLICE, "FIGURE_PARTS"),
            (replace(DELIVERED, id="people.score"), POLICE, "FIGURE_UNKNOWN"),
        ):
            with pytest.raises((RuleError, MalformedError, NotFoundError)) as caught:
                await hand_in(node, DELIVERED, row, caller=caller)
            assert caught.value.reason == reason
        assert not list(figures.DELIVERED.each(node.database))
        assert YUSHAN_POLICE.node == JIANGXI


async def test_alerts_that_desks_worked(tmp_path: Path) -> None:
    """What a desk accepted, contacted and arrived at is counted at its own node and at the neighbour's that was told."""
    async with border_desks(tmp_path) as border:
        await border.raises(CHANGSHAN)
        await border.does(CHANGSHAN, "claim")
        await border.does(CHANGSHAN, "stamp", stage="contacted")
        await border.does(CHANGSHAN, "stamp", stage="arrived")
        await border.settled()
        await border.raises(CHANGSHAN, status="Exercise")
        await border.settled()
        border.rig.clock.advance(minutes=11)  # before, the stage was not due
        query = replace(PAIR, period="")
        found = await report(border.rig, query)
        assert of(found, "response.attain.10", HERE).numerator == 1
        assert [of(found, name, Group(county="330822")).value for name in ("alert.n", "exercise.n")] == ["1", "1"]
        assert of(found, "response.attain.1", HERE).p50_ms is None
        theirs = await report(border.rig, query, JIANGXI, parse_agency_id("jiangxi/361123/governance"))
        assert of(theirs, "alert.n", Group(county="330822")).why == "small"


async def test_the_way_of_an_alert_is_known_at_both_ends(tmp_path: Path) -> None:
    """Twenty seconds on the way stand so at the node that raised it, by the receipt, and at the one that answered."""
    async with border_desks(tmp_path) as border:
        border.rig.faults(ZHEJIANG, JIANGXI).cut = True
        for place in ({}, {"area": "361123.circle.shuangming", "division": "361123108"}):
            await border.raises(CHANGSHAN, **place)
        border.rig.clock.advance(seconds=20)
        await border.rig.restore(ZHEJIANG, JIANGXI)
        await border.settled()
        border.rig.clock.advance(seconds=50)
        for row in ALERT.records.each(border.rig[ZHEJIANG].database):
            border.record = row.record
            await border.does(YUSHAN, "claim")
        await border.settled()
        border.rig.clock.advance(minutes=11)
        centres = {ZHEJIANG: CENTRE, JIANGXI: parse_agency_id("jiangxi/361123/governance")}
        for node, centre in centres.items():
            found = (await report(border.rig, replace(PAIR, period=""), node, centre)).breaches
            accepted = [(each.desk, each.transit_ms) for each in found if each.stage == "accepted"]
            assert accepted == [(YUSHAN, 20_000)]


async def test_a_stamp_of_the_sample_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Police say once what they found of a town's stamp, as a leaf of the log; the town itself may not."""
    response = ReportQuery(kind="response", period="2026Q2", counties=("330822",))
    async with running(tmp_path) as rig:
        node, told = rig[ZHEJIANG], raised(1)
        await hold(node, told)
        asked = RecheckQuestion(alert=told.record, stage="arrived", finding="wrong", words="监控显示无人到场")

        async def look(question: RecheckQuestion = asked, caller: AgencyId = POLICE) -> RecheckOutcome:
            return await figures.recheck(begin_errand(node, caller, act(*WHY)), question)

        monkeypatch.setattr(oversight, "SAMPLE_OF_10_000", 0)
        for question in (asked, replace(asked, alert=raised(2).record)):
            with pytest.raises(NotFoundError, match="not in the sample"):
                await look(question)
        assert (await report(rig, response)).sample == ()
        monkeypatch.setattr(oversight, "SAMPLE_OF_10_000", 10_000)
        assert not (await look(caller=TOWN)).decision.allowed
        outcome = await look()
        assert outcome.entry in {entry.name for entry in told.nodes[ZHEJIANG].order}
        with pytest.raises(RuleError, match="before"):
            await look(replace(asked, finding="confirmed"))
        (kept,) = figures.RECHECKS.each(node.database)
        assert find_leaf(node.database, LeafKind.FIGURE, sha256(encode(kept)).hexdigest()) is not None

        found = await report(rig, response)
        assert [(each.stage, each.finding, each.by) for each in found.sample] == [
            ("accepted", "", ""), ("contacted", "", ""), ("arrived", "wrong", str(POLICE))
        ]  # fmt: skip
        here = Group(county="330822")
        counts = [of(found, name, here) for name in ("recheck.share", "recheck.wrong")]
        assert [(each.numerator, each.denominator) for each in counts] == [(1, 3), (1, 1)]
        assert of(await report(rig, replace(PAIR, handed_over=True)), "recheck.share", here).why == "small"


async def test_records_that_cannot_be_folded_are_listed_and_not_passed_over(tmp_path: Path) -> None:
    """Of an alert and of a case whose opening is not here: neither counts, and the report says that they do not."""
    stamp = format_message_id(NIGHT, bytes(10))
    async with running(tmp_path) as rig:
        rows = [(family, StoredRecord(record=f"{JIANGXI}/{stamp}", entries=1, step=1)) for family in (ALERT, CASE)]
        for family, row in rows:
            await rig[ZHEJIANG].sequencer.commit(
                lambda tx, family=family, row=row: family.records.put(tx, row, owner=ZHEJIANG)
            )
        found = await report(rig)

    (waiting,) = [each for each in found.listed if each.why == "waiting"]
    assert waiting.records == (f"{JIANGXI}/{stamp}",) * 2
