"""The duty book of a desk: who is signed on, who answers for its alerts, and how a shift is handed over (交接班).

Rules kept: who signs on to a desk that nobody answers for answers for it, until another officer takes over by one entry
that both signed; who leaves without one still answers, and the desk shows 未交接. Only a desk that is closed by its
hours and has nothing open is left without an entry. Nobody is on for longer than a day without signing on again.
Volunteers never sign on. Each row names the row before by its digest and is a leaf of the exchange log, so that an
auditor sees that none is missing; no lease of an alert looks at this book. Hours and pseudonyms are a proposal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from msgspec import Struct

from federation.domain.duty import Desk, Duty, MobileUnit
from federation.domain.lookups_case import DossierFacts, dossier_entity
from federation.domain.permits_policy import AgencyFacts, FunctionCode, Occasion, ask
from federation.domain.personal import PATTERNS, find_personal
from federation.protocol.errors import BridgeheadError, NotFoundError, RuleError, UntrustedError
from federation.protocol.form import (
    Count,
    Digest,
    Item,
    Positive,
    Text,
    Time,
    always,
    encode,
    encode_canonical,
    replace,
)
from federation.protocol.ids import AgencyId, NodeName, OfficerId, RecordId, checked, parse_base64
from federation.protocol.keys import parse_public_key, verify_signature
from federation.protocol.policy.engine import PolicyRequest, PolicyValue

DUTY_FUNCTIONS: Final[Mapping[str, FunctionCode]] = MappingProxyType(
    {
        kind: FunctionCode(code)
        for kind, code in {
            "police": "F08", "governance": "F12", "town": "F12", "emergency": "F18", "ecology": "F18", "water": "F18",
            "forestry": "F19", "park": "F19", "fishery": "F21",
        }.items()
    }
)  # fmt: skip
"""The function under which an office of a kind keeps its desks; policy takes any function of alerts that it holds."""
MAX_SHIFT: Final = timedelta(hours=24)
OFFERED: Final = timedelta(minutes=30)
"""The time in which a hand-over wants its second signature, so that its list of alerts is not an old one."""
MAX_ON: Final = 50
MAX_ALERTS: Final = 200
MAX_PROMISES: Final = 20
NONE_WAITS: Final = "没有待接班的交接单，或已过时。 | No hand-over waits for you, or its time is over."
_HAND_OVER: Final = "application/vnd.bridgehead.hand-over.v1+json"
_VOLUNTEER: Final = re.compile("[a-z]-[a-z0-9]{6}", re.ASCII)


class DutyAct(StrEnum):
    """The act of a row of the book: signed on, signed off, offered with one signature, taken over with both."""

    SIGN_ON = "sign_on"
    SIGN_OFF = "sign_off"
    OFFER = "offer"
    TAKE_OVER = "take_over"


class OnDuty(Item, frozen=True, kw_only=True):
    """An officer who is signed on; of a mobile unit, its id and the roles that are aboard."""

    officer: OfficerId
    since: Time
    unit: str = ""
    crew: tuple[str, ...] = ()


class OpenAlert(Item, frozen=True, kw_only=True):
    """An alert that is open at a desk: no text of it and no place. `overdue` are its stages that are late."""

    record: RecordId
    cap_id: str
    kind: str
    state: str
    holder: str = ""
    lease: Time | None = None
    overdue: tuple[str, ...] = ()


_Promises = Annotated[
    tuple[Text, ...], checked(lambda found: len(found) <= MAX_PROMISES, form=f"at most {MAX_PROMISES} sentences")
]
_Alerts = Annotated[
    tuple[OpenAlert, ...], checked(lambda found: len(found) <= MAX_ALERTS, form=f"at most {MAX_ALERTS} alerts")
]


class HandOver(Item, frozen=True, kw_only=True):
    """The entry that both officers sign: what is open at `time`, what was promised, which row of the book it follows.

    Of more than 200 alerts the first are named and the others counted in `more`.
    """

    WHAT: ClassVar[str] = "hand-over"

    desk: str
    agency: AgencyId
    outgoing: OfficerId
    incoming: OfficerId
    time: Time
    before: Digest
    alerts: _Alerts = ()
    more: Count = 0
    promises: _Promises = ()


class OwnSignature(Item, frozen=True, kw_only=True):
    """An officer's signature over a hand-over (base64), by the own key that was registered then, in that version."""

    officer: OfficerId
    key: str
    version: Positive
    signature: str


