"""The gate around every RPC, in this order: who calls, what may be called, a place, the request, the work, a log line.

Rules kept: the caller is the one URI name of the certificate, a SPIFFE id of this federation, never a field and never
metadata; the certificate is issued by the CA that the agreement gives to *that* node, not expired and not revoked; an
agency stands in the agreement in force; all this also on a connection opened long before, and again while a stream is
open. No message is verified and no policy asked here; identity and revocation have no switch; a refusal comes before
the request is read, so that nobody learns what exists and a stranger's request takes no memory; an unknown exception
leaves as INTERNAL with an id and nothing else. Nothing of a request is logged. Trusts the TLS handshake for
possession of the key alone. Who does not read a stream is hung up on. What an officer signed of a call is handed on
with the caller, unverified: the node knows the registered key. Source: DESIGN sections 7 and 8, SPIFFE X.509-SVID,
RFC 5280.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from time import perf_counter
from typing import Any

import grpc
import protovalidate
import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from google.protobuf.message import DecodeError, Message
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Histogram

from federation.protocol.errors import (
    BridgeheadError,
    CorruptError,
    MalformedError,
    StaleError,
    UnavailableError,
    UntrustedError,
)
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_spiffe_id
from federation.protocol.unseen import verify_written
from federation.wire.ended import RENEW
from federation.wire.forms import in_words
from federation.wire.limits import SLOW_SECONDS, Context, Ending, PlaceTaken, Shares, taken, within
from federation.wire.rpc import BOTH, SIGNATURE_KEY, A, Act, Nothing, OwnKey, Q, Rpc, Side, SignedAct, act_text
from federation.wire.status import DETAILS_KEY, code_of, encode_status


class Gate(Struct, frozen=True, kw_only=True):
    """The rules of one port for its callers. The functions read the agreement in force, so a new one counts at once.

    `ca_of` gives the PEM of a node's CA, None for a stranger. `revoked` is asked with the node whose CA issued the
    certificate and the serial in lower-case hex without leading zeros. `agreed` says whether the agreement names an
    agency: an old certificate of one that was retired opens nothing. `expelled` says whether a node was a member: it
    may call what is for `Rpc.former` alone. `heard` is told of each admitted call of a peer.
    So long, `slow_seconds`, a stream waits until what it wrote is taken.
    """

    side: Side
    federation: str
    node: NodeName
    ca_of: Callable[[NodeName], str | None]
    revoked: Callable[[NodeName, str], bool]
    agreed: Callable[[AgencyId], bool]
    now: Callable[[], datetime]
    expelled: Callable[[NodeName], bool] = lambda _: False
    heard: Callable[[NodeName], None] = lambda _: None
    slow_seconds: float = SLOW_SECONDS


class Caller(Struct, frozen=True, kw_only=True):
    """A caller as its certificate names it. `node` is the caller itself, or the province of the agency.

    `signed` is what the officer is to have signed of this call; None where none of the kind is wanted.
    """

    identity: NodeName | AgencyId
    node: NodeName
    serial: str
    not_before: datetime
    not_after: datetime
    signed: SignedAct | None = None

    @property
    def agency(self) -> AgencyId:
        """The agency that calls. Raises UntrustedError: CALLER_SIDE when it is a node."""
        if not isinstance(self.identity, AgencyId):
            raise UntrustedError("CALLER_SIDE", "expected a call by an agency of this province")
        return self.identity


_calling: ContextVar[Caller] = ContextVar("calling")


def enter_call(caller: Caller) -> None:
    """Makes the admitted caller known to the step that runs next in this task."""
    _calling.set(caller)


def calling() -> Caller:
    """Returns the caller. Raises UntrustedError: CALLER_SIDE outside of an admitted call."""
    caller = _calling.get(None)
    if caller is None:
        raise UntrustedError("CALLER_SIDE", "expected an admitted call")
    return caller


def verify_caller(auth_context: Mapping[str, Iterable[bytes]], gate: Gate) -> Caller:
    """Verifies the connection's certificate against the agreement now (CERTIFICATE_*, CALLER_SIDE, NOT_AN_AGENCY)."""
    pem = next(iter(auth_context.get("x509_pem_cert", ())), None)
    if pem is None:
        raise UntrustedError("CERTIFICATE_MISSING", "expected a client certificate")
    caller = _read_certificate(pem, gate.federation)
    authority = gate.ca_of(caller.node)
    if authority is None:
        raise UntrustedError("CERTIFICATE_ISSUER", f"the agreement has no CA of {caller.node}", node=caller.node)
    _verify_issuer(pem, authority)
    _verify_time(caller, gate.now())
    if gate.revoked(caller.node, caller.serial):
        raise UntrustedError("CERTIFICATE_REVOKED", "the certificate is revoked", serial=caller.serial)
    _verify_side(caller, gate)
    if isinstance(caller.identity, AgencyId) and not gate.agreed(caller.identity):
        raise UntrustedError("NOT_AN_AGENCY", f"the agreement in force names no agency {caller.identity}")
    return caller


