"""Tests of `bridgehead lookup inbox|release|refuse|remind` between real nodes."""

from __future__ import annotations

import pytest

from federation.cli.intake import answer_lines, inbox_lines, inbox_object, reminder_lines
from federation.protocol.form import replace
from federation.wire.agency.intake import IntakePage
from tests.cli.command_line import POLICE
from tests.wire.intake_answers import INBOX, INTAKE_REFUSED, INTAKE_RELEASED, REMINDERS

XINZHOU, OFFICE = "jiangxi/361102/police", "zhejiang/330112/police"
CASE = "XZ-2026-0001"
NOBODY = "urn:permit:330822:2026:999999"


@pytest.fixture(scope="module")
def case(nodes):
    """A case of Xinzhou's police, away from the border, told to Zhejiang."""
    options = ("--letter", "饶公协〔2026〕1号", "--county", "330822", "--officer", "leader-1")
    nodes.ask(XINZHOU, "lookup", "case", "open", CASE, *options)
    return CASE


@pytest.fixture
def waiting(nodes, case):
    """One search that waits for a person: what was answered at once, and the id that the inbox shows."""
    before = {line["request_id"] for line in inbox(nodes)}
    asked = nodes.ask(XINZHOU, "lookup", "search", NOBODY, "--case", case, "--province", "zhejiang", "-o", "json").json
    (found,) = {line["request_id"] for line in inbox(nodes)} - before
    return asked, found


def inbox(nodes, *options):
    return nodes.ask(OFFICE, "lookup", "inbox", *options, "-o", "json").json["lines"]


def outcomes(nodes, lookup_id):
    lines = nodes.ask(XINZHOU, "lookup", "history", "-o", "json").json["lines"]
    return [line["outcome"] for line in lines if line["lookup_id"] == lookup_id]


def test_inbox_lines_tell_time_left_marks_and_the_masked_person():
    """Minutes and seconds, what was asked again or escalated, and how an ended one ended."""
    heads, urgent, ended = inbox_lines(INBOX)

    assert "剩余 left" in heads
    assert urgent.startswith("5:00")
    assert "催问 reminded 升级 escalated" in urgent
    assert "361123************" in urgent
    assert "过时 too late" in ended
    assert list(inbox_lines(IntakePage(read_time=INBOX.read_time))) == []


def test_inbox_object_holds_the_same_for_a_program():
    """Times in UTC, seconds left of what waits."""
    urgent, ended = inbox_object(INBOX)

    assert (urgent["seconds_left"], urgent["reminded"]) == (300, "2026-11-30T08:05:00.000Z")
    assert (ended["seconds_left"], ended["answered_by"], ended["reminded"]) == (0, "officer-1", None)


def test_answer_lines_tell_how_it_ended_or_which_policy_refused():
    """Hit or no hit, the names of fields, or why the desk may not."""
    assert next(iter(answer_lines(INTAKE_RELEASED))).startswith("已答复 answered：未命中 no hit")
    fields = replace(INTAKE_RELEASED, hit=None)
    assert next(iter(answer_lines(fields))).startswith("已答复 answered：公民身份号码 citizen_number  ")
    assert list(answer_lines(INTAKE_REFUSED)) == []  # policy's own words are shown instead
    assert "已催问 asked again" in next(iter(reminder_lines(REMINDERS)))


def test_search_by_inland_police_waits_with_exit_0(nodes, waiting):
    """The answer is that a person must answer, and until when."""
    asked, _ = waiting

    assert [line["outcome"] for line in asked["answers"]] == ["waiting"]
    assert asked["answers"][0]["expires"]
    assert outcomes(nodes, asked["lookup_id"]) == ["waiting"]
    shown = nodes.ask(OFFICE, "lookup", "inbox").out
    assert "urn:permit:330822:2026:******" in shown
    assert NOBODY not in shown


def test_release_answers_and_a_repeat_changes_nothing(nodes, waiting):
    """The asker reads it in the history; another release of the same says that it was answered."""
    asked, found = waiting

    answer = nodes.ask(OFFICE, "lookup", "release", found, "-o", "json").json

    assert (answer["status"], answer["hit"]) == ("answered", False)
    repeat = nodes.ask(OFFICE, "lookup", "release", found, "--request-id", answer["request_id"], "-o", "json").json
    assert repeat == answer
    assert "INTAKE_ANSWERED" in nodes.ask(OFFICE, "lookup", "release", found, code=1).err
    nodes.delivered(OFFICE)
    assert outcomes(nodes, asked["lookup_id"]) == ["no_hit"]
    assert found not in {line["request_id"] for line in inbox(nodes)}
    assert found in {line["request_id"] for line in inbox(nodes, "--all")}


def test_release_is_signed_with_the_key_of_the_officer_who_names_themselves(nodes, waiting):
    """Under another name the key is not the registered one: exit 1, and the request waits on."""
    _, found = waiting
    key = nodes.key(OFFICE, "desk-1")
    release, other = ("lookup", "release", found, "--key", key), ("--officer", "desk-2")
    refuse = ("lookup", "refuse", found, "--reason", "other", "--words", "x", "--key", key)

    assert "OFFICER_KEY" in nodes.ask(OFFICE, *release, *other, code=1).err
    assert "OFFICER_KEY" in nodes.ask(OFFICE, *refuse, *other, code=1).err
    assert nodes.ask(OFFICE, *release, "--officer", "desk-1", "-o", "json").json["status"] == "answered"


def test_refuse_needs_a_known_reason_and_words(nodes, waiting):
    """The asker reads that it was refused."""
    asked, found = waiting
    refuse = ("lookup", "refuse", found)

    assert "REFUSAL_REASON" in nodes.ask(OFFICE, *refuse, "--reason", "busy", "--words", "x", code=2).err
    assert "REFUSAL_WORDS" in nodes.ask(OFFICE, *refuse, "--reason", "other", "--words", " ", code=2).err
    done = nodes.ask(OFFICE, *refuse, "--reason", "too_broad", "--words", "请缩小范围")

    assert "已拒绝 refused" in done.out
    nodes.delivered(OFFICE)
    assert outcomes(nodes, asked["lookup_id"]) == ["refused"]


def test_another_office_has_no_inbox_and_releases_nothing(nodes, waiting):
    """Zhejiang's one office answers; others are told the same where the request is there and where it is not."""
    _, found = waiting

    assert "NOT_INTAKE" in nodes.ask(POLICE, "lookup", "inbox", code=1).err
    refused = nodes.ask(POLICE, "lookup", "release", found, code=1)
    assert "default-deny" in refused.out
    assert "default-deny" in nodes.ask(XINZHOU, "lookup", "release", found, code=1).out


def test_remind_asks_again_and_marks_the_inbox(nodes, waiting):
    """Once; the desk sees it at the top."""
    asked, found = waiting

    done = nodes.ask(XINZHOU, "lookup", "remind", asked["lookup_id"])

    assert "已催问 asked again" in done.out
    assert nodes.ask(XINZHOU, "lookup", "remind", asked["lookup_id"]).out == done.out
    nodes.delivered(XINZHOU)
    top = inbox(nodes)[0]
    assert (top["request_id"], top["reminded"] is not None) == (found, True)
    assert "LOOKUP_UNKNOWN" in nodes.ask(XINZHOU, "lookup", "remind", found, code=1).err
