"""One province at work, as one frozen value: its name, keys, store, writer, clock, and what it goes by and knows.

`InForce` is taken once for an act or a message and kept to its end. `Waiters` are told after the commit; the store is
the truth, and a waiter looks there now and then, so that what another process received is found too. Built in one place
only (`serve.build_node`); it holds no rules.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from federation.domain.clock import (
    CALENDAR_FILE,
    CLOCKS_FILE,
    Calendar,
    ClockTable,
    Deadline,
    china_day,
    compute_deadline,
    load_rule,
    parse_calendar,
    parse_clocks,
)
from federation.domain.division import find_division, province_of
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.domain.reports import PURPOSES, agreed_purposes, purposes_of
from federation.domain.retention import RETENTION_FILE, RetentionRules, find_rule, parse_retention
from federation.node.home.config import NodeSettings
from federation.node.home.keyring import Keyring
from federation.node.log.bad_rows import BadRows
from federation.node.log.sequence import Sequencer
from federation.protocol.errors import (
    BridgeheadError,
    NotFoundError,
    RuleError,
    UnavailableError,
    UntrustedError,
    nearest,
)
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, truncate_to_millisecond
from federation.protocol.keys import Signer
from federation.protocol.leaf import Leaf, LeafKind
from federation.protocol.policy import PolicyBook, load_policy_book
from federation.protocol.tlog.note import Checkpoint, format_checkpoint
from federation.protocol.trust import Agency, Agreement, Member, find_agency, message_keys_at, withheld
from federation.protocol.trust.agreement import EXERCISE_ONLY
from federation.protocol.trust.witnesses import log_policy
from federation.store.database import Database
from federation.wire.limits import PostLimit

_log = structlog.get_logger()
T = TypeVar("T")
LOOK_SECONDS = 1.0
"""How often a waiter that hears nothing looks at the store."""


def received_key(digest: str) -> str:
    """The key that is told when a statement of ours has left the queue, whatever became of it."""
    return f"received/{digest}"


class Waiters:
    """Waiters by key: the digest of a statement of ours, notified with its reply or when none will come."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.shared: dict[str, Any] = {}
        """By key, what all who follow it hold together."""
        self.ended = False

    def listen(self, *keys: str) -> asyncio.Event:
        """An event that is set whenever one of the keys is told, until `leave`."""
        event = asyncio.Event()
        for key in keys:
            self._waiting.setdefault(key, set()).add(event)
        return event

    def leave(self, *keys: str, event: asyncio.Event) -> None:
        for key in keys:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def tell(self, key: str) -> None:
        for event in self._waiting.get(key, ()):
            event.set()

    def end(self) -> None:
        """Says that this process stops, and wakes everybody, so that streams end by themselves."""
        self.ended = True
        for key in list(self._waiting):
            self.tell(key)

    async def wait(self, *keys: str, seconds: float = LOOK_SECONDS) -> None:
        """Waits for one of the keys to be told, at most so long; who asks looks at the store afterwards."""
        event = self.listen(*keys)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            self.leave(*keys, event=event)

    async def until(self, look: Callable[[], T | None], *keys: str, seconds: float, fresh: bool = False) -> T | None:
        """Returns what `look` finds, looking first (unless `fresh`), when a key is told, now and then; else None."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if fresh:
            await self.wait(*keys, seconds=min(seconds, LOOK_SECONDS))
        while (found := look()) is None and (left := end - loop.time()) > 0:
            await self.wait(*keys, seconds=min(left, LOOK_SECONDS))
        return found


class MessageKeys:
    """This node's own message keys, chosen by the agreement and the clock."""

    def __init__(self, keyring: Keyring, trust: Trust, *, now: Callable[[], datetime]) -> None:
        """Refuses MESSAGE_KEY_NOT_AGREED when there is nothing to choose: such a node need not start."""
        self._keyring = keyring
        self._trust = trust
        self._now = now
        self.current()

    def current(self) -> Signer:
        """The key for a statement that is made now. Raises RuleError: MESSAGE_KEY_NOT_AGREED."""
        return message_signer_at(self._keyring, self._trust.in_force.agreement, self._now())

    def replace(self, keyring: Keyring) -> None:
        self._keyring = keyring


