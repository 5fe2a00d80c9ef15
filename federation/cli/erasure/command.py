"""`bridgehead erasure`: what was handed over is destroyed on both sides, and the deletion receipts show it (删除).

An order destroys salt, key and body of one message here, and tells the recipient to do the same; the list shows each
order with its receipt, and where the recipient's leaf stands in its log. What ends by itself needs no order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.client_profile import Desk, gathering, open_desk
from federation.cli.lookup.acts import end, show
from federation.cli.output import Form, say

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient
    from federation.wire.retention.values import ErasurePage
    from federation.wire.values import Act

app = typer.Typer(name="erasure", no_args_is_help=True, help="Destroying what was handed over (删除).")


@app.command("order")
@gathering(open_desk)
def order(
    desk: Desk,
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE", help="The id of a message that this province sent.")],
    words: Annotated[str, typer.Option("--words", help="Why, as the recipient reads it (理由).")],
) -> None:
    """Order (通知删除) what one message handed over erased, here and at its recipient."""
    from federation.cli.erasure import view
    from federation.protocol.ids import parse_message_id
    from federation.wire.retention.values import ErasureQuestion

    act, question = _act(desk), ErasureQuestion(message_id=parse_message_id(message_id), words=words)
    answer = desk.ask(lambda client: client.erasures.order_erasure(act, question))
    show(desk, {"request_id": desk.request_id, **view.answer_object(answer)}, view.answer_lines(answer))
    if answer.line is not None and desk.form is Form.TEXT:
        say("回执到后可查 | its receipt will be found by: bridgehead erasure list")
    end(0 if answer.decision.allowed else 1)


@app.command("sent")
@gathering(open_desk)
def sent(
    desk: Desk,
    province: Annotated[str, typer.Argument(metavar="PROVINCE", help="Such as jiangxi.")],
    page_size: Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many at once.")] = 100,
    after: Annotated[int, typer.Option("--after", min=0, help="Only above this number.")] = 0,
) -> None:
    """List (已发出) what this province sent to another one: the ids by which it is ordered erased."""
    from federation.cli.erasure import view
    from federation.protocol.ids import parse_node_name
    from federation.wire.retention.values import SentQuery

    act, query = _act(desk), SentQuery(recipient=parse_node_name(province), after_seq=after, page_size=page_size)
    page = desk.ask(lambda client: client.erasures.list_sent(act, query), changes=False)
    show(desk, view.sent_object(page), view.sent_lines(page.messages) if page.messages else ())
    if desk.form is Form.TEXT and page.next_after_seq is not None:
        say(f"还有:加 --after {page.next_after_seq} | there are more")


@app.command("list")
@gathering(open_desk)
def list_(
    desk: Desk,
    page_size: Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many at once.")] = 100,
    page_token: Annotated[str, typer.Option("--page-token", help="Where the page before ended.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every page.")] = False,
) -> None:
    """List (删除通知) the orders of this province, newest first: ordered, receipted or overdue."""
    from federation.cli.erasure import view
    from federation.wire.retention.values import ErasureQuery

    act, query = _act(desk), ErasureQuery(page_size=page_size, page_token=page_token)

    async def read(client: AgencyClient) -> ErasurePage:
        page = await client.erasures.list_erasures(act, query)
        while everything and page.next_page_token:
            following = await client.erasures.list_erasures(act, replace(query, page_token=page.next_page_token))
            page = replace(following, lines=(*page.lines, *following.lines))
        return page

    page = desk.ask(read, changes=False)
    show(desk, view.page_object(page), view.page_lines(page.lines) if page.lines else ())
    if desk.form is Form.TEXT:
        say(f"共 {len(page.lines)} 条 | {len(page.lines)} orders")
        if page.next_page_token:
            say(f"还有:加 --page-token {page.next_page_token} 或 --all | there are more")


@app.command("run")
@gathering(open_desk)
def run(desk: Desk) -> None:
    """Destroy (到期销毁) now what has ended, as the node does by itself every minute."""
    from federation.cli.erasure import view

    act = _act(desk)
    done = desk.ask(lambda client: client.erasures.run_retention(act), changes=False)
    show(desk, view.round_object(done), view.round_lines(done))


def _act(desk: Desk) -> Act:
    """Who acts and what for: an order to erase unless another purpose was given; policy judges what is unknown."""
    from federation.domain.retention.policy import ERASURE_FUNCTION, ERASURE_PURPOSE
    from federation.wire.values import Act

    return Act(
        request_id=desk.request_id,
        purpose=desk.purpose or ERASURE_PURPOSE,
        function=desk.function or ERASURE_FUNCTION,
        officer=desk.officer,
    )
