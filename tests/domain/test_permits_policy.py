from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.citizen_number import Sex, format_citizen_number
from federation.domain.permits import Ground, Holder, Permit, PermitStatus, parse_permit_urn, project_permit
from federation.domain.permits_policy import (
    FUNCTION_OF,
    LEGAL_BASIS,
    AgencyFacts,
    Occasion,
    PermitChange,
    PermitFacts,
    PermitPurpose,
    accept_request,
    change_request,
    item_facts,
    permit_facts,
    read_request,
    recognise_request,
    replicate_request,
)
from federation.protocol.ids import NodeName, Realm, parse_agency_id
from federation.protocol.policy import EntityRef, PolicyRequest, decide, decide_afresh, load_policy_book

FILES = {
    f"policies/{path.name}": path.read_bytes() for path in (Path(__file__).parents[2] / "policies").glob("*.cedar*")
}
BOOK = load_policy_book(FILES)
POLICE = AgencyFacts(id=parse_agency_id("zhejiang/330822/police"), functions=frozenset({"F01", "F02", "F03"}))
YUSHAN = AgencyFacts(id=parse_agency_id("jiangxi/361123/police"), functions=frozenset({"F01", "F02", "F03"}))
FACTS = PermitFacts(issuing_division="330822", household_division="361123", status=PermitStatus.VALID)
JIANGXI = NodeName("jiangxi")
TODAY = date(2026, 11, 23)


def occasion(purpose: str = "permit.sharing", function: str | None = None) -> Occasion:
    code = function or FUNCTION_OF[PermitPurpose(purpose)]
    return Occasion(purpose=purpose, function=code, realm=Realm.DEMO, node_realm=Realm.DEMO)


def permit(*, birth_date: date = date(2190, 3, 7), work: str | None = None, sealed: bool = False) -> Permit:
    return Permit(
        urn=parse_permit_urn("urn:permit:330822:2026:000123"),
        version=3,
        status=PermitStatus.VALID,
        holder=Holder(
            name="徐谷雨",
            sex=Sex.MALE,
            ethnicity="汉",
            birth_date=birth_date,
            citizen_number=format_citizen_number("361123", birth_date, sequence=1),
            household_division="361123",
            household_address="江西省上饶市玉山县示例路1号",
        ),
        residence_division="330822",
        residence_address="浙江省衢州市常山县示例路2号",
        work_division=work,
        issuer="常山县公安局",
        ground=Ground.JOB,
        residence_since=date(2025, 1, 1),
        apply_date=date(2026, 1, 4),
        accept_date=date(2026, 1, 5),
        issue_date=date(2026, 1, 10),
        counted_from=date(2026, 1, 10),
        endorsed_until=date(2027, 1, 10),
        sealed=sealed,
    )


def attrs(request: PolicyRequest) -> dict[str, object]:
    return dict(request.resource.attrs)


def test_change_request_each_change_is_decided_for_the_issuing_county():
    """The issuing county's police may register, endorse, suspend, restore, revoke and import."""
    for change in PermitChange:
        asked = change_request(change, POLICE, permit=FACTS, occasion=occasion("permit.administration"))
        assert asked.action == change.value
        assert decide(BOOK, asked).policies == ("keep-own-permits",)


def test_change_request_other_province_is_refused():
    """An agency of another province changes nothing."""
    asked = change_request(PermitChange.REVOKE, YUSHAN, permit=FACTS, occasion=occasion("permit.administration"))

    assert decide(BOOK, asked).policies == ("deny-change-by-other-province",)


def test_read_request_without_fields_takes_what_policy_gives():
    """No fields named: the decision says which; named: those and no others."""
    free = decide(BOOK, read_request(YUSHAN, FACTS, occasion=occasion("permit.check")))
    named = decide(BOOK, read_request(YUSHAN, FACTS, occasion=occasion("permit.check"), fields=frozenset({"status"})))

    assert free.fields == BOOK.policies["read-replica-police"].fields
    assert named.fields == {"status"}


def test_read_request_with_no_field_at_all_releases_none():
    """Asking for the empty set is not asking for everything."""
    asked = read_request(YUSHAN, FACTS, occasion=occasion("permit.check"), fields=frozenset())

    assert decide(BOOK, asked).fields == frozenset()


@pytest.mark.parametrize(("mode", "policy"), [("card", "recognise-card"), ("time", "recognise-time")])
def test_recognise_request_agreed_mode_is_allowed(mode, policy):
    """Each mode has its own policy and needs the agreement's consent."""
    kwargs = {"occasion": occasion("permit.recognition"), "mode": mode}

    agreed = recognise_request(YUSHAN, FACTS, agreed_modes=frozenset({"card", "time"}), **kwargs)
    other = recognise_request(YUSHAN, FACTS, agreed_modes=frozenset(), **kwargs)

    assert decide(BOOK, agreed).policies == (policy,)
    assert decide(BOOK, other).policies == ("deny-mode-not-agreed",)


