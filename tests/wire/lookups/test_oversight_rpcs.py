"""The watch's RPCs against a real port: equal values both ways, for the police only, bad fields refused by field."""

import asyncio
import base64
from dataclasses import replace
from datetime import date

import pytest

from federation.domain.lookup.break_glass import Finding
from federation.domain.lookup.review import SampleFinding
from federation.domain.lookup.watch import FlagKind
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.ids import parse_agency_id
from federation.wire.lookups.oversight.values import (
    CountersignQuestion,
    DigestQuestion,
    FlagQuery,
    News,
    PageQuery,
    ReadingQuery,
    ReviewQuestion,
    SampleQuery,
    SampleReviewQuestion,
)
from tests.wire.answers import ACT
from tests.wire.house import JIANGXI, House
from tests.wire.oversight_answers import (
    COUNTERSIGNED,
    DIGEST_OF_DAY,
    FLAGS,
    NEWS,
    NOTICE,
    NOTICES,
    READINGS,
    REVIEWED,
    SAMPLE,
)

POLICE = parse_agency_id("jiangxi/361123/police")
SIGNATURE = base64.b64encode(b"s" * 64).decode()
COUNTERSIGN = CountersignQuestion(case_id="A3611-0042", signature=SIGNATURE, bulk=True)
PAGE = PageQuery(page_size=5, page_token="t")
REVIEW = ReviewQuestion(
    case_id="BREAK-GLASS-2026-001", finding=Finding.UNJUSTIFIED, signature=SIGNATURE, words="无警情记录"
)
FLAG_QUERY = FlagQuery(officer="officer-7", kind=FlagKind.HONEY, case_id="A3611-0042", page_size=5, page_token="t")
DIGEST_QUESTION = DigestQuestion(officer="officer-7", day=date(2026, 11, 23), signature=SIGNATURE)

SAMPLE_QUERY = SampleQuery(with_reviewed=True, page_size=5, page_token="t")
READING_QUERY = ReadingQuery(
    case_id="A3611-0042", officer="officer-7", signature=SIGNATURE, page_size=5, page_token="t"
)
SAMPLE_REVIEW = SampleReviewQuestion(
    lookup_id=ACT.request_id, finding=SampleFinding.DOUBTFUL, words="协作函上没有此人", signature=SIGNATURE
)

CALLS = [
    pytest.param(lambda c: c.countersign(ACT, COUNTERSIGN), COUNTERSIGN, COUNTERSIGNED, id="CountersignCase"),
    pytest.param(lambda c: c.list_notices(ACT, PAGE, agency=POLICE), PAGE, NOTICES, id="ListNotices"),
    pytest.param(lambda c: c.review(ACT, REVIEW, agency=POLICE), REVIEW, NOTICE, id="ReviewBreakGlass"),
    pytest.param(lambda c: c.list_flags(ACT, FLAG_QUERY), FLAG_QUERY, FLAGS, id="ListFlags"),
    pytest.param(lambda c: c.list_flags(ACT, FlagQuery()), FlagQuery(), FLAGS, id="ListFlags of all"),
    pytest.param(lambda c: c.get_digest(ACT, DIGEST_QUESTION), DIGEST_QUESTION, DIGEST_OF_DAY, id="GetDailyDigest"),
    pytest.param(lambda c: c.get_digest(ACT, DigestQuestion()), DigestQuestion(), DIGEST_OF_DAY, id="own day"),
    pytest.param(lambda c: c.list_sample(ACT, SAMPLE_QUERY), SAMPLE_QUERY, SAMPLE, id="ListSample"),
    pytest.param(lambda c: c.list_readings(ACT, READING_QUERY), READING_QUERY, READINGS, id="ListReadings"),
    pytest.param(lambda c: c.list_readings(ACT, ReadingQuery()), ReadingQuery(), READINGS, id="ListReadings of all"),
    pytest.param(lambda c: c.review_sample(ACT, SAMPLE_REVIEW), SAMPLE_REVIEW, REVIEWED, id="RecordReview"),
]


