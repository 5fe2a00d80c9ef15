"""Tests of drafting, signing, publishing, installing and refreshing an agreement on disk, with four homes."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlparse

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from federation.domain.functions import parse_functions, verify_office
from federation.node.home.agreement import (
    install_agreement,
    load_home_agreement,
    pin_root,
    pinned_root,
    read_agreement_files,
    refresh,
    refreshed_files,
)
from federation.node.home.draft import (
    collect_draft,
    draft_agreement,
    draft_status,
    load_terms_sheet,
    publish_draft,
    read_policies,
    sign_draft,
)
from federation.node.home.keyring import Office, create_keyring, load_keyring, rotate_key
from federation.node.home.rotation import finish
from federation.node.home.setup import create_home, load_member_sheet, member_bundle
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    MalformedError,
    NotFoundError,
    RuleError,
    StaleError,
    UntrustedError,
)
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.trust import Freshness, freshness, message_keys_at
from federation.protocol.trust.draft import decode_bundle, draft_root

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NODES = Path("nodes")
POLICIES = Path("policies")
PROVINCES = ("zhejiang", "jiangxi", "fujian", "anhui")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Four homes with keys and certificates, nothing agreed yet."""
    folder = tmp_path_factory.mktemp("made")
    for name in PROVINCES:
        create_home(folder / name, NODES / name, now=NOW)
    return folder


def _copied(folder, to):
    shutil.copytree(folder, to, symlinks=True)
    return {name: to / name for name in PROVINCES}


@pytest.fixture
def homes(made, tmp_path):
    return _copied(made, tmp_path / "homes")


def _bundles(homes):
    return [member_bundle(home, now=NOW) for home in homes.values()]


def _draft(homes, out, *, previous=None, now=NOW):
    draft_agreement(out, _bundles(homes), nodes=NODES, policies=POLICIES, previous=previous, now=now)
    return out


@pytest.fixture(scope="module")
def agreed(made, tmp_path_factory):
    """The same under agreement 1, signed by three."""
    folder = tmp_path_factory.mktemp("agreed")
    homes = _copied(made, folder / "homes")
    out = _draft(homes, folder / "draft")
    for name in PROVINCES[:3]:
        sign_draft(out, homes[name], now=NOW)
    publish_draft(out, list(homes.values()), now=NOW)
    return folder / "homes"


@pytest.fixture
def published(agreed, tmp_path):
    return _copied(agreed, tmp_path / "homes")


def test_publish_signed_by_three_installs_in_every_home(published):
    """All four hold the same agreement, with the members and policies of the repository."""
    agreements = [load_home_agreement(home, now=NOW) for home in published.values()]

    assert len({agreement.digest for agreement in agreements}) == 1
    assert set(agreements[0].members) == set(PROVINCES)
    assert "policies/schema.cedarschema" in agreements[0].files
    assert freshness(agreements[0], NOW) is Freshness.FRESH
    keys = message_keys_at(agreements[0], NodeName("fujian"), NOW)
    assert keys == (load_keyring(published["fujian"]).message.public_key,)


def test_publish_signed_by_two_names_the_missing_and_installs_nothing(homes, tmp_path):
    """Two signatures are not enough; no home changes."""
    out = _draft(homes, tmp_path / "draft")
    for name in ("jiangxi", "anhui"):
        sign_draft(out, homes[name], now=NOW)

    with pytest.raises(UntrustedError, match="missing fujian, zhejiang") as refusal:
        publish_draft(out, list(homes.values()), now=NOW)

    assert refusal.value.reason == "AGREEMENT_SIGNATURES"
    assert not (homes["jiangxi"] / "agreement" / "current").exists()


def test_collect_joins_two_copies_that_went_different_ways(homes, tmp_path):
    """Provinces may sign copies at the same time; collecting them completes the draft."""
    out = _draft(homes, tmp_path / "draft")
    copy = shutil.copytree(out, tmp_path / "copy")
    for name, folder in (("zhejiang", out), ("jiangxi", copy), ("anhui", copy)):
        sign_draft(folder, homes[name], now=NOW)

    status = collect_draft(out, copy)

    assert status.complete
    assert status.signings["root 1"].signed == ("anhui", "jiangxi", "zhejiang")
    other = _draft(homes, tmp_path / "other", now=NOW + timedelta(days=1))
    with pytest.raises(MalformedError):
        collect_draft(out, other)


