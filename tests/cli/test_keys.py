"""Tests of `bridgehead keys`: what it prints, what it refuses, and that no secret reaches the screen."""

from __future__ import annotations

import json
import stat
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from federation.cli import keys
from federation.node.home.certificates import issue_client
from federation.node.home.files import load_profile, load_revoked
from federation.node.home.keyring import load_keyring
from federation.node.serve import utc_now
from federation.protocol.errors import BridgeheadError, ConflictError, NotFoundError, RuleError
from federation.protocol.ids import parse_agency_id
from federation.protocol.keys import format_public_key

RUNNER = CliRunner()


def _run(*args, code=0):
    result = RUNNER.invoke(keys.app, [str(arg) for arg in args])
    assert result.exit_code == code, (result.exception, result.output)
    return result


def _refusal(*args):
    result = RUNNER.invoke(keys.app, [str(arg) for arg in args])
    assert isinstance(result.exception, BridgeheadError), result.output
    return result.exception


@pytest.fixture
def home(tmp_path):
    _run("new", "--home", tmp_path / "anhui", "--node", "anhui")
    return tmp_path / "anhui"


def test_new_makes_a_home_that_is_ready_to_run(home):
    """Settings, keys of mode 0600, certificates and a profile for every agency."""
    profiles = [load_profile(path) for path in home.glob("clients/*/profile.toml")]

    assert (home / "node.toml").is_file()
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*.key")} == {0o600}
    assert "anhui/341022/police" in {str(profile.agency) for profile in profiles}
    assert {profile.agency_addr for profile in profiles} == {"127.0.0.1:7402"}


def test_new_over_an_existing_home_refused(home):
    """Keys are never overwritten."""
    assert isinstance(_refusal("new", "--home", home, "--node", "anhui"), ConflictError)


def test_new_of_an_unknown_province_refused(tmp_path):
    """A province without a folder of settings is named."""
    assert isinstance(_refusal("new", "--home", tmp_path / "x", "--node", "hunan"), NotFoundError)


def test_show_prints_public_keys_and_no_secret(home):
    """What is printed is public: never a private key, in no form."""
    text = _run("show", "--home", home).stdout
    shown = json.loads(_run("show", "--home", home, "-o", "json").stdout)

    keyring = load_keyring(home)

    assert shown["keys"]["message"] == format_public_key(keyring.message.public_key)
    assert shown["keys"]["log"] in text
    assert len(shown["certificates"]) == 2 + len(list(home.glob("clients/*")))
    assert "PRIVATE" not in text
    assert keyring.columns.key.hex() not in text


def test_bundle_is_admitted_by_admit(home, tmp_path):
    """A bundle on stdout or in a file passes the check that an agreement makes."""
    _run("bundle", "--home", home, "--out", tmp_path / "anhui.bundle")
    printed = _run("bundle", "--home", home).stdout
    (tmp_path / "redirected").write_text(printed)
    assert _run("admit", tmp_path / "redirected").stdout

    admitted = _run("admit", tmp_path / "anhui.bundle").stdout

    assert (tmp_path / "anhui.bundle").read_text() == printed.rstrip("\n")
    assert load_keyring(home).message.public_key.key_id in admitted
    assert admitted.count("anhui") == 5


def test_admit_of_a_low_order_key_refused():
    """With a low-order key one signature fits many messages: it is refused by name, as a key and in a bundle."""
    refusal = _refusal("admit", "ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")

    assert refusal.reason.startswith("KEY")


def test_admit_of_a_key_and_a_vkey_prints_their_ids(home):
    """Single keys in either written form can be checked."""
    shown = json.loads(_run("show", "--home", home, "-o", "json").stdout)["keys"]

    assert load_keyring(home).message.public_key.key_id in _run("admit", shown["message"]).stdout
    assert "anhui.bridgehead.example/witness" in _run("admit", shown["witness"]).stdout
    assert isinstance(_refusal("admit", "no-such-file"), NotFoundError)


def test_rotate_begins_and_is_not_finished_before_it_is_agreed(home):
    """The successor is made first, named in the home's bundle, and put in place later."""
    began = _run("rotate", "message", "--home", home, "--starts", "2026-12-01T00:00:00.000Z").stdout.strip()

    assert began == load_keyring(home).next_message.public_key.key_id
    assert began in _run("admit", home / "member-bundle.json").stdout
    assert _refusal("rotate", "message", "--home", home, "--finish").reason == "KEY_NOT_AGREED"
    _run("rotate", "message", "--home", home, "--finish", "--starts", "2026-12-01T00:00:00.000Z", code=2)
    _run("rotate", "freshness", "--home", home, "--starts", "2026-12-01T00:00:00.000Z", code=2)
    assert isinstance(_refusal("rotate", "log", "--home", home), RuleError)
    _run("rotate", "tls", "--home", home, code=2)


def test_client_and_revoke_print_what_a_script_needs(home):
    """A re-issued certificate prints its profile; a revocation prints the serial."""
    serial = _run("revoke", "anhui/341022/police", "--home", home).stdout.strip()
    profile = _run("client", "anhui/341022/police", "--home", home).stdout.strip()

    assert load_revoked(home) == {serial}
    assert profile.endswith("clients/341022-police/profile.toml")


def test_renew_prints_the_new_ends(home):
    """Renewal names the node's certificates and their ends; of the agencies' it says how many there are."""
    shown = _run("renew", "--home", home, "--host", "node.anhui.example").stdout
    agencies = len(list(home.glob("clients/*/client.crt")))

    assert "tls/peer.crt" in shown
    assert f"{agencies} certificates of agencies, 0 to renew" in shown
    assert "clients/" not in shown
    assert len(json.loads(_run("renew", "--home", home, "-o", "json").stdout)) == agencies + 2


def test_renew_names_an_agency_whose_certificate_ends_soon(home):
    """What needs somebody's hand is shown, with the command that renews it."""
    police = parse_agency_id("anhui/341022/police")
    issue_client(home, police, now=utc_now(), lifetime=timedelta(days=29))

    shown = _run("renew", "--home", home).stdout

    assert "1 to renew" in shown
    assert [line for line in shown.splitlines() if line.startswith("clients/341022-police/client.crt")]
    assert shown.count("clients/") == 1
    assert "bridgehead keys client" in shown
