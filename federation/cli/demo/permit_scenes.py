"""The permit scenes of the demo: a permit arrives and is recognised; a register is imported while a node dies."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Final

from federation.cli.demo.provinces import kill_node, start_node, wait_ready, write_federation_file
from federation.cli.demo.stage import ASKED, CHANGSHAN, PATIENCE_SECONDS, Stage, permit_act
from federation.cli.demo.synthetic import synthetic_applications
from federation.cli.show import china_today, progress
from federation.domain.permits import PERMIT_FIELDS, PermitItem, PermitUrn
from federation.domain.permits_policy import PermitPurpose
from federation.domain.recognition import RecognitionMode
from federation.protocol.errors import BridgeheadError, ConflictError, NotFoundError, UnavailableError
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.agency.permits import (
    GET_PERMIT,
    IMPORT_PERMITS,
    RECOGNISE_PERMIT,
    REGISTER_PERMIT,
    ImportChunk,
    PermitImport,
    PermitRecognition,
)

CHANGSHAN_HALL: Final = "zhejiang/330822/service-hall"
YUSHAN_POLICE: Final = "jiangxi/361123/police"
YUSHAN_HALL: Final = "jiangxi/361123/service-hall"
PUCHENG: Final = "fujian/350722/service-hall"
KILLED: Final = NodeName("jiangxi")
CHUNK: Final = 100
MONTHS: Final = 12


async def register(stage: Stage) -> PermitUrn:
    """Registers one permit of a Yushan resident in Changshan, the programme's main flow, and shows what arrives."""
    application = next(
        found
        for found in stage.people(ASKED, seed=stage.seed)
        if found.residence_division == CHANGSHAN and found.holder.household_division == "361123"
    )
    stage.number = application.holder.citizen_number
    began = time.monotonic()
    answer = await stage.call(CHANGSHAN_HALL, REGISTER_PERMIT, permit_act(PermitPurpose.ADMINISTRATION), application)
    if answer.permit is None:
        raise NotFoundError("DEMO_REFUSED", f"Changshan was refused: {answer.decision.title_en}")
    urn = answer.permit.urn
    stage.tell(f"Changshan issues {urn}: household {application.holder.household_division}, 玉山县")

    async def arrived() -> PermitItem | None:
        try:
            return (await stage.call(YUSHAN_POLICE, GET_PERMIT, permit_act(PermitPurpose.CHECK), urn)).permit
        except NotFoundError:
            return None

    seen = await stage.wait_for(arrived, what=f"{urn} in Yushan", pause=0.005)
    millis = (time.monotonic() - began) * 1000
    stage.tell(f"it is in Yushan {millis:.0f} ms later: signed, policy-checked, receipted, logged on both sides")
    held = {name for name in PERMIT_FIELDS if getattr(answer.permit, name) is not None}
    shown = {name for name in PERMIT_FIELDS if getattr(seen, name) is not None}
    stage.tell(f"Yushan's police see {len(shown)} of its {len(held)} fields: {', '.join(sorted(shown))}")
    stage.tell(f"not released to them: {', '.join(sorted(held - shown))}")
    return urn


async def recognise(stage: Stage, urn: PermitUrn) -> str:
    """Has Yushan's service hall recognise the permit in both modes, and an unrelated county try the same.

    Returns the policies that refused it to the unrelated one; the refusal is in words and stands in the log.
    """
    for mode in RecognitionMode:
        asked, act = _presented(stage, urn, mode), permit_act(PermitPurpose.RECOGNITION)
        answer = await stage.call(YUSHAN_HALL, RECOGNISE_PERMIT, act, asked)
        found = answer.recognition
        outcome = f"{found.outcome} ({found.reason})" if found else "refused"
        stage.tell(f"Yushan's service hall, mode {mode}: {outcome}; policy {', '.join(answer.decision.policies)}")
    asked, act = _presented(stage, urn, RecognitionMode.CARD), permit_act(PermitPurpose.RECOGNITION)
    decision = (await stage.call(PUCHENG, RECOGNISE_PERMIT, act, asked)).decision
    policies = ", ".join(decision.policies)
    stage.tell(f"Pucheng's service hall: refused by {policies}")
    stage.tell(f"  {decision.title_zh}")
    stage.tell(f"  {decision.title_en}")
    for line in decision.explanation_en.splitlines()[:3]:
        stage.tell(f"  what would make it lawful: {line}")
    return policies


