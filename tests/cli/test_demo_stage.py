"""The stage of the demo: what an officer does once, whatever becomes of the answer."""

from __future__ import annotations

import sys

import pytest

from federation.cli.demo.stage import POLICE, Stage, Story
from federation.protocol.errors import UnavailableError


class LostOnce:
    """A node that registers a key and dies before it answers; it is there again for the next call."""

    def __init__(self):
        self.keys = []

    async def call(self, rpc, act, question):
        self.keys.append(question.key)
        if len(self.keys) == 1:
            raise UnavailableError("CALL_FAILED", "the connection was lost")


async def test_key_whose_registration_was_not_answered_is_offered_again():
    """An officer has one key: a second one is refused by the node that has the first (OFFICER_KEY_EXISTS)."""
    node = LostOnce()
    stage = Stage(federation=None, story=Story(out=sys.stderr), seed=1, _clients={POLICE: node})

    with pytest.raises(UnavailableError):
        await stage.enrol("yushan-1")
    key = await stage.enrol("yushan-1")

    assert await stage.enrol("yushan-1") is key
    assert len(node.keys) == 2
    assert len(set(node.keys)) == 1
