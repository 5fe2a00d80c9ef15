"""The keyring: a node's private keys on its own disk, one file for each office.

    <home>/home.json                 whose home this is; since when the message key signs
    <home>/keys/message.key          signs statements           (PKCS #8 PEM, Ed25519 or P-256)
    <home>/keys/log.key              signs own checkpoints      (Ed25519; log-1.key after the first restart)
    <home>/keys/witness.key          cosigns the others'        (Ed25519)
    <home>/keys/agreement.key        signs agreements: may be kept off this machine
    <home>/keys/freshness.key        re-signs that the agreement is still the newest
    <home>/keys/<office>.next.key    the successor, while a rotation runs
    <home>/keys/data.key             seals personal columns, and blinds their indexes

Rules kept: every file 0600 or refused; one key for each office, never two offices for one key; nothing is overwritten.
Trusts the file system's rights. Source: DESIGN sections 4, 6; RFC 8410 (Ed25519 in PKCS #8).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from federation.node.home.files import (
    load_ed25519,
    load_signer,
    make_private_folder,
    new_key,
    read_json,
    read_secret,
    write_public,
    write_secret,
)
from federation.protocol.errors import ConflictError, NotFoundError, RuleError
from federation.protocol.form import Count, Item, Time, always, decode, encode, replace
from federation.protocol.ids import (
    FederationName,
    NodeName,
    format_time,
    matching,
    parse_federation_name,
    parse_node_name,
    parse_time,
)
from federation.protocol.keys import PublicKey, Signer
from federation.protocol.tlog.note import KeyKind, Sign, Vkey
from federation.protocol.trust.members import RetiredLog, format_log_origin, format_witness_name
from federation.store.columns import DataKeys

VERSION: Literal[1] = 1
HOME_FILE = "home.json"


class Office(StrEnum):
    MESSAGE = "message"
    LOG = "log"
    WITNESS = "witness"
    AGREEMENT = "agreement"
    FRESHNESS = "freshness"


ROTATED = frozenset({Office.MESSAGE, Office.AGREEMENT, Office.FRESHNESS})
"""Keys that are replaced in place. A new log key is a new log, and a new witness key starts without memory."""


class Identity(Item, frozen=True, kw_only=True):
    """The owner of a home. `message_from` is when the message key began to sign, `next_from` when its successor may."""

    WHAT: ClassVar[str] = HOME_FILE

    v: Literal[1] = always(VERSION)
    federation: FederationName
    node: NodeName
    log_year: Count
    message_from: Time
    next_from: Time | None = None
    retired_logs: tuple[RetiredLog, ...] = ()


class _ColumnKeys(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "data.key"
    REASON: ClassVar[str] = "DATA_KEYS"

    v: Literal[1] = always(VERSION)
    key_id: Count
    key: bytes
    index_key: bytes
    older: dict[Annotated[str, matching("[0-9]{1,5}", form="1 to 5 digits")], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """A key that signs notes: its public form and the signing itself."""

    vkey: Vkey
    sign: Sign


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """All private keys of a node. `agreement` and `freshness` are None where they are kept off this machine."""

    identity: Identity
    message: Signer
    next_message: Signer | None
    log: NoteKey
    witness: NoteKey
    agreement: Signer | None
    next_agreement: Signer | None
    freshness: Signer | None
    next_freshness: Signer | None
    columns: DataKeys


def create_keyring(home: Path, federation: str, *, node: NodeName, now: datetime) -> Keyring:
    """Creates all keys, and `home.json` last: a home with it is whole. Refuses HOME_EXISTS and malformed names."""
    if (home / HOME_FILE).exists() or any((home / "keys").glob("*.key")):
        raise ConflictError("HOME_EXISTS", f"expected no keys in {home} yet; keys are never overwritten")
    identity = Identity(
        federation=parse_federation_name(federation),
        node=parse_node_name(node),
        log_year=now.year,
        message_from=parse_time(format_time(now)),
    )
    make_private_folder(home / "keys")
    for office in Office:
        write_secret(_key_path(home, office), new_key())
    columns = DataKeys(key_id=1, key=secrets.token_bytes(32), index_key=secrets.token_bytes(32))
    write_secret(home / "keys" / "data.key", _encode_columns(columns))
    write_public(home / HOME_FILE, encode(identity))
    return load_keyring(home)


def load_keyring(home: Path) -> Keyring:
    """Loads the keys of a home. Refuses HOME_MISSING, KEY_MISSING, KEY_FILE_MODE, PRIVATE_KEY, DATA_KEYS, JSON_*."""
    identity = load_identity(home)
    federation, node = identity.federation, identity.node
    restarts = len(identity.retired_logs)
    origin = format_log_origin(federation, node, identity.log_year, restarts=restarts)
    witness = format_witness_name(federation, node)
    return Keyring(
        identity=identity,
        message=load_signer(_key_path(home, Office.MESSAGE)),
        next_message=_find_signer(_key_path(home, Office.MESSAGE, coming=True)),
        log=_load_note_key(_log_key_path(home, restarts), origin, KeyKind.ED25519),
        witness=_load_note_key(_key_path(home, Office.WITNESS), witness, KeyKind.COSIGNATURE),
        agreement=_find_signer(_key_path(home, Office.AGREEMENT)),
        next_agreement=_find_signer(_key_path(home, Office.AGREEMENT, coming=True)),
        freshness=_find_signer(_key_path(home, Office.FRESHNESS)),
        next_freshness=_find_signer(_key_path(home, Office.FRESHNESS, coming=True)),
        columns=_decode_columns(read_secret(home / "keys" / "data.key")),
    )


def rotate_key(home: Path, office: Office, *, now: datetime, starts: datetime | None = None) -> PublicKey:
    """Makes a key's successor, valid from `starts` (else now) once the agreement names it.

    The old one stays valid until `finish_rotation`. Refuses KEY_NOT_ROTATED, ROTATION_RUNNING.
    """
    _require_rotated(office)
    identity = load_identity(home)
    if _key_path(home, office, coming=True).exists():
        raise ConflictError("ROTATION_RUNNING", f"expected no successor of the {office} key yet: finish that one first")
    write_secret(_key_path(home, office, coming=True), new_key())
    if office is Office.MESSAGE:
        write_public(home / HOME_FILE, encode(replace(identity, next_from=starts or now)))
    return load_signer(_key_path(home, office, coming=True)).public_key


def finish_rotation(home: Path, office: Office, *, agreed: Collection[PublicKey]) -> PublicKey:
    """Puts the successor in its predecessor's place and destroys that; `agreed` are the keys that others verify now.

    Refuses KEY_NOT_ROTATED, ROTATION_MISSING, and a successor that is not agreed yet (KEY_NOT_AGREED).
    """
    _require_rotated(office)
    identity = load_identity(home)
    coming = _key_path(home, office, coming=True)
    if not coming.exists():
        raise NotFoundError("ROTATION_MISSING", f"expected a successor of the {office} key: none was begun")
    signer = load_signer(coming)
    if signer.public_key not in agreed:
        raise RuleError(
            "KEY_NOT_AGREED",
            f"expected the agreement in force to name the new {office} key {signer.public_key.key_id:.16} from now on; "
            "without the old one this node could sign nothing",
        )
    write_secret(_key_path(home, office), read_secret(coming), replace=True)
    coming.unlink()
    if office is Office.MESSAGE:
        started = identity.next_from or identity.message_from
        identity = replace(identity, message_from=started, next_from=None)
        write_public(home / HOME_FILE, encode(identity))
    return signer.public_key


def begin_log(home: Path, retired: RetiredLog) -> None:
    """Makes the key of a new log and writes it into `home.json`, after the one that is retired."""
    identity = load_identity(home)
    logs = (*identity.retired_logs, retired)
    write_secret(_log_key_path(home, len(logs)), new_key(), replace=True)
    write_public(home / HOME_FILE, encode(replace(identity, retired_logs=logs)))


def settle_log(home: Path) -> None:
    """Destroys the keys of retired logs: they sign nothing any more."""
    for restarts in range(len(load_identity(home).retired_logs)):
        _log_key_path(home, restarts).unlink(missing_ok=True)


def load_identity(home: Path) -> Identity:
    """Loads the owner of a home. Refuses HOME_MISSING, JSON_*, FEDERATION_NAME, NODE_NAME, TIME."""
    path = home / HOME_FILE
    if not path.is_file():
        raise NotFoundError("HOME_MISSING", f"expected a node's home at {home}: make one with 'bridgehead keys new'")
    return decode(Identity, read_json(path))


def _require_rotated(office: Office) -> None:
    if office not in ROTATED:
        raise RuleError(
            "KEY_NOT_ROTATED", f"expected one of {', '.join(sorted(ROTATED))}; a new {office} key is a new {office}"
        )


def _key_path(home: Path, office: Office, *, coming: bool = False) -> Path:
    return home / "keys" / (f"{office}.next.key" if coming else f"{office}.key")


def _log_key_path(home: Path, restarts: int) -> Path:
    path = _key_path(home, Office.LOG)
    return path.with_name(f"log-{restarts}.key") if restarts else path


def _find_signer(path: Path) -> Signer | None:
    return load_signer(path) if path.exists() else None


def _load_note_key(path: Path, name: str, kind: KeyKind) -> NoteKey:
    signer = load_ed25519(path)
    return NoteKey(vkey=Vkey(name=name, kind=kind, public_key=signer.public_key.key), sign=signer.sign)


def _encode_columns(keys: DataKeys) -> bytes:
    older = {str(key_id): key for key_id, key in keys.older.items()}
    return encode(_ColumnKeys(key_id=keys.key_id, key=keys.key, index_key=keys.index_key, older=older))


def _decode_columns(encoded: bytes) -> DataKeys:
    keys = decode(_ColumnKeys, encoded)
    older = {int(key_id): key for key_id, key in keys.older.items()}
    return DataKeys(key_id=keys.key_id, key=keys.key, index_key=keys.index_key, older=older)