def test_sign_twice_with_one_home_counts_once(homes, tmp_path):
    """One province is one signature, however often it signs."""
    out = _draft(homes, tmp_path / "draft")

    for _ in range(3):
        status = sign_draft(out, homes["zhejiang"], now=NOW)

    assert all(signing.signed == ("zhejiang",) for signing in status.signings.values())
    assert not status.complete


def test_sign_draft_with_other_keys_of_ours_refused(homes, tmp_path):
    """Nobody signs a draft that names keys for him which his home does not hold."""
    out = _draft(homes, tmp_path / "draft")
    stranger = tmp_path / "stranger"
    create_keyring(stranger, "bridgehead.example", node=NodeName("fujian"), now=NOW)

    with pytest.raises(UntrustedError) as refusal:
        sign_draft(out, stranger, now=NOW)

    assert refusal.value.reason == "AGREEMENT_KEY"


def test_draft_into_a_used_folder_refused(homes, tmp_path):
    """A draft that others may have signed is never overwritten."""
    out = _draft(homes, tmp_path / "draft")

    with pytest.raises(ConflictError) as refusal:
        _draft(homes, out)

    assert refusal.value.reason == "DRAFT_EXISTS"


def test_draft_with_policies_that_do_not_parse_refused(homes, tmp_path):
    """A draft whose policies are no Cedar is none."""
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    (policies / "broken.cedar").write_text("permit(principal")

    with pytest.raises(BridgeheadError):
        draft_agreement(tmp_path / "draft", _bundles(homes), nodes=NODES, policies=policies, previous=None, now=NOW)

    assert not (tmp_path / "draft").exists()


def test_draft_carries_the_duty_of_its_members_and_desks_are_of_their_offices(homes, tmp_path):
    """The sheet of each province that takes part; a desk of an office that no member names is refused."""
    nodes = tmp_path / "nodes"
    shutil.copytree(NODES, nodes)
    draft_agreement(tmp_path / "draft", _bundles(homes), nodes=nodes, policies=POLICIES, previous=None, now=NOW)
    there = {path.stem for path in (tmp_path / "draft" / "targets" / "policies" / "duty").glob("*.toml")}
    assert there == set(PROVINCES)
    sheet = nodes / "fujian" / "duty.toml"
    sheet.write_text(sheet.read_text("utf-8").replace("350722/police", "350722/water"), "utf-8")
    with pytest.raises(RuleError) as refusal:
        draft_agreement(tmp_path / "other", _bundles(homes), nodes=nodes, policies=POLICIES, previous=None, now=NOW)
    assert refusal.value.reason == "DUTY_AGENCY"


def test_class_of_an_area_changes_with_a_quarter(published, tmp_path):
    """A draft with another class within the quarter is refused; one that declares it for the next quarter is made."""
    nodes, previous = tmp_path / "nodes", read_agreement_files(published["anhui"])
    shutil.copytree(NODES, nodes)
    sheet = nodes / "zhejiang" / "duty.toml"
    text, town = sheet.read_text("utf-8"), 'type = "circle"\ncounty = ["330822"]\nclass = "town"'
    sheet.write_text(text.replace(town, town.replace("town", "remote")), "utf-8")
    terms = {"nodes": nodes, "policies": POLICIES, "previous": previous, "now": NOW + timedelta(days=3)}
    with pytest.raises(RuleError) as refusal:
        draft_agreement(tmp_path / "refused", _bundles(published), **terms)
    assert refusal.value.reason == "DUTY_CLASS"
    row = '[[former]]\narea = "330822.circle.qiuchuan"\nclass = "town"\nuntil = 2027-01-01\n\n[[desk]]\n'
    sheet.write_text(sheet.read_text("utf-8").replace("[[desk]]\n", row, 1), "utf-8")
    draft_agreement(tmp_path / "taken", _bundles(published), **terms)


