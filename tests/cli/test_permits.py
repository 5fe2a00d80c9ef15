"""Tests of `bridgehead permit`: a clerk's day against four real nodes, and everything that goes wrong at a window."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta

import pytest

from federation.cli.options import Paging, read_pages
from federation.cli.permits import link_lines
from federation.cli.show import china_today
from federation.cli.words import LANGUAGE_VARIABLE
from federation.domain.citizen_number import check_character, format_citizen_number
from federation.domain.recognition import Confirmation, RecognitionMode, RecognitionOutcome
from federation.protocol.ids import parse_agency_id
from federation.wire.agency.permits import PermitPage, PermitQuery, RecognitionLink
from tests.cli.applications import REQUEST, csv_of, person, wrong_check
from tests.cli.command_line import ACROSS_HALL, ACROSS_POLICE, HALL, POLICE, run
from tests.ports import free_ports
from tests.wire.answers import ALLOWED, ITEM


@pytest.fixture(scope="module")
def urn(nodes):
    """A permit of Changshan whose holder is from Yushan; its copy has arrived there."""
    registered = nodes.ask(HALL, "permit", "register", "--synthetic", "--household", "361123", "-o", "json").json
    nodes.delivered()
    return registered["permit"]["urn"]


def options(row):
    """The same person as a clerk types it."""
    flags = {
        "holder_name": "--name", "citizen_number": "--citizen-number", "ethnicity": "--ethnicity",
        "household_division": "--household", "household_address": "--household-address",
        "residence_address": "--residence-address", "ground": "--ground", "residence_since": "--since",
    }  # fmt: skip
    typed = [part for name, flag in flags.items() for part in (flag, row[name])]
    return [*typed, *(part for paper in row["papers"].split(";") for part in ("--paper", paper))]


def number_of(nodes, urn):
    shown = nodes.ask(HALL, "permit", "show", urn, "--full", "-o", "json")
    return shown.json["permit"]["citizen_number"]


# ---- registering


def test_register_by_options_fills_in_what_is_usual(nodes):
    """Residence, issuer and the two days are those of the agency's county and of today."""
    done = nodes.ask(HALL, "permit", "register", *options(person(1)), "--full", "-o", "json")

    permit = done.json["permit"]
    assert permit["residence_division"] == "330822"
    assert permit["issuer"] == "常山县公安局"
    assert permit["issue_date"] == china_today().isoformat()
    assert permit["citizen_number"] == person(1)["citizen_number"]


def test_register_in_text_shows_chinese_labels_and_masks(nodes):
    """A clerk reads Chinese beside the field names; number and day of birth are masked."""
    row = person(2)
    text = nodes.ask(HALL, "permit", "register", *options(row)).out

    assert "姓名" in text
    assert "有效 valid" in text
    assert row["citizen_number"] not in text
    assert row["birth_date"] not in text
    assert f"{row['citizen_number'][:6]}**********{row['citizen_number'][-2:]}" in text


@pytest.mark.parametrize(("seed", "form"), [(3, "json"), (15, "toml")])
def test_register_from_a_file_with_an_option_over_it(nodes, tmp_path, seed, form):
    """What is typed goes over what the file says."""
    row = {name: text for name, text in person(seed).items() if text}
    path = tmp_path / f"application.{form}"
    lines = "".join(f"{name} = {json.dumps(text, ensure_ascii=False)}\n" for name, text in row.items())
    path.write_text(json.dumps(row) if form == "json" else lines)

    done = nodes.ask(HALL, "permit", "register", "--from", path, "--residence-address", "示例路9号", "-o", "json")

    assert done.json["permit"]["residence_address"] == "示例路9号"


def test_register_twice_under_one_request_id_is_done_once(nodes):
    """The same request id gives the same permit."""
    arguments = ("permit", "register", "--synthetic", "--request-id", REQUEST, "-o", "json")

    first, again = nodes.ask(HALL, *arguments).json, nodes.ask(HALL, *arguments).json

    assert first["permit"]["urn"] == again["permit"]["urn"]
    assert first["request_id"] == REQUEST


def test_register_tells_every_missing_field_at_once(nodes):
    """One error names them all, in both languages."""
    done = nodes.ask(HALL, "permit", "register", "--name", "徐谷雨", code=2)

    assert "[APPLICATION]" in done.err
    for name in (
        "公民身份号码：未填",
        "citizen_number: missing",
        "ethnicity",
        "household_address",
        "ground",
        "residence_since",
    ):
        assert name in done.err
    assert "徐谷雨" not in done.err


