"""Tests of `bridgehead lookup`: what an officer is shown, the officer's own key, and a look-up between real nodes."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from federation.cli.lookups import (
    case_lines,
    fetch_code,
    fetch_lines,
    fetch_steps,
    history_lines,
    outcome_code,
    province_lines,
    read_later,
    search_steps,
    sign_fetch,
)
from federation.cli.show import object_of
from federation.domain.lookups import FetchItem, Outcome, verify_step_up
from federation.node.home.files import create_officer_key, load_ed25519
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import parse_message_id, parse_node_name
from federation.protocol.keys import format_public_key
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.wire.agency.lookups import CaseAnswer, FetchResult, LookupLine, LookupPage, ProvinceAnswer, SearchResult
from federation.wire.rpc import ruling_of
from tests.cli.command_line import ACROSS_HALL, HALL, POLICE, run

JIANGXI = parse_node_name("jiangxi")
FUJIAN = parse_node_name("fujian")
HANDLE = "-" + "a" * 31
ENDS = datetime(2126, 11, 24, 1, 2, 3, tzinfo=UTC)
CASE = "CS-2026-0041"
FIELDS = {"birth_date": "2100-05-06", "citizen_number": "361123210005060017", "holder_name": "徐甲", "sex": "male"}


def ruling(verdict=Verdict.ALLOWED):
    decision = Decision(
        verdict=verdict,
        policies=("deny-lookup-no-case",),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN if verdict is Verdict.REFUSED else Grounds.PERMITTED,
        title_zh="没有在办案件不得查询",
        title_en="No look-up without an open case",
    )
    return ruling_of(decision, agreement_version=3, explanation_zh="先立案", explanation_en="open a case")


def answer(outcome, node=JIANGXI):
    refused = outcome is Outcome.REFUSED
    return ProvinceAnswer(
        node=node,
        outcome=outcome,
        handle=HANDLE if outcome is Outcome.HIT else None,
        expires=ENDS if outcome in (Outcome.HIT, Outcome.WAITING) else None,
        policies=("deny-lookup-no-case",) if refused else (),
        title_zh="没有在办案件不得查询" if refused else "",
        title_en="No look-up without an open case" if refused else "",
    )


# ---- what is shown, and the exit code


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.HIT, f"江西 jiangxi  命中 hit  handle:{HANDLE}  有效至 until 2126-11-24 09:02:03+08:00"),
        (Outcome.NO_HIT, "江西 jiangxi  未命中 no hit"),
        (Outcome.REFUSED, "江西 jiangxi  拒绝 refused  deny-lookup-no-case  没有在办案件不得查询 | No look-up without an open case"),
        (Outcome.UNREACHABLE, "江西 jiangxi  无法到达 unreachable"),
        (Outcome.EXPIRED, "江西 jiangxi  已过期 expired"),
        (
            Outcome.WAITING,
            (
                "江西 jiangxi  待对方受理岗答复 waiting for their desk  期限 due 2126-11-24 09:02:03+08:00\n"
                "稍后查看 read it later: bridgehead lookup result x"
            ),
        ),
    ],
)  # fmt: skip
def test_province_lines_tell_each_outcome_in_both_languages(outcome, told):
    """One line a province: the handle with a hit, the policies with a refusal; where to read what a person answers."""
    shown = province_lines(SearchResult(lookup_id="x", answers=(answer(outcome),)))
    assert "\n".join(shown) == told


def test_reading_later_is_told_in_one_language(monkeypatch):
    """Only the command is the same in both."""
    monkeypatch.setenv("BRIDGEHEAD_LANG", "zh")
    assert read_later("x") == "稍后查看：bridgehead lookup result x"


def test_search_object_holds_the_same_for_a_program():
    """JSON has an entry for each province, with nulls where there is nothing."""
    shown = object_of(SearchResult(lookup_id="x", answers=(answer(Outcome.HIT), answer(Outcome.REFUSED, FUJIAN))))

    assert shown["lookup_id"] == "x"
    assert [
        (one["node"], one["outcome"], one["handle"], one["expires"], one["policies"]) for one in shown["answers"]
    ] == [
        ("jiangxi", "hit", HANDLE, "2126-11-24T01:02:03.000Z", []),
        ("fujian", "refused", None, None, ["deny-lookup-no-case"]),
    ]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([Outcome.HIT, Outcome.NO_HIT], 0),
        ([Outcome.HIT, Outcome.REFUSED], 1),
        ([Outcome.UNREACHABLE, Outcome.REFUSED, Outcome.EXPIRED], 1),
        ([Outcome.HIT, Outcome.UNREACHABLE], 3),
        ([Outcome.NO_HIT, Outcome.EXPIRED], 3),
        ([Outcome.NO_HIT, Outcome.WAITING], 0),
    ],
)
def test_outcome_code_refusal_goes_before_silence(outcomes, code):
    """0 when all answered, 1 when one refused, 3 when one was silent and none refused."""
    assert outcome_code(outcomes) == code


def test_search_that_missed_a_province_says_how_to_repeat_it():
    """Under the same id it is done once; when every province answered there is nothing to repeat."""
    missed = SearchResult(lookup_id="L", answers=(answer(Outcome.HIT), answer(Outcome.UNREACHABLE)))
    answered = SearchResult(lookup_id="L", answers=(answer(Outcome.HIT), answer(Outcome.REFUSED)))

    (step,) = search_steps(missed, request_id="R-1")

    assert "--request-id R-1" in step
    assert not any("--request-id" in each for each in search_steps(answered, request_id="R-1"))


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.HIT, 0),
        (Outcome.REFUSED, 1),
        (Outcome.NO_HIT, 1),
        (Outcome.UNREACHABLE, 3),
        (Outcome.EXPIRED, 3),
        (Outcome.WAITING, 0),
    ],
)
def test_fetch_code_is_0_only_for_a_release(outcome, code):
    """Released 0, refused 1, no answer 3."""
    assert fetch_code(outcome) == code


def test_fetch_that_missed_the_province_says_how_to_repeat_it():
    """As a search does; a no of the own node, which has its lines, and fields that came leave no step."""
    missed, came = FetchResult(outcome=Outcome.UNREACHABLE), FetchResult(outcome=Outcome.HIT, decision=ruling())

    assert any("--request-id R-1" in step for step in fetch_steps(missed, request_id="R-1"))
    assert fetch_steps(came, request_id="R-1") == ()


def test_fetch_lines_mask_number_and_day_unless_full():
    """Fields have Chinese labels in a card's order; number and day of birth are masked."""
    released = FetchResult(outcome=Outcome.HIT, decision=ruling(), fields=FIELDS, expires=ENDS)

    masked, full = list(fetch_lines(released, full=False)), list(fetch_lines(released, full=True))

    assert [line.split()[0] for line in masked] == ["姓名", "性别", "出生日期", "公民身份号码", "可用至"]
    assert masked[1].endswith("男 male")
    assert (masked[2].split()[-1], masked[3].split()[-1]) == ("2100-**-**", "361123**********17")
    assert (full[2].split()[-1], full[3].split()[-1]) == ("2100-05-06", FIELDS["citizen_number"])
    assert object_of(released)["fields"]["citizen_number"] == "361123**********17"


