"""Community corrections at two nodes: what crosses at which stage, who knows of it, an answer behind a cut link, a leave at home."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.domain.case_items import CaseItem
from federation.domain.figures_report import open_report
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.replies import statement_of
from federation.node.joint.records import CHANGES
from federation.node.joint.steps import count_closed
from federation.node.joint.trace import trace_case
from federation.node.log.replay import replay_log
from federation.protocol.errors import BridgeheadError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import Pair, parse_agency_id
from federation.protocol.trust import Agreement
from federation.store.messages import list_messages
from federation.wire.agency.cases import FigureQuery
from federation.wire.agency.figures import ReportQuery
from tests.node.alerts.border_desks import with_desks
from tests.node.joint.desks import Desks, desks, digest, with_agencies, with_offices
from tests.node.joint.test_apart import apart
from tests.node.joint.test_entries import same
from tests.node.joint.test_given import told
from tests.node.rig import HALL, JIANGXI, POLICE, START, YUSHAN_HALL, YUSHAN_POLICE, ZHEJIANG, act
from tests.node.test_figures import ask, keys_of

ORIGIN, OFFICE = parse_agency_id("zhejiang/330822/corrections"), parse_agency_id("zhejiang/330822/justice-office")
DESTINATION = parse_agency_id("jiangxi/361123/corrections")
PROSECUTOR = parse_agency_id("jiangxi/361123/procuratorate")
NUMBER = "330822219003070018"
PERSON = CaseItem(
    kind="corr_person",
    fields={
        "name": "林谷雨",
        "sex": "male",
        "number": NUMBER,
        "address": "常山县示例路9号",
        "new_address": "玉山县示例路8号",
    },
)
TERMS = CaseItem(
    kind="corr_terms", fields={"kind": "缓刑", "begins": "2101-01-01", "ends": "2103-01-01", "order": "no"}
)
REASON = CaseItem(kind="corr_reason", fields={"kind": "工作", "text": "到玉山工作"})


def with_corrections(agreement: Agreement) -> Agreement:
    """The agreement with the offices of corrections; police and halls of both counties stay as they are."""
    return with_agencies(with_offices(agreement, ()), (ORIGIN, OFFICE, DESTINATION, PROSECUTOR), ("F13",))


@pytest.fixture
async def case(tmp_path: Path) -> AsyncIterator[Desks]:
    """Applied in Changshan; the body of Yushan was invited early."""
    async with desks(tmp_path, wait=0.05) as found:
        found.rig.put_in_force(with_corrections(with_desks(found.rig.agreement)))
        made = Desks(found.rig, why=("corrections.move", "F13"))
        await made.open(ORIGIN, procedure="corrections-move", role="origin", division="330822", fields={})
        for office, role in ((OFFICE, "origin_office"), (DESTINATION, "destination"), (PROSECUTOR, "procuratorate")):
            await made.does(ORIGIN, "invite", agency=str(office), role=role)
            await made.settled()
            await made.does(office, "join")
            await made.settled()
        await made.does(OFFICE, "file_application", PERSON, TERMS, REASON, starts="2101-03-01", custody="no")
        for kind in ("application", "proof"):
            await made.does(OFFICE, "attach_paper", paper_kind=kind, manifest=digest(kind))
        await made.does(OFFICE, "office_opinion", opinion="agree")
        await made.settled()
        yield made


async def fields_shown(case: Desks, office) -> set[str]:
    """The fields of the application, by class, that an office reads."""
    (line,) = [line for line in await case.entries(office) if line.act == "file_application"]
    return {f"{item.kind}.{name}" for item in line.items for name in item.fields}


async def consulted(case: Desks) -> None:
    await case.does(ORIGIN, "move", to="consulting")
    await case.does(ORIGIN, "send_consult", number="常社矫函1号", day="2100-11-26")
    await case.does(ORIGIN, "move", to="checking")
    await case.settled()


async def test_each_class_crosses_from_its_stage_on_and_the_person_is_told_each_step(case: Desks) -> None:
    """Nothing before the question; end day and order with it; all terms, and the procuratorate, from the hand-over on."""
    assert await fields_shown(case, DESTINATION) == await fields_shown(case, PROSECUTOR) == set()
    assert {line.asker for line in told(case, ZHEJIANG, NUMBER).lines} <= {ORIGIN, OFFICE}

    await consulted(case)
    person = {f"corr_person.{name}" for name in PERSON.fields} | {"corr_reason.kind", "corr_reason.text"}
    assert await fields_shown(case, DESTINATION) == person | {"corr_terms.ends", "corr_terms.order"}
    assert await fields_shown(case, PROSECUTOR) == set()
    assert DESTINATION in {line.asker for line in told(case, ZHEJIANG, NUMBER).lines}

    await case.does(DESTINATION, "agree", number="玉社矫函1号")
    await case.does(DESTINATION, "move", to="deciding")
    await case.settled()
    await case.does(ORIGIN, "decide_move", number="常社矫变1号", day="2100-11-29")
    await case.does(ORIGIN, "move", to="handing_over")
    await case.settled()
    terms = {f"corr_terms.{name}" for name in TERMS.fields}
    assert await fields_shown(case, DESTINATION) == await fields_shown(case, PROSECUTOR) == person | terms
    assert PROSECUTOR in {line.asker for line in told(case, ZHEJIANG, NUMBER).lines}
    more = [line for line in told(case, ZHEJIANG, NUMBER).lines if line.step == "case.disclosure"]
    assert {(line.asker, line.fields) for line in more} == {
        (DESTINATION, frozenset({"corr_terms.kind", "corr_terms.begins"}))
    }
    for name in (ZHEJIANG, JIANGXI):
        book = case.rig[name].trust.in_force.policies
        assert replay_log(case.rig[name].database, lambda _version, _digest, book=book: book).is_whole


async def test_nobody_but_who_takes_part_knows_that_there_is_such_a_case(case: Desks) -> None:
    """No list, no feed, no reading of a neighbouring office; no counter tells of its code, here or beyond the border."""
    code = case.case
    for node, others in ((ZHEJIANG, (HALL, POLICE)), (JIANGXI, (YUSHAN_HALL, YUSHAN_POLICE))):
        for office in others:
            assert case.lines(office) == {}
            assert CHANGES.count(case.rig[node].database, str(office)) == 0
            assert not (await case.view(office)).decision.allowed
    assert list(case.lines(DESTINATION).values()) == ["applied"]
    assert CHANGES.count(case.rig[JIANGXI].database, str(DESTINATION)) > 0
    for counter in (HALL, YUSHAN_HALL):
        errand = begin_errand(case.rig[counter.node], counter, act("permit.check", "F01"))
        with pytest.raises(NotFoundError) as caught:
            await trace_case(errand, code)
        assert caught.value.reason == "CASE_CODE"


async def test_no_report_counts_it_and_its_members_count_their_own(case: Desks) -> None:
    """A closed case is in no figure of the centre's report, not by an entry either; under its name a report is refused."""
    await case.does(OFFICE, "person_withdraws", day="2100-11-26")
    closed = await case.does(ORIGIN, "close", outcome="withdrawn")
    await case.settled()
    case.rig.clock.advance(hours=1)

    node, query = case.rig[ZHEJIANG], ReportQuery(kind="quarter", period="2026Q4", leaves=True)
    answer = await ask(node, query)
    assert answer.decision.allowed
    found = open_report(answer.signed, keys_of(case.rig))
    assert "procedure.closed" in {figure.id for figure in found.figures}
    assert closed.name not in {name for figure in found.figures for leaf in figure.leaves for name in leaf.entries}
    assert "corrections-move" not in {figure.group.kind for figure in found.figures}
    with pytest.raises(RuleError) as caught:
        await ask(node, replace(query, kind="procedure", procedure="corrections-move"))
    assert caught.value.reason == "PROCEDURE_SENSITIVE"
    errand = begin_errand(node, ORIGIN, act(*case.why))
    own = await count_closed(errand, FigureQuery(procedure="corrections-move", since=START))
    assert [each.value for each in own.lines if each.name == "end.withdrawn"] == ["1"]


