"""The questions of a Cedar schema: for each action principal and resource, names and types of both and the context.

Reads the engine's own rendering of the schema, which is regular. A construct that no schema of the federation uses
(records in records, several kinds of resource for one action) is refused, not guessed at. Source: Cedar schema syntax.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from federation.protocol.errors import MalformedError
from federation.protocol.policy import cedar

_RECORD: Final = r"\{[^{}]*\}"
_TYPE: Final = re.compile(rf"^  type (\w+) = ({_RECORD});$", re.MULTILINE)
_ENTITY: Final = re.compile(rf"^  entity (\w+)(?: in \[[^]]*\])?(?: = ({_RECORD}))?;$", re.MULTILINE)
_ACTION: Final = re.compile(
    rf'^  action "([^"]+)" appliesTo {{'
    rf"\s*principal: \[(\w+)\],\s*resource: \[(\w+)\],\s*context: (\w+|{_RECORD})\s*}};$",
    re.MULTILINE,
)
_ATTRIBUTE: Final = re.compile(r"(\w+)(\??): ([\w<>]+)")


class AttributeType(NamedTuple):
    """The type of an attribute as Cedar names it (`Bool`, `Set<String>`, `County`), and whether it must be there."""

    type: str
    required: bool


Shape: TypeAlias = Mapping[str, AttributeType]


class ActionShape(Struct, frozen=True, kw_only=True):
    principal: str
    resource: str
    attributes: Shape
    context: Shape


def read_vocabulary(schema: cedar.Schema) -> Mapping[str, ActionShape]:
    """Returns the shape of each action's question by its id; refuses an action of another form (POLICY_SCHEMA)."""
    text = str(schema)
    types = {name: _read_shape(record) for name, record in _TYPE.findall(text)}
    entities = {name: _read_shape(record) for name, record in _ENTITY.findall(text)}
    actions = {
        name: ActionShape(
            principal=principal,
            resource=resource,
            attributes=entities.get(resource, {}),
            context=types[context] if context in types else _read_shape(context),
        )
        for name, principal, resource, context in _ACTION.findall(text)
    }
    declared = re.findall(r'^  action "([^"]+)"', text, re.MULTILINE)
    for name in (name for name in declared if name not in actions):
        raise MalformedError("POLICY_SCHEMA", f"action {name!r}: expected one principal, one resource, a flat context")
    return actions


def _read_shape(record: str) -> Shape:
    return {name: AttributeType(kind, not optional) for name, optional, kind in _ATTRIBUTE.findall(record)}
