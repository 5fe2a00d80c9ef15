"""Tests of applications read from texts: every wrong field is told at once, and no value is repeated."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli import words
from federation.cli.demo.synthetic import synthetic_applications
from federation.cli.permits import APPLICATIONS, IMPORTS, find_doubts, invent_applications, judge_import
from federation.domain.citizen_number import Sex
from federation.domain.permits import Ground, Paper
from federation.protocol.errors import BridgeheadError, MalformedError, RuleError
from federation.protocol.ids import NodeName, Realm, parse_agency_id
from tests.cli.command_line import row_of

TODAY = date(2026, 11, 23)
APPLICATION = next(iter(synthetic_applications(NodeName("zhejiang"), 1, seed=1, today=TODAY)))
ROW = row_of(APPLICATION)


def test_parse_application_reads_what_was_written():
    """The texts of an application are the application, for a hundred invented people."""
    for application in synthetic_applications(NodeName("jiangxi"), 100, seed=2, today=TODAY):
        assert APPLICATIONS.parse(row_of(application)) == application


def test_parse_application_takes_sex_and_birth_from_the_number():
    """GB 11643: the number holds both."""
    found = APPLICATIONS.parse(ROW | {"sex": "", "birth_date": ""})

    assert (found.holder.sex, found.holder.birth_date) == (APPLICATION.holder.sex, APPLICATION.holder.birth_date)


@pytest.mark.parametrize(
    ("name", "text", "field", "expected"),
    [
        ("sex", "女", "sex", Sex.FEMALE),
        ("ethnicity", " 汉 ", "ethnicity", "汉"),
        ("birth_date", "2190/3/7", "birth_date", date(2190, 3, 7)),
    ],
)
def test_parse_application_takes_what_a_register_writes(name, text, field, expected):
    """Chinese words, spaces around, days with slashes."""
    assert getattr(APPLICATIONS.parse(ROW | {name: text}).holder, field) == expected


NUMBER = APPLICATION.holder.citizen_number


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("citizen_number", (
            f"'{NUMBER}", f'="{NUMBER}"', f" {NUMBER[:6]} {NUMBER[6:14]}-{NUMBER[14:]}\u200b".lower(),
            "".join(chr(ord(sign) + 0xFEE0) for sign in NUMBER), f"\ufeff{NUMBER}",
        )),
        ("residence_since", (
            "2026-01-05", "2026/1/5", "2026.1.5", "2026年1月5日", "20260105", "2026-01-05 00:00:00", "2026/1/5 0:00",
            "2026-01-05T00:00:00.000", "２０２６－０１－０５", " 2026 年 1 月 5 日 ", "'2026-01-05", '="2026/1/5"',
        )),
        ("household_division", ("'361123", "３６１１２３", "361 123", '="361123"')),
        ("ground", ("就业", "合法稳定就业", "JOB", "稳定就业 ")),
        ("papers", (
            "identity_card，photo，residence_proof，ground_proof", "身份证；照片；居住证明；就业证明",
            "居民身份证、相片、居住地住址证明、ground_proof", "identity_card/photo/residence_proof/ground_proof",
        )),
        ("guardian", ("否", "FALSE", "０", "无")),
        ("sealed", ("否", "no")),
    ],
)  # fmt: skip
def test_a_desk_s_spellings_are_one_value(name, texts):
    """What a keyboard and a spreadsheet add is taken away, where only one thing can be meant."""
    rows = [APPLICATIONS.parse(ROW | {"ground": "job", "residence_since": "2026-01-05", name: text}) for text in texts]
    plain = {"household_division": "361123"}.get(name, ROW[name])
    wanted = ROW | {"ground": "job", "residence_since": "2026-01-05"} | ({name: plain} if name in NAMED_SO else {})

    if name == "papers":
        assert {row.papers for row in rows} == {frozenset(Paper) - {Paper.GUARDIAN_IDENTITY}}
    else:
        assert rows == [APPLICATIONS.parse(wanted)] * len(texts)


NAMED_SO = {"citizen_number", "household_division"}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("citizen_number", "3.30822E+17", "Excel 把号码变成了数字"),
        ("citizen_number", f"{NUMBER[:15]}000", "Excel 把号码变成了数字"),
        ("citizen_number", NUMBER[:17] + ("0" if NUMBER[17] != "0" else "1"), "校验码（第18位）与前17位不符"),
        ("citizen_number", f"{NUMBER[:17]}O", "第18位应为数字（末位可为X）"),
        ("residence_since", "46027", "应为日期"),
        ("residence_since", "2026-01-05 08:30:00", "应为日期"),
        ("residence_since", "05/01/2026", "应为日期"),
        ("holder_name", "=HYPERLINK(1)", "不是公式"),
        ("holder_name", "徐\u202e谷雨", "U+202E"),
        ("ground", "度假", "应为下列其一：合法稳定就业、合法稳定住所、连续就读"),
    ],
)
def test_what_may_mean_two_things_is_refused_with_what_to_type(name, text, told):
    """Nothing is guessed; the sentence says what to do, and never what stood there."""
    with pytest.raises(MalformedError) as caught:
        APPLICATIONS.parse(ROW | {name: text})

    assert told in caught.value.message
    assert text not in caught.value.message


def test_parse_application_takes_chinese_words_for_ground_papers_and_yes():
    """The words of the decree and of a form."""
    found = APPLICATIONS.parse(ROW | {"ground": "连续就读", "papers": "相片、居民身份证", "sealed": "是"})

    assert found.ground is Ground.STUDY
    assert {paper.value for paper in found.papers} == {"photo", "identity_card"}
    assert found.sealed


FOLLOWING = {"sex", "birth_date"}


def test_parse_application_of_nothing_names_all_that_is_needed():
    """Nothing is asked for twice, one field after the other, and what follows from another not at all."""
    with pytest.raises(MalformedError) as caught:
        APPLICATIONS.parse({})

    needed = set(APPLICATIONS.fields) - {"photo_digest", "work_division", "papers", "guardian", "sealed"} - FOLLOWING
    assert all(f"{words.PERMIT_FIELDS[name]}：未填" in caught.value.message for name in needed)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("birth_date", "2190-02-30"),
        ("birth_date", "7.3.2190"),
        ("residence_since", "2025-13-01"),
        ("citizen_number", "12345"),
        ("household_division", "33082"),
        ("work_division", "33082x"),
        ("photo_digest", "abc"),
        ("ground", "holiday"),
        ("sex", "other"),
        ("papers", "photo;passport"),
        ("guardian", "perhaps"),
        ("holder_name", "x" * 101),
        ("issuer", "a\x07b"),
        ("urn", "330822-1"),
        ("issue_date", "yesterday"),
    ],
)
def test_parse_import_names_the_wrong_field_and_not_its_value(name, text):
    """The field and what was expected; what stood there may be somebody's."""
    with pytest.raises(MalformedError) as caught:
        IMPORTS.parse(ROW | {name: text})

    assert caught.value.reason == "APPLICATION"
    assert caught.value.message.startswith(f"{words.PERMIT_FIELDS[name]}：")
    assert f" | {name}: " in caught.value.message
    assert text not in caught.value.message


