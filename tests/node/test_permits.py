"""Each step with a permit: who may, what the law allows, what arrives at the other side, and repeats."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from federation.domain.citizen_number import format_citizen_number, true_birth_date
from federation.domain.permits import PermitStatus, PermitUrn, RevokeReason, decode_permit_item
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.permits_sharing import PERMIT
from federation.node.retention import destroy_ended
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    MalformedError,
    NotFoundError,
    RuleError,
    UntrustedError,
)
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, Pair, Realm, parse_agency_id
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.log_reader import load_entries
from federation.store.messages import list_messages
from federation.store.records import find_record, list_records, list_versions
from federation.wire.agency.permits import PermitAnswer, PermitQuery, PermitRevocation
from federation.wire.rpc import Act
from tests.node.rig import (
    ANHUI,
    HALL,
    JIANGXI,
    POLICE,
    YUSHAN_HALL,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    act,
    application,
    later,
)


async def register(rig: Rig, given: Act | None = None, **who: int) -> PermitAnswer:
    return await permits.register(begin_errand(rig[ZHEJIANG], HALL, given or act()), application(**who))


async def registered(rig: Rig, nth: int = 0) -> PermitUrn:
    answer = await register(rig, nth=nth)
    assert answer.permit is not None
    return answer.permit.urn


def copy_of(rig: Rig, urn: PermitUrn) -> tuple[int, PermitStatus]:
    record = find_record(rig[JIANGXI].database, PERMIT, urn, replica=True)
    assert record is not None
    item = decode_permit_item(record.content, Realm.DEMO)
    assert item.version == record.version
    return item.version, item.status


def kinds(rig: Rig, name: NodeName = ZHEJIANG) -> list[LeafKind]:
    node = rig[name]
    return [decode_leaf(entry).kind for entry in load_entries(node.database, 0, node.sequencer.head.size)]


async def test_every_step_brings_its_version_to_the_other_side(rig: Rig) -> None:
    """Register, endorse, suspend, restore, revoke: each version arrives, the copy is always the newest."""
    rig.start_delivery()
    urn = await registered(rig)
    node = rig[ZHEJIANG]

    async def step(answer: PermitAnswer, version: int, status: PermitStatus) -> None:
        assert answer.decision.allowed
        assert answer.permit is not None
        assert answer.permit.version == version
        await rig.drain()
        assert copy_of(rig, urn) == (version, status)

    await rig.drain()
    assert copy_of(rig, urn) == (1, PermitStatus.VALID)
    later(rig, days=350)
    await step(await permits.endorse(begin_errand(node, POLICE, act()), urn), 2, PermitStatus.VALID)
    later(rig, days=400)
    await step(await permits.suspend(begin_errand(node, HALL, act()), urn), 3, PermitStatus.SUSPENDED)
    later(rig, days=10)
    await step(await permits.restore(begin_errand(node, HALL, act()), urn), 4, PermitStatus.VALID)
    reason = RevokeReason.LEFT
    await step(
        await permits.revoke(begin_errand(node, HALL, act()), PermitRevocation(urn=urn, reason=reason)),
        5,
        PermitStatus.REVOKED,
    )
    assert [record.version for record in list_versions(node.database, PERMIT, urn)] == [1, 2, 3, 4, 5]


async def test_permit_of_days_in_which_a_province_was_away_is_said_again(rig: Rig) -> None:
    """Away for longer than a statement lives: the newest version of what expired is said anew once it is back."""
    rig.start_delivery()
    rig.faults(ZHEJIANG, JIANGXI).cut = True
    urn = await registered(rig)
    rig.clock.advance(days=4)
    until = rig.clock() + timedelta(days=4)
    rig.put_in_force(replace(rig.agreement, fresh_until_time=until, expires_time=until))
    rig[ZHEJIANG].wake_delivery(JIANGXI)
    await rig.drain()
    assert find_record(rig[JIANGXI].database, PERMIT, urn, replica=True) is None
    await rig.restore(ZHEJIANG, JIANGXI)
    await destroy_ended(rig[ZHEJIANG])
    await rig.drain()
    assert copy_of(rig, urn) == (1, PermitStatus.VALID)


async def test_step_that_the_law_does_not_allow_raises_and_writes_nothing(rig: Rig) -> None:
    """Too early an endorsement: no version, no message, no leaf."""
    urn = await registered(rig)
    size = rig[ZHEJIANG].sequencer.head.size

    with pytest.raises(RuleError) as caught:
        await permits.endorse(begin_errand(rig[ZHEJIANG], HALL, act()), urn)

    assert caught.value.reason == "ENDORSEMENT_TOO_EARLY"
    assert rig[ZHEJIANG].sequencer.head.size == size
    assert len(list_versions(rig[ZHEJIANG].database, PERMIT, urn)) == 1


@pytest.mark.parametrize(
    ("caller", "purpose", "function"),
    [
        ("zhejiang/330824/service-hall", "permit.administration", "F02"),
        ("zhejiang/330822/court", "permit.administration", "F02"),
        ("zhejiang/330822/service-hall", "permit.check", "F03"),
        ("zhejiang/330822/service-hall", "permit.administration", "F01"),
    ],
    ids=["other county", "other kind", "other purpose", "other function"],
)
async def test_step_that_policy_refuses_is_returned_explained_and_logged(
    rig: Rig, caller: str, purpose: str, function: str
) -> None:
    """A refusal is a value: deciding policies, a remedy in words, and a `refused` leaf without a name."""
    asked = act(purpose, function)
    for _ in range(2):
        answer = await permits.register(begin_errand(rig[ZHEJIANG], parse_agency_id(caller), asked), application())
        assert not answer.decision.allowed
        assert answer.permit is None
        assert answer.decision.policies
        assert answer.decision.explanation_zh
        assert answer.decision.explanation_en

    assert kinds(rig) == [LeafKind.REFUSED]
    leaf = decode_leaf(load_entries(rig[ZHEJIANG].database, 0, 1)[0])
    assert (leaf.pair, leaf.policies) == (None, answer.decision.policies)
    assert list_records(rig[ZHEJIANG].database, PERMIT, after_id="", limit=9, replica=False) == []


async def test_step_by_an_agency_that_the_agreement_does_not_name_refused(rig: Rig) -> None:
    """A certificate is not enough: the agreement must name the agency."""
    with pytest.raises(UntrustedError) as caught:
        await permits.register(
            begin_errand(rig[ZHEJIANG], parse_agency_id("zhejiang/330822/tourism"), act()), application()
        )
    assert caught.value.reason == "NOT_AN_AGENCY"


async def test_step_with_a_permit_of_another_province_is_refused(rig: Rig) -> None:
    """A replica is never edited: only its owner changes a record. Who may not read it learns no more by trying."""
    rig.start_delivery()
    urn = await registered(rig)
    await rig.drain()

    errand = begin_errand(rig[JIANGXI], YUSHAN_POLICE, act())
    answer = await permits.revoke(errand, PermitRevocation(urn=urn, reason=RevokeReason.LEFT))

    assert (answer.permit, answer.decision.allowed) == (None, False)
    assert kinds(rig, JIANGXI)[-1] is LeafKind.REFUSED
    assert copy_of(rig, urn) == (1, PermitStatus.VALID)


# ---- repeats -----------------------------------------------------------------------------------------------------------


async def test_register_again_with_the_same_id_gives_the_same_answer_and_sends_nothing(rig: Rig) -> None:
    """A clerk whose answer was lost asks again, also after a restart and after later versions."""
    asked = act()
    first = await register(rig, asked)
    size = rig[ZHEJIANG].sequencer.head.size
    assert first.permit is not None

    assert await register(rig, asked) == first
    await rig.hosts[ZHEJIANG].close()
    rig.hosts[ZHEJIANG].open()
    assert await register(rig, asked) == first
    assert rig[ZHEJIANG].sequencer.head.size == size
    await permits.revoke(
        begin_errand(rig[ZHEJIANG], HALL, act()), PermitRevocation(urn=first.permit.urn, reason=RevokeReason.LEFT)
    )
    assert await register(rig, asked) == first
    assert len(list_records(rig[ZHEJIANG].database, PERMIT, after_id="", limit=9, replica=False)) == 1


async def test_step_again_with_the_same_id_is_taken_once(rig: Rig) -> None:
    """The second revocation is the first one's answer, not an error that it is revoked already."""
    urn, asked = await registered(rig), act()

    first = await permits.revoke(
        begin_errand(rig[ZHEJIANG], HALL, asked), PermitRevocation(urn=urn, reason=RevokeReason.LEFT)
    )
    again = await permits.revoke(
        begin_errand(rig[ZHEJIANG], HALL, asked), PermitRevocation(urn=urn, reason=RevokeReason.LEFT)
    )

    assert again == first
    assert len(list_versions(rig[ZHEJIANG].database, PERMIT, urn)) == 2


