"""Tests of `protocol.trust.agreement`: what makes a version acceptable, and each way in which it is not."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, StaleError, UntrustedError
from federation.protocol.form import encode_canonical, replace
from federation.protocol.ids import AgencyId, NodeName, Realm
from federation.protocol.trust import Freshness, find_agency, freshness, load_agreement, verify_in_force
from federation.protocol.trust.draft import draft_files, draft_targets
from tests.protocol.trust.four import (
    ANHUI,
    FRESH,
    FUJIAN,
    NODES,
    NOW,
    POLICIES,
    TERMS,
    ZHEJIANG,
    Plan,
    build,
    load,
    member,
    refreshed,
    signed,
)


def test_load_signed_by_three_of_four_gives_the_whole_agreement():
    """A version signed by a majority loads, with members, terms, policies and the digest that statements cite."""
    files = build(Plan())

    agreement = load(files)

    assert agreement.version == agreement.root_version == 1
    assert agreement.federation == TERMS.federation
    assert agreement.realm is Realm.DEMO
    assert set(agreement.members) == set(NODES)
    assert agreement.members[ZHEJIANG] == member(ZHEJIANG)
    assert agreement.files["policies/permits.cedar"] == POLICIES["policies/permits.cedar"]
    assert agreement.files["tlog-policy/anhui"].startswith(b"log anhui.bridgehead.example/exchange/2026+")
    assert len(agreement.digest) == 64
    assert agreement.fresh_until_time == NOW + FRESH


@pytest.mark.parametrize("role", ["root", "targets"])
def test_load_signed_by_two_of_four_names_who_is_missing(role):
    """Two of four are no majority: the refusal says who signed and who has not."""
    two = ((ZHEJIANG, "agreement"), (FUJIAN, "agreement"))
    whole = build(Plan())
    files = build(Plan(signers=two) if role == "root" else Plan(signers=two, roots=whole.roots))

    with pytest.raises(UntrustedError) as refusal:
        load(files)

    assert refusal.value.reason == "AGREEMENT_SIGNATURES"
    assert refusal.value.facts == {"signed": "fujian, zhejiang", "missing": "anhui, jiangxi", "threshold": 3}
    assert role in refusal.value.message


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_load_freshness_signed_by_agreement_key_refused(role):
    """The agreement key does not stand in for the freshness key: each key has one office."""
    plan = Plan(refresher=(ANHUI, "agreement"))
    files = build(plan)
    if role == "snapshot":
        files = replace(files, timestamp=signed(files.timestamp, (ANHUI, "freshness")))

    with pytest.raises(UntrustedError, match=role) as refusal:
        load(files)

    assert refusal.value.reason == "AGREEMENT_SIGNATURES"


@pytest.mark.parametrize("node", NODES)
def test_load_refreshed_by_any_one_node_accepted(node):
    """Any single node can keep the agreement fresh: no outage of the others lets it lapse."""
    first = load(build(Plan()))
    plan = Plan(refresher=(node, "freshness"), snapshot_version=2, timestamp_version=2, now=NOW + timedelta(days=1))

    again = load(refreshed(build(Plan()), plan), previous=first)

    assert again.digest == first.digest
    assert again.fresh_until_time == first.fresh_until_time + timedelta(days=1)


def test_load_with_another_pinned_root_refused():
    """The chain must begin with the very root that was pinned out of band."""
    files = build(Plan())
    other = build(Plan(content_lifetime=timedelta(days=300)))

    with pytest.raises(UntrustedError) as refusal:
        load_agreement(files, trusted_root=other.roots[0], now=NOW, previous=None)

    assert refusal.value.reason == "AGREEMENT_ROOT"


def test_load_with_the_pinned_root_under_one_more_signature_accepted():
    """The pinned root is what it says: a copy that a fourth province signed too is the same root."""
    files = build(Plan())
    fourth = signed(files.roots[0], (ANHUI, "agreement"))

    agreement = load_agreement(replace(files, roots=(fourth,)), trusted_root=files.roots[0], now=NOW, previous=None)

    assert agreement == load(files)


@pytest.mark.parametrize("path", ["members.json", "agreement.json", "policies/permits.cedar", "tlog-policy/anhui"])
def test_load_target_with_one_flipped_bit_refused(path):
    """Every target is the one that the signed file names by its hash."""
    files = build(Plan())
    changed = bytes([files.files[path][0] ^ 1]) + files.files[path][1:]

    with pytest.raises(UntrustedError) as refusal:
        load(replace(files, files={**files.files, path: changed}))

    assert refusal.value.reason == "AGREEMENT_TAMPERED"
    assert refusal.value.facts == {"path": path}


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets"])
def test_load_metadata_with_a_changed_expiry_refused(name):
    """A change in any metadata file breaks its hash or its signature."""
    files = build(Plan())
    value = json.loads(getattr(files, name))
    value["signed"]["expires"] = "2099-01-01T00:00:00Z"
    changed = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    with pytest.raises(UntrustedError) as refusal:
        load(replace(files, **{name: changed}))

    assert refusal.value.reason in {"AGREEMENT_TAMPERED", "AGREEMENT_SIGNATURES"}


def test_load_root_with_a_changed_expiry_refused():
    """The pinned root itself is refused when its signatures do not stand over its content."""
    files = build(Plan())
    value = json.loads(files.roots[0])
    value["signed"]["expires"] = "2099-01-01T00:00:00Z"
    changed = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    with pytest.raises(UntrustedError) as refusal:
        load(replace(files, roots=(changed,)))

    assert refusal.value.reason == "AGREEMENT_SIGNATURES"


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets"])
def test_load_metadata_with_spaces_refused(name):
    """Metadata has one written form; a second form of the same content is refused."""
    files = build(Plan())
    spaced = json.dumps(json.loads(getattr(files, name)), sort_keys=True).encode()

    with pytest.raises(BridgeheadError) as refusal:
        load(replace(files, **{name: spaced}))

    assert refusal.value.reason in {"AGREEMENT_FORM", "AGREEMENT_TAMPERED"}


def test_load_with_a_missing_or_extra_file_refused():
    """The files are exactly those that were signed for."""
    files = build(Plan())
    fewer = {path: content for path, content in files.files.items() if path != "policies/permits.cedar"}

    for changed in (fewer, {**files.files, "policies/more.cedar": b"permit(principal, action, resource);"}):
        with pytest.raises(UntrustedError) as refusal:
            load(replace(files, files=changed))
        assert refusal.value.reason == "AGREEMENT_TAMPERED"


@pytest.mark.parametrize("path", ["members.json", "agreement.json"])
def test_load_targets_without_members_or_terms_refused(path):
    """An agreement without members or terms is none, whoever signed it."""
    content = dict(draft_files(Plan().bundles, terms=TERMS, policies=POLICIES))
    del content[path]

    with pytest.raises(MalformedError) as refusal:
        load(build(Plan(files=content)))

    assert refusal.value.reason == "AGREEMENT_FORM"


def test_load_too_large_metadata_refused_before_parsing():
    """Over-size is refused before anything is parsed."""
    files = build(Plan())

    with pytest.raises(MalformedError) as refusal:
        load(replace(files, timestamp=b" " * (512 * 1024 + 1)))

    assert refusal.value.reason == "AGREEMENT_SIZE"


@pytest.mark.parametrize(
    ("known", "offered"),
    [
        pytest.param(Plan(version=2), Plan(version=1), id="targets"),
        pytest.param(Plan(snapshot_version=2), Plan(snapshot_version=1), id="snapshot"),
        pytest.param(Plan(timestamp_version=2), Plan(timestamp_version=1), id="timestamp"),
    ],
)
def test_load_older_version_than_the_known_one_refused(known, offered):
    """No version ever goes back, be it signed as well as it may."""
    roots = build(Plan()).roots
    previous = load(build(replace(known, roots=roots)))

    with pytest.raises(StaleError) as refusal:
        load(build(replace(offered, roots=roots)), previous=previous)

    assert refusal.value.reason == "AGREEMENT_ROLLBACK"


def test_load_same_version_with_another_file_refused():
    """One version number never stands over two files: statements cite it together with its digest."""
    roots = build(Plan()).roots
    previous = load(build(Plan(roots=roots)))

    with pytest.raises(ConflictError) as refusal:
        load(build(Plan(roots=roots, policies={"policies/other.cedar": b"// other\n"})), previous=previous)

    assert refusal.value.reason == "AGREEMENT_CONFLICT"


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (timedelta(0), Freshness.FRESH),
        (FRESH - timedelta(seconds=1), Freshness.FRESH),
        (FRESH, Freshness.LAPSED),
        (FRESH + TERMS.lapse_grace - timedelta(seconds=1), Freshness.LAPSED),
        (FRESH + TERMS.lapse_grace, Freshness.EXPIRED),
        (timedelta(days=400), Freshness.EXPIRED),
    ],
)
def test_freshness_follows_the_clock(after, state):
    """Fresh until the timestamp ends, lapsed for the grace, then expired."""
    agreement = load(build(Plan()))

    assert freshness(agreement, NOW + after) is state


def test_freshness_expires_with_the_content_even_when_refreshed():
    """Refreshing cannot prolong what the provinces signed: the content's own end counts first."""
    plan = Plan(content_lifetime=timedelta(days=1))

    assert freshness(load(build(plan)), NOW + timedelta(days=1)) is Freshness.EXPIRED


