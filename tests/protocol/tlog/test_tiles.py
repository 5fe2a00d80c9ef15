"""Tiles, bundles, their paths and the arithmetic (C2SP tlog-tiles)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.protocol.errors import CorruptError, MalformedError, NotFoundError
from federation.protocol.tlog.merkle import inclusion_proof, root_at, verify_inclusion
from federation.protocol.tlog.tiles import (
    ENTRIES,
    TILE_WIDTH,
    Tile,
    cut_bundle,
    cut_tile,
    decode_bundle,
    decode_tile,
    encode_bundle,
    format_tile_path,
    level_shape,
    node_from_tile,
    parse_tile_path,
    tile_at,
    tile_exists,
    tile_hash_reader,
    tile_of_node,
)
from tests.protocol.tlog.golden import tree
from tests.protocol.tlog.published import tiles_between

TILES = st.builds(Tile, st.integers(ENTRIES, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(0, 0, 1), "tile/0/000.p/1"),
        (Tile(63, 999), "tile/63/999"),
        (Tile(1, 1000, 255), "tile/1/x001/000.p/255"),
        (Tile(ENTRIES, 273, 112), "tile/entries/273.p/112"),
    ],
)
def test_tile_path_is_the_published_one(tile, path):
    """Three-digit groups, all but the last with an x."""
    assert (format_tile_path(tile), parse_tile_path(path), str(tile)) == (path, tile, path)


@given(TILES)
def test_tile_path_round_trips(tile):
    """Every tile's path reads back as the tile."""
    assert parse_tile_path(format_tile_path(tile)) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1234",
        "tile/0/x001",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/\u0661\u0661\u0661",
        "tile/8/0/000",
        "tile/0/../000",
        "tile/0/" + "x999/" * 400 + "999",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
    ],
)
def test_parse_tile_path_other_form_is_refused(path):
    """A path is accepted only as it would be written."""
    with pytest.raises(MalformedError) as caught:
        parse_tile_path(path)

    assert caught.value.reason == "TILE_PATH"


@pytest.mark.parametrize("tile", [Tile(64, 0), Tile(-2, 0), Tile(0, -1), Tile(0, 0, 0), Tile(0, 0, 257)])
def test_format_tile_path_impossible_tile_is_refused(tile):
    """An empty tile does not exist."""
    with pytest.raises(MalformedError):
        format_tile_path(tile)


def test_level_shape_matches_published_sizes():
    """Size 70,000: 273 full + 112, 1 full + 17, width 1. Size 256: one full, then width 1."""
    assert [level_shape(70_000, level) for level in (ENTRIES, 0, 1, 2, 3)] == [
        (273, 112),
        (273, 112),
        (1, 17),
        (0, 1),
        (0, 0),
    ]
    assert [level_shape(256, level) for level in (0, 1, 2)] == [(1, 0), (0, 1), (0, 0)]


def test_tiles_between_nothing_and_a_size_lists_entries_then_levels():
    """Size 257 has two bundles, two tiles of hashes and one above."""
    assert list(map(str, tiles_between(0, 257))) == [
        "tile/entries/000",
        "tile/entries/001.p/1",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
    ]
    assert list(tiles_between(0, 0)) == []


@given(st.integers(0, 200_000), st.integers(0, 2_000))
@settings(max_examples=50)
def test_tiles_between_is_what_the_new_size_has_and_the_old_had_not(old_size, growth):
    """Publishing growth leaves out nothing and repeats nothing."""
    new_size = old_size + growth

    assert set(tiles_between(old_size, new_size)) == set(tiles_between(0, new_size)) - set(tiles_between(0, old_size))


@given(st.integers(0, 70_000), st.integers(ENTRIES, 3), st.integers(0, 300), st.integers(1, 256))
def test_tile_exists_agrees_with_the_hashes_there_are(size, level, index, width):
    """A tile of any width up to what there is can be cut; beyond it there is none."""
    full, partial = level_shape(size, level)
    available = TILE_WIDTH if index < full else partial if index == full else 0

    assert tile_exists(Tile(level, index, width), size) is (width <= available)


def test_tile_at_gives_the_widest_form_or_nothing():
    """Full where full, else partial, else not found."""
    assert (tile_at(300, 0, 0), tile_at(300, 0, 1), tile_at(300, 1, 0)) == (Tile(0, 0), Tile(0, 1, 44), Tile(1, 0, 1))
    for level, index, size in ((0, 2, 300), (0, 1, 256), (2, 0, 300), (0, 0, 0)):
        with pytest.raises(NotFoundError):
            tile_at(size, level, index)


