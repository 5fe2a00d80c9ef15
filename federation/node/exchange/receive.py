"""THE PAGE: how a message from another province is received. Read it top to bottom.

Every check stands here, in the order in which it runs; none is behind a switch, a plug-in or an interceptor.
What fails 1 to 7 is not judged: the sender gets an error and our exchange log stays as it was, or a stranger could
fill it. A refusal by policy (8) is an answer: signed, logged and receipted like any other.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from federation.node.exchange.erase import ORDERED_AHEAD, erase, ordered_ahead
from federation.node.exchange.judge import follow, judge, put_rows
from federation.node.exchange.send import prepare, put_end, record_message
from federation.node.log.decisions import decision_records
from federation.node.node import InForce, Node
from federation.protocol.body import Body, Handed, verify_body, verify_partial
from federation.protocol.envelope import Envelope, parse_envelope, verify_envelope
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    MalformedError,
    StaleError,
    UnavailableError,
    UntrustedError,
)
from federation.protocol.ids import NodeName, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, Verdict, encode_leaf, leaf_about
from federation.protocol.policy import Decision
from federation.protocol.receipt import Receipt, Submission
from federation.protocol.statement import Statement, decode_statement
from federation.protocol.trust import message_keys_at, verify_in_force, withheld
from federation.protocol.trust.agreement import SUSPENDED
from federation.protocol.unseen import verify_seen
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_by_digest, find_message, put_body, put_message
from federation.store.records import put_records
from federation.wire.gatekeeper import count_message

_log = structlog.get_logger()


async def receive(node: Node, submission: Submission, *, peer: NodeName) -> Receipt:
    """Receives one message from the node that the TLS connection proved; its receipt says: durable, and decided.

    1 size and payload type · 2 seen before? the same bytes get the same receipt (looked up where it matters: when a
    later check fails, and in the transaction of 9, so that a new message costs no look-up) · 3 signature over the
    bytes, by a key that the agreement gives that node now · 4 decode those same bytes · 5 sender = TLS peer = signer;
    addressed to us; right federation and realm; an agreement version we know; not refused too often · 6 fresh · 7 the
    body matches its commitment · 8 decide by our incoming policy · 9 one transaction: leaf `received` or `refused`,
    message, what policy was asked, body, records, replies, erasures · 10 the receipt, verified by ourselves.

    Raises Malformed-, Untrusted- or StaleError for 1 to 7, and nothing was stored; ConflictError: MESSAGE_ID_REUSED or
    SEQUENCE_REUSED, with a `discrepancy` leaf as our record of it; UnavailableError when it may be sent again as it is.
    """
    now, in_force = truncate_to_millisecond(node.now()), node.trust.in_force
    # 1 size and payload type
    envelope = parse_envelope(submission.envelope)
    # 2 seen before? a repeat is found by its id when it is written (9), or below, when a check refuses it
    try:
        # 3 signature over the bytes
        payload = verify_envelope(envelope, message_keys_at(in_force.agreement, peer, now))
        # 4 decode those same bytes
        statement = decode_statement(payload)
        # 5 sender = TLS peer = signer; addressed to us; right federation and realm
        _check_parties(node, statement, in_force, peer=peer)
        # 6 fresh
        _check_fresh(statement, in_force, now)
        # 7 the body matches its commitment
        body = _check_body(node, statement, submission)
        # 8 decide
        judgement = judge(node, statement, body, digest=envelope.digest, in_force=in_force)
    except BridgeheadError as fault:
        # (2) the same bytes get the first receipt, whatever has expired since
        return _first_receipt(node, envelope, peer=peer, fault=fault)
    leaf = _leaf_of(node, envelope, statement, decision=judgement.decision, version=in_force.agreement.version, now=now)
    entry = encode_leaf(leaf)
    decisions = decision_records(leaf, judgement.questions, book=in_force.policies, owner=node.name)
    rows, replies = judgement.written, [prepare(node, draft) for draft in judgement.written.drafts]

    # 9 one transaction
    def record(transaction: GroupTransaction) -> tuple[StoredMessage, bool]:
        # (2) a repeat shows itself by its id: the transaction is then run again, carefully
        known = find_message(transaction, "received", statement.id) if transaction.careful else None
        if known is not None:
            return _same_or_conflict(known, envelope), False
        index = transaction.append_leaf(leaf.kind.value, leaf.subject, entry)
        put_message(transaction, message := _message_of(envelope, statement, leaf, index=index))
        put_records(transaction, decisions)
        if judgement.decision.allowed and body is not None:
            put_body(transaction, statement.id, body)
            put_end(node, transaction, statement, direction="received", in_force=in_force)
        put_rows(transaction, rows, message_id=statement.id)
        for reply in replies:
            record_message(node, transaction, reply, in_force=in_force)
        ahead = ordered_ahead(node, transaction, message) if transaction.find_counter(ORDERED_AHEAD) else ()
        for erasure in (*rows.erases, *ahead):
            erase(node, transaction, erasure)
        return message, True

    try:
        committed = await node.sequencer.commit(record)
    except ConflictError as conflict:
        await _record_discrepancy(node, envelope, statement, reason=conflict.reason)
        raise
    # 10 the receipt, under the group's checkpoint, verified by ourselves before it leaves
    message, new = committed.value
    node.refusals.note(peer, refused=new and not judgement.decision.allowed)
    _log.debug("message.received", message_id=statement.id, peer=peer, log_index=message.leaf_index)
    if not new or not committed.first:
        return node.sequencer.first_receipt(message.digest, message.leaf_index)
    count_message(peer, statement.kind, leaf.verdict.value if leaf.verdict else "")
    await follow(node, rows)
    return node.sequencer.receipt(envelope.digest, entry, index=message.leaf_index, head=committed.head)


def _first_receipt(node: Node, envelope: Envelope, *, peer: NodeName, fault: BridgeheadError) -> Receipt:
    """The receipt that these bytes got before; raises the fault when they never came from that peer."""
    seen = find_by_digest(node.database, "received", envelope.digest)
    if seen is None or seen.pair.sender != peer or seen.envelope != envelope.encoded:
        raise fault
    return node.sequencer.first_receipt(seen.digest, seen.leaf_index)


def _check_parties(node: Node, statement: Statement, in_force: InForce, *, peer: NodeName) -> None:
    agreement = in_force.agreement
    if statement.sender.node != peer:
        raise UntrustedError("SENDER_NOT_PEER", f"the statement says {statement.sender.node}, the connection {peer}")
    if statement.recipient.node != node.name:
        raise UntrustedError("NOT_FOR_US", f"addressed to {statement.recipient.node}, this is {node.name}")
    if statement.federation != agreement.federation or statement.realm != agreement.realm:
        raise UntrustedError(
            "OTHER_REALM",
            f"expected {agreement.federation}/{agreement.realm}, got {statement.federation:.60}/{statement.realm}",
        )
    if (why := withheld(agreement, peer, node.name)) == SUSPENDED:
        raise UnavailableError(why, f"nothing is exchanged between {peer} and {node.name} for now: one is suspended")
    in_force.agency(statement.sender.agency)
    if statement.recipient.agency is not None:
        in_force.agency(statement.recipient.agency)
    if statement.agreement.version > agreement.version:
        raise StaleError("AGREEMENT_BEHIND", f"this node knows agreement version {agreement.version}; try again soon")
    if statement.agreement.version == agreement.version and statement.agreement.digest != agreement.digest:
        raise UntrustedError("AGREEMENT_OTHER", f"another text calls itself agreement version {agreement.version}")
    node.refusals.verify(peer)


def _check_fresh(statement: Statement, in_force: InForce, now: datetime) -> None:
    verify_in_force(in_force.agreement, now)
    tolerance = in_force.agreement.clock_tolerance
    if statement.expires + tolerance < now:
        raise StaleError("STATEMENT_EXPIRED", f"expired at {statement.expires.isoformat()}; send a new statement")
    if statement.created > now + tolerance:
        ahead = int((statement.created - now).total_seconds())
        raise StaleError("STATEMENT_FROM_FUTURE", f"created {ahead} s ahead of this clock; tolerance {tolerance}")
    if not timedelta(0) < statement.expires - statement.created <= in_force.agreement.statement_lifetime:
        raise StaleError("STATEMENT_LIFETIME", f"expected a life of at most {in_force.agreement.statement_lifetime}")


def _check_body(node: Node, statement: Statement, submission: Submission) -> Handed | None:
    """The body as it was committed to: partial for the kinds that are handed over in part, and whole for all others."""
    whole, part = submission.body, submission.partial
    if statement.body is None:
        if whole is not None or part is not None:
            raise MalformedError("BODY_UNEXPECTED", "the statement speaks of no body, but one came with it")
        return None
    given = part or whole
    if given is None:
        raise MalformedError("BODY_MISSING", "the statement speaks of a body, but none came with it")
    kind = node.kinds.get(statement.kind)
    if (whole is not None and part is not None) or (kind is not None and kind.partial is (part is None)):
        expected = "some places of a body" if kind is not None and kind.partial else "a whole body"
        raise MalformedError("BODY_PARTIAL", f"expected {expected} with a message of kind {statement.kind!r:.80}")
    handed = verify_body(given, statement.body) if isinstance(given, Body) else verify_partial(given, statement.body)
    whole_items = handed.items if isinstance(given, Body) else handed.items[:1]  # places of it are read by their kind
    for item in whole_items:
        verify_seen(item, what="an item of the body")
    return handed


def _leaf_of(
    node: Node, envelope: Envelope, statement: Statement, *, decision: Decision, version: int, now: datetime
) -> Leaf:
    allowed = decision.verdict is Verdict.ALLOWED
    return leaf_about(
        statement,
        envelope.digest,
        LeafKind.RECEIVED if allowed else LeafKind.REFUSED,
        agreement_version=version,
        time=now,
        signatures=envelope.signatures_digest,
        commitment=statement.body.commitment if statement.body else None,
        verdict=decision.verdict,
        policies=decision.policies,
        peer_checkpoint=node.heads.digest(statement.sender.node),
    )


def _message_of(envelope: Envelope, statement: Statement, leaf: Leaf, *, index: int) -> StoredMessage:
    return StoredMessage(
        id=statement.id,
        digest=envelope.digest,
        direction="received",
        pair=statement.pair,
        seq=statement.seq,
        kind=statement.kind,
        verdict=leaf.verdict.value if leaf.verdict else "",
        leaf_index=index,
        envelope=envelope.encoded,
        reply=None,
        created=statement.created,
    )


def _same_or_conflict(known: StoredMessage, envelope: Envelope) -> StoredMessage:
    if known.digest != envelope.digest:
        raise ConflictError("MESSAGE_ID_REUSED", f"message {known.id} came before with other bytes")
    return known


async def _record_discrepancy(node: Node, envelope: Envelope, statement: Statement, *, reason: str) -> None:
    leaf = leaf_about(
        statement,
        envelope.digest,
        LeafKind.DISCREPANCY,
        agreement_version=node.trust.in_force.agreement.version,
        time=truncate_to_millisecond(node.now()),
        signatures=envelope.signatures_digest,
        reason=reason,
    )
    node.refusals.note(statement.sender.node)
    _log.error("message.conflicted", message_id=statement.id, peer=statement.sender.node, reason=reason)
    await node.sequencer.commit(lambda tx: tx.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf)))
