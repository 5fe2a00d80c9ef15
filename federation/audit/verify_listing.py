"""Verifies what a node lists for auditors (envelopes, leaf indexes, receipts) by keys and logs. Pure.

An envelope is signed by a key of its sender at its time and says what the leaf says; a receipt verifies under the
receiver's log key, and its head must lie on the receiver's tree; what is listed is logged and what is logged is listed;
a mandate by which it was listed is signed by two persons whose keys stood in the log of their node then.
Trusts the agreement. Source: DESIGN sections 3 and 4.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.audit.column import MessageColumn, MessageRecord, Numbers, once, pack_digest, pack_time, side_by_side
from federation.audit.leaves import Window
from federation.audit.report import Code, Finding, Findings
from federation.audit.verify_log import LogAccount, SeenHead, hidden_by_restart
from federation.domain.joint import Entry, read_entry
from federation.domain.officers import KeyStanding, OfficerKey, key_subject
from federation.domain.oversight import PERSONS, Mandate, mandate_bytes, verify_mandate
from federation.protocol.body import Disclosure, verify_disclosure
from federation.protocol.envelope import Envelope, parse_envelope, verify_envelope
from federation.protocol.errors import BridgeheadError, MalformedError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, Pair, parse_base64
from federation.protocol.keys import PublicKey, parse_public_key, verify_signature
from federation.protocol.receipt import Receipt, VerifiedReceipt, verify_receipt
from federation.protocol.statement import Statement, decode_statement
from federation.protocol.tlog.note import Checkpoint, parse_vkey
from federation.protocol.trust import Agreement, find_agency, past_keys
from federation.protocol.trust.members import log_vkeys
from federation.wire.agency.audit import LoggedMessage

_MOST_KEYS: Final = 64
"""A person who changed keys more often signs a mandate that nobody can verify alone."""
REPLIES: Final = frozenset({"lookup.answer", "lookup.release", "lookup.refusal"})
"""The kinds of statement that answer a request."""
_NO_MESSAGE: Final = MessageRecord(
    seq=0,
    log_index=0,
    time_ms=0,
    agreement_version=0,
    refused=False,
    subject=pack_digest(None),
    commitment=pack_digest(None),
    signatures=pack_digest(None),
)


class HeadColumn:
    """The heads in the receipts of one pair, packed like its messages."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._column = MessageColumn()
        self._last: tuple[int, bytes] | None = None

    def append(self, head: Checkpoint, *, seq: int) -> None:
        """Adds the head of the receipt for that number; one that the receipts share in a row is kept once."""
        if self._last != (head.size, head.root):
            self._last = head.size, head.root
            self._column.append(_NO_MESSAGE._replace(seq=head.size, log_index=seq, subject=head.root))

    def in_order(self) -> Iterator[SeenHead]:
        """Yields the heads by size."""
        for record in self._column.in_order():
            where = f"in the receipt for {self._pair} {record.log_index}"
            yield SeenHead(size=record.seq, root=record.subject, where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingAccount:
    """One node's verified listing of one ordered pair; `heads` are the receiver's, `listed_time` is when it began.

    `receipted` are the numbers with a receipt that verified, `lost` those whose receipt names an entry that the
    receiver's restart lost, `replies` the replies with the digest cited as subject, `entries` those of joint records.
    """

    node: NodeName
    pair: Pair
    listed_time: datetime
    messages: MessageColumn
    receipted: Numbers
    lost: Numbers
    replies: MessageColumn
    heads: HeadColumn
    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]


