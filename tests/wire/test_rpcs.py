"""Every line of the table of RPCs: its values and messages pair, any value survives the way, its row is true."""

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.domain.permits import PermitItem
from federation.domain.plates import PlateClass
from federation.domain.registers import ENTERPRISE_FIELDS, VEHICLE_FIELDS, EnterpriseStatus, VehicleStatus
from federation.protocol.errors import MalformedError, StaleError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.v1 import exchange_pb2, permit_pb2, permit_service_pb2, register_service_pb2, watermark_pb2
from federation.v1.buf.validate import validate_pb2
from federation.wire.agency.audit import LIST_MESSAGES, Direction, MessageQuery
from federation.wire.agency.lookups import SEARCH
from federation.wire.agency.permits import LIST_PERMITS, REGISTER_PERMIT, PermitQuery
from federation.wire.agency.registers import REGISTER_VEHICLES, StoredVersion
from federation.wire.gatekeeper import verify_shape
from federation.wire.pb import pair
from federation.wire.peer import DIGEST_RANGE, SUBMIT
from federation.wire.rpc import OwnKey, Side
from tests.wire import calls
from tests.wire.answers import ACT, APPLICATION, BARE_ITEM, CITIZEN_NUMBER, ITEM, RECEIPT, SUBMISSION
from tests.wire.shapes import plain, values
from tests.wire.table import RPCS

EVERY = pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
SOME = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def to_pb(value, message):
    return pair(type(value), message).out(value)


def from_pb(cls, message):
    return pair(cls, type(message)).back(message)


def _act(rpc):
    return ACT if rpc.has_act else None


@EVERY
@SOME
@given(data=st.data())
def test_any_question_survives_the_wire(rpc, data):
    """What is asked arrives as it was asked, with who asks."""
    question = data.draw(values(rpc.question))
    request = rpc.request.FromString(rpc.encode_question(_act(rpc), question).SerializeToString())
    assert plain(rpc.decode_question(request)) == plain((_act(rpc), question))


@EVERY
@SOME
@given(data=st.data())
def test_any_answer_survives_the_wire(rpc, data):
    """What is answered arrives as it was answered."""
    answer = data.draw(values(rpc.answer))
    response = rpc.encode_answer(answer)
    if rpc.counted is None:
        assert [plain(each) for each in rpc.decode_answers(response, question=None)] == [plain(answer)]
    else:
        counted = replace(calls.CHUNK, rows=answer) if rpc.question is type(calls.CHUNK) else answer
        assert plain(rpc.decode_answer(response, question=counted)) == plain(answer)


@pytest.mark.parametrize("call", calls.CALLS, ids=lambda call: call.rpc.name)
def test_a_question_of_the_right_shape_keeps_the_shape_rules(call):
    """The samples of the tests are what the proto files allow."""
    verify_shape(call.rpc.encode_question(_act(call.rpc), call.question))


UNSIGNED = {
    "DocumentService/FetchDocument",
    "NodeService/GetStatus",
    "NodeService/TellTime",
    "AgreementService/FetchAgreement",
    "ExchangeService/Submit",
    "ReconciliationService/DigestRange",
    "AuditService/ListMessages",
    "ErasureService/RunRetention",
}
"""All that nobody signs. Whoever adds one says in its line why, and here that it is meant."""


@EVERY
def test_every_rpc_is_signed_by_the_officer_who_acts_or_says_why_not(rpc):
    """What is about a person or an officer's doings is signed always; a line without a reason cannot be unsigned."""
    is_of_keys = rpc.name.startswith("KeyService/")
    expected = OwnKey.NEVER if rpc.name in UNSIGNED else OwnKey.ADMINISTRATOR if is_of_keys else OwnKey.ALWAYS
    assert rpc.signed is expected
    assert bool(rpc.unsigned) is (rpc.name in UNSIGNED)
    assert rpc.has_act or rpc.unsigned, "nobody can be named who signs"
    assert rpc.sides == {Side.AGENCY} or rpc.unsigned, "only officers of our own agencies sign"


