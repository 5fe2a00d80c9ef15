"""One question on its way: put as policy asks for it, sent with what is remembered of it, waited for.

The question, its counts, its flags and its number are one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from federation.domain.lookup.asking import (
    Outcome,
    Urgency,
)
from federation.domain.lookup.case import (
    LookupCase,
    is_open,
)
from federation.domain.lookup_policy import (
    LookupOccasion,
)
from federation.node.lookups import records
from federation.node.lookups.asking.counting import Line, count, flags_of
from federation.node.lookups.cases import LOOK_SECONDS
from federation.node.lookups.watch.flags import put_flags
from federation.node.node import Node
from federation.node.permits.ruling import Errand
from federation.node.send import Draft, make_ready, record_message
from federation.protocol.ids import (
    MessageId,
)
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.policy import Decision, Grounds
from federation.protocol.trust import verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.store.outbox import find_outbox

WAIT_SECONDS = 8.0
"""How long a caller waits for answers that policy gives by itself; later ones are found in the history."""


async def send_and_wait(errand: Errand, draft: Draft, line: Line) -> tuple[str, Decision | Outcome | None]:
    """Sends one question, and remembers in the same transaction that it was asked.

    Returns:
        Its digest, and the refusal or failure that ended it; None when its reply is here.
    """
    node, in_force = errand.node, errand.in_force
    verify_in_force(in_force.agreement, node.now())
    ready, time = make_ready(node, draft), node.now()

    def record(transaction: GroupTransaction) -> str:
        digest = record_message(node, transaction, ready, in_force=in_force)
        asked = records.Asked(
            time=time,
            agency=errand.caller,
            officer=errand.act.officer,
            lookup_id=line.lookup_id,
            case_id=line.case.case_id,
            node=draft.recipient.node,
            step=draft.kind,
            digest=digest,
            desk=line.desk,
            kind=line.kind,
        )
        if line.selector is not None:
            count(transaction, errand, line, selector=line.selector)
            put_flags(transaction, flags_of(transaction, asked, line, selector=line.selector), owner=node.name)
        subject = line.selector.value if line.selector is not None else None
        records.put_asked(transaction, asked, subject=subject, owner=node.name)
        return digest

    digest = (await node.sequencer.commit(record)).value
    node.wake_delivery(draft.recipient.node)
    return digest, await _wait(node, digest, message_id=ready.id)


async def _wait(node: Node, digest: str, *, message_id: MessageId) -> Decision | Outcome | None:
    loop = asyncio.get_running_loop()
    end = loop.time() + WAIT_SECONDS
    while True:
        if records.find_reply(node.database, digest) is not None:
            return None
        row = find_outbox(node.database, message_id)
        leaf = decode_leaf(row.receipt_leaf) if row is not None and row.receipt_leaf is not None else None
        if leaf is not None and leaf.verdict is Verdict.REFUSED:
            return _decision_of(node, leaf.policies)
        if row is not None and row.state == "expired":
            return Outcome.EXPIRED
        if loop.time() >= end:
            return Outcome.EXPIRED if leaf is not None else Outcome.UNREACHABLE
        await node.arrivals.wait(digest, seconds=LOOK_SECONDS)


def _decision_of(node: Node, policies: Sequence[str]) -> Decision:
    """The other side's refusal in our words: its leaf names the policies, and our agreement holds their text."""
    book = node.trust.in_force.policies.policies
    known = [book[name] for name in policies if name in book]
    return Decision(
        verdict=Verdict.REFUSED,
        policies=tuple(policies),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=";".join(policy.title_zh for policy in known),
        title_en="; ".join(policy.title_en for policy in known),
    )


def occasion_of(
    errand: Errand, case: LookupCase, *, step_up: bool = False, urgency: Urgency = Urgency.ROUTINE
) -> LookupOccasion:
    """What this node knows of its own case, put as policy asks for it."""
    realm, act = errand.in_force.agreement.realm, errand.act
    return LookupOccasion(
        purpose=act.purpose,
        function=act.function,
        realm=realm,
        node_realm=realm,
        case_open=is_open(case, errand.node.now()),
        purpose_in_case=act.purpose in case.purposes,
        county_in_case=errand.caller.county in case.counties,
        step_up=step_up,
        urgency=urgency,
    )
