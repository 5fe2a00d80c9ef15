"""What an auditor remembers between two audits: the last verified head of each log, as the log signed it.

Rules kept: only a head whose whole log verified is remembered; it is kept as the signed note, so that a log which is
rolled back or rewritten later has signed the proof against itself; a head never goes back.
Trusts its own file; the notes in it are verified again each time. Source: C2SP tlog-tiles (clients that follow a log).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from federation.protocol.canonical_json import decode_canonical, encode_canonical, expect_names, read_object, read_text
from federation.protocol.errors import MalformedError, UnavailableError

VERSION = 1
_WHAT = "remembered heads"


def encode_remembered(notes: Mapping[str, bytes]) -> bytes:
    """Encodes the signed notes by origin."""
    return encode_canonical({"v": VERSION, "heads": {origin: note.decode() for origin, note in notes.items()}})


def decode_remembered(encoded: bytes) -> dict[str, bytes]:
    """Decodes the signed notes by origin; nothing about them is verified.

    Raises:
        MalformedError: REMEMBERED for another version, JSON_* for another form.
    """
    value = decode_canonical(encoded, what=_WHAT)
    expect_names(value, ("v", "heads"), what=_WHAT)
    if value["v"] != VERSION:
        raise MalformedError("REMEMBERED", f"{_WHAT}: expected version {VERSION}")
    heads = read_object(value, "heads", what=_WHAT)
    return {origin: read_text(heads, origin, what=_WHAT).encode() for origin in heads}


def load_remembered(path: Path) -> dict[str, bytes]:
    """Loads the signed notes by origin; none when there is no file yet.

    Raises:
        MalformedError: as `decode_remembered`: an auditor who forgot must know it.
        UnavailableError: FILE when it cannot be read.
    """
    try:
        return decode_remembered(path.read_bytes()) if path.exists() else {}
    except OSError as error:
        raise UnavailableError("FILE", f"expected to read {path}, got {error.strerror}") from error


def save_remembered(path: Path, notes: Mapping[str, bytes]) -> None:
    """Replaces the file in one step.

    Raises:
        UnavailableError: FILE when it cannot be written.
    """
    new = path.with_name(path.name + ".new")
    try:
        new.write_bytes(encode_remembered(notes))
        new.replace(path)
    except OSError as error:
        raise UnavailableError("FILE", f"expected to write {path}, got {error.strerror}") from error
