"""Yushan's police at its node, for tests of the watch: officer-1 asks, leader-1 leads, officer-9 is a second person."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.domain.lookups import Selector, SelectorKind
from federation.domain.lookups_case import is_break_glass
from federation.domain.oversight import Finding, FlagKind, RaisedFlag, review_bytes
from federation.node.exchange.errand import begin_errand
from federation.node.lookups import ask as asking
from federation.node.lookups import cases
from federation.node.node import Node
from federation.node.officers import LeaderAct
from federation.node.oversight.flags import FLAGS
from federation.node.oversight.glass_review import review_break_glass
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.agency.lookups import CaseQuestion, LookupQuestion, SearchResult
from federation.wire.agency.oversight import ReviewQuestion
from federation.wire.rpc import Act
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG, Rig, act, applications, register_key, running_rig

PURPOSE = "lookup.criminal_investigation"
CASE, GLASS = "CASE-2026-0001", "BREAK-GLASS-2026-001"
URN = "urn:permit:330822:2026:0001"
NUMBERS = [each.holder.citizen_number for each in applications()[:40]]


@dataclass
class Office:
    """Yushan's police at its node, or another office; officer-1 asks, leader-1 leads and has a key of their own."""

    rig: Rig
    key: Ed25519PrivateKey
    second: Ed25519PrivateKey
    agency: AgencyId = YUSHAN_POLICE

    def act(self, officer: str) -> Act:
        return replace(act("lookup.oversight", "F03"), officer=officer)

    async def open(self, case_id: str = CASE, *, leader: str = "leader-1", **given: str | int):
        lettered = {} if is_break_glass(case_id) else {"letter": f"玉公协 {case_id}", "days": 30}
        terms = {**lettered, **given}
        question = CaseQuestion(
            case_id=case_id, counties=frozenset({"330822"}), purposes=frozenset({PURPOSE}), leader=leader, **terms,
        )  # fmt: skip
        opener = "officer-1" if is_break_glass(case_id) else leader
        opening = act(PURPOSE, "F03", officer=opener)
        return await cases.begin_case(begin_errand(self.rig[JIANGXI], self.agency, opening), question)

    async def search(
        self,
        value: str,
        case_id: str = CASE,
        kind: SelectorKind = SelectorKind.CITIZEN_NUMBER,
        *,
        officer: str = "officer-1",
        desk: str = "",
    ):
        question = LookupQuestion(
            case_id=case_id, selector=Selector(kind=kind, value=value), provinces=(NodeName(ZHEJIANG),)
        )
        found: SearchResult = await asking.search(
            begin_errand(self.rig[JIANGXI], self.agency, replace(act(PURPOSE, "F03"), officer=officer), desk=desk),
            question,
        )
        return found

    def signed(self, case_id: str, content: bytes, *, leader: str = "leader-1") -> LeaderAct:
        key = self.second if leader == "officer-9" else self.key
        signature = base64.b64encode(key.sign(content)).decode()
        return LeaderAct(agency=YUSHAN_POLICE, leader=leader, case_id=case_id, signature=signature)

    def flags(self) -> list[FlagKind]:
        return [one.kind for one in flags_at(self.rig[JIANGXI], YUSHAN_POLICE)]

    async def review(
        self, finding: Finding = Finding.JUSTIFIED, *, glass: str = GLASS, words: str = "", **changes: str
    ):
        signed = self.signed(glass, review_bytes(glass, YUSHAN_POLICE, finding=finding, words=words))
        question = ReviewQuestion(case_id=glass, finding=finding, words=words, signature=signed.signature)
        errand = begin_errand(self.rig[JIANGXI], YUSHAN_POLICE, self.act("leader-1"))
        return (await review_break_glass(errand, replace(question, **changes))).notice


@asynccontextmanager
async def office(folder: Path, **settings: float) -> AsyncIterator[Office]:
    keys = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    async with running_rig(folder, **settings) as rig:
        rig.start_delivery()
        for name, key in zip(("leader-1", "officer-9"), keys, strict=True):
            await register_key(rig[JIANGXI], YUSHAN_POLICE, name, key=public_text(key))
        yield Office(rig, *keys)


def flags_at(node: Node, desk: AgencyId) -> list[RaisedFlag]:
    """Every flag at a desk, newest first."""
    return list(FLAGS.page(node.database, str(desk), limit=1000, token="", wanted=lambda _: True).values)


def public_text(key: Ed25519PrivateKey) -> str:
    """The public key as it is registered."""
    return f"ed25519:{base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()}"
