"""A person with working permits of two provinces: both owners are told once, with both names; nothing is merged or stopped."""

from __future__ import annotations

import pytest

from federation.domain.corrections import CORRECTION_FUNCTION, CORRECTION_PURPOSE, CorrectionNotice
from federation.domain.permits import PermitUrn, RevokeReason
from federation.node import permits
from federation.node.corrections.notices import NOTICE, list_notices, tell_doubles
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.permits_sharing import DOUBLES, MAX_DOUBLES
from federation.protocol.errors import MalformedError
from federation.protocol.form import encode, replace
from federation.protocol.ids import AgencyId, NodeName, Pair, parse_agency_id
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import list_messages
from federation.wire.agency.corrections import NoticeLine
from federation.wire.agency.permits import PermitRevocation
from tests.node.rig import (
    FUJIAN,
    HALL,
    JIANGXI,
    YUSHAN_HALL,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    act,
    application,
    kit,
    later,
    one_item_body,
    sign,
    statement,
)

PUCHENG = parse_agency_id("fujian/350722/service-hall")
OFFICES = {ZHEJIANG: HALL, JIANGXI: YUSHAN_HALL, FUJIAN: PUCHENG}


async def issue(rig: Rig, office: AgencyId, *, work: str | None = None, household: str = "361123") -> PermitUrn:
    """A permit of that office's county for one and the same person."""
    found = application()
    holder = replace(found.holder, household_division=household)
    given = replace(found, holder=holder, residence_division=office.county, work_division=work)
    made = (await permits.register(begin_errand(rig[NodeName(office.node)], office, act()), given)).permit
    assert made is not None
    await told(rig)
    return made.urn


async def told(rig: Rig) -> None:
    """Everything arrives, and every node tells what it has found."""
    await rig.drain()
    for host in rig.hosts.values():
        await tell_doubles(host.node)
    await rig.drain()


async def revoke(rig: Rig, office: AgencyId, urn: PermitUrn) -> None:
    gone = PermitRevocation(urn=urn, reason=RevokeReason.LEFT)
    await permits.revoke(begin_errand(rig[NodeName(office.node)], office, act()), gone)
    await told(rig)


def found_at(rig: Rig, name: NodeName) -> list[tuple[PermitUrn | None, PermitUrn]]:
    lines: list[NoticeLine] = list(list_notices(rig[name], OFFICES[name]))
    return [(line.urn, line.other) for line in lines if line.other is not None]


async def doubles_of(rig: Rig, office: AgencyId, urn: PermitUrn) -> tuple[PermitUrn, ...]:
    """What a clerk is shown with a permit."""
    node = rig[NodeName(office.node)]
    return (await permits.show(begin_errand(node, office, act()), urn)).doubles


async def test_two_owners_are_told_by_the_household_province_that_has_both_copies(four: Rig) -> None:
    """Neither owner has the other's copy: who has both tells them, once each, and both permits go on."""
    four.start_delivery()
    here = await issue(four, HALL)
    there = await issue(four, PUCHENG)

    assert found_at(four, ZHEJIANG) == [(here, there)]
    assert found_at(four, FUJIAN) == [(there, here)]
    assert await doubles_of(four, HALL, here) == (there,)
    assert await doubles_of(four, PUCHENG, there) == (here,)
    notices = len(list_notices_sent(four, JIANGXI))
    await permits.revoke(
        begin_errand(four[ZHEJIANG], HALL, act()), PermitRevocation(urn=here, reason=RevokeReason.LEFT)
    )
    await told(four)
    assert len(list_notices_sent(four, JIANGXI)) == notices == 2
    assert found_at(four, ZHEJIANG) == []


def list_notices_sent(rig: Rig, name: NodeName) -> list[str]:
    pairs = [Pair(name, other) for other in rig.hosts if other != name]
    return [
        message.id
        for pair in pairs
        for message in list_messages(rig[name].database, "sent", pair=pair, after_seq=0, limit=99, kinds=[NOTICE.name])
    ]


