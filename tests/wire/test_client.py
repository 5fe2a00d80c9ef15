"""The clients against real ports: each RPC hands on equal values and brings equal answers, and who may not call is told."""

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.protocol.errors import MalformedError, NotFoundError, UnavailableError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId
from federation.wire import gatekeeper
from federation.wire import server as server_module
from federation.wire.agency import alerts, cases, corrections, erasure, intake, leads, lookups, oversight
from federation.wire.agency.oversight import WATCH_NOTICES, News
from federation.wire.agency.permits import GET_PERMIT
from federation.wire.client import AgencyClient, Client
from federation.wire.limits import STREAMS_EACH
from federation.wire.peer import SUBMIT, PeerClient
from federation.wire.rpc import Act, ClientProfile, TlsFiles
from tests.attacks.raw_http2 import RawHttp2, connected
from tests.wire import alert_answers, calls, case_answers
from tests.wire.answers import ACT, CITIZEN_NUMBER, FETCHED, LEAD, SUBMISSION, URN
from tests.wire.calls import CALLS, POLICE, Call
from tests.wire.erasure_answers import RESULT
from tests.wire.house import JIANGXI, ZHEJIANG, House
from tests.wire.oversight_answers import NEWS
from tests.wire.table import RPCS
from tests.wire.test_gatekeeper import told

