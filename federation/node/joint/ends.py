"""The end of what a joint case handed over: some months after it was closed, as its procedure's rule of retention says.

While a case is open nothing of it ends. Then each node destroys what it was handed, and the items of its own entries:
heads and hashes stay, so that the record folds as before and a member that joins late is still given its line.
Source: `policies/retention.toml`; 个人信息保护法 articles 19 and 47.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from federation.domain.erasure import ErasureGrounds
from federation.domain.retention import CIVIL, destroyed_after
from federation.node.documents import owner_of
from federation.node.joint.records import OWN, RECORDS, OwnBody, StoredRecord
from federation.node.node import InForce, Node
from federation.protocol.body import Body, open_places
from federation.protocol.ids import truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.store.blobs import erase_blobs_of
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction

LOOK: Final = timedelta(days=30)
"""A message of a case that is open is looked at again after that time."""


def end_of_case(in_force: InForce, source: Source, record: str, *, now: datetime) -> ErasureGrounds | datetime | None:
    """The reason why what was handed over in a case has ended; else when to look again, None when no rule says so."""
    row = RECORDS.find(source, record)
    if row is None or row.closed is None:
        return now + LOOK
    ends = items_end(in_force, row)
    return ErasureGrounds.EXPIRED if ends is not None and now >= ends else ends


def items_end(in_force: InForce, row: StoredRecord) -> datetime | None:
    """The moment at which the items of a case end; None while it is open, or where no rule says when."""
    lifetime = destroyed_after(in_force.retention, row.retention or CIVIL)
    return None if row.closed is None or lifetime is None else row.closed + lifetime


def close_items(node: Node, transaction: GroupTransaction, name: str) -> bool:
    """Destroys the items of an entry of ours, with the leaf that says so. False when they were gone."""
    own = OWN.find(transaction, name)
    if own is None or not isinstance(own.body, Body) or len(own.body.items) == 1:
        return False
    closed = OwnBody(name=name, body=open_places(own.body, (0,)), version=own.version + 1)
    OWN.put(transaction, closed, owner=node.name)
    erase_blobs_of(transaction, owner_of(name))
    transaction.note_erased()
    agreement = node.trust.in_force.agreement
    leaf = Leaf(
        federation=agreement.federation, realm=agreement.realm, kind=LeafKind.ERASURE, subject=name,
        reason=ErasureGrounds.EXPIRED.value, agreement_version=agreement.version,
        time=truncate_to_millisecond(node.now()),
    )  # fmt: skip
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    return True
