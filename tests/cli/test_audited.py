"""Which federation is audited: the one that is named, under a root that is named, and never another one."""

from __future__ import annotations

import io
import json
import shutil
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner

from federation.cli.audit import app, logs
from federation.cli.audited import Sought, find_federation
from federation.node.home.agreement import (
    install_agreement,
    pin_root,
    pinned_root,
    read_archive,
    read_repository,
    write_archive,
)
from federation.node.home.files import client_folder
from federation.node.serve import utc_now
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import parse_agency_id
from federation.protocol.trust.metadata import root_digest
from tests.audit.provinces import JIANGXI, ZHEJIANG
from tests.cli.command_line import run
from tests.cli.served_logs import ServedLogs
from tests.protocol.trust import four
from tests.scenarios.provinces import make_federation

AUDIT = "zhejiang/330000/audit"

pytestmark = pytest.mark.usefixtures("impatient")


def invoke(*arguments):
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


@pytest.fixture(scope="module")
def served():
    logs = ServedLogs()
    logs.provinces.exchange(ZHEJIANG, JIANGXI)
    yield logs
    logs.close()


@pytest.fixture
def files(served, tmp_path):
    """The agreement as a folder that was handed over."""
    served.write(tmp_path)
    return tmp_path / "agreement"


def test_verify_by_a_folder_of_the_agreement_alone(files):
    """The agreement names the nodes, where they are read and their keys: an auditor needs nothing else."""
    result = invoke("--agreement", files)

    assert result.exit_code == 0, result.output
    assert "| 4 logs, 2 entries, 1 messages" in result.stdout
    assert f"first root {root_digest((files / 'metadata/1.root.json').read_bytes())}" in result.stderr
    assert (files.parent / "audit-heads.json").is_file()


def test_verify_by_one_file_and_by_a_home_is_the_same(files, tmp_path):
    """The file of `agreement export`, a node's home and the agreement in it name the same federation."""
    packed, home = tmp_path / "agreement.zip", tmp_path / "home"
    read = find_federation(Sought(agreement=files))
    served_files = read_repository(files)
    write_archive(packed, served_files)
    home.mkdir()
    pin_root(home, served_files.roots[0])
    install_agreement(home, served_files, now=utc_now())

    for named in (packed, home, home / "agreement", home / "agreement" / "current"):
        assert find_federation(Sought(agreement=named)).agreement == read.agreement
    assert invoke("--agreement", packed).exit_code == 0


@pytest.mark.parametrize("form", ["digest", "file"])
def test_root_that_is_named_is_the_one_that_counts(files, tmp_path, form):
    """Whoever hands over the agreement is not believed when the auditor knows the first root."""
    known = files / "metadata/1.root.json"
    good = root_digest(known.read_bytes()) if form == "digest" else known
    other = tmp_path / "other.json"
    other.write_bytes(four.build(four.Plan()).roots[0])
    bad = "00" * 32 if form == "digest" else other

    assert invoke("--agreement", files, "--root", good, "--roots-only").exit_code == 0
    refused = invoke("--agreement", files, "--root", bad)

    assert refused.exception.reason == "AGREEMENT_ROOT"


@pytest.mark.parametrize("program", [(app, "verify"), (logs, "checkpoint", "--node", "zhejiang")], ids=["audit", "log"])
def test_nothing_named_is_a_usage_error_whatever_lies_beside(served, tmp_path, monkeypatch, program):
    """A demo in the folder where somebody happens to stand is not the federation that they meant."""
    served.write(tmp_path)
    (tmp_path / ".demo").mkdir()
    for name in ("agreement", "federation.json"):
        shutil.move(tmp_path / name, tmp_path / ".demo" / name)
    monkeypatch.chdir(tmp_path)

    part, *arguments = program
    assert CliRunner().invoke(part, arguments).exit_code == 2
    assert CliRunner().invoke(part, [*arguments, "--home", ".demo"]).exit_code == 0


def test_two_federations_named_are_a_usage_error(files):
    """One audit is of one federation."""
    assert invoke("--agreement", files, "--federation", files.parent / "federation.json").exit_code == 2


