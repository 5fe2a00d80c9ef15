"""Who was given the field by a look-up is told that it was corrected; nobody else is, and no value goes along."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.domain.citizen_number import format_citizen_number
from federation.domain.corrections import NOTICE_BODY, CorrectionNotice
from federation.domain.lookups import FetchItem, Outcome, Selector, SelectorKind, step_up_bytes
from federation.node.corrections import notices as lines
from federation.node.corrections.lines import list_lines
from federation.node.corrections.steps import grant
from federation.node.disclosures import tell_subject
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.lookups import ask as asking
from federation.node.lookups import cases
from federation.node.lookups import fetch as fetching
from federation.protocol.errors import MalformedError
from federation.protocol.form import encode
from federation.protocol.ids import parse_agency_id, parse_message_id
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.statement import Sender
from federation.wire.agency.corrections import CorrectionQuery, CorrectionStep
from federation.wire.agency.lookups import CaseQuestion, FetchQuestion, LookupQuestion
from tests.node.corrections.case import Case, correcting, registered
from tests.node.rig import (
    HALL,
    JIANGXI,
    POLICE,
    YUSHAN_HALL,
    YUSHAN_POLICE,
    ZHEJIANG,
    act,
    lead_act,
    one_item_body,
    received,
    register_key,
    running_rig,
    submission,
)

KAIHUA, COURT = parse_agency_id("zhejiang/330824/service-hall"), parse_agency_id("zhejiang/330822/court")
FIRST = parse_agency_id("zhejiang/330112/police")
"""Who the agreement has in the place of a county's office that is no more: the first of the province."""
PURPOSE, CASE = "lookup.identity_check", "CASE-2026-0001"


async def fetched(case: Case, *fields: str) -> None:
    """Yushan's police look the person up and fetch those fields."""
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    node = case.rig[JIANGXI]
    await register_key(node, YUSHAN_POLICE, "officer-1", key=f"ed25519:{public}")
    terms = CaseQuestion(
        case_id=CASE, letter="玉公协〔2026〕1号", counties=frozenset({"330822"}), purposes=frozenset({PURPOSE}), days=30,
        leader="leader-1",
    )  # fmt: skip
    police = {"caller": YUSHAN_POLICE}
    await cases.begin_case(begin_errand(node, act=lead_act(PURPOSE), **police), terms)
    selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=case.application.holder.citizen_number)
    question = LookupQuestion(case_id=CASE, selector=selector, provinces=(ZHEJIANG,))
    (hit,) = (await asking.search(begin_errand(node, act=act(PURPOSE, "F03"), **police), question)).answers
    unsigned = FetchItem(
        lookup_id=parse_message_id("00000000-0000-7000-8000-000000000000"), handle=hit.handle,
        fields=frozenset(fields), officer_key=public, officer_signature="",
    )  # fmt: skip
    wanted = FetchQuestion(
        case_id=CASE, node=ZHEJIANG, handle=hit.handle, fields=frozenset(fields), officer_key=public,
        officer_signature=base64.b64encode(key.sign(step_up_bytes(unsigned))).decode(),
    )  # fmt: skip
    found = await fetching.fetch(begin_errand(node, act=act(PURPOSE, "F03"), **police), wanted)
    assert found.outcome is Outcome.HIT
    await case.rig.drain()


async def corrected(case: Case, **changes) -> None:
    filed = (await case.file(**changes)).correction
    step = CorrectionStep(correction_id=filed.correction_id)
    assert (await grant(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)).correction is not None
    await case.rig.drain()


async def notices(case: Case, caller=YUSHAN_POLICE):
    page = await list_lines(begin_errand(case.rig[caller.node], caller, correcting()), CorrectionQuery())
    return page.notices


