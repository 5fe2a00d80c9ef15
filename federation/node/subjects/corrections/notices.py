"""Telling who holds the old that it was corrected, and being told so: a notice carries no value, new or old.

Two are told: a province that was sent a copy and is not entitled to the corrected record, and an agency that a look-up
gave the very field within its time. What is held is marked by a record beside it and never edited.
Sources: PIPL articles 8, 46; DESIGN section 5 (a replica is never edited).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from federation.domain.corrections import (
    CORRECTION_BASIS,
    CORRECTION_FUNCTION,
    CORRECTION_PURPOSE,
    NOTICE_BODY,
    CorrectionNotice,
    decode_correction_notice,
    notice_request,
)
from federation.domain.division import province_of
from federation.domain.lookups import HANDLE_TIME
from federation.domain.permits import Permit, PermitUrn, urn_division
from federation.domain.retention import CORRECTION
from federation.node.disclosures import list_given
from federation.node.exchange.judge import REPLY_TAKEN, Judgement, Kind, Received, Rows
from federation.node.exchange.replies import one_item_body
from federation.node.exchange.send import Cause, Draft
from federation.node.lookups.answer import FETCH
from federation.node.node import Node
from federation.node.permits.records import OUTDATED, PERMIT, find_outdated
from federation.node.permits.sharing import list_holders
from federation.protocol.canonical_json import decode_canonical, encode_canonical, read_text
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import MalformedError
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, NodeName, format_time, parse_time, truncate_to_millisecond
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Recipient, Sender, Statement, decode_statement
from federation.store.database import Source
from federation.store.messages import find_by_digest, find_message
from federation.store.records import Record, find_record, list_records
from federation.wire.agency.corrections import NoticeLine

NOTICE_KIND = "correction.notice"
GIVEN_OUTDATED = "given-outdated"
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The step of the owner's desk that makes a notice necessary: who took it, and what policy said to what."""

    sender: Sender
    question: PolicyRequest
    decision: Decision


def copy_notices(node: Node, permit: Permit, *, entitled: Collection[NodeName], step: Step) -> list[Draft]:
    """To each province that was sent a copy once and does not get this version: yours is outdated."""
    notice = CorrectionNotice(time=truncate_to_millisecond(node.now()), urn=permit.urn, version=permit.version)
    holders = [name for name in list_holders(node.database, permit.urn) if name not in entitled]
    members = node.trust.in_force.agreement.members
    return [_draft(Recipient(node=name), notice, step) for name in holders if name in members]


def lookup_notices(node: Node, citizen_number: str, *, field: str, step: Step) -> list[Draft]:
    """To each agency that a look-up gave that field of the person within its time: fetch it again if you need it."""
    now = truncate_to_millisecond(node.now())
    notice = CorrectionNotice(time=now, field=field)
    drafts: list[Draft] = []
    for entry, message_id in list_given(node.database, citizen_number):
        fetched = entry.step == FETCH.name and entry.verdict is Verdict.ALLOWED and field in entry.fields
        message = find_message(node.database, "received", message_id) if fetched else None
        if message is None or now >= entry.time + HANDLE_TIME:
            continue
        recipient = Recipient(node=entry.asker.node, agency=entry.asker)
        drafts.append(_draft(recipient, notice, step, cited=message.digest, case=entry.case_id))
    return drafts


def _judge_notice(received: Received[CorrectionNotice]) -> Judgement:
    """Judges a notice: about a copy by policy, about a field that a look-up gave by the request that it cites.

    Raises:
        MalformedError: REPLY_UNASKED when it cites no fetch of ours to that province.
    """
    statement, notice = received.statement, received.item
    owner = statement.sender.node
    if notice.urn is None:
        asked = _fetch_of(received.node, statement)
        record = _given_record(notice, asked, cited=statement.in_reply_to or "", owner=owner)
        return Judgement(decision=REPLY_TAKEN, rows=Rows(records=(record,)))
    issuer = province_of(urn_division(notice.urn)) or NodeName(urn_division(notice.urn)[:2])
    question = notice_request(received.sender, issuer, occasion=received.occasion)
    return received.judge(question, rows=Rows(records=(_copy_record(notice, notice.urn, owner=owner),)))


