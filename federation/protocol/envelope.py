"""The envelope: DSSE v1 around the exact bytes of a statement, with one signature.

Rules kept: what is signed is the pre-authentication encoding of payload type and payload, and the payload type names
the suite, so neither can be swapped. An envelope has one form: canonical JSON, canonical base64, one signature, nothing
after it. Verification returns the very bytes that were signed; only those are decoded afterwards.
Trusts nothing that it parses: the key id is a hint, the keys come from the agreement.
Source: DSSE v1.0.2 `protocol.md` and `envelope.md`, DESIGN section 4.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Sequence
from hashlib import sha256

from msgspec import Struct

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.keys import PublicKey, Signer, Suite, verify_signature

MAX_ENVELOPE_BYTES = 16 * 1024
_TYPE_PREFIX = "application/vnd.bridgehead.statement.v1+json;suite="
# The whole grammar. No character that it admits is escaped in JSON, so what matches is canonical JSON already.
_FORM = re.compile(
    rb'\{"payload":"([A-Za-z0-9+/]+={0,2})","payloadType":"([!#-\[\]-~]+)",'
    rb'"signatures":\[\{"keyid":"([0-9a-f]{64})","sig":"([A-Za-z0-9+/]+={0,2})"\}\]\}'
)


class EnvelopeSignature(Struct, frozen=True, kw_only=True):
    keyid: str
    sig: bytes


class Envelope(Struct, frozen=True, kw_only=True):
    """A parsed envelope, not verified yet. `encoded` is what was received, to be stored and passed on verbatim."""

    payload_type: str
    suite: Suite
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]
    encoded: bytes

    @property
    def digest(self) -> str:
        """The statement digest: SHA-256, in hex, of the pre-authentication encoding, whoever signed it."""
        return sha256(pre_authentication_encoding(self.payload_type, self.payload)).hexdigest()

    @property
    def signatures_digest(self) -> str:
        """SHA-256, in hex, of the canonical JSON of the `signatures` list: which signature it was."""
        return sha256(b"[" + b",".join(map(_encode_signature, self.signatures)) + b"]").hexdigest()


def payload_type_of(suite: Suite) -> str:
    return _TYPE_PREFIX + suite.value


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Encodes what is signed: `DSSEv1`, then type and payload, each behind its length in bytes (DSSE v1)."""
    encoded_type = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(encoded_type), encoded_type, len(payload), payload)


def sign_envelope(statement: bytes, signer: Signer) -> bytes:
    """Returns the envelope around the exact bytes of a statement; refuses none (ENVELOPE_PAYLOAD) and over 16 KiB."""
    if not statement:
        raise MalformedError("ENVELOPE_PAYLOAD", "expected a statement to sign, got no bytes")
    key = signer.public_key
    payload_type = payload_type_of(key.suite)
    sig = signer.sign(pre_authentication_encoding(payload_type, statement))
    signature = _encode_signature(EnvelopeSignature(keyid=key.key_id, sig=sig))
    return _require_size(
        b'{"payload":"%b","payloadType":"%b","signatures":[%b]}'
        % (b64encode(statement), payload_type.encode(), signature)
    )


def parse_envelope(encoded: bytes) -> Envelope:
    """Parses an envelope's one form, nothing verified; refuses ENVELOPE_SIZE, _FORM, _BASE64, _TYPE."""
    match = _FORM.fullmatch(_require_size(encoded))
    if match is None:
        raise MalformedError("ENVELOPE_FORM", "expected the canonical JSON of a DSSE envelope with one signature")
    payload, payload_type, keyid, sig = match.groups()
    suite = _SUITES.get(payload_type)
    if suite is None:
        got = payload_type.decode()
        raise MalformedError("ENVELOPE_TYPE", f"expected {_TYPE_PREFIX}<suite> of a known suite, got {got!r:.100}")
    signature = EnvelopeSignature(keyid=keyid.decode(), sig=_decode_base64(sig, "sig"))
    return Envelope(
        payload_type=payload_type.decode(),
        suite=suite,
        payload=_decode_base64(payload, "payload"),
        signatures=(signature,),
        encoded=encoded,
    )


def verify_envelope(envelope: Envelope, keys: Sequence[PublicKey]) -> bytes:
    """Returns the payload when one of the keys signed it; refuses SIGNER_UNKNOWN, SIGNER_SUITE, SIGNATURE."""
    if len(envelope.signatures) != 1:
        raise UntrustedError("SIGNATURE", f"expected exactly one signature, got {len(envelope.signatures)}")
    signature = envelope.signatures[0]
    key = next((key for key in keys if key.key_id == signature.keyid), None)
    if key is None:
        raise UntrustedError("SIGNER_UNKNOWN", f"expected one of {len(keys)} keys, got {signature.keyid:.16}")
    if key.suite is not envelope.suite:
        raise UntrustedError("SIGNER_SUITE", f"expected a signature of suite {key.suite}, got {envelope.suite}")
    verify_signature(key, pre_authentication_encoding(envelope.payload_type, envelope.payload), signature.sig)
    return envelope.payload


_SUITES = {payload_type_of(suite).encode(): suite for suite in Suite}


def _require_size(encoded: bytes) -> bytes:
    if len(encoded) > MAX_ENVELOPE_BYTES:
        raise MalformedError("ENVELOPE_SIZE", f"expected at most {MAX_ENVELOPE_BYTES} bytes, got {len(encoded)}")
    return encoded


def _encode_signature(signature: EnvelopeSignature) -> bytes:
    return b'{"keyid":"%b","sig":"%b"}' % (signature.keyid.encode(), b64encode(signature.sig))


def _decode_base64(text: bytes, field: str) -> bytes:
    """Decodes canonical base64 only: pad bits that are not zero would be a second form of the same bytes."""
    try:
        decoded = a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise MalformedError("ENVELOPE_BASE64", f"expected {field!r} in base64", field=field) from error
    if b64encode(decoded) != text:
        raise MalformedError("ENVELOPE_BASE64", f"expected {field!r} in canonical base64", field=field)
    return decoded
