"""What the officers of an agency did: searches, fetches, cases, what came of each; refused and expired ones too."""

from __future__ import annotations

import re

from federation.domain.lookups import Outcome
from federation.node.exchange.errand import Errand
from federation.node.exchange.replies import find_response
from federation.node.lookups import records
from federation.node.lookups.asking.outcomes import refusal_of
from federation.node.node import Node
from federation.protocol.errors import MalformedError
from federation.wire.agency.lookups import LookupLine, LookupPage, LookupQuery

_PLACE = re.compile(r"[0-9TZ:.-]{24}/[0-9]{12}/[a-z][a-z0-9]{1,30}", re.ASCII)


async def list_lookups(errand: Errand, query: LookupQuery) -> LookupPage:
    """What the officers of this agency did, newest first; a page stays where it was while new steps come.

    Raises:
        MalformedError: PAGE_TOKEN.
    """
    node = errand.node
    if query.page_token and not _PLACE.fullmatch(query.page_token):
        raise MalformedError("PAGE_TOKEN", "expected the token of the page before", field="page_token")
    found = records.list_history(
        node.database,
        errand.caller,
        case_id=query.case_id,
        officer=query.officer,
        before=query.page_token,
        limit=query.page_size + 1,
    )
    page = found[: query.page_size]
    lines = tuple(
        LookupLine(
            lookup_id=asked.lookup_id,
            time=asked.time,
            officer=asked.officer,
            case_id=asked.case_id,
            node=asked.node,
            step=asked.step,
            outcome=outcome_of(node, asked),
        )
        for _, asked in page
    )
    return LookupPage(lines=lines, next_page_token=page[-1][0] if len(found) > len(page) else "")


def outcome_of(node: Node, asked: records.Asked) -> Outcome | None:
    """What came of one step; None while its answer is awaited."""
    if not asked.digest:
        return Outcome.REFUSED
    response = find_response(node, asked.digest)
    if refusal_of(node, response) is not None:
        return Outcome.REFUSED
    if response.reply is not None:  # a reply that tells nothing of anybody has no end
        return Outcome.NO_HIT if response.reply.ends is None else Outcome.HIT
    if asked.outcome is not None and response.received:
        return asked.outcome
    if response.expired:
        return Outcome.EXPIRED
    return Outcome.WAITING if response.received else None
