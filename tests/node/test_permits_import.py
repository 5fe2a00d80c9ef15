"""Imports: each row judged by itself, one message a province, and the same chunk again changes nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import pytest

from federation.domain.permits import PermitUrn
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.permits_import import import_permits
from federation.node.permits_sharing import PERMIT
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import Pair, parse_agency_id
from federation.store.messages import list_messages, load_body
from federation.store.records import list_records
from federation.wire.agency.permits import ImportChunk, ImportedRow, PermitImport
from federation.wire.rpc import Ruling
from tests.node.rig import HALL, JIANGXI, START, ZHEJIANG, Rig, act, application, applications


def rows(count: int) -> tuple[PermitImport, ...]:
    """People of Changshan from wherever they come."""
    found = [each for each in applications() if each.residence_division == "330822" and not each.guardian]
    return tuple(PermitImport(application=each, issue_date=START.date()) for each in found[:count])


def chunk(given: Sequence[PermitImport], *, number: int = 1, import_id: str | None = None) -> ImportChunk:
    return ImportChunk(import_id=import_id or str(uuid.uuid4()), chunk=number, rows=tuple(given))


async def take(rig: Rig, given: ImportChunk, caller: str = str(HALL)) -> Sequence[ImportedRow]:
    return await import_permits(begin_errand(rig[ZHEJIANG], parse_agency_id(caller), act()), given)


def stored(rig: Rig) -> list[str]:
    return [record.id for record in list_records(rig[ZHEJIANG].database, PERMIT, after_id="", limit=999, replica=False)]


async def test_import_stores_every_row_and_sends_one_message_a_province(four: Rig) -> None:
    """All of one province's share goes in one message; its copies are all there."""
    four.start_delivery()
    given = rows(60)
    names = await take(four, chunk(given))
    await four.drain()

    assert sorted(names) == stored(four)
    for name in four.hosts:
        if name == ZHEJIANG:
            continue
        sent = list_messages(four[ZHEJIANG].database, "sent", pair=Pair(ZHEJIANG, name), after_seq=0, limit=9)
        copies = list_records(four[name].database, PERMIT, after_id="", limit=999, replica=True)
        assert len(sent) <= 1
        assert len(copies) == sum(len(load_body(four[name].database, message.id).items) for message in sent)


async def test_import_same_chunk_again_gives_the_same_names_and_writes_nothing(rig: Rig) -> None:
    """A chunk whose answer was lost is sent again as it was, also after a restart."""
    given = chunk(rows(20))
    first = await take(rig, given)
    size = rig[ZHEJIANG].sequencer.head.size

    assert await take(rig, given) == first
    await rig.hosts[ZHEJIANG].close()
    rig.hosts[ZHEJIANG].open()
    assert await take(rig, given) == first
    assert rig[ZHEJIANG].sequencer.head.size == size
    assert len(stored(rig)) == 20


async def test_import_id_stands_for_one_file_of_one_office(rig: Rig) -> None:
    """Other rows under the id, or the same rows from another office, get neither the first answer nor a permit."""
    given = chunk(rows(3))
    await take(rig, given)

    with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
        await take(rig, replace(given, rows=tuple(rows(5)[2:])))
    with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
        await take(rig, given, caller="zhejiang/330822/police")
    assert len(stored(rig)) == 3


async def test_import_judges_each_row_by_itself(rig: Rig) -> None:
    """A bad row gets its error, a refused one its ruling; the others are stored."""
    good, bad, foreign, more = rows(4)
    real = replace(bad.application, residence_since=START.date())
    elsewhere = replace(foreign.application, residence_division="330824")
    given = chunk([good, replace(bad, application=real), replace(foreign, application=elsewhere), more])

    answers = await take(rig, given)

    assert isinstance(answers[0], str)
    assert isinstance(answers[1], RuleError)
    assert isinstance(answers[2], Ruling)
    assert not answers[2].allowed
    assert isinstance(answers[3], str)
    assert len(stored(rig)) == 2


async def test_import_chunk_with_its_bad_row_mended_takes_only_that_row(rig: Rig) -> None:
    """What was stored stays under its name; what was refused may come again in the same chunk."""
    good, bad = rows(2)
    import_id = str(uuid.uuid4())
    broken = replace(bad, application=replace(bad.application, residence_since=START.date()))
    first = await take(rig, chunk([good, broken], import_id=import_id))

    second = await take(rig, chunk([good, bad], import_id=import_id))
    third = await take(rig, chunk([good, bad], import_id=import_id))

    assert second[0] == first[0]
    assert second == third
    assert sorted(second) == stored(rig)


