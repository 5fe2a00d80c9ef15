"""Where a permit stands on a day is one answer: in lists, filters and pages, shown, looked up, recognised, on both sides."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.cli.permits import permit_object
from federation.domain.permits import PermitItem, PermitStatus, PermitUrn, RevokeReason
from federation.domain.permits_policy import FUNCTION_OF
from federation.domain.recognition import RecognitionMode, RecognitionOutcome
from federation.domain.registers import DossierKind, DossierRef
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.lookups.answer import find_dossier
from federation.node.recognition import recognise
from federation.protocol.errors import RuleError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.agency.permits import PermitAnswer, PermitQuery, PermitRecognition, PermitRevocation
from tests.node.rig import (
    HALL,
    JIANGXI,
    YUSHAN_HALL,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    act,
    applications,
    later,
    running_rig,
)

PEOPLE = [
    replace(each, work_division=None, sealed=False)
    for each in applications()
    if (each.residence_division, each.holder.household_division, each.guardian) == ("330822", "361123", False)
][:5]
WORKING = (PermitStatus.VALID, PermitStatus.ENDORSEMENT_OPEN)
PAGE = 2
STEPS = st.tuples(
    st.sampled_from((0, 1, 29, 31, 335, 366)),
    st.integers(0, len(PEOPLE) - 1),
    st.sampled_from(("endorse", "suspend", "restore", "revoke")),
)


@dataclass
class Life:
    """What was done to one permit, and where that leaves it."""

    urn: PermitUrn
    number: str
    until: date
    is_suspended: bool = False
    is_revoked: bool = False

    def status_on(self, today: date) -> PermitStatus:
        """Article 10 once more."""
        if self.is_revoked:
            return PermitStatus.REVOKED
        if self.is_suspended or today > self.until:
            return PermitStatus.SUSPENDED
        end_of_month_before = self.until.replace(day=1) - timedelta(days=1)
        opens = end_of_month_before.replace(day=min(self.until.day, end_of_month_before.day))
        return PermitStatus.ENDORSEMENT_OPEN if today >= opens else PermitStatus.VALID


async def begin(rig: Rig) -> list[Life]:
    """Registers the people, a day apart."""
    lives: list[Life] = []
    for who in PEOPLE:
        made = (await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), who)).permit
        assert made is not None
        assert made.endorsed_until is not None
        lives.append(Life(made.urn, who.holder.citizen_number, made.endorsed_until))
        later(rig, days=1)
    return lives


async def take(rig: Rig, life: Life, step: str) -> None:
    """Takes a step if the law allows it that day."""
    errand = begin_errand(rig[ZHEJIANG], HALL, act())
    try:
        answer: PermitAnswer
        if step == "revoke":
            answer = await permits.revoke(errand, PermitRevocation(urn=life.urn, reason=RevokeReason.LEFT))
        else:
            answer = await getattr(permits, step)(errand, life.urn)
    except RuleError:
        return
    assert answer.permit is not None
    assert answer.permit.endorsed_until is not None
    life.until = answer.permit.endorsed_until
    life.is_revoked = step == "revoke"
    life.is_suspended = step == "suspend" or (life.is_suspended and step != "restore")


async def listed(
    rig: Rig, name: NodeName, caller: AgencyId, purpose: str, *, status: PermitStatus | None = None
) -> dict[PermitUrn, PermitStatus]:
    """All pages of a list as one; each but the last is full, and none is empty unless it is the only one."""
    found: dict[PermitUrn, PermitStatus] = {}
    query = PermitQuery(page_size=PAGE, status=status)
    while True:
        page = await permits.list_permits(begin_errand(rig[name], caller, act(purpose, FUNCTION_OF[purpose])), query)
        statuses = {item.urn: item.status for item in page.permits}
        assert not found.keys() & statuses.keys()
        assert statuses or not found
        found |= statuses
        if not page.next_page_token:
            return found
        assert len(page.permits) == PAGE
        query = PermitQuery(page_size=PAGE, status=status, page_token=page.next_page_token)


async def shown(rig: Rig, name: NodeName, caller: AgencyId, purpose: str, *, urn: PermitUrn) -> PermitItem:
    item = (await permits.show(begin_errand(rig[name], caller, act(purpose, FUNCTION_OF[purpose])), urn)).permit
    assert item is not None
    return item


async def is_recognised(rig: Rig, life: Life) -> bool:
    """Shows the card at the neighbour's window."""
    card = PermitRecognition(urn=life.urn, mode=RecognitionMode.CARD, citizen_number=life.number)
    answer = await recognise(
        begin_errand(rig[JIANGXI], YUSHAN_HALL, act("permit.recognition", FUNCTION_OF["permit.recognition"])), card
    )
    assert answer.recognition is not None
    assert answer.permit is not None
    assert answer.permit.status is life.status_on(rig[JIANGXI].today())
    return answer.recognition.outcome is not RecognitionOutcome.REFUSED


async def verify_one_truth(rig: Rig, lives: list[Life]) -> None:
    """Asks every door where each permit stands today."""
    today = rig[ZHEJIANG].today()
    truth = {life.urn: life.status_on(today) for life in lives}
    for name, caller, purpose in (
        (ZHEJIANG, HALL, "permit.administration"),
        (JIANGXI, YUSHAN_POLICE, "permit.check"),
    ):
        assert await listed(rig, name, caller, purpose) == truth
        for status in PermitStatus:
            some = await listed(rig, name, caller, purpose, status=status)
            assert some == {urn: stood for urn, stood in truth.items() if stood is status}
        for urn, stood in truth.items():
            seen = permit_object(await shown(rig, name, caller, purpose, urn=urn), full=True)
            assert (seen["standing"], seen["status"]) == (stood, stood)
    for life in lives:
        stood = truth[life.urn]
        dossier = find_dossier(rig[ZHEJIANG], DossierRef(kind=DossierKind.PERMIT, id=life.urn))
        assert dossier is not None
        assert dossier.release(frozenset({"status"})) == {"status": stood}
        assert await is_recognised(rig, life) is (stood in WORKING)


@given(steps=st.lists(STEPS, max_size=12), days=st.sampled_from((0, 31, 340, 366)))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_door_says_where_a_permit_stands_on_the_day(steps: list[tuple[int, int, str]], days: int) -> None:
    """Whatever was done to permits and however many days passed: list, filter, page, JSON, look-up and window agree."""

    async def run(folder: Path) -> None:
        async with running_rig(folder) as rig:
            rig.start_delivery()
            lives = await begin(rig)
            for wait, who, step in steps:
                await rig.drain()  # a message that waits for months expires
                later(rig, days=wait)
                await take(rig, lives[who], step)
            await rig.drain()
            later(rig, days=days)
            await verify_one_truth(rig, lives)
            await rig.drain()

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(run(Path(name)))