def test_recognise_request_unknown_mode_is_refused():
    """A mode that no policy knows is refused even if somebody agreed to it."""
    asked = recognise_request(
        YUSHAN, FACTS, occasion=occasion("permit.recognition"), mode="both", agreed_modes=frozenset({"both"})
    )

    assert decide(BOOK, asked).policies == ("default-deny",)


def test_replicate_request_asks_for_the_recipient_province():
    """The principal is the province that would get the copy, and the fields come from the policy."""
    decision = decide(BOOK, replicate_request(JIANGXI, FACTS, occasion=occasion()))

    assert decision.policies == ("share-with-household",)
    assert decision.fields == BOOK.policies["share-with-household"].fields
    assert not decide(BOOK, replicate_request(NodeName("anhui"), FACTS, occasion=occasion())).allowed


def test_accept_request_asks_for_the_sender():
    """The issuing province's agency may send what concerns us."""
    asked = accept_request(POLICE, FACTS, occasion=occasion(), recipient=JIANGXI)

    assert decide(BOOK, asked).policies == ("accept-from-owner",)
    assert decide(BOOK, accept_request(YUSHAN, FACTS, occasion=occasion(), recipient=JIANGXI)).policies == (
        "deny-accept-not-owner",
    )


def test_requests_name_no_person_and_no_permit():
    """Two permits with the same facts are one question: policy cannot name people."""
    one, other = permit(), permit(birth_date=date(2188, 8, 8))

    asked = [
        read_request(POLICE, permit_facts(each, today=TODAY), occasion=occasion("permit.check"))
        for each in (one, other)
    ]

    assert asked[0] == asked[1]
    assert asked[0].resource.ref == EntityRef("Permit", "permit")
    for secret in (one.holder.name, one.holder.citizen_number, str(one.urn), "2190"):
        assert secret not in repr(asked[0])


def test_requests_earlier_county_code_counts_as_todays():
    """The household code of an older citizen number names the same county."""
    old = PermitFacts(issuing_division="330822", household_division="362323", status=PermitStatus.VALID)

    assert attrs(replicate_request(JIANGXI, old, occasion=occasion()))["householdCounty"] == EntityRef(
        "County", "361123"
    )


def test_requests_unknown_places_are_left_out_or_nobodys():
    """An unknown place is absent; one outside the federation belongs to no node."""
    unknown = PermitFacts(issuing_division="330822", household_division=None, status=PermitStatus.VALID)
    outside = PermitFacts(issuing_division="330822", household_division="420100", status=PermitStatus.VALID)

    assert "householdProvince" not in attrs(replicate_request(JIANGXI, unknown, occasion=occasion()))
    assert attrs(replicate_request(JIANGXI, outside, occasion=occasion()))["householdProvince"].id == "42"


def test_requests_border_counties_are_in_the_border_zone():
    """Whether a county touches another province comes from the table of border pairs."""
    inland = AgencyFacts(id=parse_agency_id("zhejiang/330803/police"), functions=frozenset())

    for agency, expected in ((POLICE, True), (inland, False)):
        (county,) = read_request(agency, FACTS, occasion=occasion()).others
        assert (EntityRef("Zone", "border") in county.parents) is expected


def test_requests_county_of_another_province_is_not_that_nodes_border():
    """An agency id that joins a node to another province's county gains nothing from it."""
    odd = AgencyFacts(id=parse_agency_id("anhui/361123/police"), functions=frozenset({"F01"}))
    asked = recognise_request(
        odd, FACTS, occasion=occasion("permit.recognition"), mode="card", agreed_modes=frozenset({"card"})
    )

    assert decide(BOOK, asked).policies == ("deny-recognise-unrelated",)


@pytest.mark.parametrize(("birth_date", "minor"), [(date(2212, 11, 23), False), (date(2212, 11, 24), True)])
def test_permit_facts_child_is_under_fourteen_today(birth_date, minor):
    """Everything about a child under 14 is sensitive (PIPL article 28); synthetic dates count 200 years earlier."""
    assert permit_facts(permit(birth_date=birth_date), today=TODAY).minor is minor


def test_permit_facts_status_is_that_of_the_day():
    """A permit past its full year is suspended, whether somebody has recorded it or not."""
    assert permit_facts(permit(), today=TODAY).status is PermitStatus.VALID
    assert permit_facts(permit(), today=date(2027, 1, 1)).status is PermitStatus.ENDORSEMENT_OPEN
    assert permit_facts(permit(), today=date(2027, 1, 11)).status is PermitStatus.SUSPENDED


def test_permit_facts_takes_places_and_seal():
    """Issuing county, household, work and seal are the record's own."""
    facts = permit_facts(permit(work="350722", sealed=True), today=TODAY)

    assert (facts.issuing_division, facts.household_division, facts.work_division) == ("330822", "361123", "350722")
    assert facts.sealed


