"""A large store for the bench: two provinces with many living look-ups between them and a long log, made in bulk.

Rows and leaves are written by the product's own code, a few hundred look-ups to a transaction: the questions as signed
statements, what they leave at both sides, the answers and the receipts; only that nobody asks for a policy or counts a
quota. The rest of the logs are messages without a body. Everything lives and nothing is due for hours.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from federation.cli.bench_runs import COUNTY, RECEIVER, SENDER, UNCOUNTED
from federation.cli.demo.provinces import (
    PROVINCES,
    DemoFederation,
    make_federation,
    repository_folder,
    write_federation_file,
)
from federation.cli.demo.synthetic import synthetic_permits
from federation.cli.show import say
from federation.domain.lookups import (
    HANDLE_RANDOM_BYTES,
    AnswerItem,
    Handle,
    SearchItem,
    Selector,
    SelectorKind,
    format_handle,
    handle_expires,
)
from federation.domain.lookups_case import CaseTerms, LookupCase, LookupPurpose, basis_of, open_case
from federation.domain.permits import Permit
from federation.domain.registers import DossierKind
from federation.node.disclosures import disclosure_of, disclosure_record
from federation.node.exchange.judge import Received, allowed_by_rule
from federation.node.exchange.replies import REPLIES, Reply, reply_draft, statement_of
from federation.node.exchange.send import ENDS, Cause, Draft, End, prepare, put_end, record_message
from federation.node.features import KINDS
from federation.node.home.agreement import load_home_agreement
from federation.node.home.config import load_settings
from federation.node.home.keyring import load_keyring
from federation.node.home.setup import NewHome, load_member_sheet
from federation.node.log.sequence import Committed
from federation.node.lookups import records
from federation.node.lookups.answer import ANSWER, SEARCH
from federation.node.node import Node, Trust
from federation.node.permits_sharing import SYNC, put_own_permits
from federation.node.serve import Parts, build_node, utc_now
from federation.protocol.body import Body
from federation.protocol.form import replace
from federation.protocol.ids import (
    MessageId,
    NodeName,
    Pair,
    format_message_id,
    parse_agency_id,
    truncate_to_millisecond,
)
from federation.protocol.leaf import LeafKind, decode_leaf, encode_leaf
from federation.protocol.receipt import Receipt
from federation.protocol.statement import Recipient, Sender
from federation.protocol.tlog.proof import TlogProof, format_proof
from federation.store.collection import Collection
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import inclusion_proof, load_entries
from federation.store.messages import StoredMessage, list_messages, pair_state, put_body, put_message, settle_outbox
from federation.store.records import put_records

OFFICE: Final = parse_agency_id(f"{SENDER}/330822/police")
IN_CASE: Final = 100
AT_ONCE: Final = 500
PEOPLE: Final = 1_000
_PURPOSE: Final = LookupPurpose.CRIMINAL_INVESTIGATION
_RULE: Final = allowed_by_rule("bench", "压测用数据", "Made for the bench")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Asked:
    """A question that was just written, as both sides need it."""

    item: SearchItem
    case: LookupCase
    permit: Permit
    body: Body


async def fill_store(folder: Path, *, lookups: int, leaves: int) -> None:
    """Makes a federation whose first two provinces hold so many living look-ups, and logs of so many leaves each."""
    federation = make_federation(folder, now=utc_now(), overrides=UNCOUNTED)
    write_federation_file(federation)
    async with open_parts(federation) as (asking, answering):
        await _ask(asking.node, answering.node, lookups)
        await _lengthen(asking.node, answering.node, leaves)


def load_federation(folder: Path) -> DemoFederation:
    """The federation of a folder that `fill_store` made; refuses HOME_MISSING."""
    homes = {}
    for name in PROVINCES:
        sheet = load_member_sheet(repository_folder("nodes") / name / "member.toml")
        settings = load_settings(folder / name)
        homes[NodeName(name)] = NewHome(home=folder.absolute() / name, settings=settings, sheet=sheet, bundle=b"")
    return DemoFederation(folder=folder.absolute(), homes=homes)


@asynccontextmanager
async def open_parts(federation: DemoFederation) -> AsyncIterator[tuple[Parts, Parts]]:
    """The two nodes of a filled store in this process, without a port."""
    both: list[Parts] = []
    for name in (SENDER, RECEIVER):
        home = federation.homes[name].home
        trust = Trust(load_home_agreement(home, now=utc_now()), KINDS.values())
        both.append(build_node(load_settings(home), load_keyring(home), trust, home=home, now=utc_now))
    try:
        yield both[0], both[1]
    finally:
        for parts in both:
            await asyncio.to_thread(parts.node.sequencer.close)
            parts.node.database.close()
            parts.witness_clients.close()


async def _ask(asking: Node, answering: Node, lookups: int) -> None:
    people = await _register(answering)
    for start in range(0, lookups, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, lookups))
        cases = {number // IN_CASE: _case(asking, number // IN_CASE) for number in numbers}
        for node, kept in ((asking, records.OWN_CASES), (answering, records.ANNOUNCED_CASES)):
            await node.sequencer.commit(partial(_put_cases, cases.values(), kept))
        steps = [(number, cases[number // IN_CASE], people[number % len(people)]) for number in numbers]
        asked = (await asking.sequencer.commit(partial(_put_questions, asking, steps))).value
        answers: dict[MessageId, tuple[AnswerItem, Body]] = {}
        await _deliver(asking, answering, partial(_answer, answering, asked, answers))
        await _deliver(answering, asking, partial(_take_answer, asking, answers))
        if start % 10_000 == 0:
            say(f"已问已答 {start} 次查询 | {start} look-ups asked and answered")


async def _register(node: Node) -> Sequence[Permit]:
    permits = synthetic_permits(RECEIVER, PEOPLE, seed=11, today=node.today())
    found = [replace(permit, version=1) for permit in permits]
    await node.sequencer.commit(lambda transaction: put_own_permits(transaction, found, owner=node.name, before=0))
    return found


def _case(node: Node, number: int) -> LookupCase:
    terms = CaseTerms(
        letter=f"常公协〔2026〕{number}号",
        counties=frozenset({COUNTY}),
        purposes=frozenset({_PURPOSE}),
        days=30,
        leader="bench-leader",
    )
    return open_case(f"BENCH-STORE-{number:06d}", terms, opened_by=OFFICE, now=node.now())


def _put_cases(cases: Iterable[LookupCase], kept: Collection[LookupCase], transaction: GroupTransaction) -> None:
    for case in cases:
        if kept.find(transaction, kept.id(case)) is None:
            kept.put(transaction, case, owner=SENDER)


def _put_questions(
    node: Node, steps: Sequence[tuple[int, LookupCase, Permit]], transaction: GroupTransaction
) -> dict[MessageId, _Asked]:
    """Writes the question of each look-up as a statement of its own, and its line of the history."""
    questions: dict[MessageId, _Asked] = {}
    for number, case, permit in steps:
        now, officer, person = truncate_to_millisecond(node.now()), f"bench-{number // IN_CASE}", permit.holder
        lookup_id = format_message_id(now, secrets.token_bytes(10))
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=person.citizen_number)
        item = SearchItem(lookup_id=lookup_id, selector=selector, case_id=case.case_id)
        draft = SEARCH.draft(item, to=Recipient(node=RECEIVER), cause=_cause(officer, case.case_id), decision=_RULE)
        ready = prepare(node, replace(draft, awaited=True))
        digest = record_message(node, transaction, ready, in_force=node.trust.in_force)
        asked = records.Asked(
            time=now,
            agency=OFFICE,
            officer=officer,
            serial=number,
            lookup_id=lookup_id,
            case_id=case.case_id,
            node=RECEIVER,
            step=SEARCH.name,
            digest=digest,
            message_id=ready.id,
            desk="bench",
            kind=DossierKind.PERMIT,
        )
        records.put_asked(transaction, asked, subject=person.citizen_number, owner=node.name)
        if isinstance(draft.body, Body):
            questions[ready.id] = _Asked(item=item, case=case, permit=permit, body=draft.body)
    return questions


def _cause(officer: str, case_id: str | None = None) -> Cause:
    sender = Sender(node=SENDER, agency=OFFICE, officer=officer)
    return Cause(sender=sender, purpose=_PURPOSE, function="F03", basis=basis_of(_PURPOSE), case=case_id)


def _taken(transaction: GroupTransaction, message: StoredMessage, entry: bytes) -> StoredMessage:
    """Takes in a message as the other node sent it, with the `received` leaf beside its `sent` one."""
    leaf = replace(decode_leaf(entry), kind=LeafKind.RECEIVED, peer_checkpoint=None)
    index = transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    taken = replace(message, direction="received", leaf_index=index)
    put_message(transaction, taken)
    return taken


async def _deliver(sender: Node, recipient: Node, take: Callable[[GroupTransaction, StoredMessage], None]) -> None:
    """Brings what was sent since to the other node in one transaction, and its receipts back in another."""
    pair = Pair(sender.name, recipient.name)
    after = pair_state(recipient.database, "received", pair).highest
    sent = list_messages(sender.database, "sent", pair=pair, after_seq=after, limit=AT_ONCE)
    first, last = sent[0].leaf_index, sent[-1].leaf_index
    entries = load_entries(sender.database, first, last + 1 - first)

    def record(transaction: GroupTransaction) -> list[StoredMessage]:
        taken = [_taken(transaction, message, entries[message.leaf_index - first]) for message in sent]
        for message in taken:
            take(transaction, message)
        return taken

    done = await recipient.sequencer.commit(record)
    await sender.sequencer.commit(partial(settle_outbox, receipts=_receipts(recipient, done)))


def _receipts(node: Node, done: Committed[list[StoredMessage]]) -> list[tuple[MessageId, Receipt]]:
    receipts: list[tuple[MessageId, Receipt]] = []
    for message in done.value:
        (entry,) = load_entries(node.database, message.leaf_index, 1)
        hashes = inclusion_proof(node.database, message.leaf_index, done.head.size)
        proof = TlogProof(index=message.leaf_index, hashes=hashes, checkpoint=done.head.note)
        receipts.append((message.id, Receipt(leaf=entry, proof=format_proof(proof))))
    return receipts


def _answer(
    node: Node,
    asked: Mapping[MessageId, _Asked],
    answers: dict[MessageId, tuple[AnswerItem, Body]],
    transaction: GroupTransaction,
    message: StoredMessage,
) -> None:
    """Answers a question with a hit: its handle, the line for the person's report, and the reply."""
    in_force, statement, question = node.trust.in_force, statement_of(message), asked[message.id]
    put_body(transaction, message.id, question.body)
    put_end(node, transaction, statement, direction="received", in_force=in_force)
    received = Received(
        node=node, in_force=in_force, statement=statement, digest=message.digest, body=question.body,
        items=(question.item,), request=None,
    )  # fmt: skip
    handle = _handle_of(received, question)
    given = disclosure_of(statement, case=question.case, verdict=_RULE.verdict, fields=frozenset(), now=node.now())
    line = disclosure_record(given, message_id=message.id, subject=question.item.selector.value, owner=node.name)
    with transaction.carrying(message.id):
        put_records(transaction, [records.HANDLES.record(handle, owner=node.name), line])
    answer = AnswerItem(lookup_id=handle.lookup_id, hit=True, handle=handle.handle, expires=handle.expires)
    ready = prepare(node, reply_draft(received, ANSWER, answer, decision=_RULE))
    record_message(node, transaction, ready, in_force=in_force)
    if isinstance(ready.draft.body, Body):
        answers[ready.id] = (answer, ready.draft.body)


