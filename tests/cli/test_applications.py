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
from federation.domain.permits import Ground
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


def test_parse_application_takes_chinese_words_for_ground_papers_and_yes():
    """The words of the decree and of a form."""
    found = APPLICATIONS.parse(ROW | {"ground": "连续就读", "papers": "相片、居民身份证", "sealed": "是"})

    assert found.ground is Ground.STUDY
    assert {paper.value for paper in found.papers} == {"photo", "identity_card"}
    assert found.sealed


def test_parse_application_of_nothing_names_all_that_is_needed():
    """Nothing is asked for twice, one field after the other."""
    with pytest.raises(MalformedError) as caught:
        APPLICATIONS.parse({})

    needed = set(APPLICATIONS.fields) - {"photo_digest", "work_division", "papers", "guardian", "sealed", "sex"}
    assert all(f"{name} ({words.PERMIT_FIELDS[name]}): missing" in caught.value.message for name in needed)


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
    assert caught.value.message.startswith(f"{name} (")
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
    assert [doubt.partition(":")[0] for doubt in doubts] == ["birth_date", "sex"]
