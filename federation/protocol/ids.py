"""Identifiers (nodes, agencies, message ids, certificate names), and the small pieces of every text form.

Rules kept: one small type for each idea; `parse_` refuses what it would not write itself: lines end in LF and nothing
else (`str.splitlines` also splits on U+0085, U+2028, VT and FF), decimals and base64 have one spelling; every failure
is a `MalformedError`. The annotations say which values a field of an item (`form`) may hold, and how errors tell it.
Trusts nothing. Sources: C2SP signed-note, tlog-checkpoint and tlog-proof at 5ba5ee83; DESIGN section 1 (agency, node),
GB/T 2260 (county codes), RFC 9562 5.7 (UUIDv7), SPIFFE-ID (certificate URI).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, NewType

from msgspec import Meta

from federation.protocol.errors import MalformedError


def matching(pattern: str, *, form: str, reason: str = "") -> Meta:
    """A text that matches as a whole; an error says `form` in its words and has that reason."""
    return Meta(pattern=rf"\A(?:{pattern})\Z", extra=_extra(form, reason))


def between(low: int, high: int, *, reason: str = "") -> Meta:
    """An integer within bounds, both included."""
    return Meta(ge=low, le=high, extra=_extra(f"an integer from {low} to {high}", reason))


def checked(check: Callable[[Any], object], *, form: str, reason: str = "", type_reason: str = "") -> Meta:
    """A value that a function takes: for any other it returns False or raises a `BridgeheadError`."""
    return Meta(extra={**_extra(form, reason, type_reason), "check": check})


def typed(form: str, *, reason: str = "", type_reason: str = "") -> Meta:
    """A value of its type alone, with the words and reasons of its errors."""
    return Meta(extra=_extra(form, reason, type_reason))


def _extra(form: str, reason: str, type_reason: str = "") -> dict[str, Any]:
    named = {"form": form, "reason": reason, "type_reason": type_reason}
    return {name: text for name, text in named.items() if text}


HASH_SIZE = 32
"""Bytes of a SHA-256 hash, the only one that a tile may hold."""

MAX_DECIMAL = (1 << 63) - 1
"""The largest size, index or time, in whatever unit, that any of these formats may carry."""

MAX_PROOF_HASHES = 63
"""The most hashes that a proof in a tree of less than 2^63 leaves can need."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


def parse_decimal(text: str, what: str) -> int:
    """Parses an ASCII decimal below 2^63 without sign, spaces or leading zeros; refuses others (DECIMAL)."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_DECIMAL:
        raise MalformedError("DECIMAL", f"expected {what} as a plain decimal below 2^63, got {text!r:.40}")
    return int(text)


def format_decimal(number: int, what: str) -> str:
    if not 0 <= number <= MAX_DECIMAL:
        raise MalformedError("DECIMAL", f"expected {what} between 0 and 2^63 - 1, got {number}")
    return str(number)


def parse_base64(text: str, what: str) -> bytes:
    """Parses RFC 4648 section 4 base64 with padding, in its one canonical form; refuses others (BASE64)."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("BASE64", f"expected {what} in base64, got {text!r:.60}") from error
    if format_base64(decoded) != text:
        raise MalformedError("BASE64", f"expected {what} in canonical base64, got {text!r:.60}")
    return decoded


def format_base64(blob: bytes) -> str:
    return base64.b64encode(blob).decode("ascii")


def parse_hash(text: str, what: str) -> bytes:
    """Parses the base64 of one 32-byte hash; refuses others (BASE64, HASH_SIZE)."""
    return require_hash(parse_base64(text, what), what)


def require_hash(blob: bytes, what: str) -> bytes:
    """Returns the bytes when they are 32; refuses others (HASH_SIZE)."""
    if len(blob) != HASH_SIZE:
        raise MalformedError("HASH_SIZE", f"expected {what} of 32 bytes, got {len(blob)}", bytes=len(blob))
    return blob


def require_text(text: str) -> str:
    """Returns text a note may hold: ends in LF, no other control byte, valid UTF-8; refuses others (TEXT)."""
    if not text.endswith("\n"):
        raise MalformedError("TEXT", "expected text that ends in a line feed, got another end")
    if text.replace("\n", "").isprintable():  # as no control character is, and no surrogate
        return text
    if control := _CONTROL.search(text):
        raise MalformedError("TEXT", f"expected no control byte but LF, got {control.group()!r}")
    if _SURROGATE.search(text):
        raise MalformedError("TEXT", "expected characters that UTF-8 can carry, got a lone surrogate")
    return text


