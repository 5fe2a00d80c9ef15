"""Telling who holds the old that it was corrected, and being told so: a notice carries no value, new or old.

Told are a province that was sent a copy and is not entitled to the corrected record, and an agency that a look-up gave
the field within its time. What is held is marked beside it, never edited. Sources: PIPL 8, 46; DESIGN section 5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nlargest
from itertools import islice
from typing import Any, Final

from federation.domain.corrections import (
    CORRECTION_BASIS,
    CORRECTION_FUNCTION,
    CORRECTION_PURPOSE,
    DECIDING_OFFICES,
    NOTICE_BODY,
    CorrectionNotice,
    decode_correction_notice,
    holds_record,
    notice_request,
)
from federation.domain.division import province_of
from federation.domain.lookups import HANDLE_TIME
from federation.domain.permits import Permit, PermitUrn, urn_division, works_on
from federation.domain.retention import CORRECTION
from federation.node.disclosures import list_disclosures
from federation.node.exchange.judge import REPLY_TAKEN, Judgement, Received, Rows, item_kind, refused_by_rule
from federation.node.exchange.resend import resent_alone
from federation.node.exchange.send import Cause, Draft, send
from federation.node.lookups.answer import FETCH
from federation.node.lookups.records import find_case
from federation.node.node import Node, agency_facts
from federation.node.permits_sharing import (
    DIFFERING,
    DOUBLES,
    MAX_DOUBLES,
    OUTDATED,
    PERMIT,
    Double,
    find_outdated,
    find_own_permit,
    list_copies,
    list_doubles,
)
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Digest, Item, Time, encode, replace
from federation.protocol.form import replace as replaced
from federation.protocol.ids import AgencyId, NodeName, format_time, truncate_to_millisecond
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest, decide
from federation.protocol.statement import Recipient, Sender, Statement, decode_statement
from federation.store.collection import Collection, item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_by_digest, find_message
from federation.store.records import find_record
from federation.wire.agency.corrections import NoticeLine

NOTICE_KIND: Final = "correction.notice"
MAX_NOTICES = 200
_DUTY: Final = "doubles"


class Outdated(Item, frozen=True, kw_only=True):
    """That a field which a look-up gave to an agency of ours was corrected since; `cited` is the fetch."""

    WHAT = "given-outdated"

    time: Time
    field: str
    agency: AgencyId
    case: str
    owner: NodeName
    cited: Digest


OUTDATED_FIELDS: Final[Collection[Outdated]] = item_collection(
    Outdated,
    kind="given-outdated",
    id=lambda held: f"{held.cited}/{held.field}/{format_time(held.time)}",
    replica=True,
    status=lambda _: "outdated",
    division=lambda held: held.agency.county,
    subject=lambda held: str(held.agency),
)
OUTDATED_COPIES: Final[Collection[tuple[NodeName, CorrectionNotice]]] = Collection(
    kind=OUTDATED,
    encode=lambda held: encode(held[1]),
    decode=lambda record: (record.owner, decode_correction_notice(record.content)),
    id=lambda held: held[1].urn or "",
    replica=True,
    version=lambda held: held[1].version,
    status=lambda _: "outdated",
    division=lambda held: urn_division(held[1].urn) if held[1].urn else "",
)
"""The copies here that their owner said are outdated, with the owner."""
OUTDATED_LINES: Final = replaced(
    OUTDATED_COPIES, kind="copy-outdated-line", id=lambda held: f"{format_time(held[1].time)}/{held[1].urn}"
)
"""The same by time: a list of the newest reads no more than it shows, but for copies that came anew since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The step of the owner's desk that makes a notice necessary: who took it, and what policy said to what."""

    sender: Sender
    question: PolicyRequest
    decision: Decision


def copy_notices(node: Node, permit: Permit, *, entitled: Iterable[NodeName], step: Step) -> list[Draft]:
    """To each province that was sent a copy once and does not get this version: yours is outdated."""
    notice = CorrectionNotice(time=truncate_to_millisecond(node.now()), urn=permit.urn, version=permit.version)
    holders = [copy.holder for copy in list_copies(node.database, permit.urn) if copy.holder not in entitled]
    members = node.trust.in_force.agreement.members
    return [_draft(Recipient(node=name), notice, step) for name in holders if name in members]


