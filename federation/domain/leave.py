"""Tokens of a leave or of recurring crossings (外出凭证): who is shown one is told yes or no, and nothing else.

Rules kept: a token is the county that issued it and 135 bits of chance, so that it names nobody and nobody guesses one;
its digest alone is asked and kept; it says yes for the counties, the weekdays and the days of its permit, until its
person was told that it ended, and from then on, as for one that never was, no. Sources: 社区矫正法 articles 27 and 63;
社区矫正法实施办法 articles 26 to 29.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from typing import ClassVar, Final

from federation.domain.joint_state import Case
from federation.domain.joint_trace import check_sign
from federation.domain.lookups_case import DossierFacts, dossier_entity
from federation.domain.permits_policy import AgencyFacts, Occasion, ask
from federation.domain.reports import Disclosure
from federation.protocol.errors import MalformedError
from federation.protocol.form import Digest, Item, Positive, Time
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.leaf import Verdict
from federation.protocol.policy.engine import PolicyRequest, PolicyValue

TODAY_PURPOSE: Final = "corrections.today"
TODAY_FUNCTION: Final = "F13"
TODAY_BASIS: Final = "社区矫正法第二十七条；社区矫正法实施办法第二十七条、第二十九条"
CHECKS_A_DAY: Final = 20
"""The most tokens that one office asks about on a day, here and at the answering node."""
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SECRET: Final = 27
"""The signs of a token behind its county, each of five bits."""
_DRAWN: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""What a person does not take for another sign (Crockford's base 32)."""
_CHECKED: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MEANT: Final = str.maketrans("OIL", "011")
_FORM: Final = re.compile(f"[0-9]{{6}}[{_DRAWN}]{{{SECRET}}}[{_DRAWN}U]", re.ASCII)
_DIGEST_OF: Final = b"bridgehead/leave-token/v1\0"
_CLOCKS: Final = ("corr.leave.due", "corr.leave.recurring")
_ENDS: Final = ("report_back", "found", "file_violation")


def make_token(county: str, drawn: bytes) -> str:
    """The token of a county's office, in groups as it is printed; `drawn` are `SECRET` random bytes."""
    signs = county + "".join(_DRAWN[byte % 32] for byte in drawn)
    signs += check_sign(signs, _CHECKED).translate(_MEANT)
    return "-".join((signs[:6], *(signs[at : at + 4] for at in range(6, len(signs), 4))))


def parse_token(text: str) -> str:
    """Returns a token as it was drawn, from capitals without gaps; O is read as 0, I and L as 1 (TOKEN_FORM)."""
    signs = text.translate(_MEANT)
    if not (_FORM.fullmatch(signs) and check_sign(signs[:-1], _CHECKED).translate(_MEANT) == signs[-1]):
        raise MalformedError("TOKEN_FORM", "expected a token as it was printed: 34 signs, the last fits the others")
    return signs


def token_digest(token: str) -> Digest:
    """All that is asked and kept of a parsed token."""
    return hashlib.sha256(_DIGEST_OF + token.encode()).hexdigest()


class TokenQuestion(Item, frozen=True, kw_only=True):
    """The question of an office that was shown a token: is its bearer authorised today?"""

    WHAT: ClassVar[str] = "token question"

    token: Digest


class TokenAnswer(Item, frozen=True, kw_only=True):
    """Yes or no on that day, the answering node's; for whatever reason, a no is the same."""

    WHAT: ClassVar[str] = "token answer"

    authorised: bool
    day: date


class LeaveToken(Item, frozen=True, kw_only=True):
    """A token that lives, as its `home` keeps it: where and when it says yes, and whose it is (a citizen number)."""

    WHAT: ClassVar[str] = "leave token"

    token: Digest
    step: Positive
    home: AgencyId
    counties: tuple[str, ...]
    weekdays: tuple[str, ...]
    first: date
    last: date
    person: str


class TokenCheck(Item, frozen=True, kw_only=True):
    """That a token was asked about, for its person's report; `person` is empty for a token that nobody has."""

    WHAT: ClassVar[str] = "token check"

    message_id: str
    time: Time
    asker: AgencyId
    authorised: bool
    person: str

    @property
    def disclosure(self) -> Disclosure:
        """The line of the person's report: the one field that was given is the word of the answer."""
        return Disclosure(
            time=self.time, asker=self.asker, purpose=TODAY_PURPOSE, function=TODAY_FUNCTION, basis=TODAY_BASIS,
            case_id="", step=TODAY_PURPOSE, verdict=Verdict.ALLOWED,
            fields=frozenset({"yes" if self.authorised else "no"}),
        )  # fmt: skip


def living_token(case: Case, *, step: int, person: str) -> LeaveToken | None:
    """The token of a case that may say yes on some day; None without one, and once its permit has ended.

    The newest alone lives. It ends with the day before the one on which the person was told so: nothing earlier is
    undone.
    """
    issued = case.last("issue_token")
    granted = max(case.newest("grant_short", "grant_leave", "grant_recurring"), default=None)
    if issued is None or granted is None or case.outcome is not None or next(case.newest(*_ENDS), None) is not None:
        return None
    clocks = [case.clocks[name] for name in _CLOCKS if name in case.clocks]
    if any(clock.late for clock in clocks):
        return None
    days = [clock.deadline.last_day for clock in clocks if clock.deadline is not None]
    ends = [date.fromisoformat(str(granted.head.fields["until"])), *(day for day in days if day is not None)]
    notified = (each for each in case.done.get("tell_person", ()) if each.at > granted.at)
    ends += [
        date.fromisoformat(str(each.head.fields["day"])) - timedelta(days=1)
        for each in notified
        if each.head.fields["what"] == "ended"
    ]
    said = issued.head.fields
    return LeaveToken(
        token=str(said["token"]), step=step, home=issued.head.agency, counties=_texts(said["counties"]),
        weekdays=_texts(said.get("weekdays", ())), first=date.fromisoformat(str(granted.head.fields["begins"])),
        last=min(ends), person=person,
    )  # fmt: skip


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else ()


def check_request(agency: AgencyFacts, home: NodeName, *, occasion: Occasion) -> PolicyRequest:
    """Asks whether the office may ask about tokens of that province at all; asked by both sides."""
    return _ask("leave.check", agency, home, occasion=occasion)


def today_request(
    agency: AgencyFacts, token: LeaveToken | None, *, office: AgencyId, today: date, occasion: Occasion
) -> PolicyRequest:
    """Asks whether a token says yes to the agency on a day.

    One that nobody has (None), or that another office than the asked one issued, is for no county and no day.
    """
    found = token if token is not None and token.home == office else None
    named = found is not None and agency.id.county in {county[:6] for county in found.counties}
    in_force = found is not None and found.first <= today <= found.last
    if found is not None and found.weekdays:
        in_force = in_force and WEEKDAYS[today.weekday()] in found.weekdays
    return _ask("leave.today", agency, office.node, occasion=occasion, named=named, inForce=in_force)


def _ask(
    action: str, agency: AgencyFacts, home: NodeName, *, occasion: Occasion, **facts: PolicyValue
) -> PolicyRequest:
    return ask(action, agency, dossier_entity(DossierFacts(province=home, kind="leave")), occasion=occasion, **facts)
