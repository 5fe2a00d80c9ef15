"""What has ended is destroyed on both sides, each destruction has its leaf, and what must be kept stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from federation.audit.leaves import broken_rules, rules_of
from federation.domain.erasure import ErasureGrounds
from federation.node.disclosures import DISCLOSED, tell_subject
from federation.node.erasure_receipts import RECEIPT_KIND, send_receipts
from federation.node.log.check import check_store
from federation.node.lookups import records
from federation.node.retention import destroy_ended, destroy_handle, handle_digest, purge
from federation.protocol.errors import NotFoundError, RuleError, StaleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.leaf import Leaf, LeafKind, decode_leaf
from federation.store.log_reader import find_leaf, load_entries, load_head
from federation.store.messages import find_body, find_message, find_outbox, load_body
from federation.store.records import list_records
from federation.wire.agency.erasure import RetentionRound
from tests.node.retention.released import BACK, NUMBER, PERSON, Border, released
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG


def erasures(found: Border, at: NodeName) -> list[Leaf]:
    database = found.rig[at].database
    leaves = map(decode_leaf, load_entries(database, 0, load_head(database).size))
    return [leaf for leaf in leaves if leaf.kind is LeafKind.ERASURE]


async def both_rounds(found: Border) -> tuple[RetentionRound, RetentionRound]:
    asked = await destroy_ended(found.rig[JIANGXI])
    await found.rig.drain()
    return asked, await destroy_ended(found.rig[ZHEJIANG])


@pytest.mark.parametrize(("ending", "reason"), [("time", "ERASED_EXPIRED"), ("case", "ERASED_CASE_CLOSED")])
async def test_destroy_ended_destroys_release_and_answer_on_both_sides(
    tmp_path: Path, ending: str, reason: str
) -> None:
    """The asker destroys what came, tells the giver, and the giver destroys its own copy; every log verifies."""
    async with released(tmp_path) as found:
        handed = [*found.sent(ZHEJIANG, "lookup.release"), *found.sent(ZHEJIANG, "lookup.answer")]
        bodies = [load_body(found.rig[at].database, each.id) for each in handed for at in (JIANGXI, ZHEJIANG)]
        if ending == "time":
            found.rig.clock.advance(hours=24, seconds=1)
        else:
            await found.close_case()
            await found.rig.drain()

        asked, gave = await both_rounds(found)

        assert asked == RetentionRound(releases=1, answers=1)
        assert gave == RetentionRound(handles=1)
        for message in handed:
            for at in (JIANGXI, ZHEJIANG):
                assert find_body(found.rig[at].database, message.id) is None
        assert {leaf.reason for leaf in erasures(found, JIANGXI)} == {reason}
        assert [(leaf.pair, leaf.reason) for leaf in erasures(found, ZHEJIANG)] == [
            (BACK, "ERASED_RECEIPTED"), (BACK, "ERASED_RECEIPTED"), (None, reason),
        ]  # fmt: skip
        assert len(found.sent(JIANGXI, RECEIPT_KIND)) == 2
        await found.verify()
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("*.db*"))
        assert not any(part in stored for body in bodies for part in (body.salt, *body.items))


async def test_destroy_ended_before_the_end_destroys_nothing(tmp_path: Path) -> None:
    """What lives is left alone, and what was destroyed is not destroyed twice."""
    async with released(tmp_path) as found:
        assert await both_rounds(found) == (RetentionRound(), RetentionRound())
        assert erasures(found, JIANGXI) == []

        found.rig.clock.advance(hours=24, seconds=1)
        await both_rounds(found)
        again = await both_rounds(found)

        assert again == (RetentionRound(), RetentionRound())
        assert len(erasures(found, JIANGXI)) == 2


async def test_receipt_of_an_erasure_carries_the_very_leaf_of_the_askers_log(tmp_path: Path) -> None:
    """The giver can point at the leaf: it is the entry at that place of the asker's log, about that message."""
    async with released(tmp_path) as found:
        found.rig.clock.advance(hours=25)
        release = found.sent(ZHEJIANG, "lookup.release")[0]
        await both_rounds(found)

        leaf = next(each for each in erasures(found, JIANGXI) if each.subject == release.digest)
        index = find_leaf(found.rig[JIANGXI].database, LeafKind.ERASURE, release.digest)
        assert index is not None
        receipts = [load_body(found.rig[ZHEJIANG].database, each.id) for each in found.sent(JIANGXI, RECEIPT_KIND)]
        entry = load_entries(found.rig[JIANGXI].database, index, 1)[0]
        assert (leaf.pair, leaf.seq) == (BACK, release.seq)
        assert any(f'"index":{index}'.encode() in body.items[0] for body in receipts)
        assert any(entry.replace(b'"', b'\\"') in body.items[0] for body in receipts)


