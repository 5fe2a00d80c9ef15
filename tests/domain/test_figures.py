"""What the definitions of figures say, how leaves make a value, what two nodes' leaves make, and what is never printed."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.figures import (
    FIGURES_FILE,
    Difference,
    Figure,
    Group,
    Leaf,
    Mark,
    Source,
    check_figures,
    count_figure,
    read_figures,
    unite,
)
from federation.domain.figures_hidden import hide_cells, hide_figures
from federation.domain.response import Hidden, NoComparison
from federation.protocol.errors import MalformedError, NotFoundError
from federation.protocol.form import replace

POLICIES = Path(__file__).parents[2] / "policies"
FILES = {
    f"policies/{path.relative_to(POLICIES)}": path.read_bytes()
    for path in (*POLICIES.glob("*.toml"), *POLICIES.glob("procedures/*.toml"))
}
TABLE = read_figures(FILES)
ATTAIN, COUNT, YOY = (TABLE.load(name) for name in ("response.attain.10", "alert.n", "alert.yoy"))
CHANGSHAN, YUSHAN, GUANGFENG = "330822", "361123", "361103"

ARTICLE = """
330800 award.pingan_streak 18
330800 innovation.items 22
330802 fire.outreach 1037
330802 fraud.cases_yoy -38.76
330802 fraud.loss_yoy -55.29
330802 traffic.congestion_points 18
330802 traffic.peak_index_yoy -10.4
330803 response.attain.1 1/3/10
330803 crime.incidents_yoy -31.43
330803 crime.filed_yoy -29.57
330803 order.incidents_yoy -7.84
330803 order.accepted_yoy -11.65
330803 award.pingan_streak 19
330825 donghua.area 55.2
330825 donghua.residents 4.68
330825 donghua.units 6/21
330825 procedure.size 13/6/13
330822 border.crime_order_yoy -19.7
330822 border.dispute_yoy -27.83
330822 item.mean_days <=3
330822 vehicle.items 164
330822 register.functions 6/23
330822 village.pairs 5x4
330822 award.pingan_streak 19
330824 eco.incidents_yoy -18.1
330824 dispute.resolved_rate 92.59
330824 petition.total_yoy -54.62
330824 volunteers >2700
330824 franchise.income_gain >2
"""
"""The programme article's figures, by county; it gives no baselines, so that none of them can be computed again."""


def leaf(number: int, *, hit: bool = True, ms: int | None = None, marks: tuple[Mark, ...] = (), more: int = 0) -> Leaf:
    names = tuple(f"{number + 1000 * each:064x}" for each in range(more + 1))
    return Leaf(entries=names, hit=hit, ms=ms, marks=marks)


def leaves(count: int, *, hits: int | None = None) -> list[Leaf]:
    return [leaf(number, hit=number < (count if hits is None else hits)) for number in range(count)]


def test_article_stands_in_the_table() -> None:
    """Every figure of the article stands beside its definition, as it was printed."""
    printed = {(row.place, each.id, row.value) for each in TABLE.figure for row in each.published}
    assert printed >= {tuple(line.split()) for line in ARTICLE.split("\n") if line}


def test_published_and_computed() -> None:
    """What the press printed is not what its parts make; both are there, and neither changes the other."""
    [wagon] = TABLE.load("wagon.rate").published
    assert (wagon.value, wagon.computed) == ("89.85", "86.64")
    assert TABLE.load("petition.total_yoy").published[0].computed is None


def test_every_definition_has_its_heading_and_rule() -> None:
    """Each figure stands under one of the six mechanisms at least; under supervision only moves of corrections."""
    assert all(each.joint and each.rule_zh and each.rule_en for each in TABLE.figure)
    assert [each.id for each in TABLE.figure if "supervise" in each.joint] == ["supervise.moves"]
    assert {each.id for each in TABLE.joint} == {heading for each in TABLE.figure for heading in each.joint}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b'kinds = ["dispute"]', b'kinds = ["quarrel"]', "KIND_UNKNOWN"),
        (b'procedure = "wage-claim"', b'procedure = "wages"', "PROCEDURE_UNKNOWN"),
        (b'joint = ["supervise"]', b'joint = ["watch"]', "HEADING_UNKNOWN"),
        (b'id = "vehicle.items"', b'id = "volunteers"', "TWICE"),
        (b'count = "links"\n', b"", "COUNTED"),
        (b"planned = true\n", b"", "COUNTED"),
        (b'form = "mean"', b'form = "average"', "TOML_CHOICE"),
    ],
)
def test_check(old: bytes, new: bytes, what: str) -> None:
    """The check finds what no other file has, what stands twice, and what counts nothing."""
    assert [found.findings for found in check_figures(FILES)] == [()]
    changed = FILES | {FIGURES_FILE: FILES[FIGURES_FILE].replace(old, new)}
    assert what in {each.what for found in check_figures(changed) for each in found.findings}


