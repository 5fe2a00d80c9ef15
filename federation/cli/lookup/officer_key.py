"""An officer's own key (民警本人密钥): made on the officer's machine, kept there, used to sign each fetch and release.

Rules kept: the private key is Ed25519, PKCS #8 in PEM, in a file of mode 0600; it is never overwritten and never
printed; the node is given the public key only. Source: misuse control M1.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from federation.domain.lookup.asking import FetchItem, step_up_bytes, verify_fields
from federation.domain.lookup.handle import parse_handle
from federation.domain.lookup.intake import refuse_bytes, release_bytes
from federation.node.home.files import read_file, read_secret, write_secret
from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, NodeName, parse_message_id
from federation.protocol.keys import Ed25519Signer, PublicKey, Suite, admit_public_key, parse_public_key
from federation.protocol.tlog.lines import format_base64
from federation.wire.lookups.intake.values import RefuseQuestion, ReleaseQuestion
from federation.wire.lookups.values import FetchQuestion

_SUITE_PREFIX = f"{Suite.ED25519}:"
_NO_LOOKUP = parse_message_id("00000000-0000-7000-8000-000000000000")


def create_officer_key(path: Path) -> PublicKey:
    """Makes a new key in a file of mode 0600 and returns its public part.

    Raises:
        ConflictError: KEY_EXISTS when the file is there.
    """
    key = Ed25519PrivateKey.generate()
    write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return PublicKey(Suite.ED25519, key.public_key().public_bytes_raw())


def load_officer_key(path: Path) -> Ed25519Signer:
    """Loads the private key of an officer.

    Raises:
        NotFoundError: KEY_MISSING.
        UntrustedError: KEY_FILE_MODE when others may read it.
        MalformedError: PRIVATE_KEY when it is no Ed25519 key in PEM.
    """
    told = f"expected an unencrypted Ed25519 key, PKCS #8 in PEM, in {path}"
    try:
        key = load_pem_private_key(read_secret(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("PRIVATE_KEY", told, file=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedError("PRIVATE_KEY", told, file=str(path))
    return Ed25519Signer(key.private_bytes_raw())


def find_public_key(text: str) -> PublicKey:
    """The public key that is given as `ed25519:<base64>`, as a file that holds that line, or as a private key's file.

    Raises:
        MalformedError: PRIVATE_KEY, KEY_*, BASE64 for another form; UntrustedError: as `admit_public_key`.
        NotFoundError: FILE_MISSING when it is neither a key nor a file.
    """
    if text.startswith(_SUITE_PREFIX):
        return admit_public_key(parse_public_key(text))
    content = read_file(Path(text))
    if content.startswith(_SUITE_PREFIX.encode("ascii")):
        return admit_public_key(parse_public_key(content.decode("ascii", errors="replace").strip()))
    return load_officer_key(Path(text)).public_key


def sign_fetch(
    signer: Ed25519Signer, *, case_id: str, node: NodeName, handle: str, fields: frozenset[str]
) -> FetchQuestion:
    """The question for the named fields of one hit, signed by the officer.

    Raises:
        MalformedError: HANDLE_FORM; LOOKUP_FIELD when no field is named, or one that no permit has.
    """
    key = format_base64(signer.public_key.key)
    item = FetchItem(
        lookup_id=_NO_LOOKUP,  # no part of what is signed; the node knows it
        handle=parse_handle(handle),
        fields=verify_fields(fields),
        officer_key=key,
        officer_signature="",
    )
    return FetchQuestion(
        case_id=case_id,
        node=node,
        handle=item.handle,
        fields=item.fields,
        officer_key=key,
        officer_signature=format_base64(signer.sign(step_up_bytes(item))),
    )


def sign_release(key: Path, agency: AgencyId, question: ReleaseQuestion, *, officer: str) -> ReleaseQuestion:
    """The same release with the signature of the officer at the desk.

    Raises:
        BridgeheadError: as `load_officer_key`.
    """
    signed = release_bytes(agency, officer, request_id=question.request_id, fields=question.fields)
    return replace(question, signature=format_base64(load_officer_key(key).sign(signed)))


def sign_refuse(key: Path, agency: AgencyId, question: RefuseQuestion, *, officer: str) -> RefuseQuestion:
    """The same refusal with the signature of the officer at the desk.

    Raises:
        BridgeheadError: as `load_officer_key`.
    """
    signed = refuse_bytes(
        agency, officer, request_id=question.request_id, reason=question.reason.value, words=question.words
    )
    return replace(question, signature=format_base64(load_officer_key(key).sign(signed)))
