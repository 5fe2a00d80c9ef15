"""Figures: reports that a node counts and signs, and figures that their owners hand in."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from federation.protocol.form import Count, Positive, Row
from federation.wire.rpc import WRITES, Rpc, Ruling


class ReportQuery(Struct, frozen=True, kw_only=True):
    """`kind` is a word of `ReportKind`, `period` one of `period_of`; no counties: those of the province with a desk.

    `handed_over`: it is for the other side.
    """

    kind: str
    period: str = ""
    counties: tuple[str, ...] = ()
    procedure: str = ""
    leaves: bool = False
    handed_over: bool = False


class SignedAnswer(Struct, frozen=True, kw_only=True):
    """The signed report as `open_report` reads it; empty when it was refused."""

    decision: Ruling
    signed: bytes = b""


class FigureRow(Row, frozen=True, kw_only=True):
    """A figure as its owner hands it in, with its parts where the owner says them."""

    id: str
    place: str
    period: str
    value: str
    words: str
    numerator: Count | None = None
    denominator: Positive | None = None


class Delivery(Struct, frozen=True, kw_only=True):
    figures: tuple[FigureRow, ...]


class DeliveryOutcome(Struct, frozen=True, kw_only=True):
    """`digests` are the subjects of the leaves, in order; none when it was refused."""

    decision: Ruling
    digests: tuple[str, ...] = ()


class RecheckQuestion(Struct, frozen=True, kw_only=True):
    """The finding of the caller about the stamp of a stage: `finding` is a word of `Finding`."""

    alert: str
    stage: str
    finding: str
    words: str = ""


class RecheckOutcome(Struct, frozen=True, kw_only=True):
    """`entry` is the name of the entry that made the stamp; empty when it was refused."""

    decision: Ruling
    entry: str = ""


READ_REPORT: Final = Rpc("FigureService/ReadReport", ReportQuery, SignedAnswer, floor_seconds=WRITES)
DELIVER_FIGURES: Final = Rpc("FigureService/DeliverFigures", Delivery, DeliveryOutcome, floor_seconds=WRITES)
RECHECK_STAMP: Final = Rpc("FigureService/RecheckStamp", RecheckQuestion, RecheckOutcome, floor_seconds=WRITES)
