"""A province that skips its own checks: whatever it signs is put into Zhejiang's `receive`, and what leaves is looked at.

Cases and handles are planted in Zhejiang's store as if every gate before had been passed, so that the last one is seen
by itself. The provinces' agreement has some offices more than the repository's: police away from the border, and
offices of other kinds that were given the function of look-ups.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.citizen_number import age_on
from federation.domain.lookups import (
    FETCH_BODY,
    HANDLE_RANDOM_BYTES,
    SEARCH_BODY,
    FetchItem,
    Handle,
    SearchItem,
    Selector,
    SelectorKind,
    decode_answer_item,
    decode_release_item,
    format_handle,
    step_up_bytes,
)
from federation.domain.lookups_case import NO_LETTER, LookupCase
from federation.domain.permits import Permit, PermitApplication, format_permit_urn, register_permit
from federation.domain.plates import PlateClass
from federation.domain.registers import DossierKind, DossierRef, Enterprise, EnterpriseStatus, Vehicle, VehicleStatus
from federation.node.exchange.receive import receive
from federation.node.lookups import records
from federation.node.lookups.answer import find_dossier
from federation.node.node import Node
from federation.node.permits_sharing import put_own_permits
from federation.node.registers import ENTERPRISES, VEHICLES, put_registered
from federation.protocol.body import Body
from federation.protocol.envelope import parse_envelope, sign_envelope
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import encode, replace
from federation.protocol.ids import AgencyId, NodeName, Pair, format_message_id, parse_agency_id
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender, decode_statement, encode_statement
from federation.protocol.trust import Agreement
from federation.protocol.trust.members import Agency
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, list_messages, load_body
from federation.store.records import put_records
from tests.node.rig import START, YUSHAN_POLICE, ZHEJIANG, Rig, applications, kit, pinned_key, statement

T = TypeVar("T")

CHANGSHAN, KAIHUA = "330822", "330824"
ADDED = {
    "jiangxi/361102/police": {"F01", "F03"},
    "jiangxi/361102/service-hall": {"F03"},
    "fujian/350102/police": {"F03"},
    "anhui/340102/police": {"F03"},
    "jiangxi/361124/court": {"F03"},
    "jiangxi/361124/service-hall": {"F01", "F03"},
    "jiangxi/360000/audit": {"F03"},
    "jiangxi/361124/emergency": {"F03"},
    "jiangxi/361128/police": {"F01", "F02"},
}
"""Offices by id, with their functions: the third parts of the provinces' capitals and Shangrao lie on no border."""


class CaseState(StrEnum):
    """How the case that is cited stands at the province asked."""

    OPEN = "open"
    BREAK_GLASS = "break-glass"
    NONE = "none"
    CLOSED = "closed"
    NOT_BEGUN = "not-begun"
    OVER_TERM = "over-term"
    BREAK_GLASS_OVER = "break-glass-over"
    OTHER_AGENCY = "other-agency"
    OTHER_PURPOSE = "other-purpose"
    OTHER_COUNTY = "other-county"
    WITHOUT_ASKERS_COUNTY = "without-askers-county"


class HandleState(StrEnum):
    """Whose handle is shown."""

    OWN = "own"
    UNKNOWN = "unknown"
    OTHER_AGENCY = "other-agency"
    OTHER_OFFICER = "other-officer"
    OTHER_CASE = "other-case"
    EXPIRED = "expired"


class StepUp(StrEnum):
    """What stands in the place of the officer's own signature."""

    VALID = "valid"
    FORGED = "forged"
    OTHER_FIELDS = "other-fields"
    OTHER_HANDLE = "other-handle"
    BLANK = "blank"


