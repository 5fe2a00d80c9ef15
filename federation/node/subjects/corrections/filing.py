"""Filing a correction for a person at any node: with the own desk, or as a signed request to the province that owns it.

The clerk's own policy decides first. A correction has the name of the request that filed it, so a repeat is the same
correction and another text under the same id is a conflict. What the owner answers is waited for a few seconds only;
the rest is seen in the list. Source: PIPL articles 20, 46; DESIGN section 5 (correction).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from federation.domain.corrections import (
    CORRECTION_BASIS,
    REQUEST_BODY,
    CorrectionRequest,
    file_request,
    open_correction,
    verify_admissible,
    verify_correction_request,
)
from federation.domain.division import province_of
from federation.domain.permits import urn_division
from federation.node.exchange.errand import Errand, asked_digest, record_refusal, rule
from federation.node.exchange.replies import one_item_body
from federation.node.exchange.send import Cause, Draft, Sent, make_ready, record_message
from federation.node.exchange.waiters import received_key
from federation.node.node import Node
from federation.node.permits.records import Done, find_own_permit, find_request, put_request
from federation.node.subjects.corrections.clock import start_clock
from federation.node.subjects.corrections.lines import filed_line, own_line
from federation.node.subjects.corrections.records import (
    CORRECTIONS,
    FILED,
    Filed,
    filed_records,
    put_correction,
)
from federation.protocol.errors import NotFoundError
from federation.protocol.form import encode
from federation.protocol.ids import NodeName, truncate_to_millisecond
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Recipient, Sender
from federation.protocol.trust import verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record
from federation.wire.agency.corrections import CorrectionFiling, CorrectionLine, CorrectionOutcome, CorrectionStanding
from federation.wire.values import Act

REQUEST_KIND = "correction.request"
WAIT_SECONDS = 8.0
"""How long the clerk's call waits for the owner to open the correction; later answers are in the list."""
LOOK_SECONDS = 0.05
_UNANSWERED = frozenset({CorrectionStanding.WAITING, CorrectionStanding.OPEN})


async def file_correction(errand: Errand, filing: CorrectionFiling) -> CorrectionOutcome:
    """Files a correction for a person whose identity was checked.

    Raises:
        MalformedError, RuleError: as `verify_correction_request`; for a permit of our own also as `verify_admissible`.
        NotFoundError: PERMIT_UNKNOWN when no member province issued a permit of that name.
            CORRECTION_UNKNOWN for a repeat of one that was erased since.
        ConflictError: REQUEST_ID_REUSED when the id came with another text before.
        StaleError: AGREEMENT_EXPIRED when nothing new may be said under the agreement.
    """
    node = errand.node
    request = _request_of(filing, errand.act)
    asked = asked_digest(errand, REQUEST_KIND, encode(request).decode())
    verify_correction_request(request, errand.in_force.agreement.realm)
    owner = _owner_of(errand, request)
    question = file_request(errand.agency, owner, occasion=errand.occasion, identity_checked=request.identity_checked)
    ruling = rule(errand, question)
    if not ruling.allowed:
        await record_refusal(errand, ruling, asked=[question])
        return CorrectionOutcome(decision=ruling)
    if find_request(node.database, errand.act.request_id, asked=asked) is None:
        done = Done(asked=asked, urn=request.urn, version=1)
        if owner == node.name:
            await _open_here(errand, request, done=done)
        else:
            await _send(errand, request, owner=owner, done=done, decided=(question, ruling))
    return CorrectionOutcome(decision=ruling, correction=await _line(node, request.correction_id))


def _request_of(filing: CorrectionFiling, act: Act) -> CorrectionRequest:
    return CorrectionRequest(
        correction_id=act.request_id,
        urn=filing.urn,
        field=filing.field,
        value=filing.value,
        words=filing.words,
        papers=tuple(sorted(set(filing.papers))),
        citizen_number=filing.citizen_number,
        identity_checked=filing.identity_checked,
    )


def _owner_of(errand: Errand, request: CorrectionRequest) -> NodeName:
    owner = province_of(urn_division(request.urn))
    if owner is None or owner not in errand.in_force.agreement.members:
        raise NotFoundError("PERMIT_UNKNOWN", f"no province of the federation issued {request.urn}")
    return owner


async def _open_here(errand: Errand, request: CorrectionRequest, *, done: Done) -> None:
    node, in_force, now = errand.node, errand.in_force, errand.node.now()
    permit = find_own_permit(node.database, request.urn)
    verify_admissible(request, permit, filed_by=errand.caller, realm=in_force.agreement.realm)
    correction = open_correction(
        request, filed_by=errand.caller, cited="", deadline=start_clock(in_force, now), now=now
    )

    def record(transaction: GroupTransaction) -> None:
        put_request(transaction, errand.act.request_id, done, owner=node.name)
        put_correction(transaction, correction, owner=node.name)

    await node.sequencer.commit(record)


async def _send(
    errand: Errand, request: CorrectionRequest, *, owner: NodeName, done: Done, decided: tuple[PolicyRequest, Decision]
) -> None:
    """Numbers, signs, logs and queues the request, and remembers it, in one transaction."""
    node, in_force, act = errand.node, errand.in_force, errand.act
    verify_in_force(in_force.agreement, node.now())
    cause = Cause(
        sender=Sender(node=node.name, agency=errand.caller, officer=act.officer),
        purpose=act.purpose,
        function=act.function,
        basis=CORRECTION_BASIS,
    )
    question, decision = decided
    time = truncate_to_millisecond(node.now())

    def rows(sent: Sent) -> Sequence[Record]:
        filed = Filed(
            request=request, agency=errand.caller, time=time, owner=owner, message_id=sent.id, digest=sent.digest
        )
        return filed_records(filed, owner=node.name)

    draft = Draft(
        kind=REQUEST_KIND,
        recipient=Recipient(node=owner),
        cause=cause,
        body=one_item_body(REQUEST_BODY, encode(request)),
        decision=decision,
        asked=(question,),
        rows=rows,
    )
    ready = make_ready(node, draft)

    def record(transaction: GroupTransaction) -> None:
        put_request(transaction, act.request_id, done, owner=node.name)
        record_message(node, transaction, ready, in_force=in_force)

    await node.sequencer.commit(record)
    node.wake_delivery(owner)


async def _line(node: Node, correction_id: str) -> CorrectionLine:
    """The correction as it stands, once the owner has opened or refused it or the wait is over."""
    own = CORRECTIONS.find(node.database, correction_id)
    if own is not None:
        return own_line(own, owner=node.name, now=node.now(), to_decide=False)
    filed = FILED.find(node.database, correction_id)
    if filed is None:
        raise NotFoundError("CORRECTION_UNKNOWN", f"correction {correction_id} was erased since")
    loop = asyncio.get_running_loop()
    end = loop.time() + WAIT_SECONDS
    line = filed_line(node, filed)
    while line.standing in _UNANSWERED and line.answer_time is None and loop.time() < end:
        await node.waiters.wait(filed.digest, received_key(filed.digest), seconds=LOOK_SECONDS)
        line = filed_line(node, filed)
    return line
