"""The two target files that all members read: who takes part or did (`members.json`), and the terms (`agreement.json`).

Rules kept: canonical JSON with exact names; every public key admitted again whenever a version is loaded (with a
low-order key one signature fits many messages); the log and witness keys carry the names that their node must have;
an agency belongs to the node that lists it; every span of the terms keeps the protocol sane.
Trusts nothing: the bytes count only once the targets file that names their hash is verified (`agreement`).
Source: DESIGN section 4 (agreement), C2SP signed-note (vkeys).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from cryptography import x509
from msgspec import Meta, Struct

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.form import Count, Item, Positive, Time, always, decode, encode, replace
from federation.protocol.ids import AgencyId, FederationName, NodeName, Realm, between, checked, matching, typed
from federation.protocol.keys import PublicKey, Suite, admit_public_key
from federation.protocol.tlog.note import KeyKind, Vkey, format_vkey, parse_vkey

MEMBERS_PATH: Final = "members.json"
MAX_MESSAGE_KEYS: Final = 128
"""Of one node, retired ones included: a new one every month for ten years."""
MAX_RETIRED_LOGS: Final = 16
MAX_FORMER: Final = 64
_ADDRESS_CHARACTERS: Final = 250
_HOST: Final = r"(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+)"
_HOST_PORT: Final = re.compile(rf"{_HOST}:[0-9]{{1,5}}", re.ASCII)
_READ_URL: Final = re.compile(rf"https?://{_HOST}(:[0-9]{{1,5}})?(/[A-Za-z0-9._-]+)*", re.ASCII)


def _is_name(text: str) -> bool:
    return 1 <= len(text) <= 100 and text.isprintable()


def is_vouched(text: str) -> bool:
    return len(text) <= 100 and (not text or text.isprintable())


def _is_host_port(text: str) -> bool:
    return len(text) <= _ADDRESS_CHARACTERS and _HOST_PORT.fullmatch(text) is not None


def _is_read_url(text: str) -> bool:
    return len(text) <= _ADDRESS_CHARACTERS and _READ_URL.fullmatch(text) is not None


def _is_authority(text: str) -> bool:
    try:
        return all(
            certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            for certificate in x509.load_pem_x509_certificates(text.encode())
        )
    except (ValueError, x509.ExtensionNotFound):
        return False


_Name = Annotated[str, checked(_is_name, form="1 to 100 printable characters")]
_Serial = Annotated[str, matching("[1-9a-f][0-9a-f]{0,39}", form="a serial in lower-case hex")]
_SET = typed("a sorted list of different texts", type_reason="AGREEMENT_MEMBERS")


class _Part(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = MEMBERS_PATH
    REASON: ClassVar[str] = "AGREEMENT_MEMBERS"


class MessageKey(_Part, frozen=True, kw_only=True):
    """A key that a node signs statements with, from `valid_from` (inclusive) until `valid_until` (exclusive)."""

    key: PublicKey
    valid_from: Time
    valid_until: Time | None = None


class RetiredLog(_Part, frozen=True, kw_only=True):
    """A log that its node retired: its key, and the size and root of what was left of it when the next one began.

    `signed` is the size of the newest head that it was then known to have signed; what lies between is lost. `vouched`
    says who stood in for witnesses who did not say how far it had signed, and why; empty when enough of them did.
    """

    vkey: str
    size: Count
    signed: Count = 0
    root: Annotated[str, matching("[0-9a-f]{64}", form="64 lower-case hex digits")]
    retired: Time
    vouched: Annotated[str, checked(is_vouched, form="at most 100 printable characters")] = ""


class Agency(_Part, frozen=True, kw_only=True):
    """An office that may act through its node, with the joint functions it takes part in, and whom to call there."""

    name: _Name
    functions: Annotated[frozenset[Annotated[str, matching("F[0-9]{2}", form="a function such as F01")]], _SET]
    phone: Annotated[str, matching("[0-9-]{0,20}", form="up to 20 digits and hyphens")] = ""


_MessageKeys = Annotated[
    tuple[MessageKey, ...],
    Meta(min_length=1, max_length=MAX_MESSAGE_KEYS),
    typed(f"a list of 1 to {MAX_MESSAGE_KEYS} keys", type_reason="AGREEMENT_MEMBERS"),
]
_RetiredLogs = Annotated[tuple[RetiredLog, ...], Meta(max_length=MAX_RETIRED_LOGS)]


class Member(_Part, frozen=True, kw_only=True):
    """One node as all others see it, listed under `node`; `tls_ca` is PEM, revoked serials are lower-case hex.

    `contact` is whom the others call. A province that was admitted exchanges exercises alone: not before
    `exercise_until` may the others agree that it exchanges all, which takes a report of its conformance, of which
    `conformance` is the digest. While `suspended_since` is set nothing is exchanged with it; its keys count on.
    """

    node: NodeName = NodeName("")
    name: _Name
    peer_addr: Annotated[str, checked(_is_host_port, form="a host and a port such as zhejiang.node:7101")]
    read_url: Annotated[str, checked(_is_read_url, form="a URL such as http://zhejiang.node:7103")]
    message_keys: _MessageKeys
    log_vkey: str
    witness_vkey: str
    tls_ca: Annotated[str, checked(_is_authority, form="PEM certificates of an authority")]
    agencies: Mapping[AgencyId, Agency]
    revoked_serials: Annotated[frozenset[_Serial], _SET] = always(frozenset())
    retired_logs: _RetiredLogs = ()
    contact: Annotated[str, checked(is_vouched, form="at most 100 printable characters")] = ""
    exercise_until: Time | None = None
    conformance: Annotated[str, matching("([0-9a-f]{64})?", form="a SHA-256 in lower-case hex")] = ""
    suspended_since: Time | None = None

    @property
    def has_vote(self) -> bool:
        """False for who is admitted for exercises alone: it signs no agreement and its witness counts for no log."""
        return self.exercise_until is None


class FormerMember(_Part, frozen=True, kw_only=True):
    """The keys of a node that was expelled: under them its past verifies, and nothing later.

    `last_agreement` is the last version that it took part in: what cites a later one is not from a member. `ended` is
    when its end was drafted. By `tls_ca` it is known when it calls: it is told that it was expelled, and nothing else.
    """

    node: NodeName
    name: _Name
    message_keys: _MessageKeys
    log_vkey: str
    retired_logs: _RetiredLogs = ()
    last_agreement: Positive
    ended: Time
    exercise_until: Time | None = None
    tls_ca: Annotated[str, checked(_is_authority, form="PEM certificates of an authority")] | None = None


class Membership(Struct, frozen=True, kw_only=True):
    """Members of an agreement, and those that were expelled before."""

    members: Mapping[NodeName, Member]
    former: Mapping[NodeName, FormerMember]


class _Members(_Part, frozen=True, kw_only=True):
    v: Annotated[Literal[1], typed("1")] = always(1)
    members: Mapping[NodeName, Member]
    former: Annotated[tuple[FormerMember, ...], Meta(max_length=MAX_FORMER)] = ()


def format_log_origin(federation: str, node: NodeName, year: int, *, restarts: int = 0) -> str:
    """Formats the origin of a node's exchange log, begun in a year: also the name of its log key."""
    return f"{node}.{federation}/exchange/{year}" + (f"-{restarts}" if restarts else "")


