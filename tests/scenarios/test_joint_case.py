"""A dispute between Changshan and Yushan from the counter to the archive, by real nodes, one of which is away meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from federation.cli.demo.provinces import stop_nodes, stop_process, wait_ready
from federation.domain.case_items import CaseItem
from federation.domain.clock import china_day
from federation.node.home.agreement import load_home_agreement
from federation.node.serve import utc_now
from federation.protocol.ids import NodeName
from federation.wire.agency.cases import (
    ACT_IN_CASE,
    LIST_DUE_CASES,
    LIST_ENTRIES,
    OPEN_CASE,
    READ_CASE,
    TRACE_CASE,
    WATCH_CASES,
    CaseOpening,
    CaseStep,
    CaseView,
    DueQuery,
    EntryLine,
    EntryQuery,
)
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.provinces import ISLAND, Federation, make_federation, start_node

ZHEJIANG, JIANGXI = NodeName("zhejiang"), NodeName("jiangxi")
OFFICES: Mapping[str, str] = {
    "town": "zhejiang/330822/town", "village": "zhejiang/330822/village", "body": "zhejiang/330822/mediation-body",
    "peer": "jiangxi/361123/governance", "peer_body": "jiangxi/361123/mediation-body",
}  # fmt: skip
MEDIATORS = "zhejiang/330822/mediation-body#m-1,jiangxi/361123/mediation-body#m-2"
PATIENCE = 60.0
"""Seconds for a node that was away to have all entries."""


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def why(officer: str = "officer-1") -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose="dispute.mediation", function="F09", officer=officer)


@dataclass
class Matter:
    """One case, and a client for each office that takes part."""

    federation: Federation
    desks: Mapping[str, AgencyClient]
    code: str = ""
    entries: list[str] = field(default_factory=list)

    async def does(
        self, desk: str, name: str, *items: CaseItem, officer: str = "officer-1", **fields: str
    ) -> EntryLine:
        step = CaseStep(
            case=self.code, name=name, fields={key.rstrip("_"): text for key, text in fields.items()}, items=items
        )
        outcome = await self.desks[desk].call(ACT_IN_CASE, why(officer), step, timeout_seconds=60)
        assert outcome.decision.allowed, outcome.decision
        assert outcome.entry is not None
        assert outcome.entry.without_effect == "", outcome.entry
        self.entries.append(outcome.entry.name)
        return outcome.entry

    async def view(self, desk: str) -> CaseView:
        return await self.desks[desk].call(READ_CASE, why(), self.code)

    async def names(self, desk: str) -> list[str]:
        page = await self.desks[desk].call(LIST_ENTRIES, why(), EntryQuery(case=self.code, page_size=1000))
        return [line.name for line in page.lines]

    async def caught_up(self, desk: str) -> None:
        """Waits until an office's node has every entry that was written."""
        async with asyncio.timeout(PATIENCE):
            while not set(self.entries) <= set(await self.names(desk)):
                await asyncio.sleep(0.05)

    async def invites(self, desk: str, role: str) -> None:
        await self.does("town", "invite", agency=OFFICES[desk], role=role)
        async with asyncio.timeout(PATIENCE):
            while not (await self.view(desk)).decision.allowed:
                await asyncio.sleep(0.05)
        await self.does(desk, "join")
        await self.caught_up("town")


@contextlib.asynccontextmanager
async def matter(folder: Path) -> AsyncIterator[Matter]:
    federation = make_federation(folder, intake_seconds=0.2)
    try:
        for name in (ZHEJIANG, JIANGXI):
            start_node(federation.made, name, island=ISLAND)
        wait_ready(federation.made, (ZHEJIANG, JIANGXI))
        async with contextlib.AsyncExitStack() as stack:
            desks = {
                name: await stack.enter_async_context(federation.client(agency)) for name, agency in OFFICES.items()
            }
            yield Matter(federation, desks)
    finally:
        stop_nodes(federation.made)


async def registered(case: Matter) -> None:
    """Opened at the counter, registered, accepted, passed on to both sides."""
    opening = CaseOpening(
        procedure="dispute-mediation", role="town", division="330822",
        fields={"stage": "registration", "source": "walk_in"},
    )  # fmt: skip
    opened = await case.desks["town"].call(OPEN_CASE, why(), opening, timeout_seconds=60)
    assert opened.line is not None, opened.decision
    case.code = opened.line.code
    assert opened.entry is not None
    case.entries.append(opened.entry.name)
    party = CaseItem(kind="party", fields={"side": "A", "name": "林甲", "county": "330822", "last4": "0011"})
    await case.does("town", "register", tags="joint_mediate", kind="path", division="330822", line="on_the_line")
    await case.does("town", "add_party", party, party="p1", side="A", role="applicant", county="330822")
    await case.does("town", "add_party", party="p2", side="B", role="respondent", county="361123")
    await case.does("town", "check_duplicates", hits="0")
    await case.does("town", "move", to="acceptance")
    await case.does("town", "accept")
    await case.does("town", "move", to="routing")
    await case.does("town", "name_owner", agency=OFFICES["town"])
    for desk, role in (("peer", "peer"), ("body", "body"), ("peer_body", "body"), ("village", "village")):
        await case.invites(desk, role)
    await case.does("town", "move", to="assignment")


