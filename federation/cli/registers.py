"""`bridgehead vehicle|enterprise`: the county's own registers (机动车登记, 经营主体登记)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Generic, TypeVar

import typer

from federation.cli import rows, words
from federation.cli.imports import ImportOptions, RowResult, Tally, open_import, parse_rows, run_import
from federation.cli.options import Desk, FullOption, command
from federation.cli.rows import Field, Sheet, Texts, constant
from federation.cli.show import card, say, to_json
from federation.domain.permits import parse_permit_urn
from federation.domain.plates import PLATE_CLASS_CODES, PlateClass, normalise_plate, usual_class
from federation.domain.registers import (
    REGISTER_FUNCTION,
    REGISTER_PURPOSE,
    DossierKind,
    Enterprise,
    EnterpriseStatus,
    Vehicle,
    VehicleStatus,
    verify_enterprise,
    verify_vehicle,
)
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import Realm
from federation.wire.agency import registers as wire
from federation.wire.rpc import Ruling

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient
    from federation.wire.rpc import Act, Rpc

vehicles = typer.Typer(name="vehicle", no_args_is_help=True, help="Vehicles (机动车) of the own county.")
enterprises = typer.Typer(name="enterprise", no_args_is_help=True, help="Enterprises (经营主体) of the own county.")

Fact = TypeVar("Fact", Vehicle, Enterprise)
_PANEL: Final = "The record (登记内容)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(Generic[Fact]):
    kind: DossierKind
    key: str
    county: str
    status: str
    sheet: Sheet[Fact]
    judge: Callable[[Fact, Realm, date], Fact]
    registering: Rpc[tuple[Fact, ...], tuple[wire.RegisteredRow, ...]]
    reading: Rpc[str, wire.RegisterReading]

    def act(self, desk: Desk) -> Act:
        return desk.act(REGISTER_PURPOSE[self.kind], REGISTER_FUNCTION[self.kind])


def _plate_class(given: str) -> object:
    """The class by its name, in either language, or by its number in GA/T 16.7."""
    return _CLASSES.get(given.zfill(2)) or rows.one_of(PlateClass)(given)


_CLASSES: Final = {number: each for each, number in PLATE_CLASS_CODES.items()}
VEHICLES: Final = Register(
    kind=DossierKind.VEHICLE,
    key="plate",
    county="registered_division",
    status="VehicleStatus",
    sheet=Sheet(
        labels=words.VEHICLE_FIELDS,
        make=Vehicle,
        reason="REGISTER_FIELD",
        fields={
            "plate": Field(read=normalise_plate),
            "plate_class": Field(
                read=_plate_class, usual=lambda found: usual_class(str(found["plate"])), option="--class",
                help="The class of plate, such as small_car, 警用汽车 or 23 (as its form says; small_car).",
            ),
            "brand_model": Field(read=rows.Words(100), option="--brand-model", help="The make and model."),
            "colour": Field(read=rows.Words(100), option="--colour", help="The colour."),
            "status": Field(
                read=rows.one_of(VehicleStatus), usual=constant(VehicleStatus.NORMAL), option="--status",
                help="The status, such as normal, stolen, transferred (normal).",
            ),
            "registered_division": Field(read=rows.division),
            "first_registered": Field(read=rows.day, option="--first-registered", help="First registered: a day."),
            "keeper": Field(read=rows.capitals, option="--keeper", help="The keeper: a citizen number or a USCC."),
            "permit": Field(
                read=rows.parsed(parse_permit_urn, "a permit such as urn:permit:330822:2026:000123"),
                usual=constant(None), option="--permit", help="The residence permit that it rests on.",
            ),
            "sealed": Field(
                read=rows.yes, usual=constant(False), option="--sealed", kind=bool,
                help="Sealed: it answers no look-up.",
            ),
        },
    ),
    judge=lambda vehicle, realm, today: verify_vehicle(vehicle, realm, today=today),
    registering=wire.REGISTER_VEHICLES,
    reading=wire.GET_VEHICLE,
)  # fmt: skip
ENTERPRISES: Final = Register(
    kind=DossierKind.ENTERPRISE,
    key="uscc",
    county="division",
    status="EnterpriseStatus",
    sheet=Sheet(
        labels=words.ENTERPRISE_FIELDS,
        make=Enterprise,
        reason="REGISTER_FIELD",
        fields={
            "uscc": Field(read=rows.capitals),
            "name": Field(read=rows.Words(100, is_name=True), option="--name", help="The name of the enterprise."),
            "division": Field(read=rows.division),
            "status": Field(
                read=rows.one_of(EnterpriseStatus), usual=constant(EnterpriseStatus.ACTIVE), option="--status",
                help="The status, such as active, revoked (active).",
            ),
            "registered_on": Field(read=rows.day, option="--registered-on", help="The day of the registration."),
            "legal_form": Field(read=rows.Words(100), option="--legal-form", help="The legal form (组织形式)."),
            "legal_representative": Field(
                read=rows.Words(100, is_name=True), option="--representative", help="The legal representative's name."
            ),
            "representative_number": Field(
                read=rows.capitals, option="--number", help="The representative's citizen number."
            ),
        },
    ),
    judge=lambda enterprise, realm, today: verify_enterprise(enterprise, realm, today=today),
    registering=wire.REGISTER_ENTERPRISES,
    reading=wire.GET_ENTERPRISE,
)  # fmt: skip

DivisionOption = Annotated[str | None, typer.Option("--division", help="Six digits; the own county.")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a heading, or JSON Lines.")]
PlateArgument = Annotated[str, typer.Argument(metavar="PLATE", help="Such as 浙H·I0001; the dot may be left out.")]
UsccArgument = Annotated[str, typer.Argument(metavar="USCC", help="The unified social credit code, 18 characters.")]


@command(vehicles, "register", texts=VEHICLES.sheet.options(_PANEL, required=True))
def register_vehicle(desk: Desk, texts: Texts, plate: PlateArgument, division: DivisionOption = None) -> None:
    """Register (登记) a vehicle, or what changed of it. Exit 1 when policy refused."""
    _register(desk, VEHICLES, plate, division, texts)


@command(enterprises, "register", texts=ENTERPRISES.sheet.options(_PANEL, required=True))
def register_enterprise(desk: Desk, texts: Texts, uscc: UsccArgument, division: DivisionOption = None) -> None:
    """Register (登记) an enterprise, or what changed of it. Exit 1 when policy refused."""
    _register(desk, ENTERPRISES, uscc, division, texts)


@command(vehicles, "import", options=open_import)
def import_vehicles(desk: Desk, file: FileArgument, options: ImportOptions) -> None:
    """Import (导入) vehicles. Bad rows are told by line, good rows go on. Exit 1 when any row failed.

    The heading names the fields, in English or Chinese: plate, plate_class, brand_model, colour, status,
    registered_division, first_registered, keeper, permit, sealed.
    """
    _import(desk, VEHICLES, file, options)


@command(enterprises, "import", options=open_import)
def import_enterprises(desk: Desk, file: FileArgument, options: ImportOptions) -> None:
    """Import (导入) enterprises. Bad rows are told by line, good rows go on. Exit 1 when any row failed.

    The heading names the fields, in English or Chinese: uscc, name, division, status, registered_on, legal_form,
    legal_representative, representative_number.
    """
    _import(desk, ENTERPRISES, file, options)


@command(vehicles, "show")
def show_vehicle(desk: Desk, plate: PlateArgument, full: FullOption = False) -> None:
    """Show (查看) what the own county keeps under a plate."""
    _show(desk, VEHICLES, normalise_plate(plate.strip()), full=full)


@command(enterprises, "show")
def show_enterprise(desk: Desk, uscc: UsccArgument, full: FullOption = False) -> None:
    """Show (查看) the enterprise that the own county keeps under a USCC."""
    _show(desk, ENTERPRISES, uscc.strip().upper(), full=full)


def _register(desk: Desk, register: Register[Fact], key: str, division: str | None, texts: Texts) -> None:
    county = division or desk.profile.agency.county
    row = register.sheet.parse({**texts, register.key: key, register.county: county})
    for doubt in register.sheet.find_doubts(texts):
        say(f"请核对 please check: {doubt}")
    (answer,) = desk.call(register.registering, (row,), act=register.act(desk))
    if isinstance(answer, BridgeheadError):
        raise answer
    if isinstance(answer, Ruling):
        desk.refuse(answer)
    else:
        desk.show(answer, (f"{answer.id}  第 {answer.version} 版 version {answer.version}",))


def _import(desk: Desk, register: Register[Fact], file: Path, options: ImportOptions) -> None:
    tally, act = Tally(), register.act(desk)
    good = parse_rows(rows.read_rows(file, register.sheet, encoding=options.encoding), register.sheet, tally)
    total = rows.count_lines(file)
    run_import(
        desk, options, good, tally, judge=register.judge, send=lambda *chunk: _send(register, act, *chunk), total=total
    )


async def _send(
    register: Register[Fact], act: Act, client: AgencyClient, number: int, chunk: Sequence[Fact]
) -> Sequence[RowResult]:
    """Sends one chunk of an import under a request id that follows from the import's."""
    request_id = str(uuid.uuid5(uuid.UUID(act.request_id), str(number)))
    answers = await client.call(register.registering, replace(act, request_id=request_id), tuple(chunk))
    return [each.id if isinstance(each, wire.StoredVersion) else each for each in answers]


def _show(desk: Desk, register: Register[Fact], key: str, *, full: bool) -> None:
    reading = desk.call(register.reading, key, act=register.act(desk), changes=False)
    lines: list[str] = []
    for record in reading.records:
        lines.append(f"{record.version.id}  第 {record.version.version} 版 version {record.version.version}")
        lines += card(to_json(record.fields, full=full), enum=register.status)
    desk.show(reading, lines, full=full)
