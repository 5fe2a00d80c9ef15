"""Tests of `bridgehead subject correct`, `corrections`, `grant`, `deny`, `extend`: shown, and done at real nodes."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from federation.cli.corrections import _show_outcome, correction_lines, filing_code, masked, page_lines, read_wanted
from federation.cli.reports import COMPLAINT_RIGHT
from federation.cli.show import object_of
from federation.cli.words import LANGUAGE_VARIABLE, error_text, said
from federation.domain.permits import PermitUrn
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.wire.agency.corrections import CorrectionOutcome, CorrectionPage, CorrectionStanding, NoticeLine
from tests.cli.command_line import ACROSS_HALL, ACROSS_POLICE, HALL
from tests.cli.test_one_language import assert_one_language
from tests.wire.answers import ALLOWED, CORRECTION, CORRECTION_WAITING, REFUSED, URN

NEW_NAME = "徐谷语"


def test_lines_say_what_until_when_and_by_which_clock():
    """What is overdue says so first; a clock that no lawyer has read says so, too."""
    told = list(page_lines(CorrectionPage(decision=ALLOWED, corrections=(CORRECTION,)), full=False))

    assert told[0] == f"{CORRECTION.correction_id}  办理中 open  ** 逾期 OVERDUE **  待本单位决定 to decide here"
    assert told[1] == "  更正 field: 姓名 holder_name -> 徐谷语"
    assert "361123**********12" in told[2]
    assert f"  材料 papers: {'ab' * 8} (SHA-256)" in told
    due = next(line for line in told if "due" in line)
    assert due.startswith("  期限 due: 2026-12-07 (share.correct v1; 日历 calendar 2026.1; 已延 extended by 10;")
    assert "not legally verified" in due
    assert told[-1] == "共 1 件，逾期 1 件 | 1 in all, 1 overdue"


def test_number_and_day_of_birth_are_masked_until_full():
    """What the record should say is masked as the record is."""
    for field, value, shown in (
        ("citizen_number", "361123219003070012", "361123**********12"),
        ("birth_date", "2190-03-07", "2190-**-**"),
    ):
        line = replace(CORRECTION, field=field, value=value)
        assert (masked(line, full=False).value, masked(line, full=True).value) == (shown, value)
        assert "*" in object_of(line, full=False)["citizen_number"]
        assert value not in "".join(correction_lines(line, full=False))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_corrections_and_notices_are_in_one_language_with_the_remedy_under_a_no(language, monkeypatch):
    """What was said stays as it was written; a no names complaint and court, a yes what the copies are told."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, language)
    denied = replace(CORRECTION, standing=CorrectionStanding.DENIED, overdue=False, permit_version=0)
    granted = replace(denied, standing=CorrectionStanding.GRANTED, permit_version=2, policies=())
    time = datetime(2026, 12, 1, 8, tzinfo=UTC)
    notices = tuple(
        NoticeLine(time=time, owner=NodeName("zhejiang"), version=2, **about)
        for about in ({"urn": URN}, {"field": "sex", "case_id": "A3611-0042"}, {"urn": URN, "other": URN},
                      {"urn": URN, "decided_on": date(2026, 11, 30)})
    )  # fmt: skip
    data = (CORRECTION.words, CORRECTION.value, CORRECTION.answer, "ab" * 8)
    no, yes = ("\n".join(correction_lines(line, full=False)) for line in (denied, granted))
    page = "\n".join(
        page_lines(CorrectionPage(decision=ALLOWED, corrections=(CORRECTION,), notices=notices), full=False)
    )

    assert_one_language(language, f"{no}\n{yes}\n{page}", data=data)
    assert [said(COMPLAINT_RIGHT) in text for text in (no, yes, page)] == [True, False, False]
    assert ["有权接收的省" in text or "entitled province" in text for text in (no, yes)] == [False, True]


def test_notices_say_what_is_outdated_here():
    """A copy below a version, or a field that a look-up gave; neither says what it is now."""
    time = datetime(2026, 12, 1, 8, tzinfo=UTC)
    notices = (
        NoticeLine(time=time, owner=NodeName("zhejiang"), urn=URN, version=3),
        NoticeLine(time=time, owner=NodeName("zhejiang"), field="holder_name", case_id="A3611-0042"),
        NoticeLine(time=time, owner=NodeName("jiangxi"), urn=URN, other=PermitUrn("urn:permit:361123:2026:000007")),
        NoticeLine(time=time, owner=NodeName("zhejiang"), urn=URN, version=2, decided_on=date(2026, 11, 30)),
    )
    page = CorrectionPage(decision=ALLOWED, notices=notices)

    told = list(page_lines(page, full=False))

    assert told[0] == "没有更正 | no corrections"
    assert told[1].endswith("copies before version 3 are outdated")
    assert "A3611-0042 所取姓名已更正" in told[2]
    assert f"重复登记，{URN} 与 urn:permit:361123:2026:000007 为同一人" in told[3]
    assert f"2026-11-30 办理互认的 {URN} 已变更（第 2 版），请复核" in told[4]
    assert [notice["urn"] for notice in object_of(page)["notices"]] == [URN, None, URN, URN]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (CorrectionOutcome(decision=REFUSED), 1),
        (CorrectionOutcome(decision=ALLOWED, correction=replace(CORRECTION, standing=CorrectionStanding.REFUSED)), 1),
        (CorrectionOutcome(decision=ALLOWED, correction=CORRECTION_WAITING), 3),
        (CorrectionOutcome(decision=ALLOWED, correction=CORRECTION), 0),
    ],
)
def test_filing_code_tells_a_refusal_from_silence(outcome, code):
    """Exit 1 when it was refused, 3 when the owner has not answered."""
    assert filing_code(outcome) == code


