"""A node's memory, descriptors and time, taken by those who may call it and by those who may not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import cache, partial

import grpc
import pytest

from federation.node.home.certificates import revoke_client
from federation.protocol.errors import MalformedError
from federation.wire.agency.node import GET_STATUS
from federation.wire.client import AgencyClient
from federation.wire.limits import MAX_CONNECTIONS
from federation.wire.peer import FETCH_AGREEMENT, SUBMIT
from federation.wire.read_connections import CONNECTIONS_EACH, CONNECTIONS_KEPT, CONNECTIONS_OF_ALL
from federation.wire.rpc import ClientProfile, Nothing, Side
from federation.wire.tls import WatchedTls, server_credentials
from tests.attacks.hostage import JIANGXI, MEMBER_ADDRESS, Attacked, attacked_node
from tests.attacks.table import MOST_MB, Measure
from tests.wire.calls import MARKET, POLICE
from tests.wire.certificates import FEDERATION, Authority

HEALTH_WATCH = "/grpc.health.v1.Health/Watch"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked_node(tmp_path_factory.mktemp("exhaustion")) as made:
        yield made


@cache
def bomb() -> bytes:
    """A message of 256 MB that travels as 260 kB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    return b"\1" + struct.pack("!I", len(packed)) + packed


@pytest.mark.attack(
    "a gzip bomb of 256 MB, by a member, an agency and one that is revoked", held_by="nothing is unpacked (wire/rpc)"
)
def test_bomb_is_not_unpacked(node: Attacked, memory: Measure) -> None:
    """It is refused by its first bytes, on both ports; of a revoked certificate before any byte is read."""
    revoke_client(node.federation.home("jiangxi"), MARKET)
    with memory(node.pid) as growth:
        callers = {node.member: SUBMIT, node.agency: GET_STATUS, partial(node.agency, MARKET): GET_STATUS}
        for caller, rpc in callers.items():
            with caller() as connection:
                stream = connection.open_stream(rpc.path, grpc_encoding="gzip")
                connection.send(stream, bomb())
                while stream not in connection.ended:
                    connection.read_frame()
    assert growth.mb < MOST_MB
    assert node.health() == 200
    node.until_logged('"reason": "CERTIFICATE_REVOKED"')


