from __future__ import annotations

import pytest

from federation.protocol.errors import MalformedError
from federation.protocol.policy import Entity, EntityRef
from federation.protocol.policy.engine import attributes_json, entity_json
from tests.protocol.policy.books import question


def test_request_equal_values_are_one_question():
    """Requests are values: built twice they are equal and hash alike, so a decision can be remembered."""
    assert question() == question()
    assert hash(question()) == hash(question())
    assert question() != question(purpose="curiosity")


def test_attributes_json_sets_are_sorted():
    """Equal sets give equal bytes, whatever order they were built in."""
    assert attributes_json((("fields", frozenset({"b", "a", "c"})),)) == {"fields": ["a", "b", "c"]}


def test_attributes_json_name_twice_is_refused():
    """An attribute that stands twice has no one meaning."""
    with pytest.raises(MalformedError, match="POLICY_REQUEST"):
        attributes_json((("a", True), ("a", False)))


def test_entity_json_carries_the_namespace():
    """Types are named without the federation's namespace and go to the engine with it."""
    entity = Entity(EntityRef("Office", "o"), (("group", EntityRef("Group", "g")),), (EntityRef("Group", "g"),))

    assert entity_json(entity) == {
        "uid": {"type": "Fed::Office", "id": "o"},
        "attrs": {"group": {"__entity": {"type": "Fed::Group", "id": "g"}}},
        "parents": [{"type": "Fed::Group", "id": "g"}],
    }
