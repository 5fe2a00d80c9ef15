"""The stage of the demo's scenes: the agencies' clients, the officers' own keys, and ways to ask and to wait."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TextIO, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.cli.alert_rows import look_of
from federation.cli.demo.provinces import ADMINISTRATOR, CLERK, PROVINCES, DemoFederation, own_keys
from federation.cli.demo.synthetic import synthetic_applications
from federation.cli.lookups import sign_fetch
from federation.cli.show import china_today
from federation.cli.words import LABELS, cells, halves, said, sentences, word_of
from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.domain.lookups_case import LOOKUP_FUNCTION, LookupPurpose
from federation.domain.officers import KEY_PURPOSE, offer_key, parse_offer
from federation.domain.permits import PermitApplication, PermitItem
from federation.domain.permits_policy import FUNCTION_OF, PermitPurpose
from federation.node.home.files import load_ed25519, officer_key_path
from federation.protocol.errors import NotFoundError, UnavailableError
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.keys import Ed25519Signer
from federation.wire.agency import lookups
from federation.wire.agency.keys import REGISTER_KEY, KeyQuestion
from federation.wire.agency.lookups import CaseQuestion, FetchResult, LookupQuestion, SearchResult
from federation.wire.agency.node import GET_STATUS, NodeStatus
from federation.wire.agency.permits import REGISTER_PERMIT
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act, Nothing, Rpc

POLICE: Final = "jiangxi/361123/police"
ASKED: Final = NodeName("zhejiang")
OFFICER: Final = "yushan-0417"
CHANGSHAN: Final = "330822"
PATIENCE_SECONDS: Final = 60.0
A = TypeVar("A")
Q = TypeVar("Q")
T = TypeVar("T")


_BOLD, _FAINT = "1", "2"
WIDTH: Final = 110
"""A line of the story that would be wider has its English below the Chinese."""


@dataclass(kw_only=True)
class Story:
    """The story that a reader is told: a number and a title for each step, what people gain by it, what happens."""

    out: TextIO
    began: float = field(default_factory=time.monotonic)
    chapter: int = 0

    def title(self, text: str, gain: str = "") -> None:
        self.chapter += 1
        self._print("", self._paint(f"{self.chapter}. {said(text)}", _BOLD))
        if found := halves(gain):
            self._print(*(self._paint(f"   {each}", _FAINT) for each in sentences(*found)), "")

    def line(self, text: str, *, lead: str = "") -> None:
        """A pair behind what stands before it in any language, such as a time or a name."""
        shown, before = said(text), f"   {lead}{'  ' if lead.strip() else ''}"
        if cells(before + shown) > WIDTH and (found := halves(shown)) is not None:
            self._print(before + found[0], " " * cells(before) + self._paint(found[1], _FAINT))
        else:
            self._print((before + shown).rstrip())

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def _paint(self, text: str, colour: str) -> str:
        return look_of(self.out, os.environ, columns=WIDTH).paint(text, colour) if self.out.isatty() else text

    def _print(self, *lines: str) -> None:
        for line in lines:
            print(line, file=self.out, flush=True)


def named(fields: Iterable[str]) -> tuple[str, str]:
    """Fields of a record in a row, in Chinese and in English."""
    found = sorted(fields)
    return "、".join(LABELS[each] for each in found), ", ".join(each.replace("_", " ") for each in found)


def padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def node_name(node: str) -> str:
    """A province in the language asked for, as wide as the widest."""
    return padded(word_of("NodeName", node), max(cells(word_of("NodeName", each)) for each in PROVINCES))


@dataclass(kw_only=True)
class Stage:
    federation: DemoFederation
    story: Story
    seed: int
    number: str = ""
    handle: str = ""
    _clients: dict[str, AgencyClient] = field(default_factory=dict)
    _keys: dict[tuple[str, str], Ed25519Signer] = field(default_factory=dict)
    _enrolled: set[tuple[str, str]] = field(default_factory=set)
    _enrolling: asyncio.Lock = field(default_factory=asyncio.Lock)

    def title(self, text: str, gain: str) -> None:
        self.story.title(text, gain)

    def tell(self, *lines: str, lead: str = "") -> None:
        for line in lines:
            self.story.line(line, lead=lead)

    def office(self, agency: str) -> str:
        """The name of an office, as a pair of it and of its id."""
        sheet = self.federation.homes[parse_agency_id(agency).node].sheet
        return f"{next(each.name for each in sheet.agencies if str(each.id) == agency)}|{agency}"

    def client(self, agency: str) -> AgencyClient:
        client = self._clients.get(agency)
        if client is None:
            client = self._clients[agency] = AgencyClient(
                self.federation.profile(agency), sign=partial(self.key, agency=agency), timeout_seconds=30
            )
        return client

    async def call(self, agency: str, rpc: Rpc[Q, A], act: Act, question: Q) -> A:
        await self.enrol(act.officer, agency=agency)
        return await self.client(agency).call(rpc, act, question)

    async def status(self, agency: str) -> NodeStatus:
        return await self.client(agency).call(GET_STATUS, None, Nothing())

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients.values()))

    def key(self, officer: str, *, agency: str = POLICE) -> Ed25519Signer:
        """The own key of an officer who acted before, or of the agency's administrator."""
        if officer == ADMINISTRATOR:
            return load_ed25519(officer_key_path(own_keys(self.federation, parse_agency_id(agency)), officer))
        return self._keys[agency, officer]

    async def enrol(self, officer: str, *, agency: str = POLICE) -> Ed25519Signer:
        """The own key of an officer, made when they act first, and registered by the agency's administrator."""
        name = agency, officer
        async with self._enrolling:
            if name not in self._enrolled:  # the key is kept first: of a lost answer one does not know what it was
                self._keys.setdefault(name, new_key())
                await register_own_key(self.client(agency), agency, officer, self._keys[name])
                self._enrolled.add(name)
        return self._keys[name]

    async def register_clerks(self) -> None:
        """Has the administrator of every agency register the key of its clerk."""
        for home in self.federation.homes.values():
            for agency in (str(each.id) for each in home.sheet.agencies):
                client = AgencyClient(self.federation.profile(agency), sign=partial(self.key, agency=agency))
                key = load_ed25519(officer_key_path(own_keys(self.federation, parse_agency_id(agency)), CLERK))
                await register_own_key(client, agency, CLERK, key)
                await client.close()

    def find_person(self, seed: int, fits: Callable[[PermitApplication], bool]) -> PermitApplication:
        """The first invented adult of Zhejiang who fits and whose record may be shared."""
        people = synthetic_applications(ASKED, 5000, seed=seed, today=china_today())
        return next(each for each in people if not each.sealed and not each.guardian and fits(each))

    async def register(self, hall: str, person: PermitApplication) -> PermitItem:
        """Registers a person, whom the look-ups are about from then on (DEMO_REFUSED)."""
        self.number = person.holder.citizen_number
        answer = await self.call(hall, REGISTER_PERMIT, permit_act(PermitPurpose.ADMINISTRATION), person)
        if answer.permit is None:
            raise NotFoundError("DEMO_REFUSED", f"Changshan was refused: {answer.decision.title_en}")
        return answer.permit

    async def open_case(
        self, act: Act, case_id: str, *counties: str, leader: str, letter: str = "", police: str = POLICE
    ) -> None:
        """Opens a case, and waits until the provinces that it names have receipted it (DEMO_REFUSED)."""
        question = case_question(act, case_id, *counties, leader=leader, letter=letter)
        answer = await self.call(police, lookups.OPEN_CASE, act, question)
        if not answer.decision.allowed:
            raise NotFoundError("DEMO_REFUSED", f"expected an open case: {answer.decision.title_en}")
        auditor = str(self.federation.agencies(parse_agency_id(police).node, "audit")[0])

        async def received() -> bool | None:
            waiting = any(peer.waiting_count for peer in (await self.status(auditor)).peers)
            return None if waiting else True

        await self.wait_for(received, what="the provinces' receipts for the case")

    async def search(
        self,
        act: Act,
        case_id: str,
        *,
        selector: Selector | None = None,
        provinces: tuple[NodeName, ...] = (ASKED,),
        police: str = POLICE,
    ) -> SearchResult:
        """Asks for the person of the look-ups, or for what the selector says."""
        person = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=self.number)
        question = LookupQuestion(case_id=case_id, selector=selector or person, provinces=provinces)
        return await self.call(police, lookups.SEARCH, act, question)

    async def fetch(
        self, act: Act, case_id: str, *, handle: str, fields: frozenset[str], key: Ed25519Signer
    ) -> FetchResult:
        question = sign_fetch(key, case_id=case_id, node=ASKED, handle=handle, fields=fields)
        return await self.call(POLICE, lookups.FETCH, act, question)

    async def release(self, act: Act, case_id: str, *, handle: str | None, fields: frozenset[str]) -> Mapping[str, str]:
        """Fetches named fields of a hit with the own key of the officer who acts (DEMO_NO_HIT, DEMO_REFUSED)."""
        if handle is None:
            raise NotFoundError("DEMO_NO_HIT", f"expected a hit in {ASKED}")
        result = await self.fetch(act, case_id, handle=handle, fields=fields, key=self.key(act.officer))
        if result.outcome is not Outcome.HIT:
            raise NotFoundError("DEMO_REFUSED", f"expected {', '.join(fields)}: {result.title_en}")
        return result.fields

    async def wait_for(self, find: Callable[[], Awaitable[T | None]], *, what: str, pause: float = 0.02) -> T:
        """Looks until something is there (DEMO_WAITING)."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (found := await find()) is None:
            if time.monotonic() > end:
                raise UnavailableError("DEMO_WAITING", f"expected {what} within {PATIENCE_SECONDS:.0f} s")
            await asyncio.sleep(pause)
        return found


async def register_own_key(client: AgencyClient, agency: str, officer: str, key: Ed25519Signer) -> None:
    """Registers what an officer offers, as the administrator of their agency does."""
    offer = parse_offer(offer_key(key, agency=parse_agency_id(agency), officer=officer))
    question = KeyQuestion(officer=officer, key=offer.key, proof=offer.proof)
    act = Act(request_id=str(uuid.uuid4()), purpose=KEY_PURPOSE, function=LOOKUP_FUNCTION, officer=ADMINISTRATOR)
    await client.call(REGISTER_KEY, act, question)


def permit_act(purpose: PermitPurpose, *, officer: str = "demo-clerk") -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=FUNCTION_OF[purpose], officer=officer)


def lookup_act(purpose: str = LookupPurpose.CRIMINAL_INVESTIGATION, *, officer: str = OFFICER) -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=LOOKUP_FUNCTION, officer=officer)


def case_question(act: Act, case_id: str, *counties: str, leader: str, letter: str = "") -> CaseQuestion:
    """A case for what the act is for: 30 days, or without a letter one of break-glass, for two hours."""
    return CaseQuestion(
        case_id=case_id,
        letter=letter,
        counties=frozenset(counties),
        purposes=frozenset({act.purpose}),
        days=30 if letter else 0,
        leader=leader,
    )


def new_key() -> Ed25519Signer:
    return Ed25519Signer(Ed25519PrivateKey.generate().private_bytes_raw())
