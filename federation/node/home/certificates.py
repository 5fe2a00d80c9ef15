"""Certificates of one province: two authorities, the short-lived leaves below them, and the files they lie in.

    <home>/tls/peer-ca.{crt,key}  peer.{crt,key}              towards the other provinces
    <home>/tls/agency-ca.{crt,key}  agency.{crt,key}          towards the own agencies
    <home>/tls/agency-revoked.txt                             serials of agency certificates, hex, one a line
    <home>/clients/<county>-<kind>/{client.crt,client.key,ca.crt,profile.toml}   handed to the agency

Rules kept: the peer side and the agency side have authorities of their own, so that no agency certificate can ever
pass for a node; a leaf names its holder in a URI SAN (and its hosts where it serves), carries the usages it needs and
no others, and lives for weeks; it is re-issued under the same authority, and the older one runs out or is revoked.
Keys are ECDSA P-256, because gRPC refuses Ed25519 certificates, and lie in files of mode 0600.
Revoked *peer* certificates are no file here: they stand in the agreement, so that all provinces refuse them.
Source: RFC 5280, SPIFFE X.509-SVID, DESIGN section 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federation.node.home.files import (
    PROFILE_FILE,
    REVOKED_FILE,
    client_folder,
    load_revoked,
    make_private_folder,
    read_file,
    read_secret,
    write_public,
    write_secret,
)
from federation.node.home.keyring import Identity, load_identity
from federation.protocol.errors import BridgeheadError, MalformedError, RuleError
from federation.protocol.ids import AgencyId, NodeName, agency_spiffe_id, node_spiffe_id

AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=90)
UNREADABLE = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the end of a certificate that cannot be read: it is of no use, like one that has ended."""
_BACKDATED = timedelta(minutes=5)  # a peer whose clock is a little behind must not refuse a certificate just made
_BOTH = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its private key, both PEM; the key is PKCS #8 without encryption."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Names, serial and end of a certificate. The serial is lower-case hex, as in revocation lists."""

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
    """Parses a certificate in PEM. Raises MalformedError: CERTIFICATE when it is no certificate with a SAN."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFiles:
    """The files of one side of a node: its authority's certificate, its own and its private key, all PEM."""

    authority: Path
    certificate: Path
    key: Path


def create_tls(home: Path, agencies: Sequence[AgencyId], *, hosts: Sequence[str], now: datetime) -> None:
    """Creates both authorities and all first certificates. Refuses KEY_EXISTS, AGENCY_ELSEWHERE."""
    identity = load_identity(home)
    make_private_folder(home / "tls")
    for side in ("peer", "agency"):
        issued = create_authority(f"{identity.node} {side} authority", now=now)
        write_secret(home / "tls" / f"{side}-ca.key", issued.key)
        write_public(home / "tls" / f"{side}-ca.crt", issued.certificate)
    write_public(home / "tls" / REVOKED_FILE, b"")
    renew_tls(home, hosts=hosts, now=now)
    for agency in agencies:
        issue_client(home, agency, now=now)


def renew_tls(home: Path, *, hosts: Sequence[str], now: datetime, lifetime: timedelta = LEAF_LIFETIME) -> None:
    """Issues the node's own two certificates anew. Raises NotFoundError: FILE_MISSING when there are no authorities."""
    identity = load_identity(home)
    federation, node = identity.federation, identity.node
    for side, issue in (("peer", issue_peer), ("agency", issue_agency_server)):
        authority = _load_authority(home, side)
        issued = issue(authority, federation=federation, node=node, hosts=hosts, now=now, lifetime=lifetime)
        _write_leaf(home / "tls" / f"{side}.crt", home / "tls" / f"{side}.key", issued)


