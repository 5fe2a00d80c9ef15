"""How far a case reaches: alone, with the leader's countersignature, with two persons', and not beyond."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from federation.domain.lookups import Outcome
from federation.domain.lookups_case import Quotas, bulk_bytes, countersign_bytes
from federation.node.exchange.errand import begin_errand
from federation.node.lookups import records as rules
from federation.node.oversight import leaders
from federation.protocol.errors import BridgeheadError, RuleError
from federation.wire.agency.oversight import Countersigned, CountersignQuestion
from tests.node.lookups.office import CASE, NUMBERS, Office, office, public_text
from tests.node.rig import JIANGXI, YUSHAN_POLICE, register_key

LEADER, SECOND = "leader-1", "officer-9"


async def ask(found: Office, *numbers: str, officer: str = "officer-1") -> None:
    for number in numbers:
        answer = (await found.search(number, officer=officer)).answers[0]
        assert answer.outcome is Outcome.NO_HIT, answer.policies


async def refused(found: Office, number: str, *, officer: str = "officer-1") -> tuple[str, ...]:
    """The rule that refuses the next one."""
    answer = (await found.search(number, officer=officer)).answers[0]
    assert answer.outcome is Outcome.REFUSED
    return answer.policies


async def sign(found: Office, signer: str) -> Countersigned:
    """One of the two signatures, as the port takes it."""
    key = found.second if signer == SECOND else found.key
    signature = base64.b64encode(key.sign(bulk_bytes(CASE, YUSHAN_POLICE))).decode()
    question = CountersignQuestion(case_id=CASE, signature=signature, bulk=True)
    return await leaders.countersign(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act(signer)), question)


async def countersign(found: Office) -> None:
    signed = found.signed(CASE, countersign_bytes(CASE, YUSHAN_POLICE))
    question = CountersignQuestion(case_id=CASE, signature=signed.signature)
    await leaders.countersign(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act(LEADER)), question)


async def test_case_reaches_ten_alone_thirty_with_the_leader_and_more_with_two_persons(tmp_path: Path) -> None:
    """Each bound holds to the last one below it, and each refusal names the rule, whose words say what lifts it."""
    async with office(tmp_path) as found:
        await found.open()
        await ask(found, *NUMBERS[:10])
        assert await refused(found, NUMBERS[10]) == ("rule-quota-persons",)

        await countersign(found)
        await ask(found, *NUMBERS[10:30])
        assert await refused(found, NUMBERS[30]) == ("rule-quota-case",)

        assert not (await sign(found, LEADER)).complete
        assert await refused(found, NUMBERS[30]) == ("rule-quota-case",)
        with pytest.raises(RuleError, match="BULK_SECOND_PERSON"):
            await sign(found, LEADER)

        done = await sign(found, SECOND)
        assert (done.complete, done.signers) == (True, (LEADER, SECOND))
        await ask(found, *NUMBERS[30:35])
        assert (await sign(found, LEADER)).complete


async def test_bulk_alone_lifts_the_persons_too_and_who_signed_asks_no_more(tmp_path: Path) -> None:
    """The leader is one of the two; a signer who asks afterwards is held to what anybody may ask alone."""
    async with office(tmp_path) as found:
        await found.open()
        await ask(found, *NUMBERS[:10])
        await sign(found, SECOND)
        await sign(found, LEADER)
        await ask(found, *NUMBERS[10:31])
        assert await refused(found, NUMBERS[31], officer=SECOND) == ("rule-quota-case",)
        assert await refused(found, NUMBERS[31], officer=LEADER) == ("rule-case-leader-asks",)


async def test_bulk_is_not_signed_by_who_asked_nor_by_one_person_under_two_names(tmp_path: Path) -> None:
    """Neither an officer who asked in the case, nor a second name with the same key, nor a key of nobody."""
    async with office(tmp_path) as found:
        await found.open()
        await ask(found, NUMBERS[0], officer=SECOND)
        with pytest.raises(RuleError, match="COUNTERSIGN_SELF"):
            await sign(found, SECOND)
        await register_key(found.rig[JIANGXI], YUSHAN_POLICE, "officer-8", key=public_text(found.key))
        assert not (await sign(found, LEADER)).complete
        with pytest.raises(RuleError, match="SAME_PERSON"):
            await sign(found, "officer-8")
        with pytest.raises(BridgeheadError, match="OFFICER_KEY"):
            await sign(found, "officer-4")
        node = found.rig[JIANGXI]
        release = leaders.find_bulk(node.database, YUSHAN_POLICE, CASE)
        assert release is not None
        assert not release.complete


async def test_leader_under_a_second_name_does_not_countersign_what_they_asked(tmp_path: Path) -> None:
    """Whoever asked with the leader's key under another name asked as the leader."""
    async with office(tmp_path) as found:
        await found.open()
        await ask(found, NUMBERS[0])
        await register_key(found.rig[JIANGXI], YUSHAN_POLICE, "officer-1", key=public_text(found.key))
        assert await refused(found, NUMBERS[1]) == ("rule-case-leader-asks",)
        with pytest.raises(RuleError, match="SAME_PERSON"):
            await countersign(found)


async def test_limit_above_is_everybodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it no signature helps: another case under another letter."""
    monkeypatch.setattr(rules, "QUOTAS", Quotas(per_case=2, persons_per_case=1, per_case_bulk=4))
    async with office(tmp_path) as found:
        await found.open()
        await ask(found, NUMBERS[0])
        await sign(found, SECOND)
        await sign(found, LEADER)
        await ask(found, *NUMBERS[1:4])
        assert await refused(found, NUMBERS[4]) == ("rule-quota-case-limit",)
