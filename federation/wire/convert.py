"""Protobuf to values and back, but for permits and look-ups: only the `convert` modules touch pb fields.

Rules kept: a request has passed its shape rules (`services.shape`) before a field is read; signed bytes are carried
verbatim; what is converted back is an equal value; an unset choice in a peer's answer is malformed.
Source: DESIGN section 3 step 2, style reference sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from federation.protocol.body import Body
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.ids import Pair, parse_node_name
from federation.protocol.receipt import Answer, Receipt, Submission
from federation.protocol.trust.agreement import AgreementFiles
from federation.v1 import (
    act_pb2,
    agreement_service_pb2,
    audit_service_pb2,
    exchange_pb2,
    exchange_service_pb2,
    node_service_pb2,
    reconciliation_service_pb2,
)
from federation.wire.status import error_of, facts_of, kind_of
from federation.wire.values import (
    Act,
    Direction,
    LoggedMessage,
    MessagePage,
    MessageQuery,
    NodeStatus,
    PairDigest,
    PeerState,
)

DEFAULT_PAGE = 100
MAX_MESSAGES_PAGE = 256

_Word = TypeVar("_Word", bound=StrEnum)
_Number = TypeVar("_Number")


def submissions_from_pb(request: exchange_service_pb2.SubmitRequest) -> list[Submission]:
    """The submissions of a request, in order."""
    return [
        Submission(envelope=found.envelope, body=_body_from_pb(found.body) if found.HasField("body") else None)
        for found in request.submissions
    ]


def submissions_to_pb(submissions: Iterable[Submission]) -> exchange_service_pb2.SubmitRequest:
    """The request that carries these submissions."""
    return exchange_service_pb2.SubmitRequest(
        submissions=[
            exchange_pb2.Submission(envelope=submission.envelope, body=_body_to_pb(submission.body))
            for submission in submissions
        ]
    )


def _body_from_pb(found: exchange_pb2.Body) -> Body:
    return Body(type=found.media_type, salt=found.salt, items=tuple(found.items))


def _body_to_pb(body: Body | None) -> exchange_pb2.Body | None:
    if body is None:
        return None
    return exchange_pb2.Body(media_type=body.type, salt=body.salt, items=body.items)


def answers_to_pb(answers: Iterable[Answer]) -> exchange_service_pb2.SubmitResponse:
    """The response that carries these answers, in order."""
    return exchange_service_pb2.SubmitResponse(answers=[_answer_to_pb(answer) for answer in answers])


def answers_from_pb(response: exchange_service_pb2.SubmitResponse, *, expected: int) -> list[Answer]:
    """The answers of a peer, in the order of the submissions.

    Raises:
        MalformedError: ANSWER_COUNT when there is not one for each; ANSWER when one says nothing.
    """
    if len(response.answers) != expected:
        raise MalformedError("ANSWER_COUNT", f"expected {expected} answers, got {len(response.answers)}")
    return [_answer_from_pb(answer) for answer in response.answers]


def _answer_to_pb(answer: Answer) -> exchange_service_pb2.SubmissionAnswer:
    if isinstance(answer, Receipt):
        return exchange_service_pb2.SubmissionAnswer(receipt=_receipt_to_pb(answer))
    return exchange_service_pb2.SubmissionAnswer(failure=failure_to_pb(answer))


def _answer_from_pb(answer: exchange_service_pb2.SubmissionAnswer) -> Answer:
    match answer.WhichOneof("answer"):
        case "receipt":
            return _receipt_from_pb(answer.receipt)
        case "failure":
            return failure_from_pb(answer.failure)
        case _:
            raise MalformedError("ANSWER", "expected a receipt or a failure, got neither")


def _receipt_to_pb(receipt: Receipt) -> exchange_pb2.Receipt:
    return exchange_pb2.Receipt(leaf=receipt.leaf, proof=receipt.proof)


def _receipt_from_pb(found: exchange_pb2.Receipt) -> Receipt:
    return Receipt(leaf=found.leaf, proof=found.proof)


def failure_to_pb(error: BridgeheadError) -> exchange_pb2.Failure:
    """An error inside an answer; facts become text."""
    kind = exchange_pb2.FailureKind.Value(f"FAILURE_KIND_{kind_of(error)}")
    return exchange_pb2.Failure(kind=kind, reason=error.reason, message=error.message[:1000], facts=facts_of(error))


def failure_from_pb(found: exchange_pb2.Failure) -> BridgeheadError:
    """The error that an answer holds; an unknown kind is an `UnavailableError`: nothing is known, so try again."""
    number = exchange_pb2.FailureKind.DESCRIPTOR.values_by_number.get(found.kind)
    kind = number.name.removeprefix("FAILURE_KIND_") if number else ""
    return error_of(kind, reason=found.reason, message=found.message, facts=found.facts)


def agreement_to_pb(files: AgreementFiles) -> agreement_service_pb2.FetchAgreementResponse:
    """The response that carries an agreement's files."""
    return agreement_service_pb2.FetchAgreementResponse(
        roots=files.roots,
        timestamp=files.timestamp,
        snapshot=files.snapshot,
        targets=files.targets,
        files=files.files,
    )


