"""Values to protobuf and back: equal values, through the bytes that really go over the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.body import Body
from federation.protocol.errors import BridgeheadError, MalformedError, StaleError, UnavailableError
from federation.protocol.receipt import Receipt, Submission
from federation.protocol.trust.agreement import AgreementFiles
from federation.v1 import audit_service_pb2, exchange_pb2, exchange_service_pb2, reconciliation_service_pb2
from federation.wire import convert
from federation.wire.values import Direction, MessageQuery
from tests.wire.answers import ACT, DIGEST, FILES, MESSAGES, RECEIPT, STATUS, SUBMISSION


def _again(message):
    return type(message).FromString(message.SerializeToString())


bodies = st.builds(
    Body, type=st.text(max_size=20), salt=st.binary(max_size=40), items=st.lists(st.binary(max_size=20)).map(tuple)
)
submissions = st.builds(Submission, envelope=st.binary(max_size=60), body=st.none() | bodies)
receipts = st.builds(Receipt, leaf=st.binary(max_size=60), proof=st.binary(max_size=60))


@given(found=st.lists(submissions, max_size=5))
def test_submissions_read_back_equal(found):
    """Envelopes and bodies are carried byte for byte; no body is not an empty body."""
    assert convert.submissions_from_pb(_again(convert.submissions_to_pb(found))) == found


@given(found=st.lists(receipts, max_size=5))
def test_receipts_read_back_equal(found):
    """Leaf and proof are carried byte for byte."""
    assert convert.answers_from_pb(_again(convert.answers_to_pb(found)), expected=len(found)) == found


def test_failure_in_an_answer_reads_back_equal():
    """An error inside an answer keeps class, reason and sentence; its facts are text."""
    response = _again(convert.answers_to_pb([RECEIPT, StaleError("EXPIRED", "too old", seconds=3)]))

    receipt, error = convert.answers_from_pb(response, expected=2)

    assert receipt == RECEIPT
    assert type(error) is StaleError
    assert (error.reason, error.message, error.facts) == ("EXPIRED", "too old", {"seconds": "3"})


def test_answers_of_another_number_are_refused():
    """One answer for each submission: or nobody would know which is whose."""
    with pytest.raises(MalformedError, match="ANSWER_COUNT"):
        convert.answers_from_pb(convert.answers_to_pb([RECEIPT]), expected=2)


def test_answer_that_says_nothing_is_refused():
    """An unset choice is malformed, not a receipt of nothing."""
    response = exchange_service_pb2.SubmitResponse(answers=[exchange_service_pb2.SubmissionAnswer()])
    with pytest.raises(MalformedError, match="ANSWER"):
        convert.answers_from_pb(response, expected=1)


def test_failure_of_an_unknown_kind_is_unavailable():
    """A newer peer's kind says nothing here: try again later."""
    error = convert.failure_from_pb(exchange_pb2.Failure(kind=99, reason="NEW", message="m"))

    assert (type(error), error.reason) == (UnavailableError, "NEW")
    assert isinstance(error, BridgeheadError)


@pytest.mark.parametrize(
    "files",
    [FILES, AgreementFiles(roots=(), timestamp=b"", snapshot=b"", targets=b"", files={})],
    ids=["full", "empty"],
)
def test_agreement_reads_back_equal(files):
    """Signed files are carried byte for byte, paths included."""
    assert convert.agreement_from_pb(_again(convert.agreement_to_pb(files))) == files


def test_digest_reads_back_equal_and_a_short_root_is_refused():
    """A digest has a root of 32 bytes."""
    assert convert.digest_from_pb(_again(convert.digest_to_pb(DIGEST))) == DIGEST
    with pytest.raises(MalformedError, match="DIGEST_ROOT"):
        convert.digest_from_pb(reconciliation_service_pb2.DigestRangeResponse(root=b"short"))


def test_status_reads_back_equal():
    """Every field of a node's state survives, absent times included."""
    assert convert.status_from_pb(_again(convert.status_to_pb(STATUS))) == STATUS


def test_messages_read_back_equal():
    """A page of messages survives, a missing receipt and the end of the list included."""
    assert convert.message_page_from_pb(_again(convert.message_page_to_pb(MESSAGES))) == MESSAGES


def test_act_reads_back_equal():
    """Who acts and what for survives."""
    assert convert.act_from_pb(_again(convert.act_to_pb(ACT))) == ACT


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (1, 1), (256, 256), (257, 256), (2**31 - 1, 256)])
def test_message_query_page_size_is_clamped(asked, given):
    """0 means the default, too many means the most."""
    query = MessageQuery(direction=Direction.RECEIVED, peer="zhejiang", after_seq=7, page_size=asked)

    found = convert.message_query_from_pb(_again(convert.message_query_to_pb(ACT, query)))

    assert found == MessageQuery(direction=Direction.RECEIVED, peer="zhejiang", after_seq=7, page_size=given)


@pytest.mark.parametrize("direction", Direction)
def test_every_direction_has_a_number(direction):
    """The words on both sides are the same."""
    request = convert.message_query_to_pb(ACT, MessageQuery(direction=direction, peer="zhejiang"))
    assert audit_service_pb2.MessageDirection.Name(request.direction) == f"MESSAGE_DIRECTION_{direction.name}"
    assert convert.message_query_from_pb(request).direction is direction


def test_submission_bytes_are_the_same_object_shape():
    """The envelope that comes out is `bytes`, ready to verify and to keep."""
    found = convert.submissions_from_pb(_again(convert.submissions_to_pb([SUBMISSION])))[0]
    assert type(found.envelope) is bytes
    assert isinstance(found.body.items, tuple)
