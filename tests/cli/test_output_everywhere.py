"""Every command takes `-o json`: a program can ask whatever a person can."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

from federation.cli.main import main
from tests.scenarios.provinces import NODES

COMMANDS = """
demo|demo stop|node init|node status|node check|node config|keys new|keys show|keys bundle|keys rotate|keys renew|keys client
keys revoke|keys admit|agreement draft|agreement diff|agreement sign|agreement collect|agreement status|agreement publish
agreement refresh|agreement export|agreement show|permit register|permit endorse|permit suspend|permit restore|permit revoke
vehicle register|vehicle import|vehicle show|enterprise register|enterprise import|enterprise show
permit recognise|permit show|permit list|permit import|lookup case open|lookup case close|lookup search|lookup fetch
lookup history|lookup inbox|lookup release|lookup refuse|lookup remind
lookup result|lookup trace|erasure sent|erasure order|erasure list|erasure run
lookup key new|lookup key offer|lookup key register|lookup key withdraw|lookup key list|keys administrator|oversight countersign|oversight notices|oversight review
oversight flags|oversight digest|oversight sample|oversight reviewed|oversight watch|oversight readings
subject report|subject correct|subject corrections|lead hand-over|lead accept|lead decline|lead list
subject grant|subject deny|subject extend|policy check|policy explain|policy replay
report quarter|report pair|report county|report procedure|report response|report exercise|report unite|report deliver
alert raise|alert update|alert cancel|alert claim|alert release|alert stamp|alert hand-over|alert withdraw|alert accept|alert reject
alert close|alert link|alert unlink|alert note|alert keep|alert show|alert history|alert list|alert import|alert export|alert kinds|alert watch|alert hand-in
log checkpoint|log proof|log leaf|audit verify|bench|bench lookup|bench case|bench alert
"""


def run(*arguments: object) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        assert main([str(argument) for argument in arguments]) == 0
    return out.getvalue()


@pytest.mark.parametrize("command", COMMANDS.replace("\n", "|").strip("|").split("|"))
def test_command_takes_output_json(command):
    """`-o` is there, with the two forms it may have."""
    shown = run(*command.split(), "--help")

    assert "--output" in shown
    assert "text|json" in shown


def test_keys_commands_answer_in_json(tmp_path):
    """What a person reads as one line, a program reads as a named value."""
    home, agency = tmp_path / "home", "zhejiang/330822/police"
    run("keys", "new", "--home", home, "--node", "zhejiang", "--nodes", NODES)

    renewed = json.loads(run("keys", "renew", "--home", home, "-o", "json"))
    assert {"file", "uris", "serial", "expires"} == set(renewed[0])
    profile = json.loads(run("keys", "client", agency, "--home", home, "-o", "json"))["profile"]
    assert profile.endswith("330822-police/profile.toml")
    assert json.loads(run("keys", "revoke", agency, "--home", home, "-o", "json"))["serial"]
    assert json.loads(run("keys", "rotate", "message", "--home", home, "-o", "json"))["key_id"]
    admitted = json.loads(run("keys", "admit", home / "member-bundle.json", "-o", "json"))
    assert {"key_id", "name"} == set(admitted[0])
    assert json.loads(run("demo", "stop", "--home", tmp_path, "-o", "json")) == {"stopped": {}}


def test_renewed_client_profile_names_the_advertised_address(tmp_path):
    """A node that listens on every address is reached by the name that it advertises."""
    home = tmp_path / "home"
    run(
        "node",
        "init",
        "--home",
        home,
        "--from",
        NODES / "anhui",
        "--set",
        "host=0.0.0.0",
        "--set",
        "advertise=anhui.node",
    )

    profile = json.loads(run("keys", "client", "anhui/341022/police", "--home", home, "-o", "json"))["profile"]

    with open(profile, encoding="utf-8") as file:  # noqa: PTH123 - the path as a program gets it
        assert 'agency_addr = "anhui.node:' in file.read()