def list_notices(node: Node, caller: AgencyId) -> Sequence[NoticeLine]:
    """What is outdated here, newest first: copies that this node holds, and what look-ups gave to the caller."""
    lines: list[NoticeLine] = []
    for record in _every(node.database, OUTDATED):
        copy = find_record(node.database, PERMIT, record.id, replica=True)
        if copy is not None and find_outdated(node.database, copy):
            notice = decode_correction_notice(record.content)
            lines.append(NoticeLine(time=notice.time, owner=record.owner, urn=notice.urn, version=record.version))
    for record in _every(node.database, GIVEN_OUTDATED):
        line, agency = _read_given(record)
        lines += [line] if agency == str(caller) else []
    return sorted(lines, key=lambda line: (line.time, line.owner, line.urn or "", line.case_id), reverse=True)


def _draft(recipient: Recipient, notice: CorrectionNotice, step: Step, *, cited: str = "", case: str = "") -> Draft:
    return Draft(
        kind=NOTICE_KIND,
        recipient=recipient,
        cause=Cause(
            sender=step.sender,
            purpose=CORRECTION_PURPOSE,
            function=CORRECTION_FUNCTION,
            basis=CORRECTION_BASIS,
            case=case or None,
            in_reply_to=cited or None,
        ),
        body=one_item_body(NOTICE_BODY, encode(notice)),
        decision=step.decision,
        asked=(step.question,),
    )


def _fetch_of(node: Node, statement: Statement) -> Statement:
    """The fetch of ours, to that very province, whose fields the notice is about."""
    cited = statement.in_reply_to
    request = find_by_digest(node.database, "sent", cited) if cited is not None else None
    if request is None or request.kind != FETCH.name or request.pair.recipient != statement.sender.node:
        raise MalformedError("REPLY_UNASKED", "expected a notice that cites a fetch of ours to that province")
    return decode_statement(parse_envelope(request.envelope).payload)


def _copy_record(notice: CorrectionNotice, urn: PermitUrn, *, owner: NodeName) -> Record:
    return Record(
        id=urn,
        kind=OUTDATED,
        owner=owner,
        version=notice.version,
        replica=True,
        status="outdated",
        division=urn_division(urn),
        content=encode(notice),
    )


def _given_record(notice: CorrectionNotice, asked: Statement, *, cited: str, owner: NodeName) -> Record:
    content = encode_canonical(
        {
            "time": format_time(notice.time),
            "field": notice.field,
            "agency": str(asked.sender.agency),
            "case": asked.case or "",
        }
    )
    return Record(
        id=f"{cited}/{notice.field}/{format_time(notice.time)}",
        kind=GIVEN_OUTDATED,
        owner=owner,
        version=1,
        replica=True,
        status="outdated",
        division=asked.sender.agency.county,
        content=content,
    )


def _read_given(record: Record) -> tuple[NoticeLine, str]:
    value = decode_canonical(record.content, what=GIVEN_OUTDATED)
    time = parse_time(read_text(value, "time", what=GIVEN_OUTDATED))
    line = NoticeLine(
        time=time,
        owner=record.owner,
        field=read_text(value, "field", what=GIVEN_OUTDATED),
        case_id=read_text(value, "case", what=GIVEN_OUTDATED),
    )
    return line, read_text(value, "agency", what=GIVEN_OUTDATED)


def _every(source: Source, kind: str) -> Iterator[Record]:
    after = ""
    while page := list_records(source, kind, after_id=after, limit=_PAGE, replica=True):
        yield from page
        after = page[-1].id


NOTICE = Kind(
    name=NOTICE_KIND,
    media_type=NOTICE_BODY,
    encode=encode,
    decode=lambda content, _: decode_correction_notice(content),
    many=False,
    judge=_judge_notice,
    answers=(),
    keep=CORRECTION,
    resend=None,
)
