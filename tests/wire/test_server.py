"""The two ports with real TLS: who gets in, what they may call, and what bad calls get."""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    CorruptError,
    MalformedError,
    NotFoundError,
    RuleError,
    StaleError,
    UnavailableError,
    UntrustedError,
)
from federation.protocol.ids import parse_agency_id
from federation.protocol.receipt import Submission
from federation.wire import gatekeeper
from federation.wire.agency.node import GET_STATUS
from federation.wire.gatekeeper import Gatekeeper
from federation.wire.peer import SUBMIT, AgreementQuery
from federation.wire.rpc import Nothing, Side
from federation.wire.server import Listener, start_server
from federation.wire.status import error_of_call
from tests.wire.answers import RECEIPT, STATUS, SUBMISSION
from tests.wire.certificates import FEDERATION, Authority
from tests.wire.house import FUJIAN, JIANGXI, ZHEJIANG, House

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).parent / "buf"
TREE = (
    MalformedError,
    UntrustedError,
    StaleError,
    RuleError,
    ConflictError,
    NotFoundError,
    UnavailableError,
    CorruptError,
)


async def _submit(client):
    return await client.submit([SUBMISSION], timeout_seconds=60)


async def _raw_submit(channel, *, timeout=60, request=None):
    submit = channel.unary_unary(
        SUBMIT.path,
        request_serializer=SUBMIT.request.SerializeToString,
        response_deserializer=SUBMIT.response.FromString,
    )
    return await submit(request or SUBMIT.request(), timeout=timeout)


async def test_submit_from_a_peer_hands_caller_and_values_and_returns_each_answer(house: House):
    """The function behind the port gets the node of the certificate and equal values; each submission has its answer."""
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client,
    ):
        found = await client.submit([SUBMISSION, Submission(envelope=b"x")], timeout_seconds=60)

    assert house.functions.calls == [(ZHEJIANG, None, (SUBMISSION, Submission(envelope=b"x")))]
    assert found[0] == RECEIPT
    assert isinstance(found[1], NotFoundError)
    assert (found[1].reason, found[1].message, found[1].facts) == ("NO_BODY", "none", {"seq": "3"})


async def test_call_without_client_certificate_is_not_answered(house: House):
    """TLS itself ends a connection that shows no certificate."""
    async with house.peer_port() as server, house.raw_channel(server.port, None) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _raw_submit(channel)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert house.functions.calls == []


async def test_call_with_a_certificate_of_another_ca_is_not_answered(house: House):
    """A CA that the agreement does not name opens no connection; the client gets an error of the house."""
    stranger = Authority("zhejiang").node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, stranger) as client:
        with pytest.raises(UnavailableError, match="PEER_UNREACHABLE"):
            await _submit(client)

    assert house.functions.calls == []


async def test_server_with_a_certificate_of_another_ca_is_untrusted(house: House):
    """A client that trusts one CA refuses a server of another."""
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client,
    ):
        client._channel._authority = lambda: house.authorities[FUJIAN].pem
        with pytest.raises(UntrustedError, match="SERVER_CERTIFICATE"):
            await _submit(client)


async def test_certificate_that_names_another_province_is_refused(house: House):
    """A certificate of fujian's CA that says zhejiang passes TLS but not the check against zhejiang's own CA."""
    forged = house.authorities[FUJIAN].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, forged) as client:
        with pytest.raises(UntrustedError, match="CERTIFICATE_ISSUER"):
            await _submit(client)

    assert house.functions.calls == []


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ((), "CERTIFICATE_NAME"),
        ((f"spiffe://{FEDERATION}/zhejiang", f"spiffe://{FEDERATION}/fujian"), "CERTIFICATE_NAME"),
        (("spiffe://elsewhere.example/zhejiang",), "CERTIFICATE_NAME"),
        ((f"https://{FEDERATION}/zhejiang",), "CERTIFICATE_NAME"),
        ((f"spiffe://{FEDERATION}/hunan",), "CERTIFICATE_ISSUER"),
        ((f"spiffe://{FEDERATION}/zhejiang/330822/police",), "CALLER_SIDE"),
    ],
    ids=["no name", "two names", "other federation", "no spiffe id", "no member", "an agency"],
)
async def test_peer_port_refuses_a_certificate_with_the_wrong_name(house: House, names, reason):
    """Exactly one URI name, of a member node of this federation."""
    issued = house.authorities[ZHEJIANG].issue(*names)
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        with pytest.raises(UntrustedError, match=reason):
            await _submit(client)

    assert house.functions.calls == []