@pytest.mark.parametrize("fields", [{"birth_date"}, {"citizen_number"}, {"birth_date", "citizen_number"}])
@pytest.mark.parametrize(("birth_date", "minor"), [(date(2212, 11, 23), False), (date(2212, 11, 24), True)])
def test_item_facts_child_shows_in_date_or_number(fields, birth_date, minor):
    """The receiver judges by what was sent: the birth date, or the one within the citizen number."""
    item = project_permit(permit(birth_date=birth_date), frozenset(fields))

    assert item_facts(item, today=TODAY).minor is minor


def test_item_facts_age_unknown_counts_as_a_child():
    """What cannot be judged does not cross."""
    assert item_facts(project_permit(permit(), frozenset({"holder_name"})), today=TODAY).minor


@pytest.mark.parametrize(("node", "work"), [("jiangxi", None), ("fujian", "350722"), ("jiangxi", "361123")])
def test_what_policy_releases_the_recipient_accepts(node, work):
    """A copy cut down to the released fields carries all that the recipient's own policy asks for."""
    facts = permit_facts(permit(work=work), today=TODAY)
    released = decide(BOOK, replicate_request(NodeName(node), facts, occasion=occasion()))
    item = project_permit(permit(work=work), released.fields)

    accepted = decide(
        BOOK,
        accept_request(POLICE, item_facts(item, today=TODAY), occasion=occasion(), recipient=NodeName(node)),
    )

    assert released.allowed
    assert accepted.allowed, accepted.policies


def test_purposes_belong_to_one_function_each():
    """The table of purposes is the one that the policy `deny-purpose-of-no-function` checks, with a basis to cite."""
    assert LEGAL_BASIS.keys() == FUNCTION_OF.keys() == set(PermitPurpose)
    for purpose in PermitPurpose:
        for function in ("F01", "F02", "F03", "F04"):
            asked = read_request(YUSHAN, FACTS, occasion=occasion(purpose.value, function))
            mismatch = "deny-purpose-of-no-function" in decide(BOOK, asked).policies
            assert mismatch is (function != FUNCTION_OF[purpose])


DIVISIONS = st.sampled_from(["330822", "330803", "361123", "362323", "350722", "341022", "420100"])
NODES = st.sampled_from(["zhejiang", "jiangxi", "fujian", "anhui"])
PERMITS = st.builds(
    PermitFacts,
    issuing_division=DIVISIONS,
    household_division=st.none() | DIVISIONS,
    work_division=st.none() | DIVISIONS,
    status=st.sampled_from(PermitStatus),
    sealed=st.booleans(),
    minor=st.booleans(),
)
OCCASIONS = st.builds(
    Occasion,
    purpose=st.sampled_from([*(purpose.value for purpose in PermitPurpose), "permit.other"]),
    function=st.sampled_from(["F01", "F02", "F03", "F09"]),
    realm=st.sampled_from(Realm),
    node_realm=st.sampled_from(Realm),
)
AGENCIES = st.builds(
    lambda node, county, kind, functions: AgencyFacts(
        id=parse_agency_id(f"{node}/{county}/{kind}"), functions=functions
    ),
    NODES,
    DIVISIONS,
    st.sampled_from(["police", "service-hall", "court"]),
    st.frozensets(st.sampled_from(["F01", "F02", "F03"])),
)


@given(node=NODES, facts=PERMITS, why=OCCASIONS)
def test_replicate_never_leaks(node, facts, why):
    """Whatever the facts: no sealed record, no child and no stranger's record is sent, and demo never meets live."""
    decision = decide(BOOK, replicate_request(NodeName(node), facts, occasion=why))

    assert "policy-error" not in decision.policies
    assert decision == decide_afresh(BOOK, replicate_request(NodeName(node), facts, occasion=why))
    if decision.allowed:
        assert not facts.sealed
        assert not facts.minor
        assert why.realm is why.node_realm
        assert why.purpose == "permit.sharing"
        assert decision.fields


@given(agency=AGENCIES, facts=PERMITS, why=OCCASIONS, node=NODES, mode=st.sampled_from(["card", "time"]))
def test_agency_requests_are_always_judged(agency, facts, why, node, mode):
    """Every request that the builders make fits the schema, and no agency acts without holding the function."""
    modes = frozenset({"card"})
    asked = [
        *(change_request(change, agency, permit=facts, occasion=why) for change in PermitChange),
        read_request(agency, facts, occasion=why),
        recognise_request(agency, facts, occasion=why, mode=mode, agreed_modes=modes),
        accept_request(agency, facts, occasion=why, recipient=NodeName(node)),
    ]

    for request in asked:
        decision = decide(BOOK, request)
        assert "policy-error" not in decision.policies, decision.errors
        if decision.allowed:
            assert why.function in agency.functions
            assert agency.id.kind != "court"
