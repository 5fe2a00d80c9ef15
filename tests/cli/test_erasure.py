"""Tests of `bridgehead erasure` and of reading again: what is shown, and orders at real nodes."""

from __future__ import annotations

from federation.cli.erasure import answer_lines, order_lines, round_lines
from federation.cli.lookups import result_code, result_lines
from federation.cli.show import object_of
from federation.node.home.agreement import load_home_agreement
from federation.node.home.config import load_settings
from federation.node.serve import utc_now
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from tests.cli.command_line import ACROSS_POLICE, HALL, run
from tests.wire.erasure_answers import ERASURES, ORDERED, RECEIPTED, RESULT, ROUND, TRACED, WAITING

PUCHENG = "fujian/350722/service-hall"


def test_result_lines_show_steps_fields_and_the_watermark_over_them():
    """The watermark stands before the fields; a refusal says by which policy."""
    told = list(result_lines(RESULT, full=False))

    assert told[0] == f"查询 look-up {RESULT.lookup_id}  案件 case A3611-0042"
    assert told[1].endswith("浙江 zhejiang  查询 search  命中 hit")
    mark = next(at for at, line in enumerate(told) if "7Q2M-X9TR-04KD" in line)
    assert "jiangxi/361123/police  officer-7  2026-11-30 16:00:00+08:00" in told[mark]
    assert "测试甲" in told[mark + 1]
    assert any("deny-lookup-no-case" in line for line in told)
    assert told[-1].endswith("福建 fujian  查询 search  等待答复 waiting")


def test_result_object_and_code_tell_a_program_the_same():
    """Times in UTC, the watermark beside the fields; 1 because a province refused."""
    shown = object_of(RESULT)

    assert shown["steps"][1]["fields"] == {"holder_name": "测试甲"}
    assert shown["steps"][1]["watermark"]["code"] == "7Q2M-X9TR-04KD"
    assert shown["steps"][0]["watermark"] is None
    assert result_code(RESULT) == 1
    assert result_code(replace(RESULT, steps=RESULT.steps[:2])) == 0


def test_traced_reading_names_the_reader_and_nobody_else():
    """Office, officer, time, look-up and the names of the fields."""
    shown = object_of(TRACED)

    assert shown["watermark"]["agency"] == "jiangxi/361123/police"
    assert shown["watermark"]["officer"] == "officer-7"
    assert "holder_name" in shown["fields"]
    assert "测试甲" not in str(shown)


def test_page_lines_show_where_the_recipients_leaf_stands():
    """An overdue receipt is named as such; one that came says which leaf of the recipient's log."""
    heads, waiting, receipted = order_lines(ERASURES.lines)

    assert "receipt" in heads
    assert "逾期 overdue" in waiting
    assert "leaf 0" in receipted
    (never,) = list(order_lines([replace(RECEIPTED, was_held=False, leaf_index=None)]))[1:]
    assert "never held" in never


def test_answer_and_round_are_shown_in_both_forms():
    """What was destroyed here, and by when the other side must have answered."""
    assert any("回执期限 receipt due 2026-12-03 15:00:00+08:00" in line for line in answer_lines(ORDERED))
    assert object_of(replace(ORDERED, line=None))["line"] is None
    assert object_of(ORDERED)["line"]["message_id"] == WAITING.message_id
    assert [line.split()[-1] for line in round_lines(ROUND)] == list("1234567")


def shared_message(nodes) -> str:
    """The id of the message that shared a permit of Pucheng with Jiangxi."""
    nodes.ask(PUCHENG, "permit", "register", "--synthetic", "--household", "361103")
    nodes.delivered(PUCHENG)
    listed = nodes.ask(PUCHENG, "erasure", "sent", "jiangxi", "-o", "json").json["messages"]
    shared = [message for message in listed if message["kind"] == "permit.sync"][-1]
    assert shared["is_held"]
    return shared["message_id"]


def test_order_at_real_nodes_is_receipted_and_its_leaf_is_found(nodes):
    """The clerk orders, the receipt comes by itself, and names the leaf that anybody finds in the recipient's log."""
    message = shared_message(nodes)

    ordered = nodes.ask(PUCHENG, "erasure", "order", message, "--words", "误发 sent by mistake", "-o", "json").json
    assert ordered["line"]["state"] == "ordered"
    while (line := nodes.ask(PUCHENG, "erasure", "list", "-o", "json").json["lines"][0])["state"] != "receipted":
        pass

    assert (line["was_held"], line["recipient"]) == (True, "jiangxi")
    home = nodes.federation.home("jiangxi")
    read_url = f"http://127.0.0.1:{load_settings(home).read_port}"
    vkey = load_home_agreement(home, now=utc_now()).members[NodeName("jiangxi")].log_vkey
    leaf = run("log", "leaf", line["leaf_index"], "--read-url", read_url, "--vkey", vkey).json
    assert (leaf["kind"], leaf["subject"]) == ("erasure", line["message_digest"])
    assert "ERASURE_DONE" in nodes.ask(PUCHENG, "erasure", "order", message, "--words", "again", code=1).err
    assert "已销毁 gone" in nodes.ask(PUCHENG, "erasure", "sent", "jiangxi").out
    assert "已回执 receipted" in nodes.ask(PUCHENG, "erasure", "list").out


def test_order_that_may_not_be_is_refused_with_exit_1(nodes):
    """What is not there is refused as what is another office's; an id and the words have a form."""
    unknown = "00000000-0000-7000-8000-000000000000"
    refused = nodes.ask(PUCHENG, "erasure", "order", unknown, "--words", "x", code=1).out
    assert "deny-erasure-other-office" in refused
    assert "FIELD_RULE" in nodes.ask(PUCHENG, "erasure", "order", unknown, "--words", "", code=2).err
    assert "MESSAGE_ID" in nodes.ask(PUCHENG, "erasure", "order", "x", "--words", "x", code=2).err
    alone = nodes.ask(PUCHENG, "erasure", "order", unknown, "--words", "x", "--second", "officer-9", code=2)
    assert "--second-key" in alone.err


def test_run_of_nothing_that_ended_destroys_nothing(nodes):
    """The round says so."""
    nodes.ask(HALL, "erasure", "run")
    done = nodes.ask(HALL, "erasure", "run", "-o", "json").json

    counts = ("releases", "answers", "handles", "purged", "questions", "reports")
    assert {name: done[name] for name in counts} == dict.fromkeys(counts, 0)


def test_result_and_trace_of_what_nobody_asked_say_so(nodes):
    """An unknown look-up is an error; a code is traced by auditors, not by the police."""
    unknown = "00000000-0000-7000-8000-000000000000"

    assert "LOOKUP_UNKNOWN" in nodes.ask(ACROSS_POLICE, "lookup", "result", unknown, code=1).err
    assert "METHOD_DENIED" in nodes.ask(ACROSS_POLICE, "lookup", "trace", "7Q2M-X9TR-04KD", code=1).err
    audit = "jiangxi/360000/audit"
    assert "READING_UNKNOWN" in nodes.ask(audit, "lookup", "trace", "7q2m x9tr 04kd", code=1).err
