"""One audit from the first question to the report, in an order that leaves no race between four growing logs.

1 listings, unless the trees alone are verified: envelopes and receipts, so that each head in a receipt must lie on a
tree that is fetched later · 2 first heads, and what each node cosigned of the others · 3 second heads: whatever was
received by the first heads must have been sent by these · 4 all entries up to the second heads · 5 the logs against
each other, and mandates against the log of their office · 6 the joint records whose heads were listed, against the logs
of their authors. An unreachable node is named and the others are audited. Remembered is the head, as signed, of each
log that verified whole: a log rolled back later has signed the proof against itself. A remembered head never goes back,
and is verified again each time.
Source: DESIGN section 3, C2SP tlog-tiles (clients that follow a log).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from federation.audit.fetch import LogSource, feed
from federation.audit.leaves import Rules, Window, rules_of, standing_logs
from federation.audit.report import Code, Finding, LogLine, PairLine, Report, Severity, in_reading_order
from federation.audit.verify_listing import ListingAccount, ListingCheck, mandate_subjects, verify_mandates
from federation.audit.verify_log import (
    HeadAccount,
    LogAccount,
    LogCheck,
    LogTask,
    SeenHead,
    verify_head,
    verify_retired,
    witnessed_size,
)
from federation.audit.verify_pair import compare_logs
from federation.audit.verify_record import verify_records
from federation.domain.oversight import Mandate
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, UnavailableError
from federation.protocol.form import Item, always, canonicalise, decode, encode, replace
from federation.protocol.ids import NodeName, Pair, typed
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.trust import Agreement
from federation.protocol.trust.witnesses import log_policy
from federation.wire.agency.audit import Direction, MessagePage, MessageQuery

PAGE_SIZE = 256
_size = attrgetter("size")
_LOOK_SECONDS = 0.5
ListMessages: TypeAlias = Callable[[MessageQuery], Awaitable[MessagePage]]
"""Lists messages of one node as an auditor of its province may see them."""
OnRead: TypeAlias = Callable[[NodeName, int, int], None]
"""Told while a log is read: the node, entries read, entries in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The depth of an audit. With `leaves` off only the trees are verified; `tiles` compares the log's tiles too.

    `witness_seconds` is how long a log that grew just now may wait for its witnesses. With a `window` the nodes list
    its messages alone, by the `mandates`.
    """

    tiles: bool = True
    leaves: bool = True
    in_flight_age: timedelta | None = None
    witness_seconds: float = 0.0
    window: Window | None = None
    mandates: tuple[Mandate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One audit's inputs: the agreement, each member's log, who may list messages, the heads remembered by origin."""

    agreement: Agreement
    sources: Mapping[NodeName, LogSource]
    listers: Mapping[NodeName, ListMessages] = field(default_factory=dict)
    remembered: Mapping[str, bytes] = field(default_factory=dict)
    options: Options = Options()
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The report, and the signed heads by origin to be remembered until the next audit."""

    report: Report
    remembered: Mapping[str, bytes]


async def audit_federation(audit: Audit, *, on_read: OnRead = lambda _node, _read, _size: None) -> Outcome:
    """Audits every log of the agreement that has a source; see the module for the order. Never raises for bad input."""
    return await _Run(audit, on_read).run()


class _Remembered(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "remembered heads"

    v: Annotated[Literal[1], typed("1", reason="REMEMBERED")] = always(1)
    heads: dict[str, str]


class _Run:
    def __init__(self, audit: Audit, on_read: OnRead) -> None:
        self._audit = audit
        self._on_read = on_read
        self._findings: list[Finding] = []
        self._unreachable: dict[NodeName, str] = {}
        self._heads: dict[NodeName, list[HeadAccount]] = {node: [] for node in audit.sources}
        self._listings: list[ListingAccount] = []
        self._retired: dict[NodeName, set[SeenHead]] = {node: set() for node in audit.sources}
        self._accounts: dict[NodeName, LogAccount] = {}

    async def run(self) -> Outcome:
        if self._audit.options.leaves:  # a listing is checked against leaves: without them it says nothing
            await self._list_all()  # 1
        settled = await self._fetch_heads("that it published first")  # 2
        await self._fetch_others()
        await self._fetch_retired()
        await self._wait_witnessed(settled)
        heads = await self._fetch_heads("that it publishes")  # 3
        options = self._audit.options
        rules = rules_of(
            self._audit.agreement, self._audit.now(), in_flight_age=options.in_flight_age, window=options.window
        )
        rules = replace(rules, subjects=mandate_subjects(options.mandates))
        for node, head in heads.items():  # 4
            await self._read_log(node, head, settled.get(node), rules)
        pairs, findings = compare_logs(self._accounts, self._listings, rules=rules)  # 5
        for account in self._accounts.values():
            self._findings.extend(account.findings)
        self._findings.extend(findings)
        if window := options.window:
            agreement = self._audit.agreement
            found = verify_mandates(options.mandates, self._accounts, agreement=agreement, window=window)
            self._findings.extend(found)
        entries = (entry for listing in self._listings for entry in listing.entries)
        self._findings.extend(verify_records(entries, self._accounts))  # 6
        return Outcome(report=self._report(rules, pairs), remembered=self._remember(heads))

    async def _list_all(self) -> None:
        for node, list_messages in self._audit.listers.items():
            agreement = self._audit.agreement
            peers = [peer for peer in (*agreement.members, *agreement.former) if peer != node]
            pairs = [pair for peer in peers for pair in (Pair(node, peer), Pair(peer, node))]
            try:
                for pair in pairs:
                    self._listings.append(await self._list_pair(node, pair, list_messages))
            except BridgeheadError as error:
                self._add(Code.LISTING_DENIED, node, f"not all envelopes and receipts were audited: {error}")

    async def _list_pair(self, node: NodeName, pair: Pair, list_messages: ListMessages) -> ListingAccount:
        window = self._audit.options.window
        begun = self._audit.now() if window is None else window.begun
        check = ListingCheck(node, pair, agreement=self._audit.agreement, listed_time=begun)
        sending = pair.sender == node
        after_seq: int | None = 0
        while after_seq is not None:
            page = await list_messages(
                MessageQuery(
                    direction=Direction.SENT if sending else Direction.RECEIVED,
                    peer=pair.recipient if sending else pair.sender,
                    after_seq=after_seq,
                    page_size=PAGE_SIZE,
                )
            )
            for message in page.messages:
                check.append(message)
            after_seq = _next_page(page, after_seq)
        return check.finish()

    async def _fetch_heads(self, where: str) -> dict[NodeName, HeadAccount]:
        nodes = [node for node in self._audit.sources if node not in self._unreachable]
        notes = await asyncio.gather(*(self._fetch(node, self._audit.sources[node].checkpoint()) for node in nodes))
        found: dict[NodeName, HeadAccount] = {}
        for node, note in zip(nodes, notes, strict=True):
            if note is not None:
                found[node] = self._verify_head(node, note, where)
            elif node not in self._unreachable:
                self._add(Code.CHECKPOINT_INVALID, node, f"expected the head {where}, got none")
        return found

    async def _fetch_others(self) -> None:
        """Fetches what each node cosigned of the others, and what the last audit remembers."""
        for node, member in self._audit.agreement.members.items():
            origin = parse_vkey(member.log_vkey).name
            if node not in self._heads:
                continue
            if origin in self._audit.remembered:
                self._verify_head(node, self._audit.remembered[origin], "that the last audit verified")
            for witness, source in self._audit.sources.items():
                if witness != node and witness not in self._unreachable:
                    note = await self._fetch(witness, source.cosigned(origin))
                    if note is not None:
                        self._verify_head(node, note, f"that {witness} cosigned")

    async def _fetch_retired(self) -> None:
        """Compares with the end of each retired log what the others cosigned of it, and what is remembered."""
        asked = [each for each in self._audit.agreement.members.items() if each[0] in self._heads]
        for node, log in [(name, log) for name, member in asked for log in standing_logs(member)]:
            ended = f"that the agreement says it ended with as {(origin := parse_vkey(log.vkey).name)}"
            self._retired[node].add(SeenHead(size=log.size, root=bytes.fromhex(log.root), where=ended))
            shown = {"that the last audit verified": self._audit.remembered.get(origin)}
            for witness, source in self._audit.sources.items():
                if witness != node and witness not in self._unreachable:
                    shown[f"that {witness} cosigned"] = await self._fetch(witness, source.cosigned(origin))
            for where, note in shown.items():
                if note is not None:
                    seen, findings = verify_retired(node, note, log, where=where)
                    self._retired[node] |= {seen} if seen else set()
                    self._findings.extend(findings)

    async def _wait_witnessed(self, settled: Mapping[NodeName, HeadAccount]) -> None:
        """Gives the witnesses of a log that has just grown their moment; what is not covered then is told."""
        sizes = {node: head.checkpoint.size for node, head in settled.items() if head.checkpoint is not None}
        end = asyncio.get_running_loop().time() + self._audit.options.witness_seconds
        while self._find_unwitnessed(sizes) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._fetch_heads("that it published meanwhile")
            await self._fetch_others()
        for node, covered in self._find_unwitnessed(sizes).items():
            sentence = f"the agreed quorum of witnesses covers {covered} of its {sizes[node]} entries"
            self._add(Code.COSIGNED_BY_FEW, node, f"{sentence}: two histories of the rest are not excluded")

    def _find_unwitnessed(self, sizes: Mapping[NodeName, int]) -> dict[NodeName, int]:
        """The logs whose quorum does not cover that size, with the size that it covers."""
        agreement = self._audit.agreement
        covered = {node: witnessed_size(self._heads[node], log_policy(agreement, node))[1] for node in sizes}
        return {node: covered[node] for node, size in sizes.items() if covered[node] < size}

    async def _fetch(self, node: NodeName, fetching: Awaitable[bytes]) -> bytes | None:
        """Awaits a file; None when there is none, or when the node cannot be reached, which is noted."""
        try:
            return await fetching
        except (NotFoundError, MalformedError):
            return None
        except UnavailableError as error:
            self._unreachable.setdefault(node, error.message)
            return None

    def _verify_head(self, node: NodeName, note: bytes, where: str) -> HeadAccount:
        known = {head.note for head in self._heads[node]}
        head = verify_head(node, note, agreement=self._audit.agreement, now=self._audit.now(), where=where)
        self._heads[node].append(head)
        if note not in known:
            self._findings.extend(head.findings)
        return head

    async def _read_log(self, node: NodeName, head: HeadAccount, settled: HeadAccount | None, rules: Rules) -> None:
        checkpoint = head.checkpoint
        if checkpoint is None:
            return
        first = settled.checkpoint if settled is not None else None
        task = LogTask(
            node=node,
            head=checkpoint,
            seen=self._seen_heads(node),
            settled_size=first.size if first is not None else 0,
            read_leaves=self._audit.options.leaves,
        )
        check = LogCheck(task, rules)
        size = checkpoint.size
        source, tiles = self._audit.sources[node], self._audit.options.tiles
        try:
            await feed(source, check, size, tiles=tiles, on_read=lambda read: self._on_read(node, read, size))
        except UnavailableError as error:
            self._unreachable.setdefault(node, error.message)
        self._accounts[node] = check.finish()

    def _seen_heads(self, node: NodeName) -> Iterator[SeenHead]:
        """Yields every head that the log signed for anyone, without the published one, by size."""
        shown = [head.seen for head in self._heads[node][:-1]]
        fetched = sorted((*(head for head in shown if head is not None), *self._retired[node]), key=_size)
        receipts = (listing.heads.in_order() for listing in self._listings if listing.pair.recipient == node)
        return merge(fetched, *receipts, key=_size)

    def _report(self, rules: Rules, pairs: tuple[PairLine, ...]) -> Report:
        agreement = self._audit.agreement
        logs = tuple(self._log_line(account) for account in self._accounts.values())
        return Report(
            federation=agreement.federation,
            realm=agreement.realm,
            agreement=agreement.version,
            time=rules.now,
            logs=logs,
            pairs=pairs,
            findings=in_reading_order(tuple(self._findings)),
            unreachable=self._unreachable,
        )

    def _log_line(self, account: LogAccount) -> LogLine:
        agreement = self._audit.agreement
        policy = log_policy(agreement, account.node)
        cosigned, witnessed = witnessed_size(self._heads[account.node], policy)
        return LogLine(
            node=account.node,
            origin=account.head.origin,
            size=account.head.size,
            root=account.root,
            read=account.read,
            kinds={kind.value: count for kind, count in sorted(account.kinds.items())},
            cosigned=cosigned,
            witnesses=len(policy.witnesses),
            witnessed_size=witnessed,
            complete=account.complete,
        )

    def _remember(self, heads: Mapping[NodeName, HeadAccount]) -> Mapping[str, bytes]:
        """Takes over the heads of logs without any error; of the others the old ones stay."""
        remembered = dict(self._audit.remembered)
        for node, account in self._accounts.items():
            if account.complete and not any(found.severity is Severity.ERROR for found in account.findings):
                remembered[account.head.origin] = heads[node].note
        return remembered

    def _add(self, code: Code, node: NodeName, sentence: str) -> None:
        self._findings.append(Finding(code=code, node=node, index=None, sentence=sentence))


def load_remembered(path: Path) -> dict[str, bytes]:
    """Loads the signed heads by origin, not verified; none without a file; refuses REMEMBERED, JSON_*, FILE."""
    if not path.exists():
        return {}
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise UnavailableError("FILE", f"expected to read {path}, got {error.strerror}") from error
    return {
        origin: note.encode()
        for origin, note in decode(_Remembered, canonicalise(encoded, what=str(path))).heads.items()
    }


def save_remembered(path: Path, notes: Mapping[str, bytes]) -> None:
    """Replaces the file in one step; raises UnavailableError FILE."""
    heads = {origin: note.decode() for origin, note in notes.items()}
    new = path.with_name(path.name + ".new")
    try:
        new.write_bytes(encode(_Remembered(heads=heads)))
        new.replace(path)
    except OSError as error:
        raise UnavailableError("FILE", f"expected to write {path}, got {error.strerror}") from error


def _next_page(page: MessagePage, after_seq: int) -> int | None:
    """Returns where the next page starts, None at the end; a node that sends us in circles ends the listing."""
    following = page.next_after_seq
    return following if following is not None and following > after_seq else None
