"""The whole audit as pure functions: heads, logs, pairs and listings in, one judgement out.

1 each log's head is signed by the key of the agreement and cosigned (`verify_head`) · 2 each log's entries lead to that
head, and every other head that it ever signed lies on the same tree (`verify_log`) · 3 what a node lists verifies by
itself (`verify_listing`) · 4 for every ordered pair the two logs say the same, and each listing what its log says
(`compare_logs`).
Trusts the verified agreement alone. Source: transparency-log reference sections 13 to 16.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations

from federation.audit.findings import Code, Finding, Findings
from federation.audit.rules import Rules
from federation.audit.verify_listing import ListingAccount, compare_listing
from federation.audit.verify_log import LogAccount, SeenHead
from federation.audit.verify_pair import PairAccount, compare_pair
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import NodeName, Pair
from federation.protocol.tlog.checkpoint import Checkpoint, verify_checkpoint
from federation.protocol.tlog.cosignature import verify_cosigned
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.trust import Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadAccount:
    """A log's published head: None when the log did not sign it; `cosigned` counts distinct witness keys."""

    node: NodeName
    note: bytes
    checkpoint: Checkpoint | None
    cosigned: int
    findings: tuple[Finding, ...]


def enough_witnesses(agreement: Agreement) -> int:
    """How many witnesses make a split view impossible while one node is dishonest: 3 of 4."""
    return len(agreement.members) // 2 + 1


def verify_head(node: NodeName, note: bytes, *, agreement: Agreement, now: datetime) -> HeadAccount:
    """Verifies the checkpoint that a node publishes: first the log's own line, then the witnesses'."""
    findings = Findings(node)
    member = agreement.members[node]
    vkey = parse_vkey(member.log_vkey)
    try:
        checkpoint = verify_checkpoint(note, vkey)
    except BridgeheadError as error:
        findings.add(Code.CHECKPOINT_INVALID, f"expected a checkpoint signed by {vkey.name}: {error}")
        return HeadAccount(node=node, note=note, checkpoint=None, cosigned=0, findings=findings.all())
    witnesses = [parse_vkey(other.witness_vkey) for other in agreement.members.values()]
    try:
        lines = verify_cosigned(note, vkey, witnesses=witnesses, not_after=now + agreement.clock_tolerance)
        cosigned = len(lines.cosigner_keys)
    except BridgeheadError as error:
        findings.add(Code.COSIGNATURE_INVALID, f"expected witness lines that verify: {error}")
        cosigned = 0
    return HeadAccount(node=node, note=note, checkpoint=checkpoint, cosigned=cosigned, findings=findings.all())


def verify_seen(node: NodeName, note: bytes, *, agreement: Agreement, where: str) -> SeenHead | Finding:
    """Verifies a checkpoint of a log that someone else was shown; it must lie on the log's one tree."""
    vkey = parse_vkey(agreement.members[node].log_vkey)
    try:
        checkpoint = verify_checkpoint(note, vkey)
    except BridgeheadError as error:
        sentence = f"the head {where} is not signed by {vkey.name}: {error}"
        return Finding(code=Code.CHECKPOINT_INVALID, node=node, index=None, sentence=sentence)
    return SeenHead(size=checkpoint.size, root=checkpoint.root, where=where)


def compare_logs(
    accounts: Mapping[NodeName, LogAccount], listings: Collection[ListingAccount], *, rules: Rules
) -> tuple[tuple[PairAccount, ...], tuple[Finding, ...]]:
    """Compares every log with every other, and every listing with its log; returns the pairs, and the findings."""
    receipted = {listing.pair: listing.receipted for listing in listings if listing.node == listing.pair.sender}
    pairs = tuple(
        compare_pair(
            Pair(sender, recipient),
            sender=accounts[sender],
            receiver=accounts[recipient],
            rules=rules,
            receipted=receipted.get(Pair(sender, recipient), frozenset()),
        )
        for sender, recipient in permutations(sorted(accounts), 2)
    )
    return pairs, (*_of_pairs(pairs), *_of_listings(accounts, listings))


def _of_pairs(pairs: tuple[PairAccount, ...]) -> Iterator[Finding]:
    for pair in pairs:
        yield from pair.findings


def _of_listings(accounts: Mapping[NodeName, LogAccount], listings: Collection[ListingAccount]) -> Iterator[Finding]:
    for listing in listings:
        yield from listing.findings
        if listing.node in accounts:
            yield from compare_listing(listing, accounts[listing.node])
