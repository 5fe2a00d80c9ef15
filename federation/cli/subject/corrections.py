"""`bridgehead subject correct` and what follows: corrections (更正) filed for a person, and the owner's desk.

The clerk says with an option of its own that the person's identity was checked; policy refuses without. A paper is
named by its digest, computed here: it does not leave the office. The exit code is 1 when it was refused and 3 when the
owner has not answered yet: the list tells.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.client_profile import Desk, gathering, open_desk
from federation.cli.output import Form, say, show_json
from federation.cli.subject.command import app
from federation.protocol.errors import NotFoundError

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient
    from federation.wire.lookups.corrections.values import CorrectionOutcome, CorrectionPage, CorrectionStep
    from federation.wire.values import Act

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The correction: a UUID, as the list shows it.")]
FullOption = Annotated[bool, typer.Option("--full", help="Do not mask citizen numbers and days of birth.")]
_StepCall = Callable[["AgencyClient", "Act", "CorrectionStep"], Awaitable["CorrectionOutcome"]]


@app.command("correct")
@gathering(open_desk)
def correct(
    desk: Desk,
    number: Annotated[
        str,
        typer.Argument(metavar="NUMBER", help="The person's citizen number in the record; - reads it from stdin."),
    ],
    permit: Annotated[str, typer.Option("--permit", metavar="URN", help="Such as urn:permit:330822:2026:000001.")],
    field: Annotated[str, typer.Option("--field", help="The wrong field, such as holder_name or residence_address.")],
    value: Annotated[str, typer.Option("--value", help="What it should say.")],
    words: Annotated[str, typer.Option("--words", help="Why, in the person's words.")],
    papers: Annotated[
        list[Path] | None, typer.Option("--paper", help="A paper that was shown, as a file: only its SHA-256 is sent.")
    ] = None,
    checked: Annotated[
        bool, typer.Option("--identity-checked", help="I have checked that it is the person who asks (已核对本人).")
    ] = False,
    full: FullOption = False,
) -> None:
    """File (申请更正) a correction of a person's record with the province that owns it."""
    from federation.cli.subject import correction_view
    from federation.domain.permit import parse_permit_urn
    from federation.wire.lookups.corrections.values import CorrectionFiling

    filing = CorrectionFiling(
        urn=parse_permit_urn(permit),
        field=field,
        value=value,
        words=words,
        papers=tuple(sorted({_digest(path) for path in papers or ()})),
        citizen_number=(sys.stdin.readline() if number == "-" else number).strip().upper(),
        identity_checked=checked,
    )
    outcome = desk.ask(lambda client: client.corrections.file(_act(desk), filing))
    _show_outcome(desk, outcome, full=full)
    code = correction_view.filing_code(outcome)
    if code:
        raise typer.Exit(code)


@app.command("corrections")
@gathering(open_desk)
def corrections(
    desk: Desk,
    ended: Annotated[bool, typer.Option("--all", help="Those that have ended, too, on every page.")] = False,
    number: Annotated[str, typer.Option("--number", help="Only those about this person (citizen number).")] = "",
    page_size: Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many at once.")] = 100,
    page_token: Annotated[str, typer.Option("--page-token", help="Where the page before ended.")] = "",
    full: FullOption = False,
) -> None:
    """List (更正清单) the corrections to decide here and those filed here, overdue ones first."""
    from federation.cli.subject import correction_view
    from federation.wire.lookups.corrections.values import CorrectionQuery

    query = CorrectionQuery(
        everything=ended, citizen_number=number.strip().upper(), page_size=page_size, page_token=page_token
    )

    async def read(client: AgencyClient) -> CorrectionPage:
        page = await client.corrections.list(_act(desk), query)
        while ended and page.next_page_token:
            following = await client.corrections.list(_act(desk), replace(query, page_token=page.next_page_token))
            page = replace(following, lines=(*page.lines, *following.lines), notices=page.notices)
        return page

    page = desk.ask(read, changes=False)
    if desk.form is Form.JSON:
        show_json(correction_view.page_object(page, full=full))
    else:
        for line in correction_view.page_lines(page, full=full):
            print(line)
        if page.next_page_token:
            say(f"还有:加 --page-token {page.next_page_token} 或 --all | there are more")
    if not page.decision.allowed:
        raise typer.Exit(1)


@app.command("grant")
@gathering(open_desk)
def grant(
    desk: Desk,
    correction: IdArgument,
    words: Annotated[str, typer.Option("--words", help="What to tell the person.")] = "",
    full: FullOption = False,
) -> None:
    """Grant (准予更正) a correction: the permit's next version goes to every holder by itself."""
    _take_step(desk, correction, lambda client, act, step: client.corrections.grant(act, step), words=words, full=full)


@app.command("deny")
@gathering(open_desk)
def deny(
    desk: Desk,
    correction: IdArgument,
    words: Annotated[str, typer.Option("--words", help="The reasons; the person is told.")],
    full: FullOption = False,
) -> None:
    """Deny (不予更正) a correction with reasons."""
    _take_step(desk, correction, lambda client, act, step: client.corrections.deny(act, step), words=words, full=full)


@app.command("extend")
@gathering(open_desk)
def extend(
    desk: Desk,
    correction: IdArgument,
    words: Annotated[str, typer.Option("--words", help="The reasons; the person is told.")],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="Working days more, at most 10.")] = 10,
    full: FullOption = False,
) -> None:
    """Extend (延期) the time of a correction once, before it is over."""
    _take_step(
        desk,
        correction,
        lambda client, act, step: client.corrections.extend(act, replace(step, days=days)),
        words=words,
        full=full,
    )


def _take_step(desk: Desk, correction: str, call: _StepCall, *, words: str, full: bool) -> None:
    from federation.wire.lookups.corrections.values import CorrectionStep

    step = CorrectionStep(correction_id=correction.strip().lower(), words=words)
    outcome = desk.ask(lambda client: call(client, _act(desk), step))
    _show_outcome(desk, outcome, full=full)
    if not outcome.decision.allowed:
        raise typer.Exit(1)


def _show_outcome(desk: Desk, outcome: CorrectionOutcome, *, full: bool) -> None:
    from federation.cli.subject import correction_view

    if desk.form is Form.JSON:
        show_json({"request_id": desk.request_id, **correction_view.outcome_object(outcome, full=full)})
        return
    for line in correction_view.outcome_lines(outcome, full=full):
        print(line)


def _act(desk: Desk) -> Act:
    from federation.domain.corrections.policy import CORRECTION_FUNCTION, CORRECTION_PURPOSE
    from federation.wire.values import Act

    return Act(
        request_id=desk.request_id,
        purpose=desk.purpose or CORRECTION_PURPOSE,
        function=desk.function or CORRECTION_FUNCTION,
        officer=desk.officer,
    )


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotFoundError("FILE_MISSING", f"expected a paper at {path}") from error
