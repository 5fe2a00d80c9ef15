"""The one table of the error tree: class, kind on the wire, gRPC and HTTP code. Server and client both read it.

Rules kept: each error class has one row; a few reasons have a code of their own; the status carries exactly one
`google.rpc.ErrorInfo` (reason, our domain, facts as text and the kind), and a `BadRequest` when a field is named.
Trusts nothing of a peer's status: a reason, kind or fact of another form is dropped, never raised on.
A refusal by policy is no error and never comes here. Source: DESIGN section 8, google.rpc error model, AIP-193.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from msgspec import Struct

from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    CorruptError,
    MalformedError,
    NotFoundError,
    RuleError,
    StaleError,
    UnavailableError,
    UntrustedError,
)

DOMAIN = "federation.v1"
DETAILS_KEY = "grpc-status-details-bin"
MAX_MESSAGE_CHARACTERS = 1000
MAX_FACT_CHARACTERS = 200
MAX_FACTS = 16


class StatusRow(Struct, frozen=True):
    error: type[BridgeheadError]
    kind: str
    code: grpc.StatusCode
    http: int


STATUS_ROWS = (
    StatusRow(MalformedError, "MALFORMED", grpc.StatusCode.INVALID_ARGUMENT, 400),
    StatusRow(UntrustedError, "UNTRUSTED", grpc.StatusCode.PERMISSION_DENIED, 403),
    StatusRow(StaleError, "STALE", grpc.StatusCode.FAILED_PRECONDITION, 409),
    StatusRow(RuleError, "RULE", grpc.StatusCode.FAILED_PRECONDITION, 409),
    StatusRow(ConflictError, "CONFLICT", grpc.StatusCode.ALREADY_EXISTS, 409),
    StatusRow(NotFoundError, "NOT_FOUND", grpc.StatusCode.NOT_FOUND, 404),
    StatusRow(UnavailableError, "UNAVAILABLE", grpc.StatusCode.UNAVAILABLE, 503),
    StatusRow(CorruptError, "CORRUPT", grpc.StatusCode.DATA_LOSS, 500),
)

CODES_BY_REASON: Mapping[str, grpc.StatusCode] = {
    "CERTIFICATE_MISSING": grpc.StatusCode.UNAUTHENTICATED,
    "CERTIFICATE_NAME": grpc.StatusCode.UNAUTHENTICATED,
    "CERTIFICATE_ISSUER": grpc.StatusCode.UNAUTHENTICATED,
    "CERTIFICATE_EXPIRED": grpc.StatusCode.UNAUTHENTICATED,
    "CERTIFICATE_REVOKED": grpc.StatusCode.UNAUTHENTICATED,
    "DEADLINE_EXCEEDED": grpc.StatusCode.DEADLINE_EXCEEDED,
    "OVERLOADED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "REFUSED_TOO_OFTEN": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "INTERNAL": grpc.StatusCode.INTERNAL,
}
"""Reasons whose code is not their class's."""

_BARE: Mapping[grpc.StatusCode, tuple[type[BridgeheadError], str, str]] = {
    grpc.StatusCode.UNAVAILABLE: (
        UnavailableError,
        "PEER_UNREACHABLE",
        "no answer: not reachable, or certificate refused",
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (UnavailableError, "DEADLINE_EXCEEDED", "no answer within the deadline"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (UnavailableError, "OVERLOADED", "too many calls at once"),
    grpc.StatusCode.UNIMPLEMENTED: (UnavailableError, "METHOD_NOT_OFFERED", "the other side does not offer this"),
    grpc.StatusCode.UNAUTHENTICATED: (UntrustedError, "CERTIFICATE_REFUSED", "the other side refused our certificate"),
    grpc.StatusCode.PERMISSION_DENIED: (UntrustedError, "CALLER_REFUSED", "the other side refused the caller"),
    grpc.StatusCode.CANCELLED: (UnavailableError, "CALL_CANCELLED", "the call was given up"),
}
"""What a status without our details means: it was made by gRPC itself, or by something in between."""

_SERVER_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "certificate signature failure", "Hostname Verification", "Peer name")
"""How gRPC tells that the server's certificate did not verify; it has no code of its own for that."""

_ROWS_BY_KIND = {row.kind: row for row in STATUS_ROWS}
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,62}", re.ASCII)
_FACT = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_NOT_FACTS = frozenset({"self", "reason", "message", "kind"})


