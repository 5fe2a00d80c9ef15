"""Programs of the house out of a process that has imported them already: a node begins in a tenth of the processor's time.

What is started is a process of its own, with its own memory, session, environment and limits, and dies as any other does;
only the imports are those of its parent. The demo, whose nodes are started as a newcomer's are, takes no part in this.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).parents[1]
NODE = "federation.node.serve"
AS_PRINTED = frozenset({"demo", "bench"})
"""Parts of the command that are begun as a newcomer begins them."""
DESCRIPTORS = 3
HEAD = 8
"""A request begins with its length, so many digits."""


_PROGRAM = """#!{python} -SI
import json, os, resource, signal, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({place!r})
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
asked = json.dumps(dict(args=sys.argv[1:], env=dict(os.environ), cwd=os.getcwd(), limits=limits)).encode()
socket.send_fds(connection, [b"%0{head}d" % len(asked)], [0, 1, 2])
connection.sendall(asked)
pid = int(connection.recv({head}))
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
code = int(connection.recv({head}) or -9)
sys.exit(code if code >= 0 else 128 - code)
"""
"""Stands for what it begins: its end is told, it hands a SIGTERM on, and when it is killed so is the other."""


def write_program(path: Path) -> None:
    """Writes the command `bridgehead`, whose processes begin here."""
    path.write_text(_PROGRAM.format(python=sys.executable, place=_parent(), head=HEAD), encoding="utf-8")
    path.chmod(0o755)


class Forked(subprocess.Popen[bytes]):
    """As `Popen` of our interpreter and command, `[python, "-m", "federation.cli.main", ...]`, with open files alone."""

    def __init__(  # as the one it stands for
        self,
        args: Sequence[str],
        *,
        stdin: int,
        stdout: IO[bytes],
        stderr: IO[bytes],
        start_new_session: bool,
        env: Mapping[str, str],
    ) -> None:
        assert (list(args[:3]), stdin) == ([sys.executable, "-m", "federation.cli.main"], subprocess.DEVNULL)
        assert start_new_session
        self.args, self.returncode = args, None
        self.stdin = self.stdout = self.stderr = None
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_parent())
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        asked = json.dumps(
            {"args": list(args[3:]), "env": dict(env), "cwd": str(Path.cwd()), "limits": limits}
        ).encode()
        with Path(os.devnull).open("rb") as nothing:
            files = [nothing.fileno(), stdout.fileno(), stderr.fileno()]
            socket.send_fds(self._connection, [f"{len(asked):0{HEAD}}".encode()], files)
            self._connection.sendall(asked)
            self.pid = int(self._connection.recv(HEAD))

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                said = self._connection.recv(HEAD)
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from error
            self.returncode = int(said or -signal.SIGKILL)
            self._connection.close()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ended, and that is on its way to us
                os.kill(self.pid, sig)

    def __del__(self, *_: object) -> None:
        """Nothing to warn of: whoever is still there goes with the connection."""
        connection: socket.socket | None = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()


@cache
def _parent() -> str:
    """Starts the process that forks, once for those who ask from here; it ends with us. Returns where it listens."""
    place = str(Path(tempfile.mkdtemp(prefix="forked-")) / "socket")
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "tests.forked", place, str(theirs.fileno())]
    running = subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
    )
    theirs.close()
    atexit.register(_end, ours, running)
    assert ours.recv(1) == b".", "the process that forks did not begin"
    return place


def _end(ours: socket.socket, running: subprocess.Popen[bytes]) -> None:
    ours.close()
    running.wait()


def _serve(place: str, owner: socket.socket) -> None:
    """Forks for whoever connects; who hangs up kills what they started, and the owner all."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen(64)
    owner.sendall(b".")
    children: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as waiting:
        waiting.register(owner, selectors.EVENT_READ)
        waiting.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is owner:
                    for pid in children:
                        os.kill(pid, signal.SIGKILL)
                    return
                if key.fileobj is listener:
                    connection = listener.accept()[0]
                    pid = _fork(connection, [listener, owner, *children.values()])
                    children[pid] = connection
                    waiting.register(connection, selectors.EVENT_READ, pid)
                    waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                elif isinstance(key.fileobj, socket.socket):
                    if key.data in children:
                        waiting.unregister(key.fileobj)
                        os.kill(key.data, signal.SIGKILL)
                else:
                    waiting.unregister(key.fileobj)
                    os.close(key.fd)
                    _tell(children.pop(key.data), os.waitpid(key.data, 0)[1], waiting)


def _tell(connection: socket.socket, status: int, waiting: selectors.BaseSelector) -> None:
    if connection in waiting.get_map():
        waiting.unregister(connection)
        connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
    connection.close()


def _fork(connection: socket.socket, others: Sequence[socket.socket]) -> int:
    head, files, *_ = socket.recv_fds(connection, HEAD, DESCRIPTORS)
    asked = json.loads(connection.recv(int(head), socket.MSG_WAITALL))
    pid = os.fork()
    if pid:
        connection.sendall(b"%d" % pid)
        for each in files:
            os.close(each)
        return pid
    code = 1
    try:
        os.setsid()
        for number, each in enumerate(files):
            os.dup2(each, number)
            os.close(each)
        for each in (connection, *others):
            each.close()
        code = _run(asked)
    finally:
        os._exit(code)
    raise AssertionError


def _run(asked: dict) -> int:
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(asked["limits"]))
    tempfile.tempdir = None
    sys.argv = ["bridgehead", *asked["args"]]
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, encoding="utf-8", closefd=False) for number in (1, 2))
    from federation.cli.main import main

    try:
        return int(main() or 0)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    from federation.cli.main import PARTS, WITHIN

    import_module(NODE)
    parts = (where for part, (where, _) in PARTS.items() if part not in AS_PRINTED)
    for place in (*parts, *(each for some in WITHIN.values() for each in some.values())):
        import_module(f"federation.cli.{place.rpartition('.')[0]}")
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "only a process without threads may fork"
    _serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
