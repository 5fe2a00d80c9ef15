"""The look-up scenes of the demo: a border police office asks across for the one fact of its case, and gets no more.

Played by the agencies' clients against running nodes, with an officer's own key made on the spot.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.cli.demo.provinces import DemoFederation
from federation.cli.lookups import sign_fetch
from federation.cli.show import JsonOut
from federation.domain.division import province_of
from federation.domain.lookup.asking import Outcome, Selector, SelectorKind
from federation.domain.lookup_policy import LOOKUP_FUNCTION, LookupPurpose
from federation.domain.permit import PermitApplication
from federation.domain.permit_policy import FUNCTION_OF, PermitPurpose
from federation.domain.synthetic import synthetic_applications
from federation.node.home_store import write_home_store
from federation.node.officers import register_officer_key
from federation.protocol.errors import NotFoundError, UnavailableError
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.keys import Ed25519Signer, format_public_key
from federation.wire.client import AgencyClient
from federation.wire.lookups.values import (
    CaseQuestion,
    FetchQuestion,
    FetchResult,
    LookupQuestion,
    ProvinceAnswer,
    SearchResult,
)
from federation.wire.values import Act

POLICE = "jiangxi/361123/police"
HALL = "zhejiang/330822/service-hall"
ASKED = NodeName("zhejiang")
EVERYWHERE = (NodeName("anhui"), NodeName("fujian"), ASKED)
CASE, OTHER_CASE = "YS-2026-0042", "YS-2026-0043"
LETTER = "玉公协〔2026〕42号"
OFFICER, LEADER = "yushan-0417", "yushan-leader"
CHANGSHAN, KAIHUA, PUCHENG = "330822", "330824", "350722"
FIELDS = frozenset({"holder_name", "status"})
PATIENCE_SECONDS = 30.0
CHINA = timezone(timedelta(hours=8), "CST")

T = TypeVar("T")


@dataclass(kw_only=True)
class LookupTold:
    """What the scenes came to: each province's answer, the fields that were released, and each no by its reason."""

    answers: dict[str, str] = field(default_factory=dict)
    released: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def summary(self) -> dict[str, JsonOut]:
        """The same as a part of the demo's JSON."""
        return {"answers": self.answers, "released": self.released, "refused": self.refused}


