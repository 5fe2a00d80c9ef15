"""`bridgehead lookup inbox|release|refuse|remind`: the intake desk (受理岗), and the second request (催问).

Only the one office that answers for the province has an inbox. The exit code of a release is 1 when policy does not
allow it any more; the request then waits on, for a refusal in words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.cli.client_profile import Desk
from federation.cli.lookup.acts import end, lookup_act, show
from federation.cli.output import Form, say

KeyOption = Annotated[
    Path | None, typer.Option("--key", help="The file of your own key (本人密钥); fields are not released without.")
]
RequestArgument = Annotated[str, typer.Argument(metavar="ID", help="The request, as the inbox shows it.")]


def inbox(
    desk: Desk,
    everything: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    page_size: Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many at once.")] = 100,
    page_token: Annotated[str, typer.Option("--page-token", help="Where the page before ended.")] = "",
) -> None:
    """List (收件箱) what waits for a person here, those that need one most first."""
    from federation.cli.lookup import intake_view
    from federation.wire.lookups.intake.values import IntakeQuery

    act, query = lookup_act(desk), IntakeQuery(ended=everything, page_size=page_size, page_token=page_token)
    page = desk.ask(lambda client: client.intake.list_intake(act, query), changes=False)
    show(desk, intake_view.inbox_object(page), intake_view.inbox_lines(page))
    if desk.form is Form.TEXT:
        say(f"共 {len(page.lines)} 件 | {len(page.lines)} requests")
        if page.next_page_token:
            say(f"还有:加 --page-token {page.next_page_token} | there are more")


def release(
    desk: Desk,
    request: RequestArgument,
    fields: Annotated[
        list[str] | None, typer.Option("--field", help="Release only this; several. All that was asked for.")
    ] = None,
    key: KeyOption = None,
) -> None:
    """Answer (答复) a request: hit or no hit, or the fields asked for, or fewer; fields need --key."""
    from federation.cli.lookup import intake_view
    from federation.cli.lookup.officer_key import sign_release
    from federation.wire.lookups.intake.values import ReleaseQuestion

    act, question = lookup_act(desk), ReleaseQuestion(request_id=request, fields=frozenset(fields or ()))
    if key is not None:
        question = sign_release(key, desk.profile.agency, question, officer=desk.officer)
    answer = desk.ask(lambda client: client.intake.release(act, question))
    show(desk, {"request_id": desk.request_id, **intake_view.answer_object(answer)}, intake_view.answer_lines(answer))
    end(0 if answer.status is not None else 1)


def refuse(
    desk: Desk,
    request: RequestArgument,
    reason: Annotated[str, typer.Option("--reason", help="not_competent, case_unclear, too_broad or other.")],
    words: Annotated[str, typer.Option("--words", help="One sentence that the asker reads; name no person.")],
    key: KeyOption = None,
) -> None:
    """Refuse (拒绝) a request, with a reason and a sentence; nothing is handed over, not even hit or no hit."""
    from federation.cli.lookup import intake_view
    from federation.cli.lookup.officer_key import sign_refuse
    from federation.domain.lookup.refusal import parse_reason, parse_words
    from federation.wire.lookups.intake.values import RefuseQuestion

    act = lookup_act(desk)
    question = RefuseQuestion(request_id=request, reason=parse_reason(reason), words=parse_words(words))
    if key is not None:
        question = sign_refuse(key, desk.profile.agency, question, officer=desk.officer)
    answer = desk.ask(lambda client: client.intake.refuse(act, question))
    show(desk, {"request_id": desk.request_id, **intake_view.answer_object(answer)}, intake_view.answer_lines(answer))
    end(0 if answer.status is not None else 1)


def remind(
    desk: Desk, lookup: Annotated[str, typer.Argument(metavar="LOOKUP_ID", help="As the history shows it.")]
) -> None:
    """Ask again (催问) for an answer that another province's desk owes; once a request is enough."""
    from federation.cli.lookup import intake_view

    act = lookup_act(desk)
    seconds = desk.ask(lambda client: client.intake.send_second(act, lookup))
    show(desk, {"request_id": desk.request_id, **intake_view.second_object(seconds)}, intake_view.second_lines(seconds))
