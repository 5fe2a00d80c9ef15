"""Reading again and erasing against a real port: equal values in, equal answers out, and nobody else gets in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import parse_agency_id
from federation.wire.retention.erasure import answer_from_pb, answer_to_pb
from federation.wire.retention.values import ErasureQuery, ErasureQuestion, SentQuery
from tests.wire.answers import ACT, REFUSED
from tests.wire.house import JIANGXI, ZHEJIANG, House
from tests.wire.retention.answers import (
    ERASURES,
    LOOKUP_ID,
    MESSAGE_ID,
    ORDERED,
    RESULT,
    ROUND,
    SENT,
    TRACED,
)

POLICE, AUDITOR = parse_agency_id("jiangxi/361123/police"), parse_agency_id("jiangxi/360000/audit")
HALL = parse_agency_id("jiangxi/361123/service-hall")
QUESTION = ErasureQuestion(message_id=MESSAGE_ID, words="错误发送 sent by mistake")
SENT_QUERY = SentQuery(recipient=ZHEJIANG, after_seq=3, page_size=5)
QUERY = ErasureQuery(page_size=5, page_token="t")

CALLS = [
    pytest.param(POLICE, lambda c: c.readings.read_lookup(ACT, LOOKUP_ID), (ACT, LOOKUP_ID), RESULT, id="ReadLookup"),
    pytest.param(
        AUDITOR,
        lambda c: c.readings.trace_reading(ACT, "7q2m x9tr 04kd"),
        (ACT, "7q2m x9tr 04kd"),
        TRACED,
        id="TraceReading",
    ),
    pytest.param(HALL, lambda c: c.erasures.order_erasure(ACT, QUESTION), (ACT, QUESTION), ORDERED, id="OrderErasure"),
    pytest.param(HALL, lambda c: c.erasures.list_sent(ACT, SENT_QUERY), (ACT, SENT_QUERY), SENT, id="ListSent"),
    pytest.param(HALL, lambda c: c.erasures.list_erasures(ACT, QUERY), (ACT, QUERY), ERASURES, id="ListErasures"),
    pytest.param(AUDITOR, lambda c: c.erasures.run_retention(ACT), (ACT,), ROUND, id="RunRetention"),
]


@pytest.mark.parametrize(("agency", "call", "handed", "answer"), CALLS)
async def test_rpc_hands_on_equal_values_and_brings_equal_answers(house: House, agency, call, handed, answer):
    """What the client is given reaches the function, and what that returns reaches the client."""
    issued = house.authorities[JIANGXI].agency(str(agency))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        found = await call(client)

    assert found == answer
    assert house.functions.calls == [(agency, *handed)]


@pytest.mark.parametrize(
    ("agency", "call"),
    [
        (HALL, lambda c: c.readings.read_lookup(ACT, LOOKUP_ID)),
        (POLICE, lambda c: c.readings.trace_reading(ACT, "7Q2M-X9TR-04KD")),
        (AUDITOR, lambda c: c.erasures.order_erasure(ACT, QUESTION)),
    ],
    ids=["a hall reads a look-up", "police trace", "an auditor orders"],
)
async def test_rpc_of_another_kind_of_office_is_denied(house: House, agency, call):
    """Police read, auditors trace, counters order; whoever else has a certificate does not."""
    issued = house.authorities[JIANGXI].agency(str(agency))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        with pytest.raises(UntrustedError, match="METHOD_DENIED"):
            await call(client)

    assert house.functions.calls == []


async def test_rpc_with_bad_fields_names_the_field(house: House):
    """An id, the words and a page size have a shape."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        for call, field in (
            (client.readings.read_lookup(ACT, "x"), "lookup_id"),
            (client.erasures.order_erasure(ACT, replace(QUESTION, words="")), "words"),
            (client.erasures.order_erasure(ACT, replace(QUESTION, words="x" * 501)), "words"),
            (client.erasures.list_erasures(ACT, replace(QUERY, page_size=-1)), "page_size"),
        ):
            with pytest.raises(MalformedError, match="FIELD_RULE") as caught:
                await call
            assert caught.value.facts["field"].startswith(field)

    assert house.functions.calls == []


def test_refused_order_survives_the_wire_without_a_line():
    """A refusal is a value; there is no order then."""
    refused = replace(ORDERED, decision=REFUSED, line=None)

    assert answer_from_pb(answer_to_pb(refused)) == refused


def test_repr_of_a_result_hides_person_and_handle():
    """A log line or a traceback shows the names of the fields only."""
    shown = repr(RESULT)

    assert "测试甲" not in shown
    assert "h4nDle" not in shown
    assert "holder_name" in shown
