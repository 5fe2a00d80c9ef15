"""Which files of the product one command enters, in the command line's process and in the nodes that it reaches.

The nodes run in threads of this process, so that one profile function sees both ends. What a module does when it is
imported is not counted, nor generated code.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import federation

PACKAGE = Path(federation.__file__).parent
_PREFIX = f"{PACKAGE}/"
_GENERATED = f"{PACKAGE}/v1/"
_BESIDE = ("<module>", "__repr__")  # what is imported, and what the loop prints of a task that took long


class Trace:
    """Notes the file of every function of the product that is called while it is on, in any thread begun after it."""

    def __init__(self) -> None:
        self._on = False
        self._seen: set[tuple[str, str]] = set()

    @contextlib.contextmanager
    def installed(self) -> Iterator[Trace]:
        """Threads that begin from here on are seen."""
        threading.setprofile(self._call)
        sys.setprofile(self._call)
        try:
            yield self
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextlib.contextmanager
    def running(self) -> Iterator[set[str]]:
        """Gives the set that holds, after the block, the files entered in it, below `federation/`."""
        found: set[str] = set()
        self._seen.clear()
        self._on = True
        try:
            yield found
        finally:
            self._on = False
            found.update(name.removeprefix(_PREFIX) for name, function in self._seen if function not in _BESIDE)

    def _call(self, frame: FrameType, event: str, _argument: object) -> None:
        if self._on and event == "call":
            code = frame.f_code
            if code.co_filename.startswith(_PREFIX) and not code.co_filename.startswith(_GENERATED):
                self._seen.add((code.co_filename, code.co_name))
