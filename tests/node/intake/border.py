"""Two provinces with an intake desk: Xinzhou's police, away from the border, ask; Zhejiang's one office answers."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.domain.intake import RefusalReason, release_bytes
from federation.domain.lookups import FetchItem, Selector, SelectorKind, Urgency, step_up_bytes
from federation.domain.permits import PermitApplication
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.replies import intake_office
from federation.node.intake import desk
from federation.node.intake.clock import remind
from federation.node.intake.desk import list_intake
from federation.node.lookups import ask as asking
from federation.node.lookups import cases
from federation.node.lookups import fetch as fetching
from federation.node.lookups.ask import list_lookups
from federation.node.node import Node
from federation.protocol.ids import AgencyId, parse_agency_id, parse_message_id
from federation.wire.agency.intake import (
    IntakeAnswer,
    IntakeLine,
    IntakeQuery,
    RefuseQuestion,
    ReleaseQuestion,
    Reminder,
)
from federation.wire.agency.lookups import (
    CaseQuestion,
    FetchQuestion,
    FetchResult,
    LookupLine,
    LookupQuery,
    LookupQuestion,
    ProvinceAnswer,
)
from federation.wire.rpc import Act
from tests.node.rig import (
    HALL,
    JIANGXI,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    act,
    application,
    lead_act,
    register_key,
    running_rig,
)

XINZHOU = parse_agency_id("jiangxi/361102/police")
PURPOSE = "lookup.criminal_investigation"
CASE = "CASE-2026-0001"
NO_LOOKUP = parse_message_id("00000000-0000-7000-8000-000000000000")


@dataclass
class Border:
    """Both nodes, one permit of Changshan, and an officer of Xinzhou and one of Yushan with a key and a case each."""

    rig: Rig
    key: Ed25519PrivateKey
    person: PermitApplication

    @property
    def asking(self) -> Node:
        return self.rig[JIANGXI]

    @property
    def answering(self) -> Node:
        return self.rig[ZHEJIANG]

    @property
    def office(self) -> AgencyId:
        return intake_office(self.answering.trust.in_force, ZHEJIANG)

    async def search(
        self, number: str | None = None, *, caller: AgencyId = XINZHOU, urgency: Urgency = Urgency.ROUTINE
    ) -> ProvinceAnswer:
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=number or self.person.holder.citizen_number)
        question = LookupQuestion(case_id=case_of(caller), selector=selector, provinces=(ZHEJIANG,), urgency=urgency)
        found = await asking.search(begin_errand(self.asking, caller, act(PURPOSE, "F03")), question)
        return found.answers[0]

    async def fetch(self, handle: str, *fields: str, caller: AgencyId = YUSHAN_POLICE) -> FetchResult:
        public = base64.b64encode(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        item = FetchItem(
            lookup_id=NO_LOOKUP, handle=handle, fields=frozenset(fields), officer_key=public, officer_signature=""
        )
        question = FetchQuestion(
            case_id=case_of(caller), node=ZHEJIANG, handle=handle, fields=frozenset(fields), officer_key=public,
            officer_signature=base64.b64encode(self.key.sign(step_up_bytes(item))).decode(),
        )  # fmt: skip
        return await fetching.fetch(begin_errand(self.asking, caller, act(PURPOSE, "F03")), question)

    async def inbox(self, *, ended: bool = False) -> tuple[IntakeLine, ...]:
        page = await list_intake(begin_errand(self.answering, self.office, desk_act()), IntakeQuery(ended=ended))
        return page.lines

    async def waiting(self) -> str:
        """The id of the one request that waits."""
        (line,) = await self.inbox()
        return line.request_id

    async def release(
        self,
        request_id: str,
        *fields: str,
        caller: AgencyId | None = None,
        by: Act | None = None,
        drain: bool = True,
        key: Ed25519PrivateKey | None = None,
    ) -> IntakeAnswer:
        """With the registered key of the officer at the desk, or with another one."""
        office, acting, names = caller or self.office, by or desk_act(), frozenset(fields)
        signed = release_bytes(office, acting.officer, request_id=request_id, fields=names)
        signature = base64.b64encode((key or self.key).sign(signed)).decode()
        question = ReleaseQuestion(request_id=request_id, fields=names, signature=signature)
        return await self.release_as(question, caller=office, by=acting, drain=drain)

    async def release_as(
        self, question: ReleaseQuestion, *, caller: AgencyId | None = None, by: Act | None = None, drain: bool = True
    ) -> IntakeAnswer:
        answer = await desk.release(begin_errand(self.answering, caller or self.office, by or desk_act()), question)
        if drain:
            await self.rig.drain()
        return answer

    async def refuse(
        self,
        request_id: str,
        words: str = "请写明案情",
        *,
        caller: AgencyId | None = None,
        by: Act | None = None,
        signature: str | None = None,
    ) -> IntakeAnswer:
        question = RefuseQuestion(
            request_id=request_id, reason=RefusalReason.CASE_UNCLEAR, words=words, signature=signature
        )
        answer = await desk.refuse(begin_errand(self.answering, caller or self.office, by or desk_act()), question)
        await self.rig.drain()
        return answer

    async def remind(self, lookup_id: str, *, caller: AgencyId = XINZHOU) -> tuple[Reminder, ...]:
        seconds = await remind(begin_errand(self.asking, caller, act(PURPOSE, "F03")), lookup_id)
        await self.rig.drain()
        return seconds

    async def history(self, *, caller: AgencyId = XINZHOU) -> tuple[LookupLine, ...]:
        page = await list_lookups(begin_errand(self.asking, caller, act(PURPOSE, "F03")), LookupQuery())
        return tuple(line for line in page.lines if line.step != "lookup.case")

    async def close_case(self, caller: AgencyId = XINZHOU) -> None:
        await cases.end_case(begin_errand(self.asking, caller, lead_act(PURPOSE)), case_of(caller))
        await self.rig.drain()


def case_of(caller: AgencyId) -> str:
    return f"{CASE}-{caller.county}"


def desk_act() -> Act:
    return act(PURPOSE, "F03")


@asynccontextmanager
async def border(folder: Path) -> AsyncIterator[Border]:
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    async with running_rig(folder) as rig:
        rig.start_delivery()
        found = Border(rig, key, application())
        await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), found.person)
        await register_key(rig[ZHEJIANG], found.office, "officer-1", key=f"ed25519:{public}")
        for caller in (XINZHOU, YUSHAN_POLICE):
            await register_key(rig[JIANGXI], caller, "officer-1", key=f"ed25519:{public}")
            question = CaseQuestion(
                case_id=case_of(caller), letter=f"饶公协 {case_of(caller)}", counties=frozenset({"330822"}),
                purposes=frozenset({PURPOSE}), days=30, leader="leader-1",
            )  # fmt: skip
            opened = await cases.begin_case(begin_errand(rig[JIANGXI], caller, lead_act(PURPOSE)), question)
            assert opened.decision.allowed, opened.decision
        await rig.drain()
        yield found
