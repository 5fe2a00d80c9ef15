"""The registers on the wire: equal values, every outcome of a row, and words that proto and domain share."""

import pytest

from federation.domain.dossiers.dossier import ENTERPRISE_FIELDS, VEHICLE_FIELDS
from federation.domain.dossiers.enterprise import EnterpriseStatus
from federation.domain.dossiers.plate import PlateClass
from federation.domain.dossiers.vehicle import VehicleStatus
from federation.protocol.errors import MalformedError
from federation.v1 import register_service_pb2 as pb2
from federation.v1.buf.validate import validate_pb2
from federation.wire.registers.convert import (
    enterprises_from_pb,
    enterprises_to_pb,
    reading_from_pb,
    reading_to_pb,
    registered_from_pb,
    registered_to_pb,
    vehicles_from_pb,
    vehicles_to_pb,
)
from federation.wire.services.shape import verify_shape
from tests.wire.answers import ACT
from tests.wire.register_samples import ENTERPRISE, READING, ROWS, VEHICLE


def test_what_is_registered_survives_the_wire():
    """Every fact of a vehicle and of an enterprise arrives as it was given, and has the shape that is asked for."""
    vehicles, enterprises = vehicles_to_pb(ACT, [VEHICLE]), enterprises_to_pb(ACT, [ENTERPRISE])
    verify_shape(vehicles)
    verify_shape(enterprises)
    assert vehicles_from_pb(vehicles) == (VEHICLE,)
    assert enterprises_from_pb(enterprises) == (ENTERPRISE,)


def test_every_outcome_of_a_row_survives_the_wire():
    """Kept, refused and not to be judged come back as they were; an error as its class and reason."""
    found = registered_from_pb(registered_to_pb(pb2.RegisterVehiclesResponse, ROWS), expected=3)
    assert found[:2] == ROWS[:2]
    assert (type(found[2]), found[2].reason) == (type(ROWS[2]), ROWS[2].reason)


def test_answers_that_are_too_few_or_empty_are_refused():
    """One answer for each row, each saying something."""
    response = registered_to_pb(pb2.RegisterEnterprisesResponse, ROWS[:1])
    with pytest.raises(MalformedError, match="ANSWER_COUNT"):
        registered_from_pb(response, expected=2)
    with pytest.raises(MalformedError, match="ANSWER"):
        registered_from_pb(pb2.RegisterEnterprisesResponse(rows=[pb2.RegisteredRow()]), expected=1)


def test_reading_survives_the_wire():
    """The records under one plate with the fields that policy gives."""
    assert reading_from_pb(reading_to_pb(pb2.GetVehicleResponse, READING)) == READING
    assert reading_from_pb(reading_to_pb(pb2.GetEnterpriseResponse, READING)) == READING
    assert "白" not in repr(READING)


@pytest.mark.parametrize(
    ("message", "field", "words"),
    [
        (pb2.Vehicle, "plate_class", PlateClass),
        (pb2.Vehicle, "status", VehicleStatus),
        (pb2.Enterprise, "status", EnterpriseStatus),
    ],
)
def test_words_of_the_proto_are_those_of_the_domain(message, field, words):
    """A class or a status that one of them does not know cannot be registered by the other."""
    options = message.DESCRIPTOR.fields_by_name[field].GetOptions()
    rules = options.Extensions[validate_pb2.field]
    assert set(getattr(rules.string, "in")) == {str(word) for word in words}


def test_messages_have_the_fields_of_the_domain():
    """No field is lost between them."""
    assert set(pb2.Vehicle.DESCRIPTOR.fields_by_name) == {*VEHICLE_FIELDS, "sealed"}
    assert set(pb2.Enterprise.DESCRIPTOR.fields_by_name) == set(ENTERPRISE_FIELDS)


def test_impossible_day_is_refused_by_field():
    """A day that has the shape and is none."""
    request = vehicles_to_pb(ACT, [VEHICLE])
    request.vehicles[0].first_registered = "2026-02-30"
    verify_shape(request)
    with pytest.raises(MalformedError, match="first_registered"):
        vehicles_from_pb(request)