class Target(StrEnum):
    """Which record of Zhejiang the handle stands for, or the selector names."""

    ADULT = "adult"
    MINOR = "minor"
    SEALED = "sealed"
    VEHICLE = "vehicle"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request of another province's office; as it stands here, a lawful one by Yushan's police."""

    step: str = "lookup.fetch"
    asker: AgencyId = YUSHAN_POLICE
    purpose: str = "lookup.criminal_investigation"
    function: str = "F03"
    case: CaseState = CaseState.OPEN
    handle: HandleState = HandleState.OWN
    step_up: StepUp = StepUp.VALID
    target: Target = Target.ADULT
    fields: frozenset[str] = frozenset({"status"})


@dataclass(frozen=True, kw_only=True)
class Left:
    """What left Zhejiang in answer: the fields released, whether it was a hit, and every byte of it."""

    fields: Mapping[str, str]
    hit: bool
    wire: bytes


@dataclass(frozen=True)
class Planted:
    """The case and the handle as Zhejiang has them, and the handle that the asker shows."""

    case_id: str
    handle: Handle
    shown: str


class HostileWorld:
    """Zhejiang with four records, on a loop of its own, so that a property may be drawn against it."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        unbounded = ("answers_per_office_day", "answers_by_number_per_office_day", "refusals_a_minute")
        self.rig = Rig(folder, (ZHEJIANG,), **dict.fromkeys(unbounded, 10**9))
        self.rig.put_in_force(with_added_offices(self.rig.agreement))
        self.key = Ed25519PrivateKey.generate()
        self.count = 0
        self.pinned: set[AgencyId] = set()
        self.seqs: dict[Pair, int] = {}
        self.permits = {
            Target.ADULT: _permit(1),
            Target.MINOR: _permit(2, minor=True),
            Target.SEALED: replace(_permit(3), sealed=True),
        }
        self.run(self.node.sequencer.commit(self._register))
        self.texts = {target: self._texts(target) for target in Target}

    @property
    def node(self) -> Node:
        return self.rig[ZHEJIANG]

    def close(self) -> None:
        self.run(self.rig.close())
        self.loop.close()

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    def _texts(self, target: Target) -> Mapping[str, str]:
        """Every field of a record as Zhejiang could release it."""
        found = find_dossier(self.node, self._ref(target))
        assert found is not None
        return found.texts

    def answer(self, asks: Sequence[Ask]) -> list[Left]:
        """Fetches or searches, all at once, and tells what left for each."""
        return self.run(self._answer(asks))

    async def _answer(self, asks: Sequence[Ask]) -> list[Left]:
        planted = [self._plan(ask) for ask in asks]
        await self.node.sequencer.commit(
            lambda tx: [self._plant(tx, each, ask) for each, ask in zip(planted, asks, strict=True)]
        )
        made = [self._make(ask, each) for ask, each in zip(asks, planted, strict=True)]
        told = await asyncio.gather(*(self._receive(sent) for sent in made))
        replies = self._replies({ask.asker.node for ask in asks})
        return [self._left(sent, each, replies) for sent, each in zip(made, told, strict=True)]

    def _make(self, ask: Ask, planted: Planted) -> Submission:
        body = self._fetch_body(ask, planted) if ask.step == "lookup.fetch" else self._search_body(ask, planted)
        pair = Pair(ask.asker.node, ZHEJIANG)
        self.seqs[pair] = self.seqs.get(pair, 0) + 1
        made = statement(
            self.rig,
            body,
            seq=self.seqs[pair],
            kind=ask.step,
            sender=Sender(node=ask.asker.node, agency=ask.asker, officer="officer-1"),
            recipient=Recipient(node=ZHEJIANG),
            purpose=ask.purpose,
            function=ask.function,
            case=planted.case_id,
        )
        signed = sign_envelope(encode_statement(made), kit().keyrings[ask.asker.node].message)
        return Submission(envelope=signed, body=body)

    async def _receive(self, sent: Submission) -> bytes:
        """Every byte of the receipt, or of the error."""
        peer = decode_statement(parse_envelope(sent.envelope).payload).sender.node
        try:
            receipt = await receive(self.node, sent, peer=peer)
        except BridgeheadError as error:
            return str(error).encode()
        return receipt.leaf + receipt.proof

    def _replies(self, nodes: Iterable[NodeName]) -> Mapping[str, list[StoredMessage]]:
        """What is on its way since the last look, by the request that it answers."""
        found: dict[str, list[StoredMessage]] = {}
        for name in nodes:
            pair = Pair(ZHEJIANG, name)
            for message in list_messages(
                self.node.database, "sent", pair=pair, after_seq=self.seqs.get(pair, 0), limit=9999
            ):
                self.seqs[pair] = message.seq
                cited = decode_statement(parse_envelope(message.envelope).payload).in_reply_to
                found.setdefault(cited or "", []).append(message)
        assert "" not in found
        return found

    def _left(self, sent: Submission, told: bytes, replies: Mapping[str, list[StoredMessage]]) -> Left:
        fields: Mapping[str, str] = {}
        hit, wire = False, [told]
        for message in replies.get(parse_envelope(sent.envelope).digest, []):
            content = load_body(self.node.database, message.id).items[0]
            wire += [message.envelope, parse_envelope(message.envelope).payload, content]
            if message.kind == "lookup.release":
                fields = decode_release_item(content, self.rig.agreement.realm).fields
            elif message.kind == "lookup.answer":
                hit = decode_answer_item(content).hit
        return Left(fields=fields, hit=hit, wire=b"\n".join(wire))

    def _fetch_body(self, ask: Ask, planted: Planted) -> Body:
        item = FetchItem(
            lookup_id=format_message_id(self.rig.clock(), os.urandom(10)),
            handle=planted.shown,
            fields=ask.fields,
            officer_key=_public(self.key),
            officer_signature="",
        )
        item = replace(item, officer_signature=base64.b64encode(self._signature(item, ask.step_up)).decode())
        return Body(type=FETCH_BODY, salt=os.urandom(32), items=(encode(item),))

    def _search_body(self, ask: Ask, planted: Planted) -> Body:
        if ask.target is Target.VEHICLE:
            kind, value = SelectorKind.PLATE, _vehicle().plate
        elif ask.target is Target.ENTERPRISE:
            kind, value = SelectorKind.USCC, _enterprise().uscc
        else:
            kind, value = SelectorKind.CITIZEN_NUMBER, self.permits[ask.target].holder.citizen_number
        item = SearchItem(
            lookup_id=format_message_id(self.rig.clock(), os.urandom(10)),
            selector=Selector(kind=kind, value=value),
            case_id=planted.case_id,
        )
        return Body(type=SEARCH_BODY, salt=os.urandom(32), items=(encode(item),))

    def _register(self, transaction: GroupTransaction) -> None:
        put_own_permits(transaction, list(self.permits.values()), owner=ZHEJIANG, before=0)
        vehicle = put_registered(transaction, VEHICLES, _vehicle(), owner=ZHEJIANG)
        enterprise = put_registered(transaction, ENTERPRISES, _enterprise(), owner=ZHEJIANG)
        self.things = {
            Target.VEHICLE: DossierRef(kind=DossierKind.VEHICLE, id=vehicle.id),
            Target.ENTERPRISE: DossierRef(kind=DossierKind.ENTERPRISE, id=enterprise.id),
        }

    def _ref(self, target: Target) -> DossierRef:
        if target in self.things:
            return self.things[target]
        return DossierRef(kind=DossierKind.PERMIT, id=self.permits[target].urn)

    def _plan(self, ask: Ask) -> Planted:
        self.count += 1
        glass = ask.case in (CaseState.BREAK_GLASS, CaseState.BREAK_GLASS_OVER)
        case_id = f"{'BREAK-GLASS' if glass else 'CASE'}-{self.count:06d}"
        handle = self._handle(ask, case_id)
        shown = format_handle(os.urandom(HANDLE_RANDOM_BYTES)) if ask.handle is HandleState.UNKNOWN else handle.handle
        return Planted(case_id, handle, shown)

    def _plant(self, transaction: GroupTransaction, planted: Planted, ask: Ask) -> None:
        case = case_of(ask, planted.case_id)
        if case is not None:
            records.ANNOUNCED_CASES.put(transaction, case, owner=ask.asker.node)
        records.HANDLES.put(transaction, planted.handle, owner=ZHEJIANG)
        if ask.asker not in self.pinned:
            self.pinned.add(ask.asker)
            put_records(transaction, [pinned_key(ask.asker, "officer-1", key=f"ed25519:{_public(self.key)}")])

    def _handle(self, ask: Ask, case_id: str) -> Handle:
        other_agency = AgencyId(ask.asker.node, "361181" if ask.asker.county != "361181" else "361123", ask.asker.kind)
        ends = timedelta(0) if ask.handle is HandleState.EXPIRED else timedelta(hours=1)
        return Handle(
            handle=format_handle(os.urandom(HANDLE_RANDOM_BYTES)),
            lookup_id=format_message_id(self.rig.clock(), os.urandom(10)),
            case_id="CASE-OTHER" if ask.handle is HandleState.OTHER_CASE else case_id,
            asker=other_agency if ask.handle is HandleState.OTHER_AGENCY else ask.asker,
            officer="officer-2" if ask.handle is HandleState.OTHER_OFFICER else "officer-1",
            dossier=self._ref(ask.target).id,
            expires=self.rig.clock() + ends,
        )

    def _signature(self, item: FetchItem, step_up: StepUp) -> bytes:
        match step_up:
            case StepUp.VALID:
                return self.key.sign(step_up_bytes(item))
            case StepUp.FORGED:
                return Ed25519PrivateKey.generate().sign(step_up_bytes(item))
            case StepUp.OTHER_FIELDS:
                return self.key.sign(step_up_bytes(replace(item, fields=item.fields ^ {"status", "sex"})))
            case StepUp.OTHER_HANDLE:
                return self.key.sign(step_up_bytes(replace(item, handle="x" * 32)))
            case StepUp.BLANK:
                return bytes(64)


