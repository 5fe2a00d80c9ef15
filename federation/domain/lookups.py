"""Look-ups over the border: one exact question, hit or no hit, then named fields of the record.

No names, no wildcards, no lists; an answer holds no field of a person; a handle is random, opens nothing for another
agency, officer or case, and dies after 24 hours or with its case; a fetch is signed by the officer's own key. The
realm guard holds for every number. No error and no `repr` shows a person or a handle. Trusts nothing: the bytes come
from another province. Sources: misuse controls M1, M3 and M9; the two-step form of the Prüm decisions.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from federation.domain.citizen_number import (
    is_citizen_number,
    is_possible_number,
    verify_birth_realm,
    verify_citizen_number,
)
from federation.domain.division import PROVINCE_CODES
from federation.domain.lookups_case import CaseId, LookupCase
from federation.domain.permits import PERMIT_FIELDS, PermitItem, parse_permit_urn
from federation.domain.plates import looks_like_plate, parse_plate
from federation.domain.registers import DOSSIER_FIELDS, DossierKind, verify_keeper
from federation.domain.uscc import USCC_CLASSES, is_possible_uscc, verify_uscc
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Item, Time, decode, encode_canonical, texts_of
from federation.protocol.ids import AgencyId, MessageId, Realm, matching, parse_base64, truncate_to_millisecond, typed
from federation.protocol.keys import PublicKey, Suite, verify_signature

HANDLE_TIME: Final = timedelta(hours=24)
HANDLE_RANDOM_BYTES: Final = 24
_HANDLE_FORM: Final = "[A-Za-z0-9_-]{32}"
_HANDLE: Final = re.compile(_HANDLE_FORM, re.ASCII)

HandleText = Annotated[
    str, matching(_HANDLE_FORM, form="a handle of 32 letters, digits, - and _", reason="HANDLE_FORM")
]


class Handle(Item, frozen=True, kw_only=True):
    """A hit as the answering side stores it under its handle; `dossier` names the record; refused from `expires` on."""

    WHAT: ClassVar[str] = "lookup-handle"

    handle: str = ""
    lookup_id: MessageId
    case_id: str
    asker: AgencyId
    officer: str
    dossier: str
    expires: Time

    def __repr__(self) -> str:
        return f"Handle({self.lookup_id}, {self.case_id}, {self.asker})"


def format_handle(random: bytes) -> str:
    """Formats a handle from 24 random bytes (base64url, 32 characters); refuses another number (HANDLE_FORM).

    It never begins with `-`, so that nobody's command line takes it for an option.
    """
    if len(random) != HANDLE_RANDOM_BYTES:
        raise MalformedError("HANDLE_FORM", f"expected {HANDLE_RANDOM_BYTES} random bytes, got {len(random)}")
    text = base64.urlsafe_b64encode(random).decode()
    return f"A{text[1:]}" if text.startswith("-") else text


def parse_handle(text: str) -> str:
    if not _HANDLE.fullmatch(text):
        raise MalformedError("HANDLE_FORM", "expected a handle of 32 letters, digits, - and _")
    return text


def handle_expires(case: LookupCase, now: datetime) -> datetime:
    """Returns the end of a handle given out now: after 24 hours, or with its case if that is sooner."""
    return min(case.closes, truncate_to_millisecond(now) + HANDLE_TIME)


def no_handle() -> RuleError:
    """The no to a handle that was never given out, whose record is gone, or that another agency got."""
    return RuleError("HANDLE_UNKNOWN", "this province gave out no such handle; search again")


def verify_handle(handle: Handle, *, case_id: str, asker: AgencyId, officer: str, now: datetime) -> Handle:
    """Returns a handle that this officer may use now in this case; refuses HANDLE_UNKNOWN, _ASKER, _CASE, _EXPIRED."""
    if handle.asker != asker:
        raise no_handle()
    if handle.officer != officer:
        raise RuleError("HANDLE_ASKER", "this handle was given to another officer; search under your own name")
    if handle.case_id != case_id:
        raise RuleError("HANDLE_CASE", f"this handle belongs to another case than {case_id}; search under this case")
    if now >= handle.expires:
        raise RuleError("HANDLE_EXPIRED", "this handle has ended; search again")
    return handle


# ---- questions and answers

SEARCH_BODY: Final = "application/vnd.bridgehead.lookup-search.v1+json"
ANSWER_BODY: Final = "application/vnd.bridgehead.lookup-answer.v1+json"
FETCH_BODY: Final = "application/vnd.bridgehead.lookup-fetch.v1+json"
RELEASE_BODY: Final = "application/vnd.bridgehead.lookup-release.v1+json"
_STEP_UP: Final = "bridgehead/v1/lookup.fetch"
_WILDCARD: Final = re.compile(r"[*?%_\[\]＊？％＿]")
_CODE: Final = re.compile(r"[0-9A-Z]{18}", re.ASCII)
_PERMIT_PREFIX: Final = "urn:permit:"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MAX_TEXT: Final = 200
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64


class SelectorKind(StrEnum):
    """`DOSSIER_OF` gives the kind of record that each finds."""

    CITIZEN_NUMBER = "citizen_number"
    PERMIT = "permit"
    PLATE = "plate"
    USCC = "uscc"


DOSSIER_OF: Final[Mapping[SelectorKind, DossierKind]] = MappingProxyType(
    {
        SelectorKind.CITIZEN_NUMBER: DossierKind.PERMIT,
        SelectorKind.PERMIT: DossierKind.PERMIT,
        SelectorKind.PLATE: DossierKind.VEHICLE,
        SelectorKind.USCC: DossierKind.ENTERPRISE,
    }
)
"""What a look-up finds: a person's permits, one vehicle, one enterprise; never a person's vehicles."""


COUNTABLE: Final = frozenset({SelectorKind.PERMIT, SelectorKind.PLATE})
"""The kinds of which one number leads to the next: a printed card's may be a serial one, a plate's always is."""


class Outcome(StrEnum):
    """One province's answer to a question; the last two, to the news that a case was opened or closed."""

    HIT = "hit"
    NO_HIT = "no_hit"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    EXPIRED = "expired"
    CASE_OPENED = "case_opened"
    CASE_CLOSED = "case_closed"
    WAITING = "waiting"


