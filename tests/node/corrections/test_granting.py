"""Granting at the node: one transaction, every holder of a copy, who was given the field, and nobody's old value edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.citizen_number import format_citizen_number
from federation.domain.permits import RevokeReason, decode_permit_item
from federation.node import permits, permits_import
from federation.node.corrections import steps as desk
from federation.node.corrections.lines import list_lines
from federation.node.corrections.steps import grant
from federation.node.exchange.errand import begin_errand
from federation.node.permits_sharing import find_own_permit, list_copies
from federation.protocol.errors import NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import Pair, Realm, parse_agency_id
from federation.store.messages import list_messages
from federation.store.records import find_record
from federation.wire.agency.corrections import CorrectionQuery, CorrectionStanding, CorrectionStep
from federation.wire.agency.permits import ImportChunk, PermitImport, PermitRevocation
from tests.node.corrections.case import Case, correcting, registered
from tests.node.rig import ANHUI, FUJIAN, HALL, JIANGXI, POLICE, YUSHAN_HALL, YUSHAN_POLICE, ZHEJIANG, act, application

PUCHENG = parse_agency_id("fujian/350722/service-hall")
PUCHENG_POLICE = parse_agency_id("fujian/350722/police")
XIUNING = parse_agency_id("anhui/341022/service-hall")


async def granted(case: Case, *, words: str = "", caller=HALL, **changes):
    """Files at Yushan, grants at Changshan, and waits until all has arrived."""
    filed = (await case.file(**changes)).correction
    assert filed.standing is CorrectionStanding.OPEN, filed.policies
    step = CorrectionStep(correction_id=filed.correction_id, words=words)
    outcome = await grant(begin_errand(case.rig[ZHEJIANG], caller, correcting()), step)
    await case.rig.drain()
    return outcome


def copy_of(case: Case, name):
    record = find_record(case.rig[name].database, "permit", case.urn, replica=True)
    return decode_permit_item(record.content, Realm.DEMO) if record is not None else None


def sent_kinds(case: Case, name) -> list[str]:
    pair = Pair(ZHEJIANG, name)
    messages = list_messages(case.rig[ZHEJIANG].database, "sent", pair=pair, after_seq=0, limit=100)
    return [message.kind for message in messages]


async def test_grant_makes_the_next_version_and_every_entitled_copy_has_it(tmp_path: Path, monkeypatch) -> None:
    """The owner's permit, the household province's copy and the work province's: all say the new name."""
    async with registered(tmp_path, monkeypatch, work_division="350722") as case:
        outcome = await granted(case, words="已按户口簿更正")

        own = find_own_permit(case.rig[ZHEJIANG].database, case.urn)
        assert (own.version, own.holder.name) == (2, "徐谷语")
        assert (outcome.correction.standing, outcome.correction.permit_version) == (CorrectionStanding.GRANTED, 2)
        for name in (JIANGXI, FUJIAN):
            assert (copy_of(case, name).version, copy_of(case, name).holder_name) == (2, "徐谷语")
        assert copy_of(case, ANHUI) is None
        (seen,) = await case.lines(YUSHAN_HALL, everything=True)
        assert (seen.standing, seen.answer, seen.permit_version) == (CorrectionStanding.GRANTED, "已按户口簿更正", 2)
        assert sent_kinds(case, ANHUI) == []
        assert "correction.notice" not in sent_kinds(case, JIANGXI) + sent_kinds(case, FUJIAN)


async def test_grant_is_repeated_under_its_request_and_ends_the_correction(tmp_path: Path, monkeypatch) -> None:
    """The same request grants once; another one is told that it was granted."""
    async with registered(tmp_path, monkeypatch) as case:
        filed = (await case.file()).correction
        step, request = CorrectionStep(correction_id=filed.correction_id), correcting()
        first = await grant(begin_errand(case.rig[ZHEJIANG], HALL, request), step)
        assert await grant(begin_errand(case.rig[ZHEJIANG], HALL, request), step) == first
        with pytest.raises(RuleError, match="CORRECTION_ENDED"):
            await grant(begin_errand(case.rig[ZHEJIANG], POLICE, correcting()), step)
        assert find_own_permit(case.rig[ZHEJIANG].database, case.urn).version == 2


async def test_province_no_longer_entitled_is_told_and_its_copy_stays(tmp_path: Path, monkeypatch) -> None:
    """The household moves from Jiangxi to Anhui: Anhui gets the permit, Jiangxi learns only that its copy is old."""
    async with registered(tmp_path, monkeypatch) as case:
        before = copy_of(case, JIANGXI)
        case.rig.faults(ZHEJIANG, JIANGXI).carried.clear()
        await granted(case, field="household_division", value="341022")

        assert copy_of(case, JIANGXI) == before
        assert (copy_of(case, ANHUI).household_division, copy_of(case, ANHUI).version) == ("341022", 2)
        assert sent_kinds(case, JIANGXI)[-2:] == ["correction.notice", "correction.answer"]
        assert [copy.holder for copy in list_copies(case.rig[ZHEJIANG].database, case.urn)] == [ANHUI, JIANGXI]
        page = await list_lines(begin_errand(case.rig[JIANGXI], YUSHAN_POLICE, correcting()), CorrectionQuery())
        assert [(notice.urn, notice.version, notice.owner) for notice in page.notices] == [(case.urn, 2, ZHEJIANG)]
        shown = await permits.show(begin_errand(case.rig[JIANGXI], YUSHAN_POLICE, act("permit.check", "F03")), case.urn)
        assert (shown.permit.version, shown.outdated_by) == (1, 2)
        told = case.rig.carried(ZHEJIANG, JIANGXI)
        assert b"341022" not in told
        assert case.application.holder.name.encode() not in told


