"""Tests of `bridgehead agreement`: the way of a draft from the first bundle to an agreement in force."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation.cli import agreement, keys, lookups_home
from federation.cli.conformance import Check, Conformance, verify_report
from federation.cli.main import main
from federation.node.home.agreement import load_home_agreement, read_agreement_files
from federation.node.home.keyring import load_keyring
from federation.protocol.errors import UntrustedError
from federation.protocol.form import encode, replace

PROVINCES = ("zhejiang", "jiangxi", "fujian", "anhui")
RUNNER = CliRunner()


def _run(app, *args, code=0):
    result = RUNNER.invoke(app, [str(arg) for arg in args])
    assert result.exit_code == code, (result.exception, result.output)
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    bundles = []
    for name in PROVINCES:
        _run(keys.app, "new", "--home", folder / name, "--node", name)
        _run(keys.app, "bundle", "--home", folder / name, "--out", folder / f"{name}.bundle")
        bundles += ["--bundle", folder / f"{name}.bundle"]
    _run(agreement.app, "draft", "--out", folder / "draft", *bundles)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """Four homes made by the command line, their bundles, and a draft that nobody has signed."""
    return shutil.copytree(made, tmp_path / "copy")


def test_draft_sign_publish_show_from_start_to_end(folder):
    """Signatures come one by one; status exits 1 until three have signed; then it is published, shown, refreshed."""
    draft = folder / "draft"

    for name in PROVINCES[:2]:
        _run(agreement.app, "sign", draft, "--home", folder / name)
    waiting = json.loads(_run(agreement.app, "status", draft, "-o", "json", code=1).stdout)
    refused = RUNNER.invoke(agreement.app, ["publish", str(draft), "--home", str(folder / "anhui")])
    _run(agreement.app, "sign", draft, "--home", folder / "anhui")
    ready = json.loads(_run(agreement.app, "status", draft, "-o", "json").stdout)
    homes = [argument for name in PROVINCES for argument in ("--home", folder / name)]
    published = json.loads(_run(agreement.app, "publish", draft, *homes, "-o", "json").stdout)
    shown = json.loads(_run(agreement.app, "show", "--home", folder / "fujian", "-o", "json").stdout)
    refreshed = json.loads(_run(agreement.app, "refresh", "--home", folder / "jiangxi", "-o", "json").stdout)

    assert waiting["signings"]["targets 1"]["missing"] == ["anhui", "fujian"]
    assert waiting["complete"] is False
    assert isinstance(refused.exception, UntrustedError)
    assert refused.exception.facts["missing"] == "anhui, fujian"
    assert ready["complete"] is True
    assert published == shown
    assert shown["freshness"] == "fresh"
    assert [member["node"] for member in shown["members"]] == sorted(PROVINCES)
    assert refreshed["digest"] == shown["digest"]


def test_show_and_status_for_people_name_what_matters(folder):
    """The text form names nodes and files; talk goes to stderr, so that stdout can be piped."""
    result = _run(agreement.app, "sign", folder / "draft", "--home", folder / "zhejiang")

    assert "targets 1" in result.stdout
    assert "未签 missing" in result.stdout
    assert "ADMITS zhejiang" in result.stderr
    assert "ADMITS" not in result.stdout


class _Gone(io.StringIO):
    """A stream whose reader has gone, as after `2>&1 | head`."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_sign_whose_reader_has_gone_signs(folder, monkeypatch):
    """What is said of a change is for whoever reads it; that nobody does keeps no signature from the draft."""
    for name, stream in zip(PROVINCES, ("stderr", "stdout"), strict=False):
        with monkeypatch.context() as without:
            without.setattr(sys, stream, _Gone())
            main(["agreement", "sign", str(folder / "draft"), "--home", str(folder / name)])

    waiting = json.loads(_run(agreement.app, "status", folder / "draft", "-o", "json", code=1).stdout)
    assert waiting["signings"]["targets 1"]["signed"] == sorted(PROVINCES[:2])


def test_draft_without_bundles_is_a_usage_error(tmp_path):
    """What the command line itself refuses exits 2."""
    _run(agreement.app, "draft", "--out", tmp_path / "draft", code=2)


def test_show_of_a_home_in_text_names_members(folder):
    """A person sees version, freshness and members."""
    draft = folder / "draft"
    for name in PROVINCES[:3]:
        _run(agreement.app, "sign", draft, "--home", folder / name)
    _run(agreement.app, "publish", draft, "--home", folder / "zhejiang")

    shown = _run(agreement.app, "show", "--home", folder / "zhejiang").stdout

    assert "bridgehead.example" in shown
    assert "浙江省" in shown


