"""`bridgehead permit`: a clerk's work with residence permits (居住证). Masked unless `--full`; exit 1 when refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from federation.cli import rows, words
from federation.cli.completion import complete_permit
from federation.cli.imports import Import, Importing, open_import
from federation.cli.options import Desk, FullOption, Paging, command
from federation.cli.rows import (
    AcceptOption,
    Doubt,
    DoubtKind,
    Field,
    Found,
    Sheet,
    Texts,
    constant,
    read_accepted,
    settle_doubts,
)
from federation.cli.show import card, china_today, local_minute, say, table, to_json
from federation.cli.tree import identifier
from federation.domain.citizen_number import Sex, find_number_doubt, verify_citizen_number
from federation.domain.division import border_counties, find_division, find_division_doubt
from federation.domain.ethnic_groups import GROUP_OF, parse_ethnic_group
from federation.domain.permits import (
    HOLDER_FIELDS,
    PAPER_NAMES,
    Ground,
    Holder,
    Paper,
    PermitApplication,
    PermitStatus,
    PermitUrn,
    RevokeReason,
    find_faults,
    find_faults_in,
    format_permit_urn,
    parse_permit_urn,
    register_permit,
)
from federation.domain.permits_policy import FUNCTION_OF, PermitPurpose
from federation.domain.recognition import RecognitionMode, RecognitionOutcome
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import Realm
from federation.wire.agency import permits as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from federation.cli.imports import RowResult
    from federation.cli.show import JsonOut
    from federation.domain.permits import PermitItem
    from federation.protocol.ids import AgencyId
    from federation.wire.client import AgencyClient
    from federation.wire.rpc import Act, Rpc

app = typer.Typer(name="permit", no_args_is_help=True, help="Residence permits (居住证).")

UrnArgument = Annotated[
    str,
    typer.Argument(metavar="URN", help="Such as urn:permit:330822:2026:000001.", autocompletion=complete_permit),
    identifier,
]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="With --synthetic: the same people again.")]
Q = TypeVar("Q")
_DRAWS_FOR_ONE: Final = 2000


# ---- an application, from options or a row


def _sex_in(found: Found) -> Sex:
    return Sex.MALE if int(str(found["citizen_number"])[16]) % 2 else Sex.FEMALE


def _birth_in(found: Found) -> date:
    number = str(found["citizen_number"])
    return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))


def _application(**found: object) -> PermitApplication:
    holder = Holder(**{own: found.pop(name) for name, own in HOLDER_FIELDS.items()})  # type: ignore[arg-type]
    return PermitApplication(holder=holder, **found)  # type: ignore[arg-type]  # as the fields below read them


def _import(*, issue_date: date | None, urn: str | None, **found: object) -> wire.PermitImport:
    return wire.PermitImport(
        application=_application(**found), issue_date=issue_date, urn=PermitUrn(urn) if urn else None
    )


_NOTHING: Final = constant(None)
_FIELDS: Final = {
    "holder_name": Field(read=rows.Words(100, is_name=True), option="--name", help="The name."),
    "citizen_number": Field(read=rows.number, option="--citizen-number", help="The citizen number, 18 characters."),
    "sex": Field(read=rows.one_of(Sex), usual=_sex_in, option="--sex", help="The sex (as the number says)."),
    "ethnicity": Field(read=rows.spelled(GROUP_OF, parse_ethnic_group), option="--ethnicity", help="Ethnicity (民族)."),
    "birth_date": Field(read=rows.day, usual=_birth_in, option="--birth-date", help="Day of birth (by the number)."),
    "photo_digest": Field(read=rows.digest, usual=_NOTHING, option="--photo-digest", help="Photo: SHA-256 in hex."),
    "household_division": Field(read=rows.division, option="--household", help="The household's county, six digits."),
    "household_address": Field(read=rows.Words(200), option="--household-address", help="The household's address."),
    "residence_division": Field(read=rows.division, option="--residence", help="County of residence (own)."),
    "residence_address": Field(read=rows.Words(200), option="--residence-address", help="The address of residence."),
    "work_division": Field(read=rows.division, usual=_NOTHING, option="--work", help="The county of work, six digits."),
    "issuer": Field(read=rows.Words(100), option="--issuer", help="The issuing office (the county's police)."),
    "ground": Field(read=rows.one_of(Ground), option="--ground", help="Job, dwelling or study."),
    "residence_since": Field(read=rows.day, option="--since", help="The first day of residence, e.g. 2026-01-05."),
    "apply_date": Field(read=rows.day, option="--applied", help="The day of the application (today)."),
    "accept_date": Field(read=rows.day, option="--accepted", help="The day on which it was accepted (today)."),
    "papers": Field(
        read=rows.some_of(Paper), usual=constant(frozenset()), option="--paper", kind=list[str],
        help=f"A paper that was handed in; repeat for each: {', '.join(Paper)}.",
    ),
    "guardian": Field(read=rows.yes, usual=constant(False), option="--guardian", kind=bool, help="A guardian acts."),
    "sealed": Field(
        read=rows.yes, usual=constant(False), option="--sealed", kind=bool,
        help="Sealed: it leaves the province for nobody.",
    ),
}  # fmt: skip
_ISSUED: Final = {
    "issue_date": Field(read=rows.day, usual=_NOTHING),
    "urn": Field(read=rows.PERMIT_NAME, usual=_NOTHING),
}
words.WORDS["Paper"] = {paper.value: chinese for paper, (chinese, _) in PAPER_NAMES.items()}


def _judge(found: Found) -> Iterator[RuleError]:
    issued = found.get("issue_date")
    return find_faults_in(found, today=issued if isinstance(issued, date) else china_today())


_SHEET: Final = partial(Sheet, labels=words.PERMIT_FIELDS, reason="APPLICATION", judge=_judge)
APPLICATIONS: Final = _SHEET(fields=_FIELDS, make=_application)
IMPORTS: Final = _SHEET(fields={**_FIELDS, **_ISSUED}, make=_import)
"""A row of an older register; the last two fields are of a permit that was issued before."""


def find_doubts(application: PermitApplication) -> Iterator[Doubt]:
    """Finds what a person should look at; none of it is wrong for certain."""
    holder, number = application.holder, application.holder.citizen_number
    divisions = {
        "household_division": holder.household_division,
        "residence_division": application.residence_division,
        "work_division": application.work_division,
    }
    for name, text in (*divisions.items(), ("citizen_number", number)):
        yield from find_doubts_in(name, text) if text is not None else ()
    if holder.birth_date.isoformat().replace("-", "") != number[6:14]:
        yield Doubt(DoubtKind.BIRTH_DATE, "出生日期与号码不符", "birth_date: not the one in the citizen number")
    if (int(number[16]) % 2 == 1) is not (holder.sex is Sex.MALE):
        yield Doubt(DoubtKind.SEX, "性别与号码不符", "sex: not the one in the citizen number")
    office = county_police(application.residence_division)
    if office and application.issuer != office:
        yield Doubt(DoubtKind.ISSUER, f"签发机关不是{office}", "issuer: not the police of the county of residence")


def find_doubts_in(name: str, text: str) -> Iterator[Doubt]:
    """Finds what to look at in one field by itself: a code that is none, or no longer; a number that was cut."""
    is_number = name == "citizen_number"
    found = find_number_doubt(text) if is_number else find_division_doubt(text) if name.endswith("_division") else None
    if found:
        chinese, english = found.split(" | ")
        kind = DoubtKind.NUMBER if is_number else DoubtKind.DIVISION
        yield Doubt(kind, f"{words.PERMIT_FIELDS[name]}：{chinese}", f"{name}: {english}")
    if is_number and text.endswith("000"):
        rounded = "公民身份号码末三位为 000，或经 Excel 改动", "citizen_number: it ends in 000, as Excel rounds"
        yield Doubt(DoubtKind.NUMBER, *rounded)


def county_police(division: str) -> str:
    """The authority that issues the permits of a county (article 8), by its name; empty for a county unknown here."""
    found = find_division(division)
    return f"{found.name}公安局" if found is not None else ""


def judge_import(row: wire.PermitImport, realm: Realm, today: date) -> str | None:
    """Judges a row as its node would, as far as that needs no node; returns its name if it has one."""
    application, issued = row.application, row.issue_date or today
    verify_citizen_number(application.holder.citizen_number, realm, today=today)
    if issued > today:
        raise MalformedError("ISSUE_DATE", f"expected a day of issue up to {today}, got {issued}")
    urn = row.urn or format_permit_urn(application.residence_division, issued.year, serial="0")
    register_permit(application, urn, today=issued)
    return row.urn


def invent_applications(agency: AgencyId, *, seed: int, today: date) -> Iterator[PermitApplication]:
    """Yields applications of invented people in the agency's own county, as many as are taken (SYNTHETIC_COUNTY)."""
    from federation.cli.demo.synthetic import synthetic_applications

    if agency.county not in border_counties(agency.node):
        message = f"invented people live in border counties only; {agency.county} of {agency.node} is none"
        raise RuleError("SYNTHETIC_COUNTY", message)
    for application in synthetic_applications(agency.node, 10**9, seed=seed, today=today):
        if application.residence_division == agency.county:
            yield application


