"""The second step at the province asked: named fields of one hit, judged anew.

The case, the handle, the officer's own signature, every field.
"""

from __future__ import annotations

from functools import partial

from federation.domain.lookup.asking import (
    RELEASE_BODY,
    FetchItem,
    ReleaseItem,
    decode_fetch_item,
    encode_release_item,
    verify_step_up,
)
from federation.domain.lookup.handle import (
    Handle,
    verify_handle,
)
from federation.domain.lookup_policy import (
    fetch_request,
)
from federation.node.judgement import Incoming, Judgement
from federation.node.lookups import records
from federation.node.lookups.answering.dossiers import dossier_of, find_dossier
from federation.node.lookups.answering.occasion import occasion_of, refused_by_rule, write_nothing
from federation.node.lookups.kinds import RELEASE_KIND
from federation.node.lookups.replies import one_item_body, only_item, reply_to
from federation.node.node import Node
from federation.node.permits.ruling import agency_facts
from federation.node.subjects.given import given_of, put_given
from federation.node.trust import InForce
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.leaf import Verdict
from federation.protocol.policy import decide
from federation.protocol.statement import Statement
from federation.store.exchange_log import GroupTransaction


def judge_fetch(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    """Judges a fetch anew: the case, the handle, the officer's signature, every field.

    Raises:
        MalformedError: as `decode_fetch_item`; HANDLE_UNKNOWN when the record is gone.
    """
    statement = incoming.statement
    item, asker = decode_fetch_item(only_item(incoming.body)), statement.sender.agency
    case = records.find_case(node.database, asker.node, statement.case or "", told=True)
    handle = records.find_handle(node.database, item.handle)
    found = find_dossier(node, handle.dossier) if handle is not None else None

    def remember(transaction: GroupTransaction, verdict: Verdict, fields: frozenset[str]) -> None:
        subject = found.subject(fields) if found is not None else None
        if subject is not None:
            given = given_of(statement, case=case, verdict=verdict, fields=fields, now=node.now())
            put_given(transaction, given, message_id=statement.id, subject=subject, owner=node.name)

    def refused(transaction: GroupTransaction) -> None:
        remember(transaction, Verdict.REFUSED, item.fields)

    try:
        handle = _valid_handle(node, handle, statement)
    except RuleError as error:
        return Judgement(decision=refused_by_rule(error), apply=write_nothing, refused=refused)
    if found is None:
        raise MalformedError("HANDLE_UNKNOWN", "the handle stands for a record that is no longer here")
    counties = frozenset({asker.county, found.division})
    occasion = occasion_of(statement, case=case, counties=counties, node=node, step_up=_is_signed(item))
    dossier = dossier_of(node.name, found, node.today())
    request = fetch_request(agency_facts(in_force, asker), dossier, occasion=occasion, fields=item.fields)
    decision = decide(in_force.policies, request)
    if decision.by_desk:
        decision = refused_by_rule(
            RuleError("DESK_MISSING", "a person must answer this, and this province has no desk yet")
        )
    fields, expires = decision.fields & item.fields, handle.expires

    def apply(transaction: GroupTransaction) -> None:
        values = found.release(fields)
        release = ReleaseItem(lookup_id=item.lookup_id, handle=item.handle, fields=values, expires=expires)
        body = one_item_body(RELEASE_BODY, encode_release_item(release))
        reply_to(node, transaction, incoming, kind=RELEASE_KIND, body=body, decision=decision)
        remember(transaction, Verdict.ALLOWED, fields)

    wake = partial(node.wake_delivery, asker.node)
    return Judgement(asked=(request,), decision=decision, apply=apply, refused=refused, after=wake)


def _valid_handle(node: Node, handle: Handle | None, statement: Statement) -> Handle:
    if handle is None:
        raise RuleError("HANDLE_UNKNOWN", "this province gave out no such handle; search again")
    return verify_handle(
        handle,
        case_id=statement.case or "",
        asker=statement.sender.agency,
        officer=statement.sender.officer or "",
        now=node.now(),
    )


def _is_signed(item: FetchItem) -> bool:
    try:
        verify_step_up(item)
    except (UntrustedError, MalformedError):
        return False
    return True