def test_fetch_lines_of_a_refusal_name_who_refused_and_why():
    """The other side's policy with its titles; silence as what it was."""
    theirs = FetchResult(
        outcome=Outcome.REFUSED, decision=ruling(), policies=("deny-lookup-minor",), title_zh="未满", title_en="A minor"
    )

    assert list(fetch_lines(theirs, full=False)) == ["拒绝 refused: deny-lookup-minor", "  未满 | A minor"]
    assert list(fetch_lines(FetchResult(outcome=Outcome.EXPIRED), full=False)) == ["已过期 expired"]


def test_case_lines_tell_until_when():
    """An opened case has its end."""
    opened = CaseAnswer(decision=ruling(), case_id=CASE, closes=ENDS)

    assert list(case_lines(opened, opened=True)) == [
        f"案件 case {CASE} 已立，有效至 opened, runs until 2126-11-24 09:02:03+08:00"
    ]


def test_history_shows_steps_and_what_is_still_awaited():
    """Each step has its line, and one without an answer waits."""
    line = LookupLine(
        lookup_id="x", time=ENDS, case_id=CASE, node=JIANGXI, step="lookup.search", officer="changshan-0007"
    )

    told = list(history_lines([line]))

    assert told[1].split("  ")[1:] == [CASE, "江西 jiangxi", "查询 search", "等待答复 waiting", "changshan-0007", "x"]
    assert object_of(LookupPage(lines=(line,)))["lines"][0]["outcome"] is None


