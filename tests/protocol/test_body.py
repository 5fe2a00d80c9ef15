"""The body and its salted commitment."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.body import (
    MAX_BODY_BYTES,
    MAX_ITEMS,
    Body,
    OpenPlace,
    PartialBody,
    commit_body,
    disclose_head,
    disclose_item,
    open_places,
    pack_body,
    unpack_body,
    verify_body,
    verify_disclosure,
    verify_partial,
)
from federation.protocol.errors import BridgeheadError, CorruptError, MalformedError, UntrustedError
from federation.protocol.form import replace

SALT = bytes(range(32))
TYPE = "application/vnd.bridgehead.permits.v1+json"
BODIES = st.builds(
    Body,
    type=st.just(TYPE),
    salt=st.binary(min_size=32, max_size=32),
    items=st.lists(st.binary(max_size=40), min_size=1, max_size=20).map(tuple),
)
SAMPLE = Body(type=TYPE, salt=SALT, items=(b"first", b"second", b"third"))


def refused(error, call, *args):
    with pytest.raises(error) as caught:
        call(*args)
    return caught.value.reason


def plain_root(leaves):
    """RFC 6962 2.1 word for word."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + plain_root(leaves[:half]) + plain_root(leaves[half:])).digest()


@given(BODIES)
def test_commit_body_is_the_root_over_salted_items(body):
    """The commitment is what its definition says, computed here without any code of ours."""
    leaves = [
        hmac.new(body.salt, b"bridgehead/item-salt/v1" + index.to_bytes(8, "big"), "sha256").digest() + item
        for index, item in enumerate(body.items)
    ]
    ref = commit_body(body)

    assert ref.commitment == plain_root(leaves).hex()
    assert (ref.type, ref.items, ref.size_bytes) == (TYPE, len(body.items), len(b"".join(body.items)))
    assert verify_body(body, ref) is body


def test_commit_body_of_the_sample_is_stable():
    """A golden value: other implementations must get it too."""
    assert commit_body(SAMPLE).commitment == "0e3ca6bb0815a7c8d4725c1eb06e776df7c61690eeeae2cbb5982a65f8dceeec"


@given(BODIES, st.data())
def test_verify_body_of_another_body_refuses(body, data):
    """Any other salt, item, order, number or type of items is not the body that was committed to."""
    ref = commit_body(body)
    index = data.draw(st.integers(0, len(body.items) - 1))
    item = body.items[index]
    changed = bytes([item[0] ^ 1]) + item[1:] if item else b"x"
    others = [
        replace(body, salt=bytes([body.salt[0] ^ 1]) + body.salt[1:]),
        replace(body, items=(*body.items[:index], changed, *body.items[index + 1 :])),
        replace(body, items=(*body.items, b"")),
        replace(body, type=TYPE + "x"),
    ]
    if body.items[::-1] != body.items:
        others.append(replace(body, items=body.items[::-1]))

    for other in others:
        assert refused(UntrustedError, verify_body, other, ref).startswith("BODY_")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "text/plain"}, "BODY_TYPE"),
        ({"items": 2}, "BODY_ITEMS"),
        ({"size_bytes": 1}, "BODY_SIZE"),
        ({"commitment": "00" * 32}, "BODY_COMMITMENT"),
    ],
)
def test_verify_body_against_another_statement_refuses_with_its_reason(fields, reason):
    """Each field of the statement's reference is compared."""
    assert refused(UntrustedError, verify_body, SAMPLE, replace(commit_body(SAMPLE), **fields)) == reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"items": ()}, "BODY_EMPTY"),
        ({"items": (b"",) * (MAX_ITEMS + 1)}, "BODY_ITEMS"),
        ({"items": (bytes(MAX_BODY_BYTES), b"x")}, "BODY_SIZE"),
        ({"salt": bytes(31)}, "BODY_SALT"),
        ({"salt": bytes(33)}, "BODY_SALT"),
        ({"type": ""}, "BODY_TYPE"),
        ({"type": "x" * 201}, "BODY_TYPE"),
        ({"type": "a\nb"}, "BODY_TYPE"),
    ],
    ids=["empty", "too many", "too large", "short salt", "long salt", "no type", "long type", "unprintable type"],
)
def test_body_beyond_the_limits_is_refused_everywhere(fields, reason):
    """Limits are checked first, by whoever commits, verifies or discloses."""
    body = replace(SAMPLE, **fields)

    assert refused(MalformedError, commit_body, body) == reason
    assert refused(MalformedError, verify_body, body, commit_body(SAMPLE)) == reason
    assert refused(MalformedError, disclose_item, body, 0) == reason


