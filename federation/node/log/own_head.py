"""The newest heads of our own log, outside the database, in files of the home: a database set back contradicts them.

    <home>/heads/<origin, / as _>             the newest head that we cosigned
    <home>/heads/<origin, / as _>.witnessed   a head with the lines of all who ever cosigned: they must remember
    <home>/heads/<origin, / as _>.disputed    a head that our own key signed and that is not of the history here

Rules kept: written durably before our own cosignature leaves. Trusts nothing it reads: the log's own line is verified
again. A home restored from a backup as a whole is what the peers are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.node.home.files import make_private_folder, read_file, write_public
from federation.protocol.errors import BridgeheadError, CorruptError
from federation.protocol.tlog.note import Checkpoint, Vkey, verify_checkpoint
from federation.store.database import Database
from federation.store.log_reader import load_head, load_root

FOLDER: Final = "heads"
WITNESSED: Final = ".witnessed"
DISPUTED: Final = ".disputed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHeadFile:
    path: Path
    vkey: Vkey

    def read(self, suffix: str = "") -> bytes | None:
        """Returns a note, None before the first. Refuses HEAD_FILE for one that our log did not sign."""
        path = self._at(suffix)
        if not path.exists():
            return None
        note = read_file(path)
        try:
            verify_checkpoint(note, self.vkey)
        except BridgeheadError as error:
            raise CorruptError(
                "HEAD_FILE", f"{path} is no head of this log ({error.reason}): restore it, or move it away to start"
            ) from error
        return note

    def write(self, note: bytes, suffix: str = "") -> None:
        """Durable when this returns."""
        make_private_folder(self.path.parent)
        write_public(self._at(suffix), note)

    def settle(self) -> None:
        """Forgets a dispute that the store no longer has: it was restored to what was signed."""
        self._at(DISPUTED).unlink(missing_ok=True)

    def _at(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


def own_head_file(home: Path, vkey: Vkey) -> OwnHeadFile:
    return OwnHeadFile(path=home / FOLDER / vkey.name.replace("/", "_"), vkey=vkey)


def require_prefix(database: Database, checkpoint: Checkpoint, *, told_by: str) -> None:
    """Refuses a head of our own log that is not of the history here: LOG_ROLLED_BACK, LOG_FORKED."""
    size = load_head(database).size
    if checkpoint.size > size:
        raise CorruptError(
            "LOG_ROLLED_BACK",
            f"{told_by} cosigned {checkpoint.size} entries of this log, only {size} are here: the store is older than "
            "what was signed. Restore the newer store, or retire this log: bridgehead log restart; "
            "never sign a second history",
        )
    if load_root(database, checkpoint.size) != checkpoint.root:
        raise CorruptError(
            "LOG_FORKED",
            f"{told_by} cosigned another history of this log at size {checkpoint.size}: restore the store that signed "
            "it, or retire this log: bridgehead log restart",
        )
