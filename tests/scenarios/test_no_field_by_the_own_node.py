"""The same table once more, by the door that an office really has: its own node, which asks Zhejiang for it.

A search and a fetch through both nodes, for each kind of office, purpose, state of the case, key and field; the oracle is
that of `test_no_field_beyond_the_table`. Who gets no handle of their own shows one that a colleague got.
"""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.domain.lookup.asking import FetchItem, Selector, SelectorKind, step_up_bytes
from federation.domain.permit import Permit, format_permit_urn, register_permit
from federation.node.lookups import records
from federation.node.lookups.asking import fetch as fetching
from federation.node.lookups.asking import search as searching
from federation.node.lookups.officers import register_officer_key
from federation.node.permits.records import put_own_permits
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import AgencyId, NodeName, parse_message_id
from federation.wire.lookups.values import FetchQuestion, LookupQuestion
from federation.wire.values import Act
from tests.node.lookups.hostile import Ask, CaseState, case_of, with_added_offices
from tests.node.rig import JIANGXI, START, YUSHAN_POLICE, ZHEJIANG, Rig, application, running_rig
from tests.scenarios.test_no_field_beyond_the_table import FIELDS, PURPOSES, fields_that_may_go, offices, table

OFFICES = tuple(agency for agency in offices() if agency.node == JIANGXI)


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

    async def ask(self, ask: Ask, *, key: Key = Key.OWN, province: NodeName = ZHEJIANG) -> Mapping[str, str]:
        """Searches and fetches; what was released. Each ask is another officer's, under a case of its own."""
        self.count += 1
        case_id, officer = f"CASE-{self.count:06d}", f"officer-{self.count}"
        register_officer_key(self.rig.folder, ask.asker, officer, key=f"ed25519:{_public(self.key)}")
        await self._plant(ask, case_id)
        act = Act(request_id=str(uuid.uuid4()), purpose=ask.purpose, function=ask.function, officer=officer)
        try:
            return await self._ask(ask, replace(act), key=key, province=province, case_id=case_id)
        except BridgeheadError as error:
            self.noes.append(error.reason)
            return {}

    async def _ask(self, ask: Ask, act: Act, *, key: Key, province: NodeName, case_id: str) -> Mapping[str, str]:
        node, home = self.rig[JIANGXI], self.rig.folder
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=self.permit.holder.citizen_number)
        question = LookupQuestion(case_id=case_id, selector=selector, provinces=(province,))
        handle = self.stolen
        try:
            found = await searching.search(node, question, home=home, caller=ask.asker, act=act)
            handle = found.answers[0].handle or handle
        except BridgeheadError as error:
            self.noes.append(error.reason)
        act = replace(act, request_id=str(uuid.uuid4()))
        asked = self._question(ask, handle, case_id, key=key, province=province)
        released = await fetching.fetch(node, asked, home=home, caller=ask.asker, act=act)
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

    async def _plant(self, ask: Ask, case_id: str) -> None:
        """The case at both nodes, as if it had been opened and told."""
        case = case_of(ask, case_id)
        if case is not None:
            for name, told in ((JIANGXI, False), (ZHEJIANG, True)):
                await self.rig[name].sequencer.commit(
                    lambda tx, told=told: records.put_case(tx, case, owner=JIANGXI, told=told)
                )


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[Desks]:
    async with running_rig(tmp_path, (ZHEJIANG, JIANGXI)) as rig:
        rig.put_in_force(with_added_offices(rig.agreement))
        rig.start_delivery()
        permit = register_permit(
            application(), format_permit_urn("330822", START.year, serial="00000001"), today=START.date()
        )
        await rig[ZHEJIANG].sequencer.commit(lambda tx: put_own_permits(tx, [permit], owner=ZHEJIANG, before=0))
        made = Desks(rig, permit, Ed25519PrivateKey.generate())
        assert await made.ask(Ask()) == {"status": "valid"}
        yield made


@pytest.mark.parametrize("asker", OFFICES, ids=str)
async def test_office_gets_what_the_table_names_for_each_purpose_and_case(desks: Desks, asker: AgencyId) -> None:
    """Agency kind, county, purpose, state of the case."""
    states = [state for state in CaseState if "glass" not in state]
    for purpose, case in itertools.product(PURPOSES, states):
        ask = Ask(asker=asker, purpose=purpose, case=case)
        assert (await desks.ask(ask)).keys() == fields_that_may_go(ask), (ask, desks.noes[-2:])


@pytest.mark.parametrize("purpose", PURPOSES[:3])
async def test_officer_gets_the_fields_that_the_table_names_and_no_other(desks: Desks, purpose: str) -> None:
    """Each field by itself, all that the table names, and one too many."""
    named = table("fetch")["police", "border", purpose, "permit"]
    sets = [frozenset({name}) for name in FIELDS] + [named, named | {"ethnicity"}, frozenset()]
    for fields in sets:
        ask = Ask(purpose=purpose, fields=fields)
        released = await desks.ask(ask)
        held = {name for name in fields_that_may_go(ask) if getattr(desks.permit, name, True) is not None}
        assert released.keys() == held, (ask, desks.noes[-2:])


async def test_officer_with_another_key_or_none_gets_nothing(desks: Desks) -> None:
    """A certificate is an office's: without the key that this officer registered there is no field."""
    for key, asker in itertools.product((Key.OTHER, Key.NONE), (YUSHAN_POLICE, *OFFICES)):
        desks.noes.clear()
        assert await desks.ask(Ask(asker=asker), key=key) == {}
        assert desks.noes


async def test_own_province_is_not_asked_by_this_door(desks: Desks) -> None:
    """Jiangxi's police ask Jiangxi elsewhere."""
    assert await desks.ask(Ask(), province=JIANGXI) == {}


def _public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
