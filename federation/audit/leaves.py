"""Reading the leaves of one log, in order: each by itself, and each against those before it. Pure.

A leaf decodes strictly and is lawful in this log; times go back no further than the clock tolerance; the numbers of
`sent` leaves count from 1 without gap or repeat; only where the agreement says that the log was restarted, and the log
says so too, may numbers be left out: they are lost. Trusts the agreement. Source: DESIGN sections 3 and 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

from federation.audit.column import MessageColumn, MessageRecord, once, pack_digest, pack_time, side_by_side
from federation.audit.report import Code, Findings
from federation.protocol.errors import MalformedError
from federation.protocol.form import Item, Time
from federation.protocol.ids import NodeName, Pair, Realm
from federation.protocol.leaf import LOG_RESTARTED, NOT_ANSWERED, Leaf, LeafKind, Verdict, decode_leaf
from federation.protocol.trust import Agreement, Member
from federation.protocol.trust.members import RetiredLog

_VERDICTS = {LeafKind.SENT: Verdict.ALLOWED, LeafKind.RECEIVED: Verdict.ALLOWED, LeafKind.REFUSED: Verdict.REFUSED}
_OUTGOING = frozenset({LeafKind.SENT, LeafKind.EXPIRED})
_INCOMING = frozenset({LeafKind.RECEIVED, LeafKind.REFUSED})
_ENDINGS = frozenset({LeafKind.EXPIRED, LeafKind.ERASURE})
"""What becomes of a message after all was said about it."""
_NO_END = 2**63
_NO_MESSAGE = (None, None, None, None)
_EVENTS_WITHOUT_PAIR = frozenset(
    {LeafKind.AGREEMENT, LeafKind.BOOT, LeafKind.READING, LeafKind.OFFICER_KEY, LeafKind.DUTY, LeafKind.FIGURE}
)


class Window(Item, frozen=True, kw_only=True):
    """The messages that were listed: made from `start` to before `end`, all of them unless `narrowed` further.

    The listing began at `begun`; the logs are read whole.
    """

    WHAT: ClassVar[str] = "window"

    start: Time
    end: Time
    begun: Time
    narrowed: bool = False

    def has(self, made: MessageRecord) -> bool:
        return not self.narrowed and pack_time(self.start) <= made.time_ms < pack_time(self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one audit. `in_flight_age` is how old a message may be without an answer.

    `former` are former members with the last agreement that each took part in. No `window`: every message was listed.
    Of leaves about officers' keys those with one of the `subjects` are kept.
    """

    federation: str
    realm: Realm
    members: frozenset[NodeName]
    former: Mapping[NodeName, int]
    agreement_version: int
    clock_tolerance: timedelta
    in_flight_age: timedelta
    now: datetime
    retired: Mapping[NodeName, tuple[RetiredLog, ...]] = field(default_factory=dict)
    window: Window | None = None
    subjects: frozenset[str] = frozenset()


def rules_of(
    agreement: Agreement, now: datetime, *, in_flight_age: timedelta | None = None, window: Window | None = None
) -> Rules:
    """Takes the rules out of a verified agreement; a message may be in flight for the life of a statement."""
    return Rules(
        federation=agreement.federation,
        realm=agreement.realm,
        members=frozenset(agreement.members),
        former={node: each.last_agreement for node, each in agreement.former.items()},
        agreement_version=agreement.version,
        clock_tolerance=agreement.clock_tolerance,
        in_flight_age=agreement.statement_lifetime + agreement.clock_tolerance
        if in_flight_age is None
        else in_flight_age,
        now=now,
        retired={node: standing_logs(member) for node, member in agreement.members.items()},
        window=window,
    )


def standing_logs(member: Member) -> tuple[RetiredLog, ...]:
    """The retired logs whose end stands in the member's tree: a later restart did not go back behind it."""
    logs = member.retired_logs
    return tuple(log for at, log in enumerate(logs) if all(later.size > log.size for later in logs[at + 1 :]))


def broken_rules(leaf: Leaf, node: NodeName, rules: Rules) -> Iterator[tuple[Code, str]]:
    """Yields each rule that a leaf breaks by itself, as code and sentence."""
    if leaf.federation != rules.federation or leaf.realm != rules.realm:
        yield Code.LEAF_FOREIGN, f"expected {rules.federation}/{rules.realm}, got {leaf.federation}/{leaf.realm}"
    if leaf.time > rules.now + rules.clock_tolerance:
        yield Code.TIME_FUTURE, f"expected a time before {rules.now.isoformat()}, got {leaf.time.isoformat()}"
    if leaf.agreement_version > rules.agreement_version:
        known = rules.agreement_version
        yield Code.AGREEMENT_UNKNOWN, f"it cites agreement {leaf.agreement_version}; this audit knows {known}"
    for sentence in _unlawful(leaf, node, rules):
        yield Code.LEAF_UNLAWFUL, f"a '{leaf.kind}' leaf: {sentence}"
    if leaf.kind is LeafKind.BOOT and leaf.reason not in (None, LOG_RESTARTED):
        yield Code.BOOT_UNCONFIRMED, f"the node started on an operator's word, its history unconfirmed: {leaf.reason}"
    if leaf.kind is LeafKind.DISCREPANCY:
        yield Code.DISCREPANCY_LOGGED, f"the node itself recorded a discrepancy: {leaf.reason or 'no reason given'}"


