"""The Merkle tree: roots, proofs, verifiers (RFC 6962 2.1, RFC 9162 2.1.3.2 and 2.1.4.2)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.protocol.errors import BridgeheadError, CorruptError, MalformedError, UntrustedError
from federation.protocol.tlog.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    hash_children,
    hash_leaf,
    inclusion_proof,
    merkle_root,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from tests.protocol.tlog.golden import CONSISTENCY_3_7, ROOTS, Tree, entry, tree
from tests.vectors.published import load_consistency, load_inclusion

SIZES = st.integers(1, 300)


def recursive_root(leaves):
    """The definition of RFC 6962 2.1, word by word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hash_children(recursive_root(leaves[:split]), recursive_root(leaves[split:]))


def flip(blob: bytes, bit: int) -> bytes:
    """The bytes with one bit turned."""
    return (int.from_bytes(blob) ^ 1 << bit % (len(blob) * 8)).to_bytes(len(blob))


@pytest.mark.parametrize("size", ROOTS)
def test_merkle_root_matches_golden_value(size):
    """The roots over the decimals 0, 1, ... are the published ones."""
    assert merkle_root([hash_leaf(entry(index)) for index in range(size)]).hex() == ROOTS[size]


def test_consistency_proof_3_to_7_matches_golden_value():
    """The four hashes stand in the order of RFC 6962 2.1.2."""
    proof = consistency_proof(3, 7, tree(7).read)

    assert tuple(blob.hex() for blob in proof) == CONSISTENCY_3_7


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=70))
def test_compact_range_root_equals_recursive_root(leaves):
    """The growing edge and the recursive definition agree."""
    assert merkle_root(leaves) == recursive_root(leaves)


def test_compact_range_append_returns_the_completed_nodes_leaf_first():
    """Appending the fourth leaf completes a leaf, a pair and a four."""
    edge = CompactRange()
    for index in range(3):
        edge.append(hash_leaf(entry(index)))

    completed = edge.append(hash_leaf(entry(3)))

    assert [(level, index) for level, index, _ in completed] == [(0, 3), (1, 1), (2, 0)]
    assert completed[-1][2] == edge.root() == edge.hashes[0]


@given(st.integers(0, 300))
def test_compact_range_encode_decode_goes_on_like_the_original(size):
    """A range read back appends to the same roots."""
    edge = CompactRange()
    for index in range(size):
        edge.append(hash_leaf(entry(index)))

    again = CompactRange.decode(size, edge.encode())
    again.append(b"\x07" * 32)
    edge.append(b"\x07" * 32)

    assert (again.size, again.hashes, again.root()) == (edge.size, edge.hashes, edge.root())


def test_compact_range_copy_is_independent():
    """A rolled-back append leaves the original alone."""
    edge = CompactRange()
    edge.append(hash_leaf(b"a"))

    edge.copy().append(hash_leaf(b"b"))

    assert (edge.size, edge.root()) == (1, hash_leaf(b"a"))


@pytest.mark.parametrize(("size", "blob"), [(-1, b""), (1 << 63, bytes(32)), (3, bytes(32)), (3, bytes(65)), (0, b"x")])
def test_compact_range_decode_wrong_shape_is_refused(size, blob):
    """The number of hashes is the number of set bits of the size."""
    with pytest.raises(MalformedError):
        CompactRange.decode(size, blob)


def test_compact_range_append_short_hash_changes_nothing():
    """A leaf hash has 32 bytes."""
    edge = CompactRange()

    with pytest.raises(MalformedError):
        edge.append(b"short")

    assert (edge.size, edge.root()) == (0, EMPTY_ROOT)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 33])
def test_inclusion_proof_of_every_leaf_verifies(size):
    """Every leaf of every small tree can be proved."""
    whole = tree(size)

    for index in range(size):
        proof = inclusion_proof(index, size, whole.read)
        verify_inclusion(whole.leaf(index), index, size=size, proof=proof, root=whole.roots[size])


