"""Invented vehicles and enterprises: lawful for the demo, repeatable, and each of its own person."""

from datetime import date

import pytest

from federation.cli.demo.synthetic import synthetic_applications, synthetic_enterprises, synthetic_vehicles
from federation.domain.registers import verify_enterprise, verify_vehicle
from federation.protocol.errors import RuleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Realm

TODAY = date(2026, 11, 23)
PEOPLE = list(synthetic_applications(NodeName("zhejiang"), 60, seed=3, today=TODAY))


def test_vehicles_are_taken_by_a_demo_node_and_the_same_each_time():
    """Every plate once; most keepers are the people given, every tenth is an organisation."""
    found = list(synthetic_vehicles(PEOPLE, seed=1, today=TODAY))

    assert found == list(synthetic_vehicles(PEOPLE, seed=1, today=TODAY))
    assert len({vehicle.plate for vehicle in found}) == len(PEOPLE)
    for vehicle in found:
        verify_vehicle(vehicle, Realm.DEMO, today=TODAY)
    numbers = {person.holder.citizen_number for person in PEOPLE}
    assert sum(vehicle.keeper in numbers for vehicle in found) == 54


def test_enterprises_are_taken_by_a_demo_node_and_the_same_each_time():
    """Every code once; each stands for its own person."""
    found = list(synthetic_enterprises(PEOPLE, seed=1, today=TODAY))

    assert found == list(synthetic_enterprises(PEOPLE, seed=1, today=TODAY))
    assert len({enterprise.uscc for enterprise in found}) == len(PEOPLE)
    for enterprise, person in zip(found, PEOPLE, strict=True):
        verify_enterprise(enterprise, Realm.DEMO, today=TODAY)
        assert enterprise.representative_number == person.holder.citizen_number


def test_county_without_a_plate_is_refused():
    """Nothing is invented for a prefecture whose plates are not known."""
    with pytest.raises(RuleError, match="SYNTHETIC_COUNTY"):
        list(synthetic_vehicles([replace(PEOPLE[0], residence_division="110101")], seed=1, today=TODAY))
