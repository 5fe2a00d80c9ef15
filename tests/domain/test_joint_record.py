"""The record that a set of entries is: order, lines, forks, cuts, what waits, what a peer can make grow."""

from __future__ import annotations

import pytest

from federation.domain import joint_record
from federation.domain.joint import MAX_PARENTS
from federation.domain.joint_order import MAX_FORKS, Barred
from federation.domain.joint_record import Finding, FindingKind, Fold, Place, Record
from federation.protocol.errors import RuleError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, RecordId
from tests.domain.joint_world import ANHUI, FUJIAN, JIANGXI, RECORD, ZHEJIANG, act, place, seen, write

OPENING = write(ZHEJIANG, place(1), act="open")


@pytest.fixture
def record() -> Record:
    """A record that zhejiang opened."""
    return Record(RECORD, [OPENING])


def names(entries):
    return [entry.name for entry in entries]


def test_entries_are_ordered_after_what_they_stand_on(record):
    """Two at once are ordered by a tie-break of record, author and number, which no salt changes."""
    one = write(JIANGXI, place(1, OPENING), salt="a")
    two = write(FUJIAN, place(1, OPENING), salt="b")
    other = write(JIANGXI, place(1, OPENING), salt="c")

    assert names(Record(RECORD, [two, OPENING, one]).order) == names(Record(RECORD, [one, two, OPENING]).order)
    before = [entry.author for entry in Record(RECORD, [OPENING, one, two]).order]
    assert before == [entry.author for entry in Record(RECORD, [OPENING, other, two]).order]


def test_next_entry_stands_on_the_newest_of_each_author(record):
    """Its own among them; the height is one more than the highest; only the opener writes on nothing."""
    one = act(record, JIANGXI)
    two = act(record, ZHEJIANG)

    assert record.place_for(FUJIAN) == place(1, one, two)
    assert record.place_for(ZHEJIANG) == Place(n=3, parents=frozenset({one.name, two.name}), height=3)
    assert Record(RECORD).place_for(ZHEJIANG) == Place(n=1, parents=frozenset(), height=0)
    with pytest.raises(RuleError, match="RECORD_NOT_OPENED"):
        Record(RECORD).place_for(JIANGXI)


def test_entry_says_whether_it_merely_follows(record):
    """The place of the first change: a fold goes on from there; an entry that is here, or waits, changes nothing."""
    one, two = write(JIANGXI, place(1, OPENING)), write(FUJIAN, place(1, OPENING))
    three = write(JIANGXI, place(2, one, two))
    assert record.add(three) is None
    assert record.add(one) == 1
    assert record.add(one) is None
    assert record.add(write(ANHUI, place(1, one))) == 2
    assert record.add(two) in (1, 2)
    assert three in record.order


def test_entry_waits_for_what_it_stands_on(record):
    """It is here, it is not in the order, and it says what it waits for."""
    one = write(JIANGXI, place(1, OPENING))
    two, three = write(JIANGXI, place(2, one)), None
    three = write(JIANGXI, place(3, two))
    record.add(three)
    assert [(found.entry, found.names) for found in record.pending] == [(three, (two.name,))]
    assert record.gaps == ("jiangxi:1", "jiangxi:2")
    record.add(two)
    assert [found.names for found in record.pending] == [(one.name,), ()]
    assert record.gaps == ("jiangxi:1",)
    record.add(one)
    assert (record.pending, record.gaps) == ((), ())
    assert names(record.order) == names([OPENING, one, two, three])


def test_old_parents_have_no_effect_and_can_be_mended(record):
    """An author that does not cite its own entry before gains nothing; the same number, written well, counts."""
    one = act(record, JIANGXI)
    old = write(JIANGXI, place(2, OPENING))
    record.add(old)
    assert record.barred == {old.name: Barred.OLD_PARENTS}
    assert record.findings == (Finding(JIANGXI, 2, FindingKind.OLD_PARENTS, (old.name,)),)
    well = write(JIANGXI, place(2, one))
    record.add(well)
    assert record.barred == {old.name: Barred.OLD_PARENTS}
    assert {found.kind for found in record.findings} == {FindingKind.OLD_PARENTS, FindingKind.FORK}
    assert record.place_for(JIANGXI).n == 3


def test_false_height_moves_nothing(record):
    """Nobody comes first or last by claiming a height: the order goes by the parents."""
    one = act(record, JIANGXI)
    low = write(FUJIAN, replace(place(1, one), height=1))
    high = write(ANHUI, replace(place(1, OPENING), height=9))
    for entry in (low, high):
        record.add(entry)
    assert record.barred == {low.name: Barred.HEIGHT, high.name: Barred.HEIGHT}
    assert record.order[-1] == low
    assert record.place_for(ZHEJIANG).height == 2


