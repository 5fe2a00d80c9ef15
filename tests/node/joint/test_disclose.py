"""Items handed over later (`disclose_item`), and a child's items once the guardian agrees: by policy, once, or said gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.case_items import CaseItem
from federation.node.joint.case_sharing import DISCLOSURE
from federation.protocol.body import PartialBody, verify_partial
from federation.protocol.errors import RuleError
from federation.protocol.ids import NodeName, Pair
from federation.store.messages import StoredMessage, find_handed, list_messages
from federation.wire.agency.cases import EntryLine
from tests.node.joint.desks import BODY, CONTACT, NOTE, PARTY, PEER, PEER_BODY, TOWN, Desks, desks, digest
from tests.node.retention.test_joint_cases import order
from tests.node.rig import JIANGXI, ZHEJIANG

PHONE = CONTACT.fields["phone"]
CHILD = CaseItem(kind="party", fields={"side": "A", "name": "林小", "county": "330822", "number": "330822222109113458"})
"""Born in 2021, as synthetic numbers say it."""


async def entered(case: Desks, party: CaseItem = PARTY, **fields: str) -> EntryLine:
    """A party with a contact, of whom the counterpart and a mediation body are shown name, county and last four."""
    await case.open()
    entry = await case.does(
        TOWN, "add_party", party, CONTACT, party="p1", side="A", role="applicant", county="330822", **fields
    )
    for office, role in ((PEER, "peer"), (PEER_BODY, "body")):
        await case.invites(office, role)
    return entry


async def shown(case: Desks, office, name: str) -> dict[str, str]:
    """All open fields of an entry, as an office reads them."""
    (line,) = [line for line in await case.entries(office) if line.name == name]
    return {field: text for item in line.items for field, text in item.fields.items()}


def disclosures(case: Desks, at: NodeName = JIANGXI) -> list[StoredMessage]:
    """What was handed over again behind what joining brought: the counterpart was sent the head before it joined."""
    direction = "received" if at == JIANGXI else "sent"
    found = list_messages(case.rig[at].database, direction, pair=Pair(ZHEJIANG, JIANGXI), after_seq=0, limit=1000)
    return [message for message in found if message.kind == DISCLOSURE.name][1:]


async def notices(case: Desks, office) -> list[str]:
    return [notice.en for notice in (await case.view(office)).notices]


def asked(about: str, **fields: str) -> dict[str, str]:
    return {"about": about, "item": "2", "fields": "phone", "agency": str(PEER), **fields}


async def test_item_is_handed_to_the_office_that_an_act_names_once_and_proved(tmp_path: Path) -> None:
    """Its node was away: it gets the field under the entry's commitment when it is back; no other office is shown it."""
    async with desks(tmp_path, wait=0.05) as case:
        entry = await entered(case)
        before = await shown(case, PEER, entry.name)
        assert "phone" not in before
        case.rig.faults(ZHEJIANG, JIANGXI).cut = True
        await case.does(TOWN, "disclose_item", **asked(entry.name))
        with pytest.raises(RuleError, match="DONE_ALREADY"):
            await case.tries(TOWN, "disclose_item", **asked(entry.name))
        assert disclosures(case) == []
        case.rig.faults(ZHEJIANG, JIANGXI).cut = False
        await case.settled()

        assert await shown(case, PEER, entry.name) == {**before, "phone": PHONE}
        assert await shown(case, PEER_BODY, entry.name) == before
        (message,) = disclosures(case)
        handed = find_handed(case.rig[JIANGXI].database, message.id)
        ref = case.held(ZHEJIANG).kept[entry.name].ref
        assert isinstance(handed, PartialBody)
        assert ref is not None
        assert verify_partial(handed, ref)
        assert await notices(case, PEER) == await notices(case, TOWN) == []


