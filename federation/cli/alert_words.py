"""The words that a duty officer chooses among, in either language, and the moments that are typed at a desk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import typer

from federation.cli.options import now
from federation.domain.clock import CHINA_TIME

STAGES: Final = {
    "contacted": "已联系", "arrived": "已到场", "stop_asked": "已请求止付", "visited": "已见面劝阻",
    "sampled": "已取样", "confirmed": "已确认", "flame_out": "明火已扑灭",
}  # fmt: skip
WHYS: Final = {"lifted": "解除预警", "false_alarm": "误报", "duplicate": "重复", "other": "其他"}
RESULTS: Final = {
    "handled": "已处置", "no_fault_found": "未发现异常", "handed_to_110": "转110", "to_case": "转联办案件",
}  # fmt: skip
ORIGINS: Final = {
    "110": "110报警", "12345": "12345热线", "sensor": "感知设备", "caller": "群众来电", "patrol": "巡查发现",
    "cap": "报文导入",
}  # fmt: skip
LATE: Final = {
    "road": "道路阻断", "weather": "恶劣天气", "far": "路途较远", "busy": "力量占用", "place": "地址不清",
    "link": "通信中断", "caller": "联系不上当事人", "danger": "现场危险待援", "handover": "移交耽搁", "other": "其他",
}  # fmt: skip
_MINUTES: Final = re.compile("[1-9][0-9]{0,5}", re.ASCII)


def choose(text: str, words: Mapping[str, str | tuple[str, str]], option: str) -> str:
    """The protocol's word of what was typed in either language; empty stays empty. Refuses what is none of them."""
    if not text or text in words:
        return text
    for word, said in words.items():
        chinese = said if isinstance(said, str) else said[0]
        if text in (chinese, chinese.removesuffix("色")):
            return word
    chinese = "、".join(said if isinstance(said, str) else said[0] for said in words.values())
    raise typer.BadParameter(f"{option} 可填：{chinese} | {option} is one of: {', '.join(words)}")


def find_instant(text: str, option: str) -> datetime:
    """A moment as it was typed: a time, of China where it says no zone, or so many minutes from now."""
    if _MINUTES.fullmatch(text):
        return now() + timedelta(minutes=int(text))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option}：写作 2026-04-04T10:15 | write it as 2026-04-04T10:15") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=CHINA_TIME)
