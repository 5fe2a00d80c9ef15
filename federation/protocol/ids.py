"""Identifiers: nodes, agencies, message ids, certificate names.

Rules kept: one small type for each idea; `parse_` refuses what it would not write itself.
Sources: DESIGN section 1 (agency, node), GB/T 2260 (county codes), RFC 9562 5.7 (UUIDv7), SPIFFE-ID (certificate URI).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, NewType

from federation.protocol.errors import MalformedError
from federation.protocol.fields import matching

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

FederationName = Annotated[
    str,
    matching(rf"(?=.{{1,120}}\Z){_LABEL}(\.{_LABEL})*", form="a lower-case DNS name", reason="FEDERATION_NAME"),
]
"""The federation's name: the trust domain of every certificate."""

_NODE = re.compile(_NODE_FORM, re.ASCII)
_COUNTY = re.compile(r"[0-9]{6}", re.ASCII)
_KIND = re.compile(r"[a-z][a-z0-9-]{1,30}", re.ASCII)
_UUID7 = re.compile(_UUID7_FORM, re.ASCII)
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


def parse_agency_id(text: str) -> AgencyId:
    """Parses `province/county/kind`; refuses another form (AGENCY_ID, NODE_NAME)."""
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
