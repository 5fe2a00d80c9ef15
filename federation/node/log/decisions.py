"""The questions that were put to policy about a message, kept beside its leaf so that they can be decided again.

Rules kept: written in the transaction that writes the leaf; under the leaf's subject, and never changed; a question
names no person. The policies themselves are not kept here: the agreement of that version holds them, and the digest of
the policy book says which text it was. A message that no policy was asked about, such as a reply, is not here.
Trusts this node's own store. Source: DESIGN sections 3 and 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

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
from federation.store.records import Record, list_records

DECISION: Final = "decision"
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question with the answer it got: verdict and deciding policies."""

    request: PolicyRequest
    verdict: Verdict
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDecision:
    """What was asked about one message or request: `subject` is that of its leaf, `book_digest` the policies' own."""

    subject: str
    time: datetime
    agreement_version: int
    book_digest: str
    asked: tuple[Asked, ...]


def decision_records(
    leaf: Leaf, *, asked: Sequence[PolicyRequest], book: PolicyBook, owner: NodeName
) -> Sequence[Record]:
    """The record that keeps what was asked about the leaf's subject; none when policy was not asked.

    It is kept as replicas are, in one row: there is never a second version that would need a history.
    """
    if not asked:
        return ()
    decisions = [(request, decide(book, request)) for request in dict.fromkeys(asked)]
    content: dict[str, JsonValue] = {
        "time": format_time(leaf.time),
        "agreement_version": leaf.agreement_version,
        "book": book.digest,
        "asked": [
            {"request": request_json(request), "verdict": found.verdict.value, "policies": list(found.policies)}
            for request, found in decisions
        ],
    }
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
            content=encode_canonical(content),
        ),
    )


def list_decisions(source: Source) -> Iterator[KeptDecision]:
    """Every kept decision, in the order of the subjects' digests.

    Raises:
        MalformedError: DECISION_FORM when the store holds something else.
    """
    after = ""
    while page := list_records(source, DECISION, after_id=after, limit=_PAGE, replica=True):
        yield from (_from_record(record) for record in page)
        after = page[-1].id


def _from_record(record: Record) -> KeptDecision:
    value = decode_canonical(record.content, what=DECISION)
    expect_names(value, ("time", "agreement_version", "book", "asked"), what=DECISION)
    asked = value["asked"]
    if not isinstance(asked, list):
        raise MalformedError("DECISION_FORM", f"{DECISION}: expected a list of questions")
    return KeptDecision(
        subject=record.id,
        time=parse_time(read_text(value, "time", what=DECISION)),
        agreement_version=read_integer(value, "agreement_version", what=DECISION),
        book_digest=read_digest(value, "book", what=DECISION),
        asked=tuple(_read_asked(item) for item in asked),
    )


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
