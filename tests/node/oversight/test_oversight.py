"""What a police office reads and signs at its node: flags paged, notices, digests, signatures, and the record of it all."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.lookups_case import countersign_bytes
from federation.domain.oversight import Finding, Flag, FlagKind, RaisedFlag, digest_bytes, raised_at, review_bytes
from federation.node.exchange.errand import begin_errand
from federation.node.oversight import break_glass, digest, flags, leaders
from federation.node.oversight.glass_review import review_break_glass
from federation.node.oversight.readings import READING
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import parse_agency_id
from federation.store.log_reader import load_entry_bundle
from federation.store.records import list_records
from federation.wire.agency.oversight import CountersignQuestion, DigestQuestion, FlagQuery, ReviewQuestion
from federation.wire.rpc import PageQuery
from tests.node.lookups.office import CASE, GLASS, NUMBERS, Office, office
from tests.node.rig import JIANGXI, YUSHAN_POLICE

EARLIER = "BREAK-GLASS-2026-000"


def raised(
    found: Office, number: int, *, kind: FlagKind = FlagKind.TWO_DESKS, officer: str = "officer-1"
) -> RaisedFlag:
    flag = Flag(
        kind=kind,
        officer=officer,
        lookup_id=f"l-{number}",
        case_id=f"CASE-{number % 2}",
        sentence_zh="甲",
        sentence_en="a",
    )
    return raised_at(flag, time=found.rig.clock() + timedelta(seconds=number), agency=YUSHAN_POLICE)


async def put(found: Office, *all_raised: RaisedFlag) -> None:
    node = found.rig[JIANGXI]
    await node.sequencer.commit(lambda tx: flags.put_flags(tx, all_raised, owner=node.name))


async def test_flags_come_newest_first_page_by_page_and_each_once(tmp_path: Path) -> None:
    """Seven hundred flags in pages of three hundred: every one, in order, with its own time; a repeat is none."""
    async with office(tmp_path) as found:
        await put(found, *(raised(found, number) for number in range(700)))
        await put(found, raised(found, 5), raised(found, 699))
        seen, token = [], ""
        while True:
            query = FlagQuery(page_size=300, page_token=token)
            page = await flags.list_flags(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")), query)
            seen += [one.lookup_id for one in page.flags]
            token = page.next_page_token
            if not token:
                break
            assert not token.isdecimal()  # says neither how many flags there are nor where
        with pytest.raises(MalformedError, match="PAGE_TOKEN"):
            query = FlagQuery(page_token="400")
            await flags.list_flags(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")), query)
        assert seen == [f"l-{number}" for number in reversed(range(700))]
        assert page.flags[-1].time.replace(microsecond=0) == found.rig.clock().replace(microsecond=0)


async def test_flags_are_narrowed_by_officer_kind_and_case(tmp_path: Path) -> None:
    """Each filter alone and together; another office sees none of them."""
    async with office(tmp_path) as found:
        await put(
            found,
            raised(found, 1),
            raised(found, 2, kind=FlagKind.HONEY),
            raised(found, 3, officer="officer-2"),
        )

        async def ids(agency=YUSHAN_POLICE, **narrowed) -> list[str]:
            page = await flags.list_flags(
                begin_errand(found.rig[JIANGXI], agency, found.act("leader-1")), FlagQuery(**narrowed)
            )
            return [one.lookup_id for one in page.flags]

        assert await ids() == ["l-3", "l-2", "l-1"]
        assert await ids(officer="officer-2") == ["l-3"]
        assert await ids(kind=FlagKind.HONEY) == ["l-2"]
        assert await ids(case_id="CASE-1", officer="officer-1") == ["l-1"]
        assert await ids(parse_agency_id("jiangxi/361130/police")) == []


async def test_every_reading_is_kept_with_a_leaf_that_names_nobody(tmp_path: Path) -> None:
    """Flags, notices and digests: who read what lies sealed, the log has a digest of it; a stranger reads nothing."""
    async with office(tmp_path) as found:
        node = found.rig[JIANGXI]
        reader = found.act("leader-1")
        await flags.list_flags(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, reader), FlagQuery())
        await break_glass.list_notices(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, reader), PageQuery())
        await digest.get_digest(
            begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("officer-1")), DigestQuestion()
        )

        kept = list_records(node.database, READING, after_id="", limit=10, replica=False)
        assert sorted(record.status for record in kept) == ["digest", "flags", "notices"]
        assert all(b"leader-1" in one.content or b"officer-1" in one.content for one in kept)
        bundle = load_entry_bundle(node.database, 0, node.sequencer.head.size)
        assert bundle.count(b'"kind":"reading"') == 3
        assert b"leader-1" not in bundle

        with pytest.raises(UntrustedError, match="NOT_AN_AGENCY"):
            await flags.list_flags(
                begin_errand(found.rig[JIANGXI], parse_agency_id("jiangxi/361199/police"), reader), FlagQuery()
            )
        assert len(list_records(node.database, READING, after_id="", limit=10, replica=False)) == 3


async def test_notices_are_listed_overdue_first_and_reviewed_by_their_leader(tmp_path: Path) -> None:
    """Through the functions that the port calls: list, review with words, list again; each no stands in the log."""
    async with office(tmp_path) as found:
        await found.open(EARLIER)
        await found.review(glass=EARLIER)
        await found.open(GLASS)
        found.rig.clock.advance(days=2)
        page = await break_glass.list_notices(
            begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")), PageQuery(page_size=1)
        )
        assert (page.notices[0].notice.case_id, page.notices[0].overdue) == (GLASS, True)
        assert page.next_page_token

        signed = found.signed(GLASS, review_bytes(GLASS, YUSHAN_POLICE, finding=Finding.UNJUSTIFIED, words="no call"))
        question = ReviewQuestion(
            case_id=GLASS, finding=Finding.UNJUSTIFIED, signature=signed.signature, words="no call"
        )
        with pytest.raises(RuleError, match="BREAK_GLASS_REVIEWER"):
            await review_break_glass(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("officer-9")), question)
        with pytest.raises(UntrustedError, match="OFFICER_KEY"):
            await review_break_glass(
                begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")),
                replace(question, words="all fine"),
            )
        node = found.rig[JIANGXI]
        bundle = load_entry_bundle(node.database, 0, node.sequencer.head.size)
        assert b'"policies":["rule-break-glass-reviewer"]' in bundle
        assert b'"policies":["rule-officer-key"]' in bundle
        state = await review_break_glass(
            begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")), question
        )
        assert load_entry_bundle(node.database, 0, node.sequencer.head.size).count(b'"kind":"refused"') == 2
        assert (state.notice.finding, state.notice.words, state.overdue) == (Finding.UNJUSTIFIED, "no call", False)

        listed = await break_glass.list_notices(
            begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")), PageQuery()
        )
        assert [one.notice.case_id for one in listed.notices] == [GLASS, EARLIER]


async def test_notices_page_by_page_are_each_shown_once_and_a_token_is_of_its_own_list(tmp_path: Path) -> None:
    """What waits comes first, then the reviewed with the newest number up, one a page; a token says nothing."""
    async with office(tmp_path) as found:
        node, reader, names = (
            found.rig[JIANGXI],
            found.act("leader-1"),
            [f"BREAK-GLASS-2026-00{number}" for number in (3, 4, 5, 6)],
        )
        for name in names:
            await found.open(name)
            found.rig.clock.advance(hours=1)
            if name != names[-1]:
                await found.review(glass=name)
        seen, tokens = [], [""]
        while len(tokens) == 1 or tokens[-1]:
            query = PageQuery(page_size=1, page_token=tokens[-1])
            page = await break_glass.list_notices(begin_errand(node, YUSHAN_POLICE, reader), query)
            seen += [one.notice.case_id for one in page.notices]
            tokens.append(page.next_page_token)

        assert seen == list(reversed(names))
        assert not any("GLASS" in token for token in tokens)
        for token in tokens[1:-1]:
            with pytest.raises(MalformedError, match="PAGE_TOKEN"):
                other = parse_agency_id("jiangxi/361102/police")
                await break_glass.list_notices(begin_errand(node, other, reader), PageQuery(page_token=token))


async def test_digest_of_somebody_else_needs_a_leader_and_their_key(tmp_path: Path) -> None:
    """An officer reads their own; another's is a leader's to read, who signs for that officer and day."""
    async with office(tmp_path) as found:
        await found.open()
        await found.search(NUMBERS[0])
        today = found.rig[JIANGXI].today()
        own = await digest.get_digest(
            begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("officer-1")), DigestQuestion()
        )
        assert len(own.lines) == 1

        def question(reader: str, officer: str = "officer-1") -> DigestQuestion:
            signed = found.signed("", digest_bytes(YUSHAN_POLICE, officer, day=today, reader=reader), leader=reader)
            return DigestQuestion(officer="officer-1", day=today, signature=signed.signature)

        read = await digest.get_digest(
            begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")), question("leader-1")
        )
        assert read.lines == own.lines
        for reader, asked, error, reason in (
            ("officer-9", question("officer-9"), RuleError, "DIGEST_READER"),
            ("leader-1", question("leader-1", "officer-2"), UntrustedError, "OFFICER_KEY"),
            ("leader-1", DigestQuestion(officer="officer-1", day=today), UntrustedError, "OFFICER_KEY"),
        ):
            with pytest.raises(error, match=reason):
                await digest.get_digest(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act(reader)), asked)


async def test_countersign_by_the_port_tells_who_signed(tmp_path: Path) -> None:
    """The leader's signature counts at once; with another's key nothing happens."""
    async with office(tmp_path) as found:
        await found.open()
        content = countersign_bytes(CASE, YUSHAN_POLICE)
        wrong = base64.b64encode(found.second.sign(content)).decode()
        with pytest.raises(UntrustedError, match="OFFICER_KEY"):
            await leaders.countersign(
                begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")),
                CountersignQuestion(case_id=CASE, signature=wrong),
            )
        signed = CountersignQuestion(case_id=CASE, signature=found.signed(CASE, content).signature)
        for _ in range(2):
            answer = await leaders.countersign(
                begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")), signed
            )
            assert (answer.signers, answer.complete) == (("leader-1",), True)