def _unlawful(leaf: Leaf, node: NodeName, rules: Rules) -> Iterator[str]:
    pair = leaf.pair
    for party in (pair.sender, pair.recipient) if pair is not None else ():
        yield from _unlawful_party(leaf, party, rules)
    if pair is not None and node not in (pair.sender, pair.recipient):
        yield f"expected a pair with {node} in it, got {pair}"
    if leaf.kind is LeafKind.REFUSED and (pair, leaf.seq, leaf.signatures, leaf.commitment) == _NO_MESSAGE:
        yield from _wrong_verdict(leaf)  # a request of one of the node's own agencies: nothing crossed a border
    elif leaf.kind in _OUTGOING | _INCOMING:
        yield from _unlawful_message(leaf, node)
    elif leaf.kind in _EVENTS_WITHOUT_PAIR and pair is not None:
        yield f"expected no pair, got {pair}"
    elif leaf.kind is LeafKind.ERASURE:
        yield from _unlawful_erasure(leaf)
    if leaf.kind not in _VERDICTS and leaf.verdict is not None:
        yield f"expected no verdict, got {leaf.verdict}"


def _unlawful_party(leaf: Leaf, party: NodeName, rules: Rules) -> Iterator[str]:
    """Whoever is expelled takes part up to its last agreement; what it left may end later, with no word of its own."""
    if party in rules.members:
        return
    last = rules.former.get(party)
    if last is None:
        yield f"expected two members of the agreement, got {leaf.pair}"
    elif leaf.agreement_version > last and leaf.kind not in _ENDINGS:
        yield f"expected members of agreement {leaf.agreement_version}, got {leaf.pair}: {party} was one up to {last}"


def _unlawful_message(leaf: Leaf, node: NodeName) -> Iterator[str]:
    pair = leaf.pair
    if pair is None or not leaf.seq:
        yield "expected a pair and a number from 1"
        return
    side = pair.sender if leaf.kind in _OUTGOING else pair.recipient
    if side != node and not is_unanswered(leaf):
        yield f"expected it in the log of {side}, found it in that of {node}"
    yield from _wrong_verdict(leaf)
    if leaf.kind in _VERDICTS and leaf.signatures is None:
        yield "expected the digest of the signatures"


def _unlawful_erasure(leaf: Leaf) -> Iterator[str]:
    """It is about a message, by pair, number and body, or about something of the node's own, by its digest alone."""
    named = (leaf.pair is not None, bool(leaf.seq), leaf.commitment is not None)
    if any(named) and not all(named):
        yield "expected a pair, a number from 1 and the commitment to what was erased, or none of them"
    if leaf.reason is None:
        yield "expected the reason code of the erasure"


def is_unanswered(leaf: Leaf) -> bool:
    return leaf.kind is LeafKind.EXPIRED and leaf.reason == NOT_ANSWERED


def _wrong_verdict(leaf: Leaf) -> Iterator[str]:
    if leaf.kind in _VERDICTS and leaf.verdict is not _VERDICTS[leaf.kind]:
        yield f"expected the verdict {_VERDICTS[leaf.kind]}, got {leaf.verdict}"


@dataclass(frozen=True, slots=True)
class Lost:
    """The numbers that a restarted log lost of the messages it sent, by pair, and when it was restarted last."""

    numbers: Mapping[Pair, tuple[range, ...]] = field(default_factory=dict)
    restart_ms: int | None = None

    def has(self, pair: Pair, record: MessageRecord, rules: Rules) -> bool:
        """True for the record of a message that the log sent before its restart, and lost."""
        return self.is_before(record, rules) and any(record.seq in each for each in self.numbers.get(pair, ()))

    def is_before(self, record: MessageRecord, rules: Rules) -> bool:
        tolerance_ms = rules.clock_tolerance // timedelta(milliseconds=1)
        return self.restart_ms is not None and record.time_ms <= self.restart_ms + tolerance_ms