async def test_agency_that_fetched_the_field_is_told_within_its_time(tmp_path: Path, monkeypatch) -> None:
    """The field's name and the case, to the agency that fetched it: no value, no officer, no other office."""
    async with registered(tmp_path, monkeypatch) as case:
        await fetched(case, "holder_name", "status")
        case.rig.faults(ZHEJIANG, JIANGXI).carried.clear()
        await corrected(case)

        (notice,) = await notices(case)
        assert (notice.field, notice.case_id, notice.owner, notice.urn) == ("holder_name", CASE, ZHEJIANG, None)
        assert await notices(case, YUSHAN_HALL) == ()
        bodies = [
            item for call in case.rig.faults(ZHEJIANG, JIANGXI).carried for each in call
            if each.body is not None and each.body.type == NOTICE_BODY for item in each.body.items
        ]  # fmt: skip
        assert len(bodies) == 1
        for secret in ("徐谷语", case.application.holder.name, case.urn, "officer-1"):
            assert secret.encode() not in bodies[0]


async def test_nobody_is_told_who_fetched_another_field_or_long_ago(tmp_path: Path, monkeypatch) -> None:
    """A field that was not given, or whose time is over, is not told of: there is nothing to correct there."""
    async with registered(tmp_path, monkeypatch) as case:
        await fetched(case, "status")
        await corrected(case)
        assert await notices(case) == ()
    later = tmp_path / "later"
    later.mkdir()
    async with registered(later, monkeypatch) as case:
        await fetched(case, "holder_name")
        case.rig.clock.advance(hours=24)
        await corrected(case)
        assert await notices(case) == ()


async def test_report_under_a_corrected_number_has_what_was_given_before(tmp_path: Path, monkeypatch) -> None:
    """The person's report follows the person: what was given under the wrong number is told under the right one."""
    async with registered(tmp_path, monkeypatch) as case:
        await fetched(case, "status")
        holder, node = case.application.holder, case.rig[ZHEJIANG]
        number = format_citizen_number("361123", holder.birth_date, sequence=555 if holder.sex == "male" else 556)
        before = tell_subject(node, holder.citizen_number, now=case.rig.clock()).lines
        assert {line.step for line in before} == {"lookup.search", "lookup.fetch", "permit.sync"}
        await corrected(case, field="citizen_number", value=number)

        after = tell_subject(node, number, now=case.rig.clock()).lines
        assert [line for line in after if line.step != "permit.sync"] == [
            line for line in before if line.step != "permit.sync"
        ]
        assert {(line.asker, line.purpose) for line in after} == {(line.asker, line.purpose) for line in before}


@pytest.mark.parametrize("cited", [None, "ab" * 32])
async def test_notice_about_a_fetch_that_never_was_is_malformed(tmp_path: Path, monkeypatch, cited) -> None:
    """A notice about a field cites our own fetch to that province, or nothing of it is kept."""
    async with registered(tmp_path, monkeypatch, names=(ZHEJIANG, JIANGXI)) as case:
        body = one_item_body(NOTICE_BODY, encode(CorrectionNotice(time=case.rig.clock(), field="sex")))
        sent = submission(case.rig, body, seq=9, kind="correction.notice", purpose="subject.correct", in_reply_to=cited)
        with pytest.raises(MalformedError, match="REPLY_UNASKED"):
            await receive(case.rig[JIANGXI], sent, peer=ZHEJIANG)


@pytest.mark.parametrize(
    ("urn", "policy", "verdict"),
    [
        ("urn:permit:350782:2026:000001", "default-deny", Verdict.REFUSED),
        ("urn:permit:990000:2026:000001", "default-deny", Verdict.REFUSED),
        ("urn:permit:330822:2026:000099", "notice-by-owner", Verdict.ALLOWED),
    ],
)
async def test_notice_is_the_issuing_provinces_alone(tmp_path: Path, urn, policy, verdict) -> None:
    """Only the issuing province may say that a copy is outdated; a notice about a copy not held here shows nowhere."""
    async with running_rig(tmp_path) as rig:
        body = one_item_body(NOTICE_BODY, encode(CorrectionNotice(time=rig.clock(), urn=urn, version=2)))
        sent = submission(rig, body, kind="correction.notice", purpose="subject.correct")

        leaf = decode_leaf((await receive(rig[JIANGXI], sent, peer=ZHEJIANG)).leaf)

        assert (leaf.policies, leaf.verdict) == ((policy,), verdict)
        page = await list_lines(begin_errand(rig[JIANGXI], YUSHAN_POLICE, correcting()), CorrectionQuery())
        assert page.notices == ()


