"""Recognising another province's permit (居住证双向互认): decided here, told to the home node, shown on both sides.

Own policy decides whether this agency may; the domain rule decides what the shared copy is worth in the chosen mode;
the home node judges the signed outcome by its own policy and receipts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from federation.domain.permits import (
    PERMIT_FIELDS,
    PermitItem,
    PermitStatus,
    PermitUrn,
    decode_permit_item,
    project_permit,
    shown_permit,
    urn_division,
)
from federation.domain.permits_policy import (
    LEGAL_BASIS,
    PermitFacts,
    PermitPurpose,
    item_facts,
    permit_facts,
    recognise_request,
)
from federation.domain.recognition import (
    Confirmation,
    Recognition,
    RecognitionItem,
    RecognitionMode,
    agreed_rules,
    decide_recognition,
    decode_recognition_item,
    differs_from,
)
from federation.domain.retention import SHARED
from federation.node.exchange.erase import sent_by_it
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Judgement, Received, Rows, item_kind, refused_by_rule
from federation.node.exchange.replies import Response, delivered, find_delivery
from federation.node.exchange.resend import resent_alone
from federation.node.exchange.send import Sent
from federation.node.node import Node
from federation.node.permits_sharing import PERMIT, RECOGNITION, find_own_permit
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import Digest, Item, encode
from federation.protocol.ids import MessageId, NodeName, Realm
from federation.protocol.policy import PolicyRequest
from federation.protocol.statement import Recipient
from federation.store.collection import Collection, item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_message
from federation.store.records import Record, find_origin, find_record, list_records, put_records
from federation.wire.agency.permits import RECOGNISE_PERMIT, PermitRecognition, RecognitionAnswer, RecognitionLink
from federation.wire.rpc import Ruling

MAX_LINKS = 100
CONFIRM_SECONDS: Final = 1.0
"""So long a window waits for the word of the permit's owner; where the line works it comes in far less."""


class HomeNotified(Item, frozen=True, kw_only=True):
    urn: PermitUrn


class Told(Item, frozen=True, kw_only=True):
    """The message that told the owner of a permit what our window made of it."""

    WHAT = "recognition-told"

    link: str
    message_id: MessageId
    digest: Digest


TOLD: Final[Collection[Told]] = item_collection(
    Told, kind="recognition-told", id=lambda notified: notified.link, replica=True, status=lambda _: "told"
)


@on(RECOGNISE_PERMIT)
async def recognise(errand: Errand, presented: PermitRecognition) -> RecognitionAnswer:
    """Recognises, or refuses to recognise, the permit that a person shows; its home node is told either way.

    A permit of which no copy came and one of somebody else are the same logged no. Refuses RECOGNITION_FIELDS_MISSING,
    REQUEST_ID_REUSED; a repeat tells nobody again.
    """
    node = errand.node
    agreed, today = errand.in_force.agreement.recognition_modes, node.today()
    record = find_record(node.database, PERMIT, presented.urn, replica=True)
    item = decode_permit_item(record.content, errand.in_force.agreement.realm) if record is not None else None
    if item is not None and item.citizen_number != presented.citizen_number:
        item = None
    facts = item_facts(item, today=today) if item is not None else unknown_facts(presented.urn)
    question = recognise_request(
        errand.agency, facts, occasion=errand.occasion, mode=presented.mode, agreed_modes=agreed
    )
    ruling = await errand.ask(question)
    if not ruling.allowed:
        return RecognitionAnswer(decision=ruling)
    if record is None or item is None:
        raise NotFoundError("PERMIT_UNKNOWN", f"no copy of {presented.urn} came to this province; ask its home county")
    recognition = decide_recognition(item, presented.mode, rules=agreed_rules(agreed), today=today)
    asked = errand.asked(RECOGNISED.name, f"{presented.urn} {presented.mode} {presented.citizen_number}")
    if errand.remembered(asked, HomeNotified) is None:
        notice = _notice(item, recognition, errand, presented.mode)
        await _notify_home(errand, notice, home=record.owner, question=question, ruling=ruling, asked=asked)
    link = f"{item.urn}/{presented.mode}/{errand.caller}"
    if (notified := TOLD.find(node.database, link)) is not None:
        await delivered(node, [Sent(id=notified.message_id, digest=notified.digest)], seconds=CONFIRM_SECONDS)
    return RecognitionAnswer(
        decision=ruling,
        recognition=recognition,
        permit=shown_permit(item, ruling.fields, today=today),
        copy_time=copy_time(node.database, record),
        confirmation=confirmation_of(node, link),
    )


def copy_time(source: Source, record: Record) -> datetime | None:
    """The time at which its owner said what stands in a copy; None for a record of our own."""
    origin = find_origin(source, record.kind, record.id, replica=True) if record.replica else None
    message = find_message(source, "received", MessageId(origin)) if origin is not None else None
    return message.created if message is not None else None


def confirmation_of(node: Node, link: str) -> Confirmation:
    """The answer of a permit's owner to an outcome of our own window, which stands under that id."""
    notified = TOLD.find(node.database, link)
    delivery = find_delivery(node, notified.message_id) if notified is not None else Response()
    if delivery.refused:
        return Confirmation.CONTRADICTED
    return Confirmation.CONFIRMED if delivery.received else Confirmation.PROVISIONAL


