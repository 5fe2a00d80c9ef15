"""Writing an entry of our own: its head stands on all that this node holds, its body has one salt for every member."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from federation.domain.case_items import Places
from federation.domain.joint import CUT, Head, decode_head
from federation.node.joint.records import Family, Held, OwnBody, StoredEntry, StoredRecord, next_arrival, proof_of
from federation.node.node import Node
from federation.protocol.body import Body, commit_body
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, truncate_to_millisecond
from federation.store.exchange_log import GroupTransaction

_S = TypeVar("_S")
NO_PLACES: Final = Places(classes=(), fields=(), items=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An act of an office in a record: the act, its fields for the head, its items split into places."""

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


def head_of(node: Node, held: Held[_S], said: Said) -> Head:
    """The head of our next entry. Refuses RECORD_LINE_ENDED, RECORD_FULL, RECORD_NOT_OPENED, and as `Head`."""
    place = held.record.place_for(node.name)
    return Head(
        record=held.id, n=place.n, parents=place.parents, height=place.height, at=truncate_to_millisecond(node.now()),
        agency=said.agency, officer=said.officer, act=said.act, fields=_with_cut(node, held, said, n=place.n),
        items=said.places.classes,
    )  # fmt: skip


def written(node: Node, held: Held[_S], head: Head, *, places: Places, seat: str, why: tuple[str, str]) -> Written:
    """The entry of a head, its body under a fresh salt; `why` is purpose and function.

    `seat` is the encoded seat that policy read. Refuses as `decode_head`.
    """
    encoded = encode(head)
    decode_head(encoded)  # as every other province reads it: what they could not take in would end our line there
    body = Body(type=held.family.media_type, salt=os.urandom(32), items=(encoded, *places.items))
    ref = commit_body(body)
    kept = StoredEntry(
        arrival=len(held.kept) + 1, name=ref.commitment, author=node.name, head=head, proof=proof_of(body),
        arrived=head.at, purpose=why[0], function=why[1], ref=ref, seat=seat,
    )  # fmt: skip
    return Written(kept=kept, body=body)


def put_written(
    family: Family[_S], node: Node, transaction: GroupTransaction, *, entry: Written
) -> StoredRecord | None:
    """Stores an entry of ours, which counts from then on, unless the record moved since it was made: None.

    Returns the row of the record with it, which the caller writes.
    """
    row = next_arrival(family, transaction, entry.kept)
    if row.entries != entry.kept.arrival:
        return None
    family.own.put(transaction, OwnBody(name=entry.kept.name, body=entry.body), owner=node.name)
    family.entries.put(transaction, entry.kept, owner=node.name)
    return row


def _with_cut(node: Node, held: Held[_S], said: Said, *, n: int) -> dict[str, str | int | tuple[str, ...]]:
    """The fields of a head; an office that goes is cut after the last entry of its node that is here."""
    fields, acts = dict(said.fields), held.family.acts
    wanted = said.act in acts and any(field.name == CUT and field.required for field in acts[said.act].fields)
    if wanted and CUT not in fields:
        gone = node.name if said.act == "leave" else str(fields.get("agency", "")).partition("/")[0]
        last = max((kept.head.n for kept in held.kept.values() if kept.author == gone), default=0)
        fields[CUT] = (f"{gone}:{n if gone == node.name else last}",)
    return fields
