"""Handing an item of an entry to an office later (`disclose_item`): what is asked before, and what became of it.

Rules kept: only an office of the author's province decides so, of an item that is still here; policy is asked about
each field for the very office, as the case stands with the act in it, and one no is the answer. The entry's author then
hands the places over as `settle` hands on all that is owed (`case.disclosure`). What was destroyed meanwhile is handed
to nobody, and both sides say so. Source: DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from federation.domain.joint import Entry, Head
from federation.domain.joint_case import advance
from federation.domain.joint_sight import DISCLOSE
from federation.domain.joint_state import Case
from federation.node.exchange.errand import Errand
from federation.node.joint.records import CASE, Held, StoredEntry, find_own_body, is_gone, parts_of
from federation.node.joint.sight import own_parts, questions
from federation.node.node import Node
from federation.protocol.body import Body
from federation.protocol.errors import RuleError
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.wire.agency.cases import CaseNotice
from federation.wire.rpc import Ruling


async def refused_to(errand: Errand, held: Held[Case], entry: Entry) -> Ruling | None:
    """The no of policy to what an act would hand over; None when it allows all of it.

    Refuses ITEM_UNKNOWN for a field that the entry has not, ITEM_ERASED for what was destroyed.
    """
    node, in_force = errand.node, errand.in_force
    kept, office, fields = _said(held, entry.head)
    body, case = (
        find_own_body(CASE, node.database, kept.name),
        advance(held.state, entry) if held.state is not None else None,
    )
    if not isinstance(body, Body) or not isinstance(case, Case):
        raise RuleError("ITEM_ERASED", "the items of that entry were destroyed: there is nothing to hand over")
    parts = own_parts(in_force, kept, body)
    wanted = {at for at, part in enumerate(parts, start=1)
              if part.item == entry.head.fields["item"] and part.field in fields}  # fmt: skip
    if unknown := sorted(fields - {parts[at - 1].field for at in wanted}):
        raise RuleError("ITEM_UNKNOWN", f"expected fields of that item of the entry, got {unknown[0]!r}")
    asked = {question for at, _, question in questions(in_force, case, office, kept=kept, parts=parts) if at in wanted}
    for question in sorted(asked, key=repr):
        ruling = await errand.ask(question)
        if not ruling.allowed:
            return ruling
    return None


def handed_notices(node: Node, held: Held[Case]) -> Iterator[CaseNotice]:
    """A sentence for each item that was to be handed over later, and is not here, or not there."""
    case = held.state
    for head in [found.head for found in case.done.get(DISCLOSE, ())] if case is not None else []:
        kept, office, fields = _said(held, head)
        n, item = kept.head.n, head.fields["item"]
        destroyed, awaited = False, False
        parts = parts_of(CASE, node, node.database, kept=kept)
        named = {at for at, part in parts.items() if part.item == item and part.field in fields}
        if kept.author == node.name:
            destroyed = not isinstance(find_own_body(CASE, node.database, kept.name), Body)
        elif office.node == node.name:
            here = {parts[at].field for at in named}
            destroyed = not fields <= here and is_gone(CASE, node.database, kept)
            awaited = not fields <= here and not destroyed
        if destroyed:
            yield CaseNotice(
                zh=f"{kept.author}的第{n}条记录中另行提供的第{item}项内容已销毁",
                en=f"item {item} of entry {n} of {kept.author}, which was handed over later, has been destroyed",
            )
        if awaited:
            yield CaseNotice(
                zh=f"等待{kept.author}另行提供其第{n}条记录的第{item}项内容",
                en=f"waiting for item {item} of entry {n}, which {kept.author} hands over later",
            )


def _said(held: Held[Case], head: Head) -> tuple[StoredEntry, AgencyId, frozenset[str]]:
    """The entry that an act is about, the office that is handed of it, and the fields."""
    fields = head.fields["fields"]
    named = frozenset(fields if isinstance(fields, tuple) else ())
    return held.kept[str(head.fields["about"])], parse_agency_id(str(head.fields["agency"])), named