async def test_what_may_not_be_handed_over_is_refused_at_the_act_with_its_reason(tmp_path: Path) -> None:
    """By the procedure, by what never crosses, by whose entry it is; an item that is not there; nothing is written."""
    async with desks(tmp_path) as case:
        entry = await entered(case)
        note = await case.does(TOWN, "note", NOTE)
        count = len(case.held(ZHEJIANG).kept)
        for fields, policy in (
            (asked(note.name, item="1", fields="text"), "deny-case-item-at-home"),
            (asked(entry.name, item="1", fields="side"), "default-deny"),
        ):
            outcome = await case.tries(TOWN, "disclose_item", **fields)
            assert outcome.decision.policies == (policy,)
            assert outcome.entry is None
        for office, fields, reason in (
            (PEER, asked(entry.name), "OTHER_PROVINCES_ENTRY"),
            (TOWN, asked(entry.name, agency=str(BODY)), "NOT_A_MEMBER"),
            (TOWN, asked(digest("nothing")), "CITES_NOTHING"),
        ):
            with pytest.raises(RuleError, match=reason):
                await case.tries(office, "disclose_item", **fields)
        for fields in (asked(entry.name, item="9"), asked(entry.name, fields="phone,number")):
            with pytest.raises(RuleError) as caught:
                await case.tries(TOWN, "disclose_item", **fields)
            assert caught.value.reason == "ITEM_UNKNOWN"
        assert len(case.held(ZHEJIANG).kept) == count
        assert disclosures(case, ZHEJIANG) == []


async def test_item_that_was_destroyed_before_it_arrived_is_said_to_be_gone(tmp_path: Path) -> None:
    """The office has the entry erased while the other side is away: nothing of it arrives, and both sides say so."""
    async with desks(tmp_path, wait=0.05) as case:
        entry = await entered(case)
        case.rig.faults(ZHEJIANG, JIANGXI).cut = True
        await case.does(TOWN, "disclose_item", **asked(entry.name))
        (awaited,) = disclosures(case, ZHEJIANG)
        assert find_handed(case.rig[ZHEJIANG].database, awaited.id) is not None
        await order(case, entry)
        await case.rig.restore(ZHEJIANG, JIANGXI)
        await case.settled()

        assert disclosures(case) == []
        assert await shown(case, PEER, entry.name) == await shown(case, TOWN, entry.name) == {}
        for office in (PEER, TOWN):
            assert [said for said in await notices(case, office) if "has been destroyed" in said]
        with pytest.raises(RuleError) as caught:
            await case.tries(TOWN, "disclose_item", **asked(entry.name, agency=str(PEER_BODY)))
        assert caught.value.reason == "ITEM_ERASED"


async def test_child_is_shown_once_the_guardian_agrees_and_while_that_stands(tmp_path: Path) -> None:
    """The number alone says that it is a child; the consent is an entry, of the child's own side; taken back, it closes."""
    async with desks(tmp_path) as case:
        entry = await entered(case, CHILD)
        assert await shown(case, PEER, entry.name) == {}
        refused = await case.tries(TOWN, "disclose_item", **asked(entry.name))
        assert refused.decision.policies == ("deny-case-child",)
        consent = {"about": entry.name, "guardian": "parent", "paper": digest("consent")}
        with pytest.raises(RuleError, match="OTHER_PROVINCES_ENTRY"):
            await case.tries(PEER, "guardian_agrees", **consent)
        await case.does(TOWN, "guardian_agrees", **consent)
        await case.settled()
        assert await shown(case, PEER, entry.name) == {"name": "林小", "county": "330822"}
        await case.does(TOWN, "disclose_item", **asked(entry.name))
        await case.settled()
        assert await shown(case, PEER, entry.name) == {"name": "林小", "county": "330822", "phone": PHONE}
        await case.does(TOWN, "guardian_withdraws", about=entry.name)
        await case.settled()
        assert await shown(case, PEER, entry.name) == {}
        refused = await case.tries(TOWN, "disclose_item", **asked(entry.name, fields="phone", agency=str(PEER_BODY)))
        assert refused.decision.policies == ("deny-case-child",)


async def test_sealed_person_is_handed_to_nobody(tmp_path: Path) -> None:
    """Neither at the entry nor by an act."""
    async with desks(tmp_path) as case:
        sealed = CaseItem(kind="party", fields={**PARTY.fields, "sealed": "yes"})
        entry = await entered(case, sealed)
        assert await shown(case, PEER, entry.name) == {}
        refused = await case.tries(TOWN, "disclose_item", **asked(entry.name))
        assert refused.decision.policies == ("deny-case-sealed",)