async def assigned(case: Matter) -> None:
    """Mediators of both sides, chosen by both parties, both bodies having signed the check of ties."""
    proposed = await case.does("body", "propose_mediators", who=MEDIATORS)
    await case.caught_up("peer")
    await case.does("town", "choose_mediator", about=proposed.name, on_behalf="p1")
    await case.does("peer", "choose_mediator", about=proposed.name, on_behalf="p2")
    await case.does("town", "sign_recusal_check", about=proposed.name, result="clear")
    await case.does("peer", "sign_recusal_check", about=proposed.name, result="clear")
    await case.caught_up("town")
    await case.does("town", "move", to="investigation")


async def test_dispute_is_settled_though_one_province_was_away(tmp_path: Path) -> None:
    """Yushan's node is stopped while Changshan goes on; back again it holds all, in the same order, and the case ends."""
    text = digest("agreement")
    async with matter(tmp_path) as case:
        await registered(case)
        await assigned(case)
        await case.caught_up("peer")

        async with aclosing(case.desks["peer"].watch(WATCH_CASES, why(), "0")) as stream:
            seen = await anext(stream)
        assert seen.line is not None
        stop_process(case.federation.made.processes[JIANGXI])
        fact = CaseItem(kind="fact", fields={"text": "界路宽两米，双方均认可", "agreed": "both"})
        away = await case.does("body", "add_fact", fact, fact="f1", agreed="both", source="site_visit")
        assert [sent.state.value for sent in away.deliveries] == ["waiting"]
        await case.does("body", "close_facts")
        await case.does("body", "move", to="mediation")
        start_node(case.federation.made, JIANGXI, island=ISLAND)
        wait_ready(case.federation.made, (JIANGXI,))
        await case.caught_up("peer")
        page = await case.desks["peer"].call(LIST_ENTRIES, why(), EntryQuery(case=case.code, page_size=1000))
        async with aclosing(case.desks["peer"].watch(WATCH_CASES, why(), seen.token)) as stream:
            again = await anext(stream)  # behind a token of the process that is no more
        assert again.line is not None
        assert (again.line.code, again.line.stage) == (case.code, "mediation")
        items = [item for line in page.lines if line.name == away.name for item in line.items]
        assert items[0].fields["text"] == fact.fields["text"]

        await case.does("body", "hear", officer="m-1", parties="p1,p2", form="place")
        await case.does("body", "move", to="agreement")
        await case.does("body", "draft", agreement=text, form="written")
        await case.does(
            "body", "add_obligation", agreement=text, obligation="o1", party="p2", what="payment", due="2026-12-20",
            sum="300000",
        )  # fmt: skip
        await case.caught_up("peer")
        await case.does("town", "sign", agreement=text, as_="party", on_behalf="p1")
        await case.does("peer", "sign", agreement=text, as_="party", on_behalf="p2")
        await case.caught_up("town")
        await case.does("body", "sign", officer="m-1", agreement=text, as_="mediator")
        await case.does("body", "sign", agreement=text, as_="body")
        await case.does("town", "move", to="performance")
        today = china_day(utc_now()).isoformat()
        await case.does("town", "record_payment", obligation="o1", sum="300000", day=today)
        await case.does("town", "record_performance", obligation="o1", day=today)
        await case.does("town", "move", to="follow_up")
        await case.does("village", "record_visit", satisfied="yes", relapse="no")
        await case.does("town", "move", to="archive")
        due = await case.desks["town"].call(
            LIST_DUE_CASES, why(), DueQuery(before=utc_now().replace(year=utc_now().year + 1))
        )
        assert [line.code for line in due.lines] == [case.code]
        await case.does("town", "archive", manifest=digest("file"), whole="yes")
        await case.does("town", "set_retention", rule="case.civil", destroy_by="2029-01-20")
        await case.does("town", "close", outcome="settled_performed")
        await case.caught_up("peer")

        views = [await case.view(desk) for desk in ("town", "peer")]
        for view in views:
            assert view.line is not None
            assert (view.line.stage, view.line.outcome, view.notices) == ("archive", "settled_performed", ())
        assert await case.names("town") == await case.names("peer")
        traced = await case.desks["peer"].call(TRACE_CASE, why(), case.code)
        assert traced.lines[-1].zh.startswith("已办结")
        assert not any("林甲" in line.zh for line in traced.lines)

    agreement = load_home_agreement(case.federation.home("zhejiang"), now=utc_now())
    with kept_homes({name: case.federation.home(name) for name in (ZHEJIANG, JIANGXI)}) as kept:
        await check_federation(kept, agreement, now=utc_now())