def invent_one(agency: AgencyId, *, household: str | None, seed: int, today: date) -> PermitApplication:
    """One adult whose record may be shared, from a household county or from anywhere (SYNTHETIC_COUNTY)."""
    for application in islice(invent_applications(agency, seed=seed, today=today), _DRAWS_FOR_ONE):
        fits = household is None or application.holder.household_division == household
        if fits and not application.sealed and not application.guardian:
            return application
    raise RuleError("SYNTHETIC_COUNTY", f"no invented person from {household} moves to {agency.county}")


# ---- what is shown


def permit_object(item: PermitItem, *, full: bool) -> dict[str, JsonOut]:
    """The permit as JSON; `standing` is its status, which the node has said for the day."""
    found = {name: value for name in words.PERMIT_FIELDS if (value := getattr(item, name, None)) is not None}
    shown = to_json(found, full=full)
    return {"standing": item.status.value, **(shown if isinstance(shown, dict) else {})}


def permit_lines(item: PermitItem | None, *, full: bool) -> Iterator[str]:
    if item is not None:
        shown = permit_object(item, full=full)
        del shown["standing"]
        yield from card(shown, enum="PermitStatus")


_BY_NUMBER: Final = (
    "未列出不等于没有：按号码只列出向本单位开放号码的；外省居住证按编号查阅（permit show）"
    " | not listed is not none: by number come those whose number the agency may read; another province's, by its URN"
)


