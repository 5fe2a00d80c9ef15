"""Characters that nobody sees, or that turn what stands beside them: an item with one is neither written nor taken in.

Rules kept: control characters (Cc) but the end of a line and the tab, format characters (Cf: zero width, bidirectional
overrides, the byte order mark), line and paragraph separators (Zl, Zp) and lone surrogates (Cs) are refused: a name
that looks like another one, or rewrites a clerk's terminal, crosses no border and is stored nowhere. The list is fixed,
since the tables of a Python version would decide otherwise at two nodes. Source: Unicode 16.0, general categories.
"""

from __future__ import annotations

import re
from typing import Final

from federation.protocol.errors import MalformedError

_RANGES: Final = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x600, 0x605), (0x61C, 0x61C), (0x6DD, 0x6DD),
    (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0x180E, 0x180E), (0x200B, 0x200F), (0x2028, 0x202E),
    (0x2060, 0x2064), (0x2066, 0x206F), (0xD800, 0xDFFF), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0x110BD, 0x110BD),
    (0x110CD, 0x110CD), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0001, 0xE0001),
    (0xE0020, 0xE007F),
)  # fmt: skip
UNSEEN: Final = "".join(f"{chr(first)}-{chr(last)}" for first, last in _RANGES)
"""The characters as the inside of a class of a regular expression."""
_UNSEEN: Final = re.compile(f"[{UNSEEN}]")
_ESCAPED: Final = re.compile(r"(?<!\\)(?:\\\\)*\\(?:u00[01]|[bfr])", re.ASCII)


def find_unseen(text: str) -> str | None:
    """Returns the first unseen character of a text as its code point, such as U+202E."""
    found = _UNSEEN.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def verify_seen(encoded: bytes, *, what: str) -> None:
    """Refuses the canonical JSON of an item, named by `what`, with an unseen character in it (TEXT_UNSEEN)."""
    if encoded.isascii() and b"\\" not in encoded and b"\x7f" not in encoded:
        return
    text = encoded.decode(errors="surrogateescape")
    found = find_unseen(text) or ("a control character" if _ESCAPED.search(text) else None)
    if found is not None:
        raise MalformedError("TEXT_UNSEEN", f"{what}: expected text that can be seen, got {found}")
