"""A month of invented look-ups with 1 % of misuse planted in it, and the answer key, which the judge never sees.

Lawful traffic has what makes false alarms: call-outs at night, officers who walk between desks, certificates renewed in
the middle of a day, two cases open in two windows. The shares are assumptions, named below, not measurements of any
police force. The same seed gives the same month. No person is in it: a selector is the URN of an invented permit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from federation.domain.lookups import Handle
from federation.domain.lookups_case import CaseTerms, LookupCase, close_case, open_case
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, parse_agency_id, parse_message_id

FIRST_DAY, DAYS = date(2026, 11, 2), 28
AGENCIES = tuple(parse_agency_id(f"jiangxi/{county}/police") for county in ("361123", "361130", "361102"))
OFFICERS_EACH, CASES_EACH = 20, 4
NIGHT_CALL_OUT = 0.02
"""The share of officer-nights with a call-out of one to seven look-ups."""
WALKS, RENEWALS, SECOND_WINDOW = 0.01, 0.002, 0.01
"""The shares of daytime look-ups after which the officer walks to another desk, has the certificate renewed, or asks
for another case in a second window right away."""
GLASS = 0.002
"""The share of days of an officer on which glass is broken lawfully, reviewed in time."""
HONEY = frozenset(f"urn:permit:330822:2026:9{number:05}" for number in range(20))


class Plant(StrEnum):
    """The kinds of misuse that are planted."""

    CURIOSITY = "curiosity"
    CLOSED_CASE = "closed_case"
    WILDCARD = "wildcard"
    ENUMERATION = "enumeration"
    BULK_OF_ONE = "bulk_of_one"
    NIGHT_BURST = "night_burst"
    LENT_CREDENTIAL = "lent_credential"
    LENT_WITHOUT_DESK = "lent_without_desk"
    HONEY = "honey"
    BORROWED_HANDLE = "borrowed_handle"
    DEAD_HANDLE = "dead_handle"
    GLASS_OVERDUE = "glass_overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One thing that an officer tries: a search; with a handle a fetch; with `glass` a case without a letter."""

    attempt_id: str
    time: datetime
    agency: AgencyId
    officer: str
    desk: str
    case_id: str
    selector: str
    handle: Handle | None = None
    glass: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What the judge sees: the attempts in the order of time, the cases, the reviews done and on which day.

    `countersigned` are the cases that their leader signed for, `bulk` those for which a second person did too.
    """

    attempts: tuple[Attempt, ...]
    cases: Mapping[str, LookupCase]
    reviewed: Mapping[str, date]
    countersigned: frozenset[str]
    bulk: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerKey:
    """What only the scorer sees: the misuse of each planted attempt, and which of them make one episode."""

    kinds: Mapping[str, Plant]
    episodes: Mapping[str, int]


class _Maker:
    """Draws one month; every draw comes out of one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.attempts: list[Attempt] = []
        self.cases: dict[str, LookupCase] = {}
        self.reviewed: dict[str, date] = {}
        self.countersigned: set[str] = set()
        self.bulk: set[str] = set()
        self.kinds: dict[str, Plant] = {}
        self.episodes: dict[str, int] = {}
        self.count = self.episode = 0

    def at(self, day: int, hour: float) -> datetime:
        """A moment of a day of the month by the clock at the border."""
        start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) - timedelta(hours=8)
        moment = start + timedelta(days=day, seconds=round(hour * 3600), milliseconds=self.random.randrange(1000))
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def officer(self) -> tuple[AgencyId, str]:
        return self.random.choice(AGENCIES), f"officer-{self.random.randrange(OFFICERS_EACH)}"

    def permit(self) -> str:
        return f"urn:permit:330822:2026:{self.random.randrange(100_000):06}"

    def case(self, agency: AgencyId, opened: datetime, *, days: int = 30) -> str:
        case_id = f"CASE-{len(self.cases):06}"
        terms = CaseTerms(
            letter="玉公协〔2026〕1号",
            counties=frozenset({"330822"}),
            purposes=frozenset({"lookup.criminal_investigation"}),
            days=days,
            leader="leader-1",
        )
        self.cases[case_id] = open_case(case_id, terms, opened_by=agency, now=opened)
        return case_id

    def add(self, moment: datetime, who: tuple[AgencyId, str], **other: str | bool | Handle) -> Attempt:
        self.count += 1
        agency, officer = who
        values = {"desk": f"{agency.county}-{officer}", "selector": self.permit(), "case_id": "", **other}
        attempt = Attempt(
            attempt_id=f"00000000-0000-7000-8000-{self.count:012x}",
            time=moment, agency=agency, officer=officer, **values,
        )  # fmt: skip
        self.attempts.append(attempt)
        return attempt

    def plant(self, kind: Plant, moment: datetime, who: tuple[AgencyId, str], **other: str | bool | Handle) -> None:
        attempt = self.add(moment, who, **other)
        self.kinds[attempt.attempt_id], self.episodes[attempt.attempt_id] = kind, self.episode