EVERY = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.rpc.name)
BAD = (
    (lookups.OPEN_CASE, replace(calls.CASE, days=91), "days"),
    (lookups.OPEN_CASE, replace(calls.CASE, counties=frozenset()), "counties"),
    (lookups.CLOSE_CASE, "a*", "case_id"),
    (lookups.SEARCH, replace(calls.SEARCH, provinces=(ZHEJIANG, ZHEJIANG)), "provinces"),
    (lookups.FETCH, replace(calls.FETCH, fields=frozenset({"*"})), "fields"),
    (lookups.FETCH, replace(calls.FETCH, fields=frozenset()), "fields"),
    (lookups.FETCH, replace(calls.FETCH, officer_signature=""), "officer_signature"),
    (lookups.LIST_LOOKUPS, replace(calls.LOOKUP_QUERY, page_size=-1), "page_size"),
    (lookups.READ_LOOKUP, "x", "lookup_id"),
    (corrections.FILE_CORRECTION, replace(calls.FILING, urn="urn:permit:1"), "urn"),
    (corrections.FILE_CORRECTION, replace(calls.FILING, field="Holder Name"), "field"),
    (corrections.FILE_CORRECTION, replace(calls.FILING, value=""), "value"),
    (corrections.FILE_CORRECTION, replace(calls.FILING, words=""), "words"),
    (corrections.FILE_CORRECTION, replace(calls.FILING, papers=("ab",)), "papers"),
    (corrections.FILE_CORRECTION, replace(calls.FILING, citizen_number="1"), "citizen_number"),
    (corrections.GRANT_CORRECTION, replace(calls.STEP, correction_id="1"), "correction_id"),
    (corrections.DENY_CORRECTION, replace(calls.STEP, words=""), "words"),
    (corrections.EXTEND_CORRECTION, replace(calls.EXTENSION, days=0), "days"),
    (corrections.LIST_CORRECTIONS, replace(calls.CORRECTION_QUERY, page_size=-1), "page_size"),
    (intake.LIST_INTAKE, replace(calls.INTAKE_QUERY, page_size=-1), "page_size"),
    (intake.RELEASE_INTAKE, replace(calls.RELEASE, request_id="7"), "request_id"),
    (intake.RELEASE_INTAKE, replace(calls.RELEASE, fields=frozenset({"*"})), "fields"),
    (intake.RELEASE_INTAKE, replace(calls.RELEASE, signature=""), "signature"),
    (intake.REFUSE_INTAKE, replace(calls.REFUSE, signature="no"), "signature"),
    (intake.REFUSE_INTAKE, replace(calls.REFUSE, words=""), "words"),
    (intake.REFUSE_INTAKE, replace(calls.REFUSE, words="x" * 201), "words"),
    (intake.SEND_REMINDER, "x", "lookup_id"),
    (oversight.COUNTERSIGN_CASE, replace(calls.COUNTERSIGN, signature=""), "signature"),
    (oversight.COUNTERSIGN_CASE, replace(calls.COUNTERSIGN, case_id="*"), "case_id"),
    (oversight.LIST_NOTICES, replace(calls.PAGE, page_size=-1), "page_size"),
    (oversight.REVIEW_BREAK_GLASS, replace(calls.REVIEW, words="x" * 501), "words"),
    (oversight.LIST_FLAGS, replace(calls.FLAG_QUERY, officer="Zhang San"), "officer"),
    (oversight.LIST_READINGS, replace(calls.READING_QUERY, case_id="*"), "case_id"),
    (oversight.LIST_READINGS, replace(calls.READING_QUERY, signature=""), "signature"),
    (oversight.RECORD_REVIEW, replace(calls.SAMPLE_REVIEW, words=""), "words"),
    (oversight.RECORD_REVIEW, replace(calls.SAMPLE_REVIEW, lookup_id="l-1"), "lookup_id"),
    (oversight.GET_DAILY_DIGEST, replace(calls.DIGEST_QUESTION, signature="no"), "signature"),
    (leads.HAND_OVER_LEAD, replace(LEAD, county="33082"), "lead.county"),
    (leads.HAND_OVER_LEAD, replace(LEAD, facts=""), "lead.facts"),
    (leads.HAND_OVER_LEAD, replace(LEAD, notice="ab"), "lead.notice"),
    (leads.HAND_OVER_LEAD, replace(LEAD, papers=frozenset({"ab"})), "lead.papers"),
    (leads.ANSWER_LEAD, replace(calls.LEAD_STEP, lead_id="1"), "lead_id"),
    (leads.ANSWER_LEAD, replace(calls.LEAD_STEP, reason=""), "reason"),
    (cases.OPEN_CASE, replace(case_answers.OPENING, procedure="Mediation"), "procedure"),
    (cases.OPEN_CASE, replace(case_answers.OPENING, division="33"), "division"),
    (cases.ACT_IN_CASE, replace(case_answers.STEP, name="Add Fact"), "name"),
    (cases.TRACE_CASE, "3308", "code"),
    (alerts.RAISE_ALERT, replace(alert_answers.RAISING, fields={"Kind": "dispute"}), "fields"),
    (alerts.ACT_IN_ALERT, replace(alert_answers.STEP, alert=""), "alert"),
    (alerts.LIST_ALERTS, replace(alert_answers.QUERY, desk="duty"), "desk"),
    (alerts.WATCH_ALERTS, replace(alert_answers.WATCH, topic="desk"), "topic"),
    (alerts.EXPORT_ALERT, replace(alert_answers.EXPORT, entry="ab"), "entry"),
    (alerts.IMPORT_CAP, replace(alert_answers.UPLOAD, content=b"x" * 262_145), "content"),
    (leads.LIST_LEADS, replace(calls.PAGE, page_size=-1), "page_size"),
    (erasure.ORDER_ERASURE, replace(calls.ERASURE, words=""), "words"),
    (erasure.ORDER_ERASURE, replace(calls.ERASURE, words="x" * 501), "words"),
    (erasure.LIST_ERASURES, replace(calls.ERASURE_QUERY, page_size=-1), "page_size"),
)
"""Questions of another shape, and the field that the error names."""


def test_every_rpc_has_a_call():
    """Nothing of the table is left out below."""
    assert {call.rpc.name for call in CALLS} == {rpc.name for rpc in RPCS}


async def _ask(house: House, call: Call) -> Any:
    """What the caller of the call is answered, over the port that admits it."""
    act = ACT if call.rpc.has_act else None
    if not isinstance(call.caller, AgencyId):
        issued = house.authorities[call.caller].node(call.caller)
        async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
            return await _answered(client, call, act)
    issued = house.authorities[JIANGXI].agency(str(call.caller))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        return await _answered(client, call, act)


