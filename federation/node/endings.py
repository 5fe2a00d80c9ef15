"""The ends of certificates and of the agreement, said 30, 7 and 1 day before, and once it has ended.

`keep_endings` writes each step to the operator's log once; `node status`, the metrics and the log read one list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from federation.node.home.certificates import UNREADABLE, find_certificate_ends
from federation.node.node import Node
from federation.protocol.errors import BridgeheadError
from federation.protocol.trust import Agreement

_log = structlog.get_logger()

STEPS: Final = (1, 7, 30)
"""Days left at which the next step of the warning is reached; after the end it is 0."""
LOOK_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One thing that ends: its name (a file below the home), when, and the command that renews it."""

    name: str
    time: datetime
    renewed_by: str

    def days_left(self, now: datetime) -> int:
        """Whole days until the end, negative after it."""
        return (self.time - now) // timedelta(days=1)

    def step(self, now: datetime) -> int | None:
        """Returns 30, 7, 1 or, when it has ended, 0; None while it is far."""
        if self.time <= now:
            return 0
        return next((step for step in STEPS if self.time - now <= timedelta(days=step)), None)


def find_endings(home: Path, agreement: Agreement) -> tuple[Ending, ...]:
    """Everything of this home that ends, the next first; a certificate that cannot be read counts as ended."""
    found = [Ending(name="agreement", time=agreement.expires_time, renewed_by="bridgehead agreement draft")]
    for name, end in find_certificate_ends(home).items():
        found.append(Ending(name=name, time=end, renewed_by=_renewal(name)))
    return tuple(sorted(found, key=lambda each: (each.time, each.name)))


_BY_AGREEMENT: Final = "a new authority in the next agreement"


def _renewal(name: str) -> str:
    if name.startswith("clients/"):
        return "bridgehead keys client"
    return _BY_AGREEMENT if name.endswith("-ca.crt") else "bridgehead keys renew"


def ending_warnings(endings: Sequence[Ending], now: datetime) -> Iterator[str]:
    """A sentence for each that has reached a step; of the agencies' certificates only the first, and how many more."""
    due = [each for each in endings if each.step(now) is not None]
    clients = [each for each in due if each.name.startswith("clients/")]
    for each in due:
        if each in clients[1:]:
            continue
        others = len(clients) - 1 if each in clients else 0
        day, left = f"{each.time:%Y-%m-%d}", each.days_left(now)
        zh, en = f"将于 {day} 到期，还有 {left} 天", f"ends on {day}, {left} days left"
        if each.time == UNREADABLE:
            zh, en = "无法读取", "cannot be read"
        elif each.step(now) == 0:
            zh, en = f"已于 {day} 到期", f"ended on {day}"
        by = "由下一份协议换新" if each.renewed_by == _BY_AGREEMENT else each.renewed_by
        many_zh, many_en = (f"（及另外 {others} 份）", f" and {others} more") if others else ("", "")
        yield f"{each.name}{many_zh} {zh}：{by} | {each.name}{many_en} {en}: {each.renewed_by}"


async def keep_endings(node: Node, home: Path) -> None:
    """Looks at start and once an hour, for as long as the node runs."""
    said: dict[str, tuple[datetime, int]] = {}
    while True:
        try:
            endings = await asyncio.to_thread(find_endings, home, node.trust.in_force.agreement)
            log_endings(endings, node.now(), said)
        except BridgeheadError as error:
            _log.warning("ending.unread", reason=error.reason, message=error.message)
        except Exception:  # noqa: BLE001 - a duty that ends would let a certificate end unsaid
            _log.exception("ending.failed")
        await asyncio.sleep(LOOK_SECONDS)


def log_endings(endings: Sequence[Ending], now: datetime, said: dict[str, tuple[datetime, int]]) -> None:
    """Writes a line for each that reached a step which was not said yet; `said` remembers."""
    for each in endings:
        step = each.step(now)
        if step is None or said.get(each.name) == (each.time, step):
            continue
        said[each.name] = (each.time, step)
        facts = {"name": each.name, "ends": each.time.isoformat(), "renewed_by": each.renewed_by}
        if each.time == UNREADABLE:
            _log.error("ending.unread", name=each.name, renewed_by=each.renewed_by)
        elif step == 0:
            _log.error("ending.passed", **facts)
        else:
            _log.warning("ending.near", days_left=each.days_left(now), **facts)
