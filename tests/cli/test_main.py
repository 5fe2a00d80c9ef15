"""Tests of the entry point: help, version, exit codes, and what is told of an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

from federation.cli import main as entry
from federation.cli import tree
from federation.cli.bench_at_rest import ORDINARY
from federation.cli.next_step import NEXT_STEPS, find_next_steps
from federation.cli.words import error_halves, error_text
from federation.protocol.errors import (
    ConflictError,
    CorruptError,
    NotFoundError,
    RuleError,
    StaleError,
    UnavailableError,
    UntrustedError,
)
from tests.cli.command_line import run
from tests.cli.parts import load_parts
from tests.scenarios.provinces import NODES

COMMANDS = [
    *((part,) for part in entry.PARTS),
    *(("node", name) for name in ("init", "serve", "status", "config")),
    *(("keys", name) for name in ("new", "show", "bundle", "rotate", "renew", "client", "revoke", "admit")),
    *(("agreement", name) for name in ("draft", "sign", "status", "publish", "refresh", "show")),
    *(
        ("permit", name)
        for name in ("register", "endorse", "suspend", "restore", "revoke", "recognise", "show", "list", "import")
    ),
    *(("log", name) for name in ("checkpoint", "proof", "leaf")),
    ("audit", "verify"),
]


@pytest.fixture
def raising(monkeypatch):
    """A command line with one command, which raises."""

    def prepare(error):
        app = typer.Typer()

        @app.callback()
        def whole() -> None:
            """Does nothing."""

        @app.command()
        def go(output: str = typer.Option("text", "-o")) -> None:
            raise error

        monkeypatch.setattr(tree, "whole", lambda: get_command(app))

    return prepare


def in_a_process(*arguments, **kwargs):
    command = [sys.executable, "-m", "federation.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **kwargs)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command_says_what_it_is_for(command):
    """Every part and every command explains itself on stdout."""
    assert f"bridgehead {' '.join(command)}" in run(*command, "--help").out


def test_home_is_made_and_its_keys_are_shown_without_loading_sql(tmp_path):
    """A command that needs no store is as quick as its own part."""
    home = str(tmp_path / "home")
    made = ["node", "init", "--home", home, "--from", str(NODES / "anhui")]
    probe = (
        f"import sys; from federation.cli.main import main; main({made!r}); main(['keys', 'show', '--home', {home!r}])"
    )

    done = subprocess.run(
        [sys.executable, "-c", f"{probe}; print(*sorted(sys.modules))"], capture_output=True, text=True, check=True
    )

    assert "message" in done.stdout
    assert not {"sqlmodel", "sqlalchemy", "grpc"} & set(done.stdout.splitlines()[-1].split())


HEAVY = {"grpc", "google", "sqlmodel", "sqlalchemy", "cryptography", "cedarpy", "tuf", "pydantic", "rich", "starlette"}


def loaded_by(*commands, cache):
    """The modules that a process has after it did the commands, one by one; what they print is passed over."""
    probe = (
        "import contextlib, io, sys\nfrom federation.cli.main import main\n"
        f"for command in {commands!r}:\n with contextlib.redirect_stdout(io.StringIO()): main(list(command))\n"
        "print(*sorted(sys.modules))"
    )
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=env)
    return set(done.stdout.split())


def test_help_loads_nothing_of_what_it_tells(tmp_path):
    """A screen that was shown once is shown from the cache: neither a part nor a library is loaded for it."""
    screens = [["--help"], *([part, "--help"] for part in entry.PARTS), ["permit", "list", "--help"]]
    loaded_by(*screens, cache=tmp_path)

    loaded = loaded_by(*screens, cache=tmp_path)

    assert not loaded & (HEAVY | {"typer", "msgspec", "asyncio", "federation.cli.permits"})


def test_help_is_made_anew_when_a_source_changed(tmp_path, monkeypatch):
    """What is kept under another stamp, or cannot be read, is not shown; a cache that cannot be written is no error."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = run("permit", "--help").out
    [kept] = (tmp_path / "bridgehead").iterdir()

    for wrong in ('{"stamp": "of yesterday", "made": {}}', "no JSON", "[]"):
        kept.write_text(wrong)
        assert run("permit", "--help").out == first
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept))
    assert run("permit", "--help").out == first