def test_what_is_named_and_is_no_agreement_is_refused(tmp_path):
    """A folder without one, and a file that is none."""
    (tmp_path / "file").write_bytes(b"PK")

    assert isinstance(invoke("--agreement", tmp_path).exception, NotFoundError)
    assert isinstance(invoke("--agreement", tmp_path / "file").exception, MalformedError)


def _zip(entries):
    packed = io.BytesIO()
    with ZipFile(packed, "w", 8) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "entries",
    [
        {"metadata/../../escaped": b"x"},
        {"/etc/escaped": b"x"},
        {f"targets/{number}": b"" for number in range(600)},
        {"metadata/targets.json": b"0" * (1 << 25)},
        {"metadata/targets.json": b"{}"},
        {"metadata": b"", "metadata/targets.json": b"{}"},
    ],
    ids=["above the folder", "absolute", "too many files", "a bomb", "no root", "a file as a folder"],
)
def test_archive_of_a_stranger_writes_nowhere_and_stays_small(tmp_path, entries):
    """A zip comes by mail: it is bounded before it is unpacked, and no name in it leads out of its folder."""
    (tmp_path / "agreement.zip").write_bytes(_zip(entries))

    with pytest.raises(BridgeheadError):
        read_archive(tmp_path / "agreement.zip")

    assert [path.name for path in tmp_path.iterdir()] == ["agreement.zip"]


# ---- nodes that run


def profile(nodes, agency=AUDIT):
    agency = parse_agency_id(agency)
    return client_folder(nodes.federation.home(agency.node), agency) / "profile.toml"


def first_root(nodes):
    return root_digest(pinned_root(nodes.federation.home("zhejiang")))


def test_auditor_with_a_profile_and_the_root_needs_no_file(nodes, tmp_path):
    """The node shows the agreement; the root that the auditor knows says whether it is the one."""
    state = ("--state", tmp_path / "heads.json", "--roots-only", "-o", "json")

    done = run("audit", "verify", "--profile", profile(nodes), "--root", first_root(nodes), *state)

    assert done.json["passed"] is True
    assert len(done.json["logs"]) == 4


def test_agreement_of_a_node_is_believed_under_no_root_or_another_one_by_nobody(nodes):
    """Nobody is trusted on first sight."""
    for root in ((), ("--root", "00" * 32)):
        refused = invoke("--profile", profile(nodes), *root)

        assert isinstance(refused.exception, UntrustedError)
        assert refused.exception.reason == "AGREEMENT_ROOT"


def test_profile_of_another_federation_of_the_same_name_is_refused(nodes, tmp_path):
    """It is told before anything is compared, not by a finding for each message."""
    other = make_federation(tmp_path)

    refused = invoke("--agreement", other.home("zhejiang"), "--profile", profile(nodes))

    assert refused.exception.reason == "FEDERATION_OTHER"
    assert refused.stdout == ""


def test_listing_of_a_node_whose_agreement_is_not_known_is_not_compared(nodes, tmp_path):
    """It did not answer when it was asked under which agreement it stands: what it lists afterwards says nothing."""
    home = nodes.federation.home("zhejiang")
    away = tmp_path / "profile.toml"
    text = profile(nodes).read_text()
    address = next(line for line in text.splitlines() if line.startswith("agency_addr"))
    folder = profile(nodes).parent
    text = text.replace(address, 'agency_addr = "127.0.0.1:9"')
    for name in ("ca", "cert", "key"):
        line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        text = text.replace(line, f'{name} = "{folder / json.loads(line.partition("=")[2])}"')
    away.write_text(text)

    known = find_federation(Sought(agreement=home, profiles=(away,)), confirmed=True)

    assert known.silent.keys() == {"zhejiang"}
    assert replace(known, silent={}, profiles=()) == find_federation(Sought(agreement=home))


def test_export_is_one_file_that_an_auditor_verifies_with(nodes, tmp_path):
    """What the operator writes and the root that is read out are enough."""
    out = tmp_path / "agreement.zip"

    shown = run("agreement", "export", out, "--home", nodes.federation.home("fujian"), "-o", "json").json

    assert shown["first_root"] == first_root(nodes)
    known = find_federation(Sought(agreement=out, root=shown["first_root"]))
    assert known.agreement.digest == shown["digest"]