def _verify_time(caller: Caller, now: datetime) -> None:
    if now > caller.not_after:
        sentence = f"the caller's certificate ended on {caller.not_after:%Y-%m-%d}; {RENEW}"
        raise UntrustedError("CERTIFICATE_EXPIRED", sentence, serial=caller.serial)
    if now < caller.not_before:
        sentence = f"the caller's certificate begins at {caller.not_before:%Y-%m-%dT%H:%MZ}: compare the clocks"
        raise UntrustedError("CERTIFICATE_EXPIRED", sentence, serial=caller.serial)


def verify_method(caller: Caller, rpc: Rpc[Any, Any] | None, side: Side) -> Rpc[Any, Any]:
    """Verifies that this caller may call this RPC here; what is not offered is for nobody (METHOD_DENIED)."""
    if rpc is None or side not in rpc.sides:
        raise UntrustedError("METHOD_DENIED", f"not offered on the {side} side")
    if rpc.kinds is not None and isinstance(caller.identity, AgencyId) and caller.identity.kind not in rpc.kinds:
        allowed = ", ".join(sorted(rpc.kinds))
        raise UntrustedError("METHOD_DENIED", f"expected an agency of the kind {allowed}, got {caller.identity.kind}")
    return rpc


def _verify_side(caller: Caller, gate: Gate) -> None:
    if gate.side is Side.PEER and (isinstance(caller.identity, AgencyId) or caller.node == gate.node):
        raise UntrustedError("CALLER_SIDE", f"expected another province's node, got {caller.identity}")
    if gate.side is Side.AGENCY and (not isinstance(caller.identity, AgencyId) or caller.node != gate.node):
        raise UntrustedError("CALLER_SIDE", f"expected an agency of {gate.node}, got {caller.identity}")