def kind_of(error: BridgeheadError) -> str:
    return _row_of(error).kind


def code_of(error: BridgeheadError) -> grpc.StatusCode:
    return CODES_BY_REASON.get(error.reason) or _row_of(error).code


def http_code_of(error: BridgeheadError) -> int:
    return _row_of(error).http


def error_of(kind: str, *, reason: str, message: str, facts: Mapping[str, str]) -> BridgeheadError:
    """The error that a peer told; facts come back as text. An unknown kind is an `UnavailableError`."""
    row = _ROWS_BY_KIND.get(kind)
    known_reason = reason if _REASON.fullmatch(reason) else "PEER_ERROR"
    kept = {name: _seen(text[:MAX_FACT_CHARACTERS]) for name, text in sorted(facts.items()) if _is_fact(name)}
    error = row.error if row else UnavailableError
    return error(known_reason, _seen(message[:MAX_MESSAGE_CHARACTERS]), **dict(list(kept.items())[:MAX_FACTS]))


def facts_of(error: BridgeheadError) -> dict[str, str]:
    """The facts of an error as text, cut to what a status may carry."""
    facts = [(name, str(fact)[:MAX_FACT_CHARACTERS]) for name, fact in error.facts.items() if _is_fact(name)]
    return dict(facts[:MAX_FACTS])


def encode_status(error: BridgeheadError) -> bytes:
    """Encodes the `google.rpc.Status` that travels in the trailing metadata under `DETAILS_KEY`."""
    facts = facts_of(error)
    status = status_pb2.Status(code=code_of(error).value[0], message=error.message[:MAX_MESSAGE_CHARACTERS])
    named = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts | {"kind": kind_of(error)})
    status.details.add().Pack(named)
    if isinstance(error, MalformedError) and "field" in facts:
        violation = error_details_pb2.BadRequest.FieldViolation(field=facts["field"], description=status.message)
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    encoded: bytes = status.SerializeToString()
    return encoded


def error_of_call(error: grpc.aio.AioRpcError) -> BridgeheadError:
    """Translates what a call ended with: our own error when the details hold one, else what the bare code means.

    The words of gRPC are a fact of the error, and no sentence for a person.
    """
    detailed = _find_details(error)
    if detailed is not None:
        return detailed
    text = _seen((error.details() or "")[:MAX_MESSAGE_CHARACTERS])
    if "larger than max" in text:
        return MalformedError("MESSAGE_SIZE", "the message is over the size limit", transport=text)
    if "certificate has expired" in text:
        return UntrustedError("SERVER_CERTIFICATE_ENDED", "the other side's certificate has ended", transport=text)
    if any(sign in text for sign in _SERVER_UNTRUSTED):
        untrusted = "the other side's certificate is not from its own CA"
        return UntrustedError("SERVER_CERTIFICATE", untrusted, transport=text)
    cls, reason, sentence = _BARE.get(error.code(), (UnavailableError, "PEER_ERROR", "the call failed"))
    return cls(reason, sentence, transport=f"{error.code().name}: {text}")


def _find_details(error: grpc.aio.AioRpcError) -> BridgeheadError | None:
    encoded = next((value for name, value in error.trailing_metadata() if name == DETAILS_KEY), None)
    if not isinstance(encoded, bytes):
        return None
    named = error_details_pb2.ErrorInfo()
    try:
        status = status_pb2.Status.FromString(encoded)
        found = any(detail.Unpack(named) for detail in status.details if detail.Is(named.DESCRIPTOR))
    except DecodeError:
        return None
    if not found or named.domain != DOMAIN:
        return None
    facts = dict(named.metadata)
    return error_of(facts.pop("kind", ""), reason=named.reason, message=status.message, facts=facts)


def _seen(text: str) -> str:
    """A peer's sentence without what would rewrite the terminal of who reads it."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _row_of(error: BridgeheadError) -> StatusRow:
    return next(row for row in STATUS_ROWS if isinstance(error, row.error))


def _is_fact(name: str) -> bool:
    return name not in _NOT_FACTS and bool(_FACT.fullmatch(name))
