"""The names of China's ethnic groups (民族) as a card prints them, with their codes of letters and of digits.

Rules kept: a name is one of the 56, or 穿青人, 其他, 外国血统中国籍人士, without 族, as on the card; a desk reads it
with 族, too, by its letters or by its number, and nothing else: what is none is refused with the near ones.
Sources: GB/T 3304-1991 (names, letters, numbers); 97 and 98 as household registers use them; 穿青人 has no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from federation.protocol.errors import MalformedError
from federation.protocol.ids import typed

_ROWS: Final = (
    "HA 汉|MG 蒙古|HU 回|ZA 藏|UG 维吾尔|MH 苗|YI 彝|ZH 壮|BY 布依|CS 朝鲜|MA 满|DO 侗|YA 瑶|BA 白|TJ 土家|HN 哈尼|"
    "KZ 哈萨克|DA 傣|LI 黎|LS 傈僳|VA 佤|SH 畲|GS 高山|LH 拉祜|SU 水|DX 东乡|NX 纳西|JP 景颇|KG 柯尔克孜|TU 土|"
    "DU 达斡尔|ML 仫佬|QI 羌|BL 布朗|SL 撒拉|MN 毛南|GL 仡佬|XB 锡伯|AC 阿昌|PM 普米|TA 塔吉克|NU 怒|UZ 乌孜别克|"
    "RS 俄罗斯|EW 鄂温克|DE 德昂|BN 保安|YG 裕固|GI 京|TT 塔塔尔|DR 独龙|OR 鄂伦春|HZ 赫哲|MB 门巴|LB 珞巴|JN 基诺"
)
GROUP_LETTERS: Final[Mapping[str, str]] = MappingProxyType(
    {name: letters for letters, name in (row.split() for row in _ROWS.split("|"))}
)
"""The letters of each of the 56, in the order of their numbers, which begin with 01."""
GROUP_NUMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{name: f"{number:02d}" for number, name in enumerate(GROUP_LETTERS, start=1)},
        "其他": "97",
        "外国血统中国籍人士": "98",
        "穿青人": "",
    }
)
"""The number of each name that a card can have; of one without a number nothing."""
GROUP_OF: Final[Mapping[str, str]] = MappingProxyType(
    {name: name for name in GROUP_NUMBERS}
    | {f"{name}族": name for name in GROUP_LETTERS}
    | {letters: name for name, letters in GROUP_LETTERS.items()}
    | {number: name for name, number in GROUP_NUMBERS.items() if number}
    | {"外国血统": "外国血统中国籍人士", "外国血统中国籍": "外国血统中国籍人士", "穿青": "穿青人"}
)
"""Each spelling that a desk reads, with the name that is stored."""
EthnicGroup = Annotated[str, typed("a name of GB/T 3304 as a card prints it")]
"""The type of a field that holds one."""
_MEANT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "畬": "畲",
        "僮": "壮",
        "徭": "瑶",
        "猺": "瑶",
        "崩龙": "德昂",
        "毛难": "毛南",
        "乌兹别克": "乌孜别克",
        "民家": "白",
        "索伦": "鄂温克",
    }
)
"""Names of before, and characters that look like another: offered, never put in place of what was typed."""


def parse_ethnic_group(text: str) -> str:
    """Returns the name that a card prints; refuses what is none, with the near ones (ETHNIC_GROUP)."""
    found = GROUP_OF.get(text) or GROUP_OF.get(text.upper())
    if found is None:
        near = _near(text)
        zh, en = (f"，是否为{'、'.join(near)}", f"; perhaps {', '.join(near)}") if near else ("", "")
        message = f"应为民族名称或代码（GB/T 3304）{zh} | expected a name or code of GB/T 3304, such as 汉 or 01{en}"
        raise MalformedError("ETHNIC_GROUP", message)
    return found


def _near(text: str) -> list[str]:
    plain = text.removesuffix("族")
    shared = set(plain) - set("人族国中")
    meant = [name for old, name in _MEANT.items() if old in plain]
    return (meant + [name for name in GROUP_NUMBERS if set(name) & shared and name not in meant])[:5]