class Urgency(StrEnum):
    """The other side's time to answer: each has its row in the clock table."""

    URGENT = "urgent"
    ROUTINE = "routine"


LOOKUP_CLOCKS: Final = MappingProxyType({Urgency.URGENT: "lookup.urgent", Urgency.ROUTINE: "lookup.routine"})
"""The rows of the clock table, counted from the asking."""


def urgency_of(asked: datetime, expires: datetime, *, urgent: timedelta) -> Urgency:
    """Returns how urgent a question is by the time that its asker gave it, which is what its statement says of it.

    `urgent`: the time of an urgent question by the agreement in force.
    """
    return Urgency.URGENT if expires - asked <= urgent else Urgency.ROUTINE


def reply_lifetime(expires: datetime, now: datetime, tolerance: timedelta) -> timedelta:
    """Returns how long a reply may travel: as long as its request is waited for, and the clocks' tolerance."""
    return max(expires - now, timedelta(0)) + tolerance


def reminder_due(created: datetime, due: datetime) -> datetime:
    """Returns when the asking side asks a second time by itself: at half of the clock."""
    return created + (due - created) / 2


class Selector(Item, frozen=True, kw_only=True):
    """One person or thing, exactly: a citizen number, the name of a permit, a plate, a USCC."""

    REASON: ClassVar[str] = "LOOKUP_FORM"

    kind: Annotated[SelectorKind, typed(f"one of {', '.join(SelectorKind)}", type_reason="LOOKUP_FORM")]
    value: str

    def __repr__(self) -> str:
        return f"Selector({self.kind})"


def parse_selector(text: str, realm: Realm) -> Selector:
    """Parses one exact citizen number, permit, plate or USCC of this realm; refuses as `kind_of` and each kind do."""
    return _selector(kind_of(text, realm), text, realm)


def kind_of(text: str, realm: Realm | None = None, *, today: date | None = None) -> SelectorKind:
    """Returns the kind by what can exist in the realm, or in either, up to `today`.

    Refuses LOOKUP_WILDCARD, LOOKUP_FORM, and digits that may be a person's and an organisation's (LOOKUP_AMBIGUOUS):
    who asks must say which.
    """
    if _WILDCARD.search(text):
        raise MalformedError("LOOKUP_WILDCARD", "expected one exact number, permit or plate, got a wildcard")
    if text.startswith(_PERMIT_PREFIX):
        return SelectorKind.PERMIT
    if _CODE.fullmatch(text):
        if not is_citizen_number(text, realm):
            return SelectorKind.USCC
        if _may_be_uscc(text) and is_possible_uscc(text, realm):
            if is_possible_number(text, realm, today=today):
                zh, en = "既可能是公民身份号码，也可能是统一社会信用代码", "it may be a citizen number and a USCC, too"
                raise MalformedError("LOOKUP_AMBIGUOUS", f"{zh} | {en}", field="kind")
            return SelectorKind.USCC
        return SelectorKind.CITIZEN_NUMBER
    if looks_like_plate(text):
        return SelectorKind.PLATE
    expected = "expected one citizen number, permit, plate or USCC; names and lists are not looked up"
    raise MalformedError("LOOKUP_FORM", expected)


