"""Pictures and papers of an alert between two nodes: who is given one, until when, and that the person reads of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from federation.node import documents_open
from federation.node.documents_open import open_to_province
from federation.node.documents_pull import keep_documents
from federation.protocol.errors import BridgeheadError, NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.log_reader import load_entries
from federation.wire.agency.documents import DocumentList, DocumentPlace
from tests.node.alerts.border_desks import (
    CHANGSHAN,
    POLICE,
    YUSHAN,
    YUSHAN_EMERGENCY,
    BorderDesks,
    border_desks,
    with_desks,
)
from tests.node.alerts.test_persons import FACT, LOOKS, PERSON, YUSHAN_POLICE, looks, told
from tests.node.joint.test_documents import PDF, Line, item_of, upload
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG

MISSING, SEEN = "help.missing", {"ticked": "both_sides"}
AGREED = {"ticked": "both_sides,family_consent"}


@contextlib.asynccontextmanager
async def pulling(folder: Path) -> AsyncIterator[BorderDesks]:
    """The desks of two nodes, each of which pulls what its offices ask for."""
    async with border_desks(folder) as border:
        pairs = ((JIANGXI, ZHEJIANG), (ZHEJIANG, JIANGXI))
        duties = [asyncio.create_task(keep_documents(border.rig[to], {of: Line(border, of, to)})) for to, of in pairs]
        try:
            yield border
        finally:
            for duty in duties:
                duty.cancel()
            await asyncio.gather(*duties, return_exceptions=True)


async def files(border: BorderDesks, desk: str, *, kind: str) -> DocumentPlace:
    """Has a desk upload a document and carry it by a note."""
    agency = border.rules.agency_of(desk)
    assert agency is not None
    noted = await border.does(desk, "note", item_of(await upload(border, agency)), kind=kind)
    await border.settled()
    assert noted.entry is not None
    return DocumentPlace(record=border.record, entry=noted.entry.name, item=1)


async def listed(border: BorderDesks, desk: str, *, kind: str) -> DocumentList:
    return await documents_open.list_documents(border.errand(desk, kind=kind), border.record)


async def read(border: BorderDesks, desk: str, place: DocumentPlace, *, kind: str) -> bytes:
    """The document as a desk downloads it."""
    return b"".join([part.data async for part in documents_open.download(border.errand(desk, kind=kind), place)])


async def refused(border: BorderDesks, desk: str, place: DocumentPlace, *, kind: str) -> str:
    with pytest.raises(BridgeheadError) as caught:
        await read(border, desk, place, kind=kind)
    return caught.value.reason


def is_served(border: BorderDesks, place: DocumentPlace, to: NodeName = JIANGXI) -> bool:
    """True where the node of who filed it lets a province have it."""
    try:
        return open_to_province(border.rig[ZHEJIANG], place, to).stored.item == place.item
    except NotFoundError:
        return False


async def test_picture_of_who_is_missing_is_open_while_the_family_agrees_and_the_alert_runs(tmp_path: Path) -> None:
    """Not before, not after; to desks that were told alone; each pull is a leaf and a line of the person's report."""
    async with pulling(tmp_path) as border:
        await border.raises(POLICE, PERSON, LOOKS, kind=MISSING)
        place = await files(border, POLICE, kind=MISSING)
        assert await read(border, POLICE, place, kind=MISSING) == PDF
        assert (await listed(border, YUSHAN, kind=MISSING)).lines == ()
        assert await refused(border, YUSHAN, place, kind=MISSING) == "DOCUMENT_NOT_OPEN"
        assert not is_served(border, place)

        await border.does(POLICE, "update", PERSON, LOOKS, kind=MISSING, **AGREED)
        await border.settled()
        assert [line.manifest.name for line in (await listed(border, YUSHAN, kind=MISSING)).lines] == ["协议.pdf"]
        assert {line.step for line in told(border).lines} == {"alert.entry", "alert.disclosure"}
        assert (
            await read(border, YUSHAN, place, kind=MISSING) == await read(border, CHANGSHAN, place, kind=MISSING) == PDF
        )
        fetched = {str(line.asker): line for line in told(border).lines if line.step == "alert.document"}
        assert fetched.keys() == {"jiangxi/361123/governance"}
        assert "document.root" in fetched["jiangxi/361123/governance"].fields
        node = border.rig[ZHEJIANG]
        kinds = [decode_leaf(each).kind for each in load_entries(node.database, 0, node.sequencer.head.size)]
        assert kinds.count(LeafKind.READING) == 1

        for untold in (YUSHAN_EMERGENCY, YUSHAN_POLICE):
            assert not (await listed(border, untold, kind=MISSING)).decision.allowed
            assert await refused(border, untold, place, kind=MISSING) == "DOCUMENT_NOT_OPEN"
        assert not is_served(border, place, FUJIAN)
        assert not is_served(border, replace(place, item=2))

        await border.does(POLICE, "update", PERSON, LOOKS, kind=MISSING, **SEEN)
        await border.settled()
        assert not is_served(border, place)
        assert await refused(border, YUSHAN, place, kind=MISSING) == "DOCUMENT_NOT_OPEN"
        await border.does(POLICE, "update", PERSON, LOOKS, kind=MISSING, **AGREED)
        await border.settled()
        assert is_served(border, place)

        await border.does(POLICE, "cancel", kind=MISSING, why="lifted")
        await border.settled()
        assert not is_served(border, place)
        for desk in (YUSHAN, CHANGSHAN):
            assert await refused(border, desk, place, kind=MISSING) == "DOCUMENT_NOT_OPEN"
        await looks(border)
        assert await refused(border, POLICE, place, kind=MISSING) == "DOCUMENT_NOT_OPEN"
        assert list((tmp_path / "blobs").glob("*")) == []