# ---- the officer's own key


def test_key_new_writes_a_private_file_once(tmp_path):
    """The private key is PKCS #8 with mode 0600, is never overwritten, and only the public one is printed."""
    file = tmp_path / "officer.pem"

    printed = run("lookup", "key", "new", file).out.strip()

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert printed == format_public_key(load_ed25519(file).public_key)
    assert "KEY_EXISTS" in run("lookup", "key", "new", file, code=1).err


def test_load_officer_key_that_others_may_read_or_of_another_form_is_refused(tmp_path):
    """A key that others may read has no owner; what is no Ed25519 key signs nothing."""
    file = tmp_path / "officer.pem"
    create_officer_key(file)
    file.chmod(0o644)
    with pytest.raises(UntrustedError) as open_to_all:
        load_ed25519(file)
    file.write_text("nothing")
    file.chmod(0o600)
    with pytest.raises(MalformedError) as no_key:
        load_ed25519(file)

    assert (open_to_all.value.reason, no_key.value.reason) == ("KEY_FILE_MODE", "PRIVATE_KEY")


def test_sign_fetch_verifies_as_the_officers_step_up(tmp_path):
    """The node verifies just what the desk signed, and nothing else."""
    create_officer_key(tmp_path / "k")
    signer = load_ed25519(tmp_path / "k")
    question = sign_fetch(signer, case_id=CASE, node=JIANGXI, handle=HANDLE, fields=frozenset({"holder_name"}))

    def item(fields):
        return FetchItem(
            lookup_id=parse_message_id("0190a0b0-0000-7000-8000-000000000001"),
            handle=question.handle,
            fields=frozenset(fields),
            officer_key=question.officer_key,
            officer_signature=question.officer_signature,
        )

    assert verify_step_up(item({"holder_name"})) == signer.public_key
    with pytest.raises(UntrustedError):
        verify_step_up(item({"holder_name", "citizen_number"}))


@pytest.mark.parametrize(("handle", "field"), [("short", "holder_name"), (HANDLE, "shoe_size")])
def test_sign_fetch_of_another_form_is_refused_at_the_desk(tmp_path, handle, field):
    """Nothing is signed for a handle or a field that cannot be."""
    create_officer_key(tmp_path / "k")
    with pytest.raises(MalformedError):
        sign_fetch(load_ed25519(tmp_path / "k"), case_id=CASE, node=JIANGXI, handle=handle, fields=frozenset({field}))


@pytest.mark.parametrize(
    "part",
    [["case", "open"], ["case", "close"], ["search"], ["fetch"], ["history"], ["key", "new"], ["key", "register"]],
)
def test_help_of_every_command_is_there(part):
    """Each command explains itself, with exit 0."""
    assert "Usage: bridgehead lookup" in run("lookup", *part, "--help").out


# ---- between real nodes


@pytest.fixture(scope="module")
def person(nodes):
    """The citizen number of somebody with a permit of Yushan, in Jiangxi."""
    arguments = ("permit", "register", "--synthetic", "--seed", "7", "--household", "330822", "--full", "-o", "json")
    return nodes.ask(ACROSS_HALL, *arguments).json["permit"]


@pytest.fixture(scope="module")
def case(nodes):
    """An open case of Changshan's police with Yushan."""
    nodes.ask(POLICE, "lookup", "case", "open", CASE, *CASE_OPTIONS)
    nodes.delivered(POLICE)
    return CASE


@pytest.fixture(scope="module")
def key(nodes):
    """The registered key of officer-7."""
    return nodes.key(POLICE, "officer-7")


