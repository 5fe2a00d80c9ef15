"""The logs against each other: what both sides say of the messages of each ordered pair. Pure.

Every number that the receiver decided was sent; both leaves name the same statement, commitment and signatures; the
receiver judged under no older agreement than the sender cited; what was sent and never decided has expired, or may be
in flight. What both held is erased on both sides: who still holds it a while later is named, for a human. Unanswered is
only what was sent and received, and the asking side says it too, unless it expired on its way; the asking side alone
may say it when an answer came too late: a human should look. What one side lost when its log was restarted, as the
agreement says, is told with both sides' numbers and contradicts nothing. A log not read whole proves nothing missing;
that of a former member is not read at all, and a warning says so. Trusts no side more than the other. Source: DESIGN
section 3.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from enum import Enum, auto
from itertools import permutations

from federation.audit.column import MessageColumn, MessageRecord, Numbers, once, pack_time, side_by_side
from federation.audit.leaves import Rules
from federation.audit.report import Code, Finding, Findings, PairLine
from federation.audit.verify_listing import ListingAccount, compare_listing
from federation.audit.verify_log import LogAccount, unread_log
from federation.protocol.ids import NodeName, Pair


def compare_logs(
    accounts: Mapping[NodeName, LogAccount], listings: Collection[ListingAccount], *, rules: Rules
) -> tuple[tuple[PairLine, ...], tuple[Finding, ...]]:
    """Compares every log with every other, and every listing with its log; returns the pairs, and the findings."""
    listed = {listing.pair: listing for listing in listings if listing.node == listing.pair.sender}
    lines: list[PairLine] = []
    findings: list[Finding] = []
    unanswered: list[Finding] = []
    unread = _unread_logs(accounts, rules)
    for sender, recipient in permutations(sorted(accounts.keys() | unread.keys()), 2):
        if sender not in accounts and recipient not in accounts:
            continue
        pair = Pair(sender, recipient)
        ours, theirs = (accounts.get(node) or unread[node] for node in (sender, recipient))
        line, found = compare_pair(pair, sender=ours, receiver=theirs, rules=rules, listing=listed.get(pair))
        lines.append(line)
        findings += found
        unanswered += compare_unanswered(pair, sender=ours, receiver=theirs, rules=rules)
        unanswered += compare_erasures(pair, sender=ours, receiver=theirs, rules=rules)
    findings += unanswered
    findings += (finding for former in unread for finding in _not_audited(former, accounts, rules))
    findings += answered_after_all(accounts, listings)
    for listing in listings:
        findings += listing.findings
        if listing.node in accounts:
            findings += compare_listing(listing, accounts[listing.node], _to_be_listed(listing.pair, accounts, rules))
    return tuple(lines), tuple(findings)


def _to_be_listed(pair: Pair, accounts: Mapping[NodeName, LogAccount], rules: Rules) -> Numbers | None:
    """The numbers of a pair that were made in the window, as its sender's log says; None without a window."""
    if rules.window is None:
        return None
    sender = accounts.get(pair.sender)
    made = _in_order(sender.sent, pair) if sender is not None else ()
    return Numbers(array("Q", (record.seq for record in made if rules.window.has(record))))


def _unread_logs(accounts: Mapping[NodeName, LogAccount], rules: Rules) -> dict[NodeName, LogAccount]:
    """The logs of former members that others exchanged with: they can no longer be asked for."""
    return {
        node: unread_log(node) for node in sorted(rules.former) if any(_speaks_of(a, node) for a in accounts.values())
    }


def _speaks_of(account: LogAccount, node: NodeName) -> bool:
    pairs = {Pair(account.node, node), Pair(node, account.node)}
    return any(not pairs.isdisjoint(columns) for columns in (account.sent, account.decided))


def _not_audited(former: NodeName, accounts: Mapping[NodeName, LogAccount], rules: Rules) -> Iterator[Finding]:
    last = rules.former[former]
    for account in accounts.values():
        if _speaks_of(account, former):
            zh = f"{former} 的一侧未审计：该省至协议第 {last} 版为成员，其日志已无从取得"
            en = (
                f"the side of {former} is not audited: a former member, up to agreement {last}; its log is out of reach"
            )
            yield Finding(code=Code.FORMER_MEMBER, node=account.node, index=None, sentence=f"{zh} | {en}")


class _Outcome(Enum):
    SENT = auto()
    RECEIVED = auto()
    REFUSED = auto()
    EXPIRED = auto()
    IN_FLIGHT = auto()
    LOST = auto()


