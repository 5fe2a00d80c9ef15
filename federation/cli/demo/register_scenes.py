"""The scenes of the demo about things: the seed registers of vehicles and enterprises, and a look-up by plate and USCC.

Played by the agencies' clients against running nodes; the registers are those of `nodes/<province>/`, which
`bridgehead vehicle import` and `bridgehead enterprise import` read, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from federation.cli.demo.lookup_scenes import ASKED, CASE, POLICE, LookupScenes, lookup_act, new_key
from federation.cli.demo.provinces import repository_folder
from federation.cli.lookups import sign_fetch
from federation.cli.registers import ENTERPRISES, VEHICLES, Fact, Register
from federation.cli.rows import read_rows
from federation.cli.show import JsonOut, mask
from federation.domain.dossiers.register_policy import REGISTER_FUNCTION, REGISTER_PURPOSE
from federation.domain.lookup.asking import Outcome, Selector, SelectorKind
from federation.protocol.errors import BridgeheadError, NotFoundError
from federation.wire.agency.registers import KeptVersion
from federation.wire.client import AgencyClient
from federation.wire.lookups.values import LookupQuestion, ProvinceAnswer
from federation.wire.values import Act

OFFICER = "yushan-0902"
COUNTIES = {"zhejiang": "330822", "jiangxi": "361123", "fujian": "350722", "anhui": "341022"}
"""The county whose seed registers each province has."""
VEHICLE_FIELDS = frozenset({"plate_class", "colour", "status", "keeper"})
ENTERPRISE_FIELDS = frozenset({"name", "status", "legal_representative"})
NO_PLATE = "浙H·I9999"


@dataclass(kw_only=True)
class RegistersTold:
    """What the scenes came to: how many records are kept, each look-up's outcome, and the fields that were released."""

    kept: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    released: dict[str, list[str]] = field(default_factory=dict)

    def summary(self) -> dict[str, JsonOut]:
        """The same as a part of the demo's JSON."""
        return {"kept": self.kept, "answers": {**self.answers}, "released": {**self.released}}


class RegisterScenes:
    """Plays the scenes in order, within the case of the look-up scenes."""

    def __init__(
        self, lookups: LookupScenes, *, client: Callable[[str], AgencyClient], tell: Callable[[str], None]
    ) -> None:
        """Keeps the scenes whose case is open, where clients come from, and where to tell what happens."""
        self._lookups = lookups
        self._client = client
        self._tell = tell
        self._key = new_key()
        self.told = RegistersTold()

    async def keep(self) -> None:
        """Has each county's police and market regulator register what the seed files hold."""
        for province, county in COUNTIES.items():
            vehicles = await self._register(f"{province}/{county}/police", VEHICLES, "vehicles.csv")
            enterprises = await self._register(f"{province}/{county}/market", ENTERPRISES, "enterprises.csv")
            self._tell(
                f"{province:<9} {vehicles} vehicles by its police, {enterprises} enterprises by its market office"
            )
            self.told.kept += vehicles + enterprises

    async def look_up(self) -> None:
        """Yushan's police ask by a plate, by one that nobody has, and by a USCC; then for named fields of each hit."""
        self._lookups.register(OFFICER, self._key)
        vehicle, enterprise = self._rows(VEHICLES, "vehicles.csv")[0], self._rows(ENTERPRISES, "enterprises.csv")[0]
        hit = await self._search("plate", SelectorKind.PLATE, vehicle.plate)
        await self._fetch("vehicle", hit, VEHICLE_FIELDS)
        await self._search("other_plate", SelectorKind.PLATE, NO_PLATE)
        hit = await self._search("uscc", SelectorKind.USCC, enterprise.uscc)
        await self._fetch("enterprise", hit, ENTERPRISE_FIELDS)

    async def _register(self, agency: str, register: Register[Fact], name: str) -> int:
        rows = self._rows(register, name, province=agency.partition("/")[0])
        act = Act(
            request_id=str(uuid.uuid4()),
            purpose=REGISTER_PURPOSE[register.kind],
            function=REGISTER_FUNCTION[register.kind],
            officer="demo-clerk",
        )
        answers = await register.send(self._client(agency), act, rows)
        kept = sum(isinstance(answer, KeptVersion) for answer in answers)
        if kept != len(rows):
            raise NotFoundError("DEMO_REFUSED", f"{agency} registered {kept} of {len(rows)} rows")
        return kept

    def _rows(self, register: Register[Fact], name: str, *, province: str = ASKED) -> list[Fact]:
        path = repository_folder("nodes") / province / name
        rows: list[Fact] = []
        for row in read_rows(path, register.sheet):
            if isinstance(row.texts, BridgeheadError):
                raise row.texts
            rows.append(register.sheet.parse(row.texts))
        return rows

    async def _search(self, name: str, kind: SelectorKind, value: str) -> ProvinceAnswer:
        question = LookupQuestion(case_id=CASE, selector=Selector(kind=kind, value=value), provinces=(ASKED,))
        result = await self._client(POLICE).lookups.search(lookup_act(officer=OFFICER), question)
        answer = result.answers[0]
        self.told.answers[name] = answer.outcome.value
        self._tell(f"{kind} {value}: {answer.outcome.value}")
        return answer

    async def _fetch(self, name: str, hit: ProvinceAnswer, fields: frozenset[str]) -> None:
        if hit.handle is None:
            raise NotFoundError("DEMO_NO_HIT", f"expected a hit in {ASKED}, got {hit.outcome}")
        question = sign_fetch(self._key, case_id=CASE, node=ASKED, handle=hit.handle, fields=fields)
        released = await self._client(POLICE).lookups.fetch(lookup_act(officer=OFFICER), question)
        if released.outcome is not Outcome.HIT:
            raise NotFoundError("DEMO_REFUSED", f"expected fields of a {name}: {released.title_en}")
        self.told.released[name] = sorted(released.fields)
        shown = ", ".join(f"{field} {mask(field, text)}" for field, text in released.fields.items())
        self._tell(f"  released: {shown}")
