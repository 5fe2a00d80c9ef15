"""CAP 1.2 files as they are read at a desk and shown, and the kinds that an alert may be of.

No file becomes an alert by itself: what is in it is a proposal, with all that is against it, until an officer
raises it. A file in GB 18030 or GBK is brought into UTF-8 here, since the node takes no other encoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from federation.cli.alert_cards import alert_lines
from federation.cli.alert_rows import PRIORITIES
from federation.cli.options import now
from federation.cli.show import item_line, seen, table
from federation.cli.words import WORDS, listed, one_of, pair, said, titled, word
from federation.protocol.errors import MalformedError, NotFoundError
from federation.wire.agency import alerts as wire

MAX_FILE: Final = 262_144
_DECLARED: Final = re.compile(
    rb"""\A(<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["'])(gb18030|gbk|gb2312)(["'])""", re.IGNORECASE
)
WORDS["Colours"] = {"none": "不设颜色", "government": "政府发布", "relayed": "转发", "received": "仅接收"}
_STANDINGS: Final = {
    "new": "新报文|new", "repeated": "已经收过|received before",
    "waiting": "等待被引用的报文|waits for what it cites",
    "cancelled": "已先收到撤销，本条不再提示|cancelled before it came", "expired": "已过有效期|expired",
}  # fmt: skip


def read_cap(path: Path) -> bytes:
    """A file to send, in UTF-8 where it was in GB 18030, GBK or GB 2312 (FILE_MISSING, CAP_SIZE, CAP_ENCODING)."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise NotFoundError("FILE_MISSING", f"expected a file at {path}") from error
    declared = _DECLARED.match(content)
    if declared is not None and len(content) <= MAX_FILE:
        try:
            text = content[declared.end() :].decode("gb18030")
        except UnicodeDecodeError as error:
            name = declared[2].decode()
            given = f"文件并非所写的 {name} 编码 | the file is not in {name}, as it says"
            raise MalformedError("CAP_ENCODING", given) from error
        content = declared[1] + b"UTF-8" + declared[3] + text.encode()
    if len(content) > MAX_FILE:
        raise MalformedError("CAP_SIZE", "报文不得超过 256 kB | a CAP file has at most 256 kB")
    return content


def proposal_lines(found: wire.CapProposal) -> Iterator[str]:
    """Lines of all that the file would raise, where it stands, and every fault of it."""
    if found.standing is not None:
        yield said(_STANDINGS[found.standing.value])
    yield from (f"  {name}={seen(value)}" for name, value in sorted(found.fields.items()))
    for item in found.items:
        yield item_line(item)
    for fault in found.faults:
        mark = said("注意|warning") if fault.warning else said("不合要求|refused")
        yield f"  ! {mark}: {seen(str(fault))}"
    if found.line is not None:
        yield titled("已有该警情|it is here already").rstrip()
        yield from alert_lines(found.line, now())


def kind_lines(found: Sequence[wire.AlertKindLine], *, whole: bool) -> Iterator[str]:
    if not whole:
        yield from table(
            found,
            ("kind", lambda kind: kind.id),
            ("what", lambda kind: pair(kind.zh, kind.en)),
            ("function", lambda kind: kind.function),
            ("priority", lambda kind: pair(PRIORITIES.get(kind.priority, ("",))[0], kind.priority)),
            ("colours", lambda kind: word(kind.colours)),
            ("1-3-10", lambda kind: said("是|yes") if kind.measured else said("否|no")),
        )
        return
    for kind in found:
        yield f"{kind.id}  {pair(kind.zh, kind.en)}  {kind.function}  {word(kind.colours)}"
        crosses = listed(one_of(f"{each.zh} {each.id}", each.id) for each in kind.crosses)
        yield f"  {titled('可跨界|may cross')}{crosses}"
        yield from (f"  {titled('不得跨界|never crosses')}{said(never)}" for never in kind.never)
        until = (
            f"{kind.expires} {said('分钟|minutes')}" if kind.expires else f"{titled('须写明|must be said')}--expires"
        )
        yield f"  {titled('有效期|expires')}{until}"