async def test_peer_port_refuses_its_own_node(house: House):
    """A node is no peer of itself: its own certificate has no business on the peer side."""
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[JIANGXI].node("jiangxi")) as client,
    ):
        with pytest.raises(UntrustedError, match="CALLER_SIDE"):
            await _submit(client)


@pytest.mark.parametrize("name", ["jiangxi", "jiangxi/361123/police"], ids=["node", "agency"])
async def test_agency_port_admits_agencies_only(house: House, name):
    """The node's own agencies are admitted by their names, a node is not."""
    issued = house.authorities[JIANGXI].issue(f"spiffe://{FEDERATION}/{name}")
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        if "/" in name:
            assert await client.call(GET_STATUS, None, Nothing()) == STATUS
            assert house.functions.calls == [(parse_agency_id(name), None, Nothing())]
        else:
            with pytest.raises(UntrustedError, match="CALLER_SIDE"):
                await client.call(GET_STATUS, None, Nothing())


async def test_agency_port_refuses_an_agency_name_of_another_province(house: House):
    """Our own CA cannot name another province's agency, nor can theirs open our agency port."""
    issued = house.authorities[JIANGXI].agency("zhejiang/330822/police")
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        with pytest.raises(UntrustedError, match="CERTIFICATE_ISSUER"):
            await client.call(GET_STATUS, None, Nothing())


async def test_revoked_between_two_calls_on_one_connection_is_refused_on_the_second(house: House):
    """A live connection survives revocation, so each RPC asks again."""
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        await _submit(client)
        channel = client._channel.current()
        house.revoked.add(("zhejiang", issued.serial))
        with pytest.raises(UntrustedError, match="CERTIFICATE_REVOKED"):
            await _submit(client)
        assert client._channel.current() is channel

    assert len(house.functions.calls) == 1


async def test_agency_that_the_agreement_no_longer_names_is_refused_on_the_same_connection(house: House):
    """Its certificate lives on and opens nothing: the agreement in force is asked on every RPC."""
    police = parse_agency_id("jiangxi/361123/police")
    issued = house.authorities[JIANGXI].agency(str(police))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        await client.call(GET_STATUS, None, Nothing())
        house.retired.add(police)
        with pytest.raises(UntrustedError, match="NOT_AN_AGENCY"):
            await client.call(GET_STATUS, None, Nothing())

    assert len(house.functions.calls) == 1


async def test_certificate_that_expires_on_an_open_connection_is_refused(house: House):
    """TLS looks at the dates once; each RPC looks again."""
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        await _submit(client)
        now = house.now
        house.now = lambda: now() + timedelta(days=11)
        with pytest.raises(UntrustedError, match=r"ended on 2.* bridgehead keys renew .*CERTIFICATE_EXPIRED"):
            await _submit(client)


@pytest.mark.attack(
    "a certificate has ended unnoticed", held_by="whoever meets it is told whose, when, and the command"
)
@pytest.mark.parametrize("whose", ["ours", "the node's"])
async def test_certificate_that_has_ended_is_said_with_its_day(house: House, whose: str, monkeypatch):
    """TLS refuses it on either side and tells no day, and of a client's nothing at all."""
    theirs, ours = house.authorities[JIANGXI], house.authorities[ZHEJIANG]
    issued = ours.node("zhejiang", days=-0.5 if whose == "ours" else 10)
    served = theirs.node("jiangxi", days=10 if whose == "ours" else -0.5)
    monkeypatch.setattr(theirs, "node", lambda _name: served)
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        with pytest.raises(UntrustedError, match=r"ended on 2\d\d\d-\d\d-\d\d; .*bridgehead keys renew") as caught:
            await _submit(client)

    assert caught.value.reason == ("OWN_CERTIFICATE_ENDED" if whose == "ours" else "SERVER_CERTIFICATE_ENDED")
    assert "CA" not in caught.value.message
    assert house.functions.calls == []


