"""Tests of `bridgehead oversight`: what a leader signs, reviews and is told of, between real nodes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from zipfile import ZipFile

import pytest

from federation.cli.oversight import notice_lines
from federation.domain.oversight import BreakGlass, Finding
from federation.node.oversight import sample
from federation.protocol.ids import parse_agency_id
from federation.wire.agency.oversight import NoticeState
from tests.cli.command_line import HALL, POLICE, run

AUDIT, PROCURATORATE, CASE = "zhejiang/330000/audit", "zhejiang/330822/procuratorate", "CS-2026-0061"
LEADER, OFFICER = ("--officer", "leader-1"), ("--officer", "officer-61")
STRANGER = "urn:permit:361123:2026:999999"


@pytest.fixture(scope="module")
def keys(nodes):
    """The files of the registered keys, by officer."""
    return {officer: nodes.key(POLICE, officer) for officer in ("leader-1", "officer-9")}


WHERE = ("--county", "330822", "--county", "361123", "--letter")


@pytest.fixture(scope="module")
def case(nodes):
    """A case of Changshan's police in which officer-61 has asked once."""
    nodes.ask(POLICE, "lookup", "case", "open", CASE, *WHERE, "常公协字2026-61号", "--leader", "leader-1", *LEADER)
    nodes.delivered(POLICE)
    nodes.ask(POLICE, "lookup", "search", STRANGER, "--case", CASE, "--province", "jiangxi", *OFFICER)
    return CASE


def oversee(nodes, *arguments, code=0, agency=POLICE):
    return nodes.ask(agency, "oversight", *arguments, code=code)


def test_countersign_is_the_leaders_with_the_leaders_key(nodes, case, keys):
    """The leader's own key; another's, another officer, another case, and a missing file each say what is wrong."""
    key = ("--key", keys["leader-1"])
    done = oversee(nodes, "countersign", case, *key, *LEADER)
    assert f"案件 case {case} 已会签 countersigned: leader-1" in done.out

    wrong = oversee(nodes, "countersign", case, "--key", keys["officer-9"], *LEADER, code=1)
    assert "OFFICER_KEY" in wrong.err
    assert "->" in wrong.err
    assert (
        "COUNTERSIGN_LEADER"
        in oversee(nodes, "countersign", case, "--key", keys["officer-9"], "--officer", "officer-9", code=1).err
    )
    assert "CASE_UNKNOWN" in oversee(nodes, "countersign", "CS-2026-9999", *key, *LEADER, code=1).err
    assert "KEY_MISSING" in oversee(nodes, "countersign", case, "--key", nodes.folder / "none", *LEADER, code=1).err


def test_bulk_waits_for_the_second_person(nodes, case, keys):
    """The first signature stands waiting and says who is next; the second one completes it."""
    first = oversee(nodes, "countersign", case, "--bulk", "--key", keys["leader-1"], *LEADER)
    assert "待第二人签字" in first.out
    assert "--bulk" in first.err
    again = oversee(nodes, "countersign", case, "--bulk", "--key", keys["leader-1"], *LEADER, code=1)
    assert "BULK_SECOND_PERSON" in again.err

    second = ("--key", keys["officer-9"], "--officer", "officer-9", "-o", "json")
    done = oversee(nodes, "countersign", case, "--bulk", *second).json
    assert (done["signers"], done["complete"]) == (["leader-1", "officer-9"], True)


