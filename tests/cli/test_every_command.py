"""What holds for every command, over the whole tree: exit codes, errors as JSON, help with Chinese and examples.

A table of the wrong ways to call a command is made from its own options; the right way is the line that its help shows.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from inspect import isfunction, signature

import pytest
from typer._click.core import Command, Context

from federation.cli import tree
from federation.cli.help import read_screens
from federation.cli.main import PARTS
from federation.cli.words import HAN, LANGUAGE_VARIABLE, chinese_help, examples
from tests.cli.command_line import run
from tests.scenarios.provinces import NODES

OFFICE = "anhui/341022/police"
MAY_LITTLE = "anhui/341022/court"
"""Of no province that the examples name, and no desk."""
NO_NODE = {
    "alert watch", "alert hand-in", "case watch", "oversight watch", "lookup key new", "lookup key offer", "node status",
    "alert import", "case document add", "vehicle import", "enterprise import", "permit import", "alert document add",
    "lead hand-over", "lookup fetch", "permit register", "audit mandate",
}  # fmt: skip
"""They go on trying, ask nobody, or judge first what this line only stands for: a file, a handle, a county, a mandate."""


def walk(command: Command, name: str = "") -> Iterator[tuple[str, Command]]:
    inner = getattr(command, "commands", None)
    if inner is None or command.invoke_without_command:
        yield name, command
    for word, each in (inner or {}).items():
        if not each.hidden:
            yield from walk(each, f"{name} {word}".strip())


COMMANDS = dict(walk(tree.whole()))
EXAMPLES = {name: [shlex.split(line)[1:] for line in examples(name)] for name in COMMANDS}


def as_json(name: str) -> list[str]:
    """Has the errors of a command as JSON; `-o json` is understood, too, where a command has no such option."""
    return ["-o", "json"] if any("--output" in param.opts for param in COMMANDS[name].params) else []


def malformed(command: Command) -> Iterator[tuple[str, str]]:
    """Values that an option cannot have."""
    for param in command.params:
        kind = param.type_descriptor
        if param.param_type_name == "option" and not param.is_flag:
            bare = str(kind.annotation)
            if kind.is_choice or kind.is_datetime or kind.is_ranged or "int" in bare or "float" in bare:
                yield param.opts[-1], "no-such-thing"
            if kind.is_ranged and param.min is not None:
                yield param.opts[-1], str(param.min - 1)


def assert_usage(done, *, told_as_json: bool) -> None:
    assert done.code == 2, done
    assert done.out == ""
    if told_as_json:
        error = done.error
        assert error["reason"] == "USAGE"
        assert error["message"]
        assert HAN.search(error["message_zh"])
    else:
        assert "[USAGE]" in done.err


@pytest.mark.parametrize("part", PARTS)
def test_wrong_use_of_every_command_is_2_with_nothing_on_stdout(part):
    """An option that is not there, a missing argument, a malformed value: 2, the error on stderr, as JSON if asked."""
    for name, command in COMMANDS.items():
        if name.split()[0] != part:
            continue
        words, form = name.split(), as_json(name)
        assert_usage(run(*words, *form, "--no-such-option", code=None), told_as_json=bool(form))
        if any(param.required for param in command.params):
            assert_usage(run(*words, *form, code=None), told_as_json=bool(form))
        for option, value in malformed(command):
            form = [] if option == "--output" else form
            assert_usage(run(*words, *form, option, value, code=None), told_as_json=bool(form))


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """The options of an office whose node is not there, with an own key."""
    home = tmp_path_factory.mktemp("office") / "a home ~ 之家"
    run("node", "init", "--home", home, "--from", NODES / "anhui")
    options = ["--home", str(home), "--agency", OFFICE]
    run("lookup", "key", "new", "--officer", "me", *options)
    return options


DESKS = [
    name
    for name, command in COMMANDS.items()
    if {"client", "agency", "timeout"} <= {param.name for param in command.params} and EXAMPLES[name]
]


def test_every_desk_is_told_that_its_node_is_not_there_with_3(office):
    """The line that the help shows, when the node is down: 3, nothing on stdout, the reason as JSON."""
    wrong = {}
    for name in sorted(set(DESKS) - NO_NODE):
        done = run(*EXAMPLES[name][0], *office, "-o", "json", "--timeout", "0.5", code=None)
        if (done.code, done.out) != (3, "") or done.error["reason"] != "PEER_UNREACHABLE":
            wrong[name] = done

    assert wrong == {}


STREAMS = {"alert watch", "case watch", "oversight watch"}
MAKES_A_FILE = {"lookup key new", "lookup key offer", "audit mandate"}


def test_every_no_is_json_alone_with_what_to_do_next(nodes):
    """Where policy, the law or the node says no to a desk, a program reads it and what to do next as one JSON object."""
    wrong, noes = {}, 0
    for name in sorted(set(DESKS) - STREAMS - MAKES_A_FILE):
        done = nodes.ask(MAY_LITTLE, *EXAMPLES[name][0], "-o", "json", code=None)
        errors = [json.loads(line)["error"] for line in done.err.splitlines()]
        told = json.loads(done.out) if done.out else errors[0]
        refused = isinstance(told, dict) and told.get("decision", {}).get("verdict") == "refused"
        noes += refused
        if len(errors) != (not done.out) or (refused and not (done.code == 1 and told.get("next"))):
            wrong[name] = done

    assert wrong == {}
    assert noes > 20


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (["--agency", "police"], "AGENCY_ID"),
        (["--agency", "anhui/999999/police"], "AGENCY_PROFILE"),
        (["--home", "no-such-folder", "--agency", OFFICE], "FEDERATION_FILE"),
        (["--client", "no-such-file"], "FILE_MISSING"),
        (["--request-id", "one"], "REQUEST_ID"),
        ([], "USAGE"),
    ],
)
def test_office_that_is_named_wrongly_is_2_at_every_desk(office, wrong, reason):
    """Whoever asks, and under which id, is typed: what is wrong with it is usage. One desk of a part stands for all."""
    for name in {each.split()[0]: each for each in DESKS if each not in NO_NODE}.values():
        options = [*(office if wrong and wrong[0] not in {"--home", "--client"} else ()), *wrong]

        done = run(*EXAMPLES[name][0], *options, "-o", "json", code=2)

        assert (done.out, done.error["reason"]) == ("", reason), name


MADE = {"--out", "--to", "--template", "--hand-over", "--state", "--offline"}
MADE_BY = {
    ("lookup key new", "file"),
    ("agreement export", "out"),
    ("audit export", "out"),
    ("audit mandate", "file"),
    ("keys new", "home"),
    ("node init", "home"),
}
"""Files and folders that a command makes."""
DESK_FILES = {"client", "key"}
LINES = {
    "node init": "node init --home a-home --from nodes/zhejiang",
    "keys new": "keys new --node zhejiang --home a-home",
    "case task done": "case task done CODE t1",
    "alert hand-in": "alert hand-in FILE",
    "alert import": "alert import FILE --desk 330822.governance",
    "alert document add": "alert document add 1 FILE",
    "duty enrol": "duty enrol 330824.guards",
    "erasure order": "erasure order ID --words WHY --second me",
    "lookup planted add": "lookup planted add 330822",
    "lookup planted remove": "lookup planted remove NAME",
    "log restart": "log restart --why lost",
    "report deliver": "report deliver FILE",
    "report unite": "report unite FILE FILE --agreement agreement.zip --root 00",
    "policy explain": "policy explain NAME",
    "audit export": "audit export evidence.zip",
    "log proof": "log proof 1 --node zhejiang",
    "log leaf": "log leaf 1 --node zhejiang",
    "log checkpoint": "log checkpoint --node zhejiang",
    "audit verify": "audit verify",
}
"""Lines for commands whose help shows none, or one that names another file in the place of this."""


def files_read() -> Iterator[tuple[str, str, str]]:
    """Commands with each of their files or folders that must be there: its parameter, its option if it is one."""
    for name, command in COMMANDS.items():
        of_a_desk = {"client", "agency"} <= {param.name for param in command.params}
        for param in command.params:
            is_path = "Path" in str(param.type_descriptor.annotation) and (name, param.name) not in MADE_BY
            of_all = of_a_desk and param.name in {*DESK_FILES, "home"}
            if name.split()[0] not in {"bench", "demo"} and is_path and not of_all and param.opts[-1] not in MADE:
                yield name, param.name, param.opts[-1] if param.param_type_name == "option" else ""


def without_file(name: str, parameter: str, option: str, gone: str) -> list[str]:
    """The line of a command in which one file is one that is not there."""
    line = shlex.split(LINES[name]) if name in LINES else list(EXAMPLES[name][0])
    if option == "--file":  # in the place of a name
        line = line[:2]
    if option in {"--federation", "--home", "--profile"} and "--agreement" in line:  # in its place
        place = line.index("--agreement")
        line = line[:place] + line[place + 2 :]
    if option:
        place = line.index(option) if option in line else len(line)
        return [*line[:place], option, gone, *line[place + 2 :]]
    given = Context(COMMANDS[name], info_name=name)
    COMMANDS[name].parse_args(given, line[len(name.split()) :])
    value = given.params[parameter]
    return [gone if word == str(value) else word for word in line] if value is not None else [*line, gone]


def test_file_that_is_not_there_is_2_for_every_command(office, tmp_path, monkeypatch):
    """A file or a folder that was typed and is nowhere is a slip, for each command and each of its files."""
    monkeypatch.chdir(tmp_path)
    wrong, tried = {}, list(files_read())
    for place, (name, parameter, option) in enumerate(tried):
        line = without_file(name, parameter, option, f"nowhere-{place}")
        of_a_desk = {"client", "agency"} <= {param.name for param in COMMANDS[name].params}
        done = run(*line, *(office if of_a_desk else ()), code=None)
        if done.code != 2 or done.out or "[USAGE]" in done.err:
            wrong[name, parameter] = done, line

    assert wrong == {}
    assert len(tried) > 40
    assert run("policy", "explain", "no such case", "--policies", NODES.parent / "policies", code=2).out == ""


@pytest.mark.parametrize(
    ("line", "reason", "near", "whole"),
    [
        ("case list --purpose wage.klaim", "PURPOSE_UNKNOWN", "wage.claim", "function list"),
        ("case lists wage-klaim", "PROCEDURE_UNKNOWN", "wage-claim", "case lists"),
        ("case figures wage-klaim --since 2026-01-01", "PROCEDURE_UNKNOWN", "wage-claim", "case lists"),
        ("case open wage-klaim --role centre --division 330822", "PROCEDURE_UNKNOWN", "wage-claim", "case lists"),
        ("report procedure wage-klaim --period 2026Q4", "PROCEDURE_UNKNOWN", "wage-claim", "case lists"),
        ("alert kinds accidnt", "ALERT_KIND_UNKNOWN", "accident", "alert kinds"),
        ("alert kinds 森林大火", "ALERT_KIND_UNKNOWN", "森林火灾", "alert kinds"),
        ("duty roster 330822.governnance", "DUTY_DESK", "330822.governance", "duty show"),
        ("duty show 330882", "DUTY_COUNTY", "330822", ""),
        (
            f"policy explain '永久居住 certifcate' --policies {NODES.parent / 'policies'}",
            "CASE_NAME",
            "",
            "policies/cases",
        ),
    ],
)
def test_word_of_no_list_names_those_that_are_like_it_and_where_they_are_listed(nodes, line, reason, near, whole):
    """2, the nearest words in both languages, and the command that lists all: for whoever typed one letter wrongly."""
    desk = line.partition(" ")[0] != "policy"
    ask = partial(nodes.ask, "zhejiang/330822/governance") if desk else run
    error = ask(*shlex.split(line), "-o", "json", code=2).error

    assert error["reason"] == reason
    assert near in error["message"]
    assert near in error["message_zh"]
    assert whole in "".join(error["next"])


NAMES = {"ALERT", "OTHER", "CASE", "CODE", "URN", "PLATE", "USCC", "LOOKUP", "LOOKUP_ID", "LEAD", "ENTRY", "MESSAGE", "ID",
         "DESK", "AGENCY", "GROUP", "VOLUNTEER"}  # fmt: skip
"""Arguments that are the name of something; of the options `--case`, `--entry` and `--permit`."""


def test_every_name_is_read_as_people_type_it():
    """Beside each argument and option that names something stands the function that reads it."""
    read, unread = [], []
    for name, command in COMMANDS.items():
        own = signature(getattr(command.callback.__wrapped__, "run", command.callback), eval_str=True).parameters
        for param in command.params:
            is_argument = param.param_type_name == "argument"
            is_name = (is_argument and param.metavar in NAMES) or param.opts[-1] in {"--case", "--entry", "--permit"}
            if is_name and param.name in own:
                is_read = any(map(isfunction, own[param.name].annotation.__metadata__))
                (read if is_read else unread).append(f"{name} {param.name}")

    assert unread == []
    assert len(read) > 90


def test_every_example_is_read_as_its_command(office):
    """A line that a help screen shows is one that the command takes."""
    whole = tree.whole()
    for name, lines in EXAMPLES.items():
        for line in lines:
            command, context, rest = whole, Context(whole, info_name="bridgehead"), line
            while rest and rest[0] in getattr(command, "commands", {}):
                command = command.commands[rest[0]]
                rest, context = rest[1:], Context(command, info_name=rest[0], parent=context)
            assert context.command_path == f"bridgehead {name}"
            command.parse_args(context, list(rest))


def test_every_part_shows_an_example():
    """Who is new sees a line to type; every command of an office that needs more than a number has one."""
    assert {name.split()[0] for name, lines in EXAMPLES.items() if lines} >= set(PARTS) - {"subject"}


def test_help_tells_who_may_use_a_command_and_what_it_needs():
    """By its options and by the RPCs that it calls: an office, the police, a key's administrator, an operator."""
    alone = [name for name, command in COMMANDS.items() if not hasattr(command, "commands")]
    told = {name: " ".join(read_screens(name.split()[0], PARTS)[name]["who"]) for name in alone}

    assert all(told.values())
    assert "公安机关" in told["lookup case open"]
    assert "密钥管理员" in told["lookup key register"]
    assert "节点管理员" in told["node init"]
    assert "不需要节点" in told["function list"]


