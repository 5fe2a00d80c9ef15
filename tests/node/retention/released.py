"""A release to read again and to erase: Yushan's police fetched two fields of one person of Changshan."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.domain.lookups import FetchItem, Outcome, Selector, SelectorKind, step_up_bytes
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.lookups import ask as asking
from federation.node.lookups import cases
from federation.node.lookups import fetch as fetching
from federation.protocol.ids import MessageId, NodeName, Pair
from federation.store.messages import StoredMessage, list_messages
from federation.wire.agency.lookups import CaseQuestion, FetchQuestion, FetchResult, LookupQuestion
from tests.node.rig import (
    HALL,
    JIANGXI,
    NODES,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    act,
    applications,
    lead_act,
    register_key,
    running_rig,
)
from tests.scenarios.check_federation import NodeStore, check_federation

PURPOSE, CASE, OFFICER = "lookup.criminal_investigation", "CASE-2026-0001", "officer-1"
FIELDS = frozenset({"holder_name", "status"})
PERSON = next(
    each for each in applications()
    if each.residence_division == "330822" and not each.sealed and not each.guardian
    and each.holder.household_division[:2] not in ("36", "34") and each.work_division is None
)  # fmt: skip
NUMBER = PERSON.holder.citizen_number
OUT, BACK = Pair(JIANGXI, ZHEJIANG), Pair(ZHEJIANG, JIANGXI)


@dataclass
class Border:
    """The rig, the officer's key, and what the search came to."""

    rig: Rig
    key: Ed25519PrivateKey
    lookup_id: str = ""
    handle: str = ""

    def police(self):
        return {"caller": YUSHAN_POLICE, "act": act(PURPOSE, "F03")}

    async def open_case(self, case_id: str = CASE) -> None:
        question = CaseQuestion(
            case_id=case_id, letter=f"玉公协 {case_id}", counties=frozenset({"330822"}),
            purposes=frozenset({PURPOSE}), days=30, leader="leader-1",
        )  # fmt: skip
        await cases.begin_case(begin_errand(self.rig[JIANGXI], YUSHAN_POLICE, lead_act(PURPOSE)), question)

    async def close_case(self, case_id: str = CASE) -> None:
        await cases.end_case(begin_errand(self.rig[JIANGXI], YUSHAN_POLICE, lead_act(PURPOSE)), case_id)

    async def search(self, case_id: str = CASE) -> None:
        self.rig.clock.advance(seconds=1)  # two steps have two times
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=NUMBER)
        question = LookupQuestion(case_id=case_id, selector=selector, provinces=(ZHEJIANG,))
        found = await asking.search(begin_errand(self.rig[JIANGXI], **self.police()), question)
        assert found.answers[0].outcome is Outcome.HIT, found
        self.lookup_id, self.handle = found.lookup_id, found.answers[0].handle or ""

    async def fetch(self, case_id: str = CASE) -> FetchResult:
        self.rig.clock.advance(seconds=1)
        public = base64.b64encode(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        item = FetchItem(
            lookup_id=MessageId("00000000-0000-7000-8000-000000000000"), handle=self.handle, fields=FIELDS,
            officer_key=public, officer_signature="",
        )  # fmt: skip
        signature = base64.b64encode(self.key.sign(step_up_bytes(item))).decode()
        question = FetchQuestion(
            case_id=case_id, node=ZHEJIANG, handle=self.handle, fields=FIELDS, officer_key=public,
            officer_signature=signature,
        )  # fmt: skip
        return await fetching.fetch(begin_errand(self.rig[JIANGXI], **self.police()), question)

    def sent(self, at: NodeName, kind: str) -> list[StoredMessage]:
        """The messages of a kind between the two, as the sender keeps them."""
        pair = OUT if at == JIANGXI else BACK
        found = list_messages(self.rig[at].database, "sent", pair=pair, after_seq=0, limit=1000)
        return [message for message in found if message.kind == kind]

    async def verify(self) -> None:
        """Every log computed again, each pair compared, every envelope and receipt verified."""
        await self.rig.drain()
        kept = [NodeStore(name, host.node.database, host.keyring.log) for name, host in self.rig.hosts.items()]
        await check_federation(kept, self.rig.agreement, now=self.rig.clock())


@asynccontextmanager
async def border(folder: Path) -> AsyncIterator[Border]:
    """Four provinces, the person's permit, the officer's key, an open case; nothing was asked yet."""
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    async with running_rig(folder, NODES) as rig:
        rig.start_delivery()
        await register_key(rig[JIANGXI], YUSHAN_POLICE, OFFICER, key=f"ed25519:{public}")
        registered = await permits.register(
            begin_errand(rig[ZHEJIANG], HALL, act("permit.administration", "F02")), PERSON
        )
        assert registered.permit is not None
        found = Border(rig, key)
        await found.open_case()
        yield found


@asynccontextmanager
async def released(folder: Path) -> AsyncIterator[Border]:
    """The same after a search that hit and a fetch that was answered."""
    async with border(folder) as found:
        await found.search()
        result = await found.fetch()
        assert result.outcome is Outcome.HIT, result
        yield found