def test_eleventh_person_is_refused_with_what_to_do(nodes, keys):
    """The officer is told whose signature is missing, and by which command it is given; then the search goes on."""
    number, where = "CS-2026-0077", ("--county", "330822", "--county", "361123", "--letter", "常公协字2026-77号")
    nodes.ask(POLICE, "lookup", "case", "open", number, *where, "--leader", "leader-1", *LEADER)
    nodes.delivered(POLICE)

    def search(serial, code=0):
        subject = f"urn:permit:361123:2026:{800 + serial}"
        options = ("--case", number, "--province", "jiangxi", "--officer", "officer-5")
        return nodes.ask(POLICE, "lookup", "search", subject, *options, code=code)

    for serial in range(10):
        search(serial)
    refused = search(10, code=1)
    assert "rule-quota-persons" in refused.out
    assert "bridgehead oversight countersign CASE --key FILE" in refused.err
    oversee(nodes, "countersign", number, "--key", keys["leader-1"], *LEADER)
    assert "未命中 no hit" in search(10).out


def test_digest_shows_the_look_up_masked_to_the_officer_and_to_a_leader(nodes, case, keys):
    """The officer's own day; a leader's reading of it needs a key; somebody else's is refused."""
    own = oversee(nodes, "digest", *OFFICER)
    assert "你" not in own.out
    assert "you asked about these 1" in own.out
    assert "urn:permit:361123:2026:****99" in own.out
    assert "江西 未命中 no hit" in own.out

    theirs = ("digest", "--of", "officer-61")
    read = oversee(nodes, *theirs, "--key", keys["leader-1"], *LEADER, "-o", "json").json
    assert [one["case_id"] for one in read["lines"]] == [case]
    assert "DIGEST_READER" in oversee(nodes, *theirs, "--key", keys["officer-9"], "--officer", "officer-9", code=1).err
    assert oversee(nodes, "digest", "--day", "2026-01-01", *OFFICER, "-o", "json").json["lines"] == []
    assert "--day" in oversee(nodes, "digest", "--day", "yesterday", *OFFICER, code=2).err


def test_lists_are_there_for_the_police_and_nobody_else(nodes, case):
    """Flags and notices as text and JSON; a service hall is refused."""
    assert oversee(nodes, "flags", *LEADER, "-o", "json").json["next_page_token"] == ""
    assert "| 0 in all" in oversee(nodes, "flags", "--kind", "honey", "--by", "officer-61", *LEADER).err
    assert " in all" in oversee(nodes, "notices", *LEADER).err
    assert "METHOD_DENIED" in oversee(nodes, "flags", *LEADER, agency=HALL, code=1).err


def test_glass_is_broken_noticed_and_reviewed(nodes, case, keys):
    """Without letter or days; the notice with its day; the review needs words when it was unjustified, and is one."""
    glass, where = "BREAK-GLASS-1", ("--county", "361123", "--leader", "leader-1", *OFFICER)
    opened = nodes.ask(POLICE, "lookup", "case", "open", glass, *where)
    assert "bridgehead oversight review BREAK-GLASS-1" in opened.err
    usage = nodes.ask(POLICE, "lookup", "case", "open", "CS-2026-0099", *where, code=2)
    assert "--letter" in usage.err
    own = nodes.ask(POLICE, "lookup", "case", "open", "BREAK-GLASS-2", "--county", "361123", *OFFICER,
                    "--leader", "officer-61", code=1)  # fmt: skip
    assert "BREAK_GLASS_LEADER" in own.err
    assert "BREAK_GLASS_UNREVIEWED" in nodes.ask(POLICE, "lookup", "case", "open", "BREAK-GLASS-2", *where, code=1).err
    for terms in (("--days", "3"), ("--letter", "常公协〔2026〕1号")):
        contradicted = nodes.ask(POLICE, "lookup", "case", "open", "BREAK-GLASS-2", *where, *terms, code=2)
        assert "--letter" in contradicted.err

    told = oversee(nodes, "notices", *LEADER, "-o", "json").json["notices"]
    assert [(one["case_id"], one["officer"], one["finding"]) for one in told if one["case_id"] == glass] == [
        (glass, "officer-61", "open")
    ]
    assert "待审查 open" in oversee(nodes, "notices", *LEADER).out
    flag = oversee(nodes, "flags", "--kind", "break_glass", *LEADER).out
    assert "紧急查询 break_glass" in flag
    assert glass in flag

    by = ("--key", keys["leader-1"], *LEADER)
    assert "BREAK_GLASS_WORDS" in oversee(nodes, "review", glass, "--finding", "unjustified", *by, code=1).err
    other = ("--key", keys["officer-9"], "--officer", "officer-9")
    assert "BREAK_GLASS_REVIEWER" in oversee(nodes, "review", glass, "--finding", "justified", *other, code=1).err
    done = oversee(nodes, "review", glass, "--finding", "unjustified", "--words", "无警情记录", *by)
    assert "不当 unjustified" in done.out
    assert "已在各省关闭" in done.err
    assert "无警情记录" in done.out
    assert "BREAK_GLASS_REVIEWED" in oversee(nodes, "review", glass, "--finding", "justified", *by, code=1).err


