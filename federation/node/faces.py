"""What a node's three ports are handed: its functions, bound to the node, in the shape that `wire` calls them in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import structlog

from federation.domain.permit import PermitApplication, PermitUrn, RevokeReason
from federation.node.exchange.deliver import Delivery
from federation.node.exchange.receive import receive
from federation.node.home.agreement import read_agreement_files
from federation.node.log.witness import Cosigning, Witness
from federation.node.lookups.functions import lookup_functions
from federation.node.lookups.intake.functions import intake_functions
from federation.node.lookups.watch.functions import oversight_functions
from federation.node.node import Node
from federation.node.permits import imports, recognition, steps
from federation.node.ports import STEPS
from federation.node.retention.functions import erasure_functions, reading_functions
from federation.node.status import node_status
from federation.node.subjects import report as subject
from federation.node.subjects.corrections.functions import correction_functions
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError, NotFoundError, UnavailableError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName, Pair
from federation.protocol.leaf import Verdict
from federation.protocol.receipt import Answer, Receipt, Submission
from federation.protocol.statement import decode_statement
from federation.protocol.tlog.merkle import hash_leaf, merkle_root
from federation.protocol.tlog.tiles import ENTRIES, Tile
from federation.protocol.tlog.witness import WitnessAnswer
from federation.protocol.trust import AgreementFiles
from federation.store.exchange_log import load_entry_bundle, load_tile
from federation.store.messages import StoredMessage, list_messages, pair_state
from federation.store.outbox import find_outbox
from federation.wire.lookups.corrections.service import CorrectionService
from federation.wire.lookups.intake.service import IntakeService
from federation.wire.lookups.oversight.service import OversightService
from federation.wire.lookups.service import LookupService
from federation.wire.lookups.subject import SubjectService
from federation.wire.lookups.values import (
    ReportPage,
    ReportQuestion,
)
from federation.wire.read_http import ReadFunctions
from federation.wire.retention.erasure import ErasureService
from federation.wire.retention.reading import ReadingService
from federation.wire.server import AgencyServices, PeerServices
from federation.wire.services.agreement import AgreementService
from federation.wire.services.audit import AuditService
from federation.wire.services.exchange import ExchangeService
from federation.wire.services.node import NodeService
from federation.wire.services.permit import OnePermit, PermitFunctions, PermitService
from federation.wire.services.reconciliation import ReconciliationService
from federation.wire.values import (
    Act,
    ImportChunk,
    ImportedRow,
    LoggedMessage,
    MessagePage,
    MessageQuery,
    NodeStatus,
    PairDigest,
    PermitAnswer,
    PermitPage,
    PermitQuery,
    PermitRecognition,
    RecognitionAnswer,
)

_log = structlog.get_logger()

MAX_RANGE = 100_000
"""The most numbers that one digest of a pair covers."""


def peer_services(node: Node, home: Path) -> PeerServices:
    """What the other provinces may call."""

    async def submit(caller: NodeName, submissions: Sequence[Submission]) -> Sequence[Answer]:
        return await asyncio.gather(*(_answer(node, submission, caller) for submission in submissions))

    async def digest_range(caller: NodeName, pair: Pair, *, from_seq: int, to_seq: int) -> PairDigest:
        del caller
        return await asyncio.to_thread(_digest_range, node, pair, from_seq, to_seq)

    return PeerServices(
        exchange=ExchangeService(submit=submit),
        agreement=AgreementService(fetch_agreement=partial(_fetch_agreement, node, home)),
        reconciliation=ReconciliationService(digest_range=digest_range),
    )


def agency_services(node: Node, home: Path, *, delivery: Delivery, cosigning: Cosigning) -> AgencyServices:
    """What this province's own agencies may call."""

    async def get_status(caller: AgencyId) -> NodeStatus:
        node.trust.in_force.agency(caller)
        return await asyncio.to_thread(node_status, node, delivery, cosigning)

    async def messages(caller: AgencyId, act: Act, query: MessageQuery) -> MessagePage:
        del act
        if caller.kind != "audit":
            raise UntrustedError("CALLER_NOT_ENTITLED", "only an agency of kind 'audit' reads the exchanged messages")
        return await asyncio.to_thread(_list_messages, node, query)

    async def get_report(caller: AgencyId, act: Act, question: ReportQuestion) -> ReportPage:
        return await subject.report(node, question, caller=caller, act=act)

    return AgencyServices(
        lookups=LookupService(lookup_functions(node)),
        oversight=OversightService(oversight_functions(node)),
        bindings=tuple(step(node) for step in STEPS),
        intake=IntakeService(intake_functions(node)),
        subjects=SubjectService(get_report=get_report),
        corrections=CorrectionService(correction_functions(node)),
        permits=PermitService(_permit_functions(node)),
        readings=ReadingService(reading_functions(node)),
        erasures=ErasureService(erasure_functions(node)),
        node=NodeService(get_status=get_status),
        audit=AuditService(list_messages=messages),
        agreement=AgreementService(fetch_agreement=partial(_fetch_agreement, node, home)),
    )