def make_month(seed: int, *, planted_share: float = 0.01) -> tuple[Month, AnswerKey]:
    """Makes a month and its answer key, which are handed to different readers."""
    maker = _Maker(seed)
    for agency in AGENCIES:
        for number in range(OFFICERS_EACH):
            _lawful(maker, (agency, f"officer-{number}"))
        maker.bulk.add(_series(maker, agency, many=40))
    target = len(maker.attempts) * planted_share / (1 - planted_share)
    while len(maker.kinds) < target:
        _PLANTERS[maker.episode % len(_PLANTERS)](maker)
        maker.episode += 1
    month = Month(
        attempts=tuple(sorted(maker.attempts, key=lambda attempt: (attempt.time, attempt.attempt_id))),
        cases=maker.cases,
        reviewed=maker.reviewed,
        countersigned=frozenset(maker.countersigned),
        bulk=frozenset(maker.bulk),
    )
    return month, AnswerKey(kinds=maker.kinds, episodes=maker.episodes)


def _lawful(maker: _Maker, who: tuple[AgencyId, str]) -> None:
    draw = maker.random
    for day in range(DAYS):
        working = (FIRST_DAY + timedelta(days=day)).weekday() < 5
        cases = [maker.case(who[0], maker.at(day, 0)) for _ in range(2)]
        if working:
            _lawful_day(maker, who, day, cases)
        if draw.random() < NIGHT_CALL_OUT:
            hour = draw.uniform(20, 23)
            for _ in range(draw.randint(1, 7)):
                maker.add(maker.at(day, hour), who, case_id=cases[0])
                hour += draw.uniform(2, 15) / 60
        if draw.random() < GLASS:
            case_id = f"BREAK-GLASS-{maker.count:06}"
            moment = maker.at(day, draw.uniform(8, 19))
            maker.add(moment, who, case_id=case_id, glass=True)
            maker.reviewed[case_id] = FIRST_DAY + timedelta(days=day)


def _lawful_day(maker: _Maker, who: tuple[AgencyId, str], day: int, cases: list[str]) -> None:
    draw, hour, desk = maker.random, maker.random.uniform(8.1, 10), f"{who[0].county}-{who[1]}"
    for _ in range(draw.randint(4, 16)):
        maker.add(maker.at(day, hour), who, case_id=draw.choice(cases), desk=desk)
        if draw.random() < SECOND_WINDOW:
            seconds = draw.uniform(2, 60)
            maker.add(maker.at(day, hour + seconds / 3600), who, case_id=draw.choice(cases), desk=desk)
            hour += seconds / 3600
        hour += draw.expovariate(1 / 0.4) + 30 / 3600
        chance = draw.random()
        if chance < RENEWALS:
            desk = f"{desk}r"
        elif chance < RENEWALS + WALKS:
            desk = f"{who[0].county}-front" if not desk.endswith("front") else f"{who[0].county}-{who[1]}"
            hour += draw.uniform(3, 60) / 60
        if hour >= 19.5:
            return


def _day(maker: _Maker) -> int:
    return maker.random.choice([day for day in range(DAYS) if day % 7 < 5])


def _by_day(maker: _Maker) -> datetime:
    return maker.at(_day(maker), maker.random.uniform(8.5, 19))


def _plant_curiosity(maker: _Maker) -> None:
    maker.plant(Plant.CURIOSITY, _by_day(maker), maker.officer(), case_id="CASE-999999")


def _plant_closed_case(maker: _Maker) -> None:
    who, moment = maker.officer(), _by_day(maker)
    case_id = maker.case(who[0], moment - timedelta(days=2))
    maker.cases[case_id] = close_case(maker.cases[case_id], moment - timedelta(hours=1))
    maker.plant(Plant.CLOSED_CASE, moment, who, case_id=case_id)


def _plant_wildcard(maker: _Maker) -> None:
    who, moment = maker.officer(), _by_day(maker)
    case_id, text = maker.case(who[0], moment), maker.random.choice(["urn:permit:330822:*", "张%", "王小明", "a;b"])
    maker.plant(Plant.WILDCARD, moment, who, case_id=case_id, selector=text)