async def test_import_same_chunk_many_times_at_once_stores_each_row_once(rig: Rig) -> None:
    """Two clerks with the same file: who lost the race asks again."""
    given = chunk(rows(10))
    answers = await asyncio.gather(*(take(rig, given) for _ in range(5)), return_exceptions=True)

    done = [answer for answer in answers if not isinstance(answer, BridgeheadError)]
    assert done
    assert all(answer == done[0] for answer in done)
    assert sorted(done[0]) == stored(rig)
    assert await take(rig, given) == done[0]


async def test_import_keeps_names_that_it_brings_and_new_ones_pass_them_over(rig: Rig) -> None:
    """An older register has names of its own; a permit registered later never collides with them."""
    named = [
        replace(row, urn=PermitUrn(f"urn:permit:330822:2026:{number:06d}")) for number, row in enumerate(rows(30), 1)
    ]
    assert await take(rig, chunk(named)) == tuple(row.urn for row in named)

    answer = await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), rows(32)[31].application)
    (unnamed,) = await take(rig, chunk([replace(rows(31)[30], urn=None)]))

    assert answer.permit is not None
    assert len({answer.permit.urn, unnamed, *(row.urn for row in named)}) == 32
    assert unnamed.startswith("urn:permit:330822:2026:")


async def test_import_of_a_person_twice_stores_one_and_names_it(rig: Rig) -> None:
    """In one chunk, in the next one, beside what was registered: it is told; the same row again stands already."""
    one, other, third = rows(3)
    moved = replace(one, application=replace(one.application, residence_address="示例路9号"))
    first, again, second = await take(rig, chunk([one, moved, other]))
    later, new, stands = await take(rig, chunk([moved, third, one]))
    with pytest.raises(RuleError, match="PERMIT_HELD"):
        await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), third.application)

    for held in (again, later):
        assert isinstance(held, RuleError)
        assert held.reason == "PERMIT_HELD"
    assert isinstance(later, RuleError)
    assert later.facts == {"urn": first}
    assert isinstance(stands, ConflictError)
    assert (stands.reason, stands.facts) == ("ROW_STANDS", {"urn": first})
    assert stored(rig) == sorted([first, second, new])


@pytest.mark.parametrize(
    ("urn", "error", "reason"),
    [
        ("urn:permit:330824:2026:000001", MalformedError, "PERMIT_URN"),
        ("urn:permit:330822:2026:000001", ConflictError, "PERMIT_EXISTS"),
    ],
)
async def test_import_name_of_another_county_or_permit_refused(
    rig: Rig, urn: str, error: type[BridgeheadError], reason: str
) -> None:
    """A name says who issued it, and names one permit."""
    first, second = rows(2)
    await take(rig, chunk([replace(first, urn=PermitUrn("urn:permit:330822:2026:000001"))]))

    (answer,) = await take(rig, chunk([replace(second, urn=PermitUrn(urn))]))

    assert isinstance(answer, error)
    assert answer.reason == reason


async def test_import_name_twice_in_one_chunk_takes_the_first(rig: Rig) -> None:
    """One name, two rows: the second is refused."""
    urn = PermitUrn("urn:permit:330822:2026:000007")
    answers = await take(rig, chunk([replace(row, urn=urn) for row in rows(2)]))

    assert answers[0] == urn
    assert isinstance(answers[1], ConflictError)
    assert answers[1].reason == "PERMIT_TWICE"


async def test_import_from_the_future_refused(rig: Rig) -> None:
    """Nothing was issued tomorrow."""
    (row,) = rows(1)
    (answer,) = await take(rig, chunk([replace(row, issue_date=START.date().replace(year=2027))]))

    assert isinstance(answer, MalformedError)
    assert answer.reason == "ISSUE_DATE"


async def test_import_sealed_rows_stay_at_home(rig: Rig) -> None:
    """An import shares by the same policy as a registration."""
    rig.start_delivery()
    given = [PermitImport(application=application(sealed=True)), PermitImport(application=application(minor=True))]
    answers = await take(rig, chunk(given))
    await rig.drain()

    assert len(stored(rig)) == 2
    assert all(isinstance(answer, str) for answer in answers)
    assert rig.faults(ZHEJIANG, JIANGXI).carried == []
