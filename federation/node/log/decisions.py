"""The questions that were put to policy about a message, kept beside its leaf so that they can be decided again.

Rules kept: written in the transaction that writes the leaf; under the leaf's subject, and never changed; a question
names no person. The policies themselves are not kept here: the agreement of that version holds them, and the digest of
the policy book says which text it was. A message that no policy was asked about is not here: a rule decided it
(`rules`), or it answers a request whose questions are kept.
Trusts this node's own store. Source: DESIGN sections 3 and 9.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.domain.rules.retention import PROVISION
from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_digest,
    read_integer,
    read_text,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import NodeName, format_time, parse_time
from federation.protocol.leaf import Leaf, Verdict
from federation.protocol.policy import PolicyBook, PolicyRequest, decide
from federation.protocol.policy.inputs import read_request, request_json
from federation.store.database import Source
from federation.store.records import Record, find_record, list_records

DECISION: Final = "decision"
_PAGE: Final = 1000
_QUICK: Final = 1
_MOST_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question with the answer it got: verdict and deciding policies."""

    request: PolicyRequest
    verdict: Verdict
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What policy was asked: the questions that together decide, and those about single records.

    The answers to the latter show in a reply alone: a record that policy hides is no hit, and the search was allowed.
    """

    deciding: Sequence[PolicyRequest]
    of_records: Sequence[PolicyRequest] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDecision:
    """What was asked about one message or request: `subject` is that of its leaf, `book_digest` the policies' own.

    What its leaf says is the answers of `asked`, joined.
    """

    subject: str
    time: datetime
    agreement_version: int
    book_digest: str
    asked: tuple[Asked, ...]
    asked_of_records: tuple[Asked, ...] = ()


def decision_records(leaf: Leaf, questions: Questions, *, book: PolicyBook, owner: NodeName) -> Sequence[Record]:
    """The record that keeps what was asked about the leaf's subject; none when policy was not asked.

    It is kept as replicas are, in one row: there is never a second version that would need a history.
    """
    if not questions.deciding:
        return ()
    content: dict[str, JsonValue] = {
        "time": format_time(leaf.time),
        "agreement_version": leaf.agreement_version,
        "book": book.digest,
        "asked": _asked_json(questions.deciding, book),
    }
    if questions.of_records:
        content["of_records"] = _asked_json(questions.of_records, book)
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
            content=pack_decision(content),
            kept_under=PROVISION,
        ),
    )


def find_decision(source: Source, subject: str) -> KeptDecision | None:
    """What was asked about the message or request with that digest, None when nothing is kept.

    Raises:
        MalformedError: DECISION_FORM when the store holds something else.
    """
    record = find_record(source, DECISION, subject, replica=True)
    return _from_record(record) if record is not None else None


def list_decisions(source: Source) -> Iterator[KeptDecision]:
    """Every kept decision, in the order of the subjects' digests.

    Raises:
        MalformedError: DECISION_FORM when the store holds something else.
    """
    after = ""
    while page := list_records(source, DECISION, after_id=after, limit=_PAGE, replica=True):
        yield from (_from_record(record) for record in page)
        after = page[-1].id


def pack_decision(content: Mapping[str, JsonValue]) -> bytes:
    """The content of a record: canonical JSON, compressed, since the questions of one bulk differ by a word or two."""
    return zlib.compress(encode_canonical(content), _QUICK)


def unpack_decision(content: bytes) -> dict[str, JsonValue]:
    """Opens what `pack_decision` gave.

    Raises:
        MalformedError: DECISION_FORM when it is no such thing, JSON_*.
    """
    opened = zlib.decompressobj()
    try:
        encoded = opened.decompress(content, _MOST_BYTES)
    except zlib.error as error:
        raise MalformedError("DECISION_FORM", f"{DECISION}: expected compressed JSON") from error
    if not opened.eof or opened.unused_data:
        raise MalformedError("DECISION_FORM", f"{DECISION}: expected at most {_MOST_BYTES} bytes and nothing behind")
    return decode_canonical(encoded, what=DECISION)


def _from_record(record: Record) -> KeptDecision:
    value = unpack_decision(record.content)
    expect_names(value, ("time", "agreement_version", "book", "asked"), ("of_records",), what=DECISION)
    return KeptDecision(
        subject=record.id,
        time=parse_time(read_text(value, "time", what=DECISION)),
        agreement_version=read_integer(value, "agreement_version", what=DECISION),
        book_digest=read_digest(value, "book", what=DECISION),
        asked=_read_list(value["asked"]),
        asked_of_records=_read_list(value.get("of_records", [])),
    )


def _asked_json(requests: Sequence[PolicyRequest], book: PolicyBook) -> list[JsonValue]:
    decided = [(request, decide(book, request)) for request in dict.fromkeys(requests)]
    return [
        {"request": request_json(request), "verdict": found.verdict.value, "policies": list(found.policies)}
        for request, found in decided
    ]


def _read_list(value: JsonValue) -> tuple[Asked, ...]:
    if not isinstance(value, list):
        raise MalformedError("DECISION_FORM", f"{DECISION}: expected a list of questions")
    return tuple(_read_asked(item) for item in value)


def _read_asked(value: JsonValue) -> Asked:
    request = value.get("request") if isinstance(value, dict) else None
    policies = value.get("policies") if isinstance(value, dict) else None
    verdict = value.get("verdict") if isinstance(value, dict) else None
    if not isinstance(request, dict) or not isinstance(policies, list) or verdict not in tuple(Verdict):
        raise MalformedError("DECISION_FORM", f"{DECISION}: expected a question, its verdict and its policies")
    return Asked(
        request=read_request(request),
        verdict=Verdict(verdict),
        policies=tuple(name for name in policies if isinstance(name, str)),
    )