def told(nodes):
    """What the leader's desk is told from the beginning, one thing after the other: by night there are bursts, too."""
    token = "0"
    while True:
        one = oversee(nodes, "watch", "--after", token, "--count", "1", *LEADER, "-o", "json")
        news = json.loads(one.out)
        yield news
        assert news["token"] != token
        token = news["token"]


def test_watch_tells_what_is_raised_and_ends_after_so_many(nodes, case, keys):
    """From the beginning: each thing once, as text and as one JSON object a line, with the token to go on behind."""
    glass = ("lookup", "case", "open", "BREAK-GLASS-7", "--county", "361123", "--leader", "leader-1", *OFFICER)
    nodes.ask(POLICE, *glass)
    news = next(each for each in told(nodes) if each.get("notice"))
    assert news["notice"]["case_id"].startswith("BREAK-GLASS-")
    assert "紧急查询 break_glass" in oversee(nodes, "watch", "--count", "1", *LEADER).out
    assert "WATCH_TOKEN" in oversee(nodes, "watch", "--after", "x", "--count", "1", *LEADER, code=2).err
    assert "METHOD_DENIED" in oversee(nodes, "watch", "--count", "1", *LEADER, agency=HALL, code=1).err
    oversee(nodes, "review", "BREAK-GLASS-7", "--finding", "justified", "--key", keys["leader-1"], *LEADER)


def test_sample_is_reviewed_by_somebody_else(nodes, case, keys, monkeypatch):
    """Listed masked; nobody's own, with words, once; then it shows with --reviewed only."""
    monkeypatch.setattr(sample, "is_sampled", lambda lookup_id, key: bool(lookup_id and key))
    search = ("lookup", "search", STRANGER, "--case", case, "--province", "jiangxi", "--officer", "officer-6")
    asked = nodes.ask(POLICE, *search, "-o", "json").json["lookup_id"]
    listed = oversee(nodes, "sample", *LEADER, "-o", "json").json["items"]
    (item,) = [each for each in listed if each["lookup_id"] == asked]
    assert (item["person"], item["review"]) == ("urn:permit:361123:2026:****99", None)
    assert "待复核 waiting" in oversee(nodes, "sample", *LEADER).out

    by = ("--finding", "lawful", "--words", "与协作函相符", "--key", keys["officer-9"], "--officer", "officer-9")
    done = oversee(nodes, "reviewed", item["lookup_id"], *by)
    assert "合规 lawful  officer-9: 与协作函相符" in done.out
    assert "REVIEW_DONE" in oversee(nodes, "reviewed", item["lookup_id"], *by, code=1).err
    unknown = "00000000-0000-7000-8000-000000000000"
    assert "REVIEW_UNKNOWN" in oversee(nodes, "reviewed", unknown, *by, code=1).err
    assert item["lookup_id"] not in oversee(nodes, "sample", *LEADER).out
    assert item["lookup_id"] in oversee(nodes, "sample", "--reviewed", *LEADER).out


