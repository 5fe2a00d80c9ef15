"""One log against its own signed heads: every entry in, one account out. Pure; entries may come as they are fetched.

A head is signed by the log's key, and its witnesses are counted by key; the root is computed from *all* entries,
never taken from the log (from its hashes of them, when no leaf is to be read); every head that anyone was ever shown
must lie on that one tree; the log's tiles are the hashes of its entries; the leaves are lawful (`leaves`). Memory
holds one compact range and the packed leaves, never the entries. Trusts the agreement. Source: RFC 6962 2.1, C2SP
tlog-tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from federation.audit.column import MessageColumn
from federation.audit.leaves import LeafReader, Lost, Rules
from federation.audit.report import Code, Finding, Findings
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.ids import HASH_SIZE, NodeName, Pair
from federation.protocol.leaf import LeafKind
from federation.protocol.tlog.cosignature import verify_cosigned
from federation.protocol.tlog.merkle import CompactRange, hash_leaf
from federation.protocol.tlog.note import Checkpoint, parse_vkey, verify_checkpoint
from federation.protocol.tlog.quorum import Policy, satisfied_names
from federation.protocol.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, decode_bundle
from federation.protocol.trust import Agreement
from federation.protocol.trust.members import RetiredLog
from federation.protocol.trust.witnesses import log_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHead:
    """A head that the log signed and someone was shown: `where` ends the sentence "the head ..."."""

    size: int
    root: bytes
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadAccount:
    """A head as someone was shown it; `checkpoint` is None when the log did not sign it. `where` says to whom."""

    node: NodeName
    note: bytes
    where: str
    checkpoint: Checkpoint | None
    witnesses: frozenset[str]
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
    witnesses = {witness.vkey: witness.name for witness in log_policy(agreement, node).witnesses}
    checkpoint, signed_by = None, frozenset[str]()
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


def verify_retired(
    node: NodeName, note: bytes, log: RetiredLog, *, where: str
) -> tuple[SeenHead | None, tuple[Finding, ...]]:
    """Verifies a head of a log that its node retired, against where that is said to have ended.

    What the next log goes on from must lie on its tree; beyond, it must be of what is said to be lost.
    """
    findings = Findings(node)
    vkey = parse_vkey(log.vkey)
    try:
        head = verify_checkpoint(note, vkey)
    except BridgeheadError as error:
        findings.add(Code.CHECKPOINT_INVALID, f"the head {where}, of {vkey.name}: {error}")
        return None, findings.all()
    if head.size <= log.size:
        return SeenHead(size=head.size, root=head.root, where=f"{where}, of {vkey.name},"), ()
    if 0 < log.signed < head.size:
        findings.add(Code.LOG_ROLLED_BACK, f"the head {where} of {hidden_by_restart(log, head.size)}")
    return None, findings.all()


def hidden_by_restart(log: RetiredLog, size: int) -> str:
    said = f"it was said to have signed {log.signed} when it was retired"
    return f"{log.vkey.partition('+')[0]} has {size} entries, {said}: {size - log.signed} entries are hidden"


def witnessed_size(heads: Iterable[HeadAccount], policy: Policy) -> tuple[int, int]:
    """Returns how many witnesses cosigned any of a log's heads, and the size that the agreed quorum covers."""
    keys = {witness.name: witness.vkey.public_key for witness in policy.witnesses}
    newest: dict[str, int] = {}
    for head in heads:
        for witness in head.witnesses if head.checkpoint else ():
            newest[witness] = max(newest.get(witness, 0), head.checkpoint.size if head.checkpoint else 0)
    for size in sorted(newest.values(), reverse=True):
        covering = frozenset(keys[name] for name, reached in newest.items() if reached >= size)
        if policy.quorum in satisfied_names(policy, covering):
            return len(newest), size
    return len(newest), 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAccount:
    """One log after its verification. `complete`: every entry was read and the root is the signed one.

    `keys` are the officers' keys that the rules asked about, by subject, with the time of their leaf.
    """

    node: NodeName
    head: Checkpoint
    root: bytes
    read: int
    complete: bool
    kinds: Mapping[LeafKind, int]
    sent: Mapping[Pair, MessageColumn]
    decided: Mapping[Pair, MessageColumn]
    expired: Mapping[Pair, MessageColumn]
    erased: Mapping[Pair, MessageColumn]
    unanswered: Mapping[Pair, MessageColumn]
    disputed: frozenset[bytes]
    keys: Mapping[str, datetime]
    lost: Lost
    settled_size: int
    findings: tuple[Finding, ...]


