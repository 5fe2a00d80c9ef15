"""What the desk answers instead of a field: a refusal with its reason; and the second request, which asks once more.

Rules kept: a refusal has a reason and one sentence, and no field of a person, not even whether there is a record.
Trusts nothing it decodes. Sources: 公安机关办理刑事案件程序规定 article 347; Nlets second requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from federation.protocol.errors import MalformedError
from federation.protocol.fields import checked
from federation.protocol.form import Item, decode, encode
from federation.protocol.ids import MessageId

REFUSAL_BODY: Final = "application/vnd.bridgehead.lookup-refusal.v1+json"
"""The media type of a body that holds one `Refusal`."""
SECOND_BODY: Final = "application/vnd.bridgehead.lookup-second.v1+json"
"""The media type of a body that holds one second request."""

_MAX_WORDS: Final = 200


class RefusalReason(StrEnum):
    """Why a person at the desk does not answer."""

    NOT_COMPETENT = "not_competent"
    CASE_UNCLEAR = "case_unclear"
    TOO_BROAD = "too_broad"
    OTHER = "other"


REASON_WORDS: Final[Mapping[RefusalReason, tuple[str, str]]] = MappingProxyType(
    {
        RefusalReason.NOT_COMPETENT: ("本省不具管辖", "this province is not competent"),
        RefusalReason.CASE_UNCLEAR: ("案情或用途不清", "the case or the purpose is unclear"),
        RefusalReason.TOO_BROAD: ("索取超出所需", "more is asked for than the case needs"),
        RefusalReason.OTHER: ("其他原因", "another reason"),
    }
)
"""Each reason in Chinese and in English."""


def _is_words(text: str) -> bool:
    return parse_words(text) == text


class Refusal(Item, frozen=True, kw_only=True):
    """What the desk answers instead of a field: a reason, and one sentence of the person who refused."""

    WHAT: ClassVar[str] = "look-up refusal"
    REASON: ClassVar[str] = "REFUSAL_REASON"

    lookup_id: MessageId
    reason: RefusalReason
    words: Annotated[str, checked(_is_words, form="one sentence of 1 to 200 characters", reason="REFUSAL_WORDS")]


class SecondRequest(Item, frozen=True, kw_only=True):
    """Asks once more; which request it repeats is what its statement cites."""

    WHAT: ClassVar[str] = "second request"

    lookup_id: MessageId


def parse_reason(text: str) -> RefusalReason:
    """Parses the reason of a refusal.

    Raises:
        MalformedError: REFUSAL_REASON.
    """
    found = next((reason for reason in RefusalReason if reason.value == text), None)
    if found is None:
        raise MalformedError("REFUSAL_REASON", f"expected one of {', '.join(RefusalReason)}, got {text!r:.60}")
    return found


def parse_words(text: str) -> str:
    """Parses the sentence of a refusal: 1 to 200 printable characters.

    Raises:
        MalformedError: REFUSAL_WORDS.
    """
    words = text.strip()
    if not 0 < len(words) <= _MAX_WORDS or not words.isprintable():
        raise MalformedError("REFUSAL_WORDS", f"expected one sentence of 1 to {_MAX_WORDS} printable characters")
    return words


def refusal_titles(refusal: Refusal) -> tuple[str, str]:
    """A refusal in one Chinese and one English sentence, each with the desk's own words."""
    zh, en = REASON_WORDS[refusal.reason]
    return f"对方受理岗拒绝:{zh}。{refusal.words}", f"refused at the other side's desk: {en}. {refusal.words}"


def encode_refusal(refusal: Refusal) -> bytes:
    """Encodes a refusal into its one canonical form."""
    return encode(refusal)


def decode_refusal(encoded: bytes) -> Refusal:
    """Decodes a refusal from another province.

    Raises:
        MalformedError: JSON_*, MESSAGE_ID, REFUSAL_REASON and REFUSAL_WORDS for its form.
    """
    return decode(Refusal, encoded)


def encode_second(lookup_id: MessageId) -> bytes:
    """Encodes a second request into its one canonical form; which request it repeats is what its statement cites."""
    return encode(SecondRequest(lookup_id=lookup_id))


def decode_second(encoded: bytes) -> MessageId:
    """Decodes a second request; returns the look-up that it is about.

    Raises:
        MalformedError: JSON_* and MESSAGE_ID for its form.
    """
    return decode(SecondRequest, encoded).lookup_id
