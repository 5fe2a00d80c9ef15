"""An import: a file checked whole, its rows sent a thousand at a time, every row accounted for by its line.

Rules kept: nothing is sent before all is read and checked; a bad row never stops the good ones; a row that may be wrong
is stored once a person accepted that doubt by its name; the rows that came in are those stored, there already, doubted,
refused, failed and not confirmed, and this and the request id are told also when the import dies half-way; the chunks
of a file are always the same, so one that broke off is repeated under its request id; a row that stands already is
not stored again under another one.
"""

from __future__ import annotations

import signal
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from inspect import Signature, signature
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeAlias, TypeVar

import typer
from msgspec import Struct

from federation.cli.options import Desk, Form, end, open_desk, read_request_id
from federation.cli.rows import AcceptOption, Doubt, DoubtKind, Sheet, read_accepted, settle_doubts
from federation.cli.show import JsonOut, china_today, progress, say, show_json, to_json
from federation.cli.words import Language, error_halves, language, said
from federation.protocol.errors import BridgeheadError, ConflictError
from federation.protocol.ids import Realm

if TYPE_CHECKING:
    from federation.cli.row_files import NumberedRow
    from federation.wire.client import AgencyClient
    from federation.wire.rpc import Act, Ruling

T = TypeVar("T")
CHUNK_ROWS: Final = 1000
BAD_ROWS_SHOWN: Final = 50
STANDS: Final = "ROW_STANDS"
"""The reason of a row that is stored already, as it stands in the file."""
Send: TypeAlias = "Callable[[Act, AgencyClient, int, Sequence[T]], Awaitable[Sequence[RowResult]]]"
RowResult: TypeAlias = "str | Ruling | BridgeheadError"
"""What one row came to: stored under this name, refused by policy, or not to be judged."""


def standing_row(name: str) -> ConflictError:
    """The answer for a row that is stored already under this name."""
    return ConflictError(STANDS, f"原已如此 | it stands so already: {name}", urn=name)


class BadRow(Struct, frozen=True):
    line: int
    reason: str
    message: str
    refused: bool = False


