"""What is asked and answered about the registers of vehicles and enterprises, as values: no protobuf, no store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from federation.protocol.errors import BridgeheadError
from federation.wire.values import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVersion:
    """Which version of which record holds what was registered."""

    id: str
    version: int


RegisteredRow: TypeAlias = KeptVersion | Ruling | BridgeheadError
"""What one row came to: kept so, refused by policy, or not to be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """One record of a register with the fields that policy gives, as text."""

    version: KeptVersion
    fields: Mapping[str, str]

    def __repr__(self) -> str:
        """Hides whom it is about: the names of the fields only."""
        return f"KeptRecord({self.version.id}, {sorted(self.fields)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterReading:
    """What policy said, and the records found under one plate or USCC; none when refused."""

    decision: Ruling
    records: tuple[KeptRecord, ...] = ()
