"""Tests of `protocol.trust.metadata`: who signed, merged copies, both suites, flipped bits."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, Root, Targets

from federation.protocol.errors import BridgeheadError, MalformedError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.keys import P256Signer, PublicKey, Suite
from federation.protocol.trust import sign_metadata, who_signed
from federation.protocol.trust.draft import draft_root, draft_targets
from federation.protocol.trust.metadata import admit_tuf_key, majority, merge_signatures, read_metadata, tuf_key
from tests.protocol.trust.four import (
    ANHUI,
    FUJIAN,
    JIANGXI,
    NODES,
    NOW,
    ZHEJIANG,
    Plan,
    build,
    bundle,
    load,
    signed,
    signer,
)

FILES = build(Plan())
END = NOW + timedelta(days=365)


def test_majority_is_more_than_half():
    """Three of four, two of three: two halves can never both decide."""
    assert [majority(nodes) for nodes in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]


def test_who_signed_names_those_who_did_and_those_who_did_not():
    """Signatures are counted by node, whatever order they came in; a stranger's does not count."""
    targets = draft_targets({}, version=2, expires_time=END)
    targets = signed(targets, (FUJIAN, "agreement"), (ANHUI, "freshness"), ("hunan", "agreement"))

    signing = who_signed(targets, FILES.roots[0])

    assert signing.signed == (FUJIAN,)
    assert signing.missing == (ANHUI, JIANGXI, ZHEJIANG)
    assert (signing.threshold, signing.complete) == (3, False)


def test_who_signed_a_first_root_asks_the_root_itself():
    """A first root is signed by its own keys."""
    assert who_signed(FILES.roots[0], FILES.roots[0]).missing == (ANHUI,)


def test_who_signed_a_new_root_asks_for_old_and_new_keys():
    """A node whose key changes has signed when both keys have."""
    bundles = [bundle(node, agreement="agreement-2" if node == JIANGXI else "agreement") for node in NODES]
    root = draft_root(bundles, expires_time=END, previous=FILES.roots[0])

    half = signed(root, (JIANGXI, "agreement"))
    whole = signed(half, (JIANGXI, "agreement-2"))

    assert who_signed(half, FILES.roots[0]).signed == ()
    assert who_signed(whole, FILES.roots[0]).signed == (JIANGXI,)


def test_who_joins_does_not_count_for_the_own_admission():
    """Two of the four and the fifth are not three of the four; once the four have decided, the fifth is named too."""
    bundles = [bundle(node) for node in (*NODES, "hunan")]
    root = draft_root(bundles, expires_time=END, previous=FILES.roots[0])

    two = signed(root, (JIANGXI, "agreement"), (ZHEJIANG, "agreement"), ("hunan", "agreement"))
    three = signed(two, (FUJIAN, "agreement"))

    found = who_signed(two, FILES.roots[0])
    assert (found.signed, found.missing, found.threshold) == ((JIANGXI, ZHEJIANG), (ANHUI, FUJIAN), 3)
    assert not found.complete
    assert who_signed(three, FILES.roots[0]).complete
    assert who_signed(three, FILES.roots[0]).signed == (FUJIAN, "hunan", JIANGXI, ZHEJIANG)


def test_who_signed_a_root_that_does_not_follow_refused():
    """Roots follow each other one by one."""
    root = Metadata[Root].from_bytes(FILES.roots[0])
    root.signed.version = 3

    with pytest.raises(MalformedError) as refusal:
        who_signed(root.to_bytes(), FILES.roots[0])

    assert refusal.value.reason == "AGREEMENT_FORM"


def test_merge_signatures_of_two_copies_gives_both():
    """A draft may go two ways at once; the copies are joined."""
    draft = draft_targets({}, version=2, expires_time=END)
    one, other = signed(draft, (FUJIAN, "agreement")), signed(draft, (ANHUI, "agreement"))

    merged = merge_signatures(one, other)

    assert who_signed(merged, FILES.roots[0]).signed == (ANHUI, FUJIAN)
    assert merged == merge_signatures(other, one)


def test_merge_signatures_of_two_drafts_refused():
    """Only copies of one draft are joined."""
    with pytest.raises(MalformedError) as refusal:
        merge_signatures(FILES.targets, draft_targets({}, version=2, expires_time=END))

    assert refusal.value.reason == "AGREEMENT_FORM"


