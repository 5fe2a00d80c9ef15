"""The leaf: what an exchange leaves in a log."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.protocol.form import decode_canonical, encode_canonical, replace
from federation.protocol.ids import NodeName, Pair, Realm
from federation.protocol.leaf import MAX_LEAF_BYTES, Leaf, LeafKind, Verdict, decode_leaf, encode_leaf
from tests.seen import SEEN

DIGEST = "0123456789abcdef" * 4
SMALL = Leaf(
    federation="bridgehead.example",
    realm=Realm.DEMO,
    kind=LeafKind.BOOT,
    subject=DIGEST,
    time=datetime(2026, 11, 23, 8, tzinfo=UTC),
    agreement_version=1,
)
FULL = replace(
    SMALL,
    kind=LeafKind.RECEIVED,
    signatures=DIGEST,
    pair=Pair(NodeName("zhejiang"), NodeName("jiangxi")),
    seq=7,
    commitment=DIGEST[::-1],
    verdict=Verdict.ALLOWED,
    policies=("permit-replicate", "permit-replicate-minor"),
    reason="no_purpose",
    peer_checkpoint=DIGEST,
)


def refused(encoded):
    with pytest.raises(MalformedError) as caught:
        decode_leaf(encoded)
    return caught.value.reason


def changed(**fields):
    """The full leaf's bytes with some fields set to other values (`...` removes one)."""
    value = decode_canonical(encode_leaf(FULL), what="x") | fields
    return encode_canonical({name: field for name, field in value.items() if field is not ...})


@pytest.mark.parametrize("leaf", [SMALL, FULL], ids=["event", "message"])
def test_decode_reads_back_what_encode_writes(leaf):
    """A leaf has one form, under 1 kB with every field set."""
    encoded = encode_leaf(leaf)

    assert decode_leaf(encoded) == leaf
    assert encode_leaf(decode_leaf(encoded)) == encoded
    assert len(encoded) < MAX_LEAF_BYTES


@given(
    kind=st.sampled_from(LeafKind),
    verdict=st.none() | st.sampled_from(Verdict),
    seq=st.none() | st.integers(0, 2**53 - 1),
    policies=st.lists(st.text(SEEN, max_size=20), max_size=5).map(tuple),
)
def test_decode_of_any_allowed_fields_reads_them_back(kind, verdict, seq, policies):
    """Whatever the fields hold within their rules comes back as it was."""
    leaf = replace(FULL, kind=kind, verdict=verdict, seq=seq, policies=policies)

    assert decode_leaf(encode_leaf(leaf)) == leaf


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"v": 2}, "LEAF_VERSION"),
        ({"x": 1}, "JSON_UNKNOWN_NAME"),
        ({"subject": ...}, "JSON_MISSING_NAME"),
        ({"subject": "ab"}, "JSON_DIGEST"),
        ({"federation": ""}, "FEDERATION_NAME"),
        ({"realm": "test"}, "LEAF_FIELD"),
        ({"kind": "seen"}, "LEAF_FIELD"),
        ({"verdict": "maybe"}, "LEAF_FIELD"),
        ({"verdict": None}, "JSON_TYPE"),
        ({"time": "now"}, "TIME"),
        ({"agreement": "1"}, "JSON_TYPE"),
        ({"signatures": "ab"}, "JSON_DIGEST"),
        ({"commitment": "ab"}, "JSON_DIGEST"),
        ({"peer_checkpoint": "ab"}, "JSON_DIGEST"),
        ({"pair": "zhejiang"}, "PAIR"),
        ({"seq": -1}, "JSON_TYPE"),
        ({"reason": 1}, "JSON_TYPE"),
        ({"policies": []}, "LEAF_FIELD"),
        ({"policies": "p"}, "LEAF_FIELD"),
        ({"policies": ["p", 1]}, "LEAF_FIELD"),
        ({"reason": "x" * MAX_LEAF_BYTES}, "LEAF_SIZE"),
    ],
    ids=repr,
)
def test_decode_of_a_bad_field_refuses_with_its_reason(fields, reason):
    """Each field has one form, and each refusal its own stable reason."""
    assert refused(changed(**fields)) == reason


def test_encode_above_one_kilobyte_refuses():
    """A leaf that peers would not read is never written."""
    with pytest.raises(MalformedError) as caught:
        encode_leaf(replace(FULL, policies=tuple(f"policy-{number:05}" for number in range(60))))
    assert caught.value.reason == "LEAF_SIZE"
