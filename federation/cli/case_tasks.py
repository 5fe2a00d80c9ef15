"""`bridgehead case task`: the tasks of a joint case (任务): given, accepted, done, verified, each step by an act.

Nothing is kept of a task but the acts about it: the list is what the case's entries made of them. Which of them a stage
allows, and to which role, the procedure says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from federation.cli.cases import USUAL, CodeArgument, ReasonOption, do_act
from federation.cli.options import Desk, command, paper_digest
from federation.cli.show import table
from federation.cli.tree import identifier
from federation.cli.words import overdue_mark, pair, said
from federation.domain.acts import ACTS
from federation.domain.case_items import CaseItem
from federation.wire.agency import cases as wire

app = typer.Typer(name="task", no_args_is_help=True, help="Tasks of a case (任务): list, give, accept, done, verify.")
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="How the case calls the task, such as t1.")]
DayOption = Annotated[str, typer.Option("--due", help="The last day: YYYY-MM-DD.")]


@command(app, "list", usual=USUAL)
def list_(desk: Desk, code: CodeArgument) -> None:
    """List the tasks (任务清单) of a case: who has each, how it stands, what you may do about it."""
    view = desk.call(wire.READ_CASE, code, changes=False)
    desk.show(view, task_lines(view.tasks))


@command(app, "give", usual=USUAL)
def give(
    desk: Desk,
    code: CodeArgument,
    task: TaskArgument,
    office: Annotated[str, typer.Argument(metavar="AGENCY", help="Who is to do it."), identifier],
    due: DayOption = "",
    text: Annotated[str, typer.Option("--text", help="What is to be done; no person's number.")] = "",
    tag: Annotated[str, typer.Option("--tag", help="Its kind, one word such as joint_build.")] = "",
) -> None:
    """Give (交办) an office a task, as a resolution of the case."""
    given = {"task": task, "owner": office, "due": due, "tag": tag}
    item = {"text": text, "owner": office, "due": due, "tag": tag}
    filed = (CaseItem(kind="resolution", fields={name: value for name, value in item.items() if value}),)
    do_act(desk, code, "record_item", _given(given), filed=filed if text else ())


@command(app, "done", usual=USUAL)
def done(
    desk: Desk,
    code: CodeArgument,
    task: TaskArgument,
    paper: Annotated[Path, typer.Option("--paper", help="The paper (办结材料) that shows it; it stays here.")],
) -> None:
    """Report the result (办结) of a task of your office; another one verifies it."""
    do_act(desk, code, "report_result", (f"task={task}", f"manifest={paper_digest(paper)}"))


@command(app, "more-time", usual=USUAL)
def more_time(desk: Desk, code: CodeArgument, task: TaskArgument, due: DayOption) -> None:
    """Ask for more time (申请延期) for a task of your office."""
    do_act(desk, code, "ask_more_time", (f"task={task}", f"due={due}"))


@command(app, "grant-time", usual=USUAL)
def grant_time(desk: Desk, code: CodeArgument, task: TaskArgument, due: DayOption) -> None:
    """Give more time (同意延期) for a task whose office asked for it."""
    tasks = desk.call(wire.READ_CASE, code, changes=False).tasks
    asked = next((each.asked for each in tasks if each.name == task), "")
    do_act(desk, code, "grant_time", _given({"task": task, "due": due, "about": asked}))


def _plain(verb: str, act: str) -> None:
    def run(desk: Desk, code: CodeArgument, task: TaskArgument) -> None:
        do_act(desk, code, act, (f"task={task}",))

    _add(verb, act, run)


def _with_reason(verb: str, act: str) -> None:
    def run(desk: Desk, code: CodeArgument, task: TaskArgument, reason: ReasonOption = None) -> None:
        do_act(desk, code, act, _given({"task": task, "why": reason or ""}))

    _add(verb, act, run)


def _add(verb: str, act: str, run: Callable[..., None]) -> None:
    run.__doc__ = f"{ACTS[act].en.capitalize()} ({ACTS[act].zh})."
    command(app, verb, usual=USUAL)(run)


_PLAIN: Final = {
    "accept": "accept_task", "progress": "report_progress", "verify": "verify", "carry-over": "carry_over",
    "consent-drop": "consent_drop", "drop": "drop_task",
}  # fmt: skip
_WITH_REASON: Final = {"decline": "decline_task", "return": "return_task", "reopen": "reopen"}
for _verb, _act in _PLAIN.items():
    _plain(_verb, _act)
for _verb, _act in _WITH_REASON.items():
    _with_reason(_verb, _act)
VERBS: Final = {
    act: verb
    for verb, act in {
        **_PLAIN,
        **_WITH_REASON,
        "done": "report_result",
        "more-time": "ask_more_time",
        "grant-time": "grant_time",
    }.items()
}
"""The command of each act about a task."""


def _given(said: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in said.items() if value]


def task_lines(tasks: Iterable[wire.CaseTask]) -> Iterator[str]:
    return table(
        tasks,
        ("task", lambda task: task.name),
        ("owner", lambda task: str(task.owner)),
        ("due", lambda task: f"{task.due or '-'}{overdue_mark() if task.late else ''}"),
        ("state", lambda task: said("待认领|open") if task.state == "open" else pair(task.state_zh, task.state_en)),
        ("offers", lambda task: ", ".join(VERBS[act] for act in task.offers if act in VERBS)),
    )