def test_body_at_the_limits_is_accepted():
    """4 MiB in 10,000 items is a body."""
    body = replace(SAMPLE, items=(bytes(MAX_BODY_BYTES), *(b"",) * (MAX_ITEMS - 1)))

    assert verify_body(body, commit_body(body)) is body


@given(BODIES)
def test_disclosure_of_each_item_proves_it_and_nothing_else(body):
    """One item is proved under the commitment; under any other index, salt, item or body it is not."""
    ref = commit_body(body)
    for index, item in enumerate(body.items):
        disclosure = disclose_item(body, index)

        assert verify_disclosure(disclosure, ref) == item
        for other in (
            replace(disclosure, index=index + 1),
            replace(disclosure, item=bytes([item[0] ^ 1, *item[1:]]) if item else b"x"),
            replace(disclosure, salt=bytes([disclosure.salt[0] ^ 1]) + disclosure.salt[1:]),
            replace(disclosure, proof=(*disclosure.proof, bytes(32))),
            replace(disclosure, proof=disclosure.proof[1:] if disclosure.proof else (b"x" * 32,)),
        ):
            refused(BridgeheadError, verify_disclosure, other, replace(ref, size_bytes=1000))


def test_disclosure_does_not_hold_the_body_salt():
    """The salt of one item tells nothing of the body's salt, so the other items stay hidden."""
    disclosure = disclose_item(SAMPLE, 1)

    assert disclosure.salt != SALT
    assert disclosure.salt == hmac.digest(SALT, b"bridgehead/item-salt/v1" + bytes(7) + b"\x01", "sha256")


@pytest.mark.parametrize("index", [-1, 3])
def test_disclose_item_that_is_not_there_refuses(index):
    """There is no such item."""
    assert refused(MalformedError, disclose_item, SAMPLE, index) == "LEAF_INDEX"


def test_verify_disclosure_of_another_form_refuses():
    """Salt sizes, item sizes and commitments are checked before anything is hashed."""
    disclosure, ref = disclose_item(SAMPLE, 0), commit_body(SAMPLE)

    for salt in (b"", bytes(31), bytes(33)):
        other = replace(disclosure, salt=salt, item=disclosure.item)
        assert refused(MalformedError, verify_disclosure, other, ref) == "BODY_SALT"
    assert refused(MalformedError, verify_disclosure, replace(disclosure, item=bytes(100)), ref) == "BODY_SIZE"
    bad = replace(ref, commitment="xyz")
    assert refused(MalformedError, verify_disclosure, disclosure, bad) == "BODY_COMMITMENT"
    assert refused(MalformedError, verify_disclosure, disclosure, replace(ref, commitment="")) == "HASH_SIZE"


@st.composite
def partial_bodies(draw):
    body = draw(BODIES)
    places = draw(st.sets(st.integers(0, len(body.items) - 1)))
    return body, frozenset(places | {0})


@given(partial_bodies())
def test_any_choice_of_open_places_is_proved_under_the_one_commitment(given_body):
    """Members that see different items hold the same body: the commitment of all of it is the entry's name."""
    body, places = given_body
    partial = open_places(body, places)

    assert verify_partial(partial, commit_body(body)) is partial
    assert partial.items == tuple(body.items[place] for place in sorted(places))
    assert unpack_body(pack_body(partial)) == partial
    assert unpack_body(pack_body(body)) == body


@given(partial_bodies(), st.data())
def test_a_partial_body_changed_anywhere_is_refused(given_body, data):
    """A changed item, salt or hash, another order or number, another type: none is of the body committed to."""
    body, places = given_body
    partial, ref = open_places(body, places), commit_body(body)
    at = data.draw(st.integers(0, len(body.items) - 1))
    others = [replace(partial, type=TYPE + "x"), replace(partial, places=(*partial.places, bytes(32)))]
    for place in _changed(partial.places[at]):
        others.append(replace(partial, places=(*partial.places[:at], place, *partial.places[at + 1 :])))
    if len(partial.places) > 1:
        others.append(replace(partial, places=partial.places[:-1]))
        others.append(replace(partial, places=(partial.places[0], *partial.places[:0:-1], partial.places[0])))
        others.append(replace(partial, places=(partial.places[-1], *partial.places[1:-1], partial.places[0])))

    for other in others:
        if other != partial:
            assert refused(BridgeheadError, verify_partial, other, replace(ref, size_bytes=10_000)).startswith("BODY_")