def test_register_without_papers_names_them(nodes):
    """居住证暂行条例 article 9: all that is missing is told at once."""
    row = person(4) | {"papers": "photo"}

    done = nodes.ask(HALL, "permit", "register", *options(row), code=1)

    assert "[PAPERS_MISSING]" in done.err
    assert "还缺就业、住所或就读证明、居民身份证、居住地住址证明 | " in done.err
    assert "a proof of job, dwelling or study, the identity card, a proof of the address" in done.err
    assert "identity_card" not in done.err


def test_register_tells_what_cannot_be_read_and_what_the_law_refuses_in_one_round(nodes):
    """A wrong number, a missing paper and a doubt beside one: nobody comes to the counter once for each."""
    row = person(4) | {"papers": "photo"}
    wrong = nodes.ask(HALL, "permit", "register", *options(row | {"ethnicity": "x"}), "-o", "json", code=2).error
    assert wrong["reason"] == "APPLICATION"
    assert "民族：应为民族名称" in wrong["message_zh"]
    assert "第九条：还缺就业、住所或就读证明、" in wrong["message_zh"]
    doubtful = [*options(row), "--sex", "女" if row["sex"] == "male" else "男"]
    doubted = nodes.ask(HALL, "permit", "register", *doubtful, "-o", "json", code=1).error
    assert doubted["reason"] == "DOUBTED"
    assert "第九条：还缺就业、住所或就读证明、" in doubted["message_zh"]
    assert "性别与号码不符" in doubted["message_zh"]


def test_register_with_doubts_tells_all_and_waits_for_their_names(nodes):
    """A code of no province, another sex than the number's: told at once, issued once each is accepted by name."""
    row = person(5) | {"household_division": "999999"}
    typed = [*options(row), "--sex", "女" if row["sex"] == "male" else "男"]

    done = nodes.ask(HALL, "permit", "register", *typed, "-o", "json", code=1)

    assert done.error["reason"] == "DOUBTED"
    assert "性别与号码不符" in done.error["message_zh"]
    assert "户籍地：没有以99开头的省级行政区划" in done.error["message_zh"]
    nodes.ask(HALL, "permit", "register", *typed, "--accept", "sex", code=1)
    assert "999999" in nodes.ask(HALL, "permit", "register", *typed, "--accept", "sex", "--accept", "区划").out


def test_register_by_another_issuer_refused(nodes):
    """The county's police issues, whatever is typed; a wrong issuer could never be corrected."""
    typed = [*options(person(8)), "--issuer", "玉山县公安局", "--accept", "issuer"]

    done = nodes.ask(HALL, "permit", "register", *typed, "-o", "json", code=2)

    assert done.error["reason"] == "APPLICATION"
    assert "签发机关：应为常山县公安局" in done.error["message_zh"]


def impossible_day(number):
    body = number[:10] + "0230" + number[14:17]
    return body + check_character(body)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (wrong_check, "APPLICATION"),
        (lambda number: number[:17], "APPLICATION"),
        (lambda _: format_citizen_number("361123", date(1990, 3, 7), sequence=1), "REAL_NUMBER_IN_DEMO"),
    ],
)
def test_register_with_wrong_citizen_number_refused(nodes, spoil, reason):
    """Wrong check character, wrong length, a number that a living person could have."""
    row = person(6)
    spoilt = spoil(row["citizen_number"])

    done = nodes.ask(HALL, "permit", "register", *options(row | {"citizen_number": spoilt}), "-o", "json", code=2)

    assert done.error["reason"] == reason
    assert done.error["next"]
    assert spoilt not in done.err
    assert done.out == ""


def test_register_with_impossible_days_refused(nodes):
    """A day that the calendar does not have is named, be it typed or inside the number."""
    row = person(7)
    typed = options(row | {"citizen_number": impossible_day(row["citizen_number"]), "residence_since": "2025-02-30"})

    error = nodes.ask(HALL, "permit", "register", *typed, "-o", "json", code=2).error

    assert error["reason"] == "APPLICATION"
    assert "residence_since" in error["message"]
    assert "citizen_number" in error["message"]


def test_register_for_another_county_refused_by_policy(nodes):
    """A refusal names the policy in both languages, what would make it lawful, and the agreement."""
    row = person(8) | {"residence_division": "330824"}

    done = nodes.ask(HALL, "permit", "register", *options(row), "--residence", "330824", code=1)

    assert "default-deny" in done.out
    assert "没有规则允许此事" in done.out
    assert "No policy allows this" in done.out
    assert "该单位在签发县" in done.out
    assert "agreement version 1" in done.out


# ---- reading


