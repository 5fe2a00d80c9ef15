"""The characters that a text of an item may hold, and texts by class: unseen, of another form, to be doubted, sound."""

from hypothesis import strategies as st

from federation.protocol.unseen import find_unseen

SEEN = st.characters(exclude_categories=["Cc", "Cf", "Zl", "Zp", "Cs", "Cn"]).filter(
    lambda sign: find_unseen(sign) is None
)

UNSEEN_SIGNS = {
    "Cc": ("\x00", "\x1b", "\x7f", "\x9b", "\r"),
    "Cf": ("\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\u00ad", "\U000e0041"),
    "Zl": ("\u2028",),
    "Zp": ("\u2029",),
    "Cs": ("\ud800",),
    "drawn as nothing": ("\u3164", "\u115f", "\ufe0f", "\U000e0101", "\u034f", "\u2800"),
}
OTHER_FORMS = {
    "another middle dot": [
        (f"阿依{dot}古丽", "阿依·古丽") for dot in "\u2022\u2027\u2219\u22c5\u30fb\uff65\u2e31\uff0e\u0387"
    ],
    "decomposed": [("Rene\u0301", "Ren\u00e9"), ("\u1112\u1161\u11ab", "\ud55c")],
    "a compatibility ideograph with a canonical form": [("\uf9d1安", "\u516d安"), ("\U0002f800", "\u4e3d")],
    "another space": [(f"Jan{space}Nowak", "Jan Nowak") for space in "\u00a0\u2003\u202f\u3000"],
    "a space at an end": [(" 周听泉", "周听泉"), ("周听泉\u3000", "周听泉"), ("Jan ", "Jan")],
}
DOUBTS = {
    "private use": ("\ue000", "\uf8ff", "\U000f0001", "\U00100001"),
    "Kangxi radical": ("\u2f00", "\u2fd5"),
    "CJK radical": ("\u2e80", "\u2ec4"),
    "compatibility character": ("\uf9d1", "\U0002f800", "\u33a1", "\uff21", "\uff11"),
}
SOUND = ("周听泉", "阿依古丽·买买提", "\ufa11田", "𠮷田", "㐂", "Jan Nowak", "René", "示例路1号（东）", "No. 3")
