"""What every command about look-ups does the same way: who acts, how an answer is shown, how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from federation.cli.output import Form, show_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from federation.cli.client_profile import Desk
    from federation.cli.output import JsonOut
    from federation.wire.values import Act


def lookup_act(desk: Desk) -> Act:
    """Who acts and what for: an investigation unless another purpose was given; policy judges what is unknown."""
    from federation.domain.lookup_policy import LOOKUP_FUNCTION, LookupPurpose
    from federation.wire.values import Act

    return Act(
        request_id=desk.request_id,
        purpose=desk.purpose or LookupPurpose.CRIMINAL_INVESTIGATION.value,
        function=desk.function or LOOKUP_FUNCTION,
        officer=desk.officer,
    )


def show(desk: Desk, told: dict[str, JsonOut], lines: Iterable[str]) -> None:
    """Shows an answer in the form that was asked for: lines for a person, JSON for a program."""
    if desk.form is Form.JSON:
        show_json(told)
        return
    for line in lines:
        print(line)


def end(code: int) -> None:
    """Ends the command with that exit code.

    Raises:
        typer.Exit: for another code than 0.
    """
    if code:
        raise typer.Exit(code)
