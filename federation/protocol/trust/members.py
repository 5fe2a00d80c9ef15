"""The members: who takes part, where they are reached, with which keys; the target `members.json`.

Rules kept: canonical JSON with exact names; every public key admitted again whenever a version is loaded (with a
low-order key one signature fits many messages); the log and witness keys carry the names that their node must have;
an agency belongs to the node that lists it.
Trusts nothing: the bytes count only once the targets file that names their hash is verified (`agreement`).
Source: DESIGN section 4 (agreement), C2SP signed-note (vkeys), transparency-log.md section 12.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from cryptography import x509

from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_integer,
    read_object,
    read_text,
)
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import (
    AgencyId,
    NodeName,
    format_time,
    parse_agency_id,
    parse_node_name,
    parse_time,
)
from federation.protocol.keys import PublicKey, Suite, admit_public_key, format_public_key, parse_public_key
from federation.protocol.tlog.note import KeyKind, Vkey, format_vkey, parse_vkey

MEMBERS_PATH = "members.json"
VERSION = 1
MAX_MESSAGE_KEYS = 16

_NAMES = (
    "name", "peer_addr", "read_url", "message_keys", "log_vkey", "witness_vkey", "tls_ca", "revoked_serials",
    "agencies",
)  # fmt: skip
_FUNCTION = re.compile(r"F[0-9]{2}", re.ASCII)
_HOST_PORT = re.compile(r"(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}", re.ASCII)
_READ_URL = re.compile(r"https?://(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)*", re.ASCII)
_SERIAL = re.compile(r"[1-9a-f][0-9a-f]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKey:
    """A key that a node signs statements with, from `valid_from` (inclusive) until `valid_until` (exclusive)."""

    key: PublicKey
    valid_from: datetime
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """An office that may act through its node, with the joint functions it takes part in."""

    id: AgencyId
    name: str
    functions: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One node as all the others see it. `tls_ca` is PEM; serials of revoked peer certificates are lower-case hex."""

    node: NodeName
    name: str
    peer_addr: str
    read_url: str
    message_keys: tuple[MessageKey, ...]
    log_vkey: str
    witness_vkey: str
    tls_ca: str
    agencies: Mapping[AgencyId, Agency]
    revoked_serials: frozenset[str] = frozenset()


def format_log_origin(federation: str, node: NodeName, year: int) -> str:
    """Formats the origin of a node's exchange log of one year: also the name of its log key."""
    return f"{node}.{federation}/exchange/{year}"


def format_witness_name(federation: str, node: NodeName) -> str:
    """Formats the name under which a node cosigns the others' checkpoints."""
    return f"{node}.{federation}/witness"


def encode_members(members: Mapping[NodeName, Member]) -> bytes:
    """Encodes `members.json` into its one canonical form."""
    return encode_canonical(
        {"v": VERSION, "members": {node: member_object(member) for node, member in members.items()}}
    )


def decode_members(encoded: bytes, *, federation: str) -> Mapping[NodeName, Member]:
    """Decodes the exact bytes of `members.json` and admits every key in it.

    Raises:
        MalformedError: JSON_* for its form, AGREEMENT_MEMBERS for a field, and the reasons of `ids`, `keys`, `note`.
        UntrustedError: as `admit_public_key`; AGREEMENT_KEY when a log or witness key has another node's name.
    """
    value = decode_canonical(encoded, what=MEMBERS_PATH)
    expect_names(value, ("v", "members"), what=MEMBERS_PATH)
    if read_integer(value, "v", what=MEMBERS_PATH) != VERSION:
        raise _refuse(MEMBERS_PATH, "v", f"{VERSION}")
    members = read_object(value, "members", what=MEMBERS_PATH)
    return MappingProxyType(
        {
            parse_node_name(name): read_member(
                read_object(members, name, what=MEMBERS_PATH), parse_node_name(name), federation
            )
            for name in members
        }
    )


def member_object(member: Member) -> dict[str, JsonValue]:
    """Gives the JSON object of one member, as `read_member` reads it."""
    return {
        "name": member.name,
        "peer_addr": member.peer_addr,
        "read_url": member.read_url,
        "message_keys": [_message_key_object(key) for key in member.message_keys],
        "log_vkey": member.log_vkey,
        "witness_vkey": member.witness_vkey,
        "tls_ca": member.tls_ca,
        "revoked_serials": sorted(member.revoked_serials),
        "agencies": {
            str(agency.id): {"name": agency.name, "functions": sorted(agency.functions)}
            for agency in member.agencies.values()
        },
    }


def read_member(value: dict[str, JsonValue], node: NodeName, federation: str) -> Member:
    """Reads one member out of its JSON object and admits its keys.

    Raises:
        MalformedError, UntrustedError: as `decode_members`.
    """
    what = f"{MEMBERS_PATH} of {node}"
    expect_names(value, _NAMES, what=what)
    agencies = read_object(value, "agencies", what=what)
    return Member(
        node=node,
        name=_read_name(value, what),
        peer_addr=_read_matching(value, "peer_addr", _HOST_PORT, what=what),
        read_url=_read_matching(value, "read_url", _READ_URL, what=what),
        message_keys=_read_message_keys(value, what),
        log_vkey=_read_vkey(value, "log_vkey", (KeyKind.ED25519, f"{node}.{federation}/exchange/"), what=what),
        witness_vkey=_read_vkey(
            value, "witness_vkey", (KeyKind.COSIGNATURE, format_witness_name(federation, node)), what=what
        ),
        tls_ca=_read_ca(value, what),
        revoked_serials=frozenset(_read_texts(value, "revoked_serials", _SERIAL, what=what)),
        agencies=MappingProxyType(
            {agency.id: agency for agency in (_read_agency(agencies, name, node) for name in agencies)}
        ),
    )


