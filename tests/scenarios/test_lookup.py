"""Asking across the border: a Yushan officer gets the one fact a case needs from Zhejiang, and nothing by the same door."""

from __future__ import annotations

import base64
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.cli.demo.synthetic import synthetic_applications
from federation.domain.lookups import FetchItem, Outcome, Selector, SelectorKind, step_up_bytes
from federation.domain.permits import PermitApplication
from federation.node.home.agreement import load_home_agreement
from federation.node.node import CHINA
from federation.node.serve import Running, running_node, utc_now
from federation.protocol.ids import MessageId, NodeName, parse_agency_id
from federation.wire.agency.lookups import (
    CLOSE_CASE,
    FETCH,
    LIST_LOOKUPS,
    OPEN_CASE,
    SEARCH,
    CaseQuestion,
    FetchQuestion,
    LookupQuery,
    LookupQuestion,
    ProvinceAnswer,
)
from federation.wire.agency.permits import REGISTER_PERMIT
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.provinces import ISLAND, Federation, make_federation, officer_seed

YUSHAN = "jiangxi/361123/police"
OFFICER = "officer-7"
PURPOSE = "lookup.criminal_investigation"
ZHEJIANG = NodeName("zhejiang")
FIELDS = frozenset({"holder_name", "status"})


def act(purpose: str = PURPOSE, function: str = "F03", *, officer: str = OFFICER) -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=function, officer=officer)