def _changed(place):
    if isinstance(place, bytes):
        return [bytes([place[0] ^ 1, *place[1:]])]
    flipped = bytes([place.item[0] ^ 1, *place.item[1:]]) if place.item else b"x"
    return [replace(place, item=flipped), replace(place, salt=bytes([place.salt[0] ^ 1, *place.salt[1:]]))]


@given(partial_bodies())
def test_a_partial_body_holds_neither_the_salt_nor_what_is_closed(given_body):
    """From the body's salt closed items could be guessed; from another item's salt and the hashes they cannot."""
    body, places = replace(given_body[0], salt=hashlib.sha256(given_body[0].salt).digest()), given_body[1]
    partial = open_places(body, places)
    packed = pack_body(partial)
    known = {place.salt for place in partial.places if isinstance(place, OpenPlace)}

    assert body.salt not in packed
    for at, item in enumerate(body.items):
        own = hmac.new(body.salt, b"bridgehead/item-salt/v1" + at.to_bytes(8, "big"), "sha256").digest()
        if at not in places:
            assert own not in packed
            guesses = {hashlib.sha256(b"\x00" + salt + item).digest() for salt in known}  # the right item, other salts
            assert partial.places[at] not in guesses | {hashlib.sha256(item).digest()}
            derived = {
                hmac.new(salt, b"bridgehead/item-salt/v1" + at.to_bytes(8, "big"), "sha256").digest() for salt in known
            }
            assert own not in derived


@pytest.mark.parametrize("size_bytes", [0, 10, 15, 17])
def test_a_partial_body_with_other_bytes_than_stated_is_refused(size_bytes):
    """What stands open is at most what the statement names, and exactly that when nothing is closed."""
    ref = commit_body(SAMPLE)
    whole, some = open_places(SAMPLE, range(3)), open_places(SAMPLE, (0, 1))

    assert verify_partial(whole, ref) is whole
    assert refused(UntrustedError, verify_partial, whole, replace(ref, size_bytes=size_bytes)) == "BODY_SIZE"
    if size_bytes < 11:
        assert refused(UntrustedError, verify_partial, some, replace(ref, size_bytes=size_bytes)) == "BODY_SIZE"


def test_a_partial_body_whose_first_item_is_closed_is_refused():
    """The first item tells what the others are; without it nothing can be said of them."""
    partial = open_places(SAMPLE, (0, 2))
    (closed, *_) = open_places(replace(SAMPLE, items=SAMPLE.items[::-1]), (0,)).places[1:]
    headless = replace(partial, places=(closed, *partial.places[1:]))

    assert refused(MalformedError, open_places, SAMPLE, (1, 2)) == "BODY_HEAD_CLOSED"
    assert refused(MalformedError, verify_partial, headless, commit_body(SAMPLE)) == "BODY_HEAD_CLOSED"
    assert (
        refused(MalformedError, verify_partial, replace(partial, places=()), commit_body(SAMPLE)) == "BODY_HEAD_CLOSED"
    )
    assert refused(MalformedError, open_places, SAMPLE, (0, 3)) == "LEAF_INDEX"


@pytest.mark.parametrize("place", [b"", bytes(31), bytes(33), OpenPlace(salt=bytes(31), item=b"second")])
def test_a_place_of_another_length_is_refused(place):
    """A salt and a hash have one length: nothing else is hashed."""
    partial = PartialBody(type=TYPE, places=(*open_places(SAMPLE, (0,)).places[:2], place))

    assert refused(MalformedError, verify_partial, partial, commit_body(SAMPLE)) == "BODY_PLACE"


def test_a_stored_body_that_is_cut_short_is_corrupt():
    """What was written down is read whole or not at all."""
    for packed in (pack_body(SAMPLE)[:-1], pack_body(open_places(SAMPLE, (0,)))[:-1], b"", b"\x00\x00"):
        assert refused(CorruptError, unpack_body, packed) == "BODY_FORM"


def test_head_of_a_partial_body_is_opened_without_the_rest():
    """Its proof needs the hashes of the closed places only; nothing of the other open ones is in it."""
    partial = open_places(SAMPLE, (0, 2))
    head = disclose_head(partial)
    assert head == disclose_item(SAMPLE, 0)
    assert verify_disclosure(head, commit_body(SAMPLE)) == SAMPLE.items[0]
    assert disclose_head(open_places(SAMPLE, (0,))) == head
