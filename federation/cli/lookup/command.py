"""`bridgehead lookup`: what a police officer asks other provinces, bound to a case (跨省核查).

First whether a province knows one person: hit or no hit. Then named fields of one hit, signed by the officer's own key.
A refusal by policy or by a rule such as a quota is an answer: it is shown with what decided and what would make it
lawful, and the exit code is 1; 3 when a province was not reached or did not answer in time. Each step is done once by
its request id: the same command with it gets the same look-up, waits for what is missing, and is not counted again.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.client_profile import (
    AgencyOption,
    ClientOption,
    Desk,
    FunctionOption,
    HomeOption,
    OfficerOption,
    RequestOption,
    TimeoutOption,
    gathering,
    open_desk,
)
from federation.cli.lookup.acts import end, lookup_act, show
from federation.cli.lookup.intake import inbox, refuse, release, remind
from federation.cli.lookup.operator import exact_name, keys, planted
from federation.cli.lookup.reading import result, trace
from federation.cli.output import Form, FormOption, say

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient
    from federation.wire.lookups.values import CaseAnswer, LookupPage, SearchResult

app = typer.Typer(name="lookup", no_args_is_help=True, help="Police look-ups across the border (跨省核查).")
cases = typer.Typer(name="case", no_args_is_help=True, help="The case (案件) that every look-up is bound to.")
app.add_typer(cases)
app.add_typer(keys)
app.add_typer(planted)

EVERYWHERE = "all"
"""Among the provinces that are named: every other one."""

CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="The case's number, such as CS-2026-0041.")]
CaseOption = Annotated[str, typer.Option("--case", help="The open case that this belongs to.")]


def open_case_desk(
    *,
    client: ClientOption = None,
    home: HomeOption = Path(".demo"),
    agency: AgencyOption = None,
    officer: OfficerOption = "clerk",
    purposes: Annotated[
        list[str] | None,
        typer.Option("--purpose", help="What the case may look up for; several. lookup.criminal_investigation."),
    ] = None,
    function: FunctionOption = None,
    request_id: RequestOption = None,
    timeout: TimeoutOption = 30.0,
    form: FormOption = Form.TEXT,
) -> tuple[Desk, frozenset[str]]:
    """Opens a desk as `open_desk`, for a case that may have several purposes; the first is that of the act.

    Raises:
        BridgeheadError, typer.BadParameter: as `open_desk`.
    """
    from federation.domain.lookup_policy import LookupPurpose

    found = list(purposes or [LookupPurpose.CRIMINAL_INVESTIGATION])
    desk = open_desk(
        client=client,
        home=home,
        agency=agency,
        officer=officer,
        purpose=found[0],
        function=function,
        request_id=request_id,
        timeout=timeout,
        form=form,
    )
    return desk, frozenset(found)


@cases.command("open")
@gathering(open_case_desk)
def open_case(
    opened: tuple[Desk, frozenset[str]],
    case_id: CaseArgument,
    counties: Annotated[list[str], typer.Option("--county", help="Six digits; several. Own county is added.")],
    leader: Annotated[str, typer.Option("--leader", help="The pseudonym of the leader who answers for it.")],
    letter: Annotated[str, typer.Option("--letter", help="Number of the cooperation letter (办案协作函).")] = "",
    days: Annotated[int, typer.Option("--days", min=1, max=90, help="Its term, 1 to 90.")] = 30,
) -> None:
    """Open (立案协作) a case; the provinces of its counties are told.

    A case BREAK-GLASS-... (紧急查询) needs no letter and runs two hours; its leader is notified at once and reviews it.
    """
    from federation.domain.lookup.case import BREAK_GLASS_PREFIX, is_break_glass
    from federation.wire.lookups.values import CaseQuestion

    glass = is_break_glass(case_id)
    if not glass and not letter.strip():
        raise typer.BadParameter(f"give --letter NUMBER; only a case {BREAK_GLASS_PREFIX}... is opened without")
    desk, purposes = opened
    question = CaseQuestion(
        case_id=case_id,
        letter="" if glass else letter,
        counties=frozenset(counties),
        purposes=purposes,
        days=0 if glass else days,
        leader=leader,
    )
    act = lookup_act(desk)
    answer = desk.ask(lambda client: client.lookups.open_case(act, question))
    if glass and answer.decision.allowed and desk.form is Form.TEXT:
        say(f"已通知 {leader},须于下一工作日前审查 | {leader} is notified and reviews it by the next working day:")
        say(f"  bridgehead oversight review {case_id} --finding justified|unjustified --key FILE --officer {leader}")
    _show_case(desk, answer, opened=True)


@cases.command("close")
@gathering(open_desk)
def close_case(desk: Desk, case_id: CaseArgument) -> None:
    """Close (结案) a case for good; every handle of it ends."""
    act = lookup_act(desk)
    _show_case(desk, desk.ask(lambda client: client.lookups.close_case(act, case_id)), opened=False)


@app.command("search")
@gathering(open_desk)
def search(
    desk: Desk,
    person: Annotated[
        str, typer.Argument(metavar="NUMBER", help="A citizen number, a permit's URN, a plate, a USCC; - reads stdin.")
    ],
    case_id: CaseOption,
    provinces: Annotated[
        list[str] | None,
        typer.Option("--province", help="Such as zhejiang; several; all for every other one. Those of the case."),
    ] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Answer within 10 minutes, not an hour.")] = False,
) -> None:
    """Ask (查询) whether provinces know one person, permit, vehicle or enterprise: hit or no hit, nothing else."""
    from federation.cli.lookup import view
    from federation.domain.lookup.asking import Urgency, parse_selector
    from federation.protocol.ids import Realm, parse_node_name
    from federation.wire.lookups.values import LookupQuestion

    text, act = _exact(person), lookup_act(desk)
    named = tuple(dict.fromkeys(parse_node_name(name) for name in provinces or ()))
    urgency = Urgency.URGENT if urgent else Urgency.ROUTINE

    async def ask(client: AgencyClient) -> SearchResult:
        status = await client.get_status()
        selector = parse_selector(text, Realm(status.realm))
        nodes = tuple(peer.node for peer in status.peers) if EVERYWHERE in named else named
        question = LookupQuestion(case_id=case_id, selector=selector, provinces=nodes, urgency=urgency)
        return await client.lookups.search(act, question)

    result = desk.ask(ask)
    show(desk, {"request_id": desk.request_id, **view.search_object(result)}, view.province_lines(result))
    for step in view.search_steps(result, request_id=desk.request_id):
        say(f"  -> {step}")
    end(view.outcome_code(answer.outcome for answer in result.answers))


@app.command("fetch")
@gathering(open_desk)
def fetch(
    desk: Desk,
    handle: Annotated[str, typer.Argument(metavar="HANDLE", help="As a search's hit showed it.")],
    case_id: CaseOption,
    province: Annotated[str, typer.Option("--province", help="Who gave the handle.")],
    fields: Annotated[list[str], typer.Option("--field", help="Such as holder_name; several, no more than needed.")],
    key: Annotated[Path, typer.Option("--key", help="The file of the officer's own key.")],
    full: Annotated[bool, typer.Option("--full", help="Do not mask citizen number and day of birth.")] = False,
) -> None:
    """Fetch (调取) named fields of one hit, signed by the officer's own key."""
    from federation.cli.lookup import view
    from federation.cli.lookup.officer_key import load_officer_key, sign_fetch
    from federation.cli.next_step import find_rule_steps
    from federation.protocol.ids import parse_node_name

    question = sign_fetch(
        load_officer_key(key),
        case_id=case_id,
        node=parse_node_name(province),
        handle=handle.removeprefix(view.HANDLE_PREFIX),
        fields=frozenset(fields),
    )
    act = lookup_act(desk)
    result = desk.ask(lambda client: client.lookups.fetch(act, question))
    told = {"request_id": desk.request_id, "node": question.node, **view.fetch_object(result, full=full)}
    show(desk, told, view.fetch_lines(result, full=full))
    if result.decision is not None and result.decision.allowed:
        for step in find_rule_steps(result.policies):
            say(f"  -> {step}")
    end(view.fetch_code(result.outcome))