def link_lines(links: Sequence[wire.RecognitionLink]) -> Iterator[str]:
    for link in links:
        outcome = words.word_of("RecognitionOutcome", link.outcome)
        said = words.enclosed(words.word_of("Confirmation", link.confirmation))
        mode = words.titled(words.word_of("RecognitionMode", link.mode))
        yield f"{words.label('recognised')}  {link.decided_on} {link.agency} {mode}{outcome}{said}"


def list_lines(items: Sequence[PermitItem]) -> Iterator[str]:
    status = ("status", lambda item: words.word(item.status))
    return table(items, "urn", status, "holder_name", "household_division", "endorsed_until")


# ---- commands


@command(app, "register", texts=APPLICATIONS.options(
    "The application (申请)", file="JSON or TOML with these fields; - is JSON on stdin."
))  # fmt: skip
def register(
    desk: Desk,
    texts: Texts,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Invent a person (from --household).")] = False,
    seed: SeedOption = None,
    accept: AcceptOption = None,
    full: FullOption = False,
) -> None:
    """Register (登记) a permit; it goes to the entitled provinces by itself. Doubts are told all at once: --accept."""
    accepted = read_accepted(accept)
    if synthetic:
        dice = uuid.UUID(desk.request_id).int if seed is None else seed  # a repeat of the request is the same person
        application = invent_one(
            desk.profile.agency, household=texts.get("household_division"), seed=dice, today=china_today()
        )
    else:
        application = APPLICATIONS.parse(_with_the_usual(desk, texts))
        doubts = [*APPLICATIONS.find_doubts(texts), *find_doubts(application)]
        settle_doubts(doubts, accepted, faults=find_faults(application, today=china_today()))
    _take_step(desk, wire.REGISTER_PERMIT, application, full=full)


@command(app, "endorse")
def endorse(desk: Desk, urn: UrnArgument, full: FullOption = False) -> None:
    """Endorse (签注) a permit for the next year."""
    _take_step(desk, wire.ENDORSE_PERMIT, parse_permit_urn(urn), full=full)


@command(app, "suspend")
def suspend(desk: Desk, urn: UrnArgument, full: FullOption = False) -> None:
    """Record (中止使用功能) that a permit was not endorsed in time."""
    _take_step(desk, wire.SUSPEND_PERMIT, parse_permit_urn(urn), full=full)


