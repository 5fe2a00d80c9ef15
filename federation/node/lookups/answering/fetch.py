"""The second step at the province asked: named fields of one hit, judged anew.

The case, the handle, the officer's own signature, every field.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from federation.domain.lookups import (
    FETCH_BODY,
    FetchItem,
    Handle,
    ReleaseItem,
    decode_fetch_item,
    verify_handle,
    verify_step_up,
)
from federation.domain.lookups_case import LookupCase
from federation.domain.lookups_policy import (
    fetch_request,
)
from federation.domain.retention import QUESTION
from federation.node.disclosures import given_of, given_record
from federation.node.exchange.judge import NO_ROWS, Judgement, Kind, Received, Rows, rule_decision
from federation.node.exchange.replies import reply_draft
from federation.node.lookups import records
from federation.node.lookups.answering.dossiers import FoundDossier, dossier_of, find_dossier
from federation.node.lookups.answering.occasion import occasion_of
from federation.node.lookups.answering.told import RELEASED
from federation.node.lookups.intake.entries import entry_of, entry_record
from federation.node.lookups.kinds import FETCH_KIND
from federation.node.node import Node
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.form import encode
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest, decide
from federation.protocol.statement import Statement
from federation.store.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedFetch:
    """A fetch as policy and the store see it now; `asked` is empty when a rule refused before policy was asked."""

    item: FetchItem
    case: LookupCase | None
    handle: Handle | None
    found: FoundDossier | None
    asked: tuple[PolicyRequest, ...]
    decision: Decision


def weigh_fetch(received: Received[FetchItem]) -> WeighedFetch:
    """Puts a fetch to the rules of its handle and to policy: the case, the officer's signature, every field.

    Raises:
        MalformedError: HANDLE_UNKNOWN when the record is gone.
    """
    node, statement, item = received.node, received.statement, received.item
    asker = statement.sender.agency
    case = records.find_case(node.database, asker.node, statement.case or "", told=True)
    handle = records.find_handle(node.database, item.handle)
    found = find_dossier(node, handle.dossier) if handle is not None else None
    weighed = partial(WeighedFetch, item=item, case=case, handle=handle, found=found)
    try:
        _valid_handle(node, handle, statement)
    except RuleError as error:
        return weighed(asked=(), decision=rule_decision(error))
    if found is None:
        raise MalformedError("HANDLE_UNKNOWN", "the handle stands for a record that is no longer here")
    counties = frozenset({asker.county, found.division})
    occasion = occasion_of(statement, case=case, counties=counties, node=node, step_up=_is_signed(item))
    dossier = dossier_of(node.name, found, node.today())
    request = fetch_request(received.sender, dossier, occasion=occasion, fields=item.fields)
    return weighed(asked=(request,), decision=decide(received.in_force.policies, request))


def _judge_fetch(received: Received[FetchItem]) -> Judgement:
    """Judges a fetch anew; what policy allows is released at once, or waits for a person.

    Raises:
        MalformedError: as `weigh_fetch`.
    """
    weighed = weigh_fetch(received)
    item, decision, node = weighed.item, weighed.decision, received.node
    if not decision.allowed:
        rows, refused = NO_ROWS, Rows(records=disclosed_fetch(received, weighed, verdict=Verdict.REFUSED))
    elif decision.by_desk:
        record = weighed.handle.dossier.id if weighed.handle is not None else ""
        entry = entry_of(received, lookup_id=item.lookup_id, person=record, fields=item.fields)
        rows, refused = Rows(records=(entry_record(entry, owner=node.name),)), NO_ROWS
    else:
        release, rows = release_fetch(received, weighed)
        rows, refused = replace(rows, drafts=(reply_draft(received, RELEASED, release, decision=decision),)), NO_ROWS
    return Judgement(asked=weighed.asked, decision=decision, rows=rows, refused=refused)


def release_fetch(received: Received[FetchItem], weighed: WeighedFetch) -> tuple[ReleaseItem, Rows]:
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
    return release, Rows(records=disclosed_fetch(received, weighed, verdict=Verdict.ALLOWED))


def disclosed_fetch(received: Received[FetchItem], weighed: WeighedFetch, *, verdict: Verdict) -> tuple[Record, ...]:
    """For the person's report: what was given or refused; nothing when the record tells of nobody."""
    node, statement, found = received.node, received.statement, weighed.found
    fields = weighed.item.fields if verdict is Verdict.REFUSED else weighed.decision.fields & weighed.item.fields
    subject = found.subject(fields) if found is not None else None
    if subject is None:
        return ()
    given = given_of(statement, case=weighed.case, verdict=verdict, fields=fields, now=node.now())
    return (given_record(given, message_id=statement.id, subject=subject, owner=node.name),)


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


FETCH = Kind(
    name=FETCH_KIND,
    media_type=FETCH_BODY,
    encode=encode,
    decode=lambda content, _: decode_fetch_item(content),
    many=False,
    judge=_judge_fetch,
    answers=(),
    keep=QUESTION,
    resend=None,
)