@EVERY
def test_line_is_what_the_proto_says(rpc):
    """A stream is one in both; only a stream has no deadline; who acts is said on the agencies' side."""
    assert rpc.method.server_streaming is rpc.stream
    assert (rpc.floor_seconds is None) is rpc.stream
    assert rpc.path == f"/{rpc.service}/{rpc.method.name}"


def test_question_without_who_acts_is_refused():
    """An act that is left out is not an act of nobody."""
    with pytest.raises(MalformedError, match="FIELD_MISSING") as caught:
        SEARCH.decode_question(SEARCH.request())
    assert caught.value.facts == {"field": "act"}


@pytest.mark.parametrize(
    ("rpc", "query", "most"),
    [
        (LIST_PERMITS, PermitQuery(), 1000),
        (LIST_MESSAGES, MessageQuery(direction=Direction.SENT, peer=NodeName("zhejiang")), 256),
    ],
    ids=["permits", "messages"],
)
def test_page_size_is_within_bounds(rpc, query, most):
    """None named means 100, and too many counts as the most."""
    for asked, size in ((0, 100), (1, 1), (most, most), (most + 1, most), (2**31 - 1, most)):
        request = rpc.encode_question(ACT, replace(query, page_size=asked))
        assert rpc.decode_question(request) == (ACT, replace(query, page_size=size))


def test_answers_that_are_too_few_or_empty_are_refused():
    """One answer for each row, each saying something."""
    response = REGISTER_VEHICLES.encode_answer((StoredVersion(id="urn:vehicle:361123:000001", version=2),))
    with pytest.raises(MalformedError, match="ANSWER_COUNT"):
        REGISTER_VEHICLES.decode_answer(response, question=((), ()))
    empty = register_service_pb2.RegisterVehiclesResponse(rows=[register_service_pb2.RegisteredRow()])
    with pytest.raises(MalformedError, match="ANSWER"):
        REGISTER_VEHICLES.decode_answer(empty.SerializeToString(), question=((),))


def test_choice_inside_a_message_that_says_nothing_is_refused():
    """News is a notice or a flag."""
    watch = next(rpc for rpc in RPCS if rpc.name.endswith("/WatchNotices"))
    with pytest.raises(MalformedError, match="ANSWER"):
        watch.decode_answer(watch.response(token="7").SerializeToString(), question="")


def test_failure_in_an_answer_reads_back_equal():
    """An error inside an answer keeps class, reason and sentence; its facts are text."""
    response = SUBMIT.encode_answer((RECEIPT, StaleError("EXPIRED", "too old", seconds=3)))

    receipt, error = SUBMIT.decode_answer(response, question=(SUBMISSION, SUBMISSION))

    assert receipt == RECEIPT
    assert type(error) is StaleError
    assert (error.reason, error.message, error.facts) == ("EXPIRED", "too old", {"seconds": "3"})


def test_bytes_that_are_no_answer_are_refused():
    """A packed answer is one: it is never unpacked."""
    with pytest.raises(MalformedError, match="ANSWER_FORM"):
        SUBMIT.decode_answer(b"\x1f\x8b\x08\0", question=(SUBMISSION,))


def test_failure_of_an_unknown_kind_is_unavailable():
    """A newer peer's kind says nothing here: try again later."""
    response = SUBMIT.response(
        answers=[{"failure": exchange_pb2.Failure(kind=99, reason="NEW", message="m")}]
    ).SerializeToString()
    (error,) = SUBMIT.decode_answer(response, question=(SUBMISSION,))
    assert (type(error), error.reason) == (UnavailableError, "NEW")


def test_submission_bytes_are_ready_to_verify_and_to_keep():
    """The envelope that comes out is `bytes`, the items a tuple of them; no body is not an empty body."""
    request = SUBMIT.request.FromString(SUBMIT.encode_question(None, (SUBMISSION,)).SerializeToString())
    _, (found,) = SUBMIT.decode_question(request)
    assert type(found.envelope) is bytes
    assert isinstance(found.body.items, tuple)


def test_short_root_of_a_digest_is_refused():
    """A digest has a root of 32 bytes."""
    with pytest.raises(MalformedError, match="DIGEST_ROOT"):
        DIGEST_RANGE.decode_answer(DIGEST_RANGE.response(root=b"short").SerializeToString(), question=None)