def test_show_at_the_other_province_gives_what_policy_gives(nodes, urn):
    """Police of the household county check the permit: the fields of a check, and no others."""
    permit = nodes.ask(ACROSS_POLICE, "permit", "show", urn, "--full", "-o", "json").json["permit"]

    assert permit["citizen_number"] == number_of(nodes, urn)
    assert permit["household_division"] == "361123"
    assert "ethnicity" not in permit
    assert "ground" not in permit


def test_show_at_a_service_hall_takes_its_own_purpose(nodes, urn):
    """A service hall serves: no citizen number for it."""
    permit = nodes.ask(ACROSS_HALL, "permit", "show", urn, "--full", "-o", "json").json["permit"]

    assert "holder_name" in permit
    assert "citizen_number" not in permit
    typed = nodes.ask(ACROSS_HALL, "permit", "show", f" {urn.upper()}", "--full", "-o", "json").json["permit"]
    assert typed == permit  # in any case, as a permit's name may be typed


def test_show_to_a_court_refused_with_a_decision(nodes, urn):
    """The refusal is an answer: JSON on stdout, exit 1."""
    answer = nodes.ask("jiangxi/361123/court", "permit", "show", urn, "-o", "json", code=1).json

    assert answer["permit"] is None
    assert answer["decision"]["verdict"] == "refused"
    assert answer["decision"]["policies"]
    assert answer["decision"]["explanation_zh"]


def test_show_for_a_given_purpose(nodes, urn):
    """`--purpose` brings its function along; an unknown one needs `--function`."""
    nodes.ask(HALL, "permit", "show", urn, "--purpose", "permit.administration")
    nodes.ask(HALL, "permit", "show", urn, "--purpose", "curiosity", code=2)
    nodes.ask(HALL, "permit", "show", urn, "--purpose", "curiosity", "--function", "F01", code=2)


@pytest.mark.parametrize(
    ("name", "reason", "code"), [("urn:permit:330822:2026:999999", "PERMIT_UNKNOWN", 1), ("330822", "PERMIT_URN", 2)]
)
def test_show_of_an_unknown_permit_says_so(nodes, name, reason, code):
    """No such permit, or no permit at all."""
    assert nodes.ask(HALL, "permit", "show", name, "-o", "json", code=code).error["reason"] == reason


def test_list_page_by_page_is_the_whole_list(nodes):
    """The pages of one permit each are the list that `--all` gives; an empty token is the end."""
    hall, register = "anhui/341022/service-hall", ("permit", "register", "--synthetic", "-o", "json")
    registered = {nodes.ask(hall, *register).json["permit"]["urn"] for _ in range(3)}
    listing = ("permit", "list", "--division", "341022", "-o", "json")
    whole = nodes.ask(hall, *listing, "--all", "--page-size", "2").json["permits"]
    urns, token = [], ""
    while True:
        page = nodes.ask(hall, *listing, "--page-size", "1", "--page-token", token).json
        urns += [permit["urn"] for permit in page["permits"]]
        token = page["next_page_token"]
        if not token:
            break

    assert urns == [permit["urn"] for permit in whole]
    assert registered <= set(urns)
    assert "本页 1 条" in nodes.ask(hall, *listing[:-2], "--page-size", "1").err
    assert f"共 {len(whole)} 条" in nodes.ask(hall, *listing[:-2]).err


async def test_empty_page_that_goes_on_is_not_shown_as_the_end():
    """A node that looked at many permits of others answers an empty page with a token; the list goes on behind it."""
    pages = [(), (), (ITEM, ITEM), (), (ITEM,)]

    async def call(query):
        place = int(query.page_token or 0)
        following = str(place + 1) if place + 1 < len(pages) else ""
        return PermitPage(decision=ALLOWED, permits=pages[place], next_page_token=following)

    async def read(token, *, everything=False):
        page = await read_pages(call, PermitQuery(), Paging(2, token, everything), items="permits")
        return len(page.permits), page.next_page_token

    assert [await read(""), await read("3"), await read("", everything=True)] == [(2, "3"), (1, ""), (3, "")]


def test_list_in_text_is_one_line_a_permit(nodes, urn):
    """Nothing is wrapped or cut, so that a name can be copied."""
    done = nodes.ask(HALL, "permit", "list", "--all", "--division", "330822")

    assert any(line.startswith(f"{urn}  ") for line in done.out.splitlines())
    assert "permits" in done.err
    assert nodes.ask(HALL, "permit", "list", "--status", "replaced").out == ""


