"""Reading the leaves of one log, in order: each by itself, and each against those before it. Pure.

Rules kept: a leaf decodes strictly and is lawful in this log; times do not go backwards beyond the clock tolerance;
the numbers of `sent` leaves count from 1 without gap or repeat. What the two sides must agree on is kept packed.
Source: transparency-log reference section 14.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import partial

from federation.audit.column import MessageColumn, MessageRecord, once, pack_digest, pack_time, side_by_side
from federation.audit.findings import Code, Findings
from federation.audit.rules import Rules, broken_rules, is_unanswered
from federation.protocol.errors import MalformedError
from federation.protocol.ids import NodeName, Pair
from federation.protocol.leaf import Leaf, LeafKind, decode_leaf


class LeafReader:
    """Reads the leaves of one log in order: each by itself, and each against those before it."""

    def __init__(self, node: NodeName, rules: Rules, findings: Findings) -> None:
        """Starts before the first leaf."""
        self.kinds: Counter[LeafKind] = Counter()
        self.sent: dict[Pair, MessageColumn] = {}
        self.decided: dict[Pair, MessageColumn] = {}
        self.expired: dict[Pair, MessageColumn] = {}
        self.erased: dict[Pair, MessageColumn] = {}
        self.unanswered: dict[Pair, MessageColumn] = {}
        self.disputed: set[bytes] = set()
        self._node = node
        self._rules = rules
        self._findings = findings
        self._latest: datetime | None = None
        self._numbers: dict[Pair, int] = {}

    def read(self, entry: bytes, index: int) -> None:
        """Reads one leaf; what is wrong with it becomes a finding."""
        try:
            leaf = decode_leaf(entry)
        except MalformedError as error:
            self._findings.add(Code.LEAF_MALFORMED, str(error), index=index)
            return
        self.kinds[leaf.kind] += 1
        for code, sentence in broken_rules(leaf, self._node, self._rules):
            self._findings.add(code, sentence, index=index)
        self._check_time(leaf, index)
        self._keep(leaf, index)

    def check_erasures(self) -> None:
        """Compares what was erased with what was sent and received: an erasure is about a message of this log.

        What was erased stands there before, once, under that very statement and commitment; so an erasure proves that
        an exchange took place, and hides none.
        """
        for pair, column in self.erased.items():
            messages = (self.sent if pair.sender == self._node else self.decided).get(pair, MessageColumn())
            erasures = once(column.in_order(), partial(self._add_unfounded, pair, "it was erased before"))
            for erasure, message in side_by_side(erasures, once(messages.in_order(), lambda _record: None)):
                if erasure is not None:
                    self._compare_erasure(pair, erasure, message)

    def _compare_erasure(self, pair: Pair, erasure: MessageRecord, message: MessageRecord | None) -> None:
        if message is None or message.log_index > erasure.log_index:
            self._add_unfounded(pair, "this log has no message of that number before its erasure", erasure)
        elif (message.subject, message.commitment) != (erasure.subject, erasure.commitment):
            self._add_unfounded(pair, "it names another statement or body than the message of that number", erasure)

    def _add_unfounded(self, pair: Pair, sentence: str, erasure: MessageRecord) -> None:
        self._findings.add(Code.ERASURE_UNFOUNDED, f"{pair} {erasure.seq}: {sentence}", index=erasure.log_index)

    def _check_time(self, leaf: Leaf, index: int) -> None:
        latest = self._latest
        if latest is None or leaf.time > latest:
            self._latest = leaf.time
        elif leaf.time < latest - self._rules.clock_tolerance:
            sentence = f"expected a time not before {latest.isoformat()}, got {leaf.time.isoformat()}"
            self._findings.add(Code.TIME_BACKWARDS, sentence, index=index)

    def _keep(self, leaf: Leaf, index: int) -> None:
        if leaf.kind is LeafKind.DISCREPANCY:
            self.disputed.add(pack_digest(leaf.subject))
        columns = self.unanswered if is_unanswered(leaf) else self._columns(leaf.kind)
        if columns is None or leaf.pair is None or not leaf.seq:
            return
        if leaf.kind is LeafKind.SENT:
            self._check_number(leaf.pair, leaf.seq, index)
        column = columns.get(leaf.pair)
        if column is None:
            column = columns[leaf.pair] = MessageColumn()
        column.append(
            MessageRecord(
                seq=leaf.seq,
                log_index=index,
                time_ms=pack_time(leaf.time),
                agreement_version=leaf.agreement_version,
                refused=leaf.kind is LeafKind.REFUSED,
                subject=pack_digest(leaf.subject),
                commitment=pack_digest(leaf.commitment),
                signatures=pack_digest(leaf.signatures),
            )
        )

    def _columns(self, kind: LeafKind) -> dict[Pair, MessageColumn] | None:
        match kind:
            case LeafKind.SENT:
                return self.sent
            case LeafKind.RECEIVED | LeafKind.REFUSED:
                return self.decided
            case LeafKind.EXPIRED:
                return self.expired
            case LeafKind.ERASURE:
                return self.erased
            case _:
                return None

    def _check_number(self, pair: Pair, seq: int, index: int) -> None:
        last = self._numbers.get(pair, 0)
        if seq <= last:
            sentence = f"{pair}: expected number {last + 1}, got {seq} again or late"
            self._findings.add(Code.SEQUENCE_REPEATED, sentence, index=index)
            return
        if seq != last + 1:
            missing = f"{last + 1}" if seq == last + 2 else f"{last + 1} to {seq - 1}"
            self._findings.add(Code.SEQUENCE_GAP, f"{pair}: number {missing} is not in the sender's log", index=index)
        self._numbers[pair] = seq
