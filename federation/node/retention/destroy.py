"""Destroying what a handle of ours stood for, with the leaf that says so."""

from __future__ import annotations

import hashlib
from typing import Final

from federation.domain.erasure import ErasureGrounds
from federation.node.lookups import records
from federation.node.node import Node
from federation.protocol.ids import truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.store.exchange_log import GroupTransaction

_HANDLE_CONTEXT: Final = b"bridgehead/erased-handle/v1\0"


def destroy_handle(node: Node, transaction: GroupTransaction, handle: str, *, grounds: ErasureGrounds) -> bool:
    """Destroys what a handle of ours stood for, with a leaf about the handle's digest; False when it was gone."""
    if not records.HANDLES.erase(transaction, handle):
        return False
    agreement = node.trust.in_force.agreement
    leaf = Leaf(
        federation=agreement.federation,
        realm=agreement.realm,
        kind=LeafKind.ERASURE,
        subject=handle_digest(handle),
        reason=grounds.value,
        agreement_version=agreement.version,
        time=truncate_to_millisecond(node.now()),
    )
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    return True


def handle_digest(handle: str) -> str:
    """The subject (hex) of the `erasure` leaf of a handle: 24 random bytes behind it, so that nobody guesses it."""
    return hashlib.sha256(_HANDLE_CONTEXT + handle.encode()).hexdigest()
