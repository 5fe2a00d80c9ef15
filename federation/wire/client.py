"""The client: an agency's to its own node, and what a node's to a peer (`peer`) is made of. One renewed channel each.

Rules kept: every call has a deadline; what a call ended with is translated by the status table, so a caller sees errors
of the house only; a new certificate or CA makes a new channel and lets the calls on the old one end. No retry happens
here: who knows the id decides (`node.exchange.deliver`).
Trusts the server when its certificate is from the one CA given and carries the expected name (`<node>.<federation>`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic
from typing import Any, TypeAlias

import grpc

from federation.protocol.errors import BridgeheadError, NotFoundError, UnavailableError
from federation.protocol.keys import Signer
from federation.wire.ended import explain_ended
from federation.wire.rpc import (
    MESSAGE_OPTIONS,
    SIGNATURE_KEY,
    A,
    Act,
    ClientProfile,
    OwnKey,
    Q,
    Rpc,
    TlsFiles,
    act_text,
)
from federation.wire.status import error_of_call
from federation.wire.tls import TlsPair, WatchedTls, channel_credentials

Metadata: TypeAlias = tuple[tuple[str, bytes], ...]
OfficerSign: TypeAlias = Callable[[str], Signer | None]
DRAIN_SECONDS = 30.0

LOOK_SECONDS = 1.0
"""How often the files of the certificate are looked at: on every call it would cost as much as sending one."""

_OPTIONS = (
    *MESSAGE_OPTIONS,
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),  # a node is reached directly: a proxy of the environment is for the web
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


class RenewedChannel:
    def __init__(self, address: str, *, tls: TlsFiles, authority: Callable[[], str], server_name: str | None) -> None:
        """Reads the certificate; connects on the first call.

        `authority` gives the PEM of the CA that the server's certificate must be from. Raises NotFoundError,
        MalformedError: as `WatchedTls`.
        """
        self._address = address
        self._tls = tls
        self._watched = WatchedTls(tls)
        self._authority = authority
        self._options = (*_OPTIONS, *([("grpc.ssl_target_name_override", server_name)] if server_name else []))
        self._made_of: tuple[TlsPair, str] | None = None
        self._channel: grpc.aio.Channel | None = None
        self._look_time = 0.0
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def current(self) -> grpc.aio.Channel:
        """The channel to use; a new one when certificate or CA changed, at most a second ago (CHANNEL_CLOSED)."""
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

    async def explained(self, error: BridgeheadError) -> BridgeheadError:
        """The error to raise for a call on this channel: why, when a certificate has ended."""
        return await explain_ended(error, address=self._address, files=self._tls, pair=self._watched.current())

    async def close(self) -> None:
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


class Client:
    """Asks the other side of one channel, renewed with its certificates; every call has a deadline."""

    def __init__(self, channel: RenewedChannel, *, timeout_seconds: float) -> None:
        """Connects on the first call; the time is the deadline of each call that names none of its own."""
        self._channel = channel
        self._timeout_seconds = timeout_seconds
        self._calls: dict[str, grpc.aio.UnaryUnaryMultiCallable[Any, Any]] = {}
        self._calls_on: grpc.aio.Channel | None = None

    async def call(self, rpc: Rpc[Q, A], act: Act | None, question: Q, *, timeout_seconds: float | None = None) -> A:
        """Asks one question; `act` is None for an RPC that does not say who acts.

        Raises BridgeheadError: as the other side answered; the call as a whole failed, and nothing is known of what it
        asked for: `UnavailableError` when nobody was reached, `UntrustedError` when the other side refused us or is not
        who it should be, `MalformedError` when it could not read the request or we not its answer.
        """
        request, metadata = self._request(rpc, act, question)
        timeout = timeout_seconds or self._timeout_seconds
        try:
            response = await self._callable(rpc)(request, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise await self._channel.explained(error_of_call(error)) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Nobody cancelled the caller: its channel was closed under it.
            raise UnavailableError("CALL_CANCELLED", "the client was closed while the call was at work") from error
        return rpc.decode_answer(response, question=question)

    async def watch(self, rpc: Rpc[Q, A], act: Act | None, question: Q) -> AsyncGenerator[A, None]:
        """Asks once and is answered on and on, without a deadline, until the other side stops; raises as `call`."""
        async with aclosing(self.watch_encoded(rpc, act, question)) as stream:
            async for found in stream:
                for each in rpc.decode_answers(found, question=question):
                    yield each

    async def watch_encoded(self, rpc: Rpc[Q, A], act: Act | None, question: Q) -> AsyncGenerator[bytes, None]:
        """As `watch`, the answers as they came."""
        ask: grpc.aio.UnaryStreamMultiCallable[Any, Any] = self._channel.current().unary_stream(rpc.path)
        request, metadata = self._request(rpc, act, question)
        call = ask(request, metadata=metadata)
        try:
            async for found in call:
                yield found
        except grpc.aio.AioRpcError as error:
            raise error_of_call(error) from error
        finally:
            call.cancel()

    async def close(self) -> None:
        await self._channel.close()

    def _callable(self, rpc: Rpc[Any, Any]) -> grpc.aio.UnaryUnaryMultiCallable[Any, Any]:
        channel = self._channel.current()
        if channel is not self._calls_on:
            self._calls, self._calls_on = {}, channel
        if rpc.path not in self._calls:
            self._calls[rpc.path] = channel.unary_unary(rpc.path)
        return self._calls[rpc.path]

    def _request(self, rpc: Rpc[Q, A], act: Act | None, question: Q) -> tuple[bytes, Metadata]:
        """The bytes to send, encoded once, and beside them the acting officer's signature over these very bytes."""
        request = rpc.encode_question(act, question).SerializeToString()
        return request, self._beside(rpc, act, request) if act is not None and rpc.signed is not OwnKey.NEVER else ()

    def _beside(self, rpc: Rpc[Any, Any], act: Act, request: bytes) -> Metadata:
        del rpc, act, request
        return ()


class AgencyClient(Client):
    def __init__(
        self, profile: ClientProfile, *, sign: OfficerSign = lambda _: None, timeout_seconds: float = 30.0
    ) -> None:
        """Connects on the first call; the time is each call's deadline.

        `sign` gives the own key of the officer who acts; without one a call goes out unsigned, and the node says so.

        Raises NotFoundError: TLS_FILE when the CA, certificate or key is missing. MalformedError: as `WatchedTls`.
        """
        try:
            authority = profile.authority.read_text(encoding="utf-8")
        except OSError as error:
            raise NotFoundError("TLS_FILE", f"expected {profile.authority}") from error
        channel = RenewedChannel(
            profile.address, tls=profile.tls, authority=lambda: authority, server_name=profile.server_name
        )
        super().__init__(channel, timeout_seconds=timeout_seconds)
        self._agency, self._sign = profile.agency, sign

    def _beside(self, rpc: Rpc[Any, Any], act: Act, request: bytes) -> Metadata:
        key = self._sign(act.officer)
        if key is None:
            return ()
        return ((SIGNATURE_KEY, key.sign(act_text(rpc.path, self._agency, act, request=request))),)
