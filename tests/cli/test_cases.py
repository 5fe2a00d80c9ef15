"""Tests of `bridgehead case`: opened, joined, worked, shown and traced at real nodes; what a person reads."""

import io
import json
from datetime import timedelta

import pytest
from rich.console import Console

from federation.cli.case_chart import board
from federation.cli.case_ledger import ledger_lines, read_ledger
from federation.cli.cases import entry_lines, offer_lines, view_lines
from federation.cli.options import now
from federation.cli.words import error_halves
from federation.domain.acts import TYPES
from federation.node.joint.acting import FORMS
from federation.protocol.form import replace
from tests.wire.case_answers import ENTRY, LINE, VIEW

TOWN, PEER = "zhejiang/330822/town", "jiangxi/361123/governance"
FAR_HALL = "anhui/341022/service-hall"
CENTRE = "zhejiang/330822/governance"


def test_case_is_shown_in_both_languages_with_what_is_late_closed_void_and_missing():
    """Each line that a clerk must not overlook has its words."""
    view = "\n".join(view_lines(VIEW))
    assert "矛盾纠纷联调 Dispute mediation" in view
    assert "逾期 OVERDUE" in view
    assert "等待浙江的第3条记录" in view
    entry = "\n".join(entry_lines(ENTRY))
    assert "无效果 without effect: 条件尚未具备" in entry
    assert "未接收 refused: deny-case-recused" in entry
    assert "2 项不对本单位开放" in entry
    offered = "\n".join(offer_lines(VIEW.offers))
    assert "没有可以" not in offered
    assert "缺 missing: 双方均已听取 | both were heard（四省自定 the provinces' own）" in offered


def test_ledger_of_a_case_is_the_sum_of_its_lines(monkeypatch):
    """Of the newest agreement alone; what had no effect counts nowhere, what was withdrawn in no total."""
    monkeypatch.setenv("BRIDGEHEAD_LANG", "en")
    said = (
        ("add_party", {"party": "p1", "side": "A", "role": "applicant", "county": "361123"}),
        ("add_claim", {"claim": "c1", "party": "p1", "kind": "wage", "sum": "1250000"}),
        ("add_claim", {"claim": "c2", "party": "p1", "kind": "wage", "sum": "98005"}),
        ("add_claim", {"claim": "c3", "party": "p1", "kind": "wage", "sum": "7"}),
        ("verify_claim", {"claim": "c1", "sum": "1200000"}),
        ("verify_claim", {"claim": "c2"}),
        ("withdraw_claim", {"claim": "c3", "on_behalf": "p1"}),
        ("add_obligation", {"agreement": "aa", "obligation": "o0", "party": "firm", "what": "payment", "sum": "1"}),
        ("draft", {"agreement": "bb", "form": "written"}),
        (
            "add_obligation",
            {"agreement": "bb", "obligation": "o1", "party": "firm", "what": "payment", "sum": "900000"},
        ),
        ("record_payment", {"obligation": "o1", "sum": "500001", "day": "2026-12-01"}),
    )
    entries = [replace(ENTRY, act=act, fields=fields, items=(), without_effect="") for act, fields in said]
    void = replace(entries[1], fields={**entries[1].fields, "claim": "c9"}, without_effect="DONE_ALREADY")
    ledger = read_ledger((*entries, void))

    assert (ledger.total("sum"), ledger.total("verified")) == (1_348_005, 1_298_005)
    assert list(ledger_lines(ledger)) == [
        "  party: p1  applicant  A  361123",
        "  claim: c1  p1  wage  12,500.00 yuan  verified  12,000.00 yuan",
        "  claim: c2  p1  wage  980.05 yuan  verified  980.05 yuan",
        "  claim: c3  p1  wage  0.07 yuan  withdrawn",
        "  claims in all: 13,480.05 yuan  verified 12,980.05 yuan",
        "  obligation: o1  firm  9,000.00 yuan  paid 5,000.01 yuan",
    ]


def test_board_shows_open_cases_the_late_ones_first():
    """Who watches sees what is late in words, before what is due; a closed case leaves the table."""
    on_time = replace(LINE, record="r2", code="33082220260000022", late=False)
    console = Console(file=io.StringIO(), width=200)
    console.print(board([on_time, LINE, replace(LINE, record="r3", code="closed-one", outcome="settled")]))
    shown = console.file.getvalue()
    assert shown.index(LINE.code) < shown.index(on_time.code)
    assert shown.count("逾期 OVERDUE") == 1
    assert "closed-one" not in shown