class ListingCheck:
    """Verifies what one node lists of one ordered pair, message by message."""

    def __init__(self, node: NodeName, pair: Pair, *, agreement: Agreement, listed_time: datetime) -> None:
        """Starts before the first message of a pair whose two nodes are, or were, members."""
        receiver = agreement.members.get(pair.recipient) or agreement.former[pair.recipient]
        self._node = node
        self._pair = pair
        self._agreement = agreement
        self._logs = [parse_vkey(vkey) for vkey in log_vkeys(receiver)]
        self._ended = {parse_vkey(log.vkey).name: log for log in receiver.retired_logs}
        self._listed_time = listed_time
        self._findings = Findings(node)
        self._messages = MessageColumn()
        self._receipted = array("Q")
        self._lost = array("Q")
        self._replies = MessageColumn()
        self._heads = HeadColumn(pair)
        self._entries: list[Entry] = []

    def append(self, listed: LoggedMessage) -> None:
        try:
            envelope = parse_envelope(listed.envelope)
            statement = decode_statement(envelope.payload)
            verify_envelope(envelope, self._keys_of(statement))
        except BridgeheadError as error:
            self._findings.add(Code.ENVELOPE_INVALID, f"{self._name(listed)}: {error}", index=listed.log_index)
            return
        for sentence in self._differences(statement, listed):
            self._findings.add(Code.STATEMENT_DIFFERS, f"{self._name(listed)}: {sentence}", index=listed.log_index)
        self._messages.append(_record_of(statement, envelope, listed.log_index))
        if statement.kind in REPLIES and statement.in_reply_to is not None:
            cited = pack_digest(statement.in_reply_to)
            self._replies.append(_record_of(statement, envelope, listed.log_index)._replace(subject=cited))
        if listed.head is not None:
            self._append_entry(listed, statement, listed.head)
        if listed.receipt is not None:
            self._append_receipt(listed, envelope.digest, listed.receipt)

    def finish(self) -> ListingAccount:
        return ListingAccount(
            node=self._node,
            pair=self._pair,
            listed_time=self._listed_time,
            messages=self._messages,
            receipted=Numbers(self._receipted),
            lost=Numbers(self._lost),
            replies=self._replies,
            heads=self._heads,
            entries=tuple(self._entries),
            findings=self._findings.all(),
        )

    def _keys_of(self, statement: Statement) -> tuple[PublicKey, ...]:
        cited = statement.agreement.version
        return past_keys(self._agreement, self._pair.sender, statement.created, cited=cited)

    def _verify_receipt(self, receipt: Receipt, digest: str) -> VerifiedReceipt:
        """Verifies a receipt under the receiver's log, or one that it retired. Refuses as `verify_receipt`."""
        newest, *retired = self._logs
        for vkey in retired:
            with suppress(BridgeheadError):
                return verify_receipt(receipt, statement_digest=digest, log_vkey=vkey)
        return verify_receipt(receipt, statement_digest=digest, log_vkey=newest)

    def _append_entry(self, listed: LoggedMessage, statement: Statement, head: Disclosure) -> None:
        try:
            if statement.body is None or head.index != 0:
                raise MalformedError("HEAD_PLACE", "expected the first item of the body that the statement commits to")
            encoded = verify_disclosure(head, statement.body)
            name, author = statement.body.commitment, statement.sender.node
            self._entries.append(read_entry(encoded, name=name, author=author))
        except BridgeheadError as error:
            self._findings.add(Code.HEAD_INVALID, f"{self._name(listed)}: {error}", index=listed.log_index)

    def _append_receipt(self, listed: LoggedMessage, digest: str, receipt: Receipt) -> None:
        try:
            verified = self._verify_receipt(receipt, digest)
        except BridgeheadError as error:
            self._findings.add(Code.RECEIPT_INVALID, f"{self._name(listed)}: {error}", index=listed.log_index)
            return
        leaf, checkpoint = verified.leaf, verified.checkpoint
        if leaf.pair != self._pair or leaf.seq != listed.seq:
            sentence = f"{self._name(listed)}: expected a receipt for this number, got one for {leaf.pair} {leaf.seq}"
            self._findings.add(Code.RECEIPT_INVALID, sentence, index=listed.log_index)
        self._receipted.append(listed.seq)
        ended = self._ended.get(checkpoint.origin)
        if ended is None or checkpoint.size <= ended.size:
            self._heads.append(checkpoint, seq=listed.seq)
            return
        if verified.index >= ended.size:
            self._lost.append(listed.seq)
        if 0 < ended.signed < checkpoint.size:
            sentence = f"{self._name(listed)}: its receipt shows that {hidden_by_restart(ended, checkpoint.size)}"
            self._findings.add(Code.LOG_ROLLED_BACK, sentence, index=listed.log_index)

    def _differences(self, statement: Statement, listed: LoggedMessage) -> list[str]:
        agreement = self._agreement
        named = (statement.federation, statement.realm)
        found = []
        if statement.pair != self._pair or statement.seq != listed.seq:
            found.append(f"the statement says {statement.pair} {statement.seq}")
        if named != (agreement.federation, agreement.realm):
            found.append(f"the statement is of {statement.federation}/{statement.realm}")
        if statement.agreement.version == agreement.version and statement.agreement.digest != agreement.digest:
            found.append(f"the statement cites another text as agreement {agreement.version}")
        return found

    def _name(self, listed: LoggedMessage) -> str:
        return f"{self._pair} {listed.seq}"


def compare_listing(listing: ListingAccount, account: LogAccount, among: Numbers | None = None) -> tuple[Finding, ...]:
    """Compares what a node lists of a pair with what its own log says of it, number by number.

    `among` are the numbers that had to be listed, None for all that are logged.
    """
    findings = Findings(listing.node)
    sending = listing.pair.sender == listing.node
    column = (account.sent if sending else account.decided).get(listing.pair) or MessageColumn()
    begun_ms = pack_time(listing.listed_time)
    logged = once(column.in_order(), lambda _record: None)  # repeats are reported where the log was read
    listed = once(listing.messages.in_order(), lambda message: _add_repeated(findings, listing.pair, message))
    for message, record in side_by_side(listed, logged):
        if message is not None and record is not None:
            _compare(findings, listing.pair, message, record)
        elif message is not None and message.log_index < account.read:
            sentence = f"{listing.pair} {message.seq}: it is listed, and not logged"
            findings.add(Code.LISTED_NOT_LOGGED, sentence, index=message.log_index)
        elif (
            record is not None
            and record.time_ms < begun_ms
            and not listing.findings
            and (among is None or record.seq in among)
        ):
            sentence = f"{listing.pair} {record.seq}: it is logged, and its envelope is not listed"
            findings.add(Code.LOGGED_NOT_LISTED, sentence, index=record.log_index)
    return findings.all()