@pytest.mark.parametrize(
    ("county", "office", "refused"),
    [
        ("330822", HALL, ()),
        ("330822", POLICE, ()),
        ("330822", KAIHUA, ("rule-correction-office",)),
        ("330822", COURT, ("deny-correct-function-not-held",)),
        ("330803", FIRST, ()),
        ("330803", POLICE, ("rule-correction-office",)),
    ],
    ids=["its hall", "its police", "another county", "its court", "in the place of none", "of none, by another"],
)
async def test_notice_is_the_holder_s_of_the_record_alone(tmp_path: Path, county, office, refused) -> None:
    """The issuing county's hall or police; where it has none any more, the one that the agreement has in its place."""
    async with running_rig(tmp_path) as rig:
        body = one_item_body(
            NOTICE_BODY, encode(CorrectionNotice(time=rig.clock(), urn=f"urn:permit:{county}:2026:000099", version=2))
        )
        names = {"kind": "correction.notice", "purpose": "subject.correct"}
        sent = submission(rig, body, sender=Sender(node=ZHEJIANG, agency=office), **names)

        leaf = decode_leaf((await receive(rig[JIANGXI], sent, peer=ZHEJIANG)).leaf)

        assert (leaf.policies if leaf.verdict is Verdict.REFUSED else ()) == refused
        assert bool(list(lines.OUTDATED_COPIES.each(rig[JIANGXI].database))) is not bool(refused)


@pytest.mark.parametrize(("office", "refused"), [(POLICE, ()), (KAIHUA, ("rule-correction-office",))])
async def test_notice_about_a_field_is_a_holder_s_in_the_case(tmp_path: Path, monkeypatch, office, refused) -> None:
    """Of the counties that the case of the fetch names; another office of the province marks nothing."""
    async with registered(tmp_path, monkeypatch, names=(ZHEJIANG, JIANGXI)) as case:
        await fetched(case, "status")
        fetch = next(each for each in received(case.rig[ZHEJIANG], JIANGXI) if each.kind == "lookup.fetch")
        body = one_item_body(NOTICE_BODY, encode(CorrectionNotice(time=case.rig.clock(), field="status")))
        names = {"kind": "correction.notice", "purpose": "subject.correct", "in_reply_to": fetch.digest}
        sent = submission(case.rig, body, seq=99, sender=Sender(node=ZHEJIANG, agency=office), **names)

        leaf = decode_leaf((await receive(case.rig[JIANGXI], sent, peer=ZHEJIANG)).leaf)

        assert (leaf.policies if leaf.verdict is Verdict.REFUSED else ()) == refused
        assert [line.field for line in await notices(case)] == ([] if refused else ["status"])


async def test_list_of_notices_reads_the_newest_alone(tmp_path: Path, monkeypatch) -> None:
    """Of many outdated copies the newest are shown, each by its newest notice; no list reads them all."""
    urns = [f"urn:permit:330822:2026:{number:06}" for number in range(1, 5)]
    monkeypatch.setattr(lines, "MAX_NOTICES", 2)
    monkeypatch.setattr(lines, "find_outdated", lambda _source, _copy: 9)
    monkeypatch.setattr(lines, "find_record", lambda _source, _kind, urn, **_: urn)
    async with running_rig(tmp_path) as rig:
        for version, urn in enumerate([*urns, urns[0]], start=2):
            rig.clock.advance(seconds=1)
            body = one_item_body(NOTICE_BODY, encode(CorrectionNotice(time=rig.clock(), urn=urn, version=version)))
            sent = submission(rig, body, seq=version, kind="correction.notice", purpose="subject.correct")
            await receive(rig[JIANGXI], sent, peer=ZHEJIANG)
        read: list[str] = []
        decode = lines.decode_correction_notice
        monkeypatch.setattr(lines, "decode_correction_notice", lambda held: read.append("") or decode(held))

        page = await list_lines(begin_errand(rig[JIANGXI], YUSHAN_POLICE, correcting()), CorrectionQuery())

        assert [(notice.urn, notice.version) for notice in page.notices] == [(urns[0], 6), (urns[3], 5)]
        assert len(read) == 4  # a line and its newest notice, for each that is shown