@dataclass
class Tally:
    rows: int = 0
    stored: list[tuple[int, str | None]] = field(default_factory=list)
    already: list[tuple[int, str | None]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    doubted: list[BadRow] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        refused = sum(row.refused for row in self.bad)
        counts = {
            "stored": len(self.stored), "already": len(self.already), "doubted": len(self.doubted),
            "refused": refused, "failed": len(self.bad) - refused,
        }  # fmt: skip
        return {"rows": self.rows, **counts, "unconfirmed": self.rows - sum(counts.values())}

    def account(self, line: int, result: RowResult) -> None:
        match result:
            case str():
                self.stored.append((line, result))
            case BridgeheadError() if result.reason == STANDS:
                self.already.append((line, str(result.facts.get("urn", ""))))
            case BridgeheadError():
                self.bad.append(BadRow(line, result.reason, result.message))
            case _:
                message = f"{', '.join(result.policies)}: {result.title_zh} | {result.title_en}"
                self.bad.append(BadRow(line, "REFUSED", message, refused=True))


class Importing(Struct, Generic[T], frozen=True, kw_only=True):
    """An import of one kind of row: its sheet, its doubts, who a row is of, how it is judged here and sent."""

    sheet: Sheet[T]
    doubts: Callable[[T], Iterable[Doubt]]
    same: Callable[[T], str]
    judge: Callable[[T, Realm, date], object]
    act: Callable[[Desk], Act]
    send: Send[T]


def check_rows(
    rows: Iterable[NumberedRow],
    importing: Importing[T],
    tally: Tally,
    *,
    accepted: Collection[DoubtKind] = (),
    judge: Callable[[T], object] = lambda _: None,
) -> list[tuple[int, T]]:
    """Returns the rows that can be read and that nobody need doubt, with their lines; the others go to the tally.

    `judge` refuses what a node would refuse; a row that is wrong is told so before it is doubted.
    """
    good: list[tuple[int, T]] = []
    lines: dict[str, int] = {}
    for numbered in rows:
        tally.rows += 1
        try:
            if isinstance(numbered.texts, BridgeheadError):
                raise numbered.texts
            row = importing.sheet.parse(numbered.texts)
            judge(row)
        except BridgeheadError as error:
            tally.account(numbered.line, error)
            continue
        first = lines.setdefault(importing.same(row), numbered.line)
        if first != numbered.line:
            sentence = f"与第 {first} 行是同一人或同一登记对象 | the same as line {first}: it stands once"
            tally.bad.append(BadRow(numbered.line, "ROW_TWICE", sentence))
            continue
        try:
            settle_doubts([*importing.sheet.find_doubts(numbered.texts), *importing.doubts(row)], accepted)
        except BridgeheadError as doubted:
            tally.doubted.append(BadRow(numbered.line, doubted.reason, doubted.message))
        else:
            good.append((numbered.line, row))
    return good


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import as it was asked for; its desk is opened when the node is needed, and not before."""

    encoding: str
    dry_run: bool
    realm: Realm
    accepted: frozenset[DoubtKind]
    template: Path | None
    request_id: str
    form: Form
    asked: Mapping[str, Any]

    @cached_property
    def desk(self) -> Desk:
        return open_desk(**self.asked, form=self.form, request_id=self.request_id)

    def run(self, importing: Importing[T], file: Path | None, rows: Iterable[tuple[int, T]] | None = None) -> None:
        """Checks everything, then judges the rows here or sends them; shows the tally, whatever happens. Ends as `end`.

        `rows` are sound ones in the place of a file's.
        """
        if self.template is not None:
            from federation.cli.row_files import write_template

            write_template(self.template, importing.sheet, chinese=language() is not Language.ENGLISH)
            say(said(f"标题行已写入 {self.template} | the heading is in {self.template}"))
            return
        if (file is None) is (rows is None):
            raise typer.BadParameter("写明一个文件 | give a FILE")
        act, tally, today = None if self.dry_run else importing.act(self.desk), Tally(), china_today()

        def judge(row: T) -> None:
            if self.dry_run:
                importing.judge(row, self.realm, today)

        if file is not None:
            from federation.cli.row_files import read_rows

            read = read_rows(file, importing.sheet, encoding=self.encoding)
            good = check_rows(read, importing, tally, accepted=self.accepted, judge=judge)
        else:
            good = list(rows or ())
            tally.rows = len(good)
        try:
            if act is None:
                tally.stored.extend((line, None) for line, _ in good)
            elif good:
                self._send(importing, good, tally, act)
        finally:
            self._show(tally)
        counts = tally.counts()
        end(0 if counts["rows"] == counts["stored"] + counts["already"] else 1)

    def _send(self, importing: Importing[T], rows: Sequence[tuple[int, T]], tally: Tally, act: Act) -> None:
        async def send(client: AgencyClient, number: int, chunk: Sequence[T]) -> Sequence[RowResult]:
            return await importing.send(act, client, number, chunk)

        with progress(said("导入|import"), len(rows)) as bar, _ended_by_signal():

            def tell(sent: int) -> None:
                bar.update(bar.task_ids[0], completed=sent)

            self.desk.ask(lambda client: send_rows(client, rows, tally, send, tell=tell))

    def _show(self, tally: Tally) -> None:
        counts = tally.counts()
        if self.form is Form.JSON:
            shown: dict[str, JsonOut] = {
                "bad_rows": to_json(tally.bad), "doubted_rows": to_json(tally.doubted),
                "stored_rows": _named(tally.stored), "already_rows": _named(tally.already),
            }  # fmt: skip
            show_json({"request_id": self.request_id, "dry_run": self.dry_run, **counts, **shown})
            return
        spoilt = sorted([*tally.bad, *tally.doubted], key=lambda row: row.line)
        for row in spoilt[:BAD_ROWS_SHOWN]:
            chinese, english = error_halves(row.message, row.reason)
            say(said(f"第 {row.line} 行：{chinese} | line {row.line}: {english}") + f" [{row.reason}]")
        if len(spoilt) > BAD_ROWS_SHOWN:
            say(said(f"另有 {len(spoilt) - BAD_ROWS_SHOWN} 行，用 -o json 查看全部 | and more: -o json tells all"))
        kept = ("可导入", "would be stored") if self.dry_run else ("已导入", "stored")
        in_chinese = (kept[0], "原已有", "存疑", "拒绝", "有误", "未确认")
        in_english = (kept[1], "already there", "doubted", "refused", "failed", "not confirmed")
        total, *numbers = counts.values()
        chinese = "，".join(f"{word} {number}" for word, number in zip(in_chinese, numbers, strict=True))
        english = ", ".join(f"{word} {number}" for word, number in zip(in_english, numbers, strict=True))
        print(said(f"共 {total} 行：{chinese} | rows {total}: {english}"))
        print(f"{said('编号|request id')} {self.request_id}")


def open_import(
    *,
    encoding: Annotated[str, typer.Option("--encoding", help="Of a CSV file: utf-8 or gb18030.")] = "utf-8",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check: needs no node, agency or profile.")] = False,
    realm: Annotated[Realm, typer.Option("--realm", help="With --dry-run: whose rules.")] = Realm.DEMO,
    accept: AcceptOption = None,
    template: Annotated[
        Path | None, typer.Option("--template", help="Write an empty file with the heading: NAME.csv or NAME.xlsx.")
    ] = None,
    **asked: Any,  # noqa: ANN401 - the options of a desk, handed on as they are
) -> Import:
    """Opens an import; the other options are those of `open_desk`."""
    given = asked.pop("request_id", None)
    return Import(
        encoding=encoding,
        dry_run=dry_run,
        realm=realm,
        accepted=read_accepted(accept),
        template=template,
        request_id=read_request_id(given) if given else str(uuid.uuid4()),
        form=asked.pop("form"),
        asked=asked,
    )


def _signature_of_both() -> Signature:
    own = [each for each in signature(open_import, eval_str=True).parameters.values() if each.name != "asked"]
    return Signature([*own, *signature(open_desk, eval_str=True).parameters.values()])


open_import.__signature__ = _signature_of_both()  # type: ignore[attr-defined]  # where `command` finds the options


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Ends by a signal as by Ctrl-C, so that what was stored until then is told."""

    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def send_rows(
    client: AgencyClient,
    rows: Iterable[tuple[int, T]],
    tally: Tally,
    send: Callable[[AgencyClient, int, Sequence[T]], Awaitable[Sequence[RowResult]]],
    *,
    tell: Callable[[int], None],
) -> None:
    """Sends all rows, a chunk at a time with its number from 1, and tells how many have been answered so far.

    Raises UnavailableError: the chunks before are stored; the same rows under the same request id go on from there.
    BridgeheadError: the node could judge no row at all, e.g. because it does not know the agency.
    """
    sent = 0
    for number, chunk in enumerate(_chunks(rows), start=1):
        for (line, _), kept in zip(chunk, await send(client, number, [row for _, row in chunk]), strict=True):
            tally.account(line, kept)
        sent += len(chunk)
        tell(sent)


def _chunks(rows: Iterable[T]) -> Iterator[Sequence[T]]:
    left = iter(rows)
    while chunk := list(islice(left, CHUNK_ROWS)):
        yield chunk


def _named(rows: Sequence[tuple[int, str | None]]) -> JsonOut:
    return [{"line": line, "urn": urn} for line, urn in rows]