def read_functions(node: Node, *, witness: Witness, cosigning: Cosigning) -> ReadFunctions:
    """What anybody may read: the log, our duty as a witness, our health. No personal data."""

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


async def _fetch_agreement(node: Node, home: Path, known_version: int) -> AgreementFiles:
    files = await asyncio.to_thread(read_agreement_files, home)
    if known_version and known_version == node.trust.in_force.agreement.version:
        return AgreementFiles(
            roots=files.roots, timestamp=files.timestamp, snapshot=files.snapshot, targets=b"", files={}
        )
    return files


def _permit_functions(node: Node) -> PermitFunctions:
    def one(step: Callable[..., Awaitable[PermitAnswer]]) -> OnePermit:
        return lambda caller, act, urn: step(node, urn, caller=caller, act=act)

    async def register(caller: AgencyId, act: Act, application: PermitApplication) -> PermitAnswer:
        return await steps.register(node, application, caller=caller, act=act)

    async def revoke(caller: AgencyId, act: Act, urn: PermitUrn, *, reason: RevokeReason) -> PermitAnswer:
        return await steps.revoke(node, urn, reason=reason, caller=caller, act=act)

    async def recognise(caller: AgencyId, act: Act, presented: PermitRecognition) -> RecognitionAnswer:
        return await recognition.recognise(node, presented, caller=caller, act=act)

    async def list_(caller: AgencyId, act: Act, query: PermitQuery) -> PermitPage:
        return await steps.list_permits(node, query, caller=caller, act=act)

    async def import_chunk(caller: AgencyId, act: Act, chunk: ImportChunk) -> tuple[ImportedRow, ...]:
        return tuple(await imports.import_permits(node, chunk, caller=caller, act=act))

    return PermitFunctions(
        register=register,
        endorse=one(steps.endorse),
        suspend=one(steps.suspend),
        restore=one(steps.restore),
        revoke=revoke,
        recognise=recognise,
        get=one(steps.show),
        list=list_,
        import_chunk=import_chunk,
    )


def _list_messages(node: Node, query: MessageQuery) -> MessagePage:
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


def _digest_range(node: Node, pair: Pair, from_seq: int, to_seq: int) -> PairDigest:
    """RFC 6962 root over u64 number, commitment, verdict byte (reference section 16)."""
    direction: Literal["sent", "received"] = "sent" if pair.sender == node.name else "received"
    last = min(to_seq, from_seq + MAX_RANGE - 1)
    found = list_messages(node.database, direction, pair=pair, after_seq=from_seq - 1, limit=last - from_seq + 1)
    leaves = [hash_leaf(_digest_entry(message)) for message in found if message.seq <= last]
    highest = pair_state(node.database, direction, pair).highest
    return PairDigest(count=len(leaves), root=merkle_root(leaves), highest=highest)


def _digest_entry(message: StoredMessage) -> bytes:
    body = decode_statement(parse_envelope(message.envelope).payload).body
    commitment = bytes.fromhex(body.commitment) if body else bytes(32)
    return message.seq.to_bytes(8) + commitment + (b"\x01" if message.verdict == Verdict.ALLOWED else b"\x00")
