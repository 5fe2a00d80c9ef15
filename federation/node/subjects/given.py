"""What this province gave or refused about a person, kept so that the person can be told; never who the officer was.

Each entry is written in the transaction that receives the request, whatever the verdict; it is found by the blind index
of the holder's number and by nothing else. Source: PIPL article 45, 55 and 56 (kept at least three years).
"""

from __future__ import annotations

from datetime import datetime

from federation.domain.lookup.case import LookupCase
from federation.domain.lookup.report import (
    DEFERRED_PURPOSE,
    Given,
    SubjectReport,
    build_report,
    decode_given,
    encode_given,
)
from federation.node.lookups import records
from federation.node.node import Node
from federation.protocol.ids import MessageId, NodeName, format_time, truncate_to_millisecond
from federation.protocol.leaf import Verdict
from federation.protocol.statement import Statement
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_by_subject, put_records

GIVEN = "lookup-given"


def given_of(
    statement: Statement, *, case: LookupCase | None, verdict: Verdict, fields: frozenset[str], now: datetime
) -> Given:
    """What is kept of one step: the agency, the purpose and the fields, and until when the person waits."""
    return Given(
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


def put_given(
    transaction: GroupTransaction, entry: Given, *, message_id: MessageId, subject: str, owner: NodeName
) -> None:
    """Keeps one step about the person whose citizen number is the subject."""
    record = Record(
        id=f"{format_time(entry.time)}/{message_id}",
        kind=GIVEN,
        owner=owner,
        version=1,
        replica=False,
        status=entry.verdict.value,
        division=entry.asker.county,
        subject=subject,
        content=encode_given(entry),
    )
    put_records(transaction, [record])


def tell_subject(node: Node, citizen_number: str, *, now: datetime) -> SubjectReport:
    """What this province tells a person now; what waits for a case appears by itself once that case has ended."""
    entries = [decode_given(record.content) for record in find_by_subject(node.database, GIVEN, citizen_number)]
    named = {(entry.asker.node, entry.case_id) for entry in entries if entry.deferred_until is not None}
    cases: dict[tuple[NodeName, str], LookupCase] = {}
    for owner, case_id in named:
        case = records.find_case(node.database, owner, case_id, told=owner != node.name)
        if case is not None:
            cases[owner, case_id] = case
    return build_report(entries, given_by=node.name, now=now, cases=cases)
