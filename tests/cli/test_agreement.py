"""Tests of `bridgehead agreement`: the way of a draft from the first bundle to an agreement in force."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from federation.cli import agreement, keys
from federation.protocol.errors import UntrustedError

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
    assert "Changes against" in result.stderr
    assert "Changes against" not in result.stdout


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
