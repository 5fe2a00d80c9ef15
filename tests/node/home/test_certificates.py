"""Tests of `node.home.certificates`: each leaf is what a strict verifier of another library demands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from federation.node.home.certificates import (
    Issued,
    create_authority,
    issue_agency_client,
    issue_agency_server,
    issue_peer,
    parse_facts,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, NodeName

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
FEDERATION = "bridgehead.example"
ZHEJIANG = NodeName("zhejiang")
POLICE = AgencyId(ZHEJIANG, "330822", "police")
HOSTS = ("localhost", "127.0.0.1")


def _builder(authority: Issued, now: datetime = NOW) -> PolicyBuilder:
    return PolicyBuilder().store(Store([x509.load_pem_x509_certificate(authority.certificate)])).time(now)


def _leaf(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate)


def _peer(authority: Issued) -> Issued:
    return issue_peer(authority, federation=FEDERATION, node=ZHEJIANG, hosts=HOSTS, now=NOW)


def test_issue_peer_verifies_as_client_and_as_server():
    """A node calls and serves its peers with one certificate that names it by URI."""
    authority = create_authority("zhejiang peer authority", now=NOW)
    leaf = _leaf(_peer(authority))

    client = _builder(authority).build_client_verifier().verify(leaf, [])
    for host in (x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))):
        _builder(authority).build_server_verifier(host).verify(leaf, [])

    assert client.subjects is not None
    assert x509.UniformResourceIdentifier("spiffe://bridgehead.example/zhejiang") in client.subjects


def test_issue_agency_client_verifies_as_client_only():
    """An agency's certificate names the agency by URI alone and cannot serve."""
    authority = create_authority("zhejiang agency authority", now=NOW)
    leaf = _leaf(issue_agency_client(authority, federation=FEDERATION, agency=POLICE, now=NOW))

    client = _builder(authority).build_client_verifier().verify(leaf, [])
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert client.subjects == [x509.UniformResourceIdentifier("spiffe://bridgehead.example/zhejiang/330822/police")]
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(VerificationError):
        _builder(authority).build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])


def test_issue_agency_server_cannot_call_as_a_client():
    """The agency side's server certificate opens no door as a client."""
    authority = create_authority("zhejiang agency authority", now=NOW)
    leaf = _leaf(issue_agency_server(authority, federation=FEDERATION, node=ZHEJIANG, hosts=HOSTS, now=NOW))

    _builder(authority).build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])

    with pytest.raises(VerificationError):
        _builder(authority).build_client_verifier().verify(leaf, [])


def test_issue_peer_under_another_authority_refused():
    """A leaf verifies under its own authority and under no other."""
    own, other = (create_authority(name, now=NOW) for name in ("zhejiang peer authority", "jiangxi peer authority"))
    leaf = _leaf(_peer(own))

    with pytest.raises(VerificationError):
        _builder(other).build_client_verifier().verify(leaf, [])


@pytest.mark.parametrize("after", [timedelta(days=90, seconds=1), -timedelta(minutes=6)])
def test_issue_peer_outside_its_lifetime_refused(after):
    """A leaf lives for ninety days, backdated by five minutes for clocks that are behind."""
    authority = create_authority("zhejiang peer authority", now=NOW - timedelta(days=1))
    leaf = _leaf(_peer(authority))

    with pytest.raises(VerificationError):
        _builder(authority, NOW + after).build_client_verifier().verify(leaf, [])


def test_issue_peer_from_a_leaf_refused():
    """A leaf is no authority: what it signs verifies nowhere."""
    authority = create_authority("zhejiang peer authority", now=NOW)
    peer = _peer(authority)
    below = _leaf(_peer(peer))

    with pytest.raises(VerificationError):
        _builder(authority).build_client_verifier().verify(below, [_leaf(peer)])


def test_parse_facts_gives_name_serial_and_end():
    """An operator sees whose certificate it is, the serial as revocation lists have it, and its end."""
    issued = _peer(create_authority("zhejiang peer authority", now=NOW))

    facts = parse_facts(issued.certificate)

    assert facts.uris == ("spiffe://bridgehead.example/zhejiang",)
    assert int(facts.serial, 16) == _leaf(issued).serial_number
    assert facts.expires_time == NOW + timedelta(days=90)


def test_parse_facts_of_no_certificate_refused():
    """Other bytes, and an authority without a SAN, are refused."""
    for content in (b"no certificate", create_authority("a", now=NOW).certificate):
        with pytest.raises(MalformedError) as refusal:
            parse_facts(content)
        assert refusal.value.reason == "CERTIFICATE"


def test_issue_with_another_kind_of_key_refused():
    """An authority signs with a P-256 key in PEM."""
    authority = create_authority("a", now=NOW)

    for key in (b"no key", authority.certificate):
        with pytest.raises(MalformedError) as refusal:
            _peer(Issued(certificate=authority.certificate, key=key))
        assert refusal.value.reason == "PRIVATE_KEY"


def test_issued_key_stays_out_of_the_printed_form():
    """A private key never reaches a log by way of `repr`."""
    assert "PRIVATE" not in repr(create_authority("a", now=NOW))
