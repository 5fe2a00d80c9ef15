"""`bridgehead erasure` (删除): orders destroy salt, key and body on both sides; the deletion receipts show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from federation.cli.options import Desk, PageSize, Paging, commands_for
from federation.cli.show import local_time, table
from federation.cli.tree import identifier
from federation.cli.words import said, titled, word_of
from federation.domain.erasure import ERASURE_FUNCTION, ERASURE_PURPOSE, order_bytes
from federation.node.home.files import load_ed25519
from federation.protocol.form import replace
from federation.protocol.ids import format_base64, parse_message_id, parse_node_name
from federation.wire.agency import erasure as wire
from federation.wire.rpc import Nothing

app = typer.Typer(name="erasure", no_args_is_help=True, help="Destroying what was handed over (删除).")
command = commands_for(ERASURE_PURPOSE, ERASURE_FUNCTION)


@command(app, "order")
def order(
    desk: Desk,
    message_id: Annotated[
        str, typer.Argument(metavar="MESSAGE", help="The id of a message that this province sent."), identifier
    ],
    words: Annotated[str, typer.Option("--words", help="Why, as the recipient reads it (理由).")],
    second: Annotated[str | None, typer.Option("--second", help="A second officer, for many orders a day.")] = None,
    second_key: Annotated[Path | None, typer.Option("--second-key", help="The file of the second's own key.")] = None,
) -> None:
    """Order (通知删除) what one message handed over erased, here and at its recipient."""
    if (second is None) is not (second_key is None):
        raise typer.BadParameter("--second 与 --second-key 须一起写 | give --second and --second-key together")
    question = wire.ErasureQuestion(message_id=parse_message_id(message_id), words=words)
    if second is not None and second_key is not None:
        signed = order_bytes(desk.profile.agency, question.message_id, officer=desk.act().officer, words=question.words)
        question = replace(
            question, second_officer=second, second_signature=format_base64(load_ed25519(second_key).sign(signed))
        )
    answer = desk.call(wire.ORDER_ERASURE, question)
    notes = ("回执到后可查 | its receipt will be found by: bridgehead erasure list",)
    desk.show(answer, answer_lines(answer), notes=notes)


@command(app, "sent")
def sent(
    desk: Desk,
    province: Annotated[str, typer.Argument(metavar="PROVINCE", help="Such as jiangxi.")],
    page_size: PageSize = 100,
    after: Annotated[int, typer.Option("--after", min=0, help="Only above this number.")] = 0,
) -> None:
    """List (已发出) what this province sent to another one: the ids by which it is ordered erased."""
    query = wire.SentQuery(recipient=parse_node_name(province), after_seq=after, page_size=page_size)
    page = desk.call(wire.LIST_SENT, query, changes=False)
    last = page.next_after_seq
    notes = (f"还有：加 --after {last} | there are more",) if last is not None else ()
    desk.show(page, sent_lines(page.messages), notes=notes)


@command(app, "list")
def list_(desk: Desk, paging: Paging) -> None:
    """List (删除通知) the orders of this province, newest first: ordered, receipted or overdue."""
    page = desk.read(wire.LIST_ERASURES, wire.ErasureQuery(), paging)
    desk.show_page(page, order_lines(page.lines), noun="orders")


@command(app, "run")
def run(desk: Desk) -> None:
    """Destroy (到期销毁) now what has ended, as the node does by itself every minute."""
    done = desk.call(wire.RUN_RETENTION, Nothing(), changes=False)
    desk.show(done, round_lines(done))


def answer_lines(answer: wire.ErasureAnswer) -> Iterator[str]:
    line = answer.line
    if line is not None:
        yield f"{titled('本省已销毁|destroyed here')}{line.message_id} ({line.kind})"
        recipient = word_of("NodeName", line.recipient)
        yield f"{titled('已通知|ordered')}{recipient}  {said('回执期限|receipt due')} {local_time(line.due)}"


def order_lines(lines: Sequence[wire.ErasureLine]) -> Iterator[str]:
    def receipt(line: wire.ErasureLine) -> str:
        if line.receipted is None:
            return f"{said('期限|due')} {local_time(line.due)}"
        where = (
            said(f"日志第 {line.leaf_index} 条|leaf {line.leaf_index}")
            if line.was_held
            else said("未曾收到|never held")
        )
        return f"{local_time(line.receipted)}  {where}"

    return table(
        lines, ("ordered", lambda line: local_time(line.ordered)), "message_id", "kind", "recipient", "state",
        ("receipt", receipt),
    )  # fmt: skip


def sent_lines(messages: Sequence[wire.SentMessage]) -> Iterator[str]:
    def body(message: wire.SentMessage) -> str:
        return said("在|held") if message.is_held else said("已销毁|gone")

    time = ("time", lambda message: local_time(message.created))
    return table(messages, "seq", time, "kind", "message_id", ("body", body))


def round_lines(done: wire.RetentionRound) -> Iterator[str]:
    yield f"{said('已到期的提供信息|releases')}  {done.releases}"
    yield f"{said('答复与凭据|answers')}         {done.answers}"
    yield f"{said('本省发出的凭据|handles')}     {done.handles}"
    yield f"{said('期满记录|purged')}            {done.purged}"
    yield f"{said('已结案的提问|questions')}     {done.questions}"
    yield f"{said('本人查阅材料|reports')}       {done.reports}"
    yield f"{said('更正材料|corrections')}       {done.corrections}"
