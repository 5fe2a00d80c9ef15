"""The look-up scenes of the demo: a border police office asks across for the one fact of its case, and gets no more.

The registers of vehicles and enterprises are those of `nodes/<province>/`, which `bridgehead vehicle import` and
`bridgehead enterprise import` read, too.
"""

from __future__ import annotations

import uuid
from typing import Final

from federation.cli.demo.provinces import repository_folder
from federation.cli.demo.stage import ASKED, CHANGSHAN, OFFICER, POLICE, Stage, lookup_act, new_key, permit_act
from federation.cli.registers import ENTERPRISES, VEHICLES, Fact, Register
from federation.cli.rows import read_rows
from federation.cli.show import CHINA, mask
from federation.domain.division import province_of
from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.domain.lookups_policy import LookupPurpose
from federation.domain.permits_policy import PermitPurpose
from federation.domain.registers import REGISTER_FUNCTION, REGISTER_PURPOSE
from federation.protocol.errors import BridgeheadError, NotFoundError
from federation.protocol.ids import NodeName, parse_agency_id
from federation.wire.agency.lookups import CLOSE_CASE, CaseQuestion, FetchResult, ProvinceAnswer
from federation.wire.agency.permits import REGISTER_PERMIT
from federation.wire.agency.registers import KeptVersion
from federation.wire.values import Act

HALL: Final = "zhejiang/330822/service-hall"
EVERYWHERE: Final = (NodeName("anhui"), NodeName("fujian"), ASKED)
CASE, OTHER_CASE = "YS-2026-0042", "YS-2026-0043"
LETTER: Final = "玉公协〔2026〕42号"
LEADER: Final = "yushan-leader"
KAIHUA, PUCHENG = "330824", "350722"
FIELDS: Final = frozenset({"holder_name", "status"})

REGISTER_OFFICER: Final = "yushan-0902"
COUNTIES: Final = {"zhejiang": "330822", "jiangxi": "361123", "fujian": "350722", "anhui": "341022"}
"""The county whose seed registers each province has."""
VEHICLE_FIELDS: Final = frozenset({"plate_class", "colour", "status", "keeper"})
ENTERPRISE_FIELDS: Final = frozenset({"name", "status", "legal_representative"})
NO_PLATE: Final = "浙H·I9999"


async def prepare(stage: Stage) -> None:
    """Registers in Changshan somebody of no household in Jiangxi, whom Yushan therefore knows nothing of."""
    application = next(
        found
        for found in stage.people(ASKED, seed=stage.seed + 1)
        if found.work_division is None
        and found.residence_division == CHANGSHAN
        and province_of(found.holder.household_division) != parse_agency_id(POLICE).node
    )
    stage.number = application.holder.citizen_number
    answer = await stage.call(HALL, REGISTER_PERMIT, permit_act(PermitPurpose.ADMINISTRATION), application)
    if answer.permit is None:
        raise NotFoundError("DEMO_REFUSED", f"Changshan was refused: {answer.decision.title_en}")
    household = application.holder.household_division
    stage.tell(f"Changshan issues a permit to somebody of {household}: no business of Jiangxi's, nothing is sent")
    stage.key(OFFICER)
    stage.tell(f"Yushan's police register the own key of officer {OFFICER}")


async def open_and_search(stage: Stage) -> dict[str, str]:
    """Opens a case that names Changshan and Pucheng, and asks all provinces for one person: what each answered."""
    await _open(stage, CASE, CHANGSHAN, PUCHENG)
    stage.tell(f"case {CASE} ({LETTER}) is open 30 days for 玉山, 常山 and 浦城")
    result = await stage.search(lookup_act(), CASE, provinces=EVERYWHERE)
    for answer in result.answers:
        stage.tell(f"{answer.node:<9} {_words(answer)}")
        if answer.outcome is Outcome.REFUSED:
            stage.tell(f"          {answer.title_zh} | {answer.title_en}")
    stage.handle = next((answer.handle for answer in result.answers if answer.handle is not None), "")
    if not stage.handle:
        raise NotFoundError("DEMO_NO_HIT", f"expected a hit in {ASKED}")
    return {answer.node: answer.outcome.value for answer in result.answers}


async def fetch(stage: Stage) -> list[str]:
    """Fetches two named fields of the hit, signed with the officer's own key: the names of what was released."""
    result = await stage.fetch(lookup_act(), CASE, handle=stage.handle, fields=FIELDS, key=stage.key(OFFICER))
    shown = ", ".join(f"{name} {value}" for name, value in sorted(result.fields.items()))
    until = f"{result.expires.astimezone(CHINA):%Y-%m-%d %H:%M}" if result.expires is not None else "-"
    stage.tell(f"the officer's own key signs for two fields; released: {shown} (until {until})")
    return sorted(result.fields)


async def refuse(stage: Stage) -> dict[str, str]:
    """Has the curious and the borrower of a certificate try: what refused each of them."""
    (no_case,) = (await stage.search(lookup_act(), "YS-2026-9999")).answers
    refused = {"no_case": _refused(stage, "curiosity has no case", no_case)}
    (other_purpose,) = (await stage.search(lookup_act(LookupPurpose.IDENTITY_CHECK), CASE)).answers
    who = "just to see who that is, not what the case is for"
    refused["other_purpose"] = _refused(stage, who, other_purpose)
    await _open(stage, OTHER_CASE, KAIHUA)
    (elsewhere,) = (await stage.search(lookup_act(), OTHER_CASE)).answers
    refused["other_county"] = elsewhere.outcome.value
    told = f"{elsewhere.outcome}; not even that Changshan knows them is told"
    stage.tell(f"a case for Kaihua, the same person: {told}")
    borrowed = await stage.fetch(lookup_act(), CASE, handle=stage.handle, fields=FIELDS, key=new_key())
    refused["other_key"] = _refused(stage, "the office's certificate, another key", borrowed)
    return refused


