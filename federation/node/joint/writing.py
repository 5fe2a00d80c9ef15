"""Writing an entry of our own: its head stands on all that this node holds, its body has one salt for every member.

What time brings (a clock that is over, the escalation after it, a floor that holds nothing any more, that the other
side's node has an invitation) is written by the node of the lead office alone, each once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from federation.domain.acts import ACTS
from federation.domain.case_items import Places
from federation.domain.clock import Bound
from federation.domain.joint import CUT, Entry, Head, decode_head
from federation.domain.joint_case import advance
from federation.domain.joint_policy import Seat, Standing
from federation.domain.joint_state import Case
from federation.node.exchange.replies import find_delivery
from federation.node.joint.records import (
    ENTRIES,
    OWN,
    Held,
    OwnBody,
    StoredEntry,
    StoredRecord,
    each_sent,
    next_arrival,
    proof_of,
)
from federation.node.node import Node
from federation.protocol.body import Body, commit_body
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, format_time, truncate_to_millisecond
from federation.store.exchange_log import GroupTransaction

ENTRY_TYPE: Final = "application/vnd.bridgehead.case-entry.v1+json"
NO_PLACES: Final = Places(classes=(), fields=(), items=())
ESCALATE: Final = "escalate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An act of an office in a case: the act, its fields for the head, its items split into places."""

    agency: AgencyId
    officer: str | None
    act: str
    fields: Mapping[str, str | int | tuple[str, ...]]
    places: Places = NO_PLACES


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Written:
    """An entry of ours before it is stored."""

    kept: StoredEntry
    body: Body


def head_of(node: Node, held: Held, said: Said) -> Head:
    """The head of our next entry. Refuses RECORD_LINE_ENDED, RECORD_FULL, RECORD_NOT_OPENED, and as `Head`."""
    place = held.record.place_for(node.name)
    return Head(
        record=held.id, n=place.n, parents=place.parents, height=place.height, at=truncate_to_millisecond(node.now()),
        agency=said.agency, officer=said.officer, act=said.act, fields=_with_cut(node, held, said, n=place.n),
        items=said.places.classes,
    )  # fmt: skip


def written(node: Node, held: Held, head: Head, *, places: Places, seat: Seat | None, why: tuple[str, str]) -> Written:
    """The entry of a head, its body under a fresh salt; `why` is purpose and function. Refuses as `decode_head`."""
    encoded = encode(head)
    decode_head(encoded)  # as every other province reads it: what they could not take in would end our line there
    body = Body(type=ENTRY_TYPE, salt=os.urandom(32), items=(encoded, *places.items))
    ref = commit_body(body)
    kept = StoredEntry(
        arrival=len(held.kept) + 1, name=ref.commitment, author=node.name, head=head, proof=proof_of(body),
        arrived=head.at, purpose=why[0], function=why[1], ref=ref, seat=seat,
    )  # fmt: skip
    return Written(kept=kept, body=body)


def put_written(node: Node, transaction: GroupTransaction, entry: Written) -> StoredRecord | None:
    """Stores an entry of ours, which counts from then on, unless the record moved since it was made: None.

    Returns the row of the record with it, which the caller writes.
    """
    row = next_arrival(transaction, entry.kept)
    if row.entries != entry.kept.arrival:
        return None
    OWN.put(transaction, OwnBody(name=entry.kept.name, body=entry.body), owner=node.name)
    ENTRIES.put(transaction, entry.kept, owner=node.name)
    return row


def write_due(node: Node, held: Held) -> Written | None:
    """The next entry that time brings in a case that an office of ours leads; None when there is none."""
    case = held.case
    if case is None or case.lead is None:
        return None
    for act, fields in each_due(node, case):
        said = Said(agency=case.lead, officer=None, act=act, fields=fields)
        head = head_of(node, held, said)
        if isinstance(advance(case, Entry(name="0" * 64, author=node.name, head=head)), Case):
            why = (case.procedure.purpose, case.procedure.function)
            roles = sorted(case.roles(case.lead) - {"lead"})
            seat = Seat(
                standing=Standing.MEMBER, role=roles[0] if roles else "", stage=case.stage,
                procedure=case.procedure.name,
            )  # fmt: skip
            return written(node, held, head, places=NO_PLACES, seat=seat, why=why)
    return None


def each_due(node: Node, case: Case) -> Iterator[tuple[str, dict[str, str]]]:
    """The acts that time brings now in a case that an office of ours leads, with their fields."""
    if case.lead is None or case.lead.node != node.name or case.outcome is not None:
        return
    now = node.now()
    for clock in sorted(case.clocks.values(), key=lambda clock: clock.key):
        due = clock.due
        if not clock.runs or due is None or due > now:
            continue
        said = {"clock": clock.key, "due": format_time(due)}
        if not clock.late:
            yield ("floor_over" if clock.rule.bound is Bound.AT_LEAST else "overdue"), said
        elif clock.on_breach == ESCALATE and not clock.escalated:
            yield ESCALATE, said
    for entry in untold(node, case):
        sent = each_sent(node.database, entry.head.record, entry.name)
        if any(find_delivery(node, each.message_id).received for each in sent):
            yield "told", {"about": entry.name, "agency": str(entry.head.fields["agency"])}


def untold(node: Node, case: Case) -> list[Entry]:
    """The invitations of ours to another province of which nobody wrote yet that its node has them."""
    receipted = case.receipted
    return [
        found.entry
        for found in case.done.get("invite", ())
        if found.entry.author == node.name
        and found.entry.name not in receipted
        and not str(found.head.fields["agency"]).startswith(f"{node.name}/")
    ]


def _with_cut(node: Node, held: Held, said: Said, *, n: int) -> dict[str, str | int | tuple[str, ...]]:
    """The fields of a head; an office that goes is cut after the last entry of its node that is here."""
    fields = dict(said.fields)
    wanted = said.act in ACTS and any(field.name == CUT and field.required for field in ACTS[said.act].fields)
    if wanted and CUT not in fields:
        gone = node.name if said.act == "leave" else str(fields.get("agency", "")).partition("/")[0]
        last = max((kept.head.n for kept in held.kept.values() if kept.author == gone), default=0)
        fields[CUT] = (f"{gone}:{n if gone == node.name else last}",)
    return fields
