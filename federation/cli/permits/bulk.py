"""An import: rows read, sent a thousand at a time, and every row accounted for by its line.

Rules kept: a bad row never stops the good ones; the chunks of a file are always the same, so an import that broke off
is repeated under its request id and nothing is stored twice; what happened is counted, nothing is silently dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Final

from federation.cli.output import JsonOut
from federation.cli.permits.application import find_doubts, judge_locally, parse_import
from federation.cli.permits.rows import NumberedRow
from federation.domain.division import border_counties
from federation.domain.synthetic import synthetic_applications
from federation.protocol.errors import BridgeheadError, MalformedError, RuleError

if TYPE_CHECKING:
    from federation.domain.permit import PermitApplication
    from federation.protocol.ids import AgencyId, Realm
    from federation.wire.client import AgencyClient
    from federation.wire.values import Act, ImportedRow, PermitImport

CHUNK_ROWS: Final = 1000
_DRAWS_FOR_ONE: Final = 2000
"""How many people are invented at most until one fits."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not stored: its line, a stable reason, a sentence. `refused`: by policy, not for its form."""

    line: int
    reason: str
    message: str
    refused: bool = False


@dataclass
class Tally:
    """What became of the rows so far."""

    rows: int = 0
    stored: list[tuple[int, str | None]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    doubts: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, int]:
        """The totals by name."""
        refused = sum(row.refused for row in self.bad)
        return {
            "rows": self.rows,
            "stored": len(self.stored),
            "refused": refused,
            "failed": len(self.bad) - refused,
        }

    def as_object(self) -> dict[str, JsonOut]:
        """All of it as JSON."""
        bad: JsonOut = [
            {"line": row.line, "reason": row.reason, "message": row.message, "refused": row.refused} for row in self.bad
        ]
        stored: JsonOut = [{"line": line, "urn": urn} for line, urn in self.stored]
        return {**self.counts(), "bad_rows": bad, "stored_rows": stored, "doubts": dict(self.doubts)}


@dataclass(frozen=True, slots=True)
class GoodRow:
    """A row that could be read."""

    line: int
    row: PermitImport


def read_imports(rows: Iterable[NumberedRow], tally: Tally) -> Iterator[GoodRow]:
    """Yields the rows that can be read; the others go to the tally."""
    for numbered in rows:
        tally.rows += 1
        try:
            if isinstance(numbered.texts, BridgeheadError):
                raise numbered.texts
            row = parse_import(numbered.texts)
        except BridgeheadError as error:
            tally.bad.append(BadRow(numbered.line, error.reason, error.message))
            continue
        tally.doubts.update(find_doubts(row.application))
        yield GoodRow(numbered.line, row)


def invent_imports(agency: AgencyId, count: int, *, seed: int, today: date, tally: Tally) -> Iterator[GoodRow]:
    """Yields invented permits of the agency's own county; their lines count from 1.

    Raises:
        RuleError: SYNTHETIC_COUNTY as `invent_applications`.
    """
    from federation.wire.values import PermitImport

    for number, application in enumerate(islice(invent_applications(agency, seed=seed, today=today), count), start=1):
        tally.rows += 1
        yield GoodRow(number, PermitImport(application=application))


def invent_applications(agency: AgencyId, *, seed: int, today: date) -> Iterator[PermitApplication]:
    """Yields applications of invented people in the agency's own county, as many as are taken.

    Raises:
        RuleError: SYNTHETIC_COUNTY when the county has no border, SYNTHETIC_NODE.
    """
    if agency.county not in border_counties(agency.node):
        told = f"invented people live in border counties only; {agency.county} of {agency.node} is none"
        raise RuleError("SYNTHETIC_COUNTY", told)
    for application in synthetic_applications(agency.node, 10**9, seed=seed, today=today):
        if application.residence_division == agency.county:
            yield application


def invent_one(agency: AgencyId, *, household: str | None, seed: int, today: date) -> PermitApplication:
    """One adult whose record may be shared, from a given household county or from anywhere.

    Raises:
        RuleError: SYNTHETIC_COUNTY when nobody from there moves here.
    """
    drawn = islice(invent_applications(agency, seed=seed, today=today), _DRAWS_FOR_ONE)
    for application in drawn:
        fits = household is None or application.holder.household_division == household
        if fits and not application.sealed and not application.guardian:
            return application
    raise RuleError("SYNTHETIC_COUNTY", f"no invented person from {household} moves to {agency.county}")


def judge_rows(rows: Iterable[GoodRow], tally: Tally, *, realm: Realm, today: date) -> None:
    """Judges every row here, without a node; those that would be stored are counted as stored."""
    for good in rows:
        try:
            judge_locally(good.row, realm=realm, today=today)
        except BridgeheadError as error:
            tally.bad.append(BadRow(good.line, error.reason, error.message))
        else:
            tally.stored.append((good.line, good.row.urn))


async def send_rows(
    client: AgencyClient, act: Act, rows: Iterator[GoodRow], *, tally: Tally, tell: Callable[[int], None]
) -> None:
    """Sends all rows, a chunk at a time, and tells how many rows have been read so far; the request id is the import's.

    Raises:
        UnavailableError: the chunks before are stored; the same rows under the same request id go on from there.
        BridgeheadError: the node could judge no row at all, e.g. because it does not know the agency.
    """
    from federation.wire.values import ImportChunk

    number = 0
    while chunk := list(islice(rows, CHUNK_ROWS)):
        number += 1
        sent = ImportChunk(import_id=act.request_id, chunk=number, rows=tuple(good.row for good in chunk))
        answers: Sequence[ImportedRow]
        try:
            answers = await client.import_permits(act, sent)
        except MalformedError as error:  # the chunk as a whole was of another form: its rows are accounted for, too
            answers = (error,) * len(chunk)
        for good, answer in zip(chunk, answers, strict=True):
            _account(tally, good.line, answer)
        tell(tally.rows)


def _account(tally: Tally, line: int, answer: ImportedRow) -> None:
    match answer:
        case str():
            tally.stored.append((line, answer))
        case BridgeheadError():
            tally.bad.append(BadRow(line, answer.reason, answer.message))
        case _:
            decision = answer
            told = f"{', '.join(decision.policies)}: {decision.title_zh} | {decision.title_en}"
            tally.bad.append(BadRow(line, "REFUSED", told, refused=True))