def test_case_is_opened_joined_and_traced(nodes):
    """A town opens, the centre across joins and sees what it may; act without an act says what is missing."""
    opened = nodes.ask(
        TOWN, "case", "open", "dispute-mediation", "--role", "town", "--division", "330822",
        "--set", "stage=registration", "--set", "source=walk_in", "-o", "json",
    ).json  # fmt: skip
    code = opened["line"]["code"]
    nodes.ask(
        TOWN, "case", "party", code, "p1", "--side", "A", "--role", "applicant", "--name", "林甲", "--county", "330822",
        "--phone", "0570-5012345",
    )  # fmt: skip
    mistyped = nodes.ask(TOWN, "case", "invite", code, "jiangxi/361123", "peer", code=2).err
    assert "to be an agency: province/county/kind" in mistyped
    nobody = nodes.ask(TOWN, "case", "invite", code, "jiangxi/361199/governance", "peer", code=1).err
    assert "NOT_AN_AGENCY" in nobody  # a wrong digit: such an office would never answer
    nodes.ask(TOWN, "case", "invite", code, PEER, "peer")
    asked = nodes.ask(TOWN, "case", "show", code).out
    assert f"{PEER}  对方单位 counterpart （受邀 invited）" in asked
    assert f"{TOWN}  牵头单位、乡镇（街道） lead, town\n" in asked  # roles in words, in the order of their ids
    nodes.ask(PEER, "case", "join", code)
    nodes.delivered(PEER)

    assert code in nodes.ask(PEER, "case", "list").out
    number = "330822219003070018"
    nodes.ask(TOWN, "case", "party", code, "p1", "--side", "A", "--amend", "--name", "林乙", code=2)
    nodes.ask(TOWN, "case", "party", code, "p2", "--name", "林乙", code=2)
    amended = nodes.ask(TOWN, "case", "party", code, "p1", "--amend", "--number", f"{number[:6]} {number[6:]}").out
    assert ("补正当事人" in amended, number in amended, "330822**********18" in amended) == (True, False, True)
    assert (
        "PARTY_OF_OTHER_SIDE" in nodes.ask(PEER, "case", "party", code, "p1", "--amend", "--name", "林乙", code=1).err
    )
    nodes.delivered(TOWN)
    assert number in nodes.ask(TOWN, "case", "history", code, "--full").out
    history = nodes.ask(PEER, "case", "history", code, "--full").out
    assert ("后四位 last4 0018" in history, number in history) == (True, False)
    assert "林甲" in history
    assert "0570-5012345" not in history
    ways = nodes.ask(TOWN, "case", "act", code).out
    assert "move acceptance  转入下一环节：受理 go on to a stage (Acceptance)" in ways
    assert "resume" not in ways
    assert "decide_recusal" not in ways
    assert "缺 missing" in ways
    assert "已查重并逐一处理，尚缺：查重 check_duplicates" in ways
    assert "--set party=word! --set side=A|B!" in ways
    refused = nodes.ask(TOWN, "case", "act", code, "move", "--set", "to=acceptance", "-o", "json", code=1).error
    assert (refused["reason"], bool(refused["next"])) == ("CASE_ACT", True)
    assert "已登记" in nodes.ask(PEER, "case", "trace", code).out
    assert "已登记" in nodes.ask(FAR_HALL, "case", "trace", code).out
    assert "职责 duties" in nodes.ask(TOWN, "case", "lists", "dispute-mediation").out
    assert "within 30 days" in nodes.ask(TOWN, "case", "due", "--days", "30").err
    assert "共 0 条 | 0 within 9 days" in nodes.ask("zhejiang/330822/village", "case", "due", "--days", "9").err
    told = nodes.ask(PEER, "case", "watch", "--after", "0", "--count", "1", "-o", "json").out
    news = [json.loads(line) for line in told.splitlines()]
    assert [(bool(each["token"]), each["line"]["office"]) for each in news] == [(True, PEER)]
    line = nodes.ask(PEER, "case", "watch", "--count", "1").out
    assert (line.count("\n"), "3308222026" in line) == (1, True)
    assert "WATCH_TOKEN" in nodes.ask(TOWN, "case", "watch", "--after", news[0]["token"], "--count", "1", code=2).err
    on_paper = f"{code[:6]}\u2014{code[6:10]} {code[10:]}"
    assert PEER in nodes.ask(TOWN, "case", "show", on_paper).out
    assert "当事人 party: p1  林甲  申请人 applicant  A  330822" in nodes.ask(PEER, "case", "show", code).out
    assert nodes.ask(PEER, "case", "show", code, "-o", "json").json["parties"]["p1"]["name"] == "林甲"
    counted = ("case", "figures", "dispute-mediation", "--since", "2026-01-01")
    assert "办结" not in nodes.ask(TOWN, *counted).out
    nodes.ask(TOWN, "case", "act", code, "withdraw", "--set", "on_behalf=p1")
    nodes.ask(TOWN, "case", "close", code, "withdrawn")
    assert "当事人撤回 Withdrawn by a party  end.withdrawn: 1" in nodes.ask(TOWN, *counted).out
    assert nodes.ask("zhejiang/330822/village", *counted, "-o", "json").json["lines"] == []


