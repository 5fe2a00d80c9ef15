"""`bridgehead subject`: what every province gave about one person, asked for that person at any node (本人查阅).

The clerk says with an option of its own that the person's identity was checked; policy refuses without. The exit code
is 1 when it was refused and 3 when a province has not answered yet: the same report can be read again.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.client_profile import Desk, gathering, open_desk
from federation.cli.output import Form, say, show_json

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient
    from federation.wire.lookups.values import ReportPage

app = typer.Typer(
    name="subject", no_args_is_help=True, help="For the person (本人): who asked about me; my record is wrong."
)


@app.callback()
def subject() -> None:
    """For the person (本人): who asked about me, from every province; corrections of a record, to its owner."""


@app.command("report")
@gathering(open_desk)
def report(
    desk: Desk,
    number: Annotated[
        str, typer.Argument(metavar="NUMBER", help="The person's citizen number; - reads it from stdin.")
    ],
    checked: Annotated[
        bool, typer.Option("--identity-checked", help="I have checked that it is the person who asks (已核对本人).")
    ] = False,
    page_size: Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many at once.")] = 100,
    page_token: Annotated[str, typer.Option("--page-token", help="Where the page before ended.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every page.")] = False,
) -> None:
    """Tell (查阅) a person who asked about them: agency, time, purpose, fields, basis; newest first."""
    from federation.cli.subject import view
    from federation.domain.lookup_policy import SUBJECT_FUNCTION, SUBJECT_PURPOSE
    from federation.wire.lookups.values import ReportQuestion
    from federation.wire.values import Act

    question = ReportQuestion(
        citizen_number=(sys.stdin.readline() if number == "-" else number).strip().upper(),
        identity_checked=checked,
        page_size=page_size,
        page_token=page_token,
    )
    act = Act(
        request_id=desk.request_id,
        purpose=desk.purpose or SUBJECT_PURPOSE,
        function=desk.function or SUBJECT_FUNCTION,
        officer=desk.officer,
    )

    async def read(client: AgencyClient) -> ReportPage:
        page = await client.subjects.get_report(act, question)
        while everything and page.next_page_token:
            following = await client.subjects.get_report(act, replace(question, page_token=page.next_page_token))
            page = replace(following, lines=(*page.lines, *following.lines))
        return page

    page = desk.ask(read, changes=False)
    if desk.form is Form.JSON:
        show_json({"request_id": desk.request_id, **view.report_object(page)})
    else:
        for line in view.report_lines(page):
            print(line)
        if page.next_page_token:
            say(f"还有:加 --page-token {page.next_page_token} 或 --all | there are more")
    code = view.report_code(page)
    if code:
        raise typer.Exit(code)
