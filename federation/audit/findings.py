"""Findings: what an audit says when something is not as it must be, one sentence each.

Rules kept: a code is stable and names the rule that was broken; a sentence says what was expected and what was got;
a log that breaks one rule a million times gives a few findings and a number, not a million lines.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from federation.protocol.ids import NodeName

MAX_OF_A_CODE = 20
"""Findings that are kept of one code and one check; the rest is counted."""


class Severity(StrEnum):
    """`error`: the audit fails. `warning`: a human should look; nothing is contradicted."""

    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """The rules that an audit checks, each by what it is called when broken."""

    CHECKPOINT_INVALID = "CHECKPOINT_INVALID"
    ROOT_DIFFERS = "ROOT_DIFFERS"
    LOG_FORKED = "LOG_FORKED"
    LOG_ROLLED_BACK = "LOG_ROLLED_BACK"
    COSIGNATURE_INVALID = "COSIGNATURE_INVALID"
    COSIGNED_BY_FEW = "COSIGNED_BY_FEW"
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
    UNANSWERED_DIFFERS = "UNANSWERED_DIFFERS"
    UNANSWERED_ANSWERED = "UNANSWERED_ANSWERED"
    UNANSWERED_ONE_SIDED = "UNANSWERED_ONE_SIDED"
    ENVELOPE_INVALID = "ENVELOPE_INVALID"
    STATEMENT_DIFFERS = "STATEMENT_DIFFERS"
    RECEIPT_INVALID = "RECEIPT_INVALID"
    LISTED_NOT_LOGGED = "LISTED_NOT_LOGGED"
    LOGGED_NOT_LISTED = "LOGGED_NOT_LISTED"
    LISTING_DENIED = "LISTING_DENIED"


WARNINGS = frozenset(
    {
        Code.COSIGNED_BY_FEW,
        Code.DISCREPANCY_LOGGED,
        Code.EXPIRED_RECEIVED,
        Code.AGREEMENT_UNKNOWN,
        Code.LISTING_DENIED,
        Code.UNANSWERED_ONE_SIDED,
    }
)
"""The codes that contradict nothing: all others make the audit fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken rule: where it was found (`index` of the log entry, when it is about one) and what is wrong."""

    code: Code
    node: NodeName
    index: int | None
    sentence: str

    @property
    def severity(self) -> Severity:
        """Whether the audit fails by it."""
        return Severity.WARNING if self.code in WARNINGS else Severity.ERROR


class Findings:
    """The findings about one node while a check runs."""

    def __init__(self, node: NodeName) -> None:
        """Starts without any."""
        self._node = node
        self._kept: list[Finding] = []
        self._counts: Counter[Code] = Counter()

    def add(self, code: Code, sentence: str, *, index: int | None = None) -> None:
        """Adds a finding; beyond the limit of its code it is counted only."""
        self._counts[code] += 1
        if self._counts[code] <= MAX_OF_A_CODE:
            self._kept.append(Finding(code=code, node=self._node, index=index, sentence=sentence))

    def all(self) -> tuple[Finding, ...]:
        """All that was kept, and one more a code for those that were only counted."""
        more = (
            Finding(code=code, node=self._node, index=None, sentence=f"and {count - MAX_OF_A_CODE} more of this kind")
            for code, count in self._counts.items()
            if count > MAX_OF_A_CODE
        )
        return (*self._kept, *more)


def in_reading_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Orders findings for a reader: errors before warnings, then each node's first bad entry first."""
    return tuple(
        sorted(
            findings,
            key=lambda finding: (
                finding.severity is Severity.WARNING,
                finding.index is None,
                finding.index or 0,
                finding.node,
            ),
        )
    )
