"""The intake desk: what a person must answer waits for one, who releases or refuses, and nothing goes out besides."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.domain.intake import IntakeStatus, refuse_bytes, release_bytes
from federation.domain.lookups import Outcome, Urgency
from federation.node.disclosures import tell_subject
from federation.node.exchange.errand import begin_errand
from federation.node.intake.desk import SIGNATURE, list_intake
from federation.node.lookups.records import ENTRIES
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, RuleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import Pair
from federation.protocol.leaf import Verdict
from federation.store.messages import list_messages
from federation.store.records import find_record, list_versions, put_records
from federation.wire.agency.intake import IntakeAnswer, IntakePage, IntakeQuery, ReleaseQuestion
from tests.node.intake.border import NO_LOOKUP, XINZHOU, border, desk_act
from tests.node.rig import JIANGXI, POLICE, YUSHAN_POLICE, ZHEJIANG, applications, pinned_key


async def test_search_by_inland_police_waits_and_tells_nothing(tmp_path: Path) -> None:
    """The asker is told that a person must answer, and until when; not even hit or no hit leaves."""
    async with border(tmp_path) as found:
        carried = len(found.rig.faults(ZHEJIANG, JIANGXI).carried)

        answer = await found.search()

        assert answer.outcome is Outcome.WAITING
        assert answer.expires is not None
        assert (answer.expires - found.rig.clock()).total_seconds() == 3600
        await found.rig.drain()
        assert len(found.rig.faults(ZHEJIANG, JIANGXI).carried) == carried
        assert [line.outcome for line in await found.history()] == [Outcome.WAITING]


async def test_inbox_shows_who_asks_and_masks_the_person(tmp_path: Path) -> None:
    """The desk sees agency, case, purpose and the time; the number only by its first six digits."""
    async with border(tmp_path) as found:
        await found.search(urgency=Urgency.URGENT)

        (line,) = await found.inbox()

        number = found.person.holder.citizen_number
        assert (line.asker, line.officer, line.step) == (XINZHOU, "officer-1", "lookup.search")
        assert (line.urgency, line.status) == (Urgency.URGENT, IntakeStatus.WAITING)
        assert (line.due - line.created).total_seconds() == 600
        assert line.person == f"{number[:6]}{'*' * 12}"
        assert number not in repr(line)


async def test_release_of_a_search_gives_the_hit_and_its_handle(tmp_path: Path) -> None:
    """What an automatic answer would say, said by a person; the person asked about may be told of it."""
    async with border(tmp_path) as found:
        await found.search()

        answer = await found.release(await found.waiting())

        assert (answer.status, answer.hit) == (IntakeStatus.ANSWERED, True)
        assert [line.outcome for line in await found.history()] == [Outcome.HIT]
        assert await found.inbox() == ()
        (ended,) = await found.inbox(ended=True)
        assert (ended.status, ended.answered_by, ended.came_late) == (IntakeStatus.ANSWERED, "officer-1", False)
        told = tell_subject(found.answering, found.person.holder.citizen_number, now=found.rig.clock())
        assert told.withheld_count == 1


async def test_release_of_a_search_for_nobody_is_no_hit(tmp_path: Path) -> None:
    """Nothing here: the desk says so, and it leaves no entry about anybody."""
    async with border(tmp_path) as found:
        stranger = applications()[-1].holder.citizen_number
        await found.search(stranger)

        answer = await found.release(await found.waiting())

        assert answer.hit is False
        assert [line.outcome for line in await found.history()] == [Outcome.NO_HIT]
        assert tell_subject(found.answering, stranger, now=found.rig.clock()).withheld_count == 0


async def test_refusal_reaches_the_asker_in_the_desks_own_words(tmp_path: Path) -> None:
    """A signed refusal with its reason in both languages; no field, not even hit or no hit; the person may be told."""
    async with border(tmp_path) as found:
        searching = asyncio.create_task(found.search())
        answer = await searching
        assert answer.outcome is Outcome.WAITING

        refused = await found.refuse(await found.waiting(), "案情与此人无关")

        assert refused.status is IntakeStatus.REFUSED
        assert [line.outcome for line in await found.history()] == [Outcome.REFUSED]
        carried = found.rig.carried(ZHEJIANG, JIANGXI)
        assert "案情与此人无关".encode() in carried
        assert b'"hit"' not in carried
        await found.close_case()
        told = tell_subject(found.answering, found.person.holder.citizen_number, now=found.rig.clock())
        steps = [(line.step, line.verdict) for line in told.lines if line.step != "permit.sync"]
        assert steps == [("lookup.search", Verdict.REFUSED)]


async def test_fetch_of_an_address_waits_while_the_name_comes_at_once(tmp_path: Path) -> None:
    """Border police have the identity by themselves; number and address need a person, who may give fewer fields."""
    async with border(tmp_path) as found:
        hit = await found.search(caller=YUSHAN_POLICE)
        assert hit.outcome is Outcome.HIT
        assert hit.handle is not None
        assert (await found.fetch(hit.handle, "holder_name")).outcome is Outcome.HIT

        waits = await found.fetch(hit.handle, "residence_address", "household_division")

        assert waits.outcome is Outcome.WAITING
        answer = await found.release(await found.waiting(), "household_division")
        assert (answer.fields, answer.hit) == (frozenset({"household_division"}), None)
        (carried,) = found.rig.faults(ZHEJIANG, JIANGXI).carried[-1]
        assert carried.body is not None
        assert found.person.residence_address.encode() not in carried.body.items[0]
        assert found.person.holder.household_division.encode() in carried.body.items[0]
        assert (await found.history(caller=YUSHAN_POLICE))[0].outcome is Outcome.HIT


async def test_fetch_is_released_with_the_officers_own_registered_key_only(tmp_path: Path) -> None:
    """The certificate is not enough: no signature, another's, one of other fields; each no is logged, nothing leaves."""
    async with border(tmp_path) as found:
        hit = await found.search(caller=YUSHAN_POLICE)
        await found.fetch(hit.handle or "", "residence_address", "household_division")
        request, carried = await found.waiting(), len(found.rig.faults(ZHEJIANG, JIANGXI).carried)
        unregistered = replace(desk_act(), officer="officer-9")
        of_less = base64.b64encode(found.key.sign(release_bytes(
            found.office, "officer-1", request_id=request, fields=frozenset({"household_division"})
        ))).decode()  # fmt: skip

        for answer in (
            await found.release_as(ReleaseQuestion(request_id=request)),
            await found.release_as(ReleaseQuestion(request_id=request, signature=of_less)),
            await found.release(request, key=Ed25519PrivateKey.generate()),
            await found.release(request, by=unregistered),
        ):
            assert answer.status is None
            assert answer.decision.policies == ("rule-officer-key",)
        assert (await found.inbox())[0].request_id == request
        assert len(found.rig.faults(ZHEJIANG, JIANGXI).carried) == carried

        assert (await found.release(request)).status is IntakeStatus.ANSWERED
        kept = find_record(found.answering.database, SIGNATURE, request, replica=True)
        assert kept is not None
        assert b"officer-1" in kept.content


