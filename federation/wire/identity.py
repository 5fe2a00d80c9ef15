"""Who calls: the one URI name of the certificate, checked on every RPC, never a field and never metadata.

Rules kept: exactly one URI SAN, a SPIFFE id of this federation; the certificate is issued by the CA that the agreement
gives to *that* node (a certificate of province X's CA that names province Y is refused, though TLS let it in); not
expired and not revoked, also on a connection opened long before; nodes on the peer side, the node's own agencies on the
agency side.
Trusts the TLS handshake for possession of the key alone. Source: DESIGN section 7, SPIFFE X.509-SVID, RFC 5280.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName, parse_spiffe_id
from federation.wire.rpc import Rpc, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What one port checks callers against. The functions read the agreement in force, so a new one counts at once.

    `ca_of` gives the PEM of a node's CA, None for a stranger. `revoked` is asked with the node whose CA issued the
    certificate and the serial in lower-case hex without leading zeros.
    """

    side: Side
    federation: str
    node: NodeName
    ca_of: Callable[[NodeName], str | None]
    revoked: Callable[[NodeName, str], bool]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A caller as its certificate names it. `node` is the caller itself, or the province of the agency."""

    identity: NodeName | AgencyId
    node: NodeName
    serial: str
    not_before: datetime
    not_after: datetime

    @property
    def agency(self) -> AgencyId:
        """The agency that calls.

        Raises:
            UntrustedError: CALLER_SIDE when it is a node.
        """
        if not isinstance(self.identity, AgencyId):
            raise UntrustedError("CALLER_SIDE", "expected a call by an agency of this province")
        return self.identity


_calling: ContextVar[Caller] = ContextVar("calling")


def enter_call(caller: Caller) -> None:
    """Makes the admitted caller known to the step that runs next in this task."""
    _calling.set(caller)


def calling() -> Caller:
    """Who calls.

    Raises:
        UntrustedError: CALLER_SIDE outside of an admitted call.
    """
    caller = _calling.get(None)
    if caller is None:
        raise UntrustedError("CALLER_SIDE", "expected an admitted call")
    return caller


def verify_caller(auth_context: Mapping[str, Iterable[bytes]], gate: Gate) -> Caller:
    """Verifies the certificate of the connection against the agreement as it is now.

    Raises:
        UntrustedError: CERTIFICATE_MISSING, CERTIFICATE_NAME, CERTIFICATE_ISSUER, CERTIFICATE_EXPIRED,
            CERTIFICATE_REVOKED; CALLER_SIDE for an agency on the peer side, a node on the agency side, or another
            province's agency.
    """
    pem = next(iter(auth_context.get("x509_pem_cert", ())), None)
    if pem is None:
        raise UntrustedError("CERTIFICATE_MISSING", "expected a client certificate")
    caller = _read_certificate(pem, gate.federation)
    authority = gate.ca_of(caller.node)
    if authority is None:
        raise UntrustedError("CERTIFICATE_ISSUER", f"the agreement has no CA of {caller.node}", node=caller.node)
    _verify_issuer(pem, authority)
    if not caller.not_before <= gate.now() <= caller.not_after:
        raise UntrustedError("CERTIFICATE_EXPIRED", "the certificate is not valid at this time", serial=caller.serial)
    if gate.revoked(caller.node, caller.serial):
        raise UntrustedError("CERTIFICATE_REVOKED", "the certificate is revoked", serial=caller.serial)
    _verify_side(caller, gate)
    return caller


def verify_method(caller: Caller, rpc: Rpc[Any, Any] | None, side: Side) -> Rpc[Any, Any]:
    """Verifies that this caller may call this RPC here; what is not offered is for nobody.

    Raises:
        UntrustedError: METHOD_DENIED.
    """
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
