"""Tests of `bridgehead node`: making a home, running it as a process, looking at it."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime

import pytest
import structlog

from federation.cli.node import configure_log
from federation.node.home_store import write_home_store
from federation.node.oversight.flags import plant
from tests.cli.command_line import HALL, run
from tests.ports import free_ports
from tests.scenarios.provinces import NODES, make_federation


@pytest.fixture
def fresh_logging():
    """What `configure_log` changes is put back."""
    before, lines = (logging.root.handlers[:], logging.root.level), structlog.get_config()
    yield
    logging.root.handlers[:], logging.root.level = before
    structlog.configure(**lines)


def test_init_makes_a_home_and_says_what_comes_next(tmp_path):
    """Settings may differ; the bundle is for the other provinces."""
    home = tmp_path / "anhui"

    done = run("node", "init", "--home", home, "--from", NODES / "anhui", "--set", "peer_port=17999")
    made = run("node", "init", "--home", tmp_path / "other", "--from", NODES / "anhui", "-o", "json")

    assert (made.json["node"], made.err) == ("anhui", "")
    assert "anhui/341022/police" in made.json["agencies"]
    assert (home / "member-bundle.json").is_file()
    assert str(home / "member-bundle.json") in done.err
    assert "peer_port = 17999" in (home / "node.toml").read_text()


@pytest.mark.parametrize(
    "settings",
    [["peer_port=99999"], ["colour=red"], ["peer_port"], ["realm=real"], ["node=fujian"]],
)
def test_init_with_a_wrong_setting_leaves_no_home(tmp_path, settings):
    """The setting is named, and the corrected command works."""
    home, options = tmp_path / "anhui", [part for setting in settings for part in ("--set", setting)]

    run("node", "init", "--home", home, "--from", NODES / "anhui", *options, code=2)

    run("node", "init", "--home", home, "--from", NODES / "anhui")


def test_check_names_the_row_that_is_gone_and_ends_with_1(tmp_path):
    """Nothing to say of a whole store; a deleted row is named by its kind, in both languages."""
    home = tmp_path / "anhui"
    run("node", "init", "--home", home, "--from", NODES / "anhui")
    write_home_store(home, lambda tx: plant(tx, "urn:permit:341022:2026:000001", owner="anhui"), now=datetime.now(UTC))
    assert run("node", "check", "--home", home, "-o", "json").json == {"leaves": 0, "findings": []}

    with closing(sqlite3.connect(home / "node.db")) as connection:
        (kind,) = connection.execute("SELECT DISTINCT kind FROM record").fetchone()
        connection.execute("DELETE FROM record")
        connection.commit()

    told = run("node", "check", "--home", home, code=1).out
    assert "缺失 missing" in told
    assert kind in told


def test_init_over_a_home_or_from_nowhere_refused(tmp_path):
    """Keys are never overwritten; a province without a folder is named."""
    run("node", "init", "--home", tmp_path / "a", "--from", NODES / "anhui")

    assert "[HOME_EXISTS]" in run("node", "init", "--home", tmp_path / "a", "--from", NODES / "anhui", code=1).err
    assert "[PROVINCE_MISSING]" in run("node", "init", "--home", tmp_path / "b", "--from", tmp_path, code=2).err


def test_config_tells_where_each_setting_is_from(tmp_path, monkeypatch):
    """The environment outweighs node.toml, which outweighs the default; a password is never printed."""
    home, database = tmp_path / "a", "postgresql+psycopg://bridgehead:secret@db/anhui"
    run("node", "init", "--home", home, "--from", NODES / "anhui", "--set", f"database={database}")
    monkeypatch.setenv("BRIDGEHEAD_GROUP_LIMIT", "7")

    found = run("node", "config", "--home", home, "-o", "json").json

    assert found["group_limit"] == {"value": 7, "from": "environment"}
    assert found["node"] == {"value": "anhui", "from": "node.toml"}
    assert found["drain_seconds"]["from"] == "default"
    assert found["database"]["value"] == "postgresql+psycopg://bridgehead:***@db/anhui"
    assert "secret" not in run("node", "config", "--home", home).out


def test_config_of_no_home_says_how_to_make_one(tmp_path):
    """What is missing is named with the command that makes it."""
    assert "[HOME_MISSING]" in run("node", "config", "--home", tmp_path, code=1).err
    for command in ("node config", "node check", "keys show", "keys rotate message", "agreement refresh"):
        slip = run(*command.split(), "--home", tmp_path / "typo", code=2)
        assert "[HOME_MISSING]" in slip.err


def test_status_of_a_federation_shows_every_node(nodes):
    """One view of all nodes; one node alone by its home or an agency; -o json for programs."""
    whole = run("node", "status", "--home", nodes.folder, "--wait", 60, "-o", "json").json["nodes"]
    own = run("node", "status", "--home", nodes.federation.home("fujian"), "-o", "json").json["nodes"]
    text = nodes.ask(HALL, "node", "status").out

    assert {node["node"] for node in whole} == {"zhejiang", "jiangxi", "fujian", "anhui"}
    assert all(node["agreement_version"] == 1 and node["realm"] == "demo" for node in whole)
    assert [node["node"] for node in own] == ["fujian"]
    assert {peer["node"] for peer in own[0]["peers"]} == {"zhejiang", "jiangxi", "anhui"}
    assert "浙江 zhejiang  bridgehead.example  演示 demo" in text
    assert "版本 version 1  有效 fresh" in text


def test_status_of_a_node_that_is_down_exits_3(tmp_path):
    """What is not reached is said for each node; the others are shown."""
    home = tmp_path / "a"
    run("node", "init", "--home", home, "--from", NODES / "anhui", "--set", f"agency_port={free_ports(1)[0]}")

    done = run("node", "status", "--home", home, "-o", "json", code=3)

    assert done.json["nodes"][0]["reachable"] is False
    assert done.json["nodes"][0]["error"]["reason"] == "PEER_UNREACHABLE"
    assert "not reached" in run("node", "status", "--home", home, code=3).out


def test_serve_without_an_agreement_refused(tmp_path, fresh_logging):
    """A node without an agreement does not start."""
    run("node", "init", "--home", tmp_path / "a", "--from", NODES / "anhui")

    assert "[AGREEMENT_MISSING]" in run("node", "serve", "--home", tmp_path / "a", code=1).err


@pytest.mark.parametrize("vouched", [True, False])
def test_serve_runs_until_it_is_told_to_stop(tmp_path, vouched):
    """The node of a home serves its agencies, logs JSON lines to stderr, and stops in order.

    Alone it signs nothing and says so first, with exit code 1, unless an operator vouches for its log; then it ends with 1,
    too, since no quorum of witnesses has seen what it signed.
    """
    federation = make_federation(tmp_path)
    command = [sys.executable, "-m", "federation.cli.main", "node", "serve", "--home", federation.home("anhui")]
    command += ["--island", "a test: nobody else is started"] if vouched else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lines = [json.loads(next(process.stderr))]
        while lines[-1]["event"] != "node.started":
            lines.append(json.loads(next(process.stderr)))
        asked = ("node", "status", "--home", federation.home("anhui"), "-o", "json")
        status = run(*asked, code=1).json["nodes"][0]
    finally:
        process.send_signal(signal.SIGTERM)
        out, rest = process.communicate(timeout=60)

    lines += [json.loads(line) for line in rest.splitlines()]
    assert process.returncode == 0
    assert out == ""
    assert status["tree_size"] == (2 if vouched else 0)
    assert not status["quorum_met"]
    assert ["0 of 2 witnesses confirmed" in trouble for trouble in status["troubles"]] == ([] if vouched else [True])
    assert lines[-1]["event"] == "node.stopping"
    assert all(line["level"] and line["timestamp"] for line in lines)


def test_log_lines_name_nobody(capsys, fresh_logging):
    """What could name a person is dropped, from our own lines and from those of libraries."""
    configure_log()
    structlog.get_logger().warning(
        "permit.odd", holder_name="徐谷雨", citizen_number="361123219003070012", peer="anhui"
    )
    logging.getLogger("library").warning("a line of a library")

    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())

    assert first["peer"] == "anhui"
    assert "徐谷雨" not in json.dumps(first, ensure_ascii=False)
    assert first["citizen_number"] == "[dropped]"
    assert second["event"] == "a line of a library"


def test_log_lines_for_people(capsys, fresh_logging):
    """`--pretty` is for reading; debug lines come only when asked for."""
    configure_log(pretty=True)
    structlog.get_logger().debug("quiet")
    structlog.get_logger().info("loud", node="anhui")

    told = capsys.readouterr().err
    assert "loud" in told
    assert "quiet" not in told


def test_traceback_in_a_log_line_shows_no_values(capsys, fresh_logging):
    """Values of variables may be personal; only places are logged."""
    configure_log()

    async def fails():
        hidden = "徐谷雨"
        raise ZeroDivisionError(len(hidden))

    try:
        asyncio.run(fails())
    except ZeroDivisionError:
        structlog.get_logger().exception("step.failed")

    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "徐谷雨" not in told
