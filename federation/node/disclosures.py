"""Disclosures: what this province gave or refused about a person, for their report; never who the officer was.

Written in the transaction that receives the request, whatever the verdict; found by the blind index of the number
alone. Items of joint cases and alerts, and checks of tokens, have rows of their own (`joint/given`); of a permit of
ours it is told who may read the copy that another province was sent, and who recognised it. Source: PIPL articles 45,
55 and 56 (kept at least three years).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import product
from typing import Final

from federation.domain.lookups_case import LookupCase
from federation.domain.permits import PermitUrn
from federation.domain.permits_policy import FUNCTION_OF, LEGAL_BASIS, PermitPurpose, permit_facts, read_request
from federation.domain.recognition import decode_recognition_item
from federation.domain.reports import DEFERRED_PURPOSE, Disclosure, SubjectReport, build_report
from federation.domain.retention import PROVISION
from federation.node.joint.given import CHECKED, GIVEN
from federation.node.joint.records import FAMILIES
from federation.node.lookups import records
from federation.node.node import InForce, Node, agency_facts
from federation.node.permits_sharing import PERMIT, RECOGNITION, SYNC, list_copies, load_own_version
from federation.node.recognition import RECOGNISED, copy_time
from federation.protocol.form import decode, encode
from federation.protocol.ids import AgencyId, MessageId, NodeName, format_time, truncate_to_millisecond
from federation.protocol.leaf import Verdict
from federation.protocol.policy import decide
from federation.protocol.statement import Statement
from federation.store.database import Source
from federation.store.messages import load_message
from federation.store.records import Record, find_by_subject, list_versions
from federation.wire.rpc import COUNTERS

DISCLOSED = "lookup-given"
_READ_FOR: Final = (PermitPurpose.CHECK, PermitPurpose.SERVICE)


def disclosure_of(
    statement: Statement, *, case: LookupCase | None, verdict: Verdict, fields: frozenset[str], now: datetime
) -> Disclosure:
    """The disclosure of one step: the agency, the purpose and the fields, and until when the person waits."""
    return Disclosure(
        time=truncate_to_millisecond(now),
        asker=statement.sender.agency,
        purpose=statement.purpose,
        function=statement.function,
        basis=statement.basis,
        case_id=statement.case or "",
        step=statement.kind,
        verdict=verdict,
        fields=fields,
        deferred_until=case.closes if case is not None and statement.purpose == DEFERRED_PURPOSE else None,
    )


def disclosure_record(entry: Disclosure, *, message_id: MessageId, subject: str, owner: NodeName) -> Record:
    return Record(
        id=f"{format_time(entry.time)}/{message_id}",
        kind=DISCLOSED,
        owner=owner,
        version=1,
        replica=False,
        status=entry.verdict.value,
        division=entry.asker.county,
        subject=subject,
        content=encode(entry),
        kept_under=PROVISION,
    )


def list_disclosures(source: Source, citizen_number: str) -> Sequence[tuple[Disclosure, MessageId]]:
    """Lists the disclosures about a person, each with the id of the request's message."""
    found = find_by_subject(source, DISCLOSED, citizen_number)
    return [(decode(Disclosure, record.content), MessageId(record.id.rpartition("/")[2])) for record in found]


def tell_subject(node: Node, citizen_number: str, *, now: datetime) -> SubjectReport:
    """Returns this province's report for a person now; what waits for a case appears once that case has ended.

    What was given under a number that was corrected since is the same person's, as long as nobody else has it.
    """
    numbers = (citizen_number, *_former_numbers(node, citizen_number))
    entries = [entry for number in numbers for entry, _ in list_disclosures(node.database, number)]
    for kept in (GIVEN, CHECKED):
        entries += [each.disclosure for number in numbers for each in kept.by_subject(node.database, number)]
    entries += [entry for number in numbers for entry in (*_copies_of(node, number), *_recognised(node, number))]
    named = {(entry.asker, entry.case_id) for entry in entries if entry.deferred_until is not None}
    ends = {name: end for name in named if (end := _end_of(node, *name)) is not None}
    return build_report(entries, given_by=node.name, now=now, ends=ends)


def _copies_of(node: Node, citizen_number: str) -> Iterator[Disclosure]:
    """The counters of other provinces that may read the last copy that theirs was sent, by what policy opens to each.

    No office is named of a copy that none may read, nor where none went: a permit that the law seals, a child's.
    """
    in_force, source = node.trust.in_force, node.database
    uses = [in_force.occasion(purpose, FUNCTION_OF[purpose]) for purpose in _READ_FOR]
    for urn in (PermitUrn(each.id) for each in find_by_subject(source, PERMIT, citizen_number) if not each.replica):
        for copy in list_copies(source, urn):
            message = load_message(source, "sent", copy.message_id)
            facts = permit_facts(load_own_version(source, urn, copy.version), today=node.today())
            for office, use in product(_counters(in_force, copy.holder), uses):
                question = read_request(agency_facts(in_force, office), facts, occasion=use)
                if (decision := decide(in_force.policies, question)).allowed:
                    yield _of_permit(
                        message.created, office, PermitPurpose.SHARING, step=SYNC.name, fields=decision.fields
                    )


def _counters(in_force: InForce, holder: NodeName) -> Sequence[AgencyId]:
    member = in_force.agreement.members.get(holder)
    return sorted((office for office in member.agencies if office.kind in COUNTERS), key=str) if member else ()


def _recognised(node: Node, citizen_number: str) -> Iterator[Disclosure]:
    """The offices of other provinces that told us what they made of a permit of ours at their window."""
    for record in find_by_subject(node.database, RECOGNITION, citizen_number):
        time = copy_time(node.database, record)
        if time is not None:
            item = decode_recognition_item(record.content, node.trust.in_force.agreement.realm)
            yield _of_permit(time, item.agency, PermitPurpose.RECOGNITION, step=RECOGNISED.name)


def _of_permit(
    time: datetime, office: AgencyId, purpose: PermitPurpose, *, step: str, fields: frozenset[str] = frozenset()
) -> Disclosure:
    return Disclosure(
        time=truncate_to_millisecond(time), asker=office, purpose=purpose, function=FUNCTION_OF[purpose],
        basis=LEGAL_BASIS[purpose], case_id="", step=step, verdict=Verdict.ALLOWED, fields=fields,
    )  # fmt: skip


def _end_of(node: Node, asker: AgencyId, case_id: str) -> datetime | None:
    """The end of a look-up case, or of a joint case or alert that was closed."""
    if "/" in case_id:
        rows = (family.records.find(node.database, case_id) for family in FAMILIES.values())
        return next((row.closed for row in rows if row is not None), None)
    case = records.find_case(node.database, asker, case_id, announced=asker.node != node.name)
    return case.closes if case is not None else None


def _former_numbers(node: Node, citizen_number: str) -> Sequence[str]:
    """The numbers under which our permits of this person stood before, and under which no permit of ours stands now."""
    former: set[str] = set()
    for record in find_by_subject(node.database, PERMIT, citizen_number):
        if not record.replica:
            versions = list_versions(node.database, PERMIT, record.id)
            former |= {version.subject for version in versions if version.subject not in (None, citizen_number)}
    return sorted(number for number in former if not find_by_subject(node.database, PERMIT, number))
