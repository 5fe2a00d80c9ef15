"""The whole audit as pure functions: heads, logs, pairs and listings in, one judgement out.

1 each log's head is signed by the key of the agreement and cosigned (`verify_head`) · 2 each log's entries lead to that
head, and every other head that it ever signed lies on the same tree (`verify_log`) · 3 what a node lists verifies by
itself (`verify_listing`) · 4 for every ordered pair the two logs say the same, and each listing what its log says
(`compare_logs`).
Trusts the verified agreement alone. Source: transparency-log reference sections 13 to 16.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations

from federation.audit.leaves import Rules
from federation.audit.report import Code, Finding, Findings, PairLine
from federation.audit.verify_listing import ListingAccount, compare_listing
from federation.audit.verify_log import LogAccount, SeenHead
from federation.audit.verify_pair import answered_after_all, compare_pair, compare_unanswered
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import NodeName, Pair
from federation.protocol.tlog.checkpoint import Checkpoint, verify_checkpoint
from federation.protocol.tlog.cosignature import verify_cosigned
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.trust import Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadAccount:
    """A head as someone was shown it; `checkpoint` is None when the log did not sign it. `where` says to whom."""

    node: NodeName
    note: bytes
    where: str
    checkpoint: Checkpoint | None
    witnesses: frozenset[NodeName]
    findings: tuple[Finding, ...]

    @property
    def seen(self) -> SeenHead | None:
        """The head that must lie on the log's one tree, when the log signed it."""
        head = self.checkpoint
        return None if head is None else SeenHead(size=head.size, root=head.root, where=self.where)


def verify_head(node: NodeName, note: bytes, *, agreement: Agreement, now: datetime, where: str) -> HeadAccount:
    """Verifies a checkpoint of a node's log: first the log's own line, then the witnesses', counted by key."""
    findings = Findings(node)
    vkey = parse_vkey(agreement.members[node].log_vkey)
    witnesses = {parse_vkey(member.witness_vkey): name for name, member in agreement.members.items()}
    checkpoint, signed_by = None, frozenset[NodeName]()
    try:
        checkpoint = verify_checkpoint(note, vkey)
        not_after = now + agreement.clock_tolerance
        lines = verify_cosigned(note, vkey, witnesses=witnesses, not_after=not_after).cosignatures
        signed_by = frozenset(witnesses[line.vkey] for line in lines)
    except BridgeheadError as error:
        code = Code.CHECKPOINT_INVALID if checkpoint is None else Code.COSIGNATURE_INVALID
        findings.add(code, f"the head {where}: {error}")
    return HeadAccount(
        node=node, note=note, where=where, checkpoint=checkpoint, witnesses=signed_by, findings=findings.all()
    )


def enough_witnesses(agreement: Agreement) -> int:
    """Returns how many witnesses exclude a split view while one node is dishonest: 3 of 4."""
    return len(agreement.members) // 2 + 1


def witnessed_size(heads: Iterable[HeadAccount], agreement: Agreement) -> tuple[int, int]:
    """Returns how many witnesses cosigned any of a log's heads, and the size that enough of them cover."""
    newest: dict[NodeName, int] = {}
    for head in heads:
        for witness in head.witnesses if head.checkpoint else ():
            newest[witness] = max(newest.get(witness, 0), head.checkpoint.size if head.checkpoint else 0)
    sizes = sorted(newest.values(), reverse=True)
    enough = enough_witnesses(agreement)
    return len(sizes), sizes[enough - 1] if len(sizes) >= enough else 0


def compare_logs(
    accounts: Mapping[NodeName, LogAccount], listings: Collection[ListingAccount], *, rules: Rules
) -> tuple[tuple[PairLine, ...], tuple[Finding, ...]]:
    """Compares every log with every other, and every listing with its log; returns the pairs, and the findings."""
    receipted = {listing.pair: listing.receipted for listing in listings if listing.node == listing.pair.sender}
    lines: list[PairLine] = []
    findings: list[Finding] = []
    unanswered: list[Finding] = []
    for sender, recipient in permutations(sorted(accounts), 2):
        pair, ours, theirs = Pair(sender, recipient), accounts[sender], accounts[recipient]
        line, found = compare_pair(pair, sender=ours, receiver=theirs, rules=rules, receipted=receipted.get(pair))
        lines.append(line)
        findings += found
        unanswered += compare_unanswered(pair, sender=ours, receiver=theirs, rules=rules)
    findings += unanswered
    findings += answered_after_all(accounts, listings)
    for listing in listings:
        findings += listing.findings
        if listing.node in accounts:
            findings += compare_listing(listing, accounts[listing.node])
    return tuple(lines), tuple(findings)
