"""Who opens, asks and closes: the leader opens and closes, others ask; one letter, one case; an office is counted, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.lookups_case import Quotas, letter_name, verify_case_quota
from federation.domain.oversight import DESK_BURST, OFF_HOURS_SHARE, OFFICE_BURST, FlagKind
from federation.node.exchange.errand import begin_errand
from federation.node.lookups import cases
from federation.protocol.errors import RuleError
from federation.protocol.form import replace
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.log_reader import load_entries
from federation.wire.agency.lookups import CaseQuestion
from tests.node.lookups.office import CASE, GLASS, NUMBERS, PURPOSE, Office, office, public_text
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, register_key

TERMS = CaseQuestion(
    case_id=CASE, letter="玉公协〔2026〕1号", counties=frozenset({"330822"}), purposes=frozenset({PURPOSE}), days=30,
    leader="leader-1",
)  # fmt: skip


async def opened(found: Office, *, officer: str = "leader-1", **changes: object):
    errand = begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03", officer=officer))
    return await cases.begin_case(errand, replace(TERMS, **changes))


async def closed(found: Office, case_id: str = CASE, *, officer: str = "leader-1"):
    errand = begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03", officer=officer))
    return await cases.end_case(errand, case_id)


def last_refusal(found: Office) -> tuple[str, ...]:
    """The rules of the newest leaf, which is a no."""
    node = found.rig[JIANGXI]
    leaf = decode_leaf(load_entries(node.database, node.sequencer.head.size - 1, 1)[0])
    assert leaf.kind is LeafKind.REFUSED
    return leaf.policies


async def test_case_is_opened_and_closed_by_its_leader_alone(tmp_path: Path) -> None:
    """In the leader's name nobody else opens it, and nobody else ends it; each no is a leaf."""
    async with office(tmp_path) as found:
        with pytest.raises(RuleError, match="CASE_OPENER"):
            await opened(found, officer="officer-1")
        assert last_refusal(found) == ("rule-case-opener",)
        assert (await opened(found)).decision.allowed

        with pytest.raises(RuleError, match="CASE_CLOSER"):
            await closed(found, officer="officer-1")
        assert last_refusal(found) == ("rule-case-closer",)
        assert (await closed(found)).decision.allowed


async def test_glass_is_closed_by_who_broke_it_or_by_its_leader(tmp_path: Path) -> None:
    """The officer at night opens and ends it; a colleague does not."""
    async with office(tmp_path) as found:
        assert (await found.open(GLASS)).decision.allowed
        with pytest.raises(RuleError, match="CASE_CLOSER"):
            await closed(found, GLASS, officer="officer-5")
        assert (await closed(found, GLASS, officer="officer-1")).decision.allowed


async def test_leader_does_not_ask_in_the_case_under_no_name(tmp_path: Path) -> None:
    """Neither as the leader, nor under a second name with the same key; somebody else asks."""
    async with office(tmp_path) as found:
        await found.open()
        await register_key(found.rig[JIANGXI], YUSHAN_POLICE, "officer-8", key=public_text(found.key))
        for name in ("leader-1", "officer-8"):
            (answer,) = (await found.search(NUMBERS[0], officer=name)).answers
            assert answer.policies == ("rule-case-leader-asks",)
            assert answer.explanation_zh
        (answer,) = (await found.search(NUMBERS[0])).answers
        assert "rule-case-leader-asks" not in answer.policies


async def test_one_letter_is_for_one_case_on_both_sides(tmp_path: Path) -> None:
    """However it is spaced and written; the other province does not take a second case under it either."""
    assert letter_name("玉公协〔2026〕1号") == letter_name(" 玉公协 〔２０２６〕1 号")
    assert (
        letter_name("玉公协〔2026〕A-1号")
        == letter_name("玉公协［2026］a\u20141号")
        == letter_name("玉公协(2026)A\u20101号")
    )
    assert letter_name("玉公协〔2026〕1号") != letter_name("玉公协〔2026〕11号")
    async with office(tmp_path) as found:
        await opened(found)
        with pytest.raises(RuleError, match="LETTER_USED"):
            await opened(found, case_id="CASE-2026-0002", letter="玉公协 〔2026〕１号")
        assert last_refusal(found) == ("rule-letter-used",)
        assert (await opened(found, case_id="CASE-2026-0002", letter="玉公协〔2026〕2号")).decision.allowed

        await closed(found)  # the same case in its next version keeps its letter
        await found.rig.drain()
        zhejiang = found.rig[ZHEJIANG]
        leaves = map(decode_leaf, load_entries(zhejiang.database, 0, zhejiang.sequencer.head.size))
        assert [leaf.kind for leaf in leaves] == [LeafKind.RECEIVED] * 3


async def test_office_opens_so_many_cases_a_day(tmp_path: Path) -> None:
    """The one too many is a logged no; the next day begins anew."""
    async with office(tmp_path, cases_an_office_day=2) as found:
        for number in (1, 2):
            await opened(found, case_id=f"CASE-2026-000{number}", letter=f"玉公协 {number}")
        with pytest.raises(RuleError, match="QUOTA_CASES"):
            await opened(found, case_id="CASE-2026-0003", letter="玉公协 3")
        assert last_refusal(found) == ("rule-quota-cases",)
        found.rig.clock.advance(days=1)
        assert (await opened(found, case_id="CASE-2026-0003", letter="玉公协 3")).decision.allowed
    verify_case_quota(20, Quotas())
    with pytest.raises(RuleError, match="QUOTA_CASES"):
        verify_case_quota(21, Quotas())


@pytest.mark.parametrize(
    ("limit", "rule"),
    [({"lookups_a_desk_day": 2}, "rule-quota-desk"), ({"lookups_an_office_day": 2}, "rule-quota-office")],
    ids=["desk", "office"],
)
async def test_desk_and_office_are_counted_whoever_asks(tmp_path: Path, limit: dict[str, int], rule: str) -> None:
    """Three officers, one certificate: the third is refused, though each asked once."""
    async with office(tmp_path, **limit) as found:
        await found.open()
        for number in (1, 2):
            (answer,) = (await found.search(NUMBERS[0], officer=f"officer-{number}", desk="a1")).answers
            assert rule not in answer.policies
        (answer,) = (await found.search(NUMBERS[0], officer="officer-3", desk="a1")).answers
        assert answer.policies == (rule,)


@pytest.mark.attack("120 people asked about by many names in seconds", held_by="bursts of a desk and of an office")
async def test_burst_of_a_desk_and_of_an_office_is_flagged_whatever_names_ask(tmp_path: Path) -> None:
    """Each officer asks four times only; the desk's and then the office's burst is one flag each."""
    async with office(tmp_path) as found:
        for number in range(1, OFFICE_BURST // 30 + 1):
            await found.open(f"CASE-2026-{number:04}")
            for asked in range(30):
                case_id, name = f"CASE-2026-{number:04}", f"officer-{number}-{asked // 4}"
                await found.search(NUMBERS[asked % 10], case_id, officer=name, desk="a1")
        raised = found.flags()
        assert (raised.count(FlagKind.DESK_BURST), raised.count(FlagKind.OFFICE_BURST)) == (1, 1)
        assert DESK_BURST // OFF_HOURS_SHARE >= 5
