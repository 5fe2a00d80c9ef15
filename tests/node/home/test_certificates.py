"""Tests of `node.home.certificates`: what a strict verifier of another library demands; files, revocation, profiles."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from federation.node.home.certificates import (
    Issued,
    create_authority,
    create_tls,
    find_leaves,
    find_side,
    issue_agency_client,
    issue_agency_server,
    issue_client,
    issue_peer,
    parse_facts,
    renew_tls,
    revoke_client,
    write_profiles,
)
from federation.node.home.files import load_profile, load_revoked
from federation.node.home.keyring import create_keyring
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, RuleError, UntrustedError
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


HALL = AgencyId(ZHEJIANG, "330822", "service-hall")


@pytest.fixture
def home(tmp_path):
    create_keyring(tmp_path / "home", "bridgehead.example", node=ZHEJIANG, now=NOW)
    create_tls(tmp_path / "home", (POLICE, HALL), hosts=("localhost", "127.0.0.1"), now=NOW)
    return tmp_path / "home"


def _load(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_create_tls_gives_each_side_its_own_chain(home):
    """The node's name verifies on both sides, and an agency's certificate only under the agency authority."""
    sides = {side: find_side(home, side) for side in ("peer", "agency")}
    police = _load(home / "clients" / "330822-police" / "client.crt")
    own = x509.DNSName("zhejiang.bridgehead.example")

    for side in sides.values():
        store = Store([_load(side.authority)])
        PolicyBuilder().store(store).time(NOW).build_server_verifier(own).verify(_load(side.certificate), [])
    agency_store = Store([_load(sides["agency"].authority)])
    PolicyBuilder().store(agency_store).time(NOW).build_client_verifier().verify(police, [])

    peer_store = Store([_load(sides["peer"].authority)])
    with pytest.raises(x509.verification.VerificationError):
        PolicyBuilder().store(peer_store).time(NOW).build_client_verifier().verify(police, [])


def test_create_tls_keeps_every_private_key_to_its_owner(home):
    """Every key file is 0600; authorities are never overwritten."""
    keys = [*home.glob("tls/*.key"), *home.glob("clients/*/*.key")]

    assert len(keys) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    with pytest.raises(ConflictError):
        create_tls(home, (), hosts=("localhost",), now=NOW)


def test_renew_tls_issues_anew_under_the_same_authority(home):
    """Renewal changes the leaf and its end, not the authority that the others know."""
    before, authority = find_leaves(home)["tls/peer.crt"], find_side(home, "peer").authority.read_bytes()

    renew_tls(home, hosts=("localhost",), now=NOW + timedelta(days=60))

    after = find_leaves(home)["tls/peer.crt"]
    assert after.serial != before.serial
    assert after.expires_time == before.expires_time + timedelta(days=60)
    assert find_side(home, "peer").authority.read_bytes() == authority


def test_find_side_with_an_open_key_refused(home):
    """A TLS key that others may read is refused as any other key."""
    (home / "tls" / "peer.key").chmod(0o644)

    with pytest.raises(UntrustedError):
        find_side(home, "peer")


def test_revoke_client_lists_its_serial_once(home):
    """A revoked certificate stays on the list; a new one gets a new serial."""
    first = revoke_client(home, POLICE)
    again = revoke_client(home, POLICE)
    issue_client(home, POLICE, now=NOW)

    assert first == again
    assert load_revoked(home) == {first}
    assert find_leaves(home)["clients/330822-police/client.crt"].serial != first


@pytest.mark.parametrize("content", ["xyz\n", "0x12\n", "12 34\n"])
def test_load_revoked_with_a_line_that_is_no_serial_refused(home, content):
    """A list that cannot be read is never an empty one."""
    (home / "tls" / "agency-revoked.txt").write_text(content)

    with pytest.raises(MalformedError) as refusal:
        load_revoked(home)

    assert refusal.value.reason == "REVOKED_SERIAL"


def test_load_revoked_without_the_file_refused(home):
    """Deleting the list lifts no revocation: the node refuses to start."""
    (home / "tls" / "agency-revoked.txt").unlink()

    with pytest.raises(NotFoundError):
        load_revoked(home)


def test_issue_client_of_another_node_refused(home):
    """A node issues certificates for its own agencies only."""
    with pytest.raises(RuleError) as refusal:
        issue_client(home, AgencyId(NodeName("jiangxi"), "361123", "police"), now=NOW)

    assert refusal.value.reason == "AGENCY_ELSEWHERE"


def test_write_profiles_can_be_loaded_from_anywhere(home):
    """A profile names its files relative to itself, so that the folder can be handed over as it is."""
    paths = write_profiles(home, agency_addr="127.0.0.1:7102", read_url="http://127.0.0.1:7103")

    profiles = [load_profile(path) for path in paths]

    assert {profile.agency for profile in profiles} == {POLICE, HALL}
    assert all(path.is_file() for profile in profiles for path in (profile.ca, profile.cert, profile.key))
    assert profiles[0].server_name == "zhejiang.bridgehead.example"
    assert profiles[0].agency_addr == "127.0.0.1:7102"


@pytest.mark.parametrize("line", ["", "more = 1", 'node = "zhejiang"', "="])
def test_load_profile_of_another_form_refused(tmp_path, line):
    """Missing, unknown and untyped fields are named."""
    path = tmp_path / "profile.toml"
    path.write_text(line)

    with pytest.raises(MalformedError) as refusal:
        load_profile(path)

    assert refusal.value.reason == "PROFILE"
