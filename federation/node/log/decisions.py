"""Decisions beside leaves: the questions that were put to policy, stored for the replay, or the rule that decided.

Questions are written in the transaction of the leaf, under its subject, and never change; they name no person. The
policies are those of the agreement version; the book's digest says which text it was. A message that answers a request
has no questions. A rule that decided is named by the leaf, and counted by a replay; it allows only what a question of
ours asked for, else it can only refuse (`rule-...`). Trusts this node's store. Source: DESIGN sections 3, 8 and 9.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from federation.domain.retention import PROVISION
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import MalformedError
from federation.protocol.form import Count, Digest, Item, Time, decode, encode
from federation.protocol.ids import NodeName
from federation.protocol.leaf import Leaf, LeafKind, Verdict
from federation.protocol.policy import PolicyBook, PolicyRequest, decide
from federation.protocol.policy.engine import read_request, request_json
from federation.protocol.statement import Statement, decode_statement
from federation.store.database import Source
from federation.store.log_reader import find_leaf
from federation.store.messages import Direction, StoredMessage, find_by_digest, find_by_leaf
from federation.store.records import Record, find_record

DECISION: Final = "decision"
REPLY_RULE: Final = "reply-to-own-request"
"""What answers a request of ours is received: it was our own policy that let the request out."""
OWN_ERASURE_RULE: Final = "receipt-of-own-erasure"
"""The giver is told that what it handed over has ended and was destroyed: nobody has to ask for that."""
REMINDER_RULE: Final = "second-request"
"""What asks once more for the answer to a request that was let out before, and received by the other side."""
KEY_TOLD_RULE: Final = "officer-key-told"
"""An officer's own key is told to a province before it is asked for fields under it, and pinned there."""
_KEY_KIND: Final = "officer.key"
_REFUSAL: Final = re.compile(r"rule-[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_QUICK: Final = 1  # the questions of one bulk differ by a word or two
_MOST_BYTES: Final = 8 * 1024 * 1024


class _Form(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = DECISION
    REASON: ClassVar[str] = "DECISION_FORM"
    TYPE_REASON: ClassVar[str] = "DECISION_FORM"


class _AskedQuestion(_Form, frozen=True, kw_only=True):
    request: dict[str, Any]
    verdict: Verdict
    policies: tuple[str, ...]


class _Content(_Form, frozen=True, kw_only=True):
    time: Time
    agreement_version: Count
    book: Digest
    asked: tuple[_AskedQuestion, ...]
    of_records: tuple[_AskedQuestion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredQuestion:
    request: PolicyRequest
    verdict: Verdict
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """The questions to policy: those that together decide, and those about single records, shown in a reply alone."""

    deciding: Sequence[PolicyRequest]
    of_records: Sequence[PolicyRequest] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """The questions under the `subject` of a leaf, whose verdict the answers of `asked`, joined, are."""

    subject: str
    time: datetime
    agreement_version: int
    book_digest: str
    asked: tuple[AnsweredQuestion, ...]
    asked_of_records: tuple[AnsweredQuestion, ...] = ()


def decision_records(leaf: Leaf, questions: Questions, *, book: PolicyBook, owner: NodeName) -> Sequence[Record]:
    """Returns the record of the leaf's questions, kept in one row, as replicas are; none when policy was not asked."""
    if not questions.deciding:
        return ()
    content = _Content(
        time=leaf.time,
        agreement_version=leaf.agreement_version,
        book=book.digest,
        asked=_answered(questions.deciding, book),
        of_records=_answered(questions.of_records, book),
    )
    return (
        Record(
            id=leaf.subject,
            kind=DECISION,
            owner=owner,
            version=1,
            replica=True,
            status=leaf.verdict.value if leaf.verdict else "",
            division="",
            due_date=leaf.time.date(),
            content=zlib.compress(encode(content), _QUICK),
            kept_under=PROVISION,
        ),
    )


def find_decision(source: Source, subject: str) -> StoredDecision | None:
    """Returns the questions about the message or request of that digest, or None. Refuses DECISION_FORM."""
    record = find_record(source, DECISION, subject, replica=True)
    if record is None:
        return None
    content = _unpack(record.content)
    return StoredDecision(
        subject=subject,
        time=content.time,
        agreement_version=content.agreement_version,
        book_digest=content.book,
        asked=_read_answered(content.asked),
        asked_of_records=_read_answered(content.of_records),
    )


def _unpack(content: bytes) -> _Content:
    opened = zlib.decompressobj()
    try:
        encoded = opened.decompress(content, _MOST_BYTES)
    except zlib.error as error:
        raise MalformedError("DECISION_FORM", f"{DECISION}: expected compressed JSON") from error
    if not opened.eof or opened.unused_data:
        raise MalformedError("DECISION_FORM", f"{DECISION}: expected at most {_MOST_BYTES} bytes and nothing behind")
    return decode(_Content, encoded)


def _answered(requests: Sequence[PolicyRequest], book: PolicyBook) -> tuple[_AskedQuestion, ...]:
    decided = [(request, decide(book, request)) for request in dict.fromkeys(requests)]
    return tuple(
        _AskedQuestion(request=dict(request_json(request)), verdict=found.verdict, policies=found.policies)
        for request, found in decided
    )


def _read_answered(asked: Sequence[_AskedQuestion]) -> tuple[AnsweredQuestion, ...]:
    return tuple(
        AnsweredQuestion(request=read_request(each.request), verdict=each.verdict, policies=each.policies)
        for each in asked
    )


def rule_name(reason: str) -> str:
    """Returns the name of the rule with that reason: `rule-handle-expired` for HANDLE_EXPIRED."""
    return f"rule-{reason.lower().replace('_', '-')}"


def find_rule(source: Source, index: int, leaf: Leaf) -> str | None:
    """Returns the name of the rule that decided a leaf, if one did and if it holds when checked again.

    What a reply, a second request or an erasure's receipt cites must be in this log; a rule's own refusal must be one.
    """
    if len(leaf.policies) != 1:
        return None
    (name,) = leaf.policies
    if name == REPLY_RULE:
        return name if leaf.verdict is Verdict.ALLOWED and _is_reply(source, index, leaf) else None
    if name == OWN_ERASURE_RULE:
        return name if leaf.kind is LeafKind.SENT and _is_own_erasure(source, index) else None
    if name == REMINDER_RULE:
        return name if leaf.verdict is Verdict.ALLOWED and _is_reminder(source, index, leaf) else None
    if name == KEY_TOLD_RULE:
        return name if leaf.verdict is Verdict.ALLOWED and _is_of(source, index, leaf, kind=_KEY_KIND) else None
    return name if leaf.kind is LeafKind.REFUSED and _REFUSAL.fullmatch(name) else None


def find_answered(source: Source, index: int) -> StoredMessage | None:
    """Returns the other province's request that our message with the leaf at that index answers; None for any other."""
    statement = _statement_at(source, "sent", index)
    if statement is None or statement.in_reply_to is None:
        return None
    request = find_by_digest(source, "received", statement.in_reply_to)
    return request if request is not None and request.pair.sender == statement.recipient.node else None


def _is_reply(source: Source, index: int, leaf: Leaf) -> bool:
    statement = _statement_at(source, "received", index)
    if statement is None or statement.in_reply_to is None:
        return False
    request = find_by_digest(source, "sent", statement.in_reply_to)
    return request is not None and request.pair.recipient == statement.sender.node and leaf.pair == statement.pair


def _is_own_erasure(source: Source, index: int) -> bool:
    statement, received = _statement_at(source, "sent", index), find_answered(source, index)
    if statement is None or received is None:
        return False
    return find_leaf(source, LeafKind.ERASURE, received.digest) is not None


def _is_of(source: Source, index: int, leaf: Leaf, *, kind: str) -> bool:
    direction: Direction = "sent" if leaf.kind is LeafKind.SENT else "received"
    statement = _statement_at(source, direction, index)
    return statement is not None and statement.kind == kind


def _is_reminder(source: Source, index: int, leaf: Leaf) -> bool:
    direction: Direction = "sent" if leaf.kind is LeafKind.SENT else "received"
    statement = _statement_at(source, direction, index)
    if statement is None or statement.in_reply_to is None:
        return False
    request = find_by_digest(source, direction, statement.in_reply_to)
    return request is not None and request.pair == statement.pair == leaf.pair


def _statement_at(source: Source, direction: Direction, index: int) -> Statement | None:
    message = find_by_leaf(source, direction, index)
    return decode_statement(parse_envelope(message.envelope).payload) if message is not None else None
