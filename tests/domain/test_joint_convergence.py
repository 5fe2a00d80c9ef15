"""Four nodes that write, lose, repeat and delay entries, two of them badly: who holds the same set has the same record."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.joint_record import Fold, Record
from federation.protocol.errors import RuleError
from tests.domain.joint_world import NODES, RECORD, ZHEJIANG, place, seen, write

OPENING = write(ZHEJIANG, place(1), act="open")
HOW = ("act", "act", "act", "act", "cut", "fork", "old", "height", "reach")


class Union:
    """Four nodes, each with its own record; what one writes reaches another when the history says so, or at the end."""

    def __init__(self):
        self.records = {node: Record(RECORD, [OPENING]) for node in NODES}
        self.under_way = {node: [] for node in NODES}
        self.written = [OPENING]

    def step(self, node, how, number):
        """One thing that happens at a node; `number` says which."""
        record = self.records[node]
        if how == "reach":  # any of what is under way, an old one or the newest, once more
            for _ in range(number % 4):
                if waiting := self.under_way[node]:
                    record.add(waiting[number % len(waiting)])
            return
        try:
            at = record.place_for(node)
        except RuleError:
            return
        own = [entry for entry in record.order if entry.author == node]
        wanted = {"salt": str(len(self.written))}
        if how == "cut":
            other = NODES[number % 4]
            held = [entry.head.n for entry in record.order if entry.author == other]
            wanted["cut"] = (f"{other}:{max(0, max(held, default=0) - number % 3 // 2)}",)
        elif how == "old":
            at = place(at.n, record.order[number % len(record.order)])
        elif how == "height":
            at = type(at)(n=at.n, parents=at.parents, height=number % 20 + 1)
        made = [write(node, at, **wanted)]
        if how == "fork":  # another word to some of them
            again = at if number % 2 or not own else place(own[-1].head.n, record.order[number % len(own)])
            made.append(write(node, again, salt=f"{len(self.written)}again"))
        for entry in made:
            if entry.head.height == 0 and entry != OPENING:
                continue
            self.written.append(entry)
            for to in NODES:
                self.under_way[to].append(entry)
        record.add(made[-1] if number % 3 else made[0])


@st.composite
def unions(draw):
    """Four nodes after some history."""
    union = Union()
    steps = st.tuples(st.sampled_from(NODES), st.sampled_from(HOW), st.integers(0, 99))
    for node, how, number in draw(st.lists(steps, max_size=30)):
        union.step(node, how, number)
    return union


def remember(state, entry, barred):
    """A fold that forgets nothing of what it was given."""
    return (*state, (entry.name, barred))


@given(unions(), st.randoms(use_true_random=False))
def test_who_holds_the_same_set_has_the_same_record(union, random):
    """After a partition that heals: all that was written reaches all, in another order each, some of it twice."""
    expected = seen(Record(RECORD, union.written))
    for node in NODES:
        record, arriving = union.records[node], [*union.written, *union.written[::2]]
        random.shuffle(arriving)
        for entry in arriving:
            record.add(entry)
        assert seen(record) == expected


@given(unions(), st.randoms(use_true_random=False))
def test_entry_by_entry_is_as_from_scratch(union, random):
    """After each arrival, with the rest lost; what `add` says did not change did not, and the fold is the same."""
    arriving = union.written[:]
    random.shuffle(arriving)
    fold = Fold(Record(RECORD), start=(), step=remember)
    before = fold.state
    for number, entry in enumerate(arriving, start=1):
        first = fold.add(entry)
        scratch = Record(RECORD, arriving[:number])
        assert seen(fold.record) == seen(scratch)
        now = fold.state
        assert now == Fold(scratch, start=(), step=remember).state
        assert now[:first] == before[:first]
        assert (first is None) == (now == before)
        before = now


@given(unions())
def test_order_keeps_what_the_entries_say(union):
    """Parents first; each author's line in its numbers, without one twice; what waits is not ordered."""
    record = Record(RECORD, union.written)
    places = {entry.name: number for number, entry in enumerate(record.order)}
    assert {*places, *(found.entry.name for found in record.pending)} == {entry.name for entry in union.written}
    assert len(places) + len(record.pending) == len({entry.name for entry in union.written})
    assert all(places[parent] < places[entry.name] for entry in record.order for parent in entry.head.parents)
    for node in NODES:
        line = [entry for entry in record.order if entry.author == node and entry.name not in record.barred]
        assert [entry.head.n for entry in line] == list(range(1, len(line) + 1))
        assert all(one.name in two.head.parents for one, two in pairwise(line))


@pytest.mark.parametrize("how", ["cut", "fork", "old", "height"])
def test_history_holds_what_it_is_to_hold(how):
    """The histories above are not all of well-behaved nodes: each bad step leaves a finding."""
    union = Union()
    for node in NODES:
        union.step(node, "act", 1)
    union.step(NODES[1], how, 5)
    union.step(NODES[1], "act", 1)
    union.step(NODES[1 if how == "old" else 2], how, 1)
    assert Record(RECORD, union.written).findings