def message_signer_at(keyring: Keyring, agreement: Agreement, now: datetime) -> Signer:
    """Returns the newest own key under which the others verify a statement made now. Refuses MESSAGE_KEY_NOT_AGREED."""
    agreed = message_keys_at(agreement, keyring.identity.node, now)
    for signer in (keyring.next_message, keyring.message):
        if signer is not None and signer.public_key in agreed:
            return signer
    raise RuleError(
        "MESSAGE_KEY_NOT_AGREED",
        f"expected agreement {agreement.version} to name a message key of this home; hand the others a new bundle "
        "('bridgehead keys bundle') and have the next version signed",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One agreement version, and the policies, the calendar and the table of retention that it carries."""

    agreement: Agreement
    policies: PolicyBook
    calendar: Calendar
    retention: RetentionRules

    def member(self, node: NodeName) -> Member:
        found = self.agreement.members.get(node)
        if found is None:
            raise UntrustedError("NOT_A_MEMBER", f"the agreement names no node {node!r:.40}")
        return found

    def has(self, node: NodeName) -> bool:
        """True for a member: nothing is said of a node's own accord to one that was expelled."""
        return node in self.agreement.members

    def exchanges(self, *nodes: NodeName) -> bool:
        """True for members between which all passes, at once or once a suspension is lifted: not exercises alone."""
        return all(map(self.has, nodes)) and withheld(self.agreement, *nodes) != EXERCISE_ONLY

    def agency(self, agency: AgencyId) -> Agency:
        found = find_agency(self.agreement, agency)
        if found is None:
            raise UntrustedError("NOT_AN_AGENCY", f"the agreement names no agency {agency}")
        return found

    def has_purpose(self, purpose: str) -> bool:
        """True for a registered purpose, or one of a procedure or a kind of alert of this agreement."""
        if not purpose or purpose in PURPOSES:
            return bool(purpose)
        return any(purpose == each for each, _ in agreed_purposes(self.agreement.files))

    def verify_purpose(self, purpose: str) -> None:
        """Refuses a purpose that nobody registered (PURPOSE_UNKNOWN), which is not repeated: it may say anything."""
        if not self.has_purpose(purpose):
            zh, en = nearest(purpose, purposes_of(self.agreement.files))
            raise RuleError("PURPOSE_UNKNOWN", f"须写已登记的用途{zh} | expected a registered purpose{en}")

    def occasion(self, purpose: str, function: str) -> Occasion:
        """Returns the occasion of a policy question, in the realm of this node, that of every message it takes in."""
        realm = self.agreement.realm
        return Occasion(purpose=purpose, function=function, realm=realm, node_realm=realm)

    def office_of(self, county: str, kinds: Sequence[str]) -> AgencyId:
        """The office that answers for a county, by its earlier code too. Refuses COUNTY_ELSEWHERE, as `office`."""
        division, province = find_division(county), province_of(county)
        if province is None or province not in self.agreement.members:
            raise RuleError("COUNTY_ELSEWHERE", f"expected a county of the federation, got {county}")
        return self.office(province, kinds, county=division.today if division is not None else county)

    def office(self, node: NodeName, kinds: Sequence[str], *, county: str = "") -> AgencyId:
        """The first office of these kinds, of the county, else of the province. Refuses NO_INTAKE, NOT_A_MEMBER."""
        offices = sorted((agency for agency in self.member(node).agencies if agency.kind in kinds), key=str)
        if not offices:
            names = " or ".join(kinds).replace("-", " ")
            raise UntrustedError("NO_INTAKE", f"the agreement names no {names} office of {node}")
        return next((office for office in offices if office.county == county), offices[0])

    @property
    def clocks(self) -> ClockTable:
        """The clock table that the agreement carries. Raises NotFoundError: CLOCK_FILE when it carries none."""
        return _clocks_of(_find_content(self.agreement, CLOCKS_FILE, "CLOCK_FILE"))

    def start_clock(self, clock_id: str, start: datetime) -> Deadline:
        """The deadline of a clock that starts then. Refuses CALENDAR_YEAR_MISSING, CLOCK_UNKNOWN, CLOCK_FILE."""
        return compute_deadline(load_rule(self.clocks, clock_id, on=china_day(start)), start, calendar=self.calendar)

    def time_of(self, clock_id: str, start: datetime) -> timedelta:
        """The time that a clock gives which starts then. Refuses as `start_clock`."""
        return self.start_clock(clock_id, start).due - start


@lru_cache(4)
def _clocks_of(content: bytes) -> ClockTable:
    """The table of a file, which every look-up asks, and only a new agreement changes."""
    return parse_clocks(content.decode())


def _find_file(agreement: Agreement, path: str, reason: str) -> str:
    return _find_content(agreement, path, reason).decode()


def _find_content(agreement: Agreement, path: str, reason: str) -> bytes:
    content = agreement.files.get(path)
    if content is None:
        raise NotFoundError(reason, f"expected the agreement to hold {path}")
    return content


def plain_leaf(agreement: Agreement, kind: LeafKind, subject: str, *, now: datetime, **more: Any) -> Leaf:  # noqa: ANN401
    """The leaf about an event of a node's own under an agreement; `more` is what its kind says besides."""
    return Leaf(
        federation=agreement.federation,
        realm=agreement.realm,
        kind=kind,
        subject=subject,
        agreement_version=agreement.version,
        time=truncate_to_millisecond(now),
        **more,
    )


def agency_facts(in_force: InForce, agency: AgencyId) -> AgencyFacts:
    """Facts of an agency for policy, as the agreement has them. Raises UntrustedError: NOT_AN_AGENCY."""
    return AgencyFacts(id=agency, functions=in_force.agency(agency).functions)


class Trust:
    """Holds the agreement in force; one writer replaces it, readers take a snapshot."""

    refused: str = ""
    """Which newer version was not put in force, and why; empty when none was since the last that was."""
    expelled_by: int | None = None
    """The newer version that does not name this node any more, verified; it is not put in force here."""

    def __init__(self, agreement: Agreement, kinds: Iterable[Kind[Any]]) -> None:
        """Parses what the agreement carries; refuses RETENTION_RULE when a kind neither ends nor is kept by its rules.

        Refuses one whose policies, calendar, witnesses or table of retention are missing or do not parse.
        """
        self._kinds = tuple(kinds)
        self._in_force = self._read(agreement, load_policy_book(agreement.files))

    @property
    def in_force(self) -> InForce:
        """The version under which an exchange that starts now is judged."""
        return self._in_force

    def authority(self, node: NodeName) -> str:
        """The CA of a member's certificates, by the version in force. Raises UntrustedError: NOT_A_MEMBER."""
        return self._in_force.member(node).tls_ca

    def replace(self, agreement: Agreement) -> None:
        """Puts a newer, verified version in force; one that `verify` refuses leaves the one before."""
        self._in_force, self.refused, self.expelled_by = self.verify(agreement), "", None

    def verify(self, agreement: Agreement) -> InForce:
        """Reads what may be put in force. Refuses CALENDAR_MISSING, RETENTION_RULE, malformed policies; `refused`."""
        known = self._in_force
        try:
            same = agreement.digest == known.agreement.digest
            return self._read(agreement, known.policies if same else load_policy_book(agreement.files))
        except BridgeheadError as error:
            self.refused = f"agreement version {agreement.version} is not put in force: {error.reason}"
            _log.warning("agreement.refused", version=agreement.version, reason=error.reason)
            raise

    def _read(self, agreement: Agreement, policies: PolicyBook) -> InForce:
        for name in agreement.members:
            log_policy(agreement, name)
        calendar = parse_calendar(_find_file(agreement, CALENDAR_FILE, "CALENDAR_MISSING"))
        retention = parse_retention(_find_file(agreement, RETENTION_FILE, "RETENTION_RULE"))
        for kind in self._kinds:
            find_rule(retention, kind.keep)
        return InForce(agreement=agreement, policies=policies, calendar=calendar, retention=retention)


if TYPE_CHECKING:
    from federation.node.exchange.judge import Kind
    from federation.node.joint.records import Held
    from federation.protocol.ids import RecordId

CHINA = timezone(timedelta(hours=8), "CST")


@dataclass(frozen=True, slots=True)
class _Known:
    checkpoint: Checkpoint
    digest: str
    note: bytes


class KnownHeads:
    """The newest verified checkpoint of each other node; its digest in a leaf proves it was written no earlier."""

    def __init__(self) -> None:
        self._known: dict[NodeName, _Known] = {}

    def digest(self, peer: NodeName) -> str | None:
        """The digest (hex) of the newest checkpoint text of that peer, or None before the first."""
        known = self._known.get(peer)
        return known.digest if known else None

    def checkpoint(self, peer: NodeName) -> Checkpoint | None:
        known = self._known.get(peer)
        return known.checkpoint if known else None

    def note(self, peer: NodeName) -> bytes:
        """The newest checkpoint of that peer, as it came with its signature lines; empty before the first."""
        known = self._known.get(peer)
        return known.note if known else b""

    def observe(self, peer: NodeName, checkpoint: Checkpoint, note: bytes = b"") -> None:
        """Remembers a verified checkpoint; the first of a new log replaces the old log's. Refuses LOG_FORKED."""
        known = self._known.get(peer)
        is_same_log = known is not None and known.checkpoint.origin == checkpoint.origin
        if known is not None and is_same_log and checkpoint.size <= known.checkpoint.size:
            if checkpoint.size == known.checkpoint.size and checkpoint.root != known.checkpoint.root:
                raise UntrustedError(
                    "LOG_FORKED", f"{peer} signed two different heads of size {checkpoint.size}", node=peer
                )
            return
        text = format_checkpoint(checkpoint)
        self._known[peer] = _Known(checkpoint, hashlib.sha256(text.encode()).hexdigest(), note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One other province; `is_answering`: our newest call to it was answered.

    `is_silent`: that call was not, and it has not called us since.
    """

    time: datetime | None = None
    is_answering: bool = False
    is_silent: bool = False
    offset: timedelta | None = None


class Contacts:
    """The contact with each of the others since the start, by a call of either side; times are of our own clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self._known: dict[NodeName, Contact] = {}

    def of(self, peer: NodeName) -> Contact:
        return self._known.get(peer, Contact())

    def heard(self, peer: NodeName) -> None:
        """Notes a call of that province."""
        known = self.of(peer)
        self._known[peer] = replace(known, time=self.now(), is_silent=False)

    def answered(self, peer: NodeName, *, offset: timedelta | None = None) -> None:
        """Notes that a call to it was answered, and the offset where it was measured."""
        newest = self.of(peer).offset if offset is None else offset
        self._known[peer] = Contact(time=self.now(), is_answering=True, offset=newest)

    def failed(self, peer: NodeName, error: BridgeheadError) -> None:
        """Notes how a call to it ended; an answer that was no is an answer."""
        if not isinstance(error, (UnavailableError, UntrustedError)):
            self.answered(peer)
            return
        known = self.of(peer)
        self._known[peer] = replace(known, is_answering=False, is_silent=True)


OFFICER_PART: Final = 4
"""One officer has this part of the office's refusals a minute, so that one alone cannot stop an office."""


class Refusals:
    """The buckets of all callers and officers, and what was turned away since it was told last."""

    def __init__(self, a_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = PostLimit(a_minute, clock=clock)
        self._officers = PostLimit(max(1, a_minute // OFFICER_PART), clock=clock)
        self._untold: Counter[str] = Counter()

    def verify(self, caller: str) -> None:
        """Turns away, and counts, who was refused too often (REFUSED_TOO_OFTEN)."""
        if self._buckets.is_empty(caller):
            self._untold[caller] += 1
            raise UnavailableError("REFUSED_TOO_OFTEN", f"{caller} was refused too often: try again in a minute")

    def verify_officer(self, caller: str, officer: str) -> None:
        """As `verify`, of one officer whose key signed the call, so that the others of the office go on."""
        if self._officers.is_empty(f"{caller}/{officer}"):
            self._untold[caller] += 1
            raise UnavailableError("REFUSED_TOO_OFTEN", f"{officer!r:.70} was refused too often: try again in a minute")

    def note_officer(self, caller: str, officer: str) -> None:
        self._officers.allows(f"{caller}/{officer}")

    def note(self, caller: str, *, refused: bool = True) -> None:
        """Notes what came of an act: a refusal that is a leaf takes one out of the bucket."""
        if refused:
            self._buckets.allows(caller)

    def untold(self) -> Mapping[str, int]:
        return dict(self._untold)

    def take_off(self, counts: Mapping[str, int]) -> None:
        """Takes off what a leaf tells by now; what was turned away meanwhile stays."""
        self._untold = self._untold - Counter(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A province's own name, keys, store, writer, trust, clock, what it knows of the others, the kinds it takes in."""

    name: NodeName
    settings: NodeSettings
    keys: MessageKeys
    database: Database
    sequencer: Sequencer
    trust: Trust
    heads: KnownHeads
    waiters: Waiters
    wake_delivery: Callable[[NodeName], None]
    now: Callable[[], datetime]
    kinds: Mapping[str, Kind[Any]]
    refusals: Refusals
    bad_rows: BadRows
    contacts: Contacts
    dead_duties: list[str] = field(default_factory=list)
    folds: dict[tuple[str, RecordId], Held[Any]] = field(default_factory=dict)
    """The joint cases that were folded, by record, the newest read last: what the store holds, and no more."""
    rules_wanted: set[int] = field(default_factory=set)
    """The earlier versions of the agreement whose rules a case pins and this node has not; a round looks for them."""

    @property
    def signer(self) -> Signer:
        """The key that signs a statement made now. Raises RuleError: MESSAGE_KEY_NOT_AGREED."""
        return self.keys.current()

    def today(self) -> date:
        """The day at the border, in China's one time zone: legal days are counted there."""
        return self.now().astimezone(CHINA).date()
