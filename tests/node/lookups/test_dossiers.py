"""Look-ups by plate and USCC: hit or no hit, fields by purpose, the person behind a thing, and what does not leak."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.lookups import FetchItem, Outcome, parse_selector, step_up_bytes
from federation.domain.registers import DOSSIER_FIELDS, DossierKind, Vehicle, enterprise_texts, vehicle_texts
from federation.node import permits, registers
from federation.node.disclosures import tell_subject
from federation.node.exchange.errand import begin_errand
from federation.node.lookups import ask as asking
from federation.node.lookups import cases
from federation.node.lookups import fetch as fetching
from federation.node.registers import ENTERPRISES, VEHICLES, put_registered
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, Realm, parse_agency_id
from federation.wire.agency.lookups import CaseQuestion, FetchQuestion, FetchResult, LookupQuestion, ProvinceAnswer
from tests.node.register_samples import ENTERPRISE, KEEPER, REPRESENTATIVE, VEHICLE
from tests.node.rig import (
    HALL,
    JIANGXI,
    POLICE,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    act,
    application,
    lead_act,
    register_key,
    running_rig,
)

INVESTIGATION, MISSING, CHECK = "lookup.criminal_investigation", "lookup.missing_person", "lookup.identity_check"
PURPOSES = (INVESTIGATION, MISSING, CHECK)
CASE = "CASE-2026-0001"
MARKET = parse_agency_id("zhejiang/330822/market")
NOBODY = MessageId("00000000-0000-7000-8000-000000000000")
RELEASED = {
    (INVESTIGATION, DossierKind.VEHICLE): {
        "plate_class", "brand_model", "colour", "status", "registered_division", "first_registered", "keeper",
    },
    (MISSING, DossierKind.VEHICLE): {"plate_class", "status"},
    (CHECK, DossierKind.VEHICLE): {"plate_class", "status"},
    (INVESTIGATION, DossierKind.ENTERPRISE): {
        "name", "division", "status", "registered_on", "legal_form", "legal_representative",
    },
    (MISSING, DossierKind.ENTERPRISE): {"name", "status"},
    (CHECK, DossierKind.ENTERPRISE): {"name", "status"},
}  # fmt: skip


@dataclass
class Border:
    """Changshan keeps a vehicle and an enterprise; Yushan's officer-1 has a case for all three purposes and a key."""

    rig: Rig
    key: Ed25519PrivateKey

    async def search(self, text: str, purpose: str = INVESTIGATION) -> ProvinceAnswer:
        question = LookupQuestion(case_id=CASE, selector=parse_selector(text, Realm.DEMO), provinces=(ZHEJIANG,))
        found = await asking.search(begin_errand(self.rig[JIANGXI], YUSHAN_POLICE, act(purpose, "F03")), question)
        return found.answers[0]

    async def fetch(self, handle: str | None, *fields: str, purpose: str = INVESTIGATION) -> FetchResult:
        assert handle is not None
        public = base64.b64encode(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        item = FetchItem(
            lookup_id=NOBODY, handle=handle, fields=frozenset(fields), officer_key=public, officer_signature=""
        )
        question = FetchQuestion(
            case_id=CASE, node=ZHEJIANG, handle=handle, fields=item.fields, officer_key=public,
            officer_signature=base64.b64encode(self.key.sign(step_up_bytes(item))).decode(),
        )  # fmt: skip
        return await fetching.fetch(begin_errand(self.rig[JIANGXI], YUSHAN_POLICE, act(purpose, "F03")), question)

    def told(self, person: str, *, days: int = 31) -> list[tuple[str, list[str]]]:
        """What Zhejiang tells a person after so many days: each step and the fields, sorted, for the clock stands."""
        now = self.rig.clock() + timedelta(days=days)
        lines = tell_subject(self.rig[ZHEJIANG], person, now=now).lines
        return sorted((line.step, sorted(line.fields)) for line in lines)

    async def keep(self, vehicle: Vehicle) -> None:
        """Keeps a vehicle as it is, sealed or not, in the store of Changshan's node."""
        node = self.rig[ZHEJIANG]
        await node.sequencer.commit(lambda tx: put_registered(tx, VEHICLES, vehicle, owner=node.name))


@asynccontextmanager
async def border(folder: Path, *, counties: tuple[str, ...] = ("330822",)) -> AsyncIterator[Border]:
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    async with running_rig(folder) as rig:
        rig.start_delivery()
        await register_key(rig[JIANGXI], YUSHAN_POLICE, "officer-1", key=f"ed25519:{public}")
        node = rig[ZHEJIANG]
        await registers.register_vehicles(begin_errand(node, POLICE, act("vehicle.administration", "F07")), [VEHICLE])
        market = act("enterprise.administration", "F16")
        await registers.register_enterprises(begin_errand(node, MARKET, market), [ENTERPRISE])
        question = CaseQuestion(
            case_id=CASE, letter="玉公协〔2026〕1号", counties=frozenset(counties), purposes=frozenset(PURPOSES),
            days=30, leader="leader-1",
        )  # fmt: skip
        police = {"caller": YUSHAN_POLICE, "act": lead_act(INVESTIGATION)}
        assert (await cases.begin_case(begin_errand(rig[JIANGXI], **police), question)).decision.allowed
        yield Border(rig, key)


@pytest.mark.parametrize("text", [VEHICLE.plate, ENTERPRISE.uscc])
async def test_search_hits_what_the_other_side_keeps_and_nothing_else(tmp_path: Path, text: str) -> None:
    """A plate or a USCC that is kept is a hit with a handle; another one is none; no answer carries a field."""
    async with border(tmp_path) as found:
        hit = await found.search(text)
        assert (hit.outcome, bool(hit.handle)) == (Outcome.HIT, True)
        other = "浙H·I9999" if text == VEHICLE.plate else synthetic_uscc("330822", 99).value
        miss = await found.search(other)
        assert (miss.outcome, miss.handle) == (Outcome.NO_HIT, None)
        carried = found.rig.carried(ZHEJIANG, JIANGXI)
        for texts in (vehicle_texts(VEHICLE), enterprise_texts(ENTERPRISE)):
            assert not [name for name, value in texts.items() if value.encode() in carried and len(value) > 3]


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("kind", [DossierKind.VEHICLE, DossierKind.ENTERPRISE])
async def test_fetch_releases_each_field_to_its_purpose_only(tmp_path: Path, purpose: str, kind: DossierKind) -> None:
    """Field by field: what the case table names is released as it is kept, everything else is refused by policy."""
    texts = vehicle_texts(VEHICLE) if kind is DossierKind.VEHICLE else enterprise_texts(ENTERPRISE)
    async with border(tmp_path) as found:
        hit = await found.search(VEHICLE.plate if kind is DossierKind.VEHICLE else ENTERPRISE.uscc, purpose)
        for field in sorted(DOSSIER_FIELDS[kind]):
            answer = await found.fetch(hit.handle, field, purpose=purpose)
            if field in RELEASED[purpose, kind]:
                assert (answer.outcome, dict(answer.fields)) == (Outcome.HIT, {field: texts[field]})
            else:
                assert (answer.outcome, dict(answer.fields)) == (Outcome.REFUSED, {}), field


async def test_fetch_of_another_kinds_fields_is_refused(tmp_path: Path) -> None:
    """The handle of a vehicle opens no permit and no enterprise, and a mixture is no question."""
    async with border(tmp_path) as found:
        hit = await found.search(VEHICLE.plate)
        for field in ("holder_name", "legal_representative"):
            assert (await found.fetch(hit.handle, field)).outcome is Outcome.REFUSED
        with pytest.raises(MalformedError, match="LOOKUP_FIELD"):
            await found.fetch(hit.handle, "keeper", "holder_name")


async def test_keeper_and_representative_are_told(tmp_path: Path) -> None:
    """The search and each fetch of a vehicle is told to its keeper; of an enterprise what was had of the person."""
    async with border(tmp_path) as found:
        vehicle, enterprise = await found.search(VEHICLE.plate), await found.search(ENTERPRISE.uscc)
        await found.fetch(vehicle.handle, "keeper", "colour")
        await found.fetch(enterprise.handle, "name")
        await found.fetch(enterprise.handle, "legal_representative", "status")

        assert found.told(KEEPER) == [("lookup.fetch", ["colour", "keeper"]), ("lookup.search", [])]
        assert found.told(REPRESENTATIVE) == [("lookup.fetch", ["legal_representative", "status"])]
        assert found.told(KEEPER, days=1) == []


async def test_vehicle_of_an_organisation_tells_nobody(tmp_path: Path) -> None:
    """A keeper by USCC is no person: the fetch releases it, and nobody's report has a line."""
    async with border(tmp_path) as found:
        await found.keep(replace(VEHICLE, plate="浙H·I0050", keeper=ENTERPRISE.uscc))
        hit = await found.search("浙H·I0050")
        answer = await found.fetch(hit.handle, "keeper")

        assert dict(answer.fields) == {"keeper": ENTERPRISE.uscc}
        assert (found.told(ENTERPRISE.uscc), found.told(KEEPER)) == ([], [])


async def test_sealed_vehicle_and_vehicle_of_a_sealed_person_are_no_hit(tmp_path: Path) -> None:
    """A sealed record answers nothing, and neither does the vehicle of somebody whose permit is sealed."""
    async with border(tmp_path) as found:
        person = application(household="361123", sealed=True)
        await permits.register(begin_errand(found.rig[ZHEJIANG], HALL, act()), person)
        await found.keep(replace(VEHICLE, plate="浙H·I0051", sealed=True))
        await found.keep(replace(VEHICLE, plate="浙H·I0052", keeper=person.holder.citizen_number))
        sealed_company = replace(
            ENTERPRISE, uscc=synthetic_uscc("330822", 8).value, representative_number=person.holder.citizen_number
        )
        node = found.rig[ZHEJIANG]
        await node.sequencer.commit(lambda tx: put_registered(tx, ENTERPRISES, sealed_company, owner=node.name))

        for text in ("浙H·I0051", "浙H·I0052", sealed_company.uscc):
            assert (await found.search(text)).outcome is Outcome.NO_HIT


async def test_vehicle_sealed_after_the_hit_opens_no_more(tmp_path: Path) -> None:
    """The fetch is judged anew: what was sealed meanwhile is refused, and the keeper is told of the attempt."""
    async with border(tmp_path) as found:
        hit = await found.search(VEHICLE.plate)
        await found.keep(replace(VEHICLE, sealed=True))

        answer = await found.fetch(hit.handle, "keeper")

        assert answer.outcome is Outcome.REFUSED
        assert "deny-lookup-sealed" in answer.policies
        assert ("lookup.fetch", ["keeper"]) in found.told(KEEPER)


async def test_vehicle_of_a_child_is_hit_and_no_field(tmp_path: Path) -> None:
    """No field of a child under 14 is handed over, through no thing of theirs either."""
    async with border(tmp_path) as found:
        child = application(household="361123", minor=True)
        await found.keep(replace(VEHICLE, plate="浙H·I0053", keeper=child.holder.citizen_number))
        hit = await found.search("浙H·I0053")

        answer = await found.fetch(hit.handle, "colour")

        assert (hit.outcome, answer.outcome) == (Outcome.HIT, Outcome.REFUSED)
        assert "deny-lookup-minor" in answer.policies


async def test_record_of_a_county_outside_the_case_is_no_hit(tmp_path: Path) -> None:
    """A case for Kaihua does not open Changshan's register, nor tell that a plate stands in it."""
    async with border(tmp_path, counties=("330824",)) as found:
        for text in (VEHICLE.plate, ENTERPRISE.uscc):
            assert (await found.search(text)).outcome is Outcome.NO_HIT


async def test_person_is_no_way_to_their_vehicles(tmp_path: Path) -> None:
    """A citizen number finds permits: the keeper of a vehicle without a permit is no hit."""
    async with border(tmp_path) as found:
        assert (await found.search(KEEPER)).outcome is Outcome.NO_HIT


async def test_refused_search_leaves_no_plate_on_the_wire_and_in_no_store(tmp_path: Path) -> None:
    """Own policy refuses first: the plate does not leave the province, nor does it stand open at either side."""
    async with border(tmp_path) as found:
        answer = await found.search("浙H·I7777", "lookup.debt_collection")

        assert answer.outcome is Outcome.REFUSED
        assert "浙H·I7777".encode() not in found.rig.carried(JIANGXI, ZHEJIANG)
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("*.db*"))
        assert "浙H·I7777".encode() not in stored


async def test_answers_leave_no_field_open_in_either_store(tmp_path: Path) -> None:
    """What was asked and released lies sealed at both sides."""
    async with border(tmp_path) as found:
        hit = await found.search(VEHICLE.plate)
        await found.fetch(hit.handle, "keeper", "brand_model")
        await found.search("浙H·I9999")
        await found.rig.drain()
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("*.db*"))
    for text in (VEHICLE.plate, "浙H·I9999", VEHICLE.keeper, VEHICLE.brand_model):
        assert text.encode() not in stored
