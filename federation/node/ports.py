"""The three ports of a node: a table of its RPCs and their steps, and what anybody may read.

Which agency may call an RPC, and how, is in `wire.table`; what it may do is policy's to say, in the step.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

import structlog

from federation.node import leads as own_leads
from federation.node import permits as permit_steps
from federation.node import permits_import, recognition
from federation.node import registers as own_registers
from federation.node import reports as own_reports
from federation.node.corrections import lines as correction_lines
from federation.node.corrections import steps as correction_steps
from federation.node.erasure import list_erasures, list_sent, order_erasure
from federation.node.exchange.deliver import Delivery
from federation.node.exchange.errand import Errand, begin_errand
from federation.node.exchange.receive import receive
from federation.node.home.agreement import read_agreement_files
from federation.node.intake import clock, desk
from federation.node.log.witness import Cosigning, Witness
from federation.node.lookups import ask, cases, fetch
from federation.node.node import Node
from federation.node.oversight import break_glass, digest, flags, leaders, readings, sample
from federation.node.readings import read_lookup, trace_reading
from federation.node.retention import destroy_ended
from federation.node.status import node_status
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, UnavailableError, UntrustedError
from federation.protocol.ids import NodeName, Pair
from federation.protocol.leaf import Verdict
from federation.protocol.receipt import Answer, Receipt, Submission
from federation.protocol.statement import decode_statement
from federation.protocol.tlog.merkle import hash_leaf, merkle_root
from federation.protocol.tlog.tiles import ENTRIES, Tile
from federation.protocol.tlog.witness import WitnessAnswer
from federation.protocol.trust import AgreementFiles
from federation.store.exchange_log import load_entry_bundle, load_tile
from federation.store.messages import StoredMessage, find_outbox, list_messages, pair_state
from federation.wire import peer
from federation.wire.agency import (
    audit,
    corrections,
    erasure,
    intake,
    leads,
    lookups,
    oversight,
    permits,
    registers,
    reports,
)
from federation.wire.agency import node as node_rpcs
from federation.wire.agency.audit import LoggedMessage, MessagePage, MessageQuery
from federation.wire.agency.node import NodeStatus
from federation.wire.gatekeeper import Binding, Caller, bind, bind_stream
from federation.wire.peer import PairDigest, RangeQuestion
from federation.wire.read_http import ReadFunctions
from federation.wire.rpc import A, Act, Nothing, Q, Rpc

_log = structlog.get_logger()

MAX_RANGE: Final = 100_000
"""The most numbers that one digest of a pair covers."""

Bound: TypeAlias = Callable[[Node], Binding]


def on(rpc: Rpc[Q, A], step: Callable[[Errand, Q], Awaitable[A]]) -> Bound:
    """A step of an agency, judged from beginning to end under the agreement in force when it was asked."""

    def bound(node: Node) -> Binding:
        async def answer(caller: Caller, act: Act | None, question: Q) -> A:
            return await step(_errand(node, caller, act), question)

        return bind(rpc, answer)

    return bound


def streaming(rpc: Rpc[Q, A], step: Callable[[Errand, Q], AsyncIterator[A]]) -> Bound:
    def bound(node: Node) -> Binding:
        def answer(caller: Caller, act: Act | None, question: Q) -> AsyncIterator[A]:
            return step(_errand(node, caller, act), question)

        return bind_stream(rpc, answer)

    return bound


def _errand(node: Node, caller: Caller, act: Act | None) -> Errand:
    if act is None:
        raise MalformedError("FIELD_MISSING", "expected who acts", field="act")
    return begin_errand(node, caller.agency, act, desk=caller.serial)


async def _run_retention(errand: Errand, nothing: Nothing) -> erasure.RetentionRound:
    del nothing
    return await destroy_ended(errand.node)


async def _list_messages(errand: Errand, query: MessageQuery) -> MessagePage:
    if errand.caller.kind != "audit":
        raise UntrustedError("CALLER_NOT_ENTITLED", "only an agency of kind 'audit' reads the exchanged messages")
    return await asyncio.to_thread(_message_page, errand.node, query)


STEPS: Final[tuple[Bound, ...]] = (
    on(permits.REGISTER_PERMIT, permit_steps.register),
    on(permits.ENDORSE_PERMIT, permit_steps.endorse),
    on(permits.SUSPEND_PERMIT, permit_steps.suspend),
    on(permits.RESTORE_PERMIT, permit_steps.restore),
    on(permits.REVOKE_PERMIT, permit_steps.revoke),
    on(permits.RECOGNISE_PERMIT, recognition.recognise),
    on(permits.GET_PERMIT, permit_steps.show),
    on(permits.LIST_PERMITS, permit_steps.list_permits),
    on(permits.IMPORT_PERMITS, permits_import.import_permits),
    on(registers.REGISTER_VEHICLES, own_registers.register_vehicles),
    on(registers.GET_VEHICLE, own_registers.get_vehicle),
    on(registers.REGISTER_ENTERPRISES, own_registers.register_enterprises),
    on(registers.GET_ENTERPRISE, own_registers.get_enterprise),
    on(lookups.OPEN_CASE, cases.begin_case),
    on(lookups.CLOSE_CASE, cases.end_case),
    on(lookups.SEARCH, ask.search),
    on(lookups.FETCH, fetch.fetch),
    on(lookups.LIST_LOOKUPS, ask.list_lookups),
    on(lookups.READ_LOOKUP, read_lookup),
    on(lookups.TRACE_READING, trace_reading),
    on(intake.LIST_INTAKE, desk.list_intake),
    on(intake.RELEASE_INTAKE, desk.release),
    on(intake.REFUSE_INTAKE, desk.refuse),
    on(intake.SEND_REMINDER, clock.remind),
    on(oversight.COUNTERSIGN_CASE, leaders.countersign),
    on(oversight.LIST_NOTICES, break_glass.list_notices),
    on(oversight.REVIEW_BREAK_GLASS, break_glass.review_break_glass),
    on(oversight.LIST_FLAGS, flags.list_flags),
    on(oversight.GET_DAILY_DIGEST, digest.get_digest),
    on(oversight.LIST_SAMPLE, sample.list_sample),
    on(oversight.RECORD_REVIEW, sample.record_review),
    on(oversight.LIST_READINGS, readings.list_readings),
    streaming(oversight.WATCH_NOTICES, break_glass.watch_notices),
    on(reports.GET_REPORT, own_reports.report),
    on(corrections.FILE_CORRECTION, correction_steps.file_correction),
    on(corrections.LIST_CORRECTIONS, correction_lines.list_lines),
    on(corrections.GRANT_CORRECTION, correction_steps.grant),
    on(corrections.DENY_CORRECTION, correction_steps.deny),
    on(corrections.EXTEND_CORRECTION, correction_steps.extend),
    on(leads.HAND_OVER_LEAD, own_leads.hand_over),
    on(leads.ANSWER_LEAD, own_leads.answer),
    on(leads.LIST_LEADS, own_leads.list_leads),
    on(erasure.ORDER_ERASURE, order_erasure),
    on(erasure.LIST_SENT, list_sent),
    on(erasure.LIST_ERASURES, list_erasures),
    on(erasure.RUN_RETENTION, _run_retention),
    on(audit.LIST_MESSAGES, _list_messages),
)
"""Every step that this province's own agencies may ask for."""