@pytest.fixture(scope="module")
def agreed_once(made, tmp_path_factory):
    folder = shutil.copytree(made, tmp_path_factory.mktemp("agreed") / "all")
    for name in PROVINCES[:3]:
        _run(agreement.app, "sign", folder / "draft", "--home", folder / name)
    homes = [argument for name in PROVINCES for argument in ("--home", folder / name)]
    _run(agreement.app, "publish", folder / "draft", *homes)
    return folder


@pytest.fixture
def agreed(agreed_once, tmp_path):
    """Four homes under agreement 1."""
    return shutil.copytree(agreed_once, tmp_path / "agreed", symlinks=True)


def _changes(agreed, draft):
    return _run(agreement.app, "diff", draft, "--home", agreed / "fujian").stdout


def _sign_and_publish(agreed, draft, signers, into):
    for name in signers:
        _run(agreement.app, "sign", draft, "--home", agreed / name)
    homes = [argument for name in into for argument in ("--home", agreed / name)]
    return json.loads(_run(agreement.app, "publish", draft, *homes, "-o", "json").stdout)


def test_next_draft_without_bundles_changes_nothing_but_the_version(agreed):
    """Who hands in no bundle stays as it was agreed; nobody is dropped by being forgotten."""
    _run(agreement.app, "draft", "--out", agreed / "second", "--after", agreed / "anhui")

    lines = _changes(agreed, agreed / "second").splitlines()

    assert len(lines) == 1
    assert "agreement 2" in lines[0]


def test_diff_and_sign_tell_in_words_what_changes(agreed, tmp_path):
    """Keys, addresses, agencies, terms, rules and lines: in both languages, before a signature and with it."""
    province, nodes, policies = tmp_path / "fujian", tmp_path / "nodes", tmp_path / "policies"
    shutil.copytree("nodes/fujian", province)
    sheet = (province / "member.toml").read_text()
    sheet = sheet.replace('"F18", "F19", "F20", "F23"', '"F18"', 1).replace(
        "revoked_serials = []", 'revoked_serials = ["1f"]'
    )
    head, _, rest = sheet.partition('[[agency]]\nid = "fujian/350000/audit"')
    (province / "member.toml").write_text(head + "[[agency]]" + rest.partition("[[agency]]")[2])
    text = (agreed / "fujian" / "node.toml").read_text().replace("7301", "7999")
    (agreed / "fujian" / "node.toml").write_text(text)
    shutil.copytree("nodes", nodes)
    terms = (
        (nodes / "agreement.toml").read_text().replace("clock_tolerance_seconds = 60", "clock_tolerance_seconds = 90")
    )
    (nodes / "agreement.toml").write_text(terms)
    shutil.copytree("policies", policies)
    clocks = (policies / "retention.toml").read_text()
    (policies / "retention.toml").write_text(clocks + "# a word more\n")
    _run(keys.app, "rotate", "message", "--home", agreed / "fujian")
    _run(keys.app, "bundle", "--home", agreed / "fujian", "--from", province)
    _run(
        agreement.app, "draft", "--out", agreed / "second", "--after", agreed / "anhui", "--nodes", nodes,
        "--policies", policies, "--bundle", agreed / "fujian" / "member-bundle.json",
    )  # fmt: skip

    shown = _changes(agreed, agreed / "second")
    signed = _run(agreement.app, "sign", agreed / "second", "--home", agreed / "jiangxi").stderr

    assert set(shown.splitlines()) <= set(signed.splitlines())
    for told in (
        "term clock_tolerance_seconds: 60 -> 90", "127.0.0.1:7301 -> 127.0.0.1:7999", "节点地址", "a message key" ,
        "the agency fujian/350000/audit ends", "functions F18, F19, F20, F23 -> F18", "certificate 1f",
        "changes the file policies/retention.toml", "+# a word more",
    ):  # fmt: skip
        assert told.removeprefix("a ") in shown, told
    assert "zhejiang" not in shown


