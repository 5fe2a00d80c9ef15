"""No field reaches an asker that the case table does not name, and every field that it names does.

For every agency, province, purpose, state of the case, record, signature and set of fields.

The oracle is policies/cases/lookups.toml, read here as plain TOML without the engine, and the conditions in the words of
policies/README.md. The asker is hostile: it skips every check of its own side and shows Zhejiang what it signed.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain.registers import DOSSIER_FIELDS, DossierKind
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, parse_agency_id
from tests.node.lookups.hostile import ADDED, Ask, CaseState, HandleState, HostileWorld, StepUp, Target
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, kit
from tests.scenarios.provinces import REPOSITORY

INLAND = frozenset({"361102", "350102", "340102", "341125", "360000", "350000", "340000"})
"""Counties, and seats of provinces, that touch no other province of the four."""
WITHOUT_FUNCTION = frozenset({"jiangxi/361128/police"})
PURPOSES = (
    "lookup.criminal_investigation", "lookup.missing_person", "lookup.identity_check", "subject.access", "permit.check",
    "permit.administration", "lookup.curiosity",
)  # fmt: skip
FUNCTIONS = ("F03", "F01", "F02", "F09", "F99")
LAWFUL_CASES = (CaseState.OPEN, CaseState.BREAK_GLASS)
DISTINCTIVE = (
    "urn", "residence_address", "household_address", "holder_name", "birth_date", "citizen_number", "photo_digest", "plate",
    "brand_model", "keeper", "uscc", "name", "legal_form", "legal_representative", "representative_number",
)  # fmt: skip
"""The fields whose values can stand in no message by chance."""
FIELDS = [*sorted(frozenset[str]().union(*DOSSIER_FIELDS.values())), "password", ""]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileWorld]:
    made = HostileWorld(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


def dossier_kind(target: Target) -> str:
    return target.value if target in (Target.VEHICLE, Target.ENTERPRISE) else "permit"


def zone(agency: AgencyId) -> str:
    return "inland" if agency.county in INLAND else "border"


@cache
def table(action: str) -> Mapping[tuple[str, str, str, str], frozenset[str]]:
    """What the cases of the table name, by kind of agency, zone, purpose and kind of record, of what a node answers itself."""
    cases = tomllib.loads((REPOSITORY / "policies" / "cases" / "lookups.toml").read_text(encoding="utf-8"))
    named: dict[tuple[str, str, str, str], frozenset[str]] = {}
    for row in cases["case"]:
        if (row["action"], row["expect"]) != (action, "allowed") or row.get("answer") == "desk":
            continue
        who = parse_agency_id(row["who"])
        record = {**cases["defaults"]["resource"], **row["resource"]}
        key = (who.kind, zone(who), row["context"]["purpose"], record["kind"])
        named[key] = named.get(key, frozenset()) | frozenset(row["context"].get("fields", ()))
    return named


def is_in_a_lawful_case(ask: Ask) -> bool:
    return ask.case in LAWFUL_CASES and ask.function == "F03" and str(ask.asker) not in WITHOUT_FUNCTION


def fields_that_may_go(ask: Ask) -> frozenset[str]:
    """All fields asked for, or none when anything is amiss.

    A case that is open for the purpose and both counties, the asker's own handle, the officer's signature for this very
    fetch, a record that is neither sealed nor a child's, and no field too many.
    """
    lawful = is_in_a_lawful_case(ask) and ask.handle is HandleState.OWN and ask.step_up is StepUp.VALID
    open_record = ask.target not in (Target.MINOR, Target.SEALED)
    named = table("lookup.fetch").get(
        (ask.asker.kind, zone(ask.asker), ask.purpose, dossier_kind(ask.target)), frozenset()
    )
    return ask.fields if lawful and open_record and ask.fields and ask.fields <= named else frozenset()


def may_hit(ask: Ask) -> bool:
    """A search is told of a child's record, which then yields no field, and never of a sealed one.

    Where the table names a fetch, the search before it is named too.
    """
    named = (ask.asker.kind, zone(ask.asker), ask.purpose, dossier_kind(ask.target)) in {
        **table("lookup.search"),
        **table("lookup.fetch"),
    }
    return is_in_a_lawful_case(ask) and named and ask.target is not Target.SEALED


def searches(asks: Iterable[Ask]) -> Iterable[Ask]:
    """The asks as searches, each once: a search names no field, shows no handle and bears no signature for a fetch."""
    bare = Ask()
    plain = {"fields": bare.fields, "handle": bare.handle, "step_up": bare.step_up}
    return dict.fromkeys(replace(ask, step="lookup.search", **plain) for ask in asks)


def check(world: HostileWorld, asks: Sequence[Ask]) -> set[str]:
    """Puts each ask as a fetch and as a search; returns every field that was released."""
    both = [*(replace(ask, step="lookup.fetch") for ask in asks), *searches(asks)]
    released: set[str] = set()
    for ask, left in zip(both, world.answer(both), strict=True):
        texts = world.texts[ask.target]
        expected = fields_that_may_go(ask) if ask.step == "lookup.fetch" else frozenset()
        assert dict(left.fields) == {name: texts[name] for name in expected if name in texts}, ask
        assert left.hit is (ask.step == "lookup.search" and may_hit(ask)), ask
        shown = [name for name in DISTINCTIVE if name in texts and texts[name].encode() in left.wire]
        assert set(shown) <= left.fields.keys(), (ask, "these values left, and were not released")
        released |= left.fields.keys()
    return released


def offices() -> tuple[AgencyId, ...]:
    """One office for each kind, zone and set of functions, of the police in each province, and all that were added."""
    found: dict[tuple[object, ...], AgencyId] = {}
    for node in (JIANGXI, FUJIAN, ANHUI):
        for agency, known in kit().agreement.members[node].agencies.items():
            province = node if agency.kind == "police" else None
            found.setdefault((province, agency.kind, zone(agency), known.functions), agency)
    return (*found.values(), *(parse_agency_id(text) for text in ADDED))


def states_for(asker: AgencyId) -> Iterable[CaseState]:
    """To an office that may look nothing up in a lawful case, the other states of the case say nothing more."""
    return CaseState if asker.kind == "police" or str(asker) in ADDED else LAWFUL_CASES


ASKS = st.builds(
    Ask,
    asker=st.sampled_from(offices()),
    purpose=st.sampled_from(PURPOSES),
    function=st.sampled_from(FUNCTIONS),
    case=st.sampled_from(CaseState),
    handle=st.sampled_from(HandleState),
    step_up=st.sampled_from(StepUp),
    target=st.sampled_from(Target),
    fields=st.frozensets(st.sampled_from(FIELDS), max_size=6),
)
NEARLY_LAWFUL = st.builds(
    Ask,
    asker=st.sampled_from([agency for agency in offices() if agency.kind == "police"]),
    purpose=st.sampled_from(PURPOSES[:3]),
    case=st.sampled_from(LAWFUL_CASES),
    target=st.sampled_from(Target),
    fields=st.frozensets(st.sampled_from(FIELDS), min_size=1, max_size=8),
)


def test_the_table_names_what_it_is_meant_to() -> None:
    """The oracle is not empty by a slip: three purposes, three different sets of fields, police only."""
    police = {purpose: table("lookup.fetch")["police", "border", purpose, "permit"] for purpose in PURPOSES[:3]}

    assert [len(police[purpose]) for purpose in PURPOSES[:3]] == [7, 4, 3]
    assert {kind for kind, *_ in (*table("lookup.fetch"), *table("lookup.search"))} == {"police"}
    assert not any(place == "inland" for _, place, *_ in (*table("lookup.fetch"), *table("lookup.search")))


@pytest.mark.parametrize("asker", offices(), ids=str)
def test_every_purpose_and_case_state_yields_what_the_table_names(world: HostileWorld, asker: AgencyId) -> None:
    """Agency kind, county, province, purpose, case state: all of them, with all else lawful."""
    check(world, [Ask(asker=asker, purpose=purpose, case=case) for purpose in PURPOSES for case in states_for(asker)])


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("purpose", PURPOSES[:3])
def test_every_field_alone_and_beside_a_lawful_one(world: HostileWorld, purpose: str, target: Target) -> None:
    """A field that the table does not name goes neither by itself nor in company; one too many holds back all."""
    named = table("lookup.fetch").get(("police", "border", purpose, dossier_kind(target)), frozenset())
    whole = frozenset(DOSSIER_FIELDS[DossierKind(dossier_kind(target))])
    sets = [fields for name in FIELDS for fields in (frozenset({name}), frozenset({name, "status"}))]

    released = check(world, [Ask(purpose=purpose, target=target, fields=fields) for fields in (*sets, named, whole)])

    assert released == (set() if target in (Target.MINOR, Target.SEALED) else named)


def test_every_handle_signature_function_and_record(world: HostileWorld) -> None:
    """Whose handle, whose signature, which record; which function, which record, which case: all of them together."""
    held = [
        Ask(handle=handle, step_up=step_up, target=target)
        for handle, step_up, target in itertools.product(HandleState, StepUp, Target)
    ]
    cited = [
        Ask(function=function, target=target, case=case)
        for function, target, case in itertools.product(FUNCTIONS, Target, CaseState)
    ]

    assert check(world, held + cited) == {"status"}


@settings(max_examples=20)
@given(asks=st.lists(ASKS, min_size=10, max_size=20))
def test_any_combination_yields_what_the_table_names(world: HostileWorld, asks: list[Ask]) -> None:
    """Everything at once."""
    check(world, asks)


@settings(max_examples=15)
@given(asks=st.lists(NEARLY_LAWFUL, min_size=10, max_size=20))
def test_any_set_of_fields_in_a_lawful_case_yields_what_the_table_names(world: HostileWorld, asks: list[Ask]) -> None:
    """Only the fields, the purpose, the record and the county are drawn."""
    check(world, asks)