async def test_same_request_id_for_something_else_refused(rig: Rig) -> None:
    """One id, one request: nobody is told that a step was taken which was not."""
    asked = act()
    answer = await register(rig, asked)
    assert answer.permit is not None
    urn, node = answer.permit.urn, rig[ZHEJIANG]

    with pytest.raises(ConflictError) as other_step:
        await permits.revoke(begin_errand(node, HALL, asked), PermitRevocation(urn=urn, reason=RevokeReason.LEFT))
    with pytest.raises(ConflictError) as other_person:
        await permits.register(begin_errand(node, HALL, asked), application(sealed=True))
    with pytest.raises(ConflictError) as other_agency:
        await permits.register(begin_errand(node, POLICE, asked), application())

    reasons = {caught.value.reason for caught in (other_step, other_person, other_agency)}
    assert reasons == {"REQUEST_ID_REUSED"}
    assert len(list_versions(node.database, PERMIT, urn)) == 1


async def test_same_request_many_times_at_once_registers_one_permit(rig: Rig) -> None:
    """A double click is one permit; who lost the race is told to ask again, and then gets the answer."""
    asked = act()
    answers = await asyncio.gather(*(register(rig, asked) for _ in range(8)), return_exceptions=True)

    done = [answer for answer in answers if isinstance(answer, PermitAnswer)]
    assert done
    assert all(isinstance(answer, ConflictError) for answer in answers if answer not in done)
    assert await register(rig, asked) == done[0]
    assert len(list_records(rig[ZHEJIANG].database, PERMIT, after_id="", limit=9, replica=False)) == 1