@pytest.mark.parametrize("new_size", [0, 1, 2, 7, 8, 9, 33])
def test_consistency_proof_of_every_prefix_verifies(new_size):
    """Every earlier size of every small tree is its prefix."""
    whole = tree(33)

    for old_size in range(new_size + 1):
        proof = consistency_proof(old_size, new_size, whole.read)
        root = verify_consistency(
            old_size, new_size, old_root=whole.roots[old_size], new_root=whole.roots[new_size], proof=proof
        )
        assert root == whole.roots[new_size]


@given(SIZES, st.data())
@settings(max_examples=60)
def test_verify_inclusion_any_change_fails(size, data):
    """A flipped bit of leaf, root or path, another index, or a path of other length is never accepted."""
    whole = tree(300)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, whole.read)
    parts = [whole.leaf(index), whole.roots[size], *proof]
    at = data.draw(st.integers(0, len(parts) - 1))
    changed = [*parts[:at], flip(parts[at], data.draw(st.integers(0, 255))), *parts[at + 1 :]]
    other = data.draw(st.integers(0, size - 1).filter(lambda value: value != index)) if size > 1 else None

    with pytest.raises(UntrustedError):
        verify_inclusion(changed[0], index, size=size, proof=changed[2:], root=changed[1])
    with pytest.raises(UntrustedError):
        verify_inclusion(parts[0], index, size=size, proof=[*proof, bytes(32)], root=parts[1])
    if other is not None:
        with pytest.raises(UntrustedError):
            verify_inclusion(parts[0], index, size=size, proof=proof[:-1], root=parts[1])
        with pytest.raises(UntrustedError):
            verify_inclusion(parts[0], other, size=size, proof=proof, root=parts[1])


@given(SIZES, st.data())
@settings(max_examples=60)
def test_verify_consistency_any_change_fails(new_size, data):
    """A flipped bit of a root or of the path, or a path of other length, is never accepted."""
    whole = tree(300)
    old_size = data.draw(st.integers(1, new_size))
    proof = consistency_proof(old_size, new_size, whole.read)
    parts = [whole.roots[old_size], whole.roots[new_size], *proof]
    at = data.draw(st.integers(0, len(parts) - 1))
    changed = [*parts[:at], flip(parts[at], data.draw(st.integers(0, 255))), *parts[at + 1 :]]
    paths = [changed[2:], [*proof, bytes(32)]] + ([proof[:-1]] if proof else [])
    roots = [changed[:2], parts[:2], parts[:2]]

    for path, (old_root, new_root) in zip(paths, roots, strict=False):
        with pytest.raises(UntrustedError):
            verify_consistency(old_size, new_size, old_root=old_root, new_root=new_root, proof=path)


def test_verify_proof_too_short_for_the_claimed_size_fails():
    """A path that reaches the root too early proves a smaller tree, not the one that is claimed."""
    whole = tree(7)

    with pytest.raises(UntrustedError):
        verify_inclusion(whole.leaf(0), 0, size=8, proof=inclusion_proof(0, 4, whole.read), root=whole.roots[4])
    with pytest.raises(UntrustedError):
        verify_consistency(
            1, 4, old_root=whole.roots[1], new_root=whole.roots[2], proof=consistency_proof(1, 2, whole.read)
        )


def test_verify_consistency_from_size_0_takes_an_empty_proof_only():
    """The empty tree is a prefix of all, with an empty proof and its own root (tlog-witness)."""
    whole = tree(7)

    assert verify_consistency(0, 7, old_root=EMPTY_ROOT, new_root=whole.roots[7], proof=()) == whole.roots[7]
    for old_root, proof in ((EMPTY_ROOT, [bytes(32)]), (bytes(32), [])):
        with pytest.raises(UntrustedError):
            verify_consistency(0, 7, old_root=old_root, new_root=whole.roots[7], proof=proof)