def with_added_offices(agreement: Agreement) -> Agreement:
    """The agreement with `ADDED` in it."""
    members = dict(agreement.members)
    for text, functions in ADDED.items():
        agency = parse_agency_id(text)
        member = members[agency.node]
        known = Agency(name=text, functions=frozenset(functions))
        members[agency.node] = replace(member, agencies={**member.agencies, agency: known})
    return replace(agreement, members=members)


def case_of(ask: Ask, case_id: str) -> LookupCase | None:
    """The case that an ask cites, as the province asked was told of it; None when it was told of none."""
    if ask.case is CaseState.NONE:
        return None
    now, glass = START, case_id.startswith("BREAK-GLASS-")
    opens = {
        CaseState.NOT_BEGUN: now + timedelta(hours=1),
        CaseState.OVER_TERM: now - timedelta(days=31),
        CaseState.BREAK_GLASS_OVER: now - timedelta(hours=2),
    }.get(ask.case, now - timedelta(minutes=1))
    counties = {ask.asker.county, KAIHUA if ask.case is CaseState.OTHER_COUNTY else CHANGSHAN}
    if ask.case is CaseState.WITHOUT_ASKERS_COUNTY:
        counties = {CHANGSHAN}
    other = AgencyId(ask.asker.node, "361130" if ask.asker.county != "361130" else "361123", "police")
    closed = ask.case is CaseState.CLOSED
    return LookupCase(
        case_id=case_id,
        opened_by=other if ask.case is CaseState.OTHER_AGENCY else ask.asker,
        letter=NO_LETTER if glass else "玉公协〔2026〕1号",
        counties=frozenset(counties),
        purposes=frozenset({"lookup.none" if ask.case is CaseState.OTHER_PURPOSE else ask.purpose}),
        opens=opens,
        closes=opens + (timedelta(hours=2) if glass else timedelta(days=30)),
        closed=closed,
        leader="leader-1",
        version=2 if closed else 1,
    )