async def test_second_running_permit_in_the_county_is_refused_and_the_first_is_named(rig: Rig) -> None:
    """Whoever asks, and when it lapsed too, since it is restored; once it was revoked another one is issued."""
    urn = await registered(rig)
    for days in (0, 400):
        later(rig, days=days)
        for caller in (HALL, POLICE):
            with pytest.raises(RuleError) as caught:
                await permits.register(begin_errand(rig[ZHEJIANG], caller, act()), application())
            assert (caught.value.reason, caught.value.facts) == ("PERMIT_HELD", {"urn": urn})

    gone = PermitRevocation(urn=urn, reason=RevokeReason.LEFT)
    await permits.revoke(begin_errand(rig[ZHEJIANG], HALL, act()), gone)
    assert await registered(rig) != urn


async def test_permit_in_another_county_is_issued_to_who_moves(rig: Rig) -> None:
    """Article 2: who lives in another county applies there."""
    await registered(rig)
    kaihua = begin_errand(rig[ZHEJIANG], parse_agency_id("zhejiang/330824/service-hall"), act())
    moved = replace(application(), residence_division="330824")
    assert (await permits.register(kaihua, moved)).permit is not None


async def test_two_counters_at_one_moment_issue_one_permit(rig: Rig) -> None:
    """The writer looks in the transaction that writes: one stands, and the others are told its name."""
    answers = await asyncio.gather(*(register(rig) for _ in range(6)), return_exceptions=True)

    (made,) = [answer.permit for answer in answers if isinstance(answer, PermitAnswer)]
    refusals = [answer for answer in answers if isinstance(answer, RuleError)]
    assert made is not None
    assert [(each.reason, each.facts["urn"]) for each in refusals] == [("PERMIT_HELD", made.urn)] * 5
    assert len(list_records(rig[ZHEJIANG].database, PERMIT, after_id="", limit=9, replica=False)) == 1


async def test_two_steps_at_once_take_one_version_each_or_refuse(rig: Rig) -> None:
    """Versions only grow: the second writer finds that somebody was faster."""
    urn = await registered(rig)
    reasons = [RevokeReason.LEFT, RevokeReason.FRAUD]
    answers = await asyncio.gather(
        *(
            permits.revoke(begin_errand(rig[ZHEJIANG], HALL, act()), PermitRevocation(urn=urn, reason=reason))
            for reason in reasons
        ),
        return_exceptions=True,
    )

    assert sorted(type(answer).__name__ for answer in answers) in (
        ["ConflictError", "PermitAnswer"],
        ["PermitAnswer", "RuleError"],
    )
    assert [record.version for record in list_versions(rig[ZHEJIANG].database, PERMIT, urn)] == [1, 2]


