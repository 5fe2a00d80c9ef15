"""Completion in a shell: the offices of a profile's folder, and the permits and cases that the office may list.

The cases of look-ups are those of its history that nobody closed; joint cases are named by their code.

Rules kept: bounded and quick, since somebody waits with a finger on the key; silent whatever goes wrong. What a node
lists for a completion it lists as for `permit list`, `case list` and `lookup history`: under policy, in its log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from federation.cli.options import Desk

MOST: Final = 50
SECONDS: Final = 1.0


def complete_agency(ctx: typer.Context, incomplete: str) -> list[str]:
    def find() -> Iterable[str]:
        from federation.cli.options import profiles_in

        return profiles_in(Path(ctx.params.get("home") or ".demo"))

    return _quietly(find, incomplete)


def complete_permit(ctx: typer.Context, incomplete: str) -> list[str]:
    def find() -> Iterable[str]:
        from federation.cli.permits import find_permits

        return [str(item.urn) for item in find_permits(_desk(ctx), incomplete, most=MOST).permits]

    return _quietly(find, incomplete)


def complete_case(ctx: typer.Context, incomplete: str) -> list[str]:
    """The codes of joint cases."""

    def find() -> Iterable[str]:
        from federation.cli.cases import USUAL
        from federation.wire.agency.cases import LIST_CASES
        from federation.wire.rpc import PageQuery

        desk = _desk(ctx)
        page = desk.call(LIST_CASES, PageQuery(page_size=MOST), act=desk.act(*USUAL), changes=False)
        return [line.code for line in page.lines]

    return _quietly(find, incomplete)


def complete_lookup_case(ctx: typer.Context, incomplete: str) -> list[str]:
    def find() -> Iterable[str]:
        from federation.cli.lookups import USUAL
        from federation.domain.lookups import Outcome
        from federation.wire.agency.lookups import LIST_LOOKUPS, LookupQuery

        desk = _desk(ctx)
        lines = desk.call(LIST_LOOKUPS, LookupQuery(page_size=MOST), act=desk.act(*USUAL), changes=False).lines
        closed = {line.case_id for line in lines if line.outcome is Outcome.CASE_CLOSED}
        return {line.case_id for line in lines} - closed

    return _quietly(find, incomplete)


def _desk(ctx: typer.Context) -> Desk:
    """The desk of the options that were typed so far."""
    from federation.cli.options import open_desk

    typed: dict[str, Any] = {name: ctx.params.get(name) for name in ("client", "agency", "officer", "key")}
    return open_desk(**typed, home=Path(ctx.params.get("home") or ".demo"), timeout=SECONDS)


def _quietly(find: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):  # noqa: PTH123 - a device
        try:
            return sorted({each for each in find() if each.startswith(incomplete)})[:MOST]
        except Exception:  # noqa: BLE001 - a key that was pressed is answered with words or with nothing
            return []
