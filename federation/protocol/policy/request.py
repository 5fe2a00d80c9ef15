"""The question put to policy: who wants to do what to which record, and why.

Rules kept: a request is a value all the way down, so that equal questions are one question and can be remembered. It
names no person: the record's own id never enters policy.
Source: Cedar policy language (request, entity, context), DESIGN sections 3 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from federation.protocol.errors import MalformedError

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRequest:
    """May `principal` do `action` to `resource`? `others` are entities those two lean on, such as counties."""

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
