"""An enterprise as the market regulator of its county registers it (经营主体登记), and its record in stored bytes.

Rules kept: the USCC has its form and is of this realm; the legal representative is a person, by name and citizen
number, of whom a look-up may learn the name and nobody the number. No message of an error and no `repr` shows a person.
Sources: 市场主体登记管理条例 articles 8 and 9; GB 32100.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import ClassVar

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.dossiers.texts import parse_day, verify_division, verify_text
from federation.domain.uscc import verify_uscc
from federation.protocol.errors import CorruptError, MalformedError, RuleError
from federation.protocol.form import (
    Item,
    decode,
    encode,
)
from federation.protocol.ids import Realm


class EnterpriseStatus(StrEnum):
    """Where an enterprise stands: 存续, 歇业, 迁出, 吊销, 注销."""

    ACTIVE = "active"
    DORMANT = "dormant"
    TRANSFERRED = "transferred"
    REVOKED = "revoked"
    DEREGISTERED = "deregistered"


class Enterprise(Item, frozen=True, kw_only=True):
    """The facts of one enterprise as they stand."""

    WHAT: ClassVar[str] = "stored enterprise"

    uscc: str
    name: str
    division: str
    status: EnterpriseStatus
    registered_on: date
    legal_form: str
    legal_representative: str
    representative_number: str

    def __repr__(self) -> str:
        """Hides the person and whose enterprise it is."""
        return f"Enterprise({self.legal_form}, {self.division})"


def verify_enterprise(enterprise: Enterprise, realm: Realm, *, today: date) -> Enterprise:
    """Returns the enterprise when every fact has its form and the realm may hold it.

    Raises:
        MalformedError: USCC_*, REAL_USCC_IN_DEMO, CITIZEN_NUMBER_*, REAL_NUMBER_IN_DEMO, REGISTER_TEXT,
            REGISTER_DIVISION.
        RuleError: REGISTERED_LATER when it was registered after today.
    """
    verify_uscc(enterprise.uscc, realm)
    verify_text("name", enterprise.name)
    verify_division("division", enterprise.division)
    verify_text("legal_form", enterprise.legal_form)
    verify_text("legal_representative", enterprise.legal_representative)
    verify_citizen_number(enterprise.representative_number, realm)
    if enterprise.registered_on > today:
        raise RuleError("REGISTERED_LATER", f"expected a registration up to {today}")
    return enterprise


def enterprise_texts(enterprise: Enterprise) -> Mapping[str, str]:
    """Every field of an enterprise as text, by the names of `ENTERPRISE_FIELDS`."""
    return {
        "uscc": enterprise.uscc,
        "name": enterprise.name,
        "division": enterprise.division,
        "status": enterprise.status.value,
        "registered_on": enterprise.registered_on.isoformat(),
        "legal_form": enterprise.legal_form,
        "legal_representative": enterprise.legal_representative,
        "representative_number": enterprise.representative_number,
    }


def parse_enterprise(texts: Mapping[str, str]) -> Enterprise:
    """An enterprise from texts by the names of `ENTERPRISE_FIELDS`; their values are `verify_enterprise`'s to judge.

    Raises:
        MalformedError: REGISTER_FIELD for a missing field or an unknown status, REGISTER_DAY.
    """
    try:
        return Enterprise(
            uscc=texts["uscc"],
            name=texts["name"],
            division=texts["division"],
            status=EnterpriseStatus(texts["status"]),
            registered_on=parse_day("registered_on", texts["registered_on"]),
            legal_form=texts["legal_form"],
            legal_representative=texts["legal_representative"],
            representative_number=texts["representative_number"],
        )
    except KeyError as error:
        raise MalformedError("REGISTER_FIELD", f"expected the field {error}") from error
    except ValueError as error:
        raise MalformedError("REGISTER_FIELD", f"expected a status of {', '.join(EnterpriseStatus)}") from error


def encode_enterprise(enterprise: Enterprise) -> bytes:
    """Encodes an enterprise with every fact; `decode_enterprise` gives an equal value back."""
    return encode(enterprise)


def decode_enterprise(encoded: bytes) -> Enterprise:
    """Decodes what `encode_enterprise` wrote.

    Raises:
        CorruptError: ENTERPRISE_RECORD when the stored bytes are anything else: a human must look.
    """
    try:
        return decode(Enterprise, encoded)
    except MalformedError as error:
        raise CorruptError("ENTERPRISE_RECORD", "a stored enterprise cannot be read back") from error
