"""Deciding again what this node once decided: by the policies of that day, and by a draft of others.

Rules kept: nothing is written; every verdict in the log is accounted for, by its questions, by the request that it
answers or by a rule that the leaf names, or is told. The policies of the day are those of the agreement version,
verified from the pinned root, under the digest that was kept; each question is put afresh. A difference under them
means that store or engine is not what it was. Trusts this node's home and store. Source: DESIGN sections 3, 4 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType

from federation.node.home.agreement import pinned_root, read_agreement_files
from federation.node.home.config import load_settings
from federation.node.home.keyring import load_keyring
from federation.node.log.decisions import AnsweredQuestion, StoredDecision, find_answered, find_decision, find_rule
from federation.protocol.errors import CorruptError
from federation.protocol.leaf import Leaf, LeafKind, Verdict, decode_leaf
from federation.protocol.policy import (
    Decision,
    PolicyBook,
    PolicyRequest,
    decide_afresh,
    join_decisions,
    load_policy_book,
)
from federation.protocol.trust import load_agreement
from federation.store.database import Database, open_to_read
from federation.store.log_reader import load_entries, load_head

_PAGE = 256
_JUDGED = (LeafKind.SENT, LeafKind.RECEIVED, LeafKind.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One question decided otherwise now; without an action, the leaf says something else than its answers come to."""

    subject: str
    time: datetime
    agreement_version: int
    action: str
    was: tuple[Verdict | None, tuple[str, ...]]
    now: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The counts of a replay: of `decisions` verdicts, made again by policy or by rules, undecidable, or differing.

    `changed` is what a draft would say otherwise; `questions` counts those put to policy.
    """

    decisions: int
    questions: int
    reproduced: int
    by_rule: Mapping[str, int]
    without_inputs: tuple[Leaf, ...]
    differing: tuple[Difference, ...]
    changed: tuple[Difference, ...]

    @property
    def is_whole(self) -> bool:
        """True when every decision came out the same or was a rule's."""
        return not self.without_inputs and not self.differing


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """`since` inclusive, `until` exclusive; None leaves that side open."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, time: datetime) -> bool:
        return (self.since is None or self.since <= time) and (self.until is None or time < self.until)


BookOf = Callable[[int, str], PolicyBook]
"""The policies of an agreement version, whose digest must be the one given."""


def replay(home: Path, *, now: datetime, period: Period, draft: PolicyBook | None = None) -> Replay:
    """Decides again every decision of that period in the log of this home's store.

    Refuses AGREEMENT_MISSING when the version of that day is not in the home, POLICIES_OTHER when it holds other
    policies than those that decided, HOME_MISSING, STORE_*.
    """
    database = open_to_read(load_settings(home).database, keys=load_keyring(home).columns, folder=home)
    try:
        return replay_log(database, books_of(home, now=now), period=period, draft=draft)
    finally:
        database.close()


def replay_log(
    database: Database, book_of: BookOf, *, period: Period | None = None, draft: PolicyBook | None = None
) -> Replay:
    """Decides again every decision in the log of a store. Refuses LEAF_*, DECISION_FORM and as `book_of`."""
    run = _Run(database=database, book_of=book_of, draft=draft)
    for index, leaf in _judged_leaves(database):
        if period is None or period.holds(leaf.time):
            run.account(index, leaf)
    return Replay(
        decisions=run.decisions,
        questions=run.questions,
        reproduced=run.reproduced,
        by_rule=MappingProxyType(dict(sorted(run.by_rule.items()))),
        without_inputs=tuple(run.without_inputs),
        differing=tuple(run.differing),
        changed=tuple(run.changed),
    )


def books_of(home: Path, *, now: datetime) -> BookOf:
    """Returns a loader of the policies of each agreement version in a home, each loaded once."""

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


@dataclass(kw_only=True)
class _Run:
    database: Database
    book_of: BookOf
    draft: PolicyBook | None
    decisions: int = 0
    questions: int = 0
    reproduced: int = 0
    by_rule: dict[str, int] = field(default_factory=dict)
    without_inputs: list[Leaf] = field(default_factory=list)
    differing: list[Difference] = field(default_factory=list)
    changed: list[Difference] = field(default_factory=list)
    decided: dict[tuple[str, PolicyRequest], Decision] = field(default_factory=dict)

    def account(self, index: int, leaf: Leaf) -> None:
        self.decisions += 1
        stored, found = find_decision(self.database, leaf.subject), list[Difference]()
        if stored is not None:
            found = self._compare(stored, self.book_of(stored.agreement_version, stored.book_digest))
            self.changed += self._compare(stored, self.draft) if self.draft is not None else []
        rule = find_rule(self.database, index, leaf)
        stored = stored or self._find_answered(index, leaf)
        if rule is not None and not found:  # a rule may also refuse what policy allowed
            self.by_rule[rule] = self.by_rule.get(rule, 0) + 1
        elif stored is None:
            self.without_inputs.append(leaf)
        else:
            found = found or self._conclude(leaf, stored)
            self.differing += found
            self.reproduced += not found

    def _find_answered(self, index: int, leaf: Leaf) -> StoredDecision | None:
        answered = find_answered(self.database, index) if leaf.kind is LeafKind.SENT else None
        return find_decision(self.database, answered.digest) if answered is not None else None

    def _conclude(self, leaf: Leaf, stored: StoredDecision) -> list[Difference]:
        book = self.book_of(stored.agreement_version, stored.book_digest)
        joined = join_decisions([self._decide(book, asked.request) for asked in stored.asked])
        said = leaf.verdict or Verdict.ALLOWED  # a reading has a leaf of its own only when it was allowed
        same = (joined.verdict, joined.policies) == (said, leaf.policies)
        return [] if same else [_difference(stored, "", was=(leaf.verdict, leaf.policies), now=joined)]

    def _compare(self, stored: StoredDecision, book: PolicyBook) -> list[Difference]:
        every = (*stored.asked, *stored.asked_of_records)
        self.questions += len(every) if book is not self.draft else 0
        answers: list[tuple[AnsweredQuestion, Decision]] = [
            (asked, self._decide(book, asked.request)) for asked in every
        ]
        return [
            _difference(stored, asked.request.action, was=(asked.verdict, asked.policies), now=now)
            for asked, now in answers
            if (now.verdict, now.policies) != (asked.verdict, asked.policies)
        ]

    def _decide(self, book: PolicyBook, request: PolicyRequest) -> Decision:
        name = (book.digest, request)
        if name not in self.decided:
            self.decided[name] = decide_afresh(book, request)
        return self.decided[name]


def _judged_leaves(database: Database) -> Iterator[tuple[int, Leaf]]:
    """Yields every leaf with a verdict, and every reading that policy allowed, with its index."""
    size = load_head(database).size
    for start in range(0, size, _PAGE):
        for index, entry in enumerate(load_entries(database, start, min(_PAGE, size - start)), start):
            leaf = decode_leaf(entry)
            if leaf.kind in _JUDGED or (leaf.kind is LeafKind.READING and leaf.policies):
                yield index, leaf


def _difference(
    stored: StoredDecision, action: str, *, was: tuple[Verdict | None, tuple[str, ...]], now: Decision
) -> Difference:
    return Difference(
        subject=stored.subject,
        time=stored.time,
        agreement_version=stored.agreement_version,
        action=action,
        was=was,
        now=now,
    )
