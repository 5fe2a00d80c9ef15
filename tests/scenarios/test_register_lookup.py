"""Things across the border: Yushan looks up a vehicle and an enterprise of Changshan; afterwards every log agrees."""

from __future__ import annotations

from pathlib import Path

from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.node.home.agreement import load_home_agreement
from federation.node.serve import utc_now
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.wire.agency.lookups import FETCH, SEARCH, LookupQuestion, ProvinceAnswer
from federation.wire.agency.registers import REGISTER_ENTERPRISES, REGISTER_VEHICLES, StoredVersion
from federation.wire.rpc import Ruling
from tests.cli.command_line import run
from tests.node.register_samples import ENTERPRISE, VEHICLE
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.test_lookup import Border, act, border

CASE = "CASE-2026-0001"


async def search(found: Border, kind: SelectorKind, value: str) -> ProvinceAnswer:
    question = LookupQuestion(
        case_id=CASE, selector=Selector(kind=kind, value=value), provinces=(NodeName("zhejiang"),)
    )
    return (await found.police.call(SEARCH, act(), question)).answers[0]


async def test_vehicle_and_enterprise_are_kept_asked_for_and_every_log_agrees(tmp_path: Path) -> None:
    """Stored over the agencies' port, hit by plate and USCC, released by field; a refused row is decided again the same."""
    async with border(tmp_path) as found:
        federation = found.federation
        vehicle = replace(VEHICLE, keeper=found.application.holder.citizen_number)
        async with federation.client("zhejiang/330822/police") as police:
            elsewhere = replace(vehicle, plate="浙H·I0043", registered_division="330824")
            kept = await police.call(REGISTER_VEHICLES, act("vehicle.administration", "F07"), (vehicle, elsewhere))
        async with federation.client("zhejiang/330822/market") as market:
            await market.call(REGISTER_ENTERPRISES, act("enterprise.administration", "F16"), (ENTERPRISE,))
        assert isinstance(kept[0], StoredVersion)
        assert isinstance(kept[1], Ruling)
        await found.open_case()

        plate = await search(found, SelectorKind.PLATE, vehicle.plate)
        uscc = await search(found, SelectorKind.USCC, ENTERPRISE.uscc)
        other = await search(found, SelectorKind.PLATE, "浙H·I0043")

        assert [answer.outcome for answer in (plate, uscc, other)] == [Outcome.HIT, Outcome.HIT, Outcome.NO_HIT]
        assert plate.handle is not None
        assert uscc.handle is not None
        fields = frozenset({"keeper", "status"})
        released = await found.police.call(FETCH, act(), found.fetch_question(plate.handle, fields))
        assert dict(released.fields) == {"keeper": vehicle.keeper, "status": "normal"}
        too_much = frozenset({"representative_number"})
        refused = await found.police.call(FETCH, act(), found.fetch_question(uscc.handle, too_much))
        assert (refused.outcome, dict(refused.fields)) == (Outcome.REFUSED, {})
        for name in ("zhejiang", "jiangxi"):
            done = run("policy", "replay", "--home", federation.home(name), "-o", "json").json
            assert done["differing"] == done["without_inputs"] == []
    agreement = load_home_agreement(federation.home("zhejiang"), now=utc_now())
    with kept_homes({name: federation.home(name) for name in federation.homes}) as kept_stores:
        await check_federation(kept_stores, agreement, now=utc_now())
    stored = b"".join(path.read_bytes() for name in federation.homes for path in federation.home(name).glob("node.db*"))
    for text in (vehicle.plate, "浙H·I0043", vehicle.keeper, ENTERPRISE.uscc, ENTERPRISE.representative_number):
        assert text.encode() not in stored