def test_read_policies_of_an_empty_folder_refused(tmp_path):
    """An empty policy folder is a mistake, not an agreement on nothing."""
    with pytest.raises(NotFoundError, match="--policies"):
        read_policies(tmp_path)


def test_second_agreement_keeps_the_root_and_the_first_stays_readable(published, tmp_path):
    """A change of content needs no new root; the version that evidence cites stays on disk."""
    first = load_home_agreement(published["anhui"], now=NOW)
    later = NOW + timedelta(days=3)
    out = _draft(published, tmp_path / "second", previous=read_agreement_files(published["anhui"]), now=later)
    for name in PROVINCES[1:]:
        status = sign_draft(out, published[name], now=NOW)
    second = publish_draft(out, list(published.values()), now=later)

    assert list(status.signings) == ["targets 2"]
    assert (second.version, second.root_version) == (2, 1)
    assert load_home_agreement(published["fujian"], now=later) == second
    assert (
        read_agreement_files(published["fujian"], version=1).targets
        != read_agreement_files(published["fujian"]).targets
    )
    assert first.version == 1
    with pytest.raises(NotFoundError):
        read_agreement_files(published["fujian"], version=7)


def test_rotated_agreement_key_makes_a_second_root(published, tmp_path):
    """A province replaces its agreement key: root 2 is signed by the old and the new threshold."""
    rotate_key(published["jiangxi"], Office.AGREEMENT, now=NOW)
    out = _draft(published, tmp_path / "second", previous=read_agreement_files(published["anhui"]))
    for name in ("zhejiang", "jiangxi"):
        assert not sign_draft(out, published[name], now=NOW).complete
    status = sign_draft(out, published["fujian"], now=NOW)

    second = publish_draft(out, list(published.values()), now=NOW + timedelta(hours=1))
    finish(published["jiangxi"], Office.AGREEMENT, now=NOW)

    assert status.signings["root 2"].signed == ("fujian", "jiangxi", "zhejiang")
    assert (second.version, second.root_version) == (2, 2)
    third = _draft(published, tmp_path / "third", previous=read_agreement_files(published["anhui"]))
    assert sign_draft(third, published["jiangxi"], now=NOW).signings["targets 3"].signed == ("jiangxi",)


def test_rotated_message_key_is_agreed_beside_the_old_one(published, tmp_path):
    """During a rotation of the message key both keys verify, from the moment that the agreement states."""
    start = NOW + timedelta(days=1)
    new = rotate_key(published["anhui"], Office.MESSAGE, now=NOW, starts=start)
    out = _draft(published, tmp_path / "second", previous=read_agreement_files(published["anhui"]))
    for name in PROVINCES[:3]:
        sign_draft(out, published[name], now=NOW)

    second = publish_draft(out, list(published.values()), now=NOW + timedelta(hours=1))

    assert new not in message_keys_at(second, NodeName("anhui"), NOW)
    assert new in message_keys_at(second, NodeName("anhui"), start)
    assert len(message_keys_at(second, NodeName("anhui"), start)) == 2


@pytest.mark.parametrize("name", PROVINCES)
def test_refresh_by_any_one_node_reaches_the_others(published, name):
    """One node refreshes, the others install what it made."""
    later = NOW + timedelta(days=5)
    assert freshness(load_home_agreement(published[name], now=later), later) is Freshness.LAPSED

    agreement = refresh(published[name], load_keyring(published[name]), later)
    files = read_agreement_files(published[name])
    spread = [install_agreement(home, files, now=later) for home in published.values()]

    assert freshness(agreement, later) is Freshness.FRESH
    assert all(other == agreement for other in spread)
    assert all(len(list((home / "agreement" / "versions").iterdir())) == 1 for home in published.values())


def test_refresh_brings_back_an_expired_agreement_whose_content_holds(published):
    """After a long outage of all, any one node brings the exchange back."""
    later = NOW + timedelta(days=40)

    assert freshness(load_home_agreement(published["anhui"], now=later), later) is Freshness.EXPIRED
    assert freshness(refresh(published["anhui"], load_keyring(published["anhui"]), later), later) is Freshness.FRESH


