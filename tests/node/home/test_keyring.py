"""Tests of `node.home.keyring` and the certificates beside it: files of one province, and who may read them."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from federation.node.home.keyring import (
    Office,
    create_keyring,
    finish_rotation,
    load_identity,
    load_keyring,
    rotate_key,
)
from federation.node.node import message_signer_at
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    MalformedError,
    NotFoundError,
    RuleError,
    UntrustedError,
)
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.keys import Suite, verify_signature
from federation.protocol.trust import MessageKey
from tests.protocol.trust.four import Plan, build, load

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
FEDERATION = "bridgehead.example"
ZHEJIANG = NodeName("zhejiang")


@pytest.fixture
def home(tmp_path) -> Path:
    create_keyring(tmp_path / "zhejiang", FEDERATION, node=ZHEJIANG, now=NOW)
    return tmp_path / "zhejiang"


def test_create_keyring_makes_distinct_keys_that_only_the_owner_reads(home):
    """Every office has a key of its own, in a file of mode 0600."""
    keyring = load_keyring(home)

    public = {
        keyring.message.public_key.key, keyring.log.vkey.public_key, keyring.witness.vkey.public_key,
        keyring.agreement.public_key.key, keyring.freshness.public_key.key,
    }  # fmt: skip

    assert len(public) == 5
    assert keyring.log.vkey.name == "zhejiang.bridgehead.example/exchange/2026"
    assert keyring.witness.vkey.name == "zhejiang.bridgehead.example/witness"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home / "keys").iterdir()} == {0o600}
    assert keyring.columns.key != keyring.columns.index_key


def test_create_keyring_twice_refused(home):
    """Keys are never overwritten."""
    with pytest.raises(ConflictError) as refusal:
        create_keyring(home, FEDERATION, node=ZHEJIANG, now=NOW)

    assert refusal.value.reason == "HOME_EXISTS"


def test_load_keyring_gives_the_same_keys_every_time(home):
    """What was created is what is loaded, and it signs."""
    first, second = load_keyring(home), load_keyring(home)

    assert first.message.public_key == second.message.public_key
    assert first.columns == second.columns
    verify_signature(first.message.public_key, b"statement", second.message.sign(b"statement"))


@pytest.mark.parametrize("name", ["message.key", "log.key", "data.key", "agreement.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_load_keyring_with_a_key_that_others_may_read_refused(home, name, mode):
    """A secret that group or others can read is refused, and the refusal says what to do."""
    (home / "keys" / name).chmod(mode)

    with pytest.raises(UntrustedError, match="chmod 600") as refusal:
        load_keyring(home)

    assert refusal.value.reason == "KEY_FILE_MODE"


@pytest.mark.parametrize("name", ["message.key", "log.key", "witness.key", "data.key"])
def test_load_keyring_without_a_needed_key_refused(home, name):
    """A running node needs these keys."""
    (home / "keys" / name).unlink()

    with pytest.raises(NotFoundError) as refusal:
        load_keyring(home)

    assert refusal.value.reason == "KEY_MISSING"


def test_load_keyring_with_the_agreement_key_kept_elsewhere_loads(home):
    """The keys that sign agreements may be kept off the machine that runs the node."""
    for name in ("agreement.key", "freshness.key"):
        (home / "keys" / name).unlink()

    keyring = load_keyring(home)

    assert keyring.agreement is None
    assert keyring.freshness is None


@pytest.mark.parametrize(
    ("name", "content"),
    [("message.key", b"no key"), ("data.key", b"{}"), ("log.key", b"-----BEGIN PRIVATE KEY-----\n")],
)
def test_load_keyring_with_a_broken_file_refused(home, name, content):
    """A file of another form is refused with a sentence, never with a traceback."""
    (home / "keys" / name).write_bytes(content)

    with pytest.raises(MalformedError):
        load_keyring(home)


def test_load_keyring_with_a_p256_message_key_signs_with_it(home):
    """Statements may be signed with P-256, as hardware modules do; checkpoints only with Ed25519."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (home / "keys" / "message.key").write_bytes(pem)

    assert load_keyring(home).message.public_key.suite is Suite.ECDSA_P256

    (home / "keys" / "log.key").write_bytes(pem)
    with pytest.raises(MalformedError) as refusal:
        load_keyring(home)
    assert refusal.value.reason == "PRIVATE_KEY"


