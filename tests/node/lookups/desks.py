"""Every office of Jiangxi at its own node, and one adult of Changshan, who is asked for through both nodes."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.domain.lookups import FetchItem, Selector, SelectorKind, step_up_bytes
from federation.domain.lookups_case import LookupCase
from federation.domain.permits import Permit, format_permit_urn, register_permit
from federation.node.exchange.errand import begin_errand
from federation.node.lookups import ask as asking
from federation.node.lookups import fetch as fetching
from federation.node.lookups import records
from federation.node.permits_sharing import put_own_permits
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, parse_message_id
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.lookups import FetchQuestion, LookupQuestion
from federation.wire.rpc import Act
from tests.node.lookups.hostile import Ask, CaseState, case_of, with_added_offices
from tests.node.rig import JIANGXI, START, ZHEJIANG, Rig, application, register_key, running_rig


class Key(StrEnum):
    """With which key the officer signs."""

    OWN = "own"
    OTHER = "other"
    NONE = "none"


@dataclass
class Desks:
    """Every office of Jiangxi at its node; one adult of Changshan, who is asked for."""

    rig: Rig
    permit: Permit
    key: Ed25519PrivateKey
    count: int = 0
    stolen: str = ""
    noes: list[str] = field(default_factory=list)

    async def ask(
        self, ask: Ask, *, key: Key = Key.OWN, province: NodeName = ZHEJIANG, told: CaseState | None = None
    ) -> Mapping[str, str]:
        """Searches and fetches; what was released. Each ask is another officer's, under a case of its own.

        `told` is how the case stands at the province asked, when it was told another thing.
        """
        self.count += 1
        case_id, officer = f"CASE-{self.count:06d}", f"officer-{self.count}"
        await register_key(self.rig[JIANGXI], ask.asker, officer, key=f"ed25519:{_public(self.key)}")
        await self._plant(ask, case_id, told=told or ask.case)
        act = Act(request_id=str(uuid.uuid4()), purpose=ask.purpose, function=ask.function, officer=officer)
        try:
            return await self._ask(ask, act, key=key, province=province, case_id=case_id)
        except BridgeheadError as error:
            self.noes.append(error.reason)
            return {}

    async def _ask(self, ask: Ask, act: Act, *, key: Key, province: NodeName, case_id: str) -> Mapping[str, str]:
        node = self.rig[JIANGXI]
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=self.permit.holder.citizen_number)
        question = LookupQuestion(case_id=case_id, selector=selector, provinces=(province,))
        handle = self.stolen or "x" * 32
        try:
            found = await asking.search(begin_errand(node, ask.asker, act), question)
            self.noes += (found.answers[0].outcome, *found.answers[0].policies)
            handle = found.answers[0].handle or handle
        except BridgeheadError as error:
            self.noes.append(error.reason)
        act = replace(act, request_id=str(uuid.uuid4()))
        asked = self._question(ask, handle, case_id, key=key, province=province)
        released = await fetching.fetch(begin_errand(node, ask.asker, act), asked)
        self.stolen = self.stolen or handle
        self.noes += released.policies if not released.fields else ()
        return released.fields

    def _question(self, ask: Ask, handle: str, case_id: str, *, key: Key, province: NodeName) -> FetchQuestion:
        signer = Ed25519PrivateKey.generate() if key is Key.OTHER else self.key
        unsigned = FetchItem(
            lookup_id=parse_message_id("00000000-0000-7000-8000-000000000000"), handle=handle, fields=ask.fields,
            officer_key=_public(signer), officer_signature="",
        )  # fmt: skip
        signature = bytes(64) if key is Key.NONE else signer.sign(step_up_bytes(unsigned))
        return FetchQuestion(
            case_id=case_id, node=province, handle=handle, fields=ask.fields, officer_key=_public(signer),
            officer_signature=base64.b64encode(signature).decode(),
        )  # fmt: skip

    async def _plant(self, ask: Ask, case_id: str, *, told: CaseState) -> None:
        """The case at both nodes, as if it had been opened and told."""
        for name, state in ((JIANGXI, ask.case), (ZHEJIANG, told)):
            case = case_of(replace(ask, case=state), case_id)
            if case is not None:
                await self.rig[name].sequencer.commit(partial(_put_case, case=case, told=name == ZHEJIANG))


@asynccontextmanager
async def open_desks(folder: Path) -> AsyncIterator[Desks]:
    """Two nodes that deliver; the permit is Zhejiang's, and nothing was asked yet."""
    async with running_rig(folder, (ZHEJIANG, JIANGXI), answers_per_office_day=10**9) as rig:
        rig.put_in_force(with_added_offices(rig.agreement))
        rig.start_delivery()
        permit = register_permit(
            application(), format_permit_urn("330822", START.year, serial="00000001"), today=START.date()
        )
        await rig[ZHEJIANG].sequencer.commit(lambda tx: put_own_permits(tx, [permit], owner=ZHEJIANG, before=0))
        yield Desks(rig, permit, Ed25519PrivateKey.generate())


def _put_case(transaction: GroupTransaction, *, case: LookupCase, told: bool) -> None:
    cases = records.ANNOUNCED_CASES if told else records.OWN_CASES
    if case.closed:
        cases.put(transaction, replace(case, closed=False, version=1), owner=JIANGXI)
    cases.put(transaction, case, owner=JIANGXI)


def _public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