def compare_pair(
    pair: Pair, *, sender: LogAccount, receiver: LogAccount, rules: Rules, listing: ListingAccount | None = None
) -> tuple[PairLine, tuple[Finding, ...]]:
    """Compares both logs on one ordered pair; `listing` is the sender's, None when it listed no messages."""
    comparison = _Comparison(pair, sender=sender, receiver=receiver, rules=rules, listing=listing)
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
    def __init__(
        self, pair: Pair, *, sender: LogAccount, receiver: LogAccount, rules: Rules, listing: ListingAccount | None
    ) -> None:
        self._pair = pair
        self._sender = sender
        self._receiver = receiver
        self._rules = rules
        self._receipted = listing.receipted if listing else None
        self._lost_receipts = listing.lost if listing else None
        self._findings = {node: Findings(node) for node in (sender.node, receiver.node)}
        self._outcomes: Counter[_Outcome] = Counter()
        self._lost_by_receiver = 0

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
        """Reports what was decided and never sent, within the settled size: up to there the sender's head is newer."""
        if decided is None or not self._sender.complete:
            return
        if self._sender.lost.has(self._pair, decided, self._rules):
            self._outcomes[_Outcome.LOST] += 1
        elif decided.log_index < self._receiver.settled_size:
            sentence = f"{self._receiver.node} decided it, and {self._sender.node} never logged that it was sent"
            self._add(Code.MESSAGE_UNSENT, self._receiver, decided, sentence)

    def judge_unsent_expired(self, expired: MessageRecord) -> None:
        if self._sender.complete:
            self._add(Code.EXPIRED_UNSENT, self._sender, expired, "it expired, and was never sent")

    def finish(self) -> tuple[PairLine, tuple[Finding, ...]]:
        outcomes = self._outcomes
        if outcomes[_Outcome.LOST]:
            self._tell_lost()
        line = PairLine(
            pair=self._pair,
            sent=outcomes[_Outcome.SENT],
            received=outcomes[_Outcome.RECEIVED],
            refused=outcomes[_Outcome.REFUSED],
            expired=outcomes[_Outcome.EXPIRED],
            in_flight=outcomes[_Outcome.IN_FLIGHT],
            receipts=None if self._receipted is None else len(self._receipted),
            compared=self._sender.complete and self._receiver.complete,
        )
        return line, tuple(finding for findings in self._findings.values() for finding in findings.all())

    def _tell_lost(self) -> None:
        """One sentence for each side whose restart lost messages, with what both logs have of the pair."""
        outcomes, (sender, receiver) = self._outcomes, (self._sender, self._receiver)
        had = outcomes[_Outcome.RECEIVED] + outcomes[_Outcome.REFUSED]
        by_sender = outcomes[_Outcome.LOST] - self._lost_by_receiver
        numbers = f"the log of {sender.node} has {outcomes[_Outcome.SENT]}, that of {receiver.node} {had + by_sender}"
        for account, count in ((sender, by_sender), (receiver, self._lost_by_receiver)):
            if count:
                sentence = f"{self._pair}: lost with the restart of {account.node}: {count} messages; {numbers}"
                self._findings[account.node].add(Code.LOST_WITH_RESTART, sentence)

    def _is_lost(self, sent: MessageRecord) -> bool:
        """True when the receiver's restart explains that it has none: a receipt shows it, or no list denies it."""
        if not self._receiver.complete or not self._receiver.lost.is_before(sent, self._rules):
            return False
        return self._lost_receipts is None or sent.seq in self._lost_receipts

    def _judge_undecided(self, sent: MessageRecord, expired: MessageRecord | None) -> None:
        if expired is None and self._is_lost(sent):
            self._outcomes[_Outcome.LOST] += 1
            self._lost_by_receiver += 1
        elif self._receipted and sent.seq in self._receipted and self._receiver.complete:
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


def compare_erasures(pair: Pair, *, sender: LogAccount, receiver: LogAccount, rules: Rules) -> tuple[Finding, ...]:
    """Finds each message that both sides held and one alone says it erased, longer ago than a receipt may take."""
    found: list[Finding] = []
    for one, other in ((sender, receiver), (receiver, sender)):
        findings, theirs = Findings(other.node), {record.seq for record in _in_order(other.erased, pair)}
        erased = once(_in_order(one.erased, pair), lambda _record: None)
        decided = once(_in_order(receiver.decided, pair), lambda _record: None)
        for erasure, decision in side_by_side(erased, decided):
            if erasure is None or decision is None or decision.refused:
                continue
            if (
                not other.complete
                or erasure.seq in theirs
                or (other is sender and sender.lost.has(pair, decision, rules))
            ):
                continue
            if _is_old(erasure, rules):
                sentence = f"{pair} {erasure.seq}: {one.node} erased it, and {other.node} does not say so"
                findings.add(Code.ERASURE_ONE_SIDED, sentence)
        found += findings.all()
    return tuple(found)