def test_refresh_past_the_end_of_the_content_refused(published):
    """What the provinces signed for a year, no single one prolongs."""
    later = NOW + timedelta(days=366)

    with pytest.raises(StaleError) as refusal:
        refresh(published["anhui"], load_keyring(published["anhui"]), later)

    assert refusal.value.reason == "AGREEMENT_EXPIRED"


def test_refresh_at_the_same_moment_by_two_nodes_settles(published):
    """Two equally new refreshes: each home keeps the one it has, and the next refresh wins everywhere."""
    later = NOW + timedelta(days=1)
    for name in ("anhui", "fujian"):
        refresh(published[name], load_keyring(published[name]), later)
    other = read_agreement_files(published["fujian"])

    kept = install_agreement(published["anhui"], other, now=later)
    refresh(published["fujian"], load_keyring(published["fujian"]), later + timedelta(seconds=5))
    won = install_agreement(published["anhui"], read_agreement_files(published["fujian"]), now=later)

    assert kept.timestamp_version == int(later.timestamp())
    assert won.timestamp_version == kept.timestamp_version + 5


def test_refresh_without_a_freshness_key_refused(published):
    """A home that keeps its freshness key elsewhere cannot refresh; another can."""
    keyring = replace(load_keyring(published["anhui"]), freshness=None)

    with pytest.raises(NotFoundError):
        refresh(published["anhui"], keyring, NOW + timedelta(days=1))


def test_install_rolled_back_files_refused(published):
    """A home never goes back to an earlier refresh."""
    old = read_agreement_files(published["anhui"])
    refresh(published["anhui"], load_keyring(published["anhui"]), NOW + timedelta(days=1))

    with pytest.raises(StaleError) as refusal:
        install_agreement(published["anhui"], old, now=NOW + timedelta(days=1))

    assert refusal.value.reason == "AGREEMENT_ROLLBACK"


@pytest.mark.parametrize("path", ["metadata/targets.json", "metadata/timestamp.json", "targets/members.json"])
def test_load_home_with_a_changed_file_refused(published, path):
    """What lies on disk is verified at every load, from the pinned root."""
    file = published["anhui"] / "agreement" / "current" / path
    file.write_bytes(file.read_bytes().replace(b"2026", b"2027").replace(b"2027-1", b"2028-1"))

    with pytest.raises(UntrustedError):
        load_home_agreement(published["anhui"], now=NOW)


def test_install_with_an_unsafe_file_name_refused(published):
    """No file name leads out of the agreement's folder."""
    files = read_agreement_files(published["anhui"])

    with pytest.raises(BridgeheadError):
        install_agreement(published["anhui"], replace(files, files={**files.files, "../../evil": b""}), now=NOW)

    assert not (published["anhui"] / "evil").exists()


def test_install_without_a_pinned_root_refused(published, tmp_path):
    """A home trusts nothing before a person has pinned the first root."""
    with pytest.raises(NotFoundError) as refusal:
        install_agreement(tmp_path, read_agreement_files(published["anhui"]), now=NOW)

    assert refusal.value.reason == "AGREEMENT_MISSING"


def test_pin_another_root_refused(published):
    """The pinned root is never replaced."""
    pin_root(published["anhui"], pinned_root(published["anhui"]))

    bundles = [decode_bundle(bundle) for bundle in _bundles(published)]
    other = draft_root(bundles, expires_time=NOW + timedelta(days=7))

    with pytest.raises(UntrustedError) as refusal:
        pin_root(published["anhui"], other)

    assert refusal.value.reason == "AGREEMENT_ROOT"


def test_publish_without_homes_refused(homes, tmp_path):
    """Publishing needs at least one home."""
    with pytest.raises(RuleError):
        publish_draft(_draft(homes, tmp_path / "draft"), [], now=NOW)


class _FolderFetcher(FetcherInterface):
    """Serves a folder to the client of the reference implementation."""

    def __init__(self, folder):
        self.folder = folder

    def _fetch(self, url):
        path = self.folder / urlparse(url).path.lstrip("/")
        if not path.is_file():
            raise DownloadHTTPError("not found", 404)
        yield path.read_bytes()


