"""The second step at the province asked: named fields of one hit, judged anew.

The case, the handle, the officer's own signature, every field.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from federation.domain.lookup.asking import (
    RELEASE_BODY,
    FetchItem,
    ReleaseItem,
    decode_fetch_item,
    encode_release_item,
    verify_step_up,
)
from federation.domain.lookup.case import LookupCase
from federation.domain.lookup.handle import (
    Handle,
    verify_handle,
)
from federation.domain.lookup_policy import (
    fetch_request,
)
from federation.node.disclosures import given_of, put_given
from federation.node.exchange.errand import agency_facts
from federation.node.exchange.judge import Incoming, Judgement
from federation.node.exchange.replies import one_item_body, only_item, reply_to
from federation.node.exchange.trust import InForce
from federation.node.lookups import records
from federation.node.lookups.answering.dossiers import FoundDossier, dossier_of, find_dossier
from federation.node.lookups.answering.occasion import occasion_of, refused_by_rule
from federation.node.lookups.intake.entries import entry_of, put_entry
from federation.node.lookups.kinds import RELEASE_KIND
from federation.node.node import Node
from federation.protocol.body import Body
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest, decide
from federation.protocol.statement import Statement
from federation.store.exchange_log import GroupTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedFetch:
    """A fetch as policy and the store see it now; `asked` is empty when a rule refused before policy was asked."""

    item: FetchItem
    case: LookupCase | None
    handle: Handle | None
    found: FoundDossier | None
    asked: tuple[PolicyRequest, ...]
    decision: Decision


def weigh_fetch(node: Node, incoming: Incoming, in_force: InForce) -> WeighedFetch:
    """Puts a fetch to the rules of its handle and to policy: the case, the officer's signature, every field.

    Raises:
        MalformedError: as `decode_fetch_item`; HANDLE_UNKNOWN when the record is gone.
    """
    statement = incoming.statement
    item, asker = decode_fetch_item(only_item(incoming.body)), statement.sender.agency
    case = records.find_case(node.database, asker.node, statement.case or "", told=True)
    handle = records.find_handle(node.database, item.handle)
    found = find_dossier(node, handle.dossier) if handle is not None else None
    weighed = partial(WeighedFetch, item=item, case=case, handle=handle, found=found)
    try:
        _valid_handle(node, handle, statement)
    except RuleError as error:
        return weighed(asked=(), decision=refused_by_rule(error))
    if found is None:
        raise MalformedError("HANDLE_UNKNOWN", "the handle stands for a record that is no longer here")
    counties = frozenset({asker.county, found.division})
    occasion = occasion_of(statement, case=case, counties=counties, node=node, step_up=_is_signed(item))
    dossier = dossier_of(node.name, found, node.today())
    request = fetch_request(agency_facts(in_force, asker), dossier, occasion=occasion, fields=item.fields)
    return weighed(asked=(request,), decision=decide(in_force.policies, request))


def judge_fetch(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    """Judges a fetch anew; what policy allows is released at once, or waits for a person.

    Raises:
        MalformedError: as `weigh_fetch`.
    """
    weighed = weigh_fetch(node, incoming, in_force)
    item, decision = weighed.item, weighed.decision

    def refused(transaction: GroupTransaction) -> None:
        remember_fetch(node, transaction, incoming, weighed=weighed, verdict=Verdict.REFUSED)

    def apply(transaction: GroupTransaction) -> None:
        if decision.by_desk:
            record = weighed.handle.dossier.id if weighed.handle is not None else ""
            entry = entry_of(incoming, lookup_id=item.lookup_id, person=record, fields=item.fields)
            put_entry(transaction, entry, owner=node.name)
            return
        body = release_fetch(node, transaction, incoming, weighed=weighed)
        reply_to(node, transaction, incoming, kind=RELEASE_KIND, body=body, decision=decision)

    wake = partial(node.wake_delivery, incoming.statement.sender.node)
    return Judgement(asked=weighed.asked, decision=decision, apply=apply, refused=refused, after=wake)


def release_fetch(node: Node, transaction: GroupTransaction, incoming: Incoming, *, weighed: WeighedFetch) -> Body:
    """The release of what was asked for and allowed, and what the person may later be told of it.

    Raises:
        MalformedError: HANDLE_UNKNOWN when the record is gone.
    """
    item, found, handle = weighed.item, weighed.found, weighed.handle
    if found is None or handle is None:
        raise MalformedError("HANDLE_UNKNOWN", "the handle stands for a record that is no longer here")
    fields = weighed.decision.fields & item.fields
    release = ReleaseItem(
        lookup_id=item.lookup_id, handle=item.handle, fields=found.release(fields), expires=handle.expires
    )
    remember_fetch(node, transaction, incoming, weighed=weighed, verdict=Verdict.ALLOWED)
    return one_item_body(RELEASE_BODY, encode_release_item(release))


def remember_fetch(
    node: Node, transaction: GroupTransaction, incoming: Incoming, *, weighed: WeighedFetch, verdict: Verdict
) -> None:
    """Keeps for the person what was given or refused; nothing when the record tells of nobody."""
    statement, found = incoming.statement, weighed.found
    fields = weighed.item.fields if verdict is Verdict.REFUSED else weighed.decision.fields & weighed.item.fields
    subject = found.subject(fields) if found is not None else None
    if subject is not None:
        given = given_of(statement, case=weighed.case, verdict=verdict, fields=fields, now=node.now())
        put_given(transaction, given, message_id=statement.id, subject=subject, owner=node.name)


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
