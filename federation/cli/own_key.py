"""An officer's own key (民警本人密钥) on the officer's machine: it signs what the officer does, and nobody else has it.

Ed25519, PKCS #8 in PEM, mode 0600, never overwritten and never printed (misuse control M1). It lies beside the
connection profile, in `officers/<officer>.key`, and `officers/current` names who works there: so nothing more is typed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from federation.node.home.files import (
    make_private_folder,
    read_file,
    read_secret,
    write_public,
    write_secret,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import format_base64
from federation.protocol.keys import Ed25519Signer, PublicKey, Signer, Suite, admit_public_key, parse_public_key

_SUITE_PREFIX: Final = f"{Suite.ED25519}:"
_CURRENT: Final = "current"


def key_path(folder: Path, officer: str) -> Path:
    return folder / f"{officer}.key"


def current_officer(folder: Path) -> str:
    """Returns who works with the profile of that folder; empty when nobody made a key for it yet."""
    named = folder / _CURRENT
    return read_file(named).decode("ascii", "replace").strip() if named.is_file() else ""


def create_profile_key(folder: Path, officer: str) -> PublicKey:
    """Makes the key of an officer beside a profile, which remembers both from now on (KEY_EXISTS)."""
    make_private_folder(folder)
    made = create_officer_key(key_path(folder, officer))
    write_public(folder / _CURRENT, f"{officer}\n".encode())
    return made


def create_officer_key(path: Path) -> PublicKey:
    """Makes a new key in a file of mode 0600 and returns its public part (KEY_EXISTS)."""
    key = Ed25519PrivateKey.generate()
    write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return PublicKey(Suite.ED25519, key.public_key().public_bytes_raw())


def load_officer_key(path: Path) -> Ed25519Signer:
    """Loads the private key of an officer (KEY_MISSING, KEY_FILE_MODE, PRIVATE_KEY)."""
    expected = f"expected an unencrypted Ed25519 key, PKCS #8 in PEM, in {path}"
    try:
        key = load_pem_private_key(read_secret(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("PRIVATE_KEY", expected, file=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedError("PRIVATE_KEY", expected, file=str(path))
    return Ed25519Signer(key.private_bytes_raw())


def sign(key: Signer, signed: bytes) -> str:
    return format_base64(key.sign(signed))


def find_public_key(text: str) -> PublicKey:
    """The public key that is given as `ed25519:<base64>`, as a file that holds that line, or as a private key's file.

    Raises MalformedError PRIVATE_KEY, KEY_*, BASE64; NotFoundError FILE_MISSING; as `admit_public_key`.
    """
    if text.startswith(_SUITE_PREFIX):
        return admit_public_key(parse_public_key(text))
    content = read_file(Path(text))
    if content.startswith(_SUITE_PREFIX.encode("ascii")):
        return admit_public_key(parse_public_key(content.decode("ascii", errors="replace").strip()))
    return load_officer_key(Path(text)).public_key
