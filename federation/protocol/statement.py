"""The statement: the signed sentence of one exchange. It carries no personal data.

Who, to whom, why, under which agreement, about which body. Encoded once: those bytes are signed, logged, sent and kept.
Strict: unknown and duplicate names, floats and non-canonical bytes are refused (`canonical_json`).
Source: DESIGN section 4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_digest,
    read_integer,
    read_object,
    read_optional_text,
    read_text,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import (
    AgencyId,
    MessageId,
    NodeName,
    Pair,
    Realm,
    format_time,
    parse_agency_id,
    parse_federation_name,
    parse_message_id,
    parse_node_name,
    parse_time,
)

MAX_STATEMENT_BYTES = 8 * 1024
VERSION = 1

_TOKEN = re.compile(r"[a-z][a-z0-9_.-]{0,62}", re.ASCII)
_FUNCTION = re.compile(r"F[0-9]{2}", re.ASCII)
_OFFICER = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_REQUIRED = (
    "v", "federation", "realm", "id", "kind", "from", "to", "seq", "purpose", "function", "basis", "created", "expires",
    "agreement",
)  # fmt: skip
_OPTIONAL = ("case", "in_reply_to", "body", "peer_checkpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who speaks: the node, the agency that asked it to, and the officer's pseudonym where a person acted."""

    node: NodeName
    agency: AgencyId
    officer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """To whom: a node, and one of its agencies where the message is for that office alone."""

    node: NodeName
    agency: AgencyId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRef:
    """The agreement version that the sender decided under: its TUF targets version and the digest of that file."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyRef:
    """What the statement says of its body: media type, number of items, their bytes in all, commitment (hex)."""

    type: str
    items: int
    size_bytes: int
    commitment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One signed sentence. `seq` counts from 1 without gaps for each ordered pair of nodes."""

    federation: str
    realm: Realm
    id: MessageId
    kind: str
    sender: Sender
    recipient: Recipient
    seq: int
    purpose: str
    function: str
    basis: str
    created: datetime
    expires: datetime
    agreement: AgreementRef
    case: str | None = None
    in_reply_to: str | None = None
    body: BodyRef | None = None
    peer_checkpoint: str | None = None

    @property
    def pair(self) -> Pair:
        """The ordered pair whose numbering this statement's `seq` belongs to."""
        return Pair(self.sender.node, self.recipient.node)


def encode_statement(statement: Statement) -> bytes:
    """Encodes a statement into its one canonical form (UTF-8 JSON)."""
    sender: dict[str, JsonValue] = {"node": statement.sender.node, "agency": str(statement.sender.agency)}
    if statement.sender.officer is not None:
        sender["officer"] = statement.sender.officer
    recipient: dict[str, JsonValue] = {"node": statement.recipient.node}
    if statement.recipient.agency is not None:
        recipient["agency"] = str(statement.recipient.agency)
    value: dict[str, JsonValue] = {
        "v": VERSION,
        "federation": statement.federation,
        "realm": statement.realm.value,
        "id": statement.id,
        "kind": statement.kind,
        "from": sender,
        "to": recipient,
        "seq": statement.seq,
        "purpose": statement.purpose,
        "function": statement.function,
        "basis": statement.basis,
        "created": format_time(statement.created),
        "expires": format_time(statement.expires),
        "agreement": {"version": statement.agreement.version, "digest": statement.agreement.digest},
    }
    optional = {
        "case": statement.case,
        "in_reply_to": statement.in_reply_to,
        "peer_checkpoint": statement.peer_checkpoint,
    }
    value.update((name, text) for name, text in optional.items() if text is not None)
    body = statement.body
    if body is not None:
        value["body"] = {
            "type": body.type,
            "items": body.items,
            "bytes": body.size_bytes,
            "commitment": body.commitment,
        }
    return encode_canonical(value)


