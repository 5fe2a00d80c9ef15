"""Questions put to policy as canonical JSON, so that a decision can be kept and decided again.

Rules kept: equal questions give equal bytes: attributes, groups and sets are sorted. A question names no person, since
the values it is made of cannot: agencies, counties, kinds of record, purposes. A decoded question is decided exactly
as the one that was encoded.
Trusts nothing it decodes. Source: DESIGN sections 3 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from federation.protocol.errors import MalformedError
from federation.protocol.form import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_object,
    read_text,
)
from federation.protocol.policy.request import Attributes, Entity, EntityRef, PolicyRequest, PolicyValue

_WHAT: Final = "policy request"
_REMEMBERED: Final = 1024
"""Questions whose JSON is remembered: the messages of one import all ask the same few."""


def encode_request(request: PolicyRequest) -> bytes:
    """Returns the one canonical form of a question; refuses a repeated attribute (POLICY_REQUEST), JSON_UTF8."""
    return encode_canonical(request_json(request))


def decode_request(encoded: bytes) -> PolicyRequest:
    """Decodes a question; encoding it again gives the same bytes. Refuses another form (POLICY_REQUEST, JSON_*)."""
    request = read_request(decode_canonical(encoded, what=_WHAT))
    if encode_request(request) != encoded:
        raise MalformedError("POLICY_REQUEST", f"{_WHAT}: expected groups and sets sorted, each member once")
    return request


@lru_cache(maxsize=_REMEMBERED)
def request_json(request: PolicyRequest) -> Mapping[str, JsonValue]:
    """Returns the question as a JSON object to stand in another one; it is shared, so nobody may change it."""
    return {
        "principal": _entity_json(request.principal),
        "action": request.action,
        "resource": _entity_json(request.resource),
        "context": _attributes_json(request.context),
        "others": [_entity_json(entity) for entity in sorted(request.others, key=lambda entity: entity.ref)],
    }


def read_request(value: Mapping[str, JsonValue]) -> PolicyRequest:
    """Reads a question out of a JSON object; refuses another form (POLICY_REQUEST, JSON_*)."""
    expect_names(value, ("principal", "action", "resource", "context", "others"), what=_WHAT)
    return PolicyRequest(
        principal=_read_entity(value["principal"]),
        action=read_text(value, "action", what=_WHAT),
        resource=_read_entity(value["resource"]),
        context=_read_attributes(value, "context"),
        others=tuple(_read_entity(entity) for entity in _read_list(value["others"])),
    )


def _entity_json(entity: Entity) -> JsonValue:
    return {
        **_ref_json(entity.ref),
        "attrs": _attributes_json(entity.attrs),
        "parents": [_ref_json(parent) for parent in sorted(entity.parents)],
    }


def _ref_json(ref: EntityRef) -> dict[str, JsonValue]:
    return {"type": ref.type, "id": ref.id}


def _attributes_json(attributes: Attributes) -> dict[str, JsonValue]:
    named = {name: _value_json(value) for name, value in attributes}
    if len(named) != len(attributes):
        raise MalformedError("POLICY_REQUEST", f"{_WHAT}: expected each attribute once")
    return named


def _value_json(value: PolicyValue) -> JsonValue:
    match value:
        case EntityRef():
            return _ref_json(value)
        case frozenset():
            return sorted(value)
        case bool():
            return value
        case _:
            return str(value)


def _read_entity(value: JsonValue) -> Entity:
    if not isinstance(value, dict):
        raise MalformedError("POLICY_REQUEST", f"{_WHAT}: expected an entity as an object")
    expect_names(value, ("type", "id", "attrs", "parents"), what=_WHAT)
    return Entity(
        EntityRef(read_text(value, "type", what=_WHAT), read_text(value, "id", what=_WHAT)),
        _read_attributes(value, "attrs"),
        tuple(_read_ref(parent) for parent in _read_list(value["parents"])),
    )


def _read_ref(value: JsonValue) -> EntityRef:
    if not isinstance(value, dict):
        raise MalformedError("POLICY_REQUEST", f"{_WHAT}: expected the name of an entity as an object")
    expect_names(value, ("type", "id"), what=_WHAT)
    return EntityRef(read_text(value, "type", what=_WHAT), read_text(value, "id", what=_WHAT))


def _read_attributes(value: Mapping[str, JsonValue], name: str) -> Attributes:
    found = read_object(value, name, what=_WHAT)
    return tuple((key, _read_value(found[key])) for key in sorted(found))


def _read_value(value: JsonValue) -> PolicyValue:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, dict):
        return _read_ref(value)
    members = _read_list(value)
    texts = frozenset(member for member in members if isinstance(member, str))
    if len(texts) != len(members):
        raise MalformedError("POLICY_REQUEST", f"{_WHAT}: expected a set of different strings")
    return texts


def _read_list(value: JsonValue) -> Sequence[JsonValue]:
    if not isinstance(value, list):
        raise MalformedError("POLICY_REQUEST", f"{_WHAT}: expected a list, got {type(value).__name__}")
    return value