def lookup_notices(node: Node, citizen_number: str, *, field: str, step: Step) -> list[Draft]:
    """To each agency that a look-up gave that field of the person within its time: fetch it again if you need it."""
    now = truncate_to_millisecond(node.now())
    notice = CorrectionNotice(time=now, field=field)
    drafts: list[Draft] = []
    for entry, message_id in list_disclosures(node.database, citizen_number):
        fetched = entry.step == FETCH.name and entry.verdict is Verdict.ALLOWED and field in entry.fields
        message = find_message(node.database, "received", message_id) if fetched else None
        if message is None or now >= entry.time + HANDLE_TIME:
            continue
        recipient = Recipient(node=entry.asker.node, agency=entry.asker)
        drafts.append(_draft(recipient, notice, step, cited=message.digest, case=entry.case_id))
    return drafts


def verify_holder(received: Received[Any], counties: Iterable[str]) -> None:
    """Refuses what another office says than the holder of the records of one of these counties (CORRECTION_OFFICE).

    Where such a county has no office any more, it is the one that the agreement has in its place.
    """
    office, in_force = received.statement.sender.agency, received.in_force
    for county in counties:
        if holds_record(office, county) or office == in_force.office_of(county, DECIDING_OFFICES):
            return
    raise RuleError("CORRECTION_OFFICE", f"expected the office that holds the record, got {office}")


def _judge_notice(received: Received[CorrectionNotice]) -> Judgement:
    """Judges a notice, about a copy by policy, about a field by the fetch that it cites (else REPLY_UNASKED).

    Either is the holder's alone: of the copy's county, or of one of those that the case of the fetch names.
    """
    statement, notice = received.statement, received.item
    owner = statement.sender.node
    if notice.urn is not None and notice.other is not None:
        return _judge_double(received, notice.urn, notice.other)
    if notice.urn is None:
        asked = _fetch_of(received.node, statement)
        case = find_case(received.node.database, asked.sender.agency, asked.case, announced=False)
        named = case.counties if case is not None else frozenset[str]()
        verify_holder(received, [county for county in named if province_of(county) == owner])
        held = Outdated(
            time=notice.time,
            field=notice.field,
            agency=asked.sender.agency,
            case=asked.case or "",
            owner=owner,
            cited=statement.in_reply_to or "",
        )
        return Judgement(decision=REPLY_TAKEN, rows=Rows(records=(OUTDATED_FIELDS.record(held, owner=owner),)))
    question = notice_request(received.sender, _issuer(notice.urn), occasion=received.occasion)
    records = tuple(kept.record((owner, notice), owner=owner) for kept in (OUTDATED_COPIES, OUTDATED_LINES))
    judged = received.judge(question, rows=Rows(records=records))
    if judged.decision.allowed:
        try:
            verify_holder(received, [urn_division(notice.urn)])
        except RuleError as error:
            return refused_by_rule(error, question)
    return judged


def _judge_double(received: Received[CorrectionNotice], urn: PermitUrn, other: PermitUrn) -> Judgement:
    """Takes in that the holder of a permit of ours has another's as well; of one that does not work nothing is kept.

    Refuses NOTICE_OWNER for a permit that is not ours, or beside another of our own.
    """
    node, notice = received.node, received.item
    if province_of(urn_division(urn)) != node.name or province_of(urn_division(other)) in {None, node.name}:
        raise MalformedError("NOTICE_OWNER", f"expected a permit of {node.name} beside one of another province")
    permit = find_own_permit(node.database, urn)
    double = Double(time=notice.time, urn=urn, other=other, is_notified=True)
    is_kept = (
        permit is not None and works_on(permit, node.today()) and len(list_doubles(node.database, urn)) < MAX_DOUBLES
    )
    records = (DOUBLES.record(double, owner=received.statement.sender.node),) if is_kept else ()
    question = notice_request(received.sender, received.statement.sender.node, occasion=received.occasion)
    return received.judge(question, rows=Rows(records=records))


async def tell_doubles(node: Node) -> None:
    """Tells the owners of permits whose holders were found to have two; what is not sent now is sent another time."""
    unread = node.bad_rows.of(_DUTY)
    due = await asyncio.to_thread(
        lambda: list(islice(DOUBLES.each_due_by(node.database, node.now(), unread), MAX_NOTICES))
    )
    for double in due:
        await send(node, _double_notices(node, double), rows=partial(_note_notified, node, double))