@given(st.lists(st.binary(max_size=300), max_size=256))
@settings(max_examples=40)
def test_bundle_round_trips_and_cuts_to_a_prefix(entries):
    """A narrower bundle is a prefix of a wider one."""
    blob = encode_bundle(entries)

    assert decode_bundle(blob, len(entries)) == tuple(entries)
    if entries:
        cut = cut_bundle(blob, (len(entries) + 1) // 2)
        assert blob.startswith(cut)
        assert decode_bundle(cut, (len(entries) + 1) // 2) == tuple(entries[: (len(entries) + 1) // 2])


def test_encode_bundle_entry_limit_is_65535_bytes():
    """The length has two bytes."""
    assert len(encode_bundle([bytes(65535)])) == 65537
    with pytest.raises(MalformedError) as caught:
        encode_bundle([bytes(65536)])
    assert caught.value.reason == "ENTRY_SIZE"


@pytest.mark.parametrize(
    ("blob", "width"),
    [(b"\x00", 1), (b"\x00\x02a", 1), (b"\x00\x01a\x00", 1), (b"\x00\x01a", 2), (b"\x00\x01a", 0), (b"", 1)],
)
def test_decode_bundle_other_form_is_refused(blob, width):
    """Cut short, another number of entries, or something behind."""
    with pytest.raises(MalformedError):
        decode_bundle(blob, width)
    with pytest.raises(MalformedError):
        cut_bundle(blob, width if width != 1 or len(blob) != 3 else 9)


@pytest.mark.parametrize("width", [0, 3, 257])
def test_cut_tile_beyond_its_hashes_is_refused(width):
    """A tile gives no more hashes than it has."""
    with pytest.raises(MalformedError):
        cut_tile(bytes(64), width)


def test_cut_and_decode_tile_give_its_first_hashes():
    """A partial tile is a prefix of the full one."""
    blob = bytes(range(96))

    assert decode_tile(cut_tile(blob, 2), 2) == (blob[:32], blob[32:64])
    with pytest.raises(MalformedError):
        decode_tile(blob, 2)


def test_tile_of_node_places_a_node():
    """Level 8 is the first row of the next tile level."""
    assert tile_of_node((0, 257)) == (0, 1, 1, 1)
    assert tile_of_node((3, 33)) == (0, 1, 8, 8)
    assert tile_of_node((8, 300)) == (1, 1, 44, 1)
    assert tile_of_node((9, 1)) == (1, 0, 2, 2)


def test_node_from_tile_too_narrow_is_refused():
    """A partial tile is never hashed upwards beyond what it has."""
    with pytest.raises(MalformedError):
        node_from_tile((3, 0), [bytes(32)] * 7)


def blobs(size):
    """All tiles of the golden tree at a size, as bytes by path."""
    nodes = tree(700).nodes
    return {
        str(tile): b"".join(nodes[tile.level * 8, tile.index * TILE_WIDTH + at] for at in range(tile.width))
        for tile in tiles_between(0, size)
        if tile.level != ENTRIES
    }


def loader(files):
    """A loader over those bytes."""

    def load(tile):
        if str(tile) not in files:
            raise NotFoundError("TILE", f"no {tile}")
        return files[str(tile)]

    return load


@given(st.integers(1, 700), st.data())
@settings(max_examples=25)
def test_tile_hash_reader_gives_roots_and_proofs(size, data):
    """Tiles alone are enough for the root and every proof."""
    whole = tree(700)
    index = data.draw(st.integers(0, size - 1))
    read = tile_hash_reader(size, loader(blobs(size)))

    proof = inclusion_proof(index, size, read)

    assert root_at(size, read) == whole.roots[size]
    verify_inclusion(whole.leaf(index), index, size=size, proof=proof, root=whole.roots[size])


def test_tile_hash_reader_falls_back_to_the_full_tile():
    """A partial tile may go once the full one exists."""
    files = blobs(600) | {"tile/0/000": blobs(600)["tile/0/000"]}

    assert root_at(250, tile_hash_reader(250, loader(files))) == tree(700).roots[250]
    with pytest.raises(NotFoundError):
        root_at(250, tile_hash_reader(250, loader({})))
    with pytest.raises(NotFoundError):
        tile_hash_reader(512, loader({}))([(0, 0)])


def test_tile_hash_reader_tile_of_other_width_is_corrupt():
    """A tile that is not as wide as its name says is not used."""
    files = {"tile/0/000.p/7": bytes(32)}

    with pytest.raises(CorruptError):
        root_at(7, tile_hash_reader(7, loader(files)))