def public_keys(member: Member) -> Iterator[PublicKey]:
    """Yields every signing key of a member: message keys, then log and witness as plain Ed25519 keys."""
    for message_key in member.message_keys:
        yield message_key.key
    for vkey in (member.log_vkey, member.witness_vkey):
        yield PublicKey(Suite.ED25519, parse_vkey(vkey).public_key)


def _message_key_object(message_key: MessageKey) -> dict[str, JsonValue]:
    value: dict[str, JsonValue] = {
        "key": format_public_key(message_key.key),
        "valid_from": format_time(message_key.valid_from),
    }
    if message_key.valid_until is not None:
        value["valid_until"] = format_time(message_key.valid_until)
    return value


def _read_message_keys(value: dict[str, JsonValue], what: str) -> tuple[MessageKey, ...]:
    found = value["message_keys"]
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_MESSAGE_KEYS:
        raise _refuse(what, "message_keys", f"a list of 1 to {MAX_MESSAGE_KEYS} keys")
    return tuple(_read_message_key(entry, what) for entry in found)


def _read_message_key(entry: JsonValue, what: str) -> MessageKey:
    if not isinstance(entry, dict):
        raise _refuse(what, "message_keys", "a list of objects")
    expect_names(entry, ("key", "valid_from"), ("valid_until",), what=f"{what}, message key")
    until = parse_time(read_text(entry, "valid_until", what=what)) if "valid_until" in entry else None
    start = parse_time(read_text(entry, "valid_from", what=what))
    if until is not None and until < start:
        raise _refuse(what, "valid_until", "a time that is not before 'valid_from'")
    key = admit_public_key(parse_public_key(read_text(entry, "key", what=what)))
    return MessageKey(key=key, valid_from=start, valid_until=until)


def _read_vkey(value: dict[str, JsonValue], field: str, wanted: tuple[KeyKind, str], *, what: str) -> str:
    text = read_text(value, field, what=what)
    vkey: Vkey = parse_vkey(text)
    kind, name = wanted
    if vkey.kind != kind:
        raise _refuse(what, field, f"a key of type {kind:#04x}")
    if vkey.name != name and not (name.endswith("/") and re.fullmatch(re.escape(name) + "[0-9]{4}", vkey.name)):
        raise UntrustedError(
            "AGREEMENT_KEY", f"{what}: expected {field!r} under the name {name}, got {vkey.name!r:.80}"
        )
    admit_public_key(PublicKey(Suite.ED25519, vkey.public_key))
    return format_vkey(vkey)


def _read_ca(value: dict[str, JsonValue], what: str) -> str:
    text = read_text(value, "tls_ca", what=what)
    try:
        certificates = x509.load_pem_x509_certificates(text.encode())
        authority = all(
            certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            for certificate in certificates
        )
    except (ValueError, x509.ExtensionNotFound) as error:
        raise _refuse(what, "tls_ca", "PEM certificates of an authority") from error
    if not authority:
        raise _refuse(what, "tls_ca", "PEM certificates of an authority")
    return text


def _read_agency(agencies: dict[str, JsonValue], name: str, node: NodeName) -> Agency:
    what = f"{MEMBERS_PATH}, agency {name:.60}"
    agency_id = parse_agency_id(name)
    if agency_id.node != node:
        raise _refuse(what, "agencies", f"agencies of {node} only")
    fields = read_object(agencies, name, what=what)
    expect_names(fields, ("name", "functions"), what=what)
    functions = frozenset(_read_texts(fields, "functions", _FUNCTION, what=what))
    return Agency(id=agency_id, name=_read_name(fields, what), functions=functions)


def _read_name(value: dict[str, JsonValue], what: str) -> str:
    text = read_text(value, "name", what=what)
    if not 1 <= len(text) <= 100 or not text.isprintable():
        raise _refuse(what, "name", "1 to 100 printable characters")
    return text


def _read_matching(value: dict[str, JsonValue], field: str, form: re.Pattern[str], *, what: str) -> str:
    text = read_text(value, field, what=what)
    if len(text) > 250 or not form.fullmatch(text):
        raise _refuse(what, field, f"text of the form {form.pattern}")
    return text


def _read_texts(value: dict[str, JsonValue], field: str, form: re.Pattern[str], *, what: str) -> list[str]:
    found = value[field]
    texts = [text for text in found if isinstance(text, str)] if isinstance(found, list) else None
    if texts is None or texts != found or sorted(set(texts)) != texts or not all(map(form.fullmatch, texts)):
        raise _refuse(what, field, f"a sorted list of different texts of the form {form.pattern}")
    return texts


def _refuse(what: str, field: str, expected: str) -> MalformedError:
    return MalformedError("AGREEMENT_MEMBERS", f"{what}: expected {field!r} to be {expected}", field=field)