CASE_OPTIONS = (
    "--letter", "常公协字2026-41号", "--county", "330822", "--county", "361123", "--officer", "leader-1",
    "--purpose", "lookup.criminal_investigation", "--purpose", "lookup.missing_person",
)  # fmt: skip
OFFICER = ("--officer", "officer-7")


def search(nodes, subject, *options, code=0):
    return nodes.ask(POLICE, "lookup", "search", subject, "--case", CASE, *OFFICER, *options, code=code)


def hit(nodes, person):
    found = search(nodes, person["citizen_number"], "--province", "jiangxi", "-o", "json").json
    return found["answers"][0]


def fetch(nodes, handle, key, *options, code=0):
    where = ("--case", CASE, "--province", "jiangxi", "--key", key)
    return nodes.ask(POLICE, "lookup", "fetch", f"handle:{handle}", *where, *OFFICER, *options, code=code)


def test_search_by_number_and_by_permit_hits_in_jiangxi(nodes, case, person):
    """A hit shows a handle and no field of the person."""
    by_number = search(nodes, person["citizen_number"], "--province", "jiangxi", "--urgent")
    by_permit = search(nodes, person["urn"].upper().replace("PERMIT", "Permit"), "--province", "jiangxi")

    assert all("命中 hit  handle:" in done.out for done in (by_number, by_permit))
    assert person["holder_name"] not in by_number.out
    assert person["citizen_number"] not in by_number.out


def test_search_of_somebody_unknown_is_no_hit(nodes, case):
    """Nobody of that permit: exit 0, no handle."""
    done = search(nodes, "urn:permit:361123:2026:999999", "--province", "jiangxi")

    assert "未命中 no hit" in done.out


def test_search_a_province_without_the_case_is_refused_with_exit_1(nodes, case, person):
    """Fujian was told of no case; it refuses, and names its policy."""
    done = search(nodes, person["citizen_number"], "--province", "jiangxi", "--province", "fujian", code=1)

    assert "福建 fujian" in done.out
    assert "deny-lookup-no-case" in done.out
    assert "命中 hit" in done.out


def test_search_without_a_province_asks_those_of_the_case_and_all_asks_every_one(nodes, case, person):
    """The case names Yushan, so Jiangxi is asked; `all` has a line of each other province."""
    own = search(nodes, person["citizen_number"], "-o", "json").json
    everywhere = search(nodes, person["citizen_number"], "--province", "all", "-o", "json", code=1).json

    assert [answer["node"] for answer in own["answers"]] == ["jiangxi"]
    assert {answer["node"] for answer in everywhere["answers"]} == {"jiangxi", "fujian", "anhui"}


def test_search_repeated_by_its_request_id_is_one_look_up(nodes, case, person):
    """What a broken connection leaves open is asked for again by its id, and counted once."""
    options = ("--province", "jiangxi", "--request-id", "5b2c0f4e-6f1d-4a53-9c39-d3b6f1a6a7e1", "-o", "json")

    first, again = (search(nodes, person["citizen_number"], *options).json for _ in range(2))

    assert first == again


@pytest.mark.parametrize(
    ("subject", "reason"),
    [("36112321%", "LOOKUP_WILDCARD"), ("徐甲", "LOOKUP_FORM"), ("urn:permit:1", "PERMIT_URN")],
)
def test_search_for_names_and_wildcards_is_never_sent(nodes, case, subject, reason):
    """One exact number or permit only."""
    assert reason in search(nodes, subject, code=2).err


def test_search_for_a_purpose_that_nobody_registered_is_refused_in_both_languages(nodes, case, person):
    """It says what to do, and does not repeat the text."""
    err = search(nodes, person["citizen_number"], "--purpose", "lookup.debt_collection", code=2).err

    assert "PURPOSE_UNKNOWN" in err
    assert "已登记的用途；相近：" in err
    assert "near it: lookup.criminal_investigation, lookup.identity_check, lookup.missing_person" in err
    assert "bridgehead function list" in err
    assert "debt" not in err


def test_search_by_a_service_hall_is_refused(nodes, person):
    """Look-ups are for the police."""
    asked = nodes.ask(HALL, "lookup", "search", person["citizen_number"], "--case", CASE, code=1)
    assert "METHOD_DENIED" in asked.err


