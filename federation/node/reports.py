"""The person's view: what every province gave about them, asked at any node, and how this one answers the others.

A request goes to all joint processors (PIPL article 20); the report says which did not answer in time, and its pages
are read from the answers. The province that answered holds back a running investigation, so that no other node ever
holds it. Sources: PIPL articles 18, 20, 45.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.lookups import Outcome
from federation.domain.lookups_case import DISCLOSURE_KIND, SUBJECT_BASIS, DossierFacts, report_request
from federation.domain.reports import (
    REPORT_BODY,
    REQUEST_BODY,
    ReportLine,
    SubjectReport,
    SubjectRequest,
    decode_report,
    decode_subject_request,
    encode_report,
    merge_reports,
)
from federation.domain.retention import REPORT, destroyed_after
from federation.node.disclosures import tell_subject
from federation.node.exchange.erase import sent_by_it
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Judgement, Kind, Received, Rows, item_kind
from federation.node.exchange.replies import find_response, outcome_of, replies, reply_draft, take_reply
from federation.node.exchange.send import prepare, record_message
from federation.node.node import InForce, Node
from federation.protocol.errors import NotFoundError
from federation.protocol.form import Digest, Item, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, NodeName, format_message_id, truncate_to_millisecond
from federation.protocol.policy import PolicyRequest
from federation.protocol.statement import Recipient
from federation.protocol.trust import find_agency, verify_in_force
from federation.store.collection import Collection, open_token, seal_token
from federation.store.columns import blind_index
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.reports import GET_REPORT, ProvinceReport, ReportPage, ReportQuestion
from federation.wire.rpc import Ruling

WAIT_SECONDS = 8.0
"""How long the clerk's call waits for the other provinces; later answers are in the further pages."""
REQUEST_LIFETIME = timedelta(hours=1)


class _ReportRequest(Item, frozen=True, kw_only=True):
    """One report: who asked, when, the requests' digests; `person` is a keyed digest, so the number dies with those."""

    WHAT = "subject-asked"

    report_id: str | None = None
    person: str | None = None
    agency: AgencyId
    time: Time
    requests: Mapping[NodeName, Digest]


class _AskedBefore(Item, frozen=True, kw_only=True):
    report_id: str


ASKED: Final[Collection[_ReportRequest]] = Collection(
    kind="subject-asked",
    encode=lambda asked: encode(replace(asked, report_id=None, person=None)),
    decode=lambda record: replace(decode(_ReportRequest, record.content), report_id=record.id, person=record.subject),
    id=lambda asked: asked.report_id or "",
    replica=False,
    status=lambda _: "asked",
    division=lambda asked: asked.agency.county,
    subject=lambda asked: asked.person,
)
"""The reports that were asked for here; an id begins with its time."""


@on(GET_REPORT)
async def report(errand: Errand, question: ReportQuestion) -> ReportPage:
    """Asks every province what it gave about a person; the next page of a report asks nobody again.

    Refuses PAGE_TOKEN, REPORT_UNKNOWN for a page of another agency's or an ended report, REQUEST_ID_REUSED,
    AGREEMENT_EXPIRED, and a malformed number.
    """
    node = errand.node
    number = verify_citizen_number(question.citizen_number, errand.in_force.agreement.realm)
    ruled: dict[NodeName, tuple[PolicyRequest, Ruling]] = {}
    for name in sorted(errand.in_force.agreement.members):
        dossier = DossierFacts(province=name, kind=DISCLOSURE_KIND)
        request = report_request(
            errand.agency, dossier, occasion=errand.occasion, identity_checked=question.identity_checked
        )
        ruled[name] = (request, await errand.ask(request))
        if not ruled[name][1].allowed:
            return ReportPage(decision=ruled[name][1])
    ruling = ruled[node.name][1]
    if question.page_token:
        report_id, shown = _open_token(errand, question.page_token)
        asked = _load_asked(node, report_id)
        lifetime = destroyed_after(errand.in_force.retention, REPORT)
        is_over = lifetime is not None and node.now() >= asked.time + lifetime
        if asked.agency != errand.caller or asked.person != _person(node, number) or is_over:
            raise NotFoundError("REPORT_UNKNOWN", "this agency asked for no such report; ask again")
        return _page(errand, asked, question, shown=shown, ruling=ruling)
    others = {name: found for name, found in ruled.items() if name != node.name}
    asked = await _ask(errand, SubjectRequest(citizen_number=number, identity_checked=True), others)
    await replies(node, asked.requests.values(), seconds=WAIT_SECONDS)
    return _page(errand, asked, question, shown="", ruling=ruling)


