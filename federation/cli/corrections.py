"""`bridgehead subject correct` and what follows: corrections (更正) filed for a person, and the owner's desk.

A paper is named by its digest, computed here: it does not leave the office. The exit code is 1 when it was refused and
3 when the owner has not answered yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from federation.cli.options import (
    Desk,
    FullOption,
    IdentityOption,
    PageSize,
    PageToken,
    Paging,
    commands_for,
    more_notes,
    paper_digest,
    read_line,
)
from federation.cli.reports import COMPLAINT_RIGHT, IDENTITY_STEP, app
from federation.cli.show import deadline_text, local_minute, mask, to_json
from federation.cli.tree import identifier
from federation.cli.words import (
    PERMIT_FIELDS,
    WORDS,
    condensed,
    label,
    overdue_mark,
    plain,
    punctuated,
    said,
    titled,
    word,
    word_of,
)
from federation.domain.corrections import (
    CORRECTION_FUNCTION,
    CORRECTION_PURPOSE,
    IDENTITY_FIELDS,
    NOT_BY_REQUEST,
    RECORD_FIELDS,
)
from federation.domain.permits import parse_permit_urn
from federation.protocol.form import replace
from federation.wire.agency import corrections as wire

if TYPE_CHECKING:
    from federation.cli.show import JsonOut
    from federation.wire.rpc import Rpc

Q = TypeVar("Q")
command = commands_for(CORRECTION_PURPOSE, CORRECTION_FUNCTION)

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The correction: a UUID, as the list shows it."), identifier
]
WORDS["CorrectionStanding"] = {
    "waiting": "等待受理", "open": "办理中", "granted": "准予更正", "denied": "不予更正",
    "refused": "未受理", "undelivered": "未送达",
}  # fmt: skip
_LATE: Final = frozenset({wire.CorrectionStanding.WAITING, wire.CorrectionStanding.UNDELIVERED})
_NO: Final = frozenset({wire.CorrectionStanding.REFUSED, wire.CorrectionStanding.DENIED})
_NEXT: Final = "所属省尚未答复，稍后查看 | its owner has not answered, look later: bridgehead subject corrections"
_COPIES: Final = (
    "  新版本送有权接收的省；其他持有副本的省、经核查取得该字段的单位获告已更正 | "
    "the new version goes to every entitled province; who else holds a copy or looked the field up is told"
)


@command(app, "correct")
def correct(
    desk: Desk,
    number: Annotated[
        str, typer.Argument(metavar="NUMBER", help="The person's citizen number in the record; - reads it from stdin.")
    ],
    permit: Annotated[
        str, typer.Option("--permit", metavar="URN", help="Such as urn:permit:330822:2026:000001."), identifier
    ],
    field: Annotated[str, typer.Option("--field", help="The wrong field, such as holder_name or residence_address.")],
    value: Annotated[str, typer.Option("--value", help="What it should say.")],
    words: Annotated[str, typer.Option("--words", help="Why, in the person's words.")],
    papers: Annotated[
        list[Path] | None, typer.Option("--paper", help="A paper that was shown, as a file: only its SHA-256 is sent.")
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="[look_alike|division|number]",
            help="Doubts that were looked at, by name; repeat for each.",
        ),
    ] = None,
    checked: IdentityOption = False,
    full: FullOption = False,
) -> None:
    """File (申请更正) a correction of a person's record with the province that owns it."""
    field, value = read_wanted(field, value, accept)
    filing = wire.CorrectionFiling(
        urn=parse_permit_urn(permit),
        field=field,
        value=value,
        words=words,
        papers=tuple(sorted({paper_digest(path) for path in papers or ()})),
        citizen_number=condensed(read_line(number)),
        identity_checked=checked,
    )
    outcome = desk.call(wire.FILE_CORRECTION, filing)
    steps = () if checked else (IDENTITY_STEP,)
    _show_outcome(desk, outcome, full=full, steps=steps, code=filing_code(outcome))