def _p256(label):
    key = ec.derive_private_key(int.from_bytes(sha256(label.encode()).digest()) >> 8, ec.SECP256R1())
    return P256Signer(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def test_agreement_key_in_a_hardware_module_of_p256_counts():
    """An agreement key may be P-256, as hardware modules have it."""
    key = _p256("zhejiang")
    first = replace(bundle(ZHEJIANG), agreement_key=key.public_key)
    bundles = (first, *(bundle(node) for node in NODES[1:]))
    two = ((JIANGXI, "agreement"), (FUJIAN, "agreement"))
    root = sign_metadata(signed(draft_root(bundles, expires_time=END), *two), key)
    plan = Plan(bundles=bundles, roots=(root,), signers=(*two, (ANHUI, "agreement")))

    assert who_signed(root, root).signed == (FUJIAN, JIANGXI, ZHEJIANG)
    assert load(build(plan)).version == 1


def test_admit_tuf_key_gives_back_the_public_key():
    """The TUF form and ours name the same key, in both suites."""
    for public_key in (signer(ANHUI, "agreement").public_key, _p256("anhui").public_key):
        assert admit_tuf_key(tuf_key(public_key, ANHUI)) == public_key


def test_admit_tuf_key_under_another_id_refused():
    """A key's id is the digest of its content: two ids for one key would make it count twice."""
    key = tuf_key(signer(ANHUI, "agreement").public_key, ANHUI)
    key.keyid = "a" * 64

    with pytest.raises(UntrustedError) as refusal:
        admit_tuf_key(key)

    assert refusal.value.reason == "AGREEMENT_KEY"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("keytype", "rsa"),
        ("scheme", "ed448"),
        ("keyval", {"public": "zz"}),
        ("keyval", {}),
        ("keyval", {"public": "00"}),
    ],
)
def test_admit_tuf_key_of_another_form_refused(field, value):
    """Two types of key are known, each in one form."""
    key = tuf_key(signer(ANHUI, "agreement").public_key, ANHUI)
    setattr(key, field, value)

    with pytest.raises(MalformedError):
        admit_tuf_key(key)


def test_admit_tuf_key_with_an_upper_case_hex_key_refused():
    """One key has one written form."""
    key = tuf_key(PublicKey(Suite.ED25519, signer(ANHUI, "agreement").public_key.key), ANHUI)
    key.keyval = {"public": key.keyval["public"].upper()}

    with pytest.raises(UntrustedError):
        admit_tuf_key(key)


def test_read_metadata_of_another_kind_refused():
    """A file of one kind never stands for another."""
    with pytest.raises(MalformedError):
        read_metadata(FILES.targets, Root, what="root")
    with pytest.raises(MalformedError):
        read_metadata(b"[]", Targets, what="targets")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["root", "timestamp", "snapshot", "targets"]), st.data())
def test_any_flipped_bit_of_the_metadata_is_refused(name, data):
    """One flipped bit anywhere in any of the four files, and no agreement loads from it."""
    whole = FILES.roots[0] if name == "root" else getattr(FILES, name)
    index, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(whole)
    flipped[index] ^= 1 << bit
    changed = {"roots": (bytes(flipped),)} if name == "root" else {name: bytes(flipped)}

    try:
        agreement = load(replace(FILES, **changed))
    except BridgeheadError:
        return

    # A broken signature beyond the threshold would be no harm; here three are needed and three are there.
    pytest.fail(f"loaded version {agreement.version} from a changed {name}")


@pytest.mark.parametrize("name", ["root", "timestamp"])
def test_metadata_with_a_signature_in_capitals_is_refused(name):
    """One signature has one written form: hex that differs in case only would be other bytes that verify as well."""
    whole = FILES.roots[0] if name == "root" else getattr(FILES, name)
    value = json.loads(whole)
    shouted = whole.replace(value["signatures"][0]["sig"].encode(), value["signatures"][0]["sig"].upper().encode())
    assert shouted != whole
    changed = {"roots": (shouted,)} if name == "root" else {name: shouted}

    with pytest.raises(MalformedError, match="AGREEMENT_FORM"):
        load(replace(FILES, **changed))
