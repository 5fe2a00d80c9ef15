"""A release as its officer reads it: judged by policy each time, recorded, and shown under a watermark.

The first answer of a fetch and every later reading go through here, a repeat of the fetch by its request id included:
nothing is read after its case has closed or its time has passed, nor by another officer than who fetched it.
Source: misuse controls M9 and M12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from federation.domain.erasure import ReadingFacts, Watermark, reading_request
from federation.domain.lookups import decode_release_item
from federation.domain.lookups_case import is_open
from federation.node.exchange.errand import Errand, rule
from federation.node.exchange.replies import find_reply, find_reply_item
from federation.node.lookups import records
from federation.node.retention.readings import begin_reading, log_reading
from federation.protocol.envelope import parse_envelope
from federation.protocol.policy import PolicyRequest
from federation.protocol.statement import Statement, decode_statement
from federation.store.messages import StoredMessage
from federation.wire.values import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What policy said of a reading, and the fields with what stands over them; none when it was refused."""

    ruling: Ruling
    request: PolicyRequest
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    watermark: Watermark | None = None

    def __repr__(self) -> str:
        """Hides the person: the names of the fields only."""
        return f"Read({self.ruling.verdict}, {sorted(self.fields)})"


async def read_release(errand: Errand, fetch: StoredMessage, *, lookup_id: str) -> Read:
    """Reads what came of a fetch of ours, if policy lets this officer now; durable in the log when it returns."""
    node, statement = errand.node, decode_statement(parse_envelope(fetch.envelope).payload)
    content = find_reply_item(node.database, fetch.digest)
    facts = _facts(errand, fetch, statement, is_kept=content is not None)
    request = reading_request(errand.agency, statement.recipient.node, occasion=errand.occasion, facts=facts)
    ruling = rule(errand, request)
    if not ruling.allowed or content is None:
        return Read(ruling=ruling, request=request)
    release = decode_release_item(content, errand.in_force.agreement.realm)
    reading = begin_reading(
        errand,
        request=fetch.digest,
        lookup_id=lookup_id,
        case_id=statement.case or "",
        node=statement.recipient.node,
        fields=release.fields,
    )
    mark = await log_reading(errand, reading, ruling=ruling, asked=[request])
    return Read(ruling=ruling, request=request, fields=release.fields, watermark=mark)


def _facts(errand: Errand, fetch: StoredMessage, statement: Statement, *, is_kept: bool) -> ReadingFacts:
    node = errand.node
    case = records.find_case(node.database, node.name, statement.case or "", told=False)
    reply = find_reply(node.database, fetch.digest)
    return ReadingFacts(
        case_open=case is not None and is_open(case, node.now()),
        release_live=is_kept and reply is not None and reply.ends is not None and node.now() < reply.ends,
        same_officer=statement.sender.agency == errand.caller and statement.sender.officer == errand.act.officer,
    )