@pytest.mark.parametrize(("call", "handed", "answer"), CALLS)
async def test_oversight_rpc_hands_on_and_answers_equal_values(house: House, call, handed, answer):
    """Caller, act and values arrive as they were given, and the answer comes back equal."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        assert await call(client.oversight) == answer

    assert house.functions.calls == [(POLICE, ACT, handed)]


@pytest.mark.parametrize(("call", "handed", "answer"), CALLS)
async def test_oversight_rpc_is_for_the_police_and_tells_errors(house: House, call, handed, answer):
    """A service hall is refused before anything is looked at; what a rule says arrives as it was raised."""
    house.functions.failure = RuleError("SOME_RULE", "not now")
    for agency, error, reason in (
        ("jiangxi/361123/service-hall", UntrustedError, "METHOD_DENIED"),
        (str(POLICE), RuleError, "SOME_RULE"),
    ):
        issued = house.authorities[JIANGXI].agency(agency)
        async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
            with pytest.raises(error, match=reason):
                await call(client.oversight)

    assert len(house.functions.calls) == 1


async def test_readings_are_for_audit_offices_too_and_nothing_else_of_the_watch_is(house: House):
    """Who inspects the readers need not be one of them."""
    issued = house.authorities[JIANGXI].agency("jiangxi/360000/audit")
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        assert await client.oversight.list_readings(ACT, ReadingQuery()) == READINGS
        with pytest.raises(UntrustedError, match="METHOD_DENIED"):
            await client.oversight.list_flags(ACT, FlagQuery())


async def test_oversight_with_bad_fields_is_refused_by_field(house: House):
    """A signature, a case number, a day and a page have a shape; the field is named."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        watch = client.oversight
        for call, field in (
            (watch.countersign(ACT, replace(COUNTERSIGN, signature="")), "signature"),
            (watch.countersign(ACT, replace(COUNTERSIGN, case_id="*")), "case_id"),
            (watch.list_notices(ACT, replace(PAGE, page_size=-1), agency=POLICE), "page_size"),
            (watch.review(ACT, replace(REVIEW, words="x" * 501), agency=POLICE), "words"),
            (watch.list_flags(ACT, replace(FLAG_QUERY, officer="Zhang San")), "officer"),
            (watch.list_readings(ACT, replace(READING_QUERY, case_id="*")), "case_id"),
            (watch.list_readings(ACT, replace(READING_QUERY, signature="")), "signature"),
            (watch.review_sample(ACT, replace(SAMPLE_REVIEW, words="")), "words"),
            (watch.review_sample(ACT, replace(SAMPLE_REVIEW, lookup_id="l-1")), "lookup_id"),
            (watch.get_digest(ACT, replace(DIGEST_QUESTION, signature="no")), "signature"),
        ):
            with pytest.raises(MalformedError, match="FIELD_RULE") as caught:
                await call
            assert caught.value.facts["field"].startswith(field)

    assert house.functions.calls == []


async def test_watch_brings_each_piece_of_news_and_is_for_the_police(house: House):
    """A stream of equal values in order, the token to go on behind handed on; a service hall is refused."""
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        assert [news async for news in client.oversight.watch(ACT, "7", agency=POLICE)] == list(NEWS)
        with pytest.raises(MalformedError, match="FIELD_RULE"):
            await anext(client.oversight.watch(ACT, "seven", agency=POLICE))
    assert house.functions.calls[0] == (POLICE, ACT, "7")

    issued = house.authorities[JIANGXI].agency("jiangxi/361123/service-hall")
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        with pytest.raises(UntrustedError, match="METHOD_DENIED"):
            await anext(client.oversight.watch(ACT, agency=POLICE))


async def test_watch_ends_once_the_certificate_is_revoked(house: House):
    """A stream outlives its start: what comes after the revocation is told to nobody."""
    waits = asyncio.Event()

    async def watch(caller, act, after):
        yield NEWS[0]
        await waits.wait()
        yield NEWS[1]

    house.functions.watch = watch
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        stream = client.oversight.watch(ACT, agency=POLICE)
        assert await anext(stream) == NEWS[0]
        house.revoked.add((JIANGXI, issued.serial))
        waits.set()
        with pytest.raises(UntrustedError, match="CERTIFICATE_REVOKED"):
            await anext(stream)


async def test_watch_of_a_slow_reader_waits_and_loses_nothing(house: House):
    """Who takes nothing holds the node up, however long that lasts; then everything arrives, in order."""
    total, told = 3000, 0
    flag = NEWS[1].flag
    assert flag is not None
    big = replace(flag, flag=replace(flag.flag, sentence_en="x" * 4000))

    async def watch(caller, act, after):
        nonlocal told
        for number in range(total):
            yield News(token=str(number), flag=big)
            told = number + 1

    house.functions.watch = watch
    issued = house.authorities[JIANGXI].agency(str(POLICE))
    async with house.agency_port() as server, house.agency_client(server.port, issued) as client:
        stream = client.oversight.watch(ACT, agency=POLICE)
        await anext(stream)
        for _ in range(20_000):  # turns in which the node may tell as much as the connection takes
            await asyncio.sleep(0)
        assert told < total
        assert [news.token async for news in stream] == [str(number) for number in range(1, total)]