def test_diff_tells_the_new_name_of_an_agency_and_a_root_that_ends_first(agreed, tmp_path):
    """Both names of an office whose functions stay; and until when all of it holds, where the root ends sooner."""
    province, nodes = tmp_path / "fujian", tmp_path / "nodes"
    shutil.copytree("nodes/fujian", province)
    sheet = (province / "member.toml").read_text()
    name = next(line for line in sheet.partition("[[agency]]")[2].splitlines() if line.startswith("name = "))
    (province / "member.toml").write_text(sheet.replace(name, 'name = "新名局"', 1))
    shutil.copytree("nodes", nodes)
    text = (nodes / "agreement.toml").read_text()
    (nodes / "agreement.toml").write_text(re.sub(r"content_lifetime_days = \d+", "content_lifetime_days = 3000", text))
    _run(keys.app, "bundle", "--home", agreed / "fujian", "--from", province)
    _run(
        agreement.app, "draft", "--out", agreed / "second", "--after", agreed / "anhui", "--nodes", nodes,
        "--bundle", agreed / "fujian" / "member-bundle.json",
    )  # fmt: skip

    shown = _changes(agreed, agreed / "second").splitlines()

    old = name.partition('"')[2].rstrip('"')
    assert len(shown) == 2
    assert "its root only until" in shown[0]
    assert "根只到" in shown[0]
    assert f"{old} → 新名局" in shown[1]
    assert f"is renamed: {old} -> 新名局" in shown[1]
    assert "functions" not in shown[1]


def test_sign_of_a_draft_that_says_another_thing_than_the_home_refused(agreed):
    """An edit that no bundle carried into the draft is told by name before a signature; with a new bundle it is signed."""
    home = agreed / "fujian"
    _run(agreement.app, "draft", "--out", agreed / "second", "--after", agreed / "anhui")
    (home / "node.toml").write_text((home / "node.toml").read_text().replace("7301", "7999"))
    sheet = (home / "member.toml").read_text()
    (home / "member.toml").write_text(sheet.replace('"F18", "F19", "F20", "F23"', '"F18"', 1))
    (home / "tls" / "peer-ca.crt").write_bytes((agreed / "anhui" / "tls" / "peer-ca.crt").read_bytes())

    refused = RUNNER.invoke(agreement.app, ["sign", str(agreed / "second"), "--home", str(home)])

    assert refused.exception.reason == "BUNDLE_STALE"
    for word in ("节点地址 address for nodes", "单位 agencies", "证书机构 TLS authority"):
        assert word in str(refused.exception)
    assert "URL for auditors" not in str(refused.exception)


def test_bundle_is_current_once_a_draft_is_published(agreed):
    """The one file of a home says what its settings say, without a command of its own."""
    home = agreed / "zhejiang"
    _run(agreement.app, "draft", "--out", agreed / "second", "--after", agreed / "anhui")
    for name in PROVINCES[:3]:
        _run(agreement.app, "sign", agreed / "second", "--home", agreed / name)
    (home / "node.toml").write_text((home / "node.toml").read_text().replace("7101", "7999"))
    assert "7999" not in (home / "member-bundle.json").read_text()

    _run(agreement.app, "publish", agreed / "second", "--home", home)

    assert "127.0.0.1:7999" in (home / "member-bundle.json").read_text()


def test_draft_with_policies_that_fail_their_check_refused(agreed, tmp_path):
    """What no case table allows is not agreed on: nothing is drafted, and nothing of that kind signed."""
    policies = tmp_path / "policies"
    shutil.copytree("policies", policies)
    table = policies / "cases" / "leads.toml"
    table.write_text(table.read_text().replace('expect = "refused"', 'expect = "allowed"', 1))

    refused = RUNNER.invoke(
        agreement.app,
        ["draft", "--out", str(agreed / "x"), "--after", str(agreed / "anhui"), "--policies", str(policies)],
    )

    assert refused.exception.reason == "POLICY_CHECK"
    assert "leads.toml" in str(refused.exception)
    assert not (agreed / "x").exists()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("/court", "/wizard", "AGENCY_KIND"),
        ('functions = ["F09", "F10", "F11"]', 'functions = ["F13"]', "AGENCY_FUNCTIONS"),
    ],
)
def test_draft_with_an_office_of_no_kind_or_beyond_its_kind_refused(agreed, tmp_path, old, new, reason):
    """A province registers a kind before it has an office of it; a court is no corrections office."""
    province = tmp_path / "anhui"
    shutil.copytree("nodes/anhui", province)
    sheet = (province / "member.toml").read_text()
    assert old in sheet
    (province / "member.toml").write_text(sheet.replace(old, new, 1))
    _run(keys.app, "bundle", "--home", agreed / "anhui", "--from", province)
    bundle = agreed / "anhui" / "member-bundle.json"

    refused = RUNNER.invoke(
        agreement.app,
        ["draft", "--out", str(agreed / "x"), "--after", str(agreed / "fujian"), "--bundle", str(bundle)],
    )

    assert refused.exception.reason == reason
    assert not (agreed / "x").exists()


