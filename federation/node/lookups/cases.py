"""Cases of this province's agencies: opened, told to the provinces whose counties they name, closed.

Own policy decides first, for each province told. A case without a cooperation letter is opened with its notice to the
leader, in one transaction. What a look-up says is drafted here too, since a case is the first thing that is said.
Source: DESIGN section 3 (asking), misuse control M10.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path

from federation.domain.lookup.asking import (
    Urgency,
    deadline_of,
)
from federation.domain.lookup.break_glass import BreakGlass, open_break_glass
from federation.domain.lookup.case import (
    CaseTerms,
    LookupCase,
    case_provinces,
    close_case,
    encode_case,
    is_break_glass,
    open_case,
)
from federation.domain.lookup_policy import (
    LOOKUP_BASIS,
    case_request,
)
from federation.node.lookups import records
from federation.node.lookups.kinds import CASE_BODY, CASE_KIND
from federation.node.lookups.watch.glass import begin_notice, put_notice
from federation.node.node import Node
from federation.node.permits.ruling import Errand, begin_errand, record_refusal, rule
from federation.node.send import Cause, Draft, send
from federation.protocol.body import Body
from federation.protocol.errors import NotFoundError, RuleError
from federation.protocol.ids import (
    AgencyId,
    MessageId,
    NodeName,
)
from federation.protocol.policy import Decision
from federation.protocol.statement import Recipient, Sender
from federation.store.exchange_log import GroupTransaction
from federation.store.outbox import find_outbox
from federation.wire.lookups.values import CaseAnswer, CaseQuestion
from federation.wire.values import Act, Ruling

CASE_SECONDS = 3.0
"""How long the opening of a case waits for a province to have it; one that is down hears of it later."""
LOOK_SECONDS = 0.05
"""How often a waiter looks for the receipt of a refusal; a reply wakes its waiter at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing to say: its kind, its one item, and how urgent it is; None lets it travel as long as the agreement."""

    kind: str
    body_type: str
    content: bytes
    urgency: Urgency | None


async def begin_case(node: Node, question: CaseQuestion, *, home: Path, caller: AgencyId, act: Act) -> CaseAnswer:
    """Opens a case and tells the provinces whose counties it names; a number BREAK-GLASS-... needs no letter.

    Raises:
        MalformedError, RuleError: as `open_case`, `open_break_glass` and `begin_notice`.
        ConflictError: VERSION_CONFLICT when the number was used before.
    """
    terms = CaseTerms(
        letter=question.letter,
        counties=question.counties | {caller.county},
        purposes=question.purposes,
        days=question.days,
        leader=question.leader,
    )
    errand = begin_errand(node, caller, act)
    if not is_break_glass(question.case_id):
        return await _tell_case(errand, open_case(question.case_id, terms, opened_by=caller, now=node.now()))
    case = open_break_glass(question.case_id, terms, opened_by=caller, now=node.now())
    return await _tell_case(errand, case, notice=begin_notice(node, case, act.officer, home=home))


async def end_case(node: Node, case_id: str, *, caller: AgencyId, act: Act) -> CaseAnswer:
    """Closes a case; every handle given out for it dies with it.

    Raises:
        NotFoundError: CASE_UNKNOWN.
        RuleError: as `close_case`.
    """
    errand = begin_errand(node, caller, act)
    return await _tell_case(errand, close_case(own_case(errand, case_id), node.now()))


def draft_of(errand: Errand, name: NodeName, said: Said, *, case: LookupCase, decision: Decision) -> Draft:
    """The statement of one thing said in a case, by the officer who acts, as policy allowed it."""
    now = errand.node.now()
    return Draft(
        kind=said.kind,
        recipient=Recipient(node=name),
        cause=Cause(
            sender=Sender(node=errand.node.name, agency=errand.caller, officer=errand.act.officer),
            purpose=errand.act.purpose,
            function=errand.act.function,
            basis=_basis_of(errand.act.purpose),
            case=case.case_id,
        ),
        body=Body(type=said.body_type, salt=os.urandom(32), items=(said.content,)),
        decision=decision,
        lifetime=deadline_of(said.urgency, now) - now if said.urgency is not None else None,
    )


def _basis_of(purpose: str) -> str:
    """The article that the statement cites; an unknown purpose was refused by policy before it comes to that."""
    known = {str(word): basis for word, basis in LOOKUP_BASIS.items()}
    return known.get(purpose, "人民警察法第六条")


def own_case(errand: Errand, case_id: str) -> LookupCase:
    """The newest version of a case that the calling agency opened.

    Raises:
        NotFoundError: CASE_UNKNOWN, also for a case of another agency.
    """
    case = records.find_case(errand.node.database, errand.node.name, case_id, told=False)
    if case is None or case.opened_by != errand.caller:
        raise NotFoundError("CASE_UNKNOWN", f"this agency opened no case {case_id!r:.50}; open one first")
    return case


async def _tell_case(errand: Errand, case: LookupCase, *, notice: BreakGlass | None = None) -> CaseAnswer:
    node = errand.node
    drafts: list[Draft] = []
    ruling: Ruling | None = None
    for name in sorted(case_provinces(case) - {node.name}):
        errand.in_force.member(name)
        request = case_request(errand.agency, name, occasion=errand.occasion, purposes=case.purposes)
        ruling = rule(errand, request)
        if not ruling.decision.allowed:
            await record_refusal(errand, ruling, asked=[request])
            return CaseAnswer(ruling=ruling, case_id=case.case_id)
        said = Said(kind=CASE_KIND, body_type=CASE_BODY, content=encode_case(case), urgency=None)
        drafts.append(replace(draft_of(errand, name, said, case=case, decision=ruling.decision), asked=(request,)))
    if ruling is None:
        raise RuleError("CASE_COUNTIES", f"expected a county of another province than {node.name}")

    def write(transaction: GroupTransaction) -> None:
        records.put_case(transaction, case, owner=node.name, told=False)
        if notice is not None:
            put_notice(transaction, notice, owner=node.name)

    _, ids = (await send(node, drafts, rows=write)).value
    await asyncio.gather(*(_wait_told(node, message_id) for message_id in ids))
    return CaseAnswer(ruling=ruling, case_id=case.case_id, closes=case.closes)


async def _wait_told(node: Node, message_id: MessageId) -> None:
    """Waits until a province has the case: a search that travels beside its case would find none there."""
    loop = asyncio.get_running_loop()
    end = loop.time() + CASE_SECONDS
    while loop.time() < end:
        row = find_outbox(node.database, message_id)
        if row is None or row.receipt_leaf is not None or row.state == "expired":
            return
        await asyncio.sleep(LOOK_SECONDS)