def decode_statement(encoded: bytes) -> Statement:
    """Decodes the exact bytes of a statement.

    Returns:
        The statement; encoding it again gives the same bytes.

    Raises:
        MalformedError: STATEMENT_SIZE above 8 KiB; JSON_* for its form; STATEMENT_VERSION, STATEMENT_FIELD and the
            reasons of `ids` for its fields.
    """
    if len(encoded) > MAX_STATEMENT_BYTES:
        raise MalformedError("STATEMENT_SIZE", f"expected at most {MAX_STATEMENT_BYTES} bytes, got {len(encoded)}")
    value = decode_canonical(encoded, what="statement")
    expect_names(value, _REQUIRED, _OPTIONAL, what="statement")
    if read_integer(value, "v", what="statement") != VERSION:
        raise MalformedError("STATEMENT_VERSION", f"expected statement version {VERSION}")
    return Statement(
        federation=parse_federation_name(read_text(value, "federation", what="statement")),
        realm=_parse_realm(read_text(value, "realm", what="statement")),
        id=parse_message_id(read_text(value, "id", what="statement")),
        kind=_read_token(value, "kind"),
        sender=_read_sender(read_object(value, "from", what="statement")),
        recipient=_read_recipient(read_object(value, "to", what="statement")),
        seq=_read_positive(value, "seq"),
        purpose=_read_token(value, "purpose"),
        function=_read_matching(value, "function", _FUNCTION),
        basis=_read_short(value, "basis"),
        created=parse_time(read_text(value, "created", what="statement")),
        expires=parse_time(read_text(value, "expires", what="statement")),
        agreement=_read_agreement(read_object(value, "agreement", what="statement")),
        case=_read_short(value, "case") if "case" in value else None,
        in_reply_to=read_digest(value, "in_reply_to", what="statement") if "in_reply_to" in value else None,
        body=_read_body(read_object(value, "body", what="statement")) if "body" in value else None,
        peer_checkpoint=read_digest(value, "peer_checkpoint", what="statement") if "peer_checkpoint" in value else None,
    )


def _parse_realm(text: str) -> Realm:
    try:
        return Realm(text)
    except ValueError as error:
        raise MalformedError("STATEMENT_FIELD", "expected 'realm' to be 'demo' or 'live'", field="realm") from error


def _read_matching(value: dict[str, JsonValue], name: str, form: re.Pattern[str]) -> str:
    text = read_text(value, name, what="statement")
    if not form.fullmatch(text):
        raise MalformedError("STATEMENT_FIELD", f"expected {name!r} to match {form.pattern}", field=name)
    return text


def _read_token(value: dict[str, JsonValue], name: str) -> str:
    return _read_matching(value, name, _TOKEN)


def _read_short(value: dict[str, JsonValue], name: str) -> str:
    text = read_text(value, name, what="statement")
    if not 1 <= len(text) <= 200 or not text.isprintable():
        raise MalformedError("STATEMENT_FIELD", f"expected {name!r} to have 1 to 200 printable characters", field=name)
    return text


def _read_positive(value: dict[str, JsonValue], name: str) -> int:
    number = read_integer(value, name, what="statement")
    if number < 1:
        raise MalformedError("STATEMENT_FIELD", f"expected {name!r} to count from 1", field=name)
    return number


def _read_sender(fields: dict[str, JsonValue]) -> Sender:
    expect_names(fields, ("node", "agency"), ("officer",), what="statement.from")
    officer = read_optional_text(fields, "officer", what="statement.from")
    if officer is not None and not _OFFICER.fullmatch(officer):
        raise MalformedError(
            "STATEMENT_FIELD", "expected 'officer' to be a pseudonym of 1 to 64 letters", field="officer"
        )
    sender = Sender(
        node=parse_node_name(read_text(fields, "node", what="statement.from")),
        agency=parse_agency_id(read_text(fields, "agency", what="statement.from")),
        officer=officer,
    )
    if sender.agency.node != sender.node:
        raise MalformedError(
            "STATEMENT_FIELD", "expected the sending agency to belong to the sending node", field="from"
        )
    return sender


def _read_recipient(fields: dict[str, JsonValue]) -> Recipient:
    expect_names(fields, ("node",), ("agency",), what="statement.to")
    agency = read_optional_text(fields, "agency", what="statement.to")
    recipient = Recipient(
        node=parse_node_name(read_text(fields, "node", what="statement.to")),
        agency=parse_agency_id(agency) if agency is not None else None,
    )
    if recipient.agency is not None and recipient.agency.node != recipient.node:
        raise MalformedError(
            "STATEMENT_FIELD", "expected the receiving agency to belong to the receiving node", field="to"
        )
    return recipient


def _read_agreement(fields: dict[str, JsonValue]) -> AgreementRef:
    expect_names(fields, ("version", "digest"), what="statement.agreement")
    return AgreementRef(
        version=_read_positive(fields, "version"), digest=read_digest(fields, "digest", what="statement.agreement")
    )


def _read_body(fields: dict[str, JsonValue]) -> BodyRef:
    expect_names(fields, ("type", "items", "bytes", "commitment"), what="statement.body")
    return BodyRef(
        type=_read_short(fields, "type"),
        items=_read_positive(fields, "items"),
        size_bytes=read_integer(fields, "bytes", what="statement.body"),
        commitment=read_digest(fields, "commitment", what="statement.body"),
    )
