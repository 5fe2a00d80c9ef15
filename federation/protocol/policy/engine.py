"""The Cedar engine, asked safely: the only module that evaluates policies.

Rules kept: the schema is always on, for the request and for every entity. Allowed means *Allow and no error at all*:
Cedar skips a policy that errors, so that a broken `forbid` beside an open `permit` would let everything through. What
cannot be evaluated is an answer with an error, never an exception. Policies are parsed once; a request is put only to
those whose action it has, and the engine itself tells which those are.
Trusts the policy text (it comes from the agreement), not the request. Source: Cedar policy language; cedarpy 4.12.2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import cedarpy
from cedarpy import pst

from federation.protocol.errors import MalformedError
from federation.protocol.policy.request import NAMESPACE, Entity, PolicyRequest, attributes_json, entity_json, uid_json

ENGINE: Final = "cedarpy 4.12.2"
"""The engine that decides; a test compares it with what is installed. Evidence cites it."""

_KNOWN_GROUPS: Final = 1024
_KNOWN_ENTITIES: Final = 2048
"""Parsed entities kept for the next question about the same agency and kind of record: parsing costs as much again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The engine's answer: `policies` are the ids that decided (sorted), `errors` is empty unless something broke."""

    allowed: bool
    policies: tuple[str, ...]
    errors: tuple[str, ...] = ()


class Engine:
    """Parsed policies with their schema, ready to be asked. Equal questions get equal answers; nothing is written."""

    def __init__(self, schema: cedarpy.Schema, policies: Mapping[str, pst.Template]) -> None:
        self._schema = schema
        self._policies = policies
        self._scopes = policy_set({name: _action_scope(tree) for name, tree in policies.items()})
        self._slices: dict[str, tuple[cedarpy.PolicySet, tuple[str, ...]]] = {}
        self._group = lru_cache(maxsize=_KNOWN_GROUPS)(self._parse_group)
        self._entities = lru_cache(maxsize=_KNOWN_ENTITIES)(self._parse_entities)

    def ask(self, request: PolicyRequest) -> Answer:
        try:
            policies, _ = self._slice(request)
        except MalformedError as error:
            return _broken(error.message)
        return self.ask_of(request, policies)

    def ask_of(self, request: PolicyRequest, policies: cedarpy.PolicySet) -> Answer:
        """Puts the request to the given policies, under the same schema."""
        try:
            entities = self._entities(request.principal, request.others, request.resource)
            question = {
                "principal": uid_json(request.principal.ref),
                "action": {"type": f"{NAMESPACE}::Action", "id": request.action},
                "resource": uid_json(request.resource.ref),
                "context": attributes_json(request.context),
            }
            result = cedarpy.is_authorized(question, policies, entities, schema=self._schema)
        except (ValueError, MalformedError) as error:
            return _broken(str(error))
        silent = result.decision is cedarpy.Decision.NoDecision
        errors = tuple(result.diagnostics.errors) or ("the engine gave no decision",) * silent
        return Answer(
            allowed=result.decision is cedarpy.Decision.Allow and not errors,
            policies=tuple(sorted(result.diagnostics.reasons)),
            errors=errors,
        )

    def policies_of(self, request: PolicyRequest) -> tuple[str, ...]:
        """Returns the ids of the policies about the request's action, sorted; none when the request is broken."""
        try:
            return self._slice(request)[1]
        except MalformedError:
            return ()

    def _slice(self, request: PolicyRequest) -> tuple[cedarpy.PolicySet, tuple[str, ...]]:
        known = self._slices.get(request.action)
        if known is None:
            scope = self.ask_of(request, self._scopes)
            if scope.errors:
                raise MalformedError("POLICY_REQUEST", "; ".join(scope.errors))
            chosen = {name: self._policies[name] for name in scope.policies}
            known = self._slices[request.action] = (policy_set(chosen), scope.policies)
        return known

    def _parse_group(self, principal: Entity, others: tuple[Entity, ...]) -> cedarpy.Entities:
        return cedarpy.Entities.from_json_str(
            json.dumps([entity_json(entity) for entity in (principal, *others)]), self._schema
        )

    def _parse_entities(self, principal: Entity, others: tuple[Entity, ...], resource: Entity) -> cedarpy.Entities:
        return self._group(principal, others).with_added_json_str(json.dumps([entity_json(resource)]), self._schema)


def policy_set(policies: Mapping[str, pst.Template]) -> cedarpy.PolicySet:
    """Parsed trees as a policy set whose ids are the names given here."""
    named = {name: replace(tree, id=name) for name, tree in policies.items()}
    return cedarpy.PolicySet.from_pst(pst.PolicySet(templates={}, static_policies=named, template_links=()))


def _action_scope(tree: pst.Template) -> pst.Template:
    """Returns the policy reduced to its action, as a permit for everybody: the engine then names those of an action."""
    return replace(tree, effect="permit", principal=pst.ScopeAny(), resource=pst.ScopeAny(), clauses=(), annotations={})


def _broken(error: str) -> Answer:
    return Answer(allowed=False, policies=(), errors=(error,))
