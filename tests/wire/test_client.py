"""The agency's client against a real port: each RPC hands on equal values and brings equal answers."""

import asyncio
import base64
from dataclasses import replace
from datetime import date

import pytest

from federation.domain.lookup.asking import Selector, SelectorKind, Urgency
from federation.domain.permit import PermitStatus, RevokeReason
from federation.domain.recognition import RecognitionMode, RecognitionOutcome
from federation.protocol.errors import MalformedError, NotFoundError, UnavailableError, UntrustedError
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.wire.agency.registers import GET_ENTERPRISE, GET_VEHICLE, REGISTER_ENTERPRISES, REGISTER_VEHICLES
from federation.wire.client import AgencyClient, PeerClient
from federation.wire.convert_permit import reading_from_pb, reading_to_pb
from federation.wire.lookups.corrections.values import CorrectionFiling, CorrectionQuery, CorrectionStep
from federation.wire.lookups.values import CaseQuestion, FetchQuestion, LookupQuery, LookupQuestion, ReportQuestion
from federation.wire.values import (
    ClientProfile,
    Direction,
    ImportChunk,
    MessageQuery,
    PermitAnswer,
    PermitImport,
    PermitPage,
    PermitQuery,
    PermitRecognition,
    RecognitionAnswer,
    RecognitionLink,
    TlsFiles,
)
from tests.wire.answers import (
    ACT,
    ALLOWED,
    APPLICATION,
    BARE_ITEM,
    CASE_OPENED,
    CASE_REFUSED,
    CITIZEN_NUMBER,
    CORRECTION_FILED,
    CORRECTION_STEP,
    CORRECTIONS,
    FETCHED,
    FILES,
    ITEM,
    LOOKUPS,
    MESSAGES,
    RECOGNITION,
    REFUSED,
    REPORT,
    SEARCHED,
    STATUS,
    SUBMISSION,
    URN,
)
from tests.wire.house import JIANGXI, ZHEJIANG, House
from tests.wire.register_samples import ENTERPRISE, KEPT, READING, ROWS, VEHICLE

POLICE = parse_agency_id("jiangxi/361123/police")
MARKET = parse_agency_id("jiangxi/361123/market")
AUDITOR = parse_agency_id("jiangxi/360000/audit")
RECOGNISE = PermitRecognition(urn=URN, mode=RecognitionMode.TIME, citizen_number=CITIZEN_NUMBER)
QUERY = PermitQuery(residence_division="330822", status=PermitStatus.VALID, page_size=5, page_token="t")
MESSAGE_QUERY = MessageQuery(direction=Direction.SENT, peer=ZHEJIANG, after_seq=3, page_size=9)
CHUNK = ImportChunk(import_id=ACT.request_id, chunk=2, rows=(PermitImport(application=APPLICATION, urn=URN),))
REFUSAL = PermitAnswer(decision=REFUSED)
CASE_ID = "A3611-0042"
CASE = CaseQuestion(
    case_id=CASE_ID,
    letter="赣公协〔2026〕7号",
    counties=frozenset({"330822", "330881"}),
    purposes=frozenset({"lookup.criminal_investigation"}),
    days=30,
    leader="leader-1",
)
SEARCH = LookupQuestion(
    case_id=CASE_ID,
    selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=CITIZEN_NUMBER),
    provinces=(ZHEJIANG,),
    urgency=Urgency.URGENT,
)
FETCH = FetchQuestion(
    case_id=CASE_ID,
    node=ZHEJIANG,
    handle="h4nDle_-" * 4,
    fields=frozenset({"holder_name", "sex"}),
    officer_key=base64.b64encode(b"k" * 32).decode(),
    officer_signature=base64.b64encode(b"s" * 64).decode(),
)
REPORT_QUESTION = ReportQuestion(citizen_number=CITIZEN_NUMBER, identity_checked=True, page_size=5, page_token="t")
FILING = CorrectionFiling(
    urn=URN,
    field="holder_name",
    value="徐谷语",
    words="户口簿上是语言的语",
    papers=("ab" * 32,),
    citizen_number=CITIZEN_NUMBER,
    identity_checked=True,
)
STEP = CorrectionStep(correction_id=ACT.request_id, words="理由")
CORRECTION_QUERY = CorrectionQuery(everything=True, citizen_number=CITIZEN_NUMBER, page_size=5, page_token="t")
LOOKUP_QUERY = LookupQuery(case_id=CASE_ID, page_size=5, page_token="t")