NOT_FOR_A_LIST = {
    "cedarpy", "sqlmodel", "sqlalchemy", "sqlite3", "pydantic", "pydantic_settings", "starlette", "uvicorn", "tuf",
    "rich.console", "openpyxl", "structlog", "prometheus_client", "hypothesis", "federation.protocol.policy.explain",
    "federation.cli.alert_watch", "federation.cli.alert_screen", "federation.cli.documents", "federation.cli.case_tasks",
    "federation.cli.row_files", "federation.cli.help",
}  # fmt: skip
"""What would make the counter wait: stores, servers, engines, what draws, and what other commands of a part do."""


def test_ordinary_command_loads_what_it_needs_only(tmp_path):
    """A desk that asks its node loads gRPC, and of a node's code how its profile and keys are read: no more."""
    home, agency = tmp_path / "home", "anhui/341022/police"
    run("node", "init", "--home", home, "--from", NODES / "anhui")
    run("lookup", "key", "new", "--officer", "me", "--home", home, "--agency", agency)

    lines = [words.split() for words, who in ORDINARY.items() if "/" in who and "{" not in words]
    asked = [[*line, "--home", str(home), "--agency", agency] for line in lines]
    loaded = loaded_by(*asked, cache=tmp_path)

    assert "grpc" in loaded
    assert loaded & NOT_FOR_A_LIST == set()
    of_nodes = {name for name in loaded if name.startswith(("federation.node.", "federation.store"))}
    assert of_nodes == {"federation.node.home", "federation.node.home.files"}


def test_list_of_functions_loads_no_node_once_it_was_shown(tmp_path):
    """The kinds of message that there are, are kept as help screens are: its code is loaded for them once."""
    asked = ["function", "list", "--policies", str(NODES.parent / "policies")]
    assert "federation.node.features" in loaded_by(asked, cache=tmp_path)

    loaded = loaded_by(asked, cache=tmp_path)

    assert loaded & (HEAVY - {"cryptography"} | {"federation.node.features"}) == set()


def test_version_is_printed():
    """`--version` is data."""
    assert run("--version").out == f"bridgehead {entry.VERSION}\n"


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["permit", "nothing"], ["permit", "show"], ["permit", "list", "--page-size", "many"]]
)
def test_wrong_usage_exits_2(arguments):
    """An unknown command, a missing argument, a word where a number belongs: exit 2, on stderr."""
    done = run(*arguments, code=2)

    assert done.out == ""
    assert "[USAGE]" in done.err


def test_misspelt_command_is_suggested():
    """A typing error is met with the command that was meant."""
    assert "'permit'" in run("permti", code=2).err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnavailableError("PEER_UNREACHABLE", "nobody there"), 3),
        (NotFoundError("PERMIT_UNKNOWN", "no such permit"), 1),
        (UntrustedError("SIGNATURE", "not theirs"), 1),
        (StaleError("STATEMENT_EXPIRED", "too old"), 1),
        (CorruptError("LOG_HEAD", "contradicts itself"), 1),
        (RuleError("PERMIT_ENDED", "it is revoked"), 1),
        (ConflictError("VERSION_CONFLICT", "changed meanwhile"), 1),
    ],
)
def test_error_of_the_house_is_a_sentence_with_its_reason(raising, error, code):
    """In the words of the error, with its reason, without a traceback; 3 when something is unreachable, else 1."""
    raising(error)

    done = run("go", code=code)

    assert done.err.startswith(f"bridgehead: {error_text(error.message, error.reason)} [{error.reason}]\n")
    assert f"| {error.message} [" in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_error_as_json_when_json_was_asked_for(raising):
    """A program reads reason, message and the next steps from stderr."""
    raising(RuleError("ENDORSEMENT_LATE", "the full year is over"))

    error = json.loads(run("go", "-o", "json", code=1).err)["error"]

    assert error == {
        "reason": "ENDORSEMENT_LATE",
        "message": "the full year is over",
        "message_zh": error_halves("the full year is over", "ENDORSEMENT_LATE")[0],
        "next": [NEXT_STEPS["ENDORSEMENT_LATE"]],
    }