def agency_bindings(node: Node, home: Path, *, delivery: Delivery, cosigning: Cosigning) -> tuple[Binding, ...]:
    async def get_status(caller: Caller, act: Act | None, nothing: Nothing) -> NodeStatus:
        del act, nothing
        node.trust.in_force.agency(caller.agency)
        return await asyncio.to_thread(node_status, node, delivery, cosigning)

    return (*(step(node) for step in STEPS), bind(node_rpcs.GET_STATUS, get_status), _agreement(node, home))


def peer_bindings(node: Node, home: Path) -> tuple[Binding, ...]:
    async def submit(caller: Caller, act: Act | None, submissions: tuple[Submission, ...]) -> tuple[Answer, ...]:
        del act
        return tuple(await asyncio.gather(*(_answer(node, submission, caller.node) for submission in submissions)))

    async def digest_range(caller: Caller, act: Act | None, question: RangeQuestion) -> PairDigest:
        del act
        if caller.node not in (question.pair.sender, question.pair.recipient):
            raise UntrustedError("PAIR_DENIED", f"{caller.node} is not one of {question.pair}")
        return await asyncio.to_thread(_digest_range, node, question)

    return (bind(peer.SUBMIT, submit), bind(peer.DIGEST_RANGE, digest_range), _agreement(node, home))


