"""An officer's own key: as it is offered to the office's administrator, registered, and told to another province.

A change is told with the next version and as a notice on both sides: a second key never takes the place of the first
in silence. An administrator's key is of another standing: it registers others', and asks nothing about a person.
Source: misuse controls M1 and M12, PIPL article 51.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, ClassVar, Final

from msgspec import Struct

from federation.domain.oversight import FlagKind, RaisedFlag
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.form import Count, Item, encode, encode_canonical
from federation.protocol.ids import AgencyId, format_base64, matching, parse_agency_id, parse_base64
from federation.protocol.keys import (
    PublicKey,
    Signer,
    admit_public_key,
    format_public_key,
    parse_public_key,
    verify_signature,
)

OFFICER_KEY_KIND: Final = "officer.key"
OFFICER_KEY_BODY: Final = "application/vnd.bridgehead.officer-key.v1+json"
KEY_PURPOSE: Final = "keys.administration"
KEY_BASIS: Final = "个人信息保护法第五十一条"
CHANGES_A_DAY: Final = 1000
"""The most keys that the administrators of one office change in a day: each change is a leaf for ever."""
_OFFER: Final = "application/vnd.bridgehead.key-offer.v1+json"


class KeyStanding(StrEnum):
    """An officer's, an administrator's, nobody's any more."""

    REGISTERED = "registered"
    ADMINISTERS = "administers"
    WITHDRAWN = "withdrawn"


class KeyOffer(Struct, frozen=True, kw_only=True):
    """A public key as whoever made it offers it to be registered, with their own signature over the offer (base64)."""

    agency: AgencyId
    officer: str
    key: str
    proof: str


def offer_key(signer: Signer, *, agency: AgencyId, officer: str) -> str:
    """The offer of a key in one line: `agency:officer:key:proof`."""
    public = format_public_key(signer.public_key)
    proof = format_base64(signer.sign(_offer_bytes(agency, officer, public)))
    return f"{agency}:{officer}:{public}:{proof}"


def parse_offer(text: str) -> KeyOffer:
    """Reads the line of an offer, its proof unverified (OFFER_FORM, AGENCY_ID)."""
    parts = text.strip().split(":")
    if len(parts) != 5:
        raise MalformedError("OFFER_FORM", "expected the line that 'bridgehead lookup key new' printed")
    agency, officer, suite, key, proof = parts
    return KeyOffer(agency=parse_agency_id(agency), officer=officer, key=f"{suite}:{key}", proof=proof)


def verify_offer(offer: KeyOffer) -> PublicKey:
    """Returns the key of an offer that its own private key signed (OFFER_PROOF, BASE64, as `admit_public_key`)."""
    key = admit_public_key(parse_public_key(offer.key))
    try:
        verify_signature(
            key, _offer_bytes(offer.agency, offer.officer, offer.key), parse_base64(offer.proof, "the proof")
        )
    except UntrustedError as error:
        message = f"expected an offer of {offer.officer!r:.70} to {offer.agency}, signed with the key that it offers"
        raise UntrustedError("OFFER_PROOF", message) from error
    return key


def _offer_bytes(agency: AgencyId, officer: str, key: str) -> bytes:
    return encode_canonical({"type": _OFFER, "agency": str(agency), "officer": officer, "key": key})


class OfficerKey(Item, frozen=True, kw_only=True):
    """The key of an officer in one version; of a withdrawn one, the key that counts no more."""

    WHAT: ClassVar[str] = "officer's key"

    agency: AgencyId
    officer: Annotated[str, matching("[A-Za-z0-9_-]{1,64}", form="a pseudonym such as 'ys-0417'", reason="OFFICER")]
    version: Count
    standing: KeyStanding
    key: str


def key_subject(key: OfficerKey) -> str:
    """The digest (hex) of a key in its version: the subject of the leaf that says it."""
    return sha256(encode(key)).hexdigest()


def verify_key_follows(known: OfficerKey | None, received: OfficerKey) -> OfficerKey:
    """Returns a key that may be pinned: of a later version, or the same again; refuses OFFICER_KEY_STEP."""
    if known is not None and received.version <= known.version and received != known:
        raise RuleError("OFFICER_KEY_STEP", f"expected version {known.version + 1} of the key, or the one that is here")
    return received


def key_change_flag(changed: OfficerKey, *, now: datetime, by: str = "") -> RaisedFlag:
    """The notice of a key that was registered, took the place of another or was withdrawn; `by` which administrator."""
    what = "注销 withdrawn" if changed.standing is KeyStanding.WITHDRAWN else "更换 replaced"
    if changed.version == 1:
        what = "登记 registered"
    word_zh, word_en = what.split()
    zh = f"{changed.officer} 的本人密钥已{f'由 {by} ' if by else ''}{word_zh}，如非本人申请请立即核查"
    en = f"the own key of {changed.officer} was {word_en}{f' by {by}' if by else ''}; ask them about it"
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