def test_load_identity_that_a_person_edited_is_read(home):
    """Another order, spaces, a last newline and a byte order mark change nothing."""
    known = load_identity(home)
    fields = json.loads((home / "home.json").read_text())
    edited = json.dumps(dict(reversed(fields.items())), indent=2) + "\n"
    (home / "home.json").write_text(edited, encoding="utf-8-sig")

    assert load_identity(home) == known


def test_load_identity_without_a_home_says_what_to_do(tmp_path):
    """A folder that is no home is named as such."""
    with pytest.raises(NotFoundError, match="keys new") as refusal:
        load_identity(tmp_path)

    assert refusal.value.reason == "HOME_MISSING"


def test_rotate_message_key_keeps_both_until_finished(home):
    """While a rotation runs both keys are there; finishing it destroys the old one."""
    old = load_keyring(home).message.public_key
    start = NOW + timedelta(days=2)

    new = rotate_key(home, Office.MESSAGE, now=NOW, starts=start)
    during = load_keyring(home)
    finished = finish_rotation(home, Office.MESSAGE, agreed={new})
    after = load_keyring(home)

    assert during.message.public_key == old
    assert during.next_message.public_key == new == finished == after.message.public_key
    assert during.identity.next_from == start == after.identity.message_from
    assert after.next_message is None


def test_rotate_key_twice_refused(home):
    """One rotation of a key at a time."""
    rotate_key(home, Office.AGREEMENT, now=NOW)

    with pytest.raises(ConflictError) as refusal:
        rotate_key(home, Office.AGREEMENT, now=NOW)

    assert refusal.value.reason == "ROTATION_RUNNING"


def test_finish_rotation_before_the_successor_is_agreed_keeps_the_old_key(home):
    """The key that the others verify is not destroyed before they know the next one."""
    old = load_keyring(home).message.public_key
    new = rotate_key(home, Office.MESSAGE, now=NOW)

    with pytest.raises(RuleError) as refusal:
        finish_rotation(home, Office.MESSAGE, agreed={old})

    assert refusal.value.reason == "KEY_NOT_AGREED"
    keyring = load_keyring(home)
    assert (keyring.message.public_key, keyring.next_message.public_key) == (old, new)


@pytest.mark.parametrize("office", [Office.LOG, Office.WITNESS])
def test_rotate_log_or_witness_key_refused(home, office):
    """A new log key is a new log: it is not replaced in place."""
    for step in (lambda: rotate_key(home, office, now=NOW), lambda: finish_rotation(home, office, agreed=())):
        with pytest.raises(RuleError) as refusal:
            step()
        assert refusal.value.reason == "KEY_NOT_ROTATED"


def test_finish_rotation_that_never_began_refused(home):
    """There must be a successor."""
    with pytest.raises(NotFoundError):
        finish_rotation(home, Office.FRESHNESS, agreed=())


def test_message_signer_at_picks_the_newest_agreed_key(home):
    """A node signs with the newest key that the agreement gives it at that time, and refuses to sign without one."""
    start = NOW + timedelta(hours=1)
    rotate_key(home, Office.MESSAGE, now=NOW, starts=start)
    keyring = load_keyring(home)
    agreement = load(build(Plan()))
    keys = (
        MessageKey(key=keyring.message.public_key, valid_from=NOW),
        MessageKey(key=keyring.next_message.public_key, valid_from=start),
    )
    members = {**agreement.members, ZHEJIANG: replace(agreement.members[ZHEJIANG], message_keys=keys)}

    agreed = replace(agreement, members=members)

    assert message_signer_at(keyring, agreed, NOW).public_key == keyring.message.public_key
    assert message_signer_at(keyring, agreed, start).public_key == keyring.next_message.public_key
    with pytest.raises(RuleError) as refusal:
        message_signer_at(keyring, agreement, NOW)
    assert refusal.value.reason == "MESSAGE_KEY_NOT_AGREED"


def test_keyring_repr_shows_no_secret(home):
    """A keyring that reaches a log shows no private key."""
    keyring = load_keyring(home)

    assert keyring.columns.key.hex() not in repr(keyring)
    assert str(keyring.columns.key) not in repr(keyring)


def test_errors_of_the_home_are_of_our_tree(tmp_path):
    """No error of the file system or of a library leaks."""
    (tmp_path / "home.json").mkdir()

    with pytest.raises(BridgeheadError):
        load_keyring(tmp_path)
