"""A dossier: one record of a register that a look-up may find, named by its kind and its id.

Rules kept: a name is opaque and says nothing but the kind, the county and a serial, so that it may stand in plain
columns; the fields of each kind are listed here and nowhere else; which of them tell of a person, too.
Sources: domain notes 2.12 and 6.4; 居住证暂行条例 articles 4 and 13 (what a permit and a vehicle item hold).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federation.domain.permit import parse_permit_urn
from federation.domain.permit_item import PERMIT_FIELDS
from federation.protocol.errors import MalformedError

VEHICLE_FIELDS: Final = (
    "plate", "plate_class", "brand_model", "colour", "status", "registered_division", "first_registered", "keeper",
    "permit",
)  # fmt: skip
"""Every field of a vehicle's record that can be named."""

ENTERPRISE_FIELDS: Final = (
    "uscc", "name", "division", "status", "registered_on", "legal_form", "legal_representative",
    "representative_number",
)  # fmt: skip
"""Every field of an enterprise's record that can be named."""

_OWN_URN: Final = re.compile(r"urn:(?P<kind>vehicle|enterprise):[0-9]{6}:[0-9]{6,12}", re.ASCII)


class DossierKind(StrEnum):
    """The kinds of record that a look-up finds, as policy names them (`resource.kind`)."""

    PERMIT = "permit"
    VEHICLE = "vehicle"
    ENTERPRISE = "enterprise"


DOSSIER_FIELDS: Final[Mapping[DossierKind, frozenset[str]]] = MappingProxyType(
    {
        DossierKind.PERMIT: frozenset(PERMIT_FIELDS),
        DossierKind.VEHICLE: frozenset(VEHICLE_FIELDS),
        DossierKind.ENTERPRISE: frozenset(ENTERPRISE_FIELDS),
    }
)
"""The fields of each kind: a fetch names fields of one kind only."""

REPRESENTATIVE_FIELDS: Final = frozenset({"legal_representative", "representative_number"})
"""The fields of an enterprise that are a person's: whoever gets one, that person is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierRef:
    """The name of one record: its kind, and its URN in the register of that kind."""

    kind: DossierKind
    id: str


def format_dossier_urn(kind: DossierKind, division: str, *, serial: int) -> str:
    """The name of a vehicle's or an enterprise's record in the register of a county.

    Raises:
        MalformedError: DOSSIER_URN as `parse_dossier_urn`.
    """
    return parse_dossier_urn(f"urn:{kind}:{division}:{serial:06d}").id


def parse_dossier_urn(text: str) -> DossierRef:
    """Parses `urn:vehicle:<county>:<serial>`, `urn:enterprise:<county>:<serial>` or the name of a permit.

    Raises:
        MalformedError: DOSSIER_URN for any other form, PERMIT_URN for a permit's.
    """
    found = _OWN_URN.fullmatch(text)
    if found is not None:
        return DossierRef(kind=DossierKind(found["kind"]), id=text)
    if text.startswith("urn:permit:"):
        return DossierRef(kind=DossierKind.PERMIT, id=parse_permit_urn(text))
    raise MalformedError("DOSSIER_URN", f"expected a record such as urn:vehicle:330822:000123, got {text!r:.60}")
