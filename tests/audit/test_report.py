"""The report: PASS or FAIL, and what a terminal and a program get of it."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from federation.audit.report import (
    MAX_OF_A_CODE,
    Code,
    Finding,
    Findings,
    LogLine,
    PairLine,
    Report,
    Severity,
    in_reading_order,
    report_object,
)
from federation.cli.audit_report import report_lines
from federation.cli.words import TABLES
from federation.protocol.form import replace
from federation.protocol.ids import Pair, Realm
from federation.protocol.receipt import Receipt
from federation.protocol.tlog.tiles import ENTRIES, Tile, encode_bundle
from tests.audit.border_day import a_border_day, run
from tests.audit.provinces import FEDERATION, FUJIAN, JIANGXI, NOW, ZHEJIANG, Province

LOG = LogLine(
    node=ZHEJIANG,
    origin=f"zhejiang.{FEDERATION}/exchange/2126",
    size=12,
    root=bytes(range(32)),
    read=12,
    kinds={"sent": 12},
    cosigned=3,
    witnesses=4,
    witnessed_size=11,
    complete=True,
)
PAIR = PairLine(
    pair=Pair(ZHEJIANG, JIANGXI), sent=12, received=10, refused=1, expired=0, in_flight=1, receipts=None, compared=True
)
QUIET = replace(PAIR, pair=Pair(JIANGXI, ZHEJIANG), sent=0, received=0, refused=0, in_flight=0)
REPORT = Report(
    federation=FEDERATION,
    realm=Realm.DEMO,
    agreement=1,
    time=NOW,
    logs=(LOG,),
    pairs=(PAIR, QUIET),
    findings=(),
    unreachable={},
)
ERROR = Finding(code=Code.SEQUENCE_GAP, node=ZHEJIANG, index=7, sentence="zhejiang>jiangxi: number 8 is not there")
WARNING = Finding(code=Code.COSIGNED_BY_FEW, node=ZHEJIANG, index=None, sentence="only 2")

TEXT = """\
通过 PASS
  存证日志 1 份，条目 12 条，消息 12 条：不符 0 处，提醒 0 处 | 1 logs, 12 entries, 12 messages: 0 findings, 0 warnings
  bridgehead.example (demo)  协议 agreement 1  2126-11-23T08:30:00.000Z

  日志 log  条目 entries  树根 root         见证 witnesses  已见证 witnessed  已核对 verified
  zhejiang  12            0001020304050607  3/4             11                全部 whole

  方向 pair         发出 sent  收到 received  拒收 refused  过期 expired  在途 in flight  回执 receipts
  zhejiang>jiangxi  12         10             1             0             1               -
"""
CHINESE = """\
不通过
  存证日志 1 份，条目 12 条，消息 12 条：不符 1 处，提醒 0 处
  bridgehead.example (demo)  协议 1  2126-11-23T08:30:00.000Z

! zhejiang 条目 7: SEQUENCE_GAP
    序号不连续（zhejiang>jiangxi: number 8 is not there）
