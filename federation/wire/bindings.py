"""An RPC bound to the function that answers it, and what gRPC is handed for it.

Rules kept: the shape rules of the proto files are checked before a field is read; a function is handed values and the
caller that the gate admitted, and knows no protobuf.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from federation.wire.identity import Caller, calling
from federation.wire.rpc import A, Q, Rpc
from federation.wire.shape import verify_shape
from federation.wire.values import Act


@dataclass(frozen=True, slots=True)
class Binding:
    """An RPC and its function; made by `bind` or `bind_stream`, which see that they fit."""

    rpc: Rpc[Any, Any]
    answer: Callable[[Caller, Act | None, Any], Any]


def bind(rpc: Rpc[Q, A], answer: Callable[[Caller, Act | None, Q], Awaitable[A]]) -> Binding:
    """Binds a function that answers once; no act for an RPC that does not say who acts."""
    return Binding(rpc, answer)


def bind_stream(rpc: Rpc[Q, A], answer: Callable[[Caller, Act | None, Q], AsyncIterator[A]]) -> Binding:
    """Binds a function that answers on and on; the next is read once the one before has left."""
    return Binding(rpc, answer)


def generic_handlers(bindings: Iterable[Binding]) -> tuple[grpc.GenericRpcHandler, ...]:
    """One handler a service, for `grpc.aio.Server.add_generic_rpc_handlers`."""
    services: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
    for binding in bindings:
        rpc = binding.rpc
        make = grpc.unary_stream_rpc_method_handler if rpc.stream else grpc.unary_unary_rpc_method_handler
        services.setdefault(rpc.service, {})[rpc.path.rpartition("/")[2]] = make(
            _stream(binding) if rpc.stream else _unary(binding),
            request_deserializer=rpc.request.FromString,
            response_serializer=rpc.response.SerializeToString,
        )
    return tuple(grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items())


def _unary(binding: Binding) -> Callable[..., Any]:
    rpc, answer = binding.rpc, binding.answer

    async def handle(request: Message, context: object) -> Message:
        del context
        verify_shape(request)
        act, question = rpc.decode_question(request)
        return rpc.encode_answer(await answer(calling(), act, question))

    return handle


def _stream(binding: Binding) -> Callable[..., Any]:
    rpc, answer = binding.rpc, binding.answer

    async def handle(request: Message, context: object) -> AsyncIterator[Message]:
        del context
        verify_shape(request)
        act, question = rpc.decode_question(request)
        async for each in answer(calling(), act, question):
            yield rpc.encode_answer(each)

    return handle
