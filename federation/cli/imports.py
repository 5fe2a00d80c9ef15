"""An import: the rows of a file sent a thousand at a time, and every row accounted for by its line.

Rules kept: a bad row never stops the good ones; the chunks of a file are always the same, so an import that broke off
is repeated under its request id and nothing is stored twice; what happened is counted, nothing is silently dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

import typer

from federation.cli.options import Desk, Form, end
from federation.cli.rows import NumberedRow, Sheet
from federation.cli.show import JsonOut, china_today, progress, say, show_json, to_json
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import Realm

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient
    from federation.wire.rpc import Ruling

T = TypeVar("T")
CHUNK_ROWS: Final = 1000
BAD_ROWS_SHOWN: Final = 50
_DOUBTS_SHOWN: Final = 10
Send: TypeAlias = "Callable[[AgencyClient, int, Sequence[T]], Awaitable[Sequence[RowResult]]]"
RowResult: TypeAlias = "str | Ruling | BridgeheadError"
"""What one row came to: stored under this name, refused by policy, or not to be judged."""


@dataclass(frozen=True, slots=True)
class BadRow:
    line: int
    reason: str
    message: str
    refused: bool = False


@dataclass
class Tally:
    rows: int = 0
    stored: list[tuple[int, str | None]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    doubts: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, int]:
        refused = sum(row.refused for row in self.bad)
        return {"rows": self.rows, "stored": len(self.stored), "refused": refused, "failed": len(self.bad) - refused}

    def account(self, line: int, result: RowResult) -> None:
        match result:
            case str():
                self.stored.append((line, result))
            case BridgeheadError():
                self.bad.append(BadRow(line, result.reason, result.message))
            case _:
                message = f"{', '.join(result.policies)}: {result.title_zh} | {result.title_en}"
                self.bad.append(BadRow(line, "REFUSED", message, refused=True))


def parse_rows(
    rows: Iterable[NumberedRow], sheet: Sheet[T], tally: Tally, *, doubts: Callable[[T], Iterable[str]] | None = None
) -> Iterator[tuple[int, T]]:
    """Yields the rows that can be read with their lines; the others go to the tally."""
    for numbered in rows:
        tally.rows += 1
        try:
            if isinstance(numbered.texts, BridgeheadError):
                raise numbered.texts
            row = sheet.parse(numbered.texts)
        except BridgeheadError as error:
            tally.account(numbered.line, error)
            continue
        tally.doubts.update((*sheet.find_doubts(numbered.texts), *(doubts(row) if doubts is not None else ())))
        yield numbered.line, row


def judge_rows(rows: Iterable[tuple[int, T]], tally: Tally, judge: Callable[[T], object]) -> None:
    """Judges every row here, without a node; those that would be stored are counted as stored."""
    for line, row in rows:
        try:
            name = judge(row)
            tally.stored.append((line, name if isinstance(name, str) else None))
        except BridgeheadError as error:
            tally.account(line, error)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    encoding: str
    dry_run: bool
    realm: Realm


def open_import(
    *,
    encoding: Annotated[str, typer.Option("--encoding", help="Of the file, e.g. gb18030.")] = "utf-8",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, without the node.")] = False,
    realm: Annotated[Realm, typer.Option("--realm", help="With --dry-run: whose rules.")] = Realm.DEMO,
) -> ImportOptions:
    return ImportOptions(encoding, dry_run, realm)


def run_import(
    desk: Desk,
    options: ImportOptions,
    rows: Iterator[tuple[int, T]],
    tally: Tally,
    *,
    judge: Callable[[T, Realm, date], object],
    send: Send[T],
    total: int | None,
) -> None:
    """Judges every row here, or sends all of them over one connection, under a progress bar; shows the tally."""
    if options.dry_run:
        today = china_today()
        judge_rows(rows, tally, lambda row: judge(row, options.realm, today))
    else:
        with progress("导入 import", total) as bar:

            def tell(read: int) -> None:
                bar.update(bar.task_ids[0], completed=read)

            desk.ask(lambda client: send_rows(client, rows, tally, send, tell=tell))
    show_tally(desk, tally, dry_run=options.dry_run)


async def send_rows(
    client: AgencyClient, rows: Iterator[tuple[int, T]], tally: Tally, send: Send[T], *, tell: Callable[[int], None]
) -> None:
    """Sends all rows, a chunk at a time with its number from 1, and tells how many rows have been read so far.

    Raises UnavailableError: the chunks before are stored; the same rows under the same request id go on from there.
    BridgeheadError: the node could judge no row at all, e.g. because it does not know the agency.
    """
    number = 0
    while chunk := list(islice(rows, CHUNK_ROWS)):
        number += 1
        for (line, _), kept in zip(chunk, await send(client, number, [row for _, row in chunk]), strict=True):
            tally.account(line, kept)
        tell(tally.rows)


def show_tally(desk: Desk, tally: Tally, *, dry_run: bool) -> None:
    counts = tally.counts()
    if desk.form is Form.JSON:
        stored: JsonOut = [{"line": line, "urn": urn} for line, urn in tally.stored]
        found = {**counts, "bad_rows": to_json(tally.bad), "stored_rows": stored, "doubts": tally.doubts}
        show_json({"request_id": desk.request_id, "dry_run": dry_run, **found})
        end(1 if tally.bad else 0)
        return
    for row in tally.bad[:BAD_ROWS_SHOWN]:
        say(f"第 {row.line} 行 line {row.line}: {row.message} [{row.reason}]")
    if len(tally.bad) > BAD_ROWS_SHOWN:
        say(f"另有 {len(tally.bad) - BAD_ROWS_SHOWN} 行，用 -o json 查看全部 | and more: -o json tells all")
    for doubt, count in tally.doubts.most_common(_DOUBTS_SHOWN):
        say(f"请核对 please check ({count}): {doubt}")
    kept = "可导入 would be stored" if dry_run else "已导入 stored"
    print(
        f"共 rows {counts['rows']}, {kept} {counts['stored']}, "
        f"拒绝 refused {counts['refused']}, 有误 failed {counts['failed']}"
    )
    end(1 if tally.bad else 0)
