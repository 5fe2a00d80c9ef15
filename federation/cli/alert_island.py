"""Claims and stamps while the own node is away: kept in a local file (本地登记), and handed in later (补录).

A file is only ever added to, under a lock and durably. It is verified whole before anything of it is handed in. What
another request id could do twice is done once: a file that was handed in half is handed in again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec import Struct

from federation.cli.alert_cards import outcome_words
from federation.cli.next_step import NEXT_STEPS
from federation.cli.options import Desk, now, show_in
from federation.cli.show import local_time
from federation.cli.words import error_text, pair, punctuated, short
from federation.domain.alert_acts import ALERT_ACTS
from federation.domain.alert_island import (
    FIRST,
    HAND_IN,
    MAX_BYTES,
    Island,
    IslandStamp,
    Written,
    read_island,
    write_line,
)
from federation.protocol.errors import BridgeheadError, ConflictError, NotFoundError, UnavailableError
from federation.protocol.form import replace
from federation.wire.agency.alerts import ACT_IN_ALERT, READ_ALERT, AlertOutcome, AlertStep
from federation.wire.agency.node import GET_STATUS
from federation.wire.rpc import Nothing

OFFLINE_SECONDS: Final = 3.0
"""Who names a local file waits no longer for the node."""
OfflineOption = Annotated[
    Path | None,
    typer.Option("--offline", metavar="FILE", help="When the node is away: sign it into this local file (本地登记)."),
]
NOT_HERE: Final = "ALERT_NOT_HERE"
_ANOTHER: Final = "换一个本地文件：--offline | name another local file: --offline"
_WHOLE: Final = (
    "本地文件整份不收：人工核对后加 --made 另行补录 | nothing of the file is taken: enter it by hand, with --made"
)
NEXT_STEPS.update({
    "ALERT_NOT_HERE": "等其送达后再补交本文件，不会重复 | once it arrived hand the file in again: it is done once",
    "ISLAND_CHAIN": _WHOLE,
    "ISLAND_CLOSED": _ANOTHER,
    "ISLAND_EMPTY": "核对文件：没有可补交的登记 | check which file it is: it holds nothing to hand in",
    "ISLAND_FORM": _WHOLE,
    "ISLAND_FULL": _ANOTHER,
    "ISLAND_OTHER": _ANOTHER,
    "ISLAND_SIGNATURE": "由登记的本人补交：--officer | the officer who wrote it hands it in: --officer",
    "ISLAND_SIZE": _WHOLE,
})  # fmt: skip


class HandedIn(Struct, frozen=True, kw_only=True):
    """A line of a file and its end: an outcome, or the reason of an error and its sentence."""

    n: int
    act: str
    alert: str
    made: datetime
    request_id: str
    outcome: AlertOutcome | None = None
    reason: str = ""
    message: str = ""

    @property
    def took(self) -> bool:
        """True when it is recorded and has effect."""
        outcome = self.outcome
        return outcome is not None and outcome.entry is not None and not outcome.entry.without_effect


@contextmanager
def kept_offline(
    desk: Desk, file: Path | None, act: str, alert: str, *, fields: Mapping[str, str], at: datetime
) -> Iterator[Desk]:
    """Lets an act be done at the node; where a file is named and the node is away, signs it into the file instead."""
    if file is None:
        yield desk
        return
    try:
        yield replace(desk, timeout_seconds=min(desk.timeout_seconds, OFFLINE_SECONDS))
    except UnavailableError:
        if not fields.get("desk"):
            raise typer.BadParameter("写明席位：--desk | name your desk: --desk") from None
        number = keep(desk, file, act, alert, fields=fields, at=at)
        lines = (
            f"节点无法到达，已签名存入 {file}（第 {number} 条），恢复后补交：bridgehead alert hand-in {file}",
            f"the node is away: signed into {file}; hand it in later: bridgehead alert hand-in {file}",
        )
        show_in(desk.form, {"kept_in": str(file), "n": number}, lines)


def keep(desk: Desk, file: Path, act: str, alert: str, *, fields: Mapping[str, str], at: datetime) -> int:
    """Signs a claim or a stamp into a file; returns how many it holds now. Refuses ISLAND_*."""
    stamp = IslandStamp(
        n=1, before=FIRST, at=at, agency=desk.profile.agency, officer=desk.named_officer(), act=act, alert=alert,
        fields=dict(fields),
    )  # fmt: skip
    return len(read_island(_append(desk, file, stamp), desk.own_key().public_key).lines)


def hand_in(desk: Desk, path: Path) -> Iterator[HandedIn]:
    """Hands a file in, line by line, each once however often. Refuses ISLAND_*; UnavailableError as `Desk.ask`."""
    key, island = desk.own_key().public_key, _read(desk, path)
    if not island.lines:
        raise NotFoundError("ISLAND_EMPTY", f"expected a claim or a stamp in {path}")
    desk.ask(lambda client: client.call(GET_STATUS, None, Nothing()), changes=False)  # before it is closed
    if island.closed is None:
        end = replace(island.lines[-1].stamp, act=HAND_IN, alert="", fields={}, at=now())
        island = read_island(_append(desk, path, end), key)
    if island.closed is None:
        raise NotFoundError("ISLAND_EMPTY", f"expected {path} to be closed")
    missing: set[str] = set()
    for line in island.lines:
        done = _not_here(line) if line.stamp.alert in missing else _handed_in(desk, line, island.closed.stamp.at)
        if done.reason == NOT_HERE:
            missing.add(line.stamp.alert)  # its later lines wait with it, in their order
        yield done


def _done(line: Written) -> HandedIn:
    stamp = line.stamp
    return HandedIn(n=stamp.n, act=stamp.act, alert=stamp.alert, made=stamp.at, request_id=line.request_id)


def _not_here(line: Written) -> HandedIn:
    """The end of a line whose alert the node does not show to the office: on its way after an outage, or not for it."""
    sentence = "本单位节点尚未收到该警情，或编号有误 | the node has not received the alert yet, or its number is wrong"
    return replace(_done(line), reason=NOT_HERE, message=sentence)


def _handed_in(desk: Desk, line: Written, at: datetime) -> HandedIn:
    stamp, done = line.stamp, _done(line)
    try:
        view = desk.call(READ_ALERT, stamp.alert, changes=False)
        if view.line is None:
            return _not_here(line)
        step = AlertStep(alert=view.line.record, name=stamp.act, fields=line.handed_in(at))
        act = replace(desk.act(view.line.purpose, view.line.function), request_id=line.request_id)
        return replace(done, outcome=desk.call(ACT_IN_ALERT, step, act=act))
    except UnavailableError:
        raise
    except BridgeheadError as error:
        return replace(done, reason=error.reason, message=error.message)


def handed_in_line(done: HandedIn) -> str:
    act = ALERT_ACTS[done.act]
    failed = f"{error_text(done.message, done.reason)} [{done.reason}]"
    end = outcome_words(done.outcome) if done.outcome is not None else failed
    head = f"{done.n}  {local_time(done.made)}  {short('补录|entered late')} {pair(act.zh, act.en)}  {done.alert}"
    return f"{head}{punctuated('：')}{end}"


def _read(desk: Desk, path: Path) -> Island:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError("FILE_MISSING", f"expected a local file {path}") from error
    island = read_island(content, desk.own_key().public_key)
    if island.last is not None and island.last.stamp.agency != desk.profile.agency:
        raise ConflictError("ISLAND_OTHER", f"another office keeps {path}")
    return island


def _append(desk: Desk, path: Path, stamp: IslandStamp) -> bytes:
    """Writes one line more, durably, and returns the whole file. A line that was cut off by a failure makes room."""
    key = desk.own_key()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        content = file.read(MAX_BYTES + 1)
        line = write_line(read_island(content, key.public_key), stamp, key)
        whole = content[: content.rfind(b"\n") + 1]
        file.seek(len(whole))
        file.truncate()
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return whole + line