class DutyLine(Item, frozen=True, kw_only=True):
    """A row of the book: one act, and how the desk stands after it.

    `charge` answers for the desk, "" where nobody does. `hand_over` is the entry that waits for its second signature,
    or, in a row of a take-over, that has both.
    """

    WHAT: ClassVar[str] = "duty line"

    desk: str
    agency: AgencyId
    number: Positive
    time: Time
    act: DutyAct
    officer: OfficerId
    before: str = always("")
    on: tuple[OnDuty, ...] = ()
    charge: str = always("")
    hand_over: HandOver | None = None
    signed: tuple[OwnSignature, ...] = ()

    @property
    def offered(self) -> HandOver | None:
        """The entry that waits for its second signature."""
        return None if self.act is DutyAct.TAKE_OVER else self.hand_over


def digest_of(kept: Item) -> str:
    """The digest of a row of the book, or of volunteers: its leaf's subject, and what the next row cites."""
    return hashlib.sha256(encode(kept)).hexdigest()


def present(line: DutyLine | None, at: datetime) -> tuple[OnDuty, ...]:
    """Those who are on at a moment; a sign-on of more than a day before counts no more."""
    return () if line is None else tuple(each for each in line.on if at - each.since < MAX_SHIFT)


def is_unhanded(line: DutyLine | None, at: datetime) -> bool:
    """True where who answers for the desk has left it, or offered it to somebody who has not taken over (未交接)."""
    if line is None or not line.charge:
        return False
    return line.offered is not None or line.charge not in {each.officer for each in present(line, at)}


def is_volunteer(duty: Duty, name: str) -> bool:
    """True for a pseudonym of the form of some volunteers: it neither signs on nor claims nor stamps."""
    prefixes = {each.prefix for each in duty.volunteers.values()}
    return _VOLUNTEER.fullmatch(name) is not None and name[:2] in prefixes


# ---- what an officer does


class Turn(Struct, frozen=True, kw_only=True):
    """One act at a desk: the row before (None in an empty book), who acts, when."""

    desk: Desk
    before: DutyLine | None
    officer: str
    at: datetime

    @property
    def time(self) -> datetime:
        """The moment of the row: later than the row before, also where a clock went back."""
        last = self.before.time if self.before is not None else None
        return self.at if last is None or self.at > last else last + timedelta(milliseconds=1)

    @property
    def on(self) -> tuple[OnDuty, ...]:
        return present(self.before, self.time)

    @property
    def charge(self) -> str:
        return self.before.charge if self.before is not None else ""

    @property
    def offered(self) -> HandOver | None:
        """The entry that may still be signed."""
        found = self.before.offered if self.before is not None else None
        return found if found is not None and self.time - found.time < OFFERED else None

    def is_on(self, officer: str) -> bool:
        return any(each.officer == officer for each in self.on)

    def line(self, act: DutyAct, *, on: Sequence[OnDuty], charge: str) -> DutyLine:
        """The next row; an entry that is offered stays so, as long as it may be signed."""
        kept = self.offered
        return DutyLine(
            desk=self.desk.id, agency=self.desk.agency, act=act, officer=self.officer, time=self.time,
            number=self.before.number + 1 if self.before is not None else 1,
            before=digest_of(self.before) if self.before is not None else "", on=tuple(on), charge=charge,
            hand_over=kept, signed=self.before.signed if self.before is not None and kept is not None else (),
        )  # fmt: skip


