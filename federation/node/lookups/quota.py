"""How often was asked before: counted as it is asked, so that no question reads a history.

Three counts: by officer and day, by case, and different persons in a case. A person is known again by a blind index of
what they were looked up by, never by the number itself. Source: misuse control M4.
"""

from __future__ import annotations

from federation.domain.lookups import Selector
from federation.domain.lookups_case import LookupCounts, Quotas, verify_quota
from federation.node.exchange.errand import Errand
from federation.node.oversight.leaders import is_bulk, is_countersigned
from federation.protocol.errors import RuleError
from federation.store.crypto_column import blind_index
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, put_records

PERSON = "lookup-person"
QUOTAS = Quotas()


def count(transaction: GroupTransaction, errand: Errand, *, case_id: str, selector: Selector) -> RuleError | None:
    """Counts one more look-up, in the transaction that asks: no two at the same moment share the last place.

    A look-up in several provinces is one look-up. What is refused is not counted.

    Returns:
        The limit that it would pass: QUOTA_OFFICER, QUOTA_CASE_LIMIT, QUOTA_CASE or QUOTA_PERSONS; None when it may go.
    """
    agency, officer = errand.caller, errand.act.officer
    by_day = f"lookup-day/{agency}/{officer}/{errand.node.today()}"
    in_case, persons = f"lookup-case/{agency}/{case_id}", f"lookup-persons/{agency}/{case_id}"
    index = blind_index(transaction.keys, PERSON, f"{selector.kind}/{selector.value}").hex()
    person = Record(
        id=f"{agency}/{case_id}/{index}",
        kind=PERSON,
        owner=errand.node.name,
        version=1,
        replica=True,
        status="asked",
        division="",
        content=b"",
    )
    is_new = find_record(transaction, PERSON, person.id, replica=True) is None
    counts = LookupCounts(
        officer_today=transaction.find_counter(by_day) + 1,
        case_total=transaction.find_counter(in_case) + 1,
        case_persons=transaction.find_counter(persons) + is_new,
    )
    try:
        verify_quota(
            counts,
            QUOTAS,
            countersigned=is_countersigned(transaction, agency, case_id, officer=officer),
            bulk=is_bulk(transaction, agency, case_id, officer=officer),
        )
    except RuleError as error:
        return error
    transaction.set_counter(by_day, counts.officer_today)
    transaction.set_counter(in_case, counts.case_total)
    if is_new:
        transaction.set_counter(persons, counts.case_persons)
        put_records(transaction, [person])
    return None
