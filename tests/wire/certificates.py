"""A small test CA: one authority a province, certificates with any names, kept in memory and written where a test wants."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from federation.wire.rpc import TlsFiles

FEDERATION = "bridgehead.example"
NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    certificate: bytes
    key: bytes
    serial: str

    def write(self, folder: Path, name: str) -> TlsFiles:
        folder.mkdir(parents=True, exist_ok=True)
        files = TlsFiles(certificate=folder / f"{name}.pem", key=folder / f"{name}.key")
        files.certificate.write_bytes(self.certificate)
        files.key.write_bytes(self.key)
        return files


class Authority:
    """A province's CA."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} CA")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, *uris: str, dns: tuple[str, ...] = (), key=None, days: float = 10) -> Issued:
        key = key or ec.generate_private_key(ec.SECP256R1())
        names = [x509.UniformResourceIdentifier(uri) for uri in uris] + [x509.DNSName(name) for name in dns]
        serial = x509.random_serial_number()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=days))
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(
            certificate=certificate.public_bytes(Encoding.PEM),
            key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            serial=f"{serial:x}",
        )

    def node(self, node: str, **options) -> Issued:
        return self.issue(f"spiffe://{FEDERATION}/{node}", dns=(f"{node}.{FEDERATION}",), **options)

    def agency(self, agency: str, **options) -> Issued:
        return self.issue(f"spiffe://{FEDERATION}/{agency}", **options)


def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()
