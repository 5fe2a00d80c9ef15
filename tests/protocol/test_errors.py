"""The error tree: what a caller can rely on."""

import pytest

from federation.protocol import errors
from federation.protocol.errors import BridgeheadError

LEAVES = (
    "MalformedError", "UntrustedError", "StaleError", "RuleError", "ConflictError", "NotFoundError", "UnavailableError",
    "CorruptError",
)  # fmt: skip


@pytest.mark.parametrize("name", LEAVES)
def test_error_of_each_class_keeps_reason_message_and_facts(name):
    """An error carries a stable reason, a sentence and facts by name, and is caught as the root."""
    error = getattr(errors, name)("SOME_REASON", "expected this, got that", field="seq", limit=3)

    assert isinstance(error, BridgeheadError)
    assert (error.reason, error.message, error.facts) == (
        "SOME_REASON",
        "expected this, got that",
        {"field": "seq", "limit": 3},
    )
    assert str(error) == "expected this, got that [SOME_REASON]"


def test_tree_is_flat_and_complete():
    """The eight classes, and no others, lie directly under the root."""
    assert sorted(error.__name__ for error in BridgeheadError.__subclasses__()) == sorted(LEAVES)
