"""GB/T 3304: the names, letters and numbers of the ethnic groups, and what is none of them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.ethnic_groups import GROUP_LETTERS, GROUP_NUMBERS, GROUP_OF, parse_ethnic_group
from federation.protocol.errors import MalformedError

IN_THE_ORDER_OF_LETTERS = """
AC 阿昌 39|BA 白 14|BL 布朗 34|BN 保安 47|BY 布依 09|CS 朝鲜 10|DA 傣 18|DE 德昂 46|DO 侗 12|DR 独龙 51|DU 达斡尔 31|DX 东乡 26
|EW 鄂温克 45|GI 京 49|GL 仡佬 37|GS 高山 23|HA 汉 01|HN 哈尼 16|HU 回 03|HZ 赫哲 53|JN 基诺 56|JP 景颇 28|KG 柯尔克孜 29
|KZ 哈萨克 17|LB 珞巴 55|LH 拉祜 24|LI 黎 19|LS 傈僳 20|MA 满 11|MB 门巴 54|MG 蒙古 02|MH 苗 06|ML 仫佬 32|MN 毛南 36|NU 怒 42
|NX 纳西 27|OR 鄂伦春 52|PM 普米 40|QI 羌 33|RS 俄罗斯 44|SH 畲 22|SL 撒拉 35|SU 水 25|TA 塔吉克 41|TJ 土家 15|TT 塔塔尔 50|TU 土 30
|UG 维吾尔 05|UZ 乌孜别克 43|VA 佤 21|XB 锡伯 38|YA 瑶 13|YG 裕固 48|YI 彝 07|ZA 藏 04|ZH 壮 08
"""
"""Table 2 of the standard, written down a second time."""
PUBLISHED = [row.split() for row in IN_THE_ORDER_OF_LETTERS.replace("\n", "").split("|")]


def test_table_is_that_of_the_standard():
    """56 names, each with two letters and a number of its own."""
    assert len(PUBLISHED) == len(GROUP_LETTERS) == 56
    assert {(GROUP_LETTERS[name], name, GROUP_NUMBERS[name]) for name in GROUP_LETTERS} == {*map(tuple, PUBLISHED)}


@pytest.mark.parametrize(("letters", "name", "number"), PUBLISHED)
def test_every_spelling_is_read_as_the_name_on_the_card(letters, name, number):
    """With and without 族, by letters of either case, by the number."""
    assert {parse_ethnic_group(text) for text in (name, f"{name}族", letters, letters.lower(), number)} == {name}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("穿青人", "穿青人"),
        ("其他", "其他"),
        ("97", "其他"),
        ("98", "外国血统中国籍人士"),
        ("外国血统中国籍", "外国血统中国籍人士"),
    ],
)
def test_what_is_on_a_card_beside_the_56_is_read(text, name):
    """未识别民族 that a card names, and who was naturalised."""
    assert parse_ethnic_group(text) == name


@pytest.mark.parametrize(
    ("text", "near"),
    [("维族", "维吾尔"), ("蒙族", "蒙古"), ("畬族", "畲"), ("僮族", "壮"), ("乌兹别克族", "乌孜别克"), ("崩龙", "德昂"),
     ("鄂伦", "鄂伦春"), ("汉人", "汉"), ("中国", None), ("57", None), ("001", None), ("", None), ("人", None)],
)  # fmt: skip
def test_free_text_is_refused_with_the_near_ones(text, near):
    """Offered, never put in place of what was typed; in words, Chinese and English."""
    with pytest.raises(MalformedError, match="ETHNIC_GROUP") as caught:
        parse_ethnic_group(text)
    chinese, _, english = caught.value.message.partition(" | ")
    assert ("是否为" in chinese, "perhaps" in english) == (near is not None,) * 2
    assert near is None or (near in chinese and near in english)


@given(text=st.text(max_size=8))
def test_nothing_else_is_read(text):
    """Whatever is read is a name of the table."""
    try:
        assert parse_ethnic_group(text) in GROUP_NUMBERS
    except MalformedError:
        assert text not in GROUP_OF


def test_wire_takes_these_names_and_no_other():
    """The list of the message is the table."""
    proto = (Path(__file__).parents[2] / "proto/federation/v1/permit.proto").read_text(encoding="utf-8")
    field = re.search(r"string ethnicity = 3 \[.*?\];", proto, re.DOTALL)
    assert field is not None
    assert set(re.findall('"([^"]+)"', field[0])) == set(GROUP_NUMBERS)