def unread_log(node: NodeName) -> LogAccount:
    """Returns the account of a log that nobody can ask for: it says nothing, and nothing is missing in it."""
    return LogAccount(
        node=node,
        head=Checkpoint(origin=node, size=0, root=CompactRange().root()),
        root=CompactRange().root(),
        read=0,
        complete=False,
        kinds={},
        sent={},
        decided={},
        expired={},
        erased={},
        unanswered={},
        disputed=frozenset(),
        keys={},
        lost=Lost(),
        settled_size=0,
        findings=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTask:
    """One log to verify. Up to `settled_size` the received must be logged as sent; no `read_leaves`: the tree only.

    `seen` are the heads that must lie on its tree, the smallest first; they are read as the tree grows.
    """

    node: NodeName
    head: Checkpoint
    seen: Iterable[SeenHead] = ()
    settled_size: int = 0
    read_leaves: bool = True


class LogCheck:
    def __init__(self, task: LogTask, rules: Rules) -> None:
        self._task = task
        self._findings = Findings(task.node)
        self._edge = CompactRange()
        self._tiled = CompactRange()
        self._rows: list[list[bytes]] = []
        self._seen = iter(task.seen)
        self._next_seen = next(self._seen, None)
        self._leaves = LeafReader(task.node, rules, self._findings)
        self._check_seen()

    @property
    def size(self) -> int:
        return self._edge.size

    @property
    def reads_leaves(self) -> bool:
        return self._task.read_leaves

    def append_bundle(self, blob: bytes, width: int) -> list[tuple[Tile, bytes]]:
        """Reads the next bundle and returns the tiles that it completes; BUNDLE when it is not of that many entries."""
        try:
            entries = decode_bundle(blob, width)
        except MalformedError as error:
            self._findings.add(Code.BUNDLE_MALFORMED, error.message, index=self.size)
            raise
        done: list[tuple[Tile, bytes]] = []
        for entry in entries:
            self._append(hash_leaf(entry), done)
            self._leaves.read(entry, self.size - 1)
        return done

    def append_hashes(self, tile: bytes, width: int) -> list[tuple[Tile, bytes]]:
        """As `append_bundle`, with the log's own hashes of its entries: the tree, without a leaf (TILE_BYTES)."""
        if len(tile) != width * HASH_SIZE:
            sentence = f"expected {width} hashes from {self.size} on, got {len(tile)} bytes"
            self._findings.add(Code.TILE_DIFFERS, sentence, index=self.size)
            raise MalformedError("TILE_BYTES", sentence)
        done: list[tuple[Tile, bytes]] = []
        for at in range(0, len(tile), HASH_SIZE):
            self._append(tile[at : at + HASH_SIZE], done)
        return done

    def last_tiles(self) -> list[tuple[Tile, bytes]]:
        """The partial tiles at the right edge, with the bytes that they must have."""
        rows = enumerate(self._rows)
        return [(Tile(level, self._row_index(level), len(row)), b"".join(row)) for level, row in rows if row]

    def check_tile(self, tile: Tile, *, expected: bytes, got: bytes | None) -> None:
        """Compares a tile of the log with the hashes of its entries; None says that the log has no such tile."""
        if got is None:
            self._findings.add(Code.TILE_MISSING, f"expected {tile}, got none")
            return
        if tile.level == 0 and len(got) == len(expected):
            for at in range(0, len(got), HASH_SIZE):
                self._tiled.append(got[at : at + HASH_SIZE])
        if got == expected:
            return
        at = next((at for at, pair in enumerate(zip(expected, got, strict=False)) if pair[0] != pair[1]), len(got))
        first = tile.index * TILE_WIDTH + at // HASH_SIZE
        if tile.level == 0:
            sentence = f"the entry does not have the hash that the log keeps of it in {tile}"
            self._findings.add(Code.ENTRY_DIFFERS, sentence, index=first)
        else:
            self._findings.add(Code.TILE_DIFFERS, f"expected {tile} to hold the hashes of the entries, got others")

    def miss_bundle(self) -> None:
        """Notes that the log does not give the bundle, or the tile of hashes, after what was read."""
        if self.reads_leaves:
            sentence = f"expected the entries up to {self._task.head.size}, got no bundle from {self.size} on"
            self._findings.add(Code.BUNDLE_MISSING, sentence, index=self.size)
        else:
            sentence = f"expected the hashes of {self._task.head.size} entries, got no tile from {self.size} on"
            self._findings.add(Code.TILE_MISSING, sentence, index=self.size)

    def finish(self) -> LogAccount:
        """Compares the computed root with the signed one and returns what the log says."""
        task, root = self._task, self._edge.root()
        whole = self.size == task.head.size
        if whole and root != task.head.root:
            self._findings.add(Code.ROOT_DIFFERS, self._root_sentence(root))
        self._leaves.check_erasures()
        while (ahead := self._next_seen) is not None:
            if ahead.size > task.head.size:
                said = f"it signed the head {ahead.where} of size {ahead.size}, and now shows one of {task.head.size}"
                self._findings.add(Code.LOG_ROLLED_BACK, said)
            self._next_seen = next(self._seen, None)
        return LogAccount(
            node=task.node,
            head=task.head,
            root=root,
            read=self.size,
            complete=whole and root == task.head.root,
            kinds=self._leaves.kinds,
            sent=self._leaves.sent,
            decided=self._leaves.decided,
            expired=self._leaves.expired,
            erased=self._leaves.erased,
            unanswered=self._leaves.unanswered,
            disputed=frozenset(self._leaves.disputed),
            keys=self._leaves.keys,
            lost=self._leaves.find_lost() if whole and task.read_leaves else Lost(),
            settled_size=task.settled_size,
            findings=self._findings.all(),
        )

    def _append(self, leaf_hash: bytes, done: list[tuple[Tile, bytes]]) -> None:
        for level, index, node_hash in self._edge.append(leaf_hash):
            if level % TILE_HEIGHT:
                continue
            tile_level = level // TILE_HEIGHT
            if tile_level == len(self._rows):
                self._rows.append([])
            row = self._rows[tile_level]
            row.append(node_hash)
            if len(row) == TILE_WIDTH:
                done.append((Tile(tile_level, index // TILE_WIDTH), b"".join(row)))
                row.clear()
        if self._next_seen is not None and self._next_seen.size == self._edge.size:
            self._check_seen()

    def _check_seen(self) -> None:
        """Compares the heads of the present size with the present root: they are passed only once."""
        reported: set[bytes] = set()
        while (head := self._next_seen) is not None and head.size == self.size:
            self._next_seen = next(self._seen, None)
            if head.root != self._edge.root() and head.root not in reported:
                reported.add(head.root)
                sentence = f"the head {head.where} of size {head.size} is not on the tree that the log publishes"
                self._findings.add(Code.LOG_FORKED, f"{sentence}: it signed two histories")

    def _row_index(self, level: int) -> int:
        return (self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH

    def _root_sentence(self, root: bytes) -> str:
        head = self._task.head
        said = (
            f"its {head.size} entries have the root {root.hex():.16}, its signed checkpoint says {head.root.hex():.16}"
        )
        if self._tiled.size == head.size and self._tiled.root() == head.root:
            return f"{said}; its tiles agree with the checkpoint, so entries were changed after they were logged"
        return said