async def test_what_waited_is_not_released_once_the_askers_key_is_withdrawn(tmp_path: Path) -> None:
    """A fetch and a search: a release weighs both again, and what the other province told meanwhile counts."""
    async with border(tmp_path) as found:
        hit = await found.search(caller=YUSHAN_POLICE)
        await found.fetch(hit.handle or "", "residence_address")
        gone = [
            replace(pinned_key(office, "officer-1", key="ed25519:gone"), version=2, status="withdrawn")
            for office in (YUSHAN_POLICE, XINZHOU)
        ]
        await found.search()
        waiting = [line.request_id for line in await found.inbox()]
        assert len(waiting) == 2
        await found.answering.sequencer.commit(lambda tx: put_records(tx, gone))
        for request in waiting:
            answer = await found.release(request, drain=False)
            assert (answer.status, answer.decision.policies) == (None, ("rule-officer-key-withdrawn",))


async def test_search_and_refusal_may_be_unsigned_but_not_signed_wrongly(tmp_path: Path) -> None:
    """No field leaves with them; a signature that is given is looked at all the same."""
    async with border(tmp_path) as found:
        await found.search()
        first = await found.waiting()
        wrong = await found.release(first, key=Ed25519PrivateKey.generate())
        assert wrong.decision.policies == ("rule-officer-key",)
        assert (await found.release_as(ReleaseQuestion(request_id=first))).status is IntakeStatus.ANSWERED
        await found.search()
        second = await found.waiting()
        bad = await found.refuse(second, signature=base64.b64encode(bytes(64)).decode())
        assert (bad.status, bad.decision.policies) == (None, ("rule-officer-key",))
        signed = refuse_bytes(found.office, "officer-1", request_id=second, reason="case_unclear", words="请写明案情")
        done = await found.refuse(second, signature=base64.b64encode(found.key.sign(signed)).decode())
        assert done.status is IntakeStatus.REFUSED