def agreement_from_pb(found: agreement_service_pb2.FetchAgreementResponse) -> AgreementFiles:
    """The files as they came; nothing is verified. `targets` is empty when the caller's version is the newest."""
    return AgreementFiles(
        roots=tuple(found.roots),
        timestamp=found.timestamp,
        snapshot=found.snapshot,
        targets=found.targets,
        files=dict(found.files),
    )


def digest_request_to_pb(pair: Pair, from_seq: int, to_seq: int) -> reconciliation_service_pb2.DigestRangeRequest:
    """The request for the digest of a range, both ends included."""
    return reconciliation_service_pb2.DigestRangeRequest(pair=str(pair), from_seq=from_seq, to_seq=to_seq)


def digest_to_pb(digest: PairDigest) -> reconciliation_service_pb2.DigestRangeResponse:
    """The response that carries a digest."""
    return reconciliation_service_pb2.DigestRangeResponse(count=digest.count, root=digest.root, highest=digest.highest)


def digest_from_pb(found: reconciliation_service_pb2.DigestRangeResponse) -> PairDigest:
    """A peer's digest.

    Raises:
        MalformedError: DIGEST_ROOT when the root is not 32 bytes.
    """
    if len(found.root) != 32:
        raise MalformedError("DIGEST_ROOT", f"expected a root of 32 bytes, got {len(found.root)}")
    return PairDigest(count=found.count, root=found.root, highest=found.highest)


def act_to_pb(act: Act) -> act_pb2.Act:
    """Who acts and what for, as a message."""
    return act_pb2.Act(request_id=act.request_id, purpose=act.purpose, function=act.function, officer=act.officer)


def act_from_pb(found: act_pb2.Act) -> Act:
    """Who acts and what for; its shape is checked with the request."""
    return Act(request_id=found.request_id, purpose=found.purpose, function=found.function, officer=found.officer)


def message_query_to_pb(act: Act, query: MessageQuery) -> audit_service_pb2.ListMessagesRequest:
    """The request for a page of messages."""
    direction = audit_service_pb2.MessageDirection.Value(f"MESSAGE_DIRECTION_{query.direction.name}")
    return audit_service_pb2.ListMessagesRequest(
        act=act_to_pb(act),
        direction=direction,
        peer=query.peer,
        after_seq=query.after_seq,
        page_size=query.page_size,
    )


def message_query_from_pb(request: audit_service_pb2.ListMessagesRequest) -> MessageQuery:
    """The page of messages that is asked for, its size clamped."""
    sent = request.direction == audit_service_pb2.MESSAGE_DIRECTION_SENT
    return MessageQuery(
        direction=Direction.SENT if sent else Direction.RECEIVED,
        peer=parse_node_name(request.peer),
        after_seq=request.after_seq,
        page_size=min(request.page_size or DEFAULT_PAGE, MAX_MESSAGES_PAGE),
    )


def message_page_to_pb(page: MessagePage) -> audit_service_pb2.ListMessagesResponse:
    """The response that carries a page of messages."""
    return audit_service_pb2.ListMessagesResponse(
        messages=[_logged_to_pb(message) for message in page.messages], next_after_seq=page.next_after_seq
    )


