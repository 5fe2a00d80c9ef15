"""Granting a correction: the owner's next version of the permit, to every holder, with the answer, in one transaction.

Provinces that are entitled to the corrected record get the new version; who holds an older copy and is not entitled any
more, or was given the field by a look-up, is told that it is outdated. A copy is never edited by its holder.
Source: PIPL article 46; DESIGN section 5 (correction, sync).
"""

from __future__ import annotations

from federation.domain.corrections import grant_correction, verify_open
from federation.domain.corrections_fields import amend_permit
from federation.domain.permits import Permit, PermitUrn
from federation.node.exchange.errand import Errand, record_refusal, rule
from federation.node.exchange.send import Draft, send
from federation.node.permits.records import Done, find_own_permit, find_request, put_own_permits, put_request
from federation.node.permits.sharing import draft_sharing
from federation.node.subjects.corrections.desk import (
    answer_drafts,
    decide_question,
    load_correction,
    step_digest,
)
from federation.node.subjects.corrections.lines import own_line
from federation.node.subjects.corrections.notices import Step, copy_notices, lookup_notices
from federation.node.subjects.corrections.records import put_correction
from federation.protocol.errors import NotFoundError
from federation.protocol.statement import Sender
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.corrections import CorrectionOutcome, CorrectionStep


async def grant(errand: Errand, step: CorrectionStep) -> CorrectionOutcome:
    """Grants a correction.

    Raises:
        NotFoundError: CORRECTION_UNKNOWN. RuleError: CORRECTION_NOT_OURS, CORRECTION_ENDED, and as `amend_permit`.
        ConflictError: REQUEST_ID_REUSED; VERSION_CONFLICT when the permit or the correction changed meanwhile.
    """
    node = errand.node
    correction = load_correction(node, step.correction_id)
    question = decide_question(errand, correction)
    ruling = rule(errand, question)
    if not ruling.allowed:
        await record_refusal(errand, ruling, asked=[question])
        return CorrectionOutcome(decision=ruling)
    asked = step_digest(errand, "grant", step)
    if find_request(node.database, errand.act.request_id, asked=asked) is None:
        request = verify_open(correction).request
        before = _load_permit(errand, request.urn)
        permit = amend_permit(before, request.field, request.value, realm=errand.in_force.agreement.realm)
        correction = grant_correction(correction, permit_version=permit.version, words=step.words, now=node.now())
        granted, done = correction, Done(asked=asked, urn=permit.urn, version=permit.version)

        def rows(transaction: GroupTransaction) -> None:
            put_request(transaction, errand.act.request_id, done, owner=node.name)
            put_own_permits(transaction, [permit], owner=node.name, before=before.version)
            put_correction(transaction, granted, owner=node.name)

        taken = Step(
            sender=Sender(node=node.name, agency=errand.caller, officer=errand.act.officer),
            question=question,
            decision=ruling,
        )
        drafts = [
            *_drafts(errand, before, permit, field=request.field, step=taken),
            *answer_drafts(errand, correction, ruling),
        ]
        await send(node, drafts, rows=rows)
    return CorrectionOutcome(
        decision=ruling, correction=own_line(correction, owner=node.name, now=node.now(), to_decide=True)
    )


def _drafts(errand: Errand, before: Permit, permit: Permit, *, field: str, step: Step) -> list[Draft]:
    """The new version to whoever is entitled to it; a notice to who holds the old one and is not."""
    node = errand.node
    shared = draft_sharing(errand, [permit])
    entitled = {draft.recipient.node for draft in shared}
    return [
        *shared,
        *copy_notices(node, permit, entitled=entitled, step=step),
        *lookup_notices(node, before.holder.citizen_number, field=field, step=step),
    ]


def _load_permit(errand: Errand, urn: PermitUrn) -> Permit:
    permit = find_own_permit(errand.node.database, urn)
    if permit is None:
        raise NotFoundError("PERMIT_UNKNOWN", f"this node holds no permit {urn} any more")
    return permit
