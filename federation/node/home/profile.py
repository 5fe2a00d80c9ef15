"""`profile.toml`: the way from an agency's program to its node, as written beside the agency's certificate."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from federation.node.home.files import read_toml
from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, parse_agency_id

PROFILE_FILE: Final = "profile.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyProfile:
    """The way from an agency's program to its node; loaded paths are joined to the profile's folder."""

    federation: str
    agency: AgencyId
    node: str
    agency_addr: str
    read_url: str
    ca: Path
    cert: Path
    key: Path

    @property
    def server_name(self) -> str:
        """The name in the node's certificate, whatever address it is reached at."""
        return f"{self.node}.{self.federation}"


def load_profile(path: Path) -> AgencyProfile:
    """Loads a connection profile; its relative paths count from the file's own folder.

    Raises:
        NotFoundError: FILE_MISSING when the file is not there.
        MalformedError: PROFILE naming what is missing, unknown or no string; AGENCY_ID.
    """
    table = read_toml(path, reason="PROFILE")
    names = {field.name for field in fields(AgencyProfile)}
    wrong = sorted(table.keys() ^ names) or sorted(n for n, v in table.items() if not isinstance(v, str))
    if wrong:
        expected = ", ".join(sorted(names))
        raise MalformedError("PROFILE", f"{path}: expected the strings {expected}; wrong is {wrong[0]!r:.40}")
    files = {name: path.parent / table[name] for name in ("ca", "cert", "key")}
    return AgencyProfile(**{**table, **files, "agency": parse_agency_id(table["agency"])})