async def close_case(stage: Stage) -> dict[str, str]:
    """Closes the cases; the handle dies with its own: what refused it then."""
    for case_id in (OTHER_CASE, CASE):
        await stage.call(POLICE, CLOSE_CASE, lookup_act(), case_id)
        stage.tell(f"case {case_id} is closed")
    answer = await stage.fetch(lookup_act(), CASE, handle=stage.handle, fields=FIELDS, key=stage.key(OFFICER))
    return {"closed_case": _refused(stage, "the same handle, the right key", answer)}


async def keep_registers(stage: Stage) -> int:
    """Has each county's police and market regulator register what the seed files hold: how many records are kept."""
    kept = 0
    for province, county in COUNTIES.items():
        vehicles = await _register(stage, f"{province}/{county}/police", VEHICLES, "vehicles.csv")
        enterprises = await _register(stage, f"{province}/{county}/market", ENTERPRISES, "enterprises.csv")
        stage.tell(f"{province:<9} {vehicles} vehicles by its police, {enterprises} enterprises by its market office")
        kept += vehicles + enterprises
    return kept


async def look_up_registers(stage: Stage) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Yushan's police ask by a plate, by one that nobody has, and by a USCC; then for named fields of each hit.

    Returns what came of each question, and the names of the fields that were released.
    """
    vehicle, enterprise = _rows(VEHICLES, "vehicles.csv")[0], _rows(ENTERPRISES, "enterprises.csv")[0]
    answers, released = dict[str, str](), dict[str, list[str]]()
    for name, kind, value, fields in (
        ("plate", SelectorKind.PLATE, vehicle.plate, VEHICLE_FIELDS),
        ("other_plate", SelectorKind.PLATE, NO_PLATE, frozenset[str]()),
        ("uscc", SelectorKind.USCC, enterprise.uscc, ENTERPRISE_FIELDS),
    ):
        act = lookup_act(officer=REGISTER_OFFICER)
        (answer,) = (await stage.search(act, CASE, selector=Selector(kind=kind, value=value))).answers
        answers[name] = answer.outcome.value
        stage.tell(f"{kind} {value}: {answer.outcome.value}")
        if fields:
            act = lookup_act(officer=REGISTER_OFFICER)
            found = await stage.release(act, CASE, handle=answer.handle, fields=fields)
            released["vehicle" if kind is SelectorKind.PLATE else "enterprise"] = sorted(found)
            stage.tell(f"  released: {', '.join(f'{field} {mask(field, text)}' for field, text in found.items())}")
    return answers, released


async def _open(stage: Stage, case_id: str, *counties: str) -> None:
    question = CaseQuestion(
        case_id=case_id,
        letter=LETTER,
        counties=frozenset(counties),
        purposes=frozenset({LookupPurpose.CRIMINAL_INVESTIGATION}),
        days=30,
        leader=LEADER,
    )
    await stage.open_case(lookup_act(), question)


def _refused(stage: Stage, who: str, answer: ProvinceAnswer | FetchResult) -> str:
    """Tells of a no by Yushan's own node, which logged it like a yes: the policies that said it."""
    if answer.outcome is not Outcome.REFUSED:
        raise NotFoundError("DEMO_ALLOWED", f"expected a refusal: {who}")
    policies = ", ".join(answer.policies)
    stage.tell(f"{who}: refused by {policies}")
    stage.tell(f"  {answer.title_zh}")
    stage.tell(f"  {answer.title_en}")
    return policies


def _words(answer: ProvinceAnswer) -> str:
    """One honest line for a province's answer."""
    if answer.outcome is Outcome.HIT:
        return "hit: an opaque handle, no field"
    if answer.outcome is Outcome.REFUSED:
        return f"refused by {', '.join(answer.policies)}"
    return str(answer.outcome)


async def _register(stage: Stage, agency: str, register: Register[Fact], name: str) -> int:
    rows = _rows(register, name, province=agency.partition("/")[0])
    act = Act(
        request_id=str(uuid.uuid4()),
        purpose=REGISTER_PURPOSE[register.kind],
        function=REGISTER_FUNCTION[register.kind],
        officer="demo-clerk",
    )
    answers = await stage.call(agency, register.registering, act, tuple(rows))
    kept = sum(isinstance(answer, KeptVersion) for answer in answers)
    if kept != len(rows):
        raise NotFoundError("DEMO_REFUSED", f"{agency} registered {kept} of {len(rows)} rows")
    return kept


def _rows(register: Register[Fact], name: str, *, province: str = ASKED) -> list[Fact]:
    rows: list[Fact] = []
    for row in read_rows(repository_folder("nodes") / province / name, register.sheet):
        if isinstance(row.texts, BridgeheadError):
            raise row.texts
        rows.append(register.sheet.parse(row.texts))
    return rows
