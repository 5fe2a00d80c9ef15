"""The Cedar engine, asked safely: the question put to policy, its canonical bytes, and the only evaluation of policies.

Rules kept: a question is a value all the way down, so that equal questions are one question with the same bytes, can be
remembered, kept and decided again; it names no person: the record's own id never enters policy. The schema is always
on, for the request and for every entity. Allowed means *Allow and no error at all*: Cedar skips a policy that errors,
so that a broken `forbid` beside an open `permit` would let everything through. What cannot be evaluated is an answer
with an error, never an exception. Policies are parsed once; a request is put only to those whose action it has, and the
engine itself tells which those are.
Trusts the policy text (it comes from the agreement), not the request. Source: Cedar policy language; cedarpy 4.12.2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from federation.protocol.errors import MalformedError
from federation.protocol.form import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_object,
    read_text,
    replace,
)
from federation.protocol.policy import cedar

NAMESPACE: Final = "Fed"
CedarJson: TypeAlias = "bool | str | Sequence[CedarJson] | Mapping[str, CedarJson]"


class EntityRef(NamedTuple):
    """The name of something policy speaks of: its type without the namespace, and its id, e.g. `Agency`.

    A named tuple and no dataclass: a request is hashed at every decision, and tuples are hashed without running Python.
    """

    type: str
    id: str


PolicyValue: TypeAlias = "bool | str | frozenset[str] | EntityRef"
"""What an attribute or the context may hold. No numbers: 1 equals True in Python, and Cedar tells them apart."""

Attributes: TypeAlias = tuple[tuple[str, PolicyValue], ...]


class Entity(NamedTuple):
    """Something policy speaks of, with its attributes and the groups it belongs to. A named tuple as `EntityRef` is."""

    ref: EntityRef
    attrs: Attributes = ()
    parents: tuple[EntityRef, ...] = ()


class PolicyRequest(Struct, frozen=True, kw_only=True):
    """A question to policy: may `principal` do `action` to `resource`? `others`: what those two refer to."""

    principal: Entity
    action: str
    resource: Entity
    context: Attributes = ()
    others: tuple[Entity, ...] = ()


def entity_json(entity: Entity) -> CedarJson:
    """Returns the entity in Cedar's JSON entity format; refuses a repeated attribute (POLICY_REQUEST)."""
    return {
        "uid": uid_json(entity.ref),
        "attrs": attributes_json(entity.attrs),
        "parents": [uid_json(parent) for parent in entity.parents],
    }


def uid_json(ref: EntityRef) -> dict[str, CedarJson]:
    return {"type": f"{NAMESPACE}::{ref.type}", "id": ref.id}


def attributes_json(attributes: Attributes) -> dict[str, CedarJson]:
    """Returns attributes as a JSON object, sets sorted; refuses a repeated name (POLICY_REQUEST)."""
    named = {name: _value_json(value) for name, value in attributes}
    if len(named) != len(attributes):
        raise MalformedError("POLICY_REQUEST", "expected each attribute of a policy request once")
    return named


def _value_json(value: PolicyValue) -> CedarJson:
    match value:
        case EntityRef():
            return {"__entity": uid_json(value)}
        case frozenset():
            return sorted(value)
        case _:
            return value


ENGINE: Final = "cedarpy 4.12.2"
"""The engine that decides; a test compares it with what is installed. Evidence cites it."""

_KNOWN_GROUPS: Final = 1024
_KNOWN_ENTITIES: Final = 2048
"""Parsed entities kept for the next question about the same agency and kind of record: parsing costs as much again."""


class Answer(Struct, frozen=True, kw_only=True):
    """The engine's answer: `policies` are the ids that decided (sorted), `errors` is empty unless something broke."""

    allowed: bool
    policies: tuple[str, ...]
    errors: tuple[str, ...] = ()


