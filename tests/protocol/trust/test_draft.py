"""Tests of `protocol.trust.draft`: bundles, target files, the tlog-policy, unsigned metadata."""

from __future__ import annotations

from datetime import timedelta

import pytest

from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, UntrustedError
from federation.protocol.form import decode_canonical, encode_canonical, replace
from federation.protocol.keys import PublicKey, Suite, format_public_key
from federation.protocol.trust.draft import decode_bundle, draft_files, draft_root, encode_bundle
from tests.protocol.trust.four import ANHUI, FUJIAN, NODES, NOW, POLICIES, TERMS, bundle, signer

LOW_ORDER = format_public_key(PublicKey(Suite.ED25519, bytes(32)))


def test_decode_bundle_gives_back_what_was_encoded():
    """Encoding and decoding are inverse."""
    assert decode_bundle(encode_bundle(bundle(ANHUI))) == bundle(ANHUI)


def test_bundle_signed_with_its_agreement_key_is_an_application():
    """Whoever changes a word of it, or signs with another key, is found; without a signature it is none."""
    signed = encode_bundle(bundle(ANHUI), signer(ANHUI, "agreement"))

    assert decode_bundle(signed).is_signed
    assert not decode_bundle(encode_bundle(bundle(ANHUI))).is_signed
    for bent in (
        signed.replace("常山".encode(), "山常".encode()),
        encode_bundle(bundle(ANHUI), signer(FUJIAN, "agreement")),
    ):
        with pytest.raises(UntrustedError) as refusal:
            decode_bundle(bent)
        assert refusal.value.reason == "SIGNATURE"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"v": 2}, "AGREEMENT_MEMBERS"),
        ({"federation": "Bridgehead"}, "FEDERATION_NAME"),
        ({"federation": "other.example"}, "AGREEMENT_KEY"),
        ({"node": "fujian"}, "AGREEMENT_KEY"),
        ({"agreement_key": LOW_ORDER}, None),
        ({"freshness_key": LOW_ORDER}, None),
        ({"secret_key": "x"}, "JSON_UNKNOWN_NAME"),
    ],
)
def test_decode_bundle_with_a_bent_field_refused(change, reason):
    """A bundle is checked as strictly as the agreement that it is for."""
    value = {**decode_canonical(encode_bundle(bundle(ANHUI)), what="test"), **change}

    with pytest.raises(BridgeheadError) as refusal:
        decode_bundle(encode_canonical(value))

    assert reason is None or refusal.value.reason == reason


def test_decode_bundle_too_large_refused_before_parsing():
    """Over-size is refused before anything is parsed."""
    with pytest.raises(MalformedError) as refusal:
        decode_bundle(b" " * (256 * 1024 + 1))

    assert refusal.value.reason == "AGREEMENT_SIZE"


def test_draft_files_gives_each_log_a_policy_of_three_of_four():
    """Each log's policy names its own key, all four witnesses, and a quorum of three (C2SP tlog-policy)."""
    files = draft_files([bundle(node) for node in NODES], terms=TERMS, policies=POLICIES)

    lines = files["tlog-policy/fujian"].decode().splitlines()

    assert lines[0] == f"log {bundle(FUJIAN).member.log_vkey}"
    assert [line.split()[:2] for line in lines[1:5]] == [["witness", node] for node in sorted(NODES)]
    assert lines[5:] == ["group peers 3 anhui fujian jiangxi zhejiang", "quorum peers"]
    assert files.keys() > POLICIES.keys()


def test_draft_files_with_two_bundles_of_one_node_refused():
    """One bundle for each node."""
    with pytest.raises(ConflictError):
        draft_files([bundle(ANHUI), bundle(ANHUI)], terms=TERMS, policies=POLICIES)


def test_draft_files_with_a_bundle_of_another_federation_refused():
    """Federations are not mixed."""
    with pytest.raises(MalformedError):
        draft_files([replace(bundle(ANHUI), federation="other.example")], terms=TERMS, policies=POLICIES)


@pytest.mark.parametrize("path", ["members.json", "policies/../members.json"])
def test_draft_files_outside_the_policies_refused(path):
    """A policy file never takes the place of another target."""
    with pytest.raises(MalformedError):
        draft_files([bundle(ANHUI)], terms=TERMS, policies={path: b""})


def test_draft_root_with_one_key_in_two_offices_refused():
    """A node's agreement key is not its freshness key, and no two nodes share one."""
    end = NOW + timedelta(days=1)
    both = replace(bundle(ANHUI), freshness_key=bundle(ANHUI).agreement_key)
    shared = replace(bundle(ANHUI), agreement_key=signer(FUJIAN, "agreement").public_key)

    for bundles in ([both], [shared, bundle(FUJIAN)]):
        with pytest.raises(UntrustedError) as refusal:
            draft_root(bundles, expires_time=end)
        assert refusal.value.reason == "AGREEMENT_KEY"