@command(app, "restore")
def restore(desk: Desk, urn: UrnArgument, full: FullOption = False) -> None:
    """Restore (恢复) a suspended permit by a late endorsement; the years count anew."""
    _take_step(desk, wire.RESTORE_PERMIT, parse_permit_urn(urn), full=full)


@command(app, "revoke")
def revoke(
    desk: Desk,
    urn: UrnArgument,
    reason: Annotated[
        RevokeReason, typer.Option("--reason", help="Why: left, household moved here, deceased, fraud, own request.")
    ],
    full: FullOption = False,
) -> None:
    """Revoke (注销) a permit for good."""
    _take_step(desk, wire.REVOKE_PERMIT, wire.PermitRevocation(urn=parse_permit_urn(urn), reason=reason), full=full)


@command(app, "recognise")
def recognise(
    desk: Desk,
    urn: UrnArgument,
    mode: Annotated[RecognitionMode, typer.Option("--mode", help="By the card, or by the time of residence.")],
    number: Annotated[str, typer.Option("--number", help="The citizen number of the person at the window.")],
    full: FullOption = False,
) -> None:
    """Recognise (互认) another province's permit; its province is told the outcome. Exit 1 when not recognised."""
    presented = wire.PermitRecognition(urn=parse_permit_urn(urn), mode=mode, citizen_number=words.condensed(number))
    answer = desk.call(wire.RECOGNISE_PERMIT, presented, act=_act(desk, PermitPurpose.RECOGNITION))
    found, item, lines = answer.recognition, answer.permit, list[str]()
    if found is not None:
        shown: dict[str, JsonOut] = {"outcome": words.word(found.outcome), "reason": words.word(found.reason)}
        if answer.confirmation is not None:
            shown["confirmation"] = words.word(answer.confirmation)
        if answer.copy_time is not None:
            shown["copy_time"] = local_minute(answer.copy_time)
        lines += card(shown | ({"counted_days": found.counted_days} if found.counted_days else {}))
        lines += (f"{words.label('service')}  {words.word(service)}" for service in found.services)
    lines += permit_lines(item, full=full)
    permit = permit_object(item, full=full) if item else None
    done = found is not None and found.outcome is not RecognitionOutcome.REFUSED
    desk.show(answer, lines, data={"permit": permit}, code=0 if done else 1)


@command(app, "show")
def show(desk: Desk, urn: UrnArgument, full: FullOption = False) -> None:
    """Show (查看) one permit, own or another province's, with the fields that policy gives for the purpose."""
    act = _act(desk, _reading_purpose(desk))
    reading = desk.call(wire.GET_PERMIT, parse_permit_urn(urn), act=act, changes=False)
    newer = reading.outdated_by
    old = (f"副本已过时：签发省已有第 {newer} 版 | outdated copy: its owner has version {newer}",) if newer else ()
    copied = [f"{words.label('copy_time')}  {local_minute(reading.copy_time)}"] if reading.copy_time else []
    twice = [
        f"重复登记：同一人另有 {double} | registered twice: the same person holds {double}"
        for double in reading.doubles
    ]
    lines = (*copied, *link_lines(reading.recognitions))
    _show_permit(desk, reading, lines=lines, notes=(*old, *twice), full=full)


@command(app, "list")
def list_permits(
    desk: Desk,
    paging: Paging,
    division: Annotated[str | None, typer.Option("--division", help="Only of this county of residence.")] = None,
    status: Annotated[PermitStatus | None, typer.Option("--status", help="Only those that stand so.")] = None,
    number: Annotated[str, typer.Option("--number", help="Only those about this person (citizen number).")] = "",
    full: FullOption = False,
) -> None:
    """List (列表) the permits that the agency may read."""
    person = words.condensed(number) or None
    query = wire.PermitQuery(residence_division=division, status=status, citizen_number=person)
    page = desk.read(wire.LIST_PERMITS, query, paging, act=_act(desk, _reading_purpose(desk)), items="permits")
    permits = [permit_object(item, full=full) for item in page.permits]
    if person is not None:
        say(_BY_NUMBER)
    desk.show_page(page, list_lines(page.permits), items="permits", noun="permits", data={"permits": permits})


