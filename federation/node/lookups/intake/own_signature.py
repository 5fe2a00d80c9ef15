"""The own signature of the officer at the desk: fields leave the province only when a person has signed for them.

A certificate is an office's, and offices share theirs. Whoever releases a fetch signs what is released with their own
registered key, as whoever fetches does; a search tells no field, and a refusal nothing, so that there it may be left
out, but a signature that is given must be right. What was signed is kept. Source: misuse controls M1 and M12.
"""

from __future__ import annotations

from typing import Final

from federation.node.exchange.errand import Errand
from federation.node.lookups.asking.refusals import rule_refusal
from federation.node.officers import LeaderAct, find_officer_key, verify_own_key
from federation.protocol.canonical_json import encode_canonical
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.ids import MessageId
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, put_records
from federation.wire.values import Ruling

DESK_SIGNATURE: Final = "intake-signature"


def find_key_refusal(errand: Errand, *, signed: bytes, signature: str | None, required: bool) -> Ruling | None:
    """The no of the rule when the officer's own signature is missing or not theirs; None when nothing is wrong."""
    if signature is None:
        if not required:
            return None
        unsigned = RuleError("OFFICER_KEY", "expected the officer's own signature where fields leave: give --key FILE")
        return rule_refusal(errand, unsigned)
    act = LeaderAct(agency=errand.caller, leader=errand.act.officer, case_id="", signature=signature)
    try:
        verify_own_key(errand.node.database, act, signed)
    except (UntrustedError, MalformedError) as error:
        return rule_refusal(errand, RuleError("OFFICER_KEY", error.message))
    return None


def put_signature(transaction: GroupTransaction, errand: Errand, *, request_id: MessageId, signature: str) -> None:
    """Keeps who signed for the end of a request, and the key that was registered then."""
    content = encode_canonical(
        {
            "agency": str(errand.caller),
            "officer": errand.act.officer,
            "key": find_officer_key(transaction, errand.caller, errand.act.officer) or "",
            "signature": signature,
        }
    )
    record = Record(
        id=request_id,
        kind=DESK_SIGNATURE,
        owner=errand.node.name,
        version=1,
        replica=True,
        status="signed",
        division=errand.caller.county,
        content=content,
    )
    put_records(transaction, [record])
