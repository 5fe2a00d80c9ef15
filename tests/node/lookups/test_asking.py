"""The asking side: every no is logged and told, a repeat counts nothing, and no question reads a history."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.cli.lookups import sign_fetch
from federation.domain.clock import CLOCKS_FILE
from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.domain.permits import PermitApplication
from federation.node import permits
from federation.node.disclosures import tell_subject
from federation.node.exchange.errand import begin_errand
from federation.node.log.decisions import find_decision
from federation.node.lookups import ask as asking
from federation.node.lookups import cases, records
from federation.node.lookups import fetch as fetching
from federation.node.retention import destroy_ended
from federation.protocol.errors import ConflictError, MalformedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.keys import Ed25519Signer, format_public_key
from federation.protocol.leaf import Leaf, LeafKind, Verdict, decode_leaf
from federation.store.log_reader import load_entries, load_head
from federation.store.records import list_records
from federation.wire.agency.lookups import CaseQuestion, LookupQuery, LookupQuestion
from tests.node.lookups.office import CASE, NUMBERS, PURPOSE, Office, office
from tests.node.rig import (
    ANHUI,
    FUJIAN,
    HALL,
    JIANGXI,
    YUSHAN_POLICE,
    ZHEJIANG,
    act,
    application,
    lead_act,
    register_key,
)

CHECK = "lookup.identity_check"
GUANGFENG = parse_agency_id("jiangxi/361103/police")
FIELDS = frozenset({"holder_name", "status"})


def question(number: str = NUMBERS[0], *provinces: NodeName, case_id: str = CASE) -> LookupQuestion:
    selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=number)
    return LookupQuestion(case_id=case_id, selector=selector, provinces=provinces)


async def ask(found: Office, asked: LookupQuestion, *, request_id: str | None = None, purpose: str = PURPOSE):
    why = act(purpose, "F03", request_id=request_id)
    return await asking.search(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, why), asked)


async def lines(found: Office, **query: object):
    return await asking.list_lookups(
        begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03")), LookupQuery(**query)
    )


def own_refusals(found: Office) -> list[Leaf]:
    """The `refused` leaves of Jiangxi's log that no message stands behind."""
    database = found.rig[JIANGXI].database
    leaves = map(decode_leaf, load_entries(database, 0, load_head(database).size))
    return [leaf for leaf in leaves if leaf.kind is LeafKind.REFUSED and leaf.pair is None]


async def test_question_waits_as_long_as_the_agreement_in_force_says(tmp_path: Path) -> None:
    """The clock table is signed by the provinces: what it says is what counts, at the next question already."""
    async with office(tmp_path) as found:
        node = found.rig[JIANGXI]
        await found.open()
        await found.search(NUMBERS[0])
        before = node.trust.in_force.agreement
        text = before.files[CLOCKS_FILE].decode()
        shorter = text.replace(
            'en = "routine look-up", kind = "minutes", amount = 60',
            'en = "routine look-up", kind = "minutes", amount = 25',
        )
        assert shorter != text
        files = {**before.files, CLOCKS_FILE: shorter.encode()}
        found.rig.put_in_force(replace(before, version=before.version + 1, digest="ab", files=files), JIANGXI)
        await found.search(NUMBERS[1])

        waits = sorted(question.until for question in records.QUESTIONS.each(node.database))
        assert waits[1] - waits[0] == timedelta(minutes=35)


# ---- every no is logged


async def test_search_without_a_case_is_a_logged_refusal_in_words(tmp_path: Path) -> None:
    """One leaf for the request, what policy was asked beside it, one honest line a province, nothing sent."""
    async with office(tmp_path) as found:
        result = await ask(found, question(case_id="CASE-2026-0404"))

        assert [answer.node for answer in result.answers] == [ANHUI, FUJIAN, ZHEJIANG]
        assert {answer.outcome for answer in result.answers} == {Outcome.REFUSED}
        for answer in result.answers:
            assert "deny-lookup-no-case" in answer.policies
            assert answer.title_zh
            assert "案件在办" in answer.explanation_zh
            assert "the case cited is open" in answer.explanation_en
        (leaf,) = own_refusals(found)
        assert leaf.policies == result.answers[0].policies
        kept = find_decision(found.rig[JIANGXI].database, leaf.subject)
        assert kept is not None
        assert len(kept.asked) == 3
        assert found.rig.faults(JIANGXI, ZHEJIANG).carried == []


