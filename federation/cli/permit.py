"""`bridgehead permit`: what a clerk does with residence permits (居住证), at the agency's own node.

The citizen number and day of birth are masked unless `--full` is given. A refusal by policy is an answer: it is shown
with the deciding policy and what would make it lawful, and the exit code is 1.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.client_profile import Desk, gathering, open_desk
from federation.cli.output import progress, say
from federation.cli.permits.rows import Texts
from federation.cli.permits.typed_fields import gather_texts
from federation.domain.permit import PermitStatus, RevokeReason, parse_permit_urn
from federation.domain.recognition import RecognitionMode
from federation.protocol.ids import Realm

if TYPE_CHECKING:
    from federation.cli.permits.bulk import GoodRow, Tally
    from federation.domain.permit import PermitApplication
    from federation.domain.permit_policy import PermitPurpose
    from federation.wire.client import AgencyClient
    from federation.wire.values import Act, PermitAnswer, PermitPage

app = typer.Typer(name="permit", no_args_is_help=True, help="Residence permits (居住证).")

UrnArgument = Annotated[str, typer.Argument(metavar="URN", help="Such as urn:permit:330822:2026:000001.")]
FullOption = Annotated[bool, typer.Option("--full", help="Do not mask citizen number and day of birth.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="With --synthetic: the same people again.")]
PermitStep = Callable[["AgencyClient", "Act"], Awaitable["PermitAnswer"]]


@app.command("register")
@gathering(open_desk)
@gathering(gather_texts)
def register(
    texts: Texts,
    desk: Desk,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Invent a person (from --household).")] = False,
    seed: SeedOption = None,
    full: FullOption = False,
) -> None:
    """Register (登记) a permit; it goes to the entitled provinces by itself."""
    from federation.cli.permits.application import find_doubts

    application = _invent(desk, texts, seed) if synthetic else _read_application(desk, texts)
    for doubt in find_doubts(application):
        say(f"请核对 please check: {doubt}")
    _take_step(desk, lambda client, act: client.register_permit(act, application), full=full)


@app.command("endorse")
@gathering(open_desk)
def endorse(desk: Desk, urn: UrnArgument, full: FullOption = False) -> None:
    """Endorse (签注) a permit for the next year."""
    name = parse_permit_urn(urn)
    _take_step(desk, lambda client, act: client.endorse_permit(act, name), full=full)


@app.command("suspend")
@gathering(open_desk)
def suspend(desk: Desk, urn: UrnArgument, full: FullOption = False) -> None:
    """Record (中止使用功能) that a permit was not endorsed in time."""
    name = parse_permit_urn(urn)
    _take_step(desk, lambda client, act: client.suspend_permit(act, name), full=full)


@app.command("restore")
@gathering(open_desk)
def restore(desk: Desk, urn: UrnArgument, full: FullOption = False) -> None:
    """Restore (恢复) a suspended permit by a late endorsement; the years count anew."""
    name = parse_permit_urn(urn)
    _take_step(desk, lambda client, act: client.restore_permit(act, name), full=full)


@app.command("revoke")
@gathering(open_desk)
def revoke(
    desk: Desk,
    urn: UrnArgument,
    reason: Annotated[RevokeReason, typer.Option("--reason", help="Why: 已离开, 户口已迁入, 死亡, 骗领, 本人申请.")],
    full: FullOption = False,
) -> None:
    """Revoke (注销) a permit for good."""
    name = parse_permit_urn(urn)
    _take_step(desk, lambda client, act: client.revoke_permit(act, name, reason=reason), full=full)


@app.command("recognise")
@gathering(open_desk)
def recognise(
    desk: Desk,
    urn: UrnArgument,
    mode: Annotated[RecognitionMode, typer.Option("--mode", help="card: 按证互认, time: 按居住时间互认.")],
    number: Annotated[str, typer.Option("--number", help="The citizen number of the person at the window.")],
    full: FullOption = False,
) -> None:
    """Recognise (互认) another province's permit; its province is told the outcome. Exit 1 when not recognised."""
    from federation.cli.permits.answers import show_recognition
    from federation.domain.permit_policy import PermitPurpose
    from federation.wire.values import PermitRecognition

    presented = PermitRecognition(urn=parse_permit_urn(urn), mode=mode, citizen_number=number.strip().upper())
    act = desk.act(PermitPurpose.RECOGNITION)
    show_recognition(desk, desk.ask(lambda client: client.recognise_permit(act, presented)), full=full)


@app.command("show")
@gathering(open_desk)
def show(desk: Desk, urn: UrnArgument, full: FullOption = False) -> None:
    """Show (查看) one permit, own or another province's, with the fields that policy gives for the purpose."""
    from federation.cli.permits.answers import show_answer

    name = parse_permit_urn(urn)
    act = desk.act(_reading_purpose(desk))
    show_answer(desk, desk.ask(lambda client: client.get_permit(act, name), changes=False), full=full)


