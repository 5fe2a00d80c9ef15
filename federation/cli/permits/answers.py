"""What a clerk is shown for each answer of the node, and the exit code that goes with it.

On stdout is the answer, in lines or as one JSON object with the decision in it; on stderr is talk. Exit 1 when policy
refused, when a permit was not recognised, and when a row of an import was not stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import typer

from federation.cli.client_profile import Desk
from federation.cli.output import Form, JsonOut, say, show_json
from federation.cli.permits import view
from federation.domain.recognition import RecognitionOutcome

if TYPE_CHECKING:
    from federation.cli.permits.bulk import Tally
    from federation.wire.values import PermitAnswer, PermitPage, RecognitionAnswer, Ruling

BAD_ROWS_TOLD: Final = 50
_DOUBTS_TOLD: Final = 10


def show_answer(desk: Desk, answer: PermitAnswer, *, full: bool) -> None:
    """Shows the outcome of a step with one permit."""
    item, today = answer.permit, view.china_today()
    if desk.form is Form.JSON:
        permit = view.permit_object(item, full=full, today=today) if item else None
        links: JsonOut = [view.link_object(link) for link in answer.recognitions]
        outdated: JsonOut = answer.outdated_by or None
        _show_object(desk, answer.decision, {"permit": permit, "recognitions": links, "outdated_by": outdated})
    elif item is not None:
        if answer.outdated_by:
            newer = answer.outdated_by
            say(f"副本已过时:签发省已有第 {newer} 版 | outdated copy: its owner has version {newer}")
        _show_lines(view.permit_lines(item, full=full, today=today))
        _show_lines(view.link_lines(answer.recognitions))
    _end(desk, answer.decision)


def show_recognition(desk: Desk, answer: RecognitionAnswer, *, full: bool) -> None:
    """Shows what a recognition came to."""
    found, item, today = answer.recognition, answer.permit, view.china_today()
    if desk.form is Form.JSON:
        permit = view.permit_object(item, full=full, today=today) if item else None
        recognition = view.recognition_object(found) if found else None
        _show_object(desk, answer.decision, {"recognition": recognition, "permit": permit})
    else:
        _show_lines(view.recognition_lines(found) if found else ())
        _show_lines(view.permit_lines(item, full=full, today=today) if item else ())
    _end(desk, answer.decision, done=found is not None and found.outcome is not RecognitionOutcome.REFUSED)


def show_page(desk: Desk, page: PermitPage, *, full: bool) -> None:
    """Shows permits, one a line, and where the next page begins."""
    today = view.china_today()
    if desk.form is Form.JSON:
        permits: JsonOut = [view.permit_object(item, full=full, today=today) for item in page.permits]
        _show_object(desk, page.decision, {"permits": permits, "next_page_token": page.next_page_token})
    elif page.decision.allowed:
        _show_lines(view.list_lines(page.permits, today=today) if page.permits else ())
        say(f"共 {len(page.permits)} 条 | {len(page.permits)} permits")
        if page.next_page_token:
            say(f"还有:加 --page-token {page.next_page_token} 或 --all | there are more")
    _end(desk, page.decision)


def show_tally(desk: Desk, tally: Tally, *, dry_run: bool) -> None:
    """Shows what became of the rows of an import."""
    counts = tally.counts()
    if desk.form is Form.JSON:
        show_json({"request_id": desk.request_id, "dry_run": dry_run, **tally.as_object()})
    else:
        for bad in tally.bad[:BAD_ROWS_TOLD]:
            say(f"第 {bad.line} 行 line {bad.line}: {bad.message} [{bad.reason}]")
        if len(tally.bad) > BAD_ROWS_TOLD:
            say(f"另有 {len(tally.bad) - BAD_ROWS_TOLD} 行,用 -o json 查看全部 | and more: -o json tells all")
        for doubt, count in tally.doubts.most_common(_DOUBTS_TOLD):
            say(f"请核对 please check ({count}): {doubt}")
        stored = "可导入 would be stored" if dry_run else "已导入 stored"
        print(
            f"共 rows {counts['rows']}, {stored} {counts['stored']}, "
            f"拒绝 refused {counts['refused']}, 有误 failed {counts['failed']}"
        )
    if tally.bad:
        raise typer.Exit(1)


def _show_object(desk: Desk, ruling: Ruling, answer: dict[str, JsonOut]) -> None:
    show_json({"request_id": desk.request_id, "decision": view.ruling_object(ruling), **answer})


def _show_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _end(desk: Desk, ruling: Ruling, *, done: bool = True) -> None:
    """Ends the command: a refusal is shown as the answer that it is, and exits with 1."""
    allowed = ruling.allowed
    if not allowed and desk.form is Form.TEXT:
        _show_lines(view.ruling_lines(ruling))
    if not (allowed and done):
        raise typer.Exit(1)
