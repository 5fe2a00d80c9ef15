"""Keeping the registers: who may, what is kept, what a repeat gets, and that nothing of it is sent anywhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.permits import RevokeReason
from federation.domain.registers import VehicleStatus
from federation.node import permits, registers
from federation.node.exchange.errand import begin_errand
from federation.node.registers import ENTERPRISES, VEHICLES, find_registered, list_registered
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.store.log_reader import load_head
from federation.store.messages import count_pending
from federation.wire.agency.permits import PermitRevocation
from federation.wire.agency.registers import StoredVersion
from federation.wire.rpc import Ruling
from tests.node.register_samples import ENTERPRISE, VEHICLE
from tests.node.rig import HALL, JIANGXI, POLICE, YUSHAN_POLICE, ZHEJIANG, act, application, running_rig

MARKET = parse_agency_id("zhejiang/330822/market")
KAIHUA = parse_agency_id("zhejiang/330824/police")
F07, F16 = ("vehicle.administration", "F07"), ("enterprise.administration", "F16")


async def register(node, *vehicles, caller: AgencyId = POLICE, request_id: str | None = None):
    return await registers.register_vehicles(begin_errand(node, caller, act(*F07, request_id=request_id)), vehicles)


async def test_register_keeps_each_change_as_a_version_and_sends_nothing(tmp_path: Path) -> None:
    """First version 1, then a colour, then the same again: two versions, no leaf, no message."""
    async with running_rig(tmp_path) as rig:
        node = rig[ZHEJIANG]
        (first,) = await register(node, VEHICLE)
        (second,) = await register(node, replace(VEHICLE, colour="黑"))
        (same,) = await register(node, replace(VEHICLE, colour="黑"))

        assert first == StoredVersion(id="urn:vehicle:330822:000001", version=1)
        assert second == replace(first, version=2)
        assert same == replace(second, unchanged=True)
        kept = find_registered(node.database, VEHICLES, first.id)
        assert kept is not None
        assert kept.facts.colour == "黑"
        assert not count_pending(node.database)


async def test_repeat_of_a_request_gets_its_first_answer(tmp_path: Path) -> None:
    """A repeat after a later change does not bring the old facts back; other rows under the id are a conflict."""
    async with running_rig(tmp_path) as rig:
        node, request = rig[ZHEJIANG], act(*F07).request_id
        first = await register(node, VEHICLE, request_id=request)
        await register(node, replace(VEHICLE, status=VehicleStatus.STOLEN))

        assert await register(node, VEHICLE, request_id=request) == first
        assert list_registered(node.database, VEHICLES, VEHICLE.plate)[0].facts.status is VehicleStatus.STOLEN
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await register(node, replace(VEHICLE, colour="红"), request_id=request)


async def test_request_of_another_office_is_no_repeat(tmp_path: Path) -> None:
    """Another office that sends the very same rows under the same id gets neither the answer nor a new record."""
    async with running_rig(tmp_path) as rig:
        node, request = rig[ZHEJIANG], act(*F07).request_id
        await register(node, VEHICLE, request_id=request)

        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await register(node, VEHICLE, caller=KAIHUA, request_id=request)


async def test_each_row_is_judged_by_itself(tmp_path: Path) -> None:
    """Good rows are kept; another county's is refused by policy, another realm's by rule; none takes others with it."""
    async with running_rig(tmp_path) as rig:
        node = rig[ZHEJIANG]
        rows = await register(
            node,
            VEHICLE,
            replace(VEHICLE, plate="浙H·I0043", registered_division="330824"),
            replace(VEHICLE, plate=VEHICLE.plate.replace("I", "1")),
            replace(VEHICLE, plate="浙H·I0044", first_registered=date(2030, 1, 1)),
            replace(VEHICLE, plate="浙H·I0045"),
        )

        assert isinstance(rows[0], StoredVersion)
        assert isinstance(rows[1], Ruling)
        assert rows[1].policies == ("deny-register-other-county",)
        assert isinstance(rows[2], MalformedError)
        assert rows[2].reason == "REAL_PLATE_IN_DEMO"
        assert isinstance(rows[3], RuleError)
        assert isinstance(rows[4], StoredVersion)
        assert rows[4].id == "urn:vehicle:330822:000002"


@pytest.mark.parametrize(
    ("caller", "purpose", "policy"),
    [
        (HALL, F07, "default-deny"),
        (MARKET, F07, "deny-register-function-not-held"),
        (KAIHUA, F07, "deny-register-other-county"),
        (POLICE, ("vehicle.administration", "F01"), "default-deny"),
        (POLICE, ("permit.administration", "F07"), "default-deny"),
    ],
)
async def test_register_by_others_or_for_other_purposes_is_refused_and_logged(
    tmp_path: Path, caller: AgencyId, purpose: tuple[str, str], policy: str
) -> None:
    """Only the police of the county register a vehicle, under the function of that register; the no is a leaf."""
    async with running_rig(tmp_path) as rig:
        node = rig[ZHEJIANG]
        before = load_head(node.database).size

        (row,) = await registers.register_vehicles(begin_errand(node, caller, act(*purpose)), [VEHICLE])

        assert isinstance(row, Ruling)
        assert row.policies == (policy,)
        assert list_registered(node.database, VEHICLES, VEHICLE.plate) == []
        assert load_head(node.database).size == before + 1


async def test_vehicle_rests_on_a_working_permit_of_its_keeper(tmp_path: Path) -> None:
    """A permit of somebody else, an unknown one and a revoked one are none; the keeper's own valid one is (R15)."""
    async with running_rig(tmp_path) as rig:
        node, person = rig[ZHEJIANG], application(household="361123")
        registered = await permits.register(begin_errand(node, HALL, act()), person)
        assert registered.permit is not None
        of_person = replace(VEHICLE, keeper=person.holder.citizen_number, permit=registered.permit.urn)
        for wrong in (replace(of_person, keeper=VEHICLE.keeper), replace(of_person, permit="urn:permit:330822:2026:9")):
            (row,) = await register(node, wrong)
            assert isinstance(row, RuleError)
            assert row.reason == "VEHICLE_PERMIT"

        (row,) = await register(node, of_person)
        assert isinstance(row, StoredVersion)

        await permits.revoke(
            begin_errand(node, HALL, act()), PermitRevocation(urn=registered.permit.urn, reason=RevokeReason.LEFT)
        )
        (stolen,) = await register(node, replace(of_person, status=VehicleStatus.STOLEN))
        assert isinstance(stolen, StoredVersion)
        (other,) = await register(node, replace(of_person, plate="浙H·I0046"))
        assert isinstance(other, RuleError)


