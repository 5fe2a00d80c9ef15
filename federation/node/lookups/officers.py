"""Officers' own keys, as an agency registered them at its node: `<home>/officers/<county>-<kind>/<officer>.pub`.

A certificate is an office's, and offices share theirs; a key of the officer's own is what makes a fetch answerable.
One public key a file, in the form `ed25519:<base64>`. Source: misuse control M1.
"""

from __future__ import annotations

import re
from pathlib import Path

from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId
from federation.protocol.keys import admit_public_key, format_public_key, parse_public_key

_OFFICER = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def officer_key_path(home: Path, agency: AgencyId, officer: str) -> Path:
    """Where the public key of an officer lies.

    Raises:
        MalformedError: OFFICER when the pseudonym has another form than 1 to 64 letters, digits, - and _.
    """
    if not _OFFICER.fullmatch(officer):
        raise MalformedError("OFFICER", "expected a pseudonym of 1 to 64 letters, digits, - and _")
    return home / "officers" / f"{agency.county}-{agency.kind}" / f"{officer}.pub"


def register_officer_key(home: Path, agency: AgencyId, officer: str, *, key: str) -> None:
    """Registers, or replaces, the public key of an officer.

    Raises:
        MalformedError: OFFICER, and for a key of another form.
        UntrustedError: for a weak key.
    """
    admitted = format_public_key(admit_public_key(parse_public_key(key)))
    path = officer_key_path(home, agency, officer)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{admitted}\n", encoding="ascii")


def find_officer_key(home: Path, agency: AgencyId, officer: str) -> str | None:
    """The registered public key of an officer, None when there is none."""
    path = officer_key_path(home, agency, officer)
    return path.read_text(encoding="ascii").strip() if path.is_file() else None
