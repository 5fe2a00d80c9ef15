"""Synthetic records: nobody real, nothing twice, the same dice every time."""

from collections import Counter
from datetime import date

import pytest
from stdnum.cn import ric

from federation.cli.demo import synthetic
from federation.cli.demo.synthetic import SYNTHETIC_NOTICE, synthetic_applications, synthetic_permits, synthetic_plate
from federation.domain.citizen_number import Sex, age_on, verify_citizen_number
from federation.domain.clock import add_months
from federation.domain.division import DIVISIONS, NODES, border_counties, province_of
from federation.domain.permits import (
    GUARDIAN_AGE,
    Ground,
    PermitStatus,
    format_permit_urn,
    register_permit,
    status_on,
    urn_division,
)
from federation.protocol.errors import RuleError
from federation.protocol.ids import NodeName, Realm

TODAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def permits():
    return {node: list(synthetic_permits(node, 3000, seed=7, today=TODAY)) for node in NODES}


@pytest.fixture(scope="module")
def everyone(permits):
    return [permit for some in permits.values() for permit in some]


def share(records, condition):
    return sum(map(condition, records)) / len(records)


def test_same_seed_gives_the_same_permits(permits):
    """Repeatable, and another seed gives other people."""
    again = list(synthetic_permits(NODES[0], 200, seed=7, today=TODAY))
    other = list(synthetic_permits(NODES[0], 200, seed=8, today=TODAY))
    assert again == permits[NODES[0]][:200]
    assert again != other


def test_citizen_numbers_are_synthetic_valid_and_unique(everyone):
    """Birth years 2100-2299, current county codes, right under python-stdnum, nobody twice in four provinces."""
    numbers = [permit.holder.citizen_number for permit in everyone]
    assert len(set(numbers)) == len(numbers)
    for holder in (permit.holder for permit in everyone):
        number = verify_citizen_number(holder.citizen_number, Realm.DEMO)
        assert number.startswith(f"{holder.household_division}{holder.birth_date:%Y%m%d}")
        assert holder.sex is (Sex.MALE if int(number[16]) % 2 else Sex.FEMALE)
    for number in numbers[::10]:
        assert ric.validate(number) == number


def test_permits_are_of_border_counties_and_their_urns_unique(permits):
    """Each node issues in its own border counties, all of them in use."""
    for node, some in permits.items():
        assert len({permit.urn for permit in some}) == len(some)
        assert {permit.residence_division for permit in some} == set(border_counties(node))
        assert all(urn_division(permit.urn) == permit.residence_division for permit in some)


def test_households_are_across_the_border_or_elsewhere_in_china(permits):
    """Most lie in a neighbouring province, some in none of the four: no peer is entitled to those."""
    for node, some in permits.items():
        homes = [province_of(permit.holder.household_division) for permit in some]
        assert node not in homes
        assert 0.03 < homes.count(None) / len(homes) < 0.1


def test_main_flow_leads_from_yushan_to_changshan(permits):
    """玉山→常山 is among the strongest flows into Zhejiang."""
    flows = Counter(
        (permit.holder.household_division, permit.residence_division) for permit in permits[NodeName("zhejiang")]
    )
    assert flows.most_common(1)[0][0] == ("361123", "330822")


def test_permits_hold_what_the_law_asks(everyone):
    """Half a year before acceptance, a guardian below 16 and only there, dates in order, card endorsed year by year."""
    for permit in everyone:
        assert add_months(permit.residence_since, 6) <= permit.accept_date
        assert permit.apply_date <= permit.accept_date <= permit.issue_date <= TODAY
        assert (permit.issue_date - permit.accept_date).days <= 15
        assert (age_on(permit.holder.birth_date, permit.apply_date) < GUARDIAN_AGE) == permit.guardian
        assert permit.counted_from <= permit.endorsed_until
        late = sum(endorsement.late for endorsement in permit.endorsements)
        lapsed = permit.status is PermitStatus.SUSPENDED
        assert permit.version == 1 + len(permit.endorsements) + late + lapsed
        assert not lapsed or status_on(permit, TODAY) is PermitStatus.SUSPENDED


def test_distributions_are_near_the_assumed_ones(everyone):
    """Ground, sex, minors, sealed permits and endorsements, within wide bounds."""
    assert 0.64 < share(everyone, lambda permit: permit.ground is Ground.JOB) < 0.76
    assert 0.46 < share(everyone, lambda permit: permit.holder.sex is Sex.MALE) < 0.56
    assert 0.02 < share(everyone, lambda permit: permit.guardian) < 0.06
    assert 0.001 < share(everyone, lambda permit: permit.sealed) < 0.012
    assert 0.55 < share(everyone, lambda permit: 20 <= age_on(permit.holder.birth_date, permit.apply_date) <= 50) < 0.75
    endorsements = [endorsement for permit in everyone for endorsement in permit.endorsements]
    assert 0.08 < share(endorsements, lambda endorsement: endorsement.late) < 0.2
    assert all(permit.work_division in DIVISIONS for permit in everyone if permit.work_division)


@pytest.mark.parametrize("node", NODES)
def test_applications_are_accepted_as_they_are(node):
    """Every synthetic application has what `register_permit` asks for."""
    for serial, application in enumerate(synthetic_applications(node, 300, seed=7, today=TODAY)):
        urn = format_permit_urn(application.residence_division, 2026, serial=f"{serial:06d}")
        assert register_permit(application, urn, today=TODAY).version == 1


def test_leap_day_2000_is_skipped():
    """29 February 2000 has no image 200 years later: the day before stands in."""
    assert synthetic._demo_day(date(2000, 2, 29)) == date(2200, 2, 28)
    assert synthetic._demo_day(date(1996, 2, 29)) == date(2196, 2, 29)


def test_unknown_node_is_refused():
    """There are four provinces."""
    with pytest.raises(RuleError) as caught:
        next(synthetic_permits(NodeName("jiangsu"), 1, seed=1, today=TODAY))
    assert caught.value.reason == "SYNTHETIC_NODE"


def test_plates_and_notice_are_recognisably_invented():
    """A letter that is never issued, a notice in two languages."""
    assert synthetic_plate("浙H", 1) == "浙H·I0001"
    assert "虚构" in SYNTHETIC_NOTICE
    assert "Synthetic" in SYNTHETIC_NOTICE
