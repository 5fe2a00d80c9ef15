"""Tests of `bridgehead lead`: handed over, accepted, declined and listed at real nodes; what a person reads."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from federation.cli.leads import lead_lines
from federation.cli.show import CHINA
from federation.protocol.form import replace
from federation.wire.agency.leads import LeadStanding
from tests.cli.command_line import ACROSS_POLICE, HALL, POLICE
from tests.wire.answers import LEAD_LINE


def test_lines_say_where_it_stands_and_until_when():
    """What is overdue says so first; the deadline names its clock; a reason and the rules that refused it are told."""
    told = list(lead_lines(LEAD_LINE))

    assert told[0] == f"{LEAD_LINE.handed.lead_id}  不接收 declined  ** 逾期 OVERDUE **"
    assert "  移交 handed over: 2026-11-23 16:00  jiangxi/361123/police -> zhejiang/330822/police" in told
    assert any("浙江省衢州市常山县 示例镇" in line for line in told)
    assert any(line.startswith("  期限 due: ") and "police.handover v1" in line for line in told)
    assert told[-2].endswith("属铁路公安管辖")
    assert told[-1].endswith("rule-lead-time")
    bare = replace(LEAD_LINE, standing=LeadStanding.WAITING, overdue=False, answer=None, policies=())
    assert not any("答复" in line or "OVERDUE" in line or "because" in line for line in lead_lines(bare))


def hand_over(nodes, tmp_path, *more, agency=ACROSS_POLICE, code=0):
    (tmp_path / "notice.pdf").write_bytes(b"notice")
    now = datetime.now(UTC).astimezone(CHINA)
    return nodes.ask(
        agency, "lead", "hand-over", "330822", "--offence", "盗窃", "--place", "示例镇示例路9号",
        "--time", f"{now - timedelta(days=1):%Y-%m-%d %H:%M}", "--found", f"{now:%Y-%m-%d %H:%M}",
        "--notice", tmp_path / "notice.pdf", "--facts", "车内发现成捆的电缆", *more, code=code,
    )  # fmt: skip


def test_lead_goes_over_is_accepted_and_listed(nodes, tmp_path):
    """Yushan hands over, Changshan takes it, both lists say so; the notice is named by its digest."""
    shown = hand_over(nodes, tmp_path, "--measure", "已扣押电缆", "--paper", tmp_path / "notice.pdf", "-o", "json").json
    handed = shown["line"]["handed"]
    assert (shown["line"]["standing"], handed["force"]) == ("waiting", POLICE)
    assert handed["lead"]["notice"] == hashlib.sha256(b"notice").hexdigest()

    taken = nodes.ask(POLICE, "lead", "accept", handed["lead_id"])
    assert taken.out.startswith(f"{handed['lead_id']}  已接收 accepted")
    nodes.delivered(POLICE)

    for agency in (POLICE, ACROSS_POLICE):
        lines = nodes.ask(agency, "lead", "list", "--all", "-o", "json").json["lines"]
        (mine,) = [line for line in lines if line["handed"]["lead_id"] == handed["lead_id"]]
        assert (mine["standing"], mine["overdue"]) == ("accepted", False)


def test_lead_is_declined_with_a_reason(nodes, tmp_path):
    """The finder reads why; a second answer is an error."""
    lead_id = hand_over(nodes, tmp_path, "-o", "json").json["line"]["handed"]["lead_id"]
    nodes.ask(POLICE, "lead", "decline", lead_id, "--reason", "属铁路公安管辖")
    nodes.delivered(POLICE)

    assert "属铁路公安管辖" in nodes.ask(ACROSS_POLICE, "lead", "list").out
    again = nodes.ask(POLICE, "lead", "accept", lead_id, "-o", "json", code=1)
    assert again.error["reason"] == "LEAD_ANSWERED"


@pytest.mark.parametrize(
    ("more", "reason", "code"),
    [(("--facts", "嫌疑人361123219003070011"), "LEAD_NAMES_PERSON", 1), (("--place", ""), "FIELD_RULE", 2)],
)
def test_lead_that_may_not_leave_is_told_by_its_reason(nodes, tmp_path, more, reason, code):
    """A person's number, a field of another form: an error with what to do next."""
    error = hand_over(nodes, tmp_path, *more, "-o", "json", code=code).error
    assert error["reason"] == reason
    assert error["next"]


def test_lead_of_a_hall_is_refused(nodes, tmp_path):
    """Police hand leads over; another kind of office does not even reach policy."""
    error = hand_over(nodes, tmp_path, "-o", "json", agency=HALL, code=1).error
    assert error["reason"] == "METHOD_DENIED"