def test_agreement_without_figures() -> None:
    """An agreement from before figures passes its check and has none; a figure of another name is refused."""
    assert list(check_figures({})) == []
    with pytest.raises(NotFoundError, match="FIGURES_MISSING"):
        read_figures({})
    with pytest.raises(NotFoundError, match="FIGURE_UNKNOWN"):
        TABLE.load("people.score")


# ---- values ---


def test_share() -> None:
    """From twenty on a share is in percent; of fewer the counts are given."""
    found = count_figure(ATTAIN, Group(), leaves(40, hits=34))
    assert (found.value, found.numerator, found.denominator, found.why) == ("85.0", 34, 40, "")
    assert count_figure(ATTAIN, Group(), leaves(40), base=leaves(20, hits=15)).before == "75.0"
    assert found.before == count_figure(ATTAIN, Group(), leaves(40), base=leaves(19)).before == ""
    few = count_figure(ATTAIN, Group(), leaves(19, hits=10))
    assert (few.value, few.numerator, few.denominator, few.why) == ("", 10, 19, "few")
    assert count_figure(ATTAIN, Group(), []).why == "none"


def test_times_and_marks() -> None:
    """Percentiles are of the nearest rank, who never came stands behind all; marks are counted beside."""
    rows = [leaf(n, ms=1000 * n) for n in range(1, 10)] + [leaf(10, hit=False, marks=(Mark.MISSING,))]
    found = count_figure(ATTAIN, Group(), rows)
    assert (found.p50_ms, found.p90_ms, found.p95_ms, found.missing, found.excused) == (5000, 9000, None, 1, 0)
    assert count_figure(ATTAIN, Group(), rows[:4]).p50_ms is None


def test_mean_and_median() -> None:
    """Days are a mean of all, a median stands with its number of things; of none there is no value."""
    days = [leaf(n, ms=86_400_000 * took) for n, took in enumerate((1, 2, 4, 4, 4))]
    mean = count_figure(TABLE.load("item.mean_days"), Group(), days)
    assert (mean.value, mean.numerator, mean.p50_ms, mean.p95_ms) == ("3.0", 5, 4 * 86_400_000, 4 * 86_400_000)
    assert count_figure(TABLE.load("item.mean_days"), Group(), []).why == "none"
    median = count_figure(TABLE.load("handover.p50"), Group(), days[:4])
    assert (median.value, median.why, median.numerator) == ("", "few", 4)


@pytest.mark.parametrize(
    ("now", "before", "value", "why"),
    [
        (72, 100, "-28.0", ""),
        (5, 0, "", NoComparison.BASE_ZERO),
        (5, 4, "", NoComparison.BASE_SMALL),
        (72, None, "", NoComparison.OTHER_DEFINITION),
    ],
)
def test_year_on_year(now: int, before: int | None, value: str, why: str) -> None:
    """A change wants the same definition and a base of five."""
    found = count_figure(YOY, Group(), leaves(now), base=None if before is None else leaves(before))
    assert (found.value, found.why, found.numerator, found.base) == (value, why, now, before)


def test_a_thing_counts_once() -> None:
    """The same leaf twice, in whatever order, is one; the digest is of all names."""
    rows = leaves(30)
    found = count_figure(COUNT, Group(), [*rows, *reversed(rows)])
    assert found == count_figure(COUNT, Group(), rows)
    assert found.numerator == 30
    assert found.digest != count_figure(COUNT, Group(), rows[1:]).digest


# ---- two nodes ---


def test_union_names_the_differences() -> None:
    """One node misses three entries: two alerts and a stamp. The union counts all, and the three are named."""
    full = [leaf(number, more=1, ms=5) for number in range(30)]
    missed = [replace(full[2], entries=full[2].entries[:1], hit=False, ms=None, marks=(Mark.MISSING,)), *full[3:]]
    one, other = (count_figure(ATTAIN, Group(), rows) for rows in (full, missed))
    lost = sorted({*full[0].entries, *full[1].entries, full[2].entries[1]})

    for first, second in ((one, other), (other, one)):
        figure, difference = unite(ATTAIN, first, second)
        assert figure == replace(one, excused=None, late=None)
        assert difference is not None
        assert list(difference.only_one or difference.only_other) == lost
        assert not difference.judged
    assert unite(ATTAIN, one, one) == (replace(one, excused=None, late=None), None)


