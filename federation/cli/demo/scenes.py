"""The scenes of the demo, played by agencies' clients against running nodes: what they print is what they were told."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import islice
from typing import TypeVar

from federation.cli.demo.provinces import DemoFederation, kill_node, start_node, wait_ready, write_federation_file
from federation.cli.show import progress
from federation.domain.permit import PermitApplication, PermitUrn
from federation.domain.permit_item import PERMIT_FIELDS, PermitItem
from federation.domain.permit_policy import FUNCTION_OF, PermitPurpose
from federation.domain.recognition import RecognitionMode
from federation.domain.synthetic import synthetic_applications
from federation.protocol.errors import BridgeheadError, ConflictError, NotFoundError, UnavailableError
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.client import AgencyClient
from federation.wire.values import Act, ImportChunk, PermitImport, PermitRecognition, Ruling

CHANGSHAN = "zhejiang/330822/service-hall"
YUSHAN_POLICE = "jiangxi/361123/police"
YUSHAN_HALL = "jiangxi/361123/service-hall"
PUCHENG = "fujian/350722/service-hall"
KILLED = NodeName("jiangxi")
CHUNK = 100
PATIENCE_SECONDS = 60.0
CHINA = timezone(timedelta(hours=8), "CST")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """One chunk of one county's import, sent until it is answered."""

    agency: AgencyId
    chunk: ImportChunk