async def test_member_removed_by_a_new_agreement_is_refused_on_its_open_connection(house: House):
    """The CAs are asked for on every RPC: who is no member any more is refused at once."""
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        await _submit(client)
        del house.authorities[ZHEJIANG]
        with pytest.raises(UntrustedError, match="CERTIFICATE_ISSUER"):
            await _submit(client)


async def test_new_members_ca_is_trusted_without_restart(house: House):
    """The CAs are asked for on every connection: a new member gets in at once."""
    anhui = Authority("anhui")
    async with house.peer_port() as server:
        house.authorities["anhui"] = anhui
        async with house.peer_client(server.port, anhui.node("anhui")) as client:
            assert await _submit(client) == (RECEIPT,)


async def test_server_certificate_replaced_on_disk_is_used_without_restart(house: House):
    """New connections see the new certificate; here the old one is of a CA that the client does not trust."""
    other = Authority("jiangxi")
    listener = house.listener(Side.PEER)
    good = listener.tls.certificate.read_bytes(), listener.tls.key.read_bytes()
    bad = other.node("jiangxi")
    listener.tls.certificate.write_bytes(bad.certificate)
    listener.tls.key.write_bytes(bad.key)
    house.listener = lambda side: listener
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server:
        async with house.peer_client(server.port, issued) as client:
            with pytest.raises(UntrustedError, match="SERVER_CERTIFICATE"):
                await _submit(client)
        listener.tls.certificate.write_bytes(good[0])
        listener.tls.key.write_bytes(good[1])
        async with house.peer_client(server.port, issued) as client:
            assert await _submit(client) == (RECEIPT,)


async def test_client_certificate_replaced_on_disk_makes_a_new_channel(house: House):
    """A client shows its new certificate on the next call; nothing is restarted."""
    old, new = (house.authorities[ZHEJIANG].node("zhejiang") for _ in range(2))
    async with house.peer_port() as server, house.peer_client(server.port, old) as client:
        await _submit(client)
        client._channel._look_time = 0.0  # as if the second was over
        house.revoked.add(("zhejiang", old.serial))
        new.write(house.folder, "client")
        assert await _submit(client) == (RECEIPT,)


async def never(_caller, _act, _question):
    await asyncio.Event().wait()


async def test_call_without_deadline_gets_ours(house: House, monkeypatch: pytest.MonkeyPatch):
    """Programs such as `buf curl` name none; what does not end in time is ended, or it would hold the server for ever."""
    async with (
        house.peer_port() as server,
        house.raw_channel(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as channel,
    ):
        request = SUBMIT.request(submissions=[{"envelope": b"x"}])
        assert len((await _raw_submit(channel, timeout=None, request=request)).answers) == 1

        monkeypatch.setattr(gatekeeper, "DEFAULT_SECONDS", 0.01)
        house.functions.replaced[SUBMIT.name] = never
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _raw_submit(channel, timeout=None, request=request)

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "named no deadline" in caught.value.details()


async def test_call_with_too_short_a_deadline_is_refused_before_any_work(house: House):
    """With less time than the floor the work would be thrown away."""
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client,
    ):
        await client.fetch_agreement(timeout_seconds=60)  # the connection is open: the deadline is the call's alone
        with pytest.raises((StaleError, UnavailableError), match="DEADLINE"):
            await client.submit([SUBMISSION], timeout_seconds=0.09)

    assert house.functions.calls == [(ZHEJIANG, None, AgreementQuery())]


async def test_message_over_the_size_limit_is_refused_before_it_is_parsed(house: House):
    """50 MB come to an end at 8 MiB, on the server and before that at our own client."""
    big = Submission(envelope=b"x" * (50 * 1024 * 1024))
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server:
        async with house.raw_channel(server.port, issued) as channel:
            request = SUBMIT.request(submissions=[{"envelope": big.envelope}])
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await _raw_submit(channel, request=request)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        async with house.peer_client(server.port, issued) as client:
            with pytest.raises(MalformedError, match="MESSAGE_SIZE"):
                await client.submit([big], timeout_seconds=60)
            assert await _submit(client) == (RECEIPT,)