def _agreement(node: Node, home: Path) -> Binding:
    async def fetch_agreement(caller: Caller, act: Act | None, known_version: int) -> AgreementFiles:
        del caller, act
        files = await asyncio.to_thread(read_agreement_files, home)
        is_newest = known_version and known_version == node.trust.in_force.agreement.version
        return replace(files, targets=b"", files={}) if is_newest else files

    return bind(peer.FETCH_AGREEMENT, fetch_agreement)


def read_functions(node: Node, *, witness: Witness, cosigning: Cosigning) -> ReadFunctions:
    """The files that anybody may read: the log, our duty as a witness, our health. No personal data."""

    async def checkpoint() -> bytes:
        return cosigning.checkpoint()

    async def tile(wanted: Tile) -> bytes:
        if wanted.level == ENTRIES:
            return await asyncio.to_thread(load_entry_bundle, node.database, wanted.index, wanted.width)
        return await asyncio.to_thread(load_tile, node.database, wanted.level, wanted.index, width=wanted.width)

    async def add_checkpoint(body: bytes) -> WitnessAnswer:
        return await asyncio.to_thread(witness.add_checkpoint, body)

    async def cosigned(origin_hash: str) -> bytes:
        note = await asyncio.to_thread(witness.last_cosigned, origin_hash)
        if note is None:
            raise NotFoundError("NEVER_COSIGNED", "this witness has cosigned no checkpoint of that log")
        return note

    async def health() -> str | None:
        failure = node.sequencer.failure
        return f"the log stopped: {failure}" if failure is not None else None

    return ReadFunctions(
        checkpoint=checkpoint, tile=tile, add_checkpoint=add_checkpoint, cosigned=cosigned, health=health
    )


async def _answer(node: Node, submission: Submission, caller: NodeName) -> Answer:
    try:
        return await receive(node, submission, peer=caller)
    except BridgeheadError as error:
        return error
    except Exception:  # noqa: BLE001 - one message that breaks us must not take the others of the call with it
        _log.exception("message.failed", peer=caller)
        return UnavailableError("RECEIVE_FAILED", "this node could not judge the message; its operator is told")


def _message_page(node: Node, query: MessageQuery) -> MessagePage:
    sent = query.direction == "sent"
    pair = Pair(node.name, query.peer) if sent else Pair(query.peer, node.name)
    found = list_messages(
        node.database, query.direction.value, pair=pair, after_seq=query.after_seq, limit=query.page_size
    )
    messages = tuple(
        LoggedMessage(
            seq=message.seq,
            envelope=message.envelope,
            log_index=message.leaf_index,
            receipt=_receipt_of(node, message) if sent else None,
        )
        for message in found
    )
    return MessagePage(messages=messages, next_after_seq=found[-1].seq if len(found) == query.page_size else None)


def _receipt_of(node: Node, message: StoredMessage) -> Receipt | None:
    row = find_outbox(node.database, message.id)
    if row is None or row.receipt_leaf is None or row.receipt_proof is None:
        return None
    return Receipt(leaf=row.receipt_leaf, proof=row.receipt_proof)


def _digest_range(node: Node, question: RangeQuestion) -> PairDigest:
    """RFC 6962 root over u64 number, commitment, verdict byte."""
    pair, from_seq = question.pair, question.from_seq
    direction: Literal["sent", "received"] = "sent" if pair.sender == node.name else "received"
    last = min(question.to_seq, from_seq + MAX_RANGE - 1)
    found = list_messages(node.database, direction, pair=pair, after_seq=from_seq - 1, limit=last - from_seq + 1)
    leaves = [hash_leaf(_digest_entry(message)) for message in found if message.seq <= last]
    highest = pair_state(node.database, direction, pair).highest
    return PairDigest(count=len(leaves), root=merkle_root(leaves), highest=highest)


def _digest_entry(message: StoredMessage) -> bytes:
    body = decode_statement(parse_envelope(message.envelope).payload).body
    commitment = bytes.fromhex(body.commitment) if body else bytes(32)
    return message.seq.to_bytes(8) + commitment + (b"\x01" if message.verdict == Verdict.ALLOWED else b"\x00")
