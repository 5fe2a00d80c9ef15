"""The watchers watched: every reading of flags, notices, digests and samples is kept, with a leaf in the exchange log.

The leaf is a digest; who read what lies sealed beside it. Source: misuse control M12.
"""

from __future__ import annotations

import hashlib

from federation.domain.oversight import KeptReading, ReadingKind
from federation.node.exchange.errand import Errand
from federation.node.lookups.watch.reading_lines import put_reading_line
from federation.protocol.canonical_json import encode_canonical
from federation.protocol.ids import format_time, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, put_records

READING = "lookup-reading"


async def note_reading(errand: Errand, *, step: ReadingKind, what: str = "") -> None:
    """Notes that somebody is about to read; returns once that is durable.

    Raises:
        UntrustedError: NOT_AN_AGENCY when the agreement does not name the caller.
    """
    node, in_force, caller, act = errand.node, errand.in_force, errand.caller, errand.act
    now = truncate_to_millisecond(node.now())
    in_force.agency(caller)
    content = encode_canonical(
        {
            "time": format_time(now),
            "agency": str(caller),
            "officer": act.officer,
            "request": act.request_id,
            "step": step.value,
            "what": what,
        }
    )
    subject = hashlib.sha256(content).hexdigest()
    leaf = Leaf(
        federation=in_force.agreement.federation,
        realm=in_force.agreement.realm,
        kind=LeafKind.READING,
        subject=subject,
        time=now,
        agreement_version=in_force.agreement.version,
    )
    record = Record(
        id=f"{caller}/{format_time(now)}/{subject[:16]}",
        kind=READING,
        owner=node.name,
        version=1,
        replica=False,
        status=step.value,
        division=caller.county,
        due_date=now.date(),
        content=content,
    )

    line = KeptReading(time=now, agency=caller, officer=act.officer, kind=step, about=what)

    def write(transaction: GroupTransaction) -> None:
        transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
        put_records(transaction, [record])
        put_reading_line(transaction, line, name=subject[:16], owner=node.name)

    await node.sequencer.commit(write)
