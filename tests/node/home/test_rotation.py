"""Tests of a home's bundle and of replacing keys: what stays agreed, what is refused before anything is destroyed."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation.node.home import rotation
from federation.node.home.agreement import load_home_agreement, read_agreement_files
from federation.node.home.draft import draft_agreement, publish_draft, sign_draft
from federation.node.home.files import read_json
from federation.node.home.keyring import Office, load_keyring
from federation.node.home.setup import BUNDLE_FILE, create_home, member_bundle, take_sheet, write_bundle
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import canonicalise, replace
from federation.protocol.ids import NodeName
from federation.protocol.trust import message_keys_at
from federation.protocol.trust.draft import decode_bundle, encode_bundle
from federation.protocol.trust.succession import KEPT

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NODES, POLICIES = Path("nodes"), Path("policies")
PROVINCES = ("zhejiang", "jiangxi", "fujian", "anhui")
ANHUI = NodeName("anhui")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for name in PROVINCES:
        create_home(folder / name, NODES / name, now=NOW)
    return folder


@pytest.fixture
def homes(made, tmp_path):
    shutil.copytree(made, tmp_path / "homes")
    return {name: tmp_path / "homes" / name for name in PROVINCES}


def _agree(homes, *, now=NOW, bundles=None):
    """The next agreement out of the bundles that lie in the homes, signed by three, in force in all."""
    out = homes["anhui"].parent / f"draft-{now.timestamp()}"
    has_one = (homes["anhui"] / "agreement").exists()
    previous = read_agreement_files(homes["anhui"]) if has_one else None
    found = bundles or [(home / BUNDLE_FILE).read_bytes() for home in homes.values()]
    draft_agreement(out, found, nodes=NODES, policies=POLICIES, previous=previous, now=now)
    for name in PROVINCES[1:]:
        sign_draft(out, homes[name], now=now)
    return publish_draft(out, list(homes.values()), now=now)


def _bundle(home):
    return decode_bundle((home / BUNDLE_FILE).read_bytes())


def test_retired_message_key_stays_agreed_with_its_end(homes):
    """Rotate, agree, finish, agree, rotate again, agree: what the first key signed verifies under every version."""
    home, now = homes["anhui"], NOW
    agreements = [_agree(homes)]
    first = load_keyring(home).message.public_key
    for _ in range(2):
        rotation.begin(home, Office.MESSAGE, now=now)
        now += timedelta(days=1)
        agreements.append(_agree(homes, now=now))
        rotation.finish(home, Office.MESSAGE, now=now)
        now += timedelta(days=10)
        agreements.append(_agree(homes, now=now))

    newest = agreements[-1]
    kept = newest.members[ANHUI].message_keys
    assert all(first in message_keys_at(each, ANHUI, NOW + timedelta(hours=1)) for each in agreements)
    assert len(kept) == 3
    assert [entry.valid_until is None for entry in kept] == [False, False, True]
    assert kept[0].valid_until == NOW + timedelta(days=1) + newest.statement_lifetime
    assert message_keys_at(newest, ANHUI, now) == (load_keyring(home).message.public_key,)


def test_draft_that_drops_a_retired_key_refused(homes, tmp_path):
    """A bundle that forgets what was agreed, or moves its window, makes no draft, until five years after the end."""
    _agree(homes)
    rotation.begin(homes["anhui"], Office.MESSAGE, now=NOW)
    _agree(homes, now=NOW + timedelta(days=1))
    rotation.finish(homes["anhui"], Office.MESSAGE, now=NOW + timedelta(days=1))
    _agree(homes, now=NOW + timedelta(days=2))
    whole = _bundle(homes["anhui"])
    retired, current = whole.member.message_keys
    rest = [(homes[name] / BUNDLE_FILE).read_bytes() for name in PROVINCES[:3]]

    def drafted(keys, now=NOW + timedelta(days=3)):
        changed = replace(whole, member=replace(whole.member, message_keys=keys))
        return _agree(homes, now=now, bundles=[*rest, encode_bundle(changed)])

    for keys in (
        (current,),
        (replace(retired, valid_from=retired.valid_from + timedelta(hours=1)), current),
        (replace(retired, valid_until=retired.valid_until + timedelta(days=1)), current),
        (replace(retired, valid_until=None), current),
    ):
        with pytest.raises(RuleError) as refusal:
            drafted(keys)
        assert refusal.value.reason == "MESSAGE_KEY_DROPPED"
        assert refusal.value.facts["node"] == "anhui"

    after = drafted((current,), now=retired.valid_until + KEPT)
    assert after.members[ANHUI].message_keys == (current,)


def test_finish_before_the_agreement_in_force_names_the_new_key_refused(homes):
    """Neither without an agreement, nor under one without the key, nor before the key's start."""
    home, start = homes["anhui"], NOW + timedelta(days=2)

    def refused(now):
        with pytest.raises(RuleError) as refusal:
            rotation.finish(home, Office.MESSAGE, now=now)
        assert refusal.value.reason == "KEY_NOT_AGREED"

    new = rotation.begin(home, Office.MESSAGE, now=NOW, starts=start)
    refused(NOW)
    _agree(homes)
    refused(NOW)
    assert rotation.finish(home, Office.MESSAGE, now=start) == new


