"""Figures as the provinces agreed on them: what each means, how its leaves make its value, and what is never printed.

Rules kept: a figure has its numerator and denominator, its definition with a version, its source, and the names of the
entries that it counts. A figure of several nodes is counted from the union of their leaves, never from their values;
nothing is averaged over counties. Of fewer than 20 the counts are given, no percent; a number of the other side below 5
is hidden, and with it whatever sum or difference would tell it. What the press printed stands beside what was counted
and changes nothing.
Source: `policies/figures.toml` (`official = false`), joint records as in DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar, Final

from federation.domain.alert import AlertState
from federation.domain.alert_kinds import ALERTS_FILE, read_alerts
from federation.domain.findings import Finding, ProcedureCheck, not_in
from federation.domain.functions import FUNCTIONS_FILE, parse_functions
from federation.domain.procedure import procedure_names
from federation.domain.response import LEAST_FOR_SHARE, LEAST_SHOWN, NoComparison, year_on_year
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, nearest
from federation.protocol.form import Count, County, Digest, Item, Positive, Row, always, load_toml, parse_toml, replace

FIGURES_FILE: Final = "policies/figures.toml"
DAY_MS: Final = 86_400_000
NO_AREA: Final = "-"
"""The group of what lies in no agreed area."""


class Source(StrEnum):
    """Counted here; handed in, signed, by the office that owns it; or a text, which is no number to us."""

    OWN = "own"
    DELIVERED = "delivered"
    TEXT = "text"


class Form(StrEnum):
    COUNT = "count"
    SHARE = "share"
    MEDIAN = "median"
    MEAN = "mean"
    YOY = "yoy"
    TEXT = "text"


class Counts(StrEnum):
    """The things that an own figure may count; each has its counting in `figures_count`."""

    ATTAIN = "attain"
    ALERTS = "alerts"
    BORDER_ALERTS = "border_alerts"
    EXERCISES = "exercises"
    CONTACT = "contact"
    INTERVAL = "interval"
    PHONE = "phone"
    FALSE = "false"
    LATE_SYNC = "late_sync"
    HANDOVERS = "handovers"
    LINKS = "links"
    SAMPLED = "sampled"
    REFUTED = "refuted"
    RESOLVED = "resolved"
    CLOSED = "closed"
    DAYS = "days"
    VEHICLES = "vehicles"
    REGISTER = "register"
    VOLUNTEERS = "volunteers"
    PATROLS = "patrols"
    PROBLEMS = "problems"


class Heading(Row, frozen=True, kw_only=True):
    id: str
    zh: str
    en: str


class Published(Row, frozen=True, kw_only=True):
    """A number as it was printed for a place, with the words around it; its parts where it names them."""

    place: County
    value: str
    words: str
    numerator: Count | None = None
    denominator: Positive | None = None

    @property
    def computed(self) -> str | None:
        """The share that its own parts make, in percent with two decimals; it may differ from the value."""
        if self.numerator is None or self.denominator is None:
            return None
        return percent(self.numerator, self.denominator, digits=2)


class Meaning(Item, frozen=True, kw_only=True):
    """A definition as it stands beside its figure; headings by their ids, what was printed as it was printed."""

    WHAT: ClassVar[str] = "meaning of a figure"

    id: str
    version: Positive
    zh: str
    en: str
    source: Source
    form: Form
    unit: str = ""
    digits: Count = always(1)
    planned: bool = False
    joint: tuple[str, ...] = ()
    cross: tuple[str, ...] = ()
    rule_zh: str
    rule_en: str


class Definition(Row, frozen=True, kw_only=True):
    """One figure. `since`: the first day that this version counts; `count` and what narrows it: of own ones only.

    `owners` are the kinds of agency that deliver it.
    """

    id: str
    version: Positive = 1
    since: date = date.min
    zh: str
    en: str
    source: Source
    form: Form
    unit: str = ""
    digits: Count = always(1)
    count: Counts | None = None
    stage: AlertState | None = None
    kinds: tuple[str, ...] = ()
    procedure: str = ""
    ends: tuple[str, ...] = ()
    planned: bool = False
    joint: tuple[str, ...] = ()
    cross: tuple[str, ...] = ()
    rule_zh: str
    rule_en: str
    owners: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()

    @property
    def meaning(self) -> Meaning:
        return Meaning(**{name: getattr(self, name) for name in Meaning.__struct_fields__})


class FigureTable(Row, frozen=True, kw_only=True):
    """The whole file; `joint` are the six mechanisms, `cross` the six across the border."""

    version: str
    official: bool
    joint: tuple[Heading, ...]
    cross: tuple[Heading, ...]
    figure: tuple[Definition, ...]

    def load(self, name: str) -> Definition:
        """Returns the definition of that name (FIGURE_UNKNOWN)."""
        found = next((each for each in self.figure if each.id == name), None)
        if found is None:
            zh, en = nearest(name, (each.id for each in self.figure))
            raise NotFoundError("FIGURE_UNKNOWN", f"没有这一统计指标{zh} | expected a figure of {FIGURES_FILE}{en}")
        return found


def parse_figures(text: str) -> FigureTable:
    """Parses `figures.toml`; refuses TOML_*. What the rows say of other files is `check_figures`."""
    return load_toml(FigureTable, parse_toml(text, what="figures"), what="figures")


@lru_cache(maxsize=4)
def _parse(content: bytes) -> FigureTable:
    return parse_figures(content.decode(errors="replace"))


def read_figures(files: Mapping[str, bytes]) -> FigureTable:
    """The definitions of an agreement; refuses one from before figures (FIGURES_MISSING)."""
    if FIGURES_FILE not in files:
        raise NotFoundError("FIGURES_MISSING", f"expected {FIGURES_FILE} in the agreement")
    return _parse(files[FIGURES_FILE])


def check_figures(files: Mapping[str, bytes]) -> Iterator[ProcedureCheck]:
    """Checks the definitions among the files of an agreement; one from before figures has none."""
    if FIGURES_FILE not in files:
        return
    try:
        table = read_figures(files)
        found = tuple(_find_faults(table, files))
    except BridgeheadError as error:
        yield ProcedureCheck(name="figures", stages=0, findings=(Finding(what=error.reason, where=error.message),))
        return
    yield ProcedureCheck(name="figures", stages=len(table.figure), findings=found)


def _find_faults(table: FigureTable, files: Mapping[str, bytes]) -> Iterator[Finding]:
    """The faults of the table; of an agreement without alerts, or without procedures, what names them is not."""
    kinds = read_alerts(files).kinds if ALERTS_FILE in files else {name for each in table.figure for name in each.kinds}
    procedures = tuple(procedure_names(files)) or {each.procedure for each in table.figure}
    ids = [each.id for each in table.figure]
    yield from (Finding(what="TWICE", where="figure", name=name) for name in sorted(set(ids)) if ids.count(name) > 1)
    for each in table.figure:
        where = f"figure {each.id}"
        yield from not_in(each.joint, {heading.id for heading in table.joint}, what="HEADING_UNKNOWN", where=where)
        yield from not_in(each.cross, {heading.id for heading in table.cross}, what="HEADING_UNKNOWN", where=where)
        yield from not_in(each.kinds, kinds, what="KIND_UNKNOWN", where=where)
        yield from not_in(
            (each.procedure,) if each.procedure else (), procedures, what="PROCEDURE_UNKNOWN", where=where
        )
        if (each.source is Source.OWN and not each.planned) != (each.count is not None):
            yield Finding(what="COUNTED", where=where, name=each.count or "")
        register = parse_functions(files.get(FUNCTIONS_FILE, b"").decode(errors="replace"))
        yield from not_in(each.owners, register.agency_kinds, what="AGENCY_KIND", where=where)
        if (each.source is Source.DELIVERED) != bool(each.owners):
            yield Finding(what="OWNED", where=where)


# ---- leaves, and what they make ---


class Mark(StrEnum):
    """A word about a leaf beside its time: nobody came, late with a reason, entered late (补录)."""

    MISSING = "missing"
    EXCUSED = "excused"
    ENTERED_LATE = "entered_late"


class Leaf(Item, frozen=True, kw_only=True):
    """One thing that a figure counts, by the names of the entries that make it so: the first one is the thing itself.

    `hit`: it is in the numerator; `ms`: how long it took.
    """

    WHAT: ClassVar[str] = "leaf of a figure"

    entries: tuple[Digest, ...]
    hit: bool = False
    ms: Count | None = None
    marks: tuple[Mark, ...] = ()

    @property
    def name(self) -> str:
        return self.entries[0]


class Group(Item, frozen=True, kw_only=True):
    """The things counted: those of one duty class, county, area and kind, or of all where it names none."""

    WHAT: ClassVar[str] = "group of a figure"

    duty_class: str = ""
    county: str = ""
    area: str = ""
    kind: str = ""


class Figure(Item, frozen=True, kw_only=True):
    """A number as it is printed. `value` is empty where there is none, and `why` says the reason.

    `base` is the number of the same period of last year, `before` its share in percent; `late` are entered late,
    `doubtful` left out for a clock; `hidden` names the numbers that are left out beside it; `digest` is of the leaves,
    whether they are here or not. `own` were in time counted from when the answering node had the alert, `transit_ms` is
    the median time until then, `heap` fell into the last ten seconds before the limit; none of them changes the value.
    Delivered figures and texts have `words`; a delivered one says `by` whom, and what its own parts make.
    """

    WHAT: ClassVar[str] = "figure"

    id: str
    version: Positive
    source: Source
    form: Form
    group: Group
    value: str = ""
    why: str = ""
    numerator: Count | None = None
    denominator: Count | None = None
    base: Count | None = None
    before: str = ""
    p50_ms: Count | None = None
    p90_ms: Count | None = None
    p95_ms: Count | None = None
    missing: Count | None = None
    excused: Count | None = None
    late: Count | None = None
    doubtful: Count | None = None
    own: Count | None = None
    transit_ms: Count | None = None
    heap: Count | None = None
    hidden: tuple[str, ...] = ()
    words: str = ""
    by: str = ""
    computed: str = ""
    digest: str = ""
    leaves: tuple[Leaf, ...] = ()
    base_leaves: tuple[Leaf, ...] = ()

    @property
    def key(self) -> tuple[str, int, Group]:
        """By which two nodes' figures are told to be the same one."""
        return self.id, self.version, self.group


