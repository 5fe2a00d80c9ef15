"""Permits as records, our own and the copies; which of them, with which fields, go to which other province.

A province gets a permit's versions while policy entitles it, and of them only the fields that the deciding policies
release; the others' names do not leave. Source: 居住证暂行条例 article 7, DESIGN section 5.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from federation.domain.division import code_today, province_of
from federation.domain.permits import (
    Permit,
    PermitItem,
    PermitUrn,
    decode_permit,
    decode_permit_item,
    encode_permit,
    format_permit_urn,
    project_permit,
    urn_division,
    verify_only_one,
    works_on,
)
from federation.domain.permits_policy import (
    FUNCTION_OF,
    LEGAL_BASIS,
    PermitFacts,
    PermitPurpose,
    accept_request,
    item_facts,
    permit_facts,
    replicate_request,
)
from federation.domain.recognition import RecognitionMode, agreed_rules, decode_recognition_item, differs_from
from federation.domain.retention import PROVISION, SHARED
from federation.node.exchange.erase import sent_by_it
from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import Judgement, Kind, Received, Rows
from federation.node.exchange.replies import statement_of
from federation.node.exchange.resend import Missed
from federation.node.exchange.send import Cause, Draft, Sent
from federation.node.node import InForce, Node
from federation.protocol.errors import CorruptError, MalformedError
from federation.protocol.form import Item, Positive, Time, always, encode, replace
from federation.protocol.form import replace as replaced
from federation.protocol.ids import AgencyId, MessageId, NodeName, Realm, truncate_to_millisecond
from federation.protocol.policy import Decision, PolicyRequest, decide, join_decisions
from federation.protocol.statement import Recipient
from federation.store.collection import Collection, item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_body
from federation.store.records import (
    Record,
    each_in_range,
    find_by_subject,
    find_record,
    ids_under,
    list_records,
    list_versions,
    put_records,
)
from federation.wire.rpc import COUNTERS

PERMIT: Final = "permit"
RECOGNITION: Final = "recognition"
OUTDATED: Final = "copy-outdated"
SENT: Final = "permit-sent"
MAX_ITEMS_A_MESSAGE: Final = 1000
_SERIAL: Final = 10
_SERIAL_CHARACTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""None of them is misread for another."""
_MAX_HOLDERS: Final = 100
MAX_DOUBLES: Final = 16
"""So many permits of others are told of one; a person has four at most."""
AnyPermit: TypeAlias = Permit | PermitItem


class SentCopy(NamedTuple):
    """A province that was sent copies of a permit of ours; the version of the last, and the message that brought it."""

    holder: NodeName
    version: int
    message_id: MessageId


def put_own_permits(transaction: GroupTransaction, permits: Sequence[Permit], *, owner: NodeName, before: int) -> None:
    """Writes versions after `before` (0 for new permits). Refuses VERSION_CONFLICT: read again, then repeat."""
    put_records(transaction, [_own_record(permit, owner=owner) for permit in permits], expect_version=before)


def write_own_permits(transaction: GroupTransaction, permits: Sequence[Permit], *, node: Node, before: int) -> None:
    """Writes versions as `put_own_permits`, and what follows from the other permits of their holders.

    Refuses PERMIT_HELD for a new one beside another that runs in the county: of two at one moment the writer takes one.
    """
    doubles: list[Record] = []
    known: dict[str, list[AnyPermit]] = {}
    for permit in permits:
        number = permit.holder.citizen_number
        others = known.get(number) or known.setdefault(number, find_of_person(transaction, number, node=node))
        if before == 0:
            verify_only_one(permit, others)
        doubles += _find_doubles(transaction, permit, others, node=node)
        others.append(permit)
    put_own_permits(transaction, permits, owner=node.name, before=before)
    put_records(transaction, doubles)


def find_of_person(source: Source, citizen_number: str, *, node: Node) -> list[AnyPermit]:
    """Our own permits of a person, and the copies of others'."""
    realm = node.trust.in_force.agreement.realm
    return [decode_stored(record, realm) for record in find_by_subject(source, PERMIT, citizen_number)]


