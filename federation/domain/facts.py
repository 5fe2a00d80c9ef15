"""Of what conditions are made: questions to the folded case, each of which says the acts that can make it true.

Rules kept: a fact is a pure function of a case, and never raises; "each side" means one entry of every node that takes
part, and at least two take part; "each party" means both sides of the quarrel. Source: DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from federation.domain.acts import ACTS

if TYPE_CHECKING:
    from federation.domain.joint_state import Case
    from federation.protocol.ids import NodeName

Holds: TypeAlias = "Callable[[Case], bool]"
Lacks: TypeAlias = "Callable[[Case], Iterable[tuple[str, str]]]"


def nothing_named(case: Case) -> Iterable[tuple[str, str]]:
    """A fact of which no single thing is missing."""
    del case
    return ()


class Fact(Struct, frozen=True):
    """A question to a case. `acts`: of each of these sets one act at least must be done before it can hold.

    `clocks` are those of which it reads whether they are over. `lacks` names, of a fact that does not hold, who has not
    signed, said or done it, or the act that is missing, in both languages.
    """

    holds: Holds
    acts: tuple[frozenset[str], ...] = ()
    clocks: frozenset[str] = frozenset()
    lacks: Lacks = nothing_named

    def __and__(self, other: Fact) -> Fact:
        clocks = self.clocks | other.clocks

        def lacks(case: Case) -> Iterable[tuple[str, str]]:
            return [said for part in (self, other) if not part.holds(case) for said in part.lacks(case)]

        return Fact(lambda case: self.holds(case) and other.holds(case), self.acts + other.acts, clocks, lacks)

    def __or__(self, other: Fact) -> Fact:
        either = tuple(mine | theirs for mine in self.acts for theirs in other.acts)

        def lacks(case: Case) -> Iterable[tuple[str, str]]:  # one of them is enough
            both = [[*part.lacks(case)] for part in (self, other)]
            return _either(*both[0], *both[1]) if all(both) else ()

        return Fact(lambda case: self.holds(case) or other.holds(case), either, self.clocks | other.clocks, lacks)


def _either(*said: tuple[str, str]) -> list[tuple[str, str]]:
    named = dict.fromkeys(said)
    return [(" 或 ".join(zh for zh, _ in named), " or ".join(en for _, en in named))]


def _undone(*acts: str, says: str = "") -> Lacks:
    """Names the acts, one of which is still to be done, with what it is to say."""
    named = _either(*((f"{ACTS[act].zh} {act}{says}", f"{ACTS[act].en} {act}{says}") for act in acts))
    return lambda _: named


def these(names: Iterable[object], zh: str = "", en: str = "") -> list[tuple[str, str]]:
    """Tags or names, each with what it is a name of."""
    return [(f"{zh}{each}", f"{en}{each}") for each in sorted(map(str, names))]


def done(*acts: str) -> Fact:
    """One of the acts was done with effect since the case began."""
    return Fact(lambda case: any(case.done.get(act) for act in acts), (frozenset(acts),), lacks=_undone(*acts))


def here(*acts: str) -> Fact:
    """One of the acts was done since the stage was entered."""
    return Fact(
        lambda case: any(found.at > case.entered for found in case.newest(*acts)),
        (frozenset(acts),),
        lacks=_undone(*acts),
    )


def after(first: str, *acts: str) -> Fact:
    """One of the acts was done after the newest `first`."""

    def holds(case: Case) -> bool:
        begun = case.last(first)
        return begun is not None and any(found.at > begun.at for found in case.newest(*acts))

    return Fact(holds, (frozenset({first}), frozenset(acts)), lacks=_undone(*acts))


def not_after(act: str, *undoing: str) -> Fact:
    """None of the undoing acts is newer than the newest `act`; holds while nothing was done at all."""

    def holds(case: Case) -> bool:
        begun = case.last(act)
        return not any(begun is None or found.at > begun.at for found in case.newest(*undoing))

    return Fact(holds)


def says(act: str, field: str, *words: str) -> Fact:
    """The newest entry of an act says one of these words; any word when none is given."""

    def holds(case: Case) -> bool:
        found = case.last(act)
        said = None if found is None else found.head.fields.get(field)
        return said is not None and (not words or said in words)

    return Fact(holds, (frozenset({act}),), lacks=_undone(act, says=f" {field}={'|'.join(words)}" if words else ""))


def never_says(act: str, field: str, *words: str) -> Fact:
    """The newest entry of an act, if there is one, says none of these words."""
    said = says(act, field, *words)
    return Fact(lambda case: not said.holds(case))


def answered(asked: str, *by: str) -> Fact:
    """Every entry of an act is cited by one that answers it; holds when nothing was asked."""

    def holds(case: Case) -> bool:
        cited = {found.head.fields.get("about") for act in by for found in case.done.get(act, ())}
        return all(found.entry.name in cited for found in case.done.get(asked, ()))

    return Fact(holds)


def by_each_side(act: str, *, since: str = "", word: tuple[str, str] = ("", "")) -> Fact:
    """Each side did it, after the newest `since`; the newest entry of each says the word of that field."""
    field, wanted = word

    def counted(case: Case) -> set[NodeName]:
        begun = case.last(since) if since else None
        newest = {found.entry.author: found for found in case.done.get(act, ())}
        return {
            node
            for node, found in newest.items()
            if (not since or (begun is not None and found.at > begun.at))
            and (not field or found.head.fields.get(field) == wanted)
        }

    return Fact(
        lambda case: len(case.sides) > 1 and case.sides <= counted(case),
        (frozenset({act}), *((frozenset({since}),) if since else ())),
        lacks=lambda case: these(case.sides - counted(case)),
    )


def for_each_party(*acts: str, since: str = "", here: bool = False) -> Fact:
    """Each party did one of the acts, or is named by one: after the newest `since`, or since the stage was entered."""
    by_party = all(ACTS[act].of_party for act in acts)

    def named_in(case: Case) -> set[object]:
        begun = case.last(since) if since else None
        start = case.entered if here else -1 if begun is None else begun.at
        named: set[object] = set()
        for act in acts:
            for found in case.done.get(act, ()):
                if found.at > start:
                    parties = found.head.fields.get("parties", ())
                    named.update((found.head.fields.get("on_behalf"), *(parties if isinstance(parties, tuple) else ())))
        return set() if since and begun is None else named

    def holds(case: Case) -> bool:
        if by_party and sum(len(case.done.get(act, ())) for act in acts) < len(case.parties):
            return False  # each names one party only
        return bool(case.parties) and case.parties.keys() <= named_in(case)

    return Fact(
        holds,
        (frozenset(acts), frozenset({"add_party"}), *((frozenset({since}),) if since else ())),
        lacks=lambda case: these(case.parties.keys() - named_in(case), "当事人 ", "party "),
    )


def by_another(act: str, of: str) -> Fact:
    """The newest `act` was done by another officer of another agency than the newest `of`."""

    def holds(case: Case) -> bool:
        checked, did = case.last(act), case.last(of)
        if checked is None or did is None:
            return False
        return checked.head.agency != did.head.agency  # two officers of one name in two offices are two persons

    return Fact(holds, (frozenset({act}), frozenset({of})))


def clock_over(*clocks: str) -> Fact:
    """The lead's node wrote that the time of one of these clocks is over."""
    return Fact(
        lambda case: any(clock.late and clock.name in clocks for clock in case.clocks.values()),
        (frozenset({"overdue"}),),
        frozenset(clocks),
    )


