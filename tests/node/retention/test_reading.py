"""Reading again what came of a look-up: who may, until when, and what is left of each reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.lookups import Outcome
from federation.node.exchange.errand import begin_errand
from federation.node.readings import READING, load_reading, read_lookup, trace_reading
from federation.protocol.errors import CorruptError, MalformedError, NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import parse_agency_id
from federation.protocol.leaf import LeafKind
from federation.store.log_reader import load_entries, load_head
from federation.store.records import find_record, list_records, put_records
from tests.node.kept_decisions import list_decisions
from tests.node.retention.released import FIELDS, PERSON, PURPOSE, Border, border, released
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG, act

XIUNING_POLICE = parse_agency_id("anhui/341022/police")
AUDITOR = parse_agency_id("jiangxi/360000/audit")


async def read(found: Border, **changes: str):
    found.rig.clock.advance(seconds=1)
    acting = replace(act(PURPOSE, "F03"), **changes)
    return await read_lookup(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, acting), found.lookup_id)


def leaves(found: Border, kind: LeafKind) -> list[bytes]:
    database = found.rig[JIANGXI].database
    return [each for each in load_entries(database, 0, load_head(database).size) if f'"kind":"{kind}"'.encode() in each]


async def test_read_lookup_by_its_officer_shows_the_fields_under_a_watermark(tmp_path: Path) -> None:
    """The officer who fetched reads again while the case is open; the reading is logged and has a code."""
    async with released(tmp_path) as found:
        result = await read(found)

        search, fetch = result.steps
        assert (search.step, search.outcome, search.handle) == ("lookup.search", Outcome.HIT, found.handle)
        assert dict(fetch.fields) == {"holder_name": PERSON.holder.name, "status": "valid"}
        assert fetch.decision is not None
        assert fetch.decision.policies == ("reread-own-release",)
        assert fetch.watermark is not None
        assert (fetch.watermark.agency, fetch.watermark.officer) == (YUSHAN_POLICE, "officer-1")
        assert len(leaves(found, LeafKind.READING)) == 1 + 1  # the fetch itself, and this
        await found.verify()


async def test_fetch_shows_its_first_answer_under_a_watermark_of_the_same_form(tmp_path: Path) -> None:
    """The first showing is a reading, too: its code is traced like any other."""
    async with border(tmp_path) as found:
        await found.search()

        result = await found.fetch()

        assert result.watermark is not None
        reading, mark = load_reading(found.rig[JIANGXI].database, result.watermark.code)
        assert (mark, reading.fields, reading.node) == (result.watermark, FIELDS, ZHEJIANG)


async def test_read_lookup_by_another_officer_is_refused_and_shows_neither_handle_nor_field(tmp_path: Path) -> None:
    """A colleague sees that there was a hit; the fields are the officer's who fetched."""
    async with released(tmp_path) as found:
        search, fetch = (await read(found, officer="officer-2")).steps

        assert (search.outcome, search.handle) == (Outcome.HIT, None)
        assert (fetch.fields, fetch.watermark) == ({}, None)
        assert fetch.decision is not None
        assert fetch.decision.policies == ("deny-reread-other-officer",)
        assert fetch.decision.title_zh


@pytest.mark.parametrize("ending", ["case closed", "release expired"])
async def test_read_lookup_after_the_end_is_refused_logged_and_kept(tmp_path: Path, ending: str) -> None:
    """Access ends with the case, and with the release: the no is a value, a leaf, and can be decided again."""
    async with released(tmp_path) as found:
        refusals = len(leaves(found, LeafKind.REFUSED))
        if ending == "case closed":
            await found.close_case()
        else:
            found.rig.clock.advance(hours=25)

        search, fetch = (await read(found)).steps

        policy = "deny-reread-case-closed" if ending == "case closed" else "deny-reread-expired"
        assert fetch.decision is not None
        assert fetch.decision.policies == (policy,)
        assert (search.handle, fetch.fields) == (None, {})
        assert len(leaves(found, LeafKind.REFUSED)) == refusals + 1
        kept = [one for each in list_decisions(found.rig[JIANGXI].database) for one in each.asked]
        assert any(one.policies == (policy,) and one.request.action == "lookup.read" for one in kept)


async def test_read_lookup_of_another_office_or_of_nothing_is_unknown(tmp_path: Path) -> None:
    """Nobody learns by an id what another office asked."""
    async with released(tmp_path) as found:
        node, acting = found.rig[JIANGXI], act(PURPOSE, "F03")

        with pytest.raises(NotFoundError, match="LOOKUP_UNKNOWN"):
            await read_lookup(begin_errand(node, parse_agency_id("jiangxi/361104/police"), acting), found.lookup_id)
        with pytest.raises(NotFoundError, match="LOOKUP_UNKNOWN"):
            await read_lookup(begin_errand(node, YUSHAN_POLICE, acting), "00000000-0000-7000-8000-000000000000")


async def test_trace_reading_finds_office_officer_and_time_by_a_code_as_read_off_a_photo(tmp_path: Path) -> None:
    """Small letters and spaces are understood; nothing of the person is in what is found."""
    async with released(tmp_path) as found:
        fetch = (await read(found)).steps[1]
        assert fetch.watermark is not None
        node, typed = found.rig[JIANGXI], fetch.watermark.code.lower().replace("-", " ")

        traced = await trace_reading(begin_errand(node, AUDITOR, act("audit.trace", "F01")), typed)

        assert traced.watermark == fetch.watermark
        assert (traced.lookup_id, traced.node, traced.fields) == (found.lookup_id, ZHEJIANG, FIELDS)
        assert PERSON.holder.name not in repr(traced)


async def test_trace_reading_of_a_code_that_nobody_was_shown_finds_nothing(tmp_path: Path) -> None:
    """A code is not made up: one that this node did not compute is unknown, another form is malformed."""
    async with released(tmp_path) as found:
        node, acting = found.rig[JIANGXI], act("audit.trace", "F01")

        with pytest.raises(NotFoundError, match="READING_UNKNOWN"):
            await trace_reading(begin_errand(node, AUDITOR, acting), "0000-0000-0000")
        with pytest.raises(MalformedError, match="WATERMARK_CODE"):
            await trace_reading(begin_errand(node, AUDITOR, acting), "0000-0000-000U")


async def test_load_reading_that_was_put_under_another_code_is_corrupt(tmp_path: Path) -> None:
    """Who can write to the store can not make a photo point at somebody else."""
    async with released(tmp_path) as found:
        database = found.rig[JIANGXI].database
        kept = list_records(database, READING, after_id="", limit=1, replica=True)[0]
        forged = replace(kept, id="1111-1111-1111")
        await found.rig[JIANGXI].sequencer.commit(lambda tx: put_records(tx, [forged]))
        assert find_record(database, READING, forged.id, replica=True) is not None

        with pytest.raises(CorruptError, match="READING_CODE"):
            load_reading(database, forged.id)
