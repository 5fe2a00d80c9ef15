"""The stamps that chance picks for another office to look at again (抽查), and what that one found.

Rules kept: 2 % of the stamps that count, picked as look-ups are, by a key of the node that no desk has: the same for
ever, and not to be foreseen. A node picks among the alerts of its own province. Nobody looks again at a stamp of the
own office; what was found stands once, and changes no figure but those of the sample.
Source: the provinces' own rule against figures that are dressed up (`official = false`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from federation.domain.alert import Alert, AlertState, Stamp
from federation.domain.oversight import is_sampled, verify_words
from federation.domain.personal import verify_impersonal
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import Digest, Item, Time
from federation.protocol.ids import AgencyId, OfficerId


class Finding(StrEnum):
    """The stamp is right; it may not be; it says what was not."""

    CONFIRMED = "confirmed"
    DOUBTFUL = "doubtful"
    WRONG = "wrong"


class Recheck(Item, frozen=True, kw_only=True):
    """The finding of an office about a stamp of another one, by the entry that made the stamp."""

    WHAT: ClassVar[str] = "recheck of a stamp"

    record: str
    entry: Digest
    stage: str
    finding: Finding
    words: str = ""
    by: AgencyId
    officer: OfficerId
    time: Time


class Picked(Struct, frozen=True, kw_only=True):
    """A stamp of the sample, by the name of the entry that made it."""

    record: str
    entry: str
    stamp: Stamp


def pick(alerts: Iterable[Alert], key: bytes) -> Iterator[Picked]:
    """The stamps of real alerts that are in the sample of who holds the key, whatever they come to count in."""
    for alert in alerts:
        for stage, stamp in alert.stamps.items() if alert.status == "Actual" else ():
            for entry in stamp_of(alert, stage):
                if is_sampled(entry, key):
                    yield Picked(record=str(alert.first.record), entry=entry, stamp=stamp)


def stamp_of(alert: Alert, stage: str) -> tuple[str, ...]:
    """The name of the entry that made the stamp which counts."""
    stamp = alert.stamps.get(stage)
    if stamp is None:
        return ()
    found = (
        name
        for name, done in alert.named.items()
        if (done.head.act == "claim" if stage == AlertState.ACCEPTED else done.head.fields.get("stage") == stage)
        and (done.head.at, done.head.officer, done.head.fields.get("desk")) == (stamp.at, stamp.officer, stamp.desk)
    )
    return tuple(found)[:1]


def verify_recheck(alert: Alert, stage: str, key: bytes, *, by: AgencyId, finding: Finding, words: str) -> Picked:
    """Returns the stamp that an office may look at again; refuses RECHECK_SAMPLE, _OWN, _WORDS and as `verify_words`.

    What is doubtful or wrong is said in words, in which nobody is named (TEXT_PERSONAL).
    """
    found = next((each for each in pick((alert,), key) if each.stamp.stage == stage), None)
    if found is None:
        raise NotFoundError("RECHECK_SAMPLE", "该时点不在抽查之列。 | The stamp is not in the sample.")
    if alert.rules.agency_of(found.stamp.desk) == by:
        raise RuleError("RECHECK_OWN", "须由其他单位复核。 | Another office than that of the desk looks at it again.")
    if finding is not Finding.CONFIRMED and not words.strip():
        raise MalformedError("RECHECK_WORDS", "存疑或者不实须说明。 | Say what is doubtful or wrong.", field="words")
    verify_impersonal(verify_words(words), field="words")
    return found