CALLS = [
    pytest.param(lambda c: c.get_status(), (POLICE,), STATUS, id="GetStatus"),
    pytest.param(lambda c: c.fetch_agreement(), (0,), FILES, id="FetchAgreement"),
    pytest.param(
        lambda c: c.list_messages(ACT, MESSAGE_QUERY), (AUDITOR, ACT, MESSAGE_QUERY), MESSAGES, id="ListMessages"
    ),
    pytest.param(
        lambda c: c.register_permit(ACT, APPLICATION),
        (POLICE, ACT, APPLICATION),
        PermitAnswer(decision=ALLOWED, permit=ITEM),
        id="RegisterPermit",
    ),
    pytest.param(lambda c: c.endorse_permit(ACT, URN), (POLICE, ACT, URN), REFUSAL, id="EndorsePermit"),
    pytest.param(lambda c: c.suspend_permit(ACT, URN), (POLICE, ACT, URN), REFUSAL, id="SuspendPermit"),
    pytest.param(lambda c: c.restore_permit(ACT, URN), (POLICE, ACT, URN), REFUSAL, id="RestorePermit"),
    pytest.param(
        lambda c: c.revoke_permit(ACT, URN, reason=RevokeReason.LEFT),
        (POLICE, ACT, URN, RevokeReason.LEFT),
        PermitAnswer(decision=ALLOWED, permit=BARE_ITEM),
        id="RevokePermit",
    ),
    pytest.param(
        lambda c: c.recognise_permit(ACT, RECOGNISE),
        (POLICE, ACT, RECOGNISE),
        RecognitionAnswer(decision=ALLOWED, recognition=RECOGNITION, permit=BARE_ITEM),
        id="RecognisePermit",
    ),
    pytest.param(lambda c: c.get_permit(ACT, URN), (POLICE, ACT, URN), REFUSAL, id="GetPermit"),
    pytest.param(
        lambda c: c.list_permits(ACT, QUERY),
        (POLICE, ACT, QUERY),
        PermitPage(decision=ALLOWED, permits=(ITEM, BARE_ITEM), next_page_token="next"),
        id="ListPermits",
    ),
    pytest.param(lambda c: c.import_permits(ACT, CHUNK), (POLICE, ACT, CHUNK), (URN,), id="ImportPermits"),
    pytest.param(lambda c: c.lookups.open_case(ACT, CASE), (POLICE, ACT, CASE), CASE_OPENED, id="OpenCase"),
    pytest.param(lambda c: c.lookups.close_case(ACT, CASE_ID), (POLICE, ACT, CASE_ID), CASE_REFUSED, id="CloseCase"),
    pytest.param(lambda c: c.lookups.search(ACT, SEARCH), (POLICE, ACT, SEARCH), SEARCHED, id="Search"),
    pytest.param(lambda c: c.lookups.fetch(ACT, FETCH), (POLICE, ACT, FETCH), FETCHED, id="Fetch"),
    pytest.param(
        lambda c: c.lookups.list_lookups(ACT, LOOKUP_QUERY), (POLICE, ACT, LOOKUP_QUERY), LOOKUPS, id="ListLookups"
    ),
    pytest.param(
        lambda c: c.corrections.file(ACT, FILING), (POLICE, ACT, FILING), CORRECTION_FILED, id="FileCorrection"
    ),
    pytest.param(
        lambda c: c.corrections.list(ACT, CORRECTION_QUERY),
        (POLICE, ACT, CORRECTION_QUERY),
        CORRECTIONS,
        id="ListCorrections",
    ),
    pytest.param(lambda c: c.corrections.grant(ACT, STEP), (POLICE, ACT, STEP), CORRECTION_STEP, id="GrantCorrection"),
    pytest.param(lambda c: c.corrections.deny(ACT, STEP), (POLICE, ACT, STEP), CORRECTION_STEP, id="DenyCorrection"),
    pytest.param(
        lambda c: c.corrections.extend(ACT, replace(STEP, days=10)),
        (POLICE, ACT, replace(STEP, days=10)),
        CORRECTION_STEP,
        id="ExtendCorrection",
    ),
    pytest.param(
        lambda c: c.call(REGISTER_VEHICLES, ACT, (VEHICLE,)),
        (POLICE, ACT, (VEHICLE,)),
        (KEPT,),
        id="RegisterVehicles",
    ),
    pytest.param(
        lambda c: c.call(GET_VEHICLE, ACT, VEHICLE.plate), (POLICE, ACT, VEHICLE.plate), READING, id="GetVehicle"
    ),
    pytest.param(
        lambda c: c.call(REGISTER_ENTERPRISES, ACT, (ENTERPRISE, ENTERPRISE)),
        (MARKET, ACT, (ENTERPRISE, ENTERPRISE)),
        ROWS[:2],
        id="RegisterEnterprises",
    ),
    pytest.param(
        lambda c: c.call(GET_ENTERPRISE, ACT, ENTERPRISE.uscc),
        (MARKET, ACT, ENTERPRISE.uscc),
        READING,
        id="GetEnterprise",
    ),
    pytest.param(
        lambda c: c.subjects.get_report(ACT, REPORT_QUESTION), (POLICE, ACT, REPORT_QUESTION), REPORT, id="GetReport"
    ),
]