async def _answered(client: Client, call: Call, act: Act | None) -> Any:
    if call.rpc.stream:
        return tuple([each async for each in client.watch(call.rpc, act, call.question)])
    return await client.call(call.rpc, act, call.question)


@EVERY
async def test_each_rpc_hands_on_and_answers_equal_values(house: House, call: Call):
    """Caller, act and question arrive as they were given, and the answer comes back equal."""
    assert await _ask(house, call) == call.answer
    assert house.functions.calls == [(call.caller, ACT if call.rpc.has_act else None, call.question)]


@EVERY
async def test_each_rpc_tells_an_error_of_the_house(house: House, call: Call):
    """What the function raises comes out of the client as the same class and reason."""
    house.functions.failure = NotFoundError("SOME_REASON", "no such thing")
    with pytest.raises(NotFoundError, match="SOME_REASON"):
        await _ask(house, call)


@pytest.mark.parametrize("kind", ["police", "service-hall", "market", "audit", "court"])
async def test_each_rpc_is_for_its_kinds_of_agency_only(house: House, kind: str):
    """Nobody but an office of the kinds in its line may call it, whatever policy would say (M1, M2)."""
    issued = house.authorities[JIANGXI].agency(f"jiangxi/361123/{kind}")
    others = [call for call in CALLS if call.rpc.kinds is not None and kind not in call.rpc.kinds]
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        for call in others:
            with pytest.raises(UntrustedError, match="METHOD_DENIED"):
                if call.rpc.stream:
                    await anext(client.watch(call.rpc, ACT, call.question))
                else:
                    await client.call(call.rpc, ACT, call.question)

    assert others
    assert house.functions.calls == []


