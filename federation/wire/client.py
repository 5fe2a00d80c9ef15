"""The clients: a node's to one peer, an agency's to its own node. One kept channel each.

Rules kept: every call has a deadline; what a call ended with is translated by the status table, so a caller sees errors
of the house only; a new certificate or CA makes a new channel and lets the calls on the old one end. No retry happens
here: who knows the id decides (`node.exchange.deliver`).
Trusts the server when its certificate is from the one CA given and carries the expected name (`<node>.<federation>`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from time import monotonic
from typing import Any

import grpc

from federation.domain.permit import PermitApplication, PermitUrn, RevokeReason
from federation.protocol.errors import NotFoundError, UnavailableError
from federation.protocol.ids import Pair
from federation.protocol.receipt import Answer, Submission
from federation.protocol.trust.agreement import AgreementFiles
from federation.v1 import (
    agreement_service_pb2,
    agreement_service_pb2_grpc,
    audit_service_pb2_grpc,
    exchange_service_pb2_grpc,
    node_service_pb2,
    node_service_pb2_grpc,
    permit_service_pb2,
    permit_service_pb2_grpc,
    reconciliation_service_pb2_grpc,
)
from federation.wire import convert, convert_permit
from federation.wire.lookups.calls import LookupCalls, SubjectCalls
from federation.wire.lookups.corrections.calls import CorrectionCalls
from federation.wire.lookups.intake.calls import IntakeCalls
from federation.wire.lookups.oversight.calls import OversightCalls
from federation.wire.retention.erasure import ErasureCalls
from federation.wire.retention.reading import ReadingCalls
from federation.wire.rpc import MAX_MESSAGE_BYTES, A, Q, Rpc
from federation.wire.status import error_of_call, finished
from federation.wire.tls import TlsPair, WatchedTls, channel_credentials
from federation.wire.values import (
    Act,
    ClientProfile,
    ImportChunk,
    ImportedRow,
    MessagePage,
    MessageQuery,
    NodeStatus,
    PairDigest,
    PermitAnswer,
    PermitPage,
    PermitQuery,
    PermitRecognition,
    RecognitionAnswer,
    TlsFiles,
)

DRAIN_SECONDS = 30.0
"""How long calls on a replaced channel may go on."""

LOOK_SECONDS = 1.0
"""How often the files of the certificate are looked at: on every call it would cost as much as sending one."""

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


class KeptChannel:
    """One channel, kept as long as its certificate and CA are the newest."""

    def __init__(self, address: str, *, tls: TlsFiles, authority: Callable[[], str], server_name: str | None) -> None:
        """Reads the certificate; connects on the first call.

        `authority` gives the PEM of the CA that the server's certificate must be from.

        Raises:
            NotFoundError, MalformedError: as `WatchedTls`.
        """
        self._address = address
        self._watched = WatchedTls(tls)
        self._authority = authority
        self._options = (*_OPTIONS, *([("grpc.ssl_target_name_override", server_name)] if server_name else []))
        self._made_of: tuple[TlsPair, str] | None = None
        self._channel: grpc.aio.Channel | None = None
        self._look_time = 0.0
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def current(self) -> grpc.aio.Channel:
        """The channel to use now; a new one when the certificate or the CA changed, at most a second ago.

        Raises:
            UnavailableError: CHANNEL_CLOSED after `close`.
        """
        if self._closed:
            raise UnavailableError("CHANNEL_CLOSED", f"the client of {self._address} was closed")
        now = monotonic()
        if self._channel is not None and now < self._look_time:
            return self._channel
        self._look_time = now + LOOK_SECONDS
        made_of = (self._watched.current(), self._authority())
        if self._channel is None or made_of != self._made_of:
            self._retire()
            self._channel = grpc.aio.secure_channel(self._address, channel_credentials(*made_of), options=self._options)
            self._made_of = made_of
        return self._channel

    async def close(self) -> None:
        """Ends the calls at work and closes the channel."""
        self._closed = True
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()

    def _retire(self) -> None:
        if self._channel is not None:
            task = asyncio.create_task(self._channel.close(DRAIN_SECONDS))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


class PeerClient:
    """One other province, over gRPC."""

    def __init__(self, address: str, *, tls: TlsFiles, authority: Callable[[], str], server_name: str | None) -> None:
        """Connects on the first call; the arguments are those of `KeptChannel`."""
        self._kept = KeptChannel(address, tls=tls, authority=authority, server_name=server_name)
        self._submit: tuple[grpc.aio.Channel, exchange_service_pb2_grpc.ExchangeServiceAsyncStub] | None = None

    async def submit(self, submissions: Sequence[Submission], *, timeout_seconds: float) -> list[Answer]:
        """Sends submissions and returns one answer for each, in order.

        Raises:
            BridgeheadError: the call as a whole failed, nothing is known about any submission: `UnavailableError` when
                the peer was not reached, `UntrustedError` when it refused us or is not who it should be,
                `MalformedError` when it could not read the request or we not its answer.
        """
        channel = self._kept.current()
        if self._submit is None or self._submit[0] is not channel:
            self._submit = (channel, exchange_service_pb2_grpc.ExchangeServiceStub(channel))
        call = self._submit[1].Submit(convert.submissions_to_pb(submissions), timeout=timeout_seconds)
        return convert.answers_from_pb(await finished(call), expected=len(submissions))

    async def fetch_agreement(self, known_version: int = 0, *, timeout_seconds: float) -> AgreementFiles:
        """Reads the peer's newest agreement, unverified; its `targets` are empty when `known_version` is the newest."""
        return await _fetch_agreement(self._kept, known_version, timeout_seconds)

    async def digest_range(self, pair: Pair, *, from_seq: int, to_seq: int, timeout_seconds: float) -> PairDigest:
        """Reads the peer's digest of a range, both ends included."""
        stub = reconciliation_service_pb2_grpc.ReconciliationServiceStub(self._kept.current())
        call = stub.DigestRange(convert.digest_request_to_pb(pair, from_seq, to_seq), timeout=timeout_seconds)
        return convert.digest_from_pb(await finished(call))

    async def close(self) -> None:
        """Closes the channel."""
        await self._kept.close()