class LeafReader:
    """Reads the leaves of one log in order: each by itself, and each against those before it."""

    def __init__(self, node: NodeName, rules: Rules, findings: Findings) -> None:
        self.kinds: Counter[LeafKind] = Counter()
        self.sent: dict[Pair, MessageColumn] = {}
        self.decided: dict[Pair, MessageColumn] = {}
        self.expired: dict[Pair, MessageColumn] = {}
        self.erased: dict[Pair, MessageColumn] = {}
        self.unanswered: dict[Pair, MessageColumn] = {}
        self.disputed: set[bytes] = set()
        self.keys: dict[str, datetime] = {}
        self._node = node
        self._rules = rules
        self._findings = findings
        self._latest: datetime | None = None
        self._left: dict[NodeName, datetime] = {}
        self._numbers: dict[Pair, tuple[int, int]] = {}
        self._retired = {log.size: log for log in rules.retired.get(node, ())}
        self._restarts: list[RetiredLog] = []
        self._lost: dict[Pair, list[range]] = {}

    def read(self, entry: bytes, index: int) -> None:
        try:
            leaf = decode_leaf(entry)
        except MalformedError as error:
            self._findings.add(Code.LEAF_MALFORMED, str(error), index=index)
            return
        self.kinds[leaf.kind] += 1
        for code, sentence in broken_rules(leaf, self._node, self._rules):
            self._findings.add(code, sentence, index=index)
        self._check_time(leaf, index)
        self._check_end(leaf, index)
        if leaf.kind is LeafKind.BOOT and leaf.reason == LOG_RESTARTED:
            self._restart(index)
        self._keep(leaf, index)

    def find_lost(self) -> Lost:
        """Returns what the restarts lost; adds a finding for each that the agreement names and the log does not."""
        for log in self._retired.values():
            sentence = f"the agreement says that {_origin(log)} ended at {log.size}; no leaf there says so"
            self._findings.add(Code.LEAF_UNLAWFUL, sentence)
        for peer in (self._rules.members | self._rules.former.keys()) - {self._node} if self._restarts else ():
            self._lose(Pair(self._node, peer), _NO_END)
        numbers = {pair: tuple(ranges) for pair, ranges in self._lost.items()}
        return Lost(numbers, pack_time(max(log.retired for log in self._restarts)) if self._restarts else None)

    def _restart(self, index: int) -> None:
        log = self._retired.pop(index, None)
        if log is None:
            sentence = "the log says that it was restarted; the agreement names none that ended here"
            self._findings.add(Code.LEAF_UNLAWFUL, sentence, index=index)
            return
        self._restarts.append(log)
        lost = f"{log.signed - log.size} entries" if log.signed else "entries, it is not said how many,"
        sentence = f"{_origin(log)} was retired here: {lost} that it had signed are lost"
        self._findings.add(Code.LOG_RESTARTED, sentence, index=index)

    def _lose(self, pair: Pair, seq: int) -> bool:
        """Notes the numbers below that one as lost when a restart stands between; False when none does."""
        last, restarts = self._numbers.get(pair, (0, 0))
        if restarts == len(self._restarts):
            return False
        self._lost.setdefault(pair, []).append(range(last + 1, seq))
        return True

    def check_erasures(self) -> None:
        """Adds a finding unless what was erased stands before, once, with that statement and commitment."""
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

    def _check_end(self, leaf: Leaf, index: int) -> None:
        """Finds what cites a former member's last agreement when this log knew a later one: it is dated back."""
        for former, last in self._rules.former.items():
            if leaf.agreement_version > last:
                self._left.setdefault(former, leaf.time + self._rules.clock_tolerance)
            elif leaf.pair is not None and former in (leaf.pair.sender, leaf.pair.recipient):
                left = self._left.get(former)
                if left is not None and leaf.time > left and leaf.kind not in _ENDINGS:
                    sentence = f"a '{leaf.kind}' leaf: {leaf.pair}: this log knew since before {left.isoformat()} that"
                    self._findings.add(Code.LEAF_UNLAWFUL, f"{sentence} {former} is no member", index=index)

    def _keep(self, leaf: Leaf, index: int) -> None:
        if leaf.kind is LeafKind.DISCREPANCY:
            self.disputed.add(pack_digest(leaf.subject))
        if leaf.kind is LeafKind.OFFICER_KEY and leaf.subject in self._rules.subjects:
            self.keys.setdefault(leaf.subject, leaf.time)
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
        last, _ = self._numbers.get(pair, (0, 0))
        if seq <= last:
            sentence = f"{pair}: expected number {last + 1}, got {seq} again or late"
            self._findings.add(Code.SEQUENCE_REPEATED, sentence, index=index)
            return
        if seq != last + 1 and not self._lose(pair, seq):
            missing = f"{last + 1}" if seq == last + 2 else f"{last + 1} to {seq - 1}"
            self._findings.add(Code.SEQUENCE_GAP, f"{pair}: number {missing} is not in the sender's log", index=index)
        self._numbers[pair] = seq, len(self._restarts)


def _origin(log: RetiredLog) -> str:
    return log.vkey.partition("+")[0]
