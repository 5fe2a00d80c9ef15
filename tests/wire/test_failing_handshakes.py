"""A handshake that fails while a channel or a server is closed takes no process with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grpc
import pytest

REPOSITORY = Path(__file__).parents[2]
CRASHES = grpc.__version__.startswith("1.78.")
"""grpcio 1.78.0 and 1.78.2 crash in a thread of their own when a server is stopped while a handshake fails; 1.62-1.76
and 1.80-1.85 do not. Nobody's data is at risk: what a node has said yes to is durable before."""


def outcome(what: str, rounds: int) -> tuple[int, str]:
    """The exit code of the process, and how its talk ends."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.wire.failing_handshakes", what, str(rounds)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr[-500:] if done.returncode else ""


def test_channels_closed_during_failed_handshakes_leave_the_process_alive():
    """A node that calls a peer of a wrong name goes on, whenever it closes the channel."""
    assert outcome("channels", 60) == (0, "")


@pytest.mark.xfail(CRASHES, reason="a fault of grpcio 1.78 alone", strict=False)
def test_server_stopped_during_failed_handshakes_leaves_the_process_alive():
    """A port that somebody knocks at in vain can be closed."""
    assert outcome("servers", 400) == (0, "")