async def test_search_in_a_closed_case_is_refused_by_the_one_policy(tmp_path: Path) -> None:
    """The case is known, its purpose and county fit: only that it is over decides."""
    async with office(tmp_path) as found:
        await found.open()
        await cases.end_case(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, lead_act(PURPOSE)), CASE)

        result = await ask(found, question())

        assert [answer.policies for answer in result.answers] == [("deny-lookup-no-case",)]


async def test_search_refused_by_us_is_in_the_persons_report(tmp_path: Path) -> None:
    """Who tried is told: one entry for the request, though it named three provinces."""
    async with office(tmp_path) as found:
        await ask(found, question(NUMBERS[0], ANHUI, FUJIAN, ZHEJIANG, case_id="CASE-2026-0404"))

        told = tell_subject(found.rig[JIANGXI], NUMBERS[0], now=found.rig.clock())

        (line,) = told.lines
        assert (line.asker, line.verdict, line.step) == (YUSHAN_POLICE, Verdict.REFUSED, "lookup.search")
        assert tell_subject(found.rig[JIANGXI], NUMBERS[1], now=found.rig.clock()).lines == ()


async def test_refusal_in_an_open_investigation_waits_for_its_end(tmp_path: Path) -> None:
    """The eleventh person is refused by the quota; while the investigation runs the person is told a number only."""
    async with office(tmp_path) as found:
        await found.open()
        for number in NUMBERS[:10]:
            await found.search(number)
        (refused,) = (await found.search(NUMBERS[10])).answers
        assert refused.policies == ("rule-quota-persons",)
        assert "countersign" in refused.explanation_zh
        node = found.rig[JIANGXI]
        told = tell_subject(node, NUMBERS[10], now=node.now())
        assert (told.lines, told.withheld_count) == ((), 1)

        await cases.end_case(begin_errand(node, YUSHAN_POLICE, lead_act(PURPOSE)), CASE)

        assert len(tell_subject(node, NUMBERS[10], now=node.now()).lines) == 1


async def test_search_for_another_purpose_than_the_case_is_told_at_once(tmp_path: Path) -> None:
    """No case of that purpose runs that the entry could give away."""
    async with office(tmp_path) as found:
        await found.open()

        await ask(found, question(NUMBERS[3]), purpose=CHECK)

        assert len(tell_subject(found.rig[JIANGXI], NUMBERS[3], now=found.rig.clock()).lines) == 1


async def test_refusal_by_quota_counts_nothing_and_leaves_one_rule(tmp_path: Path) -> None:
    """Refused ones do not use up the case: the same ten persons may still be asked about."""
    async with office(tmp_path) as found:
        await found.open()
        for number in NUMBERS[:10]:
            await found.search(number)
        for number in NUMBERS[10:14]:
            await found.search(number)

        again = await found.search(NUMBERS[0])

        assert again.answers[0].outcome is Outcome.NO_HIT
        assert {leaf.policies for leaf in own_refusals(found)} == {("rule-quota-persons",)}
        assert len(own_refusals(found)) == 4


@pytest.mark.parametrize(
    ("registered", "known", "policies"),
    [
        (False, True, ("rule-officer-key",)),
        (True, False, ("rule-handle-unknown",)),
    ],
    ids=["key not registered", "handle never given"],
)
async def test_fetch_by_rule_is_a_logged_refusal(
    tmp_path: Path, registered: bool, known: bool, policies: tuple[str, ...]
) -> None:
    """A borrowed certificate and a handle from elsewhere leave a leaf, words and what to do, and nothing is sent."""
    async with office(tmp_path) as found:
        await found.open()
        handle = await hit(found)
        key = Ed25519Signer(Ed25519PrivateKey.generate().private_bytes_raw())
        if registered:
            await register_key(found.rig[JIANGXI], YUSHAN_POLICE, "officer-1", key=format_public_key(key.public_key))
        asked = sign_fetch(key, case_id=CASE, node=ZHEJIANG, handle=handle if known else "A" * 32, fields=FIELDS)

        result = await fetch(found, asked)

        assert (result.outcome, result.policies) == (Outcome.REFUSED, policies)
        assert result.decision is not None
        assert result.decision.explanation_zh
        assert result.decision.explanation_en
        assert [leaf.policies for leaf in own_refusals(found)] == [policies]