@cache
def _people(*, minor: bool) -> tuple[PermitApplication, ...]:
    """Children, or adults, who live in Changshan."""
    ages = ((age_on(each.holder.birth_date, START.date()), each) for each in applications())
    wanted = [each for age, each in ages if (age < 14 if minor else age >= 18) and not each.sealed]
    return tuple(replace(each, work_division=None) for each in wanted if each.residence_division == CHANGSHAN)


def _permit(serial: int, *, minor: bool = False) -> Permit:
    """Another person of Changshan for each serial."""
    urn = format_permit_urn(CHANGSHAN, START.year, serial=f"{serial:08d}")
    return register_permit(_people(minor=minor)[serial], urn, today=START.date())


@cache
def _vehicle() -> Vehicle:
    return Vehicle(
        plate="浙H·I0001", plate_class=PlateClass.SMALL_CAR, brand_model="演示 A1", colour="白",
        status=VehicleStatus.NORMAL, registered_division=CHANGSHAN, first_registered=date(2026, 1, 5),
        keeper=_permit(1).holder.citizen_number,
    )  # fmt: skip


def _enterprise() -> Enterprise:
    return Enterprise(
        uscc=synthetic_uscc(CHANGSHAN, 1).value, name="常山县演示胡柚有限公司", division=CHANGSHAN,
        status=EnterpriseStatus.ACTIVE, registered_on=date(2021, 6, 1), legal_form="有限责任公司",
        legal_representative="代表甲", representative_number=_permit(1).holder.citizen_number,
    )  # fmt: skip


def _public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