def message_page_from_pb(found: audit_service_pb2.ListMessagesResponse) -> MessagePage:
    """A page of messages."""
    return MessagePage(
        messages=tuple(_logged_from_pb(message) for message in found.messages),
        next_after_seq=found.next_after_seq if found.HasField("next_after_seq") else None,
    )


def _logged_to_pb(message: LoggedMessage) -> audit_service_pb2.LoggedMessage:
    return audit_service_pb2.LoggedMessage(
        seq=message.seq,
        envelope=message.envelope,
        log_index=message.log_index,
        receipt=None if message.receipt is None else _receipt_to_pb(message.receipt),
    )


def _logged_from_pb(found: audit_service_pb2.LoggedMessage) -> LoggedMessage:
    return LoggedMessage(
        seq=found.seq,
        envelope=found.envelope,
        log_index=found.log_index,
        receipt=_receipt_from_pb(found.receipt) if found.HasField("receipt") else None,
    )


def status_to_pb(status: NodeStatus) -> node_service_pb2.GetStatusResponse:
    """The response that carries a node's state."""
    return node_service_pb2.GetStatusResponse(
        node=status.node,
        federation=status.federation,
        realm=status.realm,
        software_version=status.software_version,
        agreement_version=status.agreement_version,
        agreement_digest=status.agreement_digest,
        agreement_freshness=status.agreement_freshness,
        agreement_expire_time=time_to_pb(status.agreement_expire_time),
        tree_size=status.tree_size,
        checkpoint=status.checkpoint,
        peers=[_peer_to_pb(peer) for peer in status.peers],
        warnings=status.warnings,
    )


def status_from_pb(found: node_service_pb2.GetStatusResponse) -> NodeStatus:
    """A node's state.

    Raises:
        MalformedError: NODE_NAME when the node or a peer has no name of the agreed form.
    """
    return NodeStatus(
        node=parse_node_name(found.node),
        federation=found.federation,
        realm=found.realm,
        software_version=found.software_version,
        agreement_version=found.agreement_version,
        agreement_digest=found.agreement_digest,
        agreement_freshness=found.agreement_freshness,
        agreement_expire_time=time_from_pb(found.agreement_expire_time),
        tree_size=found.tree_size,
        checkpoint=found.checkpoint,
        peers=tuple(_peer_from_pb(peer) for peer in found.peers),
        warnings=tuple(found.warnings),
    )


def _peer_to_pb(peer: PeerState) -> node_service_pb2.PeerStatus:
    return node_service_pb2.PeerStatus(
        node=peer.node,
        reachable=peer.reachable,
        waiting_count=peer.waiting_count,
        oldest_waiting_time=optional_time_to_pb(peer.oldest_waiting_time),
        last_receipt_time=optional_time_to_pb(peer.last_receipt_time),
        cosigned_size=peer.cosigned_size,
        clock_offset_millis=peer.clock_offset_millis,
    )


def _peer_from_pb(found: node_service_pb2.PeerStatus) -> PeerState:
    return PeerState(
        node=parse_node_name(found.node),
        reachable=found.reachable,
        waiting_count=found.waiting_count,
        oldest_waiting_time=time_from_pb(found.oldest_waiting_time) if found.HasField("oldest_waiting_time") else None,
        last_receipt_time=time_from_pb(found.last_receipt_time) if found.HasField("last_receipt_time") else None,
        cosigned_size=found.cosigned_size,
        clock_offset_millis=found.clock_offset_millis if found.HasField("clock_offset_millis") else None,
    )


def time_to_pb(time: datetime) -> Timestamp:
    """A time in UTC, as a message."""
    found = Timestamp()
    found.FromDatetime(time)
    return found


def optional_time_to_pb(time: datetime | None) -> Timestamp | None:
    """The same; None stays absent."""
    return None if time is None else time_to_pb(time)


def time_from_pb(found: Timestamp) -> datetime:
    """A time in UTC."""
    return found.ToDatetime(tzinfo=UTC)


def read_word(numbers: Mapping[_Word, _Number], number: _Number) -> _Word:
    """Finds the word of a number; the lists are short, and an unknown number is one of a newer version.

    Raises:
        MalformedError: ENUM_VALUE for a number that has none.
    """
    for word, known in numbers.items():
        if known == number:
            return word
    raise MalformedError("ENUM_VALUE", f"expected one of {', '.join(numbers)}, got number {number}")
