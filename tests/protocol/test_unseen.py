"""No item holds a character that nobody sees: at the desk that writes it and at the node that reads it."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.protocol.form import Item, decode, encode, encode_canonical
from federation.protocol.unseen import (
    _ESCAPED,
    find_doubtful,
    find_unseen,
    find_unseen_words,
    verify_seen,
    verify_written,
    written,
)
from tests.seen import DOUBTS, OTHER_FORMS, SEEN, SOUND, UNSEEN_SIGNS

ALLOWED = "\n\t"
SAMPLES = [sign for category, signs in UNSEEN_SIGNS.items() if category != "Cs" for sign in signs]
FORMS = [pytest.param(*pair, id=f"{what} {pair[0]!a}") for what, pairs in OTHER_FORMS.items() for pair in pairs]


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
    with pytest.raises(MalformedError, match="TEXT_UNSEEN"):
        verify_written(f"周{sign}听泉", field="name")


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


def test_lone_surrogate_is_refused():
    """UTF-8 cannot carry it, so that nothing signed holds one."""
    with pytest.raises(MalformedError, match="JSON_UTF8"):
        encode(Name(name="周\ud800"))
    with pytest.raises(MalformedError, match="TEXT_UNSEEN"):
        verify_written("周\ud800", field="name")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("周\u202e泉听", ("第2个字符看不见：文字方向控制符 U+202E", "character 2: U+202E, RIGHT-TO-LEFT OVERRIDE")),
        ("周\u200b听泉", ("第2个字符看不见：零宽空格 U+200B", "U+200B, ZERO WIDTH SPACE")),
        ("周听泉\u200d", ("第4个字符看不见：零宽连接符 U+200D", "character 4")),
        ("周\x1b[31m听泉", ("第2个字符看不见：控制字符 U+001B", "U+001B, a control character")),
        ("\ufeff周听泉", ("第1个字符看不见：字节顺序标记 U+FEFF", "character 1")),
        ("周听\u2028泉", ("第3个字符看不见：分行分段符 U+2028", "U+2028, LINE SEPARATOR")),
        ("周\ue000\u3164", ("第3个字符看不见：不显示的字符 U+3164", "HANGUL FILLER")),
    ],
)
def test_unseen_character_is_told_by_its_name_and_its_place(text, words):
    """So that whoever typed the text finds it."""
    found = find_unseen_words(text)
    assert found is not None
    assert found[0] == words[0]
    assert words[1] in found[1]
    assert all(each.isprintable() for each in found)


def test_characters_of_gb_18030_are_written_where_the_edition_of_2022_has_them():
    """The codec of Python still reads the private use of 2005; whatever else is private stays a doubt."""
    read = bytes.fromhex("fe51fe52fe53fe59fe61fe66fe67fe6cfe6dfe76fe7efe90fe91fea0").decode("gb18030")
    assert all(0xE000 <= ord(sign) <= 0xF8FF for sign in read)
    made = written(read)
    assert (
        made
        == "\U00020087\U00020089\U000200cc\u9fb4\u9fb5\u9fb6\u9fb7\U000215d7\u9fb8\U0002298f\u9fb9\u9fba\U000241fe\u9fbb"
    )
    assert find_doubtful(made, is_name=True) is None
    with pytest.raises(MalformedError, match="TEXT_FORM"):
        verify_written(read, field="name")
    assert find_doubtful("\ue000")


@pytest.mark.parametrize(("given", "expected"), FORMS)
def test_desk_writes_one_form_and_a_node_takes_no_other(given, expected):
    """Five dots, or two ways to spell an accent, are one name; the refusal names the field, never the text."""
    assert written(given) == expected
    with pytest.raises(MalformedError, match="TEXT_FORM") as caught:
        verify_written(given, field="holder_name")
    assert caught.value.facts == {"field": "holder_name"}
    assert given not in caught.value.message
    verify_written(expected, field="holder_name")


@given(text=st.text(SEEN))
def test_form_of_a_desk_is_one(text):
    """Whatever is typed, its form is a form: written again it is the same."""
    assert written(written(text)) == written(text)
    verify_written(written(text), field="text")


@pytest.mark.parametrize(("what", "sign"), [(what, sign) for what, signs in DOUBTS.items() for sign in signs])
def test_character_that_looks_like_another_is_a_doubt(what, sign):
    """It may be meant: it is told by its number and refused by nobody, unless the form of a desk is another one."""
    del what
    assert find_doubtful(f"周{sign}") == f"U+{ord(sign):04X}"
    assert find_unseen(sign) is None


@pytest.mark.parametrize("dot", ".\u25cf\u25cb\u3002 ")
def test_what_may_be_a_dot_is_doubted_in_a_name_alone(dot):
    """Between two characters a full stop may be meant as the dot; in an address or between letters it is one."""
    assert find_doubtful(f"阿依{dot}古丽", is_name=True) == f"U+{ord(dot):04X}"
    assert find_doubtful(f"示例路{dot}乙") is None
    assert find_doubtful("J. Nowak", is_name=True) is None


@pytest.mark.parametrize("text", SOUND)
def test_sound_text_raises_no_doubt(text):
    """Rare characters are none; neither are the twelve that only lie among the compatibility characters."""
    assert find_doubtful(text) is None
    verify_written(text, field="name")


@given(encoded=st.lists(st.binary(max_size=4) | st.text(max_size=4).map(str.encode) | st.sampled_from(
    [b"\xe4", b"\xb8\x80", b"\xe2", b"\x80\x8b", b"\\u0000", b"\\", b"plain", "桥".encode(), "\u202e".encode()]
), max_size=6).map(b"".join))  # fmt: skip
def test_bytes_are_refused_as_their_whole_text_would_be(encoded):
    """What is passed over on the way hides nothing, nor makes one character of the halves of two."""
    text = encoded.decode(errors="surrogateescape")
    refused = find_unseen(text) is not None or _ESCAPED.search(text) is not None

    if refused:
        with pytest.raises(MalformedError, match="TEXT_UNSEEN"):
            verify_seen(encoded, what="an item")
    else:
        verify_seen(encoded, what="an item")
