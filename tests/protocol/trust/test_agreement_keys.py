"""Tests of `protocol.trust.agreement`: whose keys count, for which office and how long, and how they are replaced."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tuf.api.metadata import Metadata, Root

from federation.protocol.errors import BridgeheadError, MalformedError, StaleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.keys import PublicKey, Suite
from federation.protocol.trust import MessageKey, load_agreement, message_keys_at
from federation.protocol.trust.draft import draft_files, draft_root, format_tlog_policy
from federation.protocol.trust.members import Membership, encode_members
from federation.protocol.trust.metadata import tuf_key
from federation.protocol.trust.witnesses import log_policy, log_witnesses
from tests.protocol.trust.four import (
    ANHUI,
    FUJIAN,
    JIANGXI,
    NODES,
    NOW,
    POLICIES,
    TERMS,
    ZHEJIANG,
    Plan,
    build,
    bundle,
    load,
    member,
    signed,
    signer,
)

LOW_ORDER = PublicKey(Suite.ED25519, bytes.fromhex("01" + "00" * 31))


def _rotation(signers):
    """A root 2 that gives Jiangxi a new agreement key, signed by the given (node, office) pairs."""
    first = build(Plan())
    bundles = tuple(bundle(node, agreement="agreement-2" if node == JIANGXI else "agreement") for node in NODES)
    root = draft_root(bundles, expires_time=NOW + timedelta(days=365), previous=first.roots[0])
    return first, bundles, (*first.roots, signed(root, *signers))


def test_load_rotated_key_signed_by_old_and_new_threshold_accepted():
    """A member's agreement key changes by a root that the old and the new keys sign, three of four each."""
    three = ((ZHEJIANG, "agreement"), (FUJIAN, "agreement"), (ANHUI, "agreement"))
    first, bundles, roots = _rotation(three)
    signers = ((ZHEJIANG, "agreement"), (FUJIAN, "agreement"), (JIANGXI, "agreement-2"))

    second = load(build(Plan(roots=roots, bundles=bundles, version=2, signers=signers)), previous=load(first))

    assert (second.root_version, second.version) == (2, 2)


@pytest.mark.parametrize(
    ("signers", "missing"),
    [
        pytest.param(
            ((ZHEJIANG, "agreement"), (FUJIAN, "agreement"), (JIANGXI, "agreement-2")), "anhui, jiangxi", id="old"
        ),
        pytest.param(
            ((ZHEJIANG, "agreement"), (FUJIAN, "agreement"), (JIANGXI, "agreement")), "anhui, jiangxi", id="new"
        ),
    ],
)
def test_load_rotated_key_without_one_of_the_thresholds_refused(signers, missing):
    """A new root needs the old threshold and the new one; either alone is refused."""
    _, bundles, roots = _rotation(signers)

    with pytest.raises(UntrustedError) as refusal:
        load(build(Plan(roots=roots, bundles=bundles, version=2)))

    assert refusal.value.reason == "AGREEMENT_SIGNATURES"
    assert refusal.value.facts["missing"] == missing


def test_load_replaced_key_no_longer_counts():
    """After the rotation the old key signs nothing any more."""
    _, bundles, roots = _rotation(((ZHEJIANG, "agreement"), (FUJIAN, "agreement"), (ANHUI, "agreement")))
    old = ((ZHEJIANG, "agreement"), (FUJIAN, "agreement"), (JIANGXI, "agreement"))

    with pytest.raises(UntrustedError) as refusal:
        load(build(Plan(roots=roots, bundles=bundles, version=2, signers=old)))

    assert refusal.value.reason == "AGREEMENT_SIGNATURES"


def test_load_older_root_chain_refused():
    """A chain that ends before the root already known is a rollback."""
    first, bundles, roots = _rotation(((ZHEJIANG, "agreement"), (FUJIAN, "agreement"), (ANHUI, "agreement")))
    signers = ((ZHEJIANG, "agreement"), (FUJIAN, "agreement"), (ANHUI, "agreement"))
    second = load(build(Plan(roots=roots, bundles=bundles, version=2, signers=signers)))

    with pytest.raises(StaleError) as refusal:
        load(build(Plan(roots=first.roots, version=3)), previous=second)

    assert refusal.value.reason == "AGREEMENT_ROLLBACK"


def test_load_root_chain_with_a_gap_refused():
    """Roots follow each other without gaps."""
    _, _, roots = _rotation(((ZHEJIANG, "agreement"), (FUJIAN, "agreement"), (ANHUI, "agreement")))
    files = build(Plan())

    for chain in ((roots[0], roots[0]), (roots[1],), ()):
        with pytest.raises(MalformedError) as refusal:
            load_agreement(replace(files, roots=chain), trusted_root=chain[0] if chain else b"", now=NOW, previous=None)
        assert refusal.value.reason == "AGREEMENT_FORM"