async def test_release_of_more_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    """Never more than asked; a search has no fields at all."""
    async with border(tmp_path) as found:
        hit = await found.search(caller=YUSHAN_POLICE)
        await found.fetch(hit.handle or "", "residence_address")
        with pytest.raises(MalformedError, match="LOOKUP_FIELD"):
            await found.release(await found.waiting(), "citizen_number")
        await found.release(await found.waiting())
        await found.search()
        with pytest.raises(MalformedError, match="LOOKUP_FIELD"):
            await found.release(await found.waiting(), "holder_name")


async def test_release_after_the_case_closed_is_refused_and_waits_on(tmp_path: Path) -> None:
    """What is released is weighed again; the desk then refuses in words."""
    async with border(tmp_path) as found:
        await found.search()
        await found.close_case()
        request = await found.waiting()

        answer = await found.release(request)

        assert answer.status is None
        assert answer.decision.policies == ("deny-lookup-no-case",)
        assert await found.waiting() == request
        assert (await found.refuse(request)).status is IntakeStatus.REFUSED


async def test_another_police_office_does_not_answer(tmp_path: Path) -> None:
    """One office answers for a province: policy refuses any other, and the inbox is not shown to it."""
    async with border(tmp_path) as found:
        await found.search()
        request = await found.waiting()

        for answer in (await found.release(request, caller=POLICE), await found.refuse(request, caller=POLICE)):
            assert answer.status is None
            assert answer.decision.policies == ("default-deny",)
        with pytest.raises(UntrustedError, match="NOT_INTAKE"):
            await list_intake(begin_errand(found.answering, POLICE, desk_act()), IntakeQuery())
        assert await found.waiting() == request


async def test_release_of_an_unknown_or_ended_request_says_so(tmp_path: Path) -> None:
    """Bad input gets a clear error, and changes nothing."""
    async with border(tmp_path) as found:
        with pytest.raises(NotFoundError, match="INTAKE_UNKNOWN"):
            await found.release(NO_LOOKUP)
        await found.search()
        request = await found.waiting()
        with pytest.raises(MalformedError, match="REFUSAL_WORDS"):
            await found.refuse(request, " ")
        await found.release(request)
        with pytest.raises(RuleError, match="INTAKE_ANSWERED"):
            await found.refuse(request)
        await found.search()
        late = await found.waiting()
        found.rig.clock.advance(hours=1, seconds=1)
        with pytest.raises(RuleError, match="INTAKE_EXPIRED"):
            await found.release(late)


async def test_release_repeated_under_its_request_id_is_done_once(tmp_path: Path) -> None:
    """The same act twice, at once or later: one reply, the same answer."""
    async with border(tmp_path) as found:
        await found.search()
        request, act = await found.waiting(), desk_act()

        both = await asyncio.gather(found.release(request, by=act), found.release(request, by=act))

        assert both[0] == both[1] == await found.release(request, by=act)
        sent = list_messages(found.answering.database, "sent", pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=100)
        assert [message.kind for message in sent].count("lookup.answer") == 1
        with pytest.raises(RuleError, match="INTAKE_ANSWERED"):
            await found.release(request)


