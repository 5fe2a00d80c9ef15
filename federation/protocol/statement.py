"""The statement: the signed sentence of one exchange. It carries no personal data.

Who, to whom, why, under which agreement, about which body. Encoded once: those bytes are signed, logged, sent and kept.
Strict: unknown and duplicate names, floats and non-canonical bytes are refused (`canonical_json`).
Source: DESIGN section 4.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from federation.protocol.errors import MalformedError
from federation.protocol.form import Count, Digest, Item, Positive, Time, always, decode, encode
from federation.protocol.ids import (
    AgencyId,
    FederationName,
    MessageId,
    NodeName,
    OfficerId,
    Pair,
    Realm,
    checked,
    matching,
    typed,
)

MAX_STATEMENT_BYTES = 8 * 1024
VERSION: Literal[1] = 1

_SHORT = checked(
    lambda text: 1 <= len(text) <= 200 and text.isprintable(),
    form="1 to 200 printable characters",
    reason="STATEMENT_FIELD",
)
_TOKEN = matching("[a-z][a-z0-9_.-]{0,62}", form="a word of lower-case letters", reason="STATEMENT_FIELD")


class _Part(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "statement"
    REASON: ClassVar[str] = "STATEMENT_FIELD"


class Sender(_Part, frozen=True, kw_only=True):
    """The node, the agency that asked it to send, and the officer's pseudonym where a person acted."""

    node: NodeName
    agency: AgencyId
    officer: OfficerId | None = None


class Recipient(_Part, frozen=True, kw_only=True):
    node: NodeName
    agency: AgencyId | None = None


class AgreementRef(_Part, frozen=True, kw_only=True):
    version: Positive
    digest: Digest


class BodyRef(_Part, frozen=True, kw_only=True, rename={"size_bytes": "bytes"}):
    """The body as the statement names it: media type, number of items, their bytes in all, commitment (hex)."""

    type: Annotated[str, _SHORT]
    items: Positive
    size_bytes: Count
    commitment: Digest


class Statement(_Part, frozen=True, kw_only=True, rename={"sender": "from", "recipient": "to"}):
    """One signed sentence. `seq` counts from 1 without gaps for each ordered pair of nodes."""

    v: Annotated[Literal[1], typed("1", reason="STATEMENT_VERSION")] = always(VERSION)
    federation: FederationName
    realm: Realm
    id: MessageId
    kind: Annotated[str, _TOKEN]
    sender: Sender
    recipient: Recipient
    seq: Positive
    purpose: Annotated[str, _TOKEN]
    function: Annotated[str, matching("F[0-9]{2}", form="a function such as F01")]
    basis: Annotated[str, _SHORT]
    created: Time
    expires: Time
    agreement: AgreementRef
    case: Annotated[str, _SHORT] | None = None
    in_reply_to: Digest | None = None
    body: BodyRef | None = None
    peer_checkpoint: Digest | None = None

    @property
    def pair(self) -> Pair:
        return Pair(self.sender.node, self.recipient.node)


def encode_statement(statement: Statement) -> bytes:
    return encode(statement)


def decode_statement(encoded: bytes) -> Statement:
    """Decodes the exact bytes of a statement; refuses STATEMENT_SIZE (8 KiB), _VERSION, _FIELD, JSON_*, as `ids`."""
    if len(encoded) > MAX_STATEMENT_BYTES:
        raise MalformedError("STATEMENT_SIZE", f"expected at most {MAX_STATEMENT_BYTES} bytes, got {len(encoded)}")
    statement = decode(Statement, encoded)
    for name, end in (("from", statement.sender), ("to", statement.recipient)):
        if end.agency is not None and end.agency.node != end.node:
            raise MalformedError(
                "STATEMENT_FIELD", f"expected the agency in {name!r} to belong to the node there", field=name
            )
    return statement