def test_load_new_freshness_keys_count_from_one_again():
    """A stolen freshness key that signed a huge version number is got rid of by new freshness keys in a new root."""
    first = build(Plan())
    huge = load(build(Plan(roots=first.roots, snapshot_version=10**9, timestamp_version=10**9)))
    bundles = tuple(bundle(node, freshness="freshness-2") for node in NODES)
    root = draft_root(bundles, expires_time=NOW + timedelta(days=365), previous=first.roots[0])
    roots = (*first.roots, signed(root, *Plan().signers))
    plan = Plan(roots=roots, bundles=bundles, version=2, refresher=(ANHUI, "freshness-2"))

    assert load(build(plan), previous=huge).timestamp_version == 1


JIANGSU = NodeName("jiangsu")
TRIAL = replace(bundle(JIANGSU), member=replace(member(JIANGSU), exercise_until=NOW + timedelta(days=30)))
FIVE = (*Plan().bundles, TRIAL)


def test_load_with_a_province_on_trial_counts_the_votes_of_the_others_alone():
    """Its keys are agreed, and its word brings no version into force; once it exchanges all it has a vote like each."""
    agreement = load(build(Plan(bundles=FIVE)))
    assert JIANGSU in agreement.members
    for signers in (("jiangsu", "zhejiang", "jiangxi"), ("jiangsu", "zhejiang")):
        with pytest.raises(UntrustedError) as refusal:
            load(build(Plan(bundles=FIVE, signers=tuple((node, "agreement") for node in signers))))
        assert refusal.value.reason == "AGREEMENT_SIGNATURES"
    full = (*Plan().bundles, bundle(JIANGSU))
    load(build(Plan(bundles=full, signers=tuple((node, "agreement") for node in ("jiangsu", "zhejiang", "jiangxi")))))


@pytest.mark.parametrize("bundles", [(*Plan().bundles, bundle(JIANGSU)), FIVE], ids=["a vote too many", "one too few"])
def test_load_root_whose_votes_are_not_those_of_the_full_members_refused(bundles):
    """Who is on trial has none, and nobody else is without: the root and the members must say the same."""
    other = FIVE if bundles is not FIVE else (*Plan().bundles, bundle(JIANGSU))
    root = signed(draft_root(bundles, expires_time=NOW + timedelta(days=365)), *Plan().signers)
    with pytest.raises(UntrustedError) as refusal:
        load(build(Plan(bundles=other, roots=(root,))))
    assert refusal.value.reason == "AGREEMENT_KEY"


def test_witness_on_trial_counts_for_its_own_log_alone():
    """Else it would confirm, with two others, what three of four confirm today; a policy that counts it is refused."""
    agreement = load(build(Plan(bundles=FIVE)))
    counted = {node: {each.name for each in log_policy(agreement, node).witnesses} for node in (ZHEJIANG, JIANGSU)}
    assert counted == {ZHEJIANG: set(NODES), JIANGSU: {*NODES, JIANGSU}}
    assert {each.name for each in log_witnesses(agreement, JIANGSU)} == set(NODES)
    files = dict(draft_files(FIVE, terms=TERMS, policies=POLICIES))
    every = {node: each.witness_vkey for node, each in agreement.members.items()}
    files["tlog-policy/zhejiang"] = format_tlog_policy(agreement.members[ZHEJIANG].log_vkey, every).encode()
    counting = load(build(Plan(bundles=FIVE, files=files)))
    with pytest.raises(UntrustedError) as refusal:
        log_policy(counting, ZHEJIANG)
    assert refusal.value.reason == "AGREEMENT_WITNESS"


def test_load_root_with_a_key_of_nobody_refused():
    """A key that no role names is one of a member on trial, one of each."""
    for node in (ZHEJIANG, JIANGSU):
        key = tuf_key(signer(node, "spare").public_key, node)
        metadata = Metadata[Root].from_bytes(draft_root(FIVE, expires_time=NOW + timedelta(days=365)))
        metadata.signed.keys[key.keyid] = key
        with pytest.raises(UntrustedError) as refusal:
            load(build(Plan(bundles=FIVE, roots=(signed(metadata.to_bytes(), *Plan().signers),))))
        assert refusal.value.reason == "AGREEMENT_KEY"


def _root_with(change):
    """A first root changed after drafting, signed by three."""
    metadata = Metadata[Root].from_bytes(draft_root(Plan().bundles, expires_time=NOW + timedelta(days=365)))
    change(metadata.signed)
    return signed(metadata.to_bytes(), *Plan().signers)


def _double_key(root):
    key = tuf_key(signer(ZHEJIANG, "agreement").public_key, ZHEJIANG)
    key.keyid = "f" * 64
    root.keys[key.keyid] = key
    for role in ("root", "targets"):
        root.roles[role].keyids.append(key.keyid)


def _second_key_of_one_node(root):
    key = tuf_key(signer(ZHEJIANG, "agreement-2").public_key, ZHEJIANG)
    root.keys[key.keyid] = key
    for role in ("root", "targets"):
        root.roles[role].keyids.append(key.keyid)


def _same_key_in_both_offices(root):
    for role in ("snapshot", "timestamp"):
        root.roles[role].keyids = list(root.roles["root"].keyids)


def _without_owner(root):
    for key in root.keys.values():
        key.unrecognized_fields.clear()