def _plant_enumeration(maker: _Maker) -> None:
    who, moment = maker.officer(), maker.at(_day(maker), maker.random.uniform(8.5, 15))
    case_id = maker.case(who[0], moment)
    for number in range(maker.random.randint(12, 15)):
        maker.plant(Plant.ENUMERATION, moment + timedelta(minutes=3 * number), who, case_id=case_id)


def _series(maker: _Maker, agency: AgencyId, *, many: int) -> str:
    """A case with so many look-ups on one day, which its leader signed for: lawful up to the thirtieth."""
    moment, who = maker.at(_day(maker), 8.5), (agency, f"series-{maker.count}")
    case_id = maker.case(agency, moment)
    maker.countersigned.add(case_id)
    for number in range(many):
        maker.add(moment + timedelta(minutes=10 * number), who, case_id=case_id)
    return case_id


def _plant_bulk_of_one(maker: _Maker) -> None:
    """Beyond thirty look-ups, with the leader's signature and no second person's."""
    agency, _ = maker.officer()
    case_id = _series(maker, agency, many=30)
    last = maker.attempts[-1]
    for number in range(1, 4):
        later = last.time + timedelta(minutes=10 * number)
        maker.plant(Plant.BULK_OF_ONE, later, (agency, last.officer), case_id=case_id)


def _plant_night_burst(maker: _Maker) -> None:
    who, moment = maker.officer(), maker.at(_day(maker), maker.random.uniform(0, 5))
    case_id = maker.case(who[0], moment)
    for number in range(maker.random.randint(6, 9)):
        maker.plant(Plant.NIGHT_BURST, moment + timedelta(seconds=100 * number), who, case_id=case_id)


def _plant_lent_credential(maker: _Maker) -> None:
    who, moment = maker.officer(), _by_day(maker)
    case_id = maker.case(who[0], moment)
    for number, desk in enumerate(("lent-a", "lent-b")):
        later = moment + timedelta(seconds=maker.random.randrange(20, 500) * number)
        maker.plant(Plant.LENT_CREDENTIAL, later, who, case_id=case_id, desk=desk)


def _plant_lent_without_desk(maker: _Maker) -> None:
    who, moment = maker.officer(), _by_day(maker)
    for number in range(2):
        later = moment + timedelta(milliseconds=maker.random.randrange(100, 4900) * number)
        maker.plant(Plant.LENT_WITHOUT_DESK, later, who, case_id=maker.case(who[0], moment), desk="")


def _plant_honey(maker: _Maker) -> None:
    who, moment = maker.officer(), _by_day(maker)
    selector = maker.random.choice(sorted(HONEY))
    maker.plant(Plant.HONEY, moment, who, case_id=maker.case(who[0], moment), selector=selector)


def _handle(maker: _Maker, who: tuple[AgencyId, str], case_id: str, expires: datetime) -> Handle:
    return Handle(
        handle="h" * 32,
        lookup_id=parse_message_id("00000000-0000-7000-8000-000000000000"),
        case_id=case_id,
        asker=who[0],
        officer=who[1],
        dossier=maker.permit(),
        expires=expires,
    )


def _plant_borrowed_handle(maker: _Maker) -> None:
    who, moment = maker.officer(), _by_day(maker)
    case_id = maker.case(who[0], moment)
    handle = replace(_handle(maker, who, case_id, moment + timedelta(hours=1)), officer="officer-99")
    maker.plant(Plant.BORROWED_HANDLE, moment, who, case_id=case_id, handle=handle)


def _plant_dead_handle(maker: _Maker) -> None:
    who, moment = maker.officer(), _by_day(maker)
    case_id = maker.case(who[0], moment)
    handle = _handle(maker, who, case_id, moment - timedelta(minutes=1))
    maker.plant(Plant.DEAD_HANDLE, moment, who, case_id=case_id, handle=handle)


def _plant_glass_overdue(maker: _Maker) -> None:
    """Glass broken twice by an office of its own, days apart, the first never reviewed."""
    agency = parse_agency_id(f"jiangxi/3611{30 + maker.episode % 50:02}/police")
    who, moment = (agency, "officer-1"), maker.at(maker.random.randrange(5), 10)
    for days in (0, 6):
        case_id = f"BREAK-GLASS-{maker.count:06}-P"
        maker.plant(Plant.GLASS_OVERDUE, moment + timedelta(days=days), who, case_id=case_id, glass=True)


_PLANTERS: tuple[Callable[[_Maker], None], ...] = (
    _plant_curiosity, _plant_closed_case, _plant_wildcard, _plant_enumeration, _plant_bulk_of_one, _plant_night_burst,
    _plant_lent_credential, _plant_lent_without_desk, _plant_honey, _plant_borrowed_handle, _plant_dead_handle,
    _plant_glass_overdue,
)  # fmt: skip
