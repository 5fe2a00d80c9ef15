"""Deciding again what this node once decided: by the policies of that day, and by a draft of others.

Rules kept: nothing is written; the policies of the day are those of the agreement version that the decision names,
verified from the pinned root, and their digest must be the one that was kept; a question is decided afresh, never out
of memory. A difference under the policies of the day means that the store or the engine is not what it was.
Trusts this node's home and store. Source: DESIGN sections 3, 4 and 9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from federation.node.home.agreement_files import pinned_root, read_agreement_files
from federation.node.home.config import database_url, load_settings
from federation.node.home.keyring import load_keyring
from federation.node.log.decisions import Asked, KeptDecision, list_decisions
from federation.protocol.errors import CorruptError, NotFoundError
from federation.protocol.policy import Decision, PolicyBook, decide_afresh, load_policy_book
from federation.protocol.trust import load_agreement
from federation.store.database import open_to_read


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A question that is decided otherwise now: what was decided then, what comes out now."""

    kept: KeptDecision
    was: Asked
    now: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of deciding again: `differing` by the policies of the day, `changed` by the draft."""

    decisions: int
    questions: int
    differing: tuple[Difference, ...]
    changed: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From a moment on, up to but without another; None leaves that side open."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, time: datetime) -> bool:
        """Whether the moment lies in it."""
        return (self.since is None or self.since <= time) and (self.until is None or time < self.until)


def replay(home: Path, *, now: datetime, period: Period, draft: PolicyBook | None = None) -> Replay:
    """Decides again every decision that the store of this home keeps from that period.

    Raises:
        NotFoundError: HOME_MISSING, STORE_MISSING, AGREEMENT_MISSING when the version of that day is not in the home.
        CorruptError: POLICIES_OTHER when that version holds other policies than those that decided; STORE_*.
        BridgeheadError: as `load_agreement` and `load_keyring`.
    """
    url = database_url(load_settings(home), home)
    _require_file(url)
    database = open_to_read(url, keys=load_keyring(home).columns)
    book_of = _books(home, now=now)
    decisions = questions = 0
    differing: list[Difference] = []
    changed: list[Difference] = []
    try:
        for kept in list_decisions(database):
            if not period.holds(kept.time):
                continue
            decisions, questions = decisions + 1, questions + len(kept.asked)
            differing += _compare(kept, book_of(kept.agreement_version, kept.book_digest))
            changed += _compare(kept, draft) if draft is not None else []
    finally:
        database.close()
    return Replay(decisions=decisions, questions=questions, differing=_in_order(differing), changed=_in_order(changed))


def _books(home: Path, *, now: datetime) -> Callable[[int, str], PolicyBook]:
    """The policies of each agreement version, loaded once."""

    @cache
    def book_of(version: int, digest: str) -> PolicyBook:
        files = read_agreement_files(home, version=version)
        agreement = load_agreement(files, trusted_root=pinned_root(home), now=now, previous=None)
        book = load_policy_book(agreement.files)
        if book.digest != digest:
            raise CorruptError(
                "POLICIES_OTHER", f"agreement version {version} holds policies {book.digest:.16}, kept was {digest:.16}"
            )
        return book

    return book_of


def _compare(kept: KeptDecision, book: PolicyBook) -> list[Difference]:
    found: list[Difference] = []
    for asked in kept.asked:
        decision = decide_afresh(book, asked.request)
        if (decision.verdict, decision.policies) != (asked.verdict, asked.policies):
            found.append(Difference(kept=kept, was=asked, now=decision))
    return found


def _in_order(differences: list[Difference]) -> tuple[Difference, ...]:
    return tuple(sorted(differences, key=lambda found: (found.kept.time, found.kept.subject)))


def _require_file(url: str) -> None:
    """Opening a SQLite file that is not there would make it."""
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).is_file():
        raise NotFoundError("STORE_MISSING", f"expected a store at {path}: did this node ever run?")