def test_verify_consistency_size_0_twice_must_have_the_empty_root():
    """There is one empty tree."""
    with pytest.raises(UntrustedError):
        verify_consistency(0, 0, old_root=EMPTY_ROOT, new_root=bytes(32), proof=())
    with pytest.raises(UntrustedError):
        verify_consistency(0, 0, old_root=bytes(32), new_root=bytes(32), proof=())


@given(st.integers(0, 300), st.integers(0, 300))
def test_root_at_any_earlier_size_is_the_root_it_had(first, second):
    """A stored tree gives the root of each size it had."""
    size = min(first, second)

    assert root_at(size, tree(300).read) == tree(300).roots[size]


@pytest.mark.parametrize(("index", "size"), [(0, 0), (7, 7), (-1, 7)])
def test_inclusion_proof_no_such_leaf_is_refused(index, size):
    """An index is below the size."""
    with pytest.raises(MalformedError):
        inclusion_proof(index, size, tree(7).read)
    with pytest.raises(MalformedError):
        verify_inclusion(bytes(32), index, size=size, proof=(), root=bytes(32))


@pytest.mark.parametrize(("old_size", "new_size"), [(8, 7), (-1, 7)])
def test_consistency_proof_sizes_out_of_order_are_refused(old_size, new_size):
    """The old tree is not larger than the new one."""
    with pytest.raises(MalformedError):
        consistency_proof(old_size, new_size, tree(7).read)
    with pytest.raises(MalformedError):
        verify_consistency(old_size, new_size, old_root=bytes(32), new_root=bytes(32), proof=())


@pytest.mark.parametrize("answer", [[], [b"short"] * 3, [bytes(32)] * 9], ids=["none", "short", "too many"])
def test_proof_reader_with_other_answer_is_corrupt(answer):
    """A store that does not return one hash a node is broken, and nothing is built from it."""
    with pytest.raises(CorruptError):
        inclusion_proof(4, 7, lambda nodes: answer)


def test_proof_reader_is_asked_once_for_complete_nodes_only():
    """One read a proof, of nodes that exist in a tree of that size."""
    asked = []
    inclusion_proof(4, 7, lambda nodes: asked.append(list(nodes)) or [bytes(32)] * len(nodes))

    assert asked == [[(0, 5), (0, 6), (2, 0)]]


def test_verify_inclusion_short_hash_is_malformed():
    """A hash of another length cannot shift bytes between two nodes."""
    whole = Tree(2)

    with pytest.raises(MalformedError):
        verify_inclusion(whole.leaf(0), 0, size=2, proof=[whole.leaf(1)[:31]], root=whole.roots[2])


def outcome(check) -> bool:
    """Whether a verification refused."""
    try:
        check()
    except BridgeheadError:
        return True
    return False


def test_verify_inclusion_agrees_with_published_vectors():
    """98 cases of transparency-dev/merkle: 6 pass, 92 fail."""
    cases = load_inclusion()
    wrong = [
        case
        for case in cases
        if outcome(
            lambda case=case: verify_inclusion(
                case.leaf_hash, case.index, size=case.size, proof=case.proof, root=case.root
            )
        )
        is case.valid
    ]

    assert (len(cases), sum(case.valid for case in cases), wrong) == (98, 6, [])


def test_verify_consistency_agrees_with_published_vectors():
    """98 cases of transparency-dev/merkle: 6 pass, 92 fail, with one deliberate difference.

    That library refuses any proof from size 0; tlog-witness wants an empty one there, and so do we.
    """
    cases = load_consistency()
    wrong = [
        case
        for case in cases
        if outcome(
            lambda case=case: verify_consistency(
                case.old_size, case.new_size, old_root=case.old_root, new_root=case.new_root, proof=case.proof
            )
        )
        is case.valid
    ]

    assert (len(cases), sum(case.valid for case in cases)) == (98, 6)
    assert [(case.old_size, case.new_size, case.proof, case.valid) for case in wrong] == [(0, 1, [], False)]
