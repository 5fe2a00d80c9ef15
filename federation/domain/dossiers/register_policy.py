"""The questions about vehicles and enterprises that policy is asked when their own county keeps or reads them.

Rules kept: no question names a plate, a USCC or a person. The answers are in `policies/registers.cedar`, the vocabulary
in `policies/schema.cedarschema`; both change together.
Sources: 道路交通安全法 article 8; 市场主体登记管理条例 article 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federation.domain.dossiers.dossier import DossierKind
from federation.domain.lookup_policy import DossierFacts, dossier_entity
from federation.domain.permit_policy import AgencyFacts, Occasion, ask
from federation.domain.rules.function_register import FunctionCode
from federation.protocol.policy.request import PolicyRequest

REGISTER_PURPOSE: Final[Mapping[DossierKind, str]] = MappingProxyType(
    {DossierKind.VEHICLE: "vehicle.administration", DossierKind.ENTERPRISE: "enterprise.administration"}
)
"""The purpose under which each register is kept and read at home."""

REGISTER_FUNCTION: Final[Mapping[DossierKind, FunctionCode]] = MappingProxyType(
    {DossierKind.VEHICLE: FunctionCode("F07"), DossierKind.ENTERPRISE: FunctionCode("F16")}
)
"""The joint function of each purpose: vehicle items across provinces (车管), checks of enterprises (经营主体核查)."""


class RegisterAct(StrEnum):
    """What the agency that keeps a register does with a record of it."""

    KEEP = "register.keep"
    READ = "register.read"


def register_request(
    act: RegisterAct, agency: AgencyFacts, dossier: DossierFacts, *, occasion: Occasion
) -> PolicyRequest:
    """May the agency keep (register, change, import) or read this record of its own province?"""
    return ask(act.value, agency, dossier_entity(dossier), occasion=occasion)