class Scenes:
    """Plays the scenes in order; keeps one client for each agency."""

    def __init__(self, federation: DemoFederation, *, tell: Callable[[str], None], seed: int) -> None:
        """Keeps the federation and where to tell what happens."""
        self._federation = federation
        self._tell = tell
        self._seed = seed
        self._clients: dict[str, AgencyClient] = {}
        self._number = ""
        self._sent = 0
        self._third = 0
        self._third_reached = asyncio.Event()

    async def close(self) -> None:
        """Closes every client."""
        await asyncio.gather(*(client.close() for client in self._clients.values()))

    async def register_in_changshan(self) -> PermitUrn:
        """Registers one permit of a Yushan resident in Changshan and shows what arrives in Yushan."""
        application = next(self._commuters())
        self._number = application.holder.citizen_number
        began = time.monotonic()
        answer = await self.client(CHANGSHAN).register_permit(_act(PermitPurpose.ADMINISTRATION), application)
        if answer.permit is None:
            raise NotFoundError("DEMO_REFUSED", f"Changshan was refused: {answer.decision.title_en}")
        urn = answer.permit.urn
        self._tell(f"Changshan issues {urn}: household {application.holder.household_division}, 玉山县")
        seen = await self._wait_for(urn)
        millis = (time.monotonic() - began) * 1000
        self._tell(f"it is in Yushan {millis:.0f} ms later: signed, policy-checked, receipted, logged on both sides")
        held = {name for name in PERMIT_FIELDS if getattr(answer.permit, name) is not None}
        shown = {name for name in PERMIT_FIELDS if getattr(seen, name) is not None}
        self._tell(f"Yushan's police see {len(shown)} of its {len(held)} fields: {', '.join(sorted(shown))}")
        self._tell(f"not released to them: {', '.join(sorted(held - shown))}")
        return urn

    async def recognise_in_yushan(self, urn: PermitUrn) -> None:
        """Has Yushan's service hall recognise the permit in both modes."""
        for mode in RecognitionMode:
            asked = PermitRecognition(urn=urn, mode=mode, citizen_number=self._number)
            answer = await self.client(YUSHAN_HALL).recognise_permit(_act(PermitPurpose.RECOGNITION), asked)
            found = answer.recognition
            outcome = f"{found.outcome} ({found.reason})" if found else "refused"
            self._tell(f"Yushan's service hall, mode {mode}: {outcome}; policy {', '.join(_policies(answer.decision))}")

    async def refuse_in_pucheng(self, urn: PermitUrn) -> str:
        """Has an unrelated county try the same; the refusal names its policy in words and stands in the log."""
        asked = PermitRecognition(urn=urn, mode=RecognitionMode.CARD, citizen_number=self._number)
        answer = await self.client(PUCHENG).recognise_permit(_act(PermitPurpose.RECOGNITION), asked)
        decision = answer.decision
        self._tell(f"Pucheng's service hall: refused by {', '.join(decision.policies)}")
        self._tell(f"  {decision.title_zh}")
        self._tell(f"  {decision.title_en}")
        for line in answer.decision.explanation_en.splitlines()[:3]:
            self._tell(f"  what would make it lawful: {line}")
        return ", ".join(decision.policies)

    async def import_all(self, records: int) -> dict[str, int | float]:
        """Imports permits in every province, kills one node in the middle, brings it back, waits for every receipt."""
        loads = {node: list(self._loads(node, records)) for node in self._federation.homes}
        total = sum(len(load.chunk.rows) for share in loads.values() for load in share)
        began = time.monotonic()
        with progress("importing", total) as bar:

            async def county_by_county(share: Sequence[_Load]) -> None:
                for load in share:
                    await self._send(load)
                    bar.advance(bar.task_ids[0], len(load.chunk.rows))

            self._third = total // 3
            provinces = [asyncio.create_task(county_by_county(share)) for share in loads.values()]
            await self._kill_in_the_middle()
            await asyncio.gather(*provinces)
        seconds = time.monotonic() - began
        self._tell(f"imported {self._sent} permits in {seconds:.1f} s; every chunk was answered")
        leaves = await self._wait_settled()
        self._tell(f"every message has its receipt, none is waiting; the four logs hold {leaves} entries")
        return {"imported": self._sent, "log_entries": leaves, "import_seconds": round(seconds, 2)}

    async def _kill_in_the_middle(self) -> None:
        await asyncio.wait_for(self._third_reached.wait(), PATIENCE_SECONDS)
        before = self._sent
        pid = kill_node(self._federation, KILLED)
        self._tell(
            f"after {before} permits: SIGKILL to {KILLED} (pid {pid}); the others go on and queue what is for it"
        )
        await asyncio.sleep(1.0)
        meanwhile = self._sent - before
        start_node(self._federation, KILLED)
        await asyncio.to_thread(wait_ready, self._federation, [KILLED])
        write_federation_file(self._federation)
        self._tell(
            f"{KILLED} is back (pid {self._federation.processes[KILLED].pid}); {meanwhile} were imported meanwhile"
        )

    async def _send(self, load: _Load) -> None:
        """Sends one chunk until it is answered: the same chunk again is never imported twice."""
        act = _act(PermitPurpose.ADMINISTRATION)
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                rows = await self.client(str(load.agency)).import_permits(act, load.chunk)
            except (UnavailableError, ConflictError):
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.2)
                continue
            for row in rows:
                if isinstance(row, BridgeheadError):
                    raise row
            self._sent += len(rows)
            if self._sent >= self._third:
                self._third_reached.set()
            return

    async def _wait_for(self, urn: PermitUrn) -> PermitItem:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = await self.client(YUSHAN_POLICE).get_permit(_act(PermitPurpose.CHECK), urn)
                if answer.permit is not None:
                    return answer.permit
            except NotFoundError:
                if time.monotonic() > end:
                    raise
            await asyncio.sleep(0.005)

    async def _wait_settled(self) -> int:
        """Waits until nothing is queued anywhere and every head is cosigned; returns how many leaves the logs hold."""
        end = time.monotonic() + PATIENCE_SECONDS
        auditors = [str(self._federation.agencies(node, "audit")[0]) for node in self._federation.homes]
        while True:
            states = [await self._patiently(lambda name=name: self.client(name).get_status()) for name in auditors]  # type: ignore[misc]
            waiting = sum(peer.waiting_count for state in states for peer in state.peers)
            cosigned = all(peer.cosigned_size == state.tree_size for state in states for peer in state.peers)
            if not waiting and cosigned:
                return sum(state.tree_size for state in states)
            if time.monotonic() > end:
                raise UnavailableError("DEMO_WAITING", f"{waiting} messages are still waiting")
            await asyncio.sleep(0.1)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        for _ in range(50):
            try:
                return await call()
            except UnavailableError:
                await asyncio.sleep(0.1)
        return await call()

    def client(self, agency: str) -> AgencyClient:
        """The one client of an agency; it is closed with the scenes."""
        client = self._clients.get(agency)
        if client is None:
            client = self._clients[agency] = AgencyClient(self._federation.profile(agency), timeout_seconds=30)
        return client

    def _commuters(self) -> Iterator[PermitApplication]:
        """People from Yushan who live and work in Changshan: the programme's main flow."""
        for found in synthetic_applications(NodeName("zhejiang"), 5000, seed=self._seed, today=_today()):
            plain = not found.sealed and not found.guardian
            if plain and found.residence_division == "330822" and found.holder.household_division == "361123":
                yield found

    def _loads(self, node: NodeName, records: int) -> Iterator[_Load]:
        halls = {agency.county: agency for agency in self._federation.agencies(node, "service-hall")}
        count = records // len(self._federation.homes)
        by_county: dict[str, list[PermitImport]] = {}
        months = 12
        for month in range(months):
            issued = _today() - timedelta(days=30 * month + 1)
            share = count // months + (month < count % months)
            seed = self._seed * 1000 + month
            for found in islice(self._importable(node, halls, seed, issued), share):
                by_county.setdefault(found.residence_division, []).append(
                    PermitImport(application=found, issue_date=issued)
                )
        for county, rows in by_county.items():
            import_id = str(uuid.uuid4())
            for number, start in enumerate(range(0, len(rows), CHUNK), start=1):
                chunk = ImportChunk(import_id=import_id, chunk=number, rows=tuple(rows[start : start + CHUNK]))
                yield _Load(agency=halls[county], chunk=chunk)

    def _importable(
        self, node: NodeName, halls: dict[str, AgencyId], seed: int, issued: date
    ) -> Iterator[PermitApplication]:
        for found in synthetic_applications(node, 1_000_000, seed=seed, today=issued):
            if found.residence_division in halls:
                yield found


def _act(purpose: PermitPurpose) -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=FUNCTION_OF[purpose], officer="demo-clerk")


def _policies(ruling: Ruling) -> Sequence[str]:
    return ruling.policies


def _today() -> date:
    return datetime.now(UTC).astimezone(CHINA).date()