def test_review_of_an_unknown_case_is_refused(nodes, case, keys):
    """No glass was broken under an ordinary number."""
    done = oversee(nodes, "review", case, "--finding", "justified", "--key", keys["leader-1"], *LEADER, code=1)
    assert "BREAK_GLASS_UNKNOWN" in done.err


def test_notice_lines_tell_what_is_overdue():
    """Overdue stands in the place of the finding."""
    notice = BreakGlass(
        case_id="BREAK-GLASS-2026-001", agency=parse_agency_id(POLICE), officer="officer-61", leader="leader-1",
        opened=datetime(2026, 11, 23, 18, tzinfo=UTC), due=date(2026, 11, 24), finding=Finding.OPEN,
    )  # fmt: skip
    lines = list(notice_lines([NoticeState(notice=notice, overdue=True)]))
    assert "逾期 overdue" in lines[1]
    assert "2026-11-24 02:00:00+08:00" in lines[1]


@pytest.mark.parametrize("part", ["countersign", "notices", "review", "flags", "digest", "sample", "reviewed", "watch"])
def test_help_of_every_command_is_there(part):
    """Each command explains itself, with exit 0."""
    assert "Usage: bridgehead oversight" in run("oversight", part, "--help").out


def test_readings_are_listed_for_the_leader_of_the_case_and_an_audit_office(nodes, case, keys):
    """The leader signs for one case; an audit office needs no key; without either the refusal says what to give."""
    nodes.ask(POLICE, "oversight", "flags", *LEADER)
    found = json.loads(oversee(nodes, "readings", "-o", "json", agency=AUDIT).out)
    assert {"flags", "readings"} <= {one["kind"] for one in found["readings"]}
    assert "预警 flags" in oversee(nodes, "readings", "--by", "leader-1", "--all", "--page-size", "1", agency=AUDIT).out

    own = oversee(nodes, "readings", "--case", case, "--key", keys["leader-1"], "-o", "json", *LEADER)
    assert json.loads(own.out)["readings"] == []  # nothing was released in it
    refused = oversee(nodes, "readings", *LEADER, code=1)
    assert "READINGS_READER" in refused.err
    assert "--case" in refused.err


def test_review_offers_the_findings_that_a_leader_may_come_to(nodes):
    """An open review is no finding: it is neither taken nor offered; the others are taken in either language."""
    review = ("oversight", "review", "BREAK-GLASS-2026-0001", "--words", "x")
    error = nodes.ask("zhejiang/330822/police", *review, "--finding", "open", "-o", "json", code=2).error
    assert error["message_zh"].endswith("须为其中之一：属实必要、不当")
    assert error["message"].endswith("expected one of: justified, unjustified")
    known = nodes.ask("zhejiang/330822/police", *review, "--finding", "不当", "-o", "json", code=1).error
    assert known["reason"] == "BREAK_GLASS_UNKNOWN"


@pytest.fixture
def signed(nodes, tmp_path):
    """Writes a mandate of an office by its first person, then signed by its second."""

    def sign(agency, name="mandate.json", **narrowed):
        file = tmp_path / name
        more = [word for option, text in narrowed.items() for word in (f"--{option}", text)]
        days = ("--from", "2026-01-01", "--to", "2199-12-31", "--document", "常检监〔2126〕3号")
        first = nodes.ask(agency, "audit", "mandate", file, *days, "--second", "s-2", *more, "--officer", "s-1")
        assert "待第二人签署 awaits the second person" in first.out
        assert "MANDATE" in nodes.ask(agency, "audit", "mandate", file, "--officer", "s-1", code=1).err
        assert "已由两人签署" in nodes.ask(agency, "audit", "mandate", file, "--officer", "s-2").out
        return file

    return sign


