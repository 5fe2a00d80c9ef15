from __future__ import annotations

from importlib.metadata import version

import cedarpy
import pytest

from federation.protocol.policy.engine import ENGINE, Engine
from federation.protocol.policy.text import parse_policy_file
from tests.protocol.policy.books import DENY_SECRET, READ, READ_OFFICE, SCHEMA, office, paper, question

OTHER_ACTION = READ.replace("read-open", "write-open").replace("paper.read", "paper.write")
GROUP = DENY_SECRET.replace("deny-secret", "deny-change").replace(
    "principal, action,", 'principal, action in Fed::Action::"change",'
)


def engine_of(*policies: str) -> Engine:
    texts = [policy for text in policies for policy in parse_policy_file(text.encode(), name="x")]
    return Engine(cedarpy.Schema.from_str(SCHEMA), {policy.id: policy.tree for policy in texts})


def test_engine_constant_names_what_is_installed():
    """Evidence cites the engine, so the constant must be the installed version."""
    assert f"cedarpy {version('cedarpy')}" == ENGINE


def test_ask_names_deciding_policies_by_their_own_ids():
    """The deciding ids are the authors' @id, not positions in a file."""
    engine = engine_of(READ, READ_OFFICE, DENY_SECRET)

    assert engine.ask(question()).policies == ("read-open", "read-police")
    assert engine.ask(question(resource=paper(kind="secret"))).policies == ("deny-secret",)


def test_policies_of_covers_groups_and_every_action():
    """A policy for a group of actions, or for all, belongs to each of them: leaving it out would fail open."""
    engine = engine_of(READ, OTHER_ACTION, DENY_SECRET, GROUP)

    assert engine.policies_of(question()) == ("deny-change", "deny-secret", "read-open")
    assert engine.policies_of(question(action="paper.write")) == ("deny-change", "deny-secret", "write-open")
    assert engine.ask(question(resource=paper(kind="secret"))).policies == ("deny-change", "deny-secret")


def test_policies_of_broken_request_is_empty():
    """A request that the schema refuses belongs to no policy."""
    engine = engine_of(READ)

    assert engine.policies_of(question(action="paper.burn")) == ()
    assert engine.ask(question(action="paper.burn")).errors


@pytest.mark.parametrize("first", ["paper.burn", "paper.read"])
def test_ask_broken_request_first_leaves_no_trace(first):
    """A broken request does not change what later ones are put to."""
    engine = engine_of(READ, DENY_SECRET)
    engine.ask(question(action=first, principal=office(kind="x")))

    assert engine.ask(question()).allowed
    assert engine.policies_of(question()) == ("deny-secret", "read-open")
