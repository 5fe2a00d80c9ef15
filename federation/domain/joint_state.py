"""The state of a joint case: what its entries have made of it, and what conditions and faces read from it.

Rules kept: everything follows from the entries with effect, kept by act in their order; nothing is stored that can be
read from them. Source: DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from federation.domain.acts import ACTS
from federation.domain.conditions import CONDITIONS
from federation.domain.joint import Entry, Head, NoEffect
from federation.domain.joint_clocks import Clock
from federation.domain.procedure import Procedure, Rules
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id

TASK_ACTS: Final = (
    "accept_task", "decline_task", "report_progress", "report_result", "ask_more_time", "verify", "return_task",
    "carry_over", "drop_task", "reopen",
)  # fmt: skip
"""The acts about a task that somebody has."""


class Done(NamedTuple):
    """An entry that had effect, by its place among those."""

    at: int
    entry: Entry

    @property
    def head(self) -> Head:
        return self.entry.head


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """A tie of an officer (`agency#officer`). It `stands` until it was found none or every party accepts it."""

    who: str
    stands: bool
    barred: bool
    suspends: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A resolution or a task: the head that made it, and the newest entry about it by act."""

    name: str
    made: Head
    done: Mapping[str, Done]

    @property
    def owner(self) -> str:
        return str(self.made.fields["owner"])

    @property
    def due(self) -> str:
        """The last day, as it was set or extended; empty where none was."""
        later = self.done.get("ask_more_time")
        return str((self.made if later is None else later.head).fields.get("due", ""))

    @property
    def state(self) -> str:
        """The name of the act that it stands at: `open`, `accept_task`, `report_result`, `verify`, `drop_task`, ..."""
        newest = max((found for act, found in self.done.items() if act != "ask_more_time"), default=None)
        return "open" if newest is None or newest.head.act == "reopen" else newest.head.act


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case as its entries so far have made it; `stage` is empty before it was opened.

    `record` names the record, `code` is the one that people are given (一案一码). `home` is the node where it was
    opened: side A. `moment` is when the entry that is being judged happened; `at` counts the entries with effect,
    `entered` is the place of the one that entered the stage. `members` holds each agency's roles, `invited` those that
    nobody has accepted yet. `done` are the entries with effect by act, `named` by name, `only` those that may be done
    only once by what makes them the same. `holding` names the events that are conditions and hold now.
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
    done: Mapping[str, tuple[Done, ...]] = msgspec.field(default_factory=dict)
    named: Mapping[str, Done] = msgspec.field(default_factory=dict)
    only: Mapping[tuple[object, ...], Done] = msgspec.field(default_factory=dict)
    ties: tuple[Tie, ...] = ()
    clocks: Mapping[str, Clock] = msgspec.field(default_factory=dict)
    holding: frozenset[str] = frozenset()
    outcome: str | None = None
    without_effect: tuple[tuple[Entry, NoEffect], ...] = ()

    @property
    def procedure(self) -> Procedure:
        return self.rules.procedure

    @property
    def closed(self) -> bool:
        return self.outcome is not None

    @property
    def sides(self) -> frozenset[NodeName]:
        """The provinces that take part."""
        return frozenset(agency.node for agency in self.members)

    @property
    def timed_here(self) -> frozenset[str]:
        """The names of the clocks of the present stage."""
        return frozenset(timed.clock for timed in self.procedure.stages[self.stage].deadline)

    @property
    def parties(self) -> Mapping[object, Head]:
        """The two sides of the quarrel by their tags, as they were entered."""
        entered = (found.head for found in self.done.get("add_party", ()))
        return {head.fields["party"]: head for head in entered if head.fields["role"] in ("applicant", "respondent")}

    @property
    def obligations(self) -> Mapping[object, Head]:
        """The obligations of the newest agreement, order, award or judgment, by their tags."""
        titles = sorted(self.newest("draft", "issue_order", "award", "judge"))
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
    def tasks(self) -> Mapping[str, Task]:
        """The tasks of a meeting or a list, by their tags, each with the newest that was done about it."""
        said = (found for act in TASK_ACTS for found in self.done.get(act, ()))
        newest: dict[object, dict[str, Done]] = {}
        for found in sorted(said):
            newest.setdefault(found.head.fields.get("task"), {})[found.head.act] = found
        made = {str(found.head.fields["task"]): found.head for found in self.done.get("record_item", ())}
        return {name: Task(name=name, made=head, done=newest.get(name, {})) for name, head in made.items()}

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
        waived = regimes == {"disclosed"} and bool(parties) and parties <= accepted.get(name, set())
        is_open = name not in decided and not waived
        barred = decided.get(name) == "barred"
        found.append(Tie(who=who, stands=is_open or barred, barred=barred, suspends=is_open and "suspends" in regimes))
    return tuple(found)


def officer_of(head: Head) -> str:
    return f"{head.agency}#{head.officer or ''}"


def office_of(officer: str) -> AgencyId:
    return parse_agency_id(officer.partition("#")[0])
