"""The state of a joint case: what its entries have made of it, and what conditions and faces read from it.

Rules kept: everything follows from the entries with effect, kept by act in their order; nothing is stored that can be
read from them. Source: DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, TypeVar, overload

import msgspec
from msgspec import Struct

from federation.domain.acts import ACTS, FieldValue
from federation.domain.conditions import CONDITIONS
from federation.domain.joint import Entry, Head, NoEffect, office_of
from federation.domain.joint_clocks import Clock
from federation.domain.procedure import Procedure, Rules
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName

TASK_ACTS: Final = (
    "accept_task", "decline_task", "report_progress", "report_result", "ask_more_time", "grant_time", "verify",
    "return_task", "carry_over", "consent_drop", "drop_task", "reopen",
)  # fmt: skip
"""The acts about a task that somebody has."""
_TALK: Final = frozenset({"ask_more_time", "grant_time", "report_progress", "consent_drop"})
"""Those that leave it where it stands."""
_BLOCK: Final = 128
K = TypeVar("K")
V = TypeVar("V")


class Grown(Sequence[V]):
    """A sequence that is never changed: `plus` makes a longer one, which shares with it all but its last block.

    So an entry costs the same in a case of ten thousand, and each state of a case that a fold remembers stays as it is.
    """

    __slots__ = ("_blocks", "_last")

    def __init__(self, last: tuple[V, ...] = (), *, blocks: tuple[tuple[V, ...], ...] = ()) -> None:
        self._blocks, self._last = blocks, last

    def plus(self, value: V) -> Grown[V]:
        if len(self._last) < _BLOCK:
            return Grown((*self._last, value), blocks=self._blocks)
        return Grown((value,), blocks=(*self._blocks, self._last))

    def __len__(self) -> int:
        return len(self._blocks) * _BLOCK + len(self._last)

    def __iter__(self) -> Iterator[V]:
        return chain(chain.from_iterable(self._blocks), self._last)

    @overload
    def __getitem__(self, place: int) -> V: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[V]: ...
    def __getitem__(self, place: int | slice) -> V | Sequence[V]:
        if isinstance(place, slice):
            return tuple(self)[place]
        block, rest = divmod(range(len(self))[place], _BLOCK)
        return (self._blocks[block] if block < len(self._blocks) else self._last)[rest]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Grown, tuple)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as a mapping has none


class GrownMap(Mapping[K, V]):
    """A mapping that is never changed: `plus` makes one with another value, which shares with it all but the newest."""

    __slots__ = ("_new", "_old")

    def __init__(self, new: Mapping[K, V] = MappingProxyType({}), *, old: Mapping[K, V] = MappingProxyType({})) -> None:
        self._old, self._new = old, new

    def plus(self, key: K, value: V) -> GrownMap[K, V]:
        if len(self._new) < _BLOCK:
            return GrownMap({**self._new, key: value}, old=self._old)
        return GrownMap({key: value}, old={**self._old, **self._new})

    def __len__(self) -> int:
        return len(self._old) + sum(key not in self._old for key in self._new)

    def __iter__(self) -> Iterator[K]:
        return iter({**self._old, **self._new} if self._old else self._new)

    def __contains__(self, key: object) -> bool:
        return key in self._new or key in self._old

    def __getitem__(self, key: K) -> V:
        return self._new[key] if key in self._new else self._old[key]


class Done(NamedTuple):
    """An entry that had effect, by its place among those."""

    at: int
    entry: Entry

    @property
    def head(self) -> Head:
        return self.entry.head


class Folded(Protocol):
    """The state of a record of any family."""

    @property
    def without_effect(self) -> Grown[tuple[Entry, NoEffect]]: ...


F = TypeVar("F", bound=Folded)


def stepped(state: F, entry: Entry, found: F | NoEffect) -> F:
    """Returns the state that an entry made; where it made none, the one before keeps the entry with its reason."""
    if isinstance(found, NoEffect):
        return replace(state, without_effect=state.without_effect.plus((entry, found)))
    return found


class Tie(Struct, frozen=True, kw_only=True):
    """A tie of an officer (`agency#officer`), declared or alleged by the entry `name`.

    It `stands` until it was found none or, where its regime lets them (`waivable`), every party accepts it.
    """

    name: str
    who: str
    stands: bool
    barred: bool
    suspends: bool
    waivable: bool


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A resolution or a task: the head that made it, and the newest entry about it by act.

    `state` is the act that it stands at: `open`, `accept_task`, `report_result`, `verify`, `drop_task`, ...
    """

    name: str
    made: Head
    done: Mapping[str, Done] = msgspec.field(default_factory=dict)
    state: str = "open"

    @property
    def owner(self) -> str:
        return str(self.made.fields["owner"])

    @property
    def due(self) -> str:
        """The last day, as it was set, or granted later; empty where none was."""
        later = self.done.get("grant_time")
        return str((self.made if later is None else later.head).fields.get("due", ""))

    @property
    def asked(self) -> Done | None:
        """The entry that asks for more time, until more is granted."""
        asked, granted = self.done.get("ask_more_time"), self.done.get("grant_time")
        return None if asked is None or (granted is not None and granted.at > asked.at) else asked


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case as its entries so far have made it; `stage` is empty before it was opened.

    `record` names the record, `code` is the one that people are given (一案一码). `home` is the node where it was
    opened: side A. `moment` is when the entry that is being judged happened; `at` counts the entries with effect,
    `entered` is the place of the one that entered the stage. `members` holds each agency's roles, `invited` those that
    nobody has accepted yet. `done` are the entries with effect by act, `named` by name, `only` those that may be done
    only once by what makes them the same, `acted` who did them. `parties` are the two sides of the quarrel by their
    tags, `claims` the acts that were done about each claim, `tasks` those of a meeting or a list. `holding` names the
    events that are conditions and hold now.
    """

    rules: Rules
    record: str = ""
    code: str = ""
    home: NodeName | None = None
    lead: AgencyId | None = None
    moment: datetime | None = None
    stage: str = ""
    tier: str = ""
    at: int = 0
    entered: int = -1
    members: Mapping[AgencyId, frozenset[str]] = msgspec.field(default_factory=dict)
    invited: Mapping[AgencyId, frozenset[str]] = msgspec.field(default_factory=dict)
    done: Mapping[str, Grown[Done]] = msgspec.field(default_factory=dict)
    named: GrownMap[str, Done] = msgspec.field(default_factory=GrownMap)
    only: GrownMap[tuple[object, ...], Done] = msgspec.field(default_factory=GrownMap)
    acted: frozenset[AgencyId] = frozenset()
    parties: GrownMap[object, Head] = msgspec.field(default_factory=GrownMap)
    claims: GrownMap[object, frozenset[str]] = msgspec.field(default_factory=GrownMap)
    tasks: GrownMap[str, Task] = msgspec.field(default_factory=GrownMap)
    ties: tuple[Tie, ...] = ()
    clocks: Mapping[str, Clock] = msgspec.field(default_factory=dict)
    holding: frozenset[str] = frozenset()
    outcome: str | None = None
    without_effect: Grown[tuple[Entry, NoEffect]] = msgspec.field(default_factory=Grown)

    @property
    def procedure(self) -> Procedure:
        return self.rules.procedure

    @property
    def closed(self) -> bool:
        return self.outcome is not None

    @property
    def sides(self) -> frozenset[NodeName]:
        """The provinces that take part: those of offices that do something in some stage, and do not only look on."""
        acting = self.procedure.acting_roles
        return frozenset(agency.node for agency, roles in self.members.items() if roles & acting)

    @property
    def timed_here(self) -> frozenset[str]:
        """The names of the clocks of the present stage."""
        return frozenset(timed.clock for timed in self.procedure.stages[self.stage].deadline)

    @property
    def obligations(self) -> Mapping[object, Head]:
        """The obligations of the newest agreement, order, award or judgment, by their tags."""
        titles = sorted(self.newest("draft", "order_payment", "issue_order", "award", "judge"))
        text = titles[-1].head.fields["agreement"] if titles else None
        owed = (found.head for found in self.done.get("add_obligation", ()))
        return {head.fields["obligation"]: head for head in owed if head.fields["agreement"] == text}

    @property
    def paid(self) -> Mapping[str, int]:
        """The sums paid, in fen, by obligation."""
        sums: dict[str, int] = {}
        for found in self.done.get("record_payment", ()):
            obligation, paid = found.head.fields["obligation"], found.head.fields["sum"]
            sums[str(obligation)] = sums.get(str(obligation), 0) + (paid if isinstance(paid, int) else 0)
        return sums

    @property
    def receipted(self) -> frozenset[object]:
        """The entries that the other side's node receipted, by name."""
        return frozenset(found.head.fields["about"] for found in self.done.get("told", ()))

    @property
    def first_filed(self) -> tuple[str, ...] | None:
        """The body, day and number of the first filing that every side signed last; None while they differ."""
        newest = {
            found.entry.author: tuple(str(found.head.fields[name]) for name in ("body", "filed", "number"))
            for found in self.done.get("sign_first_filed", ())
        }
        same = set(newest.values())
        return same.pop() if len(same) == 1 and len(newest) > 1 and self.sides <= newest.keys() else None

    @property
    def acting(self) -> frozenset[str]:
        """The officers who act now: those in duty by name, and who did anything since the stage was entered."""
        duty = (self.standing(act) for act in ("propose_mediators", "assign_unit"))
        named = [found.head.fields["who"] for found in duty if found is not None]
        here = (officer_of(found.head) for every in self.done.values() for found in every if found.at > self.entered)
        return frozenset((*here, *(who for each in named if isinstance(each, tuple) for who in each)))

    def newest(self, *acts: str) -> Iterator[Done]:
        """The newest entry of each of these acts."""
        return (self.done[act][-1] for act in acts if self.done.get(act))

    def last(self, act: str) -> Done | None:
        found = self.done.get(act)
        return found[-1] if found else None

    def standing(self, act: str) -> Done | None:
        """The newest entry of an act, unless another made room for a new one since."""
        found = self.last(act)
        freed = found is not None and any(each.at > found.at for each in self.newest(*ACTS[act].freed_by))
        return None if freed else found

    def roles(self, agency: AgencyId) -> frozenset[str]:
        return self.members.get(agency, frozenset())

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the conditions that do not hold."""
        return tuple(name for name in names if not CONDITIONS[name].holds(self))


def with_things(case: Case, done: Done) -> Case:
    """The case with what an entry says of a party, a claim or a task: read at every entry, so kept and not counted."""
    act, said = done.head.act, done.head.fields
    if act == "add_party" and said["role"] in ("applicant", "respondent"):
        return replace(case, parties=case.parties.plus(said["party"], done.head))
    if act == "amend_party" and "county" in said and (entered := case.parties.get(said["party"])) is not None:
        head = replace(entered, fields={**entered.fields, "county": said["county"]})
        return replace(case, parties=case.parties.plus(said["party"], head))
    if act == "add_claim" or said.get("claim") in case.claims:
        about = case.claims.get(said["claim"], frozenset()) | {act}
        return replace(case, claims=case.claims.plus(said["claim"], about))
    if act == "split":
        return _without(case, said["claims"])
    name = str(said.get("task", ""))
    if act == "record_item":
        return replace(case, tasks=case.tasks.plus(name, Task(name=name, made=done.head)))
    if name not in case.tasks or act not in TASK_ACTS:
        return case
    task = case.tasks[name]
    state = task.state if act in _TALK else "open" if act == "reopen" else act
    return replace(case, tasks=case.tasks.plus(name, replace(task, done={**task.done, act: done}, state=state)))


def _without(case: Case, claims: FieldValue) -> Case:
    """The case without the claims that were split off, and without those who have no other claim in it."""
    gone = set(claims) if isinstance(claims, tuple) else set[str]()
    claimed = (found.head.fields for found in case.done.get("add_claim", ()))
    owners: dict[object, object] = {said["claim"]: said["party"] for said in claimed}
    left = {name: about for name, about in case.claims.items() if name not in gone}
    away = {owners.get(name) for name in gone} - {owners[name] for name in left}
    stay = {tag: head for tag, head in case.parties.items() if tag not in away}
    return replace(case, claims=GrownMap(left), parties=GrownMap(stay))


def judged_ties(case: Case) -> tuple[Tie, ...]:
    """Ties declared or alleged, with what was decided, by the regime of the officer's role."""
    decided = {each.head.fields["about"]: each.head.fields["result"] for each in case.done.get("decide_recusal", ())}
    accepted: dict[object, set[object]] = {}
    for each in case.done.get("accept_tie", ()):
        accepted.setdefault(each.head.fields["about"], set()).add(each.head.fields["on_behalf"])
    parties = case.parties.keys()
    found = []
    for each in sorted((*case.done.get("declare_tie", ()), *case.done.get("request_recusal", ()))):
        who, name = str(each.head.fields["who"]), each.entry.name
        roles = case.roles(office_of(who)) & case.procedure.roles.keys()
        regimes = {case.procedure.roles[role].recusal for role in roles}
        waivable = regimes == {"disclosed"} and bool(parties)
        waived = waivable and parties <= accepted.get(name, set())
        is_open = name not in decided and not waived
        barred = decided.get(name) == "barred"
        found.append(
            Tie(
                name=name, who=who, stands=is_open or barred, barred=barred,
                suspends=is_open and "suspends" in regimes, waivable=waivable and name not in decided,
            )
        )  # fmt: skip
    return tuple(found)


def officer_of(head: Head) -> str:
    return f"{head.agency}#{head.officer or ''}"
