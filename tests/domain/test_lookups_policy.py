from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.lookups_case import (
    LOOKUP_BASIS,
    LOOKUP_FUNCTION,
    DossierFacts,
    LookupOccasion,
    LookupPurpose,
    case_request,
    fetch_request,
    search_request,
)
from federation.domain.permits import PERMIT_FIELDS
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Realm, parse_agency_id
from federation.protocol.policy import EntityRef, decide, load_policy_book

BOOK = load_policy_book(
    {f"policies/{path.name}": path.read_bytes() for path in (Path(__file__).parents[2] / "policies").glob("*.cedar*")}
)
YUSHAN = AgencyFacts(id=parse_agency_id("jiangxi/361123/police"), functions=frozenset({"F03"}))
ZHEJIANG = NodeName("zhejiang")
FOUND = DossierFacts(province=ZHEJIANG, issuing_division="330822")
OCCASION = LookupOccasion(
    purpose="lookup.criminal_investigation",
    function="F03",
    realm=Realm.DEMO,
    node_realm=Realm.DEMO,
    case_open=True,
    purpose_in_case=True,
    county_in_case=True,
    step_up=True,
)


class Pace(StrEnum):
    URGENT = "urgent"


@pytest.mark.parametrize("purpose", LookupPurpose)
def test_purpose_is_known_to_policy_and_cites_an_article(purpose):
    """Every purpose may be searched for under the one function of look-ups, and has its article."""
    occasion = replace(OCCASION, purpose=purpose.value, function=LOOKUP_FUNCTION)

    assert decide(BOOK, search_request(YUSHAN, FOUND, occasion=occasion)).policies == ("search-by-border-police",)
    assert "条" in LOOKUP_BASIS[purpose]


def test_case_request_with_agreed_purposes_is_allowed():
    """A case is opened with a province for all of its purposes at once."""
    why = Occasion(purpose=OCCASION.purpose, function="F03", realm=Realm.DEMO, node_realm=Realm.DEMO)

    request = case_request(YUSHAN, ZHEJIANG, occasion=why, purposes=frozenset(LookupPurpose))

    assert decide(BOOK, request).policies == ("open-case-by-border-police",)


def test_search_request_before_a_record_is_found_names_no_county():
    """The asking province knows of no record: no county, neither flag."""
    request = search_request(YUSHAN, DossierFacts(province=ZHEJIANG), occasion=OCCASION)

    assert dict(request.resource.attrs) == {
        "province": EntityRef("Province", ZHEJIANG),
        "kind": "permit",
        "sealed": False,
        "minor": False,
    }
    assert decide(BOOK, request).allowed


def test_search_request_of_a_found_record_counts_an_older_county_code_as_todays():
    """A record issued under the county's earlier code is a record of today's county."""
    earlier = search_request(YUSHAN, replace(FOUND, issuing_division="362323"), occasion=OCCASION)

    assert dict(earlier.resource.attrs)["issuingCounty"] == EntityRef("County", "361123")


def test_search_request_leaves_the_step_up_out():
    """Whether an officer has signed plays no part in a search: with and without, the question is the same."""
    assert search_request(YUSHAN, FOUND, occasion=OCCASION) == search_request(
        YUSHAN, FOUND, occasion=replace(OCCASION, step_up=False)
    )


def test_search_request_with_an_urgency_of_a_choice_is_understood():
    """A member of a string enumeration reaches policy as its plain word."""
    occasion = replace(OCCASION, urgency=Pace.URGENT)

    request = search_request(YUSHAN, FOUND, occasion=occasion)

    assert request == search_request(YUSHAN, FOUND, occasion=replace(OCCASION, urgency="urgent"))
    assert decide(BOOK, request).allowed


@given(st.frozensets(st.sampled_from(PERMIT_FIELDS)))
def test_fetch_request_gives_all_fields_asked_for_or_refuses(fields):
    """One field too many refuses the whole; else exactly the fields asked for are released."""
    decision = decide(BOOK, fetch_request(YUSHAN, FOUND, occasion=OCCASION, fields=fields))

    released = [BOOK.policies[name].fields for name in ("fetch-identity", "fetch-address-by-desk")]
    assert decision.allowed == any(fields <= found for found in released)
    assert decision.by_desk == (bool(fields) and fields <= released[1])
    assert decision.fields == (fields if decision.allowed else frozenset())


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_fetch_request_names_every_forbid_that_applies(is_open, purpose, county, signed, sealed, minor):
    """Each thing that is wrong is named in the refusal by its own policy; nothing wrong is allowed."""
    occasion = replace(OCCASION, case_open=is_open, purpose_in_case=purpose, county_in_case=county, step_up=signed)
    dossier = replace(FOUND, sealed=sealed, minor=minor)
    expected = {
        "deny-lookup-no-case": not is_open,
        "deny-lookup-purpose-outside-case": not purpose,
        "deny-lookup-county-outside-case": not county,
        "deny-fetch-no-step-up": not signed,
        "deny-lookup-sealed": sealed,
        "deny-lookup-minor": minor,
    }
    wrong = tuple(sorted(name for name, applies in expected.items() if applies))

    decision = decide(BOOK, fetch_request(YUSHAN, dossier, occasion=occasion, fields=frozenset({"status"})))

    assert decision.policies == (wrong or ("fetch-identity",))
