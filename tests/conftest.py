"""How all tests run: properties have no deadline, since a busy machine is no finding, and CI draws the same cases twice.

A finding of CI can then be had again; at a desk every run draws new ones. Stores and homes are made in memory where there is
enough of it: a node syncs each commit, and a process that is killed loses nothing there either. Byte code is kept whatever the
environment says, since hundreds of processes are started. A logged error is told in plain lines: the picture of every
frame with its variables, which is what structlog does by itself, takes eight seconds of the processor.
"""

import atexit
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from structlog.dev import ConsoleRenderer, plain_traceback

from tests.attacks.table import memory, pytest_configure, pytest_itemcollected, pytest_terminal_summary

__all__ = ["memory", "pytest_configure", "pytest_itemcollected", "pytest_terminal_summary"]
"""The table of the attacks, whose rows may lie in any folder."""

LONG = (("e2e",), ("scenarios", "attacks"), ("cli", "node", "store", "architecture", "policies"))
"""Folders whose files take minutes, those that take longest then, and those of seconds: handed out in this order, so that
no worker is left alone with one at the end."""

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2_000_000_000


def _has_room(folder: Path) -> bool:
    """True when stores may be made there, and programs run."""
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize > MEMORY_BYTES and not found.f_flag & os.ST_NOEXEC


os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="bridgehead-cache-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
if "TMPDIR" not in os.environ and _has_room(MEMORY):
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
logging.getLogger("asyncio").addFilter(lambda record: "PollerCompletionQueue" not in record.getMessage())
"""Two loops in one process share gRPC's poller, and one that finds nothing to read says so on stderr, beside what a command
says that runs in this process. A command of its own has one loop."""
logging.raiseExceptions = False  # a line that came after its stream was closed is no line of what a command said
for each in structlog.get_config()["processors"]:
    if isinstance(each, ConsoleRenderer):
        each.exception_formatter = plain_traceback
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the long files first; within each part the order stays as it was drawn."""
    tests = Path(__file__).parent
    ranks = {tests / name: rank for rank, names in enumerate(LONG) for name in names}
    items.sort(key=lambda item: next((ranks[folder] for folder in item.path.parents if folder in ranks), len(LONG)))