async def _ask(
    errand: Errand, request: SubjectRequest, others: Mapping[NodeName, tuple[PolicyRequest, Ruling]]
) -> _ReportRequest:
    """Sends one request a province, and remembers them; a repeat of the act goes on with the report of the first."""
    node, person = errand.node, _person(errand.node, request.citizen_number)
    known = errand.remembered(asked := errand.asked(REQUEST.name, person), _AskedBefore)
    before = ASKED.find(node.database, known.answer.report_id) if known is not None else None
    if before is not None:
        return before
    verify_in_force(errand.in_force.agreement, node.now())
    cause = errand.cause(SUBJECT_BASIS)
    drafts = (
        REQUEST.draft(request, to=Recipient(node=name), cause=cause, decision=ruling, asked=(question,))
        for name, (question, ruling) in others.items()
    )
    ready = [prepare(node, replace(draft, lifetime=REQUEST_LIFETIME)) for draft in drafts]
    report_id, time = format_message_id(node.now(), os.urandom(10)), truncate_to_millisecond(node.now())

    def write(transaction: GroupTransaction) -> _AskedBefore:
        requests = {
            each.draft.recipient.node: record_message(node, transaction, each, in_force=errand.in_force)
            for each in ready
        }
        made = _ReportRequest(report_id=report_id, agency=errand.caller, person=person, time=time, requests=requests)
        ASKED.put(transaction, made, owner=node.name)
        return _AskedBefore(report_id=report_id)

    made = await errand.once(asked, _AskedBefore, write, after=known)
    for name in others:
        node.wake_delivery(name)
    return _load_asked(node, made.report_id)


def _page(errand: Errand, asked: _ReportRequest, question: ReportQuestion, *, shown: str, ruling: Ruling) -> ReportPage:
    """The lines behind the one that was shown last, whatever has been answered since."""
    node = errand.node
    reports = {node.name: tell_subject(node, question.citizen_number, now=asked.time)}
    provinces = [_province(node.name, Outcome.HIT, reports[node.name])]
    for name, digest in asked.requests.items():
        response = find_response(node, digest)
        if response.body is not None:
            reports[name] = decode_report(response.body.items[0], given_by=name)
        provinces.append(_province(name, outcome_of(response), reports.get(name, SubjectReport())))
    merged = merge_reports(reports.values())
    places = [hashlib.sha256(encode(line)).hexdigest() for line in merged.lines]
    start = len(places) - places[::-1].index(shown) if shown in places else 0
    end = start + question.page_size
    place = f"{asked.report_id}.{places[end - 1]}" if places[end:] else ""
    return ReportPage(
        decision=ruling,
        lines=tuple(_line_to_show(errand.in_force, line) for line in merged.lines[start:end]),
        withheld_count=merged.withheld_count,
        next_shown=merged.next_shown,
        provinces=tuple(sorted(provinces, key=lambda province: province.node)),
        next_page_token=seal_token(node.database.keys, _list_of(errand), place) if place else "",
    )


def _line_to_show(in_force: InForce, line: ReportLine) -> ReportLine:
    """The line with its agency's name; of a purpose that nobody registered neither its text nor a basis for it."""
    office = find_agency(in_force.agreement, line.asker)
    named = replace(line, asker_name=office.name if office is not None else "")
    return named if in_force.has_purpose(line.purpose) else replace(named, purpose="", basis="")


def _province(name: NodeName, outcome: Outcome, found: SubjectReport) -> ProvinceReport:
    return ProvinceReport(
        node=name, outcome=outcome, withheld_count=found.withheld_count, older_count=found.older_count
    )


def _list_of(errand: Errand) -> str:
    return f"{ASKED.kind}/{errand.caller}"


def _open_token(errand: Errand, token: str) -> tuple[str, str]:
    report_id, _, shown = open_token(errand.node.database.keys, _list_of(errand), token).partition(".")
    return report_id, shown


def _load_asked(node: Node, report_id: str) -> _ReportRequest:
    asked = ASKED.find(node.database, report_id)
    if asked is None:
        raise NotFoundError("REPORT_UNKNOWN", "this agency asked for no such report; ask again")
    return asked


def _person(node: Node, citizen_number: str) -> str:
    return blind_index(node.database.keys, ASKED.kind, citizen_number).hex()


def _judge_request(received: Received[SubjectRequest]) -> Judgement:
    node, wanted = received.node, received.item
    dossier = DossierFacts(province=node.name, kind=DISCLOSURE_KIND)
    request = report_request(
        received.sender, dossier, occasion=received.occasion, identity_checked=wanted.identity_checked
    )
    judged = received.judge(request)
    if not judged.decision.allowed:
        return judged
    found = tell_subject(node, wanted.citizen_number, now=node.now())
    return replace(judged, rows=Rows(drafts=(reply_draft(received, ANSWERED, found, decision=judged.decision),)))


REQUEST = item_kind(
    SubjectRequest,
    name="subject.request",
    media_type=REQUEST_BODY,
    read=lambda content, statement: decode_subject_request(content, statement.realm),
    judge=_judge_request,
    answers=(),
    keep=REPORT,
    erasable_by=None,
    resend=None,
)
ANSWERED = Kind(
    name="subject.answer",
    media_type=REPORT_BODY,
    encode=encode_report,
    decode=lambda content, statement: decode_report(content, given_by=statement.sender.node),
    many=False,
    partial=False,
    judge=take_reply,
    answers=(REQUEST.name,),
    keep=REPORT,
    erasable_by=sent_by_it,
    resend=None,
)