async def import_all(stage: Stage, records: int) -> dict[str, int | float]:
    """Imports permits in every province, kills one node in the middle, brings it back, waits for every receipt."""
    loads = {node: list(_loads(stage, node, records)) for node in stage.federation.homes}
    total = sum(len(load.chunk.rows) for share in loads.values() for load in share)
    run = _Import(third=total // 3)
    began = time.monotonic()
    with progress("importing", total) as bar:

        async def county_by_county(share: Sequence[_Load]) -> None:
            for load in share:
                await _send(stage, load)
                run.count(len(load.chunk.rows))
                bar.advance(bar.task_ids[0], len(load.chunk.rows))

        provinces = [asyncio.create_task(county_by_county(share)) for share in loads.values()]
        await _kill_in_the_middle(stage, run)
        await asyncio.gather(*provinces)
    seconds = time.monotonic() - began
    stage.tell(f"imported {run.sent} permits in {seconds:.1f} s; every chunk was answered")
    leaves = await _settled(stage)
    stage.tell(f"every message has its receipt, none is waiting; the four logs hold {leaves} entries")
    return {"imported": run.sent, "log_entries": leaves, "import_seconds": round(seconds, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """One chunk of one county's import, sent until it is answered."""

    agency: AgencyId
    chunk: ImportChunk


@dataclass(kw_only=True)
class _Import:
    """How many permits were imported so far, and whether a third of them were."""

    third: int
    sent: int = 0
    third_reached: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self, rows: int) -> None:
        self.sent += rows
        if self.sent >= self.third:
            self.third_reached.set()


def _presented(stage: Stage, urn: PermitUrn, mode: RecognitionMode) -> PermitRecognition:
    return PermitRecognition(urn=urn, mode=mode, citizen_number=stage.number)


async def _kill_in_the_middle(stage: Stage, run: _Import) -> None:
    await asyncio.wait_for(run.third_reached.wait(), PATIENCE_SECONDS)
    before, federation = run.sent, stage.federation
    pid = kill_node(federation, KILLED)
    stage.tell(f"after {before} permits: SIGKILL to {KILLED} (pid {pid}); the others go on and queue what is for it")
    await asyncio.sleep(1.0)
    meanwhile = run.sent - before
    start_node(federation, KILLED)
    await asyncio.to_thread(wait_ready, federation, [KILLED])
    write_federation_file(federation)
    stage.tell(f"{KILLED} is back (pid {federation.processes[KILLED].pid}); {meanwhile} were imported meanwhile")


async def _send(stage: Stage, load: _Load) -> None:
    """Sends one chunk until it is answered: the same chunk again is never imported twice."""
    act = permit_act(PermitPurpose.ADMINISTRATION)

    async def send() -> bool | None:
        try:
            rows = await stage.call(str(load.agency), IMPORT_PERMITS, act, load.chunk)
        except (UnavailableError, ConflictError):
            return None
        for row in rows:
            if isinstance(row, BridgeheadError):
                raise row
        return True

    await stage.wait_for(send, what=f"an answer to {load.agency}", pause=0.2)


async def _settled(stage: Stage) -> int:
    """Waits until nothing is queued anywhere and every head is cosigned; returns how many leaves the logs hold."""
    auditors = [str(stage.federation.agencies(node, "audit")[0]) for node in stage.federation.homes]

    async def find() -> int | None:
        try:
            states = [await stage.status(name) for name in auditors]
        except UnavailableError:
            return None
        waiting = any(peer.waiting_count for state in states for peer in state.peers)
        cosigned = all(peer.cosigned_size == state.tree_size for state in states for peer in state.peers)
        return None if waiting or not cosigned else sum(state.tree_size for state in states)

    return await stage.wait_for(find, what="a receipt of every message", pause=0.1)


def _loads(stage: Stage, node: NodeName, records: int) -> Iterator[_Load]:
    halls = {agency.county: agency for agency in stage.federation.agencies(node, "service-hall")}
    count = records // len(stage.federation.homes)
    by_county: dict[str, list[PermitImport]] = {}
    for month in range(MONTHS):
        issued = china_today() - timedelta(days=30 * month + 1)
        share = count // MONTHS + (month < count % MONTHS)
        people = synthetic_applications(node, 1_000_000, seed=stage.seed * 1000 + month, today=issued)
        for found in islice((each for each in people if each.residence_division in halls), share):
            row = PermitImport(application=found, issue_date=issued)
            by_county.setdefault(found.residence_division, []).append(row)
    for county, rows in by_county.items():
        import_id = str(uuid.uuid4())
        for number, start in enumerate(range(0, len(rows), CHUNK), start=1):
            chunk = ImportChunk(import_id=import_id, chunk=number, rows=tuple(rows[start : start + CHUNK]))
            yield _Load(agency=halls[county], chunk=chunk)