@lru_cache(maxsize=1024)
def _read_certificate(pem: bytes, federation: str) -> Caller:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise UntrustedError("CERTIFICATE_NAME", "expected a certificate with one URI name") from error
    if len(uris) != 1:
        raise UntrustedError("CERTIFICATE_NAME", f"expected exactly one URI name, got {len(uris)}")
    try:
        identity = parse_spiffe_id(federation, uris[0])
    except MalformedError as error:
        raise UntrustedError("CERTIFICATE_NAME", error.message) from error
    return Caller(
        identity=identity,
        node=identity.node if isinstance(identity, AgencyId) else identity,
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


@lru_cache(maxsize=1024)
def _verify_issuer(pem: bytes, authority: str) -> None:
    """Verifies that one of the node's own CA certificates signed this one; what verified is kept, a failure is not."""
    certificate = x509.load_pem_x509_certificate(pem)
    for issuer in x509.load_pem_x509_certificates(authority.encode()):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return
    raise UntrustedError(
        "CERTIFICATE_ISSUER", "the certificate is not from the CA that the agreement gives to its node"
    )


REGISTRY = CollectorRegistry(auto_describe=True)

_CALLS = Counter("bridgehead_rpc", "RPCs by method, side and code", ("method", "side", "code"), registry=REGISTRY)
_SECONDS = Histogram("bridgehead_rpc_seconds", "Seconds an RPC took", ("method", "side"), registry=REGISTRY)
_MESSAGES = Counter(
    "bridgehead_messages", "Messages received and decided here", ("peer", "kind", "verdict"), registry=REGISTRY
)

DEFAULT_SECONDS = 30.0
"""The deadline of a call that names none, as those of `buf curl` do; a stream lives as long as its connection."""

ASK_AGAIN_SECONDS = 2.0
"""How often the gate looks again at who has a stream open."""

_log = structlog.get_logger()


_REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
_HEALTH = "/grpc.health.v1.Health/"
_GRPC: Mapping[str, Rpc[Any, Any]] = {
    _HEALTH + "Check": Rpc(_HEALTH + "Check", Nothing, Nothing, sides=BOTH, floor_seconds=0.01, polled=True),
    _HEALTH + "Watch": Rpc(_HEALTH + "Watch", Nothing, Nothing, sides=BOTH, floor_seconds=None),
    _REFLECTION: Rpc(_REFLECTION, Nothing, Nothing, sides=BOTH, floor_seconds=None),
}
"""What gRPC's own services answer; only who may call them and for how long is read of these lines."""


@dataclass(slots=True)
class _Call:
    method: str
    rpc: Rpc[Any, Any] | None
    gate: Gate
    started: float
    caller: str = ""
    place: PlaceTaken = field(init=False)
    deadline_left_seconds: float | None = None
    code: str = "OK"
    reason: str | None = None


class _Wrapped(grpc.RpcMethodHandler):  # type: ignore[type-arg]  # generic in its stub only
    """To gRPC every request is a stream, which the gate reads once it knows who calls."""

    def __init__(self, handler: grpc.RpcMethodHandler[Any, Any], checked: Callable[..., object]) -> None:
        self.request_streaming = True
        self.response_streaming = handler.response_streaming
        self.request_deserializer = handler.request_deserializer if handler.request_streaming else None
        self.response_serializer = handler.response_serializer if handler.response_streaming else None
        self.unary_unary = self.unary_stream = None
        shape = "stream_stream" if handler.response_streaming else "stream_unary"
        self.stream_unary = self.stream_stream = None
        setattr(self, shape, checked)


class Gatekeeper(grpc.aio.ServerInterceptor):
    """Wraps every handler of one port: admits the caller, translates errors, counts and logs."""

    def __init__(self, gate: Gate, offered: Mapping[str, Rpc[Any, Any]], *, hang_up: Callable[[str], bool]) -> None:
        self._gate = gate
        self._hang_up = hang_up
        self._offered = {**offered, **_GRPC}
        self._shares = Shares()
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Finds the handler and wraps it; it is called with the connection only later, per RPC."""
        name = handler_call_details.method
        if name not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[name] = _Wrapped(handler, self._wrap(name, handler))
        return self._wrapped[name]

    def _wrap(self, name: str, handler: grpc.RpcMethodHandler[Any, Any]) -> Callable[..., object]:
        inner = handler.unary_unary or handler.unary_stream or handler.stream_stream
        if inspect.isasyncgenfunction(inner):
            return self._stream(name, handler, inner)
        if inspect.iscoroutinefunction(inner):
            return self._unary(name, handler, inner)
        raise CorruptError("SERVICER", f"expected every RPC to be asynchronous, {name} is not")

    def _unary(
        self, name: str, handler: grpc.RpcMethodHandler[Any, Any], inner: Callable[..., Awaitable[Any]]
    ) -> Callable[..., object]:
        encode = handler.response_serializer or bytes

        async def checked(requests: object, context: Context) -> bytes | None:
            del requests
            async with self._admitted(name, context, stream=handler.response_streaming) as call:
                request = await _read(call, context, handler)
                if handler.response_streaming:  # as gRPC's own health service does: it writes by itself
                    async with self._while_admitted(context):
                        await inner(request, context)
                    return None
                async with _own_deadline(call):
                    answered = encode(await inner(request, context))
                call.place.hold(len(answered))
                return answered

        return checked

    def _stream(
        self, name: str, handler: grpc.RpcMethodHandler[Any, Any], inner: Callable[..., AsyncGenerator[Any, None]]
    ) -> Callable[..., object]:
        async def checked(requests: object, context: Context) -> None:
            async with self._admitted(name, context, stream=True) as call:
                request = requests if handler.request_streaming else await _read(call, context, handler)
                await context.send_initial_metadata(())  # or its status could not be sent beside a first message
                auth, untold = context.auth_context(), partial(self._cut, call, context)
                async with self._while_admitted(context) as ending, aclosing(inner(request, context)) as responses:
                    async for response in responses:
                        verify_caller(auth, self._gate)
                        with taken(ending, context, response, seconds=self._gate.slow_seconds, untold=untold):
                            await context.write(response)

        return checked

    def _cut(self, call: _Call, context: Context) -> None:
        if self._hang_up(context.peer()):
            _log.warning("stream.unread", method=call.method, caller=call.caller)

    @asynccontextmanager
    async def _while_admitted(self, context: Context) -> AsyncIterator[Ending]:
        """Ends a stream with the gate's refusal, a few seconds after it would refuse.

        A stream outlives a revocation, a retirement and the certificate, also while nothing comes.
        """
        loop, auth = asyncio.get_running_loop(), context.auth_context()
        timer: asyncio.TimerHandle

        def ask_again() -> None:
            nonlocal timer
            try:
                verify_caller(auth, self._gate)
            except Exception as error:  # noqa: BLE001 - what cannot be verified is not admitted
                ending.end(error)
            else:
                timer = loop.call_later(ASK_AGAIN_SECONDS, ask_again)

        timer = loop.call_later(ASK_AGAIN_SECONDS, ask_again)
        try:
            async with Ending() as ending:
                yield ending
        finally:
            timer.cancel()

    @asynccontextmanager
    async def _admitted(self, name: str, context: Context, *, stream: bool) -> AsyncIterator[_Call]:
        """Wraps the work of one call: what comes before and after it, whatever it ends with."""
        call = _Call(name, self._offered.get(name), self._gate, perf_counter())
        try:
            _admit(call, context)
            watch = call.rpc is not None and call.rpc.watched
            call.place = self._shares.enter(call.caller, stream=stream, watch=watch)
            context.add_done_callback(call.place.leave)  # type: ignore[arg-type]  # once the answer has left
            yield call
        except BaseException as error:
            await _abort(call, context, error)
            raise
        finally:
            _finish(call)


def _admit(call: _Call, context: Context) -> None:
    caller = verify_caller(context.auth_context(), call.gate)
    call.caller = str(caller.identity)
    rpc = verify_method(caller, call.rpc, call.gate.side)
    if call.gate.expelled(caller.node) and not rpc.former:
        raise UntrustedError("EXPELLED", f"{caller.node} is no member any more")
    _verify_deadline(call, rpc, context)
    if call.gate.side is Side.PEER:
        call.gate.heard(caller.node)
    enter_call(caller)


async def _read(call: _Call, context: Context, handler: grpc.RpcMethodHandler[Any, Any]) -> object:
    """Reads the one request of an admitted call (REQUEST_MISSING, REQUEST_FORM)."""
    async with call.place.share.reading:
        encoded = await context.read()
    if encoded is grpc.aio.EOF:
        raise MalformedError("REQUEST_MISSING", "expected a request, got an empty call")
    call.place.hold(len(encoded))
    try:
        return (handler.request_deserializer or bytes)(encoded)
    except DecodeError as error:
        raise MalformedError("REQUEST_FORM", "the request is not of the message that this call takes") from error


def _verify_deadline(call: _Call, rpc: Rpc[Any, Any], context: Context) -> None:
    left = context.time_remaining()
    call.deadline_left_seconds = left
    floor = rpc.floor_seconds
    if floor is not None and left is not None and left < floor:
        raise StaleError("DEADLINE_SHORT", f"expected a deadline of at least {floor} seconds, got {left:.3f}")


def _own_deadline(call: _Call) -> AbstractAsyncContextManager[None]:
    """Ends the work of a call that named no deadline, or it could hold the server for ever."""
    if call.deadline_left_seconds is not None:
        return nullcontext()
    sentence = f"the call named no deadline, and {DEFAULT_SECONDS:g} seconds are over"
    return within(DEFAULT_SECONDS, "DEADLINE_EXCEEDED", sentence)


async def _abort(call: _Call, context: Context, error: BaseException) -> None:
    """Ends the call with the status of the error; what gRPC itself raised goes on untouched."""
    if isinstance(error, grpc.aio.AbortError):
        call.code = str(getattr(context.code(), "name", None) or "ABORTED")
        return
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        call.code = "CANCELLED"
        return
    if not isinstance(error, BridgeheadError):
        if not isinstance(error, Exception):
            return
        error_id = secrets.token_hex(8)
        _log.error("rpc.failed", method=call.method, error_id=error_id, exc_info=error)
        error = UnavailableError("INTERNAL", "internal error: tell the operator this id", error_id=error_id)
    call.code, call.reason = code_of(error).name, error.reason
    await context.abort(code_of(error), error.message[:1000], ((DETAILS_KEY, encode_status(error)),))


@lru_cache(maxsize=512)
def _counter(method: str, side: str, code: str) -> Counter:
    return _CALLS.labels(method, side, code)


@lru_cache(maxsize=64)
def _histogram(method: str, side: str) -> Histogram:
    return _SECONDS.labels(method, side)


def count_message(peer: str, kind: str, verdict: str) -> None:
    """Counts a message that came with a call, once it is decided."""
    _MESSAGES.labels(peer, kind, verdict).inc()


def _finish(call: _Call) -> None:
    seconds = perf_counter() - call.started
    side = call.gate.side.value
    _counter(call.method, side, call.code).inc()
    _histogram(call.method, side).observe(seconds)
    left = call.deadline_left_seconds
    is_poll = call.rpc is not None and call.rpc.polled and call.code == "OK"
    _log.log(
        logging.DEBUG if is_poll else logging.INFO,
        "rpc.finished",
        method=call.method,
        side=side,
        caller=call.caller,
        code=call.code,
        reason=call.reason,
        duration_ms=round(seconds * 1000, 3),
        deadline_left_ms=None if left is None else round(left * 1000),
    )


_MAX_VIOLATIONS = 8


class Binding(Struct, frozen=True):
    """An RPC and its function; made by `bind`, which sees that they fit."""

    rpc: Rpc[Any, Any]
    answer: Callable[[Caller, Act | None, Any], Any]


def bind(rpc: Rpc[Q, A], answer: Callable[[Caller, Act | None, Q], Awaitable[A] | AsyncIterator[A]]) -> Binding:
    """Binds a function that answers once, or on and on: the next is read once the one before has left."""
    return Binding(rpc, answer)


def generic_handlers(bindings: Iterable[Binding]) -> tuple[grpc.GenericRpcHandler, ...]:
    services: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
    for binding in bindings:
        rpc = binding.rpc
        make = grpc.unary_stream_rpc_method_handler if rpc.stream else grpc.unary_unary_rpc_method_handler
        services.setdefault(rpc.service, {})[rpc.path.rpartition("/")[2]] = make(
            _stream(binding) if rpc.stream else _unary(binding),
            request_deserializer=partial(_sent, rpc),
        )
    return tuple(grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items())


class _Sent(Struct, frozen=True):
    """A request, and the very bytes that it came as: they are what an officer signed."""

    message: Message
    encoded: bytes


def _sent(rpc: Rpc[Any, Any], encoded: bytes) -> _Sent:
    return _Sent(rpc.request.FromString(encoded), encoded)


def _open(rpc: Rpc[Any, Any], sent: _Sent, context: Context) -> tuple[Caller, Act | None, Any]:
    """Returns the caller with what their officer signed, the act, and the question."""
    verify_shape(sent.message)
    act, question = rpc.decode_question(sent.message)
    caller = calling()
    if act is not None:
        verify_texts(sent.message)
    if act is None or rpc.signed is OwnKey.NEVER:
        return caller, act, question
    text = act_text(rpc.path, caller.agency, act, request=sent.encoded)
    found = next((value for key, value in context.invocation_metadata() or () if key == SIGNATURE_KEY), b"")
    signature = found if isinstance(found, bytes) else b""
    return replace(caller, signed=SignedAct(text=text, signature=signature)), act, question


def _unary(binding: Binding) -> Callable[..., Any]:
    rpc, answer = binding.rpc, binding.answer
    encode = _encoder(rpc)

    async def handle(sent: _Sent, context: Context) -> bytes:
        return encode(await answer(*_open(rpc, sent, context)))

    return handle


_KEPT_ANSWERS, _KEPT_NEWS = 2, 64
"""So many encoded answers that are one object for all who ask are kept; of a stream, for the offices that follow it."""


def _encoder(rpc: Rpc[Any, Any]) -> Callable[[Any], bytes]:
    """Encodes answers; one that is one object for all who ask (`Rpc.shared`) once, while it is among the newest."""
    if not rpc.shared:
        return rpc.encode_answer
    kept: OrderedDict[int, tuple[object, bytes]] = OrderedDict()

    def encode(answered: object) -> bytes:
        found = kept.get(id(answered))
        if found is None:
            found = kept[id(answered)] = answered, rpc.encode_answer(answered)
            if len(kept) > (_KEPT_NEWS if rpc.stream else _KEPT_ANSWERS):
                kept.popitem(last=False)
        return found[1]

    return encode


def _stream(binding: Binding) -> Callable[..., Any]:
    rpc, answer = binding.rpc, binding.answer
    encode = _encoder(rpc)

    async def handle(sent: _Sent, context: Context) -> AsyncIterator[bytes]:
        async for each in answer(*_open(rpc, sent, context)):
            # joined: messages in a row are one with the repeated fields of all (protobuf, Encoding, "Last One Wins")
            yield b"".join(map(encode, each)) if rpc.joined else encode(each)

    return handle


def verify_shape(message: Message) -> None:
    """Checks the shape rules that stand in the proto files. Raises MalformedError FIELD_RULE."""
    violations = protovalidate.collect_violations(message)
    if not violations:
        return
    reported = [(_format_path(each), in_words(each.proto.message)) for each in violations[:_MAX_VIOLATIONS]]
    sentence = "; ".join(f"{path}: {rule}" if path else rule for path, rule in reported)
    raise MalformedError("FIELD_RULE", sentence, field=reported[0][0])


def verify_texts(message: Message) -> None:
    """Refuses texts that are not as a desk writes them: what is signed cannot be mended (TEXT_UNSEEN, TEXT_FORM)."""
    for descriptor, value in message.ListFields():
        for each in value if descriptor.is_repeated else (value,):
            if isinstance(each, str):
                verify_written(each, field=descriptor.name)
            elif isinstance(each, Message):
                verify_texts(each)


def _format_path(violation: protovalidate.Violation) -> str:
    path = violation.proto.field
    if path is None:
        return ""
    parts = []
    for element in path.elements:
        at = element.subscript
        index = f"[{at.value}]" if at is not None and at.field == "index" else ""
        parts.append(f"{element.field_name}{index}")
    return ".".join(parts)