def test_expel_is_by_name_and_leaves_the_others_under_their_agreement(agreed):
    """Three sign that a fourth is no member; who is unknown, or hands in a bundle, is not expelled."""
    bundle = agreed / "anhui" / "member-bundle.json"
    for arguments, reason in (
        (["--expel", "hunan"], "NOT_A_MEMBER"),
        (["--expel", "anhui", "--bundle", str(bundle)], "AGREEMENT_CONFLICT"),
    ):
        refused = RUNNER.invoke(
            agreement.app, ["draft", "--out", str(agreed / "x"), "--after", str(agreed / "fujian"), *arguments]
        )
        assert refused.exception.reason == reason
    _run(agreement.app, "draft", "--out", agreed / "second", "--after", agreed / "fujian", "--expel", "anhui")

    shown = _changes(agreed, agreed / "second")
    assert "EXPELS anhui: nothing to or from it from agreement 2 on" in shown
    assert "除名 anhui：自协议第 2 版生效起" in shown
    published = _sign_and_publish(agreed, agreed / "second", PROVINCES[:3], PROVINCES[:3])
    assert [member["node"] for member in published["members"]] == ["fujian", "jiangxi", "zhejiang"]
    _run(
        agreement.app, "draft", "--out", agreed / "third", "--after", agreed / "fujian", "--bundle",
        agreed / "anhui" / "member-bundle.json",
    )  # fmt: skip
    assert "ADMITS anhui AGAIN" in _changes(agreed, agreed / "third")


def test_admit_is_by_a_bundle_and_a_home_of_the_new_province(agreed, tmp_path):
    """A fifth province makes its home, hands over its bundle, and pins the root when the draft is published there."""
    province = tmp_path / "hunan"
    province.mkdir()
    for name in ("node.toml", "member.toml"):
        text = Path("nodes/anhui", name).read_text()
        text = text.replace("anhui/341", "hunan/431").replace("anhui/340", "hunan/430").replace("anhui", "hunan")
        (province / name).write_text(text)
    _run(keys.app, "new", "--home", agreed / "hunan", "--node", "hunan", "--nodes", tmp_path)
    _run(
        agreement.app, "draft", "--out", agreed / "second", "--after", agreed / "fujian",
        "--bundle", agreed / "hunan" / "member-bundle.json",
    )  # fmt: skip

    shown = _changes(agreed, agreed / "second")
    published = _sign_and_publish(agreed, agreed / "second", PROVINCES[:3], ("zhejiang", "hunan", "jiangxi"))

    assert "ADMITS hunan" in shown
    assert "hunan: EXERCISES ALONE, not all before" in shown
    assert "hunan: log key hunan.bridgehead.example" in shown  # whose key, in either language
    assert "signatures needed" not in shown  # three of four: who is on trial has no vote
    assert len(published["members"]) == 5
    assert json.loads(_run(agreement.app, "show", "--home", agreed / "hunan", "-o", "json").stdout) == published

    files, report = read_agreement_files(agreed / "jiangxi"), _report(agreed)
    node, digest = verify_report(report, files, now=datetime.now(UTC))
    assert (node, digest) == ("hunan", sha256(report.read_bytes()).hexdigest())
    early = ["draft", "--out", str(agreed / "x"), "--after", str(agreed / "jiangxi"), "--actual", str(report)]
    assert RUNNER.invoke(agreement.app, early).exception.reason == "EXERCISE_SHORT"
    failed = (Check(name="clock", passed=False, found="+90.00 s"),)
    for changes in (
        {"by": "hunan"}, {"checks": failed}, {"checks": ()}, {"made": datetime(2026, 1, 1, tzinfo=UTC)}, {"node": "anhui"},
    ):  # fmt: skip
        with pytest.raises(UntrustedError) as refused:
            verify_report(_report(agreed, **changes), files, now=datetime.now(UTC))
        assert refused.value.reason == "CONFORMANCE_REPORT"
    report.write_bytes(_report(agreed).read_bytes().replace(b"+0.01", b"+0.02"))
    with pytest.raises(UntrustedError):
        verify_report(report, files, now=datetime.now(UTC))