def count_figure(
    definition: Definition | Meaning, group: Group, leaves: Iterable[Leaf], *, base: Iterable[Leaf] | None = None
) -> Figure:
    """The figure that leaves make, each once by its name, in whatever order; `base`: those of last year.

    Without a base a change of the year is refused as of another definition.
    """
    found = {leaf.name: leaf for leaf in sorted(leaves, key=lambda leaf: leaf.entries)}
    before = {leaf.name: leaf for leaf in sorted(base or (), key=lambda leaf: leaf.entries)}
    rows, past = tuple(found.values()), tuple(before.values())
    figure = Figure(
        id=definition.id, version=definition.version, source=definition.source, form=definition.form, group=group,
        digest=digest_of((*rows, *past)), leaves=rows, base_leaves=past,
    )  # fmt: skip
    match definition.form:
        case Form.SHARE:
            shares = [
                _with_share(
                    replace(figure, numerator=sum(leaf.hit for leaf in each), denominator=len(each)), definition.digits
                )
                for each in (rows, past)
            ]
            return _timed(replace(shares[0], before=shares[1].value))
        case Form.MEDIAN:
            timed = _timed(figure)
            return replace(timed, numerator=len(rows), value=_of(timed.p50_ms), why="" if timed.p50_ms else "few")
        case Form.MEAN:
            times = [leaf.ms for leaf in rows if leaf.ms is not None]
            mean = _rounded(Decimal(sum(times)) / (DAY_MS * len(times)), 1) if times else ""
            return replace(_timed(figure), numerator=len(rows), value=mean, why="" if times else "none")
        case Form.YOY:
            change = year_on_year(len(rows), len(past), same_definition=base is not None)
            said = {"why": change.value} if isinstance(change, NoComparison) else {"value": str(change)}
            return replace(figure, numerator=len(rows), base=len(past) if base is not None else None, **said)
        case _:
            return replace(figure, numerator=len(rows), value=str(len(rows)))