def test_installed_agreement_is_read_by_the_reference_client(published, tmp_path):
    """Anybody's TUF client can follow our agreement: the folder is an ordinary repository."""
    home = published["zhejiang"]
    later = datetime.now(UTC)
    out = _draft(published, tmp_path / "now", previous=read_agreement_files(home), now=later)
    for name in PROVINCES[:3]:
        sign_draft(out, published[name], now=NOW)
    publish_draft(out, [home], now=later)
    folders = tmp_path / "client", tmp_path / "downloads"
    for folder in folders:
        folder.mkdir()

    updater = Updater(
        str(folders[0]), "https://node.example/metadata/", str(folders[1]), "https://node.example/targets/",
        _FolderFetcher(home / "agreement" / "current"), bootstrap=pinned_root(home),
    )  # fmt: skip
    updater.config.prefix_targets_with_hash = False
    updater.refresh()
    target = updater.get_targetinfo("members.json")

    assert target is not None
    assert Path(updater.download_target(target)).read_bytes() == read_agreement_files(home).files["members.json"]


@pytest.mark.parametrize("name", PROVINCES)
def test_member_sheets_of_the_repository_load(name):
    """The sheets that are checked in have every registered kind of office in their border counties and one auditor."""
    sheet = load_member_sheet(NODES / name / "member.toml")

    kinds = {agency.id.kind for agency in sheet.agencies}

    assert sheet.node == name
    register = parse_functions((NODES.parent / "policies" / "functions.toml").read_text("utf-8"))
    assert kinds == register.agency_kinds.keys()
    for agency in sheet.agencies:
        verify_office(register, agency.id, agency.functions)
    assert len({agency.id for agency in sheet.agencies}) == len({agency.name for agency in sheet.agencies})


@pytest.mark.parametrize(
    "change",
    [
        ("node =", "nodes ="),
        ("node =", "="),
        ('name = "福建省"', "name = 7"),
        ("revoked_serials = []", "revoked_serials = [7]"),
        ("revoked_serials = []", "revoked_serials = []\nmore = 1"),
        ("fujian/350782/police", "fujian/350722/police"),
        ('functions = ["F26"]', 'function = ["F26"]'),
        ('functions = ["F26"]', 'functions = "F26"'),
    ],
)
def test_load_member_sheet_of_another_form_refused(tmp_path, change):
    """Unknown, missing, untyped and repeated entries are named."""
    text = (NODES / "fujian" / "member.toml").read_text()
    assert change[0] in text
    (tmp_path / "member.toml").write_text(text.replace(*change, 1))

    with pytest.raises((MalformedError, ConflictError)):
        load_member_sheet(tmp_path / "member.toml")


@pytest.mark.parametrize(
    "change",
    [
        ("clock_tolerance_seconds = 60", "clock_tolerance_seconds = 6.5"),
        ("clock_tolerance_seconds = 60", "clock_tolerance_seconds = 0"),
        ('realm = "demo"', 'realm = "test"'),
        ('realm = "demo"', "realm = 2026-01-01"),
        ('["card", "time"]', "[]"),
        ('["card", "time"]', '["time", "card"]'),
        ("content_lifetime_days = 365", "content_lifetime_days = 0"),
        ("federation =", "federations ="),
        ("federation =", "="),
    ],
)
def test_load_terms_sheet_of_another_form_refused(tmp_path, change):
    """The terms keep their bounds before anybody signs them."""
    (tmp_path / "agreement.toml").write_text((NODES / "agreement.toml").read_text().replace(*change))

    with pytest.raises(MalformedError):
        load_terms_sheet(tmp_path / "agreement.toml")


def test_draft_status_of_no_draft_refused(tmp_path):
    """A folder that holds no draft is named as such."""
    with pytest.raises(NotFoundError):
        draft_status(tmp_path)


def test_refreshed_files_count_on_from_a_clock_that_is_ahead(published):
    """A node whose clock is behind still makes the newer version."""
    agreement = load_home_agreement(published["anhui"], now=NOW)
    files = read_agreement_files(published["anhui"])

    again = refreshed_files(
        files, agreement, load_keyring(published["anhui"]), now=NOW - timedelta(days=1), lifetime=timedelta(days=3)
    )

    assert install_agreement(published["anhui"], again, now=NOW).timestamp_version == agreement.timestamp_version + 1