def test_fetch_releases_the_named_fields_masked(nodes, case, person, key):
    """Just the fields that were named, with number and day of birth masked unless --full."""
    handle = hit(nodes, person)["handle"]
    fields = ("--field", "holder_name", "--field", "birth_date")

    masked = fetch(nodes, handle, key, *fields)
    full = fetch(nodes, handle, key, *fields, "--full", "-o", "json").json

    assert person["holder_name"] in masked.out
    assert f"{person['birth_date'][:4]}-**-**" in masked.out
    assert full["fields"] == {name: person[name] for name in ("holder_name", "birth_date")}
    assert full["outcome"] == "hit"


def test_fetch_of_a_field_that_policy_keeps_back_is_refused_with_exit_1(nodes, case, person, key):
    """One field too many refuses all."""
    done = fetch(
        nodes, hit(nodes, person)["handle"], key, "--field", "holder_name", "--field", "household_address", code=1
    )

    assert "拒绝 refused" in done.out
    assert person["holder_name"] not in done.out


def test_fetch_with_a_key_that_is_not_registered_is_refused(nodes, case, person, tmp_path):
    """The office's certificate alone is not enough."""
    run("lookup", "key", "new", tmp_path / "other.pem")
    done = fetch(nodes, hit(nodes, person)["handle"], tmp_path / "other.pem", "--field", "holder_name", code=1)

    assert "OFFICER_KEY" in done.err


def test_fetch_takes_a_field_by_either_name_and_lists_what_there_is(nodes, case, person, key):
    """As a card labels it; one that no record has is refused with every name that one has, in both languages."""
    handle = hit(nodes, person)["handle"]
    assert person["holder_name"] in fetch(nodes, handle, key, "--field", "姓名").out
    refused = fetch(nodes, handle, key, "--field", "nickname", "-o", "json", code=2).error
    assert refused["reason"] == "LOOKUP_FIELD"
    assert "没有字段 'nickname'；居住证有：出生日期 birth_date、公民身份号码 citizen_number、" in refused["message_zh"]
    assert "；机动车有：品牌型号 brand_model、" in refused["message_zh"]
    assert "there are permit birth_date, citizen_number, " in refused["message"]


@pytest.mark.attack("a colleague who lets the program name the officer", held_by="no officer by default")
def test_nobody_acts_until_a_key_is_made_and_then_nothing_is_typed(nodes):
    """No name without a key of one's own: made and registered once, the profile remembers officer and key."""
    office = "zhejiang/331126/police"
    who, home = ("--home", nodes.folder, "--agency", office), nodes.federation.home("zhejiang")
    assert "lookup key new" in run("lookup", "history", *who, code=2).err
    assert "KEY_MISSING" in run("lookup", "history", *who, "--officer", "somebody", code=1).err

    run("keys", "administrator", run("lookup", "key", "new", *who, "--officer", "admin-1").out, "--home", home)
    made = run("lookup", "key", "new", *who, "--officer", "me")
    offer = made.out
    assert "it goes on as admin-1 until this one is registered" in made.err
    assert run("lookup", "key", "list", *who, "-o", "json").json["keys"][0]["officer"] == "admin-1"
    assert "OFFICER_KEY" in run("lookup", "history", *who, "--officer", "me", code=1).err
    assert "ADMINISTRATOR_KEY" in run("lookup", "key", "register", offer, *who, "--officer", "me", code=1).err
    run("lookup", "key", "register", offer, *who, "--officer", "admin-1")

    assert run("lookup", "history", *who, "-o", "json").json["lines"] == []
    other = nodes.folder / "other.pem"
    assert run("lookup", "key", "new", other).out.startswith("ed25519:")
    own = ("--key", other, "--officer", "me")
    again = ("lookup", "key", "register", run("lookup", "key", "offer", *who, *own).out, *who, "--officer", "admin-1")
    assert "OFFICER_KEY_EXISTS" in run(*again, code=1).err
    assert "已登记 registered" in run(*again, "--replace").out
    assert "OFFICER_KEY" in run("lookup", "history", *who, code=1).err
    assert "it goes on as me" in run("lookup", "key", "new", *who, "--officer", "third").err
    assert run("lookup", "history", *who, "--key", other, "-o", "json").json["lines"] == []
    admin = (*who, "--officer", "admin-1")
    assert run("lookup", "key", "withdraw", "me", *admin, "-o", "json").json["standing"] == "withdrawn"
    assert "OFFICER_KEY_WITHDRAWN" in run("lookup", "history", *who, "--key", other, code=1).err
    listed = run("lookup", "key", "list", *admin, "-o", "json").json["keys"]
    assert [(each["officer"], each["standing"]) for each in listed] == [("admin-1", "administers"), ("me", "withdrawn")]