async def test_picture_alone_ends_with_the_alert_too(tmp_path: Path) -> None:
    """Where nobody's name was written down the picture says who it is: it has no month."""
    async with pulling(tmp_path) as border:
        await border.raises(POLICE, LOOKS, kind=MISSING, **AGREED)
        place = await files(border, POLICE, kind=MISSING)
        assert await read(border, YUSHAN, place, kind=MISSING) == PDF
        await border.does(POLICE, "cancel", kind=MISSING, why="lifted")
        await looks(border)
        assert list((tmp_path / "blobs").glob("*")) == []


async def test_paper_of_an_incident_is_open_until_its_month_is_over(tmp_path: Path) -> None:
    """Also behind the close, by whichever side filed it; then it is gone at both, and served no more."""
    async with pulling(tmp_path) as border:
        await border.raises(CHANGSHAN, FACT)
        place = await files(border, CHANGSHAN, kind="dispute")
        await border.does(YUSHAN, "claim")
        await border.settled()
        theirs = await files(border, YUSHAN, kind="dispute")
        assert await read(border, CHANGSHAN, theirs, kind="dispute") == PDF
        await border.does(YUSHAN, "close", result="handled", by_phone="yes", reason="双方和解")
        await border.settled()
        assert await read(border, YUSHAN, place, kind="dispute") == PDF
        assert told(border).lines == ()

        fresh = border.rig.clock() + timedelta(days=60)
        border.rig.put_in_force(replace(with_desks(border.rig.agreement), fresh_until_time=fresh, expires_time=fresh))
        border.rig.clock.advance(days=30, seconds=1)
        await looks(border)
        assert not is_served(border, place)
        assert await refused(border, YUSHAN, place, kind="dispute") == "DOCUMENT_NOT_OPEN"
        assert list((tmp_path / "blobs").glob("*")) == []


async def test_document_of_an_exercise_stays_with_who_filed_it(tmp_path: Path) -> None:
    """It may be anybody's picture: neither the manifest nor a byte crosses, to no other office of the own side either."""
    async with pulling(tmp_path) as border:
        await border.raises(CHANGSHAN, FACT, status="Exercise")
        place = await files(border, CHANGSHAN, kind="dispute")
        assert await read(border, CHANGSHAN, place, kind="dispute") == PDF
        assert (await listed(border, YUSHAN, kind="dispute")).decision.allowed
        assert (await listed(border, YUSHAN, kind="dispute")).lines == ()
        assert await refused(border, YUSHAN, place, kind="dispute") == "DOCUMENT_NOT_OPEN"
        assert not is_served(border, place)


async def test_document_is_asked_for_under_the_purpose_of_its_family(tmp_path: Path) -> None:
    """Under the purpose of cases an alert is not there: a number tells nothing to who may not know it."""
    async with pulling(tmp_path) as border:
        await border.raises(CHANGSHAN, FACT)
        place = await files(border, CHANGSHAN, kind="dispute")
        errand = border.errand(CHANGSHAN)
        other = replace(errand, act=replace(errand.act, purpose="dispute.mediation", function="F09"))
        assert not (await documents_open.list_documents(other, border.record)).decision.allowed
        with pytest.raises(BridgeheadError) as caught:
            [part async for part in documents_open.download(other, place)]
        assert caught.value.reason == "DOCUMENT_NOT_OPEN"
