"""How this province answers when another asks: by its own policy, with no more than hit or no hit first.

What policy allows is answered in the same transaction that receives it: the reply is numbered, signed and logged there,
and cites the request. A hit is an opaque handle, never a field; several records of one person are one hit. A fetch is
judged anew: the case, the handle, the officer's own signature, every field.
Source: DESIGN section 3 (asking), 公安机关办理刑事案件程序规定 articles 346 to 353.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import partial

from federation.domain.lookup.asking import (
    ANSWER_BODY,
    DOSSIER_OF,
    AnswerItem,
    decode_search_item,
    encode_answer_item,
)
from federation.domain.lookup.handle import (
    HANDLE_RANDOM_BYTES,
    Handle,
    format_handle,
    handle_expires,
)
from federation.domain.lookup_policy import (
    DossierFacts,
    search_request,
)
from federation.node.judgement import Incoming, Judgement
from federation.node.lookups import records
from federation.node.lookups.answering.dossiers import FoundDossier, dossier_of, find_own
from federation.node.lookups.answering.occasion import occasion_of, refused_by_rule
from federation.node.lookups.kinds import ANSWER_KIND
from federation.node.lookups.replies import one_item_body, only_item, reply_to
from federation.node.lookups.watch.flags import desk_for, judge_hit, put_flags
from federation.node.node import Node
from federation.node.permits.ruling import agency_facts
from federation.node.subjects.given import given_of, put_given
from federation.node.trust import InForce
from federation.protocol.errors import RuleError
from federation.protocol.leaf import Verdict
from federation.protocol.policy import PolicyRequest, decide
from federation.store.exchange_log import GroupTransaction


def judge_search(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    """Judges a search; what policy allows is answered in the transaction that receives it.

    Raises:
        MalformedError: as `decode_search_item`.
    """
    statement = incoming.statement
    item = decode_search_item(only_item(incoming.body), in_force.agreement.realm)
    asker = statement.sender.agency
    case = records.find_case(node.database, asker.node, item.case_id, told=True)
    sender, today = agency_facts(in_force, asker), node.today()
    occasion = occasion_of(statement, case=case, counties=frozenset({asker.county}), node=node)
    nothing_yet = DossierFacts(province=node.name, kind=DOSSIER_OF[item.selector.kind].value)
    request = search_request(sender, nothing_yet, occasion=occasion)
    decision = decide(in_force.policies, request)
    if decision.by_desk:
        decision = refused_by_rule(
            RuleError("DESK_MISSING", "a person must answer this, and this province has no desk yet")
        )
    asked_of_records: list[PolicyRequest] = []

    def is_answered(found: FoundDossier) -> bool:
        """A record that policy keeps from this asker is no hit: a refusal would tell that it exists."""
        counties = frozenset({asker.county, found.division})
        about = occasion_of(statement, case=case, counties=counties, node=node)
        asked_of_records.append(search_request(sender, dossier_of(node.name, found, today), occasion=about))
        return decide(in_force.policies, asked_of_records[-1]).allowed

    hits = [found for found in find_own(node, item.selector) if is_answered(found)] if decision.allowed else []

    def apply(transaction: GroupTransaction) -> None:
        answer = AnswerItem(lookup_id=item.lookup_id, hit=False)
        if hits and case is not None:
            handle = Handle(
                handle=format_handle(secrets.token_bytes(HANDLE_RANDOM_BYTES)),
                lookup_id=item.lookup_id,
                case_id=case.case_id,
                asker=asker,
                officer=statement.sender.officer or "",
                dossier=hits[0].ref,
                expires=handle_expires(case, node.now()),
            )
            records.put_handle(transaction, handle, owner=node.name)
            for found in hits:
                raised = judge_hit(node.home, replace(handle, dossier=found.ref), node.now())
                put_flags(transaction, raised, owner=node.name, desk=desk_for(node, found.division))
            answer = AnswerItem(lookup_id=item.lookup_id, hit=True, handle=handle.handle, expires=handle.expires)
            subject = hits[0].subject(frozenset())
            if subject is not None:
                given = given_of(statement, case=case, verdict=Verdict.ALLOWED, fields=frozenset(), now=node.now())
                put_given(transaction, given, message_id=statement.id, subject=subject, owner=node.name)
        body = one_item_body(ANSWER_BODY, encode_answer_item(answer))
        reply_to(node, transaction, incoming, kind=ANSWER_KIND, body=body, decision=decision)

    wake = partial(node.wake_delivery, asker.node)
    return Judgement(
        asked=(request,), asked_of_records=tuple(asked_of_records), decision=decision, apply=apply, after=wake
    )