class Engine:
    """Parsed policies with their schema, ready to be asked. Equal questions get equal answers; nothing is written."""

    def __init__(self, schema: cedar.Schema, policies: Mapping[str, cedar.pst.Template]) -> None:
        self._schema = schema
        self._policies = policies
        self._scopes = policy_set({name: _action_scope(tree) for name, tree in policies.items()})
        self._slices: dict[str, tuple[cedar.PolicySet, tuple[str, ...]]] = {}
        self._group = lru_cache(maxsize=_KNOWN_GROUPS)(self._parse_group)
        self._entities = lru_cache(maxsize=_KNOWN_ENTITIES)(self._parse_entities)

    def ask(self, request: PolicyRequest) -> Answer:
        try:
            policies, _ = self._slice(request)
        except MalformedError as error:
            return _broken(error.message)
        return self.ask_of(request, policies)

    def ask_of(self, request: PolicyRequest, policies: cedar.PolicySet) -> Answer:
        """Puts the request to the given policies, under the same schema."""
        try:
            entities = self._entities(request.principal, request.others, request.resource)
            question = {
                "principal": uid_json(request.principal.ref),
                "action": {"type": f"{NAMESPACE}::Action", "id": request.action},
                "resource": uid_json(request.resource.ref),
                "context": attributes_json(request.context),
            }
            result = cedar.is_authorized(question, policies, entities, schema=self._schema)
        except (ValueError, MalformedError) as error:
            return _broken(str(error))
        silent = result.decision is cedar.Decision.NoDecision
        errors = tuple(result.diagnostics.errors) or ("the engine gave no decision",) * silent
        return Answer(
            allowed=result.decision is cedar.Decision.Allow and not errors,
            policies=tuple(sorted(result.diagnostics.reasons)),
            errors=errors,
        )

    def policies_of(self, request: PolicyRequest) -> tuple[str, ...]:
        """Returns the ids of the policies about the request's action, sorted; none when the request is broken."""
        try:
            return self._slice(request)[1]
        except MalformedError:
            return ()

    def _slice(self, request: PolicyRequest) -> tuple[cedar.PolicySet, tuple[str, ...]]:
        known = self._slices.get(request.action)
        if known is None:
            scope = self.ask_of(request, self._scopes)
            if scope.errors:
                raise MalformedError("POLICY_REQUEST", "; ".join(scope.errors))
            chosen = {name: self._policies[name] for name in scope.policies}
            known = self._slices[request.action] = (policy_set(chosen), scope.policies)
        return known

    def _parse_group(self, principal: Entity, others: tuple[Entity, ...]) -> cedar.Entities:
        return cedar.Entities.from_json_str(
            json.dumps([entity_json(entity) for entity in (principal, *others)]), self._schema
        )

    def _parse_entities(self, principal: Entity, others: tuple[Entity, ...], resource: Entity) -> cedar.Entities:
        return self._group(principal, others).with_added_json_str(json.dumps([entity_json(resource)]), self._schema)


def policy_set(policies: Mapping[str, cedar.pst.Template]) -> cedar.PolicySet:
    """Parsed trees as a policy set whose ids are the names given here."""
    named = {name: replace(tree, id=name) for name, tree in policies.items()}
    return cedar.PolicySet.from_pst(cedar.pst.PolicySet(templates={}, static_policies=named, template_links=()))


def _action_scope(tree: cedar.pst.Template) -> cedar.pst.Template:
    """Returns the policy reduced to its action, as a permit for everybody: the engine then names those of an action."""
    return replace(
        tree, effect="permit", principal=cedar.pst.ScopeAny(), resource=cedar.pst.ScopeAny(), clauses=(), annotations={}
    )


def _broken(error: str) -> Answer:
    return Answer(allowed=False, policies=(), errors=(error,))


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
    named = {name: _question_value(value) for name, value in attributes}
    if len(named) != len(attributes):
        raise MalformedError("POLICY_REQUEST", f"{_WHAT}: expected each attribute once")
    return named


def _question_value(value: PolicyValue) -> JsonValue:
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