def _double_notices(node: Node, double: Double) -> list[Draft]:
    """The notice, unless its recipient left, or policy keeps it from being said."""
    in_force, owner = node.trust.in_force, province_of(urn_division(double.urn))
    if owner is None or owner not in in_force.agreement.members:
        return []
    office = in_force.office(node.name, DECIDING_OFFICES)
    occasion = in_force.occasion(CORRECTION_PURPOSE, CORRECTION_FUNCTION)
    question = notice_request(agency_facts(in_force, office), node.name, occasion=occasion)
    decision = decide(in_force.policies, question)
    if not decision.allowed:
        return []
    step = Step(sender=Sender(node=node.name, agency=office), question=question, decision=decision)
    notice = CorrectionNotice(time=double.time, urn=double.urn, other=double.other)
    return [_draft(Recipient(node=owner), notice, step)]


def _note_notified(node: Node, double: Double, transaction: GroupTransaction) -> None:
    if DOUBLES.has(transaction, DOUBLES.id(double)):
        DOUBLES.put(transaction, replace(double, is_notified=True), owner=node.name)


def list_notices(node: Node, caller: AgencyId) -> Sequence[NoticeLine]:
    """Lists what is to be looked at, newest first: copies here that are outdated, and what look-ups gave to the caller.

    And permits of the caller's county whose holders have another's; and the caller's recognitions that hold no longer.
    """
    lines = [
        NoticeLine(time=held.time, owner=held.owner, field=held.field, case_id=held.case)
        for held in OUTDATED_FIELDS.by_subject(node.database, str(caller))
    ]
    lines += islice(_outdated_copies(node.database), MAX_NOTICES)
    lines += islice(_doubles_of(node, caller.county), MAX_NOTICES)
    lines += (
        NoticeLine(
            time=each.time, owner=_issuer(each.urn), urn=each.urn, version=each.version, decided_on=each.decided_on
        )
        for each in DIFFERING.by_subject(node.database, str(caller))
    )
    return nlargest(MAX_NOTICES, lines, key=lambda line: (line.time, line.owner, line.urn or "", line.case_id))


def _issuer(urn: PermitUrn) -> NodeName:
    return province_of(urn_division(urn)) or NodeName(urn_division(urn)[:2])


def _doubles_of(node: Node, county: str) -> Iterator[NoticeLine]:
    """The doubles of a county's permits that work still."""
    for double in DOUBLES.each_in(node.database, county):
        permit = find_own_permit(node.database, double.urn)
        if permit is not None and works_on(permit, node.today()):
            yield NoticeLine(time=double.time, owner=_issuer(double.other), urn=double.urn, other=double.other)


def _outdated_copies(source: Source) -> Iterator[NoticeLine]:
    """The copies that are outdated still, each by its newest notice, newest first."""
    for owner, notice in OUTDATED_LINES.each(source, newest_first=True):
        copy = find_record(source, PERMIT, notice.urn or "", replica=True)
        is_newest = OUTDATED_COPIES.find(source, notice.urn or "") == (owner, notice)
        if is_newest and copy is not None and find_outdated(source, copy):
            yield NoticeLine(time=notice.time, owner=owner, urn=notice.urn, version=notice.version)


def _draft(recipient: Recipient, notice: CorrectionNotice, step: Step, *, cited: str = "", case: str = "") -> Draft:
    cause = Cause(
        sender=step.sender,
        purpose=CORRECTION_PURPOSE,
        function=CORRECTION_FUNCTION,
        basis=CORRECTION_BASIS,
        case=case or None,
        in_reply_to=cited or None,
    )
    return NOTICE.draft(notice, to=recipient, cause=cause, decision=step.decision, asked=(step.question,))


def _fetch_of(node: Node, statement: Statement) -> Statement:
    cited = statement.in_reply_to
    request = find_by_digest(node.database, "sent", cited) if cited is not None else None
    if request is None or request.kind != FETCH.name or request.pair.recipient != statement.sender.node:
        raise MalformedError("REPLY_UNASKED", "expected a notice that cites a fetch of ours to that province")
    return decode_statement(parse_envelope(request.envelope).payload)


NOTICE: Final = item_kind(
    CorrectionNotice,
    name=NOTICE_KIND,
    media_type=NOTICE_BODY,
    read=lambda content, _: decode_correction_notice(content),
    judge=_judge_notice,
    answers=(),
    keep=CORRECTION,
    erasable_by=None,
    resend=resent_alone,
)