def test_entry_and_paper_are_cited_as_a_person_has_them_before_them(nodes, tmp_path):
    """By the number or the first signs that the history shows, by the file's name; what is no one of the case is not."""
    code = nodes.ask(
        TOWN, "case", "open", "dispute-mediation", "--role", "town", "--division", "330822",
        "--set", "stage=registration", "--set", "source=walk_in", "-o", "json",
    ).json["line"]["code"]  # fmt: skip
    noted = nodes.ask(TOWN, "case", "act", code, "note", "-o", "json").json["entry"]["name"]
    letter = tmp_path / "letter.pdf"
    letter.write_bytes(b"%PDF-1.4\n")
    filed = nodes.ask(TOWN, "case", "document", "add", code, str(letter), "-o", "json").json["entry"]
    for typed in ("zhejiang:2", noted[:16]):
        act = ("act", code, "guardian-withdraws", "--set", f"about={typed}", "--set", "paper=letter.pdf", "-o", "json")
        fields = nodes.ask(TOWN, "case", *act).json["entry"]["fields"]
        assert fields == {"about": noted, "paper": filed["items"][0]["fields"]["root"]}
    for said in ("about=zhejiang:99", f"about={noted[:7]}", "paper=other.pdf"):
        assert "CASE_FIELD" in nodes.ask(TOWN, "case", "act", code, "guardian-withdraws", "--set", said, code=2).err


def test_role_that_an_office_cannot_have_is_refused_with_those_that_it_can(nodes):
    """At the opening and in an invitation; whoever mistypes a role is told the roles, and no code is spent."""
    opening = ("case", "open", "dispute-mediation", "--division", "330822", "--set", "stage=registration", "--role")
    refused = nodes.ask(TOWN, *opening, "court", "-o", "json", code=1).error
    assert (refused["reason"], "town" in refused["message"]) == ("CASE_ROLE", True)
    code = nodes.ask(TOWN, *opening, "town", "--set", "source=walk_in", "-o", "json").json["line"]["code"]
    asked = nodes.ask(TOWN, "case", "invite", code, PEER, "pear", "-o", "json", code=1).error
    assert (asked["reason"], "peer" in asked["message"]) == ("CASE_ROLE", True)


@pytest.mark.parametrize("typed", [("--set", "stage"), ("--item", "fact;text")])
def test_field_without_a_value_is_a_usage_error(nodes, typed):
    """Nothing is asked of the node."""
    nodes.ask(TOWN, "case", "open", "dispute-mediation", "--role", "town", "--division", "330822", *typed, code=2)


@pytest.mark.parametrize("fen", ["12500.00", "-1", "1_250"])
def test_sum_that_is_not_whole_fen_is_a_usage_error(nodes, fen):
    """12500.00 is meant as yuan: taken as fen a worker would claim the hundredth part."""
    typed = ("36112320260000017", "c1", "--party", "p1", "--kind", "wage", f"--fen={fen}")

    assert "12500 元写作 1250000" in nodes.ask(TOWN, "case", "claim", *typed, code=2).err


def test_task_is_given_listed_and_taken_only_where_the_procedure_lets_it(nodes):
    """A resolution is a task of its owner; its list says how it stands; who is asked to early is told what is missing."""
    opened = nodes.ask(
        CENTRE, "case", "open", "joint-meeting", "--role", "chair", "--division", "330822", "-o", "json"
    ).json  # fmt: skip
    code = opened["line"]["code"]
    day = (now() + timedelta(days=30)).date().isoformat()
    nodes.ask(CENTRE, "case", "act", code, "call", "--set", f"day={day}", "--set", "form=place")
    nodes.ask(CENTRE, "case", "invite", code, PEER, "member")
    nodes.ask(PEER, "case", "join", code)
    nodes.delivered(PEER)
    nodes.ask(CENTRE, "case", "act", code, "move", "--set", "to=agenda")
    nodes.ask(CENTRE, "case", "act", code, "propose-item", "--set", "item=patrol", "--item", "agenda;text=联合巡查")
    nodes.ask(CENTRE, "case", "act", code, "move", "--set", "to=held")
    nodes.ask(CENTRE, "case", "task", "give", code, "t1", PEER, "--due", day, "--text", "每月联合巡查一次")
    nodes.delivered(CENTRE)

    listed = nodes.ask(PEER, "case", "task", "list", code).out
    assert f"t1    {PEER}  {day}  待认领 open" in listed
    refused = nodes.ask(PEER, "case", "task", "accept", code, "t1", "-o", "json", code=1).error
    assert refused["reason"] == "CASE_ACT"
    assert "ACT_NOT_HERE" in refused["message"]
    nodes.ask(PEER, "case", "task", "more-time", code, "t1", code=2)


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_form_of_a_field_is_said_in_both_languages(kind):
    """What a field takes is told in the words of a desk, not by the name of a type."""
    chinese, english = error_halves(f"name_payer: expected 'payer' to be {FORMS[kind]}", "CASE_FIELD")
    assert english.endswith(FORMS[kind])
    assert chinese.startswith("name_payer：")
    assert "须" in chinese
    assert FORMS[kind] not in chinese
