"""The inbox of the intake desk: what waits, by urgency and time left; a person is shown masked.

Only the one office that answers for the province reads it. Source: 公安机关办理刑事案件程序规定 article 347.
"""

from __future__ import annotations

from federation.domain.intake import IntakeEntry, IntakeStatus, in_order, mask_person
from federation.node.exchange.errand import Errand
from federation.node.exchange.replies import intake_office
from federation.node.lookups.intake.entries import list_entries
from federation.node.node import Node
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import AgencyId, MessageId
from federation.protocol.leaf import Verdict, decode_leaf
from federation.store.outbox import find_outbox
from federation.wire.agency.intake import IntakeLine, IntakePage, IntakeQuery


async def list_intake(errand: Errand, query: IntakeQuery) -> IntakePage:
    """The requests that wait at the desk, or every one that ever did.

    Raises:
        UntrustedError: NOT_INTAKE for another office than the one that answers for the province.
        MalformedError: PAGE_TOKEN.
    """
    node = errand.node
    require_intake(node, errand.caller)
    status = None if query.ended else IntakeStatus.WAITING
    entries = in_order([kept.entry for kept in list_entries(node.database, status)])
    start = _parse_token(query.page_token)
    page = entries[start : start + query.page_size]
    end = start + len(page)
    return IntakePage(
        read_time=node.now(),
        lines=tuple(_line_of(node, entry) for entry in page),
        next_page_token=str(end) if end < len(entries) else "",
    )


def require_intake(node: Node, caller: AgencyId) -> None:
    """Lets only the one office pass that answers for the province.

    Raises:
        UntrustedError: NOT_INTAKE.
    """
    intake = intake_office(node.trust.in_force, node.name)
    if caller != intake:
        raise UntrustedError("NOT_INTAKE", f"{intake} answers for {node.name}; expected it to call, got {caller}")


def _line_of(node: Node, entry: IntakeEntry) -> IntakeLine:
    return IntakeLine(
        request_id=entry.request_id,
        status=entry.status,
        step=entry.step,
        asker=entry.asker,
        officer=entry.officer,
        case_id=entry.case_id,
        purpose=entry.purpose,
        urgency=entry.urgency,
        person=mask_person(entry.person),
        fields=entry.fields,
        created=entry.created,
        due=entry.due,
        reminded=entry.second,
        escalated=entry.escalated,
        answered_by=entry.answered_by,
        came_late=_came_late(node, entry),
    )


def _came_late(node: Node, entry: IntakeEntry) -> bool:
    """Whether the other side did not take the answer any more, or never got it."""
    row = find_outbox(node.database, MessageId(entry.reply_id)) if entry.reply_id else None
    if row is None:
        return False
    refused = row.receipt_leaf is not None and decode_leaf(row.receipt_leaf).verdict is Verdict.REFUSED
    return refused or row.state == "expired"


def _parse_token(token: str) -> int:
    if token and not (token.isascii() and token.isdigit() and len(token) < 8):
        raise MalformedError("PAGE_TOKEN", "expected the token of the page before", field="page_token")
    return int(token or 0)
