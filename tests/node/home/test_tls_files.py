"""Tests of `node.home.tls_files`: certificates as files, revocation, connection profiles."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from federation.node.home.keyring import create_keyring
from federation.node.home.tls_files import (
    create_tls,
    find_leaves,
    find_side,
    issue_client,
    load_profile,
    load_revoked,
    renew_tls,
    revoke_client,
    write_profiles,
)
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, RuleError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ZHEJIANG = NodeName("zhejiang")
POLICE = AgencyId(ZHEJIANG, "330822", "police")
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
