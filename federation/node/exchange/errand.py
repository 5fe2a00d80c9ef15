"""Asking our own policy on behalf of an agency, and keeping a record of every no.

A refusal is a value: it goes back to the clerk with the deciding policy in words, and into our own log as a `refused`
leaf, so that an auditor sees what was tried. The leaf holds a digest, never who or what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from federation.domain.permit_policy import AgencyFacts, Occasion
from federation.node.exchange.trust import InForce, agency_facts
from federation.node.log.decisions import Questions, decision_records
from federation.node.node import Node
from federation.protocol.canonical_json import encode_canonical
from federation.protocol.ids import AgencyId, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, Verdict, encode_leaf
from federation.protocol.policy import PolicyRequest, decide, explain
from federation.store.exchange_log import GroupTransaction
from federation.store.records import put_records
from federation.wire.values import Act, Ruling, ruling_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What one agency asks of its node, judged from beginning to end under one version of the agreement."""

    node: Node
    in_force: InForce
    caller: AgencyId
    act: Act

    @property
    def agency(self) -> AgencyFacts:
        """What policy may know of the caller.

        Raises:
            UntrustedError: NOT_AN_AGENCY when the agreement does not name it.
        """
        return agency_facts(self.in_force, self.caller)

    @property
    def occasion(self) -> Occasion:
        """Why the caller acts, in the realm of this node."""
        realm = self.in_force.agreement.realm
        return Occasion(purpose=self.act.purpose, function=self.act.function, realm=realm, node_realm=realm)


def begin_errand(node: Node, caller: AgencyId, act: Act) -> Errand:
    """Takes the agreement in force now for all of this errand."""
    return Errand(node=node, in_force=node.trust.in_force, caller=caller, act=act)


def rule(errand: Errand, request: PolicyRequest) -> Ruling:
    """Decides a request; a refusal comes with what would make it lawful, clause by clause."""
    policies, version = errand.in_force.policies, errand.in_force.agreement.version
    decision = decide(policies, request)
    if decision.allowed:
        return ruling_of(decision, agreement_version=version)
    explanation = explain(policies, request)
    return ruling_of(
        decision,
        agreement_version=version,
        explanation_zh="\n".join(explanation.remedy_zh),
        explanation_en="\n".join(explanation.remedy_en),
    )


def asked_digest(errand: Errand, step: str, what: str) -> str:
    """The digest (hex) of who asks for what, officer and id apart: by it a repeat is told from another request."""
    act = errand.act
    named = {"agency": str(errand.caller), "step": step, "what": what, "purpose": act.purpose, "function": act.function}
    return hashlib.sha256(encode_canonical(named)).hexdigest()


async def record_refusal(errand: Errand, ruling: Ruling, *, asked: Sequence[PolicyRequest]) -> None:
    """Appends the `refused` leaf of a request by one of our own agencies; a repeat of the request adds nothing.

    What policy was asked is kept beside the leaf, so that the refusal can be decided again; empty for a rule's own no.
    """
    await errand.node.sequencer.commit(lambda tx: put_refusal(tx, errand, [ruling], asked=asked))


def put_refusal(
    transaction: GroupTransaction, errand: Errand, rulings: Sequence[Ruling], *, asked: Sequence[PolicyRequest]
) -> None:
    """As `record_refusal`, in the caller's transaction; several refusals of one request are one leaf.

    `asked` is empty for the no of a rule, which asks no policy.
    """
    agreement, act = errand.in_force.agreement, errand.act
    named = {"agency": str(errand.caller), "request": act.request_id, "purpose": act.purpose, "function": act.function}
    leaf = Leaf(
        federation=agreement.federation,
        realm=agreement.realm,
        kind=LeafKind.REFUSED,
        subject=hashlib.sha256(encode_canonical(named)).hexdigest(),
        verdict=Verdict.REFUSED,
        policies=tuple(sorted({policy for ruling in rulings for policy in ruling.policies})),
        agreement_version=agreement.version,
        time=truncate_to_millisecond(errand.node.now()),
    )
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    kept = decision_records(leaf, Questions(deciding=asked), book=errand.in_force.policies, owner=errand.node.name)
    put_records(transaction, kept)
