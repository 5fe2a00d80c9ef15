"""An officer's own key as one province tells another: which office, which pseudonym, which key from now on.

A change is told with the next version and as a notice on both sides: a second key never takes the place of the first
in silence. Source: misuse controls M1 and M12.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from federation.domain.oversight import FlagKind, RaisedFlag
from federation.protocol.errors import RuleError
from federation.protocol.form import Count, Item
from federation.protocol.ids import AgencyId, matching

OFFICER_KEY_KIND: Final = "officer.key"
OFFICER_KEY_BODY: Final = "application/vnd.bridgehead.officer-key.v1+json"


class KeyStanding(StrEnum):
    REGISTERED = "registered"
    WITHDRAWN = "withdrawn"


class OfficerKey(Item, frozen=True, kw_only=True):
    """The key of an officer in one version; withdrawn, it is empty."""

    WHAT: ClassVar[str] = "officer's key"

    agency: AgencyId
    officer: Annotated[str, matching("[A-Za-z0-9_-]{1,64}", form="a pseudonym such as 'ys-0417'", reason="OFFICER")]
    version: Count
    standing: KeyStanding
    key: str


def verify_key_follows(known: OfficerKey | None, received: OfficerKey) -> OfficerKey:
    """Returns a key that may be pinned: of a later version, or the same again; refuses OFFICER_KEY_STEP."""
    if known is not None and received.version <= known.version and received != known:
        raise RuleError("OFFICER_KEY_STEP", f"expected version {known.version + 1} of the key, or the one that is here")
    return received


def key_change_flag(changed: OfficerKey, *, now: datetime) -> RaisedFlag:
    """The notice of a key that took the place of another, or that was withdrawn."""
    is_gone = changed.standing is KeyStanding.WITHDRAWN
    zh = f"{changed.officer} 的本人密钥已{'注销' if is_gone else '更换'}，如非本人申请请立即核查"
    en = f"the own key of {changed.officer} was {'withdrawn' if is_gone else 'replaced'}; ask them about it"
    return RaisedFlag(
        kind=FlagKind.KEY_CHANGED,
        officer=changed.officer,
        lookup_id=f"{changed.officer}/{changed.version}",
        case_id="",
        sentence_zh=zh,
        sentence_en=en,
        time=now,
        agency=changed.agency,
    )
