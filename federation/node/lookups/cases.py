"""Cases of this province's agencies: opened, told to the provinces whose counties they name, closed.

Own policy decides for all of them or none. A case without a letter opens with its notice to the leader, in one
transaction. Source: DESIGN section 3 (asking), misuse control M10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from federation.domain.lookups import Outcome
from federation.domain.lookups_case import (
    CASE_BODY,
    CaseTerms,
    LookupCase,
    case_provinces,
    case_request,
    close_case,
    decode_case,
    is_break_glass,
    is_joint_code,
    is_open,
    letter_name,
    open_case,
    verify_case_follows,
    verify_case_quota,
    verify_closer,
    verify_opener,
)
from federation.domain.oversight import open_break_glass
from federation.domain.retention import PROVISION
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Judgement, Received, Rows, item_kind
from federation.node.exchange.replies import replies
from federation.node.exchange.resend import Missed
from federation.node.exchange.send import Draft
from federation.node.lookups import records
from federation.node.lookups.ask import Asking, Step, StepTaken, find_own_case, take_step
from federation.node.node import Node
from federation.node.officers import lost_key, or_logged
from federation.node.oversight.break_glass import NOTICES, begin_notice, put_notice
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import encode, replace
from federation.protocol.ids import AgencyId, NodeName
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, put_records
from federation.wire.agency.lookups import CLOSE_CASE, OPEN_CASE, CaseAnswer, CaseQuestion

LETTER: Final = "lookup-letter"
CASE_SECONDS: Final = 3.0
"""How long the opening of a case waits for a province to have it; one that is down hears of it later."""


@on(OPEN_CASE)
async def begin_case(errand: Errand, question: CaseQuestion) -> CaseAnswer:
    """Opens a case and tells the provinces whose counties it names; a number BREAK-GLASS-... needs no letter.

    Its leader opens it, by their own key; a letter is for one case, and an office opens so many a day (CASE_OPENER,
    LETTER_USED, QUOTA_CASES, each logged). Raises PURPOSE_UNKNOWN before anything is logged; as `open_case`,
    `open_break_glass`, `begin_notice`; ConflictError CASE_EXISTS, REQUEST_ID_REUSED.
    """
    for purpose in question.purposes:
        errand.in_force.verify_purpose(purpose)
    terms = replace(question, counties=question.counties | {errand.caller.county})
    asked = errand.asked(CASE.name, _terms_text(question.case_id, terms))
    known = errand.remembered(asked, StepTaken)
    if known is not None:
        return await _answer(errand, known.answer, question.case_id)
    return await or_logged(errand, _open(errand, question.case_id, terms, asked=asked))


async def _open(errand: Errand, case_id: str, terms: CaseTerms, *, asked: str) -> CaseAnswer:
    node, is_glass = errand.node, is_break_glass(case_id)
    open_ = open_break_glass if is_glass else open_case
    case = open_(case_id, terms, opened_by=errand.caller, now=node.now())
    verify_opener(case, errand.act.officer)
    _verify_by_letter(case)
    notice = begin_notice(errand, case) if is_glass else None

    def write(transaction: GroupTransaction) -> None:
        count_opened(node, transaction, errand.caller)
        put_records(transaction, _letter_records(transaction, case, replica=False))
        records.OWN_CASES.put(transaction, case, owner=node.name)
        if notice is not None:
            put_notice(transaction, notice, owner=node.name)

    try:
        return await _tell_case(errand, _step(asked, case, Outcome.CASE_OPENED), case, write)
    except ConflictError as conflict:
        if records.find_case(node.database, errand.caller, case_id, announced=False) is None:
            raise
        taken = f"this office opened a case {case_id} before; expected a number of its own"
        raise ConflictError("CASE_EXISTS", taken) from conflict


@on(CLOSE_CASE)
async def end_case(errand: Errand, case_id: str) -> CaseAnswer:
    """Closes a case and every handle given out for it: its leader does, or who broke the glass (CASE_CLOSER, logged).

    Where its leader's key was withdrawn, any officer of the office does. Refuses CASE_UNKNOWN, REQUEST_ID_REUSED, and
    as `close_case`.
    """
    node = errand.node
    asked = errand.asked(CASE.name, f"close {case_id}")
    known = errand.remembered(asked, StepTaken)
    if known is not None:
        return await _answer(errand, known.answer, case_id)
    opened = find_own_case(errand, case_id)
    if opened is None:
        raise NotFoundError("CASE_UNKNOWN", f"this agency opened no case {case_id!r:.50}; open one first")
    await or_logged(errand, _verify_closer(errand, opened))
    case = close_case(opened, node.now())
    write = partial(_put_closed, case, node.name)
    return await _tell_case(errand, _step(asked, case, Outcome.CASE_CLOSED), case, write)


def count_opened(node: Node, transaction: GroupTransaction, office: AgencyId) -> None:
    """Counts a case that an office opens today, by letter or in a joint case; refuses one too many (QUOTA_CASES)."""
    verify_case_quota(transaction.count_up(f"lookup-cases/{office}/{node.today()}"), records.quotas_of(node))


def _verify_by_letter(case: LookupCase) -> None:
    """Refuses to open a case under the number of a joint case (CASE_ID): its look-ups are granted in it."""
    if is_joint_code(case.case_id):
        raise MalformedError("CASE_ID", "a number of 17 digits is a joint case's, in which look-ups are granted")


def _put_closed(case: LookupCase, owner: NodeName, transaction: GroupTransaction) -> None:
    records.OWN_CASES.put(transaction, case, owner=owner)
    put_records(transaction, [records.closed_record(case, owner=owner)])


async def end_unasked(errand: Errand, case: LookupCase, write: Callable[[GroupTransaction], None]) -> None:
    """Closes a case that nobody asked to close, with what is written besides, whatever policy says of telling it.

    The provinces are told under a purpose of the case, as when it was opened.
    """
    ending = replace(errand, act=replace(errand.act, purpose=min(case.purposes)))
    step = _step(ending.asked(CASE.name, f"end {case.case_id}"), case, Outcome.CASE_CLOSED)
    put_closed = partial(_put_closed, case, errand.node.name)

    def put(transaction: GroupTransaction) -> None:
        write(transaction)
        put_closed(transaction)

    taken = await take_step(ending, step, _rule_provinces(ending, case), rows=put)
    if not any(line.digest for line in taken.lines):
        await errand.node.sequencer.commit(put)


async def _verify_closer(errand: Errand, case: LookupCase) -> None:
    if lost_key(errand.node.database, errand.caller, case.leader):
        return
    notice = NOTICES.find(errand.node.database, f"{errand.caller}/{case.case_id}")
    verify_closer(case, errand.act.officer, glass_by=notice.officer if notice is not None else None)


def _terms_text(case_id: str, terms: CaseTerms) -> str:
    names = (*sorted(terms.counties), *sorted(terms.purposes))
    return f"open {case_id} {terms.letter} {','.join(names)} {terms.days} {terms.leader}"


def _step(asked: str, case: LookupCase, outcome: Outcome) -> Step:
    return Step(
        asked=asked,
        kind=CASE,
        item=case,
        urgency=None,
        lookup_id="",
        case_id=case.case_id,
        case=case,
        outcome=outcome,
        closes=case.closes,
    )


async def _tell_case(
    errand: Errand, step: Step, case: LookupCase, write: Callable[[GroupTransaction], None]
) -> CaseAnswer:
    """Asks own policy for each province; one refusal and nothing is opened or announced."""
    asking = _rule_provinces(errand, case)
    if not asking:
        raise RuleError("CASE_COUNTIES", f"expected a county of another province than {errand.node.name}")
    refused = [each for each in asking if not each.allowed]
    taken = await take_step(errand, step, refused[:1] or asking, rows=write)
    return await _answer(errand, taken, case.case_id)


def _rule_provinces(errand: Errand, case: LookupCase) -> list[Asking]:
    asking: list[Asking] = []
    for name in sorted(case_provinces(case) - {errand.node.name}):
        errand.in_force.member(name)
        request = case_request(errand.agency, name, occasion=errand.occasion, purposes=case.purposes)
        asking.append(Asking(node=name, ruling=errand.rule(request, to=name), request=request))
    return asking


async def _answer(errand: Errand, taken: StepTaken, case_id: str) -> CaseAnswer:
    """Waits until the provinces have the case: a search that travels beside its case would find none there."""
    ruling = taken.lines[-1].ruling
    if not ruling.allowed:
        return CaseAnswer(decision=ruling, case_id=case_id)
    await replies(errand.node, [line.digest for line in taken.lines], seconds=CASE_SECONDS, received=True)
    return CaseAnswer(decision=ruling, case_id=case_id, closes=taken.closes)


def _letter_records(source: Source, case: LookupCase, *, replica: bool) -> tuple[Record, ...]:
    letters = () if is_break_glass(case.case_id) else ((letter_name(case.letter), case.case_id),)
    return letter_rows(source, letters, case.opened_by, replica=replica)


def letter_rows(
    source: Source, letters: Iterable[tuple[str, str]], office: AgencyId, *, replica: bool
) -> tuple[Record, ...]:
    """The rows that letters of an office, by name, were given for these cases, as far as they are new (LETTER_USED)."""
    rows = []
    for name, case in letters:
        row = Record(
            id=f"{office.node}/{name}", kind=LETTER, owner=NodeName(office.node), version=1, replica=replica,
            status="used", division=office.county, content=case.encode(), kept_under=PROVISION,
        )  # fmt: skip
        known = find_record(source, LETTER, row.id, replica=replica)
        if known is None:
            rows.append(row)
        elif (known.content, known.division) != (row.content, row.division):
            raise RuleError("LETTER_USED", "expected a letter that was given for no other case: one letter, one case")
    return tuple(rows)


def _judge_case(received: Received[LookupCase]) -> Judgement:
    """Judges that another province opens or closes a case which names us (CASE_OTHER), as `verify_case_follows`.

    A letter that was given for another case of that province is refused by rule (LETTER_USED).
    """
    statement, case, node = received.statement, received.item, received.node
    if case.opened_by != statement.sender.agency or case.case_id != statement.case:
        raise MalformedError("CASE_OTHER", "expected a case of the sending agency, named as the statement names it")
    owner = statement.sender.node
    if not case.closed:
        _verify_by_letter(case)
    verify_case_follows(records.find_case(node.database, case.opened_by, case.case_id, announced=True), case)
    request = case_request(received.sender, node.name, occasion=received.occasion, purposes=case.purposes)
    announced = records.ANNOUNCED_CASES.record(case, owner=owner)
    closed = (records.closed_record(case, owner=owner),) if case.closed else ()
    letters = _letter_records(node.database, case, replica=True)
    return received.judge(request, rows=Rows(records=(announced, *closed, *letters)))


def _resent_case(missed: Missed) -> Draft | None:
    """The case as it stands: nothing of one whose term is over, or that was closed before anybody there knew of it."""
    expired, source = decode_case(missed.body.items[0]), missed.source
    case = records.find_case(source, expired.opened_by, expired.case_id, announced=False)
    if case is None or case.closed is not expired.closed or not (case.closed or is_open(case, missed.node.now())):
        return None
    return missed.again(encode(case))


CASE = item_kind(
    LookupCase,
    name="lookup.case",
    media_type=CASE_BODY,
    read=lambda content, _: decode_case(content),
    judge=_judge_case,
    answers=(),
    keep=PROVISION,
    erasable_by=None,
    resend=_resent_case,
)
