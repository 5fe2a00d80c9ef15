"""Says of a call that failed for a certificate which has ended: whose, on which day, and what renews it.

gRPC tells no day of the other side's certificate, and of our own nothing at all: the server just closes. So a failed
call looks for itself. What is found goes into the sentence of a refusal and is trusted for nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime

from federation.protocol.errors import BridgeheadError, UntrustedError
from federation.wire.rpc import TlsFiles
from federation.wire.tls import TlsPair

LOOK_SECONDS = 3.0
RENEW = "bridgehead keys renew (the node's own) or keys client (an agency's)"


async def explain_ended(error: BridgeheadError, *, address: str, files: TlsFiles, pair: TlsPair) -> BridgeheadError:
    """Returns what to raise instead of that error: the same, unless a certificate of either side has ended."""
    if error.reason == "PEER_UNREACHABLE":
        end = _end_of(pair.certificate)
        if end < datetime.now(UTC):
            sentence = f"our own certificate {files.certificate} ended on {end:%Y-%m-%d}; {RENEW}"
            return UntrustedError("OWN_CERTIFICATE_ENDED", sentence)
    if error.reason == "SERVER_CERTIFICATE_ENDED":
        served = await asyncio.to_thread(_served_end, address, files)
        if served is not None:
            sentence = f"the certificate of the node at {address} ended on {served:%Y-%m-%d}; there: {RENEW}"
            return UntrustedError(error.reason, sentence)
    return error


def _end_of(certificate: bytes) -> datetime:
    from cryptography import x509  # noqa: PLC0415 - it takes 17 ms to load, and few calls fail

    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _served_end(address: str, files: TlsFiles) -> datetime | None:
    """The end of the certificate that is served there; None when nothing can be read."""
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what is asked for is the certificate that does not verify
    context.set_alpn_protocols(["h2"])
    with contextlib.suppress(OSError, ValueError):
        context.load_cert_chain(files.certificate, files.key)
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK_SECONDS) as plain,
            context.wrap_socket(plain) as secured,
        ):
            found = secured.getpeercert(binary_form=True)
            return None if found is None else _end_of(ssl.DER_cert_to_PEM_cert(found).encode())
    return None