async def test_answer_and_withdrawal_behind_a_cut_link_both_stand_and_the_persons_will_counts(case: Desks) -> None:
    """Yushan agrees, the person withdraws in Changshan on the same day: both nodes fold alike, and nothing is granted."""
    await consulted(case)
    with apart(case):
        await case.does(DESTINATION, "agree", number="玉社矫函1号")
        await case.does(ORIGIN, "person_withdraws", day="2100-11-28")
    await case.settled()
    folded = same(case)
    assert {"agree", "person_withdraws"} <= folded.done.keys()
    await case.does(ORIGIN, "close", outcome="withdrawn")
    await case.settled()
    assert same(case).outcome == "withdrawn"


async def test_leave_stays_in_its_province_and_nothing_of_it_is_sent(case: Desks) -> None:
    """The justice office works with the corrections body; no message of it goes anywhere, and the person is told."""
    leave = Desks(case.rig, why=("corrections.leave", "F13"))
    await leave.open(ORIGIN, procedure="corrections-leave", role="home", division="330822", fields={})
    await leave.does(ORIGIN, "invite", agency=str(OFFICE), role="office")
    await leave.does(OFFICE, "join")
    route = CaseItem(kind="corr_route", fields={"county": "361123", "purpose": "就医"})
    filed = await leave.does(ORIGIN, "file_application", PERSON, route, starts="2101-03-01")
    with pytest.raises(BridgeheadError, match="CASE_ROLE"):
        await leave.tries(ORIGIN, "invite", agency=str(DESTINATION), role="home")
    await leave.settled()

    sent = list_messages(case.rig[ZHEJIANG].database, "sent", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=1000)
    assert {statement_of(each).case for each in sent} == {case.record}
    shown = {f"{item.kind}.{name}" for line in await leave.entries(OFFICE) if line.name == filed.name
             for item in line.items for name in item.fields}  # fmt: skip
    assert {"corr_route.county", "corr_person.name"} <= shown
    assert ("corrections.leave", OFFICE) in {(line.purpose, line.asker) for line in told(case, ZHEJIANG, NUMBER).lines}