def format_witness_name(federation: str, node: NodeName) -> str:
    """Formats the name under which a node cosigns the others' checkpoints."""
    return f"{node}.{federation}/witness"


def encode_members(membership: Membership) -> bytes:
    members = {node: replace(member, node=NodeName("")) for node, member in membership.members.items()}
    return encode(_Members(members=members, former=tuple(each for _, each in sorted(membership.former.items()))))


def decode_members(encoded: bytes, *, federation: str) -> Membership:
    """Decodes `members.json` and admits every key; refuses JSON_*, AGREEMENT_MEMBERS, AGREEMENT_KEY, weak keys."""
    found = decode(_Members, encoded)
    former = [each.node for each in found.former]
    if former != sorted(set(former) - found.members.keys()):
        raise _refuse(MEMBERS_PATH, "former", "different nodes in order, none of them a member")
    for each in found.former:
        _verify_history(each, each.node, federation)
    return Membership(
        members=MappingProxyType({node: verify_member(each, node, federation) for node, each in found.members.items()}),
        former=MappingProxyType({each.node: each for each in found.former}),
    )


def verify_member(member: Member, node: NodeName, federation: str) -> Member:
    """Returns the member listed under a node's name, its keys admitted; refuses as `decode_members`."""
    what = f"{MEMBERS_PATH} of {node}"
    if member.node:
        raise MalformedError("JSON_UNKNOWN_NAME", f"{what}: did not expect the name 'node'")
    _verify_history(member, node, federation)
    _verify_vkey(
        member.witness_vkey, "witness_vkey", (KeyKind.COSIGNATURE, format_witness_name(federation, node)), what=what
    )
    if any(agency.node != node for agency in member.agencies):
        raise _refuse(what, "agencies", f"agencies of {node} only")
    return replace(member, node=node, agencies=MappingProxyType(dict(member.agencies)))


