"""Tests of `bridgehead alert`: what a duty officer types and reads."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from federation.cli import alert_words, alerts, options
from federation.cli.alert_cards import alert_lines, kept_words, view_lines
from federation.cli.alert_files import MAX_FILE, kind_lines, proposal_lines, read_cap
from federation.cli.alert_rows import LEVELS, PRIORITIES
from federation.cli.alert_words import choose, find_instant
from federation.cli.alerts import Content, open_content, own_desk
from federation.cli.words import halves
from federation.domain.acts import read_fields
from federation.domain.alert import AlertState
from federation.domain.alert_acts import ALERT_ACTS
from federation.domain.alert_kinds import parse_alerts
from federation.domain.cap import IDENTIFIER, Status
from federation.domain.cap_import import import_cap
from federation.domain.cap_xml import export_cap
from federation.domain.personal import verify_impersonal
from federation.protocol.errors import MalformedError, NotFoundError
from federation.protocol.form import replace
from tests.cli.alert_desk import EMERGENCY, GOVERNANCE, HOUSE, NOW, QUARREL, RISK
from tests.domain.cap_message import FIRE
from tests.wire.alert_answers import KINDS, LINE, PROPOSAL, VIEW

ROOT = Path(__file__).parents[2]
PEER, ACROSS = "jiangxi/361123/governance", "361123.governance"
STRANGER = "anhui/341022/governance"
CENTRE, FIRE_DESK = "zhejiang/330822/governance", "zhejiang/330822/emergency"
TABLE = parse_alerts((ROOT / "policies/alerts.toml").read_text("utf-8"))
CAP = '<?xml version="1.0" encoding="{}"?>\n<alert><note>球川镇界路</note></alert>\n'


def open_said(**said) -> Content:
    unsaid = dict.fromkeys(("areas", "divisions", "details", "ticked", "area_m2", "dead", "hurt", "person"))
    usual = dict.fromkeys(
        ("place", "point", "fact", "contact", "priority", "level", "issued_by", "document", "expires"), ""
    )
    return open_content(**{**unsaid, **usual, **said})


# ---- what is typed


def test_words_are_taken_in_either_language():
    """An officer types 特急 or flash, 红 or red; empty is nothing said."""
    assert [choose(text, PRIORITIES, "--priority") for text in ("特急", "flash", "一般", "")] == [
        "flash", "flash", "routine", "",
    ]  # fmt: skip
    assert [choose(text, LEVELS, "--level") for text in ("红", "红色", "red", "蓝")] == ["red", "red", "red", "blue"]
    assert choose("道路阻断", alert_words.LATE, "--late") == "road"


def test_word_that_is_none_of_them_lists_those_there_are():
    """Nobody guesses which word is meant."""
    with pytest.raises(typer.BadParameter) as refusal:
        choose("mistake", alert_words.WHYS, "--why")
    chinese, english = halves(refusal.value.message)
    assert "误报、" in chinese
    assert "false_alarm," in english


def test_words_offered_are_those_of_the_acts():
    """A word that the vocabulary of acts does not have cannot be chosen, and none is left out."""
    for words, act, name in (
        (alert_words.STAGES, "stamp", "stage"),
        (alert_words.LATE, "stamp", "late"),
        (alert_words.WHYS, "cancel", "why"),
        (alert_words.RESULTS, "close", "result"),
        (alert_words.ORIGINS, "raise", "origin"),
    ):
        assert set(words) == ALERT_ACTS[act].known[name].words
    assert set(PRIORITIES) == {each.id for each in TABLE.priority}
    assert set(LEVELS) == {each.id for each in TABLE.level}
    assert next(read_fields("origin:110|12345")).words == {"110", "12345"}


def test_moment_is_of_china_or_minutes_from_now(monkeypatch):
    """What has no zone is Beijing time; a plain number counts minutes; another zone is kept."""
    monkeypatch.setattr(alert_words, "now", lambda: NOW)
    assert find_instant("2026-04-04T10:15", "--made") == datetime(2026, 4, 4, 2, 15, tzinfo=UTC)
    assert find_instant("2026-04-04T10:15+09:00", "--made") == datetime(2026, 4, 4, 1, 15, tzinfo=UTC)
    assert find_instant("90", "--expires") == NOW + timedelta(minutes=90)
    with pytest.raises(typer.BadParameter, match="2026-04-04T10:15"):
        find_instant("a quarter past ten", "--made")


def test_content_becomes_fields_and_items():
    """Heads are fields with commas between what is a list; what nobody said is not sent; texts are items."""
    said = open_said(
        areas=["pair.qiuchuan-shuangming", "330822.circle.qiuchuan"], place="界路", fact="两车追尾", level="黄"
    )
    assert said.fields == {"area": "pair.qiuchuan-shuangming,330822.circle.qiuchuan", "level": "yellow"}
    assert [(item.kind, item.fields) for item in said.items] == [
        ("fact", {"text": "两车追尾"}),
        ("place", {"village": "界路"}),
    ]
    fire = open_said(
        divisions=["330822"], ticked=["threat", "dangerous"], area_m2=20000, dead=0, details=["wind=东北风4级"]
    )
    assert fire.fields == {"division": "330822", "ticked": "threat,dangerous", "area_m2": "20000", "dead": "0"}
    assert [(item.kind, item.fields) for item in fire.items] == [("detail", {"wind": "东北风4级"})]
    missing = open_said(ticked=["family_consent"], person=["name=林甲", "sex=f"])
    assert [(item.kind, item.fields) for item in missing.items] == [("person", {"name": "林甲", "sex": "f"})]


def test_private_telephone_is_refused_by_its_pattern_and_not_echoed():
    """An alert names a desk's telephone; the message has the pattern in both languages and nothing of the text."""
    with pytest.raises(MalformedError, match="TEXT_PERSONAL") as caught:
        open_said(contact="13800000000")
    assert "手机号码" in caught.value.message
    assert "take it out" in caught.value.message
    assert "1380" not in caught.value.message
    assert open_said(contact="0570-5012345").items[0].fields == {"phone": "0570-5012345"}


