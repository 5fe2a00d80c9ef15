"""`bridgehead`: the one command; its parts are loaded when they are used, so that help and completion are quick.

Rules kept: an error of the house is one sentence, its reason and what to do next, never a traceback (but with
`BRIDGEHEAD_DEBUG=1`); the exit code is the answer: 0 done, 1 refused or not verified, 2 usage, 3 unreachable, 130
interrupted. What is unexpected is told by its kind only: its words could hold personal data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

from federation.cli.words import (
    LANGUAGE_VARIABLE,
    TALK,
    error_halves,
    error_text,
    half_width,
    halves,
    is_language,
    said,
)
from federation.protocol.errors import BridgeheadError

if TYPE_CHECKING:
    from typer._click.exceptions import ClickException

DEBUG_VARIABLE = "BRIDGEHEAD_DEBUG"
VERSION = "0.1.0"
COMPLETION = "_BRIDGEHEAD_COMPLETE"
"""Set by a shell that asks what may follow."""

PARTS = {
    "node": ("node.app", "Make, run and look at one province's node."),
    "keys": ("keys.app", "Keys and certificates of a node's home."),
    "agreement": ("agreement.app", "What the provinces agreed on: draft, sign, publish, refresh, show."),
    "permit": ("permits.app", "Residence permits (居住证): register, endorse, recognise, show, list, import."),
    "vehicle": ("registers.vehicles", "Vehicles (机动车) of the own county: register, import, show."),
    "enterprise": ("registers.enterprises", "Enterprises (经营主体) of the own county: register, import, show."),
    "lookup": ("intake.app", "Police look-ups across the border (跨省核查): case, search, fetch, history, key."),
    "lead": ("leads.app", "Leads for another province's force (线索移交): hand-over, accept, decline, list."),
    "case": (
        "cases.app",
        "Joint cases of several provinces (联办案件): open, join, act, show, list, due, trace.",
    ),
    "alert": (
        "alerts.app",
        "Alerts between duty desks (警情): raise, claim, stamp, hand over, close, show, list, watch, CAP files.",
    ),
    "duty": ("duty.app", "Duty at the desks of the border counties (值守): show, roster, sign-on, hand-over, patrol."),
    "report": ("figures.app", "Figures (统计报告): quarter, pair, county, response, exercise; deliver, unite."),
    "oversight": (
        "oversight.app",
        "The watch over look-ups (监督): countersign, notices, review, flags, digest, sample, watch.",
    ),
    "erasure": ("erasure.app", "Destroying what was handed over (删除): sent, order, list, run."),
    "function": ("functions.app", "The joint functions (职能清单): what is behind each, and who may hold it."),
    "policy": ("policy.app", "Policies (规则): check them, explain a case, decide again what was decided."),
    "subject": ("corrections.app", "For the person (本人查阅、更正): who asked about me; corrections of a record."),
    "log": ("audit.logs", "Read one exchange log: its head, an entry, a proof."),
    "audit": ("audit.app", "Check the exchange logs, as a stranger would."),
    "demo": ("demo.command.app", "Four provinces on this machine, with synthetic people."),
    "bench": ("bench.app", "Measure this machine."),
}
"""The sub-commands, where each is and what it is for, in the order in which they are listed."""
WITHIN = {
    "alert": {"watch": "alert_watch.app", "document": "alert_documents.app"},
    "case": {"document": "documents.app", "task": "case_tasks.app"},
}
"""By sub-command, what of it lies in a module of its own, which the rest does not load."""


def main(arguments: Sequence[str] | None = None) -> int:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core writes its own lines to stderr
    given = [half_width(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            _write_what_it_can(stream)  # a terminal without Chinese is no reason to fail
    as_json = _wants_json(given)
    talk = TALK.set(not as_json)
    try:
        code = _run(given, as_json=as_json)
    finally:
        TALK.reset(talk)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _write_what_it_can(stream: TextIOWrapper) -> None:
    """Has a stream escape what it cannot write; one that cannot write Chinese is spoken to in English."""
    stream.reconfigure(errors="backslashreplace")
    try:
        "\u4e2d".encode(stream.encoding)
    except UnicodeEncodeError:
        os.environ.setdefault(LANGUAGE_VARIABLE, "en")


def _run(given: list[str], *, as_json: bool) -> int:
    asked = os.environ.get(LANGUAGE_VARIABLE)
    if asked and not is_language(asked):
        wrong = f"{LANGUAGE_VARIABLE} 只能是 zh、en 或 both | {LANGUAGE_VARIABLE} is zh, en or both"
        _tell(wrong, "USAGE", (), as_json=as_json)
        return 2
    try:
        if ("--help" in given or not any(word.startswith("-") for word in given)) and COMPLETION not in os.environ:
            from federation.cli.help import find_help

            found = find_help(given, PARTS)
            if found is not None:
                text, code = found
                print(text, end="", file=sys.stderr if code else sys.stdout)
                return code
        return _ask_typer(given, as_json=as_json)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return 130
    except BridgeheadError as error:
        from federation.cli.next_step import exit_code, find_next_steps

        _raise_when_debugging()
        _tell(error.message, error.reason, find_next_steps(error, given), as_json=as_json)
        return exit_code(error, given)
    except BrokenPipeError:  # who read us has gone, e.g. `| head`
        return 0
    except OSError as error:
        from federation.cli.next_step import NEXT_STEPS

        _raise_when_debugging()
        _tell(f"{error.strerror}: {error.filename}", "FILE", (NEXT_STEPS["FILE"],), as_json=as_json)
        return 2 if isinstance(error, FileNotFoundError | NotADirectoryError) else 1
    except Exception as error:  # noqa: BLE001 - a clerk is shown no traceback
        _raise_when_debugging()
        steps = (
            f"联系节点管理员；{DEBUG_VARIABLE}=1 显示出处 | tell the node's operator; {DEBUG_VARIABLE}=1 shows where",
        )
        _tell(f"this should not happen: {type(error).__name__}", "INTERNAL", steps, as_json=as_json)
        return 1


def _ask_typer(given: list[str], *, as_json: bool) -> int:
    from typer import Abort
    from typer._click.exceptions import ClickException

    from federation.cli import tree

    try:
        code = tree.whole().main(args=given, prog_name="bridgehead", standalone_mode=False)
    except Abort:
        return 130
    except ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.message, file=sys.stderr)
        else:
            _tell_usage(error, as_json=as_json)
        return error.exit_code
    return code if isinstance(code, int) else 0


def _raise_when_debugging() -> None:
    if os.environ.get(DEBUG_VARIABLE, "0") not in {"", "0"}:
        raise  # noqa: PLE0704 - called where an error is being looked at


def _tell_usage(error: ClickException, *, as_json: bool) -> None:
    """Tells a fault of the command line as it was typed, and where its help is."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "bridgehead"
    own = halves(error.message) or (not getattr(error, "param", None) and not getattr(error, "param_hint", None))
    message = (error.message if own else error.format_message()).rstrip(".")
    _tell(message, "USAGE", (f"查看用法：{where} --help | see: {where} --help",), as_json=as_json)


def _tell(message: str, reason: str, steps: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        chinese, english = error_halves(message, reason)
        data = {"reason": reason, "message": english, "message_zh": chinese, "next": [said(step) for step in steps]}
        from federation.cli.show import json_text

        print(json_text({"error": data}, sys.stderr), file=sys.stderr)
        return
    print(f"bridgehead: {error_text(message, reason)} [{reason}]", file=sys.stderr)
    for step in steps:
        print(f"  -> {said(step)}", file=sys.stderr)


def _wants_json(given: Sequence[str]) -> bool:
    pairs = zip(given, [*given, ""][1:], strict=True)
    return any(
        (name in {"-o", "--output"} and value == "json") or name in {"-ojson", "--output=json"} for name, value in pairs
    )


if __name__ == "__main__":
    sys.exit(main())