async def test_request_of_the_wrong_shape_is_refused_by_field(house: House):
    """The shape rules name the field; nothing is handed on."""
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client,
    ):
        with pytest.raises(MalformedError, match="FIELD_RULE") as caught:
            await client.submit([SUBMISSION, Submission(envelope=b"")], timeout_seconds=60)

    assert caught.value.facts == {"field": "submissions[1].envelope"}
    assert house.functions.calls == []


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
async def test_error_of_each_class_arrives_as_it_was_raised(house: House, error: type[BridgeheadError]):
    """Class, reason, sentence and facts survive the wire; facts arrive as text."""
    house.functions.failure = error("SOME_REASON", "县名 expected x, got y", seq=3, county="330822")
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client,
    ):
        with pytest.raises(error) as caught:
            await _submit(client)

    found = caught.value
    assert type(found) is error
    assert (found.reason, found.message) == ("SOME_REASON", "县名 expected x, got y")
    assert found.facts == {"seq": "3", "county": "330822"}


async def test_unknown_exception_leaves_opaque_with_an_id(house: House):
    """What is not an error of the house says nothing to the caller but an id to tell the operator."""
    house.functions.failure = RuntimeError("secret 361123 path /home")
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client,
    ):
        with pytest.raises(UnavailableError, match="INTERNAL") as caught:
            await _submit(client)

    assert "secret" not in str(caught.value)
    assert "secret" not in repr(caught.value.__cause__)
    assert len(caught.value.facts["error_id"]) == 16


async def test_client_of_a_closed_port_is_told_unavailable(house: House):
    """A peer that is down is an `UnavailableError`, within the deadline."""
    async with house.peer_port() as server:
        port = server.port
    async with house.peer_client(port, house.authorities[ZHEJIANG].node("zhejiang")) as client:
        with pytest.raises(UnavailableError, match="PEER_UNREACHABLE"):
            await _submit(client)


@pytest.mark.attack("a proxy for the web in the environment", held_by="gRPC goes past it (wire/client)")
async def test_proxy_of_the_environment_is_not_for_nodes(house: House, monkeypatch: pytest.MonkeyPatch):
    """The names that gRPC reads; a proxy that nobody answers at would fail every call with a hint at certificates."""
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_grpc_proxy", "no_proxy"):
        monkeypatch.setenv(name, "")
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client,
    ):
        assert await _submit(client) == (RECEIPT,)


async def test_port_that_is_taken_is_an_error_of_the_house(house: House):
    """A second node on one port would share its calls: it is refused at start."""
    async with house.peer_port() as server:
        listener = house.listener(Side.PEER)
        taken = Listener(address=f"localhost:{server.port}", tls=listener.tls, roots=listener.roots)
        bindings = house.functions.bindings(Side.PEER)
        with pytest.raises(UnavailableError, match="PORT_TAKEN"):
            await start_server(bindings, gate=house.gate(Side.PEER), listener=taken)


async def test_health_says_what_is(house: House):
    """NOT_SERVING until the node says otherwise, for each service and the whole; unknown services are NOT_FOUND."""
    states = health_pb2.HealthCheckResponse
    async with (
        house.peer_port() as server,
        house.raw_channel(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)

        async def state(service: str) -> int:
            return (await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)).status

        assert await state("") == states.NOT_SERVING
        await server.set_serving(serving=True)
        assert await state("") == states.SERVING
        assert await state("federation.v1.ExchangeService") == states.SERVING
        await server.set_serving(serving=False)
        assert await state("federation.v1.ExchangeService") == states.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await state("federation.v1.PermitService")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_watch_tells_the_drain(house: House):
    """Who watches is told NOT_SERVING when the port is being closed."""
    states = health_pb2.HealthCheckResponse
    async with (
        house.peer_port() as server,
        house.raw_channel(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as channel,
    ):
        await server.set_serving(serving=True)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert (await watch.read()).status == states.SERVING
        stopping = asyncio.create_task(server.stop(0.2))
        assert (await watch.read()).status == states.NOT_SERVING
        await stopping


async def test_health_watch_ends_with_the_certificate(house: House, monkeypatch: pytest.MonkeyPatch):
    """The streams of gRPC's own services are looked at again like ours."""
    monkeypatch.setattr(gatekeeper, "ASK_AGAIN_SECONDS", 0.02)
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.raw_channel(server.port, issued) as channel:
        await server.set_serving(serving=True)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        await watch.read()
        house.revoked.add((ZHEJIANG, issued.serial))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch.read()
        assert error_of_call(caught.value).reason == "CERTIFICATE_REVOKED"


async def test_stop_lets_the_call_at_work_end(house: House):
    """Draining refuses new calls and answers the one at work."""
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(caller, act, submissions):
        started.set()
        await go_on.wait()
        return (RECEIPT,)

    house.functions.replaced[SUBMIT.name] = slow
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client,
    ):
        call = asyncio.create_task(_submit(client))
        await started.wait()
        stopping = asyncio.create_task(server.stop(10))
        await asyncio.sleep(0)
        go_on.set()
        assert await call == (RECEIPT,)
        await stopping


