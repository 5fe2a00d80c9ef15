"""Certificates of one province: two authorities and the short-lived leaves below them.

Rules kept: the peer side and the agency side have authorities of their own, so that no agency certificate can ever
pass for a node; a leaf names its holder in a URI SAN (and its hosts where it serves), carries the usages it needs and
no others, and lives for weeks; keys are ECDSA P-256, because gRPC refuses Ed25519 certificates.
Bytes in, bytes out: nothing here reads or writes files (`keyring` does).
Source: RFC 5280, SPIFFE X.509-SVID, DESIGN section 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, NodeName, agency_spiffe_id, node_spiffe_id

AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=90)
_BACKDATED = timedelta(minutes=5)  # a peer whose clock is a little behind must not refuse a certificate just made
_BOTH = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its private key, both PEM; the key is PKCS #8 without encryption."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an operator wants to know of a certificate. The serial is lower-case hex, as in revocation lists."""

    uris: tuple[str, ...]
    serial: str
    expires_time: datetime


def create_authority(name: str, *, now: datetime, lifetime: timedelta = AUTHORITY_LIFETIME) -> Issued:
    """Creates a self-signed authority that may sign leaves and nothing between."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = _begin(subject, subject, key.public_key(), now=now, lifetime=lifetime)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    return _finish(builder, key, signed_by=key)


def issue_peer(
    authority: Issued, *, federation: str, node: NodeName, hosts: Sequence[str], now: datetime,
    lifetime: timedelta = LEAF_LIFETIME,
) -> Issued:  # fmt: skip
    """Issues a node's certificate for the peer side: it serves the other provinces and calls them."""
    names = _node_names(federation, node, hosts)
    return _issue(authority, node, names, usages=_BOTH, valid=(now, lifetime))


def issue_agency_server(
    authority: Issued, *, federation: str, node: NodeName, hosts: Sequence[str], now: datetime,
    lifetime: timedelta = LEAF_LIFETIME,
) -> Issued:  # fmt: skip
    """Issues a node's certificate for the agency side: it serves the agencies and calls nobody."""
    names = _node_names(federation, node, hosts)
    return _issue(authority, node, names, usages=(ExtendedKeyUsageOID.SERVER_AUTH,), valid=(now, lifetime))


def issue_agency_client(
    authority: Issued, *, federation: str, agency: AgencyId, now: datetime, lifetime: timedelta = LEAF_LIFETIME
) -> Issued:
    """Issues an agency's certificate: it calls its node and serves nothing."""
    names = (x509.UniformResourceIdentifier(agency_spiffe_id(federation, agency)),)
    usages = (ExtendedKeyUsageOID.CLIENT_AUTH,)
    return _issue(authority, str(agency), names, usages=usages, valid=(now, lifetime))


def parse_facts(certificate: bytes) -> Facts:
    """Parses what an operator wants to know out of a certificate in PEM.

    Raises:
        MalformedError: CERTIFICATE when it is no certificate with a SAN.
    """
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise MalformedError("CERTIFICATE", "expected a certificate in PEM with a subject alternative name") from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return Facts(uris=tuple(uris), serial=f"{parsed.serial_number:x}", expires_time=parsed.not_valid_after_utc)


def _issue(
    authority: Issued, name: str, names: Sequence[x509.GeneralName], *, usages: Sequence[x509.ObjectIdentifier],
    valid: tuple[datetime, timedelta],
) -> Issued:  # fmt: skip
    parent = x509.load_pem_x509_certificate(authority.certificate)
    parent_key = _load_key(authority.key)
    key = ec.generate_private_key(ec.SECP256R1())
    now, lifetime = valid
    builder = _begin(_subject(name), parent.subject, key.public_key(), now=now, lifetime=lifetime)
    parent_id = parent.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(authority=False), True),
        (x509.ExtendedKeyUsage(usages), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(parent_id), False),
        (x509.SubjectAlternativeName(names), False),
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return _finish(builder, key, signed_by=parent_key)


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _BACKDATED,
        not_valid_after=now + lifetime,
    )
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _finish(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, *, signed_by: ec.EllipticCurvePrivateKey
) -> Issued:
    certificate = builder.sign(signed_by, SHA256())
    return Issued(
        certificate=certificate.public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise MalformedError("PRIVATE_KEY", "expected an authority's private key in unencrypted PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise MalformedError("PRIVATE_KEY", "expected an authority's private key of the curve P-256")
    return key


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _node_names(federation: str, node: NodeName, hosts: Sequence[str]) -> tuple[x509.GeneralName, ...]:
    uri = x509.UniformResourceIdentifier(node_spiffe_id(federation, node))
    own = x509.DNSName(f"{node}.{federation}")  # callers ask for this name, whatever the address
    return (uri, own, *(_host_name(host) for host in hosts))


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
