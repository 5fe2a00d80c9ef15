"""The desk's RPCs against a real port: equal values both ways, for the police only, bad fields refused by field."""

import base64
from dataclasses import replace

import pytest

from federation.domain.lookup.refusal import RefusalReason
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.ids import parse_agency_id
from federation.wire.lookups.intake.values import IntakeQuery, RefuseQuestion, ReleaseQuestion
from tests.wire.answers import ACT
from tests.wire.house import JIANGXI, House
from tests.wire.lookups.intake_answers import INBOX, INTAKE_REFUSED, INTAKE_RELEASED, SECONDS

POLICE = parse_agency_id("jiangxi/361123/police")
LOOKUP = "01a2076b-4400-7291-b85e-b162f6ac09ad"
QUERY = IntakeQuery(ended=True, page_size=5, page_token="3")
SIGNATURE = base64.b64encode(b"s" * 64).decode()
RELEASE = ReleaseQuestion(request_id=LOOKUP, fields=frozenset({"citizen_number", "work_division"}), signature=SIGNATURE)
REFUSE = RefuseQuestion(request_id=LOOKUP, reason=RefusalReason.TOO_BROAD, words="请缩小范围", signature=SIGNATURE)
BARE = replace(REFUSE, signature=None)

CALLS = [
    pytest.param(lambda c: c.list_intake(ACT, QUERY), QUERY, INBOX, id="ListIntake"),
    pytest.param(lambda c: c.list_intake(ACT, IntakeQuery()), IntakeQuery(), INBOX, id="ListIntake of what waits"),
    pytest.param(lambda c: c.release(ACT, RELEASE), RELEASE, INTAKE_RELEASED, id="ReleaseIntake"),
    pytest.param(lambda c: c.refuse(ACT, REFUSE), REFUSE, INTAKE_REFUSED, id="RefuseIntake"),
    pytest.param(lambda c: c.refuse(ACT, BARE), BARE, INTAKE_REFUSED, id="RefuseIntake unsigned"),
    pytest.param(lambda c: c.send_second(ACT, LOOKUP), LOOKUP, SECONDS, id="SendSecond"),
]


@pytest.mark.parametrize(("call", "handed", "answer"), CALLS)
async def test_intake_rpc_hands_on_and_answers_equal_values(house: House, call, handed, answer):
    """Caller, act and values arrive as they were given, and the answer comes back equal."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        assert await call(client.intake) == answer

    assert house.functions.calls == [(POLICE, ACT, handed)]


@pytest.mark.parametrize(("call", "handed", "answer"), CALLS)
async def test_intake_rpc_is_for_the_police_and_tells_errors(house: House, call, handed, answer):
    """A service hall is refused before anything is looked at; what a rule says arrives as it was raised."""
    del handed, answer
    house.functions.failure = RuleError("INTAKE_EXPIRED", "too late")
    for agency, error, reason in (
        ("jiangxi/361123/service-hall", UntrustedError, "METHOD_DENIED"),
        (str(POLICE), RuleError, "INTAKE_EXPIRED"),
    ):
        issued = house.authorities[JIANGXI].agency(agency)
        async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
            with pytest.raises(error, match=reason):
                await call(client.intake)

    assert len(house.functions.calls) == 1


async def test_intake_with_bad_fields_is_refused_by_field(house: House):
    """Each field has its form; the error names it and nothing is done."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        for call, field in (
            (client.intake.list_intake(ACT, replace(QUERY, page_size=-1)), "page_size"),
            (client.intake.release(ACT, replace(RELEASE, request_id="7")), "request_id"),
            (client.intake.release(ACT, replace(RELEASE, fields=frozenset({"*"}))), "fields"),
            (client.intake.release(ACT, replace(RELEASE, signature="")), "signature"),
            (client.intake.refuse(ACT, replace(REFUSE, signature="no")), "signature"),
            (client.intake.refuse(ACT, replace(REFUSE, words="")), "words"),
            (client.intake.refuse(ACT, replace(REFUSE, words="x" * 201)), "words"),
            (client.intake.send_second(ACT, "x"), "lookup_id"),
        ):
            with pytest.raises(MalformedError, match=field):
                await call
    assert house.functions.calls == []