async def test_record_of_another_county_is_taken_over_once_it_was_let_go(tmp_path: Path) -> None:
    """A plate is kept by one county; the next one registers it after the first has transferred it."""
    async with running_rig(tmp_path) as rig:
        node, moved = rig[ZHEJIANG], replace(VEHICLE, registered_division="330824")
        (first,) = await register(node, VEHICLE)
        (row,) = await register(node, moved, caller=KAIHUA)
        assert isinstance(row, RuleError)
        assert row.reason == "REGISTERED_ELSEWHERE"

        await register(node, replace(VEHICLE, status=VehicleStatus.TRANSFERRED))
        assert await register(node, moved, caller=KAIHUA) == (StoredVersion(id=first.id, version=3),)


async def test_enterprise_is_kept_and_read_by_its_market_regulator(tmp_path: Path) -> None:
    """The market regulator registers and reads; the police of the county do not read that register."""
    async with running_rig(tmp_path) as rig:
        node = rig[ZHEJIANG]
        (row,) = await registers.register_enterprises(begin_errand(node, MARKET, act(*F16)), [ENTERPRISE])
        assert row == StoredVersion(id="urn:enterprise:330822:000001", version=1)
        assert len(list_registered(node.database, ENTERPRISES, ENTERPRISE.uscc)) == 1

        found = await registers.get_enterprise(begin_errand(node, MARKET, act(*F16)), ENTERPRISE.uscc)
        assert found.records[0].version == row
        assert found.records[0].fields["legal_representative"] == ENTERPRISE.legal_representative
        denied = await registers.get_enterprise(begin_errand(node, POLICE, act(*F07)), ENTERPRISE.uscc)
        assert (denied.records, denied.decision.allowed) == ((), False)
        other = synthetic_uscc("330822", 99).value
        with pytest.raises(NotFoundError, match="REGISTER_UNKNOWN"):
            await registers.get_enterprise(begin_errand(node, MARKET, act(*F16)), other)


async def test_vehicle_of_another_county_is_not_told_to_be_there(tmp_path: Path) -> None:
    """The next county's police read their own register: what another one keeps is as unknown as what nobody does."""
    async with running_rig(tmp_path) as rig:
        node = rig[ZHEJIANG]
        await register(node, VEHICLE)
        read = await registers.get_vehicle(begin_errand(node, POLICE, act(*F07)), VEHICLE.plate)
        assert read.records[0].fields["keeper"] == VEHICLE.keeper
        for plate in (VEHICLE.plate, "浙H·I9999"):
            with pytest.raises(NotFoundError, match="REGISTER_UNKNOWN"):
                await registers.get_vehicle(begin_errand(node, KAIHUA, act(*F07)), plate)
        with pytest.raises(MalformedError, match="PLATE_FORM"):
            await registers.get_vehicle(begin_errand(node, POLICE, act(*F07)), "浙HI0042")


async def test_registers_lie_sealed_and_are_not_shared(tmp_path: Path) -> None:
    """Neither plate nor person stands open in the store, and the other province gets nothing."""
    async with running_rig(tmp_path) as rig:
        rig.start_delivery()
        node = rig[ZHEJIANG]
        await register(node, VEHICLE)
        await registers.register_enterprises(begin_errand(node, MARKET, act(*F16)), [ENTERPRISE])
        await rig.drain()

        assert list_registered(rig[JIANGXI].database, VEHICLES, VEHICLE.plate) == []
        assert rig.carried(ZHEJIANG, JIANGXI) == b""
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("zhejiang.db*"))
        for text in (VEHICLE.plate, VEHICLE.keeper, ENTERPRISE.uscc, ENTERPRISE.legal_representative):
            assert text.encode() not in stored


async def test_an_office_of_another_province_keeps_nothing_here(tmp_path: Path) -> None:
    """Its certificate is refused at the port; policy refuses it, too."""
    async with running_rig(tmp_path) as rig:
        (row,) = await register(rig[ZHEJIANG], VEHICLE, caller=YUSHAN_POLICE)
        assert isinstance(row, Ruling)
        assert "deny-register-other-county" in row.policies