def test_unknown_words_and_unset_words_are_malformed_by_field():
    """A word of a newer version is refused, never guessed; the value is not told."""
    request = SEARCH.encode_question(ACT, calls.SEARCH)
    for number in (0, 99):
        request.urgency = number
        with pytest.raises(MalformedError, match="ENUM_VALUE") as caught:
            SEARCH.decode_question(request)
        assert caught.value.facts == {"field": "urgency"}
    with pytest.raises(MalformedError, match="ENUM_VALUE"):
        from_pb(PermitItem, permit_pb2.Permit(urn=ITEM.urn, residence_division="330822"))


def test_day_that_is_in_no_calendar_is_malformed_by_field():
    """30 February has the right form and is no day."""
    request = REGISTER_PERMIT.encode_question(ACT, APPLICATION)
    request.application.apply_date = "2226-02-30"
    verify_shape(request)
    with pytest.raises(MalformedError, match="DATE") as caught:
        REGISTER_PERMIT.decode_question(request)
    assert caught.value.facts == {"field": "apply_date"}
    assert "2226" not in caught.value.message


def test_text_of_another_form_is_malformed_by_field_and_not_shown():
    """The error of a name, an agency or an id says which field, not what stood there."""
    message = permit_pb2.Permit(urn=CITIZEN_NUMBER, version=1, status="PERMIT_STATUS_VALID")
    with pytest.raises(MalformedError, match="PERMIT_URN") as caught:
        from_pb(PermitItem, message)
    assert (caught.value.facts, CITIZEN_NUMBER in str(caught.value)) == ({"field": "urn"}, False)


def test_message_without_a_required_part_is_malformed_by_field():
    """An answer without its decision is none."""
    page = next(rpc for rpc in RPCS if rpc is LIST_PERMITS)
    with pytest.raises(MalformedError, match="FIELD_MISSING") as caught:
        page.decode_answer(permit_service_pb2.ListPermitsResponse().SerializeToString(), question=PermitQuery())
    assert caught.value.facts == {"field": "decision"}


@pytest.mark.parametrize("item", [ITEM, BARE_ITEM], ids=["every field", "no field"])
def test_field_that_was_not_released_stays_absent(item):
    """Absent on the wire, None on the other side; a digest is bytes there and hexadecimal here."""
    message = to_pb(item, permit_pb2.Permit)
    assert message.HasField("citizen_number") is (item.citizen_number is not None)
    assert message.photo_digest.hex() == (item.photo_digest or "")
    assert from_pb(PermitItem, message) == item


def test_pair_whose_names_differ_is_an_error_of_the_programmer():
    """A field that only one side has is told when the pair is first used, either way."""

    @dataclass(frozen=True, kw_only=True)
    class Fewer:
        officer: str

    @dataclass(frozen=True, kw_only=True)
    class Other(Fewer):
        code: str
        agency: str
        time: str

    with pytest.raises(TypeError, match="no field for agency, code, time"):
        to_pb(Fewer(officer="o"), watermark_pb2.Watermark)
    with pytest.raises(TypeError, match="Timestamp"):
        to_pb(Other(officer="o", code="c", agency="a", time="t"), watermark_pb2.Watermark)


@pytest.mark.parametrize(
    ("message", "field", "words"),
    [
        (register_service_pb2.Vehicle, "plate_class", PlateClass),
        (register_service_pb2.Vehicle, "status", VehicleStatus),
        (register_service_pb2.Enterprise, "status", EnterpriseStatus),
    ],
)
def test_words_of_the_proto_are_those_of_the_domain(message, field, words):
    """A class or a status that one of them does not know cannot be registered by the other."""
    rules = message.DESCRIPTOR.fields_by_name[field].GetOptions().Extensions[validate_pb2.field]
    assert set(getattr(rules.string, "in")) == {str(word) for word in words}


def test_registers_have_the_fields_that_policy_names():
    """A fetch names fields of a record by these."""
    assert set(register_service_pb2.Vehicle.DESCRIPTOR.fields_by_name) == {*VEHICLE_FIELDS, "sealed"}
    assert set(register_service_pb2.Enterprise.DESCRIPTOR.fields_by_name) == set(ENTERPRISE_FIELDS)
