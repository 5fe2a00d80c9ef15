"""`bridgehead audit verify` against four logs served over HTTP."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from federation.cli.audit import app
from federation.protocol.errors import MalformedError, NotFoundError, UntrustedError
from federation.protocol.tlog.tiles import ENTRIES, Tile, encode_bundle
from tests.audit.provinces import ANHUI, FUJIAN, JIANGXI, ZHEJIANG
from tests.cli.served_logs import STARTED, ServedLogs

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def served():
    logs = ServedLogs()
    logs.provinces.exchange(ZHEJIANG, JIANGXI)
    logs.provinces.exchange(JIANGXI, ZHEJIANG, refused=True)
    for province in logs.provinces.nodes.values():
        for other in logs.provinces.nodes.values():
            if other is not province:
                province.cosign(other, now=STARTED)
    yield logs
    logs.close()


def verify(*arguments, command="verify"):
    return CliRunner().invoke(app, [command, *map(str, arguments)])


def test_verify_of_honest_logs_passes_with_exit_0(served, tmp_path):
    """Exit code 0 says that every log was read whole and nothing is contradicted (DESIGN section 7)."""
    path = served.write(tmp_path)

    result = verify("--federation", path)

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        "通过 PASS\n  存证日志 4 份，条目 4 条，消息 2 条：不符 0 处，提醒 0 处"
        " | 4 logs, 4 entries, 2 messages: 0 findings, 0 warnings\n"
    )
    assert "envelopes and receipts are not audited" in result.stderr


def test_verify_as_json_says_the_same_for_a_program(served, tmp_path):
    """Stdout is data: one JSON object, whatever is said on stderr."""
    served.write(tmp_path)

    result = verify("--home", tmp_path, "-o", "json")

    report = json.loads(result.stdout)
    assert report["passed"] is True
    assert {line["node"]: line["size"] for line in report["logs"]} == {ZHEJIANG: 2, JIANGXI: 2, FUJIAN: 0, ANHUI: 0}
    assert {line["pair"]: line["refused"] for line in report["pairs"]}["jiangxi>zhejiang"] == 1


def test_verify_of_a_tampered_log_fails_with_exit_1_and_names_the_entry(served, tmp_path):
    """Exit code 1 says that something is contradicted; the entry stands in the first finding."""
    path = served.write(tmp_path)
    log = served.provinces[JIANGXI]
    log.tampered[str(Tile(ENTRIES, 0, 2))] = encode_bundle(log.entries[::-1])

    result = verify("--federation", path)

    assert result.exit_code == 1
    assert result.stdout.startswith("不通过 FAIL")
    assert "jiangxi 条目 entry 0: ENTRY_DIFFERS" in result.stdout


def test_verify_remembers_heads_and_finds_a_rollback_the_next_time(served, tmp_path):
    """The second audit knows what the first one verified."""
    path = served.write(tmp_path)
    assert verify("--federation", path).exit_code == 0
    served.provinces[JIANGXI].published = 1
    for province in served.provinces.nodes.values():
        province.others.clear()

    result = verify("--federation", path, "--all")

    assert result.exit_code == 1
    assert "LOG_ROLLED_BACK" in result.stdout


def test_verify_with_a_node_down_ends_with_exit_3(served, tmp_path):
    """Exit code 3 says that somebody could not be asked, and who."""
    path = served.write(tmp_path)
    value = json.loads(path.read_text())
    value["nodes"][3]["read_url"] = "http://127.0.0.1:9"
    path.write_text(json.dumps(value))

    result = verify("--federation", path)

    assert result.exit_code == 3
    assert f"{value['nodes'][3]['node']}: 无法到达 not reached" in result.stdout


def test_verify_under_another_first_root_is_refused(served, tmp_path):
    """The pinned root decides whom to trust; the file's other contents only say where."""
    path = served.write(tmp_path)
    value = json.loads(path.read_text())
    value["agreement"]["root"] = "00" * 32
    path.write_text(json.dumps(value))

    result = verify("--federation", path)

    assert isinstance(result.exception, UntrustedError)
    assert result.exception.reason == "AGREEMENT_ROOT"


@pytest.mark.parametrize(
    ("text", "kind"),
    [(None, NotFoundError), ("{", MalformedError), ("[]", MalformedError), ("{}", MalformedError)],
    ids=["no file", "no JSON", "no object", "nothing in it"],
)
def test_verify_without_a_federation_file_says_what_is_wrong(tmp_path, text, kind):
    """A wrong file is named, with what was expected."""
    if text is not None:
        (tmp_path / "federation.json").write_text(text)

    assert isinstance(verify("--home", tmp_path).exception, kind)


def test_verify_with_an_unknown_option_is_a_usage_error(tmp_path):
    """Exit code 2 is for usage."""
    assert verify("--nope").exit_code == 2


def test_export_is_verified_with_no_node_running(served, tmp_path):
    """The bundle passes and fails by itself, under the root and with the digest of the papers."""
    path, bundle = served.write(tmp_path), tmp_path / "evidence.zip"
    exported = verify(bundle, "--federation", path, "-o", "json", command="export")
    root = json.loads(path.read_text())["agreement"]["root"]
    digest = json.loads(exported.stdout)["digest"]
    for province in served.provinces.nodes.values():
        province.reachable = False

    living, kept = json.loads(exported.stdout), verify("--evidence", bundle, "--root", root, "-o", "json")
    other = verify("--evidence", bundle, "--digest", "0" * 64)

    assert (exported.exit_code, kept.exit_code, other.exit_code) == (0, 0, 1)
    assert json.loads(kept.stdout) == {name: living[name] for name in living if name not in ("digest", "evidence")}
    assert digest in kept.stderr
    assert "evidence: EVIDENCE_CHANGED" in other.stdout
    assert verify("--evidence", bundle, "--root", "00" * 32).exception.reason == "AGREEMENT_ROOT"


def test_first_error_stands_alone_unless_all_are_asked_for(served, tmp_path):
    """The first bad entry and the number of the rest; all of them on request, and always for a program."""
    path = served.write(tmp_path)
    log = served.provinces[JIANGXI]
    log.tampered[str(Tile(ENTRIES, 0, 2))] = encode_bundle([log.entries[0], log.entries[0]])

    first, everything, program = (verify("--federation", path, *more) for more in ((), ("--all",), ("-o", "json")))

    report = json.loads(program.stdout)
    assert (report["first"]["node"], report["first"]["index"]) == (JIANGXI, 1)
    assert first.stdout.count("! ") == 1 < everything.stdout.count("! ") == len(report["findings"])
    assert f"另有 {len(report['findings']) - 1} 处，加 --all 全部列出" in first.stdout
