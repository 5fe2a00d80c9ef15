"""What a request of an officer came to, kept under its id: a repeat gets the same look-up, and is not counted again.

Kept in the transaction that asks. The answers of other provinces are not here: they are read again from the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from federation.node.permits.records import find_request_answer, put_request_answer
from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    read_integer,
    read_object,
    read_text,
)
from federation.protocol.errors import ConflictError, CorruptError
from federation.protocol.ids import NodeName, format_time, parse_node_name, parse_time
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.wire.values import Ruling, ruling_of

_WHAT = "kept request"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLine:
    """What our own side said of asking one province, and the statement that went there; none when it was refused."""

    node: NodeName
    ruling: Ruling
    digest: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One request: `asked` tells a repeat from another question, `lookup_id` is empty and `closes` set for a case."""

    asked: str
    lookup_id: str
    lines: tuple[KeptLine, ...]
    closes: datetime | None = None


def put_kept(transaction: GroupTransaction, request_id: str, kept: Kept, *, owner: NodeName) -> None:
    """Remembers what a request came to.

    Raises:
        ConflictError: VERSION_CONFLICT when it is being answered at this moment.
    """
    value: dict[str, JsonValue] = {
        "asked": kept.asked,
        "lookup_id": kept.lookup_id,
        "closes": format_time(kept.closes) if kept.closes is not None else "",
        "lines": [_line_json(line) for line in kept.lines],
    }
    put_request_answer(transaction, request_id, encode_canonical(value), owner=owner)


def find_kept(source: Source, request_id: str, *, asked: str) -> Kept | None:
    """What a request came to before, None when it is new.

    Raises:
        ConflictError: REQUEST_ID_REUSED when something else was asked under the same id.
    """
    content = find_request_answer(source, request_id)
    if content is None:
        return None
    value = decode_canonical(content, what=_WHAT)
    if value.get("asked") != asked:
        raise ConflictError("REQUEST_ID_REUSED", f"request {request_id} asked for something else before")
    lines, closes = value.get("lines"), read_text(value, "closes", what=_WHAT)
    if not isinstance(lines, list):
        raise CorruptError("REQUEST_FORM", f"{_WHAT}: expected a list of lines")
    return Kept(
        asked=asked,
        lookup_id=read_text(value, "lookup_id", what=_WHAT),
        lines=tuple(_read_line(line) for line in lines),
        closes=parse_time(closes) if closes else None,
    )


def _line_json(line: KeptLine) -> dict[str, JsonValue]:
    ruling = line.ruling
    return {
        "node": line.node,
        "digest": line.digest,
        "message_id": line.message_id,
        "ruling": {
            "verdict": ruling.verdict.value,
            "policies": list(ruling.policies),
            "fields": sorted(ruling.fields),
            "reason": ruling.reason.value,
            "title_zh": ruling.title_zh,
            "title_en": ruling.title_en,
            "agreement_version": ruling.agreement_version,
            "explanation_zh": ruling.explanation_zh,
            "explanation_en": ruling.explanation_en,
        },
    }


def _read_line(line: JsonValue) -> KeptLine:
    if not isinstance(line, dict):
        raise CorruptError("REQUEST_FORM", f"{_WHAT}: expected every line to be an object")
    ruling = read_object(line, "ruling", what=_WHAT)
    decision = Decision(
        verdict=Verdict(read_text(ruling, "verdict", what=_WHAT)),
        policies=_names(ruling["policies"]),
        fields=frozenset(_names(ruling["fields"])),
        reason=Grounds(read_text(ruling, "reason", what=_WHAT)),
        title_zh=read_text(ruling, "title_zh", what=_WHAT),
        title_en=read_text(ruling, "title_en", what=_WHAT),
    )
    return KeptLine(
        node=parse_node_name(read_text(line, "node", what=_WHAT)),
        ruling=ruling_of(
            decision,
            agreement_version=read_integer(ruling, "agreement_version", what=_WHAT),
            explanation_zh=read_text(ruling, "explanation_zh", what=_WHAT),
            explanation_en=read_text(ruling, "explanation_en", what=_WHAT),
        ),
        digest=read_text(line, "digest", what=_WHAT),
        message_id=read_text(line, "message_id", what=_WHAT),
    )


def _names(found: JsonValue) -> tuple[str, ...]:
    return tuple(name for name in found if isinstance(name, str)) if isinstance(found, list) else ()