def _caller_of(handed) -> AgencyId:
    return handed[0] if isinstance(handed[0], AgencyId) else POLICE


async def test_messages_are_listed_for_auditors_only(house: House):
    """What was exchanged is read by an office of the kind audit, whoever else has a certificate."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        with pytest.raises(UntrustedError, match="METHOD_DENIED"):
            await client.list_messages(ACT, MESSAGE_QUERY)

    assert house.functions.calls == []


async def test_people_are_looked_up_by_the_police_only(house: House):
    """Nobody but an office of the kind police may ask about a person, whatever policy would say (M1, M2)."""
    issued = house.authorities[JIANGXI].agency("jiangxi/361123/service-hall")
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        for call in (
            client.lookups.open_case(ACT, CASE),
            client.lookups.close_case(ACT, CASE_ID),
            client.lookups.search(ACT, SEARCH),
            client.lookups.fetch(ACT, FETCH),
            client.lookups.list_lookups(ACT, LOOKUP_QUERY),
        ):
            with pytest.raises(UntrustedError, match="METHOD_DENIED"):
                await call

    assert house.functions.calls == []


async def test_look_ups_with_bad_fields_are_refused_by_field(house: House):
    """A case number, a term, a field name and a signature have a shape; the field is named, the person is not."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        for call, field in (
            (client.lookups.open_case(ACT, replace(CASE, days=91)), "days"),
            (client.lookups.open_case(ACT, replace(CASE, counties=frozenset())), "counties"),
            (client.lookups.close_case(ACT, "a*"), "case_id"),
            (client.lookups.search(ACT, replace(SEARCH, provinces=(ZHEJIANG, ZHEJIANG))), "provinces"),
            (client.lookups.fetch(ACT, replace(FETCH, fields=frozenset({"*"}))), "fields"),
            (client.lookups.fetch(ACT, replace(FETCH, fields=frozenset())), "fields"),
            (client.lookups.fetch(ACT, replace(FETCH, officer_signature="")), "officer_signature"),
            (client.lookups.list_lookups(ACT, replace(LOOKUP_QUERY, page_size=-1)), "page_size"),
        ):
            with pytest.raises(MalformedError, match="FIELD_RULE") as caught:
                await call
            assert caught.value.facts["field"].startswith(field)

    assert house.functions.calls == []


