"""Two logs against each other: what the sender says it sent and the receiver says it decided, number by number. Pure.

Rules kept: every number that the receiver decided was sent; both leaves of a number name the same statement, body
commitment and signatures; the receiver judged under no older agreement than the sender cited; what was sent and never
decided has expired, or is young enough to be in flight. A log that could not be read whole proves nothing missing.
Trusts no side more than the other. Source: DESIGN section 3, transparency-log reference section 16.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from federation.audit.column import MessageColumn, MessageRecord, once, pack_time, side_by_side
from federation.audit.findings import Code, Finding, Findings
from federation.audit.rules import Rules
from federation.audit.verify_log import LogAccount
from federation.protocol.ids import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAccount:
    """What became of the messages of one ordered pair; `compared` is False when a log could not be read whole."""

    pair: Pair
    sent: int
    received: int
    refused: int
    expired: int
    in_flight: int
    compared: bool
    findings: tuple[Finding, ...]


class _Outcome(Enum):
    SENT = auto()
    RECEIVED = auto()
    REFUSED = auto()
    EXPIRED = auto()
    IN_FLIGHT = auto()


def compare_pair(
    pair: Pair, *, sender: LogAccount, receiver: LogAccount, rules: Rules, receipted: AbstractSet[int] = frozenset()
) -> PairAccount:
    """Compares the two logs on one ordered pair; `receipted` are the numbers that the sender holds receipts for."""
    comparison = _Comparison(pair, sender=sender, receiver=receiver, rules=rules, receipted=receipted)
    sent = once(_in_order(sender.sent, pair), lambda _record: None)  # reported where the log was read
    decided = once(_in_order(receiver.decided, pair), comparison.repeated)
    expired = {record.seq: record for record in _in_order(sender.expired, pair)}
    for ours, theirs in side_by_side(sent, decided):
        if ours is None:
            comparison.judge_unsent(theirs)
        else:
            comparison.compare(ours, theirs, expired.pop(ours.seq, None))
    for record in expired.values():
        comparison.judge_unsent_expired(record)
    return comparison.finish()


class _Comparison:
    """One pair while it is compared."""

    def __init__(
        self, pair: Pair, *, sender: LogAccount, receiver: LogAccount, rules: Rules, receipted: AbstractSet[int]
    ) -> None:
        self._pair = pair
        self._sender = sender
        self._receiver = receiver
        self._rules = rules
        self._receipted = receipted
        self._findings = {node: Findings(node) for node in (sender.node, receiver.node)}
        self._outcomes: Counter[_Outcome] = Counter()

    def compare(self, sent: MessageRecord, decided: MessageRecord | None, expired: MessageRecord | None) -> None:
        self._outcomes[_Outcome.SENT] += 1
        if decided is None:
            self._judge_undecided(sent, expired)
            return
        self._outcomes[_Outcome.REFUSED if decided.refused else _Outcome.RECEIVED] += 1
        for code, sentence in _differences(sent, decided):
            self._add(code, self._receiver, decided, sentence)
        if expired is not None:
            self._add(Code.EXPIRED_RECEIVED, self._sender, expired, "the sender says it expired, the receiver has it")

    def repeated(self, record: MessageRecord) -> None:
        self._add(Code.SEQUENCE_REPEATED, self._receiver, record, "the receiver decided this number more than once")

    def judge_unsent(self, decided: MessageRecord | None) -> None:
        """What was decided within the settled size was sent before the sender's head was fetched."""
        if decided is not None and self._sender.complete and decided.log_index < self._receiver.settled_size:
            sentence = f"{self._receiver.node} decided it, and {self._sender.node} never logged that it was sent"
            self._add(Code.MESSAGE_UNSENT, self._receiver, decided, sentence)

    def judge_unsent_expired(self, expired: MessageRecord) -> None:
        if self._sender.complete:
            self._add(Code.EXPIRED_UNSENT, self._sender, expired, "it expired, and was never sent")

    def finish(self) -> PairAccount:
        outcomes = self._outcomes
        return PairAccount(
            pair=self._pair,
            sent=outcomes[_Outcome.SENT],
            received=outcomes[_Outcome.RECEIVED],
            refused=outcomes[_Outcome.REFUSED],
            expired=outcomes[_Outcome.EXPIRED],
            in_flight=outcomes[_Outcome.IN_FLIGHT],
            compared=self._sender.complete and self._receiver.complete,
            findings=tuple(finding for findings in self._findings.values() for finding in findings.all()),
        )

    def _judge_undecided(self, sent: MessageRecord, expired: MessageRecord | None) -> None:
        if sent.seq in self._receipted and self._receiver.complete:
            sentence = (
                f"{self._sender.node} holds a receipt for it, and the log of {self._receiver.node} has no such leaf"
            )
            self._findings[self._receiver.node].add(Code.MESSAGE_MISSING, f"{self._pair} {sent.seq}: {sentence}")
        elif expired is not None:
            self._outcomes[_Outcome.EXPIRED] += 1
            if expired.subject != sent.subject:
                self._add(Code.DIGEST_DIFFERS, self._sender, expired, "it expired under another statement digest")
        elif self._receiver.complete and sent.subject not in self._receiver.disputed | self._sender.disputed:
            self._judge_age(sent)

    def _judge_age(self, sent: MessageRecord) -> None:
        age_ms = pack_time(self._rules.now) - sent.time_ms
        if age_ms <= self._rules.in_flight_age / timedelta(milliseconds=1):
            self._outcomes[_Outcome.IN_FLIGHT] += 1
            return
        sentence = f"sent {age_ms // 60_000} minutes ago; neither decided by {self._receiver.node} nor expired"
        self._add(Code.MESSAGE_OUTSTANDING, self._sender, sent, sentence)

    def _add(self, code: Code, account: LogAccount, record: MessageRecord, sentence: str) -> None:
        self._findings[account.node].add(code, f"{self._pair} {record.seq}: {sentence}", index=record.log_index)


def _differences(sent: MessageRecord, decided: MessageRecord) -> Iterator[tuple[Code, str]]:
    if sent.subject != decided.subject:
        yield Code.DIGEST_DIFFERS, f"sent as statement {sent.subject.hex():.16}, decided as {decided.subject.hex():.16}"
    if sent.commitment != decided.commitment:
        yield Code.COMMITMENT_DIFFERS, "the two leaves commit to different bodies"
    if sent.signatures != decided.signatures:
        yield Code.SIGNATURES_DIFFER, "the two leaves name different signatures"
    if decided.agreement_version < sent.agreement_version:
        versions = f"{decided.agreement_version}, sent under {sent.agreement_version}"
        yield Code.AGREEMENT_BEHIND, f"decided under agreement {versions}"


def _in_order(columns: Mapping[Pair, MessageColumn], pair: Pair) -> Iterator[MessageRecord]:
    column = columns.get(pair)
    return iter(()) if column is None else column.in_order()
