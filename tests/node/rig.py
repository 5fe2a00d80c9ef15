"""A light federation for tests of the node: real keys, agreement, policies and stores; no ports, no wall clock.

Nodes are built by `serve.build_node` and speak through `Link`, which calls `receive` of the other node directly and can
lose, repeat and delay what it carries. Keys and agreement are made once a process; each rig has stores of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path

from federation.cli.demo.synthetic import synthetic_applications, synthetic_permits
from federation.domain.citizen_number import age_on
from federation.domain.permits import PermitApplication, project_permit
from federation.node.exchange.receive import receive
from federation.node.exchange.send import Cause, Draft
from federation.node.features import KINDS, RENEWED
from federation.node.home.agreement import load_home_agreement
from federation.node.home.config import NodeSettings
from federation.node.home.keyring import Keyring, load_keyring
from federation.node.log.boot import AskCosigned
from federation.node.log.cosigning import Cosigning
from federation.node.node import Node, Trust
from federation.node.officer_keys import Occurrence
from federation.node.officer_keys import register_key as register_own_key
from federation.node.officers import OFFICER_KEY
from federation.node.oversight.flags import plant
from federation.node.permits_sharing import SYNC
from federation.node.serve import Parts, build_node
from federation.protocol.body import Body, commit_body
from federation.protocol.envelope import parse_envelope, sign_envelope
from federation.protocol.errors import BridgeheadError, NotFoundError, UnavailableError
from federation.protocol.form import encode, replace
from federation.protocol.ids import (
    AgencyId,
    NodeName,
    Pair,
    format_message_id,
    parse_agency_id,
    truncate_to_millisecond,
)
from federation.protocol.keys import Signer
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision
from federation.protocol.receipt import Answer, Submission
from federation.protocol.statement import AgreementRef, Recipient, Sender, Statement, encode_statement
from federation.protocol.tlog.witness import WitnessAnswer
from federation.protocol.trust import Agreement
from federation.protocol.trust.succession import retire_member
from federation.store.database import Database, open_database
from federation.store.messages import StoredMessage, count_pending, list_messages
from federation.store.records import Record
from federation.wire.rpc import Act
from tests.scenarios.provinces import make_federation, own_key

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ZHEJIANG, JIANGXI, FUJIAN, ANHUI = NODES = tuple(NodeName(name) for name in ("zhejiang", "jiangxi", "fujian", "anhui"))
HALL = parse_agency_id("zhejiang/330822/service-hall")
POLICE = parse_agency_id("zhejiang/330822/police")
YUSHAN_POLICE = parse_agency_id("jiangxi/361123/police")
YUSHAN_HALL = parse_agency_id("jiangxi/361123/service-hall")


@dataclass(frozen=True)
class Kit:
    """What every rig shares: each province's keys, and the agreement that all four signed."""

    keyrings: Mapping[NodeName, Keyring]
    agreement: Agreement
    empty_store: bytes


@cache
def kit() -> Kit:
    """The keys and the agreement of one federation, made once a process."""
    with tempfile.TemporaryDirectory(prefix="bridgehead-kit-") as name:
        folder = Path(name)
        homes = make_federation(folder, now=START).homes
        keyrings = {node: load_keyring(homes[node].home) for node in NODES}
        open_database(f"sqlite:///{folder}/empty.db", keys=keyrings[ZHEJIANG].columns).close()
        return Kit(
            keyrings=keyrings,
            agreement=load_home_agreement(homes[ZHEJIANG].home, now=START),
            empty_store=(folder / "empty.db").read_bytes(),
        )


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **span: float) -> datetime:
        self.time += timedelta(**span)
        return self.time


async def register_key(node: Node, agency: AgencyId, officer: str, *, key: str) -> None:
    """Plants an officer's own key, without an administrator."""
    at, own = Occurrence(agreement=node.trust.in_force.agreement, now=node.now()), own_key(agency, officer, key)
    await node.sequencer.commit(lambda tx: register_own_key(tx, own, at=at, replaces=True))