def test_procuratorate_lists_readings_by_a_mandate_of_two_persons(nodes, case, keys, signed):
    """With it the readings of the officer named; without it the word of what is missing, and exit code 1."""
    nodes.ask(POLICE, "oversight", "flags", "--by", "officer-61", "--key", keys["leader-1"], *LEADER)
    by = ("--mandate", signed(PROCURATORATE, of="leader-1"), "--officer", "s-1")
    found = oversee(nodes, "readings", *by, "-o", "json", agency=PROCURATORATE).json

    assert {(one["officer"], one["agency"]) for one in found["readings"]} == {("leader-1", POLICE)}
    refused = oversee(nodes, "readings", "--officer", "s-1", code=1, agency=PROCURATORATE)
    assert "audit mandate" in refused.err
    assert "INSPECTION" in refused.err


@pytest.mark.usefixtures("impatient")
def test_evidence_of_a_mandate_holds_its_messages_and_verifies_alone(nodes, case, signed, tmp_path):
    """All of the window with receipts, exported by the office that has the mandate, and passed without a node."""
    out, of_case = tmp_path / "evidence.zip", tmp_path / "case.zip"
    whole, narrow, other = signed(AUDIT), signed(AUDIT, "case.json", case=case), "CS-2026-0069"
    nodes.ask(POLICE, "lookup", "case", "open", other, *WHERE, "常公协字2026-69号", "--leader", "leader-1", *LEADER)
    nodes.delivered(POLICE)
    exported = run("audit", "export", out, "--home", nodes.folder, "--mandate", whole, "-o", "json").json
    run("audit", "export", of_case, "--home", nodes.folder, "--mandate", narrow)
    kept = run("audit", "verify", "--evidence", out, "--digest", exported["digest"], "-o", "json").json
    run("audit", "verify", "--evidence", of_case)

    sheet = tmp_path / "sheet.csv"
    drawn = run("audit", "sample", out, "--of-each", "2", "--sheet", sheet, "-o", "json").json["messages"]
    there = run("audit", "sample", out, "--of-each", "100", "-o", "json").json["messages"]
    assert other in {one["case_id"] for one in there}  # two of each office and purpose may leave it out
    assert {one["digest"] for one in drawn} < {one["digest"] for one in there}
    assert "未填" in run("audit", "sample", out, "--of-each", "2", "--found", sheet, code=1).err
    text = sheet.read_text(encoding="utf-8-sig").splitlines()
    sheet.write_text("\n".join([text[0], *(f"{line.removesuffix(',,,')}相符,,," for line in text[1:])]))
    assert "不符 0 条" in run("audit", "sample", out, "--of-each", "2", "--found", sheet).err
    assert "SAMPLE_OTHER" in run("audit", "sample", out, "--of-each", "1", "--found", sheet, code=1).err
    counted = run("audit", "figures", out, "-o", "json").json
    assert (
        sum(one["messages"] for one in counted["officers"]) == sum(one["messages"] for one in counted["purposes"]) > 0
    )
    changed = tmp_path / "changed.zip"
    changed.write_bytes(out.read_bytes().replace(b'"seq":1,', b'"seq":2,'))
    assert "EVIDENCE_CHANGED" in run("audit", "figures", changed, code=1).err

    whole.write_text(whole.read_text().replace("s-2", "s-3"))
    refused = run("audit", "export", tmp_path / "no.zip", "--home", nodes.folder, "--mandate", whole, code=1)

    assert "OFFICER_KEY" in refused.err
    assert not (tmp_path / "no.zip").exists()
    assert {name: exported[name] for name in kept} == kept
    receipts = {line["pair"]: line["receipts"] for line in kept["pairs"]}
    assert receipts["zhejiang>jiangxi"] > 0
    assert receipts["jiangxi>zhejiang"] is None
    with ZipFile(out) as all_of_it, ZipFile(of_case) as one_case:
        name = "messages/zhejiang/sent-jiangxi.jsonl"
        assert 0 < one_case.read(name).count(b"\n") < all_of_it.read(name).count(b"\n")
        assert "常检监〔2126〕3号" in all_of_it.read("evidence.json").decode()