def _handle_of(received: Received[SearchItem], question: _Asked) -> Handle:
    return Handle(
        handle=format_handle(secrets.token_bytes(HANDLE_RANDOM_BYTES)),
        lookup_id=question.item.lookup_id,
        case_id=question.case.case_id,
        asker=OFFICE,
        officer=received.statement.sender.officer or "",
        dossier=question.permit.urn,
        expires=handle_expires(question.case, received.node.now()),
    )


def _take_answer(
    node: Node,
    answers: Mapping[MessageId, tuple[AnswerItem, Body]],
    transaction: GroupTransaction,
    message: StoredMessage,
) -> None:
    """Takes in what an answer leaves at who asked; it is looked at again at its end."""
    statement, (answer, body) = statement_of(message), answers[message.id]
    put_body(transaction, message.id, body)
    cited = statement.in_reply_to or ""
    reply = REPLIES.record(Reply(request=cited, message_id=message.id, ends=answer.expires), owner=RECEIVER)
    held = records.held_record(answer.handle or "", cited, owner=RECEIVER)
    case = f"{node.name}/{statement.case}"
    end = End(direction="received", message_id=message.id, time=answer.expires or node.now(), case=case)
    with transaction.carrying(message.id):
        put_records(transaction, [reply, held])
        ENDS.put(transaction, end, owner=node.name)


async def _lengthen(sender: Node, recipient: Node, leaves: int) -> None:
    """Adds messages without a body until both logs have that many leaves."""
    while (missing := leaves - min(sender.sequencer.head.size, recipient.sequencer.head.size)) > 0:
        await sender.sequencer.commit(partial(_send_bare, sender, min(AT_ONCE, missing)))
        await _deliver(sender, recipient, lambda _transaction, _message: None)
        if missing % 50_000 < AT_ONCE:
            say(f"还差 {missing} 条存证 | {missing} leaves to go")


def _send_bare(node: Node, count: int, transaction: GroupTransaction) -> None:
    cause, to = _cause("bench"), Recipient(node=RECEIVER)
    bare = Draft(kind=SYNC.name, recipient=to, cause=cause, body=None, decision=_RULE)
    ready = [prepare(node, bare) for _ in range(count)]
    for message in ready:
        record_message(node, transaction, message, in_force=node.trust.in_force)