@command(app, "corrections")
def corrections(
    desk: Desk,
    ended: Annotated[bool, typer.Option("--all", help="Those that have ended, too, on every page.")] = False,
    number: Annotated[str, typer.Option("--number", help="Only those about this person (citizen number).")] = "",
    page_size: PageSize = 100,
    page_token: PageToken = "",
    full: FullOption = False,
) -> None:
    """List (更正清单) the corrections to decide here and those filed here, overdue ones first."""
    query = wire.CorrectionQuery(everything=ended, citizen_number=condensed(number) or None)
    paging = Paging(page_size, page_token, everything=ended)
    page = desk.read(wire.LIST_CORRECTIONS, query, paging, items="corrections")
    late = sum(line.overdue for line in page.corrections)
    found: list[JsonOut] = [to_json(masked(line, full=full), full=full) for line in page.corrections]
    data: dict[str, JsonOut] = {"corrections": found, "overdue": late}
    desk.show(page, page_lines(page, full=full), data=data, notes=more_notes(page.next_page_token))


@command(app, "grant")
def grant(
    desk: Desk,
    correction: IdArgument,
    words: Annotated[str, typer.Option("--words", help="What to tell the person.")] = "",
    full: FullOption = False,
) -> None:
    """Grant (准予更正) a correction: the permit's next version goes to every holder by itself."""
    _take_step(desk, wire.GRANT_CORRECTION, wire.CorrectionStep(correction_id=correction, words=words), full=full)


@command(app, "deny")
def deny(
    desk: Desk,
    correction: IdArgument,
    words: Annotated[str, typer.Option("--words", help="The reasons; the person is told.")],
    full: FullOption = False,
) -> None:
    """Deny (不予更正) a correction with reasons."""
    _take_step(desk, wire.DENY_CORRECTION, wire.CorrectionStep(correction_id=correction, words=words), full=full)


@command(app, "extend")
def extend(
    desk: Desk,
    correction: IdArgument,
    words: Annotated[str, typer.Option("--words", help="The reasons; the person is told.")],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="Working days more, at most 10.")] = 10,
    full: FullOption = False,
) -> None:
    """Extend (延期) the time of a correction once, before it is over."""
    question = wire.CorrectionExtension(correction_id=correction, words=words, days=days)
    _take_step(desk, wire.EXTEND_CORRECTION, question, full=full)


def read_wanted(field: str, value: str, accepted: list[str] | None = None) -> tuple[str, str]:
    """A field by either name, and what it should say, read as in an application (CORRECTION_FIELD, CORRECTION_VALUE).

    What may be wrong in it waits for its name, as there (DOUBTED). A field that no request corrects is left to the
    node, which says why.
    """
    from federation.cli.permits import APPLICATIONS, find_doubts_in
    from federation.cli.rows import UnreadableError, read_accepted, settle_doubts
    from federation.protocol.errors import MalformedError

    known = next((name for name, chinese in PERMIT_FIELDS.items() if plain(field) in (name, chinese)), "")
    correctable = IDENTITY_FIELDS | RECORD_FIELDS
    if known in NOT_BY_REQUEST:
        return known, value
    if known not in correctable:
        chinese = "、".join(PERMIT_FIELDS[name] for name in PERMIT_FIELDS if name in correctable)
        names = ", ".join(name for name in PERMIT_FIELDS if name in correctable)
        raise MalformedError(
            "CORRECTION_FIELD",
            f"没有这一可更正的字段：{field!r:.60}；可写：{chinese} | expected one of {names}, got {field!r:.60}",
            field="field",
        )
    try:
        read = APPLICATIONS.fields[known].read(value)
    except UnreadableError as error:
        raise MalformedError(
            "CORRECTION_VALUE", f"{PERMIT_FIELDS[known]}：{error.chinese} | {known}: {error}", field="value"
        ) from error
    text = read if isinstance(read, str) else str(to_json(read))
    settle_doubts([*APPLICATIONS.find_doubts({known: value}), *find_doubts_in(known, text)], read_accepted(accepted))
    return known, text


def filing_code(outcome: wire.CorrectionOutcome) -> int:
    """The exit code of filing: 1 when refused here or by the owner, 3 when the owner has not answered, else 0."""
    line = outcome.correction
    if line is None or line.standing is wire.CorrectionStanding.REFUSED:
        return 1
    return 3 if line.standing in _LATE else 0


