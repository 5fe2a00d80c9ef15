"""What a clerk does with the own county's register: register one record, import a file, show one record.

Rules kept: a bad row never stops the good ones and is told by its line; the chunks of a file are always the same, and
each has a request id that follows from the command's, so that an import that broke off is repeated and done once.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from federation.cli.client_profile import Desk
from federation.cli.output import Form, progress, show_json
from federation.cli.permits import view as permit_view
from federation.cli.permits.answers import show_tally
from federation.cli.permits.bulk import CHUNK_ROWS, BadRow, Tally
from federation.cli.permits.rows import count_lines, read_rows
from federation.cli.registers import view
from federation.cli.registers.rows import Fact, RegisterForm
from federation.domain.dossiers.register_policy import REGISTER_FUNCTION, REGISTER_PURPOSE
from federation.protocol.errors import BridgeheadError
from federation.wire.agency.registers import KeptVersion
from federation.wire.values import Act, Ruling

if TYPE_CHECKING:
    from federation.domain.dossiers.dossier import DossierKind
    from federation.protocol.ids import Realm
    from federation.wire.agency.registers import RegisteredRow, RegisterReading
    from federation.wire.client import AgencyClient


def register_one(desk: Desk, form: RegisterForm[Fact], texts: Mapping[str, str | None]) -> None:
    """Registers one record, or what changed of it, and shows which version holds it; exit 1 when policy refused.

    Raises:
        BridgeheadError: what the row's form, the rule or the node said.
    """
    given = {name: text for name, text in texts.items() if text is not None}
    row, act = form.parse(given), _act(desk, form.kind)
    (answer,) = desk.ask(lambda client: form.send(client, act, [row]))
    if isinstance(answer, BridgeheadError):
        raise answer
    if isinstance(answer, Ruling):
        _refuse(desk, answer)
        return
    if desk.form is Form.JSON:
        show_json({"request_id": desk.request_id, "id": answer.id, "version": answer.version})
    else:
        print(f"{answer.id}  第 {answer.version} 版 version {answer.version}")


def import_file(
    desk: Desk, form: RegisterForm[Fact], file: Path, *, encoding: str, dry_run: bool, realm: Realm
) -> None:
    """Imports a file a thousand rows at a time, or judges it here only; every row is accounted for by its line."""
    tally = Tally()
    rows = _read(form, file, encoding=encoding, tally=tally)
    if dry_run:
        _judge(form, rows, tally, realm=realm)
    else:
        with progress("导入 import", count_lines(file)) as bar:
            act = _act(desk, form.kind)

            def tell(read: int) -> None:
                bar.update(bar.task_ids[0], completed=read)

            desk.ask(lambda client: _send(client, act, form, rows, tally=tally, tell=tell))
    show_tally(desk, tally, dry_run=dry_run)


def show_one(
    desk: Desk, kind: DossierKind, read: Callable[[AgencyClient, Act], Awaitable[RegisterReading]], *, full: bool
) -> None:
    """Shows what the own county keeps under one plate or USCC; exit 1 when policy refused."""
    act = _act(desk, kind)
    reading = desk.ask(lambda client: read(client, act), changes=False)
    if not reading.decision.allowed:
        _refuse(desk, reading.decision)
        return
    if desk.form is Form.JSON:
        records = [view.record_object(record, full=full) for record in reading.records]
        decision = permit_view.ruling_object(reading.decision)
        show_json({"request_id": desk.request_id, "decision": decision, "records": records})
        return
    for record in reading.records:
        for line in view.record_lines(record, full=full):
            print(line)


def _read(form: RegisterForm[Fact], file: Path, *, encoding: str, tally: Tally) -> Iterator[tuple[int, Fact]]:
    for numbered in read_rows(file, encoding=encoding, columns=form.columns):
        tally.rows += 1
        try:
            if isinstance(numbered.texts, BridgeheadError):
                raise numbered.texts
            row = form.parse(numbered.texts)
        except BridgeheadError as error:
            tally.bad.append(BadRow(numbered.line, error.reason, error.message))
            continue
        yield numbered.line, row


def _judge(form: RegisterForm[Fact], rows: Iterator[tuple[int, Fact]], tally: Tally, *, realm: Realm) -> None:
    for line, row in rows:
        try:
            form.judge(row, realm, permit_view.china_today())
        except BridgeheadError as error:
            tally.bad.append(BadRow(line, error.reason, error.message))
        else:
            tally.stored.append((line, None))


async def _send(
    client: AgencyClient,
    act: Act,
    form: RegisterForm[Fact],
    rows: Iterator[tuple[int, Fact]],
    *,
    tally: Tally,
    tell: Callable[[int], None],
) -> None:
    number = 0
    while chunk := list(islice(rows, CHUNK_ROWS)):
        number += 1
        request_id = str(uuid.uuid5(uuid.UUID(act.request_id), str(number)))
        answers = await form.send(client, replace(act, request_id=request_id), [row for _, row in chunk])
        for (line, _), answer in zip(chunk, answers, strict=True):
            _account(tally, line, answer)
        tell(tally.rows)


def _account(tally: Tally, line: int, answer: RegisteredRow) -> None:
    match answer:
        case KeptVersion():
            tally.stored.append((line, answer.id))
        case BridgeheadError():
            tally.bad.append(BadRow(line, answer.reason, answer.message))
        case Ruling():
            decision = answer
            told = f"{', '.join(decision.policies)}: {decision.title_zh} | {decision.title_en}"
            tally.bad.append(BadRow(line, "REFUSED", told, refused=True))


def _act(desk: Desk, kind: DossierKind) -> Act:
    """Who acts and what for: the purpose of the register unless another was given; policy judges what is unknown."""
    return Act(
        request_id=desk.request_id,
        purpose=desk.purpose or REGISTER_PURPOSE[kind],
        function=desk.function or REGISTER_FUNCTION[kind],
        officer=desk.officer,
    )


def _refuse(desk: Desk, ruling: Ruling) -> None:
    if desk.form is Form.JSON:
        show_json({"request_id": desk.request_id, "decision": permit_view.ruling_object(ruling)})
    else:
        for line in permit_view.ruling_lines(ruling):
            print(line)
    raise typer.Exit(1)
