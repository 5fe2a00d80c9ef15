"""A terminal of which the whole screen is drawn and each key is read; it is left as it was found, whatever happens.

Only lines that changed are written again. A line that is too long is cut by the terminal, not wrapped: it may count the
cells of a sign otherwise than we do. Source: ECMA-48; the private modes 7, 25, 1049 of xterm.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import signal
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TextIO

_OPEN: Final = "\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[2J"
_CLOSE: Final = "\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1049l"
_SEQUENCE: Final = re.compile(r"\x1b(?:\[([0-?]*[ -/]*[@-~])|O(.)|[^\x1b\[O]|)", re.DOTALL)
"""What begins with Esc: an arrow or another key, or a key together with Alt; else it is Esc itself."""
_NAMED: Final = {"A": "up", "B": "down"}
_PLAIN: Final = {"\r": "enter", "\n": "enter", "\x7f": "back", "\x08": "back", "\x03": "quit", "\x04": "quit"}


class Keys:
    """Bytes of a terminal as keys: a character each, or `up`, `down`, `enter`, `back`, `escape`, `quit`."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self, data: bytes) -> list[str]:
        """The keys that the bytes are; a sequence that has no name here is no key."""
        text, keys, at = self._decoder.decode(data), [], 0
        while at < len(text):
            found = _SEQUENCE.match(text, at)
            if found is None:
                sign = text[at]
                keys.append(_PLAIN.get(sign, sign if sign.isprintable() else ""))
                at += 1
            else:
                keys.append("escape" if found[0] == "\x1b" else _NAMED.get(found[1] or found[2], ""))
                at = found.end()
        return [key for key in keys if key]


class Terminal:
    """The terminal of an open stdin and stdout."""

    def __init__(self, stdin: int, stdout: TextIO) -> None:
        self._stdin, self._stdout = stdin, stdout
        self._keys, self._drawn = Keys(), list[str]()

    @contextmanager
    def opened(self, pressed: Callable[[str], None]) -> Iterator[None]:
        """Takes the terminal over in a running loop, and gives it back as it was.

        `pressed` is called with each key, with `quit` when the terminal ends, and with `resize`.
        """
        loop, found = asyncio.get_running_loop(), termios.tcgetattr(self._stdin)
        ends = (signal.SIGTERM, signal.SIGHUP)
        tty.setraw(self._stdin)
        self._write(_OPEN)
        loop.add_reader(self._stdin, self._readable, pressed)
        loop.add_signal_handler(signal.SIGWINCH, self._resized, pressed)
        for each in ends:
            loop.add_signal_handler(each, pressed, "quit")
        try:
            yield
        finally:
            for each in (signal.SIGWINCH, *ends):
                loop.remove_signal_handler(each)
            loop.remove_reader(self._stdin)
            self._write(_CLOSE)
            termios.tcsetattr(self._stdin, termios.TCSADRAIN, found)

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines; those of an old terminal where it does not say."""
        found = os.get_terminal_size(self._stdout.fileno())
        return found if all(found) else os.terminal_size((80, 24))

    def draw(self, lines: Sequence[str]) -> None:
        """Shows the lines from the top; nothing else stays on the screen."""
        old = self._drawn + [""] * (len(lines) - len(self._drawn))
        changed = [(place, new) for place, new in enumerate(lines, start=1) if new != old[place - 1]]
        self._write("".join(f"\x1b[{place};1H{new}\x1b[K" for place, new in changed))
        self._drawn = list(lines)

    def ring(self) -> None:
        self._write("\a")

    def _readable(self, pressed: Callable[[str], None]) -> None:
        try:
            data = os.read(self._stdin, 4096)
        except OSError:
            data = b""
        for key in self._keys.read(data) if data else ["quit"]:
            pressed(key)

    def _resized(self, pressed: Callable[[str], None]) -> None:
        self._drawn = []
        self._write("\x1b[2J")
        pressed("resize")

    def _write(self, text: str) -> None:
        self._stdout.write(text)
        self._stdout.flush()