async def test_register_that_died_is_registered_once_by_the_repeat(rig: Rig) -> None:
    """Killed after the commit: the repeat finds the permit; killed before: it makes it. One permit either way."""
    for nth, step in enumerate(("before-commit", "after-commit")):
        asked = act()
        rig.hosts[ZHEJIANG].die_at = None
        count = len(list_records(rig[ZHEJIANG].database, PERMIT, after_id="", limit=9, replica=False))
        await rig[ZHEJIANG].sequencer.commit(lambda tx: tx.count_up("warm"))
        rig.hosts[ZHEJIANG].die_at = step
        with pytest.raises(BridgeheadError):
            await register(rig, asked, nth=nth)
        await rig.hosts[ZHEJIANG].crash()
        rig.hosts[ZHEJIANG].open()
        answer = await register(rig, asked, nth=nth)
        assert answer.permit is not None
        assert len(list_records(rig[ZHEJIANG].database, PERMIT, after_id="", limit=9, replica=False)) == count + 1


# ---- reading -----------------------------------------------------------------------------------------------------------


async def test_show_own_permit_to_its_county_and_a_copy_to_the_household_county(rig: Rig) -> None:
    """Each reader sees the fields that policy releases for that purpose, and no others."""
    rig.start_delivery()
    urn = await registered(rig)
    await rig.drain()

    own = await permits.show(begin_errand(rig[ZHEJIANG], HALL, act()), urn)
    police = await permits.show(begin_errand(rig[JIANGXI], YUSHAN_POLICE, act("permit.check", "F03")), urn)
    hall = await permits.show(begin_errand(rig[JIANGXI], YUSHAN_HALL, act("permit.service", "F01")), urn)

    assert own.permit is not None
    assert police.permit is not None
    assert hall.permit is not None
    assert own.permit.ethnicity
    assert (police.permit.citizen_number, police.permit.ethnicity) == (own.permit.citizen_number, None)
    assert police.permit.household_address is None
    assert (hall.permit.holder_name, hall.permit.citizen_number) == (own.permit.holder_name, None)


async def test_show_to_another_county_refused_and_logged(rig: Rig) -> None:
    """The copy is for the county that it concerns, not for the whole province."""
    rig.start_delivery()
    urn = await registered(rig)
    await rig.drain()
    size = rig[JIANGXI].sequencer.head.size
    agencies = rig.agreement.members[JIANGXI].agencies
    other = next(agency for agency in agencies if agency.kind == "police" and agency.county != "361123")

    answer = await permits.show(begin_errand(rig[JIANGXI], other, act("permit.check", "F03")), urn)

    assert answer.permit is None
    assert not answer.decision.allowed
    assert rig[JIANGXI].sequencer.head.size == size + 1


async def test_show_unknown_permit_is_not_found(rig: Rig) -> None:
    """This node holds neither permit nor copy."""
    with pytest.raises(NotFoundError):
        await permits.show(begin_errand(rig[ZHEJIANG], HALL, act()), PermitUrn("urn:permit:330822:2026:999999"))


@pytest.mark.attack("a clerk asks which permits are there")
@pytest.mark.parametrize("there", [True, False])
async def test_no_to_a_permit_says_nothing_of_whether_it_is_here(rig: Rig, there: bool) -> None:
    """Another county's office gets the same logged no about a permit that is here and one that never was, acts too."""
    urn = await registered(rig) if there else PermitUrn("urn:permit:330822:2026:999999")
    kaihua = parse_agency_id("zhejiang/330824/service-hall")
    size = rig[ZHEJIANG].sequencer.head.size

    shown = await permits.show(begin_errand(rig[ZHEJIANG], kaihua, act()), urn)
    endorsed = await permits.endorse(begin_errand(rig[ZHEJIANG], kaihua, act()), urn)

    assert (shown.decision.policies, shown.permit) == (("default-deny",), None)
    assert (endorsed.decision.policies, endorsed.permit) == (("default-deny",), None)
    assert rig[ZHEJIANG].sequencer.head.size == size + 2


@pytest.mark.attack("a clerk reads pages, tokens and filters")
async def test_pages_and_filters_show_no_permit_that_is_not_read(rig: Rig) -> None:
    """Another county's permits make no page, no token and no filter's answer; a token is of one caller and one list."""
    for nth in range(3):
        await register(rig, nth=nth)
    kaihua = begin_errand(rig[ZHEJIANG], parse_agency_id("zhejiang/330824/service-hall"), act())
    for query in (PermitQuery(page_size=1), PermitQuery(page_size=1, residence_division="330822")):
        page = await permits.list_permits(kaihua, query)
        assert (page.decision.allowed, page.permits, page.next_page_token) == (True, (), "")

    own = begin_errand(rig[ZHEJIANG], HALL, act())
    token = (await permits.list_permits(own, PermitQuery(page_size=1))).next_page_token
    assert token
    assert "330822" not in token
    for errand, query in (
        (kaihua, PermitQuery(page_size=1, page_token=token)),
        (own, PermitQuery(page_size=1, page_token=token, residence_division="330822")),
        (own, PermitQuery(page_size=1, page_token=token, begins="urn:permit:330822")),
    ):
        with pytest.raises(MalformedError, match="PAGE_TOKEN"):
            await permits.list_permits(errand, query)