async def test_corrections_with_bad_fields_are_refused_by_field(house: House):
    """What is filed and decided has a shape; the field is named, the person is not."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        for call, field in (
            (client.corrections.file(ACT, replace(FILING, urn="urn:permit:1")), "urn"),
            (client.corrections.file(ACT, replace(FILING, field="Holder Name")), "field"),
            (client.corrections.file(ACT, replace(FILING, value="")), "value"),
            (client.corrections.file(ACT, replace(FILING, words="")), "words"),
            (client.corrections.file(ACT, replace(FILING, papers=("ab",))), "papers"),
            (client.corrections.file(ACT, replace(FILING, citizen_number="1")), "citizen_number"),
            (client.corrections.grant(ACT, replace(STEP, correction_id="1")), "correction_id"),
            (client.corrections.deny(ACT, replace(STEP, words="")), "words"),
            (client.corrections.extend(ACT, STEP), "days"),
            (client.corrections.list(ACT, replace(CORRECTION_QUERY, page_size=-1)), "page_size"),
        ):
            with pytest.raises(MalformedError, match="FIELD_RULE") as caught:
                await call
            assert caught.value.facts["field"].startswith(field)

    assert house.functions.calls == []


async def test_corrections_are_for_counters_only(house: House):
    """Nobody but a service hall or a police counter files or decides a correction."""
    issued = house.authorities[JIANGXI].agency("jiangxi/361123/court")
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        for call in (
            client.corrections.file(ACT, FILING),
            client.corrections.list(ACT, CORRECTION_QUERY),
            client.corrections.grant(ACT, STEP),
        ):
            with pytest.raises(UntrustedError, match="METHOD_DENIED"):
                await call

    assert house.functions.calls == []


def test_reading_with_recognitions_survives_the_wire():
    """Both sides show the link: who recognised a permit, in which mode, and what came of it."""
    link = RecognitionLink(
        mode=RecognitionMode.TIME,
        outcome=RecognitionOutcome.RECOGNISED_PART,
        reason="time_credited",
        agency=POLICE,
        decided_on=date(2026, 11, 1),
    )
    answer = PermitAnswer(decision=ALLOWED, permit=ITEM, recognitions=(link,), outdated_by=4)

    assert reading_from_pb(reading_to_pb(answer)) == answer


@pytest.mark.parametrize(("call", "handed", "answer"), CALLS)
async def test_each_rpc_hands_on_and_answers_equal_values(house: House, call, handed, answer):
    """Caller, act and values arrive as they were given, and the answer comes back equal."""
    issued = house.authorities[JIANGXI].agency(str(_caller_of(handed)))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        assert await call(client) == answer

    assert house.functions.calls == [handed]


@pytest.mark.parametrize(("call", "handed", "answer"), CALLS)
async def test_each_rpc_tells_an_error_of_the_house(house: House, call, handed, answer):
    """What the function raises comes out of the client as the same class and reason."""
    house.functions.failure = NotFoundError("SOME_REASON", "no such thing")
    issued = house.authorities[JIANGXI].agency(str(_caller_of(handed)))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        with pytest.raises(NotFoundError, match="SOME_REASON"):
            await call(client)


async def test_request_with_a_bad_act_is_refused_by_field(house: House):
    """Purpose, function and officer have a shape; the field is named, the value is not."""
    bad = type(ACT)(request_id="6F0C", purpose="Permit", function="F1", officer="Zhang San")
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        with pytest.raises(MalformedError, match="FIELD_RULE") as caught:
            await client.get_permit(bad, URN)

    assert caught.value.facts["field"] == "act.request_id"
    for field in ("act.request_id", "act.purpose", "act.function", "act.officer"):
        assert field in caught.value.message
    assert "Zhang" not in caught.value.message


async def test_call_after_close_is_an_error_of_the_house(house: House):
    """A closed client does not open a connection again."""
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        await client.submit([SUBMISSION], timeout_seconds=10)
        await client.close()
        with pytest.raises(UnavailableError, match="CHANNEL_CLOSED"):
            await client.submit([SUBMISSION], timeout_seconds=10)


async def test_call_whose_client_is_closed_is_an_error_of_the_house(house: House):
    """Who waits for an answer is not cancelled with the channel: it is told that nothing is known."""
    started, never = asyncio.Event(), asyncio.Event()

    async def stuck(caller, submissions):
        started.set()
        await never.wait()

    house.functions.submit = stuck
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        call = asyncio.create_task(client.submit([SUBMISSION], timeout_seconds=10))
        await started.wait()
        await client.close()
        with pytest.raises(UnavailableError, match="CALL_CANCELLED"):
            await call


async def test_cancelled_caller_stays_cancelled(house: House):
    """A task that is cancelled on purpose ends as cancelled, not as an error."""
    started, never = asyncio.Event(), asyncio.Event()

    async def stuck(caller, submissions):
        started.set()
        await never.wait()

    house.functions.submit = stuck
    issued = house.authorities[ZHEJIANG].node("zhejiang")
    async with house.peer_port() as server, house.peer_client(server.port, issued) as client:
        call = asyncio.create_task(client.submit([SUBMISSION], timeout_seconds=10))
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
            await client.submit([SUBMISSION], timeout_seconds=10)
        await client.close()
        async with house.peer_client(
            server.port, issued
        ) as good:  # and the refused handshake is over before the port closes
            assert len(await good.submit([SUBMISSION], timeout_seconds=10)) == 1


def test_profile_without_its_files_is_told_before_any_call(tmp_path):
    """A missing certificate is named when the client is made, not at the first call."""
    profile = ClientProfile(
        address="localhost:1",
        tls=TlsFiles(certificate=tmp_path / "a.pem", key=tmp_path / "a.key"),
        authority=tmp_path / "ca.pem",
    )
    with pytest.raises(NotFoundError, match="TLS_FILE"):
        AgencyClient(profile)
    profile.authority.write_text("x")
    with pytest.raises(NotFoundError, match="TLS_FILE"):
        AgencyClient(profile)


def test_recognition_request_hides_the_person():
    """A log line of it names nobody."""
    assert CITIZEN_NUMBER not in repr(RECOGNISE)


def test_look_up_hides_the_person():
    """A log line of a search or of its fields names nobody."""
    assert CITIZEN_NUMBER not in repr(SEARCH)
    assert "测试甲" not in repr(FETCHED)
    assert "holder_name" in repr(FETCHED)