def test_suspension_and_its_end_are_told_before_they_are_signed(agreed):
    """Who is named stays a member, with its keys; nobody is suspended by a bundle, a stranger by nobody."""
    unknown = ["draft", "--out", str(agreed / "x"), "--after", str(agreed / "fujian"), "--suspend", "hunan"]
    assert RUNNER.invoke(agreement.app, unknown).exception.reason == "NOT_A_MEMBER"
    _run(agreement.app, "draft", "--out", agreed / "second", "--after", agreed / "fujian", "--suspend", "anhui")
    assert "SUSPENDS anhui: nothing to or from it" in _changes(agreed, agreed / "second")
    published = _sign_and_publish(agreed, agreed / "second", PROVINCES[:3], PROVINCES)
    assert len(published["members"]) == 4

    _run(
        agreement.app, "draft", "--out", agreed / "third", "--after", agreed / "fujian", "--bundle",
        agreed / "anhui" / "member-bundle.json",
    )  # fmt: skip
    assert "anhui" not in _changes(agreed, agreed / "third")
    _run(agreement.app, "draft", "--out", agreed / "fourth", "--after", agreed / "fujian", "--lift", "anhui")
    assert "LIFTS the suspension of anhui" in _changes(agreed, agreed / "fourth")


def _report(agreed, by="zhejiang", **changes):
    """A report about hunan as `node conform` signs one, but for the changes."""
    keys, home = load_keyring(agreed / by), load_home_agreement(agreed / "fujian", now=datetime.now(UTC))
    facts = {
        "federation": home.federation, "node": "hunan", "by": by, "agreement": home.version, "digest": home.digest,
        "made": datetime.now(UTC).replace(microsecond=0), "checks": (Check(name="clock", passed=True, found="+0.01 s"),),
    }  # fmt: skip
    report = Conformance(**{**facts, **changes})
    path = agreed / "report.json"
    signature = keys.message.sign(b"bridgehead/conformance/v1\n" + encode(report)).hex()
    path.write_bytes(encode(replace(report, signature=signature)))
    return path


@pytest.mark.parametrize("asked", ["zh", "en"])
def test_changed_line_of_a_file_is_shown_whole_in_either_language(monkeypatch, asked):
    """It is signed whole: a bar in a policy hides no half of it from a signer who reads one language."""
    monkeypatch.setenv("BRIDGEHEAD_LANG", asked)
    line = '    +@title("查看 | read")'

    assert agreement._in_words(line) == line
    assert agreement._in_words("接纳 hunan | ADMITS hunan") == {"zh": "接纳 hunan", "en": "ADMITS hunan"}[asked]


def test_sign_of_a_draft_that_does_not_follow_refused(agreed):
    """An older draft, and a second one of the same version: two of them could each come into force at some homes."""
    stale = RUNNER.invoke(agreement.app, ["sign", str(agreed / "draft"), "--home", str(agreed / "fujian")])
    assert stale.exception.reason == "DRAFT_STALE"

    _run(agreement.app, "draft", "--out", agreed / "second", "--after", agreed / "fujian")
    _run(agreement.app, "draft", "--out", agreed / "other", "--after", agreed / "fujian", "--expel", "anhui")
    _run(agreement.app, "sign", agreed / "second", "--home", agreed / "fujian")
    _run(agreement.app, "sign", agreed / "second", "--home", agreed / "fujian")
    twice = RUNNER.invoke(agreement.app, ["sign", str(agreed / "other"), "--home", str(agreed / "fujian")])
    assert twice.exception.reason == "DRAFT_SIGNED"
    _run(agreement.app, "sign", agreed / "other", "--home", agreed / "fujian", "--instead")


def test_client_of_an_agency_that_nobody_agreed_on_refused(agreed):
    """A certificate, or an officer's key, for an office that the other provinces do not know is not issued."""
    _run(keys.app, "client", "fujian/350782/police", "--home", agreed / "fujian")

    for arguments in (
        ["keys", "client", "fujian/350782/market-2", "--home"],
        ["keys", "client", "zhejiang/330822/police", "--home"],
    ):
        refused = RUNNER.invoke(keys.app, [*arguments[1:], str(agreed / "fujian")])
        assert refused.exception.reason in {"AGENCY_NOT_AGREED", "AGENCY_ELSEWHERE", "AGENCY_ID"}
    key = "ed25519:3hUCcwo1Qi/IzyBsb3nIijA8IYoFiCUT0xbdFJKZB8s="
    for county, reason in (("350999", "AGENCY_PROFILE"), ("350782", "OFFER_FORM")):
        found = RUNNER.invoke(
            lookups_home.keys,
            [
                "register",
                key,
                "--home",
                str(agreed / "fujian"),
                "--agency",
                f"fujian/{county}/police",
                "--officer",
                "o-1",
            ],
        )
        assert getattr(found.exception, "reason", None) == reason
