"""The characters of a text: those that nobody sees, the one form in which a text is written, and those to doubt.

Rules kept: control characters (Cc) but the end of a line and the tab, format characters (Cf: zero width, bidirectional
overrides, the byte order mark), line and paragraph separators (Zl, Zp), lone surrogates (Cs) and what else is drawn as
nothing (default ignorable: variation selectors, fillers) are refused: a name that looks like another one, or rewrites a
clerk's terminal, crosses no border and is stored nowhere. A desk writes each text in one form (NFC, U+00B7 for every
middle dot, U+0020 for every space, each character of GB 18030 where its edition of 2022 has it) before it is signed; a
node takes no other from a desk, and alters none. What looks like another character and may be meant is a doubt for a
person. The list of the unseen is fixed, since the tables of a Python version would decide otherwise at two nodes.
Sources: Unicode 16.0 (general categories, Default_Ignorable_Code_Point, UAX 15), GB 18030-2022,
GB/T 15834 (the dot between the parts of a name).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final, cast

from federation.protocol.errors import MalformedError


class _Late:
    def __init__(self, text: str) -> None:
        self._text = text

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of a pattern
        found = self.__dict__[name] = getattr(re.compile(self._text), name)
        return found


def late(text: str) -> re.Pattern[str]:
    """A pattern that is compiled when it is first used: one with wide ranges of Han takes milliseconds."""
    return cast("re.Pattern[str]", _Late(text))


_RANGES: Final = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x600, 0x605), (0x61C, 0x61C),
    (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164),
    (0xD800, 0xDFFF), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x110BD, 0x110BD),
    (0x110CD, 0x110CD), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
UNSEEN: Final = "".join(f"{chr(first)}-{chr(last)}" for first, last in _RANGES)
"""The characters as the inside of a class of a regular expression."""
_CALLED: Final = (
    (0x00, 0x1F, "控制字符"), (0x7F, 0x9F, "控制字符"), (0xAD, 0xAD, "软连字符"), (0x61C, 0x61C, "文字方向控制符"),
    (0x180B, 0x180F, "异体字选择符"), (0x200B, 0x200B, "零宽空格"), (0x200C, 0x200D, "零宽连接符"),
    (0x200E, 0x200F, "文字方向控制符"), (0x2028, 0x2029, "分行分段符"), (0x202A, 0x202E, "文字方向控制符"),
    (0x2066, 0x2069, "文字方向控制符"), (0xD800, 0xDFFF, "残缺字符"), (0xFE00, 0xFE0F, "异体字选择符"),
    (0xFEFF, 0xFEFF, "字节顺序标记"), (0xE0100, 0xE01EF, "异体字选择符"),
)  # fmt: skip
"""The Chinese names of those that people meet; any other is 不显示的字符."""
_UNSEEN: Final = late(f"[{UNSEEN}]")
_PLAIN: Final = bytes(byte for byte in range(0x20, 0x7F) if chr(byte) != "\\")
"""The ASCII of a text of which nothing is to be looked at."""
_ESCAPED: Final = re.compile(r"(?<!\\)(?:\\\\)*\\(?:u00[01]|[bfr])", re.ASCII)
_STANDARD: Final = dict(
    zip(
        (
            0xE816,
            0xE817,
            0xE818,
            0xE81E,
            0xE826,
            0xE82B,
            0xE82C,
            0xE831,
            0xE832,
            0xE83B,
            0xE843,
            0xE854,
            0xE855,
            0xE864,
        ),
        "\U00020087\U00020089\U000200cc\u9fb4\u9fb5\u9fb6\u9fb7\U000215d7\u9fb8\U0002298f\u9fb9\u9fba\U000241fe\u9fbb",
        strict=True,
    )
)
"""What GB 18030 had in the private use until 2005, as its codec still reads it, and where it stands now."""
_HAN: Final = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002a6df\U0002a700-\U0002ebef\U00030000-\U000323af"
_DOT: Final = "\u1427\u16eb\u2022\u2024\u2027\u2219\u22c5\u2e31\u2e33\u30fb\ua78f\ufe52\uff65\U00010101"
_SPACE: Final = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_DOTS: Final = late(f"[{_DOT}]|(?<=[{_HAN}])\uff0e(?=[{_HAN}])")
_SPACES: Final = late(f"[{_SPACE}]")
_FOLDED: Final = late(f"[{_DOT}\uff0e{_SPACE}{''.join(map(chr, _STANDARD))}]")
_DOUBTFUL: Final = late(
    "[\u2e80-\u2fdf\u3300-\u33ff\ue000-\uf8ff\uf900-\ufa0d\ufa10\ufa12\ufa15-\ufa1e\ufa20\ufa22\ufa25\ufa26"
    "\ufa2a-\ufaff\uff10-\uff5a\U0002f800-\U0002fa1f\U000f0000-\U0010ffff]"
)
"""Radicals, compatibility characters (without the twelve that are none), wide letters, the private use of some font."""
_WIDE_SIGN: Final = late("[\uff01-\uff65]")
_DOUBTFUL_IN_NAME: Final = late(f"(?<=[{_HAN}])[ .\u25cb\u25cf\u25e6\u3002](?=[{_HAN}])")
"""What stands between the parts of a name where a dot, or nothing, may be meant."""


def find_unseen(text: str) -> str | None:
    """Returns the first unseen character of a text as its code point, such as U+202E."""
    found = _UNSEEN.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def find_unseen_words(text: str) -> tuple[str, str] | None:
    """Returns the name and the place of the first unseen character of a text, in Chinese and in English."""
    found = _UNSEEN.search(text)
    if found is None:
        return None
    place, code = found.start() + 1, ord(found[0])
    called = next((called for first, last, called in _CALLED if first <= code <= last), "不显示的字符")
    name = unicodedata.name(found[0], "a control character")
    return f"第{place}个字符看不见：{called} U+{code:04X}", f"nobody sees character {place}: U+{code:04X}, {name}"


def verify_seen(encoded: bytes, *, what: str) -> None:
    """Refuses the canonical JSON of an item, named by `what`, with an unseen character in it (TEXT_UNSEEN)."""
    rest = encoded.translate(None, _PLAIN)
    if not rest:
        return
    text = encoded.decode(errors="surrogateescape")
    # Looked for where it can be: without what is plain, which stands inside no other character of what is UTF-8.
    found = find_unseen(rest.decode() if _is_utf8(encoded) else text)
    if found is None and b"\\" in rest and _ESCAPED.search(text):
        found = "a control character"
    if found is not None:
        raise MalformedError("TEXT_UNSEEN", f"{what}: expected text that can be seen, got {found}")


def _is_utf8(encoded: bytes) -> bool:
    try:
        encoded.decode()
    except UnicodeDecodeError:
        return False
    return True


def written(text: str) -> str:
    """Returns a text in the one form in which a desk writes it."""
    made = text if text.isascii() else unicodedata.normalize("NFC", text)
    if _FOLDED.search(made):
        made = _SPACES.sub(" ", _DOTS.sub("\u00b7", made)).translate(_STANDARD)
    return made.strip(" ")


def verify_written(text: str, *, field: str) -> None:
    """Refuses a text that is not as a desk writes it, naming its field (TEXT_UNSEEN, TEXT_FORM)."""
    if text.isascii() and text.isprintable() and text[:1] != " " and text[-1:] != " ":
        return
    if (unseen := find_unseen_words(text)) is not None:
        raise MalformedError("TEXT_UNSEEN", f"{field}: {unseen[1]}", field=field)
    if written(text) != text:
        sentence = f"{field}: expected NFC, U+00B7 as the middle dot, U+0020 as the space and none at the ends"
        raise MalformedError("TEXT_FORM", sentence, field=field)


def find_doubtful(text: str, *, is_name: bool = False) -> str | None:
    """Returns the first character, as its code point, that looks like another one; in a name any compatibility form."""
    found = _DOUBTFUL.search(text) or (_DOUBTFUL_IN_NAME.search(text) if is_name else None)
    sign = found[0] if found else None
    if sign is None and is_name:
        sign = next((each for each in _WIDE_SIGN.sub("", text) if unicodedata.normalize("NFKC", each) != each), None)
    return f"U+{ord(sign):04X}" if sign else None
