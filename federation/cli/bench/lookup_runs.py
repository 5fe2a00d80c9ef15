"""What `bridgehead bench lookup` runs: searches that hit, from a police office's client to the other province and back.

One search is two signed messages, a question and its answer, each decided, logged, delivered and receipted. No limit
is lifted for it: an officer and a case are used up to what they may ask, then the next ones take over.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from itertools import count, islice
from math import ceil

from federation.cli.bench.measure import Measurement, Timing, measure
from federation.cli.bench.runs import ECHO_BYTES, RECEIVER, SENDER, Bench
from federation.cli.demo.synthetic import synthetic_applications
from federation.domain.division import province_of
from federation.domain.functions import FunctionCode
from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.domain.lookups_case import Quotas
from federation.domain.lookups_policy import LOOKUP_FUNCTION, LookupPurpose
from federation.domain.permits import PermitApplication
from federation.domain.permits_policy import FUNCTION_OF, PermitPurpose
from federation.protocol.errors import BridgeheadError, RuleError, UnavailableError
from federation.protocol.ids import parse_agency_id
from federation.wire.agency.lookups import OPEN_CASE, SEARCH, CaseQuestion, LookupQuestion
from federation.wire.agency.node import GET_STATUS
from federation.wire.agency.permits import IMPORT_PERMITS, ImportChunk, PermitImport
from federation.wire.client import AgencyClient
from federation.wire.values import Act, Nothing

LEVELS = {1: f"{SENDER}/330822/police", 16: f"{SENDER}/330824/police", 64: f"{SENDER}/330881/police"}
"""How many are in flight, and which border office asks then: an office's own history is counted at each look-up."""
AUDITOR = f"{SENDER}/330000/audit"
HALL = f"{RECEIVER}/361123/service-hall"
COUNTY = "361123"
PEOPLE = 100
WARM_SECONDS = 1.0
WARM_SEARCHES = 600
PATIENCE_SECONDS = 30.0
OPENERS = 8
HOPS = 2
LIMITS = Quotas()


class Desk:
    """A police office that asks about one known person after another, each time under a case with room for it.

    It begins without a history, which grows while it is measured.
    """

    def __init__(self, police: AgencyClient, auditor: AgencyClient, *, county: str, numbers: Sequence[str]) -> None:
        """Keeps the clients, the office's own county, and the people who are there to be found."""
        self._police = police
        self._county = county
        self._auditor = auditor
        self._numbers = numbers
        self._cases: list[str] = []
        self._turns = count()

    async def make_room(self, searches: int) -> None:
        """Opens cases for that many more searches, and waits until the other province knows them."""
        more = range(len(self._cases), len(self._cases) + ceil(searches / LIMITS.per_case))
        missing = [f"BENCH-{self._county}-{number:06d}" for number in more]
        waiting = iter(missing)

        async def opener() -> None:
            for case_id in waiting:
                await self._open(case_id)

        await asyncio.gather(*(opener() for _ in range(OPENERS)))
        end = time.monotonic() + PATIENCE_SECONDS
        while any(peer.waiting_count for peer in (await self._auditor.call(GET_STATUS, None, Nothing())).peers):
            if time.monotonic() > end:
                raise UnavailableError("BENCH_UNSETTLED", "the other province does not receipt the cases")
            await asyncio.sleep(0.02)
        self._cases.extend(missing)

    async def search(self) -> None:
        """One search, from the client's call until the answer, which is a hit.

        Raises:
            RuleError: BENCH_CASES when there is no room; BENCH_NO_HIT.
        """
        number, turn = divmod(next(self._turns), LIMITS.per_case)
        if number >= len(self._cases):
            raise RuleError("BENCH_CASES", f"expected at most {len(self._cases) * LIMITS.per_case} searches")
        person = number * LIMITS.persons_per_case + turn % LIMITS.persons_per_case
        question = LookupQuestion(
            case_id=self._cases[number],
            selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=self._numbers[person % len(self._numbers)]),
            provinces=(RECEIVER,),
        )
        result = await self._police.call(SEARCH, _act(f"bench-{number}"), question)
        if [answer.outcome for answer in result.answers] != [Outcome.HIT]:
            raise RuleError("BENCH_NO_HIT", f"expected one hit, got {result.answers}")

    async def _open(self, case_id: str) -> None:
        question = CaseQuestion(
            case_id=case_id,
            letter=f"常公协〔2026〕{case_id}",
            counties=frozenset({COUNTY}),
            purposes=frozenset({LookupPurpose.CRIMINAL_INVESTIGATION}),
            days=30,
            leader="bench-leader",
        )
        answer = await self._police.call(OPEN_CASE, _act("bench-leader"), question)
        if not answer.decision.allowed:
            raise RuleError("BENCH_REFUSED", f"expected an open case: {answer.decision.title_en}")