def clock_not_over(*clocks: str) -> Fact:
    over = clock_over(*clocks)
    return Fact(lambda case: not over.holds(case), clocks=over.clocks)


def stated(act: str, field: str, word: str) -> Fact:
    """The newest entry of an act that says anything in that field says this word."""

    def holds(case: Case) -> bool:
        said = [found.head.fields[field] for found in case.done.get(act, ()) if field in found.head.fields]
        return bool(said) and said[-1] == word

    return Fact(holds, (frozenset({act}),), lacks=_undone(act, says=f" {field}={word}"))


def each_claim(*acts: str) -> Fact:
    """Every claim was met with one of the acts, and there is one."""
    met = frozenset(acts)
    return Fact(
        lambda case: bool(case.claims) and not any(met.isdisjoint(about) for about in case.claims.values()),
        (frozenset({"add_claim"}), met),
        lacks=lambda case: these(
            (tag for tag, about in case.claims.items() if met.isdisjoint(about)), "诉求 ", "claim "
        ),
    )


def each_task(*states: str) -> Fact:
    """Every task stands at one of these acts, and there is one."""
    return Fact(
        lambda case: bool(case.tasks) and all(task.state in states for task in case.tasks.values()),
        (frozenset({"record_item"}), frozenset(states)),
        lacks=lambda case: these(
            (tag for tag, task in case.tasks.items() if task.state not in states), "任务 ", "task "
        ),
    )