def test_text_may_hold_what_its_field_is_for():
    """A plate in the field of plates is none too many; in no other."""
    verify_impersonal("浙H12345", field="plate", may=("plate",))
    verify_impersonal("界路两车追尾，二人受伤", field="fact")
    with pytest.raises(MalformedError, match="TEXT_PERSONAL"):
        verify_impersonal("浙H12345", field="fact")


def test_desk_that_acts_is_the_one_concerned_or_must_be_named():
    """Who holds it or is offered it acts; of several that might, an officer names one."""
    both = replace(QUARREL, desks=(GOVERNANCE, EMERGENCY), holder="", offer_to="")
    assert own_desk(replace(both, holder=EMERGENCY)) == EMERGENCY
    assert own_desk(replace(both, holder="361123.governance", offer_to=GOVERNANCE)) == GOVERNANCE
    assert own_desk(replace(both, desks=(GOVERNANCE,))) == GOVERNANCE
    assert own_desk(replace(both, desks=(GOVERNANCE, "330822.leader"))) == GOVERNANCE
    assert own_desk(replace(both, desks=(), raised_by="330822.police")) == "330822.police"
    with pytest.raises(typer.BadParameter, match=f"--desk .{GOVERNANCE}, {EMERGENCY}"):
        own_desk(both)


# ---- files


@pytest.mark.parametrize("encoding", ["GB18030", "gbk", "GB2312"])
def test_file_in_gb_18030_is_brought_into_utf_8(tmp_path, encoding):
    """The node takes UTF-8 and UTF-16 only; the declaration says what the bytes are."""
    path = tmp_path / "alert.xml"
    path.write_bytes(CAP.format(encoding).encode("gb18030"))
    assert read_cap(path) == CAP.format("UTF-8").encode()


def test_file_in_another_encoding_is_sent_as_it_is(tmp_path):
    """Whether it is right is the node's to say."""
    path = tmp_path / "alert.xml"
    path.write_bytes(CAP.format("UTF-8").encode())
    assert read_cap(path) == path.read_bytes()


