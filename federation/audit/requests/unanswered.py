"""Requests that no one answered: each side says so of the same request, and neither of one that was answered. Pure.

Rules kept: only what was sent and taken in can go unanswered. What the side asked says, the asking side says too, but
for a request that it never knew arrived. The asking side alone may say it when an answer came too late: a human should
look. A reply that the asking side took in leaves nothing unanswered; this is judged where the envelopes are listed.
A log that could not be read whole proves nothing missing; a side has the life of a statement to say its part.
Source: DESIGN section 3 (asking: a request that no one answered ends as expired on both sides).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta

from federation.audit.column import MessageColumn, MessageRecord, pack_time
from federation.audit.findings import Code, Finding, Findings
from federation.audit.rules import Rules
from federation.audit.verify_listing import ListingAccount
from federation.audit.verify_log import LogAccount
from federation.protocol.ids import NodeName, Pair


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
    told: set[tuple[Pair, int]] = set()
    for listing in listings:
        asker = accounts.get(listing.pair.recipient)
        if asker is None or not listing.replies:
            continue
        asked = Pair(asker.node, listing.pair.sender)
        unanswered = {record.subject: record for record in _by_seq(asker.unanswered, asked).values()}
        taken = _by_seq(asker.decided, listing.pair, listing.replies.keys()) if unanswered else {}
        findings = Findings(asker.node)
        for seq, cited in listing.replies.items():
            record, reply = unanswered.get(cited), taken.get(seq)
            if record is None or reply is None or reply.refused or (asked, record.seq) in told:
                continue
            told.add((asked, record.seq))
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
