"""An officer's key as it changes: a leaf and a notice each, told to the province that is asked, pinned there."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.cli.lookups import sign_fetch
from federation.domain.lookups import Outcome
from federation.domain.officers import KeyStanding, OfficerKey, key_subject, verify_key_follows
from federation.domain.oversight import FlagKind
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.lookups import fetch as fetching
from federation.node.node import Node
from federation.node.officer_keys import Occurrence, find_key, is_pinned, register_key, withdraw_key
from federation.protocol.errors import RuleError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId
from federation.protocol.keys import Ed25519Signer, format_public_key
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.log_reader import find_leaf, load_entries
from federation.wire.agency.lookups import FetchResult
from tests.node.lookups.office import CASE, PURPOSE, Office, flags_at, office
from tests.node.rig import HALL, JIANGXI, POLICE, YUSHAN_POLICE, ZHEJIANG, act, application, received
from tests.scenarios.provinces import own_key

FIELDS = frozenset({"holder_name", "status"})
FIRST, SECOND = Ed25519Signer(b"\x01" * 32), Ed25519Signer(b"\x02" * 32)


def public(signer: Ed25519Signer) -> str:
    return format_public_key(signer.public_key)


async def register(node: Node, signer: Ed25519Signer, *, changes: bool = False) -> None:
    at = Occurrence(agreement=node.trust.in_force.agreement, now=node.now())
    own = own_key(YUSHAN_POLICE, "officer-1", public(signer))
    await node.sequencer.commit(lambda tx: register_key(tx, own, at=at, replaces=changes))


async def hit(found: Office) -> str:
    """The handle of somebody in Changshan, for officer-1."""
    registered = await permits.register(begin_errand(found.rig[ZHEJIANG], HALL, act()), application())
    assert registered.permit is not None
    return await handle(found, application().holder.citizen_number)


async def handle(found: Office, number: str) -> str:
    (answer,) = (await found.search(number)).answers
    assert answer.handle is not None, answer
    return answer.handle


async def fetch(found: Office, handle: str, signer: Ed25519Signer) -> FetchResult:
    question = sign_fetch(signer, case_id=CASE, node=ZHEJIANG, handle=handle, fields=FIELDS)
    return await fetching.fetch(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03")), question)


def leaves(node: Node) -> list[LeafKind]:
    return [decode_leaf(entry).kind for entry in load_entries(node.database, 0, node.sequencer.head.size)]


def notices(node: Node, desk: AgencyId) -> list[str]:
    return [flag.officer for flag in flags_at(node, desk) if flag.kind is FlagKind.KEY_CHANGED]


@pytest.mark.attack("a second key registered over an officer's", held_by="refused unless meant; a leaf and a flag")
async def test_second_key_never_takes_the_place_of_the_first_in_silence(tmp_path: Path) -> None:
    """Refused unless it is meant; then a leaf for the end of the one and one for the other, and a notice at the desk.

    A withdrawal likewise, with the one leaf: whoever knows a key finds its beginning and its end in the log.
    """
    async with office(tmp_path) as found:
        node = found.rig[JIANGXI]
        before = leaves(node).count(LeafKind.OFFICER_KEY)
        await register(node, FIRST)
        await register(node, FIRST)
        assert leaves(node).count(LeafKind.OFFICER_KEY) == before + 1
        assert notices(node, YUSHAN_POLICE) == []

        with pytest.raises(RuleError, match="OFFICER_KEY_EXISTS"):
            await register(node, SECOND)
        assert find_key(node.database, YUSHAN_POLICE, "officer-1", pinned=False).key == public(FIRST)

        await register(node, SECOND, changes=True)
        at = Occurrence(agreement=node.trust.in_force.agreement, now=node.now())
        await node.sequencer.commit(lambda tx: withdraw_key(tx, YUSHAN_POLICE, "officer-1", at=at))
        assert leaves(node).count(LeafKind.OFFICER_KEY) == before + 4
        first = OfficerKey(
            agency=YUSHAN_POLICE, officer="officer-1", version=2, standing=KeyStanding.WITHDRAWN, key=public(FIRST)
        )
        for said in (first, replace(first, version=3, key=public(SECOND))):
            assert find_leaf(node.database, LeafKind.OFFICER_KEY, key_subject(said)) is not None
        assert notices(node, YUSHAN_POLICE) == ["officer-1", "officer-1"]


async def test_key_is_told_before_the_first_fetch_and_pinned(tmp_path: Path) -> None:
    """Once a version; the owner releases under it alone, and a change is a notice at its desk, too."""
    async with office(tmp_path) as found:
        jiangxi, zhejiang = found.rig[JIANGXI], found.rig[ZHEJIANG]
        await register(jiangxi, FIRST)
        await found.open()
        shown = await hit(found)
        assert not is_pinned(zhejiang.database, YUSHAN_POLICE, "officer-1", key=public(FIRST))

        assert (await fetch(found, shown, FIRST)).outcome is Outcome.HIT
        assert (await fetch(found, shown, FIRST)).outcome is Outcome.HIT
        told = [message for message in received(zhejiang, JIANGXI) if message.kind == "officer.key"]
        assert len(told) == 1
        assert is_pinned(zhejiang.database, YUSHAN_POLICE, "officer-1", key=public(FIRST))

        await register(jiangxi, SECOND, changes=True)
        shown = await handle(found, application().holder.citizen_number)
        assert (await fetch(found, shown, FIRST)).policies == ("rule-officer-key",)
        assert (await fetch(found, shown, SECOND)).outcome is Outcome.HIT
        assert not is_pinned(zhejiang.database, YUSHAN_POLICE, "officer-1", key=public(FIRST))
        assert [name for desk in (POLICE, *zhejiang_desks(zhejiang)) for name in notices(zhejiang, desk)] == [
            "officer-1"
        ]


def zhejiang_desks(node: Node) -> list[AgencyId]:
    agencies = node.trust.in_force.agreement.members[ZHEJIANG].agencies
    return [agency for agency in agencies if agency.kind == "police" and agency != POLICE]


@pytest.mark.attack("a fetch under a key that the officer's province never told", held_by="the key is pinned")
async def test_fetch_under_a_key_that_was_not_told_is_refused_by_the_owner(tmp_path: Path, monkeypatch) -> None:
    """The asking node keeps silent about the key: its own signature over the fetch opens nothing."""
    async with office(tmp_path) as found:
        await register(found.rig[JIANGXI], FIRST)
        await found.open()
        shown = await hit(found)

        async def silent(errand: object, to: object) -> None:
            del errand, to

        monkeypatch.setattr(fetching, "tell_key", silent)
        refused = await fetch(found, shown, FIRST)
        assert (refused.outcome, refused.policies) == (Outcome.REFUSED, ("deny-fetch-no-step-up",))


def test_pinned_key_changes_by_a_later_version_only() -> None:
    """The same once more is no harm; an older one, or another under the same number, is refused."""
    key = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    first = OfficerKey(
        agency=YUSHAN_POLICE, officer="officer-1", version=2, standing=KeyStanding.REGISTERED, key=f"ed25519:{key}"
    )
    assert verify_key_follows(None, first) == verify_key_follows(first, first) == first
    other = OfficerKey(agency=YUSHAN_POLICE, officer="officer-1", version=2, standing=KeyStanding.WITHDRAWN, key="")
    with pytest.raises(RuleError, match="OFFICER_KEY_STEP"):
        verify_key_follows(first, other)
