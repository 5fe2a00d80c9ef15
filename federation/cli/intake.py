"""`bridgehead lookup inbox|release|refuse|remind`: the intake desk (受理岗), and the reminder (催问).

Only the one office that answers for the province has an inbox. The exit code of a release is 1 when policy does not
allow it any more; the request then waits on, for a refusal in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.lookups import app, command, find_field
from federation.cli.options import Desk, PageSize, PageToken, Paging
from federation.cli.show import local_time, object_of, table, to_json
from federation.cli.tree import identifier
from federation.cli.words import label, listed, said, word, word_of
from federation.domain.intake import IntakeStatus, parse_reason, parse_words, refuse_bytes, release_bytes
from federation.protocol.form import replace
from federation.wire.agency import intake as wire

if TYPE_CHECKING:
    from federation.cli.show import JsonOut

RequestArgument = Annotated[str, typer.Argument(metavar="ID", help="The request, as the inbox shows it."), identifier]


@command(app, "inbox")
def inbox(
    desk: Desk,
    everything: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    page_size: PageSize = 100,
    page_token: PageToken = "",
) -> None:
    """List (收件箱) what waits for a person here, those that need one most first."""
    paging = Paging(page_size, page_token, everything=False)
    page = desk.read(wire.LIST_INTAKE, wire.IntakeQuery(ended=everything), paging)
    desk.show_page(page, inbox_lines(page), noun="requests", data={"lines": inbox_object(page)})


@command(app, "release")
def release(
    desk: Desk,
    request: RequestArgument,
    fields: Annotated[
        list[str] | None, typer.Option("--field", help="Release only this; several. All that was asked for.")
    ] = None,
) -> None:
    """Answer (答复) a request: hit or no hit, or the fields asked for, or fewer."""
    question = wire.ReleaseQuestion(request_id=request, fields=frozenset(map(find_field, fields or ())))
    signed = release_bytes(desk.profile.agency, desk.named_officer(), request_id=request, fields=question.fields)
    question = replace(question, signature=desk.sign(signed))
    _show_answer(desk, desk.call(wire.RELEASE_INTAKE, question))


@command(app, "refuse")
def refuse(
    desk: Desk,
    request: RequestArgument,
    reason: Annotated[str, typer.Option("--reason", help="not_competent, case_unclear, too_broad or other.")],
    words: Annotated[str, typer.Option("--words", help="One sentence that the asker reads; name no person.")],
) -> None:
    """Refuse (拒绝) a request, with a reason and a sentence; nothing is handed over, not even hit or no hit."""
    question = wire.RefuseQuestion(request_id=request, reason=parse_reason(reason), words=parse_words(words))
    signed = refuse_bytes(
        desk.profile.agency, desk.named_officer(), request_id=request, reason=question.reason.value,
        words=question.words,
    )  # fmt: skip
    question = replace(question, signature=desk.sign(signed))
    _show_answer(desk, desk.call(wire.REFUSE_INTAKE, question))


@command(app, "remind")
def remind(
    desk: Desk, lookup: Annotated[str, typer.Argument(metavar="LOOKUP_ID", help="As the history shows it."), identifier]
) -> None:
    """Ask again (催问) for an answer that another province's desk owes; once a request is enough."""
    reminders = desk.call(wire.SEND_REMINDER, lookup)
    desk.show(None, reminder_lines(reminders), data={"reminders": to_json(reminders)})


def inbox_lines(page: wire.IntakePage) -> Iterator[str]:

    def left(line: wire.IntakeLine) -> str:
        if line.status is not IntakeStatus.WAITING:
            return f"{word(line.status)}{' ' + said('过时|too late') if line.came_late else ''}"
        minutes, seconds = divmod(_seconds_left(line, page.read_time), 60)
        return f"{minutes}:{seconds:02}"

    def mark(line: wire.IntakeLine) -> str:
        reminded = said("催问|reminded") if line.reminded is not None else ""
        escalated = said("升级|escalated") if line.escalated is not None else ""
        return " ".join(filter(None, (reminded, escalated))) or "-"

    def asker(line: wire.IntakeLine) -> str:
        return f"{line.asker} {line.officer}"

    def person(line: wire.IntakeLine) -> str:
        return f"{line.person} {','.join(sorted(line.fields))}".rstrip()

    return table(
        page.lines, ("left", left), "urgency", ("mark", mark), "step", ("asker", asker), "case_id",
        ("person", person), "request_id",
    )  # fmt: skip


def inbox_object(page: wire.IntakePage) -> JsonOut:
    return [object_of(line) | {"seconds_left": _seconds_left(line, page.read_time)} for line in page.lines]


def answer_lines(answer: wire.IntakeAnswer) -> Iterator[str]:
    if answer.status is not None:
        status = word(answer.status)
        if isinstance(answer, wire.IntakeRelease) and answer.hit is not None:
            status += f"：{said('命中|hit')}" if answer.hit else f"：{said('未命中|no hit')}"
        elif isinstance(answer, wire.IntakeRelease) and answer.fields:
            status += f"：{listed(map(label, sorted(answer.fields)))}"
        yield f"{status}  {answer.request_id}"


def reminder_lines(reminders: Iterable[wire.Reminder]) -> Iterator[str]:
    for each in reminders:
        where = f"{word_of('NodeName', each.node)}  {word_of('Step', each.step)}"
        asked = f"{said('已催问|asked again')} {local_time(each.time)}"
        yield f"{where}  {asked}  {said('答复期限|due')} {local_time(each.due)}"


def _show_answer(desk: Desk, answer: wire.IntakeAnswer) -> None:
    """The id of the request at the desk stands beside the id of this act."""
    data: dict[str, JsonOut] = {"request_id": desk.request_id, "intake_id": answer.request_id}
    desk.show(answer, answer_lines(answer), data=data, code=0 if answer.status is not None else 1)


def _seconds_left(line: wire.IntakeLine, now: datetime) -> int:
    waits = line.status is IntakeStatus.WAITING
    return max(int((line.due - now).total_seconds()), 0) if waits else 0
