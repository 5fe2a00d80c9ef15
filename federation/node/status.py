"""The status of a node: its log, its agreement, its peers, and what an operator should look at."""

from __future__ import annotations

from federation.node.exchange.deliver import Delivery
from federation.node.log.witness import Cosigning
from federation.node.node import Node
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.trust import Freshness, freshness
from federation.store.messages import count_pending
from federation.store.witness_state import list_contradictions
from federation.wire.agency.node import NodeStatus, PeerState

SOFTWARE_VERSION = "0.1.0"


def node_status(node: Node, delivery: Delivery, cosigning: Cosigning) -> NodeStatus:
    agreement, now = node.trust.in_force.agreement, node.now()
    waiting = count_pending(node.database)
    peers = tuple(
        PeerState(
            node=name,
            reachable=delivery.is_reachable(name),
            waiting_count=waiting.get(name, 0),
            last_receipt_time=delivery.last_receipt(name),
            cosigned_size=cosigning.cosigned_size(name),
        )
        for name in agreement.members
        if name != node.name
    )
    state = freshness(agreement, now)
    return NodeStatus(
        node=node.name,
        federation=agreement.federation,
        realm=agreement.realm.value,
        software_version=SOFTWARE_VERSION,
        agreement_version=agreement.version,
        agreement_digest=agreement.digest,
        agreement_freshness=state.value,
        agreement_expires=min(agreement.expires_time, agreement.fresh_until_time),
        tree_size=node.sequencer.head.size,
        checkpoint=node.sequencer.head.note,
        peers=peers,
        warnings=tuple(_warnings(node, state, delivery)),
    )


def _warnings(node: Node, state: Freshness, delivery: Delivery) -> list[str]:
    found: list[str] = []
    agreement = node.trust.in_force.agreement
    if state is Freshness.LAPSED:
        end = agreement.fresh_until_time + agreement.lapse_grace
        found.append(
            f"the agreement's freshness has lapsed; nothing new is sent after {end.isoformat()} unless re-signed"
        )
    if state is Freshness.EXPIRED:
        found.append("the agreement has expired: nothing new is sent or accepted until any node re-signs its freshness")
    for name, member in agreement.members.items():
        error = delivery.last_error(name)
        if error is not None:
            found.append(f"{name}: {error}")
        kept = list_contradictions(node.database, parse_vkey(member.log_vkey).name)
        if kept:
            found.append(f"{name}: its log signed two histories; {len(kept)} of its heads are kept as proof")
    if node.trust.refused:
        found.append(node.trust.refused)
    if node.sequencer.failure is not None:
        found.append(f"the log stopped: {node.sequencer.failure}")
    return found
