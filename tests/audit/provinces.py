"""Small federations of logs in memory: provinces that exchange messages, and every way to tamper with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType

from federation.domain.joint import decode_head
from federation.domain.officers import KeyStanding, OfficerKey, key_subject
from federation.domain.oversight import Mandate, mandate_bytes
from federation.protocol.body import Body, Disclosure, commit_body, disclose_head, open_places
from federation.protocol.envelope import Envelope, parse_envelope, sign_envelope
from federation.protocol.errors import NotFoundError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, Pair, Realm, format_base64, format_message_id
from federation.protocol.keys import Ed25519Signer, format_public_key
from federation.protocol.leaf import LOG_RESTARTED, Leaf, LeafKind, Verdict, encode_leaf
from federation.protocol.receipt import Receipt
from federation.protocol.statement import AgreementRef, BodyRef, Recipient, Sender, Statement, encode_statement
from federation.protocol.tlog.cosignature import sign_cosignature
from federation.protocol.tlog.merkle import CompactRange, Node, hash_children, hash_leaf, inclusion_proof, merkle_root
from federation.protocol.tlog.note import (
    Checkpoint,
    KeyKind,
    Vkey,
    format_checkpoint,
    format_signature_lines,
    format_vkey,
    sign_checkpoint,
)
from federation.protocol.tlog.proof import TlogProof, format_proof
from federation.protocol.tlog.tiles import ENTRIES, TILE_WIDTH, Tile, encode_bundle, tile_exists
from federation.protocol.trust import Agency, Agreement, FormerMember, Member, MessageKey
from federation.protocol.trust.members import RetiredLog
from federation.protocol.trust.succession import retire_member
from federation.wire.agency.audit import Direction, LoggedMessage, MessagePage, MessageQuery

FEDERATION = "bridgehead.example"
START = datetime(2126, 11, 23, 8, tzinfo=UTC)
NOW = START + timedelta(minutes=30)
ZHEJIANG, JIANGXI, FUJIAN, ANHUI = map(NodeName, ("zhejiang", "jiangxi", "fujian", "anhui"))
AGREEMENT_DIGEST = sha256(b"agreement").hexdigest()


def signer_of(name: str) -> Ed25519Signer:
    """A signer whose key depends on the name alone."""
    return Ed25519Signer(sha256(name.encode()).digest())


@dataclass
class Message:
    """One message as the sender keeps it."""

    statement: Statement
    envelope: Envelope
    index: int
    receipt: Receipt | None = None
    received_index: int | None = None
    lost_at: set[NodeName] = field(default_factory=set)
    head: Disclosure | None = None


@dataclass
class Province:
    """One node's log in memory, with the keys that the agreement knows. It is a `LogSource` too."""

    node: NodeName
    entries: list[bytes] = field(default_factory=list)
    published: int | None = None
    tampered: dict[str, bytes | None] = field(default_factory=dict)
    others: dict[str, bytes] = field(default_factory=dict)
    reachable: bool = True
    key_time: datetime = START - timedelta(days=1)
    retired: list[RetiredLog] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.message_signer = signer_of(f"{self.node} message")
        self.witness_signer = signer_of(f"{self.node} witness")
        self.begin_log()
        self.witness_vkey = Vkey(
            name=f"{self.node}.{FEDERATION}/witness",
            kind=KeyKind.COSIGNATURE,
            public_key=self.witness_signer.public_key.key,
        )

    @property
    def auditors(self) -> AgencyId:
        return AgencyId(self.node, "000000", "audit")

    def say_key(
        self, who: str, *, at: datetime, version: int = 1, standing: KeyStanding = KeyStanding.REGISTERED
    ) -> str:
        """The leaf of an auditor's own key in one version; returns the key."""
        key = format_public_key(signer_of(f"{self.node} {who}").public_key)
        said = OfficerKey(agency=self.auditors, officer=who, version=version, standing=standing, key=key)
        self.append(Leaf(
            federation=FEDERATION, realm=Realm.DEMO, kind=LeafKind.OFFICER_KEY, subject=key_subject(said),
            agreement_version=1, time=at,
        ))  # fmt: skip

    def mandate(self, *, start: datetime, end: datetime, **changes: object) -> Mandate:
        """A mandate of the node's audit office, signed by both persons after the changes."""
        signers = [signer_of(f"{self.node} {who}") for who in ("s-1", "s-2")]
        made = Mandate(
            agency=self.auditors, document="浙审〔2126〕12号", first="s-1", second="s-2", start=start, end=end, made=start,
            keys=tuple(format_public_key(each.public_key) for each in signers),
        )  # fmt: skip
        made = replace(made, **changes)
        signed = (format_base64(each.sign(mandate_bytes(made))) for each in signers)
        return replace(made, signatures=tuple(signed))

    def begin_log(self) -> None:
        """A key and an origin of its own for each log of the node."""
        again = f"-{len(self.retired)}" if self.retired else ""
        self.log_signer = signer_of(f"{self.node} log{again}")
        self.vkey = Vkey(
            name=f"{self.node}.{FEDERATION}/exchange/2126{again}",
            kind=KeyKind.ED25519,
            public_key=self.log_signer.public_key.key,
        )

    def member(self) -> Member:
        return Member(
            node=self.node,
            name=self.node,
            peer_addr="127.0.0.1:1",
            read_url="http://127.0.0.1:2",
            message_keys=(MessageKey(key=self.message_signer.public_key, valid_from=self.key_time),),
            log_vkey=format_vkey(self.vkey),
            witness_vkey=format_vkey(self.witness_vkey),
            tls_ca="",
            agencies=MappingProxyType({self.auditors: Agency(name="审计厅", functions=frozenset())}),
            retired_logs=tuple(self.retired),
        )

    def append(self, leaf: Leaf) -> int:
        self.entries.append(encode_leaf(leaf))
        return len(self.entries) - 1

    def head(self, size: int | None = None) -> Checkpoint:
        size = len(self.entries) if size is None else size
        return Checkpoint(
            origin=self.vkey.name, size=size, root=merkle_root([hash_leaf(entry) for entry in self.entries[:size]])
        )

    def sign(self, head: Checkpoint) -> bytes:
        return sign_checkpoint(head, self.vkey, sign=self.log_signer.sign)

    def note(self, size: int | None = None) -> bytes:
        return self.sign(self.head(size))

    def cosign(self, other: Province, *, now: datetime = NOW) -> bytes:
        """Cosigns the other's present head and remembers it; returns the signature line."""
        text = format_checkpoint(other.head())
        line = sign_cosignature(text, self.witness_vkey, cosign_time=now, sign=self.witness_signer.sign)
        lines = format_signature_lines([line]).encode()
        self.others[other.vkey.name] = other.note() + lines
        return lines

    def proof(self, index: int, size: int) -> bytes:
        hashes = inclusion_proof(index, size, self._reader(size))
        return format_proof(TlogProof(index=index, hashes=hashes, checkpoint=self.note(size)))

    def receipt(self, index: int, size: int | None = None) -> Receipt:
        return Receipt(leaf=self.entries[index], proof=self.proof(index, size or len(self.entries)))

    async def checkpoint(self) -> bytes:
        return self._served("checkpoint", lambda: self.note(self.published))

    async def load(self, tile: Tile) -> bytes:
        return self._served(str(tile), lambda: self._tile(tile))

    async def cosigned(self, origin: str) -> bytes:
        return self._served(f"cosigned {origin}", lambda: self.others[origin])

    def _served(self, name: str, make: Callable[[], bytes]) -> bytes:
        if not self.reachable:
            raise UnavailableError("READ_SIDE", "connection refused")
        try:
            blob = self.tampered[name] if name in self.tampered else make()
        except KeyError:
            blob = None
        if blob is None:
            raise NotFoundError("TILE", f"no {name}")
        return blob

    def _tile(self, tile: Tile) -> bytes:
        if not tile_exists(tile, len(self.entries)):
            raise NotFoundError("TILE", f"no {tile}")
        if tile.level == ENTRIES:
            first = tile.index * TILE_WIDTH
            return encode_bundle(self.entries[first : first + tile.width])
        nodes = [(tile.level * 8, tile.index * TILE_WIDTH + at) for at in range(tile.width)]
        return b"".join(self._reader(len(self.entries))(nodes))

    def _reader(self, size: int) -> Callable[[Sequence[Node]], list[bytes]]:
        known: dict[Node, bytes] = {}
        edge = CompactRange()
        for entry in self.entries[:size]:
            known.update(((level, index), node_hash) for level, index, node_hash in edge.append(hash_leaf(entry)))

        def find(node: Node) -> bytes:
            level, index = node
            if node not in known:
                known[node] = hash_children(find((level - 1, 2 * index)), find((level - 1, 2 * index + 1)))
            return known[node]

        return lambda nodes: [find(node) for node in nodes]