async def test_repeat_of_an_erased_message_gets_its_first_receipt(tmp_path: Path) -> None:
    """The giver, whose answer was lost, sends the release again after it was erased: the same receipt, nothing stored."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        release = found.sent(ZHEJIANG, "lookup.release")[0]
        first = find_outbox(found.rig[ZHEJIANG].database, release.id)
        carried = [
            each for call in found.rig.faults(ZHEJIANG, JIANGXI).carried for each in call
            if each.envelope == release.envelope
        ]  # fmt: skip
        found.rig.clock.advance(hours=24, seconds=1)
        await both_rounds(found)

        answers = await found.rig.links[ZHEJIANG, JIANGXI].submit(carried[:1], timeout_seconds=60)

        assert first is not None
        assert (answers[0].leaf, answers[0].proof) == (first.receipt_leaf, first.receipt_proof)
        assert find_body(found.rig[JIANGXI].database, release.id) is None


async def test_destroy_ended_with_the_giver_away_tells_it_when_it_is_back(tmp_path: Path) -> None:
    """The receipt waits like any message; until then the giver keeps its own copy."""
    async with released(tmp_path) as found:
        release = found.sent(ZHEJIANG, "lookup.release")[0]
        found.rig.clock.advance(hours=24, seconds=1)
        found.rig.faults(JIANGXI, ZHEJIANG).cut = True
        await destroy_ended(found.rig[JIANGXI])
        assert find_body(found.rig[JIANGXI].database, release.id) is None
        assert find_body(found.rig[ZHEJIANG].database, release.id) is not None

        found.rig.faults(JIANGXI, ZHEJIANG).cut = False
        await found.rig.drain()

        assert find_body(found.rig[ZHEJIANG].database, release.id) is None
        await found.verify()


async def test_destroy_ended_after_its_giver_was_expelled_says_nothing_until_it_is_back(tmp_path: Path) -> None:
    """What a former member gave ends in its time, lawfully for an audit; its receipt goes to a member only."""
    async with released(tmp_path) as found:
        release, node = found.sent(ZHEJIANG, "lookup.release")[0], found.rig[JIANGXI]
        agreement = found.rig.expel(ZHEJIANG, at=JIANGXI)
        found.rig.clock.advance(hours=24, seconds=1)

        await destroy_ended(node)

        assert find_body(node.database, release.id) is None
        assert found.sent(JIANGXI, RECEIPT_KIND) == []
        assert check_store(node.database, agreement).findings == ()
        rules = rules_of(node.trust.in_force.agreement, found.rig.clock())
        leaves = map(decode_leaf, load_entries(node.database, 0, load_head(node.database).size))
        assert [each for leaf in leaves for each in broken_rules(leaf, JIANGXI, rules)] == []

        found.rig.put_in_force(replace(agreement, version=agreement.version + 2, digest="cd"), JIANGXI)
        await send_receipts(node)
        assert len(found.sent(JIANGXI, RECEIPT_KIND)) == 2


async def test_destroy_ended_keeps_the_records_of_provision(tmp_path: Path) -> None:
    """The person still learns what was given; the statement, its decision and its receipt stay."""
    async with released(tmp_path) as found:
        release = found.sent(ZHEJIANG, "lookup.release")[0]
        found.rig.clock.advance(days=31)
        told = tell_subject(found.rig[ZHEJIANG], NUMBER, now=found.rig.clock())

        assert len(told.lines) == 2
        assert find_message(found.rig[ZHEJIANG].database, "sent", release.id) == release
        with pytest.raises(StaleError):
            await destroy_ended(found.rig[JIANGXI])


async def test_purge_before_the_floor_is_refused_by_rule(tmp_path: Path) -> None:
    """Thirty-six months, counted by the calendar: a day earlier is refused, and nothing is lost."""
    async with released(tmp_path) as found:
        node, start = found.rig[ZHEJIANG], found.rig.clock()
        found.rig.clock.time = start.replace(year=start.year + 3) - timedelta(days=1)

        with pytest.raises(RuleError, match="RETENTION_FLOOR"):
            await purge(node, before=start)

        assert list_records(node.database, DISCLOSED, after_id="", limit=9, replica=False)


async def test_purge_after_the_floor_removes_lines_of_what_was_given_and_asked(tmp_path: Path) -> None:
    """Three years on the lines go, and the messages with their leaves stay."""
    async with released(tmp_path) as found:
        start = found.rig.clock() + timedelta(seconds=1)
        found.rig.clock.time = start.replace(year=start.year + 3)

        given = await purge(found.rig[ZHEJIANG], before=start)
        asked = await purge(found.rig[JIANGXI], before=start)

        assert (given, asked) == (2, 3)  # a search and a fetch given; a case, a search and a fetch asked
        assert list_records(found.rig[ZHEJIANG].database, DISCLOSED, after_id="", limit=9, replica=False) == []
        for kind in (records.ASKED, records.ASKED_BY, records.ASKED_IN):
            assert list_records(found.rig[JIANGXI].database, kind, after_id="", limit=9, replica=True) == []
        assert records.list_steps(found.rig[JIANGXI].database, YUSHAN_POLICE, found.lookup_id) == []
        assert len(found.sent(ZHEJIANG, "lookup.release")) == 1


async def test_destroy_handle_twice_is_once(tmp_path: Path) -> None:
    """A handle leaves one leaf about its digest, from which nobody learns the handle."""
    async with released(tmp_path) as found:
        node = found.rig[ZHEJIANG]

        first, again = [
            (await node.sequencer.commit(
                lambda tx: destroy_handle(node, tx, found.handle, grounds=ErasureGrounds.EXPIRED)
            )).value
            for _ in range(2)
        ]  # fmt: skip

        assert (first, again) == (True, False)
        assert [leaf.subject for leaf in erasures(found, ZHEJIANG)] == [handle_digest(found.handle)]
        assert records.HANDLES.find(node.database, found.handle) is None


async def test_fetch_with_an_erased_handle_finds_nothing(tmp_path: Path) -> None:
    """Neither side knows the handle any more."""
    async with released(tmp_path) as found:
        await found.close_case()
        await found.rig.drain()
        await both_rounds(found)
        await found.open_case("CASE-2026-0002")

        answer = await found.fetch("CASE-2026-0002")

        assert answer.policies == ("rule-handle-unknown",)
        assert PERSON.holder.name not in repr(answer)
        with pytest.raises(NotFoundError, match="BODY"):
            load_body(found.rig[ZHEJIANG].database, found.sent(ZHEJIANG, "lookup.release")[0].id)