def compare_unanswered(pair: Pair, *, sender: LogAccount, receiver: LogAccount, rules: Rules) -> tuple[Finding, ...]:
    """Compares what both sides of one ordered pair say of its unanswered requests."""
    findings = {account.node: Findings(account.node) for account in (sender, receiver)}
    ours, theirs = _by_seq(sender.unanswered, pair), _by_seq(receiver.unanswered, pair)
    if not ours and not theirs:
        return ()
    wanted = ours.keys() | theirs.keys()
    sent, decided = _by_seq(sender.sent, pair, wanted), _by_seq(receiver.decided, pair, wanted)
    expired = _by_seq(sender.expired, pair, wanted)
    for seq in sorted(wanted):
        if _is_lost(sent.get(seq), decided.get(seq), sides=(sender, receiver), rules=rules):
            continue
        for account, record in ((sender, ours.get(seq)), (receiver, theirs.get(seq))):
            if record is None:
                continue
            for sentence in _contradicted(record, sent.get(seq), decided.get(seq), sender=sender, receiver=receiver):
                _add(findings, Code.UNANSWERED_DIFFERS, account, record, f"{pair} {seq}: {sentence}")
        one, other = ours.get(seq), theirs.get(seq)
        if other is not None and one is None and seq not in expired and sender.complete and _is_old(other, rules):
            sentence = f"{receiver.node} says that nobody answered it, and {sender.node} does not"
            _add(findings, Code.UNANSWERED_DIFFERS, sender, other, f"{pair} {seq}: {sentence}")
        if one is not None and other is None and receiver.complete and _is_old(one, rules):
            sentence = f"{sender.node} says that nobody answered it in time, and {receiver.node} does not"
            _add(findings, Code.UNANSWERED_ONE_SIDED, sender, one, f"{pair} {seq}: {sentence}")
    return tuple(finding for each in findings.values() for finding in each.all())


def answered_after_all(
    accounts: Mapping[NodeName, LogAccount], listings: Collection[ListingAccount]
) -> Iterator[Finding]:
    """Finds each request that the asking side says nobody answered, beside a reply to it that it took in."""
    reported: set[tuple[Pair, int]] = set()
    for listing in listings:
        asker = accounts.get(listing.pair.recipient)
        if asker is None:
            continue
        asked = Pair(asker.node, listing.pair.sender)
        unanswered = {record.subject: record for record in _by_seq(asker.unanswered, asked).values()}
        if not unanswered:
            continue
        replies = {reply.seq: reply.subject for reply in listing.replies.in_order() if reply.subject in unanswered}
        taken = _by_seq(asker.decided, listing.pair, replies.keys())
        findings = Findings(asker.node)
        for seq, cited in replies.items():
            record, reply = unanswered.get(cited), taken.get(seq)
            if record is None or reply is None or reply.refused or (asked, record.seq) in reported:
                continue
            reported.add((asked, record.seq))
            sentence = f"{asked} {record.seq}: nobody answered it, says {asker.node}, and took in {listing.pair} {seq}"
            findings.add(Code.UNANSWERED_ANSWERED, sentence, index=record.log_index)
        yield from findings.all()


def _contradicted(
    record: MessageRecord,
    sent: MessageRecord | None,
    decided: MessageRecord | None,
    *,
    sender: LogAccount,
    receiver: LogAccount,
) -> Iterator[str]:
    if sent is None and sender.complete:
        yield "it found no answer, and was never sent"
    if decided is None and receiver.complete:
        yield f"it found no answer, and {receiver.node} never took it in"
    if decided is not None and decided.refused:
        yield f"it found no answer, and {receiver.node} refused it, which is one"
    for other in (sent, decided):
        if other is not None and other.subject != record.subject:
            yield "it found no answer under another statement digest"


def _is_lost(
    sent: MessageRecord | None, decided: MessageRecord | None, *, sides: tuple[LogAccount, LogAccount], rules: Rules
) -> bool:
    """True for a message that one side has and the other lost when its log was restarted; sender first."""
    sender, receiver = sides
    if sent is None:
        return decided is not None and sender.lost.has(Pair(sender.node, receiver.node), decided, rules)
    return decided is None and receiver.lost.is_before(sent, rules)


def _is_old(record: MessageRecord, rules: Rules) -> bool:
    return pack_time(rules.now) - record.time_ms > rules.in_flight_age / timedelta(milliseconds=1)


def _by_seq(
    columns: Mapping[Pair, MessageColumn], pair: Pair, wanted: Collection[int] | None = None
) -> dict[int, MessageRecord]:
    column = columns.get(pair)
    records = column.in_order() if column is not None else ()
    return {record.seq: record for record in records if wanted is None or record.seq in wanted}


def _add(
    findings: Mapping[NodeName, Findings], code: Code, account: LogAccount, record: MessageRecord, sentence: str
) -> None:
    findings[account.node].add(code, sentence, index=record.log_index)