async def test_owner_that_holds_the_other_copy_finds_it_when_it_arrives_or_registers(four: Rig) -> None:
    """Whichever comes first: the copy, or the own permit of whoever has another's."""
    four.start_delivery()
    first = await issue(four, YUSHAN_HALL, household="350722")
    second = await issue(four, HALL, household="350722", work="361123")

    assert found_at(four, JIANGXI) == [(first, second)]
    assert found_at(four, ZHEJIANG) == [(second, first)]


@pytest.mark.parametrize("why", ["revoked", "lapsed"])
async def test_permit_that_does_not_work_is_no_double(four: Rig, why: str) -> None:
    """Who left, or let it lapse, is registered once."""
    four.start_delivery()
    here = await issue(four, HALL)
    if why == "revoked":
        await revoke(four, HALL, here)
    else:
        later(four, days=400)
    there = await issue(four, PUCHENG)

    assert found_at(four, ZHEJIANG) == found_at(four, FUJIAN) == []
    assert await doubles_of(four, PUCHENG, there) == ()
    assert list_notices_sent(four, JIANGXI) == []


async def test_restored_permit_is_a_double_from_that_day(four: Rig) -> None:
    """A late endorsement makes it work again beside the other one."""
    four.start_delivery()
    here = await issue(four, HALL)
    later(four, days=400)
    there = await issue(four, PUCHENG)
    await permits.restore(begin_errand(four[ZHEJIANG], HALL, act()), here)
    await told(four)

    assert found_at(four, ZHEJIANG) == [(here, there)]
    assert found_at(four, FUJIAN) == [(there, here)]


async def test_two_permits_of_one_province_are_no_finding_over_the_border(four: Rig) -> None:
    """Who moved within a province is that province's own matter."""
    four.start_delivery()
    await issue(four, HALL)
    await issue(four, parse_agency_id("zhejiang/330824/service-hall"))

    assert not list(DOUBLES.each(four[JIANGXI].database))
    assert list_notices_sent(four, JIANGXI) == []


def notice(rig: Rig, urn: str, other: str, *, seq: int = 1) -> Submission:
    """What Jiangxi might tell Zhejiang."""
    item = CorrectionNotice(time=rig.clock(), urn=PermitUrn(urn), other=PermitUrn(other))
    body = one_item_body(NOTICE.media_type, encode(item))
    made = statement(
        rig, body, kind=NOTICE.name, seq=seq, sender=Sender(node=JIANGXI, agency=YUSHAN_POLICE), recipient=Recipient(node=ZHEJIANG),
        purpose=CORRECTION_PURPOSE, function=CORRECTION_FUNCTION, basis="PIPL 8",
    )  # fmt: skip
    return Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), body=body)


@pytest.mark.attack("a province tells of permits that are none of its business")
async def test_notice_about_a_permit_that_is_not_ours_is_malformed_and_of_none_keeps_nothing(rig: Rig) -> None:
    """It is told of a permit of the recipient beside another province's, and says nothing of whether there is one."""
    other = "urn:permit:361123:2026:000001"
    for urn, beside in ((other, other), ("urn:permit:330822:2026:000001", "urn:permit:330824:2026:000001")):
        with pytest.raises(MalformedError, match="NOTICE_OWNER"):
            await receive(rig[ZHEJIANG], notice(rig, urn, beside), peer=JIANGXI)
    receipt = await receive(rig[ZHEJIANG], notice(rig, "urn:permit:330822:2026:000001", other), peer=JIANGXI)
    assert decode_leaf(receipt.leaf).kind is LeafKind.RECEIVED
    assert not list(DOUBLES.each(rig[ZHEJIANG].database))


@pytest.mark.attack("a province tells of any number of permits beside one")
async def test_so_many_findings_of_one_permit_are_kept(rig: Rig) -> None:
    """What another province says of one permit has a limit; the permit goes on."""
    rig.start_delivery()
    urn = await issue(rig, HALL)
    for number in range(MAX_DOUBLES + 3):
        told_of = notice(rig, urn, f"urn:permit:361123:2026:{number:06}", seq=number + 1)
        await receive(rig[ZHEJIANG], told_of, peer=JIANGXI)
    assert len(await doubles_of(rig, HALL, urn)) == len(list(DOUBLES.each(rig[ZHEJIANG].database))) == MAX_DOUBLES