async def test_fetch_finds_its_search_by_the_handle(tmp_path: Path) -> None:
    """One row leads from a handle to the search, of the province that gave it and the agency that got it."""
    async with office(tmp_path) as found:
        await found.open()
        handle = await hit(found)
        key = Ed25519Signer(Ed25519PrivateKey.generate().private_bytes_raw())
        await register_key(found.rig[JIANGXI], YUSHAN_POLICE, "officer-1", key=format_public_key(key.public_key))
        asked = sign_fetch(key, case_id=CASE, node=ZHEJIANG, handle=handle, fields=FIELDS)

        released = await fetch(found, asked)

        assert (released.outcome, released.fields.keys()) == (Outcome.HIT, FIELDS)
        elsewhere = await fetch(found, replace(asked, node=ANHUI))
        assert elsewhere.policies == ("rule-handle-unknown",)


async def test_fetch_that_the_other_side_refuses_by_rule_is_told_in_words(tmp_path: Path) -> None:
    """A handle used under another case is refused over there; the officer reads why, not a bare name of a rule."""
    async with office(tmp_path) as found:
        await found.open()
        await found.open("CASE-2026-0002")
        handle = await hit(found)
        key = Ed25519Signer(Ed25519PrivateKey.generate().private_bytes_raw())
        await register_key(found.rig[JIANGXI], YUSHAN_POLICE, "officer-1", key=format_public_key(key.public_key))
        asked = sign_fetch(key, case_id="CASE-2026-0002", node=ZHEJIANG, handle=handle, fields=FIELDS)

        result = await fetch(found, asked)

        assert (result.outcome, result.policies) == (Outcome.REFUSED, ("rule-handle-case",))
        assert (result.title_zh, result.title_en) == ("凭据属于另一案件", "The handle belongs to another case")


async def test_number_of_a_case_is_its_offices_own(tmp_path: Path) -> None:
    """Another office that uses it learns nothing of the first: its case opens, is asked in and closed, on both sides."""
    async with office(tmp_path) as found:
        await found.open()
        await hit(found)
        other = replace(found, agency=GUANGFENG)

        assert (await other.open(letter="广公协〔2126〕1号")).decision.allowed
        somebody = application(household="420583")
        await hit(other, replace(somebody, holder=replace(somebody.holder, household_division=GUANGFENG.county)))
        for agency, terms in ((GUANGFENG, "广公协〔2126〕1号"), (YUSHAN_POLICE, f"玉公协 {CASE}")):
            for name in (JIANGXI, ZHEJIANG):
                kept = records.find_case(found.rig[name].database, agency, CASE, announced=name == ZHEJIANG)
                assert kept is not None
                assert (kept.opened_by, kept.letter, kept.closed) == (agency, terms, False)

        for agency in (GUANGFENG, YUSHAN_POLICE):
            closing = begin_errand(found.rig[JIANGXI], agency, act(PURPOSE, "F03", officer="leader-1"))
            assert (await cases.end_case(closing, CASE)).decision.allowed
            await found.rig.drain()
            await destroy_ended(found.rig[JIANGXI])
            await destroy_ended(found.rig[ZHEJIANG])
            left = [each.asker for each in records.HANDLES.each(found.rig[ZHEJIANG].database)]
            assert left == ([YUSHAN_POLICE] if agency == GUANGFENG else [])


async def test_case_number_that_was_used_before_is_told_as_such(tmp_path: Path) -> None:
    """The second opening names the number that is taken, and changes nothing."""
    async with office(tmp_path) as found:
        await found.open()

        with pytest.raises(ConflictError) as caught:
            await found.open(leader="leader-2")

        assert (caught.value.reason, CASE in caught.value.message) == ("CASE_EXISTS", True)
        kept = records.find_case(found.rig[JIANGXI].database, YUSHAN_POLICE, CASE, announced=False)
        assert kept is not None
        assert kept.leader == "leader-1"


