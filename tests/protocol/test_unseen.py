"""No item holds a character that nobody sees: at the desk that writes it and at the node that reads it."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.protocol.form import Item, decode, encode, encode_canonical
from federation.protocol.unseen import find_unseen, verify_seen
from tests.seen import SEEN

ALLOWED = "\n\t"
SAMPLES = ["\u202e", "\u200b", "\u200d", "\ufeff", "\x1b", "\x9b", "\x7f", "\u2028", "\u2029", "\x00", "\r"]


class Name(Item, frozen=True, kw_only=True):
    """An item with a text of no form of its own."""

    WHAT = "name"

    name: str


@pytest.mark.attack("a name with bidirectional overrides, zero width or control characters", held_by="protocol/unseen")
@pytest.mark.parametrize("sign", SAMPLES, ids=lambda sign: f"U+{ord(sign):04X}")
def test_unseen_character_is_refused_where_it_is_written_and_where_it_is_read(sign):
    """The sentence names the character by its number, never as it is."""
    with pytest.raises(MalformedError, match="TEXT_UNSEEN") as caught:
        encode(Name(name=f"周{sign}听泉"))
    assert caught.value.message.isprintable()
    with pytest.raises(MalformedError, match="TEXT_UNSEEN"):
        verify_seen(encode_canonical({"name": f"周{sign}听泉"}), what="an item")


@given(text=st.text(SEEN))
def test_text_that_can_be_seen_passes(text):
    """A backslash before a letter is two characters that can be seen."""
    for each in (text, text + "\\u0000 \\r \\\\b"):
        assert decode(Name, encode(Name(name=each))) == Name(name=each)


def test_every_character_of_these_categories_is_in_the_list():
    """As far as the tables of this Python go."""
    categories = {"Cc", "Cf", "Zl", "Zp", "Cs"}
    found = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in categories]
    assert [sign for sign in found if sign not in ALLOWED and find_unseen(sign) is None] == []
