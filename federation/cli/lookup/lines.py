"""Columns, times and watermarks in the lines about look-ups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from federation.cli.permits import view
from federation.protocol.ids import format_time

if TYPE_CHECKING:
    from federation.cli.output import JsonOut
    from federation.domain.retention.watermark import Watermark


def columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Rows as lines, each column as wide as its widest cell; nothing is cut or wrapped."""
    widths = [max(view.width_of(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(view.pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()


def local_time(time: datetime) -> str:
    """A time in China, to the second."""
    return time.astimezone(view.CHINA).isoformat(sep=" ", timespec="seconds")


def time_text(time: datetime | None) -> str | None:
    """A time for a program, in UTC; None stays None."""
    return None if time is None else format_time(time)


def watermark_line(mark: Watermark) -> str:
    """What stands over released fields: office, officer, time, code."""
    return f"水印 watermark {mark.code}  {mark.agency}  {mark.officer}  {local_time(mark.time)}"


def watermark_object(mark: Watermark | None) -> JsonOut:
    """A watermark as JSON."""
    if mark is None:
        return None
    return {"agency": str(mark.agency), "officer": mark.officer, "time": time_text(mark.time), "code": mark.code}
