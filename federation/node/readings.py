"""Reading what came of a look-up: by the office that asked, and released fields by the officer who fetched alone.

Released fields are read under policy (`lookup.read`) each time: only while the release has not expired and its case is
open. Each yes and no is kept, so that it can be decided again, and a no is signed into the log. A reading is durable
before a field is shown, under a watermark: an HMAC of this node's key over the reading, computed again when it is
traced. It holds no value of a field. Source: misuse controls M9 and M12.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final

from federation.domain.erasure import ReadingFacts, Watermark, format_code, parse_code, reading_request, reading_text
from federation.domain.lookups import Outcome, decode_answer_item, decode_release_item
from federation.domain.lookups_case import LookupCase, is_open
from federation.domain.oversight import ReadingKind, StoredReading
from federation.node.exchange.errand import Errand, on, put_refusal
from federation.node.exchange.replies import Response, find_reply, find_reply_item, find_response
from federation.node.log.decisions import Questions, decision_records
from federation.node.lookups import records
from federation.node.lookups.answer import FETCH, SEARCH
from federation.node.lookups.ask import outcome_of
from federation.node.lookups.records import refusal_of
from federation.node.node import plain_leaf
from federation.node.oversight.readings import put_reading_line
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import CorruptError, NotFoundError
from federation.protocol.form import Item, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, truncate_to_millisecond
from federation.protocol.leaf import LeafKind, encode_leaf
from federation.protocol.policy import PolicyRequest
from federation.protocol.statement import Statement, decode_statement
from federation.store.columns import DataKeys, blind_index
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, load_message
from federation.store.records import Record, find_record, put_records
from federation.wire.agency.lookups import READ_LOOKUP, TRACE_READING, LookupResult, ReadStep, TracedReading
from federation.wire.rpc import Ruling

READING: Final = "lookup-reading"
_CODE_COLUMN: Final = "lookup-reading.code"


class Reading(Item, frozen=True, kw_only=True):
    """One reading of what was released: who read which fields, and when; `request` is the digest of the fetch."""

    WHAT: ClassVar[str] = "lookup-reading"

    agency: AgencyId
    officer: str
    time: Time
    lookup_id: str
    case_id: str
    node: NodeName
    request: str
    fields: frozenset[str]


def begin_reading(
    errand: Errand, *, request: str, lookup_id: str, case_id: str, node: NodeName, fields: Iterable[str]
) -> Reading:
    """The reading that the errand's officer does now, of what came of one fetch (`request`, its digest)."""
    return Reading(
        agency=errand.caller,
        officer=errand.act.officer,
        time=truncate_to_millisecond(errand.node.now()),
        lookup_id=lookup_id,
        case_id=case_id,
        node=node,
        request=request,
        fields=frozenset(fields),
    )


def reading_digest(reading: Reading) -> str:
    """The digest (hex) of a reading, the subject of its leaf: it says nothing to who does not know all of it."""
    return hashlib.sha256(_text(reading).encode()).hexdigest()


def mark_reading(keys: DataKeys, reading: Reading) -> Watermark:
    """The watermark of a reading; the same reading has the same."""
    code = format_code(blind_index(keys, _CODE_COLUMN, _text(reading)))
    return Watermark(agency=reading.agency, officer=reading.officer, time=reading.time, code=code)


def put_reading(transaction: GroupTransaction, reading: Reading, *, owner: NodeName) -> Watermark:
    """Records a reading and returns what stands over it; kept as replicas are, since it never has a second version."""
    mark = mark_reading(transaction.keys, reading)
    record = Record(
        id=mark.code,
        kind=READING,
        owner=owner,
        version=1,
        replica=True,
        status="read",
        division=reading.agency.county,
        due_date=reading.time.date(),
        content=encode(reading),
    )
    put_records(transaction, [record])
    put_reading_line(transaction, _line_of(reading), name=mark.code, owner=owner)
    return mark


async def log_reading(errand: Errand, reading: Reading, *, ruling: Ruling, asked: Sequence[PolicyRequest]) -> Watermark:
    """Records a reading with its leaf, and what policy was asked about it; durable when this returns the watermark."""
    node, agreement = errand.node, errand.in_force.agreement
    digest = reading_digest(reading)
    leaf = plain_leaf(agreement, LeafKind.READING, digest, now=reading.time, policies=ruling.policies)
    decisions = decision_records(leaf, Questions(deciding=asked), book=errand.in_force.policies, owner=node.name)

    def record(transaction: GroupTransaction) -> Watermark:
        transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
        put_records(transaction, decisions)
        return put_reading(transaction, reading, owner=node.name)

    return (await node.sequencer.commit(record)).value


def load_reading(source: Source, code: str) -> tuple[Reading, Watermark]:
    """The reading that a code off a photo stands for. Refuses WATERMARK_CODE, READING_UNKNOWN, READING_CODE."""
    wanted = parse_code(code)
    record = find_record(source, READING, wanted, replica=True)
    if record is None:
        raise NotFoundError("READING_UNKNOWN", f"this node showed nothing under the code {wanted}")
    reading = decode(Reading, record.content)
    mark = mark_reading(source.keys, reading)
    if mark.code != wanted:
        raise CorruptError("READING_CODE", f"the reading kept under {wanted} is another one")
    return reading, mark