@pytest.mark.parametrize("shown", [False, True], ids=["off by default", "on for demonstrations"])
async def test_reflection_answers_only_when_asked_for(house: House, shown):
    """The list of services is for demonstrations."""
    house.reflection = shown
    async with (
        house.peer_port() as server,
        house.raw_channel(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as channel,
    ):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=60)
        if shown:
            names = {service.name for service in (await call.read()).list_services_response.service}
            assert "federation.v1.ExchangeService" in names
        else:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_rpc_of_the_other_side_is_not_offered(house: House):
    """The agency port does not know peer services at all."""
    async with (
        house.agency_port() as server,
        house.raw_channel(server.port, house.authorities[JIANGXI].agency("jiangxi/361123/police")) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _raw_submit(channel)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_rpc_that_the_gate_does_not_know_is_for_nobody(house: House, monkeypatch):
    """Default deny: a handler that no line of the table stands for is refused."""
    monkeypatch.setattr("federation.wire.server.Gatekeeper", lambda gate, offered, **rest: Gatekeeper(gate, {}, **rest))
    async with (
        house.peer_port() as server,
        house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client,
    ):
        with pytest.raises(UntrustedError, match="METHOD_DENIED"):
            await _submit(client)


async def test_rpc_bound_to_the_wrong_port_is_refused(house: House):
    """A slip in a node's table opens nothing: the line of an RPC says on which side it is."""
    bindings, listener = house.functions.bindings(Side.AGENCY), house.listener(Side.PEER)
    server = await start_server(bindings, gate=house.gate(Side.PEER), listener=listener)
    async with house.peer_client(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as client:
        with pytest.raises(UntrustedError, match="METHOD_DENIED"):
            await client.call(GET_STATUS, None, Nothing())
    await server.stop(0)
    assert house.functions.calls == []


async def test_buf_curl_asks_a_node_with_nothing_but_the_proto_folder(house: House):
    """Another people's program: their gRPC, their JSON, our protos as they lie there; it names no deadline."""
    issued = house.authorities[JIANGXI].agency("jiangxi/361123/police").write(house.folder, "agency")
    authority = house.folder / "ca.pem"
    authority.write_text(house.authorities[JIANGXI].pem)
    async with house.agency_port() as server:
        done = await asyncio.create_subprocess_exec(
            BUF, "curl", "--schema", ROOT / "proto", "--protocol", "grpc", "--cacert", authority,
            "--cert", issued.certificate, "--key", issued.key, "--servername", f"jiangxi.{FEDERATION}",
            f"https://localhost:{server.port}{GET_STATUS.path}", "--data", "{}",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, said = await done.communicate()

    assert done.returncode == 0, said.decode()
    assert json.loads(out)["node"] == STATUS.node


async def test_call_without_a_request_and_with_other_bytes_are_malformed(house: House):
    """The gate reads the request itself, once it knows who calls."""
    async with (
        house.peer_port() as server,
        house.raw_channel(server.port, house.authorities[ZHEJIANG].node("zhejiang")) as channel,
    ):
        for requests, reason in ((iter(()), "REQUEST_MISSING"), (iter((b"\xff",)), "REQUEST_FORM")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.stream_unary(SUBMIT.path)(requests, timeout=60)
            assert error_of_call(caught.value).reason == reason

    assert house.functions.calls == []