def share_figure(definition: Definition, group: Group, *, numerator: int, denominator: int) -> Figure:
    """A share of rows of the agreement, which no entry stands for."""
    figure = Figure(
        id=definition.id, version=definition.version, source=definition.source, form=definition.form, group=group,
        numerator=numerator, denominator=denominator,
    )  # fmt: skip
    return _with_share(figure, definition.digits)


def _with_share(figure: Figure, digits: int) -> Figure:
    numerator, denominator = figure.numerator or 0, figure.denominator or 0
    if denominator < LEAST_FOR_SHARE:
        return replace(figure, why="few" if denominator else "none")
    return replace(figure, value=percent(numerator, denominator, digits=digits))


def percent(numerator: int, denominator: int, *, digits: int) -> str:
    """A part in percent, half to even; of at least one."""
    return _rounded(Decimal(numerator * 100) / Decimal(denominator), digits)


def _rounded(value: Decimal, digits: int) -> str:
    return str(value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN))


def _of(ms: int | None) -> str:
    return "" if ms is None else str(ms)


def _timed(figure: Figure) -> Figure:
    """With percentiles and what is told beside them, where the leaves have times or marks."""
    if all(leaf.ms is None and not leaf.marks for leaf in figure.leaves):
        return figure
    count = {mark: sum(mark in leaf.marks for leaf in figure.leaves) for mark in Mark}
    return replace(
        figure, p50_ms=percentile(figure.leaves, 50), p90_ms=percentile(figure.leaves, 90),
        p95_ms=percentile(figure.leaves, 95), missing=count[Mark.MISSING], excused=count[Mark.EXCUSED],
        late=count[Mark.ENTERED_LATE],
    )  # fmt: skip