def decode_stored(record: Record, realm: Realm) -> AnyPermit:
    return decode_permit_item(record.content, realm) if record.replica else decode_permit(record.content)


def copy_record(item: PermitItem, content: bytes, *, owner: NodeName) -> Record:
    """The record of a copy: the very bytes that came, under the owner's name."""
    return Record(
        id=item.urn,
        kind=PERMIT,
        owner=owner,
        version=item.version,
        replica=True,
        status=item.status.value,
        division=item.residence_division,
        household_division=item.household_division,
        due_date=item.endorsed_until,
        sealed=False,
        subject=item.citizen_number,
        content=content,
    )


class Double(Item, frozen=True, kw_only=True):
    """That the holder of `urn` had another province's permit, which worked as well, when that was met here.

    It waits here for the owner of `urn` to be told, unless that is this node, or told us.
    """

    WHAT = "permit-double"

    time: Time
    urn: PermitUrn
    other: PermitUrn
    is_notified: bool = always(False)


DOUBLES: Final[Collection[Double]] = item_collection(
    Double,
    kind="permit-double",
    id=lambda double: f"{double.urn}/{double.other}",
    replica=True,
    version=lambda double: 2 if double.is_notified else 1,
    status=lambda double: "told" if double.is_notified else "waiting",
    division=lambda double: urn_division(double.urn) if double.is_notified else "",
    due_time=lambda double: None if double.is_notified else double.time,
)


class Differing(Item, frozen=True, kw_only=True):
    """That an outcome of an office's window is otherwise by what the owner of the permit says since, in `version`."""

    WHAT = "recognition-differing"

    time: Time
    urn: PermitUrn
    version: Positive
    mode: RecognitionMode
    agency: AgencyId
    decided_on: date


DIFFERING: Final[Collection[Differing]] = item_collection(
    Differing,
    kind="recognition-differing",
    id=lambda notified: f"{notified.urn}/{notified.version}/{notified.mode}/{notified.agency}",
    replica=True,
    status=lambda _: "told",
    division=lambda notified: notified.agency.county,
    subject=lambda notified: str(notified.agency),
)


def _find_differing(source: Source, item: PermitItem, *, node: Node) -> Iterator[Record]:
    agreement, today = node.trust.in_force.agreement, node.today()
    rules, now = agreed_rules(agreement.recognition_modes), truncate_to_millisecond(node.now())
    for record in each_in_range(source, RECOGNITION, ids_under(f"{item.urn}/"), replica=False):
        notified = decode_recognition_item(record.content, agreement.realm)
        if differs_from(notified, item, rules=rules, today=today):
            owner = _owner(item.urn) or node.name
            differing = Differing(
                time=now, urn=item.urn, version=item.version, mode=notified.mode, agency=notified.agency,
                decided_on=notified.decided_on,
            )  # fmt: skip
            yield DIFFERING.record(differing, owner=owner)


def list_doubles(source: Source, urn: PermitUrn) -> tuple[PermitUrn, ...]:
    """The permits of other provinces that this one's holder was found to have, by name."""
    return tuple(double.other for double in islice(DOUBLES.each(source, under=f"{urn}/"), MAX_DOUBLES))


def _find_doubles(source: Source, permit: AnyPermit, others: Iterable[AnyPermit], *, node: Node) -> Iterator[Record]:
    """A finding for the owner of each, where a person's permits of two provinces work on this day; once a pair."""
    now, today = truncate_to_millisecond(node.now()), node.today()
    if not works_on(permit, today):
        return
    for other in others:
        if _owner(other.urn) == _owner(permit.urn) or not works_on(other, today):
            continue
        for urn, beside in ((permit.urn, other.urn), (other.urn, permit.urn)):
            double = Double(time=now, urn=urn, other=beside, is_notified=_owner(urn) == node.name)
            if not DOUBLES.has(source, DOUBLES.id(double)):
                yield DOUBLES.record(double, owner=node.name)


def _owner(urn: PermitUrn) -> NodeName | None:
    return province_of(urn_division(urn))


