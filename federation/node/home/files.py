"""The files of a home: secrets, written once with mode 0600 and read only while nobody else may, and public ones.

Rules kept: a secret never exists with wider rights; a file is replaced by a rename, so that a crash leaves the old or
the new one; a secret that others may read is refused, and none is printed. `profile.toml` is the way from an agency's
program to its node. Beside it lie its officers' own keys (本人密钥), `officers/<officer>.key` and nowhere else, and
`officers/current` names who works there: so nothing more is typed (misuse control M1).
"""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, UntrustedError
from federation.protocol.form import canonicalise
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.protocol.keys import Ed25519Signer, P256Signer, PublicKey, Signer

MAX_FILE_BYTES = 1024 * 1024


def write_secret(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Writes a secret with mode 0600; durable when this returns. Refuses KEY_EXISTS."""
    if path.exists() and not replace:
        raise ConflictError("KEY_EXISTS", f"expected no {path} yet; a key is never overwritten", file=str(path))
    _write(path, content, mode=0o600)


def write_public(path: Path, content: bytes) -> None:
    """Writes or replaces a public file with mode 0644; durable when this returns."""
    _write(path, content, mode=0o644)


def read_secret(path: Path) -> bytes:
    """Reads a secret. Raises NotFoundError: KEY_MISSING; UntrustedError: KEY_FILE_MODE."""
    if not path.is_file():
        raise NotFoundError("KEY_MISSING", f"expected a private key in {path}", file=str(path))
    content = read_file(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise UntrustedError(
            "KEY_FILE_MODE", f"expected mode 0600 of {path}, got {mode:04o}: run 'chmod 600 {path}'", file=str(path)
        )
    return content


def read_file(path: Path) -> bytes:
    """Reads a file that must be there. Raises NotFoundError: FILE_MISSING."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise NotFoundError("FILE_MISSING", f"expected a file {path}", file=str(path)) from error
    if len(content) > MAX_FILE_BYTES:
        raise NotFoundError("FILE_MISSING", f"expected a file of at most {MAX_FILE_BYTES} bytes at {path}")
    return content


def read_policies(folder: Path) -> dict[str, bytes]:
    """Reads every file below a folder as `policies/...`, hidden files left out. Refuses FILE_MISSING."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path, folder)]
    if not paths:
        raise NotFoundError("FILE_MISSING", f"expected policy files in {folder}: --policies")
    return {f"policies/{path.relative_to(folder).as_posix()}": read_file(path) for path in paths}


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def new_key() -> bytes:
    """A new Ed25519 private key, as PKCS #8 in PEM, to be written by `write_secret`."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_signer(path: Path) -> Signer:
    """Loads a private key, PKCS #8 in PEM. Refuses KEY_MISSING, KEY_FILE_MODE, PRIVATE_KEY."""
    expected = f"expected an unencrypted private key of Ed25519 or P-256, PKCS #8 in PEM, in {path}"
    try:
        key = load_pem_private_key(read_secret(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("PRIVATE_KEY", expected, file=str(path)) from error
    if isinstance(key, Ed25519PrivateKey):
        return Ed25519Signer(key.private_bytes_raw())
    if isinstance(key, EllipticCurvePrivateKey):
        return P256Signer(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    raise MalformedError("PRIVATE_KEY", expected, file=str(path))


def load_ed25519(path: Path) -> Ed25519Signer:
    """Loads a key that is Ed25519, as those of officers and of notes are; raises as `load_signer`."""
    signer = load_signer(path)
    if not isinstance(signer, Ed25519Signer):
        raise MalformedError("PRIVATE_KEY", f"expected an Ed25519 key in {path}", file=str(path))
    return signer


def read_json(path: Path) -> bytes:
    """Reads JSON that a person may have edited or redirected, in its canonical form. Refuses FILE_MISSING, JSON_*."""
    return canonicalise(read_file(path), what=str(path))


def read_toml(path: Path, *, reason: str) -> dict[str, Any]:
    """Reads a TOML file that must be there. Refuses FILE_MISSING, and gives `reason` for what is no TOML."""
    try:
        return tomllib.loads(read_file(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MalformedError(reason, f"{path}: expected TOML: {error}") from error


def make_private_folder(path: Path) -> None:
    """Makes a folder, and those above it, that only its owner may open."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_home_folder(home: Path) -> None:
    """Makes the folder of a home; one that is there is taken when it is empty or private already (HOME_MODE)."""
    make_private_folder(home)
    if not any(home.iterdir()):
        home.chmod(0o700)
    require_private(home)


def require_private(home: Path) -> None:
    """Refuses a home that others may open, or whose settings or log they may read (HOME_MODE)."""
    for path in (home, home / "node.toml", home / "node.log"):
        mode = path.stat().st_mode & 0o777 if path.exists() else 0
        if mode & 0o077:
            sentence = f"expected that nobody else may open {path}, got mode {mode:04o}: run 'chmod -R go= {home}'"
            raise UntrustedError("HOME_MODE", sentence, file=str(path))


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # the umask may take rights away, never give any
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    partial.replace(path)
    sync_folder(path.parent)


PROFILE_FILE: Final = "profile.toml"
OFFICERS, ADMINISTRATORS = "officers", "administrators"
CURRENT_OFFICER: Final = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyProfile:
    """The way from an agency's program to its node; loaded paths are joined to the profile's folder."""

    federation: str
    agency: AgencyId
    node: str
    agency_addr: str
    read_url: str
    ca: Path
    cert: Path
    key: Path

    @property
    def server_name(self) -> str:
        """The name in the node's certificate, whatever address it is reached at."""
        return f"{self.node}.{self.federation}"

    @property
    def officers(self) -> Path:
        """The folder with the own keys of the officers who work with this profile."""
        return self.cert.parent / OFFICERS

    def current_officer(self) -> str:
        """Returns who works with this profile; empty when nobody made a key for it yet."""
        named = self.officers / CURRENT_OFFICER
        return read_file(named).decode("ascii", "replace").strip() if named.is_file() else ""


def officer_key_path(folder: Path, officer: str) -> Path:
    return folder / f"{officer}.key"


def create_officer_key(path: Path) -> PublicKey:
    """Makes an officer's own key and returns its public part (KEY_EXISTS)."""
    write_secret(path, new_key())
    return load_ed25519(path).public_key


def create_profile_key(folder: Path, officer: str) -> PublicKey:
    """Makes the key of an officer beside a profile (KEY_EXISTS)."""
    make_private_folder(folder)
    return create_officer_key(officer_key_path(folder, officer))


def remember_officer(folder: Path, officer: str) -> None:
    """Has a profile work for an officer whose key lies beside it, until told otherwise."""
    write_public(folder / CURRENT_OFFICER, f"{officer}\n".encode())


def load_profile(path: Path) -> AgencyProfile:
    """Loads a profile; paths count from its own folder. Refuses FILE_MISSING, PROFILE, AGENCY_ID."""
    table = read_toml(path, reason="PROFILE")
    names = {field.name for field in fields(AgencyProfile)}
    wrong = sorted(table.keys() ^ names) or sorted(n for n, v in table.items() if not isinstance(v, str))
    if wrong:
        expected = ", ".join(sorted(names))
        raise MalformedError("PROFILE", f"{path}: expected the strings {expected}; wrong is {wrong[0]!r:.40}")
    files = {name: path.parent / table[name] for name in ("ca", "cert", "key")}
    return AgencyProfile(**{**table, **files, "agency": parse_agency_id(table["agency"])})


def client_folder(home: Path, agency: AgencyId) -> Path:
    return home / "clients" / f"{agency.county}-{agency.kind}"


REVOKED_FILE: Final = "agency-revoked.txt"


def load_revoked(home: Path) -> frozenset[str]:
    """Loads the revoked agency serials, lower-case hex, never empty by error. Refuses REVOKED_SERIAL, FILE_MISSING.

    Each call asks for them, and each message of a stream: the file is read again once it is another one.
    """
    path = f"{home}/tls/{REVOKED_FILE}"
    with suppress(OSError):
        found = os.stat(path)  # noqa: PTH116 - a path object would cost more than the look
        return _read_revoked(path, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    raise NotFoundError("FILE_MISSING", f"expected a file {path}", file=path)


@lru_cache(maxsize=16)
def _read_revoked(path: str, mark: tuple[int, ...]) -> frozenset[str]:
    del mark
    text = read_file(Path(path)).decode("ascii", "replace")
    serials = set()
    for number, line in enumerate(text.splitlines(), start=1):
        serial = line.strip().lower()
        if serial and not set(serial) <= set("0123456789abcdef"):
            raise MalformedError("REVOKED_SERIAL", f"{REVOKED_FILE}:{number}: expected a serial in hex", line=number)
        if serial:
            serials.add(serial.lstrip("0") or "0")
    return frozenset(serials)