def in_a_process(*arguments, **environment):
    command = [sys.executable, "-m", "federation.cli.main", *map(str, arguments)]
    env = {name: value for name, value in os.environ.items() if name != LANGUAGE_VARIABLE} | environment
    return subprocess.run(command, capture_output=True, check=False, timeout=60, env=env)


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "ascii"])
def test_json_is_json_in_any_terminal(office, encoding):
    """What a program reads is JSON in the characters of the stream: escaped where it is not UTF-8; no colour anywhere."""
    home = office[1]
    arguments = ("keys", "show", "--home", home, "-o", "json")
    shown = in_a_process(*arguments, PYTHONIOENCODING=encoding)
    wrong = in_a_process("permit", "list", "--page-size", "𠀀", "-o", "json", PYTHONIOENCODING=encoding)

    assert json.loads(shown.stdout.decode(encoding))
    assert json.loads(wrong.stderr.decode(encoding))["error"]["reason"] == "USAGE"
    assert (shown.stdout.isascii() and wrong.stderr.isascii()) is (encoding != "utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "ascii"])
def test_text_is_plain_and_readable_in_any_terminal(encoding):
    """No escape sequence and no box in a pipe; where there is no Chinese, English is spoken."""
    shown = in_a_process("permit", "list", "--help", PYTHONIOENCODING=encoding, NO_COLOR="1").stdout.decode(encoding)

    assert not {"\x1b", "│", "╭", "─"} & set(shown)
    assert "\\u" not in shown
    assert bool(HAN.search(shown)) is (encoding != "ascii")


def test_every_sentence_of_a_help_screen_has_its_chinese():
    """Commands, options, arguments, panels and parts, by the table."""
    missing = {
        english
        for part in ("", *PARTS)
        for screen in read_screens(part, PARTS).values()
        for chinese, english in sentences(screen)
        if english and not chinese
    }

    assert sorted(missing) == []
    assert chinese_help("Options") == "选项"


def sentences(screen) -> Iterator[tuple[str, str]]:
    yield from screen["help"]
    for _, pair in screen["commands"]:
        yield pair
    for title, rows in screen["panels"]:
        yield title
        for _, pair, _ in rows:
            yield pair
