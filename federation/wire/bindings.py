"""An RPC bound to the function that answers it, and what gRPC is handed for it.

Rules kept: the shape rules of the proto files are checked before a field is read, and their error names the field and
what was expected, never the value; a function is handed values and the caller that the gate admitted, and knows no
protobuf. Who may do it is policy's to say, whether the law allows it the domain's.
Source: DESIGN section 3 step 2, protovalidate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
import protovalidate
from google.protobuf.message import Message

from federation.protocol.errors import MalformedError
from federation.wire.identity import Caller, calling
from federation.wire.rpc import A, Q, Rpc
from federation.wire.values import Act

_MAX_VIOLATIONS_TOLD = 8


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


def verify_shape(message: Message) -> None:
    """Checks the shape rules that stand in the proto files.

    Raises:
        MalformedError: FIELD_RULE naming the fields and what was expected of them, never their values.
    """
    violations = protovalidate.collect_violations(message)
    if not violations:
        return
    told = [(_format_path(violation), violation.proto.message) for violation in violations[:_MAX_VIOLATIONS_TOLD]]
    sentence = "; ".join(f"{path}: {rule}" if path else rule for path, rule in told)
    raise MalformedError("FIELD_RULE", sentence, field=told[0][0])


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