def test_list_by_number_says_that_not_listed_is_not_none(nodes):
    """The number of another province's permit is not open to a hall: who lists by it must not read a no in the list."""
    assert "不等于没有" in nodes.ask(HALL, "permit", "list", "--number", "361123220002290017").err
    assert "不等于没有" not in nodes.ask(HALL, "permit", "list").err


# ---- steps


def test_steps_that_the_law_does_not_allow_name_the_article_and_the_way(nodes, urn):
    """居住证暂行条例 article 10: too early, not late, not suspended."""
    for step, reason in (
        ("endorse", "ENDORSEMENT_TOO_EARLY"),
        ("suspend", "ENDORSEMENT_NOT_LATE"),
        ("restore", "PERMIT_NOT_SUSPENDED"),
    ):
        error = nodes.ask(HALL, "permit", step, urn, "-o", "json", code=1).error
        assert error["reason"] == reason
        assert "article 10" in error["message"]


def test_revoke_ends_a_permit_for_good(nodes):
    """A revoked permit takes no further step; `--reason` must be one of the five."""
    name = nodes.ask(HALL, "permit", "register", "--synthetic", "-o", "json").json["permit"]["urn"]
    nodes.ask(HALL, "permit", "revoke", name, "--reason", "tired", code=2)

    assert nodes.ask(HALL, "permit", "revoke", name, "--reason", "left", "-o", "json").json["permit"]["version"] == 2
    assert nodes.ask(HALL, "permit", "endorse", name, "-o", "json", code=1).error["reason"] == "PERMIT_ENDED"


def test_endorse_and_restore_of_older_permits(nodes, tmp_path):
    """In the month before the full year a permit is endorsed; after it, suspended and restored."""
    today = china_today()
    due, late = person(11, years_ago=1), person(12, years_ago=2)
    due |= {"issue_date": (today - timedelta(days=350)).isoformat(), "accept_date": due["apply_date"]}
    late |= {"issue_date": (today - timedelta(days=400)).isoformat(), "accept_date": late["apply_date"]}
    done = nodes.ask(POLICE, "permit", "import", csv_of(tmp_path / "old.csv", [due, late]), "-o", "json").json
    first, second = (row["urn"] for row in done["stored_rows"])

    assert nodes.ask(POLICE, "permit", "endorse", first, "-o", "json").json["permit"]["version"] == 2
    assert nodes.ask(POLICE, "permit", "endorse", second, "-o", "json", code=1).error["reason"] == "ENDORSEMENT_LATE"
    assert nodes.ask(POLICE, "permit", "suspend", second, "-o", "json").json["permit"]["status"] == "suspended"
    assert nodes.ask(POLICE, "permit", "restore", second, "-o", "json").json["permit"]["status"] == "valid"


# ---- recognising


def test_recognition_is_told_on_the_card_in_words(monkeypatch):
    """Its mode, too, in the language that is asked for, between the signs of that language."""
    link = RecognitionLink(
        mode=RecognitionMode.CARD,
        outcome=RecognitionOutcome.RECOGNISED_FULL,
        reason="card_valid",
        agency=parse_agency_id("zhejiang/330822/service-hall"),
        decided_on=date(2126, 11, 30),
        confirmation=Confirmation.CONFIRMED,
    )
    monkeypatch.setenv(LANGUAGE_VARIABLE, "zh")
    (line,) = link_lines([link])
    assert line == "互认  2126-11-30 zhejiang/330822/service-hall 按证互认：全部互认（签发省已确认）"


def test_recognise_the_card_opens_its_services(nodes, urn):
    """The other side's valid permit stands as it is; the clerk reads the services in Chinese."""
    done = nodes.ask(ACROSS_HALL, "permit", "recognise", urn, "--mode", "card", "--number", number_of(nodes, urn))

    assert "全部互认 recognised_full" in done.out
    assert "义务教育 service.education" in done.out


def test_recognise_the_time_counts_the_days(nodes, tmp_path):
    """Time of residence on the other side counts; none on the day of issue."""
    row = person(13, years_ago=1)
    issued = china_today() - timedelta(days=300)
    path = csv_of(tmp_path / "old.csv", [row | {"issue_date": issued.isoformat()}])
    name = nodes.ask(HALL, "permit", "import", path, "-o", "json").json["stored_rows"][0]["urn"]
    nodes.delivered()

    arguments = ("permit", "recognise", name, "--mode", "time", "--number", row["citizen_number"], "-o", "json")
    found = nodes.ask(ACROSS_POLICE, *arguments).json["recognition"]

    assert found == {"outcome": "recognised_full", "reason": "half_year_reached", "services": [], "counted_days": 300}