def sign_on(duty: Duty, turn: Turn, *, unit: str = "", crew: Sequence[str] = ()) -> DutyLine:
    """The row of who signs on; with a mobile unit, from its base desk, and with those of its roles that are aboard.

    Refuses DUTY_VOLUNTEER, DUTY_ON_ALREADY, DUTY_FULL, DUTY_UNIT, DUTY_CREW.
    """
    if is_volunteer(duty, turn.officer):
        raise RuleError("DUTY_VOLUNTEER", "志愿者不值守席位。 | A volunteer is not on duty at a desk.")
    if turn.is_on(turn.officer):
        raise RuleError("DUTY_ON_ALREADY", f"{turn.officer} 已在班。 | The officer is signed on here already.")
    if len(turn.on) >= MAX_ON:
        raise RuleError("DUTY_FULL", f"席位在班人员已达 {MAX_ON} 人。 | The desk has as many officers on as it may.")
    aboard = tuple(crew) or (_unit(duty, turn.desk, unit).crew if unit else ())
    if unit and (strange := sorted(set(aboard) - set(_unit(duty, turn.desk, unit).crew))):
        raise RuleError("DUTY_CREW", f"车组没有这一角色：{strange[0]:.40}。 | The unit has no such role.")
    if crew and not unit:
        raise RuleError("DUTY_CREW", "车组人员须注明车辆。 | Roles are named with their unit.")
    seat = OnDuty(officer=turn.officer, since=turn.time, unit=unit, crew=aboard)
    charge = turn.charge or ("" if unit else turn.officer)
    return turn.line(DutyAct.SIGN_ON, on=(*turn.on, seat), charge=charge)


def _unit(duty: Duty, desk: Desk, name: str) -> MobileUnit:
    found = duty.mobile_units.get(name)
    if found is None or found.base != desk.id:
        raise NotFoundError("DUTY_UNIT", "该席位没有这辆民情直通车。 | No such mobile unit has its base at this desk.")
    return found


def sign_off(turn: Turn, *, nothing_open: bool) -> DutyLine:
    """The row of who signs off. Who answers for the desk goes on answering, unless it is closed with nothing open.

    Refuses DUTY_NOT_ON.
    """
    if not turn.is_on(turn.officer):
        raise RuleError("DUTY_NOT_ON", f"{turn.officer} 不在班。 | The officer is not signed on here.")
    left = [each for each in turn.on if each.officer != turn.officer]
    is_closed = nothing_open and not turn.desk.is_open(turn.time)
    charge = "" if is_closed and turn.charge == turn.officer else turn.charge
    return turn.line(DutyAct.SIGN_OFF, on=left, charge=charge)


# ---- one entry, two signatures


def draft_hand_over(
    turn: Turn, *, incoming: str, alerts: Sequence[OpenAlert], promises: Sequence[str] = ()
) -> HandOver:
    """The entry that both are to sign, from who answers for the desk to another officer.

    Refuses HAND_OVER_CHARGE where nobody answers for it, HAND_OVER_SELF, HAND_OVER_NAMES_PERSON.
    """
    if turn.before is None or not turn.charge:
        raise RuleError("HAND_OVER_CHARGE", "席位无人当班，无可交接。 | Nobody answers for the desk: sign on to it.")
    if incoming == turn.charge:
        raise RuleError("HAND_OVER_SELF", "交班人与接班人须为两人。 | Expected another officer to take over.")
    if found := sorted({name for text in promises for name in find_personal(text)}):
        message = f"交接事项疑含{PATTERNS[found[0]][0]}，请删除。 | A promise may hold {PATTERNS[found[0]][1]}."
        raise RuleError("HAND_OVER_NAMES_PERSON", message)
    return HandOver(
        desk=turn.desk.id, agency=turn.desk.agency, outgoing=turn.charge, incoming=incoming, time=turn.time,
        before=digest_of(turn.before), alerts=tuple(alerts[:MAX_ALERTS]), more=max(len(alerts) - MAX_ALERTS, 0),
        promises=tuple(promises),
    )  # fmt: skip