class Provinces:
    """A federation whose members exchange messages, one step of the clock each."""

    def __init__(self, *nodes: NodeName, start: datetime = START) -> None:
        self.nodes = {node: Province(node, key_time=start - timedelta(days=1)) for node in nodes or (ZHEJIANG, JIANGXI)}
        self.messages: dict[Pair, list[Message]] = {}
        self.time = start
        self.version = 1
        self.former: dict[NodeName, FormerMember] = {}

    def __getitem__(self, node: NodeName) -> Province:
        return self.nodes[node]

    @property
    def agreement(self) -> Agreement:
        return Agreement(
            version=self.version,
            digest=AGREEMENT_DIGEST,
            root_version=1,
            snapshot_version=1,
            timestamp_version=1,
            federation=FEDERATION,
            realm=Realm.DEMO,
            members=MappingProxyType({node: province.member() for node, province in self.nodes.items()}),
            files=MappingProxyType({}),
            freshness_keys=MappingProxyType({}),
            expires_time=START + timedelta(days=365),
            fresh_until_time=START + timedelta(days=7),
            clock_tolerance=timedelta(seconds=60),
            statement_lifetime=timedelta(hours=1),
            lapse_grace=timedelta(days=7),
            recognition_modes=frozenset({"card"}),
            former=MappingProxyType(self.former),
        )

    def expel(self, node: NodeName) -> Province:
        """The next agreement, without a province; what it has exchanged so far stays, and its log is out of reach."""
        province = self.nodes.pop(node)
        self.former[node] = retire_member(province.member(), last_agreement=self.version, now=self.tick())
        self.version += 1
        return province

    def tick(self) -> datetime:
        self.time += timedelta(milliseconds=250)
        return self.time

    def exchange(self, sender: NodeName, recipient: NodeName, *, refused: bool = False) -> Message:
        """One message, sent, decided and receipted."""
        message = self.send(sender, recipient)
        self.decide(message, refused=refused)
        return message

    def hand_entry(self, body: Body, recipient: NodeName) -> Message:
        """An entry of a joint record, by the node of its author, with nothing open but its head."""
        author = decode_head(body.items[0]).agency.node
        message = self.send(author, recipient, body=commit_body(body))
        message.head = disclose_head(open_places(body, (0,)))
        self.decide(message)
        return message

    def send(
        self, sender: NodeName, recipient: NodeName, *, seq: int | None = None, body: BodyRef | None = None
    ) -> Message:
        messages = self.messages.setdefault(Pair(sender, recipient), [])
        statement = self.statement(sender, recipient, seq=seq or len(messages) + 1)
        if body is not None:
            statement = replace(statement, kind="case.entry", body=body)
        signer = self.nodes[sender].message_signer
        envelope = parse_envelope(sign_envelope(encode_statement(statement), signer))
        leaf = replace(self.leaf(statement, envelope), kind=LeafKind.SENT, verdict=Verdict.ALLOWED)
        message = Message(statement, envelope, self.nodes[sender].append(leaf))
        messages.append(message)
        return message

    def decide(self, message: Message, *, refused: bool = False, receipt: bool = True) -> None:
        province = self.nodes[message.statement.recipient.node]
        kind, verdict = (LeafKind.REFUSED, Verdict.REFUSED) if refused else (LeafKind.RECEIVED, Verdict.ALLOWED)
        leaf = replace(self.leaf(message.statement, message.envelope), kind=kind, verdict=verdict, time=self.tick())
        message.received_index = province.append(leaf)
        if receipt:
            message.receipt = province.receipt(message.received_index)

    def expire(self, message: Message) -> None:
        statement = message.statement
        leaf = replace(
            self.leaf(statement, message.envelope),
            kind=LeafKind.EXPIRED, signatures=None, commitment=None, policies=(), time=self.tick(),
        )  # fmt: skip
        self.nodes[statement.sender.node].append(leaf)

    def restart(self, node: NodeName, size: int, *, signed: int | None = None) -> None:
        """A node goes on from its first `size` entries under a new log; it says how many it had signed."""
        province, had = self.nodes[node], len(self.nodes[node].entries)
        root, now = province.head(size).root.hex(), self.tick()
        said = had if signed is None else signed
        log = RetiredLog(vkey=format_vkey(province.vkey), size=size, signed=said, root=root, retired=now)
        for message in (each for messages in self.messages.values() for each in messages):
            ends = {message.statement.sender.node: message.index}
            ends[message.statement.recipient.node] = message.received_index
            if (ends.get(node) or 0) >= size:
                message.lost_at.add(node)
        del province.entries[size:]
        province.retired.append(log)
        province.begin_log()
        subject = sha256(province.vkey.name.encode()).hexdigest()
        leaf = Leaf(
            federation=FEDERATION, realm=Realm.DEMO, kind=LeafKind.BOOT, subject=subject, agreement_version=1,
            time=now, reason=LOG_RESTARTED,
        )  # fmt: skip
        province.append(leaf)

    def statement(self, sender: NodeName, recipient: NodeName, *, seq: int) -> Statement:
        created = self.tick()
        digest = sha256(f"{sender} {recipient} {seq} {created}".encode())
        return Statement(
            federation=FEDERATION,
            realm=Realm.DEMO,
            id=format_message_id(created, digest.digest()),
            kind="permit.replica",
            sender=Sender(node=sender, agency=AgencyId(sender, "330822", "police")),
            recipient=Recipient(node=recipient),
            seq=seq,
            purpose="permit.sync",
            function="F01",
            basis="agreement article 1",
            created=created,
            expires=created + timedelta(hours=1),
            agreement=AgreementRef(version=self.version, digest=AGREEMENT_DIGEST),
            body=BodyRef(type="application/json", items=1, size_bytes=10, commitment=digest.hexdigest()),
        )

    def leaf(self, statement: Statement, envelope: Envelope) -> Leaf:
        return Leaf(
            federation=FEDERATION,
            realm=Realm.DEMO,
            kind=LeafKind.SENT,
            subject=envelope.digest,
            signatures=envelope.signatures_digest,
            pair=statement.pair,
            seq=statement.seq,
            commitment=statement.body.commitment if statement.body else None,
            policies=("permit-replicate",),
            agreement_version=statement.agreement.version,
            time=statement.created,
        )

    def cosign_all(self) -> None:
        """Every node cosigns every other log's present head."""
        for witness in self.nodes.values():
            for province in self.nodes.values():
                if witness is not province:
                    witness.cosign(province)

    def lister(self, node: NodeName) -> Callable[[MessageQuery], object]:
        """Lists messages as the node's audit service would."""

        async def list_messages(query: MessageQuery) -> MessagePage:
            sent = query.direction is Direction.SENT
            pair = Pair(node, query.peer) if sent else Pair(query.peer, node)
            found = [
                LoggedMessage(
                    seq=message.statement.seq,
                    envelope=message.envelope.encoded,
                    log_index=message.index if sent else message.received_index,
                    receipt=message.receipt,
                    head=message.head,
                )
                for message in self.messages.get(pair, [])
                if message.statement.seq > query.after_seq and (sent or message.received_index is not None)
                if node not in message.lost_at
            ]
            page = found[: query.page_size]
            more = page[-1].seq if len(found) > len(page) else None
            return MessagePage(messages=tuple(page), next_after_seq=more)

        return list_messages