def test_unexpected_error_tells_its_kind_and_not_its_words(raising):
    """The words of a library's error may hold personal data."""
    raising(ZeroDivisionError("徐谷雨"))

    done = run("go", code=1)

    assert "ZeroDivisionError" in done.err
    assert "徐谷雨" not in done.err


def test_file_that_cannot_be_written_is_named(raising):
    """What the operating system refused is told with the file."""
    raising(PermissionError(13, "Permission denied", "/etc/federation.json"))

    assert "Permission denied: /etc/federation.json" in run("go", code=1).err


def test_debugging_shows_the_traceback(raising, monkeypatch):
    """`BRIDGEHEAD_DEBUG=1` lets errors through."""
    raising(RuleError("PERMIT_ENDED", "it is revoked"))
    monkeypatch.setenv(entry.DEBUG_VARIABLE, "1")

    with pytest.raises(RuleError):
        entry.main(["go"])


def test_interrupt_exits_130(raising):
    """Ctrl-C is no error to report."""
    raising(KeyboardInterrupt())

    assert run("go", code=130).err == ""


def test_reader_that_goes_away_is_no_error():
    """`bridgehead ... | head -0` ends quietly."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "federation.cli.main", "permit", "--help"]

    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(write)

    assert done.stderr == ""


def test_exit_code_reaches_the_shell():
    """The process ends with the code; a terminal without Chinese is no reason to fail."""
    assert in_a_process("permit", "show", "x").returncode == 2
    done = in_a_process("permit", "--help", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_knows_parts_and_commands(shell):
    """Completion names parts without loading them, and commands of a part by loading it."""
    env = {
        **os.environ,
        "_BRIDGEHEAD_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "bridgehead permit re",
        "COMP_WORDS": "bridgehead permit re",
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }

    done = in_a_process(env=env)

    assert {"register", "revoke", "recognise"} <= set(done.stdout.replace('"', " ").replace(":", " ").split())


def test_show_completion_prints_a_script():
    """`--show-completion` is typer's own."""
    told = in_a_process(
        "--show-completion", "bash", env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    )

    assert "bridgehead" in told.stdout


def test_next_steps_of_an_error_that_can_be_repeated_name_the_request():
    """Under the same id it is done once."""
    error = UnavailableError("STORE_BUSY", "busy", request_id="id-1")

    assert any("--request-id id-1" in step for step in find_next_steps(error))
    assert find_next_steps(CorruptError("LOG_HEAD", "broken"))
    assert find_next_steps(UnavailableError("STORE_BUSY", "busy"))
    assert find_next_steps(RuleError("NOBODY_KNOWS", "a rule")) == ()


def test_next_steps_are_in_both_languages():
    """Chinese first, English after the bar."""
    load_parts()
    assert all(" | " in step and not step.isascii() for step in NEXT_STEPS.values())


def test_path_in_a_folder_that_is_not_there_is_usage(tmp_path):
    """A slip of who typed; a path that is there and cannot be written is none."""
    assert "[FILE]" in run("lookup", "key", "new", tmp_path / "typo" / "my.pem", code=2).err
    (tmp_path / "folder.csv").mkdir()
    assert "[FILE_EXISTS]" in run("permit", "import", "--template", tmp_path / "folder.csv", code=2).err