class LookupScenes:
    """Plays the scenes in order: an open case, a search, a fetch, the noes, the end of the case."""

    def __init__(
        self,
        federation: DemoFederation,
        *,
        client: Callable[[str], AgencyClient],
        tell: Callable[[str], None],
        seed: int,
    ) -> None:
        """Keeps the federation, where clients come from, and where to tell what happens."""
        self._federation = federation
        self._client = client
        self._tell = tell
        self._seed = seed
        self._key = new_key()
        self._number = ""
        self._handle = ""
        self.told = LookupTold()

    async def prepare(self) -> None:
        """Registers in Changshan somebody of no household in Jiangxi, whom Yushan therefore knows nothing of."""
        application = next(self._strangers())
        self._number = application.holder.citizen_number
        purpose = PermitPurpose.ADMINISTRATION
        act = Act(request_id=str(uuid.uuid4()), purpose=purpose, function=FUNCTION_OF[purpose], officer="demo-clerk")
        answer = await self._client(HALL).register_permit(act, application)
        if answer.permit is None:
            raise NotFoundError("DEMO_REFUSED", f"Changshan was refused: {answer.decision.title_en}")
        household = application.holder.household_division
        self._tell(f"Changshan issues a permit to somebody of {household}: no business of Jiangxi's, nothing is sent")
        self.register(OFFICER, self._key)
        self._tell(f"Yushan's police register the own key of officer {OFFICER}")

    @property
    def number(self) -> str:
        """The citizen number of the person that all of it is about."""
        return self._number

    def register(self, officer: str, key: Ed25519Signer) -> None:
        """Registers an officer's own key with Yushan's police, as `bridgehead lookup key register` does."""
        agency = parse_agency_id(POLICE)
        home = self._federation.homes[agency.node].home
        public = format_public_key(key.public_key)
        write_home_store(home, lambda tx: register_officer_key(tx, agency, officer, key=public), now=datetime.now(UTC))

    async def open_and_search(self) -> None:
        """Opens a case that names Changshan and Pucheng, and asks all provinces for one person: a line for each."""
        await self._open(CASE, CHANGSHAN, PUCHENG)
        self._tell(f"case {CASE} ({LETTER}) is open 30 days for 玉山, 常山 and 浦城")
        result = await self._search(CASE)
        for answer in result.answers:
            self.told.answers[answer.node] = answer.outcome
            self._tell(f"{answer.node:<9} {_words(answer)}")
            if answer.outcome is Outcome.REFUSED:
                self._tell(f"          {answer.title_zh} | {answer.title_en}")
        hit = next((answer.handle for answer in result.answers if answer.handle is not None), None)
        if hit is None:
            raise NotFoundError("DEMO_NO_HIT", f"expected a hit in {ASKED}, got {self.told.answers}")
        self._handle = hit

    async def fetch(self) -> None:
        """Fetches two named fields of the hit, signed with the officer's own key."""
        result = await self._client(POLICE).lookups.fetch(lookup_act(), self._fetch_question(self._key))
        self.told.released = sorted(result.fields)
        shown = ", ".join(f"{name} {value}" for name, value in sorted(result.fields.items()))
        until = f"{result.expires.astimezone(CHINA):%Y-%m-%d %H:%M}" if result.expires is not None else "-"
        self._tell(f"the officer's own key signs for two fields; released: {shown} (until {until})")

    async def refuse(self) -> None:
        """Has the curious and the borrower of a certificate try."""
        self._refused("curiosity has no case", "no_case", (await self._search("YS-2026-9999")).answers[0])
        curious = await self._search(CASE, purpose=LookupPurpose.IDENTITY_CHECK)
        self._refused("just to see who that is, not what the case is for", "other_purpose", curious.answers[0])
        await self._open(OTHER_CASE, KAIHUA)
        elsewhere = (await self._search(OTHER_CASE)).answers[0]
        self.told.refused["other_county"] = elsewhere.outcome
        self._tell(
            f"a case for Kaihua, the same person: {elsewhere.outcome}; not even that Changshan knows them is told"
        )
        borrowed = self._fetch_question(new_key())
        answer = await self._client(POLICE).lookups.fetch(lookup_act(), borrowed)
        self._refused("the office's certificate, another key", "other_key", answer)

    async def close_case(self) -> None:
        """Closes the cases: the handle dies with its own."""
        for case_id in (OTHER_CASE, CASE):
            await self._client(POLICE).lookups.close_case(lookup_act(), case_id)
            self._tell(f"case {case_id} is closed")
        question = self._fetch_question(self._key)
        answer = await self._client(POLICE).lookups.fetch(lookup_act(), question)
        self._refused("the same handle, the right key", "closed_case", answer)

    async def _open(self, case_id: str, *counties: str) -> None:
        question = CaseQuestion(
            case_id=case_id,
            letter=LETTER,
            counties=frozenset(counties),
            purposes=frozenset({LookupPurpose.CRIMINAL_INVESTIGATION}),
            days=30,
            leader=LEADER,
        )
        answer = await self._client(POLICE).lookups.open_case(lookup_act(), question)
        if not answer.decision.allowed:
            raise NotFoundError("DEMO_REFUSED", f"Yushan was refused a case: {answer.decision.title_en}")
        await self._wait_told()

    async def wait_for(self, find: Callable[[], Awaitable[T | None]], *, what: str) -> T:
        """Looks until something is there.

        Raises:
            UnavailableError: DEMO_WAITING when it takes too long.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while (found := await find()) is None:
            if time.monotonic() > end:
                raise UnavailableError("DEMO_WAITING", f"expected {what} within {PATIENCE_SECONDS:.0f} s")
            await asyncio.sleep(0.02)
        return found

    async def _wait_told(self) -> None:
        """Waits until the provinces that the case names have receipted it: they answer for no case they do not know."""
        auditor = self._client(str(self._federation.agencies(parse_agency_id(POLICE).node, "audit")[0]))

        async def find() -> bool | None:
            waiting = any(peer.waiting_count for peer in (await auditor.get_status()).peers)
            return None if waiting else True

        await self.wait_for(find, what="the provinces' receipts for the case")

    async def _search(self, case_id: str, *, purpose: str = LookupPurpose.CRIMINAL_INVESTIGATION) -> SearchResult:
        """Asks all provinces under the demo's case; under any other, the one that has the person."""
        everywhere = case_id == CASE and purpose == LookupPurpose.CRIMINAL_INVESTIGATION
        question = LookupQuestion(
            case_id=case_id,
            selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=self._number),
            provinces=EVERYWHERE if everywhere else (ASKED,),
        )
        return await self._client(POLICE).lookups.search(lookup_act(purpose), question)

    def _fetch_question(self, key: Ed25519Signer) -> FetchQuestion:
        return sign_fetch(key, case_id=CASE, node=ASKED, handle=self._handle, fields=FIELDS)

    def _refused(self, who: str, name: str, answer: ProvinceAnswer | FetchResult) -> None:
        """Tells of a no by Yushan's own node, which logged it like a yes."""
        if answer.outcome is not Outcome.REFUSED:
            raise NotFoundError("DEMO_ALLOWED", f"expected a refusal: {who}")
        self.told.refused[name] = ", ".join(answer.policies)
        self._tell(f"{who}: refused by {', '.join(answer.policies)}")
        self._tell(f"  {answer.title_zh}")
        self._tell(f"  {answer.title_en}")

    def _strangers(self) -> Iterator[PermitApplication]:
        """People of no household or work in Jiangxi who live in Changshan."""
        for found in synthetic_applications(ASKED, 5000, seed=self._seed + 1, today=_today()):
            plain = not found.sealed and not found.guardian and found.work_division is None
            elsewhere = province_of(found.holder.household_division) != parse_agency_id(POLICE).node
            if plain and elsewhere and found.residence_division == CHANGSHAN:
                yield found


def _words(answer: ProvinceAnswer) -> str:
    """One honest line for a province's answer."""
    if answer.outcome is Outcome.HIT:
        return "hit: an opaque handle, no field"
    if answer.outcome is Outcome.REFUSED:
        return f"refused by {', '.join(answer.policies)}"
    return str(answer.outcome)


def lookup_act(purpose: str = LookupPurpose.CRIMINAL_INVESTIGATION, *, officer: str = OFFICER) -> Act:
    """One request of an officer of Yushan."""
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=LOOKUP_FUNCTION, officer=officer)


def new_key() -> Ed25519Signer:
    """An own key, made on the spot."""
    return Ed25519Signer(Ed25519PrivateKey.generate().private_bytes_raw())


def _today() -> date:
    return datetime.now(UTC).astimezone(CHINA).date()
