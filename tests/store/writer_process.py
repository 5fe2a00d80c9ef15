"""A node process for tests: `append URL HOME NAME GROUPS`, or `crash URL HOME STEP` which kills itself at that step."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from federation.store.database import open_database
from federation.store.exchange_log import commit_group
from tests.store.samples import KEYS, NOW, append, send


def main(command: str, url: str, home: str, *arguments: str) -> None:
    """Runs one command."""
    database = open_database(url, keys=KEYS, folder=Path(home))
    if command == "append":
        name, groups = arguments
        for group in range(int(groups)):
            commit_group(database, [append((name, group, job)) for job in range(7)], now=NOW)
    else:
        commit_group(database, [send(number) for number in range(1, 301)], now=NOW)
        print("started", flush=True)
        commit_group(database, [send(number) for number in range(301, 601)], now=NOW, crash_point=_die_at(arguments[0]))
    database.close()


def _die_at(wanted: str):
    def crash_point(step: str) -> None:
        if step == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return crash_point


if __name__ == "__main__":
    main(*sys.argv[1:])
