"""Every line of the table of RPCs: its values and messages pair, any value survives the way, its row is true."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.v1 import register_service_pb2 as registers_pb2
from federation.wire.agency.registers import REGISTER_VEHICLES, KeptVersion
from federation.wire.rpc import OwnKey
from federation.wire.table import RPCS
from tests.wire.answers import ACT
from tests.wire.shapes import plain, values

EVERY = pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
SOME = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@EVERY
@SOME
@given(data=st.data())
def test_any_question_survives_the_wire(rpc, data):
    """What is asked arrives as it was asked, with who asks."""
    question = data.draw(values(rpc.question))
    request = rpc.request.FromString(rpc.encode_question(ACT if rpc.has_act else None, question).SerializeToString())
    assert plain(rpc.decode_question(request)) == plain((ACT if rpc.has_act else None, question))


@EVERY
@SOME
@given(data=st.data())
def test_any_answer_survives_the_wire(rpc, data):
    """What is answered arrives as it was answered."""
    answer = data.draw(values(rpc.answer))
    response = rpc.response.FromString(rpc.encode_answer(answer).SerializeToString())
    question = answer if rpc.counted is not None else None
    assert plain(rpc.decode_answer(response, question=question)) == plain(answer)


@EVERY
def test_own_key_is_as_the_question_has_room_for_it(rpc):
    """A line says whose key signs, and the message has the field for it: always, for some questions, or not at all."""
    fields = [each for each in rpc.request.DESCRIPTOR.fields if each.name in ("signature", "officer_signature")]
    room = OwnKey.NEVER
    if fields:
        room = OwnKey.SOMETIMES if fields[0].has_presence else OwnKey.ALWAYS
    assert rpc.signed is room


def test_answers_that_are_too_few_or_empty_are_refused():
    """One answer for each row, each saying something."""
    response = REGISTER_VEHICLES.encode_answer((KeptVersion(id="urn:vehicle:361123:000001", version=2),))
    with pytest.raises(MalformedError, match="ANSWER_COUNT"):
        REGISTER_VEHICLES.decode_answer(response, question=((), ()))
    empty = registers_pb2.RegisterVehiclesResponse(rows=[registers_pb2.RegisteredRow()])
    with pytest.raises(MalformedError, match="ANSWER"):
        REGISTER_VEHICLES.decode_answer(empty, question=((),))
