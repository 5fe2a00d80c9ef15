"""The three ports of a node: its RPCs, each with its step, and what anybody may read.

Which agency may call an RPC, and how, is in the line of the RPC; what it may do is policy's to say, in the step.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from federation.domain.documents import Chunk
from federation.domain.officers import KeyStanding
from federation.domain.oversight import ReadingKind
from federation.node.documents_open import open_to_province
from federation.node.documents_pull import serve_document
from federation.node.exchange.deliver import Delivery
from federation.node.exchange.errand import Errand, Marked, Step, begin_errand
from federation.node.exchange.receive import receive
from federation.node.features import STEPS
from federation.node.home.agreement import HeldFiles
from federation.node.joint.records import find_head
from federation.node.log.cosigning import Cosigning
from federation.node.log.witness import Witness
from federation.node.node import Node
from federation.node.officers import verify_signed
from federation.node.oversight.readings import Inspection, begin_inspection, note_reading
from federation.node.retention import destroy_ended
from federation.node.status import log_troubles, node_status, quorum_warning
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, UnavailableError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair
from federation.protocol.leaf import Verdict
from federation.protocol.receipt import Answer, Receipt, Submission
from federation.protocol.statement import decode_statement
from federation.protocol.tlog.merkle import hash_leaf, merkle_root
from federation.protocol.tlog.tiles import ENTRIES, Tile
from federation.protocol.tlog.witness import NEVER_COSIGNED, WitnessAnswer
from federation.protocol.trust import AgreementFiles, withheld
from federation.protocol.trust.agreement import SUSPENDED
from federation.store.log_reader import load_entry_bundle, load_tile
from federation.store.messages import StoredMessage, find_outbox, list_messages, pair_state
from federation.wire import peer
from federation.wire.agency.audit import LIST_MESSAGES, LoggedMessage, MessagePage, MessageQuery
from federation.wire.agency.documents import DocumentPlace
from federation.wire.agency.erasure import RUN_RETENTION, RetentionRound
from federation.wire.agency.node import GET_STATUS, NodeStatus
from federation.wire.gatekeeper import Binding, Caller, bind
from federation.wire.peer import PairDigest, RangeQuestion
from federation.wire.read_http import ReadFunctions
from federation.wire.rpc import Act, Nothing, OwnKey, Rpc

_log = structlog.get_logger()

MAX_RANGE: Final = 100_000
"""The most numbers that one digest of a pair covers."""


async def _run_retention(errand: Errand, nothing: Nothing) -> RetentionRound:
    del nothing
    return await destroy_ended(errand.node)


async def _list_messages(errand: Errand, query: MessageQuery) -> MessagePage:
    shown = await begin_inspection(errand, query.mandate)
    place = f"{query.direction.value} {query.peer} {query.after_seq}"
    await note_reading(errand, step=ReadingKind.MESSAGES, what=f"{place} {shown.document}".rstrip())
    return await asyncio.to_thread(_message_page, errand.node, query, shown)


def agency_bindings(node: Node, home: Path, *, delivery: Delivery, cosigning: Cosigning) -> tuple[Binding, ...]:
    async def get_status(caller: Caller, act: Act | None, nothing: Nothing) -> NodeStatus:
        del act, nothing
        node.trust.in_force.agency(caller.agency)
        return await asyncio.to_thread(partial(node_status, node, home, delivery=delivery, cosigning=cosigning))

    own: tuple[Marked, ...] = ((RUN_RETENTION, _run_retention), (LIST_MESSAGES, _list_messages))
    bound = (bind(rpc, partial(_follow if rpc.stream else _act, node, rpc, step)) for rpc, step in (*STEPS, *own))
    return (*bound, bind(GET_STATUS, get_status), _agreement(node, home))


async def _begin(node: Node, rpc: Rpc[Any, Any], caller: Caller, act: Act | None) -> Errand:
    """The errand of a call; the one place where it is verified that the officer who is named acts.

    For a purpose that nobody registered nothing is begun, nor logged (PURPOSE_UNKNOWN).
    """
    if act is None:
        raise MalformedError("FIELD_MISSING", "expected who acts", field="act")
    errand = begin_errand(node, caller.agency, act, desk=caller.serial, signed=caller.signed)
    errand.in_force.verify_purpose(act.purpose)
    if rpc.signed is not OwnKey.NEVER:
        of = KeyStanding.ADMINISTERS if rpc.signed is OwnKey.ADMINISTRATOR else KeyStanding.REGISTERED
        await verify_signed(errand, of=of)
        node.refusals.verify_officer(str(errand.caller), act.officer)
        errand = replace(errand, is_signed=True)  # only now: anybody may write an officer's name
    return errand


async def _act(
    node: Node, rpc: Rpc[Any, Any], step: Step[Any, Any], caller: Caller, act: Act | None, question: object
) -> Any:  # noqa: ANN401
    return await step(await _begin(node, rpc, caller, act), question)


async def _follow(
    node: Node, rpc: Rpc[Any, Any], step: Step[Any, Any], caller: Caller, act: Act | None, question: object
) -> AsyncIterator[Any]:
    async for each in step(await _begin(node, rpc, caller, act), question):
        yield each


def peer_bindings(node: Node, home: Path) -> tuple[Binding, ...]:
    async def submit(caller: Caller, act: Act | None, submissions: tuple[Submission, ...]) -> tuple[Answer, ...]:
        del act
        return tuple(await asyncio.gather(*(_answer(node, submission, caller.node) for submission in submissions)))

    async def digest_range(caller: Caller, act: Act | None, question: RangeQuestion) -> PairDigest:
        del act
        if caller.node not in (question.pair.sender, question.pair.recipient):
            raise UntrustedError("PAIR_DENIED", f"{caller.node} is not one of {question.pair}")
        return await asyncio.to_thread(_digest_range, node, question)

    async def tell_time(caller: Caller, act: Act | None, nothing: Nothing) -> peer.NodeTime:
        del caller, act, nothing
        return peer.NodeTime(time=node.now())

    async def fetch_document(caller: Caller, act: Act | None, place: DocumentPlace) -> AsyncIterator[Chunk]:
        del act
        if withheld(node.trust.in_force.agreement, caller.node, node.name) == SUSPENDED:
            raise UnavailableError(SUSPENDED, "nothing is exchanged for now: ask again once the suspension is lifted")
        find = partial(open_to_province, node, place, caller.node)
        async for chunk in serve_document(node, place, caller.node, find=find):
            yield chunk

    return (
        bind(peer.SUBMIT, submit),
        bind(peer.DIGEST_RANGE, digest_range),
        bind(peer.TELL_TIME, tell_time),
        bind(peer.FETCH_DOCUMENT, fetch_document),
        _agreement(node, home),
    )


def _agreement(node: Node, home: Path) -> Binding:
    held = HeldFiles(home)

    async def fetch_agreement(caller: Caller, act: Act | None, asked: peer.AgreementQuery) -> AgreementFiles:
        del act
        current, former = node.trust.in_force.agreement.version, node.trust.in_force.agreement.former
        if (gone := former.get(caller.node)) is not None:
            return await asyncio.to_thread(held.read_earlier, gone.last_agreement + 1)
        if asked.version not in (0, current):
            return await asyncio.to_thread(held.read_earlier, asked.version)
        is_known = not asked.version and asked.known_version == current
        return await asyncio.to_thread(held.read, whole=not is_known)

    return bind(peer.FETCH_AGREEMENT, fetch_agreement)


def read_functions(
    node: Node, *, witness: Witness, cosigning: Cosigning, is_listening: Callable[[], bool] = lambda: True
) -> ReadFunctions:
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
            raise NotFoundError(NEVER_COSIGNED, "this witness has cosigned no checkpoint of that log")
        return note

    async def health() -> str | None:
        troubles = log_troubles(node, cosigning)
        return troubles[0] if troubles else None if is_listening() else "starting"

    async def notice() -> str | None:
        return quorum_warning(cosigning)

    return ReadFunctions(
        checkpoint=checkpoint,
        tile=tile,
        add_checkpoint=add_checkpoint,
        cosigned=cosigned,
        health=health,
        notice=notice,
    )


async def _answer(node: Node, submission: Submission, caller: NodeName) -> Answer:
    try:
        return await receive(node, submission, peer=caller)
    except BridgeheadError as error:
        return error
    except Exception:  # noqa: BLE001 - one message that breaks us must not take the others of the call with it
        _log.exception("message.failed", peer=caller)
        return UnavailableError("RECEIVE_FAILED", "this node could not judge the message; its operator is told")


def _message_page(node: Node, query: MessageQuery, shown: Inspection) -> MessagePage:
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
            head=find_head(node.database, message) if _is_entry(node, message) else None,
        )
        for message in found
        if shown.has_message(decode_statement(parse_envelope(message.envelope).payload), node.name)
    )
    return MessagePage(messages=messages, next_after_seq=found[-1].seq if len(found) == query.page_size else None)


def _is_entry(node: Node, message: StoredMessage) -> bool:
    kind = node.kinds.get(message.kind)
    return kind is not None and kind.partial


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