@pytest.mark.parametrize("office", [Office.AGREEMENT, Office.FRESHNESS])
def test_finish_of_a_root_key_waits_for_its_root(homes, office):
    """The same rule for the two keys that the root names."""
    home = homes["anhui"]
    _agree(homes)
    new = rotation.begin(home, office, now=NOW)
    with pytest.raises(RuleError) as refusal:
        rotation.finish(home, office, now=NOW)

    assert refusal.value.reason == "KEY_NOT_AGREED"
    _agree(homes, now=NOW + timedelta(days=1))
    assert rotation.finish(home, office, now=NOW + timedelta(days=1)) == new


def test_bundle_file_is_current_after_each_step(homes):
    """What lies in the home is what `keys bundle` prints, through a rotation and without one."""
    home = homes["anhui"]
    assert (home / BUNDLE_FILE).read_bytes() == member_bundle(home, now=NOW)
    _agree(homes)

    new = rotation.begin(home, Office.MESSAGE, now=NOW)
    assert new in {entry.key for entry in _bundle(home).member.message_keys}
    _agree(homes, now=NOW + timedelta(days=1))
    rotation.finish(home, Office.MESSAGE, now=NOW + timedelta(days=1))

    assert _bundle(home).member.message_keys[-1].key == new
    assert (home / BUNDLE_FILE).read_bytes() == member_bundle(home, now=NOW + timedelta(days=1))


def test_addresses_have_one_source(tmp_path):
    """What was set with `node init --set` is in every later bundle; every address is no address."""
    settings = {"host": "0.0.0.0", "advertise": "anhui.node", "peer_port": 9, "advertise_read": "https://r.example"}
    made = create_home(tmp_path / "home", NODES / "anhui", now=NOW, overrides=settings)

    again = decode_bundle(write_bundle(made.home, now=NOW)).member

    assert (again.peer_addr, again.read_url) == ("anhui.node:9", "https://r.example")
    assert made.bundle == (made.home / BUNDLE_FILE).read_bytes()
    with pytest.raises(MalformedError, match="advertise") as refusal:
        create_home(tmp_path / "other", NODES / "anhui", now=NOW, overrides={"host": "0.0.0.0"})
    assert refusal.value.reason == "SETTINGS"


def test_member_sheet_is_taken_in_anew_and_of_this_province_only(homes, tmp_path):
    """A changed sheet reaches the bundle when it is taken in; a home without one says what to do."""
    home, province = homes["anhui"], tmp_path / "anhui"
    province.mkdir()
    text = (NODES / "anhui" / "member.toml").read_text()
    (province / "member.toml").write_text(text.replace("revoked_serials = []", 'revoked_serials = ["1f"]'))

    take_sheet(home, province)
    assert decode_bundle(member_bundle(home, now=NOW)).member.revoked_serials == {"1f"}
    with pytest.raises(RuleError) as refusal:
        take_sheet(home, NODES / "fujian")
    assert refusal.value.reason == "MEMBER_ELSEWHERE"

    (home / "member.toml").unlink()
    with pytest.raises(NotFoundError) as missing:
        rotation.begin(home, Office.MESSAGE, now=NOW)
    assert missing.value.reason == "MEMBER_SHEET_MISSING"
    assert load_keyring(home).next_message is None


def test_bundle_with_the_root_keys_kept_elsewhere_names_those_agreed(homes):
    """A running node needs neither key; before any agreement nobody knows them."""
    home = homes["anhui"]
    known = _bundle(home)
    for name in ("agreement.key", "freshness.key"):
        (home / "keys" / name).rename(home / name)
    with pytest.raises(NotFoundError) as refusal:
        member_bundle(home, now=NOW)
    assert refusal.value.reason == "KEY_MISSING"

    for name in ("agreement.key", "freshness.key"):
        (home / name).rename(home / "keys" / name)
    _agree(homes)
    for name in ("agreement.key", "freshness.key"):
        (home / "keys" / name).unlink()
    assert decode_bundle(member_bundle(home, now=NOW)) == replace(known, is_signed=False)  # a member needs no signature
    assert load_home_agreement(home, now=NOW).members[ANHUI] == known.member


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_bundle_that_was_redirected_or_edited_is_read(made, tmp_path, encoding):
    """A shell's last newline, an editor's indentation and byte order mark are nobody's fault."""
    encoded = (made / "anhui" / BUNDLE_FILE).read_bytes()
    edited = json.dumps(dict(reversed(json.loads(encoded).items())), indent=2, ensure_ascii=False) + "\n"
    (tmp_path / "bundle.json").write_text(edited, encoding=encoding)

    assert read_json(tmp_path / "bundle.json") == encoded


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"", "JSON_SYNTAX"),
        (b"[]", "JSON_OBJECT"),
        (b'{"a":1,"a":1}', "JSON_DUPLICATE_NAME"),
        (b"\xff\xfe\x00", "JSON_UTF8"),
    ],
)
def test_canonicalise_of_what_is_no_object_refused(written, reason):
    """Leniency is about space and order, not about what a file says."""
    with pytest.raises(MalformedError) as refusal:
        canonicalise(written, what="it")

    assert refusal.value.reason == reason