def test_union_of_what_both_judge_otherwise() -> None:
    """Where both have the same entries and judge them otherwise, the worse counts, and the thing is named."""
    rows = [leaf(number, ms=7) for number in range(20)]
    worse = [replace(rows[0], hit=False), *rows[1:]]
    one, other = (count_figure(ATTAIN, Group(), each) for each in (rows, worse))
    figure, difference = unite(ATTAIN, one, other)
    assert figure.numerator == 19
    assert difference == Difference(id=ATTAIN.id, group=Group(), judged=(rows[0].name,))


def test_union_refuses_other_meanings() -> None:
    """Figures of another version or group are never added."""
    one = count_figure(ATTAIN, Group(), leaves(20))
    for other in (replace(one, version=2), replace(one, group=Group(county=YUSHAN))):
        with pytest.raises(MalformedError, match="FIGURES_DIFFER"):
            unite(ATTAIN, one, other)


def test_union_wants_all_leaves() -> None:
    """Leaves that are not those of the digest are no figure: they were left out, or changed."""
    one = count_figure(ATTAIN, Group(), leaves(20))
    for rows in ((), one.leaves[1:], (leaf(99), *one.leaves[1:])):
        with pytest.raises(MalformedError, match="FIGURES_LEAVES"):
            unite(ATTAIN, one, replace(one, leaves=tuple(rows)))


# ---- small numbers ---


def counted(counts: dict[tuple[str, str], int], definition: str = "alert.n") -> list[Figure]:
    """A table of counties and kinds, with all its totals."""
    rows = {key: [leaf(1000 * place + n) for n in range(count)] for place, (key, count) in enumerate(counts.items())}
    groups = {(county, kind) for each in counts for county, kind in product((each[0], ""), (each[1], ""))}
    return [
        count_figure(
            TABLE.load(definition), Group(county=county, kind=kind),
            [row for key, found in rows.items() for row in found if county in ("", key[0]) and kind in ("", key[1])],
        )
        for county, kind in sorted(groups)
    ]  # fmt: skip


def shown(figures: list[Figure], own: set[str]) -> dict[tuple[str, str], str]:
    return {(each.group.county, each.group.kind): each.value or each.why for each in hide_figures(figures, own=own)}


def test_small_numbers_of_a_neighbour() -> None:
    """A small number of the other side is hidden with every sum that would tell it; one's own stays."""
    counts = {(CHANGSHAN, "dispute"): 3, (CHANGSHAN, "help"): 40, (YUSHAN, "dispute"): 2, (YUSHAN, "help"): 30}
    found = shown(counted(counts), {CHANGSHAN})
    assert (found[CHANGSHAN, "dispute"], found[CHANGSHAN, "help"], found[CHANGSHAN, ""]) == ("3", "40", "43")
    assert found[YUSHAN, "dispute"] == Hidden.SMALL
    assert found["", "dispute"] != "5"  # 5 - 3 of one's own would tell the two
    hidden = {name for name, value in found.items() if value in tuple(Hidden)}
    assert hidden >= {(YUSHAN, "dispute"), ("", "dispute")}
    assert (YUSHAN, "") in hidden or (YUSHAN, "help") in hidden  # or the kinds of the county would tell it


def test_hidden_figures_have_no_leaves() -> None:
    """A hidden number is not told by its leaves, its digest or what stands beside it."""
    for each in hide_figures(counted({(YUSHAN, "dispute"): 2, (YUSHAN, "help"): 30}), own={CHANGSHAN}):
        if each.why:
            assert (each.leaves, each.digest, each.numerator, each.denominator) == ((), "", None, None)


def test_nothing_of_the_own_side_is_hidden() -> None:
    """Without a county of the other side every number is printed, however small."""
    figures = counted({(CHANGSHAN, "dispute"): 1, (CHANGSHAN, "help"): 0})
    assert list(hide_figures(figures, own={CHANGSHAN})) == figures


def test_marks_of_a_neighbour() -> None:
    """How many never came or were excused is a number, too: small ones of the other side are not told."""
    rows = [leaf(n, hit=n < 25, marks=() if n < 28 else (Mark.EXCUSED,)) for n in range(30)]
    [found] = hide_figures([count_figure(ATTAIN, Group(county=YUSHAN), rows)], own={CHANGSHAN})
    assert (found.value, found.excused, found.hidden) == ("83.3", None, ("missing", "excused", "late"))
    assert not any(each.marks for each in found.leaves)