async def test_page_of_an_office_that_reads_little_stays_cheap(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many records the page ends, and the next goes on behind them: nothing is passed over."""
    monkeypatch.setattr(permits, "MAX_LOOKED_AT", 2)
    urns = [await registered(rig, nth) for nth in range(5)]
    own, query, found = begin_errand(rig[ZHEJIANG], HALL, act()), PermitQuery(page_size=4), []
    for _ in range(4):
        page = await permits.list_permits(own, query)
        found += [item.urn for item in page.permits]
        query = replace(query, page_token=page.next_page_token)
        if not page.next_page_token:
            break
    assert found == sorted(urns)


async def test_list_of_names_that_begin_so_has_those_and_no_others(rig: Rig) -> None:
    """Page by page, the name itself excepted; another county's permits are in none of them."""
    urns = sorted([await registered(rig, nth) for nth in range(4)])
    own = begin_errand(rig[ZHEJIANG], HALL, act())

    for urn in urns:
        begins = urn[:-2]
        page = await permits.list_permits(own, PermitQuery(page_size=1, begins=begins))
        found = [item.urn for item in page.permits]
        while page.next_page_token:
            query = PermitQuery(page_size=1, begins=begins, page_token=page.next_page_token)
            page = await permits.list_permits(own, query)
            found += [item.urn for item in page.permits]
        assert found == [each for each in urns if each.startswith(begins)]
        assert (await permits.list_permits(own, PermitQuery(begins=urn))).permits == ()
    kaihua = begin_errand(rig[ZHEJIANG], parse_agency_id("zhejiang/330824/service-hall"), act())
    assert (await permits.list_permits(kaihua, PermitQuery(begins=urns[0][:-2]))).permits == ()


async def test_list_leaves_out_what_policy_does_not_release(rig: Rig) -> None:
    """Own county's permits and no others; pages lead through all of them."""
    for nth in range(5):
        await register(rig, nth=nth)
    found = []
    query = PermitQuery(page_size=2)
    while True:
        page = await permits.list_permits(begin_errand(rig[ZHEJIANG], HALL, act()), query)
        found += [item.urn for item in page.permits]
        if not page.next_page_token:
            break
        query = replace(query, page_token=page.next_page_token)

    other = await permits.list_permits(
        begin_errand(rig[ZHEJIANG], parse_agency_id("zhejiang/330824/police"), act()), PermitQuery()
    )
    assert len(found) == len(set(found)) == 5
    assert other.permits == ()
    court = parse_agency_id("zhejiang/330822/court")
    refused = await permits.list_permits(begin_errand(rig[ZHEJIANG], court, act()), PermitQuery())
    assert not refused.decision.allowed


async def test_register_real_looking_number_refused_before_anything(rig: Rig) -> None:
    """The realm guard stands before policy and store."""
    applicant = application()
    real = format_citizen_number("361123", true_birth_date(applicant.holder.birth_date), sequence=1)
    applicant = replace(applicant, holder=replace(applicant.holder, citizen_number=real))

    with pytest.raises(MalformedError) as caught:
        await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), applicant)

    assert caught.value.reason == "REAL_NUMBER_IN_DEMO"
    assert rig[ZHEJIANG].sequencer.head.size == 0


async def test_messages_of_all_steps_are_numbered_without_a_gap(four: Rig) -> None:
    """Registrations at once, two recipients: each pair counts for itself."""
    four.start_delivery()
    await asyncio.gather(
        *(
            permits.register(
                begin_errand(four[ZHEJIANG], HALL, act()), replace(application(nth=nth), work_division=work)
            )
            for nth, work in enumerate((None, "341021", None, "341021"))
        )
    )
    await four.drain()

    for name, count in ((JIANGXI, 4), (ANHUI, 2)):
        found = list_messages(four[name].database, "received", pair=Pair(ZHEJIANG, name), after_seq=0, limit=99)
        assert [message.seq for message in found] == list(range(1, count + 1))