def test_two_entries_of_a_number_end_the_line_of_their_author(record):
    """Nobody can tell which one counts: neither, nor what follows either; both stay as evidence."""
    one, other = (write(JIANGXI, place(1, OPENING), salt=salt) for salt in "ab")
    next_one = write(JIANGXI, place(2, one))
    for entry in (one, next_one, other):
        record.add(entry)
    assert record.barred == {one.name: Barred.FORKED, other.name: Barred.FORKED, next_one.name: Barred.BEHIND}
    assert record.findings == (Finding(JIANGXI, 1, FindingKind.FORK, tuple(sorted((one.name, other.name)))),)
    assert record.place_for(ZHEJIANG) == place(2, OPENING)
    with pytest.raises(RuleError, match="RECORD_LINE_ENDED"):
        record.place_for(JIANGXI)


def test_nobody_takes_back_what_others_built_on(record):
    """The entry that another author stands on counts, whatever its author writes under that number later."""
    signed = act(record, JIANGXI)
    answer = act(record, ZHEJIANG)
    again = write(JIANGXI, place(1, OPENING), salt="again")
    assert record.add(again) in (1, 2)
    assert record.barred == {again.name: Barred.FORKED}
    record.add(write(JIANGXI, place(2, again)))
    assert set(record.barred.values()) == {Barred.FORKED, Barred.BEHIND}
    assert record.place_for(FUJIAN) == place(1, signed, answer)


def test_two_entries_of_a_number_that_others_built_on_count_for_nobody(record):
    """One told one thing to one member and another to another: what stands on either stays, neither counts."""
    one, other = (write(JIANGXI, place(1, OPENING), salt=salt) for salt in "ab")
    for entry in (one, other, write(FUJIAN, place(1, one)), write(ANHUI, place(1, other))):
        record.add(entry)
    assert record.barred == {one.name: Barred.FORKED, other.name: Barred.FORKED}
    both = write(ZHEJIANG, place(2, OPENING, one, other))
    assert record.add(both) == 5
    assert both.name not in record.barred


def test_line_ends_when_numbers_are_used_twice_too_often(record):
    """Others built on the first of each pair: after some pairs nobody goes on with that author."""
    for n in range(1, MAX_FORKS + 2):
        at = record.place_for(JIANGXI)
        one, other = (write(JIANGXI, at, salt=salt) for salt in "ab")
        record.add(one)
        act(record, ZHEJIANG)
        record.add(other)
        assert (one.name in record.barred) == (n > MAX_FORKS)
    third = write(JIANGXI, at, salt="c")
    record.add(third)
    assert record.barred[third.name] is Barred.FORKED
    assert seen(record) == seen(Record(RECORD, record.order))


def test_what_a_cut_did_not_know_comes_after_it(record):
    """Who is removed gains nothing by an entry that cites what was before, whatever its height."""
    one = act(record, JIANGXI)
    for _ in range(3):
        act(record, ZHEJIANG)
    removal = act(record, ZHEJIANG, act="remove", cut=("jiangxi:1",))
    behind = write(JIANGXI, place(2, one))
    on_it = write(ANHUI, place(1, behind))
    for entry in (behind, on_it):
        record.add(entry)
    assert names(record.order)[-3:] == names([removal, behind, on_it])
    assert record.barred == {}
    assert record.findings == (Finding(JIANGXI, 2, FindingKind.BEYOND_CUT, (behind.name, removal.name)),)


def test_cut_does_not_reach_what_it_knew(record):
    """A cut below what its author held takes nothing back, and what knows of the cut is no finding."""
    one = act(record, JIANGXI)
    removal = act(record, ZHEJIANG, act="remove", cut=("jiangxi:0",))
    after = act(record, JIANGXI)
    assert names(record.order) == names([OPENING, one, removal, after])
    assert record.findings == ()


def test_of_two_cuts_the_first_reaches_the_other(record):
    """Two nodes that remove each other at once: the first in order does, and the other comes after it."""
    one, two = act(record, JIANGXI), act(record, FUJIAN)
    ours = write(JIANGXI, place(2, one, two), act="remove", cut=("fujian:1",))
    theirs = write(FUJIAN, place(2, one, two), act="remove", cut=("jiangxi:1",))
    for entry in (ours, theirs):
        record.add(entry)
    first, second = record.order[-2:]
    assert {first, second} == {ours, theirs}
    assert record.findings == (Finding(second.author, 2, FindingKind.BEYOND_CUT, (second.name, first.name)),)