# ---- a repeat


async def test_search_repeated_is_the_same_look_up_and_counts_nothing(tmp_path: Path) -> None:
    """Forty repeats of one request are one look-up: one question sent, one line in the history."""
    async with office(tmp_path) as found:
        await found.open()
        request_id = str(uuid.uuid4())

        results = [await ask(found, question(), request_id=request_id) for _ in range(40)]

        assert len({result.lookup_id for result in results}) == 1
        assert len(set(results)) == 1
        assert [line.step for line in (await lines(found)).lines] == ["lookup.search", "lookup.case"]
        assert (await ask(found, question())).answers[0].outcome is Outcome.NO_HIT


async def test_search_repeated_at_the_same_moment_is_one(tmp_path: Path) -> None:
    """Two in flight with one id, as after a broken connection: both get the one look-up."""
    async with office(tmp_path) as found:
        await found.open()
        request_id = str(uuid.uuid4())

        one, other = await asyncio.gather(*(ask(found, question(), request_id=request_id) for _ in range(2)))

        assert one == other
        assert len((await lines(found, case_id=CASE)).lines) == 2


async def test_search_refused_and_repeated_stays_refused_with_one_leaf(tmp_path: Path) -> None:
    """The same id gets the same answer; who may ask meanwhile asks anew."""
    async with office(tmp_path) as found:
        request_id = str(uuid.uuid4())
        refused = await ask(found, question(), request_id=request_id)
        await found.open()

        again = await ask(found, question(), request_id=request_id)

        assert [answer.policies for answer in again.answers] == [answer.policies for answer in refused.answers]
        assert len(own_refusals(found)) == 1
        assert (await ask(found, question())).answers[0].outcome is Outcome.NO_HIT


async def test_request_id_of_another_question_is_a_conflict(tmp_path: Path) -> None:
    """Another person, or another step, under a used id is no repeat."""
    async with office(tmp_path) as found:
        await found.open()
        request_id = str(uuid.uuid4())
        await ask(found, question(), request_id=request_id)

        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await ask(found, question(NUMBERS[1]), request_id=request_id)
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await close(found, request_id)


async def test_case_opened_and_closed_twice_by_their_ids_is_opened_and_closed_once(tmp_path: Path) -> None:
    """A repeat of either gets the answer of the first, whatever became of the case since."""
    async with office(tmp_path) as found:
        opening, closing = (lead_act(PURPOSE) for _ in range(2))
        asked = CaseQuestion(
            case_id=CASE, letter="玉公协〔2026〕1号", counties=frozenset({"330822"}), purposes=frozenset({PURPOSE}),
            days=30, leader="leader-1",
        )  # fmt: skip
        node, who = found.rig[JIANGXI], {"caller": YUSHAN_POLICE}
        opened = await cases.begin_case(begin_errand(node, **who, act=opening), asked)
        assert await cases.begin_case(begin_errand(node, **who, act=opening), asked) == opened
        closed = await cases.end_case(begin_errand(node, **who, act=closing), CASE)

        assert await cases.end_case(begin_errand(node, **who, act=closing), CASE) == closed
        assert await cases.begin_case(begin_errand(node, **who, act=opening), asked) == opened
        outcomes = [line.outcome for line in (await lines(found)).lines]
        assert outcomes == [Outcome.CASE_CLOSED, Outcome.CASE_OPENED]


# ---- which provinces


async def test_search_that_names_no_province_asks_those_of_the_case(tmp_path: Path) -> None:
    """The case names Changshan: Zhejiang was told of it and is asked, the others are not."""
    async with office(tmp_path) as found:
        await found.open()

        assert [answer.node for answer in (await ask(found, question())).answers] == [ZHEJIANG]


# ---- the history


