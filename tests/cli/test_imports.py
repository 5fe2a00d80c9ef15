"""Tests of imports: invented people, tallies, and chunks that a node could not read."""

from __future__ import annotations

from datetime import date
from itertools import islice

import pytest

from federation.cli.imports import CHUNK_ROWS, Tally, check_rows, send_rows
from federation.cli.permits import (
    IMPORTING,
    IMPORTS,
    invent_applications,
    invent_imports,
    invent_one,
    judge_import,
    send_chunk,
)
from federation.cli.row_files import NumberedRow
from federation.cli.rows import DoubtKind
from federation.domain.citizen_number import format_citizen_number
from federation.protocol.errors import MalformedError, RuleError, UnavailableError
from federation.protocol.ids import Realm, parse_agency_id
from federation.wire.agency.permits import IMPORT_PERMITS
from federation.wire.rpc import Act
from tests.cli.test_applications import APPLICATION, ROW

TODAY = date(2026, 11, 23)
HALL = parse_agency_id("zhejiang/330822/service-hall")
BORN = APPLICATION.holder.birth_date
OTHER, THIRD = (format_citizen_number("361123", BORN, sequence=sequence) for sequence in (501, 503))
SOUND = frozenset(DoubtKind) - {DoubtKind.SEX}
ACT = Act(
    request_id="11111111-1111-4111-8111-111111111111", purpose="permit.administration", function="F02", officer="a"
)


class Node:
    """Takes chunks in memory: the second one is unreadable, or the node goes down at it."""

    def __init__(self, failure):
        self.failure = failure
        self.chunks = []

    async def call(self, rpc, act, chunk):
        assert rpc is IMPORT_PERMITS
        assert act == ACT
        assert chunk.import_id == ACT.request_id
        if chunk.chunk == 2:
            raise self.failure
        self.chunks.append(chunk)
        return tuple(f"urn:permit:330822:2026:{chunk.chunk}{position:05d}" for position in range(len(chunk.rows)))


def send(node, number, chunk):
    return send_chunk(ACT, node, number, chunk)


def test_invent_applications_are_of_the_agency_s_county():
    """The agency may import its own county only; the same seed is the same people."""
    found = list(islice(invent_applications(HALL, seed=4, today=TODAY), 20))

    assert {application.residence_division for application in found} == {"330822"}
    assert found == list(islice(invent_applications(HALL, seed=4, today=TODAY), 20))


def test_invent_one_is_from_the_county_that_was_asked_for():
    """An adult whose record may be shared."""
    found = invent_one(HALL, household="361123", seed=1, today=TODAY)

    assert found.holder.household_division == "361123"
    assert not found.sealed
    assert not found.guardian
    with pytest.raises(RuleError, match="SYNTHETIC_COUNTY"):
        invent_one(HALL, household="110101", seed=1, today=TODAY)


def test_invent_for_an_agency_of_no_border_county_refused():
    """The province's audit office has no border."""
    with pytest.raises(RuleError, match="SYNTHETIC_COUNTY"):
        next(invent_applications(parse_agency_id("zhejiang/330000/audit"), seed=1, today=TODAY))


def test_check_rows_puts_every_row_in_one_count():
    """Every row is in exactly one count."""
    tally = Tally()
    wrong = "female" if ROW["sex"] == "male" else "male"
    texts = [ROW, ROW, ROW | {"citizen_number": OTHER, "papers": ""}, ROW | {"sex": "?"}]
    texts.append(ROW | {"citizen_number": THIRD, "sex": wrong})
    rows = (NumberedRow(line, text) for line, text in enumerate(texts, start=2))

    good = check_rows(rows, IMPORTING, tally, accepted=SOUND, judge=lambda row: judge_import(row, Realm.DEMO, TODAY))

    assert [line for line, _ in good] == [2]
    counts = {"stored": 0, "already": 0, "doubted": 1, "refused": 0, "failed": 3, "unconfirmed": 1}
    assert tally.counts() == {"rows": 5} | counts
    assert {bad.line: bad.reason for bad in tally.bad} == {3: "ROW_TWICE", 4: "PAPERS_MISSING", 5: "APPLICATION"}
    assert [row.line for row in tally.doubted] == [6]


async def test_send_rows_accounts_for_a_chunk_that_was_unreadable_and_goes_on():
    """No row is dropped without a word."""
    tally, told = Tally(), []
    rows = list(invent_imports(HALL, 2 * CHUNK_ROWS + 1, seed=1, today=TODAY))
    tally.rows = len(rows)

    await send_rows(Node(MalformedError("FIELD_RULE", "rows[3]")), rows, tally, send, tell=told.append)

    assert {name: count for name, count in tally.counts().items() if count} == {
        "rows": 2001, "stored": 1001, "failed": 1000,
    }  # fmt: skip
    assert {bad.reason for bad in tally.bad} == {"FIELD_RULE"}
    assert [line for line, _ in tally.stored][-1] == 2001
    assert told == [1000, 2000, 2001]


async def test_send_rows_stops_when_the_node_goes_down():
    """What is not known is not counted: the import is repeated under its request id."""
    row = IMPORTS.parse(ROW)
    rows = ((line, row) for line in range(1, 1500))
    tally = Tally()

    with pytest.raises(UnavailableError):
        await send_rows(Node(UnavailableError("PEER_UNREACHABLE", "gone")), rows, tally, send, tell=print)

    assert len(tally.stored) == CHUNK_ROWS
