"""The watermark of a reading: which office, which officer, when, and a short code by which a photo of it is traced.

Rules kept: the code is an HMAC of the node's own key over the reading, so that nobody makes one up; it is 60 bits in
the letters and digits that are not mistaken for each other, in three groups; the mark holds nothing of the person read
about. Trusts the caller for the HMAC. Source: misuse control M9 (domain reference section 9), RFC 2104; the alphabet is
Crockford's base 32.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, format_time

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}", re.ASCII)
_MISREAD: Final = str.maketrans("OIL", "011")
_CHARACTERS: Final = 12
_BITS: Final = 5
_MAC_BYTES: Final = 8
_GROUP: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """What stands over released fields wherever they are shown: office, officer's pseudonym, time and code."""

    agency: AgencyId
    officer: str
    time: datetime
    code: str


def reading_text(*, agency: AgencyId, officer: str, time: datetime, request_digest: str) -> str:
    """The words of one reading that the code is made over: who read what came of which request, to the millisecond."""
    return "\n".join((str(agency), officer, format_time(time), request_digest))


def format_code(mac: bytes) -> str:
    """Formats the first 60 bits of an HMAC as a code such as `7Q2M-X9TR-04KD`.

    Raises:
        MalformedError: WATERMARK_CODE for fewer than 8 bytes.
    """
    if len(mac) < _MAC_BYTES:
        raise MalformedError("WATERMARK_CODE", f"expected at least {_MAC_BYTES} bytes, got {len(mac)}")
    number = int.from_bytes(mac[:_MAC_BYTES]) >> (8 * _MAC_BYTES - _BITS * _CHARACTERS)
    text = "".join(_ALPHABET[number >> (_BITS * at) & 31] for at in reversed(range(_CHARACTERS)))
    return "-".join(text[at : at + _GROUP] for at in range(0, _CHARACTERS, _GROUP))


def parse_code(text: str) -> str:
    """Parses a code as a person reads it off a photo: small letters, spaces and O, I, L for 0, 1, 1 are understood.

    Raises:
        MalformedError: WATERMARK_CODE.
    """
    letters = re.sub(r"[\s-]", "", text).upper().translate(_MISREAD)
    code = "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
    if not _CODE.fullmatch(code):
        raise MalformedError("WATERMARK_CODE", f"expected a code such as 7Q2M-X9TR-04KD, got {text!r:.40}")
    return code