def pinned_key(agency: AgencyId, officer: str, *, key: str) -> Record:
    """The row by which another province knows an officer's key, as if it had been told."""
    return Record(
        id=f"{agency}/{officer}", kind=OFFICER_KEY, owner=NodeName(agency.node), version=1, replica=True,
        status="registered", division=agency.county, content=key.encode(),
    )  # fmt: skip


async def plant_record(node: Node, name: str) -> None:
    """Plants a record, as `bridgehead lookup planted add` does."""
    await node.sequencer.commit(lambda tx: plant(tx, name, owner=node.name))


class ProcessDiedError(Exception):
    """What a dead process's writer meets: nothing that it had not committed is ever committed."""


@dataclass
class Faults:
    """What one direction between two nodes does wrong. Each number counts down as it strikes."""

    cut: bool = False
    drop_requests: int = 0
    drop_answers: int = 0
    repeat: int = 0
    reverse: bool = False
    hold: asyncio.Event | None = None
    alter: Callable[[Sequence[Answer]], Sequence[Answer]] | None = None
    carried: list[tuple[Submission, ...]] = field(default_factory=list)


class Link:
    """One node's way to another: the `Peer` seam of delivery, in one process."""

    def __init__(self, rig: Rig, sender: NodeName, recipient: NodeName) -> None:
        self._rig = rig
        self._sender = sender
        self._recipient = recipient
        self.faults = Faults()

    async def submit(self, submissions: Sequence[Submission], *, timeout_seconds: float) -> Sequence[Answer]:
        faults = self.faults
        faults.carried.append(tuple(submissions))
        if faults.hold is not None:
            await faults.hold.wait()
        if faults.cut:
            raise UnavailableError("PEER_CUT", "the line is cut")
        if faults.drop_requests:
            faults.drop_requests -= 1
            raise UnavailableError("REQUEST_LOST", "the request was lost")
        answers = await self._carry(submissions)
        if faults.repeat:
            faults.repeat -= 1
            answers = await self._carry(submissions)
        if faults.drop_answers:
            faults.drop_answers -= 1
            raise UnavailableError("ANSWER_LOST", "the answer was lost")
        return faults.alter(answers) if faults.alter is not None else answers

    async def _carry(self, submissions: Sequence[Submission]) -> Sequence[Answer]:
        order = list(reversed(submissions)) if self.faults.reverse else list(submissions)
        host = self._rig.hosts[self._recipient]
        answers = await asyncio.gather(*(_answer(host, submission, self._sender) for submission in order))
        if not host.alive:
            raise UnavailableError("PEER_DIED", "the other side died")
        return list(reversed(answers)) if self.faults.reverse else answers


async def _answer(host: Host, submission: Submission, peer: NodeName) -> Answer:
    if not host.alive:
        return UnavailableError("PEER_DOWN", "the other side is down")
    try:
        return await receive(host.node, submission, peer=peer)
    except BridgeheadError as error:
        return error