@app.command("history")
@gathering(open_desk)
def history(
    desk: Desk,
    case_id: Annotated[str | None, typer.Option("--case", help="Only of this case.")] = None,
    asked_by: Annotated[str | None, typer.Option("--by", help="Only of this officer (民警).")] = None,
    page_size: Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many at once.")] = 100,
    page_token: Annotated[str, typer.Option("--page-token", help="Where the page before ended.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every page.")] = False,
) -> None:
    """List (记录) what the agency's officers looked up, newest first: cases, refusals and what is awaited too."""
    from federation.cli.lookup import view
    from federation.wire.lookups.values import LookupQuery

    act, query = (
        lookup_act(desk),
        LookupQuery(case_id=case_id, officer=asked_by, page_size=page_size, page_token=page_token),
    )

    async def read(client: AgencyClient) -> LookupPage:
        page = await client.lookups.list_lookups(act, query)
        while everything and page.next_page_token:
            following = await client.lookups.list_lookups(act, replace(query, page_token=page.next_page_token))
            page = replace(following, lines=(*page.lines, *following.lines))
        return page

    page = desk.ask(read, changes=False)
    show(desk, view.history_object(page), view.history_lines(page.lines) if page.lines else ())
    if desk.form is Form.TEXT:
        say(f"共 {len(page.lines)} 条 | {len(page.lines)} steps")
        if page.next_page_token:
            say(f"还有:加 --page-token {page.next_page_token} 或 --all | there are more")


def _exact(person: str) -> str:
    """What was typed or piped in, as records have it."""
    return exact_name(sys.stdin.readline() if person == "-" else person)


def _show_case(desk: Desk, answer: CaseAnswer, *, opened: bool) -> None:
    from federation.cli.lookup import view

    told = {"request_id": desk.request_id, **view.case_object(answer)}
    show(desk, told, view.case_lines(answer, opened=opened))
    end(0 if answer.decision.allowed else 1)


_OTHERS = (
    (inbox, "inbox"), (release, "release"), (refuse, "refuse"), (remind, "remind"),
    (result, "result"), (trace, "trace"),
)  # fmt: skip
for _command, _name in _OTHERS:
    app.command(_name)(gathering(open_desk)(_command))
