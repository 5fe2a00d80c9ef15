"""The report of an audit: findings of one sentence each, a line for each log and each ordered pair, passed or not.

A code is stable and names the rule that was broken; of a rule that a log breaks a million times a few findings are in
memory and the rest in a temporary file, counted. Passed only when every log was reached and read whole and nothing is
contradicted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from tempfile import SpooledTemporaryFile
from weakref import finalize

from federation.protocol.form import JsonValue, names_of
from federation.protocol.ids import NodeName, Pair, Realm, format_time

MAX_OF_A_CODE = 20
"""Findings of one code and one check that stand in a report; the rest is one more, with their number."""
_IN_MEMORY = 64 * 1024


class Severity(StrEnum):
    """`error`: the audit fails. `warning`: a human should look; nothing is contradicted."""

    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    CHECKPOINT_INVALID = "CHECKPOINT_INVALID"
    ROOT_DIFFERS = "ROOT_DIFFERS"
    LOG_FORKED = "LOG_FORKED"
    LOG_ROLLED_BACK = "LOG_ROLLED_BACK"
    COSIGNATURE_INVALID = "COSIGNATURE_INVALID"
    COSIGNED_BY_FEW = "COSIGNED_BY_FEW"
    BOOT_UNCONFIRMED = "BOOT_UNCONFIRMED"
    LOG_RESTARTED = "LOG_RESTARTED"
    LOST_WITH_RESTART = "LOST_WITH_RESTART"
    BUNDLE_MISSING = "BUNDLE_MISSING"
    BUNDLE_MALFORMED = "BUNDLE_MALFORMED"
    ENTRY_DIFFERS = "ENTRY_DIFFERS"
    TILE_MISSING = "TILE_MISSING"
    TILE_DIFFERS = "TILE_DIFFERS"
    LEAF_MALFORMED = "LEAF_MALFORMED"
    LEAF_FOREIGN = "LEAF_FOREIGN"
    LEAF_UNLAWFUL = "LEAF_UNLAWFUL"
    TIME_BACKWARDS = "TIME_BACKWARDS"
    TIME_FUTURE = "TIME_FUTURE"
    AGREEMENT_UNKNOWN = "AGREEMENT_UNKNOWN"
    AGREEMENT_BEHIND = "AGREEMENT_BEHIND"
    DISCREPANCY_LOGGED = "DISCREPANCY_LOGGED"
    SEQUENCE_GAP = "SEQUENCE_GAP"
    SEQUENCE_REPEATED = "SEQUENCE_REPEATED"
    DIGEST_DIFFERS = "DIGEST_DIFFERS"
    COMMITMENT_DIFFERS = "COMMITMENT_DIFFERS"
    SIGNATURES_DIFFER = "SIGNATURES_DIFFER"
    MESSAGE_UNSENT = "MESSAGE_UNSENT"
    MESSAGE_MISSING = "MESSAGE_MISSING"
    MESSAGE_OUTSTANDING = "MESSAGE_OUTSTANDING"
    EXPIRED_UNSENT = "EXPIRED_UNSENT"
    EXPIRED_RECEIVED = "EXPIRED_RECEIVED"
    ERASURE_UNFOUNDED = "ERASURE_UNFOUNDED"
    ERASURE_ONE_SIDED = "ERASURE_ONE_SIDED"
    UNANSWERED_DIFFERS = "UNANSWERED_DIFFERS"
    UNANSWERED_ANSWERED = "UNANSWERED_ANSWERED"
    UNANSWERED_ONE_SIDED = "UNANSWERED_ONE_SIDED"
    ENVELOPE_INVALID = "ENVELOPE_INVALID"
    STATEMENT_DIFFERS = "STATEMENT_DIFFERS"
    RECEIPT_INVALID = "RECEIPT_INVALID"
    LISTED_NOT_LOGGED = "LISTED_NOT_LOGGED"
    LOGGED_NOT_LISTED = "LOGGED_NOT_LISTED"
    LISTING_DENIED = "LISTING_DENIED"
    MANDATE_INVALID = "MANDATE_INVALID"
    FORMER_MEMBER = "FORMER_MEMBER"
    HEAD_INVALID = "HEAD_INVALID"
    RECORD_FORKED = "RECORD_FORKED"
    RECORD_OLD_PARENTS = "RECORD_OLD_PARENTS"
    RECORD_HEIGHT = "RECORD_HEIGHT"
    RECORD_BEYOND_CUT = "RECORD_BEYOND_CUT"
    RECORD_UNCITED = "RECORD_UNCITED"
    RECORD_DATED_BACK = "RECORD_DATED_BACK"
    EVIDENCE_CHANGED = "EVIDENCE_CHANGED"


WARNINGS = frozenset(
    {
        Code.COSIGNED_BY_FEW,
        Code.BOOT_UNCONFIRMED,
        Code.LOG_RESTARTED,
        Code.LOST_WITH_RESTART,
        Code.DISCREPANCY_LOGGED,
        Code.EXPIRED_RECEIVED,
        Code.AGREEMENT_UNKNOWN,
        Code.LISTING_DENIED,
        Code.FORMER_MEMBER,
        Code.UNANSWERED_ONE_SIDED,
        Code.ERASURE_ONE_SIDED,
        Code.RECORD_BEYOND_CUT,
        Code.RECORD_DATED_BACK,
    }
)
"""The codes that contradict nothing: all others make the audit fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken rule: where it was found (`index` of the log entry, when it is about one) and what is wrong.

    One that stands for `count` of its kind has them as `rest`, which is read off the disk.
    """

    code: Code
    node: NodeName
    index: int | None
    sentence: str
    count: int = 1
    rest: _Rest | None = field(default=None, compare=False, repr=False)

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self.code in WARNINGS else Severity.ERROR


class Findings:
    def __init__(self, node: NodeName) -> None:
        self._node = node
        self._kept: list[Finding] = []
        self._counts: Counter[Code] = Counter()
        self._rest: dict[Code, _Rest] = {}

    def add(self, code: Code, sentence: str, *, index: int | None = None) -> None:
        self._counts[code] += 1
        if self._counts[code] <= MAX_OF_A_CODE:
            self._kept.append(Finding(code=code, node=self._node, index=index, sentence=sentence))
        else:
            self._rest.setdefault(code, _Rest(code, self._node)).add(sentence, index)

    def all(self) -> tuple[Finding, ...]:
        """Returns the first of each code, and one more finding a code for those beyond the limit."""
        more = (
            Finding(
                code=code, node=self._node, index=None, count=(left := self._counts[code] - MAX_OF_A_CODE), rest=rest,
                sentence=f"还有同类 {left} 处 | and {left} more of this kind",
            )
            for code, rest in self._rest.items()
        )  # fmt: skip
        return (*self._kept, *more)


class _Rest:
    """The findings of one code beyond the limit, in the order in which they were found, a line each in a file."""

    def __init__(self, code: Code, node: NodeName) -> None:
        self._code, self._node = code, node
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - it lives as long as its findings
        finalize(self, self._file.close)

    def add(self, sentence: str, index: int | None) -> None:
        self._file.write(json.dumps([index, sentence]).encode() + b"\n")

    def __iter__(self) -> Iterator[Finding]:
        self._file.seek(0)
        for index, sentence in map(json.loads, self._file):
            yield Finding(code=self._code, node=self._node, index=index, sentence=sentence)


def each_finding(findings: tuple[Finding, ...]) -> Iterator[Finding]:
    """Yields every finding: instead of one that stands for many, these."""
    for finding in findings:
        yield from (finding,) if finding.rest is None else finding.rest


def in_reading_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    def place(each: Finding) -> tuple[bool, bool, int, NodeName]:
        return each.severity is Severity.WARNING, each.index is None, each.index or 0, each.node

    return tuple(sorted(findings, key=place))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One log; `cosigned` witnesses signed a head of it, enough of them cover the first `witnessed_size` entries."""

    node: NodeName
    origin: str
    size: int
    root: bytes
    read: int
    kinds: Mapping[str, int]
    cosigned: int
    witnesses: int
    witnessed_size: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLine:
    """One ordered pair: what was sent and what became of it; `receipts` that were verified, None without a listing."""

    pair: Pair
    sent: int
    received: int
    refused: int
    expired: int
    in_flight: int
    receipts: int | None
    compared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of one audit; `unreachable` names the nodes that could not be asked, with the reason."""

    federation: str
    realm: Realm
    agreement: int
    time: datetime
    logs: tuple[LogLine, ...]
    pairs: tuple[PairLine, ...]
    findings: tuple[Finding, ...]
    unreachable: Mapping[NodeName, str]

    @property
    def errors(self) -> int:
        return sum(finding.count for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def warnings(self) -> int:
        return sum(finding.count for finding in self.findings) - self.errors

    @property
    def first(self) -> Finding | None:
        """The error to look at first: that of an entry before any other, the lowest of them."""
        return next((finding for finding in self.findings if finding.severity is Severity.ERROR), None)

    @property
    def passed(self) -> bool:
        return not self.unreachable and not self.errors and all(line.complete for line in self.logs)


def report_object(report: Report, *, everything: bool = False) -> dict[str, JsonValue]:
    """Returns the report as JSON: every value under its field's name; `passed` and the `first` error lead.

    With `everything` each finding stands for itself, in memory: a program that reads JSON reads it whole.
    """
    shown = each_finding(report.findings) if everything else report.findings
    findings: list[JsonValue] = [{"severity": each.severity.value, **_fields_of(each)} for each in shown]
    return {"passed": report.passed, "first": _json(report.first), **_fields_of(report), "findings": findings}


def _fields_of(value: Report | LogLine | PairLine | Finding) -> dict[str, JsonValue]:
    return {name: _json(getattr(value, name)) for name in names_of(value) if name != "rest"}


def _json(value: object) -> JsonValue:
    match value:
        case str():
            return str(value)
        case int() | None:
            return value
        case bytes():
            return value.hex()
        case datetime():
            return format_time(value)
        case tuple():
            return [_json(each) for each in value]
        case Mapping():
            return {str(name): _json(each) for name, each in value.items()}
        case LogLine() | PairLine() | Finding():
            return _fields_of(value)
        case _:
            return str(value)
