"""`bridgehead oversight`: what the leaders of a police office sign, review and are told of (监督).

Whoever signs does so with their own registered key (`--key`, as for `lookup fetch`) and names themselves (`--officer`).
Every reading is recorded at the node.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.client_profile import Desk, gathering, open_desk
from federation.cli.output import Form, say, show_json
from federation.domain.lookup.break_glass import Finding
from federation.domain.lookup.review import SampleFinding
from federation.domain.lookup.watch import FlagKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from federation.cli.output import JsonOut
    from federation.wire.client import AgencyClient
    from federation.wire.lookups.oversight.values import FlagPage, News, NoticePage, ReadingPage, SamplePage
    from federation.wire.values import Act

app = typer.Typer(name="oversight", no_args_is_help=True, help="The watch over look-ups (监督).")

CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="The case's number, such as CS-2026-0041.")]
KeyOption = Annotated[Path, typer.Option("--key", help="The file of your own key (本人密钥).")]
PageSize = Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many at once.")]
PageToken = Annotated[str, typer.Option("--page-token", help="Where the page before ended.")]
Everything = Annotated[bool, typer.Option("--all", help="Every page.")]
DayOption = Annotated[str | None, typer.Option("--day", help="YYYY-MM-DD in China; today.")]


@app.command("countersign")
@gathering(open_desk)
def countersign(
    desk: Desk,
    case_id: CaseArgument,
    key: KeyOption,
    bulk: Annotated[
        bool, typer.Option("--bulk", help="For look-ups beyond the case's quota; the leader and a second person sign.")
    ] = False,
) -> None:
    """Countersign (会签) a case, so that it may reach more persons, or more look-ups with --bulk."""
    from federation.cli.oversight import view
    from federation.cli.oversight.signing import sign_countersign

    question, act = sign_countersign(key, desk.profile.agency, case_id, bulk=bulk), act_of(desk)
    answer = desk.ask(lambda client: client.oversight.countersign(act, question))
    show(desk, view.countersigned_object(answer), view.countersigned_lines(answer))
    if not answer.complete and desk.form is Form.TEXT:
        say(f"请第二人执行 | next, a second person: bridgehead oversight countersign {case_id} --bulk --key FILE")


@app.command("notices")
@gathering(open_desk)
def notices(desk: Desk, page_size: PageSize = 100, page_token: PageToken = "", everything: Everything = False) -> None:
    """List (紧急查询) the cases opened without a letter and their reviews: overdue ones first."""
    from federation.cli.oversight import view
    from federation.wire.lookups.oversight.values import PageQuery

    act, query, agency = act_of(desk), PageQuery(page_size=page_size, page_token=page_token), desk.profile.agency

    async def read(client: AgencyClient) -> NoticePage:
        page = await client.oversight.list_notices(act, query, agency=agency)
        while everything and page.next_page_token:
            following = replace(query, page_token=page.next_page_token)
            more = await client.oversight.list_notices(act, following, agency=agency)
            page = replace(more, notices=(*page.notices, *more.notices))
        return page

    page = desk.ask(read, changes=False)
    show(desk, view.notices_object(page), view.notice_lines(page.notices) if page.notices else ())
    tell_count(desk, len(page.notices), page.next_page_token)


@app.command("review")
@gathering(open_desk)
def review(
    desk: Desk,
    case_id: CaseArgument,
    finding: Annotated[Finding, typer.Option("--finding", help="justified or unjustified.")],
    key: KeyOption,
    words: Annotated[str, typer.Option("--words", help="Why; an unjustified case is not closed without.")] = "",
) -> None:
    """Review (审查) a case that was opened without a letter; its leader does, by the next working day."""
    from federation.cli.oversight import view
    from federation.cli.oversight.signing import sign_review

    agency, act = desk.profile.agency, act_of(desk)
    question = sign_review(key, agency, case_id, finding=finding, words=words)
    state = desk.ask(lambda client: client.oversight.review(act, question, agency=agency))
    show(desk, view.notice_object(state), view.notice_lines([state]))


@app.command("flags")
@gathering(open_desk)
def flags(
    desk: Desk,
    by: Annotated[str | None, typer.Option("--by", help="Only of this officer's look-ups.")] = None,
    kind: Annotated[FlagKind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    case_id: Annotated[str | None, typer.Option("--case", help="Only of this case.")] = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    everything: Everything = False,
) -> None:
    """List (预警) what the watch flagged, newest first."""
    from federation.cli.oversight import view
    from federation.wire.lookups.oversight.values import FlagQuery

    act = act_of(desk)
    query = FlagQuery(officer=by, kind=kind, case_id=case_id, page_size=page_size, page_token=page_token)

    async def read(client: AgencyClient) -> FlagPage:
        page = await client.oversight.list_flags(act, query)
        while everything and page.next_page_token:
            more = await client.oversight.list_flags(act, replace(query, page_token=page.next_page_token))
            page = replace(more, flags=(*page.flags, *more.flags))
        return page

    page = desk.ask(read, changes=False)
    show(desk, view.flags_object(page), view.flag_lines(page.flags))
    tell_count(desk, len(page.flags), page.next_page_token)


@app.command("digest")
@gathering(open_desk)
def digest(
    desk: Desk,
    of: Annotated[str | None, typer.Option("--of", help="Whose day, when it is not your own; needs --key.")] = None,
    day: DayOption = None,
    key: Annotated[Path | None, typer.Option("--key", help="The file of your own key, to read another's day.")] = None,
) -> None:
    """Read (每日回执) the look-ups of a day: "you asked about these"."""
    from federation.cli.oversight import view
    from federation.cli.oversight.signing import sign_digest
    from federation.cli.permits.view import CHINA
    from federation.wire.lookups.oversight.values import DigestQuestion

    wanted, act = _day(day), act_of(desk)
    question = DigestQuestion(officer=of, day=wanted)
    if of is not None and of != desk.officer:
        if key is None:
            raise typer.BadParameter("a leader who reads somebody else's day signs for it: give --key FILE")
        found = wanted or datetime.now(CHINA).date()
        question = sign_digest(key, desk.profile.agency, of, day=found, reader=desk.officer)
    answer = desk.ask(lambda client: client.oversight.get_digest(act, question), changes=False)
    show(desk, view.digest_object(answer), view.digest_lines(answer))


@app.command("sample")
@gathering(open_desk)
def sample(
    desk: Desk,
    with_reviewed: Annotated[bool, typer.Option("--reviewed", help="The reviewed ones too.")] = False,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    everything: Everything = False,
) -> None:
    """List (抽查) the look-ups that chance picked for review by somebody else, oldest first."""
    from federation.cli.oversight import view
    from federation.wire.lookups.oversight.values import SampleQuery

    act = act_of(desk)
    query = SampleQuery(with_reviewed=with_reviewed, page_size=page_size, page_token=page_token)

    async def read(client: AgencyClient) -> SamplePage:
        page = await client.oversight.list_sample(act, query)
        while everything and page.next_page_token:
            more = await client.oversight.list_sample(act, replace(query, page_token=page.next_page_token))
            page = replace(more, items=(*page.items, *more.items))
        return page

    page = desk.ask(read, changes=False)
    show(desk, view.samples_object(page), view.sample_lines(page.items) if page.items else ())
    tell_count(desk, len(page.items), page.next_page_token)


@app.command("reviewed")
@gathering(open_desk)
def reviewed(
    desk: Desk,
    lookup_id: Annotated[str, typer.Argument(metavar="LOOKUP_ID", help="As `oversight sample` shows it.")],
    finding: Annotated[SampleFinding, typer.Option("--finding", help="lawful or doubtful.")],
    words: Annotated[str, typer.Option("--words", help="What was checked, and against what.")],
    key: KeyOption,
) -> None:
    """Record (复核) that you reviewed a look-up of the sample; nobody reviews their own."""
    from federation.cli.oversight import view
    from federation.cli.oversight.signing import sign_sample_review

    act = act_of(desk)
    question = sign_sample_review(key, desk.profile.agency, lookup_id, finding=finding, words=words)
    item = desk.ask(lambda client: client.oversight.review_sample(act, question))
    show(desk, view.sample_object(item), view.sample_lines([item]))


@app.command("readings")
@gathering(open_desk)
def readings(
    desk: Desk,
    case_id: Annotated[str | None, typer.Option("--case", help="Only in this case; a leader names it.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Only by this officer.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The file of the leader's own key; none for audit.")] = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    everything: Everything = False,
) -> None:
    """List (查阅留痕) who read what, newest first: for audit offices; for a case's leader with --case and --key."""
    from federation.cli.oversight import view
    from federation.cli.oversight.signing import sign_readings
    from federation.wire.lookups.oversight.values import ReadingQuery

    act = act_of(desk)
    query = ReadingQuery(case_id=case_id, officer=by, page_size=page_size, page_token=page_token)
    if key is not None:
        query = sign_readings(key, desk.profile.agency, query, reader=desk.officer)

    async def read(client: AgencyClient) -> ReadingPage:
        page = await client.oversight.list_readings(act, query)
        while everything and page.next_page_token:
            more = await client.oversight.list_readings(act, replace(query, page_token=page.next_page_token))
            page = replace(more, readings=(*page.readings, *more.readings))
        return page

    page = desk.ask(read, changes=False)
    show(desk, view.readings_object(page), view.reading_lines(page.readings) if page.readings else ())
    tell_count(desk, len(page.readings), page.next_page_token)