class AgencyClient:
    """An agency's own node, over gRPC. Every method raises errors of the house as the status table says."""

    def __init__(self, profile: ClientProfile, *, timeout_seconds: float = 30.0) -> None:
        """Connects on the first call; the time is each call's deadline.

        Raises:
            NotFoundError: TLS_FILE when the CA, certificate or key is missing.
            MalformedError: as `WatchedTls`.
        """
        try:
            authority = profile.authority.read_text(encoding="utf-8")
        except OSError as error:
            raise NotFoundError("TLS_FILE", f"expected {profile.authority}") from error
        self._timeout_seconds = timeout_seconds
        self._kept = KeptChannel(
            profile.address, tls=profile.tls, authority=lambda: authority, server_name=profile.server_name
        )
        self.lookups = LookupCalls(self._kept.current, timeout_seconds)
        self.oversight = OversightCalls(self._kept.current, timeout_seconds)
        self.subjects = SubjectCalls(self._kept.current, timeout_seconds)
        self.corrections = CorrectionCalls(self._kept.current, timeout_seconds)
        self.readings = ReadingCalls(self._kept.current, timeout_seconds)
        self.erasures = ErasureCalls(self._kept.current, timeout_seconds)
        self.intake = IntakeCalls(self._kept.current, timeout_seconds)

    async def call(self, rpc: Rpc[Q, A], act: Act | None, question: Q) -> A:
        """Asks one question; `act` is None for an RPC that does not say who acts.

        Raises:
            BridgeheadError: as the node answered; `UnavailableError` when it was not reached, `MalformedError` when its
                answer could not be read.
        """
        call: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = self._kept.current().unary_unary(
            rpc.path,
            request_serializer=rpc.request.SerializeToString,
            response_deserializer=rpc.response.FromString,
        )
        request = rpc.encode_question(act, question)
        return rpc.decode_answer(await finished(call(request, timeout=self._timeout_seconds)), question=question)

    async def watch(self, rpc: Rpc[Q, A], act: Act | None, question: Q) -> AsyncGenerator[A, None]:
        """Asks once and is answered on and on, until the node stops.

        Raises:
            BridgeheadError: as `call`.
        """
        ask: grpc.aio.UnaryStreamMultiCallable[Any, Any] = self._kept.current().unary_stream(
            rpc.path,
            request_serializer=rpc.request.SerializeToString,
            response_deserializer=rpc.response.FromString,
        )
        call = ask(rpc.encode_question(act, question))
        try:
            async for found in call:
                yield rpc.decode_answer(found, question=question)
        except grpc.aio.AioRpcError as error:
            raise error_of_call(error) from error
        finally:
            call.cancel()

    async def get_status(self) -> NodeStatus:
        """Reads the state of the node and of its peers."""
        stub = node_service_pb2_grpc.NodeServiceStub(self._kept.current())
        call = stub.GetStatus(node_service_pb2.GetStatusRequest(), timeout=self._timeout_seconds)
        return convert.status_from_pb(await finished(call))

    async def fetch_agreement(self, known_version: int = 0) -> AgreementFiles:
        """Reads the node's newest agreement, unverified; its `targets` are empty when `known_version` is the newest."""
        return await _fetch_agreement(self._kept, known_version, self._timeout_seconds)

    async def list_messages(self, act: Act, query: MessageQuery) -> MessagePage:
        """Reads one page of the messages exchanged with one peer."""
        stub = audit_service_pb2_grpc.AuditServiceStub(self._kept.current())
        call = stub.ListMessages(convert.message_query_to_pb(act, query), timeout=self._timeout_seconds)
        return convert.message_page_from_pb(await finished(call))

    async def register_permit(self, act: Act, application: PermitApplication) -> PermitAnswer:
        """Issues a permit."""
        request = permit_service_pb2.RegisterPermitRequest(
            act=convert.act_to_pb(act), application=convert_permit.application_to_pb(application)
        )
        call = self._permits().RegisterPermit(request, timeout=self._timeout_seconds)
        return convert_permit.permit_answer_from_pb(await finished(call))

    async def endorse_permit(self, act: Act, urn: PermitUrn) -> PermitAnswer:
        """Endorses (签注) a permit."""
        request = permit_service_pb2.EndorsePermitRequest(act=convert.act_to_pb(act), urn=urn)
        call = self._permits().EndorsePermit(request, timeout=self._timeout_seconds)
        return convert_permit.permit_answer_from_pb(await finished(call))

    async def suspend_permit(self, act: Act, urn: PermitUrn) -> PermitAnswer:
        """Records that a permit stopped working."""
        request = permit_service_pb2.SuspendPermitRequest(act=convert.act_to_pb(act), urn=urn)
        call = self._permits().SuspendPermit(request, timeout=self._timeout_seconds)
        return convert_permit.permit_answer_from_pb(await finished(call))

    async def restore_permit(self, act: Act, urn: PermitUrn) -> PermitAnswer:
        """Restores a suspended permit."""
        request = permit_service_pb2.RestorePermitRequest(act=convert.act_to_pb(act), urn=urn)
        call = self._permits().RestorePermit(request, timeout=self._timeout_seconds)
        return convert_permit.permit_answer_from_pb(await finished(call))

    async def revoke_permit(self, act: Act, urn: PermitUrn, *, reason: RevokeReason) -> PermitAnswer:
        """Revokes (注销) a permit."""
        request = permit_service_pb2.RevokePermitRequest(
            act=convert.act_to_pb(act), urn=urn, reason=convert_permit.revoke_reason_to_pb(reason)
        )
        call = self._permits().RevokePermit(request, timeout=self._timeout_seconds)
        return convert_permit.permit_answer_from_pb(await finished(call))

    async def recognise_permit(self, act: Act, recognition: PermitRecognition) -> RecognitionAnswer:
        """Recognises another province's permit."""
        request = permit_service_pb2.RecognisePermitRequest(
            act=convert.act_to_pb(act),
            urn=recognition.urn,
            mode=convert_permit.mode_to_pb(recognition.mode),
            citizen_number=recognition.citizen_number,
        )
        call = self._permits().RecognisePermit(request, timeout=self._timeout_seconds)
        return convert_permit.recognition_answer_from_pb(await finished(call))

    async def get_permit(self, act: Act, urn: PermitUrn) -> PermitAnswer:
        """Reads one permit."""
        request = permit_service_pb2.GetPermitRequest(act=convert.act_to_pb(act), urn=urn)
        call = self._permits().GetPermit(request, timeout=self._timeout_seconds)
        return convert_permit.reading_from_pb(await finished(call))

    async def list_permits(self, act: Act, query: PermitQuery) -> PermitPage:
        """Reads one page of permits."""
        call = self._permits().ListPermits(convert_permit.query_to_pb(act, query), timeout=self._timeout_seconds)
        return convert_permit.page_from_pb(await finished(call))

    async def import_permits(self, act: Act, chunk: ImportChunk) -> tuple[ImportedRow, ...]:
        """Sends one chunk of an import; what each row came to, in order."""
        call = self._permits().ImportPermits(convert_permit.chunk_to_pb(act, chunk), timeout=self._timeout_seconds)
        return convert_permit.imported_from_pb(await finished(call), expected=len(chunk.rows))

    async def close(self) -> None:
        """Closes the channel."""
        await self._kept.close()

    def _permits(self) -> permit_service_pb2_grpc.PermitServiceAsyncStub:
        return permit_service_pb2_grpc.PermitServiceStub(self._kept.current())


async def _fetch_agreement(kept: KeptChannel, known_version: int, timeout_seconds: float) -> AgreementFiles:
    stub = agreement_service_pb2_grpc.AgreementServiceStub(kept.current())
    request = agreement_service_pb2.FetchAgreementRequest(known_version=known_version)
    return convert.agreement_from_pb(await finished(stub.FetchAgreement(request, timeout=timeout_seconds)))