@dataclass
class Border:
    """Four nodes, one permit in Changshan of somebody from elsewhere, a Yushan officer with a key and a case."""

    federation: Federation
    running: dict[str, Running]
    police: AgencyClient
    application: PermitApplication
    key: Ed25519PrivateKey

    async def open_case(self, case_id: str = "CASE-2026-0001", counties: tuple[str, ...] = ("330822",)) -> None:
        question = CaseQuestion(
            case_id=case_id, letter="玉公协〔2026〕1号", counties=frozenset(counties), purposes=frozenset({PURPOSE}),
            days=30, leader="leader-1",
        )  # fmt: skip
        answer = await self.police.call(OPEN_CASE, act(officer="leader-1"), question)
        assert answer.decision.allowed, answer.decision

    async def search(self, number: str, *provinces: str, case_id: str = "CASE-2026-0001") -> dict[str, ProvinceAnswer]:
        question = LookupQuestion(
            case_id=case_id,
            selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=number),
            provinces=tuple(NodeName(name) for name in provinces),
        )
        result = await self.police.call(SEARCH, act(), question)
        return {answer.node: answer for answer in result.answers}

    def fetch_question(self, handle: str, fields: frozenset[str] = FIELDS, key: Ed25519PrivateKey | None = None):
        signer = key or self.key
        public = base64.b64encode(signer.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        unsigned = FetchItem(
            lookup_id=MessageId("00000000-0000-7000-8000-000000000000"),
            handle=handle, fields=fields, officer_key=public, officer_signature="",
        )  # fmt: skip
        signature = base64.b64encode(signer.sign(step_up_bytes(unsigned))).decode()
        return FetchQuestion(
            case_id="CASE-2026-0001", node=ZHEJIANG, handle=handle, fields=fields, officer_key=public,
            officer_signature=signature,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def border(folder: Path) -> AsyncIterator[Border]:
    federation = make_federation(folder)
    today = utc_now().astimezone(CHINA).date()
    application = next(
        found
        for found in synthetic_applications(ZHEJIANG, 5000, seed=1, today=today)
        if found.residence_division == "330822" and not found.sealed and not found.guardian
        and not found.holder.household_division.startswith("36") and found.work_division is None
    )  # fmt: skip
    police = parse_agency_id(YUSHAN)
    key = Ed25519PrivateKey.from_private_bytes(officer_seed(police, OFFICER))
    for officer in (OFFICER, "leader-1"):
        federation.key(officer, agency=police)
    async with contextlib.AsyncExitStack() as stack:
        running = {}
        for name in federation.homes:
            running[name] = await stack.enter_async_context(running_node(federation.home(name), island=ISLAND))
        hall = await stack.enter_async_context(federation.client("zhejiang/330822/service-hall"))
        police = await stack.enter_async_context(federation.client(YUSHAN))
        registered = await hall.call(REGISTER_PERMIT, act("permit.administration", "F02"), application)
        assert registered.permit is not None
        yield Border(federation, running, police, application, key)


async def test_lookup_hits_first_and_releases_named_fields_second(tmp_path: Path) -> None:
    """Two steps: an opaque handle, then the fields that the case needs; both sides' logs agree at the end."""
    async with border(tmp_path) as found:
        await found.open_case()
        number = found.application.holder.citizen_number
        answers = await found.search(number, "zhejiang")
        hit = answers["zhejiang"]
        assert hit.outcome is Outcome.HIT, hit
        assert hit.handle is not None

        released = await found.police.call(FETCH, act(), found.fetch_question(hit.handle))

        assert released.outcome is Outcome.HIT, released
        assert dict(released.fields) == {"holder_name": found.application.holder.name, "status": "valid"}
        page = await found.police.call(LIST_LOOKUPS, act(), LookupQuery())
        assert [(line.step, line.outcome) for line in page.lines] == [
            ("lookup.fetch", Outcome.HIT),
            ("lookup.search", Outcome.HIT),
            ("lookup.case", Outcome.CASE_OPENED),
        ]
        kept_federation = found.federation
    agreement = load_home_agreement(kept_federation.home("zhejiang"), now=utc_now())
    with kept_homes({name: kept_federation.home(name) for name in kept_federation.homes}) as kept:
        await check_federation(kept, agreement, now=utc_now())


async def test_lookup_of_nobody_is_no_hit_and_leaves_no_field(tmp_path: Path) -> None:
    """No hit: no handle, no field, and neither store nor log of the asking side holds the person."""
    async with border(tmp_path) as found:
        await found.open_case()
        other = next(
            person.holder.citizen_number
            for person in synthetic_applications(ZHEJIANG, 50, seed=99, today=utc_now().date())
        )
        answer = (await found.search(other, "zhejiang"))["zhejiang"]

        assert answer.outcome is Outcome.NO_HIT
        assert answer.handle is None
    stored = b"".join(path.read_bytes() for path in found.federation.home("zhejiang").glob("node.db*"))
    assert other.encode() not in stored


async def test_lookup_without_a_case_or_outside_its_counties_is_refused(tmp_path: Path) -> None:
    """Curiosity has no case; a case for Changshan opens no record of Kaihua, and does not tell that there is one."""
    async with border(tmp_path) as found:
        number = found.application.holder.citizen_number
        curious = (await found.search(number, "zhejiang"))["zhejiang"]
        assert curious.outcome is Outcome.REFUSED
        assert "deny-lookup-no-case" in curious.policies
        assert curious.explanation_zh
        assert curious.explanation_en
        await found.open_case(counties=("330824",))

        answer = (await found.search(number, "zhejiang"))["zhejiang"]

        assert answer.outcome is Outcome.NO_HIT
        refused = (await found.search(number, "anhui"))["anhui"]
        assert refused.outcome is Outcome.REFUSED
        assert "deny-lookup-no-case" in refused.policies
        assert refused.title_zh


async def test_fetch_with_another_officers_key_or_after_the_case_closed_is_refused(tmp_path: Path) -> None:
    """A borrowed certificate is not enough, and access ends with the case."""
    async with border(tmp_path) as found:
        await found.open_case()
        hit = (await found.search(found.application.holder.citizen_number, "zhejiang"))["zhejiang"]
        assert hit.handle is not None
        question = found.fetch_question(hit.handle, key=Ed25519PrivateKey.generate())
        assert (await found.police.call(FETCH, act(), question)).policies == ("rule-officer-key",)
        too_much = await found.police.call(FETCH, act(), found.fetch_question(hit.handle, frozenset({"ethnicity"})))
        assert too_much.outcome is Outcome.REFUSED

        await found.police.call(CLOSE_CASE, act(officer="leader-1"), "CASE-2026-0001")

        closed = await found.police.call(FETCH, act(), found.fetch_question(hit.handle))
        assert (closed.outcome, closed.policies) == (Outcome.REFUSED, ("deny-lookup-no-case",))


async def test_fan_out_with_one_province_down_gives_four_honest_results(tmp_path: Path) -> None:
    """One answers, one refuses, one is down: each says what it is within the deadline."""
    async with border(tmp_path) as found:
        await found.open_case()
        fujian = found.running["fujian"]
        await fujian.peer_server.stop(0)

        answers = await found.search(found.application.holder.citizen_number, "anhui", "fujian", "zhejiang")

        outcomes = {name: answer.outcome for name, answer in answers.items()}
        assert outcomes == {
            "zhejiang": Outcome.HIT, "anhui": Outcome.REFUSED, "fujian": Outcome.UNREACHABLE,
        }  # fmt: skip