@pytest.mark.attack(
    "a packed answer of a node or of whoever stands on its line", held_by="nothing is unpacked (wire/rpc)"
)
async def test_answer_that_is_compressed_is_not_unpacked(tmp_path) -> None:
    """The client does not unpack it, however small it is; what it holds is no answer."""
    authority = Authority("jiangxi")
    tls = authority.node("jiangxi").write(tmp_path, "server")
    (tmp_path / "ca.crt").write_text(authority.pem)
    agency = authority.agency("jiangxi/361123/police").write(tmp_path, "client")

    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return bytes(1000)

    server = grpc.aio.server(compression=grpc.Compression.Gzip)
    service, _, method = GET_STATUS.path[1:].partition("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_secure_port("localhost:0", server_credentials(WatchedTls(tls), lambda: authority.pem))
    await server.start()
    profile = ClientProfile(
        agency=POLICE,
        address=f"localhost:{port}",
        tls=agency,
        authority=tmp_path / "ca.crt",
        server_name=f"jiangxi.{FEDERATION}",
    )
    client = AgencyClient(profile, timeout_seconds=60)
    with pytest.raises(MalformedError, match="ANSWER_FORM"):
        await client.call(GET_STATUS, None, Nothing())
    await client.close()
    await server.stop(0)


@pytest.mark.attack("1,000 calls of a member that reads no answer", held_by="a share for each caller (wire/limits)")
def test_unread_answers_hold_the_share_of_who_asked(node: Attacked, memory: Measure) -> None:
    """What is asked beyond the share is refused at once; another member is answered meanwhile."""
    with ExitStack() as opened, memory(node.pid) as growth:
        for _ in range(10):
            slow = opened.enter_context(node.member(window=0))
            streams = [slow.ask(FETCH_AGREEMENT.path) for _ in range(100)]
        while not slow.ended.issuperset(streams):
            slow.read_frame()
        with node.member("fujian") as other:
            assert other.answers(FETCH_AGREEMENT.path)
    assert growth.mb < MOST_MB


@pytest.mark.attack("1,000 requests of 8 MB that never end", held_by="few requests come in at once (wire/limits)")
def test_unfinished_requests_hold_the_share_of_who_sends_them(node: Attacked, memory: Measure) -> None:
    """No more is taken in than a few messages of a caller; another member is answered meanwhile."""
    with ExitStack() as opened, memory(node.pid) as growth:
        for _ in range(10):
            slow = opened.enter_context(node.member())
            with suppress(OSError):  # the server may hang up on who goes on with a refused request
                slow.pour([slow.begin(SUBMIT.path, 8_000_000) for _ in range(100)], 7_999_999)
        with node.member("fujian") as other:
            assert other.answers(FETCH_AGREEMENT.path)
    assert growth.mb < MOST_MB


@pytest.mark.attack(
    "10,240 messages of a member that are refused", held_by="nothing of them is kept (exchange/receive)"
)
def test_refused_messages_leave_nothing_behind(node: Attacked, memory: Measure) -> None:
    """What is no envelope is answered and forgotten; another member is answered meanwhile."""
    no_envelope = b"\x0a\x07\x0a\x05rude!"
    with memory(node.pid) as growth, node.member() as rude, node.member("fujian") as other:
        for _ in range(5):
            streams = [rude.ask(SUBMIT.path, no_envelope * 256) for _ in range(8)]
            while not rude.ended.issuperset(streams):
                rude.read_frame()
            assert other.answers(FETCH_AGREEMENT.path)
    assert rude.answered
    assert growth.mb < MOST_MB


@pytest.mark.attack("2,000 idle connections to the read side", held_by="connections make room (wire/read_connections)")
def test_idle_connections_of_strangers_keep_nobody_out(node: Attacked, memory: Measure) -> None:
    """Of one address few stay open; from many addresses the longest idle make room; health is heard all the while."""
    idle = node.descriptors()
    with ExitStack() as opened, memory(node.pid) as growth:
        for number in range(2_000):
            source = f"127.0.1.{1 + number % 40}"
            opened.enter_context(node.stranger(node.read_port, source=source)).sendall(b"GET /healthz HTTP/1.1\r\n")
            if number % 100 == 0:
                assert node.health() == 200
        node.until_descriptors(idle + CONNECTIONS_OF_ALL + CONNECTIONS_KEPT)
        assert node.health() == 200
    assert growth.mb < MOST_MB


@pytest.mark.attack(
    "300 idle connections of one source, and 320 whose request never ends",
    held_by="connections of their own for who is named (wire/read_connections)",
)
def test_members_and_health_have_connections_that_strangers_cannot_take(node: Attacked, memory: Measure) -> None:
    """All that there are for strangers are at work; a member, by its address in the agreement, is answered, and health."""
    idle = node.descriptors()
    with ExitStack() as opened, memory(node.pid) as growth:
        for _ in range(300):
            opened.enter_context(node.stranger(node.read_port, source="127.0.1.1"))
        node.until_descriptors(idle + CONNECTIONS_EACH + CONNECTIONS_KEPT)
        for number in range(320):
            slow = opened.enter_context(node.stranger(node.read_port, source=f"127.0.2.{1 + number % 5}"))
            slow.sendall(b"POST /witness/add-checkpoint HTTP/1.1\r\nHost: n\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(3 * CONNECTIONS_KEPT):
            assert node.read("/checkpoint", source=MEMBER_ADDRESS) == 200
        assert node.health() == 200
    assert growth.mb < MOST_MB


@pytest.mark.attack("2,000 connections without a handshake to the peer port", held_by="a bound a port (wire/server)")
def test_half_open_handshakes_take_a_bounded_number_of_descriptors(node: Attacked, memory: Measure) -> None:
    """They are closed within seconds; a member who was connected before is answered all the while."""
    idle = node.descriptors()
    with ExitStack() as opened, memory(node.pid) as growth, node.member("anhui") as member:
        for number in range(2_000):
            with suppress(OSError):
                opened.enter_context(node.stranger(node.peer_port, source=f"127.0.1.{1 + number % 40}"))
            if number % 500 == 0:
                assert member.answers(FETCH_AGREEMENT.path)
        node.until_descriptors(idle + MAX_CONNECTIONS + 20)
        assert member.answers(FETCH_AGREEMENT.path)
        node.until_descriptors(idle + 20)
        node.until_answers("fujian", FETCH_AGREEMENT.path)
    assert growth.mb < MOST_MB


@pytest.mark.attack(
    "1,500 connections to all ports of a node that was started with 1,024 descriptors",
    held_by="a node takes what full ports need (node/serve)",
)
def test_full_ports_leave_descriptors_for_the_rest(node: Attacked, memory: Measure) -> None:
    """An office that was connected before is answered out of the home's files, and health is heard."""
    with ExitStack() as opened, memory(node.pid) as growth, node.agency() as office:
        for number in range(500):
            for port in (node.read_port, node.peer_port, node.agency_port):
                opened.enter_context(node.stranger(port, source=f"127.0.3.{1 + number % 40}"))
        assert office.answers(GET_STATUS.path)
        assert node.health() == 200
    assert growth.mb < MOST_MB


@pytest.mark.attack(
    "600 idle connections of one source that shakes hands, to each gRPC port",
    held_by="the newest of a source are cut (wire/rpc_connections)",
)
@pytest.mark.parametrize("side", list(Side))
def test_connections_of_one_source_leave_room_for_another(node: Attacked, memory: Measure, side: Side) -> None:
    """Who was there before stays, of that source, too, with a stream that is open; so do a few of a third one."""
    caller, rpc = (node.member, FETCH_AGREEMENT) if side is Side.PEER else (node.agency, GET_STATUS)
    bound, idle = node.federation.homes[JIANGXI].settings.connections_a_source, node.descriptors()
    with ExitStack() as opened, memory(node.pid) as growth:
        older = opened.enter_context(caller())
        stream = older.ask(HEALTH_WATCH)
        few = [opened.enter_context(caller(source="127.0.0.3")) for _ in range(8)]
        for _ in range(MAX_CONNECTIONS + 88):
            with suppress(OSError):
                opened.enter_context(caller())
        node.until_descriptors(idle + bound + len(few) + 20)
        with caller(source="127.0.0.2") as other:
            assert other.answers(rpc.path)
        assert all(each.answers(rpc.path) for each in (older, *few))
        assert stream in older.answered - older.ended
    assert growth.mb < MOST_MB