@pytest.mark.parametrize(
    ("field", "typed", "stored"),
    [
        ("ethnicity", "汉", "汉"),
        ("民族", "畲族", "畲"),
        ("sex", "女", "female"),
        ("birth_date", "2190年3月7日", "2190-03-07"),
        ("household_division", "３３０８２２", "330822"),
        ("status", "valid", "valid"),
    ],
)
def test_what_a_record_should_say_is_typed_as_in_an_application(field, typed, stored):
    """Every field by its reader at the desk, either name of it; what cannot be corrected is the node's to refuse."""
    assert read_wanted(field, typed)[1] == stored
    assert read_wanted("民族", "汉族")[0] == "ethnicity"


def test_what_no_record_can_say_is_refused_in_the_words_of_its_field():
    """With the near names, in both languages."""
    with pytest.raises(MalformedError, match=r"民族：应为民族名称.*乌孜别克.*ethnicity: .*CORRECTION_VALUE"):
        read_wanted("民族", "乌兹别克族")


@pytest.mark.parametrize(
    ("field", "typed", "doubt"),
    [
        ("户籍地", "362323", "division"),
        ("姓名", "陈\u2ec5", "look_alike"),
        ("公民身份号码", "361123219003180000", "number"),
    ],
)
def test_what_may_be_wrong_in_a_correction_waits_for_its_name(field, typed, doubt):
    """A code of before 2000, a look-alike character, a rounded number: as at registration, accepted by name alone."""
    with pytest.raises(RuleError, match=rf"--accept {doubt}.*DOUBTED"):
        read_wanted(field, typed)
    assert read_wanted(field, typed, [doubt])[1] == typed


def test_field_that_is_none_is_told_with_those_that_may_be_corrected():
    """In the words of the screen and of the protocol; one that the law has steps for is left to the node."""
    with pytest.raises(
        MalformedError, match=r"可写：姓名、性别.* \| expected one of holder_name, sex.*CORRECTION_FIELD"
    ):
        read_wanted("名字", "林一")
    assert read_wanted("状态", "有效") == ("status", "有效")


@pytest.mark.parametrize("full", [False, True])
def test_outcome_of_a_day_of_birth_is_masked_once(full, capsys):
    """What was filed is shown, whichever field it is: never an error behind an act that was done."""
    line = replace(CORRECTION, field="birth_date", value="2190-03-07")
    desk = SimpleNamespace(show=lambda answer, lines, **_: print(answer.correction.value, *lines, sep="\n"))
    _show_outcome(desk, CorrectionOutcome(decision=ALLOWED, correction=line), full=full)
    shown = capsys.readouterr().out
    assert ("2190-03-07" in shown) is full
    assert shown.count("2190-**-**") == (0 if full else 2)


@pytest.fixture(scope="module")
def permit(nodes):
    """A permit of Changshan for an invented person of Yushan: its name, and the person's number."""
    options = ("--synthetic", "--household", "361123", "--seed", "103", "--full", "-o", "json")
    shown = nodes.ask(HALL, "permit", "register", *options).json["permit"]
    nodes.delivered()
    return shown["urn"], shown["citizen_number"]


def file(nodes, permit, *more, agency=ACROSS_HALL, code=0, value=NEW_NAME):
    urn, number = permit
    return nodes.ask(
        agency, "subject", "correct", number, "--permit", urn, "--field", "holder_name", "--value", value,
        "--words", "户口簿上是语言的语", "--identity-checked", *more, code=code,
    )  # fmt: skip


def test_correct_extend_grant_reaches_the_copy(nodes, permit):
    """Yushan files, Changshan extends and grants, and Yushan's police see the new name in their copy."""
    filed = file(nodes, permit, "-o", "json").json["correction"]
    assert (filed["standing"], filed["owner"], filed["value"]) == ("open", "zhejiang", NEW_NAME)
    assert "*" in filed["citizen_number"]
    desk = nodes.ask(HALL, "subject", "corrections", "-o", "json").json["corrections"]
    mine = next(line for line in desk if line["correction_id"] == filed["correction_id"])
    assert (mine["to_decide"], mine["deadline"]) == (True, filed["deadline"])

    extended = nodes.ask(HALL, "subject", "extend", filed["correction_id"], "--words", "等待户籍地答复", "-o", "json")
    assert extended.json["correction"]["deadline"]["extended_by"] == 10
    granted = nodes.ask(HALL, "subject", "grant", filed["correction_id"])
    assert "准予更正 granted" in granted.out
    nodes.delivered()

    (seen,) = nodes.ask(ACROSS_HALL, "subject", "corrections", "--all", "--number", permit[1], "-o", "json").json[
        "corrections"
    ]
    assert (seen["standing"], seen["permit_version"]) == ("granted", 2)
    copy = nodes.ask(ACROSS_POLICE, "permit", "show", permit[0], "-o", "json").json["permit"]
    assert (copy["holder_name"], copy["version"]) == (NEW_NAME, 2)


