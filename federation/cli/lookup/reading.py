"""`bridgehead lookup result|trace`: what came of a look-up, read again under a watermark; whose reading a photo shows.

Released fields are shown only to the officer who fetched them, while the case is open and they have not expired; else
the refusal is shown, and the exit code is 1. Every reading is recorded at the node.
"""

from __future__ import annotations

from typing import Annotated

import typer

from federation.cli.client_profile import Desk
from federation.cli.lookup.acts import end, lookup_act, show

LookupArgument = Annotated[str, typer.Argument(metavar="LOOKUP", help="The look-up, as search or history shows it.")]


def result(
    desk: Desk,
    lookup_id: LookupArgument,
    full: Annotated[bool, typer.Option("--full", help="Do not mask citizen number and day of birth.")] = False,
) -> None:
    """Read (查看结果) again what each province answered to one look-up; fields are under a watermark (水印)."""
    from federation.cli.lookup import reading_view

    act = lookup_act(desk)
    found = desk.ask(lambda client: client.readings.read_lookup(act, lookup_id), changes=False)
    told = {"request_id": desk.request_id, **reading_view.result_object(found, full=full)}
    show(desk, told, reading_view.result_lines(found, full=full))
    end(reading_view.result_code(found))


def trace(
    desk: Desk,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The watermark's code, such as 7Q2M-X9TR-04KD.")],
) -> None:
    """Trace (溯源) a watermark on a photo or a print to the reading that it stands for; for auditors."""
    from federation.cli.lookup import reading_view

    act = lookup_act(desk)
    found = desk.ask(lambda client: client.readings.trace_reading(act, code), changes=False)
    show(desk, reading_view.traced_object(found), reading_view.traced_lines(found))