class Host:
    """One province's machine: its store stays, the process on it comes and goes."""

    def __init__(self, rig: Rig, name: NodeName, *, file: str | None = None) -> None:
        self._rig = rig
        self.name = name
        self.path = rig.folder / f"{file or name}.db"
        self.home = rig.folder / (file or name)
        self.home.mkdir(exist_ok=True)
        self.trust = Trust(rig.agreement, KINDS.values())
        self.die_at: str | None = None
        self.alive = False
        self.parts: Parts | None = None
        self.path.write_bytes(kit().empty_store)
        self.path.chmod(0o600)

    @property
    def node(self) -> Node:
        assert self.parts is not None
        return self.parts.node

    @property
    def keyring(self) -> Keyring:
        return kit().keyrings[self.name]

    def open(self) -> Node:
        """Starts a process on the store; it delivers only once `start_delivery` is called."""
        settings = NodeSettings(
            node=self.name,
            federation=self._rig.agreement.federation,
            realm=self._rig.agreement.realm.value,
            database=f"sqlite:///{self.path.absolute()}",
            **self._rig.settings,
        )
        self.alive, self.die_at = True, None
        self.parts = build_node(
            settings,
            self.keyring,
            self.trust,
            home=self.home,
            now=self._rig.clock,
            crash_point=self._crash_point,
        )
        return self.parts.node

    def start_delivery(self) -> None:
        assert self.parts is not None
        self.parts.delivery.start(
            {name: self._rig.links[self.name, name] for name in self._rig.hosts if name != self.name},
            renewed=RENEWED,
            notify=self.node.waiters.tell,
        )

    async def close(self) -> None:
        """Stops in order."""
        assert self.parts is not None
        parts = self.parts
        await parts.delivery.close()
        await asyncio.to_thread(parts.node.sequencer.close)
        parts.node.database.close()
        parts.witness_clients.close()
        self.alive = False

    async def crash(self) -> None:
        """Dies: what is not committed now never is, no answer leaves, nothing is said goodbye to."""
        self.alive = False
        await self.close()

    def _crash_point(self, step: str) -> None:
        if step == self.die_at:
            self.alive = False
        if not self.alive:
            raise ProcessDiedError(step)


Post = Callable[[str, bytes], Awaitable[tuple[int, bytes]]]


@dataclass(frozen=True)
class Clients:
    """How the witnesses of a rig are reached."""

    post: Post
    ask: AskCosigned