def test_history_tells_the_steps_of_a_case(nodes, case, person):
    """Newest first, by case; another case has none."""
    done = nodes.ask(POLICE, "lookup", "history", "--case", CASE, "--all", "--page-size", "2", "-o", "json").json
    search(nodes, person["urn"], "--province", "jiangxi")
    shown = nodes.ask(POLICE, "lookup", "history", "--case", CASE)
    none = nodes.ask(POLICE, "lookup", "history", "--case", "CS-0000", "-o", "json").json

    assert done["next_page_token"] == ""
    assert "查询 search" in shown.out.splitlines()[1]
    assert none["lines"] == []


def test_history_by_officer_shows_cases_and_steps_of_theirs(nodes, case, person):
    """One officer's own steps; somebody else's are not there."""
    search(nodes, person["urn"], "--province", "jiangxi")
    mine = nodes.ask(POLICE, "lookup", "history", "--by", "officer-7", "--all", "-o", "json").json
    leader = nodes.ask(POLICE, "lookup", "history", "--by", "leader-1", "--all", "-o", "json").json

    assert {line["officer"] for line in mine["lines"]} == {"officer-7"}
    assert "case_opened" in {line["outcome"] for line in leader["lines"]}


def test_case_close_ends_every_search(nodes):
    """A closed case binds nothing any more, and stays closed."""
    other = "CS-2026-0042"
    nodes.ask(POLICE, "lookup", "case", "open", other, *CASE_OPTIONS, "--letter", "常公协字2026-42号", "--days", "3")
    closed = nodes.ask(POLICE, "lookup", "case", "close", other, "--officer", "leader-1")
    after = nodes.ask(POLICE, "lookup", "search", "urn:permit:361123:2026:999999", "--case", other, code=1)

    assert "已关闭 closed" in closed.out
    assert "deny-lookup-no-case" in after.out
    assert "如何才合法 what would make it lawful" in after.out


def test_case_open_for_more_than_90_days_is_a_usage_error(nodes):
    """What takes longer needs a new letter and a new case."""
    nodes.ask(POLICE, "lookup", "case", "open", "CS-2026-0043", *CASE_OPTIONS, "--days", "91", code=2)


def test_case_open_without_a_letter_is_a_usage_error_in_chinese_too(nodes):
    """A letter of spaces is none."""
    refused = nodes.ask(POLICE, "lookup", "case", "open", "CS-2026-0044", *CASE_OPTIONS, "--letter", "  ", code=2)

    assert "写明协作函文号：--letter" in refused.err


@pytest.mark.parametrize(("county", "doubtful"), [("361199", True), ("361123", False)])
def test_case_open_for_a_county_that_the_table_does_not_know_is_told(nodes, county, doubtful):
    """A code with a wrong digit makes a case under which nobody is found; it may be newer than the table all the same."""
    case_id = f"CS-2026-{county[2:]}"
    where = ("--county", county, "--leader", "leader-1", "--officer", "leader-1")
    letter = f"常公协字2026-{county}号"
    opened = nodes.ask(POLICE, "lookup", "case", "open", f" {case_id.lower()}", *where, "--letter", letter)

    assert ("请核对 please check: 361199" in opened.err) is doubtful
    assert case_id in opened.out


def test_search_reads_the_person_from_stdin(nodes, case, person, monkeypatch):
    """A number need not stand in the shell's history."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{person['citizen_number'].lower()}\n"))

    assert "命中 hit" in search(nodes, "-", "--province", "jiangxi").out