def percentile(leaves: Sequence[Leaf], percents: int) -> int | None:
    """The nearest rank; who never came stands behind all others; None of fewer than 5, or when nobody knows."""
    if len(leaves) < LEAST_SHOWN:
        return None
    known = sorted(leaf.ms for leaf in leaves if leaf.ms is not None)
    rank = -(-percents * len(leaves) // 100)
    return known[rank - 1] if rank <= len(known) else None


def digest_of(leaves: Iterable[Leaf]) -> str:
    """SHA-256, in hex, of the names that a figure stands on, each once, in order, one a line."""
    names = sorted({name for leaf in leaves for name in leaf.entries})
    return sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()


# ---- figures of two nodes ---


class Difference(Item, frozen=True, kw_only=True):
    """A figure that two nodes counted otherwise: entries that only one has, and things that both judge otherwise."""

    WHAT: ClassVar[str] = "difference of figures"

    id: str
    group: Group
    only_one: tuple[Digest, ...] = ()
    only_other: tuple[Digest, ...] = ()
    judged: tuple[Digest, ...] = ()


def unite(definition: Definition | Meaning, one: Figure, other: Figure) -> tuple[Figure, Difference | None]:
    """The figure of the union of two nodes' leaves, and where they differ, None where they do not.

    Of one thing that both have, the node that knows more entries of it is believed; where neither knows more, the
    worse counts, and the thing is named. Who was excused, late or doubtful, and what the way took, each node tells for
    itself alone. Refuses two figures of different meaning (FIGURES_DIFFER), and one whose leaves are not all here
    (FIGURES_LEAVES).
    """
    for each in (one, other):
        if digest_of((*each.leaves, *each.base_leaves)) != each.digest:
            raise MalformedError("FIGURES_LEAVES", f"expected all leaves of {each.id}, as its digest says")
    if one.key != other.key:
        raise MalformedError("FIGURES_DIFFER", f"expected the same figure from both nodes, got {one.id} and {other.id}")
    rows, judged = _united(one.leaves, other.leaves)
    past, judged_before = _united(one.base_leaves, other.base_leaves)
    compared = one.base is not None and other.base is not None
    figure = count_figure(definition, one.group, rows, base=past if compared else None)
    untold = not compared and NoComparison.BASE_SMALL in (one.why, other.why)
    figure = replace(figure, excused=None, late=None, why=NoComparison.BASE_SMALL.value if untold else figure.why)
    names = [{name for leaf in (*each.leaves, *each.base_leaves) for name in leaf.entries} for each in (one, other)]
    difference = Difference(
        id=one.id, group=one.group, only_one=tuple(sorted(names[0] - names[1])),
        only_other=tuple(sorted(names[1] - names[0])), judged=tuple(sorted({*judged, *judged_before})),
    )  # fmt: skip
    same = not (difference.only_one or difference.only_other or difference.judged)
    return figure, None if same else difference


def _united(ones: Iterable[Leaf], others: Iterable[Leaf]) -> tuple[tuple[Leaf, ...], tuple[str, ...]]:
    found, judged = {leaf.name: leaf for leaf in ones}, []
    for leaf in others:
        known = found.get(leaf.name)
        if known is None or set(known.entries) < set(leaf.entries):
            found[leaf.name] = leaf
        elif known != leaf and not set(leaf.entries) < set(known.entries):
            judged.append(leaf.name)
            found[leaf.name] = min(known, leaf, key=lambda each: (each.hit, -(each.ms or 0), each.entries))
    return tuple(found.values()), tuple(judged)
