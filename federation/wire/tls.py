"""TLS of both gRPC ports and of the clients: certificates on disk, CAs out of the agreement, neither needs a restart.

Rules kept: client certificates are required, always; keys are ECDSA P-256 (gRPC's TLS refuses Ed25519 ones); a pair of
files that does not belong together, as while it is being replaced, is passed over and the last good one goes on.
The server asks for the files and the CAs again on every new connection; a client has no such hook, so it makes a new
channel when they changed. Source: DESIGN section 7.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

import grpc
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec import Struct

from federation.protocol.errors import MalformedError, NotFoundError
from federation.wire.rpc import TlsFiles

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"


class TlsPair(Struct, frozen=True, kw_only=True):
    certificate: bytes
    key: bytes


class WatchedTls:
    """The pair in two files, read again when either file changed."""

    def __init__(self, files: TlsFiles) -> None:
        """Reads the files for the first time (TLS_FILE, TLS_KEY, TLS_PAIR)."""
        self._files = files
        self._seen = self._stamp()
        self._pair = load_tls_pair(files)

    def current(self) -> TlsPair:
        """The newest good pair; the same object as before when nothing changed."""
        try:
            stamp = self._stamp()
            if stamp != self._seen:
                self._pair = load_tls_pair(self._files)
                self._seen = stamp
        except (NotFoundError, MalformedError):
            return self._pair
        return self._pair

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = [path.stat() for path in (self._files.certificate, self._files.key)]
        except OSError as error:
            raise NotFoundError("TLS_FILE", f"expected {self._files.certificate} and {self._files.key}") from error
        return tuple(number for stat in found for number in (stat.st_mtime_ns, stat.st_size, stat.st_ino))


def load_tls_pair(files: TlsFiles) -> TlsPair:
    """Reads a certificate and its key. Raises NotFoundError TLS_FILE; MalformedError TLS_KEY, TLS_PAIR.

    They belong together when the certificate holds the key's SubjectPublicKeyInfo, verbatim (RFC 5280 4.1): whether it
    is a good one is for TLS to say, and a command need not load X.509 for it (17 ms).
    """
    try:
        pair = TlsPair(certificate=files.certificate.read_bytes(), key=files.key.read_bytes())
    except OSError as error:
        raise NotFoundError("TLS_FILE", f"expected {files.certificate} and {files.key}") from error
    try:
        key = load_pem_private_key(pair.key, password=None)
        leaf = base64.b64decode(pair.certificate.partition(_BEGIN)[2].partition(_END)[0])
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("TLS_PAIR", f"expected PEM in {files.certificate} and {files.key}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MalformedError("TLS_KEY", f"expected an ECDSA P-256 key in {files.key}, got {type(key).__name__}")
    if key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) not in leaf:
        raise MalformedError("TLS_PAIR", f"the key in {files.key} is not that of {files.certificate}")
    return pair


def server_credentials(watched: WatchedTls, roots: Callable[[], str]) -> grpc.ServerCredentials:
    """Credentials of a port that requires client certificates of the CAs that `roots` gives (concatenated PEM)."""
    last: list[tuple[TlsPair, str]] = []

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        now = (watched.current(), roots())
        if last == [now]:
            return None
        last[:] = [now]
        return _configuration(*now)

    first = (watched.current(), roots())
    last.append(first)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(*first),
        fetch,  # type: ignore[arg-type]  # the library takes None for "unchanged", its stub does not say so
        require_client_authentication=True,
    )


def channel_credentials(pair: TlsPair, authority: str) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=authority.encode(), private_key=pair.key, certificate_chain=pair.certificate
    )


def _configuration(pair: TlsPair, roots: str) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.certificate)], root_certificates=roots.encode())