def recognitions_of(node: Node, urn: PermitUrn, realm: Realm) -> tuple[RecognitionLink, ...]:
    """Lists the recognitions of a permit, by this side or announced by the other: both sides show the link."""
    found: list[RecognitionLink] = []
    for replica in (False, True):
        records = list_records(node.database, RECOGNITION, after_id=f"{urn}/", limit=MAX_LINKS, replica=replica)
        for record in records:
            if not record.id.startswith(f"{urn}/"):
                break
            item = decode_recognition_item(record.content, realm)
            found.append(
                RecognitionLink(
                    mode=item.mode,
                    outcome=item.outcome,
                    reason=item.reason,
                    agency=item.agency,
                    decided_on=item.decided_on,
                    confirmation=Confirmation.CONFIRMED if replica else confirmation_of(node, record.id),
                )
            )
    return tuple(found)


def unknown_facts(urn: PermitUrn) -> PermitFacts:
    """Facts for policy of a permit of which no copy came: its issuing county, from its name, and nothing else."""
    return PermitFacts(issuing_division=urn_division(urn), household_division=None, status=PermitStatus.VALID)


async def _notify_home(
    errand: Errand, notice: RecognitionItem, *, home: NodeName, question: PolicyRequest, ruling: Ruling, asked: str
) -> None:
    cause = errand.cause(LEGAL_BASIS[PermitPurpose.RECOGNITION])
    own = _record(notice, encode(notice), owner=errand.node.name, replica=False)

    def rows(sent: Sent) -> Sequence[Record]:
        return (TOLD.record(Told(link=own.id, message_id=sent.id, digest=sent.digest), owner=errand.node.name),)

    draft = RECOGNISED.draft(
        notice, to=Recipient(node=home), cause=cause, decision=ruling, asked=(question,), rows=rows
    )

    def write(transaction: GroupTransaction) -> HomeNotified:
        put_records(transaction, [own])
        return HomeNotified(urn=notice.urn)

    await errand.once(asked, HomeNotified, write, drafts=[draft])


def _notice(item: PermitItem, recognition: Recognition, errand: Errand, mode: RecognitionMode) -> RecognitionItem:
    if item.citizen_number is None or item.issue_date is None:
        raise RuleError("RECOGNITION_FIELDS_MISSING", "the home node has to send holder and day of issue first")
    return RecognitionItem(
        urn=item.urn,
        citizen_number=item.citizen_number,
        issuing_division=urn_division(item.urn),
        issue_date=item.issue_date,
        mode=mode,
        outcome=recognition.outcome,
        reason=recognition.reason,
        agency=errand.caller,
        decided_on=errand.node.today(),
    )


def _record(item: RecognitionItem, content: bytes, *, owner: NodeName, replica: bool) -> Record:
    """One recognition a permit, mode and day: a repeat on the same day changes nothing."""
    return Record(
        id=f"{item.urn}/{item.mode}/{item.agency}",
        kind=RECOGNITION,
        owner=owner,
        version=item.decided_on.toordinal(),
        replica=replica,
        status=item.outcome,
        division=item.issuing_division,
        subject=item.citizen_number,
        content=content,
    )


def _judge_recognition(received: Received[RecognitionItem]) -> Judgement:
    """Takes in what another province decided about a permit of ours. Refuses RECOGNITION_AGENCY, PERMIT_UNKNOWN.

    What it decided by a copy that is no longer true is refused by a rule (RECOGNITION_DIFFERS): so its window hears it.
    A no is said of the permit's name alone: it is the same whether there is no such permit, it is somebody else's, or
    policy keeps it from this province.
    """
    node, item = received.node, received.item
    if item.agency != received.statement.sender.agency:
        raise MalformedError("RECOGNITION_AGENCY", "expected the recognising agency to be the sender")
    permit = find_own_permit(node.database, item.urn)
    if permit is not None and permit.holder.citizen_number == item.citizen_number:
        record = _record(item, received.body.items[0], owner=received.statement.sender.node, replica=True)
        facts = permit_facts(permit, today=node.today())
        question = _recognising(received, facts)
        judged = received.judge(question, rows=Rows(records=(record,)))
        if judged.decision.allowed:
            rules = agreed_rules(received.in_force.agreement.recognition_modes)
            own = project_permit(permit, frozenset(PERMIT_FIELDS))
            if differs_from(item, own, rules=rules, today=item.decided_on):
                error = RuleError("RECOGNITION_DIFFERS", f"the permit is {permit.status} in version {permit.version}")
                return refused_by_rule(error, question)
            return judged
    judged = received.judge(_recognising(received, unknown_facts(item.urn)))
    if judged.decision.allowed:  # by policies that do not ask whom the permit belongs to
        raise NotFoundError("PERMIT_UNKNOWN", f"this node issued no permit {item.urn} to that holder")
    return judged


def _recognising(received: Received[RecognitionItem], facts: PermitFacts) -> PolicyRequest:
    agreed = received.in_force.agreement.recognition_modes
    return recognise_request(
        received.sender, facts, occasion=received.occasion, mode=received.item.mode, agreed_modes=agreed
    )


RECOGNISED = item_kind(
    RecognitionItem,
    name="permit.recognition",
    media_type="application/vnd.bridgehead.recognition-item.v1+json",
    read=lambda content, statement: decode_recognition_item(content, statement.realm),
    judge=_judge_recognition,
    answers=(),
    keep=SHARED,
    erasable_by=sent_by_it,
    resend=resent_alone,
)
