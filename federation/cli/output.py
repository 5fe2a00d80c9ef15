"""How every command speaks: stdout is data, stderr is talk, the exit code is the answer.

Exit codes: 0 done, 1 refused or not verified, 2 usage, 3 unreachable.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from federation.protocol.errors import BridgeheadError, UnavailableError

if TYPE_CHECKING:
    from rich.progress import Progress

JsonOut: TypeAlias = "str | int | float | bool | Sequence[JsonOut] | Mapping[str, JsonOut] | None"


class Form(StrEnum):
    """How data is printed: for a person, or as JSON for a program."""

    TEXT = "text"
    JSON = "json"


FormOption = Annotated[Form, typer.Option("-o", "--output", help="text for people, json for programs.")]


def say(sentence: str) -> None:
    """Prints talk for a person to stderr."""
    print(sentence, file=sys.stderr, flush=True)


def show_json(value: JsonOut) -> None:
    """Prints one JSON value to stdout, readable and with Chinese as it is."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def show_one(name: str, text: str, form: Form) -> None:
    """Prints the one value that a command answers with: bare for a person or a pipe, named in an object as JSON."""
    if form is Form.JSON:
        show_json({name: text})
    else:
        print(text)


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows as a plain table on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def exit_code(error: BridgeheadError) -> int:
    """The exit code that answers for an error: 3 when something could not be reached, else 1."""
    return 3 if isinstance(error, UnavailableError) else 1


@contextmanager
def progress(description: str, total: int | None) -> Iterator[Progress]:
    """A progress bar on stderr; it shows only on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.add_task(description, total=total)
        yield bar