@app.command("watch")
@gathering(open_desk)
def watch(
    desk: Desk,
    count: Annotated[int | None, typer.Option("--count", min=1, help="End after so many.")] = None,
    after: Annotated[str, typer.Option("--after", help="The last token that was told: go on behind it.")] = "",
) -> None:
    """Be told (值班提醒) of each notice and flag at once, until Ctrl-C; open notices first. JSON: one object a line."""
    from federation.cli.oversight.following import follow

    act, left = act_of(desk), count

    def told(news: News) -> bool:
        nonlocal left
        _print_news(desk, news)
        left = left - 1 if left is not None else None
        return left != 0

    try:
        follow(desk, act, after=after, told=told)
    except KeyboardInterrupt:
        say("已停止 | stopped")


def _print_news(desk: Desk, news: News) -> None:
    from json import dumps

    from federation.cli.oversight import view

    if desk.form is Form.JSON:
        print(dumps(view.news_object(news), ensure_ascii=False), flush=True)
        return
    for line in view.news_lines(news):
        print(line, flush=True)


def act_of(desk: Desk) -> Act:
    """Who acts; what for is the office's own oversight, under the function that look-ups belong to."""
    from federation.domain.lookup_policy import LOOKUP_FUNCTION
    from federation.wire.values import Act

    return Act(
        request_id=desk.request_id,
        purpose=desk.purpose or "lookup.oversight",
        function=desk.function or LOOKUP_FUNCTION,
        officer=desk.officer,
    )


def show(desk: Desk, told: dict[str, JsonOut], lines: Iterable[str]) -> None:
    """Prints what came of a command in the form that was asked for."""
    if desk.form is Form.JSON:
        show_json({"request_id": desk.request_id, **told})
        return
    for line in lines:
        print(line)


def tell_count(desk: Desk, count: int, next_page_token: str) -> None:
    """Says how many there were and whether there are more."""
    if desk.form is Form.TEXT:
        say(f"共 {count} 条 | {count} in all" if not next_page_token else f"{count} 条 | {count} shown")
        if next_page_token:
            say(f"还有:加 --page-token {next_page_token} 或 --all | there are more")


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"expected --day as YYYY-MM-DD, got {text!r:.20}") from error