def mandate_subjects(mandates: Iterable[Mandate]) -> frozenset[str]:
    """The subjects of all leaves that could say when the keys of the signers began and ended."""
    return frozenset(
        subject
        for mandate in mandates
        for who, key in zip((mandate.first, mandate.second), mandate.keys, strict=False)
        for spell in _spells(mandate.agency, who, key)
        for subject in spell
    )


def verify_mandates(
    mandates: Iterable[Mandate], accounts: Mapping[NodeName, LogAccount], *, agreement: Agreement, window: Window
) -> Iterator[Finding]:
    """Verifies the mandates of a window as the nodes did that listed by them; of a log not read whole, nothing."""
    for mandate in mandates:
        account = accounts.get(NodeName(mandate.agency.node))
        findings = Findings(NodeName(mandate.agency.node))
        for sentence in _mandate_faults(mandate, agreement, window):
            findings.add(Code.MANDATE_INVALID, f"{mandate.document}: {sentence}")
        logged = account.keys if account is not None and account.complete else None
        for person in zip((mandate.first, mandate.second), mandate.signatures, mandate.keys, strict=False):
            if logged is not None and not _signed_in_time(mandate, person, logged, window):
                who = person[0]
                sentence = f"{mandate.document}: no key of {who} that stood in the log then signed it"
                findings.add(Code.MANDATE_INVALID, sentence)
        yield from findings.all()


def _mandate_faults(mandate: Mandate, agreement: Agreement, window: Window) -> Iterator[str]:
    try:
        verify_mandate(mandate, mandate.agency, now=window.begun)
    except RuleError as error:
        yield str(error)
    if len(set(mandate.keys)) != PERSONS:
        yield "expected the keys of two persons in it"
    if not mandate.start <= window.start < window.end <= mandate.end:
        yield "expected the listed window within its own"
    if find_agency(agreement, mandate.agency) is None:
        yield f"expected an office of the agreement, got {mandate.agency}"


def _signed_in_time(
    mandate: Mandate, person: tuple[str, str, str], logged: Mapping[str, datetime], window: Window
) -> bool:
    """True when a key signed it that was registered before the listing began, and whose end no leaf says before."""
    who, signature, key = person
    try:
        verify_signature(parse_public_key(key), mandate_bytes(mandate), parse_base64(signature, "the signature"))
    except BridgeheadError:
        return False
    spells = ((logged.get(begin), logged.get(end)) for begin, end in _spells(mandate.agency, who, key))
    return any(begun and begun <= window.begun and not (ended and ended <= window.begun) for begun, ended in spells)


def _spells(agency: AgencyId, who: str, key: str) -> Iterator[tuple[str, str]]:
    """The subjects of the leaves by which a key is registered and ends, whatever version of that officer's it is."""
    for version in range(1, _MOST_KEYS):
        begun = OfficerKey(agency=agency, officer=who, version=version, standing=KeyStanding.REGISTERED, key=key)
        ended = replace(begun, version=version + 1, standing=KeyStanding.WITHDRAWN)
        yield key_subject(begun), key_subject(ended)


def _add_repeated(findings: Findings, pair: Pair, message: MessageRecord) -> None:
    findings.add(Code.SEQUENCE_REPEATED, f"{pair} {message.seq}: it is listed more than once", index=message.log_index)


def _compare(findings: Findings, pair: Pair, message: MessageRecord, record: MessageRecord) -> None:
    differing = _differing(message, record)
    if differing:
        sentence = f"{pair} {record.seq}: the statement and the leaf differ in {', '.join(differing)}"
        findings.add(Code.STATEMENT_DIFFERS, sentence, index=record.log_index)


def _differing(message: MessageRecord, record: MessageRecord) -> list[str]:
    fields: Mapping[str, bool] = {
        "digest": message.subject != record.subject,
        "signatures": message.signatures != record.signatures,
        "commitment": message.commitment != record.commitment,
        "index": message.log_index != record.log_index,
    }
    return [field for field, differs in fields.items() if differs]


def _record_of(statement: Statement, envelope: Envelope, log_index: int) -> MessageRecord:
    return MessageRecord(
        seq=statement.seq,
        log_index=log_index,
        time_ms=pack_time(statement.created),
        agreement_version=statement.agreement.version,
        refused=False,
        subject=pack_digest(envelope.digest),
        commitment=pack_digest(statement.body.commitment if statement.body else None),
        signatures=pack_digest(envelope.signatures_digest),
    )