def test_base_of_a_neighbour() -> None:
    """A small number of last year is not told: neither by the change, nor by the reason why there is none."""
    found = [
        hide_figures([count_figure(YOY, Group(county=YUSHAN), leaves(30), base=leaves(base))], own={CHANGSHAN})[0]
        for base in (0, 4, 5)
    ]
    assert [(each.value, each.why, each.base, each.numerator) for each in found] == [
        ("", NoComparison.BASE_SMALL, None, 30), ("", NoComparison.BASE_SMALL, None, 30), ("500.0", "", 5, 30)
    ]  # fmt: skip
    assert found[0] == found[1]
    assert unite(YOY, found[0], found[1])[0].why == NoComparison.BASE_SMALL


@given(
    st.dictionaries(
        st.tuples(st.sampled_from([CHANGSHAN, YUSHAN, GUANGFENG]), st.sampled_from("abc")), st.integers(0, 9),
        min_size=1,
    )
)  # fmt: skip
def test_no_difference_tells(counts: dict[tuple[str, str], int]) -> None:
    """Whoever knows the own numbers and all that is printed can compute no hidden small number from any one sum."""
    kinds, counties = {kind for _, kind in counts}, {county for county, _ in counts}
    counts = {key: counts.get(key, 0) for key in product(sorted(counties), sorted(kinds))}
    figures = counted(counts)
    true = {(each.group.county, each.group.kind): each.numerator or 0 for each in figures}
    found = shown(figures, {CHANGSHAN})
    hidden = {name for name, value in found.items() if value in tuple(Hidden)}
    assert {name for name, value in true.items() if name[0] not in ("", CHANGSHAN) and value < 5} <= hidden
    assert not {name for name in hidden if name[0] == CHANGSHAN}
    sums = [
        *((("", kind), [(county, kind) for county in counties]) for kind in (*kinds, "")),
        *(((county, ""), [(county, kind) for kind in kinds]) for county in (*counties, "")),
    ]
    for total, parts in sums:
        gone = [part for part in parts if part in hidden]
        assert total in hidden or not gone or (len(gone) > 1 and sum(true[part] for part in gone) >= 5)
        assert total not in hidden or gone


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(0, 12)), min_size=3, max_size=3),
)
def test_no_other_figure_tells(rows: list[tuple[int, int, int]]) -> None:
    """What one figure hides of a place is printed by no other figure of that place: three of the same alerts."""
    counties = (YUSHAN, GUANGFENG, "330824")
    figures = []
    for name in ("alert.n", "false.share", "alert.yoy"):
        base = 1000
        parts: dict[str, list[Leaf]] = {}
        for county, (count, _, hits) in zip(counties, rows, strict=True):
            parts[county] = [leaf(base + n, hit=name != "false.share" or n < hits) for n in range(count)]
            base += 1000
        parts[""] = [each for found in parts.values() for each in found]
        figures += [
            count_figure(TABLE.load(name), Group(county=county), found, base=[]) for county, found in parts.items()
        ]
    shown_ = hide_figures(figures, own=())
    for before, after in zip(figures, shown_, strict=True):
        if after.why != Hidden.BESIDE:
            continue  # a small number is hidden wherever it stands
        if before.id == "alert.n" and min(count for count, _, _ in rows) < 5:  # a share may hide its hits alone
            for other in shown_:
                if other.group == before.group and other.why not in tuple(Hidden):
                    assert before.numerator not in (other.numerator, other.denominator)


def test_cells_of_one_table() -> None:
    """A cell that another sum hid is taken into account in the sums that it is part of."""
    found = hide_cells([[9, 4, 5]], ((0, 1, 2),), unknown={0, 1, 2})
    assert found == {1: Hidden.SMALL, 0: Hidden.BESIDE}  # of two parts the total goes, and the other one stays
    three = hide_cells([[15, 4, 5, 6]], ((0, 1, 2, 3),), unknown={0, 1, 2, 3})
    assert three == {1: Hidden.SMALL, 2: Hidden.BESIDE}
    assert hide_cells([[9, 4, 5]], ((0, 1, 2),), unknown=set()) == {}
    assert hide_cells([[4, 4, 0]], ((0, 1, 2),), unknown={0, 1, 2}).keys() == {0, 1, 2}


def test_sources() -> None:
    """What the police deliver is never counted here; texts have no arithmetic."""
    delivered = {each.id for each in TABLE.figure if each.source is Source.DELIVERED}
    assert delivered >= {"crime.incidents_yoy", "fraud.cases_yoy", "traffic.congestion_points", "petition.total_yoy"}
    assert not any(each.count for each in TABLE.figure if each.source is not Source.OWN)