def parse_text(blob: bytes, limit_bytes: int) -> str:
    """Decodes strict UTF-8 as `require_text` wants it (TEXT), of at most `limit_bytes` (TEXT_SIZE)."""
    if len(blob) > limit_bytes:
        raise MalformedError("TEXT_SIZE", f"expected at most {limit_bytes} bytes, got {len(blob)}", bytes=len(blob))
    try:
        return require_text(blob.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedError("TEXT", f"expected valid UTF-8, got another byte at {error.start}") from error


def split_lines(text: str) -> list[str]:
    """Splits text into lines without their LF, on LF only; refuses a last line without one (TEXT)."""
    if not text.endswith("\n"):
        raise MalformedError("TEXT", "expected text that ends in a line feed, got another end")
    return text[:-1].split("\n")


_NODE_FORM = "[a-z][a-z0-9]{1,30}"
_UUID7_FORM = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"


NodeName = NewType(
    "NodeName", Annotated[str, matching(_NODE_FORM, form="a node name such as 'zhejiang'", reason="NODE_NAME")]
)
"""One province at work: `zhejiang`, `jiangxi`, `fujian`, `anhui`."""

MessageId = NewType(
    "MessageId", Annotated[str, matching(_UUID7_FORM, form="a UUIDv7 in lower case", reason="MESSAGE_ID")]
)
"""A UUIDv7 in its 36-character lower-case form: the idempotency key of one message, honoured for ever."""

RecordId = NewType(
    "RecordId",
    Annotated[
        str,
        matching(f"{_NODE_FORM}/{_UUID7_FORM}", form="a record such as 'zhejiang/' and a UUIDv7", reason="RECORD_ID"),
    ],
)
"""A record that several provinces keep: the node where it was opened, and the id of the message that opened it."""

OfficerId = Annotated[str, matching("[A-Za-z0-9_-]{1,64}", form="a pseudonym of 1 to 64 letters, digits, - and _")]

FederationName = Annotated[
    str, matching(rf"(?=.{{1,120}}\Z){_LABEL}(\.{_LABEL})*", form="a lower-case DNS name", reason="FEDERATION_NAME")
]

_NODE = re.compile(_NODE_FORM, re.ASCII)
_COUNTY = re.compile(r"[0-9]{6}", re.ASCII)
_KIND = re.compile(r"[a-z][a-z0-9-]{1,30}", re.ASCII)
_UUID7 = re.compile(_UUID7_FORM, re.ASCII)
_RECORD = re.compile(f"({_NODE_FORM})/{_UUID7_FORM}", re.ASCII)
_FEDERATION = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_ID_RANDOM_BYTES = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(  # no hour 24: newer Pythons read it as the next day, which would be written differently
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z", re.ASCII
)


class Realm(StrEnum):
    """`demo` or `live`; part of every statement. Demo data can never enter a live node."""

    DEMO = "demo"
    LIVE = "live"


@dataclass(frozen=True, slots=True, order=True)
class AgencyId:
    """An office with an identity: province / GB/T 2260 county / kind, e.g. `zhejiang/330822/police`."""

    node: NodeName
    county: str
    kind: str

    def __str__(self) -> str:
        return f"{self.node}/{self.county}/{self.kind}"


del AgencyId.__dataclass_fields__  # an item writes it as text and not as an object


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """An ordered pair of nodes: the messages from one to the other share one contiguous numbering."""

    sender: NodeName
    recipient: NodeName

    def __str__(self) -> str:
        return f"{self.sender}>{self.recipient}"


del Pair.__dataclass_fields__  # as above


def parse_node_name(text: str) -> NodeName:
    """Parses a node's name: 2 to 31 lower-case letters and digits, letter first; refuses others (NODE_NAME)."""
    if not _NODE.fullmatch(text):
        raise MalformedError("NODE_NAME", f"expected a node name such as 'zhejiang', got {text!r:.40}")
    return NodeName(text)


@lru_cache(maxsize=4096)
def parse_agency_id(text: str) -> AgencyId:
    """Parses `province/county/kind`; refuses another form (AGENCY_ID, NODE_NAME). The same few are parsed all day."""
    parts = text.split("/")
    if len(parts) != 3 or not _COUNTY.fullmatch(parts[1]) or not _KIND.fullmatch(parts[2]):
        raise MalformedError("AGENCY_ID", f"expected an agency such as 'zhejiang/330822/police', got {text!r:.60}")
    return AgencyId(parse_node_name(parts[0]), parts[1], parts[2])


def parse_pair(text: str) -> Pair:
    """Parses `sender>recipient`, two different nodes; refuses another form (PAIR, NODE_NAME)."""
    sender, arrow, recipient = text.partition(">")
    if not arrow or sender == recipient:
        raise MalformedError("PAIR", f"expected an ordered pair such as 'zhejiang>jiangxi', got {text!r:.60}")
    return Pair(parse_node_name(sender), parse_node_name(recipient))


def parse_federation_name(text: str) -> str:
    """Parses a lower-case DNS name; refuses another form (FEDERATION_NAME)."""
    if len(text) > 120 or not _FEDERATION.fullmatch(text):
        raise MalformedError("FEDERATION_NAME", f"expected a lower-case DNS name, got {text!r:.40}")
    return text


def format_message_id(now: datetime, random: bytes) -> MessageId:
    """Formats a UUIDv7 from the time (ms) and 10 random bytes (RFC 9562 5.7); fewer could repeat (MESSAGE_ID)."""
    if len(random) < _ID_RANDOM_BYTES:
        raise MalformedError("MESSAGE_ID", f"expected {_ID_RANDOM_BYTES} random bytes, got {len(random)}")
    millis = (now - _EPOCH) // timedelta(milliseconds=1) & ((1 << 48) - 1)
    rest = int.from_bytes(random[:_ID_RANDOM_BYTES])
    value = (millis << 80) | (0x7 << 76) | ((rest >> 62 & 0xFFF) << 64) | (0b10 << 62) | (rest & ((1 << 62) - 1))
    text = f"{value:032x}"
    return MessageId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")


def parse_message_id(text: str) -> MessageId:
    """Parses a UUIDv7 in lower case with hyphens; refuses another form or version (MESSAGE_ID)."""
    if not _UUID7.fullmatch(text):
        raise MalformedError("MESSAGE_ID", f"expected a UUIDv7 in lower case, got {text!r:.40}")
    return MessageId(text)


def parse_record_id(text: str) -> RecordId:
    """Parses the name of a joint record, `node/UUIDv7`; refuses another form (RECORD_ID)."""
    if not _RECORD.fullmatch(text):
        raise MalformedError("RECORD_ID", f"expected a record such as 'zhejiang/' and a UUIDv7, got {text!r:.80}")
    return RecordId(text)


def record_node(record: RecordId) -> NodeName:
    """The node where a joint record was opened."""
    return NodeName(record.partition("/")[0])


def format_time(time: datetime) -> str:
    """Formats an aware time as UTC with exactly three fraction digits: `2026-11-23T08:00:00.000Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Parses the one written form of a time into an aware UTC `datetime`; refuses others (TIME)."""
    if not _TIME.fullmatch(text):
        raise MalformedError("TIME", f"expected a time such as '2026-11-23T08:00:00.000Z', got {text!r:.40}")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedError("TIME", f"no such time: {text!r:.40}") from error


def truncate_to_millisecond(time: datetime) -> datetime:
    """Drops what `format_time` would drop, so that a value equals its own decoding."""
    return time.astimezone(UTC) - timedelta(microseconds=time.microsecond % 1000)


def node_spiffe_id(federation: str, node: NodeName) -> str:
    """The URI SAN of a node's peer certificate: `spiffe://<federation>/<node>`."""
    return f"spiffe://{federation}/{node}"


def agency_spiffe_id(federation: str, agency: AgencyId) -> str:
    """The URI SAN of an agency's client certificate: `spiffe://<federation>/<province>/<county>/<kind>`."""
    return f"spiffe://{federation}/{agency}"


def parse_spiffe_id(federation: str, uri: str) -> NodeName | AgencyId:
    """Returns the node or agency that a certificate's URI SAN names; refuses another trust domain (SPIFFE_ID)."""
    prefix = f"spiffe://{federation}/"
    if not uri.startswith(prefix):
        raise MalformedError("SPIFFE_ID", f"expected a name under {prefix}, got {uri!r:.120}")
    path = uri[len(prefix) :]
    return parse_agency_id(path) if "/" in path else parse_node_name(path)