async def test_province_entitled_again_has_no_outdated_copy_any_more(tmp_path: Path, monkeypatch) -> None:
    """There and back again: the newest version takes the mark away by itself; messages may come in any order."""
    async with registered(tmp_path, monkeypatch) as case:
        back = case.rig.faults(ZHEJIANG, JIANGXI)
        back.reverse, back.repeat, back.drop_answers = True, 3, 2
        await granted(case, field="household_division", value="341022")
        await granted(case, field="household_division", value="361123", papers=("ab" * 32,))

        assert copy_of(case, JIANGXI).version == 3
        page = await list_lines(begin_errand(case.rig[JIANGXI], YUSHAN_POLICE, correcting()), CorrectionQuery())
        assert page.notices == ()
        shown = await permits.show(begin_errand(case.rig[JIANGXI], YUSHAN_POLICE, act("permit.check", "F03")), case.urn)
        assert (shown.permit.version, shown.outdated_by) == (3, 0)
        at_anhui = await list_lines(begin_errand(case.rig[ANHUI], XIUNING, correcting()), CorrectionQuery())
        assert [notice.version for notice in at_anhui.notices] == [3]


async def test_holders_are_remembered_from_an_import_too(tmp_path: Path, monkeypatch) -> None:
    """Which province was sent which permit is written where it is sent, whoever sends it; it names nobody."""
    async with registered(tmp_path, monkeypatch) as case:
        person = replace(application("330824", "361123"), work_division="341022")
        chunk = ImportChunk(import_id="import-1", chunk=1, rows=(PermitImport(application=person),))
        caller = parse_agency_id("zhejiang/330824/service-hall")
        (urn,) = await permits_import.import_permits(begin_errand(case.rig[ZHEJIANG], caller, act()), chunk)

        assert [copy.holder for copy in list_copies(case.rig[ZHEJIANG].database, urn)] == [ANHUI, JIANGXI]
        assert list_copies(case.rig[ZHEJIANG].database, "urn:permit:330824:2026:999999") == []
        database = case.rig[ZHEJIANG].database
        record = find_record(database, "permit-sent", f"{urn}/{JIANGXI}", replica=True)
        sent = list_messages(database, "sent", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=100)[-1]
        assert (record.content.decode(), record.subject) == (sent.id, None)


async def test_grant_on_a_permit_that_changed_or_ended_meanwhile(tmp_path: Path, monkeypatch) -> None:
    """A revoked permit takes no correction any more; what another correction has granted is granted once."""
    async with registered(tmp_path, monkeypatch) as case:
        twice = [(await case.file(office, papers=("ab" * 32,))).correction for office in (YUSHAN_HALL, HALL)]
        node = case.rig[ZHEJIANG]
        await grant(begin_errand(node, HALL, correcting()), CorrectionStep(correction_id=twice[0].correction_id))
        with pytest.raises(RuleError, match="SAME_VALUE"):
            await grant(begin_errand(node, HALL, correcting()), CorrectionStep(correction_id=twice[1].correction_id))
        other = (await case.file(value="徐谷宇")).correction
        await permits.revoke(begin_errand(node, HALL, act()), PermitRevocation(urn=case.urn, reason=RevokeReason.LEFT))
        step = CorrectionStep(correction_id=other.correction_id, words="证已注销")
        with pytest.raises(RuleError, match="PERMIT_ENDED"):
            await grant(begin_errand(node, HALL, correcting()), step)
        assert (
            await desk.deny(begin_errand(node, HALL, correcting()), step)
        ).correction.standing is CorrectionStanding.DENIED


async def test_grant_by_another_county_or_under_another_purpose_is_refused(tmp_path: Path, monkeypatch) -> None:
    """It is not there for another county, and policy asks who decides: nothing is written, each no is logged."""
    async with registered(tmp_path, monkeypatch) as case:
        filed = (await case.file()).correction
        step = CorrectionStep(correction_id=filed.correction_id)
        kaihua = parse_agency_id("zhejiang/330824/service-hall")
        size = case.rig[ZHEJIANG].sequencer.head.size
        with pytest.raises(NotFoundError, match="CORRECTION_UNKNOWN"):
            await grant(begin_errand(case.rig[ZHEJIANG], kaihua, correcting()), step)
        outcome = await grant(begin_errand(case.rig[ZHEJIANG], HALL, act("permit.administration", "F02")), step)
        assert (outcome.correction, outcome.decision.allowed) == (None, False)
        assert case.rig[ZHEJIANG].sequencer.head.size == size + 2
        assert find_own_permit(case.rig[ZHEJIANG].database, case.urn).version == 1


async def test_grant_of_another_citizen_number_is_found_under_it(tmp_path: Path, monkeypatch) -> None:
    """The owner's record and the copies go by the new number; what was filed stays under the one it was filed by."""
    async with registered(tmp_path, monkeypatch) as case:
        holder = case.application.holder
        number = format_citizen_number("361123", holder.birth_date, sequence=555 if holder.sex == "male" else 556)
        await granted(case, field="citizen_number", value=number)

        assert find_own_permit(case.rig[ZHEJIANG].database, case.urn).holder.citizen_number == number
        assert copy_of(case, JIANGXI).citizen_number == number
        assert len(await case.lines(HALL, everything=True, citizen_number=holder.citizen_number)) == 1