@app.command("list")
@gathering(open_desk)
def list_permits(
    desk: Desk,
    division: Annotated[str | None, typer.Option("--division", help="Only of this county of residence.")] = None,
    status: Annotated[PermitStatus | None, typer.Option("--status", help="Only those that stand so.")] = None,
    page_size: Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many at once.")] = 100,
    page_token: Annotated[str, typer.Option("--page-token", help="Where the page before ended.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every page.")] = False,
    full: FullOption = False,
) -> None:
    """List (列表) the permits that the agency may read."""
    from federation.cli.permits.answers import show_page
    from federation.wire.values import PermitQuery

    act = desk.act(_reading_purpose(desk))
    query = PermitQuery(residence_division=division, status=status, page_size=page_size, page_token=page_token)

    async def read(client: AgencyClient) -> PermitPage:
        page = await client.list_permits(act, query)
        while everything and page.next_page_token:
            following = await client.list_permits(act, replace(query, page_token=page.next_page_token))
            page = replace(following, permits=(*page.permits, *following.permits))
        return page

    show_page(desk, desk.ask(read, changes=False), full=full)


@app.command("import")
@gathering(open_desk)
def import_permits(
    desk: Desk,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="CSV with a heading, or JSON Lines.")] = None,
    encoding: Annotated[str, typer.Option("--encoding", help="Of the file, e.g. gb18030.")] = "utf-8",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, without the node.")] = False,
    realm: Annotated[Realm, typer.Option("--realm", help="With --dry-run: whose rules.")] = Realm.DEMO,
    synthetic: Annotated[int | None, typer.Option("--synthetic", min=1, help="Invent so many people instead.")] = None,
    seed: SeedOption = None,
) -> None:
    """Import (导入) an older register. Bad rows are told by line, good rows go on. Exit 1 when any row failed.

    The heading names the fields, in English or Chinese: holder_name, sex, ethnicity, birth_date, citizen_number,
    photo_digest, household_division, household_address, residence_division, residence_address, work_division, issuer,
    ground, residence_since, apply_date, accept_date, papers (apart by ;), guardian, sealed, issue_date, urn.
    """
    from federation.cli.permits.answers import show_tally
    from federation.cli.permits.bulk import Tally, judge_rows
    from federation.cli.permits.view import china_today

    if (file is None) is (synthetic is None):
        raise typer.BadParameter("give a FILE, or --synthetic N")
    tally = Tally()
    rows = _rows(desk, file, synthetic, seed=seed, encoding=encoding, tally=tally)
    if dry_run:
        judge_rows(rows, tally, realm=realm, today=china_today())
    else:
        _send(desk, rows, tally, total=synthetic, file=file)
    show_tally(desk, tally, dry_run=dry_run)


def _take_step(desk: Desk, step: PermitStep, *, full: bool) -> None:
    from federation.cli.permits.answers import show_answer
    from federation.domain.permit_policy import PermitPurpose

    act = desk.act(PermitPurpose.ADMINISTRATION)
    show_answer(desk, desk.ask(lambda client: step(client, act)), full=full)


def _reading_purpose(desk: Desk) -> PermitPurpose:
    """Police check, everybody else serves: the two purposes for which other provinces' permits are read."""
    from federation.domain.permit_policy import PermitPurpose

    return PermitPurpose.CHECK if desk.profile.agency.kind == "police" else PermitPurpose.SERVICE


def _read_application(desk: Desk, texts: Texts) -> PermitApplication:
    from federation.cli.permits.application import parse_application
    from federation.cli.permits.view import china_today
    from federation.domain.division import find_division

    county, today = desk.profile.agency.county, china_today().isoformat()
    usual = {"residence_division": county, "apply_date": today, "accept_date": today}
    filled = {name: text for name, text in usual.items() if not texts.get(name)} | texts
    division = find_division(filled["residence_division"])
    if division is not None and not filled.get("issuer"):
        filled["issuer"] = f"{division.name}公安局"
    return parse_application(filled)


def _invent(desk: Desk, texts: Texts, seed: int | None) -> PermitApplication:
    from federation.cli.permits.bulk import invent_one
    from federation.cli.permits.view import china_today

    dice = uuid.UUID(desk.request_id).int if seed is None else seed  # a repeat of the request is the same person
    return invent_one(desk.profile.agency, household=texts.get("household_division"), seed=dice, today=china_today())


def _rows(
    desk: Desk, file: Path | None, synthetic: int | None, *, seed: int | None, encoding: str, tally: Tally
) -> Iterator[GoodRow]:
    from federation.cli.permits.bulk import invent_imports, read_imports
    from federation.cli.permits.rows import read_rows
    from federation.cli.permits.view import china_today

    if file is not None:
        return read_imports(read_rows(file, encoding=encoding), tally)
    dice = uuid.UUID(desk.request_id).int if seed is None else seed
    return invent_imports(desk.profile.agency, synthetic or 0, seed=dice, today=china_today(), tally=tally)


def _send(desk: Desk, rows: Iterator[GoodRow], tally: Tally, *, total: int | None, file: Path | None) -> None:
    from federation.cli.permits.bulk import send_rows
    from federation.cli.permits.rows import count_lines
    from federation.domain.permit_policy import PermitPurpose

    act = desk.act(PermitPurpose.ADMINISTRATION)
    with progress("导入 import", total or (count_lines(file) if file else None)) as bar:
        desk.ask(
            lambda client: send_rows(
                client, act, rows, tally=tally, tell=lambda read: bar.update(bar.task_ids[0], completed=read)
            )
        )
