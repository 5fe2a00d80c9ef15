"""Whoever signs at the watch does so by their own registered key.

A certificate is an office's, and offices share theirs. Two names with one key are one person.
Source: misuse controls M1 and M4.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from federation.node.lookups.officers import find_officer_key
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.ids import AgencyId
from federation.protocol.keys import parse_public_key, verify_signature


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderAct:
    """What a leader signed: who, for which agency and case, and the signature of their own key (base64)."""

    agency: AgencyId
    leader: str
    case_id: str
    signature: str


def verify_own_key(home: Path, act: LeaderAct, signed: bytes) -> None:
    """Returns when the registered key of the one who acts signed these bytes.

    Raises:
        UntrustedError: OFFICER_KEY when it is none, or did not sign this; MalformedError: SIGNATURE_FORM.
    """
    registered = find_officer_key(home, act.agency, act.leader)
    if registered is None:
        raise UntrustedError("OFFICER_KEY", f"expected a key registered for the officer {act.leader!r:.70}")
    try:
        signature = base64.b64decode(act.signature, validate=True)
    except binascii.Error as error:
        raise MalformedError("SIGNATURE_FORM", "expected the officer's signature in base64") from error
    try:
        verify_signature(parse_public_key(registered), signed, signature)
    except UntrustedError as error:
        raise UntrustedError(
            "OFFICER_KEY", f"expected a signature of just this by the key registered for {act.leader!r:.70}"
        ) from error


def verify_another_person(home: Path, act: LeaderAct, others: Iterable[str]) -> None:
    """Returns when none of the others has the same key registered: that would be one person under two names.

    Raises:
        RuleError: SAME_PERSON.
    """
    own = find_officer_key(home, act.agency, act.leader)
    for other in others:
        if other != act.leader and own is not None and own == find_officer_key(home, act.agency, other):
            raise RuleError("SAME_PERSON", f"expected two persons: {act.leader} and {other} have the same key")