"""


def text_of(report: Report, *, everything: bool = True) -> str:
    return "".join(f"{line}\n" for line in report_lines(report, everything=everything))


def test_report_without_findings_passes_and_is_short() -> None:
    """The text of a clean audit fits on a screen; pairs that never spoke are not listed."""
    assert REPORT.passed
    assert text_of(REPORT) == TEXT


def test_report_with_an_error_fails_and_says_where_first() -> None:
    """The finding stands above the tables."""
    report = replace(REPORT, findings=(ERROR, WARNING))

    lines = text_of(report).splitlines()

    assert not report.passed
    assert lines[0] == "不通过 FAIL"
    assert lines[1].endswith("1 finding, 1 warning")
    sentence = "    序号不连续 | zhejiang>jiangxi: number 8 is not there"
    assert lines[4:7] == ["! zhejiang 条目 entry 7: SEQUENCE_GAP", sentence, "~ zhejiang: COSIGNED_BY_FEW"]


@pytest.mark.parametrize(("asked", "none"), [("zh", r"PASS|FAIL|logs|witnesses"), ("en", r"[\u4e00-\u9fff]")])
def test_report_is_in_the_language_asked_for_alone(monkeypatch, asked, none) -> None:
    """The one half is left out, of headings and verdict too; a code and what is particular of a finding stay."""
    monkeypatch.setenv("BRIDGEHEAD_LANG", asked)
    failed = replace(REPORT, findings=(ERROR,), unreachable={FUJIAN: "connection refused"})

    assert re.search(none, text_of(REPORT)) is None
    assert re.search(none, text_of(failed)) is None
    if asked == "zh":
        assert text_of(replace(REPORT, findings=(ERROR,))).startswith(CHINESE)


def test_every_code_of_a_finding_has_its_chinese() -> None:
    """Nobody meets a finding that is told in English alone."""
    assert list(tomllib.loads((TABLES / "findings.toml").read_text(encoding="utf-8"))) == sorted(Code)


def tampered(how: str) -> Report:
    """The report of a day in which one log was changed so."""
    provinces = a_border_day()
    log = provinces[JIANGXI]
    entries, bundle = log.entries, str(Tile(ENTRIES, 0, len(log.entries)))
    match how:
        case "swapped":
            log.tampered[bundle] = encode_bundle([entries[1], entries[0], *entries[2:]])
        case "deleted":
            del entries[3]
        case "cut":
            log.tampered[bundle] = None
        case "forked":
            twin = Province(JIANGXI, entries=[*entries[:-1], provinces[ZHEJIANG].entries[-1]])
            provinces[FUJIAN].cosign(twin)
        case "rolled back":
            log.published = 2
        case "no leaf":
            entries[3] = b'{"kind":"sent"}'
        case "other head":
            log.tampered["checkpoint"] = provinces[ZHEJIANG].note()
        case "other line":
            provinces[FUJIAN].others[log.vkey.name] = b"no head at all"
        case "receipt":
            provinces.messages[Pair(ZHEJIANG, JIANGXI)][2].receipt = Receipt(leaf=b"{}", proof=b"none")
        case "envelope":
            sent = provinces.messages[Pair(ZHEJIANG, JIANGXI)]
            sent[1].envelope = replace(sent[1].envelope, encoded=b"{}")
    return run(provinces).report


HOW = [
    "swapped", "deleted", "cut", "forked", "rolled back", "no leaf", "other head", "other line", "receipt", "envelope",
]  # fmt: skip


@pytest.mark.parametrize("how", HOW)
def test_detail_of_a_finding_is_in_the_language_asked_for_alone(monkeypatch, how) -> None:
    """A sentence has its Chinese with what is particular in it; names, digests and codes stay as they are."""
    report = tampered(how)
    assert report.errors
    monkeypatch.setenv("BRIDGEHEAD_LANG", "zh")
    assert re.search("[a-z]{2,} [a-z]{2,}", text_of(report)) is None
    monkeypatch.setenv("BRIDGEHEAD_LANG", "en")
    assert re.search(r"[\u4e00-\u9fff]", text_of(report)) is None


def test_report_with_warnings_only_passes() -> None:
    """A warning contradicts nothing."""
    assert replace(REPORT, findings=(WARNING,)).passed


def test_report_of_a_log_that_was_not_read_whole_fails() -> None:
    """What was not verified did not pass."""
    report = replace(REPORT, logs=(replace(LOG, complete=False, read=5),))

    assert not report.passed
    assert "未完 NO (5 条已读 read)" in text_of(report)


def test_report_with_an_unreachable_node_fails_and_names_it() -> None:
    """Silence is no proof of innocence."""
    report = replace(REPORT, unreachable={FUJIAN: "connection refused"})

    assert not report.passed
    assert "  fujian: 无法到达 not reached: connection refused" in text_of(report).splitlines()


def test_report_object_is_json_and_says_the_same() -> None:
    """A program reads what a person sees."""
    value = json.loads(json.dumps(report_object(replace(REPORT, findings=(ERROR,)))))

    assert list(value) == [
        "passed", "first", "federation", "realm", "agreement", "time", "logs", "pairs", "findings", "unreachable",
    ]  # fmt: skip
    assert (value["passed"], value["realm"], value["time"]) == (False, "demo", "2126-11-23T08:30:00.000Z")
    assert value["logs"][0] == {
        "node": "zhejiang", "origin": LOG.origin, "size": 12, "root": bytes(range(32)).hex(), "read": 12,
        "kinds": {"sent": 12}, "cosigned": 3, "witnesses": 4, "witnessed_size": 11, "complete": True,
    }  # fmt: skip
    assert value["pairs"][0] == {
        "pair": "zhejiang>jiangxi", "sent": 12, "received": 10, "refused": 1, "expired": 0, "in_flight": 1,
        "receipts": None, "compared": True,
    }  # fmt: skip
    assert value["findings"] == [
        {
            "severity": "error",
            "code": "SEQUENCE_GAP",
            "node": "zhejiang",
            "index": 7,
            "sentence": "zhejiang>jiangxi: number 8 is not there",
            "count": 1,
        }
    ]


def many(count: int) -> Report:
    """A report of a log that breaks one rule so often."""
    findings = Findings(ZHEJIANG)
    for index in range(count):
        findings.add(Code.LEAF_MALFORMED, f"no leaf\nat {index}", index=index)
    return replace(REPORT, findings=findings.all())


def test_findings_of_one_code_are_bounded_and_counted() -> None:
    """A log that breaks one rule everywhere fills no memory: twenty stand in the report, and one for all the others."""
    report = many(MAX_OF_A_CODE + 5)

    assert len(report.findings) == MAX_OF_A_CODE + 1
    assert report.findings[-1].sentence == "还有同类 5 处 | and 5 more of this kind"
    assert report.errors == MAX_OF_A_CODE + 5
    assert many(MAX_OF_A_CODE).findings[-1].index == MAX_OF_A_CODE - 1


@pytest.mark.parametrize("count", [MAX_OF_A_CODE, MAX_OF_A_CODE + 1, 1000])
def test_every_finding_is_told_when_all_are_asked_for_and_counted_when_not(count: int) -> None:
    """With `everything` each has its line, at a terminal and for a program; without it the first, and how many more."""
    report = many(count)

    every = text_of(report)
    assert [f"! zhejiang 条目 entry {index}: LEAF_MALFORMED" in every for index in range(count)] == [True] * count
    assert "more of this kind" not in every
    assert len(report_object(report, everything=True)["findings"]) == count
    short = text_of(report, everything=False)
    assert short.count("LEAF_MALFORMED") == 1
    assert f"{count - 1} more: add --all" in short
    assert len(report_object(report)["findings"]) == min(count, MAX_OF_A_CODE + 1)


def test_reading_order_has_errors_first_and_the_first_bad_entry_first() -> None:
    """What a human reads first is where the trouble starts."""
    zhejiang, jiangxi = Findings(ZHEJIANG), Findings(JIANGXI)
    zhejiang.add(Code.ROOT_DIFFERS, "root")
    zhejiang.add(Code.LEAF_MALFORMED, "leaf", index=9)
    jiangxi.add(Code.DISCREPANCY_LOGGED, "seen", index=0)
    jiangxi.add(Code.SEQUENCE_GAP, "gap", index=4)

    order = in_reading_order((*zhejiang.all(), *jiangxi.all()))

    assert [finding.sentence for finding in order] == ["gap", "leaf", "root", "seen"]
    assert [finding.severity for finding in order][-1] is Severity.WARNING
