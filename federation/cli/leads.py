"""`bridgehead lead`: a lead that belongs to another province's force is handed over, accepted or declined (线索移交).

A lead has no source, no informer and no person's number. A paper is named by its digest, computed here: it stays in the
office. The exit code is 1 when the other side refused a lead, 3 when it was not delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from federation.cli.next_step import NEXT_STEPS
from federation.cli.options import Desk, Paging, commands_for, paper_digest
from federation.cli.show import CHINA, deadline_text, local_minute
from federation.cli.tree import identifier
from federation.cli.words import WORDS, overdue_mark, titled, word
from federation.domain.division import format_division_path
from federation.domain.leads import LEAD_FUNCTION, LEAD_PURPOSE, Lead
from federation.protocol.ids import parse_message_id
from federation.wire.agency import leads as wire
from federation.wire.rpc import PageQuery

app = typer.Typer(name="lead", no_args_is_help=True, help="Leads for another province's force (线索移交).")
command = commands_for(LEAD_PURPOSE, LEAD_FUNCTION)

IdArgument = Annotated[str, typer.Argument(metavar="LEAD", help="The lead, as the list shows it."), identifier]
_TIMES: Final = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
WORDS["LeadStanding"] = {
    "waiting": "待接收", "accepted": "已接收", "declined": "不接收", "refused": "未受理", "undelivered": "未送达",
}  # fmt: skip
NEXT_STEPS.update({
    "LEAD_NAMES_PERSON": "删去身份号码，另发协作函 | take the number out; a letter says who it is about",
    "LEAD_UNKNOWN": "核对编号：bridgehead lead list | compare the id with the list: bridgehead lead list",
})  # fmt: skip
_CODES: Final = {wire.LeadStanding.REFUSED: 1, wire.LeadStanding.UNDELIVERED: 3}


@command(app, "hand-over")
def hand_over(
    desk: Desk,
    county: Annotated[str, typer.Argument(metavar="COUNTY", help="Where it happened: six digits, such as 330822.")],
    offence: Annotated[str, typer.Option("--offence", help="What it is about (案由), such as 盗窃.")],
    place: Annotated[str, typer.Option("--place", help="Where in the county (地点).")],
    time: Annotated[datetime, typer.Option("--time", formats=_TIMES, help="When it happened, in China (案发时间).")],
    found: Annotated[datetime, typer.Option("--found", formats=_TIMES, help="When it was found to belong elsewhere.")],
    facts: Annotated[str, typer.Option("--facts", help="What is known (事实): no source, no person's number.")],
    notice: Annotated[Path, typer.Option("--notice", help="The transfer notice, as a file: only its SHA-256 is sent.")],
    papers: Annotated[list[Path] | None, typer.Option("--paper", help="Another paper, in the same way.")] = None,
    measure: Annotated[str | None, typer.Option("--measure", help="The urgent measure taken first (紧急措施).")] = None,
) -> None:
    """Hand over (移交线索) a lead to the force of the county where it happened."""
    lead = Lead(
        offence=offence, county=county, place=place, facts=facts, measure=measure,
        time=time.replace(tzinfo=CHINA), found=found.replace(tzinfo=CHINA),
        notice=paper_digest(notice), papers=frozenset(paper_digest(each) for each in papers or ()),
    )  # fmt: skip
    _show_outcome(desk, desk.call(wire.HAND_OVER_LEAD, lead))


@command(app, "accept")
def accept(desk: Desk, lead: IdArgument) -> None:
    """Accept (接收线索) a lead: it is handed over, and its time ends."""
    _answer(desk, lead)


@command(app, "decline")
def decline(
    desk: Desk, lead: IdArgument, reason: Annotated[str, typer.Option("--reason", help="Why; its finder reads it.")]
) -> None:
    """Decline (不予接收) a lead with a reason."""
    _answer(desk, lead, reason)


@command(app, "list")
def list_(desk: Desk, paging: Paging) -> None:
    """List (线索清单) what this office handed over and what it got, newest first."""
    page = desk.read(wire.LIST_LEADS, PageQuery(), paging)
    desk.show_page(page, (text for line in page.lines for text in lead_lines(line)), noun="leads")


def lead_lines(line: wire.LeadLine) -> Iterator[str]:
    handed, lead, answer = line.handed, line.handed.lead, line.answer
    yield f"{handed.lead_id}  {word(line.standing)}{overdue_mark() if line.overdue else ''}"
    yield f"  {titled('移交|handed over')}{local_minute(handed.created)}  {handed.finder} -> {handed.force}"
    yield f"  {titled('案由|offence')}{lead.offence}"
    place = f"{format_division_path(lead.county) or lead.county} {lead.place}"
    yield f"  {titled('案发|happened')}{local_minute(lead.time)}  {place}"
    yield f"  {titled('事实|facts')}{lead.facts}"
    yield f"  {titled('紧急措施|urgent measure')}{lead.measure or '-'}"
    papers = ", ".join(digest[:16] for digest in (lead.notice, *sorted(lead.papers)))
    yield f"  {titled('移送案件通知书及材料|notice and papers')}{papers} (SHA-256)"
    yield f"  {titled('期限|due')}{deadline_text(handed.deadline)}"
    if answer is not None:
        yield f"  {titled('答复|answer')}{local_minute(answer.time)}  {answer.reason or ''}".rstrip()
    if line.policies:
        yield f"  {titled('理由|because')}{', '.join(line.policies)}"


def _answer(desk: Desk, lead: str, reason: str | None = None) -> None:
    step = wire.LeadStep(lead_id=parse_message_id(lead), accepted=reason is None, reason=reason)
    _show_outcome(desk, desk.call(wire.ANSWER_LEAD, step))


def _show_outcome(desk: Desk, outcome: wire.LeadOutcome) -> None:
    line = outcome.line
    lines = lead_lines(line) if line is not None else ()
    desk.show(outcome, lines, code=_CODES.get(line.standing, 0) if line is not None else 0)
