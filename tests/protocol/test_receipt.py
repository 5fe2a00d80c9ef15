"""Receipts: what the sender makes sure of."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import BridgeheadError, MalformedError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair, Realm
from federation.protocol.keys import Ed25519Signer
from federation.protocol.leaf import Leaf, LeafKind, Verdict, encode_leaf
from federation.protocol.receipt import Receipt, verify_receipt
from federation.protocol.tlog.merkle import hash_children, hash_leaf, inclusion_proof, root_at
from federation.protocol.tlog.note import Checkpoint, KeyKind, Vkey, sign_checkpoint
from federation.protocol.tlog.proof import TlogProof, format_proof

DIGEST = "0123456789abcdef" * 4
ORIGIN = "jiangxi.bridgehead.example/exchange/2026"
LOG = Ed25519Signer(bytes(range(32)))
VKEY = Vkey(name=ORIGIN, kind=KeyKind.ED25519, public_key=LOG.public_key.key)
LEAF = Leaf(
    federation="bridgehead.example",
    realm=Realm.DEMO,
    kind=LeafKind.RECEIVED,
    subject=DIGEST,
    signatures=DIGEST[::-1],
    time=datetime(2026, 11, 23, 8, tzinfo=UTC),
    agreement_version=1,
    pair=Pair(NodeName("zhejiang"), NodeName("jiangxi")),
    seq=1,
    verdict=Verdict.ALLOWED,
)
REFUSED = replace(LEAF, kind=LeafKind.REFUSED, verdict=Verdict.REFUSED, policies=("default-deny",))


def issue(leaf=LEAF, index=5, size=11, signer=LOG, vkey=VKEY):
    """The receipt of a leaf in a log of other leaves."""
    hashes = [hash_leaf(b"other %d" % at) for at in range(size)]
    encoded = leaf if isinstance(leaf, bytes) else encode_leaf(leaf)
    hashes[index] = hash_leaf(encoded)

    def subtree(level, at):
        if level == 0:
            return hashes[at]
        return hash_children(subtree(level - 1, 2 * at), subtree(level - 1, 2 * at + 1))

    def read(nodes):
        return [subtree(*node) for node in nodes]

    root = root_at(size, read)
    note = sign_checkpoint(Checkpoint(origin=vkey.name, size=size, root=root), vkey, sign=signer.sign)
    proof = TlogProof(index=index, hashes=inclusion_proof(index, size, read), checkpoint=note)
    return Receipt(leaf=encoded, proof=format_proof(proof))


def verify(receipt, digest=DIGEST, vkey=VKEY):
    return verify_receipt(receipt, statement_digest=digest, log_vkey=vkey)


def refused(error, *args, **kwargs):
    with pytest.raises(error) as caught:
        verify(*args, **kwargs)
    return caught.value.reason


@pytest.mark.parametrize("leaf", [LEAF, REFUSED], ids=["received", "refused"])
@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (5, 11), (10, 11), (7, 8)])
def test_verify_receipt_of_a_logged_leaf_returns_what_it_proves(leaf, index, size):
    """A receipt proves a leaf, its index and the checkpoint; a refusal by policy is one too."""
    verified = verify(issue(leaf, index, size))

    assert (verified.leaf, verified.index) == (leaf, index)
    assert (verified.checkpoint.origin, verified.checkpoint.size) == (ORIGIN, size)


def test_verify_receipt_about_another_statement_refuses():
    """A true receipt of another statement proves nothing about ours."""
    assert refused(UntrustedError, issue(), digest=DIGEST[::-1]) == "RECEIPT_SUBJECT"


@pytest.mark.parametrize(
    "leaf",
    [
        *(replace(LEAF, kind=kind) for kind in LeafKind if kind is not LeafKind.RECEIVED),
        replace(LEAF, verdict=Verdict.REFUSED),
        replace(LEAF, verdict=None),
        replace(REFUSED, verdict=Verdict.ALLOWED),
    ],
    ids=lambda leaf: f"{leaf.kind} {leaf.verdict}",
)
def test_verify_receipt_that_decides_nothing_refuses(leaf):
    """Only `received` with allowed and `refused` with refused are decisions of the receiver."""
    assert refused(UntrustedError, issue(leaf)) == "RECEIPT_KIND"


def test_verify_receipt_of_a_malformed_leaf_refuses():
    """A leaf that is not canonical is refused even when it is in the log; the cause is kept."""
    encoded = encode_leaf(LEAF).replace(b',"v":1', b', "v":1')

    with pytest.raises(MalformedError) as caught:
        verify(issue(encoded))
    assert (caught.value.reason, caught.value.facts) == ("RECEIPT_LEAF", {"cause": "JSON_NOT_CANONICAL"})


@pytest.mark.parametrize("proof", [b"", b"x", b"c2sp.org/tlog-proof@v1\nindex 05\n\nx\n"])
def test_verify_receipt_of_a_malformed_proof_refuses(proof):
    """A proof has one form."""
    assert refused(MalformedError, replace(issue(), proof=proof)) == "RECEIPT_PROOF"


def test_verify_receipt_of_another_log_refuses():
    """The checkpoint must be signed by the log that the agreement names: key and origin both."""
    stranger = Ed25519Signer(bytes(32))
    same_name = Vkey(name=ORIGIN, kind=KeyKind.ED25519, public_key=stranger.public_key.key)
    other_name = Vkey(name="fujian.bridgehead.example/exchange/2026", kind=KeyKind.ED25519, public_key=VKEY.public_key)

    assert verify(issue(signer=stranger, vkey=same_name), vkey=same_name).index == 5
    assert refused(UntrustedError, issue(signer=stranger, vkey=same_name)) == "RECEIPT_CHECKPOINT"
    assert refused(UntrustedError, issue(vkey=other_name)) == "RECEIPT_CHECKPOINT"
    assert refused(UntrustedError, issue(signer=stranger)) == "RECEIPT_CHECKPOINT"


def test_verify_receipt_of_a_leaf_that_is_not_in_the_log_refuses():
    """A leaf beside a true proof of another leaf is not in the log."""
    other = replace(issue(), leaf=encode_leaf(replace(LEAF, seq=2)))

    assert refused(UntrustedError, other) == "RECEIPT_INCLUSION"
    moved = issue().proof.replace(b"index 5\n", b"index 4\n")
    assert refused(UntrustedError, replace(issue(), proof=moved)) == "RECEIPT_INCLUSION"
    beyond = issue().proof.replace(b"index 5\n", b"index 11\n")
    assert refused(UntrustedError, replace(issue(), proof=beyond)) == "RECEIPT_INCLUSION"


def test_verify_receipt_twice_under_one_checkpoint_still_checks_each():
    """A checkpoint that verified before does not vouch for another leaf or another key."""
    receipt = issue()
    verify(receipt)

    assert verify(receipt).index == 5
    other = replace(receipt, leaf=encode_leaf(replace(LEAF, seq=2)))
    assert refused(UntrustedError, other) == "RECEIPT_INCLUSION"
    stranger = replace(VKEY, public_key=Ed25519Signer(bytes(32)).public_key.key)
    assert refused(UntrustedError, receipt, vkey=stranger) == "RECEIPT_CHECKPOINT"


@given(st.data())
def test_verify_receipt_with_any_flipped_bit_refuses(data):
    """No bit of leaf or proof can change without an error of our tree."""
    receipt = issue()
    field = data.draw(st.sampled_from(["leaf", "proof"]))
    blob = bytearray(getattr(receipt, field))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    refused(BridgeheadError, replace(receipt, **{field: bytes(blob)}))
