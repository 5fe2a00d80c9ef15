"""How orders to erase are shown: in lines for a clerk, as JSON for a program.

Rules kept: a receipt is shown with where its leaf stands in the recipient's log, so that anybody can look there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from federation.cli.lookup.lines import columns, local_time, time_text
from federation.cli.lookup.view import PROVINCES
from federation.cli.permits import view
from federation.wire.retention.values import ErasureState

if TYPE_CHECKING:
    from federation.cli.output import JsonOut
    from federation.wire.retention.values import (
        ErasureAnswer,
        ErasureLine,
        ErasurePage,
        RetentionRound,
        SentMessage,
        SentPage,
    )

STATES: Final[Mapping[ErasureState, str]] = MappingProxyType(
    {
        ErasureState.ORDERED: "已通知 ordered",
        ErasureState.RECEIPTED: "已回执 receipted",
        ErasureState.OVERDUE: "逾期 overdue",
    }
)


def answer_lines(answer: ErasureAnswer) -> Iterable[str]:
    """What became of an order: what was destroyed here and by when the receipt is due, or why not."""
    if answer.line is None:
        yield from view.ruling_lines(answer.decision)
        return
    line = answer.line
    yield f"本省已销毁 destroyed here: {line.message_id} ({line.kind})"
    yield f"已通知 ordered: {_province(line.recipient)}  回执期限 receipt due {local_time(line.due)}"


def answer_object(answer: ErasureAnswer) -> dict[str, JsonOut]:
    """What became of an order, as JSON."""
    return {
        "decision": view.ruling_object(answer.decision),
        "order": _object(answer.line) if answer.line is not None else None,
    }


def page_lines(lines: Sequence[ErasureLine]) -> Iterable[str]:
    """Orders, one a line, newest first."""
    heads = ("通知 ordered", "消息 message", "类 kind", "接收省 recipient", "状态 state", "回执 receipt")
    return columns([heads, *(_cells(line) for line in lines)])


def page_object(page: ErasurePage) -> dict[str, JsonOut]:
    """Orders, as JSON."""
    return {"orders": [_object(line) for line in page.lines], "next_page_token": page.next_page_token}


def sent_lines(messages: Sequence[SentMessage]) -> Iterable[str]:
    """What was sent, one a line, by number."""
    heads = ("序号 seq", "时间 time", "类 kind", "消息 message", "内容 body")
    held = {True: "在 held", False: "已销毁 gone"}
    rows = ((str(one.seq), local_time(one.created), one.kind, one.message_id, held[one.is_held]) for one in messages)
    return columns([heads, *rows])


def sent_object(page: SentPage) -> dict[str, JsonOut]:
    """What was sent, as JSON."""
    messages: JsonOut = [
        {
            "message_id": each.message_id,
            "seq": each.seq,
            "kind": each.kind,
            "created": time_text(each.created),
            "is_held": each.is_held,
        }
        for each in page.messages
    ]
    return {"messages": messages, "next_after_seq": page.next_after_seq}


def round_lines(done: RetentionRound) -> Iterable[str]:
    """How much was destroyed."""
    yield f"已到期的提供信息 releases  {done.releases}"
    yield f"答复与凭据 answers         {done.answers}"
    yield f"本省发出的凭据 handles     {done.handles}"
    yield f"期满记录 purged            {done.purged}"
    yield f"已结案的提问 questions     {done.questions}"
    yield f"本人查阅材料 reports       {done.reports}"


def round_object(done: RetentionRound) -> dict[str, JsonOut]:
    """How much was destroyed, as JSON."""
    return {
        "releases": done.releases,
        "answers": done.answers,
        "handles": done.handles,
        "purged": done.purged,
        "questions": done.questions,
        "reports": done.reports,
    }


def _cells(line: ErasureLine) -> tuple[str, ...]:
    receipt = f"期限 due {local_time(line.due)}"
    if line.receipted is not None:
        where = f"日志第 {line.leaf_index} 条 leaf {line.leaf_index}" if line.was_held else "未曾收到 never held"
        receipt = f"{local_time(line.receipted)}  {where}"
    return (
        local_time(line.ordered),
        line.message_id,
        line.kind,
        _province(line.recipient),
        STATES[line.state],
        receipt,
    )


def _object(line: ErasureLine) -> dict[str, JsonOut]:
    return {
        "message_id": line.message_id,
        "message_digest": line.message_digest,
        "kind": line.kind,
        "recipient": line.recipient,
        "state": line.state.value,
        "ordered": time_text(line.ordered),
        "due": time_text(line.due),
        "order_digest": line.order_digest,
        "receipted": time_text(line.receipted),
        "was_held": line.was_held,
        "leaf_index": line.leaf_index,
        "leaf_digest": line.leaf_digest,
    }


def _province(node: str) -> str:
    return f"{PROVINCES.get(node, '')} {node}".lstrip()
