"""The table of the error tree: complete, one row a class, and safe against what a peer may send."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol import errors
from federation.protocol.errors import BridgeheadError, MalformedError, UnavailableError, UntrustedError
from federation.wire.status import (
    CODES_BY_REASON,
    DETAILS_KEY,
    STATUS_ROWS,
    code_of,
    encode_status,
    error_of,
    error_of_call,
    facts_of,
    http_code_of,
    kind_of,
)

TREE = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, BridgeheadError)]
LEAVES = [found for found in TREE if found is not BridgeheadError]


def _ended(code: grpc.StatusCode, details: str = "", trailing: bytes | None = None) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata(*([(DETAILS_KEY, trailing)] if trailing is not None else []))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details=details)


def test_table_has_one_row_for_each_class_of_the_tree():
    """No class is forgotten, none stands twice, no kind is used twice."""
    assert sorted(row.error.__name__ for row in STATUS_ROWS) == sorted(found.__name__ for found in LEAVES)
    assert len({row.kind for row in STATUS_ROWS}) == len(STATUS_ROWS)


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.__name__)
def test_status_of_each_class_reads_back_equal(error):
    """Class, reason, sentence and facts come back; facts as text."""
    sent = error("SOME_REASON", "a sentence", seq=3, field="body.items[2]")

    found = error_of_call(_ended(code_of(sent), sent.message, encode_status(sent)))

    assert type(found) is error
    assert (found.reason, found.message, found.facts) == (
        "SOME_REASON",
        "a sentence",
        {"seq": "3", "field": "body.items[2]"},
    )
    assert 400 <= http_code_of(sent) < 600


def test_status_carries_one_error_info_and_a_bad_request_for_a_field():
    """Other people's tools find the reason, our domain, and the field."""
    status = status_pb2.Status.FromString(encode_status(MalformedError("FIELD_RULE", "too long", field="urn")))

    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert len(status.details) == 2
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(request)
    assert (info.reason, info.domain, info.metadata["kind"]) == ("FIELD_RULE", "federation.v1", "MALFORMED")
    assert request.field_violations[0].field == "urn"


@pytest.mark.parametrize("reason", CODES_BY_REASON)
def test_reason_with_its_own_code_keeps_its_class(reason):
    """A certificate that does not count is UNAUTHENTICATED on the wire and `UntrustedError` in the house."""
    sent = UntrustedError(reason, "a sentence")

    assert code_of(sent) is CODES_BY_REASON[reason]
    assert type(error_of_call(_ended(code_of(sent), "", encode_status(sent)))) is UntrustedError


@pytest.mark.parametrize(
    ("code", "details", "error", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", UnavailableError, "PEER_UNREACHABLE"),
        (grpc.StatusCode.UNAVAILABLE, "handshake: CERTIFICATE_VERIFY_FAILED", UntrustedError, "SERVER_CERTIFICATE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", UnavailableError, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", UnavailableError, "OVERLOADED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "message larger than max (9 vs. 8)", MalformedError, "MESSAGE_SIZE"),
        (grpc.StatusCode.UNIMPLEMENTED, "", UnavailableError, "METHOD_NOT_OFFERED"),
        (grpc.StatusCode.UNAUTHENTICATED, "", UntrustedError, "CERTIFICATE_REFUSED"),
        (grpc.StatusCode.PERMISSION_DENIED, "", UntrustedError, "CALLER_REFUSED"),
        (grpc.StatusCode.CANCELLED, "", UnavailableError, "CALL_CANCELLED"),
        (grpc.StatusCode.UNKNOWN, "oops", UnavailableError, "PEER_ERROR"),
        (grpc.StatusCode.INTERNAL, "oops", UnavailableError, "PEER_ERROR"),
    ],
)
def test_bare_status_means_what_gRPC_or_a_proxy_meant(code, details, error, reason):  # noqa: N802
    """A status without our details is read by its code."""
    found = error_of_call(_ended(code, details))

    assert (type(found), found.reason) == (error, reason)


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.__name__)
def test_kind_reads_back_to_the_class(error):
    """The kind in an answer names the class."""
    sent = error("SOME_REASON", "a sentence")

    assert type(error_of(kind_of(sent), reason=sent.reason, message=sent.message, facts={})) is error


@given(
    kind=st.text(max_size=20),
    reason=st.text(max_size=80),
    message=st.text(max_size=3000),
    facts=st.dictionaries(st.text(max_size=80) | st.sampled_from(["self", "reason", "message"]), st.text(max_size=400)),
)
def test_whatever_a_peer_tells_becomes_an_error_of_the_house(kind, reason, message, facts):
    """Nothing a peer sends raises anything else, grows without bound, or takes the place of an argument."""
    found = error_of(kind, reason=reason, message=message, facts=facts)

    assert isinstance(found, BridgeheadError)
    assert found.reason.isascii()
    assert len(found.reason) <= 63
    assert len(found.message) <= 1000
    assert len(found.facts) <= 16
    assert all(len(fact) <= 200 for fact in found.facts.values())


@given(trailing=st.binary(max_size=200))
def test_whatever_stands_in_the_details_becomes_an_error_of_the_house(trailing):
    """Broken details are dropped; the bare code counts."""
    assert isinstance(error_of_call(_ended(grpc.StatusCode.UNKNOWN, "x", trailing)), BridgeheadError)


def test_details_of_another_domain_are_not_ours():
    """An `ErrorInfo` that a gateway wrote is not one of our reasons."""
    status = status_pb2.Status(code=7, message="m")
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason="X", domain="gateway.example", metadata={"kind": "RULE"})
    )

    found = error_of_call(_ended(grpc.StatusCode.PERMISSION_DENIED, "m", status.SerializeToString()))

    assert (type(found), found.reason) == (UntrustedError, "CALLER_REFUSED")


def test_facts_are_cut_to_what_a_status_may_carry():
    """At most sixteen facts of 200 characters: details stay far below what HTTP/2 headers hold."""
    sent = UnavailableError("X", "m", **{f"fact_{number}": "y" * 500 for number in range(30)})

    assert len(facts_of(sent)) == 16
    assert len(encode_status(sent)) < 8192