def verify_selector(selector: Selector, realm: Realm) -> Selector:
    """Returns a selector whose value is of its kind (LOOKUP_FORM), in written form and of this realm."""
    kind, value = selector.kind, selector.value
    is_said = _CODE.fullmatch(value) and (kind is SelectorKind.USCC or is_citizen_number(value, realm))
    if not (is_said and kind in _BY_DIGITS) and kind_of(value, realm) is not kind:
        raise MalformedError("LOOKUP_FORM", f"expected a value of kind {kind}, got one of another kind")
    return _selector(kind, value, realm)


_BY_DIGITS: Final = frozenset({SelectorKind.CITIZEN_NUMBER, SelectorKind.USCC})


def _may_be_uscc(digits: str) -> bool:
    return digits[:2] in USCC_CLASSES and digits[2:4] in PROVINCE_CODES


class SearchItem(Item, frozen=True, kw_only=True):
    """The question: does the other side hold a record of this person or thing?"""

    WHAT: ClassVar[str] = "look-up search"

    lookup_id: MessageId
    selector: Selector
    case_id: CaseId


def decode_search_item(encoded: bytes, realm: Realm) -> SearchItem:
    """Decodes a question; refuses JSON_*, MESSAGE_ID, CASE_ID, and as `verify_selector`."""
    item = decode(SearchItem, encoded)
    verify_selector(item.selector, realm)
    return item


class AnswerItem(Item, frozen=True, kw_only=True):
    """Hit or no hit; a hit has a handle and the time when it ends, a miss has neither. No field of a person."""

    WHAT: ClassVar[str] = "look-up answer"

    lookup_id: MessageId
    hit: bool
    handle: HandleText | None = None
    expires: Time | None = None

    def __repr__(self) -> str:
        return f"AnswerItem({self.lookup_id}, hit={self.hit})"


def decode_answer_item(encoded: bytes) -> AnswerItem:
    """Decodes an answer; refuses JSON_*, MESSAGE_ID, HANDLE_FORM, TIME, a hit without a handle, a miss with one."""
    item = decode(AnswerItem, encoded)
    for name, found in (("handle", item.handle), ("expires", item.expires)):
        if item.hit and found is None:
            raise MalformedError("JSON_MISSING_NAME", f"{item.WHAT}: expected the name {name!r} of a hit", field=name)
        if not item.hit and found is not None:
            raise MalformedError("JSON_UNKNOWN_NAME", f"{item.WHAT}: did not expect the name {name!r} of a miss")
    return item


class FetchItem(Item, frozen=True, kw_only=True):
    """The second question: named fields of one hit. Key (32 bytes) and signature (64 bytes) are base64, Ed25519."""

    WHAT: ClassVar[str] = "look-up fetch"

    lookup_id: MessageId
    handle: HandleText
    fields: frozenset[str]
    officer_key: str
    officer_signature: str

    def __repr__(self) -> str:
        return f"FetchItem({self.lookup_id}, fields={sorted(self.fields)})"


def step_up_bytes(fetch: FetchItem) -> bytes:
    """Returns the bytes that the officer's own key signs; no look-up id, since a handle is of one look-up alone."""
    return encode_canonical(
        {"type": _STEP_UP, "handle": fetch.handle, "fields": sorted(fetch.fields), "officer_key": fetch.officer_key}
    )


def verify_step_up(fetch: FetchItem) -> PublicKey:
    """Returns the key that signed this fetch, whosoever it is; refuses BASE64, STEP_UP_FORM, SIGNATURE, weak keys."""
    key = PublicKey(Suite.ED25519, _parse_bytes(fetch.officer_key, _KEY_BYTES, "the officer's key"))
    signature = _parse_bytes(fetch.officer_signature, _SIGNATURE_BYTES, "the officer's signature")
    verify_signature(key, step_up_bytes(fetch), signature)
    return key