def test_fold_goes_on_or_again(record):
    """Each entry is folded once while it follows; a late one has what comes after it folded again."""
    steps = []

    def step(state, entry, barred):
        steps.append(entry.name)
        return (*state, entry.name, barred)

    fold = Fold(record, start=(), step=step)
    written = [write(ZHEJIANG, place(2, OPENING))]
    for n in range(3, 200):
        written.append(write(ZHEJIANG, place(n, written[-1])))
    for entry in written:
        fold.add(entry)
        assert fold.state[-2:] == (entry.name, None)
    assert steps == names([OPENING, *written])
    late = write(JIANGXI, place(1, written[150]))
    fold.add(late)
    assert fold.state[::2] == tuple(names(record.order))
    assert len(steps) < 300
    fork = write(ZHEJIANG, place(2, OPENING), salt="b")
    fold.add(fork)
    assert fold.state == Fold(Record(RECORD, record.order), start=(), step=step).state


def test_what_waits_is_bounded(record, monkeypatch):
    """A peer whose entries stand on nothing is asked to come again; what another author waits for is taken."""
    monkeypatch.setattr(joint_record, "MAX_BESIDE", 3)
    missing = write(JIANGXI, place(1, OPENING), salt="missing")
    waiting = [write(JIANGXI, place(n, missing)) for n in (2, 3, 4, 5)]
    for entry in waiting[:3]:
        record.add(entry)
    with pytest.raises(UnavailableError, match="RECORD_PENDING_FULL"):
        record.add(waiting[3])
    assert Record(RECORD).add(waiting[3]) is None
    record.add(write(FUJIAN, place(1, OPENING, waiting[3])))
    record.add(waiting[3])
    assert len(record.pending) == 5
    more = write(JIANGXI, place(6, missing))
    assert record.add(more, stored=True) is None
    assert len(record.pending) == 6, "what was stored before is never refused when it is read again"


def test_size_of_a_record_is_bounded(record, monkeypatch):
    """In all and for one author, whatever others wait for."""
    monkeypatch.setattr(joint_record, "MAX_OF_AUTHOR", 2)
    one = act(record, JIANGXI)
    two = act(record, JIANGXI)
    with pytest.raises(RuleError, match="RECORD_FULL"):
        record.place_for(JIANGXI)
    with pytest.raises(UnavailableError, match="RECORD_FULL"):
        record.add(write(JIANGXI, place(3, two)))
    monkeypatch.setattr(joint_record, "MAX_ENTRIES", 3)
    with pytest.raises(UnavailableError, match="RECORD_FULL"):
        record.add(write(ZHEJIANG, place(2, OPENING, one)))
    assert record.add(two) is None


def test_entry_of_another_record_is_refused(record):
    """Entries of two cases are never one order."""
    head = replace(OPENING.head, record=RecordId(RECORD.replace("0000", "0001")))
    with pytest.raises(RuleError, match="ENTRY_RECORD"):
        record.add(replace(OPENING, name="ab" * 32, head=head))


def test_line_of_a_node_says_what_each_entry_is_the_first_to_stand_on(record):
    """From it an auditor sees what an author knew; what does not count is in no line."""
    one, two = act(record, JIANGXI), act(record, FUJIAN)
    for salt in "ab":
        record.add(write(ANHUI, place(1, OPENING), salt=salt))
    careless = write(ZHEJIANG, place(2, OPENING, one))
    record.add(careless)
    last = act(record, ZHEJIANG)
    assert [(entry, set(new)) for entry, new in record.line_of(ZHEJIANG)] == [
        (OPENING, set()),
        (careless, {OPENING.name, one.name}),
        (last, {careless.name, two.name}),
    ]
    assert list(record.line_of(ANHUI)) == []


def test_parents_are_bounded(record):
    """Of more authors than parents it is the newest entries that are cited, the own one first."""
    authors = [NodeName(f"node{number}") for number in range(MAX_PARENTS)]
    written = [write(author, place(1, OPENING)) for author in authors]
    for entry in written:
        record.add(entry)
    newest = [act(record, author) for author in authors[:3]]
    cited = record.place_for(ZHEJIANG).parents
    assert len(cited) == MAX_PARENTS
    assert {OPENING.name, *names(newest)} <= cited
