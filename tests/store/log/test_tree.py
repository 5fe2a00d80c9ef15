"""The growing tree in memory."""

from __future__ import annotations

import pytest

from federation.protocol.errors import CorruptError
from federation.store.database import RECENT_NODES, GrowingTree, RecentNodes
from tests.store.samples import entry_of, slow_leaf, slow_root


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 700])
def test_growing_tree_agrees_with_the_definition(size: int) -> None:
    """Root, edge and open tiles of any size are one tree, RFC 6962's."""
    tree = GrowingTree()

    assert [tree.append(entry_of(name)) for name in range(size)] == list(range(size))

    tree.require_agreement()
    assert tree.head().root == slow_root([slow_leaf(entry_of(name)) for name in range(size)])
    assert [tile.n for tile in tree.full_tiles] == list(range(size // 256))
    for tile in tree.full_tiles:
        hashes = [slow_leaf(entry_of(name)) for name in range(tile.n * 256, tile.n * 256 + 256)]
        assert (tile.hashes, tile.root) == (b"".join(hashes), slow_root(hashes))


def test_copy_grows_apart() -> None:
    """A group that is rolled back leaves the tree it was copied from as it was."""
    tree = GrowingTree()
    for name in range(300):
        tree.append(entry_of(name))
    before = tree.head()

    copy = tree.copy()
    for name in range(300, 600):
        copy.append(entry_of(name))

    assert (tree.head(), tree.size, copy.size) == (before, 300, 600)
    tree.require_agreement()


def test_require_agreement_with_a_changed_hash_is_corrupt() -> None:
    """One wrong hash in an open tile is noticed."""
    tree = GrowingTree()
    for name in range(5):
        tree.append(entry_of(name))
    tree.open_tiles[0][1] = bytes(32)

    with pytest.raises(CorruptError) as caught:
        tree.require_agreement()
    assert caught.value.reason == "LOG_EDGE"


def test_append_over_a_tile_of_wrong_width_is_corrupt() -> None:
    """A full tile holds 256 hashes or is not stored."""
    tree = GrowingTree()
    for name in range(255):
        tree.append(entry_of(name))
    tree.open_tiles[0].pop()

    with pytest.raises(CorruptError) as caught:
        tree.append(entry_of(255))
    assert caught.value.reason == "LOG_TILE"


def test_edge_nodes_are_the_complete_subtrees_of_the_edge() -> None:
    """Size 300 is a subtree of 256 leaves, one of 32, one of 8 and one of 4."""
    tree = GrowingTree()
    for name in range(300):
        tree.append(entry_of(name))

    nodes = tree.edge_nodes()

    assert [node[:2] for node in nodes] == [(8, 0), (5, 8), (3, 36), (2, 74)]
    assert nodes[3][2] == slow_root([slow_leaf(entry_of(name)) for name in range(296, 300)])


def test_recent_nodes_forget_the_oldest() -> None:
    """Memory stays bounded however long the log grows."""
    recent = RecentNodes()
    recent.remember((0, index, index.to_bytes(32)) for index in range(RECENT_NODES + 10))
    recent.remember_entries(0, [index.to_bytes(4) for index in range(RECENT_NODES + 10)])

    assert recent.find((0, 9)) is None
    assert recent.find((0, 10)) == (10).to_bytes(32)
    assert recent.find((1, 10)) is None
    assert (recent.find_entry(9), recent.find_entry(10)) == (None, (10).to_bytes(4))