def find_own_permit(source: Source, urn: PermitUrn) -> Permit | None:
    record = find_record(source, PERMIT, urn, replica=False)
    return decode_permit(record.content) if record is not None else None


def load_own_version(source: Source, urn: PermitUrn, version: int) -> Permit:
    for record in list_versions(source, PERMIT, urn):
        if record.version == version:
            return decode_permit(record.content)
    raise CorruptError("PERMIT_RECORD", f"expected version {version} of {urn}, which answered a request")


def find_outdated(source: Source, record: Record) -> int:
    """The version that the owner has, when it said that this copy is older and it is; 0 for any other record."""
    notice = find_record(source, OUTDATED, record.id, replica=True) if record.replica else None
    return notice.version if notice is not None and notice.version > record.version else 0


def draw_urn(source: Source, division: str, year: int) -> PermitUrn:
    """Draws a name for a county's permit of a year; a name leads to no other, so that nobody counts through them."""
    while True:
        urn = format_permit_urn(division, year, serial="".join(map(secrets.choice, [_SERIAL_CHARACTERS] * _SERIAL)))
        if find_record(source, PERMIT, urn, replica=False) is None:
            return urn


def _own_record(permit: Permit, *, owner: NodeName) -> Record:
    return Record(
        id=permit.urn,
        kind=PERMIT,
        owner=owner,
        version=permit.version,
        replica=False,
        status=permit.status.value,
        division=permit.residence_division,
        household_division=permit.holder.household_division,
        due_date=permit.endorsed_until,
        sealed=permit.sealed,
        subject=permit.holder.citizen_number,
        content=encode_permit(permit),
    )


def draft_sharing(errand: Errand, permits: Sequence[Permit]) -> list[Draft]:
    """Drafts, for each entitled province, a message for every 1,000 permits, with what policy was asked about them."""
    node, purpose = errand.node, PermitPurpose.SHARING
    cause = replace(errand.cause(LEGAL_BASIS[purpose]), purpose=purpose, function=FUNCTION_OF[purpose])
    today = node.today()
    facts = [(permit, permit_facts(permit, today=today)) for permit in permits]
    drafts: list[Draft] = []
    for name in errand.in_force.agreement.members:
        if name != node.name and errand.in_force.exchanges(node.name, name):
            drafts.extend(_drafts_for(name, errand.in_force, facts=facts, cause=cause))
    return drafts


def _drafts_for(
    name: NodeName, in_force: InForce, *, facts: Iterable[tuple[Permit, PermitFacts]], cause: Cause
) -> Iterable[Draft]:
    occasion = in_force.occasion(cause.purpose, cause.function)
    ruled: dict[PermitFacts, tuple[PolicyRequest, Decision]] = {}
    going: list[tuple[PermitFacts, PermitItem, Record]] = []
    for permit, fact in facts:
        found = ruled.get(fact)
        if found is None:
            question = replicate_request(name, fact, occasion=occasion)
            found = ruled[fact] = (question, decide(in_force.policies, question))
        if found[1].allowed:
            item = project_permit(permit, found[1].fields)
            going.append((fact, item, _sent_record(permit, name, owner=cause.sender.node)))
    for start in range(0, len(going), MAX_ITEMS_A_MESSAGE):
        share = going[start : start + MAX_ITEMS_A_MESSAGE]
        found_for = [ruled[fact] for fact in dict.fromkeys(fact for fact, _, _ in share)]
        draft = SYNC.draft(
            *(item for _, item, _ in share),
            to=Recipient(node=name),
            cause=cause,
            decision=join_decisions([decision for _, decision in found_for]),
            asked=tuple(question for question, _ in found_for),
        )
        yield replace(draft, rows=partial(_sent_records, [record for _, _, record in share]))


def list_copies(source: Source, urn: PermitUrn) -> Sequence[SentCopy]:
    """The last copy of a permit of ours that each province was ever sent, entitled to it still or not."""
    prefix = f"{urn}/"
    found = list_records(source, SENT, after_id=prefix, limit=_MAX_HOLDERS, replica=True)
    return [
        SentCopy(
            holder=NodeName(record.id.removeprefix(prefix)),
            version=record.version,
            message_id=MessageId(record.content.decode()),
        )
        for record in found
        if record.id.startswith(prefix)
    ]


