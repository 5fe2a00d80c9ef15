"""The review sample at a node: picked as it is asked, reviewed by somebody else, due after five working days."""

from __future__ import annotations

import base64
from datetime import date
from pathlib import Path

import pytest

from federation.domain.oversight import SampleFinding, SampleItem, sample_review_bytes
from federation.node.exchange.errand import begin_errand
from federation.node.oversight import sample
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.wire.agency.oversight import SamplePage, SampleQuery, SampleReviewQuestion
from tests.node.lookups.office import NUMBERS, Office, office, public_text
from tests.node.rig import JIANGXI, YUSHAN_POLICE, register_key


@pytest.fixture
def every_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance picks every look-up."""
    monkeypatch.setattr(sample, "is_sampled", lambda lookup_id, key: bool(lookup_id and key))


def listed(found: Office, **query: bool | int | str):
    return sample.list_sample(
        begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("officer-9")), SampleQuery(**query)
    )


async def review(found: Office, item: SampleItem, *, reviewer: str = "officer-9", **changes: str) -> SampleItem:
    words = changes.get("words", "the letter names him")
    signed = sample_review_bytes(YUSHAN_POLICE, item.lookup_id, finding=SampleFinding.LAWFUL, words=words)
    key = found.second if reviewer == "officer-9" else found.key
    question = SampleReviewQuestion(
        lookup_id=item.lookup_id,
        finding=SampleFinding.LAWFUL,
        words=words,
        signature=base64.b64encode(key.sign(signed)).decode(),
    )
    return await sample.record_review(
        begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act(reviewer)), replace(question, **changes)
    )


@pytest.mark.usefixtures("every_one")
async def test_sample_shows_until_somebody_else_reviewed_it(tmp_path: Path) -> None:
    """Masked, oldest first, page by page; the reviewed ones only when they are asked for; who reviewed what is kept."""
    async with office(tmp_path) as found:
        await found.open()
        for number in NUMBERS[:3]:
            await found.search(number)
            found.rig.clock.advance(minutes=1)
        page: SamplePage = await listed(found, page_size=2)
        assert [item.person for item in page.items] == [f"{each[:6]}{'*' * 10}{each[-2:]}" for each in NUMBERS[:2]]
        rest = await listed(found, page_size=2, page_token=page.next_page_token)
        assert (len(rest.items), rest.next_page_token) == (1, "")
        assert not any(number in repr(page) for number in NUMBERS)

        done = await review(found, page.items[0])
        assert done.review is not None
        assert (done.review.reviewer, done.review.words) == ("officer-9", "the letter names him")
        assert [item.lookup_id for item in (await listed(found)).items] == [
            page.items[1].lookup_id, rest.items[0].lookup_id,
        ]  # fmt: skip
        everything = await listed(found, with_reviewed=True)
        assert [item.review is not None for item in everything.items] == [True, False, False]


@pytest.mark.usefixtures("every_one")
async def test_sample_that_nobody_reviewed_is_overdue_after_five_working_days(tmp_path: Path) -> None:
    """Asked on Monday: in time through the Monday after, by a home with no calendar after seven days."""
    async with office(tmp_path) as found:
        await found.open()
        await found.search(NUMBERS[0])
        found.rig.clock.advance(days=7)
        item = (await listed(found)).items[0]
        assert (item.due, item.overdue) == (date(2026, 11, 30), False)
        found.rig.clock.advance(days=1)
        assert (await listed(found)).items[0].overdue


@pytest.mark.usefixtures("every_one")
async def test_sample_is_not_reviewed_by_who_asked_nor_twice_nor_with_another_key(tmp_path: Path) -> None:
    """Nor by the asker under a second name, nor without words, nor a look-up that chance did not pick."""
    async with office(tmp_path) as found:
        await found.open()
        await found.search(NUMBERS[0], officer="officer-9")
        await found.search(NUMBERS[1], officer="officer-1")
        items = {item.officer: item for item in (await listed(found)).items}
        await register_key(found.rig[JIANGXI], YUSHAN_POLICE, "officer-1", key=public_text(found.second))

        async def reason(item: SampleItem, **changes: str) -> str:
            with pytest.raises(BridgeheadError) as caught:
                await review(found, item, **changes)
            return caught.value.reason

        assert await reason(items["officer-9"]) == "REVIEW_SELF"
        assert await reason(items["officer-1"]) == "SAME_PERSON"
        assert await reason(items["officer-1"], reviewer="leader-1", signature="AAAA" * 21 + "AA==") == "OFFICER_KEY"
        assert await reason(items["officer-1"], reviewer="leader-1", words=" ") == "REVIEW_WORDS_MISSING"
        unknown = replace(items["officer-1"], lookup_id="00000000-0000-7000-8000-000000000000")
        assert await reason(unknown, reviewer="leader-1") == "REVIEW_UNKNOWN"
        assert (await review(found, items["officer-1"], reviewer="leader-1")).review is not None
        assert await reason(items["officer-1"], reviewer="leader-1") == "REVIEW_DONE"


async def test_sample_is_some_of_what_was_asked(tmp_path: Path) -> None:
    """By the node's own key: nothing that was not asked, and a refused question is not drawn."""
    async with office(tmp_path) as found:
        await found.open()
        asked = {(await found.search(number)).lookup_id for number in NUMBERS[:8]}
        assert {item.lookup_id for item in (await listed(found)).items} <= asked