def decode_fetch_item(encoded: bytes) -> FetchItem:
    """Decodes a fetch, its signature not verified yet; refuses its form, BASE64, STEP_UP_FORM, LOOKUP_FIELD."""
    item = decode(FetchItem, encoded)
    verify_fields(item.fields)
    _parse_bytes(item.officer_key, _KEY_BYTES, "the officer's key")
    _parse_bytes(item.officer_signature, _SIGNATURE_BYTES, "the officer's signature")
    return item


def verify_fields(fields: frozenset[str]) -> frozenset[str]:
    """Returns one or more fields that one kind of record has; refuses others (LOOKUP_FIELD)."""
    if not fields:
        raise MalformedError("LOOKUP_FIELD", "expected at least one named field")
    unknown = fields.difference(*DOSSIER_FIELDS.values())
    if unknown:
        known = "; ".join(f"{kind} {', '.join(sorted(names))}" for kind, names in DOSSIER_FIELDS.items())
        sentence = f"no such field of a permit, vehicle or enterprise: {min(unknown)!r:.60}; there are {known}"
        raise MalformedError("LOOKUP_FIELD", sentence)
    if not any(fields <= known for known in DOSSIER_FIELDS.values()):
        raise MalformedError("LOOKUP_FIELD", "expected fields of one kind of record: permit, vehicle or enterprise")
    return fields


class ReleaseItem(Item, frozen=True, kw_only=True):
    """The released fields as text, and the end of the time in which the asker may read them."""

    WHAT: ClassVar[str] = "look-up release"

    lookup_id: MessageId
    handle: HandleText
    fields: Mapping[str, str]
    expires: Time

    def __repr__(self) -> str:
        return f"ReleaseItem({self.lookup_id}, fields={sorted(self.fields)})"


def release_fields(item: PermitItem, fields: frozenset[str]) -> Mapping[str, str]:
    """The named fields of a permit as text; what the permit does not have is left out, what was not named, too."""
    return texts_of(item, [name for name in PERMIT_FIELDS if name in fields])


def decode_release_item(encoded: bytes, realm: Realm) -> ReleaseItem:
    """Decodes a release; refuses its form, LOOKUP_FIELD, LOOKUP_VALUE, and numbers of another realm."""
    item = decode(ReleaseItem, encoded)
    verify_fields(frozenset(item.fields))
    _verify_values(item.fields, realm)
    return item


def _verify_values(fields: Mapping[str, str], realm: Realm) -> None:
    for name, text in fields.items():
        if not 0 < len(text) <= _MAX_TEXT or _CONTROL.search(text):
            raise MalformedError("LOOKUP_VALUE", f"expected {name!r} to be 1 to {_MAX_TEXT} characters", field=name)
        if name in _NUMBERS:
            _NUMBERS[name](text, realm)
    if "birth_date" in fields:
        verify_birth_realm(_parse_date(fields["birth_date"]), realm)


_NUMBERS: Final[Mapping[str, Callable[[str, Realm], str]]] = MappingProxyType(
    {
        "citizen_number": verify_citizen_number,
        "representative_number": verify_citizen_number,
        "keeper": verify_keeper,
        "plate": parse_plate,
        "uscc": verify_uscc,
    }
)
"""The fields whose values no other realm may hold, and who says so."""


def _selector(kind: SelectorKind, text: str, realm: Realm) -> Selector:
    return Selector(kind=kind, value=_VALUES[kind](text, realm))


_VALUES: Final[Mapping[SelectorKind, Callable[[str, Realm], str]]] = MappingProxyType(
    {
        SelectorKind.CITIZEN_NUMBER: verify_citizen_number,
        SelectorKind.PERMIT: lambda text, _: parse_permit_urn(text),
        SelectorKind.PLATE: parse_plate,
        SelectorKind.USCC: verify_uscc,
    }
)


def _parse_date(text: str) -> date:
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if day.isoformat() == text:
            return day
    raise MalformedError("LOOKUP_VALUE", "expected a date such as 2026-01-01", field="birth_date")


def _parse_bytes(text: str, size: int, what: str) -> bytes:
    try:
        found = parse_base64(text, what)
    except MalformedError as error:
        raise MalformedError(error.reason, f"expected {what} in canonical base64") from error
    if len(found) != size:
        raise MalformedError("STEP_UP_FORM", f"expected {what} to have {size} bytes, got {len(found)}")
    return found