def _sent_records(records: Sequence[Record], sent: Sent) -> Sequence[Record]:
    return [replaced(record, content=sent.id.encode()) for record in records]


def _sent_record(permit: Permit, recipient: NodeName, *, owner: NodeName) -> Record:
    """Remembers which version a province was sent last: one row a permit and province, and nobody's name in it."""
    return Record(
        id=f"{permit.urn}/{recipient}",
        kind=SENT,
        owner=owner,
        version=permit.version,
        replica=True,
        status="sent",
        division=permit.residence_division,
        content=b"",
        kept_under=PROVISION,
    )


def _judge_sync(received: Received[PermitItem]) -> Judgement:
    """Judges copies of permits: all of them are taken in, or none. Raises MalformedError: PERMIT_OWNER."""
    node, owner = received.node, received.statement.sender.node
    for item in received.items:
        if province_of(urn_division(item.urn)) != owner:
            raise MalformedError("PERMIT_OWNER", f"{item.urn} was not issued in {owner}")
    sender, occasion, today = received.sender, received.occasion, node.today()
    facts = dict.fromkeys(item_facts(item, today=today) for item in received.items)
    asked = [accept_request(sender, fact, occasion=occasion, recipient=node.name) for fact in facts]
    copies = zip(received.items, received.body.items, strict=True)
    records = tuple(copy_record(item, content, owner=owner) for item, content in copies)
    rows = Rows(records=records, updates=partial(_follow_copies, node, received.items))
    return received.judge(*asked, rows=rows)


def _follow_copies(node: Node, items: Sequence[PermitItem], transaction: GroupTransaction) -> tuple[Record, ...]:
    """The doubles that came with copies, and outcomes of our windows that hold no more by them."""
    found: list[Record] = []
    for item in items:
        found += _find_differing(transaction, item, node=node) if item.version > 1 else ()
        if item.citizen_number is not None:
            others = find_of_person(transaction, item.citizen_number, node=node)
            found += _find_doubles(transaction, item, others, node=node)
    return tuple(found)


def _resent(missed: Missed) -> Draft | None:
    """The newest versions of what went to nobody since, as policy shares them today; None when that is nothing."""
    to, node = missed.statement.recipient.node, missed.node
    items = [decode_permit_item(item, missed.statement.realm) for item in missed.body.items]
    newest = [
        find_own_permit(missed.source, item.urn)
        for item in items
        if _sent_version(missed.source, item.urn, to) <= item.version
    ]
    facts = [(permit, permit_facts(permit, today=node.today())) for permit in newest if permit is not None]
    return next(iter(_drafts_for(to, missed.in_force, facts=facts, cause=missed.cause)), None)


def _sent_version(source: Source, urn: PermitUrn, recipient: NodeName) -> int:
    """The version that a province was sent last, 0 for none."""
    record = find_record(source, SENT, f"{urn}/{recipient}", replica=True)
    return record.version if record is not None else 0


def _sent_or_issued_by(source: Source, office: AgencyId, message: StoredMessage) -> bool:
    """For the office that sent the copies, and for a counter of the county that issued all of them."""
    if sent_by_it(source, office, message):
        return True
    body, realm = find_body(source, message.id), statement_of(message).realm
    items = () if body is None else (decode_permit_item(item, realm) for item in body.items)
    counties = {code_today(urn_division(item.urn)) for item in items}
    return office.kind in COUNTERS and counties == {code_today(office.county)}


SYNC = Kind(
    name="permit.sync",
    media_type="application/vnd.bridgehead.permit-item.v1+json",
    encode=encode,
    decode=lambda content, statement: decode_permit_item(content, statement.realm),
    many=True,
    partial=False,
    judge=_judge_sync,
    answers=(),
    keep=SHARED,
    erasable_by=_sent_or_issued_by,
    resend=_resent,
)