def _verify_history(member: Member | FormerMember, node: NodeName, federation: str) -> None:
    """Admits the keys of a node's messages and logs, now and before."""
    what = f"{MEMBERS_PATH} of {node}"
    for message_key in member.message_keys:
        if message_key.valid_until is not None and message_key.valid_until < message_key.valid_from:
            raise _refuse(what, "valid_until", "a time that is not before 'valid_from'")
        admit_public_key(message_key.key)
    for vkey in log_vkeys(member):
        _verify_vkey(vkey, "log_vkey", (KeyKind.ED25519, f"{node}.{federation}/exchange/"), what=what)


def log_vkeys(member: Member | FormerMember) -> tuple[str, ...]:
    """The keys of all its logs, the newest first."""
    return (member.log_vkey, *(log.vkey for log in member.retired_logs))


def public_keys(member: Member | FormerMember) -> Iterator[PublicKey]:
    """Yields every signing key: message keys, then log, a member's witness, retired logs as plain Ed25519 keys."""
    for message_key in member.message_keys:
        yield message_key.key
    log, *retired = log_vkeys(member)
    witness = [member.witness_vkey] if isinstance(member, Member) else []
    for vkey in (log, *witness, *retired):
        yield PublicKey(Suite.ED25519, parse_vkey(vkey).public_key)


def _verify_vkey(text: str, field: str, wanted: tuple[KeyKind, str], *, what: str) -> None:
    vkey: Vkey = parse_vkey(text)
    kind, name = wanted
    if vkey.kind != kind:
        raise _refuse(what, field, f"a key of type {kind:#04x}")
    if vkey.name != name and not (
        name.endswith("/") and re.fullmatch(re.escape(name) + "[0-9]{4}(-[1-9][0-9]?)?", vkey.name)
    ):
        raise UntrustedError(
            "AGREEMENT_KEY", f"{what}: expected {field!r} under the name {name}, got {vkey.name!r:.80}"
        )
    admit_public_key(PublicKey(Suite.ED25519, vkey.public_key))
    if format_vkey(vkey) != text:
        raise _refuse(what, field, "a key in its one written form")


def _refuse(what: str, field: str, expected: str) -> MalformedError:
    return MalformedError("AGREEMENT_MEMBERS", f"{what}: expected {field!r} to be {expected}", field=field)


# ---- the terms

TERMS_PATH: Final = "agreement.json"
RECOGNITION_MODES: Final = frozenset({"card", "time"})
"""`card`: the other side's valid permit stands as it is; `time`: time registered there counts here."""

_DAY_SECONDS: Final = 86_400


def _are_modes(modes: frozenset[str]) -> bool:
    return bool(modes) and modes <= RECOGNITION_MODES


class Terms(Item, frozen=True, kw_only=True):
    """The terms that all members share: name and realm, spans of time, modes of recognition.

    `clock_tolerance` is how far two clocks may differ, `statement_lifetime` how long a statement lives, `lapse_grace`
    how long the exchange goes on after the freshness signature lapsed.
    """

    WHAT: ClassVar[str] = TERMS_PATH
    REASON: ClassVar[str] = "AGREEMENT_TERMS"

    v: Annotated[Literal[1], typed("1")] = always(1)
    federation: FederationName
    realm: Realm
    clock_tolerance_seconds: Annotated[int, between(1, 3600)]
    statement_lifetime_seconds: Annotated[int, between(60, 30 * _DAY_SECONDS)]
    lapse_grace_seconds: Annotated[int, between(0, 60 * _DAY_SECONDS)]
    recognition_modes: Annotated[
        frozenset[str],
        checked(_are_modes, form=f"a sorted list out of {sorted(RECOGNITION_MODES)}", type_reason="AGREEMENT_TERMS"),
    ]

    @property
    def clock_tolerance(self) -> timedelta:
        return timedelta(seconds=self.clock_tolerance_seconds)

    @property
    def statement_lifetime(self) -> timedelta:
        return timedelta(seconds=self.statement_lifetime_seconds)

    @property
    def lapse_grace(self) -> timedelta:
        return timedelta(seconds=self.lapse_grace_seconds)


def encode_terms(terms: Terms) -> bytes:
    return encode(terms)


def decode_terms(encoded: bytes) -> Terms:
    """Decodes the exact bytes of `agreement.json`; refuses JSON_*, FEDERATION_NAME, AGREEMENT_TERMS."""
    return decode(Terms, encoded)