async def register_people(bench: Bench) -> Sequence[str]:
    """Registers people at the province that is asked; returns their citizen numbers."""
    hall = AgencyClient(bench.federation.profile(HALL), timeout_seconds=30)
    try:
        rows = tuple(islice(_people(bench.running.node.today()), PEOPLE))
        chunk = ImportChunk(import_id=str(uuid.uuid4()), chunk=1, rows=rows)
        act = _act("bench", purpose=PermitPurpose.ADMINISTRATION, function=FUNCTION_OF[PermitPurpose.ADMINISTRATION])
        for done in await hall.call(IMPORT_PERMITS, act, chunk):
            if isinstance(done, BridgeheadError):
                raise done
        return [row.application.holder.citizen_number for row in rows]
    finally:
        await hall.close()


@asynccontextmanager
async def open_desk(bench: Bench, numbers: Sequence[str], *, police: str) -> AsyncIterator[Desk]:
    """Opens the clients of the office that asks."""
    officers, auditor = (AgencyClient(bench.federation.profile(name), timeout_seconds=30) for name in (police, AUDITOR))
    try:
        yield Desk(officers, auditor, county=parse_agency_id(police).county, numbers=numbers)
    finally:
        await asyncio.gather(officers.close(), auditor.close())


async def run_search(bench: Bench, desk: Desk, echo: Timing, *, in_flight: int, seconds: float) -> Measurement:
    """Searches that hit: how many a second and how long each took, client to answer."""
    await desk.make_room(WARM_SEARCHES)
    warm = await measure(desk.search, in_flight=in_flight, seconds=min(WARM_SECONDS, seconds))
    await desk.make_room(ceil(2 * warm.rate_per_second * seconds) + in_flight)
    return search_measurement(
        await measure(desk.search, in_flight=in_flight, seconds=seconds),
        echo,
        in_flight=in_flight,
        rss_mib=bench.memory(),
    )


def search_measurement(timing: Timing, echo: Timing, *, in_flight: int, rss_mib: dict[str, float]) -> Measurement:
    """The line of the bench for searches, beside two echoes in sequence: the way from the client to A and on to B."""
    return Measurement(
        operation="look-up (search, hit)",
        in_flight=in_flight,
        timing=timing,
        calibration=f"{HOPS} bare grpc echoes of {ECHO_BYTES} bytes in sequence (client, A, B), {in_flight} in flight",
        calibration_rate_per_second=echo.rate_per_second,
        rss_mib=rss_mib,
    )


def _people(today: date) -> Iterator[PermitImport]:
    """Adults who live in Yushan and whom no third province is told of: only two nodes run."""
    issued = today - timedelta(days=30)
    for found in synthetic_applications(RECEIVER, 1_000_000, seed=11, today=issued):
        if found.residence_division == COUNTY and _is_plain(found):
            yield PermitImport(application=found, issue_date=issued)


def _is_plain(found: PermitApplication) -> bool:
    known = province_of(found.holder.household_division) in (None, RECEIVER)
    return known and not found.sealed and not found.guardian and found.work_division is None


def _act(
    officer: str,
    *,
    purpose: str = LookupPurpose.CRIMINAL_INVESTIGATION,
    function: FunctionCode = LOOKUP_FUNCTION,
) -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=function, officer=officer)