def masked(line: wire.CorrectionLine, *, full: bool) -> wire.CorrectionLine:
    return line if full else replace(line, value=mask(line.field, line.value))


def page_lines(page: wire.CorrectionPage, *, full: bool) -> Iterator[str]:
    for line in page.corrections:
        yield from correction_lines(line, full=full)
    if not page.corrections:
        yield said("没有更正 | no corrections")
    else:
        late = sum(line.overdue for line in page.corrections)
        yield said(f"共 {len(page.corrections)} 件，逾期 {late} 件 | {len(page.corrections)} in all, {late} overdue")
    for notice in page.notices:
        yield _notice_line(notice)


def correction_lines(line: wire.CorrectionLine, *, full: bool) -> Iterator[str]:
    late = overdue_mark() if line.overdue else ""
    desk = (
        f"  {said('待本单位决定|to decide here')}"
        if line.to_decide and line.standing is wire.CorrectionStanding.OPEN
        else ""
    )
    number = line.citizen_number if full else mask("citizen_number", line.citizen_number)
    yield f"{line.correction_id}  {word(line.standing)}{late}{desk}"
    yield f"  {titled('更正|field')}{label(line.field)} -> {masked(line, full=full).value}"
    yield f"  {titled('居住证|permit')}{line.urn}  {titled('本人|person')}{number}"
    yield f"  {titled('申请|filed')}{local_minute(line.filed_time)}  {line.filed_by}  {line.words}"
    if line.papers:
        yield f"  {titled('材料|papers')}{', '.join(digest[:16] for digest in line.papers)} (SHA-256)"
    yield f"  {titled('决定|decides')}{word_of('NodeName', line.owner)}"
    if line.deadline is not None and line.standing is wire.CorrectionStanding.OPEN:
        yield f"  {titled('期限|due')}{deadline_text(line.deadline)}"
    if line.answer:
        when = f"{local_minute(line.answer_time)}  " if line.answer_time is not None else ""
        yield f"  {titled('答复|answer')}{when}{line.answer}"
    if line.permit_version:
        yield f"  {titled('居住证版本|permit version')}{line.permit_version}"
        yield said(_COPIES)
    if line.policies:
        why = said(f"{line.title_zh} | {line.title_en}")
        yield f"  {titled('理由|because')}{why} ({', '.join(line.policies)})"
    if line.standing in _NO:
        yield said(f"  {COMPLAINT_RIGHT}")


def _take_step(desk: Desk, rpc: Rpc[Q, wire.CorrectionOutcome], question: Q, *, full: bool) -> None:
    _show_outcome(desk, desk.call(rpc, question), full=full)


def _show_outcome(
    desk: Desk, outcome: wire.CorrectionOutcome, *, full: bool, steps: tuple[str, ...] = (), code: int = 0
) -> None:
    line = outcome.correction
    lines = correction_lines(line, full=full) if line is not None else ()
    steps = (*steps, _NEXT) if line is not None and line.standing in _LATE else steps
    shown = replace(outcome, correction=masked(line, full=full)) if line is not None else outcome
    desk.show(shown, lines, full=full, steps=steps, code=code)


def _notice_line(notice: wire.NoticeLine) -> str:
    head = f"{local_minute(notice.time)}  {word_of('NodeName', notice.owner)}{punctuated(': ')}"
    urn, version = notice.urn, notice.version
    if notice.other is not None:
        both = f"{urn} 与 {notice.other}", f"{urn} and {notice.other}"
        notice_text = f"重复登记，{both[0]} 为同一人 | registered twice: {both[1]} are of one person"
    elif notice.decided_on is not None:
        day = notice.decided_on
        notice_text = (
            f"{day} 办理互认的 {urn} 已变更（第 {version} 版），请复核 | "
            f"what was decided on {day} about {urn} is otherwise by version {version}: look at it again"
        )
    elif urn is not None:
        notice_text = f"{urn} 第 {version} 版以前的副本已过时 | {urn}: copies before version {version} are outdated"
    else:
        zh, case = PERMIT_FIELDS.get(notice.field, notice.field), notice.case_id
        notice_text = f"案件 {case} 所取{zh}已更正 | {notice.field} of {case} was corrected since: fetch it again"
    return head + said(notice_text)