def _low_threshold(root):
    root.roles["root"].threshold = 2


def _impossible_threshold(root):
    root.roles["targets"].threshold = 5


def _low_order_key(root):
    keyid = root.roles["root"].keyids[0]
    root.keys[keyid].keyval["public"] = LOW_ORDER.key.hex()


def _unknown_scheme(root):
    root.keys[root.roles["root"].keyids[0]].scheme = "rsassa-pss-sha256"


def _no_hex(root):
    root.keys[root.roles["root"].keyids[0]].keyval["public"] = "no hex"


def _key_left_out(root):
    del root.keys[root.roles["root"].keyids[0]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_double_key, "AGREEMENT_KEY"),
        (_second_key_of_one_node, "AGREEMENT_KEY"),
        (_same_key_in_both_offices, "AGREEMENT_KEY"),
        (_without_owner, "AGREEMENT_FORM"),
        (_low_threshold, "AGREEMENT_THRESHOLD"),
        (_impossible_threshold, "AGREEMENT_THRESHOLD"),
        (_low_order_key, None),
        (_unknown_scheme, "AGREEMENT_FORM"),
        (_no_hex, "AGREEMENT_FORM"),
        (_key_left_out, "AGREEMENT_FORM"),
    ],
)
def test_load_root_that_bends_the_offices_refused(change, reason):
    """One key of each node for each office, each under the digest of its content, thresholds of a majority."""
    with pytest.raises(BridgeheadError) as refusal:
        load(build(Plan(roots=(_root_with(change),))))

    assert reason is None or refusal.value.reason == reason


def test_load_one_key_signing_twice_counts_once():
    """A second signature entry of one key, under the same or another id, adds nothing to the threshold."""
    files = build(Plan(signers=((ZHEJIANG, "agreement"), (FUJIAN, "agreement"))))
    value = json.loads(files.roots[0])
    twice = {**value["signatures"][0], "keyid": "e" * 64}

    for extra in (value["signatures"][0], twice):
        doubled = {**value, "signatures": [*value["signatures"], extra]}
        encoded = json.dumps(doubled, sort_keys=True, separators=(",", ":")).encode()
        with pytest.raises(BridgeheadError) as refusal:
            load(replace(files, roots=(encoded,)))
        assert refusal.value.reason in {"AGREEMENT_FORM", "AGREEMENT_SIGNATURES"}


def _members(node: NodeName, **changes):
    """The target files in which one member is changed."""
    members = {name: member(name) for name in NODES}
    members[node] = replace(members[node], **changes)
    files = dict(draft_files(Plan().bundles, terms=TERMS, policies=POLICIES))
    return {**files, "members.json": encode_members(Membership(members=members, former={}))}


def test_load_low_order_message_key_refused():
    """With a low-order key one signature fits many messages: refused whenever a version is loaded, whoever signed it."""
    files = _members(FUJIAN, message_keys=(MessageKey(key=LOW_ORDER, valid_from=NOW),))

    with pytest.raises(UntrustedError):
        load(build(Plan(files=files)))


@pytest.mark.parametrize("office", ["message", "agreement", "freshness", "log"])
def test_load_message_key_used_elsewhere_refused(office):
    """All keys of the federation are distinct: another node's, and one's own in another office."""
    key = signer(ZHEJIANG, office).public_key
    files = _members(FUJIAN, message_keys=(MessageKey(key=key, valid_from=NOW),))

    with pytest.raises(UntrustedError) as refusal:
        load(build(Plan(files=files)))

    assert refusal.value.reason == "AGREEMENT_KEY"


def test_load_shared_tls_authority_refused():
    """Each node has an authority of its own, or one province could issue another's certificates."""
    with pytest.raises(UntrustedError) as refusal:
        load(build(Plan(files=_members(FUJIAN, tls_ca=member(ANHUI).tls_ca))))

    assert refusal.value.reason == "AGREEMENT_KEY"


def test_load_members_other_than_the_nodes_of_the_root_refused():
    """The members are those who hold the root's keys, no more and no less."""
    files = dict(draft_files(Plan().bundles, terms=TERMS, policies=POLICIES))
    files["members.json"] = encode_members(Membership(members={name: member(name) for name in NODES[:3]}, former={}))

    with pytest.raises(MalformedError) as refusal:
        load(build(Plan(files=files)))

    assert refusal.value.reason == "AGREEMENT_FORM"


def test_message_keys_at_follow_their_validity():
    """A key counts from its first moment on and up to, not at, its end; a stranger has none."""
    start, end = NOW, NOW + timedelta(days=1)
    key = MessageKey(key=signer(FUJIAN, "message").public_key, valid_from=start, valid_until=end)
    agreement = load(build(Plan(files=_members(FUJIAN, message_keys=(key,)))))

    assert message_keys_at(agreement, FUJIAN, start) == (key.key,)
    assert message_keys_at(agreement, FUJIAN, start - timedelta(milliseconds=1)) == ()
    assert message_keys_at(agreement, FUJIAN, end) == ()
    assert message_keys_at(agreement, NodeName("hunan"), start) == ()
