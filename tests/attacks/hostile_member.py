"""Zhejiang as a hostile member: its real keys and certificates, and no node that would keep it to the rules."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import grpc

from federation.domain.case_items import CaseItem, split
from federation.domain.documents import Chunk
from federation.domain.joint import Head
from federation.domain.joint_record import Place
from federation.node.home.agreement import load_home_agreement
from federation.node.home.certificates import find_side
from federation.node.home.keyring import load_keyring
from federation.node.joint.records import CASE
from federation.node.serve import utc_now
from federation.protocol.body import Body, commit_body, open_places
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, RecordId, parse_agency_id, truncate_to_millisecond
from federation.protocol.receipt import Answer, Submission
from federation.protocol.statement import Recipient, Sender
from federation.wire.agency.documents import DocumentPlace
from federation.wire.peer import FETCH_DOCUMENT, PeerClient
from federation.wire.rpc import TlsFiles
from federation.wire.tls import WatchedTls, server_credentials
from tests.attacks.hostage import JIANGXI, MEMBER_ADDRESS, Attacked
from tests.node.rig import ZHEJIANG, sign, statement

OFFICE = parse_agency_id("zhejiang/330822/governance")
WHY = ("dispute.mediation", "F09")

Serve = Callable[[DocumentPlace], AsyncGenerator[Chunk, None]]


class HostileMember:
    """What it writes into a case, and what it serves of it; numbers go on from one case to the next."""

    def __init__(self, attacked: Attacked) -> None:
        home = attacked.federation.home(ZHEJIANG)
        self.attacked = attacked
        self.agreement = load_home_agreement(home, now=utc_now())
        self.key = load_keyring(home).message
        self.serve: Serve | None = None
        self.asked: list[DocumentPlace] = []
        self._files = find_side(home, "peer")
        self._authority = find_side(attacked.federation.home(JIANGXI), "peer").authority.read_text(encoding="utf-8")
        self._seq = 0

    def client(self) -> PeerClient:
        """A connection to Jiangxi's peer port."""
        files = TlsFiles(certificate=self._files.certificate, key=self._files.key)
        address = f"127.0.0.1:{self.attacked.peer_port}"
        name = f"{JIANGXI}.{self.agreement.federation}"
        return PeerClient(address, tls=files, authority=lambda: self._authority, server_name=name)

    def entry(
        self, record: RecordId, place: Place, act: str, *items: CaseItem, office: AgencyId = OFFICE, **fields: object
    ) -> tuple[Submission, str]:
        """A message with one entry, all of its places open, and the entry's name."""
        places = split(items, realm=self.agreement.realm)
        head = Head(
            record=record, n=place.n, parents=place.parents, height=place.height, at=truncate_to_millisecond(utc_now()),
            agency=office, officer="officer-7", act=act, fields=fields, items=places.classes,
        )  # fmt: skip
        return self.submission(
            head, Body(type=CASE.media_type, salt=os.urandom(32), items=(encode(head), *places.items))
        )

    def submission(self, head: Head, body: Body) -> tuple[Submission, str]:
        """A message about that body under the next number, signed by Zhejiang's key."""
        self._seq += 1
        rig = SimpleNamespace(agreement=self.agreement, clock=utc_now)
        made = statement(
            rig, body, seq=self._seq, kind="case.entry", sender=Sender(node=ZHEJIANG, agency=head.agency, officer=head.officer),
            recipient=Recipient(node=JIANGXI), purpose=WHY[0], function=WHY[1], case=head.record,
        )  # fmt: skip
        handed = open_places(body, tuple(range(len(body.items))))
        return Submission(envelope=sign(made, self.key), partial=handed), commit_body(body).commitment

    async def sends(self, *submissions: Submission) -> tuple[Answer, ...]:
        client = self.client()
        try:
            return tuple(await client.submit(submissions, timeout_seconds=60))
        finally:
            await client.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Zhejiang's peer port, on which nothing is answered but what `serve` streams of a document."""
        server = grpc.aio.server()
        service, _, method = FETCH_DOCUMENT.path[1:].partition("/")
        handlers = {method: grpc.unary_stream_rpc_method_handler(self._fetch)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        files = TlsFiles(certificate=self._files.certificate, key=self._files.key)
        port = self.attacked.federation.homes[ZHEJIANG].settings.peer_port
        credentials = server_credentials(WatchedTls(files), lambda: self._authority)
        assert server.add_secure_port(f"{MEMBER_ADDRESS}:{port}", credentials)
        await server.start()
        try:
            yield
        finally:
            await server.stop(0)

    async def _fetch(self, request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        _, place = FETCH_DOCUMENT.decode_question(FETCH_DOCUMENT.request.FromString(request))
        self.asked.append(place)
        assert self.serve is not None
        async for chunk in self.serve(place):
            yield FETCH_DOCUMENT.encode_answer(chunk)