def issue_client(home: Path, agency: AgencyId, *, now: datetime, lifetime: timedelta = LEAF_LIFETIME) -> Path:
    """Issues an agency's certificate, anew where it has one, and returns its folder. Refuses AGENCY_ELSEWHERE."""
    identity = load_identity(home)
    if agency.node != identity.node:
        raise RuleError("AGENCY_ELSEWHERE", f"expected an agency of {identity.node}, got {agency}")
    authority = _load_authority(home, "agency")
    issued = issue_agency_client(authority, federation=identity.federation, agency=agency, now=now, lifetime=lifetime)
    folder = client_folder(home, agency)
    make_private_folder(folder)
    _write_leaf(folder / "client.crt", folder / "client.key", issued)
    write_public(folder / "ca.crt", authority.certificate)
    return folder


def revoke_client(home: Path, agency: AgencyId) -> str:
    """Revokes an agency's certificate, from its next RPC on; returns its serial. Refuses FILE_MISSING."""
    serial = parse_facts(read_file(client_folder(home, agency) / "client.crt")).serial
    serials = sorted(load_revoked(home) | {serial})
    write_public(home / "tls" / REVOKED_FILE, "".join(f"{entry}\n" for entry in serials).encode())
    return serial


def find_side(home: Path, side: str) -> SideFiles:
    """Finds the usable files of a side, `peer` or `agency`. Refuses KEY_MISSING, FILE_MISSING, KEY_FILE_MODE."""
    folder = home / "tls"
    found = SideFiles(
        authority=folder / f"{side}-ca.crt", certificate=folder / f"{side}.crt", key=folder / f"{side}.key"
    )
    read_secret(found.key)
    parse_facts(read_file(found.certificate))
    read_file(found.authority)
    return found


def find_leaves(home: Path) -> dict[str, Facts]:
    paths = [*(home / "tls" / f"{side}.crt" for side in ("peer", "agency")), *home.glob("clients/*/client.crt")]
    return {str(path.relative_to(home)): parse_facts(read_file(path)) for path in sorted(paths) if path.exists()}


def find_certificate_ends(home: Path) -> dict[str, datetime]:
    """The end of each certificate of the home, authorities too, by its path below the home; UNREADABLE: no end."""
    found: dict[str, datetime] = {}
    for path in sorted([*home.glob("tls/*.crt"), *home.glob("clients/*/client.crt")]):
        try:
            end = x509.load_pem_x509_certificate(read_file(path)).not_valid_after_utc
        except (ValueError, BridgeheadError):
            end = UNREADABLE
        found[str(path.relative_to(home))] = end
    return found


def write_profiles(home: Path, *, agency_addr: str, read_url: str) -> tuple[Path, ...]:
    """Writes the connection profile of every agency that has a certificate; returns their paths."""
    identity = load_identity(home)
    written = []
    for folder in sorted(path.parent for path in home.glob("clients/*/client.crt")):
        county, _, kind = folder.name.partition("-")
        agency = AgencyId(identity.node, county, kind)
        text = _format_profile(identity, agency, agency_addr=agency_addr, read_url=read_url)
        write_public(folder / PROFILE_FILE, text.encode())
        written.append(folder / PROFILE_FILE)
    return tuple(written)


def _load_authority(home: Path, side: str) -> Issued:
    folder = home / "tls"
    return Issued(certificate=read_file(folder / f"{side}-ca.crt"), key=read_secret(folder / f"{side}-ca.key"))


def _write_leaf(certificate: Path, key: Path, issued: Issued) -> None:
    write_secret(key, issued.key, replace=True)
    write_public(certificate, issued.certificate)


def _format_profile(identity: Identity, agency: AgencyId, *, agency_addr: str, read_url: str) -> str:
    fields = {
        "federation": identity.federation,
        "agency": str(agency),
        "node": identity.node,
        "agency_addr": agency_addr,
        "read_url": read_url,
        "ca": "ca.crt",
        "cert": "client.crt",
        "key": "client.key",
    }
    return "".join(f'{name} = "{value}"\n' for name, value in fields.items())
