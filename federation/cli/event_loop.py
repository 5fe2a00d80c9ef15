"""One event loop a process: uvloop where it is installed, the standard one elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")

SWITCH_SECONDS = 0.0002
"""How long one thread keeps the interpreter. The loop gives it up at each signature and each read; with Python's 5 ms
the log's writer would then hold it for 5 ms every time, and a message would take twenty instead of three."""


def run_loop(main: Coroutine[None, None, T]) -> T:
    """Runs a coroutine to its end."""
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)
