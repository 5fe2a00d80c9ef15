"""Real TLS servers on loopback: jiangxi's two ports, with zhejiang and fujian as the other members."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc

from federation.protocol.ids import NodeName
from federation.wire.agency.registers import GET_ENTERPRISE, GET_VEHICLE, REGISTER_ENTERPRISES, REGISTER_VEHICLES
from federation.wire.bindings import bind
from federation.wire.client import AgencyClient, PeerClient
from federation.wire.identity import Gate
from federation.wire.lookups.corrections.service import CorrectionFunctions, CorrectionService
from federation.wire.lookups.intake.service import IntakeService
from federation.wire.lookups.oversight.service import OversightFunctions, OversightService
from federation.wire.lookups.service import LookupFunctions, LookupService
from federation.wire.lookups.subject import SubjectService
from federation.wire.retention.erasure import ErasureFunctions, ErasureService
from federation.wire.retention.reading import ReadingFunctions, ReadingService
from federation.wire.rpc import Side
from federation.wire.server import AgencyServices, Listener, PeerServices, start_agency_server, start_peer_server
from federation.wire.services.agreement import AgreementService
from federation.wire.services.audit import AuditService
from federation.wire.services.exchange import ExchangeService
from federation.wire.services.node import NodeService
from federation.wire.services.permit import PermitFunctions, PermitService
from federation.wire.services.reconciliation import ReconciliationService
from federation.wire.values import ClientProfile
from tests.wire import answers
from tests.wire.certificates import FEDERATION, Authority, Issued
from tests.wire.lookups.intake_answers import intake_functions

JIANGXI, ZHEJIANG, FUJIAN = NodeName("jiangxi"), NodeName("zhejiang"), NodeName("fujian")


@dataclass
class House:
    """What a test may turn: who is revoked, which CAs count, what the functions do."""

    folder: Path
    authorities: dict[NodeName, Authority]
    functions: answers.Functions
    revoked: set[tuple[str, str]] = field(default_factory=set)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    reflection: bool = False

    def gate(self, side: Side) -> Gate:
        return Gate(
            side=side,
            federation=FEDERATION,
            node=JIANGXI,
            ca_of=lambda node: self.authorities[node].pem if node in self.authorities else None,
            revoked=lambda node, serial: (node, serial) in self.revoked,
            now=lambda: self.now(),  # noqa: PLW0108 - a test may replace it later
        )

    def listener(self, side: Side) -> Listener:
        tls = self.authorities[JIANGXI].node("jiangxi").write(self.folder, f"jiangxi-{side}")
        roots = (lambda: self.authorities[JIANGXI].pem) if side is Side.AGENCY else self.roots
        return Listener(address="localhost:0", tls=tls, roots=roots, reflection=self.reflection)

    def roots(self) -> str:
        return "".join(authority.pem for authority in self.authorities.values())

    @contextlib.asynccontextmanager
    async def peer_port(self) -> AsyncIterator:
        functions = self.functions
        services = PeerServices(
            exchange=ExchangeService(submit=functions.submit),
            agreement=AgreementService(fetch_agreement=functions.fetch_agreement),
            reconciliation=ReconciliationService(digest_range=functions.digest_range),
        )
        server = await start_peer_server(services, gate=self.gate(Side.PEER), listener=self.listener(Side.PEER))
        try:
            yield server
        finally:
            await server.stop(0)

    @contextlib.asynccontextmanager
    async def agency_port(self) -> AsyncIterator:
        functions = self.functions
        permits = PermitFunctions(
            register=functions.register,
            endorse=functions.step,
            suspend=functions.step,
            restore=functions.step,
            revoke=functions.revoke,
            recognise=functions.recognise,
            get=functions.step,
            list=functions.list,
            import_chunk=functions.import_chunk,
        )
        lookups = LookupFunctions(
            open_case=functions.open_case,
            close_case=functions.close_case,
            search=functions.search,
            fetch=functions.fetch,
            list=functions.list_lookups,
        )
        oversight = OversightFunctions(
            countersign=functions.countersign,
            notices=functions.list_notices,
            review=functions.review_glass,
            flags=functions.list_flags,
            digest=functions.get_digest,
            sample=functions.list_sample,
            review_sample=functions.review_sample,
            watch=functions.watch,
            readings=functions.list_readings,
        )
        corrections = CorrectionFunctions(
            file=functions.file_correction,
            list=functions.list_corrections,
            grant=functions.take_correction_step,
            deny=functions.take_correction_step,
            extend=functions.take_correction_step,
        )
        bindings = (
            _bind(REGISTER_VEHICLES, functions.register_rows),
            _bind(GET_VEHICLE, functions.get_registered),
            _bind(REGISTER_ENTERPRISES, functions.register_rows),
            _bind(GET_ENTERPRISE, functions.get_registered),
        )
        erasures = ErasureFunctions(
            order=functions.order_erasure,
            sent=functions.list_sent,
            list=functions.list_erasures,
            run=functions.run_retention,
        )
        services = AgencyServices(
            permits=PermitService(permits),
            lookups=LookupService(lookups),
            intake=IntakeService(intake_functions(functions)),
            oversight=OversightService(oversight),
            bindings=bindings,
            subjects=SubjectService(get_report=functions.get_report),
            corrections=CorrectionService(corrections),
            readings=ReadingService(ReadingFunctions(read=functions.read_lookup, trace=functions.trace_reading)),
            erasures=ErasureService(erasures),
            node=NodeService(get_status=functions.get_status),
            audit=AuditService(list_messages=functions.list_messages),
            agreement=AgreementService(fetch_agreement=functions.fetch_agreement),
        )
        server = await start_agency_server(services, gate=self.gate(Side.AGENCY), listener=self.listener(Side.AGENCY))
        try:
            yield server
        finally:
            await server.stop(0)

    @contextlib.asynccontextmanager
    async def peer_client(self, port: int, issued: Issued, *, name: str = "client") -> AsyncIterator[PeerClient]:
        client = PeerClient(
            f"localhost:{port}",
            tls=issued.write(self.folder, name),
            authority=lambda: self.authorities[JIANGXI].pem,
            server_name=f"jiangxi.{FEDERATION}",
        )
        try:
            yield client
        finally:
            await client.close()

    @contextlib.asynccontextmanager
    async def agency_client(self, port: int, issued: Issued) -> AsyncIterator[AgencyClient]:
        authority = self.folder / "ca.pem"
        authority.write_text(self.authorities[JIANGXI].pem)
        profile = ClientProfile(
            address=f"localhost:{port}",
            tls=issued.write(self.folder, "agency"),
            authority=authority,
            server_name=f"jiangxi.{FEDERATION}",
        )
        client = AgencyClient(profile, timeout_seconds=10)
        try:
            yield client
        finally:
            await client.close()

    @contextlib.asynccontextmanager
    async def raw_channel(self, port: int, issued: Issued | None) -> AsyncIterator[grpc.aio.Channel]:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=self.authorities[JIANGXI].pem.encode(),
            private_key=issued.key if issued else None,
            certificate_chain=issued.certificate if issued else None,
        )
        options = (
            ("grpc.ssl_target_name_override", f"jiangxi.{FEDERATION}"),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
        )
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials, options=options) as channel:
            yield channel


def _bind(rpc, answer):
    async def handed(caller, act, question):
        return await answer(caller.agency, act, question)

    return bind(rpc, handed)