def test_copy_of_a_province_no_longer_entitled_is_shown_as_outdated(nodes):
    """The household moves to Anhui: Yushan keeps its copy, is told that it is old, and sees so when it reads it."""
    options = ("--synthetic", "--household", "361123", "--seed", "104", "--full", "-o", "json")
    person = nodes.ask(HALL, "permit", "register", *options).json["permit"]
    nodes.delivered()
    filed = nodes.ask(
        ACROSS_HALL, "subject", "correct", person["citizen_number"], "--permit", person["urn"], "--field",
        "household_division", "--value", "341022", "--words", "户口已迁", "--identity-checked", "-o", "json",
    ).json["correction"]  # fmt: skip
    nodes.ask(HALL, "subject", "grant", filed["correction_id"])
    nodes.delivered()

    shown = nodes.ask(ACROSS_POLICE, "permit", "show", person["urn"])
    assert "outdated copy: its owner has version 2" in shown.err
    assert nodes.ask(ACROSS_POLICE, "permit", "show", person["urn"], "-o", "json").json["outdated_by"] == 2
    listed = nodes.ask(ACROSS_POLICE, "subject", "corrections")
    assert f"{person['urn']} 第 2 版以前的副本已过时" in listed.out


def test_correct_with_a_paper_names_its_digest_and_deny_gives_reasons(nodes, permit, tmp_path):
    """A paper stays in the office: its digest goes; a denial without words is a usage error."""
    paper = tmp_path / "household.pdf"
    paper.write_bytes(b"an invented page")
    filed = file(nodes, permit, "--paper", paper, "-o", "json", agency=HALL, value="徐谷宇").json["correction"]
    assert filed["papers"] == [hashlib.sha256(b"an invented page").hexdigest()]
    nodes.ask(HALL, "subject", "deny", filed["correction_id"], code=2)
    denied = nodes.ask(HALL, "subject", "deny", filed["correction_id"], "--words", "与户口簿不符")
    assert "不予更正 denied" in denied.out
    assert "与户口簿不符" in denied.out
    again = nodes.ask(HALL, "subject", "grant", filed["correction_id"], "-o", "json", code=1)
    assert again.error["reason"] == "CORRECTION_ENDED"
    missing = file(nodes, permit, "--paper", tmp_path / "none", "-o", "json", code=2)
    assert missing.error["reason"] == "FILE_MISSING"


def test_correct_that_the_owner_refuses_is_in_words_with_exit_1(nodes, permit):
    """Another person's permit: the owner's rule in both languages, and nobody's number."""
    urn, _ = permit
    done = nodes.ask(
        ACROSS_HALL, "subject", "correct", "330822219003070018", "--permit", urn, "--field", "holder_name",
        "--value", NEW_NAME, "--words", "不是我的名字", "--identity-checked", code=1,
    )  # fmt: skip
    assert "未受理 refused" in done.out
    assert "rule-permit-unknown" in done.out
    assert "330822219003070018" not in done.out


def test_correct_unchecked_or_of_a_field_of_the_steps_is_refused(nodes, permit):
    """Policy wants the identity checked; the law has steps for the status."""
    urn, number = permit
    wanted = ["subject", "correct", number, "--permit", urn, "--words", "错了"]
    unchecked = nodes.ask(ACROSS_HALL, *wanted, "--field", "holder_name", "--value", NEW_NAME, code=1)
    assert "deny-correct-identity-unchecked" in unchecked.out
    status = nodes.ask(ACROSS_HALL, *wanted, "--field", "status", "--value", "valid", "--identity-checked", code=1)
    assert "FIELD_NOT_CORRECTABLE" in status.err


def test_correct_reads_the_permit_in_any_case_and_the_group_with_its_suffix(nodes, permit):
    """As it may be typed off a card; both are sent as records have them."""
    urn, number = permit
    wanted = (
        "--permit",
        urn.upper(),
        "--field",
        "民族",
        "--value",
        "塔塔尔族",
        "--words",
        "错了",
        "--identity-checked",
    )
    filed = nodes.ask(HALL, "subject", "correct", number, *wanted, "--paper", __file__, "-o", "json").json["correction"]
    assert (filed["urn"], filed["field"], filed["value"]) == (urn, "ethnicity", "塔塔尔")


def test_extension_that_is_too_long_is_told_in_working_days(monkeypatch):
    """The unit is the clock's own, in either language."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, "zh")
    told = error_text("expected 1 to 10 working days, got 30", "EXTENSION_TOO_LONG")
    assert told == "延期只能是 1 至 10 个工作日，写了 30 个"