async def test_request_that_comes_twice_is_one_line(tmp_path: Path) -> None:
    """The line broke after the request was taken in: the repeat gets the first receipt, and the inbox one line."""
    async with border(tmp_path) as found:
        found.rig.faults(JIANGXI, ZHEJIANG).drop_answers = 1
        found.rig.faults(JIANGXI, ZHEJIANG).repeat = 1

        assert (await found.search()).outcome is Outcome.WAITING

        assert len(await found.inbox()) == 1


async def test_second_request_goes_to_the_top_of_the_inbox(tmp_path: Path) -> None:
    """The officer asks again, once; the desk sees it first, before an urgent one that is calm."""
    async with border(tmp_path) as found:
        await found.search()
        found.rig.clock.advance(seconds=1)
        await found.search(urgency=Urgency.URGENT)
        lookup = (await found.history())[-1].lookup_id

        first, again = await found.remind(lookup), await found.remind(lookup)

        assert first == again
        top, calm = await found.inbox()
        assert (top.urgency, calm.urgency) == (Urgency.ROUTINE, Urgency.URGENT)
        assert (top.reminded, calm.reminded) == (first[0].time, None)


async def test_inbox_goes_page_by_page_though_one_is_answered_meanwhile(tmp_path: Path) -> None:
    """What waits, then what has ended, each once: an entry that leaves the list pulls none past the reader."""
    async with border(tmp_path) as found:
        for _ in range(4):
            await found.search()
            found.rig.clock.advance(minutes=1)
        first, second, third, fourth = [line.request_id for line in await found.inbox()]
        await found.release(third)

        async def page(token: str = "") -> IntakePage:
            query = IntakeQuery(ended=True, page_size=1, page_token=token)
            return await list_intake(begin_errand(found.answering, found.office, desk_act()), query)

        read = await page()
        assert read.lines[0].request_id == first
        await found.release(first)
        seen = []
        while read.next_page_token:
            read = await page(read.next_page_token)
            seen += [line.request_id for line in read.lines]
        assert seen == [second, fourth, third, first]
        for token in ("1", "ended/"):
            with pytest.raises(MalformedError, match="PAGE_TOKEN"):
                await page(token)


async def test_second_request_of_what_nobody_owes_says_so(tmp_path: Path) -> None:
    """An unknown look-up, another agency's, and one that is answered: nothing is sent."""
    async with border(tmp_path) as found:
        with pytest.raises(NotFoundError, match="LOOKUP_UNKNOWN"):
            await found.remind(NO_LOOKUP)
        await found.search()
        lookup = (await found.history())[0].lookup_id
        with pytest.raises(NotFoundError, match="LOOKUP_UNKNOWN"):
            await found.remind(lookup, caller=YUSHAN_POLICE)
        await found.release(await found.waiting())
        with pytest.raises(RuleError, match="NOTHING_OWED"):
            await found.remind(lookup)


async def test_entry_that_ended_names_nobody_any_more(tmp_path: Path) -> None:
    """While it waits the desk's node knows the number; once it has ended only where the number is from."""
    async with border(tmp_path) as found:
        await found.search()
        request, number = await found.waiting(), found.person.holder.citizen_number
        waiting = ENTRIES.find(found.answering.database, request)
        assert waiting is not None
        assert waiting.entry.person == number

        await found.refuse(request)

        ended = ENTRIES.find(found.answering.database, request)
        assert ended is not None
        assert (ended.entry.person, ended.version) == (f"{number[:6]}{'*' * 12}", 2)
        assert list_versions(found.answering.database, ENTRIES.kind, request) == []


async def test_two_acts_at_once_end_a_request_once(tmp_path: Path) -> None:
    """A release and a refusal at the same moment: one counts, the other is told so."""
    async with border(tmp_path) as found:
        await found.search()
        request = await found.waiting()

        both = await asyncio.gather(found.release(request), found.refuse(request), return_exceptions=True)

        answers = [one for one in both if isinstance(one, IntakeAnswer)]
        refused = [one for one in both if isinstance(one, BridgeheadError)]
        assert len(answers) == len(refused) == 1
        assert refused[0].reason in {"VERSION_CONFLICT", "INTAKE_ANSWERED", "INTAKE_REFUSED"}
        assert (await found.inbox(ended=True))[0].status is answers[0].status