def test_file_that_is_not_what_it_says_or_too_large_or_not_there_is_refused(tmp_path):
    """Nothing of it is sent."""
    path = tmp_path / "alert.xml"
    path.write_bytes(CAP.format("GBK").encode("gb18030")[:-3] + b"\xff\xff")
    with pytest.raises(MalformedError, match="CAP_ENCODING"):
        read_cap(path)
    path.write_bytes(b"x" * (MAX_FILE + 1))
    with pytest.raises(MalformedError, match="CAP_SIZE"):
        read_cap(path)
    path.write_bytes(CAP.format("GBK").encode("gb18030") + "界".encode("gb18030") * (MAX_FILE // 2 - 100))
    with pytest.raises(MalformedError, match="CAP_SIZE"):
        read_cap(path)
    with pytest.raises(NotFoundError, match="FILE_MISSING"):
        read_cap(tmp_path / "none.xml")


def test_proposal_says_where_it_stands_and_every_fault():
    """In both languages, with what would be raised, and the alert that is here already."""
    shown = "\n".join(proposal_lines(PROPOSAL))
    for part in (
        "新报文 new",
        "kind=traffic.accident",
        "注意 warning: 坐标系未注明 | no datum",
        "已有该警情",
        LINE.cap_id,
    ):
        assert part in shown
    refused = replace(PROPOSAL, id="", standing=None, line=None, faults=(replace(PROPOSAL.faults[0], warning=False),))
    assert "不合要求 refused" in "\n".join(proposal_lines(refused))


def test_kinds_are_listed_and_one_says_what_may_cross():
    """The id that is typed, its words, what never crosses."""
    assert "dispute" in "\n".join(kind_lines(KINDS, whole=False))
    whole = "\n".join(kind_lines(KINDS, whole=True))
    for part in (
        "纠纷警情 dispute",
        "可跨界 may cross: 地点 place",
        "不得跨界 never crosses: 姓名 | names",
        "240 分钟",
    ):
        assert part in whole


# ---- what is read


def test_alert_says_its_clocks_its_holder_and_what_it_waits_for():
    """Stamps with their desk and reason, the limit of what is open, the lease, the hand-over."""
    shown = "\n".join(alert_lines(LINE, NOW))
    for part in (
        "伤亡交通事故 Accident with casualties  G320 界段", f"编号 number: {LINE.cap_id}", "补录 entered afterwards",
        "联系 contact: ** 超时（应于", "持有席位 holder:", "签收至 lease:", "移交 offered to:", "协助席位 helper:",
        "时钟存疑（相差 92 秒）", "等待 2 条前序记录",
    ):  # fmt: skip
        assert part in shown
    assert "不计入统计" not in shown
    assert "应于 2026-04-04 10:22:00+08:00 前 due" in "\n".join(alert_lines(HOUSE, NOW))


def test_exercise_says_that_it_counts_in_no_figure():
    """With its mark before the kind, so that nobody takes it for a real one."""
    shown = "\n".join(alert_lines(replace(HOUSE, status=Status.EXERCISE), NOW))
    assert "【演练】建筑火灾" in shown
    assert "不计入统计" in shown


def test_colour_that_nobody_issued_is_shown_as_proposed():
    """A colour is a government's, and a desk's is a proposal."""
    assert "▲黄色  " in next(alert_lines(RISK, NOW))
    assert "▲黄色建议" in next(alert_lines(replace(RISK, issued=False), NOW))


def test_text_of_an_alert_rules_no_terminal():
    """An escape code in what another desk wrote is shown as its number."""
    wild = replace(VIEW, texts=(replace(VIEW.texts[0], fields={"text": "\x1b[2J火"}),))
    shown = "\n".join(view_lines(wild, NOW))
    assert "\x1b" not in shown
    assert "\\x1b[2J火" in shown


def test_view_says_what_may_be_done_and_why_not_the_rest():
    """Words of the act with the command, and the reason in both languages."""
    offers = (*VIEW.offers, replace(VIEW.offers[0], act="accept_hand_over", zh="接收移交", possible=True, reason=""))
    shown = "\n".join(view_lines(replace(VIEW, offers=offers), NOW))
    assert "现在可办 may be done now: 接收移交 accept" in shown
    assert "尚不能办 not yet: 签收 claim: 该警情已由其他席位签收，请配合处置" in shown
    assert "1 项不对" not in shown
    assert "2 项不对本单位开放" in shown
    assert "另有 also stamped: 签收 accept" in shown
    assert list(view_lines(replace(VIEW, line=None), NOW)) == []


def test_view_says_how_long_it_is_kept_and_who_may_keep_it_longer():
    """At once, after its days, or as evidence; nothing where the provinces agreed on nothing, or all is gone."""
    for days, evidence, said in (
        (0, False, "结束即销毁"), (30, False, "结束 30 天后销毁"), (1096, True, "已留作证据，结束 1096 天后销毁"),
    ):  # fmt: skip
        view = replace(VIEW, is_evidence=evidence, kept_days=days)
        assert kept_words(view).startswith(said)
        assert ("bridgehead alert keep" in kept_words(view)) is not evidence
        assert kept_words(view) in "\n".join(view_lines(view, NOW))
    assert kept_words(replace(VIEW, is_evidence=False, kept_days=None)) == ""
    ended = replace(VIEW, is_evidence=False, kept_days=0, line=replace(LINE, state=AlertState.CLOSED))
    assert "销毁" not in "\n".join(view_lines(ended, NOW))


@pytest.mark.parametrize("agrees", [True, False])
def test_who_would_destroy_it_at_once_is_asked_at_a_terminal(monkeypatch, capsys, agrees):
    """And ends nothing with a no; what is kept, and a pipe, are told and go on."""
    gone = replace(VIEW, is_evidence=False, kept_days=0)
    desk = SimpleNamespace(call=lambda *_, **__: gone)
    assert alerts._reminded(desk, "x") == LINE
    assert "结束即销毁" in capsys.readouterr().err
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda *_, abort: agrees or _abort(abort))
    with nullcontext() if agrees else pytest.raises(typer.Abort):
        alerts._reminded(desk, "x")
    desk.call = lambda *_, **__: replace(gone, is_evidence=True, kept_days=1096)
    assert alerts._reminded(desk, "x") == LINE


def _abort(is_wanted):
    if is_wanted:
        raise typer.Abort


def test_state_of_an_alert_is_in_words():
    """What ended says how."""
    assert "已撤销 cancelled" in "\n".join(alert_lines(replace(QUARREL, state=AlertState.CANCELLED, holder=""), NOW))


# ---- at real nodes


def test_kinds_are_those_of_the_agreement(nodes):
    """By id or Chinese name; what is no alert says why, and what is unknown where to look."""
    listed = nodes.ask(CENTRE, "alert", "kinds", "-o", "json").json["kinds"]
    assert [each["id"] for each in listed] == [each.id for each in TABLE.kind]
    one = nodes.ask(CENTRE, "alert", "kinds", "森林火灾").out
    assert "forest.fire  森林火灾" in one
    assert "F19" in one
    unknown = nodes.ask(CENTRE, "alert", "kinds", "earthquake", "-o", "json", code=2).error
    assert (unknown["reason"], "bridgehead alert kinds" in unknown["next"][0]) == ("ALERT_KIND_UNKNOWN", True)
    refused = nodes.ask(CENTRE, "alert", "kinds", TABLE.refused[0].names[0], "-o", "json", code=1).error
    assert (refused["reason"], bool(refused["next"])) == ("ALERT_KIND_REFUSED", True)


def test_nothing_is_sent_of_what_is_refused_at_the_desk(nodes):
    """What looks like a person, a place that nobody named, a word that there is not: before any node is asked."""
    raising = ("alert", "raise", "dispute", "--desk", GOVERNANCE)
    for option, text in (
        ("--fact", "当事人361123219003070011受伤"),
        ("--place", "浙H12345停车处"),
        ("--document", "6222021001112223334"),
        ("--detail", "need=13800000000"),
        ("--person", "name=13800000000"),
    ):
        told = nodes.ask(CENTRE, *raising, "--area", "330822.circle.qiuchuan", option, text, code=2)
        assert "TEXT_PERSONAL" in told.err
        assert not any(text[at : at + 5] in told.out + told.err for at in range(len(text) - 4))
    assert "--area" in nodes.ask(CENTRE, *raising, code=2).err
    assert "特急、紧急" in nodes.ask(CENTRE, *raising, "--area", "x", "--priority", "soon", code=2).err


def test_file_is_read_as_a_proposal_and_nothing_is_raised(nodes, tmp_path):
    """In whatever encoding it came; its faults refuse it; a desk of another office is told nothing."""
    path, desk = tmp_path / "alert.xml", ("--desk", "330822.emergency")
    before = nodes.ask(FIRE_DESK, "alert", "list", "--ended", "-o", "json").json["lines"]
    text = export_cap(FIRE).decode().replace('encoding="UTF-8"', 'encoding="GB18030"')
    path.write_bytes(text.encode("gb18030"))
    proposed = nodes.ask(FIRE_DESK, "alert", "import", path, *desk)
    assert "山脊见明火" in proposed.out
    assert f"bridgehead alert raise forest.fire --from {path}" in proposed.err
    answer = nodes.ask(FIRE_DESK, "alert", "import", path, *desk, "-o", "json").json
    assert (answer["standing"], answer["fields"]["origin"], len(answer["id"])) == ("expired", "cap", 64)

    path.write_text(text.replace("GB18030", "UTF-8").replace("特急</value>", "很急</value>"), "utf-8")
    faulty = nodes.ask(FIRE_DESK, "alert", "import", path, *desk, code=1)
    assert "不合要求 refused" in faulty.out
    assert "priority" in faulty.out
    assert "拒绝 refused" in nodes.ask(CENTRE, "alert", "import", path, *desk, code=1).out
    assert "拒绝 refused" in nodes.ask(CENTRE, "alert", "raise", "--from", path, *desk, code=1).out
    after = nodes.ask(FIRE_DESK, "alert", "list", "--ended", "-o", "json").json["lines"]
    assert sorted(each["record"] for each in after) == sorted(each["record"] for each in before)


def test_officer_raises_what_a_file_proposes(nodes, tmp_path):
    """The digest of the file stands in the entry; what is said at the desk goes before what the file says."""
    path, now = tmp_path / "fire.xml", options.now().replace(microsecond=0)
    fire = replace(FIRE, identifier="ridge-1", sent=now, info=replace(FIRE.info, expires=now + timedelta(hours=2)))
    path.write_bytes(export_cap(fire))
    raised = nodes.ask(
        FIRE_DESK, "alert", "raise", "--from", path, "--desk", "330822.emergency", "--place", "东坑山脊", "--test",
        "-o", "json",
    ).json  # fmt: skip
    fields = raised["entry"]["fields"]
    assert (fields["kind"], fields["origin"], fields["status"], fields["priority"]) == (
        "forest.fire",
        "cap",
        "Test",
        "flash",
    )
    assert fields["manifest"] == sha256(path.read_bytes()).hexdigest()
    texts = {item["kind"]: item["fields"] for item in raised["entry"]["items"]}
    assert texts["place"] == {"village": "东坑山脊"}
    assert "山脊见明火" in texts["fact"]["text"]

    nodes.delivered(FIRE_DESK)
    for agency, desk in ((FIRE_DESK, "330822.emergency"), ("jiangxi/361123/emergency", "361123.emergency")):
        again = nodes.ask(agency, "alert", "import", path, "--desk", desk, "-o", "json", code=1).json
        assert (again["standing"], again["id"], again["line"]["record"]) == ("repeated", "", raised["line"]["record"])
    said = nodes.ask(FIRE_DESK, "alert", "raise", "--from", path, "--desk", "330822.emergency", code=1).out
    assert "已有该警情 it is here already" in said
    assert raised["line"]["record"] in said
    untold = nodes.ask("zhejiang/330881/emergency", "alert", "import", path, "--desk", "330881.emergency", "-o", "json")
    assert (untold.json["standing"], len(untold.json["id"])) == ("new", 64)
    path.write_bytes(export_cap(replace(fire, sent=now + timedelta(seconds=1))))
    changed = nodes.ask(FIRE_DESK, "alert", "import", path, "--desk", "330822.emergency", code=1).out
    assert "更改须用续报" in changed
    assert raised["line"]["record"] in changed
    nodes.ask(FIRE_DESK, "alert", "cancel", raised["line"]["cap_id"], "--why", "解除预警")


ACCIDENT = (
    "alert", "raise", "伤亡交通事故", "--desk", GOVERNANCE, "--area", "pair.qiuchuan-shuangming", "--place", "球川镇界路",
    "--fact", "两车追尾，二人受伤", "--detail", "injured=2", "--detail", "lanes=两条", "--priority", "特急",
    "--contact", "0570-5012345",
)  # fmt: skip


@pytest.fixture(scope="module")
def accident(nodes) -> str:
    """The number of an alert that Changshan raised and Yushan was told of."""
    raised = nodes.ask(CENTRE, *ACCIDENT, "-o", "json").json
    nodes.delivered(CENTRE)
    number: str = raised["line"]["cap_id"]
    assert IDENTIFIER.fullmatch(number)
    return number


def test_alert_is_raised_seen_across_claimed_stamped_handed_over_and_closed(nodes, accident, monkeypatch):
    """The day of two desks: who does not hold it is told who does, and what is late is stamped with its reason only."""
    listed = nodes.ask(PEER, "alert", "list")
    assert accident in listed.out
    assert "特急" in listed.out
    assert "alerts" in listed.err
    shown = nodes.ask(PEER, "alert", "show", accident.replace("_", "\u2014")).out
    for part in (
        "伤亡交通事故",
        "球川–双明结对",
        "两车追尾",
        "球川镇界路",
        "injured 2",
        "待签收",
        "签收 claim",
        "accept: 应于",
    ):
        assert part in shown

    claimed = nodes.ask(PEER, "alert", "claim", accident, "-o", "json").json
    assert (claimed["line"]["holder"], claimed["line"]["state"]) == (ACROSS, "accepted")
    nodes.delivered(PEER)
    held = nodes.ask(CENTRE, "alert", "claim", accident, "-o", "json", code=1).error
    assert held["reason"] == "ALERT_ACT"
    assert "请配合处置" in held["next"][0]
    assert "CASE_ACT" not in nodes.ask(PEER, "alert", "stamp", accident, "arrived", code=1).err

    nodes.ask(PEER, "alert", "stamp", accident, "已联系")
    nodes.ask(PEER, "alert", "hand-over", accident, GOVERNANCE)
    nodes.delivered(PEER)
    nodes.ask(CENTRE, "alert", "reject", accident, "--reason", "路段属贵县")
    nodes.delivered(CENTRE)
    nodes.ask(PEER, "alert", "accept", accident, code=1)
    nodes.ask(PEER, "alert", "hand-over", accident, GOVERNANCE)
    nodes.delivered(PEER)
    assert nodes.ask(CENTRE, "alert", "accept", accident, "-o", "json").json["line"]["holder"] == GOVERNANCE
    nodes.ask(CENTRE, "alert", "note", accident, "救护车已在途中")
    nodes.ask(CENTRE, "alert", "update", accident, "--hurt", "3")
    nodes.delivered(CENTRE)
    anew = nodes.ask(PEER, "alert", "show", accident).out
    assert "两车追尾" in anew
    assert "救护车已在途中" in anew
    assert "hurt=3" in nodes.ask(PEER, "alert", "history", accident).out

    with monkeypatch.context() as late:
        late.setattr(alerts, "now", lambda: options.now() + timedelta(minutes=11))
        refused = nodes.ask(CENTRE, "alert", "stamp", accident, "arrived", code=2).err
        assert "请填写超时原因" in refused
        assert "可填道路阻断、" in refused
        nodes.ask(CENTRE, "alert", "stamp", accident, "arrived", "--late", "道路阻断", "--unit", "交警二中队")
    ending = nodes.ask(CENTRE, "alert", "close", accident, "已处置")
    assert "结束 30 天后销毁" in ending.err
    closed = nodes.ask(CENTRE, "alert", "show", accident, "-o", "json").json
    assert closed["line"]["state"] == "closed"
    assert closed["line"]["record"] not in nodes.ask(CENTRE, "alert", "list").out
    assert closed["line"]["record"] in nodes.ask(CENTRE, "alert", "list", "--ended").out


def test_alert_is_written_as_a_file_that_a_desk_reads_again(nodes, accident, tmp_path):
    """The newest message, or the one that is named; who was told of it may take it along, and nobody else."""
    path = tmp_path / "alert.xml"
    path.write_text(nodes.ask(CENTRE, "alert", "export", accident).out, "utf-8")
    found = import_cap(path.read_bytes(), table=TABLE)
    assert found.message.identifier
    assert "两车追尾" in path.read_text("utf-8")
    lines = nodes.ask(CENTRE, "alert", "history", accident, "-o", "json").json["lines"]
    first = nodes.ask(CENTRE, "alert", "export", accident, "--entry", lines[0]["name"], "-o", "json").json["content"]
    assert import_cap(first.encode()).message.identifier == accident
    assert "CAP_NO_MESSAGE" in nodes.ask(CENTRE, "alert", "export", accident, "--entry", "ab" * 32, code=1).err
    assert "拒绝 refused" in nodes.ask(STRANGER, "alert", "export", accident, code=1).out
    again = nodes.ask(PEER, "alert", "import", path, "--desk", ACROSS, code=1).out
    assert "已有该警情" in again


def test_exercise_stays_apart_and_false_alarm_is_taken_back(nodes):
    """An exercise is in no list of real alerts; a cancel ends it, and it can be linked to no real one."""
    drill = nodes.ask(CENTRE, *ACCIDENT, "--exercise", "-o", "json").json["line"]["cap_id"]
    real = nodes.ask(CENTRE, *ACCIDENT, "-o", "json").json["line"]["cap_id"]
    assert drill not in nodes.ask(CENTRE, "alert", "list", "--ended").out
    assert drill in nodes.ask(CENTRE, "alert", "list", "--exercise").out
    assert "不计入统计" in nodes.ask(CENTRE, "alert", "show", drill).out
    again = nodes.ask(CENTRE, *ACCIDENT, "-o", "json").json["line"]["cap_id"]
    linked = nodes.ask(CENTRE, "alert", "link", real, again, "-o", "json").json
    assert linked["line"]["links"] == 1
    assert nodes.ask(CENTRE, "alert", "unlink", real, again, "-o", "json").json["line"]["links"] == 0
    for number in (drill, real, again):
        ended = nodes.ask(CENTRE, "alert", "cancel", number, "--why", "误报", "-o", "json").json
        assert ended["line"]["state"] == "cancelled"
    told = nodes.ask(CENTRE, "alert", "claim", real, "-o", "json", code=1).error
    assert "alert link" in told["next"][0]


def test_colour_where_law_has_none_and_desk_of_another_are_refused_in_words(nodes):
    """The words of the agreed table, and what to do instead."""
    raising = ("alert", "raise", "dispute", "--area", "330822.circle.qiuchuan", "--fact", "界路堆石争执")
    told = nodes.ask(CENTRE, *raising, "--desk", GOVERNANCE, "--level", "红", code=1).err
    assert "该类事件依法不设预警颜色级别，请选择紧急程度" in told
    assert "--priority" in told
    assert nodes.ask(CENTRE, *raising, "--desk", "330822.police", code=1).out.startswith("拒绝 refused")
    proposed = nodes.ask(
        FIRE_DESK, "alert", "raise", "forest.risk", "--desk", "330822.emergency", "--level", "黄", "--fact", "火险升高",
        "--division", "330822", "--expires", "600",
    )  # fmt: skip
    assert "▲黄色建议" in proposed.out
    assert "预警级别须注明发布单位和文号" in proposed.err


def test_release_and_withdrawal_leave_the_alert_to_who_takes_it(nodes):
    """A claim is given back with a reason; a hand-over is taken back before anybody accepted it."""
    number = nodes.ask(CENTRE, *ACCIDENT, "-o", "json").json["line"]["cap_id"]
    nodes.ask(CENTRE, "alert", "claim", number)
    nodes.ask(CENTRE, "alert", "hand-over", number, ACROSS)
    assert nodes.ask(CENTRE, "alert", "withdraw", number, "-o", "json").json["line"]["offer_to"] == ""
    assert "HAND_OVER_LAPSED" in nodes.ask(CENTRE, "alert", "withdraw", number, code=1).err
    nodes.ask(CENTRE, "alert", "release", number, "--reason", "13800000000", code=2)
    released = nodes.ask(CENTRE, "alert", "release", number, "--reason", "力量占用", "-o", "json").json["line"]
    assert (released["holder"], released["state"]) == ("", "open")
    nodes.ask(CENTRE, "alert", "keep", number, "--document", "常评〔2026〕3号")
    nodes.ask(CENTRE, "alert", "claim", number)
    by_phone = nodes.ask(
        CENTRE, "alert", "close", number, "handled", "--by-phone", "--reason", "双方自行离开", "-o", "json"
    )
    assert by_phone.json["line"]["state"] == "closed"


def test_area_or_desk_of_no_sheet_is_refused_by_its_name(nodes):
    """A slip of the pen would change who is told, and how long help may take."""
    raising = ("alert", "raise", "dispute", "--fact", "界路堆石争执")
    area = nodes.ask(CENTRE, *raising, "--desk", GOVERNANCE, "--area", "330822.circle.qiuchan", code=2).err
    assert "值班表没有区域 330822.circle.qiuchan" in area
    assert "bridgehead duty show" in area
    desk = nodes.ask(CENTRE, *raising, "--desk", "330822.nobody", "--division", "330822", code=2).err
    assert "bridgehead duty show" in desk


def test_who_is_missing_is_named_to_the_desk_across_once_the_family_agreed_and_reads_of_it(nodes):
    """Looks are shown at once, the name after the update; the person's report says which offices were given what."""
    number = "330822219003070018"
    missing = (
        "alert", "raise", "人员走失协查", "--desk", GOVERNANCE, "--area", "pair.qiuchuan-shuangming", "--fact", "老人离家未归",
        "--detail", "clothing=灰色外套", "--person", "name=林甲", "--person", f"number={number}",
    )  # fmt: skip
    raised = nodes.ask(CENTRE, *missing, "-o", "json")
    named = raised.json["line"]["cap_id"]
    nodes.delivered(CENTRE)
    for verb, form in (("show", ()), ("show", ("-o", "json")), ("history", ()), ("history", ("-o", "json"))):
        said, full = (nodes.ask(CENTRE, "alert", verb, named, *form, *more).out for more in ((), ("--full",)))
        assert (number in said + raised.out, "330822**********18" in said, number in full) == (False, True, True)
    shown = nodes.ask(PEER, "alert", "show", named).out
    assert ("灰色外套" in shown, "林甲" in shown, number in shown) == (True, False, False)
    nodes.ask(CENTRE, "alert", "update", named, "--tick", "family_consent")
    nodes.delivered(CENTRE)
    shown = nodes.ask(PEER, "alert", "show", named).out
    assert ("林甲" in shown, number in shown) == (True, False)

    hall = "zhejiang/330822/service-hall"
    report = nodes.ask(hall, "subject", "report", number, "--identity-checked", "-o", "json").json
    told = {(line["asker"], field) for line in report["lines"] for field in line["fields"]}
    assert {(PEER, "person.name"), (PEER, "detail.clothing")} <= told
    assert not {field for _, field in told} & {"person.number"}
    nodes.ask(CENTRE, "alert", "cancel", named, "--why", "解除预警")


def test_same_event_called_in_on_both_sides_is_offered_as_a_link(nodes):
    """With how far apart they are, to who may link them; one that is far away, or of another family, is not."""
    where = ("--area", "pair.qiuchuan-shuangming", "--fact", "追尾", "--point")
    crash = ("alert", "raise", "traffic.accident", "--desk", ACROSS, *where)
    far = nodes.ask(PEER, *crash, "28.9,118.9", "-o", "json").json["line"]
    first = nodes.ask(PEER, *crash, "28.700000,118.500000", "-o", "json").json["line"]
    nodes.delivered(PEER)
    row = nodes.ask(CENTRE, "alert", "raise", "dispute", "--desk", GOVERNANCE, *where, "28.7001,118.5001", "-o", "json")
    told = nodes.ask(CENTRE, "alert", "raise", "traffic.accident", "--desk", GOVERNANCE, *where, "28.701,118.501").err
    assert "疑似同一事件（相距约 148 米、1 分钟内），是否关联？" in told
    assert far["record"] not in told
    assert row.json["line"]["record"] not in told
    assert "bridgehead alert link 33082290200100_" in told
    assert first["record"] in told
    nodes.delivered(CENTRE)
    shown = nodes.ask(PEER, "alert", "show", first["cap_id"]).out
    assert "perhaps the same event (148 m apart, within 1 min)" in shown


def test_alert_that_is_raised_again_after_its_cancel_is_offered_as_one(nodes):
    """So that a false alarm and its repeat are seen together; once linked here it is offered no more."""
    raising = ("alert", "raise", "help", "--desk", GOVERNANCE, "--division", "330822111", "--fact", "群众被困")
    first = nodes.ask(CENTRE, *raising, "-o", "json").json["line"]
    nodes.ask(CENTRE, "alert", "cancel", first["cap_id"], "--why", "误报")
    again = nodes.ask(CENTRE, *raising)
    assert "疑似撤销后重报（同一区域、1 分钟内），是否关联？" in again.err
    number = IDENTIFIER.search(again.out)[0]
    nodes.ask(CENTRE, "alert", "link", number, first["record"])
    assert "疑似" not in nodes.ask(CENTRE, "alert", "show", number).out