async def test_questions_with_bad_fields_are_refused_by_field(house: House):
    """A number, a term, a field name and a signature have a shape; the field is named, the person is not."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        for rpc, question, field in BAD:
            with pytest.raises(MalformedError, match="FIELD_RULE") as caught:
                await client.call(rpc, ACT, question)
            assert caught.value.facts["field"].startswith(field)
            assert CITIZEN_NUMBER not in str(caught.value)
        with pytest.raises(MalformedError, match="FIELD_RULE"):
            await anext(client.watch(WATCH_NOTICES, ACT, "no token"))

    assert house.functions.calls == []


async def test_watch_ends_once_the_certificate_is_revoked(house: House):
    """A stream outlives its start: what comes after the revocation is told to nobody."""
    waits = asyncio.Event()

    async def watch(caller, act, after):
        yield NEWS[0]
        await waits.wait()
        yield NEWS[1]

    house.functions.replaced[WATCH_NOTICES.name] = watch
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        stream = client.watch(WATCH_NOTICES, ACT, "")
        assert await anext(stream) == NEWS[0]
        house.revoked.add((JIANGXI, issued.serial))
        waits.set()
        with pytest.raises(UntrustedError, match="CERTIFICATE_REVOKED"):
            await anext(stream)


@pytest.mark.parametrize("ended", ["CERTIFICATE_REVOKED", "NOT_AN_AGENCY", "CERTIFICATE_EXPIRED"])
async def test_watch_ends_while_nothing_comes(house: House, monkeypatch: pytest.MonkeyPatch, ended: str):
    """The gate looks again at who has a stream open, and what the stream waits for ends with it."""
    monkeypatch.setattr(gatekeeper, "ASK_AGAIN_SECONDS", 0.02)
    left = asyncio.Event()

    async def watch(caller, act, after):
        yield NEWS[0]
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    house.functions.replaced[WATCH_NOTICES.name] = watch
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        stream = client.watch(WATCH_NOTICES, ACT, "")
        assert await anext(stream) == NEWS[0]
        if ended == "CERTIFICATE_REVOKED":
            house.revoked.add((JIANGXI, issued.serial))
        elif ended == "NOT_AN_AGENCY":
            house.retired.add(POLICE)
        else:
            house.now = lambda: datetime.now(UTC) + timedelta(days=9999)
        async with asyncio.timeout(60):
            with pytest.raises(UntrustedError, match=ended):
                await anext(stream)
            await left.wait()


async def test_watch_of_a_slow_reader_waits_and_loses_nothing(house: House):
    """Who takes nothing holds the node up, however long that lasts; then everything arrives, in order."""
    total, told = 3000, 0
    flag = NEWS[1].flag
    assert flag is not None
    big = replace(flag, sentence_en="x" * 4000)

    async def watch(caller, act, after):
        nonlocal told
        for number in range(total):
            yield News(token=str(number), flag=big)
            told = number + 1

    house.functions.replaced[WATCH_NOTICES.name] = watch
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        stream = client.watch(WATCH_NOTICES, ACT, "")
        await anext(stream)
        for _ in range(20_000):  # turns in which the node may tell as much as the connection takes
            await asyncio.sleep(0)
        assert told < total
        assert [news.token async for news in stream] == [str(number) for number in range(1, total)]


class Idle:
    """Readers of an office that take nothing of the streams that they open; `left` counts those that have ended."""

    def __init__(self, house: House) -> None:
        self.left = asyncio.Semaphore(0)
        self.issued = house.authorities[JIANGXI].agency(str(POLICE))
        self._tls, self._authority = self.issued.write(house.folder, "idle"), house.folder / "idle-ca.pem"
        self._authority.write_text(house.authorities[JIANGXI].pem)
        self._question = WATCH_NOTICES.encode_question(ACT, "").SerializeToString()
        house.slow_seconds = 0.5
        house.functions.replaced[WATCH_NOTICES.name] = self._watch

    async def open(self, port: int, opened: ExitStack) -> tuple[RawHttp2, int]:
        idle = connected(port, self._tls, self._authority, window=0)
        connection = await asyncio.to_thread(opened.enter_context, idle)
        return connection, await asyncio.to_thread(connection.ask, WATCH_NOTICES.path, self._question)

    async def _watch(self, caller, act, after):
        try:
            for _ in range(50):
                yield NEWS[1]
        finally:
            self.left.release()


async def test_reader_that_takes_nothing_is_hung_up_on(house: House):
    """Its places are free again, the log says why, and another connection of the office is told all the while."""
    readers = Idle(house)
    with capture_logs() as lines, ExitStack() as opened:
        async with house.agency_port() as server, house.agency_client(server.port, readers.issued) as other:
            for _ in range(STREAMS_EACH):
                connection, _ = await readers.open(server.port, opened)
            await told(lines, "stream.unread", STREAMS_EACH)
            ended = await told(lines, "rpc.finished", STREAMS_EACH)
            assert {line["reason"] for line in ended} == {"SLOW_READER"}
            for _ in range(STREAMS_EACH):
                await readers.left.acquire()
            with pytest.raises(ConnectionError):
                while True:
                    await asyncio.to_thread(connection.read_frame)
            streams = [other.watch(WATCH_NOTICES, ACT, "") for _ in range(STREAMS_EACH)]
            for stream in streams:
                assert len([news async for news in stream]) == 50


async def test_reader_that_reads_again_is_told_that_it_was_slow(house: House, monkeypatch: pytest.MonkeyPatch):
    """Its stream has ended; a machine that cannot hang up on it keeps its place until then."""
    monkeypatch.setattr(server_module, "hang_up", lambda caller: False)
    readers = Idle(house)
    with capture_logs() as lines, ExitStack() as opened:
        async with house.agency_port() as server:
            connection, stream = await readers.open(server.port, opened)
            await readers.left.acquire()
            connection.take(stream)
            while stream not in connection.ended:
                await asyncio.to_thread(connection.read_frame)
            (line,) = await told(lines, "rpc.finished", 1)
            assert (line["code"], line["reason"]) == ("UNAVAILABLE", "SLOW_READER")


async def test_request_with_a_bad_act_is_refused_by_field(house: House):
    """Purpose, function and officer have a shape; the field is named, the value is not."""
    bad = type(ACT)(request_id="6F0C", purpose="Permit", function="F1", officer="Zhang San")
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        with pytest.raises(MalformedError, match="FIELD_RULE") as caught:
            await client.call(GET_PERMIT, bad, URN)

    assert caught.value.facts["field"] == "act.request_id"
    for field in ("act.request_id", "act.purpose", "act.function", "act.officer"):
        assert field in caught.value.message
    assert "Zhang" not in caught.value.message


async def test_call_after_close_is_an_error_of_the_house(house: House):
    """A closed client does not open a connection again."""
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        await client.submit([SUBMISSION], timeout_seconds=60)
        await client.close()
        with pytest.raises(UnavailableError, match="CHANNEL_CLOSED"):
            await client.submit([SUBMISSION], timeout_seconds=60)


async def test_call_whose_client_is_closed_is_an_error_of_the_house(house: House):
    """Who waits for an answer is not cancelled with the channel: it is told that nothing is known."""
    started, never = asyncio.Event(), asyncio.Event()

    async def stuck(caller, act, submissions):
        started.set()
        await never.wait()

    house.functions.replaced[SUBMIT.name] = stuck
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        call = asyncio.create_task(client.submit([SUBMISSION], timeout_seconds=60))
        await started.wait()
        await client.close()
        with pytest.raises(UnavailableError, match="CALL_CANCELLED"):
            await call


async def test_cancelled_caller_stays_cancelled(house: House):
    """A task that is cancelled on purpose ends as cancelled, not as an error."""
    started, never = asyncio.Event(), asyncio.Event()

    async def stuck(caller, act, submissions):
        started.set()
        await never.wait()

    house.functions.replaced[SUBMIT.name] = stuck
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        call = asyncio.create_task(client.submit([SUBMISSION], timeout_seconds=60))
        await started.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_server_of_another_name_is_untrusted(house: House):
    """The CA of a province also issues to agencies: only the certificate with the node's name is the node."""
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server:
        client = PeerClient(
            f"localhost:{server.port}",
            tls=issued.write(house.folder, "client"),
            authority=lambda: house.authorities[JIANGXI].pem,
            server_name="elsewhere.bridgehead.example",
        )
        with pytest.raises(UntrustedError, match="SERVER_CERTIFICATE"):
            await client.submit([SUBMISSION], timeout_seconds=60)
        await client.close()
        async with house.peer_client(
            server.port, issued
        ) as good:  # and the refused handshake is over before the port closes
            assert len(await good.submit([SUBMISSION], timeout_seconds=60)) == 1


def test_profile_without_its_files_is_told_before_any_call(tmp_path):
    """A missing certificate is named when the client is made, not at the first call."""
    profile = ClientProfile(
        agency=POLICE,
        address="localhost:1",
        tls=TlsFiles(certificate=tmp_path / "a.pem", key=tmp_path / "a.key"),
        authority=tmp_path / "ca.pem",
    )
    with pytest.raises(NotFoundError, match="TLS_FILE"):
        AgencyClient(profile)
    profile.authority.write_text("x")
    with pytest.raises(NotFoundError, match="TLS_FILE"):
        AgencyClient(profile)


def test_repr_of_what_names_a_person_hides_the_person():
    """A log line or a traceback of it names nobody; a field is shown by its name only."""
    for asked in (calls.RECOGNISE, calls.SEARCH, calls.FILING, calls.CORRECTION_QUERY, calls.FETCH):
        assert CITIZEN_NUMBER not in repr(asked)
        assert "h4nDle" not in repr(asked)
    for answered in (FETCHED, RESULT):
        assert "测试甲" not in repr(answered)
        assert "h4nDle" not in repr(answered)
        assert "holder_name" in repr(answered)