class Rig:
    """Some provinces on one clock."""

    def __init__(self, folder: Path, names: Iterable[NodeName] = (ZHEJIANG, JIANGXI), **settings: float) -> None:
        self.folder = folder
        self.clock = Clock()
        self.agreement = kit().agreement
        self.settings = {
            "group_window_ms": 0.0, "delivery_pause_seconds": 0.02, "drain_seconds": 5.0, "delivery_batch": 16,
            "delivery_timeout_seconds": 60.0,
            **settings,
        }  # fmt: skip
        self.hosts = {name: Host(self, name) for name in names}
        self.links = {
            (one, other): Link(self, one, other) for one in self.hosts for other in self.hosts if one != other
        }
        for host in self.hosts.values():
            host.open()

    def __getitem__(self, name: NodeName) -> Node:
        return self.hosts[name].node

    def faults(self, sender: NodeName, recipient: NodeName) -> Faults:
        return self.links[sender, recipient].faults

    def put_in_force(self, agreement: Agreement, *names: NodeName) -> None:
        """Another version at those nodes, or at all."""
        for name in names or self.hosts:
            self.hosts[name].trust.replace(agreement)

    def expel(self, gone: NodeName, *, at: NodeName) -> Agreement:
        """The next version at a node, without a province; returns the one before."""
        before = self.hosts[at].trust.in_force.agreement
        former = retire_member(before.members[gone], last_agreement=before.version, now=self.clock())
        members = {name: member for name, member in before.members.items() if name != gone}
        files = {path: file for path, file in before.files.items() if not path.startswith("tlog-policy/")}
        following = {"version": before.version + 1, "digest": "ab", "files": files}
        self.put_in_force(replace(before, members=members, former={gone: former}, **following), at)
        return before

    def start_delivery(self) -> None:
        for host in self.hosts.values():
            host.start_delivery()

    async def drain(self) -> None:
        """Waits until nothing is queued any more."""
        while any(count_pending(host.node.database) for host in self.hosts.values()):
            await asyncio.sleep(0.001)

    async def restore(self, sender: NodeName, recipient: NodeName) -> None:
        """The line works again, and the peer has answered what it never had of all that expired meanwhile."""
        self.faults(sender, recipient).cut = False
        database = self.hosts[sender].node.database
        while any(self._count(database, state) for state in ("pending", "unheard")):
            self.hosts[sender].node.wake_delivery(recipient)
            await asyncio.sleep(0.001)

    @staticmethod
    def _count(database: Database, state: str) -> int:
        with database.reading() as connection:
            found = connection.exec_driver_sql(f"SELECT count(*) FROM outbox WHERE state = '{state}'")
            return int(found.scalar() or 0)

    def carried(self, sender: NodeName, recipient: NodeName) -> bytes:
        """Every byte that went from one node to the other."""
        parts: list[bytes] = []
        for call in self.faults(sender, recipient).carried:
            for each in call:
                parts += [each.envelope, parse_envelope(each.envelope).payload]
                parts += [] if each.body is None else [each.body.type.encode(), each.body.salt, *each.body.items]
        return b"\n".join(parts)

    async def close(self) -> None:
        for host in self.hosts.values():
            if host.alive:
                await host.close()

    def cosigning(
        self, name: NodeName = ZHEJIANG, *, post: Post | None = None, ask: AskCosigned | None = None
    ) -> Cosigning:
        """The duty of a node to have its log cosigned, among the hosts of this rig."""
        parts = self.hosts[name].parts
        assert parts is not None
        return Cosigning(
            log=parts.log, sequencer=parts.node.sequencer, trust=parts.node.trust, cosigner=parts.witness.cosigner,
            clients=Clients(post or self.post_checkpoint, ask or self.ask_cosigned), now=self.clock,
        )  # fmt: skip

    async def ask_cosigned(self, url: str, origin: str) -> bytes:
        """What the witness below that URL cosigned last of an origin; for the boot check."""
        note = self._host_at(url).parts.witness.last_cosigned(hashlib.sha256(origin.encode()).hexdigest())
        if note is None:
            raise NotFoundError("NEVER_COSIGNED", "nothing was cosigned")
        return note

    async def post_checkpoint(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Posts to the witness below that URL."""
        answer: WitnessAnswer = self._host_at(url).parts.witness.add_checkpoint(body)
        return answer.status, answer.body

    def _host_at(self, url: str) -> Host:
        found = [name for name, member in self.agreement.members.items() if member.read_url + "/witness" == url]
        host = self.hosts.get(found[0])
        if host is None or not host.alive:
            raise UnavailableError("PEER_DOWN", "nobody listens there")
        return host


@contextlib.asynccontextmanager
async def running_rig(
    folder: Path, names: Iterable[NodeName] = (ZHEJIANG, JIANGXI), **settings: float
) -> AsyncIterator[Rig]:
    rig = Rig(folder, names, **settings)
    try:
        yield rig
    finally:
        await rig.close()


def later(rig: Rig, **span: float) -> None:
    """Moves the clock, with an agreement that is kept fresh."""
    fresh = rig.clock.advance(**span) + timedelta(days=2)
    rig.put_in_force(replace(rig.agreement, fresh_until_time=fresh, expires_time=fresh + timedelta(days=365)))


@cache
def applications(node: NodeName = ZHEJIANG) -> tuple[PermitApplication, ...]:
    """Invented people who apply there; the same in every test."""
    return tuple(synthetic_applications(node, 2000, seed=7, today=START.date()))


def application(
    residence: str = "330822",
    household: str = "361123",
    *,
    sealed: bool = False,
    minor: bool = False,
    nth: int = 0,
) -> PermitApplication:
    """An invented applicant of that county from that county, of working age or under 14; nobody works elsewhere."""
    found = (
        each
        for each in applications(NODES[["33", "36", "35", "34"].index(residence[:2])])
        if each.residence_division == residence
        and each.holder.household_division == household
        and (_age(each) < 14) is minor
        and (minor or not each.guardian)
    )
    return replace(next(islice(found, nth, None)), work_division=None, sealed=sealed)


def _age(found: PermitApplication) -> int:
    return age_on(found.holder.birth_date, START.date())


def act(
    purpose: str = "permit.administration",
    function: str = "F02",
    *,
    request_id: str | None = None,
    officer: str = "officer-1",
) -> Act:
    return Act(request_id=request_id or str(uuid.uuid4()), purpose=purpose, function=function, officer=officer)


def lead_act(purpose: str, function: str = "F03") -> Act:
    """An act of the leader, who opens and closes cases."""
    return act(purpose, function, officer="leader-1")


def cause(agency: str = "zhejiang/330822/service-hall", **changes: str) -> Cause:
    """Why a permit is shared."""
    found = parse_agency_id(agency)
    names = {"purpose": "permit.sharing", "function": "F01", "basis": "居住证暂行条例第七条", **changes}
    return Cause(sender=Sender(node=found.node, agency=found, officer="officer-1"), **names)


@cache
def sync_item(version: int = 1, *, residence: str = "330822", household: str = "361123") -> bytes:
    """The item of one invented permit, as the issuing county would share it."""
    node = NODES[["33", "36", "35", "34"].index(residence[:2])]
    permit = next(
        each
        for each in synthetic_permits(node, 2000, seed=7, today=START.date())
        if each.residence_division == residence
        and each.holder.household_division == household
        and not each.guardian
        and not each.sealed
    )
    fields = {"issuer", "household_division", "holder_name", "birth_date", "citizen_number", "issue_date"}
    return encode(project_permit(replace(permit, version=version), frozenset(fields)))


def sync_body(*items: bytes) -> Body:
    return Body(type=SYNC.media_type, salt=os.urandom(32), items=items or (sync_item(),))


ALLOWED = Decision(
    verdict=Verdict.ALLOWED, policies=("share-with-household",), fields=frozenset(), reason="", title_zh="", title_en=""
)


def one_item_body(media_type: str, content: bytes) -> Body:
    """A body of one item under a fresh salt."""
    return Body(type=media_type, salt=os.urandom(32), items=(content,))


def draft(body: Body | None = None, *, recipient: NodeName = JIANGXI, agency: str = str(HALL)) -> Draft:
    """A message that shares one permit."""
    body = body or sync_body()
    return Draft(kind=SYNC.name, recipient=Recipient(node=recipient), cause=cause(agency), body=body, decision=ALLOWED)


def statement(rig: Rig, body: Body | None = None, *, seq: int = 1, **changes: object) -> Statement:
    """A statement of Zhejiang to Jiangxi about that body, as `send` would make it, but for the changes."""
    now = truncate_to_millisecond(rig.clock())
    made = Statement(
        federation=rig.agreement.federation,
        realm=rig.agreement.realm,
        id=format_message_id(now, os.urandom(10)),
        kind=SYNC.name,
        sender=cause().sender,
        recipient=Recipient(node=JIANGXI),
        seq=seq,
        purpose="permit.sharing",
        function="F01",
        basis="居住证暂行条例第七条",
        created=now,
        expires=now + rig.agreement.statement_lifetime,
        agreement=AgreementRef(version=rig.agreement.version, digest=rig.agreement.digest),
        body=commit_body(body) if body is not None else None,
    )
    return replace(made, **changes)


def without_rule(rules: str, rule_id: str) -> str:
    """A table of retention that lacks one rule."""
    head, *each = rules.split("[[rule]]")
    return "[[rule]]".join([head, *(rule for rule in each if f'id = "{rule_id}"' not in rule)])


def sign(made: Statement | bytes, signer: Signer | None = None) -> bytes:
    """The envelope, by Zhejiang's message key unless another is given."""
    encoded = made if isinstance(made, bytes) else encode_statement(made)
    return sign_envelope(encoded, signer or kit().keyrings[ZHEJIANG].message)


def submission(rig: Rig, body: Body | None = None, *, seq: int = 1, **changes: object) -> Submission:
    """A message of Zhejiang that Jiangxi takes in, but for the changes."""
    body = body or sync_body()
    return Submission(envelope=sign(statement(rig, body, seq=seq, **changes)), body=body)


def received(node: Node, sender: NodeName = ZHEJIANG) -> list[StoredMessage]:
    return list_messages(node.database, "received", pair=Pair(sender, node.name), after_seq=0, limit=100_000)