def test_recognise_on_the_first_day_is_not_recognised(nodes, urn):
    """What is not recognised exits with 1, and says why."""
    number = number_of(nodes, urn)
    done = nodes.ask(ACROSS_HALL, "permit", "recognise", urn, "--mode", "time", "--number", number, code=1)

    assert "不予互认 refused" in done.out
    assert "no_time" in done.out


def test_recognise_for_somebody_else_refused(nodes, urn):
    """The person at the window must be the holder."""
    number = person(14)["citizen_number"]
    done = nodes.ask(ACROSS_HALL, "permit", "recognise", urn, "--mode", "card", "--number", number, code=1)

    assert "与出示的号码不符" in done.out
    assert number not in done.out + done.err


def test_recognise_at_home_refused_by_policy(nodes, urn):
    """A permit is recognised by another province, not by its own."""
    number = number_of(nodes, urn)
    answer = nodes.ask(HALL, "permit", "recognise", urn, "--mode", "card", "--number", number, "-o", "json", code=1)

    assert answer.json["recognition"] is None
    assert answer.json["decision"]["verdict"] == "refused"


# ---- who asks, and what is down


def test_node_down_exits_3_and_says_how_to_go_on(nodes, tmp_path):
    """Nothing is lost: the same command with the request id that is told."""
    nodes.key(HALL, "clerk")
    folder = shutil.copytree(nodes.federation.home("zhejiang") / "clients" / "330822-service-hall", tmp_path / "down")
    text = (folder / "profile.toml").read_text()
    address = next(line for line in text.splitlines() if line.startswith("agency_addr"))
    (folder / "profile.toml").write_text(text.replace(address, f'agency_addr = "127.0.0.1:{free_ports(1)[0]}"'))

    for command in (("register", "--synthetic"), ("import", "--synthetic", "3")):
        done = run("permit", *command, "--client", folder, "--request-id", REQUEST, code=3)
        assert "nothing was lost" in done.err
        assert f"--request-id {REQUEST}" in done.err
        assert ("not confirmed 3" in done.out) is (command[0] == "import")
    assert "--request-id" not in run("permit", "list", "--client", folder / "profile.toml", code=3).err


def test_profile_of_another_province_at_this_node_refused(nodes, tmp_path):
    """A certificate of another province's CA opens nothing, and neither side is mistaken for the other."""
    nodes.key("anhui/341022/police", "clerk")
    folder = shutil.copytree(nodes.federation.home("anhui") / "clients" / "341022-police", tmp_path / "anhui")
    ours = (nodes.federation.home("zhejiang") / "clients" / "330822-police" / "profile.toml").read_text()
    address = next(line for line in ours.splitlines() if line.startswith("agency_addr"))
    theirs = (folder / "profile.toml").read_text()
    old = next(line for line in theirs.splitlines() if line.startswith("agency_addr"))
    (folder / "profile.toml").write_text(theirs.replace(old, address))

    error = run("permit", "list", "--client", folder, "-o", "json", code=1).error

    assert error["reason"] == "SERVER_CERTIFICATE"


def test_agency_is_named_by_option_or_environment_or_not_at_all(nodes, monkeypatch, tmp_path):
    """`BRIDGEHEAD_CLIENT` names the profile; an unknown agency is told which there are; none is a usage error."""
    home = nodes.federation.home("zhejiang")
    monkeypatch.delenv("BRIDGEHEAD_CLIENT", raising=False)
    assert "no agency named" in run("permit", "list", code=2).err
    for agency in ("zhejiang/330822/police", "zhejiang/330824/police"):
        nodes.key(agency, "clerk")
    monkeypatch.setenv("BRIDGEHEAD_CLIENT", str(home / "clients" / "330822-police" / "profile.toml"))
    run("permit", "list")
    run("permit", "list", "--home", home, "--agency", "zhejiang/330824/police")

    unknown = run("permit", "list", "--home", nodes.folder, "--agency", "jiangxi/999999/police", code=2)
    assert "jiangxi/361123/police" in unknown.err
    assert "[FEDERATION_FILE]" in run("permit", "list", "--home", tmp_path, "--agency", HALL, code=2).err
    assert "[FILE_MISSING]" in run("permit", "list", "--client", tmp_path / "p.toml", code=2).err
    (tmp_path / "p.toml").write_text("node = 1")
    assert "[PROFILE]" in run("permit", "list", "--client", tmp_path / "p.toml", code=2).err


def test_request_id_that_is_no_uuid_refused(nodes):
    """An idempotency key has one form."""
    assert "[REQUEST_ID]" in nodes.ask(HALL, "permit", "list", "--request-id", "one", code=2).err
