"""Which permits, and which fields of them, go to which other province: decided by policy, record by record.

A province gets a permit's versions only while policy entitles it (the holder's household province or the work
county's), and of them only the fields that the deciding policies release. Nothing is sent for the others: their
names do not leave. Source: 居住证暂行条例 article 7, DESIGN section 5 (sync).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial

from federation.domain.division import province_of
from federation.domain.permits import (
    Permit,
    PermitItem,
    PermitUrn,
    decode_permit_item,
    project_permit,
    urn_division,
)
from federation.domain.permits_policy import (
    FUNCTION_OF,
    LEGAL_BASIS,
    Occasion,
    PermitFacts,
    PermitPurpose,
    accept_request,
    item_facts,
    permit_facts,
    replicate_request,
)
from federation.domain.retention import PROVISION, SHARED
from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import Judgement, Kind, Received, Rows
from federation.node.exchange.send import Cause, Draft, Sent
from federation.node.exchange.trust import InForce
from federation.node.permits.records import copy_record
from federation.protocol.body import Body
from federation.protocol.errors import MalformedError
from federation.protocol.form import encode
from federation.protocol.ids import NodeName
from federation.protocol.policy import Decision, PolicyRequest, decide, join_decisions
from federation.protocol.statement import Recipient, Sender
from federation.store.database import Source
from federation.store.records import Record, list_records

MAX_ITEMS_A_MESSAGE = 1000
SENT = "permit-sent"
_MAX_HOLDERS = 100


def draft_sharing(errand: Errand, permits: Sequence[Permit]) -> list[Draft]:
    """Drafts the messages that bring these versions to every province entitled to them, fields and all.

    Returns:
        For each entitled province one message for every 1,000 permits, with the different questions that policy was
        asked about them; none where no permit may go.
    """
    node, in_force = errand.node, errand.in_force
    cause = Cause(
        sender=Sender(node=node.name, agency=errand.caller, officer=errand.act.officer),
        purpose=PermitPurpose.SHARING,
        function=FUNCTION_OF[PermitPurpose.SHARING],
        basis=LEGAL_BASIS[PermitPurpose.SHARING],
    )
    today = node.today()
    facts = [(permit, permit_facts(permit, today=today)) for permit in permits]
    drafts: list[Draft] = []
    for name in in_force.agreement.members:
        if name != node.name:
            drafts.extend(_drafts_for(name, in_force, facts=facts, cause=cause))
    return drafts


def _drafts_for(
    name: NodeName, in_force: InForce, *, facts: Iterable[tuple[Permit, PermitFacts]], cause: Cause
) -> Iterable[Draft]:
    realm = in_force.agreement.realm
    occasion = Occasion(purpose=cause.purpose, function=cause.function, realm=realm, node_realm=realm)
    ruled: dict[PermitFacts, tuple[PolicyRequest, Decision]] = {}
    going: list[tuple[PermitFacts, bytes, Record]] = []
    for permit, fact in facts:
        found = ruled.get(fact)
        if found is None:
            request = replicate_request(name, fact, occasion=occasion)
            found = ruled[fact] = (request, decide(in_force.policies, request))
        if found[1].allowed:
            item = encode(project_permit(permit, found[1].fields))
            going.append((fact, item, _sent_record(permit, name, owner=cause.sender.node)))
    for start in range(0, len(going), MAX_ITEMS_A_MESSAGE):
        share = going[start : start + MAX_ITEMS_A_MESSAGE]
        found_for = [ruled[fact] for fact in dict.fromkeys(fact for fact, _, _ in share)]
        yield Draft(
            kind=SYNC.name,
            recipient=Recipient(node=name),
            cause=cause,
            body=Body(type=SYNC.media_type, salt=os.urandom(32), items=tuple(item for _, item, _ in share)),
            decision=join_decisions([decision for _, decision in found_for]),
            asked=tuple(request for request, _ in found_for),
            rows=partial(_sent_records, [record for _, _, record in share]),
        )


def list_holders(source: Source, urn: PermitUrn) -> Sequence[NodeName]:
    """The provinces that were ever sent a copy of a permit of ours, entitled to it still or not."""
    prefix = f"{urn}/"
    found = list_records(source, SENT, after_id=prefix, limit=_MAX_HOLDERS, replica=True)
    return [NodeName(record.id.removeprefix(prefix)) for record in found if record.id.startswith(prefix)]


def _sent_records(records: Sequence[Record], sent: Sent) -> Sequence[Record]:
    del sent
    return records


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
    """Judges copies of permits: all of them are taken in, or none.

    Raises:
        MalformedError: PERMIT_OWNER for a permit that the sending province did not issue: it would write over the
            copies of another's, with a county of its own beside a name that another province gave.
    """
    node, owner = received.node, received.statement.sender.node
    for item in received.items:
        if province_of(urn_division(item.urn)) != owner:
            raise MalformedError("PERMIT_OWNER", f"{item.urn} was not issued in {owner}")
    sender, occasion, today = received.sender, received.occasion, node.today()
    facts = dict.fromkeys(item_facts(item, today=today) for item in received.items)
    asked = [accept_request(sender, fact, occasion=occasion, recipient=node.name) for fact in facts]
    copies = zip(received.items, received.body.items, strict=True)
    rows = Rows(records=tuple(copy_record(item, content, owner=owner) for item, content in copies))
    return received.judge(*asked, rows=rows)


SYNC = Kind(
    name="permit.sync",
    media_type="application/vnd.bridgehead.permit-item.v1+json",
    encode=encode,
    decode=lambda content, statement: decode_permit_item(content, statement.realm),
    many=True,
    judge=_judge_sync,
    answers=(),
    keep=SHARED,
    resend=None,
)