def _line_of(reading: Reading) -> StoredReading:
    return StoredReading(
        time=reading.time,
        agency=reading.agency,
        officer=reading.officer,
        kind=ReadingKind.RELEASED,
        lookup_id=reading.lookup_id,
        case_id=reading.case_id,
        node=reading.node,
        fields=reading.fields,
    )


def _text(reading: Reading) -> str:
    return reading_text(
        agency=reading.agency, officer=reading.officer, time=reading.time, request_digest=reading.request
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Policy's decision on a reading, and the fields with their watermark; none when it was refused."""

    ruling: Ruling
    request: PolicyRequest
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    watermark: Watermark | None = None

    def __repr__(self) -> str:
        return f"Read({self.ruling.verdict}, {sorted(self.fields)})"


async def read_release(errand: Errand, fetch: StoredMessage, *, lookup_id: str) -> Read:
    """Reads what came of a fetch of ours, if policy lets this officer now; durable in the log when it returns."""
    node, statement = errand.node, decode_statement(parse_envelope(fetch.envelope).payload)
    content = find_reply_item(node.database, fetch.digest)
    facts = _facts(errand, fetch, statement, is_kept=content is not None)
    request = reading_request(errand.agency, statement.recipient.node, occasion=errand.occasion, facts=facts)
    ruling = errand.rule(request)
    if not ruling.allowed or content is None:
        return Read(ruling=ruling, request=request)
    release = decode_release_item(content, errand.in_force.agreement.realm)
    reading = begin_reading(
        errand,
        request=fetch.digest,
        lookup_id=lookup_id,
        case_id=statement.case or "",
        node=statement.recipient.node,
        fields=release.fields,
    )
    mark = await log_reading(errand, reading, ruling=ruling, asked=[request])
    return Read(ruling=ruling, request=request, fields=release.fields, watermark=mark)


def _facts(errand: Errand, fetch: StoredMessage, statement: Statement, *, is_kept: bool) -> ReadingFacts:
    node = errand.node
    case = records.find_case(node.database, statement.sender.agency, statement.case, announced=False)
    reply = find_reply(node.database, fetch.digest)
    return ReadingFacts(
        case_open=case is not None and is_open(case, node.now()),
        release_live=is_kept and reply is not None and reply.ends is not None and node.now() < reply.ends,
        same_officer=statement.sender.agency == errand.caller and statement.sender.officer == errand.act.officer,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look-up under the eyes of one reader: its case, None when it is no longer known."""

    errand: Errand
    case: LookupCase | None

    @property
    def case_open(self) -> bool:
        return self.case is not None and is_open(self.case, self.errand.node.now())


@on(READ_LOOKUP)
async def read_lookup(errand: Errand, lookup_id: str) -> LookupResult:
    """Tells what came of each step of a look-up; a release under policy and a watermark. Refuses LOOKUP_UNKNOWN."""
    node = errand.node
    lines = records.list_steps(node.database, errand.caller, lookup_id)
    if not lines:
        raise NotFoundError("LOOKUP_UNKNOWN", f"this office asked nothing under {lookup_id:.40}; see the history")
    case_id = lines[0].case_id
    look = _Look(errand=errand, case=records.find_case(node.database, errand.caller, case_id, announced=False))
    refused: list[Read] = []
    steps: list[ReadStep] = []
    for asked in lines:
        step = _step(look, asked)
        if asked.step == FETCH.name and step.outcome is Outcome.HIT:
            fetch = load_message(node.database, "sent", MessageId(asked.message_id))
            read = await read_release(errand, fetch, lookup_id=lookup_id)
            step = replace(step, decision=read.ruling, fields=read.fields, watermark=read.watermark)
            refused += [read] if read.watermark is None else []
        steps.append(step)
    if refused:
        rulings, asked_of = [read.ruling for read in refused], [read.request for read in refused]
        await node.sequencer.commit(lambda tx: put_refusal(tx, errand, rulings, asked=asked_of))
    return LookupResult(lookup_id=lookup_id, case_id=case_id, steps=tuple(steps))


@on(TRACE_READING)
async def trace_reading(errand: Errand, code: str) -> TracedReading:
    """Finds the reading that the code of a watermark stands for. Raises as `load_reading`."""
    node = errand.node
    reading, mark = load_reading(node.database, code)
    return TracedReading(
        watermark=mark,
        lookup_id=reading.lookup_id,
        case_id=reading.case_id,
        node=reading.node,
        fields=reading.fields,
        fetch_digest=reading.request,
    )


def _step(look: _Look, asked: records.Asked) -> ReadStep:
    """Returns a step without any field: the handle only to its officer, and only while it lives."""
    node = look.errand.node
    outcome = outcome_of(node, asked)
    step = ReadStep(node=asked.node, step=asked.step, asked=asked.time, outcome=outcome)
    response = find_response(node, asked.digest) if asked.digest else Response()
    refusal = refusal_of(node, response)
    if refusal is not None:
        return replace(step, policies=refusal.policies, title_zh=refusal.title_zh, title_en=refusal.title_en)
    reply = response.reply
    if reply is None or reply.ends is None:
        return step
    handle: str | None = None
    living = reply.erased is None and node.now() < reply.ends and look.case_open
    if asked.step == SEARCH.name and living and asked.officer == look.errand.act.officer:
        handle = decode_answer_item(response.body.items[0]).handle if response.body is not None else None
    return replace(step, handle=handle, expires=reply.ends, erased=reply.erased)