def verify_draft(turn: Turn, entry: HandOver, *, alerts: Sequence[OpenAlert]) -> HandOver:
    """Returns an entry that says what is open now, after the newest row; refuses another (HAND_OVER_CHANGED)."""
    now = draft_hand_over(turn, incoming=entry.incoming, alerts=alerts, promises=entry.promises)
    if entry != replace(now, time=entry.time) or not timedelta(0) <= turn.time - entry.time < OFFERED:
        raise RuleError("HAND_OVER_CHANGED", "席位情况已变，请重新生成。 | The desk changed meanwhile: draft it anew.")
    return entry


def offer(turn: Turn, entry: HandOver, own: OwnSignature) -> DutyLine:
    """The row of the first signature, by who answers for the desk and goes on answering (HAND_OVER_CHARGE)."""
    if turn.officer != turn.charge:
        raise RuleError(
            "HAND_OVER_CHARGE", f"须由当班人 {turn.charge} 交班。 | Only who answers for the desk offers it."
        )
    return replace(turn.line(DutyAct.OFFER, on=turn.on, charge=turn.charge), hand_over=entry, signed=(own,))


def take_over(turn: Turn, entry: HandOver, own: OwnSignature, *, alone: bool = False) -> DutyLine:
    """The row of the second signature: from now on the incoming officer answers, and the outgoing one is off.

    `alone`: the key of the outgoing officer counts no more, so that theirs cannot come. Refuses HAND_OVER_NONE, and
    DUTY_NOT_ON for who has not signed on.
    """
    if not alone and turn.offered != entry:
        raise RuleError("HAND_OVER_NONE", NONE_WAITS)
    if not turn.is_on(turn.officer):
        raise RuleError("DUTY_NOT_ON", f"{turn.officer} 不在班，请先签到。 | The officer is not signed on here.")
    first = turn.before.signed if turn.before is not None and not alone else ()
    left = [each for each in turn.on if each.officer != entry.outgoing]
    made = turn.line(DutyAct.TAKE_OVER, on=left, charge=turn.officer)
    return replace(made, hand_over=entry, signed=(*first, own))


def hand_over_bytes(entry: HandOver) -> bytes:
    """The exact bytes that each of the two signs."""
    return encode_canonical({"type": _HAND_OVER, "hand_over": hashlib.sha256(encode(entry)).hexdigest()})


def verify_hand_over(line: DutyLine) -> HandOver:
    """Returns the entry of a take-over that both officers signed, each with a key of their own.

    That the keys were registered is in the leaves of the log (`officer-key`). Refuses HAND_OVER_UNSIGNED.
    """
    entry = line.hand_over
    signers = [each.officer for each in line.signed]
    if entry is None or line.act is not DutyAct.TAKE_OVER or signers != [entry.outgoing, entry.incoming]:
        raise UntrustedError("HAND_OVER_UNSIGNED", "expected a take-over with the signatures of both officers")
    for each in line.signed:
        try:
            verify_signature(parse_public_key(each.key), hand_over_bytes(entry), parse_base64(each.signature, "it"))
        except BridgeheadError as error:
            message = f"expected {each.officer} to have signed this very entry"
            raise UntrustedError("HAND_OVER_UNSIGNED", message) from error
    if line.signed[0].key == line.signed[1].key:
        raise UntrustedError("HAND_OVER_UNSIGNED", "expected two keys of two persons")
    return entry


def duty_request(
    action: str, agency: AgencyFacts, desk: Desk | None, *, home: NodeName, occasion: Occasion, is_leader: bool = False
) -> PolicyRequest:
    """Asks whether an agency may do this: `act` at a desk, `read` its book, `show` the tables (no desk).

    `is_leader`: the post that leads the desk is of this agency.
    """
    dossier = DossierFacts(
        province=desk.agency.node if desk else home, kind="duty", issuing_division=desk.agency.county if desk else None
    )
    facts: dict[str, PolicyValue] = {}
    if desk is not None:
        facts = {"ownDesk": desk.agency == agency.id, "leads": is_leader}
    return ask(f"duty.{action}", agency, dossier_entity(dossier), occasion=occasion, **facts)
