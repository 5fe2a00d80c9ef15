"""What is checked of a caller beyond what a connection shows; the rest is in `test_server`."""

from datetime import UTC, datetime

import pytest

from federation.protocol.errors import UntrustedError
from federation.protocol.ids import NodeName, parse_agency_id
from federation.wire.agency.lookups import SEARCH
from federation.wire.agency.node import GET_STATUS
from federation.wire.gatekeeper import Caller, Gate, calling, enter_call, verify_caller, verify_method
from federation.wire.rpc import Side
from tests.wire.certificates import FEDERATION, NOW, Authority


def _caller(identity):
    node = getattr(identity, "node", identity)
    return Caller(identity=identity, node=node, serial="1", not_before=NOW, not_after=NOW)


def _gate(authority: Authority, side: Side = Side.PEER) -> Gate:
    return Gate(
        side=side,
        federation=FEDERATION,
        node=NodeName("jiangxi"),
        ca_of={"zhejiang": authority.pem}.get,
        revoked=lambda node, serial: False,
        agreed=lambda agency: True,
        now=lambda: datetime.now(UTC),
    )


def test_caller_without_a_certificate_is_refused():
    """A connection that shows none has no name."""
    with pytest.raises(UntrustedError, match="CERTIFICATE_MISSING"):
        verify_caller({}, _gate(Authority("zhejiang")))


def test_caller_with_garbage_for_a_certificate_is_refused():
    """What cannot be read names nobody."""
    with pytest.raises(UntrustedError, match="CERTIFICATE_NAME"):
        verify_caller({"x509_pem_cert": [b"garbage"]}, _gate(Authority("zhejiang")))


def test_caller_under_a_second_ca_of_its_node_is_admitted():
    """While a province changes its CA, the agreement gives both."""
    old, new = Authority("zhejiang"), Authority("zhejiang new")
    gate = _gate(old)
    both = Gate(
        side=gate.side,
        federation=gate.federation,
        node=gate.node,
        ca_of=lambda node: old.pem + new.pem,
        revoked=gate.revoked,
        agreed=gate.agreed,
        now=gate.now,
    )
    issued = new.node("zhejiang")

    assert verify_caller({"x509_pem_cert": [issued.certificate]}, both).identity == "zhejiang"
    with pytest.raises(UntrustedError, match="CERTIFICATE_ISSUER"):
        verify_caller({"x509_pem_cert": [issued.certificate]}, gate)


def test_serial_is_asked_in_the_agreements_form():
    """Lower-case hex without leading zeros, with the node whose CA issued it."""
    authority, asked = Authority("zhejiang"), []
    gate = _gate(authority)
    watching = Gate(
        side=gate.side,
        federation=gate.federation,
        node=gate.node,
        ca_of=gate.ca_of,
        revoked=lambda node, serial: bool(asked.append((node, serial))),
        agreed=gate.agreed,
        now=gate.now,
    )
    issued = authority.node("zhejiang")

    verify_caller({"x509_pem_cert": [issued.certificate]}, watching)

    assert asked == [("zhejiang", issued.serial)]


def test_method_for_some_kinds_refuses_the_others():
    """A line can keep an RPC to some kinds of agency; what they may do in it is policy's to say."""
    police, school = (_caller(parse_agency_id(f"jiangxi/361123/{kind}")) for kind in ("police", "school"))

    assert verify_method(police, SEARCH, Side.AGENCY) is SEARCH
    with pytest.raises(UntrustedError, match="METHOD_DENIED"):
        verify_method(school, SEARCH, Side.AGENCY)


@pytest.mark.parametrize("rpc", [None, GET_STATUS], ids=["no line", "other side"])
def test_method_without_a_line_for_this_side_is_refused(rpc):
    """Default deny."""
    with pytest.raises(UntrustedError, match="METHOD_DENIED"):
        verify_method(_caller(NodeName("zhejiang")), rpc, Side.PEER)


def test_caller_is_an_agency_only_when_its_certificate_says_so():
    """A step of an agency cannot be handed a node."""
    enter_call(_caller(NodeName("zhejiang")))
    with pytest.raises(UntrustedError, match="CALLER_SIDE"):
        calling().agency  # noqa: B018 - reading it raises
    enter_call(_caller(parse_agency_id("jiangxi/361123/police")))
    assert str(calling().agency) == "jiangxi/361123/police"
