"""The witnesses of a node's log: every member, and the third parties that its tlog-policy names with a URL.

The policy is a target of the agreement, so three of four provinces signed it. Source: C2SP tlog-policy.md (draft).
"""

from __future__ import annotations

from msgspec import Struct

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import NodeName
from federation.protocol.keys import PublicKey, Suite, admit_public_key
from federation.protocol.tlog.note import KeyKind, Vkey, parse_vkey
from federation.protocol.tlog.quorum import Policy, PolicyGroup, PolicyLog, PolicyWitness, parse_policy
from federation.protocol.trust.agreement import Agreement
from federation.protocol.trust.metadata import majority

WITNESS_PATH = "/witness"
"""The prefix of a node's duty as witness under its read URL."""


class LogWitness(Struct, frozen=True, kw_only=True):
    """One witness: its name in the policy, its key, the URL below which `add-checkpoint` lies."""

    name: str
    vkey: Vkey
    url: str


def log_policy(agreement: Agreement, node: NodeName) -> Policy:
    """Returns the tlog-policy of a node's log; refuses POLICY, and one that is not of the members (AGREEMENT_WITNESS).

    The witness of a member on trial counts for its own log alone. An agreement without a policy means a majority.
    """
    member = agreement.members[node]
    content = agreement.files.get(f"tlog-policy/{node}")
    if content is None:
        return _members_policy(agreement, node)
    policy = parse_policy(content)
    witnesses = {witness.name: witness.vkey for witness in policy.witnesses}
    expected = {name: parse_vkey(agreement.members[name].witness_vkey) for name in _members_that_count(agreement, node)}
    named = {name: vkey for name, vkey in witnesses.items() if name in agreement.members}
    if [log.vkey for log in policy.logs] != [parse_vkey(member.log_vkey)] or named != expected:
        raise UntrustedError("AGREEMENT_WITNESS", f"expected the policy of {node} to name its log and all the members")
    for witness in policy.witnesses:
        if witness.name not in expected and witness.url is None:
            raise MalformedError("AGREEMENT_WITNESS", f"expected a URL of the witness {witness.name!r:.40}")
        if witness.vkey.kind == KeyKind.COSIGNATURE:
            admit_public_key(PublicKey(Suite.ED25519, witness.vkey.public_key))
    return policy


def log_witnesses(agreement: Agreement, node: NodeName) -> tuple[LogWitness, ...]:
    """Returns the witnesses of a node's log without itself, members first; refuses as `log_policy`."""
    policy = log_policy(agreement, node)
    members = {name: agreement.members[name] for name in _members_that_count(agreement, node) if name != node}
    found = [
        LogWitness(name=name, vkey=parse_vkey(member.witness_vkey), url=member.read_url + WITNESS_PATH)
        for name, member in members.items()
    ]
    found += [
        LogWitness(name=witness.name, vkey=witness.vkey, url=witness.url or "")
        for witness in policy.witnesses
        if witness.name not in agreement.members
    ]
    return tuple(found)


def enough_to_start(policy: Policy) -> int:
    """Returns how many of the other witnesses must confirm a history, so that none with a quorum was missed.

    A head that counts has `k` of `n` lines, our own among them; of the `n - 1` others `n - k + 1` meet every such set.
    """
    count = len(policy.witnesses)
    quorum = next((group for group in policy.groups if group.name == policy.quorum), None)
    needed = quorum.threshold if quorum is not None else min(1, count)
    return min(count - needed + 1, count - 1)


def _members_that_count(agreement: Agreement, node: NodeName) -> list[NodeName]:
    return [name for name, member in agreement.members.items() if member.has_vote or name == node]


def _members_policy(agreement: Agreement, node: NodeName) -> Policy:
    names = sorted(_members_that_count(agreement, node))
    return Policy(
        logs=(PolicyLog(vkey=parse_vkey(agreement.members[node].log_vkey)),),
        witnesses=tuple(
            PolicyWitness(name=name, vkey=parse_vkey(agreement.members[name].witness_vkey)) for name in names
        ),
        groups=(PolicyGroup(name="peers", threshold=majority(len(names)), members=tuple(names)),),
        quorum="peers",
    )