def test_verify_in_force_lapsed_returns_and_expired_refuses():
    """While lapsed the exchange goes on; once expired nothing new is sent or accepted."""
    agreement = load(build(Plan()))

    assert verify_in_force(agreement, NOW + FRESH) is Freshness.LAPSED
    with pytest.raises(StaleError) as refusal:
        verify_in_force(agreement, NOW + FRESH + TERMS.lapse_grace)

    assert refusal.value.reason == "AGREEMENT_EXPIRED"


def test_load_expired_files_load_alone_but_not_as_an_update():
    """An auditor and a starting node read an expired version; as an update it would be a freeze attack."""
    files = build(Plan())
    late = NOW + timedelta(days=30)
    alone = load(files, now=late)

    with pytest.raises(StaleError) as refusal:
        load(files, now=late, previous=alone)

    assert alone.version == 1
    assert refusal.value.reason == "AGREEMENT_EXPIRED"


def test_find_agency_knows_those_of_members_only():
    """Agencies are those of the agreement."""
    agreement = load(build(Plan()))
    police = AgencyId(ZHEJIANG, "330822", "police")

    found = find_agency(agreement, police)

    assert found == member(ZHEJIANG).agencies[police]
    assert find_agency(agreement, AgencyId(ZHEJIANG, "330822", "court")) is None
    assert find_agency(agreement, AgencyId(NodeName("hunan"), "430000", "police")) is None


def test_load_terms_that_are_not_canonical_refused():
    """A signed file of the wrong form is refused as well."""
    files = dict(draft_files(Plan().bundles, terms=TERMS, policies=POLICIES))
    files["agreement.json"] = encode_canonical({"v": 1})

    with pytest.raises(MalformedError) as refusal:
        load(build(Plan(files=files)))

    assert refusal.value.reason == "JSON_MISSING_NAME"


def test_load_targets_named_without_sha256_refused():
    """Length and SHA-256 are demanded of every named file, though TUF leaves both open."""
    files = build(Plan())
    value = json.loads(draft_targets(files.files, version=1, expires_time=NOW + timedelta(days=9)))
    value["signed"]["targets"]["members.json"]["hashes"] = {"md5": "00"}
    targets = signed(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), *Plan().signers)

    with pytest.raises(MalformedError) as refusal:
        load(refreshed(replace(files, targets=targets), Plan()))

    assert refusal.value.reason == "AGREEMENT_FORM"
