"""`bridgehead alert document`: pictures and papers of an alert (照片和材料): added, listed, fetched.

Rules kept: as for a case (`documents`); a note carries the file. A picture of somebody is open to the other desks once
the family agreed and until the alert ends, that of an exercise to nobody else: the node says so, in one place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.cli.alerts import USUAL, AlertArgument, DeskOption, do_act, line_of
from federation.cli.documents import EntryArgument, ItemOption, ToOption, fetch, show_documents, upload
from federation.cli.options import Desk, command

app = typer.Typer(name="document", no_args_is_help=True, help="Pictures and papers of an alert (照片和材料).")


@command(app, "add", usual=USUAL)
def add(
    desk: Desk,
    alert: AlertArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Picture, PDF, OFD, recording, office file or zip.")],
    own: DeskOption = "",
) -> None:
    """Add (提交照片、材料) a file; whose picture it is crosses with --tick family_consent of an update alone."""
    file.stat()  # that it is not there is told before the node is asked
    line = line_of(desk, alert)
    do_act(desk, line, "note", own, {}, (upload(desk, line.record, file),))


@command(app, "list", usual=USUAL)
def list_(desk: Desk, alert: AlertArgument) -> None:
    """List (材料清单) the pictures and papers of an alert that your desk may have."""
    show_documents(desk, alert)


@command(app, "get", usual=USUAL)
def get(desk: Desk, alert: AlertArgument, entry: EntryArgument, item: ItemOption = 1, to: ToOption = Path()) -> None:
    """Fetch (取回照片、材料) one of them, checked against its digest; that it left is in the log of who filed it."""
    fetch(desk, alert, entry, item, to=to)