async def test_history_pages_stay_where_they_were_while_steps_come(tmp_path: Path) -> None:
    """A page goes on behind its last line, not at a number of lines that new ones shift."""
    async with office(tmp_path) as found:
        await found.open()
        asked = [(await found.search(number)).lookup_id for number in NUMBERS[:4]]
        first = await lines(found, page_size=2)
        await found.search(NUMBERS[4])

        second = await lines(found, page_size=2, page_token=first.next_page_token)

        assert [line.lookup_id for line in (*first.lines, *second.lines)] == asked[::-1]
        last = await lines(found, page_size=2, page_token=second.next_page_token)
        assert ([line.step for line in last.lines], last.next_page_token) == (["lookup.case"], "")
        with pytest.raises(MalformedError, match="PAGE_TOKEN"):
            await lines(found, page_token="2")


async def test_history_of_one_officer_or_case_holds_theirs_only(tmp_path: Path) -> None:
    """By officer, by case and by both; another office has none of them."""
    async with office(tmp_path) as found:
        await found.open()
        await found.open("CASE-2026-0002")
        mine = (await found.search(NUMBERS[0])).lookup_id
        theirs = (await found.search(NUMBERS[1], "CASE-2026-0002", officer="officer-2")).lookup_id

        def ids(page) -> list[str]:
            return [line.lookup_id for line in page.lines if line.lookup_id]

        assert ids(await lines(found, officer="officer-2")) == [theirs]
        assert ids(await lines(found, case_id=CASE)) == [mine]
        assert ids(await lines(found, case_id=CASE, officer="officer-2")) == []
        assert ids(await lines(found, case_id="CASE-2026-0002", officer="officer-2")) == [theirs]
        assert [line.officer for line in (await lines(found, case_id="CASE-2026-0002")).lines] == [
            "officer-2", "leader-1",
        ]  # fmt: skip


async def test_history_shows_what_waits_what_expired_and_what_we_refused(tmp_path: Path) -> None:
    """Zhejiang is cut off: the question waits, after its hour it has expired; the curious one was refused."""
    async with office(tmp_path) as found:
        await found.open()
        found.rig.faults(JIANGXI, ZHEJIANG).cut = True
        waiting = asyncio.create_task(found.search(NUMBERS[0]))
        while not (await lines(found, case_id=CASE)).lines[0].lookup_id:
            await asyncio.sleep(0)
        await ask(found, question(case_id="CASE-2026-0404"))

        assert (await lines(found, case_id=CASE)).lines[0].outcome is None
        found.rig.clock.advance(hours=1, seconds=1)

        assert (await waiting).answers[0].outcome is Outcome.EXPIRED
        assert (await lines(found, case_id=CASE)).lines[0].outcome is Outcome.EXPIRED
        assert {line.outcome for line in (await lines(found, case_id="CASE-2026-0404")).lines} == {Outcome.REFUSED}


async def test_lines_and_counts_name_no_person(tmp_path: Path) -> None:
    """No number stands in an id of what is kept of a question; the person is sealed or a blind index."""
    async with office(tmp_path) as found:
        await found.open()
        await found.search(NUMBERS[0])
        database = found.rig[JIANGXI].database

        for kind in (records.ASKED, records.ASKED_BY, records.ASKED_IN, "lookup-person", "request"):
            for replica in (False, True):
                for record in list_records(database, kind, after_id="", limit=100, replica=replica):
                    assert NUMBERS[0] not in record.id
        (person,) = list_records(database, "lookup-person", after_id="", limit=100, replica=True)
        assert person.content == b""


async def hit(found: Office, person: PermitApplication | None = None) -> str:
    """The handle of a hit in Changshan, on somebody from the office's county."""
    person = replace(person or application(household="361123"), work_division=None)
    registered = await permits.register(begin_errand(found.rig[ZHEJIANG], HALL, act()), person)
    assert registered.permit is not None
    (answer,) = (await found.search(person.holder.citizen_number)).answers
    assert answer.handle is not None
    return answer.handle


async def fetch(found: Office, asked):
    return await fetching.fetch(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03")), asked)


async def close(found: Office, request_id: str):
    why = act(PURPOSE, "F03", request_id=request_id, officer="leader-1")
    return await cases.end_case(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, why), CASE)