@command(app, "import", asked=open_import)
def import_permits(
    asked: Import,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help=rows.FILE_HELP)] = None,
    synthetic: Annotated[int | None, typer.Option("--synthetic", min=1, help="Invent so many people instead.")] = None,
    seed: SeedOption = None,
) -> None:
    """Import (导入) an older register. All is checked before the first row is stored; bad rows are told by line.

    The heading names the fields, in English or Chinese; --template writes it. Rows that may be wrong are stored with
    --accept and the name of the doubt. A mended file is imported again as it is: rows that stand are not doubled.
    Exit 1 when any row was not stored.
    """
    invented = None
    if synthetic is not None:
        dice = uuid.UUID(asked.request_id).int if seed is None else seed
        invented = list(invent_imports(asked.desk.profile.agency, synthetic, seed=dice, today=china_today()))
    asked.run(IMPORTING, file, invented)


def invent_imports(agency: AgencyId, count: int, *, seed: int, today: date) -> Iterator[tuple[int, wire.PermitImport]]:
    """Yields invented permits of the agency's own county; their lines count from 1."""
    for number, application in enumerate(islice(invent_applications(agency, seed=seed, today=today), count), start=1):
        yield number, wire.PermitImport(application=application)


async def send_chunk(
    act: Act, client: AgencyClient, number: int, chunk: Sequence[wire.PermitImport]
) -> Sequence[RowResult]:
    """Sends one chunk of an import, whose id is that of the act; a chunk that cannot be read fails row by row."""
    sent = wire.ImportChunk(import_id=act.request_id, chunk=number, rows=tuple(chunk))
    try:
        return await client.call(wire.IMPORT_PERMITS, act, sent)
    except MalformedError as error:
        return [error] * len(chunk)


IMPORTING: Final = Importing(
    sheet=IMPORTS,
    doubts=lambda row: find_doubts(row.application),
    same=lambda row: f"{row.application.holder.citizen_number} {row.application.residence_division}",
    judge=judge_import,
    act=lambda desk: _act(desk, PermitPurpose.ADMINISTRATION),
    send=send_chunk,
)


def _take_step(desk: Desk, rpc: Rpc[Q, wire.PermitAnswer], question: Q, *, full: bool) -> None:
    _show_permit(desk, desk.call(rpc, question, act=_act(desk, PermitPurpose.ADMINISTRATION)), full=full)


def _show_permit(
    desk: Desk, answer: wire.PermitAnswer, *, lines: Iterable[str] = (), notes: Iterable[str] = (), full: bool
) -> None:
    item = answer.permit
    permit = permit_object(item, full=full) if item else None
    desk.show(answer, (*permit_lines(item, full=full), *lines), data={"permit": permit}, notes=notes)


def _act(desk: Desk, usual: PermitPurpose) -> Act:
    """Returns who acts and what for: the purpose that is usual for the step unless another was given."""
    purpose = desk.purpose or usual.value
    function = desk.function or next((code for known, code in FUNCTION_OF.items() if known == purpose), None)
    if function is None:
        raise typer.BadParameter(
            f"目的 {purpose!r:.60} 没有对应的职能：写 --function，或者换用 {'、'.join(FUNCTION_OF)}"
            f" | no function is known for {purpose!r:.60}; give --function, or one of these purposes: "
            f"{', '.join(FUNCTION_OF)}"
        )
    return desk.act(purpose, function)


def find_permits(desk: Desk, begins: str, *, most: int) -> wire.PermitPage:
    """The first of those that the office may read and whose names begin so and go on."""
    query = wire.PermitQuery(page_size=most, begins=begins)
    return desk.call(wire.LIST_PERMITS, query, act=_act(desk, _reading_purpose(desk)), changes=False)


def _reading_purpose(desk: Desk) -> PermitPurpose:
    """Police check, everybody else serves: the two purposes for which other provinces' permits are read."""
    return PermitPurpose.CHECK if desk.profile.agency.kind == "police" else PermitPurpose.SERVICE


def _with_the_usual(desk: Desk, texts: Texts) -> Texts:
    """The texts over what is usual at this desk: the own county, today; its police is who issues, and nobody else."""
    county, today = desk.profile.agency.county, china_today().isoformat()
    usual = {"residence_division": county, "apply_date": today, "accept_date": today}
    filled = {name: text for name, text in usual.items() if not texts.get(name)} | texts
    office = county_police(words.condensed(filled["residence_division"]))
    if office and words.cell_text(filled.get("issuer", "")) not in {"", office}:
        sentence = f"签发机关：应为{office}，可不填 | issuer: expected the county's police, or nothing"
        raise MalformedError("APPLICATION", sentence, field="issuer")
    return filled | ({"issuer": office} if office else {})