@given(st.dictionaries(st.sampled_from(list(IMPORTS.fields)), st.text(max_size=30)))
def test_parse_import_of_any_texts_raises_errors_of_the_house_only(texts):
    """Whatever stands in a cell, it is read or refused."""
    with contextlib.suppress(BridgeheadError):
        IMPORTS.parse(ROW | texts)


def test_field_of_knows_both_languages():
    """A heading in English or Chinese, with a byte-order mark or spaces."""
    assert IMPORTS.field_of("\ufeffholder_name") == "holder_name"
    assert IMPORTS.field_of(" 姓名 ") == "holder_name"
    assert IMPORTS.field_of("年龄") is None
    assert len({words.PERMIT_FIELDS[name] for name in IMPORTS.fields}) == len(IMPORTS.fields)


def test_judge_locally_is_as_strict_as_the_node():
    """Realm, law and day of issue are judged without a node."""
    judge_import(IMPORTS.parse(ROW), Realm.DEMO, TODAY)

    with pytest.raises(MalformedError, match="CITIZEN_NUMBER_FUTURE"):
        judge_import(IMPORTS.parse(ROW), Realm.LIVE, TODAY)
    with pytest.raises(RuleError, match="PAPERS_MISSING"):
        judge_import(IMPORTS.parse(ROW | {"papers": ""}), Realm.DEMO, TODAY)
    with pytest.raises(MalformedError, match="ISSUE_DATE"):
        judge_import(IMPORTS.parse(ROW | {"issue_date": "2027-01-01"}), Realm.DEMO, TODAY)


def test_find_doubts_of_an_invented_person_finds_none_but_foreign_counties():
    """A sound record raises no doubt; a contradicting one does."""
    sound = next(iter(invent_applications(parse_agency_id("zhejiang/330822/police"), seed=1, today=TODAY)))
    known = row_of(sound) | {"household_division": "361123"}

    assert list(find_doubts(APPLICATIONS.parse(known))) == []
    other = "female" if known["sex"] == "male" else "male"
    doubts = list(find_doubts(APPLICATIONS.parse(known | {"sex": other, "birth_date": "2190-01-01"})))
    assert [doubt.kind for doubt in doubts] == ["birth_date", "sex"]
