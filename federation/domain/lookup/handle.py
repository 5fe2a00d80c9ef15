"""The handle of a hit: opaque, for one asker, one case and one day.

Rules kept: a handle is random and says nothing of the person; it opens nothing for another agency, another officer or
another case; it dies after 24 hours and never outlives its case. Whether the case was closed meanwhile is the case's
own matter (`case.verify_open`). No message of an error shows a handle or the record behind it.
Sources: misuse controls M1, M3 and M9; the two-step form of the Prüm decisions.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from federation.domain.dossiers.dossier import DossierRef
from federation.domain.lookup.case import LookupCase
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.fields import matching
from federation.protocol.ids import AgencyId, MessageId, truncate_to_millisecond

HANDLE_TIME: Final = timedelta(hours=24)
"""How long a handle lives when its case does."""

HANDLE_RANDOM_BYTES: Final = 24
"""Random bytes in a handle: nobody guesses one."""

_HANDLE_FORM: Final = "[A-Za-z0-9_-]{32}"
_HANDLE: Final = re.compile(_HANDLE_FORM, re.ASCII)

HandleText = Annotated[
    str, matching(_HANDLE_FORM, form="a handle of 32 letters, digits, - and _", reason="HANDLE_FORM")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """What the answering side remembers of a hit; it ends at `expires`, which is no part of its life any more."""

    handle: str
    lookup_id: MessageId
    case_id: str
    asker: AgencyId
    officer: str
    dossier: DossierRef
    expires: datetime

    def __repr__(self) -> str:
        """Hides the handle and the record: who reads a log line can neither fetch nor name anybody."""
        return f"Handle({self.lookup_id}, {self.case_id}, {self.asker})"


def format_handle(random: bytes) -> str:
    """Formats a handle from 24 random bytes (base64url, 32 characters).

    Raises:
        MalformedError: HANDLE_FORM for another number of bytes.
    """
    if len(random) != HANDLE_RANDOM_BYTES:
        raise MalformedError("HANDLE_FORM", f"expected {HANDLE_RANDOM_BYTES} random bytes, got {len(random)}")
    return base64.urlsafe_b64encode(random).decode()


def parse_handle(text: str) -> str:
    """Parses a handle.

    Raises:
        MalformedError: HANDLE_FORM.
    """
    if not _HANDLE.fullmatch(text):
        raise MalformedError("HANDLE_FORM", "expected a handle of 32 letters, digits, - and _")
    return text


def handle_expires(case: LookupCase, now: datetime) -> datetime:
    """When a handle given out now ends: after 24 hours, or with its case if that is sooner."""
    return min(case.closes, truncate_to_millisecond(now) + HANDLE_TIME)


def verify_handle(handle: Handle, *, case_id: str, asker: AgencyId, officer: str, now: datetime) -> Handle:
    """Returns the handle when this officer of this agency may use it now for this case.

    Raises:
        RuleError: HANDLE_ASKER for another agency or officer, HANDLE_CASE for another case, HANDLE_EXPIRED.
    """
    if handle.asker != asker or handle.officer != officer:
        raise RuleError("HANDLE_ASKER", "this handle was given to another officer; search under your own name")
    if handle.case_id != case_id:
        raise RuleError("HANDLE_CASE", f"this handle belongs to another case than {case_id}; search under this case")
    if now >= handle.expires:
        raise RuleError("HANDLE_EXPIRED", "this handle has ended; search again")
    return handle
