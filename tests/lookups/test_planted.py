"""How much of the planted misuse is caught, and how often a lawful look-up raises an alarm."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.domain.clock import parse_calendar
from tests.lookups.judge import Asking, Judge, Verdict
from tests.lookups.planted import HONEY, AnswerKey, Month, Plant, make_month

CALENDAR = Path(__file__).parents[2] / "policies" / "calendar.toml"
SEEDS = (20261123, 1, 2)
ALARMS = (Verdict.FLAGGED, Verdict.REFUSED)


@dataclass(frozen=True)
class Score:
    """Episodes caught and planted of each kind; lawful attempts by what became of them."""

    caught: Counter[Plant]
    planted: Counter[Plant]
    lawful: Counter[Verdict]
    planted_attempts: int

    @property
    def false_alarm_rate(self) -> float:
        return sum(self.lawful[verdict] for verdict in ALARMS) / self.lawful.total()


def judge_month(month: Month) -> dict[str, Verdict]:
    """Hands the attempts to the judge one by one; the answer key is not here."""
    calendar = parse_calendar(CALENDAR.read_text(encoding="utf-8"))
    signed = dict.fromkeys(month.countersigned, 1) | dict.fromkeys(month.bulk, 2)
    judge = Judge(month.cases, honey=HONEY, reviewed=month.reviewed, signed=signed, calendar=calendar)
    verdicts = {}
    for attempt in month.attempts:
        asking = Asking(
            attempt_id=attempt.attempt_id, time=attempt.time, agency=attempt.agency, officer=attempt.officer,
            desk=attempt.desk, case_id=attempt.case_id, selector=attempt.selector, handle=attempt.handle,
            glass=attempt.glass,
        )  # fmt: skip
        verdicts[attempt.attempt_id] = judge.judge(asking)
    return verdicts


def score(verdicts: dict[str, Verdict], key: AnswerKey) -> Score:
    """An episode is caught when any attempt of it was refused or flagged."""
    kind_of = {key.episodes[attempt]: kind for attempt, kind in key.kinds.items()}
    caught = {key.episodes[attempt] for attempt in key.kinds if verdicts[attempt] in ALARMS}
    return Score(
        caught=Counter(kind_of[episode] for episode in caught),
        planted=Counter(kind_of.values()),
        lawful=Counter(verdict for attempt, verdict in verdicts.items() if attempt not in key.kinds),
        planted_attempts=len(key.kinds),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_misuse_is_caught_and_lawful_traffic_seldom_alarms(seed: int) -> None:
    """Every planted episode of every kind is refused or flagged; under 1 % of the lawful look-ups is."""
    month, key = make_month(seed)

    found = score(judge_month(month), key)

    print(
        f"seed {seed}: {len(month.attempts)} attempts, {found.planted_attempts} planted in {found.planted.total()} "
        f"episodes, caught {found.caught.total()}; lawful {dict(found.lawful)}, "
        f"false alarms {found.false_alarm_rate:.3%}"
    )
    assert set(found.planted) == set(Plant)
    assert found.caught == found.planted
    assert 0.009 <= found.planted_attempts / len(month.attempts) <= 0.012
    assert 0 < found.false_alarm_rate < 0.01


def test_month_is_the_same_for_the_same_seed() -> None:
    """A score can be repeated by anybody."""
    assert make_month(5) == make_month(5)
    assert make_month(5) != make_month(6)


def test_month_without_planting_has_no_answer_key() -> None:
    """Nothing is planted beyond the share that was asked for."""
    month, key = make_month(3, planted_share=0.0)
    assert not key.kinds
    assert len(month.attempts) > 10_000
