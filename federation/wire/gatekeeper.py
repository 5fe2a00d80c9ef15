"""What happens around every RPC, in this order: who calls, what may be called, enough time, the work, one log line.

Rules kept: no message is verified and no policy asked here; identity and revocation have no switch; a refusal comes
before the request is looked at, so that nobody learns what exists; an unknown exception leaves as INTERNAL with an id
and nothing else. Nothing of a request is logged.
Source: DESIGN sections 7 and 8, style reference section 7.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any, TypeAlias, TypeVar

import grpc
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from federation.protocol.errors import BridgeheadError, CorruptError, StaleError, UnavailableError
from federation.wire.identity import Gate, enter_call, verify_caller, verify_method
from federation.wire.rpc import BOTH, Rpc
from federation.wire.status import DETAILS_KEY, code_of, encode_status
from federation.wire.values import Nothing

REGISTRY = CollectorRegistry(auto_describe=True)
"""The process's own metrics; `read_http` serves them."""

_CALLS = Counter("bridgehead_rpc", "RPCs by method, side and code", ("method", "side", "code"), registry=REGISTRY)
_SECONDS = Histogram("bridgehead_rpc_seconds", "Seconds an RPC took", ("method", "side"), registry=REGISTRY)

_log = structlog.get_logger()
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


_REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
_HEALTH = "/grpc.health.v1.Health/"
_GRPC: Mapping[str, Rpc[Any, Any]] = {
    _HEALTH + "Check": Rpc(_HEALTH + "Check", Nothing, Nothing, sides=BOTH, floor_seconds=0.01),
    _HEALTH + "Watch": Rpc(_HEALTH + "Watch", Nothing, Nothing, sides=BOTH, floor_seconds=None),
    _REFLECTION: Rpc(_REFLECTION, Nothing, Nothing, sides=BOTH, floor_seconds=None),
}
"""What gRPC's own services answer; only who may call them and for how long is read of these lines."""


@dataclass(slots=True)
class _Call:
    """What the one log line of a call says."""

    method: str
    rpc: Rpc[Any, Any] | None
    gate: Gate
    started: float
    caller: str = ""
    deadline_left_seconds: float | None = None
    code: str = "OK"
    reason: str | None = None


class _Wrapped(grpc.RpcMethodHandler):  # type: ignore[type-arg]  # generic in its stub only
    """A handler whose function is replaced; all else is the handler's own."""

    def __init__(
        self,
        handler: grpc.RpcMethodHandler[_Request, _Response],
        wrap: Callable[[Callable[..., object]], Callable[..., object]],
    ) -> None:
        self.request_streaming = handler.request_streaming
        self.response_streaming = handler.response_streaming
        self.request_deserializer = handler.request_deserializer
        self.response_serializer = handler.response_serializer
        for shape in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
            inner = getattr(handler, shape)
            setattr(self, shape, None if inner is None else wrap(inner))


class Gatekeeper(grpc.aio.ServerInterceptor):
    """Wraps every handler of one port: admits the caller, translates errors, counts and logs."""

    def __init__(self, gate: Gate, offered: Mapping[str, Rpc[Any, Any]]) -> None:
        """Keeps what the port checks callers against, and its RPCs by path; each one's handler is wrapped once."""
        self._gate = gate
        self._offered = {**offered, **_GRPC}
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[_Request, _Response] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[_Request, _Response] | None:
        """Finds the handler and wraps it; it is called with the connection only later, per RPC."""
        name = handler_call_details.method
        if name not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[name] = _Wrapped(handler, lambda inner: self._wrap(name, inner))
        return self._wrapped[name]

    def _wrap(self, name: str, inner: Callable[..., object]) -> Callable[..., object]:
        """Wraps one handler: an async generator stays one, a coroutine stays one."""
        if inspect.isasyncgenfunction(inner):
            return self._stream(name, inner)
        if inspect.iscoroutinefunction(inner):
            return self._unary(name, inner)
        raise CorruptError("SERVICER", f"expected every RPC to be asynchronous, {name} is not")

    def _unary(self, name: str, inner: Callable[..., Awaitable[object]]) -> Callable[..., object]:
        async def checked(request: object, context: _Context) -> object:
            call = _Call(name, self._offered.get(name), self._gate, perf_counter())
            try:
                _admit(call, context)
                return await inner(request, context)
            except BaseException as error:
                await _abort(call, context, error)
                raise
            finally:
                _finish(call)

        return checked

    def _stream(self, name: str, inner: Callable[..., AsyncIterator[object]]) -> Callable[..., object]:
        async def checked(request: object, context: _Context) -> AsyncIterator[object]:
            call = _Call(name, self._offered.get(name), self._gate, perf_counter())
            try:
                _admit(call, context)
                async for response in inner(request, context):
                    verify_caller(context.auth_context(), call.gate)  # a long call outlives a revocation
                    yield response
            except BaseException as error:
                await _abort(call, context, error)
                raise
            finally:
                _finish(call)

        return checked


def _admit(call: _Call, context: _Context) -> None:
    caller = verify_caller(context.auth_context(), call.gate)
    call.caller = str(caller.identity)
    _verify_deadline(call, verify_method(caller, call.rpc, call.gate.side), context)
    enter_call(caller)


def _verify_deadline(call: _Call, rpc: Rpc[Any, Any], context: _Context) -> None:
    left = context.time_remaining()
    call.deadline_left_seconds = left
    floor = rpc.floor_seconds
    if floor is None:
        return
    if left is None:
        raise StaleError("DEADLINE_MISSING", f"expected a deadline of at least {floor} seconds, got none")
    if left < floor:
        raise StaleError("DEADLINE_SHORT", f"expected a deadline of at least {floor} seconds, got {left:.3f}")


async def _abort(call: _Call, context: _Context, error: BaseException) -> None:
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


def _finish(call: _Call) -> None:
    seconds = perf_counter() - call.started
    side = call.gate.side.value
    _counter(call.method, side, call.code).inc()
    _histogram(call.method, side).observe(seconds)
    left = call.deadline_left_seconds
    _log.info(
        "rpc.finished",
        method=call.method,
        side=side,
        caller=call.caller,
        code=call.code,
        reason=call.reason,
        duration_ms=round(seconds * 1000, 3),
        deadline_left_ms=None if left is None else round(left * 1000),
    )
